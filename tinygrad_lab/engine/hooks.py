"""Hooks: a user's functions that see gradients during a sweep, and may replace them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any
from weakref import ref

from tinygrad_lab.backends import Array
from tinygrad_lab.context import Context
from tinygrad_lab.engine.node import Node

__all__ = [
    "HookHandle",
    "add_hook",
    "hooked",
    "inherit_hooks",
    "note_hooks",
    "observer",
    "run_hooks",
]

hooked: set[ref[Node]] = set()
"""The living nodes that have hooks: while there are none, a sweep does not look for them."""


_next_key = count(1).__next__


class HookHandle:
    """What ``register_hook`` returns: ``handle.remove()``, or ``handle()``, removes the hook.

    ``with handle:`` removes it at the end of the block. Removing it again does nothing.
    """

    __slots__ = ("_hooks", "_key")

    def __init__(self, hooks: dict[int, Any], key: int) -> None:
        self._hooks, self._key = hooks, key

    def remove(self) -> None:
        """Remove the hook; the sweeps that follow do not call it."""
        self._hooks.pop(self._key, None)

    def __call__(self) -> None:
        self.remove()

    def __enter__(self) -> HookHandle:
        return self

    def __exit__(self, *raised: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        return "<hook>" if self._key in self._hooks else "<hook, removed>"


_LAST = 0
"""The key of the one hook that runs after all others: it keeps what they made of the gradient."""


def add_hook(node: Node, hook: Callable[[Any], Any], *, last: bool = False) -> HookHandle:
    """Let a sweep call a hook with the complete gradient of a node, after those before it.

    Args:
        node: the node.
        hook: returns the gradient to go on with, or None.
        last: run it after those that are added later, too.
    """
    if not hasattr(node, "_hooks"):
        node._hooks = {}
    note_hooks(node)
    # The leaves that a tensor had before its data were set share this dictionary.
    hooks, key = node._hooks, _LAST if last else _next_key()
    hooks[key] = hook
    if _LAST in hooks:
        hooks[_LAST] = hooks.pop(_LAST)
    return HookHandle(hooks, key)


def inherit_hooks(leaf: Node, before: Node | None) -> None:
    """Let a leaf have the hooks of the one that stood for its tensor before, if it had any."""
    leaf._hooks = getattr(before, "_hooks", leaf._hooks)
    if leaf._hooks:
        note_hooks(leaf)


def note_hooks(node: Node) -> None:
    """Remember, for as long as it lives, that a node has hooks."""
    hooked.add(ref(node, hooked.discard))


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
    return run_hooks if hooked else None
