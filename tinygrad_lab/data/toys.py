"""Toy sets: points in the plane by class, and curves, small enough to plot and to learn in seconds.

Each returns tensors (x, y). Points of classes are float32 of shape (n, 2) with labels, int64 of
shape (n,), in random order; curves are float32 x of shape (n, 1) and y of shape (n, 1). ``noise``
is the standard deviation of the normal noise on coordinates (or y), 0 for none. Random numbers come
from ``generator``, a ``tg.Generator``; by default the one that ``tg.seed`` seeds. All raise
``ArgumentError`` for an ``n`` below 1 or a negative ``noise``, ``ArgumentTypeError`` for an ``n``
that is no integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.data.arguments import integer, number, numbers_from
from tinygrad_lab.engine.keywords import advise, explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt
from tinygrad_lab.ops import exp, sin

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tinygrad_lab.random.generator import Generator

__all__ = ["blobs", "circles", "gabor", "gabor_model", "moons", "sine", "spirals", "xor"]

Pair = tuple[Tensor, Tensor]


@explaining
def moons(n: int = 200, noise: float = 0.1, *, generator: Generator | None = None) -> Pair:
    """Two half circles that reach into each other: not separable by a line.

    Class 0 is (cos t, sin t), class 1 is (1 - cos t, ½ - sin t), with t evenly from 0 to π. Class 0
    has the odd one of an odd n.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y = moons(4, noise=0.0, generator=tg.Generator(0))
        >>> x.shape, y.tolist()
        ((4, 2), [1, 0, 0, 1])

    Source: ``make_moons`` of scikit-learn; a variant of the "two moons" of semi-supervised
    learning, Zhou et al., "Learning with Local and Global Consistency", NIPS 2003.
    """
    counts = _shares("moons", n, 2)
    t, s = (np.linspace(0, np.pi, count) for count in counts)
    upper = np.stack([np.cos(t), np.sin(t)], axis=1)
    lower = np.stack([1 - np.cos(s), 0.5 - np.sin(s)], axis=1)
    return _noisy("moons", [upper, lower], noise, generator)


@explaining
def circles(
    n: int = 200, noise: float = 0.05, *, factor: float = 0.5, generator: Generator | None = None
) -> Pair:
    """A circle of radius 1, class 0, around one of radius ``factor``, class 1.

    Points (r cos t, r sin t) are evenly spaced.

    Raises:
        ArgumentError: for a factor outside 0 to 1.

    Example:
        >>> x, y = circles(100, noise=0.0)
        >>> sorted(set((x * x).sum(axis=1).sqrt().tolist())), y.sum().item()
        ([...], 50)

    Source: ``make_circles`` of scikit-learn.
    """
    inner = number("circles", "factor", factor, least=0, most=1)
    rings = []
    for count, radius in zip(_shares("circles", n, 2), (1.0, inner), strict=True):
        t = np.linspace(0, 2 * np.pi, count, endpoint=False)
        rings.append(radius * np.stack([np.cos(t), np.sin(t)], axis=1))
    return _noisy("circles", rings, noise, generator)


@explaining
def spirals(
    n: int = 200,
    noise: float = 0.02,
    *,
    arms: int = 2,
    turns: float = 1.5,
    generator: Generator | None = None,
) -> Pair:
    """Arms that wind around the origin, one class each: hard for shallow nets.

    Arm k is r (cos θ, sin θ) with θ = 2π (turns r + k / arms), r evenly from 0.1 to 1.

    Raises:
        ArgumentError: for fewer than 1 arm.

    Example:
        >>> x, y = spirals(90, arms=3)
        >>> [(y == k).sum().item() for k in range(3)]
        [30, 30, 30]

    Source: the two-spirals problem, Lang & Witbrock, "Learning to Tell Two Spirals Apart",
    Proceedings of the 1988 Connectionist Models Summer School (there with 3 turns and 97 points an
    arm).
    """
    arms = integer("spirals", "arms", arms, least=1)
    winding = number("spirals", "turns", turns)
    wound = []
    for k, count in enumerate(_shares("spirals", n, arms)):
        r = np.linspace(0.1, 1.0, count)
        angle = 2 * np.pi * (winding * r + k / arms)
        wound.append(r[:, np.newaxis] * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return _noisy("spirals", wound, noise, generator)


@explaining
def blobs(
    n: int = 200,
    noise: float = 0.15,
    *,
    centres: Any = 3,
    generator: Generator | None = None,
) -> Pair:
    """Round clouds, one class each: separable by lines, if noise is small.

    Class k is a normal distribution of standard deviation ``noise`` around centre k. A number of
    centres stands for as many, evenly spaced on the circle of radius 1, from (1, 0); otherwise they
    are an array of shape (classes, features).

    Raises:
        ArgumentError: for fewer than 1 centre.
        ShapeError: for centres that are no matrix.

    Example:
        >>> x, y = blobs(6, noise=0.0, centres=[[0.0, 0.0, 5.0], [1.0, 1.0, 5.0]])
        >>> x.shape, (x[:, 0] == y).all().item()
        ((6, 3), True)

    Source: ``make_blobs`` of scikit-learn.
    """
    if isinstance(centres, int | np.integer):
        angle = 2 * np.pi * np.arange(integer("blobs", "centres", centres, least=1)) / centres
        places = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    else:
        places = np.asarray(centres, dtype=np.float64)
        if places.ndim != 2 or not places.size:
            raise ShapeError(
                "blobs: expected a number of centres, or an array of shape (classes, features); "
                f"got {excerpt(centres)}"
            )
    counts = _shares("blobs", n, len(places))
    clouds = [
        np.repeat(place[np.newaxis], k, axis=0) for place, k in zip(places, counts, strict=True)
    ]
    return _noisy("blobs", clouds, noise, generator)


@explaining
def xor(n: int = 200, noise: float = 0.05, *, generator: Generator | None = None) -> Pair:
    """Points in a square, class 1 where their coordinates differ in sign: no line separates them.

    Coordinates are uniform in [-1, 1); class = (x₁ > 0) ≠ (x₂ > 0), before noise is added.

    Example:
        >>> x, y = xor(100, noise=0.0)
        >>> bool((y == ((x[:, 0] > 0) != (x[:, 1] > 0))).all())
        True

    Source: Minsky & Papert, "Perceptrons" (1969): what no perceptron of one layer computes.
    """
    n, numbers = integer("xor", "n", n, least=1), numbers_from("xor", generator)
    deviation = number("xor", "noise", noise, least=0)
    x = numbers.uniform(-1, 1, (n, 2)).astype(np.float32)
    y = (x[:, 0] > 0) != (x[:, 1] > 0)
    x = x + (deviation * numbers.standard_normal((n, 2))).astype(np.float32)
    return tensor(x), tensor(y.astype(np.int64))


@explaining
def sine(n: int = 30, noise: float = 0.3, *, generator: Generator | None = None) -> Pair:
    """A period of a sine with noise, for regression: y = sin(2π x) + noise, x evenly from 0 to 1.

    Example:
        >>> x, y = sine(5, noise=0.0)
        >>> x.shape, [round(value, 3) + 0.0 for value in y.flatten().tolist()]
        ((5, 1), [0.0, 1.0, 0.0, -1.0, 0.0])

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 1.1 and appendix A
    (there n = 10, noise 0.3).
    """
    x = np.linspace(0, 1, integer("sine", "n", n, least=1))
    return _curve("sine", x, np.sin(2 * np.pi * x), noise, generator)


def gabor_model(x: Any, phi0: Any, phi1: Any) -> Any:
    """The Gabor model: sin(φ₀ + 0.06 φ₁ x) exp(-(φ₀ + 0.06 φ₁ x)² / 32).

    A sine in a bell: φ₀ moves it, φ₁ squeezes it. Its squared loss has many local minima, and
    two parameters, so that they can be drawn. Made of ops: gradients flow to all three.

    Example:
        >>> import tinygrad_lab as tg
        >>> phi0, phi1 = tg.scalar(0.0), tg.scalar(16.6)
        >>> round(gabor_model(tg.scalar(1.0), phi0, phi1).item(), 4)
        0.8137

    Source: Prince, "Understanding Deep Learning" (2023), equation 6.8.
    """
    inside = phi0 + 0.06 * phi1 * x
    return sin(inside) * exp(-(inside * inside) / 32)


@explaining
def gabor(
    n: int = 28,
    noise: float = 0.1,
    *,
    phi: tuple[float, float] = (0.0, 16.6),
    generator: Generator | None = None,
) -> Pair:
    """Noisy points of the Gabor model, for regression with two parameters.

    x is uniform in [-15, 15), in order; y = ``gabor_model(x, *phi)`` + noise.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y = gabor(28, noise=0.0)
        >>> bool(((y - gabor_model(x, 0.0, 16.6)).abs() < 1e-5).all())
        True

    Source: Prince, "Understanding Deep Learning" (2023), section 6.1.2 and figure 6.4.
    """
    n, numbers = integer("gabor", "n", n, least=1), numbers_from("gabor", generator)
    if not isinstance(phi, tuple | list) or len(phi) != 2:
        raise ArgumentError(f"gabor: phi must be two numbers, (φ₀, φ₁); got {excerpt(phi)}")
    phi0, phi1 = (number("gabor", "phi", one) for one in phi)
    x = np.sort(numbers.uniform(-15, 15, n))
    inside = phi0 + 0.06 * phi1 * x
    return _curve("gabor", x, np.sin(inside) * np.exp(-(inside**2) / 32), noise, generator)


def _shares(asked_by: str, n: Any, classes: int) -> list[int]:
    """Return the number of points of each class: equal, the first ones one more."""
    n = integer(asked_by, "n", n, least=1)
    return [n // classes + (k < n % classes) for k in range(classes)]


def _noisy(asked_by: str, classes: list[Any], noise: float, generator: Any) -> Pair:
    """Join the points of classes, add noise, and put them in random order."""
    deviation, numbers = (
        number(asked_by, "noise", noise, least=0),
        numbers_from(asked_by, generator),
    )
    x: NDArray[np.float64] = np.concatenate(classes)
    y = np.repeat(np.arange(len(classes)), [len(points) for points in classes])
    order = numbers.permutation(len(x))
    x = x[order] + deviation * numbers.standard_normal(x.shape)
    return tensor(x.astype(np.float32)), tensor(y[order].astype(np.int64))


def _curve(asked_by: str, x: Any, y: Any, noise: float, generator: Any) -> Pair:
    """Add noise to y; return both as columns."""
    deviation, numbers = (
        number(asked_by, "noise", noise, least=0),
        numbers_from(asked_by, generator),
    )
    y = y + deviation * numbers.standard_normal(y.shape)
    return tensor(x.astype(np.float32)[:, None]), tensor(y.astype(np.float32)[:, None])


for _name in ("moons", "circles", "spirals", "blobs", "xor", "sine", "gabor"):
    advise(
        _name,
        n_samples="write n=...",
        random_state="write generator=tg.Generator(seed)",
        seed="write generator=tg.Generator(seed)",
        shuffle="points are always in random order",
        centers="write centres=...",
        cluster_std="write noise=...",
    )
