"""A step as a textbook has it: the chain rule in so many lines, equal up to rounding.

The step is recorded once more, with the textbook forms of fused ops (``engine/taught.py``) and of
optimisers (``Optimizer.textbook``), and everything that it changes is put back. Then passes over
the draft of ``draft.py`` write the same mathematics more simply; they need not keep bits. To add a
pass, write a function of a draft and list it in ``PASSES``.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.compiler.draft import PASSES as AS_RECORDED, Draft, draft_of, drop_unread
from tinygrad_lab.compiler.record import BundlePlace, Recorder, Recording, State, record_step
from tinygrad_lab.compiler.relied import Relied
from tinygrad_lab.compiler.trace import Call, Event, Origin, Value
from tinygrad_lab.compiler.write import Writer
from tinygrad_lab.context import changed
from tinygrad_lab.engine.taught import TAUGHT
from tinygrad_lab.errors import CompileError

__all__ = ["TextbookWriter", "recorded_as_taught"]


# --- recording ------------------------------------------------------------------------------------


class _Recorded(CompileError):
    """Ends a recording that is wanted alone: everything is put back, as if it had been refused."""


def recorded_as_taught(
    function: Callable[..., Any],
    call: Callable[[list[Any]], Any],
    leaves: list[Any],
    names: list[str],
    as_numbers: frozenset[int],
) -> Recording:
    """Run a step once more on some arguments, and put everything back that it changes."""
    found: list[Recording] = []

    def accept(recording: Recording) -> None:
        found.append(recording)
        raise _Recorded

    relied = Relied()
    relied.find(function, leaves, names)
    try:
        with changed(composing=TAUGHT, grad_enabled=True), np.errstate(all="ignore"):
            record_step(call, leaves, names, accept, relied, as_numbers, _AsTaught(as_numbers))
    except _Recorded:
        pass
    finally:
        relied.put_back()
    return found[0]


class _AsTaught(Recorder):
    """Records updates parameter by parameter, as optimisers have them in their textbook form."""

    def _lift_bundle(self, place: BundlePlace, bundle: Any) -> None:
        super()._lift_bundle(place, bundle)
        if not bundle.numbers:
            bundle.step = lambda _, settings: _update(place.optimizer, bundle, settings)

    def put_back(self, *, keep_changes: bool) -> None:
        super().put_back(keep_changes=keep_changes)
        for bundle, *_ in self._bundles.values():
            vars(bundle).pop("step", None)


def _update(optimizer: Any, bundle: Any, settings: Any) -> None:
    """Update the parameters of a bundle one by one."""
    xp = namespace_of([bundle.vector])
    bundle.steps += 1
    states = zip(*[bundle.parts(vector) for vector in bundle.state], strict=True)
    states = list(states) or [()] * len(bundle.parameters)
    news, new_states = [], []
    for parameter, state in zip(bundle.parameters, states, strict=True):
        gradient = parameter._grad._data
        arguments = (xp, parameter._data, gradient, state, bundle.steps, settings)
        new, new_state = optimizer.textbook(*arguments)
        news.append(new)
        new_states.append(new_state)
    bundle.vector = bundle._joined(news)
    bundle.state = tuple(map(bundle._joined, zip(*new_states, strict=True)))
    bundle.views = news
    for parameter, new in zip(bundle.parameters, news, strict=True):
        parameter._rebind(new)


# --- passes ---------------------------------------------------------------------------------------


def take_vectors_apart(draft: Draft) -> None:
    """Give each parameter its own moments, in place of one vector for all."""
    recording = draft.recording
    for state, vector in list(recording.states.items()):
        if state.kind == "state" and state in recording.writes:
            _take_apart(draft, state, vector)


def _take_apart(draft: Draft, state: State, vector: Value) -> None:
    recording, place = draft.recording, state.owner
    joined = recording.writes[state].event
    parameters = [recording.states.get(State("data", one)) for one in place.parameters]
    if joined is None or joined.call.name != "concatenate" or None in parameters:
        return
    parts = joined.args[0]
    slices = _slices(place.parameters)
    made = {_span(event): event for event in draft.events if event.inputs[:1] == (vector,)}
    if len(parts) != len(slices) or set(made) != set(slices):
        return
    symbol = place.optimizer.symbols[state.position]
    del recording.states[state], recording.writes[state]
    for number, (span, part, parameter) in enumerate(zip(slices, parts, parameters, strict=True)):
        before = _whole(draft, made[span].result)
        after = part
        while after.event is not None and after.event.call.name == "reshape":
            after = after.event.args[0]
        own = State("moment", place, state.position * len(slices) + number)
        before.origin = Origin("state", f"{symbol}_{parameter.name}", own)
        before.name, before.event, before.base = before.origin.name, None, None
        recording.states[own], recording.writes[own] = before, after
    draft.events = [event for event in draft.events if not _makes(event, recording, made)]


def _makes(event: Event, recording: Recording, made: dict[Any, Event]) -> bool:
    states = set(recording.states.values())
    return event in made.values() or any(value in states for value in event.results)


def _slices(parameters: Sequence[Any]) -> list[tuple[int, int]]:
    spans, start = [], 0
    for one in parameters:
        spans.append((start, start + one.size))
        start += one.size
    return spans


def _span(event: Event) -> Any:
    key = event.args[1] if event.call.kind == "getitem" else None
    return (key.start, key.stop) if isinstance(key, slice) else None


def _whole(draft: Draft, part: Value) -> Value:
    """Return a part of a vector in the shape of its parameter."""
    for event in draft.events:
        if event.inputs == (part,) and event.call.name == "reshape":
            return event.result
    return part


PASSES: tuple[Callable[[Draft], None], ...] = (
    take_vectors_apart,
    *AS_RECORDED,
    drop_unread,
)


class TextbookWriter(Writer):
    """Writes a recording as a textbook would."""

    def __init__(self, recording: Recording, function: Callable[..., Any]) -> None:
        super().__init__(recording, function, PASSES)
