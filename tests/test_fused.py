"""Fused ops: kernels compute what their composites compute; second derivatives are right."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from scipy import special

import tinygrad_lab as tg
from tinygrad_lab.backends import NUMPY
from tinygrad_lab.context import changed
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    IndexingError,
    ShapeError,
    TinygradLabError,
)

Array = np.ndarray[Any, Any]

CONVOLUTIONS = ["conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"]
POOLINGS = ["max_pool1d", "max_pool2d"]
FUSED = ["linear", *CONVOLUTIONS, *POOLINGS, "gru", "cross_entropy"]
unhurried = settings(deadline=None, max_examples=30)
few = settings(deadline=None, max_examples=12)
all_fused = pytest.mark.parametrize("op", FUSED)


@dataclass
class Case:
    """A call of a fused op: its float inputs; other arguments are bound in ``call``."""

    call: Callable[..., tg.Tensor]
    inputs: list[Array]

    def out_shape(self) -> tuple[int, ...]:
        return self.call(*self.inputs).shape

    def cotangent(self, seed: int = 7) -> Array:
        """Return a random cotangent of the output."""
        shape = self.out_shape()
        return np.asarray(np.random.default_rng(seed).normal(size=shape), self.inputs[0].dtype)


def numbers(draw: st.DrawFn, *shapes: tuple[int, ...], dtype: Any) -> list[Array]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def sizes(draw: st.DrawFn, *most: int) -> list[int]:
    return [draw(st.integers(1, largest)) for largest in most]


@st.composite
def linear_cases(draw: st.DrawFn, dtype: Any, small: bool) -> Case:
    outer = draw(st.lists(st.integers(1, 3), max_size=2 if small else 3))
    # Up to 32 output features, the kernel transposes the layout of its result.
    inner, out = sizes(draw, 3, 3) if small else sizes(draw, 6, 40)
    biases = [(out,)] if draw(st.booleans()) else []
    return Case(tg.linear, numbers(draw, (*outer, inner), (out, inner), *biases, dtype=dtype))


def per_axis(draw: st.DrawFn, axes: int, low: int, high: int) -> int | tuple[int, ...]:
    """Draw a setting: one integer for all axes, or one for each."""
    one = st.integers(low, high)
    return draw(one | st.tuples(*[one] * axes))


def each(setting: int | tuple[int, ...], axes: int) -> tuple[int, ...]:
    return (setting,) * axes if isinstance(setting, int) else setting


@st.composite
def conv_cases(draw: st.DrawFn, axes: int, dtype: Any, small: bool) -> Case:
    batch, groups, channels, out = sizes(draw, 2, 2, 2, 2) if small else sizes(draw, 3, 3, 3, 3)
    kernel = tuple(sizes(draw, *[2 if small else 3] * axes))
    stride = per_axis(draw, axes, 1, 2 if small else 3)
    dilation = per_axis(draw, axes, 1, 2)
    padding = per_axis(draw, axes, 0, 1 if small else 2)
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, each(dilation, axes), strict=True)]
    shortest = [max(1, n - 2 * p) for n, p in zip(reach, each(padding, axes), strict=True)]
    size = [n + draw(st.integers(0, 1 if small else 4)) for n in shortest]
    biases = [(groups * out,)] if draw(st.booleans()) else []
    shapes = (batch, groups * channels, *size), (groups * out, channels, *kernel)
    settings = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Case(
        lambda *arrays: getattr(tg, f"conv{axes}d")(*arrays, **settings),
        numbers(draw, *shapes, *biases, dtype=dtype),
    )


@st.composite
def conv_transpose_cases(draw: st.DrawFn, axes: int, dtype: Any, small: bool) -> Case:
    batch, groups, channels, out = sizes(draw, 2, 2, 2, 2) if small else sizes(draw, 3, 3, 3, 3)
    kernel = tuple(sizes(draw, *[2 if small else 3] * axes))
    stride = per_axis(draw, axes, 1, 2 if small else 3)
    dilation = per_axis(draw, axes, 1, 2)
    padding = per_axis(draw, axes, 0, 1 if small else 2)
    both = list(zip(each(stride, axes), each(dilation, axes), strict=True))
    output_padding = tuple(draw(st.integers(0, max(s, d) - 1)) for s, d in both)
    size = []
    for (s, d), k, p in zip(both, kernel, each(padding, axes), strict=True):
        shortest = 1
        while (shortest - 1) * s + d * (k - 1) + 1 <= 2 * p:
            shortest += 1
        size.append(shortest + draw(st.integers(0, 1 if small else 3)))
    biases = [(groups * out,)] if draw(st.booleans()) else []
    shapes = (batch, groups * channels, *size), (groups * channels, out, *kernel)
    settings = {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
        "groups": groups,
    }
    return Case(
        lambda *arrays: getattr(tg, f"conv_transpose{axes}d")(*arrays, **settings),
        numbers(draw, *shapes, *biases, dtype=dtype),
    )


@st.composite
def max_pool_cases(draw: st.DrawFn, axes: int, dtype: Any, small: bool) -> Case:
    lead = draw(st.lists(st.integers(1, 2), max_size=2))
    kernel = tuple(sizes(draw, *[2 if small else 3] * axes))
    settings = {
        "kernel_size": kernel,
        "stride": draw(st.none() | st.integers(1, 3)),
        "padding": tuple(draw(st.integers(0, k // 2)) for k in kernel),
    }
    size = [max(2, k) + draw(st.integers(0, 1 if small else 4)) for k in kernel]
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    # All different and far from each other, so the largest stays the largest over small steps.
    x = rng.permutation(np.prod([*lead, *size])).reshape(*lead, *size) / 4
    return Case(
        lambda x: getattr(tg, f"max_pool{axes}d")(x, **settings), [np.asarray(x, dtype=dtype)]
    )


def gru_shapes(
    batch: int, steps: int, features: int, hidden: int, directions: int
) -> list[tuple[int, ...]]:
    weights = [(3 * hidden, features), (3 * hidden, hidden), (3 * hidden,), (3 * hidden,)]
    return [(batch, steps, features), (directions, batch, hidden), *weights * directions]


@st.composite
def gru_cases(draw: st.DrawFn, dtype: Any, small: bool) -> Case:
    # Above 32 units and inputs the kernel runs its directions one after the other.
    most = (2, 2, 2, 2, 2) if small else (3, 4, 3, draw(st.sampled_from([3, 33])), 2)
    return Case(tg.gru, numbers(draw, *gru_shapes(*sizes(draw, *most)), dtype=dtype))


@st.composite
def cross_entropy_cases(draw: st.DrawFn, dtype: Any, small: bool) -> Case:
    rows, classes = sizes(draw, *((3, 3) if small else (8, 6)))
    labels = np.array(
        draw(st.lists(st.integers(0, classes - 1), min_size=rows, max_size=rows)),
        dtype=draw(st.sampled_from(["int64", "int32", "uint8"])),
    )
    (logits,) = numbers(draw, (rows, classes), dtype=dtype)
    return Case(lambda x: tg.cross_entropy(x, labels), [logits * 3])


CASES: dict[str, Any] = {
    "linear": linear_cases,
    "conv1d": partial(conv_cases, 1),
    "conv2d": partial(conv_cases, 2),
    "conv_transpose1d": partial(conv_transpose_cases, 1),
    "conv_transpose2d": partial(conv_transpose_cases, 2),
    "max_pool1d": partial(max_pool_cases, 1),
    "max_pool2d": partial(max_pool_cases, 2),
    "gru": gru_cases,
    "cross_entropy": cross_entropy_cases,
}


def cases(op: str, dtype: Any = "float64", *, small: bool = False) -> st.SearchStrategy[Case]:
    strategy: st.SearchStrategy[Case] = CASES[op](dtype, small)
    return strategy


def gradients(
    case: Case, g: Array, *, composing: bool = False, needed: Sequence[bool] | None = None
) -> tuple[tg.Tensor, list[Array | None]]:
    """Return output and input gradients of a call, through the kernel or the composite."""
    needed = needed or [True] * len(case.inputs)
    tensors = [
        tg.tensor(x, requires_grad=wanted) for x, wanted in zip(case.inputs, needed, strict=True)
    ]
    with changed(composing=composing):
        out = case.call(*tensors)
    if any(needed):
        out.backward(gradient=g)
    return out, [None if x.grad is None else np.asarray(x.grad) for x in tensors]


def numerical_gradient(f: Callable[[], float], x: Array, step: float = 1e-5) -> Array:
    """Return the central differences of ``f``, which reads ``x``, by every element of ``x``."""
    slopes = np.zeros_like(x)
    for index in np.ndindex(x.shape):
        before = x[index]
        values = []
        for moved in (before + step, before - step):
            x[index] = moved
            values.append(f())
        x[index] = before
        slopes[index] = (values[0] - values[1]) / (2 * step)
    return slopes


def assert_close(actual: Any, expected: Any, dtype: Any) -> None:
    tolerance = {"float32": (2e-4, 2e-5), "float64": (1e-9, 1e-11)}[str(dtype)]
    np.testing.assert_allclose(
        np.asarray(actual), np.asarray(expected), rtol=tolerance[0], atol=tolerance[1], strict=True
    )


class TestKernelAndComposite:
    @all_fused
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_have_one_value_and_the_same_gradients(self, op: str, dtype: str) -> None:
        @unhurried
        @given(cases(op, dtype))
        def check(case: Case) -> None:
            g = case.cotangent()
            out, found = gradients(case, g)
            expected, wanted = gradients(case, g, composing=True)
            assert_close(out.detach(), expected.detach(), dtype)
            for gradient, other in zip(found, wanted, strict=True):
                assert_close(gradient, other, dtype)

        check()

    @all_fused
    def test_differ_in_their_graphs(self, op: str) -> None:
        @few
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            out, _ = gradients(case, case.cotangent())
            opened, _ = gradients(case, case.cotangent(), composing=True)
            assert op in [node.op_name for node in tg.graph(out)]
            assert op not in [node.op_name for node in tg.graph(opened)]

        check()

    @pytest.mark.parametrize("composing", [False, True])
    @pytest.mark.parametrize("op", ["linear", *CONVOLUTIONS, "gru"])
    @pytest.mark.parametrize("first", ["int64", "float32", "float64"])
    @pytest.mark.parametrize("others", ["float32", "float64"])
    def test_promote_mixed_dtypes_as_numpy_does(
        self, op: str, first: str, others: str, composing: bool
    ) -> None:
        arrays = {
            "linear": [(2, 3), (4, 3), (4,)],
            "conv1d": [(2, 1, 6), (3, 1, 2), (3,)],
            "conv2d": [(2, 1, 6, 5), (3, 1, 2, 3), (3,)],
            "conv_transpose1d": [(2, 1, 6), (1, 3, 2), (3,)],
            "conv_transpose2d": [(2, 1, 6, 5), (1, 3, 2, 3), (3,)],
            "gru": gru_shapes(2, 3, 1, 2, 1),
        }[op]
        x, *parameters = [np.full(shape, 0.5, others) for shape in arrays]
        x = (4 * x).astype(first)
        exact = getattr(tg, op)(*[a.astype("float64") for a in (x, *parameters)])
        with changed(composing=composing):
            out = getattr(tg, op)(tg.tensor(x), *map(tg.tensor, parameters))
        assert out.dtype == np.result_type(first, others)
        np.testing.assert_allclose(out.numpy(), exact.numpy(), rtol=1e-5)

    @all_fused
    def test_take_arrays_as_they_take_tensors(self, op: str) -> None:
        @few
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            for composing in (False, True):
                with changed(composing=composing):
                    plain = case.call(*case.inputs)
                assert isinstance(plain, tg.Tensor)
                assert not plain.requires_grad
                assert_close(plain, case.call(*map(tg.tensor, case.inputs)), "float64")

        check()

    @all_fused
    def test_build_no_graph_under_no_grad(self, op: str) -> None:
        @few
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            tensors = [tg.tensor(x, requires_grad=True) for x in case.inputs]
            with tg.no_grad():
                assert not case.call(*tensors).requires_grad

        check()


class TestFirstDerivatives:
    @all_fused
    def test_agree_with_central_differences(self, op: str) -> None:
        @few
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            g = case.cotangent()
            _, found = gradients(case, g)
            for x, gradient in zip(case.inputs, found, strict=True):
                slopes = numerical_gradient(
                    lambda: float(np.sum(g * case.call(*case.inputs).numpy())), x
                )
                np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)

        check()

    @all_fused
    def test_come_for_those_inputs_that_ask_and_are_the_same_whoever_else_asks(
        self, op: str
    ) -> None:
        @unhurried
        @given(st.data())
        def check(data: st.DataObject) -> None:
            case = data.draw(cases(op, small=True))
            count = len(case.inputs)
            needed = data.draw(st.lists(st.booleans(), min_size=count, max_size=count))
            g = case.cotangent()
            _, everything = gradients(case, g)
            _, found = gradients(case, g, needed=needed)
            assert [gradient is not None for gradient in found] == needed
            for gradient, full in zip(found, everything, strict=True):
                if gradient is not None:
                    assert_close(gradient, full, "float64")

        check()

    @pytest.mark.parametrize("op", ["linear", *CONVOLUTIONS, "gru"])
    def test_are_not_even_computed_for_other_inputs(self, op: str) -> None:
        @few
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            x, *parameters = case.inputs
            out = case.call(tg.tensor(x), *[tg.tensor(p, requires_grad=True) for p in parameters])
            node: Any = out.node
            ((rule, _),) = node.plan.rules
            asked = [node.kept[name] for name in rule.asks]
            of_x, *others = rule.function(NUMPY, case.cotangent(), *asked)
            assert of_x is None
            assert all(one is not None for one in others[: len(parameters)])

        check()

    @all_fused
    def test_leave_inputs_and_the_given_gradient_as_they_are(self, op: str) -> None:
        @few
        @given(cases(op))
        def check(case: Case) -> None:
            g = case.cotangent()
            g.flags.writeable = False
            tensors = [tg.tensor(x, requires_grad=True) for x in case.inputs]
            for tensor, x in zip(tensors, case.inputs, strict=True):
                x.flags.writeable = False
                tensor.data = x  # the same read-only memory
            out = case.call(*tensors)
            value = out.detach().numpy().copy()
            out.backward(gradient=g)
            out.backward(gradient=g)
            np.testing.assert_array_equal(out.detach().numpy(), value)

        check()

    @all_fused
    def test_are_writable_and_share_no_memory(self, op: str) -> None:
        @few
        @given(cases(op))
        def check(case: Case) -> None:
            tensors = [tg.tensor(x, requires_grad=True) for x in case.inputs]
            out = case.call(*tensors)
            out.backward(gradient=case.cotangent())
            arrays = [x.grad.data for x in tensors if x.grad is not None]
            assert len(arrays) == len(tensors)
            others = [*arrays, *(x.data for x in tensors), out.data]
            for position, array in enumerate(arrays):
                assert array.flags.writeable
                for other in others[position + 1 :]:
                    assert not np.shares_memory(array, other)

        check()

    @all_fused
    def test_add_up_over_sweeps_without_disturbing_each_other(self, op: str) -> None:
        @few
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            tensors = [tg.tensor(x, requires_grad=True) for x in case.inputs]
            out, g = case.call(*tensors), case.cotangent()
            out.backward(gradient=g)
            once = [np.array(x.grad) for x in tensors]
            out.backward(gradient=2 * g)
            for x, gradient in zip(tensors, once, strict=True):
                assert_close(x.grad, 3 * gradient, "float64")

        check()


class TestSecondDerivatives:
    @all_fused
    def test_agree_with_central_differences_of_the_first(self, op: str) -> None:
        @settings(few, max_examples=4 if op == "gru" else 12)
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            tensors = [tg.tensor(x, requires_grad=True) for x in case.inputs]
            g = case.cotangent()
            rng = np.random.default_rng(3)
            directions = [rng.normal(size=x.shape) for x in case.inputs]

            def slope(*inputs: tg.Tensor) -> tg.Tensor:
                """Combine all first derivatives of a function that is curved everywhere."""
                out = case.call(*inputs)
                loss = (out * out * g).sum()
                found = tg.autograd.grad(loss, inputs, create_graph=True)
                terms = [
                    (one * v).sum()
                    for one, v in zip(found, directions, strict=True)
                    if one is not None
                ]
                return sum(terms[1:], terms[0])

            found = tg.autograd.grad(slope(*tensors), tensors)
            for tensor, second in zip(tensors, found, strict=True):
                assert second is not None
                # Differences along some directions at random: those by every element take long.
                for v in rng.normal(size=(3, *tensor.shape)):
                    x, ends = tensor.data, []
                    for step in (1e-5, -1e-5):
                        tensor.data = x + step * v
                        ends.append(slope(*tensors).item())
                    tensor.data = x
                    found_along = (second.numpy() * v).sum()
                    expected = (ends[0] - ends[1]) / 2e-5
                    np.testing.assert_allclose(found_along, expected, rtol=1e-5, atol=1e-7)

        check()

    @few
    @given(cases("cross_entropy", small=True))
    def test_the_hessian_of_cross_entropy_is_that_of_the_book(self, case: Case) -> None:
        (logits,) = case.inputs
        rows, classes = logits.shape
        p = special.softmax(logits, axis=1)
        expected = np.zeros((rows, classes, rows, classes))
        for row in range(rows):
            expected[row, :, row] = (np.diag(p[row]) - np.outer(p[row], p[row])) / rows
        found = tg.hessian(case.call)(tg.tensor(logits))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)
        if classes > 1:
            assert np.abs(expected).max() > 0

    @few
    @given(st.integers(0, 2**32 - 1))
    def test_the_third_derivative_of_cross_entropy_is_the_third_cumulant(self, seed: int) -> None:
        # Along logits + t v, d³/dt³ logsumexp is the third central moment of v under softmax.
        rng = np.random.default_rng(seed)
        logits, v = rng.normal(size=(1, 4)), rng.normal(size=(1, 4))
        p = special.softmax(logits)
        third = float(np.sum(p * (v - np.sum(p * v)) ** 3))
        f = tg.grad(tg.grad(tg.grad(lambda t: tg.cross_entropy(logits + t * v, np.array([2])))))
        assert f(tg.tensor(0.0, dtype=tg.float64)).item() == pytest.approx(third, abs=1e-10)

    @all_fused
    def test_forward_derivatives_agree_with_a_step_along_the_tangent(self, op: str) -> None:
        @few
        @given(cases(op, small=True))
        def check(case: Case) -> None:
            rng = np.random.default_rng(5)
            tangents = [rng.normal(size=x.shape) for x in case.inputs]
            _, slope = tg.jvp(
                case.call, [tg.tensor(x) for x in case.inputs], [tg.tensor(v) for v in tangents]
            )
            step = 1e-6
            ahead, behind = (
                case.call(*[x + s * v for x, v in zip(case.inputs, tangents, strict=True)]).numpy()
                for s in (step, -step)
            )
            expected = (ahead - behind) / (2 * step)
            np.testing.assert_allclose(slope.numpy(), expected, rtol=1e-5, atol=1e-7)

        check()

    def test_an_input_that_is_computed_from_another_counts_both_ways(self) -> None:
        w = tg.tensor(np.random.default_rng(0).normal(size=(3, 3)))

        def loss(w: tg.Tensor) -> tg.Tensor:
            out = tg.linear(w * w, w)
            return (out * out).sum()

        found = tg.hessian(loss)(w).numpy()
        with changed(composing=True):
            expected = tg.hessian(loss)(w).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-10)


softmaxes = pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
coarse = st.integers(-640, 640).map(lambda n: n / 64)  # they are exact at plus or minus 1000


class TestSoftmaxFamily:
    @softmaxes
    def test_equals_scipy_along_every_axis(self, name: str) -> None:
        @unhurried
        @given(st.integers(0, 2**32 - 1), st.integers(-3, 2))
        def check(seed: int, axis: int) -> None:
            x = np.random.default_rng(seed).normal(size=(2, 3, 4)) * 10
            expected = getattr(special, name)(x, axis=axis)
            assert_close(getattr(tg, name)(tg.tensor(x), axis=axis), expected, "float64")

        check()

    def test_logsumexp_takes_all_axes_or_several_and_may_keep_them(self) -> None:
        x = np.random.default_rng(0).normal(size=(2, 3, 4))
        for axis in (None, (0, 2), 1):
            for keepdims in (False, True):
                found = tg.logsumexp(tg.tensor(x), axis=axis, keepdims=keepdims)
                expected = special.logsumexp(x, axis=axis, keepdims=keepdims)
                np.testing.assert_allclose(found.numpy(), expected)
                assert found.shape == np.shape(expected)

    @softmaxes
    @pytest.mark.parametrize("shift", [1000.0, -1000.0])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_is_as_right_a_thousand_away_from_zero(
        self, name: str, shift: float, dtype: str
    ) -> None:
        @unhurried
        @given(st.lists(coarse, min_size=1, max_size=6))
        def check(row: list[float]) -> None:
            x = np.array([row])
            exact = getattr(special, name)(x, axis=1)
            exact = exact + shift if name == "logsumexp" else exact
            far = tg.tensor((x + shift).astype(dtype), requires_grad=True)
            found = getattr(tg, name)(far, axis=1)
            # Numbers near 1000 are rounded to 3e-5 in float32.
            tolerance = 1e-4 if dtype == "float32" else 1e-12
            np.testing.assert_allclose(found.detach().numpy(), exact, rtol=tolerance, atol=1e-4)
            found.backward(gradient=np.ones(found.shape))
            assert far.grad is not None
            assert np.isfinite(far.grad.numpy()).all()

        check()

    def test_gaps_of_thousands_underflow_to_zero_and_never_overflow(self) -> None:
        x = tg.tensor([[1000.0, -1000.0, 0.0]], requires_grad=True)
        np.testing.assert_array_equal(tg.softmax(x).detach().numpy(), [[1, 0, 0]])
        np.testing.assert_array_equal(tg.log_softmax(x).detach().numpy(), [[0, -2000, -1000]])
        loss = tg.cross_entropy(x, np.array([1]))
        assert loss.item() == 2000
        loss.backward()
        np.testing.assert_array_equal(np.asarray(x.grad), [[1, -1, 0]])

    @unhurried
    @given(st.lists(coarse, min_size=1, max_size=5), st.integers(0, 5), st.integers(0, 4))
    def test_a_class_at_minus_infinity_is_as_good_as_absent(
        self, row: list[float], place: int, label: int
    ) -> None:
        x, place, label = np.array([row]), min(place, len(row)), min(label, len(row) - 1)
        masked = np.insert(x, place, -np.inf, axis=1)
        found = tg.tensor(masked, requires_grad=True)
        present = np.arange(masked.shape[1]) != place
        for name in ("softmax", "log_softmax"):
            expected = getattr(tg, name)(tg.tensor(x)).numpy()
            value = getattr(tg, name)(found).detach().numpy()
            np.testing.assert_allclose(value[:, present], expected, rtol=1e-12)
        assert tg.softmax(found).detach().numpy()[0, place] == 0
        assert tg.log_softmax(found).detach().numpy()[0, place] == -np.inf
        np.testing.assert_allclose(
            tg.logsumexp(found, axis=1).detach().numpy(), special.logsumexp(x, axis=1)
        )
        for composing in (False, True):
            found.grad = None
            with changed(composing=composing):
                loss = tg.cross_entropy(found, np.array([np.flatnonzero(present)[label]]))
            expected_loss = tg.cross_entropy(tg.tensor(x), np.array([label])).item()
            assert loss.item() == pytest.approx(expected_loss, abs=1e-12)
            loss.backward()
            assert found.grad is not None
            slopes = found.grad.numpy()[0]
            assert slopes[place] == 0
            assert np.isfinite(slopes).all()

    def test_a_label_at_minus_infinity_costs_infinitely_much(self) -> None:
        assert tg.cross_entropy(tg.tensor([[0.0, -np.inf]]), np.array([1])).item() == np.inf

    def test_a_row_of_minus_infinities_has_log_sum_minus_infinity_and_no_distribution(
        self,
    ) -> None:
        rows = tg.tensor([[-np.inf, -np.inf], [0.0, 0.0]])
        with np.errstate(all="ignore"):  # NumPy would rightly warn of log(0) and inf - inf
            np.testing.assert_allclose(tg.logsumexp(rows, axis=1).numpy(), [-np.inf, np.log(2)])
            np.testing.assert_array_equal(tg.softmax(rows).numpy(), [[np.nan] * 2, [0.5] * 2])
            assert np.isnan(tg.cross_entropy(rows, np.array([0, 0])).item())

    @softmaxes
    def test_equals_pytorch_in_value_and_gradient_also_at_infinities(self, name: str) -> None:
        torch = pytest.importorskip("torch")
        rows = [[0.0, 1.0, -2.0], [1000.0, 0.0, -1000.0], [-np.inf, 3.0, 3.0]]
        g = np.random.default_rng(0).normal(size=3 if name == "logsumexp" else (3, 3))
        x = tg.tensor(rows, dtype=tg.float64, requires_grad=True)
        theirs = torch.tensor(rows, dtype=torch.float64, requires_grad=True)
        found, expected = getattr(tg, name)(x, axis=1), getattr(torch, name)(theirs, dim=1)
        assert_close(found.detach(), expected.detach().numpy(), "float64")
        if name == "log_softmax":
            g[2, 0] = 0  # the cotangent of an output of -inf is 0 for any finite loss
        found.backward(gradient=g)
        expected.backward(torch.tensor(g))
        assert_close(x.grad, theirs.grad.numpy(), "float64")

    def test_the_gradient_of_logsumexp_is_softmax(self) -> None:
        x = np.random.default_rng(0).normal(size=(3, 4))
        found = tg.grad(lambda x: tg.logsumexp(x, axis=1).sum())(tg.tensor(x))
        assert_close(found, special.softmax(x, axis=1), "float64")

    @softmaxes
    def test_a_recorded_graph_depends_on_nothing_but_its_input(self, name: str) -> None:
        # The gradient treats the shift by the maximum as constant; a replay of the graph must not.
        x = tg.tensor([[1.0, 2.0]], name="x")
        with tg.record(), tg.no_grad():
            out = getattr(tg, name)(x, axis=1)
        constants = [node for node in tg.graph(out).leaves if node.shape != ()]
        assert [node.name for node in constants] == ["x"]


def ones(*shape: int, name: str | None = None, dtype: Any = None) -> tg.Tensor:
    return tg.tensor(np.ones(shape, dtype or "float32"), name=name)


def labels(*numbers: int) -> tg.Tensor:
    return tg.tensor(np.array(numbers), name="y")


GRU = [ones(*shape) for shape in gru_shapes(2, 3, 1, 4, 1)]

MISTAKES: dict[str, tuple[Callable[[], Any], type[Exception], list[str]]] = {
    "linear: in_features": (
        lambda: tg.linear(ones(5, 3, name="x"), ones(4, 2, name="fc.weight")),
        ShapeError,
        ["x.shape[-1] == weight.shape[1]", "in_features", "3 != 2", "x (5, 3)", "fc.weight (4, 2)"],
    ),
    "linear: bias": (
        lambda: tg.linear(ones(5, 3), ones(4, 3), ones(1, name="b")),
        ShapeError,
        ["bias.shape == (4,)", "(1,)", "b (1,)"],
    ),
    "linear: weight": (
        lambda: tg.linear(ones(5, 3), ones(3)),
        ShapeError,
        ["(out_features, in_features)", "(3,)"],
    ),
    "linear: a number": (
        lambda: tg.linear(tg.scalar(1.0), ones(4, 3)),
        ShapeError,
        ["(..., 3)", "a single number"],
    ),
    "conv1d: in_channels": (
        lambda: tg.conv1d(ones(2, 3, 9, name="signal"), ones(4, 1, 5)),
        ShapeError,
        ["x.shape[1] == weight.shape[1]", "in_channels", "3 != 1", "signal (2, 3, 9)", "stride=1"],
    ),
    "conv1d: axes": (
        lambda: tg.conv1d(ones(3, 9), ones(4, 3, 5)),
        ShapeError,
        ["(N, in_channels, length)", "(out_channels, in_channels / groups, kernel_size)", "(3, 9)"],
    ),
    "conv1d: kernel": (
        lambda: tg.conv1d(ones(2, 3, 2), ones(4, 3, 5), padding=1),
        ShapeError,
        ["kernel of 5", "length of 2", "padding 1"],
    ),
    "conv1d: nothing": (
        lambda: tg.conv1d(ones(2, 3, 0), ones(4, 3, 1), padding=1),
        ShapeError,
        ["at least one channel and one step", "(2, 3, 0)"],
    ),
    "conv1d: bias": (
        lambda: tg.conv1d(ones(2, 3, 9), ones(4, 3, 5), ones(1)),
        ShapeError,
        ["bias.shape == (4,)", "out_channels", "(1,)"],
    ),
    "conv1d: stride": (
        lambda: tg.conv1d(ones(2, 3, 9), ones(4, 3, 5), stride=0),
        ArgumentError,
        ["stride of 1 or more", "got 0"],
    ),
    "conv1d: padding": (
        lambda: tg.conv1d(ones(2, 3, 9), ones(4, 3, 5), padding=-1),
        ArgumentError,
        ["padding of 0 or more", "-1"],
    ),
    "conv2d: in_channels": (
        lambda: tg.conv2d(ones(2, 3, 9, 9, name="image"), ones(4, 1, 5, 5)),
        ShapeError,
        ["x.shape[1] == weight.shape[1]", "in_channels", "3 != 1", "image (2, 3, 9, 9)"],
    ),
    "conv2d: one image": (
        lambda: tg.conv2d(ones(3, 9, 9), ones(4, 3, 5, 5)),
        ShapeError,
        ["(N, in_channels, height, width)", "(3, 9, 9)"],
    ),
    "conv2d: kernel": (
        lambda: tg.conv2d(ones(2, 3, 9, 4), ones(4, 3, 3, 3), dilation=2),
        ShapeError,
        ["kernel of 3 with dilation 2", "length of 4", "spatial axis 1"],
    ),
    "conv2d: groups": (
        lambda: tg.conv2d(ones(2, 4, 9, 9), ones(3, 2, 5, 5), groups=2),
        ArgumentError,
        ["groups that divide weight.shape[0]", "3 channels in 2 groups"],
    ),
    "conv2d: channels of groups": (
        lambda: tg.conv2d(ones(2, 4, 9, 9), ones(4, 4, 5, 5), groups=2),
        ShapeError,
        ["weight.shape[1] * groups (2)", "4 != 8"],
    ),
    "conv2d: no groups": (
        lambda: tg.conv2d(ones(2, 4, 9, 9), ones(4, 4, 5, 5), groups=0),
        ArgumentError,
        ["groups of 1 or more", "got 0"],
    ),
    "conv2d: three strides": (
        lambda: tg.conv2d(ones(2, 4, 9, 9), ones(4, 4, 5, 5), stride=(1, 2, 3)),
        ArgumentError,
        ["a stride for each of 2 spatial axes", "(1, 2, 3)"],
    ),
    "conv2d: half a step": (
        lambda: tg.conv2d(ones(2, 4, 9, 9), ones(4, 4, 5, 5), stride=0.5),
        ArgumentTypeError,
        ["an integer for stride", "0.5"],
    ),
    "conv2d: strides and same": (
        lambda: tg.conv2d(ones(2, 4, 9, 9), ones(4, 4, 5, 5), stride=2, padding="same"),
        ArgumentError,
        ["padding='same' keeps the lengths", "stride of (2, 2)"],
    ),
    "conv2d: a padding by name": (
        lambda: tg.conv2d(ones(2, 4, 9, 9), ones(4, 4, 5, 5), padding="full"),
        ArgumentError,
        ["'same', 'valid' or integers", "'full'"],
    ),
    "conv_transpose1d: weights of conv1d": (
        lambda: tg.conv_transpose1d(ones(2, 3, 9), ones(4, 3, 5)),
        ShapeError,
        ["x.shape[1] == weight.shape[0]", "in_channels", "3 != 4"],
    ),
    "conv_transpose2d: bias": (
        lambda: tg.conv_transpose2d(ones(2, 3, 9, 9), ones(3, 4, 5, 5), ones(3)),
        ShapeError,
        ["bias.shape == (4,)", "(3,)"],
    ),
    "conv_transpose2d: output_padding": (
        lambda: tg.conv_transpose2d(ones(2, 3, 9, 9), ones(3, 4, 5, 5), stride=2, output_padding=2),
        ArgumentError,
        ["output_padding below stride 2", "got 2"],
    ),
    "conv_transpose1d: padding": (
        lambda: tg.conv_transpose1d(ones(2, 3, 1), ones(3, 4, 2), padding=1),
        ShapeError,
        ["padding of 1 cuts off all 2 steps"],
    ),
    "max_pool2d: kernel": (
        lambda: tg.max_pool2d(ones(2, 3, 1, 4, name="image"), 2),
        ShapeError,
        ["kernel of 2", "length of 1", "image (2, 3, 1, 4)"],
    ),
    "max_pool2d: padding": (
        lambda: tg.max_pool2d(ones(2, 3, 9, 9), 2, padding=2),
        ArgumentError,
        ["at most half the kernel", "got 2 for a kernel of 2"],
    ),
    "max_pool1d: integers": (
        lambda: tg.max_pool1d(ones(2, 3, 9, dtype="int64"), 2),
        DTypeError,
        ["floating-point", "int64", "x.astype(tg.float32)"],
    ),
    "max_pool2d: a row": (
        lambda: tg.max_pool2d(ones(9), 2),
        ShapeError,
        ["(..., height, width)", "(9,)"],
    ),
    "avg_pool2d: kernel": (
        lambda: tg.avg_pool2d(ones(2, 3, 1, 4, name="image"), 2),
        ShapeError,
        ["kernel of 2", "length of 1", "image (2, 3, 1, 4)"],
    ),
    "adaptive_avg_pool1d: output_size": (
        lambda: tg.adaptive_avg_pool1d(ones(2, 3, 9), 0),
        ArgumentError,
        ["output_size of 1 or more", "got 0"],
    ),
    "gru: axes": (
        lambda: tg.gru(ones(3, 1), *GRU[1:]),
        ShapeError,
        ["(N, T, input)", "(3, 1)"],
    ),
    "gru: input": (
        lambda: tg.gru(ones(2, 3, 5), *GRU[1:]),
        ShapeError,
        ["5 features in x", "(12, 5)", "(12, 1)"],
    ),
    "gru: no steps": (
        lambda: tg.gru(ones(2, 0, 1), *GRU[1:]),
        ShapeError,
        ["at least one step", "(2, 0, 1)"],
    ),
    "gru: batch of h0": (
        lambda: tg.gru(GRU[0], ones(1, 5, 4, name="h0"), *GRU[2:]),
        ShapeError,
        ["x.shape[0] == h0.shape[1]", "2 != 5", "h0 (1, 5, 4)"],
    ),
    "gru: weights": (
        lambda: tg.gru(*GRU[:3], ones(12, 3), *GRU[4:]),
        ShapeError,
        ["weight_hh", "(12, 4)", "(12, 3)"],
    ),
    "gru: too few": (lambda: tg.gru(*GRU[:5]), ShapeError, ["bias_hh", "(12,)"]),
    "cross_entropy: rows": (
        lambda: tg.cross_entropy(ones(3, 2, name="logits"), labels(0, 1)),
        ShapeError,
        ["(N, classes)", "one label for each row", "(3, 2)", "(2,)", "logits (3, 2)", "y (2,)"],
    ),
    "cross_entropy: one-hot": (
        lambda: tg.cross_entropy(ones(2, 2), tg.tensor([[1, 0], [0, 1]])),
        ShapeError,
        ["one label for each row", "(2, 2)"],
    ),
    "cross_entropy: one row": (
        lambda: tg.cross_entropy(ones(3), tg.tensor(1)),
        ShapeError,
        ["(N, classes)", "(3,)", "()"],
    ),
    "cross_entropy: no rows": (
        lambda: tg.cross_entropy(ones(0, 3), tg.tensor(np.zeros(0, int))),
        ShapeError,
        ["at least one row and one class", "(0, 3)"],
    ),
    "cross_entropy: floats as labels": (
        lambda: tg.cross_entropy(ones(2, 2), tg.tensor([0.0, 1.0])),
        DTypeError,
        ["integer labels", "float32", "labels.astype(tg.int64)"],
    ),
    "cross_entropy: booleans as labels": (
        lambda: tg.cross_entropy(ones(2, 2), tg.tensor([True, False])),
        DTypeError,
        ["integer labels", "bool"],
    ),
    "cross_entropy: integers as logits": (
        lambda: tg.cross_entropy(ones(2, 2, dtype="int64"), labels(0, 1)),
        DTypeError,
        ["floating-point logits", "int64"],
    ),
    "cross_entropy: too large a label": (
        lambda: tg.cross_entropy(ones(2, 3), labels(0, 3)),
        IndexingError,
        ["3 classes are 0 to 2", "3 at [1]"],
    ),
    "cross_entropy: a negative label": (
        lambda: tg.cross_entropy(ones(2, 3), labels(-1, 2)),
        IndexingError,
        ["3 classes are 0 to 2", "-1 at [0]"],
    ),
}


class TestMistakes:
    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_are_explained_with_what_was_expected_what_came_and_where(self, mistake: str) -> None:
        call, kind, pieces = MISTAKES[mistake]
        with pytest.raises(TinygradLabError) as caught:
            call()
        message = str(caught.value)
        assert type(caught.value) is kind
        assert message.startswith(mistake.partition(":")[0])
        for piece in [*pieces, "test_fused.py"]:
            assert piece in message

    @pytest.mark.parametrize("mistake", MISTAKES)
    def test_are_found_by_the_composite_as_well(self, mistake: str) -> None:
        call, kind, _ = MISTAKES[mistake]
        with changed(composing=True), pytest.raises(kind):
            call()

    def test_of_a_module_are_explained_with_the_names_of_its_parameters(self) -> None:
        net = tg.nn.Sequential(tg.nn.Linear(3, 4), tg.nn.ReLU(), tg.nn.Linear(5, 2))
        with pytest.raises(ShapeError, match=r"4 != 5(.|\n)*2\.weight \(2, 5\)"):
            net(ones(1, 3))


class TestDropout:
    @unhurried
    @given(st.floats(0, 0.9), st.integers(0, 2**32 - 1))
    def test_zeroes_or_scales_up_and_the_gradient_does_the_same(self, p: float, seed: int) -> None:
        x = tg.tensor(np.random.default_rng(seed).normal(size=(4, 5)), requires_grad=True)
        out = tg.dropout(x, p=p, generator=tg.Generator(seed))
        kept = out.detach().numpy() != 0
        np.testing.assert_allclose(out.detach().numpy(), np.where(kept, x.data / (1 - p), 0))
        g = np.random.default_rng(1).normal(size=(4, 5))
        out.backward(gradient=g)
        np.testing.assert_allclose(np.asarray(x.grad), np.where(kept, g / (1 - p), 0))

    @few
    @given(st.sampled_from([0.1, 0.5, 0.8]), st.integers(0, 2**32 - 1))
    def test_drops_about_p_and_keeps_the_mean(self, p: float, seed: int) -> None:
        size = 100_000
        out = tg.dropout(np.ones(size), p=p, generator=tg.Generator(seed)).numpy()
        share = np.mean(out == 0)
        assert share == pytest.approx(p, abs=6 * np.sqrt(p * (1 - p) / size))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_keeps_the_dtype(self, dtype: str) -> None:
        assert tg.dropout(ones(3, dtype=dtype), p=0.3).dtype == dtype

    def test_draws_new_numbers_each_call_and_the_same_ones_from_the_same_state(self) -> None:
        generator = tg.Generator(0)
        state = generator.get_state()
        first, second = (tg.dropout(ones(50), generator=generator).tolist() for _ in range(2))
        assert first != second
        generator.set_state(state)
        assert tg.dropout(ones(50), generator=generator).tolist() == first

    def test_takes_a_single_number(self) -> None:
        assert tg.dropout(tg.scalar(3.0), p=0.0).item() == 3.0

    def test_its_second_derivative_is_that_of_the_same_mask(self) -> None:
        x = tg.tensor(np.arange(1.0, 7.0), requires_grad=True)
        y = tg.dropout(x, p=0.5, generator=tg.Generator(3))
        kept = y.detach().numpy() != 0
        assert 0 < kept.sum() < 6
        (slope,) = tg.autograd.grad((y * y * y).sum(), x, create_graph=True)
        assert slope is not None
        (bend,) = tg.autograd.grad(slope.sum(), x)
        assert bend is not None
        np.testing.assert_allclose(bend.numpy(), np.where(kept, 6 * 8 * x.data, 0))

    @pytest.mark.parametrize("p", [-0.1, 2.0])
    def test_other_chances_are_refused(self, p: float) -> None:
        for call in (
            lambda: tg.dropout(ones(3), p=p),
            lambda: tg.nn.functional.dropout(ones(3), p),
            lambda: tg.nn.Dropout(p),
        ):
            with pytest.raises(ArgumentError, match=f"from 0 to 1, got {p}"):
                call()

    def test_with_a_chance_of_1_leaves_nothing_and_no_gradient(self) -> None:
        x = tg.tensor([1.0, np.inf], requires_grad=True)
        for out in (tg.dropout(x, p=1.0), tg.nn.functional.dropout(x, 1.0), tg.nn.Dropout(1.0)(x)):
            assert out.tolist() == [0.0, 0.0]
            assert tg.autograd.grad(out.sum(), x)[0].tolist() == [0.0, 0.0]
