"""Writes scenes as PDF or PNG, with matplotlib and the font that comes with it."""

from __future__ import annotations

import io
from typing import Any, Literal

from tinygrad_lab.errors import MissingDependencyError
from tinygrad_lab.show.marks import Scene, Shape, Text

__all__ = ["to_paper"]

_FONT = "DejaVu Sans"
_POINTS = 72
_DOTS = 192.0
"""Dots per inch of a PNG: sharp on a projector."""
_MOST_PIXELS, _LONGEST_SIDE = 40e6, 60e3


def to_paper(scene: Scene, kind: Literal["pdf", "png"]) -> bytes:
    """Write a scene as PDF or PNG; one unit is a point.

    Raises:
        MissingDependencyError: if matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            f"writing .{kind} files needs matplotlib: pip install matplotlib. .svg files do not."
        ) from error
    # Ignore the user's plotting style: the same picture gives the same bytes.
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams["pdf.fonttype"] = 42  # TrueType keeps text selectable
        figure = Figure(figsize=(scene.width / _POINTS, scene.height / _POINTS))
        FigureCanvasAgg(figure)
        _fill(figure, scene)
        # Omit date and version from the file.
        nothing = {"CreationDate": None, "Producer": None, "Creator": None}
        metadata = nothing if kind == "pdf" else {"Software": None}
        paper = io.BytesIO()
        figure.savefig(
            paper,
            format=kind,
            dpi=_resolution(scene),
            metadata=metadata,
            facecolor=scene.paper,
        )
        return paper.getvalue()


def _resolution(scene: Scene) -> float:
    """Return the dots per inch, reduced if the image would be too large."""
    by_area = _POINTS * (_MOST_PIXELS / (scene.width * scene.height)) ** 0.5
    return min(_DOTS, by_area, _POINTS * _LONGEST_SIDE / max(scene.width, scene.height))


def _fill(figure: Any, scene: Scene) -> None:
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, scene.width)
    axes.set_ylim(scene.height, 0)
    for layer, mark in enumerate(mark for group in scene.groups for mark in group.marks):
        if isinstance(mark, Text):
            _add_text(axes, mark, layer)
        else:
            _add_shape(axes, mark, layer)


def _add_text(axes: Any, mark: Text, layer: int) -> None:
    style = {
        "fontsize": mark.size,
        "fontfamily": _FONT,
        "style": "italic" if mark.italic else "normal",
        "color": mark.color,
        "va": "baseline",
        "zorder": layer,
        "parse_math": False,
    }
    side = {"start": "left", "middle": "center", "end": "right"}[mark.anchor]
    weight = "bold" if mark.bold else "normal"
    axes.text(mark.x, mark.y, mark.text, ha=side, weight=weight, **style)


def _add_shape(axes: Any, shape: Shape, layer: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    codes = {"M": Outline.MOVETO, "L": Outline.LINETO, "C": Outline.CURVE4}
    vertices: list[tuple[float, float]] = []
    commands: list[Any] = []
    for command, points in shape.steps:
        vertices.extend(points or [(0.0, 0.0)])
        commands.extend([codes.get(command, Outline.CLOSEPOLY)] * max(1, len(points)))
    axes.add_patch(
        PathPatch(
            Outline(vertices, commands),
            facecolor=shape.fill or "none",
            edgecolor=shape.stroke or "none",
            linewidth=shape.width if shape.stroke else 0,
            linestyle=(0, (4, 3)) if shape.dashed else "solid",
            zorder=layer,
        )
    )
