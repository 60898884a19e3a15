"""What nets are made of."""

from __future__ import annotations

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
            True,  # has biases, batch first
        )[0]

    return Call(tg.gru, tuple(numbers(choose(seeds), shape) for shape in shapes), None, peer)


def _dropout(choose: st.DrawFn) -> Call:
    p, seed = choose(st.sampled_from([0.0, 0.3, 0.9])), choose(seeds)
    return Call(lambda x: tg.dropout(x, p=p, generator=tg.Generator(seed)), (shaped(choose),))


def _checkpoint(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    # One tensor as an argument, one that the function finds around it.
    return Call(
        lambda x, y: tg.checkpoint(lambda x: tg.sin(x * y) + x, x),
        (array, numbers(choose(seeds), array.shape)),
        lambda x, y: np.sin(x * y) + x,
    )


# --- convolutions --------------------------------------------------------------------------------

small = st.integers(1, 2)


def _several(choose: st.DrawFn, axes: int, low: int, high: int) -> tuple[int, ...]:
    return tuple(choose(st.integers(low, high)) for _ in range(axes))


def _conv(choose: st.DrawFn, axes: int) -> Call:
    batch, groups, channels, outputs = (choose(small) for _ in range(4))
    kernel, dilation = _several(choose, axes, 1, 2), _several(choose, axes, 1, 2)
    size = tuple(
        choose(st.integers((k - 1) * d + 1, 4)) for k, d in zip(kernel, dilation, strict=True)
    )
    options = {
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
    return _with_options(choose, f"conv{axes}d", f"conv{axes}d", shapes, options)


def _conv_transpose(choose: st.DrawFn, axes: int) -> Call:
    batch, groups, channels, outputs = (choose(small) for _ in range(4))
    stride = _several(choose, axes, 1, 2)
    options = {
        "stride": stride,
        "padding": _several(choose, axes, 0, 1),
        "output_padding": tuple(choose(st.integers(0, step - 1)) for step in stride),
        "dilation": _several(choose, axes, 1, 2),
        "groups": groups,
    }
    shapes: list[tuple[int, ...]] = [
        # Of less, a padding could leave nothing.
        (batch, groups * channels, *_several(choose, axes, 2, 3)),
        (groups * channels, outputs, *_several(choose, axes, 2, 3)),
        (groups * outputs,),
    ]
    return _with_options(
        choose, f"conv_transpose{axes}d", f"conv_transpose{axes}d", shapes, options
    )


def _with_options(
    choose: st.DrawFn,
    name: str,
    peer: str,
    shapes: list[tuple[int, ...]],
    options: dict[str, Any],
) -> Call:
    """A call with or without a bias, which is the last of the shapes."""
    shapes = shapes[: choose(st.integers(2, 3))]
    return Call(
        lambda *xs: getattr(tg, name)(*xs, **options),
        tuple(numbers(choose(seeds), shape) for shape in shapes),
        None,
        lambda torch, *xs: of_torch(peer)(torch, *xs, **options),
    )


# --- pooling -------------------------------------------------------------------------------------


def _pool(choose: st.DrawFn, axes: int, kind: str) -> Call:
    kernel = _several(choose, axes, 1, 3)
    options = {
        "kernel_size": kernel,
        "stride": choose(st.none() | st.just(_several(choose, axes, 1, 2))),
        "padding": tuple(choose(st.integers(0, k // 2)) for k in kernel),
    }
    shape = (choose(small), choose(small), *_several(choose, axes, 3, 4))
    return Call(
        lambda x: getattr(tg, f"{kind}_pool{axes}d")(x, **options),
        (distinct(choose(seeds), shape),),
        None,
        lambda torch, x: of_torch(f"{kind}_pool{axes}d")(torch, x, **options),
    )


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
        None,
        lambda torch, x: of_torch(name)(torch, x, counts),
    )


RECIPES = [
    special("linear", _linear),
    special("cross_entropy", _cross_entropy),
    special("gru", _gru),
    special("dropout", _dropout, shared=False),
    special("checkpoint", _checkpoint, shared=False),
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
