"""What an op is written against: ``xp``, the namespace that a kind of array comes with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tinygrad_lab.backends.scatter import Scatter

__all__ = [
    "SCIPY",
    "Array",
    "Namespace",
    "first_outside",
    "forwards",
    "namespaces",
    "register_namespace",
]

Array = Any
"""A Python float, a NumPy array or a CuPy array (ops are written once, against any of them)."""

forwards: dict[str, Callable[..., Any]] = {}
"""The forward of every op of the table by name: the functions of ``xp`` beyond its library."""


SCIPY = {
    "erf": "erf",
    "erfc": "erfc",
    "erfinv": "erfinv",
    "lgamma": "gammaln",
    "digamma": "digamma",
    "zeta": "zeta",
    "i0": "i0",
    "i1": "i1",
}
"""The functions of ``xp`` that are SciPy's (on a GPU, CuPy's copies of them), with its names."""


_NO_CODE = (lambda: None).__code__
"""Stands for the code of what is not written in Python."""


class Namespace:
    """The functions of one array library, with the few that the backend overrides.

    An attribute is looked up, in this order, among the backend's own methods, in the library, in
    its ``linalg`` (``xp`` has all functions in one place), and in the table of ops (whose forward
    is then bound to this namespace). The result is cached in the instance, so that a second look-up
    costs as much as a module attribute.
    """

    name: str
    default_device: str

    def __init__(self, library: Any) -> None:
        self.library = library

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = getattr(self.library, name, None)
        if found is None:
            found = getattr(getattr(self.library, "linalg", None), name, None)
        if found is None:
            forward = forwards.get(name)
            if forward is None or name in getattr(forward, "__code__", _NO_CODE).co_names:
                # A forward that calls the library's function of the same name cannot replace it.
                raise self._missing(name)

            def found(*arrays: Array, **attributes: Any) -> Array:
                return forward(self, *arrays, **attributes)

        setattr(self, name, found)
        return found

    def _missing(self, name: str) -> Exception:
        """Return the error for a missing function."""
        return AttributeError(f"the {self.name} namespace has no function {name!r}")

    def __repr__(self) -> str:
        return f"<namespace {self.name}>"

    def device_of(self, array: Array) -> str:
        """Return the device of the array."""
        return self.default_device

    def on(self, device: str) -> AbstractContextManager[Any]:
        """Return a context in which the library creates its arrays on ``device``."""
        return nullcontext()

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Array:
        """Convert data to an array: copied (True), sharing memory if possible (None) or always
        (False).

        Raises:
            ValueError: if ``copy=False`` and the memory cannot be shared.
        """
        raise NotImplementedError

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """Return a NumPy array on the CPU, without a copy if the array is there already."""
        raise NotImplementedError

    def moved(self, array: Array, backend: Namespace, device: str) -> Array:
        """Return a copy of an array on a device of a backend."""
        return backend.asarray(self.to_numpy(array), device=device)

    def add_at(self, target: Array, key: Any, values: Array) -> None:
        """Compute ``target[key] += values`` in place, accumulating repeated indices."""
        raise NotImplementedError

    def outside(self, integers: Array, count: int) -> str | None:
        """Return the first of some integers that is outside 0 to count - 1, and its place.

        As words, "7 at [0, 2]"; None if there is none.
        """
        if self.holds(self.min(integers) < 0) or self.holds(self.max(integers) >= count):
            return first_outside(self.to_numpy(integers), count)
        return None

    def drawn(self, draw: Callable[..., Any], *args: Any, device: str | None = None) -> Array:
        """Call a method of a generator and return the result as an array of this library."""
        return self.asarray(draw(*args), device=device)

    def holds(self, condition: Array) -> bool:
        """Return whether a condition on numbers holds that decides on an error, not on a result."""
        return bool(condition)

    def relu(self, x: Array) -> Array:
        """Return the larger of x and 0."""
        return self.maximum(x, self.zeros_like(x))

    def where_positive(self, condition: Array, x: Array) -> Array:
        """Return x where another array is positive, 0 elsewhere."""
        return self.where(condition > 0, x, self.zeros_like(x))

    def complex_of(self, x: Array, y: Array) -> Array:
        """Return the complex numbers x + iy."""
        dtype = self.result_type(x, y, self.complex64)
        if not hasattr(x, "view"):
            return self.astype(x, dtype) + 1j * self.astype(y, dtype)
        # That formula would make NaN of 1 + i inf, for i * inf has NaN as its real part.
        real = self.result_type(x, y, self.float32)
        parts = [self.astype(part, real) for part in self.broadcast_arrays(x, y)]
        pairs = self.ascontiguousarray(self.stack(parts, axis=-1))
        return self.reshape(pairs.view(dtype), pairs.shape[:-1])

    def pick(self, flat: Array, positions: Array) -> Array:
        """Return elements of a vector at positions that are known to be valid."""
        return flat[positions]

    def put_at(
        self, values: Array, arrays: tuple[Array, ...], *, key: Any, shape: tuple[int, ...]
    ) -> Scatter:
        """Return lazily a zero array with values added at an index."""
        return Scatter(self, values, arrays, key, shape)


def first_outside(integers: np.ndarray[Any, Any], count: int) -> str:
    """Name the first of some integers that is outside 0 to count - 1, and its place."""
    place = np.argwhere((integers < 0) | (integers >= count))[0].tolist()
    return f"{integers[tuple(place)]}{f' at {place}' if place else ''}"


namespaces: dict[type, Any] = {}
"""Maps the class of an array to its namespace: the one dictionary look-up of an op."""


def register_namespace(kind: type, namespace: Any) -> None:
    """Let a class of arrays come with a namespace.

    The rooms above do it for what they add: ``ops`` for Tensors, ``compiler`` for traced arrays.
    """
    namespaces[kind] = namespace
