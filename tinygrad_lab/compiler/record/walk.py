"""Walking bytecode: following the instructions of a function, without running them.

Each instruction is given what may be on the stack and in the variables: objects that exist now
(``Thing``), or nothing that leads to any. Variables gather whatever is stored in them, so the order
of statements does not matter, and loops are followed until nothing new comes up.
"""

from __future__ import annotations

import builtins
import dis
import sys
from collections.abc import Callable
from types import CodeType, ModuleType

import numpy as np

from tinygrad_lab.compiler.record.attributes import attribute, python_function, supers
from tinygrad_lab.compiler.record.dependencies import ABSENT, Place
from tinygrad_lab.compiler.record.instructions import (
    ENDS,
    JUMPS,
    after_jump,
    instructions_of,
    is_augmented,
    is_method_load,
    looks,
    reads,
    takes_all,
)
from tinygrad_lab.compiler.record.items import item, items, unfrozen, use
from tinygrad_lab.compiler.record.reach import Reach
from tinygrad_lab.compiler.record.scopes import Scope
from tinygrad_lab.compiler.record.things import (
    UNKNOWN,
    Fresh,
    Gradient,
    Inner,
    StandIn,
    Thing,
    Things,
    merged,
)
from tinygrad_lab.engine.tensor import Tensor

__all__ = ["walk"]


def walk(reach: Reach, scope: Scope) -> None:
    """Go once through the instructions of a function."""
    _Walk(reach, scope).go()


class _Walk:
    """One pass through the instructions of a function."""

    def __init__(self, reach: Reach, scope: Scope) -> None:
        self.scope, self.reach = scope, reach
        self.stack: list[Things] = []
        self._names: tuple[str, ...] = ()
        """The names of the last arguments of the next call."""

    def go(self) -> None:
        instructions, handlers = instructions_of(self.scope.code)
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
            if one.opcode in JUMPS and isinstance(one.argval, int) and one.argval > one.offset:
                stacks.setdefault(one.argval, after_jump(one, before, self.stack))
            if one.opname in ENDS:
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
            if reads(one) and self.stack:
                use(self.reach, self.stack[-1])
            self.stack += [()] * effect
            return
        both = merged(*self.pop(-effect if takes_all(one) else 1 - effect))
        if one.opname == "IS_OP" or one.opname.endswith("NONE"):
            self.reach.is_none(both)
        elif looks(one):
            use(self.reach, both)
            self.reach.is_none(both)
        if not takes_all(one):
            self.push(unfrozen(both))

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
        found = attribute(self.reach, owner, one.argval)
        if is_method_load(one):
            self._push_callee(found)
        else:
            self.push(found)

    def _super_attribute(self, one: dis.Instruction) -> None:
        _, kinds, owners = self.pop(3)
        found = attribute(self.reach, supers(self.reach, kinds, owners), one.argval)
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
                    function = python_function(setter.fset, path)
                    self.reach.call(function, [(owner,), things])
                elif hasattr(value, "__dict__") or hasattr(setter, "__set__"):
                    self.reach.enter(path, Place("attribute", value, one.argval))

    def _item(self, one: dis.Instruction) -> None:
        owner, key = self.pop(2)
        self.push(item(self.reach, owner, key))

    def _slice(self, one: dis.Instruction) -> None:
        self.pop(one.arg or 2)
        self.push(())

    def _store_item(self, one: dis.Instruction) -> None:
        """Follow STORE_SUBSCR, DELETE_SUBSCR and STORE_SLICE."""
        number, place = _STORES[one.opname]
        for owner in self.pop(number)[place]:
            if isinstance(owner.value, np.ndarray):
                self.reach.numbers(owner)
            else:
                items(self.reach, (owner,))

    def _operator(self, one: dis.Instruction) -> None:
        left, right = self.pop(2)
        if one.argrepr == "[]":
            self.push(item(self.reach, left, right))
            return
        use(self.reach, merged(left, right))
        self.reach.numbers_alone([left, right])
        if is_augmented(one):
            for owner in left:
                if isinstance(owner.value, np.ndarray):
                    self.reach.numbers(owner)
        # What an operator makes of an array is another one.
        self.push(unfrozen(merged(left, right)))

    # --- containers -------------------------------------------------------------------------------

    def _build(self, one: dis.Instruction) -> None:
        count = (one.arg or 0) * (2 if one.opname == "BUILD_MAP" else 1)
        count += one.opname == "BUILD_CONST_KEY_MAP"
        self.push(merged(*self.pop(count)))

    def _extend(self, one: dis.Instruction) -> None:
        taken = self.pop(2 if one.opname == "MAP_ADD" else 1)
        things = merged(*taken)
        if one.opname not in ("LIST_APPEND", "SET_ADD", "MAP_ADD"):
            things = merged(things, items(self.reach, things))
        place = len(self.stack) - (one.arg or 1)
        if place >= 0:
            self.stack[place] = merged(self.stack[place], things)

    def _unpack(self, one: dis.Instruction) -> None:
        (things,) = self.pop()
        count = one.arg or 0
        if one.opname == "UNPACK_EX":
            count = (count & 0xFF) + 1 + (count >> 8)
        parts = merged(items(self.reach, things), UNKNOWN)
        self.stack += [parts] * count

    def _iterate(self, one: dis.Instruction) -> None:
        things = self.stack[-1] if self.stack else ()
        self.push(merged(items(self.reach, things), UNKNOWN))

    def _enter_block(self, one: dis.Instruction) -> None:
        """Follow the beginning of a with block."""
        (manager,) = self.pop()
        use(self.reach, manager)
        enter = attribute(self.reach, manager, "__enter__")
        self.push(())
        self.push(merged(self.reach.call(enter, []), manager))

    def _load_special(self, one: dis.Instruction) -> None:
        (manager,) = self.pop()
        use(self.reach, manager)
        both = [attribute(self.reach, manager, name) for name in ("__enter__", "__exit__")]
        self._push_callee(merged(*both))

    def _class_pattern(self, one: dis.Instruction) -> None:
        subject, _, names = self.pop(3)
        found = [
            attribute(self.reach, subject, name)
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
        made = Thing(code.co_name, Inner(code, self.scope, defaults))
        self.push((self.reach.once(lambda: made, "inner", code, self.scope),))

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
        self.push(self.reach.call(functions, [*own, *args[:split]], kwargs))

    def _called_with_all(self, one: dis.Instruction) -> None:
        keywords = self.pop() if one.arg is None or one.arg & 1 else []
        taken = [*self.pop(), *keywords]
        functions, own = self._callee()
        given = merged(*own, *taken, *[items(self.reach, things) for things in taken])
        self.push(self.reach.call(functions, None, {}, given))

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
            return supers(self.reach, *args)
        kinds = self._variable(self.scope, "__class__")
        first = self.scope.code.co_varnames[:1]
        return supers(self.reach, kinds, self.scope.variables.get(first[0], ()) if first else ())

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
        self.push(attribute(self.reach, self.stack[-1] if self.stack else (), one.argval))

    def _nothing(self, one: dis.Instruction) -> None:
        """Follow an instruction that changes nothing here."""


_STORES = {"STORE_SUBSCR": (3, 1), "DELETE_SUBSCR": (2, 0), "STORE_SLICE": (4, 1)}
"""How many things these take from the stack, and which of them they write into."""


def _is_super(functions: Things) -> bool:
    return len(functions) == 1 and functions[0].value is super


_FOLLOWED: dict[Callable[[_Walk, dis.Instruction], None], str] = {
    _Walk._local: (
        "LOAD_FAST LOAD_FAST_CHECK LOAD_FAST_AND_CLEAR LOAD_FAST_BORROW LOAD_FAST_LOAD_FAST "
        "LOAD_FAST_BORROW_LOAD_FAST_BORROW STORE_FAST STORE_FAST_LOAD_FAST "
        "STORE_FAST_STORE_FAST STORE_FAST_MAYBE_NULL DELETE_FAST"
    ),
    _Walk._constant: "LOAD_CONST LOAD_SMALL_INT LOAD_CONST_IMMORTAL",
    _Walk._global: "LOAD_GLOBAL LOAD_NAME",
    _Walk._store_global: "STORE_GLOBAL DELETE_GLOBAL",
    _Walk._free: "LOAD_DEREF LOAD_CLASSDEREF LOAD_CLOSURE LOAD_FROM_DICT_OR_DEREF",
    _Walk._store_free: "STORE_DEREF",
    _Walk._attribute: "LOAD_ATTR LOAD_METHOD",
    _Walk._super_attribute: "LOAD_SUPER_ATTR",
    _Walk._store_attribute: "STORE_ATTR",
    _Walk._slice: "BUILD_SLICE",
    _Walk._item: "BINARY_SUBSCR",
    _Walk._store_item: "STORE_SUBSCR DELETE_SUBSCR STORE_SLICE",
    _Walk._operator: "BINARY_OP COMPARE_OP CONTAINS_OP",
    _Walk._build: "BUILD_LIST BUILD_TUPLE BUILD_SET BUILD_MAP BUILD_CONST_KEY_MAP",
    _Walk._extend: ("LIST_APPEND SET_ADD MAP_ADD LIST_EXTEND SET_UPDATE DICT_UPDATE DICT_MERGE"),
    _Walk._unpack: "UNPACK_SEQUENCE UNPACK_EX",
    _Walk._iterate: "FOR_ITER",
    _Walk._enter_block: "BEFORE_WITH BEFORE_ASYNC_WITH",
    _Walk._load_special: "LOAD_SPECIAL",
    _Walk._class_pattern: "MATCH_CLASS",
    _Walk._function: "MAKE_FUNCTION",
    _Walk._keywords: "KW_NAMES",
    _Walk._called: "CALL CALL_KW",
    _Walk._called_with_all: "CALL_FUNCTION_EX",
    _Walk._returned: "RETURN_VALUE YIELD_VALUE",
    _Walk._null: "PUSH_NULL",
    _Walk._drop: "POP_TOP POP_ITER",
    _Walk._copy: "COPY",
    _Walk._swap: "SWAP",
    _Walk._imported: "IMPORT_NAME",
    _Walk._import_from: "IMPORT_FROM",
    _Walk._nothing: "RESUME PRECALL NOP CACHE COPY_FREE_VARS MAKE_CELL GET_ITER NOT_TAKEN",
}
_HANDLERS = {name: method for method, names in _FOLLOWED.items() for name in names.split()}
