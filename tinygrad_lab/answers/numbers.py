"""Values and gradients of every node of a graph, also of those that were too large to keep.

Values that no node keeps are computed again, by the forward of each op; gradients by a sweep that
leaves no trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_lab.backends import Array, namespace_of, namespaces
from tinygrad_lab.engine.backward import sweep
from tinygrad_lab.engine.node import Node
from tinygrad_lab.errors import GraphFreedError
from tinygrad_lab.graphs import Graph, GraphNode

__all__ = ["gradients_of", "is_finite", "numpy_of", "seed_of", "values_of"]

PullBack = Callable[[Node, Array], Iterable[tuple[Node, Any]]]


def numpy_of(array: Any) -> np.ndarray[Any, Any]:
    """Return an array of any backend as one of NumPy."""
    return np.asarray(namespaces[type(array)].to_numpy(array))


def is_finite(array: Any) -> bool:
    """Return whether no element is NaN or infinite; integers never are."""
    data = numpy_of(array)
    return data.dtype.kind not in "fc" or bool(np.isfinite(data).all())


def seed_of(graph: Graph) -> Array | None:
    """Return the gradient that the last backward() began with; 1 where it is not known."""
    out = graph.outputs[0]
    if out.node.gradient is not None:
        return out.node.gradient
    value = values_of(graph).get(out.index)
    return None if value is None else namespaces[type(value)].ones_like(value)


def gradients_of(
    graph: Graph, seed: Array | None = None, pull_back: PullBack | None = None
) -> dict[int, Any] | None:
    """Return the gradient of the output with respect to each node, by index.

    Args:
        graph: a graph of one output.
        seed: the gradient of the output; that of ``seed_of`` if it is left out.
        pull_back: used instead of the rules, to ask what would be if.

    Returns:
        None if ``backward(free=True)`` dropped what the rules need.
    """
    seed = seed_of(graph) if seed is None else seed
    if seed is None:
        return None
    indices = {one.node: one.index for one in graph}
    found: dict[int, Any] = {}

    def observe(node: Node, g: Any) -> Any:
        found[indices[node]] = g
        return g

    try:
        with np.errstate(all="ignore"):
            sweep({graph.outputs[0].node: seed}, observe=observe, pull_back=pull_back)
    except GraphFreedError:
        return None
    return found


def values_of(graph: Graph) -> Mapping[int, Any]:
    """Return the value of each node by index, without those that cannot be found again."""
    found: dict[int, Any] = {}
    users = _kept_by_users(graph)
    for node in graph:
        value = node.node.value
        if value is None:
            value = node.node.kept.get("out", users.get(node.index))
        if value is None and node.is_leaf and not node.changed:
            value = node.value
        if value is None:
            value = _computed_again(node, found)
        if value is not None:
            found[node.index] = value
    return found


def _kept_by_users(graph: Graph) -> dict[int, Any]:
    """Return the values that ops keep of their inputs."""
    found = {}
    for edge in graph.edges:
        value = edge.target.node.kept.get(edge.label)
        if type(value) in namespaces and not isinstance(value, bool | int):
            found[edge.source.index] = value
    return found


def _computed_again(node: GraphNode, known: Mapping[int, Any]) -> Any:
    """Run an op again on known inputs; None if one is not known, or if it has several outputs."""
    op = node.op
    if op is None or op.several_outputs:
        return None
    sources = dict(node.inputs)
    if any(source.index not in known for source in sources.values()):
        return None
    count = len(node.node.inputs)
    arrays = [known[sources[i].index] if i in sources else None for i in range(count)]
    with np.errstate(all="ignore"):
        out = op.forward(namespace_of(arrays), *arrays, **node.attributes)
    return out[0] if op.residual else out
