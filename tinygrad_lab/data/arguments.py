"""Checks of arguments that several functions of this room take."""

from __future__ import annotations

import math
from collections.abc import Sized
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, excerpt
from tinygrad_lab.random.generator import Generator, default_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["count_of", "indices_of", "integer", "length_of", "number", "numbers_from"]


def integer(asked_by: str, name: str, value: Any, least: int | None = 0) -> int:
    """Return an integer of at least some value, or raise: floats and booleans are none."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        bound = "" if least is None else f" of at least {least}"
        raise ArgumentTypeError(
            f"{asked_by}: {name} must be an integer{bound}; got {excerpt(value)}"
        )
    if least is not None and value < least:
        raise ArgumentError(f"{asked_by}: {name} must be at least {least}; got {value}")
    return int(value)


def number(
    asked_by: str, name: str, value: Any, least: float = -math.inf, most: float = math.inf
) -> float:
    """Return a finite number between two bounds, or raise."""
    if isinstance(value, bool | np.bool_ | str) or not hasattr(value, "__float__"):
        raise ArgumentTypeError(f"{asked_by}: {name} must be a number; got {excerpt(value)}")
    if not (math.isfinite(value) and least <= value <= most):
        bounds = f"from {least:g} to {most:g}" if most < math.inf else f"of at least {least:g}"
        wanted = "a finite number" if least == -math.inf else f"a finite number {bounds}"
        raise ArgumentError(f"{asked_by}: {name} must be {wanted}; got {excerpt(value)}")
    return float(value)


def count_of(asked_by: str, n: Any) -> int:
    """Return the number of samples of a toy set."""
    return integer(asked_by, "n", n, least=1)


def length_of(asked_by: str, dataset: Any) -> int:
    """Return the number of items of a dataset, or raise if it does not know it."""
    if not isinstance(dataset, Sized):
        raise ArgumentTypeError(
            f"{asked_by}: expected a dataset with a length; {type(dataset).__name__} has no __len__"
        )
    return len(dataset)


def numbers_from(asked_by: str, generator: Any) -> np.random.Generator:
    """Return the NumPy generator to draw from; without one, the default that ``tg.seed`` seeds."""
    if generator is None:
        return default_generator.numpy
    if isinstance(generator, Generator):
        return generator.numpy
    if isinstance(generator, np.random.Generator):
        return generator
    if isinstance(generator, int):
        raise ArgumentTypeError(
            f"{asked_by}: a seed is no generator: write generator=tg.Generator({generator})"
        )
    raise ArgumentTypeError(
        f"{asked_by}: expected generator=tg.Generator(seed); got {excerpt(generator)}"
    )


def indices_of(asked_by: str, indices: Any, length: int | None = None) -> NDArray[np.int64]:
    """Return indices as a vector of int64, each within a length if it is known."""
    found = np.asarray(indices if hasattr(indices, "__array__") else list(indices))
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        hint = "; of a mask, np.flatnonzero(mask)" if found.dtype.kind == "b" else ""
        raise ArgumentTypeError(
            f"{asked_by}: expected integers as indices, got an array of shape {found.shape} and "
            f"dtype {found.dtype}{hint}"
        )
    found = found.astype(np.int64)
    if length is not None and found.size and not -length <= found.min() <= found.max() < length:
        wrong = found[(found < -length) | (found >= length)][0]
        raise ArgumentError(
            f"{asked_by}: index {wrong} is out of range for a dataset of {length} items"
        )
    return found
