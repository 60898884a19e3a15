"""Properties of every differentiable function, on calls drawn at random from its recipe."""

import warnings
from collections.abc import Callable
from inspect import unwrap
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import ops
from tinygrad_lab.engine.op import table
from tinygrad_lab.engine.user_code import is_library

from .recipes import RECIPES, SEEN_THROUGH, WITHOUT_GRADIENT, Array, Call, Recipe, seeds

every_function = pytest.mark.parametrize("recipe", RECIPES, ids=str)
some = settings(max_examples=max(3, settings().max_examples // 2))
# Linearity, dtypes and shapes depend less on the values than values and derivatives do.
few = settings(max_examples=max(3, settings().max_examples // 4))
STEP = 1e-6


def differentiable() -> set[str]:
    """Return the ops of the table that have a rule, and the public functions composed of ops."""
    with_rules = {
        name
        for name, op in table.items()
        if (op.rules or (op.complex_op and op.complex_op.rules))
        and is_library[op.forward.__code__.co_filename]
    }
    public = {name: getattr(ops, name) for name in ops.__all__}
    public |= {name: getattr(tg, name) for name in tg.__all__}
    composed = {
        name
        for name, function in public.items()
        if getattr(unwrap(function), "__module__", "").startswith("tinygrad_lab.ops")
        and not hasattr(function, "op")
        and name != "op"
    }
    return with_rules | composed


def test_every_differentiable_function_has_a_recipe() -> None:
    known = {recipe.name for recipe in RECIPES} | set(WITHOUT_GRADIENT) | set(SEEN_THROUGH)
    missing = sorted(differentiable() - known)
    assert not missing, (
        f"{', '.join(missing)}: not tested yet. Add to RECIPES in tests/recipes/ a line for "
        f'each: unary("{missing[0]}") or binary("{missing[0]}") for an elementwise function '
        "(low=, high= bound its domain, kinks= lists its kinks), reduction(...) for one of axis= "
        "and keepdims=, along(...) for one of a single axis=, special(..., strategy) for any "
        "other. One that no gradient flows through goes to WITHOUT_GRADIENT there, with the reason."
    )


def test_every_recipe_is_of_a_differentiable_function() -> None:
    assert {recipe.name for recipe in RECIPES} <= differentiable()
    assert not set(WITHOUT_GRADIENT) - differentiable()


def tensors_of(call: Call, dtype: Any = np.float64) -> list[tg.Tensor]:
    return [tg.tensor(array.astype(dtype), requires_grad=True) for array in call.arrays]


def value_of(call: Call, *arrays: Array) -> Array:
    with tg.no_grad():
        return call.function(*map(tg.tensor, arrays)).numpy()


def weights_like(array: Any, seed: int) -> Array:
    return np.asarray(np.random.default_rng(seed).normal(size=array.shape))


def pulled_back(call: Call, g: Array, dtype: Any = np.float64) -> list[Array]:
    """Return the gradients of a call for a cotangent of its output."""
    tensors = tensors_of(call, dtype)
    out = call.function(*tensors)
    found = tg.autograd.grad([out], tensors, [tg.tensor(g.astype(dtype))])
    return [
        np.zeros(x.shape, dtype) if one is None else one.numpy()
        for x, one in zip(tensors, found, strict=True)
    ]


def close(found: Any, expected: Any, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=atol)


@every_function
class TestEveryFunction:
    @some
    @given(data=st.data())
    def test_has_the_value_that_numpy_gives(self, recipe: Recipe, data: st.DataObject) -> None:
        call = data.draw(recipe.calls)
        found = value_of(call, *call.arrays)
        assert found.dtype == np.float64
        assert call.expected is not None
        expected = call.expected(*call.arrays)
        assert found.shape == np.shape(expected)
        close(found, expected, rtol=1e-12, atol=1e-13)

    @some
    @given(data=st.data(), seed=seeds)
    def test_has_the_derivatives_of_both_orders_that_its_values_have(
        self, recipe: Recipe, data: st.DataObject, seed: int
    ) -> None:
        call = data.draw(recipe.calls)
        inputs = [tg.tensor(array) for array in call.arrays]
        tg.gradcheck(call.function, *inputs, order=2, seed=seed, samples=3)

    @some
    @given(data=st.data(), seed=seeds)
    def test_has_the_derivative_along_tangents_that_differences_find(
        self, recipe: Recipe, data: st.DataObject, seed: int
    ) -> None:
        call = data.draw(recipe.calls)
        tangents = [weights_like(array, seed) for array in call.arrays]
        _, slope = tg.jvp(
            call.function, [*map(tg.tensor, call.arrays)], [*map(tg.tensor, tangents)]
        )
        ahead, behind = (
            value_of(
                call, *(x + sign * STEP * t for x, t in zip(call.arrays, tangents, strict=True))
            )
            for sign in (1, -1)
        )
        close(slope.numpy(), (ahead - behind) / (2 * STEP), rtol=1e-5, atol=1e-7)

    @few
    @given(data=st.data(), seed=seeds)
    def test_pulls_gradients_back_linearly(
        self, recipe: Recipe, data: st.DataObject, seed: int
    ) -> None:
        call = data.draw(recipe.calls)
        out = value_of(call, *call.arrays)
        one, other = weights_like(out, seed), weights_like(out, seed + 1)
        together = pulled_back(call, 2 * one - 3 * other)
        apart = zip(pulled_back(call, one), pulled_back(call, other), strict=True)
        for found, (a, b) in zip(together, apart, strict=True):
            close(found, 2 * a - 3 * b, rtol=1e-10, atol=1e-10)

    @few
    @given(data=st.data(), seed=seeds, dtype=st.sampled_from([np.float32, np.float64]))
    def test_gives_gradients_like_its_inputs_and_writes_into_nothing(
        self, recipe: Recipe, data: st.DataObject, seed: int, dtype: Any
    ) -> None:
        call = data.draw(recipe.calls)
        tensors = tensors_of(call, dtype)
        out = call.function(*tensors)
        assert out.dtype == dtype
        value, g = out.detach().numpy().copy(), weights_like(out, seed).astype(dtype)
        given_gradient = g.copy()
        out.backward(gradient=given_gradient)
        for tensor, array in zip(tensors, call.arrays, strict=True):
            assert tensor.grad is not None
            assert (tensor.grad.shape, tensor.grad.dtype) == (array.shape, dtype)
            np.testing.assert_array_equal(tensor.detach().numpy(), array.astype(dtype))
        np.testing.assert_array_equal(out.detach().numpy(), value)
        np.testing.assert_array_equal(given_gradient, g)

    @few
    @given(data=st.data(), seed=seeds)
    def test_agrees_with_itself_in_float32(
        self, recipe: Recipe, data: st.DataObject, seed: int
    ) -> None:
        call = data.draw(recipe.calls)
        g = weights_like(value_of(call, *call.arrays), seed)
        for narrow, wide in zip(
            pulled_back(call, g, np.float32), pulled_back(call, g), strict=True
        ):
            close(narrow, wide, rtol=2e-3, atol=2e-4)


@pytest.mark.parametrize("recipe", [r for r in RECIPES if r.elementwise], ids=str)
@some
@given(data=st.data())
def test_elementwise_functions_of_python_floats_are_those_of_arrays(
    recipe: Recipe, data: st.DataObject
) -> None:
    call = data.draw(recipe.calls)
    assume(all(array.size for array in call.arrays))
    values = [array.flat[0].item() for array in call.arrays]
    numbers = [tg.scalar(value) for value in values]
    out = call.function(*numbers)
    out.backward()
    alone = Call(call.function, tuple(np.asarray(value) for value in values))
    assert isinstance(out.data, float)
    close(out.item(), value_of(alone, *alone.arrays), rtol=1e-14, atol=1e-15)
    for number, gradient in zip(numbers, pulled_back(alone, np.ones(())), strict=True):
        assert number.grad is not None
        assert isinstance(number.grad.data, float)
        close(number.grad.item(), gradient, rtol=1e-13, atol=1e-14)


KINKS = [(recipe, kink) for recipe in RECIPES for kink in recipe.kinks]


@pytest.mark.parametrize(("recipe", "kink"), KINKS, ids=lambda one: getattr(one, "name", ""))
def test_at_a_kink_the_gradient_lies_between_the_slopes_on_its_sides(
    recipe: Recipe, kink: Call
) -> None:
    here = value_of(kink, *kink.arrays)
    # Each output element has its own weight.
    weights = np.arange(1.0, here.size + 1).reshape(here.shape)
    for position, gradient in enumerate(pulled_back(kink, weights)):
        for place in np.ndindex(gradient.shape):
            slopes = []
            for step in (STEP, -STEP):
                moved = [array.copy() for array in kink.arrays]
                moved[position][place] += step
                slopes.append(((value_of(kink, *moved) - here) * weights).sum() / step)
            assert min(slopes) - 1e-5 <= gradient[place] <= max(slopes) + 1e-5


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES if recipe.shared], ids=str)
@some
@given(data=st.data(), seed=seeds)
def test_values_and_gradients_are_those_of_pytorch(
    recipe: Recipe, data: st.DataObject, seed: int
) -> None:
    torch = pytest.importorskip("torch")
    call = data.draw(recipe.calls)
    assume(call.torch is not None)
    peers = [torch.tensor(array, requires_grad=True) for array in call.arrays]
    out: Any = _quietly(call.torch, torch, *peers)
    close(value_of(call, *call.arrays), out.detach().numpy(), rtol=1e-9, atol=1e-11)
    g = weights_like(out, seed)
    out.backward(torch.tensor(g))
    for found, peer in zip(pulled_back(call, g), peers, strict=True):
        close(found, peer.grad.numpy(), rtol=1e-8, atol=1e-10)


def _quietly(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call PyTorch and ignore its warnings, which are not this project's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*arguments)
