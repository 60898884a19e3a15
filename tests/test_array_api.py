"""The Array API standard, 2024.12: the namespace, its dtypes, and Tensor as its array object.

``array_api_strict`` is the standard's reference: names and signatures are compared with its.
"""

import inspect
import itertools
import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import array_api_compat
import array_api_strict as strict
import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst
from hypothesis.extra.array_api import make_strategies_namespace

import tinygrad_lab as tg

INFO = tg.__array_namespace_info__()
NAMES = list(INFO.dtypes())
INTEGERS = [name for name in NAMES if "int" in name]
FLOATS = ["float32", "float64"]
COMPLEX = ["complex64", "complex128"]

FUNCTIONS = sorted(
    [name for name in strict.__all__ if inspect.isfunction(getattr(strict, name))]
    + [f"linalg.{name}" for name in strict.linalg.__all__]
    + [f"fft.{name}" for name in strict.fft.__all__]
)
FUNCTIONS = [name for name in FUNCTIONS if "array_api_strict" not in name]
"""Every function of the standard and its extensions."""
LEFT_OUT = {"broadcast_shapes"}
"""The functions that the docs list as left out."""
HERE = [name for name in FUNCTIONS if name not in LEFT_OUT]

METHODS = ["__abs__", "__add__", "__and__", "__array_namespace__", "__bool__"]
METHODS += ["__complex__", "__dlpack__", "__dlpack_device__", "__eq__", "__float__"]
METHODS += ["__floordiv__", "__ge__", "__getitem__", "__gt__", "__index__", "__int__"]
METHODS += ["__invert__", "__le__", "__lt__", "__matmul__", "__mod__", "__mul__", "__ne__"]
METHODS += ["__neg__", "__or__", "__pos__", "__pow__", "__setitem__", "__sub__"]
METHODS += ["__truediv__", "to_device", "__radd__", "__rand__", "__rfloordiv__"]
METHODS += ["__rmatmul__", "__rmod__", "__rmul__", "__ror__", "__rpow__", "__rsub__"]
METHODS += ["__rtruediv__", "__lshift__", "__rshift__", "__xor__", "__rlshift__", "__rrshift__"]
METHODS += ["__rxor__"]


def parameters(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


class TestNamespace:
    def test_is_the_package(self) -> None:
        for x in (tg.tensor([1.0]), tg.scalar(1.0), tg.nn.Linear(1, 1).weight):
            assert x.__array_namespace__() is tg
            assert array_api_compat.array_namespace(x) is tg
            assert array_api_compat.is_array_api_obj(x)
        assert tg.__array_api_version__ == "2024.12"

    def test_comes_in_every_version_so_far(self) -> None:
        x = tg.tensor([1.0])
        for version in ("2021.12", "2022.12", "2023.12", "2024.12", None):
            assert x.__array_namespace__(api_version=version) is tg
        with pytest.raises(ValueError, match=r"up to 2024\.12, got '2099\.12'"):
            x.__array_namespace__(api_version="2099.12")

    @pytest.mark.parametrize("name", HERE)
    def test_functions_take_the_arguments_of_the_standard(self, name: str) -> None:
        ours, theirs = (parameters(operator.attrgetter(name)(xp)) for xp in (tg, strict))
        positional = [p for p in theirs.values() if p.kind is not p.KEYWORD_ONLY]
        by_position = [p for p in ours.values() if p.kind is not p.KEYWORD_ONLY]
        assert len(by_position) >= len(positional)
        for mine, wanted in zip(by_position, positional, strict=False):
            assert (mine.kind is mine.VAR_POSITIONAL) == (wanted.kind is wanted.VAR_POSITIONAL)
            if wanted.kind is wanted.POSITIONAL_OR_KEYWORD:
                assert (mine.name, mine.kind) == (wanted.name, wanted.kind)
        for wanted in theirs.values():
            if wanted.kind is wanted.KEYWORD_ONLY:
                mine = ours[wanted.name]
                assert mine.kind in (mine.KEYWORD_ONLY, mine.POSITIONAL_OR_KEYWORD)
                # The reference has a class to mark that a device may be left out.
                unset = "Undef" in type(wanted.default).__name__
                assert mine.default == (None if unset else wanted.default)
        extra = [*ours.values()][len(positional) :]
        assert all(p.default is not p.empty for p in extra if p.name not in theirs)

    def test_functions_that_are_left_out_are_named_in_the_docs(self) -> None:
        page = (Path(__file__).parents[1] / "docs" / "array_api.md").read_text()
        _, _, left_out = page.partition("## What is left out, and why")
        for name in LEFT_OUT:
            assert not hasattr(tg, name.partition(".")[0])
            assert f"`{name.partition('.')[0]}`" in left_out

    @pytest.mark.parametrize("name", METHODS)
    def test_methods_take_the_arguments_of_the_standard(self, name: str) -> None:
        ours = parameters(getattr(tg.tensor([1.0]), name))
        theirs = parameters(getattr(strict.asarray([1.0]), name))
        for wanted in theirs.values():
            if wanted.kind is wanted.KEYWORD_ONLY:
                assert ours[wanted.name].kind is wanted.kind
        assert len(ours) >= len(theirs)

    def test_constants(self) -> None:
        assert (tg.e, tg.pi, tg.inf, tg.newaxis) == (math.e, math.pi, math.inf, None)
        assert math.isnan(tg.nan)

    def test_serves_a_consumer_that_knows_the_standard_alone(self) -> None:
        xps = make_strategies_namespace(tg, api_version="2024.12")

        @given(xps.arrays(xps.numeric_dtypes(), (3,), fill=st.nothing()))
        def made_by_hypothesis(x: Any) -> None:
            assert isinstance(x, tg.Tensor)
            assert x.shape == (3,)

        made_by_hypothesis()


class TestInfo:
    def test_says_what_there_is(self) -> None:
        assert INFO.default_device() in INFO.devices()
        assert INFO.capabilities() == {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": np.zeros((1,) * 64).ndim,
        }
        assert set(NAMES) == set(strict.__array_namespace_info__().dtypes())
        for device, dtype in itertools.product(INFO.devices(), INFO.dtypes().values()):
            assert tg.empty(1, dtype=dtype, device=device).dtype == dtype

    @pytest.mark.parametrize("default", [tg.float32, tg.float64])
    def test_says_the_defaults_that_creation_follows(self, default: Any) -> None:
        tg.set_default_dtype(default)
        try:
            said = INFO.default_dtypes()
            made = {
                "real floating": [tg.zeros(1), tg.asarray(1.0), tg.asarray([0.5, 1])],
                "complex floating": [tg.asarray(1j), tg.full(1, 1j)],
                "integral": [tg.asarray(1), tg.arange(2), tg.full(1, 3)],
                "indexing": [tg.argmax(tg.zeros(2))],
            }
        finally:
            tg.set_default_dtype(tg.float32)
        assert said["real floating"] == default
        for kind, tensors in made.items():
            for x in tensors:
                assert x.dtype == said[kind]

    @pytest.mark.parametrize(
        "kind",
        [None, "bool", "integral", "numeric", "real floating", ("bool", "unsigned integer")],
    )
    def test_lists_the_dtypes_of_a_kind(self, kind: Any) -> None:
        assert set(INFO.dtypes(kind=kind)) == set(
            strict.__array_namespace_info__().dtypes(kind=kind)
        )

    def test_refuses_unknown_kinds_and_devices(self) -> None:
        with pytest.raises(ValueError, match=r"'real floating'.*'floats'"):
            INFO.dtypes(kind="floats")
        with pytest.raises(tg.errors.DeviceError):
            INFO.dtypes(device="gpu")
        with pytest.raises(tg.errors.DeviceError):
            INFO.default_dtypes(device="gpu")


class TestTypes:
    @given(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4))
    def test_result_type_is_that_of_the_standard_or_else_of_numpy(self, names: list[str]) -> None:
        dtypes = [getattr(tg, name) for name in names]
        try:
            expected = str(strict.result_type(*(getattr(strict, name) for name in names)))
        except TypeError:  # The standard leaves mixed kinds open.
            expected = str(np.result_type(*names))
        assert tg.result_type(*dtypes) == expected.removeprefix("array_api_strict.")
        assert tg.result_type(*(tg.zeros(2, dtype=d) for d in dtypes)) == tg.result_type(*dtypes)

    @pytest.mark.parametrize("name", NAMES)
    def test_of_a_python_number_of_the_same_kind_nothing_is_widened(self, name: str) -> None:
        dtype = getattr(tg, name)
        numbers = {"b": [True], "i": [2, True], "u": [2], "f": [2.0, 1], "c": [1j, 2.0, 1]}
        for number in numbers[np.dtype(name).kind]:
            assert tg.result_type(dtype, number) == dtype
            assert tg.result_type(number, tg.zeros(1, dtype=dtype)) == dtype
        if name == "float32":
            assert tg.result_type(dtype, tg.scalar(2.0)) == dtype

    def test_result_type_needs_a_dtype(self) -> None:
        for arguments in [(), (1,), (1, 2.0)]:
            with pytest.raises(ValueError, match="tensor, an array or a dtype"):
                tg.result_type(*arguments)
        assert tg.result_type(np.float64(1.0), tg.float32) == tg.float64

    @given(st.sampled_from(NAMES), st.sampled_from(NAMES))
    def test_what_the_standard_lets_be_cast_can_be_cast(self, source: str, target: str) -> None:
        one, other = getattr(tg, source), getattr(tg, target)
        allowed = tg.can_cast(one, other)
        assert tg.can_cast(tg.zeros(1, dtype=one), other) is allowed
        if strict.can_cast(getattr(strict, source), getattr(strict, target)):
            assert allowed is True
        if allowed:
            x = tg.asarray([0, 1], dtype=one)
            assert x.astype(other).astype(bool).tolist() == [False, True]

    @given(st.sampled_from(NAMES), st.data())
    def test_isdtype_is_that_of_the_standard(self, name: str, data: st.DataObject) -> None:
        kinds = ["bool", "signed integer", "unsigned integer", "integral", "real floating"]
        kinds += ["complex floating", "numeric"]
        chosen = data.draw(st.lists(st.sampled_from(kinds + NAMES), min_size=1, max_size=3))
        ours = [kind if kind in kinds else getattr(tg, kind) for kind in chosen]
        theirs = [kind if kind in kinds else getattr(strict, kind) for kind in chosen]
        expected = strict.isdtype(getattr(strict, name), tuple(theirs))
        assert tg.isdtype(getattr(tg, name), tuple(ours)) is expected
        assert tg.isdtype(tg.zeros(1, dtype=name).dtype, ours[0]) is tg.isdtype(name, (ours[0],))

    @pytest.mark.parametrize("name", FLOATS + COMPLEX)
    def test_finfo_has_numbers_of_python(self, name: str) -> None:
        for of in (getattr(tg, name), tg.zeros(1, dtype=name)):
            info, expected = tg.finfo(of), strict.finfo(getattr(strict, name))
            for attribute in ("eps", "max", "min", "smallest_normal"):
                value = getattr(info, attribute)
                assert type(value) is float
                assert value == getattr(expected, attribute)
            assert (type(info.bits), info.bits) == (int, expected.bits)
            assert info.dtype == tg.zeros(1, dtype=name).data.real.dtype

    @pytest.mark.parametrize("name", INTEGERS)
    def test_iinfo_has_numbers_of_python(self, name: str) -> None:
        for of in (getattr(tg, name), tg.zeros(1, dtype=name)):
            info, expected = tg.iinfo(of), np.iinfo(name)
            for attribute in ("bits", "max", "min"):
                assert type(getattr(info, attribute)) is int
                assert getattr(info, attribute) == getattr(expected, attribute)
            assert info.dtype == name

    @pytest.mark.parametrize(
        ("ask", "words"),
        [
            (lambda: tg.finfo(tg.int8), "finfo: expected a floating dtype, got int8"),
            (lambda: tg.iinfo(tg.float32), "iinfo: expected an integer dtype, got float32"),
            (lambda: tg.iinfo(None), "iinfo: expected a dtype"),
            (lambda: tg.can_cast(1, tg.int8), "can_cast: expected a dtype"),
            (lambda: tg.isdtype("flot", "bool"), "isdtype: expected a dtype"),
        ],
    )
    def test_questions_about_what_has_no_answer_are_errors(
        self, ask: Callable[[], Any], words: str
    ) -> None:
        with pytest.raises(tg.errors.DTypeError, match=words):
            ask()


ARITHMETIC = [operator.add, operator.sub, operator.mul]
COMPARISONS = [operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge]


class TestArrayObject:
    def test_has_the_attributes_and_methods_of_the_standard(self) -> None:
        x = tg.zeros((2, 3))
        for name in ["dtype", "device", "mT", "ndim", "shape", "size", "T", *METHODS]:
            assert hasattr(x, name), name

    @pytest.mark.parametrize("op", [*ARITHMETIC, *COMPARISONS])
    def test_operators_give_the_dtype_of_the_standard_or_else_of_numpy(
        self, op: Callable[[Any, Any], Any]
    ) -> None:
        for names in itertools.product(NAMES, repeat=2):
            if op is operator.sub and names == ("bool", "bool"):
                continue
            try:
                expected = op(*(strict.ones(2, dtype=getattr(strict, name)) for name in names))
            except TypeError:  # The standard leaves mixed kinds open.
                expected = op(*(np.ones(2, name) for name in names))
            found = op(*(tg.ones((2,), dtype=name) for name in names))
            assert found.dtype == np.asarray(expected).dtype
            assert found.tolist() == np.asarray(expected).tolist()

    def test_booleans_are_not_subtracted(self) -> None:
        x = tg.ones(2, dtype=tg.bool)
        with pytest.raises(tg.errors.DTypeError, match="subtract"):
            x - x

    @pytest.mark.parametrize("op", ARITHMETIC)
    @pytest.mark.parametrize(
        ("name", "number"),
        [(n, 2) for n in INTEGERS + FLOATS]
        + [(n, 0.5) for n in FLOATS + COMPLEX]
        + [(n, 1 + 2j) for n in COMPLEX],
    )
    def test_python_numbers_take_the_dtype_of_the_tensor(
        self, op: Callable[[Any, Any], Any], name: str, number: complex
    ) -> None:
        x, array = tg.full((2,), 3, dtype=name), np.full(2, 3, name)
        for found, expected in (
            (op(x, number), op(array, number)),
            (op(number, x), op(number, array)),
        ):
            assert found.dtype == name
            assert found.tolist() == expected.tolist()

    def test_a_complex_number_makes_a_real_tensor_complex(self) -> None:
        assert (tg.tensor([1.0, 2.0]) * 1j).tolist() == [1j, 2j]
        assert (1j + tg.tensor([1.0], dtype=tg.float64)).dtype == tg.complex128

    def test_numbers_that_a_dtype_cannot_hold_are_errors_as_in_numpy(self) -> None:
        with pytest.raises(tg.errors.TinygradLabError, match=r"300.*uint8"):
            tg.ones(2, dtype=tg.uint8) + 300

    @given(npst.arrays(st.sampled_from(NAMES), ()))
    def test_of_one_element_is_a_python_number(self, array: np.ndarray[Any, Any]) -> None:
        x, number = tg.asarray(array), array.item()
        assert repr(complex(x)) == repr(complex(number))
        assert bool(x) is bool(number)
        if array.dtype.kind != "c":
            assert repr(float(x)) == repr(float(number))
        if array.dtype.kind in "iu":
            assert int(x) == operator.index(x) == number
            assert type(operator.index(x)) is int
        elif array.dtype.kind in "fc":
            with pytest.raises(TypeError, match="cannot be an index"):
                operator.index(x)

    def test_a_complex_number_is_no_float(self) -> None:
        for convert in (float, int):
            with pytest.raises(TypeError):
                convert(tg.tensor(1j))

    def test_to_device_has_no_streams_to_offer(self) -> None:
        x = tg.tensor([1.0])
        assert x.to_device("cpu", stream=None) is x
        with pytest.raises(ValueError, match="stream"):
            x.to_device("cpu", stream=1)


IN_PLACE = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]
IN_PLACE += ["and", "or", "xor", "lshift", "rshift"]


class TestInPlaceOperators:
    @pytest.mark.parametrize("name", IN_PLACE)
    def test_make_a_new_tensor_of_the_same_dtype_and_shape(self, name: str) -> None:
        dtype = tg.float32 if name == "truediv" else tg.int32
        x, y = (
            tg.asarray(numbers, dtype=dtype) for numbers in ([[5, 6], [7, 8]], [[1, 2], [3, 1]])
        )
        before = x.tolist()
        changed = getattr(operator, f"i{name}")(x, y)
        plain = getattr(operator, {"and": "and_", "or": "or_"}.get(name, name))(x, y)
        assert changed.tolist() == plain.tolist()
        assert (changed.dtype, changed.shape) == (dtype, (2, 2))
        assert x.tolist() == before

    def test_pass_gradients_on(self) -> None:
        x = tg.tensor([3.0], requires_grad=True)
        y = x * 1
        y *= x
        y.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == [6.0]


ONE_INPUT = ["abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh"]
ONE_INPUT += ["exp", "expm1", "floor", "isfinite", "isinf", "isnan", "log", "log1p", "log2"]
ONE_INPUT += ["log10", "logical_not", "negative", "positive", "real", "reciprocal", "round"]
ONE_INPUT += ["sign", "signbit", "sin", "sinh", "square", "sqrt", "tan", "tanh", "trunc"]
TWO_INPUTS = ["add", "atan2", "copysign", "divide", "equal", "floor_divide", "greater"]
TWO_INPUTS += ["greater_equal", "hypot", "less", "less_equal", "logaddexp", "logical_and"]
TWO_INPUTS += ["logical_or", "logical_xor", "maximum", "minimum", "multiply", "nextafter"]
TWO_INPUTS += ["not_equal", "pow", "remainder", "subtract"]
SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 1.5, -2.0, 3.0, math.inf, -math.inf, math.nan]


@pytest.mark.parametrize("name", ONE_INPUT + TWO_INPUTS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_functions_of_zeros_infinities_and_nan_are_those_of_numpy(name: str, dtype: str) -> None:
    x = np.asarray(SPECIAL, dtype)
    inputs = (x,) if name in ONE_INPUT else (np.repeat(x, x.size), np.tile(x, x.size))
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*inputs)
        if name == "floor_divide":  # the standard's inf // 2 is inf, NumPy's NaN
            infinite = np.isinf(inputs[0]) & np.isfinite(inputs[1])
            expected = np.where(infinite, np.divide(*inputs), expected)
        found = getattr(tg, name)(*map(tg.asarray, inputs))
        scalars = [
            getattr(tg, name)(*map(tg.scalar, numbers)).item()
            for numbers in zip(*(one.tolist() for one in inputs), strict=True)
        ]
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
    if dtype == "float64":
        np.testing.assert_allclose(scalars, expected, rtol=1e-13)
    number = expected == expected
    signs = np.signbit(expected[number])
    np.testing.assert_array_equal(np.signbit(found.numpy()[number]), signs)
    # Of two zeros either may be the larger, and NumPy takes the root of -0.0 for its power 0.5.
    if name not in ("maximum", "minimum", "pow"):
        np.testing.assert_array_equal(np.signbit(np.asarray(scalars)[number]), signs)


class TestDLPack:
    @given(
        npst.arrays(st.sampled_from(NAMES), npst.array_shapes(max_dims=2)),
        st.sampled_from([None, True, False]),
        st.sampled_from([None, (0, 8), (1, 0), (2, 0)]),
        st.sampled_from([None, (1, 0)]),
    )
    def test_hands_out_every_dtype_in_every_version(
        self, array: np.ndarray[Any, Any], copy: Any, version: Any, device: Any
    ) -> None:
        x = tg.asarray(array)
        assert x.__dlpack_device__() == (1, 0)
        capsule = x.__dlpack__(stream=None, max_version=version, dl_device=device, copy=copy)
        assert "dltensor" in repr(capsule)
        again = tg.from_dlpack(x, copy=copy)
        np.testing.assert_array_equal(again.numpy(), array)
        assert (again.dtype, again.device) == (x.dtype, x.device)
        assert np.shares_memory(again.data, x.data) == (not copy)

    def test_takes_a_device(self) -> None:
        x = tg.tensor([1.0, 2.0])
        for copy in (None, False):
            again = tg.from_dlpack(x, device="cpu", copy=copy)
            assert np.shares_memory(again.data, x.data)

    def test_takes_strict_arrays(self) -> None:
        assert tg.from_dlpack(strict.asarray([1.0, 2.0])).tolist() == [1.0, 2.0]

    def test_takes_nothing_else(self) -> None:
        with pytest.raises(TypeError, match="__dlpack__, got list"):
            tg.from_dlpack([1.0])
