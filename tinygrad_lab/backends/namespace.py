"""What an op is written against: ``xp``, the namespace that a kind of array comes with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from tinygrad_lab.backends.scatter import Scatter

__all__ = ["Array", "Namespace", "forwards", "namespaces"]

Array = Any
"""A Python float, a NumPy array or a CuPy array (ops are written once, against any of them)."""

forwards: dict[str, Callable[..., Any]] = {}
"""The forward of every op of the table, by name: what ``xp`` offers beyond its library."""


class Namespace:
    """The functions of one array library, and the little that each backend does differently.

    An attribute is looked for, in this order, among the backend's own methods, in the library, in
    its part ``linalg`` (here all functions stand in one place), and in the table of ops (whose
    forward is then bound to this namespace). What was found is remembered in the instance, so that
    a second look-up costs what a module attribute costs.
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
            if forward is None or name in forward.__code__.co_names:
                # A forward that calls the library's function of that name cannot stand in for it.
                raise self._missing(name)

            def found(*arrays: Array, **attributes: Any) -> Array:
                return forward(self, *arrays, **attributes)

        setattr(self, name, found)
        return found

    def _missing(self, name: str) -> Exception:
        """The error to raise for a function that there is not."""
        return AttributeError(f"the {self.name} namespace has no function {name!r}")

    def __repr__(self) -> str:
        return f"<namespace {self.name}>"

    def device_of(self, array: Array) -> str:
        """The device that holds the array."""
        return self.default_device

    def on(self, device: str) -> AbstractContextManager[Any]:
        """A block in which the library makes its arrays on ``device``."""
        return nullcontext()

    def asarray(
        self, data: Any, dtype: Any = None, device: str | None = None, copy: bool | None = True
    ) -> Array:
        """Data as an array: a copy, or the same memory where it can be (None), or must be (False).

        Raises:
            ValueError: where the memory cannot be the same.
        """
        raise NotImplementedError

    def to_numpy(self, array: Array) -> np.ndarray[Any, Any]:
        """The array on the CPU, without a copy where it is there already."""
        raise NotImplementedError

    def add_at(self, target: Array, key: Any, values: Array) -> None:
        """``target[key] += values``, in place, where repeated indices add up."""
        raise NotImplementedError

    def outside(self, integers: Array, count: int) -> tuple[int, int] | None:
        """The smallest and the largest of some integers, if one is not among 0 to count - 1."""
        smallest, largest = self.min(integers), self.max(integers)
        if self.holds(smallest < 0) or self.holds(largest >= count):
            return int(smallest), int(largest)
        return None

    def drawn(self, draw: Callable[..., Any], *args: Any, device: str | None = None) -> Array:
        """What a generator's method draws, as an array of this library."""
        return self.asarray(draw(*args), device=device)

    def holds(self, condition: Array) -> bool:
        """Whether a condition on numbers holds, which decides about an error, not a result."""
        return bool(condition)

    def relu(self, x: Array) -> Array:
        """The larger of x and 0."""
        return self.maximum(x, self.zeros_like(x))

    def where_positive(self, condition: Array, x: Array) -> Array:
        """x where another array is positive, 0 elsewhere."""
        return self.where(condition > 0, x, self.zeros_like(x))

    def pick(self, flat: Array, positions: Array) -> Array:
        """Elements of a vector, at positions that are known to be there."""
        return flat[positions]

    def put_at(
        self, values: Array, arrays: tuple[Array, ...], *, key: Any, shape: tuple[int, ...]
    ) -> Scatter:
        """Zeros of a shape with values added at an index, not yet written out."""
        return Scatter(self, values, arrays, key, shape)


namespaces: dict[type, Any] = {}
"""From the class of an array to its namespace: the one dictionary look-up of an op."""
