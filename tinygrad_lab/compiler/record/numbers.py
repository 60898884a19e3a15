"""Python numbers that record what is done with them; see ``arrays.py``."""

from __future__ import annotations

import math
import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMPY, PYTHON, Namespace, register_namespace, register_number
from tinygrad_lab.compiler.record.frames import caller
from tinygrad_lab.compiler.record.running import RunningTrace
from tinygrad_lab.compiler.record.trace import Call, Origin, Value
from tinygrad_lab.compiler.record.traced import Traced
from tinygrad_lab.compiler.refusal import UnsupportedError, refused
from tinygrad_lab.context import current

__all__ = ["TracedNumber", "traced_numbers"]


class TracedNumber(Traced):
    """A Python number that enters every use of it in a trace."""

    __slots__ = ()
    size = 1

    @property
    def dtype(self) -> Any:
        """The dtype, as of an array: from it the engine sees whether a gradient can flow."""
        return np.dtype(type(self.value.array))

    def __bool__(self) -> bool:
        origin = self.value.origin
        if origin is not None and origin.kind == "setting":
            # A recording is for settings that are zero, or for those that are not.
            return bool(self.value.array)
        return super().__bool__()

    def __repr__(self) -> str:
        return f"<traced {type(self.value.array).__name__}>"


def record_number(trace: RunningTrace, call: Call, *numbers: Any) -> TracedNumber:
    """Compute it, and enter it."""
    args = tuple([one.value if one.__class__ is TracedNumber else one for one in numbers])
    out = call.function(*[one.array if one.__class__ is Value else one for one in args])
    return TracedNumber(trace, trace.number(call, args, out, caller(2)))


_IEEE = {"truediv": "divide", "floordiv": "floor_divide", "mod": "remainder", "pow": "pow"}
"""Operators for which Python raises where IEEE 754 has an answer."""
_NUMBERS: frozenset[Any] = frozenset({float, int, bool})


def _call(name: str) -> Call:
    return Call("number", name, getattr(PYTHON, _IEEE.get(name, ""), getattr(operator, name)))


def _unary(name: str) -> Callable[..., Any]:
    call = _call(name)

    def method(self: TracedNumber) -> Any:
        return record_number(self._trace, call, self)

    return method


def _binary(name: str, reflected: bool) -> Callable[..., Any]:
    call = _call(name)
    function = call.function

    # record_number, inlined: a large graph comes here 100,000 times.
    def method(self: TracedNumber, other: Any) -> Any:
        trace, mine = self._trace, self.value
        if other.__class__ is TracedNumber:
            theirs: Any = other.value
            number = theirs.array
        elif other.__class__ in _NUMBERS:
            theirs = number = other
        else:
            return NotImplemented
        if reflected:
            args, out = (theirs, mine), function(number, mine.array)
        else:
            args, out = (mine, theirs), function(mine.array, number)
        return TracedNumber(trace, trace.number(call, args, out, sys._getframe(1)))

    return method


for _name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    setattr(TracedNumber, f"__{_name}__", _binary(_name, reflected=False))
    setattr(TracedNumber, f"__r{_name}__", _binary(_name, reflected=True))
for _name in ("eq", "ne", "lt", "le", "gt", "ge"):
    setattr(TracedNumber, f"__{_name}__", _binary(_name, reflected=False))
for _name in ("neg", "pos", "abs"):
    setattr(TracedNumber, f"__{_name}__", _unary(_name))


class _TracedNumbers(Namespace):
    """The namespace of traced numbers: that of Python's, recorded step by step."""

    name = "python"
    default_device = "cpu"
    arrays: Any
    """The namespace of traced arrays, which may be made of numbers."""

    def __getattr__(self, name: str) -> Any:
        # Everything else is composed of these, or missing.
        if not (hasattr(type(PYTHON), name) or hasattr(math, name)):
            return super().__getattr__(name)
        call = Call("python", name, getattr(PYTHON, name))

        def entered(*numbers: Any) -> Any:
            trace = next(one._trace for one in numbers if isinstance(one, TracedNumber))
            return record_number(trace, call, *numbers)

        setattr(self, name, entered)
        return entered

    def _missing(self, name: str) -> Exception:
        return PYTHON._missing(name)

    def relu(self, x: Any) -> Any:
        return self.__getattr__("relu")(x)

    def where_positive(self, condition: Any, x: Any) -> Any:
        return self.__getattr__("where_positive")(condition, x)

    def sum(self, x: Any, axis: Any = None, keepdims: bool = False, **_: Any) -> Any:
        PYTHON.sum(0.0, axis)
        return x

    max = min = prod = sum

    def reshape(self, x: Any, shape: tuple[int, ...], **_: Any) -> Any:
        PYTHON.reshape(0.0, shape)
        return x

    broadcast_to = reshape

    def moved(self, array: Any, backend: Namespace, device: str) -> Any:
        if backend not in (PYTHON, NUMPY):
            raise UnsupportedError(f"it becomes NumPy code, and moves a number to {device}")
        return array if backend is PYTHON else self.arrays.asarray(array)

    def astype(self, x: Any, dtype: Any, copy: bool = True) -> Any:
        call = Call("python", "astype", lambda number: PYTHON.astype(number, dtype))
        return record_number(x._trace, call, x)

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Any:
        return data if isinstance(data, TracedNumber) else self._constant(data)

    def ones(self, shape: Any, dtype: Any = None) -> Any:
        PYTHON.reshape(0.0, shape)
        return self._constant(1.0)

    def zeros_like(self, x: Any) -> Any:
        return self._constant(type(x.value.array)(0))

    def ones_like(self, x: Any) -> Any:
        return self._constant(type(x.value.array)(1))

    def holds(self, condition: TracedNumber) -> bool:
        return condition._trace.check(condition.value, caller())

    def _constant(self, number: float) -> TracedNumber:
        recorder: Any = current().recorder
        trace = recorder.trace
        return TracedNumber(trace, trace.given(number, Origin("constant", "number", number)))

    def to_numpy(self, array: Any) -> Any:
        raise refused("a tensor's number (numpy, tolist, print)")


traced_numbers = _TracedNumbers(math)
register_namespace(TracedNumber, traced_numbers)
register_number(TracedNumber, traced_numbers)
