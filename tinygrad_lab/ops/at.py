"""``x.at[i].set(v)``: copies of arrays with some elements changed.

Tensors with a history are never written to, because the backward pass needs their values. A changed
copy is a value like any other: its gradient goes to ``v`` at the index, and to ``x`` elsewhere.
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
from tinygrad_lab.engine.explain import explained, in_full, raw, shape_of
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.op import table
from tinygrad_lab.engine.tensor import detached
from tinygrad_lab.engine.views import refuse_view
from tinygrad_lab.errors import (
    ArgumentTypeError,
    DTypeError,
    GradientError,
    IndexingError,
    ShapeError,
    TinygradLabError,
)
from tinygrad_lab.ops.indexing import is_mask, misfit, parse_index
from tinygrad_lab.ops.shape import KIND_RANKS

__all__ = ["At", "Place", "index_add", "index_set", "set_item"]


def _kind_rank(x: Any) -> float:
    return KIND_RANKS.get(np.dtype(getattr(x, "dtype", type(x))).kind, math.inf)


def _check(xp: Any, x: Any, values: Any, index: Any) -> None:
    """Raise if x cannot take the values, in cases that the array library would accept."""
    if xp.name == "python" or not hasattr(x, "shape"):
        raise IndexingError("a single number has no elements to set.")
    if values is None:
        raise ArgumentTypeError("expected values: numbers or an array, got None.")
    if _kind_rank(values) > _kind_rank(x):
        raise DTypeError(
            f"elements of {x.dtype} cannot hold {getattr(values, 'dtype', type(values).__name__)}: "
            "x.astype(...) first."
        )
    shape = shape_of(values)
    # NumPy drops leading axes of size 1, which the gradient would have to restore.
    if shape[:1] == (1,) and len(shape) > len(x[index].shape):
        raise ShapeError(_no_broadcasting(x[index].shape, shape))


def _no_broadcasting(place: tuple[int, ...], values: tuple[int, ...]) -> str:
    return f"expected values that broadcast to {place}, the shape at that index, got {values}."


def _copy(xp: Any, x: Any, values: Any, index: Any) -> Any:
    """Return a copy of x to put values into."""
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
        # NumPy's add.at (2.4) does not repeat a vector at an index with more axes: it reads past
        # the end of it.
        values = xp.broadcast_to(values, x[index].shape)
    add_into(xp, copy, values, arrays, key)
    return copy


def _unfit(x: Any, values: Any, *arrays: Any, key: tuple[Any, ...]) -> str | None:
    """Explain why values cannot be put into x at an index."""
    if reason := misfit(x, *arrays, key=key):
        return reason
    place, shape = x[filled(key, arrays)].shape, shape_of(values)
    try:
        fits = np.broadcast_shapes(place, shape) == place
    except ValueError:
        fits = False
    return None if fits else _no_broadcasting(place, shape)


def _remains(xp: Any, x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    """Mark the values that remain, where several are set at one element."""
    index = filled(key, arrays)
    place = x[index].shape
    numbers = xp.reshape(xp.arange(math.prod(place), device=x.device), place)
    holder = xp.zeros(x.shape, dtype=numbers.dtype, device=x.device)
    holder[index] = numbers
    return holder[index] == numbers


_set_remains = op("set_remains", forward=_remains)


def _to_the_values(xp: Any, g: Any, arrays: tuple[Any, ...], key: tuple[Any, ...]) -> Any:
    """Give an element's gradient to the value that was set last."""
    taken = xp.index(g, *arrays, key=key)
    if all(map(is_mask, arrays)):
        return taken
    return xp.where(xp.set_remains(g, *arrays, key=key), taken, xp.zeros_like(taken))


index_set = op(
    "index_set",
    "[ ] =",
    internal=True,
    forward=_set,
    vjp={
        "x": lambda xp, g, arrays, key: xp.index_set(g, 0.0, *arrays, key=key),
        "values": _to_the_values,
    },
    complex_vjp="same",
    words={
        "out": "{x} with {key} = {values}",
        "x": "g, but 0 where set",
        "values": "g where set",
    },
    latex=r"{x} \text{{ with }} {x}_{{{key}}} = {values}",
    check=_unfit,
    doc="Return x with values set at an index.",
)

index_add = op(
    "index_add",
    "[ ] +=",
    internal=True,
    forward=_add,
    vjp={
        "x": lambda xp, g: g,
        "values": lambda xp, g, arrays, key: xp.index(g, *arrays, key=key),
    },
    complex_vjp="same",
    words={"out": "{x} with {key} += {values}", "values": "g where added"},
    latex=r"{x} \text{{ with }} {x}_{{{key}}} \mathrel{{+}}= {values}",
    check=_unfit,
    doc="Return x with values added at an index.",
)


class At:
    """``x.at``: index it to select the elements to change."""

    __slots__ = ("_x",)

    def __init__(self, x: Any) -> None:
        self._x = x

    def __getitem__(self, index: Any) -> Place:
        return Place(self._x, *parse_index("at", self._x, index))


class Place:
    """``x.at[index]``: selected elements of x, to be changed in a copy."""

    __slots__ = ("_arrays", "_key", "_x")

    def __init__(self, x: Any, key: tuple[Any, ...], arrays: Sequence[Any]) -> None:
        self._x = x
        self._key = key
        self._arrays = arrays

    def set(self, values: Any) -> Any:
        """Return x with these elements set to values, which are broadcast to their shape.

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
        """Return x with values added to these elements; errors as in ``set``.

        Where an index names an element several times, all its values are added.

        Example:
            >>> import tinygrad_lab as tg
            >>> tg.tensor([1.0, 2.0, 3.0]).at[[0, 0, 2]].add(10.0)
            tensor([21.,  2., 13.])
        """
        return index_add(self._x, values, *self._arrays, key=self._key)


# --- x[i] = v --------------------------------------------------------------------------------


def set_item(x: Any, index: Any, values: Any) -> None:
    """Run ``x[index] = values``, for a Tensor that no gradient flows through.

    Under ``no_grad`` also for a leaf that requires one, which stays that leaf with other data.

    x gets new contents. Everything that shares the old ones keeps them: graphs that x is part of,
    tensors and arrays on the same memory. If nothing shares them, no copy is made.

    Raises:
        GradientError: where the history of x, or that of the values, would be lost.
        IndexingError, ShapeError, DTypeError: as in ``x.at[index].set(values)``.
    """
    key, arrays = parse_index("setitem", x, index)
    grad_enabled = current().grad_enabled
    if x._node.__class__ is Leaf and not grad_enabled:
        x.data = index_set(detached(x._read()), values, *arrays, key=key)
        return
    if hasattr(x, "_viewed") and not grad_enabled:
        refuse_view(x, "x[index] = y", "z = x.at[index].set(y)")
    if reason := _loses_history(x, values):
        raise GradientError(in_full("setitem", reason, {"x": x, "values": values}, {}))
    # Not the array of x: a second reference to it would make _write copy it.
    raw_values, *raw_arrays = map(raw, (values, *arrays))
    try:
        xp = namespace_of([x._data, raw_values, *raw_arrays])
        place = filled(key, tuple(raw_arrays))
        _check(xp, x._data, raw_values, place)
        _write(x, place, raw_values)
    except (TinygradLabError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        inputs, data = [x, values, *arrays], [x._data, raw_values, *raw_arrays]
        raise explained(table["index_set"], inputs, data, {"key": key}, error) from None


def _write(x: Any, place: Any, values: Any) -> None:
    """Write values to the memory of a Tensor if nothing shares it, otherwise to a copy."""
    holder = [x._data]
    x._data = None  # now the holder has the only reference, unless the memory is shared
    try:
        holder[0] = owned(holder)
        holder[0][place] = values
    finally:
        x._rebind(holder[0])


def _loses_history(x: Any, values: Any) -> str | None:
    """Explain why writing to x would make a gradient or a recording wrong."""
    instead = "Make a changed copy: x = x.at[index].set(values), or tg.where(condition, values, x)."
    recorded = getattr(getattr(x, "_origin", None), "op", None)
    context = current()
    if x._node.__class__ is Leaf:
        return (
            "x is a leaf that requires a gradient, which x[index] = values would not pass on to "
            "values. To change the leaf:\n    with tg.no_grad():\n        x[index] = values\n"
            "To compute a new tensor, with gradients to both: z = x.at[index].set(values), or "
            "tg.where(condition, values, x)."
        )
    if x._node is not None or recorded is not None:
        what = "requires a gradient" if x._node is not None else "was recorded"
        lost = x._node is not None and not context.grad_enabled
        outside = " Under no_grad, the copy requires none: make it outside." if lost else ""
        return (
            f"x {what} and cannot be written to, because its graph may need its values. "
            f"{instead}{outside}"
        )
    if context.recording:
        return f"the recording here would not show that x is written to. {instead}"
    if context.grad_enabled and getattr(values, "_node", None) is not None:
        return (
            "the values require a gradient, which x cannot pass on to them. "
            f"{instead} If no gradient is needed: x[index] = values.detach()."
        )
    return None
