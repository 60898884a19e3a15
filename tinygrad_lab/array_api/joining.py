"""Tensors of (nested) lists with tensors that require a gradient, which flows back to each."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.backends import NUMBERS
from tinygrad_lab.backends.dtypes import get_default_complex_dtype, get_default_dtype
from tinygrad_lab.backends.no_numbers import check_numbers
from tinygrad_lab.context import current
from tinygrad_lab.engine.explain import raw
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.engine.user_code import is_library
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.ops.conversion import transfer

__all__ = [
    "dtype_of_lists",
    "has_gradients",
    "join",
    "warn_of_lost_gradient",
    "without_gradients",
]

PLAIN_NUMBERS = (bool, int, float, complex)


def warn_of_lost_gradient(asked_by: str, x: Tensor, instead: str = "") -> None:
    """Warn that no gradient flows from a copy to a tensor that requires one, and say what has it.

    Args:
        asked_by: the function that copies.
        x: the tensor.
        instead: what the gradient flows through.
    """
    if x._node is None or not current().grad_enabled:
        return
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and is_library[frame.f_code.co_filename]:
        level, frame = level + 1, frame.f_back
    if not instead and _is_array_tensor(x):
        instead = "use x itself, or tg.asarray(x, dtype=...), which pass it on"
    elif not instead:
        instead = "use x itself, or an array that passes it on: tg.tensor([x]) or tg.stack([x])"
    warnings.warn(
        f"{asked_by} copies {x._label()} without its gradient: none will flow back to it. If that "
        f"is meant, say x.detach(); if not, {instead}.",
        stacklevel=level,
    )


def join(asked_by: str, data: Any, dtype: np.dtype[Any]) -> Tensor:
    """Join (nested) lists with tensors that require a gradient, which flows back to each.

    Args:
        asked_by: the function, for error messages.
        data: the lists.
        dtype: the type of the elements: floating or complex.
    """
    devices = [str(x.device) for x in _parts(data) if _is_array_tensor(x)]
    device = devices[0] if devices else "cpu"

    def joined(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return ops.stack([joined(one) for one in part])
        if part.__class__ in PLAIN_NUMBERS:
            try:
                part = np.asarray(part, dtype=dtype)
            except OverflowError as error:
                raise ArgumentError(f"{asked_by}: {error}.") from None
        if not _is_array_tensor(part):
            part = transfer(part, device=device)
        return part if part.dtype == dtype else ops.astype(part, dtype=dtype)

    result: Tensor = joined(data)
    return result


def dtype_of_lists(asked_by: str, data: Any) -> np.dtype[Any]:
    """Return the dtype of (nested) lists of tensors and numbers: that of the floating tensors.

    Numbers, such as those of ``tg.scalar``, take part with the default dtype if there are none.

    Raises:
        ShapeError: for ragged lists.
        DTypeError: for what is no number.
        ArgumentError: for lists that contain themselves.
    """
    _shape_of(asked_by, data)
    dtypes = [np.dtype(x.dtype) for x in _parts(data) if _is_array_tensor(x)]
    floating = [dtype for dtype in dtypes if dtype.kind in "fc"]
    wanted = np.result_type(*floating) if floating else np.dtype(get_default_dtype())
    if wanted.kind == "f" and any(_is_complex(x) for x in _parts(data)):
        return np.result_type(wanted, get_default_complex_dtype())
    return wanted


def without_gradients(asked_by: str, data: Any, dtype: np.dtype[Any]) -> Any:
    """Return (nested) lists with constants for tensors, with a warning: the dtype has no gradients.

    The warning is about the first tensor that requires one.
    """
    instead = f"leave dtype={str(dtype)!r} out: integers and booleans have no gradients"
    warn_of_lost_gradient(asked_by, next(x for x in _parts(data) if _wants(x)), instead)

    def constant(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return [constant(one) for one in part]
        return detached(part._data) if _wants(part) else part

    return constant(data)


def _parts(data: Any) -> Iterator[Any]:
    """Yield what (nested) lists hold."""
    if not isinstance(data, list | tuple):
        yield data
        return
    for part in data:
        yield from _parts(part)


def has_gradients(data: Any) -> bool:
    """Return whether (nested) lists hold tensors that require a gradient."""
    return any(map(_wants, _parts(data)))


def _wants(x: Any) -> bool:
    return getattr(x, "_node", None) is not None


def _is_array_tensor(x: Any) -> bool:
    """Return whether x is a Tensor that holds an array rather than a Python number."""
    return isinstance(x, Tensor) and raw(x).__class__ not in NUMBERS


def _is_complex(x: Any) -> bool:
    return bool(np.dtype(getattr(x, "dtype", type(x))).kind == "c")


_MOST_AXES = 64
"""As many as NumPy's arrays can have."""


def _shape_of(asked_by: str, part: Any, levels: int = _MOST_AXES) -> tuple[int, ...]:
    """Return the shape of (nested) lists, after checking that they are numbers in a rectangle."""
    if not isinstance(part, list | tuple):
        if not isinstance(part, Tensor) and part.__class__ not in NUMBERS:
            given, part = part, np.asarray(part)
            check_numbers(part, asked_by, given)
        return tuple(getattr(part, "shape", ()))
    if not levels:
        raise ArgumentError(
            f"{asked_by}: a list contains itself, or has more than {_MOST_AXES} levels."
        )
    shapes = [_shape_of(asked_by, one, levels - 1) for one in part]
    if len(set(shapes)) > 1:
        raise ShapeError(
            f"{asked_by}: the lists are ragged: all rows must have the same length, got rows of "
            f"shapes {' and '.join(map(str, dict.fromkeys(shapes)))}."
        )
    return (len(shapes), *(shapes[0] if shapes else ()))
