"""Activation functions. Neither they nor their derivatives overflow."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full
from tinygrad_lab.errors import ArgumentError, excerpt
from tinygrad_lab.ops.arithmetic import multiply, negative, square
from tinygrad_lab.ops.exponential import erfc, expm1
from tinygrad_lab.ops.logic import greater
from tinygrad_lab.ops.piecewise import where


def _sigmoid(xp: Any, x: Any) -> Any:
    # exp of a negative number cannot overflow, whichever sign x has.
    e = xp.exp(-xp.abs(x))
    return xp.divide(xp.where(x >= 0, xp.ones_like(e), e), 1 + e)


sigmoid = op(
    "sigmoid",
    "σ",
    forward=_sigmoid,
    vjp={"x": lambda xp, g, out: g * (out - out * out)},
    latex=r"\sigma({x})",
    elementwise=True,
    doc="Return 1 / (1 + exp(-x)), without overflow.",
)

softplus = op(
    "softplus",
    forward=lambda xp, x: xp.log1p(xp.exp(-xp.abs(x))) + xp.relu(x),
    vjp={"x": lambda xp, g, x: g * xp.sigmoid(x)},
    latex=r"\log(1 + e^{{{x}}})",
    elementwise=True,
    doc="Return log(1 + exp(x)), without overflow.",
)


def log_sigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)) as ``-softplus(-x)``: accurate even where the sigmoid is tiny."""
    return negative(softplus(negative(x)))


relu = op(
    "relu",
    forward=lambda xp, x: xp.relu(x),
    # g * (out > 0), by the fastest way that each backend has.
    vjp={"x": lambda xp, g, out: xp.where_positive(out, g)},
    words={"x": "g where {x} > 0"},
    latex=r"\mathrm{{relu}}({x})",
    elementwise=True,
    doc="Return max(x, 0). Its derivative at 0 is taken as 0.",
)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """Return x where it is positive, ``negative_slope * x`` elsewhere.

    Its derivative at 0 is taken as ``negative_slope``. Source: Maas et al., "Rectifier
    nonlinearities improve neural network acoustic models", 2013.
    """
    return where(greater(x, 0), x, x * negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere.

    Its derivative at 0 is taken as ``alpha``. Source: Clevert et al., "Fast and accurate deep
    network learning by exponential linear units", 2016.
    """
    positive = greater(x, 0)
    return where(positive, x, alpha * expm1(where(positive, 0.0, x)))


def silu(x: Any) -> Any:
    """Return ``x * sigmoid(x)``; NaN at -inf, as in PyTorch.

    Source: Elfwing et al., "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", 2018.
    """
    return x * sigmoid(x)


def gelu(x: Any, approximate: str = "none") -> Any:
    """Return x times the standard normal CDF at x; NaN at -inf, as in PyTorch.

    Args:
        x: real numbers.
        approximate: ``"tanh"`` replaces the CDF by ``(1 + tanh(√(2/π) (x + 0.044715 x³))) / 2``;
            ``"none"`` does not.

    Raises:
        ArgumentError: for an unknown approximation.

    Source: Hendrycks & Gimpel, "Gaussian error linear units", 2016.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(1.0)
        >>> f"{tg.gelu(x):.5f}, by tanh {tg.gelu(x, approximate='tanh'):.5f}"
        '0.84134, by tanh 0.84119'
    """
    if approximate == "none":
        # erfc rather than 1 + erf: accurate even where the CDF is tiny.
        return x * (0.5 * erfc(multiply(x, -math.sqrt(0.5))))
    if approximate == "tanh":
        # (1 + tanh(u)) / 2 is sigmoid(2 u), which is accurate even where it is tiny.
        return x * sigmoid(x * (math.sqrt(8 / math.pi) * (1 + 0.044715 * square(x))))
    reason = f'expected approximate="none" or "tanh", got {excerpt(approximate)}.'
    raise ArgumentError(in_full("gelu", reason, {"x": x}, {}))
