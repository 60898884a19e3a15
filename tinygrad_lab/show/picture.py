"""The content of a picture before layout: boxes, arrows and frames with their texts.

A ``Picture`` is plain data: formatted text and numbers, no nodes or arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.formatting import bytes_text, number, range_text
from tinygrad_lab.graphs import Edge, Graph, GraphNode, Outside, collected_text
from tinygrad_lab.show.equation import equation
from tinygrad_lab.show.fold import (
    Line,
    Unit,
    fold,
    lines_between,
    modules_of,
    name_within,
    roles_of_leaves,
)
from tinygrad_lab.show.measure import Matrix, as_matrix, printable, shortened, subscript
from tinygrad_lab.show.rule import rule_text
from tinygrad_lab.show.style import Theme

__all__ = [
    *("Arrow", "Box", "Content", "Direction", "Form", "Frame", "Kind", "Picture", "Row"),
    *("Scale", "Special", "Tint"),
    *("content_of", "is_plain_number", "picture_of", "stale_note"),
]

Direction = Literal["LR", "TB"]
Kind = Literal["leaf", "constant", "computed", "folded", "failed", "backward"]
Form = Literal["boxes", "circuit", "both ways"]
"""Whether values are boxes, alone or with their gradients', or wires between circles of ops."""
Special = Literal["NaN", "∞", "dead", "zero", "unknown"]
"""What is no number on a scale of colours."""
Content = Matrix | tuple[str, ...]
"""Numbers in rows, or lines of text."""

_LONGEST_EQUATION = 400
_FEW = 12
"""Up to this many derivatives are written out."""


@dataclass(frozen=True)
class Tint:
    """The colours of a box that is coloured by a number."""

    fill: str
    ink: str


@dataclass(frozen=True)
class Scale:
    """What colours of boxes mean."""

    title: str
    ends: tuple[str, ...]
    """The numbers at both ends."""
    specials: tuple[Special, ...]
    """What else there is in the picture."""


@dataclass(frozen=True)
class Row:
    """A line of a box: ``value 3``."""

    label: str
    """``"value"``, ``"old value"``, ``"stale value"``, ``"gradient"``; on the way back a rule."""
    content: Content
    known: bool = True
    """Whether the content is a number, and not the reason why there is none."""


@dataclass(frozen=True)
class Box:
    """A value, or several folded into one box."""

    key: str
    kind: Kind
    output: bool
    name: str
    equation: str
    """The computation: ``q × z``; ``""`` for leaves."""
    rows: tuple[Row, ...]
    tooltip: str
    frame: str
    """The path of the frame around it; ``""`` outside all frames."""
    joined: str = " = "
    """What stands between name and equation."""
    indices: frozenset[int] = frozenset()
    """The nodes that it stands for."""
    highlighted: bool = False
    symbol: str = ""
    """What stands in its circle, in a circuit; ``""`` for a leaf."""
    tint: Tint | None = None
    backward: Box | None = None
    """Its gradient and the gradients that its op passes back, one row each, with ``arrows``."""
    backward_to: tuple[tuple[int, int], ...] = ()
    """Of a box of a gradient: which row leads back along which arrow of the picture."""
    is_unnamed: bool = False
    """Whether its name is but a number that tells it from others: a circuit does not say it."""


@dataclass(frozen=True)
class Arrow:
    """The use of a value as an input, with the local derivative."""

    source: str
    target: str
    label: str
    """The derivative's name, ``∂f/∂x``, or the rule for a gradient, ``g @ Wᵀ``."""
    content: Content
    """The derivative; empty if it is not shown."""
    flows: bool
    """Whether a gradient flows back along it."""
    tooltip: str
    skip: bool = False
    """Whether it leads past boxes of the main path."""


@dataclass(frozen=True)
class Frame:
    """A module; its frame encloses its boxes and the frames of its submodules."""

    path: str
    title: str
    keys: tuple[str, ...] = ()
    """The boxes in it, where boxes do not name their frame: neighbours on the main path."""

    @property
    def parent(self) -> str:
        """The path of the frame around it."""
        return self.path.rpartition(".")[0]


@dataclass(frozen=True)
class Picture:
    """The content of a picture."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    frames: tuple[Frame, ...]
    """Outer frames before those inside them."""
    direction: Direction
    legend: bool
    note: str
    """A remark on what was left out."""
    title: str
    heading: str = ""
    """A title above the picture."""
    spine: tuple[str, ...] = ()
    """The boxes of the main path, which is a straight line; empty for a picture of single ops."""
    page: tuple[float, float] | None = None
    """The width and height that it is fitted into."""
    form: Form = "boxes"
    scale: Scale | None = None
    """What the colours of boxes mean, if they are coloured by a number."""
    theme: Theme = "light"
    font_size: float | None = None
    """The size of names in pixels; None for the usual one, or on a page the largest that fits."""


def picture_of(
    graph: Graph,
    *,
    values: bool = True,
    gradients: bool = True,
    local_derivatives: bool = True,
    most: int = 150,
) -> Picture:
    """Describe a graph as a picture; see ``draw`` for the arguments."""
    module_of = modules_of(graph)
    words = _Describer(graph, module_of, values=values, gradients=gradients)
    units = fold(graph, most, module_of)
    boxes = tuple(map(words.box, units))
    lines = lines_between(graph, units)
    outputs = ", ".join(words.name(node) for node in graph.outputs[:4])
    return Picture(
        boxes=boxes,
        arrows=tuple(words.arrow(line, derivative=local_derivatives) for line in lines),
        frames=tuple(_frames(graph, boxes)),
        direction="LR",
        legend=True,
        note=" ".join(filter(None, (_note(graph, units), stale_note(graph, words.name)))),
        title=f"Computation graph of {outputs}{', …' if len(graph.outputs) > 4 else ''}",
    )


def _note(graph: Graph, units: list[Unit]) -> str:
    folded = sum(len(unit.members) for unit in units if not unit.node)
    if not folded:
        return ""
    return (
        f"{folded:,} of {len(graph):,} nodes are folded into the boxes with a double edge. "
        "tg.draw(..., most=...) sets how many boxes are drawn."
    )


def stale_note(graph: Graph, name: Callable[[GraphNode], str]) -> str:
    """Say which leaves got other data since the graph was computed; ``""`` if none did."""
    changed = [name(node) for node in graph.leaves if node.changed]
    if not changed:
        return ""
    which = ", ".join(changed[:4]) + f" and {len(changed) - 4} more" * (len(changed) > 4)
    return f"Stale: {which} changed since; what is drawn was computed from the old data."


def _frames(graph: Graph, boxes: tuple[Box, ...]) -> Iterator[Frame]:
    classes = {node.module: node.module_class for node in graph if node.module}
    paths: dict[str, None] = {}
    for box in boxes:
        parts = box.frame.split(".") if box.frame else []
        paths.update(dict.fromkeys(".".join(parts[: i + 1]) for i in range(len(parts))))
    for path in sorted(paths, key=lambda path: path.count(".")):
        last = shortened(path.rpartition(".")[2])
        kind = shortened(classes.get(path, ""))
        yield Frame(path, f"{last} · {kind}" if kind else last)


class _Describer:
    """Describes the nodes and edges of one graph."""

    def __init__(
        self, graph: Graph, module_of: Mapping[int, str], *, values: bool, gradients: bool
    ) -> None:
        self._graph, self._values, self._gradients = graph, values, gradients
        self._outputs = {node.index for node in graph.outputs}
        self._frame_of = module_of
        self._stale = graph.stale

    @cached_property
    def _roles(self) -> dict[int, str]:
        return roles_of_leaves(self._graph)

    def name(self, node: GraphNode) -> str:
        """Return a node's name, a constant's number, an input's role, or ``v₃`` (3: the index)."""
        if node.name:
            return shortened(name_within(node, self._frame_of))
        if is_plain_number(node):
            return number(_numpy(node.value)[()])
        role = self._roles.get(node.index) if node.is_leaf else None
        return role or f"v{subscript(node.index)}"

    # --- boxes -------------------------------------------------------------------------------

    def box(self, unit: Unit) -> Box:
        """Describe a unit as a box."""
        node = unit.node
        output = any(one.index in self._outputs for one in unit.members)
        if node is None:
            return self._folded_box(unit, output)
        right = shortened(equation(node, self.name), _LONGEST_EQUATION)
        kind: Kind = "computed"
        if isinstance(node, Outside):
            right = "…"
        elif node.is_leaf:
            kind = "leaf" if node.requires_grad else "constant"
        return Box(
            key=unit.key,
            kind=kind,
            output=output,
            name=self.name(node),
            equation=right,
            rows=() if is_plain_number(node) else tuple(self._rows(node)),
            tooltip=_node_tooltip(node, f"{self.name(node)} = {right}" if right else ""),
            frame=self._frame_of.get(node.index, ""),
            indices=frozenset({node.index}),
        )

    def _folded_box(self, unit: Unit, output: bool) -> Box:
        path = unit.module
        title = shortened(path.rpartition(".")[2]) if path else "…"
        classes = [one.module_class for one in unit.members if one.module == path]
        if path and classes:
            title = f"{title} · {shortened(classes[0])}"
        kept = sum(node.nbytes_kept for node in unit.members)
        return Box(
            key=unit.key,
            kind="folded",
            output=output,
            name=title,
            equation="",
            rows=(Row("", (unit.summary,)),),
            tooltip=f"{printable(path)}\n" * bool(path) + f"kept for backward: {bytes_text(kept)}",
            frame=path.rpartition(".")[0],
            indices=frozenset(one.index for one in unit.members),
        )

    def _rows(self, node: GraphNode) -> Iterator[Row]:
        """Yield the rows for a node's value and gradient."""
        if self._values and node.op is not None and node.op.several_outputs:
            yield Row("", ("several outputs",), known=False)
            return
        if self._values:
            yield Row(self._value_label(node), *content_of(node, node.value))
        if not (self._gradients and node.requires_grad):
            return
        if node.gradient is not None:
            yield Row("gradient", *content_of(node, node.gradient))
        elif node.gradient_was_computed:
            yield Row("gradient", ("not kept",), known=False)
        else:
            yield Row("gradient", ("not computed",), known=False)
        if text := collected_text(node):
            yield Row("", (text,), known=False)

    def _value_label(self, node: GraphNode) -> Literal["value", "old value", "stale value"]:
        if node.index not in self._stale:
            return "value"
        return "old value" if node.is_leaf else "stale value"

    # --- arrows ------------------------------------------------------------------------------

    def arrow(self, line: Line, *, derivative: bool) -> Arrow:
        """Describe the edges of a line as an arrow."""
        edge = line.edges[0]
        ends = line.source.key, line.target.key
        flows = any(one.needs_gradient for one in line.edges)
        if len(line.edges) > 1:
            return Arrow(*ends, f"{len(line.edges):,} edges", (), flows, "")
        label, content = self._derivative(edge) if derivative and flows else ("", ())
        tooltip = f"input {printable(edge.label)} of {self.name(edge.target)}"
        if flows:
            rule = rule_text(edge, self.name)
            tooltip += f"\nbackward: g ↦ {rule}, g being the gradient of {self.name(edge.target)}"
        return Arrow(*ends, label, content, flows, tooltip)

    def _derivative(self, edge: Edge) -> tuple[str, Content]:
        """Format an edge's local derivative as numbers, or the rule that replaces them."""
        of, by = self.name(edge.target), self.name(edge.source)
        if _by_element(edge):
            of, by = f"{of}ᵢ", f"{by}ᵢ"
        numbers = _small_derivative(edge)
        if numbers is None:
            return f"g ↦ {rule_text(edge, self.name)}", ()
        return f"∂{of}/∂{by}{_which_use(edge)}", numbers


def is_plain_number(node: GraphNode) -> bool:
    """Return whether a node is an unnamed number in the user's code."""
    known = node.value is not None and node.shape == ()
    return known and node.name is None and node.op_name == "constant"


def _which_use(edge: Edge) -> str:
    """Name the input of an edge if its source is an input of the same op more than once."""
    uses = [position for position, source in edge.target.inputs if source is edge.source]
    if len(uses) == 1:
        return ""
    if len(edge.target.inputs) == 2:
        return (" (left)", " (right)")[edge.position]
    return f" (input {edge.position + 1})"


def _by_element(edge: Edge) -> bool:
    """Return whether each element of the target depends only on the same element of the source."""
    op = edge.target.op
    same = edge.source.shape == edge.target.shape != ()
    return same and op is not None and op.elementwise


def _small_derivative(edge: Edge) -> Content | None:
    """Format the local derivative or the Jacobian, if it has few elements."""
    if edge.target.op is None or edge.target.op.several_outputs:
        return None
    source, target = _size(edge.source), _size(edge.target)
    if _by_element(edge):
        derivative = edge.local_derivative() if target <= _FEW else None
    else:
        derivative = edge.jacobian() if 0 < source * target <= _FEW else None
    if derivative is None:
        return None
    array = _numpy(derivative)
    return as_matrix(array) if array.ndim else (number(array[()]),)


def _size(node: GraphNode) -> int:
    return int(np.prod(node.shape, dtype=np.int64)) if node.shape is not None else 0


def _numpy(array: Array) -> np.ndarray[Any, Any]:
    return np.asarray(namespaces[type(array)].to_numpy(array))


def content_of(node: GraphNode, value: Array | None) -> tuple[Content, bool]:
    """Format a value or its shape, dtype and range, and return whether its numbers are known."""
    outline = " × ".join(map(str, node.shape)) + f" · {node.dtype}"
    if value is None:
        return (outline, "not kept"), False
    array = _numpy(value)
    if array.ndim == 0:
        return (number(array[()]),), True
    if (numbers := as_matrix(array)) is not None:
        return numbers, True
    return (outline, range_text(array)), True


def _node_tooltip(node: GraphNode, title: str) -> str:
    """Describe a node further: the line that made it, and the arrays kept for backward."""
    lines = [title or printable(node.label)]
    shape = "number" if node.shape == () else f"shape {node.shape}"
    if node.shape is not None:
        lines.append(f"{node.op_name}, {shape}, {node.dtype}, {node.device}")
    if node.line is not None:
        lines.append(printable(str(node.line)))
    if node.requires_grad and not node.is_leaf:
        kept = ", ".join(f"{one.name} {bytes_text(one.nbytes)}" for one in node.keeps)
        lines.append(f"kept for backward: {kept or 'nothing'}")
    return "\n".join(lines)
