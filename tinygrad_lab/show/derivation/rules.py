"""What one op passes back along one edge, as a formula: read from its declaration where it can be.

The rules that move elements about (sums, indices, axes) are no formulas in the source; their
notation is here, one function for each. What has no notation at all stays with the engine: its line
says so, and what it says comes from the op's ``words``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.backends.scatter import filled
from tinygrad_lab.engine.broadcasting import stretched_axes
from tinygrad_lab.graphs import Edge, GraphNode
from tinygrad_lab.show.derivation.algebra import (
    apply,
    compare,
    matmul,
    product,
    put,
    quotient,
    reshaped,
    scaled,
    stretched,
    summed,
    summed_to,
    times_what_it_divides,
    transposed,
)
from tinygrad_lab.show.derivation.formula import (
    Formula,
    Put,
    Taken,
    constant,
)
from tinygrad_lab.show.derivation.patterns import Pattern
from tinygrad_lab.show.derivation.plain import TEXT, joined
from tinygrad_lab.show.derivation.reading import (
    NoFormulaError,
    formula_of_source,
    formula_of_words,
    onehot,
    softmax,
    source_of,
)
from tinygrad_lab.show.derivation.symbols import Symbols, axes_of_sum
from tinygrad_lab.show.derivation.values import Part, Values
from tinygrad_lab.show.equation import key_text
from tinygrad_lab.show.rule import rule_text

__all__ = ["Contribution", "Rules"]

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Contribution:
    """What flows back along one edge."""

    formula: Formula
    rule: str
    """Its name, and what it says."""
    by_engine: bool = False


_NAMES = {
    "add": "sum rule",
    "subtract": "sum rule",
    "multiply": "product rule",
    "divide": "quotient rule",
    "pow": "power rule",
    "square": "power rule",
    "matmul": "matrix product",
    "linear": "matrix product",
    "sum": "sum: the gradient goes to each summand",
    "cross_entropy": "softmax with cross-entropy",
    "index": "index: the gradient goes back to its place",
    "max": "max: the gradient goes to the largest, ties share it",
    "min": "min: the gradient goes to the smallest, ties share it",
    "maximum": "maximum: the gradient goes to the larger, half of it at ties",
    "minimum": "minimum: the gradient goes to the smaller, half of it at ties",
    "concat": "concat: each part gets its part of the gradient",
    "broadcast_to": "",
    "negative": "",
    "squeeze": "",
    "expand_dims": "",
    "matrix_transpose": "",
    "where": "where chooses",
}


class Rules:
    """The rules of one graph, with the symbols of its values."""

    def __init__(self, symbols: Symbols, values: Values) -> None:
        self._symbols = symbols
        self._values = values

    def of_pattern(self, pattern: Pattern, target: GraphNode, g: Formula) -> Contribution:
        """Return what flows back through log-sum-exp or softmax as a whole."""
        x = self._symbols[pattern.source]
        said = {} if pattern.axis == -1 else {"axis": pattern.axis}
        shares = apply("softmax", softmax, x, shape=x.shape, **said)
        kept = list(x.shape)
        kept[pattern.axis] = 1
        if pattern.name == "logsumexp":
            formula = product(reshaped(g, tuple(kept)), shares)
            return Contribution(formula, "log-sum-exp′ = softmax")
        axis = pattern.axis % len(x.shape)
        shares = self._symbols[target]
        cancelled = times_what_it_divides(g, shares)
        if cancelled is not None:
            dots = stretched(summed_to(cancelled, tuple(kept), (axis,)), x.shape)
            formula = summed(cancelled, scaled(-1, product(shares, dots)))
            return Contribution(formula, "derivative of softmax")
        dots = summed_to(product(g, shares), tuple(kept), (axis,))
        formula = product(shares, summed(g, scaled(-1, stretched(dots, g.shape))))
        return Contribution(formula, "derivative of softmax")

    def of_edge(self, edge: Edge, g: Formula) -> Contribution:
        """Return what flows back along an edge, from the gradient of its target."""
        op = edge.target.op
        assert op is not None, "an edge leads to an op"
        try:
            formula = self._formula(edge, g)
        except NoFormulaError:
            return self.of_engine(edge, g)
        axes = edge.summed_axes
        name = _NAMES.get(op.name, f"chain rule through {op.name}")
        if op.name == "relu":
            z = joined(TEXT.write(self._symbols[edge.source]))
            name = f"chain rule through relu: relu′({z}) = 1[{z} > 0]"
        elif formula == g or (op.name == "divide" and edge.label == "x"):
            name = name if op.name in ("add", "subtract", "sum") else ""
        if axes:
            name = f"{name}, summed where it was broadcast".removeprefix(", ")
        return Contribution(formula, name)

    def _formula(self, edge: Edge, g: Formula) -> Formula:
        op, source = edge.target.op, edge.source
        assert op is not None, "an edge leads to an op"
        if edge.source.dtype.kind != "f" or edge.target.dtype.kind != "f":
            raise NoFormulaError  # complex numbers have rules of their own
        if op.name in _MOVING:
            formula = _MOVING[op.name](self, edge, g)
        else:
            formula = self._read(edge, g)
            if op.elementwise and formula.shape != edge.target.shape:
                formula = stretched(formula, edge.target.shape)
        if formula.shape == source.shape:
            return formula
        axes = stretched_axes(source.shape, formula.shape)
        if not (op.elementwise or op.core_axes is not None):
            raise NoFormulaError
        return summed_to(formula, source.shape, axes)

    def _read(self, edge: Edge, g: Formula) -> Formula:
        """Read the rule of an edge from the words or the source of its declaration."""
        node, op = edge.target, edge.target.op
        assert op is not None, "an edge leads to an op"
        names = self._names_of(node, g)
        words = op.words.get(edge.label)
        can_be_words = op.elementwise or op.core_axes is not None or op.name in _IN_WORDS
        if words is not None and can_be_words:
            return formula_of_words(words, names)
        rule = next((one for one in op.rules if edge.label in one.inputs), None)
        expression = None if rule is None or rule.joint else source_of(rule.function)
        if expression is None:
            raise NoFormulaError
        return formula_of_source(expression, names)

    def _names_of(self, node: GraphNode, g: Formula) -> dict[str, Any]:
        op = node.op
        assert op is not None, "a leaf has no rules"
        names: dict[str, Any] = dict(node.attributes)
        names |= {"g": g, "out": self._symbols[node]}
        if op.variadic:
            raise NoFormulaError
        for label, (_, source) in zip(op.inputs, node.inputs, strict=False):
            names[label] = self._symbols[source]
            names[f"{label}_shape"] = source.shape
            names[f"{label}_dtype"] = source.dtype
        if op.name == "cross_entropy":
            names["N"] = constant(node.inputs[0][1].shape[0])
        return names

    def of_engine(self, edge: Edge, g: Formula, part: Part | None = None) -> Contribution:
        """Leave a rule without a notation to the engine."""
        op = edge.target.op
        assert op is not None, "an edge leads to an op"
        words = rule_text(edge, self._symbols.name)
        said = f"rule of {op.name}: {words}, as the engine computes it"
        formula = apply(
            f"rule_of_{op.name}",
            lambda gradient, **_: self._values.pulled_back(edge, gradient, part),
            g,
            shape=edge.source.shape,
            _target=edge.target.index,
            _position=edge.position,
            _part=part,
        )
        return Contribution(formula, said, by_engine=True)

    # --- rules that move elements -------------------------------------------------------------

    def _sum(self, edge: Edge, g: Formula) -> Formula:
        axes = axes_of_sum(edge.source, edge.target.attributes.get("axis"))
        if g.shape == ():
            return stretched(g, edge.source.shape)
        return stretched(reshaped(g, _kept(edge.source.shape, axes)), edge.source.shape)

    def _largest(self, edge: Edge, g: Formula) -> Formula:
        shape = edge.source.shape
        axes = axes_of_sum(edge.source, edge.target.attributes.get("axis"))
        kept = _kept(shape, axes)
        largest = reshaped(self._symbols[edge.target], kept)
        chosen = compare("=", self._symbols[edge.source], largest)
        shares = quotient(chosen, summed_to(chosen, kept, axes))
        return product(reshaped(g, kept), shares)

    def _permuted(self, edge: Edge, g: Formula) -> Formula:
        axes = [int(axis) % len(g.shape) for axis in edge.target.attributes["axes"]]
        return transposed(g, tuple(int(place) for place in np.argsort(axes)))

    def _linear(self, edge: Edge, g: Formula) -> Formula:
        node = edge.target
        x, weight = (source for _, source in node.inputs[:2])
        rows = reshaped(g, (-1 if g.shape == () else _rows(g.shape), g.shape[-1]))
        if edge.label == "bias":
            return summed_to(rows, edge.source.shape, (0,))
        if edge.label == "x":
            return reshaped(matmul(rows, self._symbols[weight]), x.shape)
        features = reshaped(self._symbols[x], (_rows(x.shape), x.shape[-1]))
        return matmul(transposed(rows), features)

    def _indexed(self, edge: Edge, g: Formula) -> Formula:
        node, x = edge.target, edge.source
        arrays = [source for _, source in node.inputs[1:]]
        key = node.attributes["key"]
        ones = None
        if self._is_one_of_each(x, key, arrays):
            ones = reshaped(onehot(self._symbols[arrays[-1]], x.shape[-1]), x.shape)
        words = key_text(key, [self._symbols.name(one) for one in arrays])

        def index() -> Any:
            return filled(key, tuple(self._values[one] for one in arrays))

        return put(g, Put(x.shape, g, words, node.index, index, ones))

    def _part_of_joined(self, edge: Edge, g: Formula) -> Formula:
        """Return the part of a gradient that belongs to one of the arrays that were joined."""
        sources = [source for _, source in edge.target.inputs]
        axis = int(edge.target.attributes["axis"]) % len(g.shape)
        # Inputs without a gradient are no edges here, but have their place.
        start = sum(one.shape[axis] for one in sources[: edge.position])
        stop = start + edge.source.shape[axis]
        words = ", ".join([":"] * axis + [f"{start}:{stop}"])
        index = (*[slice(None)] * axis, slice(start, stop))
        return Taken(edge.source.shape, g, f"[{words}]", edge.target.index, lambda: index)

    def _larger_or_smaller(self, edge: Edge, g: Formula) -> Formula:
        """Return the gradient of the larger, or the smaller, of two: half of it at ties."""
        op = edge.target.op_name
        mine, other = (source for _, source in edge.target.inputs)
        if edge.position == 1:
            mine, other = other, mine
        x, y = self._symbols[mine], self._symbols[other]
        sign = ">" if op == "maximum" else "<"
        return product(g, summed(compare(sign, x, y), scaled(0.5, compare("=", x, y))))

    def _is_one_of_each(self, x: GraphNode, key: Any, arrays: list[GraphNode]) -> bool:
        """Whether an index takes one element of a vector, or one of each row of a matrix."""
        if len(x.shape) != len(key) or len(arrays) != len(key):
            return False
        if any(self._values[one].dtype.kind != "i" for one in arrays):
            return False
        labels = self._values[arrays[-1]]
        if len(x.shape) == 1:
            return labels.shape == (1,)
        rows = self._values[arrays[0]]
        return (
            len(x.shape) == 2
            and np.array_equal(rows, np.arange(x.shape[0]))
            and (labels.shape == rows.shape)
        )


_IN_WORDS = frozenset({"cross_entropy", "inv"})
"""Ops that move no axes, whose words are formulas of whole arrays."""

_MOVING: dict[str, Callable[[Rules, Edge, Formula], Formula]] = {
    "sum": Rules._sum,
    "max": Rules._largest,
    "min": Rules._largest,
    "permute_dims": Rules._permuted,
    "linear": Rules._linear,
    "index": Rules._indexed,
    "concat": Rules._part_of_joined,
    "maximum": Rules._larger_or_smaller,
    "minimum": Rules._larger_or_smaller,
}
"""Rules that are no formulas in the source, each with its notation."""


def _kept(shape: Shape, axes: tuple[int, ...]) -> Shape:
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def _rows(shape: Shape) -> int:
    return int(np.prod(shape[:-1], dtype=int))
