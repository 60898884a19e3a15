"""Layers as functions: what modules compute, with the parameters as arguments."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.errors import ArgumentError
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
    """The mean of the squared differences."""
    difference = x - target
    return ops.mean(difference * difference)


def dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator = default_generator
) -> Any:
    """In training, x with elements set to 0 with a chance of p and the others scaled up."""
    if not 0 <= p < 1:
        raise ArgumentError(f"dropout drops with a chance of 0 or more but below 1, got p={p}.")
    return ops.dropout(x, p=p, generator=generator) if training and p > 0 else x
