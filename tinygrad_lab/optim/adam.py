"""Adam and AdamW."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array
from tinygrad_lab.optim.from_torch import refuse_torch_only
from tinygrad_lab.optim.optimizer import Optimizer, turned_on_late

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
        amsgrad: scale by the largest v so far (Reddi, Kale & Kumar, "On the Convergence of Adam and
            Beyond", 2018, algorithm 2).
        maximize: go up.
        decoupled_weight_decay: decay as ``AdamW`` does.
        foreach, fused: PyTorch's choice of a kernel; without effect.
        capturable, differentiable: refused.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.Adam([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.9
    """

    state_names = ("exp_avg", "exp_avg_sq")
    symbols = ("m", "v", "v_max")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        kind = type(self).__name__
        refuse_torch_only(kind, capturable=capturable, differentiable=differentiable)
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        switches = {"amsgrad": amsgrad, "maximize": maximize}
        switches["decoupled_weight_decay"] = decoupled_weight_decay
        super().__init__(params, settings | switches)

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "eps", "weight_decay")
        self._check_fractions(settings, "betas")

    def names(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        more = ("max_exp_avg_sq",) if settings["amsgrad"] else ()
        return (*self.state_names, *more)

    def _largest(self, before: Sequence[Array]) -> Array:
        """Return the largest v so far, of the states beyond m and v."""
        if not before:
            raise turned_on_late(self, "max_exp_avg_sq")
        return before[0]

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
        if settings["maximize"]:
            gradient = -gradient
        if decay and settings["decoupled_weight_decay"]:
            parameter = parameter * (1 - lr * decay)
        elif decay:
            gradient = gradient + parameter * decay
        mean, square, *largest = state
        # Augmented assignments reuse the memory of intermediate results, never of an input: they
        # save half of the allocations.
        if beta1:
            new_mean = gradient - mean
            new_mean *= 1 - beta1
            new_mean += mean
        else:  # m + (g - m) would lose the digits of a g that is small after a large one
            new_mean = gradient
        # (1 - β₂) g comes before its product with g: g² alone may overflow, and inf - v stays.
        new_square = gradient * (1 - beta2)
        new_square *= gradient
        if beta2:
            new_square += square * beta2
        # √v̂ + ε = (√v + ε √(1 - β₂ᵗ)) / √(1 - β₂ᵗ): two numbers contain the corrections.
        correction = (1 - beta2**step) ** 0.5
        if settings["amsgrad"]:
            largest = [xp.maximum(self._largest(largest), new_square)]
            scale = xp.sqrt(largest[0])
        else:
            scale = xp.sqrt(new_square)
        scale += settings["eps"] * correction
        move = new_mean / scale
        move *= lr * correction / (1 - beta1**step)
        return parameter - move, (new_mean, new_square, *largest)

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
        if settings["maximize"]:
            gradient = -gradient
        if decay and settings["decoupled_weight_decay"]:
            parameter = parameter - lr * decay * parameter
        elif decay:
            gradient = gradient + decay * parameter
        m, v, *largest = state
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        if settings["amsgrad"]:
            largest = [xp.maximum(self._largest(largest), v)]
        m_hat = m / (1 - beta1**step)
        v_hat = (largest[0] if settings["amsgrad"] else v) / (1 - beta2**step)
        return parameter - lr * m_hat / (xp.sqrt(v_hat) + settings["eps"]), (m, v, *largest)


class AdamW(Adam):
    """Adam with weight decay that bypasses the running means.

    Source: Loshchilov & Hutter, "Decoupled Weight Decay Regularization", 2019.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            decoupled_weight_decay=True,
        )
