"""Ops that move elements around: their rules move the gradients back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMBERS
from tinygrad_lab.backends.dtypes import dtype_of_number
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, is_axis, is_integer, missing_axis, raw, shape_of
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, AxisError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.axes import (
    checked_axes,
    checked_axis,
    checked_shape,
    existing,
    several_axes,
)
from tinygrad_lab.ops.conversion import astype, transfer


def _other_size(x: Any, *, shape: Any, copy: bool | None) -> str | None:
    """Explain why x cannot be reshaped."""
    if copy not in (None, True, False) or type(copy) is int:
        return f"the shape is one argument: reshape(x, ({shape}, {copy}, ...)), got copy={copy}."
    sizes = tuple(shape) if isinstance(shape, tuple | list) else (shape,)
    if not all(map(is_integer, sizes)):
        return f"expected a shape of integers, got {excerpt(shape)}."
    if sizes.count(-1) > 1:
        return f"expected a shape with at most one -1, got {sizes}."
    known = prod(size for size in sizes if size != -1)
    if copy is False and known == prod(shape_of(x)):
        return f"x has no memory layout that can be viewed as {sizes} without a copy: copy=None."
    what = f"takes a multiple of {known}" if -1 in sizes else f"has {known}"
    return f"expected a shape for the {prod(shape_of(x))} elements of x, got {sizes}, which {what}."


reshape = op(
    "reshape",
    forward=lambda xp, x, *, shape, copy=None: xp.reshape(x, shape, copy=copy),
    vjp={"x": lambda xp, g, x_shape: xp.reshape(g, x_shape)},
    complex_vjp="same",
    latex=r"\mathrm{{reshape}}({x}, {shape})",
    check=_other_size,
    doc="""Return the elements of x in another shape; one size may be -1, to be inferred.

    ``copy=True`` always copies, False never does and raises instead, None copies if needed.
    """,
)

broadcast_to = op(
    "broadcast_to",
    forward=lambda xp, x, *, shape: xp.broadcast_to(x, shape),
    # Every gradient is summed over the axes that broadcasting stretched, so nothing is left to do.
    vjp={"x": lambda xp, g: g},
    complex_vjp="same",
    latex=r"\mathrm{{broadcast}}({x}, {shape})",
    core_axes=0,
    check=lambda x, *, shape: (
        f"shape {shape_of(x)} does not broadcast to {excerpt(shape)}: compared from the right, its "
        "sizes must be equal to those or 1."
    ),
    doc="Repeat x along new axes and axes of size 1 to give it a shape.",
)


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """Return the permutation that undoes a permutation of axes."""
    ordered = [a % len(axes) for a in axes]
    return tuple(ordered.index(a) for a in range(len(axes)))


permute_dims = op(
    "permute_dims",
    # A tuple, because NumPy takes None for all axes in reverse.
    forward=lambda xp, x, *, axes: xp.permute_dims(x, tuple(axes)),
    vjp={"x": lambda xp, g, axes: xp.permute_dims(g, _inverse(axes))},
    complex_vjp="same",
    words={"x": "g with its axes back in order"},
    latex=r"\mathrm{{permute}}({x}, {axes})",
    check=lambda x, *, axes: (
        f"expected each of the {len(shape_of(x))} axes of x once, as a tuple, got axes "
        f"{excerpt(axes)}."
    ),
    doc="Permute the axes of x: axis i of the result is axis ``axes[i]`` of x.",
)


def moveaxis(x: Any, source: int | tuple[int, ...], destination: int | tuple[int, ...]) -> Any:
    """Move some axes of x to other places; the rest keep their order.

    Raises:
        ShapeError: for an axis that x does not have, or different numbers of axes and places.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.moveaxis(tg.zeros_like(tg.tensor([[[1.0], [2.0]]])), 0, -1).shape
        (2, 1, 1)
    """
    moved = _axes_to_move(x, "source", source)
    places = _axes_to_move(x, "destination", destination)
    if len(moved) != len(places):
        reason = f"expected one place for each axis to move, got {source} to {destination}."
        given = {"source": source, "destination": destination}
        raise ShapeError(in_full("moveaxis", reason, {"x": x}, given))
    staying = iter(a for a in range(len(shape_of(x))) if a not in moved)
    arriving = dict(zip(places, moved, strict=True))
    axes = tuple(
        arriving[place] if place in arriving else next(staying) for place in range(len(shape_of(x)))
    )
    return permute_dims(x, axes=axes)


def _axes_to_move(x: Any, argument: str, axes: Any) -> tuple[int, ...]:
    """Return axes of x, counted from the front; not all of them for None."""
    if axes is None:
        checked_axis("moveaxis", x, axes, argument=argument)
    return checked_axes("moveaxis", x, axes, argument=argument)


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Swap two axes of x.

    Raises:
        AxisError: for an axis that x does not have.
    """
    one = checked_axis("swapaxes", x, axis1, argument="axis1")
    other = checked_axis("swapaxes", x, axis2, argument="axis2")
    axes = list(range(len(shape_of(x))))
    axes[one], axes[other] = other, one
    return permute_dims(x, axes=tuple(axes))


matrix_transpose = op(
    "matrix_transpose",
    "ᵀ",
    forward=lambda xp, x: xp.matrix_transpose(x),
    vjp={"x": lambda xp, g: xp.matrix_transpose(g)},
    complex_vjp="same",
    latex="{x}^T",
    check=lambda x: f"expected a matrix or a stack of matrices, got shape {shape_of(x)}.",
    doc="Swap the last two axes of x.",
)


def _no_place(x: Any, axis: Any) -> str | None:
    """Explain why there is no place for a new axis."""
    if axis is None:
        return "expected the place of the new axis as an integer, got axis=None."
    return missing_axis(shape_of(x), axis, added=len(axis) if isinstance(axis, tuple) else 1)


expand_dims = op(
    "expand_dims",
    forward=lambda xp, x, *, axis=0: xp.expand_dims(x, axis=axis),
    vjp={"x": lambda xp, g, x_shape: xp.reshape(g, x_shape)},
    complex_vjp="same",
    latex=r"\mathrm{{expand}}({x}, {axis})",
    check=lambda x, *, axis: _no_place(x, axis),
    doc="Add an axis of size 1 (or several) to x; ``axis`` is its place in the result.",
)


def _axes_of_size_1(x: Any) -> tuple[int, ...]:
    return tuple(axis for axis, size in enumerate(shape_of(x)) if size == 1)


squeeze = op(
    "squeeze",
    forward=lambda xp, x, *, axis=None: xp.squeeze(
        x, axis=_axes_of_size_1(x) if axis is None else existing(x, axis)
    ),
    vjp={"x": lambda xp, g, x_shape: xp.reshape(g, x_shape)},
    complex_vjp="same",
    latex=r"\mathrm{{squeeze}}({x}, {axis})",
    check=lambda x, *, axis: (
        missing_axis(shape_of(x), axis)
        or f"only axes of size 1 can be dropped, got axis {axis} of shape {shape_of(x)}."
    ),
    doc="Drop an axis of size 1 from x, or several; None drops all of them.",
)

flip = op(
    "flip",
    forward=lambda xp, x, *, axis=None: xp.flip(x, axis=axis),
    vjp={"x": lambda xp, g, axis: xp.flip(g, axis=axis)},
    complex_vjp="same",
    latex=r"\mathrm{{flip}}({x}, {axis})",
    check=lambda x, *, axis: missing_axis(shape_of(x), axis),
    doc="Reverse the order of elements along an axis, several, or all (None).",
)


def _split(xp: Any, g: Any, xs_shape: tuple[tuple[int, ...], ...], axis: int) -> list[Any]:
    pieces, start = [], 0
    for shape in xs_shape:
        stop = start + shape[axis]
        index = [slice(None)] * len(shape)
        index[axis] = slice(start, stop)
        pieces.append(g[tuple(index)])
        start = stop
    return pieces


def _not_joinable(*xs: Any, axis: int) -> str | None:
    """Explain why tensors cannot be joined."""
    shapes = [shape_of(x) for x in xs]
    got = f"got shapes {' and '.join(map(str, shapes))}."
    if len(set(map(len, shapes))) > 1:
        return f"expected tensors with the same number of axes, {got}"
    reason = missing_axis(shapes[0], axis)
    return reason or f"expected tensors that differ only in axis {axis}, {got}"


_concat = op(
    "concat",
    forward=lambda xp, *xs, axis: xp.concat(xs, axis=axis),
    vjp={"xs": _split},
    complex_vjp="same",
    words={"xs": "its part of g"},
    latex=r"\mathrm{{concat}}({xs})",
    check=_not_joinable,
)


_ONE_LIST = "expected the tensors in one list, [x, y], and an axis as an integer, got a tensor."


def concat(tensors: Sequence[Any], axis: int | None = 0) -> Any:
    """Join tensors along an existing axis (None: flatten them first).

    A Python number, such as a ``tg.scalar``, counts as a vector of one element.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.concat([tg.tensor([1.0, 2.0]), tg.scalar(3.0, requires_grad=False)])
        tensor([1., 2., 3.])
    """
    if hasattr(axis, "shape"):
        raise ArgumentTypeError(in_full("concat", _ONE_LIST, {"axis": axis}, {}))
    tensors = tuple(tensors)
    if not tensors:
        reason = "expected at least one tensor, got none."
        raise ShapeError(in_full("concat", reason, {}, {"axis": axis}))
    if axis is None:
        return _concat(*(flatten(x) for x in _as_arrays(tensors)), axis=0)
    try:
        return _concat(*tensors, axis=axis)
    except ShapeError:
        # Numbers are looked for only here, so that arrays do not pay for it.
        if not any(map(_is_number, tensors)):
            raise
    arrays = zip(tensors, _as_arrays(tensors), strict=True)
    return _concat(
        *(reshape(array, (1,)) if _is_number(x) else array for x, array in arrays), axis=axis
    )


def stack(tensors: Sequence[Any], axis: int = 0) -> Any:
    """Join tensors of one shape along a new axis; Python numbers give a vector.

    Example:
        >>> import tinygrad_lab as tg
        >>> w = tg.scalar(3.0)
        >>> tg.stack([w, w * w]).sum().backward()
        >>> w.grad.item()
        7.0
    """
    if hasattr(axis, "shape"):
        raise ArgumentTypeError(in_full("stack", _ONE_LIST, {"axis": axis}, {}))
    tensors = tuple(tensors)
    try:
        return concat([expand_dims(x, axis=axis) for x in tensors], axis=axis)
    except (ShapeError, ArgumentTypeError):
        if reason := tensors and (several_axes(axis) or _no_place(tensors[0], axis)):
            kind = AxisError if is_axis(axis) else ArgumentTypeError
            labelled = {"tensors[0]": tensors[0]}
            raise kind(in_full("stack", reason, labelled, {"axis": axis})) from None
        if not any(map(_is_number, tensors)):
            raise
    return concat([expand_dims(x, axis=axis) for x in _as_arrays(tensors)], axis=axis)


def _is_number(x: Any) -> bool:
    """Return whether x is a Python number, or a Tensor that holds one."""
    return raw(x).__class__ in NUMBERS


KIND_RANKS = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
"""The order of NumPy's kinds of dtypes: a kind can hold the values of those before it."""


def _as_arrays(tensors: Sequence[Any]) -> list[Any]:
    """Return tensors with Python numbers as arrays without axes, in the dtype of the others.

    If the others are of a kind that cannot hold the numbers, in the default dtype that can.
    """
    arrays = [x for x in tensors if not _is_number(x)]
    for x in arrays:
        checked_shape("concat", x)
    dtypes = [np.dtype(x.dtype) for x in arrays]
    numbers = [raw(x) for x in tensors if _is_number(x)]
    if not numbers:
        return arrays
    most = max(KIND_RANKS[np.dtype(getattr(one, "dtype", type(one))).kind] for one in numbers)
    dtype = np.result_type(*dtypes) if dtypes else None
    if dtype is None or KIND_RANKS[dtype.kind] < most:
        wanted = dtype_of_number((False, 0, 0.0, 0j)[most])
        is_float = dtype is not None and dtype.kind == "f"  # float64 beside 1j is complex128
        dtype = np.result_type(wanted, dtype) if is_float else wanted
    device = str(getattr(arrays[0], "device", "cpu")) if arrays else "cpu"
    return [_as_array(x, dtype, device) if _is_number(x) else x for x in tensors]


def _as_array(x: Any, dtype: Any, device: str) -> Any:
    """Return a number as an array without axes."""
    if isinstance(x, int):  # NumPy says if it does not fit, where casting an array would wrap
        try:
            x = np.asarray(x, dtype=dtype)
        except OverflowError as error:
            raise ArgumentError(in_full("concat", f"{error}.", {"x": x}, {})) from None
    return astype(transfer(x, device=device), dtype=dtype)


def _restack(xp: Any, g: Any, x_shape: tuple[int, ...], axis: int) -> Any:
    reached = next(part for part in g if part is not None)
    parts = [xp.zeros_like(reached) if part is None else part for part in g]
    return xp.stack(parts, axis=axis)


def _unstack(xp: Any, x: Any, *, axis: int = 0) -> tuple[Any, ...]:
    if type(axis) is not int and (reason := several_axes(axis)):
        raise ArgumentTypeError(reason)  # NumPy takes (0,) for 0, where the rule does not
    try:
        return tuple(xp.unstack(x, axis=axis))
    except ValueError as error:
        # Libraries disagree about the class of this error.
        raise AxisError(missing_axis(shape_of(x), axis) or str(error)) from None


unstack: Callable[..., Any] = op(
    "unstack",
    forward=_unstack,
    vjp={"x": _restack},
    complex_vjp="same",
    words={"x": "g, stacked again"},
    latex=r"\mathrm{{unstack}}({x})",
    several_outputs=True,
    check=lambda x, *, axis: missing_axis(shape_of(x), axis),
    doc="Return a tuple of the slices of x along an axis.",
)


def flatten(x: Any, start_dim: int = 0) -> Any:
    """Join all axes of x from ``start_dim`` on into one."""
    shape = shape_of(x)
    if type(start_dim) is not int or not -len(shape) <= start_dim < len(shape):
        # A number without axes becomes a vector of one element, from axis 0 or -1.
        several = x if shape else np.empty(1)
        start_dim = checked_axis("flatten", several, start_dim, argument="start_dim")
    # Not -1: without rows, their length could not be inferred.
    return reshape(x, shape=(*shape[:start_dim], prod(shape[start_dim:])))


# --- several tensors ---------------------------------------------------------------------------


def broadcast_arrays(*arrays: Any) -> tuple[Any, ...]:
    """Broadcast tensors to a common shape.

    Raises:
        ShapeError: if there is none.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y = tg.broadcast_arrays(tg.tensor([[1.0], [2.0]]), tg.tensor([3.0, 4.0]))
        >>> x.tolist(), y.tolist()
        ([[1.0, 1.0], [2.0, 2.0]], [[3.0, 4.0], [3.0, 4.0]])
    """
    shapes = [checked_shape("broadcast_arrays", x) for x in arrays]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        reason = (
            f"shapes {' and '.join(map(str, shapes))} do not broadcast: compared from the right, "
            "sizes must be equal or 1."
        )
        labelled = {f"arrays[{position}]": x for position, x in enumerate(arrays)}
        raise ShapeError(in_full("broadcast_arrays", reason, labelled, {})) from None
    return tuple(broadcast_to(x, shape=shape) for x in arrays)


def meshgrid(*arrays: Any, indexing: str = "xy") -> tuple[Any, ...]:
    """Return the coordinates of all points of a grid, from the coordinates along its axes.

    Args:
        arrays: vectors (or single numbers): the coordinates along each axis.
        indexing: with ``"ij"`` the first vector varies along axis 0, as for matrices; with
            ``"xy"``, along axis 1, as for pictures.

    Returns:
        One array for each vector, all of the same shape.

    Raises:
        ShapeError: for arrays with more than one axis.
        ArgumentError: for another ``indexing``.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y = tg.meshgrid(tg.tensor([1, 2, 3]), tg.tensor([10, 20]))
        >>> x.tolist(), y.tolist()
        ([[1, 2, 3], [1, 2, 3]], [[10, 10, 10], [20, 20, 20]])
    """
    labelled = {f"arrays[{position}]": x for position, x in enumerate(arrays)}
    if indexing not in ("xy", "ij"):
        reason = f"expected indexing 'xy' or 'ij', got {excerpt(indexing)}."
        raise ArgumentError(in_full("meshgrid", reason, labelled, {}))
    shapes = [checked_shape("meshgrid", x) for x in arrays]
    if any(len(shape) > 1 for shape in shapes):
        reason = f"expected vectors, got shapes {' and '.join(map(str, shapes))}."
        raise ShapeError(in_full("meshgrid", reason, labelled, {}))
    axes = list(range(len(arrays)))
    if indexing == "xy":
        axes[:2] = axes[1::-1]
    return broadcast_arrays(
        *(
            reshape(x, tuple(-1 if axis == a else 1 for a in range(len(arrays))))
            for x, axis in zip(arrays, axes, strict=True)
        )
    )
