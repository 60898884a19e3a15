"""draw: picture a computation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.graphs import Graph, graph

if TYPE_CHECKING:
    from tinygrad_lab.show.drawing import Drawing
    from tinygrad_lab.show.picture import Direction

__all__ = ["draw"]


def draw(
    *outputs: Any,
    direction: Direction = "LR",
    values: bool = True,
    gradients: bool = True,
    local_derivatives: bool = True,
    legend: bool = True,
    most: int = 150,
) -> Drawing:
    """Draw the graph that outputs were computed from.

    Each box shows a value: its name, its equation, its numbers and its gradient, or "not computed"
    if no backward sweep has reached it. Each edge along which a gradient flows shows the local
    derivative, or for larger arrays the rule that pulls a gradient ``g`` back. ``x * x`` has two
    edges, each with its own derivative. Frames enclose the parts of modules. A fused op is one box;
    ``draw(tg.graph(loss).opened())`` shows the small ops that it is composed of.

    Args:
        outputs: tensors, containers of tensors, or one ``Graph``. Tensors without a name are named
            after the variable that holds them in the caller.
        direction: ``"LR"`` from left to right, ``"TB"`` from top to bottom.
        values: whether to show the values.
        gradients: whether to show the gradients.
        local_derivatives: whether to show the local derivatives.
        legend: whether to explain the kinds of boxes below the graph.
        most: graphs with more nodes are folded to about this many boxes: calls of modules first,
            then the middle of the graph. The picture says so.

    Raises:
        ArgumentError: for an invalid direction or limit.
        ArgumentTypeError: for outputs that are not tensors.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab.show.draw import draw
        >>> x, y, z = tg.scalar(-2.0), tg.scalar(5.0), tg.scalar(-4.0)
        >>> f = (x + y) * z
        >>> f.backward()
        >>> draw(f)
        <Drawing of f: 5 boxes, 4 edges; .save("graph.svg") or .pdf, .png, .dot>
    """
    from tinygrad_lab.show.drawing import Drawing
    from tinygrad_lab.show.picture import picture_of

    if direction not in ("LR", "TB"):
        raise ArgumentError(f'direction must be "LR" or "TB", got {direction!r}.')
    if most < 1:
        raise ArgumentError(f"most must be 1 or more boxes, got {most}.")
    given = len(outputs) == 1 and isinstance(outputs[0], Graph)
    picture = picture_of(
        outputs[0] if given else graph(*outputs),
        direction=direction,
        values=values,
        gradients=gradients,
        local_derivatives=local_derivatives,
        legend=legend,
        most=most,
    )
    return Drawing(picture)
