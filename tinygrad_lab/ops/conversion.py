"""Conversion to other dtypes and devices, complex parts, and arrays filled like another."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.backends import backend_for_device
from tinygrad_lab.engine.declare import op

astype = op(
    "astype",
    forward=lambda xp, x, *, dtype: xp.astype(x, dtype),
    vjp={"x": lambda xp, g, x_dtype: xp.astype(g, x_dtype)},
    complex_vjp={"x": lambda xp, g: g},  # cast where it is fitted to x
    latex=r"\mathrm{{{dtype}}}({x})",
    elementwise=True,
    doc="Convert x to another dtype. Gradients flow between floating dtypes.",
)


def _transfer(xp: Any, x: Any, *, device: str) -> Any:
    return xp.moved(x, backend_for_device(device), device)


transfer = op(
    "transfer",
    "→",
    internal=True,
    forward=_transfer,
    vjp={"x": lambda xp, g, x_device: xp.transfer(g, device=x_device)},
    complex_vjp="same",
    latex=r"{x} \text{{ on {device}}}",
    elementwise=True,
    doc='Copy x to another device; "python" turns an array of one element into a Python number.',
)

zeros_like = op(
    "zeros_like",
    "0",
    forward=lambda xp, x: xp.zeros_like(x),
    complex_vjp={},
    elementwise=True,
    doc="Return zeros of the shape, dtype and device of x.",
)
ones_like = op(
    "ones_like",
    "1",
    forward=lambda xp, x: xp.ones_like(x),
    complex_vjp={},
    elementwise=True,
    doc="Return ones of the shape, dtype and device of x.",
)

alias = op(
    "alias",
    "=",
    internal=True,
    forward=lambda xp, x: x,
    vjp={"x": lambda xp, g: g},
    complex_vjp="same",
    latex="{x}",
    elementwise=True,
    doc="Return x itself as a new node: a place in the graph to stop at.",
)

kinked = op(
    "kinked",
    internal=True,
    forward=lambda xp, x, condition: x,
    vjp={"x": lambda xp, g, condition: xp.where(condition, xp.zeros_like(g) + math.nan, g)},
    complex_vjp="same",
    words={"x": "g, NaN where {condition}"},
    latex="{x}",
    elementwise=True,
    doc="""Return x itself, with derivatives of NaN where a condition of its shape holds.

    A rule that takes a derivative as 0 where there is none replaces a divisor by 1. Of that 1, the
    second derivative would be a plausible wrong number; there is none.
    """,
)

# --- complex numbers -------------------------------------------------------------------------


def _is_complex(xp: Any, x: Any) -> bool:
    return hasattr(x, "dtype") and xp.isdtype(x.dtype, "complex floating")


complex = op(
    "complex",
    "x + iy",
    forward=lambda xp, x, y: xp.complex_of(x, y),
    complex_vjp={"x": lambda xp, g: xp.real(g), "y": lambda xp, g: xp.imag(g)},
    latex=r"{x} + i \, {y}",
    elementwise=True,
    doc="""Return the complex numbers with real parts x and imaginary parts y, which broadcast.

    ``float32`` gives ``complex64``, ``float64`` gives ``complex128``.

    Example:
        >>> import tinygrad_lab as tg
        >>> z = tg.complex(tg.tensor([3.0, 0.0]), tg.tensor([4.0, -1.0]))
        >>> z.tolist(), tg.abs(z).tolist()
        ([(3+4j), -1j], [5.0, 1.0])
    """,
)
real = op(
    "real",
    forward=lambda xp, x: xp.real(x) if _is_complex(xp, x) else +x,
    vjp={"x": lambda xp, g: g},
    complex_vjp="same",
    latex=r"\mathrm{{Re}} \, {x}",
    elementwise=True,
    doc="Return the real part; for real numbers, the numbers themselves.",
)
imag = op(
    "imag",
    forward=lambda xp, x: xp.imag(x) if _is_complex(xp, x) else xp.zeros_like(x),
    complex_vjp={"x": lambda xp, g: xp.complex(xp.zeros_like(g), g)},
    words={"out": "Im {x}"},
    latex=r"\mathrm{{Im}} \, {x}",
    elementwise=True,
    doc="Return the imaginary part; for real numbers, zeros, through which no gradient flows.",
)
conj = op(
    "conj",
    forward=lambda xp, x: xp.conj(x) if _is_complex(xp, x) else +x,
    vjp={"x": lambda xp, g: g},
    complex_vjp={"x": lambda xp, g: xp.conj(g)},
    latex=r"\overline{{{x}}}",
    elementwise=True,
    doc="Return the complex conjugate; for real numbers, the numbers themselves.",
)
