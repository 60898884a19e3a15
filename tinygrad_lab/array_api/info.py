"""What the package says of itself as a namespace of the Array API standard (2024.12)."""

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
"""The dtypes of the standard; ``tg.float16`` is beyond it."""


class NamespaceInfo:
    """What ``tg.__array_namespace_info__()`` returns: what there is here, and the defaults."""

    def capabilities(self) -> dict[str, Any]:
        """What the standard leaves open, and tensors can do."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> str:
        """The device on which tensors are made if none is named; see ``tg.default_device``."""
        return get_default_device()

    def devices(self) -> list[str]:
        """The devices that tensors can be on here; see ``tg.devices``."""
        return devices()

    def default_dtypes(self, *, device: str | None = None) -> dict[str, Any]:
        """What Python's numbers become, and what indices are; see ``tg.set_default_dtype``.

        Raises:
            DeviceError: for a device that is not there.
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
        """The dtypes of the standard, all of which there are here, or those of a kind.

        Raises:
            ArgumentError: for a kind that there is not; see ``tg.isdtype``.
            DeviceError: for a device that is not there.

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
    """What there is in this namespace of the Array API: devices, dtypes, defaults, capabilities."""
    return NamespaceInfo()
