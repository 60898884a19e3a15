"""The source of a rule: the expression that a lambda, or a function of one line, returns."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable
from functools import lru_cache
from types import CodeType
from typing import Any

__all__ = ["expression_of"]

_Function = ast.Lambda | ast.FunctionDef


def expression_of(function: Callable[..., Any]) -> ast.expr | None:
    """Return the expression that a function returns, as a tree of the caller's own.

    None where it cannot be had: the function is more than one return statement, it has no source,
    or its file has changed since it was loaded.
    """
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None:
        return None
    found = {}
    for node in _functions(code.co_filename, "".join(linecache.getlines(code.co_filename))):
        # What the source compiles to now must be the function: several lambdas may start on one
        # line, and the file may have changed.
        if _first_line(node) != code.co_firstlineno:
            continue
        returned = _returned(node)
        if returned is not None and _identity(_compiled(node, code)) == _identity(code):
            found[ast.unparse(returned)] = returned
    if len(found) != 1:
        return None
    (text,) = found
    return ast.parse(text, mode="eval").body


def _returned(node: _Function) -> ast.expr | None:
    if isinstance(node, ast.Lambda):
        return node.body
    last = node.body[-1]
    return last.value if len(node.body) == 1 and isinstance(last, ast.Return) else None


def _first_line(node: _Function) -> int:
    return min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])


def _identity(code: CodeType | None) -> tuple[Any, ...]:
    if code is None:
        return ()
    inner = tuple(_identity(c) if isinstance(c, CodeType) else c for c in code.co_consts)
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    return code.co_code, inner, code.co_names, parameters, code.co_freevars


def _compiled(node: _Function, code: CodeType) -> CodeType | None:
    """Return the code of a function on its own, with the variables around it as they were."""
    lone: ast.stmt
    if isinstance(node, ast.Lambda):
        lone = ast.Expr(ast.Lambda(node.args, node.body))
    else:
        lone = ast.FunctionDef(node.name, node.args, node.body, [], None, None)
    # Inside a function that has the free variables, they are free again.
    names = [ast.arg(name) for name in code.co_freevars]
    arguments = ast.arguments([], names, None, [], [], None, [])
    outer = ast.FunctionDef("around", arguments, [lone], [], None, None)
    module = ast.fix_missing_locations(ast.Module([outer], []))
    around = next(c for c in compile(module, "<rule>", "exec").co_consts if isinstance(c, CodeType))
    return next((c for c in around.co_consts if isinstance(c, CodeType)), None)


@lru_cache(64)
def _functions(filename: str, source: str) -> tuple[_Function, ...]:
    """Return all functions of a file."""
    try:
        tree = ast.parse(source)
    except SyntaxError:
        return ()
    return tuple(node for node in ast.walk(tree) if isinstance(node, _Function))
