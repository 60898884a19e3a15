"""Dropout: elements set to 0 at random, in training."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.random.generator import Generator, default_generator

__all__ = ["dropout"]


@composed()
def dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator = default_generator
) -> Any:
    """In training, set elements to 0 with probability p and scale up the others."""
    return ops.dropout(x, p=p, generator=generator) if training and p != 0 else x
