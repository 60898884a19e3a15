"""How costs grow of functions with many outputs or inputs, and of those applied in a loop.

``python -m benchmarks.growth_of_functions [CASE ...] [--counts 100,1000] [--markdown]`` prints a
table: time and memory an element, forward and backward, at a hundred elements to a hundred
thousand. If a cost is linear, the figures an element stay the same.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable
from statistics import median
from time import process_time
from typing import Any

import click
import numpy as np

import tinygrad_lab as tg
from benchmarks.environment import run_python
from benchmarks.report import number

COUNTS = (100, 1_000, 10_000, 100_000)
ENOUGH_SECONDS = 0.2
LONG_SECONDS = 20.0
"""A case is not measured at more elements once it takes this long."""
HEADER = ("case", "elements", "forward µs", "backward µs", "kept bytes", "sweep's bytes")

Forward = Callable[[], Any]
"""Compute; return what to go back from, or tensors to go back from their sum of sums."""


def _leaf(count: int) -> Any:
    return tg.tensor(np.linspace(0.5, 1.5, count), requires_grad=True)


def _leaves(count: int) -> list[Any]:
    return [tg.tensor([1.0], requires_grad=True) for _ in range(count)]


def _split(count: int) -> Forward:
    x = _leaf(count)
    return lambda: tg.concat(tg.split(x, count))


def _unstack(count: int) -> Forward:
    x = _leaf(count)
    return lambda: tg.stack(tg.unstack(x))


def _one_of_many(count: int) -> Forward:
    x = _leaf(count)
    return lambda: tg.unstack(x)[count // 2]


def _sum_of_outputs(count: int) -> Forward:
    x = _leaf(count)
    return lambda: sum(tg.unstack(x))


def _meshgrid(count: int) -> Forward:
    side = int(count**0.5)
    x, y = _leaf(side), _leaf(side)

    def forward() -> Any:
        rows, columns = tg.meshgrid(x, y)
        return rows * columns

    return forward


def _nonzero(count: int) -> Forward:
    x = _leaf(count)
    return lambda: x[tg.nonzero(x.detach())]


def _broadcast_arrays(count: int) -> Forward:
    xs = _leaves(count)
    return lambda: tg.concat(tg.broadcast_arrays(*xs))


def _concat(count: int) -> Forward:
    xs = _leaves(count)
    return lambda: tg.concat(xs)


def _stack(count: int) -> Forward:
    xs = _leaves(count)
    return lambda: tg.stack(xs)


def _stack_of_scalars(count: int) -> Forward:
    xs = [tg.scalar(1.0) for _ in range(count)]
    return lambda: tg.stack(xs)


def _nested_list(count: int) -> Forward:
    xs = [tg.scalar(1.0) for _ in range(count)]
    return lambda: tg.tensor([xs[i : i + 10] for i in range(0, count, 10)])


def _iteration(count: int) -> Forward:
    x = _leaf(count)
    return lambda: tg.stack([one * 2.0 for one in x])


def _items(count: int) -> Forward:
    x = _leaf(count)
    return lambda: tg.stack([x[i] for i in range(count)])


def _slices(count: int) -> Forward:
    x = _leaf(count)
    return lambda: tg.concat([x[i : i + 1] for i in range(count)])


def _sum_of_items(count: int) -> Forward:
    x = _leaf(count)
    return lambda: sum(x[i] for i in range(count))


def _rows(count: int) -> Forward:
    x = tg.tensor(np.ones((count, 4)), requires_grad=True)
    return lambda: sum(row for row in x)


def _taken(count: int) -> Forward:
    x = _leaf(count)
    places = [np.array([i]) for i in range(count)]
    return lambda: tg.concat([tg.take(x, place) for place in places])


def _updates(kind: str, size: int) -> Callable[[int], Forward]:
    """Set or add to elements one by one, in a tensor of a fixed size (0: of one an update)."""

    def of(count: int) -> Forward:
        length = size or count
        x = _leaf(length)

        def forward() -> Any:
            out = x
            for i in range(count):
                at = out.at[i % length]
                out = at.set(2.0) if kind == "set" else at.add(2.0)
            return out

        return forward

    return of


def _grad_of_leaves(count: int) -> Forward:
    xs = [1.0] * count
    gradient = tg.grad(lambda leaves: sum(one * one for one in leaves))
    return lambda: gradient(xs)


def _chain_again(count: int) -> Forward:
    x = tg.scalar(1.0)

    def forward() -> Any:
        out = x
        for _ in range(count):
            out = out * 0.999
        return tg.autograd.grad(out * out, x, create_graph=True)[0]

    return forward


def _uses_again(count: int) -> Forward:
    x = tg.scalar(1.0)

    def forward() -> Any:
        out = sum(x * x for _ in range(count))
        return tg.autograd.grad(out, x, create_graph=True)[0]

    return forward


def _items_again(count: int) -> Forward:
    x = _leaf(count)

    def forward() -> Any:
        out = sum(x[i] * x[i] for i in range(count))
        return tg.autograd.grad(out, x, create_graph=True)[0]

    return forward


def _taken_again(count: int) -> Forward:
    x = _leaf(count)
    places = [np.array([i, i]) for i in range(count)]

    def forward() -> Any:
        out = sum(tg.sum(x[place] * x[place]) for place in places)
        return tg.autograd.grad(out, x, create_graph=True)[0]

    return forward


def _outputs_again(count: int) -> Forward:
    x = _leaf(count)

    def forward() -> Any:
        out = sum(one * one for one in tg.unstack(x))
        return tg.autograd.grad(out, x, create_graph=True)[0]

    return forward


CASES: dict[str, Callable[[int], Forward]] = {
    "split": _split,
    "unstack": _unstack,
    "one output of unstack": _one_of_many,
    "sum of unstack": _sum_of_outputs,
    "meshgrid": _meshgrid,
    "x[nonzero(x)]": _nonzero,
    "broadcast_arrays": _broadcast_arrays,
    "concat": _concat,
    "stack": _stack,
    "stack of scalars": _stack_of_scalars,
    "tensor of scalars": _nested_list,
    "for one in x": _iteration,
    "x[i]": _items,
    "x[i:i + 1]": _slices,
    "sum of x[i]": _sum_of_items,
    "sum of rows": _rows,
    "take": _taken,
    "x.at[i].set, 100 elements": _updates("set", 100),
    "x.at[i].add, 100 elements": _updates("add", 100),
    "x.at[i].set": _updates("set", 0),
    "x.at[i].add": _updates("add", 0),
    "grad of leaves": _grad_of_leaves,
    "create_graph: chain": _chain_again,
    "create_graph: uses": _uses_again,
    "create_graph: x[i]": _items_again,
    "create_graph: x[array]": _taken_again,
    "create_graph: unstack": _outputs_again,
}


def measure_case(case: str, count: int) -> dict[str, float]:
    """Measure the microseconds and bytes an element: processor time, and what Python allocates."""
    forward = CASES[case](count)
    rounds: list[tuple[float, float]] = []
    while len(rounds) < 3 and sum(map(sum, rounds)) < 1:
        rounds.append(_seconds(forward))
    while sum(map(sum, rounds)) < ENOUGH_SECONDS:
        rounds.append(_seconds(forward))
    forth, back = (median(column) / count * 1e6 for column in zip(*rounds, strict=True))
    kept, swept = kept_and_swept(forward)
    return {"forward": forth, "backward": back, "kept": kept / count, "sweep": swept / count}


def _sweep(out: Any) -> None:
    if isinstance(out, tg.Tensor) and out.requires_grad:
        out.backward(gradient=tg.ones_like(out.detach()))


def _seconds(forward: Forward) -> tuple[float, float]:
    gc.collect()
    start = process_time()
    out = forward()
    built = process_time()
    _sweep(out)
    return built - start, process_time() - built


def kept_and_swept(forward: Forward, trace: bool = True) -> tuple[int, int]:
    """Return the bytes that the result keeps, and those added at the sweep's peak."""
    if trace:
        gc.collect()
        tracemalloc.start()
    out = forward()
    kept, _ = tracemalloc.get_traced_memory()
    if trace:
        tracemalloc.reset_peak()
    _sweep(out)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return kept, peak - kept


@click.command()
@click.argument("cases", nargs=-1)
@click.option("--counts", default=",".join(map(str, COUNTS)), help="Numbers of elements.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@click.option("--one", is_flag=True, hidden=True, help="Print JSON for one case in this process.")
def command(cases: tuple[str, ...], counts: str, markdown: bool, one: bool) -> None:
    """Measure how the costs of functions grow, each in a process of its own."""
    numbers = [int(count) for count in counts.split(",")]
    if one:
        click.echo(json.dumps(measure_case(cases[0], numbers[0])))
        return
    if unknown := set(cases) - set(CASES):
        raise click.BadParameter(f"{', '.join(unknown)}; there are {', '.join(CASES)}")
    bars = " | " if markdown else "  "
    click.echo(bars.join(HEADER).join(("| ", " |") if markdown else ("", "")))
    if markdown:
        click.echo("| --- " * len(HEADER) + "|")
    for case in cases or CASES:
        for count in numbers:
            module = ("-m", "benchmarks.growth_of_functions", case, "--counts", str(count), "--one")
            figures = json.loads(run_python(*module))
            line = (case, f"{count:,}", *map(number, figures.values()))
            click.echo(bars.join(line).join(("| ", " |") if markdown else ("", "")))
            sys.stdout.flush()
            if (figures["forward"] + figures["backward"]) * count > LONG_SECONDS * 1e5:
                break  # ten times as many elements would take more than that


if __name__ == "__main__":
    command()
