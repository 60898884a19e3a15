"""Generators of random numbers, and the default one that ``tg.seed`` seeds.

NumPy's PCG64 draws the numbers on the CPU for every dtype and device, so a seed gives the same
numbers on every platform and device. (A new version of NumPy may change how a distribution is
drawn; it has not done so for those used here.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinygrad_lab.context import touch
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.errors import ArgumentError

__all__ = ["Generator", "default_generator", "from_states", "remembered_states", "seed"]


class Generator:
    """A stream of random numbers with a state that can be saved and restored.

    NumPy's PCG64 draws the numbers on the CPU for every device, so a seed gives the same numbers
    everywhere.

    Example:
        >>> generator = Generator(0)
        >>> state = generator.get_state()
        >>> first = generator.uniform((2,), -1.0, 1.0, "float32")
        >>> generator.set_state(state)
        >>> bool((generator.uniform((2,), -1.0, 1.0, "float32") == first).all())
        True
    """

    def __init__(self, seed: int | None = None) -> None:
        touch("seed", (self,))
        self._seed = _checked(seed)
        self._numpy: Any = None

    @property
    def numpy(self) -> np.random.Generator:
        """The NumPy generator that draws."""
        if self._numpy is None:
            # Created on first use: loading numpy.random takes a fifth of the package's import time.
            self._numpy = np.random.default_rng(self._seed)
        for states in _remembering.get():
            if self not in states:
                states[self] = dict(self._numpy.bit_generator.state)
        return self._numpy

    def seed(self, seed: int) -> None:
        """Restart from a seed.

        Raises:
            ArgumentError: if the seed is not an integer of 0 or more.
        """
        touch("seed", (self,))
        self._seed, self._numpy = _checked(seed), None

    def get_state(self) -> dict[str, Any]:
        """Return the state, from which the stream can continue."""
        return dict(self.numpy.bit_generator.state)

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from a state that ``get_state`` returned."""
        self.numpy.bit_generator.state = state

    def uniform(
        self, shape: tuple[int, ...], low: float, high: float, dtype: Any
    ) -> np.ndarray[Any, Any]:
        """Draw numbers uniformly from low to high."""
        return self.numpy.uniform(low, high, shape).astype(dtype)

    def normal(
        self, shape: tuple[int, ...], mean: float, std: float, dtype: Any
    ) -> np.ndarray[Any, Any]:
        """Draw numbers from a normal distribution."""
        return self.numpy.normal(mean, std, shape).astype(dtype)

    def truncated_normal(
        self, shape: tuple[int, ...], mean: float, std: float, low: float, high: float, dtype: Any
    ) -> np.ndarray[Any, Any]:
        """Draw numbers from a normal distribution, those from low to high alone.

        The inverse of the distribution function is applied to uniform numbers between those of the
        bounds (Devroye, Non-Uniform Random Variate Generation, 1986, section II.2). In logarithms,
        and on the left side of the mean, the tails have all digits.
        """
        from scipy.special import log_ndtr, ndtri_exp

        ends = (low - mean) / std, (high - mean) / std
        side = -1.0 if ends[0] > 0 else 1.0
        left, right = sorted(side * end for end in ends)
        share = self.numpy.random(shape)
        with np.errstate(divide="ignore"):  # of the logarithm of 0
            logs = np.log1p(-share) + log_ndtr(left), np.log(share) + log_ndtr(right)
            normal = ndtri_exp(np.logaddexp(*logs))
        return np.clip(mean + std * side * normal, low, high).astype(dtype)

    def integers(
        self, shape: tuple[int, ...], low: int, high: int, drawing: Any, dtype: Any
    ) -> np.ndarray[Any, Any]:
        """Draw integers from low up to high, exclusive, in one dtype and return them in another."""
        return np.asarray(self.numpy.integers(low, high, shape, dtype=drawing)).astype(dtype)

    def bernoulli(self, shape: tuple[int, ...], p: float, dtype: Any) -> np.ndarray[Any, Any]:
        """Draw ones with probability p, zeros otherwise."""
        return np.asarray(self.numpy.random(shape) < p).astype(dtype)

    def permutation(self, n: int) -> np.ndarray[Any, Any]:
        """Return the integers below n in random order."""
        return self.numpy.permutation(n)

    def choice(self, n: int, shape: tuple[int, ...], replace: bool, p: Any) -> np.ndarray[Any, Any]:
        """Draw integers below n with probabilities p, or uniformly."""
        return np.asarray(self.numpy.choice(n, shape, replace=replace, p=p))

    def keep_mask(self, shape: tuple[int, ...], drop: float) -> np.ndarray[Any, Any]:
        """Draw booleans that are False with probability ``drop``."""
        return self.numpy.random(shape, dtype=np.float32) >= drop


def _checked(seed: Any) -> int | None:
    """Return a valid seed, or raise now instead of at the first draw."""
    if seed is None:
        return None
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise ArgumentError(f"expected an integer of 0 or more as a seed, got {seed!r:.60}.")
    return int(seed)


_remembering: ContextVar[tuple[dict[Generator, dict[str, Any]], ...]] = ContextVar(
    "tinygrad_lab.remembering", default=()
)
"""The dicts that record the state of each generator at its first draw."""


@contextmanager
def remembered_states() -> Iterator[dict[Generator, dict[str, Any]]]:
    """Record the initial state of each generator that a block draws from."""
    states: dict[Generator, dict[str, Any]] = {}
    token = _remembering.set((*_remembering.get(), states))
    try:
        yield states
    finally:
        _remembering.reset(token)


@contextmanager
def from_states(states: Mapping[Generator, dict[str, Any]]) -> Iterator[None]:
    """Run a block with generators in given states, and restore their own states after it."""
    before = {generator: generator.get_state() for generator in states}
    try:
        for generator, state in states.items():
            generator.set_state(state)
        yield
    finally:
        for generator, state in before.items():
            generator.set_state(state)


default_generator = Generator()


@explaining
def seed(n: int) -> None:
    """Seed the default generator, from which initialisers and dropout draw.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.seed(0); a = tg.nn.Linear(2, 2).weight.tolist()
        >>> tg.seed(0); b = tg.nn.Linear(2, 2).weight.tolist()
        >>> a == b
        True
    """
    default_generator.seed(n)
