"""The vjp of indexing: adding at an index, and gradients that are zero elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import is_half

__all__ = ["ARRAY", "Scatter", "add_into", "filled"]


class _ArrayMark:
    def __repr__(self) -> str:
        return "ARRAY"


ARRAY = _ArrayMark()
"""Marks the place of an array in an index whose arrays are passed separately."""


def filled(key: tuple[Any, ...], arrays: tuple[Any, ...]) -> Any:
    """Return the index: the key with the arrays in their places."""
    waiting = iter(arrays)
    return tuple(next(waiting) if part is ARRAY else part for part in key)


def add_into(
    xp: Any, target: Any, values: Any, arrays: tuple[Any, ...], key: tuple[Any, ...]
) -> None:
    """Add values to the elements at an index, in place."""
    index = filled(key, arrays)
    if _has_no_repeats(arrays):
        target[index] += values
    else:
        xp.add_at(target, index, values)


def _has_no_repeats(arrays: tuple[Any, ...]) -> bool:
    """Return whether an index consists of integers, slices and masks: no element is repeated."""
    return all(array.dtype == bool for array in arrays)


class Scatter:
    """A gradient that is zero except at an index, not yet stored as an array.

    The gradient of ``x[i]`` is as large as ``x``. When many elements are picked one by one, their
    gradients accumulate in one buffer, which only the sweep references.
    """

    __slots__ = ("_arrays", "_buffer", "_key", "_values", "_xp", "dtype", "shape")
    __array_ufunc__ = None

    def __init__(
        self,
        xp: Any,
        values: Any,
        arrays: tuple[Any, ...],
        key: tuple[Any, ...],
        shape: tuple[int, ...],
    ) -> None:
        self.shape = shape
        self.dtype = values.dtype
        self._xp = xp
        self._values = values
        self._arrays = arrays
        self._key = key
        self._buffer: Any = None

    def __add__(self, other: Any) -> Scatter:
        buffer = self._sum()
        if isinstance(other, Scatter):
            add_into(other._xp, buffer, other._values, other._arrays, other._key)
        else:
            buffer += other
        return self

    __radd__ = __add__

    def total(self) -> Any:
        """Return the gradient as an array."""
        buffer = self._sum()
        return self._xp.astype(buffer, self.dtype) if is_half(self.dtype) else buffer

    def _sum(self) -> Any:
        """Return the buffer, made on first use."""
        if self._buffer is None:
            # Many small parts would vanish in a sum of float16.
            dtype = np.float32 if is_half(self.dtype) else self.dtype
            self._buffer = self._xp.zeros(self.shape, dtype=dtype, device=self._values.device)
            if _has_no_repeats(self._arrays):
                self._buffer[filled(self._key, self._arrays)] = self._values
            else:
                add_into(self._xp, self._buffer, self._values, self._arrays, self._key)
        return self._buffer
