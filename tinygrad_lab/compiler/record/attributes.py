"""Following attributes: what ``owner.name`` leads to, of an object, a class, a module, a tensor."""

from __future__ import annotations

from contextvars import ContextVar
from functools import cached_property
from types import FunctionType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.dependencies import ABSENT, CONTAINERS, PLAIN, Place
from tinygrad_lab.compiler.record.foreign import is_users, is_users_class
from tinygrad_lab.compiler.record.reach import Reach
from tinygrad_lab.compiler.record.things import (
    OURS,
    Bound,
    Followed,
    Fresh,
    Gradient,
    Method,
    Thing,
    Things,
    merged,
    unknown,
)
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.nn.module import Module, Parameter

__all__ = ["attribute", "python_function", "supers"]

_FORMS = frozenset({"shape", "ndim", "dtype", "size", "T", "itemsize", "nbytes", "strides", "flat"})
"""Attributes of an array that do not depend on its numbers, or are views."""
_METHODS = (FunctionType, classmethod, staticmethod)
_FUNCTIONS = (*_METHODS, property, Followed)
_VERSIONED = (Module, Parameter, bool, int, float, str, type(None), tuple)


def attribute(reach: Reach, things: Things, name: str) -> Things:
    """Return what an attribute of any of these may be."""
    return merged(*[_of_any(reach, one, name) for one in things if not unknown(one)])


def _of_any(reach: Reach, one: Thing, name: str) -> Things:
    """Return what an attribute is, by the kind of what has it."""
    owner, path = one.value, f"{one.path}.{name}"
    if isinstance(owner, Fresh):
        return merged(owner.fields.get(name, ()), _of_class(reach, one, owner.kind, name, one))
    if isinstance(owner, ModuleType):
        return _of_module(reach, owner, path, name)
    if isinstance(owner, np.ndarray):
        if name not in _FORMS:
            reach.numbers(one)
        return (one,) if name in ("T", "flat") else ()
    if isinstance(owner, super):
        return _of_super(reach, one, name)
    if isinstance(owner, type):
        missing = _in_class(owner, name)[1] is ABSENT and type(owner) is not type
        if missing and is_users_class(type(owner)):
            return _of_instance(reach, one, name)  # of the metaclass
        return _of_class(reach, one, owner, name, None)
    if isinstance(owner, CONTAINERS) and not hasattr(owner, "__dict__"):
        named = hasattr(owner, "_fields") and name in owner._fields
        value = getattr(owner, name, ABSENT) if named else reach.one_of(Method, one, name)
        return reach.met(path, value)
    if isinstance(owner, ContextVar) and name == "get":
        return reach.thing(path, Place("context", owner))
    if isinstance(owner, Tensor):
        return _of_tensor(reach, one, name)
    if isinstance(owner, FunctionType):
        named = name in vars(owner)
        return reach.thing(path, Place("attribute", owner, name)) if named else ()
    if isinstance(owner, OURS):
        return ()
    return _of_instance(reach, one, name)


def _of_tensor(reach: Reach, one: Thing, name: str) -> Things:
    """Return what an attribute of a tensor is; the recorder sees what is done with its data."""
    if name in ("requires_grad", "name", "is_leaf"):
        reach.enter(f"{one.path}.{name}", Place("attribute", one.value, name))
    elif name == "grad":
        return (Thing(f"{one.path}.grad", reach.one_of(Gradient, one)),)
    return ()


def _of_module(reach: Reach, module: ModuleType, path: str, name: str) -> Things:
    """Return what a variable of a module is; only those of the user's may change."""
    if is_users(getattr(module, "__file__", None) or module.__name__):
        return reach.thing(path, Place("variable", vars(module), name))
    value = getattr(module, name, ABSENT)
    return () if isinstance(value, PLAIN) else (Thing(path, value),)


def _of_instance(reach: Reach, one: Thing, name: str) -> Things:
    """Return what an attribute of an object is: its own, or that of its class."""
    owner, path = one.value, f"{one.path}.{name}"
    holder, raw = _in_class(type(owner), name)
    if isinstance(raw, property):
        return reach.call(python_function(raw.fget, path), [(one,)])
    if name in getattr(owner, "__dict__", ()):
        versioned = isinstance(owner, Module) and _is_versioned(vars(owner)[name], name)
        return reach.thing(path, Place("attribute", owner, name), versioned=versioned)
    if isinstance(raw, cached_property):
        reach.enter(path, Place("own attribute", owner, name))
        return reach.call((Thing(path, raw.func),), [(one,)])
    if raw is ABSENT:
        _, default = _in_class(type(owner), "__getattr__")
        if isinstance(default, FunctionType):
            reach.enter(path, Place("own attribute", owner, name))
            return reach.call((Thing(path, default),), [(one,), (Thing(repr(name), name),)])
        return reach.thing(path, Place("attribute", owner, name))
    if is_users_class(holder):
        return _of_class(reach, one, type(owner), name, one)
    describes = hasattr(type(raw), "__get__") and not isinstance(raw, _METHODS)
    if describes and not hasattr(type(raw), "__set__"):
        return (Thing(path, reach.one_of(Method, one, name)),)
    if describes or not isinstance(raw, _FUNCTIONS):
        return reach.thing(path, Place("attribute", owner, name))
    return (Thing(path, _bound(reach, raw, owner, type(owner))),)


def _of_class(reach: Reach, one: Thing, kind: type, name: str, instance: Thing | None) -> Things:
    """Return what an attribute of a class is, seen from an instance of it, if there is one."""
    path = f"{one.path}.{name}"
    holder, raw = _in_class(kind, name)
    if raw is ABSENT:
        return ()
    if not is_users_class(holder):
        value = (
            getattr(kind, name, ABSENT)
            if instance is None
            else reach.one_of(Method, instance, name)
        )
        return (Thing(path, value),)
    # What the step itself makes has no attributes yet, other than its class.
    there = instance is not None and not isinstance(instance.value, Fresh)
    owner = instance.value if instance is not None and there else kind
    described = isinstance(raw, _FUNCTIONS) or hasattr(type(raw), "__get__")
    if not described or (there and isinstance(raw, MemberDescriptorType)):
        return reach.thing(path, Place("attribute", owner, name))
    reach.enter(path, Place("own attribute", holder, name))
    if there and hasattr(owner, "__dict__"):
        reach.enter(path, Place("own attribute", owner, name))
    return _described(reach, path, raw, kind, instance)


def _described(reach: Reach, path: str, raw: Any, kind: type, instance: Thing | None) -> Things:
    """Return what a descriptor in a class of the user's gives."""
    if isinstance(raw, Followed):
        raw = raw.function
    if isinstance(raw, property):
        if instance is None:
            return ()
        return reach.call(python_function(raw.fget, path), [(instance,)])
    if isinstance(raw, classmethod):
        return (Thing(path, reach.one_of(MethodType, raw.__func__, kind)),)
    if isinstance(raw, staticmethod):
        return (Thing(path, raw.__func__),)
    if isinstance(raw, FunctionType):
        return (Thing(path, raw if instance is None else reach.one_of(Bound, raw, instance)),)
    _, getter = _in_class(type(raw), "__get__")
    given = (instance,) if instance is not None else ()
    out = reach.call(python_function(getter, path), [(Thing(path, raw),), given])
    return merged(out, (Thing(path, raw),))


def _of_super(reach: Reach, one: Thing, name: str) -> Things:
    """Return what ``super().name`` is: the attribute of the next class that has one."""
    outer = one.value
    kinds = iter(outer.__self_class__.__mro__)
    next(kind for kind in kinds if kind is outer.__thisclass__)
    for kind in kinds:
        if name in vars(kind):
            raw, path = vars(kind)[name], f"super().{name}"
            if not is_users_class(kind):
                return (Thing(path, _bound(reach, raw, outer.__self__, outer.__self_class__)),)
            reach.enter(path, Place("own attribute", kind, name))
            if not isinstance(raw, _FUNCTIONS) and not hasattr(type(raw), "__get__"):
                return reach.met(path, raw)
            instance = None if outer.__self__ is outer.__self_class__ else outer.__self__
            instance = None if instance is None else Thing("self", instance)
            return _described(reach, path, raw, outer.__self_class__, instance)
    return ()


def _bound(reach: Reach, raw: Any, owner: Any, kind: type) -> Any:
    """Return what an attribute that a foreign class has is, seen from an object."""
    if isinstance(raw, classmethod):
        return reach.one_of(MethodType, raw.__func__, kind)
    if isinstance(raw, staticmethod):
        return raw.__func__
    return reach.one_of(MethodType, raw, owner) if isinstance(raw, FunctionType) else raw


def python_function(function: Any, path: str) -> Things:
    """Return a function if it is one in Python, which can be followed."""
    return (Thing(path, function),) if isinstance(function, FunctionType) else ()


def supers(reach: Reach, kinds: Things, owners: Things) -> Things:
    """Return what ``super(kind, owner)`` may be."""
    found = []
    for kind in kinds:
        for owner in owners:
            if _is_of(owner.value, kind.value):
                found.append(Thing("super()", reach.one_of(super, kind.value, owner.value)))
    return tuple(found)


def _is_of(owner: Any, kind: Any) -> bool:
    if not isinstance(kind, type) or isinstance(owner, Fresh):
        return False
    return issubclass(owner, kind) if isinstance(owner, type) else isinstance(owner, kind)


def _is_versioned(value: Any, name: str) -> bool:
    """Return whether the common version of all modules tells when an attribute of one is set."""
    return isinstance(value, _VERSIONED) and name not in ("training", "_called")


def _in_class(kind: type, name: str) -> tuple[type, Any]:
    """Return the class that has an attribute, of a class and its bases, and what it has."""
    for base in kind.__mro__:
        if name in vars(base):
            return base, vars(base)[name]
    return object, ABSENT
