"""``with tg.debug():`` checks what is ordinarily taken on trust.

It finds the op that makes the first NaN or infinity, in either direction; arrays that were
written to between forward and backward; and rules that return a gradient of the wrong shape or
dtype. It costs a few passes over every array.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary, WeakSet
from zlib import crc32

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.context import changed
from tinygrad_lab.engine.explain import readable
from tinygrad_lab.engine.node import Leaf, Node, contributions, unbroadcast
from tinygrad_lab.engine.pending import namespace_of_gradient
from tinygrad_lab.engine.user_code import Line, line_of, user_site
from tinygrad_lab.errors import DTypeError, MutationError, NonFiniteError, ShapeError

__all__ = ["Debugger", "debug"]


def debug() -> changed:
    """Run a block with every op checked, forward and backward.

    NaN that is in the data already is no error: a warning names it. NumPy's own warnings, which
    would show lines of this package, are silent in the block.

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
    return _Debugging(debugger=Debugger())


class _Debugging(changed):
    """A block with a debugger, which says at the user's lines what NumPy would say at ours."""

    def __init__(self, **changes: Any) -> None:
        super().__init__(**changes)
        self._quiet: list[np.errstate] = []

    def __enter__(self) -> Any:
        quiet = np.errstate(all="ignore")
        quiet.__enter__()
        self._quiet.append(quiet)
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._quiet.pop().__exit__(None, None, None)


class Debugger:
    """Checks of every op, and the checksums of kept arrays that they compare."""

    def __init__(self) -> None:
        self._checksums: WeakKeyDictionary[Node, dict[str, int]] = WeakKeyDictionary()
        self._named: WeakSet[Node] = WeakSet()

    def check_forward(self, node: Any, arrays: Sequence[Any], out: Any) -> None:
        """Look for the first non-finite value in a new node, and take checksums."""
        outs = _parts(out)
        if not all(map(_is_finite, outs)):
            if all(map(_is_finite, _not_none(arrays))):
                found = next(filter(None, map(_first_non_finite, outs)))
                raise NonFiniteError(
                    f"{node.op.name} made {found} of finite inputs{_named(node)}.\n  at {node.line}"
                )
            self._warn_of_data(node, arrays)
        self._checksums[node] = dict(_checksums(node.kept))

    def _warn_of_data(self, node: Any, arrays: Sequence[Any]) -> None:
        """Name, once for each leaf, an element that was NaN before the first op."""
        for position, (source, array) in enumerate(zip(node.inputs, arrays, strict=True)):
            if not isinstance(source, Leaf) or source in self._named or array is None:
                continue
            places = np.argwhere(np.isnan(_floats(array)))
            if not len(places):
                continue
            self._named.add(source)
            inputs = node.op.inputs
            unnamed = f"{inputs[min(position, len(inputs) - 1)]} of {node.op.name}"
            name = readable(source.name) if source.name else unnamed
            at = f" at {places[0].tolist()}" if len(places[0]) else ""
            text, line = f"{name}{at} was NaN before the first op", node.line
            if line is None:
                warnings.warn(text, RuntimeWarning, stacklevel=2)
            else:
                warnings.warn_explicit(text, RuntimeWarning, line.filename, line.number)

    def pull_back(self, node: Any, g: Any) -> Iterator[tuple[Node, Any]]:
        """Do what ``node.pull_back`` does, and check its arrays and results."""
        self.check_memory(node)
        xp = namespace_of_gradient(g)
        for _, target, gradient in contributions(node, xp, g, node.kept):
            self._check_form(node, target, g, gradient)
            gradient = unbroadcast(xp, gradient, target)
            self._check_finite(node, g, gradient)
            yield target, gradient

    def check_memory(self, node: Node) -> None:
        """Raise if an array that a node keeps was written to since."""
        before = self._checksums.get(node, {})
        for name, checksum in _checksums(node.kept):
            if before.get(name, checksum) != checksum:
                raise MutationError(
                    f"{_op_name(node)} kept its {name}{_named(node, name)} for the way back, and "
                    "the array was written to since. Make a new one instead of writing into "
                    f".data[...], or call backward() before.\n  kept at {node.line}\n"
                    f"  backward at {_here()}"
                )

    def _check_form(self, node: Node, target: Any, g: Any, gradient: Any) -> None:
        """Raise if a gradient does not fit, before it is summed and cast until it does.

        It has the shape of its input, or that to which broadcasting stretched it; and the dtype
        of its input or of the output.
        """
        rule = f"the rule of {_op_name(node)}"
        shape, expected = tuple(getattr(gradient, "shape", None) or ()), target.shape
        if expected is None:
            return  # a gradient of one of several outputs, which is not complete yet
        if not (_stretches(expected, shape) and _reaches(node, shape, g, expected)):
            raise ShapeError(
                f"{rule} gave a gradient of shape {shape} to an input of shape {expected}.\n"
                f"  at {node.line}"
            )
        dtype = np.dtype(getattr(gradient, "dtype", float))
        allowed = {np.dtype(getattr(one, "dtype", float)) for one in (target.form, *_parts(g))}
        if dtype not in allowed:
            raise DTypeError(
                f"{rule} gave a gradient of {dtype} to an input of {np.dtype(target.form.dtype)}.\n"
                f"  at {node.line}"
            )

    def _check_finite(self, node: Node, g: Any, gradient: Any) -> None:
        total = gradient.total() if hasattr(gradient, "total") else gradient
        if _is_finite(g) and not _is_finite(total):
            raise NonFiniteError(
                f"the rule of {_op_name(node)} made {_first_non_finite(total)} of a finite "
                f"gradient{_named(node)}.\n  at {node.line}"
            )


def _op_name(node: Node) -> str:
    return node.op.name if node.op else "a leaf"


def _parts(g: Any) -> tuple[Any, ...]:
    return g if isinstance(g, tuple) else (g,)


def _stretches(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Return whether an array of one shape broadcasts to another."""
    if len(shape) > len(to):
        return False
    return all(a in (b, 1) for a, b in zip(reversed(shape), reversed(to), strict=False))


def _reaches(node: Node, shape: tuple[int, ...], g: Any, expected: tuple[int, ...]) -> bool:
    """Return whether the input can have been broadcast to a shape: by an elementwise op to at most
    its output's shape, by others to at most as many axes.
    """
    out = tuple(getattr(g, "shape", ()))
    if shape == expected:
        return True
    if node.op is not None and node.op.elementwise:
        return _stretches(shape, out)
    return len(shape) <= len(out)


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
    """Describe the first NaN or infinity of an array and its place; empty if there is none."""
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
    """Write the names of a node's inputs, or of one of them, in brackets; empty without names."""
    op = node.op
    names = [
        readable(input_node.name)
        for position, input_node in enumerate(node.inputs)
        if input_node is not None
        and input_node.name
        and (name is None or (op and position < len(op.inputs) and op.inputs[position] == name))
    ]
    return f" ({', '.join(names)})" if names else ""


def _here() -> Line | None:
    return line_of(*user_site())
