"""Elements by arrays of positions: taken along an axis, or marked by a 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import get_default_dtype
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, is_integer, shape_of
from tinygrad_lab.engine.keywords import advise
from tinygrad_lab.errors import DTypeError, IndexingError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.axes import along, checked_axis, checked_shape
from tinygrad_lab.ops.at import At
from tinygrad_lab.ops.indexing import array_like, as_index_array, getitem


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Return the elements at some positions along an axis: ``x[:, indices]`` for axis 1.

    Args:
        x: the tensor to take from.
        indices: integers, in an array of any shape, which replaces the axis. Negative ones count
            from the end. Gradients of an element that is taken several times add up.
        axis: the axis to take along; optional for a vector.

    Raises:
        IndexingError: for a position out of bounds, or that is not an integer.
        ShapeError: if the axis is missing, or x does not have it.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.take(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([1, 1, 0]), axis=0).tolist()
        [[3.0, 4.0], [3.0, 4.0], [1.0, 2.0]]
    """
    shape = checked_shape("take", x)
    if axis is None and len(shape) != 1:
        reason = f"expected an axis, because x of shape {shape} is not a vector: axis=0."
        raise ShapeError(in_full("take", reason, {"x": x}, {}))
    place = checked_axis("take", x, 0 if axis is None else axis)
    return getitem(x, along(place, _positions("take", x, indices)))


def take_along_axis(x: Any, indices: Any, axis: int = -1) -> Any:
    """Return elements along an axis at positions given for each row, such as those of ``argsort``.

    ``out[i, j] = x[i, indices[i, j]]`` for matrices and axis 1. Along the other axes x and
    ``indices`` are broadcast against each other. Gradients of an element that is taken several
    times add up.

    Raises:
        ShapeError: if x and ``indices`` differ in their numbers of axes, or x lacks the axis.
        IndexingError: for a position out of bounds, or that is not an integer.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[3.0, 1.0, 2.0]])
        >>> tg.take_along_axis(x, tg.argsort(x)).tolist()
        [[1.0, 2.0, 3.0]]
    """
    place = checked_axis("take_along_axis", x, axis)
    shape, indices = shape_of(x), _positions("take_along_axis", x, indices)
    if len(shape_of(indices)) != len(shape):
        reason = (
            f"expected indices with as many axes as x, {len(shape)}, got {len(shape_of(indices))}."
        )
        raise ShapeError(in_full("take_along_axis", reason, {"x": x, "indices": indices}, {}))
    # The other axes are indexed by all their positions, shaped to broadcast against the indices.
    every = [np.arange(n).reshape((n,) + (1,) * (len(shape) - 1 - a)) for a, n in enumerate(shape)]
    return getitem(
        x, tuple(indices if a == place else array_like(x, own) for a, own in enumerate(every))
    )


# --- PyTorch's gather and scatter: indices may be shorter than x along the other axes ------------


def gather(x: Any, axis: int, indices: Any) -> Any:
    """Return elements along an axis at the positions that ``indices`` has for each row.

    ``out[i, j] = x[i, indices[i, j]]`` for matrices and axis 1. Unlike in ``take_along_axis``,
    nothing is broadcast: along the other axes, ``indices`` has the size of x or less, and the
    result ends where it ends. Gradients of an element that is taken several times add up.

    Args:
        x: the tensor to take from.
        axis: the axis that the positions are along.
        indices: integers, with as many axes as x; the result has their shape.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: for indices with another number of axes, or larger than x along another axis.
        IndexingError: for a position out of bounds, or that is not an integer.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.gather(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, tg.tensor([[1], [0]])).tolist()
        [[2.0], [3.0]]
    """
    return getitem(x, _places("gather", x, axis, indices))


def scatter(x: Any, axis: int, indices: Any, values: Any) -> Any:
    """Return x with values set along an axis at the positions that ``indices`` has for each row.

    ``out[i, indices[i, j]] = values[i, j]`` for matrices and axis 1. Where a position comes several
    times, the last value remains, and gets the element's gradient.

    Args:
        x: the tensor to change in a copy.
        axis: the axis that the positions are along.
        indices: as in ``gather``.
        values: a number, or a tensor with as many axes as the indices, as large as they or larger.

    Raises:
        AxisError, ShapeError, IndexingError: as in ``gather``; ShapeError for too few values.
        DTypeError: for values that elements of x cannot hold.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.scatter(tg.zeros((2, 3)), 1, tg.tensor([[2], [0]]), 1.0).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    places = _places("scatter", x, axis, indices)
    return At(x)[places].set(_values_for("scatter", x, indices, values))


def scatter_add(x: Any, axis: int, indices: Any, values: Any) -> Any:
    """Return x with values added along an axis; arguments and errors as in ``scatter``.

    Where a position comes several times, all its values are added.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.scatter_add(tg.zeros(3), 0, tg.tensor([0, 2, 0]), tg.tensor([1.0, 2.0, 4.0]))
        tensor([5., 0., 2.])
    """
    places = _places("scatter_add", x, axis, indices)
    return At(x)[places].add(_values_for("scatter_add", x, indices, values))


advise("scatter", reduce="tg.scatter_add adds; the maximum of groups has no function here")


def _places(name: str, x: Any, axis: Any, indices: Any) -> tuple[Any, ...]:
    """Return the index that takes the elements of x at positions along an axis."""
    place = checked_axis(name, x, axis)
    shape, indices = shape_of(x), _positions(name, x, indices)
    wanted = shape_of(indices)
    pairs = enumerate(zip(wanted, shape, strict=False))
    if len(wanted) != len(shape) or any(n > size for a, (n, size) in pairs if a != place):
        reason = (
            f"expected indices with {len(shape)} axes, none but axis {place} larger than those of "
            f"x, got shape {wanted} for x of shape {shape}."
        )
        raise ShapeError(in_full(name, reason, {"x": x, "indices": indices}, {"axis": axis}))
    every = [np.arange(n).reshape((n,) + (1,) * (len(shape) - 1 - a)) for a, n in enumerate(wanted)]
    return tuple(indices if a == place else array_like(x, own) for a, own in enumerate(every))


def _values_for(name: str, x: Any, indices: Any, values: Any) -> Any:
    """Return the part of values that belongs to indices; a number as it is."""
    wanted, given = shape_of(indices), checked_shape(name, values)
    if not given:
        return values
    if len(given) != len(wanted) or any(n < least for n, least in zip(given, wanted, strict=True)):
        reason = f"expected a number, or values of the shape of the indices, {wanted}, got {given}."
        raise ShapeError(in_full(name, reason, {"x": x, "values": values}, {}))
    return values if given == wanted else getitem(values, tuple(slice(n) for n in wanted))


def _positions(name: str, x: Any, indices: Any) -> Any:
    """Return indices as an integer or an array of integers."""
    if is_integer(indices):
        return indices
    array = as_index_array(indices, x)
    if array is None or np.dtype(array.dtype).kind not in "iu":
        what = (
            f"{array.dtype}"
            if array is not None
            else f"{type(indices).__name__}: {excerpt(indices)}"
        )
        reason = f"expected integers as indices, got {what}."
        raise IndexingError(in_full(name, reason, {"x": x}, {}))
    return array


def _one_hot(xp: Any, labels: Any, *, num_classes: int, dtype: Any) -> Any:
    if xp.name == "python" or np.dtype(labels.dtype).kind not in "iu":
        raise DTypeError("expected an array of integers as labels: labels.astype(tg.int64).")
    if found := 0 not in labels.shape and xp.outside(labels, num_classes):
        raise IndexingError(
            f"labels of {num_classes} classes are 0 to {num_classes - 1}, got {found}."
        )
    classes = array_like(labels, np.arange(num_classes))
    return xp.astype(xp.expand_dims(labels, axis=-1) == classes, dtype)


_one_hot_op = op("one_hot", forward=_one_hot)


def one_hot(labels: Any, num_classes: int, dtype: Any = None) -> Any:
    """Return, for each label, a row that is 1 at the label and 0 elsewhere.

    Args:
        labels: integers from 0 to ``num_classes`` - 1, in any shape.
        num_classes: the length of the rows: the size of the last axis of the result.
        dtype: the dtype of the result; the default floating dtype if not given.

    Raises:
        IndexingError: for a label out of range.
        DTypeError: for labels that are not integers.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.one_hot(tg.tensor([2, 0]), 3).tolist()
        [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    """
    return _one_hot_op(
        labels, num_classes=num_classes, dtype=get_default_dtype() if dtype is None else dtype
    )
