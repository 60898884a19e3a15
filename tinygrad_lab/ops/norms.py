"""Norms of vectors and matrices."""

from __future__ import annotations

import math
from operator import index
from typing import Any

from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, raw, shapes_of
from tinygrad_lab.errors import ArgumentError, LinAlgError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.axes import Axis, checked_axes, no_such_axis, with_axes
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.arguments.matrices import not_finite
from tinygrad_lab.ops.arithmetic import pow, root
from tinygrad_lab.ops.conversion import astype
from tinygrad_lab.ops.decompositions import _extreme_value, nuclear_norm
from tinygrad_lab.ops.logic import not_equal
from tinygrad_lab.ops.piecewise import abs
from tinygrad_lab.ops.reduce import max, min, sum
from tinygrad_lab.ops.shape import expand_dims, permute_dims, squeeze


def _direction(xp: Any, g: Any, x: Any, out: Any, x_shape: tuple[int, ...], axis: Axis) -> Any:
    """Multiply g with the unit vector along x; at 0, where it is undefined, with 0."""
    zero = out == 0
    divisor = xp.where(zero, xp.ones_like(out), xp.kinked(out, zero))
    return x * with_axes(xp, xp.divide(g, divisor), x_shape, axis)


_length = op(
    "vector_norm",
    "‖x‖",
    # NumPy would take 1.0 for an axis.
    forward=lambda xp, x, *, axis=None, keepdims=False: xp.vector_norm(
        x,
        axis=axis if axis is None or isinstance(axis, tuple) else index(axis),
        keepdims=keepdims,
    ),
    vjp={"x": _direction},
    words={"x": "g × {x} / {out}"},
    latex=r"\| {x} \|",
    check=no_such_axis,
)


def vector_norm(x: Any, axis: Axis = None, keepdims: bool = False, ord: float | str = 2) -> Any:
    """Return the norm of vectors along some axes, or of all elements: sum(abs(x)**ord)**(1/ord).

    Args:
        x: a tensor of numbers.
        axis: the axes that hold a vector; all by default.
        keepdims: keep the reduced axes, with size 1.
        ord: any power; 1 is the sum of absolute values, 2 the length; inf and -inf are the largest
            and the smallest absolute value, 0 is the number of elements other than 0.

    The gradient is 0 where the norm has a kink: at a vector of zeros, and for elements that are 0.
    Second derivatives at a vector of zeros are NaN, also those of ``vector_norm(x) ** 2``:
    ``tg.sum(x * x)`` has them. Several largest (smallest) elements share the gradient evenly. With
    ord 0 there is none.

    Raises:
        ShapeError: for an axis that x does not have.
        ArgumentError: for an ord that is the name of a matrix norm.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.vector_norm(tg.tensor([3.0, 4.0])), tg.vector_norm(tg.tensor([3.0, 4.0]), ord=1)
        (tensor(5.), tensor(7.))
    """
    if ord == 2:
        return _length(x, axis=axis, keepdims=keepdims)
    checked_axes("vector_norm", x, axis)
    if isinstance(ord, str):
        reason = f"expected a number as ord of vectors, got {excerpt(ord)}: see tg.matrix_norm."
        raise ArgumentError(in_full("vector_norm", reason, {"x": x}, {}))
    sizes = abs(x)
    if ord == 1:
        return sum(sizes, axis=axis, keepdims=keepdims)
    if ord == math.inf:
        return max(sizes, axis=axis, keepdims=keepdims)
    if ord == -math.inf:
        return min(sizes, axis=axis, keepdims=keepdims)
    if ord == 0:
        counted = astype(not_equal(x, 0), sizes.dtype)
        return sum(counted, axis=axis, keepdims=keepdims)
    return _from_powers(sizes, ord, axis, keepdims)


@composed(rounds_once=True)
def _from_powers(sizes: Any, ord: float, axis: Axis, keepdims: bool) -> Any:
    return _power(sum(_power(sizes, ord), axis=axis, keepdims=keepdims), 1 / ord)


def _power(x: Any, exponent: float) -> Any:
    """Return x ** exponent for x >= 0, with a derivative of 0 at 0."""
    return pow(x, exponent) if exponent >= 2 else root(x, exponent=exponent)


def matrix_norm(x: Any, keepdims: bool = False, ord: float | str | None = "fro") -> Any:
    """Return the norm of each matrix (..., m, n), in shape (...,).

    Args:
        x: matrices.
        keepdims: keep the last two axes, with size 1.
        ord: "fro" or None, the length of all elements as a vector (Frobenius); "nuc", the sum of
            the singular values; 2 or -2, the largest or the smallest of them; 1 or -1, the largest
            or the smallest column sum of absolute values; inf or -inf, those of rows.

    The gradient at a matrix of zeros is 0 for "fro", 1 and inf; several largest (smallest) sums or
    singular values share it evenly. Second derivatives of "nuc" exist where no singular value is
    zero, those of 2 and -2 where the largest (smallest) one is simple and not zero; elsewhere,
    differentiating the gradient raises.

    Raises:
        ShapeError: if x has fewer than two axes.
        ArgumentError: for another ord.
        GradientError: from a second derivative that does not exist.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.matrix_norm(tg.tensor([[3.0, 0.0], [0.0, 4.0]]), ord="nuc")
        tensor(7.)
    """
    (shape,) = shapes_of("matrix_norm", x=x)
    if len(shape) < 2:
        reason = f"expected a matrix or a stack of matrices, got shape {shape}."
        raise ShapeError(in_full("matrix_norm", reason, {"x": x}, {"ord": ord}))
    if ord in ("fro", None):
        return _length(x, axis=(-2, -1), keepdims=keepdims)
    if ord in ("nuc", 2, -2):
        return _from_singular_values(x, keepdims, ord)
    if ord not in (1, -1, math.inf, -math.inf):
        reason = f"expected ord 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, got {excerpt(ord)}."
        raise ArgumentError(in_full("matrix_norm", reason, {"x": x}, {}))
    summed, chosen = (-2, -1) if ord in (1, -1) else (-1, -2)
    sums = sum(abs(x), axis=summed, keepdims=True)
    extreme = (max if ord > 0 else min)(sums, axis=chosen, keepdims=True)
    return extreme if keepdims else sum(extreme, axis=(-2, -1))


def _from_singular_values(x: Any, keepdims: bool, ord: Any) -> Any:
    try:
        if ord == "nuc":
            norms = expand_dims(nuclear_norm(x), axis=-1)
        else:
            norms = _extreme_value(x, max if ord == 2 else min, f"matrix_norm(ord={int(ord)})")
    except LinAlgError:
        reason = str(not_finite(raw(x)))
        raise LinAlgError(in_full("matrix_norm", reason, {"x": x}, {"ord": ord})) from None
    return expand_dims(norms, axis=-1) if keepdims else squeeze(norms, axis=-1)


@composed()
def norm(x: Any, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the norm of a vector or a matrix, with the arguments of ``numpy.linalg.norm``.

    With one axis, or for a tensor of one axis, it is ``vector_norm``; with two axes, or for a
    matrix and an ``ord``, it is ``matrix_norm``; with neither, it is the length of all elements.
    The gradient of a length at 0 is 0.

    Raises:
        ShapeError: for another number of axes.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([0.0, 0.0], requires_grad=True)
        >>> tg.norm(x).backward()
        >>> x.grad
        tensor([0., 0.])
    """
    if ord is None:
        return vector_norm(x, axis=axis, keepdims=keepdims)
    (shape,) = shapes_of("norm", x=x)
    count = len(shape)
    axes = tuple(range(count)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    checked_axes("norm", x, axis)
    if len(axes) not in (1, 2):
        reason = f"expected one axis (of a vector) or two (of a matrix), got {len(axes)}."
        raise ShapeError(in_full("norm", reason, {"x": x}, {"ord": ord, "axis": axis}))
    if len(axes) == 1:
        return vector_norm(x, axis=axes, keepdims=keepdims, ord=ord)
    rows, columns = (a % count for a in axes)
    others = [a for a in range(count) if a not in (rows, columns)]
    norms = matrix_norm(permute_dims(x, (*others, rows, columns)), ord=ord)
    for a in sorted((rows, columns)) if keepdims else ():
        norms = expand_dims(norms, axis=a)
    return norms
