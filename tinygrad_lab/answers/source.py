"""Where a history ends, read off the source of the user's code.

A constant does not remember what it was taken from: ``x.detach()`` is a new tensor. The expression
that gave it often stands in the source, though. It is followed through variables that are assigned
once in their function; where a variable is assigned twice, or comes from outside, nothing is said.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from types import CodeType

from tinygrad_lab.engine.node import Node
from tinygrad_lab.engine.user_code import Line

__all__ = ["Cut", "cut_before", "cut_of_variable"]

_CUTS = {
    "detach": "detached",
    "item": "item",
    "tolist": "item",
    "numpy": "item",
    "argmax": "argmax",
    "argmin": "argmax",
    "argsort": "argmax",
}
"""Methods that give a value without its history."""
_NUMBERS = {"float", "int", "bool"}
_INTEGERS = {f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)}
_CASTS = {"long": "int64", "int": "int32", "short": "int16"}
_Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True)
class Cut:
    """An expression that leaves a history behind."""

    cause: str
    line: Line
    text: str
    names: frozenset[str]
    """The variables that its value was computed from, as far as the source shows them."""


def cut_before(node: Node, position: int) -> Cut | None:
    """Return where the history of one constant input of an op ended; None if it is not known."""
    code, offset = getattr(node, "code", None), getattr(node, "offset", 0)
    if code is None or (source := _source_of(code)) is None:
        return None
    where = next(islice(code.co_positions(), offset // 2, None), None)
    call = None if where is None else source.at(where)
    operand = None if call is None else _operand(call, node, position, source)
    return None if operand is None else _follow(operand, source, ())


def cut_of_variable(name: str, code: CodeType | None) -> Cut | None:
    """Return where the value of a variable lost its history; None if it is not known."""
    source = None if code is None else _source_of(code)
    return None if source is None else _follow(ast.Name(name), source, ())


@dataclass(frozen=True)
class _Source:
    """A file of source, and a function in it."""

    filename: str
    tree: ast.Module
    scope: _Scope

    def at(self, where: tuple[int | None, ...]) -> ast.expr | None:
        """Return the expression at a position: line, last line, column, last column."""
        for node in ast.walk(self.scope):
            if isinstance(node, ast.expr) and where == (
                *(node.lineno, node.end_lineno, node.col_offset, node.end_col_offset),
            ):
                return node
        return None

    def line(self, node: ast.AST) -> Line:
        number: int = node.lineno  # type: ignore[attr-defined]
        text = linecache.getline(self.filename, number).strip()
        return Line(self.filename, number, getattr(self.scope, "name", "<module>"), text)

    @property
    def modules(self) -> set[str]:
        """The names that imports bind in this file."""
        imports = [one for one in ast.walk(self.tree) if isinstance(one, ast.Import)]
        return {alias.asname or alias.name for one in imports for alias in one.names}

    def assigned(self, name: str) -> tuple[ast.Assign, bool] | None:
        """Return the one assignment of a variable, and whether no_grad surrounds it.

        None if it has none, or several: then it depends on what ran.
        """
        stores = [
            one
            for one in ast.walk(self.scope)
            if (isinstance(one, ast.Name) and one.id == name and not _reads(one))
            or (isinstance(one, ast.Global | ast.Nonlocal) and name in one.names)
            or (isinstance(one, ast.arg) and one.arg == name)
        ]
        found = [
            (statement, quiet)
            for statement, quiet in _assignments(self.scope, _is_quiet(self.scope))
            if [getattr(target, "id", None) for target in statement.targets] == [name]
        ]
        return found[0] if len(stores) == len(found) == 1 else None


def _reads(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Load)


def _assignments(node: ast.AST, quiet: bool) -> Iterator[tuple[ast.Assign, bool]]:
    """Yield the assignments of a function, not of those inside it, with "under no_grad"."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Assign):
            yield child, quiet
        elif not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            around = isinstance(child, ast.With) and any(
                _called(item.context_expr) == "no_grad" for item in child.items
            )
            yield from _assignments(child, quiet or around)


def _is_quiet(scope: _Scope) -> bool:
    """Return whether a function is decorated with no_grad."""
    return any(_called(one) == "no_grad" for one in getattr(scope, "decorator_list", ()))


def _called(node: ast.expr) -> str:
    """Return the last name of what an expression calls, or is."""
    function = node.func if isinstance(node, ast.Call) else node
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _source_of(code: CodeType) -> _Source | None:
    text = "".join(linecache.getlines(code.co_filename))
    tree = _parsed(text)
    if tree is None:
        return None
    if code.co_name == "<module>":
        return _Source(code.co_filename, tree, tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            if first == code.co_firstlineno:
                return _Source(code.co_filename, tree, node)
    return None


@lru_cache(16)
def _parsed(text: str) -> ast.Module | None:
    try:
        return ast.parse(text) if text else None
    except SyntaxError:
        return None


def _operand(call: ast.expr, node: Node, position: int, source: _Source) -> ast.expr | None:
    """Return the expression of one input of an op, from the expression that applied it."""
    if isinstance(call, ast.BinOp):
        operands = [call.left, call.right]
    elif isinstance(call, ast.Call) and not any(isinstance(one, ast.Starred) for one in call.args):
        function = call.func
        is_method = isinstance(function, ast.Attribute) and not (
            isinstance(function.value, ast.Name) and function.value.id in source.modules
        )
        name = node.op.name if node.op else ""
        if is_method and _called(call) == name:
            assert isinstance(function, ast.Attribute)
            operands = [function.value, *call.args]
        elif _called(call) == name or (node.scope is not None and node.scope.outer is None):
            operands = list(call.args)
        else:
            return None
    else:
        return None
    return operands[position] if position < len(operands) else None


def _follow(expression: ast.expr, source: _Source, seen: tuple[str, ...]) -> Cut | None:
    """Return the one place where an expression leaves a history behind."""
    if isinstance(expression, ast.Name):
        found = None if expression.id in seen else source.assigned(expression.id)
        if found is None:
            return None
        statement, quiet = found
        if quiet:
            return _cut("no_grad", statement, statement.value, source)
        return _follow(statement.value, source, (*seen, expression.id))
    if (cause := _cause(expression)) is not None:
        return _cut(cause, expression, expression, source)
    cuts = [_follow(one, source, seen) for one in _operands(expression)]
    known = {cut.text: cut for cut in cuts if cut is not None}
    return next(iter(known.values())) if len(known) == 1 else None


def _operands(expression: ast.expr) -> list[ast.expr]:
    if isinstance(expression, ast.BinOp):
        return [expression.left, expression.right]
    if isinstance(expression, ast.UnaryOp):
        return [expression.operand]
    if isinstance(expression, ast.Subscript):
        return [expression.value]
    if isinstance(expression, ast.Call):
        receiver = [expression.func.value] if isinstance(expression.func, ast.Attribute) else []
        return [*receiver, *expression.args]
    return []


def _cause(expression: ast.expr) -> str | None:
    """Return why the value of an expression has no history, if the expression itself is why."""
    if not isinstance(expression, ast.Call):
        return None
    name = _called(expression)
    if isinstance(expression.func, ast.Name):
        return "item" if name in _NUMBERS else None
    if name in _CUTS:
        return _CUTS[name]
    into = {_called(one) for one in expression.args}
    to_integers = name in ("astype", "to") and into & _INTEGERS
    return "integers" if to_integers or (name in _CASTS and not expression.args) else None


def _cut(cause: str, place: ast.AST, expression: ast.expr, source: _Source) -> Cut:
    names = frozenset(_names_behind(expression, source, frozenset()))
    return Cut(cause, source.line(place), ast.unparse(expression), names)


def _names_behind(expression: ast.expr, source: _Source, seen: frozenset[str]) -> Iterator[str]:
    """Yield the variables that an expression is computed from, through single assignments."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Name) and node.id not in seen:
            seen |= {node.id}
            yield node.id
            if (found := source.assigned(node.id)) is not None:
                yield from _names_behind(found[0].value, source, seen)
