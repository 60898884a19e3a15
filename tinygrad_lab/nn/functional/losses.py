"""Losses: how far an output is from its target."""

from __future__ import annotations

from typing import Any

from tinygrad_lab import ops
from tinygrad_lab.engine.declare import direct
from tinygrad_lab.engine.explain import in_full
from tinygrad_lab.engine.keywords import is_mean_loss
from tinygrad_lab.errors import ShapeError
from tinygrad_lab.ops import cross_entropy
from tinygrad_lab.ops.arguments.composed import composed

__all__ = ["cross_entropy", "mse_loss"]

_mean, _subtract = direct(ops.mean), direct(ops.subtract)


@composed()
def mse_loss(x: Any, target: Any) -> Any:
    """Return the mean of the squared differences.

    Raises:
        ShapeError: if the shapes differ: (N, 1) minus (N,) would broadcast to N² differences.
    """
    shapes = [tuple(getattr(one, "shape", ())) for one in (x, target)]
    if shapes[0] != shapes[1]:
        reason = f"expected x and target of the same shape, got {shapes[0]} and {shapes[1]}."
        raise ShapeError(in_full("mse_loss", reason, {"x": x, "target": target}, {}))
    return _mean_square(_subtract(x, target))


is_mean_loss("mse_loss", "(x - target) ** 2")


@composed(rounds_once=True)
def _mean_square(x: Any) -> Any:
    return _mean(x * x)
