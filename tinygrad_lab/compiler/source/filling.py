"""The pass that writes what fills memory where the memory is made."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.record.trace import Call, Event, Value
from tinygrad_lab.compiler.source.draft import (
    Draft,
    fresh_result,
    inherit_origin,
    is_view,
    same_layout,
)

__all__ = ["fill_directly"]


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
    inherit_origin(view, back)
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
