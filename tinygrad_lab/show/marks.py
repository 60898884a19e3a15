"""The elements of a picture after layout: texts and shapes, in groups."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

__all__ = [
    *("Anchor", "Colors", "Group", "Mark", "Scene", "Shape", "Text"),
    *("polygon", "polyline", "rounded"),
]

Anchor = Literal["start", "middle", "end"]
"""The end of a text that is placed at its ``x``."""
Point = tuple[float, float]
Colors = Callable[[str], str]
"""From a colour, ``#rrggbb``, to that of another theme."""
Step = tuple[Literal["M", "L", "C", "Z"], tuple[Point, ...]]

_ROUND = 0.5522847498
"""The distance of a quarter circle's control points from its ends, in radii."""


@dataclass(frozen=True)
class Text:
    """A line of text; ``y`` is its baseline."""

    x: float
    y: float
    text: str
    size: float
    color: str
    anchor: Anchor = "start"
    bold: bool = False
    italic: bool = False

    def moved(self, dx: float, dy: float) -> Text:
        return replace(self, x=self.x + dx, y=self.y + dy)

    def scaled(self, by: float) -> Text:
        return replace(self, x=self.x * by, y=self.y * by, size=self.size * by)

    def recolored(self, new: Colors) -> Text:
        return replace(self, color=new(self.color))


@dataclass(frozen=True)
class Shape:
    """Lines and curves: the steps of an SVG path."""

    steps: tuple[Step, ...]
    fill: str | None = None
    stroke: str | None = None
    width: float = 1.0
    dashed: bool = False

    def moved(self, dx: float, dy: float) -> Shape:
        return self._with_points(lambda x, y: (x + dx, y + dy))

    def scaled(self, by: float) -> Shape:
        return replace(self._with_points(lambda x, y: (x * by, y * by)), width=self.width * by)

    def recolored(self, new: Colors) -> Shape:
        fill, stroke = (one and new(one) for one in (self.fill, self.stroke))
        return replace(self, fill=fill, stroke=stroke)

    def _with_points(self, place: Callable[[float, float], Point]) -> Shape:
        steps = [(command, tuple(place(*at) for at in points)) for command, points in self.steps]
        return replace(self, steps=tuple(steps))


Mark = Text | Shape


@dataclass(frozen=True)
class Group:
    """Marks that belong together, with a tooltip."""

    role: str
    key: str
    tooltip: str
    marks: tuple[Mark, ...]

    def moved(self, dx: float, dy: float) -> Group:
        return replace(self, marks=tuple(mark.moved(dx, dy) for mark in self.marks))

    def scaled(self, by: float) -> Group:
        return replace(self, marks=tuple(mark.scaled(by) for mark in self.marks))

    def recolored(self, new: Colors) -> Group:
        return replace(self, marks=tuple(mark.recolored(new) for mark in self.marks))


@dataclass(frozen=True)
class Scene:
    """A picture in its final form, from the bottom layer to the top one."""

    width: float
    height: float
    title: str
    groups: tuple[Group, ...]
    paper: str = "#ffffff"
    """The colour of the ground."""

    def recolored(self, new: Colors) -> Scene:
        """Exchange the colours, the ground's too."""
        groups = tuple(group.recolored(new) for group in self.groups)
        return replace(self, groups=groups, paper=new(self.paper))


def polyline(points: Iterable[Point]) -> tuple[Step, ...]:
    """Join points by straight lines."""
    first, *others = points
    return (("M", (first,)), *(("L", (point,)) for point in others))


def polygon(points: Iterable[Point]) -> tuple[Step, ...]:
    """Join points to a closed polygon."""
    return (*polyline(points), ("Z", ()))


def rounded(
    x: float, y: float, width: float, height: float, radius: float, *, bottom: bool = True
) -> tuple[Step, ...]:
    """Outline a rectangle with round corners; with ``bottom=False`` the lower two are square."""
    low = radius if bottom else 0.0
    right, end = x + width, y + height
    near, low_near = radius * (1 - _ROUND), low * (1 - _ROUND)
    return (
        ("M", ((x + radius, y),)),
        ("L", ((right - radius, y),)),
        ("C", ((right - near, y), (right, y + near), (right, y + radius))),
        ("L", ((right, end - low),)),
        ("C", ((right, end - low_near), (right - low_near, end), (right - low, end))),
        ("L", ((x + low, end),)),
        ("C", ((x + low_near, end), (x, end - low_near), (x, end - low))),
        ("L", ((x, y + radius),)),
        ("C", ((x, y + near), (x + near, y), (x + radius, y))),
        ("Z", ()),
    )
