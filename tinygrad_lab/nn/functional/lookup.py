"""Integers as vectors: rows of a table, or rows with a single 1."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.backends import namespace_of
from tinygrad_lab.backends.dtypes import int64
from tinygrad_lab.engine.explain import in_full, raw
from tinygrad_lab.engine.keywords import advise
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexingError
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.ops.nn import stop_gradient

__all__ = ["embedding", "one_hot"]

advise(
    "embedding",
    max_norm="looking rows up does not change them: shorten them after each step, weight.data = "
    "weight * tg.clip(max_norm / tg.norm(weight, axis=1, keepdims=True), max=1.0)",
    norm_type="it belongs to max_norm, which there is not",
    scale_grad_by_freq="divide weight.grad by the number of times that each row was looked up",
    sparse="gradients are dense: leave it out",
)


def _integers(name: str, x: Any) -> None:
    """Raise for what is no tensor of integers."""
    if not hasattr(x, "dtype"):
        reason = f"expected a tensor of integers, got {type(x).__name__}: tg.tensor(x)."
        raise ArgumentTypeError(in_full(name, reason, {"x": x}, {}))
    if x.dtype.kind not in "iu":
        reason = f"expected integers, got {x.dtype}: x.astype(tg.int64)."
        raise DTypeError(in_full(name, reason, {"x": x}, {}))


@composed()
def one_hot(x: Any, num_classes: int = -1) -> Any:
    """Return, for each label x, a row of int64 that is 1 at the label and 0 elsewhere.

    ``tg.one_hot`` makes floating numbers of it, or any other dtype.

    Args:
        x: integers from 0 to ``num_classes`` - 1, in any shape.
        num_classes: the length of the rows; -1 for the largest label plus 1, which a compiled step
            cannot look at.

    Raises:
        ArgumentTypeError, DTypeError: if x is not made of integers.
        IndexingError: for a label out of range.
        ArgumentError: without ``num_classes`` where there are no labels.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.nn.functional.one_hot(tg.tensor([2, 0])).tolist()
        [[0, 0, 1], [1, 0, 0]]
    """
    _integers("one_hot", x)
    if num_classes == -1:
        if 0 in x.shape:
            reason = "there are no labels to count the classes of: write num_classes=."
            raise ArgumentError(in_full("one_hot", reason, {"x": x}, {}))
        num_classes = int(ops.max(x)) + 1
    return ops.one_hot(x, num_classes, dtype=int64)


@composed()
def embedding(x: Any, weight: Any, padding_idx: int | None = None) -> Any:
    """Return the rows of weight (rows, features) at integers x (...): (..., features).

    The row ``padding_idx`` gets no gradient; a negative one counts from the end.

    Raises:
        ArgumentError: for a ``padding_idx`` that is no row.
        ArgumentTypeError, DTypeError: if x is not made of integers.
        IndexingError: for integers that are not a row number, including negative ones.
    """
    _integers("embedding", x)
    labels, count = raw(x), weight.shape[0]
    if found := 0 not in labels.shape and namespace_of([labels]).outside(labels, count):
        reason = f"{count} rows are numbered 0 to {count - 1}, got {found}."
        raise IndexingError(in_full("embedding", reason, {"x": x, "weight": weight}, {}))
    rows = getitem(weight, x)
    if padding_idx is None:
        return rows
    if not -count <= padding_idx < count:
        reason = f"expected padding_idx to be one of {count} rows, got {padding_idx}."
        raise ArgumentError(in_full("embedding", reason, {"x": x, "weight": weight}, {}))
    padding = ops.expand_dims(ops.equal(x, padding_idx % count), axis=-1)
    return ops.where(padding, stop_gradient(rows), rows)
