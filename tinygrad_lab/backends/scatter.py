"""Gradients of indexing: zero everywhere but at an index."""

from __future__ import annotations

from typing import Any

__all__ = ["ARRAY", "Scatter", "filled"]


class _ArrayMark:
    def __repr__(self) -> str:
        return "ARRAY"


ARRAY = _ArrayMark()
"""Marks the place of an array in an index whose arrays are given apart from it."""


def filled(key: tuple[Any, ...], arrays: tuple[Any, ...]) -> Any:
    """The index: the key with the arrays in their places."""
    waiting = iter(arrays)
    return tuple(next(waiting) if part is ARRAY else part for part in key)


class Scatter:
    """A gradient that is zero everywhere but at an index, before it is written out.

    The gradient of ``x[i]`` is as large as ``x``. When many elements are picked one by one,
    their gradients are added up in one buffer, which belongs to the sweep and nobody else.
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

    def _add_to(self, buffer: Any) -> None:
        index = filled(self._key, self._arrays)
        if self._arrays:
            self._xp.add_at(buffer, index, self._values)
        else:
            # Integers and slices take no element twice.
            buffer[index] += self._values

    def __add__(self, other: Any) -> Scatter:
        buffer = self.total()
        if isinstance(other, Scatter):
            other._add_to(buffer)
        else:
            buffer += other
        return self

    __radd__ = __add__

    def total(self) -> Any:
        """The gradient as an array."""
        if self._buffer is None:
            self._buffer = self._xp.zeros(self.shape, dtype=self.dtype, device=self._values.device)
            self._add_to(self._buffer)
        return self._buffer
