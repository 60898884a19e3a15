"""Convolutional layers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import shape_of
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers import at_least, naming, uniform_parameter
from tinygrad_lab.nn.module import Module
from tinygrad_lab.ops.arguments.windows import margins, per_axis

__all__ = ["Conv1d", "Conv2d", "ConvTranspose1d", "ConvTranspose2d"]

Sizes = int | tuple[int, ...]
PADDING_MODES = ("zeros", "reflect", "replicate", "circular")


class _Convolution(Module):
    """Base of the convolutions: sizes, and weights initialised as in PyTorch."""

    axes: ClassVar[int]
    transposed: ClassVar[bool] = False
    convolve: ClassVar[Callable[..., Any]]
    convolve_one: ClassVar[Callable[..., Any]]
    """Of a single sample."""

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
        padding_mode: str,
    ) -> None:
        super().__init__()
        with naming(self):
            at_least(1, in_channels=in_channels, out_channels=out_channels, groups=groups)
            kernel = per_axis("kernel_size", kernel_size, self.axes, least=1)
            per_axis("dilation", dilation, self.axes, least=1)
            self._check_padding(padding, stride, padding_mode)
            if in_channels % groups or out_channels % groups:
                raise ArgumentError(
                    f"groups must divide in_channels {in_channels} and out_channels "
                    f"{out_channels} evenly, got {groups}."
                )
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride, self.padding = kernel_size, stride, padding
        self.dilation, self.groups, self.padding_mode = dilation, groups, padding_mode
        first, second = in_channels, out_channels
        if not self.transposed:
            first, second = second, first
        # In a transposed convolution this counts the outputs of an input, as in PyTorch.
        fan_in = second // groups * math.prod(kernel)
        self.weight = uniform_parameter((first, second // groups, *kernel), fan_in)
        self.bias = uniform_parameter((out_channels,), fan_in) if bias else None

    def _check_padding(self, padding: Sizes | str, stride: Sizes, padding_mode: str) -> None:
        """Raise for a padding that this layer does not have."""
        steps = per_axis("stride", stride, self.axes, least=1)
        if padding_mode not in PADDING_MODES:
            raise ArgumentError(
                f"expected padding_mode to be one of {list(PADDING_MODES)}, got "
                f"{excerpt(padding_mode)}."
            )
        if not isinstance(padding, str):
            per_axis("padding", padding, self.axes, least=0)
        elif padding not in ("same", "valid"):
            raise ArgumentError(f"padding must be 'same', 'valid' or integers, got {padding!r}.")
        elif padding == "same" and set(steps) != {1}:
            raise ArgumentError(
                f"padding='same' keeps the lengths, which a stride of {stride} would change: give "
                "the padding as integers, or leave out the stride."
            )

    def extra_repr(self) -> str:
        said = {"kernel_size": self.kernel_size, "stride": self.stride, "padding": self.padding}
        usual = {"output_padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros"}
        said |= {
            name: getattr(self, name)
            for name, value in usual.items()
            if getattr(self, name, value) != value
        }
        text = ", ".join(f"{name}={value!r}" for name, value in said.items())
        bias = self.bias is not None
        return f"{self.in_channels}, {self.out_channels}, {text}, bias={bias}"


class _Forward(_Convolution):
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
        padding_mode: str = "zeros",
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
        )

    def forward(self, x: Tensor) -> Tensor:
        padding, convolve = self.padding, self.convolve
        if self.padding_mode != "zeros":
            x, padding = self._padded(x), 0
        if len(shape_of(x)) == self.axes + 1:
            convolve = self.convolve_one
        return convolve(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def _padded(self, x: Tensor) -> Tensor:
        """Return x with what ``padding_mode`` puts around it."""
        shape = shape_of(x)
        if len(shape) not in (self.axes + 1, self.axes + 2):
            return x  # which the convolution then refuses
        kernel, stride, gaps = (
            per_axis("", one, self.axes, least=1)
            for one in (self.kernel_size, self.stride, self.dilation)
        )
        reach = tuple(d * (k - 1) + 1 for k, d in zip(kernel, gaps, strict=True))
        edges = margins(self.padding, reach, stride)
        widths = tuple(width for pair in reversed(edges) for width in pair)
        try:
            return functional.pad(x, widths, mode=self.padding_mode)
        except ShapeError as error:
            raise ShapeError(f"{type(self).__name__}: {error}") from None


class Conv1d(_Forward):
    """The cross-correlation of x (N, in_channels, L) with kernels, plus a bias.

    ``weight`` is (out_channels, in_channels / groups, kernel_size); the result is (N,
    out_channels, (L + 2 padding - dilation (kernel_size - 1) - 1) // stride + 1); see
    ``tg.conv1d``. x may come without N. Initialised as in PyTorch.

    Args:
        in_channels, out_channels: the numbers of channels.
        kernel_size: the length of a kernel.
        stride, padding, dilation, groups: as in ``tg.conv1d``.
        bias: whether to learn ``bias``, (out_channels,).
        padding_mode: what the padding is: "zeros", "reflect" (the mirror image of x without its
            outermost element), "replicate" (that element) or "circular" (the opposite end).

    Raises:
        ArgumentError, ArgumentTypeError: for sizes that are no positive integers, groups that do
            not divide the channels, or "same" with a stride.
        ShapeError: from a call, for other channels, or a kernel that does not fit.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Conv1d(1, 25, 5, stride=2, padding=1)(tg.tensor([[[0.0] * 40]])).shape
        (1, 25, 19)
    """

    axes = 1
    convolve = staticmethod(ops.conv1d)
    convolve_one = staticmethod(functional.conv1d)


class Conv2d(_Forward):
    """The cross-correlation of images x (N, in_channels, H, W) with kernels, plus a bias.

    ``weight`` is (out_channels, in_channels / groups, *kernel_size); sizes and strides are one
    integer for both axes or a tuple of two; see ``tg.conv2d``. Everything else is as in ``Conv1d``.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> x = tg.tensor(np.zeros((1, 3, 28, 28), dtype=np.float32))
        >>> tg.nn.Conv2d(3, 16, 3, padding="same")(x).shape
        (1, 16, 28, 28)
    """

    axes = 2
    convolve = staticmethod(ops.conv2d)
    convolve_one = staticmethod(functional.conv2d)


class _Transposed(_Convolution):
    transposed = True

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
        padding_mode: str = "zeros",
    ) -> None:
        if padding_mode != "zeros":
            raise ArgumentError(
                f"{type(self).__name__} takes padding_mode='zeros' alone, got "
                f"{excerpt(padding_mode)}: its padding cuts the result off, there is nothing to "
                "fill."
            )
        with naming(self):
            per_axis("padding", padding, self.axes, least=0)
            per_axis("output_padding", output_padding, self.axes, least=0)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            padding_mode,
        )
        self.output_padding = output_padding

    def forward(self, x: Tensor, output_size: Any = None) -> Tensor:
        output_padding = self.output_padding
        if output_size is not None:
            output_padding = self._padding_for(shape_of(x), output_size)
        convolve = self.convolve_one if len(shape_of(x)) == self.axes + 1 else self.convolve
        return convolve(
            x,
            self.weight,
            self.bias,
            stride=self.stride,
            padding=self.padding,
            output_padding=output_padding,
            groups=self.groups,
            dilation=self.dilation,
        )

    def _padding_for(self, shape: tuple[int, ...], output_size: Any) -> Sizes:
        """Return the ``output_padding`` with which the result has certain lengths."""
        axes, name = self.axes, type(self).__name__
        if len(shape) not in (axes + 1, axes + 2):
            return self.output_padding  # the convolution refuses x
        sizes = tuple(output_size) if isinstance(output_size, tuple | list) else output_size
        if isinstance(sizes, tuple) and len(sizes) == len(shape):
            sizes = sizes[-axes:]
        with naming(self):
            lengths = per_axis("output_size", sizes, axes, least=1)
        settings = (self.kernel_size, self.stride, self.dilation, self.padding)
        each = zip(*(per_axis("", one, axes, least=0) for one in settings), strict=True)
        padding = []
        for axis, (n, wanted, (k, s, d, p)) in enumerate(
            zip(shape[-axes:], lengths, each, strict=True)
        ):
            least = (n - 1) * s - 2 * p + d * (k - 1) + 1
            if not least <= wanted < least + s:
                raise ArgumentError(
                    f"{name}: expected an output_size of {least} to {least + s - 1} from a length "
                    f"of {n} (spatial axis {axis}), got {wanted}."
                )
            padding.append(wanted - least)
        return tuple(padding)


class ConvTranspose1d(_Transposed):
    """The transpose of ``Conv1d``: it spreads x (N, in_channels, L) over a longer result.

    ``weight`` is (in_channels, out_channels / groups, kernel_size); see ``tg.conv_transpose1d``. x
    may come without N. Initialised as in PyTorch.

    A call takes the length of the result as ``output_size``, too: one of those that ``Conv1d``,
    with the same settings, makes the length of x of.

    Args:
        in_channels, out_channels: the numbers of channels.
        kernel_size: the length of a kernel.
        stride, padding, output_padding, groups, dilation: as in ``tg.conv_transpose1d``.
        bias: whether to learn ``bias``, (out_channels,).
        padding_mode: "zeros"; other ones are refused, as by PyTorch: nothing is padded.

    Raises:
        ArgumentError, ArgumentTypeError: for sizes that are no positive integers, or groups that
            do not divide the channels; from a call, for an ``output_size`` that cannot be.
        ShapeError: from a call, for other channels.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.ConvTranspose1d(1, 2, 4, stride=2, padding=1)(tg.tensor([[[0.0] * 7]])).shape
        (1, 2, 14)
    """

    axes = 1
    convolve = staticmethod(ops.conv_transpose1d)
    convolve_one = staticmethod(functional.conv_transpose1d)


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
    convolve_one = staticmethod(functional.conv_transpose2d)
