"""Losses of one class among several: scores or log-probabilities against class indices."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_lab import ops
from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import in_full, raw, shapes_of
from tinygrad_lab.errors import ArgumentError, DTypeError, IndexingError, ShapeError
from tinygrad_lab.nn.functional.reduction import check_reduction, reduced
from tinygrad_lab.ops.arguments.composed import composed

__all__ = ["cross_entropy", "multi_margin_loss", "nll_loss"]

_fused = direct(ops.cross_entropy)


@composed()
def cross_entropy(
    x: Any,
    target: Any,
    weight: Any = None,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    """Return -log softmax(x) of the classes in ``target``.

    Args:
        x: logits, which need no softmax: (N, C), (N, C, d1, ...) with a class for each position of
            a sequence or an image, or (C,) for one sample.
        target: class indices, integers from 0 to C - 1 in the shape of x without C; or the
            probabilities of all classes, floating numbers in the shape of x.
        weight: of each class, (C,). The mean over class indices is divided by the sum of the
            weights of their classes.
        ignore_index: a class index whose samples do not count. Not for probabilities.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``, for the loss of each sample or position.
        label_smoothing: how much of each target to spread over all classes, from 0 to 1.

    Raises:
        ShapeError: for shapes that do not fit.
        DTypeError: for a target that is neither integers nor probabilities, or x of integers.
        IndexingError: for a class that there is not.
        ArgumentError: for another reduction, or a ``label_smoothing`` outside 0 to 1.

    Source: Goodfellow, Bengio & Courville, "Deep Learning", 2016, section 6.2.2.3; label smoothing:
    Szegedy et al., "Rethinking the Inception architecture", 2016, section 7.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[0.0, 0.0], [9.0, 9.0]])
        >>> tg.nn.functional.cross_entropy(x, tg.tensor([1, -100]), reduction="none").tolist()
        [0.6931471824645996, 0.0]
    """
    is_plain = weight is None and reduction == "mean" and label_smoothing == 0 and ignore_index < 0
    # Of the arrays: properties of Tensors take longer, and nets of this size notice.
    logits, labels = getattr(x, "_data", x), getattr(target, "_data", target)
    lengths: tuple[int, ...] = getattr(logits, "shape", ())
    # The mean over no samples is NaN, which is left to what is below.
    is_matrix = len(lengths) == 2 and lengths[0] > 0
    are_labels = getattr(labels, "ndim", 0) == 1 and getattr(labels.dtype, "kind", "f") in "iu"
    if is_plain and is_matrix and are_labels:
        try:
            return _fused(x, target)
        except IndexingError:
            # Of the class to ignore, or of one that there is not: seen to below.
            pass
    check_reduction("cross_entropy", reduction)
    if not 0 <= label_smoothing <= 1:
        raise ArgumentError(
            f"cross_entropy: expected label_smoothing from 0 to 1, got {label_smoothing}."
        )
    shape, of_target = shapes_of("cross_entropy", x=x, target=target)
    _check_floating("cross_entropy", x, target)
    weight = _by_class("cross_entropy", x, weight)
    if of_target == shape and not _is_index(target):
        return _against_probabilities(x, target, weight, ignore_index, reduction, label_smoothing)
    _check_indices("cross_entropy", x, target, ignore_index, probabilities=True)
    return _against_indices(x, target, weight, ignore_index, reduction, label_smoothing)


def _is_index(target: Any) -> bool:
    """Tell whether a target holds integers."""
    dtype = getattr(target, "dtype", None)
    return dtype is not None and dtype.kind in "iu"


def _axis_of(x: Any) -> int:
    """Return the axis of the classes: 1, or 0 of one sample."""
    return 0 if len(x.shape) == 1 else 1


@composed(rounds_once=True)
def _against_indices(
    x: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float
) -> Any:
    axis = _axis_of(x)
    scores = ops.log_softmax(x, axis=axis)
    samples = _counting(scores, target, weight, ignore_index)
    loss = _of_samples(_picked(scores, samples), samples, reduction)
    if smoothing == 0:
        return loss
    # The mean over all classes stands for a target that is any of them.
    of_all = scores if weight is None else scores * _along(weight, x)
    of_all = _of_samples(ops.negative(ops.sum(of_all, axis=axis)), samples, reduction)
    return (1 - smoothing) * loss + smoothing / x.shape[axis] * of_all


class _Samples(NamedTuple):
    """The samples of a batch, in the shape of the target."""

    counts: Any
    """Whether each counts: its class is not the one to ignore."""
    label: Any
    """Its class; 0 for one that does not count."""
    weight: Any
    """The weight of its class; 0 for one that does not count."""
    of_one_weight: bool


def _counting(scores: Any, target: Any, weight: Any, ignore_index: int) -> _Samples:
    counts = ops.not_equal(target, ignore_index)
    label = ops.where(counts, target, 0)
    if weight is None:
        return _Samples(counts, label, ops.astype(counts, scores.dtype), True)
    return _Samples(counts, label, ops.where(counts, ops.take(weight, label), 0.0), False)


def _picked(scores: Any, samples: _Samples) -> Any:
    """Return the negative score of the class of each sample, times its weight."""
    axis = _axis_of(scores)
    label = ops.expand_dims(samples.label, axis=axis)
    picked = ops.squeeze(ops.take_along_axis(scores, label, axis=axis), axis=axis)
    return ops.negative(picked if samples.of_one_weight else picked * samples.weight)


def _of_samples(losses: Any, samples: _Samples, reduction: str) -> Any:
    """Reduce the losses of those that count; their mean is divided by the sum of the weights."""
    # Not a product: a loss of inf that does not count is no NaN.
    losses = ops.where(samples.counts, losses, 0.0)
    if reduction == "none":
        return losses
    total = ops.sum(losses)
    return total / ops.sum(samples.weight) if reduction == "mean" else total


def _along(weight: Any, x: Any) -> Any:
    """Shape the weights of classes so that they broadcast along the axis of the classes."""
    return ops.reshape(weight, (-1, *(1,) * (len(x.shape) - 1 - _axis_of(x))))


@composed(rounds_once=True)
def _against_probabilities(
    x: Any, target: Any, weight: Any, ignore_index: int, reduction: str, smoothing: float
) -> Any:
    if ignore_index >= 0:
        reason = "ignore_index is of class indices: probabilities have none to leave out."
        given = {"ignore_index": ignore_index}
        raise ArgumentError(in_full("cross_entropy", reason, {"x": x, "target": target}, given))
    axis = _axis_of(x)
    scores = ops.log_softmax(x, axis=axis)
    if smoothing > 0:
        target = target * (1 - smoothing) + smoothing / x.shape[axis]
    if weight is not None:
        target = target * _along(weight, x)
    losses = ops.negative(ops.sum(scores * target, axis=axis))
    return reduced(losses, reduction)


@composed(rounds_once=True)
def nll_loss(
    x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    """Return the negative log-probabilities of the classes in ``target``.

    Args:
        x: log-probabilities, such as those of ``log_softmax`` (``cross_entropy`` takes logits):
            (N, C), (N, C, d1, ...) or (C,).
        target: class indices, integers from 0 to C - 1 in the shape of x without C.
        weight: of each class, (C,). The mean is divided by the sum of the weights of the classes.
        ignore_index: a class index whose samples do not count.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: for shapes that do not fit.
        DTypeError: for a target that is not integers, or x of integers.
        IndexingError: for a class that there is not.
        ArgumentError: for another reduction.

    Example:
        >>> import tinygrad_lab as tg
        >>> scores = tg.log_softmax(tg.tensor([[0.0, 0.0]]))
        >>> tg.nn.functional.nll_loss(scores, tg.tensor([1]))
        tensor(0.6931472)
    """
    check_reduction("nll_loss", reduction)
    shapes_of("nll_loss", x=x, target=target)
    _check_floating("nll_loss", x, target)
    weight = _by_class("nll_loss", x, weight)
    _check_indices("nll_loss", x, target, ignore_index)
    samples = _counting(x, target, weight, ignore_index)
    return _of_samples(_picked(x, samples), samples, reduction)


@composed(rounds_once=True)
def multi_margin_loss(
    x: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    *,
    reduction: str = "mean",
) -> Any:
    """Return by how much other scores come closer than ``margin`` to that of the right class.

    ``sum_i max(0, margin - x[target] + x[i])^p / C`` over all classes i but the right one.

    Args:
        x: scores, (N, C), or (C,) for one sample.
        target: class indices, integers from 0 to C - 1: (N,) or ().
        p: 1, or 2 for the squares.
        margin: how far apart the scores are to be.
        weight: of each class, (C,), by which the losses of its samples are multiplied.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: for shapes that do not fit.
        DTypeError: for a target that is not integers, or x of integers.
        IndexingError: for a class that there is not.
        ArgumentError: for another ``p`` or reduction.

    Source: Crammer & Singer, "On the algorithmic implementation of multiclass kernel-based vector
    machines", 2001.
    """
    check_reduction("multi_margin_loss", reduction)
    if p not in (1, 2):
        raise ArgumentError(f"multi_margin_loss: expected p to be 1 or 2, got {p!r}.")
    shape, _ = shapes_of("multi_margin_loss", x=x, target=target)
    if len(shape) > 2:
        reason = f"expected x of shape (N, C) or (C,), got {shape}."
        raise ShapeError(in_full("multi_margin_loss", reason, {"x": x, "target": target}, {}))
    _check_floating("multi_margin_loss", x, target)
    weight = _by_class("multi_margin_loss", x, weight)
    _check_indices("multi_margin_loss", x, target, ignore_index=None)
    label = ops.expand_dims(target, axis=-1)
    excess = ops.relu(margin - ops.take_along_axis(x, label, axis=-1) + x)
    others = ops.not_equal(_classes(x), label)
    losses = ops.where(others, excess * excess if p == 2 else excess, 0.0)
    losses = ops.sum(losses, axis=-1) / shape[-1]
    return reduced(losses if weight is None else losses * ops.take(weight, target), reduction)


def _classes(x: Any) -> Any:
    """Return the numbers of the classes, on the device of x."""
    data = raw(x)
    xp = namespace_of([data])
    return xp.arange(data.shape[-1], device=data.device)


# --- checks ------------------------------------------------------------------------------------


def _check_floating(name: str, x: Any, target: Any) -> None:
    if not hasattr(x, "dtype") or x.dtype.kind != "f":
        what = getattr(x, "dtype", type(x).__name__)
        reason = f"expected floating-point x, got {what}: x.astype(tg.float32)."
        raise DTypeError(in_full(name, reason, {"x": x, "target": target}, {}))


def _by_class(name: str, x: Any, weight: Any) -> Any:
    """Return the weights of classes, checked."""
    if weight is None or not x.shape:
        return weight
    (own,) = shapes_of(name, weight=weight)
    count = x.shape[_axis_of(x)]
    if own != (count,):
        reason = f"expected one weight for each of {count} classes, ({count},), got shape {own}."
        raise ShapeError(in_full(name, reason, {"x": x, "weight": weight}, {}))
    return weight


def _check_indices(
    name: str, x: Any, target: Any, ignore_index: int | None, *, probabilities: bool = False
) -> None:
    """Raise if a target is not the indices of the classes of x."""
    given = {"x": x, "target": target}
    shape = tuple(x.shape)
    or_else = f" (or probabilities, floating numbers of shape {shape})" if probabilities else ""
    if not shape:
        reason = "expected x of shape (N, C), (N, C, ...) or (C,), got a single number."
        raise ShapeError(in_full(name, reason, given, {}))
    axis = _axis_of(x)
    expected = shape[:axis] + shape[axis + 1 :]
    count = shape[axis]
    if not hasattr(target, "shape") or tuple(target.shape) != expected:
        own = tuple(getattr(target, "shape", ()))
        reason = (
            f"with x of shape {shape}, of {count} classes on axis {axis}, expected class indices "
            f"of shape {expected}{or_else}, got {own}."
        )
        raise ShapeError(in_full(name, reason, given, {}))
    if not _is_index(target):
        reason = (
            f"expected integers as class indices, got {target.dtype}: "
            f"target.astype(tg.int64){or_else}."
        )
        raise DTypeError(in_full(name, reason, given, {}))
    if count == 0:
        raise ShapeError(in_full(name, f"expected at least one class, got {shape}.", given, {}))
    if 0 in expected:
        return
    labels = raw(target)
    xp = namespace_of([labels])
    if ignore_index is not None:
        labels = xp.where(labels == ignore_index, xp.zeros_like(labels), labels)
    if found := xp.outside(labels, count):
        ignored = "" if ignore_index is None else f", or {ignore_index} to leave a sample out"
        reason = f"labels of {count} classes are 0 to {count - 1}{ignored}, got {found}."
        raise IndexingError(in_full(name, reason, given, {}))
