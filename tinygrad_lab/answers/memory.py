"""What a graph keeps for the way back: its bytes, and for whom."""

from __future__ import annotations

from collections import Counter

from tinygrad_lab.answers.answer import Answer, Place, line_text, plural
from tinygrad_lab.engine.node import Node
from tinygrad_lab.formatting import bytes_text
from tinygrad_lab.graphs import Graph, GraphNode

__all__ = ["kept_by"]

_MOST_ROWS = 12
_FEWEST_GRAPHS = 3
"""So many repetitions of ``total = total + loss`` are named as one sum that holds graphs."""


def kept_by(f: Node, place: Place) -> Answer:
    """Say what the graph of f keeps, for which ops, and whether it holds many graphs in a sum."""
    graph = Graph([f], place.names)
    out = graph.outputs[0]
    question = f"What does the graph of {out.label} keep for the way back?"
    keeping = sorted((node for node in graph if node.keeps), key=lambda one: -one.nbytes_kept)
    rows = [("node", "keeps", "shape", "bytes", "line")]
    for node in keeping[:_MOST_ROWS]:
        for kept in node.keeps:
            row = (node.label, kept.name, str(kept.shape), bytes_text(kept.nbytes))
            rows.append((*row, line_text(node.line)))
    freed = [
        node
        for node in graph
        if node.op is not None
        and node.requires_grad
        and node.node.plan.keeps
        and not node.node.kept
    ]
    nbytes = graph.nbytes_kept
    numbers = {"bytes": nbytes, "nodes": len(graph), "keeping": len(keeping), "freed": len(freed)}
    sentences = [
        f"{bytes_text(nbytes)} in {plural(len(keeping), 'node')} of {len(graph):,}; an array that "
        "several keep counts once. It lives as long as a variable holds the output."
    ]
    if freed:
        sentences.append(f"backward(free=True) freed what {plural(len(freed), 'node')} kept.")
    held, link = _graphs_in_sum(out)
    if held >= _FEWEST_GRAPHS and link is not None:
        sentences.insert(
            0,
            f"{out.label} is a running sum: it holds the graphs of {held:,} values that were added "
            "one after the other. For a sum of numbers alone add loss.item().",
        )
        numbers["graphs"] = held
        return Answer(
            question, "running sum", sentences, link.line, numbers, rows, graph, [out, link]
        )
    cause = "freed" if freed and not keeping else "kept"
    return Answer(question, cause, sentences, out.line, numbers, rows, graph, keeping[:3])


def _graphs_in_sum(out: GraphNode) -> tuple[int, GraphNode | None]:
    """Count the values that one line added to a running sum, of which the output is the last.

    Only values that were computed, from something that requires a gradient, are counted.
    """
    links: list[GraphNode] = []
    node: GraphNode | None = out
    while node is not None and node.op_name == "add" and node.site == out.site:
        links.append(node)
        sources = [source for _, source in node.inputs]
        node = next((one for one in sources if one.site == out.site), None)
    held = Counter(
        source.requires_grad and not source.is_leaf and source.site != out.site
        for link in links
        for _, source in link.inputs
    )
    return held[True], links[0] if links else None
