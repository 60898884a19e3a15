"""A vjp rule in a few characters: ``g @ yᵀ``, as it is written in the op's declaration.

An edge of a scalar, or of an elementwise op, has numbers for its local derivative. Between larger
arrays the local derivative is a Jacobian, too large to read. Backpropagation applies the rule
instead, so a picture shows that: from ``g``, the gradient of the op's output, to the gradient of
the input. Its text is the declaration's ``words`` for it, or is read from the source of the rule.
"""

from __future__ import annotations

import ast
import inspect
import linecache
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import CodeType
from typing import Any

from tinygrad_lab.engine.op import Rule
from tinygrad_lab.graphs import Edge, GraphNode
from tinygrad_lab.show.equation import Namer, attribute_text, key_text
from tinygrad_lab.show.measure import MINUS

__all__ = ["rule_text"]

_MOST_CHARACTERS = 40


def rule_text(edge: Edge, name: Namer) -> str:
    """Write what the rule computes from ``g`` on the way back along an edge.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([[1.0, 2.0]], name="x", requires_grad=True)
        >>> W = tg.tensor([[3.0], [4.0]], name="W", requires_grad=True)
        >>> [rule_text(edge, lambda node: node.label) for edge in tg.graph(x @ W).edges]
        ['g @ Wᵀ', 'xᵀ @ g']
    """
    op = edge.target.op
    assert op is not None, "an edge leads to an op"
    served = op.inputs[min(edge.position, len(op.inputs) - 1)]
    rule = next((one for one in op.rules if served in one.inputs), None)
    if rule is None:
        return ""
    words = _named(edge.target, name)
    text = op.words.get(served)
    text = text.replace("-", MINUS).format_map(words) if text else _from_source(rule, words)
    text = text or f"the rule of {op.name}"
    axes = _summed_axes(edge)
    return f"Σ {_bracketed(text)} over {_axes_text(axes)}" if axes else text


def _bracketed(text: str) -> str:
    return f"({text})" if " " in text else text


def _axes_text(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def _summed_axes(edge: Edge) -> tuple[int, ...]:
    """Return the axes that broadcasting stretched or added in front: gradients add up there."""
    op, source, target = edge.target.op, edge.source.shape, edge.target.shape
    if op is None or not (op.elementwise or op.core_axes is not None):
        return ()
    # All axes of an input with fewer, such as a bias, are core axes.
    core = min(op.core_axes or 0, len(source))
    source, target = source[: len(source) - core], target[: max(0, len(target) - core)]
    in_front = len(target) - len(source)
    return tuple(
        axis
        for axis, size in enumerate(target)
        if axis < in_front or source[axis - in_front] != size
    )


# --- what the names in a rule stand for -----------------------------------------------------------


def _named(node: GraphNode, name: Namer) -> dict[str, str]:
    """Return the text for each name that a rule can ask for."""
    op = node.op
    assert op is not None
    inputs: dict[str, list[GraphNode]] = {one: [] for one in op.inputs}
    for position, source in node.inputs:
        inputs[op.inputs[min(position, len(op.inputs) - 1)]].append(source)
    words = {"out": name(node), "g": "g"}
    for one, sources in inputs.items():
        words[one] = ", ".join(map(name, sources))
        words[f"{one}_shape"] = ", ".join(str(source.shape) for source in sources)
        words[f"{one}_dtype"] = ", ".join(str(source.dtype) for source in sources)
        words[f"{one}_device"] = ", ".join(source.device for source in sources)
    for one, value in node.attributes.items():
        arrays = [words[last] for last in op.inputs[-1:] if words[last]]
        words[one] = key_text(value, arrays) if one == "key" else attribute_text(value)
    return words


# --- from source to text --------------------------------------------------------------------------


def _from_source(rule: Rule, words: Mapping[str, str]) -> str:
    """Write the expression that a rule returns; return ``""`` if it is not a short formula."""
    expression = None if rule.joint else _returned(rule.function)
    if expression is None:
        return ""
    try:
        text = _Writer(words).text(expression)
    except _NoFormulaError:
        return ""
    return text if len(text) <= _MOST_CHARACTERS else ""


def _returned(function: Callable[..., Any]) -> ast.expr | None:
    """Return the expression of a lambda, or of a function that is one return statement."""
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None:
        return None
    names = list(inspect.signature(function).parameters)
    for node in _functions(code.co_filename, "".join(linecache.getlines(code.co_filename))):
        arguments = [one.arg for one in node.args.args]
        if arguments != names or _first_line(node) != code.co_firstlineno:
            continue
        if isinstance(node, ast.Lambda):
            if _starts_at(code, node.body):
                return node.body
        elif isinstance(last := node.body[-1], ast.Return) and len(node.body) == 1:
            return last.value
    return None


@lru_cache(64)
def _functions(filename: str, source: str) -> tuple[ast.Lambda | ast.FunctionDef, ...]:
    """Return the functions of a file."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()
    kinds = (ast.Lambda, ast.FunctionDef)
    return tuple(node for node in ast.walk(tree) if isinstance(node, kinds))


def _first_line(node: ast.Lambda | ast.FunctionDef) -> int:
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])


def _starts_at(code: CodeType, body: ast.expr) -> bool:
    """Tell whether a lambda's code starts at a body: two lambdas may start on one line."""
    columns = [
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None and (line, column) != (code.co_firstlineno, 0)
    ]
    return bool(columns) and min(columns) == (body.lineno, body.col_offset)


class _NoFormulaError(Exception):
    """An expression that has no notation as a formula."""


_SIGNS: Mapping[type[ast.AST], tuple[str, int]] = {
    ast.Add: ("+", 3),
    ast.Sub: (MINUS, 3),
    ast.Mult: ("×", 4),
    ast.Div: ("/", 4),
    ast.MatMult: ("@", 5),
    ast.Pow: ("^", 6),
    ast.Gt: (">", 2),
    ast.GtE: ("≥", 2),
    ast.Lt: ("<", 2),
    ast.LtE: ("≤", 2),
    ast.Eq: ("=", 2),
    ast.NotEq: ("≠", 2),
}
"""The sign of each operator, and its precedence."""

_INFIX_CALLS = {"divide": ast.Div, "matmul": ast.MatMult, "multiply": ast.Mult, "pow": ast.Pow}
_ATOM = 9


class _Writer:
    """Writes a rule's expression with the names of a picture."""

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words

    def text(self, node: ast.expr, precedence: int = 0) -> str:
        """Write an expression, in brackets if the expression around it binds more tightly."""
        text, own = self._written(node)
        return f"({text})" if own < precedence else text

    def _written(self, node: ast.expr) -> tuple[str, int]:
        """Write an expression; return it with the precedence of its outermost operator."""
        if isinstance(node, ast.Name | ast.Attribute):
            return self._name(node), _ATOM
        if isinstance(node, ast.Constant):
            return attribute_text(node.value), _ATOM
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return f"{MINUS}{self.text(node.operand, 5)}", 4
        if isinstance(node, ast.BinOp):
            return self._operator(type(node.op), node.left, node.right)
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            return self._operator(type(node.ops[0]), node.left, node.comparators[0])
        if isinstance(node, ast.Call):
            return self._call(node)
        raise _NoFormulaError

    def _name(self, node: ast.Name | ast.Attribute) -> str:
        if isinstance(node, ast.Attribute):  # math.pi
            return "π" if node.attr == "pi" else node.attr
        if not (word := self._words.get(node.id)):
            raise _NoFormulaError
        return f"({word})" if word.startswith(MINUS) else word

    def _operator(self, kind: type[ast.AST], left: ast.expr, right: ast.expr) -> tuple[str, int]:
        if kind not in _SIGNS:
            raise _NoFormulaError
        sign, own = _SIGNS[kind]
        loose = own if kind in (ast.Add, ast.Mult) else own + 1
        return f"{self.text(left, own)} {sign} {self.text(right, loose)}", own

    def _call(self, node: ast.Call) -> tuple[str, int]:
        function = str(getattr(node.func, "attr", getattr(node.func, "id", "")))
        arguments = node.args
        if function in _INFIX_CALLS and len(arguments) == 2:
            return self._operator(_INFIX_CALLS[function], arguments[0], arguments[1])
        if any(isinstance(one, ast.Starred) for one in arguments) or not isinstance(
            node.func, ast.Attribute
        ):
            raise _NoFormulaError  # a helper of the declaration's own file: no name in the field
        if function == "matrix_transpose":
            return f"{self.text(arguments[0], _ATOM)}ᵀ", _ATOM
        if function in ("zeros_like", "ones_like"):
            return "01"[function == "ones_like"], _ATOM
        return (
            f"{function}({', '.join([*map(self.text, arguments), *self._keywords(node)])})",
            _ATOM,
        )

    def _keywords(self, node: ast.Call) -> list[str]:
        said = [(one.arg, self.text(one.value)) for one in node.keywords]
        return [f"{name}={text}" for name, text in said if text != "None"]
