"""Indexing, and its gradient: what was taken from a place goes back to that place.

An index is made of integers, slices, ``...``, ``None`` and arrays. Arrays are inputs of the op;
all else is an attribute, the *key*, in which ``ARRAY`` marks the arrays' places.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespaces
from tinygrad_lab.backends.scatter import ARRAY, filled
from tinygrad_lab.errors import IndexingError
from tinygrad_lab.ops.explain import in_full, shape_of
from tinygrad_lab.ops.op import op


def _misfit(x: Any, *arrays: Any, key: tuple[Any, ...]) -> str | None:
    """Why x has nothing at an index; None where that is not seen here."""
    shape = shape_of(x)
    index = filled(key, arrays)
    used = [_axes_used(part) for part in index]
    if sum(used) > len(shape):
        return f"expected at most {len(shape)} indices for shape {shape}, got {sum(used)}."
    if sum(part is ... for part in index) > 1:
        return "expected at most one ..., got several."
    axis = 0
    for part, count in zip(index, used, strict=True):
        sizes = shape[axis : axis + count]
        if part is ...:
            axis += len(shape) - sum(used)
        elif _is_mask(part):
            if tuple(part.shape) != sizes:
                return f"expected a mask of shape {sizes} for axis {axis} on, got {part.shape}."
        elif count and not isinstance(part, slice) and (reason := _out_of(sizes[0], part, axis)):
            return reason
        axis += count
    shapes = [str(shape_of(array)) for array in arrays if not _is_mask(array)]
    if len(shapes) < 2:
        return None
    return f"the arrays of the index, of shapes {' and '.join(shapes)}, do not broadcast."


def _axes_used(part: Any) -> int:
    """How many axes a part of an index stands for, apart from ``...``."""
    if part is None or part is ... or isinstance(part, bool):
        return 0
    return len(part.shape) if _is_mask(part) else 1


def _is_mask(part: Any) -> bool:
    return np.dtype(getattr(part, "dtype", int)) == bool


def _out_of(size: int, part: Any, axis: int) -> str | None:
    """Says that an index, or one of an array of them, is out of bounds; None if none is."""
    positions = np.asarray(part)
    outside = positions[(positions < -size) | (positions >= size)]
    if outside.size == 0:
        return None
    return f"expected {-size} to {size - 1} as an index of axis {axis}, got {outside.flat[0]}."


_put = op(
    "put",
    forward=lambda xp, values, *arrays, key, shape: xp.put_at(
        values, arrays, key=key, shape=shape
    ).total(),
    vjp={"values": lambda xp, g, arrays, key: xp.index(g, *arrays, key=key)},
    doc="Zeros of a shape, to which values are added at an index.",
)


def _take(xp: Any, x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    if xp.name == "python":
        raise IndexingError("a single number has no elements that could be indexed.")
    return x[filled(key, arrays)]


_index = op(
    "index",
    "[ ]",
    forward=_take,
    vjp={"x": lambda xp, g, arrays, x_shape, key: xp.put_at(g, arrays, key=key, shape=x_shape)},
    check=_misfit,
)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: integers, slices, ``...``, ``None``, integer arrays, boolean masks.

    Gradients of elements that are taken several times add up.

    Raises:
        IndexingError: for an index out of bounds, or of a form that cannot index.
    """
    key: list[Any] = []
    arrays: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if part is None or isinstance(part, int | slice | EllipsisType | np.integer):
            key.append(part)
            continue
        array = _as_array(part, x)
        if array is None or np.dtype(array.dtype).kind not in "iub":
            raise IndexingError(in_full("index", _refusal(part, array), {"x": x}, {"key": index}))
        key.append(ARRAY)
        arrays.append(array)
    return _index(x, *arrays, key=tuple(key))


def _as_array(part: Any, x: Any) -> Any:
    """A part of an index as the array it is, or that a list makes beside x; None for all else."""
    if not isinstance(part, list):
        return part if hasattr(part, "dtype") else None
    try:
        array = np.asarray(part, dtype=None if part else np.int64)
    except ValueError:
        return None
    data = getattr(x, "_data", x)
    xp = namespaces.get(type(data))
    if xp is None or xp.default_device == "cpu" or array.dtype.kind not in "iub":
        return array
    return xp.asarray(array, device=xp.device_of(data))


def _refusal(part: Any, array: Any) -> str:
    if array is not None:
        return (
            f"an array that indexes must hold integers or booleans, got {array.dtype}: "
            "i.astype(tg.int64)."
        )
    return (
        "a tensor is indexed by integers, slices, ..., None, integer arrays and boolean masks; "
        f"got {type(part).__name__}: {part!r:.60}."
    )
