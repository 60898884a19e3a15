"""The protocols of a Tensor for other libraries: NumPy's, DLPack, the Array API.

``Tensor`` inherits these methods; they are kept out of ``tensor.py``, which learners read.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, GradientError

__all__ = ["Interchange", "array_api_version"]

array_api_version = "2024.12"
"""The version of the Array API standard that the package follows."""
_EARLIER_VERSIONS = ("2021.12", "2022.12", "2023.12")


class Interchange:
    """The protocols by which array libraries exchange arrays."""

    __slots__ = ()
    _data: Any
    _node: Any

    if TYPE_CHECKING:
        device: Any

        def numpy(self) -> np.ndarray[Any, Any]: ...

        def to(self, target: Any) -> Any: ...

        def _label(self) -> str: ...

    # --- the Array API -----------------------------------------------------------------------

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """Return the package, which is the Array API namespace of this tensor."""
        if api_version not in (None, array_api_version, *_EARLIER_VERSIONS):
            raise ArgumentError(
                f"expected a version of the Array API up to {array_api_version}, got "
                f"{api_version!r}."
            )
        return sys.modules["tinygrad_lab"]

    def to_device(self, device: str, /, *, stream: Any = None) -> Any:
        """Return this tensor on another device: ``to`` under the name in the Array API."""
        if stream is not None:
            raise ArgumentError(
                f"to_device: a stream cannot be passed, got {stream!r}; CuPy's current "
                "stream is used: with cupy.cuda.Stream():"
            )
        return self.to(device)

    # --- DLPack ------------------------------------------------------------------------------

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[Any, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        options = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
        return self._exportable().__dlpack__(stream=stream, **options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._exportable().__dlpack_device__()

    def _exportable(self) -> Any:
        if self._node is not None:
            raise GradientError(f"{self._label()} requires a gradient: export x.detach().")
        return self.numpy() if self.device == "cpu" else self._data

    # --- NumPy -------------------------------------------------------------------------------

    # NumPy and CuPy leave `array * tensor` to the tensor.
    __array_priority__ = 1000.0

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        if self.device != "cpu":
            raise ArgumentTypeError(f"{self._label()} is on {self.device}: x.to('cpu') first.")
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(
        self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
    ) -> Any:
        """Return Tensors for ``array * tensor`` and ``np.exp(tensor)``; do ``array -= tensor`` in
        place.

        ``p.data -= lr * p.grad`` needs the latter, which ``__array_ufunc__ = None`` would refuse.
        """
        function = getattr(ops, _UFUNC_NAMES.get(ufunc.__name__, ufunc.__name__), None)
        if method != "__call__" or options or function is None:
            return NotImplemented
        if out is None:
            return function(*inputs)
        if any(isinstance(x, Interchange) for x in out):
            return NotImplemented
        arrays = [x.numpy() if isinstance(x, Interchange) else x for x in inputs]
        return ufunc(*arrays, out=out)


_UFUNC_NAMES = {
    "power": "pow",
    "true_divide": "divide",
    "absolute": "abs",
    "rint": "round",
    "conjugate": "conj",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "invert": "bitwise_invert",
}
"""NumPy's names for functions with another name here."""
