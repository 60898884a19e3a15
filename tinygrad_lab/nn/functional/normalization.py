"""Normalisations to mean 0 and variance 1."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.backends.dtypes import float16, float32, is_half
from tinygrad_lab.context import no_grad
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import in_full
from tinygrad_lab.errors import ShapeError, excerpt
from tinygrad_lab.ops.arguments.composed import composed

__all__ = ["batch_norm", "layer_norm"]

_sqrt, _mean, _var = direct(ops.sqrt), direct(ops.mean), direct(ops.var)


def _normalised(
    x: Any, mean: Any, variance: Any, eps: float, weight: Any, bias: Any, half: bool = False
) -> Any:
    out = (x - mean) / _sqrt(variance + eps)
    if half:
        out = ops.astype(out, float16)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


@composed()
def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of x (N, C, ...) to mean 0 and variance 1.

    In training, mean and variance are those of the batch; they also update the running statistics,
    (C,) each or None, with a weight of ``momentum`` (using the unbiased variance, divided by the
    count minus one). Otherwise the running statistics are used. ``weight`` and ``bias``, (C,) or
    None, then scale and shift.

    Raises:
        ShapeError: in training for a single value per channel, which has no meaningful variance.

    Source: Ioffe & Szegedy, "Batch Normalization", 2015, algorithm 1.
    """
    channels = (1, -1, *(1,) * (len(x.shape) - 2))

    def by_channel(one: Any) -> Any:
        return None if one is None else ops.reshape(one, channels)

    # A variance of float16 may overflow: statistics are in float32.
    half = training and is_half(x.dtype)
    if half:
        x = ops.astype(x, float32)
    if not training:
        mean, variance = by_channel(running_mean), by_channel(running_var)
    else:
        axes = (0, *range(2, len(x.shape)))
        number = math.prod(x.shape[axis] for axis in axes)
        if number < 2:
            reason = (
                "expected more than one value per channel in training, got x of shape "
                f"{tuple(x.shape)}. Use a larger batch, or module.eval()."
            )
            raise ShapeError(in_full("batch_norm", reason, {"x": x}, {}))
        mean = _mean(x, axis=axes, keepdims=True)
        variance = _var(x, axis=axes, keepdims=True)
        with no_grad():
            of_sample = variance * (number / (number - 1))
            for running, now in ((running_mean, mean), (running_var, of_sample)):
                if running is not None:
                    now = ops.reshape(now, running.shape)
                    now = running * (1 - momentum) + now * momentum
                    running.data = ops.astype(now, running.dtype) if half else now
    return _normalised(x, mean, variance, eps, by_channel(weight), by_channel(bias), half)


@composed()
def layer_norm(
    x: Any,
    normalized_shape: int | tuple[int, ...],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Any:
    """Normalise each sample of x over its last axes to mean 0 and variance 1.

    ``weight`` and ``bias``, of the shape of those axes or None, then scale and shift.

    Raises:
        ShapeError: if the last axes of x have another shape.

    Source: Ba, Kiros & Hinton, "Layer Normalization", 2016.
    """
    shape = (normalized_shape,) if isinstance(normalized_shape, int) else tuple(normalized_shape)
    if tuple(x.shape[len(x.shape) - len(shape) :]) != shape:
        reason = f"expected x whose last axes are {excerpt(shape)}, got shape {tuple(x.shape)}."
        raise ShapeError(in_full("layer_norm", reason, {"x": x}, {}))
    axes = tuple(range(-len(shape), 0))
    half = is_half(x.dtype)
    if half:
        x = ops.astype(x, float32)
    mean = _mean(x, axis=axes, keepdims=True)
    variance = _var(x, axis=axes, keepdims=True)
    return _normalised(x, mean, variance, eps, weight, bias, half)
