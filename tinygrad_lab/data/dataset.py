"""Datasets: what a loader fetches its samples from.

Source: the classes of PyTorch's ``torch.utils.data``, whose names and meanings these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from tinygrad_lab.array_api.creation import asarray
from tinygrad_lab.data.arguments import indices_of, length_of
from tinygrad_lab.engine.keywords import explaining_class
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, IndexingError, ShapeError, excerpt
from tinygrad_lab.ops import take

__all__ = [
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "row_gatherer",
]


class Dataset:
    """Samples by their index: subclass it, write ``__getitem__`` and ``__len__``.

    Anything with these two methods is a dataset, a list, too. An item may be whatever
    ``default_collate`` puts together: numbers, arrays, tensors, strings, tuples and dicts of them.

    Example:
        >>> class Squares(Dataset):
        ...     def __len__(self):
        ...         return 5
        ...     def __getitem__(self, index):
        ...         return float(index), index**2
        >>> from tinygrad_lab.data import DataLoader
        >>> [y.tolist() for x, y in DataLoader(Squares(), batch_size=2)]
        [[0, 1], [4, 9], [16]]
    """

    def __getitem__(self, index: Any) -> Any:
        raise NotImplementedError(
            f"{type(self).__name__} needs a method __getitem__(self, index) that returns a sample"
        )

    def __add__(self, other: Any) -> Dataset:
        return ConcatDataset([self, other])


class IterableDataset(Dataset):
    """Samples one after the other: subclass it, write ``__iter__``.

    For streams, whose length and order are their own: a loader refuses ``shuffle`` and samplers.
    ``__iter__`` starts anew on each call.

    Example:
        >>> class Countdown(IterableDataset):
        ...     def __iter__(self):
        ...         return iter(range(5, 0, -1))
        >>> from tinygrad_lab.data import DataLoader
        >>> [batch.tolist() for batch in DataLoader(Countdown(), batch_size=2)]
        [[5, 4], [3, 2], [1]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(
            f"{type(self).__name__} needs a method __iter__(self) that yields samples"
        )

    def __add__(self, other: Any) -> ChainDataset:
        return ChainDataset([self, other])


class TensorDataset(Dataset):
    """Tensors whose rows belong together: item i is the tuple of their rows i.

    Args:
        tensors: tensors or arrays with the same length along their first axis. Arrays become
            tensors that share their memory.

    Raises:
        ArgumentError: without tensors.
        ArgumentTypeError: for lists, or what is no array.
        ShapeError: for tensors without axes, or of different lengths.

    Example:
        >>> import tinygrad_lab as tg
        >>> pairs = TensorDataset(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([0, 1]))
        >>> len(pairs), pairs[1][0]
        (2, tensor([3., 4.]))
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors:
            raise ArgumentError("TensorDataset: expected tensors, as in TensorDataset(x, y)")
        for place, one in enumerate(tensors):
            if not hasattr(one, "shape"):
                raise ArgumentTypeError(
                    f"TensorDataset: argument {place} is a {type(one).__name__}, expected a tensor "
                    "or an array: TensorDataset(*tensors) of a list of tensors, "
                    "tg.tensor(numbers) of numbers"
                )
        self.tensors: tuple[Tensor, ...] = tuple(asarray(one) for one in tensors)
        shapes = [tuple(one.shape) for one in self.tensors]
        if () in shapes:
            raise ShapeError(
                f"TensorDataset: tensor {shapes.index(())} has no axes; its first axis should be "
                "that of the samples"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ShapeError(
                "TensorDataset: expected tensors of one length along their first axis; got shapes "
                + ", ".join(map(str, shapes))
            )

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(one[index] for one in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def rows(self, index: Any) -> list[Tensor]:
        """Return rows of each tensor as one tensor: a batch, in memory of its own.

        ``index`` is an array of integers.
        """
        try:
            return [_rows(one, index) for one in self.tensors]
        except IndexError:
            length = len(self)
            wrong = next(i for i in np.asarray(index).tolist() if not -length <= i < length)
            raise IndexingError(
                f"TensorDataset: index {wrong} is out of range for {length} rows"
            ) from None


def _rows(x: Tensor, index: Any) -> Tensor:
    array = x._data
    if x.requires_grad or not isinstance(array, np.ndarray):
        return take(x, asarray(index, device=x.device), axis=0)
    # On raw arrays: an op would take as long again, and a batch has no history.
    return detached(array.take(index, axis=0))


class Subset(Dataset):
    """Some items of a dataset, by their indices.

    Raises:
        ArgumentTypeError: for indices that are not integers.
        ArgumentError: for indices that the dataset does not have.

    Example:
        >>> evens = Subset(["a", "b", "c", "d"], [0, 2])
        >>> list(evens)
        ['a', 'c']
    """

    def __init__(self, dataset: Any, indices: Iterable[int]) -> None:
        length = len(dataset) if hasattr(dataset, "__len__") else None
        self.dataset = dataset
        self._indices = indices_of("Subset", indices, length)

    @property
    def indices(self) -> list[int]:
        """The indices of the items, in order."""
        return self._indices.tolist()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list | slice):
            return [self.dataset[i] for i in np.asarray(self._indices[index]).tolist()]
        return self.dataset[int(self._indices[_checked("Subset", index, len(self))])]

    def __len__(self) -> int:
        return len(self._indices)


class ConcatDataset(Dataset):
    """Datasets one after the other; ``a + b`` of datasets is one.

    Raises:
        ArgumentError: without datasets.
        ArgumentTypeError: for a dataset without a length.

    Example:
        >>> both = ConcatDataset([["a", "b"], ["c"]])
        >>> len(both), both[2], both[-3]
        (3, 'c', 'a')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        if hasattr(datasets, "__getitem__") and isinstance(datasets, Dataset):
            raise ArgumentTypeError(
                "ConcatDataset: expected a list of datasets; got one "
                f"{type(datasets).__name__}: write ConcatDataset([a, b])"
            )
        self.datasets: list[Any] = list(datasets)
        if not self.datasets:
            raise ArgumentError("ConcatDataset: expected at least one dataset; got an empty list")
        if any(isinstance(one, IterableDataset) for one in self.datasets):
            raise ArgumentTypeError(
                "ConcatDataset: an IterableDataset has no items by index; ChainDataset joins "
                "streams"
            )
        lengths = [length_of("ConcatDataset", one) for one in self.datasets]
        self.cumulative_sizes: list[int] = np.cumsum(lengths).tolist()

    def __getitem__(self, index: int) -> Any:
        place = _checked("ConcatDataset", index, len(self))
        which = int(np.searchsorted(self.cumulative_sizes, place, side="right"))
        before = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][place - before]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset):
    """Streams one after the other; ``a + b`` of two ``IterableDataset``s is one.

    Its length is that of all of them, where they know it.

    Raises:
        ArgumentError: without datasets.
        ArgumentTypeError: for a dataset that is no ``IterableDataset``.

    Example:
        >>> class Countdown(IterableDataset):
        ...     def __iter__(self):
        ...         return iter(range(2, 0, -1))
        >>> list(Countdown() + Countdown())
        [2, 1, 2, 1]
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        is_several = isinstance(datasets, Iterable) and not isinstance(datasets, IterableDataset)
        self.datasets: list[Any] = list(datasets) if is_several else []
        if not self.datasets:
            raise ArgumentError(
                "ChainDataset: expected a list of streams, ChainDataset([a, b]); got "
                f"{'none' if is_several else f'one {type(datasets).__name__}'}"
            )
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise ArgumentTypeError(
                    f"ChainDataset: expected IterableDatasets, one is {type(dataset).__name__}; "
                    "ConcatDataset joins datasets whose items have an index"
                )

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(length_of("ChainDataset", one) for one in self.datasets)


class StackDataset(Dataset):
    """Datasets side by side: item i is the tuple of their items i, or a dict by their names.

    Args:
        datasets: several datasets of one length, by position.
        named: the same by name, for items that are dicts.

    Raises:
        ArgumentError: without datasets, with some of both kinds, or for lengths that differ.
        ArgumentTypeError: for a dataset without items by index or without a length.

    Example:
        >>> StackDataset(image=["a", "b"], label=[0, 1])[1]
        {'image': 'b', 'label': 1}
    """

    def __init__(self, *datasets: Any, **named: Any) -> None:
        if bool(datasets) == bool(named):
            given = "both" if named else "none"
            raise ArgumentError(
                "StackDataset: expected datasets by position, for tuples, or by name, for dicts; "
                f"got {given}"
            )
        self.datasets: tuple[Any, ...] | dict[str, Any] = datasets or named
        every = list(named.values() if named else datasets)
        for one in every:
            if not hasattr(one, "__getitem__") or isinstance(one, IterableDataset):
                raise ArgumentTypeError(
                    f"StackDataset: expected datasets with items by index; {type(one).__name__} "
                    "has none"
                )
        lengths = [length_of("StackDataset", one) for one in every]
        if len(set(lengths)) > 1:
            raise ArgumentError(f"StackDataset: the datasets have different lengths, {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: int) -> Any:
        place = _checked("StackDataset", index, self._length)
        if isinstance(self.datasets, dict):
            return {name: one[place] for name, one in self.datasets.items()}
        return tuple(one[place] for one in self.datasets)

    def __len__(self) -> int:
        return self._length


def _checked(asked_by: str, index: Any, length: int) -> int:
    """Return an index counted from the start, or raise; iteration ends with this error."""
    try:
        place = index.__index__()
    except AttributeError:
        raise ArgumentTypeError(
            f"{asked_by}: expected an integer as an index; got {excerpt(index)}"
        ) from None
    if not -length <= place < length:
        raise IndexingError(f"{asked_by}: index {place} is out of range for {length} items")
    return int(place) % length


def row_gatherer(dataset: Any) -> Callable[[Any], Sequence[Tensor]] | None:
    """Return the function that gets a batch of rows at once, for datasets made of tensors.

    None for others, and for subclasses with an ``__getitem__`` of their own.
    """
    item_of = type(dataset).__getitem__ if hasattr(type(dataset), "__getitem__") else None
    if item_of is TensorDataset.__getitem__:
        rows: Callable[[Any], Sequence[Tensor]] = dataset.rows
        return rows
    inner = row_gatherer(dataset.dataset) if item_of is Subset.__getitem__ else None
    if inner is None:
        return None
    gather, indices = inner, dataset._indices
    return lambda index: gather(indices[index])


for _class in (Subset, ConcatDataset, ChainDataset):
    explaining_class(_class)
