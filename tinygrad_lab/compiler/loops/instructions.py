"""Array operations as loops see them: formulas on places in memory.

The lower half of every target that writes its own loops (here numba's). An event becomes one or
several instructions, which refer not to arrays but to *places*: a memory, where the place begins
in it, and how far apart the elements along each axis are. A view is just another place.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.record.trace import Event, Value

__all__ = ["ElsewhereError", "Instruction", "Memory", "Place", "lowered", "picks_elements"]


@dataclass(frozen=True, slots=True)
class Memory:
    """A piece of memory: where its address comes from, and which others it may overlap."""

    name: str
    dtype: np.dtype[Any]
    overlaps: Hashable
    """Memories overlap if, and only if, these are equal."""


@dataclass(frozen=True, slots=True)
class Place:
    """Elements of a memory."""

    memory: Memory
    offset: int
    """The position of the first element, in elements."""
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In elements."""
    advance: int = 0
    """How far it moves in each round of a loop over instructions."""

    @property
    def bounds(self) -> tuple[int, int]:
        """The positions of the first and the last element in memory."""
        reach = [step * (size - 1) for step, size in zip(self.strides, self.shape, strict=True)]
        return self.offset + sum(r for r in reach if r < 0), self.offset + sum(
            r for r in reach if r > 0
        )

    def spread(self, shape: tuple[int, ...]) -> Place:
        """Broadcast this place to a shape."""
        if shape == self.shape:
            return self
        missing = len(shape) - len(self.shape)
        strides = [
            0 if old == 1 and new != 1 else stride
            for old, new, stride in zip(self.shape, shape[missing:], self.strides, strict=True)
        ]
        return replace(self, shape=shape, strides=(*[0] * missing, *strides))


@dataclass(frozen=True, slots=True, eq=False)
class Instruction:
    """One operation on places."""

    kind: str
    """``"map"`` (element by element), ``"reduce"``, ``"product"`` (of matrices), ``"gather"``,
    ``"scatter"`` or ``"check"``."""
    formula: str
    """Of a map: an expression of ``{0}``, ``{1}``; of a reduction: its name."""
    target: Place
    sources: tuple[Any, ...] = ()
    """Places, names of numbers, and numbers."""
    dtype: Any = None
    """The dtype it is computed in."""
    axes: tuple[int, ...] = ()
    """The axes of a reduction."""
    event: Event | None = None

    @property
    def places(self) -> Iterator[Place]:
        """The places it reads and writes, the target first."""
        yield self.target
        yield from (one for one in self.sources if isinstance(one, Place))

    def signature(self) -> Hashable:
        """Return what it shares with the same operation on other elements of the same memory."""
        sources = tuple(_ignoring_offset(one) for one in self.sources)
        target = _ignoring_offset(self.target)
        return (self.kind, self.formula, target, sources, self.dtype, self.axes)


def _ignoring_offset(one: Any) -> Hashable:
    if isinstance(one, Place):
        return (one.memory.name, one.memory.dtype, one.shape, one.strides)
    return repr(one)


PlaceOf = Callable[[Value, Callable[[Any], Any] | None], Place]


class ElsewhereError(LookupError):
    """An event's array is in no memory that loops can be given."""


@dataclass(slots=True)
class _Lowering:
    """Turns events into instructions; ``place`` locates an array (or a view of it)."""

    place: PlaceOf
    number: Callable[[Value], Any]
    fixed: Container[Value]
    out: list[Instruction] = field(default_factory=list)

    def __call__(self, event: Event) -> bool:
        """Append the instructions of an event; return False if there are none."""
        kind, row = event.call.kind, known(event.call.name)
        if kind == "check":
            condition, expected = event.args
            if condition.array.ndim and expected:
                return False  # Somewhere, but not everywhere.
            self._add("check", str(expected), self._at(condition), event=event)
        elif kind == "ufunc" and row.formula:
            return self._ufunc(event)
        elif row.shape == "product":
            return self._product(event)
        elif row.into == "reduce" and kind == "method":
            return self._reduction(event)
        elif kind == "setitem":
            return self._setitem(event)
        elif kind == "getitem":
            return self._gather(event)
        elif event.writes is None and event.results:
            return self._make(event)
        elif event.call.name == "fill":
            target = self._at(event.writes)
            self._map("copy", target, [event.args[1]], target.memory.dtype, event)
        else:
            return False
        return True

    def _add(self, *args: Any, **facts: Any) -> None:
        self.out.append(Instruction(*args, **facts))

    def _at(self, value: Any) -> Place:
        return self.place(value, None)

    def _source(self, one: Any) -> Any:
        """Return an operand: a place, the name of a number, or a number."""
        if isinstance(one, Value):
            return self.number(one) if self._is_number(one) else self._at(one)
        return one

    def _is_number(self, value: Value) -> bool:
        return not value.is_array or value in self.fixed

    def _map(
        self, formula: str, target: Place, sources: Sequence[Any], dtype: Any, event: Event
    ) -> None:
        operands = []
        for one in sources:
            source = one if isinstance(one, Place) else self._source(one)
            operands.append(source.spread(target.shape) if isinstance(source, Place) else source)
        self._add("map", formula, target, tuple(operands), np.dtype(dtype), event=event)

    def _ufunc(self, event: Event) -> bool:
        function: Any = event.call.function
        if event.kwargs or function.nout != 1:
            return False
        dtypes = event.computed_in()
        # NumPy compares int64 with uint64 exactly, which no integer dtype can express.
        if dtypes is None or len(set(dtypes[: len(event.args)])) > 1:
            return False
        target = self._at(event.writes or event.result)
        self._map(event.call.name, target, event.args, dtypes[0], event)
        return True

    def _make(self, event: Event) -> bool:
        """Append copies, joins or fills that make an array."""
        row, target = known(event.call.name), self._at(event.result)
        dtype = target.memory.dtype
        first: Any = event.args[0] if event.args else None
        if event.makes_unfilled:
            return True
        if row.shape == "elementwise" and row.formula and event.call.kind == "function":
            self._map(event.call.name, target, event.args, dtype, event)
        elif (number := event.filled_with()) is not None:
            self._map("copy", target, [number], dtype, event)
        elif row.into == "join":
            self._joined(event, target)
        elif row.into in ("copy", "reorder") and isinstance(first, Value):
            shape = np.shape(first.array)  # of a number: ()
            place = self.place(event.result, lambda array: array.reshape(shape))
            self._map("copy", place, [first], dtype, event)
        else:
            return False
        return True

    def _joined(self, event: Event, target: Place) -> None:
        axis = event.argument("axis", 1, 0)
        array, start = event.result.array, 0
        for part in event.args[0]:
            size = part.array.shape[axis]
            key = (slice(None),) * (axis % array.ndim) + (slice(start, start + size),)
            place = self.place(event.result, lambda array, key=key: array[key])  # type: ignore[misc]
            self._map("copy", place, [part], target.memory.dtype, event)
            start += size

    def _reduction(self, event: Event) -> bool:
        source = self._at(event.args[0])
        axis = event.argument("axis", 1)
        if set(event.kwargs) - {"axis", "keepdims"} or 0 in source.shape:
            return False
        if event.result.array.dtype == bool:
            return False
        every = range(len(source.shape))
        given = every if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(sorted(one % len(source.shape) for one in given))
        target = self._at(event.result)
        strides = iter(target.strides)
        if event.kwargs.get("keepdims"):
            strides = iter([s for a, s in enumerate(target.strides) if a not in axes])
        spread = tuple(0 if a in axes else next(strides) for a in every)
        target = replace(target, shape=source.shape, strides=spread)
        self._add(
            "reduce",
            event.call.name,
            target,
            (source,),
            target.memory.dtype,
            axes=axes,
            event=event,
        )
        return True

    def _product(self, event: Event) -> bool:
        """Append a product of matrices, of stacks of them, or of a matrix and a vector."""
        if event.kwargs or len(event.args) != 2:
            return False
        one, other = map(self._at, event.args)
        target = self._at(event.writes or event.result)
        if not one.shape or not other.shape:
            return False
        if len({place.memory.dtype for place in (one, other, target)}) > 1:
            return False
        if event.call.name == "dot" and len(other.shape) > 2:
            return False
        if len(one.shape) == 1:
            one = replace(one, shape=(1, *one.shape), strides=(0, *one.strides))
            target = _with_axis(target, len(target.shape) - (len(other.shape) > 1))
        if len(other.shape) == 1:
            other = replace(other, shape=(*other.shape, 1), strides=(*other.strides, 0))
            target = _with_axis(target, len(target.shape))
        stack = target.shape[:-2]
        one, other = (p.spread((*stack, *p.shape[-2:])) for p in (one, other))
        self._add("product", "", target, (one, other), target.memory.dtype, event=event)
        return True

    def _setitem(self, event: Event) -> bool:
        array, key, source = event.args
        if _holds_values(key):
            indices = self._indices(array, key)
            if indices is None:
                return False
            values = self._source(source)
            shape = indices[0].shape
            values = values.spread(shape) if isinstance(values, Place) else values
            sources = (values, *(one.spread(shape) for one in indices))
            self._add("scatter", "", self._at(array), sources, array.array.dtype, event=event)
            return True
        target = self.place(array, lambda whole: whole[key])
        self._map("copy", target, [source], target.memory.dtype, event)
        return True

    def _gather(self, event: Event) -> bool:
        array, key = event.args
        indices = self._indices(array, key)
        if indices is None:
            return False
        target = self._at(event.result)
        sources = (self._at(array), *(one.spread(target.shape) for one in indices))
        self._add("gather", "", target, sources, array.array.dtype, event=event)
        return True

    def _indices(self, array: Value, key: Any) -> list[Place] | None:
        """Return the arrays of an index that has one for each axis, and nothing else."""
        if not picks_elements(array, key):
            return None
        parts = key if isinstance(key, tuple) else (key,)
        places = [self._at(part) for part in parts]
        if any(one.shape != places[0].shape for one in places):
            return None
        return places


def picks_elements(array: Value, key: Any) -> bool:
    """Return whether an index has an array of integers for each axis, and nothing else."""
    parts = key if isinstance(key, tuple) else (key,)
    return len(parts) == array.array.ndim and all(
        isinstance(part, Value) and part.is_array and part.array.dtype.kind in "iu"
        for part in parts
    )


def _with_axis(place: Place, axis: int) -> Place:
    """Insert an axis of size 1 into a place."""
    return replace(
        place,
        shape=(*place.shape[:axis], 1, *place.shape[axis:]),
        strides=(*place.strides[:axis], 0, *place.strides[axis:]),
    )


def _holds_values(key: Any) -> bool:
    parts = key if isinstance(key, tuple) else (key,)
    return any(isinstance(part, Value) for part in parts)


def lowered(
    event: Event, place: PlaceOf, number: Callable[[Value], Any], fixed: Container[Value]
) -> list[Instruction] | None:
    """Return the instructions of an event; None if it is not for loops.

    ``place(value, view)`` locates the array of a value, or a view of it, or raises an
    ``ElsewhereError``. ``number(value)`` names a number of this call, or is a number; the values
    in ``fixed`` are numbers, too, although NumPy holds them in 0-d arrays.
    """
    lowering = _Lowering(place, number, fixed)
    try:
        return lowering.out if lowering(event) else None
    except ElsewhereError:
        return None
