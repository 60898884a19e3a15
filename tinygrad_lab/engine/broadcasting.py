"""What broadcasting does to a shape."""

from __future__ import annotations

__all__ = ["stretched_axes"]


def stretched_axes(shape: tuple[int, ...], to: tuple[int, ...]) -> tuple[int, ...]:
    """Return the axes of ``to`` that broadcasting stretched or put in front of ``shape``."""
    in_front = len(to) - len(shape)
    return tuple(
        axis for axis, size in enumerate(to) if axis < in_front or shape[axis - in_front] != size
    )
