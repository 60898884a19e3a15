"""The progress of a training: a bar in a terminal, about ten lines in a log."""

import sys
from collections.abc import Sequence
from shutil import get_terminal_size
from types import TracebackType
from typing import Any, Self, TextIO

from tinygrad_lab.train.loop import Measurement, Step

__all__ = ["Progress"]

LOG_LINES = 10
BAR = "{desc} {percentage:3.0f}%|{bar}| {n}/{total} [{remaining} left{postfix}]"
"""Leaves room for the loss and the accuracies after it, in 80 columns."""

SMOOTHING = 0.98
"""The weight of earlier steps in the shown loss and accuracy: an average over about 50 steps."""


class Progress:
    """Shows the progress of a training: a live bar in a terminal, elsewhere about ten lines.

    Pass its methods to ``fit``: ``on_step`` for the bar, ``on_measurement`` for the lines. The
    loss (in nats) and the accuracy (in percent) of the bar are smoothed over the last batches.
    """

    def __init__(self, name: str, num_steps: int, stream: TextIO | None = None) -> None:
        self.name = name
        self.num_steps = num_steps
        self.stream = sys.stderr if stream is None else stream
        self.is_live = self.stream.isatty()
        self.loss = self.accuracy = self.weight = 0.0
        self.test = ""
        self.lines_written = 0

    def __enter__(self) -> Self:
        from tqdm import tqdm

        size = get_terminal_size()
        self.bar: Any = tqdm(
            total=self.num_steps,
            desc=f"{self.name:<8}",
            bar_format=BAR,
            file=self.stream,
            # tqdm shows nothing in a terminal of unknown size; assume 80 × 24.
            ncols=size.columns,
            nrows=size.lines,
            disable=not self.is_live,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.close()

    def on_step(self, step: Step) -> None:
        """Advance the bar."""
        if not self.is_live:
            return
        # An exponential moving average, divided by its weights: unbiased from the first step on.
        self.weight = SMOOTHING * self.weight + (1 - SMOOTHING)
        share = (1 - SMOOTHING) / self.weight
        self.loss += share * (step.loss - self.loss)
        self.accuracy += share * (step.accuracy - self.accuracy)
        self.bar.set_postfix_str(
            f"loss {self.loss:.2f}, accuracy {self.accuracy:.0f} %{self.test}", refresh=False
        )
        self.bar.update()

    def on_measurement(self, history: Sequence[Measurement]) -> None:
        """Add the test accuracy to the bar, or print a line after each tenth."""
        last = history[-1]
        self.test = f" (test {last.test_accuracy:.0f} %)"
        tenths = last.step * LOG_LINES // self.num_steps
        if self.is_live or tenths == self.lines_written:
            return
        self.lines_written = tenths
        print(
            f"{self.name}: step {last.step} of {self.num_steps}, loss {last.loss:.3f}, "
            f"accuracy {last.train_accuracy:.1f} %, test {last.test_accuracy:.1f} %",
            file=self.stream,
            flush=True,
        )
