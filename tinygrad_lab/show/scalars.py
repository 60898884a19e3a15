"""A small tensor program as a graph of scalars: every element is a node of its own.

The nodes of a graph are run again, in order, on Python floats: an elementwise op once for each
element, a sum as a chain of additions, a matrix product as products and their sums. What only moves
elements makes no node. The arithmetic is that of Python, in 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate, chain
from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.array_api.creation import scalar
from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.context import changed, within
from tinygrad_lab.engine.ancestry import ancestors
from tinygrad_lab.engine.declare import functions
from tinygrad_lab.engine.node import Node
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.graphs import Graph, GraphNode
from tinygrad_lab.show.measure import subscript

__all__ = ["MOST_SCALARS", "Scalars", "scalars_of"]

MOST_SCALARS = 400
_MOST_CALLS = 20_000
"""Beyond so many scalar operations, they are not counted to the end."""

_Item = Any
"""An element: a Tensor of one Python float, or a Python bool or int, which is a constant."""


@dataclass(frozen=True, eq=False)
class _Elements:
    """The elements of an array, in row-major order."""

    shape: tuple[int, ...]
    items: Sequence[_Item]

    @property
    def places(self) -> np.ndarray[Any, Any]:
        """The position of each element among the items, in the array's shape."""
        return np.arange(len(self.items)).reshape(self.shape)

    def taken(self, places: np.ndarray[Any, Any]) -> _Elements:
        """Return the elements at some positions, in their shape."""
        return _Elements(places.shape, [self.items[place] for place in places.ravel()])


@dataclass(frozen=True, eq=False)
class Scalars:
    """A computation on scalars."""

    graph: Graph
    elements: Mapping[int, frozenset[int]]
    """The scalar nodes of each node of the tensors' graph, by their indices."""

    def of(self, indices: Collection[int]) -> frozenset[int]:
        """Return the scalar nodes of some nodes."""
        return frozenset(chain.from_iterable(self.elements[index] for index in indices))


def scalars_of(graph: Graph, most: int = MOST_SCALARS) -> Scalars:
    """Return the graph of the same computation on scalars, with the gradient of each element.

    Args:
        graph: a small graph of tensors, with its fused ops opened.
        most: the number of nodes that a graph of scalars may have.

    Raises:
        ArgumentError: for an op that cannot be done element by element; for a graph that would have
            more nodes.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> y = (x * x).sum()
        >>> y.backward()
        >>> [(node.label, node.gradient) for node in scalars_of(tg.graph(y)).graph]
        [('x₀', 2.0), ('x₁', 4.0), ('multiply_2', 1.0), ('multiply_3', 1.0), ('y', 1.0)]
    """
    replay = _Replay(most)
    for node in graph:
        replay.run(node)
    items = [item for node in graph.outputs for item in replay.items_of(node)]
    found = Graph([_node_of(item) for item in items])
    if len(found) > most:
        raise _too_many(f"{len(found):,}", most)
    _sweep(replay, graph)
    place = {node.node: node.index for node in found}
    elements = {
        node.index: frozenset(
            place[item.node]
            for item in replay.items_of(node)
            if isinstance(item, Tensor) and item.node in place
        )
        for node in graph
    }
    return Scalars(found, elements)


def _node_of(item: _Item) -> Node:
    """Return the node of an element; that of a boolean or an integer is a constant."""
    return item.node if isinstance(item, Tensor) else scalar(item, requires_grad=False).node


def _too_many(count: str, most: int) -> ArgumentError:
    return ArgumentError(
        f'tg.draw: level="scalars" is for small programs: this one has {count} scalar nodes, and '
        f"most={most}. Draw fewer samples or a part of it (part=), or set most."
    )


def _sweep(replay: _Replay, graph: Graph) -> None:
    """Go back through the scalars with the gradients that the outputs of a graph have."""
    total: Any = None
    for node in graph.outputs:
        if node.gradient is None:
            continue
        for item, g in zip(replay.items_of(node), _numpy(node.gradient).ravel(), strict=True):
            if isinstance(item, Tensor) and item.requires_grad:
                part = item * float(g)
                total = part if total is None else total + part
    if total is not None:
        total.backward()


class _Replay:
    """Runs the nodes of a graph again on scalars."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._elements: dict[int, _Elements] = {}
        self._parts: dict[int, list[_Elements]] = {}
        """Of ops with several outputs."""
        self._made: set[Node] = set()
        self._calls = 0

    def items_of(self, node: GraphNode) -> Sequence[_Item]:
        """Return the elements of a node; none for an op with several outputs."""
        return self._elements[node.index].items if node.index in self._elements else ()

    def run(self, node: GraphNode) -> None:
        """Compute the elements of a node from those of its inputs."""
        if node.op_name == "unstack":
            self._parts[node.index] = self._unstacked(node)
        elif node.op_name == "output" and node.inputs[0][1].index in self._parts:
            part = self._parts[node.inputs[0][1].index][node.attributes["position"]]
            self._elements[node.index] = part
        elif node.is_leaf or not np.issubdtype(node.dtype, np.floating):
            self._elements[node.index] = _constants(node)
        else:
            with within(getattr(node.node, "scope", None)), changed(grad_enabled=True):
                elements = self._computed(node)
            self._describe(node, elements)
            self._elements[node.index] = elements

    def _computed(self, node: GraphNode) -> _Elements:
        inputs = [self._input(source, node) for _, source in node.inputs]
        name = node.op_name
        if name in _MOVES:
            return _moved(node, inputs)
        if name in _REDUCTIONS:
            return self._reduced(node, inputs[0])
        if name in _PRODUCTS:
            return self._products(node, *inputs)
        if name == "cumulative_sum":
            return self._cumulative(node, inputs[0])
        assert node.op is not None
        if not (node.op.elementwise or name == "stop_gradient"):
            raise _refusal(node)
        places = np.broadcast_arrays(*(one.places for one in inputs))
        arguments = [one.taken(place).items for one, place in zip(inputs, places, strict=True)]
        items = [self._call(name, *one, **node.attributes) for one in zip(*arguments, strict=True)]
        return _Elements(node.shape, items)

    def _input(self, source: GraphNode, user: GraphNode) -> _Elements:
        if source.index not in self._elements:
            raise _refusal(user)
        return self._elements[source.index]

    def _call(self, name: str, *arguments: _Item, **attributes: Any) -> Any:
        self._calls += 1
        if self._calls > _MOST_CALLS:
            raise _too_many(f"more than {_MOST_CALLS:,}", self._most)
        return functions[name](*arguments, **attributes)

    def _chain(self, name: str, items: Iterable[_Item]) -> Any:
        """Join elements by an op: a sum is a chain of additions."""
        return reduce(lambda one, other: self._call(name, one, other), items)

    def _unstacked(self, node: GraphNode) -> list[_Elements]:
        source = self._input(node.inputs[0][1], node)
        axis = node.attributes.get("axis", 0)
        return [source.taken(part) for part in np.moveaxis(source.places, axis, 0)]

    def _reduced(self, node: GraphNode, x: _Elements) -> _Elements:
        """Join the elements along axes."""
        joined, empty = _REDUCTIONS[node.op_name]
        rows = _rows(x, node.attributes.get("axis"))
        if joined in ("maximum", "minimum"):
            _check_ties(node, rows)
        items = [
            self._chain(joined, row) if row else scalar(empty, requires_grad=False) for row in rows
        ]
        return _Elements(node.shape, items)

    def _products(self, node: GraphNode, x: _Elements, y: _Elements) -> _Elements:
        """Multiply rows by columns, and add the products up."""
        if node.op_name == "matmul":
            left, right = x.places[..., :, None, :], np.swapaxes(y.places, -1, -2)[..., None, :, :]
        else:
            axis = node.attributes.get("axis", -1)
            left, right = np.moveaxis(x.places, axis, -1), np.moveaxis(y.places, axis, -1)
        left, right = np.broadcast_arrays(left, right)
        length = left.shape[-1]
        rows = zip(left.reshape(-1, length), right.reshape(-1, length), strict=True)
        items = [
            self._chain("add", [self._call("multiply", x.items[i], y.items[j]) for i, j in pairs])
            for pairs in (list(zip(*row, strict=True)) for row in rows)
        ]
        return _Elements(node.shape, items)

    def _cumulative(self, node: GraphNode, x: _Elements) -> _Elements:
        """Add elements up along an axis, each sum from the one before."""
        along = node.attributes.get("axis")
        axis = 0 if along is None else along
        rows = np.moveaxis(x.places, axis, -1)
        sums: list[_Item] = []
        for row in rows.reshape(-1, rows.shape[-1]):
            if node.attributes.get("include_initial"):
                sums.append(scalar(0.0, requires_grad=False))
            items = [x.items[place] for place in row]
            sums += accumulate(items, lambda one, other: self._call("add", one, other))
        shape = (*rows.shape[:-1], len(sums) // prod(rows.shape[:-1]) if sums else 0)
        return _Elements((), sums).taken(np.moveaxis(np.arange(len(sums)).reshape(shape), -1, axis))

    def _describe(self, node: GraphNode, elements: _Elements) -> None:
        """Give new nodes the user's line, and the elements of a named value their names."""
        made = [item.node for item in elements.items if isinstance(item, Tensor)]
        new = set(ancestors(made, stop=self._made)) - self._made
        for one in (one for one in new if one.op is not None):
            one.code, one.offset = getattr(node.node, "code", None), getattr(node.node, "offset", 0)
        for item, name in zip(elements.items, _names(node, elements.shape), strict=True):
            if name and isinstance(item, Tensor) and item.node in new and item.name is None:
                item.name = name
        self._made |= new


def _refusal(node: GraphNode) -> ArgumentError:
    line = f" (in {node.line})" if node.line is not None else ""
    return ArgumentError(
        f'tg.draw: level="scalars": {node.op_name}, of shape {node.shape}{line}, is not made of '
        "scalars here. What is: elementwise ops, sums, products, largest and smallest elements, "
        "matrix products, and what moves elements, such as reshape, index or concat. part= draws "
        "what leads to it or from it."
    )


# --- elements ------------------------------------------------------------------------------------

_REDUCTIONS: Mapping[str, tuple[str, float]] = {
    "sum": ("add", 0.0),
    "prod": ("multiply", 1.0),
    "max": ("maximum", -np.inf),
    "min": ("minimum", np.inf),
}
"""The op that joins two elements, and the result for no elements."""

_PRODUCTS = frozenset({"matmul", "vecdot"})

_MOVES = frozenset(
    {
        *("reshape", "permute_dims", "matrix_transpose", "expand_dims", "squeeze", "broadcast_to"),
        *("flip", "roll", "concat", "index", "tril", "triu"),
    }
)
"""Ops each element of whose result is one of the input, or 0."""


def _numpy(array: Array) -> np.ndarray[Any, Any]:
    return np.asarray(namespaces[type(array)].to_numpy(array))


def _constants(node: GraphNode) -> _Elements:
    """Make scalars of a leaf's array; booleans and integers are Python numbers."""
    if node.value is None:
        raise ArgumentError(
            f'tg.draw: level="scalars" is for small programs: the numbers of {node.label}, of '
            f"shape {node.shape}, were not even kept."
        )
    numbers = _numpy(node.value).ravel().tolist()
    if not np.issubdtype(node.dtype, np.floating):
        return _Elements(node.shape, numbers)
    items = [
        scalar(number, requires_grad=node.requires_grad, name=name)
        for number, name in zip(numbers, _names(node, node.shape), strict=True)
    ]
    return _Elements(node.shape, items)


def _names(node: GraphNode, shape: tuple[int, ...]) -> list[str | None]:
    """Name elements by their indices: ``W₀₁``, or ``W₀,₁₂`` where an axis is long."""
    if not node.name:
        return [None] * prod(shape)
    comma = "," * any(size > 10 for size in shape)
    return [node.name + comma.join(subscript(one) for one in place) for place in np.ndindex(*shape)]


def _moved(node: GraphNode, inputs: Sequence[_Elements]) -> _Elements:
    """Run an op that moves elements on their positions: 0 stands for a zero."""
    op = node.op
    assert op is not None
    moving = len(inputs) if node.op_name == "concat" else 1
    zero = scalar(0.0, requires_grad=False)
    items: list[_Item] = [zero]
    arrays = []
    for one in inputs[:moving]:
        arrays.append(one.places + len(items))
        items += one.items
    arrays += [_index(source) for _, source in node.inputs[moving:]]
    places = op.forward(namespaces[np.ndarray], *arrays, **node.attributes)
    return _Elements(node.shape, [items[place] for place in np.ravel(places)])


def _index(node: GraphNode) -> np.ndarray[Any, Any]:
    if node.value is None:
        raise _refusal(node)
    return _numpy(node.value)


def _rows(x: _Elements, axis: int | tuple[int, ...] | None) -> list[list[_Item]]:
    """Return the elements that a reduction joins, for each element of its result."""
    rank = len(x.shape)
    axes = range(rank) if axis is None else (axis,) if isinstance(axis, int) else axis
    reduced = sorted({one % rank for one in axes}) if rank else []
    kept = [one for one in range(rank) if one not in reduced]
    sizes = [prod(x.shape[one] for one in axes) for axes in (kept, reduced)]
    rows = x.places.transpose(*kept, *reduced).reshape(sizes)
    return [[x.items[place] for place in row] for row in rows]


def _check_ties(node: GraphNode, rows: list[list[_Item]]) -> None:
    """Refuse a maximum that several of more than two elements share: the shares would differ."""
    best: Callable[..., float] = max if node.op_name == "max" else min
    for row in rows:
        numbers = [float(one) for one in row]
        if len(row) > 2 and numbers.count(best(numbers)) > 1 and node.requires_grad:
            raise ArgumentError(
                f'tg.draw: level="scalars": several elements are the {node.op_name} of '
                f"{len(row)}: they share its gradient evenly, which a chain of two at a time does "
                "not. Change one of them a little."
            )
