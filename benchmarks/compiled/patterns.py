"""What people do around a compiled step: ``python -m benchmarks.compiled.patterns [ROUNDS]``.

MLP 40→100→100→10, Adam, batch 100. Each pattern is timed in alternation with the same loop
uncompiled, and with the plain compiled step; prints microseconds a step as a Markdown table.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import warnings
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

import tinygrad_lab as tg
from tinygrad_lab import nn

Compile = Callable[[Callable[..., Any]], Any]
Go = Callable[[int], Any]
STEPS = 30

rng = np.random.default_rng(0)


def _batches(size: int, width: int = 40) -> list[tg.Tensor]:
    return [tg.tensor(rng.normal(size=(size, width)).astype(np.float32)) for _ in range(4)]


X, X64, REAL = _batches(100), _batches(64), _batches(100, 10)
Y, Y64 = ([tg.tensor(rng.integers(0, 10, size)) for _ in range(4)] for size in (100, 64))


def _net(*sizes: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for before, after in itertools.pairwise(sizes):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Fit:
    """A net, its optimiser, and their step."""

    def __init__(self, compiled: Compile, *, update: bool = True) -> None:
        tg.seed(0)
        self.net = _net(40, 100, 100, 10)
        self.optimizer = tg.optim.Adam(self.net.parameters(), lr=1e-3)

        def step(x: Any, y: Any, epoch: int = 0) -> Any:
            loss = nn.functional.cross_entropy(self.net(x), y) * (1.0 + 0.001 * epoch)
            self.optimizer.zero_grad()
            loss.backward()
            if update:
                self.optimizer.step()
            return loss

        self.step = compiled(step)
        self.of_a_dict = compiled(lambda batch: step(batch["x"], batch["y"]))


def plain(compiled: Compile) -> Go:
    fit = Fit(compiled)
    return lambda n: fit.step(X[n % 4], Y[n % 4])


def kept_gradients(compiled: Compile) -> Go:
    fit, kept = Fit(compiled), [None]

    def go(n: int) -> None:
        fit.step(X[n % 4], Y[n % 4])
        kept[:] = [p.grad for p in fit.net.parameters()]  # type: ignore[misc]

    return go


def a_kept_state_dict(compiled: Compile) -> Go:
    fit, kept = Fit(compiled), [{}]

    def go(n: int) -> None:
        fit.step(X[n % 4], Y[n % 4])
        kept[0] = fit.net.state_dict()

    return go


def the_optimiser_outside(compiled: Compile) -> Go:
    fit = Fit(compiled, update=False)

    def go(n: int) -> None:
        fit.step(X[n % 4], Y[n % 4])
        fit.optimizer.step()

    return go


def two_batch_sizes(compiled: Compile) -> Go:
    fit = Fit(compiled)
    return lambda n: fit.step(*((X[n % 4], Y[n % 4]) if n % 2 else (X64[n % 4], Y64[n % 4])))


def a_number_of_another_module(compiled: Compile) -> Go:
    fit, other = Fit(compiled), nn.Dropout(0.5)

    def go(n: int) -> None:
        other.p = 0.1 + 0.001 * (n % 100)
        fit.step(X[n % 4], Y[n % 4])

    return go


def a_batch_in_a_dict(compiled: Compile) -> Go:
    fit = Fit(compiled)
    return lambda n: fit.of_a_dict({"x": X[n % 4], "y": Y[n % 4]})


def keyword_arguments(compiled: Compile) -> Go:
    fit = Fit(compiled)
    return lambda n: fit.step(y=Y[n % 4], x=X[n % 4])


def an_integer_epoch(compiled: Compile) -> Go:
    fit = Fit(compiled)
    return lambda n: fit.step(X[n % 4], Y[n % 4], n // 10)


def two_steps_of_a_gan(compiled: Compile) -> Go:
    tg.seed(0)
    maker, judge = _net(40, 100, 100, 10), _net(10, 100, 1)
    makers = tg.optim.Adam(maker.parameters(), lr=1e-3)
    judges = tg.optim.Adam(judge.parameters(), lr=1e-3)
    softplus = nn.functional.softplus

    def judged(z: Any, real: Any) -> Any:
        loss = softplus(judge(maker(z).detach())).mean() + softplus(-judge(real)).mean()
        judges.zero_grad()
        loss.backward()
        judges.step()
        return loss

    def made(z: Any) -> Any:
        loss = softplus(-judge(maker(z))).mean()
        makers.zero_grad()
        loss.backward()
        makers.step()
        return loss

    first, second = compiled(judged), compiled(made)

    def go(n: int) -> None:
        first(X[n % 4], REAL[n % 4])
        second(X[n % 4])

    return go


PATTERNS = (
    *(plain, kept_gradients, a_kept_state_dict, the_optimiser_outside, two_batch_sizes),
    *(a_number_of_another_module, a_batch_in_a_dict, keyword_arguments, an_integer_epoch),
    two_steps_of_a_gan,
)


def _time(go: Go, start: int) -> float:
    began = perf_counter()
    for n in range(start, start + STEPS):
        go(n)
    return 1e6 * (perf_counter() - began) / STEPS


def main(rounds: int) -> None:
    print("| pattern | uncompiled | compiled | compiled / uncompiled | compiled / plain compiled |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for pattern in PATTERNS:
        loops = [pattern(lambda step: step), pattern(tg.compile), plain(tg.compile)]
        for go in loops:
            for n in range(60):
                go(n)
        times = [[_time(go, 60 + STEPS * k) for go in loops] for k in range(rounds)]
        eager, ours, _ = (statistics.median(column) for column in zip(*times, strict=True))
        to_eager = statistics.median(row[1] / row[0] for row in times)
        to_plain = statistics.median(row[1] / row[2] for row in times)
        name = pattern.__name__.replace("_", " ")
        print(
            f"| {name} | {eager:.0f} | {ours:.0f} | {to_eager:.2f} | {to_plain:.2f} |", flush=True
        )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 40)
