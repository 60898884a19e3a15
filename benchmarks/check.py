"""Check that all participants compute the same, before anything is timed.

The hand-written gradients are checked against central differences in float64, and the loss and
gradients of all others against the hand-written ones.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks import handwritten
from benchmarks.participant import Outcome, Participant
from benchmarks.problems import BATCH, Chain, ScalarChains, Training

LOSS_STEPS = 3  # steps after which losses must still agree, which checks the updates, too


class DisagreementError(Exception):
    """A participant does not compute what the hand-written step does."""


def check(problem: Any, reference: Participant, others: list[Participant]) -> None:
    """Raise `DisagreementError` unless all compute the same loss, gradients and updates."""
    if isinstance(problem, Training):
        check_by_differences(problem)
    expected = reference.outcome()
    expected_losses = _losses(reference)
    for other in others:
        compare(other.name, other.outcome(), expected)
        losses = _losses(other)
        if not np.allclose(losses, expected_losses, rtol=2e-3):
            raise DisagreementError(f"{other.name}: losses {losses}, expected {expected_losses}")


def compare(name: str, got: Outcome, expected: Outcome) -> None:
    """Compare to float32's precision: of the loss, and of each gradient's largest element.

    Sums of a million or of a thousand float32 terms differ between summation orders, hence 10⁻⁴.
    """
    if not np.isclose(got.loss, expected.loss, rtol=1e-4):
        raise DisagreementError(f"{name}: loss {got.loss}, expected {expected.loss}")
    if got.gradients.keys() != expected.gradients.keys():
        missing = got.gradients.keys() ^ expected.gradients.keys()
        raise DisagreementError(f"{name}: gradients of {sorted(missing)} are missing or too many")
    for key, wanted in expected.gradients.items():
        gradient = got.gradients[key]
        if np.shape(gradient) != wanted.shape:
            raise DisagreementError(
                f"{name}: gradient of {key} has shape {np.shape(gradient)}, not {wanted.shape}"
            )
        error = np.abs(gradient - wanted).max() / np.abs(wanted).max()
        if not error <= 1e-4:
            raise DisagreementError(
                f"{name}: gradient of {key} is off by {error:.1e} of its maximum"
            )


def check_by_differences(problem: Training, step: float = 1e-7) -> None:
    """Check the hand-written gradient along a random direction per parameter, in float64.

    The step is so short that hardly any ReLU changes sides within it. For the same reason, a
    large batch is reduced to a hundred examples.
    """
    compute = handwritten.STEPS[problem.model]
    start = {name: value.astype(np.float64) for name, value in problem.parameters.items()}
    x, labels = problem.x[:BATCH].astype(np.float64), problem.labels[:BATCH]
    random = np.random.default_rng(0)
    _, gradients = compute(start, x, labels)
    for name, value in start.items():
        direction = random.standard_normal(value.shape)
        direction /= np.linalg.norm(direction)
        above, _ = compute(start | {name: value + step * direction}, x, labels)
        below, _ = compute(start | {name: value - step * direction}, x, labels)
        slope, wanted = (gradients[name] * direction).sum(), (above - below) / (2 * step)
        if not np.isclose(slope, wanted, rtol=1e-4, atol=1e-8):
            raise DisagreementError(
                f"by hand: slope along {name} is {slope}, differences say {wanted}"
            )


def shortened(problem: Any) -> Any:
    """Return a smaller problem of the same kind if checking would take as long as timing.

    A million elements are checked on a thousand of them, a hundred scalar chains on five.
    """
    if isinstance(problem, ScalarChains):
        return replace(problem, x=problem.x[:5], w=problem.w[:5], b=problem.b[:5])
    if isinstance(problem, Chain) and problem.size > 1_000:
        small = slice(0, 1_000)
        w, b = (v if problem.constants else v[small] for v in (problem.w, problem.b))
        return replace(problem, size=1_000, x=problem.x[small], w=w, b=b)
    return problem


def _losses(participant: Participant) -> list[float]:
    """Return the losses of the first steps, as floats."""
    participant.reset()
    return [_as_float(participant.step()) for _ in range(LOSS_STEPS)]


def _as_float(loss: Any) -> float:
    """Return the loss from a step's result: a loss, or loss and gradients, of any type."""
    if isinstance(loss, tuple):
        loss = loss[0]
    if isinstance(loss, float):
        return loss
    return float(loss.data if type(loss).__name__ == "Value" else loss.item())
