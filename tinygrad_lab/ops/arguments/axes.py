"""Axes as users name them: one or several, from the front or, negative, from the back."""

from __future__ import annotations

from operator import index
from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.explain import in_full, is_integer, missing_axis, shape_of
from tinygrad_lab.errors import ArgumentTypeError, AxisError

__all__ = ["Axis", "along", "from_the_front", "known_axes", "known_axis", "known_shape"]

Axis = int | tuple[int, ...] | None


def from_the_front(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Axes that a shape has, counted from the front; all of them for None.

    Of a single number, which has none, NumPy lets one sum along axis 0 or -1 all the same.
    """
    if axis is None or not shape:
        return tuple(range(len(shape)))
    return tuple(index(a) % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,)))


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """The index that takes a part along one axis, counted from the front, and all of the others."""
    return (*(slice(None),) * axis, part)


# Functions that are made of several ops look at axes before the first op runs: an error of an op
# inside would speak of things that the user never wrote.


def known_shape(name: str, x: Any) -> tuple[int, ...]:
    """The shape of a Tensor, an array or a number.

    Raises:
        ArgumentTypeError: for anything else, such as a list.
    """
    if type(x) not in namespaces and not hasattr(x, "shape"):
        reason = (
            f"expected a Tensor, a number or an array, got {type(x).__name__}: tg.tensor(...) "
            "makes a tensor of lists."
        )
        raise ArgumentTypeError(in_full(name, reason, {"x": x}, {}))
    return shape_of(x)


def known_axes(name: str, x: Any, axis: Any) -> tuple[int, ...]:
    """Axes of x, counted from the front.

    Raises:
        AxisError: for an axis that there is not.
        ArgumentTypeError: for what is no axis.
    """
    shape = known_shape(name, x)
    if reason := missing_axis(shape, axis):
        integers = all(map(is_integer, axis if isinstance(axis, tuple) else (axis,)))
        kind = AxisError if integers else ArgumentTypeError
        raise kind(in_full(name, reason, {"x": x}, {"axis": axis}))
    return from_the_front(shape, axis)


def known_axis(name: str, x: Any, axis: Any) -> int:
    """One axis of x, counted from the front; errors as in ``known_axes``."""
    axes = known_axes(name, x, axis)
    if axis is None or isinstance(axis, tuple):
        reason = f"expected one axis, got {axis}."
        raise ArgumentTypeError(in_full(name, reason, {"x": x}, {"axis": axis}))
    return axes[0]
