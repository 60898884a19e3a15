"""Decompositions of matrices, and their derivatives.

Every function takes stacks of matrices, shape (..., rows, columns). Sources of the formulas:

- Murray, "Differentiation of the Cholesky decomposition", arXiv:1602.07527, 2016.
- Walter & Lehmann, "Algorithmic differentiation of linear algebra functions with application in
  optimum experimental design", arXiv:1001.1654, 2010: QR.
- Giles, "Collected matrix derivative results for forward and reverse mode algorithmic
  differentiation", 2008: eigenvalues and eigenvectors.
- Townsend, "Differentiating the singular value decomposition", 2016.

A rule cannot keep the several outputs of a decomposition. It decomposes the input again, so its own
derivative is a derivative of the decomposition as well.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, raw, shape_of, shapes_of
from tinygrad_lab.errors import ArgumentError, LinAlgError, ShapeError
from tinygrad_lab.ops.arguments.matrices import (
    holds,
    matrices,
    no_gradient,
    not_finite,
    not_positive_definite,
    some_are_equal,
    some_are_zero,
    square,
)
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.ops.linalg import matmul
from tinygrad_lab.ops.shape import concat, matrix_transpose

# --- the Cholesky factor -------------------------------------------------------------------------


lower_half = op(
    "lower_half",
    "Φ",
    internal=True,
    forward=lambda xp, x: 0.5 * (xp.tril(x) + xp.tril(x, k=-1)),
    vjp={"x": lambda xp, g: xp.lower_half(g)},
    latex=r"\Phi({x})",
    doc="Return Φ(x): the part of matrices below the diagonal, plus half of the diagonal (Murray).",
)


def _symmetric(xp: Any, x: Any) -> Any:
    """Return the symmetric part of x."""
    return 0.5 * (x + xp.matrix_transpose(x))


def _cholesky_vjp(xp: Any, g: Any, out: Any) -> Any:
    """Return the symmetric part of L⁻ᵀ Φ(Lᵀ g) L⁻¹ (Murray)."""
    transposed = xp.matrix_transpose(out)
    half = xp.solve(transposed, xp.lower_half(xp.matmul(transposed, g)))
    return _symmetric(xp, xp.solve(transposed, xp.matrix_transpose(half)))


_cholesky = op(
    "cholesky",
    forward=lambda xp, x: xp.cholesky(square(x)),
    vjp={"x": _cholesky_vjp},
    latex=r"\mathrm{{chol}}({x})",
    check=not_positive_definite,
)


def cholesky(x: Any, upper: bool = False) -> Any:
    """Return the lower triangular L with x == L Lᵀ, or the upper U = Lᵀ with x == Uᵀ U.

    x is assumed symmetric: only its lower triangle is read, and the gradient is symmetric.

    Raises:
        ShapeError: if the matrices are not square.
        LinAlgError: if a matrix is not positive definite.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.cholesky(tg.tensor([[4.0, 2.0], [2.0, 10.0]]))
        tensor([[2., 0.],
                [1., 3.]])
    """
    factor = _cholesky(x)
    return matrix_transpose(factor) if upper else factor


# --- QR ------------------------------------------------------------------------------------------


class QRResult(NamedTuple):
    """Orthonormal columns Q and an upper triangular R, whose product is the matrix."""

    Q: Any
    R: Any


def _qr_vjp(xp: Any, g: Any, x: Any, mode: str) -> Any:
    """Return (g(Q) + Q (Φ(M) + Φ(M)ᵀ)) R⁻ᵀ, M = R g(R)ᵀ - g(Q)ᵀ Q (Walter & Lehmann)."""
    g_q, g_r = g
    rows, columns = shape_of(x)[-2:]
    if mode == "complete" and rows > columns:
        reason = "the columns that complete Q are not unique. Use mode='reduced'."
        raise no_gradient("qr", reason, x)
    q, r = xp.qr(x, mode="reduced")
    if some_are_zero(_on_diagonal(raw(r))):
        reason = "the (first) columns of x are linearly dependent, so Q is not unique."
        raise no_gradient("qr", reason, x)
    from_r = 0 if g_r is None else xp.matmul(r, xp.matrix_transpose(g_r))
    from_q = 0 if g_q is None else xp.matmul(xp.matrix_transpose(g_q), q)
    half = xp.lower_half(from_r - from_q)
    within = xp.matmul(q, half + xp.matrix_transpose(half))
    moved = within if g_q is None else g_q + within
    return xp.matrix_transpose(xp.solve(r, xp.matrix_transpose(moved)))


def _on_diagonal(x: Any) -> Any:
    return namespace_of([x]).linalg.diagonal(x)


_qr = op(
    "qr",
    forward=lambda xp, x, *, mode: tuple(xp.qr(matrices(x), mode=mode)),
    vjp={"x": _qr_vjp},
    latex=r"\mathrm{{QR}}({x})",
    several_outputs=True,
    check=not_finite,
)


def qr(x: Any, mode: str = "reduced") -> QRResult:
    """Return Q with orthonormal columns and an upper triangular R, with x == Q @ R.

    Args:
        x: matrices (..., m, n).
        mode: "reduced" for Q (..., m, k) and R (..., k, n), where k is the smaller of m and n;
            "complete" for Q (..., m, m) and R (..., m, n).

    The gradient exists where the first k columns are linearly independent, and in mode
    "complete" only for m <= n.

    Raises:
        ShapeError: if x has fewer than two axes.
        GradientError: from ``backward``, where no gradient exists.
    """
    (shape,) = shapes_of("qr", x=x)
    if len(shape) < 2:
        reason = f"expected a matrix or a stack of matrices, got shape {shape}."
        raise ShapeError(in_full("qr", reason, {"x": x}, {}))
    if mode not in ("reduced", "complete"):
        reason = f"expected mode 'reduced' or 'complete', got {mode!r}."
        raise ArgumentError(in_full("qr", reason, {"x": x}, {}))
    rows, columns = shape[-2:]
    if rows >= columns:
        return QRResult(*_qr(x, mode=mode))
    # A wide matrix: its first columns are decomposed; the others are linear combinations of them.
    q, r = _qr(getitem(x, (..., slice(rows))), mode=mode)
    others = matmul(matrix_transpose(q), getitem(x, (..., slice(rows, None))))
    return QRResult(q, concat((r, others), axis=-1))


# --- eigenvalues and singular values -----------------------------------------------------------


def _row(xp: Any, numbers: Any) -> Any:
    """Return numbers as a row, to multiply the columns of a matrix."""
    return xp.expand_dims(numbers, axis=-2)


def _divided_by_gaps(xp: Any, matrix: Any, numbers: Any) -> Any:
    """Divide elements ij of a matrix by numbers[j] - numbers[i]; 0 where those are equal."""
    gaps = _row(xp, numbers) - xp.expand_dims(numbers, axis=-1)
    equal = gaps == 0
    quotient = xp.divide(matrix, xp.where(equal, xp.ones_like(gaps), gaps))
    return xp.where(equal, xp.zeros_like(quotient), quotient)


class EighResult(NamedTuple):
    """Eigenvalues of symmetric matrices, and eigenvectors as the columns of matrices."""

    eigenvalues: Any
    eigenvectors: Any


def _eigh_vjp(xp: Any, g: Any, x: Any) -> Any:
    """Return V (diag(g(λ)) + F ∘ Vᵀ g(V)) Vᵀ, Fij = 1 / (λj - λi), i ≠ j (Giles, section 3.1)."""
    g_values, g_vectors = g
    values, vectors = xp.eigh(x)
    rotated = xp.matrix_transpose(vectors)
    if g_vectors is None:
        return xp.matmul(vectors * _row(xp, g_values), rotated)
    if some_are_equal(raw(values)):
        reason = (
            "two eigenvalues are equal, so their eigenvectors are not unique. The first "
            "derivatives of the eigenvalues alone (tg.eigvalsh) exist."
        )
        raise no_gradient("eigh", reason, x)
    turned = _divided_by_gaps(xp, xp.matmul(rotated, g_vectors), values)
    moved = xp.matmul(vectors, turned)
    if g_values is not None:
        moved = moved + vectors * _row(xp, g_values)
    return _symmetric(xp, xp.matmul(moved, rotated))


def _eigen(xp: Any, x: Any) -> tuple[Any, Any]:
    # Given NaN, LAPACK returns eigenvalues that look like any others.
    if not holds(xp.all(xp.isfinite(square(x)))):
        raise LinAlgError(not_finite(x))
    return tuple(xp.eigh(x))


_eigh = op(
    "eigh",
    forward=_eigen,
    vjp={"x": _eigh_vjp},
    latex=r"\mathrm{{eigh}}({x})",
    several_outputs=True,
)


def eigh(x: Any) -> EighResult:
    """Return the eigenvalues, ascending, and the eigenvectors of symmetric matrices (..., n, n).

    x == V @ diag(λ) @ Vᵀ. x is assumed symmetric: only its lower triangle is read, and the
    gradient is symmetric. The signs of eigenvectors are arbitrary; the function to differentiate
    should not depend on them.

    Where eigenvalues are equal, their eigenvectors are not unique and have no gradient: backward
    raises. The gradient through the eigenvalues alone is correct for symmetric functions of the
    equal ones (sums, products, norms), and one of several subgradients for others.

    Raises:
        ShapeError: if the matrices are not square.
        LinAlgError: for elements that are not finite.
        GradientError: from ``backward``, where no gradient exists.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.eigh(tg.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
        tensor([1., 3.])
    """
    return EighResult(*_eigh(x))


def eigvalsh(x: Any) -> Any:
    """Return the eigenvalues of symmetric matrices, in ascending order; see ``eigh``."""
    return eigh(x).eigenvalues


class SVDResult(NamedTuple):
    """Left singular vectors as columns, singular values, right singular vectors as rows."""

    U: Any
    S: Any
    Vh: Any


def _svd_vjp(xp: Any, g: Any, x: Any, full_matrices: bool) -> Any:
    """Add the gradients through U, S and V (Townsend)."""
    g_u, g_s, g_vh = g
    u, s, vh = xp.svd(x, full_matrices=False)
    parts = []
    if g_s is not None:
        parts.append(xp.matmul(u * _row(xp, g_s), vh))
    if g_u is not None or g_vh is not None:
        _refuse_ambiguous_vectors(x, raw(s), full_matrices)
    if g_u is not None:
        parts.append(_left_vectors_vjp(xp, g_u, u, s, vh))
    if g_vh is not None:
        # The left singular vectors of the transposed matrix are the right ones.
        u, vh, g_v = map(xp.matrix_transpose, (u, vh, g_vh))
        parts.append(xp.matrix_transpose(_left_vectors_vjp(xp, g_v, vh, s, u)))
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def _left_vectors_vjp(xp: Any, g: Any, u: Any, s: Any, vh: Any) -> Any:
    """Return [U (F ∘ (Uᵀ g - gᵀ U)) S + (I - U Uᵀ) g S⁻¹] Vᵀ, Fij = 1 / (sj² - si²), i ≠ j."""
    inner = xp.matmul(xp.matrix_transpose(u), g)
    turned = _divided_by_gaps(xp, inner - xp.matrix_transpose(inner), s * s)
    moved = xp.matmul(u, turned * _row(xp, s))
    if u.shape[-2] > u.shape[-1]:
        moved = moved + xp.divide(g - xp.matmul(u, inner), _row(xp, s))
    return xp.matmul(moved, vh)


def _refuse_ambiguous_vectors(x: Any, s: Any, full_matrices: bool) -> None:
    """Raise where singular vectors are not unique up to sign."""
    rows, columns = shape_of(x)[-2:]
    alone = "The first derivatives of the singular values alone (tg.svdvals) exist."
    if full_matrices and rows != columns:
        reason = (
            "the vectors that complete the bases are not unique: tg.svd(x, full_matrices=False)."
        )
    elif some_are_equal(s):
        reason = f"two singular values are equal, so their vectors are not unique. {alone}"
    elif rows != columns and some_are_zero(s):
        reason = f"a singular value is zero, so its vectors are not unique. {alone}"
    else:
        return
    raise no_gradient("svd", reason, x)


_svd = op(
    "svd",
    forward=lambda xp, x, *, full_matrices: tuple(xp.svd(matrices(x), full_matrices=full_matrices)),
    vjp={"x": _svd_vjp},
    latex=r"\mathrm{{SVD}}({x})",
    several_outputs=True,
    check=not_finite,
)


def svd(x: Any, full_matrices: bool = True) -> SVDResult:
    """Return the singular value decomposition of matrices (..., m, n): x == U @ diag(S) @ Vh.

    Args:
        x: matrices (..., m, n).
        full_matrices: whether U (..., m, m) and Vh (..., n, n) are complete bases. If not, U is
            (..., m, k) and Vh (..., k, n), where k is the smaller of m and n: gradients need
            this.

    S holds the k singular values in descending order. The signs of singular vectors are
    arbitrary; the function to differentiate should not depend on them.

    Where singular values are equal, or zero in a matrix that is not square, their vectors are
    not unique and have no gradient: backward raises. The gradient through the singular values
    alone is correct for symmetric functions of the equal ones, and one of several subgradients
    for others.

    Raises:
        ShapeError: if x has fewer than two axes.
        LinAlgError: for elements that are not finite.
        GradientError: from ``backward``, where no gradient exists.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.svd(tg.tensor([[0.0, 2.0], [3.0, 0.0]])).S
        tensor([3., 2.])
    """
    return SVDResult(*_svd(x, full_matrices=full_matrices))


def svdvals(x: Any) -> Any:
    """Return the singular values of matrices, in descending order; see ``svd``."""
    return svd(x, full_matrices=False).S
