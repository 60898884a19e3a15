"""The way back beside the way there: below each value its gradient, and what its op passes back.

Below a value v that was computed from x stands d_v, the gradient of the output with respect to v,
and for x the rule that pulls it back: ``d_x = d_v × w``. Where x is used more than once, each use
contributes, ``d_x += ...``, and d_x is their sum.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import reduce

from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.graphs import Edge, Graph, GraphNode
from tinygrad_lab.show.equation import Namer
from tinygrad_lab.show.picture import Box, Picture, Row, content_of
from tinygrad_lab.show.rule import rule_text

__all__ = ["both_ways"]

_NAMED_G = "\ue000"
"""Stands for a value that is named g, while ``g`` of a rule is replaced."""
_UNKNOWN = ("–",)


def both_ways(picture: Picture, graph: Graph) -> Picture:
    """Add to each box of a picture what happens there on the way back.

    Args:
        picture: a picture of single ops.
        graph: the graph.

    Raises:
        ArgumentError: if ops are folded.
    """
    if any(box.kind == "folded" for box in picture.boxes):
        raise ArgumentError(
            f"tg.draw: backward=True draws every op, and this graph has {len(graph):,} nodes: draw "
            "a part of it (part=), or set most to its number."
        )
    return _Reverse(picture, graph).picture()


class _Reverse:
    """Describes the way back through one picture."""

    def __init__(self, picture: Picture, graph: Graph) -> None:
        self._picture = picture
        self._node_of = {f"n{node.index}": node for node in graph}
        self._name_of = {box.key: box.name for box in picture.boxes}
        self._outputs = {node.index for node in graph.outputs}
        self._flowing = [edge for edge in graph.edges if edge.needs_gradient]
        self._uses = Counter(edge.source.index for edge in self._flowing)
        self._edges_of = self._edges_of_arrows()

    def _edges_of_arrows(self) -> Mapping[int, Sequence[Edge]]:
        """Return the edges of each arrow along which gradients flow, by the arrow's place."""
        edges: dict[tuple[str, str], list[Edge]] = {}
        for edge in self._flowing:
            edges.setdefault((f"n{edge.source.index}", f"n{edge.target.index}"), []).append(edge)
        arrows: dict[tuple[str, str], list[int]] = {}
        for place, arrow in enumerate(self._picture.arrows):
            if arrow.flows:
                arrows.setdefault((arrow.source, arrow.target), []).append(place)
        found: dict[int, Sequence[Edge]] = {}
        for ends, places in arrows.items():
            single = len(places) == len(edges[ends])
            found |= {
                place: [edges[ends][n]] if single else edges[ends] for n, place in enumerate(places)
            }
        return found

    def picture(self) -> Picture:
        boxes = tuple(self._with_gradient(box) for box in self._picture.boxes)
        arrows = tuple(replace(one, label="", content=()) for one in self._picture.arrows)
        return replace(self._picture, boxes=boxes, arrows=arrows, form="both ways")

    def _with_gradient(self, box: Box) -> Box:
        node = self._node_of[box.key]
        if not node.requires_grad:
            return box
        places = [
            place for place, edges in self._edges_of.items() if edges[0].target.index == node.index
        ]
        content, known = content_of(node, node.gradient)
        if node.gradient is None:
            content = ("not kept",) if node.gradient_was_computed else _UNKNOWN
        rows = [Row("gradient", content, known), *map(self._pulled_back, places)]
        gradient = Box(
            key=f"{box.key} back",
            kind="backward",
            output=False,
            name=f"d_{box.name}",
            equation=self._origin(node),
            rows=tuple(rows),
            tooltip="",
            frame=box.frame,
            joined=" · ",
            indices=box.indices,
        )
        to = tuple((row, place) for row, place in enumerate(places, start=1))
        above = tuple(row for row in box.rows if row.label != "gradient")
        return replace(box, rows=above, backward=replace(gradient, backward_to=to))

    def _origin(self, node: GraphNode) -> str:
        """Say where a gradient comes from, if not from one use."""
        uses = self._uses[node.index]
        start = ["start"] * (node.index in self._outputs)
        return " + ".join([*start, *([f"sum of {uses} uses"] if uses > 1 else [])])

    def _pulled_back(self, place: int) -> Row:
        """Describe what goes back along an arrow: the rule, and its result."""
        edges = self._edges_of[place]
        edge, source = edges[0], edges[0].source
        sign = "+=" if self._uses[source.index] > 1 else "="
        rule = f"{len(edges)} uses" if len(edges) > 1 else self._rule(edge)
        label = f"d_{self._name(source)} {sign} {rule}"
        g = edge.target.gradient
        parts = [] if g is None else [one.pulled_back(g) for one in edges]
        known = [part for part in parts if part is not None]
        if len(known) < len(edges):
            return Row(label, _UNKNOWN, known=False)
        return Row(label, *content_of(source, reduce(lambda one, other: one + other, known)))

    def _rule(self, edge: Edge) -> str:
        """Write the rule of an edge with the name of the gradient that it pulls back."""
        name: Namer = lambda node: re.sub(r"\bg\b", _NAMED_G, self._name(node))  # noqa: E731
        text = re.sub(r"\bg\b", f"d_{_NAMED_G}", rule_text(edge, name))
        own = self._name(edge.target)
        return text.replace(f"d_{_NAMED_G}", f"d_{own}").replace(_NAMED_G, "g")

    def _name(self, node: GraphNode) -> str:
        return self._name_of[f"n{node.index}"]
