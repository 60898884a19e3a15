"""Recording a step: run it once, for real, and record everything that happens to arrays.

What a step reads is lifted (``lifting.py``, ``optimizers.py``) when it is first used; the engine
tells the recorder about it (``tinygrad_lab.context.Recorder``). At the end, parameters, moments,
step counts and gradients are inputs and outputs of the recording, and everything that outlives the
step has real arrays again.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.compiler.record.arrays import TRACED, TracedArray, holds_traced
from tinygrad_lab.compiler.record.frames import openers, phases
from tinygrad_lab.compiler.record.lifting import LiftedArguments, LiftedTensors
from tinygrad_lab.compiler.record.namespace import traced_namespace
from tinygrad_lab.compiler.record.naming import name_new_states, name_values
from tinygrad_lab.compiler.record.optimizers import LiftedOptimizers, StepOf
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.relied import Relied
from tinygrad_lab.compiler.record.running import RunningTrace
from tinygrad_lab.compiler.record.trace import Part, Trace, Value
from tinygrad_lab.compiler.refusal import AskedError, UnsupportedError, refused
from tinygrad_lab.context import Touch, changed
from tinygrad_lab.engine.apply import apply
from tinygrad_lab.engine.backward import sweep
from tinygrad_lab.engine.hooks import run_hooks
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.engine.op import Op
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.engine.user_code import is_library, line_of
from tinygrad_lab.errors import CompileError
from tinygrad_lab.nn.module import settings_of
from tinygrad_lab.optim.optimizer import Bundle, Optimizer
from tinygrad_lab.random.generator import remembered_states

__all__ = ["Recorder", "record_step"]

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


class Recorder:
    """What the engine tells while a step is recorded; ``context.Recorder`` says what it must do."""

    def __init__(
        self, as_numbers: frozenset[int] = frozenset(), step_of: StepOf | None = None
    ) -> None:
        """``as_numbers`` are the places of numbers among the arguments that are read each time."""
        self.trace = RunningTrace()
        self.recording = Recording(self.trace, [])
        self._arguments = LiftedArguments(self.trace, self.recording, as_numbers)
        self._tensors = LiftedTensors(self.trace, self.recording)
        self._optimizers = LiftedOptimizers(self.trace, self.recording, self._tensors, step_of)
        self._gradients: list[tuple[Node, Value]] = []
        """The nodes of the way back, with their gradients."""

    # --- what the engine tells --------------------------------------------------------------------

    def arrays_of(self, inputs: Sequence[Any], op: Op | None = None) -> list[Any]:
        """Return the data of an op's inputs, all of it traced; the op is applied to them."""
        self._tensors.lift(inputs)
        arrays = [self._traced(x._data if isinstance(x, Tensor) else x) for x in inputs]
        if op is not None:
            self.trace.applied = _part_of(op, "forward", op.named_arrays(arrays))
            self.trace.applied.frame = id(sys._getframe(1))
        return arrays

    def _traced(self, one: Any) -> Any:
        """Return an input of an op, traced if it is a NumPy array of the user's."""
        if isinstance(one, np.ndarray | np.generic):
            return TracedArray(self.trace, self.trace.constant(np.asarray(one)))
        return one

    def real(self, arrays: Sequence[Any]) -> list[Any]:
        """Return arrays without traces, for an error that reads them."""
        return [one.value.array if one.__class__ in TRACED else one for one in arrays]

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
            self._tensors.lift(things)
        prepare: dict[str, Callable[[Any], None]] = {
            "set grad": self._tensors.lift_owner,
            "collect": self._tensors.prepare_collecting,
            "run": self._visit,
            "step": self._step,
        }
        if how in prepare:
            for thing in things:
                prepare[how](thing)

    def _visit(self, module: Any) -> None:
        """Remember a module that runs."""
        if module not in self.recording.modules:
            self.recording.modules[module] = module.training
            self.recording.module_settings[module] = settings_of(module)

    def _step(self, optimizer: Optimizer) -> None:
        self.trace.optimizer = type(optimizer)
        self._optimizers.lift(optimizer)

    def observe(self, node: Node, g: Any) -> Any:
        """See the complete gradient of a node, on the way back."""
        g = run_hooks(node, g)
        traced = getattr(g._data if isinstance(g, Tensor) else g, "value", None)
        if traced is not None:
            self._gradients.append((node, traced))
        self.trace.node = None if isinstance(node, Leaf) else node
        op = node.op
        self.trace.pulled = None if op is None else _part_of(op, "backward", node.kept)
        return g

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

    # --- beginning and end ------------------------------------------------------------------------

    def lift_arguments(self, leaves: list[Any], names: list[str]) -> list[Any]:
        """Return the leaves of the arguments that the step is called with."""
        pairs = enumerate(zip(leaves, names, strict=True))
        return [self._arguments.lift(leaf, place, name) for place, (leaf, name) in pairs]

    def finish(self, result: Any, accept: Callable[[Recording], None]) -> Recording:
        """Return the recording, and give everything that was lifted its state after the step."""
        recording = self.recording
        leaves, recording.rebuild = trees.flatten(result)
        recording.outputs = [_value_or_constant(leaf) for leaf in leaves]
        self._tensors.settle_temporaries()
        _refuse_changed_modes(recording.modules)
        self._arguments.refuse_changes()
        recording.are_tensors = [isinstance(leaf, Tensor) for leaf in leaves]
        nodes = [leaf.node for leaf in leaves if isinstance(leaf, Tensor)]
        name_values(self.trace, nodes, self._gradients)
        self._optimizers.refuse_changes()
        self._tensors.note_changes()
        self._optimizers.note_changes()
        name_new_states(recording)
        _order_moves(recording)
        _refuse_writes_into_arguments(self.trace)
        accept(recording)
        self.put_back(keep_changes=True)
        return recording

    def put_back(self, *, keep_changes: bool) -> None:
        """Remove every traced array from what outlives the step."""
        for module in self.recording.modules:
            # The context of its last call, which holds this recorder.
            vars(module).pop("_called", None)
        self._optimizers.put_back(keep_changes=keep_changes)
        self._tensors.put_back(keep_changes=keep_changes)

    def refuse_leaks(self) -> None:
        """Raise if a tensor that the step made is still referred to: later calls make none.

        Once the recorder itself has dropped its traced arrays, nothing should refer to them.
        """
        self.trace.node = None
        self._gradients.clear()
        self._arguments.forget()
        self._tensors.forget()
        self._optimizers.forget()
        kept = [one.value for one in self._living()]
        if kept:
            gc.collect()  # reference cycles alone do not count
            kept = [one.value for one in self._living()]
        if kept:
            # The tensor that was made last keeps, by its history, earlier ones and gradients alive.
            forward = [v for v in kept if v.event is not None and v.event.phase == "forward"]
            raise _leaked((forward or kept)[-1])

    def _living(self) -> Iterator[Any]:
        """Yield the traced arrays and numbers that something refers to."""
        return (one for handle in self.trace.handles if (one := handle()) is not None)

    def leave_real_arrays(self) -> None:
        """Give real arrays to all tensors that still hold traced ones: the step was broken off."""
        for handle in list(self._living()):
            for holder in gc.get_referrers(handle):
                if isinstance(holder, Tensor) and holder._data is handle:
                    holder._data = handle.value.array


def record_step(
    call: Callable[[list[Any]], Any],
    leaves: list[Any],
    names: list[str],
    accept: Callable[[Recording], None],
    relied: Relied | None = None,
    as_numbers: frozenset[int] = frozenset(),
    step_of: StepOf | None = None,
) -> tuple[Recording, Any]:
    """Run a step under a recorder; return the recording and the step's result.

    ``call(leaves)`` calls it with arguments made of the leaves; ``accept`` may raise. If the step
    is refused, everything is restored to its state before it. If it raises an exception of its
    own, what it has done by then remains, as it would have uncompiled; but if that may be because
    ``as_numbers`` are traced, it is refused, too. ``step_of`` replaces steps of optimisers.
    """
    if traced_namespace.library.trace is not None:
        raise UnsupportedError("a compiled step is called within another")
    recorder = Recorder(as_numbers, step_of)
    if relied is not None:
        recorder.recording.dependencies = relied.dependencies
    traced_namespace.library.trace = recorder.trace
    with remembered_states() as drawn_from:
        try:
            return _recorded(recorder, call, recorder.lift_arguments(leaves, names), accept)
        except BaseException as error:
            # A traced number is no float or int: where that matters, the step asks for its value.
            asks = isinstance(error, TypeError | AttributeError) and bool(as_numbers)
            is_refused = asks or isinstance(error, CompileError)
            recorder.put_back(keep_changes=not is_refused)
            if not is_refused:
                recorder.leave_real_arrays()
                raise
            for generator, state in list(drawn_from.items()):
                generator.set_state(state)
            if asks:
                raise AskedError(str(error), as_numbers) from error
            raise
        finally:
            traced_namespace.library.trace = None


def _recorded(
    recorder: Recorder,
    call: Callable[[list[Any]], Any],
    lifted: list[Any],
    accept: Callable[[Recording], None],
) -> tuple[Recording, Any]:
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
    if leaf.__class__ not in TRACED:
        return leaf.copy(order="K") if isinstance(leaf, np.ndarray) else leaf
    value = leaf.value
    kept = value.is_array and (value.root.origin is None or value.root.is_constant)
    return value.array.copy(order="K") if kept else value.array


def _value_or_constant(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return leaf._data.value if leaf._data.__class__ in TRACED else leaf
    return leaf.value if leaf.__class__ in TRACED else leaf


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
    if thing.__class__ in TRACED:
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


def _refuse_changed_modes(modules: Mapping[Any, bool]) -> None:
    if any(module.training is not mode for module, mode in modules.items()):
        raise UnsupportedError("it changes the mode (train, eval) of a module")
