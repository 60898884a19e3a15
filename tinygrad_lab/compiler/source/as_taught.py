"""A step recorded as it is taught: textbook forms of fused ops and optimisers, once more.

Everything that the recording changes is put back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.compiler.record.compare import is_same_memory
from tinygrad_lab.compiler.record.record import BundlePlace, Recording
from tinygrad_lab.compiler.record.recorder import record_step
from tinygrad_lab.compiler.record.relied import Relied
from tinygrad_lab.compiler.record.trace import Origin, memory_owner
from tinygrad_lab.context import Scope, changed, within
from tinygrad_lab.engine.taught import TAUGHT
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import CompileError

__all__ = ["UPDATE", "recorded_as_taught"]


class _RecordedError(CompileError):
    """Ends a recording that is wanted alone: everything is put back, as if it had been refused."""


def recorded_as_taught(
    function: Callable[..., Any],
    call: Callable[[list[Any]], Any],
    leaves: list[Any],
    names: list[str],
    structure: Any,
    before: Recording,
) -> Recording:
    """Run a step once more on some arguments, and put everything back that it changes.

    ``before`` is a recording of it that is replayed.
    """
    as_numbers = frozenset(
        place
        for place, value in enumerate(before.arguments)
        if value is not None and not value.is_array and not isinstance(leaves[place], Tensor)
    )
    found: list[Recording] = []

    def accept(recording: Recording) -> None:
        _read_as_before(recording, before)
        found.append(recording)
        raise _RecordedError

    relied = Relied()
    relied.find(function, leaves, names, structure, as_numbers)
    try:
        with changed(composing=TAUGHT, grad_enabled=True), np.errstate(all="ignore"):
            record_step(call, leaves, names, accept, relied, as_numbers, _step_as_taught)
    except _RecordedError:
        pass
    finally:
        relied.put_back()
    return found[0]


def _read_as_before(recording: Recording, before: Recording) -> None:
    """Read arrays that are read at each replay; make other tensors that are returned constants."""
    read = {
        id(memory_owner(state.owner._data)): state
        for state in before.states
        if state.kind == "data"
    }
    for value in recording.trace.values:
        state = read.get(id(memory_owner(value.array))) if value.is_constant else None
        if state is not None and is_same_memory(state.owner._data, value.array):
            value.origin = Origin("state", value.name or "value", state)
            recording.states[state] = value
    recording.outputs = [
        recording.trace.constant(np.array(one._data)) if isinstance(one, Tensor) else one
        for one in recording.outputs
    ]


def _step_as_taught(place: BundlePlace, bundle: Any) -> Callable[..., None] | None:
    """Return a step parameter by parameter, as optimisers have it in their textbook form."""
    if bundle.numbers:
        return None
    return lambda _, settings: _update(place.optimizer, bundle, settings)


def _update(optimizer: Any, bundle: Any, settings: Any) -> None:
    """Update the parameters of a bundle one by one."""
    xp = namespace_of([bundle.vector])
    bundle.steps += 1
    parts = [bundle.parts(vector) for vector in bundle.state]
    states = list(zip(*parts, strict=True)) or [()] * len(bundle.parameters)
    update, updated = _in_words(optimizer), []
    for parameter, state in zip(bundle.parameters, states, strict=True):
        arrays = (parameter._data, parameter._grad._data, state)
        with within(Scope(parameter.name or "", UPDATE, {})):
            updated.append(update(xp, *arrays, bundle.steps, settings))
    bundle.views = [new for new, _ in updated]
    bundle.vector = bundle._joined(bundle.views)
    bundle.state = tuple(map(bundle._joined, zip(*[one for _, one in updated], strict=True)))
    for parameter, new in zip(bundle.parameters, bundle.views, strict=True):
        parameter._rebind(new)


def _in_words(optimizer: Any) -> Any:
    """Return the textbook form of an update, unless a subclass has another update."""
    for place in (optimizer, *type(optimizer).__mro__):
        if "textbook" in vars(place):
            return optimizer.textbook
        if "update" in vars(place):
            break
    return optimizer.update


UPDATE = "update"
"""The kind of the scope in which a parameter is updated."""
