"""The namespace of traced arrays: NumPy's, entered in a trace call by call."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_lab.backends import NUMPY, PYTHON, Namespace, register_namespace
from tinygrad_lab.backends.numpy import NumPy, unsigned
from tinygrad_lab.compiler.functions import known
from tinygrad_lab.compiler.record.arrays import (
    COPY,
    TRACED,
    TracedArray,
    is_scalar,
    method_call,
    record_call,
)
from tinygrad_lab.compiler.record.frames import caller
from tinygrad_lab.compiler.record.numbers import TracedNumber, traced_numbers
from tinygrad_lab.compiler.record.running import RunningTrace
from tinygrad_lab.compiler.record.trace import Call
from tinygrad_lab.compiler.refusal import UnsupportedError, refused

__all__ = ["traced_namespace"]

_ITEM = Call("method", "item", lambda array: array.item())
_PICK = Call("getitem", "pick", operator.getitem)


class _Library:
    """NumPy; functions that make arrays from nothing are entered in the trace, too."""

    def __init__(self) -> None:
        self.trace: RunningTrace | None = None

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
            return record_call(self.trace, Call("function", name, function), args, kwargs)

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
            and not is_scalar(data)
            and (dtype is None or data.dtype == dtype)  # np.dtype(float) == None
        ):
            return data
        facts = {} if dtype is None else {"dtype": dtype}
        return record_call(self.library.trace, COPY, (data,), facts)

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
        return record_call(self.library.trace, call, (condition, x), {})

    def pick(self, flat: Any, positions: Any) -> Any:
        return record_call(self.library.trace, _PICK, (flat, positions), {})

    def drawn(self, draw: Callable[..., Any], *args: Any, device: str | None = None) -> Any:
        return record_call(self.library.trace, Call("draw", draw.__name__, draw), args, {})

    def add_at(self, target: Any, key: Any, values: Any) -> None:
        call = Call("ufunc", "add.at", NUMPY.add_at)
        record_call(self.library.trace, call, (target, key, values), {}, writes=target)

    def vector_of(self, numbers: Sequence[Any]) -> Any:
        return record_call(self.library.trace, COPY, (list(numbers),), {})

    def numbers_in(self, vector: Any) -> list[Any]:
        trace = vector._trace
        event = trace.add(method_call("tolist"), (vector.value,), {})
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
        if not any(one.__class__ in TRACED for one in arguments):
            return make(*arguments, **options)
        call = Call("function", make.__name__, make)
        return record_call(self.library.trace, call, arguments, options)


traced_namespace = _Traced(_Library())
traced_numbers.arrays = traced_namespace
register_namespace(TracedArray, traced_namespace)
