"""The steps of a derivation: from the output back to a leaf, in the order of the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_lab.graphs import Edge, Graph, GraphNode
from tinygrad_lab.show.derivation.algebra import (
    summed,
)
from tinygrad_lab.show.derivation.formula import (
    Apply,
    Formula,
    Product,
    Reshaped,
    Sum,
    Symbol,
    constant,
    size_of,
)
from tinygrad_lab.show.derivation.patterns import Pattern
from tinygrad_lab.show.derivation.rules import Contribution, Rules
from tinygrad_lab.show.derivation.symbols import Symbols
from tinygrad_lab.show.derivation.values import Part, Values, as_numpy

__all__ = ["Definition", "Step", "steps_of"]

_SHORT = 14
"""A gradient without a name of its own is written into later lines up to this many parts."""


@dataclass(frozen=True)
class Definition:
    """What a symbol stands for: ``z = W1 x``."""

    symbol: Formula
    formula: Formula | None
    """None for a value whose op has no notation."""
    op: str


@dataclass(frozen=True)
class Step:
    """One line of a derivation."""

    number: int
    symbol: Symbol
    """What the line arrives at: ∂J/∂z."""
    formula: Formula
    rules: tuple[str, ...]
    """The rules that led to it, by name."""
    expected: np.ndarray[Any, Any]
    """The engine's gradient."""
    by_engine: bool
    """Whether an op without a notation took part: its rule was computed by the engine."""

    @cached_property
    def value(self) -> np.ndarray[Any, Any]:
        """The line computed with NumPy, from the values of the graph and the lines before."""
        with np.errstate(all="ignore"):
            return np.broadcast_to(self.formula.value(), self.formula.shape)

    @cached_property
    def difference(self) -> float:
        """The largest difference to the engine's gradient, relative to its largest element."""
        if not self.expected.size:
            return 0.0
        both_nan = np.isnan(self.value) & np.isnan(self.expected)
        with np.errstate(invalid="ignore"):
            apart = np.where(self.value == self.expected, 0.0, abs(self.value - self.expected))
        largest = float(np.max(np.abs(self.expected[np.isfinite(self.expected)]), initial=0.0))
        return float(np.max(np.where(both_nan, 0.0, apart))) / max(largest, 1.0)


@dataclass(frozen=True)
class _Link:
    """What flows back in one piece: an edge, or several ops that are one function."""

    source: GraphNode
    edge: Edge | None
    pattern: Pattern | None = None
    part: Part | None = None


class _Walk:
    """The way back from the output to one leaf."""

    def __init__(self, graph: Graph, wrt: GraphNode, names: Mapping[int, str]) -> None:
        self.values = Values(graph)
        self.symbols = Symbols(graph, self.values, names)
        self._graph, self._wrt = graph, wrt
        self._rules = Rules(self.symbols, self.values)
        self._links = self._all_links()
        self._leading = self._nodes_that_lead_to(wrt)
        self.steps: list[Step] = []
        self.passed: list[GraphNode] = []

    def _all_links(self) -> dict[int, list[_Link]]:
        links: dict[int, list[_Link]] = {node.index: [] for node in self._graph}
        for index, pattern in self.symbols.patterns.items():
            links[index].append(_Link(pattern.source, None, pattern))
        into: dict[int, list[Edge]] = {node.index: [] for node in self._graph}
        for edge in self._graph.edges:
            if edge.needs_gradient:
                into[edge.target.index].append(edge)
        for node in self._graph:
            if node.index in self.symbols.patterns:
                continue
            part, edges = _part_of(node), into[node.index]
            if part is not None and edges:  # through the op of several outputs, in one piece
                edges = into[edges[0].source.index]
            links[node.index] += [_Link(edge.source, edge, part=part) for edge in edges]
        return links

    def _nodes_that_lead_to(self, wrt: GraphNode) -> set[int]:
        leading = {wrt.index}
        for node in self._graph:
            if any(link.source.index in leading for link in self._links[node.index]):
                leading.add(node.index)
        return leading

    def run(self) -> None:
        """Go back from the output; collect what arrives at each value, and write it as a step."""
        output = self._graph.outputs[0]
        arrived: dict[int, list[Contribution]] = {output.index: []}
        for node in reversed(self._graph.nodes):
            if node.index not in arrived or node.index not in self._leading:
                continue
            g, inherited = self._gradient(node, arrived.pop(node.index), output)
            self.passed.append(node)
            for link in self._links[node.index]:
                if link.source.index in self._leading:
                    part = self._part(node, link, g)
                    rule = "; ".join(filter(None, [*inherited, part.rule]))
                    by_engine = part.by_engine
                    made = Contribution(part.formula, rule, by_engine)
                    arrived.setdefault(link.source.index, []).append(made)

    def _part(self, node: GraphNode, link: _Link, g: Formula) -> Contribution:
        if link.pattern is not None:
            return self._rules.of_pattern(link.pattern, node, g)
        assert link.edge is not None, "a link is an edge or a pattern"
        if link.part is not None:
            return self._rules.of_engine(link.edge, g, link.part)
        return self._rules.of_edge(link.edge, g)

    def _gradient(
        self, node: GraphNode, parts: list[Contribution], output: GraphNode
    ) -> tuple[Formula, tuple[str, ...]]:
        """Return the gradient as later lines write it, and the rules that they inherit."""
        if node is output:
            return constant(1.0, node.shape), ()
        formula = summed(*(part.formula for part in parts))
        said = "; ".join(part.rule for part in parts if part.rule)
        rules = tuple(dict.fromkeys(filter(None, said.split("; "))))
        if len(parts) > 1:
            rules = (*rules, "gradients of several uses add up")
        if _is_softmax_with_cross_entropy(formula):
            rules = ("softmax with cross-entropy",)
        by_engine = any(part.by_engine for part in parts)
        if not self._is_a_step(node, formula, by_engine):
            return formula, rules
        return self._step(node, formula, rules, by_engine), ()

    def _is_a_step(self, node: GraphNode, formula: Formula, by_engine: bool) -> bool:
        if node is self._wrt or by_engine:
            return True
        if self.symbols.is_absorbed(node):
            return False
        return self.symbols.has_symbol(node) or size_of(formula) > _SHORT

    def _step(
        self, node: GraphNode, formula: Formula, rules: tuple[str, ...], by_engine: bool
    ) -> Formula:
        output = self.symbols.name(self._graph.outputs[0])
        expected = as_numpy(self.values.gradients[node.node])
        name = self.symbols.name(node)
        rules = rules or ("chain rule",)
        steps, place = self.steps, len(self.steps)
        symbol = Symbol(node.shape, name, node.index, output, lambda: steps[place].value)
        self.steps.append(Step(place + 1, symbol, formula, rules, expected, by_engine))
        return symbol


def _part_of(node: GraphNode) -> Part | None:
    """Return which output of another op a node takes; None if it takes none."""
    if node.op_name != "output":
        return None
    return Part(node.attributes["position"], node.attributes["count"])


def _is_softmax_with_cross_entropy(formula: Formula) -> bool:
    """Whether a gradient is a multiple of softmax(o) less onehot(y), however it was computed."""
    if isinstance(formula, Product) and len(formula.factors) == 1:
        formula = formula.factors[0]
    if not isinstance(formula, Sum) or len(formula.terms) != 2:
        return False
    names = []
    for term in formula.terms:
        parts = term.factors if isinstance(term, Product) else (term,)
        parts = tuple(one.body if isinstance(one, Reshaped) else one for one in parts)
        names += [one.name for one in parts if isinstance(one, Apply)]
    return names == ["softmax", "onehot"]


def steps_of(
    graph: Graph, wrt: GraphNode, names: Mapping[int, str]
) -> tuple[tuple[Definition, ...], tuple[Step, ...]]:
    """Return the definitions of the symbols and the steps from the output back to a value."""
    walk = _Walk(graph, wrt, names)
    walk.run()
    symbols = walk.symbols
    later = {node.index for node in symbols.named_later}
    shown = [
        node
        for node in graph
        if not node.is_leaf
        and not (node.op is not None and node.op.several_outputs)
        and ((symbols.has_symbol(node) and node in walk.passed) or node.index in later)
    ]
    definitions = tuple(
        Definition(symbols.symbol(node), symbols.definition(node), node.op_name) for node in shown
    )
    return definitions, tuple(walk.steps)
