"""The arrays behind the symbols: values of nodes, and the engine's gradients to compare with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.backward import sweep
from tinygrad_lab.engine.node import Node, contributions, unbroadcast
from tinygrad_lab.engine.op import Op
from tinygrad_lab.errors import GraphFreedError
from tinygrad_lab.graphs import Edge, Graph, GraphNode

__all__ = ["Part", "Values", "as_numpy"]

Value = np.ndarray[Any, Any]


def as_numpy(array: Any) -> Value:
    """Return an array of any backend as one of NumPy; floating numbers as float64."""
    found = np.asarray(namespaces[type(array)].to_numpy(array))
    return found.astype(np.float64) if found.dtype.kind == "f" else found


@dataclass(frozen=True)
class Part:
    """Which of its outputs an op with several passes a gradient back from."""

    position: int
    count: int


class Values:
    """The values of a graph's nodes, and the gradients of its output."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._raw: dict[int, Any] = {}

    def raw(self, node: GraphNode) -> Any:
        """Return the value of a node; one that was too large to keep is computed again."""
        if node.index not in self._raw:
            self._raw[node.index] = self._kept_or_computed(node)
        return self._raw[node.index]

    def __getitem__(self, node: GraphNode) -> Value:
        return as_numpy(self.raw(node))

    def _kept_or_computed(self, node: GraphNode) -> Any:
        if node.value is not None:
            return node.value
        waiting = [node]
        while waiting:  # iterative: graphs may be deep
            one = waiting[-1]
            missing = [s for _, s in one.inputs if s.value is None and s.index not in self._raw]
            if missing:
                waiting.extend(missing)
                continue
            self._raw[waiting.pop().index] = self._computed(one)
        return self._raw[node.index]

    def _computed(self, node: GraphNode) -> Any:
        op = node.op
        if op is None or op.several_outputs:
            raise GraphFreedError(
                f"tg.derive: the value of {node.label} was not kept: build the graph in "
                "`with tg.record():`."
            )
        arrays = [self.raw(source) for _, source in node.inputs]
        return _run(op, arrays, dict(node.attributes))

    @cached_property
    def gradients(self) -> dict[Node, Any]:
        """The engine's gradient for each node that the output depends on: a sweep of its own.

        Raises:
            GraphFreedError: if ``backward(free=True)`` dropped what a rule needs.
        """
        output = self.graph.outputs[0]
        found: dict[Node, Any] = {}

        def seen(node: Node, gradient: Any) -> Any:
            found[node] = gradient
            return gradient

        ones = namespaces[type(self.raw(output))].ones_like(self.raw(output))
        return sweep({output.node: ones}, observe=seen) | found

    def pulled_back(self, edge: Edge, g: Value, part: Part | None) -> Value:
        """Return what the engine's rule of an edge makes of a gradient of its target.

        Args:
            edge: along which it flows.
            g: the gradient of the target.
            part: where the target has several outputs, which of how many g belongs to.
        """
        node: Any = edge.target.node
        array = np.asarray(g).astype(edge.source.dtype)
        xp = namespaces[type(self.raw(edge.source))]
        is_number = type(self.raw(edge.source)) is float
        given: Any = float(array) if is_number else xp.asarray(array, device=edge.source.device)
        if part is not None:
            given = tuple(given if n == part.position else None for n in range(part.count))
        for position, source, gradient in contributions(node, xp, given, node.kept):
            if position == edge.position:
                whole = gradient.total() if hasattr(gradient, "total") else gradient
                return as_numpy(unbroadcast(xp, whole, source))
        return np.zeros(edge.source.shape)


def _run(op: Op, arrays: list[Any], attributes: dict[str, Any]) -> Any:
    xp = namespaces[type(next(iter(arrays)))]
    out = op.forward(xp, *arrays, **attributes)
    return out[0] if op.residual else out
