"""Layers with memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.nn import init
from tinygrad_lab.nn.module import Module, Parameter
from tinygrad_lab.tensor import Tensor, get_default_dtype, tensor

__all__ = ["GRU"]


class GRU(Module):
    """Gated recurrent units, with PyTorch's equations, names and initialisation.

        r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
        z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h' = (1 - z) * n + z * h

    Args:
        input_size: features of each step.
        hidden_size: features of the state.
        num_layers: layers on top of each other.
        batch_first: whether x is (N, T, input_size) rather than (T, N, input_size).
        bidirectional: whether a second set of units reads the steps backwards.

    Calling it with x, and optionally the first states (layers * directions, N, hidden_size),
    returns all states of the last layer, (N, T, directions * hidden_size) or with T first, and
    the last states (layers * directions, N, hidden_size).

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.

    Example:
        >>> import tinygrad_lab as tg
        >>> gru = tg.nn.GRU(1, 6, batch_first=True, bidirectional=True)
        >>> output, last = gru(tg.tensor([[[0.5], [1.0]]]))
        >>> output.shape, last.shape
        ((1, 2, 12), (2, 1, 6))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        if min(input_size, hidden_size, num_layers) < 1:
            raise ArgumentError(
                "input_size, hidden_size and num_layers must be 1 or more, got "
                f"{input_size}, {hidden_size}, {num_layers}."
            )
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.bidirectional = batch_first, bidirectional
        for layer, suffix in self._suffixes():
            features = input_size if layer == 0 else hidden_size * self.directions
            for name, shape in (
                ("weight_ih", (3 * hidden_size, features)),
                ("weight_hh", (3 * hidden_size, hidden_size)),
                ("bias_ih", (3 * hidden_size,)),
                ("bias_hh", (3 * hidden_size,)),
            ):
                parameter = Parameter(np.empty(shape, dtype=get_default_dtype()))
                bound = 1 / math.sqrt(hidden_size)
                init.uniform_(parameter, -bound, bound)
                setattr(self, f"{name}_{suffix}", parameter)

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> Iterator[tuple[int, str]]:
        """The layers with the suffixes of their parameters' names, as in PyTorch."""
        for layer in range(self.num_layers):
            yield layer, f"l{layer}"
            if self.bidirectional:
                yield layer, f"l{layer}_reverse"

    def _parameters_of(self, layer: int) -> list[Parameter]:
        return [
            getattr(self, f"{name}_{suffix}")
            for its_layer, suffix in self._suffixes()
            if its_layer == layer
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]

    def forward(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        if not self.batch_first:
            x = ops.permute_dims(x, (1, 0, 2))
        if h0 is None:
            shape = (self.num_layers * self.directions, x.shape[0], self.hidden_size)
            h0 = tensor(np.zeros(shape, dtype=x.dtype), device=x.device)
        last = []
        for layer in range(self.num_layers):
            first = layer * self.directions
            initial = h0[first : first + self.directions]
            x = ops.gru(x, initial, *self._parameters_of(layer))
            last.append(x[:, -1, : self.hidden_size])
            if self.bidirectional:
                last.append(x[:, 0, self.hidden_size :])
        output = x if self.batch_first else ops.permute_dims(x, (1, 0, 2))
        return output, ops.stack(last)

    def extra_repr(self) -> str:
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}, "
            f"batch_first={self.batch_first}, bidirectional={self.bidirectional}"
        )
