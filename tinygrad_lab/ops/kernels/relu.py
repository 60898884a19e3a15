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
    # Cast, then multiply in place: 34 µs on 47,500 floats against 39 of g * (out > 0). Starting
    # from the mask also hands g back in the memory order of out, which conv1d.backward wants.
    mask = xp.asarray(out > 0, dtype=out.dtype)
    mask *= g
    return mask
