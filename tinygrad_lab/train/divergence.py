"""Why a training diverged: the first op that made NaN or infinity, forward or backward."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from tinygrad_lab.engine.debugger import debug
from tinygrad_lab.errors import NonFiniteError
from tinygrad_lab.nn import Module

__all__ = ["first_not_finite"]


def first_not_finite(
    model: Module, updates: Iterator[object], batches: Iterator[Any], data: Any, last: int
) -> str | None:
    """Repeat a training whose loss was not finite at step ``last``, and return what made it so.

    ``updates`` trains ``model`` from its start, one of ``batches`` of ``data`` at a time. Every op
    of the last two steps is checked: what a loss shows first may have been made by the gradients
    of the step before. None if nothing was found.
    """
    before = max(0, last - 2)
    for _ in islice(updates, before):
        pass
    for number, (x, *_) in enumerate(islice(batches, before, last), start=before + 1):
        if not np.isfinite(x).all():
            return f"at step {number} {_place_in(data, x)}"
        try:
            with debug():
                next(updates)
        except NonFiniteError as error:
            return f"at step {number} {error}"
        for name, parameter in model.named_parameters():
            if not np.isfinite(parameter.detach().to("cpu").numpy()).all():
                return f"the update of step {number} made {name} not finite"
    return None


def _place_in(data: Any, x: Any) -> str:
    """Name the first element of a batch that is not finite by its place in the data."""
    row, *element = map(int, np.argwhere(~np.isfinite(x))[0])
    sample = next(i for i, one in enumerate(data) if one.tobytes() == x[row].tobytes())
    return f"the data had {x[row][tuple(element)]} in sample {sample} at {element}"
