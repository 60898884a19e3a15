"""Whose memory an array lives in: gradients are handed to users in memory of their own."""

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
    """The one array in ``holder``, as writable memory that nobody else has.

    An array that only ``holder`` refers to is handed on as it is. All others are copied: rules
    pass arrays through (that of a sum gives one gradient to both its inputs).
    """
    array = holder[0]
    xp = namespaces[array.__class__]
    if xp.name == "python":
        return array
    del array
    alone = (
        _references(holder) == _HELD_BY_ONE
        and not isinstance(holder[0], np.generic)
        # The standard has no way to ask whose memory it is: without an answer it is copied.
        and getattr(holder[0], "base", holder) is None
        and holder[0].flags.owndata
    )
    return holder[0] if alone else xp.asarray(holder[0])
