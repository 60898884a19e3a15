"""Functions in pieces, with kinks and jumps; each says what counts as its derivative there.

The steps (sign, floor, ceil, round, trunc) are flat wherever they have a derivative: no gradient
flows through them.
"""

from __future__ import annotations

from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.declare import op

# --- steps -----------------------------------------------------------------------------------

sign = op(
    "sign",
    forward=lambda xp, x: xp.sign(x),
    elementwise=True,
    doc="-1, 0 or 1; x / |x| for complex numbers. A step function: no gradient flows.",
)
floor = op(
    "floor",
    "⌊⌋",
    forward=lambda xp, x: xp.floor(x),
    elementwise=True,
    doc="Rounded down. A step function: no gradient flows.",
)
ceil = op(
    "ceil",
    "⌈⌉",
    forward=lambda xp, x: xp.ceil(x),
    elementwise=True,
    doc="Rounded up. A step function: no gradient flows.",
)
round = op(
    "round",
    forward=lambda xp, x: xp.round(x),
    elementwise=True,
    doc="The nearest integer, the even one of two. A step function: no gradient flows.",
)
trunc = op(
    "trunc",
    forward=lambda xp, x: xp.trunc(x),
    elementwise=True,
    doc="Rounded towards 0. A step function: no gradient flows.",
)

# --- kinks and jumps -------------------------------------------------------------------------

abs = op(
    "abs",
    "|x|",
    forward=lambda xp, x: xp.abs(x),
    vjp={"x": lambda xp, g, x: g * xp.sign(x)},
    latex="|{x}|",
    elementwise=True,
    doc="The absolute value. Its derivative at 0 counts as 0.",
)


def _turned_where_signs_differ(xp: Any, g: Any, x: Any, out: Any) -> Any:
    # The sign of a Python number is one: an array of it would widen a float32 gradient.
    return g * xp.sign(out) * namespaces[x.__class__].sign(x)


copysign = op(
    "copysign",
    forward=lambda xp, x, y: xp.copysign(x, y),
    vjp={"x": _turned_where_signs_differ, "y": lambda xp, g: xp.zeros_like(g)},
    latex=r"\mathrm{{copysign}}({x}, {y})",
    elementwise=True,
    doc="""|x| with the sign of y, which a zero and a NaN have, too.

    The derivative by x at 0 counts as 0. The one by y, whose sign is a step function, is 0.
    """,
)

nextafter = op(
    "nextafter",
    forward=lambda xp, x, y: xp.nextafter(x, y),
    vjp={"x": lambda xp, g: g, "y": lambda xp, g: xp.zeros_like(g)},
    latex=r"\mathrm{{nextafter}}({x}, {y})",
    elementwise=True,
    doc="""The next number after x that the dtype has, towards y.

    That is x but for the last digit, so the derivative by x is 1, and the one by y is 0.
    """,
)


def _larger_share(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """What goes to x of the gradient of max(x, y): all, nothing, or half at a tie."""
    return xp.where(x > y, g, xp.where(x == y, 0.5 * g, xp.zeros_like(g)))


maximum = op(
    "maximum",
    "max",
    forward=lambda xp, x, y: xp.maximum(x, y),
    vjp={
        "x": _larger_share,
        "y": lambda xp, g, x, y: _larger_share(xp, g, y, x),
    },
    latex=r"\max({x}, {y})",
    elementwise=True,
    doc="The larger of x and y, NaN if one is. At a tie each gets half of the gradient.",
)

minimum = op(
    "minimum",
    "min",
    forward=lambda xp, x, y: xp.minimum(x, y),
    vjp={
        "x": lambda xp, g, x, y: _larger_share(xp, g, y, x),
        "y": _larger_share,
    },
    latex=r"\min({x}, {y})",
    elementwise=True,
    doc="The smaller of x and y, NaN if one is. At a tie each gets half of the gradient.",
)


def _clip(xp: Any, x: Any, min: Any = None, max: Any = None) -> Any:
    if hasattr(x, "dtype"):
        return xp.clip(x, min, max)
    # Of a Python number beside arrays, NumPy's clip would make an array of float64.
    x = x if min is None else xp.maximum(x, min)
    return x if max is None else xp.minimum(x, max)


def _to_bound(xp: Any, g: Any, x: Any, bound: Any, out: Any) -> Any:
    """What goes to a bound of the gradient of clip: what the bound, not x, has set."""
    set_by_bound = xp.logical_and(out == bound, out != x)
    return xp.where(set_by_bound, g, xp.zeros_like(g))


clip = op(
    "clip",
    forward=_clip,
    vjp={
        "x": lambda xp, g, x, out: xp.where(out == x, g, xp.zeros_like(g)),
        "min": lambda xp, g, x, min, out: _to_bound(xp, g, x, min, out),
        "max": lambda xp, g, x, max, out: _to_bound(xp, g, x, max, out),
    },
    latex=r"\mathrm{{clip}}({x}, {min}, {max})",
    elementwise=True,
    doc="""x, but not below min and not above max; NaN if one of them is.

    Args:
        x: real numbers.
        min: the lower bound, a number or an array; None for none.
        max: the upper bound, a number or an array; None for none. Where it is below min, it wins.

    The gradient goes to x where x is within or on the bounds, to the bound elsewhere.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.clip(tg.tensor([-2.0, 0.5, 3.0]), 0, 1)
        tensor([0. , 0.5, 1. ])
    """,
)

where = op(
    "where",
    "?",
    forward=lambda xp, condition, x, y: xp.where(condition, x, y),
    vjp={
        "x": lambda xp, g, condition: xp.where(condition, g, xp.zeros_like(g)),
        "y": lambda xp, g, condition: xp.where(condition, xp.zeros_like(g), g),
    },
    latex=r"{x} \text{{ where }} {condition} \text{{ else }} {y}",
    elementwise=True,
    doc="""Elements of x where the condition holds, of y elsewhere.

    The gradient goes to the one that was taken. What makes NaN on the side that is not taken makes
    NaN in its gradient, too: let it not see such numbers.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([0.0, 4.0], requires_grad=True)
        >>> safe = tg.where(x > 0, x, 1.0)
        >>> tg.where(x > 0, tg.sqrt(safe), 0.0).sum().backward()
        >>> x.grad
        tensor([0.  , 0.25])
    """,
)
