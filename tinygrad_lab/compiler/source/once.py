"""Passes that drop what is computed twice, or for nothing."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.plan.tidy import (
    SNAPSHOT,
    keep_name,
    place,
    without_dead_code,
    without_repetitions,
    without_scalar_copies,
)
from tinygrad_lab.compiler.record.trace import Call, Event, Value
from tinygrad_lab.compiler.source.draft import (
    Draft,
    apart,
    is_in_layer,
    is_view,
    same_layout,
)
from tinygrad_lab.compiler.source.roll import loops_of

__all__ = [
    "drop_unread",
    "reuse_results",
    "share_constants",
    "without_copies",
    "without_copies_of_constants",
    "without_detours",
    "without_replay_copies",
    "without_self_assignments",
]


def without_detours(draft: Draft) -> None:
    """Drop views that lead back to where they started: ``x.reshape(x.shape)``, ``x.T.T``."""
    twins: dict[Value, Value] = {}
    left = []
    for event in draft.events:
        twin = _same_ancestor(event) if is_view(event) else None
        if twin is None:
            left.append(event)
        else:
            twins[event.result] = twin
            keep_name(twin, event.result)
    draft.events = left
    draft.replace(twins)


def _same_ancestor(event: Event) -> Value | None:
    """Return the array that a view leads back to unchanged; None if there is none."""
    wanted = place(event.result)
    source: Any = event.args[0]
    while isinstance(source, Value):
        if place(source) == wanted:
            return source
        if source.event is None or not is_view(source.event) or apart(source.event, event):
            return None
        source = source.event.args[0]
    return None


def without_copies_of_constants(draft: Draft) -> None:
    """Let copies of constant arrays, such as a first hidden state, be the constants."""
    changed = draft.written() | {event.args[0] for event in draft.events if event.augmented}
    changed |= {one.root for one in draft.kept()}
    copies = draft.copies
    left = []
    for event in draft.events:
        source: Any = event.args[0] if event.call.name == "array" and event.args else None
        if (
            event.call.kind == "function"
            and isinstance(source, Value)
            and source.is_constant
            and np.ndim(source.array) > 0
            and same_layout(source.array, event.result.array)
            and event.result not in changed
        ):
            event.result.origin, event.result.event = source.origin, None
            copies[event.result] = source
        else:
            left.append(event)
    draft.events = left


def without_replay_copies(draft: Draft) -> None:
    """Drop copies that only a replay needs, which reuses memory."""
    twins = {e.result: e.args[0] for e in draft.events if e.call is SNAPSHOT}
    draft.events = [event for event in draft.events if event.call is not SNAPSHOT]
    draft.replace(twins)
    draft.events = without_scalar_copies(draft.recording, draft.events)


def without_copies(draft: Draft) -> None:
    """Drop copies of memory that is never written: gradients before they become one vector."""
    written, users, kept = draft.written(), draft.users(), set(draft.kept())
    last_write = {e.writes.root: n for n, e in enumerate(draft.events) if e.writes is not None}
    twins: dict[Value, Value] = {}
    left = []
    for position, event in enumerate(draft.events):
        source: Any = event.args[0] if event.args else None
        if (
            (event.call.kind, event.call.name) == ("function", "array")
            and not event.kwargs
            and event.loop is None
            and isinstance(source, Value)
            and source.is_array
            and source.origin is None
            and source not in kept
            and event.result.root not in written
            and last_write.get(source.root, -1) < position
            and all(_only_numbers_matter(user, users) for user in users.get(event.result, ()))
        ):
            twins[event.result] = source
            source.name = event.result.name or source.name
        else:
            left.append(event)
    draft.events = left
    draft.replace(twins)


def _only_numbers_matter(event: Event, users: dict[Value, list[Event]]) -> bool:
    """Return whether an event gives the same for an array in another memory order."""
    into = known(event.call.name).into
    if into == "join":
        return event.result.array.ndim == 1
    flat = into == "reorder" and event.result.array.ndim == 1
    return flat and all(_only_numbers_matter(user, users) for user in users.get(event.result, ()))


def without_self_assignments(draft: Draft) -> None:
    """Drop ``x[k] = x[k]``, the last step of Python's ``x[k] += y``."""
    left = []
    for event in draft.events:
        if event.call.kind == "setitem":
            array, key, source = event.args
            made = getattr(source, "event", None)
            if made is not None and made.call.kind == "getitem" and made.args == (array, key):
                continue
        left.append(event)
    draft.events = left


def reuse_results(draft: Draft) -> None:
    """Compute nothing twice."""
    listed = {value for loop in loops_of(draft.events) for value in loop.lists}
    draft.events = without_repetitions(
        draft.recording,
        draft.events,
        listed,
        within=lambda event: event.part if is_in_layer(event) else None,
    )


def drop_unread(draft: Draft) -> None:
    """Drop what is never read; in a loop, what no round reads."""
    read: set[Value] = set()
    loops = loops_of(draft.events)
    while True:
        events = without_dead_code(draft.recording, draft.events, read)
        used = {value for event in events for value in event.inputs} | set(draft.kept())
        # A round may read what the previous round wrote.
        now = {value for event in events if event.loop is not None for value in event.inputs}
        now |= {value for loop in loops for value in loop.read_by_loop(used)}
        now |= _lost_examples(events)
        if now <= read:
            break
        read |= now
    draft.events = events
    for loop in loops_of(events):
        loop.carried = [one for one in loop.carried if one.value in used]
        loop.lists = {value: whole for value, whole in loop.lists.items() if whole in used}


def _lost_examples(events: list[Event]) -> set[Value]:
    """Return the dropped arrays that ``zeros_like`` and its relatives have as examples.

    Where the example is in the usual order, its shape and dtype are written instead.
    """
    made = {value for event in events for value in event.results}
    made |= {one.value for loop in loops_of(events) for one in loop.carried}
    lost: set[Value] = set()
    for event in events:
        name = event.call.name
        if known(name).shape != "like" or event.call.kind != "function":
            continue
        gone = [one for one in event.inputs if one.origin is None and one not in made]
        array = event.result.array
        if not gone:
            continue
        if event.args[0] in gone and np.ndim(array) and array.flags.c_contiguous:
            plain = name.removesuffix("_like")
            fill = (event.argument("fill_value", 1),) if plain == "full" else ()
            event.call = Call("function", plain, getattr(np, plain))
            event.args, event.kwargs = (array.shape, *fill), {"dtype": array.dtype}
            event.refresh_inputs()
        else:
            lost.update(gone)
    return lost


def share_constants(draft: Draft) -> None:
    """Make arrays of ones, zeros and counts only once."""
    written, twins = draft.written(), dict[Value, Value]()
    first: dict[Any, Value] = {}
    left = []
    augmented = {e.args[0] for e in draft.events if e.augmented} | {
        one.initial for loop in loops_of(draft.events) for one in loop.carried
    }
    for event in draft.events:
        constant = event.call.kind == "function" and known(event.call.name).is_shared
        constant = constant and not event.inputs
        if constant and event.result.root not in written and event.result not in augmented:
            inside = event.part if is_in_layer(event) else None
            key = (event.call.name, repr(event.args), repr(event.kwargs), inside)
            if key in first:
                twins[event.result] = first[key]
                continue
            first[key] = event.result
            event.result.name = event.result.name or event.call.name
        left.append(event)
    draft.events = left
    draft.replace(twins)
