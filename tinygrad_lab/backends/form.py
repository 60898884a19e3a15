"""Form: everything about an array except its numbers."""

from __future__ import annotations

import sys
from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.backends.namespace import Array, namespaces
from tinygrad_lab.backends.no_numbers import check_numbers
from tinygrad_lab.errors import DTypeError, excerpt

__all__ = [
    "NUMBERS",
    "SEVERAL_FORMS",
    "SMALL",
    "Form",
    "fact",
    "form_of",
    "is_complex",
    "register_number",
]

SMALL = 4096
"""Values of up to this many elements are kept for pictures, even if no rule needs them."""


class Form:
    """Shape, dtype, device and namespace of an array.

    Arrays with the same properties share one ``Form``, so an op can test with a single ``is`` that
    its inputs need no broadcasting, casting or moving.
    """

    __slots__ = ("device", "dtype", "floating", "namespace", "shape", "size", "small", "smooth")

    def __init__(
        self, namespace: Any, dtype: Any, shape: tuple[int, ...] | None, device: str
    ) -> None:
        self.namespace = namespace
        self.dtype = dtype
        self.shape: Any = shape
        self.device = device
        self.floating = _is_floating(namespace, dtype)
        """Whether the numbers are real and floating."""
        self.smooth = self.floating or is_complex(dtype)
        """Whether gradients may flow: through floating numbers, real and complex."""
        self.size = sys.maxsize if shape is None else prod(shape)
        self.small = self.size <= SMALL

    def __repr__(self) -> str:
        return f"<{self.shape} {self.dtype} on {self.device} ({self.namespace.name})>"


def _is_floating(namespace: Any, dtype: Any) -> bool:
    """Return whether a dtype is of real floating numbers."""
    if dtype is None or dtype is float:
        return True
    if isinstance(dtype, type):
        return False
    kind = getattr(dtype, "kind", None)
    # Some libraries of the Array API standard have opaque dtypes.
    return namespace.isdtype(dtype, "real floating") if kind is None else kind == "f"


def is_complex(dtype: Any) -> bool:
    """Return whether a dtype is of complex numbers; so is the class of Python's."""
    # Some libraries of the Array API standard have opaque dtypes.
    return getattr(dtype, "kind", None) == "c" or "complex" in str(dtype)


NUMBERS: dict[type, Form] = {
    kind: Form(namespaces[kind], kind, (), namespaces[kind].default_device)
    for kind in (float, int, bool, complex)
}
"""The Python number types and their forms. NumPy's float64 is a float, but not among them."""

SEVERAL_FORMS = Form(None, None, None, "cpu")
"""A placeholder for the form of a node with several outputs, which have their own forms."""

_NUMPY_NUMBERS = frozenset(kind for kind in namespaces if issubclass(kind, np.generic))
_forms: dict[Any, Form] = {}
_MOST_FORMS = 10_000


def form_of(array: Array) -> Form:
    """Return the form of an array, shared by all arrays with the same properties."""
    kind = array.__class__
    if kind in NUMBERS:
        return NUMBERS[kind]
    if kind is np.ndarray or kind in _NUMPY_NUMBERS:
        key: tuple[Any, ...] = (array.dtype, array.shape)
    else:
        # CuPy's devices are not hashable.
        facts = [getattr(array, name, None) for name in ("dtype", "shape", "device")]
        key = (kind, *facts[:2], str(facts[2]))
    form = _forms.get(key)
    return _new_form(key, array) if form is None else form


def _new_form(key: tuple[Any, ...], array: Array) -> Form:
    """Return the form of an array whose class, dtype and shape are new."""
    if len(_forms) > _MOST_FORMS:
        # Equal forms from before and after are not identical, which affects speed, not correctness.
        _forms.clear()
    kind = type(array)
    if kind not in namespaces:
        # NumPy adds up objects, for example, and returns another of theirs.
        raise DTypeError(f"expected numbers or booleans, got objects: {excerpt(array)}.")
    check_numbers(array)
    namespace = namespaces[kind]
    device = namespace.device_of(array)
    # NumPy's scalars and 0-d arrays share a form.
    properties = (namespace.name, array.dtype, tuple(array.shape), device)
    form = _forms.get(properties) or Form(namespace, array.dtype, tuple(array.shape), device)
    # Another thread may have made the same one in the meantime.
    form = _forms.setdefault(properties, form)
    return _forms.setdefault(key, form)


def register_number(kind: type, namespace: Any) -> None:
    """Register a class as a kind of Python float."""
    NUMBERS[kind] = Form(namespace, float, (), namespace.default_device)


def fact(array: Any, what: str) -> Any:
    """Return ``"shape"``, ``"dtype"`` or ``"device"`` of an array, or of each in a tuple."""
    if isinstance(array, tuple):
        return tuple(fact(one, what) for one in array)
    if what == "device":
        return namespaces[array.__class__].device_of(array)
    return getattr(array, what, () if what == "shape" else type(array))
