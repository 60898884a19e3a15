"""Functions that are followed, with what their variables may be, and what calls give them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import CellType, CodeType
from typing import Any

from tinygrad_lab.compiler.record.things import Things, merged

__all__ = ["Arguments", "Scope"]

_STAR, _STARS = 0x04, 0x08


@dataclass(frozen=True, slots=True)
class Arguments:
    """What a call may be given."""

    args: list[Things] | None
    """By position; None if it is not known what stands in which place: then all is in ``rest``."""
    kwargs: Mapping[str, Things] = field(default_factory=dict)
    rest: Things = ()
    owner: Things | None = None
    """What a method is called on: its first argument."""

    @property
    def positional(self) -> list[Things]:
        """What is known to be given by position."""
        return [*([] if self.owner is None else [self.owner]), *(self.args or ())]

    @property
    def all(self) -> Things:
        """All that may be given."""
        return merged(*self.positional, *self.kwargs.values(), self.rest)

    def on(self, owner: Things) -> Arguments:
        """Return those of a method that is called on an object."""
        return Arguments(self.args, self.kwargs, self.rest, owner)

    def after(self, args: list[Things], kwargs: Mapping[str, Things]) -> Arguments:
        """Return them behind others, as ``functools.partial`` gives them."""
        known = None if self.args is None else [*args, *self.args]
        return Arguments(known, {**kwargs, **self.kwargs}, merged(self.rest, *args))


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

    def bind(self, given: Arguments) -> None:
        """Give the parameters what the function is called with."""
        code, args, rest = self.code, given.positional, given.rest
        names = code.co_varnames[: code.co_argcount]
        only = code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
        more = code.co_varnames[code.co_argcount + code.co_kwonlyargcount :]
        for name, things in zip(names, args, strict=False):
            self.add(name, things)
        for name in (*names[len(args) :], *only) if given.args is None or rest else ():
            self.add(name, rest)
        extra = merged(rest, *args[len(names) :])
        for name, things in given.kwargs.items():
            if name in names or name in only:
                self.add(name, things)
            else:
                extra = merged(extra, things)
        count = bool(code.co_flags & _STAR) + bool(code.co_flags & _STARS)
        for name in more[:count]:
            self.add(name, extra)
