"""What a computation remembers: one node for each value, and how it came to be.

References only run backward: a Tensor refers to its node, a node to the nodes of its inputs and to
the arrays it keeps. A leaf refers to its Tensor weakly, and no node to the nodes that use it. So
there are no cycles: a Tensor keeps alive what it was computed from, and a graph is freed with the
last Tensor that was computed in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from types import CodeType
from typing import Any
from weakref import ref

from tinygrad_lab.backends import Array, Form, form_of
from tinygrad_lab.context import Scope
from tinygrad_lab.engine.broadcasting import stretched_axes
from tinygrad_lab.engine.op import Op, Plan
from tinygrad_lab.engine.pending import namespace_of_gradient
from tinygrad_lab.engine.user_code import Line, line_of
from tinygrad_lab.errors import ShapeError

__all__ = [
    "Application",
    "Leaf",
    "Node",
    "contributions",
    "next_priority",
    "unbroadcast",
]

next_priority = count(0, -1).__next__


class Node:
    """One value of a computation: a ``Leaf``, or the ``Application`` of an op to other nodes."""

    __slots__ = (
        *("__weakref__", "_gradient", "_hooks", "_name", "_result", "code", "form", "offset"),
        *("priority", "scope", "sweep"),
    )
    _result: Any
    _gradient: Any
    _hooks: dict[int, Any]
    _name: str | None
    form: Form
    """Shape, dtype and device of the value."""
    priority: float
    """Its place in the sweep's queue. It counts down: the youngest node has the smallest."""
    scope: Scope | None
    """The module whose ``forward`` was running."""
    code: CodeType | None
    """With ``offset``: where in the user's code this value was computed."""
    offset: int
    sweep: int
    """The number of the ``backward()`` that reached this node last."""

    op: Op | None = None
    plan: Plan
    requires_grad = True
    inputs: tuple[Node | None, ...] = ()
    attributes: Mapping[str, Any] = {}
    kept: Mapping[str, Any] = {}
    """What the vjp rules ask for, by the names they use."""

    @property
    def value(self) -> Array | None:
        """The value, if it was small enough to keep or recording was asked for."""
        return getattr(self, "_result", None)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.form.shape

    @property
    def gradient(self) -> Array | None:
        """The gradient of the last sweep, if it was computed and is small enough to keep."""
        return getattr(self, "_gradient", None)

    @property
    def gradient_was_computed(self) -> bool:
        """Whether a sweep has reached this node, whether or not it kept the gradient."""
        return hasattr(self, "_gradient")

    @property
    def name(self) -> str | None:
        return getattr(self, "_name", None)

    @name.setter
    def name(self, name: str | None) -> None:
        self._name = name

    @property
    def line(self) -> Line | None:
        """The line of the user's code that made this value."""
        return line_of(self.code, self.offset)

    def pull_back(self, g: Array) -> Iterable[tuple[Node, Any]]:
        """Apply the chain rule to one op: from the gradient of its output to those of its inputs.

        Args:
            g: the gradient of the final output with respect to this node's value.

        Yields:
            Each input that needs a gradient, with the contribution of this use.
        """
        xp = namespace_of_gradient(g)
        for _, source, gradient in contributions(self, xp, g, self.kept):
            yield source, unbroadcast(xp, gradient, source)

    def release(self) -> None:
        """Drop what is kept for the way back."""

    def __repr__(self) -> str:
        return f"<{self.op.name if self.op else 'leaf'} {self.name or self.shape}>"


class Application(Node):
    """The output of an op, linked to the nodes of the op's inputs."""

    __slots__ = ("attributes", "inputs", "kept", "plan")
    plan: Plan
    """The op, and the vjp rules to run for the inputs that need a gradient."""
    inputs: tuple[Node | None, ...]
    """One node for each input; None for an input that was left out."""
    kept: Mapping[str, Any]
    attributes: Mapping[str, Any]
    """The op's other arguments: ``axis``, ``stride`` ..."""

    def __init__(
        self,
        plan: Plan,
        inputs: tuple[Node | None, ...],
        kept: Mapping[str, Any],
        attributes: Mapping[str, Any],
        form: Form,
    ) -> None:
        self.plan = plan
        self.inputs = inputs
        self.kept = kept
        self.attributes = attributes
        self.form = form
        self.priority = next_priority()

    @property
    def op(self) -> Op:  # type: ignore[override]
        return self.plan.op

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]
        return bool(self.plan.rules)

    def release(self) -> None:
        self.kept = {}  # what a rule asks for is not found then: see ``explained_backward``


def _nobody() -> None:
    """Stand for the weak reference of a leaf that is no user's tensor."""


class Leaf(Node):
    """Where a computation starts: a user's tensor, which is held weakly, or a constant."""

    __slots__ = ("generation", "owner", "requires_grad")
    owner: Callable[[], Any]
    """Call it for the user's tensor: None if that is gone, or if there is none."""
    generation: int
    """How many times the tensor's data had been set when this leaf was made."""
    line = None

    def __init__(
        self,
        data: Array,
        *,
        requires_grad: bool = False,
        name: str | None = None,
        tensor: Any = None,
    ) -> None:
        self.requires_grad = requires_grad
        self.priority = next_priority()
        self._name = name
        self._hooks = {}
        self.owner = _nobody if tensor is None else ref(tensor)
        self.generation = 0
        self.show(data)

    def show(self, data: Array) -> None:
        """Make pictures show this data as the leaf's value."""
        self.form = form_of(data)
        self._result = data if self.form.small else None

    def renewed(self, data: Array) -> Leaf:
        """Return a leaf for the same tensor with new data; older graphs keep the old leaf."""
        # Bypasses __init__ for speed: an optimiser's step does this for every parameter.
        leaf = Leaf.__new__(Leaf)
        leaf.requires_grad = self.requires_grad
        leaf.priority = next_priority()
        leaf.owner = self.owner
        leaf.generation = self.generation + 1
        leaf._name = self._name
        leaf._hooks = self._hooks
        leaf.form = self.form
        leaf._result = data if self.form.small else None
        return leaf


def contributions(
    node: Node, xp: Any, g: Any, kept: Mapping[str, Any]
) -> Iterator[tuple[int, Node, Any]]:
    """Run the vjp rules of a node's op on the gradient of its output.

    Args:
        node: the node, an ``Application``.
        xp: the namespace of ``g``. For gradients of gradients it is that of Tensors, and ``g`` and
            ``kept`` hold Tensors, joined to the nodes they belong to (``history.py``), so that the
            rules build a graph (``calculus/transforms.py``).
        g: the gradient; a tuple of gradients where the op has several outputs.
        kept: what the rules ask for, by name.

    Yields:
        Position, node and gradient of each input that needs one. The gradient still has the shape
        to which the input was broadcast.
    """
    inputs, needs = node.inputs, node.plan.needs
    for rule, positions in node.plan.rules:
        result = rule.function(xp, g, *[kept[name] for name in rule.asks])
        gradients = result if rule.joint else (result,)
        for position, gradient in zip(positions, gradients, strict=True):
            source = inputs[position]
            if gradient is not None and needs[position] and source is not None:
                yield position, source, gradient


def unbroadcast(xp: Any, gradient: Any, node: Node) -> Any:
    """Sum and cast a gradient to the shape, dtype and kind of its value.

    A broadcast value was used several times, and the gradients of several uses add up. So the
    vjp of broadcasting is a sum over the axes that were stretched or put in front.
    """
    data = getattr(gradient, "_data", gradient)  # not by a call: every gradient passes here
    if data.__class__ is float or data is None:
        return gradient  # of a number; or None, from a joint rule: no gradient flows
    target = node.form
    if target.dtype is float:
        return xp.transfer(xp.sum(gradient), device="python")
    if data.shape != target.shape:
        axes = stretched_axes(target.shape, data.shape)
        try:
            gradient = xp.reshape(xp.sum(gradient, axis=axes), target.shape)
        except ValueError:
            raise ShapeError(
                f"a rule gave a gradient of shape {tuple(data.shape)} to an input of shape "
                f"{target.shape}; expected that shape, or one that it was broadcast to."
            ) from None
    return gradient if data.dtype == target.dtype else xp.astype(gradient, target.dtype)
