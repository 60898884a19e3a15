"""Why a gradient is 0: which op passes nothing back, and for how many elements.

An op that takes a gradient which is not 0 and passes on 0 is under suspicion. It is the cause if,
were it to pass everything on, elements of the gradient in question would not be 0 any more: the
sweep is run again so, and leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.answers.answer import Answer, Place, label_of, leaves_of, plural
from tinygrad_lab.answers.missing import leading_to
from tinygrad_lab.answers.numbers import gradients_of, numpy_of, values_of
from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.node import Node, contributions, unbroadcast
from tinygrad_lab.engine.pending import namespace_of_gradient
from tinygrad_lab.graphs import Edge, Graph

__all__ = ["why_zero"]

_CAUSES = {
    "dead relu": "relu threshold hardshrink softshrink",
    "saturated": "sigmoid tanh hardtanh hardsigmoid hardswish erf softsign exp softplus "
    "cross_entropy binary_surprise atan",
    "clipped": "clip",
    "masked": "where dropout lower_half",
    "not selected": "maximum minimum max min max_pool1d max_pool2d index set_remains",
    "multiplied by zero": "multiply divide matmul vecdot linear conv1d conv2d",
    "flat": "square pow abs cos hypot",
}
_CAUSE_OF = {op: cause for cause, ops in _CAUSES.items() for op in ops.split()}

_WORDS = {
    "dead relu": "its input is not above 0 there",
    "saturated": "it is saturated there: its slope is 0 in these numbers",
    "clipped": "its input is beyond the limits there",
    "masked": "the mask leaves them out",
    "not selected": "it takes other elements than these",
    "multiplied by zero": "what it is multiplied by is 0 there",
    "flat": "its slope is 0 there",
    "cancelled": "what comes back there adds up to 0",
    "stopped": "why is not known",
}


@dataclass(frozen=True)
class _Stop:
    """A use of a value along which a gradient becomes 0."""

    edge: Edge
    cause: str
    stopped: int
    total: int
    samples: tuple[int, int] | None = None
    """For how many samples, along axis 0, nothing at all passes; and of how many."""
    units: tuple[int, int] | None = None
    """For how many units, along the other axes, nothing passes in any sample; and of how many."""


def why_zero(x: Any, place: Place, f: Node | None = None) -> Answer:
    """Say why elements of a gradient are 0.

    Args:
        x: a tensor whose ``.grad`` has zeros.
        place: where the question was asked.
        f: the output that was swept; else it is looked for in the variables there.
    """
    label = label_of(x, place)
    for out in place.outputs if f is None else [f]:
        graph = Graph([out], place.names)
        leaves = [one for one in leaves_of(graph, x) if one.requires_grad]
        if leaves:
            return _found(label, graph, leaves[0].index)
    question = f"Why is .grad of {label} 0?"
    why = "No variable here holds what was swept. Ask with the loss: tg.explain(loss, x)."
    return Answer(question, "not known", [why])


def _found(label: str, graph: Graph, leaf: int) -> Answer:
    gradients = gradients_of(graph)
    question = f"Why is the gradient of {label} 0?"
    if gradients is None or leaf not in gradients:
        why = "This sweep did not reach it."
        if gradients is None:
            why = "backward(free=True) dropped what is needed to tell: call backward() without it."
        return Answer(question, "not known", [why], graph=graph, marked=[graph.nodes[leaf]])
    whole, size = not _any(gradients[leaf]), numpy_of(gradients[leaf]).size
    if not whole:
        zeros = int((numpy_of(gradients[leaf]) == 0).sum())
        question = f"Why is the gradient of {label} 0, in {zeros:,} of {plural(size, 'element')}?"
    if not _any(gradients[graph.outputs[0].index]):
        why = "The gradient that backward() was given is 0."
        return Answer(question, "seed", [why], graph=graph, marked=graph.outputs)
    if causing := _causing(graph, leaf, gradients):
        return _told(question, graph, causing)
    if whole:
        ends = [one for one in _stops(graph, leaf, gradients) if one.stopped == one.total]
        return (
            _told(question, graph, ends) if ends else _cancelled(question, graph, leaf, gradients)
        )
    why = "No op on the way stops just these elements. The cause is not known."
    return Answer(question, "not known", [why], graph=graph, marked=[graph.nodes[leaf]])


def _any(array: Any) -> bool:
    absent = array is None or isinstance(array, tuple)
    return not absent and bool(np.any(numpy_of(array)))


def _stops(graph: Graph, leaf: int, gradients: Mapping[int, Any]) -> Iterator[_Stop]:
    """Yield the uses, on a way back to a leaf, where a gradient that is not 0 becomes 0."""
    values = values_of(graph)
    leads = {one.index for one in leading_to(graph, [graph.nodes[leaf]])}
    for edge in graph.edges:
        g = gradients.get(edge.target.index)
        if edge.source.index not in leads or not edge.needs_gradient or not _any(g):
            continue
        share = edge.pulled_back(g)
        if share is not None and (stop := _stop(edge, numpy_of(g), numpy_of(share), values)):
            yield stop


def _stop(edge: Edge, g: Any, share: Any, values: Mapping[int, Any]) -> _Stop | None:
    """Return what stops along one edge, given the gradient on both sides; None if nothing does."""
    if g.shape == share.shape and edge.target.op is not None and edge.target.op.elementwise:
        stopped = (g != 0) & (share == 0)
        if not stopped.any():
            return None
        silent = (share == 0).reshape(len(g), -1) if g.ndim > 1 else None
        samples = None if silent is None else (int(silent.all(axis=1).sum()), len(g))
        units = None if silent is None else (int(silent.all(axis=0).sum()), silent.shape[1])
        counts = int(stopped.sum()), int((g != 0).sum())
        return _Stop(edge, _cause_of(edge, g * stopped, stopped, values), *counts, samples, units)
    in_part = _has_zero_factor(edge) or _selects(edge)
    if not (share == 0).any() or (share.any() and not in_part):
        return None
    counts = int((share == 0).sum()), share.size
    return _Stop(edge, _cause_of(edge, g, share == 0, values), *counts)


def _cause_of(edge: Edge, g: Any, stopped: Any, values: Mapping[int, Any]) -> str:
    """Name the cause for which some elements are 0 of what a gradient g is pulled back to."""
    name = edge.target.op_name
    others = [source for position, source in edge.target.inputs if position != edge.position]
    known = [numpy_of(values[one.index]) for one in others if one.index in values]
    if name in ("multiply", "divide") and any(_is_mask(one) for one in known):
        return "masked"
    if name in ("maximum", "minimum") and any(not one.any() for one in known):
        return "dead relu"
    cause = _CAUSE_OF.get(name, "stopped")
    if cause == "multiplied by zero":
        by_zero = _has_zero_factor(edge) and not numpy_of(_of_sizes(edge, g))[stopped].any()
        return cause if by_zero else "cancelled"
    return "cancelled" if edge.summed_axes or name == "softmax" else cause


def _factors(edge: Edge) -> dict[str, Any]:
    """Return what an op keeps of its other inputs: what a product multiplies with."""
    node, op = edge.target.node, edge.target.op
    names = set(op.inputs) - {edge.label} if op is not None else set()
    return {name: one for name, one in node.kept.items() if name in names and hasattr(one, "shape")}


def _has_zero_factor(edge: Edge) -> bool:
    products = _CAUSES["multiplied by zero"].split()
    found = [numpy_of(one) for one in _factors(edge).values()]
    return edge.target.op_name in products and any(bool((one == 0).any()) for one in found)


def _selects(edge: Edge) -> bool:
    """Return whether an op selects elements of its input into an array of another shape."""
    return _CAUSE_OF.get(edge.target.op_name) == "not selected" and not (
        edge.target.op is not None and edge.target.op.elementwise
    )


def _of_sizes(edge: Edge, g: Any) -> Any:
    """Pull back sizes alone, |g| with |factors|: 0 where nothing but zeros is added up."""
    node, factors = edge.target.node, _factors(edge)
    xp = namespaces[type(next(iter(factors.values())))]
    sizes = {**node.kept, **{name: xp.abs(one) for name, one in factors.items()}}
    g = xp.asarray(np.abs(g))
    for position, source, gradient in contributions(node, xp, g, sizes):
        if position == edge.position:
            return unbroadcast(xp, gradient, source)
    return None


def _is_mask(array: Any) -> bool:
    """Return whether an array is 1 here and 0 there."""
    return array.size > 1 and set(np.unique(array).tolist()) == {0, 1}


def _told(question: str, graph: Graph, stops: list[_Stop]) -> Answer:
    """Answer with the ops that stop a gradient; the first lies nearest to the output."""
    stops = sorted(stops, key=lambda one: -one.edge.target.index)
    causes = list(dict.fromkeys(one.cause for one in stops))
    first = stops[0]
    counts = {"stopped": first.stopped, "elements": first.total}
    if first.samples:
        counts |= dict(zip(("samples", "of samples"), first.samples, strict=True))
    if first.units:
        counts |= dict(zip(("units", "of units"), first.units, strict=True))
    return Answer(
        question,
        causes[0] if len(causes) == 1 else "several",
        [_sentence(one) for one in stops[:5]],
        first.edge.target.line,
        counts,
        graph=graph,
        marked=[one.edge.target for one in stops],
    )


def _sentence(stop: _Stop) -> str:
    target = stop.edge.target
    of = f"{stop.stopped:,} of {plural(stop.total, 'element')}"
    text = f"{target.op_name} ({target.label}) passes back 0 for {of}"
    if stop.samples and stop.samples[0]:
        text += f", for {stop.samples[0]:,} of {plural(stop.samples[1], 'sample')} nothing at all"
    elif stop.units and stop.units[0]:
        text += f"; {stop.units[0]:,} of {plural(stop.units[1], 'unit')} get nothing in any sample"
    return f"{text}: {_WORDS[stop.cause]}."


def _cancelled(question: str, graph: Graph, leaf: int, gradients: Mapping[int, Any]) -> Answer:
    """Answer where shares of several uses, none of them 0, add up to 0."""
    leads = {one.index for one in leading_to(graph, [graph.nodes[leaf]])}
    for node in reversed(graph.nodes):
        if node.index not in leads or _any(gradients.get(node.index, 0.0)):
            continue
        uses = [e for e in graph.edges if e.source is node and e.target.index in leads]
        shares = [edge.pulled_back(gradients[edge.target.index]) for edge in uses]
        if sum(share is not None and _any(share) for share in shares) < 2:
            continue
        targets = [edge.target for edge in uses]
        names = " and ".join(one.label for one in targets[:3])
        why = f"The shares of its uses in {names} are not 0, and add up to 0."
        if node.index != leaf:
            why = f"At {node.label}, on the way, the shares that come back of {names} add up to 0."
        return Answer(
            question, "cancelled", [why], targets[-1].line, {"uses": len(uses)},
            graph=graph, marked=[node, *targets],
        )  # fmt: skip
    why = "No op on the way stops it, as far as its numbers are known. The cause is not known."
    return Answer(question, "not known", [why], graph=graph, marked=[graph.nodes[leaf]])


def _causing(graph: Graph, leaf: int, gradients: dict[int, Any]) -> list[_Stop]:
    """Return the ops without which elements of a leaf's gradient would not be 0.

    All that stop something are opened, also those that others hide, as far down as the leaf; then
    each that makes no difference is closed again.
    """
    zeros = numpy_of(gradients[leaf]) == 0
    opened: list[_Stop] = []
    now: dict[int, Any] | None = gradients
    while now is not None and len(opened) < _MOST_STOPS:
        known = {(one.edge.target.index, one.edge.position) for one in opened}
        fresh = [
            one
            for one in _stops(graph, leaf, now)
            if (one.edge.target.index, one.edge.position) not in known
        ]
        if not fresh:
            break
        opened += fresh
        now = gradients_of(graph, pull_back=_passing_on(opened))
    revived = _revived(graph, leaf, zeros, opened)
    for one in list(opened):
        others = [other for other in opened if other is not one]
        if _revived(graph, leaf, zeros, others) == revived:
            opened = others
    if not revived:
        return []
    ends = {one.edge.target.index for one in opened}
    return [one for one in opened if not _follows(one, ends)] or opened


_MOST_STOPS = 30


def _revived(graph: Graph, leaf: int, zeros: Any, opened: list[_Stop]) -> int:
    """Count the elements of a leaf's gradient that would not be 0 if some uses stopped nothing."""
    changed = gradients_of(graph, pull_back=_passing_on(opened)) if opened else None
    return 0 if changed is None else int((zeros & (numpy_of(changed[leaf]) != 0)).sum())


def _follows(stop: _Stop, ends: set[int]) -> bool:
    """Return whether a factor is 0 for no other reason than that another op made it 0."""
    inputs = {source.index for _, source in stop.edge.target.inputs}
    return stop.cause in ("multiplied by zero", "flat") and bool(inputs & ends)


def _passing_on(opened: list[_Stop]) -> Any:
    """Return a way back on which some uses of values stop nothing.

    An elementwise op passes its whole gradient on there; a product has no factors that are 0; what
    selects elements selects the others, too.
    """
    edges: dict[Node, list[Edge]] = {}
    for stop in opened:
        edges.setdefault(stop.edge.target.node, []).append(stop.edge)

    def pull_back(node: Node, g: Any) -> Iterable[tuple[Node, Any]]:
        if node not in edges:
            yield from node.pull_back(g)
            return
        xp, kept, whole = namespace_of_gradient(g), dict(node.kept), set()
        selecting = {edge.position for edge in edges[node] if _selects(edge)}
        for edge in edges[node]:
            if _has_zero_factor(edge):
                kept |= {name: _without_zeros(one) for name, one in _factors(edge).items()}
            else:
                whole.add(edge.position)
        for position, source, gradient in contributions(node, xp, g, kept):
            share = unbroadcast(xp, gradient, source)
            if position in selecting:
                share = share.total() if hasattr(share, "total") else share
                share = _without_zeros(share)
            passes = position in whole and getattr(share, "shape", None) == g.shape
            yield source, g if passes else share

    return pull_back


def _without_zeros(array: Any) -> Any:
    """Put numbers from 1 to 2 where an array is 0: differing ones, so that no sum of them is 0."""
    xp = namespaces[type(array)]
    fill = np.random.default_rng(0).uniform(1, 2, array.shape)
    return xp.where(array == 0, xp.asarray(fill, dtype=array.dtype), array)
