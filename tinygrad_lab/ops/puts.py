"""Gradients of elements that are to be differentiated again: collected, then put in place at once.

The gradient of ``x[i]`` is as large as x. Of many elements, ``Scatter`` collects those of arrays in
one buffer; here are those of Tensors, which become one node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tinygrad_lab.backends.scatter import ARRAY
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.pending import PENDING
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.ops.indexing import put

__all__ = ["Puts"]

Key = tuple[Any, ...]


def _arrays_of(arrays: Sequence[Any], keys: Sequence[Key]) -> Iterator[tuple[Key, Sequence[Any]]]:
    """Split the arrays of several indices: return each key with its own."""
    start = 0
    for key in keys:
        stop = start + sum(part is ARRAY for part in key)
        yield key, arrays[start:stop]
        start = stop


def _put_all(xp: Any, *xs: Any, keys: tuple[Key, ...], shape: tuple[int, ...]) -> Any:
    values, arrays = xs[: len(keys)], xs[len(keys) :]
    total: Any = 0
    for one, (key, own) in zip(values, _arrays_of(arrays, keys), strict=True):
        piece = xp.put_at(one, tuple(own), key=key, shape=shape)
        total = piece if total is None else total + piece
    return total.total(), arrays  # the sum of at least one


def _taken_from_each(xp: Any, g: Any, residual: Any, keys: tuple[Key, ...]) -> list[Any]:
    """Return the part of g at each index, and no gradient for the arrays of the indices."""
    taken = [xp.index(g, *own, key=key) for key, own in _arrays_of(residual, keys)]
    return [*taken, *(None for _ in residual)]


_put_several = op(
    "put_several",
    internal=True,
    forward=_put_all,
    vjp={"xs": _taken_from_each},
    words={"xs": "g at its index"},
    latex=r"\mathrm{{put}}({xs})",
    residual=True,
    doc="""Return zeros of a shape, with several values added, each at its index.

    The inputs are as many values as there are keys, then the arrays of all indices.
    """,
)


class Puts(Tensor):
    """A sum of Tensors that are zero except at an index, of which nothing is computed yet.

    Only the sweep that collects it refers to it. It is a Tensor so that ``x + puts`` comes here,
    and so that anything else that needs its value computes it.
    """

    __slots__ = ("_others", "_pieces", "_whole")

    def __init__(
        self, values: Any, arrays: tuple[Any, ...], key: Key, shape: tuple[int, ...]
    ) -> None:
        self._pieces = [(values, arrays, key)]
        self._whole = shape
        self._others: Any = None
        """The sum of what is no piece."""

    def __add__(self, other: Any) -> Any:
        if isinstance(other, Puts):
            self._pieces += other._pieces
            other = other._others
        if other is not None:
            self._others = other if self._others is None else self._others + other
        return self

    __radd__ = __add__

    def total(self) -> Any:
        """Return the sum as a Tensor with a history."""
        values, arrays, keys = zip(*self._pieces, strict=True)
        if len(keys) == 1:
            total: Any = put(*values, *arrays[0], key=keys[0], shape=self._whole)
        else:
            flat = [array for own in arrays for array in own]
            total = _put_several(*values, *flat, keys=keys, shape=self._whole)
        return total if self._others is None else total + self._others

    def __getattr__(self, name: str) -> Any:
        if name not in ("_data", "_node"):
            raise AttributeError(name)
        total = self.total()
        self._data, self._node = total._data, total._node
        return getattr(self, name)


PENDING.add(Puts)
