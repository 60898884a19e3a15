"""A step as a textbook has it: the chain rule in so many lines, equal up to rounding.

The step is recorded once more, with the textbook forms of fused ops (``engine/taught.py``) and of
optimisers (``Optimizer.textbook``), and everything that it changes is put back. Then passes over
the draft of ``draft.py`` write the same mathematics more simply; they need not keep bits. To add a
pass, write a function of a draft and list it in ``PASSES``.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, groupby
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.compiler.plan.tidy import constants, keep_name
from tinygrad_lab.compiler.record.compare import is_same_memory
from tinygrad_lab.compiler.record.record import BundlePlace, Recorder, Recording, State, record_step
from tinygrad_lab.compiler.record.relied import Relied
from tinygrad_lab.compiler.record.trace import Call, Event, Origin, Value, memory_owner
from tinygrad_lab.compiler.source.draft import PASSES as AS_RECORDED, Draft, drop_unread, is_view
from tinygrad_lab.compiler.source.page import Line
from tinygrad_lab.compiler.source.phrase import TIGHT
from tinygrad_lab.compiler.source.roll import Index
from tinygrad_lab.compiler.source.rolled_updates import LoopNames, Updated, rolled
from tinygrad_lab.compiler.source.write import Writer
from tinygrad_lab.context import Scope, changed, within
from tinygrad_lab.engine.taught import TAUGHT
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import CompileError

__all__ = ["TextbookWriter", "recorded_as_taught"]


# --- recording ------------------------------------------------------------------------------------


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
            record_step(call, leaves, names, accept, relied, as_numbers, _AsTaught(as_numbers))
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


class _AsTaught(Recorder):
    """Records updates parameter by parameter, as optimisers have them in their textbook form."""

    def _lift_bundle(self, place: BundlePlace, bundle: Any) -> None:
        super()._lift_bundle(place, bundle)
        if not bundle.numbers:
            bundle.step = lambda _, settings: _update(place.optimizer, bundle, settings)

    def put_back(self, *, keep_changes: bool) -> None:
        super().put_back(keep_changes=keep_changes)
        for bundle, *_ in self._bundles.values():
            vars(bundle).pop("step", None)


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


# --- passes: before those of draft.py ------------------------------------------------------------


def take_vectors_apart(draft: Draft) -> None:
    """Give each parameter its own moments, in place of one vector for all."""
    recording = draft.recording
    for state, vector in list(recording.states.items()):
        if state.kind == "state" and state in recording.writes:
            _take_apart(draft, state, vector)


def _take_apart(draft: Draft, state: State, vector: Value) -> None:
    recording, place = draft.recording, state.owner
    joined = recording.writes[state].event
    owners = [State("data", one) for one in place.parameters]
    parameters = [recording.states[one] for one in owners if one in recording.states]
    if joined is None or joined.call.name != "concatenate":
        return
    spans = _spans(place.parameters)
    made = {_span(event): event for event in draft.events if event.inputs[:1] == (vector,)}
    counts = {len(joined.args[0]), len(parameters), len(spans)}
    if len(counts) > 1 or set(made) != set(spans):
        return
    del recording.states[state], recording.writes[state]
    names = place.optimizer.symbols or place.optimizer.state_names
    stem = names[state.position]
    for number, (span, new, parameter) in enumerate(
        zip(spans, joined.args[0], parameters, strict=True)
    ):
        before = _in_shape(draft, made[span].result)
        after = _reshaped_from(new)
        if after in (before, made[span].result):
            continue  # a momentum of 0
        own = State("moment", place, state.position * len(spans) + number)
        before.origin = Origin("state", f"{stem}_{parameter.name}", own)
        before.name, before.event, before.base = before.origin.name, None, None
        recording.states[own], recording.writes[own] = before, after
    given = set(recording.states.values())
    draft.events = [event for event in draft.events if given.isdisjoint(event.results)]


def _spans(parameters: Sequence[Any]) -> list[tuple[int, int]]:
    """Return where parameters start and stop in their vector."""
    stops = list(accumulate(one.size for one in parameters))
    return list(zip([0, *stops], stops, strict=False))


def _span(event: Event) -> Any:
    key = event.args[1] if event.call.kind == "getitem" else None
    return (key.start, key.stop) if isinstance(key, slice) else None


def _in_shape(draft: Draft, part: Value) -> Value:
    """Return a part of a vector in the shape of its parameter."""
    for event in draft.events:
        if event.inputs == (part,) and event.call.name == "reshape":
            return event.result
    return part


def _reshaped_from(value: Value) -> Value:
    while value.event is not None and value.event.call.name == "reshape":
        value = value.event.args[0]
    return value


def without_idle_counters(draft: Draft) -> None:
    """Drop the step counts of optimisers that do not use them."""
    recording = draft.recording
    for state, value in list(recording.writes.items()):
        if state.kind == "steps" and not any(value in event.inputs for event in draft.events):
            del recording.writes[state]


def without_factors_of_one(draft: Draft) -> None:
    """Drop the 1 with which the chain rule begins."""
    fixed, twins = constants(draft.events), dict[Value, Value]()
    for event in draft.events:
        if event.call.name != "multiply" or event.writes is not None or event.augmented:
            continue
        for one, other in (event.args, event.args[::-1]):
            if _is_full_of(one, 1, fixed) and _is_like(other, event.result):
                twins[event.result] = other
                keep_name(other, event.result)
                break
    draft.events = [e for e in draft.events if twins.keys().isdisjoint(e.results)]
    draft.replace(twins)


def _is_full_of(one: Any, number: float, fixed: Container[Value]) -> bool:
    """Return whether an argument is this number everywhere, at every call."""
    if not isinstance(one, Value):
        return isinstance(one, int | float) and one == number
    if not (one.is_constant or one in fixed):
        return False
    array = np.asarray(one.array)
    return bool(array.size) and bool((array == number).all())


def _is_like(one: Any, other: Value) -> bool:
    """Return whether two arrays have one shape and dtype."""
    array, result = getattr(one, "array", None), other.array
    if not isinstance(array, np.ndarray | np.generic):
        return False
    return (np.shape(array), array.dtype) == (np.shape(result), result.dtype)


def without_zeros_into_zeros(draft: Draft) -> None:
    """Drop what writes zeros into an array of zeros: the hidden state before the first step."""
    fixed, touched = constants(draft.events), set[Value]()
    left = []
    for event in draft.events:
        target = event.args[0] if event.call.kind == "setitem" else None
        made = target.event if isinstance(target, Value) else None
        if (
            made is not None
            and made.call.name == "zeros"
            and target not in touched
            and _is_full_of(event.args[2], 0, fixed)
        ):
            continue
        if event.writes is not None:
            touched.add(event.writes.root)
        left.append(event)
    draft.events = left


def without_any_copies(draft: Draft) -> None:
    """Drop copies of arrays that are never written into, whatever their order in memory."""
    written, twins = draft.written(), dict[Value, Value]()
    for event in draft.events:
        source = event.args[0] if event.args else None
        copied = event.call.name in ("array", "copy", "ascontiguousarray") and not event.augmented
        if not (copied and isinstance(source, Value) and len(event.results) == 1):
            continue
        if _is_like(source, event.result) and written.isdisjoint((source.root, event.result.root)):
            twins[event.result] = source
    draft.events = [e for e in draft.events if twins.keys().isdisjoint(e.results)]
    draft.replace(twins)


# --- passes: after those of draft.py -------------------------------------------------------------


def write_masks(draft: Draft) -> None:
    """Write ``g * (z > 0)`` for the gradient of ``h = relu(z)``."""
    fixed = constants(draft.events)
    events = []
    for event in draft.events:
        if event.call.name == "where_positive" and event.writes is None:
            condition, g = event.args
            made = condition.event
            if made is not None and made.call.name == "maximum" and made.loop is event.loop:
                clipped = [one for one in made.args if not _is_full_of(one, 0, fixed)]
                condition = clipped[0] if len(clipped) == 1 else condition
            mask = draft.new_value(condition.array > 0)
            positive = replace(event, call=_GREATER, args=(condition, 0), results=(mask,))
            mask.event = positive
            event.call, event.args = _MULTIPLY, (g, mask)
            event.refresh_inputs()
            events.append(positive)
        events.append(event)
    draft.events = events


_GREATER = Call("ufunc", "greater", np.greater)
_MULTIPLY = Call("ufunc", "multiply", np.multiply)
_SUBTRACT = Call("ufunc", "subtract", np.subtract)


def transpose_products(draft: Draft) -> None:
    """Write ``g.T @ x`` for ``(x.T @ g).T``."""
    users = draft.users()
    kept = set(draft.kept())
    events = []
    for event in draft.events:
        product = event.args[0].event if _is_transpose(event) else None
        if (
            product is None
            or product.call.name != "matmul"
            or product.loop is not event.loop
            or len(users.get(product.result, ())) != 1
            or product.result in kept
            or any(not isinstance(one, Value) or np.ndim(one.array) != 2 for one in product.args)
        ):
            events.append(event)
            continue
        left, right = product.args
        factors = [_transposed(draft, one, event, events) for one in (right, left)]
        event.call, event.args, event.kwargs = product.call, tuple(factors), {}
        event.refresh_inputs()
        event.result.base = None
        events.append(event)
    draft.events = events


def _is_transpose(event: Event) -> bool:
    if not is_view(event) or np.ndim(event.args[0].array) != 2:
        return False
    name, rest = event.call.name, event.args[1:]
    if name == "matrix_transpose":
        return True
    if name == "transpose":
        return rest in ((), (1, 0), ((1, 0),))
    return name == "swapaxes" and set(rest) in ({-1, -2}, {0, 1})


def _transposed(draft: Draft, one: Value, like: Event, events: list[Event]) -> Value:
    if one.event is not None and _is_transpose(one.event):
        source: Value = one.event.args[0]
        return source
    view = draft.new_value(one.array.T, base=one.root)
    call = Call("method", "transpose", np.ndarray.transpose)
    view.event = replace(like, call=call, args=(one,), kwargs={}, results=(view,))
    events.append(view.event)
    return view


def subtract_negatives(draft: Draft) -> None:
    """Write ``a - b`` for ``a + -b``."""
    for event in draft.events:
        if event.call.name != "add" or event.call.kind != "ufunc" or event.writes is not None:
            continue
        negated = getattr(event.args[1], "event", None)
        if negated is not None and negated.call.name == "negative" and not event.augmented:
            event.call, event.args = _SUBTRACT, (event.args[0], negated.args[0])
            event.refresh_inputs()


def write_usual_arguments(draft: Draft) -> None:
    """Write ``axis=0`` for ``axis=(0,)``, ``x[:9]`` for ``x[0:9]``, and no devices."""
    for event in draft.events:
        event.kwargs = {
            name: one[0] if name == "axis" and isinstance(one, tuple) and len(one) == 1 else one
            for name, one in event.kwargs.items()
            if name != "device"
        }
        if event.call.kind in ("getitem", "setitem") and isinstance(event.args[0], Value):
            key = _usual_key(event.args[1], np.shape(event.args[0].array))
            event.args = (event.args[0], key, *event.args[2:])


def _usual_key(key: Any, shape: tuple[int, ...]) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    if any(not isinstance(part, slice | int | Index) for part in parts):
        return key
    usual = tuple(_usual_slice(one, n) for one, n in zip(parts, shape, strict=False))
    return usual if isinstance(key, tuple) else usual[0]


def _usual_slice(part: Any, length: int) -> Any:
    if not isinstance(part, slice) or not (part.step is None or isinstance(part.step, int)):
        return part
    if part.step is not None and part.step < 1:
        return part
    start = None if type(part.start) is int and part.start == 0 else part.start
    stop = None if type(part.stop) is int and part.stop >= length else part.stop
    return slice(start, stop, part.step)


def check_first(draft: Draft) -> None:
    """Put the checks of arguments before the mathematics."""
    from_arguments = {one for one in draft.recording.arguments if one is not None}
    from_arguments |= {one for one in draft.recording.trace.values if one.is_constant}
    checks, rest = [], []
    wanted: set[Value] = set()
    for event in draft.events:
        simple = event.loop is None and event.call.kind not in ("draw", "setitem")
        if simple and event.writes is None and from_arguments.issuperset(event.inputs):
            from_arguments.update(event.results)
    for event in reversed(draft.events):
        mine = event.call.kind == "check" or not wanted.isdisjoint(event.results)
        if mine and event.loop is None and from_arguments.issuperset(event.inputs):
            wanted.update(event.inputs)
            checks.append(replace(event, phase="checks", scope=None))
            for value in event.results:
                value.event = checks[-1]
        else:
            rest.append(event)
    draft.events = [*reversed(checks), *reversed(rest)]


PASSES: tuple[Callable[[Draft], None], ...] = (
    take_vectors_apart,
    without_idle_counters,
    without_factors_of_one,
    without_zeros_into_zeros,
    without_any_copies,
    *AS_RECORDED,
    write_masks,
    transpose_products,
    subtract_negatives,
    write_usual_arguments,
    check_first,
    drop_unread,
)


# --- writing --------------------------------------------------------------------------------------


class TextbookWriter(Writer):
    """Writes a recording as a textbook would."""

    longest = 84
    in_layers = False

    def __init__(self, recording: Recording, function: Callable[..., Any]) -> None:
        self._said: dict[str, str] = {}
        """The short names of parameters and layers, by their names."""
        self._written: set[State] = set()
        super().__init__(recording, function, PASSES)
        self._updates = self._find_updates()
        self._name_updates()

    def _title(self, loading: bool) -> str:
        title = f"One call of {self.function}, as a textbook has it. It needs NumPy alone."
        if any(event.phase == "backward" for event in self.events):
            title += "\n\nd_x is the gradient with respect to x.\n"
        return title

    # --- names ------------------------------------------------------------------------------------

    def _name_states(self, variables: dict[int, str]) -> None:
        super()._name_states(variables)
        layers: dict[str, list[tuple[str, Value]]] = {}
        for state, value in self.recording.states.items():
            path, dot, own = (getattr(state.owner, "name", None) or "").rpartition(".")
            if state.kind == "data" and dot:
                layers.setdefault(own, []).append((path, value))
        for own, places in layers.items():
            stem = own.replace("weight", "W").replace("bias", "b")
            for (_, value), suffix in zip(places, _suffixes(places), strict=True):
                self._said[value.name or ""] = f"{stem}{suffix}"
                if own == "weight":
                    self._said[(value.name or "").removesuffix("_weight")] = f"z{suffix}"

    def _stem(self, value: Value) -> str:
        stem = super()._stem(value)
        if stem == "reshape":
            return "flat" if np.ndim(value.array) < 3 else "reshaped"
        gradient = stem.startswith("d_")
        said = self._said.get(stem.removeprefix("d_"))
        return stem if said is None else f"d_{said}" if gradient else said

    def _free_name(self, stem: str) -> str:
        if hasattr(np, stem) or hasattr(builtins, stem):
            stem = _OTHER_NAMES.get(stem, f"the_{stem}")
        return super()._free_name(stem)

    # --- updates ----------------------------------------------------------------------------------

    def _find_updates(self) -> dict[Value, list[tuple[State, Value]]]:
        """Map new parameters to the states that are written with them: their moments, and they."""
        writes = self.recording.writes
        found: dict[Value, list[tuple[State, Value]]] = {}
        for state, value in writes.items():
            if state.kind != "moment":
                continue
            number = state.position % len(state.owner.parameters)
            new = writes.get(State("data", state.owner.parameters[number]))
            if new is not None:
                found.setdefault(new, []).append((state, value))
        for state, value in writes.items():
            if state.kind == "data" and _group(value.event) is not None:
                found.setdefault(value, []).append((state, value))
        return {new: states for new, states in found.items() if _group(new.event) is not None}

    def _name_updates(self) -> None:
        """Let all parameters share the names of what their updates compute."""
        shared: dict[str, str] = {}
        for event in self.events:
            group = _group(event)
            for value in event.results if group is not None else ():
                users = self._users.get(value, [])
                if all(_group(user) is group for user in users) and value not in self._outputs():
                    stem = self._stem(value)
                    if stem not in shared:
                        shared[stem] = self._free_name(stem)
                    self._names[value] = shared[stem]

    def _reads(self) -> Iterator[Line]:
        for state, value in self.recording.states.items():
            if state.kind == "moment" and self._uses[value] == 1:
                self.phrases.inline[value] = f'state["{value.name}"]', TIGHT
        yield from super()._reads()

    def _states_read(self) -> Iterator[tuple[State, Value]]:
        for state, value in super()._states_read():
            if value not in self.phrases.inline or state.kind != "moment":
                yield state, value

    def _writes_to_state(self) -> Iterator[tuple[State, Value]]:
        for state, value in super()._writes_to_state():
            if state not in self._written:
                yield state, value

    def _lines_of(self, event: Event, position: int) -> Iterator[Line]:
        yield from super()._lines_of(event, position)
        for new in event.results:
            for state, value in self._updates.get(new, ()):
                self._written.add(state)
                key = self.recording.states[state].name
                yield Line(self._put(f'state["{key}"]', value))

    def _lines_in_order(self) -> Iterator[tuple[Line, Event | None, bool]]:
        for own, together in groupby(super()._lines_in_order(), lambda one: _is_update(one[1])):
            found = list(together)
            if not own:
                yield from found
                continue
            event = found[0][1]
            updates = [self._updated(*one) for one in _by_group(found)]
            for line in rolled(updates, self._loop_names()):
                yield line, event, False

    def _updated(self, scope: Scope, lines: list[Line]) -> Updated:
        """Return what is a parameter's own in the lines of its update."""
        inside = [event for event in self.events if _group(event) is scope]
        made = {value for event in inside for value in event.results}
        read = dict.fromkeys(value for event in inside for value in event.inputs)
        states = {state: value for state, value in self.recording.states.items() if value in read}
        parameters = [value for state, value in states.items() if state.kind == "data"]
        others = made.union(self.shared.numbers, states.values(), self.recording.settings.values())
        gradients = [one for one in read if one not in others and np.ndim(one.array)]
        if len(parameters) != 1 or len(gradients) != 1:
            return Updated("", "", "", tuple(lines))
        (parameter,), (gradient,) = parameters, gradients
        names = self.phrases.text(parameter), self.phrases.text(gradient)
        return Updated(str(parameter.name), *names, tuple(lines))

    def _loop_names(self) -> LoopNames:
        return LoopNames(*map(self._free_name, ("gradients", "name", "g")))

    def _can_be_inlined(self, event: Event, position: int, text: str) -> bool:
        if event.is_on_numbers and event.result not in self._kept and len(text) < _SHORT_NUMBER:
            return event.loop is None
        if event.call.name == "reshape" and self._uses[event.result] > 1:
            return False
        return super()._can_be_inlined(event, position, text)


_SHORT_NUMBER = 24
"""Numbers are written where they are used, up to this length: ``1 - beta1``."""

_OTHER_NAMES = {
    "matmul": "product",
    "add": "summed",
    "subtract": "difference",
    "multiply": "scaled",
    "divide": "quotient",
    "reshape": "reshaped",
    "sum": "total",
    "max": "largest",
    "min": "smallest",
    "mean": "average",
    "exp": "exponentials",
    "log": "logs",
    "where": "chosen",
    "array": "values",
}
"""What to call results, rather than by the name of the function that made them."""


def _group(event: Event | None) -> Any:
    """Return the scope of the parameter whose update an event is part of."""
    scope = None if event is None or event.loop is not None else event.scope
    return scope if scope is not None and scope.kind == UPDATE else None


def _is_update(event: Event | None) -> bool:
    return _group(event) is not None


def _by_group(
    lines: list[tuple[Line, Event | None, bool]],
) -> Iterator[tuple[Scope, list[Line]]]:
    """Yield the lines of each parameter's update, with its scope."""
    for scope, together in groupby(lines, lambda one: _group(one[1])):
        yield scope, [line for line, _, _ in together]


def _suffixes(places: list[tuple[str, Value]]) -> list[str]:
    """Return what tells layers apart: nothing for one; their numbers; or else their names."""
    if len(places) == 1:
        return [""]
    numbers = [path[len(path.rstrip("0123456789")) :] for path, _ in places]
    if all(own in ("", str(n)) for n, own in enumerate(numbers, 1)):
        return [str(n) for n in range(1, len(places) + 1)]
    return [f"_{path.replace('.', '_')}" for path, _ in places]
