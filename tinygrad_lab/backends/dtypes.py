"""Dtypes, and the conversion of Python numbers and lists to arrays."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

# `tg.float32` is NumPy's: the dtypes of arrays of all backends compare equal to it.
from numpy import (
    bool,
    complex64,
    complex128,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint16,
    uint32,
    uint64,
)

from tinygrad_lab.backends.no_numbers import is_masked, masked_array
from tinygrad_lab.errors import ArgumentError, DTypeError, excerpt

__all__ = [
    "array_of",
    "bool",
    "complex64",
    "complex128",
    "dtype_of_number",
    "float16",
    "float32",
    "float64",
    "get_default_complex_dtype",
    "get_default_dtype",
    "int8",
    "int16",
    "int32",
    "int64",
    "is_half",
    "known_dtype",
    "optional_dtype",
    "set_default_dtype",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
]

_default_dtype = np.dtype(np.float32)


def get_default_dtype() -> Any:
    """Return the dtype that creation functions such as ``tg.tensor`` use for Python floats."""
    return _default_dtype


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype that ``tg.tensor`` uses for Python floats, initially ``tg.float32``.

    The setting applies to the whole process. Python complex numbers become complex64 while it is
    ``float32`` (or ``float16``), complex128 while it is ``float64``.

    Raises:
        DTypeError: for anything but a floating dtype.
    """
    global _default_dtype
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"the default dtype must be a floating one, got {dtype!r}.") from None
    if wanted.kind != "f":
        raise DTypeError(f"the default dtype must be a floating one, got {wanted}.")
    _default_dtype = wanted


def get_default_complex_dtype() -> Any:
    """Return the dtype for Python complex numbers, of the same precision as for floats."""
    return np.dtype(complex128 if _default_dtype == float64 else complex64)


def dtype_of_number(number: Any) -> Any:
    """Return the default dtype for a Python number."""
    if isinstance(number, builtins.bool):
        return np.dtype(bool)
    if isinstance(number, int):
        return np.dtype(int64)
    return get_default_complex_dtype() if isinstance(number, complex) else _default_dtype


def known_dtype(dtype: Any, asked_by: str) -> Any:
    """Convert a dtype or its name to NumPy's dtype.

    Raises:
        DTypeError: for an invalid dtype.
    """
    try:
        if dtype is not None:  # NumPy would read None as float64
            return np.dtype(dtype)
    except (TypeError, ValueError, RecursionError):  # as NumPy finds a dict or a nested list
        pass
    raise DTypeError(
        f"{asked_by}: expected a dtype such as tg.float32 or 'int64', got {excerpt(dtype)}."
    ) from None


def optional_dtype(dtype: Any, asked_by: str) -> Any:
    """Convert a dtype or its name to NumPy's dtype; None stays None."""
    return None if dtype is None else known_dtype(dtype, asked_by)


def is_half(dtype: Any) -> builtins.bool:
    """Return whether a dtype is float16, in any byte order."""
    # By its letter: comparing a class, such as the dtype of Python floats, would be slow.
    return getattr(dtype, "char", "") == "e" or dtype is float16


def array_of(data: Any) -> tuple[Any, Any]:
    """Convert numbers or (nested) lists to a NumPy array, and return it with its target dtype.

    Lists may hold tensors and arrays. Objects that expose their memory (``memoryview``,
    ``array.array``) are not copied and keep their dtype.

    Raises:
        ArgumentError: for lists that are ragged, contain themselves, or have too many levels.
    """
    return _array_of(data, _MOST_AXES)


_MOST_AXES = 64
"""As many as NumPy's arrays can have."""


def _array_of(data: Any, levels: int) -> tuple[Any, Any]:
    if isinstance(data, list | tuple):
        if not levels:
            raise ArgumentError(
                f"a list contains itself, or has more than {_MOST_AXES} levels, the most axes of "
                "an array."
            )
        data = [
            _array_of(item, levels - 1)[0] if hasattr(item, "__len__") else item for item in data
        ]
    elif is_masked(data):
        raise masked_array()
    elif not isinstance(data, str | bytes):
        try:
            return np.asarray(memoryview(data)), None
        except TypeError:
            pass  # It exposes no memory: a number, or an object with one of NumPy's protocols.
    try:
        array = np.asarray(data)
    except ValueError:
        raise ArgumentError("the lists are ragged: all rows must have the same length.") from None
    return array, dtype_of_list(array.dtype)


def dtype_of_list(dtype: Any) -> Any:
    """Return the target dtype of (nested) lists, from that of the array NumPy makes of them."""
    if dtype == np.float64:
        return _default_dtype
    return get_default_complex_dtype() if dtype == np.complex128 else dtype
