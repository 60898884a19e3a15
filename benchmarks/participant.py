"""What the harness asks of everybody who takes part in a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Outcome:
    """A loss and the gradients that belong to it, as NumPy arrays in PyTorch's layouts."""

    loss: float
    gradients: dict[str, np.ndarray]


class Participant(ABC):
    """One way to compute a row's step.

    A fresh participant stands at the problem's starting weights. ``reset`` brings it back there, so
    that every timed block does the same work: after thousands of steps on one batch, gradients and
    moments become denormal numbers, which processors are slow at.
    """

    name: str
    collector = True  # whether Python's cyclic garbage collector stays on while this one is timed

    @abstractmethod
    def reset(self) -> None:
        """Return to the starting weights and a fresh optimiser."""

    @abstractmethod
    def step(self) -> Any:
        """Forward, loss, backward, update: what is timed. Returns the loss in its own type."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Loss and gradients at the starting weights."""
