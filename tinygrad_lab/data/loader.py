"""Batches: arrays cut along their first axis, in a new random order each epoch if wanted."""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from tinygrad_lab.errors import ArgumentError

__all__ = ["DataLoader"]


class Samples(Protocol):
    """What can be cut into batches: NumPy and CuPy arrays, and whatever is indexed like them."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class DataLoader:
    """Serve arrays in batches, one epoch an iteration.

    ``arrays`` share the length of their first axis, the number of samples. An iteration yields
    tuples, one batch of each array, of shape (batch_size, ...) and the array's own dtype and kind;
    the last batch holds what is left over, and is left out with ``drop_last``. ``len()`` is the
    number of batches. Without ``shuffle`` the batches are views of the arrays, which see later
    writes; with it they are copies, and each iteration draws a new order from ``generator``.
    Loaders with the same ``seed`` give the same orders, one epoch after the other; to take up
    again at some epoch, save and restore ``generator.bit_generator.state`` between two epochs.

    Raises ``ArgumentError`` without arrays, where an array has no axes, where the lengths differ,
    and where ``batch_size`` is less than 1; ``ValueError`` (NumPy's) where ``seed`` is negative.

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
        """Count the batches of an epoch."""
        whole_batches, left_over = divmod(self.num_samples, self.batch_size)
        return whole_batches + (left_over > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        """Go through one epoch; its order is drawn when the first batch is asked for."""
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
            "DataLoader: expected arrays of one length along their first axis; got lengths "
            f"{', '.join(map(str, lengths))} of shapes {', '.join(map(str, shapes))}"
        )
    return lengths[0]
