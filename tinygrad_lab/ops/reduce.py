"""Ops that reduce axes: a sum gives its gradient to each summand, a maximum to the largest."""

from __future__ import annotations

from typing import Any

from math import prod as product_of
from tinygrad_lab.ops.declaration import op
from tinygrad_lab.ops.elementwise import equal, sqrt, where, zeros_like
from tinygrad_lab.ops.explain import missing_axis, shape_of
from tinygrad_lab.ops.shape import concat, permute_dims, reshape

Axis = int | tuple[int, ...] | None


def _with_axes(xp: Any, reduced: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    """A reduced array with the axes it lost as axes of size 1."""
    if axis is None:
        return xp.reshape(reduced, (1,) * len(x_shape))
    axes = axis if isinstance(axis, tuple) else (axis,)
    lost = {a % len(x_shape) for a in axes}
    return xp.reshape(reduced, tuple(1 if a in lost else n for a, n in enumerate(x_shape)))


def _spread(xp: Any, g: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    return xp.broadcast_to(_with_axes(xp, g, x_shape, axis), x_shape)


sum = op(
    "sum",
    "Σ",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.sum(x, axis=axis, keepdims=keepdims),
    vjp={"x": _spread},
    latex=r"\sum {x}",
    doc="""The sum of the elements along some axes, or of all.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
        tensor([3., 7.])
    """,
)


def _to_the_largest(xp: Any, g: Any, x: Any, out: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    largest = xp.where(x == _with_axes(xp, out, x_shape, axis), xp.ones_like(x), xp.zeros_like(x))
    shares = xp.divide(largest, xp.sum(largest, axis=axis, keepdims=True))
    return _with_axes(xp, g, x_shape, axis) * shares


max = op(
    "max",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.max(x, axis=axis, keepdims=keepdims),
    vjp={"x": _to_the_largest},
    latex=r"\max {x}",
    doc="The largest element along some axes, or of all. Ties share the gradient evenly.",
)

min = op(
    "min",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.min(x, axis=axis, keepdims=keepdims),
    vjp={"x": _to_the_largest},
    latex=r"\min {x}",
    doc="The smallest element along some axes, or of all. Ties share the gradient evenly.",
)

argmax = op(
    "argmax",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmax(x, axis=axis, keepdims=keepdims),
    doc="The position of the largest element along an axis, or in the flattened array.",
)

argmin = op(
    "argmin",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmin(x, axis=axis, keepdims=keepdims),
    doc="The position of the smallest element along an axis, or in the flattened array.",
)

any = op(
    "any",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.any(x, axis=axis, keepdims=keepdims),
    doc="Whether some element holds.",
)

all = op(
    "all",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.all(x, axis=axis, keepdims=keepdims),
    doc="Whether every element holds.",
)


def _number_reduced(x: Any, axis: Axis) -> int:
    """How many elements go into one element of the result."""
    if axis is None:
        return int(x.size)
    count = 1
    for a in axis if isinstance(axis, tuple) else (axis,):
        if not -x.ndim <= a < x.ndim:
            raise ShapeError(f"axis {a} does not exist in a tensor of shape {x.shape}.")
        count *= x.shape[a]
    return count


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean of the elements along some axes, or of all."""
    return sum(x, axis=axis, keepdims=keepdims) / _number_reduced(x, axis)


def var(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The variance along some axes; divides by the number of elements less ``correction``."""
    deviation = x - mean(x, axis=axis, keepdims=True)
    squares = sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return squares / (_number_reduced(x, axis) - correction)


def std(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation along some axes; see ``var``."""
    return sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def prod(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The product of the elements along one axis, or of all; also right where some are zero."""
    if x.ndim == 0:
        return x
    shape = x.shape
    if axis is None:
        product, last = flatten(x), 0
    else:
        last = axis % x.ndim
        product = permute_dims(x, (last, *(a for a in range(x.ndim) if a != last)))
    if len(product) == 0:
        return sum(product, axis=0) + 1
    # Halves are multiplied until one is left: no element is divided by, so zeros do no harm.
    while len(product) > 1:
        half = len(product) // 2
        rest = product[2 * half :]
        product = product[:half] * product[half : 2 * half]
        if len(rest):
            product = concat((product, rest), axis=0)
    product = product[0]
    if keepdims:
        kept = (1,) * len(shape) if axis is None else (*shape[:last], 1, *shape[last + 1 :])
        product = product.reshape(kept)
    return product
