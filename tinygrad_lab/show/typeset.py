"""Typesets boxes and labels: computes their size and the position of each text in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tinygrad_lab.show import style
from tinygrad_lab.show.marks import Anchor, Mark, Shape, Text, polyline, rounded
from tinygrad_lab.show.measure import Matrix, width
from tinygrad_lab.show.picture import Arrow, Box, Content, Direction, Row

__all__ = ["Block", "on_a_pill", "row_middles", "typeset_arrow", "typeset_box", "typeset_content"]

_SIDE = 12.0
_RADIUS = 7.0
_HEADER = 30.0
_HALO = 6.0
"""Around a box that is highlighted."""
_GAP = 16.0
_LEADING = 17.0
_ROW_GAP = 7.0
_CELL_GAP = 9.0
_BRACKET = 5.0
_USUAL_WIDTH = 0.9
"""How wide texts are in most fonts, where 1 is the widest: two in a row are centred for this."""
_BASELINE = 0.36
"""From the middle of a line down to its baseline, in font sizes."""


@dataclass(frozen=True)
class Block:
    """Marks within a rectangle whose upper left corner is (0, 0)."""

    width: float
    height: float
    marks: tuple[Mark, ...]

    def at(self, x: float, y: float) -> tuple[Mark, ...]:
        """Return the marks, moved so that this corner is at (x, y)."""
        return tuple(mark.moved(x, y) for mark in self.marks)


# --- boxes ----------------------------------------------------------------------------------------


def typeset_box(box: Box) -> Block:
    """Typeset a header with name and equation, and below it the rows of value and gradient."""
    title = _title(box)
    rows = [(row, _row_content(row, box)) for row in box.rows]
    inner = max(
        [title.width, *(_label_width(row) + content.width for row, content in rows)], default=0.0
    )
    total_width = max(inner + 2 * _SIDE, 46.0)
    heights = [content.height + _ROW_GAP for _, content in rows]
    total_height = _HEADER + sum(heights) + (5 if rows else 0)
    marks = [
        *_outline(box, total_width, total_height),
        *title.at((total_width - title.width) / 2, (_HEADER - title.height) / 2),
    ]
    y = _HEADER + 2
    for (row, content), height in zip(rows, heights, strict=True):
        middle = y + height / 2
        if row.label:
            marks.append(_line(_SIDE, middle, row.label, *_label_look(row)))
            x = total_width - _SIDE - content.width
        else:
            x = (total_width - content.width) / 2
        marks.extend(content.at(x, middle - content.height / 2))
        y += height
    block = Block(total_width, total_height, tuple(marks))
    return _with_halo(block) if box.highlighted else block


def _with_halo(block: Block) -> Block:
    """Put a block into a halo, which is part of its size: arrows end at it."""
    wide, high = block.width + 2 * _HALO, block.height + 2 * _HALO
    halo = rounded(0, 0, wide, high, _RADIUS + _HALO)
    shape = Shape(halo, fill=style.HIGHLIGHT, stroke=style.INK, width=1.5)
    return Block(wide, high, (shape, *block.at(_HALO, _HALO)))


def _title(box: Box) -> Block:
    """Typeset the name in bold, and the equation."""
    rest = f"{box.joined}{box.equation}" if box.equation else ""
    ink = style.INK if box.tint is None else box.tint.ink
    return _two_weights(box.name, rest, style.NAME_SIZE, ink, bold_first=True)


def _outline(box: Box, wide: float, high: float) -> Iterator[Shape]:
    look = style.LOOKS["output" if box.output else box.kind]
    look = look if box.tint is None else replace(look, header=box.tint.fill)
    frame = rounded(0, 0, wide, high, _RADIUS)
    only_header = not box.rows
    yield Shape(frame, fill=look.header if only_header else style.PAPER)
    if not only_header:
        yield Shape(rounded(0, 0, wide, _HEADER, _RADIUS, bottom=False), fill=look.header)
        line = polyline([(0, _HEADER), (wide, _HEADER)])
        yield Shape(line, stroke=look.border, width=0.75, dashed=look.dashed)
    if look.double:
        inner = rounded(3, 3, wide - 6, high - 6, _RADIUS - 3)
        yield Shape(inner, stroke=look.border, width=0.75)
    dashed = style.LOOKS[box.kind].dashed
    yield Shape(frame, stroke=look.border, width=look.border_width, dashed=dashed)


def _label_width(row: Row) -> float:
    return width(row.label, _label_look(row)[0]) + _GAP if row.label else 0.0


def _label_look(row: Row) -> tuple[float, str]:
    """Return the size and the colour of a label: rules are larger than ``"value"``."""
    if "value" in row.label or row.label == "gradient":
        return style.LABEL_SIZE, style.QUIET
    return style.TEXT_SIZE, style.DERIVATIVE


def row_middles(box: Box) -> list[float]:
    """Return how far below the top of a box the middle of each row is."""
    middles = []
    y = _HEADER + 2
    for row in box.rows:
        height = _row_content(row, box).height + _ROW_GAP
        middles.append(y + height / 2)
        y += height
    return middles


def _row_content(row: Row, box: Box) -> Block:
    is_gradient = row.label == "gradient" or box.kind == "backward"
    color = style.GRADIENT if is_gradient else style.VALUE
    if not row.known:
        color = style.QUIET
    anchor: Anchor = "end" if row.label else "middle"
    return typeset_content(row.content, style.TEXT_SIZE, color, anchor, italic=not row.known)


# --- labels of arrows -----------------------------------------------------------------------------


def typeset_arrow(arrow: Arrow, direction: Direction) -> Block | None:
    """Typeset the label of an arrow on a tinted background; None if it has none."""
    if not (arrow.label or arrow.content):
        return None
    size = style.DERIVATIVE_SIZE
    color = style.DERIVATIVE if arrow.flows else style.QUIET
    if isinstance(arrow.content, Matrix):
        parts = [
            _two_weights(f"{arrow.label} =", "", size, color),
            _matrix(arrow.content, size, color),
        ]
        return on_a_pill(parts, stacked=direction == "LR")
    label = f"{arrow.label} =" if arrow.content else arrow.label
    return on_a_pill([_two_weights(label, "".join(arrow.content), size, color)])


def on_a_pill(blocks: list[Block], *, stacked: bool = False) -> Block:
    """Place blocks side by side, or stacked, on a tinted background."""
    widths, heights = [block.width for block in blocks], [block.height for block in blocks]
    side, above = 7.0, 2.5
    gap = 3.0 if stacked else 4.0
    wide = (max(widths) if stacked else sum(widths) + gap * (len(widths) - 1)) + 2 * side
    high = (sum(heights) + gap * (len(blocks) - 1) if stacked else max(heights)) + 2 * above
    marks: list[Mark] = [Shape(rounded(0, 0, wide, high, min(high / 2, 11)), fill=style.PILL)]
    x, y = side, above
    for block in blocks:
        if stacked:
            marks += block.at((wide - block.width) / 2, y)
            y += block.height + gap
        else:
            marks += block.at(x, (high - block.height) / 2)
            x += block.width + gap
    return Block(wide, high, tuple(marks))


def _two_weights(
    first: str, rest: str, size: float, color: str, *, bold_first: bool = False
) -> Block:
    """Typeset a text and what follows it in the other weight: one ends where the other begins.

    They are texts of their own, both placed at the gap between them: programs that ignore the
    weight when they advance, or show another font, then neither overlap nor part them.
    """
    wide, middle = width(first, size, bold=bold_first), _LEADING / 2
    if not rest:
        line = _line(wide / 2, middle, first, size, color, "middle", bold=bold_first)
        return Block(wide, _LEADING, (line,))
    gap, after = width(" ", size), width(rest.strip(), size, bold=not bold_first)
    end = wide + (1 - _USUAL_WIDTH) * (after - wide) / 2
    lines = (
        _line(end, middle, first, size, color, "end", bold=bold_first),
        _line(end + gap, middle, rest.strip(), size, color, bold=not bold_first),
    )
    return Block(wide + gap + after, _LEADING, lines)


# --- contents -------------------------------------------------------------------------------------


def typeset_content(
    content: Content, size: float, color: str, anchor: Anchor, *, italic: bool = False
) -> Block:
    """Typeset numbers in rows, or lines of text."""
    if isinstance(content, Matrix):
        return _matrix(content, size, color)
    wide = max((width(line, size) for line in content), default=0.0)
    x = wide if anchor == "end" else wide / 2
    lines = tuple(
        _line(x, (place + 0.5) * _LEADING, line, size, color, anchor, italic=italic)
        for place, line in enumerate(content)
    )
    return Block(wide, len(content) * _LEADING, lines)


def _matrix(matrix: Matrix, size: float, color: str) -> Block:
    """Typeset numbers in columns between square brackets."""
    columns = list(zip(*matrix.rows, strict=True))
    widths = [max(width(cell, size) for cell in column) for column in columns]
    rights: list[float] = []
    x = _BRACKET
    for one in widths:
        x += one + (_CELL_GAP if rights else 0)
        rights.append(x)
    wide, high = x + _BRACKET, len(matrix.rows) * _LEADING + 2
    # Columns are right-aligned; a single row looks best centred.
    anchor: Anchor = "end" if len(matrix.rows) > 1 else "middle"
    places = [
        right - (one / 2 if anchor == "middle" else 0)
        for right, one in zip(rights, widths, strict=True)
    ]
    cells = [
        _line(x, 1 + (place + 0.5) * _LEADING, cell, size, color, anchor)
        for place, row in enumerate(matrix.rows)
        for cell, x in zip(row, places, strict=True)
    ]
    brackets = [
        polyline([(end, 0.5), (side, 0.5), (side, high - 0.5), (end, high - 0.5)])
        for side, end in ((0.5, 4.0), (wide - 0.5, wide - 4.0))
    ]
    lines = [Shape(bracket, stroke=color, width=1.0) for bracket in brackets]
    return Block(wide, high, (*cells, *lines))


def _line(
    x: float,
    middle: float,
    text: str,
    size: float,
    color: str,
    anchor: Anchor = "start",
    *,
    bold: bool = False,
    italic: bool = False,
) -> Text:
    """Place a line of text with its vertical centre at ``middle``."""
    y = middle + _BASELINE * size
    return Text(x, y, text, size, color, anchor, bold=bold, italic=italic)
