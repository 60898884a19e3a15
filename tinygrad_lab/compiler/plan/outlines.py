"""Freeing the arrays of a recording.

A recording holds every array of a step. Once the step is known, only shapes, dtypes and memory
orders matter: those of large arrays are kept, on memory that the operating system has reserved and
that is never touched.
"""

from __future__ import annotations

import mmap
from collections.abc import Container, Iterable
from typing import Any

import numpy as np

from tinygrad_lab.compiler.plan.memory import is_dense
from tinygrad_lab.compiler.record.trace import Event, Trace, Value, memory_owner

__all__ = ["compacted", "forget_numbers"]

_LARGE = 4096
"""Bytes from which an array is freed."""
_LARGE_CONSTANT = 1 << 18
"""Bytes from which a constant is: NumPy reads what fits into the cache faster as a whole."""
_LONG_ROW = 64


def forget_numbers(trace: Trace, kept: Container[Value]) -> None:
    """Replace the large arrays of a trace by outlines, except constants and ``kept``."""
    constants = [value for value in trace.values if value.is_constant or value in kept]
    for value in constants:
        value.array = compacted(value.array)
    _share(constants)
    needed = {value for event in trace.events if _needs_numbers(event) for value in event.inputs}
    large = [
        value
        for value in trace.values
        if isinstance(value.array, np.ndarray)
        and _keeps_much_memory(value.array)
        and not (value.is_constant or value in kept or value in needed)
    ]
    if not large:
        return
    extents = {value: _extent(value.array) for value in large}
    memory = mmap.mmap(-1, max(before + after for before, after in extents.values()))
    for value, (before, _) in extents.items():
        array = value.array
        value.array = np.ndarray(array.shape, array.dtype, memory, before, array.strides)


def _share(constants: Iterable[Value]) -> None:
    """Make large constants of a single number, such as zeros, parts of one array."""
    by_number: dict[tuple[Any, int], list[Value]] = {}
    for value in constants:
        array = value.array
        if isinstance(array, np.ndarray) and array.nbytes >= _LARGE and _is_one_number(array):
            by_number.setdefault((array.dtype, _bits(array).flat[0]), []).append(value)
    for values in by_number.values():
        longest = max((value.array for value in values), key=np.size)
        if len(values) == 1 and longest.flags.owndata:
            continue
        numbers = np.full(longest.size, longest.flat[0], longest.dtype)
        numbers.flags.writeable = False
        for value in values:
            array = value.array
            value.array = np.ndarray(array.shape, array.dtype, numbers, 0, array.strides)


def _extent(array: Any) -> tuple[int, int]:
    """Return the bytes of an array before its first element, and from there on."""
    before, after = 0, array.itemsize
    for length, stride in zip(array.shape, array.strides, strict=True):
        if stride < 0:
            before -= (length - 1) * stride
        else:
            after += (length - 1) * stride
    return before, after


def _keeps_much_memory(array: Any) -> bool:
    """Return whether an array, even a small view, keeps much memory alive."""
    owner = memory_owner(array)
    return owner.nbytes >= _LARGE and not isinstance(owner.base, mmap.mmap)


def _needs_numbers(event: Event) -> bool:
    """Return whether an operation fails on zeros when it is run again to see its result."""
    return "linalg" in (getattr(event.call.function, "__module__", None) or "")


def compacted(constant: Any) -> Any:
    """Return a constant; if it is large and one number everywhere, as one row of it."""
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
    # NumPy reads long rows as fast as the whole.
    if row.size < _LONG_ROW:
        return constant
    uniform = _is_one_number(constant)
    return np.broadcast_to(row.copy(order="K"), constant.shape) if uniform else constant


def _is_one_number(array: Any) -> bool:
    """Return whether an array of numbers without gaps is one number everywhere."""
    if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8 or not is_dense(array):
        return False
    bits = _bits(array)
    return bool((bits == bits.flat[0]).all())


def _bits(array: Any) -> Any:
    """View numbers as unsigned integers of the same size: 0.0 == -0.0, and NaN is not NaN."""
    return array.view(f"u{array.itemsize}")
