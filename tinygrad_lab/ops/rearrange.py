"""Ops that repeat, pad and shift elements, or zero those on one side of a diagonal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMBERS
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, is_integer, missing_axis, shape_of
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.axes import (
    along,
    checked_axes,
    checked_axis,
    checked_shape,
)
from tinygrad_lab.ops.at import index_set
from tinygrad_lab.ops.conversion import astype, transfer
from tinygrad_lab.ops.indexing import array_like, getitem
from tinygrad_lab.ops.positions import take
from tinygrad_lab.ops.shape import (
    broadcast_to,
    expand_dims,
    flatten,
    flip,
    reshape,
    swapaxes,
)


def _back(shift: int | tuple[int, ...]) -> int | tuple[int, ...]:
    """Return the shift that undoes another."""
    return tuple(-one for one in shift) if isinstance(shift, tuple) else -shift


roll = op(
    "roll",
    forward=lambda xp, x, *, shift, axis=None: xp.roll(x, shift, axis=axis),
    vjp={"x": lambda xp, g, shift, axis: xp.roll(g, shift=_back(shift), axis=axis)},
    complex_vjp="same",
    words={"x": "g, shifted back"},
    latex=r"\mathrm{{roll}}({x}, {shift})",
    check=lambda x, *, shift, axis: (
        missing_axis(shape_of(x), axis)
        or f"expected one shift, or one for each axis, got "
        f"shift={excerpt(shift)} for axis={excerpt(axis)}."
    ),
    doc="""Shift the elements of x along an axis; those that leave at the end return at the start.

    Args:
        x: the elements.
        shift: the number of places; negative towards the start.
        axis: the axis; None shifts the flattened elements. With tuples of shifts and axes, each
            axis has its own shift.

    Raises:
        AxisError: for an axis that x does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.roll(tg.tensor([1.0, 2.0, 3.0]), 1)
        tensor([3., 1., 2.])
    """,
)


def rot90(x: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """Turn x by k right angles in the plane of two axes, from the first towards the second.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: for anything but two different axes.
        ArgumentTypeError: for a k that is no integer.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.rot90(tg.tensor([[1, 2], [3, 4]])).tolist()
        [[2, 4], [1, 3]]
    """
    given = tuple(axes) if isinstance(axes, list) else axes
    if not isinstance(given, tuple) or len(given) != 2:
        reason = f"expected two axes as a tuple, got axes={excerpt(axes)}."
        raise ShapeError(in_full("rot90", reason, {"x": x}, {"axes": axes}))
    first, second = checked_axes("rot90", x, given, argument="axes")
    if not is_integer(k):
        reason = f"expected a number of right angles as an integer, got k={excerpt(k)}."
        raise ArgumentTypeError(in_full("rot90", reason, {"x": x}, {"k": k}))
    if k % 4 == 0:
        return x
    if k % 4 == 2:
        return flip(x, axis=(first, second))
    # Clockwise or not is the order of turning over and exchanging the axes.
    return (
        flip(swapaxes(x, first, second), axis=first)
        if k % 4 == 1
        else swapaxes(flip(x, axis=first), first, second)
    )


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> tuple[Any, ...]:
    """Split x into consecutive pieces along an axis.

    Args:
        x: the tensor to split.
        indices_or_sections: the number of pieces of equal size, or the positions where new pieces
            begin.
        axis: the axis to split.

    Raises:
        ShapeError: for an axis that x does not have, or a size that the number does not divide.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.split(tg.tensor([1.0, 2.0, 3.0]), [1])
        (tensor([1.]), tensor([2., 3.]))
    """
    place = checked_axis("split", x, axis)
    size = shape_of(x)[place]
    if isinstance(indices_or_sections, list | tuple):
        if not all(map(is_integer, indices_or_sections)):
            reason = f"expected positions as integers, got {excerpt(indices_or_sections)}."
            raise ArgumentTypeError(in_full("split", reason, {"x": x}, {"axis": axis}))
        starts = [0, *indices_or_sections]
        stops = [*indices_or_sections, None]
    else:
        count = indices_or_sections
        if not is_integer(count) or count < 1 or size % count:
            reason = (
                f"expected a number of pieces that divides the {size} elements of axis {axis}, got "
                f"{excerpt(count)}; tg.split(x, [i, j]) begins pieces at i and j."
            )
            raise ShapeError(in_full("split", reason, {"x": x}, {"axis": axis}))
        starts = [i * (size // count) for i in range(count)]
        stops = [start + size // count for start in starts]
    return tuple(
        getitem(x, along(place, slice(start, stop)))
        for start, stop in zip(starts, stops, strict=True)
    )


# --- repeating -----------------------------------------------------------------------------------


_repeated_positions = op(
    "repeated_positions",
    # Each position i, repeated as often as the element at i.
    forward=lambda xp, positions, repeats: xp.repeat(positions, repeats),
)


def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Repeat each element of x; gradients of the copies add up.

    Args:
        x: the elements.
        repeats: the number of copies: an integer, or one for each position along the axis.
        axis: the axis to repeat along; None repeats the elements of the flattened x.

    Raises:
        AxisError: for an axis that x does not have.
        ShapeError: for a wrong number of ``repeats``.
        ArgumentError: for a number below 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.repeat(tg.tensor([1.0, 2.0]), 2), tg.repeat(tg.tensor([1.0, 2.0]), tg.tensor([1, 2]))
        (tensor([1., 1., 2., 2.]), tensor([1., 2., 2.]))
    """
    checked_shape("repeat", x)
    if axis is None:
        x, axis = flatten(x), 0
    place = checked_axis("repeat", x, axis)
    *before, count = shape_of(x)[: place + 1]
    after = shape_of(x)[place + 1 :]
    repeats = _checked_repeats(x, repeats, count)
    if not is_integer(repeats):
        positions = _repeated_positions(array_like(x, np.arange(count)), repeats)
        return take(x, positions, axis=place)
    copies = broadcast_to(expand_dims(x, axis=place + 1), shape=(*before, count, repeats, *after))
    return reshape(copies, (*before, count * repeats, *after))


def _checked_repeats(x: Any, repeats: Any, count: int) -> Any:
    """Return the number of repeats: one integer for all elements, or an array of one for each."""
    if isinstance(repeats, list | tuple):
        repeats = np.asarray(repeats)
    numbers = np.asarray(repeats.tolist() if hasattr(repeats, "tolist") else repeats)
    labelled = {"x": x, "repeats": repeats}
    if numbers.dtype.kind not in "iu":
        reason = "expected integers as repeats."
        raise ArgumentTypeError(in_full("repeat", reason, labelled, {}))
    if (numbers < 0).any():
        reason = f"expected repeats of 0 or more, got {numbers.min()}."
        raise ArgumentError(in_full("repeat", reason, labelled, {}))
    if numbers.size == 1:
        return int(numbers.item())
    if numbers.shape != (count,):
        reason = (
            f"expected one number, or one for each of {count} elements, got shape {numbers.shape}."
        )
        raise ShapeError(in_full("repeat", reason, labelled, {}))
    return repeats


def tile(x: Any, repetitions: int | Sequence[int]) -> Any:
    """Repeat x side by side along each axis; gradients of the copies add up.

    Args:
        x: the tile.
        repetitions: the number of tiles along each axis. The shorter of ``repetitions`` and the
            shape of x is padded with ones on the left.

    Raises:
        ArgumentError: for a number below 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.tile(tg.tensor([1.0, 2.0]), (2, 2)).tolist()
        [[1.0, 2.0, 1.0, 2.0], [1.0, 2.0, 1.0, 2.0]]
    """
    shape = checked_shape("tile", x)
    counts = tuple(repetitions) if isinstance(repetitions, list | tuple) else (repetitions,)
    if not all(is_integer(count) and count >= 0 for count in counts):
        reason = f"expected integers of 0 or more as repetitions, got {excerpt(repetitions)}."
        raise ArgumentError(in_full("tile", reason, {"x": x}, {}))
    ndim = max(len(shape), len(counts))
    shape = (1,) * (ndim - len(shape)) + shape
    counts = (1,) * (ndim - len(counts)) + counts
    # Split each axis of the result into two: the tile, and the place in it.
    separated = reshape(x, tuple(size for n in shape for size in (1, n)))
    side_by_side = tuple(size for both in zip(counts, shape, strict=True) for size in both)
    tiles = broadcast_to(separated, shape=side_by_side)
    return reshape(tiles, tuple(count * n for count, n in zip(counts, shape, strict=True)))


# --- padding -------------------------------------------------------------------------------------


def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = 0) -> Any:
    """Pad x with elements around it; the gradient of a copy goes to its original.

    Args:
        x: the tensor to pad.
        pad_width: the number of elements ``(before, after)`` for each axis; or one such pair, or
            one number, for all axes.
        mode: the values of the padding. ``"constant"``: ``constant_values``; ``"edge"``: the
            outermost element; ``"reflect"`` and ``"symmetric"``: the mirror image, without or with
            the outermost element; ``"wrap"``: the opposite end.
        constant_values: a number, or a tensor without axes.

    Raises:
        ArgumentError: for another mode, or widths that do not fit.
        DTypeError: for a constant that the dtype of x cannot hold.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.pad(tg.tensor([1.0, 2.0]), (1, 2)), tg.pad(tg.tensor([1.0, 2.0]), 1, mode="edge")
        (tensor([0., 1., 2., 0., 0.]), tensor([1., 1., 2., 2.]))
    """
    shape = checked_shape("pad", x)
    widths = _checked_widths(x, pad_width)
    if mode == "constant":
        return _pad_with(x, widths, constant_values)
    if mode not in ("edge", "reflect", "symmetric", "wrap"):
        reason = (
            "expected 'constant', 'edge', 'reflect', 'symmetric' or 'wrap' as mode, got "
            f"{excerpt(mode)}."
        )
        raise ArgumentError(in_full("pad", reason, {"x": x}, {}))
    for axis, (before, after) in enumerate(widths):
        if before or after:
            if shape[axis] == 0:
                reason = f"axis {axis} has no elements to copy into the padding."
                raise ArgumentError(in_full("pad", reason, {"x": x}, {"mode": mode}))
            # The padded positions tell which elements the padding copies.
            copied: Any = np.pad(np.arange(shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
            x = take(x, array_like(x, copied), axis=axis)
    return x


def _checked_widths(x: Any, pad_width: Any) -> tuple[tuple[int, int], ...]:
    """Return how much to add before and after x along each axis."""
    ndim = len(shape_of(x))
    try:
        widths = np.broadcast_to(np.asarray(pad_width), (ndim, 2))
    except ValueError:
        widths = np.asarray(-1)
    if widths.dtype.kind not in "iu" or (widths < 0).any():
        reason = (
            f"expected pairs (before, after) of integers of 0 or more, one for each of {ndim} "
            f"axes or one for all, got {excerpt(pad_width)}."
        )
        raise ArgumentError(in_full("pad", reason, {"x": x}, {}))
    return tuple((int(before), int(after)) for before, after in widths)


def _pad_with(x: Any, widths: tuple[tuple[int, int], ...], constant: Any) -> Any:
    dtype = np.dtype(getattr(x, "dtype", type(x)))
    if constant.__class__ in NUMBERS:
        traced = getattr(constant, "dtype", None)
        own = np.dtype(type(constant)) if traced is None else traced
        if own.kind == "f" and dtype.kind in "iub":
            reason = f"{dtype} cannot hold {constant}: x.astype(tg.float32)."
            raise DTypeError(in_full("pad", reason, {"x": x}, {"constant_values": constant}))
        if traced is not None:  # a compiled step reads it at each call
            constant = astype(transfer(constant, device="cpu"), dtype=dtype)
        else:
            constant = array_like(x, np.asarray(constant, dtype=dtype))
    sizes = zip(shape_of(x), widths, strict=True)
    padded = broadcast_to(constant, shape=tuple(b + n + a for n, (b, a) in sizes))
    inside = tuple(slice(b, b + n) for n, (b, _) in zip(shape_of(x), widths, strict=True))
    return index_set(padded, x, key=inside)


# --- triangles -----------------------------------------------------------------------------------


def _of_matrices(name: str) -> Callable[..., Any]:
    """Return a forward that calls the namespace's function on matrices, and refuses vectors."""

    def forward(xp: Any, x: Any, *, k: int = 0) -> Any:
        if len(shape_of(x)) < 2:
            raise ShapeError(f"expected a matrix or a stack of matrices, got shape {shape_of(x)}.")
        return getattr(xp, name)(x, k=k)

    return forward


tril = op(
    "tril",
    forward=_of_matrices("tril"),
    vjp={"x": lambda xp, g, k: xp.tril(g, k=k)},
    complex_vjp="same",
    latex=r"\mathrm{{tril}}({x})",
    doc="""Return the lower triangles of matrices: 0 above the diagonal ``k`` right of the main one.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.tril(tg.tensor([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[1.0, 0.0], [3.0, 4.0]]
    """,
)

triu = op(
    "triu",
    forward=_of_matrices("triu"),
    vjp={"x": lambda xp, g, k: xp.triu(g, k=k)},
    complex_vjp="same",
    latex=r"\mathrm{{triu}}({x})",
    doc="Return the upper triangles of matrices: 0 below the diagonal ``k`` right of the main one.",
)
