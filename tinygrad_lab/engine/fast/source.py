"""Writing Python: run lines of source, and put values in the place of names in a formula."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lab.engine.lambdas import expression_of
from tinygrad_lab.engine.op import Rule

__all__ = ["called", "run", "written_out"]


def run(lines: Sequence[str], filename: str, environment: dict[str, Any]) -> None:
    """Run lines of source in an environment, which then holds what they define."""
    source = "\n".join(lines) + "\n"
    environment.setdefault("__name__", filename)
    exec(compile(source, filename, "exec"), environment)
    # Tracebacks and inspect.getsource find the source here.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)


def written_out(rule: Rule, places: Mapping[str, str], environment: dict[str, Any]) -> str:
    """Return a rule's formula with what it asks for put in place, or its call if it is no lambda.

    A formula is put in place only if it uses no names but the rule's parameters.
    """
    body = expression_of(rule.function) if rule.function.__name__ == "<lambda>" else None
    if body is None or rule.function.__code__.co_freevars:
        return called(rule, places, environment)
    names = {node.id for node in ast.walk(body) if isinstance(node, ast.Name)}
    if not names <= set(rule.function.__code__.co_varnames):
        return called(rule, places, environment)
    return ast.unparse(_PutInPlace(places).visit(body))


def called(rule: Rule, places: Mapping[str, str], environment: dict[str, Any]) -> str:
    """Return the call of a rule with what it asks for."""
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
