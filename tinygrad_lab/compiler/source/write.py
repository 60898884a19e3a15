"""The source of a recording as a person would have written it: forward, backward, update.

Expressions that are used once and have no name in the code are written where they are used; names
come from the user's variables, from modules, and from the code of the kernels and optimisers.
``passes.py`` decides what is written, ``phrase.py`` writes expressions, ``page.py`` lays them out.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab import trees
from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Value
from tinygrad_lab.compiler.source.layer_functions import Function, functions_for
from tinygrad_lab.compiler.source.layers import Layer, layered
from tinygrad_lab.compiler.source.page import Line, laid_out
from tinygrad_lab.compiler.source.passes import draft_of
from tinygrad_lab.compiler.source.phrase import TIGHT, is_imported, literal
from tinygrad_lab.compiler.source.statements import Body, Shared
from tinygrad_lab.compiler.source.updates import Update, update_of
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import line_of

__all__ = ["Assignment", "Writer"]

_LONGEST_COMMENT = 92
_LONGEST_READ = 96
_LARGEST_LITERAL = 16
"""Constant arrays of more numbers are part of the state."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """A line of the source, for drawing it."""

    target: str
    text: str
    reads: tuple[Value, ...]
    event: Event | None = None


class Writer(Body):
    """Writes one recording."""

    in_layers = True
    """Each layer is a function of its own."""

    def __init__(
        self, recording: Recording, function: Callable[..., Any], passes: Any = None
    ) -> None:
        draft = draft_of(recording, passes)
        self.recording = draft.recording
        self.function = getattr(function, "__name__", "the step")
        self.assignments: list[Assignment] = []
        """The lines written so far."""
        self._name_states(_variables(function))
        self._drawing = [event for event in draft.events if event.call.kind == "draw"]
        shared = Shared(draft.events, set(draft.kept()), self._generators)
        shared.taken |= {e.call.name for e in draft.events if is_imported(e)}
        no_layers: list[Layer] = []
        events, layers = layered(draft, shared) if self.in_layers else (draft.events, no_layers)
        self.updates = _updates(layers, events, self.recording)
        self.layers = {layer.call: layer for layer in layers}
        self.layer_functions = functions_for(layers, self.updates, shared)
        self._layer_of = {value: one for one in layers for value in one.call.results}
        self._constant_names = {
            value: name
            for layer in layers
            for value, name in layer.part.names.items()
            if value.is_constant
        }
        super().__init__(events, self._all_kept(), shared)
        self._kept = shared.kept

    def let_go(self) -> None:
        """Free the memory immediately: events, values, loops and phrases refer to each other."""
        self.recording.trace.let_go()
        for event in self.shared.events:
            event.results, event.loop, event.part = (), None, None
        for event in self.events:
            event.results, event.loop, event.part = (), None, None
        self.layers.clear()
        self.layer_functions.clear()
        self.updates.clear()
        self.shared.generators = dict
        del self.phrases

    def _all_kept(self) -> Iterator[Value]:
        yield from (one for one in self.recording.outputs if isinstance(one, Value))
        yield from (value for _, value in self._writes_to_state())

    def _stem(self, value: Value) -> str:
        if value in self._constant_names:
            return self._constant_names[value]
        stem = self._stem_beside_functions(value)
        return f"{stem}_out" if stem in self.shared.taken else stem

    def _stem_beside_functions(self, value: Value) -> str:
        layer = self._layer_of.get(value)
        if layer is None or value in self._outputs():
            return super()._stem(value)
        scope = layer.call.scope
        module = scope.path.replace(".", "_") if scope is not None else ""
        if value in layer.by_products:
            return "_".join(filter(None, [module, layer.by_products[value]]))
        part = layer.part
        of = {name: one for one, name in part.names.items()}.get(layer.gradients.get(value, ""))
        if value.gradient_of is None and of in self._names:
            # One of several contributions to a gradient.
            return f"d_{self._names[of]}_via_{module or part.op}"
        return super()._stem(value)

    def _outputs(self) -> list[Any]:
        return [one for one in self.recording.outputs if isinstance(one, Value)]

    def _ends(self, value: Value) -> bool:
        return value in self._outputs()

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

    # --- the whole --------------------------------------------------------------------------------

    def source(self, *, loading: bool = False) -> str:
        """Write a module with one function, which needs only NumPy.

        With ``loading`` it has another function, which reads the state beside the module's file.
        """
        body = "\n".join(self._body())
        loading = loading and self.has_state()
        called = [one.text() for one in dict.fromkeys(self.layer_functions.values())]
        helpers = self.phrases.helpers.values()
        helping = [text.strip() for text in helpers if "def " in text]
        whole = "\n\n\n".join([body, *called, *helping, *([self._loader()] if loading else [])])
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
        in_updates = {value for one in self.updates.values() for value in one.inputs}
        for state, value in self.recording.states.items():
            if self._uses[value] or value in in_updates:
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
        drawing = [event.generator for event in self._drawing]
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
        named: list[Value] = []
        for state, value in self._states_read():
            if not self._uses[value]:
                continue
            if state.kind == "steps" and self._uses[value] == 1:
                self.phrases.inline[value] = f'state["{value.name}"]', TIGHT
                self._name_after(value)
            else:
                named.append(value)
        for together in _by_module(named):
            names = ", ".join(map(self.name, together))
            places = ", ".join(f'state["{value.name}"]' for value in together)
            shapes = [str(np.shape(one.array)) for one in together if np.ndim(one.array)]
            yield Line(f"{names} = {places}", ", ".join(shapes))
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
        phase, where = None, ("", "")
        held: list[Line] = []
        for line, event, begins_loop in self._lines_in_order():
            if event is None or begins_loop:
                held.append(line)
                continue
            if event.phase != phase:
                phase, where = event.phase, ("", "")
                yield from [Line(""), Line(f"# --- {phase} ---")]
            now = self._where(event)
            yield from self._comment(where, now, 0 if held else line.depth)
            where = now
            yield from [*held, line]
            held = []
        yield from held

    def _lines_of(self, event: Event, position: int) -> Iterator[Line]:
        if event in self.layers:
            yield from self._call_of_layer(event)
        else:
            yield from super()._lines_of(event, position)

    def _call_of_layer(self, event: Event) -> Iterator[Line]:
        """Write the call of a function: ``linear1 = linear(x, linear1_weight, linear1_bias)``."""
        layer = self.layers[event]
        function = self.layer_functions[layer]
        if layer in self.updates:
            yield from self._call_of_update(self.updates[layer], function)
            return
        given = [*map(self.phrases.text, event.inputs), *function.extra[layer]]
        names = ", ".join("_" if one is None else self.name(one) for one in layer.targets)
        shapes = [str(np.shape(one.array)) for one in event.results]
        shapes = shapes if any(np.ndim(one.array) for one in event.results) else []
        yield Line(f"{names} = {function.name}({', '.join(given)})", ", ".join(shapes))
        for value in event.results:
            if event.loop is not None and value in event.loop.lists:
                yield Line(f"{self.name(event.loop.lists[value])}.append({self.name(value)})")

    def _call_of_update(self, update: Update, function: Function) -> Iterator[Line]:
        """Write the gradients by the names of their parameters, and the call."""
        name = self._free_name("gradients")
        pairs = zip(update.keys, update.gradients, strict=True)
        entries = ", ".join(f'"{key}": {self.phrases.text(one)}' for key, one in pairs)
        given = ", ".join(["state", name, *map(self.phrases.text, update.settings)])
        yield Line(f"{name} = {{{entries}}}")
        yield Line(f"{function.name}({given})")

    def _remember(self, event: Event, lines: list[Line]) -> None:
        """Keep the line of an event, if it makes or changes a value."""
        layer = self.layers.get(event)
        if layer in self.updates:
            reads = tuple(event.inputs)
            self.assignments.append(Assignment("new parameters", lines[-1].text, reads, event))
            return
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
        if now[1] == before[1] and (now[1] or now[0] == before[0]):
            return
        module = now[0] if now[0] != before[0] else ""
        comment = ": ".join(part for part in (module, now[1]) if part)
        if comment:
            yield Line(f"# {comment}"[:_LONGEST_COMMENT], "", depth)

    def _results(self) -> Iterator[Line]:
        recording = self.recording
        done = {state for one in self.updates.values() for state in one.states}
        written = [(state, value) for state, value in self._writes_to_state() if state not in done]
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


def _by_module(values: list[Value]) -> Iterator[list[Value]]:
    """Yield states of one module together, as far as one line can read them."""
    together: list[Value] = []
    for value in values:
        longer = [*together, value]
        modules = {str(one.name).partition("_")[0] for one in longer}
        is_one = len(modules) == 1 and all("_" in str(one.name) for one in longer)
        widths = [2 * len(str(one.name)) + len(str(np.shape(one.array))) + 16 for one in longer]
        if together and not (is_one and sum(widths) < _LONGEST_READ):
            yield together
            longer = [value]
        together = longer
    if together:
        yield together


def _updates(layers: list[Layer], events: list[Event], recording: Recording) -> dict[Layer, Update]:
    """Return the layers that update parameters; their calls read only gradients and settings."""
    elsewhere = {value for event in events for value in event.inputs}
    elsewhere |= {one for one in recording.outputs if isinstance(one, Value)}
    found = {}
    for layer in layers:
        update = update_of(layer, recording, elsewhere) if layer.part.kind == "update" else None
        if update is not None:
            found[layer] = update
            layer.call.args = (*update.gradients, *update.settings)
            layer.call.results = ()
            layer.call.refresh_inputs()
    return found


def _import_order(line: str) -> tuple[bool, str]:
    return line.startswith("from"), line


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
