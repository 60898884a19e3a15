"""Medians, reductions that leave out NaN, and histograms."""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.engine.explain import in_full, is_integer, raw, shape_of
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.axes import Axis, checked_axes, checked_shape
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.arithmetic import floor_divide
from tinygrad_lab.ops.conversion import astype
from tinygrad_lab.ops.indexing import array_like, getitem
from tinygrad_lab.ops.logic import equal, isnan, logical_and, logical_not
from tinygrad_lab.ops.nn import stop_gradient
from tinygrad_lab.ops.piecewise import clip, maximum, where
from tinygrad_lab.ops.positions import scatter_add, take_along_axis
from tinygrad_lab.ops.reduce import max, mean, min, sum
from tinygrad_lab.ops.shape import concat, flatten, permute_dims, reshape
from tinygrad_lab.ops.sorting import searchsorted, sort

# --- without NaN ---------------------------------------------------------------------------------


def _may_be_nan(x: Any) -> bool:
    return np.dtype(getattr(raw(x), "dtype", type(raw(x)))).kind == "f"


@composed()
def nansum(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """Return the sum along some axes, or of all elements, without those that are NaN.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nansum(tg.tensor([1.0, tg.nan, 3.0]))
        tensor(4.)
    """
    numbers = where(isnan(x), 0.0, x) if _may_be_nan(x) else x
    return sum(numbers, axis=axis, keepdims=keepdims, dtype=dtype)


@composed(rounds_once=True)
def nanmean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the mean along some axes, or of all elements, without those that are NaN.

    Where nothing is left, it is NaN. Integers give float64.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nanmean(tg.tensor([[1.0, tg.nan], [3.0, 4.0]]), axis=1)
        tensor([1. , 3.5])
    """
    if not _may_be_nan(x):
        return mean(x, axis=axis, keepdims=keepdims)
    total = nansum(x, axis=axis, keepdims=keepdims)
    count = _count_of_numbers(x, axis, keepdims, total)
    return total / where(equal(count, 0), float("nan"), count)


def _count_of_numbers(x: Any, axis: Axis, keepdims: bool, like: Any) -> Any:
    """Count what is not NaN, in the dtype of a sum."""
    count = sum(astype(logical_not(isnan(x)), np.int64), axis=axis, keepdims=keepdims)
    dtype = getattr(raw(like), "dtype", None)
    return count if dtype is None else astype(count, dtype)


# --- medians -------------------------------------------------------------------------------------


@composed()
def median(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the middle of the elements along some axes, or of all, as they are sorted.

    Of an even number of elements it is the mean of the two in the middle, as in NumPy; PyTorch
    takes the lower one. One NaN makes it NaN, and so does a lack of elements. The gradient goes to
    the element in the middle, or half of it to each of the two. Integers give float64.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.median(tg.tensor([[3.0, 1.0, 9.0], [4.0, 6.0, 2.0]]), axis=1)
        tensor([3., 4.])
    """
    rows, shape = _in_rows("median", x, axis, keepdims)
    if rows is None:
        return mean(x, axis=axis, keepdims=keepdims)
    ordered, size = sort(rows), shape_of(rows)[-1]
    middle = mean(getitem(ordered, (..., slice((size - 1) // 2, size // 2 + 1))), axis=-1)
    if _may_be_nan(x):
        last = getitem(ordered, (..., -1))
        middle = where(isnan(last), last, middle)
    return reshape(middle, shape)


@composed()
def nanmedian(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the median along some axes, or of all elements, without those that are NaN.

    Where nothing is left, it is NaN; otherwise as ``median``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nanmedian(tg.tensor([3.0, tg.nan, 1.0, 9.0]))
        tensor(3.)
    """
    rows, shape = _in_rows("nanmedian", x, axis, keepdims)
    if rows is None or not _may_be_nan(x):
        return median(x, axis=axis, keepdims=keepdims)
    ordered = sort(rows)  # NaN comes last
    count = sum(astype(logical_not(isnan(ordered)), np.int64), axis=-1, keepdims=True)
    lower, upper = (floor_divide(n, 2) for n in (maximum(count - 1, 0), count))
    # Half of each, in this order: their sum may overflow.
    middle = take_along_axis(ordered, lower) * 0.5 + take_along_axis(ordered, upper) * 0.5
    return reshape(middle, shape)


def _in_rows(name: str, x: Any, axis: Axis, keepdims: bool) -> tuple[Any, tuple[int, ...]]:
    """Return x with the axes to reduce as its last one, and the shape of the result.

    None for x, if there is nothing to sort.
    """
    axes, shape = checked_axes(name, x, axis), shape_of(x)
    kept = tuple(a for a in range(len(shape)) if a not in axes)
    size = prod(shape[a] for a in axes)
    reduced = tuple(1 if a in axes else n for a, n in enumerate(shape) if keepdims or a not in axes)
    if not shape or not size:
        return None, reduced
    return reshape(permute_dims(x, (*kept, *axes)), (*(shape[a] for a in kept), size)), reduced


# --- histograms ----------------------------------------------------------------------------------


class Histogram(NamedTuple):
    """The result of ``histogram``."""

    counts: Any
    edges: Any


def histogram(
    x: Any,
    bins: Any = 10,
    range: tuple[float, float] | None = None,
    weights: Any = None,
    density: bool = False,
) -> Histogram:
    """Count the elements in each of several bins.

    A bin includes its lower edge and not its upper one; the last bin includes both. What is outside
    of all bins is not counted. No gradient flows to x, whose counts are steps; weights get that of
    their bin.

    Args:
        x: real numbers, in any shape.
        bins: how many bins of one width; or their edges, a vector in ascending order.
        range: the lowest and the highest edge, if ``bins`` is a number; those of x if not given.
        weights: what each element of x counts, in the shape of x.
        density: divide by the total and by the widths of the bins: the integral is then 1.

    Returns:
        The named tuple ``(counts, edges)``: integers, or floats with weights or ``density``, and
        one edge more than bins.

    Raises:
        ArgumentError: for a number of bins below 1, or a range that is empty.
        ShapeError: if the edges are no vector of 2 or more, or weights have another shape than x.

    Example:
        >>> import tinygrad_lab as tg
        >>> counts, edges = tg.histogram(tg.tensor([1.0, 1.5, 2.0, 4.0]), bins=3)
        >>> counts.tolist(), edges.tolist()
        ([2, 1, 1], [1.0, 2.0, 3.0, 4.0])
    """
    shape = checked_shape("histogram", x)
    if weights is not None and shape_of(weights) != shape:
        reason = f"expected weights of the shape of x, {shape}, got {shape_of(weights)}."
        raise ShapeError(in_full("histogram", reason, {"x": x, "weights": weights}, {}))
    values = flatten(stop_gradient(x))
    edges = _edges(values, bins, range)
    number = shape_of(edges)[0] - 1
    inside = logical_and(values >= edges[0], values <= edges[-1])
    place = clip(searchsorted(edges, values, side="right") - 1, 0, number - 1)
    one_each = astype(inside, np.int64) if weights is None else where(inside, flatten(weights), 0.0)
    empty = array_like(values, np.zeros(number, dtype=one_each.dtype))
    counts = scatter_add(empty, 0, place, one_each)
    if density:
        widths = getitem(edges, slice(1, None)) - getitem(edges, slice(None, -1))
        widths = widths if weights is None else astype(widths, counts.dtype)
        counts = counts / sum(counts) / widths
    return Histogram(counts, edges)


def _edges(values: Any, bins: Any, range: Any) -> Any:
    """Return the edges of bins, in the dtype of the values if that is a float."""
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    if not is_integer(bins):
        listed = not hasattr(bins, "shape")
        edges = stop_gradient(array_like(values, np.asarray(bins, dtype)) if listed else bins)
        if len(shape_of(edges)) != 1 or shape_of(edges)[0] < 2:
            reason = f"expected a number of bins, or a vector of edges, got {excerpt(bins)}."
            raise ShapeError(in_full("histogram", reason, {"x": values}, {}))
        return edges
    if bins < 1 or (range is not None and not range[0] <= range[1]):
        reason = f"expected 1 bin or more and an ascending range, got {bins} and {range}."
        raise ArgumentError(in_full("histogram", reason, {"x": values}, {}))
    if range is None and shape_of(values)[0] == 0:
        range = (0.0, 1.0)
    if range is None:
        low, high = (reshape(astype(end(values), dtype), (1,)) for end in (min, max))
    else:
        low, high = (array_like(values, np.asarray([end], dtype)) for end in range)
    # Where all elements are equal, the bins reach from half below to half above, as in NumPy.
    half = 0.5 * astype(equal(low, high), dtype)
    low, high = low - half, high + half
    steps = array_like(values, np.arange(bins, dtype=dtype))
    return concat((low + steps * ((high - low) / bins), high), axis=0)
