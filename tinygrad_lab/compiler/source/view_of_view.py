"""The pass that writes a view of a view as one view."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.compiler.record.trace import Value
from tinygrad_lab.compiler.source.draft import (
    Draft,
    apart,
    is_view,
)
from tinygrad_lab.compiler.source.roll import Index

__all__ = ["compose_views"]


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
