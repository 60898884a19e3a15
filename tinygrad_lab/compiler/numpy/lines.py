"""One line of NumPy for each event, by the rules of one table (``functions.py``)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.numpy.expressions import Expressions
from tinygrad_lab.compiler.numpy.names import Names
from tinygrad_lab.compiler.plan.memory import (
    Plan,
    inverse,
    is_join,
    is_view,
    order_in_memory,
)
from tinygrad_lab.compiler.record.record import Recording
from tinygrad_lab.compiler.record.trace import Event, Value, values_in

__all__ = ["Lines", "plannable"]

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


class Lines:
    """Writes events as lines that work in planned memory."""

    def __init__(self, recording: Recording, plan: Plan) -> None:
        self.plan = plan
        read_after = [*recording.values_after(), *(value for _, value in plan.copies)]
        self.expressions = Expressions(plan.events, read_after)
        self.names = Names(recording, plan, self.expressions.names(plan.events))
        self._text, self._bound = self.names.text, self.names.bound
        self._scalars: dict[tuple[Any, ...], str] = {}
        self._fills: list[str] = []
        """Lines that must come before those being written."""
        self._settled = {event for event in plan.events if self._needs_no_line(event)}

    @property
    def summary(self) -> str:
        """What became of the events, in words."""
        folded = len(self.expressions.folded)
        return f"{len(self._settled)} of them done at allocation (views, constants)" + (
            f", {folded} folded into other expressions" if folded else ""
        )

    def is_settled(self, event: Event) -> bool:
        """Return whether an event needs no line: its result exists once the buffers do."""
        return event in self._settled

    def _needs_no_line(self, event: Event) -> bool:
        fixed = event.results and self.plan.constants.issuperset(event.results)
        if event in self.plan.once or (fixed and event.result.is_array):
            return True
        if self._parts_elsewhere(event) == []:
            return True
        return is_view(event) and all(map(self.names.is_static, event.results))

    def of(self, event: Event) -> Iterator[tuple[str, str]]:
        if is_view(event):
            yield f"{self._targets(event)} = {self._call(event)}", event.phase
            return
        lines = list(self._by_kind(event))
        for line in (*self._fills, *lines):
            yield line, event.phase
        self._fills.clear()

    def copies(self) -> Iterator[tuple[str, str]]:
        """Yield the lines that give states their new values at the end."""
        for state, value in self.plan.copies:
            yield f"{self.names.home(state)}[...] = {self._text(value)}", "update"

    def _by_kind(self, event: Event) -> Iterator[str]:
        kind, name = event.call.kind, event.call.name
        if event.is_on_numbers:
            if event.result not in self.expressions.folded:
                text = self.expressions.text(event, self._text, self._bound)
                yield f"{self.names.name(event.result)} = {text}"
        elif kind == "check":
            condition, recorded = event.args
            found = f"bool({self._text(condition)}) is not {recorded}"
            if np.ndim(condition.array):  # anywhere
                found = f"(1 in {self._text(condition)}.tobytes()) is not {recorded}"
            yield f"if {found}: return MISS"
        elif kind == "draw":
            draw = self._bound(name, event.call.function)
            arguments = ", ".join(map(self._text, event.args))
            yield f"{self.names.name(event.result)} = {draw}({arguments})"
        elif event.writes is not None:
            yield from self._write(event)
        elif (
            event.several
            or event.result.root in self.plan.fresh
            or not self.names.is_static(event.result)
        ):
            if _is_plain_product(event):
                call = self._dot(event)
            elif kind == "ufunc" and isinstance(event.call.function, np.ufunc):
                call = self._ufunc(event)
            else:
                call = self._call(event)
            yield f"{self._targets(event)} = {call}"
        else:
            yield from self._into(event, self.names.name(event.result))

    def _targets(self, event: Event) -> str:
        names = ", ".join(self.names.name(value) for value in event.results)
        return f"{names}," if event.several and len(event.results) == 1 else names

    def _write(self, event: Event) -> Iterator[str]:
        kind, name = event.call.kind, event.call.name
        target = self._text(event.writes)
        if kind == "setitem":
            array, key, source = event.args
            yield f"{self._place(array, key)} = {self._text(source)}"
        elif name == "fill":
            yield f"{target}.fill({self._text(event.args[1])})"
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
        if self.names.is_static(array) and not any(values_in(key)):
            view = array.array[key]
            if isinstance(view, np.ndarray) and np.may_share_memory(view, array.array):
                return f"{self._view_of(array, key)}[...]"
        return f"{self._text(array)}[{self._key(key)}]"

    def _view_of(self, array: Value, key: Any) -> str:
        name = f"{self.names.name(array)}_at_{len(self.names.bindings)}"
        return self.names.view(name, array, lambda a: a[key])

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
            yield f"{self._text(first)}.take({self._text(event.args[1])}, None, {target}, 'clip')"
        elif into == "reduce":
            yield self._reduction(event, target)
        elif into == "fill":
            if (number := event.filled_with()) is not None:
                yield f"{target}.fill({self._text(number)})"
        elif into == "reorder":
            yield self._reordered(event.result, first)
        elif into == "copy":
            yield f"{target}[...] = {self._text(first)}"
        elif (parts_elsewhere := self._parts_elsewhere(event)) is not None:
            for part, start in parts_elsewhere:
                place = slice(start, start + part.array.size)
                yield f"{self._view_of(event.result, place)}[...] = {self._text(part)}"
        elif into == "join":
            parts = ", ".join(map(self._text, first))
            axis = event.argument("axis", 1, 0)
            yield f"{self._bound('concatenate', np.concatenate)}(({parts},), {axis}, {target})"
        elif into == "choose":
            condition, x, y = map(self._text, event.args)
            copyto = self._bound("copyto", np.copyto)
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
        multiply, bits = self._bound("multiply", np.multiply), self._bits(event.result)
        if x.array.strides == event.result.array.strides:
            yield f"{multiply}({self._bits(x)}, {self._text(mask)}, {bits})"
        else:
            # Elementwise over two memory orders takes longer than a copy.
            yield f"{bits}[...] = {self._bits(x)}"
            yield f"{multiply}({bits}, {self._text(mask)}, {bits})"

    def _reordered(self, target: Value, source: Value) -> str:
        """Copy an array to memory in the order of its axes."""
        order = _shuffled_rows(source.array) if self.names.is_static(source) else None
        if order is None:
            return f"{self._as_shape(target, source.array.shape)}[...] = {self._text(source)}"
        # An assignment would loop over runs of a few elements each: it takes 1.5 times as long for
        # (100, 25, 5), and three times as long for the weights of a convolution, (25, 25, 3).
        rows = len(source.array), order.size
        axes = order_in_memory(source.array)
        places = f"{self.names.name(source)}_order"
        self.names.bindings[places] = order
        stored = self.names.view(
            f"{self.names.name(source)}_stored", source, lambda a: a.transpose(axes).reshape(rows)
        )
        return f"{stored}.take({places}, 1, {self._as_shape(target, rows)}, 'clip')"

    def _bits(self, value: Value) -> str:
        """Return floats as integers with the same bits."""
        integer = f"i{value.array.dtype.itemsize}"
        if not self.names.is_static(value):
            return f"{self._text(value)}.view({integer!r})"
        return self.names.view(f"{self.names.name(value)}_bits", value, lambda a: a.view(integer))

    def _as_shape(self, value: Value, shape: tuple[int, ...]) -> str:
        return self.names.view(
            f"{self.names.name(value)}_as_given", value, lambda a: a.reshape(shape)
        )

    # --- calls ------------------------------------------------------------------------------------

    def _dot(self, event: Event, *target: str) -> str:
        # The same BLAS product as matmul's, half a microsecond faster.
        given = ", ".join([*map(self._text, event.args), *target])
        return f"{self._bound('dot', np.dot)}({given})"

    def _ufunc(self, event: Event, target: str | None = None) -> str:
        """Write the call of a ufunc, into a buffer or into new memory."""
        function = event.call.function
        arguments = [*self._operands(event)]
        if target is not None:
            arguments.append(f"out={target}" if function in (np.maximum, np.minimum) else target)
        arguments += [f"{key}={self._text(one)}" for key, one in event.kwargs.items()]
        return f"{self._bound(function.__name__, function)}({', '.join(arguments)})"

    def _operands(self, event: Event) -> Iterator[str]:
        """Yield the operands of a ufunc, numbers as arrays of the dtype that NumPy computes in."""
        arrays = [isinstance(one, Value) and one.is_array for one in event.args]
        # With dtype=, for example, it may be another.
        loop = None if all(arrays) or event.kwargs else event.computed_in()
        for position, one in enumerate(event.args):
            if loop is not None and isinstance(one, float | int | bool):
                yield self._scalar(one, loop[position])
            elif loop is not None and isinstance(one, Value) and not one.is_array:
                yield self._filled(one, loop[position])
            else:
                yield self._text(one)

    def _scalar(self, number: Any, dtype: Any) -> str:
        key = (repr(number), dtype)  # 0.0 == -0.0
        if key not in self._scalars:
            self._scalars[key] = f"number_{len(self._scalars)}"
            self.names.bindings[self._scalars[key]] = np.asarray(number, dtype=dtype)
        return self._scalars[key]

    def _filled(self, number: Value, dtype: Any) -> str:
        """Store a number of this call in a 0-d array, which operations take faster."""
        key = (number, dtype)
        if key not in self._scalars:
            holder = np.empty((), dtype=dtype)
            name = self._scalars[key] = self._bound(f"{self.names.name(number)}_array", holder)
            self._fills.append(f"{name}.fill({self.names.name(number)})")
        return self._scalars[key]

    def _reduction(self, event: Event, target: str) -> str:
        function = _REDUCTIONS[event.call.name].reduce
        axis = event.argument("axis", 1)
        keepdims = event.argument("keepdims", 4, False)
        name = self._bound(f"{event.call.name}_of", function)
        tail = ", True" if keepdims else ""
        return f"{name}({self._text(event.args[0])}, {axis!r}, None, {target}{tail})"

    def _call(self, event: Event, *extra: str) -> str:
        """Write a call as it was recorded."""
        kind, name = event.call.kind, event.call.name
        if kind == "getitem":
            array, key = event.args
            return f"{self._text(array)}[{self._key(key)}]"
        given = [*map(self._text, event.args)]
        if known(name).shape == "like" and isinstance(event.args[0], Value):
            given[0] = self._bound(f"like_{event.args[0].index}", _outline(event.args[0].array))
        given += [f"{key}={self._text(one)}" for key, one in event.kwargs.items()]
        if kind == "method":
            return f"{given[0]}.{name}({', '.join([*given[1:], *extra])})"
        function = self._bound(name.replace(".", "_"), event.call.function)
        return f"{function}({', '.join([*given, *extra])})"

    def _key(self, key: Any) -> str:
        if isinstance(key, tuple):
            return ", ".join(map(self._key_part, key)) + ("," if len(key) == 1 else "") or "()"
        return self._key_part(key)

    def _key_part(self, part: Any) -> str:
        if isinstance(part, slice):
            ends = ["" if end is None else self._text(end) for end in (part.start, part.stop)]
            return ":".join(ends) + ("" if part.step is None else f":{self._text(part.step)}")
        return "..." if part is Ellipsis else self._text(part)


def _outline(array: Any) -> Any:
    """Return an array of the same shape, dtype and memory order, of which nothing may be read."""
    return as_strided(np.empty(1, array.dtype), array.shape, array.strides, writeable=False)


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
