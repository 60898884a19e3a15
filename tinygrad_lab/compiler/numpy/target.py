"""The NumPy target: the recorded calls, each writing into memory planned for it.

Emission has two halves. ``NumPyProgram`` emits one line per call, by the rules of one table.
``bind`` makes the buffers, the constants and every view of them once, so that calls need not: the
lines of the replay are left with the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.numpy.expressions import Expressions
from tinygrad_lab.compiler.plan.memory import (
    Plan,
    aligned,
    empty_like_recorded,
    inverse,
    is_join,
    is_view,
    order_in_memory,
    plan_memory,
)
from tinygrad_lab.compiler.plan.outlines import compacted
from tinygrad_lab.compiler.plan.schedule import scheduled
from tinygrad_lab.compiler.plan.tidy import tidied
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value, mapped, values_in

__all__ = ["LateBinding", "NumPyProgram", "is_view", "plannable"]

_REDUCTIONS = {"sum": np.add, "max": np.maximum, "min": np.minimum, "prod": np.multiply}
_FEW, _MANY = 8, 32
"""Elements along an axis, and in a row, for which shuffling a row is faster than copying it."""


def plannable(event: Event) -> bool:
    """Return whether the result can be written into a given buffer."""
    if len(event.results) != 1 or not isinstance(event.result.array, np.ndarray | np.generic):
        return False
    if event.result.root is not event.result:
        return False
    kind, into = event.call.kind, known(event.call.name).into
    if kind == "ufunc":
        return isinstance(event.call.function, np.ufunc)
    return bool(into) and kind in _KINDS_OF_CALLS.get(into, ("function",))


_KINDS_OF_CALLS: dict[str, tuple[str, ...]] = {
    "take": ("getitem",),
    "reduce": ("method",),
    "copy": ("method", "function"),
    "reorder": ("method", "function"),
    "fill": ("method", "function"),
}
"""For a way to write into memory, the kinds of calls whose arguments it knows."""


def _is_plain_product(event: Event) -> bool:
    """Return whether ``np.dot`` calls the same BLAS function as ``matmul``, and writes into memory.

    This holds for matrices and vectors of one dtype whose rows or columns are contiguous; for
    others, ``matmul`` does not use the BLAS. For a part of a matrix and its own transpose, one of
    the two computes only half of the symmetric result.
    """
    if event.call.function is not np.matmul or event.kwargs:
        return False
    arrays = [one.array for one in (*event.args, event.result)]
    ndims = sorted(one.ndim for one in arrays[:2])
    whole = all(one.flags.c_contiguous or one.flags.f_contiguous for one in arrays)
    runs = all(min(one.strides) == one.itemsize for one in arrays if one.ndim)
    one, other = arrays[:2]
    mirrored = one.shape == other.shape[::-1] and one.strides == other.strides[::-1]
    return (
        ((ndims == [2, 2] and runs and (whole or not mirrored)) or (1 in ndims and whole))
        and ndims[1] <= 2
        and all(min(one.shape) > 1 for one in arrays if one.ndim)
        and len({one.dtype for one in arrays}) == 1
        and arrays[0].dtype.kind == "f"
        and arrays[2].flags.c_contiguous
    )


class NumPyProgram:
    """A recording as code that runs in planned memory."""

    keeps_order = True
    """Whether events run in the order in which they were recorded."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.events = tidied(recording)
        if self.keeps_order:
            self.events = scheduled(recording, self.events)
        self.plan = self._planned()
        self._moving = self._views_made_anew()
        """Views of memory that stays, which are made at each call together with others."""
        self.bindings: dict[str, Any] = {}
        """Names in the code of fixed objects: constants, functions."""
        self.expressions = Expressions(self.events, self._values_after())
        self._names = self.expressions.names(self.events)
        self._scalars: dict[tuple[Any, ...], str] = {}
        self._fills: list[str] = []
        """Lines that must come before those being written."""
        self.lines_by_phase = list(self._emit())
        self.lines = [line for line, _ in self.lines_by_phase]

    def _planned(self) -> Plan:
        """Plan where every value lives."""
        able = {event for event in self.events if self._plannable(event)}
        return plan_memory(self.recording, self.events, able, join=self.keeps_order)

    def _plannable(self, event: Event) -> bool:
        """Return whether the result can be written into a given buffer."""
        return plannable(event)

    @property
    def preamble(self) -> str:
        """The source that the lines need besides NumPy."""
        return ""

    @property
    def scratch_bytes(self) -> int:
        """The memory that is made for a replay, and not shared with anything else."""
        own = sum(root.array.nbytes for root in self.plan.own if root not in self.plan.home_of)
        return self.plan.scratch + own

    def _values_after(self) -> Iterator[Value]:
        """Yield the values that are read after all events."""
        yield from (one for one in self.recording.outputs if isinstance(one, Value))
        yield from self.recording.writes.values()
        yield from (value for _, value in self.plan.copies)

    @property
    def summary(self) -> str:
        """A summary of what became of the recorded operations."""
        settled = sum(map(self._is_settled, self.events))
        parts = [
            f"{len(self.recording.trace.events)} operations recorded",
            f"{len(self.events)} needed",
            f"{settled} of them done at allocation (views, constants)",
        ]
        if self.expressions.folded:
            parts.append(f"{len(self.expressions.folded)} folded into other expressions")
        return ", ".join(parts)

    # --- names ------------------------------------------------------------------------------------

    def name(self, value: Value) -> str:
        """Return the name of a value in the code."""
        if value not in self._names:
            # Two underscores, as bound names may be number_3 or pow_16.
            self._names[value] = f"{value.name or 'v'}__{value.index}"
        return self._names[value]

    def bound(self, stem: str, thing: Any) -> str:
        """Bind a fixed object; return its name."""
        if self.bindings.get(stem) is not thing and stem in self.bindings:
            stem = f"{stem}_{len(self.bindings)}"
        self.bindings[stem] = thing
        return stem

    def is_static(self, value: Value) -> bool:
        """Return whether a value is the same array object at every call."""
        if not value.is_array or value in self._moving:
            return False
        return self.plan.is_static(value.root)

    def _views_made_anew(self) -> set[Value]:
        """Return the views that are made in one call with views of arguments, or new arrays."""
        anew: set[Value] = set()
        for event in self.events:
            inputs = [one for one in event.inputs if one.is_array]
            if event.several or not anew.isdisjoint(inputs):
                stay = all(self.plan.is_static(one.root) and one not in anew for one in inputs)
                if not (stay and is_view(event)):
                    anew.update(one for one in event.results if one.root is not one)
        return anew

    # --- lines ------------------------------------------------------------------------------------

    def _emit(self) -> Iterator[tuple[str, str]]:
        """Yield the lines, each with its phase."""
        for event in self.events:
            if not self._is_settled(event):
                yield from self._lines_by_numpy(event)
        for state, value in self.plan.copies:
            yield f"{self.home(state)}[...] = {self.text(value)}", "update"

    def _is_settled(self, event: Event) -> bool:
        """Return whether an event needs no line: its result exists once the buffers do."""
        fixed = event.results and all(value in self.plan.constants for value in event.results)
        if event in self.plan.once or (fixed and event.result.is_array):
            return True
        if self._parts_elsewhere(event) == []:
            return True
        return is_view(event) and all(map(self.is_static, event.results))

    def _lines_by_numpy(self, event: Event) -> Iterator[tuple[str, str]]:
        if is_view(event):
            yield f"{self._targets(event)} = {self._call(event)}", event.phase
            return
        lines = list(self._lines_of(event))
        for line in (*self._fills, *lines):
            yield line, event.phase
        self._fills.clear()

    def home(self, state: State) -> str:
        """Return the name of the memory that a state lives in."""
        if state in self.recording.states:
            return self.name(self.recording.states[state])
        return self.name(self.recording.writes[state]) + "_home"

    def _lines_of(self, event: Event) -> Iterator[str]:
        kind, name = event.call.kind, event.call.name
        if event.is_on_numbers:
            if event.result not in self.expressions.folded:
                text = self.expressions.text(event, self.text, self.bound)
                yield f"{self.name(event.result)} = {text}"
        elif kind == "check":
            condition, recorded = event.args
            found = f"bool({self.text(condition)}) is not {recorded}"
            if np.ndim(condition.array):  # anywhere
                found = f"(1 in {self.text(condition)}.tobytes()) is not {recorded}"
            yield f"if {found}: return MISS"
        elif kind == "draw":
            draw = self.bound(name, event.call.function)
            arguments = ", ".join(map(self.text, event.args))
            yield f"{self.name(event.result)} = {draw}({arguments})"
        elif event.writes is not None:
            yield from self._write(event)
        elif (
            event.several
            or event.result.root in self.plan.fresh
            or not self.is_static(event.result)
        ):
            if _is_plain_product(event):
                call = self._dot(event)
            elif kind == "ufunc" and isinstance(event.call.function, np.ufunc):
                call = self._ufunc(event)
            else:
                call = self._call(event)
            yield f"{self._targets(event)} = {call}"
        else:
            yield from self._into(event, self.name(event.result))

    def _targets(self, event: Event) -> str:
        names = ", ".join(self.name(value) for value in event.results)
        return f"{names}," if event.several and len(event.results) == 1 else names

    def _write(self, event: Event) -> Iterator[str]:
        kind, name = event.call.kind, event.call.name
        target = self.text(event.writes)
        if kind == "setitem":
            array, key, source = event.args
            yield f"{self._place(array, key)} = {self.text(source)}"
        elif name == "fill":
            yield f"{target}.fill({self.text(event.args[1])})"
        elif kind == "ufunc" and isinstance(event.call.function, np.ufunc):
            yield self._ufunc(event, target)
        elif name == "dot":
            yield self._dot(event, target)
        elif event.writes_into_argument:
            yield self._call(event)
        else:
            yield self._call(event, f"out={target}")

    def _place(self, array: Value, key: Any) -> str:
        """Write the target of an assignment: a view made in advance, where possible."""
        if self.is_static(array) and not any(values_in(key)):
            view = array.array[key]
            if isinstance(view, np.ndarray) and np.may_share_memory(view, array.array):
                return f"{self._view_of(array, key)}[...]"
        return f"{self.text(array)}[{self._key(key)}]"

    def _view_of(self, array: Value, key: Any) -> str:
        name = f"{self.name(array)}_at_{len(self.bindings)}"
        self.bindings[name] = _Part(array, key)
        return name

    def _into(self, event: Event, target: str) -> Iterator[str]:
        """Yield the lines that write an event's result into a buffer."""
        into = known(event.call.name).into
        first: Any = event.args[0] if event.args else None
        if into == "dot" or _is_plain_product(event):
            yield self._dot(event, target)
        elif event.call.kind == "ufunc":
            yield self._ufunc(event, target)
        elif into == "take":
            # An index array takes as long, and new memory; mode='raise' makes take() copy.
            yield f"{self.text(first)}.take({self.text(event.args[1])}, None, {target}, 'clip')"
        elif into == "reduce":
            yield self._reduction(event, target)
        elif into == "fill":
            if (number := event.filled_with()) is not None:
                yield f"{target}.fill({self.text(number)})"
        elif into == "reorder":
            yield self._reordered(event.result, first)
        elif into == "copy":
            yield f"{target}[...] = {self.text(first)}"
        elif (parts_elsewhere := self._parts_elsewhere(event)) is not None:
            for part, start in parts_elsewhere:
                place = slice(start, start + part.array.size)
                yield f"{self._view_of(event.result, place)}[...] = {self.text(part)}"
        elif into == "join":
            parts = ", ".join(map(self.text, first))
            axis = event.argument("axis", 1, 0)
            yield f"{self.bound('concatenate', np.concatenate)}(({parts},), {axis}, {target})"
        elif into == "choose":
            condition, x, y = map(self.text, event.args)
            copyto = self.bound("copyto", np.copyto)
            yield f"{target}[...] = {y}"
            yield f"{copyto}({target}, {x}, where={condition})"
        elif into == "mask":
            yield from self._where_mask(event, target)
        else:
            yield f"{target}[...] = {self._call(event)}"

    def _parts_elsewhere(self, event: Event) -> list[tuple[Value, int]] | None:
        """Return the parts still to be copied to the vector that joins them; None if all are."""
        if not event.results or not is_join(event):
            return None
        ends = accumulate(part.array.size for part in event.args[0])
        parts = [
            (part, end - part.array.size) for part, end in zip(event.args[0], ends, strict=True)
        ]
        elsewhere = [
            (part, start)
            for part, start in parts
            if self.plan.part_of.get(part.root) != (event.result, start)
        ]
        return elsewhere if len(elsewhere) < len(parts) else None

    def _where_mask(self, event: Event, target: str) -> Iterator[str]:
        """Yield the lines for x where a mask is true: its bits, as integers, times the mask."""
        x, mask = event.args
        multiply, bits = self.bound("multiply", np.multiply), self._bits(event.result)
        if x.array.strides == event.result.array.strides:
            yield f"{multiply}({self._bits(x)}, {self.text(mask)}, {bits})"
        else:
            # Elementwise over two memory orders takes longer than a copy.
            yield f"{bits}[...] = {self._bits(x)}"
            yield f"{multiply}({bits}, {self.text(mask)}, {bits})"

    def _reordered(self, target: Value, source: Value) -> str:
        """Copy an array to memory in the order of its axes."""
        order = _shuffled_rows(source.array) if self.is_static(source) else None
        if order is None:
            return f"{self._as_shape(target, source.array.shape)}[...] = {self.text(source)}"
        # An assignment would loop over runs of a few elements each: it takes 1.5 times as long for
        # (100, 25, 5), and three times as long for the weights of a convolution, (25, 25, 3).
        rows = len(source.array), order.size
        axes = order_in_memory(source.array)
        places = f"{self.name(source)}_order"
        self.bindings[places] = order
        stored = self._view(
            f"{self.name(source)}_stored", source, lambda a: a.transpose(axes).reshape(rows)
        )
        return f"{stored}.take({places}, 1, {self._as_shape(target, rows)}, 'clip')"

    def _bits(self, value: Value) -> str:
        """Return floats as integers with the same bits."""
        integer = f"i{value.array.dtype.itemsize}"
        if not self.is_static(value):
            return f"{self.text(value)}.view({integer!r})"
        return self._view(f"{self.name(value)}_bits", value, lambda a: a.view(integer))

    def _as_shape(self, value: Value, shape: tuple[int, ...]) -> str:
        return self._view(f"{self.name(value)}_as_given", value, lambda a: a.reshape(shape))

    def _view(self, name: str, value: Value, make: Callable[[Any], Any]) -> str:
        self.bindings[name] = _Derived(value, make)
        return name

    # --- calls ------------------------------------------------------------------------------------

    def _dot(self, event: Event, *target: str) -> str:
        # The same BLAS product as matmul's, half a microsecond faster.
        given = ", ".join([*map(self.text, event.args), *target])
        return f"{self.bound('dot', np.dot)}({given})"

    def _ufunc(self, event: Event, target: str | None = None) -> str:
        """Write the call of a ufunc, into a buffer or into new memory."""
        function = event.call.function
        arguments = [*self._operands(event)]
        if target is not None:
            arguments.append(f"out={target}" if function in (np.maximum, np.minimum) else target)
        arguments += [f"{key}={self.text(one)}" for key, one in event.kwargs.items()]
        return f"{self.bound(function.__name__, function)}({', '.join(arguments)})"

    def _operands(self, event: Event) -> Iterator[str]:
        """Yield the operands of a ufunc, numbers as arrays of the dtype that NumPy computes in."""
        # With dtype=, for example, it may be another.
        loop = None if event.kwargs else event.computed_in()
        for position, one in enumerate(event.args):
            if loop is not None and isinstance(one, float | int | bool):
                yield self._scalar(one, loop[position])
            elif loop is not None and isinstance(one, Value) and not one.is_array:
                yield self._filled(one, loop[position])
            else:
                yield self.text(one)

    def _scalar(self, number: Any, dtype: Any) -> str:
        key = (repr(number), dtype)  # 0.0 == -0.0
        if key not in self._scalars:
            self._scalars[key] = f"number_{len(self._scalars)}"
            self.bindings[self._scalars[key]] = np.asarray(number, dtype=dtype)
        return self._scalars[key]

    def _filled(self, number: Value, dtype: Any) -> str:
        """Store a number of this call in a 0-d array, which operations take faster."""
        key = (number, dtype)
        if key not in self._scalars:
            holder = np.empty((), dtype=dtype)
            name = self._scalars[key] = self.bound(f"{self.name(number)}_array", holder)
            self._fills.append(f"{name}.fill({self.name(number)})")
        return self._scalars[key]

    def _reduction(self, event: Event, target: str) -> str:
        function = _REDUCTIONS[event.call.name].reduce
        axis = event.argument("axis", 1)
        keepdims = event.argument("keepdims", 4, False)
        name = self.bound(f"{event.call.name}_of", function)
        tail = ", True" if keepdims else ""
        return f"{name}({self.text(event.args[0])}, {axis!r}, None, {target}{tail})"

    def _call(self, event: Event, *extra: str) -> str:
        """Write a call as it was recorded."""
        kind, name = event.call.kind, event.call.name
        if kind == "getitem":
            array, key = event.args
            return f"{self.text(array)}[{self._key(key)}]"
        given = [*map(self.text, event.args)]
        if known(name).shape == "like" and isinstance(event.args[0], Value):
            given[0] = self.bound(f"like_{event.args[0].index}", _outline(event.args[0].array))
        given += [f"{key}={self.text(one)}" for key, one in event.kwargs.items()]
        if kind == "method":
            return f"{given[0]}.{name}({', '.join([*given[1:], *extra])})"
        function = self.bound(name.replace(".", "_"), event.call.function)
        return f"{function}({', '.join([*given, *extra])})"

    def _key(self, key: Any) -> str:
        if isinstance(key, tuple):
            return ", ".join(map(self._key_part, key)) + ("," if len(key) == 1 else "") or "()"
        return self._key_part(key)

    def _key_part(self, part: Any) -> str:
        if isinstance(part, slice):
            ends = ["" if end is None else self.text(end) for end in (part.start, part.stop)]
            return ":".join(ends) + ("" if part.step is None else f":{self.text(part.step)}")
        return "..." if part is Ellipsis else self.text(part)

    def text(self, one: Any) -> str:
        """Write an argument."""
        if isinstance(one, Value):
            return self.text(one.array) if _is_literal(one) else self.name(one)
        if isinstance(one, tuple):
            return "(" + ", ".join(map(self.text, one)) + ("," if len(one) == 1 else "") + ")"
        if isinstance(one, list):
            return "[" + ", ".join(map(self.text, one)) + "]"
        if one is None or isinstance(one, bool | int | str) or one is Ellipsis:
            return repr(one)
        if one.__class__ is float and np.isfinite(one):
            return repr(one) if one >= 0 else f"({one!r})"
        return self.bound(f"thing_{len(self.bindings)}", one)

    # --- binding ----------------------------------------------------------------------------------

    def bind(self, homes: dict[State, Any]) -> dict[str, Any]:
        """Return all names of the code, with new buffers.

        ``homes`` has the memory of the states; missing ones are added.
        """
        arrays = self._arrays(homes)
        bound = {self.name(value): array for value, array in arrays.items()}
        for name, thing in self.bindings.items():
            bound[name] = thing.made(arrays) if isinstance(thing, LateBinding) else thing
        self._write_constants(arrays)
        for state, value in self.recording.writes.items():
            if value.is_array and state not in homes:
                homes[state] = self._home_of_write(state, value, arrays)
                bound[self.name(value) + "_home"] = homes[state]
        return bound

    def _arrays(self, homes: dict[State, Any]) -> dict[Value, Any]:
        """Return the arrays of all values that are the same at every call."""
        arrays: dict[Value, Any] = {}
        scratch = aligned(self.plan.scratch)
        for value in self.recording.trace.values:
            if value.origin is not None and value.origin.kind == "constant":
                arrays[value] = _constant(value.array)
        for state, value in self.recording.states.items():
            if value.is_array:
                arrays[value] = homes[state]
        for event in self.events:
            for value in event.results:
                if value in self.plan.constants:
                    arrays[value] = _constant(value.array)
                elif value.is_array and self.is_static(value) and value not in arrays:
                    arrays[value] = self._memory(event, value, arrays, scratch, homes)
        return arrays

    def _home_of_write(self, state: State, value: Value, arrays: dict[Value, Any]) -> Any:
        copied = any(one == state for one, _ in self.plan.copies)
        return empty_like_recorded(value.array) if copied else arrays[value]

    def _memory(
        self,
        event: Event,
        value: Value,
        arrays: dict[Value, Any],
        scratch: Any,
        homes: dict[State, Any],
    ) -> Any:
        """Return the array of a value that is the same at every call."""
        if is_view(event):
            out = event.call.function(*_real(event.args, arrays), **_real(event.kwargs, arrays))
            return out[event.results.index(value)] if event.several else out
        state = self.plan.home_of.get(value)
        if state is not None and state in homes and value is self.recording.writes[state]:
            return homes[state]
        if value in self.plan.part_of:
            joined, start = self.plan.part_of[value]
            if joined not in arrays:
                arrays[joined] = empty_like_recorded(joined.array)
            part = arrays[joined][start : start + value.array.size]
            return part.reshape(value.array.shape)
        if value in self.plan.own or state is not None:
            return empty_like_recorded(np.asarray(value.array))
        place = scratch[self.plan.place_of[value] :]
        return empty_like_recorded(np.asarray(value.array), place)

    def _write_constants(self, arrays: dict[Value, Any]) -> None:
        for event in self.events:
            if event not in self.plan.once:
                continue
            if event.writes is None:
                arrays[event.result].fill(event.filled_with())
            else:
                event.call.function(*_real(event.args, arrays), **_real(event.kwargs, arrays))


def _outline(array: Any) -> Any:
    """Return an array of the same shape, dtype and memory order, of which nothing may be read."""
    return as_strided(np.empty(1, array.dtype), array.shape, array.strides, writeable=False)


def _is_literal(value: Value) -> bool:
    """Return whether a value is a number that is the same at every call."""
    return value.is_constant and not value.is_array


def _real(tree: Any, arrays: dict[Value, Any]) -> Any:
    return mapped(tree, lambda one: arrays[one] if isinstance(one, Value) else one)


def _shuffled_rows(array: Any) -> Any:
    """Return where each element of a row stands in its row of memory; None if not needed.

    It is needed for arrays whose rows are contiguous and all shuffled in the same way, with
    only a few elements along the last axis.
    """
    if array.ndim < 3 or array.shape[-1] > _FEW or array.strides[-1] == array.itemsize:
        return None
    order = order_in_memory(array)
    stored = array.transpose(order)
    if order[0] != 0 or not stored.flags.c_contiguous or array[0].size < _MANY:
        return None
    within = np.arange(array[0].size).reshape(1, *stored.shape[1:])
    return within.transpose(inverse(order)).reshape(-1)


class LateBinding:
    """A fixed object that is made together with the buffers."""

    def made(self, arrays: dict[Value, Any]) -> Any:
        raise NotImplementedError


class _Part(LateBinding):
    """A part of a buffer."""

    def __init__(self, value: Value, key: Any) -> None:
        self.value, self.key = value, key

    def made(self, arrays: dict[Value, Any]) -> Any:
        return arrays[self.value][self.key]


def _constant(array: Any) -> Any:
    """Return a constant in the form that operations take fastest: scalars as 0-d arrays."""
    return np.asarray(array) if isinstance(array, np.generic) else compacted(array)


class _Derived(LateBinding):
    """Another view of a buffer."""

    def __init__(self, value: Value, make: Callable[[Any], Any]) -> None:
        self.value, self.make = value, make

    def made(self, arrays: dict[Value, Any]) -> Any:
        return self.make(arrays[self.value])
