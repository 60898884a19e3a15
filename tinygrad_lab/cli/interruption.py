"""Ctrl-C during training: stop cleanly the first time, immediately the second."""

import os
import signal
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from tinygrad_lab.cli.errors import EXIT_INTERRUPTED

__all__ = ["Interruption"]


class Interruption:
    """Turns the first Ctrl-C into a request to stop; the second ends the process.

    The training stops between two steps, where no parameter is half updated and the results so far
    can be saved. The second Ctrl-C ends the process without unwinding: a KeyboardInterrupt raised
    inside a finalizer or the callback of a weak reference would be printed and lost. As with a
    kill, the files that were saved remain whole.
    """

    def __init__(self, folder: Path) -> None:
        self.requested = False
        self._farewell = os.fsencode(f"interrupted twice: results saved before are in {folder}\n")

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            # Bypass sys.stderr: the interrupted code may be using its buffer.
            os.write(2, (b"\n" if os.isatty(2) else b"") + self._farewell)
            os._exit(EXIT_INTERRUPTED)
        self.requested = True
