"""Adagrad, RMSprop and Adadelta: steps scaled by sums or means of squared gradients."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.from_torch import refuse_torch_only
from tinygrad_lab.optim.optimizer import Optimizer, turned_on_late

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


class Adagrad(Optimizer):
    """Adagrad: the larger the gradients of a parameter were so far, the smaller its steps.

        s ← s + g²        p ← p - lr / (1 + (t - 1) · lr_decay) · g / (√s + ε)

    Source: Duchi, Hazan & Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", 2011, with a diagonal matrix.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: the learning rate.
        lr_decay: how fast it falls with the step count t.
        weight_decay: added to the gradient, times the parameter.
        initial_accumulator_value: s before the first step.
        eps: ε.
        maximize: go up.
        foreach, fused: PyTorch's choice of a kernel; without effect.
        differentiable: refused.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.Adagrad([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.9
    """

    state_names = ("sum",)
    symbols = ("s",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        refuse_torch_only("Adagrad", differentiable=differentiable)
        settings = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay}
        settings["initial_accumulator_value"] = initial_accumulator_value
        super().__init__(params, {**settings, "maximize": maximize})

    def check(self, settings: Mapping[str, Any]) -> None:
        names = ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")
        self._check_not_negative(settings, *names)

    def initial(self, name: str, settings: Mapping[str, Any]) -> float:
        return float(settings["initial_accumulator_value"])

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        g = effective_gradient(parameter, gradient, settings)
        total = state[0] + g * g
        lr = settings["lr"] / (1 + (step - 1) * settings["lr_decay"])
        return parameter - lr * g / (xp.sqrt(total) + settings["eps"]), (total,)


class RMSprop(Optimizer):
    """RMSprop: steps scaled by a running mean of squared gradients, v.

        v ← alpha v + (1 - alpha) g²        p ← p - lr · g / (√v + ε)

    With ``momentum``, b ← momentum · b + g / (√v + ε) and p ← p - lr · b. With ``centered``, √v is
    the running standard deviation √(v - ḡ²), with ḡ ← alpha ḡ + (1 - alpha) g.

    Source: Tieleman & Hinton, "Lecture 6.5 - RMSProp", Coursera: Neural Networks for Machine
    Learning, 2012; centered: Graves, "Generating Sequences With Recurrent Neural Networks", 2013,
    equations 38 to 41.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: the learning rate.
        alpha: alpha.
        eps: ε.
        weight_decay: added to the gradient, times the parameter.
        momentum: the fraction of the last b that is kept.
        centered: scale by the standard deviation.
        maximize: go up.
        foreach: PyTorch's choice of a kernel; without effect.
        capturable, differentiable: refused.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.RMSprop([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.0
    """

    state_names = ("square_avg", "momentum_buffer")
    symbols = ("v", "b", "g_mean")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_torch_only("RMSprop", capturable=capturable, differentiable=differentiable)
        settings = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps}
        switches = {"centered": centered, "maximize": maximize}
        super().__init__(params, {**settings, "weight_decay": weight_decay, **switches})

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "eps", "weight_decay", "momentum")
        check_mean(self, settings, "alpha")

    def names(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        return (*self.state_names, *(("grad_avg",) if settings["centered"] else ()))

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        lr, alpha, momentum = settings["lr"], settings["alpha"], settings["momentum"]
        g = effective_gradient(parameter, gradient, settings)
        square, buffer, *means = state
        square = alpha * square + (1 - alpha) * g * g
        variance = square
        if settings["centered"]:
            if not means:
                raise turned_on_late(self, "grad_avg")
            means = [alpha * means[0] + (1 - alpha) * g]
            # A variance of 0 may be a little below 0, after rounding.
            variance = xp.relu(square - means[0] * means[0])
        move = g / (xp.sqrt(variance) + settings["eps"])
        if momentum:
            move = buffer = momentum * buffer + move
        return parameter - lr * move, (square, buffer, *means)


class Adadelta(Optimizer):
    """Adadelta: steps as large as recent steps were, relative to recent gradients.

        v ← rho v + (1 - rho) g²        Δ = √(u + ε) / √(v + ε) · g
        u ← rho u + (1 - rho) Δ²        p ← p - lr · Δ

    Source: Zeiler, "ADADELTA: An Adaptive Learning Rate Method", 2012, algorithm 1.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: scales the steps.
        rho: rho.
        eps: ε.
        weight_decay: added to the gradient, times the parameter.
        maximize: go up.
        foreach: PyTorch's choice of a kernel; without effect.
        capturable, differentiable: refused.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.Adadelta([x])
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.996838
    """

    state_names = ("square_avg", "acc_delta")
    symbols = ("v", "u")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_torch_only("Adadelta", capturable=capturable, differentiable=differentiable)
        settings = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "maximize": maximize})

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "eps", "weight_decay")
        check_mean(self, settings, "rho")

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        rho, eps = settings["rho"], settings["eps"]
        g = effective_gradient(parameter, gradient, settings)
        square, moved = state
        square = rho * square + (1 - rho) * g * g
        move = xp.sqrt(moved + eps) / xp.sqrt(square + eps) * g
        moved = rho * moved + (1 - rho) * move * move
        return parameter - settings["lr"] * move, (square, moved)


def effective_gradient(parameter: Array, gradient: Array, settings: Mapping[str, Any]) -> Array:
    """Return the gradient of what is minimised: turned round to go up, with weight decay."""
    if settings["maximize"]:
        gradient = -gradient
    if settings["weight_decay"]:
        gradient = gradient + settings["weight_decay"] * parameter
    return gradient


def check_mean(optimizer: Optimizer, settings: Mapping[str, Any], name: str) -> None:
    """Raise unless a setting can weigh the past of a running mean: a number in [0, 1]."""
    optimizer._check_not_negative(settings, name)
    if settings[name] > 1:
        kind = type(optimizer).__name__
        raise ArgumentError(f"{kind}: {name} must be in [0, 1], got {settings[name]}.")
