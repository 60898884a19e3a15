"""Indexing, and its gradient: what was taken from a place goes back to that place.

An index is made of integers, slices, ``...``, ``None`` and arrays. Arrays are inputs of the op;
all else is an attribute, the *key*, in which ``ARRAY`` marks the arrays' places.
"""

from __future__ import annotations

from types import EllipsisType
from typing import Any

import numpy as np

from tinygrad_lab.backends.scatter import ARRAY, filled
from tinygrad_lab.errors import IndexingError
from tinygrad_lab.ops import declaration
from tinygrad_lab.ops.declaration import op

_put = op(
    "put",
    forward=lambda xp, values, *arrays, key, shape: xp.put_at(
        values, arrays, key=key, shape=shape
    ).total(),
    vjp={"values": lambda xp, g, arrays, key: xp.index(g, *arrays, key=key)},
    doc="Zeros of a shape, to which values are added at an index.",
)

_index = op(
    "index",
    "[ ]",
    forward=lambda xp, x, *arrays, key: x[filled(key, arrays)],
    vjp={"x": lambda xp, g, arrays, x_shape, key: xp.put_at(g, arrays, key=key, shape=x_shape)},
)


def getitem(x: Any, index: Any) -> Any:
    """``x[index]``: integers, slices, ``...``, ``None``, integer arrays, boolean masks.

    Gradients of elements that are taken several times add up.

    Raises:
        IndexingError: for an index out of bounds, or of a form that cannot index.
    """
    parts = index if isinstance(index, tuple) else (index,)
    key: list[Any] = []
    arrays: list[Any] = []
    for part in parts:
        if part is None or isinstance(part, int | slice | EllipsisType | np.integer):
            key.append(part)
        elif isinstance(part, list | np.ndarray | declaration._tensor_class) or hasattr(
            part, "dtype"
        ):
            key.append(ARRAY)
            arrays.append(_as_index(part))
        else:
            raise IndexingError(
                "a tensor is indexed by integers, slices, ..., None, integer arrays and boolean "
                f"masks; got {type(part).__name__}: {part!r:.60}."
            )
    return _index(x, *arrays, key=tuple(key))


def _as_index(part: Any) -> Any:
    """An array that can index; lists become arrays."""
    if isinstance(part, list):
        part = np.asarray(part, dtype=None if part else np.int64)
    if np.dtype(part.dtype).kind not in "iub":
        raise IndexingError(
            f"an array that indexes must hold integers or booleans, got {part.dtype}: "
            "x.astype(tg.int64)."
        )
    return part
