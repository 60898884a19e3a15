"""The equations of one time step, which layers repeat and cells apply once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, excerpt

__all__ = ["NONLINEARITIES", "lstm_step", "nonlinearity_of", "project", "rnn_step", "zeros_beside"]

_linear, _unstack, _reshape = direct(ops.linear), direct(ops.unstack), direct(ops.reshape)
_sigmoid, _tanh = direct(ops.sigmoid), direct(ops.tanh)

NONLINEARITIES: dict[str, Callable[[Any], Any]] = {"tanh": _tanh, "relu": direct(ops.relu)}


def nonlinearity_of(kind: str, name: Any) -> str:
    """Return the name of a nonlinearity of an RNN, if there is one.

    Raises:
        ArgumentError: for any other name.
    """
    if name not in NONLINEARITIES:
        raise ArgumentError(f"{kind}: nonlinearity is 'tanh' or 'relu', got {excerpt(name)}.")
    return str(name)


def zeros_beside(parameter: Tensor, shape: tuple[int, ...]) -> Tensor:
    """Return zeros of the dtype and on the device of a parameter."""
    return tensor(np.zeros(shape, dtype=parameter.dtype), device=parameter.device)


def project(x: Any, weight: Any, bias: Any) -> Any:
    """Return what all gates see of x or of the state: x Wᵀ + b."""
    return _linear(x, weight, bias)


def rnn_step(from_x: Any, h: Any, weight: Any, bias: Any, nonlinearity: str) -> Any:
    """Return h' = tanh(W_ih x + b_ih + W_hh h + b_hh), (N, hidden), or with relu for tanh.

    ``from_x`` is W_ih x + b_ih.
    """
    return NONLINEARITIES[nonlinearity](from_x + project(h, weight, bias))


def lstm_step(from_x: Any, h: Any, c: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
    """Return the hidden state and the cell after a step, (N, hidden) each.

        i, f, o = sigmoid of their parts of W_ih x + b_ih + W_hh h + b_hh
        g  = tanh of its part
        c' = f * c + i * g
        h' = o * tanh(c')

    ``from_x`` is W_ih x + b_ih, (N, 4 * hidden), in the order i, f, g, o.

    Source: Hochreiter & Schmidhuber, "Long Short-Term Memory", 1997, with the forget gate of Gers,
    Schmidhuber & Cummins, "Learning to Forget", 2000.
    """
    together = from_x + project(h, weight, bias)
    of_gates = _reshape(together, (c.shape[0], 4, c.shape[1]))
    i, f, g, o = _unstack(of_gates, axis=1)
    c = _sigmoid(f) * c + _sigmoid(i) * _tanh(g)
    return _sigmoid(o) * _tanh(c), c
