"""Plain Python numbers as arrays without axes.

They follow IEEE 754 as NumPy does, where Python itself would raise or turn complex: ``1 / 0`` is
inf, ``(-1) ** 0.5`` is NaN, ``exp(1000)`` is inf. Python's own function does the work as long as
it can; the rare argument that it refuses is handed to NumPy's.
"""

from __future__ import annotations

import cmath
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.backends.namespace import Array, Namespace, forwards, namespaces
from tinygrad_lab.errors import ShapeError

__all__ = ["PYTHON"]


def _ieee(function: Callable[..., Any], reference: Any) -> Callable[..., Any]:
    """``function``, with the result of NumPy's ``reference`` where Python raises."""

    def ieee(*numbers: Any) -> Any:
        try:
            return function(*numbers)
        except (ArithmeticError, ValueError):
            with np.errstate(all="ignore"):
                return reference(*map(np.float64, numbers)).item()

    return ieee


def _real_power(x: Any, y: Any) -> Any:
    power = x**y
    # A negative base with a broken exponent turns complex in Python; NumPy says NaN.
    return math.nan if isinstance(power, complex) else power


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
    exp = staticmethod(_ieee(math.exp, np.exp))
    expm1 = staticmethod(_ieee(math.expm1, np.expm1))
    log = staticmethod(_ieee(math.log, np.log))
    log1p = staticmethod(_ieee(math.log1p, np.log1p))
    sqrt = staticmethod(_ieee(math.sqrt, np.sqrt))
    sin = staticmethod(_ieee(math.sin, np.sin))
    cos = staticmethod(_ieee(math.cos, np.cos))
    tanh = staticmethod(math.tanh)
    erf = staticmethod(math.erf)
    floor = staticmethod(_ieee(lambda x: float(math.floor(x)), np.floor))
    ceil = staticmethod(_ieee(lambda x: float(math.ceil(x)), np.ceil))
    isnan = staticmethod(cmath.isnan)
    isfinite = staticmethod(cmath.isfinite)

    def _missing(self, name: str) -> Exception:
        if name in forwards:
            return ShapeError(
                f"a Python number has shape () and no axes, {name} takes arrays: tg.tensor(number) "
                "makes one."
            )
        return super()._missing(name)

    def logical_and(self, x: Any, y: Any) -> Any:
        return bool(x) and bool(y)

    def logical_or(self, x: Any, y: Any) -> Any:
        return bool(x) or bool(y)

    def logical_not(self, x: Any) -> Any:
        return not x

    def square(self, x: Any) -> Any:
        return x * x

    def sign(self, x: Any) -> Any:
        return x if x != x else float((x > 0) - (x < 0))

    def maximum(self, x: Any, y: Any) -> Any:
        return x if x >= y or x != x else y

    def minimum(self, x: Any, y: Any) -> Any:
        return x if x <= y or x != x else y

    def relu(self, x: Any) -> Any:
        return 0.0 if x <= 0.0 else x

    def where_positive(self, condition: Any, x: Any) -> Any:
        return x if condition > 0.0 else 0.0

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return x if condition else y

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Any:
        return np.dtype(dtype).type(x).item()

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
        """The sum, like every reduction of one number, is the number."""
        return _without_axes(x, axis)

    max = min = prod = sum

    def any(self, x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return bool(_without_axes(x, axis))

    all = any

    def reshape(self, x: Any, shape: tuple[int, ...], **_: Any) -> Any:
        if shape not in ((), []):
            raise ShapeError(
                f"a Python number has shape () and cannot be reshaped to {tuple(shape)}; "
                "tg.tensor(number) makes an array of it."
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


def _without_axes(x: Any, axis: Any) -> Any:
    if axis not in (None, ()):
        raise ShapeError(f"a Python number has no axis {axis}.")
    return x


PYTHON = _Python(math)

for _number in (float, int, bool, complex):
    namespaces[_number] = PYTHON
