"""Tables in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_lab.formatting import printable

__all__ = ["WIDTH", "clipped", "columns"]

WIDTH = 79
"""Of text in a terminal of 80 columns: one more would wrap in some."""


def clipped(text: str, width: int = WIDTH) -> str:
    """Return a text on one line, cut with an ellipsis where it is too long.

    Example:
        >>> clipped("convolution", 5)
        'conv…'
    """
    text = printable(text)
    return text if len(text) <= width else f"{text[: width - 1]}…"


def columns(rows: Sequence[Sequence[str]], left: int = 1, width: int = WIDTH) -> str:
    """Write rows, the first of which are headers, in columns; numbers are aligned right.

    Args:
        rows: cells; all rows have as many.
        left: how many columns from the left are words; the first gives way where space is short.
        width: the most characters of a line.

    Example:
        >>> print(columns([("layer", "size"), ("a", "1,000"), ("long name", "2")], width=15))
        layer      size
        a         1,000
        long na…      2
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    over = sum(widths) + 2 * (len(widths) - 1) - width
    widths[0] = max(widths[0] - max(over, 0), min(8, widths[0]))
    lines = []
    for row in cells:
        row[0] = clipped(row[0], widths[0])
        texts = [
            cell.ljust(size) if place < left else cell.rjust(size)
            for place, (cell, size) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append(clipped("  ".join(texts).rstrip(), width))
    return "\n".join(lines)
