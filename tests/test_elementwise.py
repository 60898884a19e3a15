"""Elementwise ops at the edges: IEEE 754, large numbers, kinks; Python floats follow NumPy."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab.errors import DTypeError

Op = Callable[..., tg.Tensor]

UNARY: dict[str, Op] = {
    name: getattr(tg, name)
    for name in [
        *("positive", "negative", "reciprocal", "abs", "square", "sqrt"),
        *("exp", "expm1", "log", "log1p", "log2", "log10", "erf", "erfc"),
        *("rsqrt", "exp2", "erfinv", "lgamma", "digamma", "i0", "i1", "sinc"),
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
        *("fmod", "fmax", "fmin", "heaviside", "logaddexp2", "xlogy"),
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
    """Return the value and the gradients of an op, for inputs made by ``make``."""
    inputs = [make(number) for number in numbers]
    out = op(*inputs)
    if out.requires_grad:
        out.backward()
    return [out.item(), *(0.0 if x.grad is None else x.grad.item() for x in inputs)]


def array(number: float) -> tg.Tensor:
    return tg.tensor(np.float64(number), requires_grad=True)


def _normal_cdf(x: Any) -> Any:
    from scipy.special import ndtr

    return ndtr(x)


def _of_scipy(name: str, *arrays: Any) -> Any:
    from scipy import special

    return getattr(special, name)(*arrays)


def _floor_divide(x: Any, y: Any) -> Any:
    """As the standard has it; NumPy's inf // 2 is NaN."""
    return np.where(np.isinf(x) & np.isfinite(y), x / y, np.floor_divide(x, y))


REFERENCES: dict[str, Callable[..., Any]] = {
    "floor_divide": _floor_divide,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    **{name: partial(_of_scipy, name) for name in ("erfinv", "digamma", "i0", "i1", "xlogy")},
    "lgamma": partial(_of_scipy, "gammaln"),
    "erf": np.vectorize(math.erf),
    "erfc": np.vectorize(math.erfc),
    "sigmoid": lambda x: np.exp(-np.logaddexp(0, -x)),
    "softplus": lambda x: np.logaddexp(0, x),
    "log_sigmoid": lambda x: -np.logaddexp(0, -x),
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "elu": lambda x: np.where(x > 0, x, np.expm1(np.where(x > 0, 0, x))),
    "silu": lambda x: x * np.exp(-np.logaddexp(0, -x)),
    "gelu": lambda x: x * _normal_cdf(x),
    "imag": np.zeros_like,
    "clip": np.maximum,
}
"""Reference functions; for all others, NumPy has one of the same name."""


class TestValues:
    @every_unary
    def test_of_functions_of_one_input_are_those_of_numpy(self, name: str) -> None:
        x = np.concatenate([np.random.default_rng(0).normal(0, 3, 50), SPECIAL, [30.0, -30.0]])
        with np.errstate(all="ignore"):
            expected = REFERENCES.get(name, getattr(np, name, None))(x)
            found = UNARY[name](tg.tensor(x)).numpy()
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-300)
        zeros = expected == 0
        np.testing.assert_array_equal(np.signbit(found[zeros]), np.signbit(expected[zeros]))

    @every_binary
    def test_of_functions_of_two_inputs_are_those_of_numpy(self, name: str) -> None:
        x, y = np.random.default_rng(0).normal(0, 3, (2, 50))
        x, y = np.concatenate([x, np.repeat(SPECIAL, 12)]), np.concatenate([y, SPECIAL * 12])
        with np.errstate(all="ignore"):
            expected = REFERENCES.get(name, getattr(np, name, None))(x, y)
            found = BINARY[name](tg.tensor(x), tg.tensor(y)).numpy()
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-13, atol=1e-300)

    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_of_gelu_are_exact_in_the_tail(self, make: Callable[[float], tg.Tensor]) -> None:
        assert tg.gelu(make(-10.0)).item() == pytest.approx(-7.61985302416e-23, rel=1e-10)

    @given(x=st.floats(-30, 30))
    def test_of_gelu_by_tanh_are_those_of_the_formula(self, x: float) -> None:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        found = tg.gelu(tg.scalar(x), approximate="tanh").item()
        assert found == pytest.approx(0.5 * x * (1 + math.tanh(inner)), rel=1e-9, abs=1e-13)

    def test_of_rounding_go_to_the_even_number_and_keep_the_sign_of_zero(self) -> None:
        halves, even = [0.5, 1.5, 2.5, -0.5, -1.5], [0.0, 2.0, 2.0, -0.0, -2.0]
        found = tg.round(tg.tensor(halves)).tolist()
        assert found == even == [tg.round(tg.scalar(x)).item() for x in halves]
        for op in (tg.round, tg.ceil, tg.trunc):
            for zero in (op(tg.tensor(-0.4)), op(tg.scalar(-0.4)), op(tg.scalar(-0.0))):
                assert tg.signbit(zero)

    def test_of_atan2_tell_the_quadrants_and_the_zeros_apart(self) -> None:
        ys, xs = [1.0, 1.0, -1.0, -1.0, 0.0, -0.0], [1.0, -1.0, -1.0, 1.0, -1.0, -1.0]
        quarters = [1, 3, -3, -1, 4, -4]
        for make in (tg.scalar, array):
            found = [tg.atan2(make(y), make(x)).item() for y, x in zip(ys, xs, strict=True)]
            assert found == pytest.approx([n * math.pi / 4 for n in quarters])

    def test_of_clip_take_bounds_that_are_numbers_arrays_or_left_out(self) -> None:
        x, low = tg.tensor([-2.0, 0.5, 3.0]), tg.tensor([[0.0], [1.0]])
        assert tg.clip(x).tolist() == [-2.0, 0.5, 3.0]
        assert tg.clip(x, 0).tolist() == x.clip(min=0.0).tolist() == [0.0, 0.5, 3.0]
        assert tg.clip(x, max=0).tolist() == [-2.0, 0.0, 0.0]
        assert tg.clip(x, low, 2).tolist() == [[0.0, 0.5, 2.0], [1.0, 1.0, 2.0]]
        assert tg.clip(x, 2, 1).tolist() == [1.0, 1.0, 1.0]
        assert tg.clip(0.5, low, None).dtype == np.float32
        assert tg.clip(tg.tensor([1, 5]), 2, 3).tolist() == [2, 3]


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
            (lambda: tg.reciprocal(tg.scalar(-0.0)), -math.inf),
            (lambda: tg.log2(tg.scalar(0.0)), -math.inf),
            (lambda: tg.log10(tg.scalar(-1.0)), math.nan),
            (lambda: tg.asin(tg.scalar(2.0)), math.nan),
            (lambda: tg.acosh(tg.scalar(0.5)), math.nan),
            (lambda: tg.atanh(tg.scalar(1.0)), math.inf),
            (lambda: tg.cosh(tg.scalar(-1000.0)), math.inf),
            (lambda: tg.tan(tg.scalar(math.inf)), math.nan),
            (lambda: tg.hypot(tg.scalar(1e200), 1e200), math.sqrt(2) * 1e200),
            (lambda: tg.round(tg.scalar(math.inf)), math.inf),
            (lambda: tg.trunc(tg.scalar(math.nan)), math.nan),
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

    def test_beside_integers_stay_floats(self) -> None:
        x = tg.scalar(-1.0)
        results = [tg.maximum(x, 0), tg.minimum(0, x), tg.clip(x, 0), tg.where(x < 0, 0, x)]
        assert [type(result.data) for result in results] == [float] * 4

    def test_that_are_integers_stay_integers(self) -> None:
        seven = tg.scalar(7.5).detach().astype(tg.int64)
        results = [tg.floor(seven), tg.round(seven), tg.sign(seven), seven & 3, 1 << seven]
        results += [seven // 0, seven % 0, ~seven]
        assert [result.item() for result in results] == [7, 7, 1, 3, 128, 0, 0, -8]
        assert {type(result.data) for result in results} == {int}

    def test_compared_are_booleans_for_logic_and_bits(self) -> None:
        x = tg.scalar(2.0)
        assert ((x > 1) & (x < 3)).data is True
        assert (~(x > 1)).data is ((x > 1) ^ True).data is False

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


STABLE: dict[str, Op] = {
    name: UNARY[name]
    for name in [
        *("tanh", "sigmoid", "softplus", "log_sigmoid", "relu", "leaky_relu", "elu", "silu"),
        *("gelu", "erf", "erfc", "atan", "asinh"),
    ]
}


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

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    @pytest.mark.parametrize("x", [1000.0, -1000.0])
    @pytest.mark.parametrize("name", [*STABLE, "gelu by tanh"])
    def test_have_finite_derivatives_of_first_and_second_order(
        self, name: str, x: float, dtype: Any
    ) -> None:
        # Warnings are errors here, so nothing overflows on the way either.
        op = STABLE.get(name, lambda x: tg.gelu(x, approximate="tanh"))
        for at in (tg.tensor(np.asarray(x, dtype)), x):
            for order in (tg.grad(op), tg.grad(tg.grad(op))):
                assert math.isfinite(order(at).item())

    def test_do_not_overflow_on_the_way_to_a_length_an_angle_or_a_sum(self) -> None:
        huge = 1e30  # its square overflows float32
        x, y = (tg.tensor(np.float32(huge), requires_grad=True) for _ in range(2))
        (
            tg.hypot(x, y) + tg.logaddexp(x, y) + huge * tg.atan2(y, x) + huge * tg.asinh(x)
        ).backward()
        root = math.sqrt(0.5)
        assert x.grad is not None
        assert y.grad is not None
        assert x.grad.item() == pytest.approx(root + 0.5 - 0.5 + 1)
        assert y.grad.item() == pytest.approx(root + 0.5 + 0.5)

    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_of_logaddexp_share_the_gradient_by_size(
        self, make: Callable[[float], tg.Tensor]
    ) -> None:
        inf = math.inf
        assert run(tg.logaddexp, make, 1000.0, -1000.0) == [1000.0, 1.0, 0.0]
        assert run(tg.logaddexp, make, -inf, 3.0) == [3.0, 0.0, 1.0]
        assert run(tg.logaddexp, make, -inf, -inf) == [-inf, 0.5, 0.5]
        assert run(tg.logaddexp, make, inf, inf) == [inf, 0.5, 0.5]
        hessian = tg.hessian(lambda x: tg.logaddexp(x[0], x[1]))(tg.tensor([1000.0, 1000.0]))
        assert hessian.tolist() == [[0.25, -0.25], [-0.25, 0.25]]

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
            (lambda x: x**2, 0.0),
            (lambda x: x**2.5, 0.0),
            (lambda x: 2.0**x, math.log(2)),
            (lambda x: 0.0**x, 0.0),
            (lambda x: tg.hypot(x, 0.0), 0.0),
            (lambda x: tg.hypot(0.0, x), 0.0),
            (lambda x: tg.hypot(x, x), 0.0),
            (lambda x: tg.atan2(x, 0.0), 0.0),
            (lambda x: tg.atan2(0.0, x), 0.0),
            (lambda x: tg.copysign(x, -1.0), 0.0),
            (lambda x: tg.copysign(1.0, x), 0.0),
            (lambda x: tg.nextafter(x, 1.0), 1.0),
            (lambda x: tg.nextafter(1.0, x), 0.0),
            (lambda x: tg.clip(x, x, 1.0), 1.0),
            (lambda x: tg.clip(1.0, max=x), 1.0),
            (lambda x: tg.clip(-1.0, min=x), 1.0),
            (lambda x: tg.clip(0.0, min=x), 0.0),
            (lambda x: x % 1.0, 1.0),
        ],
    )
    def test_have_the_slope_that_is_documented_at_zero(
        self, op: Op, slope: float, make: Callable[[float], tg.Tensor]
    ) -> None:
        assert run(op, make, 0.0)[1] == slope

    @pytest.mark.parametrize(
        ("op", "second"),
        [
            (tg.hypot, math.nan),
            (tg.atan2, math.nan),
            (tg.copysign, 0.0),
            (lambda x, y: tg.abs(x * y), 0.0),
        ],
    )
    def test_at_the_origin_are_flat_to_the_first_order(self, op: Op, second: float) -> None:
        def f(x: tg.Tensor) -> tg.Tensor:
            return op(x[0], x[1])

        origin = tg.tensor([0.0, 0.0])
        assert tg.grad(f)(origin).tolist() == [0.0, 0.0]
        np.testing.assert_array_equal(tg.hessian(f)(origin).tolist(), np.full((2, 2), second))

    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_copysign_turns_the_gradient_where_the_signs_differ(
        self, make: Callable[[float], tg.Tensor]
    ) -> None:
        pairs = [(2.0, 3.0), (2.0, -0.0), (-2.0, 0.0), (-2.0, -1.0)]
        found = [run(tg.copysign, make, *pair) for pair in pairs]
        assert found == [[2.0, 1.0, 0.0], [-2.0, -1.0, 0.0], [2.0, -1.0, 0.0], [-2.0, 1.0, 0.0]]

    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_clip_gives_its_gradient_to_what_it_returns(
        self, make: Callable[[float], tg.Tensor]
    ) -> None:
        takers = {-2.0: [0, 1, 0], -1.0: [1, 0, 0], 0.5: [1, 0, 0], 1.0: [1, 0, 0], 3.0: [0, 0, 1]}
        for x, shares in takers.items():
            assert run(tg.clip, make, x, -1.0, 1.0)[1:] == shares

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

    @pytest.mark.parametrize(
        ("op", "at", "slope"),
        [
            (tg.sqrt, 0.0, math.inf),
            (tg.log, 0.0, math.inf),
            (tg.log2, 0.0, math.inf),
            (tg.log10, 0.0, math.inf),
            (tg.log1p, -1.0, math.inf),
            (tg.asin, 1.0, math.inf),
            (tg.asin, -1.0, math.inf),
            (tg.acos, 1.0, -math.inf),
            (tg.acosh, 1.0, math.inf),
            (tg.atanh, -1.0, math.inf),
        ],
    )
    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_where_a_slope_is_infinite_it_says_so(
        self, op: Op, at: float, slope: float, make: Callable[[float], tg.Tensor]
    ) -> None:
        with np.errstate(divide="ignore"):
            assert run(op, make, at)[1] == slope


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


class TestIntegersAndBooleans:
    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int32, np.int64, np.uint64])
    @pytest.mark.parametrize(
        "name",
        [
            *("positive", "abs", "square", "sign", "floor", "ceil", "round", "trunc"),
            *("real", "imag", "conj"),
        ],
    )
    def test_integers_stay_of_their_dtype(self, name: str, dtype: Any) -> None:
        x = np.array([0, 1, 5, 11], dtype)
        found = UNARY[name](tg.tensor(x))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), REFERENCES.get(name, getattr(np, name))(x))

    @pytest.mark.parametrize("dtypes", [(np.int8, np.int32), (np.uint8, np.int8), (bool, bool)])
    @pytest.mark.parametrize("name", ["bitwise_and", "bitwise_or", "bitwise_xor"])
    def test_bits_are_those_of_numpy(self, name: str, dtypes: tuple[Any, Any]) -> None:
        x, y = np.array([0, 1, 6, 7]).astype(dtypes[0]), np.array([1, 3, 3, 0]).astype(dtypes[1])
        found = getattr(tg, name)(tg.tensor(x), tg.tensor(y))
        expected = getattr(np, name)(x, y)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found.numpy(), expected)

    @pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
    def test_operators_on_bits_are_those_of_numpy_from_either_side(self, dtype: Any) -> None:
        data = np.array([0, 1, 1]).astype(dtype)
        x, one = tg.tensor(data), dtype(1)
        number = one if dtype is bool else 1
        for found, expected in [
            (x & number, data & one),
            (number & x, one & data),
            (x | number, data | one),
            (number | x, one | data),
            (x ^ number, data ^ one),
            (number ^ x, one ^ data),
            (~x, ~data),
            (data & x, data),
        ]:
            assert found.dtype == dtype
            np.testing.assert_array_equal(found.numpy(), expected)
        if dtype is not bool:
            assert (x << 2).tolist() == [0, 4, 4]
            assert (2 << x).tolist() == [2, 4, 4]
            assert (tg.tensor([-8, 8]) >> 1).tolist() == [-4, 4]
            assert (8 >> x).tolist() == [8, 4, 4]

    @pytest.mark.parametrize(
        "function",
        [
            lambda x: x & 1,
            lambda x: 1 | x,
            lambda x: x ^ x,
            lambda x: ~x,
            lambda x: x << 1,
            lambda x: 1 >> x,
        ],
    )
    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_floats_have_no_bits(self, function: Op, make: Callable[[float], tg.Tensor]) -> None:
        with pytest.raises(DTypeError, match=r"integers or booleans, got .*float.*\(x > 0\) &"):
            function(make(2.0))

    def test_division_of_integers_by_zero_is_that_of_numpy(self) -> None:
        x = tg.tensor([5, -5])
        with np.errstate(divide="ignore"):
            assert (x // 0).tolist() == (x % 0).tolist() == [0, 0]
            assert (x / 0).tolist() == [math.inf, -math.inf]


COMPLEX = np.array([1 + 2j, -0.5 + 0.25j, -3j, 2.0])


class TestComplexNumbers:
    @pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
    @pytest.mark.parametrize(
        "name",
        [
            *("positive", "negative", "reciprocal", "abs", "square", "sqrt", "sign", "round"),
            *("exp", "expm1", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "asin", "acos"),
            *("atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "real", "imag", "conj"),
            *("isnan", "isinf", "isfinite", "logical_not"),
        ],
    )
    def test_go_forward_as_in_numpy(self, name: str, dtype: Any) -> None:
        z = COMPLEX.astype(dtype)
        found = UNARY[name](z).data
        expected = getattr(np, name)(z)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6)

    @pytest.mark.parametrize(
        "name", ["add", "subtract", "multiply", "divide", "pow", "equal", "not_equal"]
    )
    def test_meet_real_numbers_as_in_numpy(self, name: str) -> None:
        for x, y in [(COMPLEX, COMPLEX[::-1]), (COMPLEX, 2.0), (2, COMPLEX)]:
            found = BINARY[name](x, y).data
            np.testing.assert_allclose(found, getattr(np, name)(x, y), rtol=1e-12)

    @pytest.mark.parametrize(
        ("function", "slope"),
        [
            (lambda x: x * COMPLEX[:2], COMPLEX[:2].real.sum()),
            (lambda x: COMPLEX[:2] - x, -2.0),
            (lambda x: tg.where(x > 0, x, COMPLEX[:2]), 2.0),
        ],
    )
    @pytest.mark.parametrize("make", [tg.scalar, array])
    def test_give_a_real_input_the_real_part_of_the_gradient(
        self, function: Op, slope: float, make: Callable[[float], tg.Tensor]
    ) -> None:
        x = make(3.0)
        z = function(x)
        assert z.dtype == np.complex128
        tg.sum(tg.real(z)).backward()
        assert x.grad is not None
        assert (x.grad.item(), x.grad.dtype) == (slope, x.dtype)

    def test_are_a_type_to_cast_to(self) -> None:
        x = tg.tensor([1.0], requires_grad=True)
        tg.imag(x.astype(np.complex64) * 2j).sum().backward()
        assert x.grad is not None
        assert (x.grad.tolist(), x.grad.dtype) == ([2.0], np.float32)
        with pytest.raises(DTypeError, match="Python number is real"):
            tg.scalar(1.0).astype(np.complex64)

    def test_stand_beside_a_gradient_where_the_result_is_none(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        assert not (x == COMPLEX[:2]).requires_grad
        (x * tg.abs(COMPLEX[:2])).sum().backward()
        assert x.grad is not None
        np.testing.assert_allclose(x.grad.numpy(), np.abs(COMPLEX[:2]), rtol=1e-6)

    @pytest.mark.parametrize("name", ["floor", "trunc", "copysign", "hypot"])
    def test_are_refused_by_functions_of_real_numbers(self, name: str) -> None:
        op = UNARY.get(name) or (lambda z: BINARY[name](z, 1.0))
        with pytest.raises(DTypeError, match="real numbers, got complex"):
            op(COMPLEX)

    def test_parts_of_real_numbers_pass_on_the_gradient_that_they_have(self) -> None:
        x = tg.tensor([1.0, -2.0], requires_grad=True)
        (3 * tg.real(x) + tg.conj(x) + tg.imag(x)).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [4.0, 4.0]
        assert not tg.imag(x).requires_grad


class TestNanToNum:
    """``tg.nan_to_num`` of what is not finite; ``test_properties.py`` has the rest."""

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    @pytest.mark.parametrize("settings", [{}, {"nan": 1.5}, {"posinf": 2.0, "neginf": -3.0}])
    def test_is_numpys(self, dtype: str, settings: dict[str, float]) -> None:
        x = np.array([1.0, -0.0, np.nan, np.inf, -np.inf, 2.5], dtype)
        found = tg.nan_to_num(tg.tensor(x), **settings)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.numpy(), np.nan_to_num(x, **settings))

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 2.0])
    def test_of_a_python_float(self, value: float) -> None:
        assert tg.nan_to_num(tg.scalar(value)).item() == np.nan_to_num(value)

    def test_the_gradient_goes_to_finite_elements(self) -> None:
        x = tg.tensor([1.0, math.nan, math.inf, -math.inf], requires_grad=True)
        tg.nan_to_num(x, posinf=1.0, neginf=0.0).sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [1.0, 0.0, 0.0, 0.0]

    def test_integers_stay_and_complex_numbers_are_refused(self) -> None:
        assert tg.nan_to_num(tg.tensor([1, 2])).tolist() == [1, 2]
        with pytest.raises(DTypeError, match="nan_to_num"):
            tg.nan_to_num(tg.tensor([1j]))
