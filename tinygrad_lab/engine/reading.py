"""Reading a Tensor: as numbers, lists and NumPy arrays, as text, and as a pickle.

``Tensor`` inherits these methods. They are apart so that ``tensor.py`` holds what backpropagation
needs.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.backends.dtypes import get_default_dtype
from tinygrad_lab.context import touch
from tinygrad_lab.errors import ArgumentTypeError, GradientError, ShapeError

__all__ = ["Reading", "real_tensors", "warn_of_grad"]

real_tensors: set[type] = set()
"""The classes of Tensors that written functions take: Tensor, Parameter, subclasses of users."""


def warn_of_grad(x: Any) -> None:
    """Warn that a tensor which was computed has no ``.grad``, and say what to do."""
    warnings.warn(
        f".grad of {x._label()}, which {x._node.op.name} computed, is None: only leaves collect "
        "gradients. Say x.retain_grad() before backward(), x.register_hook(function), or read all "
        "gradients in tg.graph(loss).",
        stacklevel=3,
    )


class Reading:
    """What a Tensor can be read as."""

    __slots__ = ("_viewed",)
    _data: Array
    _node: Any
    name: str | None
    grad: Any
    _viewed: Any
    """A weak reference to the tensor that this constant is a view of, if that is a leaf that
    requires a gradient (``views.py``)."""

    def __init_subclass__(cls, *, real: bool = True) -> None:
        super().__init_subclass__()
        if real:
            real_tensors.add(cls)

    @property
    def shape(self) -> tuple[int, ...]:
        """The size of each axis; ``()`` for a single number."""
        return tuple(getattr(self._data, "shape", ()))

    @property
    def dtype(self) -> Any:
        """The type of the elements; a Python number counts as 64 bits wide."""
        return getattr(self._data, "dtype", None) or np.dtype(type(self._data))

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(getattr(self._data, "size", 1))

    @property
    def device(self) -> str:
        """Where the value lives: ``"cpu"``, ``"cuda"``, ``"cuda:1"``."""
        return namespaces[type(self._data)].device_of(self._data)

    def _read(self) -> Array:
        """Return the raw value for reading; a step that is being compiled traces it."""
        touch("read", (self,))
        return self._data

    def item(self) -> Any:
        """Return the value of a tensor of one element, as a Python number."""
        if self.size != 1:
            raise ShapeError(
                f"{self._label()} of shape {self.shape} has {self.size} elements; item(), bool(), "
                "float() and int() take one. Reduce it first (sum, mean), or use tolist()."
            )
        data = self._read()
        return data.item() if hasattr(data, "item") else data

    def numpy(self) -> np.ndarray[Any, Any]:
        """Return the value as a NumPy array, which shares the memory of a tensor on the CPU.

        Raises:
            GradientError: if the tensor requires a gradient, which would be lost: say
                ``detach()`` first.
        """
        if self._node is not None:
            raise GradientError(
                f"{self._label()} requires a gradient, which a NumPy array cannot carry. "
                "If it is not wanted here: x.detach().numpy()."
            )
        data = self._read()
        return namespaces[type(data)].to_numpy(data)

    def tolist(self) -> Any:
        """Return the value as nested lists of Python numbers."""
        data = self._read()
        return namespaces[type(data)].to_numpy(data).tolist()

    # --- Python's own protocols --------------------------------------------------------------

    def __len__(self) -> int:
        if self.ndim == 0:
            raise ArgumentTypeError(f"{self._label()} is a single number and has no length.")
        return self.shape[0]

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        value = self.item()
        if isinstance(value, float | complex):
            raise ArgumentTypeError(f"{self._label()} is {self.dtype} and cannot be an index.")
        return int(value)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    def _label(self) -> str:
        """Return how error messages refer to this tensor."""
        return f"tensor {self.name!r}" if self.name else "the tensor"

    def __repr__(self) -> str:
        data = self._read()
        if type(data) in (float, int, bool):
            parts = [f"scalar({data!r}"]
        else:
            data = namespaces[type(data)].to_numpy(data)
            numbers = np.array2string(data, separator=", ", prefix="tensor(", threshold=100)
            parts = [f"tensor({numbers}"]
            if self.size == 0:
                parts.append(f"shape={self.shape}")
            if self.dtype != get_default_dtype() and self.dtype != np.dtype(bool):
                parts.append(f"dtype={self.dtype}")
            if self.device != "cpu":
                parts.append(f"device={self.device!r}")
        if self.name:
            parts.append(f"name={self.name!r}")
        if self._node is not None:
            op = self._node.op
            parts.append(f"op={op.name}" if op is not None else "requires_grad=True")
        return ", ".join(parts) + ")"
