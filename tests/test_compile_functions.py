"""Every function of the compiler's table, called in many ways: replays and source give NumPy's
bits.

The table (``compiler/functions.py``) says how a replay writes a result into memory, what a view is,
how a call is written for readers. Whatever it says must not change a bit, a dtype or a shape: for
any axis (0 equals False), with and without axes, for empty arrays.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tests.op_cases import CASES, COMPOSED, Case, weights_of
from tinygrad_lab.compiler.functions import FUNCTIONS
from tinygrad_lab.errors import CompileError

Array = np.ndarray[Any, Any]
Function = Callable[[Any], Any]

SHAPES = ((), (3,), (2, 3), (2, 0), (2, 1, 2))
DTYPES = (np.float32, np.float16, np.int64, np.bool)
CALLS = 3
"""Two that are recorded, and one that is not."""
AXES: tuple[dict[str, Any], ...] = tuple(
    {**axis, **kept}
    for axis in ({}, {"axis": 0}, {"axis": 1}, {"axis": -1}, {"axis": None}, {"axis": (0, 1)})
    for kept in ({}, {"keepdims": True})
)


def numbers(shape: tuple[int, ...], dtype: Any, call: int) -> Array:
    drawn = np.random.default_rng((call, len(shape))).normal(size=shape) * 3
    return np.asarray(drawn > 0 if dtype is np.bool else drawn).astype(dtype)


def bits(result: Any) -> list[Any]:
    """Return shapes, dtypes and bits; all NaNs are equal."""
    if isinstance(result, tuple | list):
        return [one for part in result for one in bits(part)]
    array = np.array(result.data if isinstance(result, tg.Tensor) else result)
    if array.dtype.kind in "fc":
        array[np.isnan(array)] = np.nan
    return [(array.shape, array.dtype, array.tobytes())]


def same_bits(function: Function, given: list[tuple[Any, ...]]) -> bool:
    """Assert that replays and source do what a function does; False where NumPy refuses it."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            wanted = [function(*_own(one)) for one in given]
        except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
            return False
        step = tg.compile(function)
        for one, result in zip(given, wanted, strict=True):
            assert bits(step(*_own(one))) == bits(result)
        assert_source_gives(step, _own(given[-1]), wanted[-1])
    return True


def assert_source_gives(step: Any, arrays: list[Any], wanted: Any) -> None:
    """Run the written source on arrays."""
    with step._writer() as writer:
        state = [dict(writer.state())] if writer.has_state() else []
        source = writer.source()
    names: dict[str, Any] = {}
    exec(source, names)
    count = names["step"].__code__.co_argcount - len(state)
    assert bits(names["step"](*arrays[:count], *state)) == bits(wanted), source


def _own(arrays: tuple[Any, ...]) -> list[Any]:
    return [one.copy() if isinstance(one, np.ndarray) else one for one in arrays]


# --- how the functions are called ----------------------------------------------------------------


def _with_axes(name: str) -> Iterator[Function]:
    for settings in AXES:
        yield lambda x, s=settings: (getattr(np, name)(x, **s), getattr(x * x, name)(**s))
    yield lambda x: getattr(np, name)(x + x, axis=0) * 2


def _of_one(ufunc: Any) -> Iterator[Function]:
    yield ufunc
    yield lambda x: ufunc(x + x)
    yield lambda x: ufunc(x.sum()[None])


def _of_two(ufunc: Any) -> Iterator[Function]:
    yield lambda x: ufunc(x, x + x)
    yield lambda x: ufunc(x + x, 2)
    yield lambda x: ufunc(2, x)
    yield lambda x: ufunc(x, 0.5)
    yield lambda x: ufunc(x, x.sum())
    yield lambda x: ufunc(np.float32(-1.5), x)
    if ufunc.nout == 1:
        yield lambda x: ufunc(ufunc(x, x + 1), ufunc(x + 1, x))


def _written(write: Callable[[Any], Any]) -> Function:
    def step(x: Any) -> Any:
        target = x + x
        seen = target[:1] if target.ndim else target
        write(target)
        return target, seen * 1, target * 2

    return step


def _into(x: Any, *, place: Any) -> None:
    x[place] = x.sum()


def _made(x: Any, name: str, *arguments: Any) -> Any:
    made = getattr(np, name)(x, *arguments)
    made[...] = x
    return made + x


ONE_BY_ONE: dict[str, tuple[Function, ...]] = {
    "where": (
        lambda x: np.where(x > 0, x, 0),
        lambda x: np.where(x > 0, 1.0, 0.0),
        lambda x: np.where(x > 0, np.float32(1), np.float32(0)),
        lambda x: np.where((x > 0)[..., None], np.ones(2, np.float32), np.zeros(2, np.float32)),
        lambda x: np.where(x > 0, x * x, np.ones_like(x)),
    ),
    "clip": (lambda x: x.clip(0, 1), lambda x: np.clip(x * x, 1, None), lambda x: x.clip(min=0)),
    "conj": (lambda x: x.conj(),),
    "round": (lambda x: x.round(1), lambda x: np.round(x * x)),
    "choose": (lambda x: (x > 0).astype(np.int64).choose([x, -x]),),
    "cumprod": tuple(_with_axes("cumprod")),
    "cumsum": tuple(_with_axes("cumsum")),
    "argsort": (lambda x: x.argsort(axis=0), lambda x: np.argsort(x * x, axis=-1)),
    "argpartition": (lambda x: x.argpartition(0, axis=0),),
    "trace": (lambda x: x.trace(), lambda x: np.trace(x * x)),
    "searchsorted": (lambda x: np.arange(3.0).searchsorted(1.0) * x, lambda x: x.searchsorted(1.0)),
    "sort": (lambda x: np.sort(x, axis=0), _written(lambda x: x.sort(axis=0))),
    "partition": (lambda x: np.partition(x, 0, axis=0), _written(lambda x: x.partition(0, axis=0))),
    "reshape": (
        lambda x: x.reshape(-1),
        lambda x: x.reshape(*x.shape, 1),
        lambda x: (x * x).T.reshape(x.shape),
        lambda x: np.reshape(x, (-1, 1)),
        lambda x: (x * x).reshape(-1, order="F"),
        lambda x: x.sum().reshape(()) + x.sum().reshape(1),
        lambda x: x[...].reshape(x.shape),
    ),
    "ravel": (lambda x: x.ravel(), lambda x: np.ravel((x * x).T)),
    "flatten": (lambda x: x.flatten(), lambda x: (x * x).T.flatten("F")),
    "transpose": (
        lambda x: x.transpose(),
        lambda x: np.transpose(x * x) + 1,
        lambda x: x.transpose(*reversed(range(x.ndim))),
        lambda x: x.sum().transpose(),
    ),
    "squeeze": (
        lambda x: np.squeeze(x, axis=1),
        lambda x: (x * x)[None].squeeze(0),
        lambda x: x.sum()[None, None].squeeze(axis=(0, 1)),
    ),
    "swapaxes": (lambda x: x.swapaxes(0, -1), lambda x: np.swapaxes(x * x, 0, 1)),
    "view": (lambda x: x.view(np.uint8), lambda x: x.sum().view(x.sum().dtype)),
    "diagonal": (lambda x: x.diagonal(), lambda x: np.diagonal(x * x) + 1),
    "astype": (
        *(lambda x, dtype=dtype: (x * x).astype(dtype) for dtype in DTYPES),
        lambda x: x.astype(x.dtype, copy=False) * 2,
        lambda x: np.astype(x, np.float64),
        lambda x: x.sum().astype(np.float16),
    ),
    "copy": (lambda x: x.copy(), lambda x: np.copy(x * x), lambda x: (x * x).T.copy(order="K")),
    "concatenate": (
        lambda x: np.concatenate([x, x + x]),
        lambda x: np.concat([x, x + x], axis=1),
        lambda x: np.concatenate([x, x + x], axis=None),
        lambda x: np.concatenate([x, x], dtype=np.float64, axis=-1),
        lambda x: np.concat([x, (x + x).astype(np.float64)]),
        lambda x: np.stack([x.sum(), x.sum() * 2]),
        lambda x: np.concatenate([(x.sum() * 2)[None], (x.sum() * 3)[None]]),
    ),
    "getitem": (
        *(
            lambda x, key=key: x[key]
            for key in (0, -1, ..., (), None, [0], [0, -1], (slice(None), 0), (..., 0), True)
        ),
        *(
            lambda x, key=key: (x * x)[key] * 2
            for key in (
                slice(None, None, -1),
                slice(1, None),
                (slice(0, 1), None),
                np.array([0, 0]),
            )
        ),
        lambda x: x[0:2][0],
        lambda x: x.sum()[None][0],
    ),
    "take": (lambda x: x.take([0], axis=0), lambda x: np.take(x * x, [0, 0])),
    "repeat": (lambda x: x.repeat(2, axis=0), lambda x: np.repeat(x.sum(), 2)),
    "dot": (lambda x: np.dot(x, x.T), lambda x: (x * x).dot(x.T)),
    "matmul": (lambda x: x @ x.T, lambda x: (x * x).T @ x, lambda x: np.matmul(x.T, x) + 1),
    "fill": (_written(lambda x: x.fill(2)), _written(lambda x: x.sum().fill(2))),
    "put": (
        _written(lambda x: x.put([0], 9)),
        _written(lambda x: np.put(x, [0], 9)),
    ),
    "at": (_written(lambda x: np.add.at(x, [0, 0], 1)),),
    "copyto": (_written(lambda x: np.copyto(x, x[::-1])), _written(lambda x: np.copyto(x, 3))),
    "place": (_written(lambda x: np.place(x, x > 0, [1])),),
    "putmask": (_written(lambda x: np.putmask(x, x > 0, x + 1)),),
    "put_along_axis": (
        _written(lambda x: np.put_along_axis(x, x[:1].astype(np.int64) * 0, 5, axis=0)),
    ),
    "fill_diagonal": (_written(lambda x: np.fill_diagonal(x, 5)),),
    "setitem": (
        *(_written(lambda x, place=place: _into(x, place=place)) for place in (0, ..., [0], ())),
        _written(lambda x: x.__setitem__(slice(1, None), x[:1])),
    ),
    "empty_like": (lambda x: _made(x, "empty_like"), lambda x: _made(x.T, "empty_like").T),
    "zeros_like": (lambda x: np.zeros_like(x * 2), lambda x: _made(x, "zeros_like")),
    "ones_like": (lambda x: np.ones_like(x * 2), lambda x: np.ones_like(x.T) * x.T),
    "full_like": (
        lambda x: np.full_like(x * 2, 3),
        lambda x: np.full_like(x, 3, dtype=np.float64) * x,
        lambda x: np.full_like(x, 3, shape=(2,)),
    ),
}

MADE_BY_THE_ENGINE: dict[str, tuple[Callable[[tg.Tensor], Any], ...]] = {
    "array": (lambda x: tg.tensor(x) * 2, lambda x: tg.asarray(x, dtype=tg.float64)),
    "ascontiguousarray": (lambda x: tg.conv1d(x[None, None], tg.ones((2, 1, 2)), padding=1),),
    "as_strided": (lambda x: tg.conv1d(x[None, None], tg.ones((1, 1, 2))),),
    "relu": (tg.relu, tg.grad(lambda x: (tg.relu(x) * x).sum())),
    "where_positive": (tg.grad(lambda x: tg.relu(x).sum()),),
    "where_mask": (tg.grad(lambda x: tg.relu(x * 2).sum()),),
    "pick": (lambda x: tg.cross_entropy(x[None], tg.tensor([1])),),
    "empty": (tg.grad(lambda x: (tg.pad(x, 1) ** 2).sum()),),
    "zeros": (tg.grad(lambda x: x[1]), lambda x: tg.zeros(3) + x),
    "ones": (lambda x: tg.ones(3) + x, lambda x: tg.ones((2, 3)) * x),
    "full": (lambda x: tg.full(3, 2.5) + x,),
    "arange": (lambda x: tg.arange(3) + x,),
    "eye": (lambda x: tg.eye(3) @ x,),
    "identity": (lambda x: tg.eye(3) + x,),
    "linspace": (lambda x: tg.linspace(0, 1, 3) * x,),
    "tri": (lambda x: tg.tril(tg.ones((3, 3))) @ x,),
}
"""Functions that users of NumPy arrays cannot call on them, as the ops call them."""


def _ufunc(name: str) -> Any:
    found = getattr(np, name, None)
    return found if isinstance(found, np.ufunc) else None


def calls_of(name: str) -> tuple[Function, ...]:
    """Return ways to call a function of NumPy on an array."""
    ufunc = _ufunc(name)
    if name in ONE_BY_ONE:
        return ONE_BY_ONE[name]
    if FUNCTIONS[name].shape == "reduced":
        return tuple(_with_axes(name))
    if ufunc is not None:
        return tuple((_of_one if ufunc.nin == 1 else _of_two)(ufunc))
    return ()


NUMBERS = {
    *("sub", "mul", "truediv", "floordiv", "mod", "neg", "pos", "gt", "ge", "lt", "le", "eq", "ne"),
}
"""Operators of Python numbers; those of arrays are ufuncs."""
ROWS = sorted(
    name for name, row in FUNCTIONS.items() if not row.tells and name not in NUMBERS | {"concat"}
)


@pytest.mark.parametrize(
    "name", [name for name in [*ROWS, "setitem"] if name not in MADE_BY_THE_ENGINE]
)
def test_functions_of_numpy(name: str) -> None:
    functions = calls_of(name) if name != "setitem" else ONE_BY_ONE[name]
    compared = 0
    few = FUNCTIONS[name].shape == "reduced" if name in FUNCTIONS else False
    for function in functions:
        for shape in SHAPES:
            for dtype in DTYPES[::2] if few else DTYPES:
                given = [(numbers(shape, dtype, call),) for call in range(CALLS)]
                compared += same_bits(function, given)
    assert compared, f"a test of {name} is missing: add calls of it to ONE_BY_ONE"


@pytest.mark.parametrize("name", MADE_BY_THE_ENGINE)
def test_functions_that_ops_call(name: str) -> None:
    assert name in FUNCTIONS
    for function in MADE_BY_THE_ENGINE[name]:
        for dtype in (np.float32, np.float64):
            given = [
                (tg.tensor(numbers((3,), dtype, call), dtype=np.dtype(dtype)),)
                for call in range(CALLS)
            ]
            assert_same_bits_of_tensors(function, given)


def assert_same_bits_of_tensors(function: Function, given: list[tuple[Any, ...]]) -> None:
    """Compare a function of tensors; its source is one of arrays."""
    wanted = [function(*one) for one in given]
    step = tg.compile(function)
    for one, result in zip(given, wanted, strict=True):
        assert bits(step(*one)) == bits(result)
    assert_source_gives(step, [x.data for x in given[-1]], wanted[-1])


UFUNCS = sorted({ufunc.__name__ for ufunc in vars(np).values() if isinstance(ufunc, np.ufunc)})


@pytest.mark.parametrize("name", [name for name in UFUNCS if name not in FUNCTIONS])
def test_ufuncs_without_a_row(name: str) -> None:
    ufunc = getattr(np, name)
    for function in _of_one(ufunc) if ufunc.nin == 1 else _of_two(ufunc):
        for shape in ((), (2, 3)):
            for dtype in (np.float32, np.int64):
                same_bits(function, [(numbers(shape, dtype, call),) for call in range(CALLS)])


VIEWS: tuple[Function, ...] = (
    *(lambda x, name=name: getattr(np, name)(x) for name in ("flip", "flipud", "atleast_2d")),
    *(lambda x, name=name: getattr(np, name)(x) for name in ("rot90", "matrix_transpose", "diag")),
    lambda x: np.expand_dims(x, 0),
    lambda x: np.expand_dims(x, (0, -1)),
    lambda x: np.broadcast_to(x, (2, *x.shape)),
    lambda x: np.moveaxis(x, 0, -1),
    lambda x: np.unstack(x),
    lambda x: np.unstack(x, axis=1)[-1],
    lambda x: np.array_split(x, 2)[0],
    lambda x: np.broadcast_arrays(x, x.sum())[1],
    lambda x: np.meshgrid(x, x, sparse=True)[0],
    lambda x: np.real(x),
    lambda x: x.real + x.imag,
    lambda x: np.permute_dims(x, tuple(reversed(range(x.ndim)))),
)


@pytest.mark.parametrize("number", range(len(VIEWS)))
def test_views_keep_their_numbers(number: int) -> None:
    view = VIEWS[number]
    uses: tuple[Function, ...] = (
        view,
        lambda x: view(x * x),
        lambda x: (view(x * x), x.sum() * 2, view(x + 1)),
        lambda x: (view(x.sum() * 2), view(x.sum() * 3), x.sum() * 4),
    )
    for use in uses:
        for shape in SHAPES:
            same_bits(use, [(numbers(shape, np.float32, call),) for call in range(CALLS)])


WITHOUT_REPLAY = ("mask", "unique_values", "transfer", "repeat each", "dropout")
"""Cases whose shapes depend on numbers, that move data, or that make a generator each time."""


@pytest.mark.parametrize("case", [*CASES, *COMPOSED], ids=str)
def test_every_op_and_its_gradient(case: Case) -> None:
    if any(part in case.name for part in WITHOUT_REPLAY):
        pytest.skip("shapes that depend on numbers, devices or new generators are not replayed")

    def total(*xs: tg.Tensor) -> Any:
        outs = case.function(*xs)
        parts = outs if isinstance(outs, tuple | list) else (outs,)
        weighted = [
            (part * tg.tensor(weights_of(part.shape), dtype=part.dtype)).sum()
            for part in parts
            if part.dtype.kind == "f"
        ]
        return sum(weighted, start=tg.tensor(0.0))

    every = tuple(range(len(case.arrays)))
    for function in (case.function, tg.grad(total, argnums=every)):
        given = [
            tuple([tg.tensor((a * (1 + 0.01 * n)).astype(np.float32)) for a in case.arrays])
            for n in range(CALLS)
        ]
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            assert_same_bits_of_tensors(function, given)


@pytest.mark.parametrize(
    "name", sorted(n for n, row in FUNCTIONS.items() if row.tells == "numbers")
)
def test_functions_whose_shape_depends_on_numbers_are_refused(name: str) -> None:
    function = getattr(np, name)
    arguments: dict[str, Function] = {
        "extract": lambda x: function(x > 0, x),
        "compress": lambda x: function([True], x),
    }
    of_two = {"array_equal", "allclose", "array_equiv", "union1d", "intersect1d", "setdiff1d"}
    call = arguments.get(name) or (
        (lambda x: function(x, x)) if name in of_two | {"setxor1d"} else function
    )
    with pytest.raises(CompileError, match="asks for np"):
        tg.compile(call)(np.arange(3))


@pytest.mark.parametrize(
    "name", sorted(n for n, row in FUNCTIONS.items() if row.tells == "metadata")
)
def test_questions_about_arrays_are_answered(name: str) -> None:
    function = getattr(np, name)
    arguments: dict[str, Function] = {
        "can_cast": lambda x: function(x.dtype, np.float64),
        "may_share_memory": lambda x: function(x, x[1:]),
        "shares_memory": lambda x: function(x, x[1:]),
    }
    asked = arguments.get(name, function)
    array = np.arange(3.0)
    answers: list[Any] = []

    def step(x: Any) -> Any:
        answers.append(asked(x))
        return x * 2

    tg.compile(step)(array)
    assert answers == [asked(array)]
