"""Parses formulas such as ``"f = (x + y) * z"`` into graphs, for the command line.

Python's own parser reads a formula, but only the syntax in this file is accepted; nothing is passed
to ``eval``.
"""

from __future__ import annotations

import ast
import math
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.array_api.creation import scalar
from tinygrad_lab.context import record
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ExpressionError

__all__ = ["FUNCTIONS", "parse"]

FUNCTIONS: Mapping[str, tuple[Callable[..., Tensor], int]] = {
    "exp": (ops.exp, 1),
    "log": (ops.log, 1),
    "sqrt": (ops.sqrt, 1),
    "sin": (ops.sin, 1),
    "cos": (ops.cos, 1),
    "tanh": (ops.tanh, 1),
    "sigmoid": (ops.sigmoid, 1),
    "relu": (ops.relu, 1),
    "abs": (ops.abs, 1),
    "max": (ops.maximum, 2),
    "min": (ops.minimum, 2),
}
"""The functions of a formula, and their numbers of arguments."""

_OPERATORS: Mapping[type[ast.AST], Callable[..., Tensor]] = {
    ast.Add: ops.add,
    ast.Sub: ops.subtract,
    ast.Mult: ops.multiply,
    ast.Div: ops.divide,
    ast.Pow: ops.pow,
    ast.USub: ops.negative,
    ast.UAdd: lambda x: x,
}
_MOST_CHARACTERS = 1000
_LANGUAGE = (
    "A formula has numbers, names, + - * / **, parentheses, and the functions "
    f"{', '.join(FUNCTIONS)}."
)


def parse(formula: str, values: Mapping[str, float]) -> Tensor:
    """Compute a formula and record its graph.

    Args:
        formula: for example ``"(x + y) * z"``, or ``"f = (x + y) * z"``, which names the result.
        values: a number for each name in the formula.

    Returns:
        The result. Names in the formula are leaves that require a gradient; numbers are constants.

    Raises:
        ExpressionError: for invalid syntax, with a caret below it; for a name without a value; for
            an unused value.

    Example:
        >>> f = parse("f = (x + y) * z", {"x": -2, "y": 5, "z": -4})
        >>> f
        scalar(-12.0, name='f', op=multiply)
        >>> parse("x.real", {"x": 1})
        Traceback (most recent call last):
        tinygrad_lab.errors.ExpressionError: an attribute is not understood:
            x.real
             ^
        A formula has numbers, names, + - * / **, parentheses, and the functions exp, log, ...
    """
    reader = _Reader(formula)
    steps = list(reader.steps())
    names = dict.fromkeys(step.id for step in steps if isinstance(step, ast.Name))
    leaves = _leaves(names, values)
    with record():  # keeps operations on constants, too
        result = reader.computed(steps, leaves)
        if reader.output is not None and result.node.op is None:
            result = ops.alias(result)  # f = x: the leaf keeps its own name
    if reader.output is not None:
        result.name = reader.output
    return result


def _leaves(names: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, Tensor]:
    """Make a tensor for each name."""
    given = {unicodedata.normalize("NFKC", name): value for name, value in values.items()}
    missing = [name for name in names if name not in given]
    if missing:
        has = "has" if len(missing) == 1 else "have"
        raise ExpressionError(
            f"{' and '.join(missing)} {has} no value: add "
            f"{' '.join(f'{name}=...' for name in missing)}"
        )
    unused = [name for name in given if name not in names]
    if unused:
        raise ExpressionError(f"{' and '.join(unused)}: a value is given but not used.")
    leaves = {}
    for name in names:
        try:
            leaves[name] = scalar(float(given[name]), name=name)
        except (TypeError, ValueError, OverflowError):
            raise ExpressionError(f"{name} must be a number, got {given[name]!r:.40}.") from None
    return leaves


class _Reader:
    """The syntax tree of one formula, with the positions of its parts."""

    def __init__(self, formula: str) -> None:
        self._text = " ".join(formula.split())
        if len(self._text) > _MOST_CHARACTERS:
            raise ExpressionError(
                f"a formula has at most {_MOST_CHARACTERS} characters; this one has "
                f"{len(self._text):,}."
            )
        if not self._text:
            raise ExpressionError(f"the formula is empty. {_LANGUAGE}")
        self._check_characters()
        self.output, self._expression = self._parsed()

    def _check_characters(self) -> None:
        for place, character in enumerate(self._text):
            if character == "^":
                raise self._refusal("^ is not understood", place, "Write a power with **.")
            if not (f"a{character}".isidentifier() or character in "+-*/()., ="):
                raise self._refusal(f"{character!r} is not understood", place)

    def _parsed(self) -> tuple[str | None, ast.expr]:
        """Parse the name of the result, if it has one, and the expression."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as "1if", which is refused below
                tree = ast.parse(self._text)
        except SyntaxError as error:
            if "nested" in (error.msg or ""):
                raise ExpressionError("the formula is nested too deeply.") from None
            raise self._refusal(
                "this is not understood", (error.offset or 1) - 1, _hint(error)
            ) from None
        except (RecursionError, MemoryError):
            raise ExpressionError("the formula is nested too deeply.") from None
        match tree.body:
            case [ast.Expr(value=expression)]:
                return None, expression
            case [ast.Assign(targets=[ast.Name(id=name)], value=expression)]:
                if name in FUNCTIONS:
                    raise self._refusal(f"{name} is a function and cannot name the result", 0)
                return name, expression
            case _:
                raise self._refusal("expected an expression, or name = expression", 0)

    # --- steps -------------------------------------------------------------------------------

    def steps(self) -> Iterator[ast.expr]:
        """Yield the parts of the expression, operands before the parts computed from them.

        A loop avoids deep recursion: a sum of 300 terms is 300 levels deep.
        """
        waiting: list[tuple[ast.expr, bool]] = [(self._expression, False)]
        while waiting:
            node, checked = waiting.pop()
            if checked:
                yield node
            else:
                waiting.append((node, True))
                waiting.extend((one, False) for one in reversed(self._operands(node)))

    def _operands(self, node: ast.expr) -> list[ast.expr]:
        """Return the operands of a part, or raise if its syntax is not accepted."""
        match node:
            case ast.Constant():
                self._check_number(node)
                return []
            case ast.Name(id=name):
                if name in FUNCTIONS:
                    raise self._refusal(f"{name} is a function", node, f"Write {name}(...).")
                if name == self.output:
                    raise self._refusal(f"{name} is the name of the result", node)
                return []
            case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
                return [operand]
            case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
                return [left, right]
            case ast.Call():
                self._check_call(node)
                return node.args
            case ast.Attribute(value=value):
                dot = self._text.find(".", self._characters(value.end_col_offset or 0))
                raise self._refusal("an attribute is not understood", dot)
            case _:
                raise self._refusal(f"{_words_for(node)} is not understood", node)

    def _check_number(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise self._refusal(f"{node.value!r:.20} is not a number", node)
        if not _is_finite(node.value):
            raise self._refusal("the number is too large for a float", node)

    def _check_call(self, node: ast.Call) -> None:
        if not isinstance(node.func, ast.Name) or node.func.id not in FUNCTIONS:
            what = node.func.id if isinstance(node.func, ast.Name) else "this"
            hint = f"Write a product with *. Functions are {', '.join(FUNCTIONS)}."
            raise self._refusal(f"{what} is not a function", node.func, hint)
        name, wanted = node.func.id, FUNCTIONS[node.func.id][1]
        if node.keywords:
            raise self._refusal("arguments have no names", node.keywords[0].value)
        if len(node.args) != wanted:
            arguments = "argument" + "s" * (wanted > 1)
            raise self._refusal(f"{name} takes {wanted} {arguments}, got {len(node.args)}", node)

    def computed(self, steps: list[ast.expr], leaves: Mapping[str, Tensor]) -> Tensor:
        """Compute the steps and return the value of the last."""
        done: list[Tensor] = []
        for node in steps:
            if isinstance(node, ast.Constant):
                done.append(scalar(float(node.value), requires_grad=False))  # type: ignore[arg-type]
            elif isinstance(node, ast.Name):
                done.append(leaves[node.id])
            else:
                function, count = _function_of(node)
                operands = done[-count:]
                del done[-count:]
                done.append(function(*operands))
        return done[0]

    # --- errors ------------------------------------------------------------------------------

    def _characters(self, bytes_before: int) -> int:
        """Convert a count of UTF-8 bytes, as in Python's syntax tree, to characters."""
        return len(self._text.encode()[:bytes_before].decode(errors="ignore"))

    def _refusal(self, what: str, place: ast.expr | int, hint: str = _LANGUAGE) -> ExpressionError:
        """Return an error with a caret below the mistake and a hint."""
        if isinstance(place, ast.expr):
            place = self._characters(place.col_offset)
        place = min(max(place, 0), len(self._text))
        return ExpressionError(f"{what}:\n    {self._text}\n    {' ' * place}^\n{hint}")


def _function_of(node: ast.expr) -> tuple[Callable[..., Tensor], int]:
    """Return the function of a step and its number of operands."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return FUNCTIONS[node.func.id]
    if isinstance(node, ast.UnaryOp):
        return _OPERATORS[type(node.op)], 1
    assert isinstance(node, ast.BinOp)
    return _OPERATORS[type(node.op)], 2


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _hint(error: SyntaxError) -> str:
    if "decimal literal" in (error.msg or ""):  # a number followed by a letter
        return "Write a product with *: 2 * x."
    return _LANGUAGE


def _words_for(node: ast.expr) -> str:
    words = {
        ast.BoolOp: "and, or",
        ast.IfExp: "if",
        ast.Tuple: "a list with commas",
    }
    return words.get(type(node), "this")
