"""micrograd with its own ``nn``: the engine of the best-known lecture, at its defaults."""

from __future__ import annotations

import sys

import numpy as np
from micrograd.engine import Value
from micrograd.nn import MLP

from benchmarks.participant import Outcome, Participant
from benchmarks.peers.scalar_demo import demo_loss
from benchmarks.problems import ScalarChains, ScalarMLP

# Its topological sort is recursive: as deep as the graph. Python's own frames need no C stack.
sys.setrecursionlimit(max(sys.getrecursionlimit(), 20_000))


class ScalarChainsStep(Participant):
    """Chains of Values."""

    name = "micrograd"

    def __init__(self, problem: ScalarChains) -> None:
        self.links = problem.links
        self.leaves = {
            name: [Value(value) for value in values]
            for name, values in (("x", problem.x), ("w", problem.w), ("b", problem.b))
        }

    def reset(self) -> None:
        """Do nothing: there are no weights to reset."""

    def step(self) -> Value:
        for group in self.leaves.values():
            for leaf in group:
                leaf.grad = 0
        ends = []
        for h, w, b in zip(*self.leaves.values(), strict=True):
            for _ in range(self.links):
                h = (h * w + b).relu()
            ends.append(h)
        loss = sum(ends[1:], ends[0])
        loss.backward()
        return loss

    def outcome(self) -> Outcome:
        loss = self.step().data
        gradients = {
            name: np.array([leaf.grad for leaf in group]) for name, group in self.leaves.items()
        }
        return Outcome(loss, gradients)


class ScalarMLPStep(Participant):
    """One step of the demo's training loop, with a constant learning rate."""

    name = "micrograd"

    def __init__(self, problem: ScalarMLP) -> None:
        self.problem = problem
        sizes = [len(biases) for _, biases in problem.layers]
        self.model = MLP(problem.points.shape[1], sizes)
        self.reset()

    def reset(self) -> None:
        start = [
            np.column_stack([weights, biases]).ravel() for weights, biases in self.problem.layers
        ]
        for p, value in zip(self.model.parameters(), np.concatenate(start), strict=True):
            p.data = float(value)

    def _backward(self) -> Value:
        loss = demo_loss(self.model, self.model.parameters(), self.problem, Value)
        self.model.zero_grad()
        loss.backward()
        return loss

    def step(self) -> Value:
        loss = self._backward()
        for p in self.model.parameters():
            p.data -= self.problem.learning_rate * p.grad
        return loss

    def outcome(self) -> Outcome:
        self.reset()
        loss = self._backward()
        gradients = np.array([p.grad for p in self.model.parameters()])
        return Outcome(loss.data, {"parameters": gradients})


BUILDERS = {"scalar chains": ScalarChainsStep, "scalar mlp": ScalarMLPStep}
