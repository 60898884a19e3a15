"""Padding under PyTorch's names: pairs of widths, the last axis first."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import in_full, shapes_of
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.composed import composed

__all__ = ["pad"]

_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


@composed()
def pad(x: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
    """Pad the last axes of x with elements before and after.

    Negative widths cut elements off. ``tg.pad`` takes a pair for each axis, the first axis first,
    and has NumPy's modes.

    Args:
        x: the tensor to pad.
        pad: widths (before, after) of the last axis, then of the one before it, and so on.
        mode: "constant", "reflect" (the mirror image without the outermost element), "replicate"
            (the outermost element) or "circular" (the opposite end).
        value: of the constant; 0 if not given.

    Raises:
        ArgumentError, ArgumentTypeError: for widths that are no pairs, or another mode.
        ShapeError: for more pairs than axes, or widths larger than an axis has elements for.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.pad(tg.tensor([[1.0, 2.0, 3.0]]), (1, 2), mode="reflect").tolist()
        [[2.0, 1.0, 2.0, 3.0, 2.0, 1.0]]
    """
    (shape,) = shapes_of("pad", x=x)
    widths = _pairs(x, shape, pad)
    if mode not in _MODES:
        raise ArgumentError(_said(x, f"expected mode to be one of {list(_MODES)}, got {mode!r}."))
    if mode != "constant" and value is not None:
        raise ArgumentError(_said(x, f"value= belongs to mode='constant', got mode={mode!r}."))
    _check_room(x, shape, widths, mode)
    if any(width < 0 for pair in widths for width in pair):
        cut = tuple(
            slice(max(-before, 0), n - max(-after, 0))
            for n, (before, after) in zip(shape, widths, strict=True)
        )
        x, widths = x[cut], [(max(before, 0), max(after, 0)) for before, after in widths]
    if mode == "constant":
        return ops.pad(x, widths, constant_values=0 if value is None else value)
    return ops.pad(x, widths, mode=_MODES[mode])


def _said(x: Any, reason: str) -> str:
    return in_full("pad", reason, {"x": x}, {})


def _pairs(x: Any, shape: tuple[int, ...], pad: Any) -> list[tuple[int, int]]:
    """Return a pair of widths for each axis, the first axis first."""
    if not isinstance(pad, tuple | list) or any(type(width) is not int for width in pad):
        reason = f"expected a tuple of integers as pad, got {excerpt(pad)}."
        raise ArgumentTypeError(_said(x, reason))
    if len(pad) % 2 or len(pad) > 2 * len(shape):
        reason = (
            f"expected (before, after) of the last axis, then of the one before it, at most of "
            f"{len(shape)}; got {excerpt(pad)}."
        )
        raise ShapeError(_said(x, reason))
    given = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (len(shape) - len(given)) + given[::-1]


def _check_room(x: Any, shape: tuple[int, ...], widths: list[tuple[int, int]], mode: str) -> None:
    """Raise if an axis has too few elements for what copies them, or would lose all of them."""
    for axis, (n, pair) in enumerate(zip(shape, widths, strict=True)):
        most = {"reflect": n - 1, "circular": n}.get(mode)
        if most is not None and any(pair) and max(pair) > most:
            reason = (
                f"a {mode} padding of {pair} takes more than the {n} elements of axis {axis}: at "
                f"most {most} on a side."
            )
            raise ShapeError(_said(x, reason))
        if mode != "constant" and min(pair) < 0:
            raise ArgumentError(_said(x, f"only mode='constant' cuts off, got widths {pair}."))
        if n + sum(pair) < 0 or (n and n + min(pair[0], 0) + min(pair[1], 0) < 0):
            reason = f"widths {pair} cut off more than the {n} elements of axis {axis}."
            raise ShapeError(_said(x, reason))
