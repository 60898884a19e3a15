"""The reverse sweep: the chain rule, from an output back to everything it was computed from.

Let f be the output and v any value on the way to it. Write g(v) for the gradient of f with
respect to v. If v is used as input number i of u = op(..., v, ...), the chain rule says that
this use contributes

    (g(u) pulled back through op, to input i)        for scalars: g(u) * du/dv

and g(v) is the sum of the contributions of all its uses. Starting from g(f) = 1, the sweep
visits the nodes from the youngest to the oldest. A value is always older than the values that
use it, so when its turn comes, all its uses have contributed and its gradient is complete.

Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed., 2008, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from typing import Any
from weakref import ref

from tinygrad_lab.backends import SMALL, Array
from tinygrad_lab.backends.scatter import Scatter
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.errors import GraphFreedError, ShapeError

__all__ = ["Cotangents", "ancestors", "hooked", "note_hooks", "run_hooks", "sweep"]


def sweep(
    outputs: Mapping[Node, Array],
    *,
    within: set[Node] | None = None,
    pull_back: Callable[[Node, Array], Iterable[tuple[Node, Any]]] | None = None,
    observe: Callable[[Node, Array], Array] | None = None,
    free: bool = False,
    keep: int = SMALL,
) -> dict[Node, Array]:
    """Gradients of the leaves, from those of the outputs.

    Args:
        outputs: nodes to start from, each with its gradient.
        within: visit no other nodes than these.
        pull_back: takes the place of ``node.pull_back``, to record or to check it.
        observe: is shown every complete gradient and returns the one to go on with.
        free: drop what a node keeps as soon as it was used.
        keep: keep gradients of up to so many elements in their nodes, for pictures.

    Raises:
        GraphFreedError: if an earlier sweep dropped what this one needs.
    """
    gradients: dict[Node, Any] = dict(outputs)
    # The queue holds numbers, the orders of nodes: comparing is what it does most.
    waiting: dict[float, Node] = {}
    for node in outputs:
        if node.__class__ is not Leaf:
            waiting[node.order] = node
    queue = sorted(waiting)
    while queue:
        node = waiting.pop(heappop(queue))
        g = gradients.pop(node)
        if observe is not None or g.__class__ in _PENDING:
            g = _complete(node, g, observe)
        # None says that it was computed and not kept.
        node._gradient = g if node.form.size <= keep else None
        try:
            for source, contribution in pull_back(node, g) if pull_back else node.pull_back(g):
                if contribution is None:
                    continue  # no gradient flows there
                if source in gradients:
                    gradients[source] = gradients[source] + contribution
                elif within is None or source in within:
                    gradients[source] = contribution
                    if source.__class__ is not Leaf:
                        waiting[source.order] = source
                        heappush(queue, source.order)
            if free:
                node.release()
        except (AttributeError, KeyError) as error:
            raise _freed(node) or error from None
        except ShapeError as error:
            if (plan := getattr(node, "plan", None)) is not None:
                error.add_note(f"on the way back through {plan.op.name}\n  at {node.line}")
            raise
    # All others were visited: what is left are the leaves.
    for leaf, g in gradients.items():
        if observe is not None or g.__class__ in _PENDING:
            gradients[leaf] = _complete(leaf, g, observe)
    return gradients


def _complete(node: Node, g: Any, observe: Callable[[Node, Array], Array] | None) -> Any:
    """A gradient to which every use has contributed."""
    if g.__class__ in _PENDING:
        g = g.total()  # type: ignore[attr-defined]
    return g if observe is None else observe(node, g)


def _freed(node: Node) -> GraphFreedError | None:
    """The error to raise if a node's arrays are gone; None if it still has them."""
    plan = getattr(node, "plan", None)
    if plan is None or not plan.keeps or node.kept:
        return None
    return GraphFreedError(
        f"the arrays that {plan.op.name} kept for the way back are gone: backward(free=True) "
        f"dropped them. Call backward() without free=True to go back twice.\n  at {node.line}"
    )


hooked: set[ref[Node]] = set()
"""The nodes that have hooks: as long as there are none, a sweep need not look for them."""


def note_hooks(node: Node) -> None:
    """Remember, as long as it lives, that a node has hooks."""
    hooked.add(ref(node, hooked.discard))


def run_hooks(node: Node, g: Array) -> Array:
    """A gradient after the hooks of its node."""
    for hook in list(getattr(node, "_hooks", {}).values()):
        replaced = hook(g)
        g = g if replaced is None else replaced
    return g


def ancestors(outputs: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """All nodes that outputs were computed from, themselves included, oldest first.

    The search does not go beyond the nodes in ``stop``.
    """
    found = dict.fromkeys(outputs)
    waiting = list(found)
    ends = set(stop)
    while waiting:
        node = waiting.pop()
        if node in ends:
            continue
        for input_node in node.inputs:
            if input_node is not None and input_node not in found:
                found[input_node] = None
                waiting.append(input_node)
    return sorted(found, key=lambda node: node.order, reverse=True)


class Cotangents:
    """Gradients of some of the several outputs of one op; None for those not reached."""

    __slots__ = ("_count", "_gradients")
    shape = dtype = None

    def __init__(self, count: int, gradients: Mapping[int, Any]) -> None:
        self._count = count
        self._gradients = gradients

    def __add__(self, other: Cotangents) -> Cotangents:
        return Cotangents(self._count, {**self._gradients, **other._gradients})

    def total(self) -> tuple[Any, ...]:
        """One gradient for each output."""
        return tuple(self._gradients.get(position) for position in range(self._count))


_PENDING = frozenset({Scatter, Cotangents})
