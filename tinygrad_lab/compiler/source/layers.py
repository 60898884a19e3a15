"""Which events are one call of a function: a layer forward or backward, a loss, an update.

A run of events may always become a function of what it reads, with what is read afterwards as its
results; the numbers are the same. The trace tells which op each event is part of. Where what is
between the events of an op cannot be moved before or behind them, they stay as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.trace import Call, Event, Part, Value, mapped
from tinygrad_lab.compiler.source.draft import Draft
from tinygrad_lab.compiler.source.roll import Index, Loop, loops_of
from tinygrad_lab.compiler.source.statements import Shared

__all__ = ["Layer", "layered"]


@dataclass(eq=False, slots=True)
class Layer:
    """Events that are written as a function, and the event that stands for its call."""

    part: Part
    events: list[Event]
    call: Event
    by_products: dict[Value, str]
    """The results that only the way back reads, with their names in the op's kernel."""
    gradients: dict[Value, str]
    """Of which inputs of the op the results are gradients, on the way back."""
    targets: list[Value | None] = field(init=False)
    """What the results of the function are; None for one that is not used."""

    def __post_init__(self) -> None:
        self.targets = list(self.call.results)

    @property
    def inputs(self) -> tuple[Value, ...]:
        return self.call.inputs

    @property
    def outputs(self) -> tuple[Value, ...]:
        return self.call.results


def layered(draft: Draft, shared: Shared) -> tuple[list[Event], list[Layer]]:
    """Return the events of the step, and the layers that some of them call."""
    _set_checks_apart(draft)
    layers: list[Layer] = []
    events = draft.events
    parts = dict.fromkeys(e.part for e in events if e.part is not None and e.part.is_layer)
    for part in parts:
        layer = _Cut(part, events, shared).layer()
        if layer is None:
            continue
        layers.append(layer)
        events = _Cut(part, events, shared).with_call(layer.call)
    return events, layers


def _set_checks_apart(draft: Draft) -> None:
    """Take checks, and what is computed for them alone, out of the ops that make them."""
    users = draft.users()
    kept = set(draft.kept())
    apart: set[Event] = set()
    for event in reversed(draft.events):
        read = {user for value in event.results for user in users.get(value, ())}
        only_checked = bool(read) and read <= apart and kept.isdisjoint(event.results)
        if event.call.kind == "check" or (only_checked and event.writes is None):
            apart.add(event)
    for event in apart:
        event.part = None


class _Cut:
    """Cuts the events of a part out of those of a step."""

    def __init__(self, part: Part, events: list[Event], shared: Shared) -> None:
        self.part, self.all, self.shared = part, events, shared
        places = [n for n, event in enumerate(events) if event.part is part]
        self.start, self.stop = (places[0], places[-1] + 1) if places else (0, 0)
        self.events = [events[n] for n in places]
        self.others = [e for e in events[self.start : self.stop] if e.part is not part]
        self.made = {value for event in self.events for value in event.results}
        self.roots = {value.root for value in self.made}
        self.loops = loops_of(self.events)

    def layer(self) -> Layer | None:
        """Return the layer; None if the events have to stay where they are."""
        if not self.events or any(e.call.kind in ("draw", "check") for e in self.events):
            return None
        loop = self._loop_around()
        if isinstance(loop, str) or self._sides() is None or self._writes_elsewhere():
            return None
        inputs, outputs = self._inputs(loop), self._outputs(loop)
        if inputs is None or outputs is None or not outputs:
            return None
        name = Call("layer", f"call of {self.part.op}", _never)
        call = Event(name, tuple(inputs), {}, tuple(outputs), part=self.part)
        first = self.events[0]
        call.phase, call.scope, call.loop = first.phase, first.scope, loop
        call.code, call.offset = first.code, first.offset
        by_products = {one: kept for one in outputs if (kept := self._kept_as(one))}
        gradients = self._gradients(outputs) if self.part.kind == "backward" else {}
        place = {name: n for n, name in enumerate(self.part.inputs)}
        call.results = tuple(
            sorted(
                outputs,
                key=lambda one: (one in by_products, place.get(gradients.get(one, ""), len(place))),
            )
        )
        return Layer(self.part, self.events, call, by_products, gradients)

    def with_call(self, call: Event) -> list[Event]:
        """Return the events of the step with the call in place of those of the part."""
        before, after = self._sides() or ([], [])
        if call.loop is not None:
            for event in self.events:
                event.loop = None
        return [*self.all[: self.start], *before, call, *after, *self.all[self.stop :]]

    def _loop_around(self) -> Loop | str | None:
        """Return the loop that the call is in; a string if there is no such place."""
        if {event.loop for event in self.others} - {None}:
            within = {event.loop for event in (*self.events, *self.others)}
            if len(within) > 1:
                return "among loops"
        for loop in self.loops:
            inside = sum(event.loop is loop for event in self.all)
            if inside == sum(event.loop is loop for event in self.events):
                continue
            indices: list[Any] = []
            for event in self.events:
                mapped((event.args, event.kwargs), indices.append)
            if any(event.loop is not loop for event in self.events) or any(
                isinstance(one, Index) for one in indices
            ):
                return "partly in a loop"
            return loop
        return None

    def _sides(self) -> tuple[list[Event], list[Event]] | None:
        """Return what is done before the call, and after it; None if in the middle."""
        before: list[Event] = []
        after: list[Event] = []
        late: set[Value] = set()
        for event in self.all[self.start : self.stop]:
            if event.part is self.part:
                if not late.isdisjoint(event.inputs):
                    return None
                continue
            roots = {value.root for value in event.inputs}
            if event.writes is not None:
                return None
            if not late.isdisjoint(event.inputs) or not roots.isdisjoint(self.roots):
                after.append(event)
                late.update(event.results)
            else:
                before.append(event)
        return before, after

    def _writes_elsewhere(self) -> bool:
        """Return whether the part writes into memory that it has not made."""
        roots = {e.writes.root for e in self.events if e.writes is not None}
        return not roots <= self.made

    def _inputs(self, loop: Loop | None) -> list[Value] | None:
        """Return what the part reads, in the order in which the op names it."""
        inside = [one for one in self.loops if one is not loop]
        own = {one.value for each in inside for one in each.carried}
        own |= {whole for each in inside for whole in each.lists.values()} | self.made
        read = [value for event in self.events for value in event.inputs]
        read += [
            one.initial for each in inside for one in each.carried if isinstance(one.initial, Value)
        ]
        inputs = [
            one
            for one in dict.fromkeys(read)
            if one not in own
            and one not in self.shared.numbers
            and not (one.is_constant and not _is_array(one))
        ]
        self._name_the_last(inputs)
        names, places = self.part.names, [*self.part.inputs, *self.part.names.values()]

        def place(value: Value) -> int:
            # The gradient that comes back is none of what the op names: it is the first.
            if value not in names:
                return -1 if _is_gradient(value) else len(places)
            return places.index(names[value])

        return sorted(inputs, key=place)

    def _name_the_last(self, inputs: list[Value]) -> None:
        """Name an input that lost its name, in a loop, if it can only be one of the op's."""
        names = self.part.names
        nameless = [one for one in inputs if one not in names and not _is_gradient(one)]
        left = [name for name in self.part.inputs if name not in names.values()]
        if len(nameless) == len(left) == 1:
            names[nameless[0]] = left[0]

    def _outputs(self, loop: Loop | None) -> list[Value] | None:
        """Return what is read after the part; None if a function cannot return it."""
        inside = [one for one in self.loops if one is not loop]
        hidden = {one.value for each in inside for one in each.carried}
        hidden |= {whole for each in inside for whole in each.lists.values()}
        own = set(self.events)
        read: set[Value] = set(self.shared.kept)
        for event in self.all:
            if event not in own:
                read.update(event.inputs)
                read.update([] if event.writes is None else [event.writes])
        for each in loops_of(self.all):
            if each not in inside:
                read.update(one.next for one in each.carried)
                read.update(one.initial for one in each.carried)
                read.update(each.lists)
        if not read.isdisjoint(hidden):
            return None
        return [value for event in self.events for value in event.results if value in read]

    def _gradients(self, outputs: list[Value]) -> dict[Value, str]:
        """Return of which inputs of the op the results are gradients: the only ones that fit."""
        names, inputs = self.part.names, self.part.inputs
        found: dict[Value, str] = {}
        for value in outputs:
            of = value.gradient_of
            name = None if of is None else names.get(of)
            name = name or (value.name or "").removeprefix("d").removeprefix("_")
            if name in inputs:
                found[value] = name
        shapes = {name: np.shape(one.array) for one, name in names.items() if name in inputs}
        for value in outputs:
            left = shapes.keys() - set(found.values())
            fitting = [name for name in left if shapes[name] == np.shape(value.array)]
            if value not in found and value.name is None and len(fitting) == 1:
                found[value] = fitting[0]
        return found

    def _kept_as(self, value: Value) -> str | None:
        """Return what the way back of the op calls a result; None if others read it, too."""
        if self.part.kind != "forward" or value in self.shared.kept:
            return None
        name = None
        for event in self.all:
            if event.part is self.part or value not in event.inputs:
                continue
            part = event.part
            if part is None or (part.op, part.kind) != (self.part.op, "backward"):
                return None
            name = part.names.get(value) or value.name or "kept"
        return name


def _is_gradient(value: Value) -> bool:
    return value.event is not None and value.event.phase == "backward"


def _is_array(value: Value) -> bool:
    return value.is_array


def _never(*args: Any) -> Any:
    raise AssertionError("a call of a layer is only written")
