"""Pooling layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tinygrad_lab import ops
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.nn.module import Module
from tinygrad_lab.ops.arguments.windows import per_axis

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "MaxPool1d",
    "MaxPool2d",
]

Sizes = int | tuple[int, ...]


class _Pooling(Module):
    axes: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__()
        per_axis("kernel_size", kernel_size, self.axes, least=1)
        per_axis("padding", padding, self.axes, least=0)
        if stride is not None:
            per_axis("stride", stride, self.axes, least=1)
        self.kernel_size, self.padding = kernel_size, padding
        self.stride = kernel_size if stride is None else stride

    def forward(self, x: Tensor) -> Tensor:
        return type(self).pool(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _MaxPooling(_Pooling):
    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
    ) -> None:
        super().__init__(kernel_size, stride, padding)
        per_axis("dilation", dilation, self.axes, least=1)
        self.dilation = dilation

    def forward(self, x: Tensor) -> Tensor:
        return type(self).pool(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, dilation={self.dilation}"


class MaxPool1d(_MaxPooling):
    """The largest element of each window of x (N, C, L); see ``tg.max_pool1d``.

    The default stride is the size of a window.
    """

    axes = 1
    pool = staticmethod(ops.max_pool1d)


class MaxPool2d(_MaxPooling):
    """The largest element of each window of images x (N, C, H, W); see ``tg.max_pool2d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.MaxPool2d(2)(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]))
        tensor([[[[3.]]]])
    """

    axes = 2
    pool = staticmethod(ops.max_pool2d)


class AvgPool1d(_Pooling):
    """The mean of each window of x (N, C, L), padding included; see ``tg.avg_pool1d``."""

    axes = 1
    pool = staticmethod(ops.avg_pool1d)


class AvgPool2d(_Pooling):
    """The mean of each window of images x (N, C, H, W), padding included; see ``tg.avg_pool2d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.AvgPool2d(2)(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]))
        tensor([[[[1.5]]]])
    """

    axes = 2
    pool = staticmethod(ops.avg_pool2d)


class _AdaptivePooling(Module):
    axes: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: Sizes) -> None:
        super().__init__()
        per_axis("output_size", output_size, self.axes, least=1)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Tensor:
        return type(self).pool(x, self.output_size)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptivePooling):
    """Means of ``output_size`` windows that cover x (N, C, L); see ``tg.adaptive_avg_pool1d``."""

    axes = 1
    pool = staticmethod(ops.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptivePooling):
    """Means of windows that cover images x (N, C, H, W); see ``tg.adaptive_avg_pool2d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.AdaptiveAvgPool2d(1)(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]))
        tensor([[[[1.5]]]])
    """

    axes = 2
    pool = staticmethod(ops.adaptive_avg_pool2d)
