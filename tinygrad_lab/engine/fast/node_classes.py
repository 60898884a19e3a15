"""The class of an op's nodes, written out: a slot for each thing to remember.

An op has one such class for each set of its inputs that want a gradient. What a node links to
and what it keeps lie in slots (a tuple of inputs and a dictionary take longer to make than most
ops take), and what ``Application`` says in loops over inputs and rules stands written out:

    class multiply_node(Application):
        __slots__ = ('from_x', 'from_y', 'kept_y', 'kept_x')
        def pull_back(node, g):
            return ((node.from_x, g * node.kept_y), (node.from_y, g * node.kept_x), )

``test_declaration.py`` holds it against the plain loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_lab.backends import NUMBERS, namespaces
from tinygrad_lab.engine.declaration import Op, Plan
from tinygrad_lab.engine.fast.source import called, run, written_out
from tinygrad_lab.engine.node import Application, unbroadcast

__all__ = ["node_class", "slots_of"]


def node_class(plan: Plan, *, alike: bool = False) -> Any:
    """The class of the nodes of an op where the inputs marked in ``plan.needs`` want a gradient.

    ``alike`` promises that all inputs have the form of the output, or are numbers: then no
    gradient needs to be un-broadcast, and the rules' formulas stand for themselves.
    """
    op = plan.op
    name = f"{op.name}_node"
    slots = [f"from_{x}" for x in op.inputs] + slots_of(plan)
    slots += ["attributes"] if op.attributes else []
    # Any number of inputs may want a gradient, and a class for each number would be too many.
    slots += ["plan"] if op.variadic else []
    lines = [f"class {name}(Application):", f"    __slots__ = {tuple(slots)!r}"]
    environment: dict[str, Any] = {
        "Application": Application,
        "namespaces": namespaces,
        "unbroadcast": unbroadcast,
        "fact": _fact,
    }
    lines += ["    def remember(node, plan, links, arrays, out, residual, attributes):"]
    lines += [f"        {line}" for line in _remember(plan)]
    if not (op.variadic or op.several_outputs):
        lines += ["    def pull_back(node, g):"]
        lines += [f"        {line}" for line in _pull_back(plan, alike, environment)]
    lines += ["    def release(node):"]
    lines += [f"        del node.{slot}" for slot in slots_of(plan)] or ["        pass"]
    wanting = " and ".join(x for x, wants in zip(op.inputs, plan.needs, strict=False) if wants)
    how = ", alike" if alike else ""
    run(lines, f"<tinygrad_lab node of {op.name} for {wanting}{how}>", environment)
    written = environment[name]
    written.op = op
    if not op.variadic:
        written.plan = plan
    if not op.attributes:
        written.attributes = {}
    return written


def slots_of(plan: Plan) -> list[str]:
    """Where a node keeps what its rules ask for."""
    return [f"kept_{name}" for name in plan.keeps]


def kept_from(op: Op, arrays: Mapping[str, str]) -> dict[str, str]:
    """Where what a rule may ask for is found when a node is made, from where the arrays are."""
    kept = {
        f"{x}_{what}": f"fact({array}, {what!r})"
        for x, array in arrays.items()
        for what in ("shape", "dtype", "device")
    }
    kept |= {name: f"attributes[{name!r}]" for name in op.attributes}
    return {**kept, **arrays, "out": "out", "residual": "residual", "needs": "plan.needs"}


def _remember(plan: Plan) -> list[str]:
    """The body of the function that links a node to its inputs and keeps what its rules ask for."""
    op = plan.op
    arrays = {x: f"arrays[{position}]" for position, x in enumerate(op.inputs)}
    links = [f"node.from_{x}" for x in op.inputs]
    lines = [f"{', '.join(links)}, = links"]
    if op.variadic:
        first, several = len(op.inputs) - 1, op.inputs[-1]
        arrays[several] = f"tuple(arrays[{first}:])"
        lines = [f"{', '.join([*links[:-1], '*several'])}, = links"]
        lines += [f"node.from_{several} = tuple(several)", "node.plan = plan"]
    lines += ["node.attributes = attributes"] if op.attributes else []
    whence = kept_from(op, arrays)
    return lines + [f"node.kept_{name} = {whence[name]}" for name in plan.keeps]


def _pull_back(plan: Plan, alike: bool, environment: dict[str, Any]) -> list[str]:
    """The body of ``Application.pull_back`` for the rules of one plan."""
    places = {name: f"node.kept_{name}" for name in plan.keeps}
    lines = ["xp = namespaces[g.__class__]"]
    links = []
    for number, (rule, positions) in enumerate(plan.rules):
        formula = (written_out if alike and not rule.joint else called)(rule, places, environment)
        gradients = [formula]
        if rule.joint:
            gradients = [f"gradient_{number}_{position}" for position in positions]
            lines.append(f"{', '.join(gradients)}, = {formula}")
        for position, gradient in zip(positions, gradients, strict=True):
            source = f"node.from_{plan.op.inputs[position]}"
            if plan.needs[position]:
                fitting = gradient if alike else f"unbroadcast(xp, {gradient}, {source})"
                links.append(f"({source}, {fitting}), ")
    if not any("xp" in line for line in [*lines[1:], *links]):
        del lines[0]
    return [*lines, f"return ({''.join(links)})"]


def _fact(array: Any, what: str) -> Any:
    """Shape, dtype or device of an array (of each, where there are several)."""
    if isinstance(array, tuple):
        return tuple(_fact(one, what) for one in array)
    if what == "shape":
        return getattr(array, "shape", ())
    if what == "dtype":
        return getattr(array, "dtype", type(array))
    if array.__class__ in NUMBERS:
        return "python"
    return namespaces[array.__class__].device_of(array)
