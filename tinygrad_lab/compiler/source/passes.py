"""From a recording to the draft that is written: all passes, in order.

To add a pass, write a function of a draft and list it in ``PASSES``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Call, Event, Value
from tinygrad_lab.compiler.source.draft import (
    Draft,
    copied,
    inherit_origin,
    is_view,
)
from tinygrad_lab.compiler.source.filling import fill_directly
from tinygrad_lab.compiler.source.in_loops import choose_directions, hoist, restore_numbers, roll
from tinygrad_lab.compiler.source.once import (
    drop_unread,
    reuse_results,
    share_constants,
    without_copies,
    without_copies_of_constants,
    without_detours,
    without_replay_copies,
    without_self_assignments,
)
from tinygrad_lab.compiler.source.view_of_view import compose_views

__all__ = ["PASSES", "draft_of"]


def gather_parameters(draft: Draft) -> None:
    """Concatenate the parameters into the vector that an optimiser updates, like its gradient."""
    recording = draft.recording
    for state, vector in list(recording.states.items()):
        if state.kind != "vector":
            continue
        data = [State("data", parameter) for parameter in state.owner.parameters]
        if any(one not in recording.states for one in data):
            continue
        first = next((n for n, event in enumerate(draft.events) if vector in event.inputs), None)
        del recording.states[state]
        recording.writes.pop(state, None)
        if first is not None:
            made = _flat(draft, [recording.states[one] for one in data], vector)
            for event in made:
                inherit_origin(draft.events[first], event)
            draft.events[first:first] = made


def _flat(draft: Draft, parts: list[Value], vector: Value) -> list[Event]:
    """Return events that concatenate arrays into a vector."""
    events: list[Event] = []
    flat: list[Value] = []
    if not all(part.is_array for part in parts):
        events.append(Event(Call("function", "array", np.array), (parts,), {}, (vector,)))
        vector.origin, vector.event = None, events[-1]
        return events
    for part in parts:
        if part.array.ndim == 1:
            flat.append(part)
            continue
        reshape = Call("method", "reshape", np.ndarray.reshape)
        row = draft.new_value(part.array.reshape(-1), base=part.root)
        events.append(Event(reshape, (part, -1), {}, (row,)))
        row.event = events[-1]
        flat.append(row)
    events.append(Event(Call("function", "concatenate", np.concatenate), (flat,), {}, (vector,)))
    vector.origin, vector.event = None, events[-1]
    return events


def name_gradients(draft: Draft) -> None:
    """Name what stands in for a gradient after the value it is the gradient of.

    The kernel of a linear layer works on columns: where ``linear = columns.T``, the source of
    ``d_linear``, made in the same way, is ``d_columns``.
    """
    for event in draft.events:
        if event.phase != "backward" or not is_view(event):
            continue
        of = event.result.gradient_of
        source: Any = event.args[0]
        forward = getattr(of, "event", None)
        if forward is None or not is_view(forward) or source.gradient_of is not None:
            continue
        if (forward.call.name, forward.args[1:]) == (event.call.name, event.args[1:]):
            source.gradient_of = forward.args[0]
            source.name = f"d_{forward.args[0].name}"


def name_phases(draft: Draft) -> None:
    """Mark operations by hand after the backward pass as the update."""
    last = max((n for n, e in enumerate(draft.events) if e.phase == "backward"), default=None)
    for event in draft.events[last + 1 :] if last is not None else ():
        if event.phase == "forward":
            event.phase = "update"


def pick_by_labels(draft: Draft) -> None:
    """Write ``x[labels, np.arange(n)]`` where a kernel picks ``x.reshape(-1)[labels * n + …]``."""
    for event in list(draft.events):
        if event.call.kind not in ("getitem", "setitem") or not isinstance(event.args[1], Value):
            continue
        flat: Any = event.args[0]
        view = flat.event if isinstance(flat, Value) else None
        if view is None or view.call.name != "reshape" or not is_view(view):
            continue
        matrix = view.args[0]
        labels = _labels_in(event.args[1], matrix.array.shape)
        if labels is None or flat.array.ndim != 1 or not matrix.array.flags.c_contiguous:
            continue
        count = matrix.array.shape[1]
        samples = draft.new_value(np.arange(count), name="samples")
        made = Event(Call("function", "arange", np.arange), (count,), {}, (samples,))
        samples.event = made
        inherit_origin(event, made)
        draft.events.insert(draft.events.index(event), made)
        event.call = event.call if event.call.kind == "setitem" else _PICK
        event.args = (matrix, (labels, samples), *event.args[2:])
        event.writes = None if event.writes is None else matrix
        event.refresh_inputs()
        if event.part is not None:
            event.part.names.setdefault(labels, "labels")


_PICK = Call("getitem", "getitem", operator.getitem)


def _labels_in(positions: Value, shape: tuple[int, ...]) -> Value | None:
    """Return the labels in ``labels * n + np.arange(n)``, for a matrix of such a shape."""
    added = positions.event
    if added is None or added.call.name != "add" or len(shape) != 2:
        return None
    scaled, counted = (getattr(one, "event", None) for one in added.args[:2])
    if scaled is None or scaled.call.name != "multiply" or scaled.args[1:] != (shape[1],):
        return None
    if counted is None or (counted.call.name, counted.args) != ("arange", (shape[1],)):
        return None
    labels: Any = scaled.args[0]
    cast = labels.event if isinstance(labels, Value) else None
    labels = cast.args[0] if cast is not None and cast.call.name == "astype" else labels
    if not isinstance(labels, Value) or not labels.is_array:
        return None
    return labels if labels.array.dtype.kind in "iu" and labels.array.ndim == 1 else None


PASSES: tuple[Callable[[Draft], None], ...] = (
    without_replay_copies,
    without_copies_of_constants,
    without_detours,
    gather_parameters,
    pick_by_labels,
    without_self_assignments,
    roll,
    compose_views,
    reuse_results,
    drop_unread,
    fill_directly,
    without_copies,
    share_constants,
    reuse_results,
    drop_unread,
    hoist,
    name_gradients,
    name_phases,
    choose_directions,
    restore_numbers,
)


def draft_of(
    recording: Recording, passes: Iterable[Callable[[Draft], None]] | None = None
) -> Draft:
    """Return the draft of a recording, after all passes."""
    draft = copied(recording)
    for one_pass in PASSES if passes is None else passes:
        one_pass(draft)
    return draft
