"""Modules on other devices and in other dtypes, frozen, and without gradients."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

from tinygrad_lab.array_api.creation import zeros_like
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, DTypeError
from tinygrad_lab.nn.module_parts import Parts

__all__ = ["Moved"]


class Moved(Parts):
    """What changes all parameters and buffers at once: a base of ``Module``."""

    def to(self, *targets: Any, device: Any = None, dtype: Any = None) -> Self:
        """Move all parameters and buffers to a device, or cast them to a dtype; return the module.

        Buffers of integers and booleans keep their dtype.

        Args:
            targets: a device, a dtype, both, or a tensor that has both.
            device: the same by name.
            dtype: the same by name.

        Raises:
            DTypeError: for a dtype that is not floating, before anything is changed.

        Example:
            >>> import tinygrad_lab as tg
            >>> tg.nn.Linear(2, 1).to("cpu", tg.float64).weight.dtype
            dtype('float64')
        """
        given = [one for one in (*targets, device, dtype) if one is not None]
        if not given:
            raise ArgumentTypeError("to() takes a device, a dtype or both: to('cuda', tg.float64).")
        for target in given:
            if isinstance(target, Tensor):
                self._to(target.device)
                self._to(target.dtype)
            else:
                self._to(target)
        return self

    def _to(self, target: Any) -> None:
        is_device = isinstance(target, str) and target not in np.sctypeDict
        if not is_device and np.dtype(target).kind != "f":
            raise DTypeError(
                f"to() takes a floating dtype, got {np.dtype(target)}: parameters of another have "
                "no gradient."
            )
        for one in [*self.parameters(), *self.buffers()]:
            if one.dtype.kind != "f" and not is_device:
                continue
            moved = one.detach().to(target)
            one._rebind(moved._data)
            if isinstance(one.node, Leaf):
                one.node.show(moved._data)  # the leaf still has the form of the old data
            if one.grad is not None:
                one.grad._data = one.grad.to(target)._data

    def double(self) -> Self:
        """Cast all floating parameters and buffers to float64."""
        return self.to("float64")

    def float(self) -> Self:
        """Cast all floating parameters and buffers to float32."""
        return self.to("float32")

    def half(self) -> Self:
        """Cast all floating parameters and buffers to float16."""
        return self.to("float16")

    def bfloat16(self) -> Self:
        """Raise: NumPy has no such dtype."""
        raise DTypeError(
            "NumPy has no bfloat16: half() has numbers as small, float() has its range."
        )

    def type(self, dst_type: Any) -> Self:
        """Cast all floating parameters and buffers to a dtype."""
        return self.to(dtype=dst_type)

    def cuda(self, device: Any = None) -> Self:
        """Move all parameters and buffers to a GPU; ``device`` is its number.

        Raises:
            DeviceError: where there is none; the message says what is missing.
        """
        name = "cuda" if device is None else device
        return self.to(name if isinstance(name, str) else f"cuda:{name}")

    def cpu(self) -> Self:
        """Move all parameters and buffers to the main memory."""
        return self.to("cpu")

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Make all parameters require a gradient, or none of them, which freezes the module."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of all parameters to None, or those that are there to zeros."""
        for parameter in self.parameters():
            there = None if set_to_none else parameter.grad
            parameter.grad = None if there is None else zeros_like(there)
