"""Ownership of memory: users get gradients in memory that nothing else shares."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tinygrad_lab.backends import Array, namespaces

__all__ = ["owned"]


def _references(holder: list[Any]) -> int:
    return sys.getrefcount(holder[0])


_HELD_BY_ONE = _references([object()])


def owned(holder: list[Array]) -> Array:
    """Return the one array in ``holder`` as writable memory that nothing else references.

    An array that only ``holder`` references is returned as it is. All others are copied, because
    rules pass arrays through (the rule of a sum gives the same gradient to both inputs).
    """
    kind = holder[0].__class__
    if kind is np.ndarray:
        own = holder[0].base is None and holder[0].flags.owndata
    elif namespaces[kind].name == "python":
        return holder[0]
    else:
        # The standard cannot tell who owns the memory, so it is copied.
        own = (
            not isinstance(holder[0], np.generic)
            and getattr(holder[0], "base", holder) is None
            and holder[0].flags.owndata
        )
    if own and _references(holder) == _HELD_BY_ONE:
        return holder[0]
    return namespaces[kind].asarray(holder[0])
