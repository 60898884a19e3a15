"""Schedules that raise the rate and lower it again, with the momentum the other way round.

The rate is that of the step count, whatever it was before.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi
from typing import Any, Literal

from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.lr_scheduler.base import (
    LRScheduler,
    check_count,
    check_numbers,
    check_optimizer,
)
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["CyclicLR", "OneCycleLR"]

Each = float | list[float]


class CyclicLR(LRScheduler):
    """Goes up and down between two rates, along straight lines.

    Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.

    Args:
        base_lr: the lowest rate, or one for each group.
        max_lr: the highest.
        step_size_up: the steps from lowest to highest.
        step_size_down: the steps back; as many if None.
        mode: ``"triangular2"`` halves the height after each cycle, ``"exp_range"`` multiplies it by
            ``gamma`` at each step.
        scale_fn: scales the height instead; of the cycle, or of the step (``scale_mode``).
        cycle_momentum: let the momentum go from ``max_momentum`` to ``base_momentum`` and back.
    """

    unsaved = ("optimizer", "scale_fn")

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Each,
        max_lr: Each,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float = 0.8,
        max_momentum: float = 0.9,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        check_count(self, "step_size_up", step_size_up)
        down = step_size_up if step_size_down is None else step_size_down
        check_count(self, "step_size_down", down)
        _check_choice(self, "mode", mode, ("triangular", "triangular2", "exp_range"))
        _check_choice(self, "scale_mode", scale_mode, ("cycle", "iterations"))
        check_numbers(self, gamma=gamma, base_momentum=base_momentum, max_momentum=max_momentum)
        lows = _each(self, optimizer, "base_lr", base_lr)
        self.max_lrs = _each(self, optimizer, "max_lr", max_lr)
        self.step_size_up, self.step_size_down, self.mode = step_size_up, down, mode
        self.gamma, self.scale_fn, self.scale_mode = gamma, scale_fn, scale_mode
        self.momenta = (base_momentum, max_momentum) if cycle_momentum else None
        _check_momentum(self, optimizer, cycle_momentum)
        if last_epoch == -1:
            for group, low in zip(optimizer.param_groups, lows, strict=True):
                group["lr"] = group["initial_lr"] = low
        super().__init__(optimizer, last_epoch)

    def height(self) -> float:
        """Return how far up the cycle is, from 0 to 1."""
        total = self.step_size_up + self.step_size_down
        share = self.last_epoch / total % 1.0
        turn = self.step_size_up / total
        return share / turn if share <= turn else (share - 1) / (turn - 1)

    def scale(self) -> float:
        """Return by what the height of the cycle is multiplied."""
        cycle = 1 + self.last_epoch // (self.step_size_up + self.step_size_down)
        if self.scale_fn is not None:
            return self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.mode == "triangular2":
            return float(2.0 ** (1 - cycle))
        return float(self.gamma**self.last_epoch) if self.mode == "exp_range" else 1.0

    def rate(self, now: float, base: float, group: int) -> float:
        top = self.max_lrs[min(group, len(self.max_lrs) - 1)]
        return base + (top - base) * self.height() * self.scale()

    def _set(self, rates: list[float]) -> None:
        super()._set(rates)
        if self.momenta is not None:
            low, high = self.momenta
            _set_momentum(self.optimizer, high - (high - low) * self.height() * self.scale())


class OneCycleLR(LRScheduler):
    """Raises the rate once, and lowers it to almost nothing.

    Source: Smith & Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large
    Learning Rates", 2018, in two phases as fastai has it.

    Args:
        max_lr: the highest rate, or one for each group.
        total_steps: the steps of the cycle; ``epochs * steps_per_epoch`` if None.
        pct_start: the part of them in which the rate rises.
        anneal_strategy: ``"cos"`` or ``"linear"``.
        cycle_momentum: let the momentum go from ``max_momentum`` to ``base_momentum`` and back.
        div_factor: the first rate is ``max_lr / div_factor``.
        final_div_factor: the last is the first, divided by this.
        three_phase: fall as long as it rose, to the first rate, before it falls to the last.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Each,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: Each = 0.85,
        max_momentum: Each = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        check_optimizer(self, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ArgumentError("OneCycleLR: give total_steps, or epochs and steps_per_epoch.")
            check_count(self, "epochs", epochs)
            check_count(self, "steps_per_epoch", steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        check_count(self, "total_steps", total_steps)
        check_numbers(self, pct_start=pct_start)
        if not 0 <= pct_start <= 1:
            raise ArgumentError(f"OneCycleLR: pct_start must be in [0, 1], got {pct_start}.")
        check_numbers(self, div_factor=div_factor, final_div_factor=final_div_factor)
        _check_choice(self, "anneal_strategy", anneal_strategy, ("cos", "linear"))
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        tops = _each(self, optimizer, "max_lr", max_lr)
        self.ends = _ends_of_phases(total_steps, pct_start, three_phase)
        firsts = [top / div_factor for top in tops]
        self.rates = [
            [first, top, *([first] if three_phase else []), first / final_div_factor]
            for first, top in zip(firsts, tops, strict=True)
        ]
        self.momenta: list[list[float]] = []
        if cycle_momentum:
            _check_momentum(self, optimizer, True)
            lows = _each(self, optimizer, "base_momentum", base_momentum)
            highs = _each(self, optimizer, "max_momentum", max_momentum)
            for low, high in zip(lows, highs, strict=True):
                self.momenta.append([high, low, high, *([high] if three_phase else [])])
        if last_epoch == -1:
            for group, first in zip(optimizer.param_groups, firsts, strict=True):
                group["lr"] = group["initial_lr"] = first
        super().__init__(optimizer, last_epoch)

    def rate(self, now: float, base: float, group: int) -> float:
        return self.between(self.rates[min(group, len(self.rates) - 1)])

    def between(self, levels: list[float]) -> float:
        """Return the level of now, of those between which the phases go."""
        if self.last_epoch >= self.total_steps:
            raise ArgumentError(
                f"OneCycleLR: step {self.last_epoch} is past the end of the cycle, of "
                f"{self.total_steps} steps. Make it with a larger total_steps."
            )
        phase = next(n for n, end in enumerate(self.ends) if self.last_epoch <= end)
        begin = self.ends[phase - 1] if phase else 0.0
        length = self.ends[phase] - begin
        share = (self.last_epoch - begin) / length if length else 1.0
        if self.anneal_strategy == "linear":
            return (levels[phase + 1] - levels[phase]) * share + levels[phase]
        fall = (levels[phase] - levels[phase + 1]) / 2
        return levels[phase + 1] + fall * (1 + cos(pi * share))

    def _set(self, rates: list[float]) -> None:
        super()._set(rates)
        for number, group in enumerate(self.optimizer.param_groups if self.momenta else ()):
            levels = self.momenta[min(number, len(self.momenta) - 1)]
            _set_momentum_of(group, self.between(levels))


def _ends_of_phases(total: int, share: float, three: bool) -> list[float]:
    """Return the steps at which the phases of a cycle end."""
    up = share * total - 1
    return [up, 2 * share * total - 2, total - 1] if three else [up, total - 1]


def _each(schedule: Any, optimizer: Optimizer, name: str, value: Each) -> list[float]:
    """Return a number for each group."""
    count = len(optimizer.param_groups)
    for one in value if isinstance(value, list | tuple) else [value]:
        check_numbers(schedule, **{name: one})
    if not isinstance(value, list | tuple):
        return [value] * count
    if len(value) != count:
        raise ArgumentError(
            f"{type(schedule).__name__}: expected {name} for each of {count} groups, "
            f"got {len(value)}."
        )
    return list(value)


def _check_choice(schedule: Any, name: str, value: Any, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ArgumentError(
            f"{type(schedule).__name__}: {name} is {' or '.join(map(repr, choices))}, "
            f"got {value!r:.40}."
        )


def _check_momentum(schedule: Any, optimizer: Optimizer, wanted: bool) -> None:
    if wanted and not {"momentum", "betas"} & optimizer.defaults.keys():
        raise ArgumentError(
            f"{type(schedule).__name__}: {type(optimizer).__name__} has no momentum to cycle; "
            "write cycle_momentum=False."
        )


def _set_momentum(optimizer: Optimizer, momentum: float) -> None:
    for group in optimizer.param_groups:
        _set_momentum_of(group, momentum)


def _set_momentum_of(group: dict[str, Any], momentum: float) -> None:
    if "betas" in group:
        group["betas"] = (momentum, *group["betas"][1:])
    else:
        group["momentum"] = momentum
