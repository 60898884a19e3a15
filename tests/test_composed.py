"""Functions composed of ops: what users see of them is one function, also where a call fails."""

import inspect
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.errors import ArgumentTypeError, AxisError
from tinygrad_lab.nn import functional

PUBLIC = {
    f"{module.__name__}.{name}": getattr(module, name)
    for module in (tg, tg.linalg, functional)
    for name in module.__all__
    if isinstance(getattr(module, name), FunctionType) and name != "unique"  # another's other name
}
OF_TENSORS = {
    name: function
    for name, function in PUBLIC.items()
    if next(iter(inspect.signature(function).parameters), "") == "x"
    and not name.endswith(
        ("empty_like", "full_like", "dlpack", "astype")
    )  # these make or take other things
}
ALONG_AXES = [name for name, f in OF_TENSORS.items() if "axis" in inspect.signature(f).parameters]
COMPOSED = {name: f for name, f in PUBLIC.items() if hasattr(f, "direct") and not hasattr(f, "op")}
REDUCTIONS = ("sum", "mean", "max", "min", "prod", "any", "all", "var", "std", "norm", "logsumexp")


def _required(function: Any) -> list[inspect.Parameter]:
    """Return the parameters by position that a call must give."""
    return [
        p
        for p in inspect.signature(function).parameters.values()
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]


def test_the_usual_ones_are_among_those_tested() -> None:
    assert {f"tinygrad_lab.{name}" for name in ("mean", "std", "softmax", "norm")} <= set(COMPOSED)
    assert {"tinygrad_lab.sum", "tinygrad_lab.flip"} <= set(ALONG_AXES)


@pytest.mark.parametrize("name", COMPOSED)
def test_one_wrapper_stands_around_the_function(name: str) -> None:
    inner: Any = direct(COMPOSED[name])
    assert COMPOSED[name].__wrapped__ is inner
    assert not hasattr(inner, "__wrapped__")


@pytest.mark.parametrize("name", COMPOSED)
def test_calls_without_arguments_say_what_is_missing(name: str) -> None:
    short, first = name.rpartition(".")[2], next(iter(inspect.signature(COMPOSED[name]).parameters))
    with pytest.raises(ArgumentTypeError, match=rf"^{short}: missing .* argument: '{first}'"):
        COMPOSED[name]()


@pytest.mark.parametrize("name", COMPOSED)
def test_unknown_keywords_are_explained(name: str) -> None:
    short = name.rpartition(".")[2]
    with pytest.raises(ArgumentTypeError, match=rf"^{short}: there is no argument 'nonsense'"):
        COMPOSED[name](tg.tensor([1.0, 2.0]), nonsense=1)


@pytest.mark.parametrize("name", OF_TENSORS)
@pytest.mark.parametrize("x", [[1.0, 2.0], "text", object()], ids=["list", "text", "object"])
def test_what_is_no_tensor_is_refused_in_the_name_of_the_function(name: str, x: Any) -> None:
    short = name.rpartition(".")[2]
    with pytest.raises(ArgumentTypeError, match=rf"^{short}: ") as caught:
        OF_TENSORS[name](x, *(1 for _ in _required(OF_TENSORS[name])[1:]))
    assert "test_composed.py" in str(caught.value)


@pytest.mark.parametrize("name", ALONG_AXES)
@pytest.mark.parametrize("axis", [7, -9, "a", 1.5])
def test_a_missing_axis_is_refused_in_the_name_of_the_function(name: str, axis: Any) -> None:
    function = OF_TENSORS[name]
    others = {p.name: 1 for p in _required(function) if p.name not in ("x", "axis")}
    kind = AxisError if isinstance(axis, int) else ArgumentTypeError
    with pytest.raises(kind, match=rf"^{name.rpartition('.')[2]}: ") as caught:
        function(tg.tensor([[1.0, 2.0], [3.0, 4.0]]), axis=axis, **others)
    assert str(axis) in str(caught.value)


def test_the_axis_is_found_wherever_it_stands() -> None:
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    for call in (
        lambda: tg.norm(x, 2, 7),
        lambda: tg.norm(x, axis=7, ord=2),
        lambda: tg.norm(ord=None, axis=7, x=x),
    ):
        with pytest.raises(AxisError, match=r"^norm: .* has no axis 7(.|\n)*axis=7"):
            call()


@pytest.mark.parametrize("ord", [None, 1, 2, 3, float("inf"), 0])
def test_norms_of_an_axis_that_is_not_there_raise_an_axis_error(ord: Any) -> None:
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]])
    with pytest.raises(AxisError, match=r"^norm: .* has no axis 7"):
        tg.norm(x, ord=ord, axis=7)
    with pytest.raises(AxisError, match=r"^vector_norm: .* has no axis 7"):
        tg.vector_norm(x, axis=7, ord=2 if ord is None else ord)


@pytest.mark.parametrize("name", ["mean", "var", "std", "softmax", "log_softmax", "logsumexp"])
def test_float16_is_rounded_once_however_x_is_given(name: str) -> None:
    function = getattr(tg, name)
    x = np.linspace(-3, 3, 50).astype(np.float16)
    once = function(tg.tensor(x.astype(np.float32))).numpy().astype(np.float16)
    for result in (function(tg.tensor(x)), function(x=tg.tensor(x)), function(x)):
        assert result.dtype == np.float16
        assert np.array_equal(result.numpy(), once)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("kind", [list, tuple])
def test_a_list_of_tensors_is_to_be_stacked(name: str, kind: Any) -> None:
    a, b = tg.scalar(1.0), tg.scalar(2.0)
    advice = rf"^{name}: expected one Tensor, got a {kind.__name__} of 2(.|\n)*"
    with pytest.raises(ArgumentTypeError, match=advice) as caught:
        getattr(tg, name)(kind([a, b]))
    assert f"tg.{name}(tg.stack([a, b]))" in str(caught.value)
    assert "getattr(tg, name)(kind([a, b]))" in str(caught.value)
    assert getattr(tg, name)(tg.stack([a, b])).shape == ()


def test_pythons_own_sum_of_a_list_of_tensors_has_gradients() -> None:
    a, b = tg.scalar(1.0), tg.scalar(2.0)
    (sum([a, b]) * b).backward()
    assert (a.grad.item(), b.grad.item()) == (2.0, 5.0)


def _nested(kind: str) -> Any:
    """Return a container in a container, 10,000 times."""
    inner: Any = 0
    for _ in range(10_000):
        inner = {"dict": {0: inner}, "list": [inner], "tuple": (inner,)}[kind]
    return inner


@pytest.mark.parametrize("kind", ["dict", "list", "tuple"])
@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    ("function", "argument"),
    [
        (tg.permute_dims, "axes"),
        (tg.reshape, "shape"),
        (tg.broadcast_to, "shape"),
        (tg.sum, "axis"),
        (tg.sum, "dtype"),
        (tg.mean, "axis"),
        (tg.argmax, "axis"),
        (tg.sort, "axis"),
        (tg.cumulative_sum, "axis"),
        (tg.expand_dims, "axis"),
        (tg.roll, "shift"),
        (tg.tile, "repetitions"),
        (tg.split, "indices_or_sections"),
        (tg.pad, "mode"),
        (functional.layer_norm, "normalized_shape"),
    ],
)
def test_arguments_nested_too_deep_are_explained(
    function: Any, argument: str, kind: str, alone: bool
) -> None:
    value = _nested(kind) if alone else (0, _nested(kind))
    others = {"pad_width": 1} if function is tg.pad else {}
    with pytest.raises(tg.errors.TinygradLabError, match=rf"^{function.__name__}: "):
        function(tg.tensor([[1.0, 2.0]]), **others, **{argument: value})


@pytest.mark.parametrize(
    ("numbers", "alternative"),
    [
        (tg.eigvalsh, lambda x: tg.trace(tg.linalg.matrix_power(x, 3))),
        (tg.svdvals, lambda x: tg.sum((x @ x.mT) ** 2)),
    ],
)
def test_what_errors_of_equal_values_advise_has_second_derivatives(
    numbers: Any, alternative: Any
) -> None:
    power = 3 if numbers is tg.eigvalsh else 4
    equal = tg.tensor(np.eye(2) * 2)
    assert np.isclose(alternative(equal).item(), tg.sum(numbers(equal) ** power).item())
    with pytest.raises(tg.errors.GradientError, match=r"symmetric function(.|\n)*matrix_|mT"):
        tg.hessian(lambda x: tg.sum(numbers(x) ** power))(equal)
    assert np.isfinite(tg.hessian(alternative)(equal).numpy()).all()


def test_a_recursion_of_the_users_own_stays_one() -> None:
    def down(x: Any) -> Any:
        return down(tg.sum(x, axis=0, keepdims=True))

    with pytest.raises(RecursionError):
        down(tg.tensor([1.0]))


def test_split_takes_positions_only() -> None:
    with pytest.raises(ArgumentTypeError, match=r"^split: expected positions as integers"):
        tg.split(tg.tensor([1.0, 2.0]), [0.5])
    assert [len(x) for x in tg.split(tg.tensor([1.0, 2.0]), [np.int64(1)])] == [1, 1]
