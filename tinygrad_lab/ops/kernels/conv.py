"""Cross-correlation in any number of dimensions (PyTorch's ``conv1d``, ``conv2d``), and its
transpose.

With channels last in memory, a row of a kernel's window is one contiguous run of ``K * C_in``
numbers, so gathering windows is a strided copy, and the convolution one matrix product (im2col:
Chellapilla, Puri and Simard, 2006). A column of ones next to the windows adds the bias in the same
product, and gives its gradient in the product for the weights' gradient: 10 µs instead of 23 + 19
on 1,000 windows.

A convolution is linear in x and in the weights, so there are three products, each a gradient of
the others: ``product`` (x with weights), ``transposed`` (an output with weights: the gradient of
x, and what a transposed convolution computes) and ``weight_gradient`` (x with an output).

Shapes are PyTorch's, (N, C, *S); results are (N, *S, C) in memory, so that the input of the next
convolution is channels-last. Inputs may have any memory order. With groups, each group of channels
has its own product, along a first axis of the matrices.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

from tinygrad_lab.backends.dtypes import is_half

from . import Array, Namespace
from .linear import sum_rows
from .windows import Windows, channels_first, channels_last, columns, pad, view

__all__ = [
    "Residual",
    "backward",
    "forward",
    "transposed_backward",
    "transposed_forward",
]

Gradients = tuple[Array | None, Array | None, Array | None]
"""Of x, weight and bias; None for what is not needed."""


class Residual(NamedTuple):
    """What backward needs besides the weights."""

    rows: Array
    """The windows, (G, N * |count|, |K| * C_in / G), and with a bias a column of ones."""
    windows: Windows
    groups: int


def forward(
    xp: Namespace,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    windows: Windows,
    groups: int,
) -> tuple[Array, Residual]:
    """Return the convolution and the residual.

    Shapes: ``x`` (N, C_in, *S), ``weight`` (C_out, C_in / groups, *K), ``bias`` (C_out,) or None;
    result (N, C_out, *count).
    """
    padded = pad(xp, channels_last(x), windows)
    rows = columns(xp, view(xp, padded, windows, groups), windows, ones=bias is not None)
    out = product(xp, rows, weight, bias, groups)
    out = out.reshape(x.shape[0], *windows.count, weight.shape[0])
    return channels_first(out), Residual(rows, windows, groups)


def backward(
    xp: Namespace,
    g: Array,
    weight: Array,
    residual: Residual,
    needs: Sequence[bool] = (True, True, True),
) -> Gradients:
    """Return the gradients of ``x``, ``weight`` and ``bias``. ``g`` is (N, C_out, *count).

    Those of weight and bias are views of one new buffer that nothing else refers to.
    """
    rows, windows, groups = residual
    g = xp.ascontiguousarray(channels_last(g))
    dx = dweight = dbias = None
    # The gradients that read the windows come first: a compiled step then reuses that memory.
    if needs[1] or needs[2]:
        d_weights = weight_gradient(xp, rows, g, groups)
        width = prod(weight.shape[1:])
        if needs[1]:
            dweight = _as_weight(d_weights[:, :width], weight.shape)
        if needs[2] and d_weights.shape[1] > width:
            dbias = d_weights[:, width]
    if needs[0]:
        dx = channels_first(transposed(xp, g, weight, windows, groups))
    return dx, dweight, dbias


def transposed_forward(
    xp: Namespace,
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    windows: Windows,
    groups: int,
) -> Array:
    """Return the transposed convolution: the gradient of the input of a convolution.

    ``windows`` are those of that convolution, whose output has the shape of ``x``, (N, C_in,
    *count), and its input that of the result, (N, C_out, *size); ``weight`` is (C_in, C_out /
    groups, *K), ``bias`` (C_out,) or None.
    """
    if is_half(x.dtype):
        wide = [None if one is None else xp.astype(one, xp.float32) for one in (x, weight, bias)]
        out = transposed_forward(xp, *wide, windows=windows, groups=groups)
        return xp.astype(out, x.dtype)
    g = xp.ascontiguousarray(channels_last(x))
    out = transposed(xp, g, weight, windows, groups)
    if bias is not None:
        out += bias
    return channels_first(out)


def transposed_backward(
    xp: Namespace,
    g: Array,
    x: Array,
    weight: Array,
    *,
    windows: Windows,
    groups: int,
    needs: Sequence[bool] = (True, True, True),
) -> Gradients:
    """Return the gradients of ``transposed_forward``. ``g`` is (N, C_out, *size)."""
    dx = dweight = dbias = None
    if needs[0] or needs[1]:
        dx, (rows, *_) = forward(xp, g, weight, None, windows=windows, groups=groups)
        if needs[1]:
            outputs = xp.ascontiguousarray(channels_last(x))
            dweight = _as_weight(weight_gradient(xp, rows, outputs, groups), weight.shape)
    if needs[2]:
        dbias = sum_rows(xp, channels_last(g).reshape(-1, g.shape[1]))
    return dx if needs[0] else None, dweight, dbias


# --- the three products ---------------------------------------------------------------------------


def product(xp: Namespace, rows: Array, weight: Array, bias: Array | None, groups: int) -> Array:
    """Return windows (G, R, |K| * C) times weights, plus the bias: (R, outputs)."""
    outputs, channels, *kernel = weight.shape
    width = prod(kernel) * channels
    weights = xp.empty((groups, width + (bias is not None), outputs // groups), dtype=rows.dtype)
    by_group = weight.reshape(groups, outputs // groups, channels, *kernel)
    by_window = by_group.transpose(_WINDOW_FIRST[weight.ndim])
    weights[:, :width].reshape(by_window.shape)[...] = by_window
    if bias is not None:
        weights[:, width] = bias.reshape(groups, -1)
    return _multiplied(xp, rows, weights)


_WINDOW_FIRST = {n: (0, *range(3, n + 1), 2, 1) for n in range(3, 6)}
"""From (G, outputs, C, *K) to (G, *K, C, outputs), by the number of axes of the weights."""


def weight_gradient(xp: Namespace, rows: Array, g: Array, groups: int) -> Array:
    """Return the gradient of the weights, (outputs, |K| * C), in the order of the windows.

    ``rows`` are the windows, (G, R, |K| * C), ``g`` the gradient of the output, (N, *count,
    outputs), contiguous.
    """
    outputs = g.shape[-1]
    g = g.reshape(rows.shape[1], outputs)
    if groups == 1:
        return g.T @ rows[0]
    return (_by_group(g, groups).transpose(0, 2, 1) @ rows).reshape(outputs, rows.shape[2])


def transposed(xp: Namespace, g: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Return the gradient of the input of a convolution, (N, *size, C).

    Shapes: ``g`` (N, *count, outputs), contiguous; ``weight`` (outputs, C / groups, *K). Taps of
    float16 are added up in float32, and rounded once.
    """
    if is_half(g.dtype):
        wide = (xp.astype(g, xp.float32), xp.astype(weight, xp.float32))
        return xp.astype(transposed(xp, *wide, windows, groups), g.dtype)
    over = _blocks(windows).over
    gathered = over.number * over.elements * weight.shape[0]
    written = 2 * windows.number * windows.elements * weight.shape[1] * groups
    algorithm = _by_taps if written < gathered else _by_blocks
    return algorithm(xp, g, weight, windows, groups)


def _by_taps(xp: Namespace, g: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Compute ``transposed`` with one product for each kernel element, added at its tap.

    This is the faster algorithm from many outputs to few channels: with kernel 3 and stride 1, a
    quarter of the time of ``_by_blocks`` from 16 to 1, half from 32 to 16; from 25 to 25, a third
    more.
    """
    outputs, channels = weight.shape[:2]
    by_tap = channels_last(weight).reshape(groups, outputs // groups, windows.elements, channels)
    matrices = xp.ascontiguousarray(by_tap.transpose(2, 0, 1, 3))
    rows = _by_group(g.reshape(-1, outputs), groups)
    whole = xp.zeros((g.shape[0], *windows.padded, groups * channels), dtype=g.dtype)
    for matrix, tap in zip(matrices, windows.taps, strict=True):
        part = _multiplied(xp, rows, matrix)
        whole[(slice(None), *tap)] += part.reshape(*g.shape[:-1], groups * channels)
    return whole[(slice(None), *windows.inside)]


def _by_blocks(xp: Namespace, g: Array, weight: Array, windows: Windows, groups: int) -> Array:
    """Compute ``transposed`` with one product, itself a convolution of ``g``.

    Along each axis, cut the input into blocks of ``stride`` steps, and the kernel into ``taps``
    such blocks. Window i starts with block i, so block j gets its gradient from the windows j -
    taps + 1 … j: a convolution of ``g`` with stride 1 over the kernel's blocks in reverse order.
    """
    outputs, channels, *kernel = weight.shape
    blocks = _blocks(windows)
    each = outputs // groups
    by_group = weight.reshape(groups, each, channels, *kernel)
    whole = xp.zeros((groups, *blocks.whole, each, channels), dtype=g.dtype)
    whole[blocks.places] = by_group.transpose(_KERNEL_FIRST[weight.ndim])
    cut = whole.reshape(groups, *blocks.cut, each, channels)[blocks.reverse]
    weights = cut.transpose(blocks.taps_first).reshape(groups, -1, prod(windows.stride) * channels)

    padded = pad(xp, g, blocks.over)
    rows = columns(xp, view(xp, padded, blocks.over, groups), blocks.over)
    out = _multiplied(xp, rows, weights)
    steps = out.reshape(g.shape[0], *blocks.over.count, groups, *windows.stride, channels)
    steps = steps.transpose(blocks.joined)
    return steps.reshape(g.shape[0], *blocks.lengths, groups * channels)[blocks.inside]


_KERNEL_FIRST = {n: (0, *range(3, n + 1), 1, 2) for n in range(3, 6)}
"""From (G, outputs, C, *K) to (G, *K, outputs, C), by the number of axes of the weights."""


class Blocks(NamedTuple):
    """How ``_by_blocks`` cuts input and kernel: axes and sizes, computed once."""

    over: Windows
    """The windows over ``g``: for each block of the input, the outputs that contribute to it."""
    whole: tuple[int, ...]
    """The lengths of the kernel, padded with zeros to whole blocks."""
    places: tuple[Any, ...]
    """Where the kernel's elements are in ``whole``."""
    cut: tuple[int, ...]
    """``taps``, ``stride`` of each axis, in turn."""
    reverse: tuple[slice, ...]
    """Reverses the taps of (G, *cut, outputs, C)."""
    taps_first: tuple[int, ...]
    """From there to (G, *taps, outputs, *stride, C)."""
    joined: tuple[int, ...]
    """From (N, *blocks, G, *stride, C) to (N, *(blocks, stride), G, C)."""
    lengths: tuple[int, ...]
    """The lengths of all blocks in a row."""
    inside: tuple[slice, ...]
    """The input without its padding."""


@lru_cache(maxsize=1024)
def _blocks(windows: Windows) -> Blocks:
    axes = range(len(windows.stride))
    # With stride 1, blocks are single steps and the dilation remains; otherwise the kernel's gaps
    # are filled with zeros.
    gaps = [1 if s == 1 else d for s, d in zip(windows.stride, windows.dilation, strict=True)]
    spacing = [d if s == 1 else 1 for s, d in zip(windows.stride, windows.dilation, strict=True)]
    filled = [d * (k - 1) + 1 for k, d in zip(windows.kernel, gaps, strict=True)]
    taps = [-(-n // s) for n, s in zip(filled, windows.stride, strict=True)]
    # For the first block, all taps except one lie before the start of g.
    before = [d * (t - 1) for t, d in zip(taps, spacing, strict=True)]
    reached = [n + edge for n, edge in zip(windows.count, before, strict=True)]
    needed = [-(-one.stop // s) for one, s in zip(windows.inside, windows.stride, strict=True)]
    count = list(map(max, reached, needed))
    after = [total - n for total, n in zip(count, windows.count, strict=True)]
    return Blocks(
        over=Windows(
            size=windows.count,
            kernel=tuple(taps),
            stride=(1,) * len(axes),
            dilation=tuple(spacing),
            padding=tuple(zip(before, after, strict=True)),
            count=tuple(count),
        ),
        whole=tuple(t * s for t, s in zip(taps, windows.stride, strict=True)),
        places=(slice(None), *(slice(0, n, d) for n, d in zip(filled, gaps, strict=True))),
        cut=tuple(n for pair in zip(taps, windows.stride, strict=True) for n in pair),
        reverse=(slice(None), *(slice(None, None, -1), slice(None)) * len(axes)),
        taps_first=(
            0,
            *(1 + 2 * i for i in axes),
            1 + 2 * len(axes),
            *(2 + 2 * i for i in axes),
            2 + 2 * len(axes),
        ),
        joined=(
            0,
            *(axis for i in axes for axis in (1 + i, 2 + len(axes) + i)),
            1 + len(axes),
            2 + 2 * len(axes),
        ),
        lengths=tuple(n * s for n, s in zip(count, windows.stride, strict=True)),
        inside=(slice(None), *windows.inside),
    )


def _multiplied(xp: Namespace, rows: Array, matrices: Array) -> Array:
    """Return rows (G, R, W) times matrices (G, W, C): (R, G * C)."""
    groups, width = len(rows), matrices.shape[2]
    if groups == 1:
        return rows[0] @ matrices[0]
    out = xp.empty((rows.shape[1], groups * width), dtype=rows.dtype)
    xp.matmul(rows, matrices, out=_by_group(out, groups))
    return out


def _by_group(matrix: Array, groups: int) -> Array:
    """Return (R, G * C) seen as (G, R, C)."""
    if groups == 1:
        return matrix[None]
    rows, width = matrix.shape
    return matrix.reshape(rows, groups, width // groups).transpose(1, 0, 2)


def _as_weight(d_matrix: Array, shape: tuple[int, ...]) -> Array:
    """Return (outputs, |K| * C) as (outputs, C, *K), a view."""
    return channels_first(d_matrix.reshape(shape[0], *shape[2:], shape[1]))
