"""The source of a recording as a person would have written it: forward, backward, update.

Expressions that are used once and that the code gave no name are written where they are used; names
come from the user's variables, from modules, and from the code of the kernels and optimisers.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_lab.backends.numpy import where_positive
from tinygrad_lab.compile.record import Recording, State
from tinygrad_lab.compile.tidy import constants
from tinygrad_lab.compile.trace import Event, Value
from tinygrad_lab.random import Generator
from tinygrad_lab.site import line_of

__all__ = ["Writer"]

_INFIX = {
    "add": ("+", 5),
    "subtract": ("-", 5),
    "multiply": ("*", 6),
    "divide": ("/", 6),
    "matmul": ("@", 6),
    "floor_divide": ("//", 6),
    "remainder": ("%", 6),
    "power": ("**", 8),
    "greater": (">", 3),
    "greater_equal": (">=", 3),
    "less": ("<", 3),
    "less_equal": ("<=", 3),
    "equal": ("==", 3),
    "not_equal": ("!=", 3),
    "bitwise_and": ("&", 4),
    "bitwise_or": ("|", 4),
    "bitwise_xor": ("^", 4),
    "left_shift": ("<<", 4),
    "right_shift": (">>", 4),
    "sub": ("-", 5),
    "mul": ("*", 6),
    "truediv": ("/", 6),
    "floordiv": ("//", 6),
    "mod": ("%", 6),
    "pow": ("**", 8),
    "gt": (">", 3),
    "ge": (">=", 3),
    "lt": ("<", 3),
    "le": ("<=", 3),
    "eq": ("==", 3),
    "ne": ("!=", 3),
}
"""How calls of two operands are written, and how tightly it binds."""
_PREFIX = {
    "negative": "-",
    "neg": "-",
    "positive": "+",
    "pos": "+",
    "invert": "~",
    "logical_not": "~",
}
_TIGHT, _LOOSE, _UNARY = 10, 0, 7
_WIDTH = 100


class Writer:
    """Writes one recording."""

    def __init__(self, recording: Recording, events: list[Event], function: str) -> None:
        self.recording = recording
        self.events = events
        self.function = function
        self.constants = constants(events)
        self.helpers: dict[str, str] = {}
        """Sources of the functions that the code calls besides NumPy's."""
        self._uses = Counter(self._all_uses())
        self._last = {value: n for n, event in enumerate(events) for value in event.inputs}
        self._writes = self._positions_of_writes()
        self._names: dict[Value, str] = {}
        self._taken: set[str] = {"np", "state"}
        self._inline: dict[Value, tuple[str, int]] = {}
        self._name_states()
        self._kept = {
            v for v in (*recording.outputs, *recording.writes.values()) if isinstance(v, Value)
        }

    def _name_states(self) -> None:
        """Give every state a name of its own, which is also its key."""
        taken: Counter[str] = Counter()
        for value in self.recording.states.values():
            stem = value.name or "value"
            taken[stem] += 1
            if taken[stem] > 1:
                value.name = f"{stem}_{taken[stem]}"

    # --- the whole --------------------------------------------------------------------------------

    def source(self, *, loading: bool = False) -> str:
        """A module with one function, which needs NumPy and nothing else.

        With ``loading`` it has another one, which reads the state beside the module's file.
        """
        body = "\n".join(self._body())
        title = f'"""One call of {self.function}, written by tg.compile. It needs NumPy alone."""'
        imports = (
            ["from pathlib import Path", "", "import numpy as np"]
            if loading
            else ["import numpy as np"]
        )
        imports += [text for text in self.helpers.values() if text.startswith("from ")]
        parts = [text for text in self.helpers.values() if not text.startswith("from ")]
        parts += [self._loader()] if loading else []
        whole = "\n\n\n".join(part.strip() for part in (*parts, body))
        return title + "\n\n" + "\n".join(imports) + "\n\n\n" + whole + "\n"

    def state(self) -> dict[str, Any]:
        """What the function reads from ``state``, as it is now."""
        return {value.name or "value": _now(state) for state, value in self._states_read()}

    def _loader(self) -> str:
        lines = [
            "def load_state():",
            '    """The state as it was when this was saved."""',
            '    with np.load(Path(__file__).with_suffix(".npz")) as saved:',
            "        state = dict(saved)",
        ]
        for _, value in self._states_read():
            if not value.is_array:
                lines.append(f'    state["{value.name}"] = state["{value.name}"].item()')
        for generator in self._generators():
            lines.append(f'    state["{self._generators()[generator]}"] = np.random.default_rng()')
            lines.append(
                f'    state["{self._generators()[generator]}"].bit_generator.state = '
                f"{generator.get_state()!r}"
            )
        return "\n".join([*lines, "    return state"])

    def _generators(self) -> dict[Any, str]:
        """The generators that are drawn from, by the names that the code gives them."""
        drawing = [event.generator for event in self.events if event.call.kind == "draw"]
        return {
            one: f"generator_{n}" if n else "generator"
            for n, one in enumerate(dict.fromkeys(drawing))
        }

    def _states_read(self) -> Iterator[tuple[State, Value]]:
        used = set(self._uses)
        for state, value in self.recording.states.items():
            if value in used:
                yield state, value

    def _body(self) -> Iterator[str]:
        recording = self.recording
        arguments = [self.name(v) for v in recording.arguments if v is not None]
        settings = [f"{self.name(v)}={v.array!r}" for v in recording.settings.values()]
        signature = ", ".join([*arguments, "state", *(["*", *settings] if settings else [])])
        lines = [*self._reads(), *self._statements(), *self._results()]
        yield from _wrapped(f"def step({signature}):")
        yield from (f"    {line}".rstrip() for line in lines)

    def _reads(self) -> Iterator[str]:
        for _, value in self._states_read():
            yield self._with_shape(f'{self.name(value)} = state["{value.name}"]', value)
        for name in self._generators().values():
            yield f'{name} = state["{name}"]'
        for value in self.recording.trace.values:
            if value.is_constant and self._uses[value] and np.ndim(value.array):
                yield self._with_shape(f"{self.name(value)} = {_literal(value.array)}", value)

    def _statements(self) -> Iterator[str]:
        phase, scope, text = None, None, None
        for position, event in enumerate(self.events):
            if any(value in self.constants for value in event.results) and self._is_short(event):
                continue
            lines = list(self._lines_of(event, position))
            if lines and event.phase != phase:
                phase = event.phase
                yield ""
                yield f"# --- {phase} ---"
            if lines and event.phase == "forward":
                before = scope, text
                scope, text = self._where(event)
                if (scope, text) != before:
                    news = (scope, text if text != before[1] else "")
                    comment = ": ".join(part for part in news if part)
                    yield from [f"# {comment}"[: _WIDTH - 4]] if comment else []
            yield from lines

    def _where(self, event: Event) -> tuple[str, str]:
        """The module and the user's line that an event comes from."""
        line = line_of(event.code, event.offset)
        return event.scope.path if event.scope is not None else "", line.text if line else ""

    def _results(self) -> Iterator[str]:
        written = [
            (state, value)
            for state, value in self.recording.writes.items()
            if state.kind != "grad" and value is not self.recording.states.get(state)
        ]
        if written:
            yield ""
        for state, value in written:
            before = self.recording.states.get(state)
            key = before.name if before is not None else self.name(value)
            yield f'state["{key}"] = {self.text(value)[0]}'
        outputs = [
            self.text(one)[0] if isinstance(one, Value) else repr(one)
            for one in self.recording.outputs
        ]
        yield f"return {', '.join(outputs)}" if outputs else "return None"

    # --- statements -------------------------------------------------------------------------------

    def _lines_of(self, event: Event, position: int) -> Iterator[str]:
        if event.call.kind == "check":
            condition, recorded = event.args
            text = self.text(condition)[0]
            yield f"if {'not ' * recorded}{text}:"
            yield '    raise ValueError("a check that held when this was recorded fails")'
        elif event.call.kind == "setitem":
            array, key, source = event.args
            yield f"{self.text(array)[0]}[{self._key(key)}] = {self.text(source)[0]}"
        elif event.writes is not None:
            yield from self._write(event)
        elif event.several:
            names = ", ".join(self.name(value) for value in event.results)
            yield f"{names} = {self._expression(event)[0]}"
        else:
            yield from self._assignment(event, position)

    def _assignment(self, event: Event, position: int) -> Iterator[str]:
        value = event.result
        if self._can_be_inlined(event, position):
            self._inline[value] = self._expression(event)
            return
        augmented = self._augmented(event, position)
        if augmented is not None:
            yield augmented
            return
        expression = self._expression(event)[0]
        yield self._with_shape(f"{self.name(value)} = {expression}", value)

    def _augmented(self, event: Event, position: int) -> str | None:
        """``x += y`` where that is what was done, and the old x is no longer needed."""
        if not event.augmented or not isinstance(event.args[0], Value):
            return None
        old, value = event.args[0], event.result
        if old in self._inline or old in self._kept or self._last[old] != position:
            return None
        name = self._names[value] = self.name(old)
        infix = _INFIX.get(event.call.name)
        if infix is None or len(event.args) != 2:
            return f"{name} = {self._expression(event)[0]}"
        return f"{name} {infix[0]}= {self.text(event.args[1])[0]}"

    def _write(self, event: Event) -> Iterator[str]:
        target = self.text(event.writes)[0]
        if event.call.name == "fill":
            yield f"{target}[...] = {self.text(event.args[1])[0]}"
        elif event.call.kind == "ufunc" and not isinstance(event.call.function, np.ufunc):
            yield self._expression(event)[0]
        else:
            yield from _wrapped(self._called(event, f"out={target}"))

    def _can_be_inlined(self, event: Event, position: int) -> bool:
        value = event.result
        uses = self._uses[value]
        named = value.name not in (None, event.call.name)
        view = value.base is not None and not named
        if value in self._kept and not view:
            return False
        if event.call.kind == "draw":
            return False  # numbers are drawn in the order of the step
        if named or (uses > 1 and not (view and self._is_plain(event))):
            return False
        last = self._last.get(value, position)
        return not any(
            position < written <= last
            for one in (*event.inputs, value)
            for written in self._writes.get(one.root, ())
            if value.base is None or event.call.kind == "ufunc"
        )

    def _is_plain(self, event: Event) -> bool:
        """Whether writing an expression twice reads better than a name: ``x.T``."""
        return len(self._expression(event)[0]) < 30

    def _is_short(self, event: Event) -> bool:
        """Whether a constant can stand where it is used."""
        value = event.result
        if value in self._kept:
            return False
        array = np.asarray(value.array)
        if array.ndim == 0:
            self._inline[value] = (_number(array), _TIGHT)
        elif array.size and (array == array.flat[0]).all() and self._only_elementwise(value):
            self._inline[value] = (_number(array.flat[0], bare=True), _TIGHT)
        else:
            return False
        return True

    def _only_elementwise(self, value: Value) -> bool:
        """Whether an array of equal numbers may be written as the number."""
        users = [event for event in self.events if any(v is value for v in event.inputs)]
        return all(
            event.call.kind == "ufunc"
            and isinstance(event.call.function, np.ufunc)
            and event.call.function.signature is None
            and event.result.array.shape != ()
            and any(
                v is not value and v.array.shape == event.result.array.shape
                for v in event.inputs
                if v.is_array
            )
            for event in users
        )

    # --- expressions ------------------------------------------------------------------------------

    def text(self, one: Any) -> tuple[str, int]:
        """An argument, and how tightly its parts hold together."""
        if isinstance(one, Value):
            if one in self._inline:
                return self._inline[one]
            if one.is_constant and not one.is_array:
                return self.text(one.array)
            if one.is_constant and one.array.ndim == 0:
                return _number(one.array), _TIGHT
            return self.name(one), _TIGHT
        if isinstance(one, tuple):
            inside = ", ".join(self.text(part)[0] for part in one)
            return f"({inside}{',' if len(one) == 1 else ''})", _TIGHT
        if isinstance(one, list):
            return f"[{', '.join(self.text(part)[0] for part in one)}]", _TIGHT
        if isinstance(one, np.dtype):
            return f"np.{one.name}", _TIGHT
        if isinstance(one, type) and issubclass(one, np.generic):
            return f"np.{one.__name__}", _TIGHT
        if one is Ellipsis:
            return "...", _TIGHT
        if isinstance(one, float) and not np.isfinite(one):
            return f"float({str(one)!r})", _TIGHT
        return repr(one), _TIGHT if not isinstance(one, float | int) or one >= 0 else _UNARY

    def _expression(self, event: Event) -> tuple[str, int]:
        kind, name = event.call.kind, event.call.name
        if name in _INFIX and kind in ("ufunc", "number", "function") and len(event.args) == 2:
            return self._infix(event)
        if name in _PREFIX and kind in ("ufunc", "number"):
            return f"{_PREFIX[name]}{self._at_least(event.args[0], _UNARY)}", _UNARY
        if kind == "getitem":
            array, key = event.args
            return f"{self._at_least(array, _TIGHT)}[{self._key(key)}]", _TIGHT
        if kind == "method" and name == "transpose" and len(event.args) == 1:
            return f"{self._at_least(event.args[0], _TIGHT)}.T", _TIGHT
        return self._called(event), _TIGHT

    def _infix(self, event: Event) -> tuple[str, int]:
        sign, strength = _INFIX[event.call.name]
        left, right = event.args
        above = strength + 1 if sign in ("**",) else strength
        return (
            f"{self._at_least(left, above)} {sign} {self._at_least(right, strength + 1)}",
            strength,
        )

    def _at_least(self, one: Any, strength: int) -> str:
        text, own = self.text(one)
        return text if own >= strength else f"({text})"

    def _called(self, event: Event, *extra: str) -> str:
        kind, name = event.call.kind, event.call.name
        given = [self.text(one)[0] for one in event.args]
        given += [f"{key}={self.text(one)[0]}" for key, one in event.kwargs.items()]
        if kind == "draw":
            given.insert(0, self._generators()[event.generator])
        if kind == "method":
            receiver = self._at_least(event.args[0], _TIGHT)
            return f"{receiver}.{name}({', '.join([*given[1:], *extra])})"
        return f"{self._function(event)}({', '.join([*given, *extra])})"

    def _function(self, event: Event) -> str:
        kind, name = event.call.kind, event.call.name
        if name == "where_positive":
            self.helpers[name] = _plain_source(where_positive)
            return name
        if name == "as_strided":
            return "np.lib.stride_tricks.as_strided"
        if kind == "draw":
            self.helpers[name] = _drawing_source(event.call.function)
            return name
        if kind == "python":
            return f"np.{name}" if hasattr(np, name) else name
        module = getattr(event.call.function, "__module__", "numpy") or "numpy"
        if kind == "ufunc" and not hasattr(np, name.partition(".")[0]):
            self.helpers[f"import {name}"] = f"from scipy.special import {name}"
            return name
        return f"np.linalg.{name}" if "linalg" in module else f"np.{name}"

    def _key(self, key: Any) -> str:
        parts = key if isinstance(key, tuple) else (key,)
        return ", ".join(map(self._key_part, parts)) or "()"

    def _key_part(self, part: Any) -> str:
        if isinstance(part, slice):
            ends = ["" if end is None else self.text(end)[0] for end in (part.start, part.stop)]
            return ":".join(ends) + ("" if part.step is None else f":{self.text(part.step)[0]}")
        return "None" if part is None else self.text(part)[0]

    # --- names ------------------------------------------------------------------------------------

    def name(self, value: Value) -> str:
        """The variable of a value; two values never have the same unless one replaces the other."""
        if value not in self._names:
            stem = value.name or (value.event.call.name if value.event else "value")
            stem = stem.replace(".", "_").lstrip("_")
            name, number = stem, 1
            while name in self._taken:
                number += 1
                name = f"{stem}_{number}"
            self._taken.add(name)
            self._names[value] = name
        return self._names[value]

    def _with_shape(self, line: str, value: Value) -> str:
        if not value.is_array or np.ndim(value.array) == 0:
            return line
        shape = f"  # {value.array.shape}"
        return line + shape if len(line) + len(shape) <= _WIDTH - 4 else line

    # --- what is used where -----------------------------------------------------------------------

    def _all_uses(self) -> Iterator[Value]:
        for event in self.events:
            yield from event.inputs
            if event.writes is not None and event.call.kind != "setitem":
                yield event.writes
        for value in (*self.recording.outputs, *self.recording.writes.values()):
            if isinstance(value, Value):
                yield value

    def _positions_of_writes(self) -> dict[Value, list[int]]:
        positions: dict[Value, list[int]] = {}
        for position, event in enumerate(self.events):
            if event.writes is not None:
                positions.setdefault(event.writes.root, []).append(position)
        return positions


def _wrapped(line: str) -> Iterable[str]:
    """A long call on several lines."""
    if len(line) <= _WIDTH:
        return [line]
    return textwrap.wrap(line, _WIDTH, subsequent_indent="        ", break_long_words=False)


def _number(array: Any, *, bare: bool = False) -> str:
    """A number as it is written; bare where it stands beside an array, whose dtype it takes on."""
    array = np.asarray(array)
    number = array.item()
    finite = not isinstance(number, float) or np.isfinite(number)
    text = str(array) if finite else f"float({str(number)!r})"
    if bare or array.dtype in (np.dtype(float), np.dtype(int), np.dtype(bool)):
        return text
    return f"np.{array.dtype.name}({text})"


def _literal(array: Any) -> str:
    """A constant array, written out."""
    return f"np.array({array.tolist()!r}, dtype=np.{array.dtype.name})"


def _plain_source(function: Callable[..., Any]) -> str:
    """The source of one of the package's own functions, without its annotations."""
    source = textwrap.dedent(inspect.getsource(function))
    return source.replace(": Array", "").replace(" -> Array", "")


def _drawing_source(draw: Any) -> str:
    """The source of a method of ``Generator`` as a function of a NumPy generator."""
    source = textwrap.dedent(inspect.getsource(getattr(Generator, draw.__name__)))
    source = source.replace("self.numpy", "generator").replace("self, ", "generator, ")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg):
            node.annotation = None
    return ast.unparse(tree)


def _now(state: State) -> Any:
    """What a state is at this moment."""
    if state.kind == "data":
        return state.owner._data
    if state.kind == "grad":
        return state.owner.grad._data
    bundle = state.owner.bundle()
    if state.kind == "vector":
        return bundle.vector
    return bundle.steps if state.kind == "steps" else bundle.state[state.position]
