"""How many sweeps a ``.grad`` adds up, and in which order a sweep visits the nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from tinygrad_lab.answers.answer import Answer, Place, label_of, line_text, plural
from tinygrad_lab.answers.numbers import numpy_of
from tinygrad_lab.engine.node import Node
from tinygrad_lab.formatting import array_text
from tinygrad_lab.graphs import Graph

__all__ = ["order_of_sweep", "sweeps_in"]


def sweeps_in(x: Any, place: Place) -> Answer:
    """Say how many sweeps a tensor's ``.grad`` adds up, and what the last of them brought."""
    sweeps = getattr(x.grad, "_sweeps", 1)
    question = f"What is in .grad of {label_of(x, place)}?"
    last = x.node.gradient
    if sweeps == 0:
        return Answer(question, "assigned", ["It was assigned: no backward() gave it."])
    if sweeps == 1:
        return Answer(
            question, "one sweep", ["The gradient of one backward()."], None, {"sweeps": 1}
        )
    count = abs(sweeps)
    why = f"The sum of {plural(count, 'sweep')}: each backward() adds to .grad."
    if sweeps < 0:
        why = f"A gradient that was assigned, and {plural(count, 'sweep')} that added to it."
    numbers: dict[str, Any] = {"sweeps": count}
    sentences = [why]
    if last is not None:
        before = np.asarray(numpy_of(x.grad._data) - numpy_of(last))
        numbers |= {"last": last, "before": before}
        sentences.append(
            f"The last brought {array_text(last)}, those before it {array_text(before)}."
        )
    sentences.append(
        "Their lines are not kept. Call optimizer.zero_grad(), or set .grad to None, before a "
        "backward() whose gradient is to stand alone."
    )
    return Answer(question, "several sweeps", sentences, None, numbers)


def order_of_sweep(f: Node, place: Place) -> Answer:
    """Say in which order backward() visits the nodes of a graph, and why in that one."""
    graph = Graph([f], place.names)
    visited = [node for node in reversed(graph.nodes) if node.requires_grad and not node.is_leaf]
    flowing = [edge for edge in graph.edges if edge.needs_gradient]
    uses = Counter(edge.source.index for edge in flowing)
    rows = [("visit", "node", "op", "uses", "line")]
    for number, node in enumerate(visited[:_MOST_ROWS], 1):
        count = str(uses[node.index])
        rows.append((str(number), node.label, node.op_name, count, line_text(node.line)))
    shared = [node for node in visited if uses[node.index] > 1]
    sentences = [
        f"{plural(len(visited), 'node')}, the youngest first: a value is older than all that use "
        "it, so when its turn comes, every use has brought its share, and its gradient is whole. "
        "Leaves are not visited: what was brought to them is the result."
    ]
    if shared:
        sentences.append(
            f"{shared[0].label} has to wait for {uses[shared[0].index]} uses: in an order that "
            "came to it after the first of them, a share would be missing."
        )
    numbers = {"visited": len(visited), "order": [node.index for node in visited]}
    question = f"In which order is the graph of {graph.outputs[0].label} swept?"
    return Answer(question, "youngest first", sentences, None, numbers, rows, graph, shared)


_MOST_ROWS = 40
