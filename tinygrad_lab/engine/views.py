"""Views of leaves: what must not be changed in place as if it were the leaf.

In PyTorch ``row -= 1`` changes the matrix that ``row`` is a view of. Here arrays are never written
to, so it would change ``row`` alone, silently. Under ``no_grad``, where ``x -= y`` means to change
x, it is an error for what iteration, an index, ``detach()`` and the like gave of a leaf that
requires a gradient.
"""

from __future__ import annotations

import dis
from types import CodeType
from typing import Any

from tinygrad_lab.engine.node import Leaf
from tinygrad_lab.engine.user_code import line_of, user_site
from tinygrad_lab.errors import GradientError

__all__ = ["as_view", "refuse_view"]


def as_view(view: Any, x: Any) -> Any:
    """Return a constant, marked as a view of x if x is a leaf that requires a gradient.

    What views a view is a view, too.
    """
    if view._node is None:
        if x._node.__class__ is Leaf:
            # Weakly, through the leaf's own reference: a view keeps neither leaf nor tensor alive.
            view._viewed = x._node.owner
        elif hasattr(x, "_viewed"):
            view._viewed = x._viewed
    return view


def refuse_view(view: Any, change: str, instead: str) -> None:
    """Raise a ``GradientError`` for a change of a view, which would leave the leaf as it is.

    ``w[0] -= y`` is not refused: Python stores the result in ``w``.

    Args:
        view: a Tensor that is marked as a view.
        change: how it is to be changed: ``"x -= y"``.
        instead: how a new tensor is computed: ``"z = x - y"``.
    """
    code, offset = user_site()
    if not change.startswith("x[") and code is not None and _stores_an_item(code, offset):
        return
    name = getattr(view._viewed(), "name", None) or "w"
    if not name.isidentifier():
        name = "w"
    raise GradientError(
        f"under no_grad, {change} would change x alone, and not the tensor that x was taken of, "
        f"a leaf that requires a gradient: call that {name}. To change {name}:\n"
        f"    {name}[i] = y      # or {name}[i] -= y\n"
        f"    {name}.data = {name}.at[i].set(y)\n"
        f"To compute a new tensor: {instead}\n  at {line_of(code, offset)}"
    )


def _stores_an_item(code: CodeType, offset: int) -> bool:
    """Return whether what the instruction at an offset computes is stored as ``x[i]``."""
    for instruction in dis.get_instructions(code):
        if instruction.offset > offset and instruction.opname.startswith("STORE"):
            return instruction.opname == "STORE_SUBSCR"
    return False
