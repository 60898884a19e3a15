"""What a step keeps and allocates, eager and compiled, by ``tracemalloc``.

``python -m benchmarks.compiled.memory KEY PEER`` prints JSON, in bytes:

- ``kept``: arrays that are alive between steps, beyond the batch and the parameters: moments,
  gradients, and a compiled step's buffers;
- ``during``: the peak of a step in the steady state above that, of all kinds: arrays, but
  also Python's objects and the buffers of NumPy's iterators, which broadcasting needs;
- ``grown``: what 20 replays leave behind.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import peers
from benchmarks.compiled.rows import BY_KEY
from benchmarks.environment import run_python
from benchmarks.peers import Peer
from benchmarks.problems import Training
from benchmarks.report import Section, Verdict, number

PEERS = (peers.TINYGRAD_LAB, peers.BUFFERS, peers.COMPILED_NUMPY, peers.COMPILED_NUMBA)
PEAK_BARS = {"W3": 0.6, "W5-100": 0.6}
STEADY_BAR_KB = 64.0
"""Room for a step's loss, and NumPy's buffers of 8,192 elements for broadcast or cast operands."""
WARM_STEPS, REPLAYS = 5, 20


def measure(quick: bool) -> dict[str, dict[str, Any]]:
    """Measure the bytes by row and participant."""
    present = [peer for peer in PEERS if peer.available]
    keys = [key for key in BY_KEY if not (quick and key == "W5-400")]
    work = [(key, peer) for key in keys for peer in present]
    measured: dict[str, dict[str, Any]] = {key: {} for key in keys}
    for key, peer in tqdm(work, desc="memory", disable=None):
        printed = run_python("-m", "benchmarks.compiled.memory", key, peer.name)
        measured[key][peer.name] = json.loads(printed)
    return measured


def bytes_of(problem: Training, peer: Peer) -> dict[str, int]:
    """Measure the bytes of one participant in this process."""
    tracemalloc.start()
    try:
        participant = peer.builder("training")(problem)
        for _ in range(WARM_STEPS):
            participant.step()
        # A copy of what every participant has.
        common = sum(a.nbytes for a in (problem.x, *problem.parameters.values()))
        before = _array_bytes()
        during = _peak_of_a_step(participant)
        for _ in range(REPLAYS):
            participant.step()
        return {
            "kept": max(0, before - common),
            "during": during,
            "grown": _array_bytes() - before,
        }
    finally:
        tracemalloc.stop()


def _array_bytes() -> int:
    """Return the bytes of all arrays made since tracing began."""
    gc.collect()
    arrays = tracemalloc.DomainFilter(True, np.lib.tracemalloc_domain)
    traces = tracemalloc.take_snapshot().filter_traces([arrays]).traces
    return sum(trace.size for trace in traces)


def _peak_of_a_step(participant: Any) -> int:
    """Return the smallest peak of a few steps, as objects may be made once."""
    peaks = []
    for _ in range(WARM_STEPS):
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        participant.step()
        peaks.append(tracemalloc.get_traced_memory()[1] - before)
    return min(peaks)


def sections(measured: dict[str, dict[str, Any]]) -> list[Section]:
    """Tabulate peak and steady state."""
    names = list(dict.fromkeys(name for row in measured.values() for name in row))
    header = ("", *measured)

    def table(title: str, cell: Any, notes: list[str]) -> Section:
        lines = [(name, *(cell(row[name]) for row in measured.values())) for name in names]
        return Section(title, header, lines, notes)

    return [
        table(
            "Peak memory of a step, kB",
            lambda one: number((one["kept"] + one["during"]) / 1e3),
            ["beyond batch and parameters; moments, gradients and buffers are in it"],
        ),
        table(
            "of it only while the step runs, kB",
            lambda one: number(one["during"] / 1e3),
            [
                "arrays, Python's objects, and the buffers of NumPy's iterators",
                f"in none of them did {REPLAYS} more steps leave an array behind"
                if not any(one["grown"] for row in measured.values() for one in row.values())
                else "left behind by 20 more steps: "
                + ", ".join(
                    f"{key} {name} {one['grown']:,} bytes"
                    for key, row in measured.items()
                    for name, one in row.items()
                    if one["grown"]
                ),
            ],
        ),
    ]


def verdicts(measured: dict[str, dict[str, Any]]) -> list[Verdict]:
    """Compare the peak with eager's, and the steady state, with the bars."""
    found = []
    ours = peers.COMPILED_NUMPY.name
    for key, row in measured.items():
        eager, compiled = row[peers.TINYGRAD_LAB.name], row[ours]
        if key in PEAK_BARS:
            peaks = [one["kept"] + one["during"] for one in (compiled, eager)]
            ratio = peaks[0] / peaks[1]
            found.append(Verdict(key, "peak memory, compiled / eager", PEAK_BARS[key], ratio))
        steady = compiled["during"] / 1e3
        found.append(Verdict(key, f"{ours}: allocated in a step, kB", STEADY_BAR_KB, steady))
    return found


def _main(key: str, name: str) -> None:
    peer = next(peer for peer in PEERS if peer.name == name)
    print(json.dumps(bytes_of(BY_KEY[key].problem(), peer)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
