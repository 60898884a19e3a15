"""Tensors at the start of a graph: what everything that makes them shares."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.errors import ArgumentTypeError, ShapeError

__all__ = ["Shape", "leaf", "sizes_of"]

Shape = int | Sequence[int]
"""The size of each axis, or the one size of a vector."""


def leaf(data: Any, *, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """A Tensor on the very same data, with a name if it has one, that may want a gradient.

    Raises:
        DTypeError: if a gradient is wanted of integers, booleans or complex numbers.
    """
    tensor = detached(data)
    if name is not None:
        tensor.name = name
    return tensor.requires_grad_() if requires_grad else tensor


def sizes_of(asked_by: str, shape: Any) -> tuple[int, ...]:
    """A shape as the sizes of its axes: integers of 0 or more.

    Raises:
        ArgumentTypeError: for what is no shape.
        ShapeError: for a negative size.
    """
    try:
        sizes = tuple(map(operator.index, shape if isinstance(shape, tuple | list) else (shape,)))
    except TypeError:
        raise ArgumentTypeError(
            f"{asked_by}: expected an integer or a tuple of them for a shape, got {shape!r:.60}."
        ) from None
    if any(size < 0 for size in sizes):
        raise ShapeError(f"{asked_by}: expected sizes of 0 or more, got {shape!r:.60}.")
    return sizes
