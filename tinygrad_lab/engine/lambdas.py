"""The source of a rule: the expression that a lambda, or a function of one line, returns."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import lru_cache
from inspect import unwrap
from types import CodeType
from typing import Any

__all__ = ["expression_of"]

_Function = ast.Lambda | ast.FunctionDef


def expression_of(function: Callable[..., Any]) -> ast.expr | None:
    """Return the expression that a function returns, as a tree of the caller's own.

    None if it cannot be found: the function is more than one return statement, it has no source,
    or its file has changed since it was loaded.
    """
    code: CodeType | None = getattr(unwrap(function), "__code__", None)
    if code is None:
        return None
    nodes, codes = _compiled(code.co_filename, "".join(linecache.getlines(code.co_filename)))
    if _identity(code) not in map(_identity, codes.get(code.co_firstlineno, ())):
        return None
    for node in nodes.get(code.co_firstlineno, ()):
        returned = _returned(node)
        if returned is not None and _is_code_of(code, node, returned):
            return deepcopy(returned)
    return None


def _returned(node: _Function) -> ast.expr | None:
    if isinstance(node, ast.Lambda):
        return node.body
    last = node.body[-1]
    return last.value if len(node.body) == 1 and isinstance(last, ast.Return) else None


def _is_code_of(code: CodeType, node: _Function, returned: ast.expr) -> bool:
    """Return whether code was compiled from a function on its first line."""
    if not isinstance(node, ast.Lambda):
        return node.name == code.co_name
    # Several lambdas may start on one line: their expressions start at different places.
    places = [
        (line, column)
        for line, _, column, _ in code.co_positions()
        if line is not None and column is not None and (line, column) != (code.co_firstlineno, 0)
    ]
    return bool(places) and min(places) == (returned.lineno, returned.col_offset)


def _identity(code: CodeType) -> tuple[Any, ...]:
    constants = tuple(_identity(c) if isinstance(c, CodeType) else c for c in code.co_consts)
    return code.co_code, constants, code.co_names, tuple(code.co_positions())


@lru_cache(64)
def _compiled(
    filename: str, source: str
) -> tuple[dict[int, list[_Function]], dict[int, list[CodeType]]]:
    """Return the functions of a file and what they compile to, by their first lines."""
    nodes: dict[int, list[_Function]] = {}
    codes: dict[int, list[CodeType]] = {}
    try:
        tree = ast.parse(source)
        module = compile(source, filename, "exec", dont_inherit=True)
    except SyntaxError:
        return nodes, codes
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            decorators = getattr(node, "decorator_list", ())
            first = min([node.lineno, *(one.lineno for one in decorators)])
            nodes.setdefault(first, []).append(node)
    for code in _inner_codes(module):
        codes.setdefault(code.co_firstlineno, []).append(code)
    return nodes, codes


def _inner_codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _inner_codes(constant)
