"""Generators of random numbers, and the one that ``tg.seed`` sets.

The numbers are drawn by NumPy's PCG64 on the CPU, whichever dtype and device they go to, so that a
seed means the same numbers on every platform and device. (A new version of NumPy may change how a
distribution is drawn; it has not done so for those used here.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinygrad_lab.errors import ArgumentError

__all__ = ["Generator", "default_generator", "from_states", "remembered_states", "seed"]


class Generator:
    """A stream of random numbers with a state that can be saved and set back.

    The numbers are drawn by NumPy's PCG64 on the CPU, whichever device they go to, so that a
    seed means the same numbers everywhere.

    Example:
        >>> generator = Generator(0)
        >>> state = generator.get_state()
        >>> first = generator.uniform((2,), -1.0, 1.0, "float32")
        >>> generator.set_state(state)
        >>> bool((generator.uniform((2,), -1.0, 1.0, "float32") == first).all())
        True
    """

    def __init__(self, seed: int | None = None) -> None:
        self._seed = _checked(seed)
        self._numpy: Any = None

    @property
    def numpy(self) -> np.random.Generator:
        """The NumPy generator that draws."""
        if self._numpy is None:
            # Made when first used: loading numpy.random takes a fifth of the package's import.
            self._numpy = np.random.default_rng(self._seed)
        for states in _remembering.get():
            if self not in states:
                states[self] = dict(self._numpy.bit_generator.state)
        return self._numpy

    def seed(self, seed: int) -> None:
        """Start over from a seed.

        Raises:
            ArgumentError: for a seed that is no integer of 0 or more.
        """
        self._seed, self._numpy = _checked(seed), None

    def get_state(self) -> dict[str, Any]:
        """All there is to know to go on from here."""
        return dict(self.numpy.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``get_state`` gave."""
        self.numpy.bit_generator.state = state

    def uniform(
        self, shape: tuple[int, ...], low: float, high: float, dtype: Any
    ) -> np.ndarray[Any, Any]:
        """Numbers drawn evenly from low to high."""
        return self.numpy.uniform(low, high, shape).astype(dtype)

    def normal(
        self, shape: tuple[int, ...], mean: float, std: float, dtype: Any
    ) -> np.ndarray[Any, Any]:
        """Numbers drawn from a normal distribution."""
        return self.numpy.normal(mean, std, shape).astype(dtype)

    def integers(
        self, shape: tuple[int, ...], low: int, high: int, drawing: Any, dtype: Any
    ) -> np.ndarray[Any, Any]:
        """Integers from low up to but without high, drawn as one dtype and given as another."""
        return np.asarray(self.numpy.integers(low, high, shape, dtype=drawing)).astype(dtype)

    def bernoulli(self, shape: tuple[int, ...], p: float, dtype: Any) -> np.ndarray[Any, Any]:
        """Ones with a chance of p, zeros otherwise."""
        return np.asarray(self.numpy.random(shape) < p).astype(dtype)

    def permutation(self, n: int) -> np.ndarray[Any, Any]:
        """The integers below n in random order."""
        return self.numpy.permutation(n)

    def choice(self, n: int, shape: tuple[int, ...], replace: bool, p: Any) -> np.ndarray[Any, Any]:
        """Integers below n, chosen by chances p, or evenly."""
        return np.asarray(self.numpy.choice(n, shape, replace=replace, p=p))

    def keep_mask(self, shape: tuple[int, ...], drop: float) -> np.ndarray[Any, Any]:
        """Booleans that are False with a chance of ``drop``."""
        return self.numpy.random(shape, dtype=np.float32) >= drop


def _checked(seed: Any) -> int | None:
    """A seed that NumPy will take when the first number is drawn, which may be far from here."""
    if seed is None:
        return None
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ArgumentError(f"expected an integer of 0 or more as a seed, got {seed!r:.60}.")
    return int(seed)


_remembering: ContextVar[tuple[dict[Generator, dict[str, Any]], ...]] = ContextVar(
    "tinygrad_lab.remembering", default=()
)
"""Where to note the state that a generator has when it is first drawn from."""


@contextmanager
def remembered_states() -> Iterator[dict[Generator, dict[str, Any]]]:
    """The state in which a block found each generator that it draws from."""
    states: dict[Generator, dict[str, Any]] = {}
    token = _remembering.set((*_remembering.get(), states))
    try:
        yield states
    finally:
        _remembering.reset(token)


@contextmanager
def from_states(states: Mapping[Generator, dict[str, Any]]) -> Iterator[None]:
    """Run a block with generators set back to states, and after it as if it had not run."""
    before = {generator: generator.get_state() for generator in states}
    try:
        for generator, state in states.items():
            generator.set_state(state)
        yield
    finally:
        for generator, state in before.items():
            generator.set_state(state)


default_generator = Generator()


def seed(n: int) -> None:
    """Set the seed of the generator that initialisers and dropout draw from by default.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.seed(0); a = tg.nn.Linear(2, 2).weight.tolist()
        >>> tg.seed(0); b = tg.nn.Linear(2, 2).weight.tolist()
        >>> a == b
        True
    """
    default_generator.seed(n)
