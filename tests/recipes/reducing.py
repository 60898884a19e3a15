"""Functions that reduce axes, or go along one."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg

from .kinds import (
    Array,
    Call,
    along,
    distinct,
    reduction,
    seeds,
    some_axes,
    special,
)

TIES = [[1.0, 2.0, 2.0], [0.5, 0.5, 0.5]]


def _torch_spread(name: str, torch: Any, x: Any, **options: Any) -> Any:
    return getattr(torch, name)(x, correction=0, **options)


def _cumulated(name: str) -> Any:
    """Return PyTorch's function, with the initial element that it has no option for."""

    def peer(torch: Any, x: Any, axis: int, include_initial: bool) -> Any:
        found = getattr(torch, name)(x, axis)
        if not include_initial:
            return found
        shape = list(found.shape)
        shape[axis] = 1
        first = torch.full(shape, 0.0 if name == "cumsum" else 1.0, dtype=found.dtype)
        return torch.cat([first, found], axis)

    return peer


def _sorted(x: Array, axis: int, descending: bool) -> Array:
    return -np.sort(-x, axis=axis) if descending else np.sort(x, axis=axis)


def _softmax(name: str) -> Any:
    """Return the recipe of softmax or log_softmax along one axis."""
    references: dict[str, Any] = {
        "softmax": lambda x, axis: np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True),
        "log_softmax": lambda x, axis: x - np.log(np.exp(x).sum(axis=axis, keepdims=True)),
    }
    return along(
        name,
        least=1,
        numpy=references[name],
        torch=lambda torch, x, axis: getattr(torch, name)(x, dim=axis),
    )


def _unique(choose: st.DrawFn, of: str) -> Call:
    array = distinct(choose(seeds), choose(npst.array_shapes(min_dims=0, max_dims=2, min_side=0)))
    function = getattr(tg, of)
    values = (lambda x: function(x)) if of == "unique_values" else (lambda x: function(x).values)
    return Call(values, (array,), np.unique)


def _torch_median(name: str, torch: Any, x: Any, dim: Any, keepdim: bool) -> Any:
    """Return NumPy's median by PyTorch's quantile, which takes one axis."""
    axes = sorted(d % x.ndim for d in (dim if isinstance(dim, tuple) else (dim,)))
    kept = [d for d in range(x.ndim) if d not in axes]
    rows = x.permute((*kept, *axes)).reshape([*(x.shape[d] for d in kept), -1])
    found = getattr(torch, name)(rows, 0.5, dim=-1)
    return (
        found.reshape([1 if d in axes else n for d, n in enumerate(x.shape)]) if keepdim else found
    )


def _topk(choose: st.DrawFn) -> Call:
    array = distinct(choose(seeds), choose(npst.array_shapes(max_dims=3, min_side=0, max_side=3)))
    axis = choose(st.integers(-array.ndim, array.ndim - 1))
    k = choose(st.integers(0, array.shape[axis]))
    largest = choose(st.booleans())
    return Call(
        lambda x: tg.topk(x, k, axis=axis, largest=largest).values,
        (array,),
        lambda x: np.take(_sorted(x, axis, largest), np.arange(k), axis=axis),
        lambda torch, x: torch.topk(x, k, axis, largest).values,
    )


def _histogram(choose: st.DrawFn) -> Call:
    """Draw a histogram as a function of its weights."""
    size, bins, density = (
        choose(st.integers(1, 6)),
        choose(st.integers(1, 4)),
        choose(st.booleans()),
    )
    values = distinct(choose(seeds), (size,))
    x = tg.tensor(values)
    return Call(
        lambda w: tg.histogram(x, bins, weights=w, density=density).counts,
        (1.5 + distinct(choose(seeds), (size,)) / 3,),
        lambda w: np.histogram(values, bins, weights=w, density=density)[0],
    )


# --- norms ---------------------------------------------------------------------------------------

_ORDERS_OF_VECTORS = [2, 1, math.inf, -math.inf, 3, 0.5, -1]
_ORDERS_OF_MATRICES = ["fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf]


def _vector_norm(choose: st.DrawFn) -> Call:
    shape = choose(npst.array_shapes(min_dims=0, max_dims=3, min_side=1, max_side=3))
    axis, keepdims = choose(some_axes(len(shape))), choose(st.booleans())
    ord = choose(st.sampled_from(_ORDERS_OF_VECTORS))
    return Call(
        lambda x: tg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord),
        (distinct(choose(seeds), shape),),
        lambda x: np.linalg.vector_norm(x, axis=axis, keepdims=keepdims, ord=ord),
        lambda torch, x: torch.linalg.vector_norm(x, ord, axis, keepdims),
    )


def _matrix_norm(choose: st.DrawFn) -> Call:
    shape = choose(npst.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=3))
    ord, keepdims = choose(st.sampled_from(_ORDERS_OF_MATRICES)), choose(st.booleans())
    return Call(
        lambda x: tg.matrix_norm(x, ord=ord, keepdims=keepdims),
        (_with_different_sizes(choose(seeds), shape),),
        lambda x: np.linalg.matrix_norm(x, ord=ord, keepdims=keepdims),
        lambda torch, x: torch.linalg.matrix_norm(x, ord, (-2, -1), keepdims),
    )


def _norm(choose: st.DrawFn) -> Call:
    shape = choose(npst.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=3))
    axes: st.SearchStrategy[Any] = st.integers(-len(shape), len(shape) - 1)
    two = npst.valid_tuple_axes(len(shape), min_size=2, max_size=2)
    axis, ord = choose(
        st.just((None, None))
        | st.tuples(axes, st.sampled_from([None, *_ORDERS_OF_VECTORS]))
        | st.tuples(two, st.sampled_from([None, *_ORDERS_OF_MATRICES]))
    )
    keepdims = choose(st.booleans())
    return Call(
        lambda x: tg.norm(x, ord=ord, axis=axis, keepdims=keepdims),
        (_with_different_sizes(choose(seeds), shape),),
        lambda x: np.linalg.norm(x, ord=ord, axis=axis, keepdims=keepdims),
    )


def _with_different_sizes(seed: int, shape: tuple[int, ...]) -> Array:
    """Return numbers whose elements, sums of absolute values and singular values all differ."""
    x = distinct(seed, shape)
    return np.sign(x) * (0.2 + np.abs(x)) ** 1.5


RECIPES = [
    reduction("sum", torch="sum"),
    reduction("mean", least=1, torch="mean"),
    reduction("prod"),
    reduction("max", least=1, draw=distinct, kinks=TIES, torch="amax"),
    reduction("min", least=1, draw=distinct, kinks=TIES, torch="amin"),
    reduction("var", least=1, torch=partial(_torch_spread, "var")),
    reduction("std", least=2, kinks=TIES[1:], torch=partial(_torch_spread, "std")),
    reduction(
        "logsumexp",
        least=1,
        numpy=lambda x, **options: np.log(np.sum(np.exp(x), **options)),
        torch="logsumexp",
    ),
    reduction("nansum", draw=distinct, torch="nansum"),
    reduction("nanmean", least=1, torch="nanmean"),
    reduction("median", least=1, draw=distinct, torch=partial(_torch_median, "quantile")),
    reduction("nanmedian", least=1, draw=distinct, torch=partial(_torch_median, "nanquantile")),
    special(
        "vector_norm",
        _vector_norm,
        kinks=[
            Call(partial(tg.vector_norm, ord=ord), (np.array(point),))
            for ord, point in [
                (2, [0.0, 0.0]),
                (1, [0.0, 1.0]),
                (math.inf, [1.0, -1.0]),
                (-math.inf, [1.0, 1.0]),
            ]
        ],
    ),
    special(
        "matrix_norm",
        _matrix_norm,
        kinks=[
            Call(partial(tg.matrix_norm, ord=ord), (np.array(point),))
            for ord, point in [
                ("fro", [[0.0, 0.0]]),
                (1, [[1.0, 2.0], [1.0, 0.0]]),
                (2, [[1.0, 0.0], [0.0, 1.0]]),
            ]
        ],
    ),
    special("norm", _norm, shared=False),
    # along an axis
    along("cumulative_sum", options={"include_initial": [False, True]}, torch=_cumulated("cumsum")),
    along(
        "cumulative_prod", options={"include_initial": [False, True]}, torch=_cumulated("cumprod")
    ),
    along(
        "diff",
        options={"n": [1, 2]},
        torch=lambda torch, x, axis, n: torch.diff(x, n=n, dim=axis),
    ),
    along(
        "cumulative_max",
        draw=distinct,
        numpy=np.maximum.accumulate,
        torch=lambda torch, x, axis: torch.cummax(x, axis).values,
    ),
    along(
        "cumulative_min",
        draw=distinct,
        numpy=np.minimum.accumulate,
        torch=lambda torch, x, axis: torch.cummin(x, axis).values,
    ),
    along(
        "logcumsumexp",
        numpy=np.logaddexp.accumulate,
        torch=lambda torch, x, axis: torch.logcumsumexp(x, axis),
    ),
    special("topk", _topk),
    special("histogram", _histogram, shared=False),
    along(
        "sort",
        draw=distinct,
        options={"descending": [False, True]},
        kinks=TIES,
        numpy=_sorted,
        torch=lambda torch, x, axis, descending: torch.sort(x, axis, descending)[0],
    ),
    _softmax("softmax"),
    _softmax("log_softmax"),
    # sets of elements
    *(
        special(name, _unique, of=name, shared=False)
        for name in ("unique_all", "unique_counts", "unique_inverse", "unique_values")
    ),
]
