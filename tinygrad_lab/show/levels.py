"""What a picture of a whole net shows: a box for each call of a module, and the main path.

``ops`` in the order in which they ran are cut into calls of modules. What repeats is drawn once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from tinygrad_lab.graphs import Graph, GraphNode
from tinygrad_lab.show.fold import Unit, modules_of

__all__ = ["CONTAINERS", "Net", "Repeat", "net_of"]

CONTAINERS = frozenset({"Sequential", "ModuleList", "ModuleDict"})
"""Modules that only hold others: a picture looks through them."""

_LONGEST_PATTERN = 12
_LEAST_REPEATS = 3


@dataclass(frozen=True, eq=False)
class Repeat:
    """Units that stand for several such runs of units, one after the other."""

    units: tuple[Unit, ...]
    times: int
    last: tuple[Unit, ...]
    """The units of the last run: the picture says from where to where."""


@dataclass(frozen=True, eq=False)
class Net:
    """A graph as boxes of one level."""

    units: tuple[Unit, ...]
    """In the order in which they ran, leaves before what uses them."""
    spine: tuple[Unit, ...]
    """The main path: the longest way from an input to an output."""
    lines: tuple[tuple[Unit, Unit], ...]
    """Which unit uses which, once for each pair."""
    repeats: tuple[Repeat, ...]


def net_of(graph: Graph, depth: int | None, *, parameters: bool) -> Net:
    """Cut a graph into calls of modules.

    Args:
        graph: the graph.
        depth: how many modules deep a box is; containers do not count. None: the innermost ones.
        parameters: whether parameters of modules have boxes of their own.
    """
    module_of = modules_of(graph)
    units = list(_calls([node for node in graph if not node.is_leaf], depth))
    units = _with_leaves(graph, units, module_of, parameters)
    lines = _lines(units)
    spine = _longest_path(units, lines, graph)
    return _folded(Net(tuple(units), tuple(spine), tuple(lines), ()))


def _calls(ops: Iterable[GraphNode], depth: int | None) -> Iterator[Unit]:
    """Yield the calls of modules, and what was computed outside of them op by op."""
    ops = list(ops)
    around = {path for node in ops for path, _ in node.modules[:-1]}
    run: list[GraphNode] = []
    path = ""
    for node in ops:
        here = _path_at(node, depth, around)
        if run and (here != path or not here or _begins_again(node, run)):
            yield Unit(tuple(run), path)
            run = []
        run.append(node)
        path = here
    if run:
        yield Unit(tuple(run), path)


def _begins_again(node: GraphNode, run: Sequence[GraphNode]) -> bool:
    """Return whether the code of a call is back at its first line: then it is another call.

    The ops of the package's own modules all have the one line that called the module.
    """
    first = run[0]
    if node.op is not first.op or node.site != first.site:
        return False
    return any(one.site != first.site for one in run)


def _path_at(node: GraphNode, depth: int | None, around: set[str]) -> str:
    """Return the module whose box a node is in; ``""`` for a box of its own.

    Args:
        node: the node.
        depth: see ``net_of``.
        around: the modules that call others: what they compute themselves stands alone.
    """
    modules = [(path, kind) for path, kind in node.modules if path]
    if not modules:
        return ""
    whole = [path for path, kind in modules if kind not in CONTAINERS]
    if depth is None:
        return modules[-1][0] if modules[-1][0] not in around else ""
    return whole[depth - 1] if len(whole) >= depth else ""


def _with_leaves(
    graph: Graph, units: Sequence[Unit], module_of: Mapping[int, str], parameters: bool
) -> list[Unit]:
    """Add leaves: parameters to the call that uses them, others as boxes before it."""
    users: dict[int, list[Unit]] = {}
    for unit in units:
        for node in unit.members:
            for _, source in node.inputs:
                if source.is_leaf and unit not in users.setdefault(source.index, []):
                    users[source.index].append(unit)
    inside: dict[Unit, list[GraphNode]] = {}
    alone: dict[Unit | None, list[Unit]] = {}
    for leaf in graph.leaves:
        using = users.get(leaf.index, [])
        number = leaf.name is None and leaf.shape == ()
        owned = f"{module_of.get(leaf.index, '')}."
        own = [one for one in using if one.module and owned.startswith(f"{one.module}.")]
        if using and (number or (own == using and not (parameters and leaf.requires_grad))):
            for one in using:
                inside.setdefault(one, []).append(leaf)
        else:
            alone.setdefault(using[0] if using else None, []).append(Unit((leaf,)))
    found = list(alone.get(None, ()))
    for unit in units:
        found += alone.get(unit, ())
        found.append(
            replace(unit, members=(*unit.members, *inside[unit])) if unit in inside else unit
        )
    return found


def _lines(units: Sequence[Unit]) -> list[tuple[Unit, Unit]]:
    unit_of = {node.index: unit for unit in units for node in unit.members}
    lines: dict[tuple[Unit, Unit], None] = {}
    for unit in units:
        for node in unit.members:
            for _, source in node.inputs:
                before = unit_of[source.index]
                # A leaf may be in several units: it has no line then.
                if before is not unit and source not in unit.members:
                    lines[before, unit] = None
    return list(lines)


def _longest_path(
    units: Sequence[Unit], lines: Sequence[tuple[Unit, Unit]], graph: Graph
) -> list[Unit]:
    """Return the longest way to the first output; of equal ones, that of the first input."""
    before: dict[Unit, list[Unit]] = {}
    for source, target in lines:
        before.setdefault(target, []).append(source)
    best: dict[Unit, tuple[int, Unit | None]] = {}
    for unit in units:
        # A parameter is where no path begins.
        ways = [
            (best[one][0] + 1, one)
            for one in before.get(unit, ())
            if not (one.members[0].is_leaf and one.members[0].requires_grad)
        ]
        best[unit] = max(ways, key=lambda way: way[0], default=(0, None))
    ends = {out.index for out in graph.outputs[:1]}
    end = next(unit for unit in units if ends & {node.index for node in unit.members})
    path: list[Unit] = []
    step: Unit | None = end
    while step is not None:
        path.append(step)
        step = best[step][1]
    return path[::-1]


# --- what repeats --------------------------------------------------------------------------------


def _folded(net: Net) -> Net:
    """Draw runs of the main path that repeat once; longer patterns only where no shorter one is."""
    looks = [_look(unit) for unit in net.spine]
    place = {unit: n for n, unit in enumerate(net.spine)}
    repeats: list[Repeat] = []
    dropped: dict[Unit, Unit] = {}
    start = 0
    while start < len(net.spine):
        found = _repetition(looks, start, net.lines, place)
        if found is None:
            start += 1
            continue
        length, times = found
        first = net.spine[start : start + length]
        gone = net.spine[start + length : start + length * times]
        dropped |= {unit: first[n % length] for n, unit in enumerate(gone)}
        repeats.append(Repeat(first, times, gone[-length:]))
        start += length * times
    if not dropped:
        return net
    side = _beside(net, dropped)
    units = tuple(one for one in net.units if one not in dropped and one not in side)
    merged = dict.fromkeys(
        (dropped.get(a, a), dropped.get(b, b)) for a, b in net.lines if a not in side
    )
    order = {unit: place for place, unit in enumerate(units)}
    kept = tuple((a, b) for a, b in merged if a is not b and order[a] < order[b])
    spine = tuple(unit for unit in net.spine if unit not in dropped)
    return Net(units, spine, kept, tuple(repeats))


def _beside(net: Net, dropped: Mapping[Unit, Unit]) -> set[Unit]:
    """Return the leaves that only dropped units use."""
    users: dict[Unit, set[Unit]] = {}
    for source, target in net.lines:
        if source.members[0].is_leaf and source not in net.spine:
            users.setdefault(source, set()).add(target)
    return {unit for unit, using in users.items() if using <= dropped.keys()}


def _repetition(
    looks: Sequence[tuple[object, ...]],
    start: int,
    lines: Sequence[tuple[Unit, Unit]],
    place: Mapping[Unit, int],
) -> tuple[int, int] | None:
    """Return the length of the pattern that begins here, and how often it repeats.

    Args:
        looks: those of the units of the main path.
        start: where on it the pattern begins.
        lines: see ``Net``.
        place: where each unit stands on the main path.
    """
    for length in range(1, _LONGEST_PATTERN + 1):
        pattern = looks[start : start + length]
        times = 1
        while looks[start + length * times : start + length * (times + 1)] == pattern:
            times += 1
        while times >= _LEAST_REPEATS:
            if _is_closed(start, length, times, lines, place):
                return length, times
            times -= 1
    return None


def _look(unit: Unit) -> tuple[object, ...]:
    """What units that are drawn alike have in common."""
    nodes = [node for node in unit.members if not node.is_leaf]
    kinds = tuple((node.op_name, node.shape) for node in nodes)
    leaves = sorted(str(node.shape) for node in unit.members if node.is_leaf)
    named = unit.members[0].name if not unit.module else None
    kind = dict(nodes[0].modules).get(unit.module, "") if nodes else f"leaf {unit.key}"
    return kind, kinds, tuple(leaves), named


def _is_closed(
    start: int,
    length: int,
    times: int,
    lines: Sequence[tuple[Unit, Unit]],
    place: Mapping[Unit, int],
) -> bool:
    """Return whether runs are joined alike: each to the one before it, and by its end to the next.

    The first may also be entered from elsewhere, and the last left.
    """
    runs: list[set[tuple[int, int]]] = [set() for _ in range(times)]
    end = start + length * times
    for source, target in lines:
        if target not in place or not start <= place[target] < end:
            leaves_early = source in place and start <= place[source] < end - 1
            if leaves_early:
                return False
            continue
        run = (place[target] - start) // length
        base = start + run * length
        if source not in place:
            if not source.members[0].is_leaf:
                return False
            continue
        offset = place[source] - base
        if offset < -1:
            return False
        runs[run].add((offset, place[target] - base))
    return all(one == other for one, other in pairwise(runs))
