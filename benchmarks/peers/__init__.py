"""One module per participant.

Each has ``BUILDERS``: for a kind of problem, what makes the participant from it. Modules are
imported only for the rows they take part in, because importing a peer costs seconds and leaves
objects behind that Python's garbage collector walks through.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks.environment import installed
from benchmarks.participant import Participant

Builder = Callable[[Any], Participant]


@dataclass(frozen=True)
class Peer:
    """Who takes part: the name in tables, the package it needs, the module here."""

    name: str
    package: str
    module: str

    @property
    def available(self) -> bool:
        """Whether its package is installed."""
        return installed(self.package)

    def builder(self, kind: str) -> Builder:
        """What makes this peer's participant for a kind of row."""
        return importlib.import_module(f"benchmarks.peers.{self.module}").BUILDERS[kind]


NUMPY = Peer("NumPy by hand", "numpy", "numpy_by_hand")
TINYGRAD_LAB = Peer("tinygrad_lab", "tinygrad_lab", "with_tinygrad_lab")
TORCH = Peer("PyTorch", "torch", "with_torch")
AUTOGRAD = Peer("HIPS autograd", "autograd", "with_autograd")
MYGRAD = Peer("MyGrad", "mygrad", "with_mygrad")
MICROGRAD = Peer("micrograd", "micrograd", "with_micrograd")
MICROGRAD_NO_COLLECTOR = Peer("micrograd, gc off", "micrograd", "with_micrograd_no_collector")
