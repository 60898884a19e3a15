"""Adding at an index: repeated positions add up, by NumPy's indexing rules."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.backends import NUMPY
from tinygrad_lab.backends.positions import flat_positions

shapes = npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4)


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """Draw an index of slices, integers, None, ``...`` and one or more arrays of integers."""
    together = draw(npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=3))
    mentioned = draw(st.integers(1, len(shape)))
    with_array = draw(st.integers(0, mentioned - 1))
    dots = draw(st.none() | st.integers(0, mentioned))
    parts: list[Any] = []
    for place in range(mentioned):
        # Axes after the ellipsis are counted from the end.
        behind = dots is not None and place >= dots
        size = shape[place - mentioned if behind else place]
        array = npst.arrays(
            draw(st.sampled_from(["int64", "int32", "int8"])),
            draw(st.sampled_from([together, (1, *together[1:]), together[1:]])) if size else (0,),
            elements=st.integers(-size, max(size - 1, 0)),
        )
        others = [st.slices(size), st.just(slice(None)), array]
        others += [st.integers(-size, size - 1)] if size else []
        if draw(st.integers(0, 4)) == 0:
            parts.append(None)
        if place == dots:
            parts.append(...)
        parts.append(draw(array if place == with_array else st.one_of(others)))
    if dots == mentioned:
        parts.append(...)
    return tuple(parts)


class TestFlatPositions:
    @settings(max_examples=100)
    @given(data=st.data(), shape=shapes)
    def test_are_those_that_the_index_picks(
        self, data: st.DataObject, shape: tuple[int, ...]
    ) -> None:
        key = data.draw(keys(shape))
        numbered = np.arange(np.prod(shape)).reshape(shape)
        try:
            expected = numbered[key]
        except IndexError:  # arrays that do not broadcast
            with pytest.raises((IndexError, ValueError)):
                flat_positions(shape, key)
            return
        assert flat_positions(shape, key).tolist() == expected.ravel().tolist()

    @pytest.mark.parametrize(
        "key",
        [
            (np.array([0, 3]),),
            (np.array([-4]),),
            (slice(None), np.array([5])),
            (np.array([0]), 0, 0),
            (..., np.array([0]), ...),
        ],
        ids=str,
    )
    def test_outside_of_the_array_are_errors(self, key: tuple[Any, ...]) -> None:
        with pytest.raises(IndexError):
            flat_positions((3, 5), key)

    def test_of_small_and_unsigned_integers_do_not_overflow(self) -> None:
        for dtype in (np.int8, np.uint8, np.uint64):
            rows = np.array([1, 120], dtype)
            assert flat_positions((200, 300), (rows, rows)).tolist() == [301, 120 * 301]


def index_of(name: str) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    rows, columns, deep = (rng.integers(-n, n, 1200) for n in (8, 20, 10))
    return {
        "rows": (rows,),
        "rows and columns": (rows, columns),
        "columns": (slice(None), columns),
        "all": (rows, columns, deep),
        "apart": (rows, slice(1, None), deep),
        "apart by a new axis": (rows, None, columns),
        "an integer and an array, apart": (3, ..., deep),
        "broadcast": (rows[:60, None], columns[:50]),
        "backwards": (slice(None, None, -2), columns, slice(None, 3)),
        "a mask and an array": (rng.random(8) < 2, columns[:8]),
        "a boolean and an array": (True, rows),
        "small integers": (rows.astype(np.int8), columns.astype(np.int32)),
    }[name]


NAMES = ["rows", "rows and columns", "columns", "all", "apart", "apart by a new axis"]
NAMES += ["an integer and an array, apart", "broadcast", "backwards", "a mask and an array"]
NAMES += ["a boolean and an array", "small integers"]


class TestAddingAtAnIndex:
    @pytest.mark.parametrize("name", NAMES)
    @pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_adds_the_same_numbers_in_the_same_order_as_numpy(
        self, name: str, dtype: str, order: Any
    ) -> None:
        key = index_of(name)
        start = np.random.default_rng(1).normal(0, 100, (8, 20, 10)).astype(dtype, order=order)
        values = np.random.default_rng(2).normal(0, 100, start[key].shape).astype(dtype)
        for added in (values, values[..., :1], values.dtype.type(3)):
            expected, found = start.copy(order), start.copy(order)
            np.add.at(expected, key, added)
            NUMPY.add_at(found, key, added)
            np.testing.assert_array_equal(found, expected, strict=True)

    @pytest.mark.parametrize("name", NAMES[:9])
    def test_is_the_gradient_of_indexing(self, name: str) -> None:
        key = index_of(name)
        x = tg.tensor(np.zeros((8, 20, 10)), requires_grad=True)
        tg.sum(x[key]).backward()
        assert x.grad is not None
        times = np.zeros((8, 20, 10))
        np.add.at(times, key, 1.0)
        assert (x.grad.numpy() == times).all()

    def test_out_of_bounds_is_an_error_and_changes_nothing(self) -> None:
        x, far = tg.tensor(np.zeros((3, 4))), np.full(2000, 3)
        with pytest.raises(tg.errors.IndexingError, match="-3 to 2 as an index of axis 0, got 3"):
            x.at[far, far].add(1.0)
        assert not x.numpy().any()
