"""Base of the schedules: a count of steps, and the rates of all groups from it."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from numbers import Real
from typing import Any

from tinygrad_lab.context import touch
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, StateDictError, excerpt
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["LRScheduler", "check_count", "check_numbers", "check_optimizer"]


class LRScheduler:
    """Base of the schedules; a subclass writes ``rate``.

    A group that is added later begins at its own rate, and takes part from the next step on.

    Args:
        optimizer: whose groups' ``lr`` is set.
        last_epoch: the count of steps to go on from; -1 begins. To go on, groups need their
            ``initial_lr``, which an optimiser's ``state_dict`` has.
    """

    unsaved: tuple[str, ...] = ("optimizer",)
    """What ``state_dict`` leaves out."""

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        for number, group in enumerate(optimizer.param_groups):
            if last_epoch != -1 and "initial_lr" not in group:
                raise ArgumentError(
                    f"{type(self).__name__}: to go on from last_epoch={last_epoch}, group {number} "
                    "needs its initial_lr: first load the optimiser's state_dict, or make the "
                    "schedule without last_epoch and load its own."
                )
            group.setdefault("initial_lr", group["lr"])
        self.optimizer = optimizer
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._advance()

    def rate(self, now: float, base: float, group: int) -> float:
        """Return the rate of a group at ``last_epoch``, from its last and its initial one."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        """Return the rates at ``last_epoch``, from those of the step before."""
        groups = self.optimizer.param_groups
        for group in groups[len(self.base_lrs) :]:  # added since: each begins at its own rate
            self.base_lrs.append(group.setdefault("initial_lr", group["lr"]))
        return [
            self.rate(group["lr"], base, number)
            for number, (group, base) in enumerate(zip(groups, self.base_lrs, strict=False))
        ]

    def step(self) -> None:
        """Set the next learning rate."""
        touch("schedule", (self,))
        self._advance()

    def restart(self) -> None:
        """Begin at the initial rates."""
        for group, base in zip(self.optimizer.param_groups, self.base_lrs, strict=False):
            group["lr"] = base
        self.last_epoch = -1
        self._advance()

    def _advance(self) -> None:
        before = self.last_epoch
        self.last_epoch += 1
        try:
            self._set(self.get_lr())
        except BaseException:
            self.last_epoch = before
            raise

    def _set(self, rates: list[float]) -> None:
        for number, rate in enumerate(rates):
            if not 0 <= rate < float("inf"):
                raise ArgumentError(
                    f"{type(self).__name__}: a learning rate must be finite and not negative; at "
                    f"step {self.last_epoch} that of group {number} would become {rate}."
                )
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def get_last_lr(self) -> list[float]:
        """Return the current learning rate of each group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def state_dict(self) -> dict[str, Any]:
        """Return the counts and settings; neither the optimiser nor the user's functions."""
        return deepcopy({n: one for n, one in vars(self).items() if n not in self.unsaved})

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; the rates are in the optimiser's own.

        Raises:
            StateDictError: if it is of another kind of schedule.
        """
        own = vars(self).keys() - set(self.unsaved)
        if not isinstance(state_dict, Mapping) or state_dict.keys() != own:
            raise StateDictError(
                f"the state dict does not fit this {type(self).__name__}: expected "
                f"{', '.join(sorted(own))}; got {excerpt(state_dict)}."
            )
        vars(self).update(deepcopy(dict(state_dict)))


def check_optimizer(schedule: Any, optimizer: Any) -> None:
    """Raise for anything but an optimiser."""
    if not isinstance(optimizer, Optimizer):
        raise ArgumentTypeError(
            f"{type(schedule).__name__} takes an optimiser first, got {excerpt(optimizer)}."
        )


def check_count(schedule: Any, name: str, value: Any, least: int = 1) -> None:
    """Raise unless a number of steps is an integer and large enough."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ArgumentError(
            f"{type(schedule).__name__}: {name} must be an integer of at least {least}, "
            f"got {value!r:.40}."
        )


def check_numbers(schedule: Any, **settings: Any) -> None:
    """Raise unless each setting is a real number."""
    for name, value in settings.items():
        if isinstance(value, bool) or not isinstance(value, Real):
            raise ArgumentTypeError(
                f"{type(schedule).__name__}: {name} must be a number, got {excerpt(value)}."
            )
