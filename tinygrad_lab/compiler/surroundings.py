"""The objects that a step refers to by name: models, optimisers, numbers around it.

A replay refers to the objects that the names stood for when the step was recorded. If one of
these names is bound to something else (``model = ...`` in another cell of a notebook,
``self.temperature = 0.5``), it is another step. Names are found in the code of the step, and in
that of the functions and methods of the same file that it calls.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from operator import is_
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from tinygrad_lab.backends import dtypes
from tinygrad_lab.engine.user_code import is_library

__all__ = ["Named", "contents", "has", "surroundings_of"]

_PLAIN = (bool, int, float, str)
"""Numbers and strings, which are compared by value."""
_MOST_ITEMS = 64
"""Larger lists and dicts are compared as objects: checking their items takes too long."""


@dataclass(frozen=True, slots=True)
class Named:
    """A name outside a function, and what it refers to."""

    place: Any
    """The dictionary of a module or an object, or the cell of a closure."""
    name: str
    thing: Any
    items: tuple[Any, ...] | None = None
    """Its items, if it is a list or a dict."""

    @property
    def is_cell(self) -> bool:
        """Whether it is a variable of a surrounding function."""
        return not isinstance(self.place, dict)

    @property
    def check(self) -> str:
        """Code that checks that it is unchanged, given ``place``, ``thing`` and ``items``."""
        now = "{place}.cell_contents" if self.is_cell else f"{{place}}.get({self.name!r})"
        return f"{now} is {{thing}}" + " and has({thing}, {items})" * (self.items is not None)

    @property
    def now(self) -> Any:
        """What the name refers to now."""
        return _content(self.place) if self.is_cell else self.place.get(self.name)

    @property
    def is_the_same(self) -> bool:
        """Whether the name refers to what it referred to."""
        now = self.now
        return self.is_like(Named(self.place, self.name, now, contents(now)))

    def is_like(self, other: Named) -> bool:
        """Return whether two names refer to the same, with the same items."""
        if not _same_thing(self.thing, other.thing):
            return False
        mine, theirs = self.items, other.items
        if mine is None or theirs is None:
            return mine is theirs
        return len(mine) == len(theirs) and all(map(_same_thing, mine, theirs))


def contents(thing: Any) -> tuple[Any, ...] | None:
    """Return the items of a list or a dict; None if it has too many, or is neither."""
    if type(thing) not in (list, dict) or len(thing) > _MOST_ITEMS:
        return None
    return (*thing, *thing.values()) if type(thing) is dict else tuple(thing)


def has(thing: Any, items: tuple[Any, ...]) -> bool:
    """Return whether a list or dict has these very objects as items."""
    now = contents(thing)
    return now is not None and len(now) == len(items) and all(map(is_, now, items))


def _same_thing(one: Any, other: Any) -> bool:
    """Return whether two are one object, or equal numbers, strings or tuples of such."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same_thing, one, other))
    return isinstance(one, _PLAIN) and one == other


def surroundings_of(function: Any) -> list[Named]:
    """Return the names that a function refers to, with what they refer to now."""
    found: dict[tuple[int, str], Named] = {}
    for place, name in _names(function, set()):
        try:
            thing = place[name] if isinstance(place, dict) else place.cell_contents
        except (KeyError, ValueError):
            continue  # a built-in, or a variable that has no value yet
        if not isinstance(thing, ModuleType):
            found[id(place), name] = Named(place, name, thing, contents(thing))
    # Every step refers to it, for example in tg.zeros(3).
    default = Named(vars(dtypes), "_default_dtype", dtypes.get_default_dtype())
    return [*found.values(), default]


def _names(function: Any, seen: set[int]) -> Iterator[tuple[Any, str]]:
    """Yield the places and names that a function, and those that it calls, refer to."""
    if isinstance(function, partial):
        function = function.func
    owner = function.__self__ if isinstance(function, MethodType) else None
    function = getattr(function, "__func__", function)
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    variables, attributes = _read_by(function.__code__)
    ours = is_library[function.__code__.co_filename]
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield cell, name
        if ours or _is_beside(function, _content(cell)):
            yield from _names(_content(cell), seen)
    for name in () if ours else variables:
        yield function.__globals__, name
        if _is_beside(function, function.__globals__.get(name)):
            yield from _names(function.__globals__[name], seen)
    for name in attributes if owner is not None else ():
        if name in getattr(owner, "__dict__", {}):
            yield vars(owner), name
        for kind in type(owner).__mro__:
            method = vars(kind).get(name)
            if isinstance(method, FunctionType) and not is_library[method.__code__.co_filename]:
                yield from _names(MethodType(method, owner), seen)


def _is_beside(function: FunctionType, other: Any) -> bool:
    """Return whether another function is written in the same file."""
    return isinstance(other, FunctionType) and other.__module__ == function.__module__


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _read_by(code: CodeType) -> tuple[set[str], set[str]]:
    """Return the global variables, and the attributes of any objects, that code reads."""
    variables, attributes = set(), set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            variables.add(instruction.argval)
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR"):
            attributes.add(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            inner = _read_by(constant)
            variables |= inner[0]
            attributes |= inner[1]
    return variables, attributes
