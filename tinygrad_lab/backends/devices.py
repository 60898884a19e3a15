"""Devices of tensors: which are available, and which is the default."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from tinygrad_lab.backends import Namespace, backend_for_device
from tinygrad_lab.backends.cupy import count_of_gpus
from tinygrad_lab.context import changed, current

__all__ = ["backend_at", "default_device", "devices", "get_default_device"]


def devices() -> list[str]:
    """Return the available devices: ``"cpu"``, and ``"cuda"``, ``"cuda:1"`` … for GPUs.

    A GPU is listed if CuPy (the extra ``cuda``) is installed and finds it. This function never
    raises; ``x.to("cuda")`` says what is missing.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.devices()[0]
        'cpu'
    """
    return ["cpu", *("cuda" if n == 0 else f"cuda:{n}" for n in range(count_of_gpus()))]


class default_device(changed):  # noqa: N801 - used like a function
    """Sets the default device for new tensors, in a block or a decorated function.

    It affects functions that make tensors from a shape or from Python numbers and lists:
    ``tg.zeros``, ``tg.tensor([1.0])``, ``tg.random.normal``, the parameters of layers. Arrays and
    tensors stay on their device. It applies to the current thread only, and ends with the block,
    even after an exception. Ops run on the device of their inputs; with several GPUs, use such a
    block for work on any but the first, since it also sets CuPy's current device.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        DeviceError: for an unavailable device, saying what is missing.

    Example:
        >>> import tinygrad_lab as tg
        >>> with tg.default_device("cpu"):
        ...     tg.zeros(2).device
        'cpu'
    """

    def __init__(self, device: str) -> None:
        self._backend, name = backend_at(device)
        super().__init__(device=name)
        self._currents: list[AbstractContextManager[Any]] = []

    def __enter__(self) -> Any:
        now_current = self._backend.on(self._changes["device"])
        now_current.__enter__()
        self._currents.append(now_current)
        return super().__enter__()

    def __exit__(self, *exception: Any) -> None:
        super().__exit__(*exception)
        self._currents.pop().__exit__(*exception)


def get_default_device() -> str:
    """Return the default device for new tensors."""
    return current().device


def backend_at(device: str | None) -> tuple[Namespace, str]:
    """Return the backend of a device, or of the default device, and the device's canonical name.

    Raises:
        DeviceError: for an unavailable device, saying what is missing.
    """
    name = current().device if device is None else device
    backend = backend_for_device(name)
    return backend, "cuda" if name == "cuda:0" else name
