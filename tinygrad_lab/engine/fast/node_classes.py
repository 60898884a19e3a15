"""The class of an op's nodes, written out: a slot for each thing to remember.

An op has one such class for each set of its inputs that need a gradient. What ``Application``
holds in a tuple of inputs and a dictionary, which take longer to make than most ops take, lies in
slots; its loop over the rules is written out:

    class multiply_node(WrittenNode):
        __slots__ = ('from_x', 'from_y', 'kept_y', 'kept_x')
        def pull_back(node, g):
            return ((node.from_x, g * node.kept_y), (node.from_y, g * node.kept_x), )
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinygrad_lab.backends import NUMBERS, fact, namespaces
from tinygrad_lab.engine.fast.source import called, run, written_out
from tinygrad_lab.engine.node import Leaf, Node, unbroadcast
from tinygrad_lab.engine.op import Op, Plan

__all__ = ["WrittenNode", "links_of", "node_class", "source_or_number"]


class WrittenNode(Node):
    """What ``Application`` is, in slots ``from_x`` for the inputs and ``kept_y`` for the rest."""

    __slots__ = ()
    plan: Plan
    op: Op
    requires_grad = True

    @property
    def inputs(self) -> tuple[Node | None, ...]:  # type: ignore[override]
        return tuple(self._source(name) for name in self.op.inputs)

    def _source(self, name: str) -> Node | None:
        """Return the node of an input; a number gets one when somebody reads the graph."""
        source = getattr(self, f"from_{name}")
        if source.__class__ in NUMBERS:
            source = Leaf(source)
            # As old as it would be had it been made when it was used.
            source.priority = self.priority + 0.5
            setattr(self, f"from_{name}", source)
        return source

    @property
    def kept(self) -> Mapping[str, Any]:  # type: ignore[override]
        slots = {name: f"kept_{name}" for name in self.plan.keeps}
        return {name: getattr(self, slot) for name, slot in slots.items() if hasattr(self, slot)}


def node_class(plan: Plan, *, one_form: bool = False) -> Any:
    """Return the class of an op's nodes where the inputs in ``plan.needs`` need a gradient.

    ``one_form`` promises that all inputs have the form of the output, or are numbers. Then no
    gradient needs to be un-broadcast, and formulas take the place of calls of the rules.
    """
    op = plan.op
    name = f"{op.name}_node"
    slots = [*links_of(op), *slots_of(plan)]
    slots += ["attributes"] if op.attributes else []
    environment: dict[str, Any] = {
        "WrittenNode": WrittenNode,
        "namespaces": namespaces,
        "unbroadcast": unbroadcast,
        "fact": fact,
    }
    lines = [f"class {name}(WrittenNode):", f"    __slots__ = {tuple(slots)!r}"]
    lines += ["    def remember(node, links, arrays, out, residual, attributes):"]
    lines += [f"        {line}" for line in _remember(plan)]
    lines += ["    def pull_back(node, g):"]
    lines += [f"        {line}" for line in _pull_back(plan, one_form, environment)]
    lines += ["    def release(node):"]
    lines += ["        try:"]
    lines += [f"            del node.{slot}" for slot in slots_of(plan)] or ["            pass"]
    lines += ["        except AttributeError:", "            return  # it was released before"]
    needing = " and ".join(x for x, needed in zip(op.inputs, plan.needs, strict=True) if needed)
    forms = ", one form" if one_form else ""
    run(lines, f"<tinygrad_lab node of {op.name} for {needing}{forms}>", environment)
    written = environment[name]
    written.op = op
    written.plan = plan
    return written


def links_of(op: Op) -> list[str]:
    """Return the slots in which a node links to its inputs."""
    return [f"from_{x}" for x in op.inputs]


def slots_of(plan: Plan) -> list[str]:
    """Return the slots in which a node keeps what its rules ask for."""
    return [f"kept_{name}" for name in plan.keeps]


def _remember(plan: Plan) -> list[str]:
    """Write the body of the method that links a node and keeps what its rules ask for."""
    op = plan.op
    arrays = {x: f"arrays[{position}]" for position, x in enumerate(op.inputs)}
    found = {
        f"{x}_{what}": f"fact({array}, {what!r})"
        for x, array in arrays.items()
        for what in ("shape", "dtype", "device")
    }
    found |= {name: f"attributes[{name!r}]" for name in op.attributes}
    found |= {**arrays, "out": "out", "residual": "residual", "needs": "node.plan.needs"}
    lines = [f"{', '.join(f'node.{link}' for link in links_of(op))}, = links"]
    lines += ["node.attributes = attributes"] if op.attributes else []
    return lines + [f"node.kept_{name} = {found[name]}" for name in plan.keeps]


def _pull_back(plan: Plan, one_form: bool, environment: dict[str, Any]) -> list[str]:
    """Write the body of ``Node.pull_back`` for the rules of one plan."""
    places = {name: f"node.kept_{name}" for name in plan.keeps}
    lines = ["xp = namespaces[g.__class__]"]
    links = []
    for number, (rule, positions) in enumerate(plan.rules):
        in_place = one_form and not rule.joint
        formula = (written_out if in_place else called)(rule, places, environment)
        gradients = [formula]
        if rule.joint:
            gradients = [f"gradient_{number}_{position}" for position in positions]
            lines.append(f"{', '.join(gradients)}, = {formula}")
        for position, gradient in zip(positions, gradients, strict=True):
            source = f"node.from_{plan.op.inputs[position]}"
            if plan.needs[position]:
                fitting = gradient if one_form else f"unbroadcast(xp, {gradient}, {source})"
                links.append(f"({source}, {fitting}), ")
    if not any("xp" in line for line in [*lines[1:], *links]):
        del lines[0]
    return [*lines, f"return ({''.join(links)})"]


def source_or_number(x: Any) -> Any:
    """Return what a written node holds of an input that is no Tensor: a node, or a number."""
    return x if x is None or x.__class__ in NUMBERS else Leaf(x)
