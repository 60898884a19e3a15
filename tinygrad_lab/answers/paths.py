"""What a gradient is made of: the paths back to a value, and the share that each brings."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tinygrad_lab.answers.answer import Answer, Place, label_of, leaves_of, plural
from tinygrad_lab.answers.missing import leading_to
from tinygrad_lab.answers.numbers import gradients_of, numpy_of
from tinygrad_lab.engine.node import Node
from tinygrad_lab.formatting import array_text
from tinygrad_lab.graphs import Edge, Graph, GraphNode

__all__ = ["gradient_of", "paths_between"]

_MOST_PATHS = 12


def gradient_of(x: Any, f: Node, place: Place) -> Any:
    """Return ∂f/∂x as a NumPy array; None if f does not depend on x, or what is needed is gone."""
    graph = Graph([f], place.names)
    leaves = [one for one in leaves_of(graph, x) if one.requires_grad]
    gradients = gradients_of(graph) if leaves else None
    found = None if gradients is None else gradients.get(leaves[0].index)
    return None if found is None or isinstance(found, tuple) else numpy_of(found)


def paths_between(x: Any, f: Node, place: Place) -> Answer:
    """Say what ∂f/∂x is and by which paths, or by which uses of x if those are too many.

    Args:
        x: a tensor that f was computed from.
        f: the output.
        place: where the question was asked.
    """
    graph = Graph([f], place.names)
    start = next(one for one in leaves_of(graph, x) if one.requires_grad)
    edges = _edges_on_the_way(graph, start)
    gradients = gradients_of(graph) or {}
    count = _count(graph, start, edges)
    out = graph.outputs[0]
    whole = gradients.get(start.index)
    if count <= _MOST_PATHS:
        ways = _paths(out, start, edges)
        shares = [_share(way, gradients.get(out.index)) for way in ways]
        texts = [" ← ".join([start.label, *(e.target.label for e in reversed(w))]) for w in ways]
        rows = [("path", "share"), *zip(texts, map(_text, shares), strict=True)]
    else:
        uses = [edge for into in edges.values() for edge in into if edge.source is start]
        shares = [_share([edge], gradients.get(edge.target.index)) for edge in uses]
        texts = [f"{edge.target.label}, as {edge.label}" for edge in uses]
        rows = [("use", "share of all paths through it"), *zip(texts, map(_text, shares))]  # noqa: B905
    doubled = _doubled(edges)
    cause = "two edges" if doubled else "one path" if count == 1 else "paths"
    sentences = [
        f"It is {_text(whole)}: the sum of the shares of {plural(count, 'path')}."
        if count > 1
        else f"It is {_text(whole)}, by one path.",
        *doubled,
    ]
    numbers = {"paths": count, "gradient": whole, "shares": shares}
    marked = [start, out]
    question = f"What is ∂{out.label}/∂{label_of(x, place)} here?"
    return Answer(question, cause, sentences, out.line, numbers, rows, graph, marked)


def _edges_on_the_way(graph: Graph, start: GraphNode) -> dict[int, list[Edge]]:
    """Return the edges that lead back to a node, by their targets."""
    leads = {one.index for one in leading_to(graph, [start])}
    edges: dict[int, list[Edge]] = {}
    for edge in graph.edges:
        if edge.needs_gradient and {edge.source.index, edge.target.index} <= leads:
            edges.setdefault(edge.target.index, []).append(edge)
    return edges


def _count(graph: Graph, start: GraphNode, edges: dict[int, list[Edge]]) -> int:
    """Count the paths, without walking them: there may be very many."""
    counts = {start.index: 1}
    for node in graph:
        if node.index in edges and node is not start:
            counts[node.index] = sum(counts.get(e.source.index, 0) for e in edges[node.index])
    return counts.get(graph.outputs[0].index, 0)


def _paths(out: GraphNode, start: GraphNode, edges: dict[int, list[Edge]]) -> list[list[Edge]]:
    """Return each path as its edges, from the output back."""
    done: list[list[Edge]] = []
    waiting: list[tuple[GraphNode, list[Edge]]] = [(out, [])]
    while waiting:
        node, way = waiting.pop()
        if node is start:
            done.append(way)
            continue
        waiting += [(edge.source, [*way, edge]) for edge in reversed(edges.get(node.index, []))]
    return done


def _share(way: list[Edge], g: Any) -> Any:
    """Pull a gradient back along one path; None where its numbers are not known."""
    for edge in way:
        if g is None or isinstance(g, tuple):
            return None
        g = edge.pulled_back(g)
    return g


def _text(share: Any) -> str:
    return "not known" if share is None or isinstance(share, tuple) else array_text(share)


def _doubled(edges: dict[int, list[Edge]]) -> list[str]:
    """Say which ops use one value twice."""
    sentences = []
    for into in edges.values():
        for source, count in Counter(edge.source for edge in into).items():
            if count > 1:
                labels = " and as ".join(e.label for e in into if e.source is source)
                sentences.append(
                    f"{into[0].target.label} uses {source.label} {count} times, as {labels}: each "
                    "use has an edge and a local derivative of its own, and their shares add up."
                )
    return sentences[:3]
