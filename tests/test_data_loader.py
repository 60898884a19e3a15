"""Batches: of arrays as documented, of datasets as in PyTorch, and what is said of mistakes."""

import copy
import itertools
import pickle
from collections import namedtuple
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

import tinygrad_lab as tg
from tinygrad_lab.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
    default_convert,
    mnist1d,
)
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DataError,
    IndexingError,
    ShapeError,
    TinygradLabError,
)

seeds = st.integers(0, 2**32 - 1)
unhurried = settings(deadline=None)


class OnlyIndexable:
    """A sequence with only the methods that a loader needs."""

    def __init__(self, array: NDArray[Any]) -> None:
        self._array = array
        self.shape = array.shape

    def __getitem__(self, index: Any, /) -> Any:
        return self._array[index]


lengths = st.integers(0, 60)
batch_sizes = st.integers(1, 70)


class TestALoaderOfArrays:
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

    def test_of_tensors_gives_tensors(self) -> None:
        x, y = tg.arange(3), tg.arange(3) * 2
        batches = [(a.tolist(), b.tolist()) for a, b in DataLoader(x, y, batch_size=2)]
        assert batches == [([0, 1], [0, 2]), ([2], [4])]

    def test_says_how_options_are_given(self) -> None:
        with pytest.raises(ArgumentTypeError, match=r"DataLoader\(x, y, batch_size=100\)"):
            DataLoader(np.zeros(3), np.zeros(3), 32)
        with pytest.raises(ArgumentTypeError, match=r"DataLoader\(TensorDataset\(x, y\), \.\.\.\)"):
            DataLoader(np.zeros(3), collate_fn=list)

    @pytest.mark.parametrize("batch_size", [0, -3])
    def test_refuses_batches_of_nothing(self, batch_size: int) -> None:
        with pytest.raises(ArgumentError, match=f"got {batch_size}$"):
            DataLoader(np.zeros(3), batch_size=batch_size)


class Squares(Dataset):
    """Fetched item by item."""

    def __init__(self, length: int = 5) -> None:
        self.length = length

    def __getitem__(self, index: int) -> tuple[float, int]:
        if not 0 <= index < self.length:
            raise IndexError(index)
        return float(index), index**2

    def __len__(self) -> int:
        return self.length


class Stream(IterableDataset):
    def __init__(self, length: int = 5) -> None:
        self.length = length

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.length))


class Exhausted(IterableDataset):
    def __init__(self) -> None:
        self.items = iter(range(3))

    def __iter__(self) -> Iterator[int]:
        return self.items


class WithoutLength:
    def __getitem__(self, index: int) -> int:
        return 10 * index


class Growing(Squares):
    def __getitem__(self, index: int) -> Any:
        return np.zeros(index + 1)


class Forgetful(Squares):
    def __getitem__(self, index: int) -> Any:
        return None


class Broken(Squares):
    def __getitem__(self, index: int) -> Any:
        raise RuntimeError("no disk")


class Doubling(TensorDataset):
    """With an ``__getitem__`` of its own, which a batch must not go around."""

    def __getitem__(self, index: Any) -> Any:
        return tuple(2 * one for one in super().__getitem__(index))


def pairs(length: int = 5, device: str | None = None) -> TensorDataset:
    x = np.arange(2.0 * length, dtype=np.float32).reshape(length, 2)
    return TensorDataset(tg.tensor(x, device=device), tg.tensor(np.arange(length), device=device))


def listed(loader: Any) -> list[Any]:
    return [[part.tolist() for part in batch] for batch in loader]


DATASETS = {
    "tensors": pairs,
    "a subset": lambda length: Subset(pairs(length + 3), range(3, length + 3)),
    "a subset of one": lambda n: Subset(Subset(pairs(n + 4), range(n + 2)), range(2, n + 2)),
    "items": Squares,
    "a list": lambda length: [(float(n), n) for n in range(length)],
}


class TestALoaderOfADataset:
    @pytest.mark.parametrize("kind", DATASETS)
    @unhurried
    @given(
        length=st.integers(0, 20),
        batch_size=st.integers(1, 25),
        shuffle=st.booleans(),
        drop_last=st.booleans(),
    )
    def test_serves_every_sample_once_in_batches(
        self, kind: str, length: int, batch_size: int, shuffle: bool, drop_last: bool
    ) -> None:
        dataset: Any = DATASETS[kind](length)
        loader = DataLoader(dataset, batch_size, shuffle=shuffle, drop_last=drop_last)
        batches = list(loader)
        assert len(loader) == len(batches)
        full, left_over = divmod(length, batch_size)
        sizes = [len(batch[1]) for batch in batches]
        assert sizes == [batch_size] * full + [left_over] * (left_over > 0 and not drop_last)
        served = [label for batch in batches for label in batch[1].tolist()]
        known = [int(dataset[n][1]) for n in range(length)]
        assert len(set(served)) == len(served)
        assert set(served) <= set(known)
        assert drop_last or sorted(served) == sorted(known)
        assert shuffle or served == known[: len(served)]
        assert all(type(batch) is list for batch in batches)
        assert all(isinstance(part, tg.Tensor) for batch in batches for part in batch)

    @pytest.mark.parametrize("kind", DATASETS)
    def test_the_same_seed_gives_the_same_epochs_and_each_another_order(self, kind: str) -> None:
        dataset: Any = DATASETS[kind](30)
        runs = []
        for _ in range(2):
            loader = DataLoader(dataset, 7, shuffle=True, generator=tg.Generator(4))
            runs.append([listed(loader) for _ in range(3)])
        assert runs[0] == runs[1]
        assert runs[0][0] != runs[0][1] != runs[0][2]

    def test_of_tensors_orders_as_of_items(self) -> None:
        orders = [
            [label for _, y in loader for label in y.tolist()]
            for dataset in (pairs(20), [(0.0, n) for n in range(20)])
            for loader in [DataLoader(dataset, 3, shuffle=True, generator=tg.Generator(1))]
        ]
        assert orders[0] == orders[1]

    def test_draws_from_what_tg_seed_seeds_and_leaves_numpys_state_alone(self) -> None:
        before, orders = np.random.get_state(legacy=False), []
        for seed in (1, 1, 2):
            tg.seed(seed)
            orders.append(listed(DataLoader(pairs(20), 20, shuffle=True)))
        assert orders[0] == orders[1] != orders[2]
        np.testing.assert_equal(np.random.get_state(legacy=False), before)

    def test_iterations_do_not_disturb_each_other(self) -> None:
        loader = DataLoader(pairs(6), 2, shuffle=True)
        for (_, first), (_, second) in zip(loader, loader, strict=True):
            assert len(first) == len(second) == 2
        one, other = iter(loader), iter(loader)
        served = [next(one)[1].tolist(), *(batch[1].tolist() for batch in other)]
        assert sorted(n for batch in served[1:] for n in batch) == list(range(6))

    def test_batches_own_their_memory(self) -> None:
        dataset = pairs(4)
        for x, _ in DataLoader(dataset, 2):
            x.data[...] = 99.0
        assert dataset.tensors[0].max().item() == 7.0

    def test_goes_on_from_a_saved_state_of_its_generator(self) -> None:
        numbers = tg.Generator(0)
        loader = DataLoader(pairs(20), 5, shuffle=True, generator=numbers)
        listed(loader)
        state = numbers.get_state()
        expected = listed(loader)
        numbers.set_state(state)
        assert listed(loader) == expected

    def test_of_tensors_that_require_a_gradient_passes_it_on(self) -> None:
        w = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        for (batch,) in DataLoader(TensorDataset(w), 2):
            (batch * batch).sum().backward()
        assert w.grad is not None
        assert w.grad.tolist() == [2.0, 4.0, 6.0]

    def test_gives_tensors_where_those_of_the_dataset_are(self) -> None:
        for shuffle in (False, True):
            batches = list(DataLoader(pairs(5, device="strict:1"), 2, shuffle=shuffle))
            assert {part.device for batch in batches for part in batch} == {"strict:1"}
            assert sorted(n for _, y in batches for n in y.tolist()) == list(range(5))

    def test_asks_a_subclass_for_its_own_items(self) -> None:
        assert listed(DataLoader(Doubling(tg.arange(3)), 3)) == [[[0, 2, 4]]]
        assert listed(DataLoader(Subset(Doubling(tg.arange(3)), [2, 0]), 2)) == [[[4, 0]]]

    def test_fetches_many_at_once_where_a_dataset_can(self) -> None:
        class Many(Squares):
            def __getitems__(self, indices: list[int]) -> list[int]:
                return [-index for index in indices]

        assert [b.tolist() for b in DataLoader(Many(3), 2)] == [[0, -1], [-2]]

    def test_without_batches_gives_samples_as_they_are(self) -> None:
        assert list(DataLoader([1, 2, 3], batch_size=None)) == [1, 2, 3]
        assert listed(DataLoader(pairs(2), batch_size=None)) == [[[0.0, 1.0], 0], [[2.0, 3.0], 1]]
        arrays = list(DataLoader([np.zeros(2), np.ones(2)], batch_size=None))
        assert [one.tolist() for one in arrays] == [[0.0, 0.0], [1.0, 1.0]]
        assert all(isinstance(one, tg.Tensor) for one in arrays)
        assert len(DataLoader([1, 2, 3], None, shuffle=True)) == 3

    def test_of_a_tensor_has_its_rows_as_samples(self) -> None:
        assert [b.tolist() for b in DataLoader(tg.arange(5), 2)] == [[0, 1], [2, 3], [4]]

    def test_a_list_is_a_dataset_and_one_sample_a_batch_by_default(self) -> None:
        assert [batch.tolist() for batch in DataLoader([1, 2, 3])] == [[1], [2], [3]]

    @pytest.mark.parametrize("sampler", [[3, 1, 1], range(4, 0, -2), np.array([2]), tg.arange(2)])
    def test_takes_any_list_of_indices_as_a_sampler(self, sampler: Any) -> None:
        for dataset in (pairs(5), Squares(5)):
            loader = DataLoader(dataset, 2, sampler=[int(n) for n in sampler])
            power = 1 if isinstance(dataset, TensorDataset) else 2
            labels = [int(n) ** power for n in sampler]
            assert [n for _, y in loader for n in y.tolist()] == labels
            assert len(loader) == -(-len(sampler) // 2)

    def test_takes_batches_of_indices(self) -> None:
        for dataset in (pairs(5), [(0.0, n) for n in range(5)]):
            loader = DataLoader(dataset, batch_sampler=[[4], [0, 2]])
            assert [y.tolist() for _, y in loader] == [[4], [0, 2]]
            assert (len(loader), loader.batch_size) == (2, None)

    def test_a_sampler_replaces_the_length_of_a_dataset(self) -> None:
        assert [b.tolist() for b in DataLoader(WithoutLength(), 2, sampler=[3, 1])] == [[30, 10]]

    @pytest.mark.parametrize("drop_last", [False, True])
    def test_of_a_stream_cuts_it_as_it_comes(self, drop_last: bool) -> None:
        loader = DataLoader(Stream(), 2, drop_last=drop_last)
        for _ in range(2):
            expected = [[0, 1], [2, 3], [4]][: 2 if drop_last else 3]
            assert [batch.tolist() for batch in loader] == expected
        assert list(DataLoader(Stream(), None)) == [0, 1, 2, 3, 4]
        assert list(DataLoader(Stream(0), 3)) == []

    def test_a_collate_function_gets_the_samples(self) -> None:
        assert list(DataLoader(Squares(3), 2, collate_fn=len)) == [2, 1]
        assert [len(batch) for batch in DataLoader(pairs(3), 2, collate_fn=lambda b: b)] == [2, 1]
        assert list(DataLoader([1, 2], None, collate_fn=str)) == ["1", "2"]

    def test_takes_what_is_about_workers_and_needs_none(self) -> None:
        called: list[int] = []
        loader = DataLoader(
            pairs(3),
            num_workers=4,
            pin_memory=True,
            worker_init_fn=called.append,
            timeout=5,
            prefetch_factor=2,
            persistent_workers=True,
            pin_memory_device="cuda",
            in_order=False,
        )
        assert (listed(loader), loader.num_workers) == (listed(DataLoader(pairs(3))), 4)
        assert called == []
        assert DataLoader(pairs(3), worker_init_fn=np.random.seed(1)).worker_init_fn is None

    def test_arguments_by_position_are_in_pytorchs_order(self) -> None:
        assert [len(y) for _, y in DataLoader(pairs(5), 2, True)] == [2, 2, 1]
        assert [y.tolist() for _, y in DataLoader(pairs(5), 2, None, [4, 3])] == [[4, 3]]
        parameters = DataLoader(pairs(5), 1, False, None, None, 0, None, False, True, 0, None)
        assert parameters.drop_last

    def test_is_copied_and_pickled(self) -> None:
        loader = DataLoader(pairs(5), 2, shuffle=True, generator=tg.Generator(0))
        for other in (copy.deepcopy(loader), pickle.loads(pickle.dumps(loader))):
            assert len(other) == 3
        assert listed(copy.deepcopy(loader)) == listed(pickle.loads(pickle.dumps(loader)))
        arrays = copy.deepcopy(DataLoader(np.arange(4), batch_size=2))
        assert [b.tolist() for (b,) in arrays] == [[0, 1], [2, 3]]

    def test_in_a_compiled_step_is_refused_where_its_batches_would_be_frozen(self) -> None:
        loader = DataLoader(pairs(8), 4, shuffle=True)

        @tg.compile
        def step() -> tg.Tensor:
            return tg.sum(next(iter(loader))[0])

        with pytest.raises(tg.errors.CompileError, match="argument of the step"):
            [step() for _ in range(9)]

    def test_trains_a_net(self) -> None:
        tg.seed(0)
        digits = mnist1d(num_samples=500)
        loader = DataLoader(TensorDataset(digits.x, digits.y), batch_size=50, shuffle=True)
        model = tg.nn.Linear(40, 10)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.5)
        losses = []
        for x, y in itertools.chain(*[loader] * 5):
            loss = tg.nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert np.mean(losses[-8:]) < np.mean(losses[:8])


MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "a fraction": (lambda: DataLoader(pairs(), 1.5), ArgumentTypeError, "integer.*got 1.5"),  # type: ignore[arg-type]
    "none": (lambda: DataLoader(pairs(), 0), ArgumentError, "at least 1; got 0"),
    "less": (lambda: DataLoader(pairs(), -1), ArgumentError, "at least 1; got -1"),
    "a boolean": (lambda: DataLoader(pairs(), True), ArgumentTypeError, "integer.*got True"),
    "a string": (lambda: DataLoader(pairs(), "2"), ArgumentTypeError, "integer.*got '2'"),  # type: ignore[arg-type]
    "nothing": (lambda: DataLoader(), ArgumentError, "at least one array"),
    "None": (lambda: DataLoader(None), ArgumentError, "expected a dataset"),
    "a class": (lambda: DataLoader(TensorDataset), ArgumentTypeError, r"TensorDataset\(\.\.\.\)"),
    "a generator": (lambda: DataLoader(n for n in "ab"), ArgumentTypeError, "first pass"),
    "a set": (lambda: DataLoader({1, 2}), ArgumentTypeError, "set has no __getitem__"),
    "a dict": (lambda: DataLoader({"x": [1]}), ArgumentTypeError, r"TensorDataset\(\*tensors"),
    "MNIST-1D": (
        lambda: DataLoader(mnist1d(num_samples=10)),
        ArgumentTypeError,
        r"TensorDataset\(x, y\)",
    ),
    "without a length": (lambda: DataLoader(WithoutLength()), ArgumentTypeError, "no __len__"),
    "shuffle and sampler": (
        lambda: DataLoader(pairs(), shuffle=True, sampler=[0]),
        ArgumentError,
        "leave one of them out",
    ),
    "batch_sampler and batch_size": (
        lambda: DataLoader(pairs(), 2, batch_sampler=[[0]]),
        ArgumentError,
        "batch_sampler says all",
    ),
    "drop_last without batches": (
        lambda: DataLoader(pairs(), None, drop_last=True),
        ArgumentError,
        "no last one to drop",
    ),
    "a text as shuffle": (
        lambda: DataLoader(pairs(), shuffle="yes"),  # type: ignore[arg-type]
        ArgumentTypeError,
        "shuffle must be True or False; got 'yes'",
    ),
    "an exhausted sampler": (
        lambda: DataLoader(pairs(), sampler=iter([0])),
        ArgumentTypeError,
        r"sampler=list\(indices\)",
    ),
    "an exhausted batch_sampler": (
        lambda: DataLoader(pairs(), batch_sampler=iter([[0]])),
        ArgumentTypeError,
        r"batch_sampler=list\(indices\)",
    ),
    "a number as sampler": (
        lambda: DataLoader(pairs(), sampler=3),  # type: ignore[arg-type]
        ArgumentTypeError,
        "a list of indices as sampler; got int",
    ),
    "a stream in order": (lambda: DataLoader(Stream(), 2, True), ArgumentError, "own order"),
    "the length of a stream": (
        lambda: len(DataLoader(Stream())),
        ArgumentTypeError,
        "Stream has no __len__",
    ),
    "an exhausted stream": (
        lambda: [list(loader) for loader in [DataLoader(Exhausted())] * 2],
        DataError,
        "Exhausted gave samples in an earlier epoch",
    ),
    "workers": (lambda: DataLoader(pairs(), num_workers=-1), ArgumentError, "got -1"),
    "a seed as generator": (
        lambda: DataLoader(pairs(), generator=7),
        ArgumentTypeError,
        r"generator=tg\.Generator\(7\)",
    ),
    "a seed": (lambda: DataLoader(pairs(), seed=7), ArgumentTypeError, r"tg\.Generator\(seed\)"),  # type: ignore[call-overload]
    "collate_fn": (
        lambda: DataLoader(pairs(), collate_fn="stack"),  # type: ignore[arg-type]
        ArgumentTypeError,
        "a function; got 'stack'",
    ),
    "a misspelling": (
        lambda: DataLoader(pairs(), batchsize=2),  # type: ignore[call-overload]
        ArgumentTypeError,
        r"no argument 'batchsize'. It takes DataLoader\(dataset",
    ),
    "another size later": (
        lambda: setattr(DataLoader(pairs()), "batch_size", 2),
        ArgumentError,
        "make another loader",
    ),
    "rows beyond the last": (
        lambda: list(DataLoader(pairs(), sampler=[0, 9])),
        IndexingError,
        "index 9 is out of range for 5 rows",
    ),
    "items beyond the last": (
        lambda: list(DataLoader([1, 2], sampler=[0, 9])),
        IndexingError,
        "index 9 for a dataset of 2 items",
    ),
    "shapes that differ": (
        lambda: list(DataLoader(Growing(), 3)),
        ShapeError,
        r"item 1 of the dataset has shape \(2,\), item 0 of the dataset has \(1,\)",
    ),
    "arrays for one dataset": (
        lambda: list(DataLoader([np.zeros((3, 2)), np.zeros(3)], 2)),
        ShapeError,
        r"item 1 of the dataset has shape \(3,\)",
    ),
    "nothing returned": (
        lambda: list(DataLoader(Forgetful(), 3)),
        ArgumentTypeError,
        "item 0 of the dataset is a NoneType",
    ),
    "an empty batch": (
        lambda: list(DataLoader([1], batch_sampler=[[]])),
        ArgumentError,
        "without indices",
    ),
    "a table of columns": (
        lambda: DataLoader(type("Frame", (), {"iloc": 0, "shape": (2, 2)})()),
        ArgumentTypeError,
        r"to_numpy\(\)",
    ),
}


class TestMistakes:
    @pytest.mark.parametrize("name", MISTAKES)
    def test_are_errors_that_say_how_to_do_it_right(self, name: str) -> None:
        make, error, says = MISTAKES[name]
        with pytest.raises(error, match=says) as caught:
            make()
        assert isinstance(caught.value, TinygradLabError)

    def test_of_the_users_dataset_stay_and_name_the_item(self) -> None:
        with pytest.raises(RuntimeError, match="no disk") as caught:
            list(DataLoader(Broken()))
        assert caught.value.__notes__ == ["DataLoader was fetching item 0 of Broken"]


Point = namedtuple("Point", ["x", "label"])

SAMPLES: dict[str, list[Any]] = {
    "integers": [1, 2],
    "floats": [1.5, 2],
    "booleans": [True, False],
    "numbers of NumPy": [np.float32(1.5), np.float32(2)],
    "small integers of NumPy": [np.int16(1), np.int16(2)],
    "arrays": [np.zeros(3, np.float32), np.ones(3, np.float32)],
    "arrays without axes": [np.array(1), np.array(2)],
    "strings": ["a", "b"],
    "bytes": [b"a", b"b"],
    "tuples": [(1, "a"), (2, "b")],
    "lists": [[1, 2.0], [3, 4.0]],
    "dicts": [{"x": 1, "y": np.zeros(2)}, {"x": 2, "y": np.ones(2)}],
    "named tuples": [Point(np.zeros(2), 1), Point(np.ones(2), 2)],
    "nested": [({"a": [1, (2.0, "s")]},), ({"a": [3, (4.0, "t")]},)],
}


def plain(value: Any) -> Any:
    """What a batch holds, with the classes of its containers and the dtypes of its tensors."""
    if hasattr(value, "dtype"):
        return str(value.dtype).removeprefix("torch."), value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [plain(one) for one in value]
    return value


class TestDefaultCollate:
    @pytest.mark.parametrize("kind", SAMPLES)
    def test_puts_samples_together_as_pytorch_does(self, kind: str) -> None:
        torch = pytest.importorskip("torch")
        samples = SAMPLES[kind]
        expected = torch.utils.data.default_collate(samples)
        assert plain(default_collate(samples)) == plain(expected)
        converted = [torch.utils.data.default_convert(one) for one in samples]
        assert [plain(default_convert(one)) for one in samples] == [plain(one) for one in converted]

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("integers", ("int64", [1, 2])),
            ("floats", ("float64", [1.5, 2.0])),
            ("booleans", ("bool", [True, False])),
            ("arrays", ("float32", [[0.0] * 3, [1.0] * 3])),
            ("strings", ("list", ["a", "b"])),
            ("tuples", ("list", [("int64", [1, 2]), ("tuple", ["a", "b"])])),
            ("named tuples", ("Point", [("float64", [[0, 0], [1, 1]]), ("int64", [1, 2])])),
        ],
    )
    def test_gives(self, kind: str, expected: Any) -> None:
        assert plain(default_collate(SAMPLES[kind])) == expected

    def test_stacks_tensors_and_keeps_their_gradient(self) -> None:
        x = [tg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2)]
        default_collate(x).sum().backward()
        assert [one.grad.tolist() for one in x if one.grad is not None] == [[1.0, 1.0]] * 2

    @pytest.mark.parametrize(
        ("samples", "error", "says"),
        [
            ([], ArgumentError, "empty batch"),
            ([None, None], ArgumentTypeError, "NoneType.*collate_fn="),
            ([1, "a"], ArgumentTypeError, "sample 1 of the batch is a str"),
            ([(1,), (1, 2)], ArgumentError, "2 parts"),
            ([(1,), 1], ArgumentTypeError, "is a int"),
            ([{"a": 1}, {"b": 1}], ArgumentError, r"\['b'\]"),
            ([{"a": 1}, 2], ArgumentTypeError, "is a int"),
            ([np.zeros(2), np.zeros(3)], ShapeError, r"\(3,\).*\(2,\)"),
            ([(0, {"a": np.zeros(2)}), (0, {"a": np.zeros(3)})], ShapeError, r"\[1\]\['a'\]"),
            ([np.zeros(2), [0.0, 0.0]], ArgumentTypeError, "is a list"),
            ([np.array(["a"])] * 2, TypeError, "tensors hold numbers"),
        ],
        ids=str,
    )
    def test_refuses_and_names_the_sample(
        self, samples: Any, error: type[Exception], says: str
    ) -> None:
        with pytest.raises(error, match=f"default_collate: .*{says}"):
            default_collate(samples)


def test_loaders_have_pytorchs_attributes() -> None:
    loader = DataLoader(pairs(), 2, shuffle=True)
    assert isinstance(loader.sampler, RandomSampler)
    assert isinstance(DataLoader(pairs()).sampler, SequentialSampler)
    assert isinstance(loader.dataset, TensorDataset)
    assert (loader.batch_size, loader.drop_last, loader.collate_fn) == (2, False, default_collate)
