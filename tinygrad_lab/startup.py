"""Ctrl-C while the command starts or ends: one line and exit code 130, not a traceback.

The package imports this module first. In a process that runs the command, imports take most of the
time before the command itself can see a Ctrl-C. Other programs keep their own handler.

Nothing is imported here that Python has not loaded already: until the handler is set, each further
import is a time in which a Ctrl-C ends in a traceback.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself imports `enum`
import os
import sys

__all__ = ["EXIT_INTERRUPTED", "exit_on_interrupt", "interruptible", "runs_the_command"]

EXIT_INTERRUPTED = 130


def runs_the_command() -> bool:
    """Return whether this process was started as ``tinygrad-lab`` or ``-m tinygrad_lab``."""
    arguments, options = sys.argv, sys.orig_argv
    if os.path.splitext(os.path.basename(arguments[0] if arguments else ""))[0] == "tinygrad-lab":
        return True
    if arguments[:1] != ["-m"]:
        return False
    # While Python looks for the module of -m, argv[0] is "-m"; the module's name follows it.
    options = options[: len(options) - len(arguments) + 1]
    option, found, rest = options[-1].rpartition("tinygrad_lab")
    if not found or rest:
        return False
    option = option or options[-2]
    return option.startswith("-") and option.endswith("m") and option[1:].isalpha()


def exit_on_interrupt() -> None:
    """Let Ctrl-C end the process in one line, wherever it is.

    A KeyboardInterrupt would not do: within an import or a finalizer it may be replaced by another
    error, or be printed and lost. A process that was told to ignore Ctrl-C goes on ignoring it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _exit)


def _exit(number: int, frame: object) -> None:
    os.write(2, b"\ninterrupted\n" if os.isatty(2) else b"interrupted\n")
    os._exit(EXIT_INTERRUPTED)


class interruptible:  # noqa: N801 - a context manager, without the import of contextlib
    """Let Ctrl-C raise KeyboardInterrupt in a block, if outside of it Ctrl-C ends the process."""

    def __enter__(self) -> None:
        self._ends_the_process = signal.getsignal(signal.SIGINT) is _exit
        if self._ends_the_process:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def __exit__(self, *error: object) -> None:
        if self._ends_the_process:
            exit_on_interrupt()


if runs_the_command():
    exit_on_interrupt()
