"""JAX: the whole step, with its update, as one jitted function that works in donated memory.

The number of cores that XLA uses is fixed when its client starts, by ``NPROC`` in the environment.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax import lax, numpy as jnp

from benchmarks.participant import Outcome, Participant
from benchmarks.problems import (
    DIRECTIONS,
    HIDDEN,
    KERNELS,
    PADDING,
    STRIDE,
    Model,
    Parameters,
    Training,
)

# Every step waits for its loss; another thread would only delay it.
jax.config.update("jax_cpu_enable_async_dispatch", False)

Array = jax.Array
Tree = dict[str, Array]


def linear(p: Tree, name: str, x: Array) -> Array:
    """Return x Wᵀ + b."""
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def logistic(p: Tree, x: Array) -> Array:
    """Run linear 40 → 10."""
    return linear(p, "linear", x)


def mlp(p: Tree, x: Array) -> Array:
    """Run linear 40 → H → H → 10 with ReLU between."""
    h = jax.nn.relu(linear(p, "linear1", x))
    h = jax.nn.relu(linear(p, "linear2", h))
    return linear(p, "linear3", h)


def cnn(p: Tree, x: Array) -> Array:
    """Run three convolutions with ReLU, then linear 125 → 10."""
    h = x[:, None, :]
    for index in range(1, len(KERNELS) + 1):
        h = lax.conv_general_dilated(
            h,
            p[f"conv{index}.weight"],
            (STRIDE,),
            [(PADDING, PADDING)],
            dimension_numbers=("NCH", "OIH", "NCH"),
        )
        h = jax.nn.relu(h + p[f"conv{index}.bias"][:, None])
    return linear(p, "linear", h.reshape(len(x), -1))


def gru(p: Tree, x: Array) -> Array:
    """Run a bidirectional GRU in one scan; all outputs into linear 480 → 10."""
    w_ih, w_hh, b_ih, b_hh = (
        jnp.stack([p[f"gru.{part}_l0{suffix}"] for suffix in DIRECTIONS])
        for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    steps = jnp.stack([x.T, x.T[::-1]], axis=1)  # (T, 2, N)

    def step(h: Array, x_t: Array) -> tuple[Array, Array]:
        from_input = x_t[:, :, None] * w_ih[:, None, :, 0] + b_ih[:, None]
        from_state = jnp.einsum("dnh,dgh->dng", h, w_hh) + b_hh[:, None]
        r, z = (
            jax.nn.sigmoid(from_input[..., part] + from_state[..., part])
            for part in (slice(0, HIDDEN), slice(HIDDEN, 2 * HIDDEN))
        )
        n = jnp.tanh(from_input[..., 2 * HIDDEN :] + r * from_state[..., 2 * HIDDEN :])
        h = (1 - z) * n + z * h
        return h, h

    _, out = lax.scan(step, jnp.zeros((2, len(x), HIDDEN), x.dtype), steps)
    both = jnp.concatenate([out[:, 0], out[::-1, 1]], axis=2).transpose(1, 0, 2)
    return linear(p, "linear", both.reshape(len(x), -1))


MODELS: dict[Model, Callable[[Tree, Array], Array]] = {
    "logistic": logistic,
    "mlp": mlp,
    "cnn": cnn,
    "gru": gru,
}


def sgd(p: Tree, g: Tree, state: Any, rate: float) -> tuple[Tree, Any]:
    """Update p ← p - lr g."""
    return jax.tree.map(lambda p, g: p - rate * g, p, g), state


def adam(p: Tree, g: Tree, state: Any, rate: float) -> tuple[Tree, Any]:
    """Update by Kingma & Ba (2015), Algorithm 1, with PyTorch's defaults."""
    m, v, t = state
    t = t + 1
    m = jax.tree.map(lambda m, g: 0.9 * m + (1 - 0.9) * g, m, g)
    v = jax.tree.map(lambda v, g: 0.999 * v + (1 - 0.999) * g * g, v, g)
    correction1, correction2 = 1 - 0.9**t, 1 - 0.999**t

    def moved(p: Array, m: Array, v: Array) -> Array:
        return p - rate * (m / correction1) / (jnp.sqrt(v / correction2) + 1e-8)

    return jax.tree.map(moved, p, m, v), (m, v, t)


class TrainingStep(Participant):
    """Loss, gradients and update in one compiled function."""

    def __init__(self, problem: Training) -> None:
        cores = int(os.environ.get("NPROC", len(os.sched_getaffinity(0))))
        self.name = f"JAX jit, {cores} core{'s' * (cores > 1)}"
        self.problem = problem
        model, rate = MODELS[problem.model], problem.learning_rate
        update = {"sgd": sgd, "adam": adam}[problem.optimiser]
        self.x, self.labels = jnp.asarray(problem.x), jnp.asarray(problem.labels)

        def loss_of(p: Tree, x: Array, labels: Array) -> Array:
            log_probabilities = jax.nn.log_softmax(model(p, x))
            return -jnp.take_along_axis(log_probabilities, labels[:, None], axis=1).mean()

        def step(p: Tree, state: Any, x: Array, labels: Array) -> tuple[Array, Tree, Any]:
            loss, g = jax.value_and_grad(loss_of)(p, x, labels)
            return loss, *update(p, g, state, rate)

        self.loss_and_gradients = jax.jit(jax.value_and_grad(loss_of))
        self.compiled = jax.jit(step, donate_argnums=(0, 1))
        self.reset()

    def reset(self) -> None:
        # Copies: donated memory must not belong to NumPy.
        start = {name: jnp.array(value) for name, value in self.problem.parameters.items()}
        zeros = jax.tree.map(jnp.zeros_like, start)
        self.parameters = start
        self.state: Any = None
        if self.problem.optimiser == "adam":
            self.state = zeros, jax.tree.map(jnp.zeros_like, start), jnp.zeros((), jnp.float32)

    def step(self) -> Array:
        loss, self.parameters, self.state = self.compiled(
            self.parameters, self.state, self.x, self.labels
        )
        return loss.block_until_ready()

    def outcome(self) -> Outcome:
        self.reset()
        loss, gradients = self.loss_and_gradients(self.parameters, self.x, self.labels)
        as_arrays: Parameters = {name: np.array(g) for name, g in gradients.items()}
        return Outcome(float(loss), as_arrays)


BUILDERS = {"training": TrainingStep}
