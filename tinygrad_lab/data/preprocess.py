"""Preprocessing that is fitted on training data, and then applied to all data.

``fit`` on the training set alone: what is fitted on test data, too, has seen them, and errors
measured there are too small (Hastie, Tibshirani & Friedman, "The Elements of Statistical Learning",
2009, section 7.10.2).

    >>> import tinygrad_lab as tg
    >>> data = tg.data.mnist1d(num_samples=100)
    >>> standardize = Standardize().fit(data.x)
    >>> x, x_test = standardize.transform(data.x), standardize.transform(data.x_test)

Samples lie along the first axis; each number of a sample is a feature (28·28 of an image).
Arrays stay arrays and tensors tensors, of the same floating dtype; integers become the default
dtype. What is fitted is kept in float64.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.data.arrays import array_of, on_arrays
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    NonFiniteError,
    ShapeError,
    StateDictError,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Decorrelate", "Standardize", "Whiten"]

RTOL = 1e-10
"""Directions with less than this share of the largest variance count as constant."""


class _Fitted:
    """A change of features that is fitted to samples: z = (x - mean) @ forth, x = z @ back + mean.

    The matrices are (features, features); vectors stand for diagonal ones.
    """

    def __init__(self) -> None:
        self.shape: tuple[int, ...] | None = None
        """The shape of a sample."""
        self.mean: NDArray[np.float64]
        self.forth: NDArray[np.float64]
        self.back: NDArray[np.float64]
        self.constant: NDArray[np.bool_]

    def _fit_rows(self, rows: NDArray[np.float64]) -> None:
        raise NotImplementedError

    def fit(self, x: Any) -> Self:
        """Measure the training data; return the object itself.

        Raises:
            ShapeError: for fewer than 1 sample, or numbers without axes of samples and features.
            NonFiniteError: for NaN or infinities.
        """
        name = type(self).__name__
        array = array_of(f"{name}.fit", x)
        if array.ndim < 2 or not array.size:
            raise ShapeError(
                f"{name}.fit: expected samples along the first axis, and features behind it: shape "
                f"(samples, features); got shape {array.shape}"
            )
        if not np.isfinite(array).all():
            raise NonFiniteError(f"{name}.fit: expected finite numbers; got NaN or infinities")
        rows = array.reshape(len(array), -1).astype(np.float64)
        self.mean = rows.mean(axis=0)
        self._fit_rows(rows)
        self.shape = array.shape[1:]
        return self

    def transform(self, x: Any) -> Any:
        """Return samples of the shape that was fitted, changed.

        Raises:
            ArgumentError: before ``fit``.
            ShapeError: for samples of another shape.
        """
        return self._applied("transform", x, lambda rows: _times(rows - self.mean, self.forth))

    def inverse(self, z: Any) -> Any:
        """Return the samples that ``transform`` changed into these.

        Raises:
            ArgumentError, ShapeError: as ``transform``.
        """
        return self._applied("inverse", z, lambda rows: _times(rows, self.back) + self.mean)

    def fit_transform(self, x: Any) -> Any:
        """Fit to the training data, and return them changed."""
        return self.fit(x).transform(x)

    def _applied(self, method: str, x: Any, function: Any) -> Any:
        name = f"{type(self).__name__}.{method}"
        if self.shape is None:
            raise ArgumentError(f"{name}: nothing is fitted yet: call fit(training data) first")

        def on_rows(array: NDArray[Any]) -> NDArray[Any]:
            if array.shape[1:] != self.shape:
                raise ShapeError(
                    f"{name}: expected samples of shape {self.shape}, as those that were fitted; "
                    f"got an array of shape {array.shape}"
                )
            rows = array.reshape(len(array), self.mean.size).astype(np.float64)
            changed: NDArray[Any] = function(rows).reshape(array.shape)
            return changed

        return on_arrays(name, x, on_rows)

    def state_dict(self) -> dict[str, Tensor]:
        """Return what was fitted, as tensors by name."""
        if self.shape is None:
            raise ArgumentError(f"{type(self).__name__}.state_dict: nothing is fitted yet")
        arrays: dict[str, Any] = {"shape": np.asarray(self.shape, dtype=np.int64)}
        names = ("mean", "forth", "back", "constant")
        arrays |= {name: getattr(self, name) for name in names}
        return {name: tensor(array, device="cpu") for name, array in arrays.items()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what another object of this class has fitted.

        Raises:
            StateDictError: for missing or unknown names, and shapes that do not fit each other.
        """
        name, wanted = type(self).__name__, {"shape", "mean", "forth", "back", "constant"}
        if not isinstance(state_dict, Mapping):
            raise ArgumentTypeError(
                f"{name}.load_state_dict takes a dict, as state_dict() returns it; got "
                f"{type(state_dict).__name__}"
            )
        if set(state_dict) != wanted:
            raise StateDictError(
                f"{name}: expected the names {sorted(wanted)}; got {sorted(map(str, state_dict))}"
            )
        found = {
            key: np.asarray(value.numpy() if isinstance(value, Tensor) else value)
            for key, value in state_dict.items()
        }
        shape = tuple(int(size) for size in np.atleast_1d(found["shape"]))
        features = int(np.prod(shape))
        matrix = self._shape_of_matrix(features)
        for key, expected in {"mean": (features,), "forth": matrix, "back": matrix}.items():
            if found[key].shape != expected:
                raise StateDictError(
                    f"{name}: {key} of samples of shape {shape} has shape {expected}; got "
                    f"{found[key].shape}"
                )
        self.mean, self.forth, self.back = (
            found[key].astype(np.float64) for key in ("mean", "forth", "back")
        )
        self.constant, self.shape = found["constant"].astype(bool), shape

    def _shape_of_matrix(self, features: int) -> tuple[int, ...]:
        return (features, features)

    def __repr__(self) -> str:
        if self.shape is None:
            return f"{type(self).__name__}()"
        constant = int(self.constant.sum())
        said = f", {constant} of them constant" if constant else ""
        return f"{type(self).__name__}() fitted to {self.mean.size} features{said}"


class Standardize(_Fitted):
    """Give each feature mean 0 and standard deviation 1: z = (x - mean) / std.

    A feature that is the same in all training samples has no deviation to divide by: it is centred
    alone, so that it becomes 0. ``constant`` says which those are, and ``repr`` how many.

    Example:
        >>> import numpy as np
        >>> x = np.array([[1.0, 5.0], [3.0, 5.0]])
        >>> standardize = Standardize().fit(x)
        >>> standardize
        Standardize() fitted to 2 features, 1 of them constant
        >>> standardize.transform(x)
        array([[-1.,  0.],
               [ 1.,  0.]])
        >>> standardize.inverse(standardize.transform(x))
        array([[1., 5.],
               [3., 5.]])

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), section 12.1.3; LeCun,
    Bottou, Orr & Müller, "Efficient BackProp" (1998), section 4.3. The standard deviation divides
    by n.
    """

    def _fit_rows(self, rows: NDArray[np.float64]) -> None:
        # The deviation of equal numbers may be a rounding error instead of 0.
        self.constant = rows.min(axis=0) == rows.max(axis=0)
        self.mean = np.where(self.constant, rows[0], self.mean)
        self.back = np.where(self.constant, 1.0, rows.std(axis=0))
        self.forth = 1 / self.back

    def _shape_of_matrix(self, features: int) -> tuple[int, ...]:
        return (features,)


class Decorrelate(_Fitted):
    """Turn the axes so that features are uncorrelated: z = (x - mean) V.

    V are the orthonormal eigenvectors of the covariance of the training data, largest variance
    first, each with the sign that makes its largest component positive. Distances stay. In
    ``constant`` are the directions without variance.

    Example:
        >>> import numpy as np
        >>> x = np.array([[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]])
        >>> np.round(Decorrelate().fit(x).transform(x), 3) + 0.0
        array([[-2.828,  0.   ],
               [ 0.   ,  0.   ],
               [ 2.828,  0.   ]])

    Source: principal components, Bishop, "Pattern Recognition and Machine Learning" (2006), section
    12.1 and equation 12.23; LeCun et al., "Efficient BackProp" (1998), section 4.3.
    """

    def _fit_rows(self, rows: NDArray[np.float64]) -> None:
        _, self.forth, self.constant = _axes(rows - self.mean)
        self.back = self.forth.T


class Whiten(_Fitted):
    """Make the covariance the identity: z = (x - mean) V / √λ.

    V and λ are eigenvectors and eigenvalues of the covariance of the training data (division by n),
    as in ``Decorrelate``. Directions without variance (``constant``: below 1e-10 of the largest)
    cannot be scaled to 1 and stay as they are, near 0: there the covariance has a 0.

    Args:
        zca: turn the axes back, z = (x - mean) V / √λ Vᵀ: of all whitened data these are the
            closest to the given ones, so that images still look like images.

    Example:
        >>> import numpy as np
        >>> x = np.random.default_rng(0).normal(size=(50, 3)) @ [[2, 1, 0], [0, 1, 1], [0, 0, 3]]
        >>> z = Whiten().fit(x).transform(x)
        >>> bool(np.allclose(z.T @ z / 50, np.eye(3)))
        True

    Source: Bishop, "Pattern Recognition and Machine Learning" (2006), equation 12.24; ZCA, Bell &
    Sejnowski, "The 'independent components' of natural scenes are edge filters", Vision Research 37
    (1997); both compared, Kessy, Lewin & Strimmer, "Optimal Whitening and Decorrelation", The
    American Statistician 72 (2018).
    """

    def __init__(self, *, zca: bool = False) -> None:
        super().__init__()
        self.zca = zca

    def _fit_rows(self, rows: NDArray[np.float64]) -> None:
        variances, axes, self.constant = _axes(rows - self.mean)
        deviations = np.sqrt(np.where(self.constant, 1.0, variances))
        self.forth, self.back = axes / deviations, deviations[:, np.newaxis] * axes.T
        if self.zca:
            self.forth, self.back = self.forth @ axes.T, axes @ self.back


def _axes(
    centred: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return variances, largest first, their axes as columns, and which are (nearly) 0."""
    variances, axes = np.linalg.eigh(centred.T @ centred / len(centred))
    variances, axes = np.maximum(variances[::-1], 0.0), axes[:, ::-1]
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0)[np.newaxis], axis=0)
    axes = axes * np.where(largest < 0, -1.0, 1.0)
    return variances, axes, variances <= RTOL * variances[0]


def _times(rows: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows * matrix if matrix.ndim == 1 else rows @ matrix
