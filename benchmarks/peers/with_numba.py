"""numba by hand: products by BLAS, elementwise operations as fused loops, in one function.

Written for the logistic model and the MLP; other models would need functions of their own.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from benchmarks.buffers import Vector
from benchmarks.participant import Outcome, Participant
from benchmarks.problems import Array, Training

# Sums may be reassociated, as BLAS does; no other option changes numbers more.
FAST = {"reassoc", "contract", "nsz"}


@numba.njit(fastmath=FAST)
def softmax_gradient(logits: Array, bias: Array, labels: Array) -> float:
    """Add the bias, return the mean loss, and leave its gradient; ``logits`` (classes, batch)."""
    classes, batch = logits.shape
    largest = np.full(batch, -np.inf, np.float32)
    total = np.zeros(batch, np.float32)
    for c in range(classes):
        for i in range(batch):
            logits[c, i] += bias[c]
            largest[i] = max(largest[i], logits[c, i])
    loss = np.float32(0)
    for i in range(batch):
        loss -= logits[labels[i], i] - largest[i]
    for c in range(classes):
        for i in range(batch):
            logits[c, i] = np.exp(logits[c, i] - largest[i])
            total[i] += logits[c, i]
    share = np.float32(1 / batch)
    for i in range(batch):
        loss += np.log(total[i])
        total[i] = share / total[i]
    for c in range(classes):
        for i in range(batch):
            logits[c, i] *= total[i]
    for i in range(batch):
        logits[labels[i], i] -= share
    return loss * share


@numba.njit(fastmath=FAST)
def sum_rows(d: Array, out: Array) -> None:
    """Sum each row: the gradient of a bias."""
    for row in range(d.shape[0]):
        total = np.float32(0)
        for i in range(d.shape[1]):
            total += d[row, i]
        out[row] = total


@numba.njit(fastmath=FAST)
def add_and_relu(z: Array, bias: Array) -> None:
    """Compute max(z + b, 0), in place."""
    for row in range(z.shape[0]):
        for i in range(z.shape[1]):
            z[row, i] = max(z[row, i] + bias[row], np.float32(0))


@numba.njit(fastmath=FAST)
def mask_and_sum(d: Array, h: Array, d_bias: Array) -> None:
    """Set d to zero where h is, and sum each row."""
    for row in range(d.shape[0]):
        total = np.float32(0)
        for i in range(d.shape[1]):
            d[row, i] = d[row, i] if h[row, i] > 0 else np.float32(0)
            total += d[row, i]
        d_bias[row] = total


@numba.njit
def logistic(x: Array, labels: Array, p: Any, g: Any, buffers: Any) -> float:
    """Run linear 40 → 10."""
    (weight, bias), (d_weight, d_bias), (logits,) = p, g, buffers
    np.dot(weight, x.T, logits)
    loss = softmax_gradient(logits, bias, labels)
    np.dot(logits, x, d_weight)
    sum_rows(logits, d_bias)
    return loss


@numba.njit
def mlp(x: Array, labels: Array, p: Any, g: Any, buffers: Any) -> float:
    """Run linear 40 → H → H → 10 with ReLU between, features first."""
    w1, b1, w2, b2, w3, b3 = p
    d_w1, d_b1, d_w2, d_b2, d_w3, d_b3 = g
    h1, h2, d1, d2, logits = buffers
    np.dot(w1, x.T, h1)
    add_and_relu(h1, b1)
    np.dot(w2, h1, h2)
    add_and_relu(h2, b2)
    np.dot(w3, h2, logits)
    loss = softmax_gradient(logits, b3, labels)
    np.dot(logits, h2.T, d_w3)
    sum_rows(logits, d_b3)
    np.dot(w3.T, logits, d2)
    mask_and_sum(d2, h2, d_b2)
    np.dot(d2, h1.T, d_w2)
    np.dot(w2.T, d2, d1)
    mask_and_sum(d1, h1, d_b1)
    np.dot(d1, x, d_w1)
    return loss


@numba.njit(fastmath=FAST)
def sgd(p: Array, g: Array, rate: float) -> None:
    """Update p ← p - lr g."""
    for i in range(p.size):
        p[i] -= rate * g[i]


@numba.njit(fastmath=FAST)
def adam(p: Array, g: Array, m: Array, v: Array, rate: float, small: float) -> None:
    """Update by Adam, corrected in ``rate`` and ``small``; see `benchmarks.buffers.adam`."""
    for i in range(p.size):
        m[i] += np.float32(0.1) * (g[i] - m[i])
        v[i] += np.float32(0.001) * (g[i] * g[i] - v[i])
        p[i] -= rate * m[i] / (np.sqrt(v[i]) + small)


def step_of(compute: Any, update: Any) -> Any:
    """Make a function of a whole step; passing functions to it would cost 19 µs."""

    @numba.njit
    def step(arguments: Any, state: Any) -> float:
        loss = compute(*arguments)
        update(*state)
        return loss

    return step


class TrainingStep(Participant):
    """One call of compiled code a step."""

    name = "numba by hand"

    def __init__(self, problem: Training) -> None:
        self.problem = problem
        size = sum(value.size for value in problem.parameters.values())
        self.p, self.g = Vector(size), Vector(size)
        layers = [name.removesuffix(".weight") for name in problem.parameters if "weight" in name]
        for vector in (self.p, self.g):
            for name, value in problem.parameters.items():
                vector.views[name] = vector.take(*value.shape)
        batch = len(problem.x)
        widths = [len(problem.parameters[f"{layer}.bias"]) for layer in layers]
        sizes = [*widths[:-1], *widths[:-1], widths[-1]]
        buffers = tuple(np.empty((width, batch), np.float32) for width in sizes)
        self.compute = {"logistic": logistic, "mlp": mlp}[problem.model]
        self.compiled = step_of(self.compute, {"sgd": sgd, "adam": adam}[problem.optimiser])
        self.arguments = (
            problem.x,
            problem.labels,
            tuple(self.p.views.values()),
            tuple(self.g.views.values()),
            buffers,
        )
        self.reset()

    def reset(self) -> None:
        self.p.put(self.problem.parameters)
        self.m, self.v = np.zeros_like(self.p.array), np.zeros_like(self.p.array)
        self.t = 0

    def step(self) -> float:
        p, g, rate = self.p.array, self.g.array, self.problem.learning_rate
        if self.problem.optimiser == "sgd":
            return self.compiled(self.arguments, (p, g, np.float32(rate)))
        self.t += 1
        correction = (1 - 0.999**self.t) ** 0.5
        rate *= correction / (1 - 0.9**self.t)
        numbers = np.float32(rate), np.float32(1e-8 * correction)
        return self.compiled(self.arguments, (p, g, self.m, self.v, *numbers))

    def outcome(self) -> Outcome:
        self.reset()
        loss = self.compute(*self.arguments)
        return Outcome(float(loss), self.g.get(self.problem.parameters))


BUILDERS = {"training": TrainingStep}
MODELS = ("logistic", "mlp")
