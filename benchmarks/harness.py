"""Timing in alternation: A B C A B C …, a block of steps each.

The machine's speed drifts and its neighbours make noise. So no participant's time is compared with
another's from a minute ago: ratios are taken within a round, and their median is reported.
"""

from __future__ import annotations

import gc
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from time import perf_counter

from tqdm import tqdm

from benchmarks.participant import Participant

BLOCK_SECONDS = 0.03
MAX_STEPS = 400  # a block starts at the starting weights; see `Participant`


@dataclass(frozen=True)
class Spread:
    """Median and quartiles."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


@dataclass(frozen=True)
class Timing:
    """One participant's seconds a step, its ratio to the reference, and how it was measured."""

    name: str
    seconds: Spread
    ratio: Spread
    steps_per_block: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def alternate(participants: Sequence[Participant], rounds: int) -> list[Timing]:
    """Time everybody, ``rounds`` blocks each; the first participant is the reference."""
    plans = [_plan(participant) for participant in participants]
    times: list[list[float]] = [[] for _ in participants]
    for _ in tqdm(range(rounds), desc="rounds", leave=False):
        for participant, plan, own in zip(participants, plans, times, strict=True):
            own.append(_block(participant, plan))
    timings = []
    for participant, plan, own in zip(participants, plans, times, strict=True):
        ratios = [a / b for a, b in zip(own, times[0], strict=True)]
        timings.append(Timing(participant.name, Spread.of(own), Spread.of(ratios), plan.steps))
    return timings


@dataclass(frozen=True)
class Plan:
    """How many steps a block times, and whether one more goes before them, untimed.

    The first step after a reset allocates the optimiser's state and finds other people's data in
    the caches. Where a step takes a good part of a second, that no longer matters.
    """

    steps: int
    warm_up: bool = True


def _plan(participant: Participant) -> Plan:
    """As many steps as fill a block, estimated from growing blocks."""
    steps = 1
    while True:
        seconds = _block(participant, Plan(steps))
        if seconds * steps >= BLOCK_SECONDS / 3 or steps >= MAX_STEPS:
            fitting = max(1, min(MAX_STEPS, round(BLOCK_SECONDS / seconds)))
            return Plan(fitting, warm_up=seconds < 0.25)
        steps *= 4


def _block(participant: Participant, plan: Plan) -> float:
    """Seconds a step over one block, from the starting weights.

    What earlier blocks left behind is collected first, so that nobody pays for another's garbage;
    during the block the collector is as Python has it (on), unless the participant turns it off.
    """
    participant.reset()
    if plan.warm_up:
        participant.step()
    gc.collect()
    if not participant.collector:
        gc.disable()
    step = participant.step
    start = perf_counter()
    for _ in range(plan.steps):
        step()
    elapsed = perf_counter() - start
    gc.enable()
    return elapsed / plan.steps
