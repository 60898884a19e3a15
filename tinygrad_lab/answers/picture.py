"""The picture of an answer: what draws graphs draws it, with the nodes in question marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lab.graphs import Graph, GraphNode
from tinygrad_lab.show.draw import draw
from tinygrad_lab.show.drawing import Drawing

__all__ = ["picture_of"]


def picture_of(graph: Graph, marked: Sequence[GraphNode], options: Mapping[str, Any]) -> Drawing:
    """Draw a graph with nodes of it marked."""
    return draw(graph, **{"highlight": list(marked) or None, **options})
