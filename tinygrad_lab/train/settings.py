"""The settings of a training for each model, and the accuracies in the paper.

Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020; ICML 2024),
arXiv:2011.14439.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from tinygrad_lab.errors import ArgumentError

__all__ = [
    "DEFAULTS",
    "PUBLISHED",
    "PUBLISHED_SHUFFLED",
    "REFERENCE",
    "Published",
    "Schedule",
    "Settings",
]

Schedule: TypeAlias = Literal["constant", "cosine", "steps"]


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a training by Adam with decoupled weight decay (plain Adam if it is 0).

    ``steps`` counts updates of the parameters, ``batch_size`` the samples in each; ``lr`` is the
    learning rate of the first step. ``schedule`` says how it changes: ``"constant"``; or
    ``"cosine"``, down to 0 along half a period of a cosine (Loshchilov & Hutter, "SGDR", 2017,
    without restarts); or ``"steps"``, a tenth of it after half of the training, a hundredth after
    four fifths. ``weight_decay`` shrinks the weights, not the biases, by the factor ``1 - lr *
    weight_decay`` at each step (Loshchilov & Hutter, "Decoupled Weight Decay Regularization",
    2019).

    Raises ``ArgumentError`` for invalid numbers.

    >>> Settings(steps=100, schedule="cosine").learning_rate(step=51)
    0.005
    """

    steps: int = 6000
    lr: float = 1e-2
    batch_size: int = 100
    weight_decay: float = 0.0
    schedule: Schedule = "constant"

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ArgumentError(f"Settings: steps must be at least 1; got {self.steps}")
        if not (0 < self.lr < math.inf):
            raise ArgumentError(f"Settings: lr must be positive and finite; got {self.lr}")
        if self.batch_size < 1:
            raise ArgumentError(f"Settings: batch_size must be at least 1; got {self.batch_size}")
        if not (0 <= self.weight_decay < math.inf):
            raise ArgumentError(
                f"Settings: weight_decay must be finite and not negative; got {self.weight_decay}"
            )
        if self.schedule not in get_args(Schedule):
            known = ", ".join(map(repr, get_args(Schedule)))
            raise ArgumentError(f"Settings: schedule must be one of {known}; got {self.schedule!r}")

    def learning_rate(self, step: int) -> float:
        """Return the learning rate of a step; the first step is 1.

        The cosine is evaluated at ``step - 1``, so the last step still has a rate above 0.
        """
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "steps":
            passed = (step - 1) / self.steps
            return self.lr * (1 if passed < 0.5 else 0.1 if passed < 0.8 else 0.01)
        return self.lr * 0.5 * (1 + math.cos(math.pi * (step - 1) / self.steps))


REFERENCE = Settings()
"""The settings of the paper's code: Adam at 1e-2 for 6,000 batches of 100."""

DEFAULTS: Mapping[str, Settings] = {
    "logistic": Settings(schedule="steps"),
    "mlp": Settings(steps=10_000, batch_size=50, weight_decay=0.3, schedule="steps"),
    "cnn": REFERENCE,
    "gru": Settings(schedule="steps"),
}
"""The settings of ``tinygrad-lab train`` for each model.

Chosen on validation splits of the training data, never on the test set; see ``docs/training.md``.
"""


@dataclass(frozen=True, slots=True)
class Published:
    """A test accuracy from the paper, in percent, with its ``spread`` if given."""

    accuracy: float
    spread: float | None = None

    def __str__(self) -> str:
        spread = "" if self.spread is None else f" ± {self.spread:g}"
        return f"{self.accuracy:g}{spread}"


PUBLISHED: Mapping[str, Published] = {
    "logistic": Published(32, 1),
    "mlp": Published(68, 2),
    "cnn": Published(94, 2),
    "gru": Published(91, 2),
}
"""The paper's test accuracies."""

PUBLISHED_SHUFFLED: Mapping[str, Published] = {
    "logistic": Published(32),
    "mlp": Published(68),
    "cnn": Published(56),
    "gru": Published(57),
}
"""The same for signals whose 40 points were shuffled in the same order."""
