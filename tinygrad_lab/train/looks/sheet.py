"""Look: something that is shown as a figure, as text in a terminal, and in a notebook.

A figure is 1600 × 900 pixels, a slide; a notebook shows it at half of that. The colours are those
of Okabe & Ito (2008), which any colour vision tells apart; curves also differ in their dashes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.files import write_atomically
from tinygrad_lab.show.style import INK, PAPER, QUIET, in_dark

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLORS", "FAINT", "Look", "finish", "key", "log_bars", "note", "paint"]

COLORS = ("#0072b2", "#c25700", "#00795a", "#a8457f", "#8a6d00", "#4a5260", "#2a9bd6", "#7d3fb0")
"""Of curves. The hues are those of Okabe & Ito, darkened until they are read on white."""
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)))
FAINT = "#c9ced6"

_FONT_SIZE = 12
_DOTS_PER_INCH = 150
_IN_NOTEBOOK = 800
_FORMATS = (".png", ".svg", ".pdf")
_KEPT = "kept"
"""Marks what has the same colour in both themes: numbers on the cells of a heat map."""


class Look:
    """What is shown of a net, a training or several runs.

    ``print`` writes it for a terminal of 80 columns, a notebook shows it as a picture,
    ``save("file.png")`` writes the figure (also ``.svg`` and ``.pdf``), and ``figure()`` returns it
    as matplotlib's, to be changed.
    """

    _pixels = (1600, 900)

    def figure(self, theme: Literal["light", "dark"] = "light") -> Figure:
        """Return the figure, made anew; ``theme="dark"`` is for slides and pages that are dark.

        Raises:
            ArgumentError: for another theme.
        """
        from matplotlib.figure import Figure

        if theme not in ("light", "dark"):
            raise ArgumentError(f'figure: theme must be "light" or "dark"; got {theme!r}.')
        width, height = self._pixels
        size = (width / _DOTS_PER_INCH, height / _DOTS_PER_INCH)
        # A Figure outside pyplot draws with Agg, even without a display.
        figure = Figure(figsize=size, dpi=_DOTS_PER_INCH, layout="constrained", facecolor=PAPER)
        self._draw(figure)
        _write_large_enough(figure)
        if theme == "dark":
            _darken(figure)
        return figure

    def save(self, path: str | Path, theme: Literal["light", "dark"] = "light") -> Path:
        """Write the figure to a file, the same bytes every time, and return its path.

        Raises:
            ArgumentError: for an ending other than ``.png``, ``.svg`` and ``.pdf``.
            OSError: if it cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in _FORMATS:
            raise ArgumentError(
                f"save: a figure is written as {', '.join(_FORMATS)}; got {str(path)!r}."
            )
        write_atomically(path, self._bytes(path.suffix.lower()[1:], theme))
        return path

    def _bytes(self, ending: str, theme: Literal["light", "dark"] = "light") -> bytes:
        from matplotlib import rc_context

        image = io.BytesIO()
        # Neither the time nor random ids: a figure is the same file every time.
        stamps: dict[str, Any] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
        with rc_context({"svg.hashsalt": "tinygrad_lab"}):
            figure = self.figure(theme)
            figure.savefig(
                image, format=ending, metadata=stamps.get(ending), facecolor=figure.get_facecolor()
            )
        return image.getvalue()

    def _draw(self, figure: Figure) -> None:
        """Draw everything, in the colours of the light theme."""
        raise NotImplementedError

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = self._pixels
        size = {"width": _IN_NOTEBOOK, "height": height * _IN_NOTEBOOK // width}
        return self._bytes("png"), size

    def __repr__(self) -> str:
        return str(self)


def paint(place: int) -> dict[str, Any]:
    """Return colour and dashes of a curve: two of them share both only beyond the thirtieth."""
    color, dash = COLORS[place % len(COLORS)], _DASHES[place // len(COLORS) % len(_DASHES)]
    return {"color": color, "linestyle": dash, "linewidth": 2}


def finish(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Give axes their labels, a faint grid behind, and no box."""
    axes.set_title(title, loc="left", fontsize=_FONT_SIZE + 1, color=INK)
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK)
    axes.grid(color=FAINT, alpha=0.6, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(QUIET)


def key(axes: Axes, **options: Any) -> None:
    """Draw the key of curves on the axes' own paper."""
    where = {"loc": "best", "frameon": True, "framealpha": 0.85, "edgecolor": "none", **options}
    axes.legend(facecolor=PAPER, labelcolor=INK, **where)


def note(axes: Axes, text: str, at: tuple[float, float], color: str = INK, **options: Any) -> None:
    """Write a text at a place in the data, on paper so that curves do not run through it."""
    box = {"boxstyle": "round,pad=0.25", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.85}
    offset = options.pop("offset", (8, 8))
    axes.annotate(
        text, at, xytext=offset, textcoords="offset points", color=color, bbox=box, **options
    )


def log_bars(values: Sequence[float], width: int) -> list[str]:
    """Return bars of characters whose lengths grow with the logarithms of positive values.

    Example:
        >>> log_bars([1e-3, 1e-1, 0.0], 5)
        ['█', '█████', '']
    """
    logs = [np.log10(value) if 0 < value < np.inf else None for value in values]
    known = [one for one in logs if one is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    span = max(high - low, 1.0)
    return [
        "" if one is None else "█" * (1 + round((width - 1) * (one - low) / span)) for one in logs
    ]


# --- fonts and themes -----------------------------------------------------------------------------


def _write_large_enough(figure: Figure) -> None:
    """Enlarge what has matplotlib's small default size: it is read from the last row."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        if text.get_fontsize() in (10.0, 8.33):
            text.set_fontsize(_FONT_SIZE)
    for axes in figure.axes:
        axes.tick_params(labelsize=_FONT_SIZE - 1)


def _darken(figure: Figure) -> None:
    """Give every artist the colour of the dark theme for its own; images stay as they are."""
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    for artist in [*figure.findobj(), figure.patch]:
        one: Any = artist
        if one.get_gid() == _KEPT:
            continue
        if isinstance(one, Text | Line2D):
            one.set_color(_dark(one.get_color()))
        if isinstance(one, Line2D):
            one.set_markerfacecolor(_dark(one.get_markerfacecolor()))
            one.set_markeredgecolor(_dark(one.get_markeredgecolor()))
        is_of_numbers = isinstance(one, Collection) and one.get_array() is not None
        if isinstance(one, Patch | Collection) and not is_of_numbers:
            one.set_facecolor(_dark(one.get_facecolor()))
            one.set_edgecolor(_dark(one.get_edgecolor()))
    for axes in figure.axes:
        axes.tick_params(colors=in_dark(INK))


def _dark(color: Any) -> Any:
    """Return the dark colours of one colour, or of several; transparent ones stay so."""
    from matplotlib.colors import to_hex, to_rgba_array

    if isinstance(color, str) and color in ("none", "auto"):
        return color
    rows = [
        (*to_rgba_array(in_dark(to_hex(row)))[0][:3], row[3]) for row in to_rgba_array(color)
    ]
    return rows[0] if len(rows) == 1 else rows
