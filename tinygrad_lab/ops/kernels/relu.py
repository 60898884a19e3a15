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
    """Return the gradient of ``x``: ``g`` where ``out > 0``, else 0, also where ``g`` is NaN.

    ``g`` and ``out`` have one shape and one dtype, of 2, 4 or 8 bytes; the result has the memory
    order of ``out``.
    """
    if g.strides != out.strides:
        # Elementwise over two memory orders is slow (a channels-last out with a channels-first g
        # of 12,500: 114 µs); one copy into the order of out first makes it 31. The result is in
        # that order then, which is also what conv1d.backward wants.
        ordered = xp.empty_like(out)
        ordered[...] = g
        g = ordered
    # Minus the truth value is a mask of all bits or none: 45 µs on 47,500 floats, against 70 of
    # g * (out > 0), which casts on the way, and 350 of where(), whose branches are random here.
    integer = f"i{out.dtype.itemsize}"
    bits = xp.asarray(out > 0).astype(integer)
    xp.negative(bits, out=bits)
    bits &= g.view(integer)
    return bits.view(out.dtype)
