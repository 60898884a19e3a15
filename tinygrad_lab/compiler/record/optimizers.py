"""Lifting optimisers: their settings, step counts and state vectors as values of a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_lab.compiler.record.dependencies import as_number
from tinygrad_lab.compiler.record.foreign import is_library_class
from tinygrad_lab.compiler.record.lifting import LiftedTensors, entered
from tinygrad_lab.compiler.record.record import BundlePlace, Recording, State
from tinygrad_lab.compiler.record.running import RunningTrace
from tinygrad_lab.compiler.record.trace import Origin
from tinygrad_lab.compiler.refusal import UnsupportedError, refused
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.optim.optimizer import Optimizer, living

__all__ = ["LiftedOptimizers", "StepOf"]

StepOf = Callable[[BundlePlace, Any], Callable[..., None] | None]
"""What steps in place of a bundle while it is recorded, if anything does."""


class LiftedOptimizers:
    """The optimisers that a step uses, and the settings of all that live."""

    def __init__(
        self,
        trace: RunningTrace,
        recording: Recording,
        tensors: LiftedTensors,
        step_of: StepOf | None,
    ) -> None:
        self._trace, self._recording, self._tensors = trace, recording, tensors
        self._step_of = step_of
        self._groups: list[tuple[Optimizer, list[dict[str, Any]], list[dict[str, Any]]]] = []
        """Optimisers with their groups, and these with traced settings."""
        self._before = [
            (optimizer, [dict(group) for group in optimizer.param_groups]) for optimizer in living
        ]
        self._bundles: dict[int, _LiftedBundle] = {}

    def lift(self, optimizer: Optimizer) -> None:
        """Let settings, step counts and state vectors of an optimiser be traced."""
        if optimizer in self._recording.optimizers:
            return
        self._recording.optimizers.append(optimizer)
        for number, group in enumerate(optimizer.param_groups):
            self._lift_group(optimizer, number, group)
        lifted = [
            self._with_traced_settings(optimizer, number, group)
            for number, group in enumerate(optimizer.param_groups)
        ]
        self._groups.append((optimizer, optimizer.param_groups, list(map(dict, lifted))))
        optimizer.param_groups = lifted

    def _lift_group(self, optimizer: Optimizer, number: int, group: dict[str, Any]) -> None:
        """Lift the parameters of a group, their gradients, and their state."""
        recording, tensors = self._recording, self._tensors
        recording.groups.append((optimizer, number, dict(group)))
        active = [p for p in group["params"] if p.grad is not None]
        recording.left_out += [p for p in group["params"] if tensors.came_without_gradient(p)]
        tensors.lift(active)
        tensors.lift([p.grad for p in active])
        for bundle in self._bundles_of(optimizer, number, active):
            place = BundlePlace(optimizer, number, tuple(bundle.parameters), tuple(active))
            if any(p._data is not tensors.handle_of(p) for p in bundle.parameters):
                raise UnsupportedError("a parameter is set and then updated by an optimiser")
            self._bundles[id(bundle)] = lifted = _LiftedBundle.of(bundle, place)
            lifted.lift(self._trace, recording, self._step_of)

    def _bundles_of(self, optimizer: Optimizer, number: int, active: list[Tensor]) -> Sequence[Any]:
        """Return the bundles of a group, made from the parameters before the step."""
        now = [p._data for p in active]
        for p in active:
            p._data = self._tensors.data_of(p)
        try:
            return optimizer.bundles(number, active)
        finally:
            for p, data in zip(active, now, strict=True):
                p._data = data

    def _with_traced_settings(
        self, optimizer: Optimizer, number: int, group: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the settings of a group, with floats replaced by traced numbers."""
        return {
            name: setting
            if name == "params"
            else self._traced_setting(name, (optimizer, number, name), setting)
            for name, setting in group.items()
        }

    def _traced_setting(self, name: str, key: tuple[Any, ...], setting: Any) -> Any:
        if isinstance(setting, tuple):
            stem = name.removesuffix("s")
            pairs = enumerate(setting)
            return tuple([self._traced_setting(f"{stem}{i + 1}", (*key, i), x) for i, x in pairs])
        number = as_number(setting)
        if number is None or not (isinstance(setting, float) or is_library_class(type(key[0]))):
            return setting
        handle = entered(self._trace, number, Origin("setting", name, key))
        self._recording.settings[key] = handle.value
        return handle

    # --- the end ----------------------------------------------------------------------------------

    def refuse_changes(self) -> None:
        """Raise if the step has changed a setting, which a replay would not do."""
        real = {id(optimizer): groups for optimizer, groups, _ in self._groups}
        for optimizer, before in self._before:
            _compare_settings(before, real.get(id(optimizer), optimizer.param_groups))
        for optimizer, _, lifted in self._groups:
            _compare_settings(lifted, optimizer.param_groups)

    def note_changes(self) -> None:
        """Enter the new state of what was updated."""
        for bundle in self._bundles.values():
            bundle.note(self._recording.writes)

    def put_back(self, *, keep_changes: bool) -> None:
        """Remove every traced array from the optimisers."""
        for optimizer, groups, _ in self._groups:
            optimizer.param_groups = groups
        for optimizer, groups in () if keep_changes else self._before:
            optimizer.drop_param_groups(len(groups))
            for group, before in zip(optimizer.param_groups, groups, strict=True):
                group.update(before)
        for bundle in self._bundles.values():
            bundle.put_back(keep_changes=keep_changes)

    def forget(self) -> None:
        """Drop the traced arrays."""
        self._groups = [(optimizer, groups, []) for optimizer, groups, _ in self._groups]


@dataclass(frozen=True, slots=True)
class _LiftedBundle:
    """Parameters that are updated together, as they were before the step."""

    bundle: Any
    place: BundlePlace
    vector: Any
    state: Sequence[Any]
    steps: int
    views: Any

    @classmethod
    def of(cls, bundle: Any, place: BundlePlace) -> _LiftedBundle:
        return cls(bundle, place, bundle.vector, bundle.state, bundle.steps, bundle.views)

    def lift(self, trace: RunningTrace, recording: Recording, step_of: StepOf | None) -> None:
        """Put traced arrays in the places of the vector, the state and the step count."""
        bundle, place = self.bundle, self.place

        def lifted(name: str, state: State, data: Any) -> Any:
            handle = entered(trace, data, Origin("state", name, state))
            recording.states[state] = handle.value
            return handle

        vector = lifted("parameters", State("vector", place), bundle.vector)
        names = bundle.state_names[: len(bundle.state)]
        moments = [
            lifted(name, State("state", place, position), array)
            for position, (name, array) in enumerate(zip(names, bundle.state, strict=True))
        ]
        steps = lifted("steps", State("steps", place), bundle.steps)
        bundle.vector, bundle.state, bundle.steps = vector, tuple(moments), steps
        bundle.views = [p._data for p in bundle.parameters]
        step = None if step_of is None else step_of(place, bundle)
        if step is not None:
            bundle.step = step

    def note(self, writes: dict[State, Any]) -> None:
        bundle, place = self.bundle, self.place
        writes[State("vector", place)] = bundle.vector.value
        for position, array in enumerate(bundle.state):
            writes[State("state", place, position)] = array.value
        writes[State("steps", place)] = bundle.steps.value

    def put_back(self, *, keep_changes: bool) -> None:
        bundle = self.bundle
        vars(bundle).pop("step", None)
        if keep_changes:
            bundle.vector = bundle.vector.value.array
            bundle.state = tuple([one.value.array for one in bundle.state])
            bundle.steps = bundle.steps.value.array
            bundle.views = [one.value.array for one in bundle.views]
        else:
            bundle.vector, bundle.state, bundle.steps = self.vector, self.state, self.steps
            bundle.views = self.views


def _compare_settings(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    """Raise if settings are other ones."""
    if len(now) != len(before):
        raise refused("another group of parameters", "Add groups outside of the step.")
    for earlier, group in zip(before, now, strict=True):
        for name, setting in group.items():
            if setting is not earlier.get(name):
                instead = "Change settings outside of the step, between two calls."
                raise refused(f"another {name} of the optimiser", instead)
