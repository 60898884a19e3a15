"""Parts of a graph: what a user names by tensors or modules, to draw alone or to highlight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError
from tinygrad_lab.graphs import Graph, GraphNode
from tinygrad_lab.nn.module import Module
from tinygrad_lab.show.levels import CONTAINERS

__all__ = ["depth_inside", "nodes_named", "part_of"]


def part_of(graph: Graph, part: Any) -> Graph:
    """Return the part of a graph between two tensors, or inside of a module.

    Args:
        graph: the graph.
        part: a module, or two tensors: all ways from the first to the second.

    Raises:
        ArgumentError: for what is not in the graph; for tensors without a way between them.
        ArgumentTypeError: for anything else.
    """
    if isinstance(part, Module):
        return graph.restricted(_of_module(graph, part, "part"))
    if not (isinstance(part, tuple | list) and len(part) == 2):
        raise ArgumentTypeError(
            "tg.draw: part must be a module, or two tensors (a, b) for what leads from a to b; got "
            f"{type(part).__name__}."
        )
    start, end = (_of_tensor(graph, one, "part") for one in part)
    inside = _reached_from(graph, start) & _leading_to(graph, end)
    if not inside:
        names = [graph.nodes[index].label for index in (start, end)]
        raise ArgumentError(
            f"tg.draw: nothing leads from {names[0]} to {names[1]} in this graph; part=(a, b) goes "
            "from an earlier value to one that was computed from it."
        )
    return graph.restricted(inside)


def depth_inside(part: Graph) -> int:
    """Return how many modules are around all ops of a part; containers do not count."""
    around = [dict(node.modules) for node in part if not node.is_leaf]
    common = set.intersection(*map(set, around)) if around else set()
    return sum(bool(path) and around[0][path] not in CONTAINERS for path in common)


def nodes_named(graph: Graph, what: Any, option: str) -> set[int]:
    """Return the indices of tensors, of what ran in modules, or of several of them.

    Args:
        graph: the graph.
        what: a tensor, a module, or a list of them.
        option: the option of ``tg.draw``, for errors.
    """
    return {index for one in _each(what) for index in _of(graph, one, option)}


def _each(what: Any) -> Iterator[Any]:
    if isinstance(what, tuple | list):
        for one in what:
            yield from _each(one)
    else:
        yield what


def _of(graph: Graph, one: Any, option: str) -> set[int]:
    if isinstance(one, Module):
        return _of_module(graph, one, option)
    return {_of_tensor(graph, one, option)}


def _of_tensor(graph: Graph, one: Any, option: str) -> int:
    if not isinstance(one, Tensor | GraphNode):
        raise ArgumentTypeError(
            f"tg.draw: {option} takes tensors and modules, got {type(one).__name__}."
        )
    for node in graph:
        if node.node is one.node:
            return node.index
    name = one.name or f"a tensor of shape {tuple(one.shape)}"
    raise ArgumentError(
        f"tg.draw: {option}: {name} is not in this graph: what is drawn was not computed from it, "
        "or it has other data since."
    )


def _of_module(graph: Graph, module: Module, option: str) -> set[int]:
    """Return what ran while a module did."""
    found: set[int] = set()
    for node in graph:
        scope = getattr(node.node, "scope", None)
        while scope is not None and node.index not in found:
            outer = scope.outer
            known = {} if outer is None else outer.names
            # Module lists are in between: names say the way from any module around it.
            if id(module) in known and _is_within(scope.path, outer.path, known[id(module)]):
                found.add(node.index)
            scope = outer
    if found:
        return found
    raise ArgumentError(
        f"tg.draw: {option}: nothing in this graph was computed inside of a call of this "
        f"{type(module).__name__} by another module; tg.draw(module, x) draws a whole one."
    )


def _is_within(path: str, outer: str, name: str) -> bool:
    whole = f"{outer}.{name}" if outer else name
    return f"{path}.".startswith(f"{whole}.")


def _reached_from(graph: Graph, start: int) -> set[int]:
    found = {start}
    for node in graph:
        if any(source.index in found for _, source in node.inputs):
            found.add(node.index)
    return found


def _leading_to(graph: Graph, end: int) -> set[int]:
    found = {end}
    for node in reversed(graph.nodes):
        if node.index in found:
            found |= {source.index for _, source in node.inputs}
    return found
