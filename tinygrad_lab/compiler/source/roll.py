"""Rolling: repeated events, such as the steps of a recurrent net, become the body of a loop.

A stretch of a trace is rolled only where the loop does, by construction, the same: each argument
of each call was compared over all rounds, and is

- the same in every round,
- an integer that increases or decreases evenly (``Index``),
- a result of the same round, or
- a result of the previous round (``Carried``; in the first round a value from before the loop).

Results of earlier rounds that later code reads are collected in a list. Everything else stays as
it was.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.trace import Call, Event, Value, mapped

__all__ = ["Carried", "Index", "Loop", "Rolled", "last_rounds", "loops_of", "rolled"]

_LONGEST = 400
"""The most events that a round may have."""
_FEWEST_ROUNDS = 4
_WORTH = 6
"""The fewest events that a loop must save."""
_CANDIDATES = 30
"""How many repetitions are tried: those that would save most."""


@dataclass(frozen=True, slots=True)
class Index:
    """An integer that depends on the round of a loop: ``start + step * round``."""

    loop: Loop
    start: int
    step: int


@dataclass(eq=False, slots=True)
class Carried:
    """A value that a round takes over from the previous round."""

    value: Value
    """The value within the round."""
    initial: Any
    """The value or number that it is in the first round."""
    next: Value
    """The value that it is in the next round."""


@dataclass(eq=False, slots=True)
class Loop:
    """Rounds of the same events, each of which has this loop as its ``loop``."""

    count: int
    carried: list[Carried] = field(default_factory=list)
    lists: dict[Value, Value] = field(default_factory=dict)
    """For a result of a round, the list of it in all rounds."""
    backwards: bool = False
    """Whether the loop variable counts down."""

    def replace(self, twin: Callable[[Any], Any]) -> None:
        """Replace the values that the loop hands on by their twins."""
        for one in self.carried:
            one.initial, one.next = twin(one.initial), twin(one.next)
        self.lists = {twin(value): whole for value, whole in self.lists.items()}

    def read_by_loop(self, used: Container[Value]) -> Iterator[Value]:
        """Yield what the loop itself reads, for later rounds and code, if ``used`` are read."""
        for one in self.carried:
            if one.value in used:
                yield from (v for v in (one.initial, one.next) if isinstance(v, Value))
        yield from (value for value, whole in self.lists.items() if whole in used)


def loops_of(events: Iterable[Event]) -> list[Loop]:
    """Return the loops of events, in order."""
    return list(dict.fromkeys(event.loop for event in events if event.loop is not None))


@dataclass(slots=True)
class Rolled:
    """Events with loops, and what replaces values of rounds that are not written."""

    events: list[Event]
    kept: dict[Value, Value] = field(default_factory=dict)
    """Where to find the values that are read after all events."""
    templates: dict[Value, Value] = field(default_factory=dict)
    """For a result of any round, that of the round that represents all."""
    taken: list[tuple[Value, Value]] = field(default_factory=list)
    """Results of rounds, and what stands for them after the loop."""


def rolled(events: list[Event], kept: Iterable[Value], new_value: Callable[..., Value]) -> Rolled:
    """Turn every long repetition of events into a loop.

    ``kept`` are the values that are read after all events; ``new_value`` makes a value.
    """
    whole = Rolled(events, {value: value for value in kept})
    while (stretch := _best(_Numbered(whole.events))) is not None:
        _Rolling(stretch, whole, new_value).roll()
    return whole


# --- where something repeats ----------------------------------------------------------------------


class _Numbered:
    """Events, their parts that may differ from round to round, and the makers of values."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events
        self.leaves = [_leaves(event) for event in events]
        self.made = {
            value: (position, number)
            for position, event in enumerate(events)
            for number, value in enumerate(event.results)
        }


def _best(numbered: _Numbered) -> _Stretch | None:
    """Return the repetition that saves most; None if there is none."""
    candidates = sorted(_candidates(_kinds(numbered.events)), reverse=True)
    for _, minus_period, start, stop in candidates[:_CANDIDATES]:
        period = -minus_period
        best: _Stretch | None = None
        for first in range(start, min(start + 2 * period, stop)):
            most = (stop - first) // period
            if most < _FEWEST_ROUNDS or (best is not None and most <= best.count):
                break
            if not _Stretch(numbered, first, period, _FEWEST_ROUNDS).rounds():
                continue
            if all(map(_is_element, numbered.events[first : first + period])):
                continue
            count = _Stretch(numbered, first, period, most).rounds()
            if best is None or count > best.count:
                best = _Stretch(numbered, first, period, count)
        if best is not None and (best.count - 1) * period >= _WORTH:
            return best
    return None


def _is_element(event: Event) -> bool:
    """Return whether an event only takes an element from a list that a loop made."""
    source = event.args[0] if event.call.kind == "getitem" else None
    return isinstance(source, Value) and source.array is None


def _kinds(events: list[Event]) -> Any:
    """Number the events; those that could represent each other have the same number."""
    numbers: dict[Any, int] = {}
    kinds = np.empty(len(events), dtype=np.int64)
    for position, event in enumerate(events):
        key = (
            event.call.kind,
            event.call.name,
            event.phase,
            len(event.args),
            tuple(event.kwargs),
            tuple([_form(value) for value in event.results]),
        )
        known = numbers.setdefault(key, len(numbers))
        kinds[position] = known if event.loop is None else -1 - position
    return kinds


def _form(value: Value) -> Any:
    array = value.array
    if isinstance(array, np.ndarray):
        return array.shape, array.dtype, array.strides
    return type(array)


def _candidates(kinds: Any) -> Iterator[tuple[int, int, int, int]]:
    """Yield stretches that repeat: events saved, minus the period, start, stop."""
    for period in range(1, min(_LONGEST, len(kinds) // _FEWEST_ROUNDS) + 1):
        same = np.concatenate([[False], kinds[period:] == kinds[:-period], [False]])
        edges = np.flatnonzero(same[1:] != same[:-1])
        for start, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            saved = stop - start
            if saved >= (_FEWEST_ROUNDS - 1) * period and saved >= _WORTH:
                yield saved, -period, start, stop + period


# --- whether a loop would do the same -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value is made in a stretch."""

    round: int
    event: int
    result: int


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Consecutive rounds of events."""

    numbered: _Numbered
    start: int
    period: int
    count: int

    def event(self, number: int, position: int) -> Event:
        """Return an event of a round."""
        return self.numbered.events[self.start + number * self.period + position]

    def columns(self, position: int, count: int) -> Iterator[tuple[Any, ...]]:
        """Yield, for each leaf of an event, what it is in the first rounds."""
        first = self.start + position
        leaves = self.numbered.leaves[first : first + count * self.period : self.period]
        return zip(*leaves, strict=True)

    def place_of(self, one: Any) -> _Place | None:
        """Return where a value is made in the rounds; None if elsewhere."""
        if not isinstance(one, Value):
            return None
        position, result = self.numbered.made.get(one, (-1, 0))
        if not 0 <= position - self.start < self.period * self.count:
            return None
        return _Place(*divmod(position - self.start, self.period), result)

    def rounds(self) -> int:
        """Count the rounds, from the first, that a loop could do; 0 if too few."""
        count = self.count
        for position in range(self.period):
            count = min(count, self._same_calls(position, count))
            if count < _FEWEST_ROUNDS:
                return 0
            for column in self.columns(position, count):
                count = min(count, self._extent(column))
                if count < _FEWEST_ROUNDS:
                    return 0
        return 0 if self._writes_into_what_is_carried(count) else count

    def _same_calls(self, position: int, count: int) -> int:
        """Count the rounds that call the same function, with as many arguments."""
        function = self.event(0, position).call.function
        leaves = self.numbered.leaves
        first = self.start + position
        for k in range(count):
            same = self.event(k, position).call.function == function
            if not same or len(leaves[first + k * self.period]) != len(leaves[first]):
                return k
        return count

    def _extent(self, column: tuple[Any, ...]) -> int:
        """Count the rounds in which an argument is what a loop can have."""
        rule = self._rule(*column[:2])
        return next((k for k, one in enumerate(column) if not rule(k, one)), len(column))

    def _rule(self, first: Any, second: Any) -> Callable[[int, Any], bool]:
        """Derive from the first two rounds what an argument must be in each."""
        if type(first) is int and type(second) is int:
            return lambda k, one: type(one) is int and one == first + k * (second - first)
        place = self.place_of(second)
        if place is None:
            return lambda k, one: _is_same(one, second) and self.place_of(one) is None
        if place.round > 1:
            return lambda k, one: False
        lag = 1 - place.round
        return lambda k, one: (
            self.place_of(one) == _Place(k - lag, place.event, place.result)
            if k >= lag
            else self._is_before(one)
        )

    def _is_before(self, one: Any) -> bool:
        return isinstance(one, float | int | Value) and self.place_of(one) is None

    def _writes_into_what_is_carried(self, count: int) -> bool:
        """Return whether a carried value shares memory that is written.

        A name that changes from round to round must not stand for such memory.
        """
        carried, written = set(), set()
        for position in range(self.period):
            for column in self.columns(position, count):
                if self.is_carried(column[1]):
                    carried |= {one.root for one in column if isinstance(one, Value)}
            for k in range(count):
                target = self.event(k, position).writes
                written |= set() if target is None else {target.root}
        return not carried.isdisjoint(written)

    def is_carried(self, second: Any) -> bool:
        """Return whether an argument of the second round was made in the first."""
        place = self.place_of(second)
        return place is not None and place.round == 0


# --- making the loop ------------------------------------------------------------------------------


class _Rolling:
    """Replaces a stretch by a loop."""

    def __init__(self, stretch: _Stretch, whole: Rolled, new_value: Callable[..., Value]) -> None:
        self.stretch, self.whole, self.new_value = stretch, whole, new_value
        self.loop = Loop(stretch.count)
        self._before: list[Event] = []
        """Events that take values out of lists, before the event that reads them."""

    def roll(self) -> None:
        """Update the events of ``whole``, and where its values are found."""
        stretch, whole = self.stretch, self.whole
        events = whole.events
        stop = stretch.start + stretch.period * stretch.count
        for event in events[stretch.start : stop]:
            for value in event.results:
                place = stretch.place_of(value)
                assert place is not None
                whole.templates[value] = self._template(place)
        body = [self._in_loop(position) for position in range(stretch.period)]
        after: list[Event] = []
        for event in events[stop:]:
            self._redirect(event)
            after += [*self._before, event]
            self._before.clear()
        whole.kept = {value: self._found(now) for value, now in whole.kept.items()}
        whole.events = [*events[: stretch.start], *body, *after, *self._before]

    def _template(self, place: _Place) -> Value:
        return self.stretch.event(0, place.event).results[place.result]

    # --- within the loop --------------------------------------------------------------------------

    def _in_loop(self, position: int) -> Event:
        event = self.stretch.event(0, position)
        augmented = self.stretch.event(1, position).augmented
        symbols = [
            self._symbol(first, second) for first, second in self.stretch.columns(position, 2)
        ]
        _set_leaves(event, iter(symbols))
        event.loop = self.loop
        event.augmented = augmented and isinstance(event.args[0], Value)
        return event

    def _symbol(self, first: Any, second: Any) -> Any:
        """Return what represents an argument in all rounds."""
        if type(first) is int and type(second) is int and first != second:
            return Index(self.loop, first, second - first)
        if not self.stretch.is_carried(second):
            return first
        following = self.whole.templates[second]
        for one in self.loop.carried:
            if one.next is following and _is_same(one.initial, first):
                return one.value
        value = self.new_value(following.array, name=following.name or "carried")
        self.loop.carried.append(Carried(value, first, following))
        return value

    # --- after the loop ---------------------------------------------------------------------------

    def _redirect(self, event: Event) -> None:
        """Redirect an event to results of the last round, or to lists of those of all rounds."""
        if all(self.stretch.place_of(one) is None for one in (*event.inputs, event.writes)):
            return
        args = tuple([self._list_for(one) for one in event.args])
        event.args, event.kwargs = mapped(args, self._found), mapped(event.kwargs, self._found)
        event.writes = self._found(event.writes)
        event.refresh_inputs()
        for one in self._before:
            one.phase, one.scope = event.phase, event.scope

    def _list_for(self, argument: Any) -> Any:
        """Return the list of all rounds for a sequence of a result of each, in order."""
        if not isinstance(argument, list | tuple) or len(argument) != self.stretch.count:
            return argument
        places = [self.stretch.place_of(one) for one in argument]
        first = places[0]
        if first is None or places != [
            _Place(k, first.event, first.result) for k in range(len(places))
        ]:
            return argument
        return self._list(first)

    def _list(self, place: _Place) -> Value:
        template = self._template(place)
        if template not in self.loop.lists:
            stem = template.name or (template.event.call.name if template.event else "value")
            self.loop.lists[template] = self.new_value(None, name=f"all_{stem}")
        return self.loop.lists[template]

    def _found(self, one: Any) -> Any:
        """Take the result of a round out of the list of all rounds.

        Each event gets its own: so events after the loop still repeat, and may be rolled.
        """
        place = self.stretch.place_of(one)
        if place is None:
            return one
        template = self._template(place)
        base = template if one.is_array else None
        value = self.new_value(one.array, base=base)
        self.whole.taken.append((one, value))
        call = Call("getitem", "getitem", operator.getitem)
        self._before.append(Event(call, (self._list(place), place.round), {}, (value,)))
        value.event = self._before[-1]
        return value


def last_rounds(events: list[Event]) -> dict[Value, Value]:
    """Map what is taken from the end of a list to the result of the last round of the loop."""
    lists = {
        whole: (value, loop) for loop in loops_of(events) for value, whole in loop.lists.items()
    }
    found = {}
    for event in events:
        if event.call.kind == "getitem" and event.args[0] in lists:
            value, loop = lists[event.args[0]]
            if event.args[1] == loop.count - 1:
                found[event.result] = value
    return found


# --- the leaves of arguments ----------------------------------------------------------------------


def _leaves(event: Event) -> list[Any]:
    """Return the parts of an event that may differ from round to round, in order."""
    found: list[Any] = []
    mapped((event.args, event.kwargs), found.append)
    found.append(event.writes)
    return found


def _set_leaves(event: Event, leaves: Iterator[Any]) -> None:
    event.args, event.kwargs = mapped((event.args, event.kwargs), lambda _: next(leaves))
    event.writes = next(leaves)
    event.refresh_inputs()


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, Value) or isinstance(other, Value):
        return one is other or _is_same_number(one, other)
    return type(one) is type(other) and (one == other or repr(one) == repr(other))


def _is_same_number(one: Any, other: Any) -> bool:
    """Return whether two constants are equal numbers."""
    if not (isinstance(one, Value) and isinstance(other, Value)):
        return False
    constant = one.is_constant and other.is_constant
    return constant and not one.is_array and not other.is_array and _is_same(one.array, other.array)
