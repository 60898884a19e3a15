"""What a step can meet while its code is followed: objects, and stand-ins for those it makes."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import CodeType
from typing import Any

__all__ = [
    "OURS",
    "UNKNOWN",
    "Bound",
    "Followed",
    "Fresh",
    "Gradient",
    "Inner",
    "Method",
    "StandIn",
    "Thing",
    "Things",
    "merged",
    "unknown",
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
class Bound:
    """A function of a class of the user's, with the object that it is called on."""

    function: Any
    owner: Thing


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of an object that is not written in Python: ``items.append``."""

    owner: Thing
    name: str


OURS = (Inner, Gradient, StandIn, Bound)

UNKNOWN: Things = (Thing("", object()),)
"""Something computed: a number or a name that only a call tells."""


def unknown(one: Thing) -> bool:
    """Return whether it is something computed."""
    return one is UNKNOWN[0]


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
