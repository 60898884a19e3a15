"""The command ``tinygrad-lab``: train the paper's nets, draw a formula's graph, say what is here.

A user's mistake ends in one line on stderr: ``error: ...``, with exit code 2 where the command
line itself is wrong, and 1 where what it asks for cannot be done. Ctrl-C ends with 130. What is
heavy is imported by the command that needs it, so that ``--help`` answers at once.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass

__all__ = ["main"]

EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130
MODEL_NAMES = ("logistic", "mlp", "cnn", "gru")
