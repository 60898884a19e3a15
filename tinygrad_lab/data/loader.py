"""Batches: arrays cut along their first axis, optionally in a new random order each epoch."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from tinygrad_lab.errors import ArgumentError

__all__ = ["DataLoader"]


class Samples(Protocol):
    """Data that can be cut into batches: NumPy and CuPy arrays, and objects indexed like them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class DataLoader:
    """Yields arrays in batches, one epoch for each iteration.

    ``arrays`` share the length of their first axis, the number of samples. An iteration yields
    tuples, one batch of each array, of shape (batch_size, ...) and the array's own dtype and kind;
    the last batch holds the remaining samples, and is omitted with ``drop_last``. ``len()`` is the
    number of batches. Without ``shuffle`` the batches are views of the arrays, which see later
    writes; with it they are copies, and each iteration draws a new order from ``generator``.
    Loaders with the same ``seed`` give the same orders, epoch by epoch; to resume at some epoch,
    save and restore ``generator.bit_generator.state`` between two epochs.

    Raises ``ArgumentError`` without arrays, if an array has no axes, if the lengths differ, or if
    ``batch_size`` is less than 1; ``ValueError`` (NumPy's) if ``seed`` is negative.

    >>> x, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> for batch_x, batch_y in DataLoader(x, y, batch_size=2):
    ...     print(batch_x.shape, batch_y)
    (2, 2) [0 1]
    (2, 2) [2 3]
    (1, 2) [4]
    >>> loader = DataLoader(y, batch_size=5, shuffle=True, seed=1)
    >>> [batch.tolist() for epoch in range(2) for (batch,) in loader]
    [[4, 0, 1, 2, 3], [3, 0, 1, 4, 2]]

    Source: the interface is that of PyTorch's ``torch.utils.data.DataLoader``.
    """

    def __init__(
        self,
        *arrays: Samples,
        batch_size: int = 100,
        shuffle: bool = False,
        drop_last: bool = False,
        seed: int = 0,
    ) -> None:
        if batch_size < 1:
            raise ArgumentError(f"DataLoader: batch_size must be at least 1; got {batch_size}")
        self.num_samples = _common_length(arrays)
        self.arrays = arrays
        self.batch_size = batch_size
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


def _common_length(arrays: tuple[Samples, ...]) -> int:
    if not arrays:
        raise ArgumentError("DataLoader: expected at least one array, as in DataLoader(x, y)")
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
