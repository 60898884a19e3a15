"""Finding the namespace ``xp`` of arrays, and the backend of a device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_lab.backends.cupy import cupy_backend
from tinygrad_lab.backends.namespace import Array, Namespace, namespaces
from tinygrad_lab.backends.no_numbers import is_masked, masked_array
from tinygrad_lab.backends.numpy import NUMPY
from tinygrad_lab.backends.python import PYTHON
from tinygrad_lab.errors import ArgumentTypeError, DeviceError, excerpt

__all__ = ["backend_for_device", "namespace_of", "register_device"]

_devices: dict[str, Callable[[str], Namespace]] = {
    "cpu": lambda device: NUMPY,
    "python": lambda device: PYTHON,
}
"""From the name of a device, without its number, to what finds its backend; others are GPUs."""


def register_device(name: str, backend: Callable[[str], Namespace]) -> None:
    """Let ``"name"`` and ``"name:1"`` be devices, whose backends a function finds."""
    _devices[name] = backend


def backend_for_device(device: str) -> Namespace:
    """Return the backend whose arrays live on ``device``: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        DeviceError: for a device that is not there, saying what is missing.
    """
    kind, numbered, _ = device.partition(":")
    if numbered and kind in ("cpu", "python"):
        kind = device  # there is one of each, without a number
    return _devices.get(kind, cupy_backend)(device)


def _discover(array: Array) -> Namespace:
    """Find the namespace for a new class of array."""
    kind = type(array)
    if is_masked(array):
        raise masked_array()
    if isinstance(array, np.matrix):
        raise ArgumentTypeError("the operators of np.matrix differ: np.asarray(m) first.")
    if isinstance(array, np.ndarray | np.generic):
        found = namespaces[np.ndarray]
    elif kind.__module__.partition(".")[0] == "cupy":
        found = cupy_backend("cuda")
    elif hasattr(kind, "__array_namespace__"):
        found = _ArrayAPINamespace(array.__array_namespace__())
    else:
        raise ArgumentTypeError(
            f"expected a Tensor, a number or an array (NumPy, CuPy), got {kind.__name__}: "
            f"{excerpt(array, 80)}. Convert it first: tg.tensor(...)."
        )
    namespaces[kind] = found
    return found


class _ArrayAPINamespace(Namespace):
    """Any library that follows the Array API standard; shows that ops use only the standard."""

    default_device = "cpu"

    def __init__(self, library: Any) -> None:
        super().__init__(library)
        self.name = library.__name__

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Array:
        return self.library.asarray(data, dtype=dtype, copy=copy)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def add_at(self, target: Array, key: Any, values: Array) -> None:
        buffer = np.array(target)
        np.add.at(buffer, key, np.asarray(values))
        target[...] = self.library.asarray(buffer)


def namespace_of(arrays: Iterable[Array]) -> Any:
    """Return the common namespace of an op's inputs; Python numbers combine with any other.

    None represents an omitted input.

    Raises:
        ArgumentTypeError: for anything but an array, or if all inputs are omitted.
        DeviceError: if the arrays are on different devices.
    """
    found = None
    for array in arrays:
        if array is None:
            continue
        namespace = namespaces.get(array.__class__) or _discover(array)
        if found is None or found.name == "python":
            found = namespace
        elif namespace is not found and namespace.name != "python":
            raise DeviceError(
                f"arrays of {found.name} ({found.default_device}) and of {namespace.name} "
                f"({namespace.default_device}) do not mix. Move one of them: x.to(device)."
            )
    if found is None:
        raise ArgumentTypeError("expected a Tensor, a number or an array, got None.")
    return found
