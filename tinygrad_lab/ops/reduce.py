"""Ops that reduce axes: a sum gives its gradient to each summand, a maximum to the largest."""

from __future__ import annotations

from math import prod as product_of
from typing import Any

from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops.arithmetic import sqrt, subtract
from tinygrad_lab.ops.explain import in_full, missing_axis, shape_of
from tinygrad_lab.ops.logic import equal
from tinygrad_lab.ops.op import op
from tinygrad_lab.ops.piecewise import where
from tinygrad_lab.ops.shape import concat, permute_dims, reshape

Axis = int | tuple[int, ...] | None


def _axes(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The axes that are reduced, counted from the front."""
    if axis is None:
        return tuple(range(len(shape)))
    return tuple(a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,)))


def _no_such_axis(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Why x cannot be reduced."""
    return missing_axis(shape_of(x), axis)


def _no_element(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Why there is no largest or smallest element."""
    return missing_axis(shape_of(x), axis) or (
        f"expected one element or more to choose from, got shape {shape_of(x)}."
    )


def _with_axes(xp: Any, reduced: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    """A reduced array with the axes it lost as axes of size 1."""
    lost = _axes(x_shape, axis)
    return xp.reshape(reduced, tuple(1 if a in lost else n for a, n in enumerate(x_shape)))


def _spread(xp: Any, g: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    return xp.broadcast_to(_with_axes(xp, g, x_shape, axis), x_shape)


sum = op(
    "sum",
    "Σ",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.sum(x, axis=axis, keepdims=keepdims),
    vjp={"x": _spread},
    latex=r"\sum {x}",
    check=_no_such_axis,
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
    check=_no_element,
    doc="The largest element along some axes, or of all. Ties share the gradient evenly.",
)

min = op(
    "min",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.min(x, axis=axis, keepdims=keepdims),
    vjp={"x": _to_the_largest},
    latex=r"\min {x}",
    check=_no_element,
    doc="The smallest element along some axes, or of all. Ties share the gradient evenly.",
)

argmax = op(
    "argmax",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmax(x, axis=axis, keepdims=keepdims),
    check=_no_element,
    doc="The position of the largest element along an axis, or in the flattened array.",
)

argmin = op(
    "argmin",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmin(x, axis=axis, keepdims=keepdims),
    check=_no_element,
    doc="The position of the smallest element along an axis, or in the flattened array.",
)

any = op(
    "any",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.any(x, axis=axis, keepdims=keepdims),
    check=_no_such_axis,
    doc="Whether some element holds.",
)

all = op(
    "all",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.all(x, axis=axis, keepdims=keepdims),
    check=_no_such_axis,
    doc="Whether every element holds.",
)


def _number_reduced(x: Any, axis: Axis) -> int:
    """How many elements go into one element of the result."""
    shape = shape_of(x)
    return product_of(shape[a] for a in _axes(shape, axis))


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean of the elements along some axes, or of all."""
    return sum(x, axis=axis, keepdims=keepdims) / _number_reduced(x, axis)


def var(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The variance along some axes; divides by the number of elements less ``correction``."""
    deviation = subtract(x, mean(x, axis=axis, keepdims=True))
    squares = sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return squares / (_number_reduced(x, axis) - correction)


def std(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation along some axes; see ``var``. It counts as flat where it is 0."""
    variance = var(x, axis=axis, correction=correction, keepdims=keepdims)
    # The root is infinitely steep at 0, and the variance flat: together they would make NaN.
    flat = equal(variance, 0)
    return where(flat, 0.0, sqrt(where(flat, 1.0, variance)))


def prod(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The product of the elements along some axes, or of all; also right where some are zero."""
    shape = shape_of(x)
    if reason := missing_axis(shape, axis):
        raise ShapeError(in_full("prod", reason, {"x": x}, {"axis": axis}))
    axes = _axes(shape, axis)
    others = [a for a in range(len(shape)) if a not in axes]
    if not shape:
        return sum(x, axis=axis)
    factors = reshape(
        permute_dims(x, (*axes, *others)),
        (_number_reduced(x, axis), *(shape[a] for a in others)),
    )
    # Halves are multiplied until one is left: nothing is divided by, so zeros do no harm.
    while len(factors) > 1:
        half = len(factors) // 2
        rest = factors[2 * half :]
        factors = factors[:half] * factors[half : 2 * half]
        if len(rest):
            factors = concat((factors, rest), axis=0)
    product = factors[0] if len(factors) else sum(factors, axis=0) + 1
    if not keepdims:
        return product
    return reshape(product, tuple(1 if a in axes else n for a, n in enumerate(shape)))
