"""Schedules of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lab.context import touch
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.lr_scheduler.base import LRScheduler
from tinygrad_lab.optim.lr_scheduler.plateau import ReduceLROnPlateau
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["ChainedScheduler", "SequentialLR"]


class _Several(LRScheduler):
    """Schedules of one optimiser, saved and loaded together."""

    unsaved = ("optimizer", "schedulers")

    def _take(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]) -> None:
        kind = type(self).__name__
        self.schedulers = list(schedulers)
        if not self.schedulers:
            raise ArgumentError(f"{kind} takes at least one schedule, got none.")
        self.optimizer = self.schedulers[0].optimizer if optimizer is None else optimizer
        for number, one in enumerate(self.schedulers):
            if one.optimizer is not self.optimizer:
                raise ArgumentError(f"{kind}: schedule {number} is of another optimiser.")
            if isinstance(one, ReduceLROnPlateau):
                raise ArgumentError(
                    f"{kind}: ReduceLROnPlateau needs a number at each step; step it on its own."
                )

    def state_dict(self) -> dict[str, Any]:
        """Return the states of all schedules, and the own."""
        return {
            **super().state_dict(),
            "_schedulers": [one.state_dict() for one in self.schedulers],
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned."""
        own = {n: one for n, one in dict(state_dict).items() if n != "_schedulers"}
        super().load_state_dict(own)
        for one, saved in zip(self.schedulers, state_dict["_schedulers"], strict=True):
            one.load_state_dict(saved)


class ChainedScheduler(_Several):
    """Steps several schedules at once: their factors multiply."""

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self._take(optimizer, schedulers)

    def step(self) -> None:
        """Step all."""
        for one in self.schedulers:
            one.step()


class SequentialLR(_Several):
    """Runs schedules one after the other; each but the first begins at its milestone."""

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: list[LRScheduler],
        milestones: list[int],
        last_epoch: int = -1,
    ) -> None:
        self._take(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: {len(schedulers)} schedules need {len(schedulers) - 1} milestones, "
                f"got {len(milestones)}."
            )
        self.milestones, self.last_epoch = list(milestones), last_epoch + 1
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        self.schedulers[bisect_right(self.milestones, 0)].restart()

    def restart(self) -> None:
        """Begin with the first schedule."""
        self.last_epoch = 0
        self.schedulers[bisect_right(self.milestones, 0)].restart()

    def step(self) -> None:
        """Step the schedule whose turn it is, or begin it."""
        touch("schedule", (self,))
        self.last_epoch += 1
        number = bisect_right(self.milestones, self.last_epoch)
        if number and self.milestones[number - 1] == self.last_epoch:
            self.schedulers[number].restart()
        else:
            self.schedulers[number].step()
