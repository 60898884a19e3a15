"""tg.checkpoint: the same values and gradients for less memory."""

import tracemalloc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import GradientError, GraphFreedError, ShapeError

Array = np.ndarray[Any, Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def plainly(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    return f(*args, **kwargs)


def gradients(
    run: Callable[..., Any], build: Callable[..., tg.Tensor], *tensors: tg.Tensor
) -> list[Any]:
    """Return what ``build`` computes with checkpoints made by ``run``, and all its gradients."""
    for one in tensors:
        one.grad = None
    out = build(run)
    (out * tg.tensor(numbers(*out.shape, seed=5))).sum().backward()
    return [out.tolist(), *(None if one.grad is None else one.grad.tolist() for one in tensors)]


def assert_transparent(build: Callable[..., tg.Tensor], *tensors: tg.Tensor) -> None:
    found = gradients(tg.checkpoint, build, *tensors)
    expected = gradients(plainly, build, *tensors)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_allclose(one, other, rtol=1e-12)


class TestGradients:
    def test_of_arguments_and_of_what_the_function_finds_around_it(self) -> None:
        x, w = (tg.tensor(numbers(3, seed=i), requires_grad=True) for i in range(2))
        assert_transparent(lambda run: run(lambda x: (x * w).tanh() * w, x), x, w)

    def test_of_tensors_that_were_computed_from_each_other(self) -> None:
        x, w = (tg.tensor(numbers(3, seed=i), requires_grad=True) for i in range(2))

        def build(run: Any) -> tg.Tensor:
            y = x * w
            z = y.exp() + x
            # y and x are captured, z and y are arguments, and they depend on each other.
            return run(lambda z, y_again: z * y * x + y_again, z, y) + y

        assert_transparent(build, x, w)

    def test_of_the_parameters_of_a_module(self) -> None:
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to("float64")
        x = tg.tensor(numbers(5, 3), requires_grad=True)
        assert_transparent(lambda run: run(net, x), x, *net.parameters())
        assert_transparent(lambda run: run(lambda m, x: m(x) * m(x), net, x), *net.parameters())

    def test_of_containers_and_keywords(self) -> None:
        x, y = (tg.tensor(numbers(3, seed=i), requires_grad=True) for i in range(2))
        labels = tg.tensor([0, 2, 1])

        def f(parts: dict[str, Any], *, scale: tg.Tensor) -> dict[str, Any]:
            picked = parts["x"][parts["labels"]]
            return {"out": [picked * scale, picked + 1], "labels": parts["labels"], "n": 3}

        def build(run: Any) -> tg.Tensor:
            result = run(f, {"x": x, "labels": labels}, scale=y)
            assert result["n"] == 3
            assert result["labels"].tolist() == [0, 2, 1]
            return result["out"][0] * result["out"][1]

        assert_transparent(build, x, y)

    def test_of_one_of_several_results(self) -> None:
        x = tg.tensor(numbers(3), requires_grad=True)
        assert_transparent(lambda run: run(lambda x: (x.exp(), x.sin()), x)[1], x)

    def test_where_the_function_hands_its_argument_back(self) -> None:
        x = tg.tensor(numbers(3), requires_grad=True)
        assert_transparent(lambda run: sum(run(lambda x: (x, x, x * x), x)), x)  # type: ignore[arg-type, return-value]

    def test_where_an_argument_is_not_used(self) -> None:
        x, y = (tg.tensor(numbers(3, seed=i), requires_grad=True) for i in range(2))
        assert_transparent(lambda run: run(lambda x, y: x * 2.0, x, y), x, y)
        assert y.grad is None

    def test_of_plain_numbers(self) -> None:
        x = tg.scalar(2.0)
        assert_transparent(lambda run: run(lambda x: x * x * 3, x), x)

    def test_of_checkpoints_in_checkpoints(self) -> None:
        x, w = (tg.tensor(numbers(3, seed=i), requires_grad=True) for i in range(2))

        def build(run: Any) -> tg.Tensor:
            inner = lambda x: (x * w).tanh()  # noqa: E731
            return run(lambda x: run(inner, run(inner, x)) * x, x)

        assert_transparent(build, x, w)

    def test_stop_at_a_function_that_asks_for_none(self) -> None:
        x = tg.tensor(numbers(3), requires_grad=True)
        assert not tg.checkpoint(lambda x: x.detach() * 2, x).requires_grad
        assert not tg.checkpoint(lambda x: x * 2, x.detach()).requires_grad
        with tg.no_grad():
            assert not tg.checkpoint(lambda x: x * 2, x).requires_grad

    def test_reach_hooks_once_and_whole(self) -> None:
        seen: list[Any] = []
        x = tg.tensor([2.0], requires_grad=True)
        x.register_hook(lambda g: seen.append(g.tolist()))

        def f(y: tg.Tensor) -> tg.Tensor:
            square = y * x
            square.register_hook(lambda g: 10 * g)
            return square

        tg.checkpoint(f, x).backward()
        assert seen == [[40.0]]

    @pytest.mark.numpy_only("NumPy's arrays beside tensors")
    def test_of_higher_order_are_those_of_the_function(self) -> None:
        x, w = tg.tensor(numbers(3)), tg.tensor(numbers(3, seed=1), requires_grad=True)

        def of(run: Any) -> Callable[[tg.Tensor], tg.Tensor]:
            return lambda x: run(lambda x: (x * x * w).sin() * x, x).sum()

        for transform in (tg.grad, tg.hessian, lambda f: tg.grad(lambda x: tg.hessian(f)(x).sum())):
            found, expected = (transform(of(run))(x) for run in (tg.checkpoint, plainly))
            np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy())
        slopes = []
        for run in (tg.checkpoint, plainly):
            (slope,) = tg.autograd.grad(of(run)(x), w, create_graph=True)
            assert slope is not None
            slopes.append(tg.autograd.grad((slope * slope).sum(), w)[0])
        np.testing.assert_allclose(slopes[0], slopes[1])
        jvps = [tg.jvp(of(run), (x,), (np.ones(3),))[1].item() for run in (tg.checkpoint, plainly)]
        assert jvps[0] == pytest.approx(jvps[1])

    def test_pass_the_checks_of_debug(self) -> None:
        x, w = (tg.tensor(numbers(3, seed=i), requires_grad=True) for i in range(2))
        with tg.debug():
            assert_transparent(lambda run: run(lambda x: (x * w).tanh(), x), x, w)


class TestRandomNumbers:
    @given(st.integers(0, 999))
    def test_are_drawn_again_on_the_way_back_and_nobody_else_notices(self, seed: int) -> None:
        own = tg.Generator(seed)
        x = tg.tensor(numbers(20), requires_grad=True)

        def f(x: tg.Tensor) -> tg.Tensor:
            return tg.dropout(tg.dropout(x, p=0.5) * x, p=0.3, generator=own)

        results = []
        for run in (tg.checkpoint, plainly):
            tg.seed(seed)
            own.seed(seed)
            x.grad = None
            out = run(f, x)
            between = tg.dropout(np.ones(9), p=0.5).tolist()
            (out * out).sum().backward()
            after = [
                tg.dropout(np.ones(9), p=0.5, generator=g).tolist() for g in (own, tg.Generator(0))
            ]
            after.append(tg.dropout(np.ones(9), p=0.5).tolist())
            assert x.grad is not None
            results.append((out.tolist(), x.grad.tolist(), between, after))
        assert results[0] == results[1]


class TestMemory:
    @pytest.mark.numpy_only("is about memory")
    def test_at_its_peak_is_that_of_the_inputs_and_of_one_piece(self) -> None:
        size, pieces, steps = 100_000, 10, 10

        def piece(x: tg.Tensor) -> tg.Tensor:
            for _ in range(steps):
                x = (x * 0.9).sin()
            return x

        peaks = {}
        for run in (plainly, tg.checkpoint):
            x = tg.tensor(np.ones(size), requires_grad=True)
            tracemalloc.start()
            y = x
            for _ in range(pieces):
                y = run(piece, y)
            y.sum().backward()
            peaks[run] = tracemalloc.get_traced_memory()[1] / x.data.nbytes
            tracemalloc.stop()
            del y
        assert peaks[plainly] > pieces * steps
        assert peaks[tg.checkpoint] < pieces + steps + 6

    @pytest.mark.numpy_only("is about memory")
    def test_of_what_happens_inside_is_given_back_at_once(self) -> None:
        inside: list[weakref.ref[Any]] = []

        def f(x: tg.Tensor) -> tg.Tensor:
            y = x.exp()
            inside.append(weakref.ref(y.data))
            return (y * y).sum()

        x = tg.tensor(np.ones(10_000), requires_grad=True)
        out = tg.checkpoint(f, x)
        assert inside[0]() is None
        node = weakref.ref(out.node)
        out.backward()
        assert [one() for one in inside] == [None, None]
        del out
        assert node() is None

    @pytest.mark.numpy_only("is about memory")
    def test_keeps_arguments_and_nothing_else(self) -> None:
        x, w = (tg.tensor(numbers(10_000, seed=i), requires_grad=True) for i in range(2))
        graph = tg.graph(tg.checkpoint(lambda x: (x * w).exp().tanh().sum(), x))
        assert graph.nbytes_kept == x.data.nbytes
        assert [node.op_name for node in graph] == ["leaf", "leaf", "checkpoint", "output"]

    def test_can_be_freed_on_the_way(self) -> None:
        x = tg.tensor(numbers(3), requires_grad=True)
        out = tg.checkpoint(lambda x: x.exp().sum(), x)
        out.backward(free=True)
        with pytest.raises(GraphFreedError):
            out.backward()

    def test_recording_opens_it(self) -> None:
        x = tg.tensor(numbers(3), requires_grad=True)
        with tg.record():
            out = tg.checkpoint(lambda x: x.exp().sum(), x)
        assert [node.op_name for node in tg.graph(out)] == ["leaf", "exp", "sum"]


class TestMistakes:
    def test_a_parameter_that_was_replaced_in_between_is_told(self) -> None:
        layer = nn.Linear(2, 1)
        out = tg.checkpoint(layer, tg.tensor([[1.0, 2.0]]))
        layer.weight.data = layer.weight.data * 2
        with pytest.raises(GradientError, match="must not be rebound in between"):
            out.sum().backward()

    def test_a_function_that_returns_something_else_the_second_time_is_told(self) -> None:
        x = tg.tensor(numbers(3), requires_grad=True)
        calls: list[int] = []

        def f(x: tg.Tensor) -> tg.Tensor:
            calls.append(1)
            return x * 2.0 if len(calls) == 1 else x.sum()

        with pytest.raises(GradientError, match="returned something else when it ran again"):
            tg.checkpoint(f, x).sum().backward()

    def test_errors_inside_are_those_of_the_function_and_leave_nothing_switched_on(self) -> None:
        x = tg.tensor(numbers(3), requires_grad=True)
        with pytest.raises(ShapeError, match="test_checkpoint"):
            tg.checkpoint(lambda x: x + tg.tensor([1.0, 2.0]), x)
        assert_transparent(lambda run: run(lambda x: x * x, x), x)
