"""Pictures of a graph, and formulas to make one from."""

from tinygrad_lab.show.draw import draw
from tinygrad_lab.show.drawing import Drawing
from tinygrad_lab.show.expression import parse
from tinygrad_lab.show.layout import renderer

__all__ = ["Drawing", "draw", "parse", "renderer"]
