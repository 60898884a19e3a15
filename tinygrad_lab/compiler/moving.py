"""Moving the memory of a replay: its names are bound to the same parts of another array.

Binding all names of a replay anew takes as long as several steps. Where only some of its memory has
to change, because somebody else holds it or its owner has other memory, only the names of views of
that memory are bound again.
"""

from __future__ import annotations

from collections import Counter
from types import BuiltinMethodType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.trace import memory_owner

__all__ = ["Views", "references_of"]


class Views:
    """The names of a replay that are bound to arrays, by the memory that these are views of."""

    def __init__(self, names: dict[str, Any], lists: tuple[list[Any], ...]) -> None:
        self._names = names
        self._lists = lists
        self._of: dict[int, list[tuple[int, str]]] = {}
        """By the id of the array that owns memory: offsets in bytes, and names of what is there."""
        self.can_move = True
        for name, thing in names.items():
            if isinstance(thing, np.ndarray):
                root = memory_owner(thing)
                offset = _address(thing) - _address(root)
                self._of.setdefault(id(root), []).append((offset, name))
            elif _is_method_of_array(thing) or _has_arrays(thing):
                self.can_move = False

    def move(self, old: Any, new: Any) -> bool:
        """Bind the names of the views of an array to the same parts of another one.

        Both have the same shape, dtype and strides. Returns False, and does nothing, where parts of
        the other array cannot be viewed.
        """
        root, other = memory_owner(old), memory_owner(new)
        if not (other.flags.c_contiguous or other.flags.f_contiguous):
            return False
        start = 0 if root is old else _address(old) - _address(root)
        stop = start + max(1, old.nbytes)
        shift = _address(new) - _address(other) - start
        made: dict[int, Any] = {id(old): new}
        moved, stays = [], []
        names = self._names
        for place in self._of.get(id(root), ()):
            offset, name = place
            array = names[name]
            if array is not old and not start <= offset < stop:
                stays.append(place)
                continue
            part = made.get(id(array))
            if part is None:
                part = np.ndarray(array.shape, array.dtype, other, offset + shift, array.strides)
                made[id(array)] = part
            names[name] = part
            moved.append((offset + shift, name))
        for one in self._lists:
            one[:] = [made.get(id(array), array) for array in one]
        self._of[id(root)] = stays
        self._of.setdefault(id(other), []).extend(moved)
        return True


def references_of(names: dict[str, Any]) -> Counter[int]:
    """Count, by their ids, how often the names of a replay, and views, refer to objects."""
    found = Counter(map(id, names.values()))
    arrays = {id(thing): thing for thing in names.values() if isinstance(thing, np.ndarray)}
    found.update([id(array.base) for array in arrays.values() if array.base is not None])
    for thing in names.values():
        if isinstance(thing, list):
            found.update(map(id, thing))
    return found


def _address(array: Any) -> int:
    return int(array.__array_interface__["data"][0])


def _is_method_of_array(thing: Any) -> bool:
    return isinstance(thing, BuiltinMethodType) and isinstance(thing.__self__, np.ndarray)


def _has_arrays(thing: Any) -> bool:
    if not isinstance(thing, tuple | dict):
        return False
    parts = thing.values() if isinstance(thing, dict) else thing
    return any(isinstance(part, np.ndarray) for part in parts)
