"""Walking back through a graph: the nodes that some values were computed from."""

from __future__ import annotations

from collections.abc import Iterable

from tinygrad_lab.engine.node import Node

__all__ = ["ancestors"]


def ancestors(outputs: Iterable[Node], stop: Iterable[Node] = ()) -> list[Node]:
    """Return the outputs and all nodes they were computed from, oldest first.

    The search does not go beyond the nodes in ``stop``.
    """
    found = dict.fromkeys(outputs)
    waiting = list(found)
    ends = set(stop)
    while waiting:
        node = waiting.pop()
        if node in ends:
            continue
        for source in node.inputs:
            if source is not None and source not in found:
                found[source] = None
                waiting.append(source)
    return sorted(found, key=lambda node: node.priority, reverse=True)
