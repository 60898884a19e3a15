"""Folds a long graph into few units, so that its picture is readable and quick to make.

The ops of a graph are in the order in which they ran. Folding a run of consecutive ops into one
unit therefore never creates a cycle. Calls of modules are folded first, the innermost before those
around them, and then, if that does not suffice, the middle of the graph. A leaf joins the unit that
alone uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from tinygrad_lab.graphs import Edge, Graph, GraphNode

__all__ = [
    *("Line", "Unit", "fold", "in_reading_order", "lines_between", "modules_of"),
    *("name_within", "roles_of_leaves"),
]

_LEAVES_SIDE_BY_SIDE = 6
_PARALLEL_EDGES = 6
_EDGES_PER_UNIT = 3
_ENDS = 8
"""Of the allowed boxes, one in so many is drawn before the folded middle, and one after it."""


@dataclass(frozen=True, eq=False)
class Unit:
    """One box of a picture: a node, or several folded into one."""

    members: tuple[GraphNode, ...]
    module: str = ""
    """The path of the module whose call was folded."""

    @property
    def node(self) -> GraphNode | None:
        """The node, if there is only one."""
        return self.members[0] if len(self.members) == 1 else None

    @property
    def key(self) -> str:
        """A name that is unique in the graph."""
        return f"n{self.members[0].index}" if self.node else f"fold{self.members[0].index}"

    @property
    def summary(self) -> str:
        """A summary of the folded nodes: ``"12 nodes: 4 ×, 4 +, 2 tanh, relu …"``."""
        counts = Counter(map(_short_name, self.members))
        common = ", ".join(
            f"{count:,} {'leaves' if what == 'leaf' else what}" if count > 1 else what
            for what, count in counts.most_common(4)
        )
        more = " …" if len(counts) > 4 else ""
        return f"{len(self.members):,} nodes: {common}{more}"


def _short_name(node: GraphNode) -> str:
    return node.symbol if node.symbol and " " not in node.symbol else node.op_name


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a picture and the edges it represents: one, unless something is folded."""

    source: Unit
    target: Unit
    edges: tuple[Edge, ...]


def modules_of(graph: Graph) -> Mapping[int, str]:
    """Return the path of the module that each node belongs to, by the node's index.

    Parameters and unnamed numbers are made outside a module's forward. They belong to the module
    that uses them, if it is only one.
    """
    places = {node.index: node.module for node in graph if node.module}
    users: dict[int, set[str]] = {}
    for node in graph:
        for _, source in node.inputs:
            if source.is_leaf:
                users.setdefault(source.index, set()).add(node.module)
    for leaf in graph.leaves:
        path = _common_path(users.get(leaf.index, {""}))
        number = leaf.name is None and leaf.shape == ()
        parameter = leaf.requires_grad and (leaf.name is None or f"{path}." in leaf.name)
        if path and (number or parameter):
            places[leaf.index] = path
    return places


def name_within(node: GraphNode, module_of: Mapping[int, str]) -> str:
    """Return the name of a node, a parameter's without the path of the module it belongs to."""
    name = node.name or ""
    path = module_of.get(node.index, "") if node.is_leaf else ""
    return name.rpartition(f"{path}.")[2] if path else name


def roles_of_leaves(graph: Graph) -> dict[int, str]:
    """Name leaves without a name after the argument that they are: ``labels``, ``x``, ``x2``.

    The names are none of those that other values have. A part of a leaf, as ``h[None]``, has the
    name of what the part is used as.
    """
    roles: dict[int, str] = {}
    taken = {node.name for node in graph if node.name}
    uses: dict[int, Edge] = {}
    for edge in graph.edges:
        uses.setdefault(edge.source.index, edge)
    for edge in graph.edges:
        leaf = edge.source
        if leaf.is_leaf and not leaf.name and leaf.index not in roles:
            label = _use_of_parts(edge, uses).label.partition("[")[0]
            label = "x" if label == "xs" else label
            names = (f"{label}{n}" if n > 1 else label for n in count(1))
            roles[leaf.index] = next(name for name in names if name not in taken)
            taken.add(roles[leaf.index])
    return roles


def _use_of_parts(edge: Edge, uses: Mapping[int, Edge]) -> Edge:
    """Follow a value through ops that take parts of it to where they are used."""
    while edge.target.op_name == "index" and edge.position == 0 and edge.target.index in uses:
        edge = uses[edge.target.index]
    return edge


def in_reading_order(graph: Graph) -> list[GraphNode]:
    """Return the nodes as an equation names them: from the outputs back, first inputs first.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y = tg.scalar(2.0, name="x"), tg.scalar(3.0, name="y")
        >>> later = tg.sin(y)
        >>> [node.op_name for node in in_reading_order(tg.graph(later * tg.exp(x)))]
        ['multiply', 'sin', 'leaf', 'exp', 'leaf']
    """
    found: dict[int, GraphNode] = {}
    waiting = list(reversed(graph.outputs))
    while waiting:
        node = waiting.pop()
        if node.index not in found:
            found[node.index] = node
            waiting += [source for _, source in reversed(node.inputs)]
    return list(found.values())


def _common_path(paths: set[str]) -> str:
    """Return the innermost module that contains all paths."""
    first, *others = (path.split(".") for path in sorted(paths))
    common = 0
    for parts in zip(first, *others, strict=False):
        if len(set(parts)) > 1:
            break
        common += 1
    return ".".join(first[:common])


def fold(graph: Graph, most: int, module_of: Mapping[int, str]) -> list[Unit]:
    """Fold a graph into about ``most`` units or fewer, in the order of the graph.

    Args:
        graph: the graph to fold.
        most: the target number of units.
        module_of: the module of each node, from ``modules_of``.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(0.5)
        >>> for _ in range(1000):
        ...     x = tg.sin(x)
        >>> units = fold(tg.graph(x), most=20, module_of={})
        >>> len(units) <= 20, [unit.summary for unit in units if not unit.node]
        (True, ['996 nodes: 996 sin'])
    """
    ops = [node for node in graph if not node.is_leaf]
    whole = [Unit((node,)) for node in ops]
    if _fits(units := _with_single_leaves(graph, whole), most):
        return units
    deepest = max((node.module.count(".") + 1 for node in ops if node.module), default=0)
    for depth in range(deepest, 0, -1):
        whole = _calls_folded(ops, depth)
        if _fits(units := _with_leaves(graph, whole, module_of), most):
            return units
    ends = max(most // _ENDS, 1)
    units = _with_leaves(graph, _middle_folded(whole, ends), module_of)
    while ends > 1 and not _fits(units, most):
        ends = ends * 2 // 3
        units = _with_leaves(graph, _middle_folded(whole, ends), module_of)
    return units


def _fits(units: list[Unit], most: int) -> bool:
    if len(units) > most:
        return False
    members = [node for unit in units for node in unit.members]
    if sum(len(node.inputs) for node in members) <= _EDGES_PER_UNIT * most:
        return True
    unit_of = _unit_of(units)
    pairs = Counter(
        (unit_of[source.index], unit_of[node.index])
        for node in members
        for _, source in node.inputs
    )
    lines = sum(min(count, _PARALLEL_EDGES) for pair, count in pairs.items() if pair[0] != pair[1])
    return lines <= _EDGES_PER_UNIT * most


def _unit_of(units: Iterable[Unit]) -> dict[int, Unit]:
    """Map the index of every node to its unit."""
    return {node.index: unit for unit in units for node in unit.members}


def _calls_folded(ops: list[GraphNode], depth: int) -> list[Unit]:
    """Fold runs of ops of the same module, at a nesting depth of ``depth`` modules."""
    runs: list[tuple[str, list[GraphNode]]] = []
    for node in ops:
        parts = node.module.split(".") if node.module else []
        path = ".".join(parts[:depth]) if len(parts) >= depth else ""
        if runs and path and runs[-1][0] == path:
            runs[-1][1].append(node)
        else:
            runs.append((path, [node]))
    return [Unit(tuple(members), path) for path, members in runs]


def _middle_folded(units: list[Unit], ends: int) -> list[Unit]:
    """Fold all units between the first ``ends`` and the last ``ends`` into one."""
    if len(units) <= 2 * ends + 1:
        return units
    middle = tuple(node for unit in units[ends:-ends] for node in unit.members)
    return [*units[:ends], Unit(middle), *units[-ends:]]


def _with_single_leaves(graph: Graph, units: list[Unit]) -> list[Unit]:
    return _in_order([*(Unit((leaf,)) for leaf in graph.leaves), *units])


def _in_order(units: list[Unit]) -> list[Unit]:
    return sorted(units, key=lambda unit: unit.members[0].index)


def _with_leaves(graph: Graph, units: list[Unit], module_of: Mapping[int, str]) -> list[Unit]:
    """Add the leaves of the graph to the units, folding leaves that belong together.

    A leaf that only one folded unit uses goes into that unit; if the unit is a module, only if the
    leaf belongs to it. Many leaves with the same users become one unit.
    """
    users: dict[int, dict[Unit, None]] = {leaf.index: {} for leaf in graph.leaves}
    for unit in units:
        for node in unit.members:
            for _, source in node.inputs:
                if source.is_leaf:
                    users[source.index][unit] = None
    inside: dict[Unit, list[GraphNode]] = {}
    by_users: dict[tuple[object, ...], list[GraphNode]] = {}
    outputs = {node.index for node in graph.outputs}
    for leaf in graph.leaves:
        used_by = list(users[leaf.index])
        own = len(used_by) == 1 and leaf.index not in outputs
        if own and _belongs(module_of.get(leaf.index, ""), used_by[0]):
            inside.setdefault(used_by[0], []).append(leaf)
        else:
            by_users.setdefault((leaf.requires_grad, *used_by), []).append(leaf)
    grown = [
        Unit((*unit.members, *inside[unit]), unit.module) if unit in inside else unit
        for unit in units
    ]
    groups = (part for leaves in by_users.values() for part in _grouped(leaves))
    return _in_order([*groups, *grown])


def _belongs(module: str, unit: Unit) -> bool:
    """Return whether a leaf of ``module`` goes into ``unit``."""
    if unit.node:
        return False
    return not unit.module or f"{module}.".startswith(f"{unit.module}.")


def _grouped(leaves: list[GraphNode]) -> Iterator[Unit]:
    if len(leaves) > _LEAVES_SIDE_BY_SIDE:
        yield Unit(tuple(leaves))
    else:
        yield from (Unit((leaf,)) for leaf in leaves)


def lines_between(graph: Graph, units: list[Unit]) -> list[Line]:
    """Group edges into lines: one edge each, but one line for all between folded units.

    More than ``_PARALLEL_EDGES`` edges between the same two nodes also become one line.
    """
    unit_of = _unit_of(units)
    between: dict[tuple[Unit, Unit], list[Edge]] = {}
    for edge in graph.edges:
        ends = unit_of[edge.source.index], unit_of[edge.target.index]
        if ends[0] is not ends[1]:
            between.setdefault(ends, []).append(edge)
    lines: list[Line] = []
    for (source, target), edges in between.items():
        single = source.node and target.node and len(edges) <= _PARALLEL_EDGES
        parts = [(edge,) for edge in edges] if single else [tuple(edges)]
        lines.extend(Line(source, target, part) for part in parts)
    return lines
