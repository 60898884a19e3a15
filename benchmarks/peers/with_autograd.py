"""HIPS autograd: models in its NumPy, gradients by `value_and_grad`, the optimisers by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import autograd.numpy as np
from autograd import value_and_grad

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
    Parameters,
    ScalarChains,
    Training,
)


def cross_entropy(logits: Array, labels: Array) -> Array:
    """Return the mean cross-entropy of softmax(logits)."""
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_sums = np.log(np.sum(np.exp(shifted), axis=1))
    return np.mean(log_sums - shifted[np.arange(len(labels)), labels])


def linear(x: Array, p: Parameters, name: str) -> Array:
    """Return x Wᵀ + b."""
    return np.dot(x, p[f"{name}.weight"].T) + p[f"{name}.bias"]


def relu(x: Array) -> Array:
    """Return max(x, 0)."""
    return np.maximum(x, 0.0)


def conv1d(x: Array, p: Parameters, name: str) -> Array:
    """Convolve: a strided slice for each kernel position, then one matrix product.

    autograd's own ``scipy.signal.convolve`` has no stride and is several times slower.
    """
    weight = p[f"{name}.weight"]
    channels_out, channels_in, kernel = weight.shape
    padded = np.pad(x, ((0, 0), (0, 0), (PADDING, PADDING)), "constant")
    positions = (padded.shape[2] - kernel) // STRIDE + 1
    reach = STRIDE * (positions - 1) + 1
    windows = np.stack([padded[:, :, k : k + reach : STRIDE] for k in range(kernel)], axis=3)
    columns = np.reshape(np.transpose(windows, (0, 2, 1, 3)), (-1, channels_in * kernel))
    out = np.dot(columns, np.reshape(weight, (channels_out, -1)).T) + p[f"{name}.bias"]
    return np.transpose(np.reshape(out, (len(x), positions, channels_out)), (0, 2, 1))


def sigmoid(x: Array) -> Array:
    """Return the logistic function of x."""
    return 1.0 / (1.0 + np.exp(-x))


def gru(x: Array, p: Parameters, suffix: str) -> list[Array]:
    """Run one direction of PyTorch's GRU; return all states, in the sequence's order."""
    from_input = np.dot(x, p[f"gru.weight_ih_l0{suffix}"].T) + p[f"gru.bias_ih_l0{suffix}"]
    weight, bias = p[f"gru.weight_hh_l0{suffix}"].T, p[f"gru.bias_hh_l0{suffix}"]
    steps = range(x.shape[1])
    h = np.zeros((len(x), HIDDEN), x.dtype)
    states = []
    for t in reversed(steps) if suffix else steps:
        i, s = from_input[:, t], np.dot(h, weight) + bias
        r = sigmoid(i[:, :HIDDEN] + s[:, :HIDDEN])
        z = sigmoid(i[:, HIDDEN : 2 * HIDDEN] + s[:, HIDDEN : 2 * HIDDEN])
        n = np.tanh(i[:, 2 * HIDDEN :] + r * s[:, 2 * HIDDEN :])
        h = (1.0 - z) * n + z * h
        states.append(h)
    return states[::-1] if suffix else states


def logistic(p: Parameters, x: Array) -> Array:
    """Run linear 40 → 10."""
    return linear(x, p, "linear")


def mlp(p: Parameters, x: Array) -> Array:
    """Run linear 40 → 100 → 100 → 10 with ReLU between."""
    return linear(relu(linear(relu(linear(x, p, "linear1")), p, "linear2")), p, "linear3")


def cnn(p: Parameters, x: Array) -> Array:
    """Run three convolutions with ReLU, then linear 125 → 10."""
    h = x[:, None, :]
    for index in range(1, len(KERNELS) + 1):
        h = relu(conv1d(h, p, f"conv{index}"))
    return linear(np.reshape(h, (len(x), -1)), p, "linear")


def gru_model(p: Parameters, x: Array) -> Array:
    """Run a bidirectional GRU, all outputs flattened into linear 480 → 10."""
    forward, backward = (gru(x[:, :, None], p, suffix) for suffix in DIRECTIONS)
    alternating = [state for pair in zip(forward, backward, strict=True) for state in pair]
    return linear(np.concatenate(alternating, axis=1), p, "linear")


MODELS: dict[Model, Callable[[Parameters, Array], Array]] = {
    "logistic": logistic,
    "mlp": mlp,
    "cnn": cnn,
    "gru": gru_model,
}


class Autograd(Participant):
    """A function of a dictionary, differentiated."""

    name = "HIPS autograd"
    arguments: dict[str, Any]
    value_and_gradients: Callable[[dict[str, Any]], tuple[float, dict[str, Array]]]

    def reset(self) -> None:
        """Do nothing: there are no weights to reset."""

    def step(self) -> object:
        return self.value_and_gradients(self.arguments)

    def outcome(self) -> Outcome:
        self.reset()
        loss, gradients = self.value_and_gradients(self.arguments)
        arrays = {name: np.array(value) for name, value in gradients.items()}
        return Outcome(float(loss), arrays)


class TrainingStep(Autograd):
    """Loss and gradients, then the optimiser written by hand."""

    def __init__(self, problem: Training) -> None:
        self.problem = problem
        model = MODELS[problem.model]
        self.value_and_gradients = value_and_grad(
            lambda p: cross_entropy(model(p, problem.x), problem.labels)
        )
        self.reset()

    def reset(self) -> None:
        self.arguments = dict(self.problem.parameters)
        optimiser = handwritten.OPTIMISERS[self.problem.optimiser]
        self.optimiser = optimiser(self.arguments, self.problem.learning_rate)

    def step(self) -> float:
        loss, gradients = self.value_and_gradients(self.arguments)
        self.optimiser.step(gradients)
        return loss


class ChainStep(Autograd):
    """A chain of elementwise operations."""

    def __init__(self, problem: Chain) -> None:
        def loss(p: Parameters) -> Array:
            h, w, b = p["x"], p.get("w", problem.w), p.get("b", problem.b)
            for _ in range(problem.length // 2):
                h = h * w
                h = h + b
            return np.sum(h)

        self.arguments = {"x": problem.x}
        if not problem.constants:
            self.arguments |= {"w": problem.w, "b": problem.b}
        self.value_and_gradients = value_and_grad(loss)


class ScalarChainsStep(Autograd):
    """Chains of Python floats."""

    def __init__(self, problem: ScalarChains) -> None:
        def loss(p: dict[str, Any]) -> Any:
            ends = []
            for h, w, b in zip(p["x"], p["w"], p["b"], strict=True):
                for _ in range(problem.links):
                    h = relu(h * w + b)
                ends.append(h)
            return sum(ends[1:], ends[0])

        self.arguments = {"x": problem.x, "w": problem.w, "b": problem.b}
        self.value_and_gradients = value_and_grad(loss)


BUILDERS = {"training": TrainingStep, "chain": ChainStep, "scalar chains": ScalarChainsStep}
