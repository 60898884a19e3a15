"""Base of the optimisers: parameter groups, state, and one update over one flat vector.

An update is a pure function of (parameter, gradient, state, step count, settings) that works
element by element. So parameters with the same update are bundled: concatenated into one vector and
updated in one call, which for a net of six tensors takes six times fewer calls. The parameters are
views of that vector. A step makes a new vector and rebinds them, so graphs built with the old
values stay valid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from numbers import Real
from typing import Any
from weakref import WeakSet

from tinygrad_lab.backends import NUMPY, Array, namespaces
from tinygrad_lab.context import touch
from tinygrad_lab.engine.keywords import collecting, not_taken
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, StateDictError, excerpt
from tinygrad_lab.optim.group import Group

__all__ = ["Bundle", "Optimizer"]

State = dict[str, Any]
"""The state of one parameter: ``"step"``, its number of updates, and the state arrays."""

living: WeakSet[Optimizer] = WeakSet()
"""All existing optimisers: a compiled step must not change the settings of any."""


class Optimizer:
    """Base of the optimisers; a subclass names its state arrays and writes the update.

    Args:
        params: tensors, or dicts with ``"params"`` and their own settings.
        defaults: the settings for groups that do not override them.

    ``param_groups`` is a list of dicts; their values (``lr``, ``weight_decay`` ...) may be
    changed between steps.
    """

    state_names: tuple[str, ...] = ()
    """The names of the state arrays, which are zero before the first step."""

    symbols: tuple[str, ...] = ()
    """What papers call them."""

    def __init__(self, params: Iterable[Any], defaults: Mapping[str, Any]) -> None:
        self.defaults = dict(defaults)
        self.param_groups: list[dict[str, Any]] = []
        self._bundles: list[list[Bundle]] = []
        self._bundled: list[list[int]] = []
        """The ids of the parameters in the bundles of each group."""
        self._states: dict[Tensor, State] = {}
        """The states of parameters that are not in a bundle."""
        params = _tensors(params)
        if not params:
            raise ArgumentError("an optimiser needs at least one parameter, got none.")
        grouped = isinstance(params[0], Mapping)
        for group in params if grouped else [{"params": params}]:
            self.add_param_group(group)
        living.add(self)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with their own settings."""
        if not isinstance(group, Mapping) or "params" not in group:
            raise ArgumentTypeError(
                f"a group must be a dict with 'params' and optional settings, got {excerpt(group)}."
            )
        tensors = _tensors(group["params"])
        known = {id(p) for p in self._parameters()}
        for parameter in tensors:
            if not isinstance(parameter, Tensor):
                raise ArgumentTypeError(
                    f"an optimiser takes tensors, got {type(parameter).__name__}: "
                    f"{excerpt(parameter)}. For a module, pass module.parameters()."
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
        settings = Group({**self.defaults, **group, "params": tensors})
        self.check(settings)
        self.param_groups.append(settings)
        self._bundles.append([])
        self._bundled.append([])

    def drop_param_groups(self, start: int) -> None:
        """Remove the last groups, from index ``start`` on."""
        del self.param_groups[start:], self._bundles[start:], self._bundled[start:]

    @collecting
    def zero_grad(self, **others: Any) -> None:
        """Reset the gradients of all parameters to None."""
        if others:
            raise not_taken(self.zero_grad, others)
        for group in self.param_groups:
            touch("set grad", group["params"])
            for parameter in group["params"]:
                parameter._grad = None

    def step(self) -> None:
        """Update every parameter that has a gradient."""
        touch("step", (self,))
        for number, group in enumerate(self.param_groups):
            # Reads _grad, not the slower property grad: this runs for every parameter at every
            # step.
            active = [p for p in group["params"] if getattr(p, "_grad", None) is not None]
            for bundle in self.bundles(number, active):
                bundle.step(self.update, group)

    def bundles(self, number: int, active: list[Tensor]) -> list[Bundle]:
        """Return the bundles of the parameters in a group that have a gradient now."""
        # Compare ids: == of two tensors compares their elements.
        intact = list(map(id, active)) == self._bundled[number]
        for bundle in self._bundles[number]:
            # A parameter that was rebound since is no longer a view of the vector.
            for parameter, view in zip(bundle.parameters, bundle.views, strict=False):
                intact = intact and parameter._data is view
        if not intact:
            self._bundle(number, active)
        return self._bundles[number]

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise an ``ArgumentError`` for invalid settings."""

    def _check_not_negative(self, settings: Mapping[str, Any], *names: str) -> None:
        kind = type(self).__name__
        for name in names:
            value = settings[name]
            if not isinstance(value, Real):
                raise ArgumentTypeError(f"{kind}: {name} must be a number, got {value!r:.60}.")
            if value < 0:
                raise ArgumentError(f"{kind}: {name} must not be negative, got {value}.")

    def update(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        """Return the new parameter and the new state: a pure elementwise function."""
        raise NotImplementedError

    def textbook(
        self,
        xp: Any,
        parameter: Array,
        gradient: Array,
        state: Sequence[Array],
        step: int,
        settings: Mapping[str, Any],
    ) -> tuple[Array, Sequence[Array]]:
        """Do what ``update`` does, up to rounding, in the words of its paper."""
        return self.update(xp, parameter, gradient, state, step, settings)

    def _parameters(self) -> list[Tensor]:
        """Return all parameters in order: a state dict refers to them by their index here."""
        return [parameter for group in self.param_groups for parameter in group["params"]]

    # --- bundling ------------------------------------------------------------------------------

    def _bundle(self, number: int, active: list[Tensor]) -> None:
        """Bundle the parameters of a group that have a gradient now; the others keep their state.

        A bundle holds parameters of the same library, dtype, device and step count.
        """
        self._unbundle(number)
        by_kind: dict[Any, list[Tensor]] = {}
        for parameter in active:
            state = self._states.get(parameter) or self._fresh_state(parameter)
            self._states[parameter] = state
            data = parameter.data
            key = (type(data), parameter.dtype, parameter.device, state["step"])
            by_kind.setdefault(key, []).append(parameter)
        # The states are let go last: Ctrl-C in between loses none.
        self._bundles[number] = [
            Bundle(parameters, [self._states[p] for p in parameters], self.state_names)
            for parameters in by_kind.values()
        ]
        self._bundled[number] = list(map(id, active))
        for parameter in active:
            self._states.pop(parameter, None)

    def _unbundle(self, number: int) -> None:
        """Return the states in a group's bundles to the single parameters."""
        for bundle in self._bundles[number]:
            self._states.update(zip(bundle.parameters, bundle.states(), strict=True))
        self._bundles[number], self._bundled[number] = [], []

    def _fresh_state(self, parameter: Tensor) -> State:
        zeros = namespaces[type(parameter._data)].zeros_like
        return {"step": 0, **{name: zeros(parameter.data) for name in self.state_names}}

    # --- state ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Return settings, step counts and state arrays, with parameters numbered in order."""
        for number in range(len(self.param_groups)):
            self._unbundle(number)
        numbers = {parameter: number for number, parameter in enumerate(self._parameters())}
        state = {
            numbers[parameter]: deepcopy(its_state)
            for parameter, its_state in self._states.items()
            if parameter in numbers
        }
        groups = [
            {**group, "params": [numbers[p] for p in group["params"]]}
            for group in self.param_groups
        ]
        return {"state": dict(sorted(state.items())), "param_groups": groups}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Restore what ``state_dict`` returned; the state moves to the device of the parameters.

        Raises:
            StateDictError: before anything is changed, if the state belongs to another kind of
                optimiser or to other parameters.
            ArgumentTypeError: for anything but what ``state_dict`` returns.
        """
        if not isinstance(state_dict, Mapping) or not {"param_groups", "state"} <= {*state_dict}:
            raise ArgumentTypeError(
                "load_state_dict takes what another optimiser's state_dict() returned; got "
                f"{type(state_dict).__name__}: {excerpt(state_dict)}."
            )
        groups, parameters = state_dict["param_groups"], self._parameters()
        self._check_fit(groups, state_dict["state"], parameters)
        for number, (group, saved) in enumerate(zip(self.param_groups, groups, strict=True)):
            self._unbundle(number)
            group.update({name: value for name, value in saved.items() if name != "params"})
        self._states = {}
        for number, state in state_dict["state"].items():
            parameter = parameters[number]
            as_array = namespaces[type(parameter.data)].asarray
            self._states[parameter] = {
                name: value
                if name == "step"
                else as_array(value, dtype=parameter.dtype, device=parameter.device)
                for name, value in state.items()
            }

    def _check_fit(
        self,
        groups: Sequence[Mapping[str, Any]],
        states: Mapping[int, Mapping[str, Any]],
        parameters: Sequence[Tensor],
    ) -> None:
        own = [len(group["params"]) for group in self.param_groups]
        sizes = [len(group["params"]) for group in groups]
        problems = []
        if sizes != own:
            problems.append(f"expected groups of {own} parameters, got {sizes}")
        for name in {name for group in groups for name in group} - {"params", *self.defaults}:
            problems.append(f"not a setting here: {name}")
        for number, state in states.items():
            if set(state) != {"step", *self.state_names}:
                wanted = ", ".join(("step", *self.state_names))
                problems.append(f"{number}: expected {wanted}; got {', '.join(state)}")
            elif number in range(len(parameters)):
                shape = parameters[number].shape
                problems += [
                    f"{number}: expected {name} of shape {shape}, got {state[name].shape}"
                    for name in self.state_names
                    if getattr(state[name], "shape", ()) != shape
                ]
            else:
                problems.append(f"not a parameter here: {number}")
        if problems:
            raise StateDictError(
                f"the state dict does not fit this {type(self).__name__}:\n  "
                + "\n  ".join(sorted(problems))
            )

    def __repr__(self) -> str:
        settings = ", ".join(f"{k}={v}" for k, v in self.param_groups[0].items() if k != "params")
        return f"{type(self).__name__}({len(self._parameters())} parameters, {settings})"


def _tensors(params: Any) -> list[Any]:
    """Return parameters as a list; raise for a single tensor, which is iterable, too."""
    if isinstance(params, Tensor):
        raise ArgumentTypeError(
            "an optimiser takes a list of tensors, got a single tensor: write [tensor]."
        )
    if callable(getattr(params, "parameters", None)):
        raise ArgumentTypeError(
            f"an optimiser takes tensors, got a {type(params).__name__}: write model.parameters()."
        )
    return list(params)


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
