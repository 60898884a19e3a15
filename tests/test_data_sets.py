"""Datasets, samplers and splits: what belongs together, in which order, and who gets what."""

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Sampler,
    SequentialSampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    k_fold,
    random_split,
    stratified_split,
)
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    IndexingError,
    ShapeError,
    TinygradLabError,
)

X, Y = tg.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), tg.tensor([0, 1, 2])


class TestDatasets:
    def test_of_tensors_have_tuples_of_rows(self) -> None:
        dataset = TensorDataset(X, Y)
        assert len(dataset) == 3
        for index in (0, 2, -1):
            row, label = dataset[index]
            assert (row.tolist(), label.item()) == (X[index].tolist(), Y[index].item())
        assert [part.tolist() for part in dataset[1:]] == [X[1:].tolist(), [1, 2]]
        assert [label.item() for _, label in dataset] == [0, 1, 2]

    def test_of_arrays_share_their_memory(self) -> None:
        array = np.arange(3.0)
        dataset = TensorDataset(array)
        array[0] = 7.0
        assert dataset[0][0].item() == 7.0

    def test_added_are_one_after_the_other(self) -> None:
        both = TensorDataset(Y) + Subset([10, 20, 30], [2, 0])
        assert isinstance(both, ConcatDataset)
        assert [both[n] for n in (-1, -2, 3)] == [10, 30, 30]
        assert len(both) == 5
        assert both.cumulative_sizes == [3, 5]

    @given(st.lists(st.lists(st.integers(), max_size=4), min_size=1, max_size=5))
    def test_concatenated_are_the_lists_together(self, lists: list[list[int]]) -> None:
        together, dataset = list(itertools.chain(*lists)), ConcatDataset(lists)
        assert list(dataset) == together
        assert [dataset[n] for n in range(-len(together), 0)] == together

    def test_streams_that_are_added_are_one_after_the_other(self) -> None:
        class Stream(IterableDataset):
            def __iter__(self) -> Iterator[int]:
                return iter((1, 2))

        class Counted(Stream):
            def __len__(self) -> int:
                return 2

        both = Stream() + Counted()
        assert isinstance(both, ChainDataset)
        assert list(both) == list(both) == [1, 2, 1, 2]
        assert [b.tolist() for b in DataLoader(both, batch_size=3)] == [[1, 2, 1], [2]]
        assert len(ChainDataset([Counted(), Counted()])) == 4
        with pytest.raises(ArgumentTypeError, match="Stream has no __len__"):
            len(both)

    def test_side_by_side_are_tuples_or_dicts(self) -> None:
        images, names = TensorDataset(X), ["a", "b", "c"]
        tuples, dicts = StackDataset(Y, names), StackDataset(image=images, name=names)
        assert len(tuples) == len(dicts) == 3
        assert [(label.item(), name) for label, name in tuples] == [(0, "a"), (1, "b"), (2, "c")]
        assert dicts[-1]["name"] == "c"
        assert dicts[1]["image"][0].tolist() == X[1].tolist()
        labels, letters = next(iter(DataLoader(tuples, batch_size=2)))
        assert (labels.tolist(), letters) == ([0, 1], ("a", "b"))
        batch = next(iter(DataLoader(dicts, batch_size=2)))
        assert batch["image"][0].tolist() == X[:2].tolist()

    @given(st.data())
    def test_subsets_of_subsets_are_subsets(self, data: st.DataObject) -> None:
        items = data.draw(st.lists(st.integers(), min_size=1, max_size=8))
        outer = data.draw(st.lists(st.integers(0, len(items) - 1), min_size=1, max_size=8))
        inner = data.draw(st.lists(st.integers(0, len(outer) - 1), max_size=8))
        subset = Subset(Subset(items, outer), inner)
        assert list(subset) == [items[outer[n]] for n in inner]
        assert subset.indices == inner
        assert subset[: len(inner)] == list(subset)

    @pytest.mark.parametrize(
        ("make", "error", "says"),
        [
            (lambda: TensorDataset(), ArgumentError, "TensorDataset(x, y)"),
            (lambda: TensorDataset([X, Y]), ArgumentTypeError, "TensorDataset(*tensors)"),
            (lambda: TensorDataset(tg.scalar(1.0)), ShapeError, "no axes"),
            (lambda: TensorDataset(X, Y[:2]), ShapeError, "(3, 2), (2,)"),
            (lambda: TensorDataset(X).rows(np.array([0, -4])), IndexingError, "index -4"),
            (lambda: Subset(Y, [0, 3]), ArgumentError, "index 3 is out of range"),
            (lambda: Subset(Y, [True]), ArgumentTypeError, "np.flatnonzero(mask)"),
            (lambda: Subset(Y, [0.5]), ArgumentTypeError, "float64"),
            (lambda: Subset(Y, [0])[1], IndexingError, "out of range for 1 items"),
            (lambda: Subset(Y, [0])["a"], ArgumentTypeError, "an integer as an index; got 'a'"),
            (lambda: ConcatDataset([]), ArgumentError, "at least one"),
            (lambda: ConcatDataset(TensorDataset(Y)), ArgumentTypeError, "ConcatDataset([a, b])"),
            (lambda: ConcatDataset([IterableDataset()]), ArgumentTypeError, "by index"),
            (lambda: ConcatDataset([object()]), ArgumentTypeError, "object has no __len__"),
            (lambda: ChainDataset([]), ArgumentError, "ChainDataset([a, b])"),
            (lambda: ChainDataset(IterableDataset()), ArgumentError, "one IterableDataset"),
            (lambda: ChainDataset(3), ArgumentError, "one int"),  # type: ignore[arg-type]
            (lambda: ChainDataset([[1]]), ArgumentTypeError, "ConcatDataset joins"),
            (lambda: StackDataset(), ArgumentError, "got none"),
            (lambda: StackDataset(Y, y=Y), ArgumentError, "got both"),
            (lambda: StackDataset(Y, Y[:2]), ArgumentError, "different lengths, [3, 2]"),
            (lambda: StackDataset(IterableDataset()), ArgumentTypeError, "items by index"),
            (lambda: StackDataset(3), ArgumentTypeError, "int has none"),
            (lambda: StackDataset(Y)[3], IndexingError, "out of range for 3 items"),
            (lambda: Subset(Y), ArgumentTypeError, "indices"),  # type: ignore[call-arg]
        ],
    )
    def test_refuse(self, make: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error) as caught:
            make()
        assert isinstance(caught.value, TinygradLabError)
        assert says in str(caught.value)

    @pytest.mark.parametrize(
        ("use", "method"),
        [
            (lambda: Dataset()[0], "__getitem__"),
            (lambda: iter(IterableDataset()), "__iter__"),
            (lambda: iter(Sampler()), "__iter__"),
        ],
    )
    def test_without_their_method_say_which(self, use: Any, method: str) -> None:
        with pytest.raises(NotImplementedError, match=f"needs a method {method}"):
            use()


class TestSamplers:
    @given(length=st.integers(0, 30), batch_size=st.integers(1, 9), drop_last=st.booleans())
    def test_of_batches_cut_another_sampler(
        self, length: int, batch_size: int, drop_last: bool
    ) -> None:
        sampler = BatchSampler(SequentialSampler(range(length)), batch_size, drop_last)
        batches = list(sampler)
        assert len(sampler) == len(batches)
        joined = list(itertools.chain(*batches))
        assert joined == list(range(len(joined)))
        assert length - len(joined) < batch_size if drop_last else len(joined) == length

    @given(length=st.integers(1, 20), wanted=st.integers(1, 50), seed=st.integers(0, 99))
    def test_at_random_come_as_often_as_each_other(
        self, length: int, wanted: int, seed: int
    ) -> None:
        sampler = RandomSampler(range(length), num_samples=wanted, generator=tg.Generator(seed))
        drawn = list(sampler)
        assert len(drawn) == len(sampler) == wanted
        counts = Counter(drawn)
        assert set(drawn) <= set(range(length))
        assert max(counts.values()) - min(counts[n] for n in range(length)) <= 1

    def test_with_replacement_draw_from_all_each_time(self) -> None:
        drawn = list(RandomSampler(range(4), True, 4000, tg.Generator(0)))
        assert all(type(index) is int for index in drawn)
        assert all(abs(count - 1000) < 120 for count in Counter(drawn).values())
        assert len(list(RandomSampler(range(4), replacement=True))) == 4

    def test_of_a_subset_are_its_indices_in_another_order_each_pass(self) -> None:
        sampler = SubsetRandomSampler([5, 7, 9, 11, 13], tg.Generator(0))
        passes = [tuple(sampler) for _ in range(5)]
        assert {tuple(sorted(one)) for one in passes} == {(5, 7, 9, 11, 13)}
        assert len(set(passes)) > 1
        assert len(sampler) == 5

    def test_by_weights_draw_in_proportion(self) -> None:
        sampler = WeightedRandomSampler([1.0, 0.0, 3.0], 4000, generator=tg.Generator(0))
        counts = Counter(sampler)
        assert counts[1] == 0
        assert abs(counts[2] - 3000) < 120
        once = WeightedRandomSampler([1, 0, 3, 5], 3, replacement=False)
        assert sorted(once) == [0, 2, 3]

    def test_without_a_generator_draw_from_what_tg_seed_seeds(self) -> None:
        samplers = [
            RandomSampler(range(9)),
            RandomSampler(range(9), True),
            SubsetRandomSampler(range(9)),
            WeightedRandomSampler(range(9), 5),
        ]
        for sampler in samplers:
            drawn = []
            for seed in (1, 1, 2):
                tg.seed(seed)
                drawn.append(list(sampler))
            assert drawn[0] == drawn[1] != drawn[2]

    @pytest.mark.parametrize(
        ("make", "error", "says"),
        [
            (lambda: RandomSampler(iter([])), ArgumentTypeError, "no __len__"),  # type: ignore[arg-type]
            (lambda: RandomSampler("ab", replacement=1), ArgumentTypeError, "True or False"),  # type: ignore[arg-type]
            (lambda: RandomSampler("ab", num_samples=0), ArgumentError, "at least 1; got 0"),
            (lambda: RandomSampler("", num_samples=3), ArgumentError, "empty dataset"),
            (lambda: RandomSampler("ab", generator=3), ArgumentTypeError, "tg.Generator(3)"),  # type: ignore[arg-type]
            (lambda: SequentialSampler(3), ArgumentTypeError, "int has no __len__"),  # type: ignore[arg-type]
            (lambda: SubsetRandomSampler([0.5]), ArgumentTypeError, "integers"),  # type: ignore[list-item]
            (lambda: WeightedRandomSampler([1, -1], 2), ArgumentError, "0 or more"),
            (lambda: WeightedRandomSampler([0, 0], 2), ArgumentError, "above 0 among 2"),
            (lambda: WeightedRandomSampler([[1.0]], 2), ShapeError, "(1, 1)"),
            (lambda: WeightedRandomSampler([1, 0], 2, False), ArgumentError, "num_samples=2"),
            (lambda: WeightedRandomSampler([1.0], 1.5), ArgumentTypeError, "got 1.5"),  # type: ignore[arg-type]
            (lambda: BatchSampler(3, 2, False), ArgumentTypeError, "got int"),  # type: ignore[arg-type]
            (lambda: BatchSampler("ab", 0, False), ArgumentError, "at least 1; got 0"),  # type: ignore[arg-type]
            (lambda: BatchSampler("ab", 2, 0), ArgumentTypeError, "True or False; got 0"),  # type: ignore[arg-type]
            (lambda: BatchSampler(iter("ab"), 2, False), ArgumentTypeError, "list(indices)"),  # type: ignore[arg-type]
            (lambda: BatchSampler("ab", 2), ArgumentTypeError, "drop_last"),  # type: ignore[call-arg, arg-type]
        ],
    )
    def test_refuse(self, make: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error) as caught:
            make()
        assert isinstance(caught.value, TinygradLabError)
        assert says in str(caught.value)


labels = st.lists(st.integers(0, 4), min_size=1, max_size=40)
seeds = st.integers(0, 1000)


def is_partition(parts: list[Subset], length: int) -> bool:
    return sorted(n for part in parts for n in part.indices) == list(range(length))


class TestRandomSplit:
    @given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=5), seed=seeds)
    def test_is_a_partition_into_the_lengths(self, sizes: list[int], seed: int) -> None:
        parts = random_split(range(sum(sizes)), sizes, tg.Generator(seed))
        assert [len(part) for part in parts] == sizes
        assert is_partition(parts, sum(sizes))
        again = random_split(range(sum(sizes)), sizes, tg.Generator(seed))
        assert [part.indices for part in parts] == [part.indices for part in again]

    @pytest.mark.filterwarnings("ignore:.* (0 items|is 0)")
    @pytest.mark.parametrize("shares", [[0.8, 0.2], [0.7, 0.2, 0.1], [1 / 3] * 3, [1.0], [0.5] * 2])
    @pytest.mark.parametrize("length", [0, 1, 2, 10, 100, 101])
    def test_of_shares_has_pytorchs_lengths(self, shares: list[float], length: int) -> None:
        torch = pytest.importorskip("torch")
        if length == 0:
            assert [len(part) for part in random_split([], shares)] == [0] * len(shares)
            return
        expected = torch.utils.data.random_split(range(length), shares)
        parts = random_split(range(length), shares)
        assert [len(part) for part in parts] == [len(part) for part in expected]
        assert is_partition(parts, length)

    def test_warns_of_a_share_that_is_too_small_for_one_item(self) -> None:
        with pytest.warns(UserWarning, match=r"0\.1 of 5 items is a part of 0 items"):
            random_split("abcde", [0.9, 0.1])

    def test_gives_out_what_is_left_from_the_first_part_on(self) -> None:
        assert [len(part) for part in random_split(range(11), [0.25] * 4)] == [3, 3, 3, 2]

    @pytest.mark.parametrize(
        ("lengths", "error", "says"),
        [
            ([2, 2], ArgumentError, "sum to the 3 items"),
            ([0.5, 0.6], ArgumentError, "sum 1.1"),
            ([1.5, 1.5], ArgumentError, "sum to the 3 items"),
            ([-1, 4], ArgumentError, "at least 0; got -1"),
            (0.8, ArgumentTypeError, "[0.8, 0.2]; got 0.8"),
            ([], ArgumentTypeError, "a list of lengths"),
            (["1", 2], ArgumentTypeError, "a number; got '1'"),
        ],
    )
    def test_refuses(self, lengths: Any, error: type[Exception], says: str) -> None:
        for split in (random_split, lambda x, n: stratified_split(x, n, labels=[0, 0, 1])):
            with pytest.raises(error) as caught:
                split("abc", lengths)
            assert says in str(caught.value)


class TestStratifiedSplit:
    @given(y=labels, seed=seeds, data=st.data())
    def test_gives_each_part_its_share_of_each_class_rounded(
        self, y: list[int], seed: int, data: st.DataObject
    ) -> None:
        cuts = sorted(data.draw(st.lists(st.integers(0, len(y)), max_size=3)))
        sizes = np.diff([0, *cuts, len(y)]).tolist()
        parts = stratified_split(range(len(y)), sizes, labels=y, generator=tg.Generator(seed))
        assert is_partition(parts, len(y))
        assert [len(part) for part in parts] == sizes
        for part, one in itertools.product(parts, set(y)):
            count = sum(y[n] == one for n in part.indices)
            share = y.count(one) * len(part) / len(y)
            assert np.floor(share - 1e-9) <= count <= np.ceil(share + 1e-9)

    def test_of_tensors_knows_the_labels(self) -> None:
        y = np.repeat([0, 1], [90, 10])
        train, test = stratified_split(TensorDataset(np.zeros(100), y), [0.8, 0.2])
        counts = [np.bincount([int(label) for _, label in part]).tolist() for part in (train, test)]
        assert counts == [[72, 8], [18, 2]]

    def test_of_words_takes_them_as_classes(self) -> None:
        parts = stratified_split("abcd", [2, 2], labels=["x", "y", "x", "y"])
        assert all(len({n % 2 for n in part.indices}) == 2 for part in parts)

    def test_repeats_by_seed_and_is_in_random_order(self) -> None:
        y = [0] * 20 + [1] * 20
        splits = [
            [p.indices for p in stratified_split(y, [30, 10], y, tg.Generator(seed))]
            for seed in (1, 1, 2)
        ]
        assert splits[0] == splits[1] != splits[2]
        assert splits[0][0] != sorted(splits[0][0])

    @pytest.mark.parametrize(
        ("dataset", "y", "error", "says"),
        [
            ("abc", None, ArgumentTypeError, "labels="),
            ("abc", [0, 1], ShapeError, "(2,)"),
            ("abc", [0.5, 1, 2], ArgumentTypeError, "0.5"),
            ("abc", [[0, 1, 2]], ShapeError, "(1, 3)"),
            (3, [0, 1, 2], ArgumentTypeError, "no __len__"),
        ],
    )
    def test_refuses(self, dataset: Any, y: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error) as caught:
            stratified_split(dataset, [2, 1], labels=y)
        assert says in str(caught.value)


class TestKFold:
    @given(length=st.integers(2, 40), shuffle=st.booleans(), seed=seeds, data=st.data())
    def test_each_item_is_validated_once_and_trained_on_in_all_other_folds(
        self, length: int, shuffle: bool, seed: int, data: st.DataObject
    ) -> None:
        k = data.draw(st.integers(2, length))
        folds = k_fold(range(length), k, shuffle=shuffle, generator=tg.Generator(seed))
        assert len(folds) == k
        assert is_partition([validation for _, validation in folds], length)
        assert all(is_partition(list(pair), length) for pair in folds)
        sizes = [len(validation) for _, validation in folds]
        assert max(sizes) - min(sizes) <= 1

    @given(counts=st.lists(st.integers(3, 9), min_size=1, max_size=4), shuffle=st.booleans())
    def test_with_labels_each_fold_has_its_share_of_each_class(
        self, counts: list[int], shuffle: bool
    ) -> None:
        y = np.repeat(np.arange(len(counts)), counts)
        folds = k_fold(y, 3, labels=y, shuffle=shuffle, generator=tg.Generator(0))
        assert is_partition([validation for _, validation in folds], len(y))
        for _, validation in folds:
            found = np.bincount([int(label) for label in validation], minlength=len(counts))
            assert (found >= np.array(counts) // 3).all()
            assert (found <= -(-np.array(counts) // 3)).all()

    def test_without_shuffling_keeps_neighbours_together(self) -> None:
        folds = [validation.indices for _, validation in k_fold(range(7), 3, shuffle=False)]
        assert folds == [[0, 1, 2], [3, 4], [5, 6]]

    @pytest.mark.parametrize(
        ("arguments", "error", "says"),
        [
            ({"k": 1}, ArgumentError, "at least 2; got 1"),
            ({"k": 2.0}, ArgumentTypeError, "got 2.0"),
            ({"k": 4}, ArgumentError, "3 items make at most 3 folds"),
            ({"k": 2, "labels": [0, 0, 1]}, ArgumentError, "a class has 1 items"),
            ({"n_splits": 2}, ArgumentTypeError, "no argument 'n_splits'"),
        ],
    )
    def test_refuses(self, arguments: Any, error: type[Exception], says: str) -> None:
        with pytest.raises(error) as caught:
            k_fold("abc", **arguments)
        assert says in str(caught.value)
