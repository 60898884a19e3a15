"""What a picture of a whole net shows: a box for each call of a module, and the main path.

``ops`` in the order in which they ran are cut into calls of modules. What repeats is drawn once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tinygrad_lab.graphs import Graph, GraphNode, Outside
from tinygrad_lab.show.bound import Cut, cuts, grouped_leaves, is_folded
from tinygrad_lab.show.fold import Unit, in_reading_order, modules_of
from tinygrad_lab.show.repeats import repetitions
from tinygrad_lab.show.steps import time_steps

__all__ = ["CONTAINERS", "Net", "Repeat", "net_of"]

CONTAINERS = frozenset({"Sequential", "ModuleList", "ModuleDict"})
"""Modules that only hold others: a picture looks through them."""

_MOST_STEPS = 6
"""More time steps than these are folded."""


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
    steps: tuple[tuple[Unit, ...], ...] = ()
    """The time steps of a recurrent net: parts of the main path with the same parameters."""


def net_of(
    graph: Graph, depth: int | None, *, parameters: bool, most: int = 60, repeats: bool = True
) -> Net:
    """Cut a graph into calls of modules.

    Args:
        graph: the graph.
        depth: how many modules deep a box is; containers do not count. None: the innermost ones.
        parameters: whether parameters of modules have boxes of their own; not if boxes are folded.
        most: where there would be more boxes, what is outside of modules, and then more, is folded.
        repeats: whether what repeats is drawn once.
    """
    module_of = modules_of(graph)
    ops = [node for node in graph if not node.is_leaf]
    if not ops:
        leaves = graph.leaves
        many = len(leaves) > most
        single = list(grouped_leaves(leaves)) if many else [Unit((x,)) for x in leaves]
        return _net(graph, single, repeats)
    asked = _calls(ops, depth)
    for cut in cuts(asked, lambda deep: _calls(ops, deep, at_most=True), most):
        units = _with_leaves(graph, cut, module_of, parameters and cut.is_asked)
        net = _net(graph, units, repeats)
        if len(net.units) <= most:
            break
    return net


def _net(graph: Graph, units: Sequence[Unit], repeats: bool) -> Net:
    lines = _lines(units)
    spine = _longest_path(units, lines, graph)
    net = Net(tuple(units), tuple(spine), tuple(lines), ())
    steps = time_steps(spine)
    if len(steps) <= _MOST_STEPS:
        net = replace(net, steps=steps)
    return _folded(net) if repeats and not net.steps else net


def _calls(ops: Iterable[GraphNode], depth: int | None, *, at_most: bool = False) -> list[Unit]:
    """Return the calls of modules, and what was computed outside of them op by op; see ``_runs``.

    A call may begin with ops that the first of several calls did not need, as those that shape a
    hidden state, which first was a constant. They seem to end the call before until the last call,
    which ends without them, shows where a call ends.
    """
    calls = list(_runs(ops, depth, at_most=at_most))
    last: list[object] = []
    for place in range(len(calls) - 1, -1, -1):
        call, later = calls[place], calls[place + 1] if place + 1 < len(calls) else None
        if later is None or not call.module or later.module != call.module:
            last = [node.op for node in call.members]
            continue
        if last == [node.op for node in call.members[: len(last)]]:
            kept, moved = call.members[: len(last)], call.members[len(last) :]
            calls[place] = replace(call, members=kept)
            calls[place + 1] = replace(later, members=(*moved, *later.members))
    return calls


def _runs(ops: Iterable[GraphNode], depth: int | None, *, at_most: bool) -> Iterator[Unit]:
    """Yield runs of ops of the same call of a module, and single ops outside of modules.

    Args:
        ops: in the order in which they ran.
        depth: see ``net_of``.
        at_most: whether modules that are less deep have boxes, too, and not their ops.
    """
    ops = list(ops)
    around = {path for node in ops for path, _ in node.modules[:-1]}
    run: list[GraphNode] = []
    path = ""
    for node in ops:
        here = _path_at(node, depth, around, at_most=at_most)
        if run and (here != path or not here or _begins_again(node, run)):
            yield Unit(tuple(run), path)
            run = []
        run.append(node)
        path = here
    if run:
        yield Unit(tuple(run), path)


def _begins_again(node: GraphNode, run: Sequence[GraphNode]) -> bool:
    """Return whether the code of a call is back at its first line: then it is another call.

    The ops of the package's own modules all have the one line that called the module: there it is
    another call if the first op runs again with the same parameters.
    """
    first = run[0]
    if node.op is not first.op or node.site != first.site:
        return False
    learned = _parameters_of(node)
    return any(one.site != first.site for one in run) or (
        bool(learned) and learned == _parameters_of(first)
    )


def _parameters_of(node: GraphNode) -> set[int]:
    return {source.index for _, source in node.inputs if source.is_leaf and source.requires_grad}


def _path_at(node: GraphNode, depth: int | None, around: set[str], *, at_most: bool) -> str:
    """Return the module whose box a node is in; ``""`` for a box of its own.

    Args:
        node: the node.
        depth: see ``net_of``.
        around: the modules that call others: what they compute themselves stands alone.
        at_most: see ``_calls``.
    """
    modules = [(path, kind) for path, kind in node.modules if path]
    if not modules:
        return ""
    whole = [path for path, kind in modules if kind not in CONTAINERS]
    if depth is None:
        return modules[-1][0] if modules[-1][0] not in around else ""
    if at_most and whole:
        return whole[:depth][-1]
    if len(whole) >= depth:
        return whole[depth - 1]
    # A layer that is less deep, as the stem of a net with blocks, is a box, too.
    return whole[-1] if whole and modules[-1][0] == whole[-1] not in around else ""


def _with_leaves(
    graph: Graph, cut: Cut, module_of: Mapping[int, str], parameters: bool
) -> list[Unit]:
    """Add leaves: parameters to the call that uses them, others as boxes before it."""
    users: dict[int, dict[Unit, None]] = {leaf.index: {} for leaf in graph.leaves}
    for unit in cut.calls:
        for node in unit.members:
            for _, source in node.inputs:
                if source.is_leaf:
                    users[source.index][unit] = None
    inside: dict[Unit, list[GraphNode]] = {}
    alone: dict[tuple[object, ...], list[GraphNode]] = {}
    for leaf in graph.leaves:
        using = list(users[leaf.index])
        if _goes_inside(leaf, using, module_of.get(leaf.index, ""), parameters):
            for one in using:
                inside.setdefault(one, []).append(leaf)
        else:
            apart = leaf if cut.is_asked else leaf.requires_grad
            alike = () if cut.leaves_together else using
            alone.setdefault((apart, *alike), []).append(leaf)
    groups = [unit for leaves in alone.values() for unit in _boxes_of(leaves, cut)]
    before: dict[Unit | None, list[Unit]] = {}
    order = {unit: place for place, unit in enumerate(cut.calls)}
    for group in groups:
        using = [unit for leaf in group.members for unit in users[leaf.index]]
        before.setdefault(min(using, key=order.__getitem__, default=None), []).append(group)
    found = list(before.get(None, ()))
    for unit in cut.calls:
        found += before.get(unit, ())
        found.append(
            replace(unit, members=(*unit.members, *inside[unit])) if unit in inside else unit
        )
    return found


def _boxes_of(leaves: Sequence[GraphNode], cut: Cut) -> Iterator[Unit]:
    return iter((Unit((leaves[0],)),)) if cut.is_asked else grouped_leaves(leaves)


def _goes_inside(leaf: GraphNode, using: Sequence[Unit], module: str, parameters: bool) -> bool:
    """Return whether a leaf is drawn inside the calls that use it.

    Args:
        leaf: the leaf.
        using: the calls that use it.
        module: the module that it belongs to.
        parameters: whether parameters have boxes of their own.
    """
    if not using or (leaf.name is None and leaf.shape == ()):
        return bool(using)
    if len(using) == 1 and is_folded(using[0]):
        return leaf.name is None or bool(module)
    own = [one for one in using if one.module and f"{module}.".startswith(f"{one.module}.")]
    return own == using and not (parameters and leaf.requires_grad)


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
    place = {node.index: place for place, node in enumerate(in_reading_order(graph))}
    for source, target in lines:
        before.setdefault(target, []).append(source)
    for sources in before.values():
        sources.sort(key=lambda unit: min(place[node.index] for node in unit.members))
    best: dict[Unit, tuple[int, Unit | None]] = {}
    for unit in units:
        ways = [
            (best[one][0] + 1, one)
            for one in before.get(unit, ())
            if not _is_parameter(one.members[0])
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


def _is_parameter(node: GraphNode) -> bool:
    """Return whether a node is a leaf to learn: no main path begins with it."""
    return node.is_leaf and node.requires_grad and not isinstance(node, Outside)


# --- what repeats --------------------------------------------------------------------------------


def _folded(net: Net) -> Net:
    """Draw runs of the main path that repeat once; leaves of dropped runs go, too."""
    repeats: list[Repeat] = []
    dropped: dict[Unit, Unit] = {}
    for start, length, times in repetitions(net.spine, net.lines):
        first = net.spine[start : start + length]
        gone = net.spine[start + length : start + length * times]
        dropped |= {unit: first[n % length] for n, unit in enumerate(gone)}
        repeats.append(Repeat(first, times, gone[-length:]))
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
