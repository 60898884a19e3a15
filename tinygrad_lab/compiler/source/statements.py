"""The lines of one function of the source: a statement for each event, or for several.

Expressions that are used once and have no name in the code are written where they are used; names
come from the user's variables, from modules, and from the code of the kernels and optimisers.
"""

from __future__ import annotations

import keyword
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.plan.tidy import constants
from tinygrad_lab.compiler.record.trace import Event, Value
from tinygrad_lab.compiler.source.draft import fresh_result, is_view, same_layout
from tinygrad_lab.compiler.source.names import free_of_numpy
from tinygrad_lab.compiler.source.page import Line
from tinygrad_lab.compiler.source.phrase import TIGHT, Phrases, number
from tinygrad_lab.compiler.source.roll import Loop, loops_of

__all__ = ["Body", "Shared", "fraction_of"]

_RESERVED = (
    *("np", "math", "state", "step", "as_strided", "sliding_window_view", "where_positive"),
    *("range", "reversed", "slice", "load_state", "Path", "check_labels", "len"),
    *("bool", "int", "float", "complex", "IndexError", "ValueError"),
)
_INTERFACE = ("argument", "state", "setting")
"""Origins of values whose names are the user's."""
_LONG = 60
"""Expressions up to this length are written within others."""
_SHORT = 24
"""Views up to this length are repeated rather than given a name: ``x.T``."""
_NAMELESS = ("scratch",)
"""Names that tell a reader nothing."""


@dataclass(slots=True)
class Shared:
    """What the functions of a source have in common."""

    events: list[Event]
    kept: set[Value]
    """The values that are read after all events."""
    generators: Callable[[], dict[Any, str]]
    """Returns the names of random generators."""
    taken: set[str] = field(default_factory=set)
    """Names of functions."""
    helpers: dict[str, str] = field(default_factory=dict)
    """Sources of functions, and imports, that the code needs besides NumPy."""
    constants: set[Value] = field(init=False)
    """The values that are the same at every call."""
    numbers: set[Value] = field(init=False)
    """Those of them that are written as numbers where they are used."""
    changed: set[Value] = field(init=False)
    """The values whose memory is written into, or that are changed in place."""
    index_name: str = field(init=False)
    """The loop variable of all loops."""

    def __post_init__(self) -> None:
        self.constants = constants(self.events)
        loops = loops_of(self.events)
        read = {one.next for loop in loops for one in loop.carried}
        read |= {value for loop in loops for value in loop.lists} | self.kept
        self.numbers = {one for one in self.constants - read if np.ndim(one.array) == 0}
        self.changed = {e.writes.root for e in self.events if e.writes is not None}
        self.changed |= {e.args[0] for e in self.events if e.augmented}
        stems = {value.name for event in self.events for value in (*event.inputs, *event.results)}
        self.index_name = next(
            name for name in ("t", "i", "k", "round_number") if name not in stems
        )


class Body:
    """Writes the statements of a function."""

    longest = _LONG

    def __init__(self, events: list[Event], kept: Iterable[Value], shared: Shared) -> None:
        """Prepare; ``kept`` are the values that are read after the events, with repetitions."""
        self.events = events
        self.shared = shared
        self.loops = loops_of(events)
        self._names: dict[Value, str] = {}
        self._counts: Counter[str] = Counter()
        """How often a stem was numbered."""
        self._taken = {*_RESERVED, *keyword.kwlist, shared.index_name}
        self._taken |= shared.taken
        self.phrases = Phrases(self.name, lambda one: shared.generators()[one], self._is_unchanged)
        self.phrases.helpers = shared.helpers
        self.phrases.index_names = dict.fromkeys(self.loops, shared.index_name)
        for value in shared.numbers:
            if value.is_array:
                self.phrases.numbers.add(value)
                fraction = fraction_of(value)
                if fraction is not None:
                    self.phrases.fractions[value] = fraction
            else:
                self.phrases.inline[value] = self.phrases.phrase(value.array)
        at_the_end = list(kept)
        self._kept = set(at_the_end)
        self._find_uses(at_the_end)

    def let_go(self) -> None:
        """Free the memory immediately: it and its phrases refer to each other."""
        del self.phrases

    def _find_uses(self, at_the_end: list[Value]) -> None:
        """Find the users of each value, and the last of them."""
        self._uses: Counter[Value] = Counter([*self._all_uses(), *at_the_end])
        self._last = {v: n for n, event in enumerate(self.events) for v in _touched(event)}
        self._users: dict[Value, list[Event]] = {}
        for event in self.events:
            for value in dict.fromkeys(_touched(event)):
                self._users.setdefault(value, []).append(event)
        self._made = {value for event in self.events for value in event.results}
        self._writes: dict[Value, list[int]] = {}
        self._mentions: dict[Value, set[Value]] = {}
        self._viewed = {v.base for e in self.events for v in e.results if v.base is not None}
        self._carried = {one.value: one for loop in self.loops for one in loop.carried}
        self._continued = {one.next: one for one in self._carried.values()}
        self._read_by_loops = set(self._continued)
        self._read_by_loops |= {value for loop in self.loops for value in loop.lists}
        for position, event in enumerate(self.events):
            if event.writes is not None:
                self._writes.setdefault(event.writes.root, []).append(position)

    def _all_uses(self) -> Iterator[Value]:
        for event in self.events:
            yield from event.inputs
            if event.writes is not None and event.call.kind != "setitem":
                yield event.writes
        for loop in self.loops:
            yield from (one.initial for one in loop.carried if isinstance(one.initial, Value))
            yield from (one.next for one in loop.carried)
            yield from loop.lists

    def _ends(self, value: Value) -> bool:
        """Return whether a value that is read at the end needs a name there."""
        raise NotImplementedError

    # --- names ------------------------------------------------------------------------------------

    def name(self, value: Value) -> str:
        """Return the variable of a value, unique unless one value replaces another."""
        if value not in self._names:
            stem = self._stem(value).replace(".", "_").lstrip("_")
            theirs = value.origin is not None and value.origin.kind in _INTERFACE
            self._names[value] = self._free_name(stem if theirs else free_of_numpy(stem))
        return self._names[value]

    def _stem(self, value: Value) -> str:
        of = value.gradient_of
        if of is not None and of in self._names:
            return f"d_{self._names[of]}"
        made = value.event
        if value.is_constant and value.name == "tensor":
            return "constant"
        if made is not None and value.name in (None, "reshape") and _flattens(made):
            return "flat"
        stem = value.name or (known(made.call.name).noun or made.call.name if made else "value")
        if made is not None and made.augmented and known(made.call.name).infix is None:
            # Changed in place, while the old value is still used.
            stem = made.call.name
        return stem

    def _free_name(self, stem: str) -> str:
        name, count = stem, self._counts[stem]
        while name in self._taken:
            count += 1
            name = f"{stem}_{count + 1}"
        self._counts[stem] = count
        self._taken.add(name)
        return name

    # --- statements in order ----------------------------------------------------------------------

    def _lines_in_order(self) -> Iterator[tuple[Line, Event | None, bool]]:
        """Yield all lines, each with its event, and whether a loop begins or ends with it."""
        loop = None
        for position, event in enumerate(self.events):
            if loop is not None and event.loop is not loop:
                yield from ((line, None, True) for line in self._end_of_round(loop))
                loop = None
            if event.loop is not loop:
                yield from ((line, event, True) for line in self._start_of_loop(event.loop))
            loop = event.loop
            lines = [one.deeper(int(loop is not None)) for one in self._lines_of(event, position)]
            self._remember(event, lines)
            yield from ((line, event, False) for line in lines)
        if loop is not None:
            yield from ((line, None, True) for line in self._end_of_round(loop))

    def _remember(self, event: Event, lines: list[Line]) -> None:
        """Keep the lines of an event, if a reader wants them."""

    # --- loops ------------------------------------------------------------------------------------

    def _start_of_loop(self, loop: Loop | None) -> Iterator[Line]:
        if loop is None:
            return
        for one in loop.carried:
            initial = one.initial
            if isinstance(initial, Value) and self._can_reuse_name(initial):
                self._names[one.value] = self.name(initial)
            else:
                yield self._line(
                    f"{self.name(one.value)} = {self.phrases.text(initial)}", one.value
                )
        for whole in loop.lists.values():
            yield Line(f"{self.name(whole)} = []")
        yield Line(f"{self.rounds(loop)}:")

    def rounds(self, loop: Loop) -> str:
        """Write ``for t in range(40)``."""
        rounds = f"reversed(range({loop.count}))" if loop.backwards else f"range({loop.count})"
        return f"for {self.phrases.index_names[loop]} in {rounds}"

    def _can_reuse_name(self, initial: Value) -> bool:
        """Return whether the initial value of a loop is not needed afterwards."""
        return self._is_only_for_loop(initial) and initial not in self.phrases.inline

    def _is_only_for_loop(self, initial: Value) -> bool:
        """Return whether an array is made only for a loop."""
        made = initial.event is not None and initial.base is None
        return made and self._uses[initial] == 1 and initial not in self._viewed

    def _end_of_round(self, loop: Loop) -> Iterator[Line]:
        moved = [
            (self.name(one.value), self.phrases.text(one.next))
            for one in loop.carried
            if self.name(one.value) != self.phrases.text(one.next)
        ]
        if moved:
            left, right = (", ".join(part) for part in zip(*moved, strict=True))
            yield Line(f"{left} = {right}", "", 1)

    # --- statements -------------------------------------------------------------------------------

    def _lines_of(self, event: Event, position: int) -> Iterator[Line]:
        phrases = self.phrases
        if event.call.kind == "check":
            yield from self._check(event)
        elif event.call.kind == "setitem":
            array, key, source = event.args
            place = f"{phrases.at_least(array, TIGHT)}[{phrases.key(key)}]"
            yield Line(self._put(place, source, array.array.dtype))
        elif event.writes is not None:
            yield self._write(event)
        elif event.several:
            names = ", ".join(map(self.name, event.results))
            names += "," if len(event.results) == 1 else ""
            yield Line(f"{names} = {phrases.call(event)[0]}")
        elif not self._is_a_number(event.result):
            yield from self._assignment(event, position)
            value = event.result
            if event.loop is not None and value in event.loop.lists:
                yield Line(f"{self.name(event.loop.lists[value])}.append({self.name(value)})")

    def _put(self, place: str, source: Any, dtype: Any = None) -> str:
        """Write ``x[k] = y``, or ``x[k] += y`` if that is equivalent."""
        made = source.event if isinstance(source, Value) else None
        if (
            made is not None
            and source in self.phrases.inline
            and (infix := self.phrases.infix(made)) is not None
            and (dtype is None or source.array.dtype == dtype)
        ):
            left, right = made.args
            if self.phrases.text(left) == place:
                return f"{place} {infix[0]}= {self.phrases.operand(made, right, 0)}"
        return f"{place} = {self.phrases.assigned(source, dtype)}"

    def _check(self, event: Event) -> Iterator[Line]:
        condition, recorded = event.args
        labels = None if recorded else _labels(condition)
        if labels is not None:
            self.shared.helpers["check_labels"] = _CHECK_LABELS
            yield Line(f"check_labels({', '.join(map(self.phrases.text, labels))})")
            return
        if np.ndim(condition.array):
            text = f"{self.phrases.at_least(condition, TIGHT)}.any()"
        else:
            text = self.phrases.at_least(condition, 1)
        yield Line(f"if {'not ' * recorded}{text}:")
        yield Line('    raise ValueError("a check differs from its result when recorded")')

    def _is_a_number(self, value: Value) -> bool:
        """Return whether a value is a constant number, which is written where it is used."""
        if value in self.shared.numbers:
            return True
        if (
            value not in self.shared.constants
            or value in self._kept
            or value in self._read_by_loops
        ):
            return False
        return self._stands_for_a_number(value)

    def _stands_for_a_number(self, value: Value) -> bool:
        """Return whether an array of equal numbers may be written as the number."""
        array = value.array
        users = self._users.get(value, [])
        if not array.size or not (array == array.flat[0]).all() or np.signbit(array.flat[0]):
            return False
        if self._uses[value] > sum(event.inputs.count(value) for event in users):
            return False
        if not all(self.phrases.takes_python_numbers(event, value) for event in users):
            return False
        self.phrases.bare[value] = array.flat[0].item()
        self.phrases.inline[value] = number(array.flat[0], bare=True), TIGHT
        return True

    def _assignment(self, event: Event, position: int) -> Iterator[Line]:
        value = event.result
        phrase = self.phrases.call(event)
        if self._can_be_inlined(event, position, phrase[0]):
            self._write_where_used(event, phrase)
            return
        augmented = self._augmented(event, position)
        if augmented is not None:
            yield Line(augmented)
            return
        self._take_over_name(value, position)
        yield self._line(f"{self.name(value)} = {phrase[0]}", value)

    def _take_over_name(self, value: Value, position: int) -> None:
        """Give the initial value of the next round the name of that of this round."""
        last = value
        while last not in self._read_by_loops and self._uses[last] == 1:
            user = next(iter(self._users.get(last, ())), None)
            if user is None or not user.augmented or user.args[0] is not last:
                break
            last = user.result
        carried = self._continued.get(last)
        if carried is None or value in self._names or carried.value not in self._names:
            return
        if self._last.get(carried.value, position) <= position:
            self._names[value] = self._names[last] = self._names[carried.value]

    def _write_where_used(self, event: Event, phrase: tuple[str, float]) -> None:
        value = event.result
        self.phrases.inline[value] = phrase
        inside = self._mentioned(event)
        self._mentions[value] = inside
        last = self._last.get(value, len(self.events))
        for one in inside:
            self._last[one] = max(self._last.get(one, 0), last)

    def _mentioned(self, event: Event) -> set[Value]:
        """Return the values whose names are in an expression."""
        mentioned = set(event.inputs)
        for one in event.inputs:
            mentioned |= self._mentions.get(one, set())
        return mentioned

    def _augmented(self, event: Event, position: int) -> str | None:
        """Write ``x += y`` if that was done, and the old x is no longer needed."""
        if not event.augmented or not isinstance(event.args[0], Value):
            return None
        old, value = event.args[0], event.result
        infix = self.phrases.infix(event)
        if infix is None or not self._may_change(old, position):
            return None
        name = self._names[value] = self.name(old)
        return f"{name} {infix[0]}= {self.phrases.operand(event, event.args[1], 0)}"

    def _may_change(self, old: Value, position: int) -> bool:
        """Return whether the memory of a value is no longer used by anything else."""
        if old in self.phrases.inline or old in self._kept or old in self._viewed:
            return False
        if old.base is not None or self._last.get(old) != position:
            return False
        if old in self._carried:
            initial = self._carried[old].initial
            return not isinstance(initial, Value) or self._is_only_for_loop(initial)
        return old in self._made and old not in self._read_by_loops

    def _write(self, event: Event) -> Line:
        phrases, target = self.phrases, event.writes
        assert target is not None
        name, args = event.call.name, event.args
        if name == "fill":
            text = phrases.assigned(args[1], target.array.dtype)
            return Line(f"{phrases.place(target)} = {text}")
        if event.writes_into_argument:
            return Line(phrases.called(event))
        if not phrases.can_be_assigned(event):
            return Line(phrases.called(event, f"out={phrases.text(target)}"))
        infix = phrases.infix(event)
        if infix is not None and args[0] is target:
            place = phrases.place(target)
            if target not in phrases.inline:
                place = place.removesuffix("[...]")
            return Line(f"{place} {infix[0]}= {phrases.operand(event, args[1], 0)}")
        return Line(f"{phrases.place(target)} = {phrases.call(event)[0]}")

    def _can_be_inlined(self, event: Event, position: int, text: str) -> bool:
        """Return whether an expression is written where its value is used."""
        value = event.result
        uses = self._uses[value]
        if value in self._read_by_loops or event.call.kind == "draw" or not uses:
            return False
        view = is_view(event)
        if value in self._writes and not view:
            return False  # what is written into needs a name
        users = self._users.get(value, [])
        user = users[0] if users else None
        leaves_its_loop = any(one.loop is not event.loop for one in users) or not users
        if event.loop is not None and leaves_its_loop:
            return False
        at_the_end = user is None and uses == 1 and not self._ends(value)
        named = value.name not in (None, event.call.name, *_NAMELESS)
        if named and not (uses == 1 and self._only_augmented(value, user)) and not at_the_end:
            return False
        again = text.isidentifier() or (view and len(text) <= _SHORT)
        if uses > 1 and not again:
            return False
        if (value in self._kept and not at_the_end) or len(text) > self.longest:
            return False
        if not view and any(one.loop is not event.loop for one in users):
            return False
        last = self._last.get(value, len(self.events))
        return not any(
            position < written < last
            for one in self._mentioned(event)
            for written in self._writes.get(one.root, ())
            if not view
        )

    def _only_augmented(self, value: Value, user: Event | None) -> bool:
        """Return whether a value is only used to be changed in place, under the same name."""
        if user is None or not user.augmented or user.args[0] is not value:
            return False
        if not value.is_array:
            return True
        fresh = fresh_result(user)
        return fresh is not None and same_layout(fresh, user.result.array)

    def _is_unchanged(self, value: Value) -> bool:
        """Return whether a value is never written into, or changed in place."""
        return value.root not in self.shared.changed and value not in self.shared.changed

    def _line(self, text: str, value: Value) -> Line:
        if not value.is_array or np.ndim(value.array) == 0:
            return Line(text)
        return Line(text, f"{value.array.shape}")


_CHECK_LABELS = '''
def check_labels(labels, count):
    """Raise an error unless all labels are integers from 0 to below count."""
    if labels.min() < 0 or labels.max() >= count:
        raise IndexError(f"labels: expected integers from 0 to below {count}")
'''


def _flattens(event: Event) -> bool:
    if event.call.name != "reshape" or not isinstance(event.args[0], Value):
        return False
    return np.ndim(event.result.array) < np.ndim(event.args[0].array)


def fraction_of(value: Value) -> str | None:
    """Return ``1 / 100`` for a constant that is that quotient, if it gives the same bits."""
    made = value.event
    if made is None or made.call.name != "divide" or made.call.kind != "ufunc":
        return None
    parts = [one.array if isinstance(one, Value) else one for one in made.args]
    if value.array.dtype.kind != "f" or not all(np.ndim(one) == 0 for one in parts):
        return None
    numbers = [np.asarray(one).item() for one in parts]
    if numbers[1] == 0 or not all(float(one).is_integer() for one in numbers):
        return None
    same = value.array.dtype.type(numbers[0] / numbers[1]) == value.array
    return f"{int(numbers[0])} / {int(numbers[1])}" if same else None


def _touched(event: Event) -> tuple[Value, ...]:
    return event.inputs if event.writes is None else (*event.inputs, event.writes)


def _labels(condition: Any) -> tuple[Value, Any] | None:
    """Return what is looked up, and in how many, if a condition is from ``Namespace.outside``."""
    made = getattr(condition, "event", None)
    if made is None or made.call.name != "greater_equal":
        return None
    integers, count = made.args
    view = getattr(integers, "event", None)
    if view is not None and view.call.name == "view":
        return view.args[0], count
    # Unsigned integers need no view.
    return (integers, count) if np.ndim(made.result.array) else None
