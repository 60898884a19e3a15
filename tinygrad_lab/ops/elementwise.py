"""Ops that work element by element and broadcast their inputs against each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_lab.backends import backend_for_device, namespaces
from tinygrad_lab.ops.op import op

# --- arithmetic ------------------------------------------------------------------------------

add = op(
    "add",
    "+",
    forward=lambda xp, x, y: x + y,
    vjp={"x": lambda xp, g: g, "y": lambda xp, g: g},
    latex="{x} + {y}",
    elementwise=True,
    doc="x + y.",
)

subtract = op(
    "subtract",
    "-",
    forward=lambda xp, x, y: x - y,
    vjp={"x": lambda xp, g: g, "y": lambda xp, g: -g},
    latex="{x} - {y}",
    elementwise=True,
    doc="x - y.",
)

multiply = op(
    "multiply",
    "×",
    forward=lambda xp, x, y: x * y,
    vjp={"x": lambda xp, g, y: g * y, "y": lambda xp, g, x: g * x},
    latex=r"{x} \, {y}",
    elementwise=True,
    doc="x * y.",
)

divide = op(
    "divide",
    "÷",
    forward=lambda xp, x, y: xp.divide(x, y),
    vjp={
        "x": lambda xp, g, y: xp.divide(g, y),
        "y": lambda xp, g, y, out: -xp.divide(g * out, y),
    },
    latex=r"\frac{{{x}}}{{{y}}}",
    elementwise=True,
    doc="x / y, as IEEE 754 has it: 1 / 0 is inf.",
)

negative = op(
    "negative",
    "-",
    forward=lambda xp, x: -x,
    vjp={"x": lambda xp, g: -g},
    latex="-{x}",
    elementwise=True,
    doc="-x.",
)

floor_divide = op(
    "floor_divide",
    "//",
    forward=lambda xp, x, y: xp.floor_divide(x, y),
    latex=r"\lfloor {x} / {y} \rfloor",
    elementwise=True,
    doc="x // y, rounded down. A step function: no gradient flows.",
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
    doc="x % y, with the sign of y. The jumps count as flat.",
)


def _power_by_base(xp: Any, g: Any, x: Any, y: Any) -> Any:
    # x ** 0 is flat, also at 0, where 0 * 0 ** -1 would make it NaN: 0 stays 0, less nothing.
    of_y = namespaces[y.__class__]
    one_less = y - of_y.where(y == 0, of_y.zeros_like(y), of_y.ones_like(y))
    return g * (y * xp.pow(x, one_less))


def _power_by_exponent(xp: Any, g: Any, x: Any, out: Any) -> Any:
    # 0 ** y is flat in y for y > 0, where log(0) would make it NaN.
    of_x = namespaces[x.__class__]
    log = of_x.log(of_x.where(x == 0, of_x.ones_like(x), x))
    return g * xp.where(x == 0, xp.zeros_like(out), out * log)


def _negative_power(x: Any, y: Any) -> str | None:
    """Why integers to the power of integers failed."""
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
    latex="{{{x}}}^{{{y}}}",
    elementwise=True,
    check=_negative_power,
    doc="x ** y; NaN for a negative base with a broken exponent.",
)

abs = op(
    "abs",
    "|x|",
    forward=lambda xp, x: xp.abs(x),
    vjp={"x": lambda xp, g, x: g * xp.sign(x)},
    latex="|{x}|",
    elementwise=True,
    doc="The absolute value. Its derivative at 0 counts as 0.",
)

square = op(
    "square",
    "x²",
    forward=lambda xp, x: x * x,
    vjp={"x": lambda xp, g, x: g * (x + x)},
    latex="{{{x}}}^2",
    elementwise=True,
    doc="x * x.",
)

sqrt = op(
    "sqrt",
    "√",
    forward=lambda xp, x: xp.sqrt(x),
    vjp={"x": lambda xp, g, out: xp.divide(g, out + out)},
    latex=r"\sqrt{{{x}}}",
    elementwise=True,
    doc="The square root; its derivative at 0 is inf.",
)

# --- exponentials and their kin --------------------------------------------------------------

exp = op(
    "exp",
    forward=lambda xp, x: xp.exp(x),
    vjp={"x": lambda xp, g, out: g * out},
    latex="e^{{{x}}}",
    elementwise=True,
    doc="e to the power x.",
)

expm1 = op(
    "expm1",
    forward=lambda xp, x: xp.expm1(x),
    vjp={"x": lambda xp, g, out: g * out + g},
    latex="e^{{{x}}} - 1",
    elementwise=True,
    doc="exp(x) - 1, exact also where x is small.",
)

log = op(
    "log",
    forward=lambda xp, x: xp.log(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, x)},
    latex=r"\log {x}",
    elementwise=True,
    doc="The natural logarithm.",
)

log1p = op(
    "log1p",
    forward=lambda xp, x: xp.log1p(x),
    vjp={"x": lambda xp, g, x: xp.divide(g, x + 1)},
    latex=r"\log(1 + {x})",
    elementwise=True,
    doc="log(1 + x), exact also where x is small.",
)

sin = op(
    "sin",
    forward=lambda xp, x: xp.sin(x),
    vjp={"x": lambda xp, g, x: g * xp.cos(x)},
    latex=r"\sin {x}",
    elementwise=True,
    doc="The sine of an angle in radians.",
)

cos = op(
    "cos",
    forward=lambda xp, x: xp.cos(x),
    vjp={"x": lambda xp, g, x: -g * xp.sin(x)},
    latex=r"\cos {x}",
    elementwise=True,
    doc="The cosine of an angle in radians.",
)

tanh = op(
    "tanh",
    forward=lambda xp, x: xp.tanh(x),
    # g - g out² rather than g (1 - out²): a Python number makes NumPy calls slower.
    vjp={"x": lambda xp, g, out: g - g * out * out},
    latex=r"\tanh {x}",
    elementwise=True,
    doc="The hyperbolic tangent.",
)

erf = op(
    "erf",
    forward=lambda xp, x: xp.erf(x),
    vjp={"x": lambda xp, g, x: g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x)},
    latex=r"\mathrm{{erf}}({x})",
    elementwise=True,
    doc="The error function.",
)


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
    doc="1 / (1 + exp(-x)), without overflow.",
)

softplus = op(
    "softplus",
    forward=lambda xp, x: xp.log1p(xp.exp(-xp.abs(x))) + xp.relu(x),
    vjp={"x": lambda xp, g, x: g * xp.sigmoid(x)},
    latex=r"\log(1 + e^{{{x}}})",
    elementwise=True,
    doc="log(1 + exp(x)), without overflow.",
)

# --- kinks -----------------------------------------------------------------------------------

relu = op(
    "relu",
    forward=lambda xp, x: xp.relu(x),
    # g * (out > 0), in the fastest way each backend has.
    vjp={"x": lambda xp, g, out: xp.where_positive(out, g)},
    latex=r"\mathrm{{relu}}({x})",
    elementwise=True,
    doc="max(x, 0). Its derivative at 0 counts as 0.",
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
    doc="The larger of x and y. At a tie each gets half of the gradient.",
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
    doc="The smaller of x and y. At a tie each gets half of the gradient.",
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
    doc="Elements of x where the condition holds, of y elsewhere.",
)

# --- comparisons, logic, steps: no gradient flows through them -----------------------------------

equal = op("equal", "=", forward=lambda xp, x, y: x == y, elementwise=True, doc="x == y.")
not_equal = op("not_equal", "≠", forward=lambda xp, x, y: x != y, elementwise=True, doc="x != y.")
less = op("less", "<", forward=lambda xp, x, y: x < y, elementwise=True, doc="x < y.")
less_equal = op("less_equal", "≤", forward=lambda xp, x, y: x <= y, elementwise=True, doc="x <= y.")
greater = op("greater", ">", forward=lambda xp, x, y: x > y, elementwise=True, doc="x > y.")
greater_equal = op(
    "greater_equal", "≥", forward=lambda xp, x, y: x >= y, elementwise=True, doc="x >= y."
)


logical_and = op(
    "logical_and",
    "∧",
    forward=lambda xp, x, y: xp.logical_and(x, y),
    elementwise=True,
    doc="Whether both hold.",
)
logical_or = op(
    "logical_or",
    "∨",
    forward=lambda xp, x, y: xp.logical_or(x, y),
    elementwise=True,
    doc="Whether one of them holds.",
)
logical_not = op(
    "logical_not",
    "¬",
    forward=lambda xp, x: xp.logical_not(x),
    elementwise=True,
    doc="Whether it does not hold.",
)
sign = op("sign", forward=lambda xp, x: xp.sign(x), elementwise=True, doc="-1, 0 or 1.")
floor = op("floor", "⌊⌋", forward=lambda xp, x: xp.floor(x), elementwise=True, doc="Rounded down.")
ceil = op("ceil", "⌈⌉", forward=lambda xp, x: xp.ceil(x), elementwise=True, doc="Rounded up.")
isnan = op("isnan", forward=lambda xp, x: xp.isnan(x), elementwise=True, doc="Whether x is NaN.")
isfinite = op(
    "isfinite",
    forward=lambda xp, x: xp.isfinite(x),
    elementwise=True,
    doc="Whether x is neither NaN nor infinite.",
)

# --- types and places ------------------------------------------------------------------------

astype = op(
    "astype",
    forward=lambda xp, x, *, dtype: xp.astype(x, dtype),
    vjp={"x": lambda xp, g, x_dtype: xp.astype(g, x_dtype)},
    elementwise=True,
    doc="x with elements of another type. A gradient flows between floating types.",
)


def _transfer(xp: Any, x: Any, *, device: str) -> Any:
    return backend_for_device(device).asarray(xp.to_numpy(x), device=device)


transfer = op(
    "transfer",
    "→",
    forward=_transfer,
    vjp={"x": lambda xp, g, x_device: xp.transfer(g, device=x_device)},
    elementwise=True,
    doc='x on another device; "python" makes a Python number of an array of one element.',
)


zeros_like = op(
    "zeros_like",
    "0",
    forward=lambda xp, x: xp.zeros_like(x),
    elementwise=True,
    doc="Zeros in the shape and of the kind of x.",
)
ones_like = op(
    "ones_like",
    "1",
    forward=lambda xp, x: xp.ones_like(x),
    elementwise=True,
    doc="Ones in the shape and of the kind of x.",
)

alias = op(
    "alias",
    "=",
    forward=lambda xp, x: x,
    vjp={"x": lambda xp, g: g},
    latex="{x}",
    elementwise=True,
    doc="x itself, as a node of its own: a place in the graph to stop at.",
)

# --- composed of the above -------------------------------------------------------------------


def clip(x: Any, min: float | None = None, max: float | None = None) -> Any:
    """x, but not below min and not above max; the gradient flows where x is within. NaN stays."""
    if min is not None:
        x = where(less(x, min), min, x)
    return x if max is None else where(greater(x, max), max, x)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Any:
    """x where it is positive, ``negative_slope * x`` elsewhere."""
    return where(greater(x, 0), x, x * negative_slope)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere (Clevert et al., 2016)."""
    positive = greater(x, 0)
    return where(positive, x, alpha * expm1(where(positive, 0.0, x)))


def silu(x: Any) -> Any:
    """``x * sigmoid(x)`` (Elfwing et al., 2018)."""
    return x * sigmoid(x)


def gelu(x: Any) -> Any:
    """x times the chance that a standard normal is below it (Hendrycks & Gimpel, 2016)."""
    return 0.5 * x * (1 + erf(x * math.sqrt(0.5)))
