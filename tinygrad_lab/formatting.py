"""Numbers, arrays, byte counts and names as short text: in tables of a terminal and in pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import Any

import numpy as np

from tinygrad_lab.backends import Array, namespaces

__all__ = ["MINUS", "array_text", "bytes_text", "html_table", "number", "printable", "range_text"]

MINUS = "\N{MINUS SIGN}"


def number(value: Any, digits: int = 4) -> str:
    """Format a number for a picture, with a real minus sign.

    Example:
        >>> number(2 / 3), number(3), number(float("inf")), number(True), number(1 + 2j)
        ('0.6667', '3', '∞', 'True', '1+2j')
    """
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return str(int(value)).replace("-", MINUS)
    if isinstance(value, complex | np.complexfloating):
        sign = MINUS if np.signbit(value.imag) else "+"
        return f"{number(value.real, digits)}{sign}{number(abs(value.imag), digits)}j"
    one = float(value)
    if np.isnan(one):
        return "NaN"
    if np.isinf(one):
        return "∞" if one > 0 else f"{MINUS}∞"
    mantissa, e, exponent = f"{one:.{digits}g}".partition("e")
    text = f"{mantissa}e{int(exponent)}" if e else mantissa
    return text.replace("-", MINUS)


def range_text(array: np.ndarray[Any, Any]) -> str:
    """Format the range of an array for a picture, and count the elements that are not finite.

    Example:
        >>> range_text(np.array([0.5, np.nan, 2.0])), range_text(np.array([True, False]))
        ('0.5 … 2, 1 NaN', '1 of 2 True')
    """
    if array.size == 0:
        return "empty"
    if array.dtype == bool:
        return f"{int(array.sum()):,} of {array.size:,} True"
    if array.dtype.kind == "c":
        return f"|z| {range_text(np.abs(array))}"
    finite = _finite(array)
    text = [f"{number(finite.min(), 3)} … {number(finite.max(), 3)}"] if finite.size else []
    return ", ".join(text + _counts_of_others(array, infinity="∞", minus=MINUS))


def array_text(value: Array | None, most: int = 4) -> str:
    """Format an array for a terminal, in ASCII numbers: up to ``most`` of them, else its range.

    Example:
        >>> array_text(np.array([1.0, -2.5])), array_text(np.arange(10)), array_text(None)
        ('[ 1.  -2.5]', '0 … 9', 'not kept')
        >>> array_text(np.array([np.nan, 1, 2, 3, -np.inf]))
        '1 … 3, 1 NaN, 1 -inf'
    """
    if value is None:
        return "not kept"
    data = namespaces[type(value)].to_numpy(value)
    if data.ndim == 0:
        return f"{data.item():.4g}" if data.dtype.kind == "f" else str(data.item())
    if data.size == 0:
        return "empty"
    if data.size <= most:
        return str(np.array2string(data, precision=3, separator=" ").replace("\n", ""))
    if data.dtype.kind == "b":
        return f"{data.min()} … {data.max()}"
    if data.dtype.kind == "c":
        return f"|z| {array_text(np.abs(data), most)}"
    finite = _finite(data)
    text = [f"{finite.min():.3g} … {finite.max():.3g}"] if finite.size else []
    return ", ".join(text + _counts_of_others(data, infinity="inf", minus="-"))


def _finite(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array[np.isfinite(array)] if array.dtype.kind == "f" else array


def _counts_of_others(array: np.ndarray[Any, Any], infinity: str, minus: str) -> list[str]:
    """Count what is not finite: it is never hidden behind a range."""
    if array.dtype.kind != "f":
        return []
    counts = {
        "NaN": np.isnan(array).sum(),
        infinity: np.isposinf(array).sum(),
        f"{minus}{infinity}": np.isneginf(array).sum(),
    }
    return [f"{count:,} {what}" for what, count in counts.items() if count]


def bytes_text(count: float) -> str:
    """Format a number of bytes with a unit.

    Example:
        >>> bytes_text(8), bytes_text(1500)
        ('8 B', '1.5 kB')
    """
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


@lru_cache(4096)
def printable(text: str) -> str:
    """Write a text on one line, with line breaks and invisible characters escaped as in Python.

    A terminal would obey some of them, and others would turn the text around.

    Example:
        >>> printable("two\\nlines")
        'two\\\\nlines'
    """
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return repr(character)[1:-1]


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """Write rows, the first of which are headers, as a table that takes the colours around it.

    Cells with NaN or infinities are in bold.

    Example:
        >>> html_table([["node"], ["<x>"]]).splitlines()[-2]
        '<tr><td style="text-align:left">&lt;x&gt;</td></tr>'
    """
    lines = ["<table>"]
    for place, row in enumerate(rows):
        tag = "td" if place else "th"
        cells = (_bold(escape(one)) if _NOT_FINITE.search(one) else escape(one) for one in row)
        whole = "".join(f'<{tag} style="text-align:left">{cell}</{tag}>' for cell in cells)
        lines.append(f"<tr>{whole}</tr>")
    return "\n".join([*lines, "</table>"])


_NOT_FINITE = re.compile(r"(?<![A-Za-z])(nan|NaN|-?inf)(?![A-Za-z])")


def _bold(text: str) -> str:
    return f"<strong>{text}</strong>"
