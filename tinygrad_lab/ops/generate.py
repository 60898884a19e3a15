"""From a declaration to the function that applies it, by writing that function's source.

Every op gets a function with its name, its parameters and its docstring, which calls ``apply``.
For the package's own elementwise ops of one or two inputs the function first tries a short path,
for the ordinary cases: nothing is recorded or checked, and the inputs are Tensors of one form that
want a gradient, or one such Tensor and a Python number. It does the same work with the loops over
inputs and rules written out, the formulas of the lambdas put in their places, and a node class
with a slot for each thing to remember. ``test_declaration.py`` holds it against ``apply``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from tinygrad_lab.context import current
from tinygrad_lab.node import next_order
from tinygrad_lab.ops import apply as apply_module
from tinygrad_lab.ops.apply import apply, entry_points
from tinygrad_lab.ops.declaration import Op, Plan, Rule
from tinygrad_lab.ops.nodes import node_class
from tinygrad_lab.ops.source import run, written_out
from tinygrad_lab.site import is_library, user_site

__all__ = ["entry_point"]


def entry_point(op: Op, defaults: dict[str, Any]) -> Callable[..., Any]:
    """The function ``op.name(*inputs, *attributes)``."""
    environment: dict[str, Any] = {
        "_op": op,
        "_apply": apply,
        "Tensor": apply_module.Tensor,
        "current": current,
        "next_order": next_order,
        "getframe": sys._getframe,
        "is_library": is_library,
        "user_site": user_site,
    }
    parameters, values = _parameters(op, defaults, environment)
    lines = [f"def {op.name}({parameters}):"]
    if _patterns(op):
        lines += _short_paths(op, environment)
    lines += [f"    return _apply(_op, {values})"]
    run(lines, f"<tinygrad_lab op {op.name}>", environment)
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


def _short_path(op: Op, wanting: tuple[str, ...], environment: dict[str, Any]) -> list[str]:
    """What the function does where the inputs in ``wanting`` want a gradient."""
    name = f"node_for_{'_and_'.join(wanting)}"
    plan = op.plan(tuple(x in wanting for x in op.inputs))
    environment[name] = _class_to_come(name, plan, environment)
    numbers = [x for x in op.inputs if x not in wanting]
    places = {x: x if x in numbers else f"{x}._data" for x in op.inputs}
    if not numbers:
        places = {x: f"{x}_data" for x in op.inputs}
    formula = written_out(Rule((), op.forward, op.inputs, joint=False), places, environment)
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


def _class_to_come(name: str, plan: Plan, environment: dict[str, Any]) -> Callable[[], Any]:
    """Stands for a class of nodes until one is wanted: most are not, and each takes 0.4 ms."""

    def first() -> Any:
        environment[name] = node_class(plan, alike=True)
        return environment[name]()

    return first


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
