"""Parameters that are computed from others: a pruned weight, a normalised one.

``module.weight`` then is no parameter: it is computed each time it is read, and gradients flow on
to the parameters that it is computed from. PyTorch computes it in a hook before ``forward`` and
keeps it until the next; here it is never older than what it is computed from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, excerpt
from tinygrad_lab.nn.module import Module, Parameter

__all__ = ["computation_of", "compute_instead", "keep_instead", "parameter_of"]


def computation_of(module: Module, name: Any) -> Any:
    """Return what computes an attribute of a module; None for one that is not computed."""
    return vars(module).get("_computed", {}).get(name) if isinstance(name, str) else None


def compute_instead(module: Module, name: str, computation: Callable[[Module], Tensor]) -> None:
    """Put a computation in the place of a parameter, which is removed from the module.

    The text of a computation says what it computes and how to change it: errors show it.
    """
    delattr(module, name)
    vars(module).setdefault("_computed", {})[name] = computation


def keep_instead(module: Module, name: str, parameter: Parameter, *parts: str) -> None:
    """Put a parameter in the place of a computation, and remove what that was computed from."""
    for part in parts:
        delattr(module, part)
        vars(module).get("_buffers", {}).pop(part, None)
    del vars(module)["_computed"][name]
    setattr(module, name, parameter)


def parameter_of(function: str, module: Any, name: Any) -> Parameter:
    """Return a parameter of a module that a function of ``nn.utils`` is called with.

    Raises:
        ArgumentTypeError: for no module.
        ArgumentError: where the module has no such parameter; the message lists those there are.
    """
    if not isinstance(module, Module):
        raise ArgumentTypeError(
            f"{function} takes a module and the name of a parameter, got {excerpt(module)}."
        )
    own = {key: one for key, one in vars(module).items() if isinstance(one, Parameter)}
    if not isinstance(name, str) or name not in own:
        names = ", ".join(own) or "none"
        inner = next((path for path, _ in module.named_parameters()), None)
        hint = f" Give the layer itself, {inner!r} is inside." if not own and inner else ""
        raise ArgumentError(
            f"{function}: {type(module).__name__} has no parameter {excerpt(name)}; it has "
            f"{names}.{hint}"
        )
    return own[name]
