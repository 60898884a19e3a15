"""A recording: the operations of a step, and what of the world around it they read and write."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tinygrad_lab.compiler.record.dependencies import Dependency
from tinygrad_lab.compiler.record.trace import Trace, Value
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["BundlePlace", "Recording", "State"]


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """Something that outlives a step, which it reads or writes."""

    kind: str
    """``"data"`` or ``"grad"`` of a tensor; ``"vector"``, ``"state"`` or ``"steps"`` of the
    parameters that an optimiser updates together."""
    owner: Any
    """The tensor, or the place of the optimiser's bundle."""
    position: int = 0
    """The index of the state vector."""

    # Tensors compare element by element: owners are compared by identity.
    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, State)
            and self.owner is other.owner
            and (self.kind, self.position) == (other.kind, other.position)
        )

    def __hash__(self) -> int:
        return hash((self.kind, id(self.owner), self.position))


@dataclass(frozen=True, slots=True, eq=False)
class BundlePlace:
    """Where an optimiser keeps the parameters that it updates together, and their state."""

    optimizer: Optimizer
    group: int
    parameters: tuple[Tensor, ...]
    active: tuple[Tensor, ...]
    """All parameters of the group that have a gradient."""

    def bundle(self) -> Any:
        """Return the current bundle; None if these parameters are no longer updated together."""
        for bundle in self.optimizer.bundles(self.group, list(self.active)):
            if list(map(id, bundle.parameters)) == list(map(id, self.parameters)):
                return bundle
        return None


@dataclass(slots=True)
class Recording:
    """The operations of a step, and their inputs and outputs."""

    trace: Trace
    arguments: list[Value | None]
    """The value of each leaf of the arguments; None if not a tensor, array or float."""
    states: dict[State, Value] = field(default_factory=dict)
    """The states that existed before the step, and were read."""
    settings: dict[tuple[Any, ...], Value] = field(default_factory=dict)
    writes: dict[State, Value] = field(default_factory=dict)
    """The new values of states that changed."""
    cleared: list[Tensor] = field(default_factory=list)
    """Tensors whose ``.grad`` is None after the step."""
    without_gradient: list[Tensor] = field(default_factory=list)
    """Tensors whose ``.grad`` must be None before the step."""
    left_out: list[Tensor] = field(default_factory=list)
    """Parameters that an optimiser skipped, because they had no gradient."""
    outputs: list[Any] = field(default_factory=list)
    """The leaves of the step's result: values, or objects that are the same at every call."""
    are_tensors: list[bool] = field(default_factory=list)
    """Which outputs are Tensors, rather than raw arrays and numbers."""
    rebuild: Callable[[list[Any]], Any] = lambda leaves: leaves[0]
    optimizers: list[Optimizer] = field(default_factory=list)
    groups: list[tuple[Optimizer, int, dict[str, Any]]] = field(default_factory=list)
    """The groups of parameters whose settings are read, and the settings at recording."""
    modules: dict[Any, bool] = field(default_factory=dict)
    """The modules that ran, and whether they were in training mode."""
    module_settings: dict[Any, dict[str, Any]] = field(default_factory=dict)
    """Their numeric settings: ``Dropout.p``."""
    dependencies: list[Dependency] = field(default_factory=list)
    """The Python that the step read: variables, attributes, items."""
    hooks: list[tuple[Tensor, tuple[Any, ...]]] = field(default_factory=list)
    """The hooks of the leaves that the step used."""

    def values_after(self) -> Iterator[Value]:
        """Yield the values that are read after all events: results, and new values of states."""
        yield from (one for one in self.outputs if isinstance(one, Value))
        yield from self.writes.values()

    def bundle_places(self) -> list[BundlePlace]:
        """Return where optimisers keep the parameters that the step updates together."""
        return [state.owner for state in self.states if state.kind == "vector"]

    def bundled(self) -> set[int]:
        """Return the ids of the parameters that are views of an optimiser's vector."""
        return {id(parameter) for place in self.bundle_places() for parameter in place.parameters}

    def in_place(self) -> set[State]:
        """Return the states that are read from their owners' memory, rather than from a copy."""
        bundled = self.bundled()
        return {
            state
            for state, value in self.states.items()
            if state.kind == "data"
            and value.is_array
            and state not in self.writes
            and id(state.owner) not in bundled
        }
