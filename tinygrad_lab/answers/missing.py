"""Why ``.grad`` is None."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tinygrad_lab.answers.answer import Answer, Place, label_of, leaves_of, line_text
from tinygrad_lab.answers.source import Cut, cut_before, cut_of_variable
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.formatting import array_text
from tinygrad_lab.graphs import Edge, Graph, GraphNode

__all__ = ["why_none", "why_not_reached"]

_LEFT_BEHIND = {
    "detached": "detach() gives the value without its history",
    "no_grad": "under no_grad() nothing remembers how it was computed",
    "item": "a Python number, or a NumPy array, has no history",
    "argmax": "positions are integers, which vary smoothly with nothing",
    "integers": "integers and booleans vary smoothly with nothing",
}


def why_none(x: Any, place: Place, f: Node | None = None) -> Answer:
    """Say why a tensor has no ``.grad``, in view of f or of what variables were computed from it.

    Args:
        x: a tensor whose ``.grad`` is None.
        place: where the question was asked.
        f: an output whose ``backward()`` was to give it one.
    """
    if not x.is_leaf:
        return _computed(x, place)
    if not x.requires_grad:
        return _requires_none(x, place)
    outputs = place.outputs if f is None else [f]
    using = [one for one in (Graph([out], place.names) for out in outputs) if leaves_of(one, x)]
    leaves = [x.node, *(one.node for graph in using for one in leaves_of(graph, x))]
    if any(leaf.gradient_was_computed and leaf.sweep for leaf in leaves):
        return _cleared(x, place, using)
    if using:
        return _unreached(x, place, using)
    return why_not_reached(x, place, outputs)


def _question(x: Any, place: Place) -> str:
    return f"Why is .grad of {label_of(x, place)} None?"


def _computed(x: Any, place: Place) -> Answer:
    graph = Graph([x.node], place.names)
    node = graph.outputs[0]
    sentences = [
        f"It was computed, by {node.op_name}, and only leaves collect gradients. Say "
        "x.retain_grad() before backward() to keep it.",
    ]
    if node.gradient_was_computed:
        sentences.append(
            f"The last backward() passed through it, with the gradient {array_text(node.gradient)}."
        )
    return Answer(_question(x, place), "computed", sentences, node.line, graph=graph, marked=[node])


def _cleared(x: Any, place: Place, using: list[Graph]) -> Answer:
    return Answer(
        _question(x, place),
        "cleared",
        [
            "A backward() reached it and gave it a gradient, which was set to None since, as "
            "zero_grad() does. Read it before that."
        ],
        **_picture(using, x),
    )


def _requires_none(x: Any, place: Place) -> Answer:
    """Answer for a tensor that no gradient flows through."""
    kind = x.dtype.kind
    origin = x.node
    cut = cut_of_variable(place.names[origin], place.code) if origin in place.names else None
    if kind in "iub":
        how = f"It holds {x.dtype}: {_LEFT_BEHIND['integers']}."
        cause = cut.cause if cut is not None and cut.cause == "argmax" else "integers"
        line = origin.line or (None if cut is None else cut.line)
        return Answer(_question(x, place), cause, [how], line)
    if origin.op is not None:  # recorded: it is known how it was computed, all the same
        return _recorded(x, place)
    if cut is not None:
        sentences = [f"It does not require one: {cut.text} stands behind it, and "]
        sentences[0] += f"{_LEFT_BEHIND[cut.cause]}."
        return Answer(_question(x, place), cut.cause, sentences, cut.line)
    viewed = getattr(x, "_viewed", None)
    of = None if viewed is None else viewed()
    if of is not None:
        return Answer(
            _question(x, place),
            "detached or no_grad",
            [
                f"It does not require one: it was taken of {label_of(of, place)} by detach(), or "
                "under no_grad(). Which of them, and where, is not recorded."
            ],
        )
    return Answer(
        _question(x, place),
        "not required",
        [
            "It does not require one, and has no history. Ask for it before it is used: "
            "tg.tensor(data, requires_grad=True), or x.requires_grad_().",
            "If it was computed, its history ended at a detach(), under no_grad() or in a compiled "
            "step: what ran under `with tg.record():` knows its line.",
        ],
    )


def _recorded(x: Any, place: Place) -> Answer:
    """Answer for a value that tg.record() recorded, though no gradient flows through it."""
    graph = Graph([x.node], place.names)
    ends = [one for one in graph if _ended_here(one)]
    if not ends:
        return Answer(
            _question(x, place),
            "not required",
            ["Nothing that it was computed from requires a gradient."],
            x.node.line,
            graph=graph,
            marked=graph.outputs,
        )
    return _end_of(_question(x, place), ends[-1], graph)


def _ended_here(node: GraphNode) -> bool:
    """Return whether a gradient could flow into a node's inputs, but not through the node."""
    into = any(source.requires_grad for _, source in node.inputs)
    return node.op is not None and not node.requires_grad and into


def _end_of(question: str, node: GraphNode, graph: Graph) -> Answer:
    """Answer with the recorded op at which a history ended."""
    if not node.node.form.smooth:
        cause = "argmax" if node.op_name.startswith("arg") else "integers"
        why = f"{node.op_name} gives {node.dtype}: {_LEFT_BEHIND['integers']}."
    elif node.op is not None and not node.op.rules:
        cause, why = "no rule", f"{node.op_name} has no derivative."
    else:
        cause = "no_grad"
        why = f"{node.op_name} ran under no_grad(): no gradient flows through what it computed."
    return Answer(question, cause, [why], node.line, graph=graph, marked=[node])


def _unreached(x: Any, place: Place, using: list[Graph]) -> Answer:
    """Answer for a leaf that values were computed from, without a sweep that reached it."""
    question = _question(x, place)
    for graph in using:
        leads = {one.index for one in leading_to(graph, leaves_of(graph, x))}
        if graph.outputs[0].index not in leads:
            continue
        swept = [one for one in using if one.outputs[0].gradient_was_computed]
        if swept:
            break
        out = graph.outputs[0]
        return Answer(
            question,
            "backward not run",
            [f"{out.label} was computed from it, but no backward() was run since."],
            out.line,
            **_picture([graph], x),
        )
    graph = using[0]
    leaf = leaves_of(graph, x)[-1]
    if not leaf.requires_grad:
        used = next(edge for edge in graph.edges if edge.source is leaf)
        why = (
            "It requires one now, but did not yet when it was used: requires_grad_() acts on "
            "what is computed afterwards."
        )
        return Answer(
            question, "required too late", [why], used.target.line, **_picture([graph], x)
        )
    return _stopped(question, graph, leaf)


def _stopped(question: str, graph: Graph, leaf: GraphNode) -> Answer:
    """Answer for a leaf in a graph, where an op passes nothing back to it."""
    ends = [one for one in graph if _ended_here(one) and leaf in _behind(one)]
    if ends:
        return _end_of(question, ends[-1], graph)
    closed = [edge for edge in graph.edges if edge.source.requires_grad and not edge.needs_gradient]
    known = [edge for edge in closed if edge.source is leaf or leaf in _behind(edge.source)]
    if known:
        target = known[-1].target
        why = f"{target.op_name} has no derivative with respect to its {known[-1].label}."
        return Answer(question, "no rule", [why], target.line, graph=graph, marked=[target])
    why = "The backward() that was run did not reach it. The cause is not known."
    return Answer(question, "not reached", [why], graph=graph, marked=[leaf])


def _behind(node: GraphNode) -> set[GraphNode]:
    found, waiting = {node}, [node]
    while waiting:
        for _, source in waiting.pop().inputs:
            if source not in found:
                found.add(source)
                waiting.append(source)
    return found


def leading_to(graph: Graph, leaves: Iterable[GraphNode]) -> list[GraphNode]:
    """Return the nodes from which a gradient flows back to some leaves, and those leaves."""
    found = {one.index for one in leaves if one.requires_grad}
    edges: dict[int, list[Edge]] = {}
    for edge in graph.edges:
        edges.setdefault(edge.target.index, []).append(edge)
    for node in graph:
        if any(e.needs_gradient and e.source.index in found for e in edges.get(node.index, ())):
            found.add(node.index)
    return [one for one in graph if one.index in found]


def why_not_reached(x: Any, place: Place, outputs: list[Node]) -> Answer:
    """Say where the way from x to some outputs is cut, none of which has x in its history."""
    question, name = _question(x, place), x.name or place.names.get(x.node)
    for out in outputs:
        graph = Graph([out], place.names)
        for edge, leaf in _constants(graph):
            if not _is_taken_of(leaf, x):
                continue
            cut = cut_before(edge.target.node, edge.position)
            sure = cut is not None and name in cut.names
            cause = cut.cause if sure and cut is not None else "detached"
            line = cut.line if sure and cut is not None else edge.target.line
            why = f"{edge.target.op_name} used its value alone, without a history"
            return Answer(
                question, cause, [f"{why}: {_LEFT_BEHIND[cause]}."], line,
                graph=graph, marked=[edge.target],
            )  # fmt: skip
        for cut, edge in _cuts(graph):
            if name in cut.names:
                why = f"{cut.text} stands on the way to {graph.outputs[0].label}"
                return Answer(
                    question, cut.cause, [f"{why}: {_LEFT_BEHIND[cut.cause]}."], cut.line,
                    graph=graph, marked=[edge.target],
                )  # fmt: skip
    return _nothing_known(question, place, outputs)


def _nothing_known(question: str, place: Place, outputs: list[Node]) -> Answer:
    if not outputs:
        return Answer(
            question,
            "not known",
            [
                "No variable here holds anything that was computed from it: no backward() reached "
                "it since its data was set. Ask with the loss: tg.explain(loss, x)."
            ],
        )
    graph = Graph(outputs[:1], place.names)
    out = graph.outputs[0]
    ends = [line_text(cut.line) for cut, _ in _cuts(graph)]
    sentences = [f"{out.label} was not computed from it, as far as its graph shows."]
    if ends:
        sentences.append(f"A history ends at {ends[0]}; whether its was that, is not known.")
    return Answer(question, "not reached", sentences, graph=graph, marked=[out])


def _constants(graph: Graph) -> Iterator[tuple[Edge, Leaf]]:
    """Yield the uses of constants in ops through which a gradient flows."""
    for edge in graph.edges:
        node = edge.source.node
        if edge.target.requires_grad and isinstance(node, Leaf) and not node.requires_grad:
            yield edge, node


def _is_taken_of(leaf: Leaf, x: Any) -> bool:
    """Return whether a constant is known to be a view of x, or to have its very array."""
    tensor = leaf.owner()
    viewed = getattr(tensor, "_viewed", None)
    if viewed is not None and viewed() is x:
        return True
    value = leaf.value if tensor is None else tensor._data
    return value is x._data and not isinstance(value, float | int)


def _cuts(graph: Graph) -> Iterator[tuple[Cut, Edge]]:
    """Yield where the source shows that histories end before they enter the graph."""
    for edge, _ in _constants(graph):
        cut = cut_before(edge.target.node, edge.position)
        if cut is not None:
            yield cut, edge


def _picture(graphs: list[Graph], x: Any) -> dict[str, Any]:
    if not graphs:
        return {}
    return {"graph": graphs[0], "marked": leaves_of(graphs[0], x)}
