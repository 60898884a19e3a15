"""What a recording relied on, besides arrays: one record for each, in one list.

A step reads ``cfg.loss.alpha``, the items of a list, the variable ``model``, the state of Python's
``random``. Each is a ``Dependency``: a path as the user would write it, where it is read again,
what was found there, and a policy. From the list come the check before a replay and its
generated code, what a step changes by itself, putting that back, and the sentence that says why a
call was recorded again.
"""

from __future__ import annotations

import math
import random
import sys
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import is_
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from tinygrad_lab.engine.user_code import line_of
from tinygrad_lab.nn.module import Module

__all__ = [
    "ABSENT",
    "CONTAINERS",
    "LOST",
    "PLAIN",
    "Dependency",
    "Place",
    "as_number",
    "changed_among",
    "contents",
    "guard_names",
    "is_random",
    "is_same",
    "items_of",
    "put_back",
    "random_states",
]

ABSENT: Any = type("Absent", (), {"__repr__": lambda _: "nothing"})()
"""What is found where there is nothing: an attribute or a key that may come to be."""

PLAIN = (bool, int, float, complex, str, bytes, type(None), type(...), np.generic)
"""What is compared by value."""
CONTAINERS = (list, tuple, dict, set, frozenset, deque, MappingProxyType, bytearray, array)
"""What is compared item by item."""
LOST = (AttributeError, LookupError, TypeError, ValueError, RuntimeError)
"""What reading a place again may raise: then it is not what it was."""

Policy = Literal["same", "items", "numbers", "untouched"]
"""``same``: the same object, or an equal number or string. ``items``: a container with the same
items. ``numbers``: an array with the same bits. ``untouched``: a state, such as that of a generator
of random numbers, that the step itself must not change; between calls it may."""

Kind = Literal[
    "variable",
    "cell",
    "attribute",
    "own attribute",
    "item",
    "itself",
    "state",
    "context",
    "parts",
    "no grad",
]


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Where something can be read again."""

    kind: Kind
    owner: Any
    """The dictionary of a module, a cell, an object, or a container."""
    key: Any = None

    def read(self) -> Any:
        """Return what is there now, or ``ABSENT``."""
        owner, key = self.owner, self.key
        try:
            match self.kind:
                case "variable":
                    return owner.get(key, ABSENT)
                case "cell":
                    return owner.cell_contents
                case "attribute":
                    return getattr(owner, key)
                case "own attribute":
                    return vars(owner).get(key, ABSENT)
                case "item":
                    return owner[key]
                case "state":
                    return _state_of(owner)
                case "context":
                    return owner.get(ABSENT)
                case "parts":
                    return parts(owner)
                case "no grad":
                    return owner.grad is None
                case _:
                    return owner
        except LOST:
            return ABSENT

    def code(self, name: str) -> str:
        """Return an expression that reads it, where ``name`` is its owner."""
        match self.kind:
            case "variable":
                return f"{name}.get({self.key!r}, ABSENT)"
            case "cell":
                return f"{name}.cell_contents"
            case "attribute" if self.key.isidentifier() and not self.key.startswith("__"):
                return f"{name}.{self.key}"
            case "attribute":
                return f"getattr({name}, {self.key!r})"
            case "own attribute":
                return f"{name}.__dict__.get({self.key!r}, ABSENT)"
            case "item":
                return f"{name}[{self.key!r}]"
            case "context":
                return f"{name}.get(ABSENT)"
            case "parts":
                return f"parts({name})"
            case "no grad":
                return f"({name}.grad is None)"
            case _:
                return name

    def write(self, thing: Any) -> None:
        """Put something there; ``ABSENT`` to remove what is there."""
        owner, key = self.owner, self.key
        match self.kind:
            case "variable" | "item" if thing is not ABSENT:
                owner[key] = thing
            case "variable" | "item":
                owner.pop(key, None)
            case "cell" if thing is ABSENT:
                del owner.cell_contents
            case "cell":
                owner.cell_contents = thing
            case "attribute" | "own attribute" if thing is ABSENT:
                delattr(owner, key)
            case "attribute" | "own attribute":
                setattr(owner, key, thing)
            case "state":
                _set_state(owner, thing)
            case "context":
                owner.set(thing)


@dataclass(slots=True, eq=False)
class Dependency:
    """One thing that a recording relied on."""

    path: str
    """As the user writes it: ``cfg.loss.alpha``, ``groups[0]["lr"]``."""
    place: Place
    found: Any
    """What was there; of a container its items, of an array a copy."""
    policy: Policy = "same"
    here: tuple[Any, int] | None = None
    """The code that reads it, and the offset of the instruction."""
    versioned: bool = False
    """A part or a setting of a module: the modules' common version says whether any has changed."""

    @property
    def key(self) -> tuple[Any, ...]:
        return (self.place.kind, id(self.place.owner), self.place.key, self.policy)

    @property
    def is_the_same(self) -> bool:
        """Whether it is as it was found."""
        return same_as_found(self.now(), self)

    def now(self) -> Any:
        """Return what would be found now."""
        thing = self.place.read()
        if self.policy == "items":
            return contents(thing)
        if self.policy == "numbers" and isinstance(thing, np.ndarray):
            return np.array(thing)
        return thing

    def check(self, number: int) -> str:
        """Return code that checks that it is as it was; it may raise one of ``LOST``."""
        place, found = f"place_{number}", f"found_{number}"
        text = self.place.code(place)
        if self.policy == "items":
            return f"has({text}, {found})"
        if self.policy == "numbers":
            return f"has_numbers({text}, {found})"
        if self.found is ABSENT and self.place.kind in ("attribute", "item"):
            return f"lacks_{self.place.kind}({place}, {self.place.key!r})"
        if isinstance(self.found, (*PLAIN, tuple)) and self.found not in (None, True, False):
            return f"((this := {text}) is {found} or is_same(this, {found}))"
        return f"{text} is {found}"

    @property
    def difference(self) -> str:
        """What is different, in words."""
        now = self.now()
        if self.policy == "items":
            return f"{self.path} has other items"
        if self.policy == "numbers":
            return f"{self.path} has other numbers, which NumPy alone reads"
        if isinstance(self.found, (*PLAIN, type(ABSENT))) and isinstance(
            now, (*PLAIN, type(ABSENT))
        ):
            return f"{self.path} is {now!r:.40}, and was {self.found!r:.40}"
        return f"{self.path} is another object"

    @property
    def where(self) -> str:
        """The user's line that reads it."""
        return str(line_of(*self.here)) if self.here is not None else "an unknown line"

    def __str__(self) -> str:
        return self.path


def guard_names(dependencies: Iterable[tuple[int, Dependency]]) -> dict[str, Any]:
    """Return the names in the code of the checks."""
    names: dict[str, Any] = {
        "ABSENT": ABSENT,
        "LOST": LOST,
        "has": has,
        "has_numbers": has_numbers,
        "is_same": is_same,
        "lacks_attribute": lacks_attribute,
        "lacks_item": lacks_item,
        "parts": parts,
    }
    for number, one in dependencies:
        names[f"place_{number}"], names[f"found_{number}"] = one.place.owner, one.found
    return names


def same_as_found(now: Any, one: Dependency) -> bool:
    """Return whether what is read now is what a dependency found."""
    if one.policy == "items":
        return now is not None and one.found is not None and is_same(now, one.found)
    if one.policy == "numbers":
        return isinstance(now, np.ndarray) and has_numbers(now, one.found)
    if one.policy == "untouched":
        return bool(_frozen(now) == _frozen(one.found))
    return is_same(now, one.found)


def changed_among(dependencies: Iterable[Dependency]) -> list[Dependency]:
    """Return those that are not as they were."""
    return [one for one in dependencies if not one.is_the_same]


def put_back(dependencies: Iterable[Dependency]) -> None:
    """Put everything back that has changed since it was found."""
    for one in changed_among(dependencies):
        if one.policy == "items":
            _refill(one.place.read(), one.found)
        elif one.policy == "numbers":
            np.copyto(one.place.read(), one.found)
        else:
            one.place.write(one.found)


# --- comparing ------------------------------------------------------------------------------------


def is_same(one: Any, other: Any) -> bool:
    """Return whether two are one object, or equal numbers, strings, or tuples of such."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple | frozenset):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, float):
        # -0.0 == 0.0, and NaN is no NaN.
        equal = one == other and math.copysign(1.0, one) == math.copysign(1.0, other)
        return equal or (one != one and other != other)
    if isinstance(one, np.generic):
        return bool(one.tobytes() == other.tobytes())
    return isinstance(one, PLAIN) and bool(one == other)


def as_number(setting: Any) -> float | None:
    """Return a setting that is a number of any kind as a float; None if it is none."""
    if isinstance(setting, bool | np.bool_) or not isinstance(setting, int | float | np.number):
        return None
    return float(setting) if isinstance(setting, _REAL) else None


_REAL = (int, float, np.floating, np.integer)


def contents(thing: Any) -> tuple[Any, ...] | None:
    """Return the items of a container, of a dict its keys and values; None for anything else."""
    if isinstance(thing, dict | MappingProxyType):
        return (*thing, *thing.values())
    return tuple(thing) if isinstance(thing, CONTAINERS) else None


def items_of(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield the items of a container, each with what is appended to its path."""
    if isinstance(thing, dict | MappingProxyType):
        yield from ((f"[{key!r:.40}]", value) for key, value in thing.items())
    elif isinstance(thing, set | frozenset):
        yield from (("", one) for one in thing)
    else:
        yield from ((f"[{number}]", one) for number, one in enumerate(thing))


def has(thing: Any, items: tuple[Any, ...]) -> bool:
    """Return whether a container has these very items."""
    now = (*thing, *thing.values()) if isinstance(thing, dict) else tuple(thing)
    return len(now) == len(items) and (all(map(is_, now, items)) or all(map(is_same, now, items)))


def has_numbers(array: Any, found: Any) -> bool:
    """Return whether an array has the bits of another."""
    return bool(
        array.shape == found.shape
        and array.dtype == found.dtype
        and array.tobytes() == found.tobytes()
    )


def parts(module: Any) -> tuple[Any, ...]:
    """Return the modules that are attributes of a module."""
    return tuple([part for part in vars(module).values() if isinstance(part, Module)])


def lacks_attribute(owner: Any, name: str) -> bool:
    return not hasattr(owner, name)


def lacks_item(owner: Any, key: Any) -> bool:
    try:
        owner[key]
    except LOST:
        return True
    return False


def _refill(container: Any, items: tuple[Any, ...]) -> None:
    """Give a container the items that it had."""
    if isinstance(container, list):
        container[:] = items
    elif isinstance(container, bytearray):
        container[:] = bytes(items)
    elif isinstance(container, array):
        container[:] = array(container.typecode, items)
    elif isinstance(container, dict):
        half = len(items) // 2
        container.clear()
        container.update(zip(items[:half], items[half:], strict=True))
    elif isinstance(container, set):
        container.clear()
        container.update(items)
    elif isinstance(container, deque):
        container.clear()
        container.extend(items)


# --- random states --------------------------------------------------------------------------------


def random_states() -> list[Dependency]:
    """Return the states of Python's and NumPy's own generators, which a step must not change."""
    found = [_untouched("Python's random", random)]
    if "numpy.random" in sys.modules:
        found.append(_untouched("numpy.random", sys.modules["numpy.random"]))
    return found


def _untouched(path: str, owner: Any) -> Dependency:
    place = Place("state", owner)
    return Dependency(path, place, place.read(), "untouched")


def is_random(thing: Any) -> bool:
    """Return whether it is a generator of random numbers, of Python or NumPy."""
    if isinstance(thing, random.Random):
        return True
    module = sys.modules.get("numpy.random")
    return module is not None and isinstance(thing, module.Generator | module.RandomState)


def _state_of(owner: Any) -> Any:
    if owner is random or isinstance(owner, random.Random):
        return owner.getstate()
    if hasattr(owner, "get_state"):
        kind, keys, *rest = owner.get_state()
        return (kind, keys.tobytes(), *rest)
    return owner.bit_generator.state


def _set_state(owner: Any, state: Any) -> None:
    if owner is random or isinstance(owner, random.Random):
        owner.setstate(state)
    elif hasattr(owner, "get_state"):
        kind, keys, *rest = state
        owner.set_state((kind, np.frombuffer(keys, np.uint32), *rest))
    else:
        owner.bit_generator.state = state


def _frozen(state: Any) -> Any:
    """Return a state with its arrays as bytes, which compare as a whole."""
    if isinstance(state, dict):
        return {name: _frozen(part) for name, part in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state
