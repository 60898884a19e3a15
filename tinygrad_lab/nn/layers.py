"""Layers of single samples: linear, embedding, flatten."""

from __future__ import annotations

import math

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import empty
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.nn import functional, init
from tinygrad_lab.nn.module import Module, Parameter

__all__ = ["Embedding", "Flatten", "Linear"]

_linear = direct(ops.linear)
_embedding = direct(functional.embedding)


def uniform_parameter(shape: tuple[int, ...], fan_in: int) -> Parameter:
    """Make a parameter drawn uniformly from ±1/√fan_in, the default of PyTorch's layers."""
    bound = 1 / math.sqrt(fan_in) if fan_in else 0.0
    parameter = Parameter(empty(shape))
    init.uniform_(parameter, -bound, bound)
    return parameter


def at_least(minimum: int, **sizes: int) -> None:
    """Raise an ``ArgumentError`` for invalid sizes of a layer."""
    for name, size in sizes.items():
        if not isinstance(size, int) or size < minimum:
            raise ArgumentError(f"{name} must be an integer, {minimum} or more, got {size!r}.")


class Linear(Module):
    """x @ weight.T + bias.

    ``weight`` is (out_features, in_features), ``bias`` (out_features,); both are drawn uniformly
    from ±1/√in_features, as in PyTorch.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.Linear(3, 2)
        >>> layer(tg.tensor([[1.0, 2.0, 3.0]])).shape
        (1, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True) -> None:
        super().__init__()
        at_least(1, in_features=in_features, out_features=out_features)
        self.in_features, self.out_features = in_features, out_features
        self.weight = uniform_parameter((out_features, in_features), in_features)
        self.bias = uniform_parameter((out_features,), in_features) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return _linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Embedding(Module):
    """Maps each integer to a row of ``weight``, (num_embeddings, embedding_dim).

    The rows are drawn from a standard normal distribution, as in PyTorch.

    Args:
        num_embeddings: the number of rows; the integers are 0 to ``num_embeddings`` - 1.
        embedding_dim: the length of a row.
        padding_idx: an integer whose row starts at zero and gets no gradient.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Embedding(10, 3)(tg.tensor([[1, 2], [4, 1]])).shape
        (2, 2, 3)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None
    ) -> None:
        super().__init__()
        at_least(1, num_embeddings=num_embeddings, embedding_dim=embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                f"padding_idx must be one of {num_embeddings} rows, got {padding_idx}."
            )
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.weight = init.normal_(Parameter(empty((num_embeddings, embedding_dim))))
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0

    def forward(self, x: Tensor) -> Tensor:
        return _embedding(x, self.weight, self.padding_idx)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Flatten(Module):
    """Joins all axes of x from ``start_dim`` on into one."""

    def __init__(self, start_dim: int = 1) -> None:
        super().__init__()
        self.start_dim = start_dim

    def forward(self, x: Tensor) -> Tensor:
        return ops.flatten(x, self.start_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}"
