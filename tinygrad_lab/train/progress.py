"""What is seen while a net trains: a bar in a terminal, a line now and then in a log."""

import sys
from collections.abc import Sequence
from shutil import get_terminal_size
from types import TracebackType
from typing import Any, Self, TextIO

from tinygrad_lab.train.loop import Measurement, Step

__all__ = ["Progress"]

LOG_LINES = 10
BAR = "{desc} {percentage:3.0f}%|{bar}| {n}/{total} [{remaining} left{postfix}]"
"""With the loss and the accuracies behind it, this leaves a bar in 80 columns."""

SMOOTHING = 0.98
"""How much of the shown loss and accuracy comes from earlier steps: those of about 50 count."""


class Progress:
    """Show how a training goes, on a terminal as a live bar, elsewhere as about ten lines.

    Give its methods to ``fit``: ``on_step`` for the bar, ``on_measurement`` for the lines. The
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
            # tqdm shows nothing in a terminal that does not tell its size; these are 80 × 24 then.
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
        """Move the bar on."""
        if not self.is_live:
            return
        # A mean whose weights fade; divided by their sum, it is right from the first step on.
        self.weight = SMOOTHING * self.weight + (1 - SMOOTHING)
        share = (1 - SMOOTHING) / self.weight
        self.loss += share * (step.loss - self.loss)
        self.accuracy += share * (step.accuracy - self.accuracy)
        self.bar.set_postfix_str(
            f"loss {self.loss:.2f}, accuracy {self.accuracy:.0f} %{self.test}", refresh=False
        )
        self.bar.update()

    def on_measurement(self, history: Sequence[Measurement]) -> None:
        """Take the test accuracy into the bar, or write a line when another tenth is done."""
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
