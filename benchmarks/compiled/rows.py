"""The rows W1 to W5, their participants, and the bars."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import peers, problems
from benchmarks.peers import Peer
from benchmarks.report import Verdict
from benchmarks.rows import Row

ROUNDS = 25
OURS, NUMBA_TARGET = peers.COMPILED_NUMPY.name, peers.COMPILED_NUMBA.name

# The first is the reference of all ratios.
ONE_CORE = (
    peers.BUFFERS,
    peers.NUMPY,
    peers.TINYGRAD_LAB,
    peers.COMPILED_NUMPY,
    peers.COMPILED_NUMBA,
    peers.TORCH,
    peers.JAX,
)
# In a process of its own: XLA fixes the number of cores once per process.
EVERY_CORE = (peers.BUFFERS, peers.JAX)

Ratios = Mapping[str, float]
"""By participant, its time relative to the hand-written step with buffers."""


BARS: dict[str, tuple[Bar, ...]] = {}
"""The bars, by the key of the row."""


@dataclass(frozen=True)
class Bar:
    """A limit on one participant's time relative to another's."""

    slower: str
    faster: str
    limit: float
    at_least: bool = True

    def verdict(self, row: str, ratios: Ratios) -> Verdict | None:
        """Return what was measured, or None if one of the two did not take part."""
        slower, faster = (
            next((ratio for name, ratio in ratios.items() if name.startswith(wanted)), None)
            for wanted in (self.slower, self.faster)
        )
        if slower is None or faster is None:
            return None
        quantity = f"{self.slower} / {self.faster}"
        return Verdict(row, quantity, self.limit, slower / faster, self.at_least)


def _training(
    key: str, title: str, bars: tuple[Bar, ...], rounds: int = ROUNDS, **problem: Any
) -> Row:
    by_hand = (peers.NUMBA,) if problem["model"] in ("logistic", "mlp") else ()
    row = Row(
        key,
        title,
        "training",
        lambda: problems.training(**problem),
        (*ONE_CORE, *by_hand),
        rounds=rounds,
    )
    BARS[key] = bars
    return row


def _by_buffers(limit: float = 1.05) -> Bar:
    return Bar(OURS, peers.BUFFERS.name, limit, at_least=False)


def _by_plain(limit: float) -> Bar:
    """Return a bar: the buffers' share of the plain step's time on the AMD Zen 5 of the bars."""
    return Bar(OURS, peers.NUMPY.name, limit, at_least=False)


def _torch(limit: float) -> Bar:
    return Bar(peers.TORCH.name, OURS, limit)


CORES = os.cpu_count() or 1
JAX_ON_EVERY_CORE = Bar(f"JAX jit, {CORES} core{'s' * (CORES > 1)}", NUMBA_TARGET, 1.0)
LOGISTIC: dict[str, Any] = {"model": "logistic", "optimiser": "sgd", "learning_rate": 1e-1}
MLP_SGD: dict[str, Any] = {"model": "mlp", "optimiser": "sgd", "learning_rate": 1e-1}
MLP: dict[str, Any] = {"model": "mlp", "optimiser": "adam", "learning_rate": 1e-2}

ROWS = (
    _training(
        "W1",
        "logistic 40→10, SGD, batch 100",
        (_by_buffers(1.3), _by_plain(0.73), _torch(4.0), JAX_ON_EVERY_CORE),
        **LOGISTIC,
    ),
    _training("W2a", "MLP 40→100→100→10, SGD, batch 100", (_by_buffers(),), **MLP_SGD),
    _training(
        "W2b",
        "MLP 40→100→100→10, Adam, batch 100",
        (_by_buffers(), _by_plain(0.71), _torch(2.0), JAX_ON_EVERY_CORE),
        **MLP,
    ),
    _training("W2bF", "the same, batch 4,000", (_by_buffers(),), 15, batch=4_000, **MLP),
    _training(
        "W3",
        "CNN, three Conv1d and a linear layer, Adam, batch 100",
        (_by_buffers(), _by_plain(0.32), _torch(2.0)),
        model="cnn",
        optimiser="adam",
        learning_rate=1e-2,
    ),
    _training(
        "W4",
        "bidirectional GRU of 40 steps, Adam, batch 100",
        (_by_buffers(), _by_plain(0.27), _torch(5.0), JAX_ON_EVERY_CORE),
        model="gru",
        optimiser="adam",
        learning_rate=1e-2,
    ),
    _training(
        "W5-10",
        "MLP 40→10→10→10, Adam, batch 10,000",
        (_by_buffers(),),
        batch=10_000,
        hidden=10,
        **MLP,
    ),
    _training(
        "W5-100",
        "MLP 40→100→100→10, Adam, batch 10,000",
        (_by_buffers(),),
        15,
        batch=10_000,
        hidden=100,
        **MLP,
    ),
    _training(
        "W5-400",
        "MLP 40→400→400→10, Adam, batch 10,000",
        (_by_buffers(),),
        9,
        batch=10_000,
        hidden=400,
        **MLP,
    ),
)
BY_KEY = {row.key: row for row in ROWS}


def peers_of(row: Row, every_core: bool) -> tuple[Peer, ...]:
    """Return the peers that are timed in one process."""
    return EVERY_CORE if every_core else row.peers
