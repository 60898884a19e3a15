"""The arguments of the call that was recorded, and in which way others are like them.

Arrays and floats are inputs of a replay: those of a call must have the same shapes and dtypes.
Anything else was frozen by the recording, and must be the same again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.dependencies import is_same
from tinygrad_lab.compiler.record.trace import Value
from tinygrad_lab.engine.tensor import Tensor, detached

__all__ = ["Arguments", "array_matches"]


class Arguments:
    """The leaves of the arguments of one call, and the containers around them."""

    def __init__(
        self,
        values: Sequence[Value | None],
        leaves: Sequence[Any],
        names: Sequence[str],
        structure: Any,
    ) -> None:
        self.values = values
        """The recorded value of each leaf; None of those that are frozen."""
        self.fixed = [
            leaf if value is None else None for leaf, value in zip(leaves, values, strict=True)
        ]
        """The leaves that must be the same at each call; None for others."""
        self.are_tensors = [isinstance(leaf, Tensor) for leaf in leaves]
        self.names = list(names)
        """Of the leaves."""
        self.structure = structure
        """The containers, of which ``leaves`` are the leaves."""

    def differences(self, leaves: Sequence[Any]) -> Iterator[str]:
        """Yield, in words, which leaves are not like those that were recorded."""
        for position, (name, leaf) in enumerate(zip(self.names, leaves, strict=True)):
            if not self._matches(position, leaf):
                yield f"the argument {name} is {_kind_of(leaf)}, and was {self._was(position)}"

    def example(self) -> list[Any]:
        """Return leaves like those that were recorded, though not their numbers."""
        leaves = []
        for value, fixed, is_tensor in zip(self.values, self.fixed, self.are_tensors, strict=True):
            given = fixed if value is None else value.array
            given = np.array(given, order="K") if isinstance(given, np.ndarray) else given
            leaves.append(detached(given) if is_tensor else given)
        return leaves

    def _matches(self, position: int, leaf: Any) -> bool:
        value = self.values[position]
        if value is None:
            return is_same(leaf, self.fixed[position])
        if isinstance(leaf, Tensor) is not self.are_tensors[position]:
            return False
        if isinstance(leaf, Tensor):
            if leaf.requires_grad:
                return False
            leaf = leaf._data
        if not value.is_array:
            return type(leaf) is type(value.array)
        return array_matches(leaf, value.array)

    def _was(self, position: int) -> str:
        value = self.values[position]
        return f"{self.fixed[position]!r:.40}" if value is None else _kind_of(value.array)


def array_matches(one: Any, other: Any, strides: bool = True) -> bool:
    """Return whether one is an array of the other's shape, dtype and, if asked for, strides."""
    # NumPy sometimes turns 0-d arrays into scalars.
    return (
        isinstance(one, np.ndarray | np.generic)
        and one.shape == other.shape
        and one.dtype == other.dtype
        and (not strides or one.strides == other.strides)
    )


def _kind_of(leaf: Any) -> str:
    """Describe an argument: its shape and dtype, or itself."""
    if isinstance(leaf, Tensor) and leaf.requires_grad:
        return "a tensor that requires a gradient"
    array = leaf._data if isinstance(leaf, Tensor) else leaf
    if isinstance(array, np.ndarray):
        order = "" if array.flags.c_contiguous else ", in another order of memory"
        return f"{array.dtype} of shape {array.shape}{order}"
    return "a float" if type(array) is float else f"{array!r:.40}"
