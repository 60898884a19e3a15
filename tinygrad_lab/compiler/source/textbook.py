"""A step as a textbook has it: the chain rule in so many lines, equal up to rounding.

The step is recorded once more (``as_taught.py``), with the textbook forms of fused ops
(``engine/taught.py``) and of optimisers (``Optimizer.textbook``). Then passes over its draft
(``simpler.py``) write the same mathematics more simply, and the writer gives it a textbook's names.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value
from tinygrad_lab.compiler.source.as_taught import UPDATE
from tinygrad_lab.compiler.source.page import Line
from tinygrad_lab.compiler.source.phrase import TIGHT
from tinygrad_lab.compiler.source.rolled_updates import LoopNames, Updated, rolled
from tinygrad_lab.compiler.source.simpler import PASSES
from tinygrad_lab.compiler.source.write import Writer
from tinygrad_lab.context import Scope

__all__ = ["TextbookWriter"]


class TextbookWriter(Writer):
    """Writes a recording as a textbook would."""

    longest = 84
    in_layers = False

    def __init__(self, recording: Recording, function: Callable[..., Any]) -> None:
        self._said: dict[str, str] = {}
        """The short names of parameters and layers, by their names."""
        self._written: set[State] = set()
        super().__init__(recording, function, PASSES)
        self._updates = self._find_updates()
        self._name_updates()

    def _title(self, loading: bool) -> str:
        title = f"One call of {self.function}, as a textbook has it. It needs NumPy alone."
        if any(event.phase == "backward" for event in self.events):
            title += "\n\nd_x is the gradient with respect to x.\n"
        return title

    # --- names ------------------------------------------------------------------------------------

    def _name_states(self, variables: dict[int, str]) -> None:
        super()._name_states(variables)
        layers: dict[str, list[tuple[str, Value]]] = {}
        for state, value in self.recording.states.items():
            path, dot, own = (getattr(state.owner, "name", None) or "").rpartition(".")
            if state.kind == "data" and dot:
                layers.setdefault(own, []).append((path, value))
        for own, places in layers.items():
            stem = own.replace("weight", "W").replace("bias", "b")
            for (_, value), suffix in zip(places, _suffixes(places), strict=True):
                self._said[value.name or ""] = f"{stem}{suffix}"
                if own == "weight":
                    self._said[(value.name or "").removesuffix("_weight")] = f"z{suffix}"

    def _stem(self, value: Value) -> str:
        stem = super()._stem(value)
        if stem == "reshape":
            return "flat" if np.ndim(value.array) < 3 else "reshaped"
        gradient = stem.startswith("d_")
        said = self._said.get(stem.removeprefix("d_"))
        return stem if said is None else f"d_{said}" if gradient else said

    def _free_name(self, stem: str) -> str:
        if hasattr(np, stem) or hasattr(builtins, stem):
            stem = _OTHER_NAMES.get(stem, f"the_{stem}")
        return super()._free_name(stem)

    # --- updates ----------------------------------------------------------------------------------

    def _find_updates(self) -> dict[Value, list[tuple[State, Value]]]:
        """Map new parameters to the states that are written with them: their moments, and they."""
        writes = self.recording.writes
        found: dict[Value, list[tuple[State, Value]]] = {}
        for state, value in writes.items():
            if state.kind != "moment":
                continue
            number = state.position % len(state.owner.parameters)
            new = writes.get(State("data", state.owner.parameters[number]))
            if new is not None:
                found.setdefault(new, []).append((state, value))
        for state, value in writes.items():
            if state.kind == "data" and _group(value.event) is not None:
                found.setdefault(value, []).append((state, value))
        return {new: states for new, states in found.items() if _group(new.event) is not None}

    def _name_updates(self) -> None:
        """Let all parameters share the names of what their updates compute."""
        shared: dict[str, str] = {}
        for event in self.events:
            group = _group(event)
            for value in event.results if group is not None else ():
                users = self._users.get(value, [])
                if all(_group(user) is group for user in users) and value not in self._outputs():
                    stem = self._stem(value)
                    if stem not in shared:
                        shared[stem] = self._free_name(stem)
                    self._names[value] = shared[stem]

    def _reads(self) -> Iterator[Line]:
        for state, value in self.recording.states.items():
            if state.kind == "moment" and self._uses[value] == 1:
                self.phrases.inline[value] = f'state["{value.name}"]', TIGHT
        yield from super()._reads()

    def _states_read(self) -> Iterator[tuple[State, Value]]:
        for state, value in super()._states_read():
            if value not in self.phrases.inline or state.kind != "moment":
                yield state, value

    def _writes_to_state(self) -> Iterator[tuple[State, Value]]:
        for state, value in super()._writes_to_state():
            if state not in self._written:
                yield state, value

    def _lines_of(self, event: Event, position: int) -> Iterator[Line]:
        yield from super()._lines_of(event, position)
        for new in event.results:
            for state, value in self._updates.get(new, ()):
                self._written.add(state)
                key = self.recording.states[state].name
                yield Line(self._put(f'state["{key}"]', value))

    def _lines_in_order(self) -> Iterator[tuple[Line, Event | None, bool]]:
        lines = super()._lines_in_order()
        for is_update, together in groupby(lines, lambda one: _group(one[1]) is not None):
            found = list(together)
            if not is_update:
                yield from found
                continue
            updates = [
                self._updated(scope, [line for line, _, _ in own])
                for scope, own in groupby(found, lambda one: _group(one[1]))
            ]
            for line in rolled(updates, self._loop_names()):
                yield line, found[0][1], False

    def _updated(self, scope: Scope, lines: list[Line]) -> Updated:
        """Return what is a parameter's own in the lines of its update."""
        inside = [event for event in self.events if _group(event) is scope]
        made = {value for event in inside for value in event.results}
        read = dict.fromkeys(value for event in inside for value in event.inputs)
        states = {state: value for state, value in self.recording.states.items() if value in read}
        parameters = [value for state, value in states.items() if state.kind == "data"]
        others = made.union(self.shared.numbers, states.values(), self.recording.settings.values())
        gradients = [one for one in read if one not in others and np.ndim(one.array)]
        if len(parameters) != 1 or len(gradients) != 1:
            return Updated("", "", "", tuple(lines))
        (parameter,), (gradient,) = parameters, gradients
        names = self.phrases.text(parameter), self.phrases.text(gradient)
        return Updated(str(parameter.name), *names, tuple(lines))

    def _loop_names(self) -> LoopNames:
        return LoopNames(*map(self._free_name, ("gradients", "name", "g")))

    def _can_be_inlined(self, event: Event, position: int, text: str) -> bool:
        if event.is_on_numbers and event.result not in self._kept and len(text) < _SHORT_NUMBER:
            return event.loop is None
        if event.call.name == "reshape" and self._uses[event.result] > 1:
            return False
        return super()._can_be_inlined(event, position, text)


_SHORT_NUMBER = 24
"""Numbers are written where they are used, up to this length: ``1 - beta1``."""

_OTHER_NAMES = {
    "matmul": "product",
    "add": "summed",
    "subtract": "difference",
    "multiply": "scaled",
    "divide": "quotient",
    "reshape": "reshaped",
    "sum": "total",
    "max": "largest",
    "min": "smallest",
    "mean": "average",
    "exp": "exponentials",
    "log": "logs",
    "where": "chosen",
    "array": "values",
}
"""What to call results, rather than by the name of the function that made them."""


def _group(event: Event | None) -> Any:
    """Return the scope of the parameter whose update an event is part of."""
    scope = None if event is None or event.loop is not None else event.scope
    return scope if scope is not None and scope.kind == UPDATE else None


def _suffixes(places: list[tuple[str, Value]]) -> list[str]:
    """Return what tells layers apart: nothing for one; their numbers; or else their names."""
    if len(places) == 1:
        return [""]
    numbers = [path[len(path.rstrip("0123456789")) :] for path, _ in places]
    if all(own in ("", str(n)) for n, own in enumerate(numbers, 1)):
        return [str(n) for n in range(1, len(places) + 1)]
    return [f"_{path.replace('.', '_')}" for path, _ in places]
