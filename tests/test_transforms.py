"""Transforms: gradients, Jacobians and Hessians, of any order and of any containers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import trees

from .op_cases import finite_differences, numbers

X = numbers(3, seed=1)
W = numbers(2, 3, seed=2)


def bend(x: tg.Tensor) -> tg.Tensor:
    """Map three numbers to two, each of which depends on all three."""
    return (tg.tensor(W) @ x).tanh() * x.sum() + x[:2] * x[1]


def energy(x: tg.Tensor) -> tg.Tensor:
    return (bend(x) * bend(x)).sum() + x.exp().prod()


def jacobian_of(function: Callable[[tg.Tensor], tg.Tensor], x: np.ndarray[Any, Any]) -> Any:
    """Return the Jacobian by finite differences."""
    size = function(tg.tensor(x)).size
    rows = [
        finite_differences(
            lambda a, i=i: float(function(tg.tensor(a[0])).reshape(-1)[i].item()), [x]
        )
        for i in range(size)
    ]
    return np.stack([row[0] for row in rows]).reshape(*function(tg.tensor(x)).shape, *x.shape)


class Point(NamedTuple):
    a: Any
    b: Any


class TestGrad:
    @pytest.mark.parametrize("make", [float, np.float64, tg.tensor, np.asarray])
    def test_takes_numbers_arrays_and_tensors(self, make: Callable[[float], Any]) -> None:
        slope = tg.grad(lambda x: x * x * x)(make(2.0))
        assert slope.item() == 12.0
        assert not slope.requires_grad

    def test_gives_python_floats_for_python_floats(self) -> None:
        assert type(tg.grad(lambda x: x * x)(3.0).data) is float
        assert type(tg.grad(lambda x: x * x)(3).data) is float

    def test_leaves_tensors_and_their_grad_alone(self) -> None:
        x = tg.tensor(X, requires_grad=True)
        tg.grad(energy)(x)
        assert x.grad is None
        plain = tg.tensor(X)
        tg.grad(energy)(plain)
        assert not plain.requires_grad

    def test_by_chosen_arguments(self) -> None:
        f = lambda x, y, z: x * y * z  # noqa: E731
        assert tg.grad(f, 1)(2.0, 3.0, 5.0).item() == 10.0
        assert tg.grad(f, -1)(2.0, 3.0, 5.0).item() == 6.0
        both = tg.grad(f, (0, 2))(2.0, 3.0, 5.0)
        assert isinstance(both, tuple)
        assert [one.item() for one in both] == [15.0, 6.0]

    def test_of_an_argument_that_does_not_matter_is_zero(self) -> None:
        slope = tg.grad(lambda x, y: y.sum(), 0)(tg.tensor(X), tg.tensor(X))
        assert slope.tolist() == [0.0] * 3
        assert tg.grad(lambda x: tg.tensor(1.0))(2.0).item() == 0.0

    @pytest.mark.parametrize(
        "container",
        [
            [1.0, 2.0],
            (1.0, [2.0]),
            {"a": 1.0, "b": {"c": 2.0}},
            Point(1.0, (2.0,)),
            {"w": tg.tensor(1.0), "list": [np.asarray(2.0)]},
        ],
        ids=["list", "tuple", "dict", "named tuple", "mixture"],
    )
    def test_of_a_container_is_the_same_container(self, container: Any) -> None:
        def f(tree: Any) -> tg.Tensor:
            one, other = trees.flatten(tree)[0]
            return one * other * other

        gradient = tg.grad(f)(container)
        assert type(gradient) is type(container)
        assert [one.item() for one in trees.flatten(gradient)[0]] == [4.0, 4.0]

    def test_of_a_module_is_a_dict_by_the_names_of_its_parameters(self) -> None:
        net = tg.nn.Sequential(tg.nn.Linear(3, 2), tg.nn.Linear(2, 1))
        x = tg.tensor(X[None], dtype=tg.float32)
        value, gradient = tg.value_and_grad(lambda net: net(x).sum())(net)
        assert list(gradient) == [name for name, _ in net.named_parameters()]
        value_again = net(x).sum()
        value_again.backward()
        assert value.item() == value_again.item()
        for name, parameter in net.named_parameters():
            assert parameter.grad is not None
            np.testing.assert_array_equal(gradient[name].numpy(), parameter.grad.numpy())

    def test_of_a_module_leaves_out_what_is_frozen_as_zero(self) -> None:
        net = tg.nn.Linear(3, 2)
        net.bias.requires_grad_(False)
        gradient = tg.grad(lambda net: net(tg.tensor([[1.0, 2.0, 3.0]])).sum())(net)
        assert gradient["bias"].tolist() == [0.0, 0.0]
        assert gradient["weight"].tolist() == [[1.0, 2.0, 3.0]] * 2

    def test_works_inside_no_grad(self) -> None:
        with tg.no_grad():
            assert tg.grad(lambda x: x * x)(3.0).item() == 6.0

    @pytest.mark.parametrize("order", range(1, 6))
    def test_of_any_order(self, order: int) -> None:
        function: Callable[..., Any] = lambda x: x**4 / 24 + tg.exp(2 * x)  # noqa: E731
        for _ in range(order):
            function = tg.grad(function)
        power = [1 / 24, 1 / 6, 0.5, 1.0, 1.0, 0.0][order] * 0.5 ** max(4 - order, 0)
        assert function(0.5).item() == pytest.approx(power + 2**order * np.exp(1.0))

    def test_of_one_variable_inside_another_does_not_mix_them_up(self) -> None:
        inner = lambda x: tg.grad(lambda y: x + y)(1.0)  # noqa: E731
        assert tg.grad(lambda x: x * inner(x))(1.0).item() == 1.0
        mixed = tg.grad(lambda x: tg.grad(lambda y: x * x * y * y)(3.0))
        assert mixed(2.0).item() == 2 * 2.0 * 2 * 3.0

    def test_inside_a_graph_is_part_of_the_graph(self) -> None:
        w = tg.scalar(3.0)
        slope = tg.grad(lambda x: w * x * x)(2.0)
        assert slope.requires_grad
        slope.backward()
        assert w.grad is not None
        assert w.grad.item() == 4.0

    def test_of_a_tensor_that_has_a_history_can_be_differentiated_again(self) -> None:
        x = tg.scalar(2.0)
        y = x * x
        tg.grad(lambda v: v * v * v)(y).backward()
        assert x.grad is not None
        assert x.grad.item() == 6 * 4.0 * 2 * 2.0

    @pytest.mark.parametrize("wrong", [lambda x: x, lambda x: [x.sum(), x.sum()]])
    def test_wants_a_scalar_function(self, wrong: Callable[..., Any]) -> None:
        with pytest.raises(tg.errors.GradientError, match=r"scalar.*jacobian"):
            tg.grad(wrong)(tg.tensor(X))

    def test_wants_a_function_to_tensors(self) -> None:
        for transform in (tg.grad, tg.value_and_grad, tg.jacobian, tg.hessian):
            with pytest.raises(tg.errors.ArgumentTypeError, match="must return Tensors, got float"):
                transform(lambda x: 3.0)(2.0)
        with pytest.raises(tg.errors.ArgumentTypeError, match="must return Tensors, got float"):
            tg.vjp(lambda x: 3.0, 2.0)

    @pytest.mark.parametrize("argnums", [1, (0, 5), -2])
    def test_wants_arguments_that_are_there(self, argnums: Any) -> None:
        with pytest.raises(tg.errors.ArgumentError, match="argument"):
            tg.grad(lambda x: x, argnums)(1.0)

    def test_wants_floating_arguments(self) -> None:
        with pytest.raises(tg.errors.DTypeError, match="floating"):
            tg.grad(lambda x: x.sum())(tg.tensor([1, 2]))

    def test_does_not_swallow_what_the_function_raises(self) -> None:
        def fail(x: Any) -> Any:
            raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            tg.grad(fail)(1.0)


class TestValueAndGrad:
    def test_gives_both_without_a_history(self) -> None:
        value, gradient = tg.value_and_grad(energy)(tg.tensor(X))
        assert value.item() == pytest.approx(energy(tg.tensor(X)).item())
        np.testing.assert_allclose(gradient.numpy(), tg.grad(energy)(tg.tensor(X)).numpy())
        assert not value.requires_grad

    def test_inside_another_keeps_the_history_of_the_value(self) -> None:
        def f(x: tg.Tensor) -> tg.Tensor:
            value, slope = tg.value_and_grad(lambda y: y * y * x)(2.0)
            return value * slope

        assert tg.grad(f)(3.0).item() == pytest.approx(2 * 3.0 * 4 * 4)


class TestJacobian:
    def test_is_what_finite_differences_find(self) -> None:
        found = tg.jacobian(bend)(tg.tensor(X))
        assert found.shape == (2, 3)
        np.testing.assert_allclose(found.numpy(), jacobian_of(bend, X), rtol=1e-6, atol=1e-8)

    @pytest.mark.parametrize("shape", [(), (2,), (2, 2), (1, 3), (0,)])
    def test_has_the_shape_of_output_and_argument(self, shape: tuple[int, ...]) -> None:
        x = tg.tensor(np.ones(shape))
        assert tg.jacobian(lambda x: x * x)(x).shape == shape + shape
        assert tg.jacobian(lambda x: x.sum())(x).shape == shape
        assert tg.jacobian(lambda x: tg.stack([x, x]))(x).shape == (2, *shape, *shape)

    def test_of_containers_is_a_container_of_containers(self) -> None:
        found = tg.jacobian(lambda d: {"s": d["a"] * d["b"], "sum": d["a"].sum()})(
            {"a": tg.tensor([1.0, 2.0]), "b": tg.tensor(3.0)}
        )
        assert found["s"]["a"].tolist() == [[3.0, 0.0], [0.0, 3.0]]
        assert found["s"]["b"].tolist() == [1.0, 2.0]
        assert found["sum"]["a"].tolist() == [1.0, 1.0]
        assert found["sum"]["b"].tolist() == 0.0

    def test_of_a_chosen_argument(self) -> None:
        assert tg.jacobian(lambda x, y: x * y, 1)(tg.tensor([2.0, 3.0]), 5.0).tolist() == [2.0, 3.0]

    def test_of_a_constant_is_zero(self) -> None:
        assert (
            tg.jacobian(lambda x: tg.tensor([1.0, 2.0]))(tg.tensor(X)).tolist() == [[0.0] * 3] * 2
        )


class TestHessian:
    def test_is_the_jacobian_of_the_gradient_and_symmetric(self) -> None:
        found = tg.hessian(energy)(tg.tensor(X)).numpy()
        expected = jacobian_of(lambda x: tg.grad(energy)(x), X)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found, found.T, rtol=1e-10)

    def test_of_a_dict_has_a_block_for_each_pair(self) -> None:
        found = tg.hessian(lambda d: d["a"] * d["a"] * d["b"])({"a": 2.0, "b": 3.0})
        blocks = {(i, j): found[i][j].item() for i in "ab" for j in "ab"}
        assert blocks == {("a", "a"): 6.0, ("a", "b"): 4.0, ("b", "a"): 4.0, ("b", "b"): 0.0}

    def test_of_a_module_is_not_zero(self) -> None:
        net = tg.nn.Linear(2, 1)
        found = tg.hessian(lambda net: (net(tg.tensor([[1.0, 2.0]])) ** 2).sum())(net)
        np.testing.assert_allclose(
            found["weight"]["weight"].numpy().reshape(2, 2), [[2.0, 4.0], [4.0, 8.0]], rtol=1e-6
        )
        np.testing.assert_allclose(found["bias"]["bias"].numpy(), [[2.0]], rtol=1e-6)

    def test_of_cross_entropy_is_that_of_softmax_and_not_zero(self) -> None:
        logits, label = numbers(1, 3), tg.tensor([1])
        found = tg.hessian(lambda x: tg.cross_entropy(x, label))(tg.tensor(logits))
        p = np.exp(logits[0]) / np.exp(logits[0]).sum()
        np.testing.assert_allclose(
            found.numpy().reshape(3, 3), np.diag(p) - np.outer(p, p), rtol=1e-9
        )

    def test_of_an_op_that_keeps_a_floating_by_product_is_refused_and_not_wrong(self) -> None:
        def forward(xp: Any, x: Any) -> Any:
            e = xp.exp(x)
            return e, e

        exponential = tg.op(
            "exp_with_residual_of_tests",
            forward=forward,
            vjp={"x": lambda xp, g, residual: g * residual},
            residual=True,
        )
        assert tg.grad(exponential)(1.0).item() == pytest.approx(np.e)
        with pytest.raises(tg.errors.GradientError, match="by-products"):
            tg.grad(tg.grad(exponential))(1.0)


class TestProducts:
    @given(st.integers(0, 2**16))
    def test_jvp_and_vjp_agree_with_the_jacobian_and_each_other(self, seed: int) -> None:
        x, v, u = numbers(3, seed=seed), numbers(3, seed=seed + 1), numbers(2, seed=seed + 2)
        jacobian = tg.jacobian(bend)(tg.tensor(x)).numpy()
        value, along = tg.jvp(bend, (tg.tensor(x),), (tg.tensor(v),))
        value_again, pull_back = tg.vjp(bend, tg.tensor(x))
        (back,) = pull_back(tg.tensor(u))
        np.testing.assert_allclose(along.numpy(), jacobian @ v, rtol=1e-9)
        np.testing.assert_allclose(back.numpy(), u @ jacobian, rtol=1e-9)
        np.testing.assert_allclose(u @ along.numpy(), back.numpy() @ v, rtol=1e-9)
        np.testing.assert_array_equal(value.numpy(), value_again.numpy())
        assert not along.requires_grad
        assert not back.requires_grad

    @settings(max_examples=10)
    @given(st.integers(0, 2**16))
    def test_hvp_is_the_hessian_times_a_vector(self, seed: int) -> None:
        x, v = numbers(3, seed=seed) / 2, numbers(3, seed=seed + 1)
        hessian = tg.hessian(energy)(tg.tensor(x)).numpy()
        found = tg.hvp(energy, tg.tensor(x), tg.tensor(v))
        np.testing.assert_allclose(found.numpy(), hessian @ v, rtol=1e-8, atol=1e-9)

    def test_take_containers_and_give_them_back(self) -> None:
        def f(d: Any) -> Any:
            return [d["a"] * d["b"], d["a"]]

        point, direction = {"a": 2.0, "b": 3.0}, {"a": 1.0, "b": 10.0}
        values, slopes = tg.jvp(f, (point,), (direction,))
        assert [one.item() for one in values] == [6.0, 2.0]
        assert [one.item() for one in slopes] == [23.0, 1.0]
        _, pull_back = tg.vjp(f, point)
        (back,) = pull_back([1.0, 10.0])
        assert {name: one.item() for name, one in back.items()} == {"a": 13.0, "b": 2.0}
        product = tg.hvp(lambda d: d["a"] * d["a"] * d["b"], point, {"a": 1.0, "b": 0.0})
        assert {name: one.item() for name, one in product.items()} == {"a": 6.0, "b": 4.0}

    def test_hvp_of_a_module(self) -> None:
        net = tg.nn.Linear(2, 1)
        ones = {n: tg.tensor(np.ones(p.shape, np.float32)) for n, p in net.named_parameters()}
        found = tg.hvp(lambda net: (net(tg.tensor([[1.0, 2.0]])) ** 2).sum(), net, ones)
        np.testing.assert_allclose(found["weight"].numpy(), [[8.0, 16.0]], rtol=1e-6)
        np.testing.assert_allclose(found["bias"].numpy(), [8.0], rtol=1e-6)

    def test_of_functions_that_are_linear_or_constant(self) -> None:
        assert tg.jvp(lambda x: 3 * x, (2.0,), (1.0,))[1].item() == 3.0
        assert tg.jvp(lambda x: tg.tensor(1.0), (2.0,), (1.0,))[1].item() == 0.0
        assert tg.hvp(lambda x: 3 * x, 2.0, 1.0).item() == 0.0
        assert (
            tg.hessian(lambda x: (3 * x).sum())(tg.tensor([1.0, 2.0])).tolist() == [[0.0] * 2] * 2
        )

    def test_can_be_differentiated(self) -> None:
        slope = tg.grad(lambda x: tg.jvp(lambda y: y * y * y, (x,), (1.0,))[1])
        assert slope(2.0).item() == 12.0
        slope = tg.grad(lambda v: tg.jvp(lambda y: y * y * y, (2.0,), (v,))[1])
        assert slope(1.0).item() == 12.0
        third = tg.grad(lambda x: tg.hvp(lambda y: y * y * y * y, x, 1.0))
        assert third(2.0).item() == 48.0

    def test_want_directions_that_fit(self) -> None:
        with pytest.raises(tg.errors.ArgumentError, match="expected 1 tangents, got 2"):
            tg.jvp(bend, (tg.tensor(X),), (tg.tensor(X), tg.tensor(X)))
        with pytest.raises(tg.errors.ShapeError, match=r"\(3,\).*\(2,\)"):
            tg.jvp(bend, (tg.tensor(X),), (tg.tensor([1.0, 2.0]),))
        _, pull_back = tg.vjp(bend, tg.tensor(X))
        with pytest.raises(tg.errors.ShapeError, match=r"\(2,\).*\(3,\)"):
            pull_back(tg.tensor(X))
        with pytest.raises(tg.errors.ArgumentError, match="expected 2 tangents"):
            tg.jvp(lambda d: d["a"], ({"a": 1.0, "b": 2.0},), ({"a": 1.0},))


class TestAutogradGrad:
    def test_gives_a_gradient_for_each_input_and_none_for_what_does_not_matter(self) -> None:
        x, y, other = tg.scalar(2.0), tg.scalar(3.0), tg.scalar(4.0)
        by_x, by_other, by_y = tg.autograd.grad(x * x * y, [x, other, y])
        assert by_x is not None
        assert by_y is not None
        assert (by_x.item(), by_y.item(), by_other) == (12.0, 4.0, None)
        assert x.grad is y.grad is None

    def test_by_values_between(self) -> None:
        x = tg.scalar(2.0)
        y = x * x
        z = y * y
        by_y, by_x = tg.autograd.grad(z, [y, x])
        assert by_y is not None
        assert by_x is not None
        assert (by_y.item(), by_x.item()) == (8.0, 32.0)
        assert tg.autograd.grad(z, z)[0].item() == 1.0  # type: ignore[union-attr]
        (slope,) = tg.autograd.grad([x, x * x], x)
        assert slope is not None
        assert slope.item() == 1.0 + 4.0

    def test_of_several_outputs_adds_up(self) -> None:
        x = tg.scalar(2.0)
        (slope,) = tg.autograd.grad([x * x, x * 3], x, [1.0, 10.0])
        assert slope is not None
        assert slope.item() == 34.0
        y = x * x
        (slope,) = tg.autograd.grad([y, y], x)
        assert slope is not None
        assert slope.item() == 8.0

    @pytest.mark.parametrize("create_graph", [False, True])
    @pytest.mark.parametrize(
        "given", [X, [X.tolist()], tg.tensor(X), [X], [tg.tensor(X)], (tg.tensor(X),)]
    )
    def test_takes_grad_outputs_of_any_form(self, given: Any, create_graph: bool) -> None:
        x = tg.tensor(X, requires_grad=True)
        (found,) = tg.autograd.grad(x * x, x, given, create_graph=create_graph)
        assert found is not None
        np.testing.assert_allclose(found.detach().numpy(), 2 * X * X)

    @pytest.mark.parametrize("create_graph", [False, True])
    @pytest.mark.parametrize("given", [np.ones(2), tg.tensor([1.0, 2.0]), tg.scalar(1.0)])
    def test_wants_grad_outputs_of_the_shape_of_the_outputs(
        self, given: Any, create_graph: bool
    ) -> None:
        x = tg.tensor(X, requires_grad=True)
        with pytest.raises(tg.errors.ShapeError, match=r"\(3,\)"):
            tg.autograd.grad(x * x, x, [given], create_graph=create_graph)

    def test_wants_a_grad_output_for_each_output(self) -> None:
        x = tg.scalar(2.0)
        with pytest.raises(tg.errors.ArgumentError, match="2 grad_outputs for 1"):
            tg.autograd.grad(x * x, x, [1.0, 2.0])

    def test_wants_tensors_that_a_gradient_flows_through(self) -> None:
        x, plain = tg.scalar(2.0), tg.tensor(1.0)
        with pytest.raises(tg.errors.GradientError, match=r"inputs\[1\] requires no gradient"):
            tg.autograd.grad(x * plain, [x, plain])
        with pytest.raises(tg.errors.GradientError, match=r"outputs\[0\] requires no gradient"):
            tg.autograd.grad(plain, x)

    def test_visits_only_what_lies_between(self) -> None:
        visited = []

        def rule(name: str) -> Callable[..., Any]:
            def of(xp: Any, g: Any) -> Any:
                visited.append(name)
                return g

            return of

        beside = tg.op("beside_of_tests", forward=lambda xp, x: x + 0, vjp={"x": rule("beside")})
        below = tg.op("below_of_tests", forward=lambda xp, x: x + 0, vjp={"x": rule("below")})
        x, y = tg.scalar(1.0), tg.scalar(2.0)
        middle = below(x) * 2
        tg.autograd.grad(middle * beside(y), middle)
        assert visited == []
        tg.autograd.grad(middle * beside(y), [x, y])
        assert sorted(visited) == ["below", "beside"]

    def test_without_create_graph_has_no_history(self) -> None:
        x = tg.scalar(2.0)
        (slope,) = tg.autograd.grad(x * x, x)
        assert slope is not None
        assert not slope.requires_grad

    def test_with_create_graph_is_differentiable_by_the_given_gradient_too(self) -> None:
        x, g = tg.scalar(3.0), tg.scalar(5.0)
        (slope,) = tg.autograd.grad(x * x, x, [g], create_graph=True)
        assert slope is not None
        by_g, by_x = tg.autograd.grad(slope, [g, x])
        assert by_g is not None
        assert by_x is not None
        assert (slope.item(), by_g.item(), by_x.item()) == (30.0, 6.0, 10.0)

    def test_leaves_the_graph_as_it_was(self) -> None:
        x = tg.scalar(2.0)
        y = x * x
        for _ in range(3):
            (slope,) = tg.autograd.grad(y, x, create_graph=True)
            assert slope is not None
            assert slope.item() == 4.0
        y.backward()
        assert x.grad is not None
        assert x.grad.item() == 4.0


class TestTrees:
    @given(
        st.recursive(
            st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.text(max_size=2), inner, max_size=3)
                | st.tuples(inner, inner)
                | st.builds(Point, inner, inner)
            ),
            max_leaves=12,
        )
    )
    def test_taken_apart_and_put_together_are_the_same(self, tree: Any) -> None:
        leaves, rebuild = trees.flatten(tree)
        assert all(isinstance(leaf, int) for leaf in leaves)
        assert rebuild(leaves) == tree
        assert trees.flatten(rebuild([-leaf for leaf in leaves]))[0] == [-leaf for leaf in leaves]


class TestSeveralArguments:
    """Matrices of several arguments are tuples, as in JAX."""

    def test_of_a_jacobian(self) -> None:
        f = lambda x, y, power=2: x * y**power  # noqa: E731
        by_x, by_y = tg.jacobian(f, (0, 1))(tg.tensor([1.0, 2.0]), tg.tensor([3.0, 5.0]))
        assert by_x.tolist() == [[9.0, 0.0], [0.0, 25.0]]
        assert by_y.tolist() == [[6.0, 0.0], [0.0, 20.0]]
        (by_y,) = tg.jacobian(f, argnums=[1])(2.0, 3.0, power=3)
        assert by_y.item() == 54.0
        assert tg.jacobian(f, argnums=-1)(2.0, 3.0, power=1).item() == 2.0

    def test_of_a_hessian(self) -> None:
        f = lambda x, y, scale=1.0: scale * x * x * y  # noqa: E731
        found = tg.hessian(f, (0, 1))(3.0, 5.0, scale=2.0)
        assert [[one.item() for one in row] for row in found] == [[20.0, 12.0], [12.0, 0.0]]

    def test_of_a_container(self) -> None:
        found = tg.jacobian(lambda x, y: {"out": [x * y]}, (0, 1))(2.0, {"a": 3.0}["a"])
        assert [one.item() for one in found["out"][0]] == [3.0, 2.0]

    def test_are_named_by_the_transform_that_was_called(self) -> None:
        for name in ("jacobian", "hessian"):
            transform = getattr(tg, name)
            with pytest.raises(tg.errors.ArgumentError, match=rf"tg\.{name}: expected the index"):
                transform(lambda x: x * 1, (0, 1))(1.0)
        with pytest.raises(tg.errors.GradientError, match=r"tg\.hessian: .*must return a scalar"):
            tg.hessian(lambda x: x * 1)(tg.ones(2))
        with pytest.raises(tg.errors.GradientError, match=r"tg\.hvp: .*must return a scalar"):
            tg.hvp(lambda x: x * 1, tg.ones(2), tg.ones(2))


TRANSFORMS: dict[str, Callable[..., Any]] = {
    "grad": lambda f: tg.grad(f),
    "value_and_grad": lambda f: lambda *args, **k: tg.value_and_grad(f)(*args, **k)[1],
    "jacobian": lambda f: tg.jacobian(f),
    "hessian": lambda f: tg.hessian(lambda x, **k: f(x * x / 2, **k)),
    "vjp": lambda f: lambda *args, **k: tg.vjp(f, *args, **k)[1](1.0)[0],
    "jvp": lambda f: lambda x, **k: tg.jvp(f, (x,), (1.0,), **k)[1],
    "hvp": lambda f: lambda x, **k: tg.hvp(lambda x, **k: f(x * x / 2, **k), x, 1.0, **k),
}


class TestArgumentsByKeyword:
    @pytest.mark.parametrize("name", TRANSFORMS)
    def test_go_through(self, name: str) -> None:
        assert TRANSFORMS[name](lambda x, y=1.0: x * y)(2.0, y=3.0).item() == 3.0
        assert TRANSFORMS[name](lambda x, y=1.0: x * y)(2.0).item() == 1.0

    def test_go_through_nested_transforms(self) -> None:
        cubed = tg.grad(tg.grad(lambda x, scale=1.0: scale * x**3))
        assert cubed(2.0, scale=5.0).item() == 60.0

    def test_may_be_tensors_of_an_outer_transform(self) -> None:
        def slope(y: Any) -> Any:
            return tg.grad(lambda x, y: x * x * y)(3.0, y=y)

        assert tg.grad(slope)(2.0).item() == 6.0

    def test_are_not_differentiated(self) -> None:
        with pytest.raises(tg.errors.ArgumentError, match=r"0 arguments .* by keyword are not"):
            tg.grad(lambda x: x)(x=2.0)


WITH_AUX: dict[str, Callable[..., Any]] = {
    "grad": lambda f: tg.grad(f, has_aux=True),
    "value_and_grad": lambda f: (
        lambda *args, **k: tuple(reversed(tg.value_and_grad(f, has_aux=True)(*args, **k)[0]))
    ),
    "jacobian": lambda f: tg.jacobian(f, has_aux=True),
    "hessian": lambda f: tg.hessian(f, has_aux=True),
    "vjp": lambda f: lambda *args, **k: tg.vjp(f, *args, has_aux=True, **k)[1:],
    "jvp": lambda f: lambda x, **k: tg.jvp(f, (x,), (1.0,), has_aux=True, **k)[1:],
    "hvp": lambda f: lambda x, **k: tg.hvp(f, x, 1.0, has_aux=True, **k),
}
DERIVATIVES = {"value_and_grad": 54.0, "hessian": 36.0, "hvp": 36.0}
"""Of 2 x³ at 3: the value, and second derivatives; else the first, 54."""


class TestAuxiliaryResults:
    @pytest.mark.parametrize("name", WITH_AUX)
    def test_come_beside_every_derivative(self, name: str) -> None:
        def f(x: Any, scale: float = 1.0) -> Any:
            return scale * x * x * x, {"square": x * x, "note": "aux"}

        found, aux = WITH_AUX[name](f)(3.0, scale=2.0)
        if name == "vjp":
            (found,) = found(1.0)
        elif name == "value_and_grad":
            found, aux = aux, found
        assert found.item() == DERIVATIVES.get(name, 54.0)
        assert (aux["square"].item(), aux["note"]) == (9.0, "aux")
        assert not aux["square"].requires_grad

    @pytest.mark.parametrize("name", WITH_AUX)
    def test_must_be_there(self, name: str) -> None:
        with pytest.raises(tg.errors.ArgumentTypeError, match=r"has_aux=True.*\(value, aux\)"):
            WITH_AUX[name](lambda x: x * x)(3.0)

    @pytest.mark.parametrize("inner", ["jacobian", "hessian"])
    def test_of_an_inner_matrix_can_be_differentiated(self, inner: str) -> None:
        def outer(x: Any) -> Any:
            whole, square = WITH_AUX[inner](lambda y: (x * y * y, x * x))(1.0)
            return whole + square

        assert tg.grad(outer)(3.0).item() == 2.0 + 6.0

    def test_come_beside_the_value(self) -> None:
        def f(x: Any, y: float = 1.0) -> Any:
            return x * x * y, {"double": x + x, "note": "aux", "nothing": None}

        (value, aux), slope = tg.value_and_grad(f, has_aux=True)(3.0, y=2.0)
        assert (value.item(), slope.item()) == (18.0, 12.0)
        assert aux["double"].item() == 6.0
        assert not aux["double"].requires_grad
        assert (aux["note"], aux["nothing"]) == ("aux", None)
        slope, aux = tg.grad(f, has_aux=True)(3.0)
        assert (slope.item(), aux["note"]) == (6.0, "aux")
        slopes, aux = tg.grad(lambda x, y: (x * y, x), (0, 1), has_aux=True)(3.0, 4.0)
        assert ([one.item() for one in slopes], aux.item()) == ([4.0, 3.0], 3.0)

    def test_of_an_inner_transform_can_be_differentiated(self) -> None:
        def outer(x: Any) -> Any:
            slope, square = tg.grad(lambda y: (x * y, x * x), has_aux=True)(1.0)
            return slope + square

        assert tg.grad(outer)(3.0).item() == 7.0

    def test_may_be_modules(self) -> None:
        net = tg.nn.Linear(1, 1)
        _, aux = tg.grad(lambda x: (x * x, net), has_aux=True)(3.0)
        assert aux is net

    @pytest.mark.parametrize("out", [lambda x: x, lambda x: (x, x, x), lambda x: [x, x]])
    def test_must_be_returned(self, out: Callable[[Any], Any]) -> None:
        with pytest.raises(tg.errors.ArgumentTypeError, match=r"\(value, aux\)"):
            tg.grad(out, has_aux=True)(3.0)
