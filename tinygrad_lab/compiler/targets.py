"""The forms that a recording can take. To add a target, write a program and name it here."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from tinygrad_lab.compiler.numpy.target import NumPyProgram
from tinygrad_lab.compiler.plan.memory import Plan
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.errors import CompileError, MissingDependencyError

__all__ = ["TARGETS", "check_installed", "program_for"]

TARGETS = ("numpy", "numba", "python")


class _NumbersProgram(NumPyProgram):
    """A recording of Python numbers alone: expressions, and no memory to plan."""

    def _planned(self) -> Plan:
        return Plan(self.events, set())

    def _emit(self) -> Iterator[tuple[str, str]]:
        for event in self.events:
            if event.result not in self.expressions.folded:
                text = self.expressions.text(event, self.text, self.bound)
                yield f"{self.name(event.result)} = {text}", event.phase


def check_installed(target: str) -> None:
    """Raise MissingDependencyError if a package that a target needs is not installed."""
    if target == "numba" and find_spec("llvmlite") is None:
        raise MissingDependencyError(
            "tg.compile: the target 'numba' needs llvmlite, numba's compiler, which is not "
            "installed: pip install 'tinygrad_lab[fast]'."
        )


def program_for(target: str, recording: Recording) -> NumPyProgram:
    """Turn a recording into code for a target."""
    if target == "numba":
        from tinygrad_lab.compiler.loops.target import NumbaProgram

        return NumbaProgram(recording)
    if not any(value.is_array for value in recording.trace.values):
        return _NumbersProgram(recording)
    program = NumPyProgram(recording)
    # An optimiser updates its numbers as one vector.
    parameters = [value for state, value in recording.states.items() if state.kind == "data"]
    on_vectors = {"update"} if not any(value.is_array for value in parameters) else set()
    for event in program.events if target == "python" else ():
        if not event.is_on_numbers and event.phase not in on_vectors:
            raise CompileError(
                "tg.compile: the target 'python' is for scalar graphs (tg.scalar), but this step "
                f"works on arrays ({event.call.name}): use target='numpy'."
            )
    return program
