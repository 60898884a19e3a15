"""The settings of a group of parameters: a dict that keeps NumPy's numbers as Python's."""

from __future__ import annotations

from typing import Any, Self

import numpy as np

__all__ = ["Group"]


class Group(dict[str, Any]):
    """A group of parameters and its settings, such as ``lr``.

    NumPy's numbers, which the cosine of a schedule written by hand is, become Python's when they
    are set: in an update of float32 parameters, a float64 would make float64 of them. Doing it at
    each step would cost a hundredth of the step of a small net.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__()
        self.update(settings)

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, _as_python(value))

    def update(self, *others: Any, **settings: Any) -> None:
        """Change several settings."""
        for name, value in dict(*others, **settings).items():
            self[name] = value

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Return a setting, after setting it if it is not there."""
        if name not in self:
            self[name] = default
        return self[name]

    def __ior__(self, others: Any) -> Self:  # type: ignore[override,misc]
        self.update(others)
        return self

    def copy(self) -> Group:
        """Return a group with the same settings."""
        return Group(self)


def _as_python(value: Any) -> Any:
    """Return a number of NumPy's, also in a tuple or list, as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    is_betas = type(value) in (tuple, list) and any(isinstance(one, np.generic) for one in value)
    return type(value)(map(_as_python, value)) if is_betas else value
