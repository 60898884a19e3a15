"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.nn.layers import at_least, uniform_parameter
from tinygrad_lab.nn.module import Module, Parameter

__all__ = ["GRU"]

_gru = direct(ops.gru)


class GRU(Module):
    """Gated recurrent units, with PyTorch's equations, names and initialisation.

        r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
        z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h' = (1 - z) * n + z * h

    Args:
        input_size: number of features of each step.
        hidden_size: number of features of the state.
        num_layers: number of stacked layers.
        batch_first: whether x is (N, T, input_size) rather than (T, N, input_size).
        bidirectional: whether a second set of units reads the steps in reverse.

    Called with x, and optionally the initial states (layers * directions, N, hidden_size), it
    returns all states of the last layer, (N, T, directions * hidden_size) or with T first, and the
    final states (layers * directions, N, hidden_size).

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
        at_least(1, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.batch_first, self.bidirectional = batch_first, bidirectional
        for layer, suffix in self._suffixes():
            features = input_size if layer == 0 else hidden_size * self.directions
            shapes: dict[str, tuple[int, ...]] = {
                "weight_ih": (3 * hidden_size, features),
                "weight_hh": (3 * hidden_size, hidden_size),
                "bias_ih": (3 * hidden_size,),
                "bias_hh": (3 * hidden_size,),
            }
            for name, shape in shapes.items():
                setattr(self, f"{name}_{suffix}", uniform_parameter(shape, hidden_size))

    @property
    def directions(self) -> int:
        """2 if bidirectional, else 1."""
        return 2 if self.bidirectional else 1

    def _suffixes(self) -> Iterator[tuple[int, str]]:
        """Yield the layers with the suffixes of their parameters' names, as in PyTorch."""
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

    def _state_shape(self, batch: int) -> tuple[int, int, int]:
        return self.num_layers * self.directions, batch, self.hidden_size

    def _check(self, x: Tensor, h0: Tensor | None) -> None:
        axes = "N, T" if self.batch_first else "T, N"
        if len(x.shape) != 3 or x.shape[2] != self.input_size:
            raise ShapeError(
                f"GRU with batch_first={self.batch_first}: expected x of shape ({axes}, "
                f"{self.input_size}), got {tuple(x.shape)}."
            )
        expected = self._state_shape(x.shape[0 if self.batch_first else 1])
        if h0 is not None and tuple(h0.shape) != expected:
            raise ShapeError(
                "GRU: expected initial states of shape (num_layers * directions, N, "
                f"hidden_size) = {expected}, got {tuple(h0.shape)}."
            )

    def forward(self, x: Tensor, h0: Tensor | None = None) -> tuple[Tensor, Tensor]:
        self._check(x, h0)
        if not self.batch_first:
            x = ops.permute_dims(x, (1, 0, 2))
        if h0 is None:
            weight = self._parameters_of(0)[0]
            zeros = np.zeros(self._state_shape(x.shape[0]), dtype=weight.dtype)
            h0 = tensor(zeros, device=weight.device)
        last = []
        for layer in range(self.num_layers):
            first = layer * self.directions
            initial = h0[first : first + self.directions]
            x = _gru(x, initial, *self._parameters_of(layer))
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
