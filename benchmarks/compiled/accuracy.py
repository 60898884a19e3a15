"""Whole trainings on MNIST-1D: seconds until a net is as accurate as in the paper.

All trainers train the same net from the same weights on the same batches, with the settings that
``tinygrad-lab train`` has for it, and are measured on the test set every `MEASURE_EVERY` steps; the
seconds include both steps and measurements. ``python -m benchmarks.compiled.accuracy
MODEL TRAINER SEED STEPS`` trains once in this process and prints JSON.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any

import numpy as np
from tqdm import tqdm

import tinygrad_lab as tg
from benchmarks.environment import installed, run_python, settle_allocator
from benchmarks.report import Section, number
from tinygrad_lab.data import MNIST1D, DataLoader, mnist1d
from tinygrad_lab.train import evaluate, make_model
from tinygrad_lab.train.settings import DEFAULTS, PUBLISHED, Settings

MEASURE_EVERY = 50
SEEDS = (0, 1, 2)
MODELS = tuple(DEFAULTS)

Update = Callable[[np.ndarray, np.ndarray, float], None]
"""A step on a batch (x, labels) at a learning rate."""
Accuracy = Callable[[], float]
"""The accuracy on the test set, in percent."""


@dataclass(frozen=True)
class Trainer:
    """A library's way to train a net from given weights."""

    name: str
    package: str
    make: Callable[[tg.nn.Module, str, Settings, MNIST1D], tuple[Update, Accuracy]]


def with_tinygrad_lab(
    model: tg.nn.Module, _: str, settings: Settings, data: MNIST1D, target: str | None = None
) -> tuple[Update, Accuracy]:
    """Train eagerly, or with steps compiled to a target."""
    groups = decayed_apart(dict(model.named_parameters()), settings)
    optimiser = tg.optim.AdamW(groups, lr=settings.lr, weight_decay=0.0)
    x_test, y_test = tg.tensor(data.x_test), tg.tensor(data.y_test)

    def step(x: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
        loss = tg.nn.functional.cross_entropy(model(x), labels)
        optimiser.zero_grad()
        loss.backward(free=True)
        optimiser.step()
        return loss

    if target is not None:
        step = tg.compile(step, target=target)

    def update(x: np.ndarray, labels: np.ndarray, rate: float) -> None:
        for group in optimiser.param_groups:
            group["lr"] = rate
        step(tg.tensor(x), tg.tensor(labels))

    return update, lambda: evaluate(model, x_test, y_test)[1]


def with_torch(
    model: tg.nn.Module, name: str, settings: Settings, data: MNIST1D
) -> tuple[Update, Accuracy]:
    """Train by PyTorch on one thread, with its fused optimiser."""
    import torch

    from benchmarks.peers import with_torch as nets

    net = nets.ResidualMLP() if name == "mlp" else nets.MODELS[name]()
    net.load_state_dict(
        {key: torch.tensor(p.detach().numpy()) for key, p in model.named_parameters()}
    )
    groups = decayed_apart(dict(net.named_parameters()), settings)
    optimiser = torch.optim.AdamW(groups, lr=settings.lr, weight_decay=0.0, fused=True)
    x_test, y_test = torch.tensor(data.x_test), torch.tensor(data.y_test)

    def update(x: np.ndarray, labels: np.ndarray, rate: float) -> None:
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(labels))
        loss.backward()
        optimiser.step()

    def accuracy() -> float:
        with torch.no_grad():
            return 100 * float((net(x_test).argmax(1) == y_test).float().mean())

    return update, accuracy


TRAINERS = {
    trainer.name: trainer
    for trainer in (
        Trainer("tg.compile, numpy", "tinygrad_lab", partial(with_tinygrad_lab, target="numpy")),
        Trainer("tg.compile, numba", "llvmlite", partial(with_tinygrad_lab, target="numba")),
        Trainer("tinygrad_lab", "tinygrad_lab", with_tinygrad_lab),
        Trainer("PyTorch", "torch", with_torch),
    )
}


def decayed_apart(parameters: dict[str, Any], settings: Settings) -> list[dict[str, Any]]:
    """Group weights, which decay, and biases, which do not, as ``tinygrad-lab train`` does."""
    weights = [p for p in parameters.values() if p.ndim > 1]
    biases = [p for p in parameters.values() if p.ndim <= 1]
    return [{"params": weights, "weight_decay": settings.weight_decay}, {"params": biases}]


def train(model: str, trainer: str, seed: int, most_steps: int | None = None) -> dict[str, Any]:
    """Train until the paper's accuracy is reached, or to the end.

    ``reached`` has, for the accuracies of `targets`, the seconds and the steps, if it was.
    """
    settings, data = DEFAULTS[model], mnist1d()
    settle_allocator()
    tg.seed(seed)
    update, accuracy = TRAINERS[trainer].make(make_model(model), model, settings, data)
    steps, best = min(settings.steps, most_steps or settings.steps), 0.0
    reached: dict[str, tuple[float, int]] = {}
    start = perf_counter()
    for step, (x, labels) in enumerate(islice(_batches(data, settings, seed), steps), start=1):
        update(x, labels, settings.learning_rate(step))
        if step % MEASURE_EVERY == 0:
            best = max(best, accuracy())
            for target in targets(model):
                if best >= target:
                    reached.setdefault(f"{target:g}", (perf_counter() - start, step))
            if best >= max(targets(model)):
                break
    seconds = perf_counter() - start
    return {"seconds": seconds, "steps": step, "best": best, "reached": reached}


def targets(model: str) -> tuple[float, float]:
    """Return the paper's accuracy: the lower end of its range, and the middle."""
    published = PUBLISHED[model]
    return published.accuracy - (published.spread or 0), published.accuracy


def _batches(data: MNIST1D, settings: Settings, seed: int) -> Iterator[tuple[Any, ...]]:
    loader = DataLoader(
        data.x, data.y, batch_size=settings.batch_size, shuffle=True, drop_last=True, seed=seed
    )
    while True:
        yield from loader


def measure(models: tuple[str, ...], quick: bool) -> dict[str, Any]:
    """Train by model, trainer and seed, each in a process of its own."""
    present = [trainer.name for trainer in TRAINERS.values() if installed(trainer.package)]
    seeds = SEEDS[:1] if quick else SEEDS
    work = [(m, s, t) for m in models for s in seeds for t in present]
    measured: dict[str, Any] = {model: {name: [] for name in present} for model in models}
    for model, seed, name in tqdm(work, desc="trainings", disable=None):
        printed = run_python("-m", "benchmarks.compiled.accuracy", model, name, str(seed))
        measured[model][name].append(json.loads(printed))
    return measured


def sections(measured: dict[str, Any]) -> list[Section]:
    """Tabulate the seconds, and the steps they took."""
    lines = []
    for model, trainings in measured.items():
        for name, runs in trainings.items():
            per_step = statistics.median(run["seconds"] / run["steps"] for run in runs)
            cells = [cell for target in targets(model) for cell in _until(target, runs)]
            best = ", ".join(f"{run['best']:.1f}" for run in runs)
            low, middle = targets(model)
            lines.append(
                (f"{model}, {low:g} / {middle:g} %", name, *cells, number(1e3 * per_step), best)
            )
    header = (
        "net, lower end / middle of the paper's range",
        "",
        "s to lower end",
        "steps",
        "s to middle",
        "steps",
        "ms a step, all in",
        "best, %",
    )
    notes = [
        f"accuracy on the test set, measured every {MEASURE_EVERY} steps, which is in the seconds",
        "seconds are medians over the seeds that got there; steps and best accuracies are by seed",
        "the same data, batches, starting weights and settings for all",
    ]
    return [Section("Seconds to the paper's accuracy", header, lines, notes)]


def _until(target: float, runs: list[dict[str, Any]]) -> tuple[str, str]:
    """Return the median seconds, and the steps of each seed."""
    reached = [run["reached"].get(f"{target:g}") for run in runs]
    seconds = [one[0] for one in reached if one is not None]
    steps = ", ".join("–" if one is None else f"{one[1]:,}" for one in reached)
    return number(statistics.median(seconds)) if seconds else "–", steps


def _main(model: str, trainer: str, seed: str, *most_steps: str) -> None:
    print(json.dumps(train(model, trainer, int(seed), *map(int, most_steps))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
