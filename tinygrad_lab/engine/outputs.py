"""Ops with several outputs: each output is a node of its own, computed from the op's node."""

from __future__ import annotations

from tinygrad_lab.engine.pending import Cotangents
from tinygrad_lab.engine.signatures import read_declaration

__all__ = ["output"]

output = read_declaration(
    "output",
    # Not run by ``apply``, which has the outputs already: it only makes the nodes.
    forward=lambda xp, x, *, position, count: x[position],
    vjp={"x": lambda xp, g, position, count: Cotangents(count, {position: g})},
    words={"x": "g as part {position}"},
    latex="{x}_{{{position}}}",
)
"""Takes one of the outputs of another op."""
