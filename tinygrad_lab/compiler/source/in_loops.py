"""Passes about loops: rolled up, and rid of what is the same in each round."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tinygrad_lab.compiler.record.trace import Event, Value, mapped
from tinygrad_lab.compiler.source.draft import (
    Draft,
    is_view,
)
from tinygrad_lab.compiler.source.roll import Index, last_rounds, loops_of, rolled

__all__ = ["choose_directions", "hoist", "restore_numbers", "roll"]


def roll(draft: Draft) -> None:
    """Turn repetitions into loops."""
    whole = rolled(draft.events, draft.kept(), draft.new_value)
    recording = draft.recording
    draft.events = whole.events
    recording.outputs = [
        whole.kept[one] if isinstance(one, Value) else one for one in recording.outputs
    ]
    recording.writes = {state: whole.kept[one] for state, one in recording.writes.items()}
    for value in recording.trace.values:
        if value.base is not None:
            value.base = whole.templates.get(value.base, value.base)
    for part in {event.part for event in draft.events if event.part is not None}:
        for old, new in whole.taken:
            if old in part.names:
                part.names.setdefault(new, part.names[old])
    draft.replace(last_rounds(draft.events))


def hoist(draft: Draft) -> None:
    """Move what is the same in every round out of loops."""
    written = draft.written()
    for loop in loops_of(draft.events):
        first = next(n for n, event in enumerate(draft.events) if event.loop is loop)
        varying = {one.value for one in loop.carried} | set(loop.lists)
        before: list[Event] = []
        rest: list[Event] = []
        for event in draft.events[first:]:
            if event.loop is loop and _is_invariant(event, varying, written):
                event.loop = None
                before.append(event)
                continue
            if event.loop is loop:
                varying.update(event.results)
            rest.append(event)
        draft.events = [*draft.events[:first], *before, *rest]


def _is_invariant(event: Event, varying: set[Value], written: set[Value]) -> bool:
    return (
        event.call.kind not in ("draw", "check", "setitem")
        and event.writes is None
        and not _has_index((event.args, event.kwargs))
        and varying.isdisjoint(event.inputs)
        and varying.isdisjoint(event.results)
        and (is_view(event) or not any(v.root in written for v in (*event.inputs, *event.results)))
    )


def _has_index(tree: Any) -> bool:
    return bool(_indices(tree))


def _indices(tree: Any) -> list[Index]:
    found: list[Any] = []
    mapped(tree, found.append)
    return [one for one in found if isinstance(one, Index)]


def restore_numbers(draft: Draft) -> None:
    """Give copies of constants their numbers, of which a recording may keep the outlines only."""
    for copied, source in draft.copies.items():
        copied.array = source.array


def choose_directions(draft: Draft) -> None:
    """Run loops whose indices mostly decrease backwards."""
    down: Counter[Any] = Counter()
    for event in draft.events:
        for index in _indices((event.args, event.kwargs)):
            down[index.loop] += 1 if index.step < 0 else -1
    for loop, excess in down.items():
        loop.backwards = excess > 0
