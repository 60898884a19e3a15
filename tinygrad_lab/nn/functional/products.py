"""Products of two inputs and a table of weights."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.explain import in_full, shapes_of
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops.arguments.composed import composed

__all__ = ["bilinear"]


@composed(rounds_once=True)
def bilinear(x1: Any, x2: Any, weight: Any, bias: Any = None) -> Any:
    """Return x1ᵀ A x2 + bias for each output feature, A being a slice of ``weight``.

    Shapes are (..., n), (..., m), (features, n, m) and (features,); the result is (..., features).

    Raises:
        ShapeError: for shapes that do not fit together.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y = tg.tensor([1.0, 2.0]), tg.tensor([3.0])
        >>> tg.nn.functional.bilinear(x, y, tg.ones((1, 2, 1))).tolist()
        [9.0]
    """
    first, second, table = shapes_of("bilinear", x1=x1, x2=x2, weight=weight)
    fits = len(table) == 3 and first[-1:] == table[1:2] and second[-1:] == table[2:]
    if not fits or first[:-1] != second[:-1]:
        reason = (
            f"expected x1 (..., n), x2 (..., m) with the same axes before, and a weight (features, "
            f"n, m); got {first}, {second} and {table}."
        )
        raise ShapeError(in_full("bilinear", reason, {"x1": x1, "x2": x2, "weight": weight}, {}))
    if bias is not None and bias.shape != table[:1]:
        reason = f"expected bias.shape == {table[:1]}, got {bias.shape}."
        raise ShapeError(in_full("bilinear", reason, {"x1": x1, "weight": weight}, {}))
    # (..., features, m): what each feature makes of x1; then its product with x2.
    half = ops.matmul(ops.expand_dims(x1, axis=(-2, -3)), weight)[..., 0, :]
    out = ops.matmul(half, ops.expand_dims(x2, axis=-1))[..., 0]
    return out if bias is None else out + bias
