"""MyGrad, memory guarding off as its manual advises for speed; the optimisers by hand.

Its own GRU has other gate equations than PyTorch's, so the GRU is built from small operations.
"""

from __future__ import annotations

from collections.abc import Callable

import mygrad as mg
import numpy as np
from mygrad import Tensor
from mygrad.nnet import relu
from mygrad.nnet.activations import sigmoid
from mygrad.nnet.layers import conv_nd
from mygrad.nnet.losses import softmax_crossentropy

from benchmarks import handwritten
from benchmarks.participant import Outcome, Participant
from benchmarks.problems import (
    DIRECTIONS,
    HIDDEN,
    KERNELS,
    PADDING,
    STRIDE,
    Array,
    Chain,
    Model,
    ScalarChains,
    Training,
)

Tensors = dict[str, Tensor]
mg.turn_memory_guarding_off()


def linear(x: Tensor | Array, p: Tensors, name: str) -> Tensor:
    """Return x Wᵀ + b."""
    return mg.matmul(x, p[f"{name}.weight"].T) + p[f"{name}.bias"]


def conv1d(x: Tensor | Array, p: Tensors, name: str) -> Tensor:
    """Convolve; MyGrad requires windows that reach exactly to the padded input's end."""
    weight, bias = p[f"{name}.weight"], p[f"{name}.bias"]
    if (x.shape[2] + 2 * PADDING - weight.shape[2]) % STRIDE == 0:
        return conv_nd(x, weight, stride=STRIDE, padding=PADDING) + bias[:, None]
    # No window reads the padding on the right: padding only the left fits.
    zeros = np.zeros((*x.shape[:2], PADDING), x.dtype)
    return conv_nd(mg.concatenate([zeros, x], axis=2), weight, stride=STRIDE) + bias[:, None]


def gru(x: Array, p: Tensors, suffix: str) -> list[Tensor]:
    """Run one direction of PyTorch's GRU; return all states, in the sequence's order."""
    from_input = mg.matmul(x, p[f"gru.weight_ih_l0{suffix}"].T) + p[f"gru.bias_ih_l0{suffix}"]
    weight, bias = p[f"gru.weight_hh_l0{suffix}"].T, p[f"gru.bias_hh_l0{suffix}"]
    steps = range(x.shape[1])
    h: Tensor | Array = np.zeros((len(x), HIDDEN), x.dtype)
    states = []
    for t in reversed(steps) if suffix else steps:
        i, s = from_input[:, t], mg.matmul(h, weight) + bias
        r = sigmoid(i[:, :HIDDEN] + s[:, :HIDDEN])
        z = sigmoid(i[:, HIDDEN : 2 * HIDDEN] + s[:, HIDDEN : 2 * HIDDEN])
        n = mg.tanh(i[:, 2 * HIDDEN :] + r * s[:, 2 * HIDDEN :])
        h = (1.0 - z) * n + z * h
        states.append(h)
    return states[::-1] if suffix else states


def logistic(p: Tensors, x: Array) -> Tensor:
    """Run linear 40 → 10."""
    return linear(x, p, "linear")


def mlp(p: Tensors, x: Array) -> Tensor:
    """Run linear 40 → 100 → 100 → 10 with ReLU between."""
    return linear(relu(linear(relu(linear(x, p, "linear1")), p, "linear2")), p, "linear3")


def cnn(p: Tensors, x: Array) -> Tensor:
    """Run three convolutions with ReLU, then linear 125 → 10."""
    h: Tensor | Array = x[:, None, :]
    for index in range(1, len(KERNELS) + 1):
        h = relu(conv1d(h, p, f"conv{index}"))
    return linear(h.reshape(len(x), -1), p, "linear")


def gru_model(p: Tensors, x: Array) -> Tensor:
    """Run a bidirectional GRU, all outputs flattened into linear 480 → 10."""
    forward, backward = (gru(x[:, :, None], p, suffix) for suffix in DIRECTIONS)
    alternating = [state for pair in zip(forward, backward, strict=True) for state in pair]
    return linear(mg.concatenate(alternating, axis=1), p, "linear")


MODELS: dict[Model, Callable[[Tensors, Array], Tensor]] = {
    "logistic": logistic,
    "mlp": mlp,
    "cnn": cnn,
    "gru": gru_model,
}


class MyGrad(Participant):
    """The common part of MyGrad's participants."""

    name = "MyGrad"

    def reset(self) -> None:
        """Do nothing: there are no weights to reset."""


class TrainingStep(MyGrad):
    """Loss and gradients, then the optimiser written by hand."""

    def __init__(self, problem: Training) -> None:
        self.problem = problem
        self.model = MODELS[problem.model]
        self.reset()

    def reset(self) -> None:
        self.parameters = {name: p.copy() for name, p in self.problem.parameters.items()}
        optimiser = handwritten.OPTIMISERS[self.problem.optimiser]
        self.optimiser = optimiser(self.parameters, self.problem.learning_rate)

    def _backward(self) -> tuple[Tensor, dict[str, Array]]:
        tensors = {name: mg.tensor(p, copy=False) for name, p in self.parameters.items()}
        loss = softmax_crossentropy(self.model(tensors, self.problem.x), self.problem.labels)
        loss.backward()
        return loss, {name: tensor.grad for name, tensor in tensors.items()}

    def step(self) -> Tensor:
        loss, gradients = self._backward()
        self.optimiser.step(gradients)
        return loss

    def outcome(self) -> Outcome:
        self.reset()
        loss, gradients = self._backward()
        return Outcome(loss.item(), gradients)


class ChainStep(MyGrad):
    """A chain of elementwise operations."""

    def __init__(self, problem: Chain) -> None:
        self.length = problem.length
        self.leaves = {"x": mg.tensor(problem.x)}
        if problem.constants:
            self.w, self.b = problem.w, problem.b
        else:
            self.w = self.leaves["w"] = mg.tensor(problem.w)
            self.b = self.leaves["b"] = mg.tensor(problem.b)

    def step(self) -> Tensor:
        # Taking part in a new graph clears a tensor's gradient.
        h, w, b = self.leaves["x"], self.w, self.b
        for _ in range(self.length // 2):
            h = h * w
            h = h + b
        loss = h.sum()
        loss.backward()
        return loss

    def outcome(self) -> Outcome:
        loss = self.step().item()
        return Outcome(loss, {name: leaf.grad for name, leaf in self.leaves.items()})


class ScalarChainsStep(MyGrad):
    """Chains of 0-d tensors in float64."""

    def __init__(self, problem: ScalarChains) -> None:
        self.links = problem.links
        self.leaves = {
            name: [mg.tensor(value) for value in values]
            for name, values in (("x", problem.x), ("w", problem.w), ("b", problem.b))
        }

    def step(self) -> Tensor:
        ends = []
        for h, w, b in zip(*self.leaves.values(), strict=True):
            for _ in range(self.links):
                h = mg.maximum(h * w + b, 0.0)
            ends.append(h)
        loss = sum(ends[1:], ends[0])
        loss.backward()
        return loss

    def outcome(self) -> Outcome:
        loss = self.step().item()
        gradients = {
            name: np.array([leaf.grad for leaf in group]) for name, group in self.leaves.items()
        }
        return Outcome(loss, gradients)


BUILDERS = {"training": TrainingStep, "chain": ChainStep, "scalar chains": ScalarChainsStep}
