"""What tests of pictures measure: where texts stand, by the widths that the package counts with."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator

from tinygrad_lab.show.drawing import Drawing
from tinygrad_lab.show.forms import scene_of
from tinygrad_lab.show.marks import Text
from tinygrad_lab.show.measure import width

Rectangle = tuple[float, float, float, float]


def overlap(one: Rectangle, other: Rectangle) -> bool:
    (a, b, c, d), (e, f, g, h) = one, other
    return a < g - 0.1 and e < c - 0.1 and b < h - 0.1 and f < d - 0.1


def rectangles_of_texts(drawing: Drawing) -> Iterator[tuple[str, Rectangle]]:
    """Yield each text with the rectangle that its letters fill, from ascender to baseline."""
    for group in scene_of(drawing.picture).groups:
        for mark in group.marks:
            if isinstance(mark, Text):
                wide = width(mark.text, mark.size, bold=mark.bold)
                left = mark.x - wide * {"start": 0.0, "middle": 0.5, "end": 1.0}[mark.anchor]
                yield mark.text, (left, mark.y - 0.75 * mark.size, left + wide, mark.y)


def texts_on_each_other(drawing: Drawing) -> list[tuple[str, str]]:
    found = list(rectangles_of_texts(drawing))
    return [
        (text, other)
        for (text, one), (other, two) in itertools.combinations(found, 2)
        if overlap(one, two)
    ]


def font_sizes(drawing: Drawing) -> list[float]:
    return [float(size) for size in re.findall(r'font-size="([\d.]+)"', drawing.svg)]


def texts_of(drawing: Drawing, role: str) -> dict[str, list[str]]:
    """Return the texts of each group of a role, by its key."""
    space = "{http://www.w3.org/2000/svg}"
    return {
        group.get("data-key", ""): ["".join(text.itertext()) for text in group.iter(f"{space}text")]
        for group in ET.fromstring(drawing.svg).iter(f"{space}g")
        if role in group.get("class", "").split()
    }
