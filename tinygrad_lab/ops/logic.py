"""Comparisons, logic and bits: step functions or non-numbers, so no gradient flows."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.engine.declare import op

# --- comparisons -----------------------------------------------------------------------------

equal = op("equal", "=", forward=lambda xp, x, y: x == y, elementwise=True, doc="Return x == y.")
not_equal = op(
    "not_equal", "≠", forward=lambda xp, x, y: x != y, elementwise=True, doc="Return x != y."
)
less = op("less", "<", forward=lambda xp, x, y: x < y, elementwise=True, doc="Return x < y.")
less_equal = op(
    "less_equal", "≤", forward=lambda xp, x, y: x <= y, elementwise=True, doc="Return x <= y."
)
greater = op("greater", ">", forward=lambda xp, x, y: x > y, elementwise=True, doc="Return x > y.")
greater_equal = op(
    "greater_equal", "≥", forward=lambda xp, x, y: x >= y, elementwise=True, doc="Return x >= y."
)

# --- kinds of numbers ------------------------------------------------------------------------

isnan = op(
    "isnan", forward=lambda xp, x: xp.isnan(x), elementwise=True, doc="Tell whether x is NaN."
)
isinf = op(
    "isinf",
    forward=lambda xp, x: xp.isinf(x),
    elementwise=True,
    doc="Tell whether x is infinite, with either sign.",
)
isfinite = op(
    "isfinite",
    forward=lambda xp, x: xp.isfinite(x),
    elementwise=True,
    doc="Tell whether x is neither NaN nor infinite.",
)
signbit = op(
    "signbit",
    forward=lambda xp, x: xp.signbit(x),
    elementwise=True,
    doc="Tell whether the sign bit of x is set: for negative numbers, and for -0.0.",
)

# --- logic -----------------------------------------------------------------------------------

logical_and = op(
    "logical_and",
    "∧",
    forward=lambda xp, x, y: xp.logical_and(x, y),
    elementwise=True,
    doc="Tell whether both x and y are true.",
)
logical_or = op(
    "logical_or",
    "∨",
    forward=lambda xp, x, y: xp.logical_or(x, y),
    elementwise=True,
    doc="Tell whether x or y is true, or both.",
)
logical_xor = op(
    "logical_xor",
    "xor",
    forward=lambda xp, x, y: xp.logical_xor(x, y),
    elementwise=True,
    doc="Tell whether exactly one of x and y is true.",
)
logical_not = op(
    "logical_not",
    "¬",
    forward=lambda xp, x: xp.logical_not(x),
    elementwise=True,
    doc="Tell whether x is false.",
)

# --- bits ------------------------------------------------------------------------------------


def _no_bits(*arrays: Any) -> str:
    """Explain why a bitwise op failed."""
    got = " and ".join(str(getattr(one, "dtype", type(one).__name__)) for one in arrays)
    return (
        f"expected integers or booleans, got {got}: to combine conditions, compare first, as in "
        "(x > 0) & (y > 0); x.astype(tg.int64) gives integers."
    )


bitwise_and = op(
    "bitwise_and",
    "&",
    forward=lambda xp, x, y: xp.bitwise_and(x, y),
    elementwise=True,
    check=_no_bits,
    doc="Return x & y: the bits that are 1 in both; for booleans, logical and.",
)
bitwise_or = op(
    "bitwise_or",
    "|",
    forward=lambda xp, x, y: xp.bitwise_or(x, y),
    elementwise=True,
    check=_no_bits,
    doc="Return x | y: the bits that are 1 in either or both; for booleans, logical or.",
)
bitwise_xor = op(
    "bitwise_xor",
    "xor",
    forward=lambda xp, x, y: xp.bitwise_xor(x, y),
    elementwise=True,
    check=_no_bits,
    doc="Return x ^ y: the bits that are 1 in exactly one; for booleans, exclusive or.",
)
bitwise_invert = op(
    "bitwise_invert",
    "~",
    forward=lambda xp, x: xp.bitwise_invert(x),
    elementwise=True,
    check=_no_bits,
    doc="Return ~x: every bit inverted; for booleans, logical not.",
)
bitwise_left_shift = op(
    "bitwise_left_shift",
    "<<",
    forward=lambda xp, x, y: xp.bitwise_left_shift(x, y),
    elementwise=True,
    check=_no_bits,
    doc="Return x << y: the bits of x shifted left by y places, y >= 0.",
)
bitwise_right_shift = op(
    "bitwise_right_shift",
    ">>",
    forward=lambda xp, x, y: xp.bitwise_right_shift(x, y),
    elementwise=True,
    check=_no_bits,
    doc="Return x >> y: the bits of x shifted right by y places, y >= 0; the sign is kept.",
)
