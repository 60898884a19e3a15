"""Finds log-sum-exp and softmax that were computed from their parts.

Both are shifted by the maximum against overflow. The shift is a constant that cancels out, and
each has one well-known derivative, which no reader looks for in six steps. Where the user gave a
name to a part, such as ``e = tg.exp(o)``, the parts are steps of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tinygrad_lab.graphs import GraphNode

__all__ = ["Pattern", "pattern_of"]


@dataclass(frozen=True)
class Pattern:
    """A function of one value that several ops compute together."""

    name: Literal["logsumexp", "softmax"]
    source: GraphNode
    axis: int


def pattern_of(node: GraphNode) -> Pattern | None:
    """Return the function whose last op a node is; None if it is an op by itself."""
    match node.op_name:
        case "add":
            return _logsumexp(node)
        case "log":
            return _logsumexp_of(node, shift=None)
        case "divide":
            return _softmax(node)
    return None


def _inputs(node: GraphNode) -> list[GraphNode]:
    return [source for _, source in node.inputs]


def _is(node: GraphNode, *names: str) -> bool:
    return node.op_name in names


def _logsumexp(node: GraphNode) -> Pattern | None:
    log, shift = _inputs(node)
    return _logsumexp_of(log, shift) if _is(log, "log") and not shift.requires_grad else None


def _logsumexp_of(log: GraphNode, shift: GraphNode | None) -> Pattern | None:
    (total,) = _inputs(log)
    if not _is(total, "sum"):
        return None
    (e,) = _inputs(total)
    shifted = _exponent(e)
    axis = _only_axis(total)
    has_names = total.name or e.name or (log.name if shift is not None else "")
    if has_names or shifted is None or axis is None or shifted[1] is not shift:
        return None
    return Pattern("logsumexp", shifted[0], axis)


def _softmax(node: GraphNode) -> Pattern | None:
    e, total = _inputs(node)
    if not _is(total, "sum") or _inputs(total)[0] is not e:
        return None
    shifted, axis = _exponent(e), _only_axis(total)
    has_names = total.name or e.name
    if has_names or shifted is None or axis is None or not total.attributes.get("keepdims", False):
        return None
    return Pattern("softmax", shifted[0], axis)


def _exponent(e: GraphNode) -> tuple[GraphNode, GraphNode | None] | None:
    """Return x and the constant shift of exp(x - shift); None if it is no exponential."""
    if not _is(e, "exp"):
        return None
    (inside,) = _inputs(e)
    if _is(inside, "subtract") and not inside.name:
        x, shift = _inputs(inside)
        if not shift.requires_grad and x.shape == inside.shape:
            return x, shift
    return inside, None


def _only_axis(total: GraphNode) -> int | None:
    """Return the one axis that is summed, counted from the end; None if there are several."""
    (x,) = _inputs(total)
    axis = total.attributes.get("axis")
    if axis is None:
        return -1 if len(x.shape) == 1 else None
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    return axes[0] % len(x.shape) - len(x.shape) if len(axes) == 1 else None
