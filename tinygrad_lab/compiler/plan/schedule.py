"""The order of a replay: one that needs less memory, while every number stays the same.

In the backward pass of ReLU, three arrays are alive: ReLU's output, which says where it was
positive; the incoming gradient, often a matrix product; and the masked gradient. A boolean mask
says the same as the output in a quarter of the memory, and if the output is read there for the last
time, the gradient can be computed in its place. For that the mask must be made before the gradient,
and the gradient after everything that reads ReLU's output.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinygrad_lab.backends.numpy import where_mask
from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.plan.memory import is_view
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.trace import Call, Event, Value

__all__ = ["scheduled"]


def scheduled(recording: Recording, events: list[Event]) -> list[Event]:
    """Return the events in an order that needs less memory."""
    order = split_masks(recording, events)
    for masked in [event for event in order if event.call is _WHERE_MASK]:
        product = masked.args[0].root.event
        if product is not None and known(product.call.name).shape == "product":
            _delay(order, product, masked)
        _advance(order, masked.args[1].event)
    return order


_GREATER = Call("ufunc", "greater", np.greater)
_WHERE_MASK = Call("function", "where_mask", where_mask)


def split_masks(recording: Recording, events: list[Event]) -> list[Event]:
    """Split ``where_positive`` in two: the mask of positive conditions, and x where it is true."""
    split: list[Event] = []
    for event in events:
        if event.call.name != "where_positive" or event.call.kind != "function":
            split.append(event)
            continue
        condition, x = event.args
        positive = replace(event, call=_GREATER, args=(condition, 0), results=())
        mask = recording.trace.result_of(positive, np.empty_like(condition.array, dtype=bool))
        mask.name = "positive"
        masked = replace(event, call=_WHERE_MASK, args=(x, mask))
        event.result.event = masked
        split += [positive, masked]
    return split


def _delay(order: list[Event], product: Event, user: Event) -> None:
    """Compute a product just before it is used, if that keeps nothing larger alive."""
    start, end = order.index(product), order.index(user)
    views = [one for one in order[start:end] if is_view(one) and one.result.root is product.result]
    between = [one for one in order[start + 1 : end] if one not in views]
    if any(_uses(one, product.result) or _changes(one, product.inputs) for one in between):
        return
    ending = {
        value.root
        for value in product.inputs
        if value.root.event is not None and not any(_uses(e, value.root) for e in order[end:])
    }
    if sum(root.array.nbytes for root in ending) <= product.result.array.nbytes:
        order[start:end] = [*between, product, *views]


def _advance(order: list[Event], made: Event) -> None:
    """Make a mask as soon as nothing else will read or change its source."""
    end, condition = order.index(made), made.args[0].root
    if not any(_uses(one, condition) for one in order[end + 1 :]):
        before = (n for n in reversed(range(end)) if _concerns(order[n], condition))
        order.insert(next(before) + 1, order.pop(end))


def _concerns(event: Event, root: Value) -> bool:
    """Return whether an event makes a value or a view of it, reads it or changes it."""
    return any(value.root is root for value in event.results) or _uses(event, root)


def _uses(event: Event, root: Value) -> bool:
    """Return whether an event reads memory or writes into it; making a view is neither."""
    if is_view(event):
        return False
    return _changes(event, (root,)) or any(value.root is root for value in event.inputs)


def _changes(event: Event, values: tuple[Value, ...]) -> bool:
    """Return whether an event writes into the memory of values."""
    return event.writes is not None and any(event.writes.root is one.root for one in values)
