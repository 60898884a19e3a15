"""Ops that reduce axes: a sum passes its gradient to each summand, a maximum to the largest.

All take ``axis`` (one, a tuple of several, or None for all) and ``keepdims``, which keeps the
reduced axes with size 1. Sums and products of booleans and small integers are int64 (uint64 for
unsigned ones), against overflow; other dtypes are kept. float16 is accumulated in float32.
"""

from __future__ import annotations

import builtins
from math import prod as product_of
from typing import Any

import numpy as np

from tinygrad_lab.backends import form_of
from tinygrad_lab.engine.declare import direct, op
from tinygrad_lab.engine.explain import missing_axis, raw, shape_of
from tinygrad_lab.errors import excerpt
from tinygrad_lab.ops.arguments.axes import (
    Axis,
    along,
    checked_axes,
    existing,
    from_the_front,
    no_such_axis,
    with_axes,
)
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.arguments.half import widened
from tinygrad_lab.ops.arithmetic import root, subtract
from tinygrad_lab.ops.conversion import astype, conj, real
from tinygrad_lab.ops.logic import not_equal
from tinygrad_lab.ops.shape import flatten, reshape


def _no_element(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Explain why there is no largest or smallest element."""
    if hasattr(axis, "shape"):
        return "expected an axis as an integer, got a tensor: tg.maximum(x, y), tg.minimum(x, y)."
    return missing_axis(shape_of(x), axis) or (
        f"expected at least one element, got shape {shape_of(x)}."
    )


def _no_position(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Explain why the largest or smallest element has no position."""
    if isinstance(axis, tuple):
        return (
            f"expected one axis, or None for the position among all elements, got {excerpt(axis)}."
        )
    return _no_element(x, axis=axis)


def _spread(xp: Any, g: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    return xp.broadcast_to(with_axes(xp, g, x_shape, axis), x_shape)


sum = op(
    "sum",
    "Σ",
    forward=lambda xp, x, *, axis=None, keepdims=False, dtype=None: xp.sum(
        x, axis=existing(x, axis), dtype=dtype, keepdims=keepdims
    ),
    vjp={"x": _spread},
    complex_vjp="same",
    words={"x": "g for each summand"},
    latex=r"\sum {x}",
    check=no_such_axis,
    doc="""Return the sum of the elements along some axes, or of all; an empty sum is 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.sum(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=1)
        tensor([3., 7.])
    """,
)


def _to_the_largest(xp: Any, g: Any, x: Any, out: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    largest = xp.where(x == with_axes(xp, out, x_shape, axis), xp.ones_like(x), xp.zeros_like(x))
    # A count of ties may be too large for float16.
    largest = widened(xp, largest)
    shares = xp.divide(largest, xp.sum(largest, axis=axis, keepdims=True))
    return with_axes(xp, g, x_shape, axis) * shares


max = op(
    "max",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.max(
        x, axis=existing(x, axis), keepdims=keepdims
    ),
    vjp={"x": _to_the_largest},
    words={"x": "g to the largest"},
    latex=r"\max {x}",
    check=_no_element,
    doc="""Return the largest element along some axes, or of all. Ties share the gradient evenly.

    One NaN makes the result and its gradients NaN.

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
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.min(
        x, axis=existing(x, axis), keepdims=keepdims
    ),
    vjp={"x": _to_the_largest},
    words={"x": "g to the smallest"},
    latex=r"\min {x}",
    check=_no_element,
    doc="Return the smallest element along some axes, or of all. Ties and NaN as in ``max``.",
)

argmax = op(
    "argmax",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmax(
        x, axis=existing(x, axis), keepdims=keepdims
    ),
    check=_no_position,
    doc="Return the first position of the largest element along an axis, or of the flattened x.",
)

argmin = op(
    "argmin",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.argmin(
        x, axis=existing(x, axis), keepdims=keepdims
    ),
    check=_no_position,
    doc="Return the first position of the smallest element along an axis, or of the flattened x.",
)

any = op(
    "any",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.any(
        x, axis=existing(x, axis), keepdims=keepdims
    ),
    check=no_such_axis,
    doc="Tell whether any element is true, that is, not 0; False if there are no elements.",
)

all = op(
    "all",
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.all(
        x, axis=existing(x, axis), keepdims=keepdims
    ),
    check=no_such_axis,
    doc="Tell whether all elements are true, that is, not 0; True if there are no elements.",
)


@composed()
def count_nonzero(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Count the elements along some axes, or of all, that are not 0; NaN counts."""
    return sum(astype(not_equal(x, 0), np.int64), axis=axis, keepdims=keepdims)


# --- products --------------------------------------------------------------------------------


def _times_the_others(xp: Any, g: Any, x: Any, x_shape: tuple[int, ...], axis: int) -> Any:
    """Return g times the product of all other factors."""
    others = _products_of_the_others(xp, widened(xp, x), axis % len(x_shape))
    return with_axes(xp, g, x_shape, axis) * others


def _products_of_the_others(xp: Any, x: Any, axis: int) -> Any:
    """Return, for each factor along an axis, the product of all others.

    Factor k is paired with factor k + half. The product of all others is the partner times the
    product of the other pairs: the same problem, with half as many factors. There is no division,
    so zeros among the factors do no harm.
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
    complex_vjp="conjugated",
    words={"x": "g × the product of the others"},
    latex=r"\prod {x}",
    check=no_such_axis,
)


def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Return the product of the elements along some axes, or of all; an empty product is 1.

    Derivatives are correct even where some factors are 0.

    Raises:
        AxisError: for an axis that x does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([2.0, 0.0, 3.0], requires_grad=True)
        >>> tg.prod(x).backward()
        >>> x.grad
        tensor([0., 6., 0.])
    """
    axes = checked_axes("prod", x, axis)
    shape = shape_of(x)
    if dtype is not None:
        x = astype(x, dtype)
    if not axes:
        # A single factor, in the dtype of a product.
        return sum(x, axis=axis, dtype=dtype)
    if axis is not None:
        # A product along several axes is a product of products: the last axis first, so that the
        # others keep their numbers.
        for one in sorted(axes, reverse=True):
            x = _prod(x, axis=one, keepdims=keepdims, dtype=dtype)
        return x
    product = _prod(flatten(x), axis=0, dtype=dtype)
    return reshape(product, (1,) * len(shape)) if keepdims else product


# --- means -----------------------------------------------------------------------------------


def _number_reduced(x: Any, axis: Axis) -> int:
    """Return how many elements are reduced to one element of the result."""
    shape = shape_of(x)
    return product_of(shape[a] for a in from_the_front(shape, axis))


@composed(rounds_once=True)
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the mean of the elements along some axes, or of all; an empty mean is NaN.

    Integers and booleans give float64, as quotients of integers do.
    """
    return sum(x, axis=axis, keepdims=keepdims) / _number_reduced(x, axis)


_mean = direct(mean)


def _squared_size(x: Any) -> Any:
    """Return the squares of numbers; of complex ones those of their absolute values, real."""
    form = form_of(raw(x))
    return real(x * conj(x)) if form.smooth and not form.floating else x * x


@composed(rounds_once=True)
def var(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """Return the variance along some axes, or of all elements.

    That is the sum of squared deviations from the mean, divided by the number of elements minus
    ``correction``: 0 for the variance of a population, 1 for an estimate from a sample. Where that
    divisor is 0 or less, the result is NaN or inf. Integers give float64. A complex number deviates
    by its distance from the mean.
    """
    deviation = subtract(x, _mean(x, axis=axis, keepdims=True))
    squares = sum(_squared_size(deviation), axis=axis, keepdims=keepdims)
    return squares / builtins.max(0, _number_reduced(x, axis) - correction)


_var = direct(var)


@composed(rounds_once=True)
def std(x: Any, axis: Axis = None, correction: float = 0, keepdims: bool = False) -> Any:
    """Return the standard deviation: the square root of ``var``.

    Where it is 0, because all elements are equal, it has a kink; the gradient is taken as 0, and
    second derivatives are NaN.
    """
    variance = _var(x, axis=axis, correction=correction, keepdims=keepdims)
    if _number_reduced(x, axis) == 1:
        return variance  # 0 everywhere, without a kink
    # At 0, sqrt has an infinite slope and the variance a slope of 0: their product is NaN.
    return root(variance, exponent=0.5)
