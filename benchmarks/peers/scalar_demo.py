"""micrograd's demo, written once for every scalar engine: the network, the loss, the update.

The engine is given as two functions: ``number(v)`` makes one of its numbers, and
``parameter(v)`` one that requires a gradient. The rest are its operators, as in the demo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.problems import ScalarMLP

Scalar = Any  # micrograd's Value, tinygrad_lab's Tensor


class Neuron:
    """A weighted sum, and a relu unless it is in the last layer; micrograd.nn.Neuron."""

    def __init__(self, weights: Sequence[Scalar], bias: Scalar, nonlinear: bool) -> None:
        self.weights = weights
        self.bias = bias
        self.nonlinear = nonlinear

    def __call__(self, x: Sequence[Scalar]) -> Scalar:
        products = (wi * xi for wi, xi in zip(self.weights, x, strict=True))
        activation = sum(products, self.bias)
        return activation.relu() if self.nonlinear else activation


class ScalarNetwork:
    """Layers of neurons; micrograd.nn.Layer and micrograd.nn.MLP."""

    def __init__(self, problem: ScalarMLP, parameter: Callable[[float], Scalar]) -> None:
        last = len(problem.layers) - 1
        self.layers = [
            [
                Neuron([parameter(float(w)) for w in row], parameter(float(b)), index != last)
                for row, b in zip(weights, biases, strict=True)
            ]
            for index, (weights, biases) in enumerate(problem.layers)
        ]

    def __call__(self, x: Sequence[Scalar]) -> Scalar:
        for layer in self.layers:
            x = [neuron(x) for neuron in layer]
        return x[0]

    def parameters(self) -> Iterator[Scalar]:
        """Yield, neuron by neuron, its weights, then its bias."""
        for layer in self.layers:
            for neuron in layer:
                yield from neuron.weights
                yield neuron.bias


def demo_loss(
    model: Callable[[Sequence[Scalar]], Scalar],
    parameters: Sequence[Scalar],
    problem: ScalarMLP,
    number: Callable[[float], Scalar],
) -> Scalar:
    """Return the demo's max-margin loss with L2 regularisation, over all points."""
    inputs = [[number(value) for value in row] for row in problem.points.tolist()]
    scores = [model(x) for x in inputs]
    labels = problem.labels.tolist()
    margins = [(1 + -y * score).relu() for y, score in zip(labels, scores, strict=True)]
    data_loss = sum(margins) * (1.0 / len(margins))
    squares = problem.regularisation * sum(p * p for p in parameters)
    return data_loss + squares
