"""The reports of a run: metrics as JSON and CSV, the model's graph, and the table of results.

Losses are in nats and accuracies in percent.
"""

import csv
import io
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_lab import __version__
from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.files import write_atomically
from tinygrad_lab.nn import Module
from tinygrad_lab.nn.functional import cross_entropy
from tinygrad_lab.train.loop import Measurement, Status
from tinygrad_lab.train.settings import PUBLISHED, PUBLISHED_SHUFFLED, Published, Settings

__all__ = [
    "Metrics",
    "results_table",
    "versions",
    "write_csv",
    "write_graph",
    "write_metrics",
    "write_results",
]


@dataclass(frozen=True)
class Metrics:
    """The training of one model, as written to ``metrics.json``."""

    model: str
    settings: Settings
    seed: int
    device: str
    shuffle_seq: bool
    parameters: int
    """The number of parameters that the model learns."""
    status: Status
    seconds: float
    """The duration of the training, including measurements."""
    compiled: bool
    """Whether its steps were compiled, which affects only ``seconds``."""
    history: Sequence[Measurement]
    cause: str | None = None
    """Why it diverged, if it did: the first op that made NaN or infinity, and its line."""

    @property
    def published(self) -> Published:
        """The accuracy from the paper for this model on this data."""
        return (PUBLISHED_SHUFFLED if self.shuffle_seq else PUBLISHED)[self.model]

    @property
    def test_accuracy(self) -> float | None:
        """The accuracy on the test set after the last step; None if the training diverged."""
        return None if self.status == "diverged" else self.history[-1].test_accuracy

    def as_dict(self) -> dict[str, Any]:
        """Return the metrics for JSON, with None for numbers that are not finite."""
        return {
            "model": self.model,
            "status": self.status,
            "cause": self.cause,
            "test_accuracy": self.test_accuracy,
            "published_accuracy": self.published.accuracy,
            "published_spread": self.published.spread,
            "steps_done": self.history[-1].step,
            "seconds": round(self.seconds, 3),
            "compiled": self.compiled,
            "settings": asdict(self.settings),
            "seed": self.seed,
            "device": self.device,
            "shuffle_seq": self.shuffle_seq,
            "parameters": self.parameters,
            "versions": versions(),
            "units": {"loss": "nats", "accuracy": "percent"},
            "history": [
                {name: _finite_or_none(value) for name, value in asdict(measurement).items()}
                for measurement in self.history
            ],
        }


def versions() -> dict[str, str]:
    """Return the versions that the numbers of a run depend on.

    >>> sorted(versions())
    ['numpy', 'python', 'tinygrad_lab']
    """
    return {
        "tinygrad_lab": __version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def write_metrics(path: Path, metrics: Metrics) -> None:
    """Write ``metrics.json``."""
    write_atomically(path, _json(metrics.as_dict()))


def write_csv(path: Path, history: Sequence[Measurement]) -> None:
    """Write the history as a table with a header; numbers that are not finite are empty cells."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(field.name for field in fields(Measurement))
    for measurement in history:
        # A CSV writer writes None as an empty cell.
        table.writerow(_finite_or_none(value) for value in asdict(measurement).values())
    write_atomically(path, text.getvalue())


def write_graph(path: Path, model: Module, x: Any, y: Any) -> None:
    """Draw a model's graph as SVG, from a few samples to their loss, with gradients.

    ``x`` and ``y`` are arrays of shape (N, 40) and (N,).

    Raises ``MissingDependencyError`` if no renderer is installed.
    """
    from tinygrad_lab.show.draw import draw

    device = next(model.parameters()).device
    signals, labels = tensor(x, device=device, name="signals"), tensor(y, device=device)
    labels.name = "labels"
    model.eval()
    model.zero_grad()
    with np.errstate(all="ignore"):  # a diverged model is drawn with its infinities
        logits = model(signals)
        loss = cross_entropy(logits, labels)
        logits.name, loss.name = "logits", "loss"
        loss.backward()
    draw(loss).save(path)
    model.zero_grad()


def results_table(runs: Sequence[Metrics]) -> str:
    """Return test accuracies beside the published ones, as a Markdown table."""
    header = ("model", "test accuracy, %", "published, %", "parameters", "steps", "seconds")
    rows = [header, *(_row(run) for run in runs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    # The first column is text, aligned left; the others are numbers.
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join(
        "| "
        + " | ".join([cells[0].ljust(widths[0]), *map(str.rjust, cells[1:], widths[1:])])
        + " |"
        for cells in [header, rule, *rows[1:]]
    )


def write_results(folder: Path, runs: Sequence[Metrics]) -> None:
    """Write the table as ``results.md``, and its numbers as ``results.json``."""
    data = "MNIST-1D, its points shuffled" if runs[0].shuffle_seq else "MNIST-1D"
    title = f"# Test accuracy on {data} (seed {runs[0].seed})"
    source = "Published: Greydanus & Kobak, arXiv:2011.14439."
    write_atomically(folder / "results.md", f"{title}\n\n{results_table(runs)}\n\n{source}\n")
    summaries = [run.as_dict() for run in runs]
    for summary in summaries:
        del summary["history"]  # it is in the model's metrics.json
    write_atomically(folder / "results.json", _json({"results": summaries}))


def _row(run: Metrics) -> tuple[str, ...]:
    accuracy = "diverged" if run.test_accuracy is None else f"{run.test_accuracy:.1f}"
    steps = f"{run.history[-1].step:,}"
    if run.status in ("running", "interrupted"):
        steps += f" of {run.settings.steps:,}"
    return (
        run.model,
        accuracy,
        str(run.published),
        f"{run.parameters:,}",
        steps,
        f"{run.seconds:.1f}",
    )


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
