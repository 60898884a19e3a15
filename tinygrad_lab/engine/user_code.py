"""The line of the user's code that applied an op.

A node remembers a code object and an offset into it, which cost next to nothing and keep no
frame (and with it no local variable) alive; line and text are looked up when somebody reads.
"""

from __future__ import annotations

import linecache
import sys
from dataclasses import dataclass
from itertools import islice
from os.path import basename, dirname, join
from types import CodeType, FrameType
from typing import Any

__all__ = ["Line", "code_of", "is_library", "is_of_library", "line_of", "user_site"]

_PACKAGE = join(dirname(dirname(__file__)), "")


class _IsLibrary(dict[str, bool]):
    """A cache of whether a file belongs to this package."""

    def __missing__(self, filename: str) -> bool:
        answer = self[filename] = filename.startswith((_PACKAGE, "<tinygrad_lab"))
        return answer


is_library = _IsLibrary()
"""By file name. A file that is written as a user would write it enters itself as False."""


def code_of(function: Any) -> CodeType | None:
    """Return the code of a function; None for one that is not written in Python."""
    return getattr(function, "__code__", None)


def is_of_library(function: Any) -> bool:
    """Return whether a function is written in this package."""
    code = code_of(function)
    return code is not None and is_library[code.co_filename]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source."""

    filename: str
    number: int
    function: str
    text: str

    def __str__(self) -> str:
        where = f"{_cell_of(self.filename) or basename(self.filename)}:{self.number}"
        return f"{where}: {self.text}" if self.text else where


def _cell_of(filename: str) -> str:
    """Return ``In[3]`` for the temporary file that a notebook compiles a cell as; else ``""``."""
    ipython = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    name_of = getattr(getattr(shell, "compile", None), "format_code_name", None)
    kind, name = (name_of and name_of(filename)) or ("", "")
    return name if kind == "Cell" else ""


def user_site(frame: FrameType | None = None) -> tuple[CodeType | None, int]:
    """Return code and offset of the innermost frame outside this package."""
    if frame is None:
        frame = sys._getframe(1)
    while frame is not None:
        if not is_library[frame.f_code.co_filename]:
            return frame.f_code, frame.f_lasti
        frame = frame.f_back
    return None, 0


def line_of(code: CodeType | None, offset: int) -> Line | None:
    """Return the source line at an offset into a code object."""
    if code is None:
        return None
    # Two bytes an instruction; a code object lists one position for each.
    positions = next(islice(code.co_positions(), offset // 2, None), None)
    number = (positions and positions[0]) or code.co_firstlineno
    text = linecache.getline(code.co_filename, number).strip()
    return Line(code.co_filename, number, code.co_qualname, text)
