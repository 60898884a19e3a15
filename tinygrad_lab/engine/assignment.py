"""What may be assigned to ``.data`` and ``.grad``, and what a sweep may start from."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from tinygrad_lab.backends import NUMPY, PYTHON, Array, form_of, namespaces
from tinygrad_lab.backends.dtypes import array_of
from tinygrad_lab.backends.no_numbers import check_numbers
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    GradientError,
    ShapeError,
    excerpt,
)

__all__ = ["array_like", "as_data", "as_seed", "check_grad", "is_complex", "is_grad_of_another"]


def as_data(value: Any, owner: Any) -> Array:
    """Return a new value for a Tensor, in the dtype and kind of the one it has.

    Raises:
        ShapeError: for a value of another shape.
        ArgumentTypeError: for something that holds no numbers.
    """
    new: Any = array_of(value)[0] if isinstance(value, list | tuple) else value
    old = owner._data
    backend = namespaces[type(old)]
    if type(new) not in namespaces and isinstance(new, np.ndarray):
        new = array_of(new)[0]  # a memory map, or another subclass
    if type(new) not in namespaces:
        raise ArgumentTypeError(
            f".data of {owner._label()} takes an array, a number or a Tensor, got "
            f"{type(new).__name__}: {excerpt(new)}."
        )
    if type(new) is complex:
        raise DTypeError(f".data of {owner._label()} holds real numbers, got {new}.")
    if backend.name == "python":
        if getattr(new, "size", 1) != 1:
            raise ShapeError(
                f"{owner._label()} is a single number; .data cannot be set to a value of shape "
                f"{tuple(new.shape)}."
            )
        if type(new) is type(old):
            return new
        check_numbers(new, f".data of {owner._label()}", value)
        return backend.asarray(type(old)(namespaces[type(new)].to_numpy(new).item()))
    new = backend.asarray(new) if type(new) in (float, int, bool) else new
    if new.shape != old.shape:
        raise ShapeError(
            f"{owner._label()} has shape {tuple(old.shape)}; .data cannot be set to a value of "
            f"shape {tuple(new.shape)}."
        )
    if new.dtype == old.dtype and type(new) is type(old):
        return new
    check_numbers(new, f".data of {owner._label()}", value)
    return backend.asarray(new, dtype=old.dtype, device=backend.device_of(old))


def array_like(number: float, owner: Any) -> Array:
    """Return a number as data for ``.grad`` of a Tensor without axes, as in ``p.grad = 0``."""
    xp, form = namespaces[type(owner._data)], form_of(owner._data)
    if xp is PYTHON:
        return float(number)
    return xp.asarray(number, dtype=form.dtype, device=form.device)


def check_grad(value: Any, owner: Any) -> None:
    """Raise unless a Tensor has the shape, dtype and device that the ``.grad`` of another has."""
    label = owner._label()
    # By the node: masked arrays have a _data, too.
    if not hasattr(value, "_node") or type(value._data) not in namespaces:
        instead = (
            "a number fits only a tensor without axes, tg.full_like(x, number) others."
            if isinstance(value, float | int)
            else f"tg.tensor(value, dtype={str(owner.dtype)!r}) makes one of an array or a list."
        )
        raise ArgumentTypeError(
            f".grad of {label} is a Tensor or None, got {type(value).__name__}: {instead}"
        )
    if value.shape != owner.shape:
        raise ShapeError(f"{label} has shape {owner.shape}, its .grad cannot have {value.shape}.")
    if (value.dtype, value.device) != (owner.dtype, owner.device):
        raise DTypeError(
            f"{label} is {owner.dtype} on {owner.device}, its .grad cannot be "
            f"{value.dtype} on {value.device}: value.astype(x.dtype), value.to(x.device)."
        )


def is_grad_of_another(gradient: Any, owner: Any) -> bool:
    """Return whether a Tensor is the ``.grad`` of another one than ``owner``, or of several."""
    reference = getattr(gradient, "_gradient_of", _of_nobody)
    if reference is None:
        return True
    other = reference()
    return other is not None and other is not owner and other.grad is gradient


def _of_nobody() -> None:
    """Stand for the reference of a Tensor that was nobody's ``.grad``."""


def is_complex(owner: Any) -> bool:
    """Return whether a Tensor whose gradient is wanted is complex; it is real otherwise.

    Raises:
        DTypeError: for a dtype that has no gradients.
    """
    data = owner._data
    dtype = getattr(data, "dtype", None) or np.dtype(type(data))
    if isinstance(data, float) or dtype.kind == "f":
        return False
    if dtype.kind == "c" and type(data) is not complex:
        return True
    hint = "tg.tensor(z)" if dtype.kind == "c" else "numbers like 1.0, or x.astype(...)"
    raise DTypeError(
        f"only floating-point tensors have gradients, {owner._label()} is {dtype}: {hint}."
    )


def as_seed(gradient: Any, output: Any) -> Array:
    """Return the gradient that a sweep starts from, as an array like the data of its output.

    Args:
        gradient: numbers or a Tensor in the output's shape; None stands for 1.
        output: the Tensor that the sweep starts at.
    """
    data = output._data
    xp = namespaces[type(data)]
    form = output.node.form
    if gradient is None:
        if form.size != 1:
            raise GradientError(
                f"backward() needs a scalar, {output._label()} has shape {form.shape}. Reduce it "
                "first (loss.sum(), loss.mean()), or say which combination of its elements is "
                "meant: backward(gradient=...)."
            )
        if xp is NUMPY and not form.shape:
            return _numpy_one(form.dtype)
        if not form.floating:
            raise _no_direction(form.dtype)
        one = 1.0 if xp is PYTHON else xp.asarray(1, dtype=form.dtype, device=form.device)
        return xp.reshape(one, form.shape) if form.shape else one
    if hasattr(gradient, "_node"):
        gradient = gradient._data  # a Tensor's; masked arrays have a _data, too
    try:
        if isinstance(gradient, list | tuple):
            gradient = array_of(gradient)[0]
    except ValueError as error:  # such as ragged lists
        raise ArgumentError(f"{_expected_seed(output)}; {error}") from None
    check_numbers(gradient, f"gradient of {output._label()}")
    try:
        if xp is PYTHON:
            return float(gradient)
        seed = xp.asarray(gradient, dtype=form.dtype, device=form.device)
    except (ValueError, TypeError):
        raise ArgumentError(f"{_expected_seed(output)}; got {excerpt(gradient)}.") from None
    if seed.shape != form.shape:
        raise ShapeError(
            f"gradient must have the shape of {output._label()}, {form.shape}; got {seed.shape}."
        )
    return seed


def _expected_seed(output: Any) -> str:
    return f"gradient must be numbers in the shape of {output._label()}, {output.shape}"


def _no_direction(dtype: Any) -> GradientError:
    return GradientError(
        f"backward() needs a real number, this one is {dtype}. Make a real loss of it, such as "
        "tg.abs(z), or say in which direction it is to change: backward(gradient=1+0j)."
    )


@cache
def _numpy_one(dtype: np.dtype[Any]) -> Array:
    """Return 1 as a NumPy scalar, with which rules work faster than with a 0-d array."""
    if dtype.kind == "c":
        raise _no_direction(dtype)
    return dtype.type(1)
