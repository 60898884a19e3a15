"""Which plan lays out a picture: boxes, alone or with their gradients', or a circuit."""

from __future__ import annotations

from collections.abc import Mapping

from tinygrad_lab.show.compose import Plan, compose
from tinygrad_lab.show.marks import Scene
from tinygrad_lab.show.mirror import MirrorPlan
from tinygrad_lab.show.picture import Form, Picture
from tinygrad_lab.show.wires import CircuitPlan

__all__ = ["scene_of"]

_PLANS: Mapping[Form, type[Plan]] = {
    "boxes": Plan,
    "circuit": CircuitPlan,
    "both ways": MirrorPlan,
}


def scene_of(picture: Picture) -> Scene:
    """Lay out a picture in its form and draw it."""
    return compose(picture, _PLANS[picture.form](picture))
