"""What repeats along the main path of a net: fifty alike layers are drawn once, with ×50.

The time grows with the length of the path, not with its square: nets of ten thousand ops are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinygrad_lab.show.fold import Unit

__all__ = ["look_of", "repetitions"]

_LONGEST_PATTERN = 12
_LEAST_REPEATS = 3

Entries = frozenset[tuple[int, int]]
"""Where a run is entered: how far from its start the source is, and the target."""


def repetitions(
    spine: Sequence[Unit], lines: Sequence[tuple[Unit, Unit]]
) -> Iterator[tuple[int, int, int]]:
    """Yield where a pattern begins on the main path, its length, and how often it repeats.

    Longer patterns are found only where no shorter one is.
    """
    path = _Path(spine, lines)
    start = 0
    while start < len(spine):
        for length in range(1, _LONGEST_PATTERN + 1):
            times = path.times(start, length)
            if times >= _LEAST_REPEATS:
                yield start, length, times
                start += length * times - 1
                break
        start += 1


class _Path:
    """The main path as places 0, 1, 2 …, and what leads from one to another."""

    def __init__(self, spine: Sequence[Unit], lines: Sequence[tuple[Unit, Unit]]) -> None:
        place = {unit: n for n, unit in enumerate(spine)}
        numbers: dict[tuple[object, ...], int] = {}
        self.looks = [numbers.setdefault(look_of(unit), len(numbers)) for unit in spine]
        """A number for each unit: those that are drawn alike have the same."""
        self.sources: list[list[int]] = [[] for _ in spine]
        """The places that lead to each one."""
        self.reach = [0] * len(spine)
        """The furthest place that each one leads to; beyond the end if that is not on the path."""
        self.joined = [False] * len(spine)
        """Whether something computed beside the path leads to each one."""
        for source, target in lines:
            before, after = place.get(source), place.get(target, len(spine))
            if before is not None:
                self.reach[before] = max(self.reach[before], after)
            if after == len(spine):
                continue
            if before is not None:
                self.sources[after].append(before)
            elif not source.members[0].is_leaf:
                self.joined[after] = True

    def times(self, start: int, length: int) -> int:
        """Return how many runs of a length, one after the other, look alike and are joined alike.

        Each is joined to the one before it, and by its end to the next. The last may be left.
        """
        pattern = self.looks[start : start + length]
        if self.looks[start + length : start + 2 * length] != pattern:
            return 1  # most patterns do not repeat: this is quick
        entries = self._entries(start, length)
        if entries is None or len(pattern) < length:
            return 0
        times = 0
        while True:
            here = start + length * times
            alike = self.looks[here : here + length] == pattern
            if not alike or self._entries(here, length) != entries:
                return times
            if any(reach >= here + length for reach in self.reach[here : here + length - 1]):
                return times
            times += 1
            if self.reach[here + length - 1] >= here + 2 * length:
                return times

    def _entries(self, start: int, length: int) -> Entries | None:
        """Return where a run is entered; None if elsewhere than from the end of the one before."""
        places = range(start, min(start + length, len(self.looks)))
        if any(self.joined[place] for place in places):
            return None
        entries = {(one - start, place - start) for place in places for one in self.sources[place]}
        return frozenset(entries) if all(offset >= -1 for offset, _ in entries) else None


def look_of(unit: Unit) -> tuple[object, ...]:
    """What units that are drawn alike have in common."""
    nodes = [node for node in unit.members if not node.is_leaf]
    kinds = tuple((node.op_name, node.shape) for node in nodes)
    leaves = sorted(str(node.shape) for node in unit.members if node.is_leaf)
    named = unit.members[0].name if not unit.module else None
    kind = dict(nodes[0].modules).get(unit.module, "") if nodes else f"leaf {unit.key}"
    return kind, kinds, tuple(leaves), named
