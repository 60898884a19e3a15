"""explain: say in words why a gradient is what it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tinygrad_lab.answers.answer import Answer

__all__ = ["explain"]

About = Literal["rule", "order", "memory", "broadcasting"]


def explain(what: Any, wrt: Any = None, *, about: About | None = None) -> Answer:
    """Say why: a cause, the numbers that show it, and the line of source.

    Args:
        what: a tensor: why is its ``.grad`` None, 0, not finite, a sum? The error of an op: why did
            it fail? A module after ``backward()``: how do its gradients look, by layer? An
            optimiser: how large would its next step be?
        wrt: a tensor x: what is the gradient of ``what`` with respect to it, and by which paths?
            With a module, a batch or a loader: which units are dead or saturated?
        about: ask about a value that was computed: the ``"rule"`` of its op on the way back; the
            ``"order"`` in which its graph is swept; the ``"memory"`` that this graph keeps; what
            ``"broadcasting"`` did in it.

    Returns:
        An ``Answer``: ``str()`` is for a terminal; ``cause``, ``line`` and ``numbers`` for a
        program; ``draw()`` gives a picture. Where no cause is known, it says so.

    Raises:
        ArgumentTypeError: for something that no question can be asked about.
        ArgumentError: for an unknown ``about``; for a leaf, where it asks about an op.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> f = (x * x).sum()
        >>> tg.explain(x).cause
        'backward not run'
    """
    from tinygrad_lab.answers.ask import answer

    return answer(what, wrt, about, sys._getframe(1))
