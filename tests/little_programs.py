"""Small random steps, for properties that must hold of all steps."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

import tinygrad_lab as tg
from tinygrad_lab.nn.functional import conv1d

Part = Callable[[tg.Tensor, tg.Tensor, tg.Tensor], tg.Tensor]

PARTS: dict[str, Part] = {
    "tanh": lambda h, x, w: h.tanh(),
    "exp": lambda h, x, w: (h * 0.1).exp(),
    "square": lambda h, x, w: h * h * 0.1,
    "T": lambda h, x, w: h.T,
    "+x": lambda h, x, w: h + x,
    "*w": lambda h, x, w: h * w,
    "@w": lambda h, x, w: h @ w * 0.3,
    "sum": lambda h, x, w: h - h.sum(axis=0),
    "max": lambda h, x, w: h - h.max(axis=1, keepdims=True),
    "-": lambda h, x, w: 1.0 - h,
    "row": lambda h, x, w: h + h[0],
    "flip": lambda h, x, w: h[::-1] * 2.0,
    "pick": lambda h, x, w: h[[0, 2, 2]],
    "relu": lambda h, x, w: h.relu(),
    "half": lambda h, x, w: tg.where(h > 0.5, h, 0.5),
    "join": lambda h, x, w: tg.concat((h[:1], h[1:] * 0.5)),
    "twice": lambda h, x, w: tg.concat(((half := h * 0.5), half), axis=1)[:, 1:4],
    "set": lambda h, x, w: h.at[1:].set(0.5),
    "add": lambda h, x, w: h.at[[0, 2, 0]].add(x * 0.5),
    "conv": lambda h, x, w: conv1d(h[None] * 0.2, tg.stack([w, w], axis=2), padding=1)[0, :, :3],
}
"""The operations of a program on a matrix h, with the input x and the weights w."""

little_programs = st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=8)


def step_of(program: list[str], dtype: Any) -> tuple[tg.Tensor, Callable[[tg.Tensor], tg.Tensor]]:
    """Make weights, and a step: forward, backward and update."""
    w = tg.tensor(np.random.default_rng(0).normal(size=(3, 3)), dtype=dtype, requires_grad=True)

    def step(x: tg.Tensor) -> tg.Tensor:
        h = x * w
        for part in program:
            h = PARTS[part](h, x, w)
        loss = h.sum()
        w.grad = None
        loss.backward()
        with tg.no_grad():
            w.data = w - 0.01 * w.grad
        return loss

    return w, step
