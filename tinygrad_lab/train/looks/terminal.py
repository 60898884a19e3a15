"""Curves and tables in a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.formatting import printable

__all__ = ["WIDTH", "chart", "clipped", "columns"]

WIDTH = 79
"""Of text in a terminal of 80 columns: one more would wrap in some."""

Curve = tuple[Sequence[float], Sequence[float]]
"""Places and values."""


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
        >>> print(columns([("layer", "size"), ("a", "1,000"), ("long name", "2")], width=14))
        layer     size
        a        1,000
        long na…     2
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


def chart(
    curves: Mapping[str, Curve],
    *,
    title: str = "",
    x: str = "step",
    log_x: bool = False,
    log_y: bool = False,
    height: int = 12,
    width: int = WIDTH,
) -> str:
    """Draw curves with Braille dots, and write at the right which one ends where.

    Args:
        curves: places and values by name; what is not finite is left out, and on a logarithmic
            axis what is not positive.
        title: stands above.
        x: what the places are.
        log_x, log_y: whether the axes are logarithmic.
        height, width: in characters, without title and axis.
    """
    from plotille import Canvas

    known = {name: _points(*curve, log_x, log_y) for name, curve in curves.items()}
    known = {name: points for name, points in known.items() if len(points)}
    if not known:
        return "\n".join(filter(None, [title, "  no numbers to draw yet"]))
    every = np.concatenate(list(known.values()))
    (left, low), (right, high) = every.min(axis=0), every.max(axis=0)
    right, high = (
        top if top > bottom else bottom + (abs(bottom) or 1.0)
        for bottom, top in ((left, right), (low, high))
    )
    names = _labels(known, low, high, height, max(12, width // 3))
    scale = _scale(low, high, height, log_y)
    margin, rest = max(map(len, scale)), max(map(len, names))
    dots = Canvas(
        width - margin - rest - 4, height, xmin=left, ymin=low, xmax=right, ymax=high
    )
    for points in known.values():
        for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[-1]], strict=True):
            dots.line(x0, y0, x1, y1)
    rows = dots.plot().splitlines()
    lines = [
        f"{number:>{margin}} ┤{row}{' ' + name if name else ''}".rstrip()
        for number, row, name in zip(scale, rows, names, strict=True)
    ]
    ends = [10**end if log_x else end for end in (left, right)]
    first, last = (f"{end:.3g}" if log_x or end % 1 else f"{end:,.0f}" for end in ends)
    inner = width - margin - rest - 4
    axis = f"{first}{x:^{max(inner - len(first) - len(last), 0)}}{last}"
    title = clipped(title, width)
    return "\n".join([*filter(None, [title]), *lines, " " * (margin + 2) + axis])


def _points(places: Sequence[float], values: Sequence[float], log_x: bool, log_y: bool) -> Any:
    """Return the points of a curve that can be drawn, as they are placed on its axes."""
    points = np.stack([np.asarray(places, float), np.asarray(values, float)], axis=1)
    for axis in [axis for axis, is_log in enumerate((log_x, log_y)) if is_log]:
        with np.errstate(all="ignore"):
            points[:, axis] = np.log10(points[:, axis])
    return points[np.isfinite(points).all(axis=1)]


def _scale(low: float, high: float, height: int, is_log: bool) -> list[str]:
    """Return the numbers at the left: at the top, in the middle, at the bottom."""
    lines = [""] * height
    for row in (0, height // 2, height - 1):
        value = high - (high - low) * row / max(height - 1, 1)
        lines[row] = f"{10**value if is_log else value:.3g}"
    return lines


def _labels(
    known: Mapping[str, Any], low: float, high: float, height: int, most: int
) -> list[str]:
    """Return the names at the right, each at the height where its curve ends, or next to it."""
    lines = [""] * height
    for name, points in sorted(known.items(), key=lambda item: -item[1][-1, 1]):
        wanted = round((high - points[-1, 1]) / (high - low) * (height - 1))
        free = sorted((row for row in range(height) if not lines[row]), key=lambda r: abs(r - wanted))
        if free:
            lines[free[0]] = clipped(name, most)
    return lines
