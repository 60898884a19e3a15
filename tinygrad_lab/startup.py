"""Ctrl-C while the command starts or ends: one line and exit code 130, not a traceback.

The package imports this module first. In a process that runs the command, imports take most of the
time before the command itself can see a Ctrl-C. Other programs keep their own handler.
"""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from types import FrameType

__all__ = ["EXIT_INTERRUPTED", "exit_on_interrupt", "interruptible", "runs_the_command"]

EXIT_INTERRUPTED = 130


def runs_the_command() -> bool:
    """Return whether this process was started as ``tinygrad-lab`` or ``-m tinygrad_lab``."""
    if PurePath(sys.argv[0] if sys.argv else "").stem == "tinygrad-lab":
        return True
    # While Python looks for the module of -m, argv[0] is "-m"; the module's name follows it.
    options = " ".join(sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1])
    return sys.argv[:1] == ["-m"] and bool(re.search(r" -[A-Za-z]*m ?tinygrad_lab$", options))


def exit_on_interrupt() -> None:
    """Let Ctrl-C end the process in one line, wherever it is.

    A KeyboardInterrupt would not do: within an import or a finalizer it may be replaced by another
    error, or be printed and lost. A process that was told to ignore Ctrl-C goes on ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    os.write(2, b"\ninterrupted\n" if os.isatty(2) else b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C raise KeyboardInterrupt in a block, if outside of it Ctrl-C ends the process."""
    if signal.getsignal(signal.SIGINT) is not _exit:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        exit_on_interrupt()


if runs_the_command():
    exit_on_interrupt()
