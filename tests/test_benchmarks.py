"""All participants of a benchmark compute the same, on tiny settings.

Nothing here tests timings, which are measurements.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks import buffers, peers, problems
from benchmarks.check import DisagreementError, check
from benchmarks.compiled import accuracy, memory, scalars
from benchmarks.compiled.rows import BARS, ROWS, Bar
from benchmarks.peers import Peer
from benchmarks.peers.with_tinygrad_lab_compiled import first_calls
from tinygrad_lab.errors import CompileError

MODELS = (("logistic", "sgd"), ("mlp", "sgd"), ("mlp", "adam"), ("cnn", "adam"), ("gru", "adam"))
# Importing PyTorch, or compiling for JAX or numba, takes seconds; the command itself checks all
# participants at every run.
OURS = (peers.BUFFERS, peers.TINYGRAD_LAB, peers.PLAIN, peers.COMPILED_NUMPY)


def small(model: Any, optimiser: Any, **sizes: int) -> problems.Training:
    return problems.training(model, optimiser, 1e-2, **{"batch": 7, "hidden": 5, **sizes})


def participants(problem: Any, chosen: tuple[Peer, ...], kind: str = "training") -> list[Any]:
    return [peer.builder(kind)(problem) for peer in chosen]


@pytest.mark.parametrize(("model", "optimiser"), MODELS)
def test_all_columns_compute_the_same(model: str, optimiser: str) -> None:
    problem = small(model, optimiser)
    reference, *others = participants(problem, (peers.NUMPY, *OURS))
    check(problem, reference, others)


def test_zeros_of_one_row_compute_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "SMALL_BYTES", 0)
    problem = small("mlp", "adam")
    reference, ours = participants(problem, (peers.NUMPY, peers.BUFFERS))
    check(problem, reference, [ours])


def test_parameters_are_the_same_after_some_steps() -> None:
    problem = small("gru", "adam")
    with_buffers, compiled = participants(problem, (peers.BUFFERS, peers.COMPILED_NUMPY))
    for participant in (with_buffers, compiled):
        participant.reset()
        for _ in range(5):
            participant.step()
    expected = with_buffers.net.parameters.get(problem.parameters)
    for name, parameter in compiled.model.named_parameters():
        np.testing.assert_allclose(parameter.detach().numpy(), expected[name], atol=1e-5)


def test_a_participant_that_computes_something_else_is_found_out() -> None:
    problem = small("mlp", "adam")
    reference, other = participants(problem, (peers.NUMPY, peers.BUFFERS))
    other.net.parameters.views["linear1.bias"].base[:] = 0
    other.problem = replace(problem, parameters=other.net.parameters.get(problem.parameters))
    with pytest.raises(DisagreementError, match="NumPy with buffers"):
        check(problem, reference, [other])


def test_the_scalar_demo_compiled_computes_the_same() -> None:
    whole = problems.scalar_mlp()
    (w1, b1), _, (w3, b3) = whole.layers
    narrow = [(w1[:3], b1[:3]), (w3[:, :3], b3)]
    some = slice(None, None, 25)
    problem = replace(whole, points=whole.points[some], labels=whole.labels[some], layers=narrow)
    chosen = (peers.NUMPY, peers.TINYGRAD_LAB, scalars.fitting())
    reference, *others = participants(problem, chosen, "scalar mlp")
    check(problem, reference, others)


def test_scalar_chains_compiled_compute_the_same() -> None:
    problem = problems.scalar_chains(chains=2, links=5)
    reference, ours = participants(problem, (peers.NUMPY, scalars.fitting()), "scalar chains")
    check(problem, reference, [ours])


def test_what_runs_eagerly_is_not_timed_as_compiled() -> None:
    class Eager:
        def __call__(self) -> None:
            """Run eagerly."""

        @property
        def optimized_source(self) -> str:
            raise CompileError("was not recorded")

    with pytest.raises(CompileError):
        first_calls(Eager())


def test_every_row_has_a_bar_against_the_buffers() -> None:
    assert BARS.keys() == {row.key for row in ROWS}
    for bars in BARS.values():
        assert any(bar.faster == peers.BUFFERS.name for bar in bars)


def test_a_bar_compares_two_participants() -> None:
    ratios = {"PyTorch": 6.0, "tg.compile, numpy": 1.5}
    verdict = Bar("PyTorch", "tg.compile, numpy", 5.0).verdict("W4", ratios)
    assert verdict is not None
    assert verdict.value == 4.0
    assert not verdict.met
    assert Bar("PyTorch", "tg.compile, numba", 5.0).verdict("W4", ratios) is None


def test_a_missing_target_does_not_take_part() -> None:
    assert not peers.CompiledPeer("", "numpy", "", target="abacus").available
    assert peers.COMPILED_NUMPY.available


def test_memory_counts_the_moments_and_gradients_that_a_step_keeps() -> None:
    problem = small("mlp", "adam", batch=100, hidden=20)
    parameters = sum(value.nbytes for value in problem.parameters.values())
    eager = memory.bytes_of(problem, peers.TINYGRAD_LAB)
    compiled = memory.bytes_of(problem, peers.COMPILED_NUMPY)
    assert eager["kept"] > 2 * parameters
    assert compiled["kept"] > 2 * parameters
    assert eager["grown"] == compiled["grown"] == 0
    # At least 100 activations of two layers.
    assert eager["during"] > 2 * 100 * 20 * 4


def test_compiled_trainings_are_those_of_eager_steps() -> None:
    compiled, eager = (
        accuracy.train("mlp", name, seed=0, most_steps=accuracy.MEASURE_EVERY)
        for name in ("tg.compile, numpy", "tinygrad_lab")
    )
    assert compiled["best"] == eager["best"] > 10
    assert compiled["steps"] == eager["steps"]


def test_the_mlp_that_is_trained_beside_pytorch_is_the_same_there() -> None:
    pytest.importorskip("torch")
    data, settings = accuracy.mnist1d(), accuracy.DEFAULTS["mlp"]
    net = accuracy.make_model("mlp")
    ours, theirs = (
        accuracy.TRAINERS[name].make(net, "mlp", settings, data)[1]()
        for name in ("tinygrad_lab", "PyTorch")
    )
    assert abs(ours - theirs) < 0.2
