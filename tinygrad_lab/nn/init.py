"""Initialisers: each sets a tensor's values in place and returns it; names as in PyTorch."""

from __future__ import annotations

import math

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.random.generator import Generator, default_generator

__all__ = [
    "calculate_gain",
    "constant_",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]


@explaining
def uniform_(
    tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = default_generator
) -> Tensor:
    """Fill a tensor with numbers drawn uniformly from a to b."""
    tensor.data = generator.uniform(tensor.shape, a, b, tensor.dtype)
    return tensor


@explaining
def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = default_generator
) -> Tensor:
    """Fill a tensor with numbers drawn from a normal distribution."""
    tensor.data = generator.normal(tensor.shape, mean, std, tensor.dtype)
    return tensor


@explaining
def constant_(tensor: Tensor, value: float) -> Tensor:
    """Fill a tensor with one value."""
    tensor.data = namespaces[type(tensor.data)].zeros_like(tensor.data) + value
    return tensor


@explaining
def zeros_(tensor: Tensor) -> Tensor:
    """Fill a tensor with zeros."""
    return constant_(tensor, 0.0)


@explaining
def ones_(tensor: Tensor) -> Tensor:
    """Fill a tensor with ones."""
    return constant_(tensor, 1.0)


@explaining
def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the factor for a layer's weights that compensates for its activation."""
    slope = 0.01 if param is None else param
    gains = {
        "linear": 1.0,
        "conv1d": 1.0,
        "conv2d": 1.0,
        "conv_transpose1d": 1.0,
        "conv_transpose2d": 1.0,
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + slope**2)),
    }
    if nonlinearity not in gains:
        raise ArgumentError(f"expected one of {', '.join(gains)}; got {nonlinearity!r}.")
    return gains[nonlinearity]


def _fans(tensor: Tensor) -> tuple[int, int]:
    """Return the fan-in and fan-out of a layer's weights."""
    if tensor.ndim < 2:
        raise ShapeError(
            f"fan-in and fan-out need at least two axes; the tensor has shape {tensor.shape}."
        )
    window = math.prod(tensor.shape[2:])
    return tensor.shape[1] * window, tensor.shape[0] * window


@explaining
def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = default_generator,
) -> Tensor:
    """Draw uniformly, variance gain² / fan (He et al., "Delving Deep into Rectifiers", 2015)."""
    bound = math.sqrt(3) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


@explaining
def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = default_generator,
) -> Tensor:
    """Draw from a normal distribution with variance gain² / fan (He et al., 2015)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}.")
    fan = _fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan)


@explaining
def xavier_uniform_(
    tensor: Tensor, gain: float = 1.0, generator: Generator = default_generator
) -> Tensor:
    """Draw uniformly, variance 2 gain² / (fan-in + fan-out) (Glorot & Bengio, 2010)."""
    bound = gain * math.sqrt(6 / sum(_fans(tensor)))
    return uniform_(tensor, -bound, bound, generator)


@explaining
def xavier_normal_(
    tensor: Tensor, gain: float = 1.0, generator: Generator = default_generator
) -> Tensor:
    """Draw from a normal, variance 2 gain² / (fan-in + fan-out) (Glorot & Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(_fans(tensor))), generator)
