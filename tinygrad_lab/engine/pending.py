"""Gradients that the sweep collects piece by piece before they are complete.

Most gradients are arrays that are added up. Two kinds are not: ``Scatter``, of a value of which
elements were picked one by one, adds into one buffer; ``Cotangents``, of an op with several
outputs, waits for the gradient of each output.
"""

from __future__ import annotations

from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.backends.scatter import Scatter

__all__ = ["PENDING", "Cotangents", "namespace_of_gradient"]


class Cotangents:
    """Gradients of some outputs of an op with several; None for those that none reached."""

    __slots__ = ("_count", "_gradients")
    shape = dtype = None

    def __init__(self, count: int, gradients: dict[int, Any]) -> None:
        self._count = count
        self._gradients = gradients

    def __add__(self, other: Cotangents) -> Cotangents:
        # In place, as only the sweep holds it: a copy each time would be quadratic in the outputs.
        self._gradients.update(other._gradients)
        return self

    def total(self) -> tuple[Any, ...]:
        """Return one gradient for each output."""
        return tuple(self._gradients.get(position) for position in range(self._count))


PENDING: set[type] = {Scatter, Cotangents}
"""The classes of gradients whose ``total()`` is taken once every use has contributed.

``ops`` adds that of gradients which are to be differentiated again.
"""


def namespace_of_gradient(g: Any) -> Any:
    """Return the namespace of a gradient, or of those of several outputs that were reached."""
    parts = g if isinstance(g, tuple) else (g,)
    return next(namespaces[part.__class__] for part in parts if part is not None)
