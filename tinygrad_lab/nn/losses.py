"""Losses as modules: they hold the settings of the functions in ``functional``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional.reduction import check_reduction
from tinygrad_lab.nn.module import Module

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CosineEmbeddingLoss",
    "CosineSimilarity",
    "CrossEntropyLoss",
    "GaussianNLLLoss",
    "HingeEmbeddingLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "MSELoss",
    "MarginRankingLoss",
    "MultiLabelMarginLoss",
    "MultiLabelSoftMarginLoss",
    "MultiMarginLoss",
    "NLLLoss",
    "PairwiseDistance",
    "PoissonNLLLoss",
    "SmoothL1Loss",
    "SoftMarginLoss",
    "TripletMarginLoss",
    "TripletMarginWithDistanceLoss",
]

_cross_entropy, _mse_loss = direct(functional.cross_entropy), direct(functional.mse_loss)


class _Loss(Module):
    """A loss, and how the losses of samples become one number: mean, sum or none.

    PyTorch's arguments ``size_average`` and ``reduce`` are not taken; what follows them there is
    given by its name, so that nothing meant for them is taken for something else.
    """

    more_reductions: tuple[str, ...] = ()

    def __init__(self, *, reduction: str = "mean") -> None:
        super().__init__()
        check_reduction(type(self).__name__, reduction, more=self.more_reductions)
        self.reduction = reduction


class _WeightedLoss(_Loss):
    """A loss with weights, which are part of its state and move with it, but are not learned."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self._keep("weight", weight)

    def _keep(self, name: str, weight: Tensor | None) -> None:
        if weight is not None and not isinstance(weight, Tensor):
            raise ArgumentTypeError(
                f"{type(self).__name__}: expected {name} as a Tensor, got "
                f"{type(weight).__name__}: tg.tensor({name})."
            )
        self.register_buffer(name, weight)


# --- of classes ----------------------------------------------------------------------------------


class CrossEntropyLoss(_WeightedLoss):
    """-log softmax(x) of the right class, from logits; see ``nn.functional.cross_entropy``.

    Args:
        weight: of each class, (C,).
        ignore_index: a class index whose samples do not count.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        label_smoothing: how much of each target to spread over all classes, from 0 to 1.

    Called with logits (N, C), (N, C, d1, ...) or (C,), and class indices in that shape without C,
    or probabilities in that shape.

    Example:
        >>> import tinygrad_lab as tg
        >>> loss = tg.nn.CrossEntropyLoss(label_smoothing=0.1)
        >>> loss(tg.tensor([[0.0, 0.0]]), tg.tensor([1]))
        tensor(0.6931472)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        if not 0 <= label_smoothing <= 1:
            raise ArgumentError(
                f"CrossEntropyLoss: expected label_smoothing from 0 to 1, got {label_smoothing}."
            )
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return _cross_entropy(
            x,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(_WeightedLoss):
    """The negative log-probability of the right class, from log-probabilities.

    Args:
        weight: of each class, (C,).
        ignore_index: a class index whose samples do not count.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Called as ``nn.functional.nll_loss``.
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self.ignore_index = ignore_index

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.nll_loss(
            x, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class MultiMarginLoss(_WeightedLoss):
    """By how much other scores come closer than ``margin`` to that of the right class.

    Args:
        p: 1, or 2 for the squares.
        margin: how far apart scores are to be.
        weight: of each class, (C,).
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Called as ``nn.functional.multi_margin_loss``.
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(weight, reduction=reduction)
        if p not in (1, 2):
            raise ArgumentError(f"MultiMarginLoss: expected p to be 1 or 2, got {p!r}.")
        self.p, self.margin = p, margin

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.multi_margin_loss(
            x, target, self.p, self.margin, self.weight, reduction=self.reduction
        )


# --- of yes or no, and of distributions ----------------------------------------------------------


class BCELoss(_WeightedLoss):
    """The binary cross-entropy of probabilities; see ``nn.functional.binary_cross_entropy``."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy(x, target, self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """The binary cross-entropy of logits, finite however large they are.

    Args:
        weight: of each loss, in a shape that broadcasts.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: what the loss of the positive part of a target is multiplied by.

    Called as ``nn.functional.binary_cross_entropy_with_logits``.
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Tensor | None = None,
        *,
        reduction: str = "mean",
        pos_weight: Tensor | None = None,
    ) -> None:
        super().__init__(weight, reduction=reduction)
        self._keep("pos_weight", pos_weight)

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(
            x, target, self.weight, reduction=self.reduction, pos_weight=self.pos_weight
        )


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """The mean over classes of binary cross-entropies of logits (..., C)."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.multilabel_soft_margin_loss(
            x, target, self.weight, reduction=self.reduction
        )


class MultiLabelMarginLoss(_Loss):
    """By how much other scores come within 1 of those of the classes that a sample has.

    Called as ``nn.functional.multilabel_margin_loss``: targets are lists of classes, then -1.
    """

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.multilabel_margin_loss(x, target, reduction=self.reduction)


class SoftMarginLoss(_Loss):
    """log(1 + exp(-target x)), for targets 1 and -1."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.soft_margin_loss(x, target, reduction=self.reduction)


class KLDivLoss(_Loss):
    """target (log target - x): how much the distribution exp(x) differs from the target.

    Args:
        reduction: ``"batchmean"``, which is the divergence, ``"mean"`` (of all elements), ``"sum"``
            or ``"none"``.
        log_target: whether the target holds log-probabilities, too.

    Called as ``nn.functional.kl_div``.
    """

    more_reductions = ("batchmean",)

    def __init__(self, *, reduction: str = "mean", log_target: bool = False) -> None:
        super().__init__(reduction=reduction)
        self.log_target = log_target

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.kl_div(x, target, reduction=self.reduction, log_target=self.log_target)


# --- of numbers ----------------------------------------------------------------------------------


class MSELoss(_Loss):
    """The squared differences: their mean, their sum, or each."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return _mse_loss(x, target, reduction=self.reduction)


class L1Loss(_Loss):
    """The absolute differences: their mean, their sum, or each."""

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.l1_loss(x, target, reduction=self.reduction)


class SmoothL1Loss(_Loss):
    """d²/(2 beta) where the difference d is below ``beta``, |d| - beta/2 elsewhere."""

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        if not beta >= 0:
            raise ArgumentError(f"SmoothL1Loss: expected beta of 0 or more, got {beta}.")
        self.beta = beta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.smooth_l1_loss(x, target, reduction=self.reduction, beta=self.beta)


class HuberLoss(_Loss):
    """d²/2 where the difference d is below ``delta``, delta (|d| - delta/2) elsewhere."""

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction=reduction)
        if not delta > 0:
            raise ArgumentError(f"HuberLoss: expected delta above 0, got {delta}.")
        self.delta = delta

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.huber_loss(x, target, self.reduction, self.delta)


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of counts under Poisson distributions.

    Args:
        log_input: whether x holds the logarithms of the expected counts.
        full: whether to add the term of the target alone.
        eps: added to x before the logarithm, without ``log_input``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Called as ``nn.functional.poisson_nll_loss``.
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        *,
        eps: float = 1e-8,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        self.log_input, self.full, self.eps = log_input, full, eps

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.poisson_nll_loss(
            x, target, self.log_input, self.full, eps=self.eps, reduction=self.reduction
        )


class GaussianNLLLoss(_Loss):
    """The negative log-likelihood of numbers under normal distributions.

    Args:
        full: whether to add the constant log(2 π) / 2.
        eps: what variances below it are taken as.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Called as ``nn.functional.gaussian_nll_loss``, with x, target and variances.
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.full, self.eps = full, eps

    def forward(self, x: Tensor, target: Tensor, var: Tensor | float) -> Tensor:
        return functional.gaussian_nll_loss(x, target, var, self.full, self.eps, self.reduction)


# --- of pairs and triplets -----------------------------------------------------------------------


class HingeEmbeddingLoss(_Loss):
    """x where the target is 1, max(0, margin - x) where it is -1."""

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, x: Tensor, target: Tensor) -> Tensor:
        return functional.hinge_embedding_loss(x, target, self.margin, reduction=self.reduction)


class MarginRankingLoss(_Loss):
    """max(0, margin - target (input1 - input2)), for targets 1 and -1."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return functional.margin_ranking_loss(
            input1, input2, target, self.margin, reduction=self.reduction
        )


class CosineEmbeddingLoss(_Loss):
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1."""

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean") -> None:
        super().__init__(reduction=reduction)
        self.margin = margin

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return functional.cosine_embedding_loss(
            input1, input2, target, self.margin, reduction=self.reduction
        )


class TripletMarginLoss(_Loss):
    """max(0, margin + distance to the positive - distance to the negative).

    Args:
        margin: how much farther the negative is to be.
        p: of the norm.
        eps: added to differences.
        swap: whether the distance from the positive to the negative counts where it is smaller.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Called as ``nn.functional.triplet_margin_loss``.
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        _check_margin(self, margin)
        self.margin, self.p, self.eps, self.swap = margin, p, eps, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return functional.triplet_margin_loss(
            anchor,
            positive,
            negative,
            self.margin,
            self.p,
            self.eps,
            self.swap,
            reduction=self.reduction,
        )


class TripletMarginWithDistanceLoss(_Loss):
    """``TripletMarginLoss`` by a distance of one's own.

    Args:
        distance_function: from two inputs to distances; ``pairwise_distance`` if not given.
        margin: how much farther the negative is to be.
        swap: whether the distance from the positive to the negative counts where it is smaller.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Any, Any], Any] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction=reduction)
        _check_margin(self, margin)
        self.distance_function = distance_function
        self.margin, self.swap = margin, swap

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return functional.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )


def _check_margin(loss: Module, margin: float) -> None:
    if not margin > 0:
        raise ArgumentError(f"{type(loss).__name__}: expected a margin above 0, got {margin}.")


# --- distances -----------------------------------------------------------------------------------


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along an axis; norms are at least ``eps``."""

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return functional.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps along the last axis, which ``keepdim`` keeps, of size 1."""

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return functional.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
