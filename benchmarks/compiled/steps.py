"""Times of a step, one table for all rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from benchmarks.compiled.rows import BARS, BY_KEY
from benchmarks.environment import EVERY_CORE_OF_XLA, run_python
from benchmarks.report import Section, Verdict, number
from benchmarks.rows import Row

QUICK_DIVISOR = 4


def time_row(row: Row, quick: bool) -> dict[str, Any]:
    """Return all timings by name, and the peers left out: one core, then JAX on every core."""
    rounds = str(max(3, row.rounds // QUICK_DIVISOR) if quick else row.rounds)
    module = ("-m", "benchmarks.compiled.time_row", row.key, rounds)
    measured = json.loads(run_python(*module, "one"))
    timings = {timing["name"]: timing for timing in measured["timings"]}
    if "JAX jit" not in measured["left out"]:
        again = json.loads(run_python(*module, "every", variables=EVERY_CORE_OF_XLA))
        timings.update({t["name"]: t for t in again["timings"] if t["name"] not in timings})
    return {"rounds": measured["rounds"], "left out": measured["left out"], "timings": timings}


def sections(measured: dict[str, dict[str, Any]]) -> list[Section]:
    """Tabulate milliseconds a step, and ratios to the hand-written step with buffers."""
    rows = "; ".join(f"{key}: {BY_KEY[key].title}" for key in measured)
    rounds = ", ".join(f"{key} {row['rounds']}" for key, row in measured.items())
    left_out = {name for row in measured.values() for name in row["left out"]}
    notes = [
        rows,
        f"medians of rounds ({rounds}); garbage collector on; JAX on several cores was timed in a "
        "process of its own, beside the same reference",
        *(f"left out: {name} (not installed, or no such target)" for name in sorted(left_out)),
    ]
    return [
        _table("Milliseconds a step", measured, _milliseconds, notes),
        _table(
            "Times of NumPy with buffers",
            measured,
            _ratio,
            ["medians of the ratios within a round; in brackets their quartiles"],
        ),
    ]


def _table(
    title: str,
    measured: dict[str, dict[str, Any]],
    cell: Callable[[dict[str, Any]], str],
    notes: list[str],
) -> Section:
    names = list(dict.fromkeys(name for row in measured.values() for name in row["timings"]))
    lines = []
    for name in names:
        timings = [row["timings"].get(name) for row in measured.values()]
        lines.append((name, *("–" if timing is None else cell(timing) for timing in timings)))
    return Section(title, ("", *measured), lines, notes)


def _milliseconds(timing: dict[str, Any]) -> str:
    return number(1e3 * timing["seconds"]["median"])


def _ratio(timing: dict[str, Any]) -> str:
    ratio = timing["ratio"]
    return f"{number(ratio['median'])} ({number(ratio['low'])}–{number(ratio['high'])})"


def verdicts(measured: dict[str, dict[str, Any]]) -> list[Verdict]:
    """Compare all measured rows with their bars."""
    found = []
    for key, row in measured.items():
        ratios = {name: timing["ratio"]["median"] for name, timing in row["timings"].items()}
        found += [bar.verdict(key, ratios) for bar in BARS[key]]
    return [verdict for verdict in found if verdict is not None]
