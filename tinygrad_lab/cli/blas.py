"""The kernels for matrix products in use, and faster ones that this processor could run.

NumPy delegates matrix products to a BLAS library, usually OpenBLAS, which has kernels for many
processors and selects some when it is loaded. On a processor newer than the library, it may select
those of an older one and use only half of the machine. ``OPENBLAS_CORETYPE``, set before NumPy is
imported, selects others.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "CHOICE",
    "Library",
    "faster_kernels",
    "kernels_to_choose",
    "libraries",
    "processor_flags",
]

CHOICE = "OPENBLAS_CORETYPE"
"""The environment variable that selects the kernels of OpenBLAS."""

AVX512 = "SkylakeX"
AVX512_FLAGS = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
"""The processor features that these kernels need, as Linux names them."""
AVX2_KERNELS = ("Haswell", "Zen")


@dataclass(frozen=True, slots=True)
class Library:
    """A loaded BLAS library."""

    name: str
    version: str
    kernels: str | None
    """The processor they are for; None if the library does not report it."""
    threads: int

    def __str__(self) -> str:
        kernels = self.kernels or "not reported"
        return f"{self.name} {self.version}, kernels: {kernels}, threads: {self.threads}"


def libraries() -> list[Library]:
    """Return the loaded BLAS libraries, NumPy's first."""
    from threadpoolctl import threadpool_info

    found: list[dict[str, Any]] = [one for one in threadpool_info() if one["user_api"] == "blas"]
    found.sort(key=lambda one: "numpy" not in one["filepath"])
    described = (
        Library(
            one["internal_api"],
            one.get("version") or "",
            one.get("architecture"),
            one["num_threads"],
        )
        for one in found
    )
    return list(dict.fromkeys(described))


def processor_flags(description: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the features of the processor, as Linux names them: ``"avx2"``; empty if unknown."""
    if not description.is_file():
        return frozenset()
    for line in description.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return frozenset(flags.split())
    return frozenset()


def faster_kernels(flags: frozenset[str], kernels: str | None) -> str | None:
    """Return the kernels of OpenBLAS that this processor runs faster than those in use.

    >>> faster_kernels(AVX512_FLAGS, "Haswell")
    'SkylakeX'
    >>> faster_kernels(frozenset({"avx2"}), "Haswell") is None
    True
    """
    return AVX512 if flags >= AVX512_FLAGS and kernels in AVX2_KERNELS else None


def kernels_to_choose(
    flags: frozenset[str], kernels: str | None, environment: Mapping[str, str]
) -> str | None:
    """Return the faster kernels, unless the user, or this program before a restart, chose some.

    >>> kernels_to_choose(AVX512_FLAGS, "Haswell", {"OPENBLAS_CORETYPE": "Haswell"}) is None
    True
    """
    if CHOICE in environment or sys.platform != "linux":
        return None
    return faster_kernels(flags, kernels)
