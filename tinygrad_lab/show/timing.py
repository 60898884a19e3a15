"""How long the forward of an op takes: it is run again on the values that the graph has."""

from __future__ import annotations

from time import perf_counter
from typing import Any

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.graphs import GraphNode
from tinygrad_lab.show.equation import attribute_text

__all__ = ["seconds_of", "time_text"]

_TIMES = 3
"""The best of so many runs counts: others were interrupted."""


def seconds_of(node: GraphNode) -> float | None:
    """Measure the forward of a node's op; None if that is not possible, or would change anything.

    It is not if the values of its inputs were not kept, if an attribute is an object that a run may
    change (a generator of random numbers), or on a device that computes on its own time. What only
    names one of several outputs takes no time.
    """
    if node.op_name == "output":
        return 0.0
    arrays = _inputs_of(node)
    plain = all(value is None or attribute_text(value) for value in node.attributes.values())
    if arrays is None or not plain or node.device not in ("cpu", "python"):
        return None
    assert node.op is not None
    forward, xp = node.op.forward, namespace_of(arrays)
    best = float("inf")
    for _ in range(_TIMES + 1):  # the first run fills caches
        start = perf_counter()
        forward(xp, *arrays, **node.attributes)
        best = min(best, perf_counter() - start)
    return best


def _inputs_of(node: GraphNode) -> list[Any] | None:
    """Return the values of a node's inputs, None for those left out; None if one is gone."""
    op = node.op
    assert op is not None
    arrays: list[Any] = [None] * len(node.node.inputs)
    for position, source in node.inputs:
        value = source.value
        if value is None and position < len(op.inputs) - op.variadic:
            value = node.node.kept.get(op.inputs[position])
        if value is None or source.changed:
            return None
        arrays[position] = value
    return arrays


def time_text(seconds: float) -> str:
    """Format a time.

    Example:
        >>> time_text(0.00123), time_text(2.5e-6)
        ('1.23 ms', '2.5 µs')
    """
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
