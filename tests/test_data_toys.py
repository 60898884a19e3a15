"""Toy sets: shapes, classes and curves as documented, with and without noise."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab.data import blobs, circles, gabor, gabor_model, moons, sine, spirals, xor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError, TinygradLabError

PLANES: dict[str, tuple[Any, int]] = {
    "moons": (moons, 2),
    "circles": (circles, 2),
    "spirals": (spirals, 2),
    "blobs": (blobs, 3),
    "xor": (xor, 2),
}
CURVES = {"sine": sine, "gabor": gabor}
ALL: dict[str, Any] = {name: make for name, (make, _) in PLANES.items()} | CURVES


def numbers(n: int) -> tg.Generator:
    return tg.Generator(n)


class TestEverySet:
    @pytest.mark.parametrize("name", ALL)
    @settings(max_examples=10)
    @given(n=st.integers(1, 60), seed=st.integers(0, 99))
    def test_repeats_by_seed_and_has_n_samples(self, name: str, n: int, seed: int) -> None:
        x, y = ALL[name](n, generator=numbers(seed))
        again = ALL[name](n, generator=numbers(seed))
        assert (x.tolist(), y.tolist()) == (again[0].tolist(), again[1].tolist())
        assert (len(x), x.dtype) == (n, tg.float32)
        if name in PLANES:
            assert (x.shape, y.shape, y.dtype) == ((n, 2), (n,), tg.int64)
        else:
            assert (x.shape, y.shape, y.dtype) == ((n, 1), (n, 1), tg.float32)

    @pytest.mark.parametrize("name", ALL)
    def test_draws_from_what_tg_seed_seeds_and_leaves_numpys_state_alone(self, name: str) -> None:
        before, drawn = np.random.get_state(legacy=False), []
        for seed in (1, 1, 2):
            tg.seed(seed)
            drawn.append([part.tolist() for part in ALL[name](9)])
        assert drawn[0] == drawn[1] != drawn[2]
        np.testing.assert_equal(np.random.get_state(legacy=False), before)

    @pytest.mark.parametrize("name", ALL)
    def test_noise_has_the_standard_deviation_asked_for(self, name: str) -> None:
        clean = ALL[name](3000, noise=0.0, generator=numbers(5))
        noisy = ALL[name](3000, noise=0.2, generator=numbers(5))
        place = 0 if name in PLANES else 1
        differences = (noisy[place] - clean[place]).numpy()
        assert abs(differences.std() - 0.2) < 0.01
        assert abs(differences.mean()) < 0.02

    @pytest.mark.parametrize("name", [name for name in PLANES if name != "xor"])
    def test_classes_share_the_points_and_come_in_random_order(self, name: str) -> None:
        make, classes = PLANES[name]
        y = make(3 * classes + 1, generator=numbers(0))[1].numpy()
        assert np.bincount(y).tolist() == [4] + [3] * (classes - 1)
        assert y.tolist() != sorted(y.tolist())

    @pytest.mark.parametrize("name", ALL)
    @pytest.mark.parametrize(
        ("arguments", "error", "says"),
        [
            ({"n": 0}, ArgumentError, "n must be"),
            ({"n": 2.0}, ArgumentTypeError, "got 2.0"),
            ({"n": True}, ArgumentTypeError, "got True"),
            ({"noise": -0.1}, ArgumentError, "noise must be"),
            ({"noise": float("nan")}, ArgumentError, "noise must be"),
            ({"generator": 3}, ArgumentTypeError, "generator=tg.Generator(3)"),
            ({"n_samples": 3}, ArgumentTypeError, "write n="),
            ({"random_state": 3}, ArgumentTypeError, "generator=tg.Generator(seed)"),
        ],
    )
    def test_refuses(
        self, name: str, arguments: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error) as caught:
            ALL[name](**arguments)
        assert isinstance(caught.value, TinygradLabError)
        assert says in str(caught.value)
        assert str(caught.value).startswith(f"{name}: ")


class TestEachSetWithoutNoise:
    def test_moons_are_half_circles(self) -> None:
        x, y = (part.numpy() for part in moons(41, noise=0.0))
        upper, lower = x[y == 0], x[y == 1]
        np.testing.assert_allclose((upper**2).sum(axis=1), 1, atol=1e-6)
        assert (upper[:, 1] >= -1e-6).all()
        np.testing.assert_allclose(((lower - [1, 0.5]) ** 2).sum(axis=1), 1, atol=1e-6)
        assert (lower[:, 1] <= 0.5 + 1e-6).all()

    def test_circles_have_radius_1_and_the_factor(self) -> None:
        x, y = (part.numpy() for part in circles(40, noise=0.0, factor=0.3))
        radii = np.sqrt((x**2).sum(axis=1))
        np.testing.assert_allclose(radii, np.where(y == 0, 1.0, 0.3), atol=1e-6)

    @pytest.mark.parametrize("arms", [1, 2, 5])
    def test_spirals_wind_at_an_even_rate(self, arms: int) -> None:
        x, y = (part.numpy() for part in spirals(20 * arms, noise=0.0, arms=arms, turns=2.0))
        radii = np.sqrt((x**2).sum(axis=1))
        angles = 2 * np.pi * (2.0 * radii + y / arms)
        expected = radii[:, np.newaxis] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        np.testing.assert_allclose(x, expected, atol=1e-5)
        assert (abs(radii.min() - 0.1) < 1e-6, abs(radii.max() - 1) < 1e-6) == (True, True)

    def test_blobs_lie_on_their_centres(self) -> None:
        centres = np.array([[1.0, 2.0, 3.0], [0.0, 0.0, -1.0]])
        x, y = (part.numpy() for part in blobs(10, noise=0.0, centres=centres))
        np.testing.assert_allclose(x, centres[y])
        on_circle = blobs(8, noise=0.0, centres=4)[0].numpy()
        corners = np.unique(np.round(on_circle) + 0.0, axis=0)
        assert corners.tolist() == [[-1, 0], [0, -1], [0, 1], [1, 0]]
        np.testing.assert_allclose((on_circle**2).sum(axis=1), 1, atol=1e-6)

    def test_xor_is_true_where_signs_differ(self) -> None:
        x, y = (part.numpy() for part in xor(200, noise=0.0))
        np.testing.assert_array_equal(y, (x[:, 0] * x[:, 1] < 0).astype(int))

    def test_a_sine_is_one_period(self) -> None:
        x, y = (part.numpy()[:, 0] for part in sine(9, noise=0.0))
        np.testing.assert_allclose(x, np.arange(9) / 8)
        np.testing.assert_allclose(y, np.sin(2 * np.pi * x), atol=1e-6)

    def test_gabor_is_its_model(self) -> None:
        x, y = (part.numpy() for part in gabor(30, noise=0.0, phi=(1.0, 5.0)))
        inside = 1.0 + 0.06 * 5.0 * x.astype(np.float64)
        np.testing.assert_allclose(y, np.sin(inside) * np.exp(-(inside**2) / 32), atol=1e-6)
        assert ((x >= -15) & (x < 15)).all()
        assert (np.diff(x[:, 0]) >= 0).all()

    def test_the_gabor_model_has_gradients(self) -> None:
        x = np.array([-3.0, 0.5, 4.0])
        tg.gradcheck(gabor_model, x, np.array(0.3), np.array(9.0), order=2)

    @pytest.mark.parametrize(
        ("make", "error", "says"),
        [
            (lambda: circles(factor=1.5), ArgumentError, "factor must be .* from 0 to 1"),
            (lambda: spirals(arms=0), ArgumentError, "arms must be at least 1"),
            (lambda: blobs(centres=0), ArgumentError, "centres must be at least 1"),
            (lambda: blobs(centres=[1.0, 2.0]), ShapeError, r"\(classes, features\)"),
            (lambda: blobs(centers=3), ArgumentTypeError, "write centres="),  # type: ignore[call-arg]
            (lambda: gabor(phi=(1.0,)), ArgumentError, "two numbers"),  # type: ignore[arg-type]
        ],
    )
    def test_of_other_arguments_are_refused(
        self, make: Any, error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=says):
            make()
