"""Run with the fastest kernels for matrix products, which may mean to restart the process."""

import os
import sys
from dataclasses import dataclass

from tinygrad_lab.cli.output import echo

__all__ = ["Process", "choose_kernels", "describe_kernels"]


@dataclass(frozen=True)
class Process:
    """The process that a command runs in."""

    is_own: bool
    """Whether it runs nothing but this command, and may be restarted."""


def describe_kernels() -> str:
    """Describe the kernels in use, and faster ones if this processor can run them."""
    from tinygrad_lab.cli import blas

    flags, used = blas.processor_flags(), [library.kernels for library in blas.libraries()]
    if not used:
        return "unknown"
    chosen = os.environ.get(blas.CHOICE)
    faster = blas.faster_kernels(flags, used[0])
    if faster is None:
        because = (
            f"chosen by {blas.CHOICE}" if chosen else "no faster ones known for this processor"
        )
        return f"{used[0] or 'not reported'}: {because}"
    return (
        f"{used[0]}, but this processor has AVX-512: {blas.CHOICE}={faster}, set before Python "
        + (f"starts, is faster than {chosen}" if chosen else "starts, is faster (train sets it)")
    )


def choose_kernels(process: Process | None) -> None:
    """Restart the process with faster kernels for matrix products, if there are any.

    OpenBLAS reads the choice when NumPy is imported, which has already happened. The restart runs
    the same command in the same process, which keeps its id, terminal and exit code.
    """
    from tinygrad_lab.cli import blas

    used = blas.libraries()
    kernels = used[0].kernels if used else None
    choice = blas.kernels_to_choose(blas.processor_flags(), kernels, os.environ)
    command = sys.orig_argv[1:]
    whole = process is not None and process.is_own and command[-len(sys.argv[1:]) :] == sys.argv[1:]
    if choice is None or not whole or not sys.executable:
        return
    echo(
        f"matrix products: using the kernels for {choice} instead of {kernels}, because this "
        f"processor has AVX-512 (set {blas.CHOICE}={kernels} to keep the others)",
        err=True,
    )
    os.environ[blas.CHOICE] = choice
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *command])
