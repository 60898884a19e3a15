"""Inspection of the package as a namespace of the Array API standard (2024.12)."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.array_api.dtype_functions import isdtype
from tinygrad_lab.backends import dtypes as known
from tinygrad_lab.backends.devices import backend_at, devices, get_default_device

__all__ = [
    "NamespaceInfo",
    "array_namespace_info",
    "e",
    "inf",
    "nan",
    "newaxis",
    "pi",
]

e, inf, nan, pi = math.e, math.inf, math.nan, math.pi
newaxis = None
"""Stands for a new axis of size 1 in an index: ``x[:, tg.newaxis]``."""

_DTYPES = (
    "bool",
    *("int8", "int16", "int32", "int64"),
    *("uint8", "uint16", "uint32", "uint64"),
    *("float32", "float64"),
    *("complex64", "complex128"),
)
"""The dtypes of the standard, which does not have ``tg.float16``."""


class NamespaceInfo:
    """The result of ``tg.__array_namespace_info__()``: capabilities, devices, dtypes, defaults."""

    def capabilities(self) -> dict[str, Any]:
        """Return which optional features of the standard are supported."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """Return the default device for new tensors; see ``tg.default_device``."""
        return get_default_device()

    def devices(self) -> list[str]:
        """Return the available devices; see ``tg.devices``."""
        return devices()

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        """Return the default dtypes of numbers and indices; see ``tg.set_default_dtype``.

        Raises:
            DeviceError: for a missing device.
        """
        backend_at(device)
        return {
            "real floating": known.get_default_dtype(),
            "complex floating": known.get_default_complex_dtype(),
            "integral": known.dtype_of_number(0),
            "indexing": known.dtype_of_number(0),
        }

    def dtypes(
        self, *, device: str | None = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, Any]:
        """Return the dtypes of the standard, all of which are supported, or those of a kind.

        Raises:
            ArgumentError: for an unknown kind; see ``tg.isdtype``.
            DeviceError: for a missing device.

        Example:
            >>> import tinygrad_lab as tg
            >>> list(tg.__array_namespace_info__().dtypes(kind="real floating"))
            ['float32', 'float64']
        """
        backend_at(device)
        every = {name: getattr(known, name) for name in _DTYPES}
        if kind is None:
            return every
        return {name: dtype for name, dtype in every.items() if isdtype(dtype, kind)}


def array_namespace_info() -> NamespaceInfo:
    """Return devices, dtypes, defaults and capabilities of this Array API namespace."""
    return NamespaceInfo()
