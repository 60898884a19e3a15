"""The one command: measure, compare, print."""

from __future__ import annotations

import json
import platform
import subprocess
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from benchmarks import growth, imports, memory, rows
from benchmarks.compiled.command import COMMANDS
from benchmarks.environment import describe, run_python
from benchmarks.report import Section, Verdict, document, number
from benchmarks.rows import Bar, Row

KEYS = ("import", *rows.BY_KEY, *memory.BY_KEY, "growth")
QUICK_DIVISOR = 4
OURS = "tinygrad_lab"


class Results:
    """The measurements so far."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.verdicts: list[Verdict] = []
        self.raw: dict[str, Any] = {}

    def time_row(self, row: Row, quick: bool) -> None:
        """Check and time a row in a process of its own, or in two."""
        rounds = max(1, row.rounds // QUICK_DIVISOR) if quick else row.rounds
        module = ("-m", "benchmarks.time_row", row.key, str(rounds))
        measured = json.loads(run_python(*module, "together"))
        if row.apart:
            others = json.loads(run_python(*module, "apart"))
            measured["timings"] += others["timings"][1:]  # the first is the reference, again
            measured["left out"] += others["left out"]
        self.raw[row.key] = measured
        timings = {timing["name"]: timing for timing in measured["timings"]}
        lines = []
        for name, timing in timings.items():
            seconds, ratio = timing["seconds"], timing["ratio"]
            low, high = (number(seconds[end] * row.scale) for end in ("low", "high"))
            lines.append(
                (
                    name,
                    number(seconds["median"] * row.scale),
                    f"({low} to {high})",
                    number(ratio["median"]),
                    f"({number(ratio['low'])} to {number(ratio['high'])})",
                )
            )
        header = ("", row.unit, "quartiles", "ratio", "quartiles")
        notes = [f"{rounds} rounds; garbage collector {'on' if measured['collector'] else 'off'}"]
        if row.apart:
            names = ", ".join(peer.name for peer in row.apart)
            notes.append(f"in a process of their own, beside the same reference: {names}")
        notes += [f"left out: {name} (not installed)" for name in measured["left out"]]
        self.sections.append(Section(row.title, header, lines, notes))
        for bar in row.bars:
            value = _value(bar, row, timings)
            if value is not None:
                quantity = f"{row.unit}" if bar.quantity == "time" else bar.quantity
                self.verdicts.append(Verdict(row.title, quantity, bar.limit, value, bar.at_least))

    def measure_memory(self, row: memory.MemoryRow, quick: bool) -> None:
        """Measure the peaks of a chain, in a fresh process for each participant."""
        if platform.system() != "Linux":
            click.echo(f"{row.key} left out: the peak is read from /proc", err=True)
            return
        megabytes, left_out = memory.measure(row, quick)
        self.raw[row.key] = megabytes
        lines = [(name, number(value)) for name, value in megabytes.items()]
        notes = ["peak of resident memory above what was there before; MB of 2²⁰ bytes"]
        notes += [f"left out: {line}" for line in left_out]
        self.sections.append(Section(row.title, ("", "MB"), lines, notes))
        self.verdicts.append(Verdict(row.title, "MB", row.limit, megabytes[OURS]))

    def measure_imports(self, quick: bool) -> None:
        """Measure import times in fresh processes."""
        spreads, beyond = imports.measure(3 if quick else 9)
        named = {**spreads, "tinygrad_lab beyond NumPy": beyond}
        self.raw["import"] = {name: vars(spread) for name, spread in named.items()}
        lines = [
            (name, number(s.median), f"({number(s.low)} to {number(s.high)})")
            for name, s in named.items()
        ]
        self.sections.append(Section("Import", ("", "s", "quartiles"), lines))
        limit, value = imports.LIMIT_SECONDS, spreads[OURS].median
        self.verdicts.append(Verdict("import tinygrad_lab", "s", limit, value))

    def measure_growth(self, quick: bool) -> None:
        """Measure the cost of a node in small and in large graphs."""
        measured = growth.measure(growth.QUICK_COUNTS if quick else growth.COUNTS)
        self.raw["growth"] = measured
        lines = [
            (graph, f"{nodes:,}", *(number(figures[name]) for name in growth.QUANTITIES))
            for graph, by_count in measured.items()
            for nodes, figures in by_count.items()
        ]
        notes = [
            "all a node: processor time; bytes that the graph keeps, and that the sweep's peak adds"
        ]
        self.sections.append(Section(growth.TITLE, growth.HEADER, lines, notes))
        for graph, by_count in measured.items():
            for kind, times in growth.growth(by_count).items():
                largest = f"times the {kind} of a node among 1,000, among {max(by_count):,}"
                limit = growth.LIMITS[kind]
                self.verdicts.append(Verdict(f"Growth, {graph}", largest, limit, times))


def _value(bar: Bar, row: Row, timings: dict[str, Any]) -> float | None:
    """Return what tinygrad_lab reached; None if the peer compared with is not installed."""
    ours = timings[OURS]
    if bar.quantity == "time":
        return ours["seconds"]["median"] * row.scale
    if bar.quantity == "ratio to NumPy by hand":
        return ours["ratio"]["median"]
    if "micrograd" not in timings:
        return None
    return timings["micrograd"]["ratio"]["median"] / ours["ratio"]["median"]


@click.group(invoke_without_command=True, commands=COMMANDS)
@click.pass_context
@click.option("--quick", is_flag=True, help="A quarter of the rounds; no peer that needs 8 GB.")
@click.option("--rows", "chosen", default=",".join(KEYS), help=f"Any of {', '.join(KEYS)}.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write all numbers.")
@click.option("--markdown", is_flag=True, help="Print Markdown instead of plain text.")
def command(
    context: click.Context, quick: bool, chosen: str, json_file: Path | None, markdown: bool
) -> None:
    """Compare tinygrad_lab's eager steps with hand-written NumPy and with its peers.

    The subcommands measure other things; each has its own options.

    All losses, gradients and updates are first checked against the hand-written step; then
    all steps are timed in alternation, on one thread. Ratios are to the hand-written step.
    """
    if context.invoked_subcommand is not None:
        return
    keys = [key.strip() for key in chosen.split(",")]
    if unknown := sorted(set(keys) - set(KEYS)):
        raise click.BadParameter(f"{', '.join(unknown)}; there are {', '.join(KEYS)}")
    facts, results, failed = describe(), Results(), []
    for key in tqdm(keys, desc="rows", disable=None):
        try:
            if key == "import":
                results.measure_imports(quick)
            elif key == "growth":
                results.measure_growth(quick)
            elif key in memory.BY_KEY:
                results.measure_memory(memory.BY_KEY[key], quick)
            else:
                results.time_row(rows.BY_KEY[key], quick)
        except subprocess.CalledProcessError:
            # The child has printed its traceback, for example of a disagreement.
            failed.append(key)
    click.echo(document(results.sections, results.verdicts, facts, markdown))
    if json_file is not None:
        everything = {"machine": facts, "quick": quick, "rows": results.raw}
        json_file.write_text(json.dumps(everything, indent=2) + "\n")
    if failed:
        raise click.ClickException(f"not measured, see the messages above: {', '.join(failed)}")
