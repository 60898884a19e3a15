"""Products of matrices."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.ops.declaration import op
from tinygrad_lab.ops.shape import expand_dims, squeeze


def _inner_sizes(x: Any, y: Any) -> str | None:
    left, right = getattr(x, "shape", ()), getattr(y, "shape", ())
    if not left or not right:
        return "a matrix product needs vectors or matrices; for single numbers use x * y."
    if left[-1] != right[-2]:
        return f"expected x.shape[-1] == y.shape[-2], got {left[-1]} != {right[-2]}."
    return f"the stacks of matrices, {left[:-2]} and {right[:-2]}, do not broadcast."


_matmul = op(
    "matmul",
    "@",
    forward=lambda xp, x, y: xp.matmul(x, y),
    vjp={
        "x": lambda xp, g, y: xp.matmul(g, xp.matrix_transpose(y)),
        "y": lambda xp, g, x: xp.matmul(xp.matrix_transpose(x), g),
    },
    latex=r"{x} \, {y}",
    check=_inner_sizes,
)


def matmul(x: Any, y: Any) -> Any:
    """The matrix product x @ y of (stacks of) matrices, or with vectors, as NumPy has it.

    Shapes (..., n, k) and (..., k, m) give (..., n, m); a vector counts as one row on the left,
    as one column on the right, and that axis is dropped again.

    Raises:
        ShapeError: if the inner sizes differ.
    """
    row, column = len(x.shape) == 1, len(y.shape) == 1
    if not (row or column):
        return _matmul(x, y)
    product = _matmul(
        expand_dims(x, axis=0) if row else x, expand_dims(y, axis=-1) if column else y
    )
    if column:
        product = squeeze(product, axis=-1)
    return squeeze(product, axis=-1 if column else -2) if row else product
