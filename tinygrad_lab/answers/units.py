"""Which units are dead or saturated, over a data set."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_lab.answers.answer import Answer, plural
from tinygrad_lab.answers.numbers import numpy_of
from tinygrad_lab.context import no_grad, record
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import Line
from tinygrad_lab.graphs import GraphNode, graph
from tinygrad_lab.nn.module import Module

__all__ = ["units_of"]

_SLOPES = {
    "relu": lambda y: (y > 0) * 1.0,
    "sigmoid": lambda y: 4 * y * (1 - y),
    "tanh": lambda y: 1 - y * y,
}
"""The slope of an activation from its value, as a part of the largest slope it has."""
_FLAT = 0.01
"""A unit whose slope is below this part in every sample is saturated; one of 0, dead."""


@dataclass
class _Layer:
    """The units of one activation, over all samples so far."""

    name: str
    op: str
    line: Line | None
    steepest: Any
    """The largest slope of each unit in any sample."""


def units_of(model: Module, data: Any) -> Answer:
    """Say which units of a net are dead or saturated for every sample of a data set.

    The net runs in evaluation mode. A unit is one element of a layer's output for one sample.

    Args:
        model: the net.
        data: a batch, or batches as a loader gives them: tensors, or tuples that begin with one.
    """
    layers: dict[int, _Layer] = {}
    samples = 0
    with _evaluating(model), record(), no_grad():
        for batch in [data] if isinstance(data, Tensor) else data:
            x = batch[0] if isinstance(batch, tuple | list) else batch
            samples += x.shape[0]
            _look(graph(model(x)).nodes, layers, x.shape[0])
    rows: list[tuple[str, ...]] = [("layer", "op", "units", "dead", "saturated")]
    counts: dict[str, tuple[int, int, int]] = {}
    for layer in layers.values():
        dead = int((layer.steepest == 0).sum())
        saturated = int(((layer.steepest > 0) & (layer.steepest < _FLAT)).sum())
        counts[layer.name] = (layer.steepest.size, dead, saturated)
        rows.append((layer.name, layer.op, *(f"{n:,}" for n in counts[layer.name])))
    return _judged(model, layers, counts, rows, samples)


@contextmanager
def _evaluating(model: Module) -> Iterator[None]:
    """Run a block with a module in evaluation mode; each part is then as it was."""
    modes = [(one, one.training) for one in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for one, training in modes:
            one.training = training


def _look(nodes: tuple[GraphNode, ...], layers: dict[int, _Layer], count: int) -> None:
    """Note the slopes of every activation that ran on a batch."""
    activations = [node for node in nodes if node.op_name in _SLOPES]
    for place, node in enumerate(activations):
        value = numpy_of(node.value)
        if node.value is None or not value.ndim or len(value) != count:
            continue  # its first axis is not that of the samples
        steepest = _SLOPES[node.op_name](value).max(axis=0)
        if place in layers:
            steepest = np.maximum(steepest, layers[place].steepest)
        name = node.module or f"{node.op_name} {place}"
        layers[place] = _Layer(name, node.op_name, node.line, steepest)


def _judged(
    model: Module,
    layers: dict[int, _Layer],
    counts: dict[str, tuple[int, int, int]],
    rows: list[tuple[str, ...]],
    samples: int,
) -> Answer:
    question = f"Which units of this {type(model).__name__} are dead or saturated?"
    if not layers:
        why = f"It ran no {', '.join(_SLOPES)} of its own: nothing is known of its units."
        return Answer(question, "not known", [why])
    dead, saturated = (sum(one[n] for one in counts.values()) for n in (1, 2))
    cause = "dead" if dead else "saturated" if saturated else "all alive"
    sentences = [
        f"Over {plural(samples, 'sample')}: {plural(dead, 'unit')} dead (slope 0 in every "
        f"sample), {saturated:,} saturated (below {_FLAT:.0%} of the largest slope)."
    ]
    numbers = {"samples": samples, "dead": dead, "saturated": saturated, "layers": counts}
    return Answer(question, cause, sentences, None, numbers, rows)
