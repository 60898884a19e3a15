"""A schedule that lowers the rate when a number no longer improves."""

from __future__ import annotations

from math import inf
from typing import Any, Literal, SupportsFloat

from tinygrad_lab.context import touch
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.lr_scheduler.base import (
    LRScheduler,
    check_count,
    check_numbers,
    check_optimizer,
)
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["ReduceLROnPlateau"]


class ReduceLROnPlateau(LRScheduler):
    """Multiplies the rate by ``factor`` after ``patience`` steps without improvement.

    Args:
        mode: whether less (``"min"``) or more (``"max"``) is better.
        factor: below 1.
        patience: the steps without improvement that are tolerated.
        threshold: by how much it must improve; a part of the best so far, or with
            ``threshold_mode="abs"`` an amount.
        cooldown: the steps after a reduction that are not counted.
        min_lr: no rate falls below this, or one for each group.
        eps: reductions by less are left out.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: list[float] | float = 0,
        eps: float = 1e-8,
    ) -> None:
        check_optimizer(self, optimizer)
        check_numbers(self, factor=factor, threshold=threshold, eps=eps)
        if not 0 <= factor < 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor must be below 1, got {factor}.")
        for name, choice, known in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if choice not in known:
                text = f"{known[0]!r} or {known[1]!r}, got {choice!r:.40}"
                raise ArgumentError(f"ReduceLROnPlateau: {name} is {text}.")
        check_count(self, "patience", patience, 0)
        check_count(self, "cooldown", cooldown, 0)
        count = len(optimizer.param_groups)
        lows = list(min_lr) if isinstance(min_lr, list | tuple) else [min_lr] * count
        if len(lows) != count:
            text = f"expected min_lr for each of {count} groups, got {len(lows)}"
            raise ArgumentError(f"ReduceLROnPlateau: {text}.")
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.min_lrs, self.eps, self.last_epoch = lows, eps, 0
        self.best = inf if mode == "min" else -inf
        self.num_bad_epochs = self.cooldown_counter = 0

    def step(self, metrics: SupportsFloat) -> None:  # type: ignore[override]
        """Look at the number that is to improve, and lower the rates where it does not."""
        touch("schedule", (self,))
        number = float(metrics)
        self.last_epoch += 1
        if self.is_better(number):
            self.best, self.num_bad_epochs = number, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown_counter - 1, 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            for place, group in enumerate(self.optimizer.param_groups):
                self._reduce(group, self.min_lrs[min(place, len(self.min_lrs) - 1)])

    def is_better(self, number: float) -> bool:
        """Return whether a number is better than the best so far, by the threshold."""
        sign = 1 if self.mode == "min" else -1
        if self.threshold_mode == "abs":
            return sign * number < sign * self.best - self.threshold
        return sign * number < sign * self.best * (1 - sign * self.threshold)

    def _reduce(self, group: dict[str, Any], lowest: float) -> None:
        new = max(group["lr"] * self.factor, lowest)
        if group["lr"] - new > self.eps:
            group["lr"] = new
