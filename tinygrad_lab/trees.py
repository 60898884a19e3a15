"""Containers of tensors: nested lists, tuples and dicts, and modules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lab.errors import ArgumentError

__all__ = ["flatten", "is_container", "is_module"]

DEEPEST = 100
"""How many containers may lie within each other."""


def is_module(value: Any) -> bool:
    """Return whether a value represents its parameters."""
    return hasattr(value, "named_parameters")


def is_container(value: Any) -> bool:
    """Return whether a value is a container of tensors."""
    return isinstance(value, dict | list | tuple) or is_module(value)


def flatten(
    tree: Any, *, open_modules: bool = True
) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    """Return the leaves of a container in order, and a function that rebuilds it with others.

    A dict is read in insertion order; a module yields its parameters and is rebuilt as a dict by
    their names (or, without ``open_modules``, is a leaf).

    Raises:
        ArgumentError: for a container that contains itself, or is nested in more than 100 others.

    Example:
        >>> leaves, rebuild = flatten({"a": 1, "b": [2, (3,)]})
        >>> leaves, rebuild([10, 20, 30])
        ([1, 2, 3], {'a': 10, 'b': [20, (30,)]})
    """
    return _flatten(tree, open_modules, 0)


def _flatten(
    tree: Any, open_modules: bool, depth: int
) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    if open_modules and is_module(tree):
        named = dict(tree.named_parameters())
        return list(named.values()), lambda leaves: dict(zip(named, leaves, strict=True))
    if isinstance(tree, dict):
        values, keys = list(tree.values()), list(tree)
        join = lambda parts: dict(zip(keys, parts, strict=True))  # noqa: E731
        return _flatten_items(values, join, open_modules, depth)
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        kind = type(tree)
        return _flatten_items(list(tree), lambda parts: kind(*parts), open_modules, depth)
    if isinstance(tree, list | tuple):
        return _flatten_items(list(tree), type(tree), open_modules, depth)
    return [tree], lambda leaves: leaves[0]


def _flatten_items(
    items: list[Any], join: Callable[[list[Any]], Any], open_modules: bool, depth: int
) -> tuple[list[Any], Callable[[list[Any]], Any]]:
    if depth == DEEPEST:
        raise ArgumentError(
            f"a container of tensors contains itself, or is nested more than {DEEPEST} deep."
        )
    flat = [_flatten(item, open_modules, depth + 1) for item in items]
    # The rebuilding function may outlive the leaves, so it must not reference them.
    counted = [(len(part), rebuild_part) for part, rebuild_part in flat]

    def rebuild(leaves: list[Any]) -> Any:
        parts, start = [], 0
        for count, rebuild_part in counted:
            parts.append(rebuild_part(leaves[start : start + count]))
            start += count
        return join(parts)

    return [leaf for part, _ in flat for leaf in part], rebuild
