"""What ``with`` blocks ask of the ops in them, and that it ends with the block."""

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.context import Context, current

BLOCKS: list[Callable[[], Any]] = [tg.no_grad, tg.record, tg.debug]
every_block = pytest.mark.parametrize("block", BLOCKS)


def in_own_context(test: Callable[[], None]) -> None:
    """Run it where what it leaves switched on, should it fail, reaches nobody else."""
    contextvars.copy_context().run(test)


def records_gradients() -> bool:
    return (tg.scalar(1.0) * 2).requires_grad


class TestNoGrad:
    def test_builds_no_graph(self) -> None:
        x = tg.scalar(3.0)
        with tg.no_grad():
            y = x * x
        assert not y.requires_grad
        assert y.is_leaf
        assert len(tg.graph(y)) == 1
        assert records_gradients()

    def test_leaves_leaves_as_they_are(self) -> None:
        with tg.no_grad():
            x = tg.scalar(1.0)
            assert x.requires_grad
            assert tg.tensor([1.0], requires_grad=True).requires_grad
            assert tg.nn.Linear(2, 2).weight.requires_grad

    def test_works_as_a_decorator_also_of_a_function_that_calls_itself(self) -> None:
        @tg.no_grad()
        def down(n: int) -> list[bool]:
            return [records_gradients(), *(down(n - 1) if n else [])]

        assert down(3) == [False] * 4
        assert records_gradients()

    def test_can_be_nested_and_used_again(self) -> None:
        block = tg.no_grad()
        with block:
            with block, tg.no_grad():
                assert not records_gradients()
            assert not records_gradients()
        assert records_gradients()
        with block:
            assert not records_gradients()
        assert records_gradients()

    def test_holds_for_one_thread(self) -> None:
        inside, others = threading.Event(), []
        release = threading.Event()

        def switched_off() -> None:
            with tg.no_grad():
                inside.set()
                release.wait(5)
                others.append(records_gradients())

        thread = threading.Thread(target=switched_off)
        thread.start()
        assert inside.wait(5)
        assert records_gradients(), "another thread's no_grad does not reach here"
        release.set()
        thread.join()
        assert others == [False]
        with tg.no_grad():
            found: list[bool] = []
            thread = threading.Thread(target=lambda: found.append(records_gradients()))
            thread.start()
            thread.join()
        assert found == [True], "nor does this one's reach a new thread"

    def test_holds_for_one_task(self) -> None:
        async def off() -> bool:
            with tg.no_grad():
                await asyncio.sleep(0)
                return records_gradients()

        async def on() -> bool:
            await asyncio.sleep(0)
            return records_gradients()

        async def both() -> list[bool]:
            return await asyncio.gather(off(), on(), off(), on())

        assert asyncio.run(both()) == [False, True, False, True]


class TestRecord:
    def test_makes_a_node_for_everything_apart_from_gradients(self) -> None:
        with tg.record():
            y = (tg.tensor([1.0, 2.0]) * 2).sum() > 3
        assert not y.requires_grad
        assert [n.op_name for n in tg.graph(y) if not n.is_leaf] == ["multiply", "sum", "greater"]

    def test_also_under_no_grad(self) -> None:
        x = tg.scalar(3.0)
        with tg.record(), tg.no_grad():
            y = x * x
        assert not y.requires_grad
        assert [node.op_name for node in tg.graph(y)] == ["leaf", "multiply"]

    def test_also_of_integer_and_random_ops(self) -> None:
        with tg.record():
            i = tg.argmax(tg.tensor([1.0, 3.0])) + 1
            r = tg.dropout(tg.tensor(np.ones(4)), p=0.5, generator=tg.Generator(0))
        assert [n.op_name for n in tg.graph(i) if not n.is_leaf] == ["argmax", "add"]
        assert [n.op_name for n in tg.graph(r) if not n.is_leaf] == ["dropout"]

    def test_keeps_every_array(self) -> None:
        with tg.record():
            y = tg.tensor(np.ones(100_000)) + 1
            z = y * 2
        assert tg.graph(z)["y"].value is not None

    def test_changes_no_gradient(self) -> None:
        x, y = (tg.tensor([1.0, 2.0], requires_grad=True) for _ in range(2))
        (x.exp() * x).sum().backward()
        with tg.record():
            (y.exp() * y).sum().backward()
        assert x.grad is not None
        assert y.grad is not None
        assert x.grad.numpy().tobytes() == y.grad.numpy().tobytes()


class TestEveryBlock:
    @every_block
    def test_ends_with_the_block(self, block: Callable[[], Any]) -> None:
        before = current()
        with block():
            assert current() != before
        assert current() is before

    @every_block
    def test_ends_with_an_exception(self, block: Callable[[], Any]) -> None:
        def fail() -> None:
            with block():
                raise KeyError("mine")

        for failing in (fail, block()(fail)):
            with pytest.raises(KeyError, match="mine"):
                failing()
            assert current() == Context()

    @every_block
    def test_ends_with_a_decorated_function(self, block: Callable[[], Any]) -> None:
        assert block()(current)() != Context()
        assert current() == Context()

    @every_block
    def test_holds_inside_a_decorated_generator_and_not_between_its_steps(
        self, block: Callable[[], Any]
    ) -> None:
        def test() -> None:
            @block()
            def steps() -> Iterator[Context]:
                yield current()
                yield current()

            for inside in steps():
                assert inside != Context()
                assert current() == Context()
            assert current() == Context()

        in_own_context(test)

    @every_block
    def test_holds_inside_a_decorated_coroutine(self, block: Callable[[], Any]) -> None:
        @block()
        async def work() -> Context:
            await asyncio.sleep(0)
            return current()

        assert asyncio.run(work()) != Context()
        assert current() == Context()

    @every_block
    def test_of_generators_that_are_closed_out_of_order_all_end(
        self, block: Callable[[], Any]
    ) -> None:
        def test() -> None:
            def suspended() -> Iterator[None]:
                with block():
                    yield

            first, second = suspended(), suspended()
            next(first)
            next(second)
            first.close()  # type: ignore[attr-defined]
            second.close()  # type: ignore[attr-defined]
            assert current() == Context()

        in_own_context(test)

    def test_can_be_combined_in_any_order(self) -> None:
        with tg.record():
            with tg.no_grad():
                assert (current().recording, current().grad_enabled) == (True, False)
            assert (current().recording, current().grad_enabled) == (True, True)
        with tg.no_grad(), tg.debug(), tg.record():
            context = current()
            assert context.recording
            assert not context.grad_enabled
            assert context.debugger is not None


class TestWhatFails:
    """Nothing that fails in the middle leaves the library in another state."""

    @pytest.mark.parametrize(
        "failing",
        [
            lambda: tg.tensor([1.0, 2.0]) + tg.tensor([1.0, 2.0, 3.0]),
            lambda: tg.grad(lambda x: 1 / 0)(1.0),
            lambda: tg.hessian(lambda x: x @ x)(tg.scalar(1.0)),
            lambda: tg.jvp(lambda x: x, (1.0,), (1.0, 2.0)),
            lambda: tg.autograd.grad(tg.scalar(1.0) * 2, tg.tensor(1.0)),
            lambda: tg.nn.Linear(2, 2)(tg.tensor([1.0])),
            lambda: tg.nn.Sequential(tg.nn.Linear(2, 2))("x"),
            lambda: tg.graph(tg.scalar(1.0)).opened()["nothing"],
        ],
    )
    def test_leaves_no_context_behind(self, failing: Callable[[], Any]) -> None:
        with pytest.raises((tg.errors.TinygradLabError, ZeroDivisionError)):
            failing()
        assert current() == Context()
        assert records_gradients()

    def test_in_a_backward_pass_leaves_it_to_be_done_again(self) -> None:
        fails = True

        def rule(xp: Any, g: Any) -> Any:
            if fails:
                raise RuntimeError("in a rule")
            return g

        step = tg.op("fails_of_tests", forward=lambda xp, x: x + 0, vjp={"x": rule})
        x, y = tg.scalar(1.0), tg.scalar(2.0)
        z = step(x) * y
        with pytest.raises(RuntimeError, match="in a rule"):
            z.backward()
        assert x.grad is None
        assert y.grad is None
        fails = False
        z.backward()
        assert x.grad is not None
        assert x.grad.item() == 2.0

    def test_in_a_module_ends_its_scope(self) -> None:
        net = tg.nn.Sequential(tg.nn.Linear(2, 2))
        with pytest.raises(tg.errors.ShapeError):
            net(tg.tensor([[1.0, 2.0, 3.0]]))
        x = tg.scalar(1.0)
        assert tg.graph(x * 2).outputs[0].module == ""
