"""Peak memory of a chain of 1,000 elementwise operations on arrays of 4 MB.

``python -m benchmarks.memory PEER KIND`` prints, in MB of 2²⁰ bytes, by how much the process's
resident memory peaked above its level just before the chain: the kernel's own figure, so
it includes what a peer's allocator wastes. The chain's leaves exist before; gradients do not. Each
measurement needs a fresh process. Linux only: the peak is read from ``/proc``.
"""

from __future__ import annotations

import gc
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.environment import run_python
from benchmarks.peers import Peer
from benchmarks.rows import ARRAY_PEERS

SIZE, LENGTH = 1_000_000, 1_000
STATUS, CLEAR_REFERENCES = Path("/proc/self/status"), Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # see proc(5)


@dataclass(frozen=True)
class MemoryRow:
    """A chain, what it has to keep, and the bar."""

    key: str
    title: str
    constants: bool
    must_keep: float
    limit: float


ROWS = (
    MemoryRow(
        "memory-kept",
        "Peak memory, products and sums that all want gradients: must keep 1,907 MB",
        False,
        must_keep=1_907,
        limit=2_000,
    ),
    MemoryRow(
        "memory-nothing",
        "Peak memory, scalings and shifts by constants: must keep nothing",
        True,
        must_keep=0,
        limit=50,
    ),
)
BY_KEY = {row.key: row for row in ROWS}
# Their use elsewhere, in MB: on a smaller machine they are left out rather than killed.
NEEDS = {
    ("MyGrad", "memory-kept"): 9_000,
    ("MyGrad", "memory-nothing"): 17_000,
    ("PyTorch", "memory-kept"): 5_000,
    ("PyTorch", "memory-nothing"): 5_000,
}


def measure(row: MemoryRow, quick: bool) -> tuple[dict[str, float], list[str]]:
    """Return the megabytes of each participant; which were left out, and why."""
    megabytes, left_out = {}, []
    for peer in ARRAY_PEERS:
        needed = NEEDS.get((peer.name, row.key), 3_000)
        if not peer.available:
            left_out.append(f"{peer.name} (not installed)")
        elif quick and needed > 5_000:
            left_out.append(f"{peer.name} (needs {needed:,} MB; --quick)")
        elif needed > _megabytes(Path("/proc/meminfo"), "MemAvailable"):
            left_out.append(f"{peer.name} (needs {needed:,} MB, more than is free)")
        else:
            megabytes[peer.name] = float(
                run_python("-m", "benchmarks.memory", peer.module, row.key)
            )
    return megabytes, left_out


def peak(peer: Peer, row: MemoryRow) -> float:
    """Return the peak in this process, in megabytes above the level before."""
    from benchmarks.problems import chain

    build = peer.builder("chain")
    # A chain of small arrays first, so that imports, caches and code are in memory.
    build(chain(1_000, LENGTH, row.constants)).step()
    participant = build(chain(SIZE, LENGTH, row.constants))
    gc.collect()
    CLEAR_REFERENCES.write_text(RESET_PEAK)
    before = _megabytes(STATUS, "VmRSS")
    participant.step()
    return _megabytes(STATUS, "VmHWM") - before


def _megabytes(file: Path, field: str) -> float:
    """Read a line such as ``VmHWM:   1234 kB``."""
    for line in file.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) / 1024
    raise LookupError(f"{file} has no {field}")


def _main(module: str, key: str) -> None:
    peer = next(peer for peer in ARRAY_PEERS if peer.module == module)
    print(peak(peer, BY_KEY[key]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
