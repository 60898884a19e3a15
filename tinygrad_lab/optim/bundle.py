"""Parameters that an optimiser updates together: one vector of them, and of each state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import NUMPY, Array, namespaces
from tinygrad_lab.engine.tensor import Tensor

__all__ = ["Bundle", "State"]

State = dict[str, Any]
"""The state of one parameter: ``"step"``, its number of updates, and the state arrays."""


class Bundle:
    """Parameters of the same kind and step count in one vector, with their state vectors."""

    def __init__(
        self, parameters: list[Tensor], states: list[State], state_names: Sequence[str]
    ) -> None:
        self.parameters = parameters
        self.steps: int = states[0]["step"]
        self.numbers = isinstance(parameters[0]._data, float)
        """Whether the parameters are Python floats, so that the vector is a NumPy array of them."""
        self.shapes = [parameter.shape for parameter in parameters]
        self.slices: list[slice] = []
        start = 0
        for parameter in parameters:
            self.slices.append(slice(start, start + parameter.size))
            start += parameter.size
        self.vector = self._joined([p._data for p in parameters])
        self.state: Sequence[Array] = [
            self._joined([state[name] for state in states]) for name in state_names
        ]
        self.state_names = state_names
        self.views: list[Array] = []

    def step(self, update: Callable[..., Any], settings: Mapping[str, Any]) -> None:
        """Update all parameters with one call."""
        gradients = [p._grad._data for p in self.parameters]  # type: ignore[union-attr]
        xp = namespaces[type(self.vector)]
        gradient = xp.vector_of(gradients) if self.numbers else self._joined(gradients)
        self.steps += 1
        self.vector, self.state = update(
            xp, self.vector, gradient, self.state, self.steps, settings
        )
        self.views = self.parts(self.vector)
        for parameter, view in zip(self.parameters, self.views, strict=True):
            parameter._rebind(view)

    def join_again(self) -> None:
        """Join the parameters as they are now."""
        self.vector = self._joined([p._data for p in self.parameters])

    def states(self) -> list[State]:
        """Return the state of each parameter."""
        parts = [self.parts(vector) for vector in self.state]
        return [
            {"step": self.steps, **dict(zip(self.state_names, its_parts, strict=True))}
            for its_parts in (zip(*parts, strict=True) if parts else [()] * len(self.parameters))
        ]

    def _joined(self, arrays: Sequence[Array]) -> Array:
        """Concatenate arrays into one vector."""
        if self.numbers:
            return NUMPY.vector_of(arrays)
        xp = namespaces[type(arrays[0])]
        return xp.concat([array.reshape(-1) for array in arrays])

    def parts(self, vector: Array) -> list[Array]:
        """Split a vector into the parts of the parameters, in their shapes."""
        if self.numbers:
            return namespaces[type(vector)].numbers_in(vector)
        return [
            vector[its_slice] if len(shape) == 1 else vector[its_slice].reshape(shape)
            for its_slice, shape in zip(self.slices, self.shapes, strict=True)
        ]
