"""Answer: a finding in words, with its cause, line and numbers as attributes."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from types import CodeType
from typing import Any

from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.engine.user_code import Line
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.formatting import html_table, printable
from tinygrad_lab.graphs import Graph, GraphNode

__all__ = ["Answer", "Place", "label_of", "leaves_of", "line_text", "plural"]

WIDTH = 79
"""Of the text in a terminal of 80 columns."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known about one question. ``str()`` is for a terminal; notebooks show HTML."""

    question: str
    cause: str
    """The cause in a word or two, always the same for the same cause: ``"detached"``."""
    sentences: Sequence[str]
    line: Line | None = None
    """The line of the user's code where the cause lies; None where it is not known."""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Sequence[str]] = ()
    """A table, its header first."""
    graph: Graph | None = field(default=None, repr=False)
    marked: Sequence[GraphNode] = field(default=(), repr=False)
    """The nodes of ``graph`` that the answer is about."""

    def draw(self, **options: Any) -> Any:
        """Return a ``Drawing`` of the graph with what the answer is about marked.

        Takes the options of ``tg.draw``.

        Raises:
            ArgumentError: for an answer that is not about a graph.
        """
        if self.graph is None:
            raise ArgumentError("this answer is not about a graph: there is nothing to draw.")
        from tinygrad_lab.answers.picture import picture_of

        return picture_of(self.graph, self.marked, options)

    def __str__(self) -> str:
        parts = [_wrapped(self.question)]
        parts += [_wrapped(one, "  ") for one in self.sentences]
        parts += _table(self.rows)
        if self.line is not None:
            parts.append(_clipped(f"  at {line_text(self.line)}"))
        return "\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        parts = [f"<p><strong>{escape(self.question)}</strong></p>"]
        parts += [f"<p>{escape(one)}</p>" for one in self.sentences]
        parts += [html_table(self.rows)] if self.rows else []
        if self.line is not None:
            parts.append(f"<p>at <code>{escape(line_text(self.line))}</code></p>")
        return "\n".join(parts)


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(printable(text), WIDTH, initial_indent=indent, subsequent_indent=indent)


def _clipped(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write rows in columns; what is too long for the terminal ends with an ellipsis."""
    if not rows:
        return []
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        _clipped("  " + "  ".join(map(str.ljust, row, widths)).rstrip())  # one line a row
        for row in cells
    ]


def line_text(line: Line | None) -> str:
    """Write a line of source, safe for a terminal; empty if there is none."""
    return "" if line is None else printable(str(line))


def plural(count: int, one: str, several: str = "") -> str:
    """Write a count with its noun.

    Example:
        >>> plural(1, "path"), plural(1200, "path")
        ('1 path', '1,200 paths')
    """
    return f"{count:,} {one if count == 1 else several or one + 's'}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an answer was asked for: what variables there hold, and the code they are in."""

    names: Mapping[Node, str]
    code: CodeType | None

    @property
    def outputs(self) -> list[Node]:
        """The computed values of variables through which a gradient flows.

        Those that a sweep went through come first, and of them the youngest.
        """
        found = [one for one in self.names if one.op is not None and one.requires_grad]
        return sorted(found, key=lambda node: (not node.gradient_was_computed, node.priority))


def label_of(x: Any, place: Place) -> str:
    """Return what an answer calls a tensor: its name, its variable's, or its shape."""
    name = x.name or place.names.get(x.node)
    return printable(name) if name else f"the tensor of shape {tuple(x.shape)}"


def leaves_of(graph: Graph, x: Any) -> list[GraphNode]:
    """Return the nodes of a graph that stand for a tensor, or for it with older data."""
    return [
        one
        for one in graph
        if one.node is x.node or (isinstance(one.node, Leaf) and one.node.owner() is x)
    ]
