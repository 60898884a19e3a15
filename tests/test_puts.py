"""Gradients of ``x[i]`` that are differentiated again: collected, and right to any order."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab.ops.puts import Puts

COUNT = 4
INDICES = st.one_of(
    st.integers(-COUNT, COUNT - 1),
    st.builds(slice, st.integers(0, COUNT - 1), st.none()),
    st.lists(st.integers(-COUNT, COUNT - 1), min_size=1, max_size=5).map(np.array),
    st.lists(st.booleans(), min_size=COUNT, max_size=COUNT).map(np.array),
    st.just(...),
)
"""Indices of a vector: one element, several, some of them twice, none, all."""
X = np.array([0.5, -1.5, 2.0, 0.75])


def _third(f: Callable[[Any], Any]) -> Any:
    """Return the sum of all third derivatives, by the element that the last one is for."""
    return tg.grad(lambda x: tg.sum(tg.grad(lambda y: tg.sum(tg.grad(f)(y)))(x)))(tg.tensor(X))


@settings(deadline=None, max_examples=60)
@given(st.lists(INDICES, min_size=1, max_size=6), st.integers(0, 6))
def test_derivatives_are_those_of_the_same_sum_by_weights(indices: list[Any], place: int) -> None:
    def by_index(x: Any) -> Any:
        parts = [tg.sum(x[index] ** 5) for index in indices]
        parts.insert(place, tg.sum(tg.sin(x)))  # a use that is none of elements, in between
        return sum(parts)

    counts = np.zeros(COUNT)
    for index in indices:
        np.add.at(counts, index, 1)
    expected = 60 * counts * X**2 - np.cos(X)
    assert np.allclose(_third(by_index).numpy(), expected)
    assert np.allclose(tg.grad(by_index)(tg.tensor(X)).numpy(), 5 * counts * X**4 + np.cos(X))


@pytest.mark.parametrize("order", [False, True])
def test_a_parameter_as_gradient_adds_to_those_of_elements(order: bool) -> None:
    x = tg.tensor([1.0, 2.0], requires_grad=True)
    seed = tg.nn.Parameter(tg.tensor([3.0, 5.0]))
    element = x[0] * x[0]
    whole = x + 0.0
    outs, seeds = [element, whole], [tg.tensor(1.0), seed]
    if order:
        outs, seeds = outs[::-1], seeds[::-1]
    (first,) = tg.autograd.grad(outs, [x], seeds, create_graph=True)
    assert first.tolist() == [5.0, 5.0]
    assert type(first) is tg.Tensor
    (second,) = tg.autograd.grad(tg.sum(first * first), [x])
    assert second.tolist() == [20.0, 0.0]


def test_a_collected_gradient_is_a_tensor_to_whatever_needs_it() -> None:
    g = tg.tensor(2.0, requires_grad=True)
    puts: Any = Puts(g, (), (1,), (3,)) + Puts(g * g, (), (1,), (3,))
    assert isinstance(puts, tg.Tensor)
    assert puts.shape == (3,)
    assert (puts * 10).tolist() == [0.0, 60.0, 0.0]
    (tg.sum(puts * puts)).backward()
    assert g.grad is not None
    assert g.grad.item() == 2 * 6 * (1 + 2 * 2)


@pytest.mark.parametrize("dtype", [tg.float16, tg.float32, tg.float64])
def test_many_uses_are_summed_as_one_buffer_is(dtype: Any) -> None:
    x = tg.full((2,), 0.5, dtype=dtype).requires_grad_()
    out = sum((x[0] * x[0] for _ in range(3000)), start=tg.tensor(0.0, dtype=dtype))
    (first,) = tg.autograd.grad(out, x, create_graph=True)
    assert first.dtype == dtype
    assert first.tolist() == [3000.0, 0.0]  # a running sum in float16 would stop at 2048


def test_compiled_is_eager() -> None:
    def step(x: Any) -> Any:
        def slope(y: Any) -> Any:
            return tg.sum(tg.grad(lambda z: sum(z[i] ** 3 * z[[i, 0]].sum() for i in range(3)))(y))

        return tg.grad(slope)(x)

    compiled = tg.compile(step)
    for seed in range(3):
        x = tg.tensor(np.random.default_rng(seed).normal(size=3))
        assert np.array_equal(compiled(x).numpy(), step(x).numpy())


def test_pictures_show_the_way_back() -> None:
    x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    (first,) = tg.autograd.grad(sum(x[i] ** 2 for i in range(3)), x, create_graph=True)
    ops = [node.op.name for node in tg.graph(first).nodes if node.op]
    assert ops.count("put_several") == 1
    assert "put" not in ops
    assert "put" in tg.draw(first).svg
