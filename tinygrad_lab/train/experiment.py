"""A run: a model trained on MNIST-1D from its seed on, and everything about it in a folder."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tinygrad_lab.data import MNIST1D
from tinygrad_lab.nn import Module
from tinygrad_lab.random import seed as set_seed
from tinygrad_lab.train.checkpoint import Checkpoint, save_checkpoint
from tinygrad_lab.train.curves import write_curves
from tinygrad_lab.train.loop import Measurement, Status, Step, fit, status
from tinygrad_lab.train.models import make_model
from tinygrad_lab.train.report import Metrics, write_csv, write_graph, write_metrics
from tinygrad_lab.train.settings import Settings

__all__ = ["Experiment", "run"]

SAMPLES_DRAWN = 2


@dataclass(frozen=True)
class Experiment:
    """What a run depends on; the same experiment gives the same numbers, bit for bit.

    ``model`` is a key of ``MODELS``; ``shuffle_seq`` tells of the data, which ``run`` is given.
    """

    model: str
    settings: Settings
    seed: int = 0
    device: str = "cpu"
    shuffle_seq: bool = False


def run(
    experiment: Experiment,
    data: MNIST1D,
    folder: Path,
    *,
    on_step: Callable[[Step], None] | None = None,
    on_measurement: Callable[[list[Measurement]], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Metrics:
    """Train a model and leave everything about it in a folder.

    ``metrics.json``, ``metrics.csv`` and ``checkpoint.safetensors`` are written at every
    measurement, so that little is lost when the process is killed; ``curves.png`` and
    ``graph.svg`` at the end. A training that diverges keeps the checkpoint from before.

    The callbacks are those of ``fit``. Raises ``DeviceError`` for a device that is not there,
    ``ArgumentError`` for settings that the data does not allow, ``OSError`` where the folder
    cannot be written to.
    """
    set_seed(experiment.seed)
    model = make_model(experiment.model).to(experiment.device)
    started = perf_counter()

    def save(history: list[Measurement], state: Status) -> Metrics:
        metrics = _metrics(experiment, model, history, state, perf_counter() - started)
        write_metrics(folder / "metrics.json", metrics)
        write_csv(folder / "metrics.csv", history)
        if history[-1].is_finite:
            _save_checkpoint(folder, experiment, model, history[-1].step)
        return metrics

    def on_measured(history: list[Measurement]) -> None:
        save(history, "running")
        if on_measurement is not None:
            on_measurement(history)

    history = fit(
        model,
        data,
        experiment.settings,
        seed=experiment.seed,
        on_step=on_step,
        on_measurement=on_measured,
        should_stop=should_stop,
    )
    metrics = save(history, status(history, experiment.settings))
    write_curves(folder / "curves.png", metrics)
    write_graph(folder / "graph.svg", model, data.x[:SAMPLES_DRAWN], data.y[:SAMPLES_DRAWN])
    return metrics


def _metrics(
    experiment: Experiment,
    model: Module,
    history: list[Measurement],
    state: Status,
    seconds: float,
) -> Metrics:
    return Metrics(
        model=experiment.model,
        settings=experiment.settings,
        seed=experiment.seed,
        device=experiment.device,
        shuffle_seq=experiment.shuffle_seq,
        parameters=sum(math.prod(parameter.shape) for parameter in model.parameters()),
        status=state,
        seconds=seconds,
        history=tuple(history),
    )


def _save_checkpoint(folder: Path, experiment: Experiment, model: Module, step: int) -> None:
    about = Checkpoint(
        model=experiment.model,
        step=step,
        seed=experiment.seed,
        shuffle_seq=experiment.shuffle_seq,
        settings=experiment.settings,
    )
    save_checkpoint(folder / "checkpoint.safetensors", model, about)
