"""The training loop: one update, many updates, and a whole training with measurements."""

import copy
import itertools
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
from tinygrad_lab.random.generator import default_generator, from_states
from tinygrad_lab.train.divergence import first_not_finite
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
"""The number of measurements for a smooth curve."""

MOST_STEPS_UNMEASURED = 500
"""The most steps between measurements: runs are saved at each, and a kill loses later steps."""

Status: TypeAlias = Literal["running", "finished", "interrupted", "diverged"]


@dataclass(frozen=True, slots=True)
class Step:
    """One update, with the loss in nats and accuracy in percent of its batch, before the update.

    ``cause`` says what made the loss NaN or infinite, if it is: the first op that did, forward or
    backward, and its line; or the sample that was NaN in the data.
    """

    number: int
    loss: float
    accuracy: float
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Measurement:
    """The state of a training after a step; losses in nats, accuracies in percent.

    ``loss`` and ``train_accuracy`` are means over the batches since the last measurement, each
    taken before its update; ``test_loss`` and ``test_accuracy`` are those of the whole test set at
    this step.
    """

    step: int
    loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float

    @property
    def is_finite(self) -> bool:
        """Whether all numbers are finite, so that training can continue."""
        return math.isfinite(self.loss) and math.isfinite(self.test_loss)


def update(model: Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor) -> tuple[float, float]:
    """Train a model on one batch, and return its loss and accuracy before the update.

    ``x`` are inputs of shape (N, ...), ``y`` labels of shape (N,); the loss is in nats, the
    accuracy in percent. If the loss is not finite, the model is not updated.
    """
    loss, logits = _learn(model, optimizer, x, y)
    return loss.item(), _accuracy(logits, y)


def _learn(
    model: Module, optimizer: optim.Optimizer, x: Tensor, y: Tensor
) -> tuple[Tensor, Tensor]:
    """Update the model and return loss and logits as tensors: a step that can be compiled."""
    logits = model(x)
    loss = cross_entropy(logits, y)
    if _is_finite(loss):
        optimizer.zero_grad()
        loss.backward(free=True)
        optimizer.step()
    return loss, logits


def _is_finite(loss: Tensor) -> bool:
    """Return whether the loss is finite; a compiled step checks again on each call."""
    xp = namespace_of([loss.data])
    return xp.holds(xp.isfinite(loss.data))


def compiles_on(device: str) -> bool:
    """Return whether steps on a device are compiled, since they become NumPy code."""
    return device == "cpu"


def _step_of(
    model: Module, optimizer: optim.Optimizer, compiled: bool
) -> Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return the training step, compiled if possible; otherwise warn once and run it as it is."""

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
            # The failed attempt changed nothing.
            warnings.warn(f"the training continues uncompiled. {reason}", stacklevel=3)
            run = step
            return run(x, y)

    return run_or_fall_back


def train_steps(
    model: Module, data: MNIST1D, settings: Settings, *, seed: int = 0, compiled: bool = True
) -> Iterator[Step]:
    """Train a model step by step; the caller may measure, save or stop between steps.

    The batches are drawn by ``seed``, epoch after epoch, and move to the model's device. The steps
    end after ``settings.steps``, or with the first loss that is not finite; then the training is
    repeated up to it, every op of the last two steps checked, and the step says the cause. On the
    CPU steps are compiled (``tg.compile``) if ``compiled``: the numbers are the same, bit for bit.

    Raises ``ArgumentError`` if a batch is larger than the training set.

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
    # What a training that diverges is repeated from, to see why it did.
    start, state = copy.deepcopy(model), default_generator.get_state()
    for number, loss, accuracy in _updates(model, data, settings, seed, compiled):
        if math.isfinite(loss):
            yield Step(number, loss, accuracy)
            continue
        with from_states({default_generator: state}):
            again = _updates(start, data, settings, seed, compiled)
            cause = first_not_finite(start, again, _batches(data, settings, seed), data.x, number)
        yield Step(number, loss, accuracy, cause)
        return


def _updates(
    model: Module, data: MNIST1D, settings: Settings, seed: int, compiled: bool
) -> Iterator[tuple[int, float, float]]:
    """Update a model batch by batch, and yield each step's number, loss and accuracy."""
    device = _device_of(model)
    optimizer = optim.AdamW(_groups(model, settings), lr=settings.lr, weight_decay=0.0)
    model.train()
    step = _step_of(model, optimizer, compiled)
    for number, (x, y) in enumerate(_batches(data, settings, seed), start=1):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate(number)
        # An overflow leads to a loss that is not finite, of which a step says the cause.
        with np.errstate(all="ignore"):
            labels = tensor(y, device=device)
            loss, logits = step(tensor(x, device=device), labels)
        yield number, loss.item(), _accuracy(logits, labels)


def _groups(model: Module, settings: Settings) -> list[Any]:
    """Return the parameters; with weight decay, in one group of weights and one of biases."""
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
    """Train a model and return measurements, every ``measure_every`` steps and at the end.

    The same seeds (this one, and ``tg.seed`` before the model was made) give the same numbers,
    bit for bit, on the same machine with the same number of BLAS threads (the command uses one).
    ``on_step`` gets each step, ``on_measurement`` the history up to each measurement; after each
    step ``should_stop`` may end the training. ``compiled`` is that of ``train_steps``. By default,
    ``measure_every`` gives about 60 measurements, and more if they would be more than 500 steps
    apart.

    Raises ``ArgumentError`` if ``measure_every`` is less than 1, or if a batch is larger than the
    training set.
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
    """Return mean loss in nats and accuracy in percent, in evaluation mode, without a graph.

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
    """Return how the training with this history ended."""
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


def _batches(data: MNIST1D, settings: Settings, seed: int) -> Iterator[tuple[Any, ...]]:
    """Yield the arrays of each step, epoch after epoch."""
    loader = DataLoader(
        data.x, data.y, batch_size=settings.batch_size, shuffle=True, drop_last=True, seed=seed
    )
    epochs = itertools.repeat(loader)
    return itertools.islice(itertools.chain.from_iterable(epochs), settings.steps)
