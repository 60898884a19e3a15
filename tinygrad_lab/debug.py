"""``with tg.debug():`` checks what the fast path takes on trust.

It finds the op that makes the first NaN or infinity, in either direction; arrays that were
written to between forward and backward; and rules that return a gradient of the wrong shape or
dtype. It costs a few passes over every array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary
from zlib import crc32

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.context import changed
from tinygrad_lab.errors import DTypeError, MutationError, NonFiniteError, ShapeError
from tinygrad_lab.node import Node
from tinygrad_lab.site import Line, line_of, user_site

__all__ = ["Debugger", "debug"]


def debug() -> changed:
    """Run a block with every op checked, forward and backward.

    Raises:
        NonFiniteError: where an op makes a NaN or an infinity of finite numbers.
        MutationError: where an array that the way back needs was written to.
        ShapeError, DTypeError: where a rule returns a gradient that does not fit its input.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(-1.0, name="x")
        >>> with tg.debug():
        ...     y = x.log()
        Traceback (most recent call last):
        tinygrad_lab.errors.NonFiniteError: log made nan of finite inputs ...
    """
    return changed(debugger=Debugger())


class Debugger:
    """What ``with tg.debug():`` remembers: checksums of kept arrays, and who used them."""

    def __init__(self) -> None:
        self._checksums: WeakKeyDictionary[Node, dict[str, int]] = WeakKeyDictionary()

    def check_forward(self, node: Any, arrays: Sequence[Any], out: Any) -> None:
        """Called with every new node: looks for the first non-finite value, takes checksums."""
        outs = out if isinstance(out, tuple) else (out,)
        if not all(map(_is_finite, outs)) and all(map(_is_finite, _not_none(arrays))):
            found = next(filter(None, map(_first_non_finite, outs)))
            raise NonFiniteError(
                f"{node.op.name} made {found} of finite inputs{_named(node)}.\n  at {node.line}"
            )
        self._checksums[node] = dict(_checksums(node.kept))

    def pull_back(self, node: Node, g: Any) -> Iterator[tuple[Node, Any]]:
        """``node.pull_back`` with its arrays and its results checked."""
        self._check_memory(node)
        for input_node, gradient in node.pull_back(g):
            total = gradient.total() if hasattr(gradient, "total") else gradient
            if not isinstance(total, tuple):
                self._check_gradient(node, input_node, g, total)
            yield input_node, gradient

    def _check_memory(self, node: Node) -> None:
        before = self._checksums.get(node, {})
        for name, checksum in _checksums(node.kept):
            if before.get(name, checksum) != checksum:
                assert node.op is not None, "leaves keep nothing"
                raise MutationError(
                    f"{node.op.name} kept its {name}{_named(node, name)} for the way back, and "
                    "the array was written to since. Make a new one instead of writing into "
                    f".data[...], or call backward() before.\n  kept at {node.line}\n"
                    f"  backward at {_here()}"
                )

    def _check_gradient(self, node: Node, input_node: Node, g: Any, gradient: Any) -> None:
        rule = f"the rule of {node.op.name if node.op else 'leaf'}"
        shape = tuple(getattr(gradient, "shape", ()))
        if shape != tuple(input_node.shape):
            raise ShapeError(
                f"{rule} gave a gradient of shape {shape} to an input of shape "
                f"{tuple(input_node.shape)}.\n  at {node.line}"
            )
        if np.dtype(getattr(gradient, "dtype", float)) != np.dtype(input_node.dtype):
            raise DTypeError(
                f"{rule} gave a gradient of {gradient.dtype} to an input of "
                f"{input_node.dtype}.\n  at {node.line}"
            )
        if _is_finite(g) and not _is_finite(gradient):
            raise NonFiniteError(
                f"{rule} made {_first_non_finite(gradient)} of a finite gradient"
                f"{_named(node)}.\n  at {node.line}"
            )


def _not_none(arrays: Sequence[Any]) -> list[Any]:
    return [array for array in arrays if array is not None]


def _floats(array: Any) -> np.ndarray[Any, Any]:
    data = namespaces[type(array)].to_numpy(array)
    return data if data.dtype.kind == "f" else np.zeros(0)


def _is_finite(array: Any) -> bool:
    if isinstance(array, tuple):
        return all(map(_is_finite, _not_none(array)))
    return bool(np.isfinite(_floats(array)).all())


def _first_non_finite(array: Any) -> str:
    """The first NaN or infinity of an array and its place; empty if there is none."""
    data = _floats(array)
    places = np.argwhere(~np.isfinite(data))
    if len(places) == 0:
        return ""
    place = tuple(map(int, places[0]))
    return f"{data[place]}" + (f" at element {place}" if place else "")


def _checksums(kept: Any) -> Iterator[tuple[str, int]]:
    for name, value in kept.items():
        if isinstance(value, tuple):
            yield from _checksums({f"{name}[{i}]": part for i, part in enumerate(value)})
        elif hasattr(value, "dtype") and type(value) in namespaces:
            data = namespaces[type(value)].to_numpy(value)
            yield name, crc32(data.tobytes())


def _named(node: Node, name: str | None = None) -> str:
    """The names of a node's inputs, or of one of them, in brackets; nothing if they have none."""
    op = node.op
    names = [
        input_node.name
        for position, input_node in enumerate(node.inputs)
        if input_node is not None
        and input_node.name
        and (name is None or (op and position < len(op.inputs) and op.inputs[position] == name))
    ]
    return f" ({', '.join(names)})" if names else ""


def _here() -> Line | None:
    return line_of(*user_site())
