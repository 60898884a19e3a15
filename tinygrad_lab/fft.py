"""``tg.fft``: discrete Fourier transforms under the names of the Array API standard.

``ops/fourier.py`` has the transforms and their gradients; the frequencies are made here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.array_api.creation import tensor
from tinygrad_lab.engine.explain import is_axis
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, DTypeError, excerpt
from tinygrad_lab.ops import fourier
from tinygrad_lab.ops.arguments.composed import composed

__all__ = [
    "fft",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfftn",
    "rfft",
    "rfftfreq",
    "rfftn",
]

fft = composed()(fourier.fft)
fftn = composed()(fourier.fftn)
fftshift = composed()(fourier.fftshift)
hfft = composed()(fourier.hfft)
ifft = composed()(fourier.ifft)
ifftn = composed()(fourier.ifftn)
ifftshift = composed()(fourier.ifftshift)
ihfft = composed()(fourier.ihfft)
irfft = composed()(fourier.irfft)
irfftn = composed()(fourier.irfftn)
rfft = composed()(fourier.rfft)
rfftn = composed()(fourier.rfftn)


@explaining
def fftfreq(n: int, *, d: float = 1.0, dtype: Any = None, device: str | None = None) -> Tensor:
    """Return the frequencies of the n numbers that ``fft`` gives, in the order of ``fft``.

    Args:
        n: how many elements were transformed.
        d: the distance between two samples; the frequencies are in cycles per its unit.
        dtype: a real floating dtype, by default that of Python floats.
        device: where to put the result.

    Raises:
        ArgumentError: for n below 1, or a distance of 0.
        DTypeError: for a dtype that is not of real floating numbers.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.fftfreq(4, d=0.5).tolist()
        [0.0, 0.5, -1.0, -0.5]
    """
    return _frequencies("fftfreq", np.fft.fftfreq, n, d, dtype, device)


@explaining
def rfftfreq(n: int, *, d: float = 1.0, dtype: Any = None, device: str | None = None) -> Tensor:
    """Return the frequencies of the n//2 + 1 numbers that ``rfft`` gives of n; see ``fftfreq``.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.rfftfreq(4, d=0.5).tolist()
        [0.0, 0.5, 1.0]
    """
    return _frequencies("rfftfreq", np.fft.rfftfreq, n, d, dtype, device)


def _frequencies(name: str, make: Any, n: Any, d: Any, dtype: Any, device: str | None) -> Tensor:
    if not is_axis(n) or n < 1:
        raise ArgumentError(f"{name}: expected an integer of 1 or more as n, got {excerpt(n)}.")
    if not isinstance(d, int | float) or d == 0:
        raise ArgumentError(f"{name}: expected a distance other than 0 as d, got {excerpt(d)}.")
    made = tensor(make(n, d).tolist(), dtype=dtype, device=device)
    if made.dtype.kind != "f":
        raise DTypeError(f"{name}: expected a real floating dtype, got {made.dtype}.")
    return made
