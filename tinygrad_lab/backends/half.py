"""Sums of float16: accumulated in float32 and rounded once, as PyTorch does.

In float16 itself, a sum overflows beyond 65,504, and a running sum of ones stops at 2,048. NumPy's
and CuPy's products of matrices accumulate in float32; their other reductions, in part or in whole,
do not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import is_half
from tinygrad_lab.backends.namespace import Array, Namespace

__all__ = ["HalfSums"]


class HalfSums(Namespace):
    """Reductions of a library, which for float16 accumulate in float32."""

    def sum(self, x: Array, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
        if is_half(x.dtype if dtype is None else dtype):
            wide = self.library.sum(x, axis=axis, dtype=np.float32, keepdims=keepdims)
            return wide.astype(np.float16)
        return self.library.sum(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def prod(self, x: Array, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
        if is_half(x.dtype if dtype is None else dtype):
            wide = self.library.prod(x, axis=axis, dtype=np.float32, keepdims=keepdims)
            return wide.astype(np.float16)
        return self.library.prod(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def cumulative_sum(self, x: Array, dtype: Any = None, **settings: Any) -> Array:
        if is_half(x.dtype if dtype is None else dtype):
            wide = self.library.cumulative_sum(x, dtype=np.float32, **settings)
            return wide.astype(np.float16)
        return self.library.cumulative_sum(x, dtype=dtype, **settings)

    def cumulative_prod(self, x: Array, dtype: Any = None, **settings: Any) -> Array:
        if is_half(x.dtype if dtype is None else dtype):
            wide = self.library.cumulative_prod(x, dtype=np.float32, **settings)
            return wide.astype(np.float16)
        return self.library.cumulative_prod(x, dtype=dtype, **settings)

    def vector_norm(self, x: Array, axis: Any = None, keepdims: bool = False) -> Array:
        norm = self.library.linalg.vector_norm
        if is_half(x.dtype):
            wide = norm(x.astype(np.float32), axis=axis, keepdims=keepdims)
            return wide.astype(np.float16)
        return norm(x, axis=axis, keepdims=keepdims)
