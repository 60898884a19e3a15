"""Gradients through complex numbers.

A loss L is real. Its gradient with respect to a complex number z = a + ib is taken as the complex
number ∂L/∂a + i ∂L/∂b, as in PyTorch: a step against it is the steepest descent. (It is twice the
derivative with respect to conj(z) of Wirtinger's calculus: Kreutz-Delgado, "The Complex Gradient
Operator and the CR-Calculus", arXiv:0906.4835, 2009.) For w = f(z), the chain rule then reads

    g(z) = g(w) conj(∂w/∂z) + conj(g(w)) ∂w/∂conj(z)

The second term is 0 for holomorphic functions, such as z², exp z, z @ w: their rules are those for
real numbers, with the derivative conjugated. Other functions (conj, abs, the parts of a number)
declare rules of their own, and those that no rule is right for are refused. A real input gets the
real part, for its imaginary part is fixed.

Complex numbers are rare, and real ones shall not pay for them: the functions that ``engine/fast``
writes take no ``ComplexTensor``, but hand it to ``apply``, which finds the rules here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

from tinygrad_lab.backends import Form, is_complex
from tinygrad_lab.engine.explain import complex_gradient, in_full
from tinygrad_lab.engine.op import Op, Rule
from tinygrad_lab.engine.signatures import read_rules
from tinygrad_lab.errors import DeclarationError, DTypeError

__all__ = ["complex_op", "for_complex"]


def for_complex(op: Op, inputs: Sequence[Any], form: Form, attributes: Mapping[str, Any]) -> Op:
    """Return an op with the rules for what it was applied to, which may be complex.

    Args:
        op: the op that was applied.
        inputs: what it was applied to.
        form: that of its output.
        attributes: its other arguments.

    Raises:
        DTypeError: if a gradient would flow through complex numbers by rules for real ones.
    """
    needing = [getattr(x, "_node", None) is not None for x in inputs]
    if not (form.smooth and any(needing)):
        return op
    if form.dtype is complex:
        reason = (
            "a Python number carries a gradient only if it is real. Make an array of it first: "
            "tg.tensor(x)."
        )
        raise DTypeError(in_full(op.name, reason, op.named_arrays(inputs), attributes))
    if op.complex_op is not None:
        return op.complex_op
    wanting = [x for x, needed in zip(inputs, needing, strict=True) if needed]
    if op.plan(tuple(needing)).rules or any(is_complex(x.dtype) for x in wanting):
        raise complex_gradient(op, inputs, attributes)
    return op


def complex_op(op: Op, vjp: Mapping[Any, Callable[..., Any]] | str) -> Op:
    """Return an op with its rules for complex numbers, as ``op(..., complex_vjp=...)`` gives them.

    Raises:
        DeclarationError: for a word without a meaning, or a rule that asks for what does not exist.
    """
    if isinstance(vjp, str) and vjp not in ("same", "conjugated"):
        raise DeclarationError(
            f'op {op.name!r}: complex_vjp must be "same", "conjugated" or rules, got {vjp!r}.'
        )
    rules = op.rules if isinstance(vjp, str) else read_rules(op, vjp)
    fitted = tuple(_fitted_rule(rule, conjugated=vjp == "conjugated") for rule in rules)
    words = dict(op.words)
    if vjp == "conjugated":
        served = [x for rule in rules for x in rule.inputs]
        words |= {x: _chain_rule(op, f"{{{x}}}") for x in served}
    return replace(op, rules=fitted, words=words, _plans={})


def _chain_rule(op: Op, x: str) -> str:
    """Return what pictures write on an edge, where the formula is that for real numbers."""
    return f"g × conj(d{op.name}/d{x})" if op.elementwise else f"the adjoint of {op.name}, of g"


def _fitted_rule(rule: Rule, *, conjugated: bool) -> Rule:
    """Return a rule that gives real inputs the real part, and may conjugate the derivative."""
    count = len(rule.asks)

    @wraps(rule.function)  # so that pictures find its formula
    def function(xp: Any, g: Any, *asked: Any) -> Any:
        result = rule.function(xp, xp.conj(g) if conjugated else g, *asked[:count])
        dtypes: list[Any] = []
        for dtype in asked[count:]:
            dtypes += dtype if isinstance(dtype, tuple) else (dtype,)
        gradients = [
            gradient if gradient is None else _fitted(xp, gradient, dtype, conjugated)
            for gradient, dtype in zip(result if rule.joint else (result,), dtypes, strict=True)
        ]
        return gradients if rule.joint else gradients[0]

    asks = (*rule.asks, *(f"{x}_dtype" for x in rule.inputs))
    return replace(rule, function=function, asks=asks)


def _fitted(xp: Any, gradient: Any, dtype: Any, conjugated: bool) -> Any:
    """Return what a rule computed, as a gradient for an input of some dtype."""
    if is_complex(dtype):
        # (conj(g) f')* = g conj(f')
        return xp.conj(gradient) if conjugated else gradient
    return xp.real(gradient) if is_complex(gradient.dtype) else gradient
