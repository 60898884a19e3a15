"""What a recording can be made into. To add a target, write a program and name it here."""

from __future__ import annotations

from tinygrad_lab.compile.expressions import is_number
from tinygrad_lab.compile.numpy_target import NumPyProgram
from tinygrad_lab.compile.record import Recording
from tinygrad_lab.errors import CompileError

__all__ = ["TARGETS", "program_for"]

TARGETS = ("numpy", "numba", "python")


class _PythonProgram(NumPyProgram):
    """A recording of Python numbers alone: expressions, no arrays."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(recording)
        for event in self.events:
            if not is_number(event):
                raise CompileError(
                    "tg.compile: the target 'python' is for scalar graphs (tg.scalar), this step "
                    f"works on arrays ({event.call.name}): target='numpy'."
                )


def program_for(target: str, recording: Recording) -> NumPyProgram:
    """A recording as code for a target."""
    if target == "numba":
        from tinygrad_lab.compile.numba_target import NumbaProgram

        return NumbaProgram(recording)
    return _PythonProgram(recording) if target == "python" else NumPyProgram(recording)
