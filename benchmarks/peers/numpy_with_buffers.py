"""NumPy by hand with buffers."""

from __future__ import annotations

from typing import Any

from benchmarks import buffers
from benchmarks.participant import Outcome, Participant
from benchmarks.problems import Training


class TrainingStep(Participant):
    """A net whose buffers live as long as this; ``reset`` only replaces the optimiser."""

    name = "NumPy with buffers"

    def __init__(self, problem: Training) -> None:
        self.problem = problem
        self.net = buffers.NETS[problem.model](problem)
        self.reset()

    def reset(self) -> None:
        self.net.parameters.put(self.problem.parameters)
        compute = self.net.compute
        update = buffers.OPTIMISERS[self.problem.optimiser](self.net, self.problem.learning_rate)

        def step() -> Any:
            loss = compute()
            update()
            return loss

        self._step = step

    def step(self) -> Any:
        return self._step()

    def outcome(self) -> Outcome:
        self.reset()
        loss = self.net.compute()
        return Outcome(float(loss), self.net.gradients.get(self.problem.parameters))


BUILDERS = {"training": TrainingStep}
