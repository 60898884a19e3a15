"""Tables, as plain text or Markdown, from what the measurements returned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Cells = Sequence[str]


@dataclass
class Section:
    """A measured row: its title, a table with one line per participant, and remarks."""

    title: str
    header: Cells
    lines: Sequence[Cells]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Verdict:
    """A bar and what was measured against it."""

    row: str
    quantity: str
    limit: float
    value: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bar was reached."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def cells(self) -> Cells:
        """Return the line in the table of bars."""
        sign = "≥" if self.at_least else "≤"
        met = "met" if self.met else "MISSED"
        return self.row, self.quantity, f"{sign} {self.limit:,g}", number(self.value), met


def number(value: float) -> str:
    """Format a number with three significant digits, without an exponent."""
    if value == 0:
        return "0"
    digits = 3 - len(str(int(abs(value)))) if abs(value) >= 1 else 3
    return f"{value:,.{max(digits, 0)}f}"


def document(
    sections: Sequence[Section], verdicts: Sequence[Verdict], facts: dict[str, str], markdown: bool
) -> str:
    """Write the whole report, with the bars first."""
    parts = []
    if verdicts:
        header = ("row", "quantity", "bar", "measured", "")
        lines = [verdict.cells() for verdict in verdicts]
        parts.append(_section(Section("Bars", header, lines), markdown))
    parts += [_section(section, markdown) for section in sections]
    machine = [f"{name}: {value}" for name, value in facts.items()]
    parts.append(_section(Section("Machine and versions", (), [], machine), markdown))
    return "\n\n".join(parts)


def _section(section: Section, markdown: bool) -> str:
    table = (_markdown if markdown else _plain)(section.header, section.lines)
    notes = "\n".join(f"- {note}" for note in section.notes)
    if markdown:
        return "\n\n".join(part for part in (f"## {section.title}", table, notes) if part)
    underline = "=" * len(section.title)
    return "\n".join(part for part in (section.title, underline, table, notes) if part)


def _plain(header: Cells, lines: Sequence[Cells]) -> str:
    rows = [header, *lines] if lines else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(_aligned(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _aligned(cell: str, width: int) -> str:
    """Align numbers to the right, words to the left."""
    return cell.rjust(width) if cell[:1].isdigit() or cell[:1] == "(" else cell.ljust(width)


def _markdown(header: Cells, lines: Sequence[Cells]) -> str:
    rows = [header, ["---"] * len(header), *lines] if lines else []
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
