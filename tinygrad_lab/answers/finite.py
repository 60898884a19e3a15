"""Where NaN or infinity began, in data, forward or backward, and who only passed it on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lab.answers.answer import Answer, Place, plural
from tinygrad_lab.answers.numbers import gradients_of, is_finite, numpy_of, values_of
from tinygrad_lab.engine.node import Node
from tinygrad_lab.graphs import Edge, Graph, GraphNode

__all__ = ["where_it_began"]


def where_it_began(f: Node, place: Place, asked: str) -> Answer:
    """Say where the first number that is not finite came from, on the way to f and back.

    Args:
        f: the output.
        place: where the question was asked.
        asked: what holds such a number, for the question.
    """
    graph = Graph([f], place.names)
    question = f"Where did the NaN or infinity in {asked} begin?"
    values = values_of(graph)
    unknown = [node for node in graph if node.index not in values and not _has_parts(node)]
    bad = [node for node in graph if node.index in values and not is_finite(values[node.index])]
    for node in bad:
        if not any(source in bad for _, source in node.inputs):
            return _forward(question, graph, node, bad, values)
    if unknown:
        why = f"The value of {unknown[0].label} was not kept: record the run with tg.record()."
        return Answer(question, "not known", [why], graph=graph, marked=unknown)
    return _backward(question, graph)


def _has_parts(node: GraphNode) -> bool:
    return node.op is not None and node.op.several_outputs


def _forward(
    question: str, graph: Graph, node: GraphNode, bad: list[GraphNode], values: Mapping[int, Any]
) -> Answer:
    element, number, count = _first(values[node.index])
    others = [one for one in bad if one is not node]
    if node.is_leaf:
        cause, line = "data", next((one.line for one in graph if node in _sources(one)), None)
        at = f" at {list(element)}" if element else ""
        why = f"In the data: {node.label}{at} was {number} before the first op."
    else:
        cause, line = "forward", node.line
        at = f" at element {element}" if element else ""
        of = _inputs_at(node, element, values)
        why = f"Forward: {node.op_name} ({node.label}) made {number}{at} of finite inputs{of}."
    numbers = {"element": element, "value": number, "count": count, "passed on": len(others)}
    return Answer(
        question, cause, [why, *_passed(others)], line, numbers, graph=graph, marked=[node]
    )


def _backward(question: str, graph: Graph) -> Answer:
    """Find the rule that made a gradient of which not every element is finite."""
    gradients = gradients_of(graph)
    if gradients is None:
        why = "backward(free=True) dropped what is needed to tell: call backward() without it."
        return Answer(question, "not known", [why], graph=graph)
    known = {i: g for i, g in gradients.items() if g is not None and not isinstance(g, tuple)}
    bad = [graph.nodes[i] for i in sorted(known, reverse=True) if not is_finite(known[i])]
    for edge in sorted(graph.edges, key=lambda one: -one.target.index):
        g = known.get(edge.target.index)
        if edge.source not in bad or g is None or not is_finite(g):
            continue
        with np.errstate(all="ignore"):
            share = edge.pulled_back(g)
        if share is not None and not is_finite(share):
            return _made_back(question, graph, edge, (g, share), bad)
    why = "Its values are finite, and so are the gradients of this sweep. The cause is not known."
    return Answer(question, "not known", [why], graph=graph, marked=graph.outputs)


def _made_back(
    question: str, graph: Graph, edge: Edge, sides: tuple[Any, Any], bad: list[GraphNode]
) -> Answer:
    g, share = sides
    element, number, count = _first(share)
    target = edge.target
    of = numpy_of(g)[element] if numpy_of(g).shape == numpy_of(share).shape else None
    at = f" at element {element}" if element else ""
    why = f"Backward: the rule of {target.op_name} ({target.label}) made {number}{at} of "
    why += "a finite gradient" if of is None else f"the gradient {of:g}"
    why += ", where its slope is infinite: 0 × ∞ is NaN." if of == 0 else "."
    others = [one for one in bad if one is not edge.source]
    numbers = {"element": element, "value": number, "count": count, "passed on": len(others)}
    return Answer(
        question, "backward", [why, *_passed(others)], target.line, numbers,
        graph=graph, marked=[target, edge.source],
    )  # fmt: skip


def _sources(node: GraphNode) -> list[GraphNode]:
    return [source for _, source in node.inputs]


def _first(array: Any) -> tuple[tuple[int, ...], float, int]:
    """Return place and value of the first number that is not finite, and how many there are."""
    data = numpy_of(array)
    places = np.argwhere(~np.isfinite(data))
    element = tuple(map(int, places[0]))
    return element, data[element].item(), len(places)


def _inputs_at(node: GraphNode, element: tuple[int, ...], values: Mapping[int, Any]) -> str:
    """Write the numbers that an elementwise op had at one element."""
    if node.op is None or not node.op.elementwise:
        return ""
    texts = []
    for source in _sources(node):
        if source.index not in values:
            return ""
        whole = np.broadcast_to(numpy_of(values[source.index]), node.shape)
        texts.append(f"{source.label} = {whole[element].item():.4g}")
    return f": {', '.join(texts)}"


def _passed(others: list[GraphNode]) -> list[str]:
    if not others:
        return []
    names = ", ".join(one.label for one in others[:6]) + (", …" if len(others) > 6 else "")
    verb = "passes" if len(others) == 1 else "pass"
    return [f"{plural(len(others), 'value')} only {verb} it on: {names}."]
