"""Converts an index to positions in the flattened array.

The position of an element of ``x`` in memory is the sum over the axes of its index times the axis'
stride (counted in elements). So the positions of an index are sums of one term for each of its
parts.
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from operator import add, mul
from typing import Any

import numpy as np

__all__ = ["flat_positions"]


def flat_positions(shape: tuple[int, ...], key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """Return the positions in x flattened of the elements of ``x[key].ravel()``.

    Args:
        shape: the shape of x.
        key: slices, integers, None, ``...``, and at least one array of integers.

    Raises:
        IndexError: for an index out of bounds, or with too many parts.
        ValueError: for arrays that do not broadcast against each other.

    Example:
        >>> flat_positions((2, 3), (slice(None), np.array([0, -1])))
        array([0, 2, 3, 5])
    """
    parts = _one_for_each_axis(shape, key)
    picked: list[Any] = []
    before: list[Any] = []
    behind: list[Any] = []
    axes = zip(shape, _strides(shape), strict=True)
    for part in parts:
        size, stride = (1, 0) if part is None else next(axes)
        if part is None or isinstance(part, slice):
            numbers = np.arange(size)[part or slice(None)] * stride
            (behind if picked else before).append(numbers)
        else:
            picked.append(_from_the_front(part, size) * stride)
    if _are_separated(parts):
        # NumPy's rule: if arrays are separated, the axes that they select jointly come first.
        before, behind = [], before + behind
    return reduce(_outer_sum, (*before, reduce(add, picked).reshape(-1), *behind))


def _outer_sum(left: Any, right: Any) -> Any:
    """Return the sums of all pairs, in the order of a matrix."""
    return (left[:, None] + right).reshape(-1)


def _one_for_each_axis(shape: tuple[int, ...], key: tuple[Any, ...]) -> list[Any]:
    """Complete an index with slices for ``...`` and for omitted axes."""
    parts = list(key)
    dots = [place for place, part in enumerate(key) if part is ...] or [len(key)]
    missing = len(shape) - sum(part is not None and part is not ... for part in key)
    if missing < 0 or len(dots) > 1:
        raise IndexError("too many indices")
    parts[dots[0] : dots[0] + 1] = [slice(None)] * missing
    return parts


def _strides(shape: tuple[int, ...]) -> list[int]:
    """Return the number of elements between neighbours along each axis, in C order."""
    return [*accumulate(reversed(shape[1:]), mul, initial=1)][::-1]


def _from_the_front(part: Any, size: int) -> Any:
    """Make negative indices, single or in an array, non-negative."""
    indices = np.asarray(part, dtype=np.intp)
    if indices.size and indices.min() < 0:
        indices = np.where(indices < 0, indices + size, indices)
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        raise IndexError("out of bounds")
    return indices


def _are_separated(parts: list[Any]) -> bool:
    """Return whether slices or new axes separate the integers and arrays of an index."""
    places = [i for i, p in enumerate(parts) if p is not None and not isinstance(p, slice)]
    return places[-1] - places[0] >= len(places)
