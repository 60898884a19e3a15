"""Comparisons, logic and bits: what they give jumps or is no number, so no gradient flows."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.engine.declare import op

# --- comparisons -----------------------------------------------------------------------------

equal = op("equal", "=", forward=lambda xp, x, y: x == y, elementwise=True, doc="x == y.")
not_equal = op("not_equal", "≠", forward=lambda xp, x, y: x != y, elementwise=True, doc="x != y.")
less = op("less", "<", forward=lambda xp, x, y: x < y, elementwise=True, doc="x < y.")
less_equal = op("less_equal", "≤", forward=lambda xp, x, y: x <= y, elementwise=True, doc="x <= y.")
greater = op("greater", ">", forward=lambda xp, x, y: x > y, elementwise=True, doc="x > y.")
greater_equal = op(
    "greater_equal", "≥", forward=lambda xp, x, y: x >= y, elementwise=True, doc="x >= y."
)

# --- what kind of number it is ---------------------------------------------------------------

isnan = op("isnan", forward=lambda xp, x: xp.isnan(x), elementwise=True, doc="Whether x is NaN.")
isinf = op(
    "isinf",
    forward=lambda xp, x: xp.isinf(x),
    elementwise=True,
    doc="Whether x is infinite, of either sign.",
)
isfinite = op(
    "isfinite",
    forward=lambda xp, x: xp.isfinite(x),
    elementwise=True,
    doc="Whether x is neither NaN nor infinite.",
)
signbit = op(
    "signbit",
    forward=lambda xp, x: xp.signbit(x),
    elementwise=True,
    doc="Whether x is negative; -0.0 is, too.",
)

# --- logic -----------------------------------------------------------------------------------

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
    doc="Whether one of them holds, or both.",
)
logical_xor = op(
    "logical_xor",
    "xor",
    forward=lambda xp, x, y: xp.logical_xor(x, y),
    elementwise=True,
    doc="Whether one of them holds, and not both.",
)
logical_not = op(
    "logical_not",
    "¬",
    forward=lambda xp, x: xp.logical_not(x),
    elementwise=True,
    doc="Whether it does not hold.",
)

# --- bits ------------------------------------------------------------------------------------


def _no_bits(*arrays: Any) -> str:
    """Why a bitwise op failed."""
    came = " and ".join(str(getattr(one, "dtype", type(one).__name__)) for one in arrays)
    return (
        f"expected integers or booleans, got {came}: to combine conditions, compare first, as in "
        "(x > 0) & (y > 0); x.astype(tg.int64) makes integers."
    )


bitwise_and = op(
    "bitwise_and",
    "&",
    forward=lambda xp, x, y: xp.bitwise_and(x, y),
    elementwise=True,
    check=_no_bits,
    doc="x & y: the bits that are 1 in both; of booleans, whether both hold.",
)
bitwise_or = op(
    "bitwise_or",
    "|",
    forward=lambda xp, x, y: xp.bitwise_or(x, y),
    elementwise=True,
    check=_no_bits,
    doc="x | y: the bits that are 1 in one of them or both; of booleans, whether one holds.",
)
bitwise_xor = op(
    "bitwise_xor",
    "xor",
    forward=lambda xp, x, y: xp.bitwise_xor(x, y),
    elementwise=True,
    check=_no_bits,
    doc="x ^ y: the bits that are 1 in just one of them; of booleans, whether just one holds.",
)
bitwise_invert = op(
    "bitwise_invert",
    "~",
    forward=lambda xp, x: xp.bitwise_invert(x),
    elementwise=True,
    check=_no_bits,
    doc="~x: every bit the other way; of booleans, whether it does not hold.",
)
bitwise_left_shift = op(
    "bitwise_left_shift",
    "<<",
    forward=lambda xp, x, y: xp.bitwise_left_shift(x, y),
    elementwise=True,
    check=_no_bits,
    doc="x << y: the bits of x, y places up, where y is 0 or more.",
)
bitwise_right_shift = op(
    "bitwise_right_shift",
    ">>",
    forward=lambda xp, x, y: xp.bitwise_right_shift(x, y),
    elementwise=True,
    check=_no_bits,
    doc="x >> y: the bits of x, y places down, where y is 0 or more; the sign stays.",
)
