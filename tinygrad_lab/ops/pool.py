"""Pooling: each window of the last axes is reduced to one number.

The axes before the spatial axes (samples, channels), any number of them, stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import shape_of
from tinygrad_lab.engine.taught import Textbook
from tinygrad_lab.errors import DTypeError, ShapeError
from tinygrad_lab.ops.arguments.composed import composed, named
from tinygrad_lab.ops.arguments.windows import (
    check_divisor,
    counts_over,
    gathered,
    hashable,
    padded,
    per_axis,
    pool_windows,
    shares,
)
from tinygrad_lab.ops.conversion import zeros_like
from tinygrad_lab.ops.indexing import array_like, getitem
from tinygrad_lab.ops.kernels import max_pool as kernel, textbook
from tinygrad_lab.ops.kernels.windows import Windows
from tinygrad_lab.ops.logic import equal
from tinygrad_lab.ops.piecewise import where
from tinygrad_lab.ops.reduce import argmax, mean, sum as sum_
from tinygrad_lab.ops.shape import reshape

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "max_pool1d",
    "max_pool2d",
]

_LENGTHS = {1: "length", 2: "height, width"}


def _lengths(axes: int, x: Any) -> tuple[int, ...]:
    """Return the lengths of the spatial axes of x; raise if it lacks them, or holds no floats."""
    shape = shape_of(x)
    lengths = shape[len(shape) - axes :]
    if len(shape) < axes or 0 in lengths:
        raise ShapeError(
            f"expected x of shape (..., {_LENGTHS[axes]}) with at least one step, got {shape}."
        )
    if x.dtype.kind != "f":
        raise DTypeError(f"expected floating-point numbers, got {x.dtype}: x.astype(tg.float32).")
    return lengths


def _windows(
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Windows:
    """Return the windows of a pooling; without a stride, they lie side by side."""
    settings = map(hashable, (kernel_size, stride, padding, dilation))
    return pool_windows(_lengths(axes, x), *settings, ceil_mode)


# --- the largest ----------------------------------------------------------------------------------


def _max_pooling(axes: int, doc: str) -> Callable[..., Any]:
    """Declare the maximum over windows of this number of spatial axes."""

    def composite(
        x: Any,
        *,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        ceil_mode: bool = False,
    ) -> Any:
        over = _windows(axes, x, kernel_size, stride, padding, dilation, ceil_mode)
        shape = (*x.shape[: x.ndim - axes], *over.count)
        windows = reshape(gathered(x, over, -math.inf), (math.prod(shape), over.elements))
        # The first of several maxima; max would share the gradient among them.
        each = array_like(x, np.arange(math.prod(shape)))
        place = argmax(windows, axis=1)
        if over.margins:
            # Where all elements are -inf, as the padding is: not the padding.
            inside = np.broadcast_to(over.first_inside, shape).reshape(-1).astype(np.int64)
            lowest = equal(getitem(windows, (each, place)), -math.inf)
            place = where(lowest, array_like(x, inside), place)
        return reshape(getitem(windows, (each, place)), shape)

    def forward_by(compute: Callable[..., Any]) -> Callable[..., Any]:
        def forward(
            xp: Any,
            x: Any,
            *,
            kernel_size: Any,
            stride: Any = None,
            padding: Any = 0,
            dilation: Any = 1,
            ceil_mode: bool = False,
        ) -> Any:
            over = _windows(axes, x, kernel_size, stride, padding, dilation, ceil_mode)
            return compute(xp, x, over)

        return forward

    return op(
        f"max_pool{axes}d",
        forward=forward_by(kernel.forward),
        vjp={"x": lambda xp, g, residual: kernel.backward(xp, g, residual)},
        words={"x": "g to the first largest"},
        latex=r"\mathrm{{max\_pool}}({x})",
        composite=composite,
        textbook=Textbook(forward_by(textbook.max_pool), {"x": textbook.max_pool_backward}),
        residual=True,
        doc=doc,
    )


max_pool1d = _max_pooling(
    1,
    """Return the largest element of each window of x (..., L): (..., L').

    L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1.

    The gradient goes to the first of the largest elements of a window, as in PyTorch. (``max``
    shares it. After a relu, ties are common, and sharing would take time for little use.)

    Args:
        kernel_size: the number of elements of a window.
        stride: the distance from one window to the next; ``kernel_size`` if not given.
        padding: the number of elements added on both sides of x; they are never the largest.
        dilation: the distance from one element of a window to the next.
        ceil_mode: whether to round L' up: a last window may reach beyond the end, if it starts
            before.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.max_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        tensor([[[3., 2.]]])
    """,
)

max_pool2d = _max_pooling(
    2,
    """Return the largest element of each window of images x (..., H, W): (..., H', W').

    Both axes are as in ``max_pool1d``; arguments are one integer for both, or a tuple of two. The
    gradient goes to the first of the largest elements of a window, row by row.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.max_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
        tensor([[[[3.]]]])
    """,
)


# --- the mean -------------------------------------------------------------------------------------


def _avg_pool(
    axes: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Any:
    """Return the sum of each window, by sums along one axis after the other, divided."""
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    over = named(
        f"avg_pool{axes}d",
        x,
        settings,
        lambda: _windows(axes, x, kernel_size, stride, padding, ceil_mode=ceil_mode),
    )
    if divisor_override is not None:
        return _quotients(x, over, divisor_override)
    if not over.margins or (count_include_pad and not ceil_mode):
        return _quotients(x, over, over.elements)
    edges = per_axis("padding", padding, axes, least=0) if count_include_pad else (0,) * axes
    return _quotients(x, over, _counted(over, edges))


def _counted(over: Windows, edges: tuple[int, ...]) -> Any:
    """Return how many elements of each window are in the array or in these edges around it."""
    numbers = np.ones((), dtype=np.int64)
    for axis, (n, edge) in enumerate(zip(over.size, edges, strict=True)):
        starts = np.arange(over.count[axis]) * over.stride[axis] - over.padding[axis][0]
        stops = np.minimum(starts + over.kernel[axis], n + edge)
        numbers = numbers[..., None] * (stops - np.maximum(starts, -edge))
    return numbers


@composed(rounds_once=True)
def _quotients(x: Any, over: Windows, divisor: Any) -> Any:
    """Return the sums of all windows, divided by a number, or by one for each window."""
    total = padded(x, over)
    axes = len(over.count)
    for axis in range(axes):
        trailing = (slice(None),) * (axes - 1 - axis)
        # The k-th elements of all windows form one slice.
        slices = [
            slice(k, k + (over.count[axis] - 1) * over.stride[axis] + 1, over.stride[axis])
            for k in range(over.kernel[axis])
        ]
        first, *others = [getitem(total, (..., taken, *trailing)) for taken in slices]
        total = sum(others, start=first)
    if isinstance(divisor, np.ndarray):
        divisor = array_like(total, divisor.astype(total.dtype))
    return total / divisor


def avg_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Return the mean of each window of x (..., L), in a length L'.

    L' = (L + 2 padding - kernel_size) // stride + 1.

    Args:
        kernel_size: the number of elements of a window.
        stride: the distance from one window to the next; ``kernel_size`` if not given.
        padding: the number of zeros added on both sides of x.
        ceil_mode: whether to round L' up: a last window may reach beyond the end, if it starts
            before. What it has beyond the padding does not count in its mean.
        count_include_pad: whether the zeros of the padding count in the means.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.avg_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        tensor([[[2., 1.]]])
    """
    return _avg_pool(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad)


def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Return the mean of each window of images x (..., H, W); arguments as in ``avg_pool1d``.

    Sums are divided by ``divisor_override``, if given, whatever the windows have.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.avg_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
        tensor([[[[1.5]]]])
    """
    if divisor_override is not None:
        check_divisor("avg_pool2d", divisor_override)
    return _avg_pool(
        2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


# --- a given number of windows --------------------------------------------------------------------


def _adaptive_avg_pool(axes: int, x: Any, output_size: Any) -> Any:
    def counts_of() -> tuple[int, ...]:
        return counts_over(_lengths(axes, x), output_size)

    counts = named(f"adaptive_avg_pool{axes}d", x, {"output_size": output_size}, counts_of)
    return _shared_means(x, counts)


@composed(rounds_once=True)
def _shared_means(x: Any, counts: tuple[int, ...]) -> Any:
    """Return the means of windows that cover the last axes, this many along each."""
    if set(counts) == {1}:
        return mean(x, axis=(-2, -1)[2 - len(counts) :], keepdims=True)
    shape = shape_of(x)
    lead, lengths = shape[: len(shape) - len(counts)], shape[len(shape) - len(counts) :]
    if all(n % count == 0 for n, count in zip(lengths, counts, strict=True)):
        pieces = [part for n, c in zip(lengths, counts, strict=True) for part in (c, n // c)]
        return mean(reshape(x, (*lead, *pieces)), axis=tuple(range(1 - len(pieces), 0, 2)))
    # The mean of a rectangle is the mean of the means of its rows.
    for axis, count in enumerate(counts, start=len(lead)):
        x = _means_along(x, axis, count)
    return x


def _means_along(x: Any, axis: int, count: int) -> Any:
    """Return the means of ``count`` windows that cover an axis.

    Elements are gathered, not multiplied by shares: an infinite one would make NaN of the others.
    """
    starts, stops = shares(x.shape[axis], count)
    positions = starts[:, None] + np.arange(np.max(stops - starts))
    inside = (positions < stops[:, None]).reshape(*positions.shape, *(1,) * (x.ndim - axis - 1))
    positions = np.minimum(positions, x.shape[axis] - 1)
    lengths = (stops - starts).reshape(-1, *(1,) * (x.ndim - axis - 1))
    windows = getitem(x, (*(slice(None),) * axis, array_like(x, positions)))
    kept = where(array_like(x, inside), windows, zeros_like(windows))
    return sum_(kept, axis=axis + 1) / array_like(x, lengths.astype(x.dtype))


def adaptive_avg_pool1d(x: Any, output_size: Any) -> Any:
    """Return the means of ``output_size`` windows that cover x (..., L): (..., output_size).

    Window i reaches from floor(i L / output_size) to ceil((i + 1) L / output_size); with an
    output_size of 1, that is the mean of all elements. None is the length of x.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.adaptive_avg_pool1d(tg.tensor([[[1.0, 3.0, 5.0]]]), 2)
        tensor([[[2., 4.]]])
    """
    return _adaptive_avg_pool(1, x, output_size)


def adaptive_avg_pool2d(x: Any, output_size: Any) -> Any:
    """Return the means of windows that cover images x (..., H, W): (..., *output_size).

    ``output_size`` is one integer for both axes, or a tuple of two, in which None stands for the
    length of x; see ``adaptive_avg_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.adaptive_avg_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 1)
        tensor([[[[1.5]]]])
    """
    return _adaptive_avg_pool(2, x, output_size)
