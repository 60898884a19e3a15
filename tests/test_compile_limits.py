"""What a compiled step does not notice: each limit in docs/compile.md, and what finds it."""

import logging
import sysconfig
from collections.abc import Callable
from typing import Any

import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import CompileError

ONE = tg.tensor([1.0])


def of_another_package(text: str) -> dict[str, Any]:
    """Return what a module of another package defines."""
    names: dict[str, Any] = {"__name__": "pretended"}
    exec(compile(text, f"{sysconfig.get_path('stdlib')}/pretended.py", "exec"), names)
    return names


def check_is_stale(step: Any, change: Callable[[], Any], before: float, after: float) -> None:
    """Check that a replay does not notice a change, and that tg.debug() does."""
    assert [step(ONE).item() for _ in range(3)] == [before] * 3
    change()
    assert step(ONE).item() == before
    with tg.debug(), pytest.raises(CompileError, match=r"tg\.debug"):
        step(ONE)
    assert step.function(ONE).item() == after


def test_what_another_package_keeps_for_itself() -> None:
    names = of_another_package("kept = [2.0]\ndef read():\n    return kept[0]\n")
    read, kept = names["read"], names["kept"]
    check_is_stale(tg.compile(lambda x: x * read()), lambda: kept.append(kept.pop() + 1), 2.0, 3.0)


def test_random_numbers_that_another_package_draws_for_itself() -> None:
    names = of_another_package(
        "import random\nown = random.Random(1)\ndef flip():\n    return own.random() < 0.99\n"
    )
    flip, own = names["flip"], names["own"]
    step = tg.compile(lambda x: x * 2.0 if flip() else x)
    check_is_stale(step, lambda: setattr(own, "random", lambda: 1.0), 2.0, 1.0)


def test_the_code_of_a_function_that_is_exchanged() -> None:
    def scaled(x: tg.Tensor) -> tg.Tensor:
        return x * 2.0

    def other(x: tg.Tensor) -> tg.Tensor:
        return x * 3.0

    step = tg.compile(lambda x: scaled(x))
    check_is_stale(step, lambda: setattr(scaled, "__code__", other.__code__), 2.0, 3.0)


def test_a_number_that_is_set_in_the_dict_of_a_module() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = 2.0

        def forward(self, x: tg.Tensor) -> tg.Tensor:
            return x * self.factor

    model = Scaled()
    step = tg.compile(lambda x: model(x))
    assert [step(ONE).item() for _ in range(3)] == [2.0] * 3
    vars(model).update(factor=3.0)
    assert step(ONE).item() == 2.0
    with tg.debug():
        assert step(ONE).item() == 3.0
    model.factor = 4.0
    assert step(ONE).item() == 4.0


def test_a_division_by_a_float_that_is_zero() -> None:
    step = tg.compile(lambda x, rate: x * (1.0 / rate))
    assert [step(ONE, rate).item() for rate in (2.0, 4.0, 8.0)] == [0.5, 0.25, 0.125]
    assert step(ONE, 0.0).item() == float("inf")
    with pytest.raises(ZeroDivisionError):
        step.function(ONE, 0.0)


def test_logging_and_writing_happen_while_a_step_is_recorded(tmp_path: Any) -> None:
    log = logging.getLogger("tests.limits")
    with (tmp_path / "log.txt").open("w+") as file:

        def writing(x: tg.Tensor) -> tg.Tensor:
            file.write("called\n")
            return x * 2.0

        def logging_(x: tg.Tensor) -> tg.Tensor:
            log.info("called")
            return x * 2.0

        for step_of in (writing, logging_):
            step = tg.compile(step_of)
            with pytest.warns(UserWarning, match="only while it is recorded"):
                assert [step(ONE).item() for _ in range(4)] == [2.0] * 4
        file.seek(0)
        assert file.read() == "called\n" * 2
