"""Drawing: a finished picture, to show in a notebook or to save."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from tinygrad_lab.errors import ArgumentError, DrawingError, MissingDependencyError
from tinygrad_lab.files import write_atomically
from tinygrad_lab.show.dot import to_dot
from tinygrad_lab.show.forms import scene_of
from tinygrad_lab.show.marks import Scene, Text
from tinygrad_lab.show.page import to_page
from tinygrad_lab.show.paper import to_paper
from tinygrad_lab.show.picture import Picture
from tinygrad_lab.show.style import in_dark
from tinygrad_lab.show.svg import to_svg
from tinygrad_lab.show.tex import to_tex

__all__ = ["Drawing"]


@dataclass(frozen=True)
class Drawing:
    """A picture of a graph: plain data that references no tensor and can be pickled.

    Notebooks display it. The same graph gives the same bytes in every process.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.show.draw import draw
        >>> x = tg.scalar(3.0)
        >>> drawing = draw(x * x)
        >>> drawing
        <Drawing of v₁: 2 boxes, 2 edges; .save("graph.svg")
        or .html, .pdf, .png, .tex, .dot>
        >>> drawing.svg[:4]
        '<svg'
    """

    picture: Picture

    @cached_property
    def _scene(self) -> Scene:
        """The picture composed, in the colours of its theme: light ones where that is "auto"."""
        scene = scene_of(self.picture)
        return scene.recolored(in_dark) if self.picture.theme == "dark" else scene

    @cached_property
    def smallest_text(self) -> float:
        """The size of the smallest text, in pixels of the picture."""
        marks = (mark for group in self._scene.groups for mark in group.marks)
        return min((mark.size for mark in marks if isinstance(mark, Text)), default=0.0)

    @cached_property
    def svg(self) -> str:
        """The picture as self-contained SVG.

        Raises:
            MissingDependencyError: if Graphviz, which places the boxes, is missing.
        """
        return to_svg(self._scene, auto=self._auto)

    @property
    def _auto(self) -> bool:
        return self.picture.theme == "auto"

    @cached_property
    def html(self) -> str:
        """The picture as a self-contained HTML page."""
        return to_page(self._scene, auto=self._auto)

    @cached_property
    def tex(self) -> str:
        """The picture as a LaTeX document of one TikZ picture."""
        return to_tex(self._scene)

    @cached_property
    def dot(self) -> str:
        """The graph as DOT source, for other programs."""
        return to_dot(self.picture)

    def save(self, path: str | Path) -> Path:
        """Write the picture to a file and return its path; a file that exists is replaced whole.

        Args:
            path: ends in ``.svg``, ``.html``, ``.pdf``, ``.png``, ``.tex`` or ``.dot``.

        Raises:
            ArgumentError: for another extension.
            DrawingError: if the file cannot be written; the old file then remains.
            MissingDependencyError: if a package that is needed is not installed.
        """
        path = Path(path)
        content = self._contents().get(path.suffix.lower())
        if content is None:
            endings = ", ".join(self._contents())
            raise ArgumentError(f"expected a file name ending in {endings}; got {path.name!r}.")
        if not path.parent.is_dir():
            raise DrawingError(f"there is no directory {str(path.parent)!r} to save in.")
        try:
            write_atomically(path, content())
        except OSError as error:
            raise DrawingError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
        return path

    def _contents(self) -> dict[str, Callable[[], bytes | str]]:
        return {
            ".svg": lambda: self.svg,
            ".html": lambda: self.html,
            ".pdf": lambda: to_paper(self._scene, "pdf"),
            ".png": lambda: to_paper(self._scene, "png"),
            ".tex": lambda: self.tex,
            ".dot": lambda: self.dot,
        }

    def show(self) -> None:
        """Show the picture now: in a notebook also from within a loop, else in a web browser.

        Raises:
            DrawingError: outside of a notebook, if no browser can be opened.
        """
        ipython = sys.modules.get("IPython")
        if ipython is not None and ipython.get_ipython() is not None:
            from IPython.display import display

            display(self)
            return
        file = self.save(Path(mkdtemp(prefix="tinygrad_lab_")) / "graph.html")
        if not webbrowser.open(file.as_uri()):
            raise DrawingError(f"no web browser can be opened here; the picture is in {file}.")

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        """Return the picture for a notebook, or a text that says what to install."""
        try:
            return {"image/svg+xml": self._repr_svg_(), "text/plain": repr(self)}
        except MissingDependencyError as error:
            return {"text/plain": f"{self!r}\n{error}"}

    def _repr_svg_(self) -> str:
        """Return the picture for a cell of a notebook: it shrinks to the cell's width."""
        return to_svg(self._scene, auto=self._auto, fluid=True)

    def __repr__(self) -> str:
        what = self.picture.title.rpartition(" of ")[2]
        counts = f"{len(self.picture.boxes)} boxes, {len(self.picture.arrows)} edges"
        ways = '.save("graph.svg") or .html, .pdf, .png, .tex, .dot'
        return f"<Drawing of {what}: {counts}; {ways}>"
