"""Functions beyond the standard, at the points where they are easily wrong.

That they have the values of NumPy and SciPy, and gradients to the second order, at random points is
tested by their recipes (``test_properties.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import special

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, DTypeError, IndexingError, ShapeError

NAN, INF = math.nan, math.inf


def gradients(function: Callable[..., Any], *values: Any) -> list[Any]:
    """Return the gradients of the sum of a function's results."""
    inputs = [tg.tensor(np.asarray(value, np.float64), requires_grad=True) for value in values]
    function(*inputs).sum().backward()
    return [None if x.grad is None else x.grad.tolist() for x in inputs]


def second(function: Callable[..., Any], at: float) -> float:
    return float(tg.grad(tg.grad(function))(at).item())


class TestSpecialFunctions:
    @pytest.mark.parametrize("x", [0.0, 1e-12, 1e-5, 1e-3, 0.1, 0.2999, 0.3001, 0.9])
    def test_sinc_has_two_right_derivatives_close_to_0(self, x: float) -> None:
        u = math.pi * x
        slope = -u / 3 + u**3 / 30 - u**5 / 840 + u**7 / 45360 - u**9 / 3991680
        curve = -1 / 3 + u**2 / 10 - u**4 / 168 + u**6 / 6480 - u**8 / 443520
        tolerance = 1e-12 if x < 0.2 else 0.1 * x**10
        assert tg.grad(tg.sinc)(x).item() == pytest.approx(math.pi * slope, rel=1e-9, abs=tolerance)
        assert second(tg.sinc, x) == pytest.approx(math.pi**2 * curve, abs=1e-9 + 60 * x**10)

    @pytest.mark.parametrize("x", [0.0, 1e-9, 1e-3, 0.999, 1.001, -2.0])
    def test_bessel_functions_have_two_right_derivatives_close_to_0(self, x: float) -> None:
        assert tg.grad(tg.i0)(x).item() == pytest.approx(special.i1(x), rel=1e-13)
        assert second(tg.i0, x) == pytest.approx(special.ivp(0, x, 2), rel=1e-12)
        assert tg.grad(tg.i1)(x).item() == pytest.approx(special.ivp(1, x), rel=1e-12)
        assert second(tg.i1, x) == pytest.approx(special.ivp(1, x, 2), rel=1e-11, abs=1e-300)

    def test_digamma_has_derivatives_of_any_order(self) -> None:
        found = tg.digamma
        for n in (1, 2, 3):
            found = tg.grad(found)
            for x in (0.7, 3.2, -1.3):
                assert found(x).item() == pytest.approx(special.polygamma(n, x).item(), rel=1e-12)

    def test_known_numbers(self) -> None:
        assert tg.lgamma(0.5).item() == pytest.approx(math.log(math.pi) / 2)
        assert tg.erfinv(tg.erf(tg.tensor(0.25))).item() == pytest.approx(0.25)
        assert tg.i0(1.0).item() == pytest.approx(1.2660658777520082)
        assert tg.lgamma(tg.tensor([0.0, -1.0, INF])).tolist() == [INF] * 3
        ends = tg.erfinv(tg.tensor([1.0, -1.0, 2.0])).tolist()
        assert ends[:2] == [INF, -INF]
        assert math.isnan(ends[2])

    @pytest.mark.parametrize("name", ["erfinv", "lgamma", "digamma", "i0", "i1", "sinc", "rsqrt"])
    @pytest.mark.parametrize("dtype", ["float16", "float32"])
    @pytest.mark.numpy_only("float16 is beyond the standard")
    def test_keep_the_dtype(self, name: str, dtype: str) -> None:
        x = tg.tensor([0.25, 0.5], dtype=np.dtype(dtype), requires_grad=True)
        out = getattr(tg, name)(x)
        out.sum().backward()
        assert x.grad is not None
        assert out.dtype == x.grad.dtype == np.dtype(dtype)

    def test_xlogy_is_0_at_0_and_so_are_its_derivatives(self) -> None:
        assert tg.xlogy(0.0, 0.0).item() == 0.0
        assert math.isnan(tg.xlogy(0.0, NAN).item())
        assert gradients(tg.xlogy, [0.0, 0.0, 2.0], [0.0, 4.0, 1.0]) == [
            [0.0, math.log(4.0), 0.0],
            [0.0, 0.0, 2.0],
        ]

    def test_xlogy_of_a_number_and_an_array_keeps_float32(self) -> None:
        x = tg.tensor([1.0, 2.0])
        assert {tg.xlogy(x, 2.0).dtype, tg.xlogy(2.0, x).dtype} == {np.dtype("float32")}


class TestElementwise:
    def test_fmod_has_the_sign_of_the_dividend(self) -> None:
        x, y = np.array([5.0, -5.0, 5.0, -5.0, -0.0, 5.0]), np.array([3.0, 3.0, -3.0, -3, 1, INF])
        np.testing.assert_array_equal(tg.fmod(tg.tensor(x), tg.tensor(y)).numpy(), np.fmod(x, y))
        assert tg.signbit(tg.fmod(-0.0, 1.0))
        assert tg.fmod(tg.tensor([7, -7]), tg.tensor([4, 4])).tolist() == [3, -3]
        assert gradients(tg.fmod, [7.0, -7.0], [2.0, 2.0]) == [[1.0, 1.0], [-3.0, 3.0]]

    def test_fmax_and_fmin_leave_nan_out_and_give_it_no_gradient(self) -> None:
        x, y = [1.0, NAN, 2.0, NAN], [3.0, 4.0, NAN, NAN]
        assert tg.fmax(tg.tensor(x), tg.tensor(y)).tolist()[:3] == [3.0, 4.0, 2.0]
        assert tg.fmin(tg.tensor(x), tg.tensor(y)).tolist()[:3] == [1.0, 4.0, 2.0]
        assert gradients(tg.fmax, x[:3], y[:3]) == [[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]

    def test_heaviside_gives_y_its_gradient_where_x_is_0(self) -> None:
        assert tg.heaviside(tg.tensor([-1.0, 0.0, 2.0]), 0.25).tolist() == [0.0, 0.25, 1.0]
        assert gradients(tg.heaviside, [-1.0, 0.0, 2.0], 0.25) == [[0.0] * 3, 1.0]

    def test_masked_fill_wants_booleans(self) -> None:
        with pytest.raises(DTypeError, match=r"a mask of booleans, got int64: mask != 0"):
            tg.masked_fill(tg.ones(2), tg.tensor([1, 0]), 0.0)

    @pytest.mark.parametrize("bound", ["min", "max"])
    def test_clip_keeps_float32_beside_bounds_of_float64(self, bound: str) -> None:
        x = tg.tensor([0.5, 0.1], dtype=tg.float32, requires_grad=True)
        limit = tg.tensor([0.1, 0.5] if bound == "max" else [0.7, 0.0], dtype=tg.float64)
        limit.requires_grad_()
        out = tg.clip(x, **{bound: limit})
        assert out.dtype == np.float32
        out.sum().backward()
        assert x.grad is not None
        assert limit.grad is not None
        assert (x.grad.tolist(), limit.grad.tolist()) == ([0.0, 1.0], [1.0, 0.0])
        assert limit.grad.dtype == np.float64

    @pytest.mark.parametrize("make", [tg.tensor, lambda x: tg.scalar(x, requires_grad=False)])
    def test_floor_divide_is_that_of_the_standard_at_infinities(self, make: Any) -> None:
        cases = [(INF, 2.0, INF), (INF, -2.0, -INF), (-INF, 2.0, -INF), (-INF, -2.0, INF)]
        cases += [(1.0, INF, 0.0), (1.0, -INF, -1.0), (-1.0, INF, -1.0), (-1.0, -INF, 0.0)]
        cases += [(0.0, -1.0, -0.0), (-0.0, 1.0, -0.0), (1.0, 0.0, INF), (1.0, -0.0, -INF)]
        for x, y, expected in cases:
            with np.errstate(all="ignore"):
                found = tg.floor_divide(make(x), make(y)).item()
            assert (found, math.copysign(1, found)) == (expected, math.copysign(1, expected))
        for x in (INF, -INF):
            with np.errstate(all="ignore"):
                assert math.isnan(tg.floor_divide(make(x), make(INF)).item())


class TestTolerance:
    def test_isclose_is_that_of_numpy(self) -> None:
        values = [0.0, 1.0, 1.0 + 1e-6, 1.1, -1.0, 1e-9, INF, -INF, NAN]
        x, y = (np.ravel(one) for one in np.meshgrid(values, values))
        for equal_nan in (False, True):
            found = tg.isclose(tg.tensor(x), tg.tensor(y), equal_nan=equal_nan).numpy()
            np.testing.assert_array_equal(found, np.isclose(x, y, equal_nan=equal_nan))

    @pytest.mark.numpy_only("integers beside floats are beyond the standard")
    def test_isclose_of_unsigned_integers_does_not_wrap_around(self) -> None:
        x, y = tg.tensor([1, 2], dtype=tg.uint8), tg.tensor([2, 1], dtype=tg.uint8)
        assert tg.isclose(x, y).tolist() == [False, False]
        assert tg.isclose(x, y, atol=1.0).tolist() == [True, True]

    def test_allclose_is_a_boolean(self) -> None:
        x = tg.tensor([1.0, 2.0])
        assert tg.allclose(x, x + 1e-7) is True
        assert tg.allclose(x, x + 1) is False


class TestStatistics:
    def test_median_of_nan_is_nan_and_nanmedian_leaves_it_out(self) -> None:
        x = np.array([[3.0, NAN, 1.0, 2.0], [4.0, 3.0, 2.0, 9.0]])
        for axis in (None, 0, 1, (0, 1)):
            for name in ("median", "nanmedian", "nansum", "nanmean"):
                found = getattr(tg, name)(tg.tensor(x), axis=axis).numpy()
                np.testing.assert_allclose(found, getattr(np, name)(x, axis=axis))
        assert math.isnan(tg.nanmean(tg.tensor([NAN, NAN])).item())
        assert math.isnan(tg.nanmedian(tg.tensor([NAN, NAN])).item())

    def test_nan_gets_no_gradient(self) -> None:
        x = [3.0, NAN, 1.0, 2.0, 5.0]
        assert gradients(tg.nansum, x) == [[1.0, 0.0, 1.0, 1.0, 1.0]]
        assert gradients(tg.nanmean, x) == [[0.25, 0.0, 0.25, 0.25, 0.25]]
        assert gradients(tg.nanmedian, x) == [[0.5, 0.0, 0.0, 0.5, 0.0]]
        assert gradients(tg.median, [3.0, 1.0, 2.0]) == [[0.0, 0.0, 1.0]]

    def test_the_largest_numbers_do_not_overflow(self) -> None:
        assert tg.nanmedian(tg.tensor([3e38, 3e38, NAN])).item() == pytest.approx(3e38)

    @pytest.mark.parametrize("density", [False, True])
    @pytest.mark.parametrize("bins", [1, 5, [0.0, 0.5, 2.0, 2.0, 3.0]])
    def test_histogram_is_that_of_numpy(self, bins: Any, density: bool) -> None:
        x = np.random.default_rng(0).uniform(-1, 3, (4, 25)).round(1)
        for range in (None, (0.0, 2.5)):
            with np.errstate(all="ignore"):  # a bin without a width has no density
                found = tg.histogram(tg.tensor(x), bins, range=range, density=density)
                counts, edges = np.histogram(x, bins, range=range, density=density)
            np.testing.assert_allclose(found.edges.numpy(), edges, rtol=1e-15, atol=1e-15)
            np.testing.assert_allclose(found.counts.numpy(), counts)
            assert found.counts.dtype == counts.dtype

    def test_histogram_of_equal_elements_or_of_none(self) -> None:
        assert tg.histogram(tg.tensor([2.0, 2.0]), 2).edges.tolist() == [1.5, 2.0, 2.5]
        assert tg.histogram(tg.tensor(np.zeros(0)), 2).counts.tolist() == [0, 0]
        with pytest.raises(ArgumentError, match="1 bin or more"):
            tg.histogram(tg.ones(3), 0)
        with pytest.raises(ShapeError, match=r"weights of the shape of x, \(3,\), got \(2,\)"):
            tg.histogram(tg.ones(3), 2, weights=tg.ones(2))


class TestOrder:
    def test_topk_is_sorted_and_counts_nan_as_the_largest(self) -> None:
        x = tg.tensor([[2.0, NAN, 5.0, 1.0]])
        values, indices = tg.topk(x, 2)
        assert math.isnan(values[0, 0].item())
        assert (values[0, 1].item(), indices.tolist()) == (5.0, [[1, 2]])
        assert tg.topk(x, 2, largest=False).values.tolist() == [[1.0, 2.0]]
        assert tg.topk(x, 0).values.shape == (1, 0)
        with pytest.raises(ArgumentError, match="a k from 0 to 4, the size of axis -1, got 5"):
            tg.topk(x, 5)

    def test_cumulative_maxima_pass_nan_on_and_share_ties(self) -> None:
        x = [2.0, 1.0, 3.0, NAN, 9.0]
        np.testing.assert_array_equal(
            tg.cumulative_max(tg.tensor(x)).numpy(), np.float32([2, 2, 3, NAN, NAN])
        )
        (shares,) = gradients(tg.cumulative_max, [1.0, 1.0, 0.0, 1.0])
        assert (sum(shares), shares[2]) == (4.0, 0.0)
        with pytest.raises(ShapeError, match="expected an axis"):
            tg.cumulative_max(tg.ones((2, 2)))

    def test_logcumsumexp_neither_overflows_nor_loses_small_terms(self) -> None:
        x = [-INF, -1000.0, -1000.0, 1000.0]
        expected = [-INF, -1000.0, -1000.0 + math.log(2), 1000.0]
        assert tg.logcumsumexp(tg.tensor(np.array(x))).tolist() == pytest.approx(expected)


class TestPositions:
    X = tg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])

    def test_gather_and_scatter_take_indices_that_are_shorter(self) -> None:
        i = tg.tensor([[2, 0]])
        assert tg.gather(self.X, 1, i).tolist() == [[3.0, 1.0]]
        assert tg.scatter(self.X, 1, i, 0.0).tolist() == [[0.0, 2.0, 0.0], [4.0, 5.0, 6.0]]
        assert tg.scatter_add(self.X, 0, i * 0, self.X).tolist() == [[2.0, 4.0, 3.0], [4, 5, 6]]

    def test_repeated_positions_add_up_or_leave_the_last(self) -> None:
        i, values = tg.tensor([0, 0, 1]), [1.0, 2.0, 4.0]
        assert gradients(lambda x: tg.gather(x, 0, i), [5.0, 6.0]) == [[2.0, 1.0]]
        assert gradients(lambda x, v: tg.scatter(x, 0, i, v), [5.0, 6.0], values) == [
            [0.0, 0.0],
            [0.0, 1.0, 1.0],
        ]
        found = tg.scatter_add(tg.zeros(2), 0, i, tg.tensor(values))
        assert found.tolist() == [3.0, 4.0]

    def test_mistakes_are_explained(self) -> None:
        with pytest.raises(ShapeError, match=r"2 axes, none but axis 1 larger .* shape \(3, 1\)"):
            tg.gather(self.X, 1, tg.tensor([[0], [0], [0]]))
        with pytest.raises(ShapeError, match=r"got shape \(1,\) for x of shape \(2, 3\)"):
            tg.gather(self.X, 0, tg.tensor([0]))
        with pytest.raises(IndexingError, match="integers as indices, got float"):
            tg.scatter(self.X, 0, tg.tensor([[0.0]]), 1.0)
        with pytest.raises(ShapeError, match=r"the shape of the indices, \(1, 2\), got \(1, 1\)"):
            tg.scatter(self.X, 1, tg.tensor([[0, 1]]), tg.ones((1, 1)))


@pytest.mark.parametrize("function", [tg.softmax, tg.log_softmax])
@pytest.mark.parametrize(("shape", "axis"), [((2, 0), 1), ((2, 0), 0), ((0, 3), 1), ((0,), 0)])
def test_softmax_of_no_elements_is_empty(function: Any, shape: tuple[int, ...], axis: int) -> None:
    x = tg.zeros(shape, requires_grad=True)
    out = function(x, axis=axis)
    out.sum().backward()
    assert x.grad is not None
    assert out.shape == x.grad.shape == shape
