"""Colours and sizes of a picture.

The hues are blue and orange of Okabe & Ito (2008), which are distinguishable with any colour
vision, darkened until text in them has a contrast of at least 4.5 : 1 on white (WCAG 2.2, AA). No
meaning depends on a hue alone: kinds of boxes also differ in their border.

Pictures are composed in the colours of the light theme. The dark one has another colour for each:
the same hues, light on dark, with the same contrasts.
"""

from __future__ import annotations

from colorsys import hls_to_rgb, rgb_to_hls
from dataclasses import dataclass
from typing import Literal

__all__ = ["FONTS", "LOOKS", "THEMES", "Look", "Theme", "contrast", "in_dark", "ink_on"]

Theme = Literal["light", "dark", "auto"]
THEMES: tuple[Theme, ...] = ("light", "dark", "auto")

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

SCALE = (
    *("#fde725", "#bddf26", "#7ad151", "#44bf70", "#22a884", "#21918c"),
    *("#2a788e", "#355f8d", "#414487", "#482475", "#440154"),
)
"""From small numbers to large ones: viridis, which is read with any colour vision and in grey.

Source: van der Walt & Smith, "A Better Default Colormap for Matplotlib", SciPy 2015.
"""
_DARK_INK, _LIGHT_INK = "#010101", "#fefefe"
SPECIAL = {
    "NaN": ("#020202", _LIGHT_INK),
    "∞": ("#3b3b3b", _LIGHT_INK),
    "dead": ("#9a9a9a", _DARK_INK),
    "zero": ("#fdfdfd", _DARK_INK),
    "unknown": ("#e4e4e4", _DARK_INK),
}
"""The grounds and inks of what is no number on the scale: greys, which the scale does not have."""

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
    "backward": Look(header="#fde6cf", border=GRADIENT),
    "output": Look(header="#fde6cf", border="#c25700", border_width=2.5),
}


def ink_on(ground: str) -> str:
    """Return the ink that is read on a ground: of black and white, one always has 4.5 : 1.

    Example:
        >>> ink_on("#fde725"), ink_on("#440154")
        ('#010101', '#fefefe')
    """
    return max(_DARK_INK, _LIGHT_INK, key=lambda ink: contrast(ink, ground))


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21.

    Source: WCAG 2.2, "contrast ratio" and "relative luminance".

    Example:
        >>> contrast("#000000", "#ffffff")
        21.0
    """
    dark, light = sorted(map(_luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_IN_DARK = {
    INK: "#e9ecf0",
    QUIET: "#a6aebb",
    GRADIENT: "#ffa470",
    DERIVATIVE: "#86caf3",
    LINE: "#a9b1be",
    FAINT_LINE: "#6f7784",
    SKIP: "#56b4e9",
    PAPER: "#14171b",
    HIGHLIGHT: "#8f7200",
    PILL: "#12303f",
    FRAMES[0]: "#1c2026",
    FRAMES[1]: "#23282f",
    FRAME_BORDER: "#434b57",
    "#7d8590": "#8a92a0",
    "#d6e9f8": "#12395a",
    "#eceef1": "#2b3038",
    "#f9d5d0": "#5a1f1a",
    "#9c0d0d": "#ff8a80",
    "#fde6cf": "#54300f",
    "#c25700": "#e88a3c",
    # A number has the same colour in both themes, and what is written on it.
    **{color: color for pair in SPECIAL.values() for color in pair},
    **{color: color for color in SCALE},
}


def in_dark(color: str) -> str:
    """Return the colour of the dark theme for one of the light theme.

    A colour that is not of the theme, as of a scale of numbers, gets the opposite lightness.

    Example:
        >>> in_dark("#1b1f24"), in_dark("#ffeeee")
        ('#e9ecf0', '#110000')
    """
    known = _IN_DARK.get(color)
    if known is not None:
        return known
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    hue, lightness, saturation = rgb_to_hls(red, green, blue)
    parts = hls_to_rgb(hue, 1 - lightness, saturation)
    return "#" + "".join(f"{round(part * 255):02x}" for part in parts)
