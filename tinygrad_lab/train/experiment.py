"""A run: a model trained on MNIST-1D from a seed, with all results in a folder."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from tinygrad_lab.data import MNIST1D
from tinygrad_lab.nn import Module
from tinygrad_lab.random.generator import seed as set_seed
from tinygrad_lab.train.checkpoint import Checkpoint, save_checkpoint
from tinygrad_lab.train.curves import write_curves
from tinygrad_lab.train.loop import Measurement, Status, Step, compiles_on, fit, status
from tinygrad_lab.train.models import make_model
from tinygrad_lab.train.report import Metrics, write_csv, write_graph, write_metrics
from tinygrad_lab.train.settings import Settings

__all__ = ["Experiment", "run"]

METRICS, TABLE, CHECKPOINT = "metrics.json", "metrics.csv", "checkpoint.safetensors"
CURVES, GRAPH = "curves.png", "graph.svg"
SAMPLES_DRAWN = 2


@dataclass(frozen=True)
class Experiment:
    """The inputs of a run; the same experiment gives the same numbers, bit for bit.

    ``model`` is a key of ``MODELS``; ``shuffle_seq`` describes the data that ``run`` is given.
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
    compiled: bool = True,
    on_step: Callable[[Step], None] | None = None,
    on_measurement: Callable[[list[Measurement]], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Metrics:
    """Train a model and write all results to a folder.

    ``metrics.json``, ``metrics.csv`` and ``checkpoint.safetensors`` are written at every
    measurement, so that little is lost if the process is killed; ``curves.png`` and ``graph.svg``
    at the end. Files of these names from an earlier run are removed first, so that all files belong
    to this run. A training that diverges keeps its last checkpoint with finite numbers, if there is
    one, and its metrics say the cause.

    ``compiled`` and the callbacks are those of ``fit``. Raises ``DeviceError`` for a missing
    device, ``ArgumentError`` for settings that the data does not allow, ``OSError`` if the folder
    cannot be written to.
    """
    for name in (METRICS, TABLE, CHECKPOINT, CURVES, GRAPH):
        (folder / name).unlink(missing_ok=True)
    set_seed(experiment.seed)
    model = make_model(experiment.model).to(experiment.device)
    compiled = compiled and compiles_on(experiment.device)
    started = perf_counter()
    cause: str | None = None

    def on_stepped(step: Step) -> None:
        nonlocal cause
        cause = step.cause
        if on_step is not None:
            on_step(step)

    def save(history: list[Measurement], state: Status) -> Metrics:
        seconds = perf_counter() - started
        metrics = _metrics(experiment, model, history, state, seconds, compiled, cause)
        write_metrics(folder / METRICS, metrics)
        write_csv(folder / TABLE, history)
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
        compiled=compiled,
        on_step=on_stepped,
        on_measurement=on_measured,
        should_stop=should_stop,
    )
    metrics = save(history, status(history, experiment.settings))
    write_curves(folder / CURVES, metrics)
    write_graph(folder / GRAPH, model, data.x[:SAMPLES_DRAWN], data.y[:SAMPLES_DRAWN])
    return metrics


def _metrics(
    experiment: Experiment,
    model: Module,
    history: list[Measurement],
    state: Status,
    seconds: float,
    compiled: bool,
    cause: str | None,
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
        compiled=compiled,
        history=tuple(history),
        cause=cause,
    )


def _save_checkpoint(folder: Path, experiment: Experiment, model: Module, step: int) -> None:
    about = Checkpoint(
        model=experiment.model,
        step=step,
        seed=experiment.seed,
        shuffle_seq=experiment.shuffle_seq,
        settings=experiment.settings,
    )
    save_checkpoint(folder / CHECKPOINT, model, about)
