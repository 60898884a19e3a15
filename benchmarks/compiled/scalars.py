"""Graphs of Python floats, compiled: micrograd's demo, and how long a large graph takes to build.

``python -m benchmarks.compiled.scalars demo ROUNDS`` and ``… build`` print JSON.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from time import perf_counter
from typing import Any

from benchmarks import peers, problems
from benchmarks.environment import run_python
from benchmarks.peers import CompiledPeer
from benchmarks.report import Section, Verdict, number
from benchmarks.rows import BY_KEY, SCALAR_PEERS
from benchmarks.time_row import measure as measure_row

TIMES_FASTER = 500.0
BUILD_SECONDS = 10.0  # "in seconds"
TARGETS = (peers.COMPILED_PYTHON, peers.COMPILED_NUMPY, peers.COMPILED_NUMBA)
DEMO = replace(BY_KEY["scalar-mlp"], rounds=5)


def fitting() -> CompiledPeer:
    """Return the target for scalars: Python, or its replacement in ``tg.compile``."""
    return next(peer for peer in TARGETS if peer.available)


def measure(quick: bool) -> dict[str, Any]:
    """Time the demo, and the compilation of 100,000 operations."""
    module = ("-m", "benchmarks.compiled.scalars")
    rounds = 2 if quick else DEMO.rounds
    demo = json.loads(run_python(*module, "demo", str(rounds)))
    compiled = json.loads(run_python(*module, "compiled demo", str(rounds)))
    demo["timings"] += compiled["timings"][1:]  # the first is NumPy by hand, again
    return {"demo": demo, "build": json.loads(run_python(*module, "build"))}


def build() -> dict[str, Any]:
    """Compile chains of 100,000 operations, and replay them."""
    peer, problem = fitting(), problems.scalar_chains()
    start = perf_counter()
    step = peer.builder("scalar chains")(problem)
    seconds = perf_counter() - start
    start = perf_counter()
    step.step()
    return {
        "name": peer.name,
        "operations": problem.operations,
        "first calls": step.first_calls,
        "seconds": seconds,
        "replay": perf_counter() - start,
    }


def sections(measured: dict[str, Any]) -> list[Section]:
    """Tabulate the demo's steps, and the build."""
    lines = [
        (
            timing["name"],
            number(1e3 * timing["seconds"]["median"]),
            number(micrograd / timing["seconds"]["median"]) if micrograd else "–",
        )
        for micrograd in [_micrograd(measured)]
        for timing in measured["demo"]["timings"]
    ]
    demo = Section(
        "MLP(2,[16,16,1]) of scalars, hinge loss, 100 points",
        ("", "ms a step", "times faster than micrograd"),
        lines,
        [
            f"{measured['demo']['rounds']} rounds; NumPy by hand takes all points together; the "
            "compiled graph in a process of its own"
        ],
    )
    built = measured["build"]
    calls = " + ".join(number(seconds) for seconds in built["first calls"])
    large = Section(
        f"A graph of {built['operations']:,} scalar operations",
        ("", "first calls, s", "a replay, ms"),
        [(built["name"], calls, number(1e3 * built["replay"]))],
    )
    return [demo, large]


def verdicts(measured: dict[str, Any]) -> list[Verdict]:
    """Compare the speed relative to micrograd, and the seconds to build, with the bars."""
    built, found = measured["build"], []
    if micrograd := _micrograd(measured):
        ours = next(t for t in measured["demo"]["timings"] if t["name"] == built["name"])
        faster = micrograd / ours["seconds"]["median"]
        found.append(
            Verdict("micrograd's demo", f"micrograd / {built['name']}", TIMES_FASTER, faster, True)
        )
    row = f"{built['operations']:,} scalar operations"
    return [*found, Verdict(row, "first calls, s", BUILD_SECONDS, sum(built["first calls"]))]


def _micrograd(measured: dict[str, Any]) -> float | None:
    """Return micrograd's seconds a step, if it took part."""
    timings = {t["name"]: t["seconds"]["median"] for t in measured["demo"]["timings"]}
    return timings.get(peers.MICROGRAD.name)


def _main(what: str, rounds: str = "1") -> None:
    if what == "build":
        print(json.dumps(build()))
    else:
        # Not in one process: beside the millions of objects of a recording, full collections
        # are so rare that micrograd takes a fifth of its time.
        these = SCALAR_PEERS if what == "demo" else (SCALAR_PEERS[0], fitting())
        print(json.dumps(measure_row(DEMO, these, int(rounds))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
