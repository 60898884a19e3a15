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

__all__ = ["Line", "is_library", "line_of", "user_site"]

_PACKAGE = join(dirname(dirname(__file__)), "")
_NETS = join(_PACKAGE, "train", "models.py")
"""Nets that are written as a user would write them, and read as a user's are."""


class _IsLibrary(dict[str, bool]):
    """A cache of whether a file belongs to this package."""

    def __missing__(self, filename: str) -> bool:
        ours = filename.startswith((_PACKAGE, "<tinygrad_lab"))
        answer = self[filename] = ours and filename != _NETS
        return answer


is_library = _IsLibrary()


@dataclass(frozen=True, slots=True)
class Line:
    """One line of source."""

    filename: str
    number: int
    function: str
    text: str

    def __str__(self) -> str:
        where = f"{basename(self.filename)}:{self.number}"
        return f"{where}: {self.text}" if self.text else where


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
