"""Schedules along a cosine.

Source: Loshchilov & Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017,
equation 5.
"""

from __future__ import annotations

from math import cos, pi

from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.lr_scheduler.base import LRScheduler, check_count, check_numbers
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["CosineAnnealingLR", "CosineAnnealingWarmRestarts"]


class CosineAnnealingLR(LRScheduler):
    """Lowers the rate along half a cosine to ``eta_min`` after ``T_max`` steps, then raises it."""

    def __init__(
        self,
        optimizer: Optimizer,
        T_max: int,  # noqa: N803 - PyTorch's name
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check_count(self, "T_max", T_max)
        check_numbers(self, eta_min=eta_min)
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        k, length, low = self.last_epoch, self.T_max, self.eta_min
        if k == 0:
            return now
        if (k - 1 - length) % (2 * length) == 0:  # from the bottom there is no factor
            return now + (base - low) * (1 - cos(pi / length)) / 2
        fall = (1 + cos(pi * k / length)) / (1 + cos(pi * (k - 1) / length))
        return low + fall * (now - low)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Lowers the rate along half a cosine, again and again, each ``T_mult`` times as long.

    The rate is that of the step count, whatever it was before.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,  # noqa: N803 - PyTorch's name
        T_mult: int = 1,  # noqa: N803
        eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:
        check_count(self, "T_0", T_0)
        check_count(self, "T_mult", T_mult)
        check_numbers(self, eta_min=eta_min)
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        done, length = self.last_epoch, self.T_0
        if self.T_mult == 1:
            done %= length
        while done >= length:
            done, length = done - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * (1 + cos(pi * done / length)) / 2

    def step(self, epoch: float | None = None) -> None:
        """Set the next learning rate, or that of a count of steps, which may be a fraction."""
        if epoch is None:
            super().step()
            return
        if epoch < 0:
            raise ArgumentError(f"CosineAnnealingWarmRestarts: step takes a count, got {epoch}.")
        self.last_epoch = epoch - 1  # type: ignore[assignment]
        super().step()
