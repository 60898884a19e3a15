"""CuPy arrays, on an NVIDIA GPU: the extra ``cuda``, imported when a GPU is first used."""

from __future__ import annotations

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import is_half
from tinygrad_lab.backends.half import HalfSums
from tinygrad_lab.backends.namespace import SCIPY, Array, Namespace, namespaces
from tinygrad_lab.errors import DeviceError

__all__ = ["count_of_gpus", "cupy_backend"]


class _CuPy(HalfSums):
    name = "cupy"
    default_device = "cuda"

    def __init__(self, library: Any, cupy: Any) -> None:
        super().__init__(library)
        self.cupy = cupy

    def device_of(self, array: Array) -> str:
        number = array.device.id
        return "cuda" if number == 0 else f"cuda:{number}"

    def on(self, device: str) -> AbstractContextManager[Any]:
        return self.cupy.cuda.Device(int(device.partition(":")[2] or 0))

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Array:
        if device is not None:
            there = self.on(device)
        elif isinstance(data, self.cupy.ndarray):
            there = data.device
        else:
            there = self.cupy.cuda.Device()  # the current device
        with there:
            return self.cupy.array(data, dtype=dtype, copy=copy)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return self.cupy.asnumpy(array)

    def add_at(self, target: Array, key: Any, values: Array) -> None:
        if is_half(target.dtype):
            wide = target.astype(np.float32)
            self.cupy.add.at(wide, key, values)
            target[...] = wide
        else:
            self.cupy.add.at(target, key, values)

    def where(self, condition: Any, x: Array, y: Array) -> Array:
        # A comparison of Python numbers is a bool, which CuPy does not accept.
        return self.cupy.where(self.cupy.asarray(condition), x, y)


def _of_cupyx(name: str) -> Any:
    """Return a function of ``cupyx.scipy.special`` as a method."""

    def function(self: _CuPy, *arrays: Array) -> Array:
        from cupyx.scipy import special

        x, y = arrays[-1], getattr(special, name)(*arrays)
        return y.astype(x.dtype) if x.dtype.kind == "f" and y.dtype != x.dtype else y

    return function


for _name, _name_in_scipy in SCIPY.items():
    setattr(_CuPy, _name, _of_cupyx(_name_in_scipy))


@cache
def _load() -> _CuPy:
    try:
        import array_api_compat.cupy as library
        import cupy
    except ImportError as error:
        raise DeviceError(
            "device 'cuda' needs CuPy, which is not installed: pip install 'tinygrad_lab[cuda]'."
        ) from error
    if not cupy.cuda.is_available():
        raise DeviceError(
            "device 'cuda' needs an NVIDIA GPU and its driver; CuPy is installed and says "
            f"{_what_is_missing(cupy)}"
        )
    backend = _CuPy(library, cupy)
    namespaces[cupy.ndarray] = backend
    return backend


def _what_is_missing(cupy: Any) -> str:
    """Return CUDA's reason why no GPU is usable: no driver, one that is too old, or no card."""
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return f"{error}."
    return "cudaErrorNoDevice: no CUDA-capable device is detected."


def count_of_gpus() -> int:
    """Return the number of usable GPUs; 0 if CuPy is not installed."""
    try:
        backend = _load()
    except DeviceError:
        return 0
    return int(backend.cupy.cuda.runtime.getDeviceCount())


def cupy_backend(device: str) -> Namespace:
    """Return the CuPy backend, if ``device`` is available.

    Raises:
        DeviceError: without CuPy, without a GPU, or for an invalid device name.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda" or (number and not number.isdigit()):
        raise DeviceError(f"expected a device 'cpu', 'cuda' or 'cuda:1', got {device!r}.")
    backend = _load()
    count = backend.cupy.cuda.runtime.getDeviceCount()
    if number and int(number) >= count:
        raise DeviceError(f"there is no device {device!r}; GPUs here: {count}, see tg.devices().")
    return backend
