"""Elements of images in another order: windows as columns and back, channels as pixels and back."""

from __future__ import annotations

from math import prod
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.backends.scatter import ARRAY
from tinygrad_lab.engine.explain import in_full, is_integer, shapes_of
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.composed import composed, named
from tinygrad_lab.ops.arguments.windows import gathered, per_axis, places, windows_of
from tinygrad_lab.ops.indexing import getitem, put
from tinygrad_lab.ops.kernels.windows import Windows

__all__ = ["channel_shuffle", "fold", "pixel_shuffle", "pixel_unshuffle", "unfold"]


# --- windows as columns ---------------------------------------------------------------------------


@composed()
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """Return the windows of images x (N, C, H, W) as columns: (N, C * K_H * K_W, L).

    L is the number of windows, row by row. Without N, the result has no N either. A convolution is
    the product of its weights with these columns.

    Args:
        kernel_size, dilation, padding, stride: as in ``tg.conv2d``.

    Raises:
        ShapeError: for an x of another shape, or a kernel that does not fit.

    Source: Chellapilla, Puri & Simard, "High Performance Convolutional Neural Networks for Document
    Processing", 2006, section 3.1.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
        >>> tg.nn.functional.unfold(x, 2).tolist()
        [[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]]
    """
    (shape,) = shapes_of("unfold", x=x)
    if len(shape) not in (3, 4) or 0 in shape[-3:]:
        reason = f"expected images x of shape (N, C, H, W) or (C, H, W), got {shape}."
        raise ShapeError(in_full("unfold", reason, {"x": x}, {}))
    settings = _settings(kernel_size, dilation, padding, stride)
    over = named("unfold", x, settings, lambda: _windows(shape[-2:], **settings))
    windows = gathered(x, over)  # (..., C, *count, *kernel)
    columns = ops.permute_dims(windows, _swapped(len(shape) - 2))
    return ops.reshape(columns, (*shape[:-3], shape[-3] * over.elements, over.number))


def _swapped(lead: int) -> tuple[int, ...]:
    """Return the order of axes that swaps the last two pairs, behind some that stay."""
    return (*range(lead), lead + 2, lead + 3, lead, lead + 1)


@composed()
def fold(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = 1,
    padding: Any = 0,
    stride: Any = 1,
) -> Any:
    """Return images (N, C, *output_size) that are the sums of windows, which are columns of x.

    x is (N, C * K_H * K_W, L), or without N, L being the number of windows over such images: each
    column is added where ``unfold`` would take it from. So ``fold(unfold(x))`` is x times the
    number of windows that each element is in, and each of the two is the gradient of the other.

    Args:
        output_size: H and W of the images, without padding; one integer for both.
        kernel_size, dilation, padding, stride: as in ``unfold``.

    Raises:
        ShapeError: for an x with another number of rows or columns.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[1.0, 2.0], [2.0, 3.0], [4.0, 5.0], [5.0, 6.0]])
        >>> tg.nn.functional.fold(x, (2, 3), 2).tolist()
        [[[1.0, 4.0, 3.0], [4.0, 10.0, 6.0]]]
    """
    (shape,) = shapes_of("fold", x=x)
    settings = _settings(kernel_size, dilation, padding, stride)

    def checked() -> Windows:
        over = _windows(per_axis("output_size", output_size, 2, least=1), **settings)
        _check_columns(shape, over)
        return over

    over = named("fold", x, {"output_size": output_size, **settings}, checked)
    lead, channels = shape[:-2], shape[-2] // over.elements
    rows = ops.reshape(x, (*lead, channels, *over.kernel, *over.count))
    windows = ops.permute_dims(rows, _swapped(len(lead) + 1))
    key = (*(slice(None),) * (len(lead) + 1), ARRAY, ARRAY)
    whole = put(windows, *places(over, x), key=key, shape=(*lead, channels, *over.padded))
    return getitem(whole, (..., *over.inside))


def _settings(kernel_size: Any, dilation: Any, padding: Any, stride: Any) -> dict[str, Any]:
    return {
        "kernel_size": kernel_size,
        "dilation": dilation,
        "padding": padding,
        "stride": stride,
    }


def _windows(size: tuple[int, ...], kernel_size: Any, **settings: Any) -> Windows:
    kernel = per_axis("kernel_size", kernel_size, 2, least=1)
    per_axis("padding", settings["padding"], 2, least=0)  # not "same", which windows_of knows
    return windows_of(size, kernel, **settings)


def _check_columns(shape: tuple[int, ...], over: Windows) -> None:
    """Raise if the columns of x are not those of these windows."""
    if len(shape) not in (2, 3):
        reason = f"expected columns x of shape (N, C * {over.elements}, L), got {shape}."
    elif shape[-2] % over.elements or not shape[-2]:
        reason = (
            f"expected C * {over.elements} rows, a multiple of the elements of a window of "
            f"{over.kernel}, got {shape[-2]} in shape {shape}."
        )
    elif shape[-1] != over.number:
        reason = (
            f"expected {prod(over.count)} columns, one for each of {over.count} windows over "
            f"{over.size}, got {shape[-1]} in shape {shape}."
        )
    else:
        return
    raise ShapeError(reason)


# --- channels as pixels ---------------------------------------------------------------------------


@composed()
def pixel_shuffle(x: Any, upscale_factor: int) -> Any:
    """Return x (..., C r², H, W) with channels as pixels: (..., C, H r, W r), r = upscale_factor.

    Raises:
        ShapeError: for fewer than three axes, or channels that are no multiple of r².
        ArgumentError: for an r that is no integer above 0.

    Source: Shi et al., "Real-Time Single Image and Video Super-Resolution Using an Efficient
    Sub-Pixel Convolutional Neural Network", 2016, equation 4.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]])
        >>> tg.nn.functional.pixel_shuffle(x, 2).tolist()
        [[[1.0, 2.0], [3.0, 4.0]]]
    """
    r = _at_least_1("pixel_shuffle", "upscale_factor", upscale_factor)
    (shape,) = shapes_of("pixel_shuffle", x=x)
    if len(shape) < 3 or shape[-3] % (r * r):
        reason = f"expected x of shape (..., C * {r * r}, H, W), got {shape}."
        raise ShapeError(in_full("pixel_shuffle", reason, {"x": x}, {}))
    *lead, channels, height, width = shape
    n = len(lead)
    parts = ops.reshape(x, (*lead, channels // (r * r), r, r, height, width))
    parts = ops.permute_dims(parts, (*range(n + 1), n + 3, n + 1, n + 4, n + 2))
    return ops.reshape(parts, (*lead, channels // (r * r), height * r, width * r))


@composed()
def pixel_unshuffle(x: Any, downscale_factor: int) -> Any:
    """Return x (..., C, H r, W r) with pixels as channels: (..., C r², H, W), r = downscale_factor.

    This is the inverse of ``pixel_shuffle``.

    Raises:
        ShapeError: for fewer than three axes, or lengths that are no multiples of r.
        ArgumentError: for an r that is no integer above 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.pixel_unshuffle(tg.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).tolist()
        [[[1.0]], [[2.0]], [[3.0]], [[4.0]]]
    """
    r = _at_least_1("pixel_unshuffle", "downscale_factor", downscale_factor)
    (shape,) = shapes_of("pixel_unshuffle", x=x)
    if len(shape) < 3 or shape[-2] % r or shape[-1] % r:
        reason = f"expected x of shape (..., C, H * {r}, W * {r}), got {shape}."
        raise ShapeError(in_full("pixel_unshuffle", reason, {"x": x}, {}))
    *lead, channels, height, width = shape
    n = len(lead)
    parts = ops.reshape(x, (*lead, channels, height // r, r, width // r, r))
    parts = ops.permute_dims(parts, (*range(n + 1), n + 2, n + 4, n + 1, n + 3))
    return ops.reshape(parts, (*lead, channels * r * r, height // r, width // r))


@composed()
def channel_shuffle(x: Any, groups: int) -> Any:
    """Return x (N, C, ...) with the channels of all groups taken in turn: the first of each, ...

    Raises:
        ShapeError: for fewer than three axes, or channels that do not divide into the groups.
        ArgumentError: for groups that are no integer above 0.

    Source: Zhang et al., "ShuffleNet", 2018, section 3.1.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[[1.0], [2.0], [3.0], [4.0]]])
        >>> tg.nn.functional.channel_shuffle(x, 2).tolist()
        [[[1.0], [3.0], [2.0], [4.0]]]
    """
    groups = _at_least_1("channel_shuffle", "groups", groups)
    (shape,) = shapes_of("channel_shuffle", x=x)
    if len(shape) < 3 or shape[1] % groups:
        reason = f"expected x of shape (N, C, ...), C a multiple of {groups} groups, got {shape}."
        raise ShapeError(in_full("channel_shuffle", reason, {"x": x}, {}))
    batch, channels, *lengths = shape
    parts = ops.reshape(x, (batch, groups, channels // groups, *lengths))
    order = (0, 2, 1, *range(3, len(shape) + 1))
    return ops.reshape(ops.permute_dims(parts, order), shape)


def _at_least_1(name: str, argument: str, value: Any) -> int:
    if not is_integer(value) or isinstance(value, bool) or value < 1:
        raise ArgumentError(
            f"{name}: expected an integer, 1 or more, for {argument}, got {excerpt(value)}."
        )
    return int(value)
