"""Moving the memory of a replay: its names are bound to the same parts of another array.

Binding all names of a replay anew takes as long as several steps. Where only some of its memory has
to change, because somebody else holds it or its owner has other memory, only the names of views of
that memory are bound again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import BuiltinMethodType
from typing import Any

import numpy as np
from numpy.lib.array_utils import byte_bounds

from tinygrad_lab.compiler.plan.memory import Addresses
from tinygrad_lab.compiler.record.trace import memory_owner

__all__ = ["Part", "Parts", "Views", "address_of"]


@dataclass(slots=True)
class Part:
    """A view of an array that is moved: where in it, of which form, and what is bound to it."""

    whole: bool
    offset: int
    shape: tuple[int, ...]
    dtype: Any
    strides: tuple[int, ...]
    names: list[str] = field(default_factory=list)
    places: list[tuple[list[Any], int]] = field(default_factory=list)


@dataclass(slots=True)
class Parts:
    """What refers to the memory of an array."""

    views: list[Part]
    addresses: list[tuple[str, int, int]]
    """Names of tables of addresses; for each the index in it, and where in the memory that is."""

    @property
    def names(self) -> set[str]:
        """The names that are bound to views."""
        return {name for view in self.views for name in view.names}


class Views:
    """The names of a replay that are bound to arrays, by the memory that these are views of."""

    def __init__(self, names: dict[str, Any], lists: tuple[list[Any], ...]) -> None:
        self._names = names
        self._lists = lists
        self._parts: dict[Any, Parts] = {}
        """By what moves: its parts, which stay where they are within it."""
        own = [thing for name, thing in names.items() if not _is_of_the_user(name)]
        self.can_move = not any(map(_cannot_move, own))

    def move(self, key: Any, old: Any, new: Any) -> bool:
        """Bind the names of the views of an array to the same parts of another one.

        Both have the same shape, dtype and strides; ``key`` says what moves, from move to move.
        Returns False, and does nothing, where parts of the other array cannot be viewed.
        """
        other = memory_owner(new)
        if not (other.flags.c_contiguous or other.flags.f_contiguous):
            return False
        parts = self.parts(key, old)
        names, start = self._names, address_of(new) - address_of(other)
        for part in parts.views:
            view = new
            if not part.whole:
                view = np.ndarray(part.shape, part.dtype, other, start + part.offset, part.strides)
            for name in part.names:
                names[name] = view
            for one, place in part.places:
                one[place] = view
        for table, index, offset in parts.addresses:
            names[table][index] = address_of(new) + offset
        return True

    def parts(self, key: Any, old: Any) -> Parts:
        """Return what the names are bound to of an array."""
        parts = self._parts.get(key)
        if parts is None:
            parts = self._parts[key] = self._parts_of(old)
        return parts

    def _parts_of(self, old: Any) -> Parts:
        root, low = memory_owner(old), address_of(old)
        first, end = byte_bounds(old)
        found: dict[int, Part] = {}

        def part_of(array: Any) -> Part | None:
            if not isinstance(array, np.ndarray) or memory_owner(array) is not root:
                return None
            bounds = byte_bounds(array)
            if array is not old and not (first <= bounds[0] and bounds[1] <= end):
                return None
            known = found.get(id(array))
            if known is None:
                offset = address_of(array) - low
                known = found[id(array)] = Part(
                    array is old, offset, array.shape, array.dtype, array.strides
                )
            return known

        for name, thing in self._names.items():
            if (part := part_of(thing)) is not None:
                part.names.append(name)
        for one in self._lists:
            for place, thing in enumerate(one):
                if (part := part_of(thing)) is not None:
                    part.places.append((one, place))
        addresses = [
            (name, index, address - low)
            for name, thing in self._names.items()
            if isinstance(thing, Addresses)
            for index, address in enumerate(thing.tolist())
            if first <= address < end
        ]
        return Parts(list(found.values()), addresses)


def address_of(array: Any) -> int:
    """Return the address of an array's first element."""
    return int(array.__array_interface__["data"][0])


def _is_of_the_user(name: str) -> bool:
    """Return whether a name stands for what only checks read: the globals of a script, say.

    In a shell, ``builtins._`` is the last result, which may be an array.
    """
    return name == "__builtins__" or name.startswith("place_")


def _cannot_move(thing: Any) -> bool:
    """Return whether it refers to arrays in a way that is not followed here."""
    return _is_method_of_array(thing) or _has_arrays(thing)


def _is_method_of_array(thing: Any) -> bool:
    return isinstance(thing, BuiltinMethodType) and isinstance(thing.__self__, np.ndarray)


def _has_arrays(thing: Any) -> bool:
    if not isinstance(thing, tuple | dict):
        return False
    parts = thing.values() if isinstance(thing, dict) else thing
    return any(isinstance(part, np.ndarray) for part in parts)
