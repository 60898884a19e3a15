"""By reference counts: whether anybody else holds the memory that a replay writes into.

A user may keep ``p.data``, a ``.grad``, a view of either, or a graph that needs them: a replay must
not write there. Right after binding, the replay and the owners of its states alone refer to its
memory; that many references are usual. Other replays may refer to the same memory, of a net that
two steps use; what they hold is allowed, too, and is counted again whenever it may have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import numpy as np

from tinygrad_lab.backends import SMALL
from tinygrad_lab.compiler.record.trace import memory_owner
from tinygrad_lab.compiler.replay.homes import number_of

__all__ = ["Counts"]


class Counts:
    """The reference counts of one replay."""

    _living: ClassVar[WeakSet[Counts]] = WeakSet()
    """Those of all replays."""
    _changes: ClassVar[int] = 0
    """How often it changed what the names of any replay are bound to."""

    def __init__(self, names: dict[str, Any]) -> None:
        """``names`` are those in the code of the replay."""
        self._names = names
        self._counted: list[str] = []
        """The names of what is counted."""
        self._usual: list[int] = []
        """How often the replay itself and the owners of its states refer to it."""
        self._allowed: list[int] = []
        """The same, with what other replays refer to."""
        self._counted_at = -1
        self.is_on = False
        """Whether it counts, if only what its names refer to; a step may write into nothing."""
        self.touched: set[int] = set()
        """The ids of objects that the names come to refer to, or cease to, while some move."""
        self._ids: frozenset[int] | None = None
        self._references: Counter[int] | None = None
        Counts._living.add(self)

    def stop(self) -> None:
        """Count nothing until ``start``."""
        self._usual, self.is_on = [], False

    def start(self, counted: Sequence[str]) -> list[str]:
        """Count the references to what some names are bound to; return checks of them, as code.

        No local variable may refer to it any more.
        """
        names = self._names
        self._counted = list(counted)
        texts = [_counting(name, names) for name in counted]
        exec(f"def counts(): return [{', '.join(texts)}]", names)
        counts, others = names["counts"](), self._of_others()
        self._usual = [one - other for one, other in zip(counts, others, strict=True)]
        self.is_on = True
        self._allow(others)
        return [f"{text} <= count_{number}" for number, text in enumerate(texts)]

    def are_current(self) -> bool:
        """Whether the checks know of what other replays refer to now."""
        return self._counted_at == Counts._changes

    def held_by_others(self) -> list[str]:
        """Return the names of what others than replays and its owners refer to."""
        if not self.are_current():
            self._allow(self._of_others())
        now = self._names["counts"]()
        return [
            name
            for name, count, allowed in zip(self._counted, now, self._allowed, strict=True)
            if count > allowed
        ]

    def allow_none(self, numbers: Sequence[int]) -> None:
        """Allow no references of other replays to what has new memory."""
        for number in numbers:
            self._allowed[number] = self._names[f"count_{number}"] = self._usual[number]

    def numbers_of(self, names: set[str]) -> list[int]:
        """Return the places, among the counts, of some names."""
        return [number for number, name in enumerate(self._counted) if name in names]

    # --- other replays ----------------------------------------------------------------------------

    def is_anothers(self, thing: Any) -> bool:
        """Return whether another replay counts this very object: it goes on in that memory."""
        return any(id(thing) in one._counted_ids for one in self._others())

    def begin_changes(self) -> set[int]:
        """Note from now on what is touched, in the set that is returned."""
        self.touched = set()
        return self.touched

    def touch(self, *things: Any) -> None:
        """Note objects, of arrays their memory, too, that names come to refer to, or cease to."""
        self.touched.update(map(id, things), [id(memory_owner(thing)) for thing in things])
        self._counted_at = -1

    def end_changes(self) -> None:
        """Let other replays count again what they share with this one, where it has changed."""
        self._ids = None
        touched = self.touched
        if touched:
            self._references = None
            self._tell_others(touched)

    def end_binding(self) -> None:
        """The same, after all names were bound anew."""
        self._ids = None
        touched = set(self._references or ())
        self._references = None
        self._tell_others(touched.union(self._of_mine))

    def let_go(self) -> None:
        """Let other replays count again, because this one refers to nothing any more."""
        if self.is_on:
            self._invalidate(self._others())

    def _others(self) -> list[Counts]:
        return [one for one in Counts._living if one is not self and one.is_on]

    def _tell_others(self, touched: set[int]) -> None:
        sharing = [one for one in self._others() if not touched.isdisjoint(one._counted_ids)]
        self._invalidate(sharing)

    @staticmethod
    def _invalidate(others: Sequence[Counts]) -> None:
        """Let the checks of others fail once, so that they count again."""
        for one in others:
            Counts._changes += 1
            one._names.update((f"count_{number}", -1) for number in range(len(one._usual)))

    @property
    def _counted_ids(self) -> frozenset[int]:
        if self._ids is None:
            self._ids = frozenset([id(self._names[name]) for name in self._counted])
        return self._ids

    @property
    def _of_mine(self) -> Counter[int]:
        """How often the names of this replay refer to objects, by their ids."""
        if self._references is None:
            self._references = _references_in(self._names)
        return self._references

    def _of_others(self) -> list[int]:
        """Return how often other replays refer to what is counted: to read it, or to copy it."""
        counters = [one._of_mine for one in self._others()]
        return [sum(c[id(self._names[name])] for c in counters) for name in self._counted]

    def _allow(self, others: Sequence[int]) -> None:
        """Let the checks allow the references of other replays."""
        self._allowed = [count + other for count, other in zip(self._usual, others, strict=True)]
        self._names.update((f"count_{n}", count) for n, count in enumerate(self._allowed))
        self._counted_at = Counts._changes


def _counting(name: str, names: dict[str, Any]) -> str:
    """Write code that counts the references to an object, except its owner's, if that has it.

    Only gradients need the exception: the owners of other objects are checked to have them.
    """
    number = number_of(name)
    count = f"getrefcount({name})"
    if name == f"grad_{number}":
        return f"{count} - (owner_{number}._grad is {name})"
    if name == f"home_{number}" and f"node_{number}" in names and names[name].size <= SMALL:
        return f"{count} - (getattr(node_{number}, '_gradient', None) is {name})"
    return count


def _references_in(names: dict[str, Any]) -> Counter[int]:
    """Count, by their ids, how often the names of a replay, and views, refer to objects."""
    found = Counter(map(id, names.values()))
    arrays = {id(thing): thing for thing in names.values() if isinstance(thing, np.ndarray)}
    found.update([id(array.base) for array in arrays.values() if array.base is not None])
    for thing in names.values():
        if isinstance(thing, list):
            found.update(map(id, thing))
    return found
