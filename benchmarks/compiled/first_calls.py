"""The cost of compiling: seconds of a step's first calls, in fresh processes.

``python -m benchmarks.compiled.first_calls KEY PEER`` prints as JSON the seconds of the calls until
a step is compiled, and of one more. The first includes what a participant imports or makes lazily
when a step first runs.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from tqdm import tqdm

from benchmarks import peers
from benchmarks.compiled.rows import BY_KEY
from benchmarks.environment import run_python
from benchmarks.peers import Peer
from benchmarks.report import Section, Verdict, number

KEYS = ("W1", "W2b", "W3", "W4")
REPEATS = 5
CALLS = 2  # of participants that compile within their first call


@dataclass(frozen=True)
class Case:
    """A participant, and whether it finds what an earlier process compiled."""

    peer: Peer
    cached: bool = False
    limit: float | None = None
    """The limit on the total seconds of the calls until it is compiled."""
    repeats: int = REPEATS

    @property
    def name(self) -> str:
        """The name in the table."""
        return f"{self.peer.name}, from its cache" if self.cached else self.peer.name


CASES = (
    Case(peers.TINYGRAD_LAB),
    Case(peers.COMPILED_NUMPY, limit=0.05),
    Case(peers.COMPILED_NUMBA, limit=3.0, repeats=2),
    Case(peers.COMPILED_NUMBA, cached=True, limit=0.5, repeats=2),
    Case(peers.JAX, repeats=3),
    Case(peers.TORCH_COMPILED, repeats=1),
)
# The cache folders of numba, of PyTorch, and of what follows the XDG specification.
CACHES = ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "XDG_CACHE_HOME")


def seconds_of(key: str, peer: Peer) -> list[float]:
    """Return the seconds of the first calls in this process."""
    row = BY_KEY[key]
    problem, build = row.problem(), peer.builder(row.kind)
    participant = build(problem)
    if hasattr(participant, "first_calls"):
        return participant.first_calls
    seconds = []
    for _ in range(CALLS):
        start = perf_counter()
        participant.step()
        seconds.append(perf_counter() - start)
    return seconds


def measure(keys: tuple[str, ...], quick: bool) -> tuple[dict[str, Any], list[str]]:
    """Return the median seconds of each call by row and case, and the peers left out."""
    cases = [case for case in CASES if case.peer.available]
    left_out = sorted({case.peer.name for case in CASES} - {case.peer.name for case in cases})
    if quick:
        cases = [case for case in cases if case.peer is not peers.TORCH_COMPILED]
    work = [(key, case) for key in keys for case in cases]
    measured: dict[str, Any] = {key: {} for key in keys}
    for key, case in tqdm(work, desc="first calls", disable=None):
        measured[key][case.name] = _measure(key, case, 1 if quick else case.repeats)
    return measured, left_out


def _measure(key: str, case: Case, repeats: int) -> list[float]:
    """Return medians over fresh processes, whose caches are empty or filled by another."""
    arguments = ("-m", "benchmarks.compiled.first_calls", key, case.peer.name)
    runs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            variables = {name: str(Path(folder, name)) for name in CACHES}
            if case.cached:
                run_python(*arguments, variables=variables)
            runs.append(json.loads(run_python(*arguments, variables=variables)))
    return [statistics.median(calls) for calls in zip(*runs, strict=True)]


def sections(measured: dict[str, Any], left_out: list[str]) -> list[Section]:
    """Tabulate the milliseconds of each of the first calls."""
    names = list(dict.fromkeys(name for row in measured.values() for name in row))
    lines = [
        (name, *(" + ".join(number(1e3 * s) for s in row[name]) for row in measured.values()))
        for name in names
    ]
    notes = [
        "medians over fresh processes; the last call of each is one that runs what was compiled, "
        "and those of tg.compile before it, together, are held against the bars",
        *(f"left out: {name} (not installed, or no such target)" for name in left_out),
    ]
    title = "First calls, ms"
    return [Section(title, ("", *measured), lines, notes)]


def verdicts(measured: dict[str, Any]) -> list[Verdict]:
    """Compare the total of all calls of tg.compile but the last with the bars."""
    return [
        Verdict(key, f"{case.name}: until compiled, s", case.limit, sum(row[case.name][:-1]))
        for key, row in measured.items()
        for case in CASES
        if case.limit is not None and case.name in row
    ]


def _main(key: str, name: str) -> None:
    peer = next(case.peer for case in CASES if case.peer.name == name)
    print(json.dumps(seconds_of(key, peer)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
