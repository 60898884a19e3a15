"""Leaving memory that others hold to them: a replay goes on in other memory.

Who keeps ``p.grad``, ``p.data`` or a ``state_dict()`` across calls keeps its numbers. A ``.grad``
is left with a copy, and its owner gets another tensor; of other memory the replay takes a copy, and
gives that to the owners of all states in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinygrad_lab.backends import SMALL
from tinygrad_lab.compiler.record.trace import memory_owner
from tinygrad_lab.compiler.replay.adopt_code import defined, leave_code
from tinygrad_lab.compiler.replay.counts import Counts
from tinygrad_lab.compiler.replay.homes import Homes, number_of
from tinygrad_lab.compiler.replay.moving import Views
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import detached

__all__ = ["GivingAway"]


@dataclass(frozen=True, slots=True)
class _Leaving:
    """The written code that leaves one piece of memory."""

    leave: Callable[[set[int]], None]
    inside: list[int]
    """The numbers of the homes in it."""
    counts: list[int]
    """The places of the counts of what is in it."""


class GivingAway:
    """Leaves memory, for as long as the names of a replay are not bound anew."""

    def __init__(self, names: dict[str, Any], homes: Homes, counts: Counts, views: Views) -> None:
        self._names = names
        self._homes = homes
        self._counts = counts
        self._views = views
        self._written: dict[int, _Leaving] = {}
        """By the number of a home."""

    def give_away(self) -> bool:
        """Leave all that others hold to them; return whether that could be done."""
        held = self._counts.held_by_others()
        gradients = [name for name in held if name.startswith("grad_")]
        for name in gradients:
            self._leave_gradient(number_of(name))
        if gradients:
            if self._names["untouched"]():
                return True
            held = self._counts.held_by_others()
        # A leaf that is left in a first round still shows its gradient, which is left in a second.
        return not held or self._leave_all(held) or self._leave_all(self._counts.held_by_others())

    def _leave_gradient(self, number: int) -> None:
        """Leave a ``.grad`` that is kept to whoever keeps it, with its numbers."""
        names, owner = self._names, self._homes[number].state.owner
        kept, home = names[f"grad_{number}"], names[f"home_{number}"]
        gradient = names[f"grad_{number}"] = detached(home)
        gradient._gradient_of = kept._gradient_of
        kept._data = home.copy(order="K")
        if self._homes[number].is_read:
            owner._grad = gradient
        node, shown = owner._node, kept._data if home.size <= SMALL else None
        if isinstance(node, Leaf) and getattr(node, "_gradient", None) is home:
            node._gradient = shown

    def _leave_all(self, held: list[str]) -> bool:
        """Leave the memory of some names; return whether nothing is held any more."""
        left: set[int] = set()
        for number in map(number_of, held):
            if number in left:
                continue
            leaving = self._written.get(number) or self._write(number)
            if leaving is None:
                return False
            leaving.leave(self._counts.touched)
            left.update(leaving.inside)
            # Nobody else refers to the new memory.
            self._counts.allow_none(leaving.counts)
        untouched: bool = self._names["untouched"]()
        return untouched

    def _write(self, number: int) -> _Leaving | None:
        """Write the code that leaves the memory of a home; it is often needed at each call."""
        names = self._names
        root: Any = memory_owner(names[f"home_{number}"])
        if not (root.flags.c_contiguous or root.flags.f_contiguous):
            return None
        inside = [h for h in self._homes if memory_owner(names[f"home_{h.number}"]) is root]
        numbers = [home.number for home in inside]
        parts = self._views.parts(("root", numbers[0]), root)
        leave = defined("leave", leave_code(inside, self._homes, names, parts), names)
        counted = {f"{what}_{n}" for what in ("home", "memory", "leaf") for n in numbers}
        leaving = _Leaving(leave, numbers, self._counts.numbers_of(counted))
        self._written.update(dict.fromkeys(numbers, leaving))
        return leaving
