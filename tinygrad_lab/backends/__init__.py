"""Backends: the sources of arrays, which are Python floats, NumPy and CuPy.

An op is written once, against a *namespace* ``xp``: an object that provides every function of the
table for one kind of array. This package finds the namespace of an array. For Tensors the namespace
is the ops themselves (``tensor.py`` registers it), so the same rules give the gradient of a
gradient.
"""

from tinygrad_lab.backends.namespace import (
    Array,
    Namespace,
    forwards,
    namespace_of,
    namespaces,
)

from tinygrad_lab.backends.numpy import NUMPY  # isort: skip
from tinygrad_lab.backends.python import PYTHON  # isort: skip
from tinygrad_lab.backends.form import (  # isort: skip
    NUMBERS,
    SEVERAL_FORMS,
    SMALL,
    Form,
    form_of,
    register_number,
)

__all__ = [
    "NUMBERS",
    "NUMPY",
    "PYTHON",
    "SEVERAL_FORMS",
    "SMALL",
    "Array",
    "Form",
    "Namespace",
    "backend_for_device",
    "form_of",
    "forwards",
    "namespace_of",
    "namespaces",
    "register_number",
]


def backend_for_device(device: str) -> Namespace:
    """Return the backend for a device: ``"cpu"``, ``"cuda"`` or ``"cuda:1"``.

    ``"strict"`` is for tests: its arrays support the Array API standard, and no more.

    Raises:
        DeviceError: for an unavailable device, saying what is missing.
    """
    if device == "cpu":
        return NUMPY
    if device == "python":
        return PYTHON
    if device.partition(":")[0] == "strict":
        from tinygrad_lab.backends.strict import strict_backend

        return strict_backend(device)
    from tinygrad_lab.backends.cupy import cupy_backend

    return cupy_backend(device)
