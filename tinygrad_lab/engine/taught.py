"""Fused ops as a textbook has them: the same op, with a forward and rules that are to be read.

A fused op has a kernel, written for speed, and a composite of small ops, whose chain rule is long
where mathematics has a short form: the gradient of cross-entropy is ``(p - onehot) / N``. The
textbook form of an op is such a pair of forward and rules. Steps are recorded with it for
``step.textbook``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from tinygrad_lab.context import changed, current
from tinygrad_lab.engine.apply import function_of
from tinygrad_lab.engine.op import Op
from tinygrad_lab.engine.signatures import read_rules

__all__ = ["TAUGHT", "Textbook", "taught"]

TAUGHT = "taught"
"""The value of ``Context.composing`` under which fused ops run in their textbook form."""


@dataclass(frozen=True, slots=True)
class Textbook:
    """The textbook form of a fused op: arguments as those of ``op``, and of the same names."""

    forward: Callable[..., Any]
    vjp: Mapping[Any, Callable[..., Any]] | Callable[..., Any]


def taught(declared: Op, textbook: Textbook) -> Callable[..., Any]:
    """Return the composite of an op; where steps are written as in a textbook, that form of it."""
    composite = declared.composite
    assert composite is not None
    rules = read_rules(declared, textbook.vjp)
    form = replace(declared, forward=textbook.forward, rules=rules, residual=True, _plans={})
    apply_form = function_of(form)

    @wraps(composite)
    def composed(*inputs: Any, **attributes: Any) -> Any:
        if current().composing != TAUGHT:
            return composite(*inputs, **attributes)
        with changed(composing=False):
            return apply_form(*inputs, **attributes)

    return composed
