"""The command ``tinygrad-lab``: train the paper's nets, draw the graph of a formula, show versions.

Each command has its own module, which imports heavy dependencies only when the command runs:
``--help`` answers quickly.
"""

from collections.abc import Sequence
from typing import Any

import click

from tinygrad_lab import __version__
from tinygrad_lab.cli import draw, info, train
from tinygrad_lab.cli.errors import OneLineErrors
from tinygrad_lab.cli.kernels import Process

__all__ = ["main"]


class _Commands(OneLineErrors):
    """Tells its commands whether they own the process."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        # Called without arguments, the group runs the command line of the process.
        extra.setdefault("obj", Process(is_own=args is None))
        return super().main(args, *rest, **extra)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="tinygrad_lab %(version)s")
def main() -> None:
    """Reverse-mode autograd whose computation graph you can see.

    \b
    Start with one of these:
      tinygrad-lab draw "(x + y) * z" x=-2 y=5 z=-4 -o f.svg
      tinygrad-lab train --model mlp
      tinygrad-lab info
    """


main.add_command(train.command)
main.add_command(draw.command)
main.add_command(info.command)
