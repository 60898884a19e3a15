"""Schedules for the learning rate: call ``step()`` after each step of the optimiser."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinygrad_lab.context import touch
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "LambdaLR", "StepLR"]


class LambdaLR:
    """Multiplies the initial learning rate of each group by a function of the number of steps.

    Example:
        >>> import tinygrad_lab as tg
        >>> optimizer = tg.optim.SGD([tg.scalar(1.0)], lr=0.5)
        >>> schedule = tg.optim.lr_scheduler.LambdaLR(optimizer, lambda steps: 0.1**steps)
        >>> schedule.step(); schedule.get_last_lr()
        [0.05]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Callable[[int], float]) -> None:
        self.optimizer = optimizer
        self.lr_lambda = lr_lambda
        self.base_lrs = [group["lr"] for group in optimizer.param_groups]
        self.last_epoch = 0
        self._apply()

    def step(self) -> None:
        """Set the next learning rate."""
        touch("schedule", (self,))
        self.last_epoch += 1
        self._apply()

    def _apply(self) -> None:
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = base * self.lr_lambda(self.last_epoch)

    def get_last_lr(self) -> list[float]:
        """Return the current learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]


class StepLR(LambdaLR):
    """Multiplies the learning rate by ``gamma`` after every ``step_size`` steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer, lambda steps: gamma ** (steps // step_size))


class CosineAnnealingLR(LambdaLR):
    """Lowers the learning rate along half a cosine to ``eta_min`` after ``T_max`` steps.

    After that it stays at ``eta_min``, whereas PyTorch's rises along the cosine again.

    Source: Loshchilov & Hutter, "SGDR", 2017, equation 5, without restarts.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:  # noqa: N803
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, lambda steps: (1 + math.cos(math.pi * steps / T_max)) / 2)

    def _apply(self) -> None:
        share = self.lr_lambda(min(self.last_epoch, self.T_max))
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=True):
            group["lr"] = self.eta_min + (base - self.eta_min) * share
