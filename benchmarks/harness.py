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
        """Return the fields as a dictionary, for JSON."""
        return asdict(self)


def alternate(participants: Sequence[Participant], rounds: int) -> list[Timing]:
    """Time all participants, ``rounds`` blocks each; the first is the reference."""
    steps = [_steps_per_block(participant) for participant in participants]
    times: list[list[float]] = [[] for _ in participants]
    for _ in tqdm(range(rounds), desc="rounds", leave=False, disable=None):
        for participant, count, own in zip(participants, steps, times, strict=True):
            own.append(_block(participant, count))
    timings = []
    for participant, count, own in zip(participants, steps, times, strict=True):
        ratios = [a / b for a, b in zip(own, times[0], strict=True)]
        timings.append(Timing(participant.name, Spread.of(own), Spread.of(ratios), count))
    return timings


def _steps_per_block(participant: Participant) -> int:
    """Return how many steps fill a block, estimated from growing blocks."""
    participant.reset()
    start = perf_counter()
    participant.step()
    if perf_counter() - start > 10 * BLOCK_SECONDS:
        return 1
    steps = 1
    while True:
        seconds = _block(participant, steps)
        if seconds * steps >= BLOCK_SECONDS / 3 or steps >= MAX_STEPS:
            return max(1, min(MAX_STEPS, round(BLOCK_SECONDS / seconds)))
        steps *= 4


def _block(participant: Participant, steps: int) -> float:
    """Time one block from the starting weights; return the seconds a step.

    Garbage of the others is collected first, so that no participant pays for it. Then comes one
    step that is not timed: it fills caches, allocates the optimiser's state, and leaves the
    participant's own garbage, as in the middle of a training loop. (micrograd is twice as fast
    when its last graph is collected outside the block.) The collector stays on, as by default,
    unless the participant turns it off.
    """
    participant.reset()
    gc.collect()
    if not participant.collector:
        gc.disable()
    step = participant.step
    step()
    start = perf_counter()
    for _ in range(steps):
        step()
    elapsed = perf_counter() - start
    gc.enable()
    return elapsed / steps
