"""The forms that a recording can take. To add a target, write one in a file, and name it here."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol

from tinygrad_lab.compiler.numpy.target import NumPyCode, NumPyTarget
from tinygrad_lab.compiler.plan.memory import Plan
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event
from tinygrad_lab.errors import CompileError, MissingDependencyError

__all__ = ["TARGETS", "Code", "Program", "Target", "check_installed", "target_named"]

TARGETS = ("numpy", "numba", "python")


class Code(Protocol):
    """What a target has made of a recording: lines of Python between a replay's checks and results.

    The lines may use any name that ``bind`` returns; a line ``return MISS`` leaves the call to the
    uncompiled step.
    """

    @property
    def lines_by_phase(self) -> list[tuple[str, str]]:
        """The lines, each with its phase: forward, backward or update."""

    @property
    def preamble(self) -> str:
        """Source that the lines need besides NumPy, for people to read; mostly empty."""

    @property
    def summary(self) -> str:
        """What became of the events, in words."""

    def text(self, thing: Any) -> str:
        """Write a value as an expression, for the lines that read arguments and return results.

        That of an argument, of a setting or of a number that is read at each call is a name.
        """

    def bind(self, homes: dict[State, Any]) -> dict[str, Any]:
        """Return what the names are bound to, with new buffers.

        ``homes`` has the memory of the states that the step reads. That of states which it only
        writes is added; both must have the new numbers when the last line has run.
        """


class Target(Protocol):
    """Turns a planned recording into code."""

    @property
    def keeps_order(self) -> bool:
        """Whether the events run in the order of the plan; if not, less memory is shared."""

    def can_write_into(self, event: Event) -> bool:
        """Return whether the result of an event can be written into memory that is given."""

    def emit(self, recording: Recording, plan: Plan) -> Code:
        """Write the events of a plan as lines."""


@dataclass(frozen=True, slots=True)
class Program:
    """A recording with its plan, and the code that a target has made of them."""

    recording: Recording
    plan: Plan
    code: Code

    @property
    def lines(self) -> list[str]:
        """The lines between the checks and the results of a replay."""
        return [line for line, _ in self.code.lines_by_phase]

    @property
    def summary(self) -> str:
        """What became of the recorded operations, in words."""
        recorded, needed = len(self.recording.trace.events), len(self.plan.events)
        return f"{recorded} operations recorded, {needed} needed, {self.code.summary}"


class PythonTarget(NumPyTarget):
    """Steps on Python numbers alone, whose lines are the same; an optimiser's are on one vector."""

    def emit(self, recording: Recording, plan: Plan) -> NumPyCode:
        """Write the events, and refuse those on arrays."""
        parameters = [value for state, value in recording.states.items() if state.kind == "data"]
        on_vectors = {"update"} if not any(value.is_array for value in parameters) else set()
        for event in plan.events:
            if not event.is_on_numbers and event.phase not in on_vectors:
                raise CompileError(
                    "tg.compile: the target 'python' is for scalar graphs (tg.scalar), but this "
                    f"step works on arrays ({event.call.name}): use target='numpy'."
                )
        return super().emit(recording, plan)


def check_installed(target: str) -> None:
    """Raise MissingDependencyError if a package that a target needs is not installed."""
    if target == "numba" and find_spec("llvmlite") is None:
        raise MissingDependencyError(
            "tg.compile: the target 'numba' needs llvmlite, numba's compiler, which is not "
            "installed: pip install 'tinygrad_lab[fast]'."
        )


def target_named(name: str) -> Target:
    """Return a target by its name, one of ``TARGETS``."""
    if name == "numba":
        from tinygrad_lab.compiler.loops.target import NumbaTarget

        return NumbaTarget()
    return PythonTarget() if name == "python" else NumPyTarget()
