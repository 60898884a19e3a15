"""Products of matrices."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops.explain import in_full, shape_of
from tinygrad_lab.ops.op import op
from tinygrad_lab.ops.shape import expand_dims, squeeze


def _unfit_sizes(x: Any, y: Any) -> str | None:
    """Why x cannot be multiplied with y, as far as inner sizes say; None if they fit."""
    left, right = shape_of(x), shape_of(y)
    if not left or not right:
        return "a matrix product needs vectors or matrices; for single numbers use x * y."
    inner = right[-2] if len(right) > 1 else right[0]
    if left[-1] != inner:
        axis = -2 if len(right) > 1 else -1
        return f"expected x.shape[-1] == y.shape[{axis}], got {left[-1]} != {inner}."
    return None


_matmul = op(
    "matmul",
    "@",
    forward=lambda xp, x, y: xp.matmul(x, y),
    vjp={
        "x": lambda xp, g, y: xp.matmul(g, xp.matrix_transpose(y)),
        "y": lambda xp, g, x: xp.matmul(xp.matrix_transpose(x), g),
    },
    latex=r"{x} \, {y}",
    check=lambda x, y: (
        _unfit_sizes(x, y)
        or f"the stacks of matrices, {x.shape[:-2]} and {y.shape[:-2]}, do not broadcast."
    ),
)


def matmul(x: Any, y: Any) -> Any:
    """The matrix product x @ y of (stacks of) matrices, or with vectors, as NumPy has it.

    Shapes (..., n, k) and (..., k, m) give (..., n, m); a vector counts as one row on the left,
    as one column on the right, and that axis is dropped again.

    Raises:
        ShapeError: if the inner sizes differ.
    """
    row, column = len(shape_of(x)) == 1, len(shape_of(y)) == 1
    if not (row or column):
        return _matmul(x, y)
    if reason := _unfit_sizes(x, y):
        # Said here, of the tensors as the user gave them.
        raise ShapeError(in_full("matmul", reason, {"x": x, "y": y}, {}))
    product = _matmul(
        expand_dims(x, axis=0) if row else x, expand_dims(y, axis=-1) if column else y
    )
    if column:
        product = squeeze(product, axis=-1)
    return squeeze(product, axis=-1 if column else -2) if row else product
