"""The functions that the layers of a source are, each written once.

Two uses of an op are written with the same names. If their lines differ in nothing but integers,
they are one function: such an integer is read from the shape of an argument where that gives it in
each use, and is an argument of its own otherwise.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinygrad_lab.compiler.record.trace import Part, Value
from tinygrad_lab.compiler.source.draft import is_view
from tinygrad_lab.compiler.source.layers import Layer
from tinygrad_lab.compiler.source.page import Line, laid_out
from tinygrad_lab.compiler.source.statements import Body, Shared
from tinygrad_lab.compiler.source.updates import Update, UpdateBody

__all__ = ["Function", "functions_for"]

_INTEGER = re.compile(r"(?<![\w.])\d+(?![\w.])")
_WIDTH = 96
_NEAR = 8
"""The greatest number that is added to a length."""


@dataclass(eq=False, slots=True)
class Function:
    """A function, and how its uses call it."""

    name: str
    part: Part
    arguments: list[str]
    results: list[str]
    lines: list[Line]
    extra: dict[Layer, list[str]] = field(default_factory=dict)
    """For each use the integers that follow the arguments."""

    def text(self) -> str:
        """Write the function."""
        page = laid_out([Line(f"def {self.name}({', '.join(self.arguments)}):")])
        page += self._docstring()
        return "\n".join([*page, *laid_out([one.deeper(1) for one in self.lines])])

    def _docstring(self) -> list[str]:
        about = _about(self.part, self.results)
        text = about.replace("\\", "\\\\")
        text = f'"""{text}\n"""' if "\n" in text else f'"""{text}"""'
        return textwrap.indent(text, "    ").splitlines() if about else []


def _about(part: Part, results: Sequence[str]) -> str:
    """Return a docstring: that of the op, as far as it is about the mathematics."""
    if part.kind == "backward":
        gradients = [name.removeprefix("d_") for name in results if name.startswith("d_")]
        names = " and ".join(filter(None, [", ".join(gradients[:-1]), *gradients[-1:]]))
        if not names:
            return ""
        text = f"Return the gradient{'s' if len(gradients) > 1 else ''} of {names}."
        return textwrap.fill(text, _WIDTH - 3, break_long_words=False)
    about = inspect.cleandoc(part.about)
    if part.kind == "update":
        about = about.partition("\n\nArgs:")[0].partition("\n\nExample:")[0]
    else:
        about = about.partition("\n\n")[0]
        about = "\n".join(textwrap.wrap(" ".join(about.split()), _WIDTH - 3))
    fits = all(len(line) <= _WIDTH for line in about.splitlines())
    return about if fits else ""


def _is_alike(one: Value, other: Value) -> bool:
    """Return whether what can be done with one array can be done with another."""
    kinds = [(value.is_array, np.ndim(value.array)) for value in (one, other)]
    return kinds[0] == kinds[1] and one.array.dtype == other.array.dtype


class _Use(Body):
    """The lines of one use of a function."""

    def __init__(self, layer: Layer, shared: Shared) -> None:
        super().__init__(layer.events, layer.outputs, shared)
        self.layer = layer
        self._given = {self.name(value): value for value in layer.inputs}
        self.arguments = list(self._given)
        self.lines = [line for line, _, _ in self._lines_in_order()]
        self.results = [self.name(one) for one in layer.outputs]
        returned = ", ".join(self.phrases.text(one) for one in layer.outputs)
        self.lines.append(Line(f"return {returned}"))

    @property
    def skeleton(self) -> tuple[tuple[int, str], ...]:
        """The lines, without integers."""
        return tuple((one.depth, _INTEGER.sub("#", one.text)) for one in self.lines)

    @property
    def numbers(self) -> list[int]:
        """The integers in the lines."""
        return [int(n) for one in self.lines for n in _INTEGER.findall(one.text)]

    @property
    def form(self) -> tuple[object, ...]:
        """What two uses of a function have in common."""
        part = self.layer.part
        return part.op, part.kind, tuple(self.arguments), self.skeleton

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the arrays that have a name."""
        named = {**self._names, **{one: name for name, one in self._given.items()}}
        return {name: one.array.shape for one, name in named.items() if one.is_array}

    def contains(self, other: _Use) -> bool:
        """Return whether the other's results are some of those of this use."""
        part, its = self.layer.part, other.layer.part
        if other is self or (part.op, part.kind, "backward") != (its.op, its.kind, part.kind):
            return False
        mine, theirs = list(self.skeleton[:-1]), list(other.skeleton[:-1])
        rest = [line for line in mine if line not in theirs]
        known = {name: one for one, name in its.names.items() if one.origin is not None}
        absent = [name for name in self.arguments if name not in other.arguments]
        return (
            0 < len(rest) == len(mine) - len(theirs)
            and [line for line in mine if line in theirs] == theirs
            and not any("#" in text for _, text in rest)
            and set(other.results) < set(self.results)
            and set(other.arguments) <= set(self.arguments)
            and all(name in known for name in absent)
            and all(_is_alike(known[name], self._given[name]) for name in absent)
        )

    def become(self, whole: _Use) -> None:
        """Call a function that has more results, which are not used."""
        call = self.layer.call
        known = {name: one for one, name in self.layer.part.names.items()}
        results = dict(zip(self.results, call.results, strict=True))
        self._given = {name: self._given.get(name) or known[name] for name in whole.arguments}
        call.args = tuple(self._given.values())
        call.refresh_inputs()
        self.layer.targets = [results.get(name) for name in whole.results]

    def _ends(self, value: Value) -> bool:
        view = value.event is not None and is_view(value.event)
        return len(self.layer.outputs) > 1 and (not view or self.layer.part.kind == "backward")

    def _stem(self, value: Value) -> str:
        part, layer = self.layer.part, self.layer
        if value in layer.by_products:
            return layer.by_products[value]
        if value in part.names:
            return part.names[value]
        if value in layer.gradients:
            return f"d_{layer.gradients[value]}"
        if part.kind == "backward" and value in layer.inputs and value.gradient_of is not None:
            return "d_out"
        if part.kind == "forward" and value in layer.outputs:
            return "out" if np.ndim(value.array) else "loss"
        stem = self._without_module(super()._stem(value).replace(".", "_"))
        # Kernels call the gradient of x dx.
        return f"d_{stem[1:]}" if stem[:1] == "d" and stem[1:] in part.inputs else stem

    def _without_module(self, stem: str) -> str:
        """Return a name of a parameter as its module calls it."""
        scope = self.layer.call.scope
        prefix = f"{scope.path.replace('.', '_')}_" if scope is not None and scope.path else ""
        for start in ("d_", ""):
            if prefix and stem.startswith(start + prefix):
                return start + stem.removeprefix(start + prefix)
        return stem


def functions_for(
    layers: Sequence[Layer], updates: Mapping[Layer, Update], shared: Shared
) -> dict[Layer, Function]:
    """Return the function that each layer calls; several may call one."""
    by_form: dict[tuple[object, ...], list[_Use]] = {}
    for layer in layers:
        if layer not in updates:
            use = _Use(layer, shared)
            by_form.setdefault(use.form, []).append(use)
    groups = _without_subsets(list(by_form.values()))
    first = {layer: uses for uses in groups for layer in [_first(uses, layers)]}
    found: dict[Layer, Function] = {}
    texts: dict[tuple[object, ...], Function] = {}
    for layer in layers:
        if layer in first:
            function = _unified(first[layer], shared)
            found.update({use.layer: function for use in first[layer]})
        elif layer in updates:
            body = UpdateBody(updates[layer], shared)
            key = layer.part.op, tuple(body.arguments), tuple(body.lines)
            if key not in texts:
                name = _free(layer.part, shared)
                texts[key] = Function(name, layer.part, body.arguments, [], body.lines)
            found[layer] = texts[key]
            body.let_go()
    for uses in groups:
        for use in uses:
            use.let_go()
    return found


def _first(uses: list[_Use], layers: Sequence[Layer]) -> Layer:
    return min((use.layer for use in uses), key=layers.index)


def _without_subsets(groups: list[list[_Use]]) -> list[list[_Use]]:
    """Let uses that need only some results of a function call that function.

    The first layer of a net needs no gradient of its input.
    """
    left: list[list[_Use]] = []
    for uses in groups:
        whole = next((other for other in groups if other[0].contains(uses[0])), None)
        if whole is None:
            left.append(uses)
            continue
        for use in uses:
            use.become(whole[0])
        whole.extend(uses)
    return left


def _free(part: Part, shared: Shared) -> str:
    """Return a free name for a function."""
    stem = f"{part.op}_backward" if part.kind == "backward" else part.op
    name, count = stem, 1
    while name in shared.taken:
        count += 1
        name = f"{stem}_{count}"
    shared.taken.add(name)
    return name


def _unified(uses: list[_Use], shared: Shared) -> Function:
    """Make one function of uses that differ in integers only."""
    model = uses[0]
    part = model.layer.part
    integers = _Integers(uses)
    texts = iter(integers.texts())
    comments = {tuple(one.comment for one in use.lines) for use in uses}
    lines = [
        Line(next(texts), one.comment if len(comments) == 1 else "", one.depth)
        for one in model.lines
    ]
    arguments = [*model.arguments, *integers.parameters.values()]
    function = Function(_free(part, shared), part, arguments, model.results, lines)
    for n, use in enumerate(uses):
        function.extra[use.layer] = [str(column[n]) for column in integers.parameters]
    return function


class _Integers:
    """Writes the integers in a function, of which the uses may have different ones."""

    def __init__(self, uses: list[_Use]) -> None:
        self.uses = uses
        self.columns = iter(zip(*(use.numbers for use in uses), strict=True))
        self.parameters: dict[tuple[int, ...], str] = {}
        """Integers that are arguments, with their names."""
        self._known: dict[str, list[tuple[int, ...]]] = {}
        """Arrays that exist in the current line, and their shapes in each use."""

    def texts(self) -> Iterator[str]:
        """Yield the lines."""
        shapes = [use.shapes() for use in self.uses]
        model = self.uses[0]
        self._learn(model.arguments, shapes)
        for line in model.lines:
            yield _INTEGER.sub(self._word, line.text)
            target, equals, _ = line.text.partition(" = ")
            if equals and not line.depth:
                self._learn(target.split(", "), shapes)

    def _learn(self, names: Sequence[str], shapes: list[dict[str, tuple[int, ...]]]) -> None:
        for name in names:
            of = [one[name] for one in shapes if name in one]
            if len(of) == len(shapes) and len({len(shape) for shape in of}) == 1:
                self._known[name] = of

    def _word(self, found: re.Match[str]) -> str:
        column = next(self.columns)
        if len(set(column)) == 1:
            counts = found.string[: found.start()].endswith(("np.arange(", "np.ones("))
            samples = (
                name for name, of in self._known.items() if {s[:1] for s in of} == {column[:1]}
            )
            name = next(samples, None) if counts else None
            return found[0] if name is None else f"len({name})"
        word = self._from_shapes(column)
        if word is None:
            word = self.parameters.get(column)
        if word is None:
            stem = "stop" if found.string[: found.start()].endswith(":") else "size"
            taken = {*self.parameters.values(), *self.uses[0].shapes()}
            word = next(n for n in (stem, *(f"{stem}{k}" for k in range(2, 99))) if n not in taken)
            self.parameters[column] = word
        return word

    def _from_shapes(self, column: tuple[int, ...]) -> str | None:
        """Return how an integer follows from the shapes of arrays; None if it does not."""
        lengths = {
            f"len({name})" if axis == 0 else f"{name}.shape[{axis}]": tuple(s[axis] for s in of)
            for name, of in self._known.items()
            for axis in range(len(of[0]))
        }
        for text, lengths_there in lengths.items():
            if lengths_there == column:
                return text
        for text, there in lengths.items():
            difference = {one - other for one, other in zip(column, there, strict=True)}
            if len(difference) == 1 and 0 < abs(least := difference.pop()) <= _NEAR:
                return f"{text} {'+' if least > 0 else '-'} {abs(least)}"
        for text, there in lengths.items():
            for other, those in lengths.items():
                products = tuple(a * b for a, b in zip(there, those, strict=True))
                if products == column and text < other:
                    return f"{text} * {other}"
        for text, there in lengths.items():
            if column == tuple(2 * one for one in there):
                return f"2 * {text}"
        return None
