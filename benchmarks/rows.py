"""The rows of the table, and their bars."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks import peers, problems
from benchmarks.peers import Peer

ARRAY_PEERS = (
    peers.NUMPY,
    peers.TINYGRAD_LAB,
    peers.PLAIN,
    peers.TORCH,
    peers.AUTOGRAD,
    peers.MYGRAD,
)
SCALAR_PEERS = (
    peers.NUMPY,
    peers.TINYGRAD_LAB,
    peers.PLAIN,
    peers.MICROGRAD,
    peers.MICROGRAD_NO_COLLECTOR,
)


@dataclass(frozen=True)
class Bar:
    """A limit that tinygrad_lab has to reach.

    ``quantity`` is one of: its ratio to the hand-written step, its own time in the row's unit, or
    how many times it is faster than micrograd. Bars on times were set on an AMD EPYC (Zen 5), where
    the bar on the ratio is derived from the time of the same row's hand-written step.
    """

    quantity: Literal["ratio to NumPy by hand", "time", "times faster than micrograd"]
    limit: float

    @property
    def at_least(self) -> bool:
        """Whether more is better."""
        return self.quantity == "times faster than micrograd"


@dataclass(frozen=True)
class Row:
    """A problem, its participants (the first is the reference), the unit, and the bars."""

    key: str
    title: str
    kind: Literal["training", "chain", "scalar chains", "scalar mlp"]
    problem: Callable[[], Any]
    peers: tuple[Peer, ...]
    bars: tuple[Bar, ...] = ()
    rounds: int = 25
    operations: int | None = None  # if the unit is a time per operation
    apart: tuple[Peer, ...] = ()
    """Peers that are timed in another process, beside the same reference."""

    @property
    def unit(self) -> str:
        """The unit of the times in the table."""
        return "ms a step" if self.operations is None else "µs an op"

    @property
    def scale(self) -> float:
        """The factor from seconds a step to the row's unit."""
        return 1e3 if self.operations is None else 1e6 / self.operations


def _model(key: str, title: str, model: Any, optimiser: Any, rate: float, bar: float) -> Row:
    return Row(
        key,
        title,
        "training",
        lambda: problems.training(model, optimiser, rate),
        ARRAY_PEERS,
        (Bar("ratio to NumPy by hand", bar),),
    )


def _chain(key: str, size: int, rounds: int, bars: tuple[Bar, ...] = ()) -> Row:
    return Row(
        key,
        f"Chain of 1,000 elementwise ops, size {size:,}",
        "chain",
        lambda: problems.chain(size),
        ARRAY_PEERS,
        bars,
        rounds,
        operations=1_000,
    )


ROWS = (
    _model("logistic", "Logistic 40→10, SGD", "logistic", "sgd", 1e-1, 2.0),
    _model("mlp", "MLP 40→100→100→10, Adam", "mlp", "adam", 1e-2, 1.05),
    _model("cnn", "CNN, three Conv1d and a linear layer, Adam", "cnn", "adam", 1e-2, 0.5),
    _model("gru", "Bidirectional GRU of 40 steps, Adam", "gru", "adam", 1e-2, 0.4),
    # NumPy took 0.67 µs where the bar of 1.6 µs was set: a ratio of 2.39.
    _chain("chain-1", 1, 25, (Bar("ratio to NumPy by hand", 2.39), Bar("time", 1.6))),
    _chain("chain-1k", 1_000, 25),
    _chain("chain-1m", 1_000_000, 3),
    # micrograd took 5.2 µs where the bar of 0.8 µs was set: 6.5 times as long.
    Row(
        "scalar-ops",
        "Scalar engine, 10⁵ ops, build and backward",
        "scalar chains",
        problems.scalar_chains,
        SCALAR_PEERS,
        (Bar("time", 0.8), Bar("times faster than micrograd", 6.5)),
        rounds=7,
        operations=problems.scalar_chains().operations,
        # They bring 200,000 objects, which the collector would visit for every participant.
        apart=(peers.TORCH, peers.AUTOGRAD, peers.MYGRAD),
    ),
    Row(
        "scalar-mlp",
        "Scalar MLP(2,[16,16,1]), hinge loss, 100 points (micrograd's demo)",
        "scalar mlp",
        problems.scalar_mlp,
        SCALAR_PEERS,
        (Bar("times faster than micrograd", 10.0),),
        rounds=9,
    ),
)
BY_KEY = {row.key: row for row in ROWS}
