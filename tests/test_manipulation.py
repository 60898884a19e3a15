"""Reshaping, joining, repeating, padding, taking: NumPy's values, and gradients that go back."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    IndexingError,
    ShapeError,
)

from .op_cases import numbers

some_shapes = npst.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
filled_shapes = npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4)


def axes_of(shape: tuple[int, ...]) -> st.SearchStrategy[int]:
    return st.integers(-len(shape), len(shape) - 1)


def check(function: Callable[[Any, Any], Any], shape: tuple[int, ...]) -> None:
    """Check that ``function`` gives the same with this library as with NumPy, and that its gradient
    is the adjoint of a linear function: <f(x), w> = <x, gradient(w)>.
    """
    array = numbers(*shape, seed=8)
    x = tg.tensor(array, requires_grad=True)
    found, expected = function(tg, x), function(np, array)
    if not isinstance(found, tuple):
        found, expected = (found,), (expected,)
    assert len(found) == len(expected) > 0
    total: Any = 0.0
    product = 0.0
    for position, (one, other) in enumerate(zip(found, expected, strict=True)):
        np.testing.assert_array_equal(one.detach().numpy(), other, strict=True)
        weights = numbers(*other.shape, seed=position)
        total = total + (one * tg.tensor(weights)).sum()
        product += float((other * weights).sum())
    total.backward()
    assert x.grad is not None
    np.testing.assert_allclose((x.grad.numpy() * array).sum(), product, rtol=1e-9, atol=1e-9)


class TestAxes:
    @given(shape=npst.array_shapes(min_dims=1, max_dims=4, max_side=3), data=st.data())
    def test_move_as_in_numpy(self, shape: tuple[int, ...], data: st.DataObject) -> None:
        source = data.draw(npst.valid_tuple_axes(len(shape)))
        places = st.permutations(range(-len(shape), 0)).map(lambda p: tuple(p[: len(source)]))
        destination = data.draw(places)
        check(lambda xp, x: xp.moveaxis(x, source, destination), shape)

    @given(shape=filled_shapes, data=st.data())
    def test_swap_as_in_numpy(self, shape: tuple[int, ...], data: st.DataObject) -> None:
        one, other = data.draw(axes_of(shape)), data.draw(axes_of(shape))
        check(lambda xp, x: xp.swapaxes(x, one, other), shape)

    @given(shape=some_shapes, data=st.data())
    def test_are_added_and_dropped_as_in_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(npst.valid_tuple_axes(len(shape) + 2, min_size=2, max_size=2))
        check(lambda xp, x: xp.expand_dims(x, axis=axis), shape)
        check(lambda xp, x: xp.squeeze(xp.expand_dims(x, axis=axis), axis=axis), shape)

    def test_by_name_are_the_same_as_by_permutation(self) -> None:
        x = tg.tensor(numbers(2, 3, 4))
        assert tg.moveaxis(x, 0, -1).tolist() == tg.permute_dims(x, (1, 2, 0)).tolist()


class TestReshape:
    @pytest.mark.numpy_only("is about memory")
    def test_shares_memory_unless_a_copy_is_asked_for(self) -> None:
        x = tg.tensor(numbers(2, 3))
        assert np.shares_memory(tg.reshape(x, (6,)).data, x.data)
        assert np.shares_memory(tg.reshape(x, (6,), copy=False).data, x.data)
        assert not np.shares_memory(tg.reshape(x, (6,), copy=True).data, x.data)

    def test_passes_the_gradient_on_from_a_copy(self) -> None:
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        tg.reshape(x, (6,), copy=True)[4].backward()
        assert x.grad is not None
        assert x.grad.tolist() == [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0]]


class TestPieces:
    @given(shape=some_shapes, data=st.data())
    def test_at_positions_are_those_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(axes_of(shape))
        starts = sorted(data.draw(st.lists(st.integers(0, 5), max_size=3)))
        check(lambda xp, x: tuple(xp.split(x, starts, axis)), shape)

    @given(data=st.data(), count=st.integers(1, 4), size=st.integers(0, 3))
    def test_of_one_size_are_those_of_numpy(
        self, data: st.DataObject, count: int, size: int
    ) -> None:
        shape = data.draw(st.permutations([count * size, 2, 3])).copy()
        axis = shape.index(count * size)
        check(lambda xp, x: tuple(xp.split(x, count, axis)), tuple(shape))

    @given(shape=some_shapes, data=st.data())
    def test_put_together_again_are_the_whole(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(axes_of(shape))
        check(lambda xp, x: xp.concat(xp.split(x, [1, 2], axis), axis=axis), shape)
        if shape[axis]:
            check(lambda xp, x: xp.stack(tuple(xp.unstack(x, axis=axis)), axis=axis), shape)


class TestShifting:
    @given(shape=some_shapes, data=st.data())
    def test_and_turning_round_are_those_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(st.none() | axes_of(shape))
        shift = data.draw(st.integers(-9, 9))
        check(lambda xp, x: xp.roll(x, shift, axis=axis), shape)
        check(lambda xp, x: xp.flip(x, axis=axis), shape)

    @given(shape=some_shapes, data=st.data())
    def test_along_several_axes_is_that_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(npst.valid_tuple_axes(len(shape)))
        shift = tuple(data.draw(st.integers(-9, 9)) for _ in axis)
        check(lambda xp, x: xp.roll(x, shift, axis=axis), shape)


class TestRepeating:
    @given(shape=some_shapes, data=st.data())
    def test_all_elements_is_that_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(st.none() | axes_of(shape))
        times = data.draw(st.integers(0, 3))
        check(lambda xp, x: xp.repeat(x, times, axis=axis), shape)

    @given(shape=filled_shapes, data=st.data())
    @pytest.mark.numpy_only("NumPy's arrays as indices")
    def test_each_element_its_own_number_of_times_is_that_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(axes_of(shape))
        times = data.draw(npst.arrays(np.int64, shape[axis], elements=st.integers(0, 3)))
        check(lambda xp, x: xp.repeat(x, times, axis=axis), shape)

    @given(
        shape=some_shapes,
        counts=st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=4).map(tuple),
    )
    def test_tiles_is_that_of_numpy(
        self, shape: tuple[int, ...], counts: int | tuple[int, ...]
    ) -> None:
        check(lambda xp, x: xp.tile(x, counts), shape)


class TestPadding:
    @pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
    @given(shape=filled_shapes, data=st.data())
    def test_is_that_of_numpy(self, mode: Any, shape: tuple[int, ...], data: st.DataObject) -> None:
        pairs = st.tuples(st.integers(0, 5), st.integers(0, 5))
        widths = data.draw(
            st.integers(0, 3) | pairs | st.tuples(*[pairs] * len(shape))  # type: ignore[arg-type]
        )
        check(lambda xp, x: xp.pad(x, widths, mode=mode), shape)

    def test_with_a_constant_keeps_the_dtype(self) -> None:
        x = tg.tensor(np.ones(2, np.float32))
        padded = tg.pad(x, (0, 1), constant_values=0.1)
        assert padded.dtype == tg.float32
        assert padded.tolist() == [1.0, 1.0, np.float32(0.1)]

    def test_with_a_tensor_gives_it_the_gradient_of_all_its_copies(self) -> None:
        value = tg.tensor(0.5, requires_grad=True)
        tg.pad(tg.tensor([[1.0]]), 1, constant_values=value).sum().backward()
        assert value.grad is not None
        assert value.grad.item() == 8.0


class TestTriangles:
    @given(
        shape=npst.array_shapes(min_dims=2, max_dims=3, min_side=0, max_side=4),
        k=st.integers(-4, 4),
    )
    @pytest.mark.parametrize("name", ["tril", "triu"])
    def test_are_those_of_numpy(self, name: str, shape: tuple[int, ...], k: int) -> None:
        check(lambda xp, x: getattr(xp, name)(x, k=k), shape)

    @pytest.mark.parametrize("triangle", [tg.tril, tg.triu])
    def test_leave_no_trace_of_what_is_not_finite_beside_them(
        self, triangle: Callable[..., tg.Tensor]
    ) -> None:
        x = tg.tensor([[1.0, np.inf], [np.nan, 1.0]])
        assert tg.isfinite(triangle(triangle(x).mT)).all()


class TestGrids:
    @pytest.mark.parametrize("indexing", ["xy", "ij"])
    @given(sizes=st.lists(st.integers(0, 3), max_size=4))
    def test_are_those_of_numpy(self, indexing: Any, sizes: list[int]) -> None:
        arrays = [numbers(size, seed=i) for i, size in enumerate(sizes)]
        found = tg.meshgrid(*map(tg.tensor, arrays), indexing=indexing)
        for one, other in zip(found, np.meshgrid(*arrays, indexing=indexing), strict=True):
            np.testing.assert_array_equal(one.numpy(), other, strict=True)

    @given(shapes=npst.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3))
    def test_of_broadcast_arrays_are_those_of_numpy(self, shapes: npst.BroadcastableShapes) -> None:
        arrays = [numbers(*shape) for shape in shapes.input_shapes]
        found = tg.broadcast_arrays(*map(tg.tensor, arrays))
        for one, other in zip(found, np.broadcast_arrays(*arrays), strict=True):
            np.testing.assert_array_equal(one.numpy(), other, strict=True)


class TestTaking:
    @given(shape=filled_shapes, data=st.data())
    @pytest.mark.numpy_only("NumPy's arrays as indices")
    def test_along_an_axis_is_that_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(axes_of(shape))
        positions = st.integers(-shape[axis], shape[axis] - 1)
        indices = data.draw(npst.arrays(np.int64, some_shapes, elements=positions) | positions)
        check(lambda xp, x: xp.take(x, indices, axis=axis), shape)

    @given(shape=filled_shapes, data=st.data())
    @pytest.mark.numpy_only("NumPy's arrays as indices")
    def test_at_positions_of_their_own_is_that_of_numpy(
        self, shape: tuple[int, ...], data: st.DataObject
    ) -> None:
        axis = data.draw(axes_of(shape))
        there = [data.draw(st.sampled_from([1, n])) for n in shape]
        there[axis] = data.draw(st.integers(0, 5))
        positions = st.integers(-shape[axis], shape[axis] - 1)
        indices = data.draw(npst.arrays(np.int64, tuple(there), elements=positions))
        check(lambda xp, x: xp.take_along_axis(x, indices, axis=axis), shape)

    def test_by_lists_and_tensors_is_that_by_arrays(self) -> None:
        x = tg.tensor([1.0, 2.0, 3.0])
        assert tg.take(x, [2, 0]).tolist() == tg.take(x, tg.tensor([2, 0])).tolist() == [3.0, 1.0]

    def test_with_one_hot_rows_is_a_product(self) -> None:
        table, labels = tg.tensor(numbers(4, 3)), tg.tensor([[3, 0], [1, 1]])
        rows = tg.one_hot(labels, 4, dtype=tg.float64) @ table
        np.testing.assert_array_equal(rows.numpy(), tg.take(table, labels, axis=0).numpy())

    def test_one_hot_rows_are_of_the_default_dtype(self) -> None:
        assert tg.one_hot(tg.tensor([0]), 2).dtype == tg.get_default_dtype()
        assert tg.one_hot(tg.tensor([0]), 2, dtype=tg.bool).tolist() == [[True, False]]
        assert tg.one_hot(tg.tensor(np.zeros(0, np.uint8)), 2).shape == (0, 2)


X, V = tg.tensor(np.ones((2, 3)), name="x"), tg.tensor([1.0, 2.0, 3.0], name="v")
I = tg.tensor([0, 7], name="i")  # noqa: E741
MISTAKES: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: tg.reshape(X.T, (6,), copy=False), ShapeError, "reshape: .*without a copy"),
    (lambda: tg.moveaxis(X, 0, 2), ShapeError, "moveaxis: .*no axis 2"),
    (lambda: tg.moveaxis(X, (0, 1), 0), ShapeError, "moveaxis: expected one place for each axis"),
    (lambda: tg.moveaxis([[1.0]], 0, 1), ArgumentTypeError, "moveaxis: .*list"),
    (lambda: tg.swapaxes(X, 0, 5), ShapeError, "swapaxes: .*no axis 5"),
    (lambda: tg.swapaxes(X, (0, 1), 0), ArgumentTypeError, "swapaxes: expected one axis"),
    (lambda: tg.expand_dims(X, axis=(0, 7)), ShapeError, "expand_dims: .*no axis 7"),
    (lambda: tg.split(X, 2, axis=1), ShapeError, "split: .*divides the 3 elements.*got 2"),
    (lambda: tg.split(X, 0), ShapeError, "split: .*got 0"),
    (lambda: tg.split(X, 2, axis=2), ShapeError, "split: .*no axis 2"),
    (lambda: tg.roll(X, 1, axis=2), ShapeError, "roll: .*no axis 2"),
    (lambda: tg.roll(X, (1, 2, 3), axis=(0, 1)), ShapeError, "roll: .*one for each axis"),
    (lambda: tg.repeat(X, -1), ArgumentError, "repeat: .*repeats of 0 or more, got -1"),
    (
        lambda: tg.repeat(X, [1, 2], axis=1),
        ShapeError,
        "repeat: .*each of 3 elements, got shape (2,)",
    ),
    (lambda: tg.repeat(X, 1.5), ArgumentTypeError, "repeat: expected integers"),
    (lambda: tg.repeat(X, 2, axis=3), ShapeError, "repeat: .*no axis 3"),
    (lambda: tg.tile(X, (1, -1)), ArgumentError, "tile: .*0 or more.*(1, -1)"),
    (lambda: tg.tile(X, 1.5), ArgumentError, "tile: expected integers.*1.5"),
    (lambda: tg.pad(X, 1, mode="mirror"), ArgumentError, "pad: .*'reflect'.*got 'mirror'"),
    (lambda: tg.pad(X, (1, 2, 3)), ArgumentError, "pad: .*(before, after).*(1, 2, 3)"),
    (lambda: tg.pad(X, -1), ArgumentError, "pad: .*0 or more.*-1"),
    (lambda: tg.pad(X[:0], 1, mode="edge"), ArgumentError, "pad: axis 0 has no elements"),
    (lambda: tg.pad(I, 1, constant_values=0.5), DTypeError, "pad: int64 cannot hold 0.5"),
    (lambda: tg.tril(V), ShapeError, "tril: expected a matrix.*(3,)"),
    (lambda: tg.meshgrid(X, V), ShapeError, "meshgrid: expected vectors, got shapes (2, 3)"),
    (lambda: tg.meshgrid(V, indexing="yx"), ArgumentError, "meshgrid: .*'yx'"),
    (lambda: tg.broadcast_arrays(X, I), ShapeError, "broadcast_arrays: .*(2, 3) and (2,).*i (2,)"),
    (lambda: tg.take(X, I), ShapeError, "take: expected an axis.*axis=0"),
    (lambda: tg.take(X, I, axis=1), IndexingError, "expected -3 to 2.*axis 1, got 7"),
    (lambda: tg.take(X, V, axis=1), IndexingError, "take: expected integers as indices.*float32"),
    (lambda: tg.take(X, X > 0, axis=1), IndexingError, "take: expected integers.*bool"),
    (lambda: tg.take(X, "a", axis=1), IndexingError, "take: expected integers.*str"),
    (
        lambda: tg.take_along_axis(X, I),
        ShapeError,
        "take_along_axis: .*as many axes as x, 2, got 1",
    ),
    (
        lambda: tg.one_hot(I, 3),
        IndexingError,
        "one_hot: labels of 3 classes are 0 to 2, got 7 at [1].*i ",
    ),
    (lambda: tg.one_hot(V, 3), DTypeError, "one_hot: .*integers as labels"),
]


@pytest.mark.parametrize(("call", "kind", "says"), MISTAKES)
@pytest.mark.numpy_only("the words of NumPy's errors")
def test_mistakes_are_explained(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    parts = [re.escape(part) for part in says.split(".*")]
    with pytest.raises(kind, match="(?s)" + ".*".join(parts) + r".*test_manipulation\.py"):
        call()
