"""Fourier transforms and complex numbers, as real functions of real and imaginary parts."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg

from .kinds import Call, in_one, in_one_of_numpy, in_one_of_torch, numbers, seeds, special


def _in_parts(function: Callable[..., Any], ours: int) -> Callable[..., Any]:
    """The real and the imaginary part of a function of complex numbers x + iy, or of real x."""
    if ours == 1:
        return lambda x: in_one([tg.real(w := function(x)), tg.imag(w)])
    return lambda x, y: in_one([tg.real(w := function(tg.complex(x, y))), tg.imag(w)])


def _of_numpy(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, y: Any = None) -> Any:
        w = function(x if y is None else x + 1j * y)
        return in_one_of_numpy([w.real, w.imag])

    return call


def _of_torch(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(torch: Any, x: Any, y: Any = None) -> Any:
        w = function(torch, x if y is None else torch.complex(x, y))
        w = w if w.is_complex() else torch.complex(w, torch.zeros_like(w))
        return in_one_of_torch(torch, [w.real, w.imag])

    return call


def _transform(choose: st.DrawFn, of: str, parts: int) -> Call:
    shape = choose(npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    axes = tuple(choose(st.permutations(range(len(shape)))))[: choose(st.integers(1, len(shape)))]
    sizes = [choose(st.integers(1, 5)) for _ in axes]
    norm = choose(st.sampled_from(["backward", "ortho", "forward"]))
    options: dict[str, Any] = {"s": sizes, "norm": norm}
    arrays = tuple(numbers(choose(seeds), shape) for _ in range(parts))
    return Call(
        _in_parts(lambda z: getattr(tg.fft, of)(z, axes=axes, **options), parts),
        arrays,
        _of_numpy(lambda z: getattr(np.fft, of)(z, axes=axes, **options)),
        _of_torch(lambda torch, z: getattr(torch.fft, of)(z, dim=axes, **options)),
    )


def _complex(choose: st.DrawFn, of: str) -> Call:
    """What makes complex numbers, or takes them apart, around a product of them."""
    shape = choose(npst.array_shapes(min_dims=0, max_dims=2, min_side=1, max_side=3))
    arrays = (numbers(choose(seeds), shape, 0.5), numbers(choose(seeds), shape, 0.5))

    def squared(x: Any, y: Any) -> Any:
        z = tg.complex(x, y)
        return tg.imag(z * z) if of == "imag" else tg.abs(z * z)

    return Call(
        squared,
        arrays,
        (lambda x, y: 2 * x * y) if of == "imag" else (lambda x, y: x * x + y * y),
        lambda torch, x, y: 2 * x * y if of == "imag" else x * x + y * y,
    )


RECIPES = [
    special("dft", _transform, of="fftn", parts=2),
    special("inverse_dft", _transform, of="ifftn", parts=2),
    special("real_dft", _transform, of="rfftn", parts=1),
    special("inverse_real_dft", _transform, of="irfftn", parts=2),
    special("complex", _complex, of="complex"),
    special("imag", _complex, of="imag"),
]
