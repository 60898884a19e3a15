"""tinygrad_lab, eager, as a user writes it."""

from __future__ import annotations

import numpy as np

import tinygrad_lab as tg
from benchmarks.participant import Outcome, Participant
from benchmarks.peers.scalar_demo import ScalarNetwork, demo_loss
from benchmarks.problems import (
    CHANNELS,
    CLASSES,
    FEATURES,
    FLATTENED,
    HIDDEN,
    KERNELS,
    PADDING,
    STRIDE,
    Chain,
    Model,
    ScalarChains,
    ScalarMLP,
    Training,
)
from tinygrad_lab import nn, optim


class Logistic(nn.Module):
    """Linear 40 → 10."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.linear(x)


class MLP(nn.Module):
    """Linear 40 → H → H → 10 with ReLU between."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(FEATURES, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, CLASSES)
        self.relu = nn.ReLU()

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        return self.linear3(self.relu(self.linear2(self.relu(self.linear1(x)))))


class CNN(nn.Module):
    """Three convolutions with ReLU, then linear 125 → 10; x is (100, 1, 40)."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = KERNELS
        self.conv1 = nn.Conv1d(1, CHANNELS, first, stride=STRIDE, padding=PADDING)
        self.conv2 = nn.Conv1d(CHANNELS, CHANNELS, second, stride=STRIDE, padding=PADDING)
        self.conv3 = nn.Conv1d(CHANNELS, CHANNELS, third, stride=STRIDE, padding=PADDING)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(FLATTENED, CLASSES)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        h = self.relu(self.conv1(x))
        h = self.relu(self.conv2(h))
        h = self.relu(self.conv3(h))
        return self.linear(self.flatten(h))


class GRU(nn.Module):
    """Bidirectional GRU, all outputs flattened into linear 480 → 10; x is (100, 40, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, HIDDEN, batch_first=True, bidirectional=True)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(FEATURES * 2 * HIDDEN, CLASSES)

    def forward(self, x: tg.Tensor) -> tg.Tensor:
        output, _ = self.gru(x)
        return self.linear(self.flatten(output))


MODELS: dict[Model, type[nn.Module]] = {"logistic": Logistic, "mlp": MLP, "cnn": CNN, "gru": GRU}


def made_for(problem: Training) -> nn.Module:
    """Make the problem's model, before its weights are set."""
    if problem.model == "mlp":
        return MLP(hidden=len(problem.parameters["linear1.bias"]))
    return MODELS[problem.model]()


class TinygradLab(Participant):
    """The common part of tinygrad_lab's participants."""

    name = "tinygrad_lab"

    def reset(self) -> None:
        """Do nothing: there are no weights to reset."""


class TrainingStep(TinygradLab):
    """The usual four lines."""

    def __init__(self, problem: Training) -> None:
        self.problem = problem
        self.model = made_for(problem)
        shapes = {"cnn": (-1, 1, FEATURES), "gru": (-1, FEATURES, 1)}
        self.x = tg.tensor(problem.x.reshape(shapes.get(problem.model, problem.x.shape)))
        self.labels = tg.tensor(problem.labels)
        self.reset()

    def reset(self) -> None:
        start = self.problem.parameters
        named = dict(self.model.named_parameters())
        if named.keys() != start.keys():
            raise KeyError(f"parameters {sorted(named)} are not PyTorch's {sorted(start)}")
        for name, p in named.items():
            p.data = start[name].copy()
        optimiser = {"sgd": optim.SGD, "adam": optim.Adam}[self.problem.optimiser]
        self.optimiser = optimiser(self.model.parameters(), lr=self.problem.learning_rate)

    def step(self) -> tg.Tensor:
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.x), self.labels)
        loss.backward(free=True)
        self.optimiser.step()
        return loss

    def outcome(self) -> Outcome:
        self.reset()
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.x), self.labels)
        loss.backward(free=True)
        gradients = {name: p.grad.numpy().copy() for name, p in self.model.named_parameters()}
        return Outcome(loss.item(), gradients)


class ChainStep(TinygradLab):
    """A chain of elementwise operations."""

    def __init__(self, problem: Chain) -> None:
        self.length = problem.length
        self.leaves = {"x": tg.tensor(problem.x, requires_grad=True)}
        if problem.constants:
            self.w, self.b = problem.w, problem.b
        else:
            self.w = self.leaves["w"] = tg.tensor(problem.w, requires_grad=True)
            self.b = self.leaves["b"] = tg.tensor(problem.b, requires_grad=True)

    def step(self) -> tg.Tensor:
        for leaf in self.leaves.values():
            leaf.grad = None
        h, w, b = self.leaves["x"], self.w, self.b
        for _ in range(self.length // 2):
            h = h * w
            h = h + b
        loss = h.sum()
        loss.backward(free=True)
        return loss

    def outcome(self) -> Outcome:
        loss = self.step().item()
        return Outcome(loss, {name: leaf.grad.numpy() for name, leaf in self.leaves.items()})


def parameter(value: float) -> tg.Tensor:
    """Make a Python float that requires a gradient."""
    return tg.scalar(value, requires_grad=True)


class ScalarChainsStep(TinygradLab):
    """Chains of Python floats."""

    def __init__(self, problem: ScalarChains) -> None:
        self.links = problem.links
        self.leaves = {
            name: [parameter(value) for value in values]
            for name, values in (("x", problem.x), ("w", problem.w), ("b", problem.b))
        }

    def step(self) -> tg.Tensor:
        for group in self.leaves.values():
            for leaf in group:
                leaf.grad = None
        ends = []
        for h, w, b in zip(*self.leaves.values(), strict=True):
            for _ in range(self.links):
                h = (h * w + b).relu()
            ends.append(h)
        loss = sum(ends[1:], ends[0])
        loss.backward()
        return loss

    def outcome(self) -> Outcome:
        loss = self.step().item()
        gradients = {
            name: np.array([leaf.grad.item() for leaf in group])
            for name, group in self.leaves.items()
        }
        return Outcome(loss, gradients)


class ScalarMLPStep(TinygradLab):
    """micrograd's demo over Python floats, neuron by neuron, as micrograd does it."""

    def __init__(self, problem: ScalarMLP) -> None:
        self.problem = problem
        self.model = ScalarNetwork(problem, parameter)
        self.parameters = list(self.model.parameters())
        self.start = [p.item() for p in self.parameters]

    def reset(self) -> None:
        for p, value in zip(self.parameters, self.start, strict=True):
            p.data = value

    def _backward(self) -> tg.Tensor:
        loss = demo_loss(self.model, self.parameters, self.problem, tg.scalar)
        for p in self.parameters:
            p.grad = None
        loss.backward()
        return loss

    def step(self) -> tg.Tensor:
        loss = self._backward()
        rate = self.problem.learning_rate
        for p in self.parameters:
            p.data = p.data - rate * p.grad.item()
        return loss

    def outcome(self) -> Outcome:
        self.reset()
        loss = self._backward().item()
        gradients = np.array([p.grad.item() for p in self.parameters])
        return Outcome(loss, {"parameters": gradients})


BUILDERS = {
    "training": TrainingStep,
    "chain": ChainStep,
    "scalar chains": ScalarChainsStep,
    "scalar mlp": ScalarMLPStep,
}
