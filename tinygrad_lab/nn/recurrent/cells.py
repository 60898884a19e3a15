"""Cells: one time step of a recurrent layer, for loops that users write."""

from __future__ import annotations

from typing import Any, ClassVar

from tinygrad_lab import ops
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, ShapeError, excerpt
from tinygrad_lab.nn.layers import at_least, uniform_parameter
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.recurrent.steps import (
    lstm_step,
    nonlinearity_of,
    project,
    rnn_step,
    zeros_beside,
)

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]

_gru = direct(ops.gru)


class _Cell(Module):
    """One step: a subclass says how many gates it has, and computes it."""

    gates: ClassVar[int]

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        at_least(1, input_size=input_size, hidden_size=hidden_size)
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        rows = self.gates * hidden_size
        self.weight_ih = uniform_parameter((rows, input_size), hidden_size)
        self.weight_hh = uniform_parameter((rows, hidden_size), hidden_size)
        self.bias_ih = uniform_parameter((rows,), hidden_size) if bias else None
        self.bias_hh = uniform_parameter((rows,), hidden_size) if bias else None

    def _batched(self, x: Tensor, *states: Any) -> list[Any]:
        """Return x and the states with an axis for samples; zeros for states of None."""
        kind, shape = type(self).__name__, tuple(x.shape)
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            raise ShapeError(
                f"{kind}: expected x of shape (N, {self.input_size}), or of one sample "
                f"({self.input_size},), got {shape}."
            )
        expected = (*shape[:-1], self.hidden_size)
        found = [zeros_beside(self.weight_ih, expected) if s is None else s for s in states]
        for state in found:
            if tuple(state.shape) != expected:
                raise ShapeError(
                    f"{kind}: with x of shape {shape}, expected states of shape {expected}, got "
                    f"{tuple(state.shape)}."
                )
        together = [x, *found]
        return together if len(shape) == 2 else [one[None] for one in together]

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias else ", bias=False")


class RNNCell(_Cell):
    """One step of an ``RNN``: h' = tanh(W_ih x + b_ih + W_hh h + b_hh).

    Args:
        input_size: number of features of x.
        hidden_size: number of features of the state.
        bias: whether there are b_ih and b_hh.
        nonlinearity: "tanh" or "relu".

    Called with x (N, input_size), and optionally the state (N, hidden_size), it returns the next
    state; x and states may be of one sample, without N.

    Raises:
        ArgumentError: for sizes below 1 or another nonlinearity.
        ShapeError: from a call, for an x or a state of another shape.

    Source: Elman, "Finding structure in time", 1990.

    Example:
        >>> import tinygrad_lab as tg
        >>> cell, h = tg.nn.RNNCell(1, 3), None
        >>> for x in tg.tensor([[[0.5]], [[1.0]]]):
        ...     h = cell(x, h)
        >>> h.shape
        (1, 3)
    """

    gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh"
    ) -> None:
        super().__init__(input_size, hidden_size, bias)
        self.nonlinearity = nonlinearity_of("RNNCell", nonlinearity)

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Any:
        x_, h = self._batched(x, hx)
        from_x = project(x_, self.weight_ih, self.bias_ih)
        after = rnn_step(from_x, h, self.weight_hh, self.bias_hh, self.nonlinearity)
        return after if len(x.shape) == 2 else after[0]

    def extra_repr(self) -> str:
        relu = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}"
        return super().extra_repr() + relu


class LSTMCell(_Cell):
    """One step of an ``LSTM``.

    Args:
        input_size: number of features of x.
        hidden_size: number of features of the state and of the cell.
        bias: whether there are biases.

    Called with x (N, input_size), and optionally a pair (h, c) of states (N, hidden_size), it
    returns the next pair; x and states may be of one sample, without N.

    Raises:
        ArgumentError: for sizes below 1.
        ArgumentTypeError: from a call, for states that are no pair.
        ShapeError: from a call, for an x or a state of another shape.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997.

    Example:
        >>> import tinygrad_lab as tg
        >>> h, c = tg.nn.LSTMCell(1, 3)(tg.tensor([[0.5], [1.0]]))
        >>> h.shape, c.shape
        ((2, 3), (2, 3))
    """

    gates = 4

    def forward(self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        if hx is not None and (not isinstance(hx, list | tuple) or len(hx) != 2):
            raise ArgumentTypeError(
                f"LSTMCell: expected the states as a pair (h, c), got {excerpt(hx)}."
            )
        x_, h, c = self._batched(x, *(hx or (None, None)))
        from_x = project(x_, self.weight_ih, self.bias_ih)
        h, c = lstm_step(from_x, h, c, self.weight_hh, self.bias_hh)
        return (h, c) if len(x.shape) == 2 else (h[0], c[0])


class GRUCell(_Cell):
    """One step of a ``GRU``.

    Args:
        input_size: number of features of x.
        hidden_size: number of features of the state.
        bias: whether there are biases.

    Called with x (N, input_size), and optionally the state (N, hidden_size), it returns the next
    state; x and states may be of one sample, without N.

    Raises:
        ArgumentError: for sizes below 1.
        ShapeError: from a call, for an x or a state of another shape.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.GRUCell(1, 3)(tg.tensor([[0.5], [1.0]])).shape
        (2, 3)
    """

    gates = 3

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Any:
        x_, h = self._batched(x, hx)
        biases: Any = (self.bias_ih, self.bias_hh)
        if self.bias_ih is None:
            biases = (zeros_beside(self.weight_ih, (3 * self.hidden_size,)),) * 2
        after = _gru(x_[:, None], h[None], self.weight_ih, self.weight_hh, *biases)[:, 0]
        return after if len(x.shape) == 2 else after[0]
