"""draw: picture a computation."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar

from tinygrad_lab import trees
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, TinygradLabError
from tinygrad_lab.graphs import Graph, graph
from tinygrad_lab.nn.module import Module
from tinygrad_lab.show.of_errors import graph_before
from tinygrad_lab.show.style import THEMES, Theme

if TYPE_CHECKING:
    from tinygrad_lab.show.colors import ColoredBy
    from tinygrad_lab.show.drawing import Drawing
    from tinygrad_lab.show.picture import Direction, Form, Picture

__all__ = ["draw"]

Level = Literal["ops", "layers", "modules", "scalars"]
Choice = TypeVar("Choice", bound=str)

_MOST_OPS, _MOST_BOXES = 150, 60
_LONGEST_TITLE = 100
_LEGIBLE = 8.0
"""The size in pixels below which text on a page cannot be read."""

PAGES = {"16:9": (1600.0, 900.0), "a4": (1123.0, 794.0)}
"""Widths and heights in CSS pixels: a slide, and A4 at 96 dots per inch, landscape."""


def draw(
    *outputs: Any,
    level: Level = "ops",
    depth: int = 1,
    parameters: bool | None = None,
    width: str | float | None = None,
    title: str = "",
    theme: Theme = "light",
    font_size: float | None = None,
    direction: Direction = "LR",
    values: bool = True,
    gradients: bool = True,
    local_derivatives: bool = True,
    legend: bool = True,
    most: int | None = None,
    part: Any = None,
    highlight: Any = None,
    style: Form = "boxes",
    color: ColoredBy | None = None,
    backward: bool = False,
    **unknown: Never,
) -> Drawing:
    """Draw the graph that outputs were computed from.

    Each box shows a value: its name, its equation, its numbers and its gradient, or "not computed"
    if no backward sweep has reached it. Each edge along which a gradient flows shows the local
    derivative, or for larger arrays the rule that pulls a gradient ``g`` back. ``x * x`` has two
    edges, each with its own derivative. Frames enclose the parts of modules. A fused op is one box;
    ``draw(tg.graph(loss).opened())`` shows the small ops that it is composed of.

    A whole net is drawn by its modules: ``draw(model, x)``, or ``level="modules"``. The main path
    is a straight line, in rows if ``width`` asks for a page; skip connections lead over it; what
    repeats is drawn once, with ×n. A box says the sizes, the shape of its result, the number of
    parameters, and the bytes kept for backward.

    Args:
        outputs: tensors, containers of tensors, or one ``Graph``; or a module and its arguments,
            for which it is run; or the error of an op that failed, whose picture ends with it.
            Tensors without a name are named after the variable that holds them in the caller.
        level: ``"ops"``, each op with its numbers; ``"layers"``, the innermost modules with their
            parameters; ``"modules"``, calls of modules; ``"scalars"``, a small program run again
            on its single elements, each with its gradient. For a module: ``"modules"``.
        depth: at the level of modules, how many modules deep; containers do not count.
        parameters: whether parameters of modules have boxes; by default at ``"layers"`` alone.
        width: fit the picture on a page: ``"16:9"`` (1600 × 900), ``"a4"`` (1123 × 794,
            landscape), or a width in pixels. Text of less than 8 pixels is warned of.
        title: a heading above the picture.
        theme: ``"light"``, ``"dark"``, or ``"auto"``: SVG and HTML are then dark where their
            reader prefers that, and files of other kinds are light.
        font_size: of names, in pixels; numbers are a little smaller. 15 unless given, and on a page
            the largest that fits, up to 24.
        direction: ``"LR"`` from left to right, ``"TB"`` from top to bottom.
        values: whether to show the values.
        gradients: whether to show the gradients.
        local_derivatives: whether to show the local derivatives.
        legend: whether to explain the kinds of boxes below the graph.
        most: graphs with more nodes are folded to about this many boxes, 150 of ops or 60 of a net:
            calls of modules first, then the middle of the graph. The picture says so. More scalars
            than that, 400, are refused.
        part: draw only this: a module of the graph, its inside; or two tensors ``(a, b)``, all that
            leads from a to b, and the values that are used on the way.
        highlight: a tensor, a module, or a list of them, to mark with a halo.
        style: ``"boxes"``, or ``"circuit"``: ops as circles, values above their wires and gradients
            below them, as lectures draw small computations.
        color: colour the boxes, with a legend, by the size of their ``"gradient"`` or ``"value"``
            (root mean square, on a logarithmic scale), the bytes ``"kept"`` for backward, or the
            ``"time"`` of their forward, measured by running each op again alone (best of three). A
            module has the gradient and the value of its result. NaN, infinities, zero and dead ops,
            which pass no gradient back, are marked apart.
        backward: draw the way back, too: below each value its gradient, with the rule and the
            result for each input of its op, and arrows to the gradients of the leaves.

    Raises:
        ArgumentError: for an invalid option; for a module without arguments.
        ArgumentTypeError: for outputs that are not tensors; for an option that does not exist.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.show.draw import draw
        >>> x, y, z = tg.scalar(-2.0), tg.scalar(5.0), tg.scalar(-4.0)
        >>> f = (x + y) * z
        >>> f.backward()
        >>> draw(f)
        <Drawing of f: 5 boxes, 4 edges; .save("graph.svg")
        or .html, .pdf, .png, .tex, .dot>
    """
    from tinygrad_lab.show.circuit import as_circuit
    from tinygrad_lab.show.colors import COLORED_BY, colored
    from tinygrad_lab.show.drawing import Drawing
    from tinygrad_lab.show.failed import picture_of_error
    from tinygrad_lab.show.measure import shortened
    from tinygrad_lab.show.outline import outline_of
    from tinygrad_lab.show.parts import depth_inside
    from tinygrad_lab.show.picture import picture_of
    from tinygrad_lab.show.reverse import both_ways

    if unknown:
        raise _no_option(next(iter(unknown)))
    level = _level_of(level, outputs, style, depth, parameters)
    if backward and (level in ("layers", "modules") or style == "circuit"):
        raise ArgumentError('tg.draw: backward=True draws boxes of single ops, level="ops".')
    looks = _looks(theme, font_size)
    direction = _one_of("direction", str(direction).upper(), ("LR", "TB"))
    if color is not None:
        _one_of("color", color, COLORED_BY)
    if most is not None and most < 1:
        raise ArgumentError(f"most must be 1 or more boxes, got {most}.")
    numbers = {"values": values, "gradients": gradients, "local_derivatives": local_derivatives}
    drawn, marked, most = _selected(outputs, level, part, highlight, most)
    if outputs and isinstance(outputs[0], TinygradLabError):
        picture = picture_of_error(outputs[0], drawn, most=most or _MOST_OPS, **numbers)
    elif level in ("layers", "modules"):
        depth += depth_inside(drawn) if isinstance(part, Module) else 0
        picture = outline_of(
            drawn,
            depth=depth if level == "modules" else None,
            parameters=level == "layers" if parameters is None else parameters,
            most=most or _MOST_BOXES,
            repeats=color is None,  # what repeats has other numbers every time
        )
    else:
        picture = picture_of(drawn, most=most or _MOST_OPS, **numbers)
    picture = _highlighted(picture, marked)
    if color is not None:
        picture = colored(picture, drawn, color)
    if style == "circuit":
        picture = as_circuit(picture, drawn)
    if backward:
        picture = both_ways(picture, drawn)
    heading = shortened(title, _LONGEST_TITLE)
    drawing = Drawing(
        replace(
            picture,
            direction=direction,
            legend=legend,
            heading=heading,
            title=heading or picture.title,
            page=_page(width),
            **looks,
        )
    )
    if width is not None:
        _check_legible(drawing)
    return drawing


def _check_legible(drawing: Drawing) -> None:
    """Warn of a page on which text is too small; raise if ``font_size`` does not fit on it."""
    size = drawing.smallest_text
    if 0 < size < _LEGIBLE and drawing.picture.font_size is None:
        warnings.warn(
            f"tg.draw: text on this page is as small as {size:.1f} px. Fewer boxes leave more "
            'room: part=, a smaller most, level="modules"; or another direction, or a larger page.',
            stacklevel=3,
        )


def _level_of(
    level: Level, outputs: tuple[Any, ...], style: Form, depth: int, parameters: bool | None
) -> Level:
    """Check the options that not every level has; return the level, ``"modules"`` for a module."""
    _one_of("level", level, ("ops", "layers", "modules", "scalars"))
    _one_of("style", style, ("boxes", "circuit"))
    if level == "ops" and outputs and isinstance(outputs[0], Module):
        level = "modules"
    if level != "ops" and outputs and isinstance(outputs[0], TinygradLabError):
        raise ArgumentError('tg.draw: an error is drawn with single ops, level="ops".')
    if level in ("layers", "modules"):
        if style == "circuit":
            raise ArgumentError(
                'tg.draw: style="circuit" draws single ops, level="ops" or level="scalars".'
            )
        if depth < 1:
            raise ArgumentError(f"depth must be 1 or more modules, got {depth}.")
    elif parameters is not None or depth != 1:
        raise ArgumentError(
            "tg.draw: parameters and depth are for whole nets: add "
            'level="modules" or level="layers".'
        )
    return level


def _selected(
    outputs: tuple[Any, ...], level: Level, part: Any, highlight: Any, most: int | None
) -> tuple[Graph, Collection[int], int | None]:
    """Return the graph to draw, the indices of its nodes to highlight, and how many boxes."""
    from tinygrad_lab.show.parts import nodes_named, part_of
    from tinygrad_lab.show.scalars import MOST_SCALARS, scalars_of

    drawn = _graph_of(*outputs)
    if level == "scalars":
        drawn = drawn.opened()
    marked: Collection[int] = ()
    if highlight is not None:
        marked = nodes_named(drawn, highlight, "highlight")
    if part is not None:
        drawn = part_of(drawn, part)
        marked = _inside(drawn, marked)
    if level == "scalars":
        scalars = scalars_of(drawn, MOST_SCALARS if most is None else most)
        return scalars.graph, scalars.of(marked), len(scalars.graph)
    return drawn, marked, most


def _looks(theme: Theme, font_size: float | None) -> dict[str, Any]:
    """Check how a picture looks, and return the fields of ``Picture`` for it."""
    if font_size is not None and not 1 <= font_size <= 1000:
        raise ArgumentError(f"tg.draw: font_size must be from 1 to 1000 pixels, got {font_size!r}.")
    return {"theme": _one_of("theme", theme, THEMES), "font_size": font_size}


def _inside(part: Graph, marked: Collection[int]) -> frozenset[int]:
    """Return which of the nodes to highlight are in a part; raise if none is."""
    found = frozenset(node.index for node in part if node.index in marked)
    if marked and not found:
        raise ArgumentError(
            "tg.draw: nothing that highlight= names is in the part that is drawn: leave out part= "
            "or highlight=, or name what is in both."
        )
    return found


def _highlighted(picture: Picture, marked: Collection[int]) -> Picture:
    """Mark the boxes of nodes by their indices."""
    if not marked:
        return picture
    boxes = [replace(one, highlighted=not one.indices.isdisjoint(marked)) for one in picture.boxes]
    return replace(picture, boxes=tuple(boxes))


def _no_option(name: str) -> ArgumentTypeError:
    """Return the error for an option that does not exist: it lists those there are."""
    options = [
        one.name for one in signature(draw).parameters.values() if one.kind == one.KEYWORD_ONLY
    ]
    return ArgumentTypeError(
        f"tg.draw has no option {name!r}; the options are {', '.join(options)}."
    )


def _one_of(name: str, value: object, choices: tuple[Choice, ...]) -> Choice:
    """Return an option, or raise with those there are."""
    if value not in choices:
        known = ", ".join(f'"{one}"' for one in choices)
        raise ArgumentError(f"tg.draw: {name} must be one of {known}, got {value!r}.")
    return value


def _page(width: str | float | None) -> tuple[float, float] | None:
    """Return the width and height of a page; a width in pixels is that of a 16:9 page."""
    if width is None:
        return None
    if isinstance(width, str):
        return PAGES[_one_of("width", width.lower(), tuple(PAGES))]
    if not width >= 100:
        raise ArgumentError(f"tg.draw: width must be 100 pixels or more, got {width!r}.")
    return float(width), width * 9 / 16


def _graph_of(*outputs: Any) -> Graph:
    """Return the graph of tensors, a graph as it is, that of a module's call, or of an error."""
    if outputs and isinstance(outputs[0], TinygradLabError):
        return graph_before(outputs[0])
    if outputs and isinstance(outputs[0], Module):
        return _graph_of_call(*outputs)
    if len(outputs) == 1 and isinstance(outputs[0], Graph):
        return outputs[0]
    return graph(*outputs)


def _graph_of_call(model: Module, *args: Any) -> Graph:
    """Run a module, and return the graph of what it returns, with its arguments' names."""
    if not args:
        raise ArgumentError(
            f"tg.draw: a {type(model).__name__} is drawn with what it is called on: "
            "tg.draw(model, x)."
        )
    out = model(*args)
    names: dict[Any, str] = {}
    for name, value in signature(model.forward).bind(*args).arguments.items():
        for leaf in trees.flatten(value, open_modules=False)[0]:
            if isinstance(leaf, Tensor):
                names.setdefault(leaf.node, name)
    tensors = [one for one in trees.flatten(out)[0] if isinstance(one, Tensor)]
    return Graph([one.node for one in tensors], names)
