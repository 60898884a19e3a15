"""Making tensors of numbers, lists and arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMPY, backend_for_device, namespaces
from tinygrad_lab.dtypes import array_of
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError
from tinygrad_lab.ops.apply import plain
from tinygrad_lab.tensor import Tensor

__all__ = ["from_dlpack", "scalar", "tensor"]


def scalar(value: Any, *, name: str | None = None, requires_grad: bool = True) -> Tensor:
    """A single number, held as a plain Python float.

    Args:
        value: a number, or an array or a tensor of one element.
        name: what pictures call it.
        requires_grad: whether a gradient is wanted.

    Raises:
        ArgumentTypeError: for what is not one number.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.scalar(3, name="x") * 2
        scalar(6.0, op=multiply)
    """
    one = isinstance(value, float | int | np.number) or getattr(value, "size", None) == 1
    if not one:
        described = f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
        raise ArgumentTypeError(
            f"tg.scalar takes a number, got {described}; tg.tensor takes arrays and lists."
        )
    result = plain(float(np.asarray(getattr(value, "_data", value)).item()))
    if name is not None:
        result.name = name
    return result.requires_grad_(requires_grad)


def tensor(
    data: Any,
    *,
    dtype: Any = None,
    device: str | None = None,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """A tensor with a copy of the data.

    Args:
        data: a number, (nested) lists of numbers, an array (also of another library, by DLPack),
            a Tensor.
        dtype: the type of the elements. Python floats become ``tg.float32`` if it is not given
            (see ``tg.set_default_dtype``), Python integers int64; arrays keep theirs.
        device: ``"cpu"`` or ``"cuda"``; where the data are, if not given.
        requires_grad: whether a gradient is wanted.
        name: what pictures call it.

    Raises:
        ArgumentError: for lists that make no rectangular array of numbers.
        DTypeError: for a dtype that there is not, or data that are no numbers.
        DeviceError: for a device that is not there.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.tensor([[1, 2], [3, 4]], dtype=tg.float32).sum(axis=0)
        tensor([4., 6.])
    """
    if isinstance(data, Tensor):
        data = data._data
    elif hasattr(data, "__dlpack__") and not isinstance(data, np.ndarray | np.generic):
        data = data if type(data) in namespaces else np.from_dlpack(data)
    if dtype is None and not hasattr(data, "dtype"):
        data, dtype = array_of(data)
    if device is not None:
        backend = backend_for_device(device)
    else:
        backend = namespaces[type(data)] if hasattr(data, "dtype") else NUMPY
    result = plain(_array(backend, data, _known(dtype), device))
    if name is not None:
        result.name = name
    return result.requires_grad_() if requires_grad else result


def _known(dtype: Any) -> Any:
    """A dtype that NumPy knows, or None."""
    try:
        return None if dtype is None else np.dtype(dtype)
    except TypeError:
        raise DTypeError(
            f"tg.tensor: expected a dtype such as tg.float32 or 'int64', got {dtype!r}."
        ) from None


def _array(backend: Any, data: Any, dtype: Any, device: str | None) -> Any:
    """Data as an array of numbers or booleans."""
    try:
        array = backend.asarray(data, dtype=dtype, device=device)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"tg.tensor: expected rectangular data of numbers; {error}.") from None
    if backend is NUMPY and array.dtype.kind not in "fiub":
        raise DTypeError(f"tg.tensor: expected numbers or booleans, got dtype {array.dtype}.")
    return array


def from_dlpack(x: Any) -> Tensor:
    """A tensor in the memory of another library's array, without a copy, by DLPack.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> tg.from_dlpack(np.array([1.0, 2.0], dtype=np.float32))
        tensor([1., 2.])
    """
    if not hasattr(x, "__dlpack__"):
        raise ArgumentTypeError(
            f"tg.from_dlpack takes an array that has __dlpack__, got {type(x).__name__}."
        )
    return plain(np.from_dlpack(x))
