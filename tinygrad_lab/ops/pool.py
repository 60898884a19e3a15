"""Pooling: windows of the last axes, each reduced to one number.

Everything before the spatial axes (samples, channels) is left as it is, in any number of axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, shape_of
from tinygrad_lab.errors import ArgumentError, DTypeError, ShapeError
from tinygrad_lab.ops.arguments.windows import gathered, padded, per_axis, windows_of
from tinygrad_lab.ops.index import beside, getitem
from tinygrad_lab.ops.kernels import max_pool as kernel
from tinygrad_lab.ops.kernels.windows import Windows
from tinygrad_lab.ops.linalg import matmul
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
    """Raise the error that fits an x that has no such spatial axes, or no floating numbers."""
    shape = shape_of(x)
    if len(shape) < axes or 0 in shape[len(shape) - axes :]:
        raise ShapeError(
            f"expected x of shape (..., {_LENGTHS[axes]}) with a step or more, got {shape}."
        )
    if x.dtype.kind != "f":
        raise DTypeError(f"expected floating-point numbers, got {x.dtype}: x.astype(tg.float32).")


def _windows(
    axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any
) -> Windows:
    """The windows of a pooling; without a stride, they lie side by side."""
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
    """Declare the maximum over windows of so many spatial axes."""

    def composite(
        x: Any, *, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1
    ) -> Any:
        over = _windows(axes, x, kernel_size, stride, padding, dilation)
        shape = (*x.shape[: x.ndim - axes], *over.count)
        windows = reshape(gathered(x, over, -math.inf), (math.prod(shape), over.elements))
        # The first of several that are largest; max would share the gradient among them.
        each = beside(x, np.arange(math.prod(shape)))
        largest = getitem(windows, (each, argmax(windows, axis=1)))
        return reshape(largest, shape)

    def forward(
        xp: Any,
        x: Any,
        *,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
    ) -> Any:
        return kernel.forward(xp, x, _windows(axes, x, kernel_size, stride, padding, dilation))

    return op(
        f"max_pool{axes}d",
        forward=forward,
        vjp={"x": lambda xp, g, residual: kernel.backward(xp, g, residual)},
        composite=composite,
        residual=True,
        doc=doc,
    )


max_pool1d = _max_pooling(
    1,
    """The largest element of each window of x (..., L): (..., L').

    L' = (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1.

    The gradient goes to the first of the largest elements of a window, as in PyTorch. (``max``
    shares it; behind a relu, where ties are many, sharing would cost more than it tells.)

    Args:
        stride: from one window to the next; ``kernel_size`` if not given.
        padding: by how many elements, which never are the largest, x is extended on both sides.
        dilation: from one element of a window to the next.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.max_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        tensor([[[3., 2.]]])
    """,
)

max_pool2d = _max_pooling(
    2,
    """The largest element of each window of images x (..., H, W): (..., H', W').

    Both axes are as in ``max_pool1d``; settings are one integer for both, or a tuple of two. The
    gradient goes to the first of the largest elements of a window, row by row.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.max_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
        tensor([[[[3.]]]])
    """,
)


# --- the mean -------------------------------------------------------------------------------------


def _avg_pool(axes: int, x: Any, kernel_size: Any, stride: Any, padding: Any) -> Any:
    """The mean of each window, padding included: sums along one axis after the other."""
    settings = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    over = _explained(
        f"avg_pool{axes}d", x, settings, lambda: _windows(axes, x, kernel_size, stride, padding, 1)
    )
    total = padded(x, over)
    for axis in range(axes):
        behind = (slice(None),) * (axes - 1 - axis)
        # All windows have their k-th element on one slice.
        slices = [
            slice(k, k + (over.count[axis] - 1) * over.stride[axis] + 1, over.stride[axis])
            for k in range(over.kernel[axis])
        ]
        first, *others = [getitem(total, (..., taken, *behind)) for taken in slices]
        total = sum(others, start=first)
    return total / over.elements


def _explained(name: str, x: Any, settings: dict[str, Any], work: Callable[[], Any]) -> Any:
    """What ``work`` returns; what it raises is told with the function and what it was given."""
    try:
        return work()
    except (ArgumentError, DTypeError, ShapeError) as error:
        raise type(error)(in_full(name, str(error), {"x": x}, settings)) from None


def avg_pool1d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean of each window of x (..., L): (..., (L + 2 padding - kernel_size) // stride + 1).

    Args:
        kernel_size: the elements of a window.
        stride: from one window to the next; ``kernel_size`` if not given.
        padding: by how many zeros x is extended on both sides; they count in the mean.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.avg_pool1d(tg.tensor([[[1.0, 3.0, 2.0, 0.0]]]), 2)
        tensor([[[2., 1.]]])
    """
    return _avg_pool(1, x, kernel_size, stride, padding)


def avg_pool2d(x: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """The mean of each window of images x (..., H, W); settings are those of ``avg_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.avg_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 2)
        tensor([[[[1.5]]]])
    """
    return _avg_pool(2, x, kernel_size, stride, padding)


def _shares(xp: Any, x: Any, count: int, size: int) -> Any:
    """The matrix (count, size) that takes means of a length cut into so many windows.

    Window i reaches from floor(i size / count) to ceil((i + 1) size / count), as in PyTorch.
    """
    rows = []
    for i in range(count):
        start, stop = i * size // count, -(-(i + 1) * size // count)
        share = 1 / (stop - start)
        rows.append([share if start <= k < stop else 0.0 for k in range(size)])
    raw = getattr(x, "_data", x)
    return xp.asarray(rows, dtype=raw.dtype, device=xp.device_of(raw))


def _adaptive_avg_pool(axes: int, x: Any, output_size: Any) -> Any:
    def counts_of() -> tuple[int, ...]:
        _check(axes, x)
        return per_axis("output_size", output_size, axes, least=1)

    counts = _explained(f"adaptive_avg_pool{axes}d", x, {"output_size": output_size}, counts_of)
    xp = namespaces[type(getattr(x, "_data", x))]
    *_, length = x.shape
    # A mean is a linear map, and those of the axes do not get in each other's way.
    x = matmul(x, xp.matrix_transpose(_shares(xp, x, counts[-1], length)))
    return x if axes == 1 else matmul(_shares(xp, x, counts[0], x.shape[-2]), x)


def adaptive_avg_pool1d(x: Any, output_size: Any) -> Any:
    """Means of ``output_size`` windows that cover x (..., L) evenly: (..., output_size).

    Window i reaches from floor(i L / output_size) to ceil((i + 1) L / output_size); with an
    output_size of 1, that is the mean of all.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.adaptive_avg_pool1d(tg.tensor([[[1.0, 3.0, 5.0]]]), 2)
        tensor([[[2., 4.]]])
    """
    return _adaptive_avg_pool(1, x, output_size)


def adaptive_avg_pool2d(x: Any, output_size: Any) -> Any:
    """Means of windows that cover images x (..., H, W) evenly: (..., *output_size).

    ``output_size`` is one integer for both axes, or a tuple of two; see ``adaptive_avg_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.adaptive_avg_pool2d(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]), 1)
        tensor([[[[1.5]]]])
    """
    return _adaptive_avg_pool(2, x, output_size)
