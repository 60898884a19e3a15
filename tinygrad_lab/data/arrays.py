"""What prepares data takes arrays and tensors, and gives the same kind back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.backends.dtypes import get_default_dtype
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, GradientError, ShapeError, excerpt

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["array_of", "on_arrays"]


def array_of(asked_by: str, x: Any) -> NDArray[Any]:
    """Return the floating NumPy array of a tensor or an array; integers in the default dtype.

    Raises:
        GradientError: for a tensor that requires a gradient, which would be lost.
        ArgumentTypeError: for what holds no real numbers.
        ShapeError: for a single number.
    """
    if isinstance(x, Tensor):
        if x.requires_grad:
            raise GradientError(
                f"{asked_by}: data are prepared without gradients; the given tensor requires one: "
                "x.detach()"
            )
        x = x.to("cpu").numpy()
    array = np.asarray(x)
    if array.dtype.kind not in "biuf":
        raise ArgumentTypeError(
            f"{asked_by}: expected an array or a tensor of real numbers; got {excerpt(x)}"
        )
    if not array.ndim:
        raise ShapeError(f"{asked_by}: expected an array with axes; got the number {excerpt(x)}")
    return array if array.dtype.kind == "f" else array.astype(get_default_dtype())


def on_arrays(asked_by: str, x: Any, function: Callable[[NDArray[Any]], NDArray[Any]]) -> Any:
    """Apply a function to the array of a tensor or an array, and return the same kind and dtype."""
    array = array_of(asked_by, x)
    result = np.asarray(function(array)).astype(array.dtype, copy=False)
    return tensor(result, device=x.device) if isinstance(x, Tensor) else result
