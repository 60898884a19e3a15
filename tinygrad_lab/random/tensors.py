"""Tensors of random numbers, drawn from the default generator or a given one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.backends.devices import backend_at
from tinygrad_lab.backends.dtypes import get_default_dtype, known_dtype, optional_dtype
from tinygrad_lab.context import current
from tinygrad_lab.engine.explain import holds
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.leaves import Shape, leaf, sizes_of
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError, excerpt
from tinygrad_lab.random.generator import Generator, default_generator
from tinygrad_lab.random.order import population_first, shape_first

if TYPE_CHECKING:
    from tinygrad_lab.engine.tensor import Tensor

__all__ = ["bernoulli", "choice", "drawn", "integers", "normal", "permutation", "uniform"]


@shape_first
@explaining
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
    """Draw numbers uniformly from ``low`` to ``high``.

    Args:
        shape: the size of each axis, or the length of a vector.
        low, high: the bounds; ``high`` itself occurs only by rounding.
        dtype: a floating dtype; the default one if not given.
        device: where the tensor lives; see ``tg.default_device``.
        generator: the source of the numbers; by default the one that ``tg.seed`` seeds.
        requires_grad: whether to compute a gradient for it.
        name: its name in pictures.

    Raises:
        ArgumentError: for bounds that are not finite, or in the wrong order.
        DTypeError: for a dtype that is not floating.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.uniform((2, 3), -1.0, 1.0, generator=tg.Generator(0))
        tensor([[ 0.27392337, -0.46042657, -0.918053  ],
                [-0.96694475,  0.6265405 ,  0.82551116]])
    """
    _check_order("uniform", shape, low=low, high=high)
    wanted = _floating("uniform", dtype)
    if not all(map(holds, (low > -np.inf, low <= high, high < np.inf))):
        raise ArgumentError(
            f"uniform: expected finite bounds low <= high, got low={low!r} and high={high!r}."
        )
    sizes = sizes_of("uniform", shape)
    numbers = drawn(generator.uniform, sizes, low, high, wanted, device=device)
    return leaf(numbers, requires_grad=requires_grad, name=name)


@shape_first
@explaining
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
    """Draw numbers from a normal distribution; the other arguments are those of ``uniform``.

    Raises:
        ArgumentError: for a standard deviation below 0.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.normal(3, generator=tg.Generator(0))
        tensor([ 0.12573022, -0.13210486,  0.64042264])
    """
    _check_order("normal", shape, mean=mean, std=std)
    wanted = _floating("normal", dtype)
    if not holds(std >= 0):
        raise ArgumentError(f"normal: expected a standard deviation of 0 or more, got {std!r}.")
    sizes = sizes_of("normal", shape)
    numbers = drawn(generator.normal, sizes, mean, std, wanted, device=device)
    return leaf(numbers, requires_grad=requires_grad, name=name)


@shape_first
@explaining
def integers(
    shape: Shape,
    low: int,
    high: int,
    *,
    dtype: Any = None,
    device: str | None = None,
    generator: Generator = default_generator,
) -> Tensor:
    """Draw integers uniformly from ``low`` up to ``high``, exclusive.

    Args:
        shape: the size of each axis, or the length of a vector.
        low, high: the bounds.
        dtype: an integer dtype that holds them; int64 if not given.
        device, generator: as in ``uniform``.

    Raises:
        ArgumentError: for bounds without an integer between them, or outside the dtype.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.integers(5, 0, 10, generator=tg.Generator(0)).tolist()
        [8, 6, 5, 2, 3]
    """
    _check_order("integers", shape, low=low, high=high)
    wanted = optional_dtype(dtype, "integers") or np.dtype(np.int64)
    if wanted.kind not in "iu":
        raise DTypeError(f"integers: expected an integer dtype, got {wanted}.")
    limits = np.iinfo(wanted)
    if not limits.min <= low < high <= limits.max + 1:
        raise ArgumentError(
            f"integers: expected low < high within {wanted}, got low={low!r} and high={high!r}."
        )
    # Draw as int64 if the bounds fit, so that a seed gives the same numbers in every dtype.
    drawing = np.dtype(np.uint64 if high > 2**63 else np.int64)
    sizes = sizes_of("integers", shape)
    numbers = drawn(generator.integers, sizes, low, high, drawing, wanted, device=device)
    return leaf(numbers)


@shape_first
@explaining
def bernoulli(
    shape: Shape = (),
    p: float = 0.5,
    *,
    dtype: Any = bool,
    device: str | None = None,
    generator: Generator = default_generator,
) -> Tensor:
    """Draw booleans that are True with probability ``p``, or the numbers 1 and 0.

    Args:
        shape: the size of each axis, or the length of a vector.
        p: the probability of True.
        dtype: ``tg.bool``, or the dtype of the ones and zeros.
        device, generator: as in ``uniform``.

    Raises:
        ArgumentError: for a probability outside 0 to 1.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.bernoulli(5, 0.3, generator=tg.Generator(0)).tolist()
        [False, True, True, True, False]
    """
    _check_order("bernoulli", shape, p=p)
    if not (holds(p >= 0) and holds(p <= 1)):
        raise ArgumentError(f"bernoulli: expected a probability from 0 to 1, got {p!r}.")
    sizes, wanted = sizes_of("bernoulli", shape), known_dtype(dtype, "bernoulli")
    numbers = drawn(generator.bernoulli, sizes, p, wanted, device=device)
    return leaf(numbers)


@population_first
@explaining
def permutation(
    n: int, *, device: str | None = None, generator: Generator = default_generator
) -> Tensor:
    """Return 0 to ``n - 1`` in random order: ``x[permutation(len(x))]`` shuffles rows.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.permutation(5, generator=tg.Generator(0)).tolist()
        [2, 4, 3, 0, 1]
    """
    (count,) = sizes_of("permutation", (n,))
    numbers = drawn(generator.permutation, count, device=device)
    return leaf(numbers)


@population_first
@explaining
def choice(
    n: int,
    shape: Shape = (),
    *,
    replace: bool = True,
    p: Any = None,
    device: str | None = None,
    generator: Generator = default_generator,
) -> Tensor:
    """Draw integers from 0 to ``n - 1``, for example as indices of rows.

    Args:
        n: the number of integers to choose from.
        shape: the size of each axis, or the length of a vector.
        replace: whether an integer can be chosen more than once.
        p: the probability of each integer, with a sum of 1; uniform if not given.
        device, generator: as in ``uniform``.

    Raises:
        ArgumentError: for invalid probabilities, or for more than ``n`` choices without
            ``replace``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.random.choice(10, 3, replace=False, generator=tg.Generator(0)).tolist()
        [5, 9, 6]
    """
    sizes = sizes_of("choice", shape)
    if getattr(p, "requires_grad", False):
        raise GradientError(
            "choice: what is drawn has no gradient with respect to its probabilities, which "
            "require one: p=p.detach()."
        )
    # In its own dtype: NumPy lets the sum of float32 differ from 1 by more than that of float64.
    chances = None if p is None else np.asarray(p)
    try:
        numbers = drawn(generator.choice, n, sizes, replace, chances, device=device)
        return leaf(numbers)
    except (ValueError, TypeError) as error:
        raise ArgumentError(f"choice: {error} (n={excerpt(n)}, shape={sizes}).") from None


def _check_order(name: str, shape: Any, **numbers: Any) -> None:
    """Raise if a shape came where a number belongs, as in NumPy's and PyTorch's order."""
    for argument, value in numbers.items():
        if isinstance(value, tuple | list):
            *others, _ = numbers
            before = ", ".join(map(repr, [shape, *(numbers[one] for one in others)]))
            raise ArgumentTypeError(
                f"{name}: expected a number as {argument}, got {value!r:.60}. The shape comes "
                f"first: tg.random.{name}({value!r:.60}, {before})."
            )


def _floating(asked_by: str, dtype: Any) -> Any:
    wanted = optional_dtype(dtype, asked_by) or get_default_dtype()
    if wanted.kind != "f":
        raise DTypeError(f"{asked_by}: expected a floating dtype, got {wanted}.")
    return wanted


def drawn(draw: Callable[..., Any], *args: Any, device: str | None) -> Any:
    """Draw with a method of a generator onto a device; a compiled step draws again on each call."""
    backend, place = backend_at(device)
    if (recorder := current().recorder) is not None:
        return recorder.drawn(draw, *args)
    return backend.asarray(draw(*args), device=place, copy=None)
