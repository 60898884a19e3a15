"""train.summary: what a net's layers hold, do and keep, counted by hand and by the graph."""

from html.parser import HTMLParser

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn, train


def little_net() -> nn.Module:
    return nn.Sequential(nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 10))


def image_net() -> nn.Module:
    return nn.Sequential(
        nn.Conv1d(1, 5, 3), nn.BatchNorm1d(5), nn.Dropout(0.2), nn.Flatten(), nn.Linear(190, 10)
    )


class Cells(HTMLParser):
    """The texts of a table, row by row."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1] and data.strip():
            self.rows[-1][-1] += data


@pytest.mark.parametrize("batch", [1, 7])
def test_work_is_that_of_the_products_counted_by_hand(batch: int) -> None:
    assert train.summary(little_net(), tg.ones((batch, 40))).multiply_adds == batch * 5000
    images = train.summary(image_net(), tg.ones((batch, 1, 40)))
    assert images.multiply_adds == batch * (38 * 5 * 3 + 190 * 10)


@pytest.mark.parametrize("net", [little_net(), image_net(), nn.GRU(3, 4)])
def test_parameters_are_those_of_the_net(net: nn.Module) -> None:
    shape = {"Linear": (2, 40), "Conv1d": (2, 1, 40)}.get(type(next(net.children(), net)).__name__)
    seen = train.summary(net, tg.ones(shape or (5, 2, 3)))
    assert seen.parameters == sum(p.size for p in net.parameters())
    assert seen.frozen == 0


def test_kept_is_what_the_graph_keeps_beside_parameters() -> None:
    net, x = little_net(), tg.ones((50, 40))
    seen = train.summary(net, x)
    assert seen.nbytes_kept == tg.graph(net(x)).nbytes_kept - seen.nbytes_of_parameters
    assert [layer.nbytes_kept for layer in seen.layers] == [50 * 40 * 4, 50 * 100 * 4, 0]


def test_a_shared_layer_counts_once_and_a_frozen_one_is_named() -> None:
    shared = nn.Linear(4, 4)
    shared.weight.requires_grad_(False)
    shared.bias.requires_grad_(False)
    seen = train.summary(nn.Sequential(shared, nn.Tanh(), shared), tg.ones((2, 4)))
    assert seen.parameters == seen.frozen == 20
    assert "20 of them frozen" in str(seen)


def test_the_net_and_the_random_numbers_are_as_they_were() -> None:
    net = image_net()
    net(tg.ones((3, 1, 40))).sum().backward()
    before = {name: np.array(value) for name, value in net.state_dict().items()}
    grads = [p.grad for p in net.parameters()]
    tg.seed(3)
    expected = np.asarray(tg.random.uniform((4,)))
    tg.seed(3)
    train.summary(net, tg.ones((3, 1, 40)))
    assert np.array_equal(np.asarray(tg.random.uniform((4,))), expected)
    for name, value in net.state_dict().items():
        assert np.array_equal(np.array(value), before[name]), name
    assert all(p.grad is grad for p, grad in zip(net.parameters(), grads, strict=True))
    assert all(module.training for module in net.modules())


def test_text_fits_80_columns_whatever_the_names() -> None:
    long = type("L" * 70, (nn.Linear,), {})
    deep: nn.Module = long(4, 4)
    for _ in range(60):
        deep = nn.Sequential(deep)
    lines = str(train.summary(deep, tg.ones((2, 4)))).splitlines()
    assert lines[1].split()[-4:-1] == ["20", "32", "32"]
    assert max(map(len, lines)) <= 79
    assert any("…" in line for line in lines)


def test_a_notebook_shows_the_same_table() -> None:
    seen = train.summary(little_net(), tg.ones((50, 40)))
    rows = Cells(seen._repr_html_()).rows
    assert rows[1] == ["0", "Linear", "(50,100)", "4,100", "200,000", "8 kB"]
    assert [row[0] for row in rows] == ["layer", "0", "1", "2", "total"]


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(tg.errors.ArgumentTypeError, match=r"summary\(model, x\)"):
        train.summary(tg.ones(3), little_net())  # type: ignore[arg-type]


def test_it_says_the_same_without_gradients_and_while_recording() -> None:
    net, x = image_net().eval(), tg.ones((3, 1, 40))
    seen = train.summary(net, x)
    with tg.no_grad():
        assert train.summary(net, x) == seen
    with tg.record():
        assert train.summary(net, x) == seen


def test_one_input_of_several_and_one_output_of_several_are_fine() -> None:
    x, state = tg.ones((5, 2, 3)), tg.zeros((1, 2, 4))
    seen = train.summary(nn.GRU(3, 4), (x, state))
    assert seen.shape == (5, 2, 3)
    assert seen.multiply_adds == 5 * 2 * 3 * 4 * (3 + 4)
