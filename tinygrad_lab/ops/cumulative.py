"""Cumulative sums and products, and differences."""

from __future__ import annotations

from collections.abc import Callable
from operator import index
from typing import Any

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, missing_axis, shape_of
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.axes import along, checked_axis, existing
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.arguments.half import widened
from tinygrad_lab.ops.arithmetic import subtract
from tinygrad_lab.ops.exponential import logaddexp
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.ops.logic import not_equal
from tinygrad_lab.ops.piecewise import maximum, minimum
from tinygrad_lab.ops.shape import concat


def _invalid_axis(x: Any, *, axis: Any, **_: Any) -> str | None:
    """Explain why x has no such axis to accumulate along."""
    shape = shape_of(x)
    if isinstance(axis, tuple):
        return f"expected one axis, got {excerpt(axis)}."
    if axis is None and len(shape) != 1:
        return f"expected an axis, because x of shape {shape} is not a vector: axis=0."
    return missing_axis(shape, axis)


def _accumulated(function: Any, x: Any, axis: int | None, **options: Any) -> Any:
    # NumPy would flatten x, or take (0,) for 0; _invalid_axis has the message.
    if isinstance(axis, tuple) or (axis is None and x.ndim != 1):
        raise ValueError("not one axis")
    return function(x, axis=existing(x, axis), **options)


def _without_initial(
    g: Any, x_shape: tuple[int, ...], axis: int | None, include_initial: bool
) -> tuple[Any, int]:
    """Return the gradients of the outputs that depend on x, and the axis from the front."""
    axis = 0 if axis is None else index(axis) % len(x_shape)
    return (g[along(axis, slice(1, None))] if include_initial else g), axis


def _sum_from_here_on(
    xp: Any, g: Any, x_shape: tuple[int, ...], axis: int | None, include_initial: bool
) -> Any:
    """Add the gradients of the sums k, k + 1, ..., which element k is part of."""
    g, axis = _without_initial(g, x_shape, axis, include_initial)
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)


cumulative_sum = op(
    "cumulative_sum",
    forward=lambda xp, x, *, axis=None, dtype=None, include_initial=False: _accumulated(
        xp.cumulative_sum, x, axis, dtype=dtype, include_initial=include_initial
    ),
    vjp={"x": _sum_from_here_on},
    complex_vjp="same",
    words={"x": "Σ g from here on"},
    latex=r"\sum_{{j \le i}} {x}_j",
    check=_invalid_axis,
    doc="""Return the sums of the first 1, 2, 3, ... elements along an axis.

    Args:
        x: the summands.
        axis: the axis to sum along; optional for a vector.
        dtype: the dtype of the result; as in ``sum`` if not given.
        include_initial: begin with the empty sum, 0; the result has one element more.

    Raises:
        ShapeError: if the axis is missing, or x does not have it.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cumulative_sum(tg.tensor([1.0, 2.0, 3.0]), include_initial=True)
        tensor([0., 1., 3., 6.])
    """,
)


def _products_from_here_on(
    xp: Any, g: Any, x: Any, x_shape: tuple[int, ...], axis: int | None, include_initial: bool
) -> Any:
    """Add the gradients of the products k, k + 1, ..., each times its factors other than x_k.

    With b_k the product of all elements before k, and g_i the gradient of product i, that is
    b_k (g_k + g_{k+1} x_{k+1} + g_{k+2} x_{k+1} x_{k+2} + ...). There is no division, so zeros do
    no harm.
    """
    g, axis = _without_initial(widened(xp, g), x_shape, axis, include_initial)
    x = widened(xp, x)
    products = xp.cumulative_prod(x, axis=axis, include_initial=True)
    before = products[along(axis, slice(0, -1))]
    return before * _weighted_products(xp, g, x, axis)


def _weighted_products(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """Return s_k = g_k + g_{k+1} x_{k+1} + g_{k+2} x_{k+1} x_{k+2} + ... = g_k + x_{k+1} s_{k+1}.

    Two such steps combined lead from s_k to s_{k+2}: the s of odd k are a sequence of the same
    kind, half as long, and each s of an even k is one step from the next one.

    Source: cyclic reduction, Hockney, "A fast direct solution of Poisson's equation using Fourier
    analysis", 1965.
    """

    def part(array: Any, start: int | None, stop: int | None = None, step: int = 1) -> Any:
        return array[along(axis, slice(start, stop, step))]

    count = g.shape[axis]
    if count < 2:
        return g
    if count % 2:
        # One more element, of zeros, completes the pairs and adds nothing.
        g, x = (xp.concat((y, xp.zeros_like(part(y, 0, 1))), axis=axis) for y in (g, x))
    g_even, g_odd, x_even, x_odd = (part(y, first, step=2) for y in (g, x) for first in (0, 1))
    from_next = part(x_even, 1) * part(g_even, 1)
    g_two = xp.concat((part(g_odd, 0, -1) + from_next, part(g_odd, -1)), axis=axis)
    odd = _weighted_products(xp, g_two, x_even * x_odd, axis)
    even = g_even + x_odd * odd
    both = xp.stack((even, odd), axis=axis + 1)
    return part(xp.reshape(both, g.shape), 0, count)


cumulative_prod = op(
    "cumulative_prod",
    forward=lambda xp, x, *, axis=None, dtype=None, include_initial=False: _accumulated(
        xp.cumulative_prod, x, axis, dtype=dtype, include_initial=include_initial
    ),
    vjp={"x": _products_from_here_on},
    words={"x": "Σ g × the others, from here on"},
    latex=r"\prod_{{j \le i}} {x}_j",
    check=_invalid_axis,
    doc="""Return the products of the first 1, 2, 3, ... elements along an axis.

    Arguments and errors are as in ``cumulative_sum``; the empty product is 1. Derivatives are
    correct even where some factors are 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cumulative_prod(tg.tensor([2.0, 3.0, 4.0]))
        tensor([ 2.,  6., 24.])
    """,
)


def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """Return the differences of neighbours along an axis.

    Args:
        x: the elements; for booleans the result tells where neighbours differ.
        axis: the axis of the differences; it gets shorter by 1 for each of the n times.
        n: how many times to take differences.
        prepend: joined to x along the axis beforehand, at the start.
        append: joined to x along the axis beforehand, at the end.

    Raises:
        AxisError: for an axis that x does not have.
        ArgumentError: for an n below 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.diff(tg.tensor([1.0, 4.0, 9.0]))
        tensor([3., 5.])
    """
    axis = checked_axis("diff", x, axis)
    if n < 0:
        reason = f"expected n of 0 or more, got n={n}."
        raise ArgumentError(in_full("diff", reason, {"x": x}, {"axis": axis, "n": n}))
    parts = [part for part in (prepend, x, append) if part is not None]
    if len(parts) > 1:
        x = concat(parts, axis=axis)
    for _ in range(n):
        later, earlier = (
            getitem(x, along(axis, part)) for part in (slice(1, None), slice(None, -1))
        )
        boolean = str(getattr(x, "dtype", "")) == "bool"
        x = not_equal(later, earlier) if boolean else subtract(later, earlier)
    return x


# --- of any associative function -----------------------------------------------------------------


def _scan(name: str, combine: Callable[[Any, Any], Any], x: Any, axis: int | None) -> Any:
    """Return the first 1, 2, 3, ... elements along an axis, combined.

    In step k each element is combined with the one 2ᵏ places before, which stands for the 2ᵏ
    elements up to there by then.

    Source: Hillis & Steele, "Data parallel algorithms", 1986.
    """
    shape = shape_of(x)
    if axis is None and len(shape) != 1:
        raise ShapeError(in_full(name, str(_invalid_axis(x, axis=None)), {"x": x}, {}))
    place = checked_axis(name, x, 0 if axis is None else axis)
    distance = 1
    while distance < shape[place]:
        first, earlier, later = (
            getitem(x, along(place, part))
            for part in (slice(distance), slice(None, -distance), slice(distance, None))
        )
        x = concat((first, combine(earlier, later)), axis=place)
        distance *= 2
    return x


@composed()
def cumulative_max(x: Any, axis: int | None = None) -> Any:
    """Return the largest of the first 1, 2, 3, ... elements along an axis.

    From the first NaN on, all are NaN. Gradients go to the elements that are largest; some of
    those, at a tie.

    Args:
        x: real numbers.
        axis: the axis to go along; optional for a vector.

    Raises:
        ShapeError: if the axis is missing, or x does not have it.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cumulative_max(tg.tensor([1.0, 3.0, 2.0, 5.0]))
        tensor([1., 3., 3., 5.])
    """
    return _scan("cumulative_max", maximum, x, axis)


@composed()
def cumulative_min(x: Any, axis: int | None = None) -> Any:
    """Return the smallest of the first 1, 2, 3, ... elements along an axis.

    Arguments, errors and gradients are as in ``cumulative_max``.
    """
    return _scan("cumulative_min", minimum, x, axis)


@composed(rounds_once=True)
def logcumsumexp(x: Any, axis: int | None = None) -> Any:
    """Return log(cumulative_sum(exp(x))) along an axis, without overflow or underflow.

    Arguments and errors are as in ``cumulative_max``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.logcumsumexp(tg.tensor([0.0, 0.0]))
        tensor([0.       , 0.6931472])
    """
    return _scan("logcumsumexp", logaddexp, x, axis)
