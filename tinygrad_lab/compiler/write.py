"""The source of a recording as a person would have written it: forward, backward, update.

Expressions that are used once and have no name in the code are written where they are used; names
come from the user's variables, from modules, and from the code of the kernels and optimisers.
``draft.py`` decides what is written, ``phrase.py`` writes expressions, ``page.py`` does the layout.
"""

from __future__ import annotations

import inspect
import keyword
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.compiler.draft import draft_of, fresh_result, is_view, same_layout
from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.page import Line, laid_out
from tinygrad_lab.compiler.phrase import TIGHT, Phrases, is_imported, literal, number
from tinygrad_lab.compiler.record import Recording, State
from tinygrad_lab.compiler.roll import Loop, loops_of
from tinygrad_lab.compiler.tidy import constants
from tinygrad_lab.compiler.trace import Event, Value
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import line_of

__all__ = ["Assignment", "Writer"]

_RESERVED = (
    *("np", "math", "state", "step", "as_strided", "sliding_window_view", "where_positive"),
    *("range", "reversed", "slice", "load_state", "Path"),
    *("bool", "int", "float", "complex", "IndexError", "ValueError"),
)
_LONG = 60
"""Expressions up to this length are written within others."""
_SHORT = 24
"""Views up to this length are repeated rather than given a name: ``x.T``."""
_NAMELESS = ("scratch",)
"""Names that tell a reader nothing."""
_LONGEST_COMMENT = 92
_LARGEST_LITERAL = 16
"""Constant arrays of more numbers are part of the state."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A line of the source, for drawing it."""

    target: str
    text: str
    reads: tuple[Value, ...]
    event: Event | None = None


class Writer:
    """Writes one recording."""

    longest = _LONG

    def __init__(
        self, recording: Recording, function: Callable[..., Any], passes: Any = None
    ) -> None:
        draft = draft_of(recording, passes)
        self.recording = draft.recording
        self.events = draft.events
        self.loops = loops_of(draft.events)
        self.function = getattr(function, "__name__", "the step")
        self.assignments: list[Assignment] = []
        """The lines written so far."""
        self._names: dict[Value, str] = {}
        self._counts: Counter[str] = Counter()
        """How often a stem was numbered."""
        self._taken = {*_RESERVED, *keyword.kwlist}
        self._taken |= {e.call.name for e in draft.events if is_imported(e)}
        self.phrases = Phrases(self.name, lambda one: self._generators()[one], self._is_unchanged)
        self.constants = constants(draft.events)
        self._kept = set(draft.kept())
        self._find_uses()
        self._name_states(_variables(function))
        self._name_rounds()

    def let_go(self) -> None:
        """Free the memory immediately: events, values, loops and phrases refer to each other."""
        self.recording.trace.let_go()
        for event in self.events:
            event.results, event.loop = (), None
        del self.phrases

    def _find_uses(self) -> None:
        """Find the users of each value, and the last of them."""
        self._uses: Counter[Value] = Counter(self._all_uses())
        self._last = {v: n for n, event in enumerate(self.events) for v in _touched(event)}
        self._users: dict[Value, list[Event]] = {}
        for event in self.events:
            for value in dict.fromkeys(_touched(event)):
                self._users.setdefault(value, []).append(event)
        self._changed_in_place = {event.args[0] for event in self.events if event.augmented}
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
        yield from (one for one in self.recording.outputs if isinstance(one, Value))
        yield from (value for _, value in self._writes_to_state())

    def _writes_to_state(self) -> Iterator[tuple[State, Value]]:
        """Yield the state for the next call, without gradients that the update has used."""
        recording = self.recording
        for state, value in recording.writes.items():
            before = recording.states.get(state)
            updated = State("data", state.owner) in recording.writes
            if value is not before and (state.kind != "grad" or before or not updated):
                yield state, value

    # --- names ------------------------------------------------------------------------------------

    def _name_states(self, variables: dict[int, str]) -> None:
        """Give every state a name of its own, which is also its key.

        Tensors without a name are named after the variables by which the step knows them.
        """
        for state, value in (*self.recording.states.items(), *self.recording.writes.items()):
            array = getattr(state.owner, "_data", None)
            known = variables.get(id(state.owner)) or variables.get(id(array))
            if known is not None and state.owner.name is None:
                if state.kind == "grad":
                    value.name = f"d_{known}"
                elif value.origin is not None:
                    value.name = known
        taken: Counter[str] = Counter()
        for value in self.recording.states.values():
            stem = value.name or "value"
            taken[stem] += 1
            if taken[stem] > 1:
                value.name = f"{stem}_{taken[stem]}"

    def _name_rounds(self) -> None:
        """Name the loop variable ``t``, or another name that is free."""
        stems = {value.name for value in self.recording.trace.values}
        free = next(name for name in ("t", "i", "k", "round_number") if name not in stems)
        self._taken.add(free)
        self.phrases.index_names = dict.fromkeys(self.loops, free)

    def name(self, value: Value) -> str:
        """Return the variable of a value, unique unless one value replaces another."""
        if value not in self._names:
            self._names[value] = self._free_name(self._stem(value))
        return self._names[value]

    def _stem(self, value: Value) -> str:
        of = value.gradient_of
        if of is not None and of in self._names:
            return f"d_{self._names[of]}"
        made = value.event
        if value.is_constant and value.name == "tensor":
            return "constant"
        stem = value.name or (known(made.call.name).noun or made.call.name if made else "value")
        if made is not None and made.augmented and known(made.call.name).infix is None:
            # Changed in place, while the old value is still used.
            stem = made.call.name
        return stem.replace(".", "_").lstrip("_")

    def _free_name(self, stem: str) -> str:
        name, count = stem, self._counts[stem]
        while name in self._taken:
            count += 1
            name = f"{stem}_{count + 1}"
        self._counts[stem] = count
        self._taken.add(name)
        return name

    # --- the whole --------------------------------------------------------------------------------

    def source(self, *, loading: bool = False) -> str:
        """Write a module with one function, which needs only NumPy.

        With ``loading`` it has another function, which reads the state beside the module's file.
        """
        body = "\n".join(self._body())
        loading = loading and self.has_state()
        helpers = self.phrases.helpers.values()
        functions = [text.strip() for text in helpers if "def " in text]
        functions += [self._loader()] if loading else []
        whole = "\n\n\n".join([*functions, body])
        imports = [text for text in helpers if "def " not in text]
        imports += ["from pathlib import Path"] if loading else []
        ours = [text for text in imports if "numpy" in text or "scipy" in text]
        ours += ["import numpy as np"] if "np." in whole else []
        standard = [text for text in imports if text not in ours]
        blocks = (sorted(standard, key=_import_order), sorted(ours, key=_import_order))
        head = "\n\n".join("\n".join(one) for one in blocks if one)
        head = f"\n\n{head}" if head else ""
        return f'"""{self._title(loading)}"""{head}\n\n\n{whole}\n'

    def _title(self, loading: bool) -> str:
        title = f"One call of {self.function}, written by tg.compile."
        needs = " It needs NumPy alone."
        if not loading:
            return title + needs
        return (
            f"{title}{needs}\n\n    state = load_state()\n    {self._call_example()}\n\n"
            "Each call updates the state as one call of the step does. Pass settings by keyword\n"
            "if they differ from those at the time of writing.\n"
        )

    def _call_example(self) -> str:
        arguments = [self.name(v) for v in self.recording.arguments if v is not None]
        return f"result = step({', '.join([*arguments, 'state'])})"

    def _body(self) -> Iterator[str]:
        lines = [*self._reads(), *self._statements(), *self._results()]
        lines = lines[1:] if not lines[0].text else lines
        arguments = [self.name(v) for v in self.recording.arguments if v is not None]
        arguments += ["state"] if self.has_state() else []
        used = [v for v in self.recording.settings.values() if self._uses[v]]
        settings = [f"{self.name(v)}={self.phrases.text(v.array)}" for v in used]
        signature = ", ".join([*arguments, *(["*", *settings] if settings else [])])
        yield from laid_out([Line(f"def step({signature}):")])
        yield from laid_out([Line(one.text, one.comment, one.depth + 1) for one in lines])

    # --- the state --------------------------------------------------------------------------------

    def has_state(self) -> bool:
        """Return whether the function needs anything besides its arguments."""
        states = (*self._states_read(), *self._writes_to_state(), *self._large_constants())
        return bool(states or self._generators())

    def state(self) -> dict[str, Any]:
        """Return what the function reads from ``state``, as it is now."""
        now = {value.name or "value": _now(state) for state, value in self._states_read()}
        return {**now, **{self.name(value): value.array for value in self._large_constants()}}

    def _states_read(self) -> Iterator[tuple[State, Value]]:
        for state, value in self.recording.states.items():
            if self._uses[value]:
                yield state, value

    def _array_constants(self) -> Iterator[Value]:
        for value in self.recording.trace.values:
            if value.is_constant and self._uses[value] and np.ndim(value.array):
                yield value

    def _large_constants(self) -> Iterator[Value]:
        for value in self._array_constants():
            array = value.array
            if array.size > _LARGEST_LITERAL and not (array == array.flat[0]).all():
                yield value

    def _generators(self) -> dict[Any, str]:
        """Return the generators that are drawn from, and their names in the code."""
        drawing = [event.generator for event in self.events if event.call.kind == "draw"]
        return {
            one: f"generator_{n}" if n else "generator"
            for n, one in enumerate(dict.fromkeys(drawing))
        }

    def _loader(self) -> str:
        lines = [
            "def load_state():",
            '    """Return the state as it was when this was saved."""',
            '    with np.load(Path(__file__).with_suffix(".npz")) as saved:',
            "        state = dict(saved)",
        ]
        for _, value in self._states_read():
            if not value.is_array:
                lines.append(f'    state["{value.name}"] = state["{value.name}"].item()')
        for generator, name in self._generators().items():
            lines.append(f'    state["{name}"] = np.random.default_rng()')
            held = f'    state["{name}"].bit_generator.state = {generator.get_state()!r}'
            lines += laid_out([Line(held.replace("'", '"').strip(), "", 1)])
        return "\n".join([*lines, "    return state"])

    # --- sections ---------------------------------------------------------------------------------

    def _reads(self) -> Iterator[Line]:
        for state, value in self._states_read():
            if state.kind == "steps" and self._uses[value] == 1:
                self.phrases.inline[value] = f'state["{value.name}"]', TIGHT
                self._name_after(value)
            else:
                yield self._line(f'{self.name(value)} = state["{value.name}"]', value)
        for name in self._generators().values():
            self._taken.add(name)
            yield Line(f'{name} = state["{name}"]')
        large = set(self._large_constants())
        for value in self._array_constants():
            name = self.name(value)
            text = f'state["{name}"]' if value in large else literal(value.array)
            yield self._line(f"{name} = {text}", value)

    def _name_after(self, counter: Value) -> None:
        """Give the new step count the name of the old one."""
        for event in self.events:
            if counter in event.inputs and event.results:
                self._names[event.result] = self._free_name(counter.name or "steps")

    def _statements(self) -> Iterator[Line]:
        phase, where, loop = None, ("", ""), None
        for position, event in enumerate(self.events):
            if loop is not None and event.loop is not loop:
                yield from self._end_of_round(loop)
                loop = None
            entered = [] if event.loop is loop else list(self._start_of_loop(event.loop))
            loop = event.loop
            depth = 1 if loop is not None else 0
            lines = [one.deeper(depth) for one in self._lines_of(event, position)]
            self._remember(event, lines)
            if not (lines or entered):
                continue
            if event.phase != phase:
                phase, where = event.phase, ("", "")
                yield from [Line(""), Line(f"# --- {phase} ---")]
            now = self._where(event)
            yield from self._comment(where, now, 0 if entered else depth)
            where = now
            yield from [*entered, *lines]
        if loop is not None:
            yield from self._end_of_round(loop)

    def _remember(self, event: Event, lines: list[Line]) -> None:
        """Keep the line of an event, if it makes or changes a value."""
        target, equals, text = lines[0].text.partition("= ") if lines else ("", "", "")
        if equals and (event.results or event.writes is not None):
            reads = tuple(sorted(self._mentioned(event), key=lambda one: one.index))
            name = target.rstrip(" +-*/@%&|^")
            self.assignments.append(Assignment(name, text, reads, event))

    def where(self, event: Event) -> str:
        """Return the module and the user's line that an event comes from, as text."""
        return ": ".join(part for part in self._where(event) if part)

    def _where(self, event: Event) -> tuple[str, str]:
        """Return the module and the user's line that an event comes from."""
        line = line_of(event.code, event.offset)
        module = event.scope.path if event.scope is not None else ""
        if event.scope is not None and module.rpartition(".")[2].isdigit():
            module = f"{module} ({event.scope.kind})"
        return module, line.text if line else ""

    def _comment(self, before: tuple[str, str], now: tuple[str, str], depth: int) -> Iterator[Line]:
        """Yield a comment with the module and line of the next lines, where they change."""
        module = now[0] if now[0] != before[0] else ""
        text = now[1] if now[1] != before[1] else ""
        comment = ": ".join(part for part in (module, text) if part)
        if comment:
            yield Line(f"# {comment}"[:_LONGEST_COMMENT], "", depth)

    def _results(self) -> Iterator[Line]:
        recording = self.recording
        written = list(self._writes_to_state())
        if written:
            yield Line("")
        for state, value in written:
            before = recording.states.get(state)
            data = recording.states.get(State("data", state.owner))
            key = before.name if before is not None else value.name
            if before is None and state.kind == "grad" and data is not None:
                key = f"d_{data.name}"
            yield Line(self._put(f'state["{key}"]', value))
        outputs = [self.phrases.text(one) for one in recording.outputs]
        yield Line(f"return {', '.join(outputs)}" if outputs else "return None")

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
            name, count = self.phrases.text(labels[0]), self.phrases.text(labels[1])
            yield Line(f"if {name}.min() < 0 or {name}.max() >= {count}:")
            yield Line(f'    raise IndexError("{name}: expected integers from 0 to below {count}")')
            return
        if np.ndim(condition.array):
            text = f"{self.phrases.at_least(condition, TIGHT)}.any()"
        else:
            text = self.phrases.at_least(condition, 1)
        yield Line(f"if {'not ' * recorded}{text}:")
        yield Line('    raise ValueError("a check differs from its result when recorded")')

    def _is_a_number(self, value: Value) -> bool:
        """Return whether a value is a constant number, which is written where it is used."""
        if value not in self.constants or value in self._kept or value in self._read_by_loops:
            return False
        if np.ndim(value.array) == 0 and isinstance(value.array, np.ndarray | np.generic):
            self.phrases.numbers.add(value)
            return True
        if not value.is_array:
            self.phrases.inline[value] = self.phrases.phrase(value.array)
            return True
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
        return old.event is not None and old not in self._read_by_loops

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
        at_the_end = user is None and uses == 1 and value not in self._outputs()
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

    def _outputs(self) -> list[Any]:
        return [one for one in self.recording.outputs if isinstance(one, Value)]

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
        return value.root not in self._writes and value not in self._changed_in_place

    def _line(self, text: str, value: Value) -> Line:
        if not value.is_array or np.ndim(value.array) == 0:
            return Line(text)
        return Line(text, f"{value.array.shape}")


def _variables(function: Callable[..., Any]) -> dict[int, str]:
    """Map the ids of tensors and arrays to their names in a function."""
    try:
        known = inspect.getclosurevars(function)
    except TypeError:
        return {}
    names: dict[int, str] = {}
    for variable, held in (*known.globals.items(), *known.nonlocals.items()):
        if not isinstance(held, Tensor | np.ndarray | list | tuple | dict):
            continue
        leaves = trees.flatten(held, open_modules=False)[0]
        for position, leaf in enumerate(leaves):
            names[id(leaf)] = variable if held is leaf else f"{variable}_{position}"
    return names


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


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


def _now(state: State) -> Any:
    """Return the current value of a state."""
    if state.kind == "data":
        return state.owner._data
    if state.kind == "grad":
        return state.owner.grad._data
    bundle = state.owner.bundle()
    if state.kind == "vector":
        return bundle.vector
    return bundle.steps if state.kind == "steps" else bundle.state[state.position]
