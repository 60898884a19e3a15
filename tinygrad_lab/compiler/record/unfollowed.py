"""Calls that cannot be followed: what they may read of what they are given, and call back."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lab.compiler.record.attributes import attribute
from tinygrad_lab.compiler.record.dependencies import CONTAINERS, is_random
from tinygrad_lab.compiler.record.foreign import is_library_class, is_users_class
from tinygrad_lab.compiler.record.items import everything, item, items, unfrozen, use
from tinygrad_lab.compiler.record.reach import Reach
from tinygrad_lab.compiler.record.scopes import Arguments
from tinygrad_lab.compiler.record.things import (
    Bound,
    Followed,
    Fresh,
    Inner,
    Method,
    StandIn,
    Thing,
    Things,
    merged,
)
from tinygrad_lab.compiler.refusal import AskedError
from tinygrad_lab.engine.user_code import is_library, line_of
from tinygrad_lab.nn.module import Module

__all__ = ["Unfollowed"]

_HARMLESS = frozenset(
    {isinstance, issubclass, len, type, id, hasattr, callable, print, range, zip, enumerate}
    | {reversed, list, tuple, dict, set, frozenset, sorted, map, filter, min, max, sum, any, all}
    | {abs, round, float, int, bool, iter, next, slice, property, super}
)
"""Built-in functions that read no attributes of what they are given."""
_BY_NAME = (getattr, hasattr, setattr, delattr)
_CLOCKS = frozenset({"time", "datetime", "secrets", "uuid"})


class Unfollowed:
    """Follows what comes back to the user's code from calls of other code."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self.prints: list[Any] = []
        """The lines that print."""
        self.randoms: list[Any] = []
        """The lines that draw from common generators."""
        self._seen: set[int] = set()
        """The ids of modules and methods that are followed already."""

    def function(
        self, function: FunctionType, outer: Mapping[str, CellType], given: Things
    ) -> Things:
        """Follow a foreign function, or one of this package: whatever of the user's it has."""
        # What this package's and foreign functions have in cells stays there.
        inside = [self._reach.met(name, _content(cell)) for name, cell in outer.items()]
        things = merged(*inside, *[items(self._reach, one) for one in inside if _holds(one)])
        if function is os.getenv:
            everything(self._reach, Thing("os.environ", os.environ))
        if function.__module__ == "logging":
            self.prints.append(line_of(*self._reach.here))
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            things = merged(things, (Thing(function.__name__, wrapped),))
        found = [given]
        for one in things:
            if _is_callable(one.value):
                found.append(self._reach.call((one,), None, {}, given))
            else:
                use(self._reach, (one,))
        ours = is_library[function.__code__.co_filename]
        return self._given_away(given, merged(*found), ours or function in _HARMLESS)

    def make(self, kind: type, given: Arguments) -> Things:
        """Follow the making of an object of a class that is not the user's."""
        if kind is type and given.positional:
            self._type_of(given.positional[0])
        if kind.__module__ in _CLOCKS:
            raise self._reach.unsupported(f"it reads a clock or the like ({kind.__name__})")
        harmless = kind in _HARMLESS or is_library_class(kind)
        return self._given_away(given.all, given.all, harmless)

    def method(self, method: Method, given: Arguments) -> Things:
        """Follow a call of a method that is not written in Python."""
        owner, name, args, all_given = method.owner, method.name, given.positional, given.all
        if isinstance(owner.value, CONTAINERS):
            if isinstance(owner.value, dict) and name == "get" and args:
                return merged(item(self._reach, (owner,), args[0]), *args[1:])
            result = self._given_away(all_given, all_given, shallow=True)
            return merged(items(self._reach, (owner,)), result)
        if isinstance(owner.value, Fresh) or is_library_class(type(owner.value)):
            return self._given_away(all_given, merged(all_given, (owner,)), shallow=True)
        if isinstance(owner.value, io.IOBase) and name.startswith("write"):
            self.prints.append(line_of(*self._reach.here))
        everything(self._reach, owner)
        return self._given_away(all_given, merged(all_given, (owner,)), shallow=False)

    def module(self, one: Thing, given: Arguments) -> Things:
        """Follow the call of a module, and whatever of the user's is inside of it."""
        module: Module = one.value
        for hook in module._hooks:
            function = (Thing("a hook of a module", hook.function),)
            self._reach.call(function, None, {}, merged((one,), given.rest))
        if is_users_class(type(module)):
            forward = attribute(self._reach, (one,), "forward")
            return self._reach.call(forward, given.args, given.kwargs, given.rest)
        if id(module) in self._seen:
            return given.all
        self._seen.add(id(module))
        for name, part in list(vars(module).items()):
            if isinstance(part, Module) or (_is_callable(part) and not isinstance(part, type)):
                inner = attribute(self._reach, (one,), name)
                self._reach.call(inner, None, {}, given.all)
        return given.all

    def foreign(self, one: Thing, given: Arguments) -> Things:
        """Follow a call of what is not written in Python."""
        value, args = one.value, given.positional
        if value is isinstance and args:
            self._type_of(args[0])
        if isinstance(value, ref):
            return self._reach.met(f"{one.path}()", value())
        if value is print:
            self.prints.append(line_of(*self._reach.here))
        if any(value is by_name for by_name in _BY_NAME) and len(args) > 1:
            names = [key.value for key in args[1] if isinstance(key.value, str)]
            if names:
                return merged(*[attribute(self._reach, args[0], n) for n in names], *args[2:])
        if value is vars and args:
            for thing in args[0]:
                everything(self._reach, thing, 1)
            return merged(*[_dict_of(thing) for thing in args[0]])
        self._refuse_clocks(one, args)
        return self._built_in(one, args, given.all)

    def _refuse_clocks(self, one: Thing, args: list[Things]) -> None:
        """Raise if a built-in function reads a clock or the like; note if it draws at random."""
        value = one.value
        owner, module = getattr(value, "__self__", None), getattr(value, "__module__", None)
        home = owner.__name__ if isinstance(owner, ModuleType) else module
        if is_random(owner):
            self.randoms.append(line_of(*self._reach.here))
        if home in _CLOCKS:
            raise self._reach.unsupported(f"it reads a clock or the like ({one.path})")
        if getattr(value, "__name__", "") == "default_rng" and not args:
            raise self._reach.frozen("a random generator without a seed")

    def _built_in(self, one: Thing, args: list[Things], given: Things) -> Things:
        """Follow a call of a built-in function: what it wraps, what it belongs to, what it gets."""
        value = one.value
        owner, module = getattr(value, "__self__", None), getattr(value, "__module__", None) or ""
        wrapped = getattr(value, "__wrapped__", None)
        found: Things = ()
        if wrapped is not None:
            found = self._reach.call((Thing(one.path, wrapped),), args)
        inside = () if isinstance(owner, ModuleType | None) else self._reach.met(one.path, owner)
        if isinstance(value, np.ufunc) or module.startswith("numpy"):
            self._reach.numbers_alone(args)
        harmless = isinstance(value, BuiltinFunctionType | type) and value in _HARMLESS
        library = module.startswith(__name__.partition(".")[0])
        for thing in inside:
            everything(self._reach, thing)
        return merged(found, self._given_away(given, given, harmless or library), inside)

    def _given_away(self, given: Things, result: Things, shallow: bool) -> Things:
        """Follow what a call that cannot be followed does with what it is given."""
        others = tuple([one for one in given if not _is_callable(one.value)])
        containers = tuple([one for one in others if isinstance(one.value, CONTAINERS)])
        inner = items(self._reach, containers)
        found = [unfrozen(merged(result, inner))]
        for one in (*given, *inner):
            if isinstance(one.value, Module):
                found.append(self.module(one, Arguments(None, rest=others)))
            elif _is_callable(one.value) and not isinstance(one.value, type):
                found.append(self._reach.call((one,), None, {}, merged(others, inner)))
            elif shallow or is_library_class(type(one.value)):
                use(self._reach, (one,))
                self._called_back(one)
            else:
                everything(self._reach, one)
        return merged(*found)

    def _called_back(self, one: Thing) -> None:
        """Follow all methods of an object that the package may call: a user's optimiser."""
        kind = type(one.value)
        if not is_users_class(kind) or not any(map(is_library_class, kind.__mro__)):
            return
        for base in kind.__mro__:
            for name, raw in list(vars(base).items()) if is_users_class(base) else ():
                if isinstance(raw, FunctionType) and id(raw) not in self._seen:
                    self._seen.add(id(raw))
                    self._reach.call(attribute(self._reach, (one,), name), None)

    def _type_of(self, things: Things) -> None:
        """Raise if the type of something is asked for which another stands while recording."""
        for one in things:
            if isinstance(one.value, StandIn):
                asked = self._reach.unsupported(
                    f"it asks for the type of its argument {one.path}, for which something else "
                    "stands while it is recorded"
                )
                if one.value.kind is np.ndarray:
                    raise asked
                raise AskedError(str(asked), frozenset({one.value.place}))


def _holds(things: Things) -> bool:
    return any(isinstance(one.value, CONTAINERS) for one in things)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _dict_of(one: Thing) -> Things:
    inner = getattr(one.value, "__dict__", None)
    return (Thing(f"vars({one.path})", inner),) if isinstance(inner, dict) else ()


def _is_callable(value: Any) -> bool:
    """Return whether it is code that could be called back."""
    kinds = (FunctionType, MethodType, Bound, Inner, partial, Followed)
    return isinstance(value, kinds) or (is_users_class(type(value)) and callable(value))
