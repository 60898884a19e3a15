"""Finds the time steps of a recurrent net: the same module is called again and again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, takewhile

from tinygrad_lab.show.fold import Unit
from tinygrad_lab.show.repeats import look_of

__all__ = ["time_steps"]


def time_steps(spine: Sequence[Unit]) -> tuple[tuple[Unit, ...], ...]:
    """Return the parts of a main path that are the steps of a recurrence; none if it has none.

    A step is a call of a module with parameters, with what is computed before and after each call
    alike. Two layers that share their parameters are two steps.
    """
    calls: dict[str, list[int]] = {}
    for place, unit in enumerate(spine):
        if unit.module and _learns(unit):
            calls.setdefault(unit.module, []).append(place)
    places = max(calls.values(), key=len, default=[])
    between = [_looks(spine[one + 1 : other]) for one, other in pairwise(places)]
    if not between or any(looks != between[0] for looks in between):
        return ()
    after = _common_start(between[0], _looks(spine[places[-1] + 1 :]))
    before = between[0][after:]
    first = _looks(spine[: places[0]])
    led = _common_start(before[::-1], first[::-1])
    starts = [places[0] - led, *(place - len(before) for place in places[1:])]
    return tuple(
        tuple(spine[start : place + after + 1]) for start, place in zip(starts, places, strict=True)
    )


def _learns(unit: Unit) -> bool:
    """Return whether a module computes with parameters."""
    sources = [source for node in unit.members for _, source in node.inputs]
    return any(source.is_leaf and source.requires_grad for source in sources)


def _looks(units: Sequence[Unit]) -> list[object]:
    return [look_of(unit) for unit in units]


def _common_start(one: Sequence[object], other: Sequence[object]) -> int:
    """Return how many elements two lists begin with alike."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))
