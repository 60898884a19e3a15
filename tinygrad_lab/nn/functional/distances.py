"""Lengths, distances and angles of vectors along an axis."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import in_full, shapes_of
from tinygrad_lab.errors import AxisError, ShapeError
from tinygrad_lab.ops.arguments.axes import Axis, checked_axes, checked_axis
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.nn import stop_gradient

__all__ = ["at_least", "cosine_similarity", "normalize", "pairwise_distance"]


def at_least(x: Any, minimum: float) -> Any:
    """Return x where it is no less than a minimum, which takes its place elsewhere.

    The gradient is passed on everywhere, unlike that of ``clip``: a parameter that has fallen below
    is not stuck there.
    """
    return ops.where(ops.less(x, minimum), minimum + (x - stop_gradient(x)), x)


@composed(rounds_once=True)
def normalize(x: Any, p: float = 2.0, dim: Axis = 1, eps: float = 1e-12) -> Any:
    """Divide the vectors along an axis by their p-norm, or by ``eps`` where that is larger.

    Raises:
        AxisError: for an axis that x does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.normalize(tg.tensor([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    axes = _axes("normalize", x, dim)
    return x / ops.clip(ops.vector_norm(x, axis=axes, keepdims=True, ord=p), eps)


def _axes(name: str, x: Any, dim: Axis) -> tuple[int, ...]:
    """Return axes counted from the front; say how to write it where x is one vector."""
    (shape,) = shapes_of(name, x=x)
    if dim == 1 and len(shape) == 1:
        reason = "x is one vector, with axis 0 alone: write dim=0 (the default, 1, is of rows)."
        raise AxisError(in_full(name, reason, {"x": x}, {}))
    return checked_axes(name, x, dim, argument="dim")


@composed(rounds_once=True)
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """Return the cosine of the angle between vectors along an axis.

    Args:
        x1, x2: vectors, in shapes that broadcast.
        dim: the axis that holds a vector, in the shape after broadcasting.
        eps: what a norm below it is taken as, so that vectors of zeros have a cosine of 0.

    Raises:
        ShapeError: for shapes that do not broadcast.
        AxisError: for an axis that is not there.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.cosine_similarity(
        ...     tg.tensor([[1.0, 0.0]]), tg.tensor([[3.0, 4.0]])
        ... ).tolist()
        [0.6000000238418579]
    """
    x1, x2 = _together("cosine_similarity", x1, x2)
    (axis,) = _axes("cosine_similarity", x1, dim)

    def unit(x: Any) -> Any:
        return x / at_least(ops.vector_norm(x, axis=axis, keepdims=True), eps)

    return ops.sum(unit(x1) * unit(x2), axis=axis)


def _together(name: str, x1: Any, x2: Any) -> tuple[Any, ...]:
    """Broadcast two inputs against each other."""
    shapes = shapes_of(name, x1=x1, x2=x2)
    try:
        return ops.broadcast_arrays(x1, x2)
    except ShapeError:
        reason = f"shapes {shapes[0]} and {shapes[1]} of x1 and x2 do not broadcast."
        raise ShapeError(in_full(name, reason, {"x1": x1, "x2": x2}, {})) from None


@composed(rounds_once=True)
def pairwise_distance(
    x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Any:
    """Return the p-norm of x1 - x2 + eps along the last axis, which ``keepdim`` keeps, of size 1.

    ``eps``, added to each element, keeps the gradient finite where x1 and x2 are equal.

    Raises:
        ShapeError: for shapes that do not broadcast.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[0.0, 0.0]])
        >>> tg.nn.functional.pairwise_distance(x, tg.tensor([[3.0, 4.0]]), eps=0.0).tolist()
        [5.0]
    """
    x1, x2 = _together("pairwise_distance", x1, x2)
    checked_axis("pairwise_distance", x1, -1)
    return ops.vector_norm(x1 - x2 + eps, axis=-1, keepdims=keepdim, ord=p)
