"""Piecewise functions with kinks and jumps; each documents what its derivative is taken as there.

Step functions (sign, floor, ceil, round, trunc) have a derivative of 0 wherever it exists: no
gradient flows through them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMBERS, namespaces
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, raw
from tinygrad_lab.errors import DTypeError
from tinygrad_lab.ops.arguments.axes import checked_shape
from tinygrad_lab.ops.logic import equal, isnan

# --- steps -----------------------------------------------------------------------------------

sign = op(
    "sign",
    forward=lambda xp, x: xp.sign(x),
    elementwise=True,
    doc="Return -1, 0 or 1; x / |x| for complex numbers. A step function: no gradient flows.",
)
floor = op(
    "floor",
    "⌊⌋",
    forward=lambda xp, x: xp.floor(x),
    elementwise=True,
    doc="Round down. A step function: no gradient flows.",
)
ceil = op(
    "ceil",
    "⌈⌉",
    forward=lambda xp, x: xp.ceil(x),
    elementwise=True,
    doc="Round up. A step function: no gradient flows.",
)
round = op(
    "round",
    forward=lambda xp, x: xp.round(x),
    elementwise=True,
    doc="Round to the nearest integer, ties to even. A step function: no gradient flows.",
)
trunc = op(
    "trunc",
    forward=lambda xp, x: xp.trunc(x),
    elementwise=True,
    doc="Round towards 0. A step function: no gradient flows.",
)

# --- kinks and jumps -------------------------------------------------------------------------


def _along_direction(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """Return g times the direction of complex numbers, x / |x|; 0 at 0."""
    at_zero = out == 0
    length = xp.where(at_zero, xp.ones_like(out), xp.kinked(out, at_zero))
    return g * xp.where(at_zero, xp.zeros_like(x), x / length)


abs = op(
    "abs",
    "|x|",
    forward=lambda xp, x: xp.abs(x),
    vjp={"x": lambda xp, g, x: g * xp.sign(x)},
    complex_vjp={"x": _along_direction},
    latex="|{x}|",
    elementwise=True,
    doc="Return the absolute value. Its derivative at 0 is taken as 0.",
)


def _flip_where_signs_differ(xp: Any, g: Any, x: Any, out: Any) -> Any:
    # The sign of a Python number stays one: as an array it would widen a float32 gradient.
    return g * xp.sign(out) * namespaces[x.__class__].sign(x)


copysign = op(
    "copysign",
    forward=lambda xp, x, y: xp.copysign(x, y),
    vjp={"x": _flip_where_signs_differ, "y": lambda xp, g: xp.zeros_like(g)},
    latex=r"\mathrm{{copysign}}({x}, {y})",
    elementwise=True,
    doc="""Return |x| with the sign of y; zeros and NaN have a sign as well.

    The derivative with respect to x is taken as 0 at 0. With respect to y it is 0, as the sign is a
    step function.
    """,
)

nextafter = op(
    "nextafter",
    forward=lambda xp, x, y: xp.nextafter(x, y),
    vjp={"x": lambda xp, g: g, "y": lambda xp, g: xp.zeros_like(g)},
    latex=r"\mathrm{{nextafter}}({x}, {y})",
    elementwise=True,
    doc="""Return the next number of the dtype after x, towards y.

    That differs from x by rounding only, so the derivative with respect to x is 1, to y 0.
    """,
)


def _larger_share(xp: Any, g: Any, x: Any, y: Any) -> Any:
    """Return the gradient of x through max(x, y): g, 0, or half of g at a tie."""
    return xp.where(x > y, g, xp.where(x == y, 0.5 * g, xp.zeros_like(g)))


maximum = op(
    "maximum",
    "max",
    forward=lambda xp, x, y: xp.maximum(x, y),
    vjp={
        "x": _larger_share,
        "y": lambda xp, g, x, y: _larger_share(xp, g, y, x),
    },
    words={"x": "g where {x} > {y}, half at ties", "y": "g where {y} > {x}, half at ties"},
    latex=r"\max({x}, {y})",
    elementwise=True,
    doc="Return the larger of x and y; NaN if either is. At a tie each gets half of the gradient.",
)

minimum = op(
    "minimum",
    "min",
    forward=lambda xp, x, y: xp.minimum(x, y),
    vjp={
        "x": lambda xp, g, x, y: _larger_share(xp, g, y, x),
        "y": _larger_share,
    },
    words={"x": "g where {x} < {y}, half at ties", "y": "g where {y} < {x}, half at ties"},
    latex=r"\min({x}, {y})",
    elementwise=True,
    doc="Return the smaller of x and y; NaN if either is. At a tie each gets half of the gradient.",
)


def _bound_for(xp: Any, x: Any, bound: Any) -> Any:
    """Return a bound of clip, which does not widen x, in the floating dtype of x."""
    if bound is None or x.__class__ in NUMBERS or bound.__class__ in NUMBERS:
        return bound
    if bound.dtype == x.dtype:
        return bound
    both_float = all(xp.isdtype(one.dtype, "real floating") for one in (x, bound))
    return xp.astype(bound, x.dtype) if both_float else bound


def _clip(xp: Any, x: Any, min: Any = None, max: Any = None) -> Any:
    if x.__class__ not in NUMBERS:
        return xp.clip(x, _bound_for(xp, x, min), _bound_for(xp, x, max))
    # NumPy's clip would turn a Python number beside arrays into an array of float64.
    x = x if min is None else xp.maximum(x, min)
    return x if max is None else xp.minimum(x, max)


def _to_bound(xp: Any, g: Any, x: Any, bound: Any, out: Any) -> Any:
    """Return the gradient of a bound of clip: g where the result is the bound, not x."""
    bound = _bound_for(xp, x, bound)
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
    words={
        "x": "g where {x} is within",
        "min": "g where {x} < {min}",
        "max": "g where {x} > {max}",
    },
    latex=r"\mathrm{{clip}}({x}, {min}, {max})",
    elementwise=True,
    doc="""Limit x to the range from min to max; NaN if one of them is.

    Args:
        x: real numbers.
        min: the lower bound, a number or an array; None for none.
        max: the upper bound, a number or an array; None for none. It wins where it is below min.

    The result has the dtype of x where that and those of the bounds are floats. The gradient goes
    to x where x is within or on the bounds, to the bound elsewhere.

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
    complex_vjp="same",
    latex=r"{x} \text{{ where }} {condition} \text{{ else }} {y}",
    elementwise=True,
    doc="""Return elements of x where the condition holds, of y elsewhere.

    The gradient goes to the one that was taken. An op that gives NaN on the side that is not taken
    gives NaN in its gradient as well: replace its inputs there, as in the example.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([0.0, 4.0], requires_grad=True)
        >>> safe = tg.where(x > 0, x, 1.0)
        >>> tg.where(x > 0, tg.sqrt(safe), 0.0).sum().backward()
        >>> x.grad
        tensor([0.  , 0.25])
    """,
)


def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Return x with other numbers in place of NaN and infinities, which get no gradient.

    Args:
        x: real numbers.
        nan: what to put in place of NaN.
        posinf: in place of inf; the largest number of the dtype of x if not given.
        neginf: in place of -inf; the lowest number of the dtype of x if not given.

    Raises:
        DTypeError: for complex numbers.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nan_to_num(tg.tensor([1.0, tg.nan, tg.inf]), posinf=9.0)
        tensor([1., 0., 9.])
    """
    checked_shape("nan_to_num", x)
    dtype = np.dtype(getattr(raw(x), "dtype", type(raw(x))))
    if dtype.kind == "c":
        reason = "expected real numbers, got complex ones: tg.real(x), tg.imag(x)."
        raise DTypeError(in_full("nan_to_num", reason, {"x": x}, {}))
    if dtype.kind != "f":
        return x
    limits = np.finfo(dtype)
    highest = float(limits.max) if posinf is None else posinf
    lowest = float(limits.min) if neginf is None else neginf
    found = where(isnan(x), nan, x)
    found = where(equal(x, float("inf")), highest, found)
    return where(equal(x, float("-inf")), lowest, found)


def fmax(x: Any, y: Any) -> Any:
    """Return the larger of x and y, like ``maximum``; where one of them is NaN, the other."""
    return where(isnan(x), y, where(isnan(y), x, maximum(x, y)))


def fmin(x: Any, y: Any) -> Any:
    """Return the smaller of x and y, like ``minimum``; where one of them is NaN, the other."""
    return where(isnan(x), y, where(isnan(y), x, minimum(x, y)))


def _heaviside(xp: Any, x: Any, y: Any) -> Any:
    # The sign of a Python number stays one: as an array it would widen a float32 y.
    return xp.where(x == 0, y, 0.5 * (namespaces[x.__class__].sign(x) + 1))


heaviside = op(
    "heaviside",
    forward=_heaviside,
    vjp={
        "x": lambda xp, g: xp.zeros_like(g),
        "y": lambda xp, g, x: xp.where(x == 0, g, xp.zeros_like(g)),
    },
    words={"y": "g where {x} = 0"},
    latex=r"H_{{{y}}}({x})",
    elementwise=True,
    doc="""Return 0 where x is negative, y where it is 0, 1 where it is positive; NaN of NaN.

    The derivative with respect to x is 0, as this is a step function.
    """,
)


def masked_fill(x: Any, mask: Any, value: Any) -> Any:
    """Return x with a value in place of the elements where a mask is true.

    Args:
        x: the tensor.
        mask: booleans, which broadcast against x.
        value: a number, or a tensor, which broadcasts as well and gets the gradient there.

    Raises:
        DTypeError: for a mask that is not of booleans.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([1.0, -2.0, 3.0])
        >>> tg.masked_fill(x, x < 0, 0.0)
        tensor([1., 0., 3.])
    """
    checked_shape("masked_fill", x)
    dtype = np.dtype(getattr(raw(mask), "dtype", type(raw(mask))))
    if dtype.kind != "b":
        reason = f"expected a mask of booleans, got {dtype}: mask != 0, or mask.astype(tg.bool)."
        raise DTypeError(in_full("masked_fill", reason, {"x": x, "mask": mask}, {}))
    return where(mask, value, x)
