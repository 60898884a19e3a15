"""Augmentation: random changes of signals and images that leave their class as it is.

Objects to be called with a batch: samples along the first axis, the points of a signal along the
last, the rows and columns of an image along the last two. Every sample gets random numbers of its
own (channels of a sample share them), drawn from ``generator``, a ``tg.Generator``, or from the one
that ``tg.seed`` seeds. Arrays stay arrays and tensors tensors.

    >>> import tinygrad_lab as tg
    >>> augment = Compose([RandomCrop((28, 28), padding=2), RandomRotation(10), RandomNoise(0.05)])
    >>> images = tg.random.uniform((100, 28, 28))
    >>> augment(images).shape
    (100, 28, 28)

Names, where there are any, are those of torchvision's transforms, which draw once a call.

Source: Shorten & Khoshgoftaar, "A survey on Image Data Augmentation for Deep Learning", Journal of
Big Data 6 (2019); of signals, Greydanus & Kobak, "Scaling Down Deep Learning with MNIST-1D" (2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.data import signals
from tinygrad_lab.data.arguments import integer, number, numbers_from
from tinygrad_lab.data.arrays import on_arrays
from tinygrad_lab.engine.keywords import explaining, explaining_class
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, ShapeError, excerpt

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Compose",
    "RandomAffine",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomNoise",
    "RandomRotation",
    "RandomScale",
    "RandomShear",
    "RandomShift",
    "RandomVerticalFlip",
    "affine",
    "rotate",
]


class Compose:
    """Apply transforms one after the other.

    Example:
        >>> import numpy as np
        >>> Compose([lambda x: x + 1, lambda x: 2 * x])(np.array([1.0]))
        array([4.])
    """

    def __init__(self, transforms: Iterable[Callable[[Any], Any]]) -> None:
        if callable(transforms):
            raise ArgumentTypeError("Compose: expected a list of transforms: Compose([a, b])")
        self.transforms = list(transforms)
        for place, one in enumerate(self.transforms):
            if not callable(one) or isinstance(one, type):
                raise ArgumentTypeError(
                    f"Compose: transform {place} is {excerpt(one)}, which cannot be called with a "
                    "batch"
                )

    def __call__(self, x: Any) -> Any:
        for one in self.transforms:
            x = one(x)
        return x

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


class _Transform:
    """A random change of a batch: a subclass changes arrays of shape (samples, ...)."""

    axes = 1
    """How many axes a sample needs."""

    def __init__(self, generator: Any = None, **settings: Any) -> None:
        if generator is not None:
            numbers_from(type(self).__name__, generator)
        self.generator = generator
        self._settings = settings

    def __call__(self, x: Any) -> Any:
        """Return a batch of the same kind and dtype, changed.

        Raises:
            ShapeError: for a batch with too few axes.
            GradientError: for a tensor that requires a gradient.
        """
        return on_arrays(type(self).__name__, x, self._checked_change)

    def _checked_change(self, batch: NDArray[Any]) -> NDArray[Any]:
        name = type(self).__name__
        if batch.ndim <= self.axes:
            what = "images, (samples, rows, columns)" if self.axes == 2 else "(samples, points)"
            raise ShapeError(
                f"{name}: expected a batch of shape {what}; got shape {batch.shape}. Of one "
                "sample, x[None]"
            )
        return self._changed(batch, numbers_from(name, self.generator))

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self._settings.items())
        return f"{type(self).__name__}({settings})"


def _of_samples(values: NDArray[Any], batch: NDArray[Any], axes: int = 1) -> NDArray[Any]:
    """Return one value a sample in a shape that broadcasts with all axes but the last ones."""
    return values.reshape(len(batch), *[1] * (batch.ndim - 1 - axes))


class RandomHorizontalFlip(_Transform):
    """Reverse the last axis of a sample (left and right, or time) with probability p.

    Example:
        >>> import numpy as np
        >>> RandomHorizontalFlip(p=1.0)(np.array([[1.0, 2.0, 3.0]]))
        array([[3., 2., 1.]])
    """

    def __init__(self, p: float = 0.5, *, generator: Any = None) -> None:
        self.p = number(type(self).__name__, "p", p, least=0, most=1)
        super().__init__(generator, p=p)

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        chosen = _of_samples(numbers.random(len(batch)) < self.p, batch, axes=0)
        return np.where(chosen, np.flip(batch, axis=-self.axes), batch)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Reverse the rows of an image with probability p.

    Example:
        >>> import numpy as np
        >>> RandomVerticalFlip(p=1.0)(np.array([[[1.0], [2.0]]])).tolist()
        [[[2.0], [1.0]]]
    """

    axes = 2


class RandomCrop(_Transform):
    """Cut a piece of a size out of each sample, at a random place.

    Args:
        size: a number for square images, (rows, columns) for images, (points,) for signals.
        padding: how many points to add at each end before.
        fill: the value of what is added.

    Raises:
        ArgumentError: for sizes below 1, negative paddings.
        ShapeError: when called, for samples that are smaller.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> crop = RandomCrop((3,), padding=1, generator=tg.Generator(0))
        >>> crop(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]))
        array([[2., 3., 0.],
               [1., 2., 3.]])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int = 0,
        fill: float = 0.0,
        *,
        generator: Any = None,
    ) -> None:
        sizes = (size, size) if isinstance(size, int | np.integer) else tuple(size)
        if not 1 <= len(sizes) <= 2:
            raise ArgumentError(
                f"RandomCrop: size must be a number, (rows, columns) or (points,); got {size!r}"
            )
        self.size = tuple(integer("RandomCrop", "size", one, least=1) for one in sizes)
        self.padding = integer("RandomCrop", "padding", padding)
        self.fill = number("RandomCrop", "fill", fill)
        self.axes = len(self.size)
        super().__init__(generator, size=self.size, padding=padding, fill=fill)

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        kept = batch.ndim - self.axes
        edges = [(0, 0)] * kept + [(self.padding, self.padding)] * self.axes
        padded = np.pad(batch, edges, constant_values=self.fill)
        if any(have < want for have, want in zip(padded.shape[kept:], self.size, strict=True)):
            raise ShapeError(
                f"RandomCrop: a piece of {self.size} does not fit into samples of "
                f"{padded.shape[kept:]}, padding included; the batch has shape {batch.shape}"
            )
        for axis, size in zip(range(-self.axes, 0), self.size, strict=True):
            starts = numbers.integers(0, padded.shape[axis] - size + 1, len(batch))
            padded = _piece(padded, starts, size, axis)
        return padded


def _piece(batch: NDArray[Any], starts: NDArray[Any], size: int, axis: int) -> NDArray[Any]:
    """Cut ``size`` points along an axis out of each sample, from a start of its own."""
    moved = np.moveaxis(batch, axis, -1)
    places = _of_samples(starts, moved, axes=0) + np.arange(size)
    places = np.broadcast_to(places, (*moved.shape[:-1], size))
    return np.moveaxis(np.take_along_axis(moved, places, axis=-1), -1, axis)


class RandomShift(_Transform):
    """Move each signal by a random number of points, at most ``most`` to either side.

    Args:
        most: the greatest number of points.
        wrap: whether what leaves at one end comes in at the other; otherwise ``fill`` does.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> RandomShift(2, generator=tg.Generator(3))(np.array([[1.0, 2.0, 3.0, 4.0]]))
        array([[3., 4., 1., 2.]])
    """

    def __init__(
        self, most: int, *, wrap: bool = True, fill: float = 0.0, generator: Any = None
    ) -> None:
        self.most = integer("RandomShift", "most", most)
        self.wrap, self.fill = wrap, number("RandomShift", "fill", fill)
        super().__init__(generator, most=most, wrap=wrap, fill=fill)

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        length = batch.shape[-1]
        shifts = _of_samples(numbers.integers(-self.most, self.most + 1, len(batch)), batch, 0)
        columns = np.broadcast_to(np.arange(length) - shifts, batch.shape)
        moved = np.take_along_axis(batch, columns % length, axis=-1)
        return (
            moved if self.wrap else np.where((columns >= 0) & (columns < length), moved, self.fill)
        )


class RandomScale(_Transform):
    """Multiply each sample by 1 + scale_coeff·(u - ½), u uniform in [0, 1).

    Example:
        >>> import numpy as np
        >>> RandomScale(0.0)(np.array([[1.0, 2.0]]))
        array([[1., 2.]])
    """

    def __init__(self, scale_coeff: float = 0.4, *, generator: Any = None) -> None:
        self.scale_coeff = number("RandomScale", "scale_coeff", scale_coeff)
        super().__init__(generator, scale_coeff=scale_coeff)

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        uniform = _of_samples(numbers.random(len(batch)), batch)
        return signals.scaled(batch, uniform, self.scale_coeff)


class RandomShear(_Transform):
    """Subtract a slope of shear_scale·(u - ½) from each signal, u uniform in [0, 1).

    Of images, ``RandomAffine(0, shear=...)``.

    Example:
        >>> import numpy as np
        >>> RandomShear(0.0)(np.array([[1.0, 2.0]]))
        array([[1., 2.]])
    """

    def __init__(self, shear_scale: float = 0.75, *, generator: Any = None) -> None:
        self.shear_scale = number("RandomShear", "shear_scale", shear_scale)
        super().__init__(generator, shear_scale=shear_scale)

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        uniform = _of_samples(numbers.random(len(batch)), batch)
        return signals.sheared(batch, uniform, self.shear_scale)


class RandomNoise(_Transform):
    """Add normal noise of standard deviation ``sigma`` to every number.

    Example:
        >>> import numpy as np
        >>> RandomNoise(0.0)(np.array([[1.0, 2.0]]))
        array([[1., 2.]])
    """

    def __init__(self, sigma: float = 0.1, *, generator: Any = None) -> None:
        self.sigma = number("RandomNoise", "sigma", sigma, least=0)
        super().__init__(generator, sigma=sigma)

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        return batch + self.sigma * numbers.standard_normal(batch.shape)


class RandomAffine(_Transform):
    """Rotate, move, scale and shear images, each by a random amount, around their centres.

    Args:
        degrees: rotations between two bounds; one number d for (-d, d).
        translate: moves as shares of width and height, (0.1, 0.1) for up to a tenth to each side.
        scale: factors between two bounds.
        shear: shears in degrees, between two bounds or one number.
        fill: the value of what comes in from outside.

    Example:
        >>> import numpy as np, tinygrad_lab as tg
        >>> images = np.ones((5, 8, 8), np.float32)
        >>> RandomAffine(30, translate=(0.1, 0.1), generator=tg.Generator(0))(images).shape
        (5, 8, 8)
    """

    axes = 2

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        *,
        fill: float = 0.0,
        generator: Any = None,
    ) -> None:
        name = type(self).__name__
        self.degrees = _bounds(name, "degrees", degrees)
        self.shear = _bounds(name, "shear", 0.0 if shear is None else shear)
        self.scale = _bounds(name, "scale", (1.0, 1.0) if scale is None else scale)
        if self.scale[0] <= 0:
            raise ArgumentError(f"{name}: scale must be above 0; got {scale!r}")
        right, down = (0.0, 0.0) if translate is None else tuple(translate)
        self.translate = tuple(number(name, "translate", one, 0, 1) for one in (right, down))
        self.fill = number(name, "fill", fill)
        settings = {"translate": translate, "scale": scale, "shear": shear}
        given = {key: value for key, value in settings.items() if value is not None}
        super().__init__(generator, degrees=degrees, **given)

    def _changed(self, batch: NDArray[Any], numbers: np.random.Generator) -> NDArray[Any]:
        n = len(batch)
        degrees, factors, shears = (
            numbers.uniform(*bounds, n) for bounds in (self.degrees, self.scale, self.shear)
        )
        sizes = (batch.shape[-1], batch.shape[-2])
        moves = [
            numbers.uniform(-share * size, share * size, n)
            for share, size in zip(self.translate, sizes, strict=True)
        ]
        return _affine(batch, degrees, (moves[0], moves[1]), factors, shears, self.fill)


class RandomRotation(RandomAffine):
    """Rotate images around their centres by random degrees between two bounds, or (-d, d).

    Example:
        >>> import numpy as np
        >>> x = np.arange(8.0).reshape(2, 2, 2)
        >>> bool((RandomRotation(0)(x) == x).all())
        True
    """

    def __init__(
        self, degrees: float | Sequence[float], *, fill: float = 0.0, generator: Any = None
    ) -> None:
        super().__init__(degrees, fill=fill, generator=generator)


# --- the same by given amounts --------------------------------------------------------------------


@explaining
def rotate(x: Any, degrees: Any, *, fill: float = 0.0) -> Any:
    """Rotate images counter-clockwise around their centres, by one angle or one for each.

    Example:
        >>> import numpy as np
        >>> np.round(rotate(np.array([[[1.0, 2.0], [3.0, 4.0]]]), 90), 12)
        array([[[2., 4.],
                [1., 3.]]])
    """
    return affine(x, degrees, fill=fill)


@explaining
def affine(
    x: Any,
    degrees: Any = 0.0,
    translate: Sequence[Any] = (0.0, 0.0),
    scale: Any = 1.0,
    shear: Any = 0.0,
    *,
    fill: float = 0.0,
) -> Any:
    """Shear, scale, rotate and then move images, by one amount or one for each of the batch.

    A point (c, r), in columns to the right and rows down from the centre, goes to
    R(degrees) · scale · (c + tan(shear) r, r) + translate; R turns counter-clockwise. Values are
    interpolated linearly between the four pixels around the place a pixel comes from; outside of
    the image they are ``fill``. Where nothing is changed, images stay exactly as they are.

    Args:
        x: images of shape (samples, ..., rows, columns).
        degrees, shear: angles in degrees.
        translate: pixels to the right, and pixels down.
        scale: factors above 0.
        fill: the value outside.

    Raises:
        ShapeError: for a batch with too few axes, or amounts that are not one a sample.
        ArgumentError: for factors that are not above 0, or shears of 90 degrees.

    Example:
        >>> import numpy as np
        >>> affine(np.array([[[1.0, 2.0, 3.0]]]), translate=(1, 0))
        array([[[0., 1., 2.]]])

    Source: Jain, "Fundamentals of Digital Image Processing" (1989), section 7.7: a pixel is fetched
    from where the inverse map takes it.
    """

    def changed(batch: NDArray[Any]) -> NDArray[Any]:
        if batch.ndim < 3:
            raise ShapeError(
                "affine: expected images of shape (samples, rows, columns); got shape "
                f"{batch.shape}. Of one image, x[None]"
            )
        amounts = [
            _one_each(name, value, len(batch))
            for name, value in (
                ("degrees", degrees),
                ("translate", translate[0]),
                ("translate", translate[1]),
                ("scale", scale),
                ("shear", shear),
            )
        ]
        turned, right, down, factors, shears = amounts
        if not (factors > 0).all() or not (np.abs(shears) < 90).all():
            raise ArgumentError("affine: scale must be above 0, shear between -90 and 90 degrees")
        return _affine(batch, turned, (right, down), factors, shears, fill)

    return on_arrays("affine", x, changed)


def _affine(
    batch: NDArray[Any],
    degrees: NDArray[Any],
    translate: tuple[NDArray[Any], NDArray[Any]],
    scale: NDArray[Any],
    shear: NDArray[Any],
    fill: float,
) -> NDArray[Any]:
    """Fetch every pixel from where the inverse map takes it; see ``affine``."""
    height, width = batch.shape[-2:]
    right, down = (
        np.arange(size) - (size - 1) / 2 - np.reshape(move, (-1, 1))
        for size, move in zip((width, height), translate, strict=True)
    )
    c, r = right[:, np.newaxis, :], down[:, :, np.newaxis]
    angle, factor, slope = (
        np.reshape(value, (-1, 1, 1)) for value in (np.deg2rad(degrees), scale, np.deg2rad(shear))
    )
    # R turns counter-clockwise on the screen, where rows count downwards.
    columns = (np.cos(angle) * c - np.sin(angle) * r) / factor
    rows = (np.sin(angle) * c + np.cos(angle) * r) / factor
    columns = columns - np.tan(slope) * rows
    images = batch.reshape(len(batch), -1, height, width)
    found = _interpolated(images, rows + (height - 1) / 2, columns + (width - 1) / 2, fill)
    return found.reshape(batch.shape)


def _interpolated(
    images: NDArray[Any], rows: NDArray[Any], columns: NDArray[Any], fill: float
) -> NDArray[Any]:
    """Read images (samples, channels, height, width) at places (samples, height, width)."""
    height, width = images.shape[-2:]
    top, left = np.floor(rows), np.floor(columns)
    sample = np.arange(len(images))[:, np.newaxis, np.newaxis]
    found: NDArray[Any] = np.zeros(images.shape)
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        row, column = (top + down).astype(np.int64), (left + right).astype(np.int64)
        weight = (1 - np.abs(rows - row)) * (1 - np.abs(columns - column))
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        values = images[sample, :, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
        values = np.where(inside[..., np.newaxis], values, fill)
        found += np.moveaxis(values * weight[..., np.newaxis], -1, 1)
    return found


def _one_each(name: str, value: Any, samples: int) -> NDArray[np.float64]:
    amounts = np.asarray(value, dtype=np.float64)
    if amounts.shape not in ((), (samples,)) or not np.isfinite(amounts).all():
        raise ShapeError(
            f"affine: {name} must be a finite number, or one for each of {samples} samples; got "
            f"{excerpt(value)}"
        )
    return np.broadcast_to(amounts, (samples,))


def _bounds(asked_by: str, name: str, value: Any) -> tuple[float, float]:
    """Return two bounds in order; one number stands for (-value, value)."""
    if isinstance(value, int | float | np.number) and not isinstance(value, bool):
        most = number(asked_by, name, value, least=0)
        return -most, most
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ArgumentTypeError(
            f"{asked_by}: {name} must be a number or two bounds; got {excerpt(value)}"
        )
    low, high = (number(asked_by, name, one) for one in value)
    if low > high:
        raise ArgumentError(f"{asked_by}: {name} must be (low, high); got {excerpt(value)}")
    return low, high


for _class in (
    Compose,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    RandomCrop,
    RandomShift,
    RandomScale,
    RandomShear,
    RandomNoise,
    RandomAffine,
    RandomRotation,
):
    if "__init__" in vars(_class):
        explaining_class(_class)
