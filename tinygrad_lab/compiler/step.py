"""``tg.compile``: a step that is recorded twice, and replayed from then on."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.compiler.calls import Call, filled
from tinygrad_lab.compiler.record.things import Followed
from tinygrad_lab.compiler.recordings import Recordings, without_collector
from tinygrad_lab.compiler.replay.outcome import MISS, MOVED
from tinygrad_lab.compiler.replay.replay import Replay
from tinygrad_lab.compiler.replay.report import Report, report_on
from tinygrad_lab.compiler.source.as_taught import recorded_as_taught
from tinygrad_lab.compiler.source.textbook import TextbookWriter
from tinygrad_lab.compiler.source.write import Writer
from tinygrad_lab.compiler.targets import TARGETS, check_installed
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, CompileError
from tinygrad_lab.files import write_all_atomically

if TYPE_CHECKING:
    from tinygrad_lab.compiler.source.picture import Direction, Drawing

__all__ = ["CompiledStep"]


class CompiledStep(Followed):
    """A function whose array operations are recorded, and replayed as straight-line code."""

    def __init__(self, function: Callable[..., Any], target: str = "numpy") -> None:
        if target not in TARGETS:
            raise ArgumentError(f"tg.compile: expected a target of {TARGETS}, got {target!r}.")
        check_installed(target)
        if not (isinstance(function, _METHODS) or callable(function)):
            raise ArgumentTypeError(
                f"tg.compile: expected a function, got {type(function).__name__}: {function!r:.60}."
            )
        update_wrapper(self, function)
        self.function = function
        self.target = target
        self._recordings = recordings = Recordings(function, target)
        # The lists themselves, looked up at each call.
        self._replays, self._direct = recordings.replays, recordings.direct
        self._packed = recordings.packed
        self._of: dict[str, Any] = {}
        """The steps of classes, and of objects that cannot keep their own."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            if not kwargs:
                for replay in self._direct:
                    try:
                        out = replay.run(*args)
                    except TypeError:
                        if len(args) == len(replay.recording.arguments):
                            raise
                        continue
                    if out is MOVED and replay.adopt():
                        out = replay.run(*args)
                    if out is not MISS and out is not MOVED:
                        return out
            for unpack, replay in self._packed:
                leaves = unpack(args, kwargs)
                if leaves is not None:
                    out = replay.run(*leaves)
                    if out is MOVED and replay.adopt():
                        out = replay.run(*leaves)
                    if out is not MISS and out is not MOVED:
                        return out
            return self._recordings.call(args, kwargs)
        except KeyboardInterrupt as interrupt:
            # Moments and parameters are not left half-written: the step is finished first.
            any(replay.finish(interrupt) for replay in self._replays)
            raise

    def explain_miss(self) -> str:
        """Say in a sentence why the last call that was not replayed was not.

        Example:
            >>> import tinygrad_lab as tg
            >>> scale = 2.0
            >>> step = tg.compile(lambda x: x * scale)
            >>> for _ in range(3):
            ...     _ = step(tg.tensor([1.0]))
            >>> scale = 5.0
            >>> _ = step(tg.tensor([1.0]))
            >>> step.explain_miss()
            'it was recorded again: scale is 5.0, and was 2.0'
        """
        return self._recordings.why

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """Return the step of one object, or of one class, where a method was compiled."""
        if isinstance(self.function, staticmethod):
            instance, owner = None, None
        elif isinstance(self.function, classmethod):
            instance = owner if owner is not None else type(instance)
        elif instance is None:
            return self
        steps = getattr(instance, "__dict__", self._of)
        if not isinstance(steps, dict):
            steps = self._of  # of a class
        known = steps.get(_STEPS, _NO_STEPS).get((id(self), id(instance)))
        if known is not None:
            return known
        own = CompiledStep(self.function.__get__(instance, owner), self.target)
        # A copy of the object has its steps, too, but under another id.
        mine = {
            key: step
            for key, step in steps.get(_STEPS, _NO_STEPS).items()
            if steps is self._of or key[1] == id(instance)
        }
        steps[_STEPS] = {**mine, (id(self), id(instance)): own}
        return own

    def __reduce__(self) -> Any:
        # The recordings refer to these very tensors; a copy starts without any.
        return type(self), (self.function, self.target)

    @property
    def source(self) -> str:
        """The computation, as a person would have written it with NumPy.

        Forward, backward and update, with the names of your modules and variables; repeated steps
        are a loop. Running it gives the same bits as the step, as long as all arithmetic on Python
        numbers is defined (``1.0 / 0.0`` raises, where the step has inf).

        Raises:
            CompileError: before the step was called twice.
        """
        with self._writer() as writer:
            return writer.source()

    @property
    def textbook(self) -> str:
        """The computation as a textbook has it: in few lines, equal up to rounding.

        Fused ops are written as their mathematics, the chain rule line by line, and optimisers
        parameter by parameter. The step is recorded once more for it, and everything that it
        changes is put back.

        Raises:
            CompileError: before the step was called twice.
        """
        latest = self._latest
        given = latest.arguments
        rebuild = filled(given.structure)

        def call(new: list[Any]) -> Any:
            args, kwargs = rebuild(new)
            return self.function(*args, **kwargs)

        arguments = (call, given.example(), given.names, given.structure, latest.recording)
        with without_collector():
            recording = recorded_as_taught(self.function, *arguments)
        writer = TextbookWriter(recording, self.function)
        try:
            return writer.source()
        finally:
            writer.let_go()
            recording.trace.let_go()

    def save(self, path: str | PathLike[str]) -> None:
        """Write the source as a module, and the current state beside it (``.npz``).

        The module needs only NumPy: ``state = load_state()``, then ``step(..., state)`` any number
        of times, which changes the state and returns what the step returns. A function without
        state is simply called: ``step(...)``.

        Raises:
            ArgumentError: if the path does not end in ``.py``.
            CompileError: before the step was called twice.
            OSError: if a file cannot be written; the old ones then remain.
        """
        path = Path(path)
        if path.suffix != ".py":
            raise ArgumentError(f"step.save: expected a path that ends in .py, got {path}.")
        with self._writer() as writer:
            files: dict[Path, bytes | str] = {path: writer.source(loading=True)}
            if writer.has_state():
                state = io.BytesIO()
                np.savez(state, **writer.state())
                files[path.with_suffix(".npz")] = state.getvalue()
        write_all_atomically(files)

    def draw(self, *, direction: Direction = "LR") -> Drawing:
        """Draw the computation: a box for each line of ``source``, with its shape.

        Forward, backward and update have frames, with the frames of loops inside.

        Args:
            direction: ``"LR"`` from left to right, ``"TB"`` from top to bottom.

        Raises:
            ArgumentError: for another direction.
            CompileError: before the step was called twice.

        Example:
            >>> import tinygrad_lab as tg
            >>> slope = tg.compile(tg.grad(lambda x: (x * x).tanh().sum()))
            >>> _ = slope(tg.tensor([1.0, 2.0])), slope(tg.tensor([3.0, 4.0]))
            >>> slope.draw()
            <Drawing of gradient: 5 boxes, 5 edges; .save("graph.svg")
            or .html, .pdf, .png, .tex, .dot>
        """
        from tinygrad_lab.compiler.source.picture import drawing_of

        with self._writer() as writer:
            return drawing_of(writer, direction)

    def report(self, *args: Any, replays: int = 50, **kwargs: Any) -> Report:
        """Measure the time per line, and the memory, on arguments like those of a call.

        What the step changes (parameters, moments, gradients, generators) is restored.

        Args:
            replays: how often the step is replayed; times are medians.

        Raises:
            CompileError: before the step was called twice with such arguments.
        """
        call = Call(self.function, args, kwargs)
        replay = next(self._recordings.fitting(call), None)
        if replay is None:
            raise CompileError(
                f"tg.compile: {self._recordings.name} has not been recorded for such arguments: "
                "call it twice."
            )

        return report_on(replay, call.leaves, call.run, replays)

    @property
    def optimized_source(self) -> str:
        """The lines that run, with their buffers."""
        latest = self._latest
        return "\n\n".join(filter(None, (latest.program.code.preamble, latest.code.source)))

    @contextmanager
    def _writer(self) -> Iterator[Writer]:
        writer = Writer(self._latest.recording, self.function)
        try:
            yield writer
        finally:
            writer.let_go()

    @property
    def _latest(self) -> Replay:
        if not self._replays:
            raise CompileError(
                f"tg.compile: {self._recordings.name} has not been recorded: call it twice (the "
                "first two calls are recorded, to check that they do the same)."
            )
        return self._replays[-1]


_METHODS = (classmethod, staticmethod)


_STEPS = "_compiled_steps"
"""Where an object keeps its own steps."""
_NO_STEPS: dict[Any, Any] = {}
