"""Containers of tensors: nested lists, tuples and dicts, and modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["flatten", "is_container", "is_module"]


def is_module(value: Any) -> bool:
    """Whether a value stands for its parameters."""
    return hasattr(value, "named_parameters")


def is_container(value: Any) -> bool:
    """Whether a value holds tensors, and is none itself."""
    return isinstance(value, dict | list | tuple) or is_module(value)


def flatten(tree: Any, *, modules: bool = True) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """The leaves of a container in order, and a function that puts others in their places.

    A dict is read in the order of its keys' insertion; a module gives its parameters, and is
    rebuilt as a dict by their names, or with ``modules=False`` it is a leaf.

    Example:
        >>> leaves, rebuild = flatten({"a": 1, "b": [2, (3,)]})
        >>> leaves, rebuild([10, 20, 30])
        ([1, 2, 3], {'a': 10, 'b': [20, (30,)]})
    """
    if modules and is_module(tree):
        named = dict(tree.named_parameters())
        return list(named.values()), lambda leaves: dict(zip(named, leaves, strict=True))
    if isinstance(tree, dict):
        return _flatten_items(
            list(tree.values()), lambda parts: dict(zip(tree, parts, strict=True)), modules
        )
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return _flatten_items(list(tree), lambda parts: type(tree)(*parts), modules)
    if isinstance(tree, list | tuple):
        return _flatten_items(list(tree), type(tree), modules)
    return [tree], lambda leaves: leaves[0]


def _flatten_items(
    items: list[Any], join: Callable[[list[Any]], Any], modules: bool
) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    flat = [flatten(item, modules=modules) for item in items]
    leaves = [leaf for part, _ in flat for leaf in part]

    def rebuild(leaves: list[Any]) -> Any:
        parts, start = [], 0
        for part, rebuild_part in flat:
            parts.append(rebuild_part(leaves[start : start + len(part)]))
            start += len(part)
        return join(parts)

    return leaves, rebuild
