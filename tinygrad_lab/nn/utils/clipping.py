"""Gradients made smaller where they are too large, between ``backward()`` and ``step()``.

Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural networks" (2013),
section 3.2: one steep wall in the loss would throw the parameters far away.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import zeros
from tinygrad_lab.engine.explain import holds
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, NonFiniteError, excerpt
from tinygrad_lab.nn.arguments import check_numbers, is_number, tensors_of

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


@explaining
def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients together, so that their norm as one vector is at most ``max_norm``.

    Args:
        parameters: tensors, or one; those without a gradient are left out.
        max_norm: the largest norm; inf measures and changes nothing.
        norm_type: any power p of (Σ |g|^p)^(1/p); inf stands for the largest absolute value.
        error_if_nonfinite: raise where the norm is NaN or infinite. Without it, such a norm makes
            gradients 0 or NaN.

    Returns:
        The norm before, without axes; 0 where there are no gradients.

    Raises:
        ArgumentTypeError: for a module, or anything but tensors.
        ArgumentError: for a ``max_norm`` below 0 or NaN.
        NonFiniteError: as ``error_if_nonfinite`` says; gradients stay as they are.

    Gradients are multiplied by max_norm / (norm + 1e-6), as in PyTorch, where that is below 1.

    Example:
        >>> import tinygrad_lab as tg
        >>> w = tg.tensor([3.0, 4.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tg.nn.utils.clip_grad_norm_([w], max_norm=1.0), w.grad
        (tensor(10.), tensor([0.59999996, 0.79999995]))
    """
    tensors = tensors_of("clip_grad_norm_", parameters)
    gradients = [tensor.grad for tensor in tensors if tensor.grad is not None]
    total_norm = get_total_norm(gradients, norm_type, error_if_nonfinite)
    clip_grads_with_norm_(tensors, max_norm, total_norm)
    return total_norm


@explaining
def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """Return the norm of all numbers of some tensors, as if they were one vector.

    Args, errors: as in ``clip_grad_norm_``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.utils.get_total_norm([tg.tensor([3.0]), tg.tensor([[4.0]])])
        tensor(5.)
    """
    power = _power(norm_type)
    filled = [one.detach() for one in tensors_of("get_total_norm", tensors) if one.size]
    if not filled:
        return zeros(())
    norms = [ops.vector_norm(one, ord=power) for one in filled]
    total: Tensor = ops.vector_norm(ops.stack(norms), ord=power)
    if error_if_nonfinite and not holds(ops.isfinite(total)):
        raise NonFiniteError(
            f"the norm of the gradients, of power {power}, is NaN or infinite, so one of them is. "
            "`with tg.debug():` finds the op that made it; error_if_nonfinite=False goes on."
        )
    return total


@explaining
def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor
) -> None:
    """Scale gradients whose norm is known already; the rest of ``clip_grad_norm_``.

    Args:
        parameters: tensors, or one; those without a gradient are left out.
        max_norm: the largest norm.
        total_norm: their norm, as ``get_total_norm`` returns it.

    Raises:
        ArgumentTypeError, ArgumentError: as in ``clip_grad_norm_``.
    """
    tensors = tensors_of("clip_grads_with_norm_", parameters)
    _check_limit("clip_grads_with_norm_", "max_norm", max_norm)
    if not isinstance(total_norm, Tensor):
        raise ArgumentTypeError(
            "clip_grads_with_norm_: total_norm is a Tensor, as get_total_norm returns it; got "
            f"{excerpt(total_norm)}."
        )
    # Nothing here requires a gradient, and without no_grad ops are faster.
    scale = ops.minimum(max_norm / (total_norm.detach() + 1e-6), 1.0)
    for tensor in tensors:
        if (gradient := tensor.grad) is not None:
            gradient.data = gradient * scale


@explaining
def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Clip every number of every gradient to -``clip_value`` ... ``clip_value``.

    Args:
        parameters: tensors, or one; those without a gradient are left out.
        clip_value: the largest absolute value.

    Raises:
        ArgumentTypeError: for a module, or anything but tensors.
        ArgumentError: for a ``clip_value`` below 0 or NaN.

    Example:
        >>> import tinygrad_lab as tg
        >>> w = tg.tensor([3.0, -0.1], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> tg.nn.utils.clip_grad_value_([w], 1.0)
        >>> w.grad
        tensor([ 1. , -0.2])
    """
    tensors = tensors_of("clip_grad_value_", parameters)
    _check_limit("clip_grad_value_", "clip_value", clip_value)
    for tensor in tensors:
        if (gradient := tensor.grad) is not None:
            gradient.data = ops.clip(gradient, -clip_value, clip_value)


def _power(norm_type: Any) -> float:
    power = math.nan
    if isinstance(norm_type, str) or is_number(norm_type):
        with suppress(ValueError):  # of a word
            power = float(norm_type)
    if math.isnan(power):
        raise ArgumentError(
            f"norm_type is a number such as 2, or float('inf'), got {excerpt(norm_type)}."
        )
    return power


def _check_limit(name: str, argument: str, limit: Any) -> None:
    check_numbers(name, **{argument: limit})
    if not holds(limit >= 0):
        raise ArgumentError(f"{name}: {argument} is 0 or more, got {excerpt(limit)}.")
