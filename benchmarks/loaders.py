"""An epoch of a shuffled TensorDataset, without training: ours, PyTorch's, and arrays, in turn.

4,000 rows of 40 float32 features with int64 labels, in batches of 100, on one thread.

    .venv/bin/python -m benchmarks.loaders
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from time import process_time
from typing import Any

import numpy as np

from benchmarks.environment import installed, run_python, settle_allocator
from benchmarks.harness import Spread

ROWS, FEATURES, BATCH = 4000, 40, 100
ROUNDS = 25
OURS = "tinygrad_lab, DataLoader(TensorDataset(x, y))"


def loaders() -> dict[str, Iterable[Any]]:
    """Return the loaders to compare, of the same data."""
    import tinygrad_lab as tg
    from tinygrad_lab.data import DataLoader, TensorDataset

    numbers = np.random.default_rng(0)
    x = numbers.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = numbers.integers(0, 10, ROWS)
    pairs = TensorDataset(tg.tensor(x), tg.tensor(y))
    found: dict[str, Iterable[Any]] = {
        OURS: DataLoader(pairs, batch_size=BATCH, shuffle=True),
        "tinygrad_lab, DataLoader(x, y) of arrays": DataLoader(
            x, y, batch_size=BATCH, shuffle=True
        ),
    }
    if installed("torch"):
        import torch
        from torch.utils import data

        torch.set_num_threads(1)
        theirs = data.TensorDataset(torch.from_numpy(x), torch.from_numpy(y))
        found["PyTorch, DataLoader(TensorDataset(x, y))"] = data.DataLoader(
            theirs, batch_size=BATCH, shuffle=True
        )
    return found


def epoch(loader: Iterable[Any]) -> float:
    """Return the seconds of the processor that the batches of an epoch take.

    Not those of the clock: beside other work, a long epoch is interrupted and a short one is not.
    """
    start = process_time()
    for _ in loader:
        pass
    return process_time() - start


def measure() -> dict[str, list[float]]:
    """Return the seconds of epochs by loader: some in a row each, best of them, in turn."""
    settle_allocator()
    found = loaders()
    best: Callable[[Iterable[Any]], float] = lambda one: min(epoch(one) for _ in range(5))  # noqa: E731
    for loader in found.values():
        best(loader)
    seconds: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(ROUNDS):
        for name, loader in found.items():
            seconds[name].append(best(loader))
    return seconds


def main() -> None:
    seconds = json.loads(run_python("-m", "benchmarks.loaders", "measure"))
    print("| loader | ms an epoch | times ours |\n| --- | --- | --- |")
    for name, own in seconds.items():
        times = Spread.of([one / ours for one, ours in zip(own, seconds[OURS], strict=True)])
        spread = Spread.of([1e3 * one for one in own])
        print(f"| {name} | {spread.median:.2f} ({spread.low:.2f} to {spread.high:.2f}) ", end="")
        print(f"| {times.median:.2f} ({times.low:.2f} to {times.high:.2f}) |")


if __name__ == "__main__":
    if sys.argv[1:] == ["measure"]:
        print(json.dumps(measure()))
    else:
        main()
