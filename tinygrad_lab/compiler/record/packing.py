"""Taking the leaves out of the arguments of a call: code for one structure of containers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["unpacker"]

Unpack = Callable[[tuple[Any, ...], dict[str, Any]], tuple[Any, ...] | None]


def unpacker(structure: Any) -> Unpack:
    """Return a function that takes the leaves out of ``args, kwargs``; None for another structure.

    ``structure`` is the list of positional arguments and the dict of keyword arguments, with the
    numbers of the leaves in their places.
    """
    args, kwargs = structure
    names: dict[str, Any] = {}
    leaves: dict[int, str] = {}
    checks = [f"len(args) == {len(args)}"]
    for number, part in enumerate(args):
        _walk(f"args[{number}]", part, checks, leaves, names)
    checks.append(_has_keys("kwargs", kwargs, names))
    for key, part in kwargs.items():
        _walk(f"kwargs[{key!r}]", part, checks, leaves, names)
    given = "".join(f"{leaves[number]}, " for number in range(len(leaves)))
    text = f"lambda args, kwargs: ({given}) if {' and '.join(checks)} else None"
    unpack: Unpack = eval(text, names)
    return unpack


def _walk(
    where: str, part: Any, checks: list[str], leaves: dict[int, str], names: dict[str, Any]
) -> None:
    if type(part) is int:
        leaves[part] = where
        return
    kind = f"kind_{len(names)}"
    names[kind] = type(part)
    checks.append(f"{where}.__class__ is {kind}")
    if isinstance(part, dict):
        checks.append(_has_keys(where, part, names))
        for key, inner in part.items():
            name = f"key_{len(names)}"
            names[name] = key
            _walk(f"{where}[{name}]", inner, checks, leaves, names)
        return
    checks.append(f"len({where}) == {len(part)}")
    for number, inner in enumerate(part):
        _walk(f"{where}[{number}]", inner, checks, leaves, names)


def _has_keys(where: str, part: dict[Any, Any], names: dict[str, Any]) -> str:
    """Write the check that a dict has these keys, in this order."""
    if not part:
        return f"not {where}"
    keys = f"keys_{len(names)}"
    names[keys] = list(part)
    return f"[*{where}] == {keys}"
