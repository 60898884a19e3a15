"""One op, one declaration: a forward, and for each input the rule that pulls a gradient back.

    multiply = op(
        "multiply", "×",
        forward=lambda xp, x, y: x * y,
        vjp={"x": lambda xp, g, y: g * y, "y": lambda xp, g, x: g * x},
    )

``forward(xp, *inputs, *, attributes...)`` and the rules are written against any namespace ``xp``.
A rule asks for what it needs by naming it: an input, ``out``, an attribute, ``x_shape`` or
``x_dtype`` of an input ``x``, ``needs`` (which inputs want a gradient) or the ``residual`` of a
fused kernel. The names are read once, here, and a node keeps only what its rules ask for.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tinygrad_lab.backends import Form, form_of, forwards, namespace_of, namespaces
from tinygrad_lab.context import current
from tinygrad_lab.errors import DeclarationError, TinygradLabError
from tinygrad_lab.node import Application, Leaf, Node, next_order
from tinygrad_lab.ops.explain import explained
from tinygrad_lab.site import user_site

if TYPE_CHECKING:
    from tinygrad_lab.tensor import Tensor

__all__ = ["Op", "Plan", "Rule", "apply", "op", "table"]

table: dict[str, Op] = {}
"""Every op that was declared, by name."""

_tensor_class: Any = None
_entry_points: list[Any] = []
"""The functions that apply the ops, generated with globals of their own."""


def bind(tensor_class: Any) -> None:
    """Tell the ops which class their results are of.

    Tensors have ops as their operators, ops make Tensors: this closes the circle, so that the
    imports need not.
    """
    global _tensor_class
    _tensor_class = tensor_class
    for function in _entry_points:
        function.__globals__["Tensor"] = tensor_class


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A vector-Jacobian product: from the gradient of the output to that of some inputs."""

    inputs: tuple[str, ...]
    function: Callable[..., Any]
    asks: tuple[str, ...]
    joint: bool
    """The function returns one gradient for each of several inputs (or None), as a sequence."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """An op, specialised to the inputs that need a gradient."""

    op: Op
    needs: tuple[bool, ...]
    steps: tuple[tuple[Rule, tuple[int, ...]], ...]
    """The rules to run, each with the positions of the inputs it serves."""
    keeps: tuple[str, ...]
    """What those rules ask for."""


@dataclass(eq=False, slots=True)
class Op:
    """The declaration of an op; ``op()`` checks it and makes the function that applies it."""

    name: str
    symbol: str
    forward: Callable[..., Any]
    rules: tuple[Rule, ...]
    inputs: tuple[str, ...]
    variadic: bool
    """The last of ``inputs`` stands for any number of tensors."""
    attributes: tuple[str, ...]
    latex: str | None = None
    elementwise: bool = False
    composite: Callable[..., Any] | None = None
    """The same value by small ops on Tensors: what pictures open and derivatives go through."""
    residual: bool = False
    """The forward returns its value and a residual: by-products that its own rule wants."""
    outputs: int | None = None
    """None for one output; 0 for a tuple of any number of them."""
    check: Callable[..., str | None] | None = None
    """Says what is wrong with arrays that the forward failed on."""
    doc: str = ""
    plans: dict[tuple[bool, ...], Plan] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<op {self.name}>"

    def plan(self, needs: tuple[bool, ...]) -> Plan:
        """This op where the inputs marked in ``needs`` want a gradient."""
        plan = self.plans.get(needs)
        if plan is None:
            plan = self.plans[needs] = self._make_plan(needs)
        return plan

    def _make_plan(self, needs: tuple[bool, ...]) -> Plan:
        steps = []
        for rule in self.rules:
            positions = self._positions(rule, len(needs))
            if any(needs[position] for position in positions):
                steps.append((rule, positions))
        keeps = dict.fromkeys(name for rule, _ in steps for name in rule.asks)
        if self.composite is not None and steps:
            # A derivative of the derivative goes through the composite: it wants every input.
            keeps.update(dict.fromkeys(self.inputs))
        return Plan(self, needs, tuple(steps), tuple(keeps))

    def _positions(self, rule: Rule, count: int) -> tuple[int, ...]:
        """Where the inputs that a rule serves stand among ``count`` actual inputs."""
        positions: list[int] = []
        for name in rule.inputs:
            first = self.inputs.index(name)
            last = self.variadic and first == len(self.inputs) - 1
            positions.extend(range(first, count if last else first + 1))
        return tuple(positions)

    def named_arrays(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """The actual inputs under their declared names, a variadic one as a tuple."""
        if not self.variadic:
            return dict(zip(self.inputs, arrays, strict=True))
        fixed = len(self.inputs) - 1
        named = dict(zip(self.inputs, arrays[:fixed], strict=False))
        named[self.inputs[-1]] = tuple(arrays[fixed:])
        return named


def apply(op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """Apply an op to Tensors, arrays and numbers: compute, and remember how.

    This is what applying an op means. The short path that ``generate.py`` writes for
    elementwise ops does the same where no special case can arise.
    """
    context = current()
    if context.composing and op.composite is not None:
        return op.composite(*inputs, **attributes)
    arrays = [x._data if isinstance(x, _tensor_class) else x for x in inputs]
    xp = namespace_of(array for array in arrays if array is not None)
    try:
        out = op.forward(xp, *arrays, **attributes)
    except (TinygradLabError, ValueError, TypeError, IndexError, ArithmeticError) as error:
        # None of them is lost: explained() words the same failure in the user's terms.
        raise explained(op, inputs, arrays, attributes, error) from None
    out, residual = out if op.residual else (out, None)
    needs = (False,) * len(inputs)
    if context.grad_enabled and op.rules:
        needs = tuple(isinstance(x, _tensor_class) and x._node is not None for x in inputs)
    plan = op.plan(needs)
    if not (plan.steps or context.recording or context.debugger):
        return _without_history(op, out)
    node = Application()
    node.plan = plan
    node.inputs = tuple(map(_node_of, inputs))
    node.attributes = attributes
    node._kept = _kept(plan, arrays, out, residual, attributes) if plan.steps else {}
    node.order = next_order()
    node.scope = context.scope
    node.code, node.offset = user_site(sys._getframe(1))
    if op.outputs is None:
        node.form = form_of(out)
        if node.form.small or context.recording:
            node._result = out
        result: Any = _tensor(out, node)
    else:
        result = _outputs(node, out, context.recording)
    if context.debugger is not None:
        context.debugger.check_forward(node, arrays, out)
    return result


def _node_of(x: Any) -> Node | None:
    if x is None:
        return None
    return x.node if isinstance(x, _tensor_class) else Leaf(x)


def _tensor(data: Any, node: Node) -> Tensor:
    """A Tensor with a history; one that no gradient flows through keeps it out of the way."""
    tensor = _tensor_class()
    tensor._data = data
    if node.requires_grad:
        tensor._node = node
    else:
        tensor._node = None
        tensor._origin = node
    return tensor


def _without_history(op: Op, out: Any) -> Any:
    def plain(data: Any) -> Tensor:
        tensor = _tensor_class()
        tensor._data = data
        tensor._node = None
        return tensor

    return plain(out) if op.outputs is None else tuple(map(plain, out))


def _kept(
    plan: Plan, arrays: Sequence[Any], out: Any, residual: Any, attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """What the rules of a plan ask for, by name."""
    op = plan.op
    named = op.named_arrays(arrays)
    kept: dict[str, Any] = {}
    for name in plan.keeps:
        if name in named:
            kept[name] = named[name]
        elif name in attributes:
            kept[name] = attributes[name]
        elif name == "out":
            kept[name] = out
        elif name == "residual":
            kept[name] = residual
        elif name == "needs":
            kept[name] = plan.needs
        else:
            owner, _, what = name.rpartition("_")
            kept[name] = _facts(named[owner], what)
    return kept


def _facts(array: Any, what: str) -> Any:
    """Shape, dtype or device of an array (of each, where there are several)."""
    if isinstance(array, tuple):
        return tuple(_facts(one, what) for one in array)
    if what == "shape":
        return getattr(array, "shape", ())
    if what == "dtype":
        return getattr(array, "dtype", type(array))
    return (
        "python" if isinstance(array, float | int) else namespaces[array.__class__].device_of(array)
    )


_TUPLE = Form(None, None, (), "cpu")
"""The form of a node that has several outputs: the forms are those of its parts."""
_TUPLE.size = sys.maxsize
_TUPLE.shape = None  # type: ignore[assignment]


def _outputs(node: Application, outs: Sequence[Any], recording: bool) -> tuple[Tensor, ...]:
    """One Tensor for each output of an op that has several."""
    node.form = _TUPLE
    tensors = []
    for position, out in enumerate(outs):
        part = Application()
        part.plan = table["output"].plan((node.requires_grad,))
        part.inputs = (node,)
        part.attributes = part._kept = {"position": position, "count": len(outs)}
        part.order = next_order()
        part.scope, part.code, part.offset = node.scope, node.code, node.offset
        part.form = form_of(out)
        if part.form.small or recording:
            part._result = out
        tensors.append(_tensor(out, part))
    return tuple(tensors)


def op(
    name: str,
    symbol: str | None = None,
    *,
    forward: Callable[..., Any],
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any] | None = None,
    latex: str | None = None,
    elementwise: bool = False,
    composite: Callable[..., Any] | None = None,
    residual: bool = False,
    outputs: int | None = None,
    check: Callable[..., str | None] | None = None,
    doc: str = "",
) -> Callable[..., Tensor]:
    """Declare an op and get the function that applies it.

    Args:
        name: its name, in the table of ops and in pictures.
        symbol: what pictures write in its node; the name if not given.
        forward: ``forward(xp, *inputs, *, attributes...)`` on raw arrays of any backend.
        vjp: for each input the rule ``rule(xp, g, what it asks for...)`` that gives its gradient
            from ``g``, the gradient of the output; a tuple of inputs as key, or one function in
            place of the mapping, for a joint rule that returns one gradient for each. An input
            without a rule gets no gradient.
        latex: how a derivation writes it, with the inputs in braces: ``r"{x} \\cdot {y}"``.
        elementwise: inputs are broadcast against each other.
        composite: the same value by small ops; then ``forward`` is a fused kernel of it.
        residual: ``forward`` returns ``(out, residual)``, and the rule asks for ``residual``.
        outputs: 0 where ``forward`` returns a tuple of outputs; ``g`` is then a tuple with None
            for an output that no gradient reached.
        check: ``check(*arrays, **attributes)`` says in a sentence why ``forward`` failed.
        doc: the docstring of the function.

    Raises:
        DeclarationError: if a rule asks for something that does not exist.

    Example:
        >>> import tinygrad_lab as tg
        >>> cube = tg.op("cube", "x³", forward=lambda xp, x: x * x * x,
        ...              vjp={"x": lambda xp, g, x: g * (x * x + x * x + x * x)})
        >>> x = tg.scalar(2.0)
        >>> cube(x).backward()
        >>> x.grad.item()
        12.0
    """
    inputs, variadic, attributes = _signature(name, forward)
    declared = Op(
        name=name,
        symbol=symbol or name,
        forward=forward,
        rules=_rules(name, vjp, inputs, tuple(attributes), variadic=variadic, residual=residual),
        inputs=inputs,
        variadic=variadic,
        attributes=tuple(attributes),
        latex=latex,
        elementwise=elementwise,
        composite=composite,
        residual=residual,
        outputs=outputs,
        check=check,
        doc=doc,
    )
    from tinygrad_lab.ops.generate import entry_point

    table[name] = declared
    forwards[name] = _value_of(forward) if residual else forward
    function = entry_point(declared, attributes)
    function.__globals__["Tensor"] = _tensor_class
    _entry_points.append(function)
    return function


def _value_of(forward: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays, **attributes: forward(*arrays, **attributes)[0]


def _signature(
    name: str, forward: Callable[..., Any]
) -> tuple[tuple[str, ...], bool, dict[str, Any]]:
    """The inputs of a forward, whether the last stands for several, its attributes' defaults."""
    first, *parameters = inspect.signature(forward).parameters.values()
    if first.name != "xp":
        raise DeclarationError(f"op {name!r}: expected forward(xp, ...), got {first.name!r} first.")
    inputs = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    attributes = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    return inputs, variadic, attributes


def _rules(
    name: str,
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any] | None,
    inputs: tuple[str, ...],
    attributes: tuple[str, ...],
    *,
    variadic: bool,
    residual: bool,
) -> tuple[Rule, ...]:
    """The rules of a declaration, each with what it asks for."""
    if vjp is None:
        return ()
    if not isinstance(vjp, Mapping):
        vjp = {inputs: vjp}
    facts = {f"{x}_{what}" for x in inputs for what in ("shape", "dtype", "device")}
    known = {*inputs, *attributes, *facts, "out", "needs"} | ({"residual"} if residual else set())
    rules = []
    for served, function in vjp.items():
        joint = isinstance(served, tuple)
        names = served if joint else (served,)
        first, second, *asks = inspect.signature(function).parameters
        unknown = [ask for ask in asks if ask not in known] + [n for n in names if n not in inputs]
        if (first, second) != ("xp", "g") or unknown:
            raise DeclarationError(
                f"op {name!r}: the rule for {', '.join(names)} must be rule(xp, g, ...) and may "
                f"ask for {', '.join(sorted(known))}; got ({', '.join([first, second, *asks])})."
            )
        several = joint or (variadic and names[0] == inputs[-1])
        rules.append(Rule(tuple(names), function, tuple(asks), several))
    return tuple(rules)
