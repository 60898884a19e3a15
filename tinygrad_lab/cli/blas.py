"""Which kernels multiply matrices here, and whether this processor could run faster ones.

NumPy leaves matrix products to a BLAS library, usually OpenBLAS, which has kernels for many kinds
of processors and picks some when it is loaded. On a processor that is newer than itself it may pick
those of an older one, and leave half of the machine unused. ``OPENBLAS_CORETYPE``, set before
NumPy is imported, picks others.
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
"""The environment variable that OpenBLAS picks its kernels by."""

AVX512 = "SkylakeX"
AVX512_FLAGS = frozenset({"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"})
"""What these kernels ask of a processor, in Linux' names."""
AVX2_KERNELS = ("Haswell", "Zen")


@dataclass(frozen=True, slots=True)
class Library:
    """A BLAS library that is loaded."""

    name: str
    version: str
    kernels: str | None
    """For which processors; None where the library does not tell."""
    threads: int

    def __str__(self) -> str:
        kernels = self.kernels or "not told"
        return f"{self.name} {self.version}, kernels: {kernels}, threads: {self.threads}"


def libraries() -> list[Library]:
    """The BLAS libraries that are loaded, NumPy's first."""
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
    """What the processor can do, as Linux calls it: ``"avx2"``; nothing where it is not told."""
    if not description.is_file():
        return frozenset()
    for line in description.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, flags = line.partition(":")
        if name.strip() == "flags":
            return frozenset(flags.split())
    return frozenset()


def faster_kernels(flags: frozenset[str], kernels: str | None) -> str | None:
    """Kernels of OpenBLAS that the processor can run, and that are faster than those in use.

    >>> faster_kernels(AVX512_FLAGS, "Haswell")
    'SkylakeX'
    >>> faster_kernels(frozenset({"avx2"}), "Haswell") is None
    True
    """
    return AVX512 if flags >= AVX512_FLAGS and kernels in AVX2_KERNELS else None


def kernels_to_choose(
    flags: frozenset[str], kernels: str | None, environment: Mapping[str, str]
) -> str | None:
    """The faster kernels, unless somebody has made a choice: the user, or this program before.

    >>> kernels_to_choose(AVX512_FLAGS, "Haswell", {"OPENBLAS_CORETYPE": "Haswell"}) is None
    True
    """
    if CHOICE in environment or sys.platform != "linux":
        return None
    return faster_kernels(flags, kernels)
