"""What one recording relies on: found before it, compared after it, put back if it is refused."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.compiler.record.dependencies import (
    Dependency,
    Place,
    changed_among,
    put_back,
    random_states,
)
from tinygrad_lab.compiler.record.follow import Reading, what_it_reads
from tinygrad_lab.compiler.record.things import StandIn
from tinygrad_lab.compiler.record.trace import memory_owner
from tinygrad_lab.engine.hooks import hooked
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.errors import CompileError

__all__ = ["Relied"]


class Relied:
    """The dependencies of one recording."""

    def __init__(self) -> None:
        self.dependencies: list[Dependency] = []
        """Those on the Python that the step can read."""
        self._random: list[Dependency] = []
        self._reading: Reading | None = None
        self._hooks: dict[int, tuple[Any, ...]] = {}

    def find(
        self,
        function: Any,
        leaves: list[Any],
        names: list[str],
        structure: Any,
        as_numbers: Container[int],
    ) -> None:
        """Find what a function can read, before it is called with these leaves of arguments."""

        def given(place: int) -> Any:
            leaf = leaves[place]
            recorded = place in as_numbers or type(leaf) is np.ndarray
            return StandIn(type(leaf), place) if recorded else leaf

        def leaves_of(part: Any) -> list[tuple[str, Any]]:
            return [(names[place], given(place)) for place in trees.flatten(part)[0]]

        args, kwargs = structure
        arguments = list(map(leaves_of, args)), {n: leaves_of(part) for n, part in kwargs.items()}
        self._reading = reading = what_it_reads(function, arguments)
        self.dependencies += reading.dependencies
        self._random = [one for one in self.dependencies if one.policy == "untouched"]
        self._random += random_states()
        self._hooks = _hooks_now()

    @property
    def prints(self) -> list[Any]:
        """The lines that print."""
        return [] if self._reading is None else self._reading.prints

    def refuse_random(self) -> None:
        """Raise if the step has drawn from Python's or NumPy's generators."""
        for one in changed_among(self._random):
            where = one.where if one.here is not None else self._line_of_random()
            raise CompileError(
                f"tg.compile: the step draws from {one.path}, whose random numbers a replay "
                "would repeat. Draw with tg.random, and choose with tg.where; or draw outside of "
                f"the step and pass the result as an argument.\n  at {where}"
            )

    def _line_of_random(self) -> Any:
        assert self._reading is not None
        return next(iter(self._reading.randoms), self._reading.first_line)

    def compare_arrays(self, values: Iterable[Any]) -> None:
        """Depend on the numbers in arrays that the trace has not seen: NumPy alone read them."""
        assert self._reading is not None
        # A constant that the step made from an array is another one.
        seen = {id(memory_owner(value.array)) for value in values}
        reach = self._reading.reach
        known = {one.key for one in self.dependencies}
        for thing in self._reading.arrays:
            if id(memory_owner(thing.value)) not in seen:
                reach.numbers(thing)
        self.dependencies += [one for one in reach.found.values() if one.key not in known]

    def changed(self) -> list[Dependency]:
        """Return what the step itself has changed."""
        changed = changed_among([one for one in self.dependencies if one.policy != "untouched"])
        now = _hooks_now()
        for key in now.keys() & self._hooks.keys():
            if len(now[key]) != len(self._hooks[key]):
                place = Place("itself", None)
                changed.append(Dependency("the hooks of a tensor", place, None))
        return changed

    def put_back(self) -> None:
        """Put everything back that the step has changed by itself."""
        put_back([*self.dependencies, *self._random])


def _hooks_now() -> dict[int, tuple[Any, ...]]:
    """Return the hooks of all living leaves that have any."""
    nodes = [reference() for reference in list(hooked)]
    return {id(node._hooks): tuple(node._hooks) for node in nodes if isinstance(node, Leaf)}
