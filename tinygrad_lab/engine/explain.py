"""Failures of ops, worded for the user: what was expected, what came, where, what to do."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of, namespaces
from tinygrad_lab.engine.failure import failure_of
from tinygrad_lab.engine.keywords import ABSENT, misfit
from tinygrad_lab.engine.op import Op
from tinygrad_lab.engine.user_code import line_of, user_site
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    AxisError,
    CompileError,
    DTypeError,
    GraphFreedError,
    IndexingError,
    LinAlgError,
    ShapeError,
    TinygradLabError,
    excerpt,
)

__all__ = [
    "FAILURES_OF_FORWARDS",
    "FAILURES_OF_RULES",
    "broadcast",
    "complex_gradient",
    "describe",
    "explained",
    "explained_backward",
    "holds",
    "in_full",
    "is_axis",
    "is_integer",
    "missing_axis",
    "not_joined",
    "raw",
    "readable",
    "shape_of",
    "shapes_of",
]


FAILURES_OF_FORWARDS = (
    *(TinygradLabError, ValueError, TypeError, IndexError, ArithmeticError),
    RecursionError,  # where a library shows an attribute that is nested too deep
)
"""What a forward may fail with; ``explained`` words it in the user's terms."""
FAILURES_OF_RULES = (AttributeError, KeyError, ShapeError)
"""What a vjp rule may fail with; ``explained_backward`` words it in the user's terms."""


def readable(name: str) -> str:
    """Write a name as it is, or as Python does if a terminal would obey characters in it."""
    return name if name.isprintable() else repr(name)


def describe(x: Any) -> str:
    """Describe one input for an error message: its name, shape, dtype and device."""
    if x is None:
        return "None"
    name = readable(getattr(x, "name", None) or "")
    data = raw(x)
    namespace = namespaces.get(type(data))
    if namespace is None or not hasattr(data, "shape"):
        return f"{name + ' ' if name else ''}{type(data).__name__} {excerpt(data, 40)}"
    shape = tuple(data.shape)
    return f"{name + ' ' if name else ''}{shape} {data.dtype} on {namespace.device_of(data)}"


def explained(
    op: Op,
    inputs: Sequence[Any],
    arrays: Sequence[Any],
    attributes: Mapping[str, Any],
    error: Exception,
) -> Exception:
    """Return the error to raise for a forward that failed with ``error``."""
    if isinstance(error, CompileError):
        return error
    if isinstance(error, RecursionError):
        deep = [name for name, value in attributes.items() if _is_too_deep(value)]
        if not deep:  # The user's own recursion is too deep.
            return error
        error = TypeError(f"{deep[0]} is nested too deep")
    if any(x is ABSENT for x in inputs):
        given = dict(zip(op.inputs, inputs, strict=False)) | dict(attributes)
        return misfit(op, given, (), {})
    reason, kind = _reason(op, arrays, attributes, error)
    names = op.inputs[:-1] if op.variadic else op.inputs
    rest = [f"{op.inputs[-1]}[{position}]" for position in range(len(inputs) - len(names))]
    labelled = dict(zip([*names, *rest], inputs, strict=False))
    explanation = kind(in_full(op.name, reason, labelled, attributes))
    explanation.failure = failure_of(op.name, labelled)
    return explanation


def _is_too_deep(value: Any) -> bool:
    """Return whether containers are in one another too many times for Python to show them."""
    try:
        repr(value)
    except RecursionError:
        return True
    return False


def complex_gradient(op: Op, inputs: Sequence[Any], attributes: Mapping[str, Any]) -> DTypeError:
    """Return the error for a gradient that would have to flow through complex numbers."""
    reason = (
        "no gradient flows through complex numbers here, and an input requires one: compute with "
        "real tensors, tg.real(z), tg.imag(z) or tg.abs(z), or with z.detach()."
    )
    return DTypeError(in_full(op.name, reason, op.named_arrays(inputs), attributes))


def explained_backward(node: Any, error: Exception) -> Exception:
    """Return the error to raise where pulling a gradient back through a node failed."""
    plan = getattr(node, "plan", None)
    if plan is None:
        return error
    if isinstance(error, ShapeError):
        error.add_note(f"on the way back through {plan.op.name}\n  at {node.line}")
        return error
    if node.kept or not plan.keeps:
        return error
    return GraphFreedError(
        f"the arrays that {plan.op.name} kept for the way back are gone: backward(free=True) "
        f"dropped them. Call backward() without free=True to go back twice.\n  at {node.line}"
    )


def in_full(
    name: str, reason: str, inputs: Mapping[str, Any], attributes: Mapping[str, Any]
) -> str:
    """Write a message: what is wrong, in which op, with which tensors, on which line."""
    parts = [f"{name}: {reason}"]
    parts += [f"  {label}: {describe(x)}" for label, x in inputs.items()]
    if attributes:
        parts.append("  " + ", ".join(f"{k}={excerpt(v)}" for k, v in attributes.items()))
    line = line_of(*user_site())
    if line is not None:
        parts.append(f"  at {line}")
    return "\n".join(parts)


def _reason(
    op: Op, arrays: Sequence[Any], attributes: Mapping[str, Any], error: Exception
) -> tuple[str, type[TinygradLabError]]:
    """Find what is wrong, as far as the arrays show it, and the class of error to raise."""
    if isinstance(error, TinygradLabError):
        if tensors := [name for name, value in attributes.items() if hasattr(value, "_data")]:
            reason = op.check and op.check(*arrays, **attributes)
            return reason or f"{tensors[0]} cannot be a tensor.", ArgumentTypeError
        if isinstance(error, ArgumentTypeError):
            reasons = (not_joined(op.name, x, alone=len(arrays) == 1) for x in arrays)
            return next(filter(None, reasons), str(error)), ArgumentTypeError
        return str(error), type(error)
    if op.elementwise:
        left_out = [name for name, x in zip(op.inputs, arrays, strict=False) if x is None]
        missing = [name for name in left_out if _is_required(op, name)]
        if missing:
            return f"expected a number or an array for {missing[0]}, got None.", ArgumentTypeError
        shapes = [shape_of(array) for array in arrays if array is not None]
        if not broadcast(shapes):
            return (
                f"shapes {' and '.join(map(str, shapes))} do not broadcast: compared from the "
                "right, two sizes must be equal or one of them 1.",
                ShapeError,
            )
    if op.check is not None and (reason := op.check(*arrays, **attributes)):
        return reason, _kind(op, attributes, error)
    if op.elementwise and isinstance(error, TypeError):
        if any(_is_of_kind("b", array) for array in arrays):
            return (
                "expected numbers, got booleans: x.astype(tg.float32) makes numbers of them, ~x "
                "their opposites.",
                DTypeError,
            )
        if any(_is_of_kind("c", array) for array in arrays):
            return (
                "expected real numbers, got complex ones: tg.real(x), tg.imag(x), tg.abs(x).",
                DTypeError,
            )
    return f"{error}.", _kind(op, attributes, error)


def _kind(op: Op, attributes: Mapping[str, Any], error: Exception) -> type[TinygradLabError]:
    """Map a built-in error of a forward to the class of this project that fits."""
    if isinstance(error, IndexError):
        # NumPy's error for a missing axis is both.
        return AxisError if isinstance(error, ValueError) else IndexingError
    if isinstance(error, np.linalg.LinAlgError):
        return LinAlgError
    if isinstance(error, TypeError):
        # An attribute of an op has one right type, unless it is a dtype.
        return ArgumentTypeError if set(attributes) - {"dtype"} else DTypeError
    # An elementwise op that could broadcast its inputs complains about their values.
    return ShapeError if isinstance(error, ValueError) and not op.elementwise else ArgumentError


def shape_of(x: Any) -> tuple[int, ...]:
    """Return the shape of an array or a Tensor; ``()`` for a number."""
    return tuple(getattr(x, "shape", ()))


def raw(x: Any) -> Any:
    """Return the array or number that a Tensor holds; x itself if it is not a Tensor."""
    # Masked arrays and others have a ``_data``, too.
    return x._data if hasattr(x, "_node") else x


def holds(condition: Any) -> bool:
    """Tell whether a condition on numbers holds; a compiled step checks it again on each call."""
    condition = raw(condition)
    return bool(namespace_of([condition]).holds(condition))


def shapes_of(name: str, **inputs: Any) -> list[tuple[int, ...]]:
    """Return the shapes of the inputs of a function that is composed of ops.

    Raises:
        ArgumentTypeError: for an input that is no Tensor, number or array.
    """
    for x in inputs.values():
        try:
            namespace_of([x])
        except ArgumentTypeError as error:
            reason = not_joined(name, x, alone=len(inputs) == 1) or str(error)
            raise ArgumentTypeError(in_full(name, reason, inputs, {})) from None
    return [shape_of(x) for x in inputs.values()]


def missing_axis(shape: tuple[int, ...], axis: Any, *, added: int = 0) -> str | None:
    """Explain which axis a shape (with ``added`` more axes) does not have; None if it has all."""
    count = len(shape) + added
    axes = axis if isinstance(axis, tuple) else () if axis is None else (axis,)
    if not all(map(is_axis, axes)):
        return f"expected an axis as an integer, or a tuple of axes, got {excerpt(axis)}."
    for one in axes:
        if not -count <= one < count:
            known = f"it has axes {-count} to {count - 1}" if count else "it has none"
            return f"a tensor of shape {shape} has no axis {one}: {known}."
    if len({one % count for one in axes}) < len(axes):
        return f"expected each axis once, got {axis}."
    return None


def not_joined(name: str, x: Any, *, alone: bool = True) -> str | None:
    """Explain that a function takes one Tensor, if x is a list or tuple of them.

    Args:
        name: the function.
        x: what it was given.
        alone: whether it takes no other Tensor.
    """
    if not isinstance(x, list | tuple) or not any(hasattr(one, "_data") for one in x):
        return None
    call = f": tg.{name}(tg.stack([a, b]))" if alone else " with tg.stack([a, b])"
    return f"expected one Tensor, got a {type(x).__name__} of {len(x)}. Join them first{call}."


def _is_required(op: Op, name: str) -> bool:
    """Return whether an input has no default."""
    return inspect.signature(op.forward).parameters[name].default is inspect.Parameter.empty


def _is_of_kind(kind: str, array: Any) -> bool:
    """Return whether an array is of one of NumPy's kinds: "b" for booleans, "c" for complex."""
    dtype = getattr(array, "dtype", None) or np.dtype(type(array))
    return getattr(dtype, "kind", "") == kind


def is_axis(x: Any) -> bool:
    """Return whether x may number an axis: True and False may not."""
    return is_integer(x) and not isinstance(x, bool)


def is_integer(x: Any) -> bool:
    """Return whether x is an integer, of Python or NumPy; an array of one element is not."""
    return isinstance(x, Integral)


def broadcast(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Return whether arrays of these shapes broadcast against each other."""
    longest = max(map(len, shapes), default=0)
    for axis in range(1, longest + 1):
        sizes = {shape[-axis] for shape in shapes if axis <= len(shape)} - {1}
        if len(sizes) > 1:
            return False
    return True
