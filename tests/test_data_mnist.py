"""MNIST-1D as published, also by its steps; IDX files as specified; MNIST from a folder."""

import gzip
import hashlib
import math
import struct
import tracemalloc
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

import tinygrad_lab as tg
from tinygrad_lab.data import MNIST1D, mnist, mnist1d, read_idx, signals
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DataError, ShapeError

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
needs_shared_data = pytest.mark.skipif(
    not SHARED_DATA.is_dir(), reason=f"the published data sets are not beside it, in {SHARED_DATA}"
)

# Of the published arrays' bytes, little-endian; floats cast to float32 first.
PUBLISHED_SHA256 = {
    "x": "d53506bddd12d3b72c7153b1ae7f34807724b1dd078a7273809bf9d0792319f6",
    "y": "d97dc7aecec8ad6b5d8f143ba3e9c4bd7e25c420d7dfc2eb990591cfc0ed3e15",
    "x_test": "30addc43827c82aafa5db8bc97cea63349ca687e87db2f201cc4f5415d9a4ebd",
    "y_test": "8de99be3ff9dab15ae0dc072c3d6ced7cf6b33d365888ce4a386fc944489452c",
    "t": "0352efd10cd28e71a0f722fade89db2c326ee004a7dcf8c9704a5adaf0bad6c8",
}
DTYPES = {
    "x": np.float32,
    "y": np.int64,
    "x_test": np.float32,
    "y_test": np.int64,
    "t": np.float32,
}
FIELDS = list(PUBLISHED_SHA256)

IDX_TYPE_CODES = {"u1": 0x08, "i1": 0x09, "i2": 0x0B, "i4": 0x0C, "f4": 0x0D, "f8": 0x0E}
seeds = st.integers(0, 2**32 - 1)

# Files on a busy machine are slow, and speed is not tested here.
unhurried = settings(deadline=None)
making_data_sets = settings(unhurried, max_examples=10)


@pytest.fixture(scope="module")
def published() -> MNIST1D:
    return mnist1d()


class TestMNIST1D:
    @pytest.mark.parametrize("field", FIELDS)
    def test_has_the_checksums_of_the_published_arrays(
        self, published: MNIST1D, field: str
    ) -> None:
        array = getattr(published, field)
        assert array.dtype == DTYPES[field]
        little_endian = array.astype(array.dtype.newbyteorder("<"))
        assert hashlib.sha256(little_endian.tobytes()).hexdigest() == PUBLISHED_SHA256[field]

    @needs_shared_data
    @pytest.mark.parametrize("field", FIELDS)
    def test_equals_the_published_arrays(self, published: MNIST1D, field: str) -> None:
        with np.load(SHARED_DATA / "mnist1d_frozen.npz", allow_pickle=False) as frozen:
            expected = frozen[field].astype(DTYPES[field])
        np.testing.assert_array_equal(getattr(published, field), expected, strict=True)

    @making_data_sets
    @given(seed=seeds, tens=st.integers(1, 6))
    def test_every_digit_comes_equally_often_and_four_fifths_train(
        self, seed: int, tens: int
    ) -> None:
        digits = mnist1d(num_samples=10 * tens, seed=seed)
        assert digits.x.shape == (8 * tens, 40)
        assert digits.x_test.shape == (2 * tens, 40)
        assert digits.t.shape == (40,)
        labels = np.concatenate([digits.y, digits.y_test])
        assert np.bincount(labels).tolist() == [tens] * 10

    @making_data_sets
    @given(seed=seeds)
    def test_has_mean_0_and_standard_deviation_1_and_even_times(self, seed: int) -> None:
        digits = mnist1d(num_samples=50, seed=seed)
        x = np.concatenate([digits.x, digits.x_test]).astype(np.float64)
        assert abs(x.mean()) < 1e-6
        assert abs(x.std() - 1) < 1e-6
        np.testing.assert_allclose(np.diff(digits.t), digits.t[-1] * 2 / 39, rtol=1e-5)

    @making_data_sets
    @given(seed=seeds)
    def test_a_seed_gives_one_data_set_and_the_next_seed_another(self, seed: int) -> None:
        first, again = (mnist1d(num_samples=50, seed=seed) for _ in range(2))
        for field in FIELDS:
            np.testing.assert_array_equal(getattr(first, field), getattr(again, field))
        other = mnist1d(num_samples=50, seed=(seed + 1) % 2**32)
        assert not np.array_equal(first.x, other.x)

    @making_data_sets
    @given(seed=seeds)
    def test_shuffle_seq_puts_the_points_of_all_samples_in_one_other_order(self, seed: int) -> None:
        plain = mnist1d(num_samples=50, seed=seed)
        shuffled = mnist1d(num_samples=50, seed=seed, shuffle_seq=True)
        distance = np.abs(plain.x[:, :, np.newaxis] - shuffled.x[:, np.newaxis, :]).max(axis=0)
        order = distance.argmin(axis=0)
        assert sorted(order) == list(range(40))
        assert not np.array_equal(order, np.arange(40))
        # Sums in another order: the standard deviation may differ in its last bit.
        np.testing.assert_allclose(shuffled.x, plain.x[:, order], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(shuffled.x_test, plain.x_test[:, order], rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(shuffled.t, plain.t, rtol=1e-6)
        np.testing.assert_array_equal(shuffled.y, plain.y)
        np.testing.assert_array_equal(shuffled.y_test, plain.y_test)

    @pytest.mark.parametrize("shuffle_seq", [False, True])
    def test_neither_reads_nor_changes_the_global_random_state(self, shuffle_seq: bool) -> None:
        def make_from(global_seed: int) -> tuple[MNIST1D, list[float]]:
            np.random.seed(global_seed)
            digits = mnist1d(num_samples=20, shuffle_seq=shuffle_seq)
            return digits, np.random.random(3).tolist()

        state = np.random.get_state()
        try:
            first, drawn_first = make_from(1)
            second, drawn_second = make_from(2)
        finally:
            np.random.set_state(state)
        np.testing.assert_array_equal(first.x, second.x)
        assert drawn_first == np.random.RandomState(1).random_sample(3).tolist()
        assert drawn_second == np.random.RandomState(2).random_sample(3).tolist()

    @pytest.mark.parametrize("num_samples", [-10, 0, 5, 5001])
    def test_refuses_numbers_that_ten_digits_cannot_share(self, num_samples: int) -> None:
        with pytest.raises(ArgumentError, match=rf"multiple of 10.*got {num_samples}$"):
            mnist1d(num_samples=num_samples)

    @pytest.mark.parametrize("seed", [-1, 2**32])
    def test_refuses_seeds_that_the_generator_does_not_take(self, seed: int) -> None:
        with pytest.raises(ArgumentError, match=f"got {seed}$"):
            mnist1d(num_samples=10, seed=seed)


class TestTheParametersOfMNIST1D:
    """Each switched off or changed: what it does can then be seen."""

    PLAIN: ClassVar[dict[str, Any]] = {
        "num_samples": 20,
        "padding": (60, 60),
        "scale_coeff": 0.0,
        "max_translation": 0,
        "corr_noise_scale": 0.0,
        "iid_noise_scale": 0.0,
        "shear_scale": 0.0,
    }

    def test_without_any_change_samples_are_their_padded_templates(self) -> None:
        digits = mnist1d(**self.PLAIN, train_split=1.0, final_seq_length=72)
        padded = np.pad(signals.templates() + 1e-8, [(0, 0), (0, 60)])
        expected = padded[digits.y]
        np.testing.assert_allclose(
            digits.x, (expected - expected.mean()) / expected.std(), atol=1e-6
        )
        assert (len(digits.x_test), digits.x.shape[1], len(digits.t)) == (0, 72, 72)

    @pytest.mark.parametrize(
        "change",
        [
            {"padding": (36, 60)},
            {"scale_coeff": 0.4},
            {"max_translation": 48},
            {"corr_noise_scale": 0.25},
            {"iid_noise_scale": 0.02},
            {"shear_scale": 0.75},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_each_makes_samples_of_one_digit_differ(self, change: dict[str, Any]) -> None:
        def spread(**arguments: Any) -> float:
            digits = mnist1d(**{**self.PLAIN, **arguments}, train_split=1.0)
            zeros = digits.x[digits.y == 0]
            return float(np.ptp(zeros, axis=0).max())

        assert spread() < 1e-6
        assert spread(**change) > 1e-3

    def test_own_templates_have_as_many_classes_and_points_as_they_have(self) -> None:
        bumps = mnist1d(num_samples=30, templates=[[0, 1, 0], [1, 0, 1], [0, 0, 1]], padding=(4, 8))
        assert bumps.x.shape == (24, 40)
        assert np.bincount(np.concatenate([bumps.y, bumps.y_test])).tolist() == [10, 10, 10]

    @pytest.mark.parametrize("share", [0.0, 0.25, 0.8, 1.0])
    def test_train_split_is_the_share_of_training_samples(self, share: float) -> None:
        digits = mnist1d(num_samples=40, train_split=share)
        assert (len(digits.y), len(digits.y_test)) == (40 * share, 40 - 40 * share)

    @pytest.mark.parametrize(
        ("arguments", "error", "says"),
        [
            ({"padding": (60, 36)}, ArgumentError, "low, high"),
            ({"padding": (1, 2, 3)}, ArgumentError, "two bounds"),
            ({"padding": (-1, 2)}, ArgumentError, "at least 0; got -1"),
            ({"max_translation": -1}, ArgumentError, "at least 0; got -1"),
            ({"max_translation": 1.5}, ArgumentTypeError, "integer"),
            ({"scale_coeff": np.nan}, ArgumentError, "finite"),
            ({"corr_noise_scale": -1.0}, ArgumentError, "at least 0"),
            ({"iid_noise_scale": "0.1"}, ArgumentTypeError, "a number; got '0.1'"),
            ({"train_split": 1.5}, ArgumentError, "from 0 to 1"),
            ({"final_seq_length": 0}, ArgumentError, "at least 1"),
            ({"num_samples": 10.0}, ArgumentTypeError, "integer; got 10.0"),
            ({"seed": "42"}, ArgumentTypeError, "integer; got '42'"),
            ({"templates": [1.0, 2.0]}, ShapeError, r"\(classes, points\)"),
            ({"template_len": 12}, ArgumentTypeError, "templates="),
            ({"url": "https://"}, ArgumentTypeError, "nothing is fetched"),
        ],
        ids=str,
    )
    def test_out_of_range_are_refused(
        self, arguments: dict[str, Any], error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=f"mnist1d: .*{says}"):
            mnist1d(**arguments)


def steps_of_the_paper(numbers: np.random.RandomState, digit: int) -> NDArray[Any]:
    x = signals.pad(signals.templates()[digit] + 1e-8, (36, 60), generator=numbers)
    x = signals.resample(x, 72)
    x = signals.scale(x, 0.4, generator=numbers)
    x = signals.translate(x, 48, generator=numbers)
    x = signals.add_correlated_noise(x, 0.25, generator=numbers)
    x = signals.add_noise(x, 0.02, generator=numbers)
    x = signals.shear(x, 0.75, generator=numbers)
    made: NDArray[Any] = signals.resample(x, 40)
    return made


RANDOM_STEPS = [
    signals.scale,
    signals.translate,
    signals.add_correlated_noise,
    signals.add_noise,
    signals.shear,
]


class TestTheStepsOfMNIST1D:
    def test_one_after_the_other_with_the_legacy_generator_give_the_set(self) -> None:
        numbers = np.random.RandomState(7)
        made = np.stack([steps_of_the_paper(numbers, digit) for digit in np.repeat(range(10), 2)])
        made = made[numbers.permutation(20)]
        expected = mnist1d(num_samples=20, seed=7)
        standard = ((made - made.mean()) / made.std()).astype(np.float32)
        np.testing.assert_array_equal(standard, np.concatenate([expected.x, expected.x_test]))

    @pytest.mark.parametrize("step", RANDOM_STEPS, ids=lambda step: step.__name__)
    @pytest.mark.parametrize("shape", [(60,), (3, 60), (2, 3, 60)])
    def test_keep_shape_kind_and_dtype_and_repeat_by_seed(
        self, step: Any, shape: tuple[int, ...]
    ) -> None:
        x = np.zeros(shape, np.float32)
        x[..., 2:7] = 1.5
        made = step(x, generator=tg.Generator(1))
        assert (made.shape, made.dtype, type(made)) == (shape, np.float32, np.ndarray)
        of_tensor = step(tg.tensor(x), generator=tg.Generator(1))
        np.testing.assert_array_equal(of_tensor.numpy(), made)
        assert not np.array_equal(step(x, generator=tg.Generator(2)), x)

    @pytest.mark.parametrize("step", RANDOM_STEPS, ids=lambda step: step.__name__)
    def test_of_amount_0_change_nothing(self, step: Any) -> None:
        x = np.random.default_rng(0).normal(size=(2, 9))
        np.testing.assert_array_equal(step(x, 0), x)

    @pytest.mark.parametrize("step", RANDOM_STEPS, ids=lambda step: step.__name__)
    def test_draw_from_what_tg_seed_seeds_and_leave_numpys_state_alone(self, step: Any) -> None:
        x, before = np.tile(np.arange(9.0), (4, 1)), np.random.get_state(legacy=False)
        made = []
        for _ in range(2):
            tg.seed(3)
            made.append(step(x))
        np.testing.assert_array_equal(*made)
        np.testing.assert_equal(np.random.get_state(legacy=False), before)

    def test_pad_appends_between_its_bounds(self) -> None:
        numbers, x = tg.Generator(0), np.ones((2, 3))
        lengths = {signals.pad(x, (2, 4), generator=numbers).shape[1] - 3 for _ in range(40)}
        assert lengths == {2, 3, 4}
        assert signals.pad(x, 0).shape == (2, 3)

    @given(npst.arrays("f8", (2, 5), elements=st.floats(-9, 9)), st.integers(1, 30))
    def test_resample_interpolates_between_the_points(self, x: NDArray[Any], length: int) -> None:
        places, points = np.linspace(0, 1, length), np.linspace(0, 1, 5)
        expected = [np.interp(places, points, row) for row in x]
        np.testing.assert_allclose(signals.resample(x, length), expected, atol=1e-12)

    def test_translate_moves_in_a_circle(self) -> None:
        x = np.arange(6.0)
        moved = {
            tuple(signals.translate(x, 4, generator=tg.Generator(n)).tolist()) for n in range(50)
        }
        assert moved == {tuple(np.roll(x, k).tolist()) for k in range(4)}

    def test_correlated_noise_is_smooth_and_only_where_there_is_0(self) -> None:
        x = np.zeros(2000)
        x[:100] = 1.0
        made = signals.add_correlated_noise(x, 1.0, generator=tg.Generator(0))
        np.testing.assert_array_equal(made[:100], x[:100])
        noise = made[100:]
        # A Gaussian of sigma 2 leaves 1 / (4 sqrt(pi)) of the variance, and neighbours alike.
        assert abs(noise.var() - 1 / (4 * np.sqrt(np.pi))) < 0.03
        assert np.corrcoef(noise[1:], noise[:-1])[0, 1] > 0.9

    def test_shear_subtracts_a_line(self) -> None:
        x = np.random.default_rng(0).normal(size=(5, 8))
        made = signals.shear(x, 3.0, generator=tg.Generator(0))
        np.testing.assert_allclose(np.diff(x - made, n=2), 0, atol=1e-12)
        slopes = (x - made)[:, -1] - (x - made)[:, 0]
        assert len(set(np.round(slopes, 9))) == 5
        assert (np.abs(slopes) <= 1.5).all()


def idx_bytes(array: NDArray[Any]) -> bytes:
    type_code = IDX_TYPE_CODES[array.dtype.str[1:]]
    header = struct.pack(f">HBB{array.ndim}I", 0, type_code, array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


idx_arrays = st.sampled_from(list(IDX_TYPE_CODES)).flatmap(
    lambda code: npst.arrays(code, npst.array_shapes(min_dims=0, max_dims=4, min_side=0))
)
encodings = st.sampled_from([bytes, gzip.compress])


@pytest.fixture(scope="module")
def idx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("idx") / "array"


class TestReadIdx:
    @unhurried
    @given(array=idx_arrays, encode=encodings)
    def test_reads_what_was_written(self, idx_file: Path, array: NDArray[Any], encode: Any) -> None:
        idx_file.write_bytes(encode(idx_bytes(array)))
        read = read_idx(str(idx_file))
        assert read.shape == array.shape
        assert read.dtype == array.dtype
        assert read.dtype.isnative
        assert read.flags.writeable
        assert read.tobytes() == array.tobytes()  # by bytes, so that NaN equals NaN

    @unhurried
    @given(array=idx_arrays, encode=encodings, data=st.data())
    def test_refuses_every_file_that_stops_too_early(
        self, idx_file: Path, array: NDArray[Any], encode: Any, data: st.DataObject
    ) -> None:
        whole = encode(idx_bytes(array))
        idx_file.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
        with pytest.raises(DataError, match=r"expected .*got"):
            read_idx(idx_file)

    @unhurried
    @given(array=idx_arrays, trailing=st.binary(min_size=1), encode=encodings)
    def test_refuses_trailing_bytes(
        self, idx_file: Path, array: NDArray[Any], trailing: bytes, encode: Any
    ) -> None:
        idx_file.write_bytes(encode(idx_bytes(array) + trailing))
        message = f"trailing bytes: expected {array.nbytes} .*got {array.nbytes + len(trailing)}$"
        with pytest.raises(DataError, match=message):
            read_idx(idx_file)

    @unhurried
    @given(magic=st.binary(min_size=2, max_size=2).filter(lambda magic: magic != b"\0\0"))
    @example(magic=b"\x1f\x8b")
    def test_refuses_other_magic_numbers(self, idx_file: Path, magic: bytes) -> None:
        idx_file.write_bytes(magic + idx_bytes(np.zeros(3, np.uint8))[2:])
        with pytest.raises(DataError, match=r"expected an IDX file|expected a complete gzip file"):
            read_idx(idx_file)

    @unhurried
    @given(code=st.sampled_from(sorted(set(range(256)) - set(IDX_TYPE_CODES.values()))))
    def test_refuses_unknown_element_types(self, idx_file: Path, code: int) -> None:
        idx_file.write_bytes(bytes([0, 0, code, 1, 0, 0, 0, 0]))
        with pytest.raises(DataError, match=rf"0x08 \(uint8\).*got 0x{code:02x}$"):
            read_idx(idx_file)

    @pytest.mark.parametrize("shape", [(1,) * 255, (2**32 - 1,) * 3 + (0,)], ids=["axes", "size"])
    def test_refuses_shapes_that_numpy_cannot_hold(
        self, idx_file: Path, shape: tuple[int, ...]
    ) -> None:
        header = struct.pack(f">HBB{len(shape)}I", 0, 0x08, len(shape), *shape)
        idx_file.write_bytes(header + bytes(1 if all(shape) else 0))
        with pytest.raises(DataError, match="NumPy supports"):
            read_idx(idx_file)

    def test_names_the_file(self, idx_file: Path) -> None:
        idx_file.write_bytes(b"")
        with pytest.raises(DataError) as caught:
            read_idx(idx_file)
        assert str(caught.value).startswith(f"{idx_file}: ")

    @needs_shared_data
    def test_reads_the_test_set_of_mnist(self) -> None:
        images = read_idx(SHARED_DATA / "mnist-t10k-images-idx3-ubyte.gz")
        labels = read_idx(SHARED_DATA / "mnist-t10k-labels-idx1-ubyte.gz")
        assert images.shape == (10_000, 28, 28)
        assert images.dtype == labels.dtype == np.uint8
        assert (images.min(), images.max()) == (0, 255)
        # The known counts of the data set; labels in the wrong order would have the same counts,
        # hence the first labels as well.
        counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        assert np.bincount(labels).tolist() == counts
        assert labels[:5].tolist() == [7, 2, 1, 0, 4]

    @pytest.mark.parametrize("encode", [bytes, gzip.compress])
    @pytest.mark.parametrize("axes", [1, 3])
    def test_refuses_a_huge_header_before_it_allocates(
        self, idx_file: Path, encode: Any, axes: int
    ) -> None:
        sides = [2**32 - 1, *[2**10] * (axes - 1)]
        idx_file.write_bytes(encode(struct.pack(f">HBB{axes}I", 0, 0x08, axes, *sides) + bytes(99)))
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match=rf"truncated: expected {math.prod(sides)} bytes"):
                read_idx(idx_file)
            assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
        finally:
            tracemalloc.stop()

    def test_does_not_unpack_what_the_header_does_not_promise(self, idx_file: Path) -> None:
        content = idx_bytes(np.zeros(3, np.uint8)) + bytes(30 * 2**20)
        idx_file.write_bytes(gzip.compress(content, compresslevel=1))
        tracemalloc.start()
        try:
            with pytest.raises(
                DataError, match=f"trailing bytes: expected 3 .*got {3 + 30 * 2**20}"
            ):
                read_idx(idx_file)
            assert tracemalloc.get_traced_memory()[1] < 10 * 2**20
        finally:
            tracemalloc.stop()

    def test_refuses_flipped_bytes_of_a_gzip_file(self, idx_file: Path) -> None:
        packed = bytearray(gzip.compress(idx_bytes(np.arange(200, dtype=np.uint8)), mtime=0))
        packed[-6] ^= 0xFF  # in the checksum
        idx_file.write_bytes(packed)
        with pytest.raises(DataError, match="complete gzip file"):
            read_idx(idx_file)


IMAGES = np.arange(24, dtype=np.uint8).reshape(4, 2, 3) * 10
LABELS = np.array([3, 1, 0, 2], np.uint8)


def write_half(folder: Path, half: str = "t10k", **files: NDArray[Any]) -> None:
    for kind, array in {"images": IMAGES, "labels": LABELS, **files}.items():
        content = idx_bytes(np.asarray(array))
        (folder / f"{half}-{kind}-idx{3 if kind == 'images' else 1}-ubyte").write_bytes(content)


class TestMNIST:
    @pytest.mark.parametrize("before", ["", "mnist-"])
    @pytest.mark.parametrize("dot", ["-", "."])
    @pytest.mark.parametrize("end", ["", ".gz"])
    def test_reads_both_halves_under_their_usual_names(
        self, tmp_path: Path, before: str, dot: str, end: str
    ) -> None:
        encode = gzip.compress if end else bytes
        for half in ("train", "t10k"):
            for kind, axes, array in (("images", 3, IMAGES), ("labels", 1, LABELS)):
                name = f"{before}{half}-{kind}{dot}idx{axes}-ubyte{end}"
                (tmp_path / name).write_bytes(encode(idx_bytes(array)))
        digits = mnist(str(tmp_path))
        for x, y in ((digits.x, digits.y), (digits.x_test, digits.y_test)):
            np.testing.assert_array_equal(x, IMAGES.astype(np.float32) / 255)
            np.testing.assert_array_equal(y, LABELS)
            assert (x.dtype, y.dtype) == (np.float32, np.int64)

    def test_of_one_half_the_other_says_what_is_missing(self, tmp_path: Path) -> None:
        write_half(tmp_path)
        digits = mnist(tmp_path)
        assert digits.x_test.shape == (4, 2, 3)
        assert repr(digits) == f"MNIST({str(tmp_path)!r}, test: 4)"
        with pytest.raises(DataError, match=r"training set: train-images"):
            _ = digits.x

    @pytest.mark.parametrize(
        ("files", "says"),
        [
            ({"labels": LABELS[:3]}, "4 images, .* 3 labels"),
            ({"labels": IMAGES}, r"labels-idx1-ubyte: expected labels .*got shape \(4, 2, 3\)"),
            ({"images": LABELS}, r"images-idx3-ubyte: expected images .*got shape \(4,\)"),
            ({"images": IMAGES.astype(np.float32)}, "uint8 .*float32"),
        ],
    )
    def test_refuses_pairs_that_are_none(
        self, tmp_path: Path, files: dict[str, NDArray[Any]], says: str
    ) -> None:
        write_half(tmp_path, **files)
        with pytest.raises(DataError, match=says):
            mnist(tmp_path)

    def test_refuses_folders_without_the_files_and_says_which(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"none of the files .*t10k-labels-idx1-ubyte"):
            mnist(tmp_path)
        write_half(tmp_path)
        (tmp_path / "t10k-labels-idx1-ubyte").unlink()
        with pytest.raises(DataError, match="images-idx3-ubyte is alone"):
            mnist(tmp_path)
        with pytest.raises(DataError, match="does not exist"):
            mnist(tmp_path / "nowhere")
        with pytest.raises(DataError, match="is a file"):
            mnist(tmp_path / "t10k-images-idx3-ubyte")

    @pytest.mark.parametrize("argument", ["train", "download", "transform", "root"])
    def test_says_what_to_do_instead_of_torchvisions_arguments(self, argument: str) -> None:
        arguments: Any = {argument: True}
        with pytest.raises(ArgumentTypeError, match=f"no argument {argument!r}: "):
            mnist(**arguments)

    @needs_shared_data
    def test_reads_the_published_test_set(self) -> None:
        digits = mnist(SHARED_DATA)
        assert digits.x_test.shape == (10_000, 28, 28)
        assert (digits.x_test.min(), digits.x_test.max()) == (0.0, 1.0)
        assert digits.y_test[:5].tolist() == [7, 2, 1, 0, 4]
