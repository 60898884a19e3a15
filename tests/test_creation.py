"""Creation functions: what they make, of which dtype, where, and from whose memory."""

import array
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64", "complex64", "complex128"]
DTYPES = ["bool", *INTEGERS, *FLOATS]
shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


def same(found: tg.Tensor, expected: Any) -> None:
    assert isinstance(found, tg.Tensor)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    np.testing.assert_array_equal(found.numpy(), expected)


class TestOfAShape:
    @given(shapes, st.sampled_from(DTYPES))
    def test_makes_what_numpy_makes(self, shape: tuple[int, ...], dtype: str) -> None:
        same(tg.zeros(shape, dtype=dtype), np.zeros(shape, dtype))
        same(tg.ones(shape, dtype=getattr(tg, dtype)), np.ones(shape, dtype))
        same(tg.full(shape, True, dtype=dtype), np.full(shape, True, dtype))
        empty = tg.empty(shape, dtype=dtype)
        assert (empty.shape, empty.dtype) == (shape, dtype)

    @pytest.mark.parametrize("make", [tg.zeros, tg.ones, tg.empty])
    def test_is_of_the_default_dtype_and_takes_one_size(self, make: Callable[..., Any]) -> None:
        x = make(3)
        assert (x.shape, x.dtype, x.device) == ((3,), np.float32, "cpu")
        assert make([2, np.int64(1)]).shape == (2, 1)

    @pytest.mark.parametrize(
        ("value", "dtype"),
        [
            (True, np.bool_),
            (3, np.int64),
            (2.5, np.float32),
            (1j, np.complex64),
            (np.float64(2.5), np.float64),
            (np.int8(3), np.int8),
            (np.array(3, np.uint8), np.uint8),
            (tg.tensor(2.5), np.float32),
        ],
    )
    def test_full_is_of_the_dtype_of_its_number(self, value: Any, dtype: Any) -> None:
        x = tg.full((2, 2), value)
        assert x.dtype == dtype
        assert x.tolist() == [[value, value]] * 2

    def test_the_default_dtype_holds_for_complex_numbers_too(self) -> None:
        tg.set_default_dtype(tg.float64)
        try:
            made = [tg.zeros(1), tg.full(1, 0.5), tg.linspace(0, 1, 2), tg.arange(0.5), tg.eye(1)]
            assert {str(x.dtype) for x in made} == {"float64"}
            assert tg.full(1, 1j).dtype == tg.tensor([1j, 0.5]).dtype == np.complex128
        finally:
            tg.set_default_dtype(tg.float32)

    @given(st.integers(0, 5), st.none() | st.integers(0, 5), st.integers(-6, 6))
    def test_eye_has_its_ones_on_a_diagonal(self, rows: int, columns: int | None, k: int) -> None:
        for dtype in ("float32", "int8", "complex64", "bool"):
            same(tg.eye(rows, columns, k=k, dtype=dtype), np.eye(rows, columns, k, dtype))

    @pytest.mark.parametrize(
        "make",
        [
            tg.zeros,
            tg.ones,
            tg.empty,
            lambda shape, **how: tg.full(shape, 2.0, **how),
            lambda shape, **how: tg.zeros_like(tg.tensor([0.0]), **how),
            lambda shape, **how: tg.full_like(tg.tensor([0.0]), 1, **how),
            lambda shape, **how: tg.linspace(0, 1, 2, **how),
            lambda shape, **how: tg.arange(0.0, 1.0, 0.5, **how),
            lambda shape, **how: tg.arange(2, dtype="float32", **how),
            lambda shape, **how: tg.eye(2, **how),
        ],
    )
    def test_may_want_a_gradient_and_have_a_name(self, make: Callable[..., Any]) -> None:
        x = make((2,), requires_grad=True, name="w")
        (x * 3.0).sum().backward()
        assert (x.is_leaf, x.name) == (True, "w")
        assert x.grad.tolist() == tg.full_like(x.detach(), 3.0).tolist()

    def test_of_integers_wants_no_gradient(self) -> None:
        with pytest.raises(tg.errors.DTypeError, match=r"int64.*astype"):
            tg.full(2, 1, requires_grad=True)
        assert tg.zeros(2, dtype=tg.complex64, requires_grad=True).requires_grad

    @pytest.mark.parametrize(
        ("make", "error", "words"),
        [
            (lambda: tg.zeros((2, -1)), tg.errors.ShapeError, r"zeros.*0 or more.*\(2, -1\)"),
            (lambda: tg.ones(2.5), tg.errors.ArgumentTypeError, r"ones.*integer.*2\.5"),
            (lambda: tg.zeros(2, dtype="flot"), tg.errors.DTypeError, "zeros.*'flot'"),
            (lambda: tg.zeros(10**15), tg.errors.ArgumentError, "10+"),
            (lambda: tg.full(2, [1, 2]), tg.errors.ArgumentTypeError, "full.*number"),
            (lambda: tg.full(2, 300, dtype="uint8"), tg.errors.ArgumentError, "300.*uint8"),
            (lambda: tg.full(1, tg.scalar(1.0)), tg.errors.GradientError, "detach"),
            (lambda: tg.arange(0, 1, 0), tg.errors.ArgumentError, "step other than 0"),
            (lambda: tg.arange("3"), tg.errors.ArgumentTypeError, "arange.*number.*'3'"),
            (lambda: tg.linspace(0, 1, -1), tg.errors.ShapeError, "linspace.*0 or more"),
            (lambda: tg.zeros(1, device="gpu"), tg.errors.DeviceError, "'cuda'.*'gpu'"),
        ],
    )
    def test_says_what_it_expected(
        self, make: Callable[[], Any], error: type[Exception], words: str
    ) -> None:
        with pytest.raises(error, match=words):
            make()


class TestRanges:
    @given(st.integers(-50, 50), st.integers(-50, 50), st.integers(-9, 9).filter(bool))
    def test_of_integers_are_those_of_python(self, start: int, stop: int, step: int) -> None:
        x = tg.arange(start, stop, step)
        assert x.dtype == np.int64
        assert x.tolist() == list(range(start, stop, step))
        assert tg.arange(start, stop, step, dtype="float32").tolist() == x.tolist()
        assert tg.arange(stop).tolist() == list(range(stop))

    def test_of_integers_are_exact_to_the_last_bit_of_their_dtype(self) -> None:
        top = 2**64 - 1
        assert tg.arange(top - 2, top, dtype=tg.uint64).tolist() == [top - 2, top - 1]
        assert tg.arange(-(2**63), -(2**63) + 2).tolist() == [-(2**63), -(2**63) + 1]

    def test_of_floats_round_once(self) -> None:
        # Added up in float32, ten thousand steps of 0.1 would be off by more than one rounding.
        x = tg.arange(0.0, 1000.0, 0.1)
        assert (x.dtype, x.shape) == (np.float32, (10_000,))
        np.testing.assert_array_equal(x.numpy(), (np.arange(10_000) * 0.1).astype("float32"))

    @given(st.floats(-100, 100), st.floats(-100, 100), st.integers(0, 20), st.booleans())
    def test_linspace_has_as_many_as_asked_for(
        self, start: float, stop: float, num: int, endpoint: bool
    ) -> None:
        x = tg.linspace(start, stop, num, endpoint=endpoint, dtype=tg.float64)
        same(x, np.linspace(start, stop, num, endpoint=endpoint))
        assert tg.linspace(start, stop, num).dtype == np.float32
        if not endpoint:
            longer = tg.linspace(start, stop, num + 1, dtype=tg.float64)
            np.testing.assert_array_equal(x.numpy(), longer.numpy()[:-1])

    def test_linspace_of_complex_numbers_is_complex(self) -> None:
        x = tg.linspace(0, 2 + 2j, 3)
        assert (x.dtype, x.tolist()) == (np.complex64, [0, 1 + 1j, 2 + 2j])


class TestLikeAnother:
    @given(shapes, st.sampled_from(DTYPES), st.none() | st.sampled_from(DTYPES))
    def test_has_its_shape_and_its_dtype_or_another(
        self, shape: tuple[int, ...], dtype: str, other: str | None
    ) -> None:
        x = tg.asarray(np.ones(shape, dtype))
        wanted = other or dtype
        same(tg.zeros_like(x, dtype=other), np.zeros(shape, wanted))
        same(tg.ones_like(x, dtype=other), np.ones(shape, wanted))
        same(tg.full_like(x, True, dtype=other), np.ones(shape, wanted))
        assert tg.empty_like(x, dtype=other).dtype == wanted

    def test_of_a_python_number_is_one(self) -> None:
        x = tg.scalar(3.0)
        made = [tg.zeros_like(x), tg.ones_like(x), tg.full_like(x, 2), tg.empty_like(x)]
        assert [type(y.data) for y in made] == [float] * 4
        assert [y.item() for y in made[:3]] == [0.0, 1.0, 2.0]

    def test_takes_arrays_and_carries_no_history(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        assert not tg.zeros_like(x * 2).requires_grad
        assert not tg.full_like(x * 2, 1).requires_grad
        assert tg.full_like(np.ones(2, np.int8), 3).tolist() == [3, 3]


class TestAsarray:
    def test_hands_on_a_tensor_that_needs_no_conversion(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        for y in (x, x * 2, tg.scalar(1.0)):
            assert tg.asarray(y) is y
            assert tg.asarray(y, copy=False, device="cpu") is y
        assert tg.asarray(x, dtype=tg.float32) is x

    def test_of_a_tensor_passes_on_its_gradient(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        for dtype, copy in itertools.product((None, tg.float64), (None, True)):
            x.grad = None
            y = tg.asarray(x * 1, dtype=dtype, copy=copy)
            (y * y).sum().backward()
            assert x.grad is not None
            assert x.grad.tolist() == [2.0, 4.0]
            assert x.grad.dtype == np.float32

    @given(npst.arrays(st.sampled_from(DTYPES), shapes))
    def test_shares_the_memory_of_arrays(self, source: np.ndarray[Any, Any]) -> None:
        for copy in (None, False):
            x = tg.asarray(source, copy=copy)
            assert np.shares_memory(x.data, source) or source.size == 0
            same(x, source)
        if source.size:
            assert not np.shares_memory(tg.asarray(source, copy=True).data, source)
            assert not np.shares_memory(tg.tensor(source).data, source)

    def test_copies_where_it_is_told_to(self) -> None:
        x = tg.tensor([1.0, 2.0])
        assert not np.shares_memory(tg.asarray(x, copy=True).data, x.data)
        assert not np.shares_memory(tg.astype(x, tg.float32).data, x.data)
        assert tg.astype(x, tg.float32, copy=False) is x

    def test_takes_what_offers_its_memory_and_keeps_its_dtype(self) -> None:
        memory = array.array("d", [1.0, 2.0])
        for source in (memory, memoryview(memory)):
            x = tg.asarray(source, copy=False)
            assert x.dtype == np.float64
            memory[0] += 1.0
            assert x.tolist() == memory.tolist()
        assert tg.tensor(bytearray(b"\x01\x02")).dtype == np.uint8

    @pytest.mark.parametrize(
        ("data", "dtype"),
        [([True, 1], "int64"), ([True, 0.5], "float32"), ([1, 1j], "complex64"), ([], "float32")],
    )
    def test_of_mixed_numbers_is_of_the_widest_kind(self, data: Any, dtype: str) -> None:
        assert tg.asarray(data).dtype == tg.tensor(data).dtype == dtype

    def test_of_lists_with_tensors_in_them(self) -> None:
        rows = [tg.tensor([1.0, 2.0]), [tg.tensor(3.0), 4]]
        for dtype in (None, tg.float64):
            assert tg.asarray(rows, dtype=dtype).tolist() == [[1.0, 2.0], [3.0, 4.0]]

    def test_turns_bytes_the_way_of_this_machine(self) -> None:
        x = tg.tensor(np.arange(3, dtype=">f4"))
        assert x.dtype == np.float32
        assert x.dtype.isnative
        assert x.tolist() == [0.0, 1.0, 2.0]

    @pytest.mark.parametrize(
        "make",
        [
            lambda: tg.asarray([1.0], copy=False),
            lambda: tg.asarray(1.0, copy=False),
            lambda: tg.asarray(np.ones(2), dtype=tg.float32, copy=False),
            lambda: tg.asarray(tg.tensor([1.0]), dtype=tg.int32, copy=False),
        ],
    )
    def test_without_a_copy_refuses_where_one_is_needed(self, make: Callable[[], Any]) -> None:
        with pytest.raises(ValueError, match="copy") as caught:
            make()
        assert isinstance(caught.value, tg.errors.ArgumentError)

    @pytest.mark.parametrize(
        ("data", "dtype", "error"),
        [
            ([300], "uint8", tg.errors.ArgumentError),
            ([[1], [1, 2]], "float32", tg.errors.ArgumentError),
            ([2**64], None, tg.errors.DTypeError),
            (["a"], None, tg.errors.DTypeError),
            (np.array(["a"]), None, tg.errors.DTypeError),
            ([1j], "float32", tg.errors.ArgumentError),
        ],
    )
    def test_refuses_what_makes_no_numbers(
        self, data: Any, dtype: str | None, error: type[Exception]
    ) -> None:
        for make in (tg.asarray, tg.tensor):
            with pytest.raises(error, match=r"asarray|tensor"):
                make(data, dtype=dtype)


class TestConverting:
    @given(npst.arrays(st.sampled_from(["bool", "int8", "uint8"]), shapes), st.sampled_from(DTYPES))
    def test_is_that_of_numpy(self, source: np.ndarray[Any, Any], dtype: str) -> None:
        same(tg.astype(tg.asarray(source), getattr(tg, dtype)), source.astype(dtype))
        same(tg.asarray(source).astype(dtype), source.astype(dtype))

    def test_makes_no_real_number_of_a_complex_one(self) -> None:
        x = tg.tensor([1j], name="z")
        for dtype in (tg.float32, tg.int8):
            for convert in (lambda dtype=dtype: tg.astype(x, dtype), lambda d=dtype: x.astype(d)):
                with pytest.raises(tg.errors.DTypeError, match=r"complex64[^$]*tg\.real[^$]*z"):
                    convert()
        assert tg.astype(x, tg.bool).tolist() == [True]
        assert tg.astype(x, tg.complex128).dtype == np.complex128

    @pytest.mark.parametrize("dtype", [None, "flot", 3])
    def test_takes_dtypes_alone(self, dtype: Any) -> None:
        with pytest.raises(tg.errors.DTypeError, match="expected a dtype"):
            tg.tensor([1.0]).astype(dtype)

    @pytest.mark.parametrize("dtype", ["float16", "int8", tg.float64, np.dtype("bool")])
    def test_to_takes_every_dtype_by_name(self, dtype: Any) -> None:
        assert tg.tensor([1.0]).to(dtype).dtype == dtype
