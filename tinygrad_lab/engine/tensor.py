"""Tensor: a value, how it came to be, and the gradient it has collected.

Operators and methods such as ``x + y`` and ``x.sum()`` are attached in ``operators.py``, above the
ops; ``item()``, ``numpy()`` and ``repr`` are in ``reading.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lab.backends import SMALL, Array
from tinygrad_lab.backends.ownership import owned
from tinygrad_lab.context import current, touch
from tinygrad_lab.engine import assignment
from tinygrad_lab.engine.backward import next_sweep, sweep
from tinygrad_lab.engine.hooks import inherit_hooks, note_hooks, observer
from tinygrad_lab.engine.keywords import collecting, not_taken
from tinygrad_lab.engine.locks import collecting_gradients
from tinygrad_lab.engine.methods import Methods
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.engine.reading import Reading, warn_of_grad
from tinygrad_lab.engine.views import as_view
from tinygrad_lab.errors import GradientError

__all__ = ["ComplexTensor", "Tensor", "computed", "detached"]


class Tensor(Reading, Methods["Tensor"]):
    """A value, and, where gradients flow, the node that says how it came to be.

    Made by ``tg.scalar``, ``tg.tensor`` and by ops, not by calling the class.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y, z = tg.scalar(-2.0), tg.scalar(5.0), tg.scalar(-4.0)
        >>> f = (x + y) * z
        >>> f.backward()
        >>> x.grad.item(), y.grad.item(), z.grad.item()
        (-4.0, -4.0, 3.0)
    """

    __slots__ = ("__weakref__", "_data", "_grad", "_gradient_of", "_node", "_origin", "_sweeps")
    _data: Array
    _node: Node | None
    """The history; None if no gradient flows through this tensor."""
    _origin: Node
    """The node of a tensor that no gradient flows through; often made on first access."""
    _grad: Tensor | None
    _gradient_of: Callable[[], Tensor | None] | None
    """A reference to the tensor whose ``.grad`` this became; None if several tensors share it."""
    _sweeps: int
    """Of a ``.grad``: how many sweeps it adds up; 0 if it was assigned, less if they added."""

    @property
    def data(self) -> Array:
        """The raw value: a Python number, a NumPy or a CuPy array.

        Assigning binds a new value of the same shape, dtype and kind, and leaves graphs that were
        built with the old one as they are. Writing into it (``x.data[0] = 1``) changes them;
        ``with tg.debug():`` detects it.
        """
        touch("look", (self,))
        if isinstance(self._data, np.generic):
            self._data = np.asarray(self._data)
        return self._data

    @data.setter
    def data(self, value: Tensor | Array | float) -> None:
        touch("read", (self,))
        new = value._read() if isinstance(value, Tensor) else value
        self._rebind(assignment.as_data(new, self))

    def _rebind(self, data: Array) -> None:
        """Bind new data through a new leaf, so that pictures of older graphs show the old data."""
        self._data = data
        node = self._node or getattr(self, "_origin", None)
        if not isinstance(node, Leaf):
            return
        leaf = node.renewed(data)
        if leaf._hooks:
            note_hooks(leaf)
        if self._node is None:
            self._origin = leaf
        else:
            self._node = leaf

    @property
    def node(self) -> Node:
        """Where this tensor stands in its graph."""
        if self._node is not None:
            return self._node
        if not hasattr(self, "_origin"):
            self._origin = Leaf(self._data, tensor=self)
        return self._origin

    @property
    def name(self) -> str | None:
        """What pictures and error messages call this tensor."""
        node = self._node or getattr(self, "_origin", None)
        return None if node is None else node.name

    @name.setter
    def name(self, name: str | None) -> None:
        self.node.name = name

    @property
    def requires_grad(self) -> bool:
        """Whether a gradient flows through this tensor."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """False if this tensor was computed from others that require a gradient."""
        return self._node is None or isinstance(self._node, Leaf)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward()`` has collected here; None where none was computed.

        Only leaves collect, and tensors with ``retain_grad()``. A detached Tensor with its own
        memory, and with this tensor's shape, dtype, device and kind.
        """
        if not self.is_leaf and not hasattr(self, "_grad"):
            warn_of_grad(self)
        return getattr(self, "_grad", None)

    @grad.setter
    def grad(self, value: Tensor | float | None) -> None:
        new: Any = value
        if isinstance(value, float | int) and not self.shape:
            new = detached(assignment.array_like(value, self))
        if new is not None:
            assignment.check_grad(new, self)
        touch("set grad", (self,))
        if new is not None:
            new = new.detach() if new.requires_grad else new
            shared = assignment.is_grad_of_another(new, self)
            new._gradient_of, new._sweeps = None if shared else ref(self), 0
        self._grad = new

    @collecting
    def backward(
        self, gradient: Tensor | Array | float | None = None, *, free: bool = False, **others: Any
    ) -> None:
        """Compute the gradient of this tensor with respect to every leaf, and add it to ``.grad``.

        Args:
            gradient: the gradient of some later scalar with respect to this tensor, in its shape.
                Optional for a tensor of one element: 1.
            free: drop what a node keeps once it was visited: saves memory, for one ``backward()``.

        Raises:
            GradientError: if this tensor requires no gradient, or ``gradient`` is missing.
            GraphFreedError: if an earlier ``backward(free=True)`` dropped what is needed.

        Example:
            >>> import tinygrad_lab as tg
            >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).backward(gradient=[1.0, 10.0])
            >>> x.grad.tolist()
            [2.0, 40.0]
        """
        if others:
            raise not_taken(self.backward, others)
        if self._node is None:
            raise GradientError(
                f"{self._label()} does not depend on a tensor that requires a gradient. Make one "
                "with tg.scalar(value) or tg.tensor(data, requires_grad=True), outside no_grad(). "
                "(What a compiled step returns has no history: call backward() inside it.)"
            )
        context = current()
        number = next_sweep()
        gradients = sweep(
            {self._node: assignment.as_seed(gradient, self)},
            number=number,
            free=free,
            keep=sys.maxsize - 1 if context.recording else SMALL,
            observe=observer(context),
            pull_back=context.debugger.pull_back if context.debugger else None,
        )
        with collecting_gradients:  # another thread may add to the same leaves
            _deliver(gradients, number)

    def detach(self) -> Tensor:
        """Return the same value, in the same memory, without a history."""
        return as_view(detached(self._read()), self)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switch this leaf's ``requires_grad`` on or off; return the tensor itself.

        Raises:
            GradientError: for a tensor that was computed from others.
            DTypeError: for a tensor of integers or booleans, or a Python complex number.
        """
        if requires_grad == self.requires_grad:
            return self
        if not self.is_leaf:
            raise GradientError(
                f"{self._label()} was computed from other tensors and passes on their gradient; "
                "detach() gives its value without a history."
            )
        if requires_grad and assignment.is_complex(self):
            self.__class__ = ComplexTensor
        leaf = Leaf(self._data, requires_grad=requires_grad, name=self.name, tensor=self)
        inherit_hooks(leaf, self._node or getattr(self, "_origin", None))
        self._node = leaf if requires_grad else None
        if not requires_grad:
            self._origin = leaf
        return self

    def _collect(self, gradient: Array) -> Tensor:
        """Make an array that nothing else refers to the data of ``.grad``, and return ``.grad``."""
        self._grad = collected = Tensor()
        collected._data, collected._node, collected._gradient_of = gradient, None, ref(self)
        return collected


class ComplexTensor(Tensor, real=False):
    """A Tensor of complex numbers that requires a gradient: see ``complex.py``."""

    __slots__ = ()


def detached(data: Array) -> Tensor:
    """Return a Tensor without a history, on the very same data."""
    tensor = Tensor()
    tensor._data = data
    tensor._node = None
    return tensor


def computed(data: Array, node: Node) -> Tensor:
    """Return a Tensor whose history is a node."""
    tensor = detached(data)
    if node.requires_grad:
        tensor._node = node
        if not node.form.floating:
            tensor.__class__ = ComplexTensor
    else:
        tensor._origin = node  # for inspection only: no gradient flows through it
    return tensor


def _deliver(gradients: dict[Any, Array], number: int) -> None:
    """Add the gradients that a sweep gave leaves to the ``.grad`` of their tensors."""
    touch("collect", gradients)
    while gradients:
        # In a list, so that nothing else refers to the gradient: then ``owned`` need not copy it.
        leaf, *holder = gradients.popitem()
        tensor = leaf.owner()
        if (collected := getattr(tensor, "_grad", None)) is not None:
            # Not in place: the user may have set one gradient for several leaves.
            total = tensor._collect(owned([collected._data + holder[0]]))
            total._sweeps = (n := getattr(collected, "_sweeps", 1)) + (1 if n > 0 else -1)
        elif tensor is not None:
            tensor._collect(owned(holder))
        leaf._gradient = holder[0] if leaf.form.small else None  # pictures show one sweep
        leaf.sweep = number
