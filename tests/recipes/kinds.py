"""Kinds of recipes: how to draw random calls of a function.

One line gives a function its kind: ``unary("exp")``, ``unary("log", low=0.2)``,
``binary("add")``, ``reduction("sum")``, ``along("flip")``; a function of no such kind gets its own
strategy with ``special``. A recipe draws shapes (also without axes, empty, with axes of size 1) and
values away from kinks; the kinks themselves are listed and tested separately.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab import ops

Array = np.ndarray[Any, Any]
MARGIN = 0.02
"""The least distance of values from kinks."""


@dataclass(frozen=True)
class Call:
    """A function and its arguments."""

    function: Callable[..., Any]
    """The function of Tensors."""
    arrays: tuple[Array, ...]
    """The Tensors' values, in float64."""
    expected: Callable[..., Any] | None = None
    """The same function of NumPy's arrays; only calls at a kink have none."""
    torch: Callable[..., Any] | None = None
    """The same function of PyTorch, called as ``torch(module, *tensors)``."""


@dataclass(frozen=True)
class Recipe:
    """A strategy for calls of one function."""

    name: str
    calls: st.SearchStrategy[Call]
    """Calls with arguments around which the function is smooth."""
    elementwise: bool = False
    kinks: tuple[Call, ...] = ()
    """Calls at kinks and ties, where the one-sided slopes differ."""
    shared: bool = True
    """Whether PyTorch has the function, too."""

    def __str__(self) -> str:
        return self.name


seeds = st.integers(0, 2**32 - 1)
any_shape = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


# --- values --------------------------------------------------------------------------------------


def numbers(
    seed: int | list[int], shape: Sequence[int], low: float = -2.0, high: float = 2.0
) -> Array:
    return np.asarray(np.random.default_rng(seed).uniform(low, high, size=tuple(shape)))


def distinct(seed: int, shape: Sequence[int]) -> Array:
    """Return numbers without ties: no two are close to each other, nor are their sizes."""
    count = int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(count)
    return ((order - count / 2) * 0.3 + 0.1).reshape(tuple(shape))


def away(array: Array, kinks: Sequence[float]) -> Array:
    for kink in kinks:
        array = np.where(np.abs(array - kink) < MARGIN, array + 3 * MARGIN, array)
    return array


def shaped(choose: st.DrawFn, least: int = 0, dims: int = 0) -> Array:
    """Draw numbers in a shape of at least ``dims`` axes, each of size ``least`` or more."""
    shape = choose(npst.array_shapes(min_dims=dims, max_dims=3, min_side=least, max_side=3))
    return numbers(choose(seeds), shape)


# --- the same function in NumPy and PyTorch ------------------------------------------------------

SAME = object()
"""Marks that the function of NumPy, or PyTorch, has the same name."""


def of_torch(name: str) -> Callable[..., Any]:
    """Find a PyTorch function by name in the modules where it may be."""

    def call(torch: Any, *tensors: Any, **options: Any) -> Any:
        places = (torch.linalg, torch, torch.nn.functional, torch.special)
        found = next(getattr(place, name) for place in places if hasattr(place, name))
        return found(*tensors, **options)

    return call


def _reference(name: str, numpy: Any) -> Callable[..., Any] | None:
    return getattr(np, name, None) if numpy is SAME else numpy


def _peer(name: str, torch: Any) -> Callable[..., Any] | None:
    if torch is SAME:
        return of_torch(name)
    return of_torch(torch) if isinstance(torch, str) else torch


def function_of(name: str) -> Callable[..., Any]:
    return getattr(tg, name, None) or getattr(ops, name)


def _at(function: Callable[..., Any], points: Sequence[Any]) -> tuple[Call, ...]:
    """Return calls of a function at some points; a point holds the arguments, numbers or lists."""
    arrays = [tuple(np.asarray(value, dtype=np.float64) for value in point) for point in points]
    return tuple(Call(function, point) for point in arrays)


# --- kinds of functions --------------------------------------------------------------------------


def unary(
    name: str,
    *,
    low: float = -2.0,
    high: float = 2.0,
    kinks: Sequence[float] = (),
    numpy: Any = SAME,
    torch: Any = SAME,
) -> Recipe:
    """Return the recipe of an elementwise function of numbers from low to high."""
    function = function_of(name)

    def call(shape: tuple[int, ...], seed: int) -> Call:
        array = away(numbers(seed, shape, low, high), kinks)
        return Call(function, (array,), _reference(name, numpy), _peer(name, torch))

    return Recipe(
        name,
        st.builds(call, any_shape, seeds),
        elementwise=True,
        kinks=_at(function, [(kink,) for kink in kinks]),
        shared=torch is not None,
    )


def binary(
    name: str,
    *,
    x: tuple[float, float] = (-2.0, 2.0),
    y: tuple[float, float] = (-2.0, 2.0),
    gap: Callable[[Array, Array], Array] | None = None,
    kinks: Sequence[tuple[float, float]] = (),
    numpy: Any = SAME,
    torch: Any = SAME,
) -> Recipe:
    """Return the recipe of a broadcasting function of two numbers; ``gap`` is 0 at its kinks."""
    function = function_of(name)

    def call(shapes: npst.BroadcastableShapes, seed: int) -> Call:
        one, other = shapes.input_shapes
        for attempt in range(200):
            left = numbers([seed, attempt, 0], one, *x)
            right = numbers([seed, attempt, 1], other, *y)
            if gap is None or (np.abs(gap(left, right)) > MARGIN).all():
                break
        return Call(function, (left, right), _reference(name, numpy), _peer(name, torch))

    shapes = npst.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)
    return Recipe(
        name,
        st.builds(call, shapes, seeds),
        elementwise=True,
        kinks=_at(function, kinks),
        shared=torch is not None,
    )


def reduction(
    name: str,
    *,
    least: int = 0,
    draw: Callable[[int, Sequence[int]], Array] = numbers,
    kinks: Sequence[Any] = (),
    numpy: Any = SAME,
    torch: Any = None,
) -> Recipe:
    """Return the recipe of a reduction by ``axis=`` and ``keepdims=``, over ``least`` or more."""
    function = function_of(name)

    @st.composite
    def calls(choose: st.DrawFn) -> Call:
        shape = choose(npst.array_shapes(min_dims=0, max_dims=3, min_side=least, max_side=3))
        options = {"axis": choose(some_axes(len(shape))), "keepdims": choose(st.booleans())}
        reference = _reference(name, numpy)
        dim = options["axis"] if options["axis"] is not None else tuple(range(len(shape)))

        def peer(module: Any, x: Any) -> Any:
            function = getattr(module, torch) if isinstance(torch, str) else partial(torch, module)
            return function(x, dim=dim, keepdim=options["keepdims"])

        return Call(
            lambda x: function(x, **options),
            (draw(choose(seeds), shape),),
            reference and (lambda x: reference(x, **options)),
            peer if torch is not None else None,
        )

    points = _at(function, [(kink,) for kink in kinks])
    return Recipe(name, calls(), kinks=points, shared=torch is not None)


def some_axes(ndim: int) -> st.SearchStrategy[Any]:
    """Draw the ``axis=`` of a reduction: None for all axes, one axis, or a tuple of several."""
    if not ndim:
        return st.none()
    several = npst.valid_tuple_axes(ndim, min_size=1)
    return st.none() | st.integers(-ndim, ndim - 1) | several


def along(
    name: str,
    *,
    least: int = 0,
    draw: Callable[[int, Sequence[int]], Array] = numbers,
    options: Mapping[str, Sequence[Any]] | None = None,
    kinks: Sequence[Any] = (),
    numpy: Any = SAME,
    torch: Callable[..., Any] | None = None,
) -> Recipe:
    """Return the recipe of a function of one ``axis=``; other options are drawn from lists."""
    function = function_of(name)

    @st.composite
    def calls(choose: st.DrawFn) -> Call:
        shape = choose(npst.array_shapes(min_dims=1, max_dims=3, min_side=least, max_side=3))
        axis = choose(st.integers(-len(shape), len(shape) - 1))
        given = {key: choose(st.sampled_from(some)) for key, some in (options or {}).items()}
        reference = _reference(name, numpy)
        return Call(
            lambda x: function(x, axis=axis, **given),
            (draw(choose(seeds), shape),),
            reference and (lambda x: reference(x, axis=axis, **given)),
            torch and (lambda module, x: torch(module, x, axis, **given)),
        )

    points = _at(function, [(kink,) for kink in kinks])
    return Recipe(name, calls(), kinks=points, shared=torch is not None)


def special(
    name: str,
    draw: Callable[..., Call],
    *,
    kinks: Sequence[Call] = (),
    shared: bool = True,
    **options: Any,
) -> Recipe:
    """Return the recipe of a function whose calls are drawn by ``draw(choose, **options)``.

    ``shared`` tells whether PyTorch has the function, too.
    """

    @st.composite
    def calls(choose: st.DrawFn) -> Call:
        return draw(choose, **options)

    return Recipe(name, calls(), kinks=tuple(kinks), shared=shared)


# --- functions of several outputs ----------------------------------------------------------------


def in_one(parts: Sequence[Any]) -> Any:
    """Join several Tensors in one vector."""
    return tg.concat([tg.reshape(part, (part.size,)) for part in parts])


def in_one_of_numpy(parts: Sequence[Any]) -> Array:
    return np.concatenate([np.reshape(part, -1) for part in parts])


def in_one_of_torch(torch: Any, parts: Sequence[Any]) -> Any:
    return torch.cat([part.reshape(-1) for part in parts])
