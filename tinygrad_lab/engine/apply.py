"""Applying an op: compute, and remember how."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import NUMBERS, SEVERAL_FORMS, Form, form_of, namespace_of
from tinygrad_lab.context import current
from tinygrad_lab.engine.declaration import Op, Plan, table
from tinygrad_lab.engine.explain import explained, in_full
from tinygrad_lab.engine.fast.node_classes import node_class
from tinygrad_lab.engine.node import Leaf, next_order
from tinygrad_lab.engine.user_code import user_site
from tinygrad_lab.errors import DTypeError, TinygradLabError

__all__ = [
    "FAILURES",
    "apply",
    "at_node",
    "bind",
    "entry_points",
    "linkable",
    "plain",
    "refuse_complex",
    "written_class",
]

Tensor: Any = None
entry_points: list[Any] = []
"""The functions that apply the ops, generated with globals of their own."""


FAILURES = (TinygradLabError, ValueError, TypeError, IndexError, ArithmeticError)
"""What a forward may fail with; ``explained`` words it in the user's terms."""


def bind(tensor_class: type) -> None:
    """Tell the ops which class their results are of.

    Tensors have ops as their operators, ops make Tensors: this closes the circle, so that the
    imports need not.
    """
    global Tensor
    Tensor = tensor_class
    for function in entry_points:
        function.__globals__["Tensor"] = tensor_class


def apply(op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Apply an op to Tensors, arrays and numbers.

    This is what applying an op means. What ``generate.py`` writes for the package's own ops does
    the same, faster, where nothing is recorded or checked.
    """
    context = current()
    if context.composing and op.composite is not None:
        return op.composite(*inputs, **attributes)
    if context.recorder is None:
        arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
    else:
        arrays = context.recorder.arrays_of(inputs)
    try:
        xp = namespace_of(arrays)
        out = op.forward(xp, *arrays, **attributes)
    except FAILURES as error:
        if context.recorder is not None:
            arrays = context.recorder.real(arrays)
        raise explained(op, inputs, arrays, attributes, error) from None
    out, residual = out if op.residual else (out, None)
    form = SEVERAL_FORMS if op.several_outputs else form_of(out)
    needs = (False,) * len(inputs)
    if context.grad_enabled and op.rules:
        wanted = tuple([isinstance(x, Tensor) and x._node is not None for x in inputs])
        if form.floating:
            needs = wanted
        elif any(wanted):
            # Integers and booleans do not vary smoothly with anything.
            refuse_complex(op, inputs, form, attributes)
    plan = op.plans.get(needs) or op.plan(needs)
    if not (plan.rules or context.recording or context.debugger):
        return tuple(map(plain, out)) if op.several_outputs else plain(out)
    node = (plan.node_class or written_class(plan))()
    links = [linkable(x) for x in inputs]
    node.remember(plan, links, arrays, out, residual, attributes)
    node.form = form
    node.order = next_order()
    node.scope = context.scope
    node.code, node.offset = user_site(sys._getframe(1))
    if context.recording:
        _keep_leaves(links, arrays)
    result = (_outputs if op.several_outputs else _output)(node, out, context.recording)
    if context.debugger is not None:
        context.debugger.check_forward(node, arrays, out)
    return result


def refuse_complex(
    op: Op, inputs: Sequence[Any], form: Form, attributes: Mapping[str, Any]
) -> None:
    """Raise if a gradient would have to flow through complex numbers."""
    if getattr(form.dtype, "kind", "") == "c":
        reason = (
            "no gradient flows through complex numbers, and an input requires one: compute with "
            "the real and the imaginary part as two real tensors, or with x.detach()."
        )
        raise DTypeError(in_full(op.name, reason, op.named_arrays(inputs), attributes))


def written_class(plan: Plan) -> Any:
    """The class of a plan's nodes, written when the first of them is made."""
    op = plan.op
    # The nodes of a concat of three and of four tensors keep the same things.
    key = plan.keeps if op.variadic else plan.needs
    if key not in op.node_classes:
        op.node_classes[key] = node_class(plan)
    plan.node_class = op.node_classes[key]
    return plan.node_class


def linkable(x: Any) -> Any:
    """What a node holds of an input: its node; None if it was left out; a number as it is."""
    if isinstance(x, Tensor):
        return x._node or x.node
    return x if x is None or x.__class__ in NUMBERS else Leaf(x)


def _keep_leaves(links: Sequence[Any], arrays: Sequence[Any]) -> None:
    """Recording keeps large inputs, too."""
    for source, array in zip(links, arrays, strict=True):
        if source.__class__ is Leaf:
            source._result = array


def plain(data: Any) -> Any:
    """A Tensor without a history, on the very same data."""
    tensor = Tensor()
    tensor._data = data
    tensor._node = None
    return tensor


def at_node(data: Any, node: Any) -> Any:
    """A Tensor whose history is a node."""
    tensor = plain(data)
    if node.requires_grad:
        tensor._node = node
    else:
        # No gradient flows through it: how it came to be is kept out of the gradients' way.
        tensor._origin = node
    return tensor


def _output(node: Any, out: Any, recording: bool) -> Any:
    """The Tensor that a node belongs to."""
    if node.form.small or recording:
        node._result = out
    return at_node(out, node)


def _outputs(node: Any, outs: Sequence[Any], recording: bool) -> tuple[Any, ...]:
    """One Tensor for each output of an op that has several."""
    tensors = []
    for position, out in enumerate(outs):
        form = form_of(out)
        # Integers and booleans among the outputs, such as positions, are constants.
        plan = table["output"].plan((node.requires_grad and form.floating,))
        part = (plan.node_class or written_class(plan))()
        attributes = {"position": position, "count": len(outs)}
        part.remember(plan, (node,), (None,), out, None, attributes)
        part.form = form
        part.order = next_order()
        part.scope, part.code, part.offset = node.scope, node.code, node.offset
        tensors.append(_output(part, out, recording))
    return tuple(tensors)
