"""A trace while the step runs: events are entered with the code around them, as they happen."""

from __future__ import annotations

from dataclasses import dataclass
from types import CodeType, FrameType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.frames import APPLYING, RECORDING, USING, known_codes, look_at
from tinygrad_lab.compiler.record.trace import Call, Event, Part, Trace, Value
from tinygrad_lab.compiler.record.variables import RETURNED, Target
from tinygrad_lab.context import current

__all__ = ["RunningTrace"]

_CHECK = Call("check", "check", bool)
_NO_KWARGS: dict[str, Any] = {}
"""One for all operations on numbers: arguments are replaced as a whole, never in place."""


@dataclass(slots=True)
class RunningTrace(Trace):
    """A trace to which events are added; the recorder tells what runs."""

    node: Any = None
    """The node whose gradient is pulled back; the backward pass has its module and line."""
    applied: Part | None = None
    """The op that was applied last."""
    pulled: Part | None = None
    """The op of ``node``, on the way back."""
    updated: Part | None = None
    """The last step of an optimiser."""
    optimizer: type | None = None
    """The class of the optimiser that steps."""
    _placed: Part | None = None
    """The op of which ``_place`` is the phase, and the code and the offset that apply it."""
    _place: tuple[str, CodeType | None, int] = ("forward", None, 0)

    def add(
        self,
        call: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        found: tuple[Value, ...] | None = None,
    ) -> Event:
        """Add an event, in the current scope; its inputs are found if they are not given."""
        event = Event(call, args, kwargs, scope=current().scope, found=found)
        self.events.append(event)
        return event

    def number(self, call: Call, args: tuple[Any, ...], out: Any, frame: FrameType | None) -> Value:
        """Enter an operation on Python numbers; return its result's value, which has no memory."""
        event = Event(call, args, _NO_KWARGS, scope=current().scope)
        value = Value(len(self.values), out, event=event)
        event.results = (value,)
        self.events.append(event)
        self.values.append(value)
        value.name = self.observe(event, frame)
        return value

    def check(self, condition: Value, frame: FrameType | None) -> bool:
        """Return whether a condition holds anywhere; the replay checks it again at every call."""
        holds = bool(np.any(condition.array))
        self.observe(self.add(_CHECK, (condition, holds), {}), frame)
        return holds

    def let_go(self) -> None:
        Trace.let_go(self)
        self.applied = self.pulled = self.updated = self._placed = None

    def observe(self, event: Event, frame: FrameType | None) -> str | None:
        """Note the phase and line of the code that caused an event; return its name for it."""
        name: Target | None = RETURNED
        while frame is not None:
            # A function call for each frame would take a tenth of a recording.
            known = known_codes.get(id(frame.f_code)) or look_at(frame.f_code)
            role = known.role
            if role is not RECORDING:
                if name is RETURNED:
                    # A result that is returned immediately has the name that the caller gives
                    # it; but the code that applies an op returns the results of all.
                    name = None if role is APPLYING else known.variables.of(frame.f_lasti)
                if known.opens is not None and event.part is None:
                    event.part = self._part(known.opens, frame)
                    if event.part is not None and event.part is self._placed:
                        event.phase, event.code, event.offset = self._place
                        break  # what lies around the op is as it was at its first event
                if role is USING:
                    event.code, event.offset = known.code, frame.f_lasti
                    break
                if known.phase is not None:
                    event.phase = known.phase
                    if known.phase == "backward" and self.node is not None and self.node.code:
                        break  # the node tells the rest
            frame = frame.f_back
        if event.part is not None and event.part is self.applied is not self._placed:
            self._placed, self._place = event.part, (event.phase, event.code, event.offset)
        if event.phase == "backward" and self.node is not None:
            event.scope, event.code = self.node.scope, self.node.code or event.code
            event.offset = self.node.offset if self.node.code else event.offset
        return _one_of(name, event)

    def _part(self, kind: str, frame: FrameType) -> Part | None:
        """Return the part that a frame runs."""
        if kind == "backward":
            return self.pulled
        if kind == "forward":
            applied = self.applied
            return applied if applied is not None and applied.frame == id(frame) else None
        last = self.updated
        if self.optimizer is None:
            return None
        # The code is a straight line: what lies before the last event is another step.
        if last is None or last.frame != id(frame) or frame.f_lasti < last.offset:
            kind, about = self.optimizer.__name__.lower(), self.optimizer.__doc__ or ""
            last = self.updated = Part(kind, "update", about, frame=id(frame))
        last.offset = frame.f_lasti
        return last


def _one_of(target: Target | None, event: Event) -> str | None:
    """Return the variable of a result; where a sequence is unpacked, that of the element."""
    if not isinstance(target, tuple):
        return None if target == RETURNED else target
    key = event.args[1] if event.call.kind == "getitem" else None
    return target[key] if isinstance(key, int) and key < len(target) else None
