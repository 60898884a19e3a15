"""What Python a step can read: its code is followed, object by object, before it is recorded.

The code of a step names what it reads: variables, attributes, items. Beginning with the function,
``follow.py`` goes through its instructions with the very objects that they would meet, and asks
here what each leads to: ``cfg.loss.alpha`` leads from the variable ``cfg`` to an object, to
another, to a number, and each is entered as a dependency. All branches are followed, also into the
user's functions, methods, properties and modules that are called. What comes out of a call that
cannot be followed (NumPy's, Python's) is taken to be any of what went into it. So more may be
entered than a call reads, but not less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cached_property
from types import CodeType, FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.dependencies import (
    ABSENT,
    CONTAINERS,
    PLAIN,
    Dependency,
    Place,
    Policy,
    is_random,
    items_of,
)
from tinygrad_lab.compiler.record.foreign import is_library_class, is_users, is_users_class
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import line_of
from tinygrad_lab.errors import CompileError
from tinygrad_lab.nn.module import Module, Parameter

__all__ = [
    "UNKNOWN",
    "Bound",
    "Followed",
    "Fresh",
    "Gradient",
    "Inner",
    "Method",
    "Reach",
    "StandIn",
    "Thing",
    "Things",
    "merged",
]


class Followed:
    """Something callable that stands for a function, which is followed in its place."""

    function: Any


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """An object that a step can meet, and how its code gets there."""

    path: str
    value: Any


Things = tuple[Thing, ...]
"""What may be in one place: one of these, or something that no state is reached by."""


@dataclass(slots=True, eq=False)
class Fresh:
    """An object that the step itself makes, of a class of the user's."""

    kind: type
    fields: dict[str, Things] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Inner:
    """A function that the step itself makes."""

    code: CodeType
    scope: Any
    defaults: Things


@dataclass(frozen=True, slots=True, eq=False)
class Gradient:
    """The ``.grad`` of a tensor, which may be None."""

    owner: Thing


@dataclass(frozen=True, slots=True, eq=False)
class StandIn:
    """An argument that is recorded: what the step is given in its place is of another type."""

    kind: type
    place: int
    """Where it is among the leaves of the arguments."""


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of an object that is not written in Python: ``items.append``."""

    owner: Thing
    name: str


UNKNOWN: Things = (Thing("", object()),)
"""Something computed: a number or a name that only a call tells."""


def merged(*several: Things) -> Things:
    """Join what may be in several places; each object once."""
    if len(several) == 2:
        if not several[0] or several[0] is several[1]:
            return several[1]
        if not several[1]:
            return several[0]
    found: dict[int, Thing] = {}
    for things in several:
        for one in things:
            found.setdefault(id(one.value), one)
    return tuple(found.values())


_KEYS = (int, str)
_LEADS_NOWHERE = (*PLAIN, FunctionType, type, ModuleType, Fresh, Tensor)
MOST = 20_000
"""More dependencies than a step can check at each call in reasonable time."""
LARGE = 1 << 20
"""Bytes from which an array that NumPy alone reads is not compared at each call."""
_FORMS = frozenset({"shape", "ndim", "dtype", "size", "T", "itemsize", "nbytes", "strides", "flat"})
"""Attributes of an array that do not depend on its numbers, or are views."""
_SPECIAL_BUT_UNUSED = frozenset({"__init__", "__new__", "__del__", "__init_subclass__"})


class Reach:
    """Collects the dependencies of a step."""

    call: Callable[..., Things]
    """Follows a call; there only while the step is followed."""

    def __init__(self) -> None:
        self.found: dict[tuple[Any, ...], Dependency] = {}
        self.arrays: dict[int, Thing] = {}
        """The arrays that an operator or a call can meet; what NumPy alone computes is frozen."""
        self.here: tuple[CodeType | None, int] = (None, 0)
        """The instruction that is being followed."""
        self._made: dict[tuple[Any, ...], Any] = {}
        self._used: dict[int, Thing] = {}
        self._whole: dict[int, tuple[Thing, int]] = {}

    # --- entering ---------------------------------------------------------------------------------

    def enter(self, path: str, place: Place, policy: Policy = "same", **facts: Any) -> Any:
        """Enter a dependency on what is at a place; return what is there."""
        key = (place.kind, id(place.owner), place.key, policy)
        known = self.found.get(key)
        if known is None:
            found = Dependency(path, place, None, policy, self.here, **facts)
            found.found = found.now()
            if found.found is ABSENT and place.kind == "own attribute":
                # That a module gets an attribute of its own, such as another forward, counts.
                found.versioned = isinstance(place.owner, Module)
            self.found[key] = known = found
            if len(self.found) > MOST:
                raise CompileError(
                    f"tg.compile: the step can read more than {MOST} objects and items, such as "
                    f"{path}, and every call would have to compare them. Pass what it needs as "
                    f"arguments.\n  at {line_of(*self.here)}"
                )
        return known.found

    def thing(self, path: str, place: Place, **facts: Any) -> Things:
        """Enter a dependency on what is at a place; return it, to be followed further."""
        value = self.enter(path, place, **facts)
        return () if value is ABSENT else self.met(path, value)

    def met(self, path: str, value: Any) -> Things:
        """Return an object that the step meets, if it can lead to others."""
        if is_random(value):
            self.enter(path, Place("state", value), "untouched")
        elif isinstance(value, PLAIN) and not isinstance(value, _KEYS):
            return ()
        return (Thing(path, value),)

    def one_of(self, kind: Any, *parts: Any) -> Any:
        """Return a method of an object: the same one each time, so that it is followed once."""
        key = (kind, *[id(part.value) if isinstance(part, Thing) else _key(part) for part in parts])
        made = self._made.get(key)
        if made is None:
            # The parts are kept, so that no other objects get their ids.
            made = self._made[key] = kind(*parts), parts
        return made[0]

    def numbers(self, thing: Thing) -> None:
        """Enter a dependency on the numbers in an array, which the step reads by NumPy alone."""
        if thing.value.nbytes > LARGE:
            raise CompileError(
                f"tg.compile: the step reads {thing.path}, an array of {thing.value.nbytes:,} "
                "bytes, by NumPy alone, which a replay would freeze. Pass it as an argument, or "
                f"make it a tensor.\n  at {line_of(*self.here)}"
            )
        self.enter(thing.path, Place("itself", thing.value), "numbers")

    # --- attributes -------------------------------------------------------------------------------

    def attribute(self, things: Things, name: str) -> Things:
        """Return what an attribute of any of these may be."""
        known = [one for one in things if one is not UNKNOWN[0]]
        return merged(*[self._attribute(one, name) for one in known])

    def _attribute(self, one: Thing, name: str) -> Things:
        owner, path = one.value, f"{one.path}.{name}"
        if isinstance(owner, Fresh):
            return merged(owner.fields.get(name, ()), self._of_class(one, owner.kind, name, one))
        if isinstance(owner, ModuleType):
            return self._of_module(owner, path, name)
        if isinstance(owner, np.ndarray):
            if name not in _FORMS:
                self.numbers(one)
            return (one,) if name in ("T", "flat") else ()
        if isinstance(owner, super):
            return self._of_super(one, name)
        if isinstance(owner, type):
            missing = _in_class(owner, name)[1] is ABSENT and type(owner) is not type
            if missing and is_users_class(type(owner)):
                return self._of_instance(one, name)  # of the metaclass
            return self._of_class(one, owner, name, None)
        if isinstance(owner, CONTAINERS) and not hasattr(owner, "__dict__"):
            named = hasattr(owner, "_fields") and name in owner._fields
            value = getattr(owner, name, ABSENT) if named else self.one_of(Method, one, name)
            return self.met(path, value)
        if isinstance(owner, ContextVar) and name == "get":
            return self.thing(path, Place("context", owner))
        if isinstance(owner, Tensor):
            return self._of_tensor(one, name)
        if isinstance(owner, FunctionType):
            named = name in vars(owner)
            return self.thing(path, Place("attribute", owner, name)) if named else ()
        if isinstance(owner, _OURS):
            return ()
        return self._of_instance(one, name)

    def _of_tensor(self, one: Thing, name: str) -> Things:
        """Return what an attribute of a tensor is; the recorder sees what is done with its data."""
        if name in ("requires_grad", "name", "is_leaf"):
            self.enter(f"{one.path}.{name}", Place("attribute", one.value, name))
        elif name == "grad":
            return (Thing(f"{one.path}.grad", self.one_of(Gradient, one)),)
        return ()

    def is_none(self, things: Things) -> None:
        """Follow a comparison with None, which tells whether a tensor has a ``.grad``."""
        for one in things:
            if isinstance(one.value, Gradient):
                owner = one.value.owner.value
                self.enter(f"whether {one.path} is None", Place("no grad", owner))

    def _of_module(self, module: ModuleType, path: str, name: str) -> Things:
        if is_users(getattr(module, "__file__", None) or module.__name__):
            return self.thing(path, Place("variable", vars(module), name))
        value = getattr(module, name, ABSENT)
        return () if isinstance(value, PLAIN) else (Thing(path, value),)

    def _of_instance(self, one: Thing, name: str) -> Things:
        owner, path = one.value, f"{one.path}.{name}"
        holder, raw = _in_class(type(owner), name)
        if isinstance(raw, property):
            return self.call(self._function(raw.fget, path), [(one,)])
        if name in getattr(owner, "__dict__", ()):
            versioned = isinstance(owner, Module) and _is_versioned(vars(owner)[name], name)
            return self.thing(path, Place("attribute", owner, name), versioned=versioned)
        if isinstance(raw, cached_property):
            self.enter(path, Place("own attribute", owner, name))
            return self.call((Thing(path, raw.func),), [(one,)])
        if raw is ABSENT:
            _, default = _in_class(type(owner), "__getattr__")
            if isinstance(default, FunctionType):
                self.enter(path, Place("own attribute", owner, name))
                return self.call((Thing(path, default),), [(one,), (Thing(repr(name), name),)])
            return self.thing(path, Place("attribute", owner, name))
        if is_users_class(holder):
            return self._of_class(one, type(owner), name, one)
        if hasattr(type(raw), "__get__") and not isinstance(
            raw, FunctionType | classmethod | staticmethod
        ):
            slot = hasattr(type(raw), "__set__")
            return (
                self.thing(path, Place("attribute", owner, name))
                if slot
                else (Thing(path, self.one_of(Method, one, name)),)
            )
        if not isinstance(raw, _FUNCTIONS):
            return self.thing(path, Place("attribute", owner, name))
        return (Thing(path, self._bound(raw, owner, type(owner))),)

    def _of_class(self, one: Thing, kind: type, name: str, instance: Thing | None) -> Things:
        """Return what an attribute of a class is, seen from an instance of it, if there is one."""
        path = f"{one.path}.{name}"
        holder, raw = _in_class(kind, name)
        if raw is ABSENT:
            return ()
        if not is_users_class(holder):
            value = (
                getattr(kind, name, ABSENT)
                if instance is None
                else self.one_of(Method, instance, name)
            )
            return (Thing(path, value),)
        real = instance is not None and not isinstance(instance.value, Fresh)
        if real and isinstance(raw, MemberDescriptorType):
            return self.thing(path, Place("attribute", instance.value, name))  # type: ignore[union-attr]
        if isinstance(raw, _FUNCTIONS) or hasattr(type(raw), "__get__"):
            self.enter(path, Place("own attribute", holder, name))
            if real and hasattr(instance.value, "__dict__"):  # type: ignore[union-attr]
                owner = instance.value  # type: ignore[union-attr]
                self.enter(path, Place("own attribute", owner, name))
        elif real:
            return self.thing(path, Place("attribute", instance.value, name))  # type: ignore[union-attr]
        else:
            return self.thing(path, Place("attribute", kind, name))
        return self._described(path, raw, kind, instance)

    def _described(self, path: str, raw: Any, kind: type, instance: Thing | None) -> Things:
        """Return what a descriptor in a class of the user's gives."""
        if isinstance(raw, Followed):
            raw = raw.function
        if isinstance(raw, property):
            if instance is None:
                return ()
            return self.call(self._function(raw.fget, path), [(instance,)])
        if isinstance(raw, classmethod):
            return (Thing(path, self.one_of(MethodType, raw.__func__, kind)),)
        if isinstance(raw, staticmethod):
            return (Thing(path, raw.__func__),)
        if isinstance(raw, FunctionType):
            return (Thing(path, raw if instance is None else self.one_of(Bound, raw, instance)),)
        _, getter = _in_class(type(raw), "__get__")
        given = (instance,) if instance is not None else ()
        out = self.call(self._function(getter, path), [(Thing(path, raw),), given])
        return merged(out, (Thing(path, raw),))

    def _of_super(self, one: Thing, name: str) -> Things:
        outer = one.value
        kinds = iter(outer.__self_class__.__mro__)
        next(kind for kind in kinds if kind is outer.__thisclass__)
        for kind in kinds:
            if name in vars(kind):
                raw, path = vars(kind)[name], f"super().{name}"
                if not is_users_class(kind):
                    return (Thing(path, self._bound(raw, outer.__self__, outer.__self_class__)),)
                self.enter(path, Place("own attribute", kind, name))
                if not isinstance(raw, _FUNCTIONS) and not hasattr(type(raw), "__get__"):
                    return self.met(path, raw)
                instance = None if outer.__self__ is outer.__self_class__ else outer.__self__
                instance = None if instance is None else Thing("self", instance)
                return self._described(path, raw, outer.__self_class__, instance)
        return ()

    def _bound(self, raw: Any, owner: Any, kind: type) -> Any:
        """Return what an attribute that a foreign class has is, seen from an object."""
        if isinstance(raw, classmethod):
            return self.one_of(MethodType, raw.__func__, kind)
        if isinstance(raw, staticmethod):
            return raw.__func__
        return self.one_of(MethodType, raw, owner) if isinstance(raw, FunctionType) else raw

    def _function(self, function: Any, path: str) -> Things:
        return (Thing(path, function),) if isinstance(function, FunctionType) else ()

    # --- items ------------------------------------------------------------------------------------

    def items(self, things: Things) -> Things:
        """Return what iterating over any of these, or taking any item, may give."""
        return merged(*[self._items(one) for one in things])

    def _items(self, one: Thing) -> Things:
        owner = one.value
        if isinstance(owner, CONTAINERS):
            if not isinstance(owner, tuple | frozenset):
                self.enter(one.path, Place("itself", owner), "items")
            found = merged(
                *[self.met(f"{one.path}{where}", item) for where, item in items_of(owner)]
            )
            return tuple([item for item in found if item.value is not owner])
        if isinstance(owner, (*_OURS, Tensor)):
            return ()
        if isinstance(owner, Module):
            parts = [name for name, part in vars(owner).items() if isinstance(part, Module)]
            self.enter(one.path, Place("parts", owner), versioned=True)
            return merged(*[self._attribute(one, name) for name in parts])
        self.use((one,))
        return (one,)

    def item(self, things: Things, keys: Things) -> Things:
        """Return what ``things[key]`` may be."""
        known = [key.value for key in keys if isinstance(key.value, _KEYS)]
        if any(key is UNKNOWN[0] for key in keys):
            known = []
        return merged(*[self._item(one, known) for one in things])

    def _item(self, one: Thing, keys: list[Any]) -> Things:
        owner = one.value
        if isinstance(owner, np.ndarray):
            if keys:
                self.numbers(one)
            self.use((one,))
            return (one,)
        if isinstance(owner, Tensor):
            return ()
        if isinstance(owner, _OURS):
            return (one,)
        if not isinstance(owner, CONTAINERS):
            if is_users_class(type(owner)):
                return merged((one,), self._special(one))
            if not hasattr(type(owner), "__getitem__") or isinstance(owner, Module | str):
                return self._items(one)
            if not keys:
                self.everything(one)
                return (one,)
        elif not keys or not isinstance(owner, list | tuple | dict):
            return self._items(one)
        found = []
        for key in keys:
            path = f"{one.path}[{key!r}]"
            missing = isinstance(owner, dict) and key not in owner
            place = Place("item", owner, key)
            if missing or not isinstance(owner, tuple):
                found.append(self.thing(path, place))
            elif (value := place.read()) is not ABSENT:
                found.append(self.met(path, value))
        return merged(*found)

    # --- everything else --------------------------------------------------------------------------

    def use(self, things: Iterable[Thing]) -> None:
        """Follow what an operator, a loop or a foreign function may do with these."""
        for one in things:
            value = one.value
            if isinstance(value, (*_LEADS_NOWHERE, *_OURS)) or one is UNKNOWN[0]:
                continue
            if id(value) in self._used:
                continue
            self._used[id(value)] = one
            if isinstance(value, np.ndarray):
                self.arrays[id(value)] = one
            if is_iterator(value):
                raise self.frozen(f"the next item of an iterator, {one.path}")
            if isinstance(value, CONTAINERS):
                self.use(self._items(one))
            elif isinstance(value, Method):
                self.use((value.owner,))
            elif is_users_class(type(value)):
                self._special(one)

    def _special(self, one: Thing) -> Things:
        """Follow all special methods of an object, such as ``__len__`` and ``__add__``."""
        found = []
        for kind in type(one.value).__mro__:
            for name in vars(kind) if is_users_class(kind) else ():
                special = name.startswith("__") and name.endswith("__")
                if special and name not in _SPECIAL_BUT_UNUSED:
                    raw = vars(kind)[name]
                    if isinstance(raw, FunctionType):
                        found.append(self.call((Thing(f"{one.path}.{name}", raw),), [(one,)]))
        return merged(*found)

    def everything(self, one: Thing, depth: int = 4) -> None:
        """Enter all that an object holds: foreign code may read any of it."""
        value = one.value
        self.use((one,))
        if id(value) in self._whole and self._whole[id(value)][1] >= depth:
            return
        self._whole[id(value)] = one, depth
        nowhere = isinstance(value, (Module, *_LEADS_NOWHERE, *_OURS)) or one is UNKNOWN[0]
        if depth == 0 or nowhere or is_random(value):
            return
        if isinstance(value, CONTAINERS):
            inner = self._items(one)
        elif (
            is_library_class(type(value))
            or not hasattr(value, "__dict__")
            or isinstance(value, ModuleType)
        ):
            return
        else:
            self.enter(one.path, Place("itself", vars(value)), "items")
            inner = merged(*[self._attribute(one, name) for name in list(vars(value))])
        for part in inner:
            if part.value is not value:
                self.everything(part, depth - 1)

    def unfrozen(self, things: Things) -> Things:
        """Return what an operator or a foreign call may give: objects, or something computed."""
        kept = [one for one in things if not isinstance(one.value, (*PLAIN, np.ndarray, Tensor))]
        return merged(tuple(kept), UNKNOWN)

    def frozen(self, what: str) -> CompileError:
        return CompileError(
            f"tg.compile: the step asks for {what}, which may differ from call to call, but later "
            "calls replay the recording. Ask for it outside of the step and pass it as an "
            f"argument; or leave the step uncompiled.\n  at {line_of(*self.here)}"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Bound:
    """A function of a class of the user's, with the object that it is called on."""

    function: Any
    owner: Thing


_OURS = (Inner, Gradient, StandIn, Bound)
_FUNCTIONS = (FunctionType, classmethod, staticmethod, property, Followed)


_VERSIONED = (Module, Parameter, bool, int, float, str, type(None), tuple)


def _is_versioned(value: Any, name: str) -> bool:
    """Return whether the common version of all modules tells when an attribute of one is set."""
    return isinstance(value, _VERSIONED) and name not in ("training", "_called")


def is_iterator(value: Any) -> bool:
    """Return whether a step that goes through it goes on where the last call ended."""
    kind = type(value)
    return (
        hasattr(kind, "__next__")
        and not is_users_class(kind)
        and not hasattr(kind, "readline")  # an open file, to which a step may write
    )


def _in_class(kind: type, name: str) -> tuple[type, Any]:
    """Return the class that has an attribute, of a class and its bases, and what it has."""
    for base in kind.__mro__:
        if name in vars(base):
            return base, vars(base)[name]
    return object, ABSENT


def _key(part: Any) -> Any:
    return part if isinstance(part, str) else id(part)
