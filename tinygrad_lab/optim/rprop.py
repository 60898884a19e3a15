"""Resilient propagation: steps by the signs of gradients alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.from_torch import refuse_torch_only
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["Rprop"]


class Rprop(Optimizer):
    """Rprop: every element has its own step size Δ, and moves by it against the gradient's sign.

        g · g' > 0:  Δ ← min(η₊ Δ, Δ_max)
        g · g' < 0:  Δ ← max(η₋ Δ, Δ_min),  g ← 0
        p ← p - Δ · sign(g),  with g' the gradient of the step before

    It is for gradients of the whole data set: between batches signs change by chance.

    Source: Riedmiller & Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The
    RPROP Algorithm", 1993, without its step back where the sign changes (iRprop-; Igel & Hüsken,
    "Improving the Rprop Learning Algorithm", 2000).

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: Δ before the first step.
        etas: η₋ and η₊.
        step_sizes: Δ_min and Δ_max.
        maximize: go up.
        foreach: PyTorch's choice of a kernel; without effect.
        capturable, differentiable: refused.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.Rprop([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.9
    """

    state_names = ("prev", "step_size")
    symbols = ("g_last", "delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        refuse_torch_only("Rprop", capturable=capturable, differentiable=differentiable)
        settings = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, settings)

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr")
        etas, sizes = settings["etas"], settings["step_sizes"]
        if len(etas) != 2 or not 0 < etas[0] < 1 < etas[1]:
            raise ArgumentError(
                f"Rprop: etas must be a factor below 1 and one above, as (0.5, 1.2); got {etas}."
            )
        if len(sizes) != 2 or not 0 <= sizes[0] <= sizes[1]:
            raise ArgumentError(
                "Rprop: step_sizes must be the smallest and the largest, as (1e-06, 50); got "
                f"{sizes}."
            )

    def initial(self, name: str, settings: Mapping[str, Any]) -> float:
        return float(settings["lr"]) if name == "step_size" else 0.0

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        (shrink, grow), (smallest, largest) = settings["etas"], settings["step_sizes"]
        g = -gradient if settings["maximize"] else gradient
        before, size = state
        agreement = g * before
        turned = agreement < 0
        size = xp.where(turned, size * shrink, xp.where(agreement > 0, size * grow, size))
        size = xp.clip(size, smallest, largest)
        g = xp.where(turned, xp.zeros_like(g), g)
        return parameter - xp.sign(g) * size, (g, size)
