"""Pooling layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from tinygrad_lab import ops
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.pooling import check_norm
from tinygrad_lab.nn.layers import naming
from tinygrad_lab.nn.module import Module
from tinygrad_lab.ops.arguments.windows import check_divisor, check_padding, counts_over, per_axis

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "LPPool1d",
    "LPPool2d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxUnpool1d",
    "MaxUnpool2d",
]

Sizes = int | tuple[int, ...]
OptionalSizes = int | tuple[int | None, ...] | None


class _Pooling(Module):
    axes: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None,
        padding: Sizes,
        dilation: Sizes,
        ceil_mode: bool,
    ) -> None:
        super().__init__()
        with naming(self):
            kernel = per_axis("kernel_size", kernel_size, self.axes, least=1)
            edges = per_axis("padding", padding, self.axes, least=0)
            gaps = per_axis("dilation", dilation, self.axes, least=1)
            if stride is not None:
                per_axis("stride", stride, self.axes, least=1)
            check_padding(kernel, edges, gaps)
        self.kernel_size, self.padding, self.ceil_mode = kernel_size, padding, ceil_mode
        self.stride = kernel_size if stride is None else stride

    def extra_repr(self) -> str:
        text = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        return f"{text}{self._unusual(ceil_mode=False)}"

    def _unusual(self, **usual: Any) -> str:
        """Return the settings that are not as usual, to be shown after others."""
        said = {name: getattr(self, name) for name in usual}
        return "".join(f", {name}={one}" for name, one in said.items() if one != usual[name])


class _MaxPooling(_Pooling):
    pool_with_places: ClassVar[Callable[..., Any]]
    """Slower, and returns positions, too."""

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        dilation: Sizes = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, ceil_mode)
        self.dilation, self.return_indices = dilation, return_indices

    def forward(self, x: Tensor) -> Any:
        if self.return_indices:
            settings = (self.kernel_size, self.stride, self.padding, self.dilation)
            return type(self).pool_with_places(x, *settings, self.ceil_mode, True)
        return type(self).pool(
            x,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            ceil_mode=self.ceil_mode,
        )

    def extra_repr(self) -> str:
        text = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
        more = self._unusual(return_indices=False, ceil_mode=False)
        return f"{text}, dilation={self.dilation}{more}"


class MaxPool1d(_MaxPooling):
    """The largest element of each window of x (N, C, L) or (C, L); see ``tg.max_pool1d``.

    Args:
        kernel_size, padding, dilation, ceil_mode: as in ``tg.max_pool1d``.
        stride: the distance from one window to the next; the size of a window if not given.
        return_indices: whether a call returns a pair: these elements, and their positions along L.

    Raises:
        ArgumentError, ArgumentTypeError: for sizes that are no positive integers, or a padding of
            more than half of what a window covers.
        ShapeError: from a call, for a window that does not fit.
    """

    axes = 1
    pool = staticmethod(ops.max_pool1d)
    pool_with_places = staticmethod(functional.max_pool1d)


class MaxPool2d(_MaxPooling):
    """The largest element of each window of images x (N, C, H, W) or (C, H, W).

    See ``tg.max_pool2d``; arguments are those of ``MaxPool1d``, one integer for both axes or a
    tuple of two. Positions count row by row.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.MaxPool2d(2)(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]))
        tensor([[[[3.]]]])
    """

    axes = 2
    pool = staticmethod(ops.max_pool2d)
    pool_with_places = staticmethod(functional.max_pool2d)


class _MaxUnpooling(_Pooling):
    def __init__(self, kernel_size: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> None:
        super().__init__(kernel_size, stride, padding, 1, False)

    def forward(self, x: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        settings = (self.kernel_size, self.stride, self.padding)
        return type(self).pool(x, indices, *settings, output_size)


class MaxUnpool1d(_MaxUnpooling):
    """Zeros with maxima put back to where ``MaxPool1d`` found them; its arguments are the same.

    A call takes what that returned with ``return_indices=True``, and the length of its x as
    ``output_size`` where the windows leave it open. See ``tg.nn.functional.max_unpool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> maxima = tg.nn.MaxPool1d(2, return_indices=True)(tg.tensor([[1.0, 3.0, 2.0, 0.0]]))
        >>> tg.nn.MaxUnpool1d(2)(*maxima).tolist()
        [[0.0, 3.0, 2.0, 0.0]]
    """

    axes = 1
    pool = staticmethod(functional.max_unpool1d)


class MaxUnpool2d(_MaxUnpooling):
    """Images of zeros with maxima put back to where ``MaxPool2d`` found them.

    Everything else is as in ``MaxUnpool1d``.
    """

    axes = 2
    pool = staticmethod(functional.max_unpool2d)


class AvgPool1d(_Pooling):
    """The mean of each window of x (N, C, L) or (C, L); see ``tg.avg_pool1d``.

    Args:
        kernel_size, padding, ceil_mode, count_include_pad: as in ``tg.avg_pool1d``.
        stride: the distance from one window to the next; the size of a window if not given.

    Raises:
        ArgumentError, ArgumentTypeError, ShapeError: as by ``MaxPool1d``.
    """

    axes = 1
    pool = staticmethod(ops.avg_pool1d)

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, 1, ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x: Tensor) -> Tensor:
        return type(self).pool(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def extra_repr(self) -> str:
        return super().extra_repr() + self._unusual(count_include_pad=True)


class AvgPool2d(AvgPool1d):
    """The mean of each window of images x (N, C, H, W) or (C, H, W); see ``tg.avg_pool2d``.

    Arguments are those of ``AvgPool1d``, one integer for both axes or a tuple of two, and
    ``divisor_override``, which divides sums in place of the number of elements.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.AvgPool2d(2)(tg.tensor([[[[1.0, 3.0], [2.0, 0.0]]]]))
        tensor([[[[1.5]]]])
    """

    axes = 2
    pool = staticmethod(ops.avg_pool2d)

    def __init__(
        self,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        padding: Sizes = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        if divisor_override is not None:
            check_divisor(type(self).__name__, divisor_override)
        self.divisor_override = divisor_override

    def forward(self, x: Tensor) -> Tensor:
        return type(self).pool(
            x,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def extra_repr(self) -> str:
        return super().extra_repr() + self._unusual(divisor_override=None)


class _LPPooling(_Pooling):
    def __init__(
        self,
        norm_type: float,
        kernel_size: Sizes,
        stride: Sizes | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, 0, 1, ceil_mode)
        check_norm(type(self).__name__, norm_type)
        self.norm_type = norm_type

    def forward(self, x: Tensor) -> Tensor:
        return type(self).pool(
            x, self.norm_type, self.kernel_size, self.stride, ceil_mode=self.ceil_mode
        )

    def extra_repr(self) -> str:
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPooling):
    """(Σ x^p)^(1/p) over each window of x (N, C, L) or (C, L), p being ``norm_type``.

    See ``tg.nn.functional.lp_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.LPPool1d(2, 2)(tg.tensor([[3.0, 4.0, 6.0, 8.0]])).tolist()
        [[5.0, 10.0]]
    """

    axes = 1
    pool = staticmethod(functional.lp_pool1d)


class LPPool2d(_LPPooling):
    """(Σ x^p)^(1/p) over each window of images x (N, C, H, W) or (C, H, W); as ``LPPool1d``."""

    axes = 2
    pool = staticmethod(functional.lp_pool2d)


class _AdaptivePooling(Module):
    axes: ClassVar[int]
    pool: ClassVar[Callable[..., Any]]

    def __init__(self, output_size: OptionalSizes) -> None:
        super().__init__()
        with naming(self):
            counts_over((1,) * self.axes, output_size)  # 1 in place of lengths yet unknown
        self.output_size = output_size

    def forward(self, x: Tensor) -> Any:
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


class _AdaptiveMaxPooling(_AdaptivePooling):
    def __init__(self, output_size: OptionalSizes, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, x: Tensor) -> Any:
        return type(self).pool(x, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(_AdaptiveMaxPooling):
    """The largest elements of ``output_size`` windows that cover x (N, C, L) or (C, L).

    With ``return_indices``, a call returns a pair: these elements, and their positions along L. See
    ``tg.nn.functional.adaptive_max_pool1d``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.AdaptiveMaxPool1d(2)(tg.tensor([[1.0, 3.0, 5.0]])).tolist()
        [[3.0, 5.0]]
    """

    axes = 1
    pool = staticmethod(functional.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPooling):
    """The largest elements of windows that cover images x (N, C, H, W) or (C, H, W).

    Positions count row by row. See ``tg.nn.functional.adaptive_max_pool2d``.
    """

    axes = 2
    pool = staticmethod(functional.adaptive_max_pool2d)
