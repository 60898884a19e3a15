"""The reverse sweep: the chain rule on any graph, each gradient where it belongs."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg

from .op_cases import numbers

kinds = pytest.mark.parametrize(
    "make",
    [tg.scalar, lambda value: tg.tensor(np.float64(value), requires_grad=True)],
    ids=["python", "numpy"],
)
Make = Callable[[float], tg.Tensor]


def grad_of(x: tg.Tensor) -> Any:
    assert x.grad is not None
    return x.grad.tolist()


class Dual:
    """A number with its derivatives by every input, carried forward: another way to the same."""

    def __init__(self, value: float, slopes: np.ndarray[Any, Any]) -> None:
        self.value, self.slopes = value, slopes

    def __add__(self, other: "Dual") -> "Dual":
        return Dual(self.value + other.value, self.slopes + other.slopes)

    def __sub__(self, other: "Dual") -> "Dual":
        return Dual(self.value - other.value, self.slopes - other.slopes)

    def __mul__(self, other: "Dual") -> "Dual":
        return Dual(self.value * other.value, self.value * other.slopes + other.value * self.slopes)


STEPS: list[Callable[[Any, Any], Any]] = [
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
]
programs = st.lists(
    st.tuples(st.sampled_from(range(3)), st.integers(0, 10**6), st.integers(0, 10**6)),
    min_size=1,
    max_size=12,
)


def run(program: list[tuple[int, int, int]], inputs: list[Any]) -> Any:
    """Each step combines two of all values before it; the last value is the result."""
    values = list(inputs)
    for step, one, other in program:
        values.append(STEPS[step](values[one % len(values)], values[other % len(values)]))
    return values[-1]


class TestChainRule:
    def test_the_example_of_the_readme(self) -> None:
        x, y, z = tg.scalar(-2.0, name="x"), tg.scalar(5.0, name="y"), tg.scalar(-4.0, name="z")
        f = (x + y) * z
        f.backward()
        assert f.item() == -12.0
        assert [grad_of(v) for v in (x, y, z)] == [-4.0, -4.0, 3.0]

    @kinds
    @given(program=programs, values=st.lists(st.integers(-3, 3), min_size=3, max_size=3))
    def test_holds_on_any_graph(
        self, make: Make, program: list[tuple[int, int, int]], values: list[int]
    ) -> None:
        duals = [Dual(v, np.eye(3)[i]) for i, v in enumerate(map(float, values))]
        expected = run(program, duals)
        inputs = [make(float(value)) for value in values]
        out = run(program, inputs)
        out.backward()
        assert out.item() == pytest.approx(expected.value)
        found = [0.0 if x.grad is None else x.grad.item() for x in inputs]
        np.testing.assert_allclose(found, expected.slopes)

    @kinds
    def test_a_value_used_twice_gets_both_gradients(self, make: Make) -> None:
        x = make(3.0)
        (x * x).backward()
        assert grad_of(x) == 6.0

    @kinds
    def test_paths_that_part_and_meet_again_add_up(self, make: Make) -> None:
        x = make(2.0)
        a = x * 3
        b, c = a * a, a + x
        (b * c).backward()
        assert grad_of(x) == 3 * (9 * 4 * 4)

    def test_a_value_used_a_thousand_times_gets_a_thousand_gradients(self) -> None:
        x = tg.tensor(np.ones(3), requires_grad=True)
        total = x
        for _ in range(999):
            total = total + x
        total.sum().backward()
        assert grad_of(x) == [1000.0] * 3

    def test_matrices(self) -> None:
        w = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="w")
        (w @ w.T).tanh().sum().backward()
        product = w.detach().numpy() @ w.detach().numpy().T
        slope = 1 - np.tanh(product.astype(float)) ** 2
        np.testing.assert_allclose(grad_of(w), (slope + slope.T) @ w.tolist(), rtol=1e-3, atol=1e-6)


class TestGradientsOfLeaves:
    @kinds
    def test_accumulate_over_sweeps(self, make: Make) -> None:
        x = make(2.0)
        y = x * x
        y.backward()
        y.backward()
        (x * 10).backward()
        assert grad_of(x) == 4.0 + 4.0 + 10.0

    @kinds
    def test_alone_accumulate_those_of_values_between_do_not(self, make: Make) -> None:
        x = make(2.0)
        y = x * x
        z = y * y
        z.backward()
        z.backward()
        graph = tg.graph(z)
        assert graph["y"].gradient == 8.0, "2 y, not twice that"
        assert graph["z"].gradient == 1.0
        assert grad_of(x) == 2 * 32.0

    def test_are_detached_tensors(self) -> None:
        x = tg.scalar(2.0)
        (x * x * x).backward()
        assert isinstance(x.grad, tg.Tensor)
        assert not x.grad.requires_grad
        assert x.grad.is_leaf

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.numpy_only("is about NumPy")
    def test_are_arrays_of_the_dtype_of_an_array(self, dtype: Any) -> None:
        x = tg.tensor(np.ones((2, 3), dtype), requires_grad=True)
        (x * 2.0).mean().backward()
        assert x.grad is not None
        assert type(x.grad.data) is np.ndarray
        assert (x.grad.dtype, x.grad.shape, x.grad.device) == (dtype, (2, 3), "cpu")

    @kinds
    def test_are_of_the_kind_of_the_leaf(self, make: Make) -> None:
        x = make(2.0)
        for _ in range(2):
            (x * tg.tensor([1.0, 2.0])).sum().backward()
            assert x.grad is not None
            assert type(x.grad.data) is type(x.data)
            assert x.grad.shape == ()

    @pytest.mark.parametrize(
        "function",
        [
            lambda x, y: x + y,
            lambda x, y: (x + y) * 1.0,
            lambda x, y: tg.concat([x, y]),
            lambda x, y: tg.stack([x, y]),
            lambda x, y: x.reshape(3, 1) + y.reshape(3, 1),
            lambda x, y: x.sum() + y.sum(),
            lambda x, y: tg.flip(x, axis=0) + y,
        ],
    )
    @pytest.mark.numpy_only("is about memory")
    def test_are_writable_and_share_no_memory(
        self, function: Callable[[tg.Tensor, tg.Tensor], tg.Tensor]
    ) -> None:
        x, y = (tg.tensor(np.ones(3), requires_grad=True) for _ in range(2))
        out = function(x, y)
        given = np.ones(out.shape)
        for _ in range(2):  # the second time they are added to
            out.backward(gradient=given)
            assert x.grad is not None
            assert y.grad is not None
            assert not np.shares_memory(x.grad.data, y.grad.data)
            assert not np.shares_memory(x.grad.data, given)
            x.grad.data[...] += 100.0
            y.grad.data[...] += 10.0
        assert grad_of(x) == [202.0] * 3
        assert grad_of(y) == [22.0] * 3

    def test_are_none_where_none_was_computed(self) -> None:
        x, unused, frozen = tg.scalar(1.0), tg.scalar(2.0), tg.tensor(3.0)
        (x * frozen).backward()
        assert unused.grad is None
        assert frozen.grad is None

    def test_are_zero_where_zero_was_computed(self) -> None:
        x = tg.scalar(1.0)
        (x * 0.0).backward()
        assert grad_of(x) == 0.0

    def test_of_the_output_itself_are_what_was_given(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        given = np.array([5.0, 6.0], np.float32)
        x.backward(gradient=given)
        given[0] = 0.0
        assert grad_of(x) == [5.0, 6.0]

    def test_of_a_leaf_that_is_gone_go_nowhere(self) -> None:
        x = tg.scalar(2.0)
        y = x * tg.scalar(3.0)
        y.backward()
        assert grad_of(x) == 3.0


class TestStarting:
    def test_wants_a_scalar(self) -> None:
        y = tg.tensor([1.0, 2.0], requires_grad=True) * 2
        y.name = "y"
        with pytest.raises(tg.errors.GradientError, match=r"'y' has shape \(2,\).*gradient="):
            y.backward()

    def test_takes_a_tensor_of_one_element_for_a_scalar(self) -> None:
        x = tg.tensor([[3.0]], requires_grad=True)
        (x * x).backward()
        assert grad_of(x) == [[6.0]]

    @pytest.mark.parametrize(
        "gradient",
        [[1.0, 10.0], (1, 10), np.array([1.0, 10.0]), tg.tensor([1.0, 10.0]), np.array([1, 10])],
    )
    def test_from_a_gradient_of_any_form(self, gradient: Any) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        (x * x).backward(gradient=gradient)
        assert grad_of(x) == [2.0, 40.0]
        assert x.grad is not None
        assert x.grad.dtype == np.float32

    @pytest.mark.parametrize("gradient", [2, 2.0, np.float32(2.0), np.array(2.0), tg.tensor(2.0)])
    def test_from_a_number_where_the_output_is_one(self, gradient: Any) -> None:
        x = tg.scalar(3.0)
        (x * x).backward(gradient=gradient)
        assert grad_of(x) == 12.0

    @pytest.mark.parametrize("gradient", [np.ones(3), 1.0, np.ones((2, 1)), [[1.0], [2.0, 3.0]]])
    def test_from_a_gradient_of_another_shape_is_an_error(self, gradient: Any) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True, name="x")
        with pytest.raises(tg.errors.TinygradLabError, match=r"\(2,\)"):
            (x * x).backward(gradient=gradient)

    @pytest.mark.parametrize("gradient", [np.ones(3), "a", [1.0, 2.0]])
    def test_of_a_scalar_from_what_is_no_number_is_an_error(self, gradient: Any) -> None:
        with pytest.raises(tg.errors.TinygradLabError, match="gradient"):
            (tg.scalar(1.0) * 2).backward(gradient=gradient)

    @pytest.mark.parametrize("x", [tg.tensor(1.0), tg.tensor(1.0) * 2])
    def test_wants_something_to_differentiate_by(self, x: tg.Tensor) -> None:
        with pytest.raises(tg.errors.GradientError, match="requires a gradient"):
            x.backward()

    def test_works_inside_no_grad(self) -> None:
        x = tg.scalar(3.0)
        y = x * x
        with tg.no_grad():
            y.backward()
        assert grad_of(x) == 6.0


class TestWork:
    def test_is_done_only_for_inputs_that_need_it(self) -> None:
        asked = []

        def rule(name: str) -> Callable[..., Any]:
            def of(xp: Any, g: Any) -> Any:
                asked.append(name)
                return g

            return of

        add = tg.op(
            "add_of_tests",
            forward=lambda xp, x, y: x + y,
            vjp={"x": rule("x"), "y": rule("y")},
        )
        x, constant = tg.tensor([1.0], requires_grad=True), tg.tensor([1.0])
        add(x, constant).backward()
        add(constant, x).backward()
        assert asked == ["x", "y"]

    def test_goes_from_the_youngest_node_to_the_oldest(self) -> None:
        order: list[int] = []

        def declare(number: int) -> Callable[..., tg.Tensor]:
            def rule(xp: Any, g: Any) -> Any:
                order.append(number)
                return g

            return tg.op(f"step_{number}", forward=lambda xp, x: x + 0, vjp={"x": rule})

        steps = [declare(number) for number in range(6)]
        x = tg.scalar(1.0)
        a = steps[0](x)
        b = steps[1](x)
        c = steps[2](b)
        d = steps[3](a)
        e = steps[4](c)
        steps[5](d + e + a).backward()
        assert order == [5, 4, 3, 2, 1, 0]

    def test_happens_once_a_node_however_many_paths_lead_to_it(self) -> None:
        calls = []

        def rule(xp: Any, g: Any) -> Any:
            calls.append(g)
            return g

        step = tg.op("counted_of_tests", forward=lambda xp, x: x + 0, vjp={"x": rule})
        x = tg.scalar(1.0)
        y = step(x)
        for _ in range(40):
            y = y + y  # 2 ** 40 paths
        y.backward()
        assert len(calls) == 1
        assert grad_of(x) == 2.0**40

    def test_in_two_threads_at_once_does_not_mix(self) -> None:
        found: dict[int, Any] = {}

        def work(number: int) -> None:
            x = tg.scalar(float(number))
            y = x
            for _ in range(2000):
                y = y + x
            y.backward()
            found[number] = grad_of(x)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == dict.fromkeys(range(4), 2001.0)


class TestFree:
    @kinds
    def test_gives_the_same_gradients(self, make: Make) -> None:
        x = make(2.0)
        (x * x).exp().backward(free=True)
        assert grad_of(x) == pytest.approx(4 * np.exp(4.0))

    @kinds
    def test_drops_what_is_kept_and_a_second_sweep_says_so(self, make: Make) -> None:
        x = make(2.0)
        y = (x * x).exp()
        y.backward(free=True)
        assert tg.graph(y).nbytes_kept == 0
        with pytest.raises(tg.errors.GraphFreedError, match=r"exp.*free=True") as caught:
            y.backward()
        assert "y = (x * x).exp()" in str(caught.value), "the line that made the node"
        assert grad_of(x) == pytest.approx(4 * np.exp(4.0)), "the failed sweep adds nothing"

    @pytest.mark.parametrize("create_graph", [False, True])
    @pytest.mark.parametrize(
        "function",
        [lambda x: x * x, lambda x: x.sum(), lambda x: tg.linear(x, x)],
        ids=["multiply", "sum", "linear"],
    )
    def test_is_noticed_by_every_kind_of_gradient(
        self, function: Callable[[tg.Tensor], tg.Tensor], create_graph: bool
    ) -> None:
        x = tg.tensor(numbers(2, 2), requires_grad=True)
        y = function(x).sum()
        y.backward(free=True)
        with pytest.raises(tg.errors.GraphFreedError):
            tg.autograd.grad(y, x, create_graph=create_graph)

    def test_of_part_of_a_graph_leaves_the_rest(self) -> None:
        x = tg.scalar(2.0)
        one, other = x * x, x * x * x
        one.backward(free=True)
        other.backward()
        assert grad_of(x) == 4.0 + 12.0


CHAOS = """
import numpy as np
import tinygrad_lab as tg
rng = np.random.default_rng(0)
leaves = [tg.tensor(rng.normal(size=17).astype("float32"), requires_grad=True) for _ in range(9)]
total = tg.tensor(np.zeros(17, np.float32))
for i, a in enumerate(leaves):
    for b in leaves[i:]:
        total = total + (a * b).tanh() / (a * a + 1)
total.sum().backward()
print(b"".join(leaf.grad.numpy().tobytes() for leaf in leaves).hex())
"""


def test_fresh_processes_give_the_same_bits_whatever_their_hash_seed() -> None:
    outputs = {
        subprocess.run(
            [sys.executable, "-c", CHAOS],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "31337")
    }
    assert len(outputs) == 1
    assert len(outputs.pop()) > 9 * 17 * 8


def test_the_outputs_of_an_op_are_collected_in_linear_time() -> None:
    # 100 times as many outputs took 1,000 times as long and more: each one copied all before it.
    def seconds(count: int) -> float:
        x = tg.ones(count).requires_grad_()
        total = tg.stack(tg.unstack(x)).sum()
        start = time.perf_counter()
        total.backward()
        assert x.grad is not None
        assert x.grad.tolist() == [1] * count
        return (time.perf_counter() - start) / count

    few = min(seconds(300) for _ in range(5))
    assert min(seconds(20_000) for _ in range(2)) < 5 * few
