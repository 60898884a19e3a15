"""Fast kernels, forward and backward, for the fused ops: plain functions on raw arrays.

Every kernel takes the arrays' namespace ``xp`` first (NumPy or CuPy), keeps the dtype that it is
given, and never writes into its inputs. What it returns may lie in any memory order: the kernels
pick the order in which the next one is fast, and say so in their docstrings.
"""

from typing import Any, TypeAlias

__all__ = ["Array", "Namespace"]

Array: TypeAlias = Any
"""An array of the library that ``xp`` belongs to."""

Namespace: TypeAlias = Any
"""The module-like namespace ``xp`` of an array library."""
