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
from tinygrad_lab.engine.explain import holds, in_full, raw, shape_of, shapes_of
from tinygrad_lab.errors import ArgumentError, LinAlgError, ShapeError, excerpt
from tinygrad_lab.ops.arguments.matrices import (
    matrices,
    no_gradient,
    not_finite,
    not_positive_definite,
    some_are_equal,
    some_are_zero,
    square,
    vanishing,
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
        reason = f"expected mode 'reduced' or 'complete', got {excerpt(mode)}."
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


def _eigh_again(xp: Any, x: Any, asked_by: str) -> Any:
    """Decompose the input of a rule again; errors about its derivatives name who asked."""
    return _eigh(x, asked_by=asked_by) if xp.name == "tensor" else xp.eigh(x)


def _eigh_vjp(xp: Any, g: Any, x: Any, asked_by: str | None) -> Any:
    """Return V (diag(g(λ)) + F ∘ Vᵀ g(V)) Vᵀ, Fij = 1 / (λj - λi), i ≠ j (Giles, section 3.1)."""
    g_values, g_vectors = g
    asked_by = asked_by or "eigh"
    values, vectors = _eigh_again(xp, x, asked_by)
    rotated = xp.matrix_transpose(vectors)
    if g_vectors is None:
        return xp.matmul(vectors * _row(xp, g_values), rotated)
    if some_are_equal(raw(values)):
        raise no_gradient(asked_by, _EQUAL_EIGENVALUES[asked_by], x)
    turned = _divided_by_gaps(xp, xp.matmul(rotated, g_vectors), values)
    moved = xp.matmul(vectors, turned)
    if g_values is not None:
        moved = moved + vectors * _row(xp, g_values)
    return _symmetric(xp, xp.matmul(moved, rotated))


_EQUAL_EIGENVALUES = {
    "eigh": (
        "two eigenvalues are equal, so their eigenvectors are not unique. The first derivatives of "
        "the eigenvalues alone (tg.eigvalsh) exist."
    ),
    "eigvalsh": (
        "two eigenvalues are equal, and the second derivatives of each of them do not exist. Write "
        "a symmetric function of all of them without eigenvalues: their sum is tg.trace(x), that "
        "of their squares tg.sum(x * x), of their k-th powers tg.trace(tg.linalg.matrix_power(x, "
        "k)), their product tg.det(x). Of others, such as the sum of tg.exp of them, there are "
        "first derivatives only."
    ),
}


def _eigvalsh_vjp(xp: Any, g: Any, x: Any) -> Any:
    """Return V diag(g) Vᵀ (Giles, section 3.1)."""
    _, vectors = _eigh_again(xp, x, "eigvalsh")
    return xp.matmul(vectors * _row(xp, g), xp.matrix_transpose(vectors))


def _finite(xp: Any, x: Any) -> Any:
    """Return square matrices, if they are finite."""
    # Given NaN, LAPACK returns eigenvalues that look like any others.
    if not holds(xp.all(xp.isfinite(square(x)))):
        raise LinAlgError(not_finite(x))
    return x


_eigh = op(
    "eigh",
    forward=lambda xp, x, *, asked_by=None: tuple(xp.eigh(_finite(xp, x))),
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


eigvalsh = op(
    "eigvalsh",
    forward=lambda xp, x: xp.eigvalsh(_finite(xp, x)),
    vjp={"x": _eigvalsh_vjp},
    latex=r"\lambda({x})",
    doc="""Return the eigenvalues of symmetric matrices, in ascending order; see ``eigh``.

    Where eigenvalues are equal, they have no second derivatives: differentiating their gradient
    raises.

    Raises:
        ShapeError: if the matrices are not square.
        LinAlgError: for elements that are not finite.
        GradientError: from a second derivative that does not exist.
    """,
)


class SVDResult(NamedTuple):
    """Left singular vectors as columns, singular values, right singular vectors as rows."""

    U: Any
    S: Any
    Vh: Any


def _svd_again(xp: Any, x: Any, asked_by: str) -> Any:
    """Decompose the input of a rule again; errors about its derivatives name who asked."""
    if xp.name == "tensor":
        return _svd(x, full_matrices=False, asked_by=asked_by)
    return xp.svd(x, full_matrices=False)


def _svd_vjp(xp: Any, g: Any, x: Any, full_matrices: bool, asked_by: str | None) -> Any:
    """Add the gradients through U, S and V (Townsend)."""
    g_u, g_s, g_vh = g
    asked_by = asked_by or "svd"
    u, s, vh = _svd_again(xp, x, asked_by)
    parts = []
    if g_s is not None:
        parts.append(xp.matmul(u * _row(xp, g_s), vh))
    if g_u is not None or g_vh is not None:
        if asked_by in _NORMS:
            _refuse_ambiguous_norms(x, raw(s), asked_by)
        else:
            _refuse_ambiguous_vectors(x, raw(s), full_matrices, asked_by)
            if asked_by == "svdvals" and g_u is not None:
                _refuse_kinks(x, raw(s), raw(g_u))
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
        # A zero is left only among values without influence, in norms.
        divisor = xp.where(s == 0, xp.ones_like(s), s)
        moved = moved + xp.divide(g - xp.matmul(u, inner), _row(xp, divisor))
    return xp.matmul(moved, vh)


def _refuse_ambiguous_vectors(x: Any, s: Any, full_matrices: bool, asked_by: str) -> None:
    """Raise where singular vectors are not unique up to sign."""
    rows, columns = shape_of(x)[-2:]
    if full_matrices and rows != columns:
        reason = (
            "the vectors that complete the bases are not unique: tg.svd(x, full_matrices=False)."
        )
    elif some_are_equal(s):
        reason = f"two singular values are equal, {_WITHOUT_VECTORS[asked_by]}"
    elif rows != columns and some_are_zero(s):
        reason = f"a singular value is zero, {_WITHOUT_VECTORS[asked_by]}"
    else:
        return
    raise no_gradient(asked_by, reason, x)


_WITHOUT_VECTORS = {
    "svd": (
        "so its vectors are not unique. The first derivatives of the singular values alone "
        "(tg.svdvals) exist."
    ),
    "svdvals": (
        "and the second derivatives of each of them do not exist. Write a symmetric function of "
        "all of them without singular values: the sum of their squares is tg.sum(x * x), that of "
        "their fourth powers tg.sum((x @ x.mT) ** 2), their sum tg.matrix_norm(x, ord='nuc'). Of "
        "others, such as the sum of tg.exp of them, there are first derivatives only."
    ),
}
_NORMS = {"matrix_norm(ord=2)": 0, "matrix_norm(ord=-2)": -1}
"""Who asks for one singular value, and for which one."""


def _refuse_ambiguous_norms(x: Any, s: Any, asked_by: str) -> None:
    """Raise where the largest or the smallest singular value has no second derivatives.

    They exist if it is simple and not zero, whether or not others are.
    """
    if 0 in s.shape:
        return
    place = _NORMS[asked_by]
    gaps, zero = vanishing(s[..., 1:] - s[..., :-1], s), vanishing(s, s)[..., place]
    if s.shape[-1] > 1 and holds(namespace_of([s]).any(gaps[..., place])):
        reason = "another singular value is equal to the one that is the norm."
    elif holds(namespace_of([s]).any(zero)):
        reason = "the norm has a kink where this singular value is 0."
    else:
        return
    raise no_gradient(asked_by, reason, x)


def _refuse_kinks(x: Any, s: Any, weights: Any) -> None:
    """Raise where a singular value of 0 matters: as an absolute value, it has a kink there.

    An even function of it is smooth; its slope there, with which vectors are weighted, is 0.
    """
    xp = namespace_of([s])
    largest = xp.max(xp.abs(weights), axis=-2)
    if 0 not in s.shape and holds(xp.any(vanishing(s, s) & ~vanishing(largest, largest))):
        raise no_gradient("svdvals", f"a singular value is zero, {_WITHOUT_VECTORS['svdvals']}", x)


def _svdvals_vjp(xp: Any, g: Any, x: Any, asked_by: str | None) -> Any:
    """Return U diag(g) Vᵀ (Townsend)."""
    u, _, vh = _svd_again(xp, x, asked_by or "svdvals")
    return xp.matmul(u * _row(xp, g), vh)


_svd = op(
    "svd",
    forward=lambda xp, x, *, full_matrices, asked_by=None: tuple(
        xp.svd(matrices(x), full_matrices=full_matrices)
    ),
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


_svdvals = op(
    "svdvals",
    forward=lambda xp, x, *, asked_by=None: xp.svdvals(matrices(x)),
    vjp={"x": _svdvals_vjp},
    latex=r"\sigma({x})",
    check=not_finite,
)


def svdvals(x: Any) -> Any:
    """Return the singular values of matrices, in descending order; see ``svd``.

    Where they are equal, or zero in a matrix that is not square, they have no second derivatives:
    differentiating their gradient raises.

    Raises:
        ShapeError: if x has fewer than two axes.
        LinAlgError: for elements that are not finite.
        GradientError: from a second derivative that does not exist.
    """
    return _svdvals(x)


def _extreme_value(x: Any, reduce: Any, asked_by: str) -> Any:
    """Return the largest or the smallest singular value, a norm, on an axis of size 1."""
    return reduce(_svdvals(x, asked_by=asked_by), axis=-1, keepdims=True)


# --- the sum of the singular values --------------------------------------------------------------


def _polar_vjp(xp: Any, g: Any, x: Any, out: Any) -> Any:
    """Return the adjoint of the derivative of U Vᵀ, which is the same map.

    With N = Uᵀ g V it is U [(N - Nᵀ) / (si + sj)] Vᵀ, plus (I - U Uᵀ) g V S⁻¹ Vᵀ for more rows than
    columns, U S⁻¹ Uᵀ g (I - V Vᵀ) for fewer. So equal singular values do not matter. (Differentiate
    x = P H, with P = U Vᵀ and a symmetric H.)
    """
    u, s, vh = _svd_again(xp, x, "matrix_norm")
    if some_are_zero(raw(s)):
        reason = "a singular value is 0, where their sum (the norm 'nuc') has a kink."
        raise no_gradient("matrix_norm", reason, x)
    u_t, v = xp.matrix_transpose(u), xp.matrix_transpose(vh)
    inner = xp.matmul(xp.matmul(u_t, g), v)
    sums = _row(xp, s) + xp.expand_dims(s, axis=-1)
    total = xp.matmul(xp.matmul(u, xp.divide(inner - xp.matrix_transpose(inner), sums)), vh)
    rows, columns = shape_of(x)[-2:]
    if rows > columns:
        outside = g - xp.matmul(u, xp.matmul(u_t, g))
        total = total + xp.matmul(xp.divide(xp.matmul(outside, v), _row(xp, s)), vh)
    elif rows < columns:
        outside = g - xp.matmul(xp.matmul(g, v), vh)
        scaled = xp.divide(xp.matmul(u_t, outside), xp.expand_dims(s, axis=-1))
        total = total + xp.matmul(u, scaled)
    return total


def _polar(xp: Any, x: Any) -> Any:
    u, _, vh = xp.svd(x, full_matrices=False)
    return xp.matmul(u, vh)


polar = op(
    "polar",
    internal=True,
    forward=lambda xp, x: _polar(xp, matrices(x)),
    vjp={"x": _polar_vjp},
    latex=r"\mathrm{{polar}}({x})",
    check=not_finite,
    doc="""Return U Vᵀ of the singular value decomposition: the gradient of the nuclear norm.""",
)

nuclear_norm = op(
    "nuclear_norm",
    "‖x‖nuc",
    internal=True,
    forward=lambda xp, x: xp.sum(xp.svdvals(matrices(x)), axis=-1),
    vjp={"x": lambda xp, g, x: xp.expand_dims(xp.expand_dims(g, axis=-1), axis=-1) * xp.polar(x)},
    words={"x": "g × U Vᵀ of {x}"},
    latex=r"\| {x} \|_*",
    check=not_finite,
    doc="""Return the sum of the singular values of each matrix.""",
)
