"""Pictures of recurrent nets: steps are frames, inputs have names, gradients have formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.show.rule import rule_text

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")


def numbers(*shape: int) -> Any:
    return tg.tensor(np.random.default_rng(0).normal(size=shape))


class Unrolled(nn.Module):
    def __init__(self, cell: nn.Module, steps: int) -> None:
        super().__init__()
        self.cell, self.steps = cell, steps
        self.out = nn.Linear(4, 2)

    def forward(self, inputs: Any) -> Any:
        h = None
        for t in range(self.steps):
            h = self.cell(inputs[:, t], h)
            h = h[0] if isinstance(h, tuple) else h
            h = (h, h) if isinstance(self.cell, nn.LSTMCell) else h
        return self.out(h[0] if isinstance(h, tuple) else h)


class Concatenated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.Linear(7, 4)

    def forward(self, inputs: Any) -> Any:
        h = tg.zeros((2, 4))
        for t in range(3):
            h = tg.tanh(self.cell(tg.concat([inputs[:, t], h], axis=1)))
        return h


def frames(model: nn.Module, **options: Any) -> dict[str, list[str]]:
    picture = tg.draw(model, numbers(2, 8, 3), **options).picture
    names = {box.key: box.name for box in picture.boxes}
    return {frame.title: [names[key] for key in frame.keys] for frame in picture.frames}


class TestTimeSteps:
    @pytest.mark.parametrize("cell", [nn.RNNCell, nn.GRUCell, nn.LSTMCell])
    @pytest.mark.parametrize("level", ["modules", "layers"])
    def test_of_a_cell_are_frames(self, cell: Any, level: Any) -> None:
        found = frames(Unrolled(cell(3, 4), 3), level=level)
        assert found == {f"step {n}": ["cell"] for n in (1, 2, 3)}

    def test_have_what_is_computed_before_and_after_the_call(self) -> None:
        assert frames(Concatenated()) == {
            "step 1": ["cell", "tanh"],
            "step 2": ["concat", "cell", "tanh"],
            "step 3": ["concat", "cell", "tanh"],
        }

    def test_in_great_number_are_folded(self) -> None:
        assert frames(Unrolled(nn.GRUCell(3, 4), 8)) == {"× 7": ["cell"]}

    def test_are_not_seen_in_nets_without_recurrence(self) -> None:
        relu = nn.ReLU()
        model = nn.Sequential(nn.Linear(3, 4), relu, nn.Linear(4, 5), relu, nn.Linear(5, 2), relu)
        assert frames(model) == {}


def test_inputs_without_a_name_are_named_after_their_argument() -> None:
    loss = nn.functional.cross_entropy(nn.Linear(3, 2)(numbers(2, 3)), tg.tensor([0, 1]))
    names = [box.name for box in tg.draw(loss).picture.boxes if not box.equation]
    assert names == ["weight", "bias", "x", "labels"]


def test_two_inputs_never_have_the_same_name() -> None:
    x = tg.scalar(2.0, name="x")
    y = tg.tensor([1.0, 2.0]) * x + tg.tensor([3.0, 4.0], requires_grad=True)
    names = [box.name for box in tg.draw(y).picture.boxes]
    assert len(set(names)) == len(names)
    assert "x" in names


def test_a_loss_that_a_helper_made_has_the_users_name() -> None:
    def helper(value: Any) -> Any:
        inner = value * value
        return inner + 1

    total = helper(tg.scalar(3.0))
    assert tg.draw(total).picture.boxes[-1].name == "total"


@pytest.mark.parametrize(
    ("layer", "shape", "says"),
    [
        (lambda: nn.Conv1d(1, 2, 3), (1, 1, 8), "kernel=3"),
        (
            lambda: nn.Conv2d(1, 2, 3, stride=2, padding=1),
            (1, 1, 8, 8),
            "kernel=3, stride=2, padding=1",
        ),
        (
            lambda: nn.Conv2d(2, 2, (3, 5), groups=2, stride=(1, 2)),
            (1, 2, 9, 9),
            "kernel=(3, 5), stride=(1, 2), groups=2",
        ),
        (lambda: nn.ConvTranspose1d(1, 2, 4, stride=2), (1, 1, 8), "kernel=4, stride=2"),
    ],
)
def test_the_box_of_a_convolution_says_its_windows(layer: Any, shape: Any, says: str) -> None:
    box = tg.draw(layer()(numbers(*shape))).picture.boxes[-1]
    assert box.equation.endswith(f"(x, weight, bias, {says})")


class TestTheEdgesOfAGRU:
    """The rules on the edges, computed here as they are written."""

    def parts(self) -> tuple[Any, list[Any], Any]:
        tg.seed(0)
        x = tg.tensor(np.random.default_rng(1).normal(size=(2, 3, 4)), requires_grad=True, name="x")
        h0 = tg.tensor(np.random.default_rng(2).normal(size=(1, 2, 5)), requires_grad=True)
        gru = nn.GRU(4, 5, batch_first=True).double()
        out, _ = gru(x, h0)
        g = np.random.default_rng(3).normal(size=out.shape)
        out.backward(g)
        return out, [x, h0, *gru.parameters()], g

    def test_each_say_another_formula(self) -> None:
        out, _, _ = self.parts()
        edges = [edge for edge in tg.graph(out).edges if edge.target.op_name == "gru"]
        assert [rule_text(edge, lambda node: node.label) for edge in edges] == [
            "dₜ @ W_ih for each t",
            "zₜ × d_hₜ + d′ₜ @ W_hh, back to t = 1",
            "Σₜ dₜᵀ @ xₜ, dₜ = [d_r d_z d_n]ₜ",
            "Σₜ d′ₜᵀ @ hₜ₋₁, d′ₜ = [d_r d_z r × d_n]ₜ",
            "Σₜ dₜ, dₜ = [d_r d_z d_n]ₜ",
            "Σₜ d′ₜ, d′ₜ = [d_r d_z r × d_n]ₜ",
        ]

    def test_say_what_the_sweep_computes(self) -> None:
        out, (x, h0, W_ih, W_hh, b_ih, b_hh), g = self.parts()
        X, states = x.data, np.concatenate([h0.data.transpose(1, 0, 2), out.data], axis=1)
        total: dict[str, Any] = dict.fromkeys(("W_ih", "W_hh", "b_ih", "b_hh"), 0.0)
        d_h, d_x = np.zeros((2, 5)), np.zeros_like(X)
        for t in (2, 1, 0):
            before, d_h = states[:, t], d_h + g[:, t]
            from_x = np.split(X[:, t] @ W_ih.data.T + b_ih.data, 3, axis=1)
            from_h = np.split(before @ W_hh.data.T + b_hh.data, 3, axis=1)
            r, z = (1 / (1 + np.exp(-(from_x[i] + from_h[i]))) for i in (0, 1))
            n = np.tanh(from_x[2] + r * from_h[2])
            d_n = d_h * (1 - z) * (1 - n * n)
            d_z = d_h * (before - n) * z * (1 - z)
            d_r = d_n * from_h[2] * r * (1 - r)
            d, d_ = np.hstack([d_r, d_z, d_n]), np.hstack([d_r, d_z, r * d_n])
            total["W_ih"] = total["W_ih"] + d.T @ X[:, t]
            total["W_hh"] = total["W_hh"] + d_.T @ before
            total["b_ih"] = total["b_ih"] + d.sum(axis=0)
            total["b_hh"] = total["b_hh"] + d_.sum(axis=0)
            d_x[:, t] = d @ W_ih.data
            d_h = z * d_h + d_ @ W_hh.data
        for parameter, expected in zip((W_ih, W_hh, b_ih, b_hh), total.values(), strict=True):
            np.testing.assert_allclose(parameter.grad.data, expected, atol=1e-10)
        np.testing.assert_allclose(x.grad.data, d_x, atol=1e-10)
        np.testing.assert_allclose(h0.grad.data[0], d_h, atol=1e-10)
