"""Which question is asked, from what is given and how it is."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_lab.answers.answer import Answer, Place, label_of
from tinygrad_lab.answers.failures import why_failed
from tinygrad_lab.answers.finite import where_it_began
from tinygrad_lab.answers.layers import health_of, updates_of
from tinygrad_lab.answers.memory import kept_by
from tinygrad_lab.answers.missing import why_none
from tinygrad_lab.answers.numbers import is_finite, numpy_of
from tinygrad_lab.answers.paths import gradient_of, paths_between
from tinygrad_lab.answers.rules import broadcasting_in, rule_of
from tinygrad_lab.answers.sweeps import order_of_sweep, sweeps_in
from tinygrad_lab.answers.units import units_of
from tinygrad_lab.answers.zeros import why_zero
from tinygrad_lab.engine.node import Node
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import user_site
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, TinygradLabError
from tinygrad_lab.graphs import variable_names
from tinygrad_lab.nn.module import Module
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = ["answer"]

_ABOUT: dict[str, Callable[[Node, Place], Answer]] = {
    "rule": rule_of,
    "order": order_of_sweep,
    "memory": kept_by,
    "broadcasting": broadcasting_in,
}
"""Questions about a value that was computed."""


def answer(what: Any, wrt: Any, about: str | None, frame: FrameType) -> Answer:
    """Answer the question that is asked by what is given."""
    if isinstance(what, TinygradLabError):
        return why_failed(what)
    if isinstance(what, Module):
        return health_of(what) if wrt is None else units_of(what, wrt)
    if isinstance(what, Optimizer):
        return updates_of(what)
    for one in (what, wrt):
        if not isinstance(one, Tensor) and (one is not None or one is what):
            raise ArgumentTypeError(
                f"tg.explain: expected a tensor, a module, an optimiser or an error, got "
                f"{type(one).__name__}."
            )
    place = Place(variable_names(frame), user_site(frame)[0])
    if about is not None:
        return _about(what, about, place)
    return _of_tensor(what, place) if wrt is None else _of_two(what, wrt, place)


def _about(x: Tensor, about: str, place: Place) -> Answer:
    if about not in _ABOUT:
        known = ", ".join(f'"{one}"' for one in _ABOUT)
        raise ArgumentError(f"tg.explain: about must be one of {known}, got {about!r}.")
    if x.node.op is None:
        raise ArgumentError(
            f"tg.explain: about={about!r} asks about a value that was computed, and "
            f"{label_of(x, place)} is a leaf."
        )
    return _ABOUT[about](x.node, place)


def _of_tensor(x: Tensor, place: Place) -> Answer:
    """Answer what a tensor by itself asks: why are it and its gradient as they are?"""
    label = label_of(x, place)
    if not is_finite(x._data):
        return where_it_began(x.node, place, label)
    if not x.is_leaf or x.grad is None:
        return why_none(x, place)
    grad = numpy_of(x.grad._data)
    if not np.isfinite(grad).all():
        using = [one for one in place.outputs if gradient_of(x, one, place) is not None]
        if using:
            return where_it_began(using[0], place, f"the gradient of {label}")
        why = "No variable here holds what was swept. Ask with the loss: tg.explain(loss, x)."
        return Answer(f"Where did the NaN in .grad of {label} begin?", "not known", [why])
    if getattr(x.grad, "_sweeps", 1) not in (0, 1) or (grad != 0).all():
        return sweeps_in(x, place)
    return why_zero(x, place)


def _of_two(f: Tensor, x: Tensor, place: Place) -> Answer:
    """Answer what ∂f/∂x is: its paths; or why there is none, or why it is 0 or not finite."""
    gradient = gradient_of(x, f.node, place)
    if gradient is None:
        return why_none(x, place, f.node)
    if not np.isfinite(gradient).all():
        return where_it_began(f.node, place, f"∂{label_of(f, place)}/∂{label_of(x, place)}")
    if not gradient.any():
        return why_zero(x, place, f.node)
    return paths_between(x, f.node, place)
