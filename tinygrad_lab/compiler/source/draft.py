"""A recording as it is written for readers: a copy, which passes change.

Replays do not use it. Each pass of ``passes.py`` keeps every bit of the results.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_lab.compiler.plan.tidy import replaced
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.trace import Event, Part, Trace, Value, mapped
from tinygrad_lab.compiler.source.roll import Index

__all__ = [
    "Draft",
    "apart",
    "copied",
    "fresh_result",
    "inherit_origin",
    "is_in_layer",
    "is_view",
    "same_layout",
]


@dataclass(slots=True)
class Draft:
    """A recording, and the events that describe it."""

    recording: Recording
    events: list[Event]
    copies: dict[Value, Value] = field(default_factory=dict)
    """Copies of constants that are constants themselves."""

    def new_value(self, array: Any, **facts: Any) -> Value:
        """Add a value that was not recorded."""
        value = Value(len(self.recording.trace.values), array, **facts)
        self.recording.trace.values.append(value)
        return value

    def kept(self) -> list[Value]:
        """Return the values that are read after all events."""
        outputs = [one for one in self.recording.outputs if isinstance(one, Value)]
        return [*outputs, *self.recording.writes.values()]

    def written(self) -> set[Value]:
        """Return the values whose memory is written into."""
        return {event.writes.root for event in self.events if event.writes is not None}

    def users(self) -> dict[Value, list[Event]]:
        """Map each value to the events that read or write it."""
        users: dict[Value, list[Event]] = {}
        for event in self.events:
            targets = () if event.writes is None else (event.writes,)
            for value in dict.fromkeys((*event.inputs, *targets)):
                users.setdefault(value, []).append(event)
        return users

    def replace(self, twins: dict[Value, Value]) -> None:
        """Replace values by their twins in everything that reads them."""
        self.events = replaced(self.recording, self.events, twins)
        for part in {event.part for event in self.events if event.part is not None}:
            part.rename(twins)


def copied(recording: Recording) -> Draft:
    """Copy a recording, its values and its events."""
    values: dict[Any, Value] = {value: copy(value) for value in recording.trace.values}

    def own(one: Any) -> Any:
        return values.get(one, one) if isinstance(one, Value) else one

    for value in values.values():
        value.base, value.gradient_of, value.event = own(value.base), own(value.gradient_of), None
    events = []
    parts: dict[Part | None, Part | None] = {None: None}
    for event in recording.trace.events:
        part = event.part
        if part is not None and part not in parts:
            names = {own(one): name for one, name in part.names.items()}
            parts[part] = replace(part, names=names)
        mine = replace(
            event,
            part=parts[event.part],
            args=mapped(event.args, own),
            kwargs=mapped(event.kwargs, own),
            results=tuple([values[one] for one in event.results]),
            writes=own(event.writes),
        )
        for value in mine.results:
            value.event = mine
        events.append(mine)
    copied = replace(
        recording,
        trace=Trace(events, list(values.values())),
        arguments=[own(one) for one in recording.arguments],
        states={state: own(one) for state, one in recording.states.items()},
        settings={key: own(one) for key, one in recording.settings.items()},
        writes={state: own(one) for state, one in recording.writes.items()},
        outputs=[own(one) for one in recording.outputs],
    )
    return Draft(copied, events)


def apart(one: Event, other: Event) -> bool:
    """Return whether two events are in different functions, or only one is in a function."""
    return one.part is not other.part and (is_in_layer(one) or is_in_layer(other))


def is_in_layer(event: Event) -> bool:
    return event.part is not None and event.part.is_layer


def is_view(event: Event) -> bool:
    """Return whether the result is a view of the first argument."""
    return (
        len(event.results) == 1
        and event.result.base is not None
        and event.call.kind != "ufunc"
        and event.writes is None
        and bool(event.args)
        and isinstance(event.args[0], Value)
    )


def fresh_result(event: Event) -> Any:
    """Run an event on arrays of the recorded kinds; None if the result is not an array."""

    def recorded(one: Any) -> Any:
        if isinstance(one, Index):
            return one.start
        return one.array if isinstance(one, Value) else one

    with np.errstate(all="ignore"):
        out = event.call.function(*mapped(event.args, recorded), **mapped(event.kwargs, recorded))
    return out if isinstance(out, np.ndarray | np.generic) else None


def same_layout(one: Any, other: Any) -> bool:
    """Return whether two arrays differ at most in numbers; axes of length 1 have no stride."""
    return (one.shape, one.dtype, _strides(one)) == (other.shape, other.dtype, _strides(other))


def _strides(array: Any) -> list[int]:
    return [step for step, length in zip(array.strides, array.shape, strict=True) if length != 1]


def inherit_origin(event: Event, made: Event) -> None:
    """Give a new event the origin of another: phase, scope, loop and line."""
    made.phase, made.scope, made.loop = event.phase, event.scope, event.loop
    made.code, made.offset, made.part = event.code, event.offset, event.part
