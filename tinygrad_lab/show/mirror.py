"""The plan of a picture of both ways: below each box that of its gradient, with lines back."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise

from tinygrad_lab.show import style
from tinygrad_lab.show.compose import Plan, curve, pointed
from tinygrad_lab.show.layout import Layout
from tinygrad_lab.show.marks import Group, Mark, Shape, Text
from tinygrad_lab.show.measure import width
from tinygrad_lab.show.picture import Arrow, Box
from tinygrad_lab.show.typeset import Block, row_middles, typeset_box

__all__ = ["MirrorPlan"]

Point = tuple[float, float]

_GAP = 8.0
"""Between the box of a value and that of its gradient."""
_LANE = 3.0
"""How far the ways there and back are from the middle of a route that both have."""
_BEND = 22.0
"""The length of a bend from a box to a route that leads around others."""


class MirrorPlan(Plan):
    """Blocks of a value above and its gradient below (``"TB"``: at its right), and their positions.

    The gap between both is in the middle of a block, so that values stand in a line, and gradients.
    """

    def typeset(self, box: Box) -> Block:
        """Typeset a value and its gradient."""
        value, gradient = typeset_box(box), _gradient_of(box)
        if self.horizontal:
            wide = max(value.width, gradient.width)
            half = max(value.height, gradient.height) + _GAP / 2
            marks = [
                *value.at((wide - value.width) / 2, half - _GAP / 2 - value.height),
                *gradient.at((wide - gradient.width) / 2, half + _GAP / 2),
            ]
            return Block(wide, 2 * half, tuple(marks))
        high = max(value.height, gradient.height)
        half = max(value.width, gradient.width) + _GAP / 2
        marks = [
            *value.at(half - _GAP / 2 - value.width, (high - value.height) / 2),
            *gradient.at(half + _GAP / 2, (high - gradient.height) / 2),
        ]
        return Block(2 * half, high, tuple(marks))

    def typeset_label(self, arrow: Arrow) -> Block | None:
        """Leave arrows without labels: the rules stand with the gradients."""
        return None

    def _arranged(self) -> Layout:
        """Lay out blocks and lines: a line back beside each line along which a gradient flows."""
        back = [n for n, arrow in enumerate(self.picture.arrows) if arrow.flows]
        self._ways = [*((n, False) for n in range(len(self.stops))), *((n, True) for n in back)]
        self.stops += [self.stops[n] for n in back]
        return super()._arranged()

    # --- lines -------------------------------------------------------------------------------

    def arrows(self) -> Iterator[Group]:
        """Yield the arrows there, and then those back."""
        boxes = {box.key: box for box in self.picture.boxes}
        rows = {
            place: row
            for box in self.picture.boxes
            if box.backward is not None
            for row, place in box.backward.backward_to
        }
        for (place, back), route in zip(self._ways, self.layout.curves, strict=True):
            arrow = self.picture.arrows[place]
            source, target = boxes[arrow.source], boxes[arrow.target]
            keys = source.key, target.key
            if back:
                ends = self._end_back(source), self._start_back(target, rows[place])
                marks = _drawn(self._between(keys, ends, route, _LANE)[::-1], style.GRADIENT)
                yield Group("edge backward", f"{target.key}-{source.key}", "", marks)
            else:
                ends = self._end(source, out=True), self._end(target)
                line = self._between(keys, ends, route, -_LANE)
                color = style.LINE if arrow.flows else style.FAINT_LINE
                marks = _drawn(line, color, dashed=not arrow.flows)
                role = "edge" if arrow.flows else "edge constant"
                yield Group(role, f"{source.key}-{target.key}", arrow.tooltip, marks)

    def _between(
        self,
        keys: tuple[str, str],
        ends: tuple[Point, Point],
        route: tuple[Point, ...],
        aside: float,
    ) -> tuple[Point, ...]:
        """Lead from a column to the next by a bend in the gap, else along a route around boxes.

        Args:
            keys: the blocks between which it leads.
            ends: where it begins and ends.
            route: a spline around other boxes.
            aside: how far from the route it leads.
        """
        start, end = ends
        if not self.horizontal:
            start, end = start[::-1], end[::-1]
            route = tuple((x, y) for y, x in route)
        route = tuple((x, y + aside) for x, y in route)
        left, right = self._columns[keys[0]][1], self._columns[keys[1]][0]
        if self._is_next(left, right):
            line = (start, *_straight(start, (left, start[1])))
            line += (*_bend(line[-1], (right, end[1])), *_straight((right, end[1]), end))
        else:
            first, rest = _split(route, left + _BEND)
            last, rest = _split(rest[::-1], right - _BEND)
            near, far = (left, start[1]), (right, end[1])
            line = (start, *_straight(start, near), *_bend(near, first))
            line += (*rest[-2::-1], *_bend(last, far), *_straight(far, end))
        return line if self.horizontal else tuple((x, y) for y, x in line)

    @cached_property
    def _columns(self) -> dict[str, tuple[float, float]]:
        """Where the column of each block begins and ends."""
        axis = 0 if self.horizontal else 1
        ends: dict[int, tuple[float, float]] = {}
        column_of: dict[str, int] = {}
        for key, block in self.blocks.items():
            middle = self.layout.centers[key][axis]
            half = (block.width if self.horizontal else block.height) / 2
            column_of[key] = column = round(middle)
            low, high = ends.get(column, (middle, middle))
            ends[column] = min(low, middle - half), max(high, middle + half)
        return {key: ends[column] for key, column in column_of.items()}

    def _is_next(self, left: float, right: float) -> bool:
        """Return whether no column is between the end of one and the beginning of another."""
        return left < right and not any(
            low < right and left < high for low, high in self._columns.values()
        )

    def _end(self, box: Box, *, out: bool = False) -> Point:
        """Return where arrows leave or enter the box of a value."""
        (x, y), block = self.layout.centers[box.key], typeset_box(box)
        if self.horizontal:
            side = block.width / 2 if out else -block.width / 2
            return x + side, y - _GAP / 2 - block.height / 2
        side = block.height / 2 if out else -block.height / 2
        return x - _GAP / 2 - block.width / 2, y + side

    def _start_back(self, box: Box, row: int) -> Point:
        """Return where an arrow leaves a row of the box of a gradient."""
        assert box.backward is not None
        (x, y), block = self.layout.centers[box.key], _gradient_of(box)
        if self.horizontal:
            return x - block.width / 2, y + _GAP / 2 + row_middles(box.backward)[row]
        return x + _GAP / 2 + block.width / 2, y - block.height / 2

    def _end_back(self, box: Box) -> Point:
        """Return where arrows enter the box of a gradient: at its title."""
        (x, y), block = self.layout.centers[box.key], _gradient_of(box)
        if self.horizontal:
            return x + block.width / 2, y + _GAP / 2 + min(15.0, block.height / 2)
        return x + _GAP / 2 + block.width / 2, y + block.height / 2

    def legend(self, middle: float) -> Iterator[Mark]:
        """Yield the usual explanation, and that of the way back."""
        usual = list(super().legend(middle))
        yield from usual
        x = max(
            (mark.x + width(mark.text, mark.size) for mark in usual if isinstance(mark, Text)),
            default=-16.0,
        )
        words = "orange: the way back; d_x is the gradient of the output with respect to x"
        yield Text(x + 16, middle + 4, words, self.small, style.GRADIENT)


def _straight(start: Point, end: Point) -> tuple[Point, ...]:
    """Return the rest of a Bézier piece along a line; nothing if it has no length."""
    (x0, y0), (x1, y1) = start, end
    if abs(x1 - x0) + abs(y1 - y0) < 0.01:
        return ()
    return (
        (x0 + (x1 - x0) / 3, y0 + (y1 - y0) / 3),
        (x1 - (x1 - x0) / 3, y1 - (y1 - y0) / 3),
        end,
    )


def _bend(start: Point, end: Point) -> tuple[Point, ...]:
    """Return the rest of a Bézier piece that begins and ends straight ahead."""
    middle = (start[0] + end[0]) / 2
    return (middle, start[1]), (middle, end[1]), end


def _split(route: tuple[Point, ...], x: float) -> tuple[Point, tuple[Point, ...]]:
    """Cut a spline where it passes an x; return the point, and the spline from there on.

    Source: de Casteljau's algorithm.
    """
    ahead = 1 if route[-1][0] > route[0][0] else -1
    for place in range(0, len(route) - 1, 3):
        piece = route[place : place + 4]
        if (piece[-1][0] - x) * ahead < 0:
            continue
        low, high = 0.0, 1.0
        for _ in range(30):
            share = (low + high) / 2
            point, rest = _halves(piece, share)
            low, high = (share, high) if (point[0] - x) * ahead < 0 else (low, share)
        return point, (*rest, *route[place + 4 :])
    return route[-1], (route[-1],)


def _halves(piece: tuple[Point, ...], share: float) -> tuple[Point, tuple[Point, ...]]:
    """Return the point at a share of a Bézier piece, and the control points of what follows."""
    rest = [piece[-1]]
    while len(piece) > 1:
        piece = tuple(
            (a + share * (c - a), b + share * (d - b)) for (a, b), (c, d) in pairwise(piece)
        )
        rest.append(piece[-1])
    return piece[0], tuple(reversed(rest))


def _drawn(line: tuple[Point, ...], color: str, *, dashed: bool = False) -> tuple[Mark, ...]:
    """Draw a line and its head."""
    body, head = pointed(line)
    return curve(body, color, 1.3, dashed=dashed), Shape(head, fill=color)


def _gradient_of(box: Box) -> Block:
    return Block(0.0, 0.0, ()) if box.backward is None else typeset_box(box.backward)
