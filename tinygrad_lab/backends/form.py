"""Form: everything about an array but its numbers."""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.backends.namespace import Array, namespaces

__all__ = ["NUMBERS", "SEVERAL_FORMS", "SMALL", "Form", "form_of", "register_number"]

SMALL = 4096
"""Up to so many elements a value is kept for pictures, whether or not a rule asks for it."""


class Form:
    """Shape, dtype, device and namespace of an array.

    Arrays that are alike share one ``Form``, so that an op sees with one ``is`` that its inputs
    need neither broadcasting, nor casting, nor moving.
    """

    __slots__ = ("device", "dtype", "floating", "namespace", "shape", "size", "small")

    def __init__(
        self, namespace: Any, dtype: Any, shape: tuple[int, ...] | None, device: str
    ) -> None:
        self.namespace = namespace
        self.dtype = dtype
        self.shape: Any = shape
        self.device = device
        self.floating = _is_floating(namespace, dtype)
        self.size = sys.maxsize if shape is None else prod(shape)
        self.small = self.size <= SMALL

    def __repr__(self) -> str:
        return f"<{self.shape} {self.dtype} on {self.device} ({self.namespace.name})>"


def _is_floating(namespace: Any, dtype: Any) -> bool:
    """Whether numbers of a dtype vary smoothly: gradients flow through them."""
    if dtype is None or dtype is float:
        return True
    if isinstance(dtype, type):
        return False
    kind = getattr(dtype, "kind", None)
    # The dtypes of some libraries of the Array API standard are opaque.
    return namespace.isdtype(dtype, "real floating") if kind is None else kind == "f"


NUMBERS: dict[type, Form] = {
    kind: Form(namespaces[kind], kind, (), namespaces[kind].default_device)
    for kind in (float, int, bool, complex)
}
"""The kinds of Python's numbers, with their forms. NumPy's float64 is a float, but none of them."""

SEVERAL_FORMS = Form(None, None, None, "cpu")
"""What stands for the form of a node with several outputs: the forms are those of its parts."""

_NUMPY_NUMBERS = frozenset(kind for kind in namespaces if issubclass(kind, np.generic))
_forms: dict[Any, Form] = {}
_MOST_FORMS = 10_000


def form_of(array: Array) -> Form:
    """The form that an array shares with all that are alike."""
    kind = array.__class__
    if kind in NUMBERS:
        return NUMBERS[kind]
    if kind is np.ndarray or kind in _NUMPY_NUMBERS:
        key: tuple[Any, ...] = (array.dtype, array.shape)
    else:
        # CuPy's devices do not hash.
        key = (kind, array.dtype, array.shape, str(getattr(array, "device", None)))
    form = _forms.get(key)
    return _new_form(key, array) if form is None else form


def _new_form(key: tuple[Any, ...], array: Array) -> Form:
    """The form of an array of a kind, dtype and shape that was not met before."""
    if len(_forms) > _MOST_FORMS:
        # Forms of different generations do not meet in `is`, which costs time but no rightness.
        _forms.clear()
    namespace = namespaces[array.__class__]
    device = namespace.device_of(array)
    # NumPy's scalars and 0-d arrays are one kind.
    alike = (namespace.name, array.dtype, tuple(array.shape), device)
    form = _forms.get(alike) or Form(namespace, array.dtype, tuple(array.shape), device)
    _forms[key] = _forms[alike] = form
    return form


def register_number(kind: type, namespace: Any) -> None:
    """Let a class count as a kind of Python's floats."""
    NUMBERS[kind] = Form(namespace, float, (), namespace.default_device)
