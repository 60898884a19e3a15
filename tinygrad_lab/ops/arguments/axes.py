"""Axes as users give them: one or several; negative ones count from the end."""

from __future__ import annotations

from operator import index
from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.explain import in_full, is_axis, missing_axis, not_joined, shape_of
from tinygrad_lab.errors import ArgumentTypeError, AxisError, excerpt

__all__ = [
    "Axis",
    "along",
    "checked_axes",
    "checked_axis",
    "checked_shape",
    "existing",
    "from_the_front",
    "no_such_axis",
    "several_axes",
    "with_axes",
]

Axis = int | tuple[int, ...] | None


def from_the_front(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """Return axes of a shape as counted from the front; all of them for None."""
    if axis is None:
        return tuple(range(len(shape)))
    return tuple(index(a) % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,)))


def existing(x: Any, axis: Axis) -> Axis:
    """Return an axis to reduce; raise if x is a single number.

    NumPy takes axis 0 or -1 of a 0-d array for its only element; in most functions, but not in all.
    """
    if axis is None or getattr(x, "shape", True) or (isinstance(axis, tuple) and not axis):
        return axis
    raise AxisError(missing_axis((), axis))


def along(axis: int, part: Any) -> tuple[Any, ...]:
    """Return the index that takes a part along one axis and everything along the others."""
    return (*(slice(None),) * axis, part)


# Functions composed of several ops check axes before the first op runs: an error from an op inside
# would mention things that the user never wrote.


def checked_shape(name: str, x: Any) -> tuple[int, ...]:
    """Return the shape of a Tensor, an array or a number.

    Raises:
        ArgumentTypeError: for anything else, such as a list.
    """
    if type(x) not in namespaces and not hasattr(x, "shape"):
        reason = not_joined(name, x) or (
            f"expected a Tensor, a number or an array, got {type(x).__name__}: tg.tensor(...) "
            "turns lists into a tensor."
        )
        raise ArgumentTypeError(in_full(name, reason, {"x": x}, {}))
    return shape_of(x)


def checked_axes(name: str, x: Any, axis: Any, *, argument: str = "axis") -> tuple[int, ...]:
    """Return axes of x, counted from the front.

    Args:
        name: the function, for errors.
        x: what has the axes.
        axis: one axis or several; None for all.
        argument: what the function calls them.

    Raises:
        AxisError: for an axis that x does not have.
        ArgumentTypeError: for anything but integers.
    """
    shape = checked_shape(name, x)
    if reason := missing_axis(shape, axis):
        integers = all(map(is_axis, axis if isinstance(axis, tuple) else (axis,)))
        kind = AxisError if integers else ArgumentTypeError
        raise kind(in_full(name, reason, {"x": x}, {argument: axis}))
    return from_the_front(shape, axis)


def checked_axis(name: str, x: Any, axis: Any, *, argument: str = "axis") -> int:
    """Return one axis of x, counted from the front; errors as in ``checked_axes``."""
    if reason := several_axes(axis):
        raise ArgumentTypeError(in_full(name, reason, {"x": x}, {argument: axis}))
    return checked_axes(name, x, axis, argument=argument)[0]


def several_axes(axis: Any) -> str | None:
    """Explain that one axis is needed, where several are given or None; None if it is one."""
    try:
        index(axis)
    except TypeError:
        return f"expected one axis, got {excerpt(axis)}."
    return None


def no_such_axis(x: Any, *, axis: Axis, **_: Any) -> str | None:
    """Explain why x cannot be reduced."""
    return missing_axis(shape_of(x), axis)


def with_axes(xp: Any, reduced: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    """Restore the reduced axes of an array, with size 1."""
    lost = from_the_front(x_shape, axis)
    return xp.reshape(reduced, tuple(1 if a in lost else n for a, n in enumerate(x_shape)))
