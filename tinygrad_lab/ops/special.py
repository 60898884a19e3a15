"""Special functions: the logarithm of the gamma function, its derivatives, and Bessel functions.

Derivatives: DLMF (dlmf.nist.gov), sections 5.15 and 10.29. Values are SciPy's.
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.engine.declare import op
from tinygrad_lab.ops.arguments.series import power_series

lgamma = op(
    "lgamma",
    forward=lambda xp, x: xp.lgamma(x),
    vjp={"x": lambda xp, g, x: g * xp.digamma(x)},
    words={"x": "g × digamma({x})"},
    latex=r"\log |\Gamma({x})|",
    elementwise=True,
    doc="""Return log |Γ(x)|, of the gamma function; inf at 0, -1, -2, ...

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.exp(tg.lgamma(tg.tensor([1.0, 2.0, 4.0])))  # 0!, 1!, 3!
        tensor([1., 1., 6.])
    """,
)

digamma = op(
    "digamma",
    "ψ",
    forward=lambda xp, x: xp.digamma(x),
    vjp={"x": lambda xp, g, x: g * xp.polygamma(x, n=1)},
    words={"x": "g × ψ′({x})"},
    latex=r"\psi({x})",
    elementwise=True,
    doc="Return ψ(x), the derivative of log Γ(x). At 0, -1, -2, ... it has poles.",
)


def _polygamma(xp: Any, x: Any, *, n: int) -> Any:
    """DLMF 25.11.12: ψ⁽ⁿ⁾(x) = (-1)ⁿ⁺¹ n! ζ(n + 1, x), of Hurwitz' zeta function."""
    return (-1.0) ** (n + 1) * math.factorial(n) * xp.zeta(n + 1.0, x)


polygamma = op(
    "polygamma",
    "ψ⁽ⁿ⁾",
    internal=True,
    forward=_polygamma,
    vjp={"x": lambda xp, g, x, n: g * xp.polygamma(x, n=n + 1)},
    words={"x": "g × ψ^({n} + 1)({x})"},
    latex=r"\psi^{{({n})}}({x})",
    elementwise=True,
    doc="Return the derivative of order n, 1 or more, of ψ(x).",
)

i0 = op(
    "i0",
    forward=lambda xp, x: xp.i0(x),
    vjp={"x": lambda xp, g, x: g * xp.i1(x)},
    latex="I_0({x})",
    elementwise=True,
    doc="""Return I₀(x): the modified Bessel function of the first kind, of order 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.i0(tg.tensor([0.0, 1.0]))
        tensor([1.       , 1.2660658])
    """,
)

_I1_SERIES = [0.5 / (math.factorial(k) * math.factorial(k + 1)) for k in range(10)]
"""Those of I₁(x) / x in (x / 2)²: DLMF 10.25.2. The next one, at x = 1, is below 1e-17."""


def _i1_over_x(xp: Any, x: Any) -> Any:
    """Return I₁(x) / x, whose derivatives would lose all digits close to 0 if it were divided."""
    near = xp.abs(x) < 1
    small, large = xp.where(near, x, xp.zeros_like(x)), xp.where(near, xp.ones_like(x), x)
    series = power_series(0.25 * small * small, _I1_SERIES)
    return xp.where(near, series, xp.divide(xp.i1(large), large))


i1 = op(
    "i1",
    forward=lambda xp, x: xp.i1(x),
    vjp={"x": lambda xp, g, x: g * (xp.i0(x) - _i1_over_x(xp, x))},
    words={"x": "g × (I₀({x}) - I₁({x}) / {x})"},
    latex="I_1({x})",
    elementwise=True,
    doc="Return I₁(x): the modified Bessel function of the first kind, of order 1.",
)
