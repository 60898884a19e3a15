"""Elementwise arithmetic: sums, products, powers and roots."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMBERS, PYTHON, namespaces
from tinygrad_lab.engine.declare import op

add = op(
    "add",
    "+",
    forward=lambda xp, x, y: x + y,
    vjp={"x": lambda xp, g: g, "y": lambda xp, g: g},
    complex_vjp="same",
    latex="{x} + {y}",
    elementwise=True,
    doc="Return x + y.",
)

subtract = op(
    "subtract",
    "-",
    forward=lambda xp, x, y: x - y,
    vjp={"x": lambda xp, g: g, "y": lambda xp, g: -g},
    complex_vjp="same",
    latex="{x} - {y}",
    elementwise=True,
    doc="Return x - y.",
)

multiply = op(
    "multiply",
    "×",
    forward=lambda xp, x, y: x * y,
    vjp={"x": lambda xp, g, y: g * y, "y": lambda xp, g, x: g * x},
    complex_vjp="conjugated",
    latex=r"{x} \, {y}",
    elementwise=True,
    doc="Return x * y.",
)

divide = op(
    "divide",
    "÷",
    forward=lambda xp, x, y: xp.divide(x, y),
    vjp={
        "x": lambda xp, g, y: xp.divide(g, y),
        "y": lambda xp, g, y, out: -xp.divide(g * out, y),
    },
    complex_vjp="conjugated",
    latex=r"\frac{{{x}}}{{{y}}}",
    elementwise=True,
    doc="Return x / y, following IEEE 754: 1 / 0 is inf. Integers give floats.",
)


def reciprocal(x: Any) -> Any:
    """Return 1 / x; inf at 0, with the sign of the zero."""
    return divide(1, x)


positive = op(
    "positive",
    "+",
    forward=lambda xp, x: +x,
    vjp={"x": lambda xp, g: g},
    complex_vjp="same",
    latex="+{x}",
    elementwise=True,
    doc="Return +x: a copy of x.",
)

negative = op(
    "negative",
    "-",
    forward=lambda xp, x: -x,
    vjp={"x": lambda xp, g: -g},
    complex_vjp="same",
    latex="-{x}",
    elementwise=True,
    doc="Return -x.",
)


def _is_floating(xp: Any, x: Any) -> bool:
    return xp.isdtype(x.dtype, "real floating") if hasattr(x, "dtype") else isinstance(x, float)


def _floor_divide(xp: Any, x: Any, y: Any) -> Any:
    if not (_is_floating(xp, x) or _is_floating(xp, y)):
        return xp.floor_divide(x, y)
    # NumPy and Python give NaN for inf // 2, and NumPy warns.
    infinite = (abs(x) == math.inf) & (abs(y) < math.inf)
    finite = x if x.__class__ in NUMBERS else xp.where(infinite, xp.zeros_like(x), x)
    return xp.where(infinite, xp.divide(x, y), xp.floor_divide(finite, y))


floor_divide = op(
    "floor_divide",
    "//",
    forward=_floor_divide,
    latex=r"\lfloor {x} / {y} \rfloor",
    elementwise=True,
    doc="Return x / y rounded down. Infinities and zeros are as in the Array API standard: "
    "inf // 2 is inf, 1 // -inf is -1, 1.0 // 0 is inf, 0.0 // 0 is NaN. Of integers, 1 // 0 is 0. "
    "A step function: no gradient flows.",
)

remainder = op(
    "remainder",
    "%",
    forward=lambda xp, x, y: xp.remainder(x, y),
    vjp={
        "x": lambda xp, g: g,
        "y": lambda xp, g, x, y: -g * xp.floor_divide(x, y),
    },
    latex=r"{x} \bmod {y}",
    elementwise=True,
    doc="Return x % y, with the sign of y. Division by 0 is as in NumPy: NaN for floats, 0 for "
    "integers. The jumps add nothing to the derivatives.",
)


def _fmod(xp: Any, x: Any, y: Any) -> Any:
    rest = xp.remainder(abs(x), abs(y))
    return xp.copysign(rest, x) if _is_floating(xp, rest) else xp.where(x < 0, -rest, rest)


fmod = op(
    "fmod",
    forward=_fmod,
    vjp={
        "x": lambda xp, g: g,
        "y": lambda xp, g, x, y, out: -g * xp.round(xp.divide(x - out, y)),
    },
    words={"y": "-g × trunc({x} / {y})"},
    latex=r"\mathrm{{fmod}}({x}, {y})",
    elementwise=True,
    doc="Return x - trunc(x / y) y: the rest of a division, with the sign of x, where that of "
    "``remainder`` has the sign of y. The jumps add nothing to the derivatives.",
)

square = op(
    "square",
    "x²",
    forward=lambda xp, x: x * x,
    vjp={"x": lambda xp, g, x: g * (x + x)},
    complex_vjp="conjugated",
    latex="{{{x}}}^2",
    elementwise=True,
    doc="Return x * x.",
)

sqrt = op(
    "sqrt",
    "√",
    forward=lambda xp, x: xp.sqrt(x),
    vjp={"x": lambda xp, g, out: xp.divide(g, out + out)},
    complex_vjp="conjugated",
    latex=r"\sqrt{{{x}}}",
    elementwise=True,
    doc="Return the square root; NaN below 0. Its derivative at 0 is inf.",
)

rsqrt = op(
    "rsqrt",
    "1/√",
    forward=lambda xp, x: xp.divide(1.0, xp.sqrt(x)),
    vjp={"x": lambda xp, g, out: -0.5 * g * out * out * out},
    complex_vjp="conjugated",
    latex=r"\frac{{1}}{{\sqrt{{{x}}}}}",
    elementwise=True,
    doc="Return 1 / √x: inf at 0, NaN below. Its derivative at 0 is -inf.",
)


def _power_by_base(xp: Any, g: Any, x: Any, y: Any) -> Any:
    # x ** 0 is constant, even at 0, where 0 * 0 ** -1 would be NaN: so 1 is not subtracted from 0.
    of_y = namespaces[y.__class__]
    constant, like = y == 0, y
    if of_y is xp:
        # Elsewhere, it is: the derivative of y * x ** (y - 1) with respect to y depends on it.
        constant, like = constant & (x == 0), g
    one_less = y - of_y.where(constant, of_y.zeros_like(like), of_y.ones_like(like))
    return g * (y * xp.pow(x, one_less))


def _power_by_exponent(xp: Any, g: Any, x: Any, y: Any, out: Any) -> Any:
    # 0 ** y is constant in y for y > 0, but 0 * log(0) would be NaN.
    of_x = namespaces[x.__class__]
    zero = x == 0
    if of_x is not PYTHON:
        # With respect to x, x ** y * log(x) has a derivative at 0 only for y > 1.
        kinked = zero & (y <= 1)
        # Adding zeros also broadcasts a Python number, which has no axes.
        x = xp.kinked(x if x.shape == kinked.shape else x + xp.zeros_like(out), kinked)
    log = of_x.log(of_x.where(zero, of_x.ones_like(x), x))
    return g * xp.where(zero, xp.zeros_like(out), out * log)


def _negative_power(x: Any, y: Any) -> str | None:
    """Explain why integers to the power of integers failed."""
    if any(
        isinstance(one, float) or getattr(one, "dtype", np.dtype(int)).kind == "f" for one in (x, y)
    ):
        return None
    return (
        "expected exponents of 0 or more for integers, got a negative one: "
        "x.astype(tg.float32) ** y."
    )


pow = op(
    "pow",
    "^",
    forward=lambda xp, x, y: xp.pow(x, y),
    vjp={"x": _power_by_base, "y": _power_by_exponent},
    complex_vjp="conjugated",
    words={"x": "g × {y} × {x} ^ ({y} - 1)", "y": "g × {out} × log({x})"},
    latex="{{{x}}}^{{{y}}}",
    elementwise=True,
    check=_negative_power,
    doc="""Return x ** y; NaN for a negative base with a non-integer exponent.

    At a base of 0, the derivative with respect to the base is that of the polynomial (0 for x², 1
    for x¹, 0 for x⁰); with respect to the exponent it is taken as 0. With respect to the exponent
    of a negative base it is NaN.
    """,
)


def _root(xp: Any, x: Any, *, exponent: float) -> Any:
    if exponent == 0.5:
        return xp.sqrt(x)
    zero = x == 0
    at_zero = xp.zeros_like(x) + (0.0 if exponent > 0 else math.inf)
    return xp.where(zero, at_zero, xp.pow(xp.where(zero, xp.ones_like(x), x), exponent))


def _root_vjp(xp: Any, g: Any, x: Any, exponent: float) -> Any:
    zero = x == 0
    base = xp.where(zero, xp.ones_like(x), xp.kinked(x, zero))
    power = 1 / xp.sqrt(base) if exponent == 0.5 else xp.pow(base, exponent - 1)
    return g * xp.where(zero, xp.zeros_like(x), exponent * power)


root = op(
    "root",
    "√",
    internal=True,
    forward=_root,
    vjp={"x": _root_vjp},
    words={"x": "g × {exponent} × {x} ^ ({exponent} - 1)"},
    latex="{{{x}}}^{{{exponent}}}",
    elementwise=True,
    doc="""Return x ** exponent for x of 0 or more and an exponent below 2.

    At 0, where the slope of a length or a deviation ends in a kink, its derivative is taken as 0;
    second derivatives are NaN.
    """,
)


def _part_of_length(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """Return the gradient of x from that of the length of (x, y): g x / length; 0 at the origin."""
    at_origin = out == 0
    length = xp.where(at_origin, xp.ones_like(out), xp.kinked(out, at_origin))
    return g * xp.where(at_origin, xp.zeros_like(out), xp.divide(x, length))


hypot = op(
    "hypot",
    forward=lambda xp, x, y: xp.hypot(x, y),
    vjp={
        "x": _part_of_length,
        "y": lambda xp, g, y, out: _part_of_length(xp, g, y, out),
    },
    words={"x": "g × {x} / {out}", "y": "g × {y} / {out}"},
    latex=r"\sqrt{{{x}^2 + {y}^2}}",
    elementwise=True,
    doc="""Return the length of the vector (x, y), without intermediate overflow.

    At the origin, where no derivative exists, first derivatives are taken as 0; second ones are
    NaN.
    """,
)
