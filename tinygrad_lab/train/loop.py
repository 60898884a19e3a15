"""The training loop: one update, a row of updates, and a whole training with its measurements."""

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from tinygrad_lab import optim
from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.backends import namespace_of
from tinygrad_lab.context import no_grad
from tinygrad_lab.data import MNIST1D, DataLoader
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, CompileError
from tinygrad_lab.nn import Module
from tinygrad_lab.nn.functional import cross_entropy
from tinygrad_lab.train.settings import Settings

__all__ = [
    "Measurement",
    "Status",
    "Step",
    "compiles_on",
    "evaluate",
    "fit",
    "status",
    "train_steps",
    "update",
]

MEASUREMENTS = 60
"""How many measurements make a smooth curve."""

MOST_STEPS_UNMEASURED = 500
"""How many steps may pass without one: runs are saved then, and a kill loses those after."""

Status: TypeAlias = Literal["running", "finished", "interrupted", "diverged"]


@dataclass(frozen=True, slots=True)
class Step:
    """One update: its loss in nats and its accuracy in percent are the batch's, before it."""

    number: int
    loss: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """Where a training stands after a step; losses in nats, accuracies in percent.

    ``loss`` and ``train_accuracy`` are means over the batches since the last measurement, each
    taken before its update; ``test_loss`` and ``test_accuracy`` are those of the whole test set
    at this moment.
    """

    step: int
    loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float

    @property
    def is_finite(self) -> bool:
        """Whether there are still numbers to train with."""
        return math.isfinite(self.loss) and math.isfinite(self.test_loss)


def update(model: Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Let a model learn from one batch, and return its loss and accuracy as they were before.

    ``x`` are inputs of shape (N, ...), ``y`` labels of shape (N,); the loss is in nats, the
    accuracy in percent. A loss that is not finite has no gradient to follow: the model then
    stays as it is.
    """
    loss, logits = _learn(model, optimizer, x, y)
    return loss.item(), _accuracy(logits, y)


def _learn(
    model: Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """The update, with its loss and logits as tensors: a step that can be compiled."""
    logits = model(x)
    loss = cross_entropy(logits, y)
    if _is_finite(loss):
        optimizer.zero_grad()
        loss.backward(free=True)
        optimizer.step()
    return loss, logits


def _is_finite(loss: Tensor) -> bool:
    """Whether there is a gradient to follow; a compiled step looks anew at each call."""
    xp = namespace_of([loss.data])
    return xp.holds(xp.isfinite(loss.data))


def compiles_on(device: str) -> bool:
    """Whether steps on a device are compiled: they become NumPy code."""
    return device == "cpu"


def _step_of(
    model: Module, optimizer: optim.Optimizer, compiled: bool
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """The step of a training; one that cannot be compiled runs as it is, with one warning."""

    from tinygrad_lab.compiler import compile as compile_step

    def step(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        return _learn(model, optimizer, x, y)

    if not (compiled and compiles_on(_device_of(model))):
        return step
    run = compile_step(step)

    def run_or_fall_back(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        nonlocal run
        try:
            return run(x, y)
        except CompileError as reason:
            # It left everything as it was before.
            warnings.warn(f"the training goes on uncompiled. {reason}", stacklevel=3)
            run = step
            return run(x, y)

    return run_or_fall_back


def train_steps(
    model: Module, data: MNIST1D, settings: Settings, *, seed: int = 0, compiled: bool = True
) -> Iterator[Step]:
    """Train a model, step by step: whoever iterates shows, measures, saves, and stops at will.

    The batches are drawn by ``seed``, epoch after epoch, and go to where the model is. The steps
    end with ``settings.steps``, or with the first whose loss is not finite. On the CPU they are
    compiled (``tg.compile``), if ``compiled``: the numbers are the same, bit for bit.

    Raises ``ArgumentError`` where a batch would be larger than the training set.

    >>> from tinygrad_lab.data import mnist1d
    >>> from tinygrad_lab.train import make_model
    >>> for step in train_steps(make_model("mlp"), mnist1d(), Settings(steps=3)):
    ...     print(step.number)
    1
    2
    3
    """
    if settings.batch_size > len(data.y):
        raise ArgumentError(
            f"train_steps: a batch of {settings.batch_size} is larger than the training set of "
            f"{len(data.y)} samples"
        )
    device = _device_of(model)
    loader = DataLoader(
        data.x, data.y, batch_size=settings.batch_size, shuffle=True, drop_last=True, seed=seed
    )
    optimizer = optim.AdamW(_groups(model, settings), lr=settings.lr, weight_decay=0.0)
    model.train()
    step = _step_of(model, optimizer, compiled)
    for number, (x, y) in zip(range(1, settings.steps + 1), _endless(loader), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate(number)
        # What overflows ends in a loss that is not finite, and that is told once, below.
        with np.errstate(all="ignore"):
            labels = tensor(y, device=device)
            loss, logits = step(tensor(x, device=device), labels)
        yield Step(number, loss.item(), _accuracy(logits, labels))
        if not math.isfinite(loss.item()):
            return


def _groups(model: Module, settings: Settings) -> list[Any]:
    """The parameters; where weights decay, those apart from the biases, which do not."""
    parameters = list(model.parameters())
    if not settings.weight_decay:
        return parameters
    return [
        {
            "params": [parameter for parameter in parameters if parameter.ndim > 1],
            "weight_decay": settings.weight_decay,
        },
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1]},
    ]


def fit(
    model: Module,
    data: MNIST1D,
    settings: Settings,
    *,
    seed: int = 0,
    compiled: bool = True,
    measure_every: int | None = None,
    on_step: Callable[[Step], None] | None = None,
    on_measurement: Callable[[list[Measurement]], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> list[Measurement]:
    """Train a model and return what was measured, every ``measure_every`` steps and at the end.

    The same seeds (this one, and ``tg.seed`` before the model was made) give the same numbers,
    bit for bit, on the same machine with as many threads of BLAS (the command uses one).
    ``on_step`` is told of each step, ``on_measurement`` of each measurement, with all those
    before it; after each step ``should_stop`` may end the training. ``compiled`` is that of
    ``train_steps``. Left to itself, ``measure_every`` gives about 60 measurements, and more where
    they would be more than 500 steps apart.

    Raises ``ArgumentError`` where ``measure_every`` is less than 1, or a batch would be larger
    than the training set.
    """
    if measure_every is None:
        measure_every = min(max(1, settings.steps // MEASUREMENTS), MOST_STEPS_UNMEASURED)
    if measure_every < 1:
        raise ArgumentError(f"fit: measure_every must be at least 1; got {measure_every}")
    device = _device_of(model)
    x_test, y_test = tensor(data.x_test, device=device), tensor(data.y_test, device=device)
    history: list[Measurement] = []
    since_last: list[Step] = []
    for step in train_steps(model, data, settings, seed=seed, compiled=compiled):
        since_last.append(step)
        if on_step is not None:
            on_step(step)
        stop = should_stop()
        at_end = step.number == settings.steps or stop or not math.isfinite(step.loss)
        if at_end or step.number % measure_every == 0:
            history.append(_measurement(since_last, *evaluate(model, x_test, y_test)))
            since_last.clear()
            if on_measurement is not None:
                on_measurement(history)
        if stop:
            break
    return history


def evaluate(model: Module, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Return the mean loss in nats and the accuracy in percent, in evaluation mode, without graph.

    ``x`` are inputs of shape (N, ...), ``y`` labels of shape (N,).
    """
    was_training = model.training
    model.eval()
    try:
        with no_grad(), np.errstate(all="ignore"):
            logits = model(x)
            return cross_entropy(logits, y).item(), _accuracy(logits, y)
    finally:
        model.train(was_training)


def status(history: list[Measurement], settings: Settings) -> Status:
    """Say how a training ended that left this history."""
    if not history[-1].is_finite:
        return "diverged"
    return "finished" if history[-1].step == settings.steps else "interrupted"


def _measurement(steps: list[Step], test_loss: float, test_accuracy: float) -> Measurement:
    return Measurement(
        step=steps[-1].number,
        loss=sum(step.loss for step in steps) / len(steps),
        train_accuracy=sum(step.accuracy for step in steps) / len(steps),
        test_loss=test_loss,
        test_accuracy=test_accuracy,
    )


def _accuracy(logits: Tensor, y: Tensor) -> float:
    correct = logits.data.argmax(axis=1) == y.data
    return 100 * int(correct.sum()) / len(y)


def _device_of(model: Module) -> str:
    return next(model.parameters()).device


def _endless(loader: DataLoader) -> Iterator[tuple[Any, ...]]:
    while True:
        yield from loader
