"""Elementwise ops at the edges: IEEE 754, large numbers, kinks; Python floats do as NumPy does."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinygrad_lab as tg

Op = Callable[..., tg.Tensor]

UNARY: dict[str, Op] = {
    name: getattr(tg, name)
    for name in [
        *("positive", "negative", "reciprocal", "abs", "square", "sqrt"),
        *("exp", "expm1", "log", "log1p", "log2", "log10", "erf", "erfc"),
        *("sin", "cos", "tan", "asin", "acos", "atan"),
        *("sinh", "cosh", "tanh", "asinh", "acosh", "atanh"),
        *("sigmoid", "softplus", "log_sigmoid", "relu", "leaky_relu", "elu", "silu", "gelu"),
        *("sign", "floor", "ceil", "round", "trunc", "real", "imag", "conj"),
        *("isnan", "isinf", "isfinite", "signbit", "logical_not", "zeros_like", "ones_like"),
    ]
}
BINARY: dict[str, Op] = {
    name: getattr(tg, name)
    for name in [
        *("add", "subtract", "multiply", "divide", "floor_divide", "remainder", "pow"),
        *("hypot", "atan2", "logaddexp", "copysign", "nextafter", "maximum", "minimum", "clip"),
        *("equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
        *("logical_and", "logical_or", "logical_xor"),
    ]
}
WANT_AXES: dict[str, Op] = {
    "matmul": lambda x: x @ x,
    "matrix_transpose": lambda x: x.mT,
    "index": lambda x: x[0],
    "argmax": lambda x: tg.argmax(x, axis=0),
    "sum": lambda x: tg.sum(x, axis=0),
    "expand_dims": lambda x: tg.expand_dims(x, axis=0),
    "stack": lambda x: tg.stack([x, x]),
    "concat": lambda x: tg.concat([x, x]),
    "unstack": tg.unstack,
    "flip": lambda x: tg.flip(x, axis=0),
    "squeeze": lambda x: tg.squeeze(x, axis=0),
    "permute_dims": lambda x: tg.permute_dims(x, axes=(0,)),
    "reshape": lambda x: x.reshape(1),
    "broadcast_to": lambda x: tg.broadcast_to(x, shape=(2,)),
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1000.0, -1000.0, 1e308, math.inf, -math.inf, math.nan]
any_float = st.floats(width=64) | st.sampled_from(SPECIAL)

every_unary = pytest.mark.parametrize("name", UNARY)
every_binary = pytest.mark.parametrize("name", BINARY)


def run(op: Op, make: Callable[[float], tg.Tensor], *numbers: float) -> list[float]:
    """The value of an op and its gradients, of inputs of one kind."""
    inputs = [make(number) for number in numbers]
    out = op(*inputs)
    if out.requires_grad:
        out.backward()
    return [out.item(), *(0.0 if x.grad is None else x.grad.item() for x in inputs)]


def array(number: float) -> tg.Tensor:
    return tg.tensor(np.float64(number), requires_grad=True)


class TestPythonFloats:
    @every_unary
    @given(x=any_float)
    def test_give_what_numpy_gives_through_ops_of_one_input(self, name: str, x: float) -> None:
        with np.errstate(all="ignore"):
            expected = run(UNARY[name], array, x)
        np.testing.assert_allclose(
            run(UNARY[name], tg.scalar, x), expected, rtol=1e-12, atol=1e-300
        )

    @every_binary
    @given(x=any_float, y=any_float)
    def test_give_what_numpy_gives_through_ops_of_two_inputs(
        self, name: str, x: float, y: float
    ) -> None:
        with np.errstate(all="ignore"):
            expected = run(BINARY[name], array, x, y)
        found = run(BINARY[name], tg.scalar, x, y)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-300)

    @every_unary
    @given(x=any_float)
    def test_stay_python_numbers(self, name: str, x: float) -> None:
        out = UNARY[name](tg.scalar(x))
        assert type(out.data) in (float, bool)
        if out.requires_grad:
            leaf = tg.scalar(x)
            UNARY[name](leaf).backward()
            assert leaf.grad is not None
            assert type(leaf.grad.data) is float

    @pytest.mark.parametrize(
        ("function", "expected"),
        [
            (lambda: tg.scalar(1.0) / 0, math.inf),
            (lambda: tg.scalar(-1.0) / 0.0, -math.inf),
            (lambda: 0 / tg.scalar(0.0), math.nan),
            (lambda: tg.scalar(-1.0) ** 0.5, math.nan),
            (lambda: tg.scalar(-8.0) ** (1 / 3), math.nan),
            (lambda: tg.scalar(0.0) ** -1, math.inf),
            (lambda: tg.scalar(10.0) ** 400, math.inf),
            (lambda: tg.scalar(5.0) % 0, math.nan),
            (lambda: tg.scalar(5.0) // 0, math.inf),
            (lambda: tg.exp(tg.scalar(1000.0)), math.inf),
            (lambda: tg.expm1(tg.scalar(1000.0)), math.inf),
            (lambda: tg.log(tg.scalar(0.0)), -math.inf),
            (lambda: tg.log(tg.scalar(-1.0)), math.nan),
            (lambda: tg.log1p(tg.scalar(-1.0)), -math.inf),
            (lambda: tg.sqrt(tg.scalar(-1.0)), math.nan),
            (lambda: tg.sin(tg.scalar(math.inf)), math.nan),
            (lambda: tg.tanh(tg.scalar(1000.0)), 1.0),
            (lambda: tg.tanh(tg.scalar(-1000.0)), -1.0),
            (lambda: tg.floor(tg.scalar(math.inf)), math.inf),
        ],
    )
    def test_follow_ieee_754_and_never_raise_or_turn_complex(
        self, function: Callable[[], tg.Tensor], expected: float
    ) -> None:
        value = function().item()
        assert type(value) is float
        assert value == expected or (math.isnan(value) and math.isnan(expected))

    def test_go_through_reductions_and_softmax_as_single_numbers(self) -> None:
        x = tg.scalar(3.0)
        for op in (tg.sum, tg.mean, tg.max, tg.min, tg.prod, tg.logsumexp):
            assert op(x).item() == 3.0
        assert tg.var(x).item() == tg.std(x).item() == 0.0
        assert x.any().item() is x.all().item() is True

    @pytest.mark.parametrize("name", WANT_AXES)
    def test_have_no_axes_and_say_so(self, name: str) -> None:
        with pytest.raises((tg.errors.ShapeError, tg.errors.IndexingError), match=r"number|\(\)"):
            WANT_AXES[name](tg.scalar(3.0))


class TestLargeNumbers:
    @pytest.mark.parametrize("make", [tg.scalar, array])
    @pytest.mark.parametrize("x", [1000.0, -1000.0])
    @pytest.mark.parametrize(
        ("op", "values", "slopes"),
        [
            (tg.tanh, (1.0, -1.0), (0.0, 0.0)),
            (tg.sigmoid, (1.0, 0.0), (0.0, 0.0)),
            (tg.softplus, (1000.0, 0.0), (1.0, 0.0)),
            (tg.relu, (1000.0, 0.0), (1.0, 0.0)),
            (tg.elu, (1000.0, -1.0), (1.0, 0.0)),
            (tg.silu, (1000.0, 0.0), (1.0, 0.0)),
            (tg.gelu, (1000.0, 0.0), (1.0, 0.0)),
            (tg.erf, (1.0, -1.0), (0.0, 0.0)),
        ],
    )
    def test_do_not_overflow(
        self,
        op: Op,
        values: tuple[float, float],
        slopes: tuple[float, float],
        x: float,
        make: Callable[[float], tg.Tensor],
    ) -> None:
        side = 0 if x > 0 else 1
        value, slope = run(op, make, x)
        assert value == pytest.approx(values[side], abs=1e-300)
        assert slope == pytest.approx(slopes[side], abs=1e-300)

    @pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0, 1e6])
    def test_softmax_and_its_kin_do_not_depend_on_a_shift(self, shift: float) -> None:
        near = np.array([[1.0, 2.0, 4.0]])
        x, y = (tg.tensor(near + s, requires_grad=True) for s in (0.0, shift))
        np.testing.assert_allclose(
            tg.softmax(y).detach().numpy(), tg.softmax(x).detach().numpy(), rtol=1e-9
        )
        np.testing.assert_allclose(
            tg.log_softmax(y).detach().numpy(), tg.log_softmax(x).detach().numpy(), rtol=1e-9
        )
        tg.logsumexp(y).backward()
        assert y.grad is not None
        np.testing.assert_allclose(y.grad.numpy(), tg.softmax(x).detach().numpy(), rtol=1e-9)
        labels = tg.tensor([2])
        losses = [tg.cross_entropy(one, labels).item() for one in (x, y)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)

    def test_softmax_of_far_apart_numbers_is_one_and_zero(self) -> None:
        x = tg.tensor([1000.0, 0.0, -1000.0], requires_grad=True)
        assert tg.softmax(x).tolist() == [1.0, 0.0, 0.0]
        assert tg.log_softmax(x).tolist() == [0.0, -1000.0, -2000.0]
        tg.log_softmax(x)[2].backward()
        assert x.grad is not None
        assert x.grad.tolist() == [-1.0, 0.0, 1.0]

    def test_logsumexp_takes_infinities(self) -> None:
        assert tg.logsumexp(tg.tensor([-math.inf, 3.0])).item() == 3.0
        with np.errstate(divide="ignore"):
            assert tg.logsumexp(tg.tensor([-math.inf, -math.inf])).item() == -math.inf
        with np.errstate(over="ignore"):
            assert tg.logsumexp(tg.tensor([math.inf, 3.0])).item() == math.inf

    @given(x=st.floats(-700, 700))
    @example(x=40.0)
    @example(x=-40.0)
    def test_sigmoid_and_softplus_are_exact_to_the_last_digits(self, x: float) -> None:
        e = math.exp(-abs(x))
        logistic = 1 / (1 + e) if x >= 0 else e / (1 + e)
        assert tg.sigmoid(tg.scalar(x)).item() == pytest.approx(logistic, rel=1e-14)
        expected = max(x, 0.0) + math.log1p(e)
        assert tg.softplus(tg.scalar(x)).item() == pytest.approx(expected, rel=1e-14)

    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_infinities_go_through_softplus_and_relu(
        self, make: Callable[[float], tg.Tensor]
    ) -> None:
        for op in (tg.softplus, tg.relu):
            assert [op(make(x)).item() for x in (math.inf, -math.inf)] == [math.inf, 0.0]

    def test_exact_near_zero(self) -> None:
        tiny = 1e-18
        assert tg.expm1(tg.scalar(tiny)).item() == tiny
        assert tg.log1p(tg.scalar(tiny)).item() == tiny


class TestKinks:
    @pytest.mark.parametrize("make", [tg.scalar, array])
    @pytest.mark.parametrize(
        ("op", "slope"),
        [
            (tg.relu, 0.0),
            (tg.abs, 0.0),
            (tg.elu, 1.0),
            (lambda x: tg.elu(x, alpha=0.5), 0.5),
            (tg.leaky_relu, 0.01),
            (lambda x: tg.clip(x, min=0.0), 1.0),
            (lambda x: tg.clip(x, max=0.0), 1.0),
            (lambda x: tg.maximum(x, 0.0), 0.5),
            (lambda x: tg.minimum(0.0, x), 0.5),
            (lambda x: tg.maximum(x, x), 1.0),
            (lambda x: tg.where(x > 0, 2 * x, 3 * x), 3.0),
            (lambda x: x**0, 0.0),
            (lambda x: x**1, 1.0),
        ],
    )
    def test_have_the_slope_that_is_documented_at_zero(
        self, op: Op, slope: float, make: Callable[[float], tg.Tensor]
    ) -> None:
        assert run(op, make, 0.0)[1] == slope

    def test_ties_of_maximum_and_minimum_share_the_gradient(self) -> None:
        for op in (tg.maximum, tg.minimum):
            assert run(op, tg.scalar, 2.0, 2.0)[1:] == run(op, array, 2.0, 2.0)[1:] == [0.5, 0.5]

    def test_where_passes_nothing_to_the_side_that_was_not_taken(self) -> None:
        x = tg.tensor([0.0, 4.0], requires_grad=True)
        safe = tg.where(x > 0, x, 1.0)
        tg.where(x > 0, tg.sqrt(safe), 0.0).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [0.0, 0.25]

    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_relu_hands_on_no_gradient_where_it_is_flat_even_an_infinite_one(
        self, make: Callable[[float], tg.Tensor]
    ) -> None:
        x = make(-1.0)
        tg.relu(x).backward(gradient=math.inf)
        assert x.grad is not None
        assert x.grad.item() == 0.0

    @pytest.mark.parametrize(
        "op", [tg.relu, tg.leaky_relu, tg.elu, tg.abs, lambda x: tg.clip(x, 0.0, 1.0), tg.sign]
    )
    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_nan_is_not_hidden(self, op: Op, make: Callable[[float], tg.Tensor]) -> None:
        assert math.isnan(op(make(math.nan)).item())

    def test_where_a_slope_is_infinite_it_says_so(self) -> None:
        assert run(tg.sqrt, tg.scalar, 0.0)[1] == math.inf
        assert run(tg.log, tg.scalar, 0.0)[1] == math.inf


ORDERS: dict[str, Callable[[Any], Any]] = {
    "as it is": lambda a: a,
    "transposed": lambda a: np.ascontiguousarray(a.T).T,
    "backwards": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "every other": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
}


class TestMemoryOrder:
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("of_gradient", ORDERS)
    @pytest.mark.parametrize("of_input", ORDERS)
    def test_does_not_matter_to_relu(self, of_input: str, of_gradient: str, dtype: Any) -> None:
        array = np.array([[-1.0, 2.0, 0.0], [3.0, -0.0, np.nan]], dtype)
        g = np.array([[1.0, 2.0, np.inf], [-np.inf, np.nan, 6.0]], dtype)
        x = tg.tensor(array, requires_grad=True)
        x.data = ORDERS[of_input](array)
        given = tg.tensor(g)
        given.data = ORDERS[of_gradient](g)
        out = tg.relu(x)
        np.testing.assert_array_equal(out.detach().numpy(), np.maximum(array, 0))
        out.backward(gradient=given)
        assert x.grad is not None
        np.testing.assert_array_equal(x.grad.numpy(), np.where(array > 0, g, 0))

    def test_of_a_gradient_that_is_one_number_repeated_does_not_either(self) -> None:
        x = tg.tensor([[-1.0, 2.0], [3.0, -4.0]], requires_grad=True)
        tg.relu(x).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 1.0], [1.0, 0.0]]


class TestPythonNumbersBesideArrays:
    @every_binary
    @pytest.mark.parametrize("number", [2, 2.5, True])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_never_widen_them(self, name: str, number: float, dtype: Any) -> None:
        x = tg.tensor(np.array([1.0, 2.0], dtype), requires_grad=True)
        for out in (BINARY[name](x, number), BINARY[name](number, x)):
            assert out.dtype in (dtype, np.bool_)
            if out.requires_grad:
                x.grad = None
                out.sum().backward()
                assert x.grad is not None
                assert x.grad.dtype == dtype

    def test_that_are_tensors_do_not_either_and_get_python_gradients(self) -> None:
        s, x = tg.scalar(2.0), tg.tensor([1.0, 3.0], requires_grad=True)
        out = s * x + x / s
        assert out.dtype == np.float32
        out.sum().backward()
        assert x.grad is not None
        assert s.grad is not None
        assert x.grad.dtype == np.float32
        assert type(s.grad.data) is float
        assert s.grad.item() == 3.0

    @pytest.mark.parametrize("swapped", [False, True])
    @pytest.mark.parametrize("name", BINARY)
    def test_get_the_derivatives_of_any_order_that_arrays_would_get(
        self, name: str, swapped: bool
    ) -> None:
        x = np.array([0.5, 2.0, 3.0])

        def f(s: tg.Tensor, x: tg.Tensor) -> tg.Tensor:
            out = BINARY[name](x, s) if swapped else BINARY[name](s, x)
            return (out.astype(tg.float64) * (s * x)).sum()

        for transform in (tg.grad, tg.hessian):
            for argument in (0, 1):
                found = transform(f, argument)(1.7, tg.tensor(x))
                expected = transform(f, argument)(np.float64(1.7), tg.tensor(x))
                np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-12)
                assert argument == 1 or type(found.data) is float
