"""Hooks: a user's functions that see gradients during a sweep, and may replace them."""

from __future__ import annotations

from collections.abc import Callable
from weakref import ref

from tinygrad_lab.backends import Array
from tinygrad_lab.context import Context
from tinygrad_lab.engine.node import Node

__all__ = ["note_hooks", "observer", "run_hooks"]

_hooked: set[ref[Node]] = set()
"""The living nodes that have hooks: while there are none, a sweep does not look for them."""


def note_hooks(node: Node) -> None:
    """Remember, for as long as it lives, that a node has hooks."""
    _hooked.add(ref(node, _hooked.discard))


def run_hooks(node: Node, g: Array) -> Array:
    """Return a gradient after running the hooks of its node."""
    for hook in list(getattr(node, "_hooks", {}).values()):
        replaced = hook(g)
        g = g if replaced is None else replaced
    return g


def observer(context: Context) -> Callable[[Node, Array], Array] | None:
    """Return the function that is called with each complete gradient; None if there is none."""
    if context.recorder is not None:
        return context.recorder.observe
    return run_hooks if _hooked else None
