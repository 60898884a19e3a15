"""What a computation remembers: one node for each value, and how it came to be.

Nodes hold nodes and raw arrays, never Tensors: an output keeps the nodes it was computed from
alive, nothing keeps the output alive, so a graph goes with its last output at once.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from types import CodeType
from typing import TYPE_CHECKING, Any
from weakref import ref

from tinygrad_lab.backends import Array, Form, form_of, namespaces
from tinygrad_lab.engine.user_code import Line, line_of
from tinygrad_lab.errors import ShapeError

if TYPE_CHECKING:
    from tinygrad_lab.context import Scope
    from tinygrad_lab.engine.declaration import Op, Plan

__all__ = [
    "Application",
    "Leaf",
    "Node",
    "contributions",
    "namespace_of_gradient",
    "next_order",
    "unbroadcast",
]

next_order = itertools.count(0, -1).__next__


class Node:
    """One value of a computation. ``Leaf`` and ``Application`` say how it came to be."""

    __slots__ = (
        "__weakref__",
        "_gradient",
        "_hooks",
        "_name",
        "_result",
        "code",
        "form",
        "offset",
        "order",
        "scope",
    )
    _result: Any
    _gradient: Any
    _hooks: dict[int, Any]
    """Functions that see, and may replace, the gradient: what ``register_hook`` was given."""
    _name: str | None
    form: Form
    """Shape, dtype and device of the value."""
    order: float
    """Counts down from node to node: a node always sorts before the nodes it was made from."""
    scope: Scope | None
    """The module whose forward was running."""
    code: CodeType | None
    offset: int

    op: Op | None = None
    requires_grad = True
    inputs: tuple[Node | None, ...] = ()

    @property
    def value(self) -> Array | None:
        """The value, if it was small enough to keep or recording was asked for."""
        return getattr(self, "_result", None)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.form.shape

    @property
    def dtype(self) -> Any:
        return self.form.dtype

    @property
    def device(self) -> str:
        return self.form.device

    @property
    def gradient(self) -> Array | None:
        """The gradient of the last sweep, if it was computed and is small enough to keep."""
        return getattr(self, "_gradient", None)

    @property
    def gradient_was_computed(self) -> bool:
        """Whether a sweep came by, be the gradient kept or not."""
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

    @property
    def kept(self) -> Mapping[str, Any]:
        """What the rules asked to be kept for the way back, by the name they gave it."""
        return {}

    def pull_back(self, g: Array) -> Iterable[tuple[Node, Any]]:
        """One link of the chain rule: from the gradient of this value to those of its inputs.

        Written for each op from its rules (``ops/nodes.py``), and shown by
        ``inspect.getsource(type(node).pull_back)``.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Drop what is kept for the way back."""


class Leaf(Node):
    """Where a computation starts: a user's tensor, which is held weakly, or a constant."""

    __slots__ = ("generation", "requires_grad", "tensor")
    tensor: ref[Any] | None
    generation: int
    """How often the tensor's data had been set anew."""
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
        self.order = next_order()
        self._name = name
        self._hooks = {}
        self.tensor = None if tensor is None else ref(tensor)
        self.generation = 0
        self.show(data)

    def show(self, data: Array) -> None:
        """Let pictures show these data as this leaf's value."""
        self.form = form_of(data)
        self._result = data if self.form.small else None

    def renewed(self, data: Array) -> Leaf:
        """A leaf for the same tensor with new data of the same form.

        Graphs of the old data keep the old leaf.
        """
        # An optimiser's step does it for every parameter: hence not through __init__.
        leaf = Leaf.__new__(Leaf)
        leaf.requires_grad = self.requires_grad
        leaf.order = next_order()
        leaf.tensor = self.tensor
        leaf.generation = self.generation + 1
        leaf._name = self._name
        leaf._hooks = self._hooks
        leaf.form = self.form
        leaf._result = data if self.form.small else None
        return leaf

    def owner(self) -> Any:
        """The user's tensor, as long as it lives."""
        return None if self.tensor is None else self.tensor()

    def _current(self) -> Any:
        """The user's tensor, as long as it lives and has the data that this leaf stands for."""
        tensor = self.owner()
        return tensor if tensor is not None and tensor.node is self else None

    @property
    def value(self) -> Array | None:
        tensor = self._current()
        return super().value if tensor is None else tensor.data

    @property
    def gradient(self) -> Array | None:
        # The user's tensor says what was collected, and whether it was zeroed.
        tensor = self._current()
        if tensor is None:
            return super().gradient
        return None if tensor.grad is None else tensor.grad.data

    @property
    def gradient_was_computed(self) -> bool:
        tensor = self._current()
        return super().gradient_was_computed if tensor is None else tensor.grad is not None


class Application(Node):
    """A value that an op computed from its inputs.

    Its links are attributes called after the inputs, ``from_x``; so are the things it keeps,
    ``kept_y``. Every op has classes of its own with slots for them, in which these loops are
    written out (``ops/nodes.py``).
    """

    __slots__ = ()
    plan: Plan
    """The op, specialised to the inputs that need a gradient."""
    op: Op
    attributes: Mapping[str, Any]

    @property
    def requires_grad(self) -> bool:  # type: ignore[override]
        return bool(self.plan.rules)

    @property
    def inputs(self) -> tuple[Node | None, ...]:  # type: ignore[override]
        found: list[Node | None] = []
        for name in self.op.inputs:
            source = getattr(self, f"from_{name}")
            if source.__class__ is tuple:
                found += source
            else:
                found.append(source if source is None else self._linked(name, source))
        return tuple(found)

    def _linked(self, name: str, source: Any) -> Node:
        """The node of an input; a number gets one when somebody reads the graph."""
        if not isinstance(source, Node):
            source = Leaf(source)
            # As old as it would be had it been made when it was used.
            source.order = self.order + 0.5
            setattr(self, f"from_{name}", source)
        return source

    @property
    def kept(self) -> Mapping[str, Any]:
        slots = {name: f"kept_{name}" for name in self.plan.keeps}
        return {name: getattr(self, slot) for name, slot in slots.items() if hasattr(self, slot)}

    def pull_back(self, g: Array) -> Iterable[tuple[Node, Any]]:
        xp = namespace_of_gradient(g)
        for _, node, gradient in contributions(self, xp, g, self.kept):
            yield node, unbroadcast(xp, gradient, node)

    def release(self) -> None:
        for name in self.kept:
            delattr(self, f"kept_{name}")


def contributions(
    node: Any, xp: Any, g: Any, kept: Mapping[str, Any]
) -> Iterator[tuple[int, Node, Any]]:
    """What the rules make of a value's gradient: for each input that wants one, by position.

    Args:
        node: the value's node, an ``Application``.
        xp: the namespace of ``g``: of arrays, or of Tensors where the work is to be recorded.
        g: the gradient; a tuple of them where the op has several outputs.
        kept: what the rules ask for, by name.

    Yields position, node and gradient, the gradient still in the shape that the rule gave it.
    """
    inputs = node.inputs
    for rule, positions in node.plan.rules:
        found = rule.function(xp, g, *[kept[name] for name in rule.asks])
        for position, gradient in zip(positions, found if rule.joint else (found,), strict=True):
            if gradient is not None and node.plan.needs[position]:
                yield position, inputs[position], gradient


def namespace_of_gradient(g: Any) -> Any:
    """The namespace of a gradient, or of those of several outputs that were reached."""
    parts = g if isinstance(g, tuple) else (g,)
    return next(namespaces[part.__class__] for part in parts if part is not None)


def unbroadcast(xp: Any, gradient: Any, node: Node) -> Any:
    """A gradient (or None) in the shape, dtype and kind of the value it belongs to.

    A broadcast value was used several times over, and the gradients of several uses add up:
    so the gradient of broadcasting is a sum over the axes that it stretched or put in front.
    """
    data = getattr(gradient, "_data", gradient)
    if data.__class__ is float or data is None:
        return gradient
    target = node.form
    if target.dtype is float:
        return xp.transfer(xp.sum(gradient), device="python")
    if data.shape != (shape := target.shape):
        in_front = data.ndim - len(shape)
        stretched = tuple(
            axis
            for axis, size in enumerate(data.shape)
            if axis < in_front or shape[axis - in_front] != size
        )
        try:
            gradient = xp.reshape(xp.sum(gradient, axis=stretched), shape)
        except ValueError:
            raise ShapeError(
                f"a rule gave a gradient of shape {tuple(data.shape)} to an input of shape "
                f"{shape}; expected that shape, or one that it was broadcast to."
            ) from None
    return gradient if data.dtype == target.dtype else xp.astype(gradient, target.dtype)
