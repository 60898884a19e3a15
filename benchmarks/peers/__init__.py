"""One module per participant.

Each has ``BUILDERS``: for a kind of problem, the function that makes the participant. Modules are
imported only for the rows they take part in, because importing a peer takes seconds and leaves
behind objects that Python's garbage collector walks through.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

from benchmarks.environment import installed
from benchmarks.participant import Participant

Builder = Callable[[Any], Participant]


@dataclass(frozen=True)
class Peer:
    """A participant: its name in tables, the package it needs, its module here."""

    name: str
    package: str
    module: str

    @property
    def available(self) -> bool:
        """Whether its package is installed."""
        return installed(self.package)

    def builder(self, kind: str) -> Builder:
        """Return the function that makes this peer's participant for a kind of row."""
        return importlib.import_module(f"benchmarks.peers.{self.module}").BUILDERS[kind]


@dataclass(frozen=True)
class CompiledPeer(Peer):
    """tinygrad_lab's compiled steps; ``package`` is the one that the target needs."""

    target: str

    @cached_property
    def available(self) -> bool:  # type: ignore[override]
        """Whether its package is installed, and ``tg.compile`` has such a target."""
        if not super().available:
            return False
        import tinygrad_lab as tg

        try:
            tg.compile(lambda: None, target=self.target)
        except tg.errors.ArgumentError:
            return False
        return True

    def builder(self, kind: str) -> Builder:
        """Return the function that makes a participant, compiled to the target."""
        return partial(super().builder(kind), target=self.target)


NUMPY = Peer("NumPy by hand", "numpy", "numpy_by_hand")
TINYGRAD_LAB = Peer("tinygrad_lab", "tinygrad_lab", "with_tinygrad_lab")
PLAIN = Peer("tinygrad_lab, plain", "tinygrad_lab", "with_tinygrad_lab_plain")
TORCH = Peer("PyTorch", "torch", "with_torch")
AUTOGRAD = Peer("HIPS autograd", "autograd", "with_autograd")
MYGRAD = Peer("MyGrad", "mygrad", "with_mygrad")
MICROGRAD = Peer("micrograd", "micrograd", "with_micrograd")
MICROGRAD_NO_COLLECTOR = Peer("micrograd, gc off", "micrograd", "with_micrograd_no_collector")

BUFFERS = Peer("NumPy with buffers", "numpy", "numpy_with_buffers")
COMPILED_NUMPY = CompiledPeer(
    "tg.compile, numpy", "numpy", "with_tinygrad_lab_compiled", target="numpy"
)
COMPILED_NUMBA = CompiledPeer(
    "tg.compile, numba", "llvmlite", "with_tinygrad_lab_compiled", target="numba"
)
COMPILED_PYTHON = CompiledPeer(
    "tg.compile, python", "tinygrad_lab", "with_tinygrad_lab_compiled", target="python"
)
JAX = Peer("JAX jit", "jax", "with_jax")
NUMBA = Peer("numba by hand", "numba", "with_numba")
TORCH_COMPILED = Peer("torch.compile", "torch", "with_torch_compiled")
