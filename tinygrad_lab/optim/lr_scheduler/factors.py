"""Schedules that multiply the rate by factors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, excerpt
from tinygrad_lab.optim.lr_scheduler.base import (
    LRScheduler,
    check_count,
    check_numbers,
    check_optimizer,
)
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = [
    "ConstantLR",
    "ExponentialLR",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "PolynomialLR",
    "StepLR",
]

Lambda = Callable[[int], float]


class LambdaLR(LRScheduler):
    """Multiplies the initial learning rate of each group by a function of the number of steps.

    Args:
        lr_lambda: the function, or one for each group. Functions are not part of ``state_dict``.

    Example:
        >>> import tinygrad_lab as tg
        >>> optimizer = tg.optim.SGD([tg.scalar(1.0)], lr=0.5)
        >>> schedule = tg.optim.lr_scheduler.LambdaLR(optimizer, lambda steps: 0.1**steps)
        >>> schedule.step(); schedule.get_last_lr()
        [0.05]
    """

    unsaved = ("optimizer", "lr_lambdas")

    def __init__(
        self, optimizer: Optimizer, lr_lambda: Lambda | list[Lambda], last_epoch: int = -1
    ) -> None:
        check_optimizer(self, optimizer)
        count, kind = len(optimizer.param_groups), type(self).__name__
        several = isinstance(lr_lambda, list | tuple)
        lambdas: Sequence[Lambda] = (
            lr_lambda if isinstance(lr_lambda, list | tuple) else [lr_lambda]
        )
        if several and len(lambdas) != count:
            raise ArgumentError(
                f"{kind}: expected one function for each of {count} groups, got {len(lambdas)}."
            )
        if not all(callable(one) for one in lambdas):
            raise ArgumentTypeError(
                f"{kind}: lr_lambda is a function of the number of steps, got {excerpt(lr_lambda)}."
            )
        self.lr_lambdas = list(lambdas) if several else [lr_lambda] * count
        super().__init__(optimizer, last_epoch)

    def factor(self, group: int) -> float:
        """Return what a group's function says; groups added later follow the last."""
        lambdas = self.lr_lambdas
        return float(lambdas[min(group, len(lambdas) - 1)](self.last_epoch))  # type: ignore[operator]

    def rate(self, now: float, base: float, group: int) -> float:
        return base * self.factor(group)


class MultiplicativeLR(LambdaLR):
    """Multiplies the rate at each step by a function of the number of steps."""

    def rate(self, now: float, base: float, group: int) -> float:
        return now * self.factor(group) if self.last_epoch > 0 else now

    def restart(self) -> None:
        """Begin at the rates of now."""
        self.last_epoch = 0


class StepLR(LRScheduler):
    """Multiplies the rate by ``gamma`` after every ``step_size`` steps."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_count(self, "step_size", step_size)
        check_numbers(self, gamma=gamma)
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        is_due = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        return now * self.gamma if is_due else now


class MultiStepLR(LRScheduler):
    """Multiplies the rate by ``gamma`` at each of the ``milestones``."""

    def __init__(
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:
        check_numbers(self, gamma=gamma)
        if not isinstance(milestones, Iterable):
            raise ArgumentTypeError(
                f"MultiStepLR: milestones is a list of step counts, got {excerpt(milestones)}."
            )
        self.milestones, self.gamma = Counter(milestones), gamma
        for milestone in self.milestones:
            check_count(self, "each milestone", milestone, 0)
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        times = self.milestones[self.last_epoch]
        return now * self.gamma**times if times else now


class ConstantLR(LRScheduler):
    """Multiplies the rate by ``factor`` for the first ``total_iters`` steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1.0 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_numbers(self, factor=factor)
        if not 0 < factor <= 1:
            raise ArgumentError(f"ConstantLR: factor must be in (0, 1], got {factor}.")
        check_count(self, "total_iters", total_iters, 0)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        if self.last_epoch == 0:
            return now * self.factor
        return now / self.factor if self.last_epoch == self.total_iters else now


class LinearLR(LRScheduler):
    """Multiplies the rate by a factor that goes straight from one to another."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        check_numbers(self, start_factor=start_factor, end_factor=end_factor)
        if not 0 < start_factor <= 1 or not 0 <= end_factor <= 1:
            raise ArgumentError(
                "LinearLR: start_factor must be in (0, 1] and end_factor in [0, 1], got "
                f"{start_factor} and {end_factor}."
            )
        check_count(self, "total_iters", total_iters)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        if self.last_epoch == 0:
            return now * self.start_factor
        if self.last_epoch > self.total_iters:
            return now
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return max(0.0, now * (1 + rise / before))


class ExponentialLR(LRScheduler):
    """Multiplies the rate by ``gamma`` at each step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check_numbers(self, gamma=gamma)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        return now * self.gamma if self.last_epoch > 0 else now


class PolynomialLR(LRScheduler):
    """Lowers the rate to 0 after ``total_iters`` steps, as (1 - k / total_iters) ** power."""

    def __init__(
        self,
        optimizer: Optimizer,
        total_iters: int = 5,
        power: float = 1.0,
        last_epoch: int = -1,
    ) -> None:
        check_count(self, "total_iters", total_iters)
        check_numbers(self, power=power)
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        k, total = self.last_epoch, self.total_iters
        if k == 0 or k > total:
            return now
        return float(now * ((1 - k / total) / (1 - (k - 1) / total)) ** self.power)
