"""From a declaration to the function that applies it, by writing that function's source.

Every op gets a function with its name, its parameters and its docstring, which calls ``apply``.
Where an elementwise op meets the ordinary case (all inputs are Tensors of one kind, shape and
dtype and want a gradient; nothing is recorded or checked), the function first tries a short
path: the same work with the loops over inputs and rules written out, the formulas of the lambdas
put in their places, and a node class with one slot for each thing to remember. It is the
difference between 2 µs and 6 µs an op, and ``test_generate.py`` holds it against ``apply``.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.context import current
from tinygrad_lab.node import Node, next_order
from tinygrad_lab.ops import apply as apply_module
from tinygrad_lab.ops.apply import apply, entry_points
from tinygrad_lab.ops.declaration import Op, Rule
from tinygrad_lab.site import is_library, user_site

__all__ = ["entry_point"]


def entry_point(op: Op, defaults: dict[str, Any]) -> Callable[..., Any]:
    """The function ``op.name(*inputs, *attributes)``."""
    environment: dict[str, Any] = {
        "op": op,
        "apply": apply,
        "Tensor": apply_module.Tensor,
        "current": current,
        "namespaces": namespaces,
        "Node": Node,
        "next_order": next_order,
        "getframe": sys._getframe,
        "is_library": is_library,
        "user_site": user_site,
        "remaining": _remaining,
    }
    parameters, values = _parameters(op, defaults, environment)
    lines = []
    short = op.elementwise and len(op.inputs) <= 2 and not op.attributes and bool(op.rules)
    if short:
        lines += _node_class(op, environment)
    lines += [f"def {op.name}({parameters}):"]
    if short:
        lines += _short_path(op, environment)
    lines += [f"    return apply(op, {values})"]
    filename = f"<tinygrad_lab op {op.name}>"
    source = "\n".join(lines) + "\n"
    exec(compile(source, filename, "exec"), environment)
    # Tracebacks and inspect.getsource find the generated source here.
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    function: Callable[..., Any] = environment[op.name]
    function.__doc__ = op.doc or None
    function.__module__ = "tinygrad_lab"
    function.op = op  # type: ignore[attr-defined]
    entry_points.append(function)
    if short:
        environment["application"].plan = op.plan((True,) * len(op.inputs))
    return function


def _parameters(op: Op, defaults: dict[str, Any], environment: dict[str, Any]) -> tuple[str, str]:
    """The parameter list of the function, and the last two arguments that it calls apply with."""
    declared = inspect.signature(op.forward).parameters
    parameters = []
    for name in op.inputs:
        default = declared[name].default
        if op.variadic and name == op.inputs[-1]:
            parameters.append(f"*{name}")
        elif default is inspect.Parameter.empty:
            parameters.append(name)
        else:
            parameters.append(f"{name}=None")
    for name, default in defaults.items():
        environment[f"default_{name}"] = default
        required = default is inspect.Parameter.empty
        parameters.append(name if required else f"{name}=default_{name}")
    inputs = "".join(
        f"*{name}, " if op.variadic and name == op.inputs[-1] else f"{name}, " for name in op.inputs
    )
    attributes = ", ".join(f"{name!r}: {name}" for name in defaults)
    return ", ".join(parameters), f"({inputs}), {{{attributes}}}"


def _remaining(node: Node, asked: list[str]) -> dict[str, Any]:
    """What a node of the short path keeps, as long as it was not released."""
    return {name: getattr(node, slot) for name in asked if hasattr(node, slot := f"kept_{name}")}


def _asked(op: Op) -> list[str]:
    """What the rules of an op ask for, each name once."""
    return list(dict.fromkeys(name for rule in op.rules for name in rule.asks))


def _node_class(op: Op, environment: dict[str, Any]) -> list[str]:
    """The node of the short path: slots instead of a tuple of inputs and a dictionary."""
    asked = _asked(op)
    slots = [f"from_{x}" for x in op.inputs] + [f"kept_{name}" for name in asked]
    inputs = "".join(f"self.from_{x}, " for x in op.inputs)
    in_their_place = {name: f"node.kept_{name}" for name in asked}
    links = []
    uses_namespace = False
    for rule in op.rules:
        formula = _written_out(rule, in_their_place, environment)
        uses_namespace = uses_namespace or "xp" in formula
        links.append(f"(node.from_{rule.inputs[0]}, {formula}), ")
    return [
        "class application(Node):",
        f"    __slots__ = {tuple(slots)!r}",
        "    op = op",
        "    attributes = {}",
        f"    inputs = property(lambda self: ({inputs}))",
        f"    kept = property(lambda self: remaining(self, {asked!r}))",
        "    def pull_back(node, g):",
        *(["        xp = namespaces[g.__class__]"] if uses_namespace else []),
        f"        return ({''.join(links)})",
        "    def release(self):",
        *([f"        del self.kept_{name}" for name in asked] or ["        pass"]),
    ]


def _short_path(op: Op, environment: dict[str, Any]) -> list[str]:
    """The body of the function for the ordinary case."""
    asked, inputs = _asked(op), op.inputs
    formula = _written_out(
        Rule((), op.forward, inputs, joint=False), {x: f"{x}_data" for x in inputs}, environment
    )
    nodes = [f"{x}_node" for x in inputs]
    tensors = " and ".join(f"{x}.__class__ is Tensor" for x in inputs)
    differentiable = " and ".join(f"{node} is not None" for node in nodes)
    alike = "".join(f" and {node}.form is {nodes[0]}.form" for node in nodes[1:])
    return [
        f"    if {tensors}:",
        *[f"        {x}_node = {x}._node" for x in inputs],
        "        context = current()",
        f"        if context.ordinary and {differentiable}{alike}:",
        f"            form = {nodes[0]}.form",
        *[f"            {x}_data = {x}._data" for x in inputs],
        *(["            xp = form.namespace"] if "xp" in formula else []),
        f"            out = {formula}",
        "            node = application()",
        *[f"            node.from_{x} = {x}_node" for x in inputs],
        *[f"            node.kept_{n} = {'out' if n == 'out' else n + '_data'}" for n in asked],
        "            node.form = form",
        "            if form.small:",
        "                node._result = out",
        "            node.order = next_order()",
        "            node.scope = context.scope",
        "            frame = getframe(1)",
        "            code = frame.f_code",
        "            if is_library[code.co_filename]:",
        "                node.code, node.offset = user_site(frame)",
        "            else:",
        "                node.code = code",
        "                node.offset = frame.f_lasti",
        "            tensor = Tensor()",
        "            tensor._data = out",
        "            tensor._node = node",
        "            return tensor",
    ]


def _written_out(rule: Rule, places: dict[str, str], environment: dict[str, Any]) -> str:
    """A rule's formula with what it asks for put in place; a call where it is no lambda."""
    body = _formula(rule.function)
    if body is None:
        name = f"rule_{'_'.join(rule.inputs) or 'forward'}"
        environment[name] = rule.function
        g = ["g"] if rule.inputs else []
        return f"{name}({', '.join(['xp', *g, *(places[ask] for ask in rule.asks)])})"
    return ast.unparse(_PutInPlace(places).visit(body))


class _PutInPlace(ast.NodeTransformer):
    def __init__(self, places: dict[str, str]) -> None:
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
    if len(fitting) > 1:
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
