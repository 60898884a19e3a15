"""The plan of a circuit: circles and their wires, values above a wire and gradients below it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from tinygrad_lab.show import style
from tinygrad_lab.show.compose import Plan
from tinygrad_lab.show.layout import Spacing
from tinygrad_lab.show.marks import Anchor, Mark, Shape, Text, polygon, polyline, rounded
from tinygrad_lab.show.measure import width
from tinygrad_lab.show.picture import Arrow, Box, Row
from tinygrad_lab.show.typeset import Block, on_a_pill, typeset_arrow, typeset_content

__all__ = ["CircuitPlan"]

_RADIUS = 23.0
_SYMBOL_SIZE = 20.0
_NAME_SIZE = 20.0
_NUMBER_SIZE = 18.0
_SMALL = 15.0
_BASELINE = 0.36
_CLEAR = 4.0
"""Between a wire and the numbers at it."""
_SIDE = 7.0
_SHORTEST = 26.0
"""The least length of a wire behind a circle, where it may fork."""
_HEAD, _HEAD_SIDE = 7.0, 3.6
_HALO = 6.0
_AGES = ("old", "stale")
_NOTHING = Block(0.0, 0.0, ())


class CircuitPlan(Plan):
    """The circles, wires and numbers of a circuit, and their positions."""

    spacing = Spacing(rows=0.16, columns=0.2, in_order=True)
    name_size, small = _NAME_SIZE, _SMALL

    @cached_property
    def _flowing(self) -> set[str]:
        """The values along whose wires gradients flow."""
        flowing = {arrow.source for arrow in self.picture.arrows if arrow.flows}
        with_gradient = {
            box.key
            for box in self.picture.boxes
            if any(row.label == "gradient" for row in box.rows)
        }
        return flowing | with_gradient

    def typeset(self, box: Box) -> Block:
        """Typeset a circle, or the name of a leaf, and the beginning of the wire behind it."""
        return (self._across if self.horizontal else self._down)(box)

    def typeset_label(self, arrow: Arrow) -> Block | None:
        """Typeset a local derivative: the number alone, its place says of what it is."""
        if not arrow.content:
            return typeset_arrow(arrow, self.picture.direction)
        number = typeset_content(arrow.content, _SMALL, style.DERIVATIVE, "middle")
        return on_a_pill([number])

    def legend(self, middle: float) -> Iterator[Mark]:
        """Say where values, gradients and local derivatives stand."""
        above, below = ("above", "below") if self.horizontal else ("left of", "right of")
        labels = {row.label for box in self.picture.boxes for row in box.rows}
        pills = any(arrow.content for arrow in self.picture.arrows)
        x = 0.0
        for is_shown, words, color in (
            (any("value" in one for one in labels), f"{above} a wire: its value", style.VALUE),
            ("gradient" in labels, f"{below} it: its gradient", style.GRADIENT),
            (pills, "on it: the local derivative of the op it leads to", style.DERIVATIVE),
        ):
            if is_shown:
                yield Text(x, middle + 4, words, _SMALL, color)
                x += width(words, _SMALL) + 18

    # --- a circle and its wire ---------------------------------------------------------------

    def _across(self, box: Box) -> Block:
        """Typeset a wire that leads to the right."""
        head, above, below, end = _head(box), _value(box), _gradient(box), _end(box)
        long = max(above.width, below.width, _SHORTEST) + 2 * _SIDE
        half = max(head.height / 2, _CLEAR + max(above.height, below.height), end.height / 2)
        middle = head.width + long / 2
        marks = [
            *self._wire(box, (head.width, half), (head.width + long, half)),
            *head.at(0, half - head.height / 2),
            *above.at(middle - above.width / 2, half - _CLEAR - above.height),
            *below.at(middle - below.width / 2, half + _CLEAR),
            *end.at(head.width + long + 5, half - end.height / 2),
        ]
        return Block(head.width + long + (end.width + 5) * bool(end.marks), 2 * half, tuple(marks))

    def _down(self, box: Box) -> Block:
        """Typeset a wire that leads downwards."""
        head, left, right, end = _head(box), _value(box), _gradient(box), _end(box)
        long = max(left.height, right.height, _SHORTEST) + _SIDE
        half = max(head.width / 2, 2 * _CLEAR + max(left.width, right.width), end.width / 2)
        middle = head.height + long / 2
        marks = [
            *self._wire(box, (half, head.height), (half, head.height + long)),
            *head.at(half - head.width / 2, 0),
            *left.at(half - 2 * _CLEAR - left.width, middle - left.height / 2),
            *right.at(half + 2 * _CLEAR, middle - right.height / 2),
            *end.at(half - end.width / 2, head.height + long + 3),
        ]
        return Block(
            2 * half, head.height + long + (end.height + 3) * bool(end.marks), tuple(marks)
        )

    def _wire(self, box: Box, start: tuple[float, float], end: tuple[float, float]) -> list[Mark]:
        """Draw the wire behind a circle, with an arrowhead where it leads out of the circuit."""
        color = style.LINE if box.key in self._flowing else style.FAINT_LINE
        line = polyline([start, end])
        marks: list[Mark] = [
            Shape(line, stroke=color, width=1.3, dashed=box.key not in self._flowing)
        ]
        if box.output:
            (x, y), side = end, _HEAD_SIDE
            back = x - _HEAD if self.horizontal else y - _HEAD
            sides = [(back, y - side), (back, y + side)]
            if not self.horizontal:
                sides = [(x - side, back), (x + side, back)]
            marks.append(Shape(polygon([(x, y), *sides]), fill=color))
        return marks


def _head(box: Box) -> Block:
    """Typeset the circle of an op, or the name of a leaf."""
    if box.kind in ("folded", "failed"):
        block = _folded(box)
    elif box.symbol:
        block = _circle(box)
    else:
        block = _leaf(box)
    return _with_halo(block) if box.highlighted else block


def _leaf(box: Box) -> Block:
    """Typeset the name of a leaf, on a ground if it is coloured."""
    if box.tint is None:
        name = _text(box.name, _NAME_SIZE, anchor="end", bold=True)
        return Block(name.width + 6, name.height, name.marks)
    name = _text(box.name, _NAME_SIZE, box.tint.ink, bold=True)
    wide, high = name.width + 16, name.height + 4
    ground = Shape(rounded(0, 0, wide, high, 6), fill=box.tint.fill, stroke=style.LINE)
    return Block(wide, high, (ground, *name.at(8, 2)))


def _circle(box: Box) -> Block:
    look = style.LOOKS["output" if box.output else box.kind]
    fill, ink = (box.tint.fill, box.tint.ink) if box.tint else (look.header, style.INK)
    text = _text(box.symbol, _SYMBOL_SIZE, ink)
    wide, high = max(2 * _RADIUS, text.width + 18), 2 * _RADIUS
    outline = Shape(
        rounded(0, 0, wide, high, _RADIUS),
        fill=fill,
        stroke=look.border,
        width=look.border_width,
        dashed=look.dashed,
    )
    return Block(wide, high, (outline, *text.at((wide - text.width) / 2, (high - text.height) / 2)))


def _folded(box: Box) -> Block:
    """Typeset a box for ops that are not drawn, or for one that failed."""
    look = style.LOOKS[box.kind]
    texts = [_text(box.name, _NAME_SIZE, bold=True)]
    texts += [_text(line, _SMALL) for row in box.rows for line in _lines(row)]
    wide, high = max(one.width for one in texts) + 24, sum(one.height for one in texts) + 14
    marks: list[Mark] = [
        Shape(rounded(0, 0, wide, high, 8), fill=look.header, stroke=look.border),
        Shape(rounded(3, 3, wide - 6, high - 6, 5), stroke=look.border, width=0.75),
    ]
    y = 7.0
    for one in texts:
        marks += one.at((wide - one.width) / 2, y)
        y += one.height
    return Block(wide, high, tuple(marks))


def _lines(row: Row) -> tuple[str, ...]:
    return row.content if isinstance(row.content, tuple) else ()


def _with_halo(block: Block) -> Block:
    wide, high = block.width + 2 * _HALO, block.height + 2 * _HALO
    halo = Shape(
        rounded(0, 0, wide, high, min(wide, high) / 2),
        fill=style.HIGHLIGHT,
        stroke=style.INK,
        width=1.5,
    )
    return Block(wide, high, (halo, *block.at(_HALO, _HALO)))


def _value(box: Box) -> Block:
    """Typeset what stands at a wire's value: ``q = 3`` if the value has a name."""
    row = next((one for one in box.rows if "value" in one.label), None)
    content = _NOTHING if row is None else _numbers(row, style.VALUE)
    if not box.symbol or box.output or box.is_unnamed or box.kind == "folded":
        return content
    if row is None:
        return _text(box.name, _NUMBER_SIZE)
    lines = _lines(row)
    if row.known and len(lines) == 1:
        return _aged(row, _text(f"{box.name} = {lines[0]}", _NUMBER_SIZE))
    return _beside(_text(f"{box.name} = ", _NUMBER_SIZE), content)


def _gradient(box: Box) -> Block:
    row = next((one for one in box.rows if one.label == "gradient"), None)
    return _NOTHING if row is None else _numbers(row, style.GRADIENT)


def _end(box: Box) -> Block:
    """Typeset the name of a result at the end of its wire."""
    if not box.output or not box.symbol or box.is_unnamed:
        return _NOTHING
    return _text(box.name, _NAME_SIZE, anchor="start", bold=True)


def _numbers(row: Row, color: str) -> Block:
    """Typeset a value or a gradient; what is not known is a dash, never a zero."""
    if not row.known and len(_lines(row)) == 1:
        return _text("–", _NUMBER_SIZE, style.QUIET)
    content = typeset_content(
        row.content, _NUMBER_SIZE, color if row.known else style.QUIET, "middle"
    )
    return _aged(row, content)


def _aged(row: Row, content: Block) -> Block:
    """Say of a value that it is not that of the leaves as they are now."""
    age = row.label.partition(" value")[0]
    return _beside(content, _text(f" {age}", _SMALL, style.QUIET)) if age in _AGES else content


def _text(
    text: str,
    size: float,
    color: str = style.INK,
    *,
    anchor: Anchor = "middle",
    bold: bool = False,
) -> Block:
    wide, high = width(text, size, bold=bold), 1.3 * size
    x = {"start": 0.0, "middle": wide / 2, "end": wide}[anchor]
    line = Text(x, high / 2 + _BASELINE * size, text, size, color, anchor, bold=bold)
    return Block(wide, high, (line,))


def _beside(*blocks: Block) -> Block:
    """Place blocks side by side, their middles on one line."""
    high = max(one.height for one in blocks)
    x, marks = 0.0, list[Mark]()
    for one in blocks:
        marks += one.at(x, (high - one.height) / 2)
        x += one.width
    return Block(x, high, tuple(marks))
