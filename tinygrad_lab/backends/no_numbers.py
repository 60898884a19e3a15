"""Data that are no numbers: what they are, and how to make numbers of them."""

from __future__ import annotations

import numbers
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_lab.errors import ArgumentTypeError, DTypeError, excerpt

__all__ = ["check_numbers", "is_masked", "masked_array"]

NUMBER_KINDS = "fiubc"
"""NumPy's letters for floats, integers with and without a sign, booleans and complex numbers."""


def check_numbers(
    array: Any, asked_by: str = "", data: Any = ..., *, objects: bool = False
) -> None:
    """Raise if an array does not hold numbers or booleans.

    Args:
        array: an array or a scalar of NumPy; others are taken for arrays of numbers.
        asked_by: what wants the numbers.
        data: what the user gave; the array by default.
        objects: whether the array may hold Python's numbers as objects, for it will be converted.

    Raises:
        DTypeError: saying what it holds instead, and how to make numbers of it.
        ArgumentTypeError: for a masked array.
    """
    if array.__class__ is np.ndarray and array.dtype.kind in NUMBER_KINDS:
        return  # nearly always; the rest would take three times as long
    if not isinstance(array, np.ndarray | np.generic):
        return
    if is_masked(array):
        raise masked_array()
    if array.dtype.kind in NUMBER_KINDS:
        return
    are_objects = objects and array.dtype.kind == "O"
    if are_objects and all(isinstance(one, numbers.Number) for one in array.flat):
        return
    given = array if data is ... else data
    asked_by = f"{asked_by}: " if asked_by else ""
    raise DTypeError(f"{asked_by}expected numbers or booleans, {_instead(array, given)}")


def is_masked(array: Any) -> bool:
    """Return whether an array is one of NumPy's masked arrays.

    By name: to mention ``np.ma`` would import it, which takes a while and leaves garbage, and
    without that import there are no masked arrays.
    """
    kind = type(array)
    return kind is not np.ndarray and any(
        base.__name__ == "MaskedArray" and base.__module__.startswith("numpy.ma")
        for base in kind.__mro__
    )


def masked_array() -> ArgumentTypeError:
    """Return the error for a masked array, whose mask would be lost."""
    return ArgumentTypeError(
        "a tensor cannot mask elements: array.filled(0) gives the masked ones a value, "
        "array.compressed() leaves them out; tg.where(mask, x, y) chooses between values."
    )


def _instead(array: Any, data: Any) -> str:
    """Say what came instead of numbers, and what to do."""
    kind, dtype = array.dtype.kind, array.dtype
    if kind == "O":
        return _instead_of_objects(array, data)
    if kind == "V" and dtype.names:
        fields = ", ".join(map(repr, dtype.names))
        return (
            f"got records with the fields {fields}: array[{dtype.names[0]!r}] is one of them, "
            "numpy.lib.recfunctions.structured_to_unstructured(array) has all of them as columns."
        )
    if kind == "V":
        return f"got bytes without a type, {dtype}: array.view(...) with the dtype they stand for."
    if kind in "mM":
        return (
            f"got dates or times, {dtype}: (array - start) / numpy.timedelta64(1, 's') is a number "
            "of seconds."
        )
    return f"got text, {excerpt(array)}: numpy.asarray(x).astype(float) if it spells numbers."


def _instead_of_objects(array: Any, data: Any) -> str:
    what = f"got {type(data).__name__} {excerpt(data)}" if data is not None else "got None"
    if isinstance(data, Mapping):
        return f"{what}: list(x.values()) are its values."
    if isinstance(data, Iterable) and not isinstance(data, list | tuple | np.ndarray):
        return f"{what}: list(x) first."
    odd = [one for one in array.flat if not isinstance(one, numbers.Number)]
    if not odd:
        return f"{what}, dtype object: convert it, to a dtype such as float."
    if all(one is None for one in odd):
        return f"{what}: float('nan') stands for a missing number, None does not."
    other = next(one for one in odd if one is not None)
    return what if other is data else f"{what}, which holds a {type(other).__name__}."
