"""Binding all names in a replay's code to new memory.

The states get memory of the replay's own, with the numbers that they have now, and their owners get
that memory: from then on both work in the same place, and nothing is copied. What a step only reads
stays where its owner has it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from tinygrad_lab.compiler.record.dependencies import guard_names
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import memory_owner
from tinygrad_lab.compiler.replay.code import ReplayCode
from tinygrad_lab.compiler.replay.fits import (
    Conditions,
    errors,
    hooks_match,
    modules_match,
    raises_errors,
)
from tinygrad_lab.compiler.replay.homes import Bundles, Homes, give, gradient_in, number_of
from tinygrad_lab.compiler.replay.outcome import MISS, MOVED
from tinygrad_lab.compiler.replay.undo import FAILURES
from tinygrad_lab.compiler.targets import Program
from tinygrad_lab.context import current
from tinygrad_lab.engine.hooks import hooked
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.nn.module import version

__all__ = ["Binding"]


class Binding:
    """The names in the code of a replay, and what they are bound to."""

    def __init__(self, recording: Recording, conditions: Conditions, homes: Homes) -> None:
        self._recording = recording
        self._homes = homes
        self.names: dict[str, Any] = {}
        # Keep one dictionary: Python has cached where the code finds its names in it. In another
        # one it would look up each, for some 50 replays, which take a tenth more time.
        self._bound: set[str] = set()
        """The names that ``renew`` binds."""
        self._constant = {
            "MISS": MISS,
            "MOVED": MOVED,
            "FAILURES": FAILURES,
            "Tensor": Tensor,
            "detached": detached,
            "current": current,
            "getrefcount": sys.getrefcount,
            "version": version,
            "modules_match": modules_match,
            "module_parts": conditions.parts,
            "module_settings": recording.module_settings,
            "hooked": hooked,
            "hooks": recording.hooks,
            "hooks_match": hooks_match,
            "errors": errors,
            "raises_errors": raises_errors,
            "rebuild": recording.rebuild,
            **guard_names(enumerate(conditions.watched)),
        }

    def renew(self, code: ReplayCode, program: Program, at_risk: Iterable[State]) -> list[str]:
        """Bind all names anew; return those whose references are to be counted.

        ``at_risk`` are the states of which copies are made before each replay.
        """
        bundles = {place: place.bundle() for place in self._homes.places}
        homes = self._homes.new(bundles)
        names = _used(program.code.bind(homes), homes, code.names)
        for state, array in homes.items():
            give(state, array, bundles)
        for place, bundle in bundles.items():
            bundle.views = [parameter._data for parameter in place.parameters]
        held = _held(homes)
        names.update(code.fixed, **held, **self._constant)
        for number, state in enumerate(homes):
            names[f"owner_{number}"] = state.owner
            if state.kind == "grad" and isinstance(state.owner._node, Leaf):
                names[f"node_{number}"] = state.owner._node
        for state, value in self._recording.states.items():
            if state.kind == "data" and not value.is_array:
                names[f"leaf_of_{value.index}"] = state.owner._node
        names["at_risk"] = [homes[state] for state in at_risk]
        for name in self._bound - names.keys():
            del self.names[name]
        self._bound = set(names)
        self.names.update(names)
        self.set_surroundings(bundles)
        return self._guarded(held)

    def set_surroundings(self, bundles: Bundles) -> None:
        """Bind the names of what may be another object at each call, though nothing has moved."""
        names = self.names
        for number, (place, bundle) in enumerate(bundles.items()):
            names[f"bundle_{number}"] = bundle
            names[f"bundles_{number}"] = place.optimizer._bundles[place.group]
        for number, (optimizer, group, _) in enumerate(self._recording.groups):
            names[f"group_{number}"] = optimizer.param_groups[group]
        names["version_now"], names["errors_now"] = version(), errors()

    def _guarded(self, held: Mapping[str, Any]) -> list[str]:
        """Return the names of what nobody else may hold: what a replay writes into."""
        guarded = [
            name
            for name, thing in held.items()
            if thing is not None and self._homes[number_of(name)].is_written
        ]
        # Parameters usually share the memory of one vector, as gradients do: count it once.
        return list({id(held[name]): name for name in reversed(guarded)}.values())


def _held(homes: Mapping[State, Any]) -> dict[str, Any]:
    """Return, by name, what holds the memory of each state: arrays, leaves, gradients."""
    held: dict[str, Any] = {}
    for number, (state, array) in enumerate(homes.items()):
        held[f"home_{number}"] = array
        held[f"memory_{number}"] = memory_owner(array)
        if state.kind == "data":
            held[f"leaf_{number}"] = state.owner._node
        elif state.kind == "grad":
            held[f"grad_{number}"] = gradient_in(array, state.owner)
    return held


def _used(
    names: Mapping[str, Any], homes: Mapping[State, Any], used: Iterable[str]
) -> dict[str, Any]:
    """Leave out the views of the states' memory that no line refers to."""
    memory, used = {id(memory_owner(home)) for home in homes.values()}, set(used)
    return {
        name: thing
        for name, thing in names.items()
        if name in used or id(memory_owner(thing)) not in memory
    }
