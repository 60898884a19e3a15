"""Linear algebra: what NumPy computes, derivatives where they exist, an error where they do not.

Gradients of first and second order are tested in ``test_ops.py``, on the cases of
``op_cases.py``. The tests here are about values and special points.
"""

import math
from collections.abc import Callable
from typing import Any

import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import errors
from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.op import table
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
)

from .op_cases import Array, Case, finite_differences, numbers, weighted, weights_of

SQUARE_SHAPES = [(0, 0), (1, 1), (2, 2), (5, 5), (3, 4, 4), (2, 1, 3, 3), (0, 3, 3), (2, 0, 0)]
SHAPES = [*SQUARE_SHAPES, (4, 2), (2, 4), (3, 4, 2), (3, 2, 4), (1, 5), (5, 1)]

square_shapes = pytest.mark.parametrize("shape", SQUARE_SHAPES, ids=str)
all_shapes = pytest.mark.parametrize("shape", SHAPES, ids=str)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def transposed(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def symmetric(*shape: int) -> Array:
    x = numbers(*shape)
    return np.asarray(x + transposed(x))


def positive_definite(*shape: int) -> Array:
    x = numbers(*shape)
    return np.asarray(x @ transposed(x) + np.eye(shape[-1]))


def leaf(array: Any) -> tg.Tensor:
    return tg.tensor(array, requires_grad=True)


def gradient_of(function: Callable[[tg.Tensor], tg.Tensor], array: Any) -> Array:
    """Return the gradient of the weighted result of a function."""
    x = leaf(array)
    out = function(x)
    out.backward(gradient=weights_of(out.shape))
    assert x.grad is not None
    return x.grad.numpy()


def differences_of(function: Callable[[tg.Tensor], tg.Tensor], array: Array) -> Array:
    case = Case("", function, (array,))
    return finite_differences(lambda arrays: weighted(case, arrays), [array])[0]


def same(found: tg.Tensor, expected: Any, rtol: float = 1e-10) -> None:
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found.numpy(), expected, rtol=rtol, atol=rtol)


# --- values --------------------------------------------------------------------------------------


class TestValues:
    @square_shapes
    @pytest.mark.parametrize("name", ["det", "inv"])
    def test_of_square_matrices_are_those_of_numpy(self, name: str, shape: tuple[int, ...]) -> None:
        x = numbers(*shape)
        same(getattr(tg, name)(tg.tensor(x)), getattr(np.linalg, name)(x))

    @square_shapes
    def test_of_slogdet_are_those_of_numpy(self, shape: tuple[int, ...]) -> None:
        x = numbers(*shape)
        found = tg.slogdet(tg.tensor(x))
        for one, other in zip(found, np.linalg.slogdet(x), strict=True):
            same(one, other)
        assert found.sign is found[0]
        assert found.logabsdet is found[1]

    def test_of_slogdet_do_not_overflow(self) -> None:
        x = tg.tensor(np.eye(400) * 1e3)
        with np.errstate(over="ignore"):
            assert tg.det(x).item() == math.inf
        assert tg.slogdet(x).logabsdet.item() == pytest.approx(400 * math.log(1e3))

    @pytest.mark.parametrize(
        ("left", "right"),
        [
            ((3, 3), (3,)),
            ((3, 3), (3, 2)),
            ((2, 3, 3), (3,)),
            ((2, 3, 3), (2, 3, 4)),
            ((2, 3, 3), (3, 3)),
            ((3, 3), (2, 3, 1)),
            ((1, 1), (1,)),
            ((0, 0), (0, 2)),
            ((3, 3), (3, 0)),
        ],
    )
    def test_of_solve_solve_the_equations(
        self, left: tuple[int, ...], right: tuple[int, ...]
    ) -> None:
        a, b = numbers(*left), numbers(*right, seed=1)
        found = tg.solve(tg.tensor(a), tg.tensor(b))
        same(found, np.linalg.solve(a, b))
        product = np.einsum("...ij,...j" if b.ndim == 1 else "...ij,...jk", a, found.numpy())
        np.testing.assert_allclose(product, np.broadcast_to(b, found.shape), atol=1e-12)

    @square_shapes
    def test_of_cholesky_are_the_lower_or_upper_factor(self, shape: tuple[int, ...]) -> None:
        x = positive_definite(*shape)
        same(tg.cholesky(tg.tensor(x)), np.linalg.cholesky(x))
        same(tg.cholesky(tg.tensor(x), upper=True), transposed(np.linalg.cholesky(x)))

    @all_shapes
    @pytest.mark.parametrize("mode", ["reduced", "complete"])
    def test_of_qr_are_those_of_numpy(self, shape: tuple[int, ...], mode: Any) -> None:
        x = numbers(*shape)
        found = tg.qr(tg.tensor(x), mode=mode)
        for one, other in zip(found, np.linalg.qr(x, mode=mode), strict=True):
            same(one, other)
        same(found.Q @ found.R, x)

    @square_shapes
    def test_of_eigh_are_those_of_numpy(self, shape: tuple[int, ...]) -> None:
        x = symmetric(*shape)
        found = tg.eigh(tg.tensor(x))
        same(found.eigenvalues, np.linalg.eigvalsh(x))
        same(tg.eigvalsh(tg.tensor(x)), np.linalg.eigvalsh(x))
        values, vectors = found
        same(vectors * values[..., None, :] @ vectors.mT, x)

    @all_shapes
    @pytest.mark.parametrize("full", [False, True])
    def test_of_svd_are_those_of_numpy(self, shape: tuple[int, ...], full: bool) -> None:
        x = numbers(*shape)
        found = tg.svd(tg.tensor(x), full_matrices=full)
        for one, other in zip(found, np.linalg.svd(x, full_matrices=full), strict=True):
            same(one, other)
        same(tg.svdvals(tg.tensor(x)), np.linalg.svd(x, compute_uv=False))

    @all_shapes
    def test_of_pinv_are_those_of_numpy(self, shape: tuple[int, ...]) -> None:
        x = numbers(*shape)
        same(tg.pinv(tg.tensor(x)), np.linalg.pinv(x))

    def test_of_pinv_leave_small_singular_values_out(self) -> None:
        x = tg.tensor([[1.0, 0.0], [0.0, 1e-3]])
        assert tg.pinv(x, rtol=1e-2).tolist() == [[1.0, 0.0], [0.0, 0.0]]
        assert tg.matrix_rank(x, rtol=1e-2).item() == 1
        assert tg.matrix_rank(x).item() == 2

    @all_shapes
    def test_of_matrix_rank_count_the_directions(self, shape: tuple[int, ...]) -> None:
        x = numbers(*shape)
        same(tg.matrix_rank(tg.tensor(x)), np.full(shape[:-2], min(shape[-2:])))
        same(tg.matrix_rank(tg.tensor(x * 0)), np.zeros(shape[:-2]))

    @square_shapes
    @pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 6, 11])
    def test_of_matrix_power_are_those_of_numpy(self, n: int, shape: tuple[int, ...]) -> None:
        x = numbers(*shape)
        same(tg.matrix_power(tg.tensor(x), n), np.linalg.matrix_power(x, n), rtol=1e-8)

    @all_shapes
    @pytest.mark.parametrize("offset", [-9, -2, -1, 0, 1, 3, 9])
    def test_of_diagonals_are_those_of_numpy(self, offset: int, shape: tuple[int, ...]) -> None:
        x = numbers(*shape)
        same(tg.diagonal(tg.tensor(x), offset=offset), np.linalg.diagonal(x, offset=offset))
        same(tg.trace(tg.tensor(x), offset=offset), np.linalg.trace(x, offset=offset))

    @pytest.mark.parametrize("offset", [-2, 0, 1])
    @pytest.mark.parametrize("shape", [(0,), (1,), (3,), (3, 2), (2, 3)])
    def test_of_diag_are_those_of_numpy(self, offset: int, shape: tuple[int, ...]) -> None:
        x = numbers(*shape)
        same(tg.diag(tg.tensor(x), offset=offset), np.diag(x, offset))

    @pytest.mark.parametrize(
        ("left", "right", "axis"),
        [((3,), (3,), -1), ((2, 3), (3,), -1), ((3, 2), (4, 3, 1), -2), ((3, 2), (3, 2), 0)],
    )
    def test_of_vecdot_and_cross_are_those_of_numpy(
        self, left: tuple[int, ...], right: tuple[int, ...], axis: int
    ) -> None:
        x, y = numbers(*left), numbers(*right, seed=1)
        same(tg.vecdot(tg.tensor(x), tg.tensor(y), axis=axis), np.linalg.vecdot(x, y, axis=axis))
        same(tg.cross(tg.tensor(x), tg.tensor(y), axis=axis), np.cross(x, y, axis=axis))

    def test_of_outer_are_all_products(self) -> None:
        x, y = numbers(3), numbers(4)
        same(tg.outer(tg.tensor(x), tg.tensor(y)), np.outer(x, y))

    @pytest.mark.parametrize(
        ("left", "right"), [((2, 3), (3, 2)), ((2,), (3, 2)), ((2, 1, 3), (2, 2)), ((), (2, 2))]
    )
    def test_of_kron_are_those_of_numpy(
        self, left: tuple[int, ...], right: tuple[int, ...]
    ) -> None:
        x, y = numbers(*left), numbers(*right, seed=1)
        same(tg.kron(tg.tensor(x), tg.tensor(y)), np.kron(x, y))

    @pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (0, 1, 2)])
    @pytest.mark.parametrize("ord", [0, 0.5, 1, 2, 3, 2.5, -1, -2, math.inf, -math.inf])
    @pytest.mark.parametrize("keepdims", [False, True])
    def test_of_vector_norm_are_those_of_numpy(self, axis: Any, ord: float, keepdims: bool) -> None:
        x = numbers(2, 3, 4)
        found = tg.vector_norm(tg.tensor(x), axis=axis, ord=ord, keepdims=keepdims)
        same(found, np.linalg.vector_norm(x, axis=axis, ord=ord, keepdims=keepdims))

    @pytest.mark.parametrize(
        ("dtype", "real"), [("complex64", "float32"), ("complex128", "float64")]
    )
    @pytest.mark.parametrize("device", ["cpu", "strict:1"])
    def test_of_norms_of_complex_numbers_are_real(self, dtype: str, real: str, device: str) -> None:
        x = (numbers(2, 3) + 1j * numbers(2, 3, seed=1)).astype(dtype)
        norms = [
            *(("vector_norm", ord) for ord in (0, 0.5, 1, 2, 3, -1, math.inf, -math.inf)),
            *(("matrix_norm", ord) for ord in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)),
        ]
        for name, ord in norms:
            found = getattr(tg, name)(tg.asarray(x, device=device), ord=ord)
            same(found.to("cpu"), getattr(np.linalg, name)(x, ord=ord), rtol=1e-5)
            assert found.dtype == real
        for ord in (None, 1, "nuc"):
            found = tg.norm(tg.asarray(x, device=device), ord=ord)
            same(found.to("cpu"), np.linalg.norm(x, ord=ord), rtol=1e-5)
            assert found.dtype == real

    @pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
    @pytest.mark.parametrize("keepdims", [False, True])
    def test_of_matrix_norm_are_those_of_numpy(self, ord: Any, keepdims: bool) -> None:
        x = numbers(2, 3, 4)
        found = tg.matrix_norm(tg.tensor(x), ord=ord, keepdims=keepdims)
        same(found, np.linalg.matrix_norm(x, ord=ord, keepdims=keepdims))

    @pytest.mark.parametrize(
        ("shape", "arguments"),
        [
            ((3,), {}),
            ((2, 3, 4), {}),
            ((3,), {"ord": 3}),
            ((2, 3), {"ord": 2}),
            ((2, 3), {"ord": "nuc"}),
            ((2, 3, 4), {"axis": 1}),
            ((2, 3, 4), {"axis": (2, 0)}),
            ((2, 3, 4), {"axis": (2, 0), "ord": 1, "keepdims": True}),
            ((2, 3, 4), {"axis": -1, "ord": 1, "keepdims": True}),
        ],
    )
    def test_of_norm_are_those_of_numpy(
        self, shape: tuple[int, ...], arguments: dict[str, Any]
    ) -> None:
        x = numbers(*shape)
        same(tg.norm(tg.tensor(x), **arguments), np.linalg.norm(x, **arguments))

    def test_of_norms_of_a_python_number_are_its_size(self) -> None:
        for ord in (1, 2, 3, math.inf):
            assert tg.vector_norm(tg.scalar(-3.0), ord=ord).item() == pytest.approx(3.0)

    def test_of_integers_are_integers_where_they_are_sums_of_products(self) -> None:
        x = tg.tensor([[1, 2], [3, 4]])
        for out in (tg.trace(x), tg.diag(x), tg.einsum("ij,jk", x, x), tg.matrix_power(x, 2)):
            assert out.dtype == np.int64
        assert tg.trace(x, dtype=tg.float64).dtype == np.float64


class TestTheNamespace:
    def test_has_the_functions_of_the_standard(self) -> None:
        for name in strict.linalg.__all__:
            assert callable(getattr(tg.linalg, name)), name

    def test_is_documented(self) -> None:
        for name in tg.linalg.__all__:
            assert (getattr(tg.linalg, name).__doc__ or "").strip(), name
            assert getattr(tg, name) is getattr(tg.linalg, name)


OF_MATRICES = [
    pytest.param(tg.det, id="det"),
    pytest.param(tg.inv, id="inv"),
    pytest.param(lambda x: tg.slogdet(x).logabsdet, id="slogdet"),
    pytest.param(lambda x: tg.solve(x, x.mT), id="solve"),
    pytest.param(lambda x: tg.cholesky(x @ x.mT + x @ x.mT), id="cholesky"),
    pytest.param(lambda x: tg.qr(x).Q, id="qr"),
    pytest.param(lambda x: tg.eigh(x + x.mT).eigenvalues, id="eigh"),
    pytest.param(tg.svdvals, id="svd"),
    pytest.param(tg.pinv, id="pinv"),
    pytest.param(lambda x: tg.matrix_power(x, 3), id="matrix_power"),
    pytest.param(tg.matrix_norm, id="matrix_norm"),
    pytest.param(tg.trace, id="trace"),
]


@pytest.mark.parametrize("function", OF_MATRICES)
class TestStacks:
    def test_hold_what_their_matrices_give_one_by_one(
        self, function: Callable[[tg.Tensor], tg.Tensor]
    ) -> None:
        array = numbers(3, 2, 4, 4)
        stack = leaf(array)
        whole = function(stack)
        whole.sum().backward()
        for place in np.ndindex(3, 2):
            matrix = leaf(array[place])
            one = function(matrix)
            one.sum().backward()
            same(whole.detach()[place], one.detach().numpy())
            assert stack.grad is not None
            assert matrix.grad is not None
            same(stack.grad[place], matrix.grad.numpy(), rtol=1e-9)

    @pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 0), (0, 0)])
    def test_without_elements_have_gradients_without_elements(
        self, function: Callable[[tg.Tensor], tg.Tensor], shape: tuple[int, ...]
    ) -> None:
        x = leaf(np.zeros(shape))
        function(x).sum().backward()
        assert x.grad is not None
        assert x.grad.shape == shape

    def test_of_one_number_are_as_smooth_as_others(
        self, function: Callable[[tg.Tensor], tg.Tensor]
    ) -> None:
        x = np.array([[[0.7]], [[2.0]]])
        found, expected = gradient_of(function, x), differences_of(function, x)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)


# --- special points ------------------------------------------------------------------------------


class TestDeterminants:
    @pytest.mark.parametrize(
        "matrix",
        [
            [[1.0, 2.0], [2.0, 4.0]],
            [[0.0, 0.0], [0.0, 0.0]],
            [[0.0]],
            [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]],
            [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [3.0, 6.0, 9.0]],
            np.stack([np.eye(3), np.ones((3, 3)), np.diag([1.0, 2.0, 0.0])]),
        ],
        ids=["rank 1 of 2", "zero", "one zero", "rank 2 of 3", "rank 1 of 3", "some of a stack"],
    )
    def test_have_a_gradient_also_where_they_are_zero(self, matrix: Any) -> None:
        x = np.asarray(matrix)
        found, expected = gradient_of(tg.det, x), differences_of(tg.det, x)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize(
        "matrix",
        [np.eye(3), np.ones((2, 2)), np.diag([1.0, 2.0, 0.0])],
        ids=["identity", "rank 1 of 2", "rank 2 of 3"],
    )
    def test_have_second_derivatives_there(self, matrix: Array) -> None:
        found = tg.hessian(tg.det)(tg.tensor(matrix)).numpy()
        rows = [
            differences_of(lambda x, place=place: tg.grad(tg.det)(x)[place], matrix)
            for place in np.ndindex(matrix.shape)
        ]
        expected = np.reshape(rows, found.shape) / weights_of(())
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)

    def test_of_a_nearly_singular_matrix_have_an_exact_gradient(self) -> None:
        x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])
        minors = [[-3.0, 6.0, -3.0], [6.0, -12.0, 6.0], [-3.0, 6.0, -3.0]]
        np.testing.assert_allclose(tg.grad(tg.det)(tg.tensor(x)).numpy(), minors, rtol=1e-9)

    def test_have_a_sign_that_is_constant(self) -> None:
        x = leaf(numbers(3, 3))
        tg.slogdet(x).sign.backward()
        assert x.grad is not None
        assert x.grad.tolist() == np.zeros((3, 3)).tolist()


ROTATION = np.linalg.qr(numbers(3, 3))[0]
WITH_EQUAL_ONES = [
    np.eye(3),
    np.zeros((2, 2)),
    np.diag([1.0, 2.0, 1.0]),
    ROTATION * [1.5, 1.5, 0.3] @ ROTATION.T,
]


class TestEqualEigenvalues:
    """Their eigenvectors are not unique, but sums over all vectors of one eigenvalue are."""

    @pytest.mark.parametrize("matrix", WITH_EQUAL_ONES)
    @both_dtypes
    def test_refuse_a_gradient_through_eigenvectors(self, matrix: Array, dtype: Any) -> None:
        x = leaf(matrix.astype(dtype))
        for out in (tg.eigh(x).eigenvectors, tg.eigh(x).eigenvectors * tg.eigh(x).eigenvalues):
            with pytest.raises(GradientError, match=r"eigh.*two eigenvalues are equal"):
                out.sum().backward()

    @pytest.mark.parametrize("matrix", WITH_EQUAL_ONES)
    @both_dtypes
    def test_refuse_a_gradient_through_singular_vectors(self, matrix: Array, dtype: Any) -> None:
        x = leaf(matrix.astype(dtype))
        u, _, vh = tg.svd(x)
        for out in (u, vh):
            with pytest.raises(GradientError, match=r"svd.*two singular values are equal"):
                out.sum().backward()

    @pytest.mark.parametrize("matrix", WITH_EQUAL_ONES)
    def test_have_the_gradient_of_symmetric_functions_of_them(self, matrix: Array) -> None:
        def sum_of_exponentials(x: tg.Tensor) -> tg.Tensor:
            return tg.exp(tg.eigvalsh((x + x.mT) * 0.5)).sum()

        found = gradient_of(sum_of_exponentials, matrix)
        expected = differences_of(sum_of_exponentials, matrix)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)

    def test_share_the_gradient_of_the_largest_evenly(self) -> None:
        gradient = tg.grad(lambda x: tg.max(tg.eigvalsh(x)))(tg.tensor(np.eye(2)))
        np.testing.assert_allclose(gradient.numpy(), np.eye(2) / 2, atol=1e-15)

    def test_refuse_one_in_a_stack(self) -> None:
        x = leaf(np.stack([np.diag([1.0, 2.0]), np.eye(2)]))
        with pytest.raises(GradientError, match="two eigenvalues are equal"):
            tg.eigh(x).eigenvectors.sum().backward()


_BASIS = np.linalg.qr(numbers(3, 3)).Q
_OTHER = np.linalg.qr(numbers(3, 3) + 1.0).Q


def _of_values(*values: float) -> Array:
    """A matrix with these singular values, in some bases."""
    return np.asarray(_BASIS[:, : len(values)] * values @ _OTHER[: len(values)])


REPEATED = {
    "distinct": _of_values(1.0, 2.0, 3.0),
    "equal": _of_values(1.0, 1.0, 2.0),
    "all equal": _of_values(1.5, 1.5, 1.5),
    "identity": np.eye(3),
    "singular": np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]]),
    "of rank 1": np.outer([1.0, 2.0, 2.0], [3.0, 0.0, 4.0]),
    "nearly singular": _of_values(1e-17, 1.0, 2.0),
    "zero": np.zeros((3, 3)),
    "tall": _of_values(1.0, 2.0)[:, :2],
    "tall and equal": np.eye(3, 2),
    "wide and equal": 2 * np.eye(2, 3),
}
SQUARE = [name for name, matrix in REPEATED.items() if matrix.shape == (3, 3)]
REGULAR = ["distinct", "equal", "all equal", "identity"]


def nuclear(x: Any) -> Any:
    return tg.matrix_norm(x, ord="nuc")


def spectral(x: Any) -> Any:
    return tg.matrix_norm(x, ord=2)


def smallest(x: Any) -> Any:
    return tg.matrix_norm(x, ord=-2)


def _weights(shape: tuple[int, ...]) -> Array:
    return np.linspace(-1.0, 2.0, math.prod(shape)).reshape(shape)


def combined(f: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Add up all elements of a result, each with a weight of its own."""
    return lambda x: (f(x) * tg.tensor(_weights(f(x).shape))).sum()


SMOOTH: list[tuple[str, Callable[[Any], Any], list[str]]] = [
    ("det", tg.det, SQUARE),
    ("det squared", lambda x: tg.det(x) ** 2, SQUARE),
    ("inv", combined(tg.inv), REGULAR),
    ("solve", lambda x: (tg.solve(x, tg.tensor([1.0, 2.0, -1.0])) ** 2).sum(), REGULAR),
    ("slogdet", lambda x: tg.slogdet(x).logabsdet, REGULAR),
    ("matrix_power", combined(lambda x: tg.matrix_power(x, -2)), REGULAR),
    ("pinv", combined(tg.pinv), [*REGULAR, "tall", "tall and equal", "wide and equal"]),
    ("nuclear", nuclear, [*REGULAR, "tall", "tall and equal", "wide and equal"]),
    ("norm", lambda x: tg.norm(x, ord="nuc") ** 2, [*REGULAR, "tall and equal"]),
    ("spectral", spectral, ["distinct", "equal", "singular", "of rank 1", "tall"]),
    ("smallest", smallest, ["distinct", "tall"]),
    ("cond", lambda x: spectral(x) / smallest(x), ["distinct", "tall"]),
    ("squares of values", lambda x: (tg.svdvals(x) ** 2).sum(), ["distinct", "singular", "tall"]),
]


class TestSecondDerivativesAtSpecialMatrices:
    @pytest.mark.parametrize(
        ("function", "name"),
        [
            pytest.param(function, name, id=f"{label}, {name}")
            for label, function, names in SMOOTH
            for name in names
        ],
    )
    def test_are_the_differences_of_the_first(
        self, function: Callable[[Any], Any], name: str
    ) -> None:
        matrix, step = REPEATED[name], 1e-5
        slope, found = tg.grad(function), tg.hessian(function)(tg.tensor(REPEATED[name])).numpy()
        expected = np.empty_like(found)
        for place in np.ndindex(matrix.shape):
            moved = np.zeros_like(matrix)
            moved[place] = step
            up, down = (slope(tg.tensor(m)).numpy() for m in (matrix + moved, matrix - moved))
            expected[(..., *place)] = (up - down) / (2 * step)
        scale = 1 + np.abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * scale)

    @pytest.mark.parametrize(
        ("function", "name", "says"),
        [
            (nuclear, "singular", r"^matrix_norm: .* singular value is 0.*kink"),
            (nuclear, "zero", r"^matrix_norm: .* singular value is 0.*kink"),
            (lambda x: nuclear(x) ** 2, "of rank 1", r"^matrix_norm: .*kink"),
            (spectral, "identity", r"^matrix_norm\(ord=2\): .*equal to the one"),
            (lambda x: spectral(x) ** 2, "zero", r"^matrix_norm\(ord=2\): .*equal to the one"),
            (lambda x: (spectral(x) - 1) ** 2, "identity", r"^matrix_norm\(ord=2\): .*equal to"),
            (smallest, "equal", r"^matrix_norm\(ord=-2\): .*equal to the one"),
            (smallest, "singular", r"^matrix_norm\(ord=-2\): .*kink"),
            (lambda x: tg.svdvals(x).sum(), "equal", r"^svdvals: .*ord='nuc'"),
            (lambda x: tg.svdvals(x).sum(), "singular", r"^svdvals: .*is zero"),
            (lambda x: tg.svdvals(x).sum(), "tall and equal", r"^svdvals: .*are equal"),
            (lambda x: tg.eigvalsh(x).sum(), "identity", r"^eigvalsh: .*tg\.trace"),
            (lambda x: tg.eigh(x).eigenvalues.sum(), "identity", r"^eigh: .*are equal"),
            (lambda x: tg.pinv(x).sum(), "singular", r"^pinv: .*rank is less"),
            (lambda x: tg.slogdet(x).logabsdet, "singular", r"^slogdet: .*singular"),
        ],
    )
    def test_are_refused_where_they_do_not_exist(
        self, function: Callable[[Any], Any], name: str, says: str
    ) -> None:
        """By the name of the function that was called, not of one that it uses."""
        assert np.isfinite(function(tg.tensor(np.eye(3))).item())
        with pytest.raises(GradientError, match=says):
            tg.hessian(function)(tg.tensor(REPEATED[name]))

    @pytest.mark.parametrize(
        ("function", "says"),
        [
            (tg.inv, "^inv: "),
            (lambda x: tg.solve(x, x), "^solve: "),
            (lambda x: tg.matrix_power(x, -3), "^matrix_power: "),
        ],
    )
    def test_of_a_singular_matrix_without_a_value(
        self, function: Callable[[Any], Any], says: str
    ) -> None:
        with pytest.raises(tg.errors.LinAlgError, match=says + ".*singular"):
            function(tg.zeros((2, 2)))

    @pytest.mark.parametrize("ord", ["nuc", 2, -2])
    def test_of_what_is_not_finite(self, ord: Any) -> None:
        with pytest.raises(tg.errors.LinAlgError, match=r"^matrix_norm: .*NaN or infinite"):
            tg.matrix_norm(tg.full((2, 2), float("nan")), ord=ord)
        for function in (tg.svdvals, tg.eigvalsh):
            with pytest.raises(tg.errors.LinAlgError, match=function.__name__):
                function(tg.full((2, 2), float("nan")))


class TestWhereNoGradientExists:
    @pytest.mark.parametrize(
        ("function", "matrix", "says"),
        [
            (lambda x: tg.svd(x).U, numbers(4, 2), r"svd.*full_matrices=False"),
            (lambda x: tg.svd(x).Vh, numbers(2, 4), r"svd.*full_matrices=False"),
            (lambda x: tg.svd(x, False).U, np.ones((4, 2)), r"svd.*singular value is zero"),
            (lambda x: tg.svd(x, False).Vh, np.ones((2, 4)), r"svd.*singular value is zero"),
            (lambda x: tg.qr(x, "complete").Q, numbers(4, 2), r"qr.*mode='reduced'"),
            (lambda x: tg.qr(x).Q, np.ones((3, 2)), r"qr.*linearly dependent"),
            (lambda x: tg.qr(x).R, np.ones((2, 4)), r"qr.*linearly dependent"),
            (lambda x: tg.pinv(x), np.ones((3, 2)), r"pinv.*rank is less than 2"),
            (lambda x: tg.pinv(x), np.zeros((2, 2)), r"pinv.*rank is less than 2"),
            (lambda x: tg.slogdet(x).logabsdet, np.ones((2, 2)), r"slogdet.*singular"),
        ],
    )
    @both_dtypes
    def test_an_error_says_so(
        self, function: Callable[[tg.Tensor], tg.Tensor], matrix: Array, says: str, dtype: Any
    ) -> None:
        x = leaf(matrix.astype(dtype))
        with pytest.raises(GradientError, match=says) as caught:
            function(x).sum().backward()
        assert "no gradient exists here" in str(caught.value)
        assert "function(x).sum().backward()" in str(caught.value)

    def test_second_derivatives_are_refused_in_the_same_words(self) -> None:
        x = tg.tensor(np.eye(2))
        with pytest.raises(GradientError, match=r"eigvalsh.*two eigenvalues are equal"):
            tg.hessian(lambda x: tg.exp(tg.eigvalsh(x)).sum())(x)

    def test_singular_values_have_one_also_of_tall_matrices_with_all_their_vectors(self) -> None:
        x = numbers(4, 2)
        found = gradient_of(lambda x: tg.svd(x).S, x)
        np.testing.assert_allclose(found, gradient_of(tg.svdvals, x), rtol=1e-12)

    @pytest.mark.parametrize("rows", [2, 4])
    def test_qr_in_mode_complete_has_one_where_it_completes_nothing(self, rows: int) -> None:
        x = numbers(rows, 4)
        for which in (0, 1):
            found = gradient_of(lambda x, i=which: tg.qr(x, mode="complete")[i], x)
            expected = gradient_of(lambda x, i=which: tg.qr(x)[i], x)
            np.testing.assert_allclose(found, expected, rtol=1e-12)


class TestDerivativesOfDeterminants:
    """They are polynomials; repeated singular values must not matter."""

    @pytest.mark.parametrize("size", [1, 2, 3, 4])
    @pytest.mark.parametrize("rank", [0, 1, 2])
    def test_of_the_second_order_exist_at_singular_matrices(self, size: int, rank: int) -> None:
        x = np.diag(np.arange(size) < rank).astype(float)
        tg.gradcheck(tg.det, tg.tensor(x), order=2)

    def test_are_right_beside_regular_matrices_in_a_stack(self) -> None:
        x = np.stack([np.zeros((3, 3)), np.eye(3), numbers(3, 3)])
        tg.gradcheck(lambda x: tg.det(x).sum(), tg.tensor(x), order=2)

    def test_of_the_third_order_exist_at_zero(self) -> None:
        f = tg.grad(lambda x: (tg.grad(tg.det)(x) * tg.tensor(np.eye(3))).sum())
        third = tg.jacobian(f)(tg.tensor(np.zeros((3, 3)))).numpy()
        # The trace of the cofactors is (tr² x - tr x²) / 2.
        expected = np.einsum("ij,kl->ijkl", np.eye(3), np.eye(3))
        expected -= np.einsum("il,jk->ijkl", np.eye(3), np.eye(3))
        np.testing.assert_allclose(third, expected, atol=1e-12)


class TestNormsAtZero:
    @pytest.mark.parametrize("ord", [1, 2, 3, 1.5, 0.5, math.inf])
    @pytest.mark.parametrize("zero", [0.0, np.zeros(2)], ids=["float", "zeros"])
    def test_of_vectors_are_flat(self, ord: float, zero: Any) -> None:
        def length(x: tg.Tensor) -> tg.Tensor:
            return tg.vector_norm(x, ord=ord)

        assert not tg.any(tg.grad(length)(zero) != 0)
        # Lengths of order 1 and inf consist of planes: their second derivatives are 0.
        second = tg.grad(lambda x: tg.grad(length)(x).sum())(zero)
        assert bool((second == 0).all() if ord in (1, math.inf) else tg.isnan(second).all())

    @pytest.mark.parametrize("ord", ["fro", 1, math.inf])
    def test_of_matrices_are_flat(self, ord: Any) -> None:
        gradient = tg.grad(lambda x: tg.matrix_norm(x, ord=ord))(tg.tensor(np.zeros((2, 3))))
        assert gradient.tolist() == np.zeros((2, 3)).tolist()

    def test_leave_the_other_vectors_of_a_stack_alone(self) -> None:
        x = leaf([[0.0, 0.0], [3.0, 4.0]])
        tg.norm(x, axis=1).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), [[0.0, 0.0], [0.6, 0.8]], rtol=1e-6)

    @pytest.mark.parametrize("ord", [0.5, 1.5, 3])
    def test_count_single_zeros_as_flat(self, ord: float) -> None:
        x = leaf([0.0, 4.0])
        tg.vector_norm(x, ord=ord).backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), [0.0, 1.0], rtol=1e-6)

    def test_share_the_gradient_of_the_largest_evenly(self) -> None:
        gradient = tg.grad(lambda x: tg.vector_norm(x, ord=math.inf))(tg.tensor([2.0, -2.0, 1.0]))
        assert gradient.tolist() == [0.5, -0.5, 0.0]


class TestSymmetricInputs:
    """Only the lower triangle is read; the gradient is that of a symmetric matrix."""

    @pytest.mark.parametrize("function", [tg.cholesky, tg.eigvalsh, lambda x: tg.eigh(x)[1] ** 2])
    def test_have_symmetric_gradients(self, function: Callable[[tg.Tensor], tg.Tensor]) -> None:
        gradient = gradient_of(function, positive_definite(4, 4))
        np.testing.assert_allclose(gradient, gradient.T, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("function", [tg.cholesky, tg.eigvalsh])
    def test_are_read_below_the_diagonal(self, function: Callable[[tg.Tensor], tg.Tensor]) -> None:
        x = positive_definite(3, 3)
        same(function(tg.tensor(np.tril(x))), function(tg.tensor(x)).numpy())


# --- as a whole ----------------------------------------------------------------------------------


class TestIdentities:
    """Identities between the functions for any matrix, with all gradients."""

    @given(seed=st.integers(0, 2**32), size=st.integers(1, 5))
    def test_the_determinant_is_the_product_of_the_eigenvalues(self, seed: int, size: int) -> None:
        x = numbers(size, size, seed=seed)
        x = x @ x.T + np.eye(size)
        ways: list[Callable[[tg.Tensor], tg.Tensor]] = [
            tg.det,
            lambda x: tg.prod(tg.eigvalsh(x)),
            lambda x: tg.exp(tg.slogdet(x).logabsdet),
            lambda x: tg.prod(tg.svdvals(x)),
            lambda x: tg.square(tg.prod(tg.diagonal(tg.cholesky(x)))),
            lambda x: tg.abs(tg.prod(tg.diagonal(tg.qr(x).R))),
        ]
        gradients = [gradient_of(way, x) for way in ways]
        for gradient in gradients[1:]:
            scale = np.abs(gradients[0]).max()
            np.testing.assert_allclose(gradient / scale, gradients[0] / scale, atol=1e-9)

    @given(seed=st.integers(0, 2**32), size=st.integers(1, 5))
    def test_the_inverse_is_what_solves_for_the_identity(self, seed: int, size: int) -> None:
        x = numbers(size, size, seed=seed) + 4 * np.eye(size)
        ways: list[Callable[[tg.Tensor], tg.Tensor]] = [
            tg.inv,
            lambda x: tg.solve(x, tg.eye(size, dtype=tg.float64)),
            lambda x: tg.matrix_power(x, -1),
            tg.pinv,
        ]
        gradients = [gradient_of(way, x) for way in ways]
        for gradient in gradients[1:]:
            np.testing.assert_allclose(gradient, gradients[0], rtol=1e-8, atol=1e-9)

    def test_least_squares_by_pinv_is_that_of_the_normal_equations(self) -> None:
        a, b = numbers(5, 2), numbers(5)
        b = tg.tensor(b)
        found = gradient_of(lambda a: tg.pinv(a) @ b, a)
        expected = gradient_of(lambda a: tg.solve(a.T @ a, a.T @ b), a)
        np.testing.assert_allclose(found, expected, rtol=1e-9)


class TestArrayAPI:
    @pytest.mark.parametrize(
        ("name", "attributes"),
        [
            ("slogdet", {}),
            ("qr", {"mode": "reduced"}),
            ("svd", {"full_matrices": False, "asked_by": None}),
            ("eigh", {"asked_by": None}),
        ],
    )
    @pytest.mark.parametrize("shape", [(3, 3), (2, 3, 3)])
    def test_ops_of_several_outputs_need_nothing_but_the_standard(
        self, name: str, attributes: dict[str, Any], shape: tuple[int, ...]
    ) -> None:
        gradients = []
        for x in (symmetric(*shape), strict.asarray(symmetric(*shape))):
            xp, op = namespace_of([x]), table[name]
            outs = op.forward(xp, x, **attributes)
            (rule,) = op.rules
            # Squares do not depend on the signs of the vectors.
            gradients.append(rule.function(xp, tuple(outs), x, *attributes.values()))
        assert type(gradients[1]) is type(strict.asarray(0.0))
        np.testing.assert_allclose(np.asarray(gradients[1]), gradients[0], rtol=1e-9, atol=1e-9)


# --- mistakes ------------------------------------------------------------------------------------

W = tg.tensor(np.arange(6.0).reshape(2, 3), name="weights")
SINGULAR = tg.tensor([[1.0, 2.0], [2.0, 4.0]], name="singular")
STACK = tg.tensor(np.stack([np.eye(2), np.ones((2, 2))]), name="stack")
HALVES = tg.tensor(np.eye(2, dtype=np.float16), name="halves", device="cpu")
NAN = tg.tensor([[math.nan, 1.0], [1.0, 1.0]], name="broken")
V = tg.tensor([1.0, 2.0], name="vector")

MISTAKES: list[tuple[Callable[[], Any], type[Exception], list[str]]] = [
    (lambda: tg.inv(W), ShapeError, ["inv", "square", "(2, 3)", "weights"]),
    (lambda: tg.det(V), ShapeError, ["det", "square", "(2,)", "vector"]),
    (lambda: tg.slogdet(W), ShapeError, ["slogdet", "square"]),
    (lambda: tg.cholesky(W), ShapeError, ["cholesky", "square"]),
    (lambda: tg.eigh(W), ShapeError, ["eigh", "square"]),
    (lambda: tg.matrix_power(W, 2), ShapeError, ["matrix_power", "square", "weights"]),
    (lambda: tg.svd(V), ShapeError, ["svd", "matrix", "(2,)", "vector"]),
    (lambda: tg.qr(V), ShapeError, ["qr", "matrix", "(2,)", "vector"]),
    (lambda: tg.pinv(V), ShapeError, ["pinv", "matrix", "vector"]),
    (lambda: tg.matrix_rank(V), ShapeError, ["matrix_rank", "matrix", "vector"]),
    (lambda: tg.matrix_norm(V), ShapeError, ["matrix_norm", "matrix", "vector"]),
    (lambda: tg.diagonal(V), ShapeError, ["diagonal", "matrix", "vector"]),
    (lambda: tg.trace(V), ShapeError, ["diagonal", "matrix", "vector"]),
    (lambda: tg.diag(STACK), ShapeError, ["diag", "tg.diagonal", "stack"]),
    (lambda: tg.inv(tg.scalar(2.0)), ShapeError, ["inv", "Python number"]),
    (lambda: tg.inv([[1.0]]), ArgumentTypeError, ["inv", "list", "tg.tensor"]),
    (lambda: tg.qr([[1.0]]), ArgumentTypeError, ["qr", "list", "tg.tensor"]),
    (lambda: tg.solve([[1.0]], V), ArgumentTypeError, ["solve", "list", "tg.tensor"]),
    (lambda: tg.outer([1.0], V), ArgumentTypeError, ["outer", "list", "tg.tensor"]),
    (lambda: tg.diag([1.0]), ArgumentTypeError, ["diag", "list", "tg.tensor"]),
    (lambda: tg.norm([1.0], ord=1), ArgumentTypeError, ["norm", "list", "tg.tensor"]),
    (lambda: tg.inv(HALVES), DTypeError, ["inv", "float16", "astype"]),
    (lambda: tg.inv(SINGULAR), errors.LinAlgError, ["inv", "x is singular", "tg.pinv", "(2, 2)"]),
    (lambda: tg.inv(STACK), errors.LinAlgError, ["x[1] is singular", "stack"]),
    (lambda: tg.solve(SINGULAR, V), errors.LinAlgError, ["solve", "a is singular", "singular"]),
    (lambda: tg.solve(STACK, V), errors.LinAlgError, ["solve", "a[1] is singular", "stack"]),
    (lambda: tg.solve(W, V), ShapeError, ["solve", "square", "weights", "vector"]),
    (lambda: tg.solve(SINGULAR, W.T), ShapeError, ["(..., 2, k)", "(3, 2)"]),
    (lambda: tg.solve(SINGULAR, tg.tensor([1.0])), ShapeError, ["(2,)", "(1,)"]),
    (lambda: tg.solve(SINGULAR, tg.scalar(1.0)), ShapeError, ["(2,)", "()"]),
    (
        lambda: tg.solve(STACK, tg.ones((3, 2, 2), dtype=tg.float64)),
        ShapeError,
        ["stacks", "(2,)", "(3,)", "broadcast"],
    ),
    (
        lambda: tg.cholesky(-STACK),
        errors.LinAlgError,
        ["cholesky", "x[1] is not positive definite", "-2"],
    ),
    (lambda: tg.eigh(NAN), errors.LinAlgError, ["eigh", "NaN", "broken"]),
    (lambda: tg.svd(NAN), errors.LinAlgError, ["svd", "NaN", "broken"]),
    (lambda: tg.pinv(NAN), errors.LinAlgError, ["pinv", "NaN", "broken"]),
    (lambda: tg.matrix_power(SINGULAR, 0.5), ArgumentTypeError, ["integer", "0.5"]),
    (lambda: tg.matrix_power(SINGULAR, -1), errors.LinAlgError, ["singular"]),
    (lambda: tg.qr(W, mode="full"), ArgumentError, ["'reduced'", "'complete'", "'full'"]),
    (lambda: tg.matrix_norm(W, ord=3), ArgumentError, ["matrix_norm", "'nuc'", "got 3"]),
    (lambda: tg.vector_norm(V, ord="fro"), ArgumentError, ["vector_norm", "number", "'fro'"]),
    (lambda: tg.vector_norm(V, axis=1), ShapeError, ["vector_norm", "no axis 1", "vector"]),
    (lambda: tg.vector_norm(V, axis=1, ord=1), ShapeError, ["vector_norm", "no axis 1", "vector"]),
    (lambda: tg.norm(W, axis=2, ord=1), ShapeError, ["norm", "no axis 2", "weights"]),
    (lambda: tg.norm(STACK, ord=1), ShapeError, ["norm", "one axis", "two", "got 3"]),
    (lambda: tg.outer(W, V), ShapeError, ["outer", "two vectors", "tg.flatten"]),
    (lambda: tg.cross(W, V), ShapeError, ["cross", "three elements", "(2,)", "vector"]),
    (lambda: tg.cross(W, W, axis=2), ShapeError, ["cross", "no axis 2", "weights"]),
    (lambda: tg.vecdot(W, V), ShapeError, ["vecdot", "3 != 2", "weights", "vector"]),
    (lambda: tg.vecdot(W, W[0], axis=0), ShapeError, ["vecdot", "from the end"]),
    (lambda: tg.vecdot(STACK, np.ones((3, 2, 2))), ShapeError, ["vecdot", "broadcast"]),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(
    call: Callable[[], Any], kind: type[Exception], says: list[str]
) -> None:
    with pytest.raises(kind) as caught:
        call()
    message = str(caught.value)
    for part in [*says, "at test_linalg.py"]:
        assert part in message
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_singular_matrix_can_be_caught_as_numpy_has_it() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        tg.inv(SINGULAR)
    with pytest.raises(ValueError, match="singular"):
        tg.inv(SINGULAR)
