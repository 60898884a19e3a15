"""Which question is asked, from what is given and how it is."""

from __future__ import annotations

from types import FrameType
from typing import Any

from tinygrad_lab.answers.answer import Answer, Place
from tinygrad_lab.answers.missing import why_none
from tinygrad_lab.answers.zeros import why_zero
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.engine.user_code import user_site
from tinygrad_lab.errors import ArgumentTypeError
from tinygrad_lab.graphs import variable_names

__all__ = ["answer"]


def answer(what: Any, wrt: Any, frame: FrameType) -> Answer:
    """Answer the question that is asked by what is given."""
    place = Place(variable_names(frame), user_site(frame)[0])
    if not isinstance(what, Tensor):
        raise ArgumentTypeError(f"tg.explain: expected a tensor, got {type(what).__name__}.")
    if wrt is None:
        return _of_tensor(what, place)
    if not isinstance(wrt, Tensor):
        raise ArgumentTypeError(f"tg.explain: expected a tensor, got {type(wrt).__name__}.")
    if wrt.is_leaf and wrt.grad is None:
        return why_none(wrt, place, what.node)
    return why_zero(wrt, place, what.node)


def _of_tensor(x: Tensor, place: Place) -> Answer:
    """Answer what a tensor by itself asks: why is its gradient as it is?"""
    if not x.is_leaf:
        return why_none(x, place)
    grad = x.grad
    if grad is None:
        return why_none(x, place)
    return why_zero(x, place)
