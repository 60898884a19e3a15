"""Tensors of random numbers: the same for the same seed, and of the right distribution."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg

DRAWS: dict[str, Callable[..., Any]] = {
    "uniform": lambda **how: tg.random.uniform((3, 2), -1.0, 2.0, **how),
    "normal": lambda **how: tg.random.normal((3, 2), 1.0, 0.5, **how),
    "integers": lambda **how: tg.random.integers((3, 2), -5, 100, **how),
    "bernoulli": lambda **how: tg.random.bernoulli((3, 20), 0.3, **how),
    "permutation": lambda **how: tg.random.permutation(20, **how),
    "choice": lambda **how: tg.random.choice(50, (3, 2), **how),
}
every_draw = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


@every_draw
class TestEveryDraw:
    @given(seed=st.integers(0, 2**40))
    def test_of_one_seed_is_the_same(self, draw: Callable[..., Any], seed: int) -> None:
        first, again = (draw(generator=tg.Generator(seed)) for _ in range(2))
        assert first.tolist() == again.tolist()
        tg.seed(seed)
        assert draw().tolist() == first.tolist()

    def test_goes_on_and_does_not_repeat(self, draw: Callable[..., Any]) -> None:
        generator = tg.Generator(0)
        assert draw(generator=generator).tolist() != draw(generator=generator).tolist()

    def test_is_a_tensor_on_the_device_that_was_asked_for(self, draw: Callable[..., Any]) -> None:
        assert isinstance(draw(), tg.Tensor)
        assert draw(device="cpu").device == "cpu"
        with pytest.raises(tg.errors.DeviceError, match="gpu"):
            draw(device="gpu")


class TestDistributions:
    def test_numbers_do_not_depend_on_the_platform(self) -> None:
        drawn = tg.random.uniform((2,), generator=tg.Generator(0), dtype=tg.float64)
        assert drawn.tolist() == [0.6369616873214543, 0.2697867137638703]
        assert tg.random.integers(5, 0, 10, generator=tg.Generator(0)).tolist() == [8, 6, 5, 2, 3]

    @pytest.mark.numpy_only("the standard has no float16")
    def test_numbers_do_not_depend_on_the_dtype(self) -> None:
        for dtype in (tg.float16, tg.float32):
            drawn = [
                tg.random.normal(50, generator=tg.Generator(1), dtype=d) for d in (dtype, "float64")
            ]
            assert drawn[0].dtype == dtype
            np.testing.assert_array_equal(drawn[0].numpy(), drawn[1].astype(dtype).numpy())
        for dtype in (tg.int8, tg.uint32):
            drawn = [
                tg.random.integers(50, 0, 100, generator=tg.Generator(1), dtype=d)
                for d in (dtype, tg.int64)
            ]
            assert drawn[0].dtype == dtype
            assert drawn[0].tolist() == drawn[1].tolist()

    def test_have_the_moments_that_were_asked_for(self) -> None:
        n, generator = 100_000, tg.Generator(2)
        even = tg.random.uniform(n, -1.0, 3.0, generator=generator).numpy()
        assert even.min() >= -1.0
        assert even.max() <= 3.0
        assert abs(even.mean() - 1.0) < 0.02
        bell = tg.random.normal(n, 2.0, 0.5, generator=generator).numpy()
        assert abs(bell.mean() - 2.0) < 0.01
        assert abs(bell.std() - 0.5) < 0.01
        dice = tg.random.integers(n, 1, 7, generator=generator).numpy()
        assert np.abs(np.bincount(dice, minlength=7)[1:] / n - 1 / 6).max() < 0.01
        coins = tg.random.bernoulli(n, 0.2, generator=generator).numpy()
        assert abs(coins.mean() - 0.2) < 0.01
        loaded = tg.random.choice(3, n, p=[0.5, 0.0, 0.5], generator=generator).numpy()
        assert set(loaded) == {0, 2}

    def test_are_of_the_default_dtypes(self) -> None:
        assert tg.random.uniform(1).dtype == tg.random.normal(1).dtype == np.float32
        assert tg.random.integers(1, 0, 2).dtype == tg.random.choice(2).dtype == np.int64
        assert tg.random.bernoulli(1).dtype == np.bool_
        assert tg.random.bernoulli(1, dtype=tg.float32).dtype == np.float32
        assert tg.random.normal().shape == tg.random.choice(3).shape == ()

    @pytest.mark.numpy_only("the probabilities go to NumPy's generator")
    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    @pytest.mark.parametrize("replace", [True, False])
    @pytest.mark.parametrize("classes", [3, 10, 1000])
    def test_chances_may_be_a_softmax_of_any_dtype(
        self, dtype: Any, replace: bool, classes: int
    ) -> None:
        logits = tg.random.normal((20, classes), generator=tg.Generator(0)) * 4
        for row in tg.softmax(logits.astype(dtype)):
            tg.random.choice(classes, replace=replace, p=row)
            tg.random.choice(classes, replace=replace, p=row.numpy())

    @pytest.mark.parametrize("wrong", [[0.5, 0.4, 0.0], [0.5, 0.6, -0.1], [0.5, 0.5, np.nan]])
    def test_invalid_chances_are_refused_in_any_dtype(self, wrong: list[float]) -> None:
        for dtype in (np.float16, np.float32, np.float64):
            with pytest.raises(tg.errors.ArgumentError, match="Probabilities"):
                tg.random.choice(3, p=np.array(wrong, dtype=dtype))

    def test_a_permutation_has_every_number_once(self) -> None:
        assert sorted(tg.random.permutation(30).tolist()) == list(range(30))
        chosen = tg.random.choice(30, 30, replace=False)
        assert sorted(chosen.tolist()) == list(range(30))
        rows = tg.arange(30)[tg.random.permutation(30)]
        assert sorted(rows.tolist()) == list(range(30))

    def test_integers_reach_the_ends_of_their_dtype(self) -> None:
        assert tg.random.integers(3, 2**64 - 1, 2**64, dtype=tg.uint64).tolist() == [2**64 - 1] * 3
        assert tg.random.integers(3, -128, -127, dtype=tg.int8).tolist() == [-128] * 3

    def test_can_be_leaves_that_want_a_gradient(self) -> None:
        w = tg.random.normal((2, 2), requires_grad=True, name="w")
        (w * w).sum().backward()
        assert w.name == "w"
        assert w.grad is not None
        np.testing.assert_array_equal(w.grad.numpy(), 2 * w.detach().numpy())

    @pytest.mark.parametrize(
        ("draw", "error", "words"),
        [
            (lambda: tg.random.uniform(2, 1.0, 0.0), ValueError, "low=1.0 and high=0.0"),
            (lambda: tg.random.uniform(2, 0.0, np.inf), ValueError, "finite"),
            (lambda: tg.random.uniform(2, dtype="int8"), TypeError, "floating dtype, got int8"),
            (lambda: tg.random.uniform((2, -1)), ValueError, "0 or more"),
            (lambda: tg.random.uniform("ab"), TypeError, "shape"),
            (lambda: tg.random.normal(2, std=-1.0), ValueError, "0 or more, got -1.0"),
            (lambda: tg.random.integers(2, 5, 5), ValueError, "low < high"),
            (lambda: tg.random.integers(2, 0, 257, dtype="uint8"), ValueError, "uint8"),
            (lambda: tg.random.integers(2, 0, 2, dtype="float32"), TypeError, "integer dtype"),
            (lambda: tg.random.bernoulli(2, 1.5), ValueError, "0 to 1, got 1.5"),
            (lambda: tg.random.permutation(-1), ValueError, "0 or more"),
            (lambda: tg.random.choice(2, 3, replace=False), ValueError, "n=2"),
            (lambda: tg.random.choice(2, p=[0.5, 0.6]), ValueError, "sum to 1"),
        ],
    )
    def test_say_what_they_expected(
        self, draw: Callable[[], Any], error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error, match=words) as caught:
            draw()
        assert isinstance(caught.value, tg.errors.TinygradLabError)


def test_choice_by_probabilities_with_a_gradient_names_itself_and_what_to_do() -> None:
    p = tg.softmax(tg.tensor([1.0, 2.0, 3.0], requires_grad=True))
    with pytest.raises(tg.errors.GradientError, match=r"^choice: .*p=p\.detach\(\)"):
        tg.random.choice(3, p=p)
    assert tg.random.choice(3, p=p.detach()).shape == ()
