"""The commands for compiled steps: ``python -m benchmarks compiled`` and others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

from benchmarks.compiled import accuracy, first_calls, memory, scalars, steps
from benchmarks.compiled.rows import BY_KEY
from benchmarks.environment import describe
from benchmarks.report import Section, Verdict, document


@dataclass(frozen=True)
class Measured:
    """Tables, bars, the numbers for JSON, and what could not be measured."""

    sections: list[Section]
    verdicts: list[Verdict]
    raw: Any
    failed: Sequence[str] = ()


def measurement(function: Callable[..., Measured]) -> click.Command:
    """Make a command with the common options, which prints what a function measured."""

    @wraps(function)
    def command(quick: bool, json_file: Path | None, markdown: bool, **chosen: Any) -> None:
        try:
            measured = function(quick=quick, **chosen)
        except subprocess.CalledProcessError as error:
            # The child has printed its traceback, for example of a disagreement.
            raise click.ClickException(f"{' '.join(error.cmd[1:])} failed, see above") from error
        facts = describe()
        click.echo(document(measured.sections, measured.verdicts, facts, markdown))
        if json_file is not None:
            everything = {"machine": facts, "quick": quick, "measured": measured.raw}
            json_file.write_text(json.dumps(everything, indent=2) + "\n")
        if measured.failed:
            failed = ", ".join(measured.failed)
            raise click.ClickException(f"not measured, see the messages above: {failed}")

    options = (
        click.option("--quick", is_flag=True, help="Fewer repeats."),
        click.option("--json", "json_file", type=click.Path(path_type=Path), help="All numbers."),
        click.option("--markdown", is_flag=True, help="Print Markdown instead of plain text."),
    )
    for option in reversed(options):
        command = option(command)
    return click.command()(command)


def _chosen(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    keys = tuple(key.strip() for key in text.split(","))
    if unknown := sorted(set(keys) - set(known)):
        raise click.BadParameter(f"{', '.join(unknown)}; there are {', '.join(known)}")
    return keys


def _one_of(option: str, known: tuple[str, ...]) -> Callable[[Any], Any]:
    return click.option(option, "chosen", default=",".join(known), show_default=True)


@measurement
def compiled_steps(quick: bool, chosen: str) -> Measured:
    """Compare steps with NumPy with buffers, eager steps, PyTorch, JAX and numba.

    All losses, gradients and updates are first checked against the plain hand-written step;
    then the steps are timed in alternation, on one thread.
    """
    measured, failed = {}, []
    for key in tqdm(_chosen(chosen, tuple(BY_KEY)), desc="rows", disable=None):
        try:
            measured[key] = steps.time_row(BY_KEY[key], quick)
        except subprocess.CalledProcessError:
            # A row takes minutes: keep the others.
            failed.append(key)
    return Measured(steps.sections(measured), steps.verdicts(measured), measured, failed)


@measurement
def compiling(quick: bool, chosen: str) -> Measured:
    """Time the first calls of a compiled step, in fresh processes."""
    keys = _chosen(chosen, first_calls.KEYS)
    measured, left_out = first_calls.measure(keys, quick)
    tables = first_calls.sections(measured, left_out)
    return Measured(tables, first_calls.verdicts(measured), measured)


@measurement
def scalar_graphs(quick: bool) -> Measured:
    """Time compiled graphs of Python floats beside micrograd; compile 100,000 operations."""
    measured = scalars.measure(quick)
    return Measured(scalars.sections(measured), scalars.verdicts(measured), measured)


@measurement
def step_memory(quick: bool) -> Measured:
    """Measure what a step keeps and allocates, eager and compiled."""
    measured = memory.measure(quick)
    return Measured(memory.sections(measured), memory.verdicts(measured), measured)


@measurement
def trainings(quick: bool, chosen: str) -> Measured:
    """Time trainings to the accuracies of the MNIST-1D paper, beside PyTorch."""
    measured = accuracy.measure(_chosen(chosen, accuracy.MODELS), quick)
    return Measured(accuracy.sections(measured), [], measured)


COMMANDS = {
    "compiled": _one_of("--rows", tuple(BY_KEY))(compiled_steps),
    "first-calls": _one_of("--rows", first_calls.KEYS)(compiling),
    "scalars": scalar_graphs,
    "step-memory": step_memory,
    "accuracy": _one_of("--models", accuracy.MODELS)(trainings),
}
