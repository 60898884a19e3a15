"""Letting go of what a recording has seen.

A recording holds every array of a step. Once it is known what to do, only their shapes, dtypes and
memory orders matter: those of large arrays stay, on memory that is promised by the operating
system and never touched.
"""

from __future__ import annotations

import mmap
from collections.abc import Container
from typing import Any

import numpy as np

from tinygrad_lab.compile.trace import Event, Trace, Value, memory_owner

__all__ = ["forget_numbers", "slender"]

_LARGE = 4096
"""Bytes from which on an array is let go."""
_LARGE_CONSTANT = 1 << 18
"""Bytes from which on a constant is: what stays in the cache, NumPy goes through sooner whole."""
_LONG_ROW = 64


def forget_numbers(trace: Trace, kept: Container[Value]) -> None:
    """Put outlines in the places of the large arrays of a trace, but for constants and ``kept``."""
    for value in trace.values:
        if value.is_constant or value in kept:
            value.array = slender(value.array)
    precious = {value for event in trace.events if _wants_numbers(event) for value in event.inputs}
    large = [
        value
        for value in trace.values
        if isinstance(value.array, np.ndarray)
        and _holds_much(value.array)
        and not (value.is_constant or value in kept or value in precious)
    ]
    if not large:
        return
    extents = {value: _extent(value.array) for value in large}
    memory = mmap.mmap(-1, max(before + after for before, after in extents.values()))
    for value, (before, _) in extents.items():
        array = value.array
        value.array = np.ndarray(array.shape, array.dtype, memory, before, array.strides)


def _extent(array: Any) -> tuple[int, int]:
    """The bytes of an array before its first element, and from there on."""
    before, after = 0, array.itemsize
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            before -= (length - 1) * stride
        else:
            after += (length - 1) * stride
    return before, after


def _holds_much(array: Any) -> bool:
    """Whether much memory is there as long as an array, be it a small view, is."""
    owner = memory_owner(array)
    return owner.nbytes >= _LARGE and not isinstance(owner.base, mmap.mmap)


def _wants_numbers(event: Event) -> bool:
    """Whether an operation fails on zeros, should it be tried again to see what it gives."""
    return "linalg" in (getattr(event.call.function, "__module__", None) or "")


def slender(constant: Any) -> Any:
    """A constant as it is, or, if it is large and one number everywhere, as one row of it."""
    if (
        not isinstance(constant, np.ndarray)
        or constant.ndim < 2
        or constant.nbytes < _LARGE_CONSTANT
    ):
        return constant
    if 0 in constant.strides:
        return constant  # a row of it already
    outermost = max(range(constant.ndim), key=lambda axis: abs(constant.strides[axis]))
    row = constant[(slice(None),) * outermost + (slice(1),)]
    # NumPy goes through long rows as fast as through the whole.
    if row.size < _LONG_ROW or constant.dtype.kind not in "fiub":
        return constant
    bits = constant.view(f"u{constant.itemsize}")  # 0.0 == -0.0
    one_number = bool((bits == bits.flat[0]).all())
    return np.broadcast_to(row.copy(order="K"), constant.shape) if one_number else constant
