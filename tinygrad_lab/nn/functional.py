"""Layers as functions: what modules compute, with the parameters as arguments."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops import (
    conv1d,
    cross_entropy,
    elu,
    gelu,
    leaky_relu,
    linear,
    log_softmax,
    relu,
    sigmoid,
    silu,
    softmax,
    softplus,
    tanh,
)
from tinygrad_lab.random import Generator, default_generator

__all__ = [
    "conv1d",
    "cross_entropy",
    "dropout",
    "elu",
    "gelu",
    "leaky_relu",
    "linear",
    "log_softmax",
    "mse_loss",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "tanh",
]


def mse_loss(x: Any, target: Any) -> Any:
    """The mean of the squared differences.

    Raises:
        ShapeError: for shapes that differ: (N, 1) less (N,) would be all N² differences.
    """
    shapes = [tuple(getattr(one, "shape", ())) for one in (x, target)]
    if shapes[0] != shapes[1]:
        raise ShapeError(
            f"mse_loss: expected x and target of one shape, got {shapes[0]} and {shapes[1]}."
        )
    difference = ops.subtract(x, target)
    return ops.mean(difference * difference)


def dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator = default_generator
) -> Any:
    """In training, x with elements set to 0 with a chance of p and the others scaled up."""
    return ops.dropout(x, p=p, generator=generator) if training and p != 0 else x
