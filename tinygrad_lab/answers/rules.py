"""What one op does on the way back, and what broadcasting does."""

from __future__ import annotations

import ast

from tinygrad_lab.answers.answer import Answer, Place
from tinygrad_lab.engine.lambdas import expression_of
from tinygrad_lab.engine.node import Node
from tinygrad_lab.formatting import array_text
from tinygrad_lab.graphs import Edge, Graph, GraphNode

__all__ = ["broadcasting_in", "rule_of"]


def rule_of(node: Node, place: Place) -> Answer:
    """Say what an op does on the way back: the rule of each input, and its numbers."""
    graph = Graph([node], place.names)
    target = graph.outputs[0]
    question = f"How does a gradient g of {target.label} go back through {target.op_name}?"
    edges = [edge for edge in graph.edges if edge.target is target]
    rows = [("to", "the rule gives", "local derivative", "share of g")]
    rows += [_row(edge, target) for edge in edges]
    kept = ", ".join(one.name for one in target.keeps)
    sentences = [f"It keeps {kept} for that." if kept else "It keeps no array for that."]
    if any(edge.summed_axes for edge in edges):
        sentences.append("Where an input was broadcast, its shares add up over those axes.")
    numbers = {edge.label: edge.local_derivative() for edge in edges}
    return Answer(question, "rule", sentences, target.line, numbers, rows, graph, [target])


def _row(edge: Edge, target: GraphNode) -> tuple[str, str, str, str]:
    name = f"{edge.source.label} (as {edge.label})"
    if not edge.needs_gradient:
        return name, "none: it requires no gradient", "", ""
    local = edge.local_derivative()
    g = target.gradient
    share = None if g is None or isinstance(g, tuple) else edge.pulled_back(g)
    texts = [array_text(one) if one is not None else "" for one in (local, share)]
    return name, _rule_text(edge), texts[0], texts[1]


def _rule_text(edge: Edge) -> str:
    """Write a rule in the words of its declaration, or as its source does."""
    op = edge.target.op
    assert op is not None, "an edge leads to an op"
    served = op.inputs[min(edge.position, len(op.inputs) - 1)]
    if served in op.words:
        return op.words[served].replace("{", "").replace("}", "")
    rule = next((one for one in op.rules if served in one.inputs), None)
    expression = None if rule is None or rule.joint else expression_of(rule.function)
    if expression is None:
        return f"the rule of {op.name}"
    text = ast.unparse(expression).replace("xp.", "")
    return text if len(text) <= 40 else f"the rule of {op.name}"


def broadcasting_in(f: Node, place: Place) -> Answer:
    """Say which inputs broadcasting stretched, and over which axes their gradients add up."""
    graph = Graph([f], place.names)
    question = f"What did broadcasting do on the way to {graph.outputs[0].label}?"
    stretched = [edge for edge in graph.edges if edge.summed_axes and edge.source.shape]
    if not stretched:
        why = "Nothing: no array was stretched, apart from single numbers."
        return Answer(question, "nothing", [why], graph=graph)
    both = [node for node in graph if sum(edge.target is node for edge in stretched) > 1]
    sentences = [_sentence(edge) for edge in stretched[:5]]
    for node in both:
        shapes = " and ".join(str(source.shape) for _, source in node.inputs)
        sentences.append(
            f"In {node.label} both sides were stretched, {shapes} to {node.shape}: is every pair "
            "of elements meant?"
        )
    first = both[0] if both else stretched[0].target
    numbers = {edge.source.label: edge.summed_axes for edge in stretched}
    cause = "both stretched" if both else "stretched"
    marked = [first, *(edge.source for edge in stretched if edge.target is first)]
    return Answer(question, cause, sentences, first.line, numbers, graph=graph, marked=marked)


def _sentence(edge: Edge) -> str:
    axes = edge.summed_axes
    which = ("axis " if len(axes) == 1 else "axes ") + ", ".join(map(str, axes))
    text = f"{edge.source.label} {edge.source.shape} was stretched to {edge.target.shape} in "
    text += f"{edge.target.label}"
    return text + (f": its gradient adds up over {which}." if edge.needs_gradient else ".")
