"""Sorting, searching and sets: NumPy's values, and gradients to where each value came from."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.errors import (
    ArgumentTypeError,
    ShapeError,
)

from .op_cases import Array, numbers

shapes = npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
with_ties = npst.arrays(np.float64, shapes, elements=st.integers(0, 3).map(float))


def axis_of(data: st.DataObject, array: Array) -> int:
    return data.draw(st.integers(-array.ndim, array.ndim - 1))


class TestSorting:
    @given(array=with_ties, data=st.data(), stable=st.booleans())
    def test_is_that_of_numpy(self, array: Array, data: st.DataObject, stable: bool) -> None:
        axis = axis_of(data, array)
        found = tg.sort(tg.tensor(array), axis=axis, stable=stable)
        np.testing.assert_array_equal(found.numpy(), np.sort(array, axis=axis), strict=True)
        order = tg.argsort(tg.tensor(array), axis=axis)
        expected = np.argsort(array, axis=axis, stable=True)
        np.testing.assert_array_equal(order.numpy(), expected, strict=True)

    @given(array=with_ties, data=st.data(), descending=st.booleans())
    def test_takes_elements_in_the_order_of_argsort(
        self, array: Array, data: st.DataObject, descending: bool
    ) -> None:
        axis, x = axis_of(data, array), tg.tensor(array)
        order = tg.argsort(x, axis=axis, descending=descending)
        found = tg.sort(x, axis=axis, descending=descending)
        taken = tg.take_along_axis(x, order, axis=axis)
        np.testing.assert_array_equal(found.numpy(), taken.numpy())
        steps = np.diff(found.numpy(), axis=axis)
        assert ((steps <= 0) if descending else (steps >= 0)).all()

    @pytest.mark.parametrize("descending", [False, True])
    def test_leaves_equal_elements_in_their_order(self, descending: bool) -> None:
        x = tg.tensor([1.0, 0.0, 1.0, 0.0])
        expected = [0, 2, 1, 3] if descending else [1, 3, 0, 2]
        assert tg.argsort(x, descending=descending).tolist() == expected
        zeros = tg.sort(tg.tensor([-0.0, 0.0, -0.0]), descending=descending)
        assert np.signbit(zeros.numpy()).tolist() == [True, False, True]

    @pytest.mark.parametrize("descending", [False, True])
    @given(array=with_ties, data=st.data())
    def test_gives_each_element_the_gradient_of_the_place_it_went_to(
        self, descending: bool, array: Array, data: st.DataObject
    ) -> None:
        axis = axis_of(data, array)
        weights = numbers(*array.shape, seed=1)
        x = tg.tensor(array, requires_grad=True)
        (tg.sort(x, axis=axis, descending=descending) * tg.tensor(weights)).sum().backward()
        order = tg.argsort(x, axis=axis, descending=descending).numpy()
        expected = np.empty_like(weights)
        np.put_along_axis(expected, order, weights, axis=axis)
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), expected)

    def test_counts_nan_as_larger_than_all_numbers(self) -> None:
        x = tg.tensor([np.nan, 1.0, np.inf])
        assert tg.argsort(x).tolist() == [1, 2, 0]
        assert tg.argsort(x, descending=True).tolist() == [0, 2, 1]

    @pytest.mark.numpy_only("booleans have no order in the standard")
    def test_of_integers_and_booleans_has_no_gradient(self) -> None:
        assert tg.sort(tg.tensor([3, 1])).tolist() == [1, 3]
        assert tg.sort(tg.tensor([True, False])).tolist() == [False, True]
        assert not tg.argsort(tg.tensor([1.0, 2.0], requires_grad=True)).requires_grad


class TestSearching:
    @pytest.mark.parametrize("side", ["left", "right"])
    @given(
        vector=npst.arrays(np.float64, st.integers(0, 5), elements=st.integers(0, 4).map(float)),
        wanted=with_ties,
    )
    def test_for_places_is_that_of_numpy(self, side: Any, vector: Array, wanted: Array) -> None:
        order = np.argsort(vector)
        expected = np.searchsorted(vector, wanted, side=side, sorter=order)
        x1, x2 = tg.tensor(vector), tg.tensor(wanted)
        found = tg.searchsorted(x1, x2, side=side, sorter=tg.argsort(x1))
        np.testing.assert_array_equal(found.numpy(), expected)
        found = tg.searchsorted(tg.sort(x1), x2, side=side)
        np.testing.assert_array_equal(found.numpy(), expected)

    @given(array=with_ties)
    def test_for_what_is_not_zero_is_that_of_numpy(self, array: Array) -> None:
        found = tg.nonzero(tg.tensor(array))
        for one, other in zip(found, np.nonzero(array), strict=True):
            np.testing.assert_array_equal(one.numpy(), other)
        x = tg.tensor(array)
        np.testing.assert_array_equal(x[found].numpy(), array[np.nonzero(array)])

    @given(array=with_ties, wanted=st.lists(st.integers(0, 3), max_size=3))
    @pytest.mark.numpy_only("the standard has isin of integers alone")
    def test_for_members_is_that_of_numpy(self, array: Array, wanted: list[int]) -> None:
        among = np.array(wanted, float)
        for invert in (False, True):
            found = tg.isin(tg.tensor(array), tg.tensor(among), invert=invert)
            np.testing.assert_array_equal(found.numpy(), np.isin(array, among, invert=invert))


class TestSets:
    @given(array=with_ties)
    def test_are_the_distinct_elements_and_where_they_are(self, array: Array) -> None:
        x = tg.tensor(array)
        values, indices, inverse, counts = tg.unique_all(x)
        np.testing.assert_array_equal(values.numpy(), np.unique(array))
        np.testing.assert_array_equal(array.ravel()[indices.numpy()], values.numpy())
        assert inverse.shape == array.shape
        np.testing.assert_array_equal(tg.take(values, inverse).numpy(), array)
        assert counts.tolist() == [int((array == value).sum()) for value in values.tolist()]

    @given(array=with_ties)
    def test_are_the_same_whatever_else_is_asked_for(self, array: Array) -> None:
        x = tg.tensor(array)
        found = tg.unique_all(x)
        assert tg.unique_values(x).tolist() == tg.unique(x).tolist() == found.values.tolist()
        assert tg.unique_counts(x).counts.tolist() == found.counts.tolist()
        assert tg.unique_inverse(x).inverse_indices.tolist() == found.inverse_indices.tolist()
        assert tg.unique_counts(x).values.tolist() == tg.unique_inverse(x).values.tolist()

    def test_give_the_gradient_of_a_value_to_the_first_element_that_has_it(self) -> None:
        x = tg.tensor([2.0, 1.0, 2.0], requires_grad=True)
        (tg.unique_values(x) * tg.tensor([10.0, 20.0])).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [20.0, 10.0, 0.0]

    def test_hold_every_nan(self) -> None:
        assert tg.unique_counts(tg.tensor([np.nan, np.nan, 1.0])).counts.tolist() == [1, 1, 1]


class TestUnderARecording:
    def test_integer_results_are_nodes_of_the_graph(self) -> None:
        x = tg.tensor([2.0, 1.0])
        with tg.record():
            order = tg.argsort(x)
            places = tg.nonzero(x)[0]
            counts = tg.unique_counts(x).counts
        for result, name in ((order, "argsort"), (places, "nonzero"), (counts, "unique_all")):
            assert name in [node.op_name for node in tg.graph(result)]


X, V = tg.tensor(np.ones((2, 3)), name="x"), tg.tensor([1.0, 2.0, 3.0], name="v")
MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: tg.sort(X, axis=2), ShapeError, "sort: .*no axis 2"),
    (lambda: tg.argsort(tg.tensor(1.0)), ShapeError, "argsort: .*no axis -1: it has none"),
    (lambda: tg.argsort(X, axis=-3, descending=True), ShapeError, "argsort: .*no axis -3"),
    (lambda: tg.sort(X, axis=None), ArgumentTypeError, "sort: expected one axis, got None"),  # type: ignore[arg-type]
    (lambda: tg.sort([2, 1]), ArgumentTypeError, "sort: .*list.*tg.tensor"),
    (lambda: tg.sort(tg.scalar(1.0)), ShapeError, "sort: .*no axis -1"),
    (lambda: tg.searchsorted(X, V), ShapeError, "searchsorted: expected a sorted vector.*(2, 3)"),
    (lambda: tg.searchsorted(V, X, side="up"), ShapeError, "searchsorted: expected side.*'up'"),
    (lambda: tg.nonzero(tg.tensor(1.0)), ShapeError, "nonzero: .*tg.reshape(x, (1,))"),
    (lambda: tg.isin(V, [1, 2]), ArgumentTypeError, "isin: .*list.*tg.tensor"),
    (lambda: tg.unique_values(tg.scalar(1.0)), ShapeError, "unique_all: .*tg.tensor"),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    parts = [re.escape(part) for part in says.split(".*")]
    with pytest.raises(kind, match="(?s)" + ".*".join(parts) + r".*test_sorting\.py"):
        call()
