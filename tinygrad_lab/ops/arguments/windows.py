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

__all__ = ["gathered", "hashable", "padded", "per_axis", "places", "windows_of"]


def windows_of(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    *,
    stride: Any,
    padding: Any,
    dilation: Any,
) -> Windows:
    """Return the windows of a kernel over lengths ``size``, as many as fit.

    Raises:
        ArgumentError, ArgumentTypeError: for invalid settings.
        ShapeError: for a kernel that does not fit.
    """
    return _windows_of(size, kernel, *map(hashable, (stride, padding, dilation)))


def hashable(setting: Any) -> Any:
    """Return a setting with a list turned into a tuple."""
    return tuple(setting) if isinstance(setting, list) else setting


@lru_cache(maxsize=1024)
def _windows_of(
    size: tuple[int, ...], kernel: tuple[int, ...], stride: Any, padding: Any, dilation: Any
) -> Windows:
    axes = len(size)
    steps = per_axis("stride", stride, axes, least=1)
    gaps = per_axis("dilation", dilation, axes, least=1)
    reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, gaps, strict=True))
    edges = _edges(padding, reach, steps)
    counts = []
    for axis, (n, k, span) in enumerate(zip(size, kernel, reach, strict=True)):
        room = n + sum(edges[axis])
        if room < span:
            spread = "" if gaps[axis] == 1 else f" with dilation {gaps[axis]}"
            raise ShapeError(
                f"a kernel of {k}{spread} does not fit into a length of {n} with padding "
                f"{edges[axis][0]} (spatial axis {axis})."
            )
        counts.append((room - span) // steps[axis] + 1)
    return Windows(size, kernel, steps, gaps, edges, tuple(counts))


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
            f"expected a {name} for each of {axes} spatial axes, or one for all; got "
            f"{excerpt(value)}."
        )
    if min(values) < least:
        raise ArgumentError(f"expected a {name} of {least} or more, got {excerpt(value)}.")
    return tuple(map(int, values))


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _edges(
    padding: Any, reach: tuple[int, ...], stride: tuple[int, ...]
) -> tuple[tuple[int, int], ...]:
    """Return how much a padding adds before and after, along each axis."""
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
