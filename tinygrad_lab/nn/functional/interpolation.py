"""Resizing: values between those of x, along one spatial axis after the other."""

from __future__ import annotations

from math import floor, isfinite
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import shapes_of
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.composed import composed, named
from tinygrad_lab.ops.arguments.windows import per_axis
from tinygrad_lab.ops.indexing import array_like, getitem

__all__ = ["check_mode", "check_scale", "interpolate"]

_AXES = {
    "nearest": (1, 2),
    "nearest-exact": (1, 2),
    "area": (1, 2),
    "linear": (1,),
    "bilinear": (2,),
    "bicubic": (2,),
}
"""For each mode, the numbers of spatial axes that it is for."""
_BETWEEN = ("linear", "bilinear", "bicubic")
_SHARPNESS = -0.75
"""Of cubic convolution, Keys' a; -0.75 is PyTorch's choice."""


class _Axis(NamedTuple):
    """How one axis is resized."""

    before: int
    after: int
    scale: float | None
    """After by before, as the user gave it; None if it follows from the two lengths."""


@composed(rounds_once=True)
def interpolate(
    x: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """Return x (N, C, L) or images (N, C, H, W) in another size.

    Element i of the result stands at (i + 1/2) times the old length over the new one, minus 1/2,
    in x: at the same place, if elements are thought of as squares side by side.

    Args:
        x: a tensor of floating-point numbers.
        size: the new lengths: one integer for all axes, or a tuple.
        scale_factor: in place of ``size``, what multiplies the old lengths; the new ones are
            rounded down.
        mode: "nearest" (the element in whose square the left edge of the new one lies; the middle:
            "nearest-exact"), "linear" between two elements, "bilinear" and "bicubic" for images, or
            "area" (means, ``tg.adaptive_avg_pool1d``).
        align_corners: for linear, bilinear and bicubic, whether the middles of the first and of
            the last elements coincide, before and after. Elements then stand at i times (old
            length - 1) / (new length - 1).
        recompute_scale_factor: whether positions follow from the two lengths, where
            ``scale_factor`` gives no whole length, rather than from the factor.

    Raises:
        ShapeError: for an x of another number of axes than the mode is for, or without elements.
        ArgumentError, ArgumentTypeError: for other modes, for both or none of ``size`` and
            ``scale_factor``, and for ``antialias``, which is not there.
        DTypeError: for integers.

    Source: for cubic convolution, Keys, "Cubic convolution interpolation for digital image
    processing", 1981, equation 4, with a = -3/4.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[[1.0, 2.0]]])
        >>> tg.nn.functional.interpolate(x, scale_factor=2).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
        >>> tg.nn.functional.interpolate(x, size=3, mode="linear", align_corners=True).tolist()
        [[[1.0, 1.5, 2.0]]]
    """
    settings = {"size": size, "scale_factor": scale_factor, "mode": mode}
    given = None if recompute_scale_factor else scale_factor
    resized = named(
        "interpolate",
        x,
        settings,
        lambda: _axes_of(x, size, scale_factor, given, mode, align_corners, antialias),
    )
    if mode == "area":
        average = (ops.adaptive_avg_pool1d, ops.adaptive_avg_pool2d)[len(resized) - 1]
        return average(x, tuple(one.after for one in resized))
    # PyTorch computes positions in the dtype of x.
    kind = np.float64 if x.dtype == np.float64 else np.float32
    for number, one in enumerate(reversed(resized), start=1):
        if one.before != one.after or one.scale is not None:
            x = _resized(x, -number, one, mode, bool(align_corners), kind)
    return x


# --- along one axis -------------------------------------------------------------------------------


def _resized(x: Any, axis: int, along: _Axis, mode: str, aligned: bool, kind: Any) -> Any:
    """Return x resized along one axis, counted from the end."""
    if mode not in _BETWEEN:
        return _taken(x, axis, _nearest(along, mode == "nearest-exact"))
    at = _positions(along, aligned, kind)
    if mode != "bicubic":
        at = np.maximum(at, 0)
    left = np.floor(at)
    share = at - left
    if mode == "bicubic":
        weights = [_cubic(share + 1), _cubic(share), _cubic(1 - share), _cubic(2 - share)]
        first = left.astype(np.int64) - 1
    else:
        weights = [1 - share, share]
        first = left.astype(np.int64)
    total: Any = None
    for number, weight in enumerate(weights):
        taken = _taken(x, axis, np.clip(first + number, 0, along.before - 1))
        column = weight.astype(x.dtype).reshape(-1, *(1,) * (-1 - axis))
        part = taken * array_like(x, column)
        total = part if total is None else total + part
    return total


def _taken(x: Any, axis: int, positions: Any) -> Any:
    after = (slice(None),) * (-1 - axis)
    return getitem(x, (..., array_like(x, positions), *after))


def _nearest(along: _Axis, exact: bool) -> Any:
    """Return the elements that are nearest; PyTorch computes in float32, whatever x is."""
    one = np.float32
    scale = one(along.before) / one(along.after) if along.scale is None else one(1 / along.scale)
    at = (np.arange(along.after, dtype=one) + one(0.5 if exact else 0)) * scale
    return np.minimum(np.floor(at).astype(np.int64), along.before - 1)


def _positions(along: _Axis, aligned: bool, kind: Any) -> Any:
    """Return where new elements stand among the old ones."""
    new = np.arange(along.after, dtype=kind)
    if aligned:
        return new * (kind(along.before - 1) / kind(max(along.after - 1, 1)))
    scale = kind(along.before) / kind(along.after) if along.scale is None else 1 / along.scale
    return kind(scale) * (new + kind(0.5)) - kind(0.5)


def _cubic(distance: Any) -> Any:
    """Return the weight of an element at a distance between 0 and 2."""
    a, d = _SHARPNESS, distance.astype(np.float64)  # float32 would lose digits of differences
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, far)


# --- arguments ------------------------------------------------------------------------------------


def check_mode(mode: Any, align_corners: Any, antialias: bool = False) -> None:
    """Raise for a mode that is not there, or an argument that it does not have."""
    if not isinstance(mode, str) or mode not in _AXES:
        raise ArgumentError(f"expected mode to be one of {list(_AXES)}, got {excerpt(mode)}.")
    if align_corners is not None and mode not in _BETWEEN:
        raise ArgumentError(
            f"align_corners belongs to {', '.join(_BETWEEN)}, got mode={mode!r}: leave it out."
        )
    if antialias:
        raise ArgumentTypeError(
            "antialias=True is not there: to make images smaller, mode='area' averages."
        )


def check_scale(size: Any, scale_factor: Any) -> None:
    """Raise unless there is a size or a factor, not both, for as many axes as it has numbers."""
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"expected either size or scale_factor, got {'neither' if size is None else 'both'}."
        )
    given = scale_factor if size is None else size
    axes = len(given) if isinstance(given, tuple | list) else 1
    if size is None:
        _factors(scale_factor, axes)
    else:
        per_axis("size", size, axes, least=1)


def _axes_of(
    x: Any, size: Any, factor: Any, given: Any, mode: Any, align_corners: Any, antialias: bool
) -> list[_Axis]:
    """Return how each spatial axis is resized: to a size, or by a factor.

    Positions follow from the lengths alone, unless a factor is ``given`` for them.
    """
    check_mode(mode, align_corners, antialias)
    lengths = _lengths(x, mode)
    axes = len(lengths)
    check_scale(size, factor)
    factors = (None,) * axes if given is None else _factors(given, axes)
    sizes = _sizes(lengths, size, factor)
    return [
        _Axis(n, after, None if _ignores_factor(mode, axes, n, after) or align_corners else scale)
        for n, after, scale in zip(lengths, sizes, factors, strict=True)
    ]


def _ignores_factor(mode: str, axes: int, before: int, after: int) -> bool:
    """Return whether positions follow from the lengths alone, as they do in PyTorch."""
    if mode == "nearest" and axes == 2:
        return after in (before, 2 * before)
    return mode in ("linear", "bilinear") and before == after


def _lengths(x: Any, mode: Any) -> tuple[int, ...]:
    """Return the lengths of the spatial axes of x, if the mode is for that many."""
    (shape,) = shapes_of("interpolate", x=x)
    if len(shape) - 2 not in _AXES[mode] or 0 in shape[1:]:
        layouts = " or ".join(("(N, C, L)", "(N, C, H, W)")[n - 1] for n in _AXES[mode])
        raise ShapeError(f"expected x of shape {layouts} for mode={mode!r}, got {shape}.")
    if x.dtype.kind != "f":
        raise DTypeError(f"expected floating-point numbers, got {x.dtype}: x.astype(tg.float32).")
    return shape[2:]


def _sizes(lengths: tuple[int, ...], size: Any, scale_factor: Any) -> tuple[int, ...]:
    """Return the new lengths."""
    if size is not None:
        return per_axis("size", size, len(lengths), least=1)
    factors = _factors(scale_factor, len(lengths))
    sizes = tuple(floor(n * factor) for n, factor in zip(lengths, factors, strict=True))
    if 0 in sizes:
        raise ShapeError(
            f"a scale_factor of {excerpt(scale_factor)} leaves nothing of lengths {lengths}."
        )
    return sizes


def _factors(scale_factor: Any, axes: int) -> tuple[float, ...]:
    """Return a factor for each axis."""
    several = isinstance(scale_factor, tuple | list)
    factors = tuple(scale_factor) if several else (scale_factor,) * axes
    for factor in factors:
        number = isinstance(factor, Real) and not isinstance(factor, bool)
        if not number or not isfinite(factor) or factor <= 0:
            raise ArgumentError(
                f"expected a positive number as scale_factor, or a tuple of {axes}; got "
                f"{excerpt(scale_factor)}."
            )
    if len(factors) != axes:
        raise ArgumentError(
            f"expected a scale_factor for each of {axes} spatial axes, or one for all; got "
            f"{excerpt(scale_factor)}."
        )
    return tuple(map(float, factors))
