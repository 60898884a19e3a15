"""float16 as users give it: where numbers are summed, in float32, and rounded once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import is_half
from tinygrad_lab.ops.conversion import astype

__all__ = ["rounded_once", "widened"]

_Function = Callable[..., Any]


def widened(xp: Any, x: Any) -> Any:
    """Return float16 as float32, in which sums and products do not overflow; others as they are."""
    return xp.astype(x, np.float32) if is_half(getattr(x, "dtype", None)) else x


def rounded_once(function: _Function) -> _Function:
    """Make a function composed of several ops compute in float32 if x is float16.

    Its result is rounded to float16 in the end. Otherwise each op would round, and overflow.
    """

    @functools.wraps(function)
    def rounding(x: Any, *others: Any, **settings: Any) -> Any:
        if not is_half(getattr(x, "dtype", None)):
            return function(x, *others, **settings)
        return astype(function(astype(x, np.float32), *others, **settings), np.float16)

    return rounding
