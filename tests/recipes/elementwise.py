"""Elementwise functions, which broadcast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import special as scipy

import tinygrad_lab as tg
from tinygrad_lab import ops

from .kinds import Array, Call, away, binary, numbers, seeds, shaped, special, unary


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
    array = away(shaped(choose), (-1.0, 0.5))
    low, high = choose(st.sampled_from([(-1.0, 0.5), (None, 0.5), (-1.0, None)]))
    return Call(
        lambda x: tg.clip(x, min=low, max=high),
        (array,),
        lambda x: np.clip(x, low, high),
        lambda torch, x: torch.clip(x, low, high),
    )


def _at_the_bounds() -> Call:
    return Call(lambda x: tg.clip(x, min=-1.0, max=0.5), (np.array([-1.0, 0.5]),))


def _astype(choose: st.DrawFn) -> Call:
    return Call(lambda x: tg.astype(x, dtype=x.dtype), (shaped(choose),), np.positive)


def _transfer(choose: st.DrawFn) -> Call:
    return Call(lambda x: ops.transfer(x, device=x.device), (shaped(choose),), np.positive)


def _kinked(choose: st.DrawFn) -> Call:
    return Call(lambda x: ops.kinked(x, x != x), (shaped(choose),), np.positive)


def _root(choose: st.DrawFn) -> Call:
    exponent = choose(st.sampled_from([0.5, 1 / 3, -1.0]))
    return Call(
        lambda x: ops.root(x, exponent=exponent),
        (abs(shaped(choose)) + 0.2,),
        lambda x: x**exponent,
    )


def _threshold(choose: st.DrawFn) -> Call:
    return Call(
        lambda x: tg.threshold(x, 0.3, -1.0),
        (away(shaped(choose), (0.3,)),),
        lambda x: np.where(x > 0.3, x, -1.0),
        lambda torch, x: torch.nn.functional.threshold(x, 0.3, -1.0),
    )


def _at_the_threshold() -> Call:
    return Call(lambda x: tg.threshold(x, 0.3, -1.0), (np.array([0.3]),))


def _masked_fill(choose: st.DrawFn) -> Call:
    array = shaped(choose)
    mask = numbers(choose(seeds), array.shape) > 0
    ours = tg.tensor(mask)
    return Call(
        lambda x, value: tg.masked_fill(x, ours, value),
        (array, numbers(choose(seeds), ())),
        lambda x, value: np.where(mask, value, x),
        lambda torch, x, value: torch.masked_fill(x, torch.tensor(mask), value),
    )


def _polygamma(choose: st.DrawFn) -> Call:
    n = choose(st.integers(1, 3))
    return Call(
        lambda x: ops.polygamma(x, n=n),
        (abs(shaped(choose)) + 0.5,),
        lambda x: scipy.polygamma(n, x),
        lambda torch, x: torch.polygamma(n, x),
    )


_erf = np.vectorize(math.erf, otypes=[float])


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _selu(x: Array) -> Array:
    return np.where(x > 0, 1.0507009873554805 * x, 1.7580993408473766 * np.expm1(x))


def _ramp(x: Array) -> Array:
    return np.clip(x / 6 + 0.5, 0, 1)


def _surprise_of_torch(torch: Any, p: Any, target: Any) -> Any:
    p, target = torch.broadcast_tensors(p, target)
    return torch.nn.functional.binary_cross_entropy(p, target, reduction="none")


RECIPES = [
    # arithmetic
    unary("negative"),
    unary("positive"),
    unary("reciprocal", low=0.3),
    unary("square"),
    unary("sqrt", low=0.2),
    unary("real"),
    unary("conj"),
    unary("alias", numpy=np.positive, torch="clone"),
    special("kinked", _kinked, shared=False),
    special("root", _root, shared=False),
    binary("add"),
    binary("subtract"),
    binary("multiply"),
    binary("divide", y=(0.3, 2.0)),
    binary("remainder", y=(0.3, 2.0), gap=lambda x, y: x / y - np.round(x / y)),
    binary("fmod", y=(0.3, 2.0), gap=lambda x, y: x / y - np.round(x / y)),
    unary("rsqrt", low=0.2, numpy=lambda x: 1 / np.sqrt(x)),
    binary("pow", x=(0.2, 2.0)),
    binary("hypot", x=(0.3, 2.0), kinks=[(0.0, 0.0)]),
    # exponentials and logarithms
    unary("exp"),
    unary("expm1"),
    unary("log", low=0.2),
    unary("log1p", low=-0.8),
    unary("log2", low=0.2),
    unary("log10", low=0.2),
    unary("erf", numpy=_erf),
    unary("erfc", numpy=lambda x: 1 - _erf(x)),
    unary("erfinv", low=-0.9, high=0.9, numpy=scipy.erfinv),
    unary("exp2"),
    binary("logaddexp"),
    binary("logaddexp2"),
    binary("xlogy", y=(0.2, 2.0), numpy=lambda x, y: x * np.log(y)),
    # of the gamma function, and of Bessel
    unary("lgamma", low=0.3, numpy=scipy.gammaln),
    unary("digamma", low=0.3, numpy=scipy.digamma),
    special("polygamma", _polygamma),
    unary("i0", numpy=scipy.i0),
    unary("i1", numpy=scipy.i1),
    # angles
    unary("sin"),
    unary("cos"),
    unary("tan", low=-1.2, high=1.2),
    unary("sinc"),
    unary("asin", low=-0.9, high=0.9),
    unary("acos", low=-0.9, high=0.9),
    unary("atan"),
    unary("sinh"),
    unary("cosh"),
    unary("tanh"),
    unary("asinh"),
    unary("acosh", low=1.2, high=3.0),
    unary("atanh", low=-0.9, high=0.9),
    binary("atan2", x=(0.3, 2.0)),
    # piecewise
    unary("abs", kinks=[0.0]),
    binary("maximum", gap=np.subtract, kinks=[(0.5, 0.5)]),
    binary("minimum", gap=np.subtract, kinks=[(0.5, 0.5)]),
    binary("copysign", gap=lambda x, y: x * y, kinks=[(0.0, 1.0), (0.0, -1.0)]),
    binary("nextafter", torch=None),
    special("clip", _clip, kinks=[_at_the_bounds()]),
    special("where", _where),
    binary("fmax", gap=np.subtract, kinks=[(0.5, 0.5)]),
    binary("fmin", gap=np.subtract, kinks=[(0.5, 0.5)]),
    binary("heaviside", gap=lambda x, y: x + 0 * y, torch=None),
    special("masked_fill", _masked_fill),
    unary("nan_to_num"),
    # activations
    unary("sigmoid", numpy=_sigmoid),
    unary("log_sigmoid", numpy=lambda x: np.log(_sigmoid(x)), torch="logsigmoid"),
    unary("softplus", numpy=lambda x: np.log1p(np.exp(x))),
    unary("relu", kinks=[0.0], numpy=lambda x: np.maximum(x, 0)),
    unary("leaky_relu", kinks=[0.0], numpy=lambda x: np.where(x > 0, x, 0.01 * x)),
    unary("elu", kinks=[0.0], numpy=lambda x: np.where(x > 0, x, np.expm1(x))),
    unary("silu", numpy=lambda x: x * _sigmoid(x)),
    unary("mish", numpy=lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    unary("selu", kinks=[0.0], numpy=_selu),
    unary("celu", kinks=[0.0], numpy=lambda x: np.where(x > 0, x, np.expm1(x))),
    unary("softsign", kinks=[0.0], numpy=lambda x: x / (1 + np.abs(x))),
    unary("tanhshrink", numpy=lambda x: x - np.tanh(x)),
    unary("hardtanh", kinks=[-1.0, 1.0], numpy=lambda x: np.clip(x, -1, 1)),
    unary("relu6", high=8.0, kinks=[0.0, 6.0], numpy=lambda x: np.clip(x, 0, 6)),
    # PyTorch's slope of hardsigmoid is 1/6 as a float32, in float64, too.
    unary("hardsigmoid", low=-4.0, high=4.0, kinks=[-3.0, 3.0], numpy=_ramp, torch=None),
    unary("hardswish", low=-4.0, high=4.0, kinks=[-3.0, 3.0], numpy=lambda x: x * _ramp(x)),
    unary("hardshrink", kinks=[-0.5, 0.5], numpy=lambda x: x * (np.abs(x) > 0.5)),
    unary("softshrink", kinks=[-0.5, 0.5], numpy=lambda x: x - np.clip(x, -0.5, 0.5)),
    special("threshold", _threshold, kinks=[_at_the_threshold()]),
    unary("gelu", numpy=lambda x: x * (1 + _erf(x / math.sqrt(2))) / 2),
    binary(
        "binary_surprise",
        x=(0.1, 0.9),
        y=(0.1, 0.9),
        numpy=lambda p, target: -target * np.log(p) - (1 - target) * np.log(1 - p),
        torch=_surprise_of_torch,
    ),
    # the same numbers in another dtype or on another device
    special("astype", _astype, shared=False),
    special("transfer", _transfer, shared=False),
]
