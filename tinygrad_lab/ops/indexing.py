"""Indexing, and its gradient: the gradient of an element goes back to where it was taken from.

An index consists of integers, slices, ``...``, ``None`` and arrays. Arrays are inputs of the op;
everything else is an attribute, the *key*, in which ``ARRAY`` marks the places of the arrays.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of, namespaces
from tinygrad_lab.backends.scatter import ARRAY, filled
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, raw, shape_of
from tinygrad_lab.engine.views import as_view
from tinygrad_lab.errors import IndexingError, excerpt


def misfit(x: Any, *arrays: Any, key: tuple[Any, ...]) -> str | None:
    """Explain why an index does not fit x; return None if no reason is found."""
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
        elif is_mask(part):
            if tuple(part.shape) != sizes:
                return f"expected a mask of shape {sizes} from axis {axis} on, got {part.shape}."
        elif count and not isinstance(part, slice) and (reason := _out_of(sizes[0], part, axis)):
            return reason
        axis += count
    shapes = [str(shape_of(array)) for array in arrays if not is_mask(array)]
    if len(shapes) < 2:
        return None
    return f"the arrays of the index, of shapes {' and '.join(shapes)}, do not broadcast."


def _axes_used(part: Any) -> int:
    """Return how many axes a part of an index stands for, 0 for ``...``."""
    if part is None or part is ... or isinstance(part, bool):
        return 0
    return len(part.shape) if is_mask(part) else 1


def is_mask(part: Any) -> bool:
    """Tell whether a part of an index is an array of booleans."""
    return np.dtype(getattr(part, "dtype", int)) == bool


def _out_of(size: int, part: Any, axis: int) -> str | None:
    """Explain which index, alone or in an array, is out of bounds; return None if none is."""
    positions = namespace_of([part]).to_numpy(part)
    outside = positions[(positions < -size) | (positions >= size)]
    if outside.size == 0:
        return None
    return f"expected {-size} to {size - 1} as an index of axis {axis}, got {outside.flat[0]}."


put = op(
    "put",
    internal=True,
    forward=lambda xp, values, *arrays, key, shape: xp.put_at(
        values, arrays, key=key, shape=shape
    ).total(),
    vjp={"values": lambda xp, g, arrays, key: xp.index(g, *arrays, key=key)},
    complex_vjp="same",
    words={"values": "g{key}"},
    latex=r"\mathrm{{put}}_{{{key}}}({values})",
    doc="Return zeros of a shape, with values added at an index.",
)


def _take(xp: Any, x: Any, *arrays: Any, key: tuple[Any, ...]) -> Any:
    if xp.name == "python":
        raise IndexingError("a single number has no elements to index.")
    return x[filled(key, arrays)]


_index = op(
    "index",
    "[ ]",
    forward=_take,
    vjp={"x": lambda xp, g, arrays, x_shape, key: xp.put_at(g, arrays, key=key, shape=x_shape)},
    complex_vjp="same",
    words={"out": "{x}{key}", "x": "g put back at {key}"},
    latex="{x}_{{{key}}}",
    check=misfit,
)


def getitem(x: Any, index: Any) -> Any:
    """Return ``x[index]``: integers, slices, ``...``, ``None``, integer arrays, boolean masks.

    Gradients of elements that are taken several times add up.

    Raises:
        IndexingError: for an index out of bounds, or of an unsupported type.
    """
    key, arrays = parse_index("index", x, index)
    taken = _index(x, *arrays, key=key)
    if taken._node is not None or arrays or getattr(x, "_node", None) is None:
        return taken
    return as_view(taken, x)  # under no_grad


def parse_index(name: str, x: Any, index: Any) -> tuple[tuple[Any, ...], list[Any]]:
    """Split an index of x into its key and its arrays.

    Raises:
        IndexingError: for a part of an unsupported type, in the name of the op ``name``.
    """
    key: list[Any] = []
    arrays: list[Any] = []
    for part in index if isinstance(index, tuple) else (index,):
        if part is None or isinstance(part, int | slice | EllipsisType | np.integer):
            key.append(part)
            continue
        array = as_index_array(part, x)
        if array is None or np.dtype(array.dtype).kind not in "iub":
            raise IndexingError(in_full(name, _refusal(part, array), {"x": x}, {"key": index}))
        key.append(ARRAY)
        arrays.append(array)
    return tuple(key), arrays


def as_index_array(part: Any, x: Any) -> Any:
    """Return a part of an index as an array, for lists on the device of x; None for other types."""
    if not isinstance(part, list):
        return part if hasattr(part, "dtype") else None
    try:
        array = np.asarray(part, dtype=None if part else np.int64)
    except ValueError:
        return None
    return array_like(x, array) if array.dtype.kind in "iub" else array


def _refusal(part: Any, array: Any) -> str:
    if array is not None:
        return (
            f"an index array must hold integers or booleans, got {array.dtype}: i.astype(tg.int64)."
        )
    return (
        "a tensor is indexed by integers, slices, ..., None, integer arrays and boolean masks; "
        f"got {type(part).__name__}: {excerpt(part)}."
    )


def array_like(x: Any, array: Any) -> Any:
    """Convert a NumPy array to the array type and device of x."""
    data = raw(x)
    xp = namespaces[type(data)]
    on_cpu = xp.name in ("numpy", "python")
    return array if on_cpu else xp.asarray(array, device=xp.device_of(data))
