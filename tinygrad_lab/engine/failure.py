"""What is known of an op that failed: its error carries it, for a picture up to there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.context import Scope, current
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.engine.user_code import Line, line_of, user_site

__all__ = ["Failure", "failure_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """An op that could not be applied to its inputs."""

    op_name: str
    inputs: Mapping[str, Node]
    """The nodes of its inputs by the names they have in the op, without those that are no array."""
    line: Line | None
    """The line of the user's code that asked for it."""
    scope: Scope | None
    """The module whose ``forward`` was running."""


def failure_of(op_name: str, inputs: Mapping[str, Any]) -> Failure:
    """Return what is known of an op that fails now, on inputs by their names in the op."""
    nodes: dict[str, Node] = {}
    for name, x in inputs.items():
        if hasattr(x, "_node"):
            nodes[name] = x._node or x.node
        elif type(x) in namespaces:
            nodes[name] = Leaf(x)
    return Failure(op_name, nodes, line_of(*user_site()), current().scope)
