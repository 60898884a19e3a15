"""Data that are no numbers, contain themselves or are nested too deep: one of our errors."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, TinygradLabError
from tinygrad_lab.nn import Linear


def _set_data(value: Any) -> None:
    tg.ones(2).data = value


def _set_grad(value: Any) -> None:
    tg.ones(2).requires_grad_().grad = value


def _load(value: Any) -> None:
    Linear(2, 1, bias=False).load_state_dict({"weight": value})


def _run_compiled(value: Any) -> None:
    step = tg.compile(lambda x: tg.ones(2).sum())
    for _ in range(3):
        step(value)


def _go_back_with(value: Any) -> None:
    (tg.ones(2).requires_grad_() * 1).backward(gradient=value)


TAKING_DATA: dict[str, Callable[[Any], object]] = {
    "tensor": tg.tensor,
    "tensor, with a dtype": lambda data: tg.tensor(data, dtype=tg.float32),
    "asarray": tg.asarray,
    "scalar": tg.scalar,
    ".data": _set_data,
    ".grad": _set_grad,
    "backward": _go_back_with,
    "load_state_dict": _load,
    "add": lambda data: tg.ones(2) + data,
    "sum": tg.sum,
}
every_taker = pytest.mark.parametrize("take", TAKING_DATA.values(), ids=TAKING_DATA)

RECORDS = np.array([(1.0, 2), (3.0, 4)], dtype=[("a", "f4"), ("b", "i4")])

ARRAYS: dict[str, tuple[Any, str]] = {
    "records": (RECORDS, r"fields 'a', 'b': array\['a'\]"),
    "recarray": (RECORDS.view(np.recarray), r"fields 'a', 'b': array\['a'\]"),
    "one record": (RECORDS[0], r"array\['a'\]"),
    "0-d records": (np.array(RECORDS[0]), r"array\['a'\]"),
    "void": (np.void(b"ab"), "bytes without a type"),
    "voids": (np.zeros(2, "V4"), "bytes without a type"),
    "text": (np.array(["a", "b"]), r"got text.*astype\(float\)"),
    "0-d text": (np.array("1.5"), r"got text.*astype\(float\)"),
    "bytes": (np.array([b"a", b"b"]), "got text"),
    "dates": (np.array(["2020-01-01", "2020-01-02"], dtype="M8[D]"), "dates or times"),
    "a date": (np.datetime64("2020-01-01"), "dates or times"),
    "times": (np.array([1, 2], dtype="m8[s]"), "dates or times"),
    "objects": (np.array([1.0, None], dtype=object), "missing number"),
    "0-d object": (np.array(None, dtype=object), "missing number"),
    "ragged objects": (np.array([[1], [1, 2]], dtype=object), "holds a list"),
    "masked": (np.ma.array([1.0, 2.0], mask=[True, False]), r"array\.filled"),
}

OTHERS: dict[str, tuple[Any, str]] = {
    "None": (None, r"float\('nan'\) stands for"),
    "str": ("abc", "got text"),
    "number in a str": ("1.5", "got text"),
    "bytes": (b"ab", "got text"),
    "generator": ((x for x in range(2)), r"got generator.*list\(x\) first"),
    "map": (map(float, [1, 2]), r"list\(x\) first"),
    "iterator": (iter([1.0, 2.0]), r"list\(x\) first"),
    "set": ({1.0, 2.0}, r"got set.*list\(x\) first"),
    "frozenset": (frozenset({1.0}), r"list\(x\) first"),
    "dict": ({"a": 1.0}, r"list\(x\.values\(\)\)"),
    "values": ({"a": 1.0, "b": 2.0}.values(), r"list\(x\) first"),
    "list with None": ([1.0, None], r"float\('nan'\) stands for"),
    "list of str": (["1", "2"], "got text"),
    "list of dicts": ([{"a": 1}], "got list"),
    "list of dates": ([datetime.datetime(2020, 1, 1)], "holds a datetime"),
    "list of a masked array": ([np.ma.array([1.0], mask=[True])], r"array\.filled"),
    "object": (object(), "got object"),
    "function": (len, "got builtin_function"),
    "class": (int, "got type"),
    "module": (np, "got module"),
    "ragged": ([[1.0], [1.0, 2.0]], "ragged|rectangular"),
    "number and row": ([1.0, [2.0]], "ragged|rectangular"),
}


class TestDataThatAreNoNumbers:
    @every_taker
    @pytest.mark.parametrize("name", ARRAYS)
    def test_are_refused_as_an_array(self, name: str, take: Callable[[Any], object]) -> None:
        with pytest.raises(TinygradLabError):
            take(ARRAYS[name][0])

    @pytest.mark.parametrize("dtype", [None, tg.float32])
    @pytest.mark.parametrize("name", ARRAYS)
    def test_are_refused_with_what_to_do(self, name: str, dtype: Any) -> None:
        array, advice = ARRAYS[name]
        with pytest.raises((DTypeError, ArgumentTypeError), match=advice):
            tg.tensor(array, dtype=dtype)
        with pytest.raises((DTypeError, ArgumentTypeError), match=advice):
            tg.asarray(array, dtype=dtype)

    @every_taker
    @pytest.mark.parametrize("name", OTHERS)
    def test_are_refused(self, name: str, take: Callable[[Any], object]) -> None:
        data = OTHERS[name][0]
        if data is None and take is _set_grad:
            pytest.skip("None is no gradient")
        with pytest.raises(TinygradLabError):
            take(data)

    def test_are_refused_as_a_grad_even_if_shape_and_dtype_fit(self) -> None:
        leaf = tg.ones(2).requires_grad_()
        masked: Any = np.ma.array([1.0, 2.0], mask=[True, False], dtype=np.float32)
        with pytest.raises(ArgumentTypeError, match="is a Tensor or None, got MaskedArray"):
            leaf.grad = masked

    @pytest.mark.parametrize("dtype", [None, tg.float32])
    @pytest.mark.parametrize("name", OTHERS)
    def test_are_refused_with_advice(self, name: str, dtype: Any) -> None:
        data, advice = OTHERS[name]
        with pytest.raises(TinygradLabError, match=advice):
            tg.tensor(data, dtype=dtype)

    def test_are_refused_by_a_compiled_step(self) -> None:
        """An array of objects was copied as bytes, and the interpreter crashed."""
        with pytest.raises(DTypeError, match="an argument of a compiled step"):
            _run_compiled(np.array([1.0, "a"], dtype=object))

    def test_but_python_s_numbers_are_converted_to_a_given_dtype(self) -> None:
        assert tg.tensor([Decimal("0.5"), Fraction(1, 4)], dtype=tg.float32).tolist() == [0.5, 0.25]
        assert tg.tensor(np.array([1, 2.5], dtype=object), dtype=tg.float64).tolist() == [1, 2.5]
        assert tg.tensor(2**70, dtype=tg.float64).item() == 2.0**70
        with pytest.raises(DTypeError, match="convert it"):
            tg.tensor([Decimal("0.5")])

    @pytest.mark.parametrize(
        ("data", "dtype"), [([300], tg.uint8), ([-1], tg.uint8), ([float("nan")], tg.int64)]
    )
    def test_nor_are_numbers_that_do_not_fit(self, data: Any, dtype: Any) -> None:
        with pytest.raises(ArgumentError):
            tg.tensor(data, dtype=dtype)

    def test_nor_is_an_imaginary_part_dropped(self) -> None:
        real = {"dtype": tg.float32}
        for take in (tg.scalar, _set_data, lambda data: tg.tensor(data, **real)):
            with pytest.raises(TinygradLabError):
                take(1j)


# --- containers that contain themselves, or are nested too deep ----------------------------------


def _own_list() -> Any:
    own: list[Any] = [1.0]
    own.append(own)
    return own


def _own_dict() -> Any:
    own: dict[str, Any] = {"a": 1.0}
    own["itself"] = own
    return own


def _own_tuple() -> Any:
    own: tuple[Any, ...] = ([],)
    own[0].append(own)
    return own


def _nested(levels: int, join: Callable[[Any], Any], inmost: Any = 1.0) -> Any:
    whole = inmost
    for _ in range(levels):
        whole = join(whole)
    return whole


def _listed(x: Any) -> Any:
    return [x]


CONTAINERS: dict[str, Callable[[], Any]] = {
    "a list in itself": _own_list,
    "a dict in itself": _own_dict,
    "a tuple in itself": _own_tuple,
    "10,000 lists": lambda: _nested(10_000, _listed),
    "10,000 dicts": lambda: _nested(10_000, lambda x: {"a": x}),
    "10,000 tuples around a tensor": lambda: _nested(10_000, lambda x: (x,), tg.ones(2)),
    "500 lists": lambda: _nested(500, _listed),
}
every_container = pytest.mark.parametrize("make", CONTAINERS.values(), ids=CONTAINERS)

TAKING_CONTAINERS: dict[str, Callable[[Any], object]] = {
    "grad": lambda tree: tg.grad(lambda x: tg.ones(()))(tree),
    "grad, result": lambda tree: tg.grad(lambda x: tree)(1.0),
    "grad, aux": lambda tree: tg.grad(lambda x: (x * 1, tree), has_aux=True)(1.0),
    "vjp": lambda tree: tg.vjp(lambda x: tg.ones(()), tree),
    "vjp, cotangent": lambda tree: tg.vjp(lambda x: x * 1, 1.0)[1](tree),
    "jvp": lambda tree: tg.jvp(lambda x: tg.ones(()), (tree,), (tree,)),
    "jvp, tangent": lambda tree: tg.jvp(lambda x: x * 1, (1.0,), (tree,)),
    "jacobian": lambda tree: tg.jacobian(lambda x: tg.ones(()))(tree),
    "hessian": lambda tree: tg.hessian(lambda x: tg.ones(()))(tree),
    "hvp": lambda tree: tg.hvp(lambda x: tg.ones(()), tree, tree),
    "gradcheck": lambda tree: tg.gradcheck(lambda x: tg.ones(()), tree),
    "checkpoint": lambda tree: tg.checkpoint(lambda x: tg.ones(()), tree),
    "checkpoint, result": lambda tree: tg.checkpoint(lambda x: tree, tg.ones(2)),
    "compile": _run_compiled,
    "compile, result": lambda tree: [tg.compile(lambda x: tree)(tg.ones(2)) for _ in range(3)],
    "state dict": Linear(1, 1).load_state_dict,
    "value in a state dict": lambda tree: Linear(1, 1).load_state_dict({"weight": tree}),
    "optimiser's state": tg.optim.SGD([tg.ones(2).requires_grad_()], lr=1).load_state_dict,
    "optimiser": lambda tree: tg.optim.SGD(tree, lr=1),
    "draw": tg.draw,
    "graph": tg.graph,
    "stack": tg.stack,
    "concat": tg.concat,
    "sum": tg.sum,
    "add": lambda tree: tg.ones(2) + tree,
    "index": lambda tree: tg.ones(2)[tree],
    "at": lambda tree: tg.ones(2).at[tree].set(1.0),
    "reshape": lambda tree: tg.ones(2).reshape(tree),
    "zeros": tg.zeros,
    "axis": lambda tree: tg.ones(2).sum(axis=tree),
    "Sequential": tg.nn.Sequential,
    "choice": tg.random.choice,
    "broadcast_arrays": lambda tree: tg.broadcast_arrays(tree, tree),
    "meshgrid": lambda tree: tg.meshgrid(tree, tree),
    "dtype": lambda tree: tg.ones(2, dtype=tree),
    **TAKING_DATA,
}


class TestAContainerThatContainsItselfOrIsNestedTooDeep:
    @every_container
    @pytest.mark.parametrize("take", TAKING_CONTAINERS.values(), ids=TAKING_CONTAINERS)
    def test_is_refused(self, make: Callable[[], Any], take: Callable[[Any], object]) -> None:
        with pytest.raises(TinygradLabError) as error:
            take(make())
        assert len(str(error.value)) < 1_000

    def test_is_named(self) -> None:
        with pytest.raises(ArgumentError, match="contains itself"):
            tg.tensor(_own_list())
        with pytest.raises(ArgumentError, match="contains itself"):
            tg.grad(lambda x: x)(_own_dict())

    def test_but_what_occurs_twice_is_not(self) -> None:
        row = [1.0, 2.0]
        assert tg.tensor([row, row]).tolist() == [row, row]
        gradients = tg.grad(lambda x: x["a"][0] * x["b"][1])({"a": row, "b": row})
        assert [float(g) for g in gradients["a"] + gradients["b"]] == [2.0, 0.0, 0.0, 1.0]

    def test_nor_is_a_net_of_many_levels(self) -> None:
        tree = _nested(60, _listed, 3.0)
        found = tg.grad(lambda x: _innermost(x) ** 2)(tree)
        assert _innermost(found).item() == 6.0
        assert tg.tensor(tree).shape == (1,) * 60


def _innermost(tree: Any) -> Any:
    while isinstance(tree, list):
        tree = tree[0]
    return tree
