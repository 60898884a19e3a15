"""``x.at[i].set(v)``: arrays with some elements changed, as new arrays.

Tensors with a history are not written into, for the way back needs what they held. A changed copy
is a value like any other: its gradient goes to ``v`` at the index, and to ``x`` everywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.backends.ownership import owned
from tinygrad_lab.backends.scatter import add_into, filled
from tinygrad_lab.context import current
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import explained, in_full, shape_of
from tinygrad_lab.engine.op import table
from tinygrad_lab.errors import (
    ArgumentTypeError,
    DTypeError,
    GradientError,
    IndexingError,
    ShapeError,
    TinygradLabError,
)
from tinygrad_lab.ops.index import is_mask, misfit, parsed

__all__ = ["At", "Place", "index_add", "index_set", "set_item"]


_LADDER = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
"""Kinds of numbers: booleans, integers, floats, complex ones; each holds those below."""


def _rung(x: Any) -> float:
    return _LADDER.get(np.dtype(getattr(x, "dtype", type(x))).kind, math.inf)


def _check(xp: Any, x: Any, values: Any, index: Any) -> None:
    """Raise where x cannot take values, for reasons that the library would let pass."""
    if xp.name == "python" or not hasattr(x, "shape"):
        raise IndexingError("a single number has no elements that could be set.")
    if values is None:
        raise ArgumentTypeError("expected values: numbers or an array, got None.")
    if _rung(values) > _rung(x):
        raise DTypeError(
            f"elements of {x.dtype} cannot be {getattr(values, 'dtype', type(values).__name__)}: "
            "x.astype(...) first."
        )
    shape = shape_of(values)
    # NumPy drops axes of size 1 in front, and has no gradient that would have to get them back.
    if shape[:1] == (1,) and len(shape) > len(x[index].shape):
        raise ShapeError(_no_broadcasting(x[index].shape, shape))


def _no_broadcasting(place: tuple[int, ...], values: tuple[int, ...]) -> str:
    return f"expected values that broadcast to {place}, the shape at that index, got {values}."


def _copy(xp: Any, x: Any, values: Any, index: Any) -> Any:
    """A copy of x to put values into."""
    _check(xp, x, values, index)
    return xp.asarray(x, device=xp.device_of(x))


def _set(xp: Any, x: Any, values: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    index = filled(key, arrays)
    copy = _copy(xp, x, values, index)
    copy[index] = values
    return copy


def _add(xp: Any, x: Any, values: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    index = filled(key, arrays)
    copy = _copy(xp, x, values, index)
    if 1 == len(shape_of(values)) < max((array.ndim for array in arrays), default=0):
        # NumPy's add.at (2.4) does not repeat a vector at an index of more axes: it reads on
        # behind its end.
        values = xp.broadcast_to(values, x[index].shape)
    add_into(xp, copy, values, arrays, key)
    return copy


def _unfit(x: Any, values: Any, *arrays: Any, key: tuple[Any, ...]) -> str | None:
    """Why values cannot be put into x at an index."""
    if reason := misfit(x, *arrays, key=key):
        return reason
    place, shape = x[filled(key, arrays)].shape, shape_of(values)
    try:
        fits = np.broadcast_shapes(place, shape) == place
    except ValueError:
        fits = False
    return None if fits else _no_broadcasting(place, shape)


def _remains(xp: Any, x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    """Where several values are set at one element: which of them it has at the end."""
    index = filled(key, arrays)
    place = x[index].shape
    numbers = xp.reshape(xp.arange(math.prod(place), device=x.device), place)
    holder = xp.zeros(x.shape, dtype=numbers.dtype, device=x.device)
    holder[index] = numbers
    return holder[index] == numbers


_set_remains = op("set_remains", forward=_remains)


def _to_the_values(xp: Any, g: Any, arrays: tuple[Any, ...], key: tuple[Any, ...]) -> Any:
    """An element's gradient goes to the value that was set last."""
    taken = xp.index(g, *arrays, key=key)
    if all(map(is_mask, arrays)):
        return taken
    return xp.where(xp.set_remains(g, *arrays, key=key), taken, xp.zeros_like(taken))


index_set = op(
    "index_set",
    "[ ] =",
    forward=_set,
    vjp={
        "x": lambda xp, g, arrays, key: xp.index_set(g, 0.0, *arrays, key=key),
        "values": _to_the_values,
    },
    check=_unfit,
    doc="x with values set at an index.",
)

index_add = op(
    "index_add",
    "[ ] +=",
    forward=_add,
    vjp={
        "x": lambda xp, g: g,
        "values": lambda xp, g, arrays, key: xp.index(g, *arrays, key=key),
    },
    check=_unfit,
    doc="x with values added at an index.",
)


class At:
    """``x.at``, which is indexed to say which elements to change."""

    __slots__ = ("_x",)

    def __init__(self, x: Any) -> None:
        self._x = x

    def __getitem__(self, index: Any) -> Place:
        return Place(self._x, *parsed("at", self._x, index))


class Place:
    """``x.at[index]``: elements of x, with ways to change them in a copy."""

    __slots__ = ("_arrays", "_key", "_x")

    def __init__(self, x: Any, key: tuple[Any, ...], arrays: Sequence[Any]) -> None:
        self._x = x
        self._key = key
        self._arrays = arrays

    def set(self, values: Any) -> Any:
        """x with these elements set to values, which are broadcast to their shape.

        Where an index names an element several times, the last value remains, and gets the
        element's gradient.

        Raises:
            IndexingError: for an index that does not fit x.
            ShapeError: for values that do not broadcast to the elements.
            DTypeError: for values that elements of x cannot hold.

        Example:
            >>> import tinygrad_lab as tg
            >>> tg.tensor([1.0, 2.0, 3.0]).at[1:].set(0.0)
            tensor([1., 0., 0.])
        """
        return index_set(self._x, values, *self._arrays, key=self._key)

    def add(self, values: Any) -> Any:
        """x with values added to these elements; errors as in ``set``.

        Where an index names an element several times, all its values are added.

        Example:
            >>> import tinygrad_lab as tg
            >>> tg.tensor([1.0, 2.0, 3.0]).at[[0, 0, 2]].add(10.0)
            tensor([21.,  2., 13.])
        """
        return index_add(self._x, values, *self._arrays, key=self._key)


# --- x[i] = v --------------------------------------------------------------------------------


def set_item(x: Any, index: Any, values: Any) -> None:
    """``x[index] = values``, for a Tensor that no gradient flows through.

    x gets new contents, and whatever had the old ones keeps them: graphs that x went into, tensors
    and arrays that share its memory. Only where nobody has, no copy is made.

    Raises:
        GradientError: where the history of x, or that of the values, would be lost.
        IndexingError, ShapeError, DTypeError: as in ``x.at[index].set(values)``.
    """
    key, arrays = parsed("setitem", x, index)
    if reason := _loses_history(x, values):
        raise GradientError(in_full("setitem", reason, {"x": x, "values": values}, {}))
    # That of x is not among them: a second reference to its array would make _write copy it.
    raw_values, *raw_arrays = [getattr(y, "_data", y) for y in (values, *arrays)]
    try:
        xp = namespace_of([x._data, raw_values, *raw_arrays])
        place = filled(key, tuple(raw_arrays))
        _check(xp, x._data, raw_values, place)
        _write(x, place, raw_values)
    except (TinygradLabError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        inputs, raw = [x, values, *arrays], [x._data, raw_values, *raw_arrays]
        raise explained(table["index_set"], inputs, raw, {"key": key}, error) from None


def _write(x: Any, place: Any, values: Any) -> None:
    """Put values into the memory of a Tensor if that is its own, otherwise into a copy."""
    holder = [x._data]
    x._data = None  # the holder alone has it now, or somebody else does, too
    try:
        holder[0] = owned(holder)
        holder[0][place] = values
    finally:
        x._rebind(holder[0])


def _loses_history(x: Any, values: Any) -> str | None:
    """Why x cannot be written into without a gradient, or a record, that would be wrong then."""
    instead = "Make a changed copy: x = x.at[index].set(values), or tg.where(condition, values, x)."
    recorded = getattr(getattr(x, "_origin", None), "op", None)
    context = current()
    if x._node is not None or recorded is not None:
        what = "requires a gradient" if x._node is not None else "was recorded"
        return f"x {what} and is not written into, for its graph may need what it holds. {instead}"
    if context.recording:
        return f"what is recorded here would not show that x is written into. {instead}"
    if context.grad_enabled and getattr(values, "_node", None) is not None:
        return (
            "the values require a gradient, which x cannot pass on to them. "
            f"{instead} Or, if none is wanted: x[index] = values.detach()."
        )
    return None
