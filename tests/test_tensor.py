"""Tensor: what it holds, how it is made, read, set and shown."""

import math
import operator
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg

from .op_cases import numbers


class TestMaking:
    def test_scalar_holds_a_python_float_and_wants_a_gradient(self) -> None:
        x = tg.scalar(3, name="x")
        assert type(x.data) is float
        assert (x.shape, x.ndim, x.size, x.dtype, x.device) == ((), 0, 1, np.float64, "cpu")
        assert x.requires_grad
        assert x.is_leaf
        assert x.name == "x"
        assert not tg.scalar(3.0, requires_grad=False).requires_grad

    @pytest.mark.parametrize("value", [True, 2, np.float32(0.5), np.asarray(0.5), tg.tensor(0.5)])
    def test_scalar_takes_every_kind_of_number(self, value: Any) -> None:
        assert tg.scalar(value).item() == float(value)
        assert type(tg.scalar(value).data) is float

    @pytest.mark.parametrize(
        ("data", "dtype"),
        [
            (1.5, np.float32),
            ([1.0, 2.0], np.float32),
            ([[1, 2.5]], np.float32),
            ((1.0, (2.0)), np.float32),
            ([], np.float32),
            (1, np.int64),
            ([1, 2], np.int64),
            (True, np.bool_),
            ([True, False], np.bool_),
        ],
    )
    def test_floats_of_python_become_float32_and_all_else_what_numpy_says(
        self, data: Any, dtype: Any
    ) -> None:
        x = tg.tensor(data)
        assert isinstance(x.data, np.ndarray)
        assert x.dtype == dtype
        assert not x.requires_grad

    @pytest.mark.parametrize(
        "dtype", [np.float16, np.float32, np.float64, np.int8, np.int32, np.uint8, np.bool_]
    )
    def test_arrays_keep_their_dtype(self, dtype: Any) -> None:
        assert tg.tensor(np.ones(2, dtype)).dtype == dtype
        assert tg.tensor(dtype(1)).dtype == dtype

    def test_the_default_dtype_can_be_set(self) -> None:
        tg.set_default_dtype(tg.float64)
        try:
            assert tg.get_default_dtype() == tg.tensor([1.0]).dtype == np.float64
            assert repr(tg.tensor([1.0])) == "tensor([1.])"
        finally:
            tg.set_default_dtype(tg.float32)
        assert tg.tensor([1.0]).dtype == np.float32

    def test_a_dtype_that_is_given_is_taken(self) -> None:
        assert tg.tensor([1, 2], dtype=tg.float32).dtype == np.float32
        assert tg.tensor(np.ones(2), dtype="int32").dtype == np.int32

    def test_tensor_copies(self) -> None:
        source = np.ones(3)
        x = tg.tensor(source)
        y = tg.tensor(x)
        source[0] = 5.0
        x.data[1] = 7.0
        assert y.tolist() == [1.0, 1.0, 1.0]
        assert x.tolist() == [1.0, 7.0, 1.0]

    def test_lists_may_hold_tensors_and_arrays(self) -> None:
        rows = [tg.tensor([1.0, 2.0]), np.array([3.0, 4.0]), [5, 6.0]]
        assert tg.tensor(rows).tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]

    def test_a_gradient_is_not_lost_in_a_list(self) -> None:
        x = tg.scalar(1.0)
        tg.tensor([x, tg.scalar(2.0)]).sum().backward()
        assert x.grad is not None
        assert x.grad.item() == 1.0

    @given(npst.arrays(npst.floating_dtypes(endianness="="), npst.array_shapes(min_dims=0)))
    def test_nested_lists_and_back_are_the_same(self, array: np.ndarray[Any, Any]) -> None:
        again = tg.tensor(tg.tensor(array).tolist(), dtype=array.dtype)
        np.testing.assert_array_equal(again.numpy(), array)


class TestReading:
    def test_attributes_are_those_of_the_array(self) -> None:
        x = tg.tensor(numbers(2, 3, 4))
        assert (x.shape, x.ndim, x.size, x.dtype) == ((2, 3, 4), 3, 24, np.float64)
        assert x.device == "cpu"
        assert len(x) == 2

    def test_numpy_and_detach_share_memory_with_the_tensor(self) -> None:
        x = tg.tensor([1.0, 2.0])
        assert np.shares_memory(x.numpy(), x.data)
        y = tg.tensor([1.0, 2.0], requires_grad=True, name="y")
        assert np.shares_memory(y.detach().numpy(), y.data)
        assert not y.detach().requires_grad

    def test_numpy_says_detach_where_a_gradient_would_be_lost(self) -> None:
        with pytest.raises(tg.errors.GradientError, match=r"'w'.*detach\(\)"):
            tg.scalar(1.0, name="w").numpy()

    def test_item_and_conversions_give_python_numbers(self) -> None:
        x = tg.tensor([[2.5]], requires_grad=True)
        assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
        assert not tg.tensor(0.0)
        assert type(tg.tensor([3]).item()) is int
        assert [10, 20, 30][tg.tensor(1)] == 20

    @pytest.mark.parametrize("convert", [float, int, bool, tg.Tensor.item])
    def test_conversions_of_several_elements_are_an_error(
        self, convert: Callable[[tg.Tensor], Any]
    ) -> None:
        with pytest.raises(tg.errors.ShapeError, match=r"'v' of shape \(2,\) has 2 elements"):
            convert(tg.tensor([1.0, 2.0], name="v"))

    def test_floats_do_not_index(self) -> None:
        with pytest.raises(tg.errors.ArgumentTypeError, match="cannot be an index"):
            range(tg.tensor(1.0))

    def test_iteration_gives_rows_that_gradients_flow_through(self) -> None:
        x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
        first, second = x
        (first * second).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[3.0, 4.0], [1.0, 2.0]]

    @pytest.mark.parametrize("single", [tg.scalar(1.0), tg.tensor(1.0)])
    def test_a_single_number_has_no_length_and_cannot_be_iterated(self, single: tg.Tensor) -> None:
        with pytest.raises(TypeError, match="no length"):
            len(single)
        with pytest.raises(TypeError):
            iter(single)

    def test_in_looks_at_the_elements(self) -> None:
        assert 2.0 in tg.tensor([1.0, 2.0])
        assert 3.0 not in tg.tensor([1.0, 2.0])

    def test_tensors_are_keys_by_identity(self) -> None:
        x, y = tg.tensor([1.0]), tg.tensor([1.0])
        assert {x: "x", y: "y"}[x] == "x"
        assert len({x, y, x}) == 2

    def test_results_of_reductions_hold_arrays_not_numpy_scalars(self) -> None:
        total = tg.tensor([1.0, 2.0]).sum()
        assert type(total.data) is np.ndarray
        assert total.data.shape == ()

    def test_transposes(self) -> None:
        x = tg.tensor(numbers(2, 3))
        np.testing.assert_array_equal(x.T.numpy(), x.numpy().T)
        stack = tg.tensor(numbers(2, 3, 4))
        np.testing.assert_array_equal(stack.mT.numpy(), np.swapaxes(stack.numpy(), -1, -2))
        with pytest.raises(tg.errors.ShapeError, match="mT"):
            _ = stack.T

    @pytest.mark.parametrize("shape", [(6,), (3, 2), (-1, 2), (1, 6, 1)])
    def test_reshape_takes_sizes_or_a_tuple(self, shape: tuple[int, ...]) -> None:
        x = tg.tensor(numbers(2, 3))
        expected = x.numpy().reshape(shape)
        np.testing.assert_array_equal(x.reshape(*shape).numpy(), expected)
        np.testing.assert_array_equal(x.reshape(shape).numpy(), expected)

    def test_methods_are_the_functions_of_the_same_name(self) -> None:
        x = tg.tensor(np.abs(numbers(2, 3)))
        for name in [
            "exp",
            "log",
            "sqrt",
            "sin",
            "cos",
            "tanh",
            "sigmoid",
            "relu",
            "abs",
            "square",
            "sum",
            "mean",
            "var",
            "std",
            "max",
            "min",
            "prod",
            "argmax",
            "argmin",
            "any",
            "all",
            "flatten",
        ]:
            found, expected = getattr(x, name)(), getattr(tg, name)(x)
            np.testing.assert_array_equal(found.numpy(), expected.numpy())


OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    operator.pow,
]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]
LOGIC = [operator.and_, operator.or_]


class TestOperators:
    @pytest.mark.parametrize("op", [*OPERATORS, *COMPARISONS])
    @pytest.mark.parametrize("other", [2, 2.5, np.array([1.5, 2.0, 3.0]), np.float64(2.0)])
    def test_are_those_of_numpy_from_either_side(
        self, op: Callable[[Any, Any], Any], other: Any
    ) -> None:
        array = np.array([0.5, 2.0, 3.0])
        x = tg.tensor(array)
        for found, expected in (
            (op(x, other), op(array, other)),
            (op(other, x), op(other, array)),
            (op(x, tg.tensor(other)), op(array, other)),
        ):
            assert isinstance(found, tg.Tensor)
            np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)

    @pytest.mark.parametrize("op", LOGIC)
    def test_logic_goes_element_by_element(self, op: Callable[[Any, Any], Any]) -> None:
        one, other = np.array([True, True, False, False]), np.array([True, False, True, False])
        for found in (op(tg.tensor(one), other), op(other, tg.tensor(one))):
            np.testing.assert_array_equal(found.numpy(), op(one, other))
        np.testing.assert_array_equal((~tg.tensor(one)).numpy(), ~one)

    def test_of_one_tensor(self) -> None:
        x = tg.tensor([-1.0, 2.0])
        assert (-x).tolist() == [1.0, -2.0]
        assert abs(x).tolist() == [1.0, 2.0]
        assert (+x).tolist() == [-1.0, 2.0]

    def test_matmul_from_either_side(self) -> None:
        left, right = numbers(2, 3), numbers(3, 2)
        for product in (tg.tensor(left) @ right, left @ tg.tensor(right)):
            assert isinstance(product, tg.Tensor)
            np.testing.assert_allclose(product.numpy(), left @ right)

    @pytest.mark.parametrize("op", OPERATORS)
    def test_augmented_assignment_makes_a_new_tensor(self, op: Callable[[Any, Any], Any]) -> None:
        # But of a leaf that requires a gradient: see test_in_place.py.
        x = tg.tensor([1.0, 2.0])
        before = x
        in_place = getattr(operator, f"i{op.__name__}")
        x = in_place(x, 2.0)
        assert x is not before
        assert before.tolist() == [1.0, 2.0]

    @given(st.floats(-4, 4), st.floats(0.25, 4))
    def test_of_scalars_are_those_of_python(self, a: float, b: float) -> None:
        x, y = tg.scalar(a), tg.scalar(b)
        for op in OPERATORS[:-1]:
            assert op(x, y).item() == op(x, b).item() == op(a, y).item() == op(a, b)


class TestSettingData:
    @pytest.mark.parametrize(
        "value", [np.array([3.0, 4.0]), np.array([3, 4]), tg.tensor([3.0, 4.0])]
    )
    def test_takes_arrays_and_tensors_and_keeps_the_dtype(self, value: Any) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        x.data = value
        assert x.tolist() == [3.0, 4.0]
        assert x.dtype == np.float32
        assert x.requires_grad

    @pytest.mark.parametrize("value", [4, 4.0, np.float32(4.0), np.array(4.0), tg.tensor(4.0)])
    def test_of_a_scalar_keeps_it_a_python_float(self, value: Any) -> None:
        x = tg.scalar(1.0)
        x.data = value
        assert type(x.data) is float
        assert x.item() == 4.0

    def test_takes_numbers_for_a_tensor_without_axes(self) -> None:
        x = tg.tensor(1.0)
        x.data = 5
        assert (x.item(), x.dtype, x.shape) == (5.0, np.float32, ())

    def test_does_not_take_another_shape(self) -> None:
        x = tg.tensor([1.0, 2.0], name="w")
        for value in (np.zeros(3), 1.0):
            with pytest.raises(tg.errors.ShapeError, match=r"'w'.*\(2,\)"):
                x.data = value

    def test_leaves_older_graphs_as_they_are(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        y = (x * x).sum()
        x.data = np.array([10.0, 20.0])
        y.backward()
        assert x.grad is not None
        assert x.grad.tolist() == [2.0, 4.0]

    def test_a_step_of_gradient_descent_works_by_augmented_assignment(self) -> None:
        for p in (tg.tensor([1.0, 2.0], requires_grad=True), tg.scalar(3.0)):
            before = np.asarray(p.detach()).copy()
            (p * p).sum().backward()
            p.data -= 0.1 * p.grad
            np.testing.assert_allclose(np.asarray(p.detach()), before * 0.8, rtol=1e-6)
            assert p.requires_grad
            assert p.is_leaf


class TestGrad:
    def test_is_none_until_computed_and_can_be_reset(self) -> None:
        x = tg.tensor([1.0], requires_grad=True)
        assert x.grad is None
        x.sum().backward()
        x.grad = None
        assert x.grad is None

    def test_takes_a_tensor_of_the_same_shape_alone(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        x.grad = tg.tensor([0.5, 0.5])
        with pytest.raises(tg.errors.ArgumentTypeError, match="Tensor or None, got ndarray"):
            x.grad = np.zeros(2)  # type: ignore[assignment]
        with pytest.raises(tg.errors.ShapeError, match=r"'x'.*\(2,\).*\(3,\)"):
            x.grad = tg.tensor([1.0, 2.0, 3.0])
        x.sum().backward()
        assert x.grad.tolist() == [1.5, 1.5]

    def test_stays_of_the_dtype_of_its_leaf_whatever_was_assigned(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with pytest.raises(tg.errors.DTypeError, match=r"float32.*float64"):
            x.grad = tg.tensor(np.zeros(2, np.float64))
        assert x.grad is None
        x.sum().backward()
        assert x.grad is not None
        assert x.grad.dtype == np.float32

    def test_holds_no_history_whatever_was_assigned(self) -> None:
        x = tg.scalar(2.0)
        x.grad = x * 3
        assert x.grad is not None
        assert not x.grad.requires_grad

    def test_requires_grad_switches_on_and_off(self) -> None:
        x = tg.tensor([1.0], name="x")
        assert x.requires_grad_() is x
        assert x.requires_grad
        x.requires_grad = False
        assert not x.requires_grad
        assert x.name == "x"

    def test_requires_grad_of_a_computed_tensor_is_not_for_setting(self) -> None:
        y = tg.scalar(1.0) * 2
        y.requires_grad_(True)
        with pytest.raises(tg.errors.GradientError, match="detach"):
            y.requires_grad_(False)

    @pytest.mark.parametrize("data", [[1, 2], [True, False]])
    def test_integers_and_booleans_have_no_gradient(self, data: Any) -> None:
        with pytest.raises(tg.errors.DTypeError, match="floating"):
            tg.tensor(data, requires_grad=True)

    def test_leaves_are_what_was_not_computed(self) -> None:
        x = tg.scalar(1.0)
        y = x * 2
        assert x.is_leaf
        assert not y.is_leaf
        assert y.detach().is_leaf
        assert (tg.tensor(1.0) * 2).is_leaf


class TestHooks:
    def test_see_every_gradient_and_may_replace_it(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        y = x * 3
        seen = []
        y.register_hook(lambda g: seen.append(g.tolist()))
        y.register_hook(lambda g: g * 10)
        (y * y).sum().backward()
        assert seen == [[6.0, 12.0]]
        assert x.grad is not None
        assert x.grad.tolist() == [180.0, 360.0]

    def test_outlive_a_switch_of_requires_grad(self) -> None:
        for x in (tg.scalar(1.0), tg.tensor([1.0], requires_grad=True, name="x")):
            handle = x.register_hook(lambda g: g * 10)
            x.requires_grad_(False)
            x.data = x.detach() * 1.0
            x.requires_grad_(True)
            (x * 3).sum().backward()
            assert float(x.grad) == 30.0
            handle.remove()
            (x * 3).sum().backward()
            assert float(x.grad) == 33.0

    def test_of_a_leaf_see_its_complete_gradient_once(self) -> None:
        x = tg.scalar(2.0)
        seen = []
        x.register_hook(lambda g: seen.append(g.item()))
        (x * x + x).backward()
        assert seen == [5.0]

    def test_can_be_removed(self) -> None:
        x = tg.scalar(1.0)
        remove = x.register_hook(lambda g: g * 100)
        keep = x.register_hook(lambda g: g * 2)
        remove()
        remove()
        (x * 3).backward()
        assert x.grad is not None
        assert x.grad.item() == 6.0
        keep()

    def test_are_removed_by_their_handles_as_in_pytorch(self) -> None:
        x = tg.scalar(1.0)
        first, second = x.register_hook(lambda g: g * 2), x.register_hook(lambda g: g * 3)
        assert repr(first) == "<hook>"
        first.remove()
        first.remove()
        assert repr(first) == "<hook, removed>"
        third = x.register_hook(lambda g: g * 5)
        (x * 1).backward()
        assert x.grad is not None
        assert x.grad.item() == 15.0
        second.remove()
        with third as handle:
            assert handle is third
        x.grad = None
        (x * 1).backward()
        assert tg.grad(lambda x: x * 1)(1.0).item() == 1.0
        assert x.grad.item() == 1.0  # type: ignore[attr-defined]

    def test_of_data_that_was_set_since_are_removed_by_the_same_handle(self) -> None:
        x = tg.scalar(1.0)
        handle = x.register_hook(lambda g: g * 2)
        old = x * 1
        x.data = 3.0
        handle.remove()
        (old + x * 1).backward()
        assert x.grad is not None
        assert x.grad.item() == 2.0

    def test_may_remove_themselves(self) -> None:
        x = tg.scalar(1.0)
        seen: list[float] = []

        def once(g: tg.Tensor) -> None:
            seen.append(g.item())
            handle.remove()

        handle = x.register_hook(once)
        (x * 2).backward()
        (x * 3).backward()
        assert seen == [2.0]

    def test_do_not_live_longer_for_their_handle_s_sake(self) -> None:
        x = tg.scalar(1.0)
        y = x * x
        node, handle = weakref.ref(y.node), y.register_hook(lambda g: g)
        del y
        assert node() is None
        handle.remove()

    def test_take_part_in_gradients_of_gradients(self) -> None:
        x = tg.scalar(2.0)
        y = x * x
        y.register_hook(lambda g: g * x)
        (slope,) = tg.autograd.grad(y, x, create_graph=True)
        assert slope.item() == 8.0
        assert tg.autograd.grad(slope, x)[0].item() == 8.0

    def test_of_one_sweep_that_fail_leave_no_gradient_and_the_next_sweep_works(self) -> None:
        x = tg.scalar(2.0)
        y = x * x

        def fail(g: tg.Tensor) -> None:
            raise RuntimeError("in the hook")

        remove = y.register_hook(fail)
        z = y * 3
        with pytest.raises(RuntimeError, match="in the hook"):
            z.backward()
        assert x.grad is None
        remove()
        z.backward()
        assert x.grad is not None
        assert x.grad.item() == 12.0

    def test_that_return_no_tensor_are_told_so(self) -> None:
        x = tg.scalar(2.0)
        x.register_hook(lambda g: 2.0)  # type: ignore[arg-type, return-value]
        with pytest.raises(tg.errors.TinygradLabError, match="hook"):
            (x * x).backward()

    def test_that_return_another_shape_are_told_so(self) -> None:
        x = tg.tensor([1.0], requires_grad=True)
        x.register_hook(lambda g: tg.tensor([1.0, 2.0]))
        with pytest.raises(tg.errors.ShapeError, match="hook"):
            (x * x).sum().backward()

    def test_are_not_for_tensors_without_a_gradient(self) -> None:
        with pytest.raises(tg.errors.GradientError, match="no gradient"):
            tg.tensor([1.0]).register_hook(lambda g: None)


class TestMoving:
    def test_to_the_own_device_or_dtype_is_the_tensor_itself(self) -> None:
        x = tg.tensor([1.0])
        assert x.to("cpu") is x
        assert x.astype(tg.float32) is x
        assert x.to(tg.float32) is x

    def test_to_and_astype_change_the_dtype_and_gradients_come_back(self) -> None:
        x = tg.tensor([1.5], requires_grad=True)
        for y in (x.astype(tg.float64), x.to("float64"), x.to(tg.float64)):
            assert y.dtype == np.float64
            x.grad = None
            (y * y).sum().backward()
            assert x.grad is not None
            assert x.grad.tolist() == [3.0]
            assert x.grad.dtype == np.float32

    def test_a_scalar_becomes_an_array_and_its_gradient_a_float_again(self) -> None:
        s = tg.scalar(2.0)
        y = tg.broadcast_to(s * tg.tensor(1.0), shape=(3,))
        y.sum().backward()
        assert s.grad is not None
        assert type(s.grad.data) is float
        assert s.grad.item() == 3.0


class TestRepr:
    @pytest.mark.parametrize(
        ("x", "text"),
        [
            (tg.scalar(2.0), "scalar(2.0, requires_grad=True)"),
            (tg.scalar(2.0, name="x", requires_grad=False), "scalar(2.0, name='x')"),
            (tg.tensor([1.0, 2.0]), "tensor([1., 2.])"),
            (tg.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
            (tg.tensor(np.ones(1)), "tensor([1.], dtype=float64)"),
            (tg.tensor([1, 2]), "tensor([1, 2], dtype=int64)"),
            (tg.tensor([True]), "tensor([ True])"),
            (tg.tensor(np.zeros((0, 2), np.float32)), "tensor([], shape=(0, 2))"),
            (tg.scalar(2.0) * 3, "scalar(6.0, op=multiply)"),
            (tg.scalar(math.nan), "scalar(nan, requires_grad=True)"),
        ],
    )
    def test_shows_value_and_what_is_not_usual(self, x: tg.Tensor, text: str) -> None:
        assert repr(x) == text

    def test_of_a_large_tensor_is_short(self) -> None:
        assert len(repr(tg.tensor(np.zeros((1000, 1000))))) < 500

    def test_aligns_rows(self) -> None:
        assert repr(tg.tensor([[1.0, 2.0], [3.0, 4.0]])).splitlines() == [
            "tensor([[1., 2.],",
            "        [3., 4.]])",
        ]


class TestText:
    def test_of_one_element_is_formatted_like_a_number(self) -> None:
        assert f"{tg.scalar(2.0):.3f}" == f"{tg.tensor([2.0]):.3f}" == "2.000"
        assert f"{tg.tensor([1.0, 2.0])}" == "tensor([1., 2.])"

    def test_of_several_elements_has_no_number_format(self) -> None:
        with pytest.raises(tg.errors.ShapeError, match="2 elements"):
            f"{tg.tensor([1.0, 2.0]):.3f}"


def test_tensors_with_a_gradient_are_not_written_into_and_say_what_to_do_instead() -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
    with pytest.raises(tg.errors.GradientError, match=r"(?s)x\.at\[index\]\.set.*where.*x \(2,\)"):
        x[0] = 3.0
