"""Dropout layers: what they drop, keep, repeat and refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tests.layer_checks import compiles_to_the_same_bits, derives_twice, is_drawn, numbers, repeats
from tinygrad_lab import nn

SHAPES: dict[str, tuple[int, ...]] = {
    "Dropout": (3, 4),
    "Dropout1d": (3, 4, 5),
    "Dropout2d": (2, 3, 2, 2),
    "AlphaDropout": (3, 4),
    "FeatureAlphaDropout": (3, 4, 5),
}
kinds = pytest.mark.parametrize("name", SHAPES)
LOWEST = -1.7580993408473766
"""What SELU approaches at minus infinity."""


@kinds
class TestEach:
    @pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
    def test_changes_nothing_in_evaluation(self, name: str, p: float) -> None:
        x = numbers(*SHAPES[name])
        assert getattr(nn, name)(p).eval()(tg.tensor(x)).tolist() == x.tolist()

    def test_repeats_by_seed_and_draws_anew_at_each_call(self, name: str) -> None:
        layer = getattr(nn, name)(0.5)
        repeats(lambda: layer, [numbers(*SHAPES[name])])
        x = tg.tensor(numbers(*SHAPES[name]))
        assert len({str(layer(x).tolist()) for _ in range(8)}) > 1

    def test_leaves_nothing_at_a_chance_of_one(self, name: str) -> None:
        torch = pytest.importorskip("torch")
        x = numbers(*SHAPES[name])
        out = getattr(nn, name)(1.0)(tg.tensor(x))
        expected = getattr(torch.nn, name)(1.0)(torch.tensor(x))
        assert np.asarray(out.numpy()).tolist() == expected.tolist()

    def test_derives_twice(self, name: str) -> None:
        layer = getattr(nn, name)(0.4)

        class Repeating(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = layer

            def forward(self, x: Any) -> Any:
                tg.seed(5)
                return self.layer(x * x)

        derives_twice(Repeating(), numbers(*SHAPES[name]))

    @pytest.mark.numpy_only("compiled steps are NumPy code")
    def test_compiles_to_the_same_bits_and_is_drawn(self, name: str) -> None:
        x = numbers(*SHAPES[name]).astype("float32")
        compiles_to_the_same_bits(getattr(nn, name)(0.4), x)
        is_drawn(getattr(nn, name)(0.4), x)

    def test_refuses_chances_beyond_0_to_1_and_writing_into_x(self, name: str) -> None:
        for p in (-0.1, 1.1, float("nan")):
            with pytest.raises(tg.errors.ArgumentError, match=rf"{name} needs .* 0 to 1, got {p}"):
                getattr(nn, name)(p)
        with pytest.raises(tg.errors.ArgumentTypeError, match=rf"{name}: inplace=True"):
            getattr(nn, name)(0.5, inplace=True)
        assert repr(getattr(nn, name)(0.25, inplace=False)) == f"{name}(p=0.25)"


@pytest.mark.parametrize("name", ["Dropout1d", "Dropout2d"])
def test_channels_are_lost_or_scaled_as_a_whole(name: str) -> None:
    x = np.ones((200, *SHAPES[name][1:]))
    out = np.asarray(getattr(nn, name)(0.25)(tg.tensor(x)).numpy())
    channels = out.reshape(*out.shape[:2], -1)
    assert (channels == channels[:, :, :1]).all()
    assert set(np.unique(out)) == {0.0, 1 / 0.75}
    assert (channels[..., 0] == 0).mean() == pytest.approx(0.25, abs=0.08)


def test_channels_of_one_sample_are_lost_as_a_whole() -> None:
    out = np.asarray(nn.Dropout1d(0.5)(tg.ones((50, 4))).numpy())
    assert (out == out[:, :1]).all()
    assert 10 < (out[:, 0] == 0).sum() < 40


@pytest.mark.parametrize("name", ["AlphaDropout", "FeatureAlphaDropout"])
def test_two_numbers_stand_for_lost_and_kept_ones(name: str) -> None:
    p = 0.3
    scale = 1 / np.sqrt((1 - p) * (1 + p * LOWEST**2))
    shift = -scale * p * LOWEST
    out = getattr(nn, name)(p)(tg.tensor(np.ones((100, 4, 5))))
    expected = [LOWEST * scale + shift, scale + shift]
    np.testing.assert_allclose(np.unique(np.asarray(out.numpy())), expected, rtol=1e-12)


MISSHAPEN: list[tuple[Callable[[], Any], str]] = [
    (lambda: nn.Dropout1d()(tg.ones(2)), r"dropout1d: expected x of shape \(N, C, L\)"),
    (lambda: nn.Dropout2d()(tg.ones((2, 2))), r"dropout2d: expected x of shape \(N, C, H, W\)"),
    (lambda: nn.FeatureAlphaDropout()(tg.ones(2)), r"feature_alpha_dropout: expected x"),
]


@pytest.mark.parametrize(("call", "says"), MISSHAPEN)
def test_other_numbers_of_axes_are_explained(call: Callable[[], Any], says: str) -> None:
    with pytest.raises(tg.errors.ShapeError, match=says):
        call()
