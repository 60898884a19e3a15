"""Formulas: ``"f = (x + y) * z"`` as a graph, for the command line.

A formula is read by Python's own parser, but only the syntax in this file has a meaning; nothing
is ever given to ``eval``.
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
"""The functions of a formula, and how many arguments they take."""

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
    f"A formula has numbers, names, + - * / **, brackets, and the functions {', '.join(FUNCTIONS)}."
)


def parse(formula: str, values: Mapping[str, float]) -> Tensor:
    """Compute a formula, and keep how it was computed.

    Args:
        formula: such as ``"(x + y) * z"``, or ``"f = (x + y) * z"``, which names the result.
        values: a number for each name in the formula.

    Returns:
        The result. Names in the formula are leaves that want a gradient; numbers are constants.

    Raises:
        ExpressionError: for what is not understood, pointing at it; for a name without a value;
            for a value that is not used.

    Example:
        >>> f = parse("f = (x + y) * z", {"x": -2, "y": 5, "z": -4})
        >>> f
        scalar(-12.0, name='f', op=multiply)
        >>> parse("x.real", {"x": 1})
        Traceback (most recent call last):
        tinygrad_lab.errors.ExpressionError: an attribute is not understood:
            x.real
             ^
        A formula has numbers, names, + - * / **, brackets, and the functions exp, log, ...
    """
    reader = _Reader(formula)
    steps = list(reader.steps())
    names = dict.fromkeys(step.id for step in steps if isinstance(step, ast.Name))
    leaves = _leaves(names, values)
    with record():  # sums of constants are steps too
        result = reader.computed(steps, leaves)
        if reader.output is not None and result.node.op is None:
            result = ops.alias(result)  # f = x: the leaf keeps its own name
    if reader.output is not None:
        result.name = reader.output
    return result


def _leaves(names: Mapping[str, Any], values: Mapping[str, float]) -> dict[str, Tensor]:
    """A tensor for each name."""
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
        raise ExpressionError(f"{' and '.join(unused)}: a value is given, but not used.")
    leaves = {}
    for name in names:
        try:
            leaves[name] = scalar(float(given[name]), name=name)
        except (TypeError, ValueError, OverflowError):
            raise ExpressionError(f"{name} must be a number, got {given[name]!r:.40}.") from None
    return leaves


class _Reader:
    """One formula and the place of everything in it."""

    def __init__(self, formula: str) -> None:
        self._text = " ".join(formula.split())
        if len(self._text) > _MOST_CHARACTERS:
            raise ExpressionError(
                f"a formula has at most {_MOST_CHARACTERS} characters, this one "
                f"{len(self._text):,}."
            )
        if not self._text:
            raise ExpressionError(f"the formula is empty. {_LANGUAGE}")
        self._check_characters()
        self.output, self._expression = self._parsed()

    def _check_characters(self) -> None:
        for place, character in enumerate(self._text):
            if character == "^":
                raise self._refusal("^ is not understood", place, "A power is written **.")
            if not (f"a{character}".isidentifier() or character in "+-*/()., ="):
                raise self._refusal(f"{character!r} is not understood", place)

    def _parsed(self) -> tuple[str | None, ast.expr]:
        """The name of the result, if it has one, and the expression."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the kind "1if": refused below anyway
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
        """The parts of the expression, operands before what is computed from them.

        A loop, not a recursion: a sum of 300 terms is 300 deep.
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
        """The operands of a part that is understood; all else is refused."""
        match node:
            case ast.Constant():
                self._check_number(node)
                return []
            case ast.Name(id=name):
                if name in FUNCTIONS:
                    raise self._refusal(
                        f"{name} is a function", node, f"It is written {name}(...)."
                    )
                if name == self.output:
                    raise self._refusal(f"{name} is what the result is called", node)
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
            hint = f"A product is written with *. Functions are {', '.join(FUNCTIONS)}."
            raise self._refusal(f"{what} is not a function", node.func, hint)
        name, wanted = node.func.id, FUNCTIONS[node.func.id][1]
        if node.keywords:
            raise self._refusal("arguments have no names", node.keywords[0].value)
        if len(node.args) != wanted:
            arguments = "argument" + "s" * (wanted > 1)
            raise self._refusal(f"{name} takes {wanted} {arguments}, got {len(node.args)}", node)

    def computed(self, steps: list[ast.expr], leaves: Mapping[str, Tensor]) -> Tensor:
        """The value of the last step."""
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
        """How many characters a number of UTF-8 bytes are, in which Python's parser counts."""
        return len(self._text.encode()[:bytes_before].decode(errors="ignore"))

    def _refusal(self, what: str, place: ast.expr | int, hint: str = _LANGUAGE) -> ExpressionError:
        """The error that says what is wrong, points at it, and helps."""
        if isinstance(place, ast.expr):
            place = self._characters(place.col_offset)
        place = min(max(place, 0), len(self._text))
        return ExpressionError(f"{what}:\n    {self._text}\n    {' ' * place}^\n{hint}")


def _function_of(node: ast.expr) -> tuple[Callable[..., Tensor], int]:
    """What a step does, and to how many operands."""
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
    if "decimal literal" in (error.msg or ""):  # a number with a letter after it
        return "A product is written with *: 2 * x."
    return _LANGUAGE


def _words_for(node: ast.expr) -> str:
    words = {
        ast.BoolOp: "and, or",
        ast.IfExp: "if",
        ast.Tuple: "a list with commas",
    }
    return words.get(type(node), "this")
