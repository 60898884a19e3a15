"""NumPy arrays, on the CPU."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from tinygrad_lab.backends.dtypes import is_half
from tinygrad_lab.backends.half import HalfSums
from tinygrad_lab.backends.namespace import SCIPY, Array, first_outside, namespaces
from tinygrad_lab.backends.positions import flat_positions

__all__ = ["NUMPY", "NumPy", "unsigned", "where_mask", "where_positive"]


@cache
def unsigned(integer: np.dtype[Any]) -> np.dtype[Any]:
    """Return the unsigned integer dtype of the same size and byte order."""
    return np.dtype(integer.str.replace("i", "u"))


def where_positive(condition: Array, x: Array) -> Array:
    """Return x where another array is positive, else 0, in the memory order of that array."""
    if x.strides != condition.strides:
        # Elementwise over two memory orders is slow (a channels-last condition with a
        # channels-first x of 12,500: 114 µs); copying x into the order of the condition first
        # reduces it to 31. The result then has that order, which also suits the rule of conv1d.
        ordered = np.empty_like(condition)
        ordered[...] = x
        x = ordered
    return where_mask(x, condition > 0)


@cache
def _bits(floating: np.dtype[Any]) -> np.dtype[Any]:
    """Return the integer dtype of the same size, in native byte order as results are."""
    return np.dtype(f"i{floating.itemsize}")


def where_mask(x: Array, mask: Array) -> Array:
    """Return x where a boolean mask is true, 0 elsewhere."""
    # Multiply the bits, as integers, by the mask: this keeps all or none, also of NaN and -0.0. 26
    # µs on 47,500 floats, against 350 for where(), whose branches are unpredictable.
    return np.multiply(x.view(_bits(x.dtype)), mask).view(x.dtype)


class NumPy(HalfSums):
    """NumPy's functions, with faster variants of some."""

    name = "numpy"
    default_device = "cpu"

    # Unlike the function, the operator squares by multiplication.
    pow = staticmethod(operator.pow)

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Array:
        if copy and hasattr(data, "__array__") and not isinstance(data, np.ndarray):
            data = np.asarray(data)  # PyTorch's __array__ does not take copy=, and NumPy warns
        return np.array(data, dtype=dtype, copy=copy)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def sum(self, x: Array, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Array:
        if x.__class__ is np.ndarray and not is_half(x.dtype if dtype is None else dtype):
            # The function, written in Python, takes 1.5 µs more.
            return x.sum(axis=axis, dtype=dtype, keepdims=keepdims)
        return super().sum(x, axis=axis, dtype=dtype, keepdims=keepdims)

    def add_at(self, target: Array, key: Any, values: Array) -> None:
        if is_half(target.dtype):
            wide = target.astype(np.float32)
            self.add_at(wide, key, values)
            target[...] = wide
            return
        positions = _worthwhile_positions(target, key, values)
        if positions is None:
            np.add.at(target, key, values)
        else:
            np.add.at(target.reshape(-1), positions, np.reshape(values, -1))

    def outside(self, integers: Array, count: int) -> str | None:
        # Viewed as unsigned, a negative number is a huge one: one pass finds both mistakes. A
        # search for a byte is faster than any(), whose wrapper is written in Python.
        if 1 in (integers.view(unsigned(integers.dtype)) >= count).tobytes():
            return first_outside(integers, count)
        return None

    def relu(self, x: Array) -> Array:
        # NumPy's maximum is vectorised only between arrays, not with a scalar: on 47,500 floats 20
        # µs with an array of zeros, against 46; x * (x > 0) takes 40, and turns -inf into NaN.
        zeros = self.zeros_like(x)
        return np.maximum(x, zeros, out=zeros)

    def zeros_like(self, x: Array, **facts: Any) -> Array:
        # NumPy's own function is written in Python and takes 3 µs more.
        zeros = np.empty_like(x, **facts)
        zeros.fill(0)
        return zeros

    def vector_of(self, numbers: Sequence[Any]) -> Array:
        """Return a vector of Python numbers."""
        return np.array(numbers)

    def numbers_in(self, vector: Array) -> list[Any]:
        """Return the elements of a vector as Python numbers."""
        return list(vector.tolist())

    where_positive = staticmethod(where_positive)
    pick = staticmethod(operator.getitem)  # type: ignore[assignment]


def _of_scipy(name: str) -> Any:
    """Return a function of SciPy, which is imported when it is first called, as a method."""

    def function(self: NumPy, *arrays: Array) -> Array:
        from scipy import special

        x, y = arrays[-1], getattr(special, name)(*arrays)
        # SciPy makes float32 or float64 of float16.
        return y.astype(x.dtype) if x.dtype.kind == "f" and y.dtype != x.dtype else y

    return function


for _name, _name_in_scipy in SCIPY.items():
    setattr(NumPy, _name, _of_scipy(_name_in_scipy))


def _worthwhile_positions(target: Array, key: Any, values: Array) -> Any:
    """Return flat positions to add at, or None if they would not be faster, or not correct.

    NumPy takes 2 ns per element to add at a vector of positions in a flat array, and 14 or more for
    any other index.
    """
    parts = key if isinstance(key, tuple) else (key,)
    few = max(np.size(values), *map(np.size, parts)) < 1000
    flat = target.ndim == 1 and len(parts) == np.ndim(parts[0]) == 1
    masked = any(np.issubdtype(getattr(part, "dtype", type(part)), np.bool) for part in parts)
    if few or flat or masked or not target.flags.c_contiguous:
        return None
    try:
        positions = flat_positions(target.shape, parts)
    except (IndexError, ValueError):
        return None  # The index does not fit the shape; let NumPy raise the error.
    return positions if np.size(values) in (1, positions.size) else None


NUMPY = NumPy(np)

namespaces[np.ndarray] = NUMPY
# NumPy returns scalars, not 0-d arrays, from reductions and 0-d arithmetic.
for _scalar in np.ScalarType:
    if isinstance(_scalar, type) and issubclass(_scalar, np.generic):
        namespaces[_scalar] = NUMPY
