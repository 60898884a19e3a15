"""What a Tensor does besides holding a value and its gradient, attached to the engine's Tensor.

``x + y`` is ``add(x, y)``, ``x.sum()`` is ``sum(x)``: operators and methods are the ops themselves.
They are attached here, above the ops, so that the engine need not know any op.
``engine/methods.py`` declares them for type checkers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api.casting import castable_dtype
from tinygrad_lab.array_api.interchange import PROTOCOLS, namespace_method
from tinygrad_lab.backends import Array, form_of
from tinygrad_lab.backends.devices import backend_at
from tinygrad_lab.backends.ownership import owned
from tinygrad_lab.context import current
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import raw
from tinygrad_lab.engine.hooks import HookHandle, add_hook
from tinygrad_lab.engine.keywords import collecting, explaining, not_taken
from tinygrad_lab.engine.locks import collecting_gradients
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.engine.user_code import line_of, user_site
from tinygrad_lab.engine.views import as_view, refuse_view
from tinygrad_lab.errors import (
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
    TransposeError,
)
from tinygrad_lab.ops.at import At, set_item
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.other_names import attach_names

__all__ = ["attach"]

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": ops.add,
    "sub": ops.subtract,
    "mul": ops.multiply,
    "truediv": ops.divide,
    "floordiv": ops.floor_divide,
    "mod": ops.remainder,
    "pow": ops.pow,
    "matmul": ops.matmul,
    "and": ops.bitwise_and,
    "or": ops.bitwise_or,
    "xor": ops.bitwise_xor,
    "lshift": ops.bitwise_left_shift,
    "rshift": ops.bitwise_right_shift,
}
"""Operators of two operands, which Python also looks for in the operand on the right."""

OTHER_OPERATORS: dict[str, Callable[..., Any]] = {
    "neg": ops.negative,
    "abs": ops.abs,
    "invert": ops.bitwise_invert,
    "eq": ops.equal,
    "ne": ops.not_equal,
    "lt": ops.less,
    "le": ops.less_equal,
    "gt": ops.greater,
    "ge": ops.greater_equal,
    "getitem": getitem,
    "setitem": set_item,
}

BRIEF_METHODS = (
    *(ops.exp, ops.log, ops.sqrt, ops.square, ops.sin, ops.cos, ops.tanh, ops.sigmoid, ops.relu),
    ops.abs,
)
"""Methods without arguments. Explaining those that they do not take would cost 50 ns a call."""

METHODS = (
    *(ops.clip, ops.sum, ops.prod, ops.mean, ops.var, ops.std, ops.max, ops.min),
    *(ops.argmax, ops.argmin, ops.any, ops.all, ops.matmul, ops.flatten, ops.squeeze),
)
"""Ops that are methods under their own names."""


def reflected(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """Return an operator for the operand on the right: ``1 - x`` is ``subtract(1, x)``."""

    def operator(self: Tensor, other: Any) -> Any:
        return function(other, self)

    return operator


def in_place(name: str, function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """Return the operator ``x += y`` for the function of ``x + y``.

    On a leaf under ``no_grad`` it sets the data, in the same object. On a leaf that requires a
    gradient it is an error elsewhere. All other tensors are rebound: ``x += y`` is ``x = x + y``;
    under ``no_grad`` that is an error where it would lose a history, or mean to change a leaf.
    """

    def operator(self: Tensor, other: Any) -> Any:
        if current().grad_enabled:
            if self._node is None or not self.is_leaf:
                return function(self, other)
            raise _no_leaf_any_more(self, SIGNS[name])
        if not self.is_leaf:
            raise _no_history_any_more(self, SIGNS[name])
        if hasattr(self, "_viewed"):
            refuse_view(self, f"x {SIGNS[name]}= y", f"z = x {SIGNS[name]} y")
        result = function(detached(self._read()), other)
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise DTypeError(
                f"{self._label()} is {self.dtype} and cannot become {result.dtype} in place: "
                "x = x.astype(...) first."
            )
        self.data = result
        return self

    return operator


def _no_leaf_any_more(x: Tensor, sign: str) -> GradientError:
    """Return the error for ``x += y`` on a leaf that requires a gradient."""
    return GradientError(
        f"{x._label()} is a leaf that requires a gradient: x {sign}= y would make it a "
        f"computed tensor, without a .grad of its own. To change the leaf:\n"
        f"    with tg.no_grad():\n        x {sign}= y\n"
        f"To compute a new tensor: z = x {sign} y\n  at {line_of(*user_site())}"
    )


def _no_history_any_more(x: Tensor, sign: str) -> GradientError:
    """Return the error for ``x += y`` under ``no_grad`` on a tensor that was computed."""
    return GradientError(
        f"{x._label()} was computed from tensors that require a gradient: under no_grad, "
        f"x {sign}= y would make it a constant, through which no gradient flows. To let it flow, "
        f"outside of no_grad:\n    x = x {sign} y\n"
        f"If none is needed:\n    x = x.detach() {sign} y\n  at {line_of(*user_site())}"
    )


SIGNS = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "and": "&",
    "or": "|",
    "xor": "^",
    "lshift": "<<",
    "rshift": ">>",
}
"""How the operators are written."""


def _positive(self: Tensor) -> Tensor:
    return self


def _iterate(self: Tensor) -> Iterator[Tensor]:
    return (as_view(self[position], self) for position in range(len(self)))


def _contains(self: Tensor, value: Any) -> bool:
    return bool(ops.any(ops.equal(self, value)))


# --- shapes --------------------------------------------------------------------------------------


@collecting
def reshape(self: Tensor, *shape: Any, **others: Any) -> Tensor:
    """Return this tensor with another shape: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``."""
    if others:
        raise not_taken(reshape, others)
    if len(shape) == 1 and isinstance(shape[0], tuple | list):
        shape = tuple(shape[0])
    return as_view(ops.reshape(self, shape), self)


@collecting
def permute_dims(self: Tensor, *axes: Any, **others: Any) -> Tensor:
    """Return this tensor with its axes in another order."""
    if others:
        raise not_taken(permute_dims, others)
    if len(axes) == 1 and isinstance(axes[0], tuple | list):
        axes = tuple(axes[0])
    return as_view(ops.permute_dims(self, axes), self)


def _transposed(self: Tensor) -> Tensor:
    """A matrix, transposed."""
    if self.ndim != 2:
        raise TransposeError(
            f".T is for matrices, {self._label()} has shape {self.shape}: use .mT for stacks "
            "of matrices, tg.permute_dims(x, axes) for other orders of axes.\n"
            f"  at {line_of(*user_site())}"
        )
    return as_view(ops.matrix_transpose(self), self)


def _each_transposed(self: Tensor) -> Tensor:
    """A stack of matrices, each transposed."""
    try:
        return as_view(ops.matrix_transpose(self), self)
    except ShapeError as error:
        reason = str(error)
    raise TransposeError(f".mT is for matrices and stacks of them. {reason}")


def _at(self: Tensor) -> At:
    """Changed copies: ``x.at[i].set(v)`` and ``x.at[i].add(v)``, with gradients to x and v."""
    return At(self)


# --- moving and converting -----------------------------------------------------------------------


@explaining
def to(self: Tensor, target: Any) -> Tensor:
    """Return this tensor on a device (``"cpu"``, ``"cuda"``, ``"cuda:1"``), or of a dtype."""
    if not isinstance(target, str) or target in np.sctypeDict:
        return self.astype(target)
    if target != "python":
        target = backend_at(target)[1]  # says what is missing if the device is not there
        if target == self.device:
            return self
    return ops.transfer(self, device=target)


@explaining
def astype(self: Tensor, dtype: Any) -> Tensor:
    """Return this tensor with elements of another type."""
    if dtype is not None and dtype == self.dtype:
        return self
    wanted = castable_dtype(self, dtype)
    return self if wanted == self.dtype else ops.astype(self, wanted)


# --- hooks ---------------------------------------------------------------------------------------


def register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> HookHandle:
    """Let ``hook`` see this tensor's gradient in every sweep; a Tensor it returns replaces it.

    Returns:
        A handle: ``handle.remove()`` removes the hook, as does ``with handle:`` at the end of the
        block.

    Raises:
        GradientError: for a tensor that requires no gradient.
        ArgumentTypeError: for something that cannot be called.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> handle = x.register_hook(lambda gradient: 10 * gradient)
        >>> (x * x).backward()
        >>> x.grad.item()
        60.0
        >>> handle.remove()
    """
    node = self._node
    if node is None:
        raise GradientError(f"{self._label()} gets no gradient that a hook could see.")
    if not callable(hook):
        raise ArgumentTypeError(
            f"a hook of {self._label()} is a function of its gradient, got {type(hook).__name__}."
        )

    def on_gradient(g: Any) -> Any:
        # A gradient that is to be differentiated again comes as a Tensor, others as arrays.
        replaced = hook(g if isinstance(g, Tensor) else detached(g))
        if replaced is None:
            return None
        _check_replacement(replaced, g)
        return replaced if isinstance(g, Tensor) else replaced._data

    return add_hook(node, on_gradient)


def retain_grad(self: Tensor) -> None:
    """Let this computed tensor collect a ``.grad`` as leaves do, of what its hooks return.

    Raises:
        GradientError: for a tensor that requires no gradient.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.scalar(3.0)
        >>> h = x * x
        >>> h.retain_grad()
        >>> (2 * h).backward()
        >>> h.grad.item()
        2.0
    """
    if self._node is None:
        raise GradientError(f"{self._label()} gets no gradient that it could retain.")
    if self.is_leaf or hasattr(self, "_grad"):
        return
    self._grad = None
    reference = ref(self)

    def keep(g: Any) -> None:
        tensor, gradient = reference(), raw(g)
        if tensor is None:
            return
        with collecting_gradients:  # another thread may go back through it, too
            before = tensor._grad
            tensor._collect(owned([gradient if before is None else before._data + gradient]))

    add_hook(self._node, keep, last=True)


def _check_replacement(replaced: Any, g: Any) -> None:
    """Raise unless what a hook returned can take the place of a gradient."""
    if not isinstance(replaced, Tensor):
        raise ArgumentTypeError(
            "a hook returns None, or a Tensor to go on with; this one returned "
            f"{type(replaced).__name__}."
        )
    came, expected = form_of(replaced._data), form_of(raw(g))
    if came.shape != expected.shape:
        raise ShapeError(
            f"a hook must keep the gradient's shape, {expected.shape}; this one returned "
            f"{came.shape}."
        )
    if came is not expected:
        raise DTypeError(
            f"a hook must keep the gradient's dtype, device and kind, {expected}; this one "
            f"returned {came}."
        )


# --- copying -------------------------------------------------------------------------------------


def _reduce(self: Tensor) -> tuple[Any, ...]:
    """Return what ``deepcopy`` and ``pickle`` take: value, name and gradient, but no history."""
    if not self.is_leaf:
        raise GradientError(
            f"{self._label()} was computed from other tensors: a copy or a pickle would lose "
            "that history. Copy or plot x.detach(), or copy its inputs."
        )
    return _rebuilt, (type(self), self._read(), self.requires_grad, self.name, self.grad)


def _rebuilt(
    kind: type[Tensor], data: Array, requires_grad: bool, name: str | None, grad: Tensor | None
) -> Tensor:
    tensor = object.__new__(kind)
    tensor._data = data
    tensor._node = None
    if name:
        tensor.name = name
    tensor.requires_grad_(requires_grad)
    tensor.grad = grad
    return tensor


def attach(namespace: Any) -> None:
    """Give the engine's Tensor its operators and methods.

    Args:
        namespace: the package, which is the namespace that the Array API asks tensors for.
    """
    operators = OPERATORS | OTHER_OPERATORS
    attached: dict[str, Any] = {f"__{name}__": direct(f) for name, f in operators.items()}
    attached |= {f"__r{name}__": reflected(direct(f)) for name, f in OPERATORS.items()}
    attached |= {function.__name__: function for function in METHODS}
    attached |= {function.__name__: direct(function) for function in BRIEF_METHODS}
    attached |= {"reshape": reshape, "permute_dims": permute_dims, "at": property(_at)}
    attached |= {"T": property(_transposed), "mT": property(_each_transposed)}
    attached |= {"to": to, "astype": astype}
    attached |= {"register_hook": register_hook, "retain_grad": retain_grad}
    attached |= {f"__i{name}__": in_place(name, direct(f)) for name, f in OPERATORS.items()}
    attached |= {"__pos__": _positive, "__iter__": _iterate, "__contains__": _contains}
    attached |= {"__hash__": object.__hash__, "__reduce__": _reduce}
    attached |= {"__array_namespace__": namespace_method(namespace)}
    for name, function in (attached | PROTOCOLS).items():
        setattr(Tensor, name, function)
    attach_names(namespace)
