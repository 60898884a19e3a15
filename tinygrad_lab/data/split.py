"""Parts of a dataset: at random, with each class in its share, and folds for cross-validation.

Every part is a ``Subset`` of the dataset, and no item is in two parts.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.data.arguments import integer, length_of, number, numbers_from
from tinygrad_lab.data.dataset import Subset, TensorDataset
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError, excerpt

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_lab.random.generator import Generator

__all__ = ["k_fold", "random_split", "stratified_split"]


@explaining
def random_split(
    dataset: Any,
    lengths: Sequence[float],
    generator: Generator | np.random.Generator | None = None,
) -> list[Subset]:
    """Split a dataset at random into parts that have no item in common.

    Args:
        dataset: a dataset with a length.
        lengths: the number of items of each part; or fractions that sum to 1, of which each part
            has the whole number below its share, and the first ones one item more until all are
            given out.
        generator: a ``tg.Generator``; by default the one that ``tg.seed`` seeds.

    Raises:
        ArgumentError: for lengths that do not sum to the dataset's, or fractions not to 1.
        ArgumentTypeError: for a dataset without a length, or lengths that are no numbers.

    Example:
        >>> import tinygrad_lab as tg
        >>> train, test = random_split(range(10), [0.8, 0.2], tg.Generator(0))
        >>> sorted(train), sorted(test)
        ([0, 2, 3, 4, 5, 6, 7, 9], [1, 8])

    Source: ``torch.utils.data.random_split``.
    """
    total = length_of("random_split", dataset)
    sizes = _sizes("random_split", lengths, total)
    order = numbers_from("random_split", generator).permutation(total)
    return [Subset(dataset, part) for part in np.split(order, np.cumsum(sizes)[:-1])]


@explaining
def stratified_split(
    dataset: Any,
    lengths: Sequence[float],
    labels: Any = None,
    generator: Generator | np.random.Generator | None = None,
) -> list[Subset]:
    """Split a dataset at random into parts that each have every class in the same share.

    Args:
        dataset, lengths, generator: those of ``random_split``.
        labels: the class of each item; of a ``TensorDataset`` its last tensor, if not given.

    Returns:
        ``Subset``s in random order. Of each class every part has its exact share, rounded up or
        down.

    Raises:
        ArgumentError, ArgumentTypeError: as ``random_split``, and where labels are missing.
        ShapeError: for labels that are not one an item.

    Example:
        >>> import tinygrad_lab as tg
        >>> y = [0, 0, 0, 0, 0, 0, 1, 1, 1]
        >>> train, test = stratified_split(y, [6, 3], labels=y, generator=tg.Generator(0))
        >>> sorted(train), sorted(test)
        ([0, 0, 0, 0, 1, 1], [0, 0, 1])

    Source: controlled rounding, Cox, "A constructive procedure for unbiased controlled rounding",
    Journal of the American Statistical Association 82 (1987): a table of shares can be rounded so
    that its sums stay; found here as a matching, by augmenting paths.
    """
    name = "stratified_split"
    sizes = _sizes(name, lengths, length_of(name, dataset))
    numbers = numbers_from(name, generator)
    classes = _classes(name, dataset, labels)
    parts: list[list[NDArray[np.int64]]] = [[] for _ in sizes]
    counts = np.bincount(classes)
    for members, shares in zip(_members(classes, numbers), _rounded(counts, sizes), strict=True):
        for part, some in zip(parts, np.split(members, np.cumsum(shares)[:-1]), strict=True):
            part.append(some)
    joined = [np.concatenate([*some, np.arange(0)]) for some in parts]
    return [Subset(dataset, numbers.permutation(part)) for part in joined]


@explaining
def k_fold(
    dataset: Any,
    k: int = 5,
    *,
    labels: Any = None,
    shuffle: bool = True,
    generator: Generator | np.random.Generator | None = None,
) -> list[tuple[Subset, Subset]]:
    """Return k pairs (training set, validation set): each item is in one of the validation sets.

    Args:
        dataset: a dataset with a length.
        k: the number of folds, from 2 to the number of items.
        labels: the class of each item: then every fold has its share of each class, rounded up or
            down. Without, classes fall as they may.
        shuffle: whether items fall into folds at random; otherwise neighbours stay together
            (without labels), or are dealt out class by class (with them).
        generator: those of ``random_split``.

    The sizes of folds differ by at most 1.

    Raises:
        ArgumentError: for k below 2 or above the number of items, or a class with fewer than k.
        ArgumentTypeError, ShapeError: as ``stratified_split``.

    Example:
        >>> for train, validation in k_fold("abcde", 2, shuffle=False):
        ...     print("".join(train), "".join(validation))
        de abc
        abc de

    Source: cross-validation, Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning"
    (2009), section 7.10; stratified, Kohavi, "A study of cross-validation and bootstrap for
    accuracy estimation and model selection", IJCAI 1995.
    """
    total, k = length_of("k_fold", dataset), integer("k_fold", "k", k, least=2)
    if k > total:
        raise ArgumentError(f"k_fold: {total} items make at most {total} folds; got k={k}")
    numbers = numbers_from("k_fold", generator) if shuffle else None
    if labels is None:
        order = np.arange(total) if numbers is None else numbers.permutation(total)
        folds = np.array_split(order, k)
    else:
        classes = _classes("k_fold", dataset, labels)
        rarest = int(np.bincount(classes).min())
        if rarest < k:
            raise ArgumentError(
                f"k_fold: a class has {rarest} items, too few for one in each of {k} folds; leave "
                "labels out, or take fewer folds"
            )
        # Every k-th item of the classes in turn: each fold gets its share of each, give or take 1.
        in_turn = np.concatenate(_members(classes, numbers))
        folds = [in_turn[place::k] for place in range(k)]
    return [
        (Subset(dataset, np.concatenate(folds[:i] + folds[i + 1 :])), Subset(dataset, folds[i]))
        for i in range(k)
    ]


def _sizes(asked_by: str, lengths: Sequence[float], total: int) -> list[int]:
    """Return the number of items of each part, from numbers or fractions."""
    if not isinstance(lengths, Sequence | np.ndarray) or not len(lengths):
        raise ArgumentTypeError(
            f"{asked_by}: expected a list of lengths, as [0.8, 0.2]; got {excerpt(lengths)}"
        )
    given = [number(asked_by, "a length", one, least=0) for one in lengths]
    if math.isclose(sum(given), 1) and max(given) <= 1:
        sizes = [math.floor(total * share) for share in given]
        for place in range(total - sum(sizes)):
            sizes[place % len(sizes)] += 1
        for share, size in zip(given, sizes, strict=True):
            if share and total and not size:
                warnings.warn(
                    f"{asked_by}: {share:g} of {total} items is a part of 0 items", stacklevel=4
                )
        return sizes
    whole = [int(one) for one in given]
    if whole != given or sum(whole) != total:
        what = "whole numbers" if whole == given else "numbers"
        raise ArgumentError(
            f"{asked_by}: expected lengths that sum to the {total} items of the dataset, or "
            f"fractions that sum to 1; got {what} {list(lengths)} with the sum {sum(given):g}"
        )
    return whole


def _classes(asked_by: str, dataset: Any, labels: Any) -> NDArray[np.int64]:
    """Return the class of each item as a number from 0."""
    if labels is None:
        if not isinstance(dataset, TensorDataset):
            raise ArgumentTypeError(
                f"{asked_by}: expected labels=, the class of each item; of a TensorDataset alone "
                f"they are known (its last tensor), this is a {type(dataset).__name__}"
            )
        labels = dataset.tensors[-1]
    found = np.asarray(labels.numpy() if isinstance(labels, Tensor) else labels)
    if found.shape != (len(dataset),):
        raise ShapeError(
            f"{asked_by}: expected one label for each of {len(dataset)} items, shape "
            f"({len(dataset)},); got shape {found.shape}"
        )
    if found.dtype.kind == "f" and not (found == np.round(found)).all():
        raise ArgumentTypeError(
            f"{asked_by}: labels are classes (integers, strings); got numbers such as "
            f"{found[found != np.round(found)][0]}"
        )
    return np.unique(found, return_inverse=True)[1].astype(np.int64)


def _members(
    classes: NDArray[np.int64], numbers: np.random.Generator | None
) -> list[NDArray[np.int64]]:
    """Return the places of each class, in random order if there is a generator."""
    groups = [np.flatnonzero(classes == one) for one in range(int(classes.max(initial=-1)) + 1)]
    return groups if numbers is None else [numbers.permutation(group) for group in groups]


def _rounded(counts: NDArray[np.int64], sizes: list[int]) -> NDArray[np.int64]:
    """Return how many of each class (row) go to each part (column).

    Each is counts × sizes / total, rounded up or down so that rows sum to ``counts`` and columns to
    ``sizes``. What is rounded up is found one by one; where a column is full, another class is
    moved to one that is not (an augmenting path).
    """
    products = np.outer(counts, np.asarray(sizes, dtype=np.int64))
    table: NDArray[np.int64] = products // max(sum(sizes), 1)
    may_rise = products % max(sum(sizes), 1) > 0
    raised = np.zeros_like(may_rise)
    room = np.asarray(sizes) - table.sum(axis=0)

    def raise_one(row: int, tried: set[int]) -> bool:
        for column in np.flatnonzero(may_rise[row] & ~raised[row]).tolist():
            if column in tried:
                continue
            tried.add(column)
            if room[column]:
                room[column] -= 1
            else:
                others = np.flatnonzero(raised[:, column]).tolist()
                mover = next((other for other in others if raise_one(other, tried)), None)
                if mover is None:
                    continue
                raised[mover, column] = False
            raised[row, column] = True
            return True
        return False

    for row, left in enumerate((counts - table.sum(axis=1)).tolist()):
        for _ in range(left):
            raise_one(row, set())
    return table + raised
