"""Layers of nets: products, recurrent steps, convolutions, pooling."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg

from .kinds import Array, Call, distinct, numbers, of_torch, seeds, shaped, special


def _linear(choose: st.DrawFn) -> Call:
    size, outputs = choose(st.integers(1, 3)), choose(st.integers(1, 3))
    rows = choose(npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3))
    shapes: list[tuple[int, ...]] = [(*rows, size), (outputs, size), (outputs,)]
    shapes = shapes[: choose(st.integers(2, 3))]
    return Call(
        tg.linear,
        tuple(numbers(choose(seeds), shape) for shape in shapes),
        lambda x, weight, bias=0.0: x @ weight.T + bias,
        of_torch("linear"),
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
            True,  # has_biases, num_layers, dropout, train, bidirectional, batch_first
        )[0]

    return Call(tg.gru, tuple(numbers(choose(seeds), shape) for shape in shapes), _gru_steps, peer)


def _gru_steps(x: Array, h0: Array, *parameters: Array) -> Array:
    """Run PyTorch's equations one step at a time; every other direction goes backwards."""
    outputs = []
    for direction, h in enumerate(h0):
        w_ih, w_hh, b_ih, b_hh = parameters[4 * direction : 4 * direction + 4]
        order = slice(None, None, -1 if direction else 1)
        states = []
        for x_t in x.swapaxes(0, 1)[order]:
            i_r, i_z, i_n = np.split(x_t @ w_ih.T + b_ih, 3, axis=1)
            h_r, h_z, h_n = np.split(h @ w_hh.T + b_hh, 3, axis=1)
            reset, update = 1 / (1 + np.exp(-i_r - h_r)), 1 / (1 + np.exp(-i_z - h_z))
            h = (1 - update) * np.tanh(i_n + reset * h_n) + update * h
            states.append(h)
        outputs.append(np.stack(states[order], axis=1))
    return np.concatenate(outputs, axis=2)


def _dropout(choose: st.DrawFn) -> Call:
    p, seed = choose(st.sampled_from([0.0, 0.3, 0.9])), choose(seeds)
    return Call(
        lambda x: tg.dropout(x, p=p, generator=tg.Generator(seed)),
        (shaped(choose),),
        lambda x: np.where(tg.Generator(seed).keep_mask(x.shape, p), x / (1 - p), 0.0),
    )


def _checkpoint(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    # One tensor is an argument, the other is captured by the closure.
    return Call(
        lambda x, y: tg.checkpoint(lambda x: tg.sin(x * y) + x, x),
        (array, numbers(choose(seeds), array.shape)),
        lambda x, y: np.sin(x * y) + x,
    )


# --- convolutions --------------------------------------------------------------------------------

small = st.integers(1, 2)


def _module_hooks(choose: st.DrawFn) -> Call:
    layer = tg.nn.Identity()
    layer.register_full_backward_hook(lambda module, into, out: (into[0] * 1.0,))
    return Call(layer, (shaped(choose),), np.positive)


def _several(choose: st.DrawFn, axes: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(choose(st.integers(low, high)) for _ in range(axes))


def _conv(choose: st.DrawFn, axes: int) -> Call:
    batch, groups, channels, outputs = (choose(small) for _ in range(4))
    kernel, dilation = _several(choose, axes, 1, 2), _several(choose, axes, 1, 2)
    size = tuple(
        choose(st.integers((k - 1) * d + 1, 4)) for k, d in zip(kernel, dilation, strict=True)
    )
    options: dict[str, Any] = {
        "stride": _several(choose, axes, 1, 2),
        "padding": _several(choose, axes, 0, 1),
        "dilation": dilation,
        "groups": groups,
    }
    shapes: list[tuple[int, ...]] = [
        (batch, groups * channels, *size),
        (groups * outputs, channels, *kernel),
        (groups * outputs,),
    ]
    return _with_options(choose, f"conv{axes}d", _convolved, shapes, options)


def _conv_transpose(choose: st.DrawFn, axes: int) -> Call:
    batch, groups, channels, outputs = (choose(small) for _ in range(4))
    stride = _several(choose, axes, 1, 2)
    options: dict[str, Any] = {
        "stride": stride,
        "padding": _several(choose, axes, 0, 1),
        "output_padding": tuple(choose(st.integers(0, step - 1)) for step in stride),
        "dilation": _several(choose, axes, 1, 2),
        "groups": groups,
    }
    shapes: list[tuple[int, ...]] = [
        # Of smaller sizes, the padding could leave nothing.
        (batch, groups * channels, *_several(choose, axes, 2, 3)),
        (groups * channels, outputs, *_several(choose, axes, 2, 3)),
        (groups * outputs,),
    ]
    return _with_options(choose, f"conv_transpose{axes}d", _conv_transposed, shapes, options)


def _with_options(
    choose: st.DrawFn,
    name: str,
    expected: Callable[..., Array],
    shapes: list[tuple[int, ...]],
    options: dict[str, Any],
) -> Call:
    """Call with or without a bias, which is the last of the shapes."""
    shapes = shapes[: choose(st.integers(2, 3))]
    return Call(
        lambda *xs: getattr(tg, name)(*xs, **options),
        tuple(numbers(choose(seeds), shape) for shape in shapes),
        lambda *xs: expected(*xs, **options),
        lambda torch, *xs: of_torch(name)(torch, *xs, **options),
    )


def _in_groups(weight: Array, groups: int) -> Array:
    return weight.reshape(groups, len(weight) // groups, *weight.shape[1:])


def _plus_bias(out: Array, bias: Array | None) -> Array:
    return out if bias is None else out + bias.reshape(-1, *[1] * (out.ndim - 2))


def _convolved(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Array:
    """Convolve by the definition: one product of window and weights for each place."""
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)])
    x = x.reshape(len(x), groups, -1, *x.shape[2:])
    kernel, lengths = weight.shape[2:], x.shape[3:]
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    counts = [(n - m) // s + 1 for n, m, s in zip(lengths, spans, stride, strict=True)]
    out = np.zeros((len(x), len(weight), *counts))
    for place in np.ndindex(*counts):
        window = tuple(
            slice(i * s, i * s + m, d)
            for i, s, m, d in zip(place, stride, spans, dilation, strict=True)
        )
        products = x[:, :, None, :, *window] * _in_groups(weight, groups)
        out[:, :, *place] = products.sum(axis=tuple(range(3, x.ndim + 1))).reshape(len(x), -1)
    return _plus_bias(out, bias)


def _conv_transposed(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Array:
    """Add the weights, times each element of x, to the places that its window covers."""
    x = x.reshape(len(x), groups, -1, *x.shape[2:])
    sizes, kernel = x.shape[3:], weight.shape[2:]
    each = list(zip(sizes, kernel, stride, dilation, output_padding, strict=True))
    full = [(n - 1) * s + (k - 1) * d + 1 + more for n, k, s, d, more in each]
    out = np.zeros((len(x), groups * weight.shape[1], *full))
    for place in np.ndindex(*sizes):
        for tap in np.ndindex(*kernel):
            at = [i * s + t * d for i, t, s, d in zip(place, tap, stride, dilation, strict=True)]
            taps = _in_groups(weight, groups)[..., *tap]
            out[:, :, *at] += np.einsum("ngc,gco->ngo", x[..., *place], taps).reshape(len(x), -1)
    inside = (slice(p, n - p) for p, n in zip(padding, full, strict=True))
    return _plus_bias(out[:, :, *inside], bias)


# --- pooling -------------------------------------------------------------------------------------


def _pool(choose: st.DrawFn, axes: int, kind: str) -> Call:
    kernel = _several(choose, axes, 1, 3)
    options: dict[str, Any] = {
        "kernel_size": kernel,
        "stride": choose(st.none() | st.just(_several(choose, axes, 1, 2))),
        "padding": tuple(choose(st.integers(0, k // 2)) for k in kernel),
        "ceil_mode": choose(st.booleans()),
    }
    shape = (choose(small), choose(small), *_several(choose, axes, 3, 4))
    return Call(
        lambda x: getattr(tg, f"{kind}_pool{axes}d")(x, **options),
        (distinct(choose(seeds), shape),),
        lambda x: _pooled(x, kind, **options),
        lambda torch, x: of_torch(f"{kind}_pool{axes}d")(torch, x, **options),
    )


def _pooled(
    x: Array,
    kind: str,
    *,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...] | None,
    padding: tuple[int, ...],
    ceil_mode: bool,
) -> Array:
    """Take the largest or the mean of each window; zeros of the padding enter the means.

    With ``ceil_mode``, the last window along an axis may be cut off by the end of the padding.
    """
    fill = -np.inf if kind == "max" else 0.0
    x = np.pad(x, [(0, 0), (0, 0), *((p, p) for p in padding)], constant_values=fill)
    steps = stride or kernel_size
    bounds = []
    for n, k, step, p in zip(x.shape[2:], kernel_size, steps, padding, strict=True):
        stops = range(k, n + 1, step)
        cut_off = stops[-1] < n and stops[-1] + step - k < n - p
        last = [stops[-1] + step] if ceil_mode and cut_off else []
        bounds.append([(stop - k, stop) for stop in (*stops, *last)])
    return _over_windows(x, np.max if kind == "max" else np.mean, bounds)


def _over_windows(
    x: Array, function: Callable[..., Any], bounds: list[list[tuple[int, int]]]
) -> Array:
    """Reduce the windows between all combinations of the bounds of each axis."""
    out = np.zeros((*x.shape[:2], *map(len, bounds)))
    for place in np.ndindex(*out.shape[2:]):
        window = (slice(*axis[i]) for axis, i in zip(bounds, place, strict=True))
        out[:, :, *place] = function(x[:, :, *window], axis=tuple(range(2, x.ndim)))
    return out


def _tied(axes: int) -> Call:
    array = np.ones((1, *(2,) * axes))
    return Call(lambda x: getattr(tg, f"max_pool{axes}d")(x, 2), (array,))


def _adaptive_avg_pool(choose: st.DrawFn, axes: int) -> Call:
    counts = _several(choose, axes, 1, 4)
    shape = (choose(small), choose(small), *_several(choose, axes, 1, 4))
    name = f"adaptive_avg_pool{axes}d"
    return Call(
        lambda x: getattr(tg, name)(x, counts),
        (numbers(choose(seeds), shape),),
        lambda x: _over_windows(x, np.mean, [*_shares(x.shape[2:], counts)]),
        lambda torch, x: of_torch(name)(torch, x, counts),
    )


def _shares(sizes: tuple[int, ...], counts: tuple[int, ...]) -> Iterator[list[tuple[int, int]]]:
    """Yield the windows of adaptive pooling along each axis: from i n / count to (i + 1) n / count.

    The start is rounded down and the end up, so windows overlap where the division has a rest.
    """
    for n, count in zip(sizes, counts, strict=True):
        yield [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]


RECIPES = [
    special("linear", _linear),
    special("cross_entropy", _cross_entropy),
    special("gru", _gru),
    special("dropout", _dropout, shared=False),
    special("checkpoint", _checkpoint, shared=False),
    special("module_hooks", _module_hooks, shared=False),
    *(
        recipe
        for axes in (1, 2)
        for recipe in (
            special(f"conv{axes}d", _conv, axes=axes),
            special(f"conv_transpose{axes}d", _conv_transpose, axes=axes),
            special(f"max_pool{axes}d", _pool, axes=axes, kind="max", kinks=[_tied(axes)]),
            special(f"avg_pool{axes}d", _pool, axes=axes, kind="avg"),
            special(f"adaptive_avg_pool{axes}d", _adaptive_avg_pool, axes=axes),
        )
    ),
]
