"""Functions that the loops of the numba target call, in the subset of Python they are written in.

The C library would compute ``exp`` and ``tanh`` of float32 one number at a time. These are
formulas without branches, so that loops over them are vectorised: the reductions and polynomials of
Moshier's Cephes library (``expf.c``, ``tanhf.c``), within 3 ulp.
"""

from __future__ import annotations

from numpy import copysign, float32, floor, int32

__all__ = ["exp_float32", "tanh_float32"]


def power_of_two_float32(n: float32) -> float32:
    """Return 2**n, for an integer from -126 to 127, by writing its exponent."""
    return ((int32(n) + int32(127)) << int32(23)).view(float32)


def exp_float32(x: float32) -> float32:
    """Return the exponential."""
    # Beyond these limits the result is 0 or inf; a NaN passes.
    y = float32(89.0) if x > float32(89.0) else x
    y = float32(-104.0) if y < float32(-104.0) else y
    n = floor(y * float32(1.44269504088896341) + float32(0.5))
    r = y - n * float32(0.693359375)
    r = r + n * float32(2.12194440e-4)
    p = float32(1.9875691500e-4)
    p = p * r + float32(1.3981999507e-3)
    p = p * r + float32(8.3334519073e-3)
    p = p * r + float32(4.1665795894e-2)
    p = p * r + float32(1.6666665459e-1)
    p = p * r + float32(5.0000001201e-1)
    p = p * (r * r) + r + float32(1.0)
    # In two factors, so that the exponent of each fits into a float32.
    half = floor(n * float32(0.5))
    e = p * power_of_two_float32(half) * power_of_two_float32(n - half)
    return x if x != x else e


def tanh_float32(x: float32) -> float32:
    """Return the hyperbolic tangent."""
    size = abs(x)
    size = float32(9.1) if size > float32(9.1) else size
    far = float32(1.0) - float32(2.0) / (exp_float32(size + size) + float32(1.0))
    z = x * x
    p = float32(-5.70498872745e-3)
    p = p * z + float32(2.06390887954e-2)
    p = p * z - float32(5.37397155531e-2)
    p = p * z + float32(1.33314422036e-1)
    p = p * z - float32(3.33332819422e-1)
    near = p * z * x + x
    return near if size < float32(0.625) else copysign(far, x)
