"""Dropout: elements, or whole channels, set to 0 or to a constant at random, in training."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import ones
from tinygrad_lab.engine.explain import in_full, shapes_of
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.random.generator import Generator, default_generator

__all__ = ["alpha_dropout", "dropout", "dropout1d", "dropout2d", "feature_alpha_dropout"]


@composed()
def dropout(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator = default_generator
) -> Any:
    """In training, set elements to 0 with probability p and scale up the others.

    Raises:
        ArgumentError: for p outside 0 to 1.

    Source: Srivastava et al., "Dropout", 2014.
    """
    return ops.dropout(x, p=p, generator=generator) if training and p != 0 else x


@composed()
def dropout1d(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator = default_generator
) -> Any:
    """In training, set whole channels of x, (N, C, L) or (C, L), to 0 with probability p.

    The other channels are scaled by 1 / (1 - p).

    Raises:
        ArgumentError: for p outside 0 to 1.
        ShapeError: for another number of axes.

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015.
    """
    (shape,) = shapes_of("dropout1d", x=x)
    if len(shape) not in (2, 3):
        reason = f"expected x of shape (N, C, L) or (C, L), got {shape}."
        raise ShapeError(in_full("dropout1d", reason, {"x": x}, {}))
    channels = (*shape[:-1], 1)
    return _without_channels(x, p, channels, generator) if training and p != 0 else x


@composed()
def dropout2d(
    x: Any, p: float = 0.5, training: bool = True, generator: Generator = default_generator
) -> Any:
    """In training, set whole channels of images x, (N, C, H, W), to 0 with probability p.

    The other channels are scaled by 1 / (1 - p). As in PyTorch, an x of three axes is (N, C, L).

    Raises:
        ArgumentError: for p outside 0 to 1.
        ShapeError: for another number of axes.

    Source: Tompson et al., "Efficient object localization using convolutional networks", 2015.
    """
    (shape,) = shapes_of("dropout2d", x=x)
    if len(shape) not in (3, 4):
        reason = f"expected x of shape (N, C, H, W), got {shape}."
        raise ShapeError(in_full("dropout2d", reason, {"x": x}, {}))
    channels = (*shape[:2], *(1,) * (len(shape) - 2))
    return _without_channels(x, p, channels, generator) if training and p != 0 else x


def _without_channels(x: Any, p: float, channels: tuple[int, ...], generator: Generator) -> Any:
    """Multiply x by a dropout of ones of a shape that broadcasts along the channels."""
    return x * ops.dropout(_ones(x, channels), p=p, generator=generator)


def _ones(x: Any, shape: tuple[int, ...]) -> Any:
    return ones(shape, dtype=x.dtype, device=x.device)


_LOWEST = -1.7580993408473766
"""What SELU approaches at -inf: -λ a."""


@composed(rounds_once=True)
def alpha_dropout(
    x: Any, p: float = 0.5, training: bool = False, generator: Generator = default_generator
) -> Any:
    """In training, set elements to the lowest value of ``selu`` with probability p.

    Then scale and shift all, so that numbers of mean 0 and variance 1 keep them.

    Raises:
        ArgumentError: for p outside 0 to 1.

    Source: Klambauer et al., "Self-normalizing neural networks", 2017, section 2.
    """
    (shape,) = shapes_of("alpha_dropout", x=x)
    return _alpha_dropped("alpha_dropout", x, p, shape, generator) if training and p != 0 else x


@composed(rounds_once=True)
def feature_alpha_dropout(
    x: Any, p: float = 0.5, training: bool = False, generator: Generator = default_generator
) -> Any:
    """Do as ``alpha_dropout``, to whole channels of x, (N, C, ...).

    Raises:
        ArgumentError: for p outside 0 to 1.
        ShapeError: for fewer than two axes.
    """
    (shape,) = shapes_of("feature_alpha_dropout", x=x)
    if len(shape) < 2:
        reason = f"expected x of shape (N, C, ...), got {shape}."
        raise ShapeError(in_full("feature_alpha_dropout", reason, {"x": x}, {}))
    channels = (*shape[:2], *(1,) * (len(shape) - 2))
    name = "feature_alpha_dropout"
    return _alpha_dropped(name, x, p, channels, generator) if training and p != 0 else x


def _alpha_dropped(
    name: str, x: Any, p: float, shape: tuple[int, ...], generator: Generator
) -> Any:
    if not 0 <= p <= 1:
        reason = f"expected a probability p from 0 to 1, got {p}."
        raise ArgumentError(in_full(name, reason, {"x": x}, {}))
    if p == 1:
        return x * 0.0
    kept = ops.greater(ops.dropout(_ones(x, shape), p=p, generator=generator), 0)
    scale = 1 / math.sqrt((1 - p) * (1 + p * _LOWEST**2))
    return ops.where(kept, x, _LOWEST) * scale - scale * p * _LOWEST
