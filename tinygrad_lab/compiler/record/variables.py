"""The names of results in code: the variable in which an instruction's result is stored.

Bytecode is read around single instructions. The module ``dis`` describes whole functions, with
lines and texts for people, which takes 20 ms for the functions that a small net runs through.
"""

from __future__ import annotations

from collections.abc import Iterator
from dis import opname
from types import CodeType

__all__ = ["RETURNED", "Target", "Variables"]

Target = str | tuple[str, ...]
"""A variable, or those that a sequence is unpacked into."""

RETURNED = "return"
"""Stands for the variable of a result that is returned immediately."""

_NAMED = frozenset({"STORE_NAME", "STORE_GLOBAL", "STORE_ATTR"})
_LOCAL = frozenset({"STORE_FAST", "STORE_DEREF"})
_SKIPPED = frozenset({"CACHE", "SWAP"})


class Variables:
    """The variables of one piece of code."""

    def __init__(self, code: CodeType) -> None:
        self._instructions = code.co_code
        self._names = code.co_names
        cells = [name for name in code.co_cellvars if name not in code.co_varnames]
        self._locals = (*code.co_varnames, *cells, *code.co_freevars)
        self._found: dict[int, Target | None] = {}

    def of(self, offset: int) -> Target | None:
        """Return the variable of the result of the instruction at an offset, or None."""
        if offset not in self._found:
            self._found[offset] = self._target(offset)
        return self._found[offset]

    def _target(self, offset: int) -> Target | None:
        # A frame may be at an instruction, or at its cache entry behind it.
        while opname[self._instructions[offset]] == "CACHE":
            offset -= 2
        if opname[self._instructions[offset]] == "UNPACK_SEQUENCE":
            return self._unpacked(offset)
        name, argument = next(self._after(offset))
        if name == "RETURN_VALUE":
            return RETURNED
        return next(iter(self._stored(name, argument)), None)

    def _unpacked(self, offset: int) -> tuple[str, ...]:
        """Return the variables that a sequence is unpacked into, if they are local."""
        count = self._instructions[offset + 1]
        variables: list[str] = []
        for name, argument in self._after(offset):
            if not name.startswith("STORE_FAST") or len(variables) == count:
                break
            variables += self._stored(name, argument)
        return tuple(variables) if len(variables) == count else ()

    def _after(self, offset: int) -> Iterator[tuple[str, int]]:
        """Yield the instructions behind one, with their arguments."""
        high = 0
        for place in range(offset + 2, len(self._instructions), 2):
            name, argument = opname[self._instructions[place]], self._instructions[place + 1]
            if name == "EXTENDED_ARG":
                high = (high | argument) << 8
            elif name not in _SKIPPED:
                yield name, high | argument
                high = 0

    def _stored(self, name: str, argument: int) -> list[str]:
        """Return the variables that an instruction stores in, if users could have written them."""
        return [found for found in self._all_stored(name, argument) if found.isidentifier()]

    def _all_stored(self, name: str, argument: int) -> list[str]:
        if name in _NAMED:
            return [self._names[argument]]
        if name in _LOCAL:
            return [self._locals[argument]]
        if name == "STORE_FAST_STORE_FAST":  # from Python 3.13 on
            return [self._locals[argument >> 4], self._locals[argument & 15]]
        if name == "STORE_FAST_LOAD_FAST":
            return [self._locals[argument >> 4]]
        return []
