"""Layout along a spine: the main path is a straight line, in as many rows as a page needs.

What is not on the main path stands below it: parameters beside their op, branches in lanes of their
own. Lines run in channels where no boxes are: skip connections above the rows, branches in the gaps
between columns, what leads to the next row between the rows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tinygrad_lab.show.layout import Layout, Link, Point, Rectangle
from tinygrad_lab.show.picture import Direction, Frame

__all__ = ["LARGEST", "arrange_along", "best_rows"]

_GAP = 46.0
"""Between two columns: room for an arrow."""
_LANE_GAP = 26.0
_ROW_GAP = 34.0
_CHANNEL = 15.0
"""Between two lines that run side by side."""
_BESIDE = 12.0
"""Between two boxes below the same one."""
_TITLE = 24.0
"""Above a row with frames."""
_RADIUS = 9.0
_MOST_ROWS = 10
LARGEST = 1.6
"""Boxes larger than this look clumsy on a slide."""
_ENOUGH = 1.3
"""Up to here another row is worth it: text is 15 px high on a slide then."""


@dataclass
class _Place:
    """Where a box stands: a column, and a lane below the spine; lane 0 is the spine."""

    column: int
    lane: int = 0
    span: tuple[int, int] = (0, 0)
    """The columns that the box and its lines occupy in its lane."""


def arrange_along(
    spine: Sequence[str],
    rectangles: Sequence[Rectangle],
    links: Sequence[Link],
    frames: Mapping[Frame, tuple[str, ...]],
    page: tuple[float, float] | None = None,
    direction: Direction = "LR",
    enough: float = 0.0,
) -> Layout:
    """Place rectangles along a spine, and route links around them.

    Args:
        spine: the keys of the main path, in order.
        rectangles: all boxes, inputs before what they lead to.
        links: lines between them.
        frames: what each frame encloses: keys of the spine that follow each other.
        page: width and height to fit into; None for one row.
        direction: with ``"TB"`` the rows are columns, read from left to right.
        enough: scale up to which another row is worth it, if that is more than usual.
    """
    if direction == "TB":
        turned = [replace(one, width=one.height, height=one.width) for one in rectangles]
        return _turned(
            arrange_along(spine, turned, links, frames, page and page[::-1], enough=enough)
        )
    sizes = {one.key: (one.width, one.height) for one in rectangles}
    places = _places(spine, [one.key for one in rectangles], links)
    widths = _column_widths(places, sizes, len(spine))

    def layout(rows: Sequence[int]) -> Layout:
        return _Grid(places, sizes, widths, links, frames, rows).layout()

    if page is None:
        return layout([len(spine)])
    place = {key: n for n, key in enumerate(spine)}
    glued = {place[key] for keys in frames.values() for key in keys[1:]}
    found = []
    for rows in best_rows(widths, _GAP, _MOST_ROWS, glued):
        one = layout(rows)
        scale = min(page[0] / one.width, page[1] / one.height, max(_ENOUGH, enough))
        # A row more is worth it only if the text grows.
        found.append((scale * 0.985 ** len(rows), one))
    return max(found, key=lambda one: one[0])[1]


def _turned(layout: Layout) -> Layout:
    """Exchange x and y."""
    return Layout(
        layout.height,
        layout.width,
        {key: (y, x) for key, (x, y) in layout.centers.items()},
        tuple(tuple((y, x) for x, y in curve) for curve in layout.curves),
        {path: (b, a, d, c) for path, (a, b, c, d) in layout.frames.items()},
        exact=True,
    )


def best_rows(
    widths: Sequence[float], gap: float, most: int, glued: Container[int] = ()
) -> list[list[int]]:
    """Return, for each number of rows, how many columns each has so that the widest is narrow.

    Args:
        widths: of the columns.
        gap: between two columns.
        most: up to so many rows.
        glued: columns that stay in the row of the one before.

    Example:
        >>> best_rows([10.0, 10.0, 10.0, 30.0], 0.0, 3)
        [[4], [3, 1]]
    """
    whole: list[tuple[int, float]] = []
    for column, width in enumerate(widths):
        if column in glued:
            count, before = whole.pop()
            whole.append((count + 1, before + gap + width))
        else:
            whole.append((1, width))
    found: list[list[int]] = []
    for count in range(1, min(most, len(whole)) + 1):
        low, high = max(wide for _, wide in whole), sum(widths) + gap * len(widths)
        for _ in range(40):
            middle = (low + high) / 2
            if len(_broken(whole, gap, middle)) <= count:
                high = middle
            else:
                low = middle
        rows = _broken(whole, gap, high)
        found += [rows] if rows not in found else []
    return found


def _broken(whole: Sequence[tuple[int, float]], gap: float, limit: float) -> list[int]:
    """Break columns, or several that stay together, into rows of at most ``limit``."""
    rows: list[int] = []
    room = -1.0
    for count, width in whole:
        if rows and room >= width + gap:
            rows[-1] += count
            room -= width + gap
        else:
            rows.append(count)
            room = limit - width
    return rows


# --- columns and lanes ---------------------------------------------------------------------------


def _places(spine: Sequence[str], keys: Sequence[str], links: Sequence[Link]) -> dict[str, _Place]:
    places = {key: _Place(column, span=(column, column)) for column, key in enumerate(spine)}
    targets: dict[str, list[str]] = {}
    sources: dict[str, list[str]] = {}
    for link in links:
        targets.setdefault(link.source, []).append(link.target)
        sources.setdefault(link.target, []).append(link.source)
    last = len(spine) - 1
    # Branches first, each after what it comes from; then leaves, below what uses them first.
    for key in [key for key in keys if key not in places and key in sources]:
        start = max((places[one].column for one in sources[key] if one in places), default=0)
        ends = [places[one].column for one in targets.get(key, ()) if one in places]
        end = min(ends, default=last + 1)
        column = min(start + 1, max(end - 1, start), last)
        places[key] = _Place(column, -1, (min(start + 1, column), max(end - 1, column)))
    for key in reversed([key for key in keys if key not in places]):
        users = [places[one].column for one in targets.get(key, ()) if one in places]
        column = min(users, default=0)
        places[key] = _Place(column, -1, (column, max(users, default=column)))
    _give_lanes(places, keys, sources)
    return places


def _give_lanes(
    places: Mapping[str, _Place], keys: Sequence[str], sources: Mapping[str, list[str]]
) -> None:
    """Put leaves of one column side by side, and branches into lanes where they have room."""
    taken: dict[int, list[tuple[int, int]]] = {}
    waiting = [key for key in keys if places[key].lane < 0]
    wide = {key: places[key].span[1] - places[key].span[0] for key in waiting}
    for key in sorted(waiting, key=lambda key: (key in sources, wide[key])):
        place, lane = places[key], 1
        first, last = place.span
        is_leaf = key not in sources
        while any(
            a <= last and first <= b and not (is_leaf and (a, b) == place.span)
            for a, b in taken.get(lane, ())
        ):
            lane += 1
        taken.setdefault(lane, []).append(place.span)
        place.lane = lane


def _column_widths(
    places: Mapping[str, _Place], sizes: Mapping[str, tuple[float, float]], count: int
) -> list[float]:
    widths = [0.0] * count
    groups: dict[tuple[int, int], float] = {}
    for key, place in places.items():
        at = place.column, place.lane
        groups[at] = groups.get(at, -_BESIDE) + _BESIDE + sizes[key][0]
    for (column, _), width in groups.items():
        widths[column] = max(widths[column], width)
    return widths


# --- rows ----------------------------------------------------------------------------------------


class _Grid:
    """Columns in rows, with the channels between them."""

    def __init__(
        self,
        places: Mapping[str, _Place],
        sizes: Mapping[str, tuple[float, float]],
        widths: Sequence[float],
        links: Sequence[Link],
        frames: Mapping[Frame, tuple[str, ...]],
        rows: Sequence[int],
    ) -> None:
        """Set the columns into rows; ``rows`` says how many columns each has."""
        self.places, self.sizes, self.links, self.frames = places, sizes, links, frames
        self.widths = widths
        self.together: dict[tuple[int, int], list[str]] = {}
        """The boxes of each column and lane, from left to right."""
        for key in sizes:
            self.together.setdefault(self._at(key), []).append(key)
        self.row_of = [row for row, count in enumerate(rows) for _ in range(count)]
        self.count = len(rows)
        self.skips = _channels(links, places, self.row_of)
        self.left = self._columns()
        """The left end of each column."""
        self.axis: dict[tuple[int, int], float] = {}
        """The height of the spine in each row, and of the lanes below it."""
        self.roof: list[float] = []
        """Above the boxes of each row: where the channels of skip connections begin."""
        self.floor: list[float] = []
        """Below each row: where lines to the next row run."""
        self._set_rows()
        self.centers = {key: self._center(key) for key in places}
        self._lines_in: Counter[tuple[str, int]] = Counter()
        """How many lines run in a gap already."""

    def layout(self) -> Layout:
        curves = tuple(_rounded(self._points(place)) for place in range(len(self.links)))
        frames = {frame.path: self._frame(keys) for frame, keys in self.frames.items()}
        xs, ys = zip(
            *(point for curve in curves for point in curve),
            *(point for key in self.places for point in self._corners(key)),
            *(corner for a, b, c, d in frames.values() for corner in ((a, b), (c, d))),
            strict=True,
        )
        x0, y0 = min(xs), min(ys)
        return Layout(
            max(xs) - x0,
            max(ys) - y0,
            {key: (x - x0, y - y0) for key, (x, y) in self.centers.items()},
            tuple(tuple((x - x0, y - y0) for x, y in curve) for curve in curves),
            {path: (a - x0, b - y0, c - x0, d - y0) for path, (a, b, c, d) in frames.items()},
            exact=True,
        )

    def _at(self, key: str) -> tuple[int, int]:
        return self.places[key].column, self.places[key].lane

    def _row(self, key: str) -> int:
        return self.row_of[self.places[key].column]

    def _corners(self, key: str) -> tuple[Point, Point]:
        (x, y), (w, h) = self.centers[key], self.sizes[key]
        return (x - w / 2, y - h / 2), (x + w / 2, y + h / 2)

    def _columns(self) -> list[float]:
        left: list[float] = []
        x = 0.0
        for column, width in enumerate(self.widths):
            if column and self.row_of[column] != self.row_of[column - 1]:
                x = 0.0
            left.append(x)
            x += width + _GAP
        return left

    def _set_rows(self) -> None:
        framed = {key for keys in self.frames.values() for key in keys}
        y = 0.0
        for row in range(self.count):
            keys = [key for key in self.places if self._row(key) == row]
            heights: dict[int, float] = {}
            for key in keys:
                lane = self.places[key].lane
                heights[lane] = max(heights.get(lane, 0.0), self.sizes[key][1])
            y += _CHANNEL * max(
                (n + 1 for (_, at), n in self.skips.items() if at == row), default=0
            )
            self.roof.append(y)
            y += _TITLE if framed & set(keys) else 6.0
            for lane in range(max(heights) + 1):
                high = heights.get(lane, 0.0)
                y += _LANE_GAP if lane else 0.0
                self.axis[row, lane] = y + high / 2
                y += high
            y += _ROW_GAP + (10.0 if framed & set(keys) else 0.0)
            self.floor.append(y - _ROW_GAP / 2)

    def _center(self, key: str) -> Point:
        place = self.places[key]
        at = place.column, place.lane
        together = self.together[at]
        wide = sum(self.sizes[one][0] for one in together) + _BESIDE * (len(together) - 1)
        x = self.left[place.column] + (self.widths[place.column] - wide) / 2
        for one in together[: together.index(key)]:
            x += self.sizes[one][0] + _BESIDE
        return x + self.sizes[key][0] / 2, self.axis[self.row_of[place.column], place.lane]

    def _frame(self, keys: tuple[str, ...]) -> tuple[float, float, float, float]:
        corners = [corner for key in keys for corner in self._corners(key)]
        xs, ys = zip(*corners, strict=True)
        return min(xs) - 10, min(ys) - _TITLE, max(xs) + 10, max(ys) + 10

    # --- lines -------------------------------------------------------------------------------

    def _points(self, number: int) -> list[Point]:
        """Return the corners of the line of a link."""
        link = self.links[number]
        source, target = self.places[link.source], self.places[link.target]
        rows = self._row(link.source), self._row(link.target)
        if not source.lane and not target.lane and target.column > source.column:
            if target.column > source.column + 1:
                return self._above(number)
            return self._straight(link) if rows[0] == rows[1] else self._around(link)
        if source.column == target.column and self._is_free(source, target):
            return self._upright(link)
        if rows[0] == rows[1] and source.column < target.column:
            return self._along(link)
        return self._around(link)

    def _is_free(self, one: _Place, other: _Place) -> bool:
        """Return whether no box stands between two places of one column."""
        low, high = sorted((one.lane, other.lane))
        return not any((one.column, lane) in self.together for lane in range(low + 1, high))

    def _straight(self, link: Link) -> list[Point]:
        return [self._right(link.source), self._left(link.target)]

    def _right(self, key: str) -> Point:
        (x, y), (w, _) = self.centers[key], self.sizes[key]
        return x + w / 2, y

    def _left(self, key: str) -> Point:
        (x, y), (w, _) = self.centers[key], self.sizes[key]
        return x - w / 2, y

    def _above(self, number: int) -> list[Point]:
        """Lead a skip connection over the row, and over the right end to the next rows."""
        link = self.links[number]
        (x0, _), (x1, _) = self.centers[link.source], self.centers[link.target]
        x0, x1 = x0 + self.sizes[link.source][0] / 5, x1 - self.sizes[link.target][0] / 5
        top0, top1 = self._corners(link.source)[0][1], self._corners(link.target)[0][1]
        here, there = self._row(link.source), self._row(link.target)
        y0, y1 = self._channel(number, here), self._channel(number, there)
        start, end = [(x0, top0), (x0, y0)], [(x1, y1), (x1, top1)]
        if here == there:
            return [*start, *end]
        right = self._side()
        return [*start, (right, y0), (right, y1), *end]

    def _channel(self, number: int, row: int) -> float:
        return self.roof[row] - _CHANNEL * (self.skips[number, row] + 0.5)

    def _side(self) -> float:
        """Return where to run down on the right of all rows."""
        self._lines_in["side", 0] += 1
        ends = [x + width for x, width in zip(self.left, self.widths, strict=True)]
        return max(ends) + _GAP / 2 + _CHANNEL * (self._lines_in["side", 0] - 1)

    def _upright(self, link: Link) -> list[Point]:
        """Lead from a box to the one above or below it."""
        (x0, y0), (x1, y1) = self.centers[link.source], self.centers[link.target]
        up = -1 if y1 < y0 else 1
        y0 += up * self.sizes[link.source][1] / 2
        y1 -= up * self.sizes[link.target][1] / 2
        reach = self.sizes[link.target][0] / 2 - _RADIUS
        x = min(max(x0, x1 - reach), x1 + reach)
        return [(x0, y0), (x1, y1)] if x == x0 == x1 else _bent((x0, y0), (x, y1))

    def _ends(self, link: Link) -> tuple[Point, Point]:
        """Return where the line of a branch leaves and arrives: beside the line of the spine."""
        (x0, y0), (x1, y1) = self._right(link.source), self._left(link.target)
        y0 += 0.0 if self.places[link.source].lane else self.sizes[link.source][1] / 4
        y1 += 0.0 if self.places[link.target].lane else self.sizes[link.target][1] / 4
        return (x0, y0), (x1, y1)

    def _after(self, key: str) -> float:
        """Return where to run up or down in the gap behind a box's column."""
        column = self.places[key].column
        self._lines_in["after", column] += 1
        end = self.left[column] + self.widths[column]
        return end + min(_GAP / 4 + 7 * (self._lines_in["after", column] - 1), _GAP / 2 - 2)

    def _before(self, key: str) -> float:
        """Return where to run up or down in the gap before a box's column."""
        column = self.places[key].column
        self._lines_in["before", column] += 1
        return self.left[column] - min(
            _GAP / 3 + 7 * (self._lines_in["before", column] - 1), _GAP / 2 - 2
        )

    def _along(self, link: Link) -> list[Point]:
        """Lead a branch down from the spine, or back up to it, in the gaps of its row."""
        start, end = self._ends(link)
        if start[1] == end[1]:
            return [start, end]
        # It runs in the lane that is reserved for it: that of the branch.
        in_lane_of_target = self.places[link.target].lane > 0
        x = self._after(link.source) if in_lane_of_target else self._before(link.target)
        way = self._leaving(link.source, start)
        return [*way, (x, way[-1][1]), (x, end[1]), end]

    def _leaving(self, key: str, start: Point) -> list[Point]:
        """Lead out of a box: below it, if another one stands on its right."""
        if key == self.together[self._at(key)][-1]:
            return [start]
        x, bottom = self.centers[key][0], self._corners(key)[1][1]
        return [(x, bottom), (x, bottom + _LANE_GAP / 2)]

    def _around(self, link: Link) -> list[Point]:
        """Lead to another row: below this one, down on the right where there are rows between."""
        on_spine = not self.places[link.source].lane and not self.places[link.target].lane
        start, end = self._ends(link)
        if on_spine:
            start, end = self._right(link.source), self._left(link.target)
        here, there = self._row(link.source), self._row(link.target)
        x0, x1 = self._after(link.source), self._before(link.target)
        y0, y1 = self.floor[here], self.floor[max(there - 1, 0)] if there > here else 0.0
        way = self._leaving(link.source, start)
        way += [(x0, way[-1][1]), (x0, y0)]
        if there > here + 1:
            right = self._side()
            way += [(right, y0), (right, y1)]
        # Against the order of the rows, or to the next one, it runs below the first of both.
        return [*way, (x1, way[-1][1]), (x1, end[1]), end]


def _channels(
    links: Sequence[Link], places: Mapping[str, _Place], row_of: Sequence[int]
) -> dict[tuple[int, int], int]:
    """Return a channel for each skip connection and row: short ones below long ones."""
    wanted: list[tuple[int, int, int, int]] = []
    for number, link in enumerate(links):
        source, target = places[link.source], places[link.target]
        if source.lane or target.lane or target.column <= source.column + 1:
            continue
        here, there = row_of[source.column], row_of[target.column]
        for row in dict.fromkeys((here, there)):
            # To another row it runs over the right end of both.
            first = source.column if row == here else target.column
            last = target.column if here == there else len(row_of)
            wanted.append((last - first, first, row, number))
    found: dict[tuple[int, int], int] = {}
    taken: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for length, first, row, number in sorted(wanted):
        channel = 0
        while any(a < first + length and first < b for a, b in taken.get((row, channel), ())):
            channel += 1
        taken.setdefault((row, channel), []).append((first, first + length))
        found[number, row] = channel
    return found


def _bent(start: Point, end: Point) -> list[Point]:
    middle = (start[1] + end[1]) / 2
    return [start, (start[0], middle), (end[0], middle), end]


def _rounded(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return a Bézier spline along corners: a start, then three points for each piece."""
    corners = [points[0]]
    corners += [p for before, p in pairwise(points) if _far(before, p) > 0.01]
    spline = [corners[0]]
    for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
        cut = min(_RADIUS, _far(before, corner) / 2, _far(corner, after) / 2)
        into, out = _toward(corner, before, cut), _toward(corner, after, cut)
        spline += [*_line(spline[-1], into), _toward(into, corner, cut * 0.55)]
        spline += [_toward(out, corner, cut * 0.55), out]
    return (*spline, *_line(spline[-1], corners[-1]))


def _line(start: Point, end: Point) -> list[Point]:
    third = _far(start, end) / 3
    return [_toward(start, end, third), _toward(end, start, third), end]


def _far(one: Point, other: Point) -> float:
    return ((one[0] - other[0]) ** 2 + (one[1] - other[1]) ** 2) ** 0.5


def _toward(start: Point, end: Point, distance: float) -> Point:
    whole = _far(start, end) or 1.0
    return (
        start[0] + (end[0] - start[0]) * distance / whole,
        start[1] + (end[1] - start[1]) * distance / whole,
    )
