"""Values without axes in compiled steps: sums, means, learned temperatures.

NumPy returns scalars where a result has no axes, and a view of a scalar is a copy. In a replay such
results are arrays, in memory that is planned, and views of them are views.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn

INPUTS = ([1.0, 2.0, 4.0], [2.0, 3.0, 5.0], [1.0, 2.0, 4.0], [0.5, 7.0, -1.0], [3.0, 4.0, 5.0])

VIEWS: dict[str, Callable[[tg.Tensor], tg.Tensor]] = {
    "[None]": lambda s: s[None],
    "[...]": lambda s: s[...],
    "[()]": lambda s: s[()],
    "expand_dims": lambda s: tg.expand_dims(s, axis=0),
    "squeeze": lambda s: tg.squeeze(s, axis=()),
    "broadcast_to": lambda s: tg.broadcast_to(s, (2,)),
    "broadcast_to ()": lambda s: tg.broadcast_to(s, ()),
    "reshape": lambda s: tg.reshape(s, (1, 1)),
    "reshape ()": lambda s: tg.reshape(s, ()),
    "permute_dims": lambda s: tg.permute_dims(s, ()),
    "flip": lambda s: tg.flip(s),
    "broadcast_arrays": lambda s: tg.broadcast_arrays(s, tg.zeros((2,)))[0],
    "unstack": lambda s: tg.unstack(s[None])[0],
    "twice": lambda s: s[None][None],
    "back": lambda s: s[None][0],
}


def arrays(result: Any) -> list[Any]:
    parts = result if isinstance(result, Sequence) else [result]
    return [np.asarray(part.data if isinstance(part, tg.Tensor) else part) for part in parts]


def assert_same_bits(mine: Any, theirs: Any) -> None:
    mine, theirs = arrays(mine), arrays(theirs)
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert one.tobytes() == other.tobytes()


def assert_compiles(
    function: Callable[[tg.Tensor], Any], inputs: Sequence[Any] = INPUTS, dtype: Any = np.float32
) -> Any:
    """Compare the calls of a compiled function, and its source, with the function; return it."""
    step = tg.compile(function)
    for numbers in inputs:
        x = tg.tensor(np.asarray(numbers, dtype))
        assert_same_bits(step(x), function(x))
    names: dict[str, Any] = {}
    exec(step.source, names)
    for numbers in inputs:
        array = np.asarray(numbers, dtype)
        assert_same_bits(names["step"](array.copy()), function(tg.tensor(array)))
    return step


class TestViewsOfResultsWithoutAxes:
    @pytest.mark.parametrize("view", VIEWS)
    def test_are_not_overwritten_by_later_results(self, view: str) -> None:
        look = VIEWS[view]
        assert_compiles(
            lambda x: tg.concat(
                [look(x.sum() * 2).reshape(-1), look(x.mean() * 3).reshape(-1), x.max()[None]]
            )
        )

    @pytest.mark.parametrize("view", VIEWS)
    def test_are_returned(self, view: str) -> None:
        def step(x: tg.Tensor) -> Any:
            total = x.sum() * 2
            return VIEWS[view](total), total, VIEWS[view](total * 3)

        assert_compiles(step)

    @pytest.mark.parametrize("view", VIEWS)
    def test_have_gradients(self, view: str) -> None:
        assert_compiles(tg.grad(lambda x: (VIEWS[view](x.sum() * 2) * (x * x).mean()).sum()))

    def test_written_into_leave_the_number_as_it_was(self) -> None:
        def step(x: np.ndarray) -> Any:
            total = x.sum()
            row = total[None]
            row += 1
            same = total
            same += 1
            return total, row, same, total * 2

        compiled = tg.compile(step)
        for numbers in INPUTS:
            x = np.asarray(numbers)
            assert_same_bits(compiled(x), step(x))

    def test_constants_that_are_written_at_positions_come_after_those_below(self) -> None:
        def step(x: np.ndarray) -> Any:
            filled = np.empty_like(x)
            filled[...] = 1.5
            filled[[0]] = 3
            result = filled + x
            filled **= 2
            return result, filled + x

        compiled = tg.compile(step)
        for numbers in INPUTS:
            assert_same_bits(compiled(np.asarray(numbers)), step(np.asarray(numbers)))

    @pytest.mark.parametrize(
        "power",
        [
            lambda x: 2 ** x.sum(),
            lambda x: x.sum() ** 2,
            lambda x: x.sum() ** x.mean(),
            lambda x: x ** x.mean(),
            lambda x: x.mean() ** x,
            lambda x: 1.7**x,
        ],
    )
    def test_powers(self, power: Any) -> None:
        for dtype in (np.float16, np.float32, np.float64):
            assert_compiles(power, [[0.3, 0.1, 1.7], [0.9, 2.0, 0.4], [1.2, 0.3, 0.1]], dtype)


SETTINGS: list[tuple[Any, dict[str, Any]]] = [
    (tg.optim.SGD, {"lr": 0.01}),
    (tg.optim.SGD, {"lr": 0.01, "momentum": 0.9, "nesterov": True}),
    (tg.optim.SGD, {"lr": 0.01, "momentum": 0.9, "weight_decay": 0.1}),
    (tg.optim.Adam, {"lr": 0.1}),
    (tg.optim.Adam, {"lr": 0.1, "weight_decay": 0.1}),
    (tg.optim.AdamW, {"lr": 0.1}),
]
BESIDE: dict[str, Callable[[], list[tg.Tensor]]] = {
    "alone": list,
    "beside a vector": lambda: [nn.Parameter(tg.tensor([1.0, 2.0, 3.0]))],
    "beside another": lambda: [nn.Parameter(tg.tensor(0.7))],
    "beside float64": lambda: [nn.Parameter(tg.tensor(0.7, dtype=tg.float64))],
}


class TestParametersWithoutAxes:
    @pytest.mark.parametrize("target", ["numpy", "numba"])
    @pytest.mark.parametrize("beside", BESIDE)
    @pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
    def test_are_trained(
        self, optimizer: Any, settings: dict[str, Any], beside: str, target: str
    ) -> None:
        if target == "numba":
            pytest.importorskip("llvmlite")

        def made() -> tuple[list[tg.Tensor], Any]:
            parameters = [nn.Parameter(tg.tensor(0.3)), *BESIDE[beside]()]
            updater = optimizer(parameters, **settings)

            def step(x: tg.Tensor) -> tg.Tensor:
                product = x
                for parameter in parameters:
                    product = product * parameter
                loss = (product * product).mean()
                updater.zero_grad()
                loss.backward()
                updater.step()
                return loss

            return parameters, step

        (mine, step), (theirs, eager) = made(), made()
        compiled = tg.compile(step, target=target)
        for numbers in INPUTS:
            x = tg.tensor(numbers)
            result, expected = compiled(x), eager(x)
            for one, other in zip((result, *mine), (expected, *theirs), strict=True):
                if target == "numpy":
                    assert_same_bits(one.detach(), other.detach())
                else:
                    np.testing.assert_allclose(one.detach().data, other.detach().data, rtol=1e-5)

    @pytest.mark.parametrize("target", ["numpy", "numba", "python"])
    @pytest.mark.parametrize("count", [1, 2, 3])
    @pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
    def test_are_trained_as_python_numbers(
        self, optimizer: Any, settings: dict[str, Any], count: int, target: str
    ) -> None:
        if target == "numba":
            pytest.importorskip("llvmlite")

        def made() -> tuple[list[tg.Tensor], Any]:
            parameters = [tg.scalar(0.3 + number) for number in range(count)]
            updater = optimizer(parameters, **settings)

            def step(x: float) -> tg.Tensor:
                total: Any = 0.0
                for parameter in parameters:
                    total = (total + parameter * x).tanh()
                loss = (total - 1.0) ** 2
                updater.zero_grad()
                loss.backward()
                updater.step()
                return loss

            return parameters, step

        (mine, step), (theirs, eager) = made(), made()
        compiled = tg.compile(step, target=target)
        for x in (0.5, 1.5, -0.3, 0.7, 2.0):
            result, expected = compiled(x), eager(x)
            for one, other in zip((result, *mine), (expected, *theirs), strict=True):
                if target == "numba":
                    assert one.item() == pytest.approx(other.item(), rel=1e-12)
                else:
                    assert one.item() == other.item()

    @pytest.mark.parametrize(("optimizer", "settings"), SETTINGS)
    def test_are_trained_on_by_a_saved_step(
        self, optimizer: Any, settings: dict[str, Any], tmp_path: Any
    ) -> None:
        def made(numbers: bool) -> tuple[list[tg.Tensor], Any]:
            start = [tg.scalar(0.3), tg.scalar(0.7)]
            if not numbers:
                start = [nn.Parameter(tg.tensor(0.3)), nn.Parameter(tg.tensor([0.7, 0.2]))]
            updater = optimizer(start, **settings)

            def step(x: Any) -> tg.Tensor:
                total = (start[0] * x + start[1]) * start[1]
                loss = (total * total) if numbers else (total * total).mean()
                updater.zero_grad()
                loss.backward()
                updater.step()
                return loss

            return start, step

        for numbers in (False, True):
            _, step = made(numbers)
            compiled = tg.compile(step)
            for x in (0.5, 1.5, -0.3):
                compiled(x)
            path = tmp_path / f"saved_{numbers}.py"
            compiled.save(path)
            module: dict[str, Any] = {"__file__": str(path)}
            exec(path.read_text(encoding="utf-8"), module)
            state = module["load_state"]()
            for x in (0.7, 2.0, -1.0):
                assert_same_bits(module["step"](x, state), step(x))
