"""The NumPy target: the recorded calls, each writing into memory planned for it."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.compiler.numpy.lines import Lines, plannable
from tinygrad_lab.compiler.plan.memory import Plan
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event

__all__ = ["NumPyTarget"]


class NumPyTarget:
    """Writes each event as a line of NumPy."""

    keeps_order = True

    def can_write_into(self, event: Event) -> bool:
        """Return whether the result can be written into a given buffer."""
        return plannable(event)

    def emit(self, recording: Recording, plan: Plan) -> NumPyCode:
        """Write the events of a plan as lines."""
        return NumPyCode(recording, plan)


class NumPyCode:
    """Lines of NumPy, and what their names are bound to."""

    preamble = ""

    def __init__(self, recording: Recording, plan: Plan) -> None:
        lines = Lines(recording, plan)
        self.names = lines.names
        self.lines_by_phase = [
            pair for event in plan.events if not lines.is_settled(event) for pair in lines.of(event)
        ]
        self.lines_by_phase += lines.copies()
        self.summary = lines.summary

    def text(self, thing: Any) -> str:
        """Write a value, or an argument of a call."""
        return self.names.text(thing)

    def bind(self, homes: dict[State, Any]) -> dict[str, Any]:
        """Return all names of the lines, with new buffers."""
        return self.names.bind(homes)
