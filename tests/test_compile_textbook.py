"""``step.textbook``: the mathematics of a step, line by line, equal up to rounding."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.train.models import MODELS, make_model

Step = Callable[..., Any]

ULP = float(np.finfo(np.float32).eps)

OPTIMIZERS: dict[str, Callable[[Any], tg.optim.Optimizer]] = {
    "sgd": lambda params: tg.optim.SGD(params, lr=0.05),
    "momentum": lambda params: tg.optim.SGD(params, lr=0.05, momentum=0.9, weight_decay=1e-3),
    "nesterov": lambda params: tg.optim.SGD(params, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda params: tg.optim.Adam(params, lr=0.01),
    "adam with decay": lambda params: tg.optim.Adam(params, lr=0.01, weight_decay=1e-2),
    "adamw": lambda params: tg.optim.AdamW(params, lr=0.01),
}


def batch(seed: int = 0, size: int = 12, width: int = 40) -> tuple[tg.Tensor, tg.Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(size, width)).astype(np.float32)
    return tg.tensor(x), tg.tensor(rng.integers(0, 10, size))


class Training:
    """A model, an optimiser and the usual four-line step."""

    def __init__(self, model: nn.Module, optimizer: str) -> None:
        self.model = model
        self.optimizer = OPTIMIZERS[optimizer](self.model.parameters())

    def step(self, x: tg.Tensor, y: tg.Tensor) -> tg.Tensor:
        loss = nn.functional.cross_entropy(self.model(x), y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self) -> dict[str, Any]:
        """Return the state before the first step."""
        state: dict[str, Any] = {"steps": 0}
        for name, parameter in self.model.named_parameters():
            key = name.replace(".", "_")
            key = key if key[0].isalpha() else f"layer{key}"
            state[key] = parameter.detach().numpy().copy()
            for symbol in self.optimizer.symbols:
                state[f"{symbol}_{key}"] = np.zeros_like(state[key])
        return state


def executed(text: str) -> Step:
    namespace: dict[str, Any] = {}
    exec(compile(text, "<textbook>", "exec"), namespace)
    found: Step = namespace["step"]
    return found


def textbook_of(step: Any, *args: Any) -> str:
    compiled = tg.compile(step)
    for _ in range(2):
        compiled(*args)
    text: str = compiled.textbook
    return text


def trained(name: str, optimizer: str) -> Training:
    tg.seed(0)
    return Training(make_model(name), optimizer)


def furthest(one: Any, other: Any) -> float:
    """Return the largest difference, in units of float32's eps times the largest number."""
    scale = max(float(np.abs(other).max()), 1e-30)
    return float(np.abs(one - other).max()) / scale / ULP


def check_ten_steps(make: Callable[[], Training], batches: list[Any], ulps: float) -> float:
    """Train on eagerly, and by the text alone; return how far apart they ever are."""
    eager, taught = make(), make()
    state = taught.state()
    step = executed(textbook_of(make().step, *batches[0]))
    apart = 0.0
    for x, y in batches:
        # Each step starts from the same numbers: what is measured is one step.
        loss = step(x.numpy(), y.numpy(), state)
        expected = eager.step(x, y)
        assert loss.dtype == expected.dtype
        apart = max(apart, furthest(loss, expected.detach().numpy()))
        for name, parameter in eager.model.named_parameters():
            key = name.replace(".", "_")
            key = key if key[0].isalpha() else f"layer{key}"
            assert state[key].dtype == parameter.dtype
            assert state[key].shape == parameter.shape
            apart = max(apart, furthest(state[key], parameter.detach().numpy()))
    assert apart <= ulps
    return apart


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", MODELS)
def test_the_text_trains_the_four_nets_on_its_own(name: str, optimizer: str) -> None:
    batches = [batch(seed) for seed in range(10)]
    apart = check_ten_steps(lambda: trained(name, optimizer), batches, 300)
    print("APART", name, optimizer, apart)
