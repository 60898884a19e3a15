"""MNIST-1D: ten digits as signals of 40 points, small enough to train on in seconds.

Each sample is a template of 12 points that is padded, stretched, scaled, shifted, drowned in noise
and sheared. The steps below are vectorised over the samples, but the random numbers are drawn
sample by sample in the order of the reference, so that a seed gives the data set of the paper's
code.

Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020; ICML 2024),
arXiv:2011.14439.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.errors import ArgumentError

__all__ = ["MNIST1D", "mnist1d"]

NUM_DIGITS = 10
TEMPLATE_LENGTH = 12
SIGNAL_LENGTH = 40
MIN_PADDING, MAX_PADDING = 36, 60
DILATED_LENGTH = TEMPLATE_LENGTH + MAX_PADDING
SCALE_RANGE = 0.4
MAX_TRANSLATION = 48
CORRELATED_NOISE = 0.25
SMOOTHING_SIGMA = 2.0
SMOOTHING_RADIUS = 8
INDEPENDENT_NOISE = 0.02
SHEAR_RANGE = 0.75

# A template starts at 0, but later an exact 0 means "padding, to fill with noise": this offset
# distinguishes the template's own zeros from padding.
TEMPLATE_OFFSET = 1e-8

DIGITS = np.array(
    [
        [5, 6, 6.5, 6.75, 7, 7, 7, 7, 6.75, 6.5, 6, 5],
        [5, 3, 3, 3.4, 3.8, 4.2, 4.6, 5, 5.4, 5.8, 5, 5],
        [5, 6, 6.5, 6.5, 6, 5.25, 4.75, 4, 3.5, 3.5, 4, 5],
        [5, 6, 6.5, 6.5, 6, 5, 5, 6, 6.5, 6.5, 6, 5],
        [5, 4.4, 3.8, 3.2, 2.6, 2.6, 5, 5, 5, 5, 5, 5],
        [5, 3, 3, 3, 3, 5, 6, 6.5, 6.5, 6, 4.5, 5],
        [5, 4, 3.5, 3.25, 3, 3, 3, 3, 3.25, 3.5, 4, 5],
        [5, 7, 7, 6.6, 6.2, 5.8, 5.4, 5, 4.6, 4.2, 5, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 4, 3.5, 3.5, 4, 5],
        [5, 4, 3.5, 3.5, 4, 5, 5, 5, 5, 4.7, 4.3, 5],
    ]
)

Signals = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MNIST1D:
    """The data set: four fifths for training, one fifth for testing.

    ``x`` and ``x_test`` are float32 of shape (samples, 40), centred and scaled to a standard
    deviation of 1 over both together; ``y`` and ``y_test`` are the digits, int64 of shape
    (samples,); ``t`` holds the times of the 40 points, float32, in the same scale as ``x``.

    >>> digits = mnist1d(num_samples=100)
    >>> digits.x.shape, digits.y_test.shape, digits.t.shape
    ((80, 40), (20,), (40,))
    """

    x: NDArray[np.float32]
    y: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    t: NDArray[np.float32]


def mnist1d(*, num_samples: int = 5000, seed: int = 42, shuffle_seq: bool = False) -> MNIST1D:
    """Generate the MNIST-1D data set; without arguments, the published one.

    ``num_samples`` counts training and test samples together, a tenth of them for each digit.
    ``shuffle_seq`` permutes the 40 points of all samples in the same random order, which removes
    the locality that a convolution uses and makes no difference to a fully connected layer; ``t``
    stays in order, as in the reference. NumPy's global random state is neither read nor changed.

    Returns an ``MNIST1D``: ``x`` and ``x_test`` float32 of shape (samples, 40), ``y`` and
    ``y_test`` int64 of shape (samples,), ``t`` float32 of shape (40,).

    Raises ``ArgumentError`` if ``num_samples`` is not a positive multiple of 10, or if NumPy's
    legacy generator does not accept ``seed`` (0 to 2**32 - 1).

    >>> digits = mnist1d()
    >>> digits.x.shape, digits.x_test.shape
    ((4000, 40), (1000, 40))
    >>> digits.y[:8]
    array([2, 6, 4, 5, 6, 6, 6, 0])

    Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020; ICML 2024),
    arXiv:2011.14439.
    """
    _check_arguments(num_samples, seed)
    generator = np.random.RandomState(seed)
    draws = _draw(generator, num_samples)
    labels = np.repeat(np.arange(NUM_DIGITS, dtype=np.int64), num_samples // NUM_DIGITS)

    signals = _pad_and_dilate(_templates(), labels, draws.padding)
    signals = _scale(signals, draws.scale)
    signals = _translate(signals, draws.translation)
    signals = _fill_with_correlated_noise(signals, draws.correlated_noise)
    signals = signals + INDEPENDENT_NOISE * draws.independent_noise
    signals = _shear(signals, draws.shear)
    signals = _resample(signals, SIGNAL_LENGTH)

    sample_order = generator.permutation(num_samples)
    signals, labels = signals[sample_order], labels[sample_order]
    if shuffle_seq:
        signals = signals[:, generator.permutation(SIGNAL_LENGTH)]
    return _standardise_and_split(signals, labels, _times())


def _check_arguments(num_samples: int, seed: int) -> None:
    if num_samples <= 0 or num_samples % NUM_DIGITS:
        raise ArgumentError(
            f"mnist1d: num_samples must be a positive multiple of {NUM_DIGITS}, "
            f"the same number for each digit; got {num_samples}"
        )
    if not 0 <= seed < 2**32:
        raise ArgumentError(f"mnist1d: seed must be from 0 to 2**32 - 1; got {seed}")


@dataclass(frozen=True)
class _Draws:
    """The random numbers of all samples, one row per sample; ``scale`` and ``shear`` in [0, 1)."""

    padding: NDArray[np.int64]
    scale: Signals
    translation: NDArray[np.int64]
    correlated_noise: Signals
    independent_noise: Signals
    shear: Signals


# The annotation is a string because NumPy loads its random module, 20 ms, on first access.
def _draw(generator: "np.random.RandomState", num_samples: int) -> _Draws:
    draws = _Draws(
        padding=np.empty(num_samples, dtype=np.int64),
        scale=np.empty(num_samples),
        translation=np.empty(num_samples, dtype=np.int64),
        correlated_noise=np.empty((num_samples, DILATED_LENGTH)),
        independent_noise=np.empty((num_samples, DILATED_LENGTH)),
        shear=np.empty(num_samples),
    )
    paddings = MAX_PADDING - MIN_PADDING + 1
    # The order of these calls is that of the reference: any other gives another data set.
    for sample in range(num_samples):
        draws.padding[sample] = MIN_PADDING + int(generator.rand() * paddings)
        draws.scale[sample] = generator.rand()
        draws.translation[sample] = generator.choice(MAX_TRANSLATION)
        draws.correlated_noise[sample] = generator.randn(DILATED_LENGTH)
        draws.independent_noise[sample] = generator.randn(DILATED_LENGTH)
        draws.shear[sample] = generator.rand()
    return draws


def _templates() -> Signals:
    """Return the digits in units of their standard deviation, each starting at 0: (10, 12)."""
    centred = DIGITS - DIGITS.mean(axis=1, keepdims=True)
    scaled = centred / DIGITS.std(axis=1, keepdims=True)
    templates: Signals = (scaled - scaled[:, :1]) / 6
    return templates


def _pad(templates: Signals, padding: int) -> Signals:
    return np.pad(templates + TEMPLATE_OFFSET, [(0, 0), (0, padding)])


def _resample(signals: Signals, length: int) -> Signals:
    """Interpolate each row linearly at ``length`` evenly spaced positions."""
    knots = np.linspace(0, 1, signals.shape[-1])
    positions = np.linspace(0, 1, length)
    # A position on a knot belongs to the segment that starts there: so the first zero of the
    # padding stays exactly 0, and is recognised as padding later.
    left = np.searchsorted(knots, positions, side="right") - 1
    left = np.minimum(left, len(knots) - 2)
    slopes = np.diff(signals) / np.diff(knots)
    resampled: Signals = slopes[..., left] * (positions - knots[left]) + signals[..., left]
    return resampled


def _pad_and_dilate(
    templates: Signals, labels: NDArray[np.int64], padding: NDArray[np.int64]
) -> Signals:
    # There are only 10 digits with 25 paddings at this point: compute each signal once.
    dilated = np.stack(
        [
            _resample(_pad(templates, zeros), DILATED_LENGTH)
            for zeros in range(MIN_PADDING, MAX_PADDING + 1)
        ]
    )
    chosen: Signals = dilated[padding - MIN_PADDING, labels]
    return chosen


def _scale(signals: Signals, uniform: Signals) -> Signals:
    return signals * (1 + SCALE_RANGE * (uniform - 0.5))[:, np.newaxis]


def _translate(signals: Signals, translation: NDArray[np.int64]) -> Signals:
    """Move the last ``translation`` points of each row to its front."""
    length = signals.shape[1]
    columns = (np.arange(length) - translation[:, np.newaxis]) % length
    return np.take_along_axis(signals, columns, axis=1)


def _smooth(signals: Signals) -> Signals:
    """Convolve each row with a Gaussian, reflecting the row at its edges."""
    offsets = np.arange(-SMOOTHING_RADIUS, SMOOTHING_RADIUS + 1)
    weights = np.exp(-0.5 * (offsets / SMOOTHING_SIGMA) ** 2)
    weights /= weights.sum()
    mirrored = np.pad(signals, [(0, 0), (SMOOTHING_RADIUS, SMOOTHING_RADIUS)], mode="symmetric")
    windows = np.lib.stride_tricks.sliding_window_view(mirrored, len(weights), axis=1)
    return windows @ weights


def _fill_with_correlated_noise(signals: Signals, normal: Signals) -> Signals:
    return np.where(signals == 0, _smooth(CORRELATED_NOISE * normal), signals)


def _shear(signals: Signals, uniform: Signals) -> Signals:
    slopes = SHEAR_RANGE * (uniform - 0.5)
    return signals - slopes[:, np.newaxis] * np.linspace(-0.5, 0.5, signals.shape[1])


def _times() -> Signals:
    template_times = np.linspace(-5, 5, TEMPLATE_LENGTH) / 6
    return _resample(_resample(template_times, DILATED_LENGTH), SIGNAL_LENGTH)


def _standardise_and_split(signals: Signals, labels: NDArray[np.int64], times: Signals) -> MNIST1D:
    deviation = signals.std()
    x = ((signals - signals.mean()) / deviation).astype(np.float32)
    num_train = len(labels) * 4 // 5
    return MNIST1D(
        x=x[:num_train],
        y=labels[:num_train],
        x_test=x[num_train:],
        y_test=labels[num_train:],
        t=(times / deviation).astype(np.float32),
    )
