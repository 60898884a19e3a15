"""An optimiser's step as one call: ``adam(state, gradients, lr, beta1, beta2, eps)``.

An optimiser updates all its parameters as one vector, with state vectors beside it. Where the step
does nothing else with the new numbers, its source calls a function that reads them from the state,
and writes them there.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Any

from tinygrad_lab.compiler.record.record import BundlePlace, Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value
from tinygrad_lab.compiler.source.layers import Layer
from tinygrad_lab.compiler.source.page import Line
from tinygrad_lab.compiler.source.phrase import TIGHT
from tinygrad_lab.compiler.source.statements import Body, Shared

__all__ = ["Update", "UpdateBody", "update_of"]


@dataclass(slots=True)
class Update:
    """What an optimiser's step reads and writes."""

    layer: Layer
    keys: list[str]
    """The parameters, by their names in the state."""
    gradients: list[Value]
    """Theirs, in this order."""
    read: dict[Value, str]
    """State vectors and the step count, with their names in the state."""
    written: dict[Value, str]
    """Their new values."""
    states: set[State]
    """All that it writes."""
    vectors: tuple[Value, Value, Value]
    """All parameters, their gradients, and the new parameters."""
    inputs: list[Value]
    """All that it reads."""
    left_out: set[Event]
    """The events that join and cut vectors."""

    @property
    def settings(self) -> list[Value]:
        """What it reads besides: the learning rate."""
        own = {*self.gradients, *self.read}
        inputs = self.inputs
        state = [one for one in inputs if one.origin is not None and one.origin.kind == "state"]
        others = [one for one in inputs if one not in own and one not in state]
        # Settings in the order in which the optimiser has them.
        return sorted(others, key=lambda one: one.index)


def update_of(layer: Layer, recording: Recording, elsewhere: Container[Value]) -> Update | None:
    """Return a layer as an update; None if it is more, or less, than that.

    ``elsewhere`` are the values that the step uses outside of the layer, but for new states.
    """
    places = {
        state.owner
        for state, value in recording.states.items()
        if state.kind == "steps" and value in layer.inputs
    }
    if len(places) != 1 or any(value in elsewhere for value in layer.outputs):
        return None
    return _Finder(layer, recording, places.pop()).update()


class _Finder:
    """Finds the parts of an update in the events of a layer."""

    def __init__(self, layer: Layer, recording: Recording, place: BundlePlace) -> None:
        self.layer, self.recording, self.place = layer, recording, place
        self.left_out: set[Event] = set()

    def update(self) -> Update | None:
        recording, place = self.recording, self.place
        data = [State("data", parameter) for parameter in place.parameters]
        if any(one not in recording.states or one not in recording.writes for one in data):
            return None
        old = [recording.states[one] for one in data]
        joined = [e for e in self.layer.events if e.call.name == "concatenate"]
        parts = {event: self._joined(event) for event in joined}
        vector = next((e.result for e, own in parts.items() if own == old), None)
        gradient = next(
            (e for e, own in parts.items() if own != old and len(own) == len(old)), None
        )
        new = self._cut([recording.writes[one] for one in data])
        if vector is None or gradient is None or new is None or len(joined) != 2:
            return None
        read, written, states = self._state_vectors()
        outputs = {*written, *(recording.writes[one] for one in data)}
        gradients = parts[gradient]
        if outputs != set(self.layer.outputs) or any(g.event in self.left_out for g in gradients):
            return None
        inside = {v for e in self.layer.events if e not in self.left_out for v in e.inputs}
        if not inside.isdisjoint([*old, *gradients]) or len(set(gradients)) != len(gradients):
            return None
        keys = [str(one.name) for one in old]
        vectors = (vector, gradient.result, new)
        states |= set(data)
        return Update(
            self.layer,
            keys,
            gradients,
            read,
            written,
            states,
            vectors,
            list(self.layer.inputs),
            self.left_out,
        )

    def _joined(self, event: Event) -> list[Value]:
        """Return the arrays of which a vector is made."""
        found = []
        for part in event.args[0]:
            made = part.event
            if made in self.layer.events and made.call.name == "reshape":
                self.left_out.add(made)
                part = made.args[0]
            found.append(part)
        self.left_out.add(event)
        return found

    def _cut(self, parts: list[Value]) -> Value | None:
        """Return the vector of which arrays are the parts, one after the other."""
        whole, start = None, 0
        for part in parts:
            made: Any = part.event
            if len(parts) == 1 and made is not None and made.call.name == "reshape":
                self.left_out.add(made)
                return made.args[0] if made.args[1:] == (part.array.shape,) else None
            if made is not None and made.call.name == "reshape":
                if made.args[1:] != (part.array.shape,):
                    return None
                self.left_out.add(made)
                made = made.args[0].event
            if made is None or made.call.name != "getitem":
                return None
            stop = start + part.array.size
            whole = made.args[0] if whole is None else whole
            if made.args != (whole, slice(start, stop)):
                return None
            self.left_out.add(made)
            start = stop
        return whole

    def _state_vectors(self) -> tuple[dict[Value, str], dict[Value, str], set[State]]:
        """Return the state vectors and the step count, before and after, with their names."""
        recording = self.recording
        own = [
            state
            for state in recording.states
            if state.owner is self.place and state.kind in ("state", "steps")
        ]
        names = {state: str(recording.states[state].name) for state in own}
        read = {recording.states[state]: names[state] for state in own}
        changed = [
            state
            for state in own
            if recording.writes.get(state, recording.states[state]) is not recording.states[state]
        ]
        written = {recording.writes[state]: names[state] for state in changed}
        return read, written, set(changed)


class UpdateBody(Body):
    """Writes the function of an update."""

    def __init__(self, update: Update, shared: Shared) -> None:
        events = [one for one in update.layer.events if one not in update.left_out]
        super().__init__(events, [*update.written, update.vectors[2]], shared)
        self.update = update
        self.arguments = ["state", "gradients"]
        self._taken |= {"gradients", "name", "start", "stop"}
        self.arguments += [self.name(value) for value in update.settings]
        self.lines = list(self._all_lines())

    def _ends(self, value: Value) -> bool:
        return value is self.update.vectors[2]

    def _all_lines(self) -> Iterator[Line]:
        update = self.update
        parameters, gradients, new = update.vectors
        names = self.name(parameters), self.name(gradients)
        yield Line("# All parameters are one vector, and so are their gradients.")
        yield Line(f"{names[0]} = np.concatenate([state[name].reshape(-1) for name in gradients])")
        yield Line(f"{names[1]} = np.concatenate([one.reshape(-1) for one in gradients.values()])")
        for value, key in update.read.items():
            if self._uses[value] == 1:
                self.phrases.inline[value] = f'state["{key}"]', TIGHT
            elif self._uses[value]:
                yield Line(f'{self.name(value)} = state["{key}"]')
        for line, _, _ in self._lines_in_order():
            yield line
        yield from self._writes_back(self.phrases.text(new))

    def _writes_back(self, new: str) -> Iterator[Line]:
        yield Line("")
        for value, key in self.update.written.items():
            yield Line(f'state["{key}"] = {self.phrases.text(value)}')
        yield Line("stop = 0")
        yield Line("for name in gradients:")
        yield Line("start, stop = stop, stop + state[name].size", "", 1)
        yield Line(f"state[name] = {new}[start:stop].reshape(state[name].shape)", "", 1)
