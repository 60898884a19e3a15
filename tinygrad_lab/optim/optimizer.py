"""What optimisers share: parameter groups, state, and one update over one flat vector.

An update is a pure function of (parameter, gradient, state, step count, hyper-parameters) that
works element by element. So all parameters of a group are laid end to end in one vector and
updated at once: a net of six tensors takes six times fewer calls. The parameters are views of
that vector. A step makes a new one and rebinds them, so that graphs built with the old values
stay right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, StateDictError
from tinygrad_lab.tensor import Tensor

__all__ = ["Optimizer"]


class Optimizer:
    """Base of the optimisers; a subclass says how many state vectors it has, and the update.

    Args:
        params: tensors, or dicts with ``"params"`` and settings of their own.
        defaults: settings of groups that do not say otherwise.

    ``param_groups`` is a list of dicts; their values (``lr``, ``weight_decay`` ...) may be
    changed between steps.
    """

    state_names: tuple[str, ...] = ()
    """The state vectors that the update carries from step to step; they start at zero."""

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self._layouts: list[list[_Layout]] = []
        params = list(params)
        if not params:
            raise ArgumentError("an optimiser needs at least one parameter, got none.")
        for group in params if isinstance(params[0], dict) else [{"params": params}]:
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with settings of their own."""
        tensors = list(group["params"])
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for parameter in tensors:
            if not isinstance(parameter, Tensor):
                raise ArgumentTypeError(
                    f"an optimiser takes tensors, got {type(parameter).__name__}."
                )
            if not parameter.is_leaf:
                raise ArgumentError("an optimiser takes leaves, not tensors computed from others.")
            if id(parameter) in known:
                raise ArgumentError("a parameter was given to the optimiser twice.")
            known.add(id(parameter))
        unknown = set(group) - set(self.defaults) - {"params"}
        if unknown:
            raise ArgumentError(
                f"{type(self).__name__} has no setting {', '.join(sorted(unknown))}; it has "
                f"{', '.join(self.defaults)}."
            )
        self.param_groups.append({**self.defaults, **group, "params": tensors})
        self._layouts.append([])

    def zero_grad(self) -> None:
        """Forget the gradients that the parameters have collected."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter._grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        for position, group in enumerate(self.param_groups):
            active = [p for p in group["params"] if p.grad is not None]
            for layout in self._laid_out(position, active):
                layout.step(self, group)

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        """The new parameter and the new state; a pure function, element by element."""
        raise NotImplementedError

    # --- laying out ----------------------------------------------------------------------------

    def _laid_out(self, position: int, active: list[Tensor]) -> list[_Layout]:
        """The layouts of the parameters that have a gradient now; new ones if those changed."""
        layouts = self._layouts[position]
        if [id(p) for layout in layouts for p in layout.parameters] != [id(p) for p in active]:
            states = dict(self._states(position))
            kinds: dict[Any, list[Tensor]] = {}
            for parameter in active:
                key = (type(parameter._data), str(parameter.dtype), parameter.device)
                kinds.setdefault(key, []).append(parameter)
            layouts = [
                _Layout(self.state_names, same, states)
                for kind in kinds.values()
                for same in _of_one_age(kind, states)
            ]
            # Parameters without a gradient now keep their state for when they have one again.
            resting = [p for p in states if id(p) not in {id(q) for q in active}]
            self._resting = getattr(self, "_resting", {}) | {p: states[p] for p in resting}
            self._layouts[position] = layouts
        return layouts

    def _states(self, position: int) -> Iterable[tuple[Tensor, dict[str, Any]]]:
        """What the update remembers of each parameter: step count and state arrays."""
        yield from getattr(self, "_resting", {}).items()
        for layout in self._layouts[position]:
            yield from layout.states()

    # --- state -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Settings, step counts and state arrays, with parameters numbered in order."""
        numbers = self._numbers()
        state = {}
        for position in range(len(self.param_groups)):
            for parameter, its_state in self._states(position):
                state[numbers[id(parameter)]] = {
                    name: value if name == "step" else namespaces[type(value)].asarray(value)
                    for name, value in its_state.items()
                }
        groups = [
            {**group, "params": [numbers[id(p)] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what ``state_dict`` gave.

        Raises:
            StateDictError: if the groups have other numbers of parameters.
        """
        groups = state_dict["param_groups"]
        expected = [len(group["params"]) for group in self.param_groups]
        if [len(group["params"]) for group in groups] != expected:
            raise StateDictError(
                f"the state dict has groups of {[len(g['params']) for g in groups]} parameters, "
                f"the optimiser of {expected}."
            )
        for group, saved in zip(self.param_groups, groups, strict=True):
            group.update({name: value for name, value in saved.items() if name != "params"})
        parameters = [p for group in self.param_groups for p in group["params"]]
        self._layouts = [[] for _ in self.param_groups]
        self._resting = {
            parameters[number]: dict(its_state) for number, its_state in state_dict["state"].items()
        }

    def _numbers(self) -> dict[int, int]:
        parameters = [p for group in self.param_groups for p in group["params"]]
        return {id(parameter): number for number, parameter in enumerate(parameters)}

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v}" for k, v in self.param_groups[0].items() if k != "params")
        count = sum(len(group["params"]) for group in self.param_groups)
        return f"{type(self).__name__}({count} parameters, {settings})"


def _of_one_age(
    parameters: list[Tensor], states: Mapping[Tensor, Mapping[str, Any]]
) -> list[list[Tensor]]:
    """Parameters sorted into those that were updated equally often."""
    ages: dict[int, list[Tensor]] = {}
    for parameter in parameters:
        ages.setdefault(states.get(parameter, {}).get("step", 0), []).append(parameter)
    return list(ages.values())


class _Layout:
    """Parameters of one kind and dtype, end to end in one vector, with their state vectors."""

    def __init__(
        self,
        state_names: Sequence[str],
        parameters: list[Tensor],
        states: Mapping[Tensor, Mapping[str, Any]],
    ) -> None:
        self.parameters = parameters
        self.state_names = state_names
        self.xp = namespaces[type(parameters[0]._data)]
        self.single = isinstance(parameters[0]._data, float)
        self.steps = states.get(parameters[0], {}).get("step", 0)
        self.slices: list[slice] = []
        start = 0
        for parameter in parameters:
            self.slices.append(slice(start, start + parameter.size))
            start += parameter.size
        self.views: list[Array] = [None] * len(parameters)
        self.vector: Array = None
        self.state = [
            self._joined([self._state_of(p, states, name) for p in parameters])
            for name in state_names
        ]

    def _state_of(
        self, parameter: Tensor, states: Mapping[Tensor, Mapping[str, Any]], name: str
    ) -> Array:
        known = states.get(parameter, {}).get(name)
        return self.xp.zeros_like(parameter._data) if known is None else known

    def _joined(self, arrays: Sequence[Array]) -> Array:
        """Arrays end to end in one vector; Python floats as a NumPy vector."""
        if self.single:
            from tinygrad_lab.backends import NUMPY

            return NUMPY.asarray(arrays, dtype="float64")
        return self.xp.concat([self.xp.reshape(array, (-1,)) for array in arrays])

    def step(self, optimizer: Optimizer, settings: Mapping[str, Any]) -> None:
        """One update of all the parameters at once."""
        parameters = self.parameters
        for parameter, view in zip(parameters, self.views, strict=True):
            if parameter._data is not view:
                # Somebody rebound it since: the vector is collected anew.
                self.vector = self._joined([p._data for p in parameters])
                break
        gradient = self._joined([p._grad._data for p in parameters])  # type: ignore[union-attr]
        self.steps += 1
        xp = namespaces[type(self.vector)]
        self.vector, self.state = optimizer.update(  # type: ignore[assignment]
            xp, self.vector, gradient, self.state, self.steps, settings
        )
        for position, parameter in enumerate(parameters):
            view = self._part(self.vector, position)
            self.views[position] = view
            parameter._rebind(view)

    def _part(self, vector: Array, position: int) -> Array:
        """One parameter's part of a vector, in the parameter's shape."""
        part = vector[self.slices[position]]
        if self.single:
            return part.item()
        return part.reshape(self.parameters[position]._data.shape)

    def states(self) -> Iterable[tuple[Tensor, dict[str, Any]]]:
        """Step count and state arrays of each parameter."""
        for position, parameter in enumerate(self.parameters):
            parts = {
                name: self._part(vector, position)
                for name, vector in zip(self.state_names, self.state, strict=True)
            }
            yield parameter, {"step": self.steps, **parts}
