"""How to call every differentiable function at random: what ``test_properties.py`` proves rests on.

One line a function says what it is of: ``unary("exp")``, ``unary("log", low=0.2)``,
``binary("add")``, ``reduction("sum")``, ``along("flip")``; what fits none of these gets a strategy
of its own, with ``special``. A recipe draws shapes (also without axes, empty, with axes of size 1)
and values away from kinks; the kinks themselves are listed, to be looked at apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
"""How far values are from kinks."""


@dataclass(frozen=True)
class Call:
    """One call of a function, with arguments that it is smooth around."""

    function: Callable[..., Any]
    """Of Tensors."""
    arrays: tuple[Array, ...]
    """The Tensors' values, in float64."""
    expected: Callable[..., Array] | None = None
    """The same of NumPy's arrays, where NumPy or a line of it knows."""
    torch: Callable[..., Any] | None = None
    """The same of PyTorch: ``torch(module, *tensors)``."""


@dataclass(frozen=True)
class Recipe:
    """How to draw calls of one function."""

    name: str
    calls: st.SearchStrategy[Call]
    elementwise: bool = False
    kinks: tuple[tuple[float, ...], ...] = ()
    """Arguments at which the slopes on the two sides differ."""
    shared: bool = True
    """PyTorch has it, too."""

    def __str__(self) -> str:
        return self.name


seeds = st.integers(0, 2**32 - 1)
any_shape = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)


def numbers(
    seed: int | list[int], shape: Sequence[int], low: float = -2.0, high: float = 2.0
) -> Array:
    return np.asarray(np.random.default_rng(seed).uniform(low, high, size=tuple(shape)))


def distinct(seed: int, shape: Sequence[int]) -> Array:
    """Numbers of which no two are close to each other: there are no ties."""
    count = int(np.prod(shape))
    order = np.random.default_rng(seed).permutation(count)
    return ((order - count / 2) * 0.3 + 0.1).reshape(tuple(shape))


def _away(array: Array, kinks: Sequence[float]) -> Array:
    for kink in kinks:
        array = np.where(np.abs(array - kink) < MARGIN, array + 3 * MARGIN, array)
    return array


def _of(module: Any, name: str) -> Any:
    return getattr(module, name, None)


def _torch_function(name: str) -> Callable[..., Any]:
    """A function of PyTorch by its name there, in one of the places where it may be."""

    def call(torch: Any, *tensors: Any) -> Any:
        function = _of(torch, name) or _of(torch.nn.functional, name) or _of(torch.special, name)
        return function(*tensors)

    return call


SAME = object()
"""NumPy's, or PyTorch's, function has the same name."""


def _reference(name: str, numpy: Any) -> Callable[..., Array] | None:
    return _of(np, name) if numpy is SAME else numpy


def _peer(name: str, torch: Any) -> Callable[..., Any] | None:
    if torch is SAME:
        return _torch_function(name)
    return _torch_function(torch) if isinstance(torch, str) else torch


def unary(
    name: str,
    *,
    low: float = -2.0,
    high: float = 2.0,
    kinks: Sequence[float] = (),
    numpy: Any = SAME,
    torch: Any = SAME,
) -> Recipe:
    """An elementwise function of numbers from low to high."""
    function = getattr(tg, name, None) or getattr(ops, name)

    def call(shape: tuple[int, ...], seed: int) -> Call:
        array = _away(numbers(seed, shape, low, high), kinks)
        return Call(function, (array,), _reference(name, numpy), _peer(name, torch))

    calls = st.builds(call, any_shape, seeds)
    points = tuple((kink,) for kink in kinks)
    return Recipe(name, calls, elementwise=True, kinks=points, shared=torch is not None)


def binary(
    name: str,
    *,
    x: tuple[float, float] = (-2.0, 2.0),
    y: tuple[float, float] = (-2.0, 2.0),
    apart: Callable[[Array, Array], Array] | None = None,
    kinks: Sequence[tuple[float, float]] = (),
    numpy: Any = SAME,
    torch: Any = SAME,
) -> Recipe:
    """An elementwise function of two numbers, broadcast; ``apart`` is 0 where it has kinks."""

    def call(shapes: npst.BroadcastableShapes, seed: int) -> Call:
        one, other = shapes.input_shapes
        for attempt in range(200):
            left = numbers([seed, attempt, 0], one, *x)
            right = numbers([seed, attempt, 1], other, *y)
            if apart is None or (np.abs(apart(left, right)) > MARGIN).all():
                break
        return Call(getattr(tg, name), (left, right), _reference(name, numpy), _peer(name, torch))

    shapes = npst.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3)
    calls = st.builds(call, shapes, seeds)
    points = tuple(kinks)
    return Recipe(name, calls, elementwise=True, kinks=points, shared=torch is not None)


def reduction(
    name: str,
    *,
    least: int = 0,
    draw: Callable[[int, Sequence[int]], Array] = numbers,
    numpy: Any = SAME,
    torch: Any = None,
) -> Recipe:
    """A function of ``axis=`` and ``keepdims=``, of ``least`` elements or more along each axis."""

    @st.composite
    def calls(choose: st.DrawFn) -> Call:
        shape = choose(npst.array_shapes(min_dims=0, max_dims=3, min_side=least, max_side=3))
        axes: st.SearchStrategy[Any] = st.none()
        if shape:
            axes |= st.integers(-len(shape), len(shape) - 1) | npst.valid_tuple_axes(
                len(shape), min_size=1
            )
        options = {"axis": choose(axes), "keepdims": choose(st.booleans())}
        reference = _reference(name, numpy)
        dim = options["axis"] if options["axis"] is not None else tuple(range(len(shape)))

        def peer(module: Any, x: Any) -> Any:
            function = getattr(module, torch) if isinstance(torch, str) else partial(torch, module)
            return function(x, dim=dim, keepdim=options["keepdims"])

        return Call(
            lambda x: getattr(tg, name)(x, **options),
            (draw(choose(seeds), shape),),
            reference and (lambda x: reference(x, **options)),
            peer if torch is not None else None,
        )

    return Recipe(name, calls(), shared=torch is not None)


def along(
    name: str,
    *,
    least: int = 0,
    draw: Callable[[int, Sequence[int]], Array] = numbers,
    numpy: Any = SAME,
    torch: Callable[[Any, Any, int], Any] | None = None,
) -> Recipe:
    """A function of one ``axis=``."""

    @st.composite
    def calls(choose: st.DrawFn) -> Call:
        shape = choose(npst.array_shapes(min_dims=1, max_dims=3, min_side=least, max_side=3))
        axis = choose(st.integers(-len(shape), len(shape) - 1))
        reference = _reference(name, numpy)
        return Call(
            lambda x: getattr(tg, name)(x, axis=axis),
            (draw(choose(seeds), shape),),
            reference and (lambda x: reference(x, axis=axis)),
            torch and (lambda module, x: torch(module, x, axis)),
        )

    return Recipe(name, calls(), shared=torch is not None)


def special(name: str, draw: Callable[[st.DrawFn], Call], *, shared: bool = True) -> Recipe:
    """A function that is called in a way of its own; ``shared`` if PyTorch has it, too."""
    return Recipe(name, st.composite(draw)(), shared=shared)


# --- calls of their own --------------------------------------------------------------------------


def _shaped(choose: st.DrawFn, least: int = 0, dims: int = 0) -> Array:
    shape = choose(npst.array_shapes(min_dims=dims, max_dims=3, min_side=least, max_side=3))
    return numbers(choose(seeds), shape)


def _where(choose: st.DrawFn) -> Call:
    three = npst.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=3, max_dims=3)
    first, *others = choose(three).input_shapes
    mask = numbers(choose(seeds), first) > 0
    condition = tg.tensor(mask)
    return Call(
        lambda x, y: tg.where(condition, x, y),
        tuple(numbers(choose(seeds), shape) for shape in others),
        lambda x, y: np.where(mask, x, y),
        lambda torch, x, y: torch.where(torch.tensor(mask), x, y),
    )


def _clip(choose: st.DrawFn) -> Call:
    array = _away(_shaped(choose), (-1.0, 0.5))
    low, high = choose(st.sampled_from([(-1.0, 0.5), (None, 0.5), (-1.0, None)]))
    return Call(
        lambda x: tg.clip(x, min=low, max=high),
        (array,),
        lambda x: np.clip(x, low, high),
        lambda torch, x: torch.clip(x, low, high),
    )


def _astype(choose: st.DrawFn) -> Call:
    return Call(lambda x: tg.astype(x, dtype=x.dtype), (_shaped(choose),), np.positive)


def _transfer(choose: st.DrawFn) -> Call:
    return Call(lambda x: ops.transfer(x, device=x.device), (_shaped(choose),), np.positive)


def _reshape(choose: st.DrawFn) -> Call:
    array = _shaped(choose)
    shapes = [
        (array.size,),
        (1, array.size, 1),
        array.shape[::-1],
        *([(-1,)] if array.size else []),
    ]
    shape = choose(st.sampled_from(shapes))
    return Call(
        lambda x: tg.reshape(x, shape=shape),
        (array,),
        lambda x: np.reshape(x, shape),
        lambda torch, x: torch.reshape(x, shape),
    )


def _broadcast_to(choose: st.DrawFn) -> Call:
    array = _shaped(choose)
    shape = choose(npst.broadcastable_shapes(array.shape, max_dims=4, min_side=0, max_side=3))
    shape = np.broadcast_shapes(shape, array.shape)
    return Call(
        lambda x: tg.broadcast_to(x, shape=shape),
        (array,),
        lambda x: np.broadcast_to(x, shape),
        lambda torch, x: torch.broadcast_to(x, shape),
    )


def _permute_dims(choose: st.DrawFn) -> Call:
    array = _shaped(choose)
    axes = tuple(choose(st.permutations(range(array.ndim))))
    return Call(
        lambda x: tg.permute_dims(x, axes=axes),
        (array,),
        lambda x: np.permute_dims(x, axes),
        lambda torch, x: torch.permute(x, axes),
    )


def _expand_dims(choose: st.DrawFn) -> Call:
    array = _shaped(choose)
    axis = choose(st.integers(-array.ndim - 1, array.ndim))
    return Call(
        lambda x: tg.expand_dims(x, axis=axis),
        (array,),
        lambda x: np.expand_dims(x, axis),
        lambda torch, x: torch.unsqueeze(x, axis),
    )


def _squeeze(choose: st.DrawFn) -> Call:
    array = _shaped(choose)
    axis = choose(st.integers(0, array.ndim))
    return Call(
        lambda x: tg.squeeze(x, axis=axis),
        (np.expand_dims(array, axis),),
        lambda x: np.squeeze(x, axis),
        lambda torch, x: torch.squeeze(x, axis),
    )


def _matrix_transpose(choose: st.DrawFn) -> Call:
    array = _shaped(choose, dims=2)
    return Call(
        tg.matrix_transpose,
        (array,),
        np.matrix_transpose,
        lambda torch, x: torch.transpose(x, -1, -2),
    )


def _flatten(choose: st.DrawFn) -> Call:
    array = _shaped(choose, dims=1)
    start = choose(st.integers(0, array.ndim - 1))
    shape = (*array.shape[:start], int(np.prod(array.shape[start:])))
    return Call(
        lambda x: tg.flatten(x, start),
        (array,),
        lambda x: np.reshape(x, shape),
        lambda torch, x: torch.flatten(x, start),
    )


def _joined(choose: st.DrawFn, *, stacked: bool) -> tuple[tuple[Array, ...], int]:
    """Arrays that can be joined along an axis."""
    shape = choose(npst.array_shapes(min_dims=1 - stacked, max_dims=3, min_side=0, max_side=3))
    axis = choose(st.integers(-len(shape) - stacked, len(shape) - 1 + stacked))
    arrays = []
    for _ in range(choose(st.integers(1, 3))):
        sizes = list(shape)
        if not stacked:
            sizes[axis] = choose(st.integers(0, 3))
        arrays.append(numbers(choose(seeds), sizes))
    return tuple(arrays), axis


def _concat(choose: st.DrawFn) -> Call:
    arrays, axis = _joined(choose, stacked=False)
    return Call(
        lambda *xs: tg.concat(xs, axis=axis),
        arrays,
        lambda *xs: np.concat(xs, axis=axis),
        lambda torch, *xs: torch.concat(xs, axis),
    )


def _stack(choose: st.DrawFn) -> Call:
    arrays, axis = _joined(choose, stacked=True)
    return Call(
        lambda *xs: tg.stack(xs, axis=axis),
        arrays,
        lambda *xs: np.stack(xs, axis=axis),
        lambda torch, *xs: torch.stack(xs, axis),
    )


def _unstack(choose: st.DrawFn) -> Call:
    array = _shaped(choose, least=1, dims=1)
    axis = choose(st.integers(-array.ndim, array.ndim - 1))
    part = choose(st.integers(0, array.shape[axis] - 1))
    return Call(
        lambda x: tg.unstack(x, axis=axis)[part] * tg.unstack(x, axis=axis)[0],
        (array,),
        lambda x: np.take(x, part, axis) * np.take(x, 0, axis),
        lambda torch, x: torch.unbind(x, axis)[part] * torch.unbind(x, axis)[0],
    )


def _getitem(choose: st.DrawFn) -> Call:
    array = _shaped(choose, least=1, dims=1)
    kinds = [
        npst.basic_indices(array.shape, allow_newaxis=True),
        npst.integer_array_indices(array.shape, result_shape=npst.array_shapes(max_side=3)),
        npst.arrays(bool, array.shape),
    ]
    index = choose(st.one_of(kinds))
    parts = index if isinstance(index, tuple) else (index,)
    ours = tuple(tg.tensor(part) if isinstance(part, np.ndarray) else part for part in parts)
    return Call(lambda x: x[ours], (array,), lambda x: x[parts])


def _matmul(choose: st.DrawFn) -> Call:
    shapes = choose(
        npst.mutually_broadcastable_shapes(
            signature=np.matmul.signature, min_side=0, max_side=3, max_dims=2
        )
    )
    arrays = tuple(numbers(choose(seeds), shape) for shape in shapes.input_shapes)
    return Call(tg.matmul, arrays, np.matmul, _torch_function("matmul"))


def _linear(choose: st.DrawFn) -> Call:
    size, outputs = choose(st.integers(1, 3)), choose(st.integers(1, 3))
    rows = choose(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    shapes: list[tuple[int, ...]] = [(*rows, size), (outputs, size), (outputs,)]
    shapes = shapes[: choose(st.integers(2, 3))]
    return Call(
        tg.linear,
        tuple(numbers(choose(seeds), shape) for shape in shapes),
        lambda x, weight, bias=0.0: x @ weight.T + bias,
        _torch_function("linear"),
    )


def _conv1d(choose: st.DrawFn) -> Call:
    batch, channels, outputs, size = (choose(st.integers(1, 2)) for _ in range(4))
    padding, stride = choose(st.integers(0, 2)), choose(st.integers(1, 2))
    length = choose(st.integers(size, 5))
    shapes: list[tuple[int, ...]] = [
        (batch, channels, length),
        (outputs, channels, size),
        (outputs,),
    ]
    shapes = shapes[: choose(st.integers(2, 3))]
    options = {"stride": stride, "padding": padding}
    return Call(
        lambda *xs: tg.conv1d(*xs, **options),
        tuple(numbers(choose(seeds), shape) for shape in shapes),
        None,
        lambda torch, *xs: torch.nn.functional.conv1d(*xs, **options),
    )


def _cross_entropy(choose: st.DrawFn) -> Call:
    rows, classes = choose(st.integers(1, 3)), choose(st.integers(1, 3))
    labels = np.array([choose(st.integers(0, classes - 1)) for _ in range(rows)])
    ours = tg.tensor(labels)

    def expected(logits: Array) -> Array:
        scores = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        return -scores[np.arange(rows), labels].mean()

    return Call(
        lambda logits: tg.cross_entropy(logits, ours),
        (numbers(choose(seeds), (rows, classes)),),
        expected,
        lambda torch, logits: torch.nn.functional.cross_entropy(logits, torch.tensor(labels)),
    )


def _gru(choose: st.DrawFn) -> Call:
    batch, steps, features, hidden, directions = (choose(st.integers(1, 2)) for _ in range(5))
    gates = 3 * hidden
    one: list[tuple[int, ...]] = [(gates, features), (gates, hidden), (gates,), (gates,)]
    shapes = [(batch, steps, features), (directions, batch, hidden), *(one * directions)]

    def peer(torch: Any, x: Any, h0: Any, *parameters: Any) -> Any:
        return torch.gru(
            x,
            h0,
            parameters,
            True,
            1,
            0.0,
            False,
            directions == 2,
            True,  # has biases, batch first
        )[0]

    return Call(tg.gru, tuple(numbers(choose(seeds), shape) for shape in shapes), None, peer)


def _dropout(choose: st.DrawFn) -> Call:
    p, seed = choose(st.sampled_from([0.0, 0.3, 0.9])), choose(seeds)
    return Call(lambda x: tg.dropout(x, p=p, generator=tg.Generator(seed)), (_shaped(choose),))


def _with_axis(name: str, peer: str | None = None) -> Recipe:
    """softmax and its kin, along one axis."""
    references: dict[str, Any] = {
        "softmax": lambda x, axis: np.exp(x) / np.exp(x).sum(axis=axis, keepdims=True),
        "log_softmax": lambda x, axis: x - np.log(np.exp(x).sum(axis=axis, keepdims=True)),
    }
    return along(
        name,
        least=1,
        numpy=references[name],
        torch=lambda module, x, axis: getattr(module, peer or name)(x, dim=axis),
    )


def _torch_spread(name: str, torch: Any, x: Any, **options: Any) -> Any:
    return getattr(torch, name)(x, correction=0, **options)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


# --- the list ------------------------------------------------------------------------------------

RECIPES = [
    # elementwise, of one number
    unary("negative"),
    unary("abs", kinks=[0.0]),
    unary("square"),
    unary("sqrt", low=0.2),
    unary("exp"),
    unary("expm1"),
    unary("log", low=0.2),
    unary("log1p", low=-0.8),
    unary("sin"),
    unary("cos"),
    unary("tanh"),
    unary("erf", numpy=None),
    unary("sigmoid", numpy=_sigmoid),
    unary("softplus", numpy=lambda x: np.log1p(np.exp(x))),
    unary("relu", kinks=[0.0], numpy=lambda x: np.maximum(x, 0)),
    unary("leaky_relu", kinks=[0.0], numpy=lambda x: np.where(x > 0, x, 0.01 * x)),
    unary("elu", kinks=[0.0], numpy=lambda x: np.where(x > 0, x, np.expm1(x))),
    unary("silu", numpy=lambda x: x * _sigmoid(x)),
    unary("gelu", numpy=None),
    unary("alias", numpy=np.positive, torch="clone"),
    # elementwise, of two numbers
    binary("add"),
    binary("subtract"),
    binary("multiply"),
    binary("divide", y=(0.3, 2.0)),
    binary("remainder", y=(0.3, 2.0), apart=lambda x, y: x / y - np.round(x / y)),
    binary("pow", x=(0.2, 2.0)),
    binary("maximum", apart=np.subtract, kinks=[(0.5, 0.5)]),
    binary("minimum", apart=np.subtract, kinks=[(0.5, 0.5)]),
    special("where", _where),
    special("clip", _clip),
    special("astype", _astype, shared=False),
    special("transfer", _transfer, shared=False),
    # reductions
    reduction("sum", torch="sum"),
    reduction("mean", least=1, torch="mean"),
    reduction("prod"),
    reduction("max", least=1, draw=distinct, torch="amax"),
    reduction("min", least=1, draw=distinct, torch="amin"),
    reduction("var", least=1, torch=partial(_torch_spread, "var")),
    reduction("std", least=2, torch=partial(_torch_spread, "std")),
    reduction(
        "logsumexp",
        least=1,
        numpy=lambda x, **options: np.log(np.sum(np.exp(x), **options)),
        torch="logsumexp",
    ),
    # along an axis
    along("flip", torch=lambda torch, x, axis: torch.flip(x, (axis,))),
    _with_axis("softmax"),
    _with_axis("log_softmax"),
    # moving elements around
    special("getitem", _getitem, shared=False),
    special("reshape", _reshape),
    special("flatten", _flatten),
    special("broadcast_to", _broadcast_to),
    special("permute_dims", _permute_dims),
    special("matrix_transpose", _matrix_transpose),
    special("expand_dims", _expand_dims),
    special("squeeze", _squeeze),
    special("concat", _concat),
    special("stack", _stack),
    special("unstack", _unstack),
    # products, and what nets are made of
    special("matmul", _matmul),
    special("linear", _linear),
    special("conv1d", _conv1d),
    special("cross_entropy", _cross_entropy),
    special("gru", _gru),
    special("dropout", _dropout, shared=False),
]
"""One for every differentiable function; ``test_properties.py`` says which are missing."""

WITHOUT_GRADIENT: dict[str, str] = {}
"""Functions composed of ops that no gradient flows through, each with the reason."""

SEEN_THROUGH = {"index": "getitem", "put": "getitem", "output": "unstack"}
"""Ops that are not called by themselves, with the function whose recipe reaches them."""
