"""``op()``: one declaration makes a function that computes and can be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import environ
from typing import Any, TypeVar

from tinygrad_lab.engine.apply import function_of
from tinygrad_lab.engine.complex import complex_op
from tinygrad_lab.engine.fast.entry_points import explaining_function_of, written_function_of
from tinygrad_lab.engine.op import Op
from tinygrad_lab.engine.signatures import read_declaration
from tinygrad_lab.engine.taught import Textbook, taught
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import is_of_library

__all__ = ["as_called", "direct", "functions", "op"]

F = TypeVar("F", bound=Callable[..., Any])

PLAIN = environ.get("TINYGRAD_LAB_PLAIN", "") not in ("", "0")
"""Whether every op is applied by the plain engine, in this process."""


functions: dict[str, Callable[..., Tensor]] = {}
"""The functions of all declared ops by name. Rules that work on Tensors find them in ``xp``."""


def op(
    name: str,
    symbol: str | None = None,
    *,
    forward: Callable[..., Any],
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any] | None = None,
    complex_vjp: Mapping[Any, Callable[..., Any]] | str | None = None,
    words: Mapping[str, str] | None = None,
    latex: str | None = None,
    elementwise: bool = False,
    core_axes: int | None = None,
    composite: Callable[..., Any] | None = None,
    textbook: Textbook | None = None,
    residual: bool = False,
    several_outputs: bool = False,
    check: Callable[..., str | None] | None = None,
    internal: bool = False,
    doc: str = "",
) -> Callable[..., Tensor]:
    """Declare an op and return the function that applies it.

    Args:
        name: its name, in the table of ops and in pictures.
        symbol: what pictures write in its node; the name if not given.
        forward: ``forward(xp, *inputs, *, attributes...)`` on raw arrays of any backend.
        vjp: for each input the rule ``rule(xp, g, what it asks for...)`` that gives its gradient
            from ``g``, the gradient of the output; a tuple of inputs as key, or one function in
            place of the mapping, for a joint rule that returns one gradient for each. An input
            without a rule gets no gradient.
        complex_vjp: the rules for complex numbers (``engine/complex.py`` says what ``g`` is there):
            ``"same"`` if they are those of ``vjp``, ``"conjugated"`` if the function is
            holomorphic, and its derivatives are conjugated. Without it, complex numbers that
            require a gradient are refused.
        words: what pictures write for the rule of an input, if its source is not a short formula:
            ``{"x": "g where {x} > 0"}``; for ``"out"``, how they write the value. Braces name
            inputs, ``out``, attributes, or ``x_shape``, ``x_dtype`` and ``x_device`` of an input.
            Where an input stands for several tensors, ``"xs[2]"`` is for one of them.
        latex: how to typeset it, with inputs and attributes in braces: ``r"{x} \\cdot {y}"``.
        elementwise: inputs are broadcast against each other.
        core_axes: how many of the last axes of an input take no part in broadcasting: 2 for
            matrix products. None if nothing is broadcast, or all axes are (``elementwise``).
            Pictures then show the sum over the axes that broadcasting stretched.
        composite: the same value by small ops; then ``forward`` is a fused kernel of it.
        textbook: for an op with a composite, how ``step.textbook`` writes it forward and backward.
        residual: ``forward`` returns ``(out, residual)``, and the rule asks for ``residual``.
        several_outputs: ``forward`` returns a tuple of outputs; ``g`` is then a tuple, too, with
            None for an output that no gradient reached.
        check: ``check(*arrays, **attributes)`` says in a sentence why ``forward`` failed.
        internal: an op of the package that is not public: it is for other ops and for rules.
        doc: the docstring of the function.

    Raises:
        DeclarationError: if a rule or its words ask for something that does not exist, or words
            are given for an input without a rule.

    Example:
        >>> import tinygrad_lab as tg
        >>> cube = tg.op("cube", "x³", forward=lambda xp, x: x * x * x,
        ...              vjp={"x": lambda xp, g, x: g * (x * x + x * x + x * x)})
        >>> x = tg.scalar(2.0)
        >>> cube(x).backward()
        >>> x.grad.item()
        12.0
    """
    declared = read_declaration(
        name,
        symbol,
        forward=forward,
        vjp=vjp,
        latex=latex,
        words=words,
        elementwise=elementwise,
        core_axes=core_axes,
        composite=composite,
        residual=residual,
        several_outputs=several_outputs,
        check=check,
        internal=internal,
        doc=doc,
    )
    if complex_vjp is not None:
        declared.complex_op = complex_op(declared, complex_vjp)
    if textbook is not None:
        declared.composite = taught(declared, textbook)
    of_library = is_of_library(forward)
    # The seam: what `fast` writes does what `apply` does, and the tests hold it to the same bits.
    write = written_function_of if of_library else explaining_function_of
    function = _named(function_of(declared) if PLAIN else write(declared), declared)
    function.__module__ = "tinygrad_lab" if of_library else forward.__module__
    functions[name] = function
    return function


def _named(function: Any, declared: Op) -> Any:
    """Return the function of an op with what readers and editors look for."""
    function.__name__ = function.__qualname__ = declared.name
    function.__doc__ = declared.doc or None
    function.__signature__ = declared.signature
    function.op = declared
    return function


def as_called(function: Any) -> Any:
    """Return the function of an op of the package as users call it.

    It does the same, and explains arguments that it does not take, as the plain engine and
    functions with attributes do anyway.
    """
    if PLAIN or function.op.attributes or function.op.internal:
        return function
    public = _named(explaining_function_of(function.op), function.op)
    public.__module__ = function.__module__
    public.direct = function
    return public


def direct(function: F) -> F:
    """Return what ``as_called`` was given: for operators and modules, it saves 50 ns a call."""
    return getattr(function, "direct", function)
