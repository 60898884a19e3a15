"""Operations on Python numbers as expressions, and the names of the rest.

Numbers have no memory to plan, but a step of 100,000 of them has costs of its own: every name is a
store and a load, names beyond the first 256 take longer, and numbers that are all kept until the
end are far apart in memory. So an operation whose result is used once, and soon, is written where
it is used, and large steps reuse a name once its number is no longer read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from heapq import heappop, heappush
from typing import Any

from tinygrad_lab.compiler.functions import ATOM, Expression, known
from tinygrad_lab.compiler.record.trace import Event, Value

__all__ = ["Expressions"]

Writer = Callable[[Any], str]

_NEAR = 4000
"""Within this many operations a number is used soon; one that waits longer delays others.
(A gradient to which each of 100 points contributes is written as one expression, rather than
stored and loaded 100 times: that is worth the wait.)"""
_DEEPEST = 40
"""The greatest depth of an expression: Python's compiler is recursive."""
_FAST_NAMES = 256


def _form_of(event: Event) -> Expression | None:
    """Return how an operation is written as an expression; None if it has to be a call."""
    row = known(event.call.name)
    if row.infix is not None and row.infix[0] == "/":
        divisor = event.args[-1]
        if type(divisor) not in (int, float) or not divisor:
            return None
    return row.expression


class Expressions:
    """The numbers that have no name, and the names of the others."""

    def __init__(self, events: list[Event], kept: Iterable[Value]) -> None:
        """Fold the events; ``kept`` are the values that are read after all of them."""
        self._kept = set(kept)
        self._last: dict[Value, int] = {}
        """Where a value is read for the last time: the position of the event, or of the one
        whose expression contains it."""
        shared: set[Value] = set()
        for position, event in enumerate(events):
            for value in event.inputs:
                if value in self._last:
                    shared.add(value)
                self._last[value] = position
        self._alone = self._last.keys() - shared - self._kept
        self.folded: dict[Value, Event] = {}
        """Numbers written where they are used, with the operation that gives them."""
        self._fold(events)
        for value, event in reversed(self.folded.items()):
            # The operands of a folded expression are read where it stands, not earlier.
            position = self._last[value]
            for operand in event.inputs:
                if self._last[operand] < position:
                    self._last[operand] = position

    def _fold(self, events: list[Event]) -> None:
        """Write operands that are used in only one place there."""
        made: dict[Value, int] = {}
        depth: dict[Value, int] = {}
        for position, event in enumerate(events):
            if not event.is_on_numbers:
                continue
            deepest = 0
            if not known(event.call.name).is_twice and _form_of(event) is not None:
                for value in event.inputs:
                    if value not in self._alone or position - made.get(value, -_NEAR) >= _NEAR:
                        continue
                    if depth[value] + 1 < _DEEPEST:
                        self.folded[value] = value.event  # type: ignore[assignment]
                        deepest = max(deepest, depth[value] + 1)
            made[event.result] = position
            depth[event.result] = deepest

    def names(self, events: list[Event]) -> dict[Value, str]:
        """Return names for the numbers that need one, if there are too many for their own names."""
        named = [
            (position, event.result)
            for position, event in enumerate(events)
            if event.is_on_numbers and event.result not in self.folded
        ]
        if len(named) < _FAST_NAMES:
            return {}
        names: dict[Value, str] = {}
        ending: list[tuple[int, str]] = []
        """The names in use, as a heap: where their numbers are read for the last time."""
        free: list[str] = []
        count = 0
        for position, value in named:
            # An expression is computed before its result gets the name.
            while ending and ending[0][0] <= position:
                free.append(heappop(ending)[1])
            if not free:
                free.append(f"n{count}")
                count += 1
            name = names[value] = free.pop()
            if value not in self._kept:
                heappush(ending, (self._last[value], name))
        return names

    def text(self, event: Event, argument: Writer, bound: Callable[[str, Any], str]) -> str:
        """Write an operation as an expression, or as a call if it can raise.

        ``argument`` writes what is not folded, ``bound`` gives a function a name.
        """
        return self._written(event, argument, bound)[0]

    def _written(
        self, event: Event, argument: Writer, bound: Callable[[str, Any], str]
    ) -> tuple[str, int]:
        """Write an operation, and return its precedence, too."""
        form = _form_of(event)
        if form is None:
            function = bound(event.call.name, event.call.function)
            return f"{function}({', '.join(map(argument, event.args))})", ATOM
        template, strength, needed = form
        parts = []
        for one, least in zip(event.args, needed, strict=True):
            inner = self.folded.get(one) if one.__class__ is Value else None
            if inner is None:
                parts.append(argument(one))
            else:
                text, holds = self._written(inner, argument, bound)
                parts.append(text if holds >= least else f"({text})")
        return template.format(*parts), strength
