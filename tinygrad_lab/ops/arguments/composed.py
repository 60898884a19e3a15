"""Functions composed of ops, as users call them: one wrapper does what each of them needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import signature
from typing import Any, TypeVar

import numpy as np

from tinygrad_lab.backends.dtypes import is_half
from tinygrad_lab.engine.explain import in_full, shapes_of
from tinygrad_lab.engine.keywords import refused
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from tinygrad_lab.ops.arguments.axes import checked_axes
from tinygrad_lab.ops.conversion import astype

__all__ = ["composed", "named"]

F = TypeVar("F", bound=Callable[..., Any])


def composed(*, rounds_once: bool = False) -> Callable[[F], F]:
    """Wrap a function of a tensor that is composed of several ops, for those who call it.

    Calls with arguments that it does not take are explained, and errors about its first argument or
    an axis of it name this function, not the op inside that failed. Both take no time where nothing
    fails.

    ``direct`` returns the function itself, for functions that do the same around it.

    Args:
        rounds_once: compute in float32 if x is float16, and round the result. Otherwise each op
            would round, and overflow.
    """

    def wrap(function: F) -> F:
        first = function.__code__.co_varnames[0]

        def call(*args: Any, **settings: Any) -> Any:
            try:
                if rounds_once:
                    x = args[0] if args else settings.get(first)
                    # The dtype of the data: that of a Tensor takes another call.
                    if is_half(getattr(getattr(x, "_data", x), "dtype", None)):
                        others = {name: one for name, one in settings.items() if name != first}
                        wide = function(astype(x, np.float32), *args[1:], **others)
                        return astype(wide, np.float16)
                return function(*args, **settings)
            except (ShapeError, TypeError, AttributeError) as error:
                failed = error
            # Raised here, so that no error hides behind another.
            raise _reworded(function, args, settings, failed)

        public: Any = wraps(function)(call)
        public.direct = function
        wrapped: F = public
        return wrapped

    return wrap


def named(name: str, x: Any, settings: Mapping[str, Any], work: Callable[[], Any]) -> Any:
    """Return the result of ``work``; its errors get a function's name, its x and its settings."""
    try:
        return work()
    except (ArgumentError, ArgumentTypeError, DTypeError, ShapeError) as error:
        if str(error).startswith(f"{name}: "):
            raise
        raise type(error)(in_full(name, str(error), {"x": x}, settings)) from None


def _reworded(
    function: Callable[..., Any], args: tuple[Any, ...], settings: Mapping[str, Any], error: Any
) -> Any:
    """Return the error of a call, in the name of the function that was called."""
    name, own = function.__name__, signature(function)
    if failure := refused(name, own, args, settings):
        return failure
    call = own.bind(*args, **settings)
    call.apply_defaults()
    first, *_ = call.arguments.values()
    is_named = str(error).startswith(f"{name}: ")
    try:
        shapes_of(name, x=first)
        if "axis" in own.parameters and not is_named:
            checked_axes(name, first, call.arguments["axis"])
    except (ShapeError, TypeError) as other:
        return error if is_named and isinstance(error, ArgumentTypeError) else other
    return error
