"""Lifting: traced arrays in the places of what a step reads, and everything put back at its end.

Before an op sees a tensor that existed before the step, its data is replaced by a traced array, and
the original remembered. This is how it is found out which tensors a step reads, and at the end
which of them it has changed.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.backends import SMALL, namespace_of
from tinygrad_lab.backends.no_numbers import check_numbers
from tinygrad_lab.compiler.record.arrays import TRACED, TracedArray
from tinygrad_lab.compiler.record.naming import identifier
from tinygrad_lab.compiler.record.numbers import TracedNumber
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.running import RunningTrace
from tinygrad_lab.compiler.record.trace import Origin
from tinygrad_lab.compiler.refusal import UnsupportedError
from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.tensor import Tensor, detached

__all__ = ["Lifted", "LiftedArguments", "LiftedTensors", "entered"]


def entered(trace: RunningTrace, data: Any, origin: Origin) -> Any:
    """Enter an array or number that exists before the step; return what stands for it."""
    if isinstance(data, np.generic):
        data = np.asarray(data)
    if not isinstance(data, np.ndarray | int | float):
        device = namespace_of([data]).device_of(data)
        raise UnsupportedError(f"it becomes NumPy code, and {origin.name} is on {device}")
    value = trace.given(data, origin)
    return (TracedArray if value.is_array else TracedNumber)(trace, value)


# --- arguments ------------------------------------------------------------------------------------


class LiftedArguments:
    """The leaves of the arguments of a step."""

    def __init__(
        self, trace: RunningTrace, recording: Recording, as_numbers: frozenset[int]
    ) -> None:
        self._trace, self._recording, self._as_numbers = trace, recording, as_numbers
        self._tensors: list[tuple[Tensor, Any]] = []
        """Those that the step is given, with what stands for their data."""

    def lift(self, leaf: Any, position: int, name: str) -> Any:
        """Return a leaf, traced if it is a tensor, an array or a number that is read each time."""
        recording, origin = self._recording, Origin("argument", identifier(name), position)
        if isinstance(leaf, Tensor):
            if leaf.requires_grad:
                raise UnsupportedError(
                    "an argument requires a gradient, and what a replay returns has no history. "
                    "If none is needed, pass x.detach()"
                )
            # A separate tensor: at the next call one tensor may be passed twice, or an argument
            # may no longer be a tensor that the step also has from elsewhere.
            own = detached(entered(self._trace, _in_own_memory(leaf._data), origin))
            if leaf.name:
                own.name = leaf.name
            self._tensors.append((own, own._data))
            recording.arguments.append(own._data.value)
            return own
        if isinstance(leaf, np.ndarray) or position in self._as_numbers:
            handle = entered(self._trace, _in_own_memory(leaf), origin)
            recording.arguments.append(handle.value)
            return handle
        recording.arguments.append(None)
        return leaf

    def refuse_changes(self) -> None:
        """Raise if the step has set the data or the gradient of an argument."""
        if any(own._data is not handle or own.grad is not None for own, handle in self._tensors):
            raise UnsupportedError("it sets .data or .grad of an argument")

    def forget(self) -> None:
        """Drop the traced arrays."""
        self._tensors.clear()


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


# --- tensors from before the step -----------------------------------------------------------------


@dataclass(slots=True)
class Lifted:
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

    def put_back(self, *, keep_changes: bool) -> None:
        """Remove every traced array from the tensor, with or without what the step has changed."""
        tensor, leaf = self.tensor, self.leaf
        if leaf is not None:
            # Older graphs may show this leaf.
            leaf._result = self.result
            if getattr(leaf, "_gradient", None).__class__ in TRACED:
                del leaf._gradient
        if not keep_changes or tensor._data is self.handle:
            tensor._data = self.data
            tensor._node = self.node
            if self.origin is not None:
                tensor._origin = self.origin
            elif hasattr(tensor, "_origin"):
                del tensor._origin
        else:
            tensor._data = tensor._data.value.array
            new = tensor._node or getattr(tensor, "_origin", None)
            if isinstance(new, Leaf):
                new.show(tensor._data)
        if not keep_changes:
            tensor._grad = self.grad
        elif (gradient := _traced_data(tensor.grad)) is not None:
            tensor._collect(gradient.value.array)
            node = tensor._node
            if node is not None:
                node._gradient = gradient.value.array if node.form.size <= SMALL else None


class LiftedTensors:
    """The tensors from before the step that it uses."""

    def __init__(self, trace: RunningTrace, recording: Recording) -> None:
        self._trace, self._recording = trace, recording
        self._lifted: dict[int, Lifted] = {}
        self._gradients: set[int] = set()
        """The ids of tensors that are the ``.grad`` of a leaf."""

    def lift(self, inputs: Iterable[Any]) -> None:
        """Replace the data of tensors that existed before the step by traced arrays."""
        for x in inputs:
            if isinstance(x, Tensor) and x._data.__class__ not in TRACED:
                self._lift(x)

    def of(self, tensor: Tensor) -> Lifted | None:
        """Return what a tensor was before the step, if it was lifted."""
        return self._lifted.get(id(tensor))

    def data_of(self, tensor: Tensor) -> Any:
        """Return the data that a lifted tensor had before the step."""
        return self._lifted[id(tensor)].data

    def handle_of(self, tensor: Tensor) -> Any:
        """Return what stands for that data in the trace."""
        return self._lifted[id(tensor)].handle

    def _lift(self, x: Tensor) -> None:
        leaf = _owner_of(x)
        if leaf is not None:
            self._gradients.add(id(x))
        state = State("data", x) if leaf is None else State("grad", leaf)
        name = x.name or ("" if leaf is None else f"d_{leaf.name or 'tensor'}")
        origin = Origin("state", identifier(name or "tensor"), state)
        handle = entered(self._trace, x._data, origin)
        self._recording.states[state] = handle.value
        handle.value.wants_gradient = x._node is not None
        before = getattr(x, "_origin", None)
        node = x._node or before
        result = getattr(node, "_result", None)
        self._lifted[id(x)] = Lifted(x, x._data, x.grad, x._node, before, result, node, handle)
        x._data = handle

    def lift_owner(self, x: Tensor) -> None:
        """Lift a tensor whose ``.grad`` is about to be set."""
        self.lift([x])
        lifted = self.of(x)
        if lifted is not None:
            lifted.gradient_set = True

    def prepare_collecting(self, leaf: Leaf) -> None:
        """Lift the gradient that a leaf's tensor has collected, or note that it has none."""
        tensor = leaf.owner()
        if tensor is None:
            return
        if tensor.grad is not None:
            self.lift([tensor.grad])
            return
        lifted = self.of(tensor)
        if lifted is not None and lifted.grad is None and not lifted.gradient_set:
            lifted.first_gradient = True

    def came_without_gradient(self, parameter: Tensor) -> bool:
        """Return whether it has no gradient, and the step did not clear it."""
        lifted = self.of(parameter)
        return parameter.grad is None and not (lifted and lifted.gradient_set)

    def settle_temporaries(self) -> None:
        """Turn tensors that were made within the step, and are gone, into constants."""
        for key in [key for key, lifted in self._lifted.items() if _nobody_else_has(lifted)]:
            value = self._lifted.pop(key).handle.value
            self._recording.states.pop(value.origin.key, None)
            value.origin = Origin("constant", value.name, value.array)

    def note_changes(self) -> None:
        """Enter into the recording what the step has changed, and the hooks that it has run."""
        for lifted in self._lifted.values():
            self._note_changes(lifted)
        self._recording.hooks = [
            (one.tensor, tuple(getattr(one.leaf, "_hooks", {}).values()))
            for one in self._lifted.values()
            if isinstance(one.node, Leaf)
        ]

    def _note_changes(self, lifted: Lifted) -> None:
        tensor, recording = lifted.tensor, self._recording
        if lifted.first_gradient:
            recording.without_gradient.append(tensor)
        if id(tensor) in self._gradients:
            return
        if tensor._data is not lifted.handle:
            recording.writes[State("data", tensor)] = tensor._data.value
        gradient = _traced_data(tensor.grad)
        unchanged = tensor.grad is lifted.grad and gradient is None
        if unchanged and not (lifted.gradient_set and tensor.grad is None):
            return
        if tensor.grad is None:
            recording.cleared.append(tensor)
        elif gradient is not None:
            recording.writes[State("grad", tensor)] = gradient.value
        else:
            raise UnsupportedError("a .grad is set to a tensor that was there before the step")

    def put_back(self, *, keep_changes: bool) -> None:
        """Remove every traced array from tensors that outlive the step."""
        for lifted in self._lifted.values():
            lifted.put_back(keep_changes=keep_changes)

    def forget(self) -> None:
        """Drop the traced arrays."""
        for lifted in self._lifted.values():
            lifted.handle = None


def _traced_data(tensor: Any) -> Any:
    """Return the traced array or number in a tensor; None if there is none."""
    data = None if tensor is None else tensor._data
    return data if data.__class__ in TRACED else None


def _owner_of(gradient: Tensor) -> Tensor | None:
    """Return the tensor that has another as its ``.grad``."""
    reference: Callable[[], Tensor | None] | None
    reference = getattr(gradient, "_gradient_of", lambda: None)
    if reference is None:
        raise UnsupportedError("two tensors share one .grad")
    owner = reference()
    return owner if owner is not None and owner.grad is gradient else None


def _references(lifted: Lifted) -> int:
    return sys.getrefcount(lifted.tensor)


def _usual_references() -> int:
    """Return the reference count of a tensor that only the recorder has."""
    lone = detached(0.0)
    lifted = Lifted(lone, 0.0, None, None, None, None, None, None)
    state = State("data", lone)
    del lone
    count = _references(lifted)
    del state
    return count


_USUAL = _usual_references()


def _nobody_else_has(lifted: Lifted) -> bool:
    key = lifted.handle.value.origin.key
    return isinstance(key, State) and key.kind == "data" and _references(lifted) == _USUAL
