"""Reductions and cumulative functions: NumPy's values and dtypes, gradients also at kinks."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, AxisError, ShapeError

from .op_cases import Array, numbers

shapes = npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=3)


def gradient(function: Callable[[tg.Tensor], tg.Tensor], array: Any) -> Any:
    x = tg.tensor(array, requires_grad=True)
    function(x).sum().backward()
    assert x.grad is not None
    return x.grad.tolist()


class TestReductions:
    @given(shape=shapes, data=st.data(), keepdims=st.booleans())
    @pytest.mark.parametrize("name", ["sum", "prod", "any", "all", "count_nonzero"])
    def test_that_have_a_value_for_no_elements_are_numpys_also_there(
        self, name: str, shape: tuple[int, ...], data: st.DataObject, keepdims: bool
    ) -> None:
        axis = data.draw(
            st.none() | st.integers(-len(shape), len(shape) - 1) | npst.valid_tuple_axes(len(shape))
        )
        array = np.round(numbers(*shape, seed=5), 0)
        found = getattr(tg, name)(tg.tensor(array), axis=axis, keepdims=keepdims)
        expected = np.asarray(getattr(np, name)(array, axis=axis, keepdims=keepdims))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, strict=True)

    @pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
    @pytest.mark.parametrize(
        ("dtype", "expected"),
        [
            ("bool", "int64"),
            ("int8", "int64"),
            ("int32", "int64"),
            ("int64", "int64"),
            ("uint8", "uint64"),
            ("uint32", "uint64"),
            ("float32", "float32"),
            ("float64", "float64"),
            ("complex64", "complex64"),
        ],
    )
    @pytest.mark.numpy_only("sums of booleans are beyond the standard")
    def test_that_add_and_multiply_widen_small_integers_alone(
        self, name: str, dtype: str, expected: str
    ) -> None:
        array = np.ones(300, dtype)
        if array.dtype.kind != "c":
            assert getattr(tg, name)(tg.tensor(array), axis=0).dtype == expected
        assert getattr(tg, name)(array, axis=0).dtype == expected

    @pytest.mark.parametrize("name", ["sum", "prod", "cumulative_sum", "cumulative_prod"])
    def test_compute_in_the_dtype_that_is_asked_for(self, name: str) -> None:
        x = tg.tensor(np.array([1.5, 2.0], np.float32), requires_grad=True)
        wide = getattr(tg, name)(x, dtype=tg.float64)
        assert wide.dtype == tg.float64
        wide.sum().backward()
        assert x.grad is not None
        assert x.grad.dtype == tg.float32
        assert not getattr(tg, name)(x, dtype=tg.int64).requires_grad

    @pytest.mark.numpy_only("sums of booleans are beyond the standard")
    @pytest.mark.parametrize("wanted", ["bool", "int8", "uint16", "int32", "float32", "float64"])
    @pytest.mark.parametrize(
        ("name", "axis"),
        [(name, axis) for name in ("sum", "prod") for axis in (None, 0, -1, (0, 1), ())]
        + [(name, axis) for name in ("cumulative_sum", "cumulative_prod") for axis in (0, -1)],
    )
    def test_have_the_dtype_that_is_asked_for_however_small(
        self, name: str, wanted: str, axis: Any
    ) -> None:
        for dtype in ("bool", "int8", "uint8", "float32"):
            array = np.array([[1, 3, 2], [2, 1, 3]]).astype(dtype)
            found = getattr(tg, name)(tg.tensor(array), axis=axis, dtype=wanted)
            expected = getattr(np, name)(array.astype(wanted), axis=axis, dtype=wanted)
            np.testing.assert_array_equal(found.numpy(), expected)
            assert found.dtype == wanted

    @pytest.mark.parametrize("name", ["mean", "var", "std"])
    @pytest.mark.numpy_only("quotients of integers are beyond the standard")
    def test_of_integers_that_divide_give_float64_as_division_does(self, name: str) -> None:
        found = getattr(tg, name)(tg.tensor([1, 2, 4]))
        assert found.dtype == tg.float64
        np.testing.assert_allclose(found.item(), getattr(np, name)([1, 2, 4]))

    def test_of_a_scalar_give_the_scalar_and_pass_the_gradient_on(self) -> None:
        for reduced in (tg.sum, tg.mean, tg.prod, tg.max, tg.min):
            x = tg.scalar(3.0)
            y = reduced(x)
            y.backward()
            assert x.grad is not None
            assert (y.item(), x.grad.item()) == (3.0, 1.0)
        assert tg.var(tg.scalar(3.0)).item() == tg.std(tg.scalar(3.0)).item() == 0.0
        assert tg.count_nonzero(tg.scalar(3.0)).item() == 1
        assert type(tg.sum(tg.scalar(3.0) > 1).item()) is int
        assert tg.argmax(tg.scalar(3.0)).item() == 0

    @pytest.mark.filterwarnings("ignore:.*divide:RuntimeWarning")
    def test_of_variance_are_nan_without_degrees_of_freedom(self) -> None:
        for correction in (1, 2):
            assert np.isnan(tg.var(tg.tensor([2.0]), correction=correction).item())

    def test_of_nan_are_nan(self) -> None:
        x = tg.tensor([1.0, np.nan, 3.0])
        for name in ("sum", "prod", "mean", "std", "max", "min"):
            assert np.isnan(getattr(tg, name)(x).item())
        assert tg.count_nonzero(x).item() == 3


ALONG_AXES = [
    *("sum", "prod", "mean", "var", "std", "max", "min", "argmax", "argmin", "any", "all"),
    *("count_nonzero", "logsumexp", "softmax", "log_softmax", "vector_norm", "norm"),
    *("cumulative_sum", "cumulative_prod", "flip", "sort", "argsort", "squeeze", "unstack", "diff"),
]


class TestAxesThatAreNotThere:
    """NumPy takes axis 0 of a single number in most functions, but not in all."""

    @pytest.mark.parametrize("name", ALONG_AXES)
    @pytest.mark.parametrize("axis", [0, -1, 1])
    @pytest.mark.parametrize("make", [tg.tensor, np.float32, tg.scalar])
    def test_are_refused_of_single_numbers(self, name: str, axis: int, make: Any) -> None:
        for x in (make(1.0), *([make(1.0).requires_grad_()] if make is tg.tensor else [])):
            with pytest.raises(tg.errors.ShapeError, match=name) as caught:
                getattr(tg, name)(x, axis=axis)
            assert make is tg.scalar or f"has no axis {axis}" in str(caught.value)

    @pytest.mark.parametrize("name", ALONG_AXES)
    def test_are_refused_in_the_name_of_the_function(self, name: str) -> None:
        for axis in (2, -3):
            with pytest.raises(tg.errors.AxisError, match=rf"^{name}: .* no axis {axis}"):
                getattr(tg, name)(tg.ones((2, 3)), axis=axis)

    def test_are_refused_by_position_and_by_default_too(self) -> None:
        with pytest.raises(tg.errors.AxisError, match=r"^mean: .* no axis 2"):
            tg.mean(tg.ones((2, 3)), 2)
        with pytest.raises(tg.errors.AxisError, match=r"^softmax: .* no axis -1"):
            tg.softmax(tg.tensor(1.0))

    @pytest.mark.parametrize("name", ["sum", "prod", "mean", "max", "any", "logsumexp"])
    def test_are_not_those_of_an_empty_tuple(self, name: str) -> None:
        assert getattr(tg, name)(tg.tensor(1.0), axis=()).item() == 1.0


class TestProducts:
    @given(
        array=npst.arrays(
            np.float64,
            npst.array_shapes(min_dims=2, max_dims=3, max_side=3),
            elements=st.integers(0, 2).map(float),
        ),
        data=st.data(),
    )
    def test_along_several_axes_have_the_right_gradient_with_zeros(
        self, array: Array, data: st.DataObject
    ) -> None:
        axes = data.draw(npst.valid_tuple_axes(array.ndim, min_size=1))
        expected = np.empty_like(array)
        for place in np.ndindex(array.shape):
            # A product is linear in each factor.
            one, none = array.copy(), array.copy()
            one[place], none[place] = 1.0, 0.0
            expected[place] = (one.prod(axis=axes) - none.prod(axis=axes)).sum()
        assert gradient(lambda x: tg.prod(x, axis=axes), array) == expected.tolist()

    def test_of_integers_have_no_gradient(self) -> None:
        assert not tg.prod(tg.tensor([2, 3])).requires_grad
        assert tg.prod(tg.tensor([2, 3])).item() == 6


class TestCumulative:
    @given(shape=shapes, data=st.data(), include_initial=st.booleans())
    @pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
    def test_functions_are_those_of_numpy(
        self, name: str, shape: tuple[int, ...], data: st.DataObject, include_initial: bool
    ) -> None:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        array = numbers(*shape, seed=3)
        found = getattr(tg, name)(tg.tensor(array), axis=axis, include_initial=include_initial)
        expected = getattr(np, name)(array, axis=axis, include_initial=include_initial)
        np.testing.assert_array_equal(found.numpy(), expected, strict=True)

    @given(
        array=npst.arrays(np.float64, st.integers(0, 9), elements=st.integers(0, 2).map(float)),
        include_initial=st.booleans(),
    )
    def test_products_have_the_right_gradient_with_zeros(
        self, array: Array, include_initial: bool
    ) -> None:
        expected = []
        for place in range(array.size):
            one, none = array.copy(), array.copy()
            one[place], none[place] = 1.0, 0.0
            expected.append((np.cumprod(one) - np.cumprod(none)).sum())
        found = gradient(lambda x: tg.cumulative_prod(x, include_initial=include_initial), array)
        assert found == expected

    @given(shape=shapes, data=st.data())
    def test_sums_undo_differences(self, shape: tuple[int, ...], data: st.DataObject) -> None:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        x = tg.tensor(numbers(*shape, seed=4))
        sums = tg.cumulative_sum(x, axis=axis, include_initial=True)
        np.testing.assert_allclose(tg.diff(sums, axis=axis).numpy(), x.numpy(), atol=1e-12)

    @given(
        shape=npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4),
        data=st.data(),
        n=st.integers(0, 3),
    )
    def test_differences_are_those_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject, n: int
    ) -> None:
        axis = data.draw(st.integers(-len(shape), len(shape) - 1))
        array = numbers(*shape, seed=4)
        found = tg.diff(tg.tensor(array), axis=axis, n=n)
        np.testing.assert_array_equal(found.numpy(), np.diff(array, n=n, axis=axis), strict=True)

    def test_differences_of_booleans_say_where_they_differ(self) -> None:
        assert tg.diff(tg.tensor([True, True, False])).tolist() == [False, True]

    def test_differences_of_unsigned_integers_wrap_as_numpys_do(self) -> None:
        array = np.array([3, 1], np.uint8)
        assert tg.diff(tg.tensor(array)).tolist() == np.diff(array).tolist()


class TestKinks:
    def test_the_standard_deviation_is_flat_where_all_elements_are_equal(self) -> None:
        assert gradient(tg.std, [2.0, 2.0]) == [0.0, 0.0]
        assert gradient(lambda x: tg.std(x, correction=1), [2.0, 2.0, 2.0]) == [0.0] * 3

    @pytest.mark.parametrize("largest", [tg.max, tg.min])
    def test_ties_of_all_elements_share_evenly_also_along_several_axes(
        self, largest: Callable[..., tg.Tensor]
    ) -> None:
        x = np.ones((2, 1, 2))
        assert gradient(lambda x: largest(x, axis=(0, 2)), x) == [[[0.25] * 2]] * 2
        assert gradient(largest, x) == [[[0.25] * 2]] * 2

    @pytest.mark.parametrize("position", [tg.argmax, tg.argmin])
    def test_the_first_of_equal_elements_is_found(self, position: Callable[..., tg.Tensor]) -> None:
        assert position(tg.tensor([2.0, 2.0])).item() == 0


X = tg.tensor(np.ones((2, 3)), name="x")
MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: tg.sum(X, axis=(0, -2)), ShapeError, "sum: expected each axis once.*(0, -2)"),
    (lambda: tg.sum(X, axis=[0]), ArgumentTypeError, "sum: expected an axis as an integer.*[0]"),
    (lambda: tg.prod(X, axis=1.5), ArgumentTypeError, "prod: expected an axis.*1.5"),
    (lambda: tg.argmax(X, axis=(0, 1)), ArgumentTypeError, "argmax: expected one axis.*(0, 1)"),
    (lambda: tg.argmin(X[:0], axis=0), ShapeError, "argmin: expected at least one element"),
    (lambda: tg.cumulative_sum(X), ShapeError, "cumulative_sum: expected an axis.*axis=0"),
    (lambda: tg.cumulative_sum(X, axis=2), ShapeError, "cumulative_sum.*no axis 2"),
    (lambda: tg.cumulative_prod(tg.scalar(1.0)), ShapeError, "cumulative_prod.*tg.tensor"),
    (lambda: tg.diff(X, axis=2), ShapeError, "diff.*no axis 2"),
    (lambda: tg.diff(X, n=-1), ArgumentError, "diff: .*n=-1"),
    (lambda: tg.diff([1.0]), ArgumentTypeError, "diff: .*list.*tg.tensor"),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    parts = [re.escape(part) for part in says.split(".*")]
    with pytest.raises(kind, match="(?s)" + ".*".join(parts) + r".*test_reduce\.py"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: tg.sum(X, axis=2),
        lambda: tg.prod(X, axis=2),
        lambda: tg.expand_dims(X, axis=4),
        lambda: tg.sort(X, axis=-3),
        lambda: tg.concat([X, X], axis=5),
    ],
)
def test_a_missing_axis_is_wrong_as_a_value_and_as_an_index(
    call: Callable[[], Any],
) -> None:
    with pytest.raises(AxisError) as caught:
        call()
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, IndexError)


class TestTheVarianceOfComplexNumbers:
    @pytest.mark.parametrize("name", ["var", "std"])
    @pytest.mark.parametrize("dtype", ["complex64", "complex128"])
    @pytest.mark.parametrize("axis", [None, 0, (0, 1)])
    def test_is_the_mean_square_of_distances_from_the_mean_and_real(
        self, name: str, dtype: str, axis: Any
    ) -> None:
        draws = np.random.default_rng(0)
        z = (draws.normal(size=(3, 4)) + 1j * draws.normal(size=(3, 4))).astype(dtype)
        found = getattr(tg, name)(tg.tensor(z), axis=axis, correction=1)
        expected = getattr(np, name)(z, axis=axis, ddof=1)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)

    @pytest.mark.parametrize("name", ["var", "std"])
    def test_has_the_gradients_of_both_parts(self, name: str) -> None:
        parts = np.random.default_rng(1).normal(size=(2, 3, 4))

        def spread(x: Any, y: Any) -> Any:
            return getattr(tg, name)(tg.complex(x, y), axis=1)

        assert tg.gradcheck(spread, *map(tg.tensor, parts))

    def test_makes_layers_of_them_have_variance_1(self) -> None:
        draws = np.random.default_rng(2)
        z = draws.normal(size=(2, 50)) + 1j * draws.normal(size=(2, 50))
        out = tg.nn.functional.layer_norm(tg.tensor(z), 50, eps=0.0)
        np.testing.assert_allclose(tg.var(out, axis=1).numpy(), 1.0)
