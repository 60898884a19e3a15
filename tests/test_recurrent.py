"""RNN, LSTM, GRU and their cells: against PyTorch, by hand, and at the edges."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tests.layer_checks import (
    Array,
    agree,
    compiles_to_the_same_bits,
    derives_twice,
    is_drawn,
    numbers,
    repeats,
    twins,
)
from tinygrad_lab import nn

LAYERS = ("RNN", "LSTM", "GRU")
CELLS = ("RNNCell", "LSTMCell", "GRUCell")


def states_of(name: str, *shape: int) -> Any:
    """Return initial states: a pair for an LSTM."""
    h = numbers(*shape, seed=1)
    return (h, numbers(*shape, seed=2)) if name.startswith("LSTM") else h


@pytest.mark.numpy_only("PyTorch is compared with NumPy's arrays")
class TestAgainstPyTorch:
    @pytest.mark.parametrize("name", LAYERS)
    @settings(max_examples=12)
    @given(data=st.data())
    def test_layers(self, name: str, data: st.DataObject) -> None:
        layers, hidden, steps, batch = (data.draw(st.integers(1, 3)) for _ in range(4))
        flags = ("bias", "batch_first", "bidirectional")
        named: dict[str, Any] = {flag: data.draw(st.booleans()) for flag in flags}
        if name == "RNN":
            named["nonlinearity"] = data.draw(st.sampled_from(["tanh", "relu"]))
        ours, theirs = twins(name, 2, hidden, layers, **named)
        shape = (batch, steps, 2) if named["batch_first"] else (steps, batch, 2)
        is_batched = data.draw(st.booleans())
        inputs: list[Any] = [numbers(*(shape if is_batched else (steps, 2)))]
        if data.draw(st.booleans()):
            count = layers * (2 if named["bidirectional"] else 1)
            inputs.append(states_of(name, count, *((batch,) if is_batched else ()), hidden))
        agree(ours, theirs, *inputs)

    @pytest.mark.parametrize("is_batched", [True, False])
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("name", CELLS)
    def test_cells(self, name: str, bias: bool, is_batched: bool) -> None:
        ours, theirs = twins(name, 3, 4, bias=bias)
        batch = (2,) if is_batched else ()
        agree(ours, theirs, numbers(*batch, 3))
        agree(ours, theirs, numbers(*batch, 3), states_of(name, *batch, 4))

    def test_cells_of_relu(self) -> None:
        agree(*twins("RNNCell", 3, 4, nonlinearity="relu"), numbers(2, 3), numbers(2, 4))

    @pytest.mark.parametrize("name", LAYERS)
    def test_loses_everything_between_layers_at_a_chance_of_one(self, name: str) -> None:
        ours, theirs = twins(name, 2, 3, 2, dropout=1.0)
        agree(ours, theirs, numbers(4, 2, 2))
        agree(ours.eval(), theirs.eval(), numbers(4, 2, 2))


def by_hand(x: Array, weights: dict[str, Array]) -> tuple[Array, Array]:
    """Return the last h and c of an LSTM of one layer, by its equations."""
    h = c = np.zeros((x.shape[1], weights["weight_hh_l0"].shape[1]))
    for step in x:
        a = step @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        a += h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]
        i, f, g, o = np.split(a, 4, axis=1)
        sigma = [1 / (1 + np.exp(-one)) for one in (i, f, o)]
        c = sigma[1] * c + sigma[0] * np.tanh(g)
        h = sigma[2] * np.tanh(c)
    return h, c


class TestAnyBackend:
    def test_an_lstm_follows_its_equations(self) -> None:
        lstm, x = nn.LSTM(2, 3).to("float64"), numbers(5, 2, 2)
        weights = {name: np.asarray(one.numpy()) for name, one in lstm.state_dict().items()}
        _, (h, c) = lstm(tg.tensor(x))
        for found, expected in zip((h[0], c[0]), by_hand(x, weights), strict=True):
            np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-13)

    @pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
    def test_a_layer_is_its_cell_repeated(self, name: str) -> None:
        layer, x = getattr(nn, name)(2, 3).to("float64"), tg.tensor(numbers(4, 2, 2))
        cell = getattr(nn, f"{name}Cell")(2, 3).to("float64")
        state = {key.removesuffix("_l0"): one for key, one in layer.state_dict().items()}
        cell.load_state_dict(state)
        output, _ = layer(x)
        after = None
        for t in range(4):
            after = cell(x[t], after)
            h = after[0] if name == "LSTM" else after
            np.testing.assert_allclose(output[t].detach().numpy(), h.detach().numpy(), rtol=1e-12)

    @pytest.mark.parametrize("bidirectional", [False, True])
    @pytest.mark.parametrize("name", LAYERS)
    def test_layers_derive_twice(self, name: str, bidirectional: bool) -> None:
        layer = getattr(nn, name)(2, 2, batch_first=True, bidirectional=bidirectional)
        derives_twice(layer, numbers(1, 2, 2), states_of(name, 1 + bidirectional, 1, 2))

    @pytest.mark.parametrize("name", CELLS)
    def test_cells_derive_twice(self, name: str) -> None:
        derives_twice(getattr(nn, name)(2, 2), numbers(2, 2), states_of(name, 2, 2))

    @pytest.mark.parametrize("name", LAYERS)
    def test_dropout_between_layers_repeats_by_seed_and_is_lost_in_evaluation(
        self, name: str
    ) -> None:
        def make() -> Any:
            return getattr(nn, name)(2, 3, 2, dropout=0.5)

        repeats(make, [numbers(4, 2, 2)])
        layer, x = make(), tg.tensor(numbers(4, 2, 2))
        assert layer(x)[0].tolist() != layer(x)[0].tolist()
        layer.eval()
        assert layer(x)[0].tolist() == layer(x)[0].tolist()

    @pytest.mark.parametrize("name", LAYERS)
    def test_learns_to_tell_first_steps_apart(self, name: str) -> None:
        tg.seed(0)
        rng = np.random.default_rng(0)
        x = rng.normal(0, 0.3, (32, 5, 1)).astype("float32")
        labels = np.arange(32) % 2
        x[:, 0, 0] += 2.0 * labels - 1.0
        layer, out = getattr(nn, name)(1, 6, batch_first=True), nn.Linear(6, 2)
        adam = tg.optim.Adam([*layer.parameters(), *out.parameters()], lr=0.05)
        for _ in range(40):
            loss = nn.functional.cross_entropy(
                out(layer(tg.tensor(x))[0][:, -1]), tg.tensor(labels)
            )
            adam.zero_grad()
            loss.backward()
            adam.step()
        assert loss.item() < 0.2


@pytest.mark.numpy_only("compiled steps are NumPy code")
class TestReaders:
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("name", LAYERS)
    def test_layers_compile_to_the_same_bits(self, name: str, bias: bool) -> None:
        layer = getattr(nn, name)(2, 3, 2, bias=bias, bidirectional=True, dropout=0.4)
        compiles_to_the_same_bits(layer, numbers(3, 2, 2).astype("float32"))

    @pytest.mark.parametrize("name", CELLS)
    def test_cells_compile_to_the_same_bits(self, name: str) -> None:
        compiles_to_the_same_bits(getattr(nn, name)(2, 3), numbers(4, 2).astype("float32"))

    @pytest.mark.parametrize("name", [*LAYERS, *CELLS])
    def test_are_drawn(self, name: str) -> None:
        layer = getattr(nn, name)(2, 3)
        is_drawn(layer, numbers(*((2, 1, 2) if name in LAYERS else (1, 2))).astype("float32"))


X = tg.tensor(numbers(4, 2, 3))
MISTAKES: list[tuple[Callable[[], Any], str, str]] = [
    (lambda: nn.RNN(0, 1), "ArgumentError", "input_size must be"),
    (lambda: nn.LSTM(3, 4, 0), "ArgumentError", "num_layers must be"),
    (lambda: nn.RNN(3, 4, nonlinearity="sigmoid"), "ArgumentError", "RNN: .*'tanh' or 'relu'"),
    (lambda: nn.RNNCell(3, 4, nonlinearity="elu"), "ArgumentError", "RNNCell: .*'tanh' or 'relu'"),
    (lambda: nn.GRU(3, 4, 2, dropout=1.5), "ArgumentError", "GRU: dropout is a probability"),
    (lambda: nn.LSTM(3, 4, proj_size=2), "ArgumentError", "LSTM: proj_size=2 .*nn.Linear"),
    (lambda: nn.GRU(3, 4, proj_size=2), "ArgumentTypeError", "no argument 'proj_size'"),
    (lambda: nn.LSTM(3, 4, dtype="float64"), "ArgumentTypeError", "set_default_dtype"),
    (lambda: nn.LSTM(3, 4)(tg.ones((4, 2, 5))), "ShapeError", r"LSTM .*\(T, N, 3\), got \(4, 2, 5"),
    (lambda: nn.RNN(3, 4)(tg.ones((0, 2, 3))), "ShapeError", "RNN: expected at least one step"),
    (
        lambda: nn.LSTM(3, 4)(X, (tg.ones((1, 2, 4)), tg.ones((1, 3, 4)))),
        "ShapeError",
        r"LSTM: expected cells c0 of shape .* = \(1, 2, 4\), got \(1, 3, 4\)",
    ),
    (lambda: nn.LSTM(3, 4)(X, tg.ones((1, 2, 4))), "ArgumentTypeError", r"pair \(h0, c0\)"),
    (lambda: nn.GRU(3, 4)(X, (tg.ones((1, 2, 4)),) * 2), "ArgumentTypeError", "as one tensor"),
    (lambda: nn.RNN(3, 4)(X[:, 0], tg.ones((1, 2, 4))), "ShapeError", r"= \(1, 4\), got \(1, 2, 4"),
    (lambda: nn.GRUCell(3, 4)(X), "ShapeError", r"GRUCell: .*\(N, 3\).* got \(4, 2, 3\)"),
    (lambda: nn.RNNCell(3, 4)(X[0], tg.ones((3, 4))), "ShapeError", r"of shape \(2, 4\), got \(3"),
    (lambda: nn.LSTMCell(3, 4)(X[0], tg.ones((2, 4))), "ArgumentTypeError", r"pair \(h, c\)"),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
def test_mistakes_are_explained(call: Callable[[], Any], kind: str, says: str) -> None:
    with pytest.raises(getattr(tg.errors, kind), match=says):
        call()


def test_dropout_with_nothing_to_act_between_warns() -> None:
    with pytest.warns(UserWarning, match="acts between layers, and there is only one"):
        nn.LSTM(2, 3, dropout=0.5)


def test_settings_are_shown() -> None:
    assert repr(nn.LSTM(2, 3, 2, bias=False, dropout=0.5)) == (
        "LSTM(2, 3, num_layers=2, bias=False, batch_first=False, dropout=0.5, bidirectional=False)"
    )
    assert repr(nn.RNNCell(2, 3, nonlinearity="relu")) == "RNNCell(2, 3, nonlinearity='relu')"
