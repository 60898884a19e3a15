"""Making Tensors of what nodes keep: raw arrays joined to the nodes they belong to.

Nodes hold raw arrays. To run a rule so that its own work is recorded, or to run a fused op again
as the small ops it is composed of, the arrays get their history back.
"""

from __future__ import annotations

from typing import Any

from tinygrad_lab.backends import form_of, namespaces
from tinygrad_lab.context import changed, within
from tinygrad_lab.engine.node import Node
from tinygrad_lab.engine.tensor import Tensor, computed, detached
from tinygrad_lab.errors import GradientError

__all__ = ["inputs_with_history", "run_composite", "with_history"]


def with_history(name: str, value: Any, named_nodes: dict[str, Any], node: Node) -> Any:
    """Make a Tensor of something that a node kept: one of its inputs, or its output."""
    source = node if name == "out" else named_nodes.get(name)
    if name == "residual" and _holds_floats(value):
        op: Any = node.op
        raise GradientError(
            f"{op.name} kept floating-point by-products, whose part in a derivative of the "
            "derivative would be lost: declare the op with a composite of small ops."
        )
    if isinstance(source, tuple):
        return tuple(map(_rejoined, value, source))
    return _rejoined(value, source)


def _holds_floats(value: Any) -> bool:
    if isinstance(value, tuple | list):
        return any(map(_holds_floats, value))
    return type(value) in namespaces and form_of(value).smooth


def _rejoined(value: Any, source: Node | None) -> Any:
    if value.__class__ not in namespaces or isinstance(value, bool | int):
        return value
    return detached(value) if source is None else computed(value, source)


def inputs_with_history(node: Any) -> list[Any]:
    """Make Tensors of the inputs of a fused op's node, which keeps them all."""
    op = node.plan.op
    named = op.named_arrays(node.inputs)
    inputs: list[Any] = []
    for name in op.inputs:
        value = with_history(name, node.kept[name], named, node)
        inputs += value if isinstance(value, tuple) else (value,)
    return inputs


def run_composite(node: Any, inputs: list[Any]) -> Tensor:
    """Run a fused op again, as the small ops it is composed of."""
    with within(node.scope), changed(grad_enabled=True, composing=True):
        return node.plan.op.composite(*inputs, **node.attributes)
