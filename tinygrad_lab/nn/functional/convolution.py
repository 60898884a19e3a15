"""Convolutions as PyTorch's functions: of a batch, or of one sample without that axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import shape_of
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops.arguments.composed import composed

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]


def _of_one(convolve: Callable[..., Any], x: Any, *args: Any) -> Any:
    """Return the convolution of one sample (C, ...)."""
    try:
        return convolve(x[None], *args)[0]
    except ShapeError as error:
        error.add_note("  x was taken for one sample without the axis N, which is 1 above.")
        raise


@composed()
def conv1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Return the cross-correlation of x (N, C_in, L) or (C_in, L), as ``tg.conv1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, w = tg.tensor([[1.0, 2.0, 3.0]]), tg.tensor([[[1.0, 1.0]]])
        >>> tg.nn.functional.conv1d(x, w).tolist()
        [[3.0, 5.0]]
    """
    if len(shape_of(x)) == 2:
        return _of_one(ops.conv1d, x, weight, bias, stride, padding, dilation, groups)
    return ops.conv1d(x, weight, bias, stride, padding, dilation, groups)


@composed()
def conv2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Any:
    """Return the cross-correlation of images x (N, C_in, H, W) or (C_in, H, W), as ``tg.conv2d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.conv2d(tg.ones((1, 4, 4)), tg.ones((2, 1, 3, 3)), padding=1).shape
        (2, 4, 4)
    """
    if len(shape_of(x)) == 3:
        return _of_one(ops.conv2d, x, weight, bias, stride, padding, dilation, groups)
    return ops.conv2d(x, weight, bias, stride, padding, dilation, groups)


@composed()
def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """Return the transpose of ``conv1d`` of x (N, C_in, L) or (C_in, L): ``tg.conv_transpose1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, w = tg.tensor([[1.0, 10.0]]), tg.tensor([[[1.0, 2.0, 3.0]]])
        >>> tg.nn.functional.conv_transpose1d(x, w).tolist()
        [[1.0, 12.0, 23.0, 30.0]]
    """
    settings = (stride, padding, output_padding, groups, dilation)
    if len(shape_of(x)) == 2:
        return _of_one(ops.conv_transpose1d, x, weight, bias, *settings)
    return ops.conv_transpose1d(x, weight, bias, *settings)


@composed()
def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Any:
    """Return the transpose of ``conv2d`` of images (N, C_in, H, W) or (C_in, H, W).

    See ``tg.conv_transpose2d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> weight = tg.ones((1, 3, 2, 2))
        >>> tg.nn.functional.conv_transpose2d(tg.ones((1, 2, 2)), weight, stride=2).shape
        (3, 4, 4)
    """
    settings = (stride, padding, output_padding, groups, dilation)
    if len(shape_of(x)) == 3:
        return _of_one(ops.conv_transpose2d, x, weight, bias, *settings)
    return ops.conv_transpose2d(x, weight, bias, *settings)
