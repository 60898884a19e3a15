"""Products of vectors and matrices, and the diagonals of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import broadcast, in_full, shape_of, shapes_of
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops.arguments.axes import checked_axis
from tinygrad_lab.ops.arithmetic import multiply, subtract
from tinygrad_lab.ops.conversion import astype
from tinygrad_lab.ops.indexing import getitem, put
from tinygrad_lab.ops.reduce import sum
from tinygrad_lab.ops.shape import broadcast_to, expand_dims, reshape, squeeze, stack, unstack

# --- products --------------------------------------------------------------------------------


def _unfit_sizes(x: Any, y: Any) -> str | None:
    """Explain why the inner sizes of x and y do not fit; return None if they do."""
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
    complex_vjp="conjugated",
    core_axes=2,
    latex=r"{x} \, {y}",
    check=lambda x, y: (
        _unfit_sizes(x, y)
        or f"the stacks of matrices, {x.shape[:-2]} and {y.shape[:-2]}, do not broadcast."
    ),
)


def matmul(x: Any, y: Any) -> Any:
    """Return the matrix product x @ y of vectors, matrices or stacks of matrices, as in NumPy.

    Shapes (..., n, k) and (..., k, m) give (..., n, m). A vector acts as a row on the left and as
    a column on the right, and that axis is dropped from the result.

    Raises:
        ShapeError: if the inner sizes differ.
    """
    row, column = len(shape_of(x)) == 1, len(shape_of(y)) == 1
    if not (row or column):
        return _matmul(x, y)
    if reason := _unfit_sizes(x, y):
        # Raised here, with the shapes that the user gave.
        raise ShapeError(in_full("matmul", reason, {"x": x, "y": y}, {}))
    product = _matmul(
        expand_dims(x, axis=0) if row else x, expand_dims(y, axis=-1) if column else y
    )
    if column:
        product = squeeze(product, axis=-1)
    return squeeze(product, axis=-1 if column else -2) if row else product


_vecdot = op(
    "vecdot",
    "·",
    forward=lambda xp, x, y, *, axis: xp.vecdot(x, y, axis=axis),
    vjp={
        "x": lambda xp, g, y, axis: xp.expand_dims(g, axis=axis) * y,
        "y": lambda xp, g, x, axis: xp.expand_dims(g, axis=axis) * x,
    },
    complex_vjp={  # it conjugates x
        "x": lambda xp, g, y, axis: xp.conj(xp.expand_dims(g, axis=axis)) * y,
        "y": lambda xp, g, x, axis: xp.expand_dims(g, axis=axis) * x,
    },
    latex=r"{x} \cdot {y}",
)


def vecdot(x: Any, y: Any, axis: int = -1) -> Any:
    """Return the inner products of the vectors along an axis; the other axes broadcast.

    Raises:
        ShapeError: if the vectors of x and y differ in length, or the other axes do not broadcast.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.vecdot(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([10.0, 1.0]))
        tensor([12., 34.])
    """
    left, right = shapes_of("vecdot", x=x, y=y)
    for one in (x, y):
        checked_axis("vecdot", one, axis)
    if reason := _unfit_vectors(left, right, axis):
        raise ShapeError(in_full("vecdot", reason, {"x": x, "y": y}, {"axis": axis}))
    axis = axis if axis < 0 else axis - len(left)
    if left == right:
        return _vecdot(x, y, axis=axis)
    shape = np.broadcast_shapes(left, right)
    return _vecdot(broadcast_to(x, shape), broadcast_to(y, shape), axis=axis)


def _unfit_vectors(left: tuple[int, ...], right: tuple[int, ...], axis: int) -> str | None:
    """Explain why tensors of these shapes have no inner products along an axis."""
    if axis >= 0 and len(left) != len(right):
        return (
            f"expected an axis counted from the end, as -1, for tensors of {len(left)} and "
            f"{len(right)} axes; got {axis}."
        )
    if left[axis] != right[axis]:
        return f"expected x.shape[{axis}] == y.shape[{axis}], got {left[axis]} != {right[axis]}."
    if not broadcast((left, right)):
        return f"apart from axis {axis}, shapes {left} and {right} do not broadcast."
    return None


def outer(x: Any, y: Any) -> Any:
    """Return the products of all pairs of elements of two vectors, shape (len(x), len(y)).

    Raises:
        ShapeError: for anything but two vectors.
    """
    left, right = shapes_of("outer", x=x, y=y)
    if not len(left) == len(right) == 1:
        reason = (
            f"expected two vectors, got shapes {left} and {right}: tg.flatten(x) turns a tensor "
            "into a vector."
        )
        raise ShapeError(in_full("outer", reason, {"x": x, "y": y}, {}))
    return multiply(expand_dims(x, axis=1), y)


def cross(x: Any, y: Any, axis: int = -1) -> Any:
    """Return the cross product of vectors of three elements along an axis; other axes broadcast.

    Raises:
        ShapeError: if the axis is not of size 3.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cross(tg.tensor([1.0, 0.0, 0.0]), tg.tensor([0.0, 1.0, 0.0]))
        tensor([0., 0., 1.])
    """
    for one, shape in zip((x, y), shapes_of("cross", x=x, y=y), strict=True):
        if shape[checked_axis("cross", one, axis)] != 3:
            reason = f"expected three elements along axis {axis}, got shape {shape}."
            raise ShapeError(in_full("cross", reason, {"x": x, "y": y}, {"axis": axis}))
    x0, x1, x2 = unstack(x, axis=axis)
    y0, y1, y2 = unstack(y, axis=axis)
    parts = [(x1, y2, x2, y1), (x2, y0, x0, y2), (x0, y1, x1, y0)]
    return stack([subtract(a * b, c * d) for a, b, c, d in parts], axis=axis)


def kron(x: Any, y: Any) -> Any:
    """Return the Kronecker product: a copy of y for each element of x, scaled by that element.

    The sizes of the result are the products of those of x and y, axis by axis from the right.
    """
    left, right = shapes_of("kron", x=x, y=y)
    if not (left and right):
        return multiply(x, y)
    axes = max(len(left), len(right))
    left, right = (1,) * (axes - len(left)) + left, (1,) * (axes - len(right)) + right
    # Each axis of x is followed by that of y; the pairs are joined at the end.
    spread = reshape(x, tuple(size for n in left for size in (n, 1)))
    tiles = reshape(y, tuple(size for n in right for size in (1, n)))
    sizes = tuple(n * m for n, m in zip(left, right, strict=True))
    return reshape(multiply(spread, tiles), sizes)


# --- diagonals -------------------------------------------------------------------------------


def diagonal(x: Any, offset: int = 0) -> Any:
    """Return the diagonals of matrices: the elements x[..., i, i + offset].

    Raises:
        ShapeError: if x has fewer than two axes.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.diagonal(tg.tensor([[1.0, 2.0], [3.0, 4.0]]))
        tensor([1., 4.])
    """
    (shape,) = shapes_of("diagonal", x=x)
    if len(shape) < 2:
        reason = f"expected a matrix or a stack of matrices, got shape {shape}."
        raise ShapeError(in_full("diagonal", reason, {"x": x}, {"offset": offset}))
    *stack, rows, columns = shape
    flat = reshape(x, (*stack, rows * columns))
    return getitem(flat, (..., _along_diagonal(rows, columns, offset)))


def _along_diagonal(rows: int, columns: int, offset: int) -> slice:
    """Return the place of a diagonal in a matrix whose rows are joined into a vector."""
    first = offset if offset >= 0 else -offset * columns
    length = max(0, min(columns - offset, rows) if offset >= 0 else min(rows + offset, columns))
    # One row and one column lie between neighbours.
    return slice(first, first + length * (columns + 1), columns + 1)


def diag(x: Any, offset: int = 0) -> Any:
    """Return the square matrix with the vector x on a diagonal, or the diagonal of a matrix x.

    Raises:
        ShapeError: if x is neither; ``tg.diagonal`` takes stacks of matrices.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.diag(tg.tensor([1.0, 2.0]))
        tensor([[1., 0.],
                [0., 2.]])
    """
    (shape,) = shapes_of("diag", x=x)
    if len(shape) == 2:
        return diagonal(x, offset=offset)
    if len(shape) != 1:
        reason = (
            f"expected a vector or a matrix, got shape {shape}: tg.diagonal(x) takes the diagonals "
            "of stacks of matrices."
        )
        raise ShapeError(in_full("diag", reason, {"x": x}, {"offset": offset}))
    size = shape[0] + abs(offset)
    flat = put(x, key=(_along_diagonal(size, size, offset),), shape=(size * size,))
    return reshape(flat, (size, size))


def trace(x: Any, offset: int = 0, dtype: Any = None) -> Any:
    """Return the sum of a diagonal of each matrix, computed in ``dtype`` if given."""
    on_diagonal = diagonal(x, offset=offset)
    return sum(on_diagonal if dtype is None else astype(on_diagonal, dtype), axis=-1)
