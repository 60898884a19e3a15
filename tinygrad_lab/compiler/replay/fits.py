"""Whether a call fits a recording; if not, why, in words.

This is the thorough comparison, for a call that no replay has answered. The code of a replay
(``code.py``) checks the same at each call, in nanoseconds, and says no more than that it is not so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import is_
from typing import Any

import numpy as np
import numpy._core.umath as umath

from tinygrad_lab.compiler.record.dependencies import as_number, is_same
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Value
from tinygrad_lab.compiler.replay.arguments import Arguments, array_matches
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.nn.module import Module, settings_of

__all__ = ["Conditions", "errors", "hooks_match", "modules_match", "raises_errors"]


class Conditions:
    """All that has to be as it was when a step was recorded."""

    def __init__(self, recording: Recording, arguments: Arguments) -> None:
        self.recording = recording
        self.arguments = arguments
        self.parts = {module: _parts(module) for module in recording.modules}
        """The identities of what each module consists of."""
        self.watched = [one for one in recording.dependencies if one.policy != "untouched"]
        """The Python that must be as it was."""
        self.group_counts = Counter(optimizer for optimizer, _, _ in recording.groups)
        """How many groups of parameters each optimiser has."""
        self._in_place = recording.in_place()

    def differences(self, leaves: Sequence[Any]) -> Iterator[str]:
        """Yield, in words, what is not as it was when it was recorded."""
        yield from self.arguments.differences(leaves)
        yield from self._of_modules()
        for one in self.watched:
            if not one.is_the_same:
                yield one.difference
        if not hooks_match(self.recording.hooks):
            yield "a parameter has other hooks"
        yield from self._of_optimizers()
        yield from self._of_states()

    def _of_modules(self) -> Iterator[str]:
        for module, mode in self.recording.modules.items():
            if module.training is not mode:
                yield f"a {type(module).__name__} is in another mode (train, eval)"
        if not modules_match(self.parts, self.recording.module_settings):
            yield "a module has other parts or settings"

    def _of_optimizers(self) -> Iterator[str]:
        for optimizer, number, group in self.recording.groups:
            if not _same_settings(optimizer, number, group):
                yield f"settings of {type(optimizer).__name__} differ, or some came to be zero"
        for optimizer, count in self.group_counts.items():
            if len(optimizer.param_groups) != count:
                yield f"{type(optimizer).__name__} has other groups of parameters"

    def _of_states(self) -> Iterator[str]:
        recording = self.recording
        for tensor in (*recording.without_gradient, *recording.left_out):
            if tensor.grad is not None:
                yield f"{tensor.name or 'a tensor'} has a .grad, which was None"
        for state, value in recording.states.items():
            if not _state_matches(state, value):
                yield _in_words(state)
        for state in self._in_place:
            # A view in one memory order is a copy in another, and would soon be stale.
            if state.owner._data.strides != recording.states[state].array.strides:
                yield f"the memory of {state.owner.name or 'a tensor'} is in another order"


# --- states ---------------------------------------------------------------------------------------


def _state_matches(state: State, value: Value) -> bool:
    owner = state.owner
    if state.kind == "data":
        needs = (owner._node is not None) is value.wants_gradient
        return needs and (not value.is_array or array_matches(owner._data, value.array, False))
    if state.kind == "grad":
        held = owner.grad is not None
        return held and (not value.is_array or array_matches(owner.grad._data, value.array, False))
    return owner.bundle() is not None


def _in_words(state: State) -> str:
    if state.kind in ("data", "grad"):
        what = state.owner.name or "a tensor that the step uses"
        which = "its .grad" if state.kind == "grad" else "its data or requires_grad"
        return f"{what} has changed in kind: {which}"
    return f"{type(state.owner.optimizer).__name__} updates other parameters together"


# --- modules and hooks ----------------------------------------------------------------------------


def _parts(module: Any) -> list[int]:
    """Return the identities of a module's tensors, modules and own ``forward``."""
    return [
        id(one)
        for name, one in vars(module).items()
        if isinstance(one, Tensor | Module) or name == "forward"
    ]


def modules_match(parts: dict[Any, list[int]], settings: dict[Any, dict[str, Any]]) -> bool:
    """Return whether modules have the parts and settings that they had."""
    return all(_parts(module) == its_parts for module, its_parts in parts.items()) and all(
        settings_of(module) == its_settings for module, its_settings in settings.items()
    )


def hooks_match(hooks: Sequence[tuple[Tensor, tuple[Any, ...]]]) -> bool:
    """Return whether leaves have the hooks that they had."""
    for tensor, functions in hooks:
        now = tuple(getattr(tensor._node, "_hooks", {}).values())
        if len(now) != len(functions) or not all(map(is_, now, functions)):
            return False
    return True


# --- settings -------------------------------------------------------------------------------------


def _same_settings(optimizer: Any, number: int, group: dict[str, Any]) -> bool:
    """Return whether settings are the same; floats may differ, except in being zero."""
    if number >= len(optimizer.param_groups):
        return False
    now = optimizer.param_groups[number]
    return (
        now.keys() == group.keys()
        and all(_same_setting(now[name], group[name]) for name in group if name != "params")
        and list(map(id, now["params"])) == list(map(id, group["params"]))
    )


def _same_setting(one: Any, other: Any) -> bool:
    mine, theirs = as_number(one), as_number(other)
    if mine is not None and theirs is not None:
        return bool(mine) is bool(theirs)
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(_same_setting, one, other))
    return is_same(one, other)


errors: Callable[[], Any] = umath._extobj_contextvar.get
"""What NumPy does about division by zero and the like: an object that each ``np.errstate`` sets."""


def raises_errors() -> bool:
    """Return whether NumPy is to raise, or call a function, where it would compute inf or NaN."""
    return not {"raise", "call"}.isdisjoint(np.geterr().values())
