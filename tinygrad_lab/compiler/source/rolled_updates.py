"""The updates of many parameters as one loop: ``for name, g in gradients.items():``.

An optimiser in its textbook form updates parameter after parameter, each with the same lines but
for names. Where that is so, the lines are written once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from tinygrad_lab.compiler.source.page import Line

__all__ = ["LoopNames", "Updated", "rolled"]

_STATE_OR_NAME = re.compile(r'state\["(\w+)"\]|\b\w+\b')


@dataclass(frozen=True, slots=True)
class Updated:
    """The lines that update one parameter."""

    key: str
    """The parameter's key in the state."""
    variable: str
    """The parameter's name in the code."""
    gradient: str
    """The name of its gradient."""
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class LoopNames:
    """The names that a loop over parameters uses."""

    gradients: str
    name: str
    gradient: str


def rolled(updates: Sequence[Updated], names: LoopNames) -> Iterator[Line]:
    """Yield the lines of updates in order, with one loop for neighbours that are alike.

    An update of one line is left as it is: it says more with its parameter's own name.
    """
    for lines, alike in groupby(updates, lambda one: _in_general(one, names)):
        run = list(alike)
        if len(run) < 2 or len(lines) < 2 or not all(one.gradient.isidentifier() for one in run):
            yield from (line for one in run for line in one.lines)
            continue
        pairs = ", ".join(f'"{one.key}": {one.gradient}' for one in run)
        yield Line(f"{names.gradients} = {{{pairs}}}")
        yield Line(f"for {names.name}, {names.gradient} in {names.gradients}.items():")
        yield from (Line(text, "", 1) for text in lines)


def _in_general(updated: Updated, names: LoopNames) -> tuple[str, ...]:
    """Return the lines of an update with the names of the loop in place of the parameter's own."""
    general = {updated.variable: f"state[{names.name}]", updated.gradient: names.gradient}

    def renamed(found: re.Match[str]) -> str:
        if found[1] is None:
            return general.get(found[0], found[0])
        stem, key, rest = found[1].rpartition(updated.key)
        if not key or rest or (stem and not stem.endswith("_")):
            return found[0]  # of another state
        return f'state[f"{stem}{{{names.name}}}"]' if stem else f"state[{names.name}]"

    return tuple(_STATE_OR_NAME.sub(renamed, line.text) for line in updated.lines)
