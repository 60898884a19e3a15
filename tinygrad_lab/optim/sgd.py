"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """p ← p - lr · v with v ← momentum · v + g, as in PyTorch.

    Args:
        params: tensors, or dicts of tensors and settings.
        lr: the learning rate.
        momentum: the fraction of the last v that is kept; the first v is g itself.
        weight_decay: added to the gradient, times the parameter.
        nesterov: look ahead: the step is g + momentum · v (Sutskever et al., 2013).

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
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum}
        super().__init__(params, settings | {"weight_decay": weight_decay, "nesterov": nesterov})

    def check(self, settings: Mapping[str, Any]) -> None:
        self._check_not_negative(settings, "lr", "momentum", "weight_decay")
        if settings["nesterov"] and not settings["momentum"]:
            raise ArgumentError("SGD: nesterov needs a momentum above 0.")

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        if settings["weight_decay"]:
            gradient = gradient + parameter * settings["weight_decay"]
        if momentum := settings["momentum"]:
            velocity = state[0] * momentum + gradient
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
        g = gradient + decay * parameter if decay else gradient
        if not momentum:
            return parameter - lr * g, state
        velocity = momentum * state[0] + g
        move = g + momentum * velocity if settings["nesterov"] else velocity
        return parameter - lr * move, (velocity,)
