"""Exponentials, logarithms and the error function.

Derivatives: DLMF (dlmf.nist.gov), sections 4.7 and 7.2. Logarithms are -inf at 0 and NaN below.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.declare import op
from tinygrad_lab.ops.arithmetic import multiply, pow

exp = op(
    "exp",
    forward=lambda xp, x: xp.exp(x),
    vjp={"x": lambda xp, g, out: g * out},
    complex_vjp="conjugated",
    latex="e^{{{x}}}",
    elementwise=True,
    doc="Return e to the power x.",
)

expm1 = op(
    "expm1",
    forward=lambda xp, x: xp.expm1(x),
    vjp={"x": lambda xp, g, out: g * out + g},
    complex_vjp="conjugated",
    latex="e^{{{x}}} - 1",
    elementwise=True,
    doc="Return exp(x) - 1, accurate even where x is small.",
)

log = op(
    "log",
    forward=lambda xp, x: xp.log(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, x)},
    complex_vjp="conjugated",
    latex=r"\log {x}",
    elementwise=True,
    doc="Return the natural logarithm. Its derivative at 0 is inf.",
)

log1p = op(
    "log1p",
    forward=lambda xp, x: xp.log1p(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, x + 1)},
    complex_vjp="conjugated",
    latex=r"\log(1 + {x})",
    elementwise=True,
    doc="Return log(1 + x), accurate even where x is small. Its derivative at -1 is inf.",
)

log2 = op(
    "log2",
    forward=lambda xp, x: xp.log2(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, x * math.log(2))},
    complex_vjp="conjugated",
    latex=r"\log_2 {x}",
    elementwise=True,
    doc="Return the logarithm to base 2, exact for powers of 2. Its derivative at 0 is inf.",
)

log10 = op(
    "log10",
    forward=lambda xp, x: xp.log10(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, x * math.log(10))},
    complex_vjp="conjugated",
    latex=r"\log_{{10}} {x}",
    elementwise=True,
    doc="Return the logarithm to base 10. Its derivative at 0 is inf.",
)


def _share_of_sum(xp: Any, g: Any, x: Any, y: Any, out: Any) -> Any:
    """Return the gradient of x through log(exp(x) + exp(y)): the share of exp(x) in the sum."""
    # The difference of equal infinities is NaN: each gets half.
    tied = xp.logical_and(xp.isinf(out), x == y)
    difference = x - xp.where(tied, xp.zeros_like(out), y)
    return xp.where(tied, 0.5 * g, g * xp.sigmoid(difference))


logaddexp = op(
    "logaddexp",
    forward=lambda xp, x, y: xp.logaddexp(x, y),
    vjp={
        "x": _share_of_sum,
        "y": lambda xp, g, x, y, out: _share_of_sum(xp, g, y, x, out),
    },
    words={"x": "g × sigmoid({x} - {y})", "y": "g × sigmoid({y} - {x})"},
    latex=r"\log(e^{{{x}}} + e^{{{y}}})",
    elementwise=True,
    doc="Return log(exp(x) + exp(y)), without overflow. Equal infinities share the gradient.",
)

erf = op(
    "erf",
    forward=lambda xp, x: xp.erf(x),
    vjp={"x": lambda xp, g, x: g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x)},
    latex=r"\mathrm{{erf}}({x})",
    elementwise=True,
    doc="Return the error function: twice the integral of exp(-t²) / √π for t from 0 to x.",
)

erfc = op(
    "erfc",
    forward=lambda xp, x: xp.erfc(x),
    vjp={"x": lambda xp, g, x: -g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x)},
    latex=r"\mathrm{{erfc}}({x})",
    elementwise=True,
    doc="Return 1 - erf(x), accurate even where x is large and the result tiny.",
)

erfinv = op(
    "erfinv",
    forward=lambda xp, x: xp.erfinv(x),
    vjp={"x": lambda xp, g, out: g * (math.sqrt(math.pi) / 2) * xp.exp(out * out)},
    latex=r"\mathrm{{erf}}^{{-1}}({x})",
    elementwise=True,
    doc="Return the number with the error function x: ±inf at ±1, NaN beyond.",
)


def exp2(x: Any) -> Any:
    """Return 2 to the power x, exact for integers."""
    return pow(2.0, x)


def logaddexp2(x: Any, y: Any) -> Any:
    """Return log₂(2ˣ + 2ʸ), without overflow. Equal infinities share the gradient."""
    return multiply(logaddexp(multiply(x, _LOG_2), multiply(y, _LOG_2)), 1 / _LOG_2)


_LOG_2 = math.log(2)


def _xlogy(xp: Any, x: Any, y: Any) -> Any:
    y = _as_broadcast(x, y)
    # log(1) is 0, and 0 * log(NaN) remains NaN.
    return x * xp.log(xp.where((x == 0) & (y == y), xp.ones_like(y), y))


def _as_broadcast(x: Any, y: Any) -> Any:
    """Return y in the dtype and, at least, the shape of x + y."""
    return namespaces[x.__class__].zeros_like(x) + y


def _positive_or_1(xp: Any, x: Any, y: Any) -> Any:
    """Return y, but 1 where x is 0 and log(y) not finite: there, derivatives are taken as 0."""
    y = _as_broadcast(x, y)
    return xp.where((x == 0) & (y <= 0), xp.ones_like(y), y)


xlogy = op(
    "xlogy",
    forward=_xlogy,
    vjp={
        "x": lambda xp, g, x, y: g * xp.log(_positive_or_1(xp, x, y)),
        "y": lambda xp, g, x, y: g * xp.divide(x, _positive_or_1(xp, x, y)),
    },
    words={"x": "g × log({y})", "y": "g × {x} / {y}"},
    latex=r"{x} \log {y}",
    elementwise=True,
    doc="""Return x log(y), which is 0 where x is 0, even if y is 0; NaN where y is NaN.

    Where x is 0 and y is 0 or less, derivatives are taken as 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> p = tg.tensor([0.0, 0.5, 0.5])
        >>> -tg.xlogy(p, p).sum()  # an entropy
        tensor(0.6931472)
    """,
)
