"""Numbers among the arguments of compiled steps: taken wherever a number is, and read at each call.

Where a step asks what a number is (``if rate > 0.5``, a size, an order), each number has a
recording of its own; elsewhere, one recording does for all.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import CompileError

F = nn.functional
Function = Callable[[tg.Tensor, Any], Any]

X = tg.tensor([[1.0, -2.0, 3.0], [0.5, 4.0, -1.0]])
FLOATS = (0.5, 0.25, 0.75, 0.125, 0.625)
INTEGERS = (3, 1, 4, 2, 5)
STATE = tg.zeros(2, name="state")


def set_state(number: Any) -> tg.Tensor:
    STATE.data = tg.full(2, number)
    return STATE * 2


def initialised(number: Any) -> tg.Tensor:
    weight = tg.zeros((2, 2))
    nn.init.constant_(weight, number)
    return weight


def slope(function: Callable[[tg.Tensor], tg.Tensor], at: tg.Tensor) -> Any:
    return tg.grad(lambda w: function(w).sum())(at)


READ: dict[str, Function] = {
    "full": lambda x, a: tg.full((2, 3), a) * x,
    "full float64": lambda x, a: tg.full((2, 3), a, dtype=tg.float64),
    "full int64": lambda x, a: tg.full((2, 3), a * 8, dtype=tg.int64),
    "full ()": lambda x, a: tg.full((), a),
    "full empty": lambda x, a: tg.full((0, 2), a),
    "full of a sum": lambda x, a: tg.full((2,), (x * a).sum()),
    "full_like": lambda x, a: tg.full_like(x, a),
    "full_like integers": lambda x, a: tg.full_like(tg.tensor([1, 2]), a * 8),
    "full_like scalar": lambda x, a: tg.full_like(tg.scalar(2.0, requires_grad=False), a),
    "linspace": lambda x, a: tg.linspace(0, a, 4),
    "linspace both": lambda x, a: tg.linspace(a, 3 * a, 4, endpoint=False, dtype=tg.float64),
    "tensor": lambda x, a: tg.tensor(a),
    "tensor float64": lambda x, a: tg.tensor(a, dtype=tg.float64),
    "tensor int64": lambda x, a: tg.tensor(a * 8, dtype=tg.int64),
    "tensor list": lambda x, a: tg.tensor([a, 1.0, 2 * a]),
    "tensor nested": lambda x, a: tg.tensor([[a, 1.0], (2.0, 2 * a)]),
    "tensor tuple float64": lambda x, a: tg.tensor((a, 1.0), dtype=tg.float64),
    "tensor of tensors": lambda x, a: tg.tensor([a, x[0, 0], x.sum()]),
    "asarray": lambda x, a: tg.asarray(a),
    "asarray float64": lambda x, a: tg.asarray(a, dtype=tg.float64),
    "asarray list": lambda x, a: tg.asarray([[a], [1.0]]),
    "scalar": lambda x, a: tg.scalar(a, requires_grad=False) * 3,
    "scalar of a sum": lambda x, a: tg.scalar((x * a).sum(), requires_grad=False),
    "uniform": lambda x, a: tg.random.uniform((2, 3), -a, a),
    "uniform high": lambda x, a: tg.random.uniform((2, 3), high=a),
    "normal": lambda x, a: tg.random.normal((2, 3), a, 2 * a),
    "at set": lambda x, a: x.at[0].set(a),
    "at add": lambda x, a: x.at[:, 1].add(a),
    "clip": lambda x, a: tg.clip(x, -a, a),
    "clip one side": lambda x, a: (x.clip(a), tg.clip(x, max=a)),
    "pad": lambda x, a: tg.pad(x, ((1, 1), (0, 2)), constant_values=a),
    "where": lambda x, a: tg.where(x > a, a, 2 * a),
    "where a tensor": lambda x, a: (tg.where(x > 0, x, a), tg.where(x > 0, a, x)),
    "extremes": lambda x, a: (tg.maximum(x, a), tg.minimum(a, x)),
    "powers": lambda x, a: (tg.abs(x) ** a, a**x),
    "quotients": lambda x, a: (a / x, x / a, x // a, x % a, a % x),
    "comparisons": lambda x, a: (x > a, x == a, a <= x),
    "functions of two": lambda x, a: (tg.atan2(x, a), tg.hypot(x, a), tg.logaddexp(x, a)),
    "functions of one": lambda x, a: (tg.exp(a) * x, tg.sqrt(a) + x),
    "leaky_relu": lambda x, a: F.leaky_relu(x, a),
    "elu": lambda x, a: F.elu(x, a),
    "softmax": lambda x, a: F.softmax(x / a, dim=-1),
    "nan_to_num": lambda x, a: tg.nan_to_num(x, nan=a),
    "a ufunc of NumPy": lambda x, a: np.sin(a) * x,
    "an array of NumPy": lambda x, a: x * (np.array([1.0, 2.0, 3.0], np.float32) * a),
    "state": lambda x, a: set_state(a),
    "init": lambda x, a: initialised(a),
    "gradient of clip": lambda x, a: slope(lambda z: tg.clip(z, -a, a) ** 2, x),
    "gradient at it": lambda x, a: tg.grad(lambda w: w * w)(a),
    "gradient at full": lambda x, a: slope(lambda w: w * w, tg.full((3,), 1.5 * a)),
    "gradient at a list": lambda x, a: slope(lambda w: w * w, tg.tensor([a, 1.0])),
    "gradient at scalar": lambda x, a: tg.grad(lambda w: w * w)(tg.scalar(a)),
    "gradient in a list": lambda x, a: slope(lambda w: tg.tensor([w[0], a, 2.0]) ** 2, x[0]),
}
"""Functions of a number that one recording does for."""

ASKED: dict[str, Function] = {
    "arange": lambda x, a: tg.arange(a, a + 2.9, 1.0),
    "arange to": lambda x, a: tg.arange(a * 8),
    "arange by": lambda x, a: tg.arange(0, 1, a),
    "choice": lambda x, a: tg.random.choice(2, 5, p=[a / 8, 1 - a / 8]),
    "dropout": lambda x, a: F.dropout(x, a / 8),
    "norm": lambda x, a: tg.linalg.vector_norm(x, ord=a + 1),
    "var": lambda x, a: tg.var(x, axis=1, correction=a / 8),
    "np.full": lambda x, a: np.full((2,), a),
    "np.float32": lambda x, a: x * np.float32(a),
    "np.array": lambda x, a: x * np.array([a, 1.0, 2.0], np.float32),
    "float": lambda x, a: x * float(a),
    "min": lambda x, a: x * min(a, 0.3),
    "if": lambda x, a: x if a > 0.4 else -x,
    "isinstance": lambda x, a: x * 2 if isinstance(a, float) else x,
    "round": lambda x, a: x * round(a, 1),
    "text": lambda x, a: x * len(f"{a}"),
    "a key": lambda x, a: x * {0.5: 2.0, 3: 4.0}.get(a, 1.0),
}
"""Those that ask what it is."""


def bits(result: Any) -> Any:
    if isinstance(result, list | tuple):
        return [bits(part) for part in result]
    data = result._data if isinstance(result, tg.Tensor) else result
    array = np.asarray(data)
    return type(data), array.shape, str(array.dtype), array.tobytes()


def results(function: Function, numbers: Sequence[Any]) -> list[Any]:
    tg.seed(3)
    return [bits(function(X, number)) for number in numbers]


@pytest.mark.parametrize("numbers", [FLOATS, INTEGERS], ids=["floats", "integers"])
@pytest.mark.parametrize("name", READ)
def test_a_number_is_taken_wherever_one_is(name: str, numbers: Sequence[Any]) -> None:
    if name.startswith("gradient") and numbers is INTEGERS and "full" in name:
        numbers = [float(number) for number in numbers]
    step: Any = tg.compile(READ[name])
    assert results(step, numbers) == results(READ[name], numbers)
    assert len(step._replays) == 1
    assert not step._recordings.runs_uncompiled
    if numbers is FLOATS and name not in WITH_STATE:
        check_source(step, READ[name])


WITH_STATE = {"uniform", "uniform high", "normal", "state", "init"}
"""Those whose source needs generators or tensors."""


def check_source(step: Any, function: Function) -> None:
    names: dict[str, Any] = {}
    exec(step.source, names)
    x = [X.numpy()] if "def step(x, a" in step.source else []
    for number in FLOATS:
        found, expected = bits(names["step"](*x, number)), bits(function(X, number))
        if not isinstance(expected, list):
            found, expected = [found], [expected]
        # Without the type: NumPy returns scalars.
        assert [one[1:] for one in found] == [one[1:] for one in expected]


@pytest.mark.filterwarnings("ignore:tg.compile")
@pytest.mark.parametrize("numbers", [FLOATS, INTEGERS], ids=["floats", "integers"])
@pytest.mark.parametrize("name", ASKED)
def test_a_step_that_asks_what_a_number_is_has_a_recording_for_each(
    name: str, numbers: Sequence[Any]
) -> None:
    repeated = [number for number in numbers[:3] for _ in range(3)]
    step: Any = tg.compile(ASKED[name])
    assert results(step, repeated) == results(ASKED[name], repeated)
    assert not step._recordings.runs_uncompiled


def test_a_step_that_asks_for_numbers_that_never_repeat_runs_uncompiled_and_says_why() -> None:
    step = tg.compile(lambda x, rate: x if rate > 0.5 else -x)
    numbers = [number / 12 for number in range(12)]
    with pytest.warns(UserWarning, match="the value of rate differs from call to call"):
        found = [step(X, number).tolist() for number in numbers]
    assert found == [(X if number > 0.5 else -X).tolist() for number in numbers]


def test_conditions_on_arguments_are_checked_at_each_call() -> None:
    step = tg.compile(lambda std: tg.random.normal((2,), 0.0, std))
    for std in (1.0, 2.0, 3.0):
        step(std)
    with pytest.raises(tg.errors.ArgumentError, match="a standard deviation of 0 or more"):
        step(-1.0)
    assert step(1.0).shape == (2,)


def test_what_a_step_asks_of_tensors_is_refused_as_before() -> None:
    def step_of(x: Any, a: Any) -> Any:
        return x if (x * a).sum() > 1 else -x

    step = tg.compile(step_of)
    for _ in range(2):
        with pytest.raises(CompileError, match=r"a tensor's number[\s\S]*if \(x \* a\)"):
            step(X, 0.5)
