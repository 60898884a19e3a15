"""The states that have memory in a replay: which, in which order, and who holds them.

A state's memory is its *home*. Its number, its place in the order, is part of the names in the code
of a replay: ``home_3`` is the array, ``memory_3`` the array whose memory that is, ``owner_3`` the
tensor it belongs to, ``leaf_3`` the tensor's node, ``grad_3`` the tensor that is its ``.grad``, and
``node_3`` the leaf where that gradient is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_lab.backends import SMALL
from tinygrad_lab.compiler.plan.memory import empty_like_recorded
from tinygrad_lab.compiler.record.record import BundlePlace, Recording, State
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor

__all__ = ["Bundles", "Home", "Homes", "array_of", "give", "gradient_in", "holder_of", "number_of"]

Bundles = dict[BundlePlace, Any]
"""The parameters that an optimiser updates together, where it keeps them now."""


@dataclass(frozen=True, slots=True)
class Home:
    """A state that has memory in a replay."""

    number: int
    state: State
    in_place: bool
    """It is only read, and viewed where its owner has it."""
    is_read: bool
    wants_gradient: bool | None
    """Whether its owner requires a gradient; None if that does not matter."""
    is_bundled: bool
    """It is a parameter, and part of an optimiser's vector."""
    is_written: bool
    """A replay writes into its memory."""


class Homes:
    """All states of a recording that have memory in its replay, in order."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self.places = recording.bundle_places()
        """Where optimisers keep the parameters that the step updates together."""

    def __iter__(self) -> Iterator[Home]:
        return iter(self._all)

    def __getitem__(self, number: int) -> Home:
        return self._all[number]

    def __len__(self) -> int:
        return len(self._all)

    def number(self, state: State) -> int:
        """Return the number of a state."""
        return self._numbers[state]

    def gradient_of(self, owner: Any) -> int | None:
        """Return the number of a tensor's ``.grad``; None if that has no memory here."""
        return self._numbers.get(State("grad", owner))

    @cached_property
    def has_scalars(self) -> bool:
        """Whether the step works on tensors that are Python numbers."""
        states = self._recording.states.items()
        return any(s.kind in ("data", "grad") and not v.is_array for s, v in states)

    @cached_property
    def _all(self) -> list[Home]:
        recording = self._recording
        in_place, bundled, read = recording.in_place(), recording.bundled(), recording.states
        return [
            Home(
                number,
                state,
                in_place=state in in_place,
                is_read=state in read,
                wants_gradient=(
                    read[state].wants_gradient if state.kind == "data" and state in read else None
                ),
                is_bundled=state.kind == "data" and id(state.owner) in bundled,
                is_written=(
                    state in recording.writes
                    or state.kind in ("vector", "state")
                    or id(state.owner) in bundled
                ),
            )
            for number, state in enumerate(self._in_order())
        ]

    @cached_property
    def _numbers(self) -> dict[State, int]:
        return {home.state: home.number for home in self._all}

    def _in_order(self) -> list[State]:
        """Return the states in the order in which they are given memory."""
        recording = self._recording
        order: dict[State, None] = {}
        for place in self.places:
            order[State("vector", place)] = None
            names = [s for s in recording.states if s.kind == "state" and s.owner is place]
            order.update(dict.fromkeys(sorted(names, key=lambda s: s.position)))
            if not isinstance(place.parameters[0]._data, float):
                order.update(dict.fromkeys(State("data", p) for p in place.parameters))
        arrays = [
            s for s, v in recording.states.items() if v.is_array and s.kind in ("data", "grad")
        ]
        order.update(dict.fromkeys(arrays))
        order.update(dict.fromkeys(s for s, v in recording.writes.items() if v.is_array))
        return list(order)

    def new(self, bundles: Bundles) -> dict[State, Any]:
        """Return memory for every array that is read, with its current content."""
        made: dict[State, Any] = {}
        for place, bundle in bundles.items():
            vector = made[State("vector", place)] = np.array(bundle.vector)
            for position, array in enumerate(bundle.state):
                made[State("state", place, position)] = np.array(array)
            if not bundle.numbers:
                for parameter, part in zip(bundle.parameters, bundle.parts(vector), strict=True):
                    made[State("data", parameter)] = part
        in_place = self._recording.in_place()
        for state, value in self._recording.states.items():
            if state in made or not value.is_array or state.kind not in ("data", "grad"):
                continue
            owner = state.owner
            if state in in_place:
                made[state] = owner._data
                continue
            array = made[state] = empty_like_recorded(value.array)
            if state.kind == "data":
                array[...] = owner._data
            elif owner.grad is not None:  # the step may have cleared it
                array[...] = owner.grad._data
        return made


def number_of(name: str) -> int:
    """Return the number of the home that a name belongs to."""
    return int(name.rpartition("_")[2])


def array_of(holder: Any) -> Any:
    """Return an array, or that of a tensor."""
    return holder._data if isinstance(holder, Tensor) else holder


def holder_of(state: State, bundles: Bundles) -> Any:
    """Return the array, or the ``.grad``, that the owner of a state has now."""
    owner = state.owner
    if state.kind == "vector":
        return bundles[owner].vector
    if state.kind == "state":
        return bundles[owner].state[state.position]
    return owner._data if state.kind == "data" else owner.grad


def give(state: State, array: Any, bundles: Bundles) -> None:
    """Give a state's array, which has its content already, to its owner."""
    owner = state.owner
    if state.kind == "vector":
        bundles[owner].vector = array
    elif state.kind == "state":
        parts = list(bundles[owner].state)
        parts[state.position] = array
        bundles[owner].state = tuple(parts)
    elif state.kind == "data" and owner._data is not array:
        owner._rebind(array)


def gradient_in(array: Any, owner: Any) -> Tensor:
    """Return the tensor that is an owner's ``.grad`` after a replay; now, too, if it has one."""
    before = owner.grad
    gradient = owner._collect(array)
    if before is not None and before.shape == array.shape:
        array[...] = before._data
    else:
        owner._grad = before
    if isinstance(owner._node, Leaf):
        owner._node._gradient = array if array.size <= SMALL else None
    return gradient
