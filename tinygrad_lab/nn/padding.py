"""Padding layers: elements before and after the last one or two axes."""

from __future__ import annotations

from typing import Any, ClassVar

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, ShapeError, excerpt
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.module import Module

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ZeroPad1d",
    "ZeroPad2d",
]


class _Padding(Module):
    """Pads the spatial axes of x (N, C, ...) or (C, ...)."""

    axes: ClassVar[int]
    mode: ClassVar[str] = "constant"

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__()
        count = 2 * self.axes
        widths: Any = (padding,) * count if isinstance(padding, int) else padding
        integers = isinstance(widths, tuple | list) and all(type(w) is int for w in widths)
        if not integers or len(widths) != count:
            raise ArgumentTypeError(
                f"{type(self).__name__} takes one integer, or a tuple of {count} (before and after "
                f"the last axis{', then of the one before it' * (self.axes - 1)}); got "
                f"{excerpt(padding)}."
            )
        self.padding = tuple(widths)

    def forward(self, x: Tensor) -> Tensor:
        if self.mode != "constant" and x.ndim not in (self.axes + 1, self.axes + 2):
            lengths = ("L", "H, W")[self.axes - 1]
            raise ShapeError(
                f"{type(self).__name__}: expected x of shape (N, C, {lengths}) or (C, {lengths}), "
                f"got {x.shape}."
            )
        return functional.pad(x, self.padding, mode=self.mode, value=self._constant())

    def _constant(self) -> Any:
        return None

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_Padding):
    """x with a number, ``value``, before and after its last axis.

    ``padding`` is one width, or a pair (before, after).
    """

    axes = 1

    def __init__(self, padding: int | tuple[int, ...], value: float) -> None:
        super().__init__(padding)
        self.value = value

    def _constant(self) -> Any:
        return self.value

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad2d(ConstantPad1d):
    """Images with a number around them; ``padding`` is one width, or (left, right, top, bottom).

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.ConstantPad2d((1, 0, 0, 1), 9.0)(tg.tensor([[[5.0]]])).tolist()
        [[[9.0, 5.0], [9.0, 9.0]]]
    """

    axes = 2


class ZeroPad1d(ConstantPad1d):
    """x with zeros before and after its last axis."""

    def __init__(self, padding: int | tuple[int, ...]) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad2d(ZeroPad1d):
    """Images with zeros around them."""

    axes = 2


class ReflectionPad1d(_Padding):
    """x with its mirror image, without the outermost element, at both ends of its last axis."""

    axes, mode = 1, "reflect"


class ReflectionPad2d(_Padding):
    """Images with their mirror image around them."""

    axes, mode = 2, "reflect"


class ReplicationPad1d(_Padding):
    """x with its outermost elements repeated at both ends of its last axis."""

    axes, mode = 1, "replicate"


class ReplicationPad2d(_Padding):
    """Images with their edges repeated around them."""

    axes, mode = 2, "replicate"


class CircularPad1d(_Padding):
    """x with its opposite end at both ends of its last axis."""

    axes, mode = 1, "circular"


class CircularPad2d(_Padding):
    """Images with their opposite edges around them."""

    axes, mode = 2, "circular"
