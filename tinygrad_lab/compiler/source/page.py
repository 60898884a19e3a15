"""Lines of code on a page: wrapped as formatters usually do, with comments aligned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

__all__ = ["Line", "laid_out"]

_WIDTH = 100
_FARTHEST = 68
"""Comments are aligned in one column, at most this far to the right."""
_LONGEST_TARGET = 60
_MANY = 4
"""So many short arguments, or more, fill lines, rather than have one each."""
_SHORT = 64
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
        first, *rest = split(bracketed(line.text), indent)
    if line.comment:
        placed = f"{first:<{column}}  # {line.comment}"
        first = placed if len(placed) <= _WIDTH else first
    return [first, *rest]


def bracketed(text: str) -> str:
    """Put what is returned, or assigned to, in brackets, where it is long.

    >>> bracketed("return first, second")
    'return (first, second)'
    """
    if text.startswith("return ") and len(_parts(text)) > 1:
        return f"return ({text.removeprefix('return ')})"
    target, equals, rest = text.partition(" = ")
    if equals and len(_parts(target)) > 1 and len(target) > _LONGEST_TARGET:
        return f"({target}) = {rest}"
    return text


def split(text: str, indent: str = "") -> list[str]:
    """Split a long statement into several lines, at the brackets that end it.

    >>> split("total = add(first, second)")
    ['total = add(', '    first, second', ')']
    """
    target, equals, call = text.partition(") = ")
    if equals and text.startswith("(") and _closing(text, 0) == len(target):
        first, *others = [call] if len(indent + call) < _WIDTH - 4 else split(call, indent)
        targets = _filled(_parts(target[1:]), indent + "    ")
        return [indent + "(", *targets, f"{indent}) = {first.strip()}", *others]
    start = _last_bracket(text)
    if start is None:
        return [indent + text]
    stop = _closing(text, start)
    inside, inner = text[start + 1 : stop], indent + "    "
    head, tail = indent + text[: start + 1], indent + text[stop:]
    parts = _parts(inside)
    if len(inner + inside) <= _WIDTH:
        return [head, inner + inside, tail]
    if len(parts) >= _MANY and max(map(len, parts)) <= _SHORT:
        return [head, *_filled(parts, inner), tail]
    middle = []
    for part in parts:
        comma = "," if len(parts) > 1 and not part.startswith("**") else ""
        one = inner + part + comma
        middle += [one] if len(one) <= _WIDTH else split(part + comma, inner)
    return [head, *middle, tail]


def _filled(parts: Sequence[str], indent: str) -> list[str]:
    """Return as many parts on each line as it can take."""
    lines, line = [], indent
    for part in parts:
        longer = f"{line}{' ' * (line != indent)}{part},"
        if len(longer) > _WIDTH and line != indent:
            lines.append(line)
            longer = f"{indent}{part},"
        line = longer
    return [*lines, line]


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
