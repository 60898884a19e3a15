"""Curves of loss and accuracy as PNG, drawn without matplotlib's global state."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinygrad_lab.files import write_atomically
from tinygrad_lab.train.report import Metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_comparison", "write_curves"]

# Blue and orange of Okabe and Ito, which colour-blind people can tell apart.
TRAIN_COLOUR, TEST_COLOUR, PUBLISHED_COLOUR = "#0072B2", "#D55E00", "#777777"
DOTS_PER_INCH = 150


def write_curves(path: Path, metrics: Metrics) -> None:
    """Draw the loss and accuracy of a run, with the published accuracy as a band.

    Raises ``OSError`` if the file cannot be written.
    """
    figure = _figure(width=10, height=4)
    loss_axes, accuracy_axes = figure.subplots(1, 2)
    figure.suptitle(_title(metrics))
    history = metrics.history
    steps = [measurement.step for measurement in history]
    style = _line_style(len(steps))

    loss_axes.plot(steps, [m.loss for m in history], color=TRAIN_COLOUR, label="training", **style)
    loss_axes.plot(steps, [m.test_loss for m in history], color=TEST_COLOUR, label="test", **style)
    loss_axes.set_ylabel("cross-entropy loss (nats)")
    loss_axes.set_ylim(bottom=0)

    accuracy_axes.plot(
        steps, [m.train_accuracy for m in history], color=TRAIN_COLOUR, label="training", **style
    )
    accuracy_axes.plot(
        steps, [m.test_accuracy for m in history], color=TEST_COLOUR, label="test", **style
    )
    _draw_published(accuracy_axes, metrics)
    _show_percent(accuracy_axes)
    for axes in (loss_axes, accuracy_axes):
        _finish(axes, metrics.settings.steps)
        axes.legend(loc="best", frameon=False)
    _save(figure, path)


def write_comparison(path: Path, runs: Sequence[Metrics]) -> None:
    """Draw the test accuracies of several models beside the published ones.

    Raises ``OSError`` if the file cannot be written.
    """
    figure = _figure(width=3 * len(runs) + 1, height=3.6)
    panels = figure.subplots(1, len(runs), sharey=True, squeeze=False)[0]
    figure.suptitle(f"Test accuracy on MNIST-1D{_shuffled(runs[0])}, seed {runs[0].seed}")
    for axes, run in zip(panels, runs, strict=True):
        steps = [measurement.step for measurement in run.history]
        accuracies = [measurement.test_accuracy for measurement in run.history]
        axes.plot(steps, accuracies, color=TEST_COLOUR, label="this run", **_line_style(len(steps)))
        _draw_published(axes, run)
        axes.set_title(f"{run.model}: {_accuracy(run)}", fontsize="medium")
        _show_percent(axes)
        _finish(axes, run.settings.steps)
        axes.label_outer()
    panels[0].legend(loc="upper left", frameon=False)
    _save(figure, path)


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")


def _title(metrics: Metrics) -> str:
    return (
        f"{metrics.model} on MNIST-1D{_shuffled(metrics)}, seed {metrics.seed}: "
        f"{_accuracy(metrics)} (published: {metrics.published} %)"
    )


def _shuffled(metrics: Metrics) -> str:
    return " with shuffled points" if metrics.shuffle_seq else ""


def _accuracy(metrics: Metrics) -> str:
    return "diverged" if metrics.test_accuracy is None else f"{metrics.test_accuracy:.1f} %"


def _line_style(num_points: int) -> dict[str, object]:
    # A line through a single point would be invisible.
    return {"linewidth": 1.6, "marker": "o" if num_points == 1 else None}


def _draw_published(axes: "Axes", metrics: Metrics) -> None:
    published = metrics.published
    axes.axhline(
        published.accuracy, color=PUBLISHED_COLOUR, linestyle="--", linewidth=1, label="published"
    )
    if published.spread is not None:
        axes.axhspan(
            published.accuracy - published.spread,
            published.accuracy + published.spread,
            color=PUBLISHED_COLOUR,
            alpha=0.2,
            linewidth=0,
        )


def _show_percent(axes: "Axes") -> None:
    axes.set_ylabel("accuracy (%)")
    axes.set_ylim(0, 101)


def _finish(axes: "Axes", steps: int) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_xlabel("step (batches learned from)")
    axes.set_xlim(0, steps * 1.02)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _save(figure: "Figure", path: Path) -> None:
    image = io.BytesIO()
    # A Figure outside pyplot draws with Agg, even without a display.
    figure.savefig(image, format="png")
    write_atomically(path, image.getvalue())
