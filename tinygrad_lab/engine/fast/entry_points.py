"""From a declaration to the function that applies it, by writing that function's source.

Every op gets a function with its name, its parameters and its docstring, which calls ``apply``.
Where nothing is recorded or checked, the package's own ops first try a direct way: ``apply`` with
the loops over inputs written out, which is done at the first call. Elementwise ops of one or two
inputs, whose work may be less than that of calling them, have a short path before it for the most
usual cases: the inputs are Tensors of one form that want a gradient, or one such Tensor and a
Python number. There the formula of the lambda stands in its place. ``test_declaration.py`` holds
both against ``apply``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from tinygrad_lab.backends import form_of, namespace_of, namespaces
from tinygrad_lab.context import current
from tinygrad_lab.engine import apply as apply_module
from tinygrad_lab.engine.apply import (
    FAILURES,
    apply,
    entry_points,
    linkable,
    plain,
    refuse_complex,
    written_class,
)
from tinygrad_lab.engine.declaration import Op, Plan, Rule
from tinygrad_lab.engine.fast.node_classes import node_class
from tinygrad_lab.engine.fast.source import run, written_out
from tinygrad_lab.engine.node import next_order
from tinygrad_lab.engine.user_code import is_library, user_site

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
    header, general_way = f"def {op.name}({parameters}):", f"    return _apply(_op, {values})"
    body = [general_way]
    if _has_direct_way(op):
        # Most ops of the package are never called: writing it takes a millisecond.
        environment["_written_out"] = partial(_write_out, op, header, values, environment)
        body = ["    if current().ordinary:", "        _written_out()", general_way]
    run([header, *body], f"<tinygrad_lab op {op.name}>", environment)
    function: Callable[..., Any] = environment[op.name]
    function.__doc__ = op.doc or None
    function.__module__ = "tinygrad_lab"
    function.op = op  # type: ignore[attr-defined]
    entry_points.append(function)
    return function


def _write_out(op: Op, header: str, values: str, environment: dict[str, Any]) -> None:
    """Give an op's function its direct way, from its next call on."""
    function = environment[op.name]
    body = ["    context = current()", "    if context.ordinary:"]
    body += [f"        {line}" for line in _direct_way(op, values, environment)]
    written = [header, *body, f"    return _apply(_op, {values})"]
    run(written, f"<tinygrad_lab op {op.name}>", environment)
    function.__code__ = environment[op.name].__code__
    environment[op.name] = function


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


# --- the direct way ------------------------------------------------------------------------------


def _has_direct_way(op: Op) -> bool:
    """Whether the op is one of the package: the names in a user's could be those used here."""
    special = not op.rules or op.variadic or op.several_outputs
    return not special and is_library[op.forward.__code__.co_filename]


def _direct_way(op: Op, values: str, environment: dict[str, Any]) -> list[str]:
    """What the function does where nothing is asked but gradients."""
    lines = []
    for x in op.inputs:
        lines += [
            # The first test alone is enough but for a Parameter, and takes half the time.
            f"if {x}.__class__ is Tensor or isinstance({x}, Tensor):",
            f"    {x}_data = {x}._data",
            f"    {x}_node = {x}._node",
            "else:",
            f"    {x}_data = {x}",
            f"    {x}_node = None",
        ]
    long_path = _long_path(op, values, environment)
    short_paths = [_short_path(op, wanting, environment) for wanting in _patterns(op)]
    if not short_paths:
        return lines + long_path + _RECORD
    for position, (condition, *work) in enumerate(short_paths):
        lines += [f"el{condition}" if position else condition, *work]
    return [*lines, "else:", *(f"    {line}" for line in long_path), *_RECORD]


def _long_path(op: Op, values: str, environment: dict[str, Any]) -> list[str]:
    """``apply`` for a number of inputs that is known, where nothing is recorded or checked."""
    environment |= {
        "failures": FAILURES,
        "form_of": form_of,
        "forward": op.forward,
        "linkable": linkable,
        "namespace_of": namespace_of,
        "namespaces": namespaces,
        "plain": plain,
        "plans": op.plans,
        "refuse_complex": refuse_complex,
        "written_class": written_class,
    }
    arrays = "".join(f"{x}_data, " for x in op.inputs)
    given = arrays + "".join(f"{name}={name}, " for name in op.attributes)
    attributes = ", ".join(f"{name!r}: {name}" for name in op.attributes)
    needs = "".join(f"{x}_node is not None, " for x in op.inputs)
    # Data that go through many steps have a node that was made at the first.
    known = "{x}_node or getattr({x}, '_origin', None) or linkable({x}), "
    links = "".join(known.format(x=x) for x in op.inputs)
    first, *others = (f"{x}_data.__class__" for x in op.inputs)
    alike = " and ".join(f"{other} is {first}" for other in others) or "True"
    return [
        "try:",
        # One look-up where all are of one kind, as they mostly are.
        f"    xp = namespaces.get({first}) if {alike} else None",
        f"    if xp is None: xp = namespace_of(({arrays}))",
        f"    {'out, residual' if op.residual else 'out'} = forward(xp, {given})",
        "except failures:",
        "    # It fails there again, and is explained.",
        f"    return _apply(_op, {values})",
        "form = form_of(out)",
        f"needs = ({needs})",
        "plan = plans.get(needs) or _op.plan(needs)",
        "if not (plan.rules and form.floating):",
        "    if plan.rules:",
        f"        refuse_complex(_op, ({', '.join(op.inputs)},), form, {{{attributes}}})",
        "    return plain(out)",
        "node = (plan.node_class or written_class(plan))()",
        f"node.remember(plan, ({links}), ({arrays}), out, "
        f"{'residual' if op.residual else None}, {{{attributes}}})",
    ]


# --- the short path ------------------------------------------------------------------------------


def _patterns(op: Op) -> list[tuple[str, ...]]:
    """The inputs that want a gradient in each case that has a short path; the rest are numbers."""
    if not op.elementwise or op.attributes or len(op.inputs) > 2:
        return []
    return [op.inputs] if len(op.inputs) == 1 else [op.inputs, op.inputs[:1], op.inputs[1:]]


def _short_path(op: Op, wanting: tuple[str, ...], environment: dict[str, Any]) -> list[str]:
    """What the function does where the inputs in ``wanting`` want a gradient."""
    name = f"node_for_{'_and_'.join(wanting)}"
    plan = op.plan(tuple(x in wanting for x in op.inputs))
    environment[name] = _class_to_come(name, plan, environment)
    numbers = [x for x in op.inputs if x not in wanting]
    places = {x: x if x in numbers else f"{x}_data" for x in op.inputs}
    formula = written_out(Rule((), op.forward, op.inputs, joint=False), places, environment)
    first, *others = [f"{x}_node" for x in wanting]
    conditions = [f"{node} is not None" for node in (first, *others)]
    conditions += [f"{first}.form is {node}.form" for node in others]
    conditions += [f"({x}.__class__ is float or {x}.__class__ is int)" for x in numbers]
    return [
        f"if {' and '.join(conditions)}:",
        f"    form = {first}.form",
        *(["    xp = form.namespace"] if "xp" in formula else []),
        f"    out = {formula}",
        f"    node = {name}()",
        *[f"    node.from_{x} = {x if x in numbers else f'{x}_node'}" for x in op.inputs],
        *[f"    node.kept_{asked} = {places.get(asked, asked)}" for asked in plan.keeps],
    ]


def _class_to_come(name: str, plan: Plan, environment: dict[str, Any]) -> Callable[[], Any]:
    """Stands for a class of nodes until one is wanted: most are not, and each takes 0.4 ms."""

    def first() -> Any:
        environment[name] = node_class(plan, alike=True)
        return environment[name]()

    return first


_RECORD = """
node.form = form
if form.small:
    node._result = out
node.order = next_order()
node.scope = context.scope
frame = getframe(1)
code = frame.f_code
if is_library[code.co_filename]:
    node.code, node.offset = user_site(frame.f_back)
else:
    node.code = code
    node.offset = frame.f_lasti
tensor = Tensor()
tensor._data = out
tensor._node = node
return tensor
""".strip().splitlines()
"""What every way ends with."""
