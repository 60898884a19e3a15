"""Tensor: a value and how it came to be."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.array_api.casting import castable_dtype
from tinygrad_lab.array_api.interchange import Interchange
from tinygrad_lab.backends import (
    NUMPY,
    PYTHON,
    SMALL,
    Array,
    form_of,
    namespaces,
)
from tinygrad_lab.backends.devices import backend_at
from tinygrad_lab.backends.dtypes import array_of, get_default_dtype
from tinygrad_lab.backends.ownership import owned
from tinygrad_lab.context import Context, current
from tinygrad_lab.engine.apply import bind, plain
from tinygrad_lab.engine.backward import hooked, note_hooks, run_hooks, sweep
from tinygrad_lab.engine.node import Leaf, Node
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
)
from tinygrad_lab.ops.at import At, set_item

__all__ = ["Tensor"]


class Tensor(Interchange):
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

    __slots__ = ("__weakref__", "_data", "_grad", "_gradient_of", "_node", "_origin")
    _data: Array
    _node: Node | None
    """The history, if a gradient flows through this tensor."""
    _origin: Node
    """The node where no gradient flows: made when first asked for."""
    _grad: Tensor | None
    _gradient_of: Callable[[], Tensor | None] | None
    """A reference to the tensor whose ``.grad`` this became; None if it is that of several."""

    # --- the value ---------------------------------------------------------------------------

    @property
    def data(self) -> Array:
        """The raw value: a Python number, a NumPy or a CuPy array.

        Assigning rebinds the tensor to a new value of the same shape, dtype and kind, and leaves
        graphs that were built with the old one as they are. Writing into it (``x.data[0] = 1``)
        changes them; ``with tg.debug():`` finds that.
        """
        recorder = current().recorder
        if recorder is not None:
            recorder.refuse_reading(".data")
        if isinstance(self._data, np.generic):
            self._data = np.asarray(self._data)
        return self._data

    @data.setter
    def data(self, value: Tensor | Array | float) -> None:
        if (recorder := current().recorder) is not None:
            recorder.lift([self, value])
        new: Any = value._data if isinstance(value, Tensor) else value
        old = self._data
        new = array_of(new)[0] if isinstance(new, list | tuple) else new
        backend = namespaces[type(old)]
        if type(new) not in namespaces:
            raise ArgumentTypeError(
                f".data of {self._label()} takes an array, a number or a Tensor, got "
                f"{type(new).__name__}: {new!r:.60}."
            )
        if backend.name == "python":
            if getattr(new, "size", 1) != 1:
                raise ShapeError(
                    f"{self._label()} is a single number; .data cannot be set to a value of shape "
                    f"{tuple(new.shape)}."
                )
            if type(new) is not type(old):
                new = backend.asarray(type(old)(namespaces[type(new)].to_numpy(new).item()))
        else:
            new = backend.asarray(new) if new.__class__ in _NUMBERS else new
            if new.shape != old.shape:
                raise ShapeError(
                    f"{self._label()} has shape {tuple(old.shape)}; .data cannot be set to a "
                    f"value of shape {tuple(new.shape)}."
                )
            if new.dtype != old.dtype or type(new) is not type(old):
                new = backend.asarray(new, dtype=old.dtype, device=backend.device_of(old))
        self._rebind(new)

    def _rebind(self, data: Array) -> None:
        """Take on new data, as a new leaf: pictures of older graphs still show the old ones."""
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
    def shape(self) -> tuple[int, ...]:
        """The size of each axis; ``()`` for a single number."""
        return tuple(getattr(self._data, "shape", ()))

    @property
    def dtype(self) -> Any:
        """The type of the elements; a Python number counts as 64 bits wide."""
        return getattr(self._data, "dtype", None) or np.dtype(type(self._data))

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(getattr(self._data, "size", 1))

    @property
    def device(self) -> str:
        """Where the value lives: ``"cpu"``, ``"cuda"``, ``"cuda:1"``."""
        return namespaces[type(self._data)].device_of(self._data)

    def _read(self) -> Array:
        """The raw value for who looks at it; in a step that is being compiled it is traced."""
        if (recorder := current().recorder) is not None:
            recorder.lift([self])
        return self._data

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        if self.size != 1:
            raise ShapeError(
                f"{self._label()} of shape {self.shape} has {self.size} elements; item(), bool(), "
                "float() and int() take one. Reduce it first (sum, mean), or use tolist()."
            )
        data = self._read()
        return data.item() if hasattr(data, "item") else data

    def numpy(self) -> np.ndarray[Any, Any]:
        """The value as a NumPy array, which shares the memory of a tensor on the CPU.

        Raises:
            GradientError: if the tensor requires a gradient, which would be lost: say
                ``detach()`` first.
        """
        if self._node is not None:
            raise GradientError(
                f"{self._label()} requires a gradient, which a NumPy array cannot carry. "
                "If it is not wanted here: x.detach().numpy()."
            )
        data = self._read()
        return namespaces[type(data)].to_numpy(data)

    def tolist(self) -> Any:
        """The value as nested lists of Python numbers."""
        data = self._read()
        return namespaces[type(data)].to_numpy(data).tolist()

    # --- gradients ---------------------------------------------------------------------------

    @property
    def node(self) -> Node:
        """Where this tensor stands in its graph."""
        if self._node is not None:
            return self._node
        try:
            return self._origin
        except AttributeError:
            self._origin = Leaf(self._data, tensor=self)
            return self._origin

    @property
    def name(self) -> str | None:
        """What pictures and error messages call this tensor."""
        node = self._node or getattr(self, "_origin", None)
        return node.name if node is not None else None

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
        """Whether this tensor was not computed from others that require a gradient."""
        return self._node is None or isinstance(self._node, Leaf)

    @property
    def grad(self) -> Tensor | None:
        """The gradient that ``backward()`` has collected here; None where none was computed.

        Only leaves collect. A detached Tensor in memory of its own, of the shape, dtype, device
        and kind of this one.
        """
        return getattr(self, "_grad", None)

    @grad.setter
    def grad(self, value: Tensor | None) -> None:
        if value is not None and not isinstance(value, Tensor):
            raise ArgumentTypeError(f".grad is a Tensor or None, got {type(value).__name__}.")
        if value is not None and value.shape != self.shape:
            raise ShapeError(
                f"{self._label()} has shape {self.shape}, its .grad cannot have {value.shape}."
            )
        if value is not None and (value.dtype, value.device) != (self.dtype, self.device):
            raise DTypeError(
                f"{self._label()} is {self.dtype} on {self.device}, its .grad cannot be "
                f"{value.dtype} on {value.device}: value.astype(x.dtype), value.to(x.device)."
            )
        if (recorder := current().recorder) is not None:
            recorder.lift_owner(self)
        if value is not None:
            value = value.detach() if value.requires_grad else value
            value._gradient_of = None if _is_gradient_of_another(value, self) else ref(self)
        self._grad = value

    def _collect(self, gradient: Array) -> Tensor:
        """Let an array be the data of ``.grad``."""
        self._grad = collected = plain(gradient)
        collected._gradient_of = ref(self)
        return collected

    def backward(
        self, gradient: Tensor | Array | float | None = None, *, free: bool = False
    ) -> None:
        """Compute the gradient of this tensor with respect to every leaf, and add it to ``.grad``.

        Args:
            gradient: the gradient of some later scalar with respect to this tensor, of its
                shape; may be left out where the tensor has one element (it is 1 then).
            free: drop what the graph keeps as it goes. Saves memory; the graph can then not be
                gone back through again.

        Raises:
            GradientError: if no gradient flows here, or for want of ``gradient``.
            GraphFreedError: if an earlier ``backward(free=True)`` dropped what is needed.

        Example:
            >>> import tinygrad_lab as tg
            >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
            >>> (x * x).backward(gradient=[1.0, 10.0])
            >>> x.grad.tolist()
            [2.0, 40.0]
        """
        if self._node is None:
            raise GradientError(
                f"{self._label()} does not depend on a tensor that requires a gradient. Make one "
                "with tg.scalar(value) or tg.tensor(data, requires_grad=True), outside no_grad(). "
                "(What a compiled step returns has no history: call backward() inside of it.)"
            )
        context = current()
        gradients = sweep(
            {self._node: self._seed(gradient)},
            free=free,
            keep=sys.maxsize - 1 if context.recording else SMALL,
            observe=_observer(context),
            pull_back=context.debugger.pull_back if context.debugger else None,
        )
        _deliver(gradients)

    def _seed(self, gradient: Any) -> Array:
        """The gradient to start from, as an array like this tensor's own."""
        xp = namespaces[type(self._data)]
        if gradient is None:
            form = form_of(self._data)
            if form.size != 1:
                raise GradientError(
                    f"backward() needs a scalar, {self._label()} has shape {self.shape}. "
                    "Reduce it first (loss.sum(), loss.mean()), or say which combination of its "
                    "elements is meant: backward(gradient=...)."
                )
            if xp is PYTHON:
                return 1.0
            if xp is NUMPY and not form.shape:
                return _numpy_one(form.dtype)
            one = xp.asarray(1, dtype=form.dtype, device=form.device)
            return xp.reshape(one, form.shape) if form.shape else one
        data = gradient._data if isinstance(gradient, Tensor) else gradient
        try:
            if xp is PYTHON:
                return float(data)
            data = xp.asarray(data, dtype=self.dtype, device=self.device)
        except (ValueError, TypeError):
            raise ArgumentError(
                f"gradient must be numbers in the shape of {self._label()}, {self.shape}; got "
                f"{data!r:.60}."
            ) from None
        if data.shape != self.shape:
            raise ShapeError(
                f"gradient must have the shape of {self._label()}, {self.shape}; got {data.shape}."
            )
        return data

    def detach(self) -> Tensor:
        """The same value, in the same memory, without a history."""
        return plain(self._read())

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Let this leaf require a gradient, or no longer; returns the tensor itself.

        Raises:
            GradientError: for a tensor that was computed from others.
            DTypeError: for a tensor of integers or booleans.
        """
        if requires_grad == self.requires_grad:
            return self
        if not self.is_leaf:
            raise GradientError(
                f"{self._label()} was computed from other tensors and passes on their gradient; "
                "detach() gives its value without a history."
            )
        name = self.name
        if requires_grad:
            if not _is_floating(self._data):
                way = (
                    "tg.real(x)" if self.dtype.kind == "c" else "numbers like 1.0, or x.astype(...)"
                )
                raise DTypeError(
                    f"only floating-point tensors have gradients, {self._label()} is "
                    f"{self.dtype}: {way}."
                )
            self._node = Leaf(self._data, requires_grad=True, name=name, tensor=self)
        else:
            self._node = None
            self._origin = Leaf(self._data, name=name, tensor=self)
        return self

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> Callable[[], None]:
        """Let ``hook`` see this tensor's gradient in every sweep, and replace it if it returns one.

        Returns:
            A function that removes the hook.

        Example:
            >>> import tinygrad_lab as tg
            >>> x = tg.scalar(3.0)
            >>> remove = x.register_hook(lambda gradient: 10 * gradient)
            >>> (x * x).backward()
            >>> x.grad.item()
            60.0
        """
        if self._node is None:
            raise GradientError(f"{self._label()} gets no gradient that a hook could see.")
        if not callable(hook):
            raise ArgumentTypeError(
                f"a hook of {self._label()} is a function of its gradient, got "
                f"{type(hook).__name__}."
            )
        if not hasattr(self._node, "_hooks"):
            self._node._hooks = {}
        note_hooks(self._node)
        # The leaves that a tensor had before its data were set anew share it.
        registered = self._node._hooks
        key = max(registered, default=0) + 1

        def on_arrays(g: Any) -> Any:
            replaced = hook(g if isinstance(g, Tensor) else plain(g))
            if replaced is None:
                return None
            if not isinstance(replaced, Tensor):
                raise ArgumentTypeError(
                    "a hook returns None, or a Tensor to go on with; this one returned "
                    f"{type(replaced).__name__}."
                )
            came, expected = form_of(replaced._data), form_of(getattr(g, "_data", g))
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
            return replaced if isinstance(g, Tensor) else replaced._data

        registered[key] = on_arrays

        def remove() -> None:
            registered.pop(key, None)

        return remove

    # --- moving and converting ---------------------------------------------------------------

    def to(self, target: Any) -> Tensor:
        """This tensor on a device (``"cpu"``, ``"cuda"``, ``"cuda:1"``), or of a dtype."""
        if not isinstance(target, str) or target in np.sctypeDict:
            return self.astype(target)
        if target != "python":
            target = backend_at(target)[1]  # says what is missing if the device is not there
            if target == self.device:
                return self
        return ops.transfer(self, device=target)

    def astype(self, dtype: Any) -> Tensor:
        """This tensor with elements of another type."""
        if dtype is not None and dtype == self.dtype:
            return self
        wanted = castable_dtype(self, dtype)
        return self if wanted == self.dtype else ops.astype(self, wanted)

    @property
    def T(self) -> Tensor:  # noqa: N802 - the name that everybody knows
        """A matrix, transposed."""
        if self.ndim != 2:
            raise ShapeError(
                f".T is for matrices, {self._label()} has shape {self.shape}: use .mT for stacks "
                "of matrices, tg.permute_dims(x, axes) for other orders of axes."
            )
        return ops.matrix_transpose(self)

    @property
    def mT(self) -> Tensor:  # noqa: N802 - the Array API's name
        """A stack of matrices, each transposed."""
        return ops.matrix_transpose(self)

    # --- operators ---------------------------------------------------------------------------

    __add__ = ops.add
    __sub__ = ops.subtract
    __mul__ = ops.multiply
    __truediv__ = ops.divide
    __floordiv__ = ops.floor_divide
    __mod__ = ops.remainder
    __pow__ = ops.pow
    __matmul__ = ops.matmul
    __neg__ = ops.negative
    __abs__ = ops.abs
    __and__ = ops.bitwise_and
    __or__ = ops.bitwise_or
    __xor__ = ops.bitwise_xor
    __invert__ = ops.bitwise_invert
    __lshift__ = ops.bitwise_left_shift
    __rshift__ = ops.bitwise_right_shift
    __eq__ = ops.equal  # type: ignore[assignment]
    __ne__ = ops.not_equal  # type: ignore[assignment]
    __lt__ = ops.less
    __le__ = ops.less_equal
    __gt__ = ops.greater
    __ge__ = ops.greater_equal
    __hash__ = object.__hash__

    def __pos__(self) -> Tensor:
        return self

    def __radd__(self, other: Any) -> Tensor:
        return ops.add(other, self)

    def __rsub__(self, other: Any) -> Tensor:
        return ops.subtract(other, self)

    def __rmul__(self, other: Any) -> Tensor:
        return ops.multiply(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        return ops.divide(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        return ops.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Tensor:
        return ops.remainder(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        return ops.pow(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        return ops.matmul(other, self)

    def __rand__(self, other: Any) -> Tensor:
        return ops.bitwise_and(other, self)

    def __ror__(self, other: Any) -> Tensor:
        return ops.bitwise_or(other, self)

    def __rxor__(self, other: Any) -> Tensor:
        return ops.bitwise_xor(other, self)

    def __rlshift__(self, other: Any) -> Tensor:
        return ops.bitwise_left_shift(other, self)

    def __rrshift__(self, other: Any) -> Tensor:
        return ops.bitwise_right_shift(other, self)

    __getitem__ = ops.getitem

    @property
    def at(self) -> At:
        """Changed copies: ``x.at[i].set(v)`` and ``x.at[i].add(v)``, with gradients to x and v."""
        return At(self)

    # --- as methods --------------------------------------------------------------------------

    exp = ops.exp
    log = ops.log
    sqrt = ops.sqrt
    sin = ops.sin
    cos = ops.cos
    tanh = ops.tanh
    sigmoid = ops.sigmoid
    relu = ops.relu
    abs = ops.abs
    square = ops.square
    clip = ops.clip
    sum = ops.sum
    mean = ops.mean
    var = ops.var
    std = ops.std
    max = ops.max
    min = ops.min
    prod = ops.prod
    argmax = ops.argmax
    argmin = ops.argmin
    any = ops.any
    all = ops.all
    matmul = ops.matmul
    flatten = ops.flatten

    def reshape(self, *shape: Any) -> Tensor:
        """This tensor with another shape: ``x.reshape(2, -1)`` or ``x.reshape((2, -1))``."""
        if len(shape) == 1 and isinstance(shape[0], tuple | list):
            shape = tuple(shape[0])
        return ops.reshape(self, shape)

    def permute_dims(self, *axes: Any) -> Tensor:
        """This tensor with its axes in another order."""
        if len(axes) == 1 and isinstance(axes[0], tuple | list):
            axes = tuple(axes[0])
        return ops.permute_dims(self, axes)

    # --- Python's own protocols --------------------------------------------------------------

    def __len__(self) -> int:
        if self.ndim == 0:
            raise ArgumentTypeError(f"{self._label()} is a single number and has no length.")
        return self.shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        return (self[position] for position in range(len(self)))

    def __bool__(self) -> bool:
        return bool(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __complex__(self) -> complex:
        return complex(self.item())

    def __index__(self) -> int:
        value = self.item()
        if isinstance(value, float | complex):
            raise ArgumentTypeError(f"{self._label()} is {self.dtype} and cannot be an index.")
        return int(value)

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if spec else str(self)

    __setitem__ = set_item

    def __contains__(self, value: Any) -> bool:
        return bool(ops.any(ops.equal(self, value)))

    def _label(self) -> str:
        """How error messages refer to this tensor."""
        return f"tensor {self.name!r}" if self.name else "the tensor"

    def __repr__(self) -> str:
        data = self._read()
        if data.__class__ in _NUMBERS:
            parts = [f"scalar({data!r}"]
        else:
            data = namespaces[type(data)].to_numpy(data)
            numbers = np.array2string(data, separator=", ", prefix="tensor(", threshold=100)
            parts = [f"tensor({numbers}"]
            if self.size == 0:
                parts.append(f"shape={self.shape}")
            if self.dtype != get_default_dtype() and self.dtype != np.dtype(bool):
                parts.append(f"dtype={self.dtype}")
            if self.device != "cpu":
                parts.append(f"device={self.device!r}")
        if self.name:
            parts.append(f"name={self.name!r}")
        if self._node is not None:
            op = self._node.op
            parts.append(f"op={op.name}" if op is not None else "requires_grad=True")
        return ", ".join(parts) + ")"

    def __reduce__(self) -> tuple[Any, ...]:
        # deepcopy and pickle: value, name, gradient; a history cannot go along.
        if not self.is_leaf:
            raise GradientError(
                f"{self._label()} was computed from other tensors: a copy or a pickle would lose "
                "that history. Copy x.detach(), or its inputs."
            )
        return _rebuilt, (type(self), self._read(), self.requires_grad, self.name, self.grad)


bind(Tensor)
# For Tensors every function of the table is the op itself: rules that get Tensors build a graph.
namespaces[Tensor] = ops.tensor_namespace


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


def _is_gradient_of_another(gradient: Tensor, owner: Tensor) -> bool:
    """Whether a tensor is, or was together with another's, the ``.grad`` of another one."""
    try:
        reference = gradient._gradient_of
    except AttributeError:
        return False
    if reference is None:
        return True
    other = reference()
    return other is not None and other is not owner and other.grad is gradient


_NUMBERS = frozenset({float, int, bool})
"""The kinds of Python's numbers; NumPy's float64 is a subclass of float, and none of them."""


@cache
def _numpy_one(dtype: np.dtype[Any]) -> Array:
    """What most sweeps start from: one of NumPy's numbers, with which rules work sooner."""
    return dtype.type(1)


def _is_floating(data: Array) -> bool:
    return isinstance(data, float) or getattr(data, "dtype", np.dtype(int)).kind == "f"


def _observer(context: Context) -> Callable[[Node, Array], Array] | None:
    """Who wants to see the gradients of a sweep."""
    if context.recorder is not None:
        return context.recorder.observe
    return run_hooks if hooked else None


def _deliver(gradients: dict[Node, Array]) -> None:
    """Add the gradients of leaves to what their tensors have collected."""
    recorder = current().recorder
    while gradients:
        leaf, *holder = gradients.popitem()
        reference = getattr(leaf, "tensor", None)  # of a leaf that is a user's
        tensor = None if reference is None else reference()
        if tensor is not None:
            collected = getattr(tensor, "_grad", None)
            if collected is not None:
                if recorder is not None:
                    recorder.lift([collected])
                # A new Tensor: the user may have set one gradient for several leaves.
                holder[0] = collected._data + holder[0]
            elif recorder is not None:
                recorder.note_first_gradient(tensor)
            holder[0] = owned(holder)
            tensor._grad = collected = plain(holder[0])
            collected._gradient_of = reference
        # For pictures, should the tensor itself be gone by then.
        leaf._gradient = holder[0] if leaf.form.small else None
