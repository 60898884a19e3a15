"""The largest element of each window (PyTorch's ``max_pool1d``, ``max_pool2d``).

All windows have their k-th element on one strided view of the array, a *tap*. So the maximum is a
few elementwise calls a tap, over arrays as large as the result, and nothing is gathered. The
result lies in the memory order of x.
"""

from typing import NamedTuple

from . import Array, Namespace
from .windows import Windows

__all__ = ["Residual", "backward", "forward"]


class Residual(NamedTuple):
    """What backward needs."""

    place: Array
    """The number of the tap that was the largest, the first of several: (..., *count)."""
    windows: Windows


def forward(xp: Namespace, x: Array, windows: Windows) -> tuple[Array, Residual]:
    """Return the maxima (..., *count) of x (..., *size), and the residual.

    A NaN is larger than any number.
    """
    whole = _padded(xp, x, windows)
    first, *others = windows.taps
    out = whole[(..., *first)].copy(order="K")
    place = xp.zeros_like(out, dtype=xp.uint8 if windows.elements <= 256 else xp.int32)
    for number, tap in enumerate(others, start=1):
        candidate = whole[(..., *tap)]
        # Also true of a NaN, which then stays.
        larger = ~(candidate <= out)
        xp.maximum(out, candidate, out=out)
        # Numbers ascend. Writing them through a mask takes ten times as long.
        xp.maximum(place, larger * place.dtype.type(number), out=place)
    return out, Residual(place, windows)


def backward(xp: Namespace, g: Array, residual: Residual) -> Array:
    """Return the gradient of x: that of each maximum goes to where it was found."""
    place, windows = residual
    lead = g.shape[: g.ndim - len(windows.count)]
    whole = xp.zeros_like(place, shape=(*lead, *windows.padded), dtype=g.dtype)
    for number, tap in enumerate(windows.taps):
        if windows.overlap:
            whole[(..., *tap)] += g * (place == number)
        else:
            xp.multiply(g, place == number, out=whole[(..., *tap)])
    return whole[(..., *windows.inside)]


def _padded(xp: Namespace, x: Array, windows: Windows) -> Array:
    """Return x with -inf, which no number is below, where its padding is."""
    if not windows.margins:
        return x
    lead = x.shape[: x.ndim - len(windows.size)]
    whole = xp.full_like(x, -xp.inf, shape=(*lead, *windows.padded))
    whole[(..., *windows.inside)] = x
    return whole
