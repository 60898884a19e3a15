"""Every function that takes an axis, with whatever a user may give as one."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import TinygradLabError

NAMES = ("axis", "axes", "axis1", "axis2", "source", "destination", "start_dim")

INPUTS: dict[str, Callable[[], Any]] = {
    "matrix": lambda: tg.tensor([[1.0, 2.0, 3.0], [3.0, 4.0, 6.0]]),
    "vector": lambda: tg.tensor([1.0, 2.0, 3.0]),
    "stack": lambda: tg.tensor(np.arange(18.0).reshape(2, 3, 3)),
    "row": lambda: tg.ones((1, 3)),
    "number": lambda: tg.tensor(2.0),
    "float": lambda: tg.scalar(2.0, requires_grad=False),
}

OTHERS: dict[str, Callable[[Any], Any]] = {
    "x": lambda x: x,
    "self": lambda x: x,
    "y": lambda x: x,
    "tensors": lambda x: [x, x],
    "indices": lambda x: tg.zeros(x.shape, dtype=tg.int64) if x.ndim > 1 else tg.tensor([0]),
    "k": lambda x: 1,
    "values": lambda x: 0.5,
    "repeats": lambda x: 2,
    "shift": lambda x: 1,
    "indices_or_sections": lambda x: 1,
    **{name: lambda x: 0 for name in NAMES},
}
"""What to give for the other arguments."""

NEVER_ONE = [
    *(1.0, 0.0, -0.0, float("nan"), 1j, "0", "rows", b"0"),
    *((0.0,), ("a",), (None,), ((0,),), object(), {"a": 1}, slice(0, 1), ...),
    *(np.float32(1), np.array([0.0]), tg.tensor(0.0), 10**20, (0, 10**20)),
]
"""What is no axis of anything, nor several."""

MAYBE = [None, (), (0,), (0, 0), (0, 5), (5,), 5, -5, 0, -1, np.int64(0), np.array(0), [0], []]
MAYBE += [tg.tensor(0), {0}, np.array([0]), (np.int64(0),)]
MAYBE += [True, False, (True,), np.True_]
"""What some functions take for an axis; the same as NumPy then."""


def _taking_axes() -> list[tuple[str, Any, str]]:
    functions = [
        (f"{owner.__name__}.{name}", getattr(owner, name))
        for owner in (tg, tg.Tensor)
        for name in sorted(vars(owner))
        if not name.startswith("_") and inspect.isfunction(inspect.getattr_static(owner, name))
    ]
    return [
        (label, function, name)
        for label, function in functions
        for name in NAMES
        if name in inspect.signature(function).parameters
    ]


TAKING_AXES = _taking_axes()


def _call(function: Any, x: Any, argument: str, value: Any) -> Any:
    parameters = inspect.signature(function).parameters.values()
    needed = [p.name for p in parameters if p.default is p.empty and p.name != argument]
    given = {name: OTHERS[name](x) for name in needed}
    if function is tg.Tensor.permute_dims:
        return function(x, value)
    if function is tg.tensordot and x.ndim > 1:
        given["y"] = tg.matrix_transpose(x)
    return function(**given, **{argument: value})


def test_all_are_found() -> None:
    found = {label.rpartition(".")[2] for label, _, _ in TAKING_AXES}
    assert {"sum", "softmax", "concat", "unstack", "sort", "moveaxis", "tensordot"} <= found
    assert len(TAKING_AXES) > 50


@pytest.mark.parametrize(
    ("label", "function", "argument"), TAKING_AXES, ids=[f"{n}-{a}" for n, _, a in TAKING_AXES]
)
class TestEveryFunctionWithAnAxis:
    @pytest.mark.parametrize("kind", INPUTS)
    def test_refuses_what_is_none_and_says_so(
        self, label: str, function: Any, argument: str, kind: str
    ) -> None:
        for value in NEVER_ONE:
            with pytest.raises(TinygradLabError) as caught:
                _call(function, INPUTS[kind](), argument, value)
            if kind != "float" and not (kind == "number" and argument != "axis"):
                assert argument in str(caught.value), value

    @pytest.mark.parametrize("kind", ["matrix", "vector", "stack", "row", "number"])
    def test_takes_what_is_one_or_says_so(
        self, label: str, function: Any, argument: str, kind: str
    ) -> None:
        x = INPUTS[kind]()
        for value in MAYBE:
            found = _outcome(function, x, argument, value)
            if isinstance(found, Exception):
                assert kind == "number" or argument in str(found), value
                continue
            if _as_integers(value) != value:
                again = _call(function, x, argument, _as_integers(value))
                for one, other in zip(_several(found), _several(again), strict=True):
                    assert one.tolist() == other.tolist()

    def test_has_the_gradient_of_the_axis_that_it_took(
        self, label: str, function: Any, argument: str
    ) -> None:
        """What the forward takes for an axis, the rule takes, too."""
        for value in MAYBE:
            slopes = []
            for axis in (value, _as_integers(value)):
                x = tg.tensor([[1.0, 2.0, 3.0]] * 3, dtype=tg.float64).requires_grad_()
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    try:
                        outs = _several(_call(function, x, argument, axis))
                    except TinygradLabError:
                        break
                for out in outs:
                    if out.requires_grad:
                        out.backward(gradient=np.arange(1.0, 1 + out.size).reshape(out.shape))
                slopes.append(x.grad.tolist() if x.grad is not None else None)
            assert len(slopes) < 2 or slopes[0] == slopes[1], value


def _outcome(function: Any, x: Any, argument: str, value: Any) -> Any:
    try:
        return _call(function, x, argument, value)
    except TinygradLabError as error:
        return error


def _several(found: Any) -> list[Any]:
    return list(found) if isinstance(found, tuple | list) else [found]


def _as_integers(value: Any) -> Any:
    """The axis in Python's integers, where it is one."""
    if isinstance(value, tuple):
        return tuple(map(_as_integers, value))
    if isinstance(value, np.integer | np.bool_ | bool) or getattr(value, "shape", None) == ():
        return int(value)
    if isinstance(value, np.ndarray | list | set):
        return tuple(map(int, value))
    return value
