"""Losses of pairs and triplets: which of two is larger, nearer, or alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import in_full, shapes_of
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.nn.functional.distances import pairwise_distance
from tinygrad_lab.nn.functional.reduction import check_reduction, reduced, same_shape
from tinygrad_lab.ops.arguments.composed import composed

__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


@composed(rounds_once=True)
def hinge_embedding_loss(
    x: Any, target: Any, margin: float = 1.0, *, reduction: str = "mean"
) -> Any:
    """Return x where the target is 1, max(0, margin - x) where it is -1.

    Args:
        x: distances.
        target: 1 for pairs that are alike, -1 for others, in the same shape.
        margin: how far apart the others are to be.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: if the shapes differ.
        ArgumentError: for another reduction.

    Source: Hadsell, Chopra & LeCun, "Dimensionality reduction by learning an invariant mapping",
    2006.
    """
    check_reduction("hinge_embedding_loss", reduction)
    same_shape("hinge_embedding_loss", x=x, target=target)
    of_others = ops.where(ops.not_equal(target, 1), ops.clip(margin - x, 0), 0.0)
    return reduced(of_others + ops.where(ops.not_equal(target, -1), x, 0.0), reduction)


@composed(rounds_once=True)
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, *, reduction: str = "mean"
) -> Any:
    """Return max(0, margin - target (input1 - input2)).

    Args:
        input1, input2: scores, in one shape.
        target: 1 where the first is to be larger, -1 where the second is, in the same shape.
        margin: by how much.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: if the shapes differ.
        ArgumentError: for another reduction.
    """
    check_reduction("margin_ranking_loss", reduction)
    same_shape("margin_ranking_loss", input1=input1, input2=input2, target=target)
    return reduced(ops.clip(margin - target * (input1 - input2), 0), reduction)


@composed(rounds_once=True)
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, *, reduction: str = "mean"
) -> Any:
    """Return 1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    Args:
        input1, input2: vectors, (N, D) or (D,), between which the angle is.
        target: 1 for pairs that are alike, -1 for others: (N,) or ().
        margin: what the cosine of others is to stay below.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: for shapes that do not fit.
        ArgumentError: for another reduction.
    """
    name = "cosine_embedding_loss"
    check_reduction(name, reduction)
    given = {"input1": input1, "input2": input2, "target": target}
    shape = same_shape(name, input1=input1, input2=input2)
    _, _, own = shapes_of(name, **given)
    if len(shape) not in (1, 2) or own != shape[:-1]:
        reason = (
            f"expected vectors of shape (N, D) or (D,), and a target of {shape[:-1]} for those of "
            f"shape {shape}, got {own}."
        )
        raise ShapeError(in_full(name, reason, given, {}))

    def product(one: Any, other: Any) -> Any:
        return ops.sum(one * other, axis=-1)

    # As in PyTorch, the bound is on the squares here.
    squares = (product(input1, input1) + 1e-12) * (product(input2, input2) + 1e-12)
    cosine = product(input1, input2) / ops.sqrt(squares)
    of_alike = ops.where(ops.equal(target, 1), 1 - cosine, 0.0)
    of_others = ops.where(ops.equal(target, -1), ops.clip(cosine - margin, 0), 0.0)
    return reduced(of_alike + of_others, reduction)


@composed(rounds_once=True)
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    *,
    reduction: str = "mean",
) -> Any:
    """Return max(0, margin + distance to the positive - distance to the negative).

    Args:
        anchor, positive, negative: vectors, (N, D) or (D,).
        margin: how much farther the negative is to be.
        p: of the norm of ``pairwise_distance``.
        eps: added to differences.
        swap: whether to take the distance from the positive to the negative where it is smaller
            than that from the anchor.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: if the shapes differ.
        ArgumentError: for a margin that is not positive, or another reduction.

    Source: Balntas et al., "Learning local feature descriptors with triplets and shallow
    convolutional neural networks", 2016.
    """

    def distance(one: Any, other: Any) -> Any:
        return pairwise_distance(one, other, p, eps)

    name = "triplet_margin_loss"
    return _of_triplets(name, anchor, positive, negative, distance, margin, swap, reduction)


@composed()
def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    """Return ``triplet_margin_loss`` by a distance of one's own.

    Args:
        anchor, positive, negative: what the distance takes, in one shape.
        distance_function: from two of them to distances; ``pairwise_distance`` if not given.
        margin, swap, reduction: as in ``triplet_margin_loss``, with its errors.
    """
    name = "triplet_margin_with_distance_loss"
    distance = pairwise_distance if distance_function is None else distance_function
    return _of_triplets(name, anchor, positive, negative, distance, margin, swap, reduction)


def _of_triplets(
    name: str,
    anchor: Any,
    positive: Any,
    negative: Any,
    distance: Callable[[Any, Any], Any],
    margin: float,
    swap: bool,
    reduction: str,
) -> Any:
    check_reduction(name, reduction)
    if not margin > 0:
        raise ArgumentError(f"{name}: expected a margin above 0, got {margin}.")
    shape = same_shape(name, anchor=anchor, positive=positive, negative=negative)
    if not shape:
        reason = "expected vectors of shape (N, D) or (D,), got single numbers."
        raise ShapeError(in_full(name, reason, {"anchor": anchor}, {}))
    to_positive, to_negative = distance(anchor, positive), distance(anchor, negative)
    if swap:
        to_negative = ops.minimum(to_negative, distance(positive, negative))
    return reduced(ops.clip(margin + to_positive - to_negative, 0), reduction)
