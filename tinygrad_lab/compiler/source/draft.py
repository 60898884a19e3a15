"""A recording as it is written for readers: rolled into loops, in the simplest form.

A draft is a copy; replays do not use it. Each pass keeps every bit of the results. To add a pass,
write a function of a draft and list it in ``PASSES``.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.plan.tidy import (
    SNAPSHOT,
    keep_name,
    place,
    replaced,
    without_dead_code,
    without_repetitions,
    without_scalar_copies,
)
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Call, Event, Part, Trace, Value, mapped
from tinygrad_lab.compiler.source.roll import Index, last_rounds, loops_of, rolled

__all__ = ["PASSES", "Draft", "apart", "draft_of", "fresh_result", "is_view", "same_layout"]


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


def draft_of(
    recording: Recording, passes: Iterable[Callable[[Draft], None]] | None = None
) -> Draft:
    """Return the draft of a recording, after all passes."""
    draft = _copied(recording)
    for one_pass in PASSES if passes is None else passes:
        one_pass(draft)
    return draft


def _copied(recording: Recording) -> Draft:
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


# --- what exists already --------------------------------------------------------------------------


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


def apart(one: Event, other: Event) -> bool:
    """Return whether two events are in different functions, or only one is in a function."""
    return one.part is not other.part and (_is_in_layer(one) or _is_in_layer(other))


def _is_in_layer(event: Event) -> bool:
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
        within=lambda event: event.part if _is_in_layer(event) else None,
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


# --- loops ----------------------------------------------------------------------------------------


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


# --- the optimiser's vector -----------------------------------------------------------------------


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
                _inherit_origin(draft.events[first], event)
            draft.events[first:first] = made


def _inherit_origin(event: Event, made: Event) -> None:
    """Give a new event the origin of another: phase, scope, loop and line."""
    made.phase, made.scope, made.loop = event.phase, event.scope, event.loop
    made.code, made.offset, made.part = event.code, event.offset, event.part


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


# --- memory that is filled ------------------------------------------------------------------------


def fill_directly(draft: Draft) -> None:
    """Write ``x = y`` for ``x = np.empty(...)`` followed by ``x[...] = y``."""
    for event in list(draft.events):
        if event.makes_unfilled:
            _fill_directly(draft, event)


def _fill_directly(draft: Draft, made: Event) -> None:
    whole = made.result
    start = draft.events.index(made)
    family = [e for e in draft.events[start + 1 :] if _touches(e, whole)]
    if family and family[0].writes is whole:
        other = _as_made(family[0], whole)
        if other is not None and family[0].loop is made.loop:
            whole.rewritten -= 1
            draft.events[draft.events.index(family[0])] = other
            draft.events.remove(made)
    elif len(family) > 1 and is_view(family[0]) and family[1].writes is family[0].result:
        _fill_through_view(draft, made, family[0], family[1])


def _fill_through_view(draft: Draft, made: Event, view: Event, write: Event) -> None:
    """Write ``x = np.empty(...); x.reshape(...)[...] = y`` as the source, then a view of it."""
    whole, part = made.result, view.result
    if part.array.size != whole.array.size or len({made.loop, view.loop, write.loop}) > 1:
        return
    other = _as_made(write, part)
    back = _inverse_view(view, whole)
    if other is None or back is None:
        return
    part.base, whole.base = None, part
    part.rewritten = whole.rewritten - 1
    for value in draft.recording.trace.values:
        if value.base is whole:
            value.base = part
    at = draft.events.index(write)
    draft.events[at : at + 1] = [other, back]
    draft.events.remove(made)
    draft.events.remove(view)


def _inverse_view(view: Event, whole: Value) -> Event | None:
    """Return an event that makes the whole array from a view of all of it; None if unknown."""
    name = view.call.name
    if name == "reshape":
        call = Call("method", "reshape", np.ndarray.reshape)
        back = Event(call, (view.result, *whole.array.shape), {}, (whole,))
    elif name == "getitem" and view.args[1] is None:
        call = Call("getitem", "getitem", operator.getitem)
        back = Event(call, (view.result, 0), {}, (whole,))
    else:
        return None
    _inherit_origin(view, back)
    whole.event = back
    return back


def _touches(event: Event, whole: Value) -> bool:
    if known(event.call.name).shape == "like":
        return False
    reads = any(value.root is whole for value in event.inputs)
    return reads or (event.writes is not None and event.writes.root is whole)


def _as_made(write: Event, target: Value) -> Event | None:
    """Return an event that makes what a write puts into memory; None if there is none."""
    array = target.array
    if write.call.kind == "setitem" or write.call.name == "fill":
        source = write.args[-1]
        if write.call.kind == "setitem" and not _is_everything(write.args[1], array.ndim):
            return None
        call, args, kwargs = _maker(source, array)
    elif any(value.root is target.root for value in write.inputs):
        return None
    else:
        call, args, kwargs = write.call, write.args, write.kwargs
    if call is None:
        return None
    other = replace(write, call=call, args=args, kwargs=kwargs, writes=None, results=(target,))
    fresh = fresh_result(other)
    if type(fresh) is not type(array) or not same_layout(fresh, array):
        return None  # a scalar, for one, cannot be written into later
    target.event = other
    return other


def _is_everything(key: Any, ndim: int) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return parts == (Ellipsis,) or (len(parts) <= ndim and all(p == slice(None) for p in parts))


def _maker(source: Any, array: Any) -> tuple[Call | None, tuple[Any, ...], dict[str, Any]]:
    """Return the call that makes an array full of a number, or a copy of another."""
    kwargs = {"dtype": array.dtype}
    if isinstance(source, Value) and source.is_array and source.array.ndim:
        if source.array.shape != array.shape or source.array.dtype != array.dtype:
            return None, (), {}
        return Call("method", "copy", np.ndarray.copy), (source,), {}
    number = source.array if isinstance(source, Value) and source.is_constant else source
    if isinstance(number, Value):
        return Call("function", "full", np.full), (array.shape, number), kwargs
    for name, function in (("zeros", np.zeros), ("ones", np.ones)):
        if number == function(()) and not np.signbit(number):
            return Call("function", name, function), (array.shape,), kwargs
    return Call("function", "full", np.full), (array.shape, number), kwargs


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
            inside = event.part if _is_in_layer(event) else None
            key = (event.call.name, repr(event.args), repr(event.kwargs), inside)
            if key in first:
                twins[event.result] = first[key]
                continue
            first[key] = event.result
            event.result.name = event.result.name or event.call.name
        left.append(event)
    draft.events = left
    draft.replace(twins)


# --- views of views -------------------------------------------------------------------------------


def compose_views(draft: Draft) -> None:
    """Write ``x[2:6, t]`` for ``x[2:6][:, t]``."""
    for event in draft.events:
        source: Any = event.args[0] if event.args else None
        while (
            event.call.kind in ("getitem", "setitem")
            and isinstance(source, Value)
            and source.event is not None
            and source.event.call.kind == "getitem"
            and is_view(source.event)
            and not apart(source.event, event)
            and isinstance(source.event.args[0], Value)
            and source.event.args[0].is_array
        ):
            inner = source.event
            key = _composed(inner.args[0].array.shape, inner.args[1], event.args[1])
            if key is None or (inner.loop is not None and inner.loop is not event.loop):
                break
            event.args = (inner.args[0], key, *event.args[2:])
            event.writes = None if event.writes is None else inner.args[0]
            event.refresh_inputs()
            source = inner.args[0]


def _composed(shape: tuple[int, ...], inner: Any, outer: Any) -> Any:
    """Return the key that equals two keys, one after the other; None if there is no simple one."""
    first = inner if isinstance(inner, tuple) else (inner,)
    second = list(outer if isinstance(outer, tuple) else (outer,))
    if not all(isinstance(part, int | slice | Index) for part in (*first, *second)):
        return None
    key: list[Any] = []
    for length, part in zip(
        shape, (*first, *[slice(None)] * (len(shape) - len(first))), strict=True
    ):
        if not isinstance(part, slice) or not second:
            key.append(part)
            continue
        one = _within(length, part, second.pop(0))
        if one is None:
            return None
        key.append(one)
    while key and key[-1] == slice(None):
        key.pop()
    return tuple(key) if len(key) > 1 else key[0] if key else slice(None)


def _within(length: int, part: slice, then: Any) -> Any:
    """Return the index of a part of a part of an axis."""
    if part == slice(None):
        return then
    if any(isinstance(end, Index | Value) for end in (part.start, part.stop, part.step)):
        return None
    steps = range(length)[part]
    if isinstance(then, Index):
        return Index(then.loop, steps[0] + steps.step * then.start, steps.step * then.step)
    if isinstance(then, int):
        return steps[then]
    if any(isinstance(end, Index | Value) for end in (then.start, then.stop, then.step)):
        return None
    left = steps[then]
    start = None if left.start == 0 and left.step > 0 else left.start
    stop = None if left.stop in (-1, length) else left.stop
    return slice(start, stop, None if left.step == 1 else left.step)


# --- names ----------------------------------------------------------------------------------------


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
        _inherit_origin(event, made)
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
