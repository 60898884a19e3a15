"""The environment that every measurement starts from, and a description of the machine.

Limits on threads only work if they are set before NumPy is loaded. So nothing is measured in the
process of the command itself: it starts fresh ones, in an environment that has the limits.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = dict.fromkeys(
    (
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
        "NUMEXPR_NUM_THREADS",
    ),
    "1",
)
# XLA's own variable, which JAX reads when it starts.
ONE_THREAD["NPROC"] = "1"
EVERY_CORE_OF_XLA = {"NPROC": str(os.cpu_count())}
PACKAGES = (
    "numpy",
    "tinygrad_lab",
    "torch",
    "jax",
    "numba",
    "llvmlite",
    "autograd",
    "mygrad",
    "micrograd",
)
MIB = 1 << 20


def run_python(*arguments: str, variables: Mapping[str, str] | None = None) -> str:
    """Run a fresh, single-threaded Python from the repository's root; return what it printed.

    ``variables`` are set in its environment, beside the limits on threads. The child's standard
    error is passed through, so its progress bar is visible. Raises `subprocess.CalledProcessError`
    if the child fails.
    """
    command = [sys.executable, *arguments]
    environment = os.environ | ONE_THREAD | dict(variables or {})
    done = subprocess.run(
        command, env=environment, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def settle_allocator() -> None:
    """Allocate and free one 31 MB block, which fixes the state of glibc's allocator.

    Until a block of about that size is freed, glibc returns every large array to the system
    and fetches it again (its mmap threshold starts at 128 kB and rises to the size of the largest
    mapped block freed, at most 32 MB). The first participant to free a large array
    would speed up all that follow.
    """
    block = bytearray(31 * MIB)
    del block


def installed(package: str) -> bool:
    """Return whether ``package`` can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def describe() -> dict[str, str]:
    """Return processor, cores, Python and package versions, for judging the numbers."""
    facts = {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
    for package in PACKAGES:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts[package] = "from source" if installed(package) else "not installed"
    facts["BLAS"] = _blas()
    facts["threads"] = "1 (BLAS, PyTorch)"
    return facts


def _blas() -> str:
    """Return NumPy's BLAS and, if threadpoolctl can tell, the kernels it has chosen.

    OpenBLAS chooses slower ones on processors that are newer than itself.
    """
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    name = f"{blas['name']} {blas['version']}"
    if not installed("threadpoolctl"):
        return name
    from threadpoolctl import threadpool_info

    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join([name, *(f"{pool.get('architecture', '?')} kernels" for pool in pools)])


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown"
