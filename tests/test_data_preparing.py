"""What prepares data: label noise, augmentation, preprocessing that is fitted to training data."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

import tinygrad_lab as tg
from tinygrad_lab.data import Decorrelate, Standardize, Whiten, transforms, with_label_noise
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    GradientError,
    NonFiniteError,
    ShapeError,
    StateDictError,
    TinygradLabError,
)

seeds = st.integers(0, 1000)
SIGNALS = np.random.default_rng(0).normal(size=(6, 9))
IMAGES = np.random.default_rng(1).normal(size=(4, 2, 7, 7))


class TestLabelNoise:
    @given(
        y=npst.arrays(
            np.int64, npst.array_shapes(max_dims=2, max_side=20), elements=st.integers(0, 4)
        ),
        share=st.floats(0, 1),
        seed=seeds,
    )
    def test_makes_just_the_share_wrong(self, y: NDArray[Any], share: float, seed: int) -> None:
        before = y.copy()
        noisy = with_label_noise(y, share, classes=5, generator=tg.Generator(seed))
        assert (noisy.shape, noisy.dtype) == (y.shape, y.dtype)
        assert int((noisy != y).sum()) == round(share * y.size)
        assert set(noisy.flatten().tolist()) <= set(range(5))
        np.testing.assert_array_equal(y, before)
        again = with_label_noise(y, share, classes=5, generator=tg.Generator(seed))
        np.testing.assert_array_equal(noisy, again)

    def test_draws_every_other_class_equally_often(self) -> None:
        noisy = with_label_noise(np.full(8000, 2), 1.0, classes=5, generator=tg.Generator(0))
        counts = np.bincount(noisy, minlength=5)
        assert counts[2] == 0
        assert (np.abs(counts[[0, 1, 3, 4]] - 2000) < 160).all()

    def test_of_tensors_gives_tensors(self) -> None:
        y = tg.tensor([0, 1, 2, 1], dtype=tg.int32, device="strict:1")
        noisy = with_label_noise(y, 0.5, generator=tg.Generator(0))
        assert (type(noisy), noisy.dtype, noisy.device) == (tg.Tensor, tg.int32, "strict:1")

    @pytest.mark.parametrize(
        ("arguments", "error", "says"),
        [
            (([0.5], 0.5), ArgumentTypeError, "integers as labels"),
            (([0, 1], 1.5), ArgumentError, "from 0 to 1; got 1.5"),
            (([0, 1], "half"), ArgumentTypeError, "a number; got 'half'"),
            (([0, 5], 0.5, 3), ArgumentError, "from 0 to 2; got the label 5"),
            (([0, -1], 0.5), ArgumentError, "got the label -1"),
            (([0, 0], 0.5, 1), ArgumentError, "classes must be at least 2"),
        ],
    )
    def test_refuses(self, arguments: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error, match=f"with_label_noise: .*{says}"):
            with_label_noise(*arguments)


OF_SIGNALS: dict[str, Any] = {
    "flip": lambda g: transforms.RandomHorizontalFlip(generator=g),
    "crop": lambda g: transforms.RandomCrop((5,), generator=g),
    "crop of a padded one": lambda g: transforms.RandomCrop((9,), padding=3, generator=g),
    "shift": lambda g: transforms.RandomShift(4, generator=g),
    "shift without wrapping": lambda g: transforms.RandomShift(4, wrap=False, generator=g),
    "scale": lambda g: transforms.RandomScale(generator=g),
    "shear": lambda g: transforms.RandomShear(generator=g),
    "noise": lambda g: transforms.RandomNoise(generator=g),
}
OF_IMAGES: dict[str, Any] = {
    "horizontal flip": lambda g: transforms.RandomHorizontalFlip(generator=g),
    "vertical flip": lambda g: transforms.RandomVerticalFlip(generator=g),
    "crop": lambda g: transforms.RandomCrop(5, padding=1, generator=g),
    "rotation": lambda g: transforms.RandomRotation(40, generator=g),
    "affine": lambda g: transforms.RandomAffine(
        20, translate=(0.2, 0.1), scale=(0.8, 1.2), shear=15, generator=g
    ),
    "noise": lambda g: transforms.RandomNoise(generator=g),
}
EVERY = [(one, SIGNALS) for one in OF_SIGNALS.items()]
EVERY += [(one, IMAGES) for one in OF_IMAGES.items()]
IDENTITIES: list[tuple[Any, NDArray[Any]]] = [
    (transforms.RandomHorizontalFlip(0.0), SIGNALS),
    (transforms.RandomVerticalFlip(0.0), IMAGES),
    (transforms.RandomCrop((9,)), SIGNALS),
    (transforms.RandomCrop(7), IMAGES),
    (transforms.RandomShift(0), SIGNALS),
    (transforms.RandomScale(0.0), SIGNALS),
    (transforms.RandomShear(0.0), SIGNALS),
    (transforms.RandomNoise(0.0), IMAGES),
    (transforms.RandomRotation(0), IMAGES),
    (transforms.RandomAffine(0), IMAGES),
    (transforms.Compose([]), IMAGES),
]


class TestTransforms:
    @pytest.mark.parametrize(("named", "batch"), EVERY, ids=lambda one: one[0])
    def test_keep_kind_and_dtype_and_repeat_by_seed(self, named: Any, batch: Any) -> None:
        make, batch = named[1], batch.astype(np.float32)
        made = make(tg.Generator(3))(batch)
        assert (type(made), made.dtype, made.shape[0]) == (np.ndarray, np.float32, len(batch))
        of_tensor = make(tg.Generator(3))(tg.tensor(batch, device="strict:1"))
        assert (type(of_tensor), of_tensor.device) == (tg.Tensor, "strict:1")
        np.testing.assert_array_equal(of_tensor.to("cpu").numpy(), made)
        assert not np.array_equal(make(tg.Generator(4))(batch), made)
        assert not np.shares_memory(made, batch)

    @pytest.mark.parametrize(("named", "batch"), EVERY, ids=lambda one: one[0])
    def test_draw_from_what_tg_seed_seeds_and_leave_numpys_state_alone(
        self, named: Any, batch: Any
    ) -> None:
        before, made = np.random.get_state(legacy=False), []
        for _ in range(2):
            tg.seed(11)
            made.append(named[1](None)(batch))
        np.testing.assert_array_equal(*made)
        np.testing.assert_equal(np.random.get_state(legacy=False), before)

    @pytest.mark.parametrize(("named", "batch"), EVERY, ids=lambda one: one[0])
    def test_change_each_sample_in_its_own_way(self, named: Any, batch: Any) -> None:
        same = np.repeat(batch[:1], 12, axis=0)
        made = named[1](tg.Generator(0))(same)
        assert len({one.tobytes() for one in made}) > 1

    @pytest.mark.parametrize(("transform", "batch"), IDENTITIES, ids=repr)
    def test_of_amount_0_are_the_identity(self, transform: Any, batch: NDArray[Any]) -> None:
        np.testing.assert_array_equal(transform(batch), batch)

    def test_take_channels_of_a_sample_together(self) -> None:
        both = np.repeat(SIGNALS[:, None], 2, axis=1)
        for make in OF_SIGNALS.values():
            made = make(tg.Generator(0))(both)
            if "Noise" not in repr(make(None)):
                np.testing.assert_array_equal(made[:, 0], made[:, 1])

    def test_compose_one_after_the_other(self) -> None:
        flip, crop = transforms.RandomHorizontalFlip(1.0), transforms.RandomCrop((4,))
        both = transforms.Compose([flip, crop])
        tg.seed(5)
        made = both(SIGNALS)
        tg.seed(5)
        np.testing.assert_array_equal(made, crop(flip(SIGNALS)))
        assert repr(both) == (
            "Compose([RandomHorizontalFlip(p=1.0), RandomCrop(size=(4,), padding=0, fill=0.0)])"
        )

    def test_flips_come_with_their_probability(self) -> None:
        batch = np.tile([1.0, 2.0], (4000, 1))
        flipped = transforms.RandomHorizontalFlip(0.3, generator=tg.Generator(0))(batch)
        assert abs((flipped[:, 0] == 2).mean() - 0.3) < 0.03
        vertical = transforms.RandomVerticalFlip(1.0)(IMAGES)
        np.testing.assert_array_equal(vertical, IMAGES[:, :, ::-1])

    def test_crops_are_pieces_from_every_place(self) -> None:
        batch = np.tile(np.arange(25.0).reshape(5, 5), (300, 1, 1))
        made = transforms.RandomCrop((3, 4), generator=tg.Generator(0))(batch)
        pieces = {batch[0, r : r + 3, c : c + 4].tobytes() for r in range(3) for c in range(2)}
        assert {one.tobytes() for one in made} == pieces

    def test_a_padded_crop_moves_with_fill_at_the_edge(self) -> None:
        batch = np.ones((200, 4))
        made = transforms.RandomCrop((4,), 2, fill=-1.0, generator=tg.Generator(0))(batch)
        rows = {tuple(row) for row in made.tolist()}
        one, no = 1.0, -1.0
        assert rows == {
            (no, no, one, one),
            (no, one, one, one),
            (one, one, one, one),
            (one, one, one, no),
            (one, one, no, no),
        }

    def test_shifts_reach_to_both_sides(self) -> None:
        batch = np.tile(np.arange(1.0, 5.0), (100, 1))
        wrapped = transforms.RandomShift(1, generator=tg.Generator(0))(batch)
        assert {tuple(row) for row in wrapped} == {(4, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 1)}
        cut = transforms.RandomShift(1, wrap=False, fill=9, generator=tg.Generator(0))(batch)
        assert {tuple(row) for row in cut} == {(9, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 9)}

    @pytest.mark.parametrize("turns", [0, 1, 2, 3, -1])
    def test_a_rotation_by_right_angles_moves_pixels(self, turns: int) -> None:
        for images in (IMAGES, IMAGES[..., :6, :6]):
            expected = np.rot90(images, turns, axes=(-2, -1))
            np.testing.assert_allclose(transforms.rotate(images, 90 * turns), expected, atol=1e-9)

    def test_an_affine_map_agrees_with_scipy(self) -> None:
        ndimage = pytest.importorskip("scipy.ndimage")
        angle, shear, factor, (right, down) = np.deg2rad(20), np.deg2rad(10), 1.2, (0.7, -1.1)
        # In rows and columns: shear, scale, turn counter-clockwise, move.
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        forth = turn @ (factor * np.array([[1.0, 0.0], [np.tan(shear), 1.0]]))
        back, centre = np.linalg.inv(forth), np.array([3.0, 3.0])
        offset = centre - back @ (np.add(centre, [down, right]))
        made = transforms.affine(IMAGES, 20, (right, down), factor, 10)
        for image, got in zip(IMAGES[:, 0], made[:, 0], strict=True):
            expected = ndimage.affine_transform(image, back, offset, order=1, mode="grid-constant")
            np.testing.assert_allclose(got, expected, atol=1e-9)

    @settings(max_examples=10)
    @given(seed=seeds)
    def test_of_images_stay_within_their_values(self, seed: int) -> None:
        images = np.random.default_rng(seed).uniform(2, 3, (3, 6, 8))
        made = transforms.RandomAffine(90, (0.3, 0.3), (0.5, 2), 30, fill=2.5)(images)
        assert ((made >= 2) & (made <= 3)).all()

    @pytest.mark.parametrize(
        ("make", "error", "says"),
        [
            (lambda: transforms.RandomHorizontalFlip(2), ArgumentError, "p must be"),
            (lambda: transforms.RandomHorizontalFlip("p"), ArgumentTypeError, "p must be"),  # type: ignore[arg-type]
            (lambda: transforms.RandomCrop(0), ArgumentError, "size must be at least 1"),
            (lambda: transforms.RandomCrop((1, 2, 3)), ArgumentError, r"\(rows, columns\)"),
            (lambda: transforms.RandomCrop(2, padding=-1), ArgumentError, "padding must be"),
            (lambda: transforms.RandomCrop(9)(IMAGES), ShapeError, r"\(9, 9\) does not fit"),
            (lambda: transforms.RandomShift(1.5), ArgumentTypeError, "most must be an integer"),  # type: ignore[arg-type]
            (lambda: transforms.RandomNoise(-1), ArgumentError, "sigma must be"),
            (lambda: transforms.RandomNoise(1)(SIGNALS[0]), ShapeError, r"x\[None\]"),
            (lambda: transforms.RandomRotation(9)(SIGNALS), ShapeError, r"x\[None\]"),
            (lambda: transforms.RandomRotation((9, 3)), ArgumentError, r"\(low, high\)"),
            (lambda: transforms.RandomRotation("9"), ArgumentTypeError, "a number or two bounds"),
            (lambda: transforms.RandomAffine(0, scale=(-1, 1)), ArgumentError, "scale must be"),
            (lambda: transforms.RandomAffine(0, (2, 0)), ArgumentError, "translate must be"),
            (lambda: transforms.RandomNoise(1, generator=3), ArgumentTypeError, "Generator"),
            (lambda: transforms.affine(IMAGES, scale=0), ArgumentError, "above 0"),
            (lambda: transforms.affine(IMAGES, [1, 2]), ShapeError, "one for each of 4"),
            (lambda: transforms.affine(SIGNALS), ShapeError, "rows, columns"),
            (lambda: transforms.Compose(transforms.RandomNoise()), ArgumentTypeError, "a list"),  # type: ignore[arg-type]
            (lambda: transforms.Compose([transforms.RandomNoise]), ArgumentTypeError, "called"),
            (lambda: transforms.RandomNoise(std=1), ArgumentTypeError, "no argument 'std'"),  # type: ignore[call-arg]
            (lambda: transforms.RandomNoise()("abc"), ArgumentTypeError, "real numbers; got 'abc'"),
            (lambda: transforms.RandomNoise()(3.0), ShapeError, "with axes"),
            (
                lambda: transforms.RandomNoise()(tg.tensor([[1.0]], requires_grad=True)),
                GradientError,
                r"x\.detach\(\)",
            ),
        ],
    )
    def test_refuse(self, make: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error, match=says) as caught:
            make()
        assert isinstance(caught.value, TinygradLabError)


def correlated(seed: int, samples: int = 40, features: int = 4) -> NDArray[Any]:
    numbers = np.random.default_rng(seed)
    mixed = numbers.normal(size=(samples, features)) @ numbers.normal(size=(features, features))
    spread: NDArray[Any] = mixed + numbers.normal(size=features) * 5
    return spread


def covariance(z: NDArray[Any]) -> NDArray[Any]:
    centred = z - z.mean(axis=0)
    found: NDArray[Any] = centred.T @ centred / len(z)
    return found


MAKERS: dict[str, Any] = {
    "Standardize": Standardize,
    "Decorrelate": Decorrelate,
    "Whiten": Whiten,
    "Whiten by ZCA": lambda: Whiten(zca=True),
}


class TestPreprocessing:
    @pytest.mark.parametrize("name", MAKERS)
    @given(seed=seeds)
    def test_inverse_undoes_transform_also_of_other_data(self, name: str, seed: int) -> None:
        x, other = correlated(seed), correlated(seed + 1, samples=7)
        fitted = MAKERS[name]().fit(x)
        for data in (x, other):
            np.testing.assert_allclose(fitted.inverse(fitted.transform(data)), data, atol=1e-7)
        np.testing.assert_array_equal(MAKERS[name]().fit_transform(x), fitted.transform(x))

    @given(seed=seeds)
    def test_what_the_training_data_become(self, seed: int) -> None:
        x = correlated(seed)
        standard, turned, white, zca = (make().fit_transform(x) for make in MAKERS.values())
        for z in (standard, turned, white, zca):
            np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-7)
        np.testing.assert_allclose(standard, (x - x.mean(axis=0)) / x.std(axis=0), atol=1e-9)
        variances = np.linalg.eigvalsh(covariance(x))[::-1]
        np.testing.assert_allclose(covariance(turned), np.diag(variances), atol=1e-9 * variances[0])
        for z in (white, zca):
            np.testing.assert_allclose(covariance(z), np.eye(4), atol=1e-6)
        # Turning axes keeps distances; of all whitenings ZCA is symmetric.
        distances = np.linalg.norm(turned[:, None] - turned, axis=-1)
        np.testing.assert_allclose(distances, np.linalg.norm(x[:, None] - x, axis=-1), atol=1e-6)
        fitted = Whiten(zca=True).fit(x)
        np.testing.assert_allclose(fitted.forth, fitted.forth.T, rtol=1e-6, atol=1e-9)

    @pytest.mark.parametrize("name", MAKERS)
    def test_is_fitted_to_training_data_alone(self, name: str) -> None:
        x, test = correlated(0), correlated(1, samples=5)
        fitted = MAKERS[name]().fit(x)
        before = {key: value.tolist() for key, value in fitted.state_dict().items()}
        one_by_one = np.concatenate([fitted.transform(row[None]) for row in test])
        np.testing.assert_allclose(one_by_one, fitted.transform(test), atol=1e-12)
        assert {key: value.tolist() for key, value in fitted.state_dict().items()} == before

    @pytest.mark.parametrize("name", MAKERS)
    @pytest.mark.parametrize("value", [0.0, 0.1, -3e7])
    def test_constant_features_become_0_and_are_counted(self, name: str, value: float) -> None:
        x = correlated(0)
        x[:, 1] = value
        fitted = MAKERS[name]().fit(x)
        assert int(fitted.constant.sum()) == 1
        assert repr(fitted).endswith("fitted to 4 features, 1 of them constant")
        z = fitted.transform(x)
        assert np.isfinite(z).all()
        deviations = np.linalg.eigvalsh(covariance(z))
        assert abs(deviations[0]) < 1e-9
        np.testing.assert_allclose(fitted.inverse(z), x, rtol=1e-7, atol=1e-7)

    @pytest.mark.parametrize("name", MAKERS)
    def test_works_with_fewer_samples_than_features(self, name: str) -> None:
        x = correlated(0, samples=3, features=8)
        fitted = MAKERS[name]().fit(x)
        np.testing.assert_allclose(fitted.inverse(fitted.transform(x)), x, atol=1e-7)
        one = MAKERS[name]().fit(x[:1])
        np.testing.assert_allclose(one.transform(x[:1]), 0, atol=1e-12)

    @pytest.mark.parametrize("name", MAKERS)
    def test_keeps_shape_kind_and_dtype(self, name: str) -> None:
        images = np.random.default_rng(0).normal(size=(30, 3, 2)).astype(np.float32)
        fitted = MAKERS[name]().fit(images)
        z = fitted.transform(images)
        assert (z.shape, z.dtype, type(z)) == (images.shape, np.float32, np.ndarray)
        of_tensor = fitted.transform(tg.tensor(images, device="strict:1"))
        assert (type(of_tensor), of_tensor.device, of_tensor.dtype) == (
            tg.Tensor,
            "strict:1",
            tg.float32,
        )
        np.testing.assert_array_equal(of_tensor.to("cpu").numpy(), z)
        assert fitted.transform(np.zeros((2, 3, 2), int)).dtype == np.float32
        assert fitted.transform(images[:0]).shape == (0, 3, 2)

    @pytest.mark.parametrize("name", MAKERS)
    def test_goes_on_from_its_state(self, name: str) -> None:
        x = correlated(3)
        fitted, other = MAKERS[name]().fit(x), MAKERS[name]()
        other.load_state_dict(fitted.state_dict())
        np.testing.assert_array_equal(other.transform(x), fitted.transform(x))
        np.testing.assert_array_equal(other.inverse(x), fitted.inverse(x))
        assert repr(other) == repr(fitted)

    def test_directions_have_the_same_sign_each_time(self) -> None:
        axes = Decorrelate().fit(correlated(0)).forth
        assert (np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[None], axis=0) > 0).all()

    @pytest.mark.parametrize("name", MAKERS)
    @pytest.mark.parametrize(
        ("use", "error", "says"),
        [
            (lambda p: p.transform(SIGNALS), ArgumentError, r"transform: .*call fit\("),
            (lambda p: p.inverse(SIGNALS), ArgumentError, r"inverse: .*call fit\("),
            (lambda p: p.state_dict(), ArgumentError, "nothing is fitted"),
            (lambda p: p.fit([1.0, 2.0]), ShapeError, r"\(samples, features\)"),
            (lambda p: p.fit(np.zeros((0, 3))), ShapeError, r"got shape \(0, 3\)"),
            (lambda p: p.fit([[np.nan, 1.0]]), NonFiniteError, "NaN or infinities"),
            (lambda p: p.fit([["a"]]), ArgumentTypeError, "real numbers"),
            (lambda p: p.fit(SIGNALS).transform(SIGNALS[:, :3]), ShapeError, r"\(9,\).*\(6, 3\)"),
            (lambda p: p.load_state_dict({}), StateDictError, "expected the names"),
            (lambda p: p.load_state_dict([]), ArgumentTypeError, "takes a dict"),
            (
                lambda p: p.load_state_dict({**p.fit(SIGNALS).state_dict(), "mean": [0.0]}),
                StateDictError,
                r"mean of samples of shape \(9,\) has shape \(9,\); got \(1,\)",
            ),
        ],
    )
    def test_refuses(self, name: str, use: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error, match=says) as caught:
            use(MAKERS[name]())
        assert isinstance(caught.value, TinygradLabError)
