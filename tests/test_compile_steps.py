"""Steps as users write them give the same compiled as eager, bit for bit, over several calls."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F

Step = Callable[..., Any]
CALLS = 6


def normal(seed: int, *shape: int) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).normal(size=shape).astype(np.float32))


def labels(seed: int, size: int, count: int = 3) -> tg.Tensor:
    return tg.tensor(np.random.default_rng(seed).integers(0, count, size))


class Case:
    """A step with what it learns; between two calls ``between(number)`` may change things."""

    def __init__(self, model: nn.Module, optimizer: Any = tg.optim.Adam, **settings: Any) -> None:
        self.model = model
        self.optimizer = optimizer(model.parameters(), **{"lr": 0.05, **settings})

    def step(self, x: tg.Tensor, y: tg.Tensor) -> Any:
        loss = self.loss(x, y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def loss(self, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        return F.cross_entropy(self.model(x), y)

    def batch(self, number: int) -> tuple[Any, ...]:
        return normal(number, 8, 5), labels(number, 8)

    def between(self, number: int) -> None:
        """What happens before a call."""

    def state(self) -> list[Any]:
        """All that outlives a step."""
        model, optimizer = self.model.state_dict(), self.optimizer.state_dict()["state"]
        grads = [p.grad for p in self.model.parameters()]
        return [
            *[value.numpy().copy() for value in model.values()],
            *[None if g is None else g.numpy().copy() for g in grads],
            *[np.asarray(part) for one in optimizer.values() for part in one.values()],
        ]


def arrays_of(result: Any) -> list[Any]:
    from tinygrad_lab import trees

    leaves, _ = trees.flatten(result)
    return [leaf.detach().numpy().copy() if isinstance(leaf, tg.Tensor) else leaf for leaf in leaves]


def assert_same(mine: Any, theirs: Any) -> None:
    assert len(mine) == len(theirs)
    for one, other in zip(mine, theirs, strict=True):
        assert (one is None) is (other is None)
        np.testing.assert_array_equal(one, other)
        assert getattr(one, "dtype", None) == getattr(other, "dtype", None)


def run(make: Callable[[], Any], compiling: bool) -> tuple[list[Any], Any]:
    tg.seed(0)
    case = make()
    step = tg.compile(case.step) if compiling else case.step
    seen = []
    for number in range(CALLS):
        case.between(number)
        seen.append((arrays_of(step(*case.batch(number))), case.state(), tg.random.normal(2).tolist()))
    return seen, step


def same(make: Callable[[], Any], replays: int = 1) -> Any:
    """Run a case both ways, and hold every call against its twin."""
    mine, step = run(make, True)
    theirs, _ = run(make, False)
    for number, (one, other) in enumerate(zip(mine, theirs, strict=True)):
        try:
            assert_same(one[0], other[0])
            assert_same(one[1], other[1])
            assert one[2] == other[2], "the generator"
        except AssertionError as error:
            raise AssertionError(f"call {number}: {error}") from None
    assert len(step._replays) == replays
    return step
