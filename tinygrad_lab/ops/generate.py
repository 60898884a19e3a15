"""From a declaration to the function that applies it, by writing that function's source.

Every op gets a function with its name, its parameters and its docstring, which calls ``apply``.
For the package's own elementwise ops of one or two inputs the function first tries a short path,
for the ordinary cases: nothing is recorded or checked, and the inputs are Tensors of one form that
want a gradient, or one such Tensor and a Python number. It does the same work with the loops over
inputs and rules written out, the formulas of the lambdas put in their places, and a node class
with a slot for each thing to remember. ``test_declaration.py`` holds it against ``apply``.
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
from tinygrad_lab.node import Leaf, Node, next_order
from tinygrad_lab.ops import apply as apply_module
from tinygrad_lab.ops.apply import apply, entry_points
from tinygrad_lab.ops.declaration import Op, Plan, Rule
from tinygrad_lab.site import is_library, user_site

__all__ = ["entry_point"]


def entry_point(op: Op, defaults: dict[str, Any]) -> Callable[..., Any]:
    """The function ``op.name(*inputs, *attributes)``."""
    environment: dict[str, Any] = {
        "_op": op,
        "_apply": apply,
        "Tensor": apply_module.Tensor,
        "current": current,
        "namespaces": namespaces,
        "Node": Node,
        "next_order": next_order,
        "getframe": sys._getframe,
        "is_library": is_library,
        "user_site": user_site,
        "remaining": _remaining,
        "constant": _constant,
    }
    parameters, values = _parameters(op, defaults, environment)
    lines = []
    for wanting in _patterns(op):
        lines += _node_class(op, wanting, environment)
    lines += [f"def {op.name}({parameters}):"]
    if _patterns(op):
        lines += _short_paths(op, environment)
    lines += [f"    return _apply(_op, {values})"]
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
        environment[f"_default_{name}"] = default
        required = default is inspect.Parameter.empty
        parameters.append(name if required else f"{name}=_default_{name}")
    inputs = "".join(
        f"*{name}, " if op.variadic and name == op.inputs[-1] else f"{name}, " for name in op.inputs
    )
    attributes = ", ".join(f"{name!r}: {name}" for name in defaults)
    return ", ".join(parameters), f"({inputs}), {{{attributes}}}"


# --- the short path ------------------------------------------------------------------------------


def _patterns(op: Op) -> list[tuple[str, ...]]:
    """The inputs that want a gradient in each case that has a short path; the rest are numbers."""
    if not op.elementwise or op.attributes or not op.rules or len(op.inputs) > 2:
        return []
    if not is_library[op.forward.__code__.co_filename]:
        # A user's rules may widen a dtype; only ``apply`` sees to that.
        return []
    return [op.inputs] if len(op.inputs) == 1 else [op.inputs, op.inputs[:1], op.inputs[1:]]


def _node_class(op: Op, wanting: tuple[str, ...], environment: dict[str, Any]) -> list[str]:
    """The node of a short path: slots instead of a tuple of inputs and a dictionary."""
    name = _class_name(wanting)
    plan = op.plan(tuple(x in wanting for x in op.inputs))
    environment[f"plan_of_{name}"] = plan
    in_their_place = {asked: f"node.kept_{asked}" for asked in plan.keeps}
    links = [
        f"(node.from_{rule.inputs[0]}, {_written_out(rule, in_their_place, environment)}), "
        for rule, _ in plan.steps
    ]
    inputs = "".join(
        f"node.from_{x}, " if x in wanting else f"constant(node, {x!r}), " for x in op.inputs
    )
    return [
        f"class {name}(Node):",
        f"    __slots__ = {tuple([f'from_{x}' for x in op.inputs] + _slots(plan))!r}",
        f"    plan = plan_of_{name}",
        "    op = _op",
        "    attributes = {}",
        f"    inputs = property(lambda node: ({inputs}))",
        "    kept = property(remaining)",
        "    def pull_back(node, g):",
        *(["        xp = namespaces[g.__class__]"] if "xp" in "".join(links) else []),
        f"        return ({''.join(links)})",
        "    def release(node):",
        *([f"        del node.{slot}" for slot in _slots(plan)] or ["        pass"]),
    ]


def _class_name(wanting: tuple[str, ...]) -> str:
    return f"node_for_{'_and_'.join(wanting)}"


def _slots(plan: Plan) -> list[str]:
    return [f"kept_{name}" for name in plan.keeps]


def _remaining(node: Any) -> dict[str, Any]:
    """What a node of a short path keeps, as long as it was not released."""
    return {
        name: getattr(node, slot)
        for name, slot in zip(node.plan.keeps, _slots(node.plan), strict=True)
        if hasattr(node, slot)
    }


def _constant(node: Any, name: str) -> Node:
    """The node of an input that is a number, made when somebody reads the graph."""
    number = getattr(node, f"from_{name}")
    if not isinstance(number, Node):
        leaf = Leaf(number)
        # As old as it would be had it been made when it was used.
        leaf.order = node.order + 0.5
        setattr(node, f"from_{name}", leaf)
        return leaf
    return number


def _short_path(op: Op, wanting: tuple[str, ...], environment: dict[str, Any]) -> list[str]:
    """What the function does where the inputs in ``wanting`` want a gradient."""
    name = _class_name(wanting)
    numbers = [x for x in op.inputs if x not in wanting]
    places = {x: x if x in numbers else f"{x}._data" for x in op.inputs}
    if len(wanting) == len(op.inputs):
        places = {x: f"{x}_data" for x in op.inputs}
    plan = op.plan(tuple(x in wanting for x in op.inputs))
    formula = _written_out(Rule((), op.forward, op.inputs, joint=False), places, environment)
    first, *others = [f"{x}_node" for x in wanting]
    conditions = [f"{node} is not None" for node in (first, *others)]
    conditions += [f"{first}.form is {node}.form" for node in others]
    conditions += [f"({x}.__class__ is float or {x}.__class__ is int)" for x in numbers]
    work = [
        *[f"{place} = {x}._data" for x, place in places.items() if place == f"{x}_data"],
        f"form = {first}.form",
        *(["xp = form.namespace"] if "xp" in formula else []),
        f"out = {formula}",
        f"node = {name}()",
        *[f"node.from_{x} = {x if x in numbers else f'{x}_node'}" for x in op.inputs],
        *[f"node.kept_{asked} = {places.get(asked, asked)}" for asked in plan.keeps],
    ]
    return [f"if {' and '.join(conditions)}:", *[f"    {line}" for line in work]]


_RECORD = """
        if node is not None:
            node.form = form
            if form.small:
                node._result = out
            node.order = next_order()
            node.scope = context.scope
            frame = getframe(1)
            code = frame.f_code
            if is_library[code.co_filename]:
                node.code, node.offset = user_site(frame)
            else:
                node.code = code
                node.offset = frame.f_lasti
            tensor = Tensor()
            tensor._data = out
            tensor._node = node
            return tensor
""".strip("\n").splitlines()


def _short_paths(op: Op, environment: dict[str, Any]) -> list[str]:
    """The body of the function up to the call of ``apply``."""
    lines = [
        "    context = current()",
        "    if context.ordinary:",
        "        node = None",
        *[f"        {x}_node = {x}._node if {x}.__class__ is Tensor else None" for x in op.inputs],
    ]
    for position, wanting in enumerate(_patterns(op)):
        branch = _short_path(op, wanting, environment)
        branch[0] = branch[0] if position == 0 else f"el{branch[0]}"
        lines += [f"        {line}" for line in branch]
    return lines + _RECORD


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
