"""Layers that resize: windows as columns, channels as pixels, values between those of x."""

from __future__ import annotations

from typing import Any, ClassVar

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.interpolation import check_mode, check_scale
from tinygrad_lab.nn.layers import at_least, naming
from tinygrad_lab.nn.module import Module
from tinygrad_lab.ops.arguments.windows import per_axis

__all__ = [
    "ChannelShuffle",
    "Fold",
    "PixelShuffle",
    "PixelUnshuffle",
    "Unfold",
    "Upsample",
    "UpsamplingBilinear2d",
    "UpsamplingNearest2d",
]

Sizes = int | tuple[int, ...]
Factors = float | tuple[float, ...]


# --- windows as columns ---------------------------------------------------------------------------


class Unfold(Module):
    """The windows of images x (N, C, H, W) or (C, H, W) as columns: (N, C * K_H * K_W, L).

    L is the number of windows; see ``tg.nn.functional.unfold``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Unfold(2)(tg.ones((1, 3, 4, 5))).shape
        (1, 12, 12)
    """

    def __init__(
        self, kernel_size: Sizes, dilation: Sizes = 1, padding: Sizes = 0, stride: Sizes = 1
    ) -> None:
        super().__init__()
        with naming(self):
            per_axis("kernel_size", kernel_size, 2, least=1)
            per_axis("dilation", dilation, 2, least=1)
            per_axis("padding", padding, 2, least=0)
            per_axis("stride", stride, 2, least=1)
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, x: Tensor) -> Any:
        return functional.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, "
            f"stride={self.stride}"
        )


class Fold(Unfold):
    """Images (N, C, *output_size), the sums of windows that are columns (N, C * K_H * K_W, L).

    The columns may come without N; see ``tg.nn.functional.fold``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Fold((4, 5), 2)(tg.ones((1, 12, 12))).shape
        (1, 3, 4, 5)
    """

    def __init__(
        self,
        output_size: Sizes,
        kernel_size: Sizes,
        dilation: Sizes = 1,
        padding: Sizes = 0,
        stride: Sizes = 1,
    ) -> None:
        super().__init__(kernel_size, dilation, padding, stride)
        with naming(self):
            per_axis("output_size", output_size, 2, least=1)
        self.output_size = output_size

    def forward(self, x: Tensor) -> Any:
        settings = (self.kernel_size, self.dilation, self.padding, self.stride)
        return functional.fold(x, self.output_size, *settings)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"


# --- channels as pixels ---------------------------------------------------------------------------


class PixelShuffle(Module):
    """x (..., C r², H, W) with channels as pixels: (..., C, H r, W r), r being ``upscale_factor``.

    See ``tg.nn.functional.pixel_shuffle``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.PixelShuffle(3)(tg.ones((1, 9, 4, 4))).shape
        (1, 1, 12, 12)
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        with naming(self):
            at_least(1, upscale_factor=upscale_factor)
        self.upscale_factor = upscale_factor

    def forward(self, x: Tensor) -> Any:
        return functional.pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The inverse of ``PixelShuffle``: x (..., C, H r, W r) as (..., C r², H, W).

    See ``tg.nn.functional.pixel_unshuffle``; r is ``downscale_factor``.
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        with naming(self):
            at_least(1, downscale_factor=downscale_factor)
        self.downscale_factor = downscale_factor

    def forward(self, x: Tensor) -> Any:
        return functional.pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """x (N, C, ...) with the channels of all groups taken in turn.

    See ``tg.nn.functional.channel_shuffle``.
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        with naming(self):
            at_least(1, groups=groups)
        self.groups = groups

    def forward(self, x: Tensor) -> Any:
        return functional.channel_shuffle(x, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"


# --- values between those of x --------------------------------------------------------------------


class Upsample(Module):
    """x (N, C, L) or images (N, C, H, W) in another size; see ``tg.nn.functional.interpolate``.

    Args:
        size: the new lengths, one integer for all axes or a tuple.
        scale_factor: in place of ``size``, what multiplies the old lengths.
        mode: "nearest", "nearest-exact", "linear", "bilinear", "bicubic" or "area".
        align_corners: for linear, bilinear and bicubic, whether the middles of the outermost
            elements coincide.
        recompute_scale_factor: whether positions follow from the two lengths alone.

    Raises:
        ArgumentError: for both or none of ``size`` and ``scale_factor``, or another mode.
        ShapeError: from a call, for an x of another number of axes than the mode is for.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.Upsample(scale_factor=2)(tg.tensor([[[1.0, 2.0]]])).tolist()
        [[[1.0, 1.0, 2.0, 2.0]]]
    """

    def __init__(
        self,
        size: Sizes | None = None,
        scale_factor: Factors | None = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        with naming(self):
            check_scale(size, scale_factor)
            check_mode(mode, align_corners)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, x: Tensor) -> Any:
        return functional.interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        given = {"size": self.size, "scale_factor": self.scale_factor}
        said = [f"{name}={one}" for name, one in given.items() if one is not None]
        return ", ".join([*said, f"mode={self.mode!r}"])


class _Upsampling2d(Upsample):
    settings: ClassVar[tuple[str, bool | None]]

    def __init__(self, size: Sizes | None = None, scale_factor: Factors | None = None) -> None:
        mode, align_corners = self.settings
        super().__init__(size, scale_factor, mode, align_corners)


class UpsamplingNearest2d(_Upsampling2d):
    """Images (N, C, H, W) in another size: ``Upsample`` with mode "nearest"."""

    settings = ("nearest", None)


class UpsamplingBilinear2d(_Upsampling2d):
    """Images (N, C, H, W) in another size: ``Upsample``, "bilinear", with corners aligned."""

    settings = ("bilinear", True)
