"""Checks of matrices before an op runs, and explanations where it fails.

Also errors where a derivative does not exist: a rule sees that from the values, and raises.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.backends import namespace_of
from tinygrad_lab.engine.explain import holds, in_full, shape_of
from tinygrad_lab.errors import DTypeError, GradientError, ShapeError

__all__ = [
    "matrices",
    "no_gradient",
    "not_finite",
    "not_positive_definite",
    "singular",
    "some_are_equal",
    "some_are_zero",
    "square",
    "vanishing",
]


def matrices(x: Any) -> Any:
    """Return x, if it holds matrices.

    Raises:
        ShapeError: if it does not.
        DTypeError: if LAPACK does not support its dtype.
    """
    if len(shape_of(x)) < 2:
        raise ShapeError(f"expected a matrix or a stack of matrices, got shape {shape_of(x)}.")
    if str(x.dtype).endswith("float16"):
        raise DTypeError(f"expected float32 or float64, got {x.dtype}: x.astype(tg.float32).")
    return x


def square(x: Any) -> Any:
    """Return x, if it holds square matrices.

    Raises:
        ShapeError: if it does not.
        DTypeError: if LAPACK does not support its dtype.
    """
    if len(shape_of(x)) < 2 or shape_of(x)[-1] != shape_of(x)[-2]:
        raise ShapeError(f"expected square matrices (..., n, n), got shape {shape_of(x)}.")
    return matrices(x)


# --- why a forward failed ------------------------------------------------------------------------


def _first(marked: Any, name: str) -> str:
    """Name the first marked matrix of a stack; a single matrix has the name alone."""
    place = next(map(tuple, np.argwhere(marked)), ())
    return f"{name}[{', '.join(map(str, place))}]" if place else name


def singular(x: Any, name: str = "x") -> str:
    """Explain why x has no inverse."""
    xp = namespace_of([x])
    return (
        f"{_first(xp.to_numpy(xp.det(x)) == 0, name)} is singular: its columns "
        "are linearly dependent. tg.pinv(x) is defined for every matrix."
    )


def not_finite(x: Any, **_: Any) -> str | None:
    """Explain why an iteration did not converge."""
    finite = np.isfinite(namespace_of([x]).to_numpy(x)).all(axis=(-2, -1))
    if finite.all():
        return None
    return f"{_first(~finite, 'x')} has elements that are NaN or infinite."


def not_positive_definite(x: Any) -> str:
    """Explain why x has no Cholesky factor."""
    xp = namespace_of([x])
    if reason := not_finite(x):
        return reason
    smallest = xp.to_numpy(xp.eigvalsh(x)).min(axis=-1)
    return (
        f"{_first(smallest == smallest.min(), 'x')} is not positive definite: its smallest "
        f"eigenvalue is {smallest.min():.3g}."
    )


# --- where there is no derivative --------------------------------------------------------------


def no_gradient(name: str, reason: str, x: Any) -> GradientError:
    """Return the error to raise at a point where no derivative exists."""
    return GradientError(in_full(name, f"no gradient exists here: {reason}", {"x": x}, {}))


def some_are_equal(ordered: Any) -> bool:
    """Tell whether some of the ordered numbers along the last axis are equal up to rounding."""
    return _some_vanish(ordered[..., 1:] - ordered[..., :-1], ordered)


def some_are_zero(numbers: Any) -> bool:
    """Tell whether some of the numbers along the last axis are zero up to rounding."""
    return _some_vanish(numbers, numbers)


_ROUNDINGS = 32
"""The error of LAPACK's eigenvalues and singular values, in rounding errors of the largest one."""


def _some_vanish(small: Any, numbers: Any) -> bool:
    """Tell whether some numbers along the last axis are negligible beside the largest of others."""
    if 0 in small.shape:
        return False
    return holds(namespace_of([numbers]).any(vanishing(small, numbers)))


def vanishing(small: Any, numbers: Any) -> Any:
    """Mark numbers along the last axis that are negligible beside the largest of others."""
    xp = namespace_of([numbers])
    largest = xp.max(xp.abs(numbers), axis=-1, keepdims=True)
    return largest + xp.abs(small) / _ROUNDINGS == largest
