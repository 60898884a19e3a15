"""Convolutions and their transposes, in one and two dimensions.

Each has a composite of small ops, which defines it, and a faster kernel: gather the windows,
multiply them by the weights. A transposed convolution is the gradient of a convolution with respect
to its input: it multiplies by the weights, and adds the windows where they were gathered.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from tinygrad_lab.backends.scatter import ARRAY
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.taught import Textbook
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.ops.arguments.windows import gathered, hashable, per_axis, places, windows_of
from tinygrad_lab.ops.arithmetic import add
from tinygrad_lab.ops.indexing import getitem, put
from tinygrad_lab.ops.kernels import conv as kernel, of_one_dtype, textbook
from tinygrad_lab.ops.kernels.windows import Windows
from tinygrad_lab.ops.linalg import matmul
from tinygrad_lab.ops.shape import matrix_transpose, permute_dims, reshape

__all__ = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]

_LENGTHS = {1: "length", 2: "height, width"}


# --- checks of shapes -----------------------------------------------------------------------------


def _check(
    axes: int,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    bias: tuple[int, ...] | None,
    groups: int,
    *,
    transposed: bool = False,
) -> None:
    """Raise if the shapes of x, weight and bias do not fit together."""
    per_axis("groups", groups, 1, least=1)
    if len(shape) != axes + 2 or len(kernel) != axes + 2:
        first, second = ("in", "out") if transposed else ("out", "in")
        raise ShapeError(
            f"expected x of shape (N, in_channels, {_LENGTHS[axes]}) and a weight of shape "
            f"({first}_channels, {second}_channels / groups, "
            f"{'kernel_size' if axes == 1 else '*kernel_size'}), got {shape} and {kernel}."
        )
    if 0 in shape[1:]:
        raise ShapeError(f"expected x with at least one channel and one step, got shape {shape}.")
    if 0 in kernel:
        raise ShapeError(f"expected a weight with elements, got shape {kernel}.")
    if kernel[0] % groups:
        raise ArgumentError(
            f"expected groups that divide weight.shape[0] evenly, got {kernel[0]} channels in "
            f"{groups} groups."
        )
    of_x, of_weight = shape[1], kernel[0] if transposed else kernel[1] * groups
    if of_x != of_weight:
        times = f" * groups ({groups})" if groups != 1 and not transposed else ""
        raise ShapeError(
            f"expected x.shape[1] == weight.shape[{0 if transposed else 1}]{times} (in_channels), "
            f"got {of_x} != {of_weight}."
        )
    outputs = kernel[1] * groups if transposed else kernel[0]
    if bias is not None and bias != (outputs,):
        raise ShapeError(f"expected bias.shape == ({outputs},) (out_channels), got {bias}.")


# --- convolution ----------------------------------------------------------------------------------


def _by_group(x: Any, groups: int, axis: int) -> Any:
    """Split an axis of channels into groups and channels per group."""
    shape = x.shape
    return reshape(x, (*shape[:axis], groups, shape[axis] // groups, *shape[axis + 1 :]))


def _with_bias(out: Any, bias: Any, axes: int) -> Any:
    return out if bias is None else add(out, reshape(bias, (-1, *(1,) * axes)))


@lru_cache(maxsize=1024)
def _windows(
    axes: int,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    bias: tuple[int, ...] | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
) -> Windows:
    """Return the windows of a convolution; cached for calls with the same shapes and settings."""
    _check(axes, shape, kernel, bias, groups)
    return windows_of(shape[2:], kernel[2:], stride=stride, padding=padding, dilation=dilation)


def _composed(x: Any, weight: Any, bias: Any, over: Windows, groups: int) -> Any:
    """Compute the convolution by small ops."""
    axes, batch, outputs = len(over.kernel), x.shape[0], weight.shape[0]
    # (N, G, C, *count, *kernel) to rows (N, G, |count|, C * |kernel|), times G weight matrices.
    by_group = _by_group(gathered(x, over), groups, axis=1)
    counts, rest = range(3, 3 + axes), range(3 + axes, 3 + 2 * axes)
    width = by_group.shape[2] * over.elements
    rows = reshape(
        permute_dims(by_group, (0, 1, *counts, 2, *rest)),
        (batch, groups, over.number, width),
    )
    weights = reshape(weight, (groups, outputs // groups, width))
    product = matmul(rows, matrix_transpose(weights))
    out = reshape(matrix_transpose(product), (batch, outputs, *over.count))
    return _with_bias(out, bias, axes)


def _vjp(xp: Any, g: Any, weight: Any, residual: Any, needs: tuple[bool, bool, bool]) -> Any:
    return kernel.backward(xp, g, weight, residual, needs)


def _convolution(axes: int, doc: str) -> Callable[..., Any]:
    """Declare the convolution over this number of spatial axes."""

    def windows(
        x: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
    ) -> Windows:
        # Shapes without a call of a function: small nets spend a third of a layer's time in them.
        return _windows(
            axes,
            getattr(x, "shape", ()),
            getattr(weight, "shape", ()),
            None if bias is None else getattr(bias, "shape", ()),
            *map(hashable, (stride, padding, dilation)),
            groups,
        )

    def composite(
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        over = windows(x, weight, bias, stride, padding, dilation, groups)
        return _composed(x, weight, bias, over, groups)

    def forward_by(compute: Callable[..., Any]) -> Callable[..., Any]:
        def forward(
            xp: Any,
            x: Any,
            weight: Any,
            bias: Any = None,
            *,
            stride: Any = 1,
            padding: Any = 0,
            dilation: Any = 1,
            groups: int = 1,
        ) -> Any:
            over = windows(x, weight, bias, stride, padding, dilation, groups)
            x, weight, bias = of_one_dtype(xp, x, weight, bias)
            return compute(xp, x, weight, bias, windows=over, groups=groups)

        return forward

    return op(
        f"conv{axes}d",
        forward=forward_by(kernel.forward),
        vjp=_vjp,
        words={
            "x": f"conv{axes}dᵀ(g, {{weight}})",
            "weight": f"conv{axes}d({{x}}, g)",
            "bias": "Σ g by channel",
        },
        latex=r"{x} \star {weight} + {bias}",
        composite=composite,
        textbook=Textbook(forward_by(textbook.conv), textbook.conv_backward),
        residual=True,
        doc=doc,
    )


conv1d = _convolution(
    1,
    """Return the cross-correlation of x (N, C_in, L) with weight (C_out, C_in / groups, K), plus
    bias (C_out,).

    The result has shape (N, C_out, (L + 2 padding - dilation (K - 1) - 1) // stride + 1).

    Args:
        stride: the distance from one window to the next.
        padding: the number of zeros added on both sides of x; "valid" is none, "same" keeps the
            length (with a stride of 1).
        dilation: the distance from one element of a window to the next.
        groups: the number of groups that channels are split into, each with its own weights.

    Raises:
        ShapeError: for channels that differ, or a kernel that does not fit.

    Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, w = tg.tensor([[[1.0, 2.0, 3.0]]]), tg.tensor([[[1.0, 1.0]]])
        >>> tg.conv1d(x, w)
        tensor([[[3., 5.]]])
    """,
)

conv2d = _convolution(
    2,
    """Return the cross-correlation of images x (N, C_in, H, W) with weight (C_out, C_in / groups,
    K_H, K_W), plus bias (C_out,).

    The result is (N, C_out, H', W'), with each length as in ``conv1d``. Arguments are those of
    ``conv1d``: one integer for both axes, or a tuple of two.

    Source: LeCun et al., "Gradient-based learning applied to document recognition", 1998.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, w = tg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]]), tg.tensor([[[[1.0, 1.0]]]])
        >>> tg.conv2d(x, w)
        tensor([[[[3.],
                  [7.]]]])
    """,
)


# --- its transpose --------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _windows_behind(
    axes: int,
    shape: tuple[int, ...],
    weight: tuple[int, ...],
    bias: tuple[int, ...] | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    dilation: Any,
    groups: int,
) -> Windows:
    """Return the windows of the convolution whose transpose is computed.

    It has one window for each element of x here, and its input has the size of the result here.
    """
    _check(axes, shape, weight, bias, groups, transposed=True)
    count, kernel = shape[2:], weight[2:]
    steps = per_axis("stride", stride, axes, least=1)
    edges = per_axis("padding", padding, axes, least=0)
    extra = per_axis("output_padding", output_padding, axes, least=0)
    gaps = per_axis("dilation", dilation, axes, least=1)
    size = []
    for axis, n in enumerate(count):
        if extra[axis] >= max(steps[axis], gaps[axis]):
            raise ArgumentError(
                f"expected an output_padding below stride {steps[axis]} or dilation {gaps[axis]}, "
                f"got {extra[axis]}: no window would reach the rest."
            )
        reach = (n - 1) * steps[axis] + gaps[axis] * (kernel[axis] - 1) + 1
        size.append(reach - 2 * edges[axis] + extra[axis])
        if size[axis] < 1:
            raise ShapeError(
                f"a padding of {edges[axis]} cuts off all {reach} steps that {n} windows of "
                f"{kernel[axis]} cover (spatial axis {axis})."
            )
    return Windows(tuple(size), kernel, steps, gaps, tuple((p, p) for p in edges), count)


def _transposed_composed(x: Any, weight: Any, bias: Any, over: Windows, groups: int) -> Any:
    """Compute the transposed convolution by small ops."""
    axes, channels = len(over.kernel), weight.shape[1]
    batch, inputs, *count = x.shape
    # Rows (N, G, |count|, inputs) times G weights make windows (N, G, |count|, C * |kernel|).
    rows = matrix_transpose(reshape(x, (batch, groups, inputs // groups, over.number)))
    weights = reshape(weight, (groups, inputs // groups, channels * over.elements))
    parts = (batch, groups, *count, channels, *over.kernel)
    product = reshape(matmul(rows, weights), parts)
    counts, rest = range(2, 2 + axes), range(3 + axes, 3 + 2 * axes)
    by_channel = permute_dims(product, (0, 1, 2 + axes, *counts, *rest))
    values = reshape(by_channel, (batch, groups * channels, *count, *over.kernel))
    full = (batch, groups * channels, *over.padded)
    key = (slice(None), slice(None), *(ARRAY,) * axes)
    whole = put(values, *places(over, x), key=key, shape=full)
    return _with_bias(getitem(whole, (..., *over.inside)), bias, axes)


def _transposed_vjp(
    xp: Any,
    g: Any,
    x: Any,
    weight: Any,
    residual: Windows,
    groups: int,
    needs: tuple[bool, bool, bool],
) -> Any:
    x, weight = of_one_dtype(xp, x, weight)
    return kernel.transposed_backward(
        xp, g, x, weight, windows=residual, groups=groups, needs=needs
    )


def _transposed_convolution(axes: int, doc: str) -> Callable[..., Any]:
    """Declare the transposed convolution over this number of spatial axes."""

    def windows(x: Any, weight: Any, bias: Any, *settings: Any, groups: int) -> Windows:
        return _windows_behind(
            axes,
            getattr(x, "shape", ()),
            getattr(weight, "shape", ()),
            None if bias is None else getattr(bias, "shape", ()),
            *map(hashable, settings),
            groups,
        )

    def composite(
        x: Any,
        weight: Any,
        bias: Any = None,
        *,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        dilation: Any = 1,
    ) -> Any:
        settings = (stride, padding, output_padding, dilation)
        over = windows(x, weight, bias, *settings, groups=groups)
        return _transposed_composed(x, weight, bias, over, groups)

    def forward_by(compute: Callable[..., Any]) -> Callable[..., Any]:
        def forward(
            xp: Any,
            x: Any,
            weight: Any,
            bias: Any = None,
            *,
            stride: Any = 1,
            padding: Any = 0,
            output_padding: Any = 0,
            groups: int = 1,
            dilation: Any = 1,
        ) -> Any:
            settings = (stride, padding, output_padding, dilation)
            over = windows(x, weight, bias, *settings, groups=groups)
            x, weight, bias = of_one_dtype(xp, x, weight, bias)
            out = compute(xp, x, weight, bias, windows=over, groups=groups)
            return out, over

        return forward

    return op(
        f"conv_transpose{axes}d",
        f"conv{axes}dᵀ",
        forward=forward_by(kernel.transposed_forward),
        vjp=_transposed_vjp,
        words={
            "x": f"conv{axes}d(g, {{weight}})",
            "weight": f"conv{axes}d(g, {{x}})",
            "bias": "Σ g by channel",
        },
        latex=r"{x} \star^T {weight} + {bias}",
        composite=composite,
        textbook=Textbook(forward_by(textbook.conv_transpose), textbook.conv_transpose_backward),
        residual=True,
        doc=doc,
    )


conv_transpose1d = _transposed_convolution(
    1,
    """Return the transpose of ``conv1d``, which spreads x (N, C_in, L) over a longer result.

    Every element of x adds the weights (C_in, C_out / groups, K), times itself, to a window of
    the result, plus bias (C_out,): this is the gradient of ``conv1d`` with respect to its input.
    The result has shape (N, C_out, (L - 1) stride - 2 padding + dilation (K - 1) + output_padding +
    1).

    Args:
        stride, padding, dilation, groups: those of the convolution that this is the transpose of.
        output_padding: how much longer the result is; with a stride, inputs of several lengths
            have a convolution of the shape of x.

    Source: Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", 2016,
    chapter 4.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, w = tg.tensor([[[1.0, 10.0]]]), tg.tensor([[[1.0, 2.0, 3.0]]])
        >>> tg.conv_transpose1d(x, w)
        tensor([[[ 1., 12., 23., 30.]]])
    """,
)

conv_transpose2d = _transposed_convolution(
    2,
    """Return the transpose of ``conv2d``.

    Shapes are x (N, C_in, H, W) and weight (C_in, C_out / groups, K_H, K_W). Both axes are as in
    ``conv_transpose1d``; arguments are one integer for both, or a tuple of two.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, w = tg.tensor([[[[1.0, 10.0]]]]), tg.tensor([[[[1.0], [2.0]]]])
        >>> tg.conv_transpose2d(x, w)
        tensor([[[[ 1., 10.],
                  [ 2., 20.]]]])
    """,
)
