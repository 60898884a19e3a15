"""Threads: what they share loses nothing."""

import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.backends.form import form_of
from tinygrad_lab.engine.op import table

THREADS, TIMES = 8, 60


@pytest.fixture(autouse=True)
def _frequent_switches() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def at_the_same_time(work: Callable[[int], Any]) -> list[Any]:
    """Return the results of all threads."""
    start, results, failures = threading.Barrier(THREADS), [], []

    def run(number: int) -> None:
        start.wait()
        try:
            results.append(work(number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=[number]) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    return results


LEAVES: dict[str, Callable[[], Any]] = {
    "a Python float": lambda: tg.scalar(1.0),
    "an array": lambda: tg.tensor(np.zeros(100), requires_grad=True),
    "a parameter": lambda: tg.nn.Parameter(np.zeros((30, 30))),
}


class TestGradients:
    @pytest.mark.parametrize("kind", LEAVES)
    @pytest.mark.parametrize("free", [False, True])
    def test_of_one_leaf_are_all_kept(self, kind: str, free: bool) -> None:
        leaf = LEAVES[kind]()

        def work(_: int) -> None:
            for _ in range(TIMES):
                (leaf * 1.0).sum().backward(free=free)

        at_the_same_time(work)
        assert np.unique(leaf.grad.tolist()).tolist() == [THREADS * TIMES]

    def test_through_a_graph_that_threads_share_are_all_kept(self) -> None:
        leaf = tg.tensor(np.zeros(100), requires_grad=True)
        shared = leaf * 2.0

        def work(number: int) -> None:
            for _ in range(TIMES):
                (shared * float(number)).sum().backward()

        at_the_same_time(work)
        assert np.unique(leaf.grad.tolist()).tolist() == [2 * TIMES * sum(range(THREADS))]

    def test_of_a_model_are_all_kept(self) -> None:
        model = tg.nn.Sequential(tg.nn.Linear(5, 4), tg.nn.Linear(4, 3))
        x = tg.ones((2, 5))
        model(x).sum().backward()
        once = [parameter.grad.numpy() for parameter in model.parameters()]
        model.zero_grad()

        def work(_: int) -> None:
            for _ in range(TIMES):
                model(x).sum().backward()

        at_the_same_time(work)
        for parameter, expected in zip(model.parameters(), once, strict=True):
            np.testing.assert_allclose(
                parameter.grad.numpy(), THREADS * TIMES * expected, rtol=1e-4, atol=1e-3
            )

    def test_may_be_computed_by_a_finalizer_of_an_earlier_gradient(self) -> None:
        leaf, other = tg.scalar(1.0), tg.scalar(1.0)
        leaf.backward()
        assert leaf.grad is not None
        # Runs while the sum takes the place of the earlier gradient.
        weakref.finalize(leaf.grad, lambda: (other * 3.0).backward())
        leaf.backward()
        assert leaf.grad is not None
        assert other.grad is not None
        assert (leaf.grad.item(), other.grad.item()) == (2.0, 3.0)

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_are_computed_in_a_process_forked_from_threads(self) -> None:
        code = """
import os, threading, warnings
import numpy as np
import tinygrad_lab as tg
leaf, over = tg.tensor(np.zeros(200_000), requires_grad=True), threading.Event()
def work():
    while not over.is_set():
        (leaf * 1.0).sum().backward()
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(20):
    child = os.fork()
    if not child:
        x = tg.scalar(3.0)
        (x * x).backward()
        os._exit(x.grad.item() != 6.0)
    assert os.waitpid(child, 0)[1] == 0
over.set()
"""
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_first_calls_of_ops_may_come_from_several_threads() -> None:
    code = """
import sys, threading
import numpy as np
import tinygrad_lab as tg
sys.setswitchinterval(1e-6)
calls = [lambda x: x * x, lambda x: 3 - x, lambda x: x / 2, lambda x: x**2, lambda x: x @ x, tg.exp,
         tg.tanh, tg.relu, lambda x: x.mean(), lambda x: x[1:3], tg.cumulative_sum, tg.sort, tg.max,
         lambda x: tg.softmax(x, axis=0), lambda x: tg.stack([x, x]), lambda x: tg.unstack(x)[0],
         lambda x: tg.where(x > 0, x, 2 * x), lambda x: tg.maximum(x, 0.5), tg.std]
for call in calls:
    start, found = threading.Barrier(8), []
    def work():
        x = tg.tensor(np.arange(7.0) - 2, requires_grad=True)
        start.wait()
        call(x).sum().backward()
        found.append(x.grad.tolist())
    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    assert len(found) == 8 and all(one == found[0] for one in found), found
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_forms_are_shared_between_threads() -> None:
    for size in range(7000, 7030):
        forms = at_the_same_time(lambda _, size=size: form_of(np.zeros(size)))
        assert len(set(map(id, forms))) == 1


def test_plans_are_shared_between_threads() -> None:
    for count in range(2, 30):
        needs = (True,) * count
        plans = at_the_same_time(lambda _, needs=needs: table["concat"].plan(needs))
        assert len(set(map(id, plans))) == 1
