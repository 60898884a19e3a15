"""Applying an op: compute, and remember how."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygrad_lab.backends import SEVERAL_FORMS, Form, fact, form_of, namespace_of
from tinygrad_lab.context import Context, current
from tinygrad_lab.engine.complex import for_complex
from tinygrad_lab.engine.explain import FAILURES_OF_FORWARDS, explained
from tinygrad_lab.engine.node import Application, Leaf, Node
from tinygrad_lab.engine.op import Op, Plan
from tinygrad_lab.engine.outputs import output
from tinygrad_lab.engine.signatures import arguments_of
from tinygrad_lab.engine.tensor import ComplexTensor, Tensor, computed, detached
from tinygrad_lab.engine.user_code import user_site

__all__ = ["apply", "function_of", "source_of"]


def function_of(op: Op) -> Callable[..., Any]:
    """Return the function that users call to apply an op: ``multiply(x, y)``, ``x * y``."""

    def applied(*args: Any, **kwargs: Any) -> Any:
        inputs, attributes = arguments_of(op, args, kwargs)
        return apply(op, inputs, attributes)

    return applied


def apply(op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Compute the output of an op, and make its node if a gradient flows or someone looks on.

    Args:
        op: what to apply.
        inputs: Tensors, arrays and numbers; None for one that was left out.
        attributes: its other arguments: ``axis``, ``stride`` ...

    Returns:
        A Tensor; a tuple of Tensors for an op with several outputs.
    """
    context = current()
    if context.composing and op.composite is not None:
        return op.composite(*inputs, **attributes)
    if context.recorder is None:
        arrays = [x._data if isinstance(x, Tensor) else x for x in inputs]
    else:
        arrays = context.recorder.arrays_of(inputs, op)
    out, residual = _run_forward(op, inputs, arrays, attributes, context)
    form = SEVERAL_FORMS if op.several_outputs else form_of(out)
    plan = _plan(op, inputs, form, attributes, context)
    if not (plan.rules or context.recording or context.debugger):  # nobody wants to go back
        return tuple(map(detached, out)) if op.several_outputs else detached(out)
    sources = tuple(map(source_of, inputs))
    kept = _kept(plan, arrays, out, residual, attributes)
    node = Application(plan, sources, kept, attributes, form)
    node.scope = context.scope
    node.code, node.offset = user_site(sys._getframe(1))
    if context.recording:
        _keep_leaves(sources, arrays)
    if context.debugger is not None:
        context.debugger.check_forward(node, arrays, out)
    if op.several_outputs:
        return tuple(_part(node, position, out, context) for position in range(len(out)))
    return _tensor_at(node, out, context)


def _run_forward(op: Op, inputs: Any, arrays: Any, attributes: Any, context: Context) -> Any:
    """Return what an op computes, and its residual if it has one."""
    try:
        xp = namespace_of(arrays)
        out = op.forward(xp, *arrays, **attributes)
    except FAILURES_OF_FORWARDS as error:
        if context.recorder is not None:
            arrays = context.recorder.real(arrays)
        raise explained(op, inputs, arrays, attributes, error) from None
    return out if op.residual else (out, None)


def _plan(
    op: Op, inputs: Sequence[Any], form: Form, attributes: Mapping[str, Any], context: Context
) -> Plan:
    """Return what to do on the way back, with a rule for each input that the gradient reaches."""
    if context.grad_enabled:  # no_grad() disables it
        if not form.floating or ComplexTensor in map(type, inputs):
            op = for_complex(op, inputs, form, attributes)
        plan = op.plan(tuple([isinstance(x, Tensor) and x._node is not None for x in inputs]))
        if plan.rules and form.smooth:  # integers and booleans vary smoothly with nothing
            return plan
    return op.plan((False,) * len(inputs))


def source_of(x: Any) -> Node | None:
    """Return the node of a Tensor, a constant Leaf for a number or array, None for an omission."""
    if isinstance(x, Tensor):
        return x._node or x.node
    return None if x is None else Leaf(x)


def _kept(
    plan: Plan, arrays: Sequence[Any], out: Any, residual: Any, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what the rules of a plan ask for, by name."""
    named = plan.op.named_arrays(arrays)
    known = {**attributes, **named, "out": out, "residual": residual, "needs": plan.needs}
    kept = {}
    for name in plan.keeps:
        if name in known:
            kept[name] = known[name]
        else:  # x_shape, x_dtype or x_device of an input x
            of_input, _, what = name.rpartition("_")
            kept[name] = fact(named[of_input], what)
    return kept


def _keep_leaves(sources: Sequence[Node | None], arrays: Sequence[Any]) -> None:
    """Keep large inputs as well: recording needs every value."""
    for source, array in zip(sources, arrays, strict=True):
        if isinstance(source, Leaf):
            source._result = array


def _tensor_at(node: Node, out: Any, context: Context) -> Tensor:
    """Make the Tensor for a node."""
    if node.form.small or context.recording:
        node._result = out
    return computed(out, node)


def _part(node: Node, position: int, outs: Sequence[Any], context: Context) -> Tensor:
    """Make the Tensor of one of several outputs, as an ``output`` node computed from the op's node.

    The rule of ``output`` puts its gradient in its place, and so the op's rule gets a tuple.
    """
    form = form_of(outs[position])
    # Integers and booleans among the outputs, such as sort indices, are constants.
    plan = output.plan((node.requires_grad and form.smooth,))
    attributes = {"position": position, "count": len(outs)}
    part = Application(plan, (node,), dict(attributes) if plan.rules else {}, attributes, form)
    part.scope, part.code, part.offset = node.scope, node.code, node.offset
    return _tensor_at(part, outs[position], context)
