"""Leaf tensors: what all functions that create tensors share."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.errors import ArgumentTypeError, ShapeError, excerpt

__all__ = ["Shape", "leaf", "sizes_of"]

Shape = int | Sequence[int]
"""The size of each axis, or the one size of a vector."""


def leaf(data: Any, *, requires_grad: bool = False, name: str | None = None) -> Tensor:
    """Return a Tensor on the very same data, with a name and ``requires_grad`` if given.

    Raises:
        DTypeError: if integers, booleans or complex numbers are to require a gradient.
    """
    tensor = detached(data)
    if data.__class__ is float and requires_grad:  # nothing to check, and no node yet: faster
        tensor._node = Leaf(data, requires_grad=True, name=name, tensor=tensor)
        return tensor
    if name is not None:
        tensor.name = name
    return tensor.requires_grad_() if requires_grad else tensor


def sizes_of(asked_by: str, shape: Any) -> tuple[int, ...]:
    """Return a shape as a tuple of sizes: integers of 0 or more.

    Raises:
        ArgumentTypeError: for something that is not a shape.
        ShapeError: for a negative size.
    """
    try:
        sizes = tuple(map(operator.index, shape if isinstance(shape, tuple | list) else (shape,)))
    except TypeError:
        raise ArgumentTypeError(
            f"{asked_by}: expected an integer or a tuple of them for a shape, got {excerpt(shape)}."
        ) from None
    if any(size < 0 for size in sizes):
        raise ShapeError(f"{asked_by}: expected sizes of 0 or more, got {excerpt(shape)}.")
    return sizes
