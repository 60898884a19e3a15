"""Trying something on a net, and leaving it as it was, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

from tinygrad_lab.nn import Module
from tinygrad_lab.random.generator import remembered_states

__all__ = ["untouched"]


@contextmanager
def untouched(model: Module) -> Iterator[None]:
    """Run a block that runs a net, and then put everything back, also after an error.

    That is parameters, buffers and their gradients, the mode of each module, and every generator
    that drew numbers.
    """
    tensors = list(dict.fromkeys([*model.parameters(), *model.buffers()]))
    before = [(one, deepcopy(one.data), one.grad) for one in tensors]
    modes = [(one, one.training) for one in model.modules()]
    with remembered_states() as drawn:
        try:
            yield
        finally:
            for one, value, grad in before:
                one.data, one.grad = value, grad
            for module, training in modes:
                module.training = training
            for source, its_state in drawn.items():
                source.set_state(its_state)
