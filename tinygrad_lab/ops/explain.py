"""Failures of a forward, worded for the user: what was expected, what came, where, what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    IndexingError,
    ShapeError,
    TinygradLabError,
)
from tinygrad_lab.site import line_of, user_site

if TYPE_CHECKING:
    from tinygrad_lab.ops.declaration import Op

__all__ = ["describe", "explained"]


def describe(x: Any) -> str:
    """One input in an error message: its name, shape, dtype and device."""
    if x is None:
        return "None"
    name = getattr(x, "name", None)
    data = getattr(x, "_data", x)
    namespace = namespaces.get(type(data))
    if namespace is None or not hasattr(data, "shape"):
        return f"{name + ' ' if name else ''}{type(data).__name__} {data!r:.40}"
    shape = tuple(data.shape)
    return f"{name + ' ' if name else ''}{shape} {data.dtype} on {namespace.device_of(data)}"


def explained(
    op: Op,
    inputs: Sequence[Any],
    arrays: Sequence[Any],
    attributes: Mapping[str, Any],
    error: Exception,
) -> TinygradLabError:
    """The error to raise where a forward failed with ``error``."""
    reason, kind = _reason(op, arrays, attributes, error)
    parts = [f"{op.name}: {reason}"]
    names = op.inputs[:-1] if op.variadic else op.inputs
    for position, x in enumerate(inputs):
        label = names[position] if position < len(names) else f"{op.inputs[-1]}[{position}]"
        parts.append(f"  {label}: {describe(x)}")
    if attributes:
        parts.append("  " + ", ".join(f"{k}={v!r:.60}" for k, v in attributes.items()))
    line = line_of(*user_site())
    if line is not None:
        parts.append(f"  at {line}")
    return kind("\n".join(parts))


def _reason(
    op: Op, arrays: Sequence[Any], attributes: Mapping[str, Any], error: Exception
) -> tuple[str, type[TinygradLabError]]:
    shapes = [tuple(getattr(array, "shape", ())) for array in arrays if array is not None]
    if isinstance(error, TinygradLabError):
        return str(error), type(error)
    if op.check is not None and (reason := op.check(*arrays, **attributes)):
        return reason, ShapeError
    if op.elementwise and not _broadcast(shapes):
        listed = " and ".join(map(str, shapes))
        return (
            f"shapes {listed} do not broadcast: compared from the right, two sizes must be equal "
            "or one of them 1.",
            ShapeError,
        )
    if isinstance(error, IndexError) and not isinstance(error, ValueError):
        return f"{error}.", IndexingError
    if isinstance(error, TypeError):
        return f"{error}.", DTypeError if _all_arrays(arrays) else ArgumentTypeError
    return f"{error}.", ShapeError if isinstance(error, ValueError) else ArgumentError


def _all_arrays(arrays: Sequence[Any]) -> bool:
    return all(hasattr(array, "dtype") or array is None for array in arrays)


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> bool:
    """Whether arrays of these shapes broadcast against each other."""
    longest = max(map(len, shapes), default=0)
    for axis in range(1, longest + 1):
        sizes = {shape[-axis] for shape in shapes if axis <= len(shape)} - {1}
        if len(sizes) > 1:
            return False
    return True
