"""Maxima put back to where they were: a partial inverse of pooling."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import zeros
from tinygrad_lab.engine.explain import shapes_of
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.composed import composed, named
from tinygrad_lab.ops.arguments.windows import per_axis

__all__ = ["max_unpool1d", "max_unpool2d"]


@composed()
def max_unpool1d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Any:
    """Return zeros (..., L) with the maxima x at the positions that ``max_pool1d`` returned.

    L is (L' - 1) stride + kernel_size - 2 padding for x (..., L'), or ``output_size``. Of several
    windows that have one maximum, the last gets its gradient.

    Args:
        x, indices: what ``max_pool1d`` returned, with ``return_indices=True``.
        kernel_size, stride, padding: what it was given.
        output_size: the length of what it was given, which several lengths have in common: one
            integer, or a tuple for the last axis or for all.

    Raises:
        ShapeError: for x and ``indices`` of different shapes.
        ArgumentError: for an ``output_size`` that is a stride away from L, or more.
        IndexingError: for a position that the result does not have.

    Source: Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section
    2.1.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.nn import functional
        >>> x = tg.tensor([[1.0, 3.0, 2.0, 0.0]])
        >>> values, indices = functional.max_pool1d(x, 2, return_indices=True)
        >>> functional.max_unpool1d(values, indices, 2).tolist()
        [[0.0, 3.0, 2.0, 0.0]]
    """
    return _max_unpool(1, x, indices, kernel_size, stride, padding, output_size)


@composed()
def max_unpool2d(
    x: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    output_size: Any = None,
) -> Any:
    """Return zeros (..., H, W) with the maxima x at the positions that ``max_pool2d`` returned.

    Both axes, and all else, are as in ``max_unpool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.nn import functional
        >>> x = tg.tensor([[[1.0, 2.0], [4.0, 3.0]]])
        >>> values, indices = functional.max_pool2d(x, 2, return_indices=True)
        >>> functional.max_unpool2d(values, indices, 2).tolist()
        [[[0.0, 0.0], [4.0, 0.0]]]
    """
    return _max_unpool(2, x, indices, kernel_size, stride, padding, output_size)


def _max_unpool(
    axes: int, x: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    name = f"max_unpool{axes}d"
    shape, places = shapes_of(name, x=x, indices=indices)

    def checked() -> tuple[int, ...]:
        if len(shape) < axes or shape != places:
            raise ShapeError(
                f"expected x and indices of one shape, as pooling returns them, got {shape} and "
                f"{places}."
            )
        steps = kernel_size if stride is None else stride
        settings = (
            per_axis("kernel_size", kernel_size, axes, least=1),
            per_axis("stride", steps, axes, least=1),
            per_axis("padding", padding, axes, least=0),
        )
        return _lengths(shape, *settings, output_size)

    given = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    lengths = named(name, x, {**given, "output_size": output_size}, checked)
    lead, number = shape[: len(shape) - axes], prod(shape[len(shape) - axes :])
    whole = zeros((*lead, prod(lengths)), dtype=x.dtype, device=x.device)
    found = ops.reshape(indices, (*lead, number))
    out = ops.scatter(whole, -1, found, ops.reshape(x, (*lead, number)))
    return ops.reshape(out, (*lead, *lengths))


def _lengths(
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_size: Any,
) -> tuple[int, ...]:
    """Return the lengths of the result, one for each axis of the kernel."""
    axes = len(kernel)
    usual = tuple(
        (n - 1) * s + k - 2 * p
        for n, k, s, p in zip(shape[-axes:], kernel, stride, padding, strict=True)
    )
    if output_size is None:
        return usual
    of_all = isinstance(output_size, tuple | list) and len(output_size) == len(shape)
    wanted = per_axis("output_size", output_size[-axes:] if of_all else output_size, axes, least=1)
    for axis, (n, one, s) in enumerate(zip(usual, wanted, stride, strict=True)):
        if abs(one - n) >= s:
            raise ArgumentError(
                f"expected an output_size of {max(n - s + 1, 1)} to {n + s - 1} (spatial axis "
                f"{axis}), got {excerpt(output_size)}: of that, pooling makes another length."
            )
    return wanted
