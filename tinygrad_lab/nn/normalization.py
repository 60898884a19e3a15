"""Layers that normalise activations to mean 0 and variance 1, then scale and shift them."""

from __future__ import annotations

from typing import ClassVar

from tinygrad_lab.array_api.creation import ones, tensor, zeros
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers import at_least
from tinygrad_lab.nn.module import Module, Parameter

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm"]

_batch_norm, _layer_norm = direct(functional.batch_norm), direct(functional.layer_norm)


class _BatchNorm(Module):
    dims: ClassVar[tuple[int, ...]]
    """The numbers of axes that x may have."""
    layout: ClassVar[str]

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (num_features,)
        self.weight = Parameter(ones(shape)) if affine else None
        self.bias = Parameter(zeros(shape)) if affine else None
        tracked = track_running_stats
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        self.register_buffer("running_mean", zeros(shape) if tracked else None)
        self.register_buffer("running_var", ones(shape) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)

    def forward(self, x: Tensor) -> Tensor:
        if len(x.shape) not in self.dims or x.shape[1] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: expected x of shape {self.layout} with "
                f"C = {self.num_features}, got {tuple(x.shape)}."
            )
        momentum = self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.data = self.num_batches_tracked + 1
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.item()
        return _batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training or self.running_mean is None,
            momentum=0.0 if momentum is None else momentum,
            eps=self.eps,
        )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Normalises each channel of x, (N, C) or (N, C, L), over samples and positions.

    Training uses the mean and variance of the batch, which also update the running statistics with
    a weight of ``momentum`` (None: all batches with equal weight). Evaluation uses the running
    statistics.

    Args:
        num_features: the number of channels, C.
        eps: added to the variance.
        affine: whether to learn ``weight`` and ``bias``, (C,), that scale and shift.
        track_running_stats: whether to keep running statistics; without them, evaluation also uses
            those of the batch.

    Source: Ioffe & Szegedy, "Batch Normalization", 2015.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.BatchNorm1d(1, eps=0.0)(tg.tensor([[1.0], [3.0]])).tolist()
        [[-1.0], [1.0]]
    """

    dims, layout = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Normalises each channel of images x, (N, C, H, W), over samples and positions.

    Everything else is as in ``BatchNorm1d``.
    """

    dims, layout = (4,), "(N, C, H, W)"


class LayerNorm(Module):
    """Normalises each sample over its last axes, of shape ``normalized_shape``.

    Args:
        normalized_shape: the lengths of those axes; one integer for the last axis alone.
        eps: added to the variance.
        elementwise_affine: whether to learn ``weight`` and ``bias``, of that shape, which scale and
            shift.
        bias: whether to learn the shift.

    Source: Ba, Kiros & Hinton, "Layer Normalization", 2016.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.LayerNorm(2, eps=0.0)(tg.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | tuple[int, ...],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        sizes = normalized_shape
        shape = (sizes,) if isinstance(sizes, int) else tuple(sizes)
        at_least(1, **{f"normalized_shape[{axis}]": size for axis, size in enumerate(shape)})
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(ones(shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(shape)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        return _layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"
