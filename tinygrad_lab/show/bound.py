"""Cuts a net ever more coarsely, until its boxes are few: ten thousand nodes fit a slide.

How many boxes there are bounds the time that layout takes; no clock is read, so that a picture has
the same bytes on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tinygrad_lab.graphs import GraphNode
from tinygrad_lab.show.fold import Unit

__all__ = ["Cut", "cuts", "grouped_leaves", "is_folded"]

_LEAST_RUN = 3
"""A run of fewer ops is not folded."""
_SHOWN = 2
"""Of a run, so many ops are drawn at either end, where there is room for them."""
_ENDS = 8
"""Of the allowed boxes, one in so many is drawn before the folded middle, and one after it."""
_LEAVES_SIDE_BY_SIDE = 3

Calls = Callable[[int], Iterable[Unit]]
"""Cuts ops into calls of modules, at most so many modules deep."""


@dataclass(frozen=True)
class Cut:
    """One way to cut the ops of a graph into boxes."""

    calls: tuple[Unit, ...]
    is_asked: bool = False
    """Whether it is what the user asked for, with nothing folded."""
    leaves_together: bool = False
    """Whether all leaves outside of boxes share one."""


def cuts(asked: Sequence[Unit], calls_at: Calls, most: int) -> Iterator[Cut]:
    """Yield cuts from the one that was asked for to the coarsest, which has about ``most`` boxes.

    Runs of ops outside of modules are folded first, then modules that are deep inside others, then
    the middle of the net.

    Args:
        asked: the calls of modules and the single ops that the user asked for, in order.
        calls_at: cuts the same ops at another depth at most.
        most: the number of boxes.
    """
    yield Cut(tuple(asked), is_asked=True)
    yield Cut(_runs_folded(asked, shown=_SHOWN))
    calls = _runs_folded(asked)
    yield Cut(calls)
    deepest = max((len(node.modules) for unit in asked for node in unit.members), default=0)
    for depth in range(deepest, 0, -1):
        coarser = _runs_folded(calls_at(depth))
        if len(coarser) < len(calls):
            calls = coarser
            yield Cut(calls)
    ends = max(most // _ENDS, 1)
    yield Cut(_middle_folded(calls, ends))
    while ends > 1:
        ends //= 2
        yield Cut(_middle_folded(calls, ends), leaves_together=True)
    yield Cut(_middle_folded(calls, 0), leaves_together=True)


def _runs_folded(units: Iterable[Unit], shown: int = 0) -> tuple[Unit, ...]:
    """Fold runs of ops outside of modules but for ``shown`` ops at either end of each.

    The last op of all is the result, and stays.
    """
    *before, last = units
    found: list[Unit] = []
    for in_module, run in groupby(before, key=lambda unit: bool(unit.module)):
        parts = list(run)
        short = len(parts) < _LEAST_RUN + 2 * shown
        found += parts if in_module or short else _middle_folded(parts, shown)
    return (*found, last)


def _middle_folded(units: Sequence[Unit], ends: int) -> tuple[Unit, ...]:
    """Fold all units between the first ``ends`` and the last ``ends`` into one."""
    if len(units) <= 2 * ends + 1:
        return tuple(units)
    last = len(units) - ends
    return (*units[:ends], _together(units[ends:last]), *units[last:])


def _together(units: Iterable[Unit]) -> Unit:
    return Unit(tuple(node for unit in units for node in unit.members))


def grouped_leaves(leaves: Sequence[GraphNode]) -> Iterator[Unit]:
    """Yield leaves with the same users, many of them as one box."""
    if len(leaves) > _LEAVES_SIDE_BY_SIDE:
        yield Unit(tuple(leaves))
    else:
        yield from (Unit((leaf,)) for leaf in leaves)


def is_folded(unit: Unit) -> bool:
    """Return whether a box stands for several that have no module in common."""
    alike = {node.is_leaf for node in unit.members[:2]}
    return not unit.module and len(unit.members) > 1 and len(alike) == 1
