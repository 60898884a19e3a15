"""Pictures of a graph, and formulas to make one from.

What takes time to import is imported when it is first used, so that ``import tinygrad_lab``
does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tinygrad_lab.show.draw import draw

if TYPE_CHECKING:
    from tinygrad_lab.show.drawing import Drawing
    from tinygrad_lab.show.expression import parse
    from tinygrad_lab.show.layout import renderer

__all__ = ["Drawing", "draw", "parse", "renderer"]

_HOMES = {"Drawing": "drawing", "parse": "expression", "renderer": "layout"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
