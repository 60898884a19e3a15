"""Check and time one row in this process: ``python -m benchmarks.time_row KEY ROUNDS WHO``.

``WHO`` is ``together`` or ``apart``: the row's peers, or those to time in another process.

Each row has its own process: a garbage collector that has PyTorch's objects to walk
through, or an allocator that another row has stretched, would change micrograd's times by tens of
percent. Prints JSON.
"""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.check import check, shortened
from benchmarks.environment import settle_allocator
from benchmarks.harness import alternate
from benchmarks.peers import Peer
from benchmarks.rows import BY_KEY, Row


def time_row(key: str, rounds: int, who: str) -> dict[str, Any]:
    """Time one row, in seconds a step and ratios to the reference."""
    row = BY_KEY[key]
    peers = row.peers if who == "together" else (row.peers[0], *row.apart)
    return {"key": key, **measure(row, peers, rounds)}


def measure(row: Row, peers: Sequence[Peer], rounds: int) -> dict[str, Any]:
    """Check and time the installed peers; the first is the reference."""
    settle_allocator()
    present = [peer for peer in peers if peer.available]
    builders = [peer.builder(row.kind) for peer in present]

    problem = row.problem()
    small = shortened(problem)
    reference, *others = (build(small) for build in builders)
    check(small, reference, others)

    participants = [build(problem) for build in builders]
    timings = alternate(participants, rounds)
    return {
        "rounds": rounds,
        "collector": gc.isenabled(),
        "left out": [peer.name for peer in peers if not peer.available],
        "timings": [timing.as_dict() for timing in timings],
    }


if __name__ == "__main__":
    print(json.dumps(time_row(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
