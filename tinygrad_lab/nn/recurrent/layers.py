"""Recurrent layers: RNN, LSTM and GRU, stacked and in both directions."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from tinygrad_lab import ops
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError, excerpt
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers import at_least, uniform_parameter
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.recurrent.steps import (
    lstm_step,
    nonlinearity_of,
    project,
    rnn_step,
    zeros_beside,
)

__all__ = ["GRU", "LSTM", "RNN"]

_gru = direct(ops.gru)
_NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")

States = tuple[Any, ...]
"""The initial or the final states of a layer: its hidden state, for an LSTM also its cell."""


class _Recurrent(Module):
    """Stacked layers that read a sequence, in one direction or both.

    A subclass says how many gates a step has, what its states are called, and how one layer reads.
    """

    gates: ClassVar[int]
    state_names: ClassVar[tuple[str, ...]] = ("h0",)

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        super().__init__()
        at_least(1, input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        _check_dropout(type(self).__name__, dropout, num_layers)
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, dropout
        self.bidirectional = bidirectional
        rows = self.gates * hidden_size
        for layer, suffix in self._suffixes():
            features = input_size if layer == 0 else hidden_size * self.directions
            shapes: Sequence[tuple[int, ...]] = (
                *((rows, features), (rows, hidden_size)),
                *((rows,), (rows,)),
            )
            for name, shape in zip(_NAMES if bias else _NAMES[:2], shapes, strict=False):
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

    def _parameters_of(self, layer: int) -> list[Any]:
        """Return weights and biases of each direction; None for biases that there are not."""
        return [
            getattr(self, f"{name}_{suffix}", None)
            for its_layer, suffix in self._suffixes()
            if its_layer == layer
            for name in _NAMES
        ]

    def _check(self, x: Tensor, initial: States | None) -> None:
        kind, shape = type(self).__name__, tuple(x.shape)
        axes = "N, T" if self.batch_first else "T, N"
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            raise ShapeError(
                f"{kind} with batch_first={self.batch_first}: expected x of one sequence, "
                f"(T, {self.input_size}), or of shape ({axes}, {self.input_size}), got {shape}."
            )
        if shape[1 if len(shape) == 3 and self.batch_first else 0] == 0:
            raise ShapeError(f"{kind}: expected at least one step, got x of shape {shape}.")
        batch = () if len(shape) == 2 else (shape[0 if self.batch_first else 1],)
        expected = (self.num_layers * self.directions, *batch, self.hidden_size)
        for name, state in zip(self.state_names, initial or (), strict=False):
            if tuple(state.shape) != expected:
                raise ShapeError(
                    f"{kind}: expected {'initial states' if name == 'h0' else 'cells'} {name} of "
                    f"shape (num_layers * directions, {'N, ' if batch else ''}hidden_size) = "
                    f"{expected}, got {tuple(state.shape)}."
                )

    def _run(self, x: Tensor, initial: States | None) -> tuple[Tensor, States]:
        """Return all states of the last layer and the final states of all, in x's layout."""
        self._check(x, initial)
        is_batched = len(x.shape) == 3
        if not is_batched:
            x = x[None]
        elif not self.batch_first:
            x = ops.permute_dims(x, (1, 0, 2))
        if initial is None:
            shape = (self.num_layers * self.directions, x.shape[0], self.hidden_size)
            initial = (zeros_beside(self._parameters_of(0)[0], shape),) * len(self.state_names)
        elif not is_batched:
            initial = tuple(state[:, None] for state in initial)
        finals: list[States] = []
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = functional.dropout(x, self.dropout)
            first = layer * self.directions
            mine = tuple(state[first : first + self.directions] for state in initial)
            x, last = self._read(x, mine, self._parameters_of(layer))
            finals += last
        stacked = [ops.stack(list(of_one_kind)) for of_one_kind in zip(*finals, strict=True)]
        if not is_batched:
            return x[0], tuple(state[:, 0] for state in stacked)
        return x if self.batch_first else ops.permute_dims(x, (1, 0, 2)), tuple(stacked)

    def _read(self, x: Any, initial: States, parameters: list[Any]) -> tuple[Any, list[States]]:
        """Return all states of one layer, (N, T, directions * hidden), and its final states.

        ``x`` is (N, T, features), each of ``initial`` (directions, N, hidden).
        """
        outputs, finals = [], []
        for d in range(self.directions):
            own = parameters[4 * d : 4 * d + 4]
            steps = ops.unstack(project(x, own[0], own[2]), axis=1)
            states = tuple(state[d] for state in initial)
            after = []
            for from_x in reversed(steps) if d else steps:
                states = self._step(from_x, states, own[1], own[3])
                after.append(states[0])
            outputs.append(ops.stack(after[::-1] if d else after, axis=1))
            finals.append(states)
        return outputs[0] if len(outputs) == 1 else ops.concat(outputs, axis=2), finals

    def _step(self, from_x: Any, states: States, weight: Any, bias: Any) -> States:
        """Return the states after one step, of which ``from_x`` is the projected input."""
        raise NotImplementedError

    def extra_repr(self) -> str:
        biases = "" if self.bias else ", bias=False"
        dropout = f", dropout={self.dropout}" if self.dropout else ""
        return (
            f"{self.input_size}, {self.hidden_size}, num_layers={self.num_layers}{biases}, "
            f"batch_first={self.batch_first}{dropout}, bidirectional={self.bidirectional}"
        )


def _check_dropout(kind: str, dropout: float, num_layers: int) -> None:
    is_number = isinstance(dropout, int | float) and not isinstance(dropout, bool)
    if not is_number or not 0 <= dropout <= 1:
        raise ArgumentError(f"{kind}: dropout is a probability from 0 to 1, got {dropout!r}.")
    if dropout and num_layers == 1:
        warnings.warn(
            f"{kind}: dropout={dropout} acts between layers, and there is only one: set "
            "num_layers, or add nn.Dropout after it.",
            stacklevel=4,
        )


def _one_state(kind: str, hx: Any) -> States | None:
    """Return the initial hidden state of an RNN or a GRU."""
    if isinstance(hx, list | tuple):
        raise ArgumentTypeError(
            f"{kind}: expected the initial states as one tensor, got a {type(hx).__name__} of "
            f"{len(hx)}; only an LSTM takes a pair, (h0, c0)."
        )
    return None if hx is None else (hx,)


class RNN(_Recurrent):
    """A simple recurrent net (Elman's), with PyTorch's equations, names and initialisation.

        h' = tanh(W_ih x + b_ih + W_hh h + b_hh)

    Args:
        input_size: number of features of each step.
        hidden_size: number of features of the state.
        num_layers: number of stacked layers.
        nonlinearity: "tanh" or "relu".
        bias: whether there are b_ih and b_hh.
        batch_first: whether x is (N, T, input_size) rather than (T, N, input_size).
        dropout: in training, the probability of losing an element between layers.
        bidirectional: whether a second set of units reads the steps in reverse.

    Called with x, and optionally the initial states (layers * directions, N, hidden_size), it
    returns all states of the last layer, (N, T, directions * hidden_size) or with T first, and the
    final states (layers * directions, N, hidden_size). For one sequence, (T, input_size), there is
    no N.

    Raises:
        ArgumentError: for sizes below 1, another nonlinearity, a dropout outside 0 to 1.
        ShapeError: from a call, for an x or initial states of another shape.

    Source: Elman, "Finding structure in time", 1990.

    Example:
        >>> import tinygrad_lab as tg
        >>> rnn = tg.nn.RNN(1, 6, num_layers=2, batch_first=True)
        >>> output, last = rnn(tg.tensor([[[0.5], [1.0], [0.0]]]))
        >>> output.shape, last.shape
        ((1, 3, 6), (2, 1, 6))
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(*sizes, bias, batch_first, dropout, bidirectional)
        self.nonlinearity = nonlinearity_of("RNN", nonlinearity)

    def forward(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (last,) = self._run(x, _one_state("RNN", hx))
        return output, last

    def _step(self, from_x: Any, states: States, weight: Any, bias: Any) -> States:
        return (rnn_step(from_x, states[0], weight, bias, self.nonlinearity),)

    def extra_repr(self) -> str:
        relu = "" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity!r}"
        return super().extra_repr() + relu


class LSTM(_Recurrent):
    """Long short-term memory, with PyTorch's equations, names and initialisation.

        i  = sigmoid(W_ii x + b_ii + W_hi h + b_hi)
        f  = sigmoid(W_if x + b_if + W_hf h + b_hf)
        g  = tanh(W_ig x + b_ig + W_hg h + b_hg)
        o  = sigmoid(W_io x + b_io + W_ho h + b_ho)
        c' = f * c + i * g
        h' = o * tanh(c')

    Args:
        input_size: number of features of each step.
        hidden_size: number of features of the state and of the cell.
        num_layers: number of stacked layers.
        bias: whether there are biases.
        batch_first: whether x is (N, T, input_size) rather than (T, N, input_size).
        dropout: in training, the probability of losing an element between layers.
        bidirectional: whether a second set of units reads the steps in reverse.
        proj_size: only 0; a projection of the state is refused.

    Called with x, and optionally a pair (h0, c0) of states (layers * directions, N, hidden_size),
    it returns all states h of the last layer, (N, T, directions * hidden_size) or with T first, and
    the pair of final states. For one sequence, (T, input_size), there is no N.

    Raises:
        ArgumentError: for sizes below 1, a dropout outside 0 to 1, a ``proj_size``.
        ShapeError: from a call, for an x or initial states of another shape.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers,
    Schmidhuber & Cummins, "Learning to Forget", 2000.

    Example:
        >>> import tinygrad_lab as tg
        >>> lstm = tg.nn.LSTM(1, 6, batch_first=True, bidirectional=True)
        >>> output, (h, c) = lstm(tg.tensor([[[0.5], [1.0], [0.0]]]))
        >>> output.shape, h.shape, c.shape
        ((1, 3, 12), (2, 1, 6), (2, 1, 6))
    """

    gates, state_names = 4, ("h0", "c0")

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
    ) -> None:
        if proj_size != 0:
            raise ArgumentError(
                f"LSTM: proj_size={excerpt(proj_size)} is not offered, since it changes the shapes "
                "of states and weights for nets much larger than those here: leave it out, and put "
                "nn.Linear(hidden_size, proj_size) behind the LSTM."
            )
        sizes = (input_size, hidden_size, num_layers)
        super().__init__(*sizes, bias, batch_first, dropout, bidirectional)

    def forward(
        self, x: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        if hx is not None and (not isinstance(hx, list | tuple) or len(hx) != 2):
            raise ArgumentTypeError(
                f"LSTM: expected the initial states as a pair (h0, c0), got {excerpt(hx)}."
            )
        output, (h, c) = self._run(x, None if hx is None else tuple(hx))
        return output, (h, c)

    def _step(self, from_x: Any, states: States, weight: Any, bias: Any) -> States:
        h, c = states
        return lstm_step(from_x, h, c, weight, bias)


class GRU(_Recurrent):
    """Gated recurrent units, with PyTorch's equations, names and initialisation.

        r  = sigmoid(W_ir x + b_ir + W_hr h + b_hr)
        z  = sigmoid(W_iz x + b_iz + W_hz h + b_hz)
        n  = tanh(W_in x + b_in + r * (W_hn h + b_hn))
        h' = (1 - z) * n + z * h

    Arguments, shapes and errors are those of ``RNN``, without ``nonlinearity``. One layer is one
    fused op, whose composite has the small ops of each step.

    Source: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder", 2014.

    Example:
        >>> import tinygrad_lab as tg
        >>> gru = tg.nn.GRU(1, 6, batch_first=True, bidirectional=True)
        >>> output, last = gru(tg.tensor([[[0.5], [1.0]]]))
        >>> output.shape, last.shape
        ((1, 2, 12), (2, 1, 6))
    """

    gates = 3

    def forward(self, x: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, (last,) = self._run(x, _one_state("GRU", hx))
        return output, last

    def _read(self, x: Any, initial: States, parameters: list[Any]) -> tuple[Any, list[States]]:
        if not self.bias:
            none = zeros_beside(parameters[0], (3 * self.hidden_size,))
            parameters = [none if one is None else one for one in parameters]
        states = _gru(x, initial[0], *parameters)
        finals: list[States] = [(states[:, -1, : self.hidden_size],)]
        if self.bidirectional:
            finals.append((states[:, 0, self.hidden_size :],))
        return states, finals
