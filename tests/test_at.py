"""``x.at[i].set(v)`` makes changed copies with gradients; ``x[i] = v`` changes plain tensors."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    IndexingError,
    ShapeError,
)

from .op_cases import numbers

shapes = npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def any_index(data: st.DataObject, shape: tuple[int, ...]) -> Any:
    """Draw an index of integers, slices, ``...``, ``None``, integer arrays or a mask."""
    return data.draw(
        npst.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True)
        | npst.integer_array_indices(shape, result_shape=npst.array_shapes(max_dims=2, max_side=3))
        | npst.arrays(bool, shape)
    )


class TestChangedCopies:
    @given(shape=shapes, data=st.data())
    @pytest.mark.numpy_only("NumPy's arrays as indices and values")
    def test_are_what_numpy_makes_in_place(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        index = any_index(data, shape)
        array, expected_set, expected_sum = (numbers(*shape, seed=2) for _ in range(3))
        values = numbers(*array[index].shape, seed=3)
        expected_set[index] = values
        np.add.at(expected_sum, index, values)
        x = tg.tensor(array)
        np.testing.assert_array_equal(x.at[index].set(values).numpy(), expected_set)
        np.testing.assert_array_equal(x.at[index].add(values).numpy(), expected_sum)
        np.testing.assert_array_equal(x.numpy(), array)

    @pytest.mark.parametrize("change", ["set", "add"])
    @given(shape=shapes, data=st.data())
    @pytest.mark.numpy_only("NumPy's arrays as indices and values")
    def test_are_linear_in_both_and_their_gradients_the_adjoint(
        self, change: str, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        index = any_index(data, shape)
        x = tg.tensor(numbers(*shape, seed=2), requires_grad=True)
        v = tg.tensor(numbers(*x[index].shape, seed=3), requires_grad=True)
        weighted = (getattr(x.at[index], change)(v) * tg.tensor(numbers(*shape, seed=4))).sum()
        weighted.backward()
        product = sum((y.detach() * y.grad).sum() for y in (x, v) if y.grad is not None)
        np.testing.assert_allclose(product.item(), weighted.item(), rtol=1e-9, atol=1e-12)

    def test_broadcast_values_and_sum_up_their_gradient(self) -> None:
        v = tg.tensor(2.0, requires_grad=True)
        changed = tg.tensor(np.zeros((2, 3), np.float32)).at[:, 1:].set(v)
        assert changed.tolist() == [[0.0, 2.0, 2.0]] * 2
        changed.sum().backward()
        assert v.grad is not None
        assert v.grad.item() == 4.0

    def test_add_a_vector_to_every_row_of_a_matrix_of_positions(self) -> None:
        positions = tg.tensor([[0, 0, 1], [2, 2, 2]])
        changed = tg.zeros(3).at[positions].add(tg.tensor([1.0, 10.0, 100.0]))
        assert changed.tolist() == [11.0, 100.0, 111.0]

    def test_give_the_gradient_of_an_element_set_twice_to_the_last_value(self) -> None:
        x, v = tg.tensor([5.0, 6.0], requires_grad=True), tg.tensor([1.0, 2.0], requires_grad=True)
        changed = x.at[[0, 0]].set(v)
        assert changed.tolist() == [2.0, 6.0]
        (changed * tg.tensor([10.0, 100.0])).sum().backward()
        assert x.grad is not None
        assert v.grad is not None
        assert (x.grad.tolist(), v.grad.tolist()) == ([0.0, 100.0], [0.0, 10.0])

    @pytest.mark.numpy_only("values of another dtype are beyond the standard")
    def test_keep_the_dtype_and_give_gradients_of_each_dtype(self) -> None:
        x = tg.tensor(np.ones(3, np.float32), requires_grad=True)
        v = tg.tensor(np.ones(2), requires_grad=True)
        changed = x.at[:2].set(v)
        assert changed.dtype == tg.float32
        changed.sum().backward()
        assert v.grad is not None
        assert v.grad.dtype == tg.float64

    def test_keep_neither_x_nor_the_values_for_the_way_back(self) -> None:
        x = tg.tensor(np.ones(9000), requires_grad=True)
        v = tg.tensor(np.ones(5000), requires_grad=True)
        for changed in (x.at[:5000].set(v), x.at[:5000].add(v)):
            assert sum(kept.nbytes for kept in tg.graph(changed).outputs[0].keeps) == 0

    def test_of_a_chain_cost_one_node_each(self) -> None:
        x = tg.tensor(np.zeros(3), requires_grad=True)
        y = x
        for position in range(3):
            y = y.at[position].add(2.0 * x[position])
        y.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [3.0] * 3
        assert [n.op_name for n in tg.graph(y)].count("index_add") == 3


class TestAssignment:
    @given(shape=shapes, data=st.data())
    @pytest.mark.numpy_only("NumPy's arrays as indices and values")
    def test_does_what_numpys_does(self, shape: tuple[int, ...], data: st.DataObject) -> None:
        index = any_index(data, shape)
        array = numbers(*shape, seed=2)
        x, values = tg.tensor(array), numbers(*array[index].shape, seed=3)
        array[index] = values
        x[index] = tg.tensor(values)
        np.testing.assert_array_equal(x.numpy(), array)

    def test_by_tensors_of_integers_and_booleans_is_that_by_arrays(self) -> None:
        x = tg.tensor([1.0, 2.0, 3.0])
        x[tg.tensor([0, 2])] = 0.0
        x[x == 2.0] = tg.tensor(7)
        assert x.tolist() == [0.0, 7.0, 0.0]

    def test_fills_a_tensor_without_axes(self) -> None:
        for x in (tg.tensor(1.0), tg.tensor([1.0, 2.0]).sum()):
            x[...] = 5.0
            assert (x.item(), x.shape) == (5.0, ())

    @pytest.mark.numpy_only("is about memory")
    def test_goes_into_the_memory_at_hand_where_nobody_else_has_it(self) -> None:
        x = tg.tensor(np.zeros(10_000))
        before = x.data.ctypes.data
        for position in range(3):
            x[position] = 1.0
        assert x.data.ctypes.data == before
        assert x.sum().item() == 3.0

    def test_leaves_what_shares_the_memory_as_it_was(self) -> None:
        x = tg.tensor(np.zeros(3))
        view, array, detached = x[1:], x.numpy(), x.detach()
        x[1] = 1.0
        assert x.tolist() == [0.0, 1.0, 0.0]
        assert view.tolist() == [0.0, 0.0]
        assert array.tolist() == detached.tolist() == [0.0, 0.0, 0.0]
        view[0] = 9.0
        assert x.tolist() == [0.0, 1.0, 0.0]

    @pytest.mark.parametrize("size", [2, 10_000])
    def test_leaves_the_gradients_of_graphs_that_x_went_into_right(self, size: int) -> None:
        w = tg.tensor(np.ones(size), requires_grad=True)
        x = tg.tensor(np.full(size, 3.0), name="x")
        product = (w * x).sum()
        x[0] = 100.0
        product.backward()
        assert w.grad is not None
        assert w.grad[0].item() == 3.0
        assert (w * x).sum().item() == 100.0 + 3.0 * (size - 1)
        assert x.name == "x"

    def test_of_overlapping_parts_reads_before_it_writes(self) -> None:
        x = tg.tensor([1.0, 2.0, 3.0])
        x[1:] = x[:-1]
        assert x.tolist() == [1.0, 1.0, 2.0]

    def test_that_fails_leaves_the_tensor_as_it_was(self) -> None:
        x = tg.tensor([1.0, 2.0])
        for index, value in ((5, 1.0), (0, np.ones(3)), (0, "text"), ("a", 1.0), (0, None)):
            with pytest.raises(tg.errors.TinygradLabError):
                x[index] = value
            assert x.tolist() == [1.0, 2.0]

    def test_without_gradients_takes_values_that_have_one(self) -> None:
        x, w = tg.tensor([1.0, 2.0]), tg.tensor([5.0], requires_grad=True)
        with tg.no_grad():
            x[:1] = w
        assert x.tolist() == [5.0, 2.0]
        assert not x.requires_grad

    def test_edits_a_gradient(self) -> None:
        w = tg.tensor([1.0, 2.0], requires_grad=True)
        (w * w).sum().backward()
        assert w.grad is not None
        w.grad[0] = 0.0
        assert w.grad.tolist() == [0.0, 4.0]

    def test_of_a_recorded_value_is_refused_and_afterwards_of_a_leaf_not(self) -> None:
        x = tg.tensor([1.0, 2.0])
        with tg.record():
            y = x * 2
            with pytest.raises(GradientError, match=r"recording here.*x\.at\[index\]\.set"):
                x[0] = 5.0
        with pytest.raises(GradientError, match="was recorded"):
            y[0] = 5.0
        x[0] = 5.0
        assert y.tolist() == [2.0, 4.0]


def assign(x: Any, index: Any, value: Any) -> None:
    x[index] = value


X, I = tg.tensor(np.ones((2, 3)), name="x"), tg.tensor([0, 7], name="i")  # noqa: E741
W = tg.tensor([1.0, 2.0], requires_grad=True, name="w")
S = tg.scalar(2.0, requires_grad=False, name="s")
MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: assign(W, 0, 1.0), GradientError, "requires a gradient.*x.at[index].set.*w (2,)"),
    (lambda: assign(W * 2, 0, 1.0), GradientError, "requires a gradient.*x.at[index].set"),
    (lambda: assign(X, 0, W[0]), GradientError, "values require a gradient.*values.detach()"),
    (lambda: assign(X, (0, 3), 1.0), IndexingError, "expected -3 to 2.*axis 1, got 3"),
    (lambda: assign(X, "a", 1.0), IndexingError, "setitem: .*str: 'a'"),
    (lambda: assign(X, 0, np.ones(2)), ShapeError, "broadcast to (3,).*got (2,)"),
    (lambda: assign(X, 0, [1.0, 2.0, 3.0]), ArgumentTypeError, "list.*tg.tensor"),
    (lambda: assign(X, 0, None), ArgumentTypeError, "got None"),
    (lambda: assign(I, 0, 1.5), DTypeError, "int64 cannot hold float.*astype"),
    (lambda: assign(S, ..., 1.0), IndexingError, "single number has no elements.*s "),
    (lambda: X.at[0, 0, 0].set(1.0), IndexingError, "index_set: expected at most 2 indices"),
    (lambda: X.at[I].set(1.0), IndexingError, "index_set: .*axis 0, got 7"),
    (lambda: X.at[1.5], IndexingError, "at: .*float"),  # type: ignore[list-item]
    (lambda: X.at[0].set(np.ones((1, 3))), ShapeError, "broadcast to (3,).*got (1, 3)"),
    (lambda: X.at[0].add(np.ones(4)), ShapeError, "index_add: .*broadcast to (3,).*got (4,)"),
    (lambda: I.at[0].add(0.5), DTypeError, "index_add: .*int64 cannot hold float"),
    (lambda: I.astype(tg.bool).at[0].set(3), DTypeError, "bool cannot hold int"),
    (
        lambda: tg.tensor(np.zeros(2, np.uint8)).at[0].set(-1),
        ArgumentError,
        "index_set: .*-1 out of bounds for uint8",
    ),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
@pytest.mark.numpy_only("NumPy's arrays as indices and values")
def test_mistakes_are_explained(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    parts = [re.escape(part) for part in says.split(".*")]
    with pytest.raises(kind, match="(?s)" + ".*".join(parts) + r".*test_at\.py"):
        call()
