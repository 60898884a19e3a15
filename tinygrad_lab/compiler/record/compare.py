"""Compare two recordings of a step: a replay would freeze whatever differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.compiler.record.record import Recording, State
from tinygrad_lab.compiler.record.trace import Event, Origin, Value, memory_owner
from tinygrad_lab.engine.explain import raw
from tinygrad_lab.engine.tensor import Tensor, detached
from tinygrad_lab.engine.user_code import line_of
from tinygrad_lab.errors import CompileError

__all__ = ["do_the_same", "is_same_memory", "renew_constants", "reread_arrays"]


def do_the_same(first: Recording, second: Recording) -> bool:
    """Return whether two recordings make the same calls, of the same values, in the same order.

    Raises:
        CompileError: if they do, but with different numbers or arrays among the constants.
    """
    mine, theirs = first.trace.events, second.trace.events
    if len(mine) != len(theirs) or not all(map(_same_call, mine, theirs)):
        return False
    for event, other in zip(mine, theirs, strict=True):
        _compare_rows(event.args, other.args, other)
        if event.kwargs or other.kwargs:
            _compare(event.kwargs, other.kwargs, other)
    if len(first.outputs) != len(second.outputs):
        return False
    for number, (mine, theirs) in enumerate(zip(first.outputs, second.outputs, strict=True)):
        if _returns_something_else(mine, theirs):
            raise CompileError(
                f"tg.compile: the step returned {mine!r:.40} in the first call and "
                f"{theirs!r:.40} in the second (result number {number}). A replay "
                "would freeze it: make it an argument of the step, or return it from elsewhere."
            )
    return True


def _returns_something_else(one: Any, other: Any) -> bool:
    """Return whether two calls returned different numbers, or different constant arrays."""
    mine, theirs = map(raw, (one, other))
    if not isinstance(mine, _NUMBERS) or not isinstance(theirs, _NUMBERS):
        return False
    floating = np.asarray(mine).dtype.kind == np.asarray(theirs).dtype.kind == "f"
    return not np.array_equal(mine, theirs, equal_nan=floating)


_NUMBERS = (int, float, complex, np.ndarray, np.generic)


def renew_constants(first: Recording, second: Recording) -> None:
    """Return a new tensor at each replay where the step made and returned one of constants."""
    for number, (one, other) in enumerate(zip(first.outputs, second.outputs, strict=True)):
        if one is not other and isinstance(other, Tensor) and not other.requires_grad:
            second.outputs[number] = second.trace.constant(np.array(other._data))


def reread_arrays(first: Recording, second: Recording) -> None:
    """Read arrays that are not tensors, but existed at both calls, at each replay.

    A NumPy array that the step finds in a variable may hold other numbers at the next call, as a
    tensor may; one that the step makes for itself is a different object each time.
    """
    # The recordings may differ in values that no event uses.
    for one, other in zip(first.trace.values, second.trace.values, strict=False):
        mine, theirs = one.origin, other.origin
        if mine is None or theirs is None or not (one.is_constant and other.is_constant):
            continue
        if isinstance(theirs.key, np.ndarray) and is_same_memory(mine.key, theirs.key):
            state = State("data", detached(theirs.key))
            other.origin = Origin("state", theirs.name, state)
            second.states[state] = other


def is_same_memory(one: Any, other: Any) -> bool:
    """Return whether two arrays are the same, or equal views (NumPy makes new ones each time)."""
    return memory_owner(one) is memory_owner(other) and (
        (one.ctypes.data, one.shape, one.strides, one.dtype)
        == (other.ctypes.data, other.shape, other.strides, other.dtype)
    )


def _same_call(one: Event, other: Event) -> bool:
    mine, theirs = one.call, other.call
    return (
        (mine is theirs or (mine.kind, mine.name) == (theirs.kind, theirs.name))
        and len(one.results) == len(other.results)
        and [value.index for value in one.inputs] == [value.index for value in other.inputs]
    )


def _compare(one: Any, other: Any, event: Event) -> None:
    if one.__class__ is Value and other.__class__ is Value:
        if one.is_constant and other.is_constant:
            _compare_constants(one.array, other.array, event)
    elif isinstance(one, _ROWS) and isinstance(other, _ROWS):
        _compare_rows(one, other, event)
    elif isinstance(one, dict) and isinstance(other, dict):
        _compare(list(one.items()), list(other.items()), event)
    elif isinstance(one, slice) and isinstance(other, slice):
        _compare((one.start, one.stop, one.step), (other.start, other.stop, other.step), event)
    elif not (one is other or one == other or (one != one and other != other)):
        raise _differs(one, other, event)


_ROWS = (tuple, list)


def _compare_rows(one: Sequence[Any], other: Sequence[Any], event: Event) -> None:
    if len(one) != len(other):
        raise _differs(one, other, event)
    for mine, theirs in zip(one, other, strict=True):
        made = mine.__class__ is Value and theirs.__class__ is Value and mine.origin is None
        if not made and mine is not theirs:
            _compare(mine, theirs, event)


def _compare_constants(one: Any, other: Any, event: Event) -> None:
    if not np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f"):
        raise _differs(f"an array {one!r:.40}", f"{other!r:.40}", event)


def _differs(one: Any, other: Any, event: Event) -> CompileError:
    return CompileError(
        f"tg.compile: {event.call.name} was given {one} in the first call and {other} in the "
        "second. A replay would freeze it: make it an argument of the step (a tensor, an array or "
        f"a float).\n  at {line_of(event.code, event.offset)}"
    )
