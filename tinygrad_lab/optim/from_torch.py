"""State dicts of PyTorch's optimisers, in the form that they have here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lab.errors import ArgumentError

__all__ = ["group_from_torch", "refuse_torch_only", "state_from_torch"]

SWITCHES = ("capturable", "differentiable", "foreach", "fused")
NAMES = "param_names"
"""What PyTorch notes of parameters that came with names; here they are numbered."""


def refuse_torch_only(kind: str, *, capturable: bool = False, differentiable: bool = False) -> None:
    """Raise for arguments of PyTorch's optimisers that have no meaning here.

    ``foreach`` and ``fused`` choose a kernel there, of the same results; here parameters are
    updated as one vector whatever they say.
    """
    if capturable:
        raise ArgumentError(
            f"{kind}: capturable is about CUDA graphs. Here tg.compile records a step with its "
            "update; leave it out."
        )
    if differentiable:
        raise ArgumentError(
            f"{kind}: differentiable=True is not supported: a step rebinds its parameters, which "
            "are leaves. Write p = p - lr * tg.grad(loss)(p) to differentiate through an update."
        )


def group_from_torch(kind: str, group: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved group without the switches that only PyTorch has; raise where one is on."""
    refuse_torch_only(
        kind,
        capturable=bool(group.get("capturable")),
        differentiable=bool(group.get("differentiable")),
    )
    return {name: value for name, value in group.items() if name not in (*SWITCHES, NAMES)}


def state_from_torch(
    state: Mapping[str, Any], names: Sequence[str], settings: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the saved state of a parameter with all that an optimiser has here.

    Args:
        state: arrays, and the count of steps, which is an array there.
        names: of the arrays that there are here.
        settings: of the parameter's group.
    """
    state = dict(state)
    if not settings.get("momentum") and "momentum_buffer" in names:
        state.setdefault("momentum_buffer", 0.0)  # of RMSprop
    if tuple(names) == ("momentum_buffer",) and "momentum_buffer" in state:
        # SGD counts no steps there. Its update asks only whether there was one before.
        state.setdefault("step", 1)
    if "step" in state:
        state["step"] = int(state["step"])
    return state
