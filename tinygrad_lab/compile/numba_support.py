"""What the loops of the numba target call; they are compiled together with them.

numba leaves ``exp`` and ``tanh`` of float32 to the C library, one number at a time. These are
formulas without branches, so that loops over them are vectorised: the reductions and polynomials
of Moshier's Cephes library (``expf.c``, ``tanhf.c``), within 3 ulp.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import carray, njit, types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = ["MEMORIES", "PRODUCTS", "exp_float32", "tanh_float32"]

_f4 = np.float32


@intrinsic
def _address(typing: Any, number: Any) -> Any:
    """An address as a pointer."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], cgutils.voidptr_t)

    return types.voidptr(types.uintp), generate


def _memory_of(dtype: Any) -> Any:
    """A function that gives the memory at an address, as numbers of a dtype."""

    @njit
    def memory(number: Any) -> Any:
        # How much there is of it is known where its elements are counted.
        return carray(_address(number), 1 << 40, dtype)

    return memory


MEMORIES = {
    f"memory_of_{name}": _memory_of(np.dtype(name).type)
    for name in (
        *("bool", "float32", "float64", "int8", "int16", "int32", "int64"),
        *("uint8", "uint16", "uint32", "uint64"),
    )
}
"""By name, the functions that loops get at their memory with."""


@njit(error_model="numpy", cache=True)
def _power_of_two(n: Any) -> Any:
    """2 to an integer from -126 to 127, by writing its exponent."""
    return np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)


@njit(error_model="numpy", cache=True)
def exp_float32(x: Any) -> Any:
    """The exponential."""
    # Beyond these the result is 0 or inf; a NaN passes.
    y = _f4(89.0) if x > _f4(89.0) else x
    y = _f4(-104.0) if y < _f4(-104.0) else y
    n = np.floor(y * _f4(1.44269504088896341) + _f4(0.5))
    r = y - n * _f4(0.693359375)
    r = r + n * _f4(2.12194440e-4)
    p = _f4(1.9875691500e-4)
    p = p * r + _f4(1.3981999507e-3)
    p = p * r + _f4(8.3334519073e-3)
    p = p * r + _f4(4.1665795894e-2)
    p = p * r + _f4(1.6666665459e-1)
    p = p * r + _f4(5.0000001201e-1)
    p = p * (r * r) + r + _f4(1.0)
    # In two factors: each has an exponent that a float32 has room for.
    half = np.floor(n * _f4(0.5))
    e = p * _power_of_two(half) * _power_of_two(n - half)
    return x if x != x else e


@njit(error_model="numpy", cache=True)
def tanh_float32(x: Any) -> Any:
    """The hyperbolic tangent."""
    size = abs(x)
    size = _f4(9.1) if size > _f4(9.1) else size
    far = _f4(1.0) - _f4(2.0) / (exp_float32(size + size) + _f4(1.0))
    z = x * x
    p = _f4(-5.70498872745e-3)
    p = p * z + _f4(2.06390887954e-2)
    p = p * z + _f4(-5.37397155531e-2)
    p = p * z + _f4(1.33314422036e-1)
    p = p * z + _f4(-3.33332819422e-1)
    near = p * z * x + x
    return near if size < _f4(0.625) else _f4(math.copysign(far, x))


def _product_of(left_is_transposed: bool, right_is_transposed: bool) -> Any:
    """A function that multiplies two dense matrices, each by its first element in a memory."""

    @njit(cache=True)
    def product(
        left: Any, i: Any, right: Any, j: Any, out: Any, k: Any, rows: Any, inner: Any, columns: Any
    ) -> Any:
        a, b = left[i : i + rows * inner], right[j : j + inner * columns]
        c = out[k : k + rows * columns].reshape((rows, columns))
        if left_is_transposed:
            if right_is_transposed:
                np.dot(a.reshape((inner, rows)).T, b.reshape((columns, inner)).T, c)
            else:
                np.dot(a.reshape((inner, rows)).T, b.reshape((inner, columns)), c)
        elif right_is_transposed:
            np.dot(a.reshape((rows, inner)), b.reshape((columns, inner)).T, c)
        else:
            np.dot(a.reshape((rows, inner)), b.reshape((inner, columns)), c)

    return product


PRODUCTS = {
    "product": _product_of(False, False),
    "product_left_T": _product_of(True, False),
    "product_right_T": _product_of(False, True),
    "product_both_T": _product_of(True, True),
}
"""By name, the functions that loops leave large products of matrices to."""
