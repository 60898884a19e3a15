"""The table of ops: one file a family; each op is one declaration.

The functions of a family that need no underscore are public: ``tg.relu`` is the ``relu`` of
``activation.py``. A new op is listed nowhere else.
"""

from inspect import signature
from types import FunctionType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_lab.backends import register_namespace
from tinygrad_lab.engine.declare import as_called, functions
from tinygrad_lab.engine.keywords import explaining
from tinygrad_lab.engine.tensor import ComplexTensor, Tensor
from tinygrad_lab.errors import GradientError
from tinygrad_lab.ops import (
    activation,
    arithmetic,
    at,
    contraction,
    conv,
    conversion,
    cumulative,
    decompositions,
    exponential,
    indexing,
    inverse,
    linalg,
    logic,
    nn,
    norms,
    piecewise,
    pool,
    positions,
    rearrange,
    reduce,
    shape,
    sorting,
    special,
    statistics,
    tolerance,
    trigonometric,
)
from tinygrad_lab.ops.arguments.composed import composed
from tinygrad_lab.ops.puts import Puts

if TYPE_CHECKING:
    from tinygrad_lab.ops.activation import *
    from tinygrad_lab.ops.arithmetic import *
    from tinygrad_lab.ops.contraction import *
    from tinygrad_lab.ops.conv import *
    from tinygrad_lab.ops.conversion import *
    from tinygrad_lab.ops.cumulative import *
    from tinygrad_lab.ops.decompositions import *
    from tinygrad_lab.ops.exponential import *
    from tinygrad_lab.ops.inverse import *
    from tinygrad_lab.ops.linalg import *
    from tinygrad_lab.ops.logic import *
    from tinygrad_lab.ops.nn import *
    from tinygrad_lab.ops.norms import *
    from tinygrad_lab.ops.piecewise import *
    from tinygrad_lab.ops.pool import *
    from tinygrad_lab.ops.positions import *
    from tinygrad_lab.ops.rearrange import *
    from tinygrad_lab.ops.reduce import *
    from tinygrad_lab.ops.shape import *
    from tinygrad_lab.ops.sorting import *
    from tinygrad_lab.ops.special import *
    from tinygrad_lab.ops.statistics import *
    from tinygrad_lab.ops.tolerance import *
    from tinygrad_lab.ops.trigonometric import *

_FAMILIES = (
    *(activation, arithmetic, contraction, conv, conversion, cumulative, decompositions),
    *(exponential, inverse, linalg, logic, nn, norms, piecewise, pool, positions, rearrange),
    *(reduce, shape, sorting, special, statistics, tolerance, trigonometric),
)
_INTERNAL_FAMILIES = (indexing, at)
"""What is public of them are operators: ``x[i]``, ``x.at[i].set(v)``."""


def _functions_of(family: Any) -> dict[str, Any]:
    """Return the functions that a family declares, or composes of ops, without an underscore."""
    return {
        name: value
        for name, value in vars(family).items()
        if isinstance(value, FunctionType)
        and not name.startswith("_")
        and (value.__module__ == family.__name__ or _is_op(value, name))
    }


def _is_op(function: Any, name: str) -> bool:
    return hasattr(function, "op") and function.op.name == name


_public = {name: f for family in _FAMILIES for name, f in _functions_of(family).items()}
_internal = {name: f for family in _INTERNAL_FAMILIES for name, f in _functions_of(family).items()}


def _as_called(function: Any) -> Any:
    """Return a function as users call it: it explains arguments that it does not take."""
    wrapped: Any
    if hasattr(function, "op"):
        return as_called(function)
    if hasattr(function, "direct"):  # ``composed``
        wrapped = function
    else:
        wrapped = (composed() if "x" in signature(function).parameters else explaining)(function)
    wrapped.__module__ = "tinygrad_lab"  # where pickle finds it
    return wrapped


_called = {name: _as_called(function) for name, function in _public.items()}
globals().update(_called | _internal)

if not TYPE_CHECKING:
    __all__ = sorted(
        name for name, f in _public.items() if not (hasattr(f, "op") and f.op.internal)
    )


class _TensorNamespace(SimpleNamespace):
    """What rules get as ``xp`` when they work on Tensors: the ops themselves."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in functions:  # of the user's ops
            return functions[name]
        raise GradientError(
            f"a rule calls xp.{name}, which is not a declared op, so its result cannot be "
            "differentiated again: declare it with tg.op, or compose it of existing ops."
        )


_for_rules = {
    "index": indexing._index,
    "isdtype": np.isdtype,
    "set_remains": at._set_remains,
    "where_positive": lambda condition, x: piecewise.where(
        condition > 0, x, conversion.zeros_like(x)
    ),
    "put_at": lambda values, arrays, *, key, shape: Puts(values, arrays, key, shape),
}
_of_tensors = _TensorNamespace(name="tensor", **(_public | _internal | _for_rules))
register_namespace(Tensor, _of_tensors)
register_namespace(ComplexTensor, _of_tensors)
