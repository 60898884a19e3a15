"""From a declaration to the function that applies it, by writing that function's source.

Every op gets a function with its name and its parameters, which calls ``apply``. Before that it
tries a direct way, where nothing is recorded or checked: ``apply`` and ``Application`` with their
loops over inputs written out. Elementwise ops of the package of one or two inputs have a short path
in front of it for the most usual cases: the inputs are Tensors of one form that need a gradient, or
one such Tensor and a Python number. There the formula of the lambda stands in place of its call.

The source is written when an op is first called, before that call goes on: writing it takes a
millisecond, and most ops of the package are never called.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from inspect import Parameter
from types import FunctionType
from typing import Any
from unicodedata import normalize

from tinygrad_lab.backends import form_of, namespace_of, namespaces
from tinygrad_lab.context import current
from tinygrad_lab.engine.apply import apply, function_of
from tinygrad_lab.engine.explain import FAILURES_OF_FORWARDS, explained
from tinygrad_lab.engine.fast.node_classes import node_class, source_or_number
from tinygrad_lab.engine.fast.source import run, written_out
from tinygrad_lab.engine.keywords import ABSENT, misfit
from tinygrad_lab.engine.node import next_priority
from tinygrad_lab.engine.op import Op, Rule
from tinygrad_lab.engine.reading import real_tensors
from tinygrad_lab.engine.tensor import ComplexTensor, Tensor, detached
from tinygrad_lab.engine.user_code import is_library, is_of_library, user_site

__all__ = ["explaining_function_of", "written_function_of"]


def written_function_of(op: Op) -> Callable[..., Any]:
    """Return the function that applies an op, which does what ``function_of(op)`` does.

    An op with attributes explains arguments that it does not take. Others leave that to Python,
    for collecting them takes 40 ns: operators and modules use these, users the explaining ones.
    """
    return _written(op, explains=bool(op.attributes)) if _can_be_written(op) else function_of(op)


def explaining_function_of(op: Op) -> Callable[..., Any]:
    """Return the function that applies an op, and explains arguments that it does not take."""
    return _written(op, explains=True) if _can_be_written(op) else function_of(op)


def _written(op: Op, *, explains: bool) -> Callable[..., Any]:
    # Both sources of an op are kept for readers, under names of their own.
    file = f"<tinygrad_lab op {op.name}{'' if explains else ' for operators'}>"
    environment: dict[str, Any] = {"__name__": file}
    function = FunctionType(_first_call.__code__, environment, op.name)

    def written() -> Callable[..., Any]:
        """Write the function in place of the code that was called first."""
        environment.update({"_apply": apply, "_op": op})
        parameters, values = _parameters(op, environment, explains=explains)
        lines = [f"def {op.name}({parameters}):"]
        lines += [f"    {_refusal(op, environment)}"] if explains else []
        if op.rules and not op.variadic and not op.several_outputs:
            lines += ["    context = current()", "    if context.ordinary:"]
            lines += [f"        {line}" for line in _direct_way(op, environment)]
        run([*lines, f"    return _apply(_op, {values})"], environment["__name__"], environment)
        whole, environment[op.name] = environment[op.name], function
        function.__defaults__ = whole.__defaults__
        function.__kwdefaults__ = whole.__kwdefaults__
        function.__code__ = whole.__code__
        return function

    environment["_written"] = written
    return function


def _first_call(*args: Any, **kwargs: Any) -> Any:
    """Stands for a function that is not written yet."""
    return _written()(*args, **kwargs)  # type: ignore[call-arg]  # in the function's environment


def _refusal(op: Op, environment: dict[str, Any]) -> str:
    """Write the statement that explains a call with arguments that the op does not take.

    An input that is left out makes the forward fail, and is explained there, which takes no time
    where nothing fails. An attribute might not, nor would a composite say what is wrong.
    """
    environment |= {"_misfit": misfit, "_absent": ABSENT}
    more, wrong = ("()", ["_others"]) if op.variadic else ("_more", ["_more", "_others"])
    checked = op.signature.parameters if op.composite else op.attributes
    wrong += [f"{name} is _absent" for name in _required(op) if name in checked]
    given = ", ".join(f"{name!r}: {name}" for name in op.signature.parameters)
    return f"if {' or '.join(wrong)}: raise _misfit(_op, {{{given}}}, {more}, _others)"


def _required(op: Op) -> list[str]:
    """Return the arguments that a call must give, but for any number of inputs."""
    return [
        name
        for name, p in op.signature.parameters.items()
        if p.default is Parameter.empty and p.kind is not Parameter.VAR_POSITIONAL
    ]


def _parameters(op: Op, environment: dict[str, Any], *, explains: bool) -> tuple[str, str]:
    """Return the function's parameters, and the arguments for ``apply``.

    One that explains what is missing has a default for everything.
    """
    parameters: list[str] = []
    star = "*_more" if explains else "*"
    for name, parameter in op.signature.parameters.items():
        by_name = parameter.kind is Parameter.KEYWORD_ONLY
        several = parameter.kind is Parameter.VAR_POSITIONAL
        text = f"*{name}" if several else name
        if by_name and not op.variadic and star not in parameters:
            parameters.append(star)
        if parameter.default is not Parameter.empty:
            environment[f"_default_{name}"] = parameter.default
            text = f"{name}=_default_{name}"
        elif explains and not several:
            text = f"{name}=_absent"
        parameters.append(text)
    if explains:
        parameters += [] if op.variadic or star in parameters else [star]
        parameters.append("**_others")
    last = op.inputs[-1] if op.variadic else None
    inputs = "".join(f"*{name}, " if name == last else f"{name}, " for name in op.inputs)
    attributes = ", ".join(f"{name!r}: {name}" for name in op.attributes)
    return ", ".join(parameters), f"({inputs}), {{{attributes}}}"


# --- the direct way ------------------------------------------------------------------------------


_ENVIRONMENT: dict[str, Any] = {
    "Tensor": Tensor,
    "ComplexTensor": ComplexTensor,
    "current": current,
    "detached": detached,
    "explained": explained,
    "failures": FAILURES_OF_FORWARDS,
    "form_of": form_of,
    "getframe": sys._getframe,
    "is_library": is_library,
    "namespace_of": namespace_of,
    "namespaces": namespaces,
    "next_priority": next_priority,
    "real_tensors": real_tensors,
    "source_or_number": source_or_number,
    "user_site": user_site,
}
"""The names that written functions use."""

_RESERVED = {
    *_ENVIRONMENT,
    *("context", "form", "forward", "kind", "node", "tensor", "frame", "code", "out", "residual"),
    *("xp", "error", "getattr", "isinstance", "_apply", "_op", "_written", "_node_classes"),
    *("_source_of", "_absent", "_misfit", "_more", "_others"),
}
"""Those and the variables of written functions, which no input or attribute may be called."""


def _can_be_written(op: Op) -> bool:
    """Return whether no name of a user's op has a meaning in a written function, or to Python."""
    names = [op.name, *op.signature.parameters]
    reserved = _RESERVED | {f"{x}_{what}" for x in op.inputs for what in ("data", "node")}
    reserved |= {f"_default_{name}" for name in names}
    by_position = any(p.kind is p.POSITIONAL_ONLY for p in op.signature.parameters.values())
    plain_names = all(normalize("NFKC", name) == name for name in names)
    return reserved.isdisjoint(names) and plain_names and not by_position


def _direct_way(op: Op, environment: dict[str, Any]) -> list[str]:
    """Write what the function does where nothing is asked but gradients."""
    environment |= _ENVIRONMENT | {"forward": op.forward}
    lines = []
    for x in op.inputs:
        lines += [
            # The first test is enough but for a Parameter, and takes half the time.
            f"if {x}.__class__ is Tensor or {x}.__class__ in real_tensors:",
            f"    {x}_data = {x}._data",
            f"    {x}_node = {x}._node",
            f"elif {x}.__class__ is ComplexTensor:",
            f"    {_handed_on(op)}",
            "else:",
            f"    {x}_data = {x}",
            f"    {x}_node = None",
        ]
    long_path = _long_path(op, environment)
    short_paths = [_short_path(op, needing, environment) for needing in _short_cases(op)]
    if not short_paths:
        return lines + long_path + _RECORD
    for position, (condition, *work) in enumerate(short_paths):
        lines += [f"el{condition}" if position else condition, *work]
    return [*lines, "else:", *(f"    {line}" for line in long_path), *_RECORD]


def _long_path(op: Op, environment: dict[str, Any]) -> list[str]:
    """Write ``apply`` for a known number of inputs, where nothing is recorded or checked."""
    arrays = "".join(f"{x}_data, " for x in op.inputs)
    given = arrays + "".join(f"{name}={name}, " for name in op.attributes)
    attributes = ", ".join(f"{name!r}: {name}" for name in op.attributes)
    needs = "".join(f"{x}_node is not None, " for x in op.inputs)
    # Data that go through many steps have a node that was made in the first.
    link = "{x}_node or getattr({x}, '_origin', None) or _source_of({x}), "
    links = "".join(link.format(x=x) for x in op.inputs)
    environment["_source_of"] = _source_of
    environment["_node_classes"] = _NodeClasses(op)
    first, *others = (f"{x}_data.__class__" for x in op.inputs)
    same_kind = " and ".join(f"{other} is {first}" for other in others) or "True"
    return [
        "try:",
        # One look-up where all are of one kind, as they mostly are.
        f"    xp = namespaces.get({first}) if {same_kind} else None",
        f"    if xp is None: xp = namespace_of(({arrays}))",
        f"    {'out, residual' if op.residual else 'out'} = forward(xp, {given})",
        "except failures as error:",
        f"    raise {_explained(op)} from None",
        "form = form_of(out)",
        f"kind = _node_classes[{needs}]",
        "if kind is None or not form.floating:",
        "    if kind is not None and form.smooth:  # complex numbers",
        f"        {_handed_on(op)}",
        "    return detached(out)",
        "node = kind()",
        f"node.remember(({links}), ({arrays}), out, "
        f"{'residual' if op.residual else None}, {{{attributes}}})",
    ]


def _handed_on(op: Op) -> str:
    """Write the statement that leaves a call to the plain engine."""
    attributes = ", ".join(f"{name!r}: {name}" for name in op.attributes)
    return f"return _apply(_op, ({', '.join(op.inputs)},), {{{attributes}}})"


def _explained(op: Op) -> str:
    """Write the call that words a failure of the forward for the user."""
    inputs, arrays = (", ".join(names) for names in (op.inputs, [f"{x}_data" for x in op.inputs]))
    attributes = ", ".join(f"{name!r}: {name}" for name in op.attributes)
    return f"explained(_op, ({inputs},), ({arrays},), {{{attributes}}}, error)"


def _source_of(x: Any) -> Any:
    return x.node if isinstance(x, Tensor) else source_or_number(x)


class _NodeClasses(dict[tuple[bool, ...], Any]):
    """The classes of an op's nodes by the inputs that need a gradient, written when asked for.

    None where no rule serves any of those inputs.
    """

    def __init__(self, op: Op) -> None:
        self._op = op

    def __missing__(self, needs: tuple[bool, ...]) -> Any:
        plan = self._op.plan(needs)
        written = self[needs] = node_class(plan) if plan.rules else None
        return written


# --- the short path ------------------------------------------------------------------------------


def _short_cases(op: Op) -> list[tuple[str, ...]]:
    """Return the inputs that need a gradient in each case with a short path; others are numbers.

    An elementwise op of the package gives the form of its inputs. One of a user's might not.
    """
    known = op.elementwise and is_of_library(op.forward) and not op.residual
    if not known or op.attributes or len(op.inputs) > 2:
        return []
    return [op.inputs] if len(op.inputs) == 1 else [op.inputs, op.inputs[:1], op.inputs[1:]]


def _short_path(op: Op, needing: tuple[str, ...], environment: dict[str, Any]) -> list[str]:
    """Write what the function does where the inputs in ``needing`` need a gradient."""
    name = f"node_for_{'_and_'.join(needing)}"
    plan = op.plan(tuple(x in needing for x in op.inputs))

    def first() -> Any:
        """Write the class of nodes when one is wanted: most are not, and each takes 0.4 ms."""
        environment[name] = node_class(plan, one_form=True)
        return environment[name]()

    environment[name] = first
    numbers = [x for x in op.inputs if x not in needing]
    places = {x: x if x in numbers else f"{x}_data" for x in op.inputs}
    formula = written_out(Rule((), op.forward, op.inputs, joint=False), places, environment)
    one, *others = [f"{x}_node" for x in needing]
    conditions = [f"{node} is not None" for node in (one, *others)]
    conditions += [f"{one}.form is {node}.form" for node in others]
    conditions += [f"({x}.__class__ is float or {x}.__class__ is int)" for x in numbers]
    return [
        f"if {' and '.join(conditions)}:",
        f"    form = {one}.form",
        *(["    xp = form.namespace"] if "xp" in formula else []),
        "    try:",
        f"        out = {formula}",
        "    except failures as error:",
        f"        raise {_explained(op)} from None",
        f"    node = {name}()",
        *[f"    node.from_{x} = {x if x in numbers else f'{x}_node'}" for x in op.inputs],
        *[f"    node.kept_{asked} = {places.get(asked, asked)}" for asked in plan.keeps],
    ]


_RECORD = """
node.form = form
if form.small:
    node._result = out
node.priority = next_priority()
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
