"""Losses of yes or no, and of distributions: probabilities or logits against probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.explain import holds, in_full, raw, shapes_of
from tinygrad_lab.errors import ArgumentError, DTypeError, IndexingError, ShapeError
from tinygrad_lab.nn.functional.reduction import check_reduction, reduced, same_shape
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.nn import binary_surprise

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "soft_margin_loss",
]


def _broadcasting(name: str, x: Any, **weights: Any) -> None:
    """Raise if weights do not broadcast to the shape of x."""
    (shape,) = shapes_of(name, x=x)
    for label, weight in weights.items():
        (own,) = ((),) if weight is None else shapes_of(name, **{label: weight})
        pairs = zip(reversed(own), reversed(shape), strict=False)
        if len(own) > len(shape) or any(n not in (1, m) for n, m in pairs):
            reason = f"expected {label} in a shape that broadcasts to {shape}, got {own}."
            raise ShapeError(in_full(name, reason, {"x": x, label: weight}, {}))


@composed(rounds_once=True)
def binary_cross_entropy(
    x: Any, target: Any, weight: Any = None, *, reduction: str = "mean"
) -> Any:
    """Return -(target log x + (1 - target) log(1 - x)).

    Logarithms are taken as -100 where they are lower, so that probabilities of 0 and 1 have a
    finite loss.

    Args:
        x: probabilities, such as those of ``sigmoid``. (``binary_cross_entropy_with_logits`` takes
            logits; it is more accurate where they are large.)
        target: probabilities, in the same shape: mostly 0 and 1.
        weight: of each loss, in a shape that broadcasts; the mean is not divided by it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: for shapes that do not fit.
        ArgumentError: for an x outside 0 to 1, or another reduction.
        DTypeError: for an x or a target of integers or booleans.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, target = tg.tensor([0.5, 0.0, 1.0]), tg.tensor([0.0, 0.0, 0.0])
        >>> tg.nn.functional.binary_cross_entropy(x, target, reduction="none").tolist()
        [0.6931471824645996, 0.0, 100.0]
    """
    name = "binary_cross_entropy"
    check_reduction(name, reduction)
    shape = same_shape(name, x=x, target=target)
    _broadcasting(name, x, weight=weight)
    _check_floating(name, x, target)
    data = raw(x)
    xp = namespace_of([data])
    if 0 not in shape and holds(xp.any(xp.logical_or(data < 0, data > 1))):
        reason = (
            "expected probabilities x from 0 to 1, got others. Of logits, "
            "binary_cross_entropy_with_logits(x, target) is the loss; x.sigmoid() is a probability."
        )
        raise ArgumentError(in_full(name, reason, {"x": x, "target": target}, {}))
    losses = binary_surprise(x, target)
    return reduced(losses if weight is None else losses * weight, reduction)


def _check_floating(name: str, x: Any, target: Any) -> None:
    """Raise if x or target holds anything but floating-point numbers."""
    for label, one in (("x", x), ("target", target)):
        dtype = np.dtype(getattr(one, "dtype", type(one)))
        if dtype.kind != "f":
            reason = (
                f"expected floating-point {label}, got {dtype}: {label}.astype(tg.float32). (Class "
                "indices are for cross_entropy.)"
            )
            raise DTypeError(in_full(name, reason, {"x": x, "target": target}, {}))


@composed(rounds_once=True)
def binary_cross_entropy_with_logits(
    x: Any,
    target: Any,
    weight: Any = None,
    *,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    """Return the binary cross-entropy of sigmoid(x), accurate and finite however large x is.

    Args:
        x: logits, which need no sigmoid.
        target: probabilities, in the same shape: mostly 0 and 1.
        weight: of each loss, in a shape that broadcasts; the mean is not divided by it.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        pos_weight: what the loss of the positive part of the target is multiplied by, in a shape
            that broadcasts to that of x: above 1 it favours recall over precision.

    Raises:
        ShapeError: for shapes that do not fit.
        ArgumentError: for another reduction.
        DTypeError: for an x or a target of integers or booleans.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, target = tg.tensor([0.0, 1000.0]), tg.tensor([1.0, 0.0])
        >>> tg.nn.functional.binary_cross_entropy_with_logits(x, target, reduction="none").tolist()
        [0.6931471824645996, 1000.0]
    """
    name = "binary_cross_entropy_with_logits"
    check_reduction(name, reduction)
    same_shape(name, x=x, target=target)
    _broadcasting(name, x, weight=weight, pos_weight=pos_weight)
    _check_floating(name, x, target)
    of_yes = ops.softplus(ops.negative(x))  # -log sigmoid(x)
    if pos_weight is not None:
        of_yes = of_yes * (1 + (pos_weight - 1) * target)
    losses = (1 - target) * x + of_yes
    return reduced(losses if weight is None else losses * weight, reduction)


@composed(rounds_once=True)
def kl_div(x: Any, target: Any, *, reduction: str = "mean", log_target: bool = False) -> Any:
    """Return target (log target - x): how much the distribution exp(x) differs from the target.

    Args:
        x: log-probabilities.
        target: probabilities, in the same shape.
        reduction: ``"batchmean"`` divides the sum by the number of samples, which is the
            divergence; ``"mean"`` by that of elements; ``"sum"`` by nothing; ``"none"`` gives all.
        log_target: whether the target holds log-probabilities, too.

    Raises:
        ShapeError: if the shapes differ, or for "batchmean" of a single number.
        ArgumentError: for another reduction.

    Source: Kullback & Leibler, "On information and sufficiency", 1951.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, target = tg.log(tg.tensor([[0.5, 0.5]])), tg.tensor([[1.0, 0.0]])
        >>> tg.nn.functional.kl_div(x, target, reduction="batchmean")
        tensor(0.6931472)
    """
    check_reduction("kl_div", reduction, more=("batchmean",))
    shape = same_shape("kl_div", x=x, target=target)
    if log_target:
        losses = ops.exp(target) * (target - x)
    else:
        # At 0, target log target is 0.
        log = ops.log(ops.where(ops.equal(target, 0), 1.0, target))
        losses = target * log - target * x
    if reduction != "batchmean":
        return reduced(losses, reduction)
    if not shape:
        reason = "reduction='batchmean' divides by the size of axis 0, got single numbers."
        raise ShapeError(in_full("kl_div", reason, {"x": x, "target": target}, {}))
    return ops.sum(losses) / shape[0]


@composed(rounds_once=True)
def soft_margin_loss(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return log(1 + exp(-target x)), without overflow.

    Args:
        x: scores.
        target: 1 or -1, in the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: if the shapes differ.
        ArgumentError: for another reduction.
    """
    check_reduction("soft_margin_loss", reduction)
    same_shape("soft_margin_loss", x=x, target=target)
    return reduced(ops.softplus(ops.negative(x * target)), reduction)


@composed(rounds_once=True)
def multilabel_soft_margin_loss(
    x: Any, target: Any, weight: Any = None, *, reduction: str = "mean"
) -> Any:
    """Return the mean over the classes of the binary cross-entropies of sigmoid(x).

    Args:
        x: logits, (..., C).
        target: 1 for the classes that a sample has, 0 for others, in the same shape.
        weight: of each class, in a shape that broadcasts to that of x.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` over the samples.

    Raises:
        ShapeError: for shapes that do not fit.
        ArgumentError: for another reduction.
    """
    name = "multilabel_soft_margin_loss"
    check_reduction(name, reduction)
    shape = same_shape(name, x=x, target=target)
    if not shape:
        raise ShapeError(in_full(name, "expected x of shape (..., C).", {"x": x}, {}))
    _broadcasting(name, x, weight=weight)
    losses = target * ops.softplus(ops.negative(x)) + (1 - target) * ops.softplus(x)
    losses = losses if weight is None else losses * weight
    return reduced(ops.sum(losses, axis=-1) / shape[-1], reduction)


@composed(rounds_once=True)
def multilabel_margin_loss(x: Any, target: Any, *, reduction: str = "mean") -> Any:
    """Return by how much the scores of other classes come within 1 of those that a sample has.

    ``sum_ij max(0, 1 - x[target[j]] + x[i]) / C`` over the classes of the sample, ``target[j]``,
    and all classes i that are none of them.

    Args:
        x: scores, (N, C), or (C,) for one sample.
        target: in the same shape, the indices of the classes of a sample, then -1; what follows
            does not count.
        reduction: ``"mean"``, ``"sum"`` or ``"none"`` over the samples.

    Raises:
        ShapeError: for shapes that do not fit.
        DTypeError: for a target that is not integers.
        IndexingError: for a class that there is not.
        ArgumentError: for another reduction.
    """
    name = "multilabel_margin_loss"
    check_reduction(name, reduction)
    shape = same_shape(name, x=x, target=target)
    _check_lists(name, x, target, shape)
    # Up to the first -1: what follows does not count.
    counts = ops.equal(ops.cumulative_sum(ops.astype(ops.less(target, 0), int), axis=-1), 0)
    label = ops.where(counts, target, 0)
    has = _marked(label, counts, shape[-1])
    scores = ops.expand_dims(ops.take_along_axis(x, label, axis=-1), axis=-1)
    excess = ops.relu(1 - scores + ops.expand_dims(x, axis=-2))
    pairs = ops.logical_and(
        ops.expand_dims(counts, axis=-1), ops.logical_not(ops.expand_dims(has, axis=-2))
    )
    losses = ops.sum(ops.where(pairs, excess, 0.0), axis=(-2, -1)) / shape[-1]
    return reduced(losses, reduction)


def _marked(label: Any, counts: Any, count: int) -> Any:
    """Tell of each class whether it is one of the labels that count."""
    rows = ops.one_hot(label, count, dtype=bool)
    return ops.any(ops.logical_and(rows, ops.expand_dims(counts, axis=-1)), axis=-2)


def _check_lists(name: str, x: Any, target: Any, shape: tuple[int, ...]) -> None:
    """Raise if a target is not lists of classes that end with -1."""
    given = {"x": x, "target": target}
    if len(shape) not in (1, 2) or 0 in shape:
        reason = f"expected x of shape (N, C) or (C,), with some of both, got {shape}."
        raise ShapeError(in_full(name, reason, given, {}))
    if target.dtype.kind != "i":
        reason = (
            f"expected signed integers as target, got {target.dtype}: the indices of the classes "
            "of each sample, then -1, target.astype(tg.int64). (A 1 for each class is a target of "
            "multilabel_soft_margin_loss.)"
        )
        raise DTypeError(in_full(name, reason, given, {}))
    shifted = raw(target) + 1
    if found := namespace_of([shifted]).outside(shifted, shape[-1] + 1):
        number, _, place = found.partition(" ")
        reason = (
            f"labels of {shape[-1]} classes are 0 to {shape[-1] - 1}, or -1 at the end, got "
            f"{int(number) - 1} {place}."
        )
        raise IndexingError(in_full(name, reason, given, {}))
