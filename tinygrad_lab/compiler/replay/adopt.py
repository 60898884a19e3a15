"""Taking states that are elsewhere into the memory that a replay has.

Between two calls an owner may have come to other memory: ``p.data = ...``, an optimiser outside of
the step, another step on the same net. Binding all names anew takes as long as several steps; so
numbers are copied in, or a few names are bound to the other memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_lab.backends import SMALL
from tinygrad_lab.compiler.record.trace import memory_owner
from tinygrad_lab.compiler.replay.adopt_code import attach_code, defined
from tinygrad_lab.compiler.replay.arguments import array_matches
from tinygrad_lab.compiler.replay.binding import Binding
from tinygrad_lab.compiler.replay.counts import Counts
from tinygrad_lab.compiler.replay.give_away import GivingAway
from tinygrad_lab.compiler.replay.homes import Bundles, Home, Homes, array_of, give, holder_of
from tinygrad_lab.compiler.replay.moving import Views
from tinygrad_lab.engine.node import Leaf

__all__ = ["Adopting"]


class Adopting:
    """Adopts states, for as long as the names of a replay are not bound anew."""

    def __init__(self, binding: Binding, homes: Homes, counts: Counts) -> None:
        self._binding = binding
        self._names = binding.names
        self._homes = homes
        self._counts = counts
        self._views = Views(self._names, (self._names["at_risk"],))
        self._giving_away = GivingAway(self._names, homes, counts, self._views)
        self._bundles: Bundles = {}
        self._before: dict[int, Any] = {}
        """What owners had, by the numbers of their states, while states are being adopted."""

    def adopt(self) -> bool:
        """Take all states in; return False, with everything as it was, if that cannot be."""
        if not self._views.can_move or self._homes.has_scalars:
            return False
        touched = self._counts.begin_changes()
        done = False
        try:
            if self._take_in(touched):
                self._binding.set_surroundings(self._bundles)
                done = self._leave_what_is_held()
            if done:
                self._copy_in()
                self._counts.end_changes()
        finally:
            if not done:
                self._give_back()
            self._before, self._bundles = {}, {}
        return done

    def _take_in(self, touched: set[int]) -> bool:
        """Let owners and names have the same memory; note what owners had."""
        if self._attach(self._before, touched):
            numbers = range(len(self._homes.places))
            self._bundles = {self._homes.places[n]: self._names[f"bundle_{n}"] for n in numbers}
            return True
        bundles = {place: place.bundle() for place in self._homes.places}
        if any(bundle is None or bundle.numbers for bundle in bundles.values()):
            return False
        self._bundles = bundles
        fits = self._share() and all(map(self._attach_one, self._homes))
        self._view_vectors()
        return fits

    @cached_property
    def _attach(self) -> Callable[[dict[int, Any], set[int]], bool]:
        """The function that takes states in where that is simple."""
        names = self._names
        in_place = [home.number for home in self._homes if home.in_place]
        parts = {n: self._views.parts(n, names[f"home_{n}"]) for n in in_place}
        attach: Callable[[dict[int, Any], set[int]], bool]
        attach = defined("attach", attach_code(self._homes, names, parts), names)
        return attach

    def _leave_what_is_held(self) -> bool:
        untouched = self._counts.are_current() and self._names["untouched"]()
        return untouched or self._giving_away.give_away()

    def _copy_in(self) -> None:
        """Copy the numbers of what owners had elsewhere."""
        for number, had in self._before.items():
            if not self._homes[number].is_bundled:  # the vector has them, too
                np.copyto(self._names[f"home_{number}"], array_of(had))

    def _give_back(self) -> None:
        """Give owners back what they had."""
        for number, had in self._before.items():
            state = self._homes[number].state
            if state.kind == "grad":
                state.owner._grad = had
            else:
                give(state, had, self._bundles)
        self._view_vectors()

    def _view_vectors(self) -> None:
        """Note in the optimisers' bundles which views of their vectors the parameters have."""
        for place, bundle in self._bundles.items():
            bundle.views = [parameter._data for parameter in place.parameters]

    # --- where it is not simple -------------------------------------------------------------------

    def _share(self) -> bool:
        """Go on in the memory of another replay that updates the same parameters."""
        names = self._names
        for home in self._homes:
            if home.state.kind not in ("vector", "state"):
                continue
            now, mine = holder_of(home.state, self._bundles), names[f"home_{home.number}"]
            if now is mine or not self._counts.is_anothers(now):
                continue
            if not (array_matches(now, mine) and self._move(home.number, now)):
                return False
            for part in self._homes if home.state.kind == "vector" else ():
                if part.is_bundled:
                    data = part.state.owner._data
                    if not (memory_owner(data) is now and self._move(part.number, data)):
                        return False
                    self._follow_leaf(part)
        return True

    def _attach_one(self, home: Home) -> bool:
        """Give an owner the memory of this replay; note what it had.

        What the step only reads stays where it is, and is viewed there. Returns False if the replay
        was not recorded for such a state.
        """
        number, state, owner = home.number, home.state, home.state.owner
        mine = self._names[f"home_{number}"]
        holder = holder_of(state, self._bundles)
        now = array_of(holder)
        if now is not None and now is not mine and not array_matches(now, mine, home.in_place):
            return False
        wants = home.wants_gradient
        if wants is not None and wants is not (owner._node is not None):
            return False
        if home.in_place:
            if now is not mine and not self._move(number, now):
                return False
            self._follow_leaf(home)
        elif state.kind == "grad":
            if home.is_read and not self._attach_gradient(number, holder):
                return False
        elif now is not mine:
            self._before[number] = now
            self._give(home)
        self._show_gradient(number)
        return True

    def _attach_gradient(self, number: int, now: Any) -> bool:
        owner, mine = self._homes[number].state.owner, self._names[f"grad_{number}"]
        if now is mine:
            return now._data is self._names[f"home_{number}"]
        if now is None:
            return False
        self._before[number] = now
        owner._grad = mine
        return True

    def _move(self, number: int, new: Any) -> bool:
        """Bind the names of a home, and of its parts, to other memory."""
        old = self._names[f"home_{number}"]
        if not self._views.move(number, old, new):
            return False
        self._counts.touch(old, new)
        self._names[f"home_{number}"] = new
        self._names[f"memory_{number}"] = memory_owner(new)
        return True

    def _give(self, home: Home) -> None:
        """Give an owner the memory of this replay."""
        give(home.state, self._names[f"home_{home.number}"], self._bundles)
        if home.state.kind == "data":
            self._names[f"leaf_{home.number}"] = home.state.owner._node
            gradient = self._homes.gradient_of(home.state.owner)
            if gradient is not None:
                self._show_gradient(gradient)

    def _follow_leaf(self, home: Home) -> None:
        """Note the node that an owner has now."""
        name, node = f"leaf_{home.number}", home.state.owner._node
        if self._names[name] is not node:
            self._counts.touch(self._names[name], node)
            self._names[name] = node

    def _show_gradient(self, number: int) -> None:
        """Show the gradient at the leaf that its owner has now, as a sweep would."""
        name = f"node_{number}"
        if name not in self._names:
            return
        node = self._homes[number].state.owner._node
        if self._names[name] is not node and isinstance(node, Leaf):
            home = self._names[f"home_{number}"]
            node._gradient = home if home.size <= SMALL else None
            self._names[name] = node
