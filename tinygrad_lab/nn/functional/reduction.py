"""What losses share: one shape, one way from the losses of samples to one number."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import in_full, shapes_of
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt

__all__ = ["check_reduction", "reduced", "same_shape", "weighted"]

_mean, _sum = direct(ops.mean), direct(ops.sum)
_REDUCTIONS = ("none", "mean", "sum")


def check_reduction(name: str, reduction: Any, *, more: tuple[str, ...] = ()) -> None:
    """Raise an ``ArgumentError`` for a reduction that there is not."""
    if reduction not in (*_REDUCTIONS, *more):
        known = ", ".join(map(repr, (*_REDUCTIONS, *more)))
        raise ArgumentError(f"{name}: expected reduction to be {known}, got {excerpt(reduction)}.")


def reduced(losses: Any, reduction: str) -> Any:
    """Return the mean or the sum of losses, or themselves."""
    if reduction == "mean":
        return _mean(losses)
    return _sum(losses) if reduction == "sum" else losses


def weighted(losses: Any, weight: Any, reduction: str) -> Any:
    """Return losses times their weights; their mean is divided by the sum of the weights."""
    if weight is None:
        return reduced(losses, reduction)
    losses = losses * weight
    return _sum(losses) / _sum(weight) if reduction == "mean" else reduced(losses, reduction)


def same_shape(name: str, **inputs: Any) -> tuple[int, ...]:
    """Return the shape of all inputs.

    Raises:
        ArgumentTypeError: for an input that is no tensor.
        ShapeError: if shapes differ: (N, 1) and (N,) would broadcast to N² losses.
    """
    first, *others = shapes = shapes_of(name, **inputs)
    if any(shape != first for shape in others):
        *rest, last = inputs
        reason = (
            f"expected {', '.join(rest)} and {last} of the same shape, got "
            f"{', '.join(map(str, shapes[:-1]))} and {shapes[-1]}."
        )
        raise ShapeError(in_full(name, reason, inputs, {}))
    return first
