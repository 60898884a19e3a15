"""Compiled steps: record a step once, write it as code, replay it; see ``step.py``."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_lab.compiler.step import CompiledStep

__all__ = ["compile"]


def compile(function: Callable[..., Any] | None = None, *, target: str = "numpy") -> Any:
    """Turn a training step, or any function of tensors, into straight-line code.

    The first two calls with arguments of a given kind run the function as it is and record every
    array operation: forward, backward, update. Later calls replay the recording, without graphs,
    without Tensors, in memory that is allocated once; the numbers are the same, bit for bit.
    Parameters, gradients, moments, step counts and generators advance as if the function had run,
    and optimiser settings are read at each call.

    Args:
        function: the step; without it, ``compile(target=...)`` is a decorator.
        target: ``"numpy"``; ``"numba"``, loops compiled to machine code (the extra ``fast``), whose
            results differ by a few ulp; or ``"python"``, for graphs of ``tg.scalar`` alone.

    Returns:
        A function with ``source``, its computation as readable NumPy code; ``optimized_source``,
        the code that runs; ``save(path)``, which writes a module that needs only NumPy;
        ``draw()``, a picture of it; and ``report()``, which shows where the time goes.

    Raises:
        CompileError: on a call, if the step reads numbers (``if loss > 1``, ``loss.item()``), which
            may differ from call to call; the message names the line.

    Example:
        >>> import tinygrad_lab as tg
        >>> w = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> optimizer = tg.optim.SGD([w], lr=0.5)
        >>> @tg.compile
        ... def step(x):
        ...     loss = (w * x).sum()
        ...     optimizer.zero_grad(); loss.backward(); optimizer.step()
        ...     return loss
        >>> x = tg.tensor([1.0, 1.0])
        >>> [step(x).item() for _ in range(4)]
        [3.0, 2.0, 1.0, 0.0]
    """
    from tinygrad_lab.compiler.step import CompiledStep

    def compiled(function: Callable[..., Any]) -> CompiledStep:
        return CompiledStep(function, target)

    return compiled if function is None else compiled(function)
