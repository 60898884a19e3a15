"""The code around an event: what its frames are, and what they call its result."""

from __future__ import annotations

import sys
from functools import cached_property
from types import CodeType, FrameType

import numpy as np

from tinygrad_lab.compiler.record.variables import RETURNED, Variables
from tinygrad_lab.engine.user_code import is_library

__all__ = [
    "APPLYING",
    "RECORDING",
    "USING",
    "caller",
    "known_codes",
    "look_at",
    "openers",
    "phases",
    "target_of",
]

RECORDING, APPLYING, WORKING, USING = "recording", "applying", "working", "using"
"""What code does: enter events, apply or pull back any op, do the work; or it is the user's."""
_HERE = __file__[: -len("record/frames.py")]
_NUMPY = np.__file__[: -len("__init__.py")]
_ENGINE = ("engine/apply.py", "engine/node.py", "engine/backward.py")
"""Where every op is applied and pulled back: what variables are called there says nothing."""

phases: dict[int, str] = {}
"""The functions of the package that begin a phase, by the id of their code."""
openers: dict[int, str] = {}
"""Those that run a part, and its kind."""


class _Code:
    """What is known of the code in a frame above an event."""

    def __init__(self, code: CodeType) -> None:
        self.code = code
        self.phase = phases.get(id(code))
        self.opens = openers.get(id(code))
        filename = code.co_filename
        if filename.startswith((_HERE, _NUMPY)):
            self.role = RECORDING
        elif not is_library[filename]:
            self.role = USING
        else:
            self.role = APPLYING if filename.endswith(_ENGINE) else WORKING

    @cached_property
    def variables(self) -> Variables:
        """The variables in which it stores the results of its instructions."""
        return Variables(self.code)


known_codes: dict[int, _Code] = {}
"""By the id of the code, which is kept so that no other gets it (hashing takes microseconds)."""


def look_at(code: CodeType) -> _Code:
    """Enter code that was not seen before."""
    known = known_codes[id(code)] = _Code(code)
    return known


def target_of(code: CodeType, offset: int) -> str | None:
    """Return the variable in which the result of an instruction is stored immediately."""
    name = (known_codes.get(id(code)) or look_at(code)).variables.of(offset)
    return None if name == RETURNED or isinstance(name, tuple) else name


def caller(depth: int = 1) -> FrameType:
    """Return the frame of the code that called the calling function."""
    return sys._getframe(depth + 1)
