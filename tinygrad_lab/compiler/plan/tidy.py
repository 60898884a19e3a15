"""Simplifying a recording, without changing a bit of what it computes.

Three passes, each a function from a list of events to a shorter one: views that equal an existing
array are dropped, repeated computations are done once, and what is never read is not computed. To
add a pass, write a function and list it in ``PASSES``.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Call, Event, Value, values_in

__all__ = [
    "PASSES",
    "SNAPSHOT",
    "constants",
    "keep_name",
    "place",
    "read_by",
    "replaced",
    "tidied",
    "without_dead_code",
    "without_repetitions",
    "without_scalar_copies",
]

Replacements = dict[Value, Value]

_ONCE = frozenset({"draw", "check", "setitem"})
"""Kinds of calls that are never merged."""


def tidied(recording: Recording) -> list[Event]:
    """Return the events that a replay needs; the recording's values are replaced by their twins.

    The events of the trace stay as they were recorded: ``source`` starts from them again.
    """
    copy_results(recording)
    events = recording.trace.events
    for one_pass in PASSES:
        events = one_pass(recording, events)
    return events


def _updated(recording: Recording) -> set[State]:
    """Return the states whose memory a replay writes into."""
    bundled = recording.bundled()
    written = {event.writes.root for event in recording.trace.events if event.writes is not None}
    return {
        state
        for state, value in recording.states.items()
        if state in recording.writes or id(state.owner) in bundled or value in written
    }


SNAPSHOT = Call("method", "copy", np.ndarray.copy)
"""Copies a result before the replay writes into the memory that it views."""


def copy_results(recording: Recording) -> None:
    """Copy results that view the memory of a state, before an update is written into it.

    Such a result has the old numbers: the step binds new memory to its tensors, a replay does not.
    """
    events = recording.trace.events
    updated = _updated(recording)
    copies: dict[Value, Value] = {}
    for one in recording.outputs:
        origin = one.root.origin if isinstance(one, Value) and one.is_array else None
        if origin is None or origin.kind != "state" or origin.key not in updated or one in copies:
            continue
        concerned = (
            position
            for position, event in enumerate(events)
            if one in event.results or (event.writes is not None and event.writes.root is one.root)
        )
        event = Event(SNAPSHOT, (one,), {"order": "K"})
        copies[one] = recording.trace.result_of(event, one.array.copy(order="K"))
        events.insert(max(concerned, default=-1) + 1, event)
    recording.outputs = [
        copies.get(one, one) if isinstance(one, Value) else one for one in recording.outputs
    ]


def replaced(recording: Recording, events: list[Event], twins: Replacements) -> list[Event]:
    """Return the events with values replaced by their twins in everything that reads them."""

    def twin(one: Any) -> Any:
        while isinstance(one, Value) and one in twins:
            one = twins[one]
        return one

    if not twins:
        return events
    recording.outputs = [twin(one) for one in recording.outputs]
    recording.writes = {state: twin(one) for state, one in recording.writes.items()}
    for value in recording.trace.values:
        if value.base in twins:
            value.base = twin(value.base)
            value.base.viewed = True
    for loop in {event.loop for event in events} - {None}:
        loop.replace(twin)
    return [event.of_others(twin) if _reads(event, twins) else event for event in events]


def _reads(event: Event, values: Replacements) -> bool:
    """Return whether an event reads any of these values, or writes into one."""
    return event.writes in values or not values.keys().isdisjoint(event.inputs)


def without_scalar_copies(recording: Recording, events: list[Event]) -> list[Event]:
    """Drop copies of NumPy scalars, of which views are made, where nobody could tell."""
    written = {event.writes.root for event in events if event.writes is not None}
    ends = (*recording.outputs, *recording.writes.values())
    kept = {one.root for one in ends if isinstance(one, Value)}
    twins: Replacements = {}
    left = []
    for event in events:
        source: Any = event.args[0] if _is_scalar_copy(event) else None
        roots = {event.result, source.root} if source is not None else set()
        if source is None or roots & written or roots <= kept:
            left.append(event)
        else:
            twins[event.result] = source
    return replaced(recording, left, twins)


def _is_scalar_copy(event: Event) -> bool:
    if (event.call.kind, event.call.name) != ("function", "array") or event.kwargs:
        return False
    source = event.args[0]
    return isinstance(source, Value) and isinstance(source.array, np.generic)


def without_identities(recording: Recording, events: list[Event]) -> list[Event]:
    """Drop views that equal an existing array: ``x.reshape(x.shape)``, ``x.T.T``."""
    twins: Replacements = {}
    known: dict[Any, Value] = {}
    places: dict[Value, Any] = {}
    left = []
    for event in events:
        # Finding an array's address takes microseconds. The others share no memory.
        sources = [one for one in event.inputs if one.viewed or one.base is not None]
        for value in sources:
            if value not in places:
                places[value] = place(value)
                known.setdefault(places[value], value)
        pure = len(event.results) == 1 and event.writes is None and event.call.kind != "ufunc"
        if pure and sources and event.result.base is not None:
            here = place(event.result)
            # An equal view of a source that may be written into may be read-only.
            same = next((one for one in sources if places[one] == here), None)
            twin = same or known.setdefault(here, event.result)
            if twin is not event.result:
                twins[event.result] = twin
                keep_name(twin, event.result)
                continue
            places[event.result] = here
        left.append(event)
    return replaced(recording, left, twins)


def place(value: Value) -> Any:
    """Identify a value by its memory, and how it is read."""
    array = value.array
    if not isinstance(array, np.ndarray):
        return value
    return value.root, array.ctypes.data, array.shape, array.strides, array.dtype


def keep_name(kept: Value, dropped: Value) -> None:
    if kept.name is None and kept.origin is None:
        kept.name = dropped.name


def without_repetitions(
    recording: Recording,
    events: list[Event],
    listed: Container[Value] = (),
    *,
    within: Callable[[Event], Any] = lambda event: None,
) -> list[Event]:
    """Reuse what was computed from the same values before, if nothing was written since.

    ``listed`` are values of which loops make lists: they are computed where they are. ``within``
    returns what the repetitions must have in common.
    """
    written = {event.writes.root for event in events if event.writes is not None}
    known: dict[Any, Event] = {}
    twins: Replacements = {}
    left = []
    for event in events:
        if twins and _reads(event, twins):
            event = event.of_others(lambda one: twins.get(one, one) if _is_value(one) else one)
        reads = event.inputs
        pure = (
            event.call.kind not in _ONCE
            and len(event.results) == 1
            and event.writes is None
            and bool(reads)
            and (
                # A view is an address, whatever is written there.
                (event.result.base is not None and event.call.kind != "ufunc")
                or not written
                or not any(value.root in written for value in (*reads, *event.results))
            )
        )
        key = (_key(event), within(event)) if pure else None
        if key is not None and key in known and event.result not in listed:
            twins[event.result] = known[key].result
            keep_name(known[key].result, event.result)
            continue
        if key is not None:
            known[key] = event
        left.append(event)
    return replaced(recording, left, twins)


def _is_value(one: Any) -> bool:
    return isinstance(one, Value)


def _key(event: Event) -> Any:
    """Return a key that is equal for two calls with the same result."""
    return (
        event.call.kind,
        event.call.name,
        event.augmented,
        *map(_hashable, event.args),
        _hashable(event.kwargs) if event.kwargs else None,
    )


def _hashable(tree: Any) -> Any:
    """Return something hashable that is equal for equal arguments."""
    if tree.__class__ is Value:
        return tree
    if isinstance(tree, tuple | list):
        return (type(tree), *map(_hashable, tree))
    if isinstance(tree, dict):
        return tuple((name, _hashable(one)) for name, one in tree.items())
    if isinstance(tree, slice):
        return ("slice", _hashable(tree.start), _hashable(tree.stop), _hashable(tree.step))
    return (type(tree), repr(tree) if isinstance(tree, float) else tree)  # 0.0 == -0.0


def without_dead_code(
    recording: Recording, events: list[Event], also: Iterable[Value] = ()
) -> list[Event]:
    """Drop what is never read: by the caller, the next step, or another event.

    ``also`` are other values that are read.
    """
    read = {value for value in recording.outputs if _is_value(value)}
    read |= {*recording.writes.values(), *also}
    memory = {value.root for value in read}
    left = []
    for event in reversed(events):
        wanted = (
            event.call.kind in ("draw", "check")
            or not read.isdisjoint(event.results)
            or (event.writes is not None and event.writes.root in memory)
        )
        if not wanted:
            continue
        left.append(event)
        inputs = read_by(event)
        if event.writes is not None:
            inputs = (*inputs, event.writes)
        read.update(inputs)
        memory.update([value.root for value in inputs])
    return left[::-1]


def read_by(event: Event) -> tuple[Value, ...]:
    """Return the values of which an event reads the numbers, rather than only the shape."""
    if known(event.call.name).shape == "like":
        return tuple(values_in((event.args[1:], event.kwargs)))
    return event.inputs


PASSES: tuple[Callable[[Recording, list[Event]], list[Event]], ...] = (
    without_scalar_copies,
    without_identities,
    without_repetitions,
    without_dead_code,
)


def constants(events: list[Event]) -> set[Value]:
    """Return the values that are the same at every call: made of constants, never written."""
    known: set[Value] = set()
    for event in events:
        inputs = read_by(event)
        if event.call.kind in _ONCE or event.writes is not None:
            continue
        fixed = all(
            value in known or (value.origin is not None and value.origin.kind == "constant")
            for value in inputs
        )
        # A write that nothing reads was dropped, but its numbers are in the recorded array.
        if fixed and not any(value.root.rewritten for value in (*inputs, *event.results)):
            known.update(event.results)
    return known
