"""Fast kernels, forward and backward, for the fused ops: plain functions on raw arrays.

Every kernel takes the arrays' namespace ``xp`` first (NumPy or CuPy), keeps the dtype of its
inputs, and never writes to them. Results may have any memory order: kernels choose one in which the
next kernel is fast, and document it.
"""

from typing import Any, TypeAlias

__all__ = ["Array", "Namespace", "of_one_dtype"]

Array: TypeAlias = Any
"""An array of the library that ``xp`` belongs to."""

Namespace: TypeAlias = Any
"""The module-like namespace ``xp`` of an array library."""


def of_one_dtype(xp: Namespace, *arrays: Array) -> tuple[Array, ...]:
    """Convert arrays (or None) to the dtype of their product; kernels need one dtype."""
    first = arrays[0].dtype
    for array in arrays:
        # Usually the dtypes are one object: comparing by identity first takes a third of the time.
        if array is not None and array.dtype is not first and array.dtype != first:
            break
    else:
        return arrays
    dtype = xp.result_type(*[array for array in arrays if array is not None])
    return tuple(None if array is None else xp.astype(array, dtype) for array in arrays)
