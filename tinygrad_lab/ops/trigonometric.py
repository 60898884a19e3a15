"""Trigonometric and hyperbolic functions and their inverses; angles are in radians.

Derivatives: DLMF (dlmf.nist.gov), sections 4.20, 4.24, 4.34 and 4.38. The inverses are NaN outside
their domains, and have infinite slopes at the ends of a domain where calculus gives them.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.engine.declare import op
from tinygrad_lab.ops.arguments.series import power_series

sin = op(
    "sin",
    forward=lambda xp, x: xp.sin(x),
    vjp={"x": lambda xp, g, x: g * xp.cos(x)},
    complex_vjp="conjugated",
    latex=r"\sin {x}",
    elementwise=True,
    doc="Return the sine of an angle in radians.",
)

cos = op(
    "cos",
    forward=lambda xp, x: xp.cos(x),
    vjp={"x": lambda xp, g, x: -g * xp.sin(x)},
    complex_vjp="conjugated",
    latex=r"\cos {x}",
    elementwise=True,
    doc="Return the cosine of an angle in radians.",
)

tan = op(
    "tan",
    forward=lambda xp, x: xp.tan(x),
    vjp={"x": lambda xp, g, out: g + g * out * out},
    complex_vjp="conjugated",
    latex=r"\tan {x}",
    elementwise=True,
    doc="Return the tangent of an angle in radians.",
)

asin = op(
    "asin",
    forward=lambda xp, x: xp.asin(x),
    # (1 - x) (1 + x) rather than 1 - x²: accurate even where x is close to 1.
    vjp={"x": lambda xp, g, x: xp.divide(g, xp.sqrt((1 - x) * (1 + x)))},
    complex_vjp="conjugated",
    latex=r"\arcsin {x}",
    elementwise=True,
    doc="Return the angle from -π/2 to π/2 with the sine x. Its derivative at -1 and 1 is inf.",
)

acos = op(
    "acos",
    forward=lambda xp, x: xp.acos(x),
    vjp={"x": lambda xp, g, x: -xp.divide(g, xp.sqrt((1 - x) * (1 + x)))},
    complex_vjp="conjugated",
    latex=r"\arccos {x}",
    elementwise=True,
    doc="Return the angle from 0 to π with the cosine x. Its derivative at -1 and 1 is -inf.",
)

atan = op(
    "atan",
    forward=lambda xp, x: xp.atan(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, 1 + x * x)},
    complex_vjp="conjugated",
    latex=r"\arctan {x}",
    elementwise=True,
    doc="Return the angle from -π/2 to π/2 with the tangent x.",
)


def _over_squared_length(xp: Any, part: Any, y: Any, x: Any) -> Any:
    """Return part / (x² + y²), without intermediate overflow; 0 at the origin."""
    length = xp.hypot(x, y)
    at_origin = length == 0
    divisor = xp.where(at_origin, xp.ones_like(length), xp.kinked(length, at_origin))
    quotient = xp.divide(xp.divide(part, divisor), divisor)
    return xp.where(at_origin, xp.zeros_like(length), quotient)


atan2 = op(
    "atan2",
    forward=lambda xp, y, x: xp.atan2(y, x),
    vjp={
        "y": lambda xp, g, y, x: g * _over_squared_length(xp, x, y, x),
        "x": lambda xp, g, y, x: -g * _over_squared_length(xp, y, y, x),
    },
    words={"y": "g × {x} / ({x} ^ 2 + {y} ^ 2)", "x": "-g × {y} / ({x} ^ 2 + {y} ^ 2)"},
    latex=r"\mathrm{{atan2}}({y}, {x})",
    elementwise=True,
    doc="""Return the angle from -π to π between the x-axis and the direction of the point (x, y).

    Note the order: ``tg.atan2(y, x)``. On the negative x-axis, the sign of the zero y decides
    between π and -π; derivatives ignore this jump. At the origin, where no derivative exists, first
    derivatives are taken as 0; second ones are NaN.
    """,
)

sinh = op(
    "sinh",
    forward=lambda xp, x: xp.sinh(x),
    vjp={"x": lambda xp, g, x: g * xp.cosh(x)},
    complex_vjp="conjugated",
    latex=r"\sinh {x}",
    elementwise=True,
    doc="Return the hyperbolic sine.",
)

cosh = op(
    "cosh",
    forward=lambda xp, x: xp.cosh(x),
    vjp={"x": lambda xp, g, x: g * xp.sinh(x)},
    complex_vjp="conjugated",
    latex=r"\cosh {x}",
    elementwise=True,
    doc="Return the hyperbolic cosine.",
)

tanh = op(
    "tanh",
    forward=lambda xp, x: xp.tanh(x),
    # g - g out² rather than g (1 - out²): a Python number makes NumPy calls slower.
    vjp={"x": lambda xp, g, out: g - g * out * out},
    complex_vjp="conjugated",
    latex=r"\tanh {x}",
    elementwise=True,
    doc="Return the hyperbolic tangent.",
)

asinh = op(
    "asinh",
    forward=lambda xp, x: xp.asinh(x),
    # √(x² + 1) without overflow.
    vjp={"x": lambda xp, g, x: xp.divide(g, xp.hypot(x, 1))},
    latex=r"\mathrm{{arsinh}} \, {x}",
    elementwise=True,
    doc="Return the number with the hyperbolic sine x.",
)

acosh = op(
    "acosh",
    forward=lambda xp, x: xp.acosh(x),
    # √(x² - 1) without overflow.
    vjp={"x": lambda xp, g, x: xp.divide(g, xp.sqrt(x - 1) * xp.sqrt(x + 1))},
    complex_vjp="conjugated",
    latex=r"\mathrm{{arcosh}} \, {x}",
    elementwise=True,
    doc="Return the number >= 0 with the hyperbolic cosine x. Its derivative at 1 is inf.",
)

atanh = op(
    "atanh",
    forward=lambda xp, x: xp.atanh(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, (1 - x) * (1 + x))},
    complex_vjp="conjugated",
    latex=r"\mathrm{{artanh}} \, {x}",
    elementwise=True,
    doc="Return the number with the hyperbolic tangent x. Its derivative at -1 and 1 is inf.",
)


def _sinc(xp: Any, x: Any) -> Any:
    zero = x == 0
    angle = math.pi * xp.where(zero, xp.ones_like(x), x)
    return xp.where(zero, xp.ones_like(angle), xp.divide(xp.sin(angle), angle))


_SINC_SERIES = [math.pi**2 * (-1) ** k * 2 * k / math.factorial(2 * k + 1) for k in range(1, 10)]
"""Those of the derivative of sinc, over x, in (π x)². The next one, at x = 0.3, is below 1e-18."""


def _sinc_slope(xp: Any, x: Any, out: Any) -> Any:
    """Return (cos(π x) - sinc(x)) / x; by a series close to 0, where the difference has no digits.

    So derivatives of any order are right, at 0 as well.
    """
    near = xp.abs(x) < 0.3
    small, large = xp.where(near, x, xp.zeros_like(x)), xp.where(near, xp.ones_like(x), x)
    angle = math.pi * small
    far = xp.divide(xp.cos(math.pi * large) - out, large)
    return xp.where(near, small * power_series(angle * angle, _SINC_SERIES), far)


sinc = op(
    "sinc",
    forward=_sinc,
    vjp={"x": lambda xp, g, x, out: g * _sinc_slope(xp, x, out)},
    words={"x": "g × (cos(π {x}) - {out}) / {x}"},
    latex=r"\mathrm{{sinc}}({x})",
    elementwise=True,
    doc="Return sin(π x) / (π x), the normalised sinc function; 1 at 0.",
)
