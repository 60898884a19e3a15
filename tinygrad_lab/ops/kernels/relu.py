"""Rectified linear unit: ``max(x, 0)``."""

from . import Array, Namespace

__all__ = ["backward", "forward"]


def forward(xp: Namespace, x: Array) -> Array:
    """Return ``max(x, 0)`` in the shape, dtype and memory order of ``x``; NaN stays NaN."""
    # NumPy's maximum is vectorised for arrays only, not against a scalar: on 47,500 floats 20 µs
    # with the zeros made first, against 46; x * (x > 0) takes 40, and makes NaN of -inf.
    zeros = xp.zeros_like(x)
    return xp.maximum(x, zeros, out=zeros)


def backward(xp: Namespace, g: Array, out: Array) -> Array:
    """Return the gradient of ``x``: ``g`` where ``out > 0``, else 0. Shapes as ``out``."""
    if g.strides != out.strides:
        # Elementwise over two memory orders is slow (a channels-last out with a channels-first g
        # of 12,500: 114 µs); one copy into the order of out first makes it 31. The result is in
        # that order then, which is also what conv1d.backward wants.
        ordered = xp.empty_like(out)
        ordered[...] = g
        g = ordered
    # Cast, then multiply in place: 35 µs on 47,500 floats against 39 of g * (out > 0); where()
    # takes 350, its branches being at random.
    gradient = (out > 0).astype(out.dtype)
    gradient *= g
    return gradient
