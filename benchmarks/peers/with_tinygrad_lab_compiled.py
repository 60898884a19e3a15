"""tinygrad_lab, the same steps compiled; the peer passes the target."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import tinygrad_lab as tg
from benchmarks.participant import Outcome
from benchmarks.peers import with_tinygrad_lab
from benchmarks.peers.scalar_demo import demo_loss
from benchmarks.problems import ScalarChains, ScalarMLP, Training
from tinygrad_lab import nn
from tinygrad_lab.errors import CompileError

MOST_CALLS = 6


def first_calls(compiled: Any, *arguments: Any) -> list[float]:
    """Call until a step is compiled, and once more; return the seconds of each call.

    Raises `tinygrad_lab.errors.CompileError` if it is not compiled after `MOST_CALLS`:
    an eager step must not be timed as compiled.
    """
    seconds = []
    for number in range(MOST_CALLS):
        seconds.append(_seconds(compiled, *arguments))
        if number > 0 and _is_compiled(compiled):
            break
    _ = compiled.optimized_source
    return [*seconds, _seconds(compiled, *arguments)]


def _seconds(function: Any, *arguments: Any) -> float:
    start = perf_counter()
    function(*arguments)
    return perf_counter() - start


def _is_compiled(step: Any) -> bool:
    try:
        _ = step.optimized_source
    except CompileError:
        return False
    return True


class TrainingStep(with_tinygrad_lab.TrainingStep):
    """The usual four lines, compiled when this is made."""

    def __init__(self, problem: Training, target: str) -> None:
        super().__init__(problem)
        self.name = f"tg.compile, {target}"
        self.start = self.optimiser.state_dict()
        self.compiled = tg.compile(self.body, target=target)
        self.first_calls = first_calls(self.compiled, self.x, self.labels)

    def reset(self) -> None:
        """Reset weights and state; the optimiser stays the same object, which was recorded."""
        if not hasattr(self, "start"):
            super().reset()
            return
        for name, p in self.model.named_parameters():
            p.data = self.problem.parameters[name].copy()
        self.optimiser.load_state_dict(self.start)

    def body(self, x: tg.Tensor, labels: tg.Tensor) -> tg.Tensor:
        """Run the step that is compiled."""
        loss = nn.functional.cross_entropy(self.model(x), labels)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return loss

    def step(self) -> tg.Tensor:
        return self.compiled(self.x, self.labels)

    def outcome(self) -> Outcome:
        self.reset()
        loss = self.step()
        gradients = {name: p.grad.numpy().copy() for name, p in self.model.named_parameters()}
        return Outcome(loss.item(), gradients)


class ScalarMLPStep(with_tinygrad_lab.ScalarMLPStep):
    """micrograd's demo over Python floats, neuron by neuron, updated as in the demo."""

    def __init__(self, problem: ScalarMLP, target: str) -> None:
        super().__init__(problem)
        self.name = f"tg.compile, {target}"
        self.compiled = tg.compile(self.body, target=target)
        self.first_calls = first_calls(self.compiled)

    def body(self) -> tg.Tensor:
        """Run the step that is compiled; the points are constants in it."""
        loss = demo_loss(self.model, self.parameters, self.problem, tg.scalar)
        for p in self.parameters:
            p.grad = None
        loss.backward()
        for p in self.parameters:
            p.data = p.detach() - p.grad * self.problem.learning_rate
        return loss

    def step(self) -> tg.Tensor:
        return self.compiled()

    def _backward(self) -> tg.Tensor:
        return self.step()


class ScalarChainsStep(with_tinygrad_lab.ScalarChainsStep):
    """Chains of Python floats: the whole graph of 10⁵ operations as code."""

    def __init__(self, problem: ScalarChains, target: str) -> None:
        super().__init__(problem)
        self.name = f"tg.compile, {target}"
        self.compiled = tg.compile(self.body, target=target)
        self.first_calls = first_calls(self.compiled)

    def body(self) -> tg.Tensor:
        """Run the step that is compiled."""
        ends = []
        for h, w, b in zip(*self.leaves.values(), strict=True):
            for _ in range(self.links):
                h = (h * w + b).relu()
            ends.append(h)
        loss = sum(ends[1:], ends[0])
        for group in self.leaves.values():
            for leaf in group:
                leaf.grad = None
        loss.backward()
        return loss

    def step(self) -> tg.Tensor:
        return self.compiled()


BUILDERS = {
    "training": TrainingStep,
    "scalar chains": ScalarChainsStep,
    "scalar mlp": ScalarMLPStep,
}
