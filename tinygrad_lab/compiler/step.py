"""``tg.compile``: a step that is recorded twice, and replayed from then on."""

from __future__ import annotations

import gc
import inspect
import io
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial, update_wrapper
from itertools import islice
from operator import is_
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.compiler.pipeline import Call, record, replay_of
from tinygrad_lab.compiler.plan.outlines import forget_numbers
from tinygrad_lab.compiler.record.dependencies import changed_among
from tinygrad_lab.compiler.record.packing import Unpack, unpacker
from tinygrad_lab.compiler.record.relied import Relied
from tinygrad_lab.compiler.record.things import Followed
from tinygrad_lab.compiler.refusal import AskedError, UnsupportedError
from tinygrad_lab.compiler.replay.both_ways import run_both_ways
from tinygrad_lab.compiler.replay.fits import raises_errors
from tinygrad_lab.compiler.replay.outcome import MISS, MOVED
from tinygrad_lab.compiler.replay.replay import Replay
from tinygrad_lab.compiler.replay.report import Report, report_on
from tinygrad_lab.compiler.source.textbook import TextbookWriter, recorded_as_taught
from tinygrad_lab.compiler.source.write import Writer
from tinygrad_lab.compiler.targets import TARGETS, check_installed
from tinygrad_lab.context import current
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, CompileError
from tinygrad_lab.files import write_all_atomically

if TYPE_CHECKING:
    from tinygrad_lab.compiler.source.picture import Direction, Drawing

__all__ = ["CompiledStep"]

MANY_RECORDINGS = 8
"""More different recordings than a user is likely to intend cause a warning."""

MOST_REPLAYS = 64
"""More recordings than are kept: each takes memory for all that its step computes."""

KINDS_OF_INTEGERS = 3
"""From so many different values on, an integer argument is read at each call, as a float is."""

MOST_FIRST = 8
"""How many recordings are kept that no other call matched; if none was ever matched, the step
runs uncompiled."""


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
        self._replays: list[Replay] = []
        self._direct: list[Replay] = []
        """The replays for calls whose arguments are leaves, passed by position."""
        self._first: list[Replay] = []
        """Recorded once so far, to be compared with the recording of the next call."""
        self._packed: list[tuple[Unpack, Replay]] = []
        """The others, with the functions that take the leaves out of the arguments."""
        self._by_value: frozenset[int] = frozenset()
        """The places of numbers among the arguments whose value the step asks for."""
        self._has_warned_of_prints = False
        self._has_warned_of_many = False
        self._attempts = 0
        self._runs_eagerly = False
        self._changes: set[str] = set()
        """What the last recorded call itself has changed, so that it could not be replayed."""
        self._why = "it has not been called yet"
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
            return self._another(args, kwargs)
        except KeyboardInterrupt as interrupt:
            # Moments and parameters are not left half-written: the step is finished first.
            any(replay.finish(interrupt) for replay in self._replays)
            raise

    def _another(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Make a call for which no replay is ready."""
        if self._runs_eagerly:
            return self.function(*args, **kwargs)
        if around := _around_the_call():
            self._why = f"it ran uncompiled {around}"
            return self._uncompiled(args, kwargs)
        leaves, rebuild = trees.flatten((list(args), kwargs), open_modules=False)
        structure = _structure(leaves, rebuild)
        for replay in _fitting(self._replays, structure, leaves):
            out = replay.run(*leaves)
            if out is MISS or out is MOVED:
                replay.settle()
                out = replay.run(*leaves)
            if out is not MISS and out is not MOVED:
                return out
        with _without_collector():
            return self._record(args, kwargs, leaves, rebuild)

    def _uncompiled(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run the function as it is; under ``tg.debug()`` compare a replay with it."""
        context = current()
        if context.debugger is not None and context.grad_enabled and context.recorder is None:
            leaves, rebuild = trees.flatten((list(args), kwargs), open_modules=False)
            structure = _structure(leaves, rebuild)
            for replay in _fitting(self._replays, structure, leaves):
                call = partial(self.function, *args, **kwargs)
                return run_both_ways(replay, leaves, call)
        return self.function(*args, **kwargs)

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
        return self._why

    def _reason(self, structure: Any, leaves: list[Any]) -> str:
        """Say why a call is about to be recorded."""
        found = [*self._replays, *self._first]
        if not found:
            return "it was recorded, because no call was before"
        alike = _alike(found, structure)
        if not alike:
            return "it was recorded again: its arguments are other ones, or in other containers"
        differences = [list(islice(one.differences(leaves), 4)) for one in reversed(alike)]
        fewest = min(differences, key=len)
        if fewest:
            return f"it was recorded again: {'; '.join(fewest)}"
        if any(one in self._first for one in alike):
            return "it was recorded a second time, to be compared with the first"
        return "it was recorded again: a check inside of the step turned out differently"

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

    def _record(self, args: Any, kwargs: Any, leaves: list[Any], rebuild: Any) -> Any:
        """Run the step, and record it."""
        call = self._taken_apart(args, kwargs, leaves, rebuild)
        earlier = next(_fitting(self._first, call.structure, leaves), None)
        self._why = self._reason(call.structure, leaves)
        asked = frozenset[int]()
        try:
            recorded = record(
                call,
                None if earlier is None else earlier.recording,
                self._numbers_to_read(call.structure, leaves),
            )
        except UnsupportedError as reason:
            self._give_up(reason)
            return self.function(*args, **kwargs)
        except AskedError as error:
            asked = error.places
        if asked:
            return self._record_by_value(asked, args, kwargs, leaves, rebuild)
        self._warn_of_prints(recorded.relied)
        if earlier is not None:
            self._first.remove(earlier)
            earlier.recording.trace.let_go()
        if not self._has_changed_itself(recorded.relied):
            replay = replay_of(call, recorded.recording, self.target)
            (self._add if recorded.is_the_same else self._remember_first)(replay)
        return recorded.result

    def _taken_apart(self, args: Any, kwargs: Any, leaves: list[Any], rebuild: Any) -> Call:
        structure = _structure(leaves, rebuild)

        def run(new: list[Any]) -> Any:
            given = rebuild(new)
            out = self.function(*given[0], **given[1])
            _check_containers(given, new, structure)
            return out

        names = self._names(args, kwargs, len(leaves))
        return Call(self.function, run, leaves, names, structure)

    def _record_by_value(self, places: frozenset[int], *call: Any) -> Any:
        """Record a step that asks what some numbers are: each has a recording of its own."""
        before = self._by_value
        self._by_value |= places
        try:
            return self._record(*call)
        except BaseException:
            self._by_value = before
            raise

    def _add(self, replay: Replay) -> None:
        """Replay a recording from now on."""
        self._replays.append(replay)
        if len(self._replays) > MOST_REPLAYS:
            gone = self._replays.pop(0)
            self._direct = [one for one in self._direct if one is not gone]
            self._packed = [pair for pair in self._packed if pair[1] is not gone]
        args, kwargs = replay.arguments.structure
        if not kwargs and args == list(range(len(args))):
            self._direct.append(replay)
        else:
            self._packed.append((unpacker(replay.arguments.structure), replay))
        self._warn_if_many()
        replay.renew()

    def _numbers_to_read(self, structure: Any, leaves: list[Any]) -> frozenset[int]:
        """Return the places of floats, and of integers that came with several values."""
        alike = [
            one for one in (*self._replays, *self._first) if one.arguments.structure == structure
        ]
        return frozenset(
            place
            for place, leaf in enumerate(leaves)
            if place not in self._by_value
            and (
                type(leaf) is float
                or (
                    type(leaf) is int
                    and len({leaf, *(one.arguments.fixed[place] for one in alike)} - {None})
                    >= KINDS_OF_INTEGERS
                )
            )
        )

    def _warn_of_prints(self, relied: Relied) -> None:
        if relied.prints and not self._has_warned_of_prints:
            self._has_warned_of_prints = True
            warnings.warn(
                f"tg.compile: {self._name} prints, writes or logs only while it is recorded, not "
                f"when it is replayed: at {relied.prints[0]}. Print what the step returns.",
                stacklevel=5,
            )

    def _has_changed_itself(self, relied: Relied) -> bool:
        """Return whether a call has changed what it read; if calls go on so, none is replayed."""
        changed = relied.changed()
        names = {one.path for one in changed}
        if not changed:
            self._changes = names
            return False
        if names & self._changes:
            paths = " and ".join(sorted(names & self._changes))
            self._give_up(
                f"{paths} differs from call to call: the step changes it, which a replay would not "
                f"do. Change it outside of the step. At {changed[0].where}"
            )
        self._changes = names
        return True

    def _remember_first(self, replay: Replay) -> None:
        """Keep a first recording for the next call, unless no two calls ever match."""
        forget_numbers(replay.recording.trace, ())
        self._first = [*self._first, replay][-MOST_FIRST:]
        self._attempts += 1
        if self._attempts == MOST_FIRST and not self._replays:
            paths = {
                one.path
                for first in self._first
                for one in changed_among(first.recording.dependencies)
                if one.policy != "untouched"
            } | {f"the value of {replay.arguments.names[place]}" for place in self._by_value}
            other = sorted(paths)[:3]
            reason = (
                f"{' and '.join(other)} differs"
                if other
                else ("shapes, modes, settings or operations differ")
            )
            self._give_up(
                f"{MOST_FIRST} calls were recorded, but {reason} from call to call. Numbers "
                "that change are best passed as arguments."
            )
            self._first.clear()

    def _names(self, args: Any, kwargs: Any, count: int) -> list[str]:
        """Name the leaves of the arguments after the parameters that they are part of."""
        names: list[str] = []
        try:
            # In the order of the call, in which keyword arguments may be in another order than in
            # the signature.
            bound = {**inspect.signature(self.function).bind_partial(*args).arguments, **kwargs}
        except (TypeError, ValueError):
            bound = {}
        for name, value in bound.items():
            parts = len(trees.flatten(value, open_modules=False)[0])
            names += [name] if parts == 1 else [f"{name}_{part}" for part in range(parts)]
        return names if len(names) == count else [f"argument_{n}" for n in range(count)]

    def _warn_if_many(self) -> None:
        if len(self._replays) == MANY_RECORDINGS and not self._has_warned_of_many:
            self._has_warned_of_many = True
            asked = self._replays[-1].arguments.names
            numbers = sorted({asked[place] for place in self._by_value if place < len(asked)})
            because = f" (such as {' and '.join(numbers)})" if numbers else ""
            warnings.warn(
                f"tg.compile: {self._name} was recorded {MANY_RECORDINGS} times, for different "
                f"shapes, dtypes, numbers{because}, modes or settings. Recording takes many times "
                f"as long as a step; {MOST_REPLAYS} recordings are kept. The last time "
                f"{self._why.removeprefix('it was recorded again: ')}.",
                stacklevel=6,
            )

    def _give_up(self, reason: Exception | str) -> None:
        warnings.warn(f"tg.compile: {self._name} runs uncompiled: {reason}", stacklevel=5)
        self._runs_eagerly = True
        self._why = f"it runs uncompiled: {reason}"

    @property
    def _name(self) -> str:
        return getattr(self.function, "__name__", "the step")

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
        rebuild = _filled(given.structure)

        def call(new: list[Any]) -> Any:
            args, kwargs = rebuild(new)
            return self.function(*args, **kwargs)

        arguments = (call, given.example(), given.names, given.structure, latest.recording)
        with _without_collector():
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
        leaves, rebuild = trees.flatten((list(args), kwargs), open_modules=False)
        structure = _structure(leaves, rebuild)
        replay = next(_fitting(self._replays, structure, leaves), None)
        if replay is None:
            raise CompileError(
                f"tg.compile: {self._name} has not been recorded for such arguments: call it twice."
            )

        def call(new: list[Any]) -> Any:
            new_args, new_kwargs = rebuild(new)
            return self.function(*new_args, **new_kwargs)

        return report_on(replay, leaves, call, replays)

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
                f"tg.compile: {self._name} has not been recorded: call it twice (the first two "
                "calls are recorded, to check that they do the same)."
            )
        return self._replays[-1]


def _alike(replays: Iterable[Replay], structure: Any) -> list[Replay]:
    """Return the replays for arguments in such containers."""
    return [one for one in replays if one.arguments.structure == structure]


def _fitting(replays: Iterable[Replay], structure: Any, leaves: list[Any]) -> Iterator[Replay]:
    """Yield the replays that were recorded for such a call."""
    return (one for one in _alike(replays, structure) if one.fits(leaves))


def _check_containers(given: Any, leaves: list[Any], structure: Any) -> None:
    """Raise if a step has changed a list or a dict among its arguments: it had a copy."""
    now, rebuild = trees.flatten(given, open_modules=False)
    same = len(now) == len(leaves) and all(map(is_, now, leaves))
    if not same or _structure(now, rebuild) != structure:
        raise UnsupportedError(
            "it changes its arguments: it sets or removes items of a list or a dict that it is "
            "given, and a replay would not"
        )


_METHODS = (classmethod, staticmethod)


_STEPS = "_compiled_steps"
"""Where an object keeps its own steps."""
_NO_STEPS: dict[Any, Any] = {}


def _around_the_call() -> str | None:
    """Return what, around a call, makes it run uncompiled."""
    context = current()
    if not context.ordinary:
        return "inside of another step, or under tg.debug(), tg.record(), tg.no_grad() or the like"
    if context.device != "cpu":
        return f"under tg.default_device({context.device!r})"
    if raises_errors():
        return "because NumPy is to raise errors (np.errstate), and would leave it half-done"
    return None


@contextmanager
def _without_collector() -> Iterator[None]:
    """Suspend the garbage collector in the block.

    A recording makes many objects and discards few: the collector would go through all of them
    again and again, for half of the time, and find nothing.
    """
    collected = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collected:
            gc.enable()


def _filled(structure: Any) -> Callable[[list[Any]], Any]:
    """Return a function that puts leaves into the places of the numbers in containers."""
    return trees.flatten(structure, open_modules=False)[1]


def _structure(leaves: list[Any], rebuild: Callable[[list[Any]], Any]) -> Any:
    """Return the containers of arguments, with numbers in the places of the leaves."""
    return rebuild(list(range(len(leaves))))
