"""The picture of a circuit, as lectures draw it: ops are circles, values run along wires.

Source of the style: Stanford's course CS231n, "Backpropagation, Intuitions".
"""

from __future__ import annotations

from dataclasses import replace

from tinygrad_lab.backends import namespaces
from tinygrad_lab.formatting import MINUS, number
from tinygrad_lab.graphs import Graph, GraphNode, Outside
from tinygrad_lab.show.equation import equation, key_text
from tinygrad_lab.show.picture import Box, Picture, is_plain_number

__all__ = ["as_circuit"]

_LONGEST_SYMBOL = 14
_SYMBOLS_OF_TWO = frozenset({"+", "×"})
"""Operators whose number may stand on either side: ``+1``, ``×2``."""


def as_circuit(picture: Picture, graph: Graph) -> Picture:
    """Turn a picture of boxes into a circuit.

    A number in the user's code is no input of its own: it is part of the op, ``+1`` or ``1/x``.

    Args:
        picture: the picture of the graph's ops.
        graph: the graph.
    """
    node_of = {f"n{node.index}": node for node in graph}
    inner = {
        box.key: _numbers_inside(node_of[box.key]) for box in picture.boxes if box.key in node_of
    }
    absorbed = {(f"n{source.index}", key) for key, inside in inner.items() for source in inside}
    arrows = tuple(one for one in picture.arrows if (one.source, one.target) not in absorbed)
    used = {key for one in arrows for key in (one.source, one.target)}
    gone = {source for source, _ in absorbed} - used
    boxes = [
        _box(box, node_of.get(box.key), inner.get(box.key, []))
        for box in picture.boxes
        if box.key not in gone
    ]
    return replace(picture, boxes=tuple(boxes), arrows=arrows, form="circuit")


def _numbers_inside(node: GraphNode) -> list[GraphNode]:
    """Return the inputs of an op that are plain numbers, if it has others, too."""
    sources = [source for _, source in node.inputs]
    numbers = [one for one in sources if is_plain_number(one)]
    return numbers if len(numbers) < len(sources) else []


def _box(box: Box, node: GraphNode | None, numbers: list[GraphNode]) -> Box:
    if node is None or isinstance(node, Outside) or node.is_leaf:
        return box
    symbol = _symbol_with_numbers(node, numbers) if numbers else _symbol(node)
    return replace(box, symbol=symbol, is_unnamed=not node.name)


def _symbol(node: GraphNode) -> str:
    if node.op_name == "index":
        return _shortened(key_text(node.attributes["key"], []), "[…]")
    if node.symbol == "?":
        return node.op_name
    return _shortened(node.symbol.replace("-", MINUS), node.op_name)


def _symbol_with_numbers(node: GraphNode, numbers: list[GraphNode]) -> str:
    """Write an op with its numbers: ``+1``, ``1/x``, ``x²``, ``max(0, x)``."""
    if node.symbol in _SYMBOLS_OF_TWO and len(node.inputs) == 2:
        return _shortened(f"{node.symbol}{_number(numbers[0])}", node.symbol)
    text = equation(node, lambda one: _number(one) if one in numbers else "x")
    return _shortened(text.replace(" ÷ ", "/").replace(f" {MINUS} ", MINUS), _symbol(node))


def _number(node: GraphNode) -> str:
    return number(namespaces[type(node.value)].to_numpy(node.value)[()])


def _shortened(text: str, otherwise: str) -> str:
    return text if len(text) <= _LONGEST_SYMBOL else otherwise
