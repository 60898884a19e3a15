"""Colours and sizes of a picture.

The hues are blue and orange of Okabe & Ito (2008), which are distinguishable with any colour
vision, darkened until text in them has a contrast of at least 4.5 : 1 on white (WCAG 2.2, AA). No
meaning depends on a hue alone: kinds of boxes also differ in their border.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FONTS", "LOOKS", "Look"]

FONTS = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', sans-serif"

INK = "#1b1f24"
QUIET = "#5c6370"
VALUE = INK
GRADIENT = "#b3420a"
DERIVATIVE = "#00618f"
LINE = "#4a5260"
FAINT_LINE = "#9aa1ac"
SKIP = "#0072b2"
PAPER = "#ffffff"
HIGHLIGHT = "#f0c000"
PILL = "#e8f2f9"
FRAMES = ("#f6f7f9", "#eff1f4")
"""The backgrounds of frames, alternating with the nesting depth."""
FRAME_BORDER = "#c9ced6"

NAME_SIZE = 15.0
TEXT_SIZE = 13.0
LABEL_SIZE = 11.5
DERIVATIVE_SIZE = 12.5


@dataclass(frozen=True)
class Look:
    """The look of a kind of box."""

    header: str
    border: str
    border_width: float = 1.25
    dashed: bool = False
    double: bool = False


LOOKS = {
    "leaf": Look(header="#d6e9f8", border="#0072b2"),
    "constant": Look(header=PAPER, border="#7d8590", dashed=True),
    "computed": Look(header="#eceef1", border="#4a5260"),
    "folded": Look(header="#eceef1", border="#4a5260", double=True),
    "failed": Look(header="#f9d5d0", border="#9c0d0d", border_width=2.5, dashed=True),
    "highlighted": Look(header=HIGHLIGHT, border=INK, border_width=1.5),
    "output": Look(header="#fde6cf", border="#c25700", border_width=2.5),
}
