"""The numba target: the recorded calls as loops, compiled to machine code.

Memory is planned as for the NumPy target. What can be written as loops becomes functions over that
memory, written as source (``instructions.py`` says what they do, ``loops.py`` how), compiled by
numba's code generator (``assembly.py``, ``machine_code.py``) and kept on disk; the rest stays lines
of NumPy between them. Products of large matrices are left to the BLAS. Sums may be added up in
another order than NumPy's: results differ by a few ulp.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.compiler.loops.assembly import KINDS
from tinygrad_lab.compiler.loops.instructions import (
    ElsewhereError,
    Instruction,
    Memory,
    Place,
    lowered,
    picks_elements,
)
from tinygrad_lab.compiler.loops.loops import blocks, memories_of, numbers_of, rolled
from tinygrad_lab.compiler.numpy.lines import Lines, plannable
from tinygrad_lab.compiler.numpy.names import Late
from tinygrad_lab.compiler.plan.memory import Addresses, Plan, empty_like_recorded, is_view
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value
from tinygrad_lab.errors import CompileError

if TYPE_CHECKING:
    from tinygrad_lab.compiler.loops.machine_code import MachineCode

__all__ = ["NumbaTarget"]

_HEADER = """\
# The loops of a compiled step, written by tinygrad_lab.compiler. The table has the addresses of
# memory that never moves.
#   memory_of_float32(address, region): the elements at an address; no two regions overlap.
#   product(left, i, right, j, out, k, rows, inner, columns): the product of two dense matrices that
#       begin at left[i] and right[j], from out[k] on, by the BLAS.
"""
_ADDRESSES = "addresses = memory_of_uint64(table.ctypes.data, 0)"
"""The table, in a region of its own."""
_LENGTH_OF_PART = 40
"""Lines: LLVM's work grows faster than the length of a function."""
_TYPES = {float: "float64", int: "int64", bool: "bool"}


@dataclass(slots=True)
class _Segment:
    """Consecutive events that one compiled function runs."""

    name: str
    code: list[Instruction] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    roots: list[Value] = field(default_factory=list)
    """Values whose memory never moves: their addresses are in the table."""
    given: list[Value] = field(default_factory=list)
    """Arrays that are different at every call."""
    numbers: list[Value] = field(default_factory=list)
    source: str = ""


class NumbaTarget:
    """Writes what it can as loops, and leaves the rest to NumPy."""

    keeps_order = False

    def can_write_into(self, event: Event) -> bool:
        """Return whether the result can be written into a given buffer."""
        if event.call.kind == "getitem":
            array, key = event.args
            return picks_elements(array, key) and isinstance(event.result.array, np.ndarray)
        return plannable(event)

    def emit(self, recording: Recording, plan: Plan) -> NumbaCode:
        """Write the events of a plan as calls of loops, and lines of NumPy between them."""
        return NumbaCode(recording, plan)


class NumbaCode:
    """Loops to compile, the lines that call them, and lines of NumPy for the rest."""

    def __init__(self, recording: Recording, plan: Plan) -> None:
        self.recording, self.plan = recording, plan
        self._numpy = Lines(recording, plan)
        self.names = self._numpy.names
        self._segments: list[_Segment] = []
        self._readers = self._find_readers()
        self._instructions: Counter[Event | None] = Counter()
        """How many instructions each event of a segment has become."""
        read_after = [*recording.values_after(), *(value for _, value in plan.copies)]
        self._read_after = {value.root for value in read_after}
        """The roots that are read after all events."""
        self._layout = self.names.arrays(self._homes_like_replay())
        """Arrays with the layout of those of the replay, to find where views are."""
        self._places: dict[Value, Place] = {}
        self._memories: dict[tuple[Value, np.dtype[Any]], tuple[Memory, int]] = {}
        self._roots: dict[str, Value] = {}
        """The values that live in the memories, by the names of these."""
        self._regions: dict[Hashable, int] = {}
        """Numbers, from 1 on, for groups of memories that may overlap."""
        self._numbers: dict[str, Value] = {}
        self.lines_by_phase = list(self._emit())
        self._layout.clear()
        self._places.clear()

    @property
    def preamble(self) -> str:
        """The source of the loops."""
        return "\n\n".join([_HEADER, *(segment.source for segment in self._segments)])

    @property
    def summary(self) -> str:
        """What became of the events, in words."""
        done = sum(len(segment.events) for segment in self._segments)
        loops = sum(len(re.findall(r"^    for ", s.source, re.M)) for s in self._segments)
        return f"{self._numpy.summary}, {done} in {loops} loops"

    def text(self, thing: Any) -> str:
        """Write a value, or an argument of a call."""
        return self.names.text(thing)

    def bind(self, homes: dict[State, Any]) -> dict[str, Any]:
        """Return all names of the lines, with new buffers and the compiled loops."""
        return self.names.bind(homes)

    # --- writing ----------------------------------------------------------------------------------

    def _emit(self) -> Iterator[tuple[str, str]]:
        fixed = {value for value in self._constant_values() if value.array.ndim == 0}
        segment = _Segment("loops_0")
        for event in self.plan.events:
            if self._numpy.is_settled(event):
                continue
            # Numbers depend on numbers alone: they come before all loops.
            if event.is_on_numbers or is_view(event):
                yield from self._numpy.of(event)
                continue
            instructions = self._lowered(event, fixed)
            if instructions is None:
                yield from self._call_of(segment)
                segment = _Segment(f"loops_{len(self._segments)}")
                yield from self._numpy.of(event)
            else:
                segment.code += instructions
                segment.events.append(event)
        yield from self._call_of(segment)
        yield from self._numpy.copies()

    def _constant_values(self) -> Iterator[Value]:
        for value in self.recording.trace.values:
            if value.is_array and (value.is_constant or value in self.plan.constants):
                yield value

    def _lowered(self, event: Event, fixed: Container[Value]) -> list[Instruction] | None:
        """Turn an event into instructions; None for one that is left to NumPy."""
        made = () if event.writes is not None else event.results
        if not all(map(self.names.is_static, made)):
            return None
        return lowered(event, self._place_of, self._number_of, fixed)

    def _call_of(self, segment: _Segment) -> Iterator[tuple[str, str]]:
        """Yield the line that calls a segment's function, whose source is written here."""
        if not segment.code:
            return
        segment.source = self._source_of(segment)
        self._segments.append(segment)
        table = self.names.bound(f"table_of_{segment.name}", _table_of(segment, self._layout))
        function = self.names.bound(
            segment.name, Late(lambda _: self.machine_code.function(segment.name))
        )
        given = [self._as_array(value) for value in segment.given]
        arguments = ", ".join([table, *given, *map(self.names.name, segment.numbers)])
        phases = dict.fromkeys(event.phase for event in segment.events)
        yield f"if {function}({arguments}): return MISS", ", ".join(phases)

    def _as_array(self, value: Value) -> str:
        """Write an array as an argument: NumPy sometimes turns 0-d arrays into scalars."""
        name = self.names.name(value)
        return name if value.array.ndim else f"{self.names.bound('asarray', np.asarray)}({name})"

    def _source_of(self, segment: _Segment) -> str:
        """Write a segment's function, in parts that it calls: a large one compiles slowly."""
        self._instructions = Counter(one.event for one in segment.code)
        code = rolled(segment.code)
        found = {memory.name: self._found(segment, memory) for memory in memories_of(code)}
        segment.numbers = [self._numbers[name] for name in numbers_of(code)]
        parameters = list(self._parameters(segment))

        def function(name: str, lines: list[str]) -> str:
            words = set(re.findall(r"\w+", " ".join(lines)))
            finding = [line for memory, line in found.items() if memory in words]
            return _function(name, parameters, [_ADDRESSES, *finding, *lines])

        parts = list(_in_parts(blocks(code, self._unread)))
        if len(parts) == 1:
            return function(segment.name, parts[0])
        names = [f"{segment.name}_{number}" for number in range(len(parts))]
        given = ", ".join(name for name, _ in parameters)
        calls = [line for name in names for line in (f"if {name}({given}):", "    return 1")]
        functions = [*map(function, names, parts), _function(segment.name, parameters, calls)]
        return "\n\n".join(functions)

    def _parameters(self, segment: _Segment) -> Iterator[tuple[str, str]]:
        """Yield the names and types of the parameters of a segment's function."""
        yield "table", "array"
        yield from ((self.names.name(value), "array") for value in segment.given)
        yield from (
            (self.names.name(value), _TYPES[type(value.array)]) for value in segment.numbers
        )

    def _found(self, segment: _Segment, memory: Memory) -> str:
        """Write the line by which a segment finds a memory."""
        root = self._roots[memory.name]
        if self.names.is_static(root):
            address = f"addresses[{len(segment.roots)}]"
            segment.roots.append(root)
        else:
            if root not in segment.given:
                segment.given.append(root)
            shift = root.array.ctypes.data - _lowest(root.array)
            address = f"{self.names.name(root)}.ctypes.data" + (f" - {shift}" if shift else "")
        region = self._regions.setdefault(memory.overlaps, len(self._regions) + 1)
        return f"{memory.name} = memory_of_{memory.dtype.name}({address}, {region})"

    def _find_readers(self) -> dict[Value, set[Event]]:
        """Map each root to the events that read its memory or write into it, except its maker."""
        readers: dict[Value, set[Event]] = {}
        for event in self.plan.events:
            written = () if event.writes is None else (event.writes,)
            for value in (*event.inputs, *written):
                readers.setdefault(value.root, set()).add(event)
        return readers

    def _unread(self, one: Instruction, group: list[Instruction]) -> bool:
        """Return whether nothing outside a group of instructions reads what one of them writes."""
        event = one.event
        if event is None or event.writes is not None or event.result.root not in self.plan.place_of:
            return False
        # Some of an event's instructions may be in another group.
        count = Counter(other.event for other in group)
        inside = {other for other in count if count[other] == self._instructions[other]}
        return (
            self._instructions[event] == 1
            and self._readers.get(event.result.root, set()) <= inside
            and event.result.root not in self._read_after
        )

    # --- places -----------------------------------------------------------------------------------

    def _homes_like_replay(self) -> dict[State, Any]:
        """Return memory with the layout that the states will have."""
        bundled, in_place = self.recording.bundled(), self.recording.in_place()
        homes = {}
        for state, value in self.recording.states.items():
            if not value.is_array:
                continue
            if state.kind == "data" and id(state.owner) in bundled:
                homes[state] = np.empty(value.array.shape, value.array.dtype)
            elif state in in_place:
                homes[state] = value.array  # its rows need not be contiguous
            else:
                homes[state] = empty_like_recorded(value.array)
        return homes

    def _place_of(self, value: Value, view: Callable[[Any], Any] | None) -> Place:
        """Locate the array of a value, or a view of it."""
        if view is None and value in self._places:
            return self._places[value]
        root = _maker_of(value)
        whole = self._layout.get(root, root.array)
        array = self._layout.get(value, value.array)
        seen = array if view is None else view(array)
        if not (isinstance(whole, np.ndarray) and isinstance(seen, np.ndarray)):
            raise ElsewhereError
        if not np.may_share_memory(seen, whole):
            raise ElsewhereError
        memory, lowest = self._memory_of(root, whole, seen.dtype)
        offset, rest = divmod(seen.ctypes.data - lowest, seen.itemsize)
        if rest or any(step % seen.itemsize for step in seen.strides):
            raise ElsewhereError
        strides = tuple([step // seen.itemsize for step in seen.strides])
        place = Place(memory, offset, seen.shape, strides)
        if view is None:
            self._places[value] = place
        return place

    def _memory_of(self, root: Value, whole: Any, dtype: np.dtype[Any]) -> tuple[Memory, int]:
        """Return the memory of a root as elements of a dtype, and where it begins in the layout."""
        if (root, dtype) not in self._memories:
            if dtype.name not in KINDS or not dtype.isnative:
                raise ElsewhereError
            if any(step % dtype.itemsize for step in whole.strides):
                raise ElsewhereError
            memory = Memory(self._memory_name(root, dtype), dtype, self._overlaps(root))
            # Any root that shares a piece of scratch memory will do.
            self._roots[memory.name] = root
            self._memories[root, dtype] = memory, _lowest(whole)
        return self._memories[root, dtype]

    def _memory_name(self, root: Value, dtype: np.dtype[Any]) -> str:
        place = self.plan.place_of.get(root)
        if place is not None:
            return f"scratch{place}_{dtype.name}"
        return f"m{root.index}" + ("" if dtype == root.array.dtype else f"_as_{dtype.name}")

    def _overlaps(self, root: Value) -> Hashable:
        """Return a key that is equal for two roots if they may share memory."""
        state = self.plan.home_of.get(root)
        if root.origin is not None and root.origin.kind == "state":
            state = root.origin.key
        if state is not None:
            # Parameters are parts of their optimiser's vector.
            return "parameters" if state.kind in ("data", "vector") else state
        if root.origin is not None:
            return root.origin.kind
        place = self.plan.place_of.get(root)
        return root.index if place is None else ("scratch", place)

    def _number_of(self, value: Value) -> Any:
        if value.is_array:
            return value.array.item()
        if value.is_constant:
            return value.array
        name = self.names.name(value)
        self._numbers[name] = value
        return name

    # --- compiling --------------------------------------------------------------------------------

    @cached_property
    def machine_code(self) -> MachineCode:
        """The loops, compiled now or in an earlier process."""
        from tinygrad_lab.compiler.loops.machine_code import machine_code

        return machine_code(self.preamble)


def _in_parts(blocks: Iterable[list[str]]) -> Iterator[list[str]]:
    """Join blocks of lines into parts of some length."""
    part: list[str] = []
    for block in blocks:
        part += block
        if len(part) >= _LENGTH_OF_PART:
            yield part
            part = []
    if part:
        yield part


def _function(name: str, parameters: Iterable[tuple[str, str]], lines: Iterable[str]) -> str:
    given = ", ".join(f"{name}: {kind}" for name, kind in parameters)
    body = "\n".join(f"    {line}" for line in (*lines, "return 0"))
    return f"def {name}({given}) -> int64:\n{body}\n"


def _maker_of(value: Value) -> Value:
    """Return the value that another views. (Its root may be larger: parameters share memory.)"""
    while value.event is not None and is_view(value.event):
        value = next(one for one in value.event.inputs if one.root is value.root)
    return value


def _lowest(array: Any) -> int:
    """Return the lowest address of an array's elements."""
    return np.lib.array_utils.byte_bounds(array)[0]


def _table_of(segment: _Segment, layout: dict[Value, Any]) -> Late:
    """Return the addresses of a segment's memories, which are known once these are made."""
    strides_of = {root: layout[root].strides for root in segment.roots}

    def made(arrays: dict[Value, Any]) -> Any:
        for root, strides in strides_of.items():
            if arrays[root].strides != strides:
                raise CompileError(
                    f"tg.compile: {root.name} has another memory order than when the loops were "
                    "written; give it a copy: x.data = x.data.copy()."
                )
        addresses = [_lowest(arrays[root]) for root in segment.roots]
        return np.array(addresses, dtype=np.uint64).view(Addresses)

    return Late(made)
