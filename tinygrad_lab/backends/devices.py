"""Where tensors live: which devices there are, and which one is meant where none is named."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from tinygrad_lab.backends import Namespace, backend_for_device
from tinygrad_lab.backends.cupy import count_of_gpus
from tinygrad_lab.context import changed, current

__all__ = ["backend_at", "default_device", "devices", "get_default_device"]


def devices() -> list[str]:
    """The devices that tensors can be on here: ``"cpu"``, and ``"cuda"``, ``"cuda:1"`` … for GPUs.

    A GPU is listed where CuPy (the extra ``cuda``) is installed and finds one. Asking does not
    raise; ``x.to("cuda")`` says what is missing.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.devices()[0]
        'cpu'
    """
    return ["cpu", *("cuda" if n == 0 else f"cuda:{n}" for n in range(count_of_gpus()))]


class default_device(changed):  # noqa: N801 - used like a function
    """Run a block, or a decorated function, where tensors are made on a device if none is named.

    This concerns what makes tensors of nothing or of Python's numbers and lists: ``tg.zeros``,
    ``tg.tensor([1.0])``, ``tg.random.normal``, the parameters of layers. Arrays and tensors stay
    where they are. It holds for the current thread only, and ends with the block, also after an
    exception. Ops run where their inputs are; with several GPUs, work on all but the first belongs
    in such a block, which makes the GPU CuPy's current one, too.

    Args:
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    Raises:
        DeviceError: for a device that is not there, saying what is missing.

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
    """The device that tensors are made on if none is named."""
    return current().device


def backend_at(device: str | None) -> tuple[Namespace, str]:
    """The backend of a device, or of the default one, and the device's one name.

    Raises:
        DeviceError: for a device that is not there, saying what is missing.
    """
    name = current().device if device is None else device
    backend = backend_for_device(name)
    return backend, "cuda" if name == "cuda:0" else name
