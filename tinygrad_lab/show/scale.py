"""The line below a picture that explains the colours of its boxes."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_lab.show import style
from tinygrad_lab.show.marks import Mark, Shape, Text, polygon, rounded
from tinygrad_lab.show.measure import width
from tinygrad_lab.show.picture import Scale, Special

__all__ = ["scale_line"]

_STEP, _HIGH, _GAP = 15.0, 12.0, 7.0
_WORDS: dict[Special, str] = {
    "zero": "exactly 0",
    "dead": "dead",
    "NaN": "NaN",
    "∞": "infinite",
    "unknown": "–: not known",
}


def scale_line(scale: Scale, middle: float, size: float) -> Iterator[Mark]:
    """Yield a bar of the colours with its ends, and swatches of what is no number on it.

    Args:
        scale: the scale.
        middle: the height of the line's middle.
        size: the font size.
    """
    x, baseline = 0.0, middle + 0.36 * size
    low, high = scale.ends
    yield Text(x, baseline, f"{scale.title}:", size, style.QUIET)
    x += width(f"{scale.title}: {low}", size)
    yield Text(x, baseline, low, size, style.QUIET, "end")
    x += _GAP
    for color in style.SCALE:
        corners = [(x, middle), (x + _STEP, middle)]
        box = [(a, b - _HIGH / 2) for a, b in corners]
        box += [(a, b + _HIGH / 2) for a, b in reversed(corners)]
        yield Shape(polygon(box), fill=color)
        x += _STEP
    x += _GAP
    yield Text(x, baseline, high, size, style.QUIET)
    x += width(high, size) + 16
    for one in scale.specials:
        fill, _ = style.SPECIAL[one]
        swatch = rounded(x, middle - _HIGH / 2, 17, _HIGH, 3)
        yield Shape(swatch, fill=fill, stroke=style.LINE, dashed=one == "unknown")
        x += 17 + _GAP
        yield Text(x, baseline, _WORDS[one], size, style.QUIET)
        x += width(_WORDS[one], size) + 16
