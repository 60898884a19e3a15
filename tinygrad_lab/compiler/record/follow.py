"""Following the code of a step, instruction by instruction, without running it.

Each instruction is given what may be on the stack and in the variables: objects that exist now
(``Thing``), or nothing that leads to any. Variables gather whatever is stored in them, so the order
of statements does not matter, and loops are followed until nothing new comes up.
"""

from __future__ import annotations

import builtins
import dis
import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lab.backends import dtypes
from tinygrad_lab.compiler.record.dependencies import (
    ABSENT,
    CONTAINERS,
    PLAIN,
    Dependency,
    Place,
    is_random,
)
from tinygrad_lab.compiler.record.foreign import is_library_class, is_users, is_users_class
from tinygrad_lab.compiler.record.reach import (
    UNKNOWN,
    Bound,
    Followed,
    Fresh,
    Gradient,
    Inner,
    Method,
    Reach,
    StandIn,
    Thing,
    Things,
    merged,
)
from tinygrad_lab.compiler.refusal import AskedError, UnsupportedError
from tinygrad_lab.engine.hooks import hooked
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import is_library, line_of
from tinygrad_lab.nn.module import Module

__all__ = ["Reading", "what_it_reads"]

_ROUNDS = 12
"""How often a function is followed again because its variables led to something new."""
_STAR, _STARS = 0x04, 0x08
_HARMLESS = frozenset(
    {isinstance, issubclass, len, type, id, hasattr, callable, print, range, zip, enumerate}
    | {reversed, list, tuple, dict, set, frozenset, sorted, map, filter, min, max, sum, any, all}
    | {abs, round, float, int, bool, iter, next, slice, property, super}
)
"""Built-in functions that read no attributes of what they are given."""
_CLOCKS = frozenset({"time", "datetime", "secrets", "uuid"})


@dataclass(slots=True, eq=False)
class Scope:
    """A function that is followed, with what its variables may be."""

    code: CodeType
    globals: dict[str, Any]
    outer: Mapping[str, CellType | Scope]
    """Its free variables: cells, or the scopes of functions around it."""
    variables: dict[str, Things] = field(default_factory=dict)
    returns: Things = ()
    running: bool = False
    grown: bool = True
    """Something new came up since it was followed last."""

    def add(self, name: str, things: Things) -> None:
        before = self.variables.get(name, ())
        after = merged(before, things)
        if len(after) > len(before):
            self.variables[name] = after
            self.grown = True


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
    follower = Follower()
    reach = follower.reach
    reach.call = follower.call
    try:
        return _read(follower, function, arguments)
    finally:
        del reach.call  # the follower refers to the reach: a cycle that would keep all they met


def _read(
    follower: Follower, function: Any, arguments: tuple[list[Leaves], dict[str, Leaves]]
) -> Reading:
    reach, (positional, named) = follower.reach, arguments
    args = [follower.given(leaves) for leaves in positional]
    kwargs = {name: follower.given(leaves) for name, leaves in named.items()}
    follower.call((Thing(getattr(function, "__name__", "step"), function),), args, kwargs)
    for reference in list(hooked):
        node = reference()
        if isinstance(node, Leaf):
            for hook in node._hooks.values():
                follower.call((Thing("a hook", hook),), [()])
    # Every step refers to it, for example in tg.zeros(3).
    reach.enter("the default dtype", Place("variable", vars(dtypes), "_default_dtype"))
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return Reading(
        list(reach.found.values()),
        list(reach.arrays.values()),
        follower.prints,
        follower.randoms,
        line_of(code, 0),
        reach,
    )


class Follower:
    """Follows calls."""

    def __init__(self) -> None:
        self.reach = Reach()
        self.prints: list[Any] = []
        self.randoms: list[Any] = []
        self._scopes: dict[tuple[Any, ...], Scope] = {}
        self._seen_modules: set[int] = set()

    def given(self, leaves: Leaves) -> Things:
        """Return what an argument may lead to, by its leaves."""
        found: list[Things] = []
        for name, leaf in leaves:
            if not isinstance(leaf, Tensor):
                found.append(self.reach.met(name, leaf))
        return merged(*found)

    # --- calls ------------------------------------------------------------------------------------

    def call(
        self,
        functions: Things,
        args: list[Things] | None,
        kwargs: Mapping[str, Things] | None = None,
        rest: Things = (),
    ) -> Things:
        """Follow a call; return what it may return.

        ``args`` is None if it is not known what stands in which place; then all is in ``rest``.
        """
        kwargs = kwargs or {}
        functions = tuple([one for one in functions if one is not UNKNOWN[0]])
        if not functions:
            return self.reach.unfrozen(merged(*(args or ()), *kwargs.values(), rest))
        return merged(*[self._call(one, args, kwargs, rest) for one in functions])

    def _call(
        self, one: Thing, args: list[Things] | None, kwargs: Mapping[str, Things], rest: Things
    ) -> Things:
        value = one.value
        if isinstance(value, Followed):
            value = value.function
        if isinstance(value, Bound):
            first: Things = (value.owner,)
            return self._enter(value.function, one.path, [first, *(args or ())], kwargs, rest, args)
        if isinstance(value, MethodType):
            owner = (Thing(one.path.rpartition(".")[0] or "self", value.__self__),)
            if isinstance(value.__func__, FunctionType):
                return self._enter(
                    value.__func__, one.path, [owner, *(args or ())], kwargs, rest, args
                )
            function = (Thing(one.path, value.__func__),)
            return self.call(function, [owner, *(args or ())], kwargs, rest)
        if isinstance(value, FunctionType):
            return self._enter(value, one.path, args or [], kwargs, rest, args)
        given = merged(*(args or ()), *kwargs.values(), rest)
        if isinstance(value, Inner):
            scope = Scope(
                value.code, value.scope.globals, dict.fromkeys(value.code.co_freevars, value.scope)
            )
            return self._run(
                (id(value.code), id(value.scope)),
                scope,
                args or [],
                kwargs,
                merged(rest, value.defaults),
                args,
            )
        if isinstance(value, partial):
            before = [self.reach.met(f"{one.path}.args", arg) for arg in value.args]
            named = {n: self.reach.met(f"{one.path}.{n}", arg) for n, arg in value.keywords.items()}
            return self.call(
                self.reach.met(one.path, value.func),
                None if args is None else [*before, *args],
                {**named, **kwargs},
                merged(rest, *before),
            )
        if isinstance(value, type):
            return self._make(value, args, kwargs, given)
        if isinstance(value, Method):
            return self._method(value, args or [], given)
        if isinstance(value, Module):
            return merged(self._module(one, args, kwargs, rest), given)
        if is_users_class(type(value)):
            method = self.reach.attribute((one,), "__call__")
            return self.call(method, args, kwargs, rest)
        return self._foreign(one, args or [], given)

    def _enter(
        self,
        function: FunctionType,
        path: str,
        args: list[Things],
        kwargs: Mapping[str, Things],
        rest: Things,
        known: Any,
    ) -> Things:
        """Follow a call of a function that is written in Python."""
        code, cells = function.__code__, function.__closure__ or ()
        outer = dict(zip(code.co_freevars, cells, strict=True))
        if not is_users(code.co_filename):
            given = merged(*args, *kwargs.values(), rest)
            return self._around(function, outer, args, given)
        if function.__defaults__ or function.__kwdefaults__:
            self.reach.enter(path, Place("attribute", function, "__defaults__"))
            self.reach.enter(path, Place("attribute", function, "__kwdefaults__"))
        names = code.co_varnames[: code.co_argcount]
        values = function.__defaults__ or ()
        defaults = dict(zip(names[len(names) - len(values) :], values, strict=True))
        found = [
            (name, self.reach.met(name, value))
            for name, value in (*defaults.items(), *(function.__kwdefaults__ or {}).items())
        ]
        if function.__kwdefaults__:
            self.reach.items((Thing(f"the defaults of {path}", function.__kwdefaults__),))
        scope = Scope(code, function.__globals__, outer)
        owners = (
            tuple(sorted(id(one.value) for one in args[0])) if known is not args and args else ()
        )
        key = (id(code), tuple(map(id, cells)), owners)
        scope = self._scopes.setdefault(key, scope)
        for name, things in found:
            scope.add(name, things)
        return self._run(key, scope, args, kwargs, rest, known)

    def _run(
        self,
        key: tuple[Any, ...],
        scope: Scope,
        args: list[Things],
        kwargs: Mapping[str, Things],
        rest: Things,
        known: Any,
    ) -> Things:
        scope = self._scopes.setdefault(key, scope)
        _bind(scope, args, kwargs, rest, everywhere=known is None)
        if scope.running:
            return scope.returns
        outside, scope.running = self.reach.here, True
        rounds = 0
        while scope.grown and rounds < _ROUNDS:
            scope.grown, rounds = False, rounds + 1
            _Walk(self, scope).go()
        scope.running, self.reach.here = False, outside
        return scope.returns

    def _around(
        self,
        function: FunctionType,
        outer: Mapping[str, CellType],
        args: list[Things],
        given: Things,
    ) -> Things:
        """Follow a foreign function, or one of this package: whatever of the user's it has."""
        # What this package's and foreign functions have in cells stays there.
        inside = [self.reach.met(name, _content(cell)) for name, cell in outer.items()]
        things = merged(*inside, *[self.reach.items(one) for one in inside if _holds(one)])
        if function is os.getenv:
            self.reach.everything(Thing("os.environ", os.environ))
        if function.__module__ == "logging":
            self.prints.append(line_of(*self.reach.here))
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            things = merged(things, (Thing(function.__name__, wrapped),))
        found = [given]
        for one in things:
            if _is_callable(one.value):
                found.append(self.call((one,), None, {}, given))
            else:
                self.reach.use((one,))
        ours = is_library[function.__code__.co_filename]
        return self._given_away(given, merged(*found), ours or function in _HARMLESS)

    def _given_away(self, given: Things, result: Things, shallow: bool) -> Things:
        """Follow what a call that cannot be followed does with what it is given."""
        others = tuple([one for one in given if not _is_callable(one.value)])
        inner = self.reach.items(tuple([o for o in others if isinstance(o.value, CONTAINERS)]))
        found = [self.reach.unfrozen(merged(result, inner))]
        for one in (*given, *inner):
            if isinstance(one.value, Module):
                found.append(self._module(one, None, {}, others))
            elif _is_callable(one.value) and not isinstance(one.value, type):
                found.append(self.call((one,), None, {}, merged(others, inner)))
            elif shallow or is_library_class(type(one.value)):
                self.reach.use((one,))
                self._called_back(one)
            else:
                self.reach.everything(one)
        return merged(*found)

    def _called_back(self, one: Thing) -> None:
        """Follow all methods of an object that the package may call: a user's optimiser."""
        kind = type(one.value)
        if not is_users_class(kind) or not any(map(is_library_class, kind.__mro__)):
            return
        for base in kind.__mro__:
            for name, raw in list(vars(base).items()) if is_users_class(base) else ():
                if isinstance(raw, FunctionType) and id(raw) not in self._seen_modules:
                    self._seen_modules.add(id(raw))
                    self.call(self.reach.attribute((one,), name), None)

    def _make(
        self, kind: type, args: list[Things] | None, kwargs: Mapping[str, Things], given: Things
    ) -> Things:
        """Follow the making of an object."""
        if kind is type and args:
            self._type_of(args[0])
        if not is_users_class(kind):
            if kind.__module__ in _CLOCKS:
                raise self._unsupported(f"it reads a clock or the like ({kind.__name__})")
            return self._given_away(given, given, kind in _HARMLESS or is_library_class(kind))
        one = Thing(f"{kind.__name__}(...)", Fresh(kind))
        code, offset = self.reach.here
        key = ("made", id(kind), id(code), offset)
        known = self._scopes.get(key)
        if known is None:
            known = self._scopes[key] = Scope(_NOTHING, {}, {}, {"it": (one,)})
        (one,) = known.variables["it"]
        start = self.reach.attribute((one,), "__init__")
        self.call(start, args, kwargs, given if args is None else ())
        self.reach.attribute((one,), "__new__")
        return (one,)

    def _method(self, method: Method, args: list[Things], given: Things) -> Things:
        """Follow a call of a method that is not written in Python."""
        owner, name = method.owner, method.name
        if isinstance(owner.value, CONTAINERS):
            if isinstance(owner.value, dict) and name == "get" and args:
                return merged(self.reach.item((owner,), args[0]), *args[1:])
            given = self._given_away(given, given, shallow=True)
            return merged(self.reach.items((owner,)), given)
        if isinstance(owner.value, Fresh) or is_library_class(type(owner.value)):
            return self._given_away(given, merged(given, (owner,)), shallow=True)
        if isinstance(owner.value, io.IOBase) and name.startswith("write"):
            self.prints.append(line_of(*self.reach.here))
        self.reach.everything(owner)
        return self._given_away(given, merged(given, (owner,)), shallow=False)

    def _module(
        self, one: Thing, args: list[Things] | None, kwargs: Mapping[str, Things], rest: Things
    ) -> Things:
        """Follow the call of a module, and whatever of the user's is inside of it."""
        module: Module = one.value
        for hook in module._hooks:
            self.call((Thing("a hook of a module", hook.function),), None, {}, merged((one,), rest))
        if is_users_class(type(module)):
            return self.call(self.reach.attribute((one,), "forward"), args, kwargs, rest)
        given = merged(*(args or ()), *kwargs.values(), rest)
        if id(module) in self._seen_modules:
            return given
        self._seen_modules.add(id(module))
        for name, part in list(vars(module).items()):
            if isinstance(part, Module) or (_is_callable(part) and not isinstance(part, type)):
                inner = self.reach.attribute((one,), name)
                self.call(inner, None, {}, given)
        return given

    def _foreign(self, one: Thing, args: list[Things], given: Things) -> Things:
        """Follow a call of what is not written in Python."""
        value = one.value
        if value is isinstance and args:
            self._type_of(args[0])
        if isinstance(value, ref):
            return self.reach.met(f"{one.path}()", value())
        if value is print:
            self.prints.append(line_of(*self.reach.here))
        if any(value is one for one in _BY_NAME) and len(args) > 1:
            names = [key.value for key in args[1] if isinstance(key.value, str)]
            if names:
                return merged(*[self.reach.attribute(args[0], n) for n in names], *args[2:])
        if value is vars and args:
            for thing in args[0]:
                self.reach.everything(thing, 1)
            return merged(*[_dict_of(thing) for thing in args[0]])
        owner = getattr(value, "__self__", None)
        module = getattr(value, "__module__", None)
        home = owner.__name__ if isinstance(owner, ModuleType) else module
        if is_random(owner):
            self.randoms.append(line_of(*self.reach.here))
        if home in _CLOCKS:
            raise self._unsupported(f"it reads a clock or the like ({one.path})")
        if getattr(value, "__name__", "") == "default_rng" and not args:
            raise self.reach.frozen("a random generator without a seed")
        wrapped = getattr(value, "__wrapped__", None)
        found = self.call((Thing(one.path, wrapped),), args) if wrapped is not None else ()
        inside = () if isinstance(owner, ModuleType | None) else self.reach.met(one.path, owner)
        if isinstance(value, np.ufunc) or (module or "").startswith("numpy"):
            self._numbers_alone(args)
        harmless = isinstance(value, BuiltinFunctionType | type) and value in _HARMLESS
        library = (module or "").startswith(__name__.partition(".")[0])
        for thing in inside:
            self.reach.everything(thing)
        return merged(found, self._given_away(given, given, harmless or library), inside)

    def _type_of(self, things: Things) -> None:
        for one in things:
            if isinstance(one.value, StandIn):
                asked = self._unsupported(
                    f"it asks for the type of its argument {one.path}, for which something else "
                    "stands while it is recorded"
                )
                if one.value.kind is np.ndarray:
                    raise asked
                raise AskedError(str(asked), frozenset({one.value.place}))

    def _numbers_alone(self, args: list[Things]) -> None:
        """Enter the numbers of arrays that NumPy is given without any tensor."""
        numpys = (np.ndarray, *PLAIN)
        if all(things and all(isinstance(t.value, numpys) for t in things) for things in args):
            for things in args:
                for one in things:
                    if isinstance(one.value, np.ndarray):
                        self.reach.numbers(one)

    def _unsupported(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{what}, at {line_of(*self.reach.here)}")


def _holds(things: Things) -> bool:
    return any(isinstance(one.value, CONTAINERS) for one in things)


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


_BY_NAME = (getattr, hasattr, setattr, delattr)
_NOTHING = compile("", "<nothing>", "exec")


def _dict_of(one: Thing) -> Things:
    inner = getattr(one.value, "__dict__", None)
    return (Thing(f"vars({one.path})", inner),) if isinstance(inner, dict) else ()


def _is_callable(value: Any) -> bool:
    """Return whether it is code that could be called back."""
    kinds = (FunctionType, MethodType, Bound, Inner, partial, Followed)
    return isinstance(value, kinds) or (is_users_class(type(value)) and callable(value))


def _bind(
    scope: Scope, args: list[Things], kwargs: Mapping[str, Things], rest: Things, everywhere: bool
) -> None:
    """Give the parameters of a function what it is called with."""
    code = scope.code
    names = code.co_varnames[: code.co_argcount]
    only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    more = code.co_varnames[code.co_argcount + code.co_kwonlyargcount :]
    for name, things in zip(names, args, strict=False):
        scope.add(name, things)
    for name in (*names[len(args) :], *only) if everywhere or rest else ():
        scope.add(name, rest)
    extra = merged(rest, *args[len(names) :])
    for name, things in kwargs.items():
        if name in names or name in only:
            scope.add(name, things)
        else:
            extra = merged(extra, things)
    count = bool(code.co_flags & _STAR) + bool(code.co_flags & _STARS)
    for name in more[:count]:
        scope.add(name, extra)


# --- instructions ---------------------------------------------------------------------------------


class _Walk:
    """One pass through the instructions of a function."""

    def __init__(self, follower: Follower, scope: Scope) -> None:
        self.follower, self.scope, self.reach = follower, scope, follower.reach
        self.stack: list[Things] = []
        self._names: tuple[str, ...] = ()
        """The names of the last arguments of the next call."""

    def go(self) -> None:
        instructions, handlers = _instructions(self.scope.code)
        stacks: dict[int, list[Things]] = {
            target: [()] * depth for target, depth in handlers.items()
        }
        reached = True
        for one in instructions:
            known = stacks.get(one.offset)
            if known is not None and not reached:
                self.stack = list(known)
            elif known is not None:
                pairs = zip(self.stack, known, strict=False)
                self.stack = [merged(a, b) for a, b in pairs] + self.stack[len(known) :]
            reached = True
            self.reach.here = (self.scope.code, one.offset)
            before = list(self.stack)
            step = _HANDLERS.get(one.opname)
            (step or _Walk._other)(self, one)
            if one.opcode in _JUMPS and isinstance(one.argval, int) and one.argval > one.offset:
                stacks.setdefault(one.argval, _after_jump(one, before, self.stack))
            if one.opname in _ENDS:
                reached = False
                self.stack = []

    # --- the stack --------------------------------------------------------------------------------

    def pop(self, count: int = 1) -> list[Things]:
        """Take what is on top of the stack, the topmost last."""
        taken = self.stack[len(self.stack) - count :] if count else []
        del self.stack[max(0, len(self.stack) - count) :]
        return [()] * (count - len(taken)) + taken

    def push(self, things: Things) -> None:
        self.stack.append(things)

    def _other(self, one: dis.Instruction) -> None:
        """Follow an instruction of no special meaning here: what comes out is what went in."""
        argument = one.arg if one.opcode >= dis.HAVE_ARGUMENT else None
        effect = dis.stack_effect(one.opcode, argument, jump=False)
        if effect >= 0:
            if one.opname.startswith(_READING) and self.stack:
                self.reach.use(self.stack[-1])
            self.stack += [()] * effect
            return
        consumes = one.opname.startswith(_CONSUMING)
        taken = self.pop(-effect if consumes else 1 - effect)
        both = merged(*taken)
        if one.opname == "IS_OP" or one.opname.endswith("NONE"):
            self.reach.is_none(both)
        elif not one.opname.startswith(_LOOKING_AT_NOTHING):
            self.reach.use(both)
            self.reach.is_none(both)
        if not consumes:
            self.push(self.reach.unfrozen(both))

    # --- variables --------------------------------------------------------------------------------

    def _constant(self, one: dis.Instruction) -> None:
        value = one.argval
        lead = isinstance(value, int | float | str | CodeType | tuple)
        self.push((Thing(repr(value), value),) if lead and value is not None else ())

    def _local(self, one: dis.Instruction) -> None:
        """Follow LOAD_FAST and its kin, of which some do two things at once."""
        names = one.argval if isinstance(one.argval, tuple) else (one.argval,)
        verbs = [word for word in one.opname.split("_") if word in ("LOAD", "STORE", "DELETE")]
        for verb, name in zip(verbs, names, strict=False):
            if verb == "LOAD":
                self.push(self.scope.variables.get(name, ()))
            elif verb == "STORE":
                (things,) = self.pop()
                self.scope.add(name, things)

    def _global(self, one: dis.Instruction) -> None:
        with_null = one.opname == "LOAD_GLOBAL" and one.arg is not None and one.arg & 1
        if with_null and sys.version_info < (3, 13):
            self.push(())
        self._load_global(one)
        if with_null and sys.version_info >= (3, 13):
            self.push(())

    def _load_global(self, one: dis.Instruction) -> None:
        name, where = one.argval, self.scope.globals
        if name in self.scope.variables and one.opname == "LOAD_NAME":
            self.push(self.scope.variables[name])
            return
        value = where.get(name, ABSENT)
        if value is ABSENT and hasattr(builtins, name):
            self.push((Thing(name, getattr(builtins, name)),))
        elif isinstance(value, ModuleType):
            self.push((Thing(name, value),))
        else:
            self.push(self.reach.thing(name, Place("variable", where, name)))

    def _store_global(self, one: dis.Instruction) -> None:
        self.pop()
        self.reach.enter(one.argval, Place("variable", self.scope.globals, one.argval))

    def _free(self, one: dis.Instruction) -> None:
        if one.opname in ("LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
            self.pop(one.opname == "LOAD_FROM_DICT_OR_DEREF")
        self.push(self._variable(self.scope, one.argval))

    def _variable(self, scope: Scope, name: str) -> Things:
        around = scope.outer.get(name)
        if around is None:
            return scope.variables.get(name, ())
        if isinstance(around, Scope):
            return self._variable(around, name)
        return self.reach.thing(name, Place("cell", around))

    def _store_free(self, one: dis.Instruction) -> None:
        (things,) = self.pop()
        scope, name = self.scope, one.argval
        while isinstance(around := scope.outer.get(name), Scope):
            scope = around
        if around is None:
            scope.add(name, things)
        else:
            self.reach.enter(name, Place("cell", around))

    # --- attributes and items ---------------------------------------------------------------------

    def _attribute(self, one: dis.Instruction) -> None:
        (owner,) = self.pop()
        found = self.reach.attribute(owner, one.argval)
        method = one.opname == "LOAD_METHOD" or (
            sys.version_info >= (3, 12) and one.arg is not None and one.arg & 1
        )
        if method:
            self._push_callee(found)
        else:
            self.push(found)

    def _super_attribute(self, one: dis.Instruction) -> None:
        _, kinds, owners = self.pop(3)
        found = self.reach.attribute(_supers(self.reach, kinds, owners), one.argval)
        if one.arg is not None and one.arg & 1:
            self._push_callee(found)
        else:
            self.push(found)

    def _store_attribute(self, one: dis.Instruction) -> None:
        things, owners = self.pop(2)
        for owner in owners:
            path, value = f"{owner.path}.{one.argval}", owner.value
            if isinstance(value, Fresh):
                before = value.fields.get(one.argval, ())
                value.fields[one.argval] = merged(before, things)
                self.scope.grown |= len(value.fields[one.argval]) > len(before)
            elif isinstance(value, np.ndarray):
                self.reach.numbers(owner)
            elif not isinstance(value, Tensor | Inner | Gradient | StandIn):
                setter = getattr(type(value), one.argval, None)
                if isinstance(setter, property):
                    function = self.reach._function(setter.fset, path)
                    self.follower.call(function, [(owner,), things])
                elif hasattr(value, "__dict__") or hasattr(setter, "__set__"):
                    self.reach.enter(path, Place("attribute", value, one.argval))

    def _item(self, one: dis.Instruction) -> None:
        owner, key = self.pop(2)
        self.push(self.reach.item(owner, key))

    def _slice(self, one: dis.Instruction) -> None:
        self.pop(one.arg or 2)
        self.push(())

    def _store_item(self, one: dis.Instruction) -> None:
        taken = self.pop(3 if one.opname == "STORE_SUBSCR" else 2)
        owners = taken[1] if one.opname == "STORE_SUBSCR" else taken[0]
        for owner in owners:
            if isinstance(owner.value, np.ndarray):
                self.reach.numbers(owner)
            else:
                self.reach.items((owner,))

    def _store_slice(self, one: dis.Instruction) -> None:
        _, owners, _, _ = self.pop(4)
        for owner in owners:
            if isinstance(owner.value, np.ndarray):
                self.reach.numbers(owner)
            else:
                self.reach.items((owner,))

    def _operator(self, one: dis.Instruction) -> None:
        left, right = self.pop(2)
        if one.argrepr == "[]":
            self.push(self.reach.item(left, right))
            return
        self.reach.use(merged(left, right))
        self.follower._numbers_alone([left, right])
        if one.argrepr.endswith("=") and one.argrepr not in ("==", "<=", ">=", "!="):
            for owner in left:
                if isinstance(owner.value, np.ndarray):
                    self.reach.numbers(owner)
        # What an operator makes of an array is another one.
        self.push(self.reach.unfrozen(merged(left, right)))

    # --- containers -------------------------------------------------------------------------------

    def _build(self, one: dis.Instruction) -> None:
        count = (one.arg or 0) * (2 if one.opname == "BUILD_MAP" else 1)
        count += one.opname == "BUILD_CONST_KEY_MAP"
        self.push(merged(*self.pop(count)))

    def _extend(self, one: dis.Instruction) -> None:
        taken = self.pop(2 if one.opname == "MAP_ADD" else 1)
        things = merged(*taken)
        if one.opname not in ("LIST_APPEND", "SET_ADD", "MAP_ADD"):
            things = merged(things, self.reach.items(things))
        place = len(self.stack) - (one.arg or 1)
        if place >= 0:
            self.stack[place] = merged(self.stack[place], things)

    def _unpack(self, one: dis.Instruction) -> None:
        (things,) = self.pop()
        count = one.arg or 0
        if one.opname == "UNPACK_EX":
            count = (count & 0xFF) + 1 + (count >> 8)
        parts = merged(self.reach.items(things), UNKNOWN)
        self.stack += [parts] * count

    def _iterate(self, one: dis.Instruction) -> None:
        things = self.stack[-1] if self.stack else ()
        self.push(merged(self.reach.items(things), UNKNOWN))

    def _enter_block(self, one: dis.Instruction) -> None:
        """Follow the beginning of a with block."""
        (manager,) = self.pop()
        self.reach.use(manager)
        enter = self.reach.attribute(manager, "__enter__")
        self.push(())
        self.push(merged(self.follower.call(enter, []), manager))

    def _load_special(self, one: dis.Instruction) -> None:
        (manager,) = self.pop()
        self.reach.use(manager)
        both = [self.reach.attribute(manager, name) for name in ("__enter__", "__exit__")]
        self._push_callee(merged(*both))

    def _class_pattern(self, one: dis.Instruction) -> None:
        subject, _, names = self.pop(3)
        found = [
            self.reach.attribute(subject, name)
            for thing in names
            if isinstance(thing.value, tuple)
            for name in thing.value
        ]
        self.push(merged(subject, *found))

    # --- functions --------------------------------------------------------------------------------

    def _function(self, one: dis.Instruction) -> None:
        flags = one.arg or 0
        taken = self.pop(1 + (bin(flags).count("1") if sys.version_info < (3, 13) else 0))
        code = next((t.value for t in taken[-1] if isinstance(t.value, CodeType)), None)
        if code is None:
            self.push(())
            return
        defaults = merged(*taken[:-1]) if flags & 0x03 else ()
        key = ("inner", id(code), id(self.scope))
        scopes = self.follower._scopes
        known = scopes.get(key)
        if known is None:
            made = Thing(code.co_name, Inner(code, self.scope, defaults))
            known = scopes[key] = Scope(_NOTHING, {}, {}, {"it": (made,)})
        self.push(known.variables["it"])

    def _keywords(self, one: dis.Instruction) -> None:
        self._names = one.argval if isinstance(one.argval, tuple) else ()

    def _called(self, one: dis.Instruction) -> None:
        names = self._names
        self._names = ()
        if one.opname == "CALL_KW":
            (top,) = self.pop()
            names = next((thing.value for thing in top if isinstance(thing.value, tuple)), ())
        args = self.pop(one.arg or 0)
        functions, own = self._callee()
        if _is_super(functions):
            self.push(self._bare_super(args))
            return
        split = len(args) - len(names)
        kwargs = dict(zip(names, args[split:], strict=True))
        self.push(self.follower.call(functions, [*own, *args[:split]], kwargs))

    def _called_with_all(self, one: dis.Instruction) -> None:
        keywords = self.pop() if one.arg is None or one.arg & 1 else []
        taken = [*self.pop(), *keywords]
        functions, own = self._callee()
        given = merged(*own, *taken, *[self.reach.items(things) for things in taken])
        self.push(self.follower.call(functions, None, {}, given))

    def _callee(self) -> tuple[Things, list[Things]]:
        """Take a function from the stack, with the first argument that may lie beside it.

        Up to Python 3.12 there lies a null, then the function; or the function, then its argument.
        From 3.13 on, the function, then its argument or a null.
        """
        first, second = self.pop(2)
        if not first:
            return second, []
        return first, [second] if second or sys.version_info < (3, 13) else []

    def _push_callee(self, functions: Things) -> None:
        pair = [(), functions] if sys.version_info < (3, 13) else [functions, ()]
        self.stack += pair

    def _bare_super(self, args: list[Things]) -> Things:
        """Return what ``super()`` is in a method."""
        if len(args) == 2:
            return _supers(self.reach, *args)
        kinds = self._variable(self.scope, "__class__")
        first = self.scope.code.co_varnames[:1]
        return _supers(self.reach, kinds, self.scope.variables.get(first[0], ()) if first else ())

    def _returned(self, one: dis.Instruction) -> None:
        (things,) = self.pop()
        after = merged(self.scope.returns, things)
        if len(after) > len(self.scope.returns):
            self.scope.returns = after
            self.scope.grown = True
        if one.opname == "YIELD_VALUE":
            self.push(())

    # --- the rest ---------------------------------------------------------------------------------

    def _null(self, one: dis.Instruction) -> None:
        self.push(())

    def _drop(self, one: dis.Instruction) -> None:
        self.pop()

    def _copy(self, one: dis.Instruction) -> None:
        place = len(self.stack) - (one.arg or 1)
        self.push(self.stack[place] if place >= 0 else ())

    def _swap(self, one: dis.Instruction) -> None:
        place = len(self.stack) - (one.arg or 1)
        if place >= 0:
            self.stack[place], self.stack[-1] = self.stack[-1], self.stack[place]

    def _imported(self, one: dis.Instruction) -> None:
        self.pop(2)
        module = sys.modules.get(one.argval)
        self.push((Thing(one.argval, module),) if module is not None else ())

    def _import_from(self, one: dis.Instruction) -> None:
        self.push(self.reach.attribute(self.stack[-1] if self.stack else (), one.argval))

    def _nothing(self, one: dis.Instruction) -> None:
        """Follow an instruction that changes nothing here."""


def _is_super(functions: Things) -> bool:
    return len(functions) == 1 and functions[0].value is super


def _supers(reach: Reach, kinds: Things, owners: Things) -> Things:
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


def _after_jump(one: dis.Instruction, before: list[Things], after: list[Things]) -> list[Things]:
    """Return the stack at the target of a jump."""
    if one.opname == "FOR_ITER" and sys.version_info < (3, 12):
        return before[:-1]
    if one.opname == "FOR_ITER":
        return [*before, ()]
    if one.opname in ("JUMP_IF_TRUE_OR_POP", "JUMP_IF_FALSE_OR_POP"):
        return before
    return list(after)


@cache
def _instructions(code: CodeType) -> tuple[list[dis.Instruction], dict[int, int]]:
    """Return the instructions of code, and how deep the stack is where exceptions are handled."""
    bytecode = dis.Bytecode(code)
    handlers = {
        entry.target: entry.depth + entry.lasti + 1
        for entry in getattr(bytecode, "exception_entries", ())
    }
    return list(bytecode), handlers


_READING = ("UNARY_", "TO_BOOL", "FORMAT_", "GET_LEN", "CONVERT_")
_CONSUMING = ("POP_", "STORE_", "DELETE_", "JUMP_IF_", "RAISE_", "END_", "PRINT_")
_LOOKING_AT_NOTHING = (
    "POP_JUMP_IF_NO",
    "POP_JUMP_FORWARD_IF_NO",
    "POP_JUMP_BACKWARD_IF_NO",
    "IS_OP",
    "POP_EXCEPT",
    "POP_BLOCK",
    "STORE_",
    "DELETE_",
    "END_",
    "RAISE_",
)
_JUMPS = frozenset({*dis.hasjrel, *dis.hasjabs})
_ENDS = frozenset(
    {"RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS", "RERAISE", "JUMP_FORWARD", "JUMP_BACKWARD"}
    | {"JUMP_BACKWARD_NO_INTERRUPT"}
)
_Handler = Callable[[_Walk, dis.Instruction], None]
_LOCALS = (
    *("LOAD_FAST", "LOAD_FAST_CHECK", "LOAD_FAST_AND_CLEAR", "LOAD_FAST_BORROW", "STORE_FAST"),
    *("LOAD_FAST_LOAD_FAST", "LOAD_FAST_BORROW_LOAD_FAST_BORROW", "STORE_FAST_LOAD_FAST"),
    *("STORE_FAST_STORE_FAST", "STORE_FAST_MAYBE_NULL", "DELETE_FAST"),
)
_HANDLERS: dict[str, _Handler] = {
    **dict.fromkeys(_LOCALS, _Walk._local),
    **dict.fromkeys(("LOAD_CONST", "LOAD_SMALL_INT", "LOAD_CONST_IMMORTAL"), _Walk._constant),
    **dict.fromkeys(("LOAD_GLOBAL", "LOAD_NAME"), _Walk._global),
    **dict.fromkeys(("STORE_GLOBAL", "DELETE_GLOBAL"), _Walk._store_global),
    **dict.fromkeys(
        ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_CLOSURE", "LOAD_FROM_DICT_OR_DEREF"), _Walk._free
    ),
    "STORE_DEREF": _Walk._store_free,
    **dict.fromkeys(("LOAD_ATTR", "LOAD_METHOD"), _Walk._attribute),
    "LOAD_SUPER_ATTR": _Walk._super_attribute,
    "STORE_ATTR": _Walk._store_attribute,
    "BUILD_SLICE": _Walk._slice,
    "BINARY_SUBSCR": _Walk._item,
    **dict.fromkeys(("STORE_SUBSCR", "DELETE_SUBSCR"), _Walk._store_item),
    "STORE_SLICE": _Walk._store_slice,
    **dict.fromkeys(("BINARY_OP", "COMPARE_OP", "CONTAINS_OP"), _Walk._operator),
    **dict.fromkeys(
        ("BUILD_LIST", "BUILD_TUPLE", "BUILD_SET", "BUILD_MAP", "BUILD_CONST_KEY_MAP"), _Walk._build
    ),
    **dict.fromkeys(
        ("LIST_APPEND", "SET_ADD", "MAP_ADD", "LIST_EXTEND", "SET_UPDATE", "DICT_UPDATE"),
        _Walk._extend,
    ),
    "DICT_MERGE": _Walk._extend,
    **dict.fromkeys(("UNPACK_SEQUENCE", "UNPACK_EX"), _Walk._unpack),
    "FOR_ITER": _Walk._iterate,
    **dict.fromkeys(("BEFORE_WITH", "BEFORE_ASYNC_WITH"), _Walk._enter_block),
    "LOAD_SPECIAL": _Walk._load_special,
    "MATCH_CLASS": _Walk._class_pattern,
    "MAKE_FUNCTION": _Walk._function,
    "KW_NAMES": _Walk._keywords,
    **dict.fromkeys(("CALL", "CALL_KW"), _Walk._called),
    "CALL_FUNCTION_EX": _Walk._called_with_all,
    **dict.fromkeys(("RETURN_VALUE", "YIELD_VALUE"), _Walk._returned),
    "PUSH_NULL": _Walk._null,
    **dict.fromkeys(("POP_TOP", "POP_ITER"), _Walk._drop),
    "COPY": _Walk._copy,
    "SWAP": _Walk._swap,
    "IMPORT_NAME": _Walk._imported,
    "IMPORT_FROM": _Walk._import_from,
    **dict.fromkeys(
        (
            "RESUME",
            "PRECALL",
            "NOP",
            "CACHE",
            "COPY_FREE_VARS",
            "MAKE_CELL",
            "GET_ITER",
            "NOT_TAKEN",
        ),
        _Walk._nothing,
    ),
}
