"""Windows that slide over the spatial axes of an array, for convolution and pooling.

In one dimension, window i of kernel K, stride s and dilation d has the elements i s, i s + d, …,
i s + (K - 1) d of the padded array. In several dimensions, it is the same along each axis.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from math import prod
from typing import Any

import numpy

from . import Array, Namespace

__all__ = ["Windows", "channels_first", "channels_last", "columns", "pad", "view"]


@dataclass(frozen=True, eq=False)
class Windows:
    """The layout of windows; every field has one entry for each spatial axis.

    Derived values are cached: a small convolution takes no longer than making a dozen tuples.
    """

    size: tuple[int, ...]
    """The lengths of the array, without its padding."""
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    """How much is added before and after."""
    count: tuple[int, ...]
    """How many windows there are."""

    @cached_property
    def padded(self) -> tuple[int, ...]:
        """The lengths of the array with its padding."""
        return tuple(n + sum(edges) for n, edges in zip(self.size, self.padding, strict=True))

    @cached_property
    def inside(self) -> tuple[slice, ...]:
        """The place of the array in its padding."""
        starts = (before for before, _ in self.padding)
        return tuple(slice(b, b + n) for b, n in zip(starts, self.size, strict=True))

    @cached_property
    def margins(self) -> tuple[tuple[slice, ...], ...]:
        """The parts of the padding: before and after each axis, within the axes before it."""
        return tuple(
            (*self.inside[:axis], margin)
            for axis, place in enumerate(self.inside)
            for margin in (slice(place.start), slice(place.stop, None))
            if any(self.padding[axis])
        )

    @cached_property
    def elements(self) -> int:
        """The number of elements of a window."""
        return prod(self.kernel)

    @cached_property
    def number(self) -> int:
        """The total number of windows."""
        return prod(self.count)

    @cached_property
    def first_inside(self) -> numpy.ndarray[Any, Any]:
        """For each window (*count), the number of its first element that is not padding."""
        ends = [tuple(place.stop for place in self.inside), tuple(p.start for p in self.inside)]
        first = numpy.zeros(self.count, dtype=numpy.uint8 if self.elements <= 256 else numpy.int32)
        for number, tap in reversed(list(enumerate(self.taps))):
            inside = numpy.ones((), dtype=bool)
            for steps, stop, start in zip(tap, *ends, strict=True):
                positions = numpy.arange(steps.start, steps.stop, steps.step)
                inside = inside[..., None] & (start <= positions) & (positions < stop)
            first[inside] = number
        return first

    @cached_property
    def overlap(self) -> bool:
        """Whether two windows may share an element."""
        spans = (d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))
        return any(span > step for span, step in zip(spans, self.stride, strict=True))

    @cached_property
    def taps(self) -> tuple[tuple[slice, ...], ...]:
        """For each element of a window, its places in the padded array, for all windows."""
        steps = list(zip(self.dilation, self.stride, self.count, strict=True))
        return tuple(
            tuple(
                slice(k * d, k * d + (n - 1) * s + 1, s)
                for k, (d, s, n) in zip(place, steps, strict=True)
            )
            for place in product(*map(range, self.kernel))
        )


def channels_last(x: Array) -> Array:
    """Return (N, C, *S) seen as (N, *S, C)."""
    return x.transpose(_LAST[x.ndim])


def channels_first(x: Array) -> Array:
    """Return (N, *S, C) seen as (N, C, *S)."""
    return x.transpose(_FIRST[x.ndim])


_LAST = {n: (0, *range(2, n), 1) for n in range(3, 6)}
_FIRST = {n: (0, n - 1, *range(1, n - 1)) for n in range(3, 6)}


def pad(xp: Namespace, x: Array, windows: Windows) -> Array:
    """Return (N, *size, C) with zeros before and after along each spatial axis, contiguous."""
    if not windows.margins:
        return xp.ascontiguousarray(x)
    padded = xp.empty((x.shape[0], *windows.padded, x.shape[-1]), dtype=x.dtype)
    for margin in windows.margins:
        padded[(slice(None), *margin)] = 0
    padded[(slice(None), *windows.inside)] = x
    return padded


def view(xp: Namespace, padded: Array, windows: Windows, groups: int = 1) -> Array:
    """Return all windows of a padded, contiguous array (N, *S, C): a read-only view.

    Its shape is (groups, N, *count, *kernel, C / groups).
    """
    shape, strides = _layout(windows, padded.shape, padded.strides, groups)
    if isinstance(padded, numpy.ndarray):
        # NumPy's as_strided is written in Python: 9 µs against 1, five times per step.
        return numpy.ndarray(shape, padded.dtype, padded, 0, strides)
    return xp.lib.stride_tricks.as_strided(padded, shape=shape, strides=strides)


@lru_cache(maxsize=1024)
def _layout(
    windows: Windows, shape: tuple[int, ...], strides: tuple[int, ...], groups: int
) -> tuple[Any, Any]:
    """Return the shape and strides of the view of all windows."""
    along_batch, *along, along_channels = strides
    channels = shape[-1] // groups
    return (groups, shape[0], *windows.count, *windows.kernel, channels), (
        channels * along_channels,
        along_batch,
        *(a * s for a, s in zip(along, windows.stride, strict=True)),
        *(a * d for a, d in zip(along, windows.dilation, strict=True)),
        along_channels,
    )


def columns(xp: Namespace, gathered: Array, windows: Windows, *, ones: bool = False) -> Array:
    """Copy windows (G, N, *count, *kernel, C) into rows (G, N * |count|, |kernel| * C).

    With ``ones``, every row ends with a one. The cost of the copy is that of its contiguous runs.
    Where a window is shorter along the last axis than the number of windows (few channels, as in a
    first layer), runs along the windows are fewer: the matrix is then transposed in memory, and
    the copy of 1,900 windows of 5 takes 40 µs instead of 61.
    """
    groups, batch, channels = gathered.shape[0], gathered.shape[1], gathered.shape[-1]
    rows, width = batch * windows.number, windows.elements * channels
    if windows.kernel[-1] * channels < windows.count[-1]:
        gathered = gathered.transpose(_WINDOWS_LAST[len(windows.count)])
        side_by_side = xp.empty((groups, width + ones, rows), dtype=gathered.dtype)
        side_by_side[:, :width].reshape(gathered.shape)[...] = gathered
        if ones:
            side_by_side[:, width] = 1
        return side_by_side.transpose(0, 2, 1)
    side_by_side = xp.empty((groups, rows, width + ones), dtype=gathered.dtype)
    side_by_side[:, :, :width].reshape(gathered.shape)[...] = gathered
    if ones:
        side_by_side[:, :, width] = 1
    return side_by_side


_WINDOWS_LAST = {n: (0, *range(n + 2, 2 * n + 3), *range(1, n + 2)) for n in range(1, 4)}
"""From (G, N, *count, *kernel, C) to (G, *kernel, C, N, *count), by the number of spatial axes."""
