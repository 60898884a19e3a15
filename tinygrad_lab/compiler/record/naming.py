"""The names of values: those of the user's variables and modules."""

from __future__ import annotations

from collections.abc import Container, Iterable
from functools import cache
from typing import Any

from tinygrad_lab.compiler.record.frames import target_of
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.trace import Event, Trace, Value
from tinygrad_lab.engine.ancestry import ancestors
from tinygrad_lab.engine.node import Leaf, Node

__all__ = ["identifier", "name_new_states", "name_values"]


def name_values(trace: Trace, outputs: Iterable[Node], gradients: list[tuple[Node, Value]]) -> None:
    """Give values the names from the user's code and modules.

    ``outputs`` are the nodes of the step's results; ``gradients`` are nodes with their gradients.
    """
    named = _name_nodes(ancestors([*outputs, *(node for node, _ in gradients)]))
    for node, value in reversed(gradients):
        # A gradient that passes through several nodes is named after the last, where it arises.
        if node in named and value.origin is None:
            value.name = _gradient_name(named[node])
            value.gradient_of = _value_of(node)
    for event in trace.events:
        for value in event.inputs:
            if value.name is None or value.event is None or not event.results:
                continue
            if value.name == event.result.name and _is_on_the_way(value.event, event):
                value.name = None
    for event in reversed(trace.events):
        # What is changed in place has one name.
        if event.augmented and isinstance(event.args[0], Value):
            event.args[0].name = event.result.name


def _name_nodes(nodes: Iterable[Node]) -> dict[Node, str]:
    """Name the values of nodes; return the names."""
    named: dict[Node, str] = {}
    nodes = list(nodes)
    on_the_way = {one for node in nodes for one in node.inputs if _is_on_the_way(one, node)}
    for node in nodes:
        value = _value_of(node)
        if not isinstance(node, Leaf):
            named[node] = _name_of(node, on_the_way)
            if value is not None and value.origin is None:
                value.name = named[node]
        elif value is not None:
            named[node] = value.name or "value"
    return named


def _value_of(node: Node) -> Value | None:
    """Return the value that a node computes, if it is known."""
    return getattr(getattr(node, "_result", None), "value", None)


def name_new_states(recording: Recording) -> None:
    """Name the new values of states after these, if they have no names."""
    for state, value in recording.writes.items():
        before = recording.states.get(state)
        if value.origin is None and state.kind == "grad":
            value.name = f"d_{identifier(state.owner.name or 'tensor')}"
        elif value.origin is None and value.name is None and before is not None:
            value.name = f"new_{before.name}"


def _is_on_the_way(one: Any, other: Any) -> bool:
    """Return whether a result is an intermediate one of the same call in the user's code.

    The variable that holds the output of a whole net, or a mean, is not the name of the output of
    its first layer, or of the sum. Where a loop applies one function repeatedly, it is.
    """
    if isinstance(one, Leaf | None) or one.code is None:
        return False
    same_call = one.code is other.code and one.offset == other.offset
    return same_call and _by_whom(one) != _by_whom(other)


def _by_whom(one: Any) -> tuple[str, str]:
    """Return the function that a node or an event applies, and its module."""
    function = one.call.name if isinstance(one, Event) else one.op.name
    return function, "" if one.scope is None else one.scope.path


def _name_of(node: Any, on_the_way: Container[Any]) -> str:
    """Return the name of the value of a node in the user's code, or else the module's."""
    name = node.name
    if name is None and node.code is not None and node not in on_the_way:
        name = target_of(node.code, node.offset)
    if name is None and node.scope is not None and node.scope.path:
        path = node.scope.path
        name = path if node.scope.kind.lower() == node.op.name else f"{path}_{node.op.name}"
        name = path if node.op.composite is not None else name
    return identifier(name or node.op.name)


@cache
def identifier(name: str) -> str:
    """Turn a name into a Python identifier: ``linear1.weight`` into ``linear1_weight``."""
    cleaned = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return cleaned if cleaned and not cleaned[0].isdigit() else f"layer{cleaned}"


@cache
def _gradient_name(name: str) -> str:
    return f"d_{name}"
