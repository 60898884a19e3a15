"""``tg.compile``: a step that is recorded once and replayed ever after."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import update_wrapper
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.backends import form_of
from tinygrad_lab.compile.numpy_target import NumPyProgram
from tinygrad_lab.compile.record import Recording, State, Unsupported, record_step
from tinygrad_lab.compile.trace import Value
from tinygrad_lab.context import current
from tinygrad_lab.errors import CompileError
from tinygrad_lab.node import Leaf
from tinygrad_lab.ops.apply import plain
from tinygrad_lab.tensor import Tensor

__all__ = ["CompiledStep"]

MISS = object()
"""What a replay returns that was recorded for something else than it is called with."""

MOST_RECORDINGS = 8
"""So many recordings of one step are as many as somebody wants; more are worth a warning."""


class CompiledStep:
    """A function whose array operations are recorded, and replayed as straight-line code."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        update_wrapper(self, function)
        self._signature = inspect.signature(function)
        self._replays: list[_Replay] = []
        self._seen: dict[Any, Recording] = {}
        self._eager = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            for replay in self._replays:
                out = replay.run(*args)
                if out is not MISS:
                    return out
        return self._another(args, kwargs)

    def _another(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call that no replay was ready for."""
        if self._eager or not current().ordinary:
            return self.function(*args, **kwargs)
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        for replay in self._replays:
            if replay.fits(args, kwargs) and replay.renew():
                out = replay.run(*args)
                if out is not MISS:
                    return out
        return self._record(args, kwargs, given)

    def _record(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], given: dict[str, Any]
    ) -> Any:
        leaves, rebuild = trees.flatten((list(args), kwargs))
        names = _names_of(leaves, given)
        try:
            recording, result = record_step(
                self.function, leaves, names, lambda f, new: _called(f, rebuild(new))
            )
        except Unsupported as reason:
            return self._run_eagerly(reason, args, kwargs)
        except CompileError:
            raise
        self._replays.append(_Replay(recording, leaves))
        if len(self._replays) == MOST_RECORDINGS:
            warnings.warn(
                f"tg.compile: {self.function.__name__} was recorded {MOST_RECORDINGS} times, for "
                "different shapes, dtypes, modes or settings. Recording takes longer than a step.",
                stacklevel=3,
            )
        return result

    def _run_eagerly(self, reason: Exception, args: Any, kwargs: Any) -> Any:
        warnings.warn(
            f"tg.compile: {self.function.__name__} runs uncompiled: {reason}", stacklevel=4
        )
        self._eager = True
        return self.function(*args, **kwargs)

    @property
    def optimized_source(self) -> str:
        """The lines that are run."""
        return self._replays[-1].source


def _called(function: Callable[..., Any], arguments: Any) -> Any:
    args, kwargs = arguments
    return function(*args, **kwargs)


def _names_of(leaves: Sequence[Any], given: dict[str, Any]) -> list[str]:
    """What the leaves of the arguments are called: by the parameter they are part of."""
    names: list[str] = []
    for name, value in given.items():
        count = len(trees.flatten(value)[0])
        names += [name] if count == 1 else [f"{name}_{i}" for i in range(count)]
    return names if len(names) == len(leaves) else [f"argument_{i}" for i in range(len(leaves))]


class _Replay:
    """One recording, bound to memory and to the tensors it is about."""

    def __init__(self, recording: Recording, leaves: list[Any]) -> None:
        self.recording = recording
        self.program = NumPyProgram(recording)
        self.leaves = leaves
        self.source, self.fixed = _replay_source(self.program, leaves)
        self.code = compile(self.source, "<tinygrad_lab compiled step>", "exec")
        self.run: Callable[..., Any] = lambda *_: MISS
        self.renew()

    def fits(self, args: Any, kwargs: Any) -> bool:
        """Whether it was recorded for arguments and states like these."""
        return not kwargs and len(args) == len(self.leaves)

    def renew(self) -> bool:
        """Make new memory, with what is there now; False if that is not what was recorded."""
        recording, program = self.recording, self.program
        homes: dict[State, Any] = {}
        for state, value in recording.states.items():
            if state.kind == "vector":
                homes[state] = np.array(state.owner.vector)
            elif state.kind == "state":
                homes[state] = np.array(state.owner.state[state.position])
        for bundle in {state.owner: None for state in homes if state.kind == "vector"}:
            for p, part in zip(bundle.parameters, bundle._parts(homes[State("vector", bundle)]),
                               strict=True):
                homes[State("data", p)] = part
        for state, value in recording.states.items():
            if state.kind == "data" and state not in homes:
                homes[state] = state.owner._data
            elif state.kind == "grad":
                homes[state] = np.array(state.owner.grad._data)
        names = program.bind(homes)
        for state, array in homes.items():
            _settle(state, array, recording)
        names.update(self.fixed, MISS=MISS, Tensor=Tensor, plain=plain, current=current,
                     getrefcount=sys.getrefcount)
        for number, (state, value) in enumerate(recording.writes.items()):
            if state.kind == "grad":
                names[f"grad_{number}"] = state.owner._grad
        exec(self.code, names)
        self.run = names["replay"]
        return True


def _settle(state: State, array: Any, recording: Recording) -> None:
    """Let a tensor or an optimiser have its data where the replay expects them."""
    owner = state.owner
    if state.kind == "vector":
        owner.vector = array
        owner.views = [p._data for p in owner.parameters]
    elif state.kind == "state":
        parts = list(owner.state)
        parts[state.position] = array
        owner.state = tuple(parts)
    elif state.kind == "data" and owner._data is not array:
        array[...] = owner._data
        owner._rebind(array)
    elif state.kind == "grad":
        array[...] = owner.grad._data
        owner._grad = plain(array)


def _replay_source(program: NumPyProgram, leaves: list[Any]) -> tuple[str, dict[str, Any]]:
    """The source of the function that replays, and what it refers to besides arrays."""
    recording = program.recording
    fixed: dict[str, Any] = {}
    arguments, checks = [], ["current().ordinary"]
    unpack = []
    for position, (leaf, value) in enumerate(zip(leaves, recording.arguments, strict=True)):
        name = f"given_{position}"
        arguments.append(name)
        if value is None:
            fixed[f"same_{position}"] = leaf
            checks.append(f"{name} == same_{position}")
            continue
        local = program.name(value)
        if isinstance(leaf, Tensor):
            checks += [f"{name}.__class__ is Tensor", f"{name}._node is None"]
            unpack.append(f"{local} = {name}._data")
        else:
            unpack.append(f"{local} = {name}")
        if value.is_array:
            fixed.setdefault("ndarray", np.ndarray)
            for what in ("shape", "dtype", "strides"):
                fixed[f"{what}_{position}"] = getattr(value.array, what)
            unpack.append(
                f"if {local}.__class__ is not ndarray or {local}.shape != shape_{position} or "
                f"{local}.dtype is not dtype_{position} or {local}.strides != strides_{position}: "
                "return MISS"
            )
    lines = [f"if not ({' and '.join(checks)}): return MISS", *unpack]
    for (optimizer, number, *path), value in recording.settings.items():
        group = f"group_{number}"
        fixed[group] = optimizer.param_groups[number]
        text = group + "".join(f"[{part!r}]" for part in path)
        name = program.name(value)
        lines.append(f"{name} = {text}")
        truth = "" if value.array else "not "
        lines.append(f"if {name}.__class__ is not float or not ({truth}{name}): return MISS")
    for state, value in recording.states.items():
        if state.kind == "steps":
            fixed[f"bundle_{value.index}"] = state.owner
            lines.append(f"{program.name(value)} = bundle_{value.index}.steps")
    lines += program.lines
    for number, (state, value) in enumerate(recording.writes.items()):
        if state.kind == "steps":
            lines.append(f"bundle_{recording.states[state].index}.steps = {program.name(value)}")
        elif state.kind == "grad":
            fixed[f"owner_{number}"] = state.owner
            lines.append(f"owner_{number}._grad = grad_{number}")
    outputs = [
        f"plain({program.name(one)})" if isinstance(one, Value) else f"output_{i}"
        for i, one in enumerate(recording.outputs)
    ]
    fixed.update({f"output_{i}": one for i, one in enumerate(recording.outputs)
                  if not isinstance(one, Value)})
    if len(outputs) == 1:
        lines.append(f"return {outputs[0]}")
    else:
        fixed["rebuild"] = recording.rebuild
        lines.append(f"return rebuild([{', '.join(outputs)}])")
    body = "\n".join(f"    {line}" for line in lines)
    return f"def replay({', '.join(arguments)}):\n{body}\n", fixed


_unused = (Leaf, form_of)
