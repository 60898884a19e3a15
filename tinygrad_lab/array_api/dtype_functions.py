"""The Array API's functions on dtypes: queries and conversion."""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api.casting import castable_dtype
from tinygrad_lab.backends.dtypes import known_dtype
from tinygrad_lab.engine.explain import raw
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, DTypeError, excerpt

__all__ = [
    "FloatInfo",
    "IntegerInfo",
    "astype",
    "can_cast",
    "finfo",
    "iinfo",
    "isdtype",
    "result_type",
]


@explaining
def astype(x: Any, dtype: Any, *, copy: bool = True, device: str | None = None) -> Tensor:
    """Cast x to another dtype. Gradients flow between floating dtypes.

    Args:
        x: a tensor, an array or a number.
        dtype: the type of the elements of the result.
        copy: whether to copy even if x already has this dtype.
        device: the device of the result; by default that of x.

    Raises:
        DTypeError: for a cast from complex to real: take the real or imaginary part instead.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.astype(tg.tensor([1.5, -1.5]), tg.int32)
        tensor([ 1, -1], dtype=int32)
    """
    wanted = castable_dtype(x, dtype)
    if isinstance(x, Tensor) and device is not None:
        x = x.to(device)
    if isinstance(x, Tensor) and wanted == x.dtype and not copy:
        return x
    return ops.astype(x, wanted)


@explaining
def can_cast(from_: Any, to: Any, /) -> builtins.bool:
    """Return whether every value of a dtype (or of a tensor's) exists in another dtype.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.can_cast(tg.int32, tg.int64), tg.can_cast(tg.tensor([0.5]), tg.int64)
        (True, False)
    """
    return np.can_cast(_given("can_cast", from_), _given("can_cast", to))


@explaining
def isdtype(dtype: Any, kind: Any) -> builtins.bool:
    """Return whether a dtype is of a kind: another dtype, the name of a kind, or a tuple of these.

    Kinds are ``"bool"``, ``"signed integer"``, ``"unsigned integer"``, ``"integral"``,
    ``"real floating"`` (float16 too), ``"complex floating"`` and ``"numeric"``.

    Raises:
        ArgumentError: for an unknown kind.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.isdtype(tg.float32, "real floating"), tg.isdtype(tg.int8, ("bool", tg.int64))
        (True, False)
    """
    known = _given("isdtype", dtype)
    kinds = kind if isinstance(kind, tuple) else (kind,)
    return any(_is_of_kind(known, one) for one in kinds)


_LETTERS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}
"""The kinds of dtypes in the Array API, with NumPy's letters for them."""


def _is_of_kind(dtype: Any, kind: Any) -> builtins.bool:
    if not isinstance(kind, str):
        return builtins.bool(dtype == _given("isdtype", kind))
    if kind not in _LETTERS:
        raise ArgumentError(
            f"isdtype: expected a dtype or one of {', '.join(map(repr, _LETTERS))}; got "
            f"{excerpt(kind)}."
        )
    return dtype.kind in _LETTERS[kind]


@explaining
def result_type(*arrays_and_dtypes: Any) -> Any:
    """Return the dtype of the result of an operation on tensors, arrays, numbers and dtypes.

    Python numbers (and ``tg.scalar``) adapt to any dtype of their kind and never widen it.

    Raises:
        ArgumentError: if all operands are Python numbers.
        DTypeError: for dtypes without a common dtype.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.result_type(tg.float32, tg.tensor([1, 2], dtype=tg.int8), 2.0)
        dtype('float32')
    """
    operands = [raw(x) for x in arrays_and_dtypes]
    if all(isinstance(x, int | float | complex) for x in arrays_and_dtypes):
        raise ArgumentError(
            "result_type: expected a tensor, an array or a dtype among the arguments, got "
            f"{excerpt(arrays_and_dtypes)}."
        )
    # A NumPy float64 is also a Python float, but has a dtype.
    types = [
        x if type(x) in (int, float, complex, builtins.bool) else _given("result_type", x)
        for x in operands
    ]
    try:
        return np.result_type(*types)
    except TypeError as error:
        raise DTypeError(f"result_type: {error}.") from None


@dataclass(frozen=True)
class FloatInfo:
    """The range and precision of a floating dtype."""

    bits: int
    eps: float
    """The distance from 1 to the next larger number."""
    max: float
    min: float
    smallest_normal: float
    """The smallest positive number of full precision."""
    dtype: Any


@dataclass(frozen=True)
class IntegerInfo:
    """The range of an integer dtype."""

    bits: int
    max: int
    min: int
    dtype: Any


@explaining
def finfo(type: Any, /) -> FloatInfo:
    """Return range and precision of a floating dtype (or a tensor's); for complex, of its parts.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.finfo(tg.float64).eps
        2.220446049250313e-16
    """
    dtype = _given("finfo", type)
    if dtype.kind not in "fc":
        raise DTypeError(f"finfo: expected a floating dtype, got {dtype}; see tg.iinfo.")
    info = np.finfo(dtype)
    eps, largest, smallest, normal = map(
        float, (info.eps, info.max, info.min, info.smallest_normal)
    )
    return FloatInfo(int(info.bits), eps, largest, smallest, normal, info.dtype)


@explaining
def iinfo(type: Any, /) -> IntegerInfo:
    """Return the range of an integer dtype (or a tensor's).

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.iinfo(tg.int8)
        IntegerInfo(bits=8, max=127, min=-128, dtype=dtype('int8'))
    """
    dtype = _given("iinfo", type)
    if dtype.kind not in "iu":
        raise DTypeError(f"iinfo: expected an integer dtype, got {dtype}; see tg.finfo.")
    info = np.iinfo(dtype)
    return IntegerInfo(int(info.bits), int(info.max), int(info.min), dtype)


def _given(asked_by: str, dtype: Any) -> Any:
    """Return a dtype, given itself or by a tensor or an array that has it."""
    if not isinstance(dtype, type | np.dtype):
        dtype = getattr(dtype, "dtype", dtype)
    return known_dtype(dtype, asked_by)
