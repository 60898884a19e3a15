"""NumPy arrays, on the CPU."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from tinygrad_lab.backends.namespace import Array, Namespace, namespaces

__all__ = ["NUMPY"]


class _NumPy(Namespace):
    name = "numpy"
    default_device = "cpu"

    # The operator, unlike the function, squares by multiplying.
    pow = staticmethod(operator.pow)

    def asarray(self, data: Any, dtype: Any = None, device: str | None = None) -> Array:
        return np.array(data, dtype=dtype)

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        return np.asarray(array)

    def add_at(self, target: Array, key: Any, values: Array) -> None:
        np.add.at(target, key, values)

    def erf(self, x: Array) -> Array:
        from scipy.special import erf

        return erf(x)


NUMPY = _NumPy(np)

namespaces[np.ndarray] = NUMPY
# NumPy gives its scalars, not 0-d arrays, as results of reductions and of 0-d arithmetic.
for _scalar in np.ScalarType:
    if isinstance(_scalar, type) and issubclass(_scalar, np.generic):
        namespaces[_scalar] = NUMPY
