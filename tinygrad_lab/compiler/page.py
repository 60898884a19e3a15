"""Lines of code on a page: wrapped as formatters usually do, with comments aligned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

__all__ = ["Line", "laid_out"]

_WIDTH = 100
_FARTHEST = 68
"""Comments are aligned in one column, at most this far to the right."""
_OPENING, _CLOSING = "([{", ")]}"


@dataclass(frozen=True, slots=True)
class Line:
    """A statement, and the comment beside it."""

    text: str
    comment: str = ""
    depth: int = 0
    """The number of loops and functions around it."""

    def deeper(self, by: int) -> Line:
        """Indent the line further."""
        return replace(self, depth=self.depth + by)


def laid_out(lines: Sequence[Line]) -> list[str]:
    """Lay out the lines for the page."""
    page: list[str] = []
    for block in _blocks(lines):
        column = max([0, *(_end(one) for one in block if one.comment and _end(one) <= _FARTHEST)])
        for one in block:
            page += _placed(one, column)
    return page


def _blocks(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Yield runs of lines between empty ones."""
    block: list[Line] = []
    for one in lines:
        if not one.text:
            yield block
            block = []
        block.append(one)
    yield block


def _end(line: Line) -> int:
    return 4 * line.depth + len(line.text)


def _placed(line: Line, column: int) -> list[str]:
    indent = " " * (4 * line.depth)
    if line.text.startswith("#") or _end(line) <= _WIDTH:
        first, *rest = [(indent + line.text).rstrip()]
    else:
        first, *rest = split(line.text, indent)
    if line.comment:
        placed = f"{first:<{column}}  # {line.comment}"
        first = placed if len(placed) <= _WIDTH else first
    return [first, *rest]


def split(text: str, indent: str = "") -> list[str]:
    """Split a long statement into several lines, at the brackets that end it.

    >>> split("total = add(first, second)")
    ['total = add(', '    first, second', ')']
    """
    start = _last_bracket(text)
    if start is None:
        return [indent + text]
    stop = _closing(text, start)
    inside, inner = text[start + 1 : stop], indent + "    "
    head, tail = indent + text[: start + 1], indent + text[stop:]
    parts = _parts(inside)
    if len(inner + inside) <= _WIDTH:
        return [head, inner + inside, tail]
    middle = []
    for part in parts:
        comma = "," if len(parts) > 1 and not part.startswith("**") else ""
        one = inner + part + comma
        middle += [one] if len(one) <= _WIDTH else split(part + comma, inner)
    return [head, *middle, tail]


def _last_bracket(text: str) -> int | None:
    """Return where the last top-level brackets open."""
    depth, found = 0, None
    for position, character in enumerate(text):
        if character in _OPENING:
            if depth == 0:
                found = position
            depth += 1
        elif character in _CLOSING:
            depth -= 1
    if found is not None and _closing(text, found) == found + 1:
        return None
    return found


def _closing(text: str, start: int) -> int:
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] in _OPENING) - (text[position] in _CLOSING)
        if depth == 0:
            return position
    return len(text)


def _parts(inside: str) -> list[str]:
    """Return the parts between commas outside brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(inside):
        depth += (character in _OPENING) - (character in _CLOSING)
        if character == "," and depth == 0:
            parts.append(inside[start:position].strip())
            start = position + 1
    return [*parts, inside[start:].strip()]
