"""Following items and uses: what ``owner[key]``, a loop, an operator or foreign code leads to."""

from __future__ import annotations

from collections.abc import Iterable
from types import FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.attributes import attribute
from tinygrad_lab.compiler.record.dependencies import (
    ABSENT,
    CONTAINERS,
    PLAIN,
    Place,
    is_random,
    items_of,
)
from tinygrad_lab.compiler.record.foreign import is_library_class, is_users_class
from tinygrad_lab.compiler.record.reach import Reach
from tinygrad_lab.compiler.record.things import (
    OURS,
    UNKNOWN,
    Fresh,
    Method,
    Thing,
    Things,
    merged,
    unknown,
)
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.nn.module import Module

__all__ = ["everything", "is_iterator", "item", "items", "unfrozen", "use"]

_KEYS = (int, str)
_LEADS_NOWHERE = (*PLAIN, *OURS, FunctionType, type, ModuleType, Fresh, Tensor)
_SPECIAL_BUT_UNUSED = frozenset({"__init__", "__new__", "__del__", "__init_subclass__"})


def items(reach: Reach, things: Things) -> Things:
    """Return what iterating over any of these, or taking any item, may give."""
    return merged(*[_items(reach, one) for one in things])


def _items(reach: Reach, one: Thing) -> Things:
    owner = one.value
    if isinstance(owner, CONTAINERS):
        if not isinstance(owner, tuple | frozenset):
            reach.enter(one.path, Place("itself", owner), "items")
        found = merged(*[reach.met(f"{one.path}{where}", item) for where, item in items_of(owner)])
        return tuple([item for item in found if item.value is not owner])
    if isinstance(owner, (*OURS, Tensor)):
        return ()
    if isinstance(owner, Module):
        parts = [name for name, part in vars(owner).items() if isinstance(part, Module)]
        reach.enter(one.path, Place("parts", owner), versioned=True)
        return merged(*[attribute(reach, (one,), name) for name in parts])
    use(reach, (one,))
    return (one,)


def item(reach: Reach, things: Things, keys: Things) -> Things:
    """Return what ``things[key]`` may be."""
    known = [key.value for key in keys if isinstance(key.value, _KEYS)]
    if any(map(unknown, keys)):
        known = []
    return merged(*[_item(reach, one, known) for one in things])


def _item(reach: Reach, one: Thing, keys: list[Any]) -> Things:
    owner = one.value
    if isinstance(owner, np.ndarray):
        if keys:
            reach.numbers(one)
        use(reach, (one,))
        return (one,)
    if isinstance(owner, Tensor):
        return ()
    if isinstance(owner, OURS):
        return (one,)
    if not isinstance(owner, CONTAINERS):
        if is_users_class(type(owner)):
            return merged((one,), _special(reach, one))
        if not hasattr(type(owner), "__getitem__") or isinstance(owner, Module | str):
            return _items(reach, one)
        if not keys:
            everything(reach, one)
            return (one,)
    elif not keys or not isinstance(owner, list | tuple | dict):
        return _items(reach, one)
    found = []
    for key in keys:
        path = f"{one.path}[{key!r}]"
        missing = isinstance(owner, dict) and key not in owner
        place = Place("item", owner, key)
        if missing or not isinstance(owner, tuple):
            found.append(reach.thing(path, place))
        elif (value := place.read()) is not ABSENT:
            found.append(reach.met(path, value))
    return merged(*found)


def use(reach: Reach, things: Iterable[Thing]) -> None:
    """Follow what an operator, a loop or a foreign function may do with these."""
    for one in things:
        value = one.value
        if isinstance(value, _LEADS_NOWHERE) or unknown(one):
            continue
        if id(value) in reach.used:
            continue
        reach.used[id(value)] = one
        if isinstance(value, np.ndarray):
            reach.arrays[id(value)] = one
        if is_iterator(value):
            raise reach.frozen(f"the next item of an iterator, {one.path}")
        if isinstance(value, CONTAINERS):
            use(reach, _items(reach, one))
        elif isinstance(value, Method):
            use(reach, (value.owner,))
        elif is_users_class(type(value)):
            _special(reach, one)


def _special(reach: Reach, one: Thing) -> Things:
    """Follow all special methods of an object, such as ``__len__`` and ``__add__``."""
    found = []
    for kind in type(one.value).__mro__:
        for name in vars(kind) if is_users_class(kind) else ():
            special = name.startswith("__") and name.endswith("__")
            if special and name not in _SPECIAL_BUT_UNUSED:
                raw = vars(kind)[name]
                if isinstance(raw, FunctionType):
                    found.append(reach.call((Thing(f"{one.path}.{name}", raw),), [(one,)]))
    return merged(*found)


def everything(reach: Reach, one: Thing, depth: int = 4) -> None:
    """Enter all that an object holds: foreign code may read any of it."""
    value = one.value
    use(reach, (one,))
    if id(value) in reach.whole and reach.whole[id(value)][1] >= depth:
        return
    reach.whole[id(value)] = one, depth
    nowhere = isinstance(value, (Module, *_LEADS_NOWHERE)) or unknown(one)
    if depth == 0 or nowhere or is_random(value):
        return
    if isinstance(value, CONTAINERS):
        inner = _items(reach, one)
    elif (
        is_library_class(type(value))
        or not hasattr(value, "__dict__")
        or isinstance(value, ModuleType)
    ):
        return
    else:
        reach.enter(one.path, Place("itself", vars(value)), "items")
        inner = merged(*[attribute(reach, (one,), name) for name in list(vars(value))])
    for part in inner:
        if part.value is not value:
            everything(reach, part, depth - 1)


def unfrozen(things: Things) -> Things:
    """Return what an operator or a foreign call may give: objects, or something computed."""
    kept = [one for one in things if not isinstance(one.value, (*PLAIN, np.ndarray, Tensor))]
    return merged(tuple(kept), UNKNOWN)


def is_iterator(value: Any) -> bool:
    """Return whether a step that goes through it goes on where the last call ended."""
    kind = type(value)
    return (
        hasattr(kind, "__next__")
        and not is_users_class(kind)
        and not hasattr(kind, "readline")  # an open file, to which a step may write
    )
