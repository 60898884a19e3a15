"""Integers as vectors: the rows of a table."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.explain import in_full, raw
from tinygrad_lab.errors import ArgumentTypeError, DTypeError, IndexingError
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.ops.nn import stop_gradient

__all__ = ["embedding"]


@composed()
def embedding(x: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Return the rows of weight (rows, features) at integers x (...): (..., features).

    The row ``padding_idx`` gets no gradient.

    Raises:
        ArgumentTypeError, DTypeError: if x is not made of integers.
        IndexingError: for integers that are not a row number, including negative ones.
    """
    if not hasattr(x, "dtype"):
        reason = f"expected a tensor of integers, got {type(x).__name__}: tg.tensor(x)."
        raise ArgumentTypeError(in_full("embedding", reason, {"x": x}, {}))
    if x.dtype.kind not in "iu":
        reason = f"expected integers, got {x.dtype}: x.astype(tg.int64)."
        raise DTypeError(in_full("embedding", reason, {"x": x}, {}))
    labels, count = raw(x), weight.shape[0]
    if found := 0 not in labels.shape and namespace_of([labels]).outside(labels, count):
        reason = f"{count} rows are numbered 0 to {count - 1}, got {found[0]} to {found[1]}."
        raise IndexingError(in_full("embedding", reason, {"x": x, "weight": weight}, {}))
    rows = getitem(weight, x)
    if padding_idx is None:
        return rows
    padding = ops.expand_dims(ops.equal(x, padding_idx), axis=-1)
    return ops.where(padding, stop_gradient(rows), rows)
