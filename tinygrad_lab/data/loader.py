"""Batches of a dataset, or of arrays cut along their first axis; shuffled anew each epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Protocol, Self, overload

import numpy as np

from tinygrad_lab.data.arguments import integer, numbers_from
from tinygrad_lab.data.collate import collated, default_collate, default_convert
from tinygrad_lab.data.dataset import Dataset, IterableDataset, row_gatherer
from tinygrad_lab.data.sampler import (
    BatchSampler,
    Ordered,
    RandomSampler,
    SequentialSampler,
    passed_repeatedly,
)
from tinygrad_lab.engine.keywords import advise, explaining_class
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DataError, IndexingError, excerpt

__all__ = ["ArrayLoader", "DataLoader"]

_FIXED = ("dataset", "batch_size", "sampler", "batch_sampler", "drop_last")
"""What a loader reads once, when it is made."""


class Samples(Protocol):
    """Data that can be cut into batches: NumPy and CuPy arrays, and objects indexed like them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class DataLoader:
    """Yields the samples of a dataset in batches of tensors, one epoch for each iteration.

    Args:
        dataset: what has ``__getitem__`` and ``__len__`` (a ``TensorDataset``, a list, a class of
            your own), or an ``IterableDataset``. NumPy arrays in its place, ``DataLoader(x, y)``,
            make an ``ArrayLoader``.
        batch_size: samples in a batch; None for single samples, without a batch axis.
        shuffle: whether each epoch has a new random order.
        sampler: a list of indices, or a ``Sampler``, in place of ``shuffle``.
        batch_sampler: lists of indices, one a batch, in place of the four around it.
        num_workers, timeout, worker_init_fn, multiprocessing_context, prefetch_factor,
            persistent_workers, in_order: taken so that programs for PyTorch run, and not needed:
            batches are made in this process, when they are asked for. ``worker_init_fn`` is never
            called.
        collate_fn: makes a batch of a list of samples; ``default_collate`` if not given.
        pin_memory, pin_memory_device: taken and not needed.
        drop_last: whether to leave out a last batch that is not full.
        generator: a ``tg.Generator`` for orders; by default the one that ``tg.seed`` seeds.

    ``len()`` is the number of batches. Iterations are independent: several may run at once. Batches
    own their memory. Of a ``TensorDataset``, and of subsets of one, a batch is taken at once and is
    a list of tensors; of other datasets samples are fetched one by one.

    Raises:
        ArgumentTypeError: for what is no dataset, and arguments of wrong types.
        ArgumentError: for arguments that exclude each other, or are out of range.
        ShapeError: in an epoch, for samples that differ in shape; the message names them.
        DataError: for a stream that is exhausted after its first pass.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.data import TensorDataset
        >>> pairs = TensorDataset(tg.arange(5), tg.arange(5) ** 2)
        >>> for x, y in DataLoader(pairs, batch_size=2):
        ...     print(x.tolist(), y.tolist())
        [0, 1] [0, 1]
        [2, 3] [4, 9]
        [4] [16]
        >>> loader = DataLoader([10, 20, 30], batch_size=3, shuffle=True, generator=tg.Generator(0))
        >>> [batch.tolist() for epoch in range(2) for batch in loader]
        [[30, 10, 20], [30, 20, 10]]

    Source: the interface is that of PyTorch's ``torch.utils.data.DataLoader``.
    """

    def __new__(cls, *data: Any, **_: Any) -> Self:
        is_of_arrays = cls is DataLoader and _are_arrays(data)
        return super().__new__(ArrayLoader if is_of_arrays else cls)  # type: ignore[return-value]

    @overload
    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None: ...

    @overload
    def __init__(
        self,
        *arrays: Samples,
        batch_size: int = 100,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None: ...

    def __init__(  # type: ignore[misc]  # what the second overload makes is an ArrayLoader
        self,
        dataset: Any = None,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[list[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        _check_dataset(dataset)
        _check_switches(shuffle=shuffle, drop_last=drop_last)
        _check_functions(collate_fn=collate_fn, worker_init_fn=worker_init_fn)
        if generator is not None:
            numbers_from("DataLoader", generator)
        self.dataset = dataset
        self.batch_size = None if batch_size is None else _batch_size(batch_size)
        self.drop_last = bool(drop_last)
        self.generator = generator
        self.num_workers = integer("DataLoader", "num_workers", num_workers)
        self.pin_memory, self.timeout = pin_memory, timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.prefetch_factor, self.persistent_workers = prefetch_factor, persistent_workers
        self.pin_memory_device, self.in_order = pin_memory_device, in_order
        self._choose_order(shuffle, sampler, batch_sampler)
        is_batched = self.batch_sampler is not None or self.batch_size is not None
        self.collate_fn = collate_fn or (default_collate if is_batched else default_convert)
        self._has_streamed = False
        self._made = True

    def _choose_order(self, shuffle: bool | None, sampler: Any, batch_sampler: Any) -> None:
        """Set ``sampler`` and ``batch_sampler`` from arguments of which some exclude others."""
        self.sampler: Any = None
        self.batch_sampler: Any = None
        if batch_sampler is not None:
            if self.batch_size != 1 or shuffle or sampler is not None or self.drop_last:
                raise ArgumentError(
                    "DataLoader: batch_sampler says all of batch_size, shuffle, sampler and "
                    "drop_last; leave those out"
                )
            self.batch_size = None
        if self.drop_last and self.batch_size is None:
            raise ArgumentError(
                "DataLoader: without batches (batch_size=None) there is no last one to drop; leave "
                "drop_last out"
            )
        if sampler is not None and shuffle:
            raise ArgumentError(
                "DataLoader: sampler gives the order, shuffle=True another; leave one of them out"
            )
        if isinstance(self.dataset, IterableDataset):
            if shuffle or sampler is not None or batch_sampler is not None:
                raise ArgumentError(
                    "DataLoader: an IterableDataset gives its samples in its own order: without "
                    "shuffle, sampler and batch_sampler"
                )
        elif batch_sampler is not None:
            self.batch_sampler = passed_repeatedly("DataLoader", "batch_sampler", batch_sampler)
        else:
            self.sampler = self._sampler(shuffle, sampler)
            if self.batch_size is not None:
                self.batch_sampler = BatchSampler(self.sampler, self.batch_size, self.drop_last)

    def _sampler(self, shuffle: bool | None, sampler: Any) -> Any:
        if sampler is not None:
            return passed_repeatedly("DataLoader", "sampler", sampler)
        if not hasattr(self.dataset, "__len__"):
            raise ArgumentTypeError(
                f"DataLoader: {type(self.dataset).__name__} has no __len__; write one, give "
                "sampler=, or make it an IterableDataset"
            )
        if shuffle:
            return RandomSampler(self.dataset, generator=self.generator)
        return SequentialSampler(self.dataset)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and getattr(self, "_made", False):
            raise ArgumentError(
                f"DataLoader: {name} is read when a loader is made; make another loader"
            )
        super().__setattr__(name, value)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        samples = self.dataset if self.sampler is None else self.sampler
        if not hasattr(samples, "__len__"):
            raise ArgumentTypeError(
                f"DataLoader: the number of batches is unknown, {type(samples).__name__} has no "
                "__len__"
            )
        if self.batch_size is None:
            return len(samples)
        whole_batches, left_over = divmod(len(samples), self.batch_size)
        return whole_batches + (left_over > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[Any]:
        """Iterate over one epoch; its order is drawn with the first batch."""
        if isinstance(self.dataset, IterableDataset):
            return self._stream()
        if self.batch_sampler is None:
            return (self.collate_fn(self._item(index)) for index in self.sampler)
        gather = row_gatherer(self.dataset) if self.collate_fn is default_collate else None
        if gather is None:
            return map(self._batch, self.batch_sampler)
        if self.batch_size is not None and isinstance(self.sampler, Ordered):
            return self._cut(gather)
        return (list(gather(np.asarray(indices))) for indices in self.batch_sampler)

    def _cut(self, gather: Callable[[Any], Iterable[Tensor]]) -> Iterator[list[Tensor]]:
        """Yield batches of rows of tensors, by pieces of the order."""
        order, size = self.sampler.order(), self.batch_size or 1
        for start in range(0, len(self) * size, size):
            yield list(gather(order[start : start + size]))

    def _batch(self, indices: Any) -> Any:
        indices = list(indices)
        if hasattr(self.dataset, "__getitems__"):
            samples = self.dataset.__getitems__(indices)
        else:
            samples = [self._item(index) for index in indices]
        if self.collate_fn is not default_collate:
            return self.collate_fn(samples)
        if not samples:
            raise ArgumentError("DataLoader: batch_sampler gave a batch without indices")
        return collated(list(samples), lambda place: f"item {indices[place]} of the dataset")

    def _item(self, index: Any) -> Any:
        try:
            return self.dataset[index]
        except Exception as error:
            length = len(self.dataset) if hasattr(self.dataset, "__len__") else None
            if length is not None and isinstance(index, int) and not -length <= index < length:
                raise IndexingError(
                    f"DataLoader: the sampler gave index {index} for a dataset of {length} items"
                ) from error
            error.add_note(f"DataLoader was fetching item {index} of {type(self.dataset).__name__}")
            raise

    def _stream(self) -> Iterator[Any]:
        """Yield batches of a dataset that gives its samples one after the other."""
        samples, count = iter(self.dataset), 0
        while batch := list(islice(samples, self.batch_size or 1)):
            count += len(batch)
            if self.batch_size is None:
                yield self.collate_fn(batch[0])
            elif len(batch) == self.batch_size or not self.drop_last:
                yield self.collate_fn(batch)
        if not count and self._has_streamed:
            raise DataError(
                f"DataLoader: {type(self.dataset).__name__} gave samples in an earlier epoch and "
                "none in this one; its __iter__ must start anew on each call"
            )
        self._has_streamed = self._has_streamed or count > 0


class ArrayLoader(DataLoader):
    """Yields arrays in batches: what ``DataLoader(x, y)`` of arrays makes.

    ``arrays`` share the length of their first axis, the number of samples. An iteration yields
    tuples, one batch of each array, of shape (batch_size, ...) and the array's own dtype and kind;
    the last batch holds the remaining samples, and is omitted with ``drop_last``. ``len()`` is the
    number of batches. Without ``shuffle`` the batches are views of the arrays, which see later
    writes; with it they are copies, and each iteration draws a new order from ``generator``.
    Loaders with the same ``seed`` give the same orders, epoch by epoch; to resume at some epoch,
    save and restore ``generator.bit_generator.state`` between two epochs.

    Raises ``ArgumentError`` if an array has no axes, if the lengths differ, or if ``batch_size`` is
    less than 1; ``ArgumentTypeError`` if it is no integer; ``ValueError`` (NumPy's) if ``seed`` is
    negative.

    >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> for batch_x, batch_y in DataLoader(x, y, batch_size=2):
    ...     print(batch_x.shape, batch_y)
    (2, 2) [0 1]
    (2, 2) [2 3]
    (1, 2) [4]
    >>> loader = DataLoader(y, batch_size=5, shuffle=True, seed=1)
    >>> [batch.tolist() for epoch in range(2) for (batch,) in loader]
    [[4, 0, 1, 2, 3], [3, 0, 1, 4, 2]]
    """

    def __init__(
        self,
        *arrays: Samples,
        batch_size: int = 100,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        self.batch_size: int = _batch_size(batch_size)
        _check_switches(shuffle=shuffle, drop_last=drop_last)
        self.num_samples = _common_length(arrays)
        self.arrays = arrays
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = np.random.default_rng(seed)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole_batches, left_over = divmod(self.num_samples, self.batch_size)
        return whole_batches + (left_over > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Iterate over one epoch; its order is drawn with the first batch."""
        order = self.generator.permutation(self.num_samples) if self.shuffle else None
        for batch in range(len(self)):
            chosen = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
            index = chosen if order is None else order[chosen]
            yield tuple(array[index] for array in self.arrays)


def _are_arrays(data: tuple[Any, ...]) -> bool:
    """Return whether a loader is made of arrays; a Tensor alone is a dataset of its rows."""
    if not data or not _is_array(data[0]):
        return False
    return not isinstance(data[0], Tensor) or (len(data) > 1 and _is_array(data[1]))


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and not isinstance(value, Dataset | np.generic)


def _batch_size(size: Any) -> int:
    return integer("DataLoader", "batch_size", size, least=1)


def _check_dataset(dataset: Any) -> None:
    name = type(dataset).__name__
    if dataset is None:
        raise ArgumentError(
            "DataLoader: expected a dataset, or at least one array, as in DataLoader(x, y)"
        )
    if isinstance(dataset, Iterator):
        raise ArgumentTypeError(
            f"DataLoader: a {name} ends with its first pass; make a list of it, or an "
            "IterableDataset whose __iter__ makes a new one"
        )
    if not hasattr(dataset, "__getitem__"):
        raise ArgumentTypeError(
            f"DataLoader: expected a dataset, with __getitem__ and __len__; {name} has no "
            "__getitem__. Of arrays: DataLoader(TensorDataset(x, y)); of streams: an "
            "IterableDataset"
        )
    if isinstance(dataset, type):
        raise ArgumentTypeError(
            f"DataLoader: expected a dataset, got the class {dataset.__name__}: write "
            f"{dataset.__name__}(...)"
        )
    if isinstance(dataset, Mapping) and dataset and 0 not in dataset:
        raise ArgumentTypeError(
            f"DataLoader: a dict of {excerpt(list(dataset))} has no items 0, 1 ...; of tensors of "
            "one length: TensorDataset(*tensors.values())"
        )


def _check_switches(**switches: Any) -> None:
    for name, value in switches.items():
        if not isinstance(value, bool | np.bool_ | None):
            raise ArgumentTypeError(
                f"DataLoader: {name} must be True or False; got {excerpt(value)}"
            )


def _check_functions(**functions: Any) -> None:
    for name, value in functions.items():
        if value is not None and not callable(value):
            raise ArgumentTypeError(f"DataLoader: {name} must be a function; got {excerpt(value)}")


def _common_length(arrays: tuple[Samples, ...]) -> int:
    for place, array in enumerate(arrays):
        if not _is_array(array):
            raise ArgumentTypeError(
                f"DataLoader: expected arrays, as the first argument; argument {place} is a "
                f"{type(array).__name__}. Options of loaders of arrays are given by name: "
                "DataLoader(x, y, batch_size=100)"
            )
        if hasattr(array, "iloc"):
            raise ArgumentTypeError(
                f"DataLoader: a {type(array).__name__} is indexed by columns; take its to_numpy()"
            )
    shapes = [tuple(array.shape) for array in arrays]
    if () in shapes:
        raise ArgumentError(
            "DataLoader: expected arrays with samples along their first axis; array "
            f"{shapes.index(())} has no axes"
        )
    lengths = [shape[0] for shape in shapes]
    if len(set(lengths)) > 1:
        raise ArgumentError(
            "DataLoader: expected arrays of equal length along their first axis; got lengths "
            f"{', '.join(map(str, lengths))} of shapes {', '.join(map(str, shapes))}"
        )
    return lengths[0]


for _class in (DataLoader, ArrayLoader):
    explaining_class(_class)

_OF_A_DATASET = "it goes with a dataset: DataLoader(TensorDataset(x, y), ...)"
advise("DataLoader", seed="write generator=tg.Generator(seed)")
advise(
    "ArrayLoader",
    generator="write seed=...",
    sampler=_OF_A_DATASET,
    batch_sampler=_OF_A_DATASET,
    collate_fn=_OF_A_DATASET,
    num_workers=_OF_A_DATASET,
    pin_memory=_OF_A_DATASET,
    worker_init_fn=_OF_A_DATASET,
)
