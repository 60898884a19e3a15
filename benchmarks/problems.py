"""What a row computes: data and starting weights as NumPy arrays, the same for all participants.

Parameters carry PyTorch's names and layouts, so that one dictionary fits every participant.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np

Array = np.ndarray
Parameters = dict[str, Array]
Model = Literal["logistic", "mlp", "cnn", "gru"]

BATCH, FEATURES, CLASSES = 100, 40, 10
# Kernel sizes of the network's three convolutions; all have 25 channels, stride 2, padding 1.
KERNELS, CHANNELS, STRIDE, PADDING = (5, 3, 3), 25, 2, 1
FLATTENED = 125  # 25 channels at the 5 positions that are left of 40
HIDDEN = 6
DIRECTIONS = ("", "_reverse")  # suffixes of PyTorch's GRU parameters


@dataclass(frozen=True)
class Training:
    """One training step: a model, its optimiser, one batch, and the weights it starts from.

    ``x`` is (batch, 40); convolutions see it as (batch, 1, 40), the GRU as (batch, 40, 1).
    """

    model: Model
    optimiser: Literal["sgd", "adam"]
    learning_rate: float
    x: Array
    labels: Array
    parameters: Parameters


@dataclass(frozen=True)
class Chain:
    """``length`` elementwise operations, alternately a product and a sum: h = h·w, h = h + b.

    Where ``w`` and ``b`` are arrays that want gradients, every product must keep its h. With
    ``constants`` they are two Python floats, and nothing needs to be kept.
    """

    size: int
    length: int
    constants: bool
    x: Array
    w: Any
    b: Any


@dataclass(frozen=True)
class ScalarChains:
    """Chains of h = relu(h·w + b) on scalars, each with a w and b of its own, summed at the end.

    Many chains of 1,000 rather than one of 10⁵, because micrograd sorts its graph recursively.
    """

    x: list[float]
    w: list[float]
    b: list[float]
    links: int

    @property
    def operations(self) -> int:
        """The number of products, sums, relus, and sums that join the chains."""
        return len(self.x) * 3 * self.links + len(self.x) - 1


@dataclass(frozen=True)
class ScalarMLP:
    """micrograd's demo: MLP(2, [16, 16, 1]) on two moons, max-margin loss, L2 regularisation.

    A layer is (weights (out, in), biases (out,)); labels are -1 or 1.
    """

    points: Array
    labels: Array
    layers: list[tuple[Array, Array]]
    regularisation: float = 1e-4
    learning_rate: float = 0.1


def training(
    model: Model,
    optimiser: Literal["sgd", "adam"],
    learning_rate: float,
    seed: int = 0,
    batch: int = BATCH,
    hidden: int = 100,
) -> Training:
    """Make a batch of noisy examples of ten classes, and weights drawn as in PyTorch.

    ``hidden`` is the width of the MLP's two hidden layers.
    """
    random = np.random.default_rng(seed)
    labels = random.integers(0, CLASSES, batch)
    centres = random.standard_normal((CLASSES, FEATURES))
    x = centres[labels] + random.standard_normal((batch, FEATURES))
    parameters = {
        name: random.uniform(-bound, bound, shape).astype(np.float32)
        for name, (shape, bound) in _shapes(model, hidden).items()
    }
    return Training(model, optimiser, learning_rate, x.astype(np.float32), labels, parameters)


def _shapes(model: Model, hidden: int) -> dict[str, tuple[tuple[int, ...], float]]:
    """Return the shape of each parameter, and the bound of its distribution: 1/√fan-in."""
    shapes: dict[str, tuple[tuple[int, ...], float]] = {}

    def layer(name: str, *weight: int) -> None:
        bound = float(np.prod(weight[1:])) ** -0.5
        shapes[f"{name}.weight"] = weight, bound
        shapes[f"{name}.bias"] = weight[:1], bound

    if model == "logistic":
        layer("linear", CLASSES, FEATURES)
    elif model == "mlp":
        layer("linear1", hidden, FEATURES)
        layer("linear2", hidden, hidden)
        layer("linear3", CLASSES, hidden)
    elif model == "cnn":
        for index, kernel in enumerate(KERNELS, start=1):
            layer(f"conv{index}", CHANNELS, 1 if index == 1 else CHANNELS, kernel)
        layer("linear", CLASSES, FLATTENED)
    else:
        for suffix in DIRECTIONS:
            for part, shape in (
                ("weight_ih", (3 * HIDDEN, 1)),
                ("weight_hh", (3 * HIDDEN, HIDDEN)),
                ("bias_ih", (3 * HIDDEN,)),
                ("bias_hh", (3 * HIDDEN,)),
            ):
                shapes[f"gru.{part}_l0{suffix}"] = shape, HIDDEN**-0.5
        layer("linear", CLASSES, FEATURES * 2 * HIDDEN)
    return shapes


def chain(size: int, length: int = 1_000, constants: bool = False, seed: int = 0) -> Chain:
    """Make a chain whose values stay near 1 and whose gradients stay far from denormals."""
    random = np.random.default_rng(seed)

    def near(value: float) -> Array:
        return (value + random.uniform(-0.004, 0.004, size)).astype(np.float32)

    if constants:
        return Chain(size, length, True, near(1.0), 0.99, 0.01)
    return Chain(size, length, False, near(1.0), near(0.99), near(0.01))


def scalar_chains(chains: int = 100, links: int = 333, seed: int = 0) -> ScalarChains:
    """Make scalar chains, of about 10⁵ operations by default."""
    random = np.random.default_rng(seed)
    x, w, b = (
        random.uniform(low, high, chains).tolist()
        for low, high in ((0.5, 1.5), (0.95, 0.99), (0.01, 0.05))
    )
    return ScalarChains(x, w, b, links)


def scalar_mlp(seed: int = 0) -> ScalarMLP:
    """Make two moons of 50 points with noise 0.1; weights in (-1, 1), biases 0, as in micrograd."""
    random = np.random.default_rng(seed)
    angle = np.linspace(0.0, np.pi, 50)
    upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    lower = np.stack([1.0 - np.cos(angle), 0.5 - np.sin(angle)], axis=1)
    points = np.concatenate([upper, lower]) + random.normal(0.0, 0.1, (100, 2))
    labels = np.repeat([-1.0, 1.0], 50)
    sizes = (2, 16, 16, 1)
    layers = [
        (random.uniform(-1.0, 1.0, (fan_out, fan_in)), np.zeros(fan_out))
        for fan_in, fan_out in pairwise(sizes)
    ]
    return ScalarMLP(points, labels, layers)
