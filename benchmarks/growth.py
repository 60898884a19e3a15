"""How the cost of a graph grows: time and memory a node, from a hundred nodes to a million.

``python -m benchmarks.growth GRAPH NODES`` prints JSON for one graph, in a process of its own. In a
chain each node is made of the previous one; in a fan-out half of the nodes are made of the same
leaf, so that its gradient is a sum of as many terms. Both use Python floats, or tensors of 4
numbers. If the cost is linear, the figures a node stay the same.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from statistics import median
from time import process_time
from typing import Any

import tinygrad_lab as tg
from benchmarks.environment import run_python

TITLE = "Growth: time and memory a node"
COUNTS = (100, 1_000, 10_000, 100_000, 1_000_000)
QUICK_COUNTS = COUNTS[:-1]
ENOUGH_SECONDS = 0.3  # how long a graph is measured; small ones repeatedly
HEADER = ("graph", "nodes", "build ns", "backward ns", "free ns", "kept bytes", "sweep's bytes")
QUANTITIES = ("build", "backward", "free", "kept", "sweep")
LIMITS = {"time": 3.0, "memory": 1.1}
"""The limits on the cost of a node in the largest graph, relative to 1,000 nodes. All levels of the
processor's cache lie between them, and the garbage collector visits every node a few times more;
a quadratic cost would grow a thousand times."""


def _chain(leaf: Any, nodes: int) -> Any:
    out = leaf
    for _ in range(nodes):
        out = out * 0.999
    return out


def _fan_out(leaf: Any, nodes: int) -> Any:
    total = leaf * 0.999
    for _ in range(nodes // 2):
        total = total + leaf * 0.999
    return total


GRAPHS: dict[str, tuple[Callable[[Any, int], Any], Any]] = {
    "chain of scalars": (_chain, 1.0),
    "chain of tensors": (_chain, [1.0] * 4),
    "fan-out of a scalar": (_fan_out, 1.0),
    "fan-out of a tensor": (_fan_out, [1.0] * 4),
}


def measure(counts: Sequence[int]) -> dict[str, dict[int, dict[str, float]]]:
    """Measure each graph and number of nodes, in a fresh process for each."""
    return {
        graph: {
            nodes: json.loads(run_python("-m", "benchmarks.growth", graph, str(nodes)))
            for nodes in counts
        }
        for graph in GRAPHS
    }


def growth(figures: dict[int, dict[str, float]]) -> dict[str, float]:
    """Return the cost of a node in the largest graph, relative to a graph of 1,000 nodes.

    Time covers building, backward and freeing; memory is what nodes keep, and what the
    sweep adds.
    """
    base, largest = figures[1_000], figures[max(figures)]
    kinds = {"time": ("build", "backward", "free"), "memory": ("kept", "sweep")}
    return {
        kind: sum(largest[name] for name in names) / sum(base[name] for name in names)
        for kind, names in kinds.items()
    }


def of_one_graph(graph: str, nodes: int) -> dict[str, float]:
    """Measure the nanoseconds and bytes a node.

    Time is CPU time: a graph of a million nodes takes seconds, in which other programs use
    the processor, too. Memory is what Python and NumPy allocate.
    """
    build, start = GRAPHS[graph]
    leaf = tg.tensor(start, requires_grad=True) if isinstance(start, list) else tg.scalar(start)
    seed = tg.ones_like(leaf.detach())
    rounds: list[tuple[float, ...]] = []
    while len(rounds) < 3 or sum(map(sum, rounds)) < ENOUGH_SECONDS:
        rounds.append(_seconds(build, leaf, seed, nodes))
    times = [median(column) / nodes * 1e9 for column in zip(*rounds, strict=True)]
    memory = [amount / nodes for amount in _bytes(build, leaf, seed, nodes)]
    return dict(zip(QUANTITIES, (*times, *memory), strict=True))


def _seconds(
    build: Callable[[Any, int], Any], leaf: Any, seed: Any, nodes: int
) -> tuple[float, float, float]:
    """Return the seconds of building, of the sweep, and of freeing the graph."""
    leaf.grad = None
    gc.collect()
    start = process_time()
    out = build(leaf, nodes)
    built = process_time()
    out.backward(gradient=seed)
    swept = process_time()
    del out
    return built - start, swept - built, process_time() - swept


def _bytes(
    build: Callable[[Any, int], Any], leaf: Any, seed: Any, nodes: int
) -> tuple[float, float]:
    """Return the bytes that the graph keeps, and those added at the sweep's peak."""
    gc.collect()
    tracemalloc.start()
    out = build(leaf, nodes)
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.reset_peak()
    out.backward(gradient=seed)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return kept, peak - kept


if __name__ == "__main__":
    print(json.dumps(of_one_graph(sys.argv[1], int(sys.argv[2]))))
