"""Sums and products of all elements so far, and the way back: differences."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, missing_axis, shape_of
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.ops.arguments.axes import along, known_axis
from tinygrad_lab.ops.arithmetic import subtract
from tinygrad_lab.ops.index import getitem
from tinygrad_lab.ops.logic import not_equal
from tinygrad_lab.ops.shape import concat


def _no_such_order(x: Any, *, axis: Any, **_: Any) -> str | None:
    """Why the elements of x have no order in which to go through them."""
    shape = shape_of(x)
    if isinstance(axis, tuple):
        return f"expected one axis, got {axis}."
    if axis is None and len(shape) != 1:
        return f"expected an axis to go along, as x of shape {shape} is no vector: axis=0."
    return missing_axis(shape, axis)


def _accumulated(function: Any, x: Any, axis: int | None, **options: Any) -> Any:
    if axis is None and x.ndim != 1:
        raise ValueError("no axis")  # NumPy would flatten x; _no_such_order words it
    return function(x, axis=axis, **options)


def _without_initial(
    g: Any, x_shape: tuple[int, ...], axis: int | None, include_initial: bool
) -> tuple[Any, int]:
    """The gradients of those outputs that depend on x, and the axis, counted from the front."""
    axis = 0 if axis is None else axis % len(x_shape)
    return (g[along(axis, slice(1, None))] if include_initial else g), axis


def _sum_from_here_on(
    xp: Any, g: Any, x_shape: tuple[int, ...], axis: int | None, include_initial: bool
) -> Any:
    """Element k is part of the sums k, k + 1, ...: it gets the sum of their gradients."""
    g, axis = _without_initial(g, x_shape, axis, include_initial)
    return xp.flip(xp.cumulative_sum(xp.flip(g, axis=axis), axis=axis), axis=axis)


cumulative_sum = op(
    "cumulative_sum",
    forward=lambda xp, x, *, axis=None, dtype=None, include_initial=False: _accumulated(
        xp.cumulative_sum, x, axis, dtype=dtype, include_initial=include_initial
    ),
    vjp={"x": _sum_from_here_on},
    check=_no_such_order,
    doc="""The sums of the first 1, 2, 3, ... elements along an axis.

    Args:
        x: the summands.
        axis: the axis to go along; may be left out for a vector.
        dtype: that of the result; as in ``sum`` if not given.
        include_initial: begin with the sum of no elements, 0: one element more.

    Raises:
        ShapeError: for want of an axis, or for one that x does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cumulative_sum(tg.tensor([1.0, 2.0, 3.0]), include_initial=True)
        tensor([0., 1., 3., 6.])
    """,
)


def _products_from_here_on(
    xp: Any, g: Any, x: Any, x_shape: tuple[int, ...], axis: int | None, include_initial: bool
) -> Any:
    """Element k is a factor of the products k, k + 1, ...; each is x_k times its other factors.

    With b_k the product of all elements before k, and g_i the gradient of product i, that makes
    b_k (g_k + g_{k+1} x_{k+1} + g_{k+2} x_{k+1} x_{k+2} + ...). Nothing is divided by, so zeros do
    no harm.
    """
    g, axis = _without_initial(g, x_shape, axis, include_initial)
    products = xp.cumulative_prod(x, axis=axis, include_initial=True)
    before = products[along(axis, slice(0, -1))]
    return before * _weighted_products(xp, g, x, axis)


def _weighted_products(xp: Any, g: Any, x: Any, axis: int) -> Any:
    """s_k = g_k + g_{k+1} x_{k+1} + g_{k+2} x_{k+1} x_{k+2} + ..., that is, g_k + x_{k+1} s_{k+1}.

    Put into one another, two such steps lead from s_k to s_{k+2}: the s of odd k are a sequence of
    the same kind and half as long, and each s of an even k is one step from the one behind it
    (cyclic reduction: Hockney, "A fast direct solution of Poisson's equation using Fourier
    analysis", 1965).
    """

    def part(array: Any, start: int | None, stop: int | None = None, step: int = 1) -> Any:
        return array[along(axis, slice(start, stop, step))]

    count = g.shape[axis]
    if count < 2:
        return g
    if count % 2:
        # An element of zeros more makes pairs of all, and adds nothing.
        g, x = (xp.concat((y, xp.zeros_like(part(y, 0, 1))), axis=axis) for y in (g, x))
    g_even, g_odd, x_even, x_odd = (part(y, first, step=2) for y in (g, x) for first in (0, 1))
    behind = part(x_even, 1) * part(g_even, 1)
    g_two = xp.concat((part(g_odd, 0, -1) + behind, part(g_odd, -1)), axis=axis)
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
    check=_no_such_order,
    doc="""The products of the first 1, 2, 3, ... elements along an axis.

    Arguments and errors as in ``cumulative_sum``; the product of no elements is 1. Its derivatives
    are right also where some factors are 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cumulative_prod(tg.tensor([2.0, 3.0, 4.0]))
        tensor([ 2.,  6., 24.])
    """,
)


def diff(x: Any, axis: int = -1, n: int = 1, prepend: Any = None, append: Any = None) -> Any:
    """The differences of neighbours along an axis: what ``cumulative_sum`` sums up.

    Args:
        x: the elements; of booleans it says where neighbours differ.
        axis: the axis to go along; it gets shorter by 1 for each of the n times.
        n: how often to take differences.
        prepend: what to put before x, along the axis, first.
        append: what to put behind x, along the axis, first.

    Raises:
        AxisError: for an axis that x does not have.
        ArgumentError: for an n below 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.diff(tg.tensor([1.0, 4.0, 9.0]))
        tensor([3., 5.])
    """
    axis = known_axis("diff", x, axis)
    if n < 0:
        reason = f"expected to take differences 0 times or more, got n={n}."
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
