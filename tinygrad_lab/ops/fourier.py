"""Discrete Fourier transforms, public as ``tg.fft``.

Four ops do the work, each along any number of axes:

    dft                X[k] = Σ x[j] exp(-2πi jk/n)         complex to complex
    inverse_dft        x[j] = Σ X[k] exp(+2πi jk/n) / n     complex to complex
    real_dft           the n//2 + 1 first X[k] of real x, which determine the others
    inverse_real_dft   the real x of which those are the X[k]

They are linear, so the gradient of the output comes back by the adjoint (conjugate transposed) map.
The matrix of exponentials is symmetric: its adjoint has the other sign in the exponent, as the
inverse has (Van Loan, "Computational Frameworks for the Fast Fourier Transform", 1992, section
1.1). So the adjoint of ``dft`` is ``inverse_dft``, scaled as ``dft`` is.

``real_dft`` is the first half of ``dft``. Its inverse uses what it gets twice, as X[k] and as the
mirror image X[n - k] = conj(X[k]), except X[0] and, for even n, X[n/2], which have none. So each is
the adjoint of the other, but for that: the numbers with a mirror image are halved on the way back
to x, and doubled on the way back to X.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.backends import Form, form_of
from tinygrad_lab.engine.declare import op
from tinygrad_lab.engine.explain import in_full, is_axis, raw
from tinygrad_lab.errors import ArgumentError, DTypeError, excerpt
from tinygrad_lab.ops.arguments.axes import along, checked_axes, checked_shape
from tinygrad_lab.ops.conversion import astype, conj
from tinygrad_lab.ops.indexing import getitem
from tinygrad_lab.ops.rearrange import pad, roll

__all__ = [
    "fft",
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
    "rfftn",
]

_OTHER = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
"""The norm with which the other direction is scaled as this one is."""

# --- the ops ---------------------------------------------------------------------------------


def _as_complex(xp: Any, x: Any) -> Any:
    is_real = xp.isdtype(x.dtype, "real floating")
    return xp.astype(x, xp.result_type(x.dtype, xp.complex64)) if is_real else x


_dft = op(
    "dft",
    "fft",
    forward=lambda xp, x, *, axes, norm: xp.fft.fftn(_as_complex(xp, x), axes=axes, norm=norm),
    complex_vjp={"x": lambda xp, g, axes, norm: xp.inverse_dft(g, axes=axes, norm=_OTHER[norm])},
    latex=r"\mathcal{{F}} \, {x}",
)

_inverse_dft = op(
    "inverse_dft",
    "ifft",
    forward=lambda xp, x, *, axes, norm: xp.fft.ifftn(_as_complex(xp, x), axes=axes, norm=norm),
    complex_vjp={"x": lambda xp, g, axes, norm: xp.dft(g, axes=axes, norm=_OTHER[norm])},
    latex=r"\mathcal{{F}}^{{-1}} {x}",
)


def _scaled(xp: Any, x: Any, *, axis: int, n: int, factor: float) -> Any:
    out = x * factor
    for alone in (0, n // 2) if n % 2 == 0 else (0,):
        place = along(axis, slice(alone, alone + 1))
        out[place] = x[place]
    return out


_scaled_twins = op(
    "scaled_twins",
    "½ | 2",
    internal=True,
    forward=_scaled,
    complex_vjp={
        "x": lambda xp, g, axis, n, factor: xp.scaled_twins(g, axis=axis, n=n, factor=factor)
    },
    latex=r"{factor} \, {x}",
    doc="Scale the numbers of a half spectrum that have a mirror image in the other half.",
)


def _real_dft_vjp(xp: Any, g: Any, x_shape: tuple[int, ...], axes: Any, norm: str) -> Any:
    n = x_shape[axes[-1]]
    halved = xp.scaled_twins(g, axis=axes[-1], n=n, factor=0.5)
    return xp.inverse_real_dft(halved, n=n, axes=axes, norm=_OTHER[norm])


_real_dft = op(
    "real_dft",
    "rfft",
    forward=lambda xp, x, *, axes, norm: xp.fft.rfftn(x, axes=axes, norm=norm),
    complex_vjp={"x": _real_dft_vjp},
    latex=r"\mathcal{{F}} \, {x}",
)


def _inverse_of_half(xp: Any, x: Any, *, n: int, axes: tuple[int, ...], norm: str) -> Any:
    sizes = [x.shape[axis] for axis in axes[:-1]]
    return xp.fft.irfftn(x, s=[*sizes, n], axes=axes, norm=norm)


def _inverse_of_half_vjp(xp: Any, g: Any, n: int, axes: tuple[int, ...], norm: str) -> Any:
    half = xp.real_dft(g, axes=axes, norm=_OTHER[norm])
    return xp.scaled_twins(half, axis=axes[-1], n=n, factor=2.0)


_inverse_real_dft = op(
    "inverse_real_dft",
    "irfft",
    forward=_inverse_of_half,
    complex_vjp={"x": _inverse_of_half_vjp},
    latex=r"\mathcal{{F}}^{{-1}} {x}",
)

# --- what they are given ---------------------------------------------------------------------


def _checked(name: str, x: Any, sizes: Any, axes: Any, norm: Any, *, real: bool) -> tuple[int, ...]:
    """Return the axes to transform along, counted from the front.

    Raises:
        ArgumentTypeError: for x that is no Tensor, number or array.
        DTypeError: for integers, booleans, float16, and complex numbers where x must be real.
        AxisError: for an axis that x does not have.
        ArgumentError: for an empty axis, sizes below 1 or of another number, an unknown norm.
    """
    shape = checked_shape(name, x)
    if axes is None and isinstance(sizes, tuple | list):
        axes = tuple(range(-len(sizes), 0))
    axes = checked_axes(name, x, tuple(axes) if isinstance(axes, list) else axes)
    if wrong := _wrong_dtype(form_of(raw(x)), real):
        raise DTypeError(in_full(name, wrong, {"x": x}, {}))
    if wrong := _wrong_sizes(shape, sizes, axes) or _wrong_norm(norm):
        raise ArgumentError(in_full(name, wrong, {"x": x}, {}))
    return axes


def _wrong_dtype(form: Form, real: bool) -> str | None:
    name = str(form.dtype).rpartition(".")[2]
    if real and form.smooth and not form.floating:
        return f"expected real numbers, got {name}: tg.real(x), or a transform of complex numbers."
    if not form.smooth or name == "float16":
        wanted = "float32 or float64" if real else "float32, float64 or complex numbers"
        return f"expected {wanted}, got {name}: x.astype(tg.float32)."
    return None


def _wrong_sizes(shape: tuple[int, ...], sizes: Any, axes: tuple[int, ...]) -> str | None:
    if not axes:
        return "expected at least one axis to transform along, got none."
    for axis in axes:
        if shape[axis] == 0:
            return f"axis {axis} has no elements to transform."
    if sizes is None:
        return None
    if not isinstance(sizes, tuple | list) or len(sizes) != len(axes):
        return f"expected one size for each of {len(axes)} axes, got {excerpt(sizes)}."
    for size in sizes:
        if not is_axis(size) or size < 1:
            return f"expected integers of 1 or more as sizes, got {excerpt(size)}."
    return None


def _wrong_norm(norm: Any) -> str | None:
    if norm in ("backward", "ortho", "forward"):
        return None
    return f"expected 'backward', 'ortho' or 'forward' as norm, got {excerpt(norm)}."


def _resized(x: Any, axes: Sequence[int], sizes: Sequence[int] | None) -> Any:
    """Return the first elements of x along each axis, with zeros behind where there are too few."""
    for axis, size in zip(axes, sizes or (), strict=bool(sizes)):
        behind = size - x.shape[axis]
        if behind < 0:
            x = getitem(x, along(axis, slice(size)))
        elif behind > 0:
            widths = [(0, 0)] * len(x.shape)
            widths[axis] = (0, behind)
            x = pad(x, widths)
    return x


def _transformed(name: str, transform: Any, x: Any, sizes: Any, axes: Any, norm: Any) -> Any:
    axes = _checked(name, x, sizes, axes, norm, real=transform is _real_dft)
    return transform(_resized(x, axes, sizes), axes=axes, norm=norm)


def _real_from_half(name: str, x: Any, sizes: Any, axes: Any, norm: Any) -> Any:
    axes = _checked(name, x, sizes, axes, norm, real=False)
    n = 2 * (x.shape[axes[-1]] - 1) if sizes is None else sizes[-1]
    if n == 0:
        reason = (
            f"a half spectrum of one number stands for n = 1, and not for the default of "
            f"2 (1 - 1) = 0: {'n=1' if len(axes) == 1 else 's=(..., 1)'}."
        )
        raise ArgumentError(in_full(name, reason, {"x": x}, {}))
    others = [x.shape[axis] for axis in axes[:-1]] if sizes is None else sizes[:-1]
    if form_of(raw(x)).floating:
        x = astype(x, np.complex64 if x.dtype == np.float32 else np.complex128)
    half = _resized(x, axes, [*others, n // 2 + 1])
    return _inverse_real_dft(half, n=n, axes=axes, norm=norm)


def _one(n: Any) -> Any:
    return None if n is None else (n,)


# --- complex to complex ----------------------------------------------------------------------


def fft(x: Any, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Return the discrete Fourier transform X[k] = Σ x[j] exp(-2πi jk/n) along an axis.

    Args:
        x: real or complex numbers, of 32 or 64 bits each.
        n: how many elements to transform: the first n, with zeros behind if there are fewer. By
            default all.
        axis: the axis along which to transform.
        norm: which direction is scaled: ``"backward"``, the inverse by 1/n; ``"forward"``, this one
            by 1/n; ``"ortho"``, both by 1/√n, so that lengths stay.

    Returns:
        Complex numbers, ``complex64`` for 32 bits and ``complex128`` for 64; n along the axis.

    Raises:
        DTypeError: for integers, booleans or float16.
        AxisError: for an axis that x does not have.
        ArgumentError: for n below 1, an empty axis or an unknown norm.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([1.0, 0.0, 0.0, 0.0], requires_grad=True)
        >>> tg.fft.fft(x).tolist()
        [(1+0j), (1+0j), (1+0j), (1+0j)]
        >>> (tg.abs(tg.fft.fft(x)) ** 2).sum().backward()
        >>> x.grad.tolist()  # of 4 Σ x², by Parseval's theorem
        [8.0, 0.0, 0.0, 0.0]
    """
    return _transformed("fft", _dft, x, _one(n), axis, norm)


def ifft(x: Any, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Return the inverse of ``fft``: x[j] = Σ X[k] exp(2πi jk/n) / n. The arguments are the same.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.ifft(tg.fft.fft(tg.tensor([1.0, 2.0, 4.0]))).tolist()
        [(1+0j), (2+0j), (4+0j)]
    """
    return _transformed("ifft", _inverse_dft, x, _one(n), axis, norm)


def fftn(
    x: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """Return the discrete Fourier transform along several axes.

    Args:
        x: real or complex numbers, of 32 or 64 bits each.
        s: how many elements to transform along each axis, as ``n`` of ``fft``.
        axes: the axes along which to transform: by default all, or the last ``len(s)``.
        norm: as in ``fft``; n is the number of all elements that are transformed together.

    Raises:
        DTypeError: for integers, booleans or float16.
        AxisError: for an axis that x does not have, or that is there twice.
        ArgumentError: for sizes below 1 or of another number than axes, or an unknown norm.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.fftn(tg.ones((2, 2))).tolist()
        [[(4+0j), 0j], [0j, 0j]]
    """
    return _transformed("fftn", _dft, x, s, axes, norm)


def ifftn(
    x: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """Return the inverse of ``fftn``, which has the same arguments."""
    return _transformed("ifftn", _inverse_dft, x, s, axes, norm)


# --- of real numbers -------------------------------------------------------------------------


def rfft(x: Any, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Return the first n//2 + 1 numbers of the ``fft`` of real numbers, which has the arguments.

    The others are their mirror image: X[n - k] = conj(X[k]).

    Raises:
        DTypeError: for complex numbers, too.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.rfft(tg.tensor([1.0, 2.0, 3.0, 4.0])).tolist()
        [(10+0j), (-2+2j), (-2+0j)]
    """
    return _transformed("rfft", _real_dft, x, _one(n), axis, norm)


def irfft(x: Any, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Return the inverse of ``rfft``: n real numbers.

    Of m numbers, n can be 2 (m - 1), the default, or 2 m - 1: give an odd n. The imaginary parts of
    X[0] and, for even n, of X[n/2] would not be real numbers' and are ignored; their gradient is 0.

    Raises:
        ArgumentError: for one number without n, too.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.irfft(tg.fft.rfft(tg.tensor([1.0, 2.0, 3.0])), n=3).tolist()
        [1.0, 2.0, 3.0]
    """
    return _real_from_half("irfft", x, _one(n), axis, norm)


def rfftn(
    x: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """Return ``rfft`` along the last of some axes, then ``fft`` along the others; see ``fftn``."""
    return _transformed("rfftn", _real_dft, x, s, axes, norm)


def irfftn(
    x: Any,
    s: Sequence[int] | None = None,
    axes: Sequence[int] | None = None,
    norm: str = "backward",
) -> Any:
    """Return the inverse of ``rfftn``; ``s`` has the sizes of the real result."""
    return _real_from_half("irfftn", x, s, axes, norm)


def hfft(x: Any, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Return the ``fft`` of n numbers with x[n - k] = conj(x[k]), given the first: it is real.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.hfft(tg.tensor([1.0, 1j])).tolist()
        [1.0, 1.0]
    """
    # A transform with the other sign is the inverse with the other scale.
    checked = _wrong_norm(norm) is None
    mirrored = conj(x) if checked and hasattr(x, "dtype") else x
    return _real_from_half("hfft", mirrored, _one(n), axis, _OTHER[norm] if checked else norm)


def ihfft(x: Any, n: int | None = None, axis: int = -1, norm: str = "backward") -> Any:
    """Return the inverse of ``hfft``: the first n//2 + 1 numbers of the ``ifft`` of real ones."""
    norm = _OTHER[norm] if _wrong_norm(norm) is None else norm
    return conj(_transformed("ihfft", _real_dft, x, _one(n), axis, norm))


# --- the order of a spectrum -----------------------------------------------------------------


def fftshift(x: Any, axes: int | Sequence[int] | None = None) -> Any:
    """Roll a spectrum by half its size, so that frequency 0 comes to the middle; of all axes.

    Raises:
        AxisError: for an axis that x does not have.

    Example:
        >>> import tinygrad_lab as tg
        >>> tg.fft.fftshift(tg.fft.fftfreq(5, d=0.2)).tolist()
        [-2.0, -1.0, 0.0, 1.0, 2.0]
    """
    axes = checked_axes("fftshift", x, tuple(axes) if isinstance(axes, list) else axes)
    return roll(x, shift=tuple(x.shape[axis] // 2 for axis in axes), axis=axes)


def ifftshift(x: Any, axes: int | Sequence[int] | None = None) -> Any:
    """Undo ``fftshift``; for odd sizes it is another roll."""
    axes = checked_axes("ifftshift", x, tuple(axes) if isinstance(axes, list) else axes)
    return roll(x, shift=tuple(-(x.shape[axis] // 2) for axis in axes), axis=axes)
