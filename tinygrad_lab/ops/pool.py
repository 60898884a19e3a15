"""Pooling: each window of the last axes is reduced to one number.

The axes before the spatial axes (samples, channels), any number of them, stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, raw, shape_of
from tinygrad_lab.engine.taught import Textbook
from tinygrad_lab.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.arguments.windows import gathered, padded, per_axis, windows_of
from tinygrad_lab.ops.indexing import array_like, getitem
from tinygrad_lab.ops.kernels import max_pool as kernel, textbook
from tinygrad_lab.ops.kernels.windows import Windows
from tinygrad_lab.ops.linalg import matmul
from tinygrad_lab.ops.logic import equal
from tinygrad_lab.ops.piecewise import where
from tinygrad_lab.ops.reduce import argmax
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


def _check(axes: int, x: Any) -> None:
    """Raise if x lacks spatial axes, or does not hold floating-point numbers."""
    shape = shape_of(x)
    if len(shape) < axes or 0 in shape[len(shape) - axes :]:
        raise ShapeError(
            f"expected x of shape (..., {_LENGTHS[axes]}) with at least one step, got {shape}."
        )
    if x.dtype.kind != "f":
        raise DTypeError(f"expected floating-point numbers, got {x.dtype}: x.astype(tg.float32).")


def _windows(
    axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> Windows:
    """Return the windows of a pooling; without a stride, they lie side by side."""
    _check(axes, x)
    sizes = per_axis("kernel_size", kernel_size, axes, least=1)
    edges = per_axis("padding", padding, axes, least=0)
    gaps = per_axis("dilation", dilation, axes, least=1)
    for edge, kernel_length in zip(edges, sizes, strict=True):
        if edge > kernel_length // 2:
            raise ArgumentError(
                f"expected a padding of at most half the kernel, got {edge} for a kernel of "
                f"{kernel_length}: windows of padding alone have nothing to pool."
            )
    stride = sizes if stride is None else stride
    lengths = shape_of(x)[len(shape_of(x)) - axes :]
    return windows_of(lengths, sizes, stride=stride, padding=edges, dilation=gaps)


# --- the largest ----------------------------------------------------------------------------------


def _max_pooling(axes: int, doc: str) -> Callable[..., Any]:
    """Declare the maximum over windows of this number of spatial axes."""

    def composite(
        x: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> Any:
        over = _windows(axes, x, kernel_size, stride, padding, dilation)
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
        ) -> Any:
            return compute(xp, x, _windows(axes, x, kernel_size, stride, padding, dilation))

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


def _avg_pool(axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any) -> Any:
    """Return the mean of each window, padding included, by sums along one axis after the other."""
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    over = _explained(
        f"avg_pool{axes}d", x, settings, lambda: _windows(axes, x, kernel_size, stride, padding, 1)
    )
    return _means(x, over)


@composed(rounds_once=True)
def _means(x: Any, over: Windows) -> Any:
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
    return total / over.elements


def _explained(name: str, x: Any, settings: dict[str, Any], work: Callable[[], Any]) -> Any:
    """Return the result of ``work``; its errors get the function's name and arguments."""
    try:
        return work()
    except (ArgumentError, DTypeError, ShapeError) as error:
        raise type(error)(in_full(name, str(error), {"x": x}, settings)) from None


def avg_pool1d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """Return the mean of each window of x (..., L), in a length L'.

    L' = (L + 2 padding - kernel_size) // stride + 1.

    Args:
        kernel_size: the number of elements of a window.
        stride: the distance from one window to the next; ``kernel_size`` if not given.
        padding: the number of zeros added on both sides of x; they count in the mean.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.avg_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        tensor([[[2., 1.]]])
    """
    return _avg_pool(1, x, kernel_size, stride, padding)


def avg_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """Return the mean of each window of images x (..., H, W); arguments as in ``avg_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.avg_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
        tensor([[[[1.5]]]])
    """
    return _avg_pool(2, x, kernel_size, stride, padding)


def _mean_matrix(xp: Any, x: Any, count: int, size: int) -> Any:
    """Return the matrix (count, size) that takes the means of ``count`` windows over a length.

    Window i reaches from floor(i size / count) to ceil((i + 1) size / count), as in PyTorch.
    """
    rows = []
    for i in range(count):
        start, stop = i * size // count, -(-(i + 1) * size // count)
        share = 1 / (stop - start)
        rows.append([share if start <= k < stop else 0.0 for k in range(size)])
    array = raw(x)
    return xp.asarray(rows, dtype=array.dtype, device=xp.device_of(array))


def _adaptive_avg_pool(axes: int, x: Any, output_size: Any) -> Any:
    def counts_of() -> tuple[int, ...]:
        _check(axes, x)
        return per_axis("output_size", output_size, axes, least=1)

    counts = _explained(f"adaptive_avg_pool{axes}d", x, {"output_size": output_size}, counts_of)
    xp = namespaces[type(raw(x))]
    *_, length = x.shape
    # A mean is a linear map, and the maps of two axes commute.
    x = matmul(x, xp.matrix_transpose(_mean_matrix(xp, x, counts[-1], length)))
    return x if axes == 1 else matmul(_mean_matrix(xp, x, counts[0], x.shape[-2]), x)


def adaptive_avg_pool1d(x: Any, output_size: Any) -> Any:
    """Return the means of ``output_size`` windows that cover x (..., L): (..., output_size).

    Window i reaches from floor(i L / output_size) to ceil((i + 1) L / output_size); with an
    output_size of 1, that is the mean of all elements.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.adaptive_avg_pool1d(tg.tensor([[[1.0, 3.0, 5.0]]]), 2)
        tensor([[[2., 4.]]])
    """
    return _adaptive_avg_pool(1, x, output_size)


def adaptive_avg_pool2d(x: Any, output_size: Any) -> Any:
    """Return the means of windows that cover images x (..., H, W): (..., *output_size).

    ``output_size`` is one integer for both axes, or a tuple of two; see ``adaptive_avg_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.adaptive_avg_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 1)
        tensor([[[[1.5]]]])
    """
    return _adaptive_avg_pool(2, x, output_size)
