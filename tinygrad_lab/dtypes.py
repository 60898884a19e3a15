"""What Python's numbers and lists become as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.errors import ArgumentError, DTypeError

__all__ = ["array_of", "get_default_dtype", "set_default_dtype"]

_default_dtype = np.dtype(np.float32)


def get_default_dtype() -> Any:
    """The dtype that Python floats become in ``tg.tensor``."""
    return _default_dtype


def set_default_dtype(dtype: Any) -> None:
    """Set the dtype that Python floats become in ``tg.tensor``: ``tg.float32`` at the start.

    Raises:
        DTypeError: for what is no floating dtype.
    """
    global _default_dtype
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        raise DTypeError(f"the default dtype must be a floating one, got {dtype!r}.") from None
    if wanted.kind != "f":
        raise DTypeError(f"the default dtype must be a floating one, got {wanted}.")
    _default_dtype = wanted


def array_of(data: Any) -> tuple[Any, Any]:
    """Numbers or (nested) lists as a NumPy array, and the dtype that it shall have.

    Lists may hold tensors and arrays.

    Raises:
        ArgumentError: for ragged lists.
    """
    if isinstance(data, list | tuple):
        data = [array_of(item)[0] if hasattr(item, "__len__") else item for item in data]
    try:
        array = np.asarray(data)
    except ValueError:
        raise ArgumentError("the lists are ragged: all rows must have the same length.") from None
    return array, _default_dtype if array.dtype == np.float64 else array.dtype
