"""What MNIST-1D does to a signal, step by step: pad, scale, translate, noise, shear, resample.

Each step takes one signal of shape (points,) or several of shape (..., points), as arrays or
tensors, and draws its random numbers, one amount a signal, from ``generator``: a ``tg.Generator``,
one of NumPy's (also the legacy ``RandomState``, with which the steps in the paper's order give its
data set), or the one that ``tg.seed`` seeds. NumPy's global random state is neither read nor
changed. Arrays stay arrays, tensors stay tensors.

    >>> import numpy as np, tinygrad_lab as tg
    >>> numbers = np.random.RandomState(42)
    >>> x = pad(templates()[0] + 1e-8, (36, 60), generator=numbers)
    >>> x = scale(resample(x, 72), 0.4, generator=numbers)
    >>> x = add_correlated_noise(translate(x, 48, generator=numbers), 0.25, generator=numbers)
    >>> x = shear(add_noise(x, 0.02, generator=numbers), 0.75, generator=numbers)
    >>> resample(x, 40).shape
    (40,)

Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020; ICML 2024),
arXiv:2011.14439, section 2 and its code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.data.arguments import integer, number, numbers_from
from tinygrad_lab.data.arrays import on_arrays
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.errors import ArgumentError, ShapeError, excerpt

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "add_correlated_noise",
    "add_noise",
    "pad",
    "resample",
    "scale",
    "shear",
    "templates",
    "translate",
]

Signals = Any
"""A NumPy array, or a Tensor."""

_DIGITS = (
    (5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5),
    (5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5),
    (5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5),
    (5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5),
    (5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5),
    (5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5),
    (5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5),
    (5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5),
    (5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5),
)


def templates() -> NDArray[np.float64]:
    """Return the ten digits as signals of 12 points, float64 of shape (10, 12).

    Each is in units of its standard deviation, starts at 0 and is divided by 6.

    Example:
        >>> templates().shape, templates()[:, 0].tolist()
        ((10, 12), [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    """
    digits = np.array(_DIGITS)
    centred = digits - digits.mean(axis=1, keepdims=True)
    scaled = centred / digits.std(axis=1, keepdims=True)
    starting_at_0: NDArray[np.float64] = (scaled - scaled[:, :1]) / 6
    return starting_at_0


@explaining
def pad(x: Signals, padding: tuple[int, int] | int = (36, 60), *, generator: Any = None) -> Signals:
    """Append zeros: a random number of them between two bounds, both included, or a fixed one.

    Signals of one call get the same number, since an array's rows are of one length.

    Raises:
        ArgumentError: for bounds that are negative, or in the wrong order.

    Example:
        >>> import numpy as np
        >>> pad(np.array([1.0, 2.0]), 3)
        array([1., 2., 0., 0., 0.])
    """
    low, high = padding_bounds("pad", padding)
    zeros = low if low == high else drawn_padding(numbers_of("pad", generator).random(), low, high)
    return on_arrays("pad", x, lambda array: padded(array, int(zeros)))


@explaining
def resample(x: Signals, length: int) -> Signals:
    """Interpolate each signal linearly at ``length`` evenly spaced places, the ends included.

    Raises:
        ArgumentError: for a length below 1, or signals of fewer than 2 points.

    Example:
        >>> import numpy as np
        >>> resample(np.array([0.0, 2.0, 4.0]), 5)
        array([0., 1., 2., 3., 4.])
    """
    length = integer("resample", "length", length, least=1)
    return on_arrays("resample", x, lambda array: resampled(array, length))


@explaining
def scale(x: Signals, scale_coeff: float = 0.4, *, generator: Any = None) -> Signals:
    """Multiply each signal by 1 + scale_coeff·(u - ½), u uniform in [0, 1).

    Example:
        >>> import numpy as np
        >>> scale(np.array([1.0, 2.0]), 0.0)
        array([1., 2.])
    """
    coefficient, numbers = (
        number("scale", "scale_coeff", scale_coeff),
        numbers_of("scale", generator),
    )
    return on_arrays("scale", x, lambda a: scaled(a, numbers.random(a.shape[:-1]), coefficient))


@explaining
def translate(x: Signals, max_translation: int = 48, *, generator: Any = None) -> Signals:
    """Move the last k points of each signal to its front, k from 0 to max_translation - 1.

    A signal of at most k points stays as it is. With ``max_translation=0`` nothing moves.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> translate(np.arange(5.0), 5, generator=tg.Generator(0))
        array([1., 2., 3., 4., 0.])
    """
    most = integer("translate", "max_translation", max_translation)
    if not most:
        return on_arrays("translate", x, np.copy)
    numbers = numbers_of("translate", generator)
    return on_arrays("translate", x, lambda a: translated(a, numbers.choice(most, a.shape[:-1])))


@explaining
def add_correlated_noise(
    x: Signals, corr_noise_scale: float = 0.25, *, sigma: float = 2.0, generator: Any = None
) -> Signals:
    """Fill where a signal is exactly 0, its padding, with smooth noise.

    Noise of standard deviation ``corr_noise_scale`` is smoothed by a Gaussian of ``sigma`` points,
    cut off at 4 sigma, with the ends mirrored.

    Example:
        >>> import numpy as np
        >>> add_correlated_noise(np.array([1.0, 2.0, 0.0]), 0.0)
        array([1., 2., 0.])
    """
    name = "add_correlated_noise"
    deviation = number(name, "corr_noise_scale", corr_noise_scale, least=0)
    width, numbers = number(name, "sigma", sigma, least=1e-3), numbers_of(name, generator)
    return on_arrays(
        name, x, lambda a: filled(a, numbers.standard_normal(a.shape), deviation, width)
    )


@explaining
def add_noise(x: Signals, iid_noise_scale: float = 0.02, *, generator: Any = None) -> Signals:
    """Add independent normal noise of standard deviation ``iid_noise_scale`` to every point.

    Example:
        >>> import numpy as np
        >>> add_noise(np.array([1.0, 2.0]), 0.0)
        array([1., 2.])
    """
    deviation = number("add_noise", "iid_noise_scale", iid_noise_scale, least=0)
    numbers = numbers_of("add_noise", generator)
    return on_arrays("add_noise", x, lambda a: a + deviation * numbers.standard_normal(a.shape))


@explaining
def shear(x: Signals, shear_scale: float = 0.75, *, generator: Any = None) -> Signals:
    """Subtract a slope: shear_scale·(u - ½) from the start to the end, u uniform in [0, 1).

    Example:
        >>> import numpy as np
        >>> shear(np.array([1.0, 2.0]), 0.0)
        array([1., 2.])
    """
    coefficient, numbers = (
        number("shear", "shear_scale", shear_scale),
        numbers_of("shear", generator),
    )
    return on_arrays("shear", x, lambda a: sheared(a, numbers.random(a.shape[:-1]), coefficient))


# --- the same on arrays, with the random numbers given: what mnist1d() is made of ----------------


def padded(signals: NDArray[Any], zeros: int) -> NDArray[Any]:
    """Append zeros to each row."""
    return np.pad(signals, [*[(0, 0)] * (signals.ndim - 1), (0, zeros)])


def drawn_padding(uniform: Any, low: int, high: int) -> Any:
    """Return how many zeros a number in [0, 1) stands for."""
    return low + np.asarray(uniform * (high - low + 1)).astype(np.int64)


def resampled(signals: NDArray[Any], length: int) -> NDArray[Any]:
    """Interpolate each row linearly at ``length`` evenly spaced positions."""
    if signals.shape[-1] < 2:
        raise ShapeError(f"resample: expected 2 points or more; got shape {signals.shape}")
    knots = np.linspace(0, 1, signals.shape[-1])
    positions = np.linspace(0, 1, length)
    # A position on a knot belongs to the segment that starts there: so the first zero of the
    # padding stays exactly 0, and is recognised as padding later.
    left = np.searchsorted(knots, positions, side="right") - 1
    left = np.minimum(left, len(knots) - 2)
    slopes = np.diff(signals) / np.diff(knots)
    return slopes[..., left] * (positions - knots[left]) + signals[..., left]


def scaled(signals: NDArray[Any], uniform: Any, coefficient: float) -> NDArray[Any]:
    """Multiply each row by its factor."""
    return signals * (1 + coefficient * (np.asarray(uniform) - 0.5))[..., np.newaxis]


def translated(signals: NDArray[Any], translation: Any) -> NDArray[Any]:
    """Move the last ``translation`` points of each row to its front; as many as it has, none."""
    length = signals.shape[-1]
    moved = np.where(np.asarray(translation) < length, translation, 0)
    columns = (np.arange(length) - moved[..., np.newaxis]) % length
    return np.take_along_axis(signals, columns, axis=-1)


def smoothed(signals: NDArray[Any], sigma: float) -> NDArray[Any]:
    """Convolve each row with a Gaussian, reflecting the row at its edges."""
    radius = int(4 * sigma + 0.5)
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    edges = [*[(0, 0)] * (signals.ndim - 1), (radius, radius)]
    mirrored = np.pad(signals, edges, mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, len(weights), axis=-1)
    return windows @ weights


def filled(
    signals: NDArray[Any], normal: NDArray[Any], deviation: float, sigma: float
) -> NDArray[Any]:
    """Put smooth noise where a row is exactly 0."""
    return np.where(signals == 0, smoothed(deviation * normal, sigma), signals)


def sheared(signals: NDArray[Any], uniform: Any, coefficient: float) -> NDArray[Any]:
    """Subtract its slope from each row."""
    slopes = coefficient * (np.asarray(uniform) - 0.5)
    return signals - slopes[..., np.newaxis] * np.linspace(-0.5, 0.5, signals.shape[-1])


# --- arguments -----------------------------------------------------------------------------------


def padding_bounds(asked_by: str, padding: Any) -> tuple[int, int]:
    """Return the lowest and the highest number of zeros."""
    bounds = (padding, padding) if isinstance(padding, int | np.integer) else tuple(padding)
    if len(bounds) != 2:
        raise ArgumentError(
            f"{asked_by}: padding must be a number or two bounds (low, high); got "
            f"{excerpt(padding)}"
        )
    low, high = (integer(asked_by, "padding", one) for one in bounds)
    if low > high:
        raise ArgumentError(f"{asked_by}: padding must be (low, high); got ({low}, {high})")
    return low, high


def numbers_of(asked_by: str, generator: Any) -> Any:
    """Return what draws: a NumPy generator, also a legacy ``RandomState``."""
    if type(generator).__name__ == "RandomState" and isinstance(generator, np.random.RandomState):
        return generator
    return numbers_from(asked_by, generator)
