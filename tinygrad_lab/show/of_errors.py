"""``.graph`` and ``.draw()`` of errors: the graph up to the op that failed.

They are attached here, as the errors stand below all rooms and know nothing of graphs. What draws
them, ``failed.py``, is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_lab.errors import ArgumentError, TinygradLabError
from tinygrad_lab.graphs import Graph, variable_names

if TYPE_CHECKING:
    from tinygrad_lab.show.drawing import Drawing

__all__ = ["attach", "graph_before", "graph_of_error"]


def attach(draw: Callable[..., Drawing]) -> None:
    """Give errors their graph and, by ``tg.draw``, their picture."""

    def draw_error(self: TinygradLabError, **options: Any) -> Drawing:
        """Draw what ran before the error, and the op that failed with the shapes of its inputs.

        Takes the options of ``tg.draw`` for a picture of ops.
        """
        return draw(self, **options)

    TinygradLabError.graph = property(graph_of_error)  # type: ignore[assignment, method-assign]
    TinygradLabError.draw = draw_error  # type: ignore[method-assign]


def graph_of_error(error: TinygradLabError) -> Graph | None:
    """Return the graph up to the op that failed; None for an error that is not of an op.

    Its outputs are the inputs of that op. Tensors without a name are named after the variables of
    the function that failed, and of those that called it.
    """
    if error.failure is None or not error.failure.inputs:
        return None
    names: dict[Any, str] = {}
    trace = error.__traceback__
    while trace is not None:
        names = {**variable_names(trace.tb_frame), **names}
        trace = trace.tb_next
    return Graph(list(dict.fromkeys(error.failure.inputs.values())), names)


def graph_before(error: TinygradLabError) -> Graph:
    """Return the graph up to the op that failed, to draw it.

    Raises:
        ArgumentError: for an error that is not of an op.
    """
    graph = graph_of_error(error)
    if graph is None:
        raise ArgumentError(
            f"tg.draw: this {type(error).__name__} is not that of an op, so that there is no graph "
            f"to draw: {error}"
        )
    return graph
