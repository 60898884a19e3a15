"""Names of PyTorch and NumPy that are spelled differently here, each with the right spelling.

``x.view(2, 3)`` and ``tg.cat(xs)`` raise an error that shows it. On Tensor the names are
descriptors that raise, not a ``__getattr__``: with one, every access to ``x._data`` takes three
times as long, and an unset ``_grad`` eight times.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from inspect import signature
from types import FunctionType
from typing import Any

from tinygrad_lab.engine.keywords import advise
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import MissingAttributeError
from tinygrad_lab.other_names.spellings import ABSENT, BOTH, NAMESPACE, TENSOR, WORDS

__all__ = [
    "ABSENT_NAMES",
    "alternatives",
    "arguments_shown",
    "attach_names",
    "parsed",
    "spelling_of",
]


def _words(text: str) -> list[str]:
    return text.split()


ABSENT_NAMES = frozenset(_words(ABSENT))
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
    joined = text.strip().replace("\n    ", " ")
    lines = (line.split(" = ", 1) for line in joined.splitlines())
    return {name: spelling for names, spelling in lines for name in names.split()}


_CONDITION = re.compile(r"((?:of|in|along|with|without|the|sizes|pieces) [^:()]*): ")


def alternatives(spelling: str) -> list[tuple[str, str]]:
    """Return the conditions that a spelling states, each with its expression."""
    parts = re.split(r"; (?=(?:of|in|along|with|without) )", spelling)
    said = [(part, _CONDITION.match(part)) for part in parts]
    return [(found[1], part[found.end() :]) if found else ("", part) for part, found in said]


_FOR_BOTH, _FOR_TENSORS, _FOR_NAMESPACE = map(parsed, (BOTH, TENSOR, NAMESPACE))
_ON_TENSORS = _FOR_BOTH | _FOR_TENSORS
_IN_NAMESPACE = _FOR_BOTH | _FOR_NAMESPACE
_IN_WORDS = parsed(WORDS)


def spelling_of(name: str, namespace: Any, *, method: bool) -> str | None:
    """Return how to write a name of PyTorch or NumPy here; None for one without an equivalent.

    Args:
        name: the name: of a method, or of a function.
        namespace: the package, whose functions are also what methods are called here.
        method: whether it is looked up on a Tensor.
    """
    known = _ON_TENSORS if method else _IN_NAMESPACE
    if name in known or name in _IN_WORDS:
        return known.get(name) or _IN_WORDS[name]
    if method and isinstance(getattr(namespace, name, None), FunctionType):
        return f"tg.{name}({arguments_shown(getattr(namespace, name))})"
    base = name[:-1]
    if name.endswith("_") and not base.endswith("_"):
        out_of_place = f"x.{base}()" if hasattr(Tensor, base) else None
        out_of_place = out_of_place or spelling_of(base, namespace, method=True)
        return out_of_place and _in_place(base, out_of_place)
    if not method and hasattr(Tensor, name):
        return f"x.{name}"
    return None


_SIGNS = parsed("""
add = +
sub subtract = -
mul multiply = *
div divide true_divide = /
floor_divide = //
remainder mod = %
pow float_power = **
""")
"""Methods that PyTorch has in place, which are operators here."""


def _in_place(base: str, out_of_place: str) -> str:
    """Say how to rebind the result of a method that writes into its tensor, and how to write.

    Under ``no_grad`` rebinding would leave a parameter as it is.
    """
    rebound = [
        f"{f'{condition}: ' if condition else ''}x = {expression}"
        for condition, expression in alternatives(out_of_place)
    ]
    plain = alternatives(out_of_place)[0][1]
    write = f"x {_SIGNS[base]}= y" if base in _SIGNS else f"x.data = {plain}"
    return f"{'; '.join(rebound)}; to change x itself: with tg.no_grad(): {write}"


def arguments_shown(function: Any) -> str:
    """Return what a function has to be given, to show a call."""
    parameters = signature(function).parameters.values()
    return ", ".join(p.name for p in parameters if p.default is p.empty and p.kind < p.KEYWORD_ONLY)


advise("subtract", alpha="multiply by it: x - alpha * y")
advise(
    "backward",
    create_graph="tg.autograd.grad(loss, inputs, create_graph=True) gives gradients with a graph",
    inputs="tg.autograd.grad(loss, inputs) gives the gradients of these alone",
)
advise(
    "pad",
    pad="PyTorch's pad=(1, 2) pads the last axis: of a vector write pad_width=(1, 2), of a matrix "
    "pad_width=((0, 0), (1, 2))",
    pad_width="pad=(1, 2) pads the last axis, pad=(1, 2, 3, 4) the one before it by 3 and 4, too",
    constant_values="write value=",
)
advise(
    "split",
    split_size_or_sections="PyTorch's is the size of the pieces: for pieces of size n write "
    "indices_or_sections=list(range(n, len(x), n))",
)


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
    known = {
        n
        for n in (*_ON_TENSORS, *_IN_WORDS, *functions - _NOT_OF_A_TENSOR)
        if not n.startswith("_")
    }
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
