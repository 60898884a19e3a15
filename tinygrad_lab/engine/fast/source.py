"""Writing Python: a rule's formula as text, with what it asks for put in place."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from tinygrad_lab.engine.declaration import Rule

__all__ = ["run", "written_out"]


def run(lines: Sequence[str], filename: str, environment: dict[str, Any]) -> None:
    """Run written lines; what they define is in ``environment`` then."""
    source = "\n".join(lines) + "\n"
    exec(compile(source, filename, "exec"), environment)
    # Tracebacks and inspect.getsource find the source here.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def written_out(rule: Rule, places: Mapping[str, str], environment: dict[str, Any]) -> str:
    """A rule's formula with what it asks for put in place; a call where it is no lambda."""
    body = _formula(rule.function)
    if body is None:
        return called(rule, places, environment)
    return ast.unparse(_PutInPlace(places).visit(body))


def called(rule: Rule, places: Mapping[str, str], environment: dict[str, Any]) -> str:
    """The call of a rule with what it asks for."""
    name = f"rule_for_{'_'.join(rule.inputs) or 'forward'}"
    environment[name] = rule.function
    g = ["g"] if rule.inputs else []
    return f"{name}({', '.join(['xp', *g, *(places[ask] for ask in rule.asks)])})"


class _PutInPlace(ast.NodeTransformer):
    def __init__(self, places: Mapping[str, str]) -> None:
        self.places = places

    def visit_Name(self, node: ast.Name) -> ast.expr:
        place = self.places.get(node.id)
        return ast.parse(place, mode="eval").body if place else node


def _formula(function: Callable[..., Any]) -> ast.expr | None:
    """The body of a lambda that uses nothing but its parameters, from its source.

    None where it cannot be had: no lambda, no source, or more than one that fits.
    """
    code = function.__code__
    parameters = code.co_varnames[: code.co_argcount]
    if code.co_name != "<lambda>" or code.co_freevars:
        return None
    fitting = [
        node
        for node in _lambdas(code.co_filename).get(code.co_firstlineno, [])
        if tuple(a.arg for a in node.args.args) == parameters
    ]
    # The file may have changed since the lambda was compiled: what it compiles to now must be it.
    fitting = [node for node in fitting if _identity(_compiled(node)) == _identity(code)]
    bodies = {ast.unparse(node.body): node.body for node in fitting}
    if len(bodies) != 1:
        return None
    text, body = bodies.popitem()
    used = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    # A fresh tree: the one in the cache stays as it is when names are put in place.
    return ast.parse(text, mode="eval").body if used <= set(parameters) else None


def _identity(code: Any) -> tuple[Any, ...]:
    return code.co_code, code.co_consts, code.co_names


def _compiled(node: ast.Lambda) -> Any:
    outer = compile(ast.fix_missing_locations(ast.Expression(node)), "<lambda>", "eval")
    return next(c for c in outer.co_consts if hasattr(c, "co_code"))


@cache
def _lambdas(filename: str) -> dict[int, list[ast.Lambda]]:
    """The lambdas of a source file, by the line they start on."""
    try:
        tree = ast.parse("".join(linecache.getlines(filename)))
    except SyntaxError:
        return {}
    found: dict[int, list[ast.Lambda]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Lambda):
            found.setdefault(node.lineno, []).append(node)
    return found
