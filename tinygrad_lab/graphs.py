"""Graph: a computation as an object to inspect. Pictures, tables and analyses start here.

A graph is built from its outputs. It lists the nodes they were computed from, each with its op, its
inputs and their positions, its name, shape, dtype, its value and gradient if they were kept, the
module and the line of source it comes from, and the arrays it keeps for backward.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from inspect import CO_OPTIMIZED
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.engine.ancestry import ancestors
from tinygrad_lab.engine.backward import sweep
from tinygrad_lab.engine.broadcasting import stretched_axes
from tinygrad_lab.engine.history import inputs_with_history, run_composite
from tinygrad_lab.engine.node import Leaf, Node, contributions, unbroadcast
from tinygrad_lab.engine.op import Op
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import Line, is_library
from tinygrad_lab.errors import ArgumentTypeError, IndexingError, UnknownNameError
from tinygrad_lab.formatting import array_text, bytes_text, html_table, printable

__all__ = ["Edge", "Graph", "GraphNode", "Kept", "Outside", "collected_text", "graph"]

_LONGEST_HTML = 200
"""Notebooks get slow with longer tables."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An array that a node keeps for backward."""

    name: str
    """Its name in the rules: an input, ``out``, ``residual``."""
    shape: tuple[int, ...]
    dtype: Any
    nbytes: int
    memory: int = field(repr=False, compare=False)
    """The same for all that keep one array, or views of it, as long as the graph lives."""


@dataclass(frozen=True, slots=True)
class Edge:
    """The use of one node's value as an input of another. ``x * x`` has two."""

    source: GraphNode
    target: GraphNode
    position: int
    """The position of the input among the target's inputs."""
    label: str
    """The name of that input in the op."""
    needs_gradient: bool
    """Whether a gradient flows back along it."""

    @property
    def summed_axes(self) -> tuple[int, ...]:
        """The axes of the target that broadcasting stretched: gradients add up along them."""
        op, source, target = self.target.op, self.source.shape, self.target.shape
        if op is None or not (op.elementwise or op.core_axes is not None):
            return ()
        # All axes of an input with fewer, such as a bias, are core axes.
        core = min(op.core_axes or 0, len(source))
        return stretched_axes(source[: len(source) - core], target[: max(0, len(target) - core)])

    def local_derivative(self) -> Array | None:
        """Return the derivative of each target element with respect to its source element.

        It is the vjp of a cotangent of 1: a number for scalars, an array for an elementwise op. It
        is None if no gradient flows along the edge, if an element of the target depends on several
        elements of the source (see ``jacobian``), if one of them is complex, or if an array that
        the rule needs was dropped or was too large to keep.
        """
        op, target = self.target.op, self.target
        by_element = op is not None and op.elementwise and self.source.shape == target.shape
        if not by_element and (self.source.shape, target.shape) != ((), ()):
            return None
        value = target.value
        if value is None:
            return None
        return self.pulled_back(namespaces[type(value)].ones_like(value))

    def jacobian(self) -> Array | None:
        """Return the Jacobian of this one op: all target elements by all source elements.

        Its shape is the target's followed by the source's. It takes one vjp for each element of the
        target, so use it for small arrays. It is None if no gradient flows along the edge, if one
        end is complex, or if an array that the rule needs is gone.
        """
        value = self.target.value
        if value is None:
            return None
        xp = namespaces[type(value)]
        if not self.target.shape:
            return self.pulled_back(xp.ones_like(value))
        rows = []
        for element in range(value.size):
            basis = xp.zeros((value.size,), dtype=value.dtype, device=value.device)
            basis[element] = 1
            row = self.pulled_back(xp.reshape(basis, value.shape))
            if row is None:
                return None
            rows.append(row)
        shape = (*self.target.shape, *self.source.shape)
        return (
            xp.reshape(xp.stack(rows), shape)
            if rows
            else xp.zeros(shape, dtype=value.dtype, device=value.device)
        )

    def pulled_back(self, g: Array) -> Array | None:
        """Pull a gradient of the target back along this edge only: a share of the source's.

        It is None if no gradient flows along the edge, or if an array that the rule needs is gone.
        """
        node: Any = self.target.node
        if not self.needs_gradient or (node.plan.keeps and not node.kept):
            return None
        if not (node.form.floating and self.source.node.form.floating):
            return None
        xp = namespaces[type(g)]
        for position, source, gradient in contributions(node, xp, g, node.kept):
            if position == self.position:
                gradient = unbroadcast(xp, gradient, source)
                return gradient.total() if hasattr(gradient, "total") else gradient
        return None


@dataclass(frozen=True, eq=False)
class GraphNode:
    """One value of a computation."""

    index: int
    """Its position in the graph: inputs come before the nodes computed from them."""
    node: Node = field(repr=False)
    name: str | None
    """Its own name, or that of the caller's variable."""
    inputs: tuple[tuple[int, GraphNode], ...] = field(repr=False)
    """The position of each input and the node it comes from."""
    outputs: tuple[Node, ...] = field(repr=False)
    """The outputs of the graph: a reader shows gradients of the sweep that reached them last."""

    @property
    def op(self) -> Op | None:
        """The declaration of the op; None for a leaf."""
        return self.node.op

    @property
    def op_name(self) -> str:
        """The op's name; ``"leaf"`` for a leaf that requires a gradient, else ``"constant"``."""
        if self.op is not None:
            return self.op.name
        return "leaf" if self.node.requires_grad else "constant"

    @property
    def symbol(self) -> str:
        """The op's symbol in pictures; ``""`` for a leaf."""
        return self.op.symbol if self.op is not None else ""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The op's arguments other than tensors: ``axis``, ``stride`` ..."""
        return getattr(self.node, "attributes", {})

    @property
    def is_leaf(self) -> bool:
        return self.op is None

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows through it."""
        return self.node.requires_grad

    @property
    def shape(self) -> tuple[int, ...]:
        return self.node.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.node.form.dtype)

    @property
    def device(self) -> str:
        return self.node.form.device

    @property
    def value(self) -> Array | None:
        """The value; None if it was too large to keep (``with tg.record():`` keeps all)."""
        tensor = _current_tensor(self.node)
        return self.node.value if tensor is None else tensor.data

    @property
    def changed(self) -> bool:
        """Whether a leaf's tensor got other data since: this graph was computed from the old."""
        tensor = self.node.owner() if isinstance(self.node, Leaf) else None
        now = None if tensor is None else tensor.node
        return isinstance(now, Leaf) and now.generation > self.node.generation  # type: ignore[attr-defined]

    @property
    def gradient(self) -> Array | None:
        """The gradient that the last sweep computed; None if there is none, or it was not kept."""
        if not self.gradient_was_computed or self._is_of_another_sweep:
            return None
        tensor = _current_tensor(self.node)
        if self.node.gradient is None and tensor is not None and self.sweeps == 1:
            return tensor.grad.data  # what one sweep collected, also where it is large
        return self.node.gradient

    @property
    def gradient_was_computed(self) -> bool:
        """Whether a sweep reached the node, even if its gradient was not kept."""
        tensor = _current_tensor(self.node)
        swept = self.node.gradient_was_computed and getattr(self.node, "sweep", 0) != 0
        if not swept or (tensor is not None and tensor.grad is None):
            return False
        return not self._is_of_another_sweep or self._was_swept_before

    @property
    def collected(self) -> Array | None:
        """A leaf's ``.grad`` where it is not the gradient of this graph's last sweep; else None."""
        tensor = _current_tensor(self.node)
        if tensor is None or tensor.grad is None:
            return None
        total, gradient = tensor.grad.data, self.gradient
        if gradient is None:
            return total
        equal = np.array_equal(_to_numpy(total), _to_numpy(gradient), equal_nan=True)
        return None if equal else total

    @property
    def sweeps(self) -> int:
        """How many sweeps a leaf's ``.grad`` adds up; 0 without a ``.grad``, or if it was assigned.

        Of sweeps that added to an assigned one, the number is negative.
        """
        tensor = _current_tensor(self.node)
        if tensor is None or tensor.grad is None:
            return 0
        return getattr(tensor.grad, "_sweeps", 1)

    @property
    def _is_of_another_sweep(self) -> bool:
        """Whether another ``backward()`` than that of the graph's outputs reached it last."""
        number = getattr(self.node, "sweep", 0)
        return number != 0 and all(getattr(out, "sweep", 0) != number for out in self.outputs)

    @property
    def _was_swept_before(self) -> bool:
        """Whether a ``backward()`` of an output reached it before another one did."""
        number = getattr(self.node, "sweep", 0)
        swept = [out for out in self.outputs if 0 < getattr(out, "sweep", 0) < number]
        return self.node in ancestors(swept)

    @property
    def module(self) -> str:
        """The path of the module whose forward made it: ``"encoder.linear1"``; ``""`` if none."""
        scope = getattr(self.node, "scope", None)
        return scope.path if scope else ""

    @property
    def module_class(self) -> str:
        """The class of that module: ``"Linear"``."""
        scope = getattr(self.node, "scope", None)
        return scope.kind if scope else ""

    @property
    def modules(self) -> tuple[tuple[str, str], ...]:
        """The modules around it, each with its path and class, from the outermost inwards."""
        scope, found = getattr(self.node, "scope", None), []
        while scope is not None:
            found.append((scope.path, scope.kind))
            scope = scope.outer
        return tuple(reversed(found))

    @property
    def line(self) -> Line | None:
        """The line of the user's code that made it."""
        return self.node.line

    @property
    def site(self) -> tuple[Any, int]:
        """Where in the code of a ``forward``, or of the user, it was made: it repeats in loops."""
        return getattr(self.node, "code", None), getattr(self.node, "offset", 0)

    @cached_property
    def keeps(self) -> tuple[Kept, ...]:
        """The arrays it keeps for backward, with their sizes."""
        return tuple(_kept_arrays(_kept_values(self.node)))

    @property
    def nbytes_kept(self) -> int:
        """The total bytes of ``keeps``; an array that several nodes keep counts for each."""
        return sum(kept.nbytes for kept in self.keeps)

    @property
    def label(self) -> str:
        """A short name that is never empty: ``"x"``, ``"multiply_3"``, ``"2.0"``."""
        if self.name:
            return self.name
        if self.is_leaf and self.shape == () and self.value is not None:
            return f"{float(self.value):g}"
        return f"{self.op_name}_{self.index}"


class Outside(GraphNode):
    """A value that comes into a part of a graph from outside: how it was computed is left out."""

    @property
    def op(self) -> None:
        """None, as of a leaf."""


def _kept_values(node: Node) -> dict[str, Any]:
    """Return the values a node keeps, without its attributes, which exist anyway."""
    attributes = getattr(node, "attributes", {})
    return {name: value for name, value in node.kept.items() if name not in attributes}


def _kept_arrays(kept: Mapping[str, Any]) -> Iterator[Kept]:
    for name, value in kept.items():
        if isinstance(value, tuple | list):
            yield from _kept_arrays({f"{name}[{i}]": part for i, part in enumerate(value)})
        elif isinstance(value, bool | int) or type(value) not in namespaces:
            continue  # part of a shape, not an array
        elif isinstance(value, float):
            yield Kept(name, (), np.dtype(float), 8, id(value))
        else:
            base = getattr(value, "base", None)
            memory = id(value if base is None else base)
            yield Kept(name, tuple(value.shape), value.dtype, int(value.nbytes), memory)


class Graph:
    """The nodes that outputs were computed from, inputs before the nodes computed from them.

    Iteration yields ``GraphNode``s; ``graph["loss"]`` and ``graph[3]`` find one by name or index.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0, name="x")
        >>> y = x * x
        >>> graph = tg.graph(y)
        >>> [node.op_name for node in graph]
        ['leaf', 'multiply']
        >>> [(edge.source.name, edge.position) for edge in graph.edges]
        [('x', 0), ('x', 1)]
    """

    def __init__(
        self,
        outputs: list[Node],
        names: Mapping[Node, str] | None = None,
        opened: Mapping[Node, Node] | None = None,
    ) -> None:
        self._names = dict(names or {})
        self._opened = dict(opened or {})
        nodes: dict[Node, GraphNode] = {}
        ends = tuple(self._opened.get(node, node) for node in outputs)
        for node in self._in_order(outputs):
            inputs = tuple(
                (position, nodes[self._opened.get(input_node, input_node)])
                for position, input_node in enumerate(node.inputs)
                if input_node is not None
            )
            name = node.name or self._names.get(_current_leaf(node))
            nodes[node] = GraphNode(len(nodes), node, name, inputs, ends)
        self.nodes = tuple(nodes.values())
        self.outputs = tuple(nodes[self._opened.get(node, node)] for node in outputs)

    def _in_order(self, outputs: list[Node]) -> list[Node]:
        """Return the nodes, inputs first: in order of creation, unless ops were opened later."""
        if not self._opened:
            return ancestors(outputs)
        placed: dict[Node, None] = {}
        waiting = [self._opened.get(node, node) for node in outputs]
        while waiting:
            node = waiting[-1]
            sources = [self._opened.get(one, one) for one in node.inputs if one is not None]
            missing = [one for one in sources if one not in placed]
            if node in placed or not missing:
                placed[waiting.pop()] = None
            else:
                waiting.extend(reversed(missing))
        return list(placed)

    def opened(self) -> Graph:
        """Return this graph with every fused op replaced by the small ops it is composed of.

        The small ops are run again on the inputs that the fused op kept. If its gradient was kept,
        they get gradients, too. A fused op whose inputs were dropped stays as it is.

        Example:
            >>> import tinygrad_lab as tg
            >>> loss = tg.cross_entropy(
            ...     tg.tensor([[1.0, 2.0]], requires_grad=True), tg.tensor([1]))
            >>> len(tg.graph(loss)), len(tg.graph(loss).opened()) > 10
            (3, True)
        """
        opened = dict(self._opened)
        for one in self.nodes:
            node: Any = one.node
            if one.op is None or one.op.composite is None or not node.kept:
                continue
            inputs = inputs_with_history(node)
            for position, source in enumerate(node.inputs):
                if source in opened:
                    inputs[position]._node = opened[source]
            opened[node] = _opened_node(node, run_composite(node, inputs).node, inputs)
        names = {opened.get(node, node): name for node, name in self._names.items()}
        return Graph([one.node for one in self.outputs], names, opened)

    def restricted(self, inside: Collection[int]) -> Graph:
        """Return a part of this graph: some nodes by their indices, and the values they use.

        Values from elsewhere are ``Outside`` nodes, without inputs. Indices stay as they are.
        """
        used = {source.index for i in inside for _, source in self.nodes[i].inputs}
        nodes: dict[int, GraphNode] = {}
        for one in self.nodes:
            if one.index in inside:
                inputs = tuple((position, nodes[source.index]) for position, source in one.inputs)
                nodes[one.index] = GraphNode(one.index, one.node, one.name, inputs, one.outputs)
            elif one.index in used:
                made = GraphNode if one.is_leaf else Outside
                nodes[one.index] = made(one.index, one.node, one.name, (), one.outputs)
        ends = {out.index for out in self.outputs}
        for one in self.nodes:  # also what is used outside of the part
            if one.index not in inside:
                ends |= {source.index for _, source in one.inputs}
        part = Graph([], self._names, self._opened)
        part.nodes = tuple(nodes.values())
        part.outputs = tuple(nodes[i] for i in nodes if i in ends and i in inside)
        return part

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[GraphNode]:
        return iter(self.nodes)

    def __getitem__(self, key: int | str) -> GraphNode:
        if isinstance(key, int):
            if -len(self) <= key < len(self):
                return self.nodes[key]
            raise IndexingError(f"expected the index of one of {len(self)} nodes, got {key}.")
        for node in self.nodes:
            if node.name == key:
                return node
        known = ", ".join(sorted({node.name for node in self.nodes if node.name}))
        raise UnknownNameError(f"no node is named {key!r}; the named nodes are: {known or 'none'}.")

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All uses of values as inputs, in order; two uses are two edges."""
        return tuple(
            Edge(source, target, position, _input_label(target, position), _flows(target, position))
            for target in self.nodes
            for position, source in target.inputs
        )

    @property
    def leaves(self) -> tuple[GraphNode, ...]:
        """The nodes without an op: the user's tensors and constants."""
        return tuple(node for node in self.nodes if node.is_leaf)

    @property
    def stale(self) -> frozenset[int]:
        """The indices of the leaves that changed since, and of all that was computed from them.

        Example:
            >>> import tinygrad_lab as tg
            >>> w, x = tg.scalar(2.0), tg.scalar(3.0)
            >>> graph = tg.graph(w * x)
            >>> w.data = 5.0
            >>> [graph[index].label for index in sorted(graph.stale)]
            ['w', 'multiply_2']
        """
        found: set[int] = set()
        for node in self.nodes:
            if node.changed or any(source.index in found for _, source in node.inputs):
                found.add(node.index)
        return frozenset(found)

    @property
    def nbytes_kept(self) -> int:
        """The bytes kept for backward; an array that several nodes keep counts once."""
        memory: dict[int, int] = {}
        for kept in (kept for node in self.nodes for kept in node.keeps):
            memory[kept.memory] = max(kept.nbytes, memory.get(kept.memory, 0))
        return sum(memory.values())

    def __str__(self) -> str:
        return _as_table(self)

    def _repr_html_(self) -> str:
        """The table for a notebook; of a long graph, its two ends."""
        most = _LONGEST_HTML // 2
        left = len(self.nodes) - 2 * most
        if left <= 0:
            return html_table(_rows(self, self.nodes))
        rows = _rows(self, (*self.nodes[:most], *self.nodes[-most:]))
        note = f"{left:,} more nodes: print(graph) shows all", *[""] * (len(rows[0]) - 2)
        return html_table([*rows[: most + 1], ("…", *note), *rows[most + 1 :]])

    def __repr__(self) -> str:
        outputs = ", ".join(printable(node.label) for node in self.outputs)
        return f"<Graph of {outputs}: {len(self.nodes)} nodes, {len(self.edges)} edges>"


def _current_leaf(node: Node) -> Node:
    """Return the node that represents a leaf's tensor now, to which a variable leads."""
    owner = node.owner() if isinstance(node, Leaf) else None
    return node if owner is None else owner.node


def _current_tensor(node: Node) -> Any:
    """The user's tensor, as long as it lives and has the data that its leaf stands for."""
    tensor = node.owner() if isinstance(node, Leaf) else None
    return tensor if tensor is not None and tensor.node is node else None


def _opened_node(fused: Node, output: Node, inputs: list[Any]) -> Node:
    """Give the small ops the fused op's line, and their output its name and gradient."""
    ends = [x.node for x in inputs if isinstance(x, Tensor)]
    made = set(ancestors([output], stop=ends)) - set(ends)
    for node in (one for one in made if one.op is not None):
        node.code, node.offset = fused.code, fused.offset
    output.name = fused.name
    if fused.gradient is not None:
        sweep({output: fused.gradient}, within=made, number=getattr(fused, "sweep", 0))
    return output


def _input_label(target: GraphNode, position: int) -> str:
    op = target.op
    assert op is not None, "leaves have no inputs"
    if op.variadic and position >= len(op.inputs) - 1:
        return f"{op.inputs[-1]}[{position - len(op.inputs) + 1}]"
    return op.inputs[position]


def _flows(target: GraphNode, position: int) -> bool:
    node: Any = target.node
    return bool(node.plan.needs[position] and target.requires_grad)


def graph(*outputs: Any) -> Graph:
    """Return the graph that outputs were computed from.

    Args:
        outputs: tensors, or containers of tensors. Nodes without a name are named after the
            variable that holds them in the caller.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(2.0)
        >>> print(tg.graph(x * 3.0))  # doctest: +NORMALIZE_WHITESPACE
        #  node        op        inputs  shape  value  gradient      keeps  line
        0  x           leaf              ()     2      not computed
        1  3           constant          ()     3
        2  multiply_2  ×         0 1     ()     6      not computed  y 8 B  ...
    """
    return Graph(_nodes_of(outputs), variable_names(sys._getframe(1)))


def _nodes_of(outputs: Any) -> list[Node]:
    tensors, _ = trees.flatten(list(outputs))
    for one in tensors:
        if not isinstance(one, Tensor):
            raise ArgumentTypeError(f"a graph is built from tensors, got {type(one).__name__}.")
    if not tensors:
        raise ArgumentTypeError("a graph is built from at least one tensor.")
    return list(dict.fromkeys(one.node for one in tensors))


_HELD_BY_FRAME_ALONE = 3
"""The references held by a frame, by a local variable and by the call of getrefcount."""


def variable_names(frame: FrameType | None) -> dict[Node, str]:
    """Return the names of the caller's variables, by the nodes of their tensors.

    The caller is the innermost frame outside this package. If two variables hold the same tensor,
    the one assigned first counts.
    """
    while frame is not None and is_library[frame.f_code.co_filename]:
        frame = frame.f_back
    names: dict[Node, str] = {}
    if frame is None:
        return names
    variables = frame.f_locals
    for name, value in [*variables.items(), *frame.f_globals.items()]:
        if isinstance(value, Tensor) and not name.startswith("_"):
            names.setdefault(value.node, name)
    copied = isinstance(variables, dict) and frame.f_code.co_flags & CO_OPTIMIZED
    if copied and sys.getrefcount(variables) == _HELD_BY_FRAME_ALONE:
        # Before Python 3.13, f_locals of a function is a copy that the frame keeps: through it a
        # graph would outlive the variable that held it.
        variables.clear()
    return names


# --- as a table ------------------------------------------------------------------------------


def _as_table(graph: Graph) -> str:
    """Format a table with one row for each node."""
    rows = _rows(graph, graph.nodes)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join(lines)


def _rows(graph: Graph, nodes: Sequence[GraphNode]) -> list[tuple[str, ...]]:
    """Return the header, and a row for each node; modules have a column if there are any."""
    header = ("#", "node", "op", "inputs", "shape", "value", "gradient", "keeps", "line")
    stale = graph.stale
    rows = [header, *(_row(node, stale) for node in nodes)]
    if not any(node.module for node in nodes):
        return rows
    modules = ["module", *(printable(node.module) for node in nodes)]
    return [(*row[:3], module, *row[3:]) for row, module in zip(rows, modules, strict=True)]


def _row(node: GraphNode, stale: frozenset[int]) -> tuple[str, ...]:
    gradient = ""
    if node.requires_grad:
        gradient = array_text(node.gradient) if node.gradient_was_computed else "not computed"
        gradient += f" ({text})" if (text := collected_text(node)) else ""
    keeps = ", ".join(f"{kept.name} {bytes_text(kept.nbytes)}" for kept in node.keeps)
    return (
        str(node.index),
        printable(node.label),
        node.symbol or node.op_name,
        " ".join(str(source.index) for _, source in node.inputs),
        _shape_text(node),
        array_text(node.value) + _age(node, stale),
        gradient,
        keeps,
        printable(str(node.line or "")),
    )


def _age(node: GraphNode, stale: frozenset[int]) -> str:
    """Say that a value is not that of the leaves as they are now."""
    if node.index not in stale:
        return ""
    return " (old)" if node.is_leaf else " (stale)"


def collected_text(node: GraphNode) -> str:
    """Say what a leaf has in ``.grad`` where that is not the gradient of one sweep."""
    if node.collected is None:
        return ""
    text, sweeps = f".grad {array_text(node.collected)}", node.sweeps
    if sweeps == 0:
        return f"{text}, assigned"
    if sweeps > 1:
        return f"{text} after {sweeps} sweeps"
    if sweeps == 1:
        return f"{text} of another output" if node.gradient is None else f"{text}, changed since"
    last = node.node.gradient
    if last is None:
        return f"{text}, in part assigned"
    by = "that of another output" if node._is_of_another_sweep else "the last sweep"
    return f"{text}, of which {array_text(last)} by {by}"


def _to_numpy(array: Array) -> Any:
    return namespaces[type(array)].to_numpy(array)


def _shape_text(node: GraphNode) -> str:
    several = node.op is not None and node.op.several_outputs
    return "several" if several else str(node.shape)
