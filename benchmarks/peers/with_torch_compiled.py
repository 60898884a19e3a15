"""PyTorch, one thread: forward, loss and backward by ``torch.compile``, its fused optimisers."""

from __future__ import annotations

import torch
from torch import nn

from benchmarks.peers import with_torch
from benchmarks.problems import Training


class TrainingStep(with_torch.TrainingStep):
    """The usual four lines with a compiled loss."""

    name = "torch.compile"

    def __init__(self, problem: Training) -> None:
        super().__init__(problem)

        def loss_of(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return nn.functional.cross_entropy(self.model(x), labels)

        self.loss_of = torch.compile(loss_of)

    def step(self) -> torch.Tensor:
        self.optimiser.zero_grad()
        loss = self.loss_of(self.x, self.labels)
        loss.backward()
        self.optimiser.step()
        return loss


BUILDERS = {"training": TrainingStep}
