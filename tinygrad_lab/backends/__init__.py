"""Backends: the sources of arrays, which are Python floats, NumPy and CuPy.

An op is written once, against a *namespace* ``xp``: an object that provides every function of the
table for one kind of array. This package finds the namespace of an array. For Tensors the namespace
is the ops themselves (``ops`` registers it), so the same rules give the gradient of a gradient.
"""

from tinygrad_lab.backends.find import backend_for_device, namespace_of, register_device
from tinygrad_lab.backends.namespace import (
    Array,
    Namespace,
    forwards,
    namespaces,
    register_namespace,
)

from tinygrad_lab.backends.numpy import NUMPY  # isort: skip
from tinygrad_lab.backends.python import PYTHON  # isort: skip
from tinygrad_lab.backends.form import (  # isort: skip
    NUMBERS,
    SEVERAL_FORMS,
    SMALL,
    Form,
    fact,
    form_of,
    is_complex,
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
    "fact",
    "form_of",
    "forwards",
    "is_complex",
    "namespace_of",
    "namespaces",
    "register_device",
    "register_namespace",
    "register_number",
]
