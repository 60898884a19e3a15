"""Names of PyTorch and NumPy that are spelled differently here, each with the right spelling.

``x.view(2, 3)`` and ``tg.cat(xs)`` raise an error that shows it. On Tensor the names are
descriptors that raise, not a ``__getattr__``: with one, every access to ``x._data`` takes three
times as long, and an unset ``_grad`` eight times.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from difflib import get_close_matches
from inspect import signature
from types import FunctionType
from typing import Any

import numpy as np

from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import MissingAttributeError
from tinygrad_lab.other_names.spellings import ABSENT, BOTH, NAMESPACE, TENSOR

__all__ = [
    "arguments_shown",
    "attach_names",
    "missing_from_namespace",
    "parsed",
    "spelling_of",
]


def _words(text: str) -> list[str]:
    return text.split()


_ABSENT = frozenset(_words(ABSENT))
_NOT_OF_A_TENSOR = frozenset(
    _words("""
    arange can_cast checkpoint compile default_device devices draw empty eye finfo full gradcheck
    get_default_device get_default_dtype graph iinfo isdtype linspace ones op scalar seed
    set_default_dtype tensor zeros no_grad plain record debug from_dlpack grad jacobian hessian hvp
    jvp vjp value_and_grad
""")
)
"""Functions that no one looks for on a tensor."""


def parsed(text: str) -> dict[str, str]:
    """Return the spelling for each name; a line holds several names for one spelling."""
    lines = (line.split(" = ", 1) for line in text.strip().splitlines())
    return {name: spelling for names, spelling in lines for name in names.split()}


_FOR_BOTH, _FOR_TENSORS, _FOR_NAMESPACE = map(parsed, (BOTH, TENSOR, NAMESPACE))
_ON_TENSORS = _FOR_BOTH | _FOR_TENSORS
_IN_NAMESPACE = _FOR_BOTH | _FOR_NAMESPACE


def spelling_of(name: str, namespace: Any, *, method: bool) -> str | None:
    """Return how to write a name of PyTorch or NumPy here; None for one without an equivalent.

    Args:
        name: the name: of a method, or of a function.
        namespace: the package, whose functions are also what methods are called here.
        method: whether it is looked up on a Tensor.
    """
    known = _ON_TENSORS if method else _IN_NAMESPACE
    if name in known:
        return known[name]
    if method and isinstance(getattr(namespace, name, None), FunctionType):
        return f"tg.{name}({arguments_shown(getattr(namespace, name))})"
    base = name[:-1]
    if name.endswith("_") and not base.endswith("_"):
        # In place: operators never write into their inputs.
        out_of_place = f"x.{base}()" if hasattr(Tensor, base) else None
        out_of_place = out_of_place or spelling_of(base, namespace, method=True)
        return out_of_place and f"x = {out_of_place}"
    if not method and hasattr(Tensor, name):
        return f"x.{name}"
    return None


def arguments_shown(function: Any) -> str:
    """Return what a function has to be given, to show a call."""
    parameters = signature(function).parameters.values()
    return ", ".join(p.name for p in parameters if p.default is p.empty and p.kind < p.KEYWORD_ONLY)


# --- on Tensor -----------------------------------------------------------------------------------


class _Elsewhere:
    """An attribute that says how it is spelled here."""

    __slots__ = ("_name", "_namespace")

    def __init__(self, name: str, namespace: Any) -> None:
        self._name, self._namespace = name, namespace

    def __get__(self, tensor: Any, owner: Any = None) -> Any:
        spelling = spelling_of(self._name, self._namespace, method=True)
        raise MissingAttributeError(f"Tensor has no {self._name!r}: {spelling}")


def attach_names(namespace: Any) -> None:
    """Let Tensor say how the names of PyTorch's Tensor and NumPy's ndarray are spelled here."""
    functions = {n for n in namespace.__all__ if isinstance(getattr(namespace, n), FunctionType)}
    known = {n for n in (*_ON_TENSORS, *functions - _NOT_OF_A_TENSOR) if not n.startswith("_")}
    methods = {n for n in vars(Tensor) if not n.startswith("_")}
    in_place = {f"{n}_" for n in known | methods - {"at", "data"} if not n.endswith("_")}
    for name in (known | in_place) - methods:
        if not hasattr(Tensor, name):
            setattr(Tensor, name, _Elsewhere(name, namespace))
    Tensor.__dir__ = _own_attributes  # type: ignore[assignment, method-assign]


def _own_attributes(self: Tensor) -> Iterable[str]:
    """List the attributes that there are, for completion: not those that only say another name."""
    kind = type(self)
    found = object.__dir__(self)
    return [n for n in found if not any(isinstance(vars(c).get(n), _Elsewhere) for c in kind.mro())]


# --- in the package ------------------------------------------------------------------------------


def missing_from_namespace(name: str, namespace: Any) -> Exception:
    """Return the error for a name that the package does not have."""
    label = namespace.__name__
    if name.startswith("_"):
        return AttributeError(f"module {label!r} has no attribute {name!r}")
    spelling = spelling_of(name, namespace, method=False)
    if spelling is None and not _is_of_another_library(name):
        close = get_close_matches(name, namespace.__all__, n=1, cutoff=0.8)
        spelling = f"did you mean tg.{close[0]}?" if close else None
    return MissingAttributeError(f"{label} has no {name!r}{f': {spelling}' if spelling else '.'}")


def _is_of_another_library(name: str) -> bool:
    """Return whether a name means something that this package does not have."""
    torch = sys.modules.get("torch")
    return name in _ABSENT or name in vars(np) or name in (vars(torch) if torch else ())
