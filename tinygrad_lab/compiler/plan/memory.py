"""Where the arrays of a compiled step live: a plan of memory by liveness.

A value made by an event gets a buffer that is allocated once. Values whose lives do not overlap
share memory, and an elementwise operation may reuse the memory of an input that is no longer
needed. The state that a step changes (parameters, moments, gradients) is written in place if the
old content is no longer read, and copied there at the end otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.plan.tidy import constants
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value

__all__ = [
    "Addresses",
    "Plan",
    "empty_like_recorded",
    "inverse",
    "is_dense",
    "is_join",
    "is_view",
    "order_in_memory",
    "plan_memory",
]

ALIGNMENT = 64
"""Bytes: one cache line."""
_PACKED = 256
"""How many of the largest values are placed one by one; for thousands this would take seconds."""
_LARGE_BUFFER = 1 << 16
"""Bytes from which a buffer is shared, and the constants in it are written at each call."""


def is_view(event: Event) -> bool:
    """Return whether all results are views of arguments."""
    if not event.results or event.writes is not None or event.call.kind == "ufunc":
        return False
    return None not in [value.base for value in event.results]


@dataclass(slots=True)
class Plan:
    """Where every value lives."""

    events: list[Event]
    constants: set[Value]
    scratch: int = 0
    """The bytes of scratch memory."""
    place_of: dict[Value, int] = field(default_factory=dict)
    """Where a root in scratch memory begins."""
    home_of: dict[Value, State] = field(default_factory=dict)
    """Roots that live in the memory of a state: they are its new value."""
    own: set[Value] = field(default_factory=set)
    """Roots with a buffer that is not shared, because it outlives the call."""
    fresh: set[Value] = field(default_factory=set)
    """Roots that are returned to the caller, in new memory each time."""
    copies: list[tuple[State, Value]] = field(default_factory=list)
    """States that get their new values at the end."""
    once: set[Event] = field(default_factory=set)
    """Writes of constants into buffers that are not shared, which need not be repeated."""
    part_of: dict[Value, tuple[Value, int]] = field(default_factory=dict)
    """Roots that live in the vector to which they are joined later, and where they begin in it."""

    @property
    def scratch_bytes(self) -> int:
        """The memory that is made for a replay, and not shared with anything else."""
        own = sum(root.array.nbytes for root in self.own if root not in self.home_of)
        return self.scratch + own

    def is_static(self, root: Value) -> bool:
        """Return whether a root has the same memory at every call."""
        if root.origin is not None:
            return root.origin.kind in ("state", "constant")
        return (
            root in self.place_of
            or root in self.home_of
            or root in self.own
            or root in self.part_of
            or root in self.constants
        )


def plan_memory(
    recording: Recording, events: list[Event], plannable: set[Event], *, join: bool
) -> Plan:
    """Plan where every value lives.

    ``plannable`` are the events that can write their result into a given buffer. With ``join``,
    values that are joined to one vector may live there from the start, and one root in scratch
    memory may overlap several; without it, two roots have the same memory or none in common, which
    is necessary for running events in another order.
    """
    if not any(value.is_array for value in recording.trace.values):
        return Plan(events, set())  # numbers have no memory
    plan = Plan(events, constants(events))
    lives = _Lives(recording, events)
    plan.fresh = {
        value.root
        for value in recording.outputs
        if isinstance(value, Value) and value.origin is None and not value.root.is_constant
    } - plan.constants
    _settle_states(recording, plan, lives, plannable)
    _settle_constant_writes(plan, lives, plannable)
    if join:
        _settle_joined_parts(recording, plan, lives, plannable)
    _settle_scratch(plan, lives, plannable, overlapping=join)
    if not join:
        # Loops always write to the same memory: outputs are copied at the end.
        copied = {root for root in plan.fresh if root.event in plannable}
        plan.own |= copied
        plan.fresh -= copied
    return plan


class _Lives:
    """When each root is made, read and written: positions in the list of events."""

    def __init__(self, recording: Recording, events: list[Event]) -> None:
        self.events = events
        self.made: dict[Value, int] = {}
        self.last: dict[Value, int] = {}
        self.reads: dict[Value, list[int]] = {}
        self.writes: dict[Value, list[int]] = {}
        for position, event in enumerate(events):
            for value in event.inputs:
                if value.is_array:
                    root = value.root
                    self.reads.setdefault(root, []).append(position)
                    self.last[root] = position
            if event.writes is not None:
                root = event.writes.root
                self.writes.setdefault(root, []).append(position)
                self.last[root] = position
            for value in event.results:
                root = value.root
                self.made.setdefault(root, position)
                self.last[root] = position
        for value in (*recording.outputs, *recording.writes.values()):
            if isinstance(value, Value):
                self.last[value.root] = len(events)


def is_elementwise(event: Event) -> bool:
    """Return whether each element of the result depends only on its own place in the inputs."""
    return (
        event.call.kind == "ufunc"
        and isinstance(event.call.function, np.ufunc)
        and event.call.function.signature is None
    )


def _can_take_over(event: Event, old: Value) -> bool:
    """Return whether the result may overwrite an input while it is computed."""
    new = event.result.array
    return (is_elementwise(event) or known(event.call.name).into in ("mask", "call")) and all(
        value.array.shape == new.shape
        and value.array.strides == new.strides
        and value.array.dtype == new.dtype
        for value in event.inputs
        if value.is_array and value.root is old
    )


def _settle_states(recording: Recording, plan: Plan, lives: _Lives, plannable: set[Event]) -> None:
    """Place the new value of a state where the state lives, or copy it there at the end."""
    in_vectors = {value.root for state, value in recording.writes.items() if state.kind == "vector"}
    for state, value in recording.writes.items():
        root = value.root
        if not value.is_array or (state.kind == "data" and root in in_vectors):
            continue  # numbers are returned; parameters are views of their vector
        if value is recording.states.get(state):
            continue
        before = _old_content(recording, state)
        taken = root in plan.home_of or root in plan.own or root in plan.fresh
        whole = value is root or state.kind == "grad"
        if (
            root.event is None
            or root in plan.constants
            or taken
            or not whole
            or root.event not in plannable
        ):
            plan.copies.append((state, value))
        elif not before and state.kind == "grad":
            plan.own.add(root)
            plan.home_of[root] = state
        elif all(_is_free_by(lives, root, old) for old in before):
            plan.home_of[root] = state
        else:
            plan.copies.append((state, value))


def _old_content(recording: Recording, state: State) -> list[Value]:
    """Return the values that read the old content of a state before it is written."""
    if state.kind == "vector":
        parameters = [State("data", p) for p in state.owner.parameters]
        states = [state, *parameters]
    else:
        states = [state]
    return [recording.states[one] for one in states if one in recording.states]


def _is_free_by(lives: _Lives, root: Value, old: Value) -> bool:
    """Return whether an old content is no longer read when a root is made."""
    last = lives.last.get(old, -1)
    made = lives.made[root]
    return last < made or (last == made and _can_take_over(lives.events[made], old))


def _settle_constant_writes(plan: Plan, lives: _Lives, plannable: set[Event]) -> None:
    """Find constant writes that need to happen only once: padding, a column of ones."""
    for root, positions in lives.writes.items():
        event = root.event
        if event is None or event not in plannable or root in plan.fresh or root in plan.home_of:
            continue
        if root.array.nbytes >= _LARGE_BUFFER:
            continue
        writes = [lives.events[position] for position in positions]
        if event.makes_unfilled:
            once = [one for one in writes if _is_needed_once(one, writes, plan)]
        else:
            once = [event] if _stays_where_not_written(root, writes, lives) else []
        if once:
            plan.own.add(root)
            plan.once.update(once)


def _is_needed_once(one: Event, writes: Sequence[Event], plan: Plan) -> bool:
    """Return whether a write puts constants where no other write does."""
    others = (other for other in writes if other is not one)
    return _writes_constant(one, plan) and not any(_overlap(one, other) for other in others)


def _stays_where_not_written(root: Value, writes: Sequence[Event], lives: _Lives) -> bool:
    """Return whether a filled array is written in the same places at every call, then read."""
    number = None if root.event is None else root.event.filled_with()
    if number is None or isinstance(number, Value):
        return False
    if not all(map(_has_a_fixed_place, writes)) or any(_reads_itself(one, root) for one in writes):
        return False
    reads = [p for p in lives.reads.get(root, []) if not _is_write(lives.events[p], root)]
    return not reads or min(reads) > max(lives.writes[root])


def _has_a_fixed_place(write: Event) -> bool:
    """Return whether a write goes to the same elements at every call."""
    if write.call.kind != "setitem":
        return write.call.name == "fill"
    key = write.args[1]
    return not any(isinstance(part, Value) for part in (key if isinstance(key, tuple) else (key,)))


def _is_write(event: Event, root: Value) -> bool:
    """Return whether an event uses a root only to write into it, or to take a view of it."""
    if event.results and all(value.root is root for value in event.results):
        return True
    return event.writes is not None and event.writes.root is root


def _reads_itself(event: Event, root: Value) -> bool:
    source = event.args[2] if event.call.kind == "setitem" else None
    return isinstance(source, Value) and source.root is root


def _writes_constant(event: Event, plan: Plan) -> bool:
    if not _has_a_fixed_place(event):
        return False
    source = event.args[2 if event.call.kind == "setitem" else 1]
    return not isinstance(source, Value) or source in plan.constants


def _region(event: Event) -> Any:
    """Return the part of memory that a write writes into."""
    whole: Any = event.writes.array  # type: ignore[union-attr]
    if event.call.kind == "setitem" and _has_a_fixed_place(event):
        part = whole[event.args[1]]
        # A list of positions selects a copy.
        return part if np.may_share_memory(part, whole) or not np.size(part) else whole
    return whole


def _overlap(one: Event, other: Event) -> bool:
    mine, theirs = _region(one), _region(other)
    if not (isinstance(mine, np.ndarray) and isinstance(theirs, np.ndarray)):
        return True
    try:
        return np.shares_memory(mine, theirs, max_work=10_000)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def _settle_joined_parts(
    recording: Recording, plan: Plan, lives: _Lives, plannable: set[Event]
) -> None:
    """Write gradients that are joined to one vector into it when they are computed."""
    for position, event in enumerate(plan.events):
        if event not in plannable or not is_join(event):
            continue
        joined = event.result
        if lives.writes.get(joined) or not _wants_scratch(plan, event, joined, plannable):
            continue
        places: dict[Value, tuple[Value, int]] = {}
        start = 0
        for part in event.args[0]:
            root = part.root
            if (
                root not in places
                and _is_all_of(part, root)
                and _may_move(recording, plan, root, plannable)
                and max(lives.writes.get(root, [-1])) < position
            ):
                places[root] = (joined, start)
            start += part.array.size
        # Copying the others one by one is faster than joining all only if they are few.
        if 2 * len(places) >= len(event.args[0]):
            plan.own.add(joined)
            plan.part_of.update(places)


def is_join(event: Event) -> bool:
    """Return whether an event concatenates vectors of one dtype."""
    return (
        event.call.kind == "function"
        and known(event.call.name).into == "join"
        and event.result.array.ndim == 1
        and all(part.array.dtype == event.result.array.dtype for part in event.args[0])
    )


def _is_all_of(part: Value, root: Value) -> bool:
    """Return whether a vector has all elements of its root, in memory order."""
    return (
        root.array.flags.c_contiguous
        and part.array.flags.c_contiguous
        and part.array.nbytes == root.array.nbytes
        and part.array.dtype == root.array.dtype
    )


def _may_move(recording: Recording, plan: Plan, root: Value, plannable: set[Event]) -> bool:
    """Return whether a root may live anywhere: in scratch memory, or as a new gradient."""
    if root.event is None or root.event not in plannable or root in plan.part_of:
        return False
    if root in plan.constants or root in plan.fresh:
        return False
    state = plan.home_of.get(root)
    if state is not None:
        return state.kind == "grad" and state not in recording.states
    return root not in plan.own


def _settle_scratch(plan: Plan, lives: _Lives, plannable: set[Event], *, overlapping: bool) -> None:
    """Give all other roots scratch memory, which later ones reuse."""
    tenants = _tenants(plan, lives, plannable)
    by_size = sorted(tenants, key=lambda one: -one.nbytes)
    large = dict.fromkeys(by_size[:_PACKED] if overlapping else ())
    others = [one for one in tenants if one not in large]
    plan.scratch = _placed_in_turn(others, start=_packed(list(large)))
    plan.place_of = {root: one.start for one in tenants for root in one.roots}


@dataclass(slots=True, eq=False)
class _Tenant:
    """Roots that live in the same piece of memory, each in place of the one before."""

    roots: list[Value]
    nbytes: int
    """Rounded up to cache lines."""
    made: int
    """The position of the event that makes the first of them."""
    last: int
    """The position of the event that uses the last of them last."""
    start: int = 0
    """Where its piece begins in scratch memory."""


def _tenants(plan: Plan, lives: _Lives, plannable: set[Event]) -> list[_Tenant]:
    """Return the tenants of scratch memory, in the order in which they are made."""
    tenants: list[_Tenant] = []
    of: dict[Value, _Tenant] = {}
    for position, event in enumerate(plan.events):
        for value in event.results:
            if value.root is not value or not _wants_scratch(plan, event, value, plannable):
                continue
            inputs = [of[one.root] for one in event.inputs if one.root in of]
            tenant = next((one for one in inputs if _can_be_reused(one, position, event)), None)
            if tenant is None:
                nbytes = -(-value.array.nbytes // ALIGNMENT) * ALIGNMENT
                tenant = _Tenant([], nbytes, position, position)
                tenants.append(tenant)
            tenant.roots.append(value)
            tenant.last = lives.last[value]
            of[value] = tenant
    return tenants


def _can_be_reused(tenant: _Tenant, position: int, event: Event) -> bool:
    """Return whether a result can reuse the memory of an input that is no longer needed."""
    return tenant.last == position and _can_take_over(event, tenant.roots[-1])


def _packed(tenants: list[_Tenant]) -> int:
    """Place them, the largest first, each as low as possible; return where the highest ends.

    (Greedy by size: Pisarchyk and Lee, "Efficient memory management for deep neural net inference",
    2020.) So small ones may lie side by side where a large one was.
    """
    placed: list[tuple[int, int, int, int]] = []
    for one in tenants:
        from_here, to_here = one.made, one.last
        at_the_same_time = [
            (start, end)
            for made, last, start, end in placed
            if made <= to_here and from_here <= last
        ]
        for start, end in sorted(at_the_same_time):
            if one.start + one.nbytes <= start:
                break
            one.start = max(one.start, end)
        placed.append((one.made, one.last, one.start, one.start + one.nbytes))
    return max((one.start + one.nbytes for one in tenants), default=0)


def _placed_in_turn(tenants: list[_Tenant], start: int) -> int:
    """Place them in pieces that are used in turn, beginning at ``start``; return where they end.

    Two of these tenants have the same memory, or none in common.
    """
    pieces: list[int] = []
    taking: list[int] = []
    free: list[int] = []
    ends: list[tuple[int, int]] = []
    for one in tenants:
        while ends and ends[0][0] < one.made:
            free.append(heappop(ends)[1])
        piece = _take(pieces, free, one.nbytes)
        heappush(ends, (one.last, piece))
        taking.append(piece)
    starts = list(accumulate(pieces, initial=start))
    for one, piece in zip(tenants, taking, strict=True):
        one.start = starts[piece]
    return starts[-1]


def _wants_scratch(plan: Plan, event: Event, root: Value, plannable: set[Event]) -> bool:
    settled = any(root in where for where in (plan.home_of, plan.own, plan.fresh, plan.part_of))
    return event in plannable and not settled and root not in plan.constants


def _take(pieces: list[int], free: list[int], nbytes: int) -> int:
    """Return a piece of ``nbytes``: the tightest free one, or an enlarged one, or a new one."""
    fitting = [piece for piece in free if pieces[piece] >= nbytes]
    if fitting:
        best = min(fitting, key=lambda piece: pieces[piece])
        free.remove(best)
        return best
    if free:
        largest = max(free, key=lambda piece: pieces[piece])
        free.remove(largest)
        pieces[largest] = nbytes
        return largest
    pieces.append(nbytes)
    return len(pieces) - 1


def empty_like_recorded(array: Any, memory: Any = None) -> Any:
    """Make an array with the layout of a recorded one, in the given or in new memory."""
    order = order_in_memory(array)
    shape = tuple(array.shape[axis] for axis in order)
    if memory is None:
        made = aligned(array.nbytes)[: array.nbytes].view(array.dtype).reshape(shape)
    else:
        made = memory[: array.nbytes].view(array.dtype).reshape(shape)
    return made.transpose(inverse(order))


class Addresses(np.ndarray[Any, Any]):
    """A vector of the addresses of memory; where such memory moves, they have to follow."""


def aligned(nbytes: int) -> Any:
    """Return bytes that begin at a cache line."""
    raw = np.empty(nbytes + ALIGNMENT, dtype=np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + nbytes]


def is_dense(array: Any) -> bool:
    """Return whether the elements of an array fill a piece of memory, without gaps or overlaps."""
    return bool(array.transpose(order_in_memory(array)).flags.c_contiguous)


def order_in_memory(array: Any) -> list[int]:
    """Return the axes of an array, those with the widest steps in memory first."""
    return sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))


def inverse(order: Sequence[int]) -> list[int]:
    inverse = [0] * len(order)
    for place, axis in enumerate(order):
        inverse[axis] = place
    return inverse
