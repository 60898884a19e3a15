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

from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.context import touch
from tinygrad_lab.engine.keywords import collecting, not_taken
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    StateDictError,
    excerpt,
)
from tinygrad_lab.optim.bundle import Bundle, State
from tinygrad_lab.optim.from_torch import group_from_torch, state_from_torch
from tinygrad_lab.optim.group import Group

__all__ = ["Bundle", "Optimizer", "living", "turned_on_late"]

SCHEDULED = ("initial_lr",)
"""What schedules note in a group, beside its settings."""

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
    """The names of the state arrays; see also ``names``, and ``initial`` for their first values."""

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
            raise ArgumentError(
                "an optimiser needs at least one parameter, got none. Where it was given "
                "model.parameters(): a module finds what is assigned to its attributes, but not "
                "modules in a plain list or dict, nor tensors. Put modules in "
                "nn.ModuleList([...]), a tensor in nn.Parameter(tensor)."
            )
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
            if parameter.dtype.kind == "c":
                raise DTypeError(
                    f"an optimiser takes real tensors, got {parameter.dtype}. Learn the real and "
                    "the imaginary part: tg.complex(a, b)."
                )
            if id(parameter) in known:
                raise ArgumentError("a parameter was given to the optimiser twice.")
            known.add(id(parameter))
        unknown = set(group) - set(self.defaults) - {"params", *SCHEDULED}
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
    def zero_grad(self, set_to_none: bool = True, **others: Any) -> None:
        """Reset the gradients of all parameters to None."""
        if others:
            raise not_taken(self.zero_grad, others)
        if not set_to_none:
            raise ArgumentError(
                "zero_grad: gradients are reset to None, so that parameters that a loss does not "
                "reach are left alone. Leave set_to_none out."
            )
        for group in self.param_groups:
            touch("set grad", group["params"])
            for parameter in group["params"]:
                parameter._grad = None

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Args:
            closure: computes the loss and its gradients before the update, as PyTorch has it.

        Returns:
            What the closure returns; None without one.
        """
        loss = None if closure is None else closure()
        touch("step", (self,))
        for number, group in enumerate(self.param_groups):
            # Reads _grad, not the slower property grad: this runs for every parameter at every
            # step.
            active = [p for p in group["params"] if getattr(p, "_grad", None) is not None]
            for bundle in self.bundles(number, active):
                bundle.step(self.update, group)
        return loss

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
        for bundle in self._bundles[number]:
            if not bundle.views:  # no step was made: its parameters may have changed since
                bundle.join_again()
        return self._bundles[number]

    def check(self, settings: Mapping[str, Any]) -> None:
        """Raise an ``ArgumentError`` for invalid settings."""

    def names(self, settings: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the state arrays under these settings."""
        return self.state_names

    def initial(self, name: str, settings: Mapping[str, Any]) -> float:
        """Return what a state array is full of before the first step."""
        return 0.0

    def _check_number(self, settings: Mapping[str, Any], *names: str) -> None:
        for name in names:
            if not isinstance(settings[name], Real):
                kind, shown = type(self).__name__, f"{settings[name]!r:.60}"
                raise ArgumentTypeError(f"{kind}: {name} must be a number, got {shown}.")

    def _check_not_negative(self, settings: Mapping[str, Any], *names: str) -> None:
        self._check_number(settings, *names)
        for name in names:
            value = settings[name]
            if not value >= 0:
                word = "be negative" if value < 0 else "be NaN"
                raise ArgumentError(f"{type(self).__name__}: {name} must not {word}, got {value}.")

    def _check_fractions(self, settings: Mapping[str, Any], name: str) -> None:
        """Raise unless a setting is a pair of numbers in [0, 1)."""
        pair, kind = settings[name], type(self).__name__
        if not isinstance(pair, tuple | list) or not all(isinstance(one, Real) for one in pair):
            raise ArgumentTypeError(f"{kind}: {name} must be two numbers, got {pair!r:.60}.")
        if len(pair) != 2 or not all(0 <= one < 1 for one in pair):
            raise ArgumentError(f"{kind}: {name} must be two numbers in [0, 1), got {pair}.")

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
        group = self.param_groups[number]
        names = self.names(group)
        by_kind: dict[Any, list[Tensor]] = {}
        for parameter in active:
            state = self._states.get(parameter) or self._fresh_state(parameter, group)
            self._states[parameter] = state
            if missing := [name for name in names if name not in state]:
                raise turned_on_late(self, missing[0])
            data = parameter.data
            key = (type(data), parameter.dtype, parameter.device, state["step"])
            by_kind.setdefault(key, []).append(parameter)
        # The states are let go last: Ctrl-C in between loses none.
        self._bundles[number] = [
            Bundle(parameters, [self._states[p] for p in parameters], names)
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

    def _fresh_state(self, parameter: Tensor, group: Mapping[str, Any]) -> State:
        zeros = namespaces[type(parameter._data)].zeros_like
        state: State = {"step": 0}
        for name in self.names(group):
            first = self.initial(name, group)
            state[name] = zeros(parameter.data) + first if first else zeros(parameter.data)
        return state

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

        What PyTorch's optimiser of the same name returned is taken, too; a state that is one number
        there stands for an array full of it.

        Raises:
            StateDictError: before anything is changed, if the state belongs to another kind of
                optimiser or to other parameters.
            ArgumentTypeError: for anything but what ``state_dict`` returns.
        """
        if not isinstance(state_dict, Mapping) or not {"param_groups", "state"} <= {*state_dict}:
            raise ArgumentTypeError(
                "load_state_dict takes what another optimiser's state_dict() returned, a dict with "
                f"'state' and 'param_groups'; got {type(state_dict).__name__}: "
                f"{excerpt(state_dict)}."
            )
        kind, parameters = type(self).__name__, self._parameters()
        groups = [group_from_torch(kind, group) for group in state_dict["param_groups"]]
        settings = {
            number: {**self.defaults, **group} for group in groups for number in group["params"]
        }
        names = {number: self.names(its_settings) for number, its_settings in settings.items()}
        states = {
            number: state_from_torch(
                state, names.get(number, self.state_names), settings.get(number, self.defaults)
            )
            for number, state in state_dict["state"].items()
        }
        self._check_fit(groups, states, names, parameters)
        for number, (group, saved) in enumerate(zip(self.param_groups, groups, strict=True)):
            self._unbundle(number)
            group.update({name: value for name, value in saved.items() if name != "params"})
        self._states = {}
        for number, state in states.items():
            parameter = parameters[number]
            self._states[parameter] = {
                name: value if name == "step" else _state_like(parameter, value)
                for name, value in state.items()
            }

    def _check_fit(
        self,
        groups: Sequence[Mapping[str, Any]],
        states: Mapping[int, Mapping[str, Any]],
        names: Mapping[int, tuple[str, ...]],
        parameters: Sequence[Tensor],
    ) -> None:
        own = [len(group["params"]) for group in self.param_groups]
        sizes = [len(group["params"]) for group in groups]
        problems = []
        if sizes != own:
            problems.append(f"expected groups of {own} parameters, got {sizes}")
        for name in {name for group in groups for name in group} - {
            "params",
            *SCHEDULED,
            *self.defaults,
        }:
            problems.append(f"not a setting here: {name}")
        for number, state in states.items():
            its_names = names.get(number, self.state_names)
            if set(state) != {"step", *its_names}:
                wanted = ", ".join(("step", *its_names))
                problems.append(f"{number}: expected {wanted}; got {', '.join(state)}")
            elif number in range(len(parameters)):
                shape = parameters[number].shape
                problems += [
                    f"{number}: expected {name} of shape {shape}, got {tuple(state[name].shape)}"
                    for name in its_names
                    if getattr(state[name], "shape", ()) not in ((), shape)
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


def _state_like(parameter: Tensor, value: Any) -> Array:
    """Return a copy of a saved state in the parameter's kind, dtype, device and shape."""
    xp = namespaces[type(parameter.data)]
    array = xp.asarray(value, dtype=parameter.dtype, device=parameter.device)
    fits = getattr(array, "shape", ()) == parameter.shape
    return array if fits else array + xp.zeros_like(parameter.data)


def turned_on_late(optimizer: Optimizer, state: str) -> ArgumentError:
    """Return the error for a setting that asks for a state array after steps without it."""
    return ArgumentError(
        f"{type(optimizer).__name__}: a setting was turned on after the first step, and there is "
        f"no {state} of the steps before. Turn it on when the optimiser is made."
    )
