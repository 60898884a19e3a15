"""The same numbers as another type, in another place, or in part; and numbers of the same form."""

from __future__ import annotations

from typing import Any

from tinygrad_lab.backends import backend_for_device
from tinygrad_lab.engine.declare import op

astype = op(
    "astype",
    forward=lambda xp, x, *, dtype: xp.astype(x, dtype),
    vjp={"x": lambda xp, g, x_dtype: xp.astype(g, x_dtype)},
    elementwise=True,
    doc="x with elements of another type. A gradient flows between floating types.",
)


def _transfer(xp: Any, x: Any, *, device: str) -> Any:
    return backend_for_device(device).asarray(xp.to_numpy(x), device=device)


transfer = op(
    "transfer",
    "→",
    forward=_transfer,
    vjp={"x": lambda xp, g, x_device: xp.transfer(g, device=x_device)},
    elementwise=True,
    doc='x on another device; "python" makes a Python number of an array of one element.',
)

zeros_like = op(
    "zeros_like",
    "0",
    forward=lambda xp, x: xp.zeros_like(x),
    elementwise=True,
    doc="Zeros in the shape and of the kind of x.",
)
ones_like = op(
    "ones_like",
    "1",
    forward=lambda xp, x: xp.ones_like(x),
    elementwise=True,
    doc="Ones in the shape and of the kind of x.",
)

alias = op(
    "alias",
    "=",
    forward=lambda xp, x: x,
    vjp={"x": lambda xp, g: g},
    latex="{x}",
    elementwise=True,
    doc="x itself, as a node of its own: a place in the graph to stop at.",
)

# --- complex numbers -------------------------------------------------------------------------


def _is_complex(xp: Any, x: Any) -> bool:
    return hasattr(x, "dtype") and xp.isdtype(x.dtype, "complex floating")


real = op(
    "real",
    forward=lambda xp, x: xp.real(x) if _is_complex(xp, x) else +x,
    vjp={"x": lambda xp, g: g},
    latex=r"\mathrm{{Re}} \, {x}",
    elementwise=True,
    doc="The real part: of real numbers, the numbers.",
)
imag = op(
    "imag",
    forward=lambda xp, x: xp.imag(x) if _is_complex(xp, x) else xp.zeros_like(x),
    elementwise=True,
    doc="The imaginary part: of real numbers, zeros. No gradient flows.",
)
conj = op(
    "conj",
    forward=lambda xp, x: xp.conj(x) if _is_complex(xp, x) else +x,
    vjp={"x": lambda xp, g: g},
    latex=r"\overline{{{x}}}",
    elementwise=True,
    doc="The complex conjugate: of real numbers, the numbers.",
)
