"""derive: the chain rule in symbols, from an output back to a leaf, each line evaluated."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_lab.show.derivation.derivation import Derivation

__all__ = ["derive"]


def derive(output: Any, wrt: Any) -> Derivation:
    """Derive the gradient of an output with respect to one tensor, step by step, in symbols.

    Each step has a number, the gradient that it arrives at, the rules that led to it, and the shape
    below each factor. Each is also computed with NumPy from the values of the graph, and compared
    with the engine's gradient: ``derivation.largest_difference``. An op whose rule has no notation
    is not left out: its line says what the rule does, and that the engine computed it.

    ``str()`` and notebooks show it; ``.latex`` and ``.mathml`` are all steps for papers and pages.

    Args:
        output: a tensor of one element, of floating numbers.
        wrt: a tensor that it was computed from, and that a gradient flows to.

    Raises:
        ArgumentTypeError: for what is not a tensor.
        GradientError: for an output of several elements, or a tensor that no gradient reaches.
        DTypeError: if a gradient flows through complex numbers.
        GraphFreedError: if ``backward(free=True)`` dropped what rules need.

    Source: Goodfellow, Bengio & Courville, "Deep Learning", 2016, section 6.5.

    Example:
        >>> import tinygrad_lab as tg
        >>> x, y, z = tg.scalar(-2.0), tg.scalar(5.0), tg.scalar(-4.0)
        >>> f = (x + y) * z
        >>> print(tg.derive(f, wrt=x))
        Derivation of ∂f/∂x
          f = (x + y) z
        1. product rule; sum rule
           ∂f/∂x = z
                 = \N{MINUS SIGN}4
        1 line computed with NumPy; largest difference to the engine's gradients: 0
    """
    from tinygrad_lab.graphs import variable_names
    from tinygrad_lab.show.derivation.derivation import derivation_of

    return derivation_of(output, wrt, variable_names(sys._getframe(1)))
