"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.from_torch import refuse_torch_only
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """p ← p - lr · v with v ← momentum · v + (1 - dampening) · g, as in PyTorch.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: the learning rate.
        momentum: the fraction of the last v that is kept; the first v is g itself.
        dampening: the fraction of g that does not enter v, from the second step on.
        weight_decay: added to the gradient, times the parameter.
        nesterov: look ahead: the step is g + momentum · v.
        maximize: go up.
        foreach, fused: PyTorch's choice of a kernel; without effect.
        differentiable: refused.

    Source: Sutskever, Martens, Dahl & Hinton, "On the importance of initialization and momentum in
    deep learning", 2013, with the learning rate outside of v.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> optimizer = tg.optim.SGD([x], lr=0.1)
        >>> (x * x).backward(); optimizer.step(); round(x.item(), 6)
        2.4
    """

    state_names = ("momentum_buffer",)
    symbols = ("velocity",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        refuse_torch_only("SGD", differentiable=differentiable)
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening}
        others = {"weight_decay": weight_decay, "nesterov": nesterov, "maximize": maximize}
        super().__init__(params, settings | others)

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "momentum", "weight_decay")
        self._check_number(settings, "dampening")
        if settings["nesterov"] and not settings["momentum"]:
            raise ArgumentError("SGD: nesterov needs a momentum above 0.")
        if settings["nesterov"] and settings["dampening"]:
            raise ArgumentError("SGD: nesterov needs a dampening of 0.")

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        if settings["maximize"]:
            gradient = -gradient
        if settings["weight_decay"]:
            gradient = gradient + parameter * settings["weight_decay"]
        if momentum := settings["momentum"]:
            fresh = gradient
            if settings["dampening"]:
                # The first v is g itself, undamped.
                fresh = gradient * (1 - settings["dampening"] * (step > 1))
            velocity = state[0] * momentum + fresh
            state = (velocity,)
            gradient = gradient + velocity * momentum if settings["nesterov"] else velocity
        return parameter - gradient * settings["lr"], state

    def textbook(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        lr, momentum, decay = settings["lr"], settings["momentum"], settings["weight_decay"]
        dampening = settings["dampening"]
        g = -gradient if settings["maximize"] else gradient
        g = g + decay * parameter if decay else g
        if not momentum:
            return parameter - lr * g, state
        velocity = momentum * state[0] + ((1 - dampening * (step > 1)) * g if dampening else g)
        move = g + momentum * velocity if settings["nesterov"] else velocity
        return parameter - lr * move, (velocity,)
