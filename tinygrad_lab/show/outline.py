"""The picture of a whole net: a box for each call of a module, the main path as a straight line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod

from tinygrad_lab.formatting import bytes_text, number
from tinygrad_lab.graphs import Graph, GraphNode, Outside
from tinygrad_lab.show.bound import is_folded
from tinygrad_lab.show.equation import attribute_text
from tinygrad_lab.show.fold import Unit, modules_of, name_within, roles_of_leaves
from tinygrad_lab.show.levels import CONTAINERS, Net, net_of
from tinygrad_lab.show.measure import printable
from tinygrad_lab.show.picture import Arrow, Box, Frame, Kind, Picture, Row, stale_note

__all__ = ["outline_of"]

_LONGEST_NAME = 26
_WINDOWS = ("stride", "padding", "output_padding", "dilation", "groups")


def outline_of(
    graph: Graph,
    *,
    depth: int | None,
    parameters: bool,
    most: int = 60,
    repeats: bool = True,
) -> Picture:
    """Describe a graph as a picture of its modules; see ``draw`` for the arguments.

    Without ``repeats``, what repeats is drawn every time.
    """
    net = net_of(graph, depth, parameters=parameters, most=most, repeats=repeats)
    words = _Words(graph, net)
    skips = {unit: place for place, unit in enumerate(net.spine)}
    frames = {
        f"repeat {n}": Frame(f"repeat {n}", f"× {one.times}", tuple(u.key for u in one.units))
        for n, one in enumerate(net.repeats)
    } | {
        f"step {n}": Frame(f"step {n}", f"step {n}", tuple(unit.key for unit in units))
        for n, units in enumerate(net.steps, start=1)
    }
    outputs = ", ".join(words.name(node) for node in graph.outputs[:4])
    return Picture(
        boxes=tuple(words.box(unit) for unit in net.units),
        arrows=tuple(
            Arrow(
                source.key,
                target.key,
                "",
                (),
                any(node.requires_grad for node in source.members),
                "",
                skip=source in skips and target in skips and skips[target] > skips[source] + 1,
            )
            for source, target in net.lines
        ),
        frames=tuple(frames.values()),
        direction="LR",
        legend=True,
        note=" ".join(filter(None, (_note(graph, net), stale_note(graph, words.name)))),
        title=f"Net that computes {outputs}",
        spine=tuple(unit.key for unit in net.spine),
    )


def _note(graph: Graph, net: Net) -> str:
    """Say what was folded, and how to see more."""
    folded = sum(len(unit.members) for unit in net.units if is_folded(unit))
    if not folded:
        return ""
    return (
        f"{folded:,} of {len(graph):,} nodes are folded into the boxes with a double edge. "
        "tg.draw(..., most=...) sets how many boxes are drawn."
    )


class _Words:
    """Describes the boxes of one net."""

    def __init__(self, graph: Graph, net: Net) -> None:
        self._outputs = {node.index for node in graph.outputs}
        self._module_of = modules_of(graph)
        self._last = {
            unit: last
            for one in net.repeats
            for unit, last in zip(one.units, one.last, strict=True)
        }
        self._times = {unit: one.times for one in net.repeats for unit in one.units}
        self._roles = roles_of_leaves(graph)

    def box(self, unit: Unit) -> Box:
        first = unit.members[0]
        kind: Kind = "computed"
        if first.is_leaf and not isinstance(first, Outside):
            kind = "leaf" if first.requires_grad else "constant"
        if is_folded(unit):
            kind = "folded"
        is_output = any(node.index in self._outputs for node in unit.members)
        name, what = self._title(unit)
        return Box(
            key=unit.key,
            kind=kind,
            output=is_output,
            name=name,
            equation=what,
            rows=(Row("", lines),) if (lines := tuple(self._lines(unit))) else (),
            tooltip=_tooltip(unit),
            frame="",
            joined=" · ",
            indices=frozenset(node.index for node in unit.members),
        )

    def name(self, node: GraphNode) -> str:
        """Return the name of a value that stands alone."""
        if node.name:
            return _short(name_within(node, self._module_of))
        if node.is_leaf:
            return self._roles.get(node.index, "input")
        return node.op_name

    def _title(self, unit: Unit) -> tuple[str, str]:
        """Return the name of a box, and the class of its module or its op."""
        if is_folded(unit):
            return _of_folded(unit)
        if not unit.module:
            node = unit.members[0]
            name = self.name(node)
            return name, "" if node.is_leaf or name == node.op_name else node.op_name
        name, kind = _of_module(unit)
        if unit in self._last and (last := _of_module(self._last[unit])[0]) != name:
            alike = last.rpartition(".")[0] == name.rpartition(".")[0]
            name = f"{name} … {last.rpartition('.')[2] if alike else last}"
        return _short(name), _short(kind)

    def _lines(self, unit: Unit) -> Iterator[str]:
        ops = [node for node in unit.members if not node.is_leaf]
        if is_folded(unit):
            yield unit.summary.partition(": ")[2]
        elif details := ", ".join(_details(ops, unit)):
            yield details
        if ops or unit.members[0].shape:
            yield _shape(ops[-1] if ops else unit.members[0])
        learned = [node for node in unit.members if node.is_leaf and node.requires_grad]
        times = self._times.get(unit, 1)
        if ops and learned:
            count = sum(prod(node.shape) for node in learned)
            yield f"{count:,} parameters" + (" each" if times > 1 else "")
        kept = sum(node.nbytes_kept for node in unit.members)
        if ops and kept:
            yield f"keeps {bytes_text(kept)}" + (" each" if times > 1 else "")


def _of_folded(unit: Unit) -> tuple[str, str]:
    """Return how many ops or leaves were folded, and the modules that they are of."""
    ops = [node for node in unit.members if not node.is_leaf]
    if not ops:
        return f"{len(unit.members):,} leaves", ""
    modules = len({node.module for node in ops if node.module})
    return f"× {len(ops):,} ops", f"in {modules:,} modules" if modules else ""


def _of_module(unit: Unit) -> tuple[str, str]:
    """Return a module's path from the one around it, as in ``blocks.0``, and its class."""
    modules = dict(unit.members[0].modules)
    around = [path for path, kind in modules.items() if kind not in CONTAINERS]
    outer = max((one for one in around if unit.module.startswith(f"{one}.")), key=len, default="")
    name = unit.module.removeprefix(f"{outer}.") if outer else unit.module
    return printable(name), printable(modules[unit.module])


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _shape(node: GraphNode) -> str:
    if node.op is not None and node.op.several_outputs:
        return "several outputs"
    if node.shape == ():
        return "a number" if node.value is None else number(node.value)
    return " × ".join(map(str, node.shape))


def _details(ops: list[GraphNode], unit: Unit) -> Iterator[str]:
    """Yield what a layer does beside its class: sizes, kernel, stride, padding, steps."""
    windows = [node for node in ops if "stride" in node.attributes]
    weights = [
        (edge.shape, node)
        for node in ops
        for position, edge in node.inputs
        if node.op is not None
        and node.op.inputs[min(position, len(node.op.inputs) - 1)] == "weight"
        and edge.is_leaf
    ]
    if len(weights) == 1 and len(ops) <= len(windows) + 1:
        shape, node = weights[0]
        transposed = "transpose" in node.op_name
        into, out = shape[:2] if transposed else (shape[1], shape[0])
        groups = node.attributes.get("groups", 1)
        yield f"{into if transposed else into * groups} → {out * groups if transposed else out}"
        if len(shape) > 2:
            yield f"kernel {_size(shape[2:])}"
    if len(windows) == 1:
        node = windows[0]
        if (kernel := node.attributes.get("kernel_size")) is not None:
            yield f"kernel {_size(kernel)}"
        plain = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0, "output_padding": 0}
        for name in _WINDOWS:
            value = node.attributes.get(name, plain[name])
            if value not in (plain[name], (plain[name],) * 2, None):
                yield f"{name.replace('_', ' ')} {_size(value)}"
    if len(ops) == 1 and ops[0].op_name == "gru":
        shape = ops[0].inputs[0][1].shape
        yield f"{shape[-1]} → {ops[0].shape[-1]}, {_steps(ops[0])} steps"
    if len(ops) == 1 and "p" in ops[0].attributes:
        yield f"p {attribute_text(ops[0].attributes['p'])}"


def _steps(node: GraphNode) -> int:
    shape = node.inputs[0][1].shape
    return shape[1] if node.attributes.get("batch_first", True) and len(shape) > 2 else shape[0]


def _size(value: object) -> str:
    if isinstance(value, tuple):
        return str(value[0]) if len(set(value)) == 1 else " × ".join(map(str, value))
    return str(value)


def _tooltip(unit: Unit) -> str:
    counts: Mapping[str, int] = Counter(node.op_name for node in unit.members if not node.is_leaf)
    ops = ", ".join(f"{count} {name}" if count > 1 else name for name, count in counts.items())
    lines = [printable(unit.module)] if unit.module else []
    lines += [ops] if ops else []
    line = unit.members[0].line
    lines += [printable(str(line))] if line is not None else []
    return "\n".join(lines)
