"""Activation functions; those of one number at a time are ops."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import in_full, shape_of, shapes_of
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.ops import (
    celu,
    elu,
    gelu,
    hardshrink,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    mish,
    relu,
    relu6,
    selu,
    sigmoid,
    silu,
    softshrink,
    softsign,
    tanh,
    tanhshrink,
    threshold,
)
from tinygrad_lab.ops.arguments.axes import checked_axis
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.random import tensors as random
from tinygrad_lab.random.generator import Generator, default_generator

__all__ = [
    "celu",
    "elu",
    "gelu",
    "glu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "log_softmax",
    "logsigmoid",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "rrelu",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "tanh",
    "tanhshrink",
    "threshold",
]


@composed()
def logsigmoid(x: Any) -> Any:
    """Return log(sigmoid(x)), accurate even where the sigmoid is tiny: ``tg.log_sigmoid``."""
    return ops.log_sigmoid(x)


@composed()
def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    """Return log(1 + exp(beta x)) / beta, or x itself where beta x is above ``threshold``.

    The threshold is PyTorch's: it changes the tenth digit. ``tg.softplus`` has none and does not
    overflow either.

    Raises:
        ArgumentError: for a ``beta`` of 0.

    Source: Dugas et al., "Incorporating second-order functional knowledge for better option
    pricing", 2000.
    """
    if isinstance(beta, int | float) and beta == 0:
        reason = "expected a beta other than 0, which divides the result."
        raise ArgumentError(in_full("softplus", reason, {"x": x}, {}))
    scaled = ops.multiply(x, beta)
    return ops.where(scaled > threshold, x, ops.softplus(scaled) / beta)


@composed()
def glu(x: Any, dim: int = -1) -> Any:
    """Return the first half of x times the sigmoid of the second half, along one axis.

    Raises:
        ShapeError: for an axis of odd length, or one that x does not have.

    Source: Dauphin et al., "Language modeling with gated convolutional networks", 2017.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.glu(tg.tensor([1.0, 2.0, 0.0, 0.0]))
        tensor([0.5, 1. ])
    """
    axis = checked_axis("glu", x, dim, argument="dim")
    length = x.shape[axis]
    if length % 2:
        reason = f"expected an even number of elements along axis {axis}, to halve; got {length}."
        raise ShapeError(in_full("glu", reason, {"x": x}, {"dim": dim}))
    values, gates = ops.split(x, 2, axis=axis)
    return values * ops.sigmoid(gates)


@composed()
def prelu(x: Any, weight: Any) -> Any:
    """Return x where it is positive, else x times a slope that is learned.

    Args:
        x: real numbers; with several slopes, (N, C, ...).
        weight: one slope, (1,), or one for each channel, (C,).

    Its derivative at 0 is taken as that slope.

    Raises:
        ShapeError: if the number of slopes is neither 1 nor C.

    Source: He et al., "Delving deep into rectifiers", 2015.
    """
    shape, slopes = shapes_of("prelu", x=x, weight=weight)
    channels = shape[1] if len(shape) > 1 else 1
    if slopes not in ((), (1,), (channels,)):
        reason = f"expected weight of shape (1,) or ({channels},), got {slopes}: x is (N, C, ...)."
        raise ShapeError(in_full("prelu", reason, {"x": x, "weight": weight}, {}))
    if slopes not in ((), (1,)):
        weight = ops.reshape(weight, (channels, *(1,) * (len(shape) - 2)))
    elif not shape:
        weight = ops.reshape(weight, ())
    return ops.where(ops.greater(x, 0), x, x * weight)


@composed()
def rrelu(
    x: Any,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    *,
    generator: Generator = default_generator,
) -> Any:
    """Return x where it is positive, else x times a slope between ``lower`` and ``upper``.

    In training the slopes are drawn at random, one for each element; otherwise they are the mean
    of the two.

    Raises:
        ArgumentError: if ``lower`` is above ``upper``.

    Source: Xu et al., "Empirical evaluation of rectified activations in convolutional network",
    2015.
    """
    (shape,) = shapes_of("rrelu", x=x)
    if lower > upper:
        reason = f"expected lower <= upper, got {lower} and {upper}."
        raise ArgumentError(in_full("rrelu", reason, {"x": x}, {}))
    if not training:
        return leaky_relu(x, (lower + upper) / 2)
    slopes = random.uniform(
        shape, lower, upper, dtype=x.dtype, device=x.device, generator=generator
    )
    return ops.where(ops.greater(x, 0), x, x * slopes)


# --- along an axis -------------------------------------------------------------------------------


def _axis(name: str, x: Any, dim: int | None) -> int:
    """Return the axis to sum to 1 along: the last one if ``dim`` is None and that is PyTorch's."""
    if dim is None and len(shape_of(x)) > 2:
        reason = (
            "expected dim, the axis along which the numbers sum to 1: dim=-1 is the last. (Without "
            "it PyTorch warns, and takes 0 or 1, by the number of axes.)"
        )
        raise ArgumentError(in_full(name, reason, {"x": x}, {}))
    dim = -1 if dim is None else dim
    checked_axis(name, x, dim, argument="dim")
    return dim


def _converted(x: Any, dtype: Any) -> Any:
    return x if dtype is None else ops.astype(x, dtype)


@composed()
def softmax(x: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """Return exp(x) divided by its sum along an axis, without overflow.

    Args:
        x: real numbers.
        dim: the axis; it may be left out where x has at most two, for the last.
        dtype: what to convert x to first.

    Raises:
        AxisError: for an axis that x does not have.
        ArgumentError: without ``dim`` where x has three axes or more.
    """
    return ops.softmax(_converted(x, dtype), axis=_axis("softmax", x, dim))


@composed()
def log_softmax(x: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """Return the logarithm of ``softmax``, accurate even where that is tiny.

    Arguments and errors are those of ``softmax``.
    """
    return ops.log_softmax(_converted(x, dtype), axis=_axis("log_softmax", x, dim))


@composed()
def softmin(x: Any, dim: int | None = None, dtype: Any = None) -> Any:
    """Return the ``softmax`` of -x, with its arguments and errors."""
    axis = _axis("softmin", x, dim)
    return ops.softmax(ops.negative(_converted(x, dtype)), axis=axis)
