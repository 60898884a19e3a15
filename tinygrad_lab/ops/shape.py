"""Ops that move elements around: their rules move the gradients back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_lab.backward import Cotangents
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops.declaration import op

reshape = op(
    "reshape",
    forward=lambda xp, x, *, shape: xp.reshape(x, shape),
    vjp={"x": lambda xp, g, x_shape: xp.reshape(g, x_shape)},
    doc="x with the same elements in another shape; one size may be -1, for what is left.",
)

broadcast_to = op(
    "broadcast_to",
    forward=lambda xp, x, *, shape: xp.broadcast_to(x, shape),
    # The sum over the stretched axes is the un-broadcasting that every gradient goes through.
    vjp={"x": lambda xp, g: g},
    doc="x, repeated along new axes and axes of size 1 until it has the shape.",
)


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes a permutation of axes."""
    ordered = [a % len(axes) for a in axes]
    return tuple(ordered.index(a) for a in range(len(axes)))


permute_dims = op(
    "permute_dims",
    forward=lambda xp, x, *, axes: xp.permute_dims(x, axes),
    vjp={"x": lambda xp, g, axes: xp.permute_dims(g, _inverse(axes))},
    doc="x with its axes in another order: axis i of the result is axis ``axes[i]`` of x.",
)

matrix_transpose = op(
    "matrix_transpose",
    "ᵀ",
    forward=lambda xp, x: xp.matrix_transpose(x),
    vjp={"x": lambda xp, g: xp.matrix_transpose(g)},
    latex="{x}^T",
    doc="x with its last two axes swapped.",
)

expand_dims = op(
    "expand_dims",
    forward=lambda xp, x, *, axis=0: xp.expand_dims(x, axis=axis),
    vjp={"x": lambda xp, g, x_shape: xp.reshape(g, x_shape)},
    doc="x with a new axis of size 1.",
)

squeeze = op(
    "squeeze",
    forward=lambda xp, x, *, axis: xp.squeeze(x, axis=axis),
    vjp={"x": lambda xp, g, x_shape: xp.reshape(g, x_shape)},
    doc="x without an axis of size 1 (or several).",
)

flip = op(
    "flip",
    forward=lambda xp, x, *, axis=None: xp.flip(x, axis=axis),
    vjp={"x": lambda xp, g, axis: xp.flip(g, axis=axis)},
    doc="x with the order of its elements reversed along an axis.",
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


_concat = op(
    "concat",
    forward=lambda xp, *xs, axis: xp.concat(xs, axis=axis),
    vjp={"xs": _split},
)


def concat(tensors: Sequence[Any], axis: int | None = 0) -> Any:
    """Tensors joined along an axis that they have (None: flattened first)."""
    tensors = tuple(tensors)
    if not tensors:
        raise ShapeError("concat: expected at least one tensor, got none.")
    if axis is None:
        return _concat(*map(flatten, tensors), axis=0)
    return _concat(*tensors, axis=axis)


def stack(tensors: Sequence[Any], axis: int = 0) -> Any:
    """Tensors of one shape, joined along a new axis."""
    return concat([expand_dims(x, axis=axis) for x in tensors], axis=axis)


_output = op(
    "output",
    # Never run: an op with several outputs makes a node of this kind for each of them.
    forward=lambda xp, x, *, position, count: x[position],
    vjp={"x": lambda xp, g, position, count: Cotangents(count, {position: g})},
)


def _restack(xp: Any, g: Any, x_shape: tuple[int, ...], axis: int) -> Any:
    reached = next(part for part in g if part is not None)
    parts = [xp.zeros_like(reached) if part is None else part for part in g]
    return xp.stack(parts, axis=axis)


unstack: Callable[..., Any] = op(
    "unstack",
    forward=lambda xp, x, *, axis=0: tuple(xp.unstack(x, axis=axis)),
    vjp={"x": _restack},
    outputs=0,
    doc="A tuple of the slices of x along an axis.",
)


def flatten(x: Any, start_dim: int = 0) -> Any:
    """x with all axes from ``start_dim`` on joined into one."""
    return reshape(x, shape=(*x.shape[:start_dim], -1))
