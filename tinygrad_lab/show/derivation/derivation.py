"""A derivation to print, to typeset and to look at in a notebook."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError, DTypeError, GradientError
from tinygrad_lab.formatting import MINUS, number
from tinygrad_lab.graphs import Graph, GraphNode
from tinygrad_lab.show.derivation.formula import Formula, constant_of
from tinygrad_lab.show.derivation.latex import LATEX
from tinygrad_lab.show.derivation.mathml import MATHML
from tinygrad_lab.show.derivation.notation import Notation, T
from tinygrad_lab.show.derivation.plain import TEXT, Pieces, joined, lines_of
from tinygrad_lab.show.derivation.steps import Definition, Step, steps_of

__all__ = ["Derivation", "derivation_of"]

_WIDTH = 80
_MOST_NUMBERS = 9
"""Arrays of more elements are not written in numbers."""


@dataclass(frozen=True)
class Derivation:
    """The steps from an output back to one value; made by ``tg.derive``."""

    output: str
    wrt: str
    definitions: tuple[Definition, ...]
    steps: tuple[Step, ...]

    @property
    def largest_difference(self) -> float:
        """The largest difference of a line to the engine, relative to the line's largest number."""
        return max((step.difference for step in self.steps), default=0.0)

    @property
    def result(self) -> Any:
        """The last line's gradient, computed with NumPy."""
        return self.steps[-1].value

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def __repr__(self) -> str:
        return f"<Derivation of ∂{self.output}/∂{self.wrt}: {len(self.steps)} steps>"

    def _lines(self) -> Iterator[str]:
        yield f"Derivation of ∂{self.output}/∂{self.wrt}"
        for one in self.definitions:
            yield from lines_of(_defined(TEXT, one), _WIDTH, 2)
        for step in self.steps:
            head = f"{step.number}. "
            said = "; ".join(step.rules)
            wrapped = textwrap.wrap(said, _WIDTH - len(head)) or [""]
            yield (head + wrapped[0]).rstrip()
            yield from (" " * len(head) + line for line in wrapped[1:])
            yield from lines_of(_equation(TEXT, step), _WIDTH, len(head))
            if numbers := _numbers(step):
                indent = len(head) + len(_plain(TEXT.write(step.symbol))) + 1
                yield from _beside("= ", numbers, indent)
        yield from textwrap.wrap(self._verdict(), _WIDTH)

    def _verdict(self) -> str:
        count, engine = len(self.steps), sum(step.by_engine for step in self.steps)
        said = f"{count} line{'s' * (count != 1)} computed with NumPy"
        if engine:
            said += f", in {engine} of them a rule by the engine"
        apart = number(self.largest_difference, 2)
        return f"{said}; largest difference to the engine's gradients: {apart}"

    @property
    def latex(self) -> str:
        r"""The steps as LaTeX: one ``aligned`` environment, for papers and notebooks."""
        rows = []
        for one in self.definitions:
            rows.append(_row(LATEX, one.symbol, _right(LATEX, one)))
        rows += [_row(LATEX, step.symbol, LATEX.write(step.formula)) for step in self.steps]
        return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"

    @property
    def mathml(self) -> tuple[str, ...]:
        """Each step as a MathML element, in the part of it that browsers typeset (Core)."""
        return tuple(_math(_equation(MATHML, step)) for step in self.steps)

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex}$"

    def _repr_html_(self) -> str:
        parts = [_math(_defined(MATHML, one)) for one in self.definitions]
        where = "".join(f"<p>{one}</p>" for one in parts)
        items = "".join(
            f"<li><p>{escape('; '.join(step.rules))}</p><p>{formula}</p>{_html_numbers(step)}</li>"
            for step, formula in zip(self.steps, self.mathml, strict=True)
        )
        return f"<div>{where}<ol>{items}</ol><p>{escape(self._verdict())}</p></div>"


def _equation(notation: Notation[T], step: Step) -> T:
    return _equal(notation, step.symbol, notation.write(step.formula))


def _defined(notation: Notation[T], one: Definition) -> T:
    return _equal(notation, one.symbol, _right(notation, one))


def _right(notation: Notation[T], one: Definition) -> T:
    return (
        notation.word(f"result of {one.op}") if one.formula is None else notation.write(one.formula)
    )


def _equal(notation: Notation[T], left: Formula, right: T) -> T:
    return notation.row([notation.write(left), notation.sign("="), right])


def _row(notation: Notation[str], left: Formula, right: str) -> str:
    return f"{notation.write(left)} &= {right}"


def _math(inside: str) -> str:
    return f'<math display="block">{inside}</math>'


def _plain(pieces: Pieces) -> str:
    return joined(pieces)


def _numbers(step: Step) -> list[str]:
    """Return the numbers of a small gradient as lines of text; none if the formula says them."""
    value = step.value
    if value.size > _MOST_NUMBERS or constant_of(step.formula) is not None:
        return []
    if value.ndim == 0:
        return [number(value)]
    text = np.array2string(value + 0.0, precision=4, suppress_small=True, max_line_width=60)
    return text.replace("-", MINUS).splitlines()


def _beside(sign: str, lines: list[str], indent: int) -> Iterator[str]:
    for place, line in enumerate(lines):
        yield " " * indent + (sign if place == 0 else " " * len(sign)) + line


def _html_numbers(step: Step) -> str:
    lines = _numbers(step)
    return f"<pre>{escape(chr(10).join(lines))}</pre>" if lines else ""


# --- from tensors -----------------------------------------------------------------------------


def derivation_of(output: Any, wrt: Any, names: Mapping[Node, str]) -> Derivation:
    """Return the derivation of an output, with names of the caller's variables."""
    for role, one in (("an output", output), ("wrt", wrt)):
        if not isinstance(one, Tensor):
            raise ArgumentTypeError(
                f"tg.derive: expected {role} that is a tensor, got {type(one).__name__}: "
                "tg.derive(J, wrt=W)."
            )
    if output.size != 1 or output.dtype.kind != "f":
        raise GradientError(
            "tg.derive: expected an output of one floating number, got shape "
            f"{output.shape}, {output.dtype}: derive its sum, J = y.sum()."
        )
    graph = Graph([output.node], names)
    target = _node_of(graph, wrt)
    if target is None:
        raise GradientError(
            "tg.derive: no gradient flows from the output to wrt. It must be a tensor that the "
            "output was computed from, and that requires a gradient."
        )
    if strange := [node for node in graph if node.requires_grad and _is_complex(node)]:
        raise DTypeError(
            f"tg.derive: derivations are of real numbers, {strange[0].label} is complex: "
            "tg.grad has the gradients."
        )
    own = _names_of_constants(graph, names)
    if graph.outputs[0].name is None:
        own[graph.outputs[0].index] = "J"
    if target.name is None:
        own[target.index] = _free_name(graph, own, "w")
    definitions, steps = steps_of(graph, target, own)
    if not steps:
        raise GradientError("tg.derive: the output and wrt are one value, with a gradient of 1.")
    for step in steps:  # in order: a line is computed from the lines before
        _ = step.value
    last = steps[-1].symbol
    return Derivation(last.gradient_of, last.name, definitions, steps)


def _is_complex(node: GraphNode) -> bool:
    several = node.op is not None and node.op.several_outputs
    return not several and node.dtype.kind == "c"


def _node_of(graph: Graph, wrt: Tensor) -> GraphNode | None:
    for node in graph:
        if node.node is wrt.node and node.requires_grad:
            return node
    return None


def _free_name(graph: Graph, own: Mapping[int, str], name: str) -> str:
    used = {*own.values(), *(node.name for node in graph)}
    return next(one for one in (name, *(f"{name}{n}" for n in range(1, 99))) if one not in used)


def _names_of_constants(graph: Graph, names: Mapping[Node, str]) -> dict[int, str]:
    """Return names for constants that are views of a variable's array, such as a column of x."""
    found: dict[int, str] = {}
    used = {node.name for node in graph if node.name}
    arrays = {
        name: tensor.data
        for node, name in names.items()
        if isinstance(node, Leaf) and (tensor := node.owner()) is not None and name not in used
    }
    for node in graph:
        if not node.is_leaf or node.name or not isinstance(node.value, np.ndarray):
            continue
        for name, array in arrays.items():
            if _is_view(node.value, array):
                found[node.index] = name
    return found


def _is_view(value: Any, array: Any) -> bool:
    """Whether a constant is a variable's array in another shape, or the same integers."""
    if not isinstance(array, np.ndarray) or array.size != value.size:
        return False
    if value.dtype.kind in "iu" and array.dtype == value.dtype:
        return bool(np.array_equal(np.ravel(array), np.ravel(value)))
    return np.shares_memory(array, value)
