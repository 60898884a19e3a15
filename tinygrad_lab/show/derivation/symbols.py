"""The names and the forward formulas of a graph's values: ``z = W1 x``, ``h = relu(z)``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_lab.backends.scatter import filled
from tinygrad_lab.graphs import Graph, GraphNode
from tinygrad_lab.show.derivation.algebra import (
    apply,
    matmul,
    reshaped,
    summed,
    summed_to,
    transposed,
)
from tinygrad_lab.show.derivation.formula import (
    Formula,
    Symbol,
    Taken,
    constant,
    size_of,
)
from tinygrad_lab.show.derivation.patterns import Pattern, pattern_of
from tinygrad_lab.show.derivation.reading import (
    NoFormulaError,
    formula_of_source,
    logsumexp,
    softmax,
    source_of,
)
from tinygrad_lab.show.derivation.values import Values
from tinygrad_lab.show.equation import key_text
from tinygrad_lab.show.measure import shortened

__all__ = ["Symbols", "axes_of_sum"]

_SUMS_OF_PRODUCTS = frozenset(
    {"matmul", "linear", "conv1d", "conv2d", "conv3d", "vecdot", "conv_transpose1d"}
)
_ACTIVATIONS = frozenset(
    {"relu", "tanh", "sigmoid", "softplus", "hardtanh", "hardsigmoid", "hardswish", "gru"}
)
_ALIASES = frozenset({"squeeze", "expand_dims", "reshape"})
_LONGEST_NAME = 20
_SMALL = 16
"""Formulas of more parts than this get a name of their own."""


def axes_of_sum(node: GraphNode, axis: Any) -> tuple[int, ...]:
    """Return the axes that a reduction reduces, counted from the front."""
    if axis is None:
        return tuple(range(len(node.shape)))
    axes = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    return tuple(sorted(int(one) % len(node.shape) for one in axes))


class Symbols:
    """What each value of a graph is written as."""

    def __init__(self, graph: Graph, values: Values, names: Mapping[int, str]) -> None:
        self._values = values
        self._users: dict[int, list[GraphNode]] = {}
        for node in graph:
            for _, source in node.inputs:
                self._users.setdefault(source.index, []).append(node)
        self._outputs = {node.index for node in graph.outputs}
        self.patterns: dict[int, Pattern] = {}
        for node in graph:
            if pattern := pattern_of(node):
                self.patterns[node.index] = pattern
        self._names = dict(names)
        self._terms: set[int] = set()
        for node in graph:
            if self._is_term(node):
                self._terms.add(node.index)
        self._name_landmarks(graph)
        self._from_the_start = set(self._names)
        self._used = {*self._names.values(), *(node.name for node in graph if node.name)}
        self._formulas: dict[int, Formula] = {}
        self.named_later: list[GraphNode] = []

    # --- names ----------------------------------------------------------------------------

    def _name_landmarks(self, graph: Graph) -> None:
        """Name z, what is a product of matrices, and h, what an activation makes of it."""
        used = {*self._names.values(), *(node.name for node in graph if node.name)}
        found: dict[str, list[GraphNode]] = {"z": [], "h": []}
        for node in graph:
            kind = self._kind(node)
            if kind and node.name is None and node.requires_grad and not self.is_absorbed(node):
                found[kind].append(node)
        for letter, nodes in found.items():
            count = 0
            for node in nodes:
                name = letter if len(nodes) == 1 else f"{letter}{count + 1}"
                while name in used:
                    count += 1
                    name = f"{letter}{count + 1}"
                used.add(name)
                self._names[node.index] = name
                count += 1

    def _kind(self, node: GraphNode) -> str:
        if self._is_alias(node) and self.is_absorbed(node.inputs[0][1]):
            return "" if node.index in self._terms else self._kind(node.inputs[0][1])
        if node.op_name in _SUMS_OF_PRODUCTS:
            return "" if node.index in self._terms else "z"
        if node.op_name == "add" and any(source.index in self._terms for _, source in node.inputs):
            return "" if node.index in self._terms else "z"
        return "h" if node.op_name in _ACTIVATIONS else ""

    def _is_term(self, node: GraphNode) -> bool:
        """Whether a product of matrices, or a sum of some, is only added to others: W x + b."""
        is_product = node.op_name in _SUMS_OF_PRODUCTS
        if self._is_alias(node) and self.is_absorbed(node.inputs[0][1]):
            is_product = node.inputs[0][1].op_name in _SUMS_OF_PRODUCTS
        if node.op_name == "add":
            is_product = any(source.index in self._terms for _, source in node.inputs)
        users = self._users.get(node.index, [])
        if not is_product or node.name or len(users) != 1:
            return False
        return users[0].op_name == "add" and users[0].shape == node.shape

    def _is_alias(self, node: GraphNode) -> bool:
        """Whether a node only adds or drops axes of size 1."""
        if node.op_name not in _ALIASES:
            return False
        source = node.inputs[0][1]
        return [n for n in source.shape if n != 1] == [n for n in node.shape if n != 1]

    def is_absorbed(self, node: GraphNode) -> bool:
        """Whether a value has the name of what it becomes when axes of size 1 are dropped."""
        users = self._users.get(node.index, [])
        alone = len(users) == 1 and node.index not in self._outputs
        plain = node.name is None and not node.is_leaf and node.requires_grad
        if not (alone and plain and self._is_alias(users[0])):
            return False
        return bool(users[0].name) or len(users[0].shape) < len(node.shape)

    def has_symbol(self, node: GraphNode) -> bool:
        """Whether a value has a name from the start: the user's, z, h."""
        return bool(node.name) or node.index in self._from_the_start

    def name(self, node: GraphNode) -> str:
        """Return the name of a value; one without gets one."""
        if node.index in self._names:
            return self._names[node.index]
        if node.name:
            return shortened(node.name, _LONGEST_NAME)
        letter, count = ("c" if node.is_leaf else "u"), 1
        while f"{letter}{count}" in self._used:
            count += 1
        made = self._names[node.index] = f"{letter}{count}"
        self._used.add(made)
        self.named_later.append(node)
        return made

    def symbol(self, node: GraphNode) -> Formula:
        """Return the name of a value as a formula."""
        return Symbol(node.shape, self.name(node), node.index, "", lambda: self._values[node])

    # --- formulas -------------------------------------------------------------------------

    def __getitem__(self, node: GraphNode) -> Formula:
        """Return what a value is written as: its name, its number, or a short formula."""
        waiting = [node]
        while waiting:  # iterative: graphs may be deep
            one = waiting[-1]
            missing = [asked for asked in self._asked(one) if asked.index not in self._formulas]
            if one.index in self._formulas or not missing:
                waiting.pop()
                if one.index not in self._formulas:
                    self._formulas[one.index] = self._written(one)
            else:
                waiting.extend(missing)
        return self._formulas[node.index]

    def _asked(self, node: GraphNode) -> list[GraphNode]:
        """Return the values whose formulas that of a value is written with."""
        if node.is_leaf or self.has_symbol(node) or node.op_name == "output":
            return []
        if self.is_absorbed(node):
            return [self._users[node.index][0]]
        if pattern := self.patterns.get(node.index):
            return [pattern.source]
        if self._is_alias(node) and self.is_absorbed(node.inputs[0][1]):
            node = node.inputs[0][1]
        return [source for _, source in node.inputs]

    def _written(self, node: GraphNode) -> Formula:
        if node.is_leaf:
            return self._leaf(node)
        if self.has_symbol(node):
            return self.symbol(node)
        if self.is_absorbed(node):
            return reshaped(self[self._users[node.index][0]], node.shape)
        found = self.definition(node)
        is_small = found is not None and size_of(found) <= _SMALL and found.shape == node.shape
        return found if found is not None and is_small else self.symbol(node)

    def _leaf(self, node: GraphNode) -> Formula:
        if self.has_symbol(node) or node.requires_grad:
            return self.symbol(node)
        array = self._values[node]
        is_one_number = array.size > 0 and array.dtype.kind in "fiub" and np.ptp(array * 1) == 0
        if is_one_number and (node.shape == () or array.dtype == bool or array.size > 1):
            return constant(float(array.flat[0]), node.shape)
        return self.symbol(node)

    def definition(self, node: GraphNode) -> Formula | None:
        """Return the formula of a value in terms of its inputs; None if it has none."""
        if pattern := self.patterns.get(node.index):
            return _of_pattern(pattern, self[pattern.source], node.shape)
        op = node.op
        if op is None or op.name == "output":
            return None
        if self._is_alias(node) and self.is_absorbed(node.inputs[0][1]):
            inner = self.definition(node.inputs[0][1])
            return None if inner is None else reshaped(inner, node.shape)
        inputs = [self[source] for _, source in node.inputs]
        if op.name == "sum":
            axes = axes_of_sum(node.inputs[0][1], node.attributes.get("axis"))
            return summed_to(inputs[0], node.shape, axes)
        if self._is_alias(node):
            return reshaped(inputs[0], node.shape)
        if op.name == "index":
            arrays = [source for _, source in node.inputs[1:]]
            return self._taken(node, inputs[0], arrays)
        if op.name == "linear" and len(inputs[0].shape) > 1:
            whole = matmul(inputs[0], transposed(inputs[1]))
            return summed(whole, *inputs[2:])
        try:
            return self._from_source(node, inputs)
        except NoFormulaError:
            return None

    def _taken(self, node: GraphNode, x: Formula, arrays: list[GraphNode]) -> Formula:
        key = node.attributes["key"]
        words = key_text(key, [self.name(one) for one in arrays])
        return Taken(
            node.shape,
            x,
            words,
            node.index,
            lambda: filled(key, tuple(self._values[one] for one in arrays)),
        )

    def _from_source(self, node: GraphNode, inputs: list[Formula]) -> Formula:
        op = node.op
        assert op is not None, "a leaf has no forward"
        expression = source_of(op.forward)
        if op.variadic or expression is None:
            raise NoFormulaError
        names: dict[str, Any] = dict(node.attributes) | dict(zip(op.inputs, inputs, strict=False))
        return formula_of_source(expression, names)


def _of_pattern(pattern: Pattern, x: Formula, shape: tuple[int, ...]) -> Formula:
    said = {} if pattern.axis == -1 else {"axis": pattern.axis}
    if pattern.name == "softmax":
        return apply("softmax", softmax, x, shape=shape, **said)
    kept = list(x.shape)
    kept[pattern.axis] = 1
    return reshaped(apply("logsumexp", logsumexp, x, shape=tuple(kept), **said), shape)
