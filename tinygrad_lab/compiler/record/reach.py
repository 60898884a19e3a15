"""What Python a step can read: its code is followed, object by object, before it is recorded.

The code of a step names what it reads: variables, attributes, items. Beginning with the function,
``follow.py`` follows its calls, and ``walk.py`` the instructions of each function, with the very
objects that they would meet. ``attributes.py`` and ``items.py`` say what each leads to:
``cfg.loss.alpha`` leads from the variable ``cfg`` to an object, to another, to a number, and each
is entered here as a dependency. All branches are followed, also into the user's functions, methods,
properties and modules that are called. What comes out of a call that cannot be followed (NumPy's,
Python's) is taken to be any of what went into it. So more may be entered than a call reads, but not
less.
"""

from __future__ import annotations

from collections.abc import Callable
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.dependencies import (
    ABSENT,
    PLAIN,
    Dependency,
    Place,
    Policy,
    is_random,
)
from tinygrad_lab.compiler.record.things import Gradient, Thing, Things
from tinygrad_lab.compiler.refusal import UnsupportedError
from tinygrad_lab.engine.user_code import line_of
from tinygrad_lab.errors import CompileError
from tinygrad_lab.nn.module import Module

__all__ = ["Reach"]

MOST = 20_000
"""More dependencies than a step can check at each call in reasonable time."""
LARGE = 1 << 20
"""Bytes from which an array that NumPy alone reads is not compared at each call."""
_KEYS = (int, str)
_NUMPYS = (np.ndarray, *PLAIN)


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
        self.used: dict[int, Thing] = {}
        """What operators, loops and foreign functions can meet, by the ids of the objects."""
        self.whole: dict[int, tuple[Thing, int]] = {}
        """That of which all is entered, and to which depth."""
        self._made: dict[tuple[Any, ...], Any] = {}

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

    def once(self, make: Callable[[], Any], *parts: Any) -> Any:
        """Return what was made of these parts before, so that it is followed once; or make it."""
        key = tuple([part if isinstance(part, _KEYS) else id(part) for part in parts])
        made = self._made.get(key)
        if made is None:
            # The parts are kept, so that no other objects get their ids.
            made = self._made[key] = make(), parts
        return made[0]

    def one_of(self, kind: Any, *parts: Any) -> Any:
        """Return a method of an object: the same one each time."""
        owners = [part.value if isinstance(part, Thing) else part for part in parts]
        return self.once(lambda: kind(*parts), kind, *owners)

    def numbers(self, thing: Thing) -> None:
        """Enter a dependency on the numbers in an array, which the step reads by NumPy alone."""
        if thing.value.nbytes > LARGE:
            raise CompileError(
                f"tg.compile: the step reads {thing.path}, an array of {thing.value.nbytes:,} "
                "bytes, by NumPy alone, which a replay would freeze. Pass it as an argument, or "
                f"make it a tensor.\n  at {line_of(*self.here)}"
            )
        self.enter(thing.path, Place("itself", thing.value), "numbers")

    def numbers_alone(self, several: list[Things]) -> None:
        """Enter the numbers of arrays that NumPy is given without any tensor."""
        if all(things and all(isinstance(t.value, _NUMPYS) for t in things) for things in several):
            for things in several:
                for one in things:
                    if isinstance(one.value, np.ndarray):
                        self.numbers(one)

    def is_none(self, things: Things) -> None:
        """Follow a comparison with None, which tells whether a tensor has a ``.grad``."""
        for one in things:
            if isinstance(one.value, Gradient):
                owner = one.value.owner.value
                self.enter(f"whether {one.path} is None", Place("no grad", owner))

    def frozen(self, what: str) -> CompileError:
        return CompileError(
            f"tg.compile: the step asks for {what}, which may differ from call to call, but later "
            "calls replay the recording. Ask for it outside of the step and pass it as an "
            f"argument; or leave the step uncompiled.\n  at {line_of(*self.here)}"
        )

    def unsupported(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{what}, at {line_of(*self.here)}")
