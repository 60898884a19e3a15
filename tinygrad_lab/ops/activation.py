"""Activation functions. Neither they nor their derivatives overflow."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full
from tinygrad_lab.errors import ArgumentError, excerpt
from tinygrad_lab.ops.arithmetic import divide, multiply, negative, square
from tinygrad_lab.ops.exponential import erfc, expm1
from tinygrad_lab.ops.logic import greater
from tinygrad_lab.ops.piecewise import where
from tinygrad_lab.ops.trigonometric import tanh


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


_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""a and λ of SELU: with them, mean 0 and variance 1 are a fixed point of a layer."""


def selu(x: Any) -> Any:
    """Return λ times ``elu(x, a)``: activations keep mean 0 and variance 1 from layer to layer.

    Its derivative at 0 is taken as λ a. Source: Klambauer et al., "Self-normalizing neural
    networks", 2017, which derives λ = 1.0507... and a = 1.6732...
    """
    return multiply(elu(x, _SELU_ALPHA), _SELU_SCALE)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """Return x where it is positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere.

    Unlike that of ``elu``, its slope has no jump at 0 whatever ``alpha``.

    Raises:
        ArgumentError: for an ``alpha`` of 0.

    Source: Barron, "Continuously differentiable exponential linear units", 2017.
    """
    if isinstance(alpha, int | float) and alpha == 0:
        raise ArgumentError(in_full("celu", "expected an alpha other than 0.", {"x": x}, {}))
    positive = greater(x, 0)
    return where(positive, x, alpha * expm1(divide(where(positive, 0.0, x), alpha)))


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


def mish(x: Any) -> Any:
    """Return ``x * tanh(softplus(x))``; NaN at -inf, as in PyTorch.

    Source: Misra, "Mish: a self regularized non-monotonic activation function", 2019.
    """
    return x * tanh(softplus(x))


softsign = op(
    "softsign",
    forward=lambda xp, x: xp.divide(x, 1 + xp.abs(x)),
    vjp={"x": lambda xp, g, x: xp.divide(g, xp.square(1 + xp.abs(x)))},
    latex=r"\mathrm{{softsign}}({x})",
    elementwise=True,
    doc="Return x / (1 + |x|): like tanh, but it approaches 1 and -1 more slowly.",
)

tanhshrink = op(
    "tanhshrink",
    forward=lambda xp, x: x - xp.tanh(x),
    vjp={"x": lambda xp, g, x: g * xp.square(xp.tanh(x))},
    latex=r"({x} - \tanh {x})",
    elementwise=True,
    doc="Return x - tanh(x).",
)

# --- pieces of straight lines --------------------------------------------------------------------


def _between(xp: Any, g: Any, x: Any, low: float, high: float) -> Any:
    """Return g where x is between two bounds, 0 on them and beyond."""
    return xp.where(xp.logical_and(x > low, x < high), g, xp.zeros_like(g))


def _hardtanh(xp: Any, x: Any, *, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    if min_val > max_val:
        raise ArgumentError(f"expected min_val <= max_val, got {min_val} and {max_val}.")
    return xp.minimum(xp.maximum(x, min_val), max_val)


hardtanh = op(
    "hardtanh",
    forward=_hardtanh,
    vjp={"x": lambda xp, g, x, min_val, max_val: _between(xp, g, x, min_val, max_val)},
    words={"x": "g where {min_val} < {x} < {max_val}"},
    latex=r"\mathrm{{hardtanh}}({x})",
    elementwise=True,
    doc="""Limit x to the range from ``min_val`` to ``max_val``, by default -1 to 1.

    Its derivative at the bounds is taken as 0, unlike that of ``clip``.

    Raises:
        ArgumentError: if ``min_val`` is above ``max_val``.
    """,
)


def relu6(x: Any) -> Any:
    """Return x, but at least 0 and at most 6. Its derivative at 0 and 6 is taken as 0.

    Source: Krizhevsky, "Convolutional deep belief networks on CIFAR-10", 2010.
    """
    return hardtanh(x, min_val=0.0, max_val=6.0)


def _ramp(xp: Any, x: Any) -> Any:
    """Return 0 up to -3, 1 from 3 on, and a straight line between."""
    return xp.minimum(xp.maximum(x + 3, 0.0), 6.0) / 6


hardsigmoid = op(
    "hardsigmoid",
    forward=_ramp,
    vjp={"x": lambda xp, g, x: _between(xp, g / 6, x, -3, 3)},
    words={"x": "g / 6 where -3 < {x} < 3"},
    latex=r"\mathrm{{hardsigmoid}}({x})",
    elementwise=True,
    doc="""Return x / 6 + 1/2, but at least 0 and at most 1: a sigmoid of three straight lines.

    Its derivative at -3 and 3 is taken as 0. Source: Courbariaux, Bengio & David, "BinaryConnect",
    2015, with PyTorch's slope of 1/6.
    """,
)


def _hardswish_slope(xp: Any, g: Any, x: Any) -> Any:
    middle = xp.where(x < 3, g * (x / 3 + 0.5), g)
    return xp.where(x <= -3, xp.zeros_like(g), middle)


hardswish = op(
    "hardswish",
    forward=lambda xp, x: x * _ramp(xp, x),
    vjp={"x": _hardswish_slope},
    words={"x": "g × ({x} / 3 + 1/2) where -3 < {x} < 3, g above"},
    latex=r"\mathrm{{hardswish}}({x})",
    elementwise=True,
    doc="""Return x * hardsigmoid(x). Its derivative is taken as 0 at -3 and as 1 at 3.

    Source: Howard et al., "Searching for MobileNetV3", 2019.
    """,
)

hardshrink = op(
    "hardshrink",
    forward=lambda xp, x, *, lambd=0.5: xp.where(xp.abs(x) <= lambd, xp.zeros_like(x), x),
    vjp={"x": lambda xp, g, x, lambd: xp.where(xp.abs(x) <= lambd, xp.zeros_like(g), g)},
    words={"x": "g where |{x}| > {lambd}"},
    latex=r"\mathrm{{hardshrink}}({x})",
    elementwise=True,
    doc="Return 0 where x is from ``-lambd`` to ``lambd``, where its derivative is 0, else x.",
)


def _softshrink(xp: Any, x: Any, *, lambd: float = 0.5) -> Any:
    if not lambd >= 0:
        raise ArgumentError(f"expected lambd of 0 or more, got {lambd}.")
    # Nothing is left of what is within; NaN stays NaN.
    return x - xp.minimum(xp.maximum(x, -lambd), lambd)


softshrink = op(
    "softshrink",
    forward=_softshrink,
    vjp={"x": lambda xp, g, x, lambd: xp.where(xp.abs(x) <= lambd, xp.zeros_like(g), g)},
    words={"x": "g where |{x}| > {lambd}"},
    latex=r"\mathrm{{softshrink}}({x})",
    elementwise=True,
    doc="""Move x towards 0 by ``lambd``; what is nearer becomes 0, and its derivative is 0.

    Raises:
        ArgumentError: for a negative ``lambd``.

    Source: Donoho, "De-noising by soft-thresholding", 1995.
    """,
)

threshold = op(
    "threshold",
    forward=lambda xp, x, *, threshold, value: xp.where(x <= threshold, value, x),
    vjp={"x": lambda xp, g, x, threshold: xp.where(x <= threshold, xp.zeros_like(g), g)},
    words={"x": "g where {x} > {threshold}"},
    latex=r"{x} \text{{ where }} {x} > {threshold} \text{{ else }} {value}",
    elementwise=True,
    doc="Return x where it is above ``threshold``, ``value`` elsewhere.",
)
