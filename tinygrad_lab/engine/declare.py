"""``op()``: one declaration makes a function that computes and can be differentiated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import environ
from typing import Any

from tinygrad_lab.backends import namespaces
from tinygrad_lab.engine.apply import function_of
from tinygrad_lab.engine.fast.entry_points import written_function_of
from tinygrad_lab.engine.signatures import read_declaration
from tinygrad_lab.engine.tensor import Tensor

__all__ = ["op"]

PLAIN = environ.get("TINYGRAD_LAB_PLAIN", "") not in ("", "0")
"""Whether every op is applied by the plain engine, in this process."""


def op(
    name: str,
    symbol: str | None = None,
    *,
    forward: Callable[..., Any],
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any] | None = None,
    latex: str | None = None,
    words: Mapping[str, str] | None = None,
    elementwise: bool = False,
    composite: Callable[..., Any] | None = None,
    residual: bool = False,
    several_outputs: bool = False,
    check: Callable[..., str | None] | None = None,
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
        latex: how a derivation writes it, with the inputs in braces: ``r"{x} \\cdot {y}"``.
        words: for each input whose rule is no short formula, what the rule does in a few words,
            for pictures, with what a rule can ask for in braces: ``{"x": "g where {x} > 0"}``.
        elementwise: inputs are broadcast against each other.
        composite: the same value by small ops; then ``forward`` is a fused kernel of it.
        residual: ``forward`` returns ``(out, residual)``, and the rule asks for ``residual``.
        several_outputs: ``forward`` returns a tuple of outputs; ``g`` is then a tuple, too, with
            None for an output that no gradient reached.
        check: ``check(*arrays, **attributes)`` says in a sentence why ``forward`` failed.
        doc: the docstring of the function.

    Raises:
        DeclarationError: if a rule asks for something that does not exist.

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
        composite=composite,
        residual=residual,
        several_outputs=several_outputs,
        check=check,
        doc=doc,
    )
    # The seam: what `fast` writes does what `apply` does, and the tests hold it to the same bits.
    function: Any = function_of(declared) if PLAIN else written_function_of(declared)
    function.__name__ = function.__qualname__ = name
    function.__module__ = "tinygrad_lab"
    function.__doc__ = doc or None
    function.__signature__ = declared.signature
    function.op = declared
    if Tensor in namespaces:
        # Rules may call it on Tensors, too.
        setattr(namespaces[Tensor], name, function)
    return function
