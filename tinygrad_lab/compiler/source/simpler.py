"""Passes that write a draft more simply, as a textbook would; they need not keep bits.

To add one, write a function of a draft and list it in ``PASSES``, which has those of ``passes.py``,
too.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_lab.compiler.plan.tidy import constants, keep_name
from tinygrad_lab.compiler.record.record import State
from tinygrad_lab.compiler.record.trace import Call, Event, Origin, Value
from tinygrad_lab.compiler.source.draft import Draft, is_view
from tinygrad_lab.compiler.source.once import drop_unread
from tinygrad_lab.compiler.source.passes import PASSES as AS_RECORDED
from tinygrad_lab.compiler.source.roll import Index

__all__ = ["PASSES"]


def take_vectors_apart(draft: Draft) -> None:
    """Give each parameter its own moments, in place of one vector for all."""
    recording = draft.recording
    for state, vector in list(recording.states.items()):
        if state.kind == "state" and state in recording.writes:
            _take_apart(draft, state, vector)


def _take_apart(draft: Draft, state: State, vector: Value) -> None:
    recording, place = draft.recording, state.owner
    joined = recording.writes[state].event
    owners = [State("data", one) for one in place.parameters]
    parameters = [recording.states[one] for one in owners if one in recording.states]
    if joined is None or joined.call.name != "concatenate":
        return
    spans = _spans(place.parameters)
    made = {_span(event): event for event in draft.events if event.inputs[:1] == (vector,)}
    counts = {len(joined.args[0]), len(parameters), len(spans)}
    if len(counts) > 1 or set(made) != set(spans):
        return
    del recording.states[state], recording.writes[state]
    names = place.optimizer.symbols or place.optimizer.state_names
    stem = names[state.position]
    for number, (span, new, parameter) in enumerate(
        zip(spans, joined.args[0], parameters, strict=True)
    ):
        before = _in_shape(draft, made[span].result)
        after = _reshaped_from(new)
        if after in (before, made[span].result):
            continue  # a momentum of 0
        own = State("moment", place, state.position * len(spans) + number)
        before.origin = Origin("state", f"{stem}_{parameter.name}", own)
        before.name, before.event, before.base = before.origin.name, None, None
        recording.states[own], recording.writes[own] = before, after
    given = set(recording.states.values())
    draft.events = [event for event in draft.events if given.isdisjoint(event.results)]


def _spans(parameters: Sequence[Any]) -> list[tuple[int, int]]:
    """Return where parameters start and stop in their vector."""
    stops = list(accumulate(one.size for one in parameters))
    return list(zip([0, *stops], stops, strict=False))


def _span(event: Event) -> Any:
    key = event.args[1] if event.call.kind == "getitem" else None
    return (key.start, key.stop) if isinstance(key, slice) else None


def _in_shape(draft: Draft, part: Value) -> Value:
    """Return a part of a vector in the shape of its parameter."""
    for event in draft.events:
        if event.inputs == (part,) and event.call.name == "reshape":
            return event.result
    return part


def _reshaped_from(value: Value) -> Value:
    while value.event is not None and value.event.call.name == "reshape":
        value = value.event.args[0]
    return value


def without_idle_counters(draft: Draft) -> None:
    """Drop the step counts of optimisers that do not use them."""
    recording = draft.recording
    for state, value in list(recording.writes.items()):
        if state.kind == "steps" and not any(value in event.inputs for event in draft.events):
            del recording.writes[state]


def without_factors_of_one(draft: Draft) -> None:
    """Drop the 1 with which the chain rule begins."""
    fixed, twins = constants(draft.events), dict[Value, Value]()
    for event in draft.events:
        if event.call.name != "multiply" or event.writes is not None or event.augmented:
            continue
        for one, other in (event.args, event.args[::-1]):
            if _is_full_of(one, 1, fixed) and _is_like(other, event.result):
                twins[event.result] = other
                keep_name(other, event.result)
                break
    draft.events = [e for e in draft.events if twins.keys().isdisjoint(e.results)]
    draft.replace(twins)


def _is_full_of(one: Any, number: float, fixed: Container[Value]) -> bool:
    """Return whether an argument is this number everywhere, at every call."""
    if not isinstance(one, Value):
        return isinstance(one, int | float) and one == number
    if not (one.is_constant or one in fixed):
        return False
    array = np.asarray(one.array)
    return bool(array.size) and bool((array == number).all())


def _is_like(one: Any, other: Value) -> bool:
    """Return whether two arrays have one shape and dtype."""
    array, result = getattr(one, "array", None), other.array
    if not isinstance(array, np.ndarray | np.generic):
        return False
    return (np.shape(array), array.dtype) == (np.shape(result), result.dtype)


def without_zeros_into_zeros(draft: Draft) -> None:
    """Drop what writes zeros into an array of zeros: the hidden state before the first step."""
    fixed, touched = constants(draft.events), set[Value]()
    left = []
    for event in draft.events:
        target = event.args[0] if event.call.kind == "setitem" else None
        made = target.event if isinstance(target, Value) else None
        if (
            made is not None
            and made.call.name == "zeros"
            and target not in touched
            and _is_full_of(event.args[2], 0, fixed)
        ):
            continue
        if event.writes is not None:
            touched.add(event.writes.root)
        left.append(event)
    draft.events = left


def without_any_copies(draft: Draft) -> None:
    """Drop copies of arrays that are never written into, whatever their order in memory."""
    written, twins = draft.written(), dict[Value, Value]()
    for event in draft.events:
        source = event.args[0] if event.args else None
        copied = event.call.name in ("array", "copy", "ascontiguousarray") and not event.augmented
        if not (copied and isinstance(source, Value) and len(event.results) == 1):
            continue
        if _is_like(source, event.result) and written.isdisjoint((source.root, event.result.root)):
            twins[event.result] = source
    draft.events = [e for e in draft.events if twins.keys().isdisjoint(e.results)]
    draft.replace(twins)


def write_masks(draft: Draft) -> None:
    """Write ``g * (z > 0)`` for the gradient of ``h = relu(z)``."""
    fixed = constants(draft.events)
    events = []
    for event in draft.events:
        if event.call.name == "where_positive" and event.writes is None:
            condition, g = event.args
            made = condition.event
            if made is not None and made.call.name == "maximum" and made.loop is event.loop:
                clipped = [one for one in made.args if not _is_full_of(one, 0, fixed)]
                condition = clipped[0] if len(clipped) == 1 else condition
            mask = draft.new_value(condition.array > 0)
            positive = replace(event, call=_GREATER, args=(condition, 0), results=(mask,))
            mask.event = positive
            event.call, event.args = _MULTIPLY, (g, mask)
            event.refresh_inputs()
            events.append(positive)
        events.append(event)
    draft.events = events


_GREATER = Call("ufunc", "greater", np.greater)
_MULTIPLY = Call("ufunc", "multiply", np.multiply)
_SUBTRACT = Call("ufunc", "subtract", np.subtract)


def transpose_products(draft: Draft) -> None:
    """Write ``g.T @ x`` for ``(x.T @ g).T``."""
    users = draft.users()
    kept = set(draft.kept())
    events = []
    for event in draft.events:
        product = event.args[0].event if _is_transpose(event) else None
        if (
            product is None
            or product.call.name != "matmul"
            or product.loop is not event.loop
            or len(users.get(product.result, ())) != 1
            or product.result in kept
            or any(not isinstance(one, Value) or np.ndim(one.array) != 2 for one in product.args)
        ):
            events.append(event)
            continue
        left, right = product.args
        factors = [_transposed(draft, one, event, events) for one in (right, left)]
        event.call, event.args, event.kwargs = product.call, tuple(factors), {}
        event.refresh_inputs()
        event.result.base = None
        events.append(event)
    draft.events = events


def _is_transpose(event: Event) -> bool:
    if not is_view(event) or np.ndim(event.args[0].array) != 2:
        return False
    name, rest = event.call.name, event.args[1:]
    if name == "matrix_transpose":
        return True
    if name == "transpose":
        return rest in ((), (1, 0), ((1, 0),))
    return name == "swapaxes" and set(rest) in ({-1, -2}, {0, 1})


def _transposed(draft: Draft, one: Value, like: Event, events: list[Event]) -> Value:
    if one.event is not None and _is_transpose(one.event):
        source: Value = one.event.args[0]
        return source
    view = draft.new_value(one.array.T, base=one.root)
    call = Call("method", "transpose", np.ndarray.transpose)
    view.event = replace(like, call=call, args=(one,), kwargs={}, results=(view,))
    events.append(view.event)
    return view


def subtract_negatives(draft: Draft) -> None:
    """Write ``a - b`` for ``a + -b``."""
    for event in draft.events:
        if event.call.name != "add" or event.call.kind != "ufunc" or event.writes is not None:
            continue
        negated = getattr(event.args[1], "event", None)
        if negated is not None and negated.call.name == "negative" and not event.augmented:
            event.call, event.args = _SUBTRACT, (event.args[0], negated.args[0])
            event.refresh_inputs()


def write_usual_arguments(draft: Draft) -> None:
    """Write ``axis=0`` for ``axis=(0,)``, ``x[:9]`` for ``x[0:9]``, and no devices."""
    for event in draft.events:
        event.kwargs = {
            name: one[0] if name == "axis" and isinstance(one, tuple) and len(one) == 1 else one
            for name, one in event.kwargs.items()
            if name != "device"
        }
        if event.call.kind in ("getitem", "setitem") and isinstance(event.args[0], Value):
            key = _usual_key(event.args[1], np.shape(event.args[0].array))
            event.args = (event.args[0], key, *event.args[2:])


def _usual_key(key: Any, shape: tuple[int, ...]) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    if any(not isinstance(part, slice | int | Index) for part in parts):
        return key
    usual = tuple(_usual_slice(one, n) for one, n in zip(parts, shape, strict=False))
    return usual if isinstance(key, tuple) else usual[0]


def _usual_slice(part: Any, length: int) -> Any:
    if not isinstance(part, slice) or not (part.step is None or isinstance(part.step, int)):
        return part
    if part.step is not None and part.step < 1:
        return part
    start = None if type(part.start) is int and part.start == 0 else part.start
    stop = None if type(part.stop) is int and part.stop >= length else part.stop
    return slice(start, stop, part.step)


def check_first(draft: Draft) -> None:
    """Put the checks of arguments before the mathematics."""
    from_arguments = {one for one in draft.recording.arguments if one is not None}
    from_arguments |= {one for one in draft.recording.trace.values if one.is_constant}
    checks, rest = [], []
    wanted: set[Value] = set()
    for event in draft.events:
        simple = event.loop is None and event.call.kind not in ("draw", "setitem")
        if simple and event.writes is None and from_arguments.issuperset(event.inputs):
            from_arguments.update(event.results)
    for event in reversed(draft.events):
        mine = event.call.kind == "check" or not wanted.isdisjoint(event.results)
        if mine and event.loop is None and from_arguments.issuperset(event.inputs):
            wanted.update(event.inputs)
            checks.append(replace(event, phase="checks", scope=None))
            for value in event.results:
                value.event = checks[-1]
        else:
            rest.append(event)
    draft.events = [*reversed(checks), *reversed(rest)]


PASSES: tuple[Callable[[Draft], None], ...] = (
    take_vectors_apart,
    without_idle_counters,
    without_factors_of_one,
    without_zeros_into_zeros,
    without_any_copies,
    *AS_RECORDED,
    write_masks,
    transpose_products,
    subtract_negatives,
    write_usual_arguments,
    check_first,
    drop_unread,
)
