"""Errors for what a step that is being compiled cannot do, with the user's line."""

from __future__ import annotations

from tinygrad_lab.engine.user_code import line_of, user_site
from tinygrad_lab.errors import CompileError

__all__ = ["AskedError", "UnsupportedError", "refused"]


class UnsupportedError(CompileError):
    """A step that cannot be replayed; it runs uncompiled."""


class AskedError(CompileError):
    """The step asks for the value of numbers among its arguments: each gets its own recording."""

    def __init__(self, message: str, places: frozenset[int]) -> None:
        super().__init__(message)
        self.places = places
        """Where they are among the leaves of the arguments."""


_INSTEAD = (
    "Return the tensor and read it outside the step; choose between numbers with tg.where; "
    "or leave the step uncompiled."
)


def refused(what: str, instead: str = _INSTEAD) -> CompileError:
    """Return the error for something that would freeze what may differ from call to call."""
    line = line_of(*user_site())
    return CompileError(
        f"tg.compile: the step asks for {what}, which may differ from call to call, but "
        f"later calls replay the recording. {instead}\n  at {line}"
    )
