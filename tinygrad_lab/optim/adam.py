"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient, m, and of its square, v.

        m ← β₁ m + (1 - β₁) g        v ← β₂ v + (1 - β₂) g²
        p ← p - lr · m̂ / (√v̂ + ε),   m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)

    Source: Kingma & Ba, "Adam: A Method for Stochastic Optimization", 2015, algorithm 1.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: the learning rate.
        betas: β₁ and β₂.
        eps: ε.
        weight_decay: added to the gradient, times the parameter; see ``AdamW``.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.Adam([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.9
    """

    state_names = ("exp_avg", "exp_avg_sq")
    symbols = ("m", "v")
    decoupled = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, settings)

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "eps", "weight_decay")
        betas = settings["betas"]
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ArgumentError(
                f"{type(self).__name__}: betas must be two numbers in [0, 1), got {betas}."
            )

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        lr, decay = settings["lr"], settings["weight_decay"]
        beta1, beta2 = settings["betas"]
        if decay and self.decoupled:
            parameter = parameter * (1 - lr * decay)
        elif decay:
            gradient = gradient + parameter * decay
        mean, square = state
        # Augmented assignments reuse the memory of intermediate results, never of an input: they
        # save half of the allocations.
        new_mean = gradient - mean
        new_mean *= 1 - beta1
        new_mean += mean
        new_square = gradient * gradient
        new_square -= square
        new_square *= 1 - beta2
        new_square += square
        # √v̂ + ε = (√v + ε √(1 - β₂ᵗ)) / √(1 - β₂ᵗ): two numbers contain the corrections.
        correction = (1 - beta2**step) ** 0.5
        scale = xp.sqrt(new_square)
        scale += settings["eps"] * correction
        move = new_mean / scale
        move *= lr * correction / (1 - beta1**step)
        return parameter - move, (new_mean, new_square)

    def textbook(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        lr, decay = settings["lr"], settings["weight_decay"]
        beta1, beta2 = settings["betas"]
        if decay and self.decoupled:
            parameter = parameter - lr * decay * parameter
        elif decay:
            gradient = gradient + decay * parameter
        m, v = state
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        m_hat = m / (1 - beta1**step)
        v_hat = v / (1 - beta2**step)
        return parameter - lr * m_hat / (xp.sqrt(v_hat) + settings["eps"]), (m, v)


class AdamW(Adam):
    """Adam with weight decay that bypasses the running means.

    Source: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    decoupled = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
