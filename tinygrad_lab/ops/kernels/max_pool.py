"""The largest element of each window (PyTorch's ``max_pool1d``, ``max_pool2d``).

The k-th elements of all windows form one strided view of the array, a *tap*. So the maximum takes a
few elementwise calls per tap, on arrays of the size of the result, and nothing is gathered. The
result has the memory order of x.
"""

from typing import NamedTuple

from tinygrad_lab.backends.dtypes import is_half

from . import Array, Namespace
from .windows import Windows

__all__ = ["Residual", "backward", "forward"]


class Residual(NamedTuple):
    """What backward needs."""

    place: Array
    """The index of the largest tap, the first at ties or of several NaNs: (..., *count)."""
    windows: Windows


def forward(xp: Namespace, x: Array, windows: Windows) -> tuple[Array, Residual]:
    """Return the maxima (..., *count) of x (..., *size), and the residual.

    A NaN is larger than any number.
    """
    whole = _padded(xp, x, windows)
    first, *others = windows.taps
    out = whole[(..., *first)].copy(order="K")
    place = xp.zeros_like(out, dtype=xp.uint8 if windows.elements <= 256 else xp.int32)
    if windows.margins:
        # Where all elements are -inf, as the padding is, the gradient must not go to the padding.
        xp.maximum(place, xp.asarray(windows.first_inside), out=place)
    for number, tap in enumerate(others, start=1):
        candidate = whole[(..., *tap)]
        # Also true for the first NaN, which then stays. (The only NaN is unequal to itself.)
        larger = (candidate <= out) == (out != out)
        xp.maximum(out, candidate, out=out)
        # Tap numbers ascend, so maximum works. Writing through a mask takes ten times as long, and
        # a product of booleans, not of bytes, is converted first.
        numbered = larger.view(xp.uint8) * place.dtype.type(number)
        xp.maximum(place, numbered, out=place)
    return out, Residual(place, windows)


def backward(xp: Namespace, g: Array, residual: Residual) -> Array:
    """Return the gradient of x: each maximum passes its gradient to where it was found."""
    place, windows = residual
    if windows.overlap and is_half(g.dtype):  # gradients of float16 add up in float32
        return xp.astype(backward(xp, xp.astype(g, xp.float32), residual), g.dtype)
    lead = g.shape[: g.ndim - len(windows.count)]
    whole = xp.zeros_like(place, shape=(*lead, *windows.padded), dtype=g.dtype)
    for number, tap in enumerate(windows.taps):
        if windows.overlap:
            whole[(..., *tap)] += g * (place == number)
        else:
            xp.multiply(g, place == number, out=whole[(..., *tap)])
    return whole[(..., *windows.inside)]


def _padded(xp: Namespace, x: Array, windows: Windows) -> Array:
    """Return x padded with -inf, which is never larger than an element."""
    if not windows.margins:
        return x
    lead = x.shape[: x.ndim - len(windows.size)]
    whole = xp.full_like(x, -xp.inf, shape=(*lead, *windows.padded))
    whole[(..., *windows.inside)] = x
    return whole
