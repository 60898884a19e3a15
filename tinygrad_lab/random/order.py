"""Calls of random functions in NumPy's order of arguments, which has the size last.

``np.random.normal(5, 2, 3)`` draws 3 numbers, ``tg.random.normal(5, 2, 3)`` would draw 5. Calls
that mean something in both orders are errors that show both; a tuple as the shape decides.
"""

from __future__ import annotations

from collections.abc import Callable, Sized
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import line_of, user_site
from tinygrad_lab.errors import ArgumentTypeError

__all__ = ["population_first", "shape_first"]

F = TypeVar("F", bound=Callable[..., Any])


def shape_first(function: F) -> F:
    """Wrap a function of a shape and one or two numbers, to notice calls in NumPy's order."""
    numbers = [p.name for p in list(signature(function).parameters.values())[1:3] if _is_plain(p)]

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if args and not (isinstance(args[0], tuple | list) and "size" not in kwargs):
            _check(function.__name__, numbers, args, kwargs)
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def _is_plain(parameter: Any) -> bool:
    return bool(parameter.kind is parameter.POSITIONAL_OR_KEYWORD)


def _check(name: str, numbers: list[str], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Raise if numbers by position are in NumPy's order, or may be."""
    first, *others = args
    is_given_twice = "shape" in kwargs or "size" in kwargs
    if any(key in kwargs for key in numbers) and not is_given_twice:
        return
    if isinstance(first, Tensor | np.ndarray) and first.shape:
        if name == "bernoulli":
            raise _failure(
                name,
                "expected a shape, then one probability. With a probability for each element: "
                "tg.random.uniform(p.shape) < p",
            )
        return
    size = next((kwargs[key] for key in ("size", "shape") if key in kwargs), None)
    if size is None and len(others) == len(numbers):
        size = others[-1]
        theirs = args[:-1]
    else:
        theirs = args
    if size is not None and not isinstance(size, tuple | list) and not _is_integer(size):
        return
    if any(isinstance(x, tuple | list) for x in others) and not is_given_twice:
        return  # ``check_order`` shows the call
    if len(theirs) > len(numbers):
        return
    if name == "integers" and len(theirs) == 1:
        theirs = (0, *theirs)  # below one number
    shape = _as_shape(size)
    meant = f"tg.random.{name}({shape}, {', '.join(map(repr, theirs))})"
    if is_given_twice or not _is_integer(first) or first < 0:
        raise _failure(name, f"the shape comes first: {meant}")
    if not _is_plausible(name, theirs, args):
        return
    if first == 0 or name == "bernoulli" or (name == "integers" and len(args) < 3):
        raise _failure(name, f"the shape comes first: {meant}")
    ours = f"tg.random.{name}(({first},), {', '.join(map(repr, others))})"
    raise _failure(
        name,
        f"the shape comes first here, and last in NumPy. Write it as a tuple: {ours} draws "
        f"{first}, {meant} is what NumPy draws for these numbers",
    )


def _is_plausible(name: str, theirs: tuple[Any, ...], args: tuple[Any, ...]) -> bool:
    """Return whether numbers make sense in NumPy's order."""
    if name == "bernoulli":
        return len(args) == 2 and 0 <= theirs[0] <= 1 < args[1]
    if name == "integers" and len(args) == 1:
        return True
    if len(args) == 1 or len(theirs) < 2:
        return False
    are_numbers = all(isinstance(x, int | float | np.number) for x in theirs)
    if not are_numbers or max(args[2:], default=0) > _LARGEST:
        return False
    return bool(theirs[1] > 0 if name == "normal" else theirs[0] < theirs[1])


_LARGEST = 2**40
"""No one draws more numbers than this."""


def _is_integer(x: Any) -> bool:
    return isinstance(x, int | np.integer) and not isinstance(x, bool)


def _as_shape(size: Any) -> str:
    return "()" if size is None else f"({size},)" if _is_integer(size) else repr(tuple(size))


def population_first(function: F) -> F:
    """Wrap a function of a number n, which NumPy's users may call with the values themselves."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        name, first = function.__name__, args[0] if args else None
        if isinstance(first, Sized) and not isinstance(first, str) and getattr(first, "ndim", True):
            shape = f", {args[1]!r:.40}" if len(args) > 1 else ""
            raise _failure(
                name,
                f"expected a number of elements, got {type(first).__name__}. To draw from values "
                f"x: x[tg.random.{name}(len(x){shape})]",
            )
        if name == "choice" and len(args) > 2:
            given = zip(("replace", "p"), args[2:4], strict=False)
            by_name = ", ".join(f"{k}={v!r:.40}" for k, v in given)
            call_shown = f"tg.random.choice({first!r:.40}, {args[1]!r:.40}, {by_name})"
            raise _failure(name, f"replace and p come by name: {call_shown}")
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def _failure(name: str, reason: str) -> ArgumentTypeError:
    line = line_of(*user_site())
    return ArgumentTypeError(f"{name}: {reason}." + ("" if line is None else f"\n  at {line}"))
