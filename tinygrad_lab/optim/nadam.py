"""NAdam and RAdam: Adam with Nesterov's momentum, and with a rectified scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array
from tinygrad_lab.optim.from_torch import refuse_torch_only
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["NAdam", "RAdam"]


class NAdam(Optimizer):
    """NAdam: Adam that looks ahead, as Nesterov's momentum does.

        μₜ = β₁ (1 - ½ · 0.96^(t ψ))        π ← π μₜ
        m ← β₁ m + (1 - β₁) g               v ← β₂ v + (1 - β₂) g²
        p ← p - lr · ((1 - μₜ) / (1 - π) · g + μₜ₊₁ / (1 - π μₜ₊₁) · m) / (√v̂ + ε)

    with v̂ = v / (1 - β₂ᵗ), and π = 1 before the first step.

    Source: Dozat, "Incorporating Nesterov Momentum into Adam", 2016, algorithm 2, with the schedule
    of μ from its section 3.2.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: the learning rate.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: added to the gradient, times the parameter.
        momentum_decay: ψ.
        decoupled_weight_decay: decay as ``AdamW`` does.
        maximize: go up.
        foreach: PyTorch's choice of a kernel; without effect.
        capturable, differentiable: refused.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.NAdam([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.894355
    """

    # π is a number; as an array of equal ones it is part of the state of every parameter, as the
    # pure update wants it.
    state_names = ("exp_avg", "exp_avg_sq", "mu_product")
    symbols = ("m", "v", "pi")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_torch_only("NAdam", capturable=capturable, differentiable=differentiable)
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        settings |= {"momentum_decay": momentum_decay, "maximize": maximize}
        super().__init__(params, settings | {"decoupled_weight_decay": decoupled_weight_decay})

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "eps", "weight_decay", "momentum_decay")
        self._check_fractions(settings, "betas")

    def initial(self, name: str, settings: Mapping[str, Any]) -> float:
        return 1.0 if name == "mu_product" else 0.0

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        beta1, beta2 = settings["betas"]
        parameter, g = with_decay(parameter, gradient, settings)
        m, v, product = state
        mu = beta1 * (1 - 0.5 * 0.96 ** (step * settings["momentum_decay"]))
        next_mu = beta1 * (1 - 0.5 * 0.96 ** ((step + 1) * settings["momentum_decay"]))
        product = product * mu
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        ahead = (1 - mu) / (1 - product) * g + next_mu / (1 - product * next_mu) * m
        scale = xp.sqrt(v / (1 - beta2**step)) + settings["eps"]
        return parameter - settings["lr"] * ahead / scale, (m, v, product)


class RAdam(Optimizer):
    """RAdam: Adam whose scale comes in as soon as v is known well enough.

        m ← β₁ m + (1 - β₁) g        v ← β₂ v + (1 - β₂) g²
        rho_inf = 2 / (1 - β₂) - 1        rho = rho_inf - 2 t β₂ᵗ / (1 - β₂ᵗ)
        p ← p - lr · m̂ · r / (√v̂ + ε / √(1 - β₂ᵗ))   if rho > 5, else   p ← p - lr · m̂

    with m̂ = m / (1 - β₁ᵗ), v̂ = v / (1 - β₂ᵗ) and
    r² = (rho - 4) (rho - 2) rho_inf / ((rho_inf - 4) (rho_inf - 2) rho).

    Source: Liu et al., "On the Variance of the Adaptive Learning Rate and Beyond", 2020,
    algorithm 2, with PyTorch's threshold of 5 in place of 4, and its ε.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: the learning rate.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: added to the gradient, times the parameter.
        decoupled_weight_decay: decay as ``AdamW`` does.
        maximize: go up.
        foreach: PyTorch's choice of a kernel; without effect.
        capturable, differentiable: refused.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.RAdam([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.4
    """

    state_names = ("exp_avg", "exp_avg_sq")
    symbols = ("m", "v")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_torch_only("RAdam", capturable=capturable, differentiable=differentiable)
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        switches = {"maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay}
        super().__init__(params, settings | switches)

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "eps", "weight_decay")
        self._check_fractions(settings, "betas")

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        beta1, beta2 = settings["betas"]
        parameter, g = with_decay(parameter, gradient, settings)
        m, v = state
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        rest = 1 - beta2**step
        limit = 2 / (1 - beta2) - 1
        rho = limit - 2 * step * beta2**step / rest
        move = settings["lr"] / (1 - beta1**step) * m
        # A compiled step decides again at each call.
        if xp.holds(rho > 5):
            rectified = (rho - 4) * (rho - 2) * limit / ((limit - 4) * (limit - 2) * rho)
            move = move * ((rectified * rest) ** 0.5 / (xp.sqrt(v) + settings["eps"]))
        return parameter - move, (m, v)


def with_decay(
    parameter: Array, gradient: Array, settings: Mapping[str, Any]
) -> tuple[Array, Array]:
    """Return the decayed parameter, and the gradient of what is minimised."""
    if settings["maximize"]:
        gradient = -gradient
    decay = settings["weight_decay"]
    if decay and settings["decoupled_weight_decay"]:
        return parameter * (1 - settings["lr"] * decay), gradient
    return parameter, gradient + decay * parameter if decay else gradient
