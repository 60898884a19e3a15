"""Normalisations to mean 0 and variance 1."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.backends.dtypes import float16, float32, is_half
from tinygrad_lab.context import no_grad
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import in_full, is_integer, shape_of, shapes_of
from tinygrad_lab.errors import ArgumentError, DTypeError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.composed import composed

__all__ = [
    "batch_norm",
    "group_norm",
    "instance_norm",
    "layer_norm",
    "local_response_norm",
    "rms_norm",
]

_sqrt, _mean, _var = direct(ops.sqrt), direct(ops.mean), direct(ops.var)


def _standardised(x: Any, mean: Any, variance: Any, eps: float, half: bool = False) -> Any:
    out = (x - mean) / _sqrt(variance + eps)
    return ops.astype(out, float16) if half else out


def _scaled(x: Any, weight: Any, bias: Any) -> Any:
    out = x if weight is None else x * weight
    return out if bias is None else out + bias


def _by_channel(one: Any, axes: int) -> Any:
    """Return a vector in a shape that broadcasts along the channels of x (N, C, ...)."""
    return None if one is None else ops.reshape(one, (1, -1, *(1,) * (axes - 2)))


def _update(running: Any, now: Any, momentum: Any) -> None:
    """Move running statistics towards those of a batch, outside of what is differentiated."""
    with no_grad():
        now = running * (1 - momentum) + ops.reshape(now, running.shape) * momentum
        running.data = now if now.dtype == running.dtype else ops.astype(now, running.dtype)


@composed()
def batch_norm(
    x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: Any = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of x (N, C, ...) to mean 0 and variance 1.

    In training, mean and variance are those of the batch; they also update the running statistics,
    (C,) each or None, with a weight of ``momentum`` (using the unbiased variance, divided by the
    count minus one). Otherwise the running statistics are used. ``weight`` and ``bias``, (C,) or
    None, then scale and shift.

    ``momentum`` may be a tensor without axes, which compiled steps then follow.

    Raises:
        ArgumentError: without running statistics outside of training.
        ShapeError: in training for a single value per channel, which has no meaningful variance.

    Source: Ioffe & Szegedy, "Batch Normalization", 2015, algorithm 1.
    """
    count = len(x.shape)
    # A variance of float16 may overflow: statistics are in float32.
    half = training and is_half(x.dtype)
    if half:
        x = ops.astype(x, float32)
    if not training:
        if running_mean is None or running_var is None:
            reason = "expected running_mean and running_var, or training=True to use the batch's."
            raise ArgumentError(in_full("batch_norm", reason, {"x": x}, {}))
        mean, variance = _by_channel(running_mean, count), _by_channel(running_var, count)
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
        if running_mean is not None:
            _update(running_mean, mean, momentum)
        if running_var is not None:
            with no_grad():
                of_sample = variance * (number / (number - 1))
            _update(running_var, of_sample, momentum)
    out = _standardised(x, mean, variance, eps, half)
    return _scaled(out, _by_channel(weight, count), _by_channel(bias, count))


@composed()
def layer_norm(
    x: Any,
    normalized_shape: int | Sequence[int],
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
    axes = _last_axes("layer_norm", x, normalized_shape)
    half = is_half(x.dtype)
    if half:
        x = ops.astype(x, float32)
    mean = _mean(x, axis=axes, keepdims=True)
    variance = _var(x, axis=axes, keepdims=True)
    return _scaled(_standardised(x, mean, variance, eps, half), weight, bias)


def _last_axes(name: str, x: Any, normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return the last axes of x, which must have a certain shape."""
    sizes = normalized_shape
    shape = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    if not shape or shape_of(x)[-len(shape) :] != shape:
        reason = f"expected x whose last axes are {excerpt(shape)}, got shape {shape_of(x)}."
        raise ShapeError(in_full(name, reason, {"x": x}, {}))
    return tuple(range(-len(shape), 0))


@composed(rounds_once=True)
def rms_norm(
    x: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None
) -> Any:
    """Divide each sample of x by the root of the mean of its squares over its last axes.

    ``weight``, of the shape of those axes or None, then scales. ``eps``, added to the mean of the
    squares, is the distance from 1 to the next number of the dtype of x if it is None.

    Raises:
        ShapeError: if the last axes of x have another shape.
        DTypeError: for an x of integers without an ``eps``.

    Source: Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019, equation 4.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.rms_norm(tg.tensor([[1.0, -1.0], [2.0, 2.0]]), 2, eps=0.0).tolist()
        [[1.0, -1.0], [1.0, 1.0]]
    """
    axes = _last_axes("rms_norm", x, normalized_shape)
    if eps is None:
        if x.dtype.kind != "f":
            reason = f"expected floating-point numbers, got {x.dtype}: x.astype(tg.float32)."
            raise DTypeError(in_full("rms_norm", reason, {"x": x}, {}))
        eps = float(np.finfo(x.dtype).eps)
    return _scaled(x / _sqrt(_mean(x * x, axis=axes, keepdims=True) + eps), weight, None)


@composed(rounds_once=True)
def group_norm(
    x: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Normalise each group of channels of each sample of x (N, C, ...) to mean 0 and variance 1.

    ``weight`` and ``bias``, (C,) or None, then scale and shift each channel.

    Raises:
        ShapeError: for fewer than two axes, or channels that do not divide into the groups; for
            groups of a single value, which have no meaningful variance.

    Source: Wu & He, "Group Normalization", 2018, equation 7.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.group_norm(tg.tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """
    (shape,) = shapes_of("group_norm", x=x)
    if len(shape) < 2 or num_groups < 1 or shape[1] % num_groups:
        reason = (
            f"expected x of shape (N, C, ...), C a multiple of {num_groups} groups, got {shape}."
        )
        raise ShapeError(in_full("group_norm", reason, {"x": x}, {}))
    values = math.prod(shape[1:]) // num_groups
    if shape[0] * values == 1:
        reason = f"expected more than one value per group, got x of shape {shape}."
        raise ShapeError(in_full("group_norm", reason, {"x": x}, {}))
    grouped = ops.reshape(x, (shape[0], num_groups, values))
    mean = _mean(grouped, axis=2, keepdims=True)
    variance = _var(grouped, axis=2, keepdims=True)
    out = ops.reshape(_standardised(grouped, mean, variance, eps), shape)
    return _scaled(out, _by_channel(weight, len(shape)), _by_channel(bias, len(shape)))


@composed(rounds_once=True)
def instance_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of each sample of x (N, C, ...) to mean 0 and variance 1.

    With ``use_input_stats``, mean and variance are those of the sample; their means over the
    samples (of the unbiased variance) also update the running statistics, (C,) each or None, with a
    weight of ``momentum``. Otherwise the running statistics are used. ``weight`` and ``bias``, (C,)
    or None, then scale and shift.

    Raises:
        ArgumentError: without running statistics and ``use_input_stats``.
        ShapeError: for fewer than three axes; for a single value per channel of a sample, which has
            no meaningful variance.

    Source: Ulyanov, Vedaldi & Lempitsky, "Instance Normalization", 2016, equation 4.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.instance_norm(tg.tensor([[[1.0, 3.0], [5.0, 9.0]]]), eps=0.0).tolist()
        [[[-1.0, 1.0], [-1.0, 1.0]]]
    """
    (shape,) = shapes_of("instance_norm", x=x)
    count, number = len(shape), math.prod(shape[2:])
    if count < 3 or (use_input_stats and number < 2):
        reason = (
            "expected x of shape (N, C, ...), with more than one value per channel where its own "
            f"statistics are used, got {shape}."
        )
        raise ShapeError(in_full("instance_norm", reason, {"x": x}, {}))
    if use_input_stats:
        axes = tuple(range(2, count))
        mean, variance = _mean(x, axis=axes, keepdims=True), _var(x, axis=axes, keepdims=True)
        if running_mean is not None:
            with no_grad():
                of_samples = _mean(variance * (number / (number - 1)), axis=0)
                _update(running_mean, _mean(mean, axis=0), momentum)
                _update(running_var, of_samples, momentum)
    elif running_mean is None or running_var is None:
        reason = "expected running_mean and running_var, or use_input_stats=True."
        raise ArgumentError(in_full("instance_norm", reason, {"x": x}, {}))
    else:
        mean, variance = _by_channel(running_mean, count), _by_channel(running_var, count)
    out = _standardised(x, mean, variance, eps)
    return _scaled(out, _by_channel(weight, count), _by_channel(bias, count))


@composed(rounds_once=True)
def local_response_norm(
    x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """Divide each element of x (N, C, ...) by a power of what its neighbours among channels have.

    The divisor is (k + alpha / size * Σ x²)^beta, the sum over ``size`` channels around its own,
    size // 2 of them before it.

    Raises:
        ShapeError: for fewer than three axes.
        ArgumentError: for a size that is no integer above 0.

    Source: Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012, section 3.3; alpha is theirs times ``size``, as in PyTorch.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[[3.0], [4.0]]])
        >>> tg.nn.functional.local_response_norm(x, 1, alpha=1.0, beta=0.5, k=0.0).tolist()
        [[[1.0], [1.0]]]
    """
    (shape,) = shapes_of("local_response_norm", x=x)
    if len(shape) < 3:
        reason = f"expected x of shape (N, C, ...) with three axes or more, got {shape}."
        raise ShapeError(in_full("local_response_norm", reason, {"x": x}, {}))
    if not is_integer(size) or isinstance(size, bool) or size < 1:
        reason = f"expected an integer, 1 or more, for size, got {excerpt(size)}."
        raise ArgumentError(in_full("local_response_norm", reason, {"x": x}, {}))
    before, after = size // 2, (size - 1) // 2
    widths = [(0, 0), (before, after), *((0, 0),) * (len(shape) - 2)]
    squares = ops.pad(x * x, widths) if size > 1 else x * x
    first, *others = (squares[:, i : i + shape[1]] for i in range(size))
    return x / (k + alpha * (sum(others, start=first) / size)) ** beta
