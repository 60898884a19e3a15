"""A recording bound to memory, and to its tensors and optimisers.

A replay works in place: parameters, moments and gradients stay where they are from call to call.
That is right only as long as nothing else refers to that memory, and everything is as it was when
the step was recorded. So the code of a replay begins with checks, each a few dozen nanoseconds:
shapes, dtypes, modes, settings; that the tensors still have the arrays that this replay gave them;
and, by reference counts, that nothing else holds those. Where a check fails, the replay does
nothing and says so.

What belongs to it, one idea a file:

- ``arguments.py``, ``fits.py``: whether a call fits the recording, and in words why not;
- ``code.py``: the source of the replay function;
- ``homes.py``: which states have memory, in which order, and who holds them;
- ``binding.py``: all names in the code are bound to new memory;
- ``counts.py``: reference counts, what is allowed, what other replays refer to;
- ``adopt.py``: states that are elsewhere are taken into the memory that there is;
- ``give_away.py``: memory that others hold is left to them;
- ``adopt_code.py``, ``moving.py``: the code for both; some names are bound to other memory;
- ``undo.py``, ``interrupts.py``: a replay that fails is undone; one that is interrupted, finished.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.replay.adopt import Adopting
from tinygrad_lab.compiler.replay.arguments import Arguments
from tinygrad_lab.compiler.replay.binding import Binding
from tinygrad_lab.compiler.replay.code import ReplayCode
from tinygrad_lab.compiler.replay.counts import Counts
from tinygrad_lab.compiler.replay.fits import Conditions
from tinygrad_lab.compiler.replay.homes import Homes
from tinygrad_lab.compiler.replay.interrupts import finish
from tinygrad_lab.compiler.replay.outcome import MISS
from tinygrad_lab.compiler.replay.undo import Undo
from tinygrad_lab.compiler.targets import Program

__all__ = ["Replay"]


class Replay:
    """Straight-line code for one recording."""

    def __init__(
        self,
        recording: Recording,
        arguments: Arguments,
        target: str,
        write: Callable[[], Program],
    ) -> None:
        """``write`` plans the recording and writes its code, once that is needed."""
        self.run: Callable[..., Any] = _missing
        """Replay a call with such leaves; returns ``MISS`` or ``MOVED`` where it cannot."""
        self.recording = recording
        self.arguments = arguments
        self.target = target
        self._write = write
        self._conditions = Conditions(recording, arguments)
        self._homes = Homes(recording)
        self._binding = Binding(recording, self._conditions, self._homes)
        self._names = self._binding.names
        self._counts = Counts(self._names)
        self._adopting: Adopting | None = None

    def __del__(self) -> None:
        # A function and its names refer to each other, as do the parts of a trace. Parameters and
        # buffers, which both refer to, would live until the garbage collector runs.
        self._counts.let_go()
        self._names.clear()
        self.recording.trace.let_go()

    @cached_property
    def program(self) -> Program:
        """The plan, and the lines between the checks and the results."""
        return self._write()

    @cached_property
    def code(self) -> ReplayCode:
        """The source of the replay function, and of what its checks call."""
        return ReplayCode(self.recording, self.program, self._conditions, self._homes)

    @cached_property
    def undo(self) -> Undo:
        """What is put back where it fails half-way."""
        return Undo(self.program.plan)

    def differences(self, leaves: list[Any]) -> Iterator[str]:
        """Yield, in words, what is not as it was when it was recorded."""
        return self._conditions.differences(leaves)

    def fits(self, leaves: list[Any]) -> bool:
        """Return whether it was recorded for such arguments, modules, settings and states."""
        return next(self.differences(leaves), None) is None

    def renew(self) -> None:
        """Bind new memory, holding the states as they are now, and hand it to their owners."""
        code, names = self.code, self._names
        # Until it is done, nothing is replayed.
        self._unbind()
        counted = self._binding.renew(code, self.program, self.undo.states)
        # Count only now: no local variable refers to the memory any more.
        exec(code.untouched(self._counts.start(counted)), names)
        exec(code.settling(), names)
        exec(code.compiled, names)
        self._counts.end_binding()
        self.run = self.undo.around(names["replay"], names["at_risk"])

    def settle(self) -> None:
        """Work for the states as they are now, with memory that it has, where that can be."""
        if not self.adopt():
            self.renew()

    def adopt(self) -> bool:
        """Take the states into the memory that there is; return False if all must be bound anew."""
        if self._counts.is_on:
            if self._adopting is None:
                self._adopting = Adopting(self._binding, self._homes, self._counts)
            try:
                if self._adopting.adopt():
                    return True
            except BaseException:
                self._unbind()
                raise
        self._unbind()
        return False

    def _unbind(self) -> None:
        """Replay nothing until all names are bound anew."""
        self.run, self._adopting = _missing, None
        self._counts.stop()

    def finish(self, interrupt: BaseException) -> bool:
        """Finish a replay that was interrupted; return whether it was one of this recording."""
        out = finish(self.code.source, self._names, interrupt.__traceback__)
        if out is MISS:
            self.undo.put_back(self._names["at_risk"])
        return out is not None

    def run_with_clock(self, now: Callable[[], int]) -> Callable[..., Any]:
        """Return the replay with a clock reading before and after each of the program's lines."""
        names = {**self._names, "now": now}
        # This copy of the names adds a reference to everything that is guarded.
        names["untouched"] = lambda: True
        exec(self.code.with_clock(), names)
        replay: Callable[..., Any] = names["replay"]
        return replay


def _missing(*_: Any) -> Any:
    """Replay nothing: there is no memory yet."""
    return MISS
