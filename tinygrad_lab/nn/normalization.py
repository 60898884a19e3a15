"""Layers that normalise activations to mean 0 and variance 1, then scale and shift them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import ones, tensor, zeros
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.layers import at_least, naming
from tinygrad_lab.nn.module import Module, Parameter

__all__ = [
    "BatchNorm1d",
    "BatchNorm2d",
    "GroupNorm",
    "InstanceNorm1d",
    "InstanceNorm2d",
    "LayerNorm",
    "RMSNorm",
]

_batch_norm, _layer_norm = direct(functional.batch_norm), direct(functional.layer_norm)


class _ByChannel(Module):
    """A normalisation of each channel, with running statistics if they are tracked."""

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
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, num_features=num_features)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        shape = (num_features,)
        self.weight = Parameter(ones(shape)) if affine else None
        self.bias = Parameter(zeros(shape)) if affine and bias else None
        tracked = track_running_stats
        self.running_mean: Tensor | None
        self.running_var: Tensor | None
        self.num_batches_tracked: Tensor | None
        self.register_buffer("running_mean", zeros(shape) if tracked else None)
        self.register_buffer("running_var", ones(shape) if tracked else None)
        self.register_buffer("num_batches_tracked", tensor(0) if tracked else None)

    def _check(self, shape: tuple[int, ...], channels: int) -> None:
        if len(shape) not in self.dims or shape[channels] != self.num_features:
            raise ShapeError(
                f"{type(self).__name__}: expected x of shape {self.layout} with "
                f"C = {self.num_features}, got {shape}."
            )

    def extra_repr(self) -> str:
        without_bias = ", bias=False" if self.affine and self.bias is None else ""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}{without_bias}"
        )


class _BatchNorm(_ByChannel):
    def forward(self, x: Tensor) -> Tensor:
        self._check(tuple(x.shape), 1)
        momentum: Any = 0.0 if self.momentum is None else self.momentum
        if self.training and self.num_batches_tracked is not None:
            self.num_batches_tracked.data = self.num_batches_tracked + 1
            if self.momentum is None and self.running_mean is not None:
                # Not a number of Python: a compiled step counts on.
                count = ops.astype(self.num_batches_tracked, self.running_mean.dtype)
                momentum = 1.0 / count
        return _batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training or self.running_mean is None,
            momentum=momentum,
            eps=self.eps,
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
        bias: whether to learn the shift, if ``affine``.

    Raises:
        ShapeError: from a call, for an x of another shape; in training, for one value per channel.

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


class _InstanceNorm(_ByChannel):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        is_one = len(x.shape) == self.dims[0]
        self._check(tuple(x.shape), 0 if is_one else 1)
        out: Tensor = functional.instance_norm(
            x[None] if is_one else x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            use_input_stats=self.training or self.running_mean is None,
            momentum=0.0 if self.momentum is None else self.momentum,
            eps=self.eps,
        )
        return out[0] if is_one else out


class InstanceNorm1d(_InstanceNorm):
    """Normalises each channel of each sample of x, (N, C, L) or (C, L), over its positions.

    Args:
        num_features: the number of channels, C.
        eps: added to the variance.
        momentum: the weight of a batch in the running statistics; with None they stay as they are,
            as in PyTorch.
        affine: whether to learn ``weight`` and ``bias``, (C,), that scale and shift.
        track_running_stats: whether to keep running statistics, which evaluation then uses.
        bias: whether to learn the shift, if ``affine``.

    Raises:
        ShapeError: from a call, for an x of another shape; for one value per channel of a sample.

    Source: Ulyanov, Vedaldi & Lempitsky, "Instance Normalization", 2016.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.InstanceNorm1d(1, eps=0.0)(tg.tensor([[[1.0, 3.0]], [[5.0, 9.0]]])).tolist()
        [[[-1.0, 1.0]], [[-1.0, 1.0]]]
    """

    dims, layout = (2, 3), "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each image of x, (N, C, H, W) or (C, H, W), over its positions.

    Everything else is as in ``InstanceNorm1d``.
    """

    dims, layout = (3, 4), "(N, C, H, W) or (C, H, W)"


def _shape_to_normalise(normalized_shape: int | Sequence[int]) -> tuple[int, ...]:
    sizes = normalized_shape
    shape = (sizes,) if isinstance(sizes, int) else tuple(sizes)
    at_least(1, **{f"normalized_shape[{axis}]": size for axis, size in enumerate(shape)})
    return shape


class LayerNorm(Module):
    """Normalises each sample over its last axes, of shape ``normalized_shape``.

    Args:
        normalized_shape: the lengths of those axes; one integer for the last axis alone.
        eps: added to the variance.
        elementwise_affine: whether to learn ``weight`` and ``bias``, of that shape, which scale and
            shift.
        bias: whether to learn the shift.

    Raises:
        ShapeError: from a call, for an x with other last axes.

    Source: Ba, Kiros & Hinton, "Layer Normalization", 2016.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.LayerNorm(2, eps=0.0)(tg.tensor([[1.0, 3.0]])).tolist()
        [[-1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__()
        shape = _shape_to_normalise(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(ones(shape)) if elementwise_affine else None
        self.bias = Parameter(zeros(shape)) if elementwise_affine and bias else None

    def forward(self, x: Tensor) -> Tensor:
        return _layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        without_bias = ", bias=False" if affine and self.bias is None else ""
        shape, eps = self.normalized_shape, self.eps
        return f"{shape}, eps={eps}, elementwise_affine={affine}{without_bias}"


class RMSNorm(Module):
    """Divides each sample by the root of the mean of its squares over its last axes.

    Args:
        normalized_shape: the lengths of those axes; one integer for the last axis alone.
        eps: added to the mean of the squares; None stands for the distance from 1 to the next
            number of the dtype of x.
        elementwise_affine: whether to learn ``weight``, of that shape, which scales.

    Raises:
        ShapeError: from a call, for an x with other last axes.

    Source: Zhang & Sennrich, "Root Mean Square Layer Normalization", 2019.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.RMSNorm(2, eps=0.0)(tg.tensor([[1.0, -1.0], [2.0, 2.0]])).tolist()
        [[1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        normalized_shape: int | Sequence[int],
        eps: float | None = None,
        elementwise_affine: bool = True,
    ) -> None:
        super().__init__()
        shape = _shape_to_normalise(normalized_shape)
        self.normalized_shape, self.eps, self.elementwise_affine = shape, eps, elementwise_affine
        self.weight = Parameter(ones(shape)) if elementwise_affine else None

    def forward(self, x: Tensor) -> Any:
        return functional.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        affine = self.elementwise_affine
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={affine}"


class GroupNorm(Module):
    """Normalises each group of channels of each sample of x, (N, C, ...).

    Args:
        num_groups: the number of groups, which divides C.
        num_channels: the number of channels, C.
        eps: added to the variance.
        affine: whether to learn ``weight`` and ``bias``, (C,), that scale and shift.
        bias: whether to learn the shift, if ``affine``.

    Raises:
        ArgumentError: for channels that do not divide into the groups.
        ShapeError: from a call, for an x with another number of channels.

    Source: Wu & He, "Group Normalization", 2018.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.GroupNorm(2, 4, eps=0.0)(tg.tensor([[1.0, 3.0, 5.0, 9.0]])).tolist()
        [[-1.0, 1.0, -1.0, 1.0]]
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        at_least(1, num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise ArgumentError(
                f"GroupNorm: {num_groups} groups must divide {num_channels} channels."
            )
        self.num_groups, self.num_channels, self.eps = num_groups, num_channels, eps
        self.affine = affine
        self.weight = Parameter(ones((num_channels,))) if affine else None
        self.bias = Parameter(zeros((num_channels,))) if affine and bias else None

    def forward(self, x: Tensor) -> Any:
        shape = tuple(x.shape)
        if len(shape) < 2 or shape[1] != self.num_channels:
            raise ShapeError(
                f"GroupNorm: expected x of shape (N, C, ...) with C = {self.num_channels}, "
                f"got {shape}."
            )
        return functional.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        without_bias = ", bias=False" if self.affine and self.bias is None else ""
        groups, channels, eps = self.num_groups, self.num_channels, self.eps
        return f"{groups}, {channels}, eps={eps}, affine={self.affine}{without_bias}"


class LocalResponseNorm(Module):
    """Divides each element of x (N, C, ...) by a power of what its neighbours among channels have.

    Args:
        size: how many channels count, its own among them.
        alpha, beta, k: of the divisor (k + alpha / size * Σ x²)^beta.

    Raises:
        ArgumentError: for a size that is no integer above 0.
        ShapeError: from a call, for fewer than three axes.

    Source: Krizhevsky, Sutskever & Hinton, "ImageNet Classification with Deep Convolutional Neural
    Networks", 2012, section 3.3; see ``tg.nn.functional.local_response_norm``.

    Example:
        >>> import tinygrad_lab as tg
        >>> layer = tg.nn.LocalResponseNorm(1, alpha=1.0, beta=0.5, k=0.0)
        >>> layer(tg.tensor([[[3.0], [4.0]]])).tolist()
        [[[1.0], [1.0]]]
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        with naming(self):
            at_least(1, size=size)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Any:
        return functional.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
