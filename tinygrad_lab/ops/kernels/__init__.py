"""Fast kernels, forward and backward, for the fused ops: plain functions on raw arrays.

Every kernel takes the arrays' namespace ``xp`` first (NumPy or CuPy), keeps the dtype that it is
given, and never writes into its inputs. What it returns may lie in any memory order: the kernels
pick the order in which the next one is fast, and say so in their docstrings.
"""

from typing import Any, TypeAlias

__all__ = ["Array", "Namespace", "of_one_dtype"]

Array: TypeAlias = Any
"""An array of the library that ``xp`` belongs to."""

Namespace: TypeAlias = Any
"""The module-like namespace ``xp`` of an array library."""


def of_one_dtype(xp: Namespace, *arrays: Array) -> tuple[Array, ...]:
    """Arrays (or None) in the dtype that a product of them has; kernels want them alike."""
    first = arrays[0].dtype
    for array in arrays:
        # Mostly it is the very same dtype: asking for that first takes a third of the time.
        if array is not None and array.dtype is not first and array.dtype != first:
            break
    else:
        return arrays
    dtype = xp.result_type(*[array for array in arrays if array is not None])
    return tuple(None if array is None else xp.astype(array, dtype) for array in arrays)
