"""explain: say in words why a gradient is what it is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygrad_lab.answers.answer import Answer

__all__ = ["explain"]


def explain(what: Any, wrt: Any = None) -> Answer:
    """Say why: a cause, the numbers that show it, and the line of source.

    Args:
        what: a tensor.
        wrt: a tensor: ask for the gradient of ``what`` with respect to it.

    Returns:
        An ``Answer``: ``str()`` is for a terminal; ``cause``, ``line`` and ``numbers`` for a
        program; ``draw()`` gives a picture. Where no cause is known, it says so.

    Raises:
        ArgumentTypeError: for something that no question can be asked about.

    Example:
        >>> import tinygrad_lab as tg
        >>> x = tg.tensor([1.0, 2.0], requires_grad=True)
        >>> f = (x * x).sum()
        >>> tg.explain(x).cause
        'backward not run'
    """
    from tinygrad_lab.answers.ask import answer

    return answer(what, wrt, sys._getframe(1))
