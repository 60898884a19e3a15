"""A compiled step as a picture: a box for each line of its source, a frame for each phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from tinygrad_lab.compiler.record.trace import Value
from tinygrad_lab.compiler.source.roll import Loop
from tinygrad_lab.compiler.source.write import Assignment, Writer
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.show.drawing import Drawing
from tinygrad_lab.show.picture import Arrow, Box, Direction, Frame, Kind, Picture, Row

__all__ = ["Direction", "Drawing", "drawing_of"]


def drawing_of(writer: Writer, direction: Direction) -> Drawing:
    """Draw the source as boxes and arrows; see ``CompiledStep.draw``."""
    if direction not in ("LR", "TB"):
        raise ArgumentError(f'direction must be "LR" or "TB", got {direction!r}.')
    writer.source()
    drawing = _Boxes(writer)
    picture = Picture(
        boxes=tuple(drawing.boxes.values()),
        arrows=tuple(drawing.arrows),
        frames=tuple(drawing.frames.values()),
        direction=direction,
        legend=False,
        note="",
        title=f"Compiled graph of {writer.function}",
    )
    return Drawing(picture)


class _Boxes:
    """Makes the boxes, in the order of the source."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.boxes: dict[str, Box] = {}
        self.arrows: list[Arrow] = []
        self.frames: dict[str, Frame] = {}
        self._box_of: dict[Value, str] = {}
        """By value: the box that made it, or wrote into it last."""
        self._outputs = {one for one in writer.recording.outputs if isinstance(one, Value)}
        for value in self._given():
            kind: Kind = "leaf" if value.wants_gradient else "constant"
            self._add((value,), Assignment(writer.name(value), "", ()), kind, "")
        for one in writer.assignments:
            self._add_assignment(one)

    def _given(self) -> Iterator[Value]:
        """Yield what exists before the step: arguments, states, settings."""
        used = {value for one in self.writer.assignments for value in one.reads}
        for value in self.writer.recording.trace.values:
            if (
                value.origin is not None
                and value in used
                and value not in self.writer.phrases.inline
            ):
                yield value

    def _add_assignment(self, one: Assignment) -> None:
        event = one.event
        assert event is not None
        frame = self._frame(event.phase, event.loop)
        made = (event.writes,) if event.writes is not None else event.results
        key = self._add(made, one, "computed", frame)
        for read in dict.fromkeys(one.reads):
            source = self._box_of.get(read) or self._box_of.get(read.root)
            if source is not None and source != key:
                self.arrows.append(Arrow(source, key, "", (), True, ""))
        self._box_of.update(dict.fromkeys(made, key))
        if event.writes is not None:
            self._box_of[event.writes.root] = key

    def _add(self, made: Sequence[Value], one: Assignment, kind: Kind, frame: str) -> str:
        key = f"box {len(self.boxes)}"
        arrays = [value.array for value in made if np.ndim(value.array)]
        shapes = [f"{' × '.join(map(str, one.shape))} · {one.dtype}" for one in arrays]
        rows = tuple([Row("", (shape,)) for shape in shapes])
        line = self.writer.where(one.event) if one.event is not None else ""
        output = not self._outputs.isdisjoint(made)
        self.boxes[key] = Box(key, kind, output, one.target, one.text, rows, line, frame)
        for value in made:
            self._box_of.setdefault(value, key)
        return key

    def _frame(self, phase: str, loop: Loop | None) -> str:
        """Return the path of the frame of a phase, or of a loop in it."""
        self.frames.setdefault(phase, Frame(phase, phase))
        if loop is None:
            return phase
        path = f"{phase}.loop {self.writer.loops.index(loop)}"
        self.frames.setdefault(path, Frame(path, self.writer.rounds(loop)))
        return path
