"""Tensor programs drawn as scalars: the same numbers and gradients, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.show.scalars import scalars_of

from .pictures import texts_on_each_other

pytestmark = pytest.mark.numpy_only("scalars are Python floats")


def graph_of(loss: Any) -> Any:
    return scalars_of(tg.graph(loss).opened())


def gradients_of(found: Any, name: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    by_name = {node.name: node.gradient for node in found}
    digits = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
    numbers = [
        by_name.get(name + "".join(str(i).translate(digits) for i in place), 0.0)
        for place in np.ndindex(*shape)
    ]
    return np.array(numbers, dtype=float).reshape(shape)


PARTS: dict[str, Any] = {
    "tanh": lambda h, w: tg.tanh(h),
    "exp": lambda h, w: tg.exp(h * 0.1),
    "square": lambda h, w: h * h * 0.1,
    "T": lambda h, w: h.T,
    "+w": lambda h, w: h + w,
    "/": lambda h, w: h / (w * w + 1),
    "@": lambda h, w: h @ w * 0.3,
    "@ vector": lambda h, w: h - h @ w[0],
    "sum": lambda h, w: h - h.sum(axis=0),
    "mean": lambda h, w: h - tg.mean(h, axis=1, keepdims=True),
    "sum of both": lambda h, w: h * tg.sum(h, axis=(0, 1)),
    "prod": lambda h, w: h + tg.prod(h, axis=0),
    "max": lambda h, w: h - h.max(axis=1, keepdims=True),
    "min": lambda h, w: h - tg.min(h),
    "softmax": lambda h, w: tg.softmax(h, axis=1),
    "logsumexp": lambda h, w: h - tg.logsumexp(h, axis=0),
    "norm": lambda h, w: (h - tg.mean(h, axis=0)) / tg.std(h, axis=0),
    "1-": lambda h, w: 1.0 - h,
    "row": lambda h, w: h + h[0],
    "flip": lambda h, w: h[::-1] * 2.0,
    "roll": lambda h, w: tg.roll(h, 1, axis=1),
    "pick": lambda h, w: h[[0, 1]] + h[[1, 1]],
    "join": lambda h, w: tg.concat((h[:1], h[1:] * 0.5)),
    "stack": lambda h, w: tg.stack([h[0], h[1] * 2.0]),
    "unstack": lambda h, w: tg.unstack(h)[1] * h,
    "relu": lambda h, w: tg.relu(h),
    "where": lambda h, w: tg.where(h > 0.1, h, h * 0.5),
    "tril": lambda h, w: tg.tril(h) + h,
    "cumulative": lambda h, w: tg.cumulative_sum(h, axis=1),
    "vecdot": lambda h, w: h * tg.vecdot(h, w, axis=0),
    "reshape": lambda h, w: tg.reshape(tg.reshape(h, (4,)) * 2.0, (2, 2)),
}


@given(
    st.lists(st.sampled_from(sorted(PARTS)), min_size=1, max_size=4),
    st.integers(0, 99),
    st.booleans(),
)
def test_values_and_gradients_are_those_of_the_tensors(
    program: list[str], seed: int, whole: bool
) -> None:
    draw = np.random.default_rng(seed).normal
    x = tg.tensor(draw(size=(2, 2)), requires_grad=True, name="x")
    w = tg.tensor(draw(size=(2, 2)), requires_grad=True, name="w")
    h = x * w
    for part in program:
        h = PARTS[part](h, w)
    out = h.sum() if whole else h
    out.backward(None if whole else draw(size=(2, 2)))
    found = scalars_of(tg.graph(out).opened(), most=10_000).graph
    values = np.array([float(node.value) for node in found.outputs])
    np.testing.assert_allclose(values, np.ravel(out.data), rtol=1e-9, atol=1e-12)
    for leaf in (x, w):
        assert leaf.name is not None
        got = gradients_of(found, leaf.name, (2, 2))
        np.testing.assert_allclose(got, leaf.grad.data, rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Linear(2, 2), (1, 2)),
        (lambda: nn.Conv1d(1, 1, 2), (1, 1, 4)),
        (lambda: nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)), (1, 2)),
        (lambda: nn.GRU(1, 1, batch_first=True), (1, 2, 1)),
        (lambda: nn.LayerNorm(3), (1, 3)),
        (lambda: nn.MaxPool1d(2), (1, 1, 4)),
    ],
)
def test_fused_ops_are_opened(make: Any, shape: tuple[int, ...]) -> None:
    tg.seed(0)
    module = make()
    x = tg.tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True, name="x")
    out = module(x)
    loss = ((out[0] if isinstance(out, tuple) else out) ** 2).sum()
    loss.backward()
    found = scalars_of(tg.graph(loss).opened(), most=1000).graph
    assert all(node.shape == () for node in found)
    np.testing.assert_allclose(float(found.outputs[0].value), float(loss.data), rtol=1e-5)
    np.testing.assert_allclose(gradients_of(found, "x", shape), x.grad.data, rtol=1e-4, atol=1e-7)


def layer() -> Any:
    W = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
    b = tg.tensor([0.1, 0.2], requires_grad=True, name="b")
    x = tg.tensor([[1.0], [-1.0]], name="x")
    return tg.tanh(W @ x + tg.reshape(b, (2, 1))).sum()


class TestAPicture:
    def test_has_a_box_for_each_element(self) -> None:
        loss = layer()
        loss.backward()
        picture = tg.draw(loss, level="scalars").picture
        names = [box.name for box in picture.boxes]
        assert {"W₀₀", "W₀₁", "W₁₀", "W₁₁", "b₀", "b₁", "x₀₀", "x₁₀", "loss"} <= set(names)
        equations = [box.equation for box in picture.boxes]
        assert sum("×" in one for one in equations) == 4
        assert sum("+" in one for one in equations) == 2 + 2 + 1

    @pytest.mark.parametrize("style", ["boxes", "circuit"])
    @pytest.mark.parametrize("direction", ["LR", "TB"])
    def test_has_no_texts_on_each_other(self, style: Any, direction: Any) -> None:
        drawing = tg.draw(layer(), level="scalars", style=style, direction=direction)
        assert texts_on_each_other(drawing) == []

    def test_says_that_gradients_were_not_computed(self) -> None:
        assert all(node.gradient is None for node in graph_of(layer()).graph)

    def test_highlights_all_elements_of_a_tensor(self) -> None:
        W = tg.tensor([1.0, 2.0], requires_grad=True, name="W")
        picture = tg.draw((W * W).sum(), level="scalars", highlight=W).picture
        assert [box.name for box in picture.boxes if box.highlighted] == ["W₀", "W₁"]

    def test_keeps_the_frames_of_modules_and_the_users_lines(self) -> None:
        model = nn.Sequential(nn.Linear(2, 1), nn.Tanh())
        loss = model(tg.ones((1, 2))).sum()
        picture = tg.draw(loss, level="scalars").picture
        assert [frame.title for frame in picture.frames] == ["0 · Linear", "1 · Tanh"]
        lines = {str(node.line) for node in graph_of(loss).graph if node.op is not None}
        assert all("test_scalars.py" in line for line in lines)

    def test_names_elements_of_long_axes_with_a_comma(self) -> None:
        x = tg.tensor(np.ones(12), requires_grad=True, name="x")
        y = tg.tensor(np.ones((12, 1)), requires_grad=True, name="y")
        names = [node.name for node in graph_of((x @ y).sum()).graph]
        assert "x₁₁" in names
        assert "y₁₁,₀" in names

    def test_leaves_the_tensors_as_they_are(self) -> None:
        W = tg.tensor([1.0, 2.0], requires_grad=True, name="W")
        loss = (W * W).sum()
        loss.backward()
        tg.draw(loss, level="scalars")
        assert W.grad.tolist() == [2.0, 4.0]
        assert str(tg.graph(loss)["W"].gradient) == "[2. 4.]"


class TestWhatIsRefused:
    def test_is_a_graph_that_is_too_large_with_its_count(self) -> None:
        x = tg.tensor(np.ones((20, 20)), requires_grad=True, name="x")
        with pytest.raises(ArgumentError, match=r"800 scalar nodes, and most=400"):
            tg.draw(tg.exp(x), level="scalars")
        with pytest.raises(ArgumentError, match=r"more than 20,000 scalar nodes, and most=500"):
            tg.draw(
                tg.tensor(np.ones((30, 30)), requires_grad=True) @ np.ones((30, 30)),
                level="scalars",
                most=500,
            )
        assert len(tg.draw(tg.exp(x), level="scalars", most=800).picture.boxes) == 800
        with pytest.raises(
            ArgumentError, match=r"large, of shape \(100, 100\), were not even kept"
        ):
            tg.draw(
                tg.tensor(np.ones((100, 100)), name="large", requires_grad=True) * 1,
                level="scalars",
            )

    def test_is_an_op_that_is_not_made_of_scalars_by_its_name(self) -> None:
        x = tg.tensor([[2.0, 1.0], [1.0, 2.0]], requires_grad=True)
        with pytest.raises(ArgumentError, match=r"inv, of shape \(2, 2\) .*test_scalars.py"):
            tg.draw(tg.linalg.inv(x).sum(), level="scalars")
        with pytest.raises(ArgumentError, match="svd"):
            tg.draw(tg.linalg.svd(x)[1].sum(), level="scalars")

    def test_is_a_maximum_of_many_that_ties(self) -> None:
        x = tg.tensor([1.0, 2.0, 2.0], requires_grad=True)
        with pytest.raises(ArgumentError, match="several elements are the max of 3"):
            tg.draw(x.max(), level="scalars")
