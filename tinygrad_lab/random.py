"""Random numbers: one generator that ``tg.seed`` sets, and as many others as a user wants.

    tg.seed(0)
    x = tg.random.normal((100, 40))                                # from the default generator
    y = tg.random.integers((100,), 0, 10, generator=tg.Generator(1))

The numbers are drawn by NumPy's PCG64 on the CPU, whichever dtype and device they go to, so that a
seed means the same numbers on every platform and device. (A new version of NumPy may change how a
distribution is drawn; it has not done so for those used here.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.context import current
from tinygrad_lab.devices import backend_at
from tinygrad_lab.dtypes import get_default_dtype, known_dtype, optional_dtype
from tinygrad_lab.errors import ArgumentError, DTypeError
from tinygrad_lab.leaves import Shape, leaf, sizes_of

if TYPE_CHECKING:
    from tinygrad_lab.tensor import Tensor

__all__ = [
    "Generator",
    "bernoulli",
    "choice",
    "default_generator",
    "from_states",
    "integers",
    "normal",
    "permutation",
    "remembered_states",
    "seed",
    "uniform",
]


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


# --- tensors of random numbers -----------------------------------------------------------------


def uniform(
    shape: Shape = (),
    low: float = 0.0,
    high: float = 1.0,
    *,
    dtype: Any = None,
    device: str | None = None,
    generator: Generator = default_generator,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Numbers drawn evenly from ``low`` to ``high``.

    Args:
        shape: the size of each axis, or the one size of a vector.
        low, high: the bounds; ``high`` itself comes up only by rounding.
        dtype: a floating dtype; the default one, if not given.
        device: where the tensor lives; see ``tg.default_device``.
        generator: where the numbers come from; the one that ``tg.seed`` sets, if not given.
        requires_grad: whether a gradient is wanted.
        name: what pictures call it.

    Raises:
        ArgumentError: for bounds that are not finite, or the wrong way round.
        DTypeError: for a dtype that is not floating.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.uniform((2, 3), -1.0, 1.0, generator=tg.Generator(0))
        tensor([[ 0.27392337, -0.46042657, -0.918053  ],
                [-0.96694475,  0.6265405 ,  0.82551116]])
    """
    wanted = _floating("uniform", dtype)
    if not -np.inf < low <= high < np.inf:
        raise ArgumentError(
            f"uniform: expected finite bounds low <= high, got low={low!r} and high={high!r}."
        )
    sizes = sizes_of("uniform", shape)
    drawn = _drawn(generator.uniform, sizes, low, high, wanted, device=device)
    return leaf(drawn, requires_grad=requires_grad, name=name)


def normal(
    shape: Shape = (),
    mean: float = 0.0,
    std: float = 1.0,
    *,
    dtype: Any = None,
    device: str | None = None,
    generator: Generator = default_generator,
    requires_grad: bool = False,
    name: str | None = None,
) -> Tensor:
    """Numbers drawn from a normal distribution; the other arguments are those of ``uniform``.

    Raises:
        ArgumentError: for a standard deviation below 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.normal(3, generator=tg.Generator(0))
        tensor([ 0.12573022, -0.13210486,  0.64042264])
    """
    wanted = _floating("normal", dtype)
    if not std >= 0:
        raise ArgumentError(f"normal: expected a standard deviation of 0 or more, got {std!r}.")
    sizes = sizes_of("normal", shape)
    drawn = _drawn(generator.normal, sizes, mean, std, wanted, device=device)
    return leaf(drawn, requires_grad=requires_grad, name=name)


def integers(
    shape: Shape,
    low: int,
    high: int,
    *,
    dtype: Any = None,
    device: str | None = None,
    generator: Generator = default_generator,
) -> Tensor:
    """Integers drawn evenly from ``low`` up to but without ``high``.

    Args:
        shape: the size of each axis, or the one size of a vector.
        low, high: the bounds.
        dtype: an integer dtype that holds them; int64 if not given.
        device, generator: as in ``uniform``.

    Raises:
        ArgumentError: for bounds with nothing between them, or that the dtype cannot hold.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.integers(5, 0, 10, generator=tg.Generator(0)).tolist()
        [8, 6, 5, 2, 3]
    """
    wanted = optional_dtype(dtype, "integers") or np.dtype(np.int64)
    if wanted.kind not in "iu":
        raise DTypeError(f"integers: expected an integer dtype, got {wanted}.")
    limits = np.iinfo(wanted)
    if not limits.min <= low < high <= limits.max + 1:
        raise ArgumentError(
            f"integers: expected low < high within {wanted}, got low={low!r} and high={high!r}."
        )
    # The same bits make the same number whatever the dtype is: all are drawn as int64, if it can.
    drawing = np.dtype(np.uint64 if high > 2**63 else np.int64)
    sizes = sizes_of("integers", shape)
    drawn = _drawn(generator.integers, sizes, low, high, drawing, wanted, device=device)
    return leaf(drawn)


def bernoulli(
    shape: Shape = (),
    p: float = 0.5,
    *,
    dtype: Any = bool,
    device: str | None = None,
    generator: Generator = default_generator,
) -> Tensor:
    """Booleans that are True with a chance of ``p``, or as numbers 1 and 0.

    Args:
        shape: the size of each axis, or the one size of a vector.
        p: the chance of True.
        dtype: ``tg.bool``, or the dtype of the ones and zeros.
        device, generator: as in ``uniform``.

    Raises:
        ArgumentError: for a chance that is not from 0 to 1.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.bernoulli(5, 0.3, generator=tg.Generator(0)).tolist()
        [False, True, True, True, False]
    """
    if not 0 <= p <= 1:
        raise ArgumentError(f"bernoulli: expected a chance from 0 to 1, got {p!r}.")
    sizes, wanted = sizes_of("bernoulli", shape), known_dtype(dtype, "bernoulli")
    drawn = _drawn(generator.bernoulli, sizes, p, wanted, device=device)
    return leaf(drawn)


def permutation(
    n: int, *, device: str | None = None, generator: Generator = default_generator
) -> Tensor:
    """The integers from 0 to ``n - 1`` in random order: ``x[permutation(len(x))]`` shuffles rows.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.permutation(5, generator=tg.Generator(0)).tolist()
        [2, 4, 3, 0, 1]
    """
    (count,) = sizes_of("permutation", (n,))
    drawn = _drawn(generator.permutation, count, device=device)
    return leaf(drawn)


def choice(
    n: int,
    shape: Shape = (),
    *,
    replace: bool = True,
    p: Any = None,
    device: str | None = None,
    generator: Generator = default_generator,
) -> Tensor:
    """Integers from 0 to ``n - 1``, each as often as chance has it: positions to pick rows by.

    Args:
        n: how many there are to choose from.
        shape: the size of each axis, or the one size of a vector.
        replace: whether one can be chosen again.
        p: the chance of each, numbers that add up to 1; even chances if not given.
        device, generator: as in ``uniform``.

    Raises:
        ArgumentError: for chances that are none, or for more choices than there are
            without ``replace``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.choice(10, 3, replace=False, generator=tg.Generator(0)).tolist()
        [5, 9, 6]
    """
    sizes = sizes_of("choice", shape)
    chances = None if p is None else np.asarray(p, dtype=np.float64)
    try:
        drawn = _drawn(generator.choice, n, sizes, replace, chances, device=device)
        return leaf(drawn)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"choice: {error} (n={n!r:.60}, shape={sizes}).") from None


def _floating(asked_by: str, dtype: Any) -> Any:
    wanted = optional_dtype(dtype, asked_by) or get_default_dtype()
    if wanted.kind != "f":
        raise DTypeError(f"{asked_by}: expected a floating dtype, got {wanted}.")
    return wanted


def _drawn(draw: Callable[..., Any], *args: Any, device: str | None) -> Any:
    """What a generator's method draws, on its device; a compiled step draws anew at each call."""
    backend, place = backend_at(device)
    if (recorder := current().recorder) is not None:
        return recorder.drawn(draw, *args)
    return backend.asarray(draw(*args), device=place, copy=None)
