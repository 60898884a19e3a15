"""Where a function has a kink, its second derivative is NaN, not a plausible number.

A rule that takes the first derivative as 0 there divides by 1 instead of by 0. What is made of that
1 must not be differentiated as if it were part of the function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg

KINKS: dict[str, Callable[[Any], Any]] = {
    "vector_norm": tg.vector_norm,
    "vector_norm squared": lambda x: tg.vector_norm(x) ** 2,
    "norm": tg.norm,
    "matrix_norm": lambda x: tg.matrix_norm(x.reshape((1, 2))),
    "vector_norm of order 3": lambda x: tg.vector_norm(x, ord=3),
    "vector_norm of order 1.5": lambda x: tg.vector_norm(x, ord=1.5),
    "vector_norm of order 0.5": lambda x: tg.vector_norm(x, ord=0.5),
    "std": tg.std,
    "std squared": lambda x: tg.std(x) ** 2,
    "hypot": lambda x: tg.hypot(x[0], x[1]),
    "hypot squared": lambda x: tg.hypot(x[0], x[1]) ** 2,
    "atan2": lambda x: tg.atan2(x[0], x[1]),
}


class TestSecondDerivatives:
    @pytest.mark.parametrize("name", KINKS)
    def test_at_a_kink_are_nan(self, name: str) -> None:
        f = KINKS[name]
        zeros = tg.zeros(2)
        assert np.isfinite(tg.grad(f)(zeros).tolist()).all()
        assert np.isnan(tg.hessian(f)(zeros).tolist()).all()
        assert np.isnan(tg.hvp(f, zeros, tg.ones(2)).tolist()).all()

    @pytest.mark.parametrize("name", KINKS)
    def test_beside_a_kink_are_right(self, name: str) -> None:
        tg.gradcheck(KINKS[name], tg.tensor([0.5, 0.7], dtype=tg.float64), order=2)

    def test_of_scalars_too(self) -> None:
        curvature = tg.grad(tg.grad(lambda x: tg.hypot(x, x)))
        assert np.isnan(curvature(0.0).item())

    def test_of_one_row_leave_those_of_others_right(self) -> None:
        x = tg.tensor([[0.0, 0.0], [3.0, 4.0]], dtype=tg.float64)
        found = np.array(tg.hessian(lambda x: tg.sum(tg.vector_norm(x, axis=1)))(x).tolist())
        alone = np.array(tg.hessian(tg.vector_norm)(x[1]).tolist())
        np.testing.assert_allclose(found[1, :, 1], alone)
        assert np.isnan(found[0, :, 0]).all()

    def test_of_the_deviation_of_one_number_are_zero(self) -> None:
        assert tg.hessian(lambda x: tg.std(x, axis=1).sum())(tg.ones((2, 1))).sum().item() == 0

    def test_exist_where_the_squares_are_summed_instead(self) -> None:
        hessian = tg.hessian(lambda x: tg.sum(x * x))(tg.zeros(2))
        assert hessian.tolist() == [[2, 0], [0, 2]]

    def test_of_powers_of_three_and_more_exist(self) -> None:
        hessian = tg.hessian(lambda x: tg.sum(tg.abs(x) ** 3))(tg.zeros(2))
        assert hessian.tolist() == [[0, 0], [0, 0]]


def mixed(f: Callable[..., Any], x: float, y: float) -> float:
    """Return the derivative of df/dx with respect to y."""
    return tg.grad(lambda y: tg.grad(f)(x, y))(y).item()


class TestMixedDerivativesOfPowers:
    def test_at_an_exponent_of_zero(self) -> None:
        # d/dy (y x^(y - 1)) = 1 / x; it was 1.
        assert mixed(lambda x, y: x**y, 4.0, 0.0) == 0.25
        assert mixed(lambda y, x: x**y, 0.0, 4.0) == 0.25
        x, y = (tg.tensor([v]) for v in (4.0, 0.0))
        assert tg.grad(lambda y: tg.grad(lambda x: (x**y).sum())(x).sum())(y).tolist() == [0.25]

    @pytest.mark.parametrize("y", [0.5, 1.0])
    def test_at_a_base_of_zero_are_not_numbers(self, y: float) -> None:
        # d/dx (x^y log x) is -inf at 0; it was 0.
        assert not np.isfinite(mixed(lambda y, x: x**y, y, 0.0))

    @pytest.mark.parametrize("y", [1.5, 2.0, 3.0])
    def test_at_a_base_of_zero_are_zero_for_larger_exponents(self, y: float) -> None:
        assert mixed(lambda y, x: x**y, y, 0.0) == 0

    def test_of_one_base_and_many_exponents_add_up(self) -> None:
        exponents = tg.tensor([-0.2, 0.5, 0.0], dtype=tg.float64)
        tg.gradcheck(tg.pow, tg.tensor(1.3, dtype=tg.float64), exponents, order=2)
        tg.gradcheck(tg.pow, tg.tensor([1.3, 0.2], dtype=tg.float64), exponents[:1], order=2)

    def test_of_constant_powers_are_those_of_polynomials(self) -> None:
        for exponent, expected in ((0, 0), (1, 0), (2, 2), (3, 0)):
            curvature = tg.grad(tg.grad(lambda x, n=exponent: x**n))
            assert curvature(0.0).item() == expected
