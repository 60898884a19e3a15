"""Reductions of float16 in compiled steps: what is eager, in the same bits and the same dtype."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg

X = np.array([0.5, -2.0, 3.0, 0.25], dtype=np.float16)
LARGE = np.full(512, 300.0, dtype=np.float16)
"""A sum of these overflows float16, but not their mean."""

REDUCTIONS: dict[str, Callable[[Any], Any]] = {
    **{
        name: getattr(tg, name)
        for name in (
            *("sum", "mean", "max", "min", "prod", "var", "std", "norm", "vector_norm"),
            *("softmax", "log_softmax", "logsumexp", "cumulative_sum", "cumulative_prod"),
        )
    },
    "norm of order 3": lambda x: tg.vector_norm(x, ord=3),
    "sum of a sum": lambda x: tg.sum(tg.sum(x)),
    "mean of a sum": lambda x: tg.mean(tg.sum(x)),
    "product of a sum": lambda x: tg.prod(tg.sum(x)),
    "norm of a sum": lambda x: tg.vector_norm(tg.sum(x)),
    "sum of an element": lambda x: tg.sum(x[0] * x[1]),
    "sum of float32": lambda x: tg.sum(x.astype(tg.float32), dtype=tg.float16),
    "x @ x": lambda x: x @ x,
}


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("data", [X, LARGE], ids=["small", "large"])
@pytest.mark.parametrize("slope", [False, True], ids=["value", "gradient"])
def test_compiled_is_eager(name: str, data: Any, slope: bool) -> None:
    reduce = REDUCTIONS[name]
    step = tg.grad(lambda x: tg.sum(reduce(x))) if slope else reduce
    compiled = tg.compile(lambda x: step(x))
    with np.errstate(all="ignore"):
        for factor in (1, 0.5):
            x = tg.tensor((data * factor).astype(np.float16))
            eager, replayed = step(x), compiled(x)
            assert replayed.dtype == eager.dtype
            assert replayed.numpy().tobytes() == eager.numpy().tobytes()
