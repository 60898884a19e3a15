"""The names in the code of a replay, and the memory and objects that they are bound to.

``bind`` makes the buffers, the constants and every view of them once, so that calls need not: the
lines of a replay are left with the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.compiler.plan.memory import Plan, aligned, empty_like_recorded, is_view
from tinygrad_lab.compiler.plan.outlines import compacted
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value, mapped

__all__ = ["Late", "Names"]


@dataclass(frozen=True, slots=True)
class Late:
    """An object in the code that is made together with the buffers."""

    made: Callable[[dict[Value, Any]], Any]
    """Makes it from the arrays of the values."""


class Names:
    """The names of values and of fixed objects in the code of one planned recording."""

    def __init__(self, recording: Recording, plan: Plan, given: dict[Value, str]) -> None:
        """``given`` are names of values that are already known."""
        self.recording, self.plan = recording, plan
        self.bindings: dict[str, Any] = {}
        """Names in the code of fixed objects: constants, functions."""
        self._names = given
        self._moving = self._views_made_anew()
        """Views of memory that stays, which are made at each call together with others."""

    def name(self, value: Value) -> str:
        """Return the name of a value in the code."""
        if value not in self._names:
            # Two underscores, as bound names may be number_3 or pow_16.
            self._names[value] = f"{value.name or 'v'}__{value.index}"
        return self._names[value]

    def bound(self, stem: str, thing: Any) -> str:
        """Bind a fixed object; return its name."""
        if self.bindings.get(stem) is not thing and stem in self.bindings:
            stem = f"{stem}_{len(self.bindings)}"
        self.bindings[stem] = thing
        return stem

    def is_static(self, value: Value) -> bool:
        """Return whether a value is the same array object at every call."""
        if not value.is_array or value in self._moving:
            return False
        return self.plan.is_static(value.root)

    def _views_made_anew(self) -> set[Value]:
        """Return the views that are made in one call with views of arguments, or new arrays."""
        anew: set[Value] = set()
        for event in self.plan.events:
            inputs = [one for one in event.inputs if one.is_array]
            if event.several or not anew.isdisjoint(inputs):
                stay = all(self.plan.is_static(one.root) and one not in anew for one in inputs)
                if not (stay and is_view(event)):
                    anew.update(one for one in event.results if one.root is not one)
        return anew

    def home(self, state: State) -> str:
        """Return the name of the memory that a state lives in."""
        if state in self.recording.states:
            return self.name(self.recording.states[state])
        return self.name(self.recording.writes[state]) + "_home"

    def view(self, name: str, value: Value, make: Callable[[Any], Any]) -> str:
        """Bind a view of a buffer; return its name."""
        self.bindings[name] = Late(lambda arrays: make(arrays[value]))
        return name

    def text(self, one: Any) -> str:
        """Write an argument."""
        if isinstance(one, Value):
            return self.text(one.array) if _is_literal(one) else self.name(one)
        if isinstance(one, tuple):
            return "(" + ", ".join(map(self.text, one)) + ("," if len(one) == 1 else "") + ")"
        if isinstance(one, list):
            return "[" + ", ".join(map(self.text, one)) + "]"
        if one is None or isinstance(one, bool | int | str) or one is Ellipsis:
            return repr(one)
        if one.__class__ is float and np.isfinite(one):
            return repr(one) if one >= 0 else f"({one!r})"
        return self.bound(f"thing_{len(self.bindings)}", one)

    # --- binding ----------------------------------------------------------------------------------

    def bind(self, homes: dict[State, Any]) -> dict[str, Any]:
        """Return all names of the code, with new buffers.

        ``homes`` has the memory of the states; missing ones are added.
        """
        arrays = self.arrays(homes)
        bound = {self.name(value): array for value, array in arrays.items()}
        for name, thing in self.bindings.items():
            bound[name] = thing.made(arrays) if isinstance(thing, Late) else thing
        self._write_constants(arrays)
        for state, value in self.recording.writes.items():
            if value.is_array and state not in homes:
                homes[state] = self._home_of_write(state, value, arrays)
                bound[self.name(value) + "_home"] = homes[state]
        return bound

    def arrays(self, homes: dict[State, Any]) -> dict[Value, Any]:
        """Return the arrays of all values that are the same at every call."""
        arrays: dict[Value, Any] = {}
        scratch = aligned(self.plan.scratch)
        for value in self.recording.trace.values:
            if value.origin is not None and value.origin.kind == "constant":
                arrays[value] = _constant(value.array)
        for state, value in self.recording.states.items():
            if value.is_array:
                arrays[value] = homes[state]
        for event in self.plan.events:
            for value in event.results:
                if value in self.plan.constants:
                    arrays[value] = _constant(value.array)
                elif value.is_array and self.is_static(value) and value not in arrays:
                    arrays[value] = self._memory(event, value, arrays, scratch, homes)
        return arrays

    def _home_of_write(self, state: State, value: Value, arrays: dict[Value, Any]) -> Any:
        copied = any(one == state for one, _ in self.plan.copies)
        return empty_like_recorded(value.array) if copied else arrays[value]

    def _memory(
        self,
        event: Event,
        value: Value,
        arrays: dict[Value, Any],
        scratch: Any,
        homes: dict[State, Any],
    ) -> Any:
        """Return the array of a value that is the same at every call."""
        if is_view(event):
            out = event.call.function(*_real(event.args, arrays), **_real(event.kwargs, arrays))
            return out[event.results.index(value)] if event.several else out
        state = self.plan.home_of.get(value)
        if state is not None and state in homes and value is self.recording.writes[state]:
            return homes[state]
        if value in self.plan.part_of:
            joined, start = self.plan.part_of[value]
            if joined not in arrays:
                arrays[joined] = empty_like_recorded(joined.array)
            part = arrays[joined][start : start + value.array.size]
            return part.reshape(value.array.shape)
        if value in self.plan.own or state is not None:
            return empty_like_recorded(np.asarray(value.array))
        place = scratch[self.plan.place_of[value] :]
        return empty_like_recorded(np.asarray(value.array), place)

    def _write_constants(self, arrays: dict[Value, Any]) -> None:
        for event in self.plan.events:
            if event not in self.plan.once:
                continue
            if event.writes is None:
                arrays[event.result].fill(event.filled_with())
            else:
                event.call.function(*_real(event.args, arrays), **_real(event.kwargs, arrays))


def _is_literal(value: Value) -> bool:
    """Return whether a value is a number that is the same at every call."""
    return value.is_constant and not value.is_array


def _real(tree: Any, arrays: dict[Value, Any]) -> Any:
    return mapped(tree, lambda one: arrays[one] if isinstance(one, Value) else one)


def _constant(array: Any) -> Any:
    """Return a constant in the form that operations take fastest: scalars as 0-d arrays."""
    return np.asarray(array) if isinstance(array, np.generic) else compacted(array)
