"""Indexing, and its gradient: what was taken from a place goes back to that place.

An index is made of integers, slices, ``...``, ``None`` and arrays. Arrays are inputs of the op;
all else is an attribute, the *key*, in which ``ARRAY`` marks the arrays' places.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of, namespaces
from tinygrad_lab.backends.dtypes import get_default_dtype
from tinygrad_lab.backends.scatter import ARRAY, filled
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, is_integer, shape_of
from tinygrad_lab.errors import DTypeError, IndexingError, ShapeError
from tinygrad_lab.ops.arguments.axes import along, known_axis, known_shape


def misfit(x: Any, *arrays: Any, key: tuple[Any, ...]) -> str | None:
    """Why x has nothing at an index; None where that is not seen here."""
    shape = shape_of(x)
    index = filled(key, arrays)
    used = [_axes_used(part) for part in index]
    if sum(used) > len(shape):
        return f"expected at most {len(shape)} indices for shape {shape}, got {sum(used)}."
    if sum(part is ... for part in index) > 1:
        return "expected at most one ..., got several."
    axis = 0
    for part, count in zip(index, used, strict=True):
        sizes = shape[axis : axis + count]
        if part is ...:
            axis += len(shape) - sum(used)
        elif is_mask(part):
            if tuple(part.shape) != sizes:
                return f"expected a mask of shape {sizes} for axis {axis} on, got {part.shape}."
        elif count and not isinstance(part, slice) and (reason := _out_of(sizes[0], part, axis)):
            return reason
        axis += count
    shapes = [str(shape_of(array)) for array in arrays if not is_mask(array)]
    if len(shapes) < 2:
        return None
    return f"the arrays of the index, of shapes {' and '.join(shapes)}, do not broadcast."


def _axes_used(part: Any) -> int:
    """How many axes a part of an index stands for, apart from ``...``."""
    if part is None or part is ... or isinstance(part, bool):
        return 0
    return len(part.shape) if is_mask(part) else 1


def is_mask(part: Any) -> bool:
    return np.dtype(getattr(part, "dtype", int)) == bool


def _out_of(size: int, part: Any, axis: int) -> str | None:
    """Says that an index, or one of an array of them, is out of bounds; None if none is."""
    positions = namespace_of([part]).to_numpy(part)
    outside = positions[(positions < -size) | (positions >= size)]
    if outside.size == 0:
        return None
    return f"expected {-size} to {size - 1} as an index of axis {axis}, got {outside.flat[0]}."


put = op(
    "put",
    forward=lambda xp, values, *arrays, key, shape: xp.put_at(
        values, arrays, key=key, shape=shape
    ).total(),
    vjp={"values": lambda xp, g, arrays, key: xp.index(g, *arrays, key=key)},
    doc="Zeros of a shape, to which values are added at an index.",
)


def _take(xp: Any, x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    if xp.name == "python":
        raise IndexingError("a single number has no elements that could be indexed.")
    return x[filled(key, arrays)]


_index = op(
    "index",
    "[ ]",
    forward=_take,
    vjp={"x": lambda xp, g, arrays, x_shape, key: xp.put_at(g, arrays, key=key, shape=x_shape)},
    check=misfit,
)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: integers, slices, ``...``, ``None``, integer arrays, boolean masks.

    Gradients of elements that are taken several times add up.

    Raises:
        IndexingError: for an index out of bounds, or of a form that cannot index.
    """
    key, arrays = parsed("index", x, index)
    return _index(x, *arrays, key=key)


def parsed(name: str, x: Any, index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """An index of x as the key and the arrays that it is made of.

    Raises:
        IndexingError: for what cannot index, in the name of the op that it is for.
    """
    key: list[Any] = []
    arrays: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if part is None or isinstance(part, int | slice | EllipsisType | np.integer):
            key.append(part)
            continue
        array = _as_array(part, x)
        if array is None or np.dtype(array.dtype).kind not in "iub":
            raise IndexingError(in_full(name, _refusal(part, array), {"x": x}, {"key": index}))
        key.append(ARRAY)
        arrays.append(array)
    return tuple(key), arrays


def _as_array(part: Any, x: Any) -> Any:
    """A part of an index as the array it is, or that a list makes beside x; None for all else."""
    if not isinstance(part, list):
        return part if hasattr(part, "dtype") else None
    try:
        array = np.asarray(part, dtype=None if part else np.int64)
    except ValueError:
        return None
    return beside(x, array) if array.dtype.kind in "iub" else array


def _refusal(part: Any, array: Any) -> str:
    if array is not None:
        return (
            f"an array that indexes must hold integers or booleans, got {array.dtype}: "
            "i.astype(tg.int64)."
        )
    return (
        "a tensor is indexed by integers, slices, ..., None, integer arrays and boolean masks; "
        f"got {type(part).__name__}: {part!r:.60}."
    )


# --- by arrays of positions ----------------------------------------------------------------------


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at some positions along an axis: ``x[:, indices]`` for axis 1.

    Args:
        x: what to take from.
        indices: integers, in an array of any shape, which takes the place of the axis. Negative
            ones count from the end. Gradients of an element that is taken several times add up.
        axis: the axis to take along; may be left out for a vector.

    Raises:
        IndexingError: for a position out of bounds, or what is no integer.
        ShapeError: for an axis that x does not have, or for want of one.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.take(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1, 1, 0]), axis=0).tolist()
        [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]
    """
    shape = known_shape("take", x)
    if axis is None and len(shape) != 1:
        reason = f"expected an axis to take along, as x of shape {shape} is no vector: axis=0."
        raise ShapeError(in_full("take", reason, {"x": x}, {}))
    place = known_axis("take", x, 0 if axis is None else axis)
    return getitem(x, along(place, _positions("take", x, indices)))


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """The elements at positions along an axis that each have their own: what ``argsort`` gives.

    ``out[i, j] = x[i, indices[i, j]]`` for matrices and axis 1. Along the other axes x and
    ``indices`` are broadcast against each other. Gradients of an element that is taken several
    times add up.

    Raises:
        ShapeError: if x and ``indices`` have different numbers of axes, or x not that axis.
        IndexingError: for a position out of bounds, or what is no integer.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[3.0, 1.0, 2.0]])
        >>> tg.take_along_axis(x, tg.argsort(x)).tolist()
        [[1.0, 2.0, 3.0]]
    """
    place = known_axis("take_along_axis", x, axis)
    shape, indices = shape_of(x), _positions("take_along_axis", x, indices)
    if len(shape_of(indices)) != len(shape):
        reason = (
            f"expected indices with as many axes as x, {len(shape)}, got {len(shape_of(indices))}."
        )
        raise ShapeError(in_full("take_along_axis", reason, {"x": x, "indices": indices}, {}))
    # Along each other axis its own positions, shaped so that they broadcast against the indices.
    every = [np.arange(n).reshape((n,) + (1,) * (len(shape) - 1 - a)) for a, n in enumerate(shape)]
    return getitem(
        x, tuple(indices if a == place else beside(x, own) for a, own in enumerate(every))
    )


def _positions(name: str, x: Any, indices: Any) -> Any:
    """Indices as an integer, or an array of them."""
    if is_integer(indices):
        return indices
    array = _as_array(indices, x)
    if array is None or np.dtype(array.dtype).kind not in "iu":
        what = (
            f"{array.dtype}" if array is not None else f"{type(indices).__name__}: {indices!r:.60}"
        )
        reason = f"expected integers as indices, got {what}."
        raise IndexingError(in_full(name, reason, {"x": x}, {}))
    return array


def beside(x: Any, array: Any) -> Any:
    """A NumPy array, as an array of the kind and on the device of x."""
    data = getattr(x, "_data", x)
    xp = namespaces[type(data)]
    on_cpu = xp.name in ("numpy", "python")
    return array if on_cpu else xp.asarray(array, device=xp.device_of(data))


def _one_hot(xp: Any, labels: Any, *, num_classes: int, dtype: Any) -> Any:
    if xp.name == "python" or np.dtype(labels.dtype).kind not in "iu":
        raise DTypeError("expected an array of integers as labels: labels.astype(tg.int64).")
    if found := 0 not in labels.shape and xp.outside(labels, num_classes):
        raise IndexingError(
            f"labels of {num_classes} classes are 0 to {num_classes - 1}, got {found[0]} to "
            f"{found[1]}."
        )
    classes = beside(labels, np.arange(num_classes))
    return xp.astype(xp.expand_dims(labels, axis=-1) == classes, dtype)


_one_hot_op = op("one_hot", forward=_one_hot)


def one_hot(labels: Any, num_classes: int, dtype: Any = None) -> Any:
    """For each label a row that is 1 at the label and 0 elsewhere.

    Args:
        labels: integers from 0 to ``num_classes`` - 1, in any shape.
        num_classes: how long the rows are: the size of the last axis of the result.
        dtype: that of the result; the default floating dtype if not given.

    Raises:
        IndexingError: for a label out of that range.
        DTypeError: for labels that are no integers.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.one_hot(tg.tensor([2, 0]), 3).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return _one_hot_op(
        labels, num_classes=num_classes, dtype=get_default_dtype() if dtype is None else dtype
    )
