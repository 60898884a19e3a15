"""MNIST-1D: ten digits as signals of 40 points, small enough to train on in seconds.

Each sample is a template of 12 points that is padded, stretched, scaled, shifted, drowned in noise
and sheared. The steps below are vectorised over the samples, but the random numbers are drawn
sample by sample in the order of the reference, so that a seed gives the data set of the paper's
code.

Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020; ICML 2024),
arXiv:2011.14439.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.data import signals as step
from tinygrad_lab.data.arguments import integer, number
from tinygrad_lab.engine.keywords import advise, explaining
from tinygrad_lab.errors import ArgumentError, ShapeError

__all__ = ["MNIST1D", "mnist1d"]

SMOOTHING_SIGMA = 2.0

# A template starts at 0, but later an exact 0 means "padding, to fill with noise": this offset
# distinguishes the template's own zeros from padding.
TEMPLATE_OFFSET = 1e-8

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


@explaining
def mnist1d(
    *,
    num_samples: int = 5000,
    train_split: float = 0.8,
    templates: Any = None,
    padding: Sequence[int] = (36, 60),
    scale_coeff: float = 0.4,
    max_translation: int = 48,
    corr_noise_scale: float = 0.25,
    iid_noise_scale: float = 0.02,
    shear_scale: float = 0.75,
    shuffle_seq: bool = False,
    final_seq_length: int = 40,
    seed: int = 42,
) -> MNIST1D:
    """Generate the MNIST-1D data set; without arguments, the published one.

    The steps are those of ``tinygrad_lab.data.signals``, where each is a function of its own.
    NumPy's global random state is neither read nor changed.

    Args:
        num_samples: training and test samples together, the same number for each class.
        train_split: the share of samples for training.
        templates: signals to begin with, one a class, of shape (classes, points); those of the ten
            digits, of shape (10, 12), if not given.
        padding: the least and the greatest number of zeros behind a template.
        scale_coeff: signals are multiplied by 1 ± scale_coeff / 2.
        max_translation: signals are moved by fewer points than this, in a circle.
        corr_noise_scale: standard deviation of the noise in place of padding, before smoothing.
        iid_noise_scale: standard deviation of the noise of every point.
        shear_scale: slopes of ± shear_scale / 2 from start to end are subtracted.
        shuffle_seq: permute the points of all samples in the same random order, which removes the
            locality that a convolution uses and makes no difference to a fully connected layer;
            ``t`` stays in order, as in the reference.
        final_seq_length: the number of points of a sample.
        seed: of NumPy's legacy generator.

    Returns an ``MNIST1D``: ``x`` and ``x_test`` float32 of shape (samples, final_seq_length), ``y``
    and ``y_test`` int64 of shape (samples,), ``t`` float32 of shape (final_seq_length,).

    Raises ``ArgumentError`` if ``num_samples`` is not a positive multiple of the number of classes,
    if NumPy's legacy generator does not accept ``seed`` (0 to 2**32 - 1), or for numbers out of
    range; ``ArgumentTypeError`` for what is no number; ``ShapeError`` for templates that are no
    matrix.

    >>> digits = mnist1d()
    >>> digits.x.shape, digits.x_test.shape
    ((4000, 40), (1000, 40))
    >>> digits.y[:8]
    array([2, 6, 4, 5, 6, 6, 6, 0])
    >>> mnist1d(num_samples=100, final_seq_length=80, iid_noise_scale=0.0).x.shape
    (80, 80)

    Source: Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020; ICML 2024),
    arXiv:2011.14439.
    """
    own = _checked_templates(templates)
    recipe = _Recipe(
        padding=step.padding_bounds("mnist1d", padding),
        scale_coeff=number("mnist1d", "scale_coeff", scale_coeff),
        max_translation=integer("mnist1d", "max_translation", max_translation),
        corr_noise_scale=number("mnist1d", "corr_noise_scale", corr_noise_scale, least=0),
        iid_noise_scale=number("mnist1d", "iid_noise_scale", iid_noise_scale, least=0),
        shear_scale=number("mnist1d", "shear_scale", shear_scale),
        final_seq_length=integer("mnist1d", "final_seq_length", final_seq_length, least=1),
        template_length=own.shape[1],
    )
    train_split = number("mnist1d", "train_split", train_split, least=0, most=1)
    _check_arguments(num_samples, seed, len(own))
    generator = np.random.RandomState(seed)
    draws = _draw(generator, num_samples, recipe)
    labels = np.repeat(np.arange(len(own), dtype=np.int64), num_samples // len(own))
    signals = _made(own, labels, draws, recipe)
    sample_order = generator.permutation(num_samples)
    signals, labels = signals[sample_order], labels[sample_order]
    if shuffle_seq:
        signals = signals[:, generator.permutation(recipe.final_seq_length)]
    return _standardise_and_split(signals, labels, _times(recipe), train_split)


advise(
    "mnist1d",
    template_len="templates= are signals of any length, those of the digits have 12 points",
    url="the set is generated here, nothing is fetched",
    path="the set is generated here, nothing is fetched",
    download="the set is generated here, nothing is fetched",
    regenerate="the set is always generated",
)


@dataclass(frozen=True)
class _Recipe:
    """The arguments of ``mnist1d`` that shape a signal, checked."""

    padding: tuple[int, int]
    scale_coeff: float
    max_translation: int
    corr_noise_scale: float
    iid_noise_scale: float
    shear_scale: float
    final_seq_length: int
    template_length: int

    @property
    def dilated_length(self) -> int:
        """The points of a signal while it is made: a template with the longest padding."""
        return self.template_length + self.padding[1]


def _made(
    templates: Signals, labels: NDArray[np.int64], draws: "_Draws", recipe: _Recipe
) -> Signals:
    """Return the signals of all samples, by the steps in the order of the reference."""
    signals = _pad_and_dilate(templates, labels, draws.padding, recipe)
    signals = step.scaled(signals, draws.scale, recipe.scale_coeff)
    signals = step.translated(signals, draws.translation)
    signals = step.filled(signals, draws.correlated_noise, recipe.corr_noise_scale, SMOOTHING_SIGMA)
    signals = signals + recipe.iid_noise_scale * draws.independent_noise
    signals = step.sheared(signals, draws.shear, recipe.shear_scale)
    return step.resampled(signals, recipe.final_seq_length)


def _checked_templates(templates: Any) -> Signals:
    if templates is None:
        return step.templates()
    own = np.asarray(templates, dtype=np.float64)
    if own.ndim != 2 or len(own) < 1 or own.shape[1] < 2 or not np.isfinite(own).all():
        raise ShapeError(
            "mnist1d: templates must be finite numbers of shape (classes, points), with 2 points "
            f"or more; got shape {own.shape}"
        )
    return own


def _check_arguments(num_samples: int, seed: int, classes: int) -> None:
    integer("mnist1d", "seed", seed, least=None)
    if integer("mnist1d", "num_samples", num_samples, least=None) <= 0 or num_samples % classes:
        raise ArgumentError(
            f"mnist1d: num_samples must be a positive multiple of {classes}, "
            f"the same number for each {'digit' if classes == 10 else 'class'}; got {num_samples}"
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
def _draw(generator: "np.random.RandomState", num_samples: int, recipe: _Recipe) -> _Draws:
    length = recipe.dilated_length
    draws = _Draws(
        padding=np.empty(num_samples, dtype=np.int64),
        scale=np.empty(num_samples),
        translation=np.zeros(num_samples, dtype=np.int64),
        correlated_noise=np.empty((num_samples, length)),
        independent_noise=np.empty((num_samples, length)),
        shear=np.empty(num_samples),
    )
    # The order of these calls is that of the reference: any other gives another data set.
    for sample in range(num_samples):
        draws.padding[sample] = step.drawn_padding(generator.rand(), *recipe.padding)
        draws.scale[sample] = generator.rand()
        if recipe.max_translation:
            draws.translation[sample] = generator.choice(recipe.max_translation)
        draws.correlated_noise[sample] = generator.randn(length)
        draws.independent_noise[sample] = generator.randn(length)
        draws.shear[sample] = generator.rand()
    return draws


def _pad_and_dilate(
    templates: Signals, labels: NDArray[np.int64], padding: NDArray[np.int64], recipe: _Recipe
) -> Signals:
    # There are few classes and paddings at this point: compute each signal once.
    low, high = recipe.padding
    dilated = np.stack(
        [
            step.resampled(step.padded(templates + TEMPLATE_OFFSET, zeros), recipe.dilated_length)
            for zeros in range(low, high + 1)
        ]
    )
    chosen: Signals = dilated[padding - low, labels]
    return chosen


def _times(recipe: _Recipe) -> Signals:
    template_times = np.linspace(-5, 5, recipe.template_length) / 6
    dilated = step.resampled(template_times, recipe.dilated_length)
    return step.resampled(dilated, recipe.final_seq_length)


def _standardise_and_split(
    signals: Signals, labels: NDArray[np.int64], times: Signals, train_split: float
) -> MNIST1D:
    deviation = signals.std()
    x = ((signals - signals.mean()) / deviation).astype(np.float32)
    num_train = int(len(labels) * train_split)
    return MNIST1D(
        x=x[:num_train],
        y=labels[:num_train],
        x_test=x[num_train:],
        y_test=labels[num_train:],
        t=(times / deviation).astype(np.float32),
    )
