"""Calls with arguments that a function does not take: which of its own is meant.

``x.sum(dim=1)`` says ``axis=``. Functions of ops collect what they do not take and pass it here;
functions that are composed of ops are wrapped by ``explaining``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, TypeVar

from tinygrad_lab.engine.user_code import line_of, user_site
from tinygrad_lab.errors import ArgumentTypeError

__all__ = [
    "ABSENT",
    "advise",
    "collecting",
    "explaining",
    "explaining_class",
    "misfit",
    "not_taken",
    "refused",
]


class _Absent:
    """Stands for an argument that was left out; no op takes it."""

    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()

F = TypeVar("F", bound=Callable[..., Any])

_OWN_NAMES = {
    "dim": ("axis", "axes", "start_dim"),
    "dims": ("axis", "axes"),
    "axes": ("axis",),
    "axis": ("axes", "start_dim", "dim"),
    "start_axis": ("start_dim",),
    "dim0": ("axis1",),
    "dim1": ("axis2", "axis1"),
    "dim2": ("axis2",),
    "keepdim": ("keepdims",),
    "keepdims": ("keepdim",),
    "ddof": ("correction",),
    "unbiased": ("correction",),
    "k": ("offset",),
    "diagonal": ("k", "offset"),
    "reps": ("repetitions",),
    "shifts": ("shift",),
    "size": ("shape",),
    "newshape": ("shape",),
    "split_size_or_sections": ("indices_or_sections",),
    "chunks": ("indices_or_sections",),
    "arrays": ("tensors",),
    "a_min": ("min",),
    "a_max": ("max",),
    "input": ("x", "logits", "tensors", "a", "obj", "x1"),
    "input1": ("x1",),
    "input2": ("x2",),
    "target": ("labels",),
    "a": ("x", "start", "obj", "x1"),
    "array": ("x",),
    "val": ("x",),
    "prototype": ("x",),
    "ar": ("x",),
    "ext_tensor": ("x",),
    "element": ("x1",),
    "elements": ("x1",),
    "test_elements": ("x2",),
    "sorted_sequence": ("x1",),
    "values": ("x2",),
    "start_or_stop": ("start",),
    "int_type": ("type",),
    "rcond": ("rtol",),
    "tol": ("rtol",),
    "p": ("ord",),
    "d": ("dtype",),
    "mat2": ("y",),
    "vec2": ("y",),
    "B": ("b",),
    "arr": ("x",),
    "m": ("x",),
    "v": ("x", "x2"),
    "ary": ("x",),
    "self": ("x",),
    "x1": ("x", "a"),
    "other": ("y", "b", "x2"),
    "b": ("y",),
    "x2": ("y",),
    "exponent": ("y",),
    "A": ("x", "a"),
    "tensor": ("x", "tensors"),
    "index": ("indices",),
    "pad": ("pad_width",),
    "value": ("constant_values", "fill_value"),
    "num_classes": ("n_classes", "count"),
    "steps": ("num",),
    "end": ("stop",),
    "argnum": ("argnums", "wrt"),
    "N": ("n_rows",),
    "n": ("n_rows",),
    "M": ("n_cols",),
    "negative_slope": ("slope",),
    "object": ("data", "obj"),
    "loc": ("mean",),
    "scale": ("std",),
}
"""For names in PyTorch and NumPy, the names here: the first that a function has is meant."""

_ADVICE = {
    "unbiased": "correction=1 stands for unbiased=True, correction=0 for False",
    "out": "operators make new tensors, out= cannot be written into: y = f(x)",
    "inplace": "operators make new tensors: x = f(x)",
    "where": "select the elements first: x[condition]",
    "initial": "combine it with the result",
    "order": "elements are in row-major order (C)",
    "copy": "x.detach() shares memory, tg.asarray(x, copy=True) copies",
    "casting": "x.astype(dtype) converts",
    "alpha": "multiply by it: x + alpha * y",
    "layout": "tensors are dense",
    "like": "pass dtype= and device=",
    "memory_format": "elements are in row-major order (C)",
    "dtype": "x.astype(dtype) converts, before or after",
    "signature": "x.astype(dtype) chooses the dtype that is computed in",
    "device": "x.to(device) moves",
    "requires_grad": "x.requires_grad_() lets x collect a gradient",
    "subok": "leave it out, the result is a Tensor",
    "shape": "the shape is that of x",
    "kind": "tg.sort and tg.argsort take stable=True or False",
    "_stacklevel": "leave it out",
    "generator": "tg.seed(n) seeds the default generator",
    "hermitian": "tg.eigh(x) is for symmetric matrices",
    "UPLO": "the lower triangle is read",
    "compute_uv": "tg.svdvals(x) gives the singular values alone",
    "some": "qr takes mode='reduced' or mode='complete'",
    "return_index": "tg.unique_all(x).indices",
    "return_inverse": "tg.unique_inverse(x).inverse_indices",
    "return_counts": "tg.unique_counts(x).counts",
    "return_indices": "tg.argmax(x, axis=...) gives positions",
    "decimals": "tg.round(x * 10**decimals) / 10**decimals",
    "rounding_mode": "x // y rounds down, tg.trunc(x / y) towards 0",
    "beta": "f(beta * x) / beta",
    "padding_mode": "tg.pad(x, widths, mode=...) comes first",
    "training": "tg.nn.functional.dropout(x, p, training)",
    "size_average": 'write reduction="mean" for True, reduction="sum" for False',
    "reduce": 'write reduction="none" for False, and leave it out for True',
    "retain_graph": "graphs stay while something refers to them: leave it out",
    "allow_unused": "the gradient of a tensor without influence is None: leave it out",
    "set_to_none": "gradients become None: leave it out",
    "foreach": "leave it out",
    "fused": "leave it out",
    "maximize": "minimise -loss",
    "track_running_stats": "leave it out",
    "sparse": "broadcasting takes tg.expand_dims(x, axis) of each",
}
"""What to do instead of an argument without an equivalent."""

_advice_of: dict[str, dict[str, str]] = {}
"""Advice about the arguments of one function, by its name."""


def advise(name: str, **advice: str) -> None:
    """Note what to write instead of arguments of one function that it does not have."""
    _advice_of.setdefault(name, {}).update(advice)


def _unknown_keywords(name: str, own: Signature, given: Mapping[str, Any]) -> ArgumentTypeError:
    """Return the error for keywords that a function does not have.

    Args:
        name: the function.
        own: its signature.
        given: the unknown keywords.
    """
    advice = "; ".join(_advice(name, keyword, value, own) for keyword, value in given.items())
    return _failure(name, own, advice)


def not_taken(function: Callable[..., Any], given: Mapping[str, Any]) -> ArgumentTypeError:
    """Return the error for keywords that a function collected, but does not take."""
    return _unknown_keywords(function.__name__, signature(function), given)


def misfit(
    op: Any, given: Mapping[str, Any], more: tuple[Any, ...], others: Mapping[str, Any]
) -> ArgumentTypeError:
    """Return the error for arguments that the function of an op collected, but does not take.

    Args:
        op: the op.
        given: a value for each of its parameters; ``ABSENT`` for one that was left out.
        more: arguments by position beyond those.
        others: unknown keywords.
    """
    absent = [name for name, value in given.items() if value is ABSENT]
    several = op.inputs[-1] if op.variadic else None
    named = {n: x for n, x in given.items() if n not in (*absent, several)}
    first = (
        ()
        if absent
        else tuple(
            named.pop(p.name)
            for p in op.signature.parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD and p.name in named
        )
    )
    failure = refused(
        op.name, op.signature, (*first, *(() if absent else more)), {**named, **others}
    )
    assert failure is not None
    return failure


def _failure(name: str, own: Signature, reason: str) -> ArgumentTypeError:
    """Return the error for arguments that do not fit, with the signature and the user's line."""
    line = line_of(*user_site())
    where = "" if line is None else f"\n  at {line}"
    return ArgumentTypeError(f"{name}: {reason}. It takes {name}{_shown(own)}.{where}")


def _advice(name: str, keyword: str, value: Any, own: Signature) -> str:
    """Say what to write instead of one keyword of a function."""
    meant = next((n for n in _OWN_NAMES.get(keyword, ()) if n in own.parameters), None)
    unknown = f"there is no argument {keyword!r}"
    if keyword in (own_advice := _advice_of.get(name, {})):
        return f"{unknown}: {own_advice[keyword]}"
    if keyword in own.parameters:  # of several values by position: x.reshape(shape=(2, 3))
        meant = keyword
    elif keyword in _ADVICE and (meant is not None or keyword not in _OWN_NAMES):
        return f"{unknown}: {_ADVICE[keyword]}"
    if meant is None:
        return unknown
    kind = own.parameters[meant].kind
    by_position = kind in (Parameter.POSITIONAL_ONLY, Parameter.VAR_POSITIONAL)
    is_number = isinstance(value, int | float | tuple)
    here = f"{value!r:.40}" if is_number else "..."
    return f"{unknown}: write {f'{here} without a name' if by_position else f'{meant}={here}'}"


def _shown(own: Signature) -> str:
    """Return a signature without annotations."""
    parameters = [p.replace(annotation=Parameter.empty) for p in own.parameters.values()]
    parameters = [p if _is_literal(p.default) else p.replace(default=_OMITTED) for p in parameters]
    if parameters and parameters[0].name == "self":
        del parameters[0]
    return str(Signature(parameters))


class _Omitted:
    """Stands for a default without a short text."""

    def __repr__(self) -> str:
        return "..."


_OMITTED = _Omitted()


def _is_literal(default: Any) -> bool:
    """Return whether the text of a default says what it is."""
    return default is Parameter.empty or " object at 0x" not in repr(default)


def collecting(function: F) -> F:
    """Mark a function that collects unknown keywords itself, which is faster than a wrapper."""
    own = signature(function)
    named = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    function.__signature__ = own.replace(parameters=named)  # type: ignore[attr-defined]
    return function


def explaining(function: F) -> F:
    """Wrap a function so that calls with arguments it does not take are explained."""

    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except TypeError:
            failure = _refused(function, args, kwargs)
            if failure is None:  # The arguments fit: something inside failed.
                raise
        raise failure from None

    return call  # type: ignore[return-value]


def explaining_class(kind: type) -> None:
    """Let a class explain arguments that it does not take."""
    create: Any = kind.__init__  # type: ignore[misc]
    own = Signature() if create is object.__init__ else signature(create)
    own = own.replace(parameters=[p for p in own.parameters.values() if p.name != "self"])

    @wraps(create)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        try:
            create(self, *args, **kwargs)
        except TypeError:
            failure = refused(kind.__name__, own, args, kwargs)
            if failure is None:
                raise
        else:
            return
        raise failure from None

    kind.__init__ = __init__  # type: ignore[misc]


def _refused(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> TypeError | None:
    """Return the error for arguments that a function does not take."""
    return refused(function.__name__, signature(function), args, kwargs)


def refused(
    name: str, own: Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> ArgumentTypeError | None:
    """Return the error for arguments that a function does not take; None if it takes them."""
    try:
        own.bind(*args, **kwargs)
    except TypeError as error:
        reason = str(error)
    else:
        return None
    unknown = {key: value for key, value in kwargs.items() if key not in own.parameters}
    if unknown:
        return _unknown_keywords(name, own, unknown)
    return _failure(name, own, _of_several_numbers(name, own, args) or reason)


_OF_SEVERAL = ("shape", "axes", "axis", "repetitions")
"""Arguments that hold several numbers, which users of other libraries give one by one."""


def _of_several_numbers(name: str, own: Signature, args: tuple[Any, ...]) -> str | None:
    """Say that several numbers are one argument, if a call gives them one by one."""
    place = next((i for i, key in enumerate(own.parameters) if key in _OF_SEVERAL), len(args))
    numbers = args[place:]
    if len(numbers) < 2 or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        return None
    call = ", ".join([*list(own.parameters)[:place], str(numbers)])
    what = list(own.parameters)[place]
    return f"the {what} is one argument, got {len(numbers)} numbers: {name}({call})"
