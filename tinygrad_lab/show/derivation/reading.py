"""Reads formulas out of declarations: from the source of a rule or a forward, and from words.

A rule such as ``lambda xp, g, y: g * y`` is a formula already; so are words such as
``"g × {y} where {x} > 0"``. What is neither stays with the engine, and its line says so.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_lab.engine.lambdas import expression_of
from tinygrad_lab.show.derivation.algebra import (
    apply,
    compare,
    matmul,
    power,
    product,
    quotient,
    reshaped,
    scaled,
    stretched,
    summed,
    transposed,
)
from tinygrad_lab.show.derivation.formula import (
    Formula,
    Value,
    constant,
)

__all__ = [
    "NoFormulaError",
    "formula_of_source",
    "formula_of_words",
    "logsumexp",
    "onehot",
    "softmax",
    "source_of",
]


@lru_cache(1024)
def source_of(function: Callable[..., Any]) -> ast.expr | None:
    """Return the expression that a function returns; finding it takes a millisecond."""
    return expression_of(function)


class NoFormulaError(Exception):
    """An expression, or words, that are not a formula."""


Names = Mapping[str, Any]
"""What the names of a rule stand for: formulas, and values of attributes and shapes."""


def formula_of_words(words: str, names: Names) -> Formula:
    """Read the words of a declaration: ``"g × {y} where {x} > 0"``.

    Raises:
        NoFormulaError: if they are prose.
    """
    text = words.format_map({name: name for name in names} | _Anything())
    text, _, condition = text.partition(" where ")
    whole = formula_of_source(_parsed(text), names)
    if not condition:
        return whole
    return product(whole, formula_of_source(_parsed(condition), names))


class _Anything(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return name


def _parsed(text: str) -> ast.expr:
    for sign, code in (("×", "*"), ("^", "**"), ("ᵀ", ".T"), (" = ", " == ")):
        text = text.replace(sign, code)
    try:
        return ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise NoFormulaError from None


def formula_of_source(expression: ast.expr, names: Names) -> Formula:
    """Return the formula that an expression of a rule, or of a forward, computes.

    Raises:
        NoFormulaError: if it uses what has no notation here.
    """
    found = _Reader(names).read(expression)
    if not isinstance(found, Formula):
        raise NoFormulaError
    return found


_OPERATORS: Mapping[type[ast.AST], Callable[..., Formula]] = {
    ast.Add: summed,
    ast.Sub: lambda x, y: summed(x, scaled(-1, y)),
    ast.Mult: product,
    ast.Div: quotient,
    ast.MatMult: lambda x, y: _matrix_product(x, y),
    ast.Pow: power,
}
_COMPARISONS: Mapping[type[ast.AST], str] = {
    ast.Gt: ">",
    ast.GtE: "≥",
    ast.Lt: "<",
    ast.LtE: "≤",
    ast.Eq: "=",
    ast.NotEq: "≠",
}


def _sigmoid(x: Value) -> Value:
    return 1 / (1 + np.exp(-x))


def _chosen(condition: Value, x: Value, y: Value) -> Value:
    return np.asarray(np.where(condition != 0, x, y))


FUNCTIONS: dict[str, Callable[..., Value]] = {
    **{
        name: getattr(np, name)
        for name in (
            *("exp", "expm1", "log", "log1p", "log2", "log10", "sqrt", "sin", "cos", "tan"),
            *("sinh", "cosh", "tanh", "abs", "sign", "trunc", "floor", "ceil", "maximum"),
            *("minimum", "floor_divide", "arctan2"),
        )
    },
    **{f"a{name}": getattr(np, f"arc{name}") for name in ("sin", "cos", "tan", "sinh", "cosh")},
    "atanh": np.arctanh,
    "sigmoid": _sigmoid,
    "relu": lambda x: np.maximum(x, 0),
}
"""Functions of elements that rules use, and what computes them here."""


def _matrix_product(x: Formula, y: Formula) -> Formula:
    if len(x.shape) < 2 or len(y.shape) < 2:
        raise NoFormulaError
    return matmul(x, y)


class _Reader:
    """Reads one expression, with what its names stand for."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def read(self, node: ast.expr) -> Any:
        """Return a formula, or the value of an attribute."""
        match node:
            case ast.Name(id=name) if name in self._names:
                return self._names[name]
            case ast.Constant(value=value) if isinstance(value, int | float):
                return constant(value)
            case ast.Constant(value=value):
                return value
            case ast.UnaryOp(op=ast.USub(), operand=inside):
                return scaled(-1, self._formula(inside))
            case ast.UnaryOp(op=ast.UAdd(), operand=inside):
                return self._formula(inside)
            case ast.BinOp(left=left, op=sign, right=right) if type(sign) in _OPERATORS:
                return _OPERATORS[type(sign)](self._formula(left), self._formula(right))
            case ast.Compare():
                return self._comparison(node)
            case ast.Attribute(value=inside, attr="T"):
                return self._transposed(self._formula(inside))
            case ast.Attribute(value=ast.Name(id="math"), attr="pi"):
                return constant(np.pi)
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)):
                return self._call(name, node)
        raise NoFormulaError

    def _formula(self, node: ast.expr) -> Formula:
        found = self.read(node)
        if isinstance(found, bool | int | float):
            return constant(found)
        if not isinstance(found, Formula):
            raise NoFormulaError
        return found

    def _transposed(self, body: Formula) -> Formula:
        if len(body.shape) < 2:
            raise NoFormulaError
        return transposed(body)

    def _comparison(self, node: ast.Compare) -> Formula:
        sides = [self._formula(one) for one in (node.left, *node.comparators)]
        if any(type(sign) not in _COMPARISONS for sign in node.ops):
            raise NoFormulaError
        return product(
            *(
                compare(_COMPARISONS[type(sign)], left, right)
                for sign, left, right in zip(node.ops, sides, sides[1:], strict=False)
            )
        )

    def _call(self, name: str, node: ast.Call) -> Formula:
        if any(isinstance(one, ast.Starred) for one in node.args):
            raise NoFormulaError
        given = {one.arg: self.read(one.value) for one in node.keywords if one.arg}
        special = getattr(self, f"_read_{name}", None)
        if special is not None:
            try:
                return special(*(self.read(one) for one in node.args), **given)
            except TypeError:  # more settings than have a notation
                raise NoFormulaError from None
        arguments = [self._formula(one) for one in node.args]
        if name in ("divide", "matmul", "multiply", "pow", "add", "subtract"):
            return _BY_NAME[name](*arguments)
        if name not in FUNCTIONS or given or not arguments:
            raise NoFormulaError
        return apply(name, FUNCTIONS[name], *arguments)

    def _read_log(self, x: Formula) -> Formula:
        if hasattr(x, "number"):  # math.log(2)
            return constant(float(np.log(x.number)))
        return apply("log", np.log, x)

    def _read_matrix_transpose(self, x: Formula) -> Formula:
        return self._transposed(x)

    def _read_reshape(self, x: Formula, shape: Any, **_: Any) -> Formula:
        if -1 in tuple(shape):
            shape = np.empty(x.shape).reshape(shape).shape
        return reshaped(x, tuple(shape))

    def _read_expand_dims(self, x: Formula, *, axis: Any) -> Formula:
        return reshaped(x, np.expand_dims(np.empty(x.shape, bool), axis).shape)

    def _read_broadcast_to(self, x: Formula, shape: Any) -> Formula:
        return stretched(x, tuple(shape))

    def _read_astype(self, x: Formula, dtype: Any) -> Formula:
        if not isinstance(x, Formula) or np.dtype(dtype).kind != "f":
            raise NoFormulaError
        return x

    def _read_zeros_like(self, x: Formula) -> Formula:
        return constant(0.0, x.shape)

    def _read_ones_like(self, x: Formula) -> Formula:
        return constant(1.0, x.shape)

    def _read_flip(self, x: Formula, axis: Any) -> Formula:
        return apply("flip", np.flip, x, shape=x.shape, axis=axis)

    def _read_where(self, condition: Formula, x: Formula | float, y: Formula | float) -> Formula:
        x, y = (one if isinstance(one, Formula) else constant(one) for one in (x, y))
        zero = constant(0.0)
        if y in (zero, constant(0.0, y.shape)):
            return product(x, condition)
        if x in (zero, constant(0.0, x.shape)):
            return product(y, summed(constant(1.0), scaled(-1, condition)))
        return apply("where", _chosen, condition, x, y)

    def _read_softmax(self, x: Formula) -> Formula:
        return apply("softmax", softmax, x)

    def _read_onehot(self, labels: Formula) -> Formula:
        logits = self._names["logits"]
        return onehot(labels, logits.shape[-1])


_BY_NAME: Mapping[str, Callable[..., Formula]] = {
    "divide": quotient,
    "matmul": lambda x, y: _matrix_product(x, y),
    "multiply": product,
    "pow": power,
    "add": summed,
    "subtract": _OPERATORS[ast.Sub],
}


def softmax(x: Value, axis: int = -1) -> Value:
    """Return exp(x) divided by its sums along an axis."""
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def logsumexp(x: Value, axis: int = -1) -> Value:
    """Return the logarithm of the sums of exp(x) along an axis, which is kept with size 1."""
    largest = x.max(axis=axis, keepdims=True)
    return np.log(np.exp(x - largest).sum(axis=axis, keepdims=True)) + largest


def onehot(labels: Formula, classes: int) -> Formula:
    """Return a row for each label: 1 in its column, 0 elsewhere."""
    shape = (*labels.shape, classes)
    return apply("onehot", lambda y: np.eye(classes)[y.astype(int)], labels, shape=shape)
