"""Losses of numbers: how far x is from its target."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import holds, in_full, raw, shapes_of
from tinygrad_lab.errors import ArgumentError, ShapeError
from tinygrad_lab.nn.functional.distances import at_least
from tinygrad_lab.nn.functional.reduction import check_reduction, reduced, same_shape, weighted
from tinygrad_lab.ops.arguments.composed import composed

__all__ = [
    "gaussian_nll_loss",
    "huber_loss",
    "l1_loss",
    "mse_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
]

_subtract = direct(ops.subtract)


@composed()
def mse_loss(x: Any, target: Any, *, reduction: str = "mean", weight: Any = None) -> Any:
    """Return the squared differences: their mean, their sum, or each.

    Args:
        x, target: numbers of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        weight: of each number, in the same shape; the mean is divided by the sum of the weights.

    Raises:
        ShapeError: if the shapes differ: (N, 1) minus (N,) would broadcast to N² differences.
        ArgumentError: for another reduction.
    """
    check_reduction("mse_loss", reduction)
    _check_shapes("mse_loss", x, target, weight)
    return _squares(_subtract(x, target), weight, reduction)


@composed(rounds_once=True)
def _squares(difference: Any, weight: Any, reduction: str) -> Any:
    return weighted(difference * difference, weight, reduction)


def _check_shapes(name: str, x: Any, target: Any, weight: Any) -> None:
    more = {} if weight is None else {"weight": weight}
    same_shape(name, x=x, target=target, **more)


@composed(rounds_once=True)
def l1_loss(x: Any, target: Any, *, reduction: str = "mean", weight: Any = None) -> Any:
    """Return the absolute differences: their mean, their sum, or each.

    Arguments and errors are those of ``mse_loss``. The derivative at a difference of 0 is taken
    as 0.
    """
    check_reduction("l1_loss", reduction)
    _check_shapes("l1_loss", x, target, weight)
    return weighted(ops.abs(_subtract(x, target)), weight, reduction)


def _parabola_then_line(difference: Any, bound: float) -> Any:
    """Return d²/2 where |d| is within a bound, ``bound * (|d| - bound / 2)`` beyond."""
    near = ops.clip(difference, -bound, bound)
    return near * (difference - 0.5 * near)


@composed(rounds_once=True)
def smooth_l1_loss(x: Any, target: Any, *, reduction: str = "mean", beta: float = 1.0) -> Any:
    """Return d²/(2 beta) where the difference d is below ``beta``, |d| - beta/2 elsewhere.

    Args:
        x, target: numbers of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        beta: where the parabola ends; with 0 it is ``l1_loss``.

    Raises:
        ShapeError: if the shapes differ.
        ArgumentError: for a negative ``beta``, or another reduction.

    Source: Girshick, "Fast R-CNN", 2015, equation 3.
    """
    check_reduction("smooth_l1_loss", reduction)
    same_shape("smooth_l1_loss", x=x, target=target)
    if not beta >= 0:
        raise ArgumentError(f"smooth_l1_loss: expected beta of 0 or more, got {beta}.")
    difference = _subtract(x, target)
    if beta == 0:
        return reduced(ops.abs(difference), reduction)
    return reduced(_parabola_then_line(difference, beta) / beta, reduction)


@composed(rounds_once=True)
def huber_loss(
    x: Any, target: Any, reduction: str = "mean", delta: float = 1.0, weight: Any = None
) -> Any:
    """Return d²/2 where the difference d is below ``delta``, delta (|d| - delta/2) elsewhere.

    Args:
        x, target: numbers of the same shape.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
        delta: where the parabola ends.
        weight: of each number, in the same shape. As in PyTorch, and unlike in ``mse_loss``, the
            mean is divided by the number of losses.

    Raises:
        ShapeError: if the shapes differ.
        ArgumentError: for a ``delta`` that is not positive, or another reduction.

    Source: Huber, "Robust estimation of a location parameter", 1964.
    """
    check_reduction("huber_loss", reduction)
    _check_shapes("huber_loss", x, target, weight)
    if not delta > 0:
        raise ArgumentError(f"huber_loss: expected delta above 0, got {delta}.")
    losses = _parabola_then_line(_subtract(x, target), delta)
    return reduced(losses if weight is None else losses * weight, reduction)


@composed(rounds_once=True)
def poisson_nll_loss(
    x: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    *,
    eps: float = 1e-8,
    reduction: str = "mean",
) -> Any:
    """Return the negative log-likelihood of counts under Poisson distributions.

    Args:
        x: the logarithms of the expected counts.
        target: the counts, in the same shape.
        log_input: False if x holds the expected counts themselves.
        full: whether to add the term of the target alone, log(target!), by Stirling's formula (for
            counts above 1).
        eps: added to x before the logarithm, without ``log_input``.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: if the shapes differ.
        ArgumentError: for another reduction.
    """
    check_reduction("poisson_nll_loss", reduction)
    same_shape("poisson_nll_loss", x=x, target=target)
    losses = ops.exp(x) - target * x if log_input else x - target * ops.log(x + eps)
    if full:
        large = ops.greater(target, 1)
        count = ops.where(large, target, 1.0)
        of_count = count * ops.log(count) - count + 0.5 * ops.log(2 * math.pi * count)
        losses = losses + ops.where(large, of_count, 0.0)
    return reduced(losses, reduction)


@composed(rounds_once=True)
def gaussian_nll_loss(
    x: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    """Return the negative log-likelihood of numbers under normal distributions.

    Args:
        x: the expected numbers.
        target: the numbers, in the same shape.
        var: the variances: a number, or a tensor of the shape of x, of that shape with one size 1,
            or without its last axis.
        full: whether to add the constant log(2 π) / 2.
        eps: what variances below it are taken as; they still get a gradient.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.

    Raises:
        ShapeError: if the shapes do not fit.
        ArgumentError: for a negative variance, or another reduction.

    Source: Nix & Weigend, "Estimating the mean and variance of the target probability
    distribution", 1994.
    """
    check_reduction("gaussian_nll_loss", reduction)
    shape = same_shape("gaussian_nll_loss", x=x, target=target)
    var = _variances(x, target, var, shape)
    difference = _subtract(x, target)
    var = at_least(var, eps)
    losses = 0.5 * (ops.log(var) + difference * difference / var)
    return reduced(losses + 0.5 * math.log(2 * math.pi) if full else losses, reduction)


def _variances(x: Any, target: Any, var: Any, shape: tuple[int, ...]) -> Any:
    """Return the variances in a shape that broadcasts with x, checked."""
    given = {"x": x, "target": target, "var": var}
    *_, own = shapes_of("gaussian_nll_loss", **given)
    if own == () != shape:  # one variance for all
        var, own = var + ops.zeros_like(x), shape
    data = raw(var)
    xp = namespace_of([data])
    if 0 not in own and holds(xp.any(data < 0)):
        reason = "expected variances, which are not negative: exp() of an output makes it positive."
        raise ArgumentError(in_full("gaussian_nll_loss", reason, given, {}))
    if own == shape[:-1] and own != shape:
        return ops.expand_dims(var, axis=-1)
    differ = [n for n, m in zip(own, shape, strict=False) if n != m]
    if len(own) != len(shape) or differ not in ([], [1]):
        reason = (
            f"expected var of shape {shape}, {shape[:-1]}, or {shape} with one size 1, got {own}."
        )
        raise ShapeError(in_full("gaussian_nll_loss", reason, given, {}))
    return var
