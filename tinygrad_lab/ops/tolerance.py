"""Equality up to a tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.engine.explain import raw
from tinygrad_lab.ops.conversion import astype
from tinygrad_lab.ops.logic import equal, isfinite, isnan, less_equal, logical_and, logical_or
from tinygrad_lab.ops.piecewise import abs, where
from tinygrad_lab.ops.reduce import all


def isclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Tell for each element whether x and y are equal, or |x - y| <= atol + rtol |y|.

    So y is the reference: the roles of x and y differ. Infinities are close to themselves alone.

    Args:
        x: numbers.
        y: numbers, which broadcast against x.
        rtol: the tolerance relative to |y|.
        atol: the absolute tolerance, which decides where y is close to 0.
        equal_nan: whether NaN is close to NaN.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.isclose(tg.tensor([1.0, 2.0]), tg.tensor([1.000001, 2.1])).tolist()
        [True, False]
    """
    finite = logical_and(isfinite(x), isfinite(y))
    one, other = (where(finite, _subtractable(each), 0.0) for each in (x, y))
    near = less_equal(abs(one - other), atol + rtol * abs(other))
    close = logical_or(equal(x, y), logical_and(finite, near))
    return logical_or(close, logical_and(isnan(x), isnan(y))) if equal_nan else close


def _subtractable(x: Any) -> Any:
    """Return integers and booleans, whose differences may wrap around, as floats."""
    kind = np.dtype(getattr(raw(x), "dtype", type(raw(x)))).kind
    return astype(x, np.float64) if kind in "iub" else x


def allclose(
    x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Tell whether all elements of x and y are close, as a Python boolean; see ``isclose``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.allclose(tg.tensor([0.1]) + tg.tensor([0.2]), 0.3)
        True
    """
    return bool(all(isclose(x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)))
