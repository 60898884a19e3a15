"""Pooling as PyTorch's functions: also with the places of the largest, and of powers.

A window of the largest is here a row of places in x, so that a place is an index that can be
returned; ``tg.max_pool1d`` and ``tg.max_pool2d`` are faster where only values are asked for.
"""

from __future__ import annotations

from math import isfinite, prod
from numbers import Real
from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import shape_of, shapes_of
from tinygrad_lab.errors import ArgumentError, DTypeError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.composed import composed, named
from tinygrad_lab.ops.arguments.windows import counts_over, hashable, pool_windows, shares
from tinygrad_lab.ops.indexing import array_like, getitem
from tinygrad_lab.ops.kernels.windows import Windows

__all__ = [
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "lp_pool1d",
    "lp_pool2d",
    "max_pool1d",
    "max_pool2d",
]


# --- the largest ----------------------------------------------------------------------------------


@composed()
def max_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest element of each window of x (..., L), as ``tg.max_pool1d``.

    With ``return_indices``, return a pair: these elements, and their positions along L, int64.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[1.0, 3.0, 2.0, 0.0]])
        >>> [one.tolist() for one in tg.nn.functional.max_pool1d(x, 2, return_indices=True)]
        [[[3.0, 2.0]], [[1, 2]]]
    """
    settings = (kernel_size, stride, padding, dilation, ceil_mode)
    return _with_places(1, x, *settings) if return_indices else ops.max_pool1d(x, *settings)


@composed()
def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the largest element of each window of images x (..., H, W), as ``tg.max_pool2d``.

    With ``return_indices``, return a pair: these elements, and their positions in an image, row by
    row: row * W + column, int64.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[[1.0, 2.0], [4.0, 3.0]]])
        >>> [one.tolist() for one in tg.nn.functional.max_pool2d(x, 2, return_indices=True)]
        [[[[4.0]]], [[[2]]]]
    """
    settings = (kernel_size, stride, padding, dilation, ceil_mode)
    return _with_places(2, x, *settings) if return_indices else ops.max_pool2d(x, *settings)


def _with_places(
    axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool
) -> tuple[Any, Any]:
    """Return the largest element of each window, and where it is."""
    name = f"max_pool{axes}d"
    settings = {
        "kernel_size": kernel_size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
    }

    def checked() -> list[Any]:
        lengths = _lengths(name, axes, x)
        return _positions(pool_windows(lengths, *map(hashable, settings.values())))

    rows = named(name, x, settings, checked)
    return _largest(x, rows)


def _positions(over: Windows) -> list[Any]:
    """Return, for each axis, the positions along it of all windows: (count, kernel)."""
    rows = []
    for axis, n in enumerate(over.size):
        starts = np.arange(over.count[axis]) * over.stride[axis] - over.padding[axis][0]
        rows.append(
            _inside(starts[:, None] + np.arange(over.kernel[axis]) * over.dilation[axis], n)
        )
    return rows


def _inside(positions: Any, length: int) -> Any:
    """Return the positions of windows, in padding replaced by the first one that is not.

    That changes neither the largest element nor which is the first of several.
    """
    inside = (positions >= 0) & (positions < length)
    if not inside.any(axis=1).all():
        raise ShapeError(
            f"a dilated window has all its elements in the padding of a length of {length}: use a "
            "smaller padding."
        )
    first = np.take_along_axis(positions, inside.argmax(axis=1)[:, None], axis=1)
    return np.where(inside, positions, first)


def _largest(x: Any, rows: list[Any]) -> tuple[Any, Any]:
    """Return the first largest element of each window, and its position in row-major order.

    Args:
        x: (..., *lengths).
        rows: for each of the spatial axes, the positions along it of all windows: (count, kernel).
    """
    lead, lengths = shape_of(x)[: -len(rows)], shape_of(x)[-len(rows) :]
    places = rows[0]
    for row, n in zip(rows[1:], lengths[1:], strict=True):
        places = (places * n)[:, None, :, None] + row[None, :, None, :]
        places = places.reshape(places.shape[0], row.shape[0], -1)
    count, places = tuple(map(len, rows)), places.reshape(prod(map(len, rows)), -1)
    windows = ops.reshape(x, (*lead, prod(lengths)))[..., array_like(x, places)]
    chosen = ops.argmax(windows, axis=-1, keepdims=True)
    values = ops.take_along_axis(windows, chosen, axis=-1)
    each = array_like(x, np.arange(len(places)))
    taken = getitem(array_like(x, places), (each, ops.squeeze(chosen, axis=-1)))
    return ops.reshape(values, (*lead, *count)), ops.reshape(taken, (*lead, *count))


def _lengths(name: str, axes: int, x: Any) -> tuple[int, ...]:
    """Return the lengths of the spatial axes of x, which must have elements."""
    (shape,) = shapes_of(name, x=x)
    lengths = shape[len(shape) - axes :]
    if len(shape) < axes or 0 in lengths:
        last = ("length", "height, width")[axes - 1]
        raise ShapeError(f"expected x of shape (..., {last}) with at least one step, got {shape}.")
    if x.dtype.kind != "f":
        raise DTypeError(f"expected floating-point numbers, got {x.dtype}: x.astype(tg.float32).")
    return lengths


@composed()
def adaptive_max_pool1d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest elements of ``output_size`` windows that cover x (..., L).

    The windows are those of ``adaptive_avg_pool1d``. With ``return_indices``, return a pair: these
    elements, and their positions along L, int64.

    Raises:
        ShapeError: for an x without elements.
        ArgumentError, ArgumentTypeError: for an ``output_size`` that is no integer above 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.adaptive_max_pool1d(tg.tensor([[1.0, 3.0, 5.0]]), 2).tolist()
        [[3.0, 5.0]]
    """
    return _adaptive_max_pool(1, x, output_size, return_indices)


@composed()
def adaptive_max_pool2d(x: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Return the largest elements of windows that cover images x (..., H, W).

    ``output_size`` is one integer for both axes, or a tuple of two, in which None stands for the
    length of x. Everything else is as in ``adaptive_max_pool1d``; positions are in an image, row by
    row: row * W + column.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.adaptive_max_pool2d(tg.tensor([[[1.0, 3.0], [2.0, 0.0]]]), 1).tolist()
        [[[3.0]]]
    """
    return _adaptive_max_pool(2, x, output_size, return_indices)


def _adaptive_max_pool(axes: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    def checked() -> tuple[tuple[int, ...], tuple[int, ...]]:
        lengths = _lengths(name, axes, x)
        return lengths, counts_over(lengths, output_size)

    name, settings = f"adaptive_max_pool{axes}d", {"output_size": output_size}
    lengths, counts = named(name, x, settings, checked)
    if not return_indices and all(n % c == 0 for n, c in zip(lengths, counts, strict=True)):
        kernel = tuple(n // c for n, c in zip(lengths, counts, strict=True))
        return (ops.max_pool1d, ops.max_pool2d)[axes - 1](x, kernel)
    rows = []
    for n, count in zip(lengths, counts, strict=True):
        starts, stops = shares(n, count)
        positions = starts[:, None] + np.arange(np.max(stops - starts))
        rows.append(np.where(positions < stops[:, None], positions, starts[:, None]))
    values, places = _largest(x, rows)
    return (values, places) if return_indices else values


# --- sums of powers -------------------------------------------------------------------------------


@composed(rounds_once=True)
def lp_pool1d(
    x: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """Return (Σ x^p)^(1/p) over each window of x (..., L), p being ``norm_type``.

    With p = 1 that is the sum, with p = 2 the length. An odd p keeps the signs of x, as in PyTorch,
    and so a negative sum gives NaN (for p > 1). Where the sum is 0, the gradient is 0.

    With ``ceil_mode``, the sum over a last window that reaches beyond the end is scaled to the
    whole of it, as in PyTorch.

    Raises:
        ArgumentError: for a p that is 0 or infinite.
        ShapeError: for a window that does not fit.

    Source: Gulcehre et al., "Learned-Norm Pooling for Deep Feedforward and Recurrent Neural
    Networks", 2014, equation 1.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.lp_pool1d(tg.tensor([[3.0, 4.0, 6.0, 8.0]]), 2, 2).tolist()
        [[5.0, 10.0]]
    """
    return _lp_pool(1, x, norm_type, kernel_size, stride, ceil_mode)


@composed(rounds_once=True)
def lp_pool2d(
    x: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
) -> Any:
    """Return (Σ x^p)^(1/p) over each window of images x (..., H, W); see ``lp_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.lp_pool2d(tg.tensor([[[1.0, 1.0], [1.0, 1.0]]]), 2, 2).tolist()
        [[[2.0]]]
    """
    return _lp_pool(2, x, norm_type, kernel_size, stride, ceil_mode)


def _lp_pool(
    axes: int, x: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool
) -> Any:
    name = f"lp_pool{axes}d"
    settings = {"norm_type": norm_type, "kernel_size": kernel_size, "stride": stride}
    check_norm(name, norm_type)
    average = (ops.avg_pool1d, ops.avg_pool2d)[axes - 1]

    def checked() -> int:
        lengths, sizes = _lengths(name, axes, x), map(hashable, (kernel_size, stride))
        return pool_windows(lengths, *sizes, 0, 1, ceil_mode).elements

    elements = named(name, x, settings, checked)
    total = average(x**norm_type, kernel_size, stride, ceil_mode=ceil_mode) * elements
    # The root of 0 has an infinite slope: 1 takes its place, and the result is 0 after all.
    is_zero = ops.equal(total, 0)
    root = ops.where(is_zero, ops.ones_like(total), total) ** (1 / norm_type)
    return ops.where(is_zero, ops.zeros_like(root), root)


def check_norm(name: str, norm_type: Any) -> None:
    """Raise if a pooling by powers has none that it can take."""
    number = isinstance(norm_type, Real) and not isinstance(norm_type, bool)
    if not number or norm_type == 0 or not isfinite(norm_type):
        largest = f" For the largest, use {name.replace('lp', 'max').replace('LP', 'Max')}."
        raise ArgumentError(
            f"{name}: expected a finite number other than 0 as norm_type, got {excerpt(norm_type)}."
            + largest
        )
