"""Arrays that record what is done with them.

A traced array holds a real one, and every operation on it really happens: the ops, the rules and
the optimisers of the engine run as usual, on arrays of a namespace of their own, as they would run
on CuPy's. The only difference is that each operation is entered in a trace. So a trace holds
exactly what an eager step does with arrays, in order, and replaying it gives the same bits.

Anything that would make the step depend on numbers (``if loss > 1``, ``loss.item()``) is refused.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from numpy.lib.stride_tricks import as_strided

from tinygrad_lab.backends import NUMPY, PYTHON, Namespace, register_namespace
from tinygrad_lab.backends.numpy import NumPy, unsigned
from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.record.numbers import TracedNumber, traced_numbers
from tinygrad_lab.compiler.record.trace import Call, Trace, Value, caller, mapped
from tinygrad_lab.compiler.record.traced import Traced
from tinygrad_lab.compiler.refusal import UnsupportedError, refused

__all__ = ["TracedArray", "holds_traced", "traced_namespace"]


class TracedArray(Traced, NDArrayOperatorsMixin):
    """An array that enters every use of it in a trace."""

    __slots__ = ()
    __array_priority__ = 2000.0

    @property
    def array(self) -> Any:
        """The real array."""
        return self.value.array

    # --- metadata --------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> Any:
        return self.array.dtype

    @property
    def device(self) -> str:
        return "cpu"

    @property
    def ndim(self) -> int:
        return self.array.ndim

    @property
    def size(self) -> int:
        return self.array.size

    @property
    def nbytes(self) -> int:
        return self.array.nbytes

    @property
    def itemsize(self) -> int:
        return self.array.itemsize

    @property
    def strides(self) -> tuple[int, ...]:
        return self.array.strides

    @property
    def flags(self) -> Any:
        return self.array.flags

    def __len__(self) -> int:
        return len(self.array)

    # --- recorded operations ---------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if not _KNOWN.issuperset(map(type, inputs)) and any(map(_has_own_protocol, inputs)):
            return NotImplemented
        out = kwargs.pop("out", None)
        call, trace = _ufunc_call(ufunc, method), self._trace
        if method == "at":
            return _record(trace, call, inputs, kwargs, writes=inputs[0])
        if out is None:
            return _record(trace, call, inputs, kwargs)
        return _record_into(trace, call, inputs, kwargs, out[0])

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        name = function.__name__
        row = known(name)
        if row.tells == "metadata":
            return function(*_real(args), **_real(kwargs))
        if row.tells == "numbers":
            raise refused(f"np.{name} of a tensor")
        call = Call("function", name, function)
        if name == "dot" and len(args) > 2:
            args, kwargs = args[:-1], {"out": args[-1]}
        out = kwargs.get("out")
        if out is not None:
            rest = {key: one for key, one in kwargs.items() if key != "out"}
            return _record_into(self._trace, call, args, rest, out)
        writes = args[0] if "function" in row.writes else None
        return _record(self._trace, call, args, kwargs, writes=writes)

    def __getitem__(self, key: Any) -> Any:
        if any(_is_mask(part) for part in (key if isinstance(key, tuple) else (key,))):
            raise refused("the elements that a boolean mask selects")
        return _record(self._trace, _GETITEM, (self, key), {})

    def __setitem__(self, key: Any, new: Any) -> None:
        # `x[i] += y` ends here, with new = x[i]: a view that already holds the result.
        if isinstance(new, TracedArray) and new.value.event is not None:
            event = new.value.event
            in_place = event.writes is not None and event.writes is new.value
            if in_place and new.value.root is self.value.root:
                return
        _record(self._trace, _SETITEM, (self, key, new), {}, writes=self)

    def __iter__(self) -> Iterator[Any]:
        return (self[position] for position in range(len(self)))

    @property
    def T(self) -> Any:  # noqa: N802 - NumPy's name
        return self.transpose()

    @property
    def real(self) -> Any:
        return np.real(self)

    @property
    def imag(self) -> Any:
        return np.imag(self)

    @property
    def mT(self) -> Any:  # noqa: N802 - NumPy's name
        return self.swapaxes(-2, -1)

    # The operator, unlike the function, squares by multiplying.

    def __pow__(self, other: Any) -> Any:
        return _power(self._trace, self, other)

    def __rpow__(self, other: Any) -> Any:
        if isinstance(self.array, np.ndarray) and self.array.ndim:
            return super().__rpow__(other)
        return _power(self._trace, other, self)

    def __ipow__(self, other: Any) -> Any:
        new = _power(self._trace, self, other)
        if not isinstance(self.array, np.ndarray):
            return new
        self[...] = new
        return self

    def __getattr__(self, name: str) -> Any:
        row = known(name)
        if not row.is_method:
            raise AttributeError(f"a traced array has no {name!r}")

        def method(*args: Any, **kwargs: Any) -> Any:
            call = _method_call(name)
            out = kwargs.pop("out", None)
            if out is not None:
                return _record_into(self._trace, call, (self, *args), kwargs, out)
            writes = self if "method" in row.writes else None
            return _record(self._trace, call, (self, *args), kwargs, writes=writes)

        return method

    def __repr__(self) -> str:
        return f"<traced {self.dtype} of shape {self.shape}>"


# Reuse one object per call: faster to make, and to compare.
_ITEM = Call("method", "item", lambda array: array.item())
_GETITEM = Call("getitem", "getitem", operator.getitem)
_PICK = Call("getitem", "pick", operator.getitem)
_SETITEM = Call("setitem", "setitem", operator.setitem)


_COPY = Call("function", "array", np.array)


@cache
def _method_call(name: str) -> Call:
    def method(receiver: Any, *args: Any, **kwargs: Any) -> Any:
        # The receiver may be one of NumPy's scalars, which np.ndarray's own methods refuse.
        return getattr(receiver, name)(*args, **kwargs)

    return Call("method", name, method)


@cache
def _power_call(base_is_scalar: bool, exponent_is_scalar: bool) -> Call:
    """Return the operator; where an operand was a NumPy scalar it is one again in a replay.

    NumPy computes powers of its scalars in other code than those of arrays without axes.
    """
    if not (base_is_scalar or exponent_is_scalar):
        return Call("function", "pow", operator.pow)

    def power(base: Any, exponent: Any) -> Any:
        base = base[()] if base_is_scalar else base
        return base ** (exponent[()] if exponent_is_scalar else exponent)

    return Call("function", "pow", power)


def _power(trace: Trace, base: Any, exponent: Any) -> Any:
    operands = (base, exponent)
    return _record(trace, _power_call(*map(_is_scalar, operands)), operands, {})


@cache
def _ufunc_call(ufunc: Any, method: str) -> Call:
    if method == "__call__":
        return Call("ufunc", ufunc.__name__, ufunc)
    return Call("ufunc", f"{ufunc.__name__}.{method}", getattr(ufunc, method))


_TRACED: frozenset[Any] = frozenset({TracedArray, TracedNumber})
_PLAIN = frozenset({float, int, bool, str, type(None)})
"""Types of arguments that contain no others, beside arrays."""
_KNOWN = _TRACED | _PLAIN


def _is_scalar(x: Any) -> bool:
    """Return whether it stands for one of NumPy's scalars."""
    return x.__class__ is TracedArray and isinstance(x.value.array, np.generic)


def _has_own_protocol(x: Any) -> bool:
    """Return whether an operand (a Tensor, a Scatter) handles arrays in its own way."""
    arrays = (*_TRACED, np.ndarray, np.generic)
    return not isinstance(x, arrays) and hasattr(type(x), "__array_ufunc__")


def _is_mask(part: Any) -> bool:
    return isinstance(part, TracedArray) and part.dtype == bool


def holds_traced(tree: Any) -> bool:
    """Return whether nested lists hold anything that is traced."""
    if isinstance(tree, list):
        return any(map(holds_traced, tree))
    return tree.__class__ in _TRACED


def _real(tree: Any) -> Any:
    """Replace traced arrays in arguments by the real ones."""
    return mapped(tree, _real_array) if tree else tree


def _real_array(one: Any) -> Any:
    return one.value.array if one.__class__ in _TRACED else one


def _taken_apart(trace: Trace, args: Any, found: list[Value]) -> tuple[list[Any], list[Any]]:
    """Return arguments as a call takes them, of real arrays, and as a trace holds them, of values.

    In one pass, as this is done for each event; the values are added to ``found``, too.
    """
    real, entered = [], []
    for one in args:
        if one.__class__ in _TRACED:
            value = one.value
            found.append(value)
            real.append(value.array)
            entered.append(value)
        elif one.__class__ in _PLAIN:
            real.append(one)
            entered.append(one)
        else:
            mine, values = _part_taken_apart(trace, one, found)
            real.append(mine)
            entered.append(values)
    return real, entered


def _part_taken_apart(trace: Trace, tree: Any, found: list[Value]) -> tuple[Any, Any]:
    """Do the same for an argument that may hold others."""
    if isinstance(tree, tuple | list):
        kind = tuple if isinstance(tree, tuple) else list
        real, entered = _taken_apart(trace, tree, found)
        return kind(real), kind(entered)
    if isinstance(tree, dict):
        real, entered = _taken_apart(trace, tree.values(), found)
        return dict(zip(tree, real, strict=True)), dict(zip(tree, entered, strict=True))
    if isinstance(tree, slice):
        real, entered = _taken_apart(trace, (tree.start, tree.stop, tree.step), found)
        return slice(*real), slice(*entered)
    if isinstance(tree, np.ndarray):
        constant = trace.constant(tree)
        found.append(constant)
        return tree, constant
    return tree, tree


def _record(
    trace: Trace, call: Call, args: Any, kwargs: Any, *, writes: TracedArray | None = None
) -> Any:
    """Run the call, and enter it in the trace."""
    found: list[Value] = []
    real, entered = _taken_apart(trace, args, found)
    given, named = _part_taken_apart(trace, kwargs, found) if kwargs else (kwargs, kwargs)
    out = call.function(*real, **given)
    if writes is not None and _is_scalar(writes):
        return None  # NumPy has written into a copy
    if call.kind in _MAY_VIEW and any(map(_is_scalar, args)) and writes is None:
        viewed = _viewed_scalars(call, args, kwargs)
        if viewed and isinstance(out, np.generic) and out.dtype == viewed[0].dtype:
            return TracedArray(trace, viewed[0].value)
        if viewed:
            return _record_view_of_copies(trace, call, args, kwargs, viewed, out)
    event = trace.add(call, tuple(entered), named, tuple(found))
    name = trace.observe(event, caller(2))
    if writes is not None:
        event.writes = writes.value
        writes.value.root.rewritten += 1
        return None
    if isinstance(out, tuple | list):
        event.several = True
        parts = [TracedArray(trace, trace.result_of(event, one)) for one in out]
        return out._make(parts) if hasattr(out, "_make") else type(out)(parts)
    value = trace.result_of(event, out)
    value.name = name
    return TracedArray(trace, value)


_MAY_VIEW = frozenset({"method", "function", "getitem"})


def _viewed_scalars(call: Call, args: Any, kwargs: Any) -> list[TracedArray]:
    """Return the arguments without axes that the result would view if they were arrays.

    NumPy's scalars have no memory to view: what is made of them is a copy. But in a replay they are
    arrays without axes, in memory that is reused once nothing reads it.
    """
    wholes = {id(one): np.asarray(one.array) for one in args if _is_scalar(one)}
    given = [wholes.get(id(one), mapped(one, _real_array)) for one in args]
    out = call.function(*given, **_real(kwargs))
    parts = out if isinstance(out, tuple | list) else (out,)
    arrays = [part for part in parts if isinstance(part, np.ndarray)]
    return [
        one
        for one in args
        if any(np.may_share_memory(part, wholes.get(id(one), ())) for part in arrays)
    ]


def _record_view_of_copies(
    trace: Trace, call: Call, args: Any, kwargs: Any, viewed: list[TracedArray], scalar: Any
) -> Any:
    """Copy scalars, and enter the view of the copies that the call makes in a replay."""
    copies = {id(one): _record(trace, _COPY, (one,), {}) for one in viewed}
    result = _record(trace, call, tuple([copies.get(id(one), one) for one in args]), kwargs)
    if isinstance(scalar, np.generic):
        result.value.array = scalar
    return result


def _record_into(trace: Trace, call: Call, args: Any, kwargs: Any, target: TracedArray) -> Any:
    """Enter an operation that writes its result into an array.

    Where all of the memory is written and nothing else views it, the array simply gets a new value;
    otherwise the event is a write into memory.
    """
    if not isinstance(target.array, np.ndarray):
        # NumPy's scalars are immutable: `x += 1` makes a new one.
        return _record(trace, call, args, kwargs)
    before, found = target.value, list[Value]()
    real, entered = _taken_apart(trace, args, found)
    given, named = _part_taken_apart(trace, kwargs, found) if kwargs else (kwargs, kwargs)
    is_seen = before.base is not None or before.viewed or before.origin is not None
    # Some elements may be left as they are.
    fresh = None if is_seen or "where" in kwargs else call.function(*real, **given)
    is_new = _is_laid_out_like(fresh, before.array)
    if not is_new:
        call.function(*real, **given, out=before.array)
    event = trace.add(call, tuple(entered), named, tuple(found))
    trace.observe(event, caller(2))
    if not is_new:
        event.writes = before
        before.root.rewritten += 1
        return target
    event.augmented = any(one is target for one in args[:1])
    value = trace.result_of(event, fresh)
    value.name = before.name
    target.value = value
    return target


def _is_laid_out_like(one: Any, other: Any) -> bool:
    """Return whether an array could take the place of another; axes of length 1 have no stride."""
    if not isinstance(one, np.ndarray) or (one.shape, one.dtype) != (other.shape, other.dtype):
        return False
    steps = zip(one.strides, other.strides, one.shape, strict=True)
    return all(mine == theirs or length == 1 for mine, theirs, length in steps)


class _Library:
    """NumPy; functions that make arrays from nothing are entered in the trace, too."""

    def __init__(self) -> None:
        self.trace: Trace | None = None

    @property
    def lib(self) -> Any:
        """``lib.stride_tricks`` with an ``as_strided`` that bypasses the array's own protocol."""
        windows = self._creating("as_strided", as_strided)
        return SimpleNamespace(stride_tricks=SimpleNamespace(as_strided=windows))

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        return self._creating(name, found) if known(name).makes else found

    def _creating(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def create(*args: Any, **kwargs: Any) -> Any:
            assert self.trace is not None
            return _record(self.trace, Call("function", name, function), args, kwargs)

        return create


class _Traced(NumPy):
    """The namespace of traced arrays: NumPy's, recorded step by step."""

    name = "traced"

    def zeros_like(self, x: Any, **facts: Any) -> Any:
        return np.zeros_like(x, **facts)

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Any:
        if (
            copy is not True
            and isinstance(data, TracedArray)
            and not _is_scalar(data)
            and (dtype is None or data.dtype == dtype)  # np.dtype(float) == None
        ):
            return data
        facts = {} if dtype is None else {"dtype": dtype}
        return _record(self.library.trace, _COPY, (data,), facts)

    def to_numpy(self, array: Any) -> Any:
        raise refused("a tensor's numbers (numpy, tolist, print)")

    def moved(self, array: Any, backend: Namespace, device: str) -> Any:
        if backend is not PYTHON:
            if backend is not NUMPY:
                raise UnsupportedError(f"it becomes NumPy code, and moves an array to {device}")
            return self.asarray(array)
        number = array.array.item()  # says so if there are several elements
        trace = array._trace
        event = trace.add(_ITEM, (array.value,), {})
        trace.observe(event, caller())
        return TracedNumber(trace, trace.result_of(event, number))

    def where_positive(self, condition: Any, x: Any) -> Any:
        call = Call("function", "where_positive", NUMPY.where_positive)
        return _record(self.library.trace, call, (condition, x), {})

    def pick(self, flat: Any, positions: Any) -> Any:
        return _record(self.library.trace, _PICK, (flat, positions), {})

    def drawn(self, draw: Callable[..., Any], *args: Any, device: str | None = None) -> Any:
        return _record(self.library.trace, Call("draw", draw.__name__, draw), args, {})

    def add_at(self, target: Any, key: Any, values: Any) -> None:
        call = Call("ufunc", "add.at", NUMPY.add_at)
        _record(self.library.trace, call, (target, key, values), {}, writes=target)

    def vector_of(self, numbers: Sequence[Any]) -> Any:
        return _record(self.library.trace, _COPY, (list(numbers),), {})

    def numbers_in(self, vector: Any) -> list[Any]:
        trace = vector._trace
        event = trace.add(_method_call("tolist"), (vector.value,), {})
        event.several = True
        trace.observe(event, caller())
        return [
            TracedNumber(trace, trace.result_of(event, number)) for number in vector.array.tolist()
        ]

    def outside(self, integers: Any, count: int) -> str | None:
        self.holds(integers.view(unsigned(integers.dtype)) >= count)
        return NUMPY.outside(integers.array, count)

    def holds(self, condition: Any) -> bool:
        return condition._trace.check(condition.value, caller())

    def made(self, make: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Make an array, again at each replay if it depends on what is traced."""
        if not any(one.__class__ in _TRACED for one in arguments):
            return make(*arguments, **options)
        call = Call("function", make.__name__, make)
        return _record(self.library.trace, call, arguments, options)


traced_namespace = _Traced(_Library())
TracedNumber.__array_ufunc__ = TracedArray.__array_ufunc__  # type: ignore[attr-defined]
traced_numbers.arrays = traced_namespace
register_namespace(TracedArray, traced_namespace)
