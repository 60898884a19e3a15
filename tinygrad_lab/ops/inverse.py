"""Inverses, linear systems and determinants of matrices, and their derivatives.

Every function takes stacks of matrices, shape (..., rows, columns). Sources of the formulas:

- Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
  differentiation", 2008.
- Golub & Pereyra, "The differentiation of pseudo-inverses and nonlinear least squares problems
  whose variables separate", SIAM J. Numer. Anal. 10, 1973.
"""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.backends import namespace_of, namespaces
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import broadcast, holds, in_full, raw, shape_of, shapes_of
from tinygrad_lab.errors import ArgumentTypeError, LinAlgError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.matrices import (
    matrices,
    no_gradient,
    not_finite,
    singular,
    some_are_equal,
    square,
)
from tinygrad_lab.ops.linalg import matmul
from tinygrad_lab.ops.shape import broadcast_to, expand_dims, squeeze


def _inv_vjp(xp: Any, g: Any, out: Any) -> Any:
    """Apply the adjoint of d(A⁻¹) = -A⁻¹ dA A⁻¹ (Giles, section 2.2.3)."""
    transposed = xp.matrix_transpose(out)
    return -xp.matmul(transposed, xp.matmul(g, transposed))


inv = op(
    "inv",
    "⁻¹",
    forward=lambda xp, x: xp.inv(square(x)),
    vjp={"x": _inv_vjp},
    complex_vjp="conjugated",
    words={"x": "-{out}ᵀ @ g @ {out}ᵀ"},
    latex="{x}^{{-1}}",
    check=singular,
    doc="""Return the inverses of square matrices.

    For systems of equations, ``tg.solve`` is faster and more accurate.

    Raises:
        ShapeError: if the matrices are not square.
        LinAlgError: if a matrix is singular.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.inv(tg.tensor([[2.0, 0.0], [0.0, 4.0]]))
        tensor([[0.5 , 0.  ],
                [0.  , 0.25]])
    """,
)


def _unfit_equations(a: Any, b: Any) -> str | None:
    """Explain why the shapes of a and b do not form a linear system."""
    left, right = shape_of(a), shape_of(b)
    if len(left) < 2 or left[-1] != left[-2]:
        return f"expected square matrices (..., n, n) as a, got shape {left}."
    if not right or left[-1] != right[-2 if len(right) > 1 else -1]:
        return (
            f"expected b of shape ({left[-1]},) or (..., {left[-1]}, k) for a of shape {left}, got "
            f"{right}."
        )
    return None


def _solved(xp: Any, a: Any, b: Any) -> Any:
    if reason := _unfit_equations(a, b):
        raise ShapeError(reason)
    return xp.solve(square(a), matrices(b))


def _solve_vjp(xp: Any, g: Any, a: Any, out: Any) -> tuple[Any, Any]:
    """Apply the adjoint of d(A⁻¹ B) = A⁻¹ (dB - dA A⁻¹ B) (Giles, section 2.3.1)."""
    by_b = xp.solve(xp.matrix_transpose(a), g)
    return -xp.matmul(by_b, xp.matrix_transpose(out)), by_b


_solve = op(
    "solve",
    forward=_solved,
    vjp={("a", "b"): _solve_vjp},
    complex_vjp="conjugated",
    words={"a": "-solve({a}ᵀ, g) @ {out}ᵀ", "b": "solve({a}ᵀ, g)"},
    core_axes=2,
    latex="{a}^{{-1}} {b}",
    check=lambda a, b: (
        singular(a, "a")
        if broadcast((a.shape[:-2], b.shape[:-2]))
        else f"the stacks of matrices, {a.shape[:-2]} and {b.shape[:-2]}, do not broadcast."
    ),
)


def solve(a: Any, b: Any) -> Any:
    """Solve a @ x == b for x: a (..., n, n), b a vector (n,) or matrices (..., n, k).

    Raises:
        ShapeError: if a is not square, or b does not fit.
        LinAlgError: if a matrix of a is singular.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.solve(tg.tensor([[2.0, 0.0], [0.0, 4.0]]), tg.tensor([1.0, 1.0]))
        tensor([0.5 , 0.25])
    """
    _, right = shapes_of("solve", a=a, b=b)
    if len(right) != 1:
        return _solve(a, b)
    if reason := _unfit_equations(a, b):
        # Raised here, with the shapes that the user gave.
        raise ShapeError(in_full("solve", reason, {"a": a, "b": b}, {}))
    return squeeze(_solve(a, expand_dims(b, axis=-1)), axis=-1)


def _per_matrix(xp: Any, numbers: Any) -> Any:
    """Reshape one number for each matrix, to multiply the matrices."""
    return xp.expand_dims(xp.expand_dims(numbers, axis=-1), axis=-1)


def _det_vjp(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """Multiply g with the matrix of cofactors (Giles, section 2.2.4)."""
    regular = holds(xp.all(out != 0))
    if regular and xp.name == "tensor":
        # The inverse of a nearly singular matrix has too few digits left for its own derivative.
        regular = not _nearly_singular(raw(x))
    if regular:
        return _per_matrix(xp, g * out) * xp.matrix_transpose(xp.inv(x))
    return _per_matrix(xp, g) * _cofactors(xp, x)


def _nearly_singular(x: Any) -> bool:
    """Tell whether some singular values are below the square root of the precision."""
    xp = namespace_of([x])
    s = xp.svd(x, full_matrices=False)[1]
    if 0 in s.shape:
        return False
    tolerance = xp.finfo(x.dtype).eps ** 0.5
    return holds(xp.any(s[..., -1] < tolerance * s[..., 0]))


def _cofactors(xp: Any, x: Any) -> Any:
    """Return the matrix of cofactors, even of a singular matrix.

    The cofactors of a product are the product of the cofactors. Those of an orthogonal matrix Q
    are det(Q) Q; those of a diagonal matrix are diagonal: the products of all other elements.
    """
    u, s, vh = xp.svd(x, full_matrices=False)
    if xp.name == "tensor" and some_are_equal(raw(s)):
        # Then the singular vectors have no derivatives; the cofactors, polynomials, do.
        return _cofactors_by_products(xp, x)
    others = [
        xp.prod(xp.concat((s[..., :i], s[..., i + 1 :]), axis=-1), axis=-1)
        for i in range(s.shape[-1])
    ]
    row = xp.expand_dims(xp.stack(others, axis=-1), axis=-2)
    return _per_matrix(xp, xp.det(u) * xp.det(vh)) * xp.matmul(u * row, vh)


def _cofactors_by_products(xp: Any, x: Any) -> Any:
    """Return the matrix of cofactors as a polynomial of x: n products, differentiable everywhere.

    Rounding errors grow with n faster than by ``_cofactors``.

    Source: Faddeev & Le Verrier's algorithm; Gantmacher, "The Theory of Matrices", 1959, volume 1,
    section IV.5.
    """
    count = shape_of(x)[-1]
    one = namespaces[type(raw(x))].eye(count, dtype=x.dtype, device=raw(x).device)
    adjugate = one
    for k in range(1, count):
        product = xp.matmul(x, adjugate)
        trace = xp.sum(product * one, axis=(-2, -1))
        adjugate = product - _per_matrix(xp, trace / k) * one
    adjugate = adjugate * (-1) ** (count - 1)
    return xp.broadcast_to(xp.matrix_transpose(adjugate), shape_of(x))


det = op(
    "det",
    forward=lambda xp, x: xp.det(square(x)),
    vjp={"x": _det_vjp},
    complex_vjp="conjugated",
    words={"x": "g × the cofactors of {x}"},
    latex=r"\det {x}",
    doc="""Return the determinants of square matrices.

    Derivatives of every order exist everywhere, even where the matrix is singular. ``tg.slogdet``
    does not overflow.

    Raises:
        ShapeError: if the matrices are not square.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.det(tg.tensor([[2.0, 1.0], [0.0, 4.0]]))
        tensor(8.)
    """,
)


class SlogdetResult(NamedTuple):
    """Signs of determinants, and the logarithms of their absolute values."""

    sign: Any
    logabsdet: Any


def _slogdet_vjp(xp: Any, g: Any, x: Any) -> Any:
    _, g_logarithm = g
    if g_logarithm is None:
        # The sign is constant, apart from jumps.
        return xp.zeros_like(x)
    try:
        inverse = xp.inv(x)
    except np.linalg.LinAlgError:
        reason = "a matrix is singular, and the logarithm has an infinite slope at 0."
        raise no_gradient("slogdet", reason, x) from None
    return _per_matrix(xp, g_logarithm) * xp.matrix_transpose(inverse)


_slogdet = op(
    "slogdet",
    forward=lambda xp, x: tuple(xp.slogdet(square(x))),
    vjp={"x": _slogdet_vjp},
    words={"x": "g of the logarithm × inv({x})ᵀ"},
    latex=r"(\mathrm{{sgn}} \det {x}, \; \log |\det {x}|)",
    several_outputs=True,
)


def slogdet(x: Any) -> SlogdetResult:
    """Return the sign of the determinant and log(abs(det(x))), which does not overflow.

    A singular matrix has sign 0 and logarithm -inf, and no gradient.

    Raises:
        ShapeError: if the matrices are not square.
        GradientError: from ``backward``, where a matrix is singular.
    """
    return SlogdetResult(*_slogdet(x))


# --- powers, rank and pseudo-inverse -----------------------------------------------------------


def matrix_power(x: Any, n: int) -> Any:
    """Return the n-th power of a square matrix x; for n < 0, a power of its inverse.

    It takes about log2(n) products. Power 0 is the identity, through which no gradient flows.

    Raises:
        ShapeError: if the matrices are not square.
        LinAlgError: for n < 0, if a matrix is singular.
    """
    (shape,), given = shapes_of("matrix_power", x=x), ({"x": x}, {"n": n})
    if len(shape) < 2 or shape[-1] != shape[-2]:
        reason = f"expected square matrices (..., n, n), got shape {shape}."
        raise ShapeError(in_full("matrix_power", reason, *given))
    try:
        n = operator.index(n)
    except TypeError:
        reason = f"expected an integer power, got {excerpt(n)}."
        raise ArgumentTypeError(in_full("matrix_power", reason, *given)) from None
    if n < 0:
        try:
            inverse = inv(x)
        except LinAlgError:
            raise LinAlgError(in_full("matrix_power", singular(raw(x)), *given)) from None
        return matrix_power(inverse, -n)
    if n == 0:
        return _identity_like(x)
    if n == 1:
        return x
    half = matrix_power(x, n // 2)
    even = matmul(half, half)
    return matmul(x, even) if n % 2 else even


def _identity_like(x: Any) -> Any:
    """Return identity matrices of the shape, dtype and device of x."""
    array = raw(x)
    one = namespaces[type(array)].eye(shape_of(x)[-1], dtype=array.dtype, device=array.device)
    return broadcast_to(one, shape=shape_of(x))


def _rank(xp: Any, x: Any, *, rtol: float | None) -> Any:
    if 0 in matrices(x).shape:
        return xp.zeros(x.shape[:-2], dtype=xp.int64)
    return xp.matrix_rank(x, rtol=rtol)


_matrix_rank = op("matrix_rank", forward=_rank, check=not_finite)


def matrix_rank(x: Any, rtol: float | None = None) -> Any:
    """Return the rank of each matrix: the number of its singular values above a tolerance.

    Args:
        x: matrices (..., m, n).
        rtol: the tolerance, relative to the largest singular value; by default, max(m, n) times
            the rounding error of the dtype.

    Raises:
        ShapeError: if x has fewer than two axes.
    """
    return _matrix_rank(x, rtol=rtol)


def _pinv_vjp(xp: Any, g: Any, x: Any, out: Any, rtol: float | None) -> Any:
    """Return the gradient of x (Golub & Pereyra).

    It is the adjoint of dA⁺ = -A⁺ dA A⁺ + A⁺A⁺ᵀ dAᵀ (I - AA⁺) + (I - A⁺A) dAᵀ A⁺ᵀA⁺.
    """
    full = min(shape_of(x)[-2:])
    if full and holds(xp.any(xp.matrix_rank(x, rtol=rtol) < full)):
        reason = (
            f"the rank is less than {full}; an arbitrarily small change of x can raise it, "
            "and the pseudo-inverse jumps there."
        )
        raise no_gradient("pinv", reason, x)
    transposed, g_transposed = xp.matrix_transpose(out), xp.matrix_transpose(g)
    left = g_transposed - xp.matmul(x, xp.matmul(out, g_transposed))
    right = g_transposed - xp.matmul(xp.matmul(g_transposed, out), x)
    return (
        xp.matmul(left, xp.matmul(out, transposed))
        + xp.matmul(xp.matmul(transposed, out), right)
        - xp.matmul(transposed, xp.matmul(g, transposed))
    )


_pinv = op(
    "pinv",
    "⁺",
    forward=lambda xp, x, *, rtol: xp.pinv(matrices(x), rtol=rtol),
    vjp={"x": _pinv_vjp},
    latex="{x}^+",
    check=not_finite,
)


def pinv(x: Any, rtol: float | None = None) -> Any:
    """Return the Moore-Penrose pseudo-inverses (..., n, m) of matrices (..., m, n).

    pinv(x) @ b is the shortest least-squares solution v of x @ v = b.

    Args:
        x: matrices (..., m, n).
        rtol: singular values below ``rtol`` times the largest count as zero; by default,
            max(m, n) times the rounding error of the dtype.

    Raises:
        ShapeError: if x has fewer than two axes.
        LinAlgError: for elements that are not finite.
        GradientError: from ``backward``, where the rank is less than the smaller of m and n.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.pinv(tg.tensor([[2.0], [0.0]]))
        tensor([[0.5, 0. ]])
    """
    return _pinv(x, rtol=rtol)
