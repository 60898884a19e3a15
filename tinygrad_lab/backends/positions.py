"""An index as positions in the flattened array.

In memory an element of ``x`` stands at the sum, over the axes, of its index times the axis' stride
(counted in elements). So the positions at an index are sums of one addend for each of its parts.
"""

from __future__ import annotations

from functools import reduce
from itertools import accumulate
from operator import add, mul
from typing import Any

import numpy as np

__all__ = ["flat_positions"]


def flat_positions(shape: tuple[int, ...], key: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """Where the elements of ``x[key]`` stand in x flattened: ``x[key].ravel()`` takes these.

    Args:
        shape: that of x.
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
    if _are_apart(parts):
        # NumPy's rule: where arrays stand apart, what they pick together is in front of all else.
        before, behind = [], before + behind
    return reduce(_outer_sum, (*before, reduce(add, picked).reshape(-1), *behind))


def _outer_sum(left: Any, right: Any) -> Any:
    """The sums of each with each, as they follow one another in a matrix."""
    return (left[:, None] + right).reshape(-1)


def _one_for_each_axis(shape: tuple[int, ...], key: tuple[Any, ...]) -> list[Any]:
    """The parts of an index, with slices for ``...`` and for what was left out."""
    parts = list(key)
    dots = [place for place, part in enumerate(key) if part is ...] or [len(key)]
    missing = len(shape) - sum(part is not None and part is not ... for part in key)
    if missing < 0 or len(dots) > 1:
        raise IndexError("too many indices")
    parts[dots[0] : dots[0] + 1] = [slice(None)] * missing
    return parts


def _strides(shape: tuple[int, ...]) -> list[int]:
    """By how many elements one step along each axis goes on, in C order."""
    return [*accumulate(reversed(shape[1:]), mul, initial=1)][::-1]


def _from_the_front(part: Any, size: int) -> Any:
    """An index or an array of them, negative ones counted from the front."""
    indices = np.asarray(part, dtype=np.intp)
    if indices.size and indices.min() < 0:
        indices = np.where(indices < 0, indices + size, indices)
    if indices.size and (indices.min() < 0 or indices.max() >= size):
        raise IndexError("out of bounds")
    return indices


def _are_apart(parts: list[Any]) -> bool:
    """Whether slices or new axes stand between integers and arrays of an index."""
    places = [i for i, p in enumerate(parts) if p is not None and not isinstance(p, slice)]
    return places[-1] - places[0] >= len(places)
