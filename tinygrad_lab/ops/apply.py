"""Applying an op: compute, and remember how."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import Form, form_of, namespace_of, namespaces
from tinygrad_lab.context import current
from tinygrad_lab.errors import TinygradLabError
from tinygrad_lab.node import Application, Leaf, Node, next_order
from tinygrad_lab.ops.declaration import Op, Plan, table
from tinygrad_lab.ops.explain import explained
from tinygrad_lab.site import user_site

__all__ = ["apply", "at_node", "bind", "entry_points", "plain"]

Tensor: Any = None
entry_points: list[Any] = []
"""The functions that apply the ops, generated with globals of their own."""


_SEVERAL = Form(None, None, None, "cpu")
"""The form of a node that has several outputs: the forms are those of its parts."""


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

    This is what applying an op means. The short path that ``generate.py`` writes for
    elementwise ops does the same where no special case can arise.
    """
    context = current()
    if context.composing and op.composite is not None:
        return op.composite(*inputs, **attributes)
    if context.recorder is not None:
        context.recorder.lift(inputs)
    arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
    try:
        xp = namespace_of(arrays)
        out = op.forward(xp, *arrays, **attributes)
    except (TinygradLabError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        # None of them is lost: explained() words the same failure in the user's terms.
        raise explained(op, inputs, arrays, attributes, error) from None
    out, residual = out if op.residual else (out, None)
    if context.grad_enabled and op.rules:
        needs = tuple([isinstance(x, Tensor) and x._node is not None for x in inputs])
    else:
        needs = (False,) * len(inputs)
    form = _SEVERAL if op.several_outputs else form_of(out)
    if not form.floating:
        # Integers and booleans do not vary smoothly with anything.
        needs = (False,) * len(inputs)
    plan = op.plans.get(needs) or op.plan(needs)
    if not (plan.steps or context.recording or context.debugger):
        return tuple(map(plain, out)) if op.several_outputs else plain(out)
    node = Application()
    node.plan = plan
    node.inputs = tuple([x.node if isinstance(x, Tensor) else _constant(x) for x in inputs])
    if context.recording:
        _keep_leaves(node, arrays)
    node.attributes = attributes
    node._kept = {name: arrays[position] for name, position in plan.keeps_inputs}
    if plan.keeps_others:
        node._kept.update(_others(plan, arrays, out, residual, attributes))
    node.order = next_order()
    node.scope = context.scope
    node.code, node.offset = user_site(sys._getframe(1))
    if op.several_outputs:
        result = _outputs(node, out, context.recording)
    else:
        result = _output(node, form, out, context.recording)
    if context.debugger is not None:
        context.debugger.check_forward(node, arrays, out)
    return result


def _constant(x: Any) -> Node | None:
    """The node of an input that is no Tensor; None for one that was left out."""
    return None if x is None else Leaf(x)


def _keep_leaves(node: Application, arrays: Sequence[Any]) -> None:
    """Recording keeps large inputs, too."""
    for source, array in zip(node.inputs, arrays, strict=True):
        if isinstance(source, Leaf):
            source._result = array


def plain(data: Any) -> Any:
    """A Tensor without a history, on the very same data."""
    tensor = Tensor()
    tensor._data = data
    tensor._node = None
    return tensor


def at_node(data: Any, node: Node) -> Any:
    """A Tensor whose history is a node."""
    tensor = plain(data)
    if node.requires_grad:
        tensor._node = node
    else:
        # No gradient flows through it: how it came to be is kept out of the gradients' way.
        tensor._origin = node
    return tensor


def _output(node: Application, form: Form, out: Any, recording: bool) -> Any:
    """The Tensor that a node belongs to."""
    node.form = form
    if form.small or recording:
        node._result = out
    return at_node(out, node)


def _outputs(node: Application, outs: Sequence[Any], recording: bool) -> tuple[Any, ...]:
    """One Tensor for each output of an op that has several."""
    node.form = _SEVERAL
    tensors = []
    for position, out in enumerate(outs):
        form = form_of(out)
        part = Application()
        # Integers and booleans among the outputs, such as positions, are constants.
        part.plan = table["output"].plan((node.requires_grad and form.floating,))
        part.inputs = (node,)
        part.attributes = part._kept = {"position": position, "count": len(outs)}
        part.order = next_order()
        part.scope, part.code, part.offset = node.scope, node.code, node.offset
        tensors.append(_output(part, form, out, recording))
    return tuple(tensors)


def _others(
    plan: Plan, arrays: Sequence[Any], out: Any, residual: Any, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """What the rules of a plan ask for beyond single inputs, by name."""
    given = {"out": out, "residual": residual, "needs": plan.needs}
    others: dict[str, Any] = {}
    for name in plan.keeps_others:
        if name in given:
            others[name] = given[name]
        elif name in attributes:
            others[name] = attributes[name]
        else:
            named = plan.op.named_arrays(arrays)
            owner, _, what = name.rpartition("_")
            others[name] = named[name] if name in named else _fact(named[owner], what)
    return others


def _fact(array: Any, what: str) -> Any:
    """Shape, dtype or device of an array (of each, where there are several)."""
    if isinstance(array, tuple):
        return tuple(_fact(one, what) for one in array)
    if what == "shape":
        return getattr(array, "shape", ())
    if what == "dtype":
        return getattr(array, "dtype", type(array))
    if array.__class__ in (float, int, bool):
        return "python"
    return namespaces[array.__class__].device_of(array)
