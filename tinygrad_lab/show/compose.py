"""Composes a scene from a picture: typeset the parts, lay them out, draw them in place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from math import floor, hypot

from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.show import style
from tinygrad_lab.show.layout import Layout, Link, Rectangle, Spacing, arrange
from tinygrad_lab.show.marks import Group, Mark, Scene, Shape, Step, Text, polygon, rounded
from tinygrad_lab.show.measure import width
from tinygrad_lab.show.picture import Arrow, Box, Picture
from tinygrad_lab.show.scale import scale_line
from tinygrad_lab.show.spine import LARGEST, arrange_along
from tinygrad_lab.show.typeset import Block, typeset_arrow, typeset_box

__all__ = ["Plan", "compose", "curve", "pointed"]

Point = tuple[float, float]

_MARGIN = 16.0
_HEAD, _HEAD_SIDE = 9.0, 3.6
_NEAR = 120.0
"""Lines up to this length lead to the next column, with nothing in between."""
_FOOT, _FOOT_GAP = 22.0, 10.0
_HEAD_ROOM, _HEADING_SIZE = 40.0, 20.0


def compose(picture: Picture, plan: Plan) -> Scene:
    """Lay out a picture and draw it.

    Args:
        picture: the picture.
        plan: its plan, which lays out its boxes and arrows.
    """
    graph = [*plan.frames(), *plan.arrows(), *plan.boxes()]
    foot, head = list(_foot(plan)), _HEAD_ROOM * bool(picture.heading)
    heading_wide = width(picture.heading, _HEADING_SIZE, bold=True)
    wide = max([plan.layout.width, heading_wide, *(_right_end(mark) for mark in foot)])
    high = plan.layout.height + head + (_FOOT_GAP if foot else 0)
    left = _MARGIN + (wide - plan.layout.width) / 2
    groups = [group.moved(left, _MARGIN + head) for group in graph]
    if picture.heading:
        at = _MARGIN + wide / 2, _MARGIN + 20
        heading = Text(*at, picture.heading, _HEADING_SIZE, style.INK, "middle", bold=True)
        groups.append(Group("heading", "heading", "", (heading,)))
    if foot:
        groups.append(Group("foot", "foot", "", tuple(foot)).moved(_MARGIN, _MARGIN + high))
    high += _FOOT * _foot_lines(picture)
    scene = Scene(wide + 2 * _MARGIN, high + 2 * _MARGIN, picture.title, tuple(groups))
    wanted = None if picture.font_size is None else picture.font_size / plan.name_size
    if picture.page is None:
        page = scene.width * (wanted or 1.0), scene.height * (wanted or 1.0)
        return scene if wanted is None else _on_a_page(scene, page, wanted)
    fitting = min(picture.page[0] / scene.width, picture.page[1] / scene.height)
    if wanted is not None and wanted > fitting:
        raise ArgumentError(
            f"tg.draw: names of {picture.font_size:g} px do not fit on a page of "
            f"{picture.page[0]:g} × {picture.page[1]:g} px; font_size can be up to "
            f"{floor(fitting * plan.name_size * 10) / 10:g}. Fewer boxes leave more room: "
            "part=, a smaller depth or most, parameters=False."
        )
    return _on_a_page(scene, picture.page, wanted or min(fitting, LARGEST))


def _on_a_page(scene: Scene, page: tuple[float, float], by: float) -> Scene:
    """Scale a scene, and put it into the middle of a page."""
    left, top = (page[0] - scene.width * by) / 2, (page[1] - scene.height * by) / 2
    groups = tuple(group.scaled(by).moved(left, top) for group in scene.groups)
    return Scene(*page, scene.title, groups)


class Plan:
    """The blocks of a picture and their positions."""

    spacing = Spacing()
    name_size, small = style.NAME_SIZE, style.LABEL_SIZE
    """The font sizes of names and of the legend."""
    unlabelled = 2
    """The columns that a line without a label takes: as many as one with a label."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        self.horizontal = picture.direction == "LR"
        self.blocks = {box.key: self.typeset(box) for box in picture.boxes}
        self.stops: list[list[str]] = []
        """The blocks that each arrow connects: two, or three with its label."""
        for place, arrow in enumerate(picture.arrows):
            label = None if picture.spine else self.typeset_label(arrow)
            if label is not None:
                self.blocks[f"label {place}"] = label
            middle = [f"label {place}"] * (label is not None)
            self.stops.append([arrow.source, *middle, arrow.target])
        self.layout = self._arranged()

    def _arranged(self) -> Layout:
        frame_of = {box.key: box.frame for box in self.picture.boxes}
        for first, *labels, last in self.stops:
            for label in labels:
                frame_of[label] = _frame_of_both(frame_of[first], frame_of[last])
        rectangles = [
            Rectangle(key, block.width, block.height, frame_of[key])
            for key, block in self.blocks.items()
        ]
        links = [
            Link(source, target, length=1 if len(stops) > 2 else self.unlabelled)
            for stops in self.stops
            for source, target in pairwise(stops)
        ]
        if self.picture.spine:
            inside = {frame: frame.keys for frame in self.picture.frames}
            page = self.picture.page and self._room_on(self.picture.page)
            return arrange_along(
                self.picture.spine,
                rectangles,
                links,
                inside,
                page,
                self.picture.direction,
                enough=(self.picture.font_size or 0.0) / style.NAME_SIZE,
            )
        titles = {
            frame: width(frame.title, style.LABEL_SIZE, bold=True) for frame in self.picture.frames
        }
        return arrange(rectangles, links, titles, self.picture.direction, self.spacing)

    def _room_on(self, page: tuple[float, float]) -> tuple[float, float]:
        """Return what a page leaves for the graph, beside margins, heading, legend and note."""
        rest = _HEAD_ROOM * bool(self.picture.heading)
        rest += _FOOT * _foot_lines(self.picture) + _FOOT_GAP
        return page[0] - 2 * _MARGIN, page[1] - 2 * _MARGIN - rest

    # --- the parts ---------------------------------------------------------------------------

    def typeset(self, box: Box) -> Block:
        """Typeset a box; other forms of pictures do it in their own way."""
        return typeset_box(box)

    def typeset_label(self, arrow: Arrow) -> Block | None:
        """Typeset the label of an arrow; None if it has none."""
        return typeset_arrow(arrow, self.picture.direction)

    def legend(self, middle: float) -> Iterator[Mark]:
        """Yield the explanation of what the picture shows, on a line."""
        yield from _legend(self.picture, middle)

    def _placed(self, key: str) -> tuple[Mark, ...]:
        block, (x, y) = self.blocks[key], self.layout.centers[key]
        return block.at(x - block.width / 2, y - block.height / 2)

    def boxes(self) -> Iterator[Group]:
        """Yield a group for each box."""
        for box in self.picture.boxes:
            role = f"node {box.kind}{' output' * box.output}"
            yield Group(role, box.key, box.tooltip, self._placed(box.key))

    def frames(self) -> Iterator[Group]:
        """Yield the frames of modules, outer ones first."""
        for frame in self.picture.frames:
            x0, y0, x1, y1 = self.layout.frames[frame.path]
            background = style.FRAMES[frame.path.count(".") % 2]
            outline = rounded(x0, y0, x1 - x0, y1 - y0, 9)
            ground = Shape(outline, fill=background, stroke=style.FRAME_BORDER)
            color = style.INK if frame.keys else style.QUIET  # how often something repeats
            title = Text(x0 + 11, y0 + 17, frame.title, style.LABEL_SIZE, color, bold=True)
            yield Group("module", frame.path, frame.path, (ground, title))

    def arrows(self) -> Iterator[Group]:
        """Yield the arrows, each with its label."""
        curves = iter(self.layout.curves)
        for arrow, stops in zip(self.picture.arrows, self.stops, strict=True):
            color = style.LINE if arrow.flows else style.FAINT_LINE
            color, thickness = (style.SKIP, 2.6) if arrow.skip else (color, 1.3)
            lines = [self._line(a, b, next(curves)) for a, b in pairwise(stops)]
            lines[-1], head = self._with_head(lines[-1])
            dashed = not arrow.flows and not arrow.skip
            marks: list[Mark] = [curve(line, color, thickness, dashed=dashed) for line in lines]
            marks.append(Shape(head, fill=color))
            for label in stops[1:-1]:
                marks += self._placed(label)
            role = "edge" if arrow.flows else "edge constant"
            yield Group(role, f"{arrow.source}-{arrow.target}", arrow.tooltip, tuple(marks))

    def _line(self, source: str, target: str, route: tuple[Point, ...]) -> tuple[Point, ...]:
        """Draw a line from border to border: a smooth bend to a neighbour, else the given route."""
        if self.layout.exact:
            return route
        (x0, y0), (x1, y1) = self.layout.centers[source], self.layout.centers[target]
        if self.horizontal:
            x0, x1 = x0 + self.blocks[source].width / 2, x1 - self.blocks[target].width / 2
        else:
            y0, y1 = y0 + self.blocks[source].height / 2, y1 - self.blocks[target].height / 2
        if len(route) > 4 or max(x1 - x0, y1 - y0) > _NEAR:
            return ((x0, y0), *route[1:-1], (x1, y1))
        return self._bend((x0, y0), (x1, y1))

    def _bend(self, start: Point, end: Point) -> tuple[Point, ...]:
        (x0, y0), (x1, y1) = start, end
        if self.horizontal:
            return start, ((x0 + x1) / 2, y0), ((x0 + x1) / 2, y1), end
        return start, (x0, (y0 + y1) / 2), (x1, (y0 + y1) / 2), end

    def _with_head(self, line: tuple[Point, ...]) -> tuple[tuple[Point, ...], tuple[Step, ...]]:
        """Shorten a line to where its arrowhead begins, and return it with the head."""
        x, y = line[-1]
        if self.layout.exact:
            return pointed(line)
        if self.horizontal:
            neck = x - _HEAD, y
            sides = [(x - _HEAD, y - _HEAD_SIDE), (x - _HEAD, y + _HEAD_SIDE)]
        else:
            neck = x, y - _HEAD
            sides = [(x - _HEAD_SIDE, y - _HEAD), (x + _HEAD_SIDE, y - _HEAD)]
        body = self._bend(line[0], neck) if len(line) == 4 else (*line[:-1], neck)
        return body, polygon([(x, y), *sides])


def _frame_of_both(one: str, other: str) -> str:
    """Return the innermost frame that contains both paths."""
    while one and one != other and not other.startswith(f"{one}."):
        one = one.rpartition(".")[0]
    return one


def pointed(line: tuple[Point, ...]) -> tuple[tuple[Point, ...], tuple[Step, ...]]:
    """Shorten a line that ends in any direction, and return it with its head."""
    (x0, y0), (x, y) = line[-2], line[-1]
    far = hypot(x - x0, y - y0) or 1.0
    dx, dy = (x - x0) / far, (y - y0) / far
    neck = x - _HEAD * dx, y - _HEAD * dy
    side = _HEAD_SIDE * dy, -_HEAD_SIDE * dx
    ends = [(neck[0] + side[0], neck[1] + side[1]), (neck[0] - side[0], neck[1] - side[1])]
    return (*line[:-1], neck), polygon([(x, y), *ends])


def curve(points: tuple[Point, ...], color: str, thickness: float, *, dashed: bool) -> Shape:
    """Draw a Bézier spline: a start, then three points for each piece."""
    pieces = range(1, len(points) - 2, 3)
    steps: tuple[Step, ...] = (
        ("M", (points[0],)),
        *(("C", points[place : place + 3]) for place in pieces),
    )
    return Shape(steps, stroke=color, width=thickness, dashed=dashed)


# --- below the graph ------------------------------------------------------------------------------


def _foot_lines(picture: Picture) -> int:
    """Return how many lines stand below the graph."""
    return picture.legend * (1 + (picture.scale is not None)) + bool(picture.note)


def _foot(plan: Plan) -> Iterator[Mark]:
    """Yield the legend, the scale of colours and the note below the graph."""
    picture, middle = plan.picture, _FOOT / 2
    if picture.legend:
        yield from plan.legend(middle)
        middle += _FOOT
    if picture.legend and picture.scale is not None:
        yield from scale_line(picture.scale, middle, plan.small)
        middle += _FOOT
    if picture.note:
        yield Text(0, middle + 4, picture.note, style.LABEL_SIZE, style.QUIET)


def _legend(picture: Picture, middle: float) -> Iterator[Mark]:
    kinds = {box.kind for box in picture.boxes if not box.output}
    names = {
        "leaf": "leaf: wants a gradient",
        "constant": "constant",
        "computed": "computed",
        "folded": "folded",
        "failed": "failed",
    }
    shown = [kind for kind in names if kind in kinds]
    x = 0.0
    marked = [("highlighted", "highlighted")] * any(box.highlighted for box in picture.boxes)
    output = [("output", "output")] * any(box.output for box in picture.boxes)
    for look_name, words in [*((kind, names[kind]) for kind in shown), *output, *marked]:
        look = style.LOOKS[look_name]
        swatch = rounded(x, middle - 5.5, 17, 11, 3)
        thickness = min(look.border_width, 1.75)
        fill = look.header if picture.scale is None else style.PAPER
        yield Shape(swatch, fill, look.border, thickness, look.dashed)
        yield Text(x + 23, middle + 4, words, style.LABEL_SIZE, style.QUIET)
        x += 23 + width(words, style.LABEL_SIZE) + 16
    texts = [(arrow.label, arrow.content) for arrow in picture.arrows if arrow.flows]
    words = "on an edge: the local derivative" * any(content for _, content in texts)
    if any(label.startswith("g ↦") for label, _ in texts):
        words += ", or" * bool(words) + " what becomes of g, the gradient of the box it leads to"
    if words:
        yield Text(x, middle + 4, words.strip(), style.LABEL_SIZE, style.DERIVATIVE)


def _right_end(mark: Mark) -> float:
    return mark.x + width(mark.text, mark.size) if isinstance(mark, Text) else 0.0
