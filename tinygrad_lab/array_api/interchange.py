"""How a Tensor meets other array libraries: NumPy's protocols, DLPack, the Array API.

``operators.py`` attaches these functions to ``Tensor`` as methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab import ops
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, GradientError, excerpt
from tinygrad_lab.other_names import spelling_of

__all__ = ["PROTOCOLS", "array_api_version", "namespace_method"]

array_api_version = "2024.12"
"""The version of the Array API standard that the package follows."""
_EARLIER_VERSIONS = ("2021.12", "2022.12", "2023.12")


# --- the Array API -------------------------------------------------------------------------------


def namespace_method(namespace: Any) -> Any:
    """Return the method ``__array_namespace__`` of tensors that come with a namespace."""

    def __array_namespace__(self: Tensor, *, api_version: str | None = None) -> Any:  # noqa: N807
        """Return the namespace of the Array API standard that this tensor comes with."""
        if api_version not in (None, array_api_version, *_EARLIER_VERSIONS):
            raise ArgumentError(
                f"expected a version of the Array API up to {array_api_version}, got "
                f"{excerpt(api_version)}."
            )
        return namespace

    return __array_namespace__


def to_device(self: Tensor, device: str, /, *, stream: Any = None) -> Any:
    """Return this tensor on another device: ``to`` under the Array API's name."""
    if stream is not None:
        raise ArgumentError(
            f"to_device: a stream cannot be passed, got {excerpt(stream)}; CuPy's current "
            "stream is used: with cupy.cuda.Stream():"
        )
    return self.to(device)


# --- DLPack --------------------------------------------------------------------------------------


def _dlpack(
    self: Tensor,
    *,
    stream: Any = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[Any, int] | None = None,
    copy: bool | None = None,
) -> Any:
    options = {"max_version": max_version, "dl_device": dl_device, "copy": copy}
    return _exportable(self).__dlpack__(stream=stream, **options)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    return _exportable(self).__dlpack_device__()


def _exportable(x: Tensor) -> Any:
    if x._node is not None:
        raise GradientError(f"{x._label()} requires a gradient: export x.detach().")
    return x.numpy() if x.device == "cpu" else x._data


# --- NumPy ---------------------------------------------------------------------------------------


def _array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
    if self.device != "cpu":
        raise ArgumentTypeError(f"{self._label()} is on {self.device}: x.to('cpu') first.")
    return np.array(self.numpy(), dtype=dtype, copy=copy)


def _array_ufunc(
    self: Tensor, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any
) -> Any:
    """Make Tensors of ``array * tensor`` and ``np.exp(tensor)``; do ``array -= tensor`` in place.

    The last is what ``p.data -= lr * p.grad`` comes to, which ``__array_ufunc__ = None`` would
    refuse. What has no op here works on values, as NumPy's other functions do.
    """
    if any(isinstance(x, Tensor) for x in out or ()) or (method == "at" and inputs[0] is self):
        raise _written_into(ufunc, method)
    if method == "__call__" and not options and out is None:
        function = getattr(ops, _UFUNC_NAMES.get(ufunc.__name__, ufunc.__name__), None)
        if function is not None:
            return function(*inputs)
    if out is not None:
        options["out"] = out
        if method == "__call__" and len(options) == 1:  # array -= tensor
            return ufunc(*[x.numpy() if isinstance(x, Tensor) else x for x in inputs], **options)
    for x in inputs:
        if isinstance(x, Tensor) and x._node is not None:
            raise _lost_in_ufunc(ufunc, method, options, x)
    arrays = [_array(x) if isinstance(x, Tensor) else x for x in inputs]
    options = {key: _array(x) if isinstance(x, Tensor) else x for key, x in options.items()}
    return getattr(ufunc, method)(*arrays, **options)


def _written_into(ufunc: Any, method: str) -> ArgumentTypeError:
    """Return the error for a ufunc that was to write into a tensor."""
    name = _shown_ufunc(ufunc, method)
    if method == "at":
        verb = "add" if ufunc is np.add else "set"
        instead = f"x = x.at[index].{verb}(values) makes a new tensor"
    else:
        instead = "without out= it makes a new one"
    return ArgumentTypeError(f"{name}: tensors are not written into: {instead}.")


def _lost_in_ufunc(ufunc: Any, method: str, options: Any, x: Tensor) -> GradientError:
    """Return the error for a call of a ufunc without an op, on what requires a gradient."""
    here = _REDUCED.get((ufunc.__name__, method))
    if method == "outer":
        name = _UFUNC_NAMES.get(ufunc.__name__, ufunc.__name__)
        here = f"tg.{name}(v[:, None], w)" if hasattr(ops, name) else None
    if method != "__call__" or options:
        instead = f"{here} does the same; if its gradient" if here else "If it"
        if options and method == "__call__":
            instead = f"Without {', '.join(f'{o}=' for o in options)} a gradient flows; if it"
        name = _shown_ufunc(ufunc, method)
        return GradientError(
            f"{name}: {x._label()} requires a gradient, which a NumPy array cannot carry. "
            f"{instead} is not wanted here: x.detach()."
        )
    return _lost_gradient(ufunc, x)


def _shown_ufunc(ufunc: Any, method: str) -> str:
    prefix = "np." if getattr(np, ufunc.__name__, None) is ufunc else ""
    return f"{prefix}{ufunc.__name__}" + ("" if method == "__call__" else f".{method}")


_REDUCED = {
    ("add", "reduce"): "tg.sum(x, axis=0)",
    ("multiply", "reduce"): "tg.prod(x, axis=0)",
    ("maximum", "reduce"): "tg.max(x, axis=0)",
    ("minimum", "reduce"): "tg.min(x, axis=0)",
    ("logaddexp", "reduce"): "tg.logsumexp(x, axis=0)",
    ("add", "accumulate"): "tg.cumulative_sum(x, axis=0)",
    ("multiply", "accumulate"): "tg.cumulative_prod(x, axis=0)",
}
"""What methods of ufuncs are called here."""


_OF_SHAPES = frozenset(
    ("shape", "ndim", "size", "zeros_like", "ones_like", "empty_like", "full_like", "result_type")
)
"""Functions of NumPy that do not read values, so that no gradient can be lost."""


def _array_function(
    self: Tensor, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let a function of NumPy work on the values of tensors that require no gradient."""

    def value_of(x: Any) -> Any:
        if isinstance(x, tuple | list):
            return type(x)(map(value_of, x)) if type(x) in (tuple, list) else x
        if not isinstance(x, Tensor):
            return x
        if x._node is not None:
            if function.__name__ not in _OF_SHAPES:
                raise _lost_gradient(function, x)
            x = x.detach()
        return _array(x)

    return function(*map(value_of, args), **{key: value_of(x) for key, x in kwargs.items()})


def _lost_gradient(function: Any, x: Tensor) -> GradientError:
    """Return the error for a function of NumPy on a tensor that requires a gradient."""
    name = _UFUNC_NAMES.get(function.__name__, function.__name__)
    here = spelling_of(name, ops, method=False)
    module = getattr(function, "__module__", None)
    prefix = "linalg." if module == "numpy.linalg" else ""
    here = f"tg.{prefix}{name}" if hasattr(ops, name) else here
    instead = f"{here} takes it; if its gradient" if here else "If it"
    is_numpys = not isinstance(function, np.ufunc) or hasattr(np, function.__name__)
    library = "np." if is_numpys else ""
    return GradientError(
        f"{library}{prefix}{function.__name__}: {x._label()} requires a gradient, which a NumPy "
        f"array cannot carry. {instead} is not wanted here: x.detach()."
    )


PROTOCOLS: dict[str, Any] = {
    "to_device": to_device,
    "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device,
    "__array__": _array,
    "__array_ufunc__": _array_ufunc,
    "__array_function__": _array_function,
    # CuPy and NumPy leave `array * tensor` to the tensor.
    "__array_priority__": 1000.0,
}
"""What ``operators.py`` attaches, by the names of the methods."""

_UFUNC_NAMES = {
    "power": "pow",
    "true_divide": "divide",
    "absolute": "abs",
    "rint": "round",
    "conjugate": "conj",
    "left_shift": "bitwise_left_shift",
    "right_shift": "bitwise_right_shift",
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "invert": "bitwise_invert",
    "expit": "sigmoid",
    "log_expit": "log_sigmoid",
}
"""NumPy's and SciPy's names of functions that are called otherwise here."""
