"""Following the calls of a step, without running it, with the very objects that they would meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from tinygrad_lab.backends import dtypes
from tinygrad_lab.compiler.record.attributes import attribute
from tinygrad_lab.compiler.record.dependencies import Dependency, Place
from tinygrad_lab.compiler.record.foreign import is_users, is_users_class
from tinygrad_lab.compiler.record.items import items, unfrozen
from tinygrad_lab.compiler.record.reach import Reach
from tinygrad_lab.compiler.record.scopes import Arguments, Scope
from tinygrad_lab.compiler.record.things import (
    Bound,
    Followed,
    Fresh,
    Inner,
    Method,
    Thing,
    Things,
    merged,
    unknown,
)
from tinygrad_lab.compiler.record.unfollowed import Unfollowed
from tinygrad_lab.compiler.record.walk import walk
from tinygrad_lab.engine.hooks import hooked
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import line_of
from tinygrad_lab.nn.module import Module

__all__ = ["Reading", "what_it_reads"]

_ROUNDS = 12
"""How often a function is followed again because its variables led to something new."""


@dataclass(slots=True, eq=False)
class Reading:
    """What a step can read."""

    dependencies: list[Dependency]
    arrays: list[Thing]
    prints: list[Any]
    """The lines that print."""
    randoms: list[Any]
    """The lines that draw random numbers from Python's or NumPy's common generators."""
    first_line: Any
    reach: Reach


Leaves = list[tuple[str, Any]]
"""The leaves of an argument, with their names."""


def what_it_reads(
    function: Any, arguments: tuple[list[Leaves], dict[str, Leaves]] = ([], {})
) -> Reading:
    """Follow a function that is called with some arguments; return what it can read.

    Raises:
        CompileError: if it reads something that no replay could, such as an iterator.
        UnsupportedError: if it reads a clock.
    """
    reach = Reach()
    unfollowed = Unfollowed(reach)
    reach.call = _Follower(reach, unfollowed).call
    try:
        _follow_step(reach, function, arguments)
    finally:
        del reach.call  # the follower refers to the reach: a cycle that would keep all they met
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return Reading(
        list(reach.found.values()),
        list(reach.arrays.values()),
        unfollowed.prints,
        unfollowed.randoms,
        line_of(code, 0),
        reach,
    )


def _follow_step(
    reach: Reach, function: Any, arguments: tuple[list[Leaves], dict[str, Leaves]]
) -> None:
    """Follow a step, the hooks of tensors that it may run, and what every step refers to."""
    positional, named = arguments
    args = [_given(reach, leaves) for leaves in positional]
    kwargs = {name: _given(reach, leaves) for name, leaves in named.items()}
    reach.call((Thing(getattr(function, "__name__", "step"), function),), args, kwargs)
    for reference in list(hooked):
        node = reference()
        if isinstance(node, Leaf):
            for hook in node._hooks.values():
                reach.call((Thing("a hook", hook),), [()])
    # Every step refers to it, for example in tg.zeros(3).
    reach.enter("the default dtype", Place("variable", vars(dtypes), "_default_dtype"))


def _given(reach: Reach, leaves: Leaves) -> Things:
    """Return what an argument may lead to, by its leaves."""
    return merged(*[reach.met(name, leaf) for name, leaf in leaves if not isinstance(leaf, Tensor)])


class _Follower:
    """Follows calls, each function of the user's with the same variables until nothing is new."""

    def __init__(self, reach: Reach, unfollowed: Unfollowed) -> None:
        self._reach, self._unfollowed = reach, unfollowed
        self._scopes: dict[tuple[Any, ...], Scope] = {}

    def call(
        self,
        functions: Things,
        args: list[Things] | None,
        kwargs: Mapping[str, Things] | None = None,
        rest: Things = (),
    ) -> Things:
        """Follow a call; return what it may return; see ``Arguments``."""
        return self._call(functions, Arguments(args, kwargs or {}, rest))

    def _call(self, functions: Things, given: Arguments) -> Things:
        functions = tuple([one for one in functions if not unknown(one)])
        if not functions:
            return unfrozen(given.all)
        return merged(*[self._one(one, given) for one in functions])

    def _one(self, one: Thing, given: Arguments) -> Things:
        """Follow a call of one function, class or object."""
        value = one.value.function if isinstance(one.value, Followed) else one.value
        for kind, follow in _WAYS.items():
            if isinstance(value, kind):
                return follow(self, one.path, value, given)
        if isinstance(value, Method):
            return self._unfollowed.method(value, given)
        if isinstance(value, Module):
            return merged(self._unfollowed.module(one, given), given.all)
        if is_users_class(type(value)):
            return self._call(attribute(self._reach, (one,), "__call__"), given)
        return self._unfollowed.foreign(one, given)

    # --- functions --------------------------------------------------------------------------------

    def _bound(self, path: str, value: Bound, given: Arguments) -> Things:
        return self._function(path, value.function, given.on((value.owner,)))

    def _method(self, path: str, value: MethodType, given: Arguments) -> Things:
        owner = (Thing(path.rpartition(".")[0] or "self", value.__self__),)
        if isinstance(value.__func__, FunctionType):
            return self._function(path, value.__func__, given.on(owner))
        args = [owner, *given.positional]
        return self._call((Thing(path, value.__func__),), replace(given, args=args))

    def _partial(self, path: str, value: partial[Any], given: Arguments) -> Things:
        args = [self._reach.met(f"{path}.args", arg) for arg in value.args]
        kwargs = {n: self._reach.met(f"{path}.{n}", arg) for n, arg in value.keywords.items()}
        return self._call(self._reach.met(path, value.func), given.after(args, kwargs))

    def _inner(self, path: str, value: Inner, given: Arguments) -> Things:
        outer = dict.fromkeys(value.code.co_freevars, value.scope)
        scope = Scope(value.code, value.scope.globals, outer)
        key = (id(value.code), id(value.scope))
        return self._run(key, scope, replace(given, rest=merged(given.rest, value.defaults)))

    def _function(self, path: str, function: FunctionType, given: Arguments) -> Things:
        """Follow a call of a function that is written in Python."""
        code, cells = function.__code__, function.__closure__ or ()
        outer = dict(zip(code.co_freevars, cells, strict=True))
        if not is_users(code.co_filename):
            return self._unfollowed.function(function, outer, given.all)
        defaults = self._defaults(path, function)
        owners = tuple(sorted([id(one.value) for one in given.owner or ()]))
        key = (id(code), tuple(map(id, cells)), owners)
        scope = self._scopes.setdefault(key, Scope(code, function.__globals__, outer))
        for name, things in defaults:
            scope.add(name, things)
        return self._run(key, scope, given)

    def _defaults(self, path: str, function: FunctionType) -> list[tuple[str, Things]]:
        """Return what the defaults of a function lead to, by the names of the parameters."""
        by_position, by_name = function.__defaults__ or (), function.__kwdefaults__ or {}
        if by_position or by_name:
            self._reach.enter(path, Place("attribute", function, "__defaults__"))
            self._reach.enter(path, Place("attribute", function, "__kwdefaults__"))
        code = function.__code__
        names = code.co_varnames[code.co_argcount - len(by_position) : code.co_argcount]
        pairs = [*zip(names, by_position, strict=True), *by_name.items()]
        found = [(name, self._reach.met(name, value)) for name, value in pairs]
        if by_name:
            items(self._reach, (Thing(f"the defaults of {path}", by_name),))
        return found

    def _run(self, key: tuple[Any, ...], scope: Scope, given: Arguments) -> Things:
        """Follow the instructions of a function until nothing new comes up."""
        scope = self._scopes.setdefault(key, scope)
        scope.bind(given)
        if scope.running:
            return scope.returns
        outside, scope.running = self._reach.here, True
        rounds = 0
        while scope.grown and rounds < _ROUNDS:
            scope.grown, rounds = False, rounds + 1
            walk(self._reach, scope)
        scope.running, self._reach.here = False, outside
        return scope.returns

    # --- classes ----------------------------------------------------------------------------------

    def _make(self, path: str, kind: type, given: Arguments) -> Things:
        """Follow the making of an object."""
        if not is_users_class(kind):
            return self._unfollowed.make(kind, given)
        made = Thing(f"{kind.__name__}(...)", Fresh(kind))
        one = self._reach.once(lambda: made, "made", kind, *self._reach.here)
        start = attribute(self._reach, (one,), "__init__")
        rest = given.all if given.args is None else ()
        self._call(start, replace(given, rest=rest))
        attribute(self._reach, (one,), "__new__")
        return (one,)


_WAYS: dict[type, Callable[[_Follower, str, Any, Arguments], Things]] = {
    Bound: _Follower._bound,
    MethodType: _Follower._method,
    FunctionType: _Follower._function,
    Inner: _Follower._inner,
    partial: _Follower._partial,
    type: _Follower._make,
}
"""What can be followed itself, and how."""
