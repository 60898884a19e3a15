"""What functions of ``init`` and ``utils`` are given: numbers, one tensor or several."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMBERS
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, excerpt

__all__ = ["check_numbers", "is_number", "tensors_of"]


def is_number(value: Any) -> bool:
    """Return whether a value is a real number; those of a compiled step's arguments are."""
    known = type(value) in NUMBERS and not isinstance(value, complex)
    return known or isinstance(value, np.integer | np.floating)


def check_numbers(name: str, **numbers: Any) -> None:
    """Raise an ``ArgumentTypeError`` for an argument that is no real number."""
    for argument, value in numbers.items():
        if not is_number(value):
            hint = ": value.item() is its number" if isinstance(value, Tensor) else ""
            raise ArgumentTypeError(
                f"{name}: {argument} is a number, got {type(value).__name__}: {excerpt(value)}"
                f"{hint}."
            )


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
