"""Convolutional layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from tinygrad_lab import ops
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.nn.layers import at_least, uniform_parameter
from tinygrad_lab.nn.module import Module
from tinygrad_lab.ops.arguments.windows import per_axis

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

Sizes = int | tuple[int, ...]


class _Convolution(Module):
    """Base of the convolutions: sizes, and weights initialised as in PyTorch."""

    axes: ClassVar[int]
    transposed: ClassVar[bool] = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes,
        padding: Sizes | str,
        dilation: Sizes,
        groups: int,
        bias: bool,
    ) -> None:
        super().__init__()
        at_least(1, in_channels=in_channels, out_channels=out_channels, groups=groups)
        kernel = per_axis("kernel_size", kernel_size, self.axes, least=1)
        per_axis("stride", stride, self.axes, least=1)
        per_axis("dilation", dilation, self.axes, least=1)
        if not isinstance(padding, str):
            per_axis("padding", padding, self.axes, least=0)
        elif padding not in ("same", "valid"):
            raise ArgumentError(f"padding must be 'same', 'valid' or integers, got {padding!r}.")
        if in_channels % groups or out_channels % groups:
            raise ArgumentError(
                f"groups must divide in_channels {in_channels} and out_channels {out_channels} "
                f"evenly, got {groups}."
            )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.groups = dilation, groups
        first, second = in_channels, out_channels
        if not self.transposed:
            first, second = second, first
        # In a transposed convolution this counts the outputs of an input, as in PyTorch.
        fan_in = second // groups * math.prod(kernel)
        self.weight = uniform_parameter((first, second // groups, *kernel), fan_in)
        self.bias = uniform_parameter((out_channels,), fan_in) if bias else None

    def extra_repr(self) -> str:
        said = {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}
        usual = {"output_padding": 0, "dilation": 1, "groups": 1}
        said |= {
            name: getattr(self, name)
            for name, value in usual.items()
            if getattr(self, name, value) != value
        }
        text = ", ".join(f"{name}={value!r}" for name, value in said.items())
        bias = self.bias is not None
        return f"{self.in_channels}, {self.out_channels}, {text}, bias={bias}"


class _Forward(_Convolution):
    convolve: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )

    def forward(self, x: Tensor) -> Tensor:
        return type(self).convolve(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )


class Conv1d(_Forward):
    """The cross-correlation of x (N, in_channels, L) with kernels, plus a bias.

    ``weight`` is (out_channels, in_channels / groups, kernel_size); the result is (N,
    out_channels, (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1); see
    ``tg.conv1d``. Initialised as in PyTorch.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Conv1d(1, 25, 5, stride=2, padding=1)(tg.tensor([[[0.0] * 40]])).shape
        (1, 25, 19)
    """

    axes = 1
    convolve = staticmethod(ops.conv1d)


class Conv2d(_Forward):
    """The cross-correlation of images x (N, in_channels, H, W) with kernels, plus a bias.

    ``weight`` is (out_channels, in_channels / groups, *kernel_size); sizes and strides are one
    integer for both axes or a tuple of two; see ``tg.conv2d``. Initialised as in PyTorch.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> x = tg.tensor(np.zeros((1, 3, 28, 28), dtype=np.float32))
        >>> tg.nn.Conv2d(3, 16, 3, padding="same")(x).shape
        (1, 16, 28, 28)
    """

    axes = 2
    convolve = staticmethod(ops.conv2d)


class _Transposed(_Convolution):
    transposed = True
    convolve: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Sizes = 1,
    ) -> None:
        per_axis("padding", padding, self.axes, least=0)
        per_axis("output_padding", output_padding, self.axes, least=0)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        self.output_padding = output_padding

    def forward(self, x: Tensor) -> Tensor:
        return type(self).convolve(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=self.output_padding,
            groups=self.groups,
            dilation=self.dilation,
        )


class ConvTranspose1d(_Transposed):
    """The transpose of ``Conv1d``: it spreads x (N, in_channels, L) over a longer result.

    ``weight`` is (in_channels, out_channels / groups, kernel_size); see ``tg.conv_transpose1d``.
    Initialised as in PyTorch.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.ConvTranspose1d(1, 2, 4, stride=2, padding=1)(tg.tensor([[[0.0] * 7]])).shape
        (1, 2, 14)
    """

    axes = 1
    convolve = staticmethod(ops.conv_transpose1d)


class ConvTranspose2d(_Transposed):
    """The transpose of ``Conv2d``: it makes larger images from x (N, in_channels, H, W).

    ``weight`` is (in_channels, out_channels / groups, *kernel_size); see
    ``tg.conv_transpose2d``. Initialised as in PyTorch.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> x = tg.tensor(np.zeros((1, 8, 7, 7), dtype=np.float32))
        >>> tg.nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1)(x).shape
        (1, 3, 14, 14)
    """

    axes = 2
    convolve = staticmethod(ops.conv_transpose2d)
