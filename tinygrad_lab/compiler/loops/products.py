"""The addresses of the BLAS's matrix products, for machine code that calls them."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np

__all__ = ["addresses"]

_NAMES = ("sgemm", "dgemm")
_SPELLINGS = ("scipy_{}_64_", "{}_64_", "scipy_{}_", "{}_")
"""The names in NumPy's wheels, and in other builds."""


def addresses() -> dict[str, int]:
    """Return the addresses of ``sgemm`` and ``dgemm``, with Fortran's arguments.

    They are those of NumPy's own BLAS if it exposes them, so that all products of a step are made
    by one library, and SciPy need not be imported; otherwise SciPy's.
    """
    return dict(_in_numpy()) or dict(_in_scipy())


def _in_numpy() -> Iterator[tuple[str, int]]:
    # A lookup in a library continues in those that it is linked with (but not on Windows).
    library = ctypes.CDLL(np._core._multiarray_umath.__file__)  # type: ignore[attr-defined]
    for spelling in _SPELLINGS:
        found = [getattr(library, spelling.format(name), None) for name in _NAMES]
        if all(found):
            for name, function in zip(_NAMES, found, strict=True):
                yield name, ctypes.cast(function, ctypes.c_void_p).value or 0  # type: ignore[arg-type]
            return


def _in_scipy() -> Iterator[tuple[str, int]]:
    from scipy.linalg import cython_blas

    python, capsule = ctypes.pythonapi, ctypes.py_object
    name_of = ctypes.PYFUNCTYPE(ctypes.c_char_p, capsule)(("PyCapsule_GetName", python))
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, capsule, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", python)
    )
    for name in _NAMES:
        found = cython_blas.__pyx_capi__[name]
        yield name, pointer_of(found, name_of(found))
