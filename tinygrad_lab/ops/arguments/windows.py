"""Windows on the spatial axes of a tensor, from the settings that users give; windows as tensors.

Convolution and pooling take the same settings, PyTorch's: one integer for all spatial axes, or a
tuple with one for each.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError, excerpt
from tinygrad_lab.ops.conversion import zeros_like
from tinygrad_lab.ops.indexing import array_like, getitem
from tinygrad_lab.ops.kernels.windows import Windows
from tinygrad_lab.ops.shape import broadcast_to, concat

__all__ = [
    "check_divisor",
    "check_padding",
    "counts_over",
    "gathered",
    "hashable",
    "margins",
    "padded",
    "per_axis",
    "places",
    "pool_windows",
    "shares",
    "windows_of",
]


def windows_of(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    *,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool = False,
) -> Windows:
    """Return the windows of a kernel over lengths ``size``, as many as fit.

    With ``ceil_mode``, a last window may reach beyond the padding, if it starts before the end of
    the lengths: the padding at the end is then what it needs.

    Raises:
        ArgumentError, ArgumentTypeError: for invalid settings.
        ShapeError: for a kernel that does not fit.
    """
    return _windows_of(size, kernel, *map(hashable, (stride, padding, dilation)), ceil_mode)


def hashable(setting: Any) -> Any:
    """Return a setting with a list turned into a tuple: a key of caches.

    Raises:
        ArgumentTypeError: for what cannot be one, such as an array.
    """
    if isinstance(setting, int):
        return setting
    setting = tuple(setting) if isinstance(setting, list) else setting
    try:
        hash(setting)
    except TypeError:
        reason = f"expected an integer, or a tuple of integers; got {excerpt(setting)}."
        raise ArgumentTypeError(reason) from None
    return setting


@lru_cache(maxsize=1024)
def _windows_of(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> Windows:
    axes = len(size)
    steps = per_axis("stride", stride, axes, least=1)
    gaps = per_axis("dilation", dilation, axes, least=1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, gaps, strict=True))
    edges, counts = list(margins(padding, reach, steps)), []
    for axis, (n, step, span) in enumerate(zip(size, steps, reach, strict=True)):
        before, after = edges[axis]
        room = n + before + after - span
        count = room // step + 1
        if ceil_mode:
            count = min(-(-room // step) + 1, (n + before - 1) // step + 1)
            edges[axis] = before, max(after, (count - 1) * step + span - n - before)
        if count < 1:
            spread = "" if gaps[axis] == 1 else f" with dilation {gaps[axis]}"
            raise ShapeError(
                f"a kernel of {kernel[axis]}{spread} does not fit into a length of {n} with "
                f"padding {before} (spatial axis {axis})."
            )
        counts.append(count)
    return Windows(size, kernel, steps, gaps, tuple(edges), tuple(counts))


def per_axis(name: str, value: Any, axes: int, *, least: int) -> tuple[int, ...]:
    """Return a setting as one integer for each spatial axis.

    Raises:
        ArgumentError, ArgumentTypeError: for anything else, or less than ``least``.
    """
    values = (value,) * axes if _is_integer(value) else value
    if not isinstance(values, tuple | list) or not all(map(_is_integer, values)):
        raise ArgumentTypeError(
            f"expected an integer for {name}, or a tuple of {axes}; got {excerpt(value)}."
        )
    if len(values) != axes:
        raise ArgumentError(
            f"expected {_a(name)} for each of {axes} spatial axes, or one for all; got "
            f"{excerpt(value)}."
        )
    if min(values) < least:
        raise ArgumentError(f"expected {_a(name)} of {least} or more, got {excerpt(value)}.")
    return tuple(map(int, values))


def _a(name: str) -> str:
    return f"an {name}" if name[:1] in "aeiou" else f"a {name}"


@lru_cache(maxsize=1024, typed=True)
def pool_windows(
    lengths: tuple[int, ...],
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
) -> Windows:
    """Return the windows of a pooling; without a stride, they lie side by side.

    Raises:
        ArgumentError, ArgumentTypeError: for invalid settings.
        ShapeError: for a kernel that does not fit.
    """
    axes = len(lengths)
    kernel = per_axis("kernel_size", kernel_size, axes, least=1)
    edges = per_axis("padding", padding, axes, least=0)
    gaps = per_axis("dilation", dilation, axes, least=1)
    check_padding(kernel, edges, gaps)
    return windows_of(
        lengths,
        kernel,
        stride=kernel if stride is None else stride,
        padding=edges,
        dilation=gaps,
        ceil_mode=ceil_mode,
    )


def check_padding(
    kernel: tuple[int, ...], padding: tuple[int, ...], dilation: tuple[int, ...]
) -> None:
    """Raise if a pooling has more padding than half of what its windows cover."""
    for axis, (k, edge, gap) in enumerate(zip(kernel, padding, dilation, strict=True)):
        span = gap * (k - 1) + 1
        if edge > span // 2:
            spread = "" if gap == 1 else f" with dilation {gap}, which covers {span}"
            raise ArgumentError(
                f"expected a padding of at most half the kernel, got {edge} for a kernel of "
                f"{k}{spread} (spatial axis {axis}): windows of padding alone have nothing to pool."
            )


def check_divisor(name: str, divisor: Any) -> None:
    """Raise if means cannot be divided by a number given in place of their count."""
    if not _is_integer(divisor) or divisor == 0:
        raise ArgumentError(
            f"{name}: expected an integer other than 0 as divisor_override, got {excerpt(divisor)}."
        )


def counts_over(lengths: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
    """Return the number of windows along each axis; None stands for as many as elements."""
    several = isinstance(output_size, tuple | list) and len(output_size) == len(lengths)
    sizes = tuple(output_size) if several else (output_size,) * len(lengths)
    if any(size is None for size in sizes):
        pairs = zip(lengths, sizes, strict=True)
        output_size = tuple(n if size is None else size for n, size in pairs)
    return per_axis("output_size", output_size, len(lengths), least=1)


def shares(length: int, count: int) -> tuple[Any, Any]:
    """Return where each of ``count`` windows that cover a length starts and stops, as PyTorch's.

    The starts are rounded down and the stops up, so windows overlap where there is a rest.
    """
    numbers = np.arange(count)
    return numbers * length // count, -(-(numbers + 1) * length // count)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def margins(
    padding: Any, reach: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return how much a padding adds before and after, along each axis.

    Args:
        padding: integers, "valid" or "same".
        reach: the length that a window covers, along each axis.
        stride: the steps from one window to the next; 1 for "same".
    """
    if not isinstance(padding, str):
        both = per_axis("padding", padding, len(reach), least=0)
        return tuple((edge, edge) for edge in both)
    if padding == "valid":
        return ((0, 0),) * len(reach)
    if padding != "same":
        raise ArgumentError(
            f"expected a padding of 'same', 'valid' or integers, got {excerpt(padding)}."
        )
    if any(step != 1 for step in stride):
        raise ArgumentError(
            f"padding='same' keeps the lengths, which a stride of {stride} would change: give the "
            "padding as integers, or leave out the stride."
        )
    # An odd total puts one more at the end, as in PyTorch.
    return tuple(((n - 1) // 2, n // 2) for n in reach)


# --- windows as tensors: what the kernels do, in small ops ----------------------------------------


def padded(x: Any, windows: Windows, value: float = 0.0) -> Any:
    """Pad x (..., *size) with a number before and after along its spatial axes."""
    first = x.ndim - len(windows.size)
    for axis, (before, after) in enumerate(windows.padding, start=first):
        parts = [_margin(x, axis, before, value), x, _margin(x, axis, after, value)]
        kept = [part for part in parts if part is not None]
        x = concat(kept, axis=axis) if len(kept) > 1 else x
    return x


def _margin(x: Any, axis: int, width: int, value: float) -> Any:
    """Return a slab filled with one number, to be joined to x; None if it has no width."""
    if width == 0:
        return None
    slab = zeros_like(getitem(x, (*(slice(None),) * axis, slice(1))))
    shape = tuple(width if a == axis else n for a, n in enumerate(x.shape))
    return broadcast_to(slab + value if value else slab, shape=shape)


def places(windows: Windows, x: Any) -> list[Any]:
    """Return, for each spatial axis, the positions of all window elements in the padded array.

    Used together as indices, they give an array (*count, *kernel).
    """
    axes = len(windows.kernel)
    indices = []
    for axis in range(axes):
        starts = np.arange(windows.count[axis]) * windows.stride[axis]
        steps = np.arange(windows.kernel[axis]) * windows.dilation[axis]
        shape = [1] * (2 * axes)
        shape[axis], shape[axes + axis] = windows.count[axis], windows.kernel[axis]
        indices.append(array_like(x, np.reshape(starts[:, None] + steps, tuple(shape))))
    return indices


def gathered(x: Any, windows: Windows, value: float = 0.0) -> Any:
    """Gather all windows of x (..., *size): (..., *count, *kernel)."""
    return getitem(padded(x, windows, value), (..., *places(windows, x)))
