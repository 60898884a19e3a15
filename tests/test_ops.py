"""Every op of the table: its gradient matches its value, at any order, shape and dtype."""

import re
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from string import Formatter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.engine.op import table

from .op_cases import (
    CASES,
    COMPOSED,
    ELEMENTWISE,
    Array,
    Case,
    finite_differences,
    numbers,
    weighted,
    weights_of,
)

WITH_RULES = {
    name
    for name, op in table.items()
    if op.rules and op.forward.__module__.startswith("tinygrad_lab.")
}
"""The differentiable ops of the package; tests declare others."""

every_op = pytest.mark.parametrize("case", CASES, ids=str)
every_case = pytest.mark.parametrize("case", [*CASES, *COMPOSED], ids=str)
seeds = st.integers(0, 2**32 - 1)


def gradients_of(case: Case, arrays: Sequence[Array]) -> list[Array]:
    """Return the gradients of the weighted output of a case, by backward()."""
    tensors = [tg.tensor(array, requires_grad=True) for array in arrays]
    out = case.function(*tensors)
    out.backward(gradient=weights_of(out.shape))
    return [tensor.grad.numpy() for tensor in tensors if tensor.grad is not None]


def gradient_along(case: Case, arrays: Sequence[Array]) -> float:
    """Combine all first derivatives of a case in one number."""
    gradients = gradients_of(case, arrays)
    return float(sum((g * weights_of(g.shape)).sum() for g in gradients))


class TestEveryOp:
    @pytest.mark.numpy_only("fused ops run as their composites there")
    def test_that_has_a_rule_has_a_case_here(self) -> None:
        cases = [*CASES, *COMPOSED]
        used = {node.op_name for case in cases for node in tg.graph(case.function(*case.tensors()))}
        assert WITH_RULES - used == set()

    @pytest.mark.parametrize("name", sorted(WITH_RULES))
    def test_that_has_a_rule_has_latex_that_is_complete(self, name: str) -> None:
        op = table[name]
        assert op.latex is not None
        known = {*op.inputs, *op.attributes}
        fields = {field for _, field, _, _ in Formatter().parse(op.latex) if field is not None}
        assert fields & set(op.inputs)
        assert fields <= known
        written = op.latex.format_map({field: r"\text{" + field + "}" for field in known})
        depth = list(accumulate((c == "{") - (c == "}") for c in re.sub(r"\\[{}]", "", written)))
        assert min(depth) >= 0
        assert depth[-1] == 0
        assert len(re.findall(r"\\left\b", written)) == len(re.findall(r"\\right\b", written))

    @every_case
    def test_has_the_gradient_that_finite_differences_find(self, case: Case) -> None:
        found = gradients_of(case, case.arrays)
        expected = finite_differences(lambda arrays: weighted(case, arrays), case.arrays)
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-7)

    @every_case
    def test_has_the_second_derivatives_that_finite_differences_find(self, case: Case) -> None:
        tensors = case.tensors()
        out = case.function(*tensors)
        seed = tg.tensor(weights_of(out.shape))
        first = tg.autograd.grad(out, tensors, [seed], create_graph=True)
        along = sum((g * tg.tensor(weights_of(g.shape))).sum() for g in first if g is not None)
        expected = finite_differences(lambda arrays: gradient_along(case, arrays), case.arrays)
        found: Sequence[tg.Tensor | None] = [None] * len(tensors)
        if along.requires_grad:
            found = tg.autograd.grad(along, tensors)
        for one, other in zip(found, expected, strict=True):
            value = np.zeros_like(other) if one is None else one.numpy()
            np.testing.assert_allclose(value, other, rtol=1e-6, atol=1e-7)

    @every_case
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_gives_gradients_of_the_dtype_and_shape_of_its_inputs(
        self, case: Case, dtype: Any
    ) -> None:
        tensors = case.tensors(dtype)
        out = case.function(*tensors)
        out.backward(gradient=np.ones(out.shape))
        for tensor in tensors:
            assert tensor.grad is not None
            assert tensor.grad.dtype == tensor.dtype == dtype
            assert tensor.grad.shape == tensor.shape

    @pytest.mark.parametrize(
        "case", [case for case in [*CASES, *COMPOSED] if case.name != "astype"], ids=str
    )
    def test_keeps_float32_when_all_its_inputs_are(self, case: Case) -> None:
        assert case.function(*case.tensors(np.float32)).dtype == np.float32

    @every_case
    def test_writes_into_neither_its_inputs_nor_the_gradient_it_is_given(self, case: Case) -> None:
        tensors = case.tensors()
        before = [tensor.numpy().copy() for tensor in map(tg.Tensor.detach, tensors)]
        out = case.function(*tensors)
        value = out.detach().numpy().copy()
        gradient = weights_of(out.shape)
        out.backward(gradient=gradient)
        for tensor, data in zip(tensors, before, strict=True):
            np.testing.assert_array_equal(tensor.detach().numpy(), data)
        np.testing.assert_array_equal(gradient, weights_of(out.shape))
        np.testing.assert_array_equal(out.detach().numpy(), value)

    @every_case
    def test_gives_gradients_in_writable_memory_that_nobody_shares(self, case: Case) -> None:
        tensors = case.tensors()
        out = case.function(*tensors)
        given = weights_of(out.shape)
        out.backward(gradient=given)
        gradients = [tensor.grad.numpy() for tensor in tensors if tensor.grad is not None]
        others = [given, out.detach().numpy(), *(tensor.detach().numpy() for tensor in tensors)]
        for position, gradient in enumerate(gradients):
            assert gradient.flags.writeable
            for other in [*others, *gradients[:position]]:
                assert not np.shares_memory(gradient, other)

    @every_case
    def test_gives_the_same_bits_twice(self, case: Case) -> None:
        for one, other in zip(
            gradients_of(case, case.arrays), gradients_of(case, case.arrays), strict=True
        ):
            assert one.tobytes() == other.tobytes()


BROADCASTING: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "subtract": lambda x, y: x - y,
    "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y,
    "pow": lambda x, y: abs(x) ** y,
    "maximum": tg.maximum,
    "minimum": tg.minimum,
    "where": lambda x, y: tg.where(x > y, x, y),
}
two_shapes = npst.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)


class TestBroadcasting:
    @pytest.mark.parametrize("name", BROADCASTING)
    @given(shapes=two_shapes, seed=seeds)
    def test_gradients_come_back_in_the_shape_of_each_input(
        self, name: str, shapes: npst.BroadcastableShapes, seed: int
    ) -> None:
        one, other = shapes.input_shapes
        arrays = (numbers(*one, seed=seed), numbers(*other, seed=seed + 1))
        case = Case(name, BROADCASTING[name], arrays)
        found = gradients_of(case, arrays)
        expected = finite_differences(lambda arrays: weighted(case, arrays), arrays)
        assert [gradient.shape for gradient in found] == [one, other]
        for gradient, differences in zip(found, expected, strict=True):
            np.testing.assert_allclose(gradient, differences, rtol=1e-5, atol=1e-6)

    @given(shapes=two_shapes)
    def test_the_gradient_of_broadcasting_counts_how_often_an_element_was_used(
        self, shapes: npst.BroadcastableShapes
    ) -> None:
        small, _ = shapes.input_shapes
        x = tg.tensor(np.ones(small), requires_grad=True)
        tg.broadcast_to(x, shape=shapes.result_shape).sum().backward()
        uses = np.prod(shapes.result_shape) / max(np.prod(small), 1)
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), np.full(small, uses))

    @pytest.mark.parametrize("case", [c for c in ELEMENTWISE if len(c.arrays) == 1], ids=str)
    @given(shape=npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3), seed=seeds)
    def test_ops_of_one_input_take_any_shape(
        self, case: Case, shape: tuple[int, ...], seed: int
    ) -> None:
        array = np.asarray(np.random.default_rng(seed).choice(case.arrays[0].ravel(), shape))
        (found,) = gradients_of(case, [array])
        (expected,) = finite_differences(lambda arrays: weighted(case, arrays), [array])
        assert found.shape == shape
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


class TestReductions:
    @given(
        shape=npst.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=3),
        data=st.data(),
        keepdims=st.booleans(),
    )
    @pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod", "var", "std"])
    def test_are_those_of_numpy_along_any_axes(
        self, name: str, shape: tuple[int, ...], data: st.DataObject, keepdims: bool
    ) -> None:
        axis = data.draw(
            st.none() | st.integers(-len(shape), len(shape) - 1) | npst.valid_tuple_axes(len(shape))
        )
        array = numbers(*shape, seed=7)
        found = getattr(tg, name)(tg.tensor(array), axis=axis, keepdims=keepdims)
        expected = getattr(np, name)(array, axis=axis, keepdims=keepdims)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("name", ["argmax", "argmin", "any", "all"])
    @pytest.mark.parametrize("axis", [None, 0, -1])
    def test_to_positions_and_truth_are_those_of_numpy(self, name: str, axis: int | None) -> None:
        array = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0]])
        found = getattr(tg, name)(tg.tensor(array), axis=axis)
        np.testing.assert_array_equal(found.numpy(), getattr(np, name)(array, axis=axis))
        assert not found.requires_grad

    @pytest.mark.parametrize("name", ["var", "std"])
    @pytest.mark.parametrize("correction", [0, 1, 0.5])
    def test_divide_by_the_number_less_the_correction(self, name: str, correction: float) -> None:
        array = numbers(5, 2)
        found = getattr(tg, name)(tg.tensor(array), axis=0, correction=correction)
        expected = getattr(np, name)(array, axis=0, ddof=correction)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)

    @pytest.mark.parametrize("name", ["max", "min"])
    def test_share_the_gradient_of_a_tie_evenly(self, name: str) -> None:
        x = tg.tensor([[1.0, 1.0, 1.0, 1.0], [2.0, 2.0, 2.0, 2.0]], requires_grad=True)
        getattr(tg, name)(x, axis=1).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.25] * 4] * 2

    @given(array=npst.arrays(np.float64, npst.array_shapes(max_dims=2), elements=st.integers(0, 2)))
    def test_prod_has_the_right_gradient_where_factors_are_zero(self, array: Array) -> None:
        x = tg.tensor(array, requires_grad=True)
        tg.prod(x).backward()
        flat = array.ravel()
        others = [np.delete(flat, i).prod() for i in range(flat.size)]
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy().ravel(), others)

    def test_of_no_elements_are_those_of_numpy(self) -> None:
        empty = np.zeros((0, 3))
        assert tg.sum(tg.tensor(empty), axis=0).tolist() == [0.0] * 3
        assert tg.prod(tg.tensor(empty), axis=0).tolist() == [1.0] * 3
        assert tg.prod(tg.tensor(empty), axis=0, keepdims=True).shape == (1, 3)
        assert tg.flatten(tg.tensor(np.zeros((0, 2, 3))), 1).shape == (0, 6)

    def test_std_is_flat_where_all_elements_are_equal(self) -> None:
        x = tg.tensor([[2.0, 2.0, 2.0], [1.0, 2.0, 4.0]], requires_grad=True)
        tg.std(x, axis=1).sum().backward()
        assert x.grad is not None
        assert x.grad[0].tolist() == [0.0, 0.0, 0.0]
        assert tg.isfinite(x.grad).all()


class TestIndexing:
    @given(shape=npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), data=st.data())
    def test_by_integers_slices_ellipsis_and_newaxis_is_that_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        index = data.draw(npst.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
        self.check(shape, index)

    @given(shape=npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), data=st.data())
    def test_by_integer_arrays_is_that_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        index = data.draw(npst.integer_array_indices(shape, result_shape=npst.array_shapes()))
        self.check(shape, index)

    @given(shape=npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4), data=st.data())
    def test_by_masks_is_that_of_numpy(self, shape: tuple[int, ...], data: st.DataObject) -> None:
        axes = data.draw(st.integers(1, len(shape)))
        self.check(shape, data.draw(npst.arrays(bool, shape[:axes])))

    def check(self, shape: tuple[int, ...], index: Any) -> None:
        """Check NumPy's values, and that an element's gradient counts how often it was taken."""
        array = numbers(*shape, seed=3)
        x = tg.tensor(array, requires_grad=True)
        parts = index if isinstance(index, tuple) else (index,)
        # Index arrays lie on the device of the tensor.
        taken = x[tuple(tg.tensor(p) if isinstance(p, np.ndarray) else p for p in parts)]
        np.testing.assert_array_equal(taken.detach().numpy(), array[index])
        taken.backward(gradient=np.ones(taken.shape))
        uses = np.zeros(shape)
        np.add.at(uses, index, 1.0)
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), uses)

    def test_by_an_element_of_an_array_of_integers_takes_one_row(self) -> None:
        x, i = tg.tensor([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0])
        assert x[i[0]].tolist() == [3.0, 4.0]
        assert x[tg.tensor(1)].tolist() == [3.0, 4.0]

    def test_gradients_of_overlapping_slices_add_up(self) -> None:
        x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        (x[:2].sum() + x[1:].sum() + 10 * x.sum()).backward()
        assert x.grad is not None
        assert x.grad.tolist() == [11.0, 12.0, 11.0]


class TestOpsWithSeveralOutputs:
    def test_treat_an_output_that_no_gradient_reached_as_zero(self) -> None:
        x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        _, second = tg.unstack(x)
        (second * second).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 0.0], [6.0, 8.0]]

    def test_add_up_the_gradients_of_an_output_that_is_used_twice(self) -> None:
        x = tg.tensor([[1.0], [3.0]], requires_grad=True)
        first, second = tg.unstack(x)
        (first * second + first).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[4.0], [1.0]]

    def test_hand_a_rule_none_for_an_output_that_no_gradient_reached(self) -> None:
        seen = []

        def rule(xp: Any, g: Any) -> Any:
            seen.append([part is None for part in g])
            return next(part for part in g if part is not None)

        halves = tg.op(
            "halves_of_tests",
            forward=lambda xp, x: (x * 0.5, x * 0.5),
            vjp={"x": rule},
            several_outputs=True,
        )
        x = tg.tensor([1.0], requires_grad=True)
        _, right = halves(x)
        right.backward()
        assert seen == [[True, False]]


class TestPow:
    @pytest.mark.parametrize("order", [1, 2, 3, 4])
    @pytest.mark.parametrize("exponent", [0, 1, 2, 3, 2.0])
    @pytest.mark.parametrize("kind", [float, tg.tensor])
    def test_has_finite_derivatives_of_any_order_at_zero(
        self, order: int, exponent: float, kind: Callable[[float], Any]
    ) -> None:
        function = lambda x: x**exponent  # noqa: E731
        factor = 1.0
        for step in range(order):
            function = tg.grad(function)
            factor *= exponent - step
        expected = factor if order == exponent else 0.0
        assert function(kind(0.0)).item() == expected

    def test_is_flat_in_the_exponent_where_the_base_is_zero(self) -> None:
        x, y = tg.tensor([0.0, 2.0]), tg.tensor([2.0, 3.0], requires_grad=True)
        (x**y).sum().backward()
        assert y.grad is not None
        np.testing.assert_allclose(y.grad.numpy(), [0.0, 8 * np.log(2.0)], rtol=1e-6)


def test_results_of_ops_without_a_gradient_require_none() -> None:
    x = tg.tensor([1.5, -2.0], requires_grad=True)
    flat = [tg.floor, tg.ceil, tg.round, tg.trunc, tg.sign, tg.signbit, tg.imag]
    flat += [tg.isnan, tg.isinf, tg.isfinite, tg.zeros_like, tg.ones_like]
    comparisons = [x == x, x != 1, x < 1, x <= 1, x > 1, x >= 1, x // 1, (x > 0) & (x < 2)]
    comparisons += [~(x > 0), (x > 0) | (x < 2), tg.logical_not(x > 0)]
    for result in [*(op(x) for op in flat), *comparisons]:
        assert not result.requires_grad


@pytest.mark.numpy_only("integers beside floats are beyond the standard")
def test_no_gradient_flows_through_integers_and_booleans() -> None:
    x = tg.tensor([1.5, -2.0], requires_grad=True)
    assert not x.astype(tg.int64).requires_grad
    assert not x.astype(tg.bool).requires_grad
    (x * x.astype(tg.int64)).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1.0, -2.0]


def test_a_chain_of_casts_hands_every_input_a_gradient_of_its_own_dtype() -> None:
    x = tg.tensor(np.ones(2, np.float32), requires_grad=True)
    y = tg.tensor(np.ones(2, np.float64), requires_grad=True)
    (x.astype(tg.float64) * y + x * y).sum().backward()
    assert x.grad is not None
    assert y.grad is not None
    assert (x.grad.dtype, y.grad.dtype) == (np.float32, np.float64)


def test_derivatives_of_sine_repeat_after_four() -> None:
    orders = [tg.sin]
    for _ in range(5):
        orders.append(tg.grad(orders[-1]))
    values = [function(0.5).item() for function in orders]
    np.testing.assert_allclose(values[4:], values[:2], rtol=1e-12)
    for one, next_but_one in pairwise(values[::2]):
        np.testing.assert_allclose(one, -next_but_one, rtol=1e-12)
