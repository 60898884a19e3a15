"""PyTorch, eager, one thread, with its fused optimisers."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.participant import Outcome, Participant
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
    Training,
)

torch.set_num_threads(1)


class Logistic(nn.Module):
    """Linear 40 → 10."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(FEATURES, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x)


class MLP(nn.Module):
    """Linear 40 → H → H → 10 with ReLU between."""

    def __init__(self, hidden: int = 100) -> None:
        super().__init__()
        self.linear1 = nn.Linear(FEATURES, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear3(self.linear2(self.linear1(x).relu()).relu())


class ResidualMLP(MLP):
    """The same with a residual around the second layer: the MLP of the MNIST-1D paper."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.linear1(x).relu()
        return self.linear3(h + self.linear2(h).relu())


class CNN(nn.Module):
    """Three convolutions with ReLU, then linear 125 → 10."""

    def __init__(self) -> None:
        super().__init__()
        first, second, third = KERNELS
        self.conv1 = nn.Conv1d(1, CHANNELS, first, stride=STRIDE, padding=PADDING)
        self.conv2 = nn.Conv1d(CHANNELS, CHANNELS, second, stride=STRIDE, padding=PADDING)
        self.conv3 = nn.Conv1d(CHANNELS, CHANNELS, third, stride=STRIDE, padding=PADDING)
        self.linear = nn.Linear(FLATTENED, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.conv3(self.conv2(self.conv1(x[:, None, :]).relu()).relu()).relu()
        return self.linear(h.flatten(1))


class GRU(nn.Module):
    """Bidirectional GRU, all outputs flattened into linear 480 → 10."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(1, HIDDEN, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(FEATURES * 2 * HIDDEN, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.gru(x[:, :, None])[0].flatten(1))


MODELS: dict[Model, type[nn.Module]] = {"logistic": Logistic, "mlp": MLP, "cnn": CNN, "gru": GRU}


def made_for(problem: Training) -> nn.Module:
    """Make the problem's model, before its weights are set."""
    if problem.model == "mlp":
        return MLP(hidden=len(problem.parameters["linear1.bias"]))
    return MODELS[problem.model]()


class Torch(Participant):
    """The common part of PyTorch's participants."""

    name = "PyTorch"

    def reset(self) -> None:
        """Do nothing: there are no weights to reset."""


class TrainingStep(Torch):
    """The usual four lines."""

    def __init__(self, problem: Training) -> None:
        self.problem = problem
        self.model = made_for(problem)
        self.x = torch.tensor(problem.x)
        self.labels = torch.tensor(problem.labels)
        self.reset()

    def reset(self) -> None:
        state = {name: torch.tensor(value) for name, value in self.problem.parameters.items()}
        self.model.load_state_dict(state)
        optimiser = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[self.problem.optimiser]
        rate = self.problem.learning_rate
        self.optimiser = optimiser(self.model.parameters(), lr=rate, fused=True)

    def step(self) -> torch.Tensor:
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.x), self.labels)
        loss.backward()
        self.optimiser.step()
        return loss

    def outcome(self) -> Outcome:
        self.reset()
        self.optimiser.zero_grad()
        loss = nn.functional.cross_entropy(self.model(self.x), self.labels)
        loss.backward()
        gradients = {name: p.grad.numpy().copy() for name, p in self.model.named_parameters()}
        return Outcome(loss.item(), gradients)


class ChainStep(Torch):
    """A chain of elementwise operations."""

    def __init__(self, problem: Chain) -> None:
        self.length = problem.length
        self.leaves = {"x": torch.tensor(problem.x, requires_grad=True)}
        if problem.constants:
            self.w, self.b = problem.w, problem.b
        else:
            self.w = self.leaves["w"] = torch.tensor(problem.w, requires_grad=True)
            self.b = self.leaves["b"] = torch.tensor(problem.b, requires_grad=True)

    def step(self) -> torch.Tensor:
        for leaf in self.leaves.values():
            leaf.grad = None
        h, w, b = self.leaves["x"], self.w, self.b
        for _ in range(self.length // 2):
            h = h * w
            h = h + b
        loss = h.sum()
        loss.backward()
        return loss

    def outcome(self) -> Outcome:
        loss = self.step().item()
        return Outcome(loss, {name: leaf.grad.numpy() for name, leaf in self.leaves.items()})


class ScalarChainsStep(Torch):
    """Chains of 0-d tensors in float64, which is what Python floats are."""

    def __init__(self, problem: ScalarChains) -> None:
        self.links = problem.links
        self.leaves = {
            name: [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values]
            for name, values in (("x", problem.x), ("w", problem.w), ("b", problem.b))
        }

    def step(self) -> torch.Tensor:
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


BUILDERS = {"training": TrainingStep, "chain": ChainStep, "scalar chains": ScalarChainsStep}
