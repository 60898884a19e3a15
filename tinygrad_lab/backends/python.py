"""Plain Python numbers as arrays without axes.

They follow IEEE 754 like NumPy, where Python itself would raise or return a complex number: ``1 /
0`` is inf, ``(-1) ** 0.5`` is NaN, ``exp(1000)`` is inf. Python's own function is tried first; the
rare argument that it refuses goes to NumPy's.
"""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.backends.namespace import SCIPY, Array, Namespace, forwards, namespaces
from tinygrad_lab.errors import DTypeError, ShapeError

__all__ = ["PYTHON"]


def _ieee(function: Callable[..., Any], reference: Any) -> Callable[..., Any]:
    """Wrap ``function`` to return the result of NumPy's ``reference`` where Python raises."""
    without_raising = _by_numpy(reference)

    def ieee(*numbers: Any) -> Any:
        try:
            return function(*numbers)
        except (ArithmeticError, ValueError):
            return without_raising(*numbers)

    return ieee


def _by_numpy(function: Any) -> Callable[..., Any]:
    """Wrap a NumPy function for Python numbers."""

    def of_numbers(*numbers: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*numbers).item()

    return of_numbers


def _real_power(x: Any, y: Any) -> Any:
    power = x**y
    # A negative base with a non-integer exponent is complex in Python, but NaN in NumPy.
    return math.nan if isinstance(power, complex) else power


def _rounded(function: Callable[..., int]) -> Callable[..., Any]:
    """Wrap a rounding function to return floats like NumPy, and keep the sign."""
    return lambda x: math.copysign(function(x), x) if isinstance(x, float) else x


class _Python(Namespace):
    name = "python"
    default_device = "cpu"

    pi, inf, nan = math.pi, math.inf, math.nan

    add = staticmethod(operator.add)
    subtract = staticmethod(operator.sub)
    multiply = staticmethod(operator.mul)
    negative = staticmethod(operator.neg)
    positive = staticmethod(operator.pos)
    abs = staticmethod(operator.abs)
    divide = staticmethod(_ieee(operator.truediv, np.divide))
    floor_divide = staticmethod(_ieee(operator.floordiv, np.floor_divide))
    remainder = staticmethod(_ieee(operator.mod, np.remainder))
    pow = staticmethod(_ieee(_real_power, np.power))
    equal = staticmethod(operator.eq)
    not_equal = staticmethod(operator.ne)
    less = staticmethod(operator.lt)
    less_equal = staticmethod(operator.le)
    greater = staticmethod(operator.gt)
    greater_equal = staticmethod(operator.ge)
    floor = staticmethod(_ieee(_rounded(math.floor), np.floor))
    ceil = staticmethod(_ieee(_rounded(math.ceil), np.ceil))
    trunc = staticmethod(_ieee(_rounded(math.trunc), np.trunc))
    round = staticmethod(_ieee(_rounded(round), np.round))
    isnan = staticmethod(cmath.isnan)
    isinf = staticmethod(cmath.isinf)
    isfinite = staticmethod(cmath.isfinite)

    def _missing(self, name: str) -> Exception:
        if name in forwards:
            return ShapeError(
                f"a Python number has shape () and no axes; {name} takes arrays: tg.tensor([x]) "
                "makes one of shape (1,), and passes the gradient of x on."
            )
        return super()._missing(name)

    def logical_and(self, x: Any, y: Any) -> Any:
        return bool(x) and bool(y)

    def logical_or(self, x: Any, y: Any) -> Any:
        return bool(x) or bool(y)

    def logical_xor(self, x: Any, y: Any) -> Any:
        return bool(x) is not bool(y)

    def logical_not(self, x: Any) -> Any:
        return not x

    def square(self, x: Any) -> Any:
        return x * x

    def sign(self, x: Any) -> Any:
        return x if x != x else type(x)((x > 0) - (x < 0))

    def maximum(self, x: Any, y: Any) -> Any:
        return _chosen(x, y) if x >= y or x != x else _chosen(y, x)

    def minimum(self, x: Any, y: Any) -> Any:
        return _chosen(x, y) if x <= y or x != x else _chosen(y, x)

    def relu(self, x: Any) -> Any:
        return 0.0 if x <= 0.0 else x

    def where_positive(self, condition: Any, x: Any) -> Any:
        return x if condition > 0.0 else 0.0

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return _chosen(x, y) if condition else _chosen(y, x)

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Any:
        wanted = np.dtype(dtype)
        if wanted.kind == "c":
            raise DTypeError(f"a Python number is real: tg.tensor(number, dtype={str(wanted)!r}).")
        return wanted.type(x).item()

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
        """Return the number, which is its own sum and product; a boolean becomes 0 or 1."""
        x = +_without_axes(x, axis)
        return x if dtype is None else self.astype(x, dtype)

    prod = sum

    def max(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return _without_axes(x, axis)

    min = max

    def argmax(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        _without_axes(x, axis)
        return 0

    argmin = argmax

    def vector_norm(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return abs(_without_axes(x, axis))

    def any(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return bool(_without_axes(x, axis))

    all = any

    def reshape(self, x: Any, shape: tuple[int, ...], **_: Any) -> Any:
        if shape not in ((), []):
            raise ShapeError(
                f"a Python number has shape () and does not take shape {tuple(shape)}; "
                "tg.tensor([x]) makes an array of shape (1,), and passes the gradient of x on."
            )
        return x

    broadcast_to = reshape

    def zeros_like(self, x: Any) -> Any:
        return type(x)(0)

    def ones_like(self, x: Any) -> Any:
        return type(x)(1)

    def zeros(self, shape: Any, dtype: Any = None) -> Any:
        return self.reshape(0.0, shape)

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Array:
        return np.asarray(data).item()

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)


def _chosen(number: Any, other: Any) -> Any:
    """Return one of two numbers, as a float if either is one, like an array of both."""
    return float(number) if other.__class__ is float else number


def _without_axes(x: Any, axis: Any) -> Any:
    if axis is not None and not (isinstance(axis, tuple) and not axis):
        raise ShapeError(f"a Python number has no axis {axis}.")
    return x


# Functions that never raise in Python (tanh, atan2, hypot, erf, ...) are found in math itself.
for _name in (
    *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan", "asin", "acos"),
    *("sinh", "cosh", "acosh", "atanh"),
):
    setattr(_Python, _name, staticmethod(_ieee(getattr(math, _name), getattr(np, _name))))

for _name in (
    *("bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_invert"),
    *("bitwise_left_shift", "bitwise_right_shift", "logaddexp", "signbit"),
):
    setattr(_Python, _name, staticmethod(_by_numpy(getattr(np, _name))))


def _by_scipy(name: str) -> Callable[..., Any]:
    """Return a function of SciPy for Python numbers; it is imported when it is first called."""

    def of_numbers(*numbers: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*numbers).item()

    return of_numbers


for _name, _name_in_scipy in SCIPY.items():
    if _name not in ("erf", "erfc"):  # math has these
        setattr(_Python, _name, staticmethod(_by_scipy(_name_in_scipy)))

PYTHON = _Python(math)

for _number in (float, int, bool, complex):
    namespaces[_number] = PYTHON
