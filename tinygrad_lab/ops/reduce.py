"""Ops that reduce axes: a sum gives its gradient to each summand, a maximum to the largest.

All take ``axis`` (one, a tuple of several, or None for all) and ``keepdims``, which leaves the
reduced axes with size 1. Sums and products of booleans and of small integers are int64 (uint64,
where they are unsigned), so that they do not overflow soon; of all else they keep the dtype.
"""

from __future__ import annotations

import builtins
from math import prod as product_of
from typing import Any

import numpy as np

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import missing_axis, shape_of
from tinygrad_lab.ops.arguments.axes import Axis, along, from_the_front, known_axes
from tinygrad_lab.ops.arithmetic import sqrt, subtract
from tinygrad_lab.ops.conversion import astype
from tinygrad_lab.ops.logic import equal, not_equal
from tinygrad_lab.ops.piecewise import where
from tinygrad_lab.ops.shape import flatten, reshape


def no_such_axis(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Why x cannot be reduced."""
    return missing_axis(shape_of(x), axis)


def _no_element(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Why there is no largest or smallest element."""
    return missing_axis(shape_of(x), axis) or (
        f"expected one element or more to choose from, got shape {shape_of(x)}."
    )


def _no_position(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Why the largest or smallest element has no position."""
    if isinstance(axis, tuple):
        return f"expected one axis, or None for the position among all elements, got {axis}."
    return _no_element(x, axis=axis)


def with_axes(xp: Any, reduced: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    """A reduced array with the axes it lost as axes of size 1."""
    lost = from_the_front(x_shape, axis)
    return xp.reshape(reduced, tuple(1 if a in lost else n for a, n in enumerate(x_shape)))


def _spread(xp: Any, g: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    return xp.broadcast_to(with_axes(xp, g, x_shape, axis), x_shape)


sum = op(
    "sum",
    "Σ",
    forward=lambda xp, x, *, axis=None, keepdims=False, dtype=None: xp.sum(
        x, axis=axis, dtype=dtype, keepdims=keepdims
    ),
    vjp={"x": _spread},
    latex=r"\sum {x}",
    check=no_such_axis,
    doc="""The sum of the elements along some axes, or of all; of none it is 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
        tensor([3., 7.])
    """,
)


def _to_the_largest(xp: Any, g: Any, x: Any, out: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    largest = xp.where(x == with_axes(xp, out, x_shape, axis), xp.ones_like(x), xp.zeros_like(x))
    shares = xp.divide(largest, xp.sum(largest, axis=axis, keepdims=True))
    return with_axes(xp, g, x_shape, axis) * shares


max = op(
    "max",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.max(x, axis=axis, keepdims=keepdims),
    vjp={"x": _to_the_largest},
    latex=r"\max {x}",
    check=_no_element,
    doc="""The largest element along some axes, or of all. Ties share the gradient evenly.

    One NaN makes the result NaN, and its gradients.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([1.0, 5.0, 5.0], requires_grad=True)
        >>> tg.max(x).backward()
        >>> x.grad
        tensor([0. , 0.5, 0.5])
    """,
)

min = op(
    "min",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.min(x, axis=axis, keepdims=keepdims),
    vjp={"x": _to_the_largest},
    latex=r"\min {x}",
    check=_no_element,
    doc="The smallest element along some axes, or of all. Ties and NaN as in ``max``.",
)

argmax = op(
    "argmax",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmax(x, axis=axis, keepdims=keepdims),
    check=_no_position,
    doc="The first position of the largest element along an axis, or in the flattened array.",
)

argmin = op(
    "argmin",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmin(x, axis=axis, keepdims=keepdims),
    check=_no_position,
    doc="The first position of the smallest element along an axis, or in the flattened array.",
)

any = op(
    "any",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.any(x, axis=axis, keepdims=keepdims),
    check=no_such_axis,
    doc="Whether some element holds, that is, is not 0; False where there is none.",
)

all = op(
    "all",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.all(x, axis=axis, keepdims=keepdims),
    check=no_such_axis,
    doc="Whether every element holds, that is, is not 0; True where there is none.",
)


def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """How many elements along some axes, or of all, are not 0; NaN counts."""
    return sum(astype(not_equal(x, 0), np.int64), axis=axis, keepdims=keepdims)


# --- products --------------------------------------------------------------------------------


def _times_the_others(xp: Any, g: Any, x: Any, x_shape: tuple[int, ...], axis: int) -> Any:
    """g times the product of all other factors."""
    return with_axes(xp, g, x_shape, axis) * _products_of_the_others(xp, x, axis % len(x_shape))


def _products_of_the_others(xp: Any, x: Any, axis: int) -> Any:
    """For each factor along an axis the product of all others.

    Factor k is paired with factor k + half. What is left out of the product for one of them is
    its partner times all the other pairs: the same question, asked of half as many factors.
    Nothing is divided by, so zeros among the factors do no harm.
    """
    count = x.shape[axis]
    if count < 2:
        return xp.ones_like(x)
    half = count // 2
    first, second, unpaired = (
        x[along(axis, part)] for part in (slice(half), slice(half, 2 * half), slice(2 * half, None))
    )
    others = _products_of_the_others(xp, xp.concat((first * second, unpaired), axis=axis), axis)
    of_pairs, of_unpaired = others[along(axis, slice(half))], others[along(axis, slice(half, None))]
    return xp.concat((of_pairs * second, of_pairs * first, of_unpaired), axis=axis)


_prod = op(
    "prod",
    "Π",
    forward=lambda xp, x, *, axis, keepdims=False, dtype=None: xp.prod(
        x, axis=axis, dtype=dtype, keepdims=keepdims
    ),
    vjp={"x": _times_the_others},
    latex=r"\prod {x}",
    check=no_such_axis,
)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product of the elements along some axes, or of all; of none it is 1.

    Its derivatives are right also where some factors are 0.

    Raises:
        AxisError: for an axis that x does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([2.0, 0.0, 3.0], requires_grad=True)
        >>> tg.prod(x).backward()
        >>> x.grad
        tensor([0., 6., 0.])
    """
    axes = known_axes("prod", x, axis)
    shape = shape_of(x)
    if dtype is not None:
        x = astype(x, dtype)
    if not axes:
        # The one factor there is, in the dtype of a product.
        return sum(x, axis=axis, dtype=dtype)
    if axis is not None:
        # A product along several axes is one of products: the last axis first, as the others keep
        # their numbers then.
        for one in sorted(axes, reverse=True):
            x = _prod(x, axis=one, keepdims=keepdims, dtype=dtype)
        return x
    product = _prod(flatten(x), axis=0, dtype=dtype)
    return reshape(product, (1,) * len(shape)) if keepdims else product


# --- means -----------------------------------------------------------------------------------


def _number_reduced(x: Any, axis: Axis) -> int:
    """How many elements go into one element of the result."""
    shape = shape_of(x)
    return product_of(shape[a] for a in from_the_front(shape, axis))


def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean of the elements along some axes, or of all; NaN of none.

    That of integers and booleans is a float64, as a quotient of integers is.
    """
    return sum(x, axis=axis, keepdims=keepdims) / _number_reduced(x, axis)


def var(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The variance along some axes, or of all elements.

    The sum of squared deviations from the mean, divided by the number of elements less
    ``correction``: 0 for the variance of a population, 1 for an estimate from a sample. Where that
    is 0 or less it is NaN, or inf. Integers give float64.
    """
    deviation = subtract(x, mean(x, axis=axis, keepdims=True))
    squares = sum(deviation * deviation, axis=axis, keepdims=keepdims)
    return squares / builtins.max(0, _number_reduced(x, axis) - correction)


def std(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """The standard deviation: the root of ``var``. It counts as flat where it is 0.

    There, where all elements are equal, it has a kink, and a gradient of 0 here.
    """
    variance = var(x, axis=axis, correction=correction, keepdims=keepdims)
    # The root is infinitely steep at 0, and the variance flat: together they would make NaN.
    flat = equal(variance, 0)
    return where(flat, 0.0, sqrt(where(flat, 1.0, variance)))
