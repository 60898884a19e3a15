"""The recordings of one function: which one a call has, and when another is made.

A call that no replay answers at once goes through here. It may still fit a recording whose memory
has to be found again; it may have to run uncompiled; or it is recorded. The first recording of a
kind of call waits for a second that does the same; from then on it is replayed.
"""

from __future__ import annotations

import gc
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

from tinygrad_lab.compiler.calls import Call
from tinygrad_lab.compiler.pipeline import record, replay_of
from tinygrad_lab.compiler.plan.outlines import forget_numbers
from tinygrad_lab.compiler.record.dependencies import changed_among
from tinygrad_lab.compiler.record.packing import Unpack, unpacker
from tinygrad_lab.compiler.record.relied import Relied
from tinygrad_lab.compiler.refusal import AskedError, UnsupportedError
from tinygrad_lab.compiler.replay.both_ways import run_both_ways
from tinygrad_lab.compiler.replay.fits import raises_errors
from tinygrad_lab.compiler.replay.outcome import MISS, MOVED
from tinygrad_lab.compiler.replay.replay import Replay
from tinygrad_lab.context import current
from tinygrad_lab.engine.user_code import is_library

__all__ = ["Recordings", "without_collector"]

MANY_RECORDINGS = 8
"""More different recordings than a user is likely to intend cause a warning."""

MOST_REPLAYS = 64
"""More recordings than are kept: each takes memory for all that its step computes."""

KINDS_OF_INTEGERS = 3
"""From so many different values on, an integer argument is read at each call, as a float is."""

MOST_FIRST = 8
"""How many recordings are kept that no other call matched; if none was ever matched, the step
runs uncompiled."""


class Recordings:
    """What was recorded of one function so far."""

    def __init__(self, function: Callable[..., Any], target: str) -> None:
        self._function = function
        self._target = target
        self.name = getattr(function, "__name__", "the step")
        self.replays: list[Replay] = []
        self.direct: list[Replay] = []
        """Those for calls whose arguments are leaves, passed by position."""
        self.packed: list[tuple[Unpack, Replay]] = []
        """The others, with the functions that take the leaves out of the arguments."""
        self._first: list[Replay] = []
        """Recorded once so far, to be compared with the recording of the next call."""
        self._by_value: frozenset[int] = frozenset()
        """The places of numbers among the arguments whose value the step asks for."""
        self._attempts = 0
        self._changes: set[str] = set()
        """What the last recorded call itself has changed, so that it could not be replayed."""
        self._warnings: set[str] = set()
        """What it has warned of."""
        self.runs_uncompiled = False
        """All calls do, from now on."""
        self.why = "it has not been called yet"
        """Why the last call that was not replayed was not."""

    def fitting(self, call: Call) -> Iterator[Replay]:
        """Yield the replays that were recorded for such a call."""
        return _fitting(self.replays, call)

    def call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Make a call for which no replay is ready."""
        if self.runs_uncompiled:
            return self._function(*args, **kwargs)
        call = Call(self._function, args, kwargs)
        if around := _around_the_call():
            self.why = f"it ran uncompiled {around}"
            return self._uncompiled(call, args, kwargs)
        for replay in self.fitting(call):
            out = replay.run(*call.leaves)
            if out is MISS or out is MOVED:
                replay.settle()
                out = replay.run(*call.leaves)
            if out is not MISS and out is not MOVED:
                return out
        with without_collector():
            return self._record(call, args, kwargs)

    def _uncompiled(self, call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the function as it is; under ``tg.debug()`` compare a replay with it."""
        context = current()
        if context.debugger is not None and context.grad_enabled and context.recorder is None:
            for replay in self.fitting(call):
                return run_both_ways(replay, call.leaves, lambda: self._function(*args, **kwargs))
        return self._function(*args, **kwargs)

    # --- recording --------------------------------------------------------------------------------

    def _record(self, call: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Run the step, and record it."""
        earlier = next(_fitting(self._first, call), None)
        self.why = self._reason(call)
        asked = frozenset[int]()
        try:
            recorded = record(
                call,
                None if earlier is None else earlier.recording,
                self._numbers_to_read(call),
            )
        except UnsupportedError as reason:
            self._give_up(reason)
            return self._function(*args, **kwargs)
        except AskedError as error:
            asked = error.places
        if asked:
            return self._record_by_value(asked, call, args, kwargs)
        self._warn_of_prints(recorded.relied)
        if earlier is not None:
            self._first.remove(earlier)
            earlier.recording.trace.let_go()
        if not self._has_changed_itself(recorded.relied):
            replay = replay_of(call, recorded.recording, self._target)
            (self._add if recorded.is_the_same else self._remember_first)(replay)
        return recorded.result

    def _record_by_value(self, places: frozenset[int], *call: Any) -> Any:
        """Record a step that asks what some numbers are: each has a recording of its own."""
        before = self._by_value
        self._by_value |= places
        try:
            return self._record(*call)
        except BaseException:
            self._by_value = before
            raise

    def _reason(self, call: Call) -> str:
        """Say why a call is about to be recorded."""
        found = [*self.replays, *self._first]
        if not found:
            return "it was recorded, because no call was before"
        alike = _alike(found, call)
        if not alike:
            return "it was recorded again: its arguments are other ones, or in other containers"
        differences = [list(islice(one.differences(call.leaves), 4)) for one in reversed(alike)]
        fewest = min(differences, key=len)
        if fewest:
            return f"it was recorded again: {'; '.join(fewest)}"
        if any(one in self._first for one in alike):
            return "it was recorded a second time, to be compared with the first"
        return "it was recorded again: a check inside of the step turned out differently"

    def _numbers_to_read(self, call: Call) -> frozenset[int]:
        """Return the places of floats, and of integers that came with several values."""
        alike = _alike((*self.replays, *self._first), call)

        def is_read(place: int, leaf: Any) -> bool:
            if type(leaf) is not int:
                return type(leaf) is float
            values = {leaf, *(one.arguments.fixed[place] for one in alike)} - {None}
            return len(values) >= KINDS_OF_INTEGERS

        places = (place for place, leaf in enumerate(call.leaves) if is_read(place, leaf))
        return frozenset(places) - self._by_value

    def _add(self, replay: Replay) -> None:
        """Replay a recording from now on."""
        self.replays.append(replay)
        if len(self.replays) > MOST_REPLAYS:
            gone = self.replays.pop(0)
            self.direct[:] = [one for one in self.direct if one is not gone]
            self.packed[:] = [pair for pair in self.packed if pair[1] is not gone]
        args, kwargs = replay.arguments.structure
        if not kwargs and args == list(range(len(args))):
            self.direct.append(replay)
        else:
            self.packed.append((unpacker(replay.arguments.structure), replay))
        self._warn_if_many()
        replay.renew()

    def _remember_first(self, replay: Replay) -> None:
        """Keep a first recording for the next call, unless no two calls ever match."""
        forget_numbers(replay.recording.trace, ())
        self._first = [*self._first, replay][-MOST_FIRST:]
        self._attempts += 1
        if self._attempts == MOST_FIRST and not self.replays:
            paths = {
                one.path
                for first in self._first
                for one in changed_among(first.recording.dependencies)
                if one.policy != "untouched"
            } | {f"the value of {replay.arguments.names[place]}" for place in self._by_value}
            other = sorted(paths)[:3]
            what = " and ".join(other) or "shapes, modes, settings or operations"
            self._give_up(
                f"{MOST_FIRST} calls were recorded, but {what} {'differs' if other else 'differ'} "
                "from call to call. Numbers that change are best passed as arguments."
            )
            self._first.clear()

    def _has_changed_itself(self, relied: Relied) -> bool:
        """Return whether a call has changed what it read; if calls go on so, none is replayed."""
        changed = relied.changed()
        names = {one.path for one in changed}
        again = names & self._changes
        if again:
            self._give_up(
                f"{' and '.join(sorted(again))} differs from call to call: the step changes it, "
                "which a replay would not do. Change it outside of the step. At "
                f"{changed[0].where}"
            )
        self._changes = names
        return bool(changed)

    # --- telling the user -------------------------------------------------------------------------

    def _give_up(self, reason: Exception | str) -> None:
        self.runs_uncompiled = True
        self.why = f"it runs uncompiled: {reason}"
        _warn(f"tg.compile: {self.name} runs uncompiled: {reason}")

    def _warn_of_prints(self, relied: Relied) -> None:
        if relied.prints and "prints" not in self._warnings:
            self._warnings.add("prints")
            _warn(
                f"tg.compile: {self.name} prints, writes or logs only while it is recorded, not "
                f"when it is replayed: at {relied.prints[0]}. Print what the step returns."
            )

    def _warn_if_many(self) -> None:
        if len(self.replays) == MANY_RECORDINGS and "many" not in self._warnings:
            self._warnings.add("many")
            asked = self.replays[-1].arguments.names
            numbers = sorted({asked[place] for place in self._by_value if place < len(asked)})
            because = f" (such as {' and '.join(numbers)})" if numbers else ""
            _warn(
                f"tg.compile: {self.name} was recorded {MANY_RECORDINGS} times, for different "
                f"shapes, dtypes, numbers{because}, modes or settings. Recording takes many times "
                f"as long as a step; {MOST_REPLAYS} recordings are kept. The last time "
                f"{self.why.removeprefix('it was recorded again: ')}."
            )


def _warn(message: str) -> None:
    """Warn at the line of the user's that called the step."""
    frame, level = sys._getframe(), 1
    while frame.f_back is not None and is_library[frame.f_code.co_filename]:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)


def _alike(replays: Iterable[Replay], call: Call) -> list[Replay]:
    """Return the replays for arguments in such containers."""
    return [one for one in replays if one.arguments.structure == call.structure]


def _fitting(replays: Iterable[Replay], call: Call) -> Iterator[Replay]:
    return (one for one in _alike(replays, call) if one.fits(call.leaves))


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
def without_collector() -> Iterator[None]:
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
