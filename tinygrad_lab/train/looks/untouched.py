"""Trying something on a net, and leaving it as it was, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np

from tinygrad_lab.nn import Module
from tinygrad_lab.optim import Optimizer
from tinygrad_lab.random.generator import remembered_states

__all__ = ["evaluating", "untouched"]


@contextmanager
def untouched(model: Module, optimizer: Optimizer | None = None, data: Any = None) -> Iterator[None]:
    """Run a block that trains or runs a net, and then put everything back.

    That is parameters, buffers and their gradients, the mode of each module, the state and the
    settings of the optimiser, and every generator that drew numbers, that of a loader too. Also
    after an error, or Ctrl-C.
    """
    tensors = list(dict.fromkeys([*model.parameters(), *model.buffers()]))
    before = [(one, deepcopy(one.data), one.grad) for one in tensors]
    modes = [(one, one.training) for one in model.modules()]
    state = None if optimizer is None else optimizer.state_dict()
    generator = getattr(data, "generator", None)
    orders = generator if isinstance(generator, np.random.Generator) else None
    order = None if orders is None else deepcopy(orders.bit_generator.state)
    for one in tensors:
        one.grad = None  # what the user collected is not added to
    with remembered_states() as drawn:
        try:
            yield
        finally:
            for one, value, grad in before:
                one.data, one.grad = value, grad
            for module, training in modes:
                module.training = training
            if optimizer is not None and state is not None:
                optimizer.load_state_dict(state)
            for source, its_state in drawn.items():
                source.set_state(its_state)
            if orders is not None:
                orders.bit_generator.state = order


@contextmanager
def evaluating(model: Module) -> Iterator[None]:
    """Run a block with a net in evaluation mode; each module is then in the mode it was in."""
    modes = [(one, one.training) for one in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for one, training in modes:
            one.training = training
