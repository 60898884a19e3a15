"""NumPy with the derivatives written by hand (plain Python floats for chains of scalars)."""

from __future__ import annotations

import numpy as np

from benchmarks import handwritten
from benchmarks.participant import Outcome, Participant
from benchmarks.problems import Chain, ScalarChains, ScalarMLP, Training


class ByHand(Participant):
    """The common part of the hand-written participants."""

    name = "NumPy by hand"

    def reset(self) -> None:
        """Do nothing: there are no weights to reset."""


class TrainingStep(ByHand):
    """A model's step, then its optimiser's."""

    def __init__(self, problem: Training) -> None:
        self.problem = problem
        self.compute = handwritten.STEPS[problem.model]
        self.reset()

    def reset(self) -> None:
        self.parameters = dict(self.problem.parameters)
        optimiser = handwritten.OPTIMISERS[self.problem.optimiser]
        self.optimiser = optimiser(self.parameters, self.problem.learning_rate)

    def step(self) -> float:
        loss, gradients = self.compute(self.parameters, self.problem.x, self.problem.labels)
        self.optimiser.step(gradients)
        return loss

    def outcome(self) -> Outcome:
        problem = self.problem
        loss, gradients = self.compute(problem.parameters, problem.x, problem.labels)
        return Outcome(float(loss), gradients)


class ChainStep(ByHand):
    """A chain of elementwise operations."""

    def __init__(self, problem: Chain) -> None:
        self.problem = problem

    def step(self) -> object:
        return handwritten.chain_step(self.problem)

    def outcome(self) -> Outcome:
        loss, gradients = handwritten.chain_step(self.problem)
        return Outcome(float(loss), gradients)


class ScalarChainsStep(ByHand):
    """Chains of Python floats, without any NumPy."""

    name = "Python by hand"

    def __init__(self, problem: ScalarChains) -> None:
        self.problem = problem

    def step(self) -> object:
        return handwritten.scalar_chains_step(self.problem)

    def outcome(self) -> Outcome:
        return Outcome(*handwritten.scalar_chains_step(self.problem))


class ScalarMLPStep(ByHand):
    """micrograd's demo, all points together, in float64."""

    def __init__(self, problem: ScalarMLP) -> None:
        self.problem = problem
        self.reset()

    def reset(self) -> None:
        self.layers = self.problem.layers

    def step(self) -> float:
        loss, gradients = handwritten.scalar_mlp_step(self.problem, self.layers)
        rate = self.problem.learning_rate
        self.layers = [
            (weight - rate * g_weight, bias - rate * g_bias)
            for (weight, bias), (g_weight, g_bias) in zip(self.layers, gradients, strict=True)
        ]
        return loss

    def outcome(self) -> Outcome:
        loss, gradients = handwritten.scalar_mlp_step(self.problem, self.problem.layers)
        # Neuron by neuron: weights, then bias, as in micrograd.
        flat = [np.column_stack([weight, bias]).ravel() for weight, bias in gradients]
        return Outcome(float(loss), {"parameters": np.concatenate(flat)})


BUILDERS = {
    "training": TrainingStep,
    "chain": ChainStep,
    "scalar chains": ScalarChainsStep,
    "scalar mlp": ScalarMLPStep,
}
