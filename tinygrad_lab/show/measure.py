"""Widths of texts, and the way names, indices and arrays are written in a picture.

Widths are those of DejaVu Sans, the widest font a picture may be shown in: a text that fits in it
also fits in Helvetica, Arial or Segoe UI, so no text is cut off or leaves its box.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tinygrad_lab.formatting import MINUS, number, printable

__all__ = [
    "MINUS",
    "Matrix",
    "as_matrix",
    "printable",
    "shortened",
    "subscript",
    "superscript",
    "width",
]

# Hundredths of the font size, for the characters from space to tilde.
_ASCII = (
    "32 40 46 84 64 95 78 27 39 39 50 84 32 36 32 34 64 64 64 64 64 64 64 64 64 64 34 34 84 84 84 "
    "53 100 68 69 70 77 63 58 77 75 29 29 66 56 86 75 79 60 79 69 63 61 73 68 99 69 61 69 39 34 39 "
    "84 50 50 61 63 55 63 62 35 63 63 28 28 58 28 97 63 61 63 63 41 52 39 63 59 82 59 59 52 64 34 "
    "64 84"
)
_WIDTHS = {chr(32 + place): int(one) / 100 for place, one in enumerate(_ASCII.split())}
_WIDTHS.update(dict.fromkeys("₀₁₂₃₄₅₆₇₈₉⁰¹²³⁴⁵⁶⁷⁸⁹ᵀᵢ", 0.4))
_BOLD = 1.14
_MATRIX_SIDE = 6
_MATRIX_SIZE = 12

_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


@lru_cache(4096)
def width(text: str, size: float, *, bold: bool = False) -> float:
    """Return the width of a text at a font size, in the unit of the size.

    Example:
        >>> width("il", 10) < width("mw", 10) < width("mw", 10, bold=True)
        True
    """
    return sum(map(_advance, text)) * size * (_BOLD if bold else 1)


def _advance(character: str) -> float:
    known = _WIDTHS.get(character)
    if known is not None:
        return known
    if unicodedata.combining(character):
        return 0.0
    return 1.3 if unicodedata.east_asian_width(character) in "WF" else 0.85


def shortened(text: str, most: int = 60) -> str:
    """Cut a text that is longer than ``most`` characters, and write it on one line.

    Example:
        >>> shortened("a" * 10_000, 8), shortened("a\\tb")
        ('aaaaaaa…', 'a\\\\tb')
    """
    return printable(text if len(text) <= most else f"{text[: most - 1]}…")


def subscript(number: int) -> str:
    """Write digits as indices: ``12`` as ``₁₂``."""
    return str(number).translate(_SUBSCRIPTS)


def superscript(text: str) -> str:
    """Write digits as an exponent: ``-1`` as ``⁻¹``."""
    return text.translate(_SUPERSCRIPTS)


@dataclass(frozen=True)
class Matrix:
    """The formatted numbers of a small array, in rows."""

    rows: tuple[tuple[str, ...], ...]


def as_matrix(array: np.ndarray[Any, Any]) -> Matrix | None:
    """Format an array as rows of numbers; None if it is too large or has more than two axes.

    Example:
        >>> as_matrix(np.eye(2)).rows
        (('1', '0'), ('0', '1'))
    """
    if array.ndim > 2:
        array = array.reshape([size for size in array.shape if size != 1])
    if array.ndim > 2 or not 0 < array.size <= _MATRIX_SIZE:
        return None
    page = array.reshape((-1, array.shape[-1])) if array.ndim else array.reshape((1, 1))
    if max(page.shape) > _MATRIX_SIDE:
        return None
    return Matrix(tuple(tuple(number(one, digits=3) for one in row) for row in page))
