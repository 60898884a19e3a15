"""The reverse sweep: the chain rule, from an output back to everything it was computed from.

Let f be the output and v any value on the way to it. Write g(v) for the gradient of f with
respect to v. If v is used as input number i of u = op(..., v, ...), the chain rule says that
this use contributes

    (g(u) pulled back through op, to input i)        for scalars: g(u) * du/dv

and g(v) is the sum of the contributions of all its uses. Starting from g(f) = 1, the sweep visits
every node once, the youngest first. A value is older than the values that use it, so when its turn
comes, all its uses have contributed: its gradient is complete, and no contribution can come later.
That is why no set of visited nodes is needed (whose order would depend on memory addresses):
``gradients`` holds a node from its first contribution to its visit. Leaves are not visited; in the
end their gradients are what is left. ``pull_back`` in ``node.py`` sums over broadcast axes.

Source: Griewank & Walther, "Evaluating Derivatives", 2nd ed., 2008, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from heapq import heappop, heappush
from itertools import count
from typing import Any

from tinygrad_lab.backends import SMALL, Array
from tinygrad_lab.engine.explain import FAILURES_OF_RULES, explained_backward
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.engine.pending import PENDING

__all__ = ["next_sweep", "sweep"]

next_sweep = count(1).__next__


def sweep(
    outputs: Mapping[Node, Array],
    *,
    within: set[Node] | None = None,
    pull_back: Callable[[Node, Array], Iterable[tuple[Node, Any]]] | None = None,
    observe: Callable[[Node, Array], Array] | None = None,
    free: bool = False,
    keep: int = SMALL,
    number: int = 0,
) -> dict[Node, Array]:
    """Return the gradients of the leaves, given those of the outputs.

    Args:
        outputs: nodes to start from, each with its gradient.
        within: visit only these nodes.
        pull_back: used instead of ``node.pull_back``, to check it, or to build a graph of its work
            for gradients of gradients (``calculus/transforms.py``).
        observe: called with each complete gradient; returns the one to continue with.
        free: drop what a node keeps once it has been used.
        keep: keep gradients of up to this many elements in their nodes, for pictures.
        number: that of the ``backward()``, which every node remembers; 0 leaves no trace in them.

    Raises:
        GraphFreedError: if an earlier sweep dropped what this one needs.
    """
    gradients: dict[Node, Any] = dict(outputs)
    waiting = {node.priority: node for node in outputs if node.__class__ is not Leaf}
    queue = sorted(waiting)  # a heap of priorities, which count down: the smallest is the youngest
    while queue:
        node = waiting.pop(heappop(queue))
        g = gradients.pop(node)
        if observe is not None or g.__class__ in PENDING:
            g = _complete(node, g, observe)
        if number:  # None: computed but not kept
            node._gradient = g if g.__class__ is float or node.form.size <= keep else None
            node.sweep = number
        try:
            for source, contribution in pull_back(node, g) if pull_back else node.pull_back(g):
                if contribution is None:
                    continue
                if source in gradients:  # fan-in: the contributions of several uses add up
                    gradients[source] = gradients[source] + contribution
                elif within is None or source in within:
                    gradients[source] = contribution
                    if source.__class__ is not Leaf:
                        heappush(queue, priority := source.priority)
                        waiting[priority] = source
        except FAILURES_OF_RULES as error:
            raise explained_backward(node, error) from None
        if free:
            node.release()
    for leaf, g in gradients.items():
        if observe is not None or g.__class__ in PENDING:
            gradients[leaf] = _complete(leaf, g, observe)
    return gradients


def _complete(node: Node, g: Any, observe: Callable[[Node, Array], Array] | None) -> Any:
    """Return a gradient to which every use has contributed, after its observer has seen it."""
    # PENDING: collected part by part, such as the gradients of an op with several outputs.
    if g.__class__ in PENDING:
        g = g.total()  # type: ignore[attr-defined]
    return g if observe is None else observe(node, g)
