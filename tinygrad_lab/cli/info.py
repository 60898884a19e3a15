"""``tinygrad-lab info``: show versions, devices and the libraries that do the work."""

from pathlib import Path
from typing import Any

import click

import tinygrad_lab
from tinygrad_lab.cli.output import echo

__all__ = ["command"]


@click.command("info")
def command() -> None:
    """Show versions, devices, the BLAS library with its kernels, and the graph renderer."""
    import platform

    import numpy
    import scipy

    from tinygrad_lab.cli import blas
    from tinygrad_lab.cli.kernels import describe_kernels
    from tinygrad_lab.show.layout import renderer

    rows = {
        "tinygrad_lab": f"{tinygrad_lab.__version__} in {Path(tinygrad_lab.__file__).parent}",
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "devices": _devices(),
        "blas": "; ".join(map(str, blas.libraries())) or "unknown",
        "kernels": describe_kernels(),
        "renderer": renderer(),
    }
    for name, text in rows.items():
        echo(f"{name:<13} {text}")


def _devices() -> str:
    """List the devices that can hold tensors."""
    from tinygrad_lab.backends import backend_for_device
    from tinygrad_lab.errors import DeviceError

    try:
        cupy: Any = backend_for_device("cuda").cupy
    except DeviceError as error:
        return f"cpu ({error})"
    runtime = cupy.cuda.runtime
    names = (
        f"cuda:{number} ({runtime.getDeviceProperties(number)['name'].decode()})"
        for number in range(runtime.getDeviceCount())
    )
    return ", ".join(["cpu", *names, f"by CuPy {cupy.__version__}"])
