"""Recording a step: run it once, for real, and record everything that happens to arrays.

Before an op sees a tensor that existed before the step, the recorder *lifts* it: it replaces its
data by a traced array, and remembers the original. This is how it finds out which tensors, which
optimiser state and which settings a step reads, and at the end which of them it has changed:
parameters, moments, step counts and gradients are inputs and outputs of the recording.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.backends import SMALL, namespace_of
from tinygrad_lab.backends.no_numbers import check_numbers
from tinygrad_lab.compiler.record.arrays import TracedArray, holds_traced, traced_namespace
from tinygrad_lab.compiler.record.dependencies import Dependency, as_number
from tinygrad_lab.compiler.record.foreign import is_library_class
from tinygrad_lab.compiler.record.numbers import TracedNumber
from tinygrad_lab.compiler.record.relied import Relied
from tinygrad_lab.compiler.record.trace import (
    Event,
    Origin,
    Part,
    Trace,
    Value,
    openers,
    phases,
    target_of,
)
from tinygrad_lab.compiler.refusal import AskedError, UnsupportedError, refused
from tinygrad_lab.context import Touch, changed
from tinygrad_lab.engine.ancestry import ancestors
from tinygrad_lab.engine.apply import apply
from tinygrad_lab.engine.backward import sweep
from tinygrad_lab.engine.hooks import run_hooks
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.engine.op import Op
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.engine.user_code import is_library, line_of
from tinygrad_lab.errors import CompileError
from tinygrad_lab.nn.module import settings_of
from tinygrad_lab.optim.optimizer import Bundle, Optimizer, living
from tinygrad_lab.random.generator import remembered_states

__all__ = ["BundlePlace", "Recorder", "Recording", "State", "UnsupportedError", "record_step"]

_TRACED = (TracedArray, TracedNumber)


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


@dataclass(slots=True)
class _Lifted:
    """A tensor as it was before the step."""

    tensor: Tensor
    data: Any
    grad: Any
    node: Any
    origin: Any
    result: Any
    leaf: Any
    handle: Any
    first_gradient: bool = False
    """It had no ``.grad``, and received one."""
    gradient_set: bool = False
    """The step sets its ``.grad``, perhaps to None, whatever it was before."""


class Recorder:
    """Lifts what a step uses, and restores everything."""

    def __init__(self, as_numbers: frozenset[int] = frozenset()) -> None:
        self.as_numbers = as_numbers
        """The places of numbers among the arguments that are read at each call."""
        self.trace = Trace()
        self.recording = Recording(self.trace, [])
        self._lifted: dict[int, _Lifted] = {}
        self._arguments: list[tuple[Tensor, Any]] = []
        self._grads: dict[int, Tensor] = {}
        """By the id of a tensor that is a leaf's ``.grad``: that leaf."""
        self._groups: list[tuple[Optimizer, list[dict[str, Any]], list[dict[str, Any]]]] = []
        self._settings_before = [
            (optimizer, [dict(group) for group in optimizer.param_groups]) for optimizer in living
        ]
        self._bundles: dict[int, tuple[Any, Any, Sequence[Any], int, Any, BundlePlace]] = {}
        self._named: list[tuple[Node, Value]] = []

    # --- lifting ----------------------------------------------------------------------------------

    def lift(self, inputs: Iterable[Any]) -> None:
        """Replace the data of tensors that existed before the step by traced arrays."""
        for x in inputs:
            if isinstance(x, Tensor) and x._data.__class__ not in _TRACED:
                self._lift(x)

    def arrays_of(self, inputs: Sequence[Any], op: Op | None = None) -> list[Any]:
        """Return the data of an op's inputs, all of it traced; the op is applied to them."""
        self.lift(inputs)
        arrays = self.traced([x._data if isinstance(x, Tensor) else x for x in inputs])
        if op is not None:
            self.trace.applied = _part_of(op, "forward", op.named_arrays(arrays))
            self.trace.applied.frame = id(sys._getframe(1))
        return arrays

    def touch(self, how: Touch, things: Sequence[Any]) -> None:
        """Prepare for what is about to happen to tensors, modules or optimisers."""
        if how == "schedule":
            raise refused(
                "a step of a learning rate schedule",
                "Call scheduler.step() after the compiled step.",
            )
        if how == "seed":
            raise refused(
                "a seed of a random generator",
                "Seed generators, and make them, outside of the step.",
            )
        if how == "look":
            _refuse_looking()
        if how == "read":
            self.lift(things)
        prepare: dict[str, Callable[[Any], None]] = {
            "set grad": self.lift_owner,
            "collect": self._prepare_collecting,
            "run": self._visit,
            "step": self.lift_optimizer,
        }
        if how in prepare:
            for thing in things:
                prepare[how](thing)

    def _prepare_collecting(self, leaf: Leaf) -> None:
        """Lift the gradient that a leaf's tensor has collected, or note that it has none."""
        tensor = leaf.owner()
        if tensor is None:
            return
        if tensor.grad is None:
            self._note_first_gradient(tensor)
        else:
            self.lift([tensor.grad])

    def traced(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the arrays that an op is given, with the user's NumPy arrays traced, too."""
        return [
            TracedArray(self.trace, self.trace.constant(np.asarray(one)))
            if isinstance(one, np.ndarray | np.generic)
            else one
            for one in arrays
        ]

    def lift_owner(self, x: Tensor) -> None:
        """Lift a tensor whose ``.grad`` is about to be set."""
        self.lift([x])
        if id(x) in self._lifted:
            self._lifted[id(x)].gradient_set = True

    def _lift(self, x: Tensor) -> TracedArray | TracedNumber:
        leaf = _owner_of(x)
        if leaf is not None:
            self._grads[id(x)] = leaf
        state = State("data", x) if leaf is None else State("grad", leaf)
        name = x.name or ("" if leaf is None else f"d_{leaf.name or 'tensor'}")
        handle = self._given(x._data, Origin("state", _identifier(name or "tensor"), state))
        self.recording.states[state] = handle.value
        handle.value.wants_gradient = x._node is not None
        self._remember(x, handle)
        x._data = handle
        return handle

    def _given(self, data: Any, origin: Origin) -> Any:
        if isinstance(data, np.generic):
            data = np.asarray(data)
        if not isinstance(data, np.ndarray | int | float):
            device = namespace_of([data]).device_of(data)
            raise UnsupportedError(f"it becomes NumPy code, and {origin.name} is on {device}")
        return self._handle(self.trace.given(data, origin))

    def _handle(self, value: Value) -> Any:
        kind = TracedArray if value.is_array else TracedNumber
        return kind(self.trace, value)

    def _remember(self, x: Tensor, handle: Any) -> None:
        origin = getattr(x, "_origin", None)
        leaf = x._node or origin
        self._lifted[id(x)] = _Lifted(
            x, x._data, x.grad, x._node, origin, getattr(leaf, "_result", None), leaf, handle
        )

    def lift_argument(self, leaf: Any, position: int, name: str) -> Any:
        """Return a leaf of the arguments, traced if it is a tensor, an array or a float."""
        origin = Origin("argument", _identifier(name), position)
        if isinstance(leaf, Tensor):
            if leaf.requires_grad:
                raise UnsupportedError(
                    "an argument requires a gradient, and what a replay returns has no history. "
                    "If none is needed, pass x.detach()"
                )
            # A separate tensor: at the next call one tensor may be passed twice, or an argument
            # may no longer be a tensor that the step also has from elsewhere.
            own = detached(self._given(_in_own_memory(leaf._data), origin))
            if leaf.name:
                own.name = leaf.name
            self._arguments.append((own, own._data))
            self.recording.arguments.append(own._data.value)
            return own
        if isinstance(leaf, np.ndarray) or position in self.as_numbers:
            handle = self._given(_in_own_memory(leaf), origin)
            self.recording.arguments.append(handle.value)
            return handle
        self.recording.arguments.append(None)
        return leaf

    def lift_optimizer(self, optimizer: Optimizer) -> None:
        """Let settings, step counts and state vectors of an optimiser be traced."""
        self.trace.optimizer = type(optimizer)
        if optimizer in self.recording.optimizers:
            return
        self.recording.optimizers.append(optimizer)
        for number, group in enumerate(optimizer.param_groups):
            self.recording.groups.append((optimizer, number, dict(group)))
            active = [p for p in group["params"] if p.grad is not None]
            self.recording.left_out += [
                p for p in group["params"] if self._came_without_gradient(p)
            ]
            self.lift(p for p in active)
            self.lift(p.grad for p in active)
            for bundle in self._real_bundles(optimizer, number, active):
                parameters = tuple(bundle.parameters)
                place = BundlePlace(optimizer, number, parameters, tuple(active))
                self._lift_bundle(place, bundle)
        lifted = [
            self._lifted_settings(optimizer, number, group)
            for number, group in enumerate(optimizer.param_groups)
        ]
        self._groups.append((optimizer, optimizer.param_groups, list(map(dict, lifted))))
        optimizer.param_groups = lifted

    def _came_without_gradient(self, parameter: Tensor) -> bool:
        """Return whether it has no gradient, and the step did not clear it."""
        lifted = self._lifted.get(id(parameter))
        return parameter.grad is None and not (lifted and lifted.gradient_set)

    def _real_groups(self, optimizer: Optimizer) -> list[dict[str, Any]]:
        """Return the groups of an optimiser, without traced numbers."""
        lifted = (groups for one, groups, _ in self._groups if one is optimizer)
        return next(lifted, optimizer.param_groups)

    def _real_bundles(
        self, optimizer: Optimizer, number: int, active: list[Tensor]
    ) -> Sequence[Any]:
        """Return the bundles of a group, made from the parameters before the step."""
        now = [p._data for p in active]
        for p in active:
            p._data = self._lifted[id(p)].data
        try:
            return optimizer.bundles(number, active)
        finally:
            for p, data in zip(active, now, strict=True):
                p._data = data

    def _lift_bundle(self, place: BundlePlace, bundle: Any) -> None:
        if any(p._data is not self._lifted[id(p)].handle for p in bundle.parameters):
            raise UnsupportedError("a parameter is set and then updated by an optimiser")
        self._bundles[id(bundle)] = (
            bundle,
            bundle.vector,
            bundle.state,
            bundle.steps,
            bundle.views,
            place,
        )
        names = ("parameters", *bundle.state_names[: len(bundle.state)])
        states = [State("vector", place)]
        states += [State("state", place, position) for position in range(len(bundle.state))]
        handles = []
        for state, name, array in zip(states, names, (bundle.vector, *bundle.state), strict=True):
            handle = self._given(array, Origin("state", name, state))
            self.recording.states[state] = handle.value
            handles.append(handle)
        steps = State("steps", place)
        counter = self._given(bundle.steps, Origin("state", "steps", steps))
        self.recording.states[steps] = counter.value
        bundle.vector, bundle.state, bundle.steps = handles[0], tuple(handles[1:]), counter
        bundle.views = [p._data for p in bundle.parameters]

    def _lifted_settings(
        self, optimizer: Optimizer, number: int, group: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the settings of a group, with floats replaced by traced numbers."""
        return {
            name: (
                setting
                if name == "params"
                else self._lifted_setting(name, (optimizer, number, name), setting)
            )
            for name, setting in group.items()
        }

    def _lifted_setting(self, name: str, key: tuple[Any, ...], setting: Any) -> Any:
        if isinstance(setting, tuple):
            stem = name.removesuffix("s")
            return tuple(
                [
                    self._lifted_setting(f"{stem}{i + 1}", (*key, i), one)
                    for i, one in enumerate(setting)
                ]
            )
        number = as_number(setting)
        if number is None or not (isinstance(setting, float) or is_library_class(type(key[0]))):
            return setting
        handle = self._given(number, Origin("setting", name, key))
        self.recording.settings[key] = handle.value
        return handle

    # --- watching ---------------------------------------------------------------------------------

    def observe(self, node: Node, g: Any) -> Any:
        """See the complete gradient of a node, on the way back."""
        g = run_hooks(node, g)
        traced = getattr(g._data if isinstance(g, Tensor) else g, "value", None)
        if traced is not None:
            self._named.append((node, traced))
        self.trace.node = None if isinstance(node, Leaf) else node
        op = node.op
        self.trace.pulled = None if op is None else _part_of(op, "backward", node.kept)
        return g

    def _visit(self, module: Any) -> None:
        """Remember a module that runs."""
        if module not in self.recording.modules:
            self.recording.modules[module] = module.training
            self.recording.module_settings[module] = settings_of(module)

    def _note_first_gradient(self, tensor: Tensor) -> None:
        """Note that a tensor collects its first gradient, if it had none before the step."""
        lifted = self._lifted.get(id(tensor))
        if lifted is not None and lifted.grad is None and not lifted.gradient_set:
            lifted.first_gradient = True

    def drawn(self, draw: Callable[..., Any], *args: Any) -> Any:
        """Draw from a generator, again at each replay."""
        return traced_namespace.drawn(draw, *args)

    def made(self, make: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Make an array, again at each replay if it is made of what is traced."""
        return traced_namespace.made(make, *args, **options)

    def joined(self, lists: Any) -> Any:
        """Return (nested) lists as an array, made again at each replay if anything is traced."""
        arrays = self._arrays_in(lists)
        return traced_namespace.asarray(arrays) if holds_traced(arrays) else lists

    def _arrays_in(self, lists: Any) -> Any:
        if isinstance(lists, list | tuple):
            return [self._arrays_in(one) for one in lists]
        return self.arrays_of([lists])[0]

    def real(self, arrays: Sequence[Any]) -> list[Any]:
        """Return arrays without traces, for an error that reads them."""
        return [one.value.array if isinstance(one, _TRACED) else one for one in arrays]

    # --- the end ----------------------------------------------------------------------------------

    def finish(self, result: Any, accept: Callable[[Recording], None]) -> Recording:
        """Return the recording, and give everything that was lifted its state after the step."""
        recording = self.recording
        leaves, recording.rebuild = trees.flatten(result)
        recording.outputs = [_value_or_constant(leaf) for leaf in leaves]
        self._settle_temporaries()
        _check_modes(recording.modules)
        if any(own._data is not handle or own.grad is not None for own, handle in self._arguments):
            raise UnsupportedError("it sets .data or .grad of an argument")
        recording.are_tensors = [isinstance(leaf, Tensor) for leaf in leaves]
        self._name_values([leaf.node for leaf in leaves if isinstance(leaf, Tensor)])
        for optimizer, groups in self._settings_before:
            _check_settings(groups, self._real_groups(optimizer))
        for optimizer, _, lifted_groups in self._groups:
            _check_settings(lifted_groups, optimizer.param_groups)
        for lifted in self._lifted.values():
            self._note_changes(lifted)
        for bundle, *_, place in self._bundles.values():
            self._note_bundle(bundle, place)
        recording.hooks = [
            (one.tensor, tuple(getattr(one.leaf, "_hooks", {}).values()))
            for one in self._lifted.values()
            if isinstance(one.node, Leaf)
        ]
        for state, value in recording.writes.items():
            before = recording.states.get(state)
            if value.origin is None and state.kind == "grad":
                value.name = f"d_{_identifier(state.owner.name or 'tensor')}"
            elif value.origin is None and value.name is None and before is not None:
                value.name = f"new_{before.name}"
        _order_moves(recording)
        _refuse_writes_into_arguments(self.trace)
        accept(recording)
        self.put_back(keep_changes=True)
        return recording

    def _settle_temporaries(self) -> None:
        """Turn tensors that were made within the step, and are gone, into constants."""
        for key in [key for key, lifted in self._lifted.items() if _nobody_else_has(lifted)]:
            lifted = self._lifted.pop(key)
            value = lifted.handle.value
            self.recording.states.pop(value.origin.key, None)
            value.origin = Origin("constant", value.name, value.array)

    def _note_changes(self, lifted: _Lifted) -> None:
        tensor, recording = lifted.tensor, self.recording
        if lifted.first_gradient:
            recording.without_gradient.append(tensor)
        if id(tensor) in self._grads:
            return
        if tensor._data is not lifted.handle:
            recording.writes[State("data", tensor)] = tensor._data.value
        unchanged = tensor.grad is lifted.grad and not _is_traced(tensor.grad)
        if unchanged and not (lifted.gradient_set and tensor.grad is None):
            return
        if tensor.grad is None:
            recording.cleared.append(tensor)
        elif _is_traced(tensor.grad):
            recording.writes[State("grad", tensor)] = tensor.grad._data.value
        else:
            raise UnsupportedError("a .grad is set to a tensor that was there before the step")

    def _note_bundle(self, bundle: Any, place: BundlePlace) -> None:
        writes = self.recording.writes
        writes[State("vector", place)] = bundle.vector.value
        for position, array in enumerate(bundle.state):
            writes[State("state", place, position)] = array.value
        writes[State("steps", place)] = bundle.steps.value

    def put_back(self, *, keep_changes: bool) -> None:
        """Remove every traced array from what outlives the step."""
        for optimizer, groups, _ in self._groups:
            optimizer.param_groups = groups
        for module in self.recording.modules:
            # The context of its last call, which holds this recorder.
            vars(module).pop("_called", None)
        if not keep_changes:
            for optimizer, groups in self._settings_before:
                optimizer.drop_param_groups(len(groups))
                for group, before in zip(optimizer.param_groups, groups, strict=True):
                    group.update(before)
        for bundle, vector, state, steps, views, _ in self._bundles.values():
            if keep_changes:
                bundle.vector = bundle.vector.value.array
                bundle.state = tuple([one.value.array for one in bundle.state])
                bundle.steps = bundle.steps.value.array
                bundle.views = [one.value.array for one in bundle.views]
            else:
                bundle.vector, bundle.state, bundle.steps = vector, state, steps
                bundle.views = views
        for lifted in self._lifted.values():
            self._put_back(lifted, keep_changes)

    def _put_back(self, lifted: _Lifted, keep_changes: bool) -> None:
        tensor, leaf = lifted.tensor, lifted.leaf
        if leaf is not None:
            # Older graphs may show this leaf.
            leaf._result = lifted.result
            if _traced_gradient(leaf):
                del leaf._gradient
        if not keep_changes or tensor._data is lifted.handle:
            tensor._data = lifted.data
            tensor._node = lifted.node
            if lifted.origin is not None:
                tensor._origin = lifted.origin
            elif hasattr(tensor, "_origin"):
                del tensor._origin
        else:
            tensor._data = tensor._data.value.array
            new = tensor._node or getattr(tensor, "_origin", None)
            if isinstance(new, Leaf):
                new.show(tensor._data)
        if not keep_changes:
            tensor._grad = lifted.grad
        elif _is_traced(tensor.grad):
            array = tensor.grad._data.value.array  # type: ignore[union-attr]
            tensor._collect(array)
            node = tensor._node
            if node is not None:
                node._gradient = array if node.form.size <= SMALL else None

    def refuse_leaks(self) -> None:
        """Raise if a tensor that the step made is still referred to: later calls make none.

        Once the recorder itself has dropped its traced arrays, nothing should refer to them.
        """
        self.trace.node = None
        self._named.clear()
        self._arguments.clear()
        for lifted in self._lifted.values():
            lifted.handle = None
        self._groups = [(optimizer, groups, []) for optimizer, groups, _ in self._groups]
        kept = self._kept_values()
        if kept:
            gc.collect()  # reference cycles alone do not count
            kept = self._kept_values()
        if kept:
            # The tensor that was made last keeps, by its history, earlier ones and gradients alive.
            forward = [
                one for one in kept if one.event is not None and one.event.phase == "forward"
            ]
            raise _leaked((forward or kept)[-1])

    def _kept_values(self) -> list[Value]:
        return [one.value for handle in self.trace.handles if (one := handle()) is not None]

    def leave_real_arrays(self) -> None:
        """Give real arrays to all tensors that still hold traced ones: the step was broken off."""
        handles = [one for handle in self.trace.handles if (one := handle()) is not None]
        for handle in handles:
            for holder in gc.get_referrers(handle):
                if isinstance(holder, Tensor) and holder._data is handle:
                    holder._data = handle.value.array

    # --- names ------------------------------------------------------------------------------------

    def _name_values(self, outputs: list[Node]) -> None:
        """Give the values of nodes the names from the user's code and modules."""
        named: dict[Node, str] = {}
        nodes = ancestors([*outputs, *(node for node, _ in self._named)])
        on_the_way = {one for node in nodes for one in node.inputs if _is_on_the_way(one, node)}
        for node in nodes:
            handle = getattr(node, "_result", None)
            if isinstance(node, Leaf):
                if handle is not None and getattr(handle, "value", None) is not None:
                    named[node] = handle.value.name or "value"
                continue
            name = named[node] = _name_of(node, on_the_way)
            value = getattr(handle, "value", None)
            if value is not None and value.origin is None:
                value.name = name
        for node, value in reversed(self._named):
            # A gradient that passes through several nodes is named after the last, where it arises.
            if node in named and value.origin is None:
                value.name = _gradient_name(named[node])
                value.gradient_of = getattr(getattr(node, "_result", None), "value", None)
        for event in self.trace.events:
            for value in event.inputs:
                if value.name is None or value.event is None or not event.results:
                    continue
                if value.name == event.result.name and _is_on_the_way(value.event, event):
                    value.name = None
        for event in reversed(self.trace.events):
            # What is changed in place has one name.
            if event.augmented and isinstance(event.args[0], Value):
                event.args[0].name = event.result.name


phases.update(
    {
        id(sweep.__code__): "backward",
        id(Tensor.backward.__code__): "backward",
        id(Optimizer.step.__code__): "update",
    }
)
openers.update(
    {
        id(apply.__code__): "forward",
        id(Node.pull_back.__code__): "backward",
        id(Bundle.step.__code__): "update",
    }
)


def _part_of(op: Op, kind: str, known: Mapping[str, Any]) -> Part:
    """Return the part of a trace that an op is; ``known`` are arrays by the op's names for them."""
    is_layer = op.composite is not None
    names: dict[Value, str] = {}
    for name, array in known.items() if is_layer else ():
        for key, value in _named_in(name, array):
            names.setdefault(value, key)
    return Part(op.name, kind, op.doc, is_layer, op.inputs, names)


def _named_in(name: str, thing: Any) -> Iterator[tuple[str, Value]]:
    """Yield the traced arrays in what an op is given, or keeps, with their names there."""
    if thing.__class__ in _TRACED:
        yield name, thing.value
    elif name == "residual" and isinstance(thing, tuple):
        fields = getattr(thing, "_fields", (name,) * len(thing))
        for field_name, one in zip(fields, thing, strict=True):
            inner = one if isinstance(one, tuple) else None
            yield from _named_in(field_name if inner is None else name, one)


def _refuse_looking() -> None:
    """Raise if user code, and not this package, looks at ``.data``."""
    frame = sys._getframe(1)
    # Whoever is behind the property `data` reads it.
    while frame.f_code is not _DATA and frame.f_back is not None:
        frame = frame.f_back
    if frame.f_back is not None and not is_library[frame.f_back.f_code.co_filename]:
        raise refused("a tensor's numbers (.data)")


_DATA = Tensor.__dict__["data"].fget.__code__


def _leaked(value: Value) -> CompileError:
    event, places = value.event, value.arguments()
    line = line_of(event.code, event.offset) if event is not None else None
    message = (
        f"tg.compile: {value.name or 'a tensor'} of the step is kept after its end, where later "
        "calls, which replay the recording, would not update it. Return it; or let the step "
        "set .data of a tensor from before the step (state.data = new)."
        + (f"\n  made at {line}" if line is not None else "")
    )
    return AskedError(message, places) if places else CompileError(message)


def _owner_of(gradient: Tensor) -> Tensor | None:
    """Return the tensor that has another as its ``.grad``."""
    reference = getattr(gradient, "_gradient_of", lambda: None)
    if reference is None:
        raise UnsupportedError("two tensors share one .grad")
    owner = reference()
    return owner if owner is not None and owner.grad is gradient else None


def _references(lifted: _Lifted) -> int:
    return sys.getrefcount(lifted.tensor)


def _usual_references() -> int:
    """Return the reference count of a tensor that only the recorder has."""
    lone = detached(0.0)
    lifted = _Lifted(lone, 0.0, None, None, None, None, None, None)
    state = State("data", lone)
    del lone
    count = _references(lifted)
    del state
    return count


_USUAL = _usual_references()


def _nobody_else_has(lifted: _Lifted) -> bool:
    key = lifted.handle.value.origin.key
    return isinstance(key, State) and key.kind == "data" and _references(lifted) == _USUAL


def _is_on_the_way(one: Any, other: Any) -> bool:
    """Return whether a result is an intermediate one of the same call in the user's code.

    The variable that holds the output of a whole net, or a mean, is not the name of the output of
    its first layer, or of the sum. Where a loop applies one function repeatedly, it is.
    """
    if isinstance(one, Leaf | None) or one.code is None:
        return False
    same_call = one.code is other.code and one.offset == other.offset
    return same_call and _by_whom(one) != _by_whom(other)


def _by_whom(one: Any) -> tuple[str, str]:
    """Return the function that a node or an event applies, and its module."""
    function = one.call.name if isinstance(one, Event) else one.op.name
    return function, "" if one.scope is None else one.scope.path


def _name_of(node: Any, on_the_way: Container[Any]) -> str:
    """Return the name of the value of a node in the user's code, or else the module's."""
    name = node.name
    if name is None and node.code is not None and node not in on_the_way:
        name = target_of(node.code, node.offset)
    if name is None and node.scope is not None and node.scope.path:
        path = node.scope.path
        name = path if node.scope.kind.lower() == node.op.name else f"{path}_{node.op.name}"
        name = path if node.op.composite is not None else name
    return _identifier(name or node.op.name)


@cache
def _identifier(name: str) -> str:
    """Turn a name into a Python identifier: ``linear1.weight`` into ``linear1_weight``."""
    cleaned = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
    return cleaned if cleaned and not cleaned[0].isdigit() else f"layer{cleaned}"


@cache
def _gradient_name(name: str) -> str:
    return f"d_{name}"


def _in_own_memory(array: Any) -> Any:
    """Copy an array into memory that nothing else uses, with the same layout."""
    check_numbers(array, "an argument of a compiled step")  # bytes of objects cannot be copied
    if not isinstance(array, np.ndarray) or not array.size:
        return array
    low, high = np.lib.array_utils.byte_bounds(array)
    memory = np.empty(high - low, dtype=np.uint8)
    offset = array.ctypes.data - low
    copy = np.ndarray(array.shape, array.dtype, memory, offset, array.strides)
    copy[...] = array
    return copy


def _order_moves(recording: Recording) -> None:
    """Order the writes so that a state is copied to another (``a.data = b``) before it changes."""
    moved = {state: value for state, value in recording.writes.items() if _is_state(value)}
    for state, value in moved.items():
        source = value.root.origin.key  # type: ignore[union-attr]
        if source in moved and source != state:
            raise UnsupportedError("tensors swap their data")
    recording.writes = {**moved, **recording.writes}


def _refuse_writes_into_arguments(trace: Trace) -> None:
    """Raise if a step changes the memory of an argument: a replay works on its own."""
    for event in trace.events:
        written = event.writes
        origin = None if written is None else written.root.origin
        if origin is not None and origin.kind == "argument":
            raise CompileError(
                f"tg.compile: the step writes into its argument {origin.name}, and a replay would "
                "not change the caller's array. Write into a copy, and return it.\n"
                f"  at {line_of(event.code, event.offset)}"
            )


def _is_state(value: Value) -> bool:
    return value.root.origin is not None and value.root.origin.kind == "state"


def _check_modes(modules: Mapping[Any, bool]) -> None:
    if any(module.training is not mode for module, mode in modules.items()):
        raise UnsupportedError("it changes the mode (train, eval) of a module")


def _check_settings(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    """Raise if the step has changed a setting, which a replay would not do."""
    if len(now) != len(before):
        raise refused("another group of parameters", "Add groups outside of the step.")
    for earlier, group in zip(before, now, strict=True):
        for name, setting in group.items():
            if setting is not earlier.get(name):
                instead = "Change settings outside of the step, between two calls."
                raise refused(f"another {name} of the optimiser", instead)


def _is_traced(tensor: Any) -> bool:
    return tensor is not None and isinstance(tensor._data, _TRACED)


def _traced_gradient(leaf: Any) -> bool:
    return isinstance(getattr(leaf, "_gradient", None), _TRACED)


def _value_or_constant(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf._data.value if isinstance(leaf._data, _TRACED) else leaf
    return leaf.value if isinstance(leaf, _TRACED) else leaf


def record_step(
    call: Callable[[list[Any]], Any],
    leaves: list[Any],
    names: list[str],
    accept: Callable[[Recording], None],
    relied: Relied | None = None,
    as_numbers: frozenset[int] = frozenset(),
    recorder: Recorder | None = None,
) -> tuple[Recording, Any]:
    """Run a step under a recorder; return the recording and the step's result.

    ``call(leaves)`` calls it with arguments made of the leaves; ``accept`` may raise. If the step
    is refused, everything is restored to its state before it. If it raises an exception of its
    own, what it has done by then remains, as it would have uncompiled; but if that may be because
    ``as_numbers`` are traced, it is refused, too.
    """
    recorder = recorder or Recorder(as_numbers)
    if relied is not None:
        recorder.recording.dependencies = relied.dependencies
    outer, traced_namespace.library.trace = traced_namespace.library.trace, recorder.trace
    if outer is not None:
        traced_namespace.library.trace = outer
        raise UnsupportedError("a compiled step is called within another")
    with remembered_states() as drawn_from:
        try:
            return _recorded(recorder, call, leaves, names, accept)
        except BaseException as error:
            # A traced number is no float or int: where that matters, the step asks for its value.
            asks = isinstance(error, TypeError | AttributeError) and bool(recorder.as_numbers)
            is_refused = asks or isinstance(error, CompileError)
            recorder.put_back(keep_changes=not is_refused)
            if not is_refused:
                recorder.leave_real_arrays()
                raise
            for generator, state in list(drawn_from.items()):
                generator.set_state(state)
            if asks:
                raise AskedError(str(error), recorder.as_numbers) from error
            raise
        finally:
            traced_namespace.library.trace = None


def _recorded(
    recorder: Recorder,
    call: Callable[[list[Any]], Any],
    leaves: list[Any],
    names: list[str],
    accept: Callable[[Recording], None],
) -> tuple[Recording, Any]:
    lifted = [
        recorder.lift_argument(leaf, position, name)
        for position, (leaf, name) in enumerate(zip(leaves, names, strict=True))
    ]
    with changed(recorder=recorder, recording=True):
        result = call(lifted)
    recording = recorder.finish(result, accept)
    lifted.clear()
    result = _untraced(result)
    recorder.refuse_leaks()
    return recording, result


def _untraced(result: Any) -> Any:
    """Return the result of a step with real arrays, and without a history."""
    leaves, rebuild = trees.flatten(result)
    return rebuild(
        [
            detached(_handed_out(leaf._data)) if isinstance(leaf, Tensor) else _handed_out(leaf)
            for leaf in leaves
        ]
    )


def _handed_out(leaf: Any) -> Any:
    """Return a leaf for the caller, copied if the recording keeps it, as it does constants."""
    if not isinstance(leaf, _TRACED):
        return leaf.copy(order="K") if isinstance(leaf, np.ndarray) else leaf
    value = leaf.value
    kept = value.is_array and (value.root.origin is None or value.root.is_constant)
    return value.array.copy(order="K") if kept else value.array
