"""A vjp rule in a few characters: ``g @ yᵀ``, as it is written in the op's declaration.

An edge of a scalar, or of an elementwise op, has numbers for its local derivative. Between larger
arrays the local derivative is a Jacobian, too large to read. Backpropagation applies the rule
instead, so a picture shows that: from ``g``, the gradient of the op's output, to the gradient of
the input. Its text is the declaration's ``words`` for it, or is read from the source of the rule.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from tinygrad_lab.engine.lambdas import expression_of
from tinygrad_lab.engine.op import Rule
from tinygrad_lab.graphs import Edge
from tinygrad_lab.show.equation import Namer, attribute_text, words_of
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
    words = words_of(edge.target, name)
    text = op.words.get(edge.label) or op.words.get(served)
    text = text.replace("-", MINUS).format_map(words) if text else _from_source(rule, words)
    text = text or f"the rule of {op.name}"
    axes = edge.summed_axes
    return f"Σ {_bracketed(text)} over {_axes_text(axes)}" if axes else text


def _bracketed(text: str) -> str:
    return f"({text})" if " " in text else text


def _axes_text(axes: tuple[int, ...]) -> str:
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


# --- from source to text --------------------------------------------------------------------------


def _from_source(rule: Rule, words: Mapping[str, str]) -> str:
    """Write the expression that a rule returns; return ``""`` if it is not a short formula."""
    expression = None if rule.joint else expression_of(rule.function)
    if expression is None:
        return ""
    try:
        text = _Writer(words).text(expression)
    except _NoFormulaError:
        return ""
    return text if len(text) <= _MOST_CHARACTERS else ""


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
