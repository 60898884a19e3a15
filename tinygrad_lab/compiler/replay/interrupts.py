"""Ctrl-C in the middle of a replay: the step is finished, and then interrupted.

A replay writes new parameters and moments over the old ones. Broken off in between, it would leave
some of both. Python handles a signal between two instructions, after a call that is written in C
has returned: so the traceback says which line was the last, and the lines after it can be run.
"""

from __future__ import annotations

import dis
import signal
from types import CodeType, TracebackType
from typing import Any

__all__ = ["finish"]


def finish(source: str, names: dict[str, Any], traceback: TracebackType | None) -> Any:
    """Run what is left of a replay that was interrupted; return its result.

    Returns None, and runs nothing, if the interrupt came before it had begun.
    """
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_globals is names and frame.f_code.co_name == "replay":
            line = traceback.tb_lineno
            inside = traceback.tb_next is not None and not _is_handler(traceback.tb_next)
            if not inside and _is_done(frame.f_code, line, traceback.tb_lasti):
                line += 1
            return _rest(source, line, names, dict(frame.f_locals))
        traceback = traceback.tb_next
    return None


def _is_handler(traceback: TracebackType) -> bool:
    """Return whether a frame is not one that the replay has called, but a signal's handler."""
    handlers = [signal.getsignal(number) for number in signal.valid_signals()]
    functions = [getattr(one, "__func__", one) for one in handlers]
    codes = [getattr(one, "__code__", None) for one in functions]
    return any(code is traceback.tb_frame.f_code for code in codes)


def _is_done(code: CodeType, line: int, last: int) -> bool:
    """Return whether all of a line was done at an instruction, but for dropping the result."""
    after = [
        one.opname
        for one in dis.get_instructions(code)
        if one.offset > last and one.positions is not None and one.positions.lineno == line
    ]
    return after in ([], ["POP_TOP"])


def _rest(source: str, line: int, names: dict[str, Any], values: dict[str, Any]) -> Any:
    """Run the lines of a replay from one on, with the values of its variables."""
    lines = source.split("\n")
    checked = max((n for n, text in enumerate(lines) if text.endswith("return MOVED")), default=0)
    if line - 1 <= checked:
        return None  # it had changed nothing
    rest = lines[line - 1 :]
    if rest[0] == _HANDLER:
        del rest[:2]
    header = [f"def rest({', '.join(values)}):"]
    if _HANDLER in rest:
        header.append("    try:")
    made: dict[str, Any] = {}
    exec("\n".join([*header, *rest]), names, made)
    return made["rest"](**values)


_HANDLER = "    except FAILURES:"
