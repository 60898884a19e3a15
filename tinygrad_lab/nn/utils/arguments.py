"""The parameters that a function is given: one tensor or several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, excerpt

__all__ = ["tensors_of"]


def tensors_of(name: str, parameters: Any) -> list[Tensor]:
    """Return the tensors that a function was given, one or several.

    Raises:
        ArgumentTypeError: for a module, or anything but tensors.
    """
    if isinstance(parameters, Tensor):
        return [parameters]
    if hasattr(parameters, "parameters") or not isinstance(parameters, Iterable):
        raise ArgumentTypeError(
            f"{name} takes tensors, got {type(parameters).__name__}: {excerpt(parameters)}. For a "
            "module, pass module.parameters()."
        )
    tensors = list(parameters)
    for one in tensors:
        if not isinstance(one, Tensor):
            raise ArgumentTypeError(
                f"{name} takes tensors, one of them is {type(one).__name__}: {excerpt(one)}."
            )
    return tensors
