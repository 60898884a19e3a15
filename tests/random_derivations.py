"""Random graphs in small, whose gradients are derived in symbols: one number from three leaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab.errors import TinygradLabError

Operation = Callable[..., Any]

ON_ONE: dict[str, Operation] = {
    "neg": lambda x: -x,
    "abs": abs,
    "tanh": lambda x: tg.tanh(x),
    "exp": lambda x: tg.exp(x * 0.2),
    "log": lambda x: tg.log(abs(x) + 1),
    "sqrt": lambda x: tg.sqrt(abs(x) + 0.5),
    "sin": lambda x: tg.sin(x),
    "relu": lambda x: tg.relu(x),
    "sigmoid": lambda x: tg.sigmoid(x),
    "softplus": lambda x: tg.softplus(x),
    "leaky_relu": lambda x: tg.leaky_relu(x),
    "gelu": lambda x: tg.gelu(x),
    "square": lambda x: tg.square(x) * 0.25,
    "x*x": lambda x: x * x * 0.5,
    "**2": lambda x: x**2,
    "**3": lambda x: (x * 0.5) ** 3,
    "2**": lambda x: 2.0 ** (x * 0.3),
    "1-": lambda x: 1 - x,
    "2/": lambda x: 2 / (abs(x) + 1),
    "clip": lambda x: tg.clip(x, -1, 1),
    "softmax": lambda x: tg.softmax(x),
    "log_softmax": lambda x: tg.log_softmax(x),
    "logsumexp": lambda x: tg.logsumexp(x, axis=-1),
    "sum": lambda x: x.sum(),
    "sum 0": lambda x: x.sum(axis=0),
    "sum -1 kept": lambda x: x.sum(axis=-1, keepdims=True),
    "mean": lambda x: x.mean(),
    "mean -1": lambda x: x.mean(axis=-1),
    "var 0": lambda x: x.var(axis=0),
    "normed": lambda x: (x - x.mean(axis=0)) / (x.var(axis=0) + 0.1) ** 0.5,
    "max": lambda x: x.max(),
    "max 0": lambda x: x.max(axis=0),
    "min -1": lambda x: x.min(axis=-1, keepdims=True),
    "cumulative_sum": lambda x: tg.cumulative_sum(x, axis=-1),
    "sort": lambda x: tg.sort(x, axis=-1),
    "prod": lambda x: tg.prod(x, axis=-1),
    "flip": lambda x: tg.flip(x, axis=0),
    "roll": lambda x: tg.roll(x, 1),
    "T": lambda x: x.T,
    "permute": lambda x: tg.permute_dims(x, tuple(reversed(range(x.ndim)))),
    "reshape": lambda x: x.reshape(-1),
    "column": lambda x: x.reshape((-1, 1)),
    "row": lambda x: x.reshape((1, -1)),
    "expand": lambda x: tg.expand_dims(x, axis=0),
    "squeeze": lambda x: tg.squeeze(x),
    "[0]": lambda x: x[0],
    "[1:]": lambda x: x[1:],
    "[::-1]": lambda x: x[::-1],
    "[..., None]": lambda x: x[..., None],
    "[[0, 0, 1]]": lambda x: x[[0, 0, 1]],
    "broadcast": lambda x: tg.broadcast_to(x, (2, *x.shape)),
    "unstack": lambda x: tg.unstack(x)[0],
    "cross_entropy": lambda x: tg.cross_entropy(x, tg.tensor([0] * x.shape[0])),
}
ON_TWO: dict[str, Operation] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / (y * y + 1),
    "**": lambda x, y: (abs(x) + 0.5) ** (y * 0.3),
    "@": lambda x, y: x @ y,
    "@T": lambda x, y: x @ y.T,
    "linear": lambda x, y: tg.linear(x, y),
    "maximum": lambda x, y: tg.maximum(x, y),
    "where": lambda x, y: tg.where(x > y, x, y * y),
    "concat": lambda x, y: tg.concat([x, y]),
    "stack": lambda x, y: tg.stack([x, y]),
    "vecdot": lambda x, y: tg.vecdot(x, y),
}
SHAPES = ((), (3,), (2, 3), (3, 1), (3, 2), (3, 3), (1, 3), (2, 3, 2))
LARGEST = 60


def random_output(seed: int) -> tuple[tg.Tensor, list[tg.Tensor], str]:
    """Return a number, the leaves that it depends on, and the ops that computed it."""
    rng = np.random.default_rng(seed)
    leaves = [
        tg.tensor(rng.normal(size=SHAPES[rng.integers(len(SHAPES))]), requires_grad=True, name=name)
        for name in "xyw"
    ]
    values: list[tg.Tensor] = list(leaves)
    said = []
    for _ in range(int(rng.integers(3, 9))):
        unary = rng.random() < 0.55
        table = ON_ONE if unary else ON_TWO
        name = list(table)[rng.integers(len(table))]
        # The latest values, most of the time: so that graphs are deep.
        chosen = [values[-1 - min(int(rng.exponential(1.2)), len(values) - 1)] for _ in "ab"]
        made = _applied(table[name], chosen[: 1 if unary else 2])
        if made is not None:
            values.append(made)
            said.append(name)
    output = (values[-1] * values[-1]).mean() + values[len(values) // 2].sum()
    reached = {id(node.node) for node in tg.graph(output)}
    return output, [leaf for leaf in leaves if id(leaf.node) in reached], ", ".join(said)


def _applied(operation: Operation, arguments: list[tg.Tensor]) -> tg.Tensor | None:
    """Return what an operation makes of values; None if it refuses them, or makes too much."""
    try:
        made = operation(*arguments)
    except (TinygradLabError, ValueError, TypeError, IndexError):
        return None
    fits = made.dtype == np.float64 and 0 < made.size <= LARGEST and made.requires_grad
    return made if fits and np.abs(made.detach().numpy()).max() < 1e3 else None
