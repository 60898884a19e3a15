"""The picture of a forward that raised: what ran before, and the op that failed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinygrad_lab.errors import TinygradLabError
from tinygrad_lab.graphs import Graph
from tinygrad_lab.show.fold import fold, modules_of
from tinygrad_lab.show.measure import printable
from tinygrad_lab.show.picture import Arrow, Box, Picture, Row, picture_of

__all__ = ["picture_of_error"]

_KEY = "failed"
_WIDEST = 76


def picture_of_error(error: TinygradLabError, graph: Graph, most: int, **options: Any) -> Picture:
    """Describe the graph up to the op that failed, and that op."""
    picture = picture_of(graph, most=most, **options)
    key_of = {
        node.index: unit.key
        for unit in fold(graph, most, modules_of(graph))
        for node in unit.members
    }
    index_of = {node.node: node.index for node in graph}
    inputs = error.failure.inputs
    arrows = tuple(
        Arrow(key_of[index_of[node]], _KEY, f"{name}: {_shape(node)}", (), False, "")
        for name, node in inputs.items()
    )
    return replace(
        picture,
        boxes=(*(replace(box, output=False) for box in picture.boxes), _box(error, picture)),
        arrows=(*picture.arrows, *arrows),
        title=f"What ran before the {type(error).__name__} of {error.failure.op_name}",
    )


def _box(error: TinygradLabError, picture: Picture) -> Box:
    """Describe the op that failed: why, with which shapes, on which line."""
    failure = error.failure
    reason = str(error).splitlines()[0].removeprefix(f"{failure.op_name}: ")
    lines = list(_wrapped(printable(reason)))
    lines += [f"{name}: {_shape(node)}" for name, node in failure.inputs.items()]
    where = _wrapped(printable(str(failure.line))) if failure.line is not None else ()
    scope = failure.scope.path if failure.scope is not None else ""
    return Box(
        key=_KEY,
        kind="failed",
        output=False,
        name=f"✗ {printable(failure.op_name)}",
        equation=type(error).__name__,
        rows=(Row("", tuple(lines)), *([Row("", tuple(where), known=False)] if where else ())),
        tooltip=printable(str(error)),
        frame=scope if any(frame.path == scope for frame in picture.frames) else "",
        joined=" · ",
    )


def _shape(node: Any) -> str:
    return " × ".join(map(str, node.shape)) if node.shape else "a number"


def _wrapped(text: str) -> list[str]:
    """Break a text into lines at spaces."""
    lines = [""]
    for word in text.split():
        if lines[-1] and len(lines[-1]) + len(word) >= _WIDEST:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return [line if len(line) <= _WIDEST + 16 else f"{line[:_WIDEST]}…" for line in lines]
