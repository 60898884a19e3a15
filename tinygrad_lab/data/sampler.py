"""Samplers: the order in which a loader fetches samples; each iteration is one pass.

Source: the classes of PyTorch's ``torch.utils.data``, whose names and meanings these are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.data.arguments import indices_of, integer, length_of, numbers_from
from tinygrad_lab.engine.keywords import explaining_class
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_lab.random.generator import Generator

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """Yields indices: subclass it and write ``__iter__``, and ``__len__`` where it is known.

    Any list of indices is a sampler, too.
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(
            f"{type(self).__name__} needs a method __iter__(self) that yields indices"
        )


class Ordered(Sampler):
    """A sampler that draws the indices of a pass at once."""

    def order(self) -> NDArray[np.int64]:
        """Return the indices of one pass; each call draws anew."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[int]:
        return iter(self.order().tolist())


class SequentialSampler(Ordered):
    """Indices in order: 0, 1, 2 ...

    Example:
        >>> list(SequentialSampler("abc"))
        [0, 1, 2]
    """

    def __init__(self, data_source: Sized) -> None:
        length_of("SequentialSampler", data_source)
        self.data_source = data_source

    def order(self) -> NDArray[np.int64]:
        return np.arange(len(self.data_source))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Ordered):
    """Indices in a new random order each pass, or drawn with replacement.

    Args:
        data_source: the dataset.
        replacement: draw each index from all, so that some come twice and some never.
        num_samples: how many to draw; as many as the dataset has if not given. More than that
            without replacement are several orders, one after the other.
        generator: a ``tg.Generator``; by default the one that ``tg.seed`` seeds.

    Raises:
        ArgumentTypeError: for a dataset without a length; for a number that is no integer.
        ArgumentError: for ``num_samples`` below 1, or indices to draw from an empty dataset.

    Example:
        >>> import tinygrad_lab as tg
        >>> list(RandomSampler(range(5), generator=tg.Generator(0)))
        [2, 4, 3, 0, 1]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | np.random.Generator | None = None,
    ) -> None:
        length = length_of("RandomSampler", data_source)
        if not isinstance(replacement, bool):
            raise ArgumentTypeError(
                f"RandomSampler: replacement must be True or False; got {replacement!r}"
            )
        if num_samples is not None:
            num_samples = integer("RandomSampler", "num_samples", num_samples, least=1)
            if not length:
                raise ArgumentError(
                    f"RandomSampler: cannot draw {num_samples} samples from an empty dataset"
                )
        if generator is not None:
            numbers_from("RandomSampler", generator)
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator

    @property
    def num_samples(self) -> int:
        """How many indices a pass has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def order(self) -> NDArray[np.int64]:
        numbers, length = numbers_from("RandomSampler", self.generator), len(self.data_source)
        wanted = self.num_samples
        if self.replacement:
            return numbers.integers(0, length, wanted) if wanted else np.arange(0)
        orders = [numbers.permutation(length) for _ in range(-(-wanted // max(length, 1)))]
        return (
            orders[0][:wanted]
            if len(orders) == 1
            else np.concatenate([*orders, []])[:wanted].astype(np.int64)
        )

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Ordered):
    """The given indices, in a new random order each pass.

    Example:
        >>> import tinygrad_lab as tg
        >>> list(SubsetRandomSampler([10, 20, 30], generator=tg.Generator(0)))
        [30, 10, 20]
    """

    def __init__(
        self,
        indices: Iterable[int],
        generator: Generator | np.random.Generator | None = None,
    ) -> None:
        self.indices: list[int] = indices_of("SubsetRandomSampler", indices).tolist()
        if generator is not None:
            numbers_from("SubsetRandomSampler", generator)
        self.generator = generator

    def order(self) -> NDArray[np.int64]:
        numbers = numbers_from("SubsetRandomSampler", self.generator)
        return np.asarray(self.indices, dtype=np.int64)[numbers.permutation(len(self.indices))]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Ordered):
    """Indices drawn with probabilities in proportion to weights.

    Rare classes come as often as frequent ones with ``weights = 1 / counts[y]``.

    Args:
        weights: one a sample, of 0 or more; they need not sum to 1.
        num_samples: how many indices to draw in a pass.
        replacement: whether an index may come more than once.
        generator: as in ``RandomSampler``.

    Raises:
        ShapeError: for weights that are no vector.
        ArgumentError: for weights that are negative, not finite or all 0; without replacement, for
            more indices than there are positive weights.

    Example:
        >>> import tinygrad_lab as tg
        >>> list(WeightedRandomSampler([0.0, 3.0, 1.0], 6, generator=tg.Generator(0)))
        [1, 1, 1, 1, 2, 2]
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | np.random.Generator | None = None,
    ) -> None:
        name = "WeightedRandomSampler"
        self.num_samples = integer(name, "num_samples", num_samples, least=1)
        if not isinstance(replacement, bool):
            raise ArgumentTypeError(f"{name}: replacement must be True or False; got {replacement}")
        self.weights: NDArray[np.float64] = np.asarray(weights, dtype=np.float64)
        if self.weights.ndim != 1:
            raise ShapeError(
                f"{name}: expected one weight a sample, a vector; got shape {self.weights.shape}"
            )
        if not (np.isfinite(self.weights).all() and (self.weights >= 0).all()):
            raise ArgumentError(f"{name}: expected finite weights of 0 or more")
        positive = int(np.count_nonzero(self.weights))
        if not positive:
            raise ArgumentError(f"{name}: expected a weight above 0 among {len(self.weights)}")
        if not replacement and positive < self.num_samples:
            raise ArgumentError(
                f"{name}: without replacement, {positive} positive weights give at most as many "
                f"samples; got num_samples={num_samples}"
            )
        if generator is not None:
            numbers_from(name, generator)
        self.replacement = replacement
        self.generator = generator

    def order(self) -> NDArray[np.int64]:
        numbers = numbers_from("WeightedRandomSampler", self.generator)
        shares = self.weights / self.weights.max()
        return numbers.choice(
            len(shares), self.num_samples, replace=self.replacement, p=shares / shares.sum()
        )

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of indices: those of another sampler, ``batch_size`` at a time.

    Raises:
        ArgumentTypeError: for a ``batch_size`` that is no integer, or a ``drop_last`` that is no
            boolean; for an iterator, which ends with the first pass.
        ArgumentError: for a ``batch_size`` below 1.

    Example:
        >>> list(BatchSampler(range(5), batch_size=2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = passed_repeatedly("BatchSampler", "sampler", sampler)
        self.batch_size = integer("BatchSampler", "batch_size", batch_size, least=1)
        if not isinstance(drop_last, bool):
            raise ArgumentTypeError(
                f"BatchSampler: drop_last must be True or False; got {drop_last!r}"
            )
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        length = length_of("BatchSampler", self.sampler)
        return length // self.batch_size if self.drop_last else -(-length // self.batch_size)


def passed_repeatedly(asked_by: str, name: str, sampler: Any) -> Any:
    """Return a sampler that can be passed over again and again, or raise."""
    if not hasattr(sampler, "__iter__"):
        raise ArgumentTypeError(
            f"{asked_by}: expected a sampler or a list of indices as {name}; got "
            f"{type(sampler).__name__}"
        )
    if isinstance(sampler, Iterator):
        raise ArgumentTypeError(
            f"{asked_by}: {name} is a {type(sampler).__name__}, which ends with the first pass; "
            f"make it a list: {name}=list(indices)"
        )
    return sampler


for _class in (
    SequentialSampler,
    RandomSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
    BatchSampler,
):
    explaining_class(_class)
