"""Errors in one line, and the exit codes of the command.

A user's mistake is reported in one line on stderr, ``error: ...``. The exit code is 2 for an
invalid command line, 1 for a request that cannot be carried out and 130 after Ctrl-C.
"""

from typing import IO, Any, ClassVar

import click

from tinygrad_lab.cli.output import echo
from tinygrad_lab.errors import TinygradLabError
from tinygrad_lab.startup import EXIT_INTERRUPTED, interruptible

__all__ = ["EXIT_FAILED", "EXIT_INTERRUPTED", "OneLineErrors", "in_one_line"]

EXIT_FAILED = click.ClickException.exit_code


class _Failure(click.ClickException):
    """A request that failed. Click shows it in one line and exits with its code."""

    def show(self, file: IO[Any] | None = None) -> None:
        echo(f"error: {in_one_line(self.format_message())}", err=True)


class _UsageFailure(_Failure):
    """An invalid command line."""

    exit_code: ClassVar[int] = 2


class OneLineErrors(click.Group):
    """A group of commands that reports its own errors and those of click in one line."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise _usage_failure(error) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with interruptible():
                return super().invoke(ctx)
        except click.UsageError as error:
            raise _usage_failure(error) from error
        except BrokenPipeError:
            raise  # the reader of a pipe has closed it: click exits silently
        except OSError as error:
            raise _Failure(_describe(error)) from error
        except TinygradLabError as error:
            raise _Failure(str(error)) from error
        except KeyboardInterrupt:
            echo("interrupted", err=True)
            ctx.exit(EXIT_INTERRUPTED)


def _usage_failure(error: click.UsageError) -> _UsageFailure:
    hint = f" (see {error.ctx.command_path} --help)" if error.ctx else ""
    return _UsageFailure(error.format_message().rstrip(".") + hint)


def in_one_line(message: str) -> str:
    """Join lines with the separator that fits: ``a:``, ``b`` and ``c`` become ``a: b; c``."""
    lines = (line.strip() for line in message.splitlines())
    joined = ""
    for line in lines:
        # A caret points into the line above it; in a single line it points nowhere.
        if line.strip("^"):
            separator = " " if joined.endswith((":", ".", ",", ";")) else "; "
            joined += (separator if joined else "") + line
    return joined


def _describe(error: OSError) -> str:
    if error.filename is None or error.strerror is None:
        return str(error)
    return f"{error.filename}: {error.strerror}"
