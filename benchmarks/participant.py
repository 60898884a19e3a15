"""The interface of the participants in a row."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass
class Outcome:
    """A loss and its gradients, as NumPy arrays in PyTorch's layouts."""

    loss: float
    gradients: dict[str, np.ndarray]


class Participant(ABC):
    """One way to compute a row's step.

    A new participant has the problem's starting weights. ``reset`` returns it to them, so
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
        """Run what is timed: forward, loss, backward, update. Return the loss in its own type."""

    @abstractmethod
    def outcome(self) -> Outcome:
        """Return loss and gradients at the starting weights."""
