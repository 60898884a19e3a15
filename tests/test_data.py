"""Data: MNIST-1D as published, IDX files as specified, batches as documented."""

import gzip
import hashlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings, strategies as st
from hypothesis.extra import numpy as npst
from numpy.typing import NDArray

from tinygrad_lab.data import MNIST1D, DataLoader, mnist1d, read_idx
from tinygrad_lab.errors import ArgumentError, DataError

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


class OnlyIndexable:
    """A sequence with only the methods that a loader needs."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self.shape = array.shape

    def __getitem__(self, index: Any, /) -> Any:
        return self._array[index]


lengths = st.integers(0, 60)
batch_sizes = st.integers(1, 70)


class TestDataLoader:
    @unhurried
    @given(length=lengths, batch_size=batch_sizes, shuffle=st.booleans(), drop_last=st.booleans())
    def test_len_is_the_number_of_batches_and_all_but_the_last_are_full(
        self, length: int, batch_size: int, shuffle: bool, drop_last: bool
    ) -> None:
        loader = DataLoader(
            np.zeros((length, 2)), batch_size=batch_size, shuffle=shuffle, drop_last=drop_last
        )
        batches = [batch for (batch,) in loader]
        assert len(loader) == len(batches)
        sizes = [len(batch) for batch in batches]
        full, left_over = divmod(length, batch_size)
        assert sizes == [batch_size] * full + [left_over] * (left_over > 0 and not drop_last)

    @unhurried
    @given(length=lengths, batch_size=batch_sizes, shuffle=st.booleans(), seed=seeds)
    def test_an_epoch_serves_every_sample_once_with_its_own_label(
        self, length: int, batch_size: int, shuffle: bool, seed: int
    ) -> None:
        x, y = np.arange(2.0 * length).reshape(length, 2), np.arange(length)
        loader = DataLoader(x, y, batch_size=batch_size, shuffle=shuffle, seed=seed)
        for _ in range(2):
            served = []
            for batch_x, batch_y in loader:
                np.testing.assert_array_equal(batch_x, x[batch_y], strict=True)
                served += batch_y.tolist()
            assert sorted(served) == list(range(length))

    @unhurried
    @given(length=lengths, batch_size=batch_sizes)
    def test_unshuffled_batches_are_views_in_order(self, length: int, batch_size: int) -> None:
        x = np.arange(length)
        batches = [batch for (batch,) in DataLoader(x, batch_size=batch_size)]
        assert np.concatenate([*batches, x[:0]]).tolist() == x.tolist()
        assert all(np.shares_memory(batch, x) for batch in batches)

    @unhurried
    @given(seed=seeds, batch_size=batch_sizes)
    def test_the_same_seed_gives_the_same_epochs_and_each_epoch_another_order(
        self, seed: int, batch_size: int
    ) -> None:
        first, again = (
            DataLoader(np.arange(60), batch_size=batch_size, shuffle=True, seed=seed)
            for _ in range(2)
        )
        epochs = [np.concatenate([batch for (batch,) in first]).tolist() for _ in range(3)]
        assert epochs == [np.concatenate([batch for (batch,) in again]).tolist() for _ in range(3)]
        assert len({tuple(epoch) for epoch in epochs}) == 3

    def test_different_seeds_give_different_orders(self) -> None:
        loaders = [DataLoader(np.arange(60), shuffle=True, seed=seed) for seed in range(5)]
        assert len({tuple(batch.tolist()) for loader in loaders for (batch,) in loader}) == 5

    @unhurried
    @given(seed=seeds, epochs=st.integers(0, 3))
    def test_goes_on_from_a_saved_generator_state(self, seed: int, epochs: int) -> None:
        loader = DataLoader(np.arange(20), shuffle=True, seed=seed)
        for _ in range(epochs):
            list(loader)
        resumed = DataLoader(np.arange(20), shuffle=True)
        resumed.generator.bit_generator.state = loader.generator.bit_generator.state
        np.testing.assert_array_equal(next(iter(resumed)), next(iter(loader)))

    @pytest.mark.parametrize("shuffle", [False, True])
    def test_leaves_the_global_random_state_alone(self, shuffle: bool) -> None:
        before = np.random.get_state(legacy=False)
        list(DataLoader(np.arange(20), shuffle=shuffle))
        np.testing.assert_equal(np.random.get_state(legacy=False), before)

    @unhurried
    @given(length=lengths, batch_size=batch_sizes, shuffle=st.booleans())
    def test_needs_no_more_than_a_shape_and_indexing(
        self, length: int, batch_size: int, shuffle: bool
    ) -> None:
        x = np.arange(length)
        plain = DataLoader(x, batch_size=batch_size, shuffle=shuffle)
        bare = DataLoader(OnlyIndexable(x), batch_size=batch_size, shuffle=shuffle)
        for (expected,), (got,) in zip(plain, bare, strict=True):
            np.testing.assert_array_equal(got, expected)

    def test_refuses_arrays_of_differing_lengths_and_names_them(self) -> None:
        with pytest.raises(ArgumentError, match=r"lengths 7, 7, 5 of shapes \(7, 2\), \(7,\)"):
            DataLoader(np.zeros((7, 2)), np.zeros(7), np.zeros((5, 2)))

    def test_refuses_no_arrays_and_arrays_without_axes(self) -> None:
        with pytest.raises(ArgumentError, match="at least one array"):
            DataLoader()
        with pytest.raises(ArgumentError, match="array 1 has no axes"):
            DataLoader(np.zeros(3), np.zeros(()))

    @pytest.mark.parametrize("batch_size", [0, -3])
    def test_refuses_batches_of_nothing(self, batch_size: int) -> None:
        with pytest.raises(ArgumentError, match=f"got {batch_size}$"):
            DataLoader(np.zeros(3), batch_size=batch_size)
