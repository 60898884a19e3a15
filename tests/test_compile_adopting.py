"""Replays whose states are elsewhere, or whose memory others hold, go on with the right numbers."""

from __future__ import annotations

import builtins
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.compiler.replay.replay import Replay

Wrap = Callable[[Callable[..., Any]], Any]


class _Loop:
    """A net with a step that updates it, one that only collects gradients, and one that reads."""

    def __init__(self, wrap: Wrap) -> None:
        tg.seed(0)
        self.net = nn.Sequential(nn.Linear(3, 40), nn.Tanh(), nn.Linear(40, 2))
        self.optimizer = tg.optim.Adam(self.net.parameters(), lr=0.05)

        def collect(x: Any, y: Any) -> Any:
            loss = nn.functional.cross_entropy(self.net(x), y)
            loss.backward()
            return loss

        def update(x: Any, y: Any) -> Any:
            self.optimizer.zero_grad()
            loss = collect(x, y)
            self.optimizer.step()
            return loss

        self.update, self.collect = wrap(update), wrap(collect)
        self.read = wrap(lambda x: self.net(x).sum())
        self.kept: list[Any] = []

    def do(self, what: str, x: Any, y: Any) -> Any:
        net, optimizer = self.net, self.optimizer
        match what:
            case "update":
                return self.update(x, y).item()
            case "fewer":
                return self.update(x[:3], y[:3]).item()
            case "outside":
                optimizer.zero_grad()
                loss = self.collect(x, y)
                optimizer.step()
                return loss.item()
            case "twice":
                optimizer.zero_grad()
                return self.collect(x, y).item() + self.collect(x, y).item()
            case "read":
                return self.read(x).item()
            case "keep state":
                self.kept.append(net.state_dict())
            case "keep gradients":
                self.kept.append({str(n): p.grad for n, p in enumerate(net.parameters())})
            case "keep one":
                self.kept.append({"": net[0].weight.detach()})
            case "keep a graph":
                self.kept.append({"": (net[0].bias * 2.0).sum()})
            case "go back":
                for graph in [kept[""] for kept in self.kept if "" in kept]:
                    if graph.requires_grad:
                        graph.backward()
            case "drop":
                self.kept.clear()
            case "halve first":
                net[0].weight.data = net[0].weight.detach() * 0.5
            case "load":
                net.load_state_dict({k: v * 0.9 for k, v in net.state_dict().items()})
            case "restart":
                optimizer.load_state_dict(optimizer.state_dict())
        return None

    def numbers(self) -> list[Any]:
        """Return everything that it has, and that others keep."""
        tensors = [*self.net.parameters(), *[p.grad for p in self.net.parameters()]]
        tensors += [one for kept in self.kept for one in kept.values()]
        return [None if one is None else np.array(one.detach()) for one in tensors]


_WHAT = [
    *("update", "fewer", "outside", "twice", "read", "keep state", "keep gradients", "keep one"),
    *("keep a graph", "go back", "drop", "halve first", "load", "restart"),
]


def _compiled_by(target: str) -> Wrap:
    if target == "numba":
        pytest.importorskip("llvmlite")
    return lambda function: tg.compile(function, target=target)


@pytest.mark.parametrize("target", ["numpy", "numba"])
@pytest.mark.parametrize("seed", range(12))
def test_any_order_of_calls_and_changes_gives_what_the_eager_loop_gives(
    seed: int, target: str
) -> None:
    chance, numbers = random.Random(seed), np.random.default_rng(seed)
    loops = [_Loop(lambda function: function), _Loop(_compiled_by(target))]
    # Habits: the same few things again and again, as a training loop does.
    habits = [chance.choices(_WHAT, k=chance.randint(1, 3)) for _ in range(6)]
    for habit in habits:
        for what in ["update", "fewer", *habit] * 5:
            x = tg.tensor(numbers.normal(size=(6, 3)).astype(np.float32))
            y = tg.tensor(numbers.integers(0, 2, 6))
            eager, compiled = [[loop.do(what, x, y), *loop.numbers()] for loop in loops]
            assert [one is None for one in eager] == [one is None for one in compiled]
            for one, other in zip(eager, compiled, strict=True):
                if one is None:
                    continue
                if target == "numpy":
                    mine, theirs = np.asarray(one).tobytes(), np.asarray(other).tobytes()
                    assert mine == theirs, (what, habit)
                else:  # compiled loops differ by rounding, which grows
                    np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("is_written", [True, False])
def test_compiled_loops_follow_an_array_that_they_only_read(is_written: bool) -> None:
    read, total = tg.zeros((3, 4)), tg.zeros((12,))

    def step(x: Any) -> Any:
        if is_written:
            total.data = total + 1.0
        return read.reshape(-1) + x

    compiled, kept = _compiled_by("numba")(step), []
    for number in range(8):
        kept.append(total.detach())
        read.data = np.full((3, 4), float(number), np.float32)
        assert compiled(tg.tensor(0.5)).tolist() == [number + 0.5] * 12
        assert total.tolist() == [(number + 1.0) * is_written] * 12
    assert [one.tolist() for one in kept] == [[n * is_written] * 12 for n in range(8)]


@pytest.mark.parametrize(
    "what", ["keep state", "keep gradients", "keep a graph", "outside", "fewer", "read"]
)
def test_what_is_done_at_each_call_neither_binds_anew_nor_records(
    what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a shell does with the last result, and scripts with their data.
    monkeypatch.setattr(builtins, "_", np.ones(2), raising=False)
    monkeypatch.setitem(globals(), "DATA", np.ones(2))
    loop = _Loop(tg.compile)
    x, y = tg.ones((6, 3)), tg.tensor([0, 1, 0, 1, 1, 0])

    def go() -> None:
        if what != "outside":
            loop.do("update", x, y)
        loop.kept.clear()
        loop.do(what, x, y)

    for _ in range(6):
        go()

    def refuse(*_: Any) -> None:
        raise AssertionError("a replay was bound anew")

    monkeypatch.setattr(Replay, "renew", refuse)
    for _ in range(3):
        go()


def test_replays_of_one_net_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = _Loop(tg.compile)
    x, y = tg.ones((6, 3)), tg.tensor([0, 1, 0, 1, 1, 0])
    for _ in range(6):
        loop.do("update", x, y)
        loop.do("fewer", x, y)
        loop.do("read", x, y)

    def refuse(*_: Any) -> None:
        raise AssertionError("a replay had to adopt what another one has left")

    monkeypatch.setattr(Replay, "adopt", refuse)
    for _ in range(3):
        loop.do("update", x, y)
        loop.do("fewer", x, y)
        loop.do("read", x, y)


def test_another_forward_of_a_module_is_noticed() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    step = tg.compile(lambda x: net(x).sum())
    x = tg.ones((1, 2))
    for _ in range(3):
        step(x)
    net[1].forward = lambda x: x * 7.0
    assert step(x).item() == net(x).sum().item()
    del net[1].forward
    assert step(x).item() == net(x).sum().item()


def test_a_part_of_the_net_that_moves_alone_leaves_the_rest() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = tg.optim.SGD(net.parameters(), lr=0.1)
    step = tg.compile(lambda x: net(x).sum())
    x = tg.ones((1, 2))
    net(x).sum().backward()
    optimizer.step()  # one vector for all
    for _ in range(3):
        step(x)
    for one in list(net.parameters()):
        one.data = one.detach() * 2.0
        assert step(x).item() == net(x).sum().item()
