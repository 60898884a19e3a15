"""summary: the layers of a net, with shapes, parameters, work and memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import inf, prod
from typing import Any

from tinygrad_lab import trees
from tinygrad_lab.context import changed, no_grad
from tinygrad_lab.engine.tensor import Tensor
from tinygrad_lab.errors import ArgumentTypeError
from tinygrad_lab.formatting import bytes_text, html_table
from tinygrad_lab.graphs import Graph, GraphNode, graph
from tinygrad_lab.nn import Module
from tinygrad_lab.train.looks.terminal import clipped, columns
from tinygrad_lab.train.looks.untouched import untouched

__all__ = ["LayerSummary", "Summary", "summary"]

_PRODUCTS = ("matmul", "vecdot")
"""The ops that multiply and add; every larger one is composed of them."""
_MOST_OF_KIND = 16
"""Characters of a class's name: the numbers beside it are never cut."""


@dataclass(frozen=True, slots=True)
class LayerSummary:
    """What one module does, without the modules inside of it."""

    path: str
    """Its names from the outermost module inwards; empty for the net itself."""
    kind: str
    """Its class."""
    shape: tuple[int, ...] | None
    """Of its output; None if it computed nothing of its own."""
    parameters: int
    multiply_adds: int
    """Products that are added up in matrix products, for the whole batch."""
    nbytes_kept: int
    """What backward keeps of it beside parameters; an array counts where it is kept first."""
    learns: bool
    """Whether a gradient reaches one of its parameters."""


@dataclass(frozen=True)
class Summary:
    """The layers of a net and their totals. ``print`` writes it; a notebook shows a table."""

    net: str
    """The class of the net."""
    shape: tuple[int, ...]
    """Of the input."""
    layers: tuple[LayerSummary, ...]
    nbytes_of_parameters: int

    @property
    def parameters(self) -> int:
        """The number of parameters; one that several modules share counts once."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def frozen(self) -> int:
        """How many parameters no gradient reaches."""
        return sum(layer.parameters for layer in self.layers if not layer.learns)

    @property
    def multiply_adds(self) -> int:
        return sum(layer.multiply_adds for layer in self.layers)

    @property
    def nbytes_kept(self) -> int:
        return sum(layer.nbytes_kept for layer in self.layers)

    def __str__(self) -> str:
        return "\n".join([columns(self._rows(), left=2), "", *self._notes()])

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        notes = "<br>".join(map(escape, self._notes()))
        return f"{html_table(self._rows())}\n<p>{notes}</p>"

    def _rows(self) -> list[Sequence[str]]:
        header = ("layer", "kind", "output", "parameters", "multiply-adds", "kept")
        total = ("total", "", "", *_numbers(self.parameters, self.multiply_adds, self.nbytes_kept))
        return [header, *map(_row, self.layers), total]

    def _notes(self) -> list[str]:
        frozen = f", {self.frozen:,} of them frozen" if self.frozen else ""
        return [
            f"{self.net} on an input of shape {self.shape}: {self.parameters:,} parameters{frozen}"
            f" ({bytes_text(self.nbytes_of_parameters)}).",
            "kept: what backward remembers, beside the parameters.",
        ]


def _row(layer: LayerSummary) -> tuple[str, ...]:
    shape = "" if layer.shape is None else str(layer.shape).replace(" ", "")
    numbers = _numbers(layer.parameters, layer.multiply_adds, layer.nbytes_kept)
    return (layer.path or "(the net)", clipped(layer.kind, _MOST_OF_KIND), shape, *numbers)


def _numbers(parameters: int, multiply_adds: int, nbytes: int) -> tuple[str, str, str]:
    size, work = (f"{count:,}" if count else "" for count in (parameters, multiply_adds))
    return size, work, bytes_text(nbytes) if nbytes else ""


def summary(model: Module, x: Any) -> Summary:
    """Return the layers of a net: output shapes, parameters, multiply-adds, bytes that are kept.

    The net runs three times on ``x``, as it is: in training mode or not, with its dropout and its
    batch norms. It is then as it was, buffers and random numbers, too. Multiply-adds are those of
    matrix products, inside of convolutions and recurrent layers, too; two floating-point
    operations each.

    Args:
        model: the net.
        x: an input, with its batch axis: a tensor, or a tuple of several arguments.

    Raises:
        ArgumentTypeError: for what is no module.

    Example:
        >>> import tinygrad_lab as tg
        >>> from tinygrad_lab import nn, train
        >>> net = nn.Sequential(nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 10))
        >>> print(train.summary(net, tg.ones((50, 40))))
        layer  kind      output  parameters  multiply-adds   kept
        0      Linear  (50,100)       4,100        200,000   8 kB
        1      ReLU    (50,100)                             20 kB
        2      Linear   (50,10)       1,010         50,000
        total                         5,110        250,000  28 kB
        <BLANKLINE>
        Sequential on an input of shape (50, 40): 5,110 parameters (20.4 kB).
        kept: what backward remembers, beside the parameters.
    """
    if not isinstance(model, Module):
        raise ArgumentTypeError(
            f"summary: expected a module and an input, summary(model, x); got a "
            f"{type(model).__name__} as the model."
        )
    inputs = x if isinstance(x, tuple) else (x,)
    # As in training, whatever block it is called in.
    ordinary = changed(grad_enabled=True, recording=False, composing=False, scope=None)
    with untouched(model), ordinary:
        kept = _bytes_kept(model, inputs)
        # Fused ops run as the small ones: their products are counted, whatever they are part of.
        with no_grad(), changed(recording=True, composing=True):
            run = _run(model, inputs)
        reached = _parameters_reached(model, inputs)
    layers = tuple(_layers(model, run, kept, reached))
    sizes = (one.size * one.dtype.itemsize for one in model.parameters())
    shape = next((tuple(one.shape) for one in trees.flatten(list(inputs))[0]), ())
    return Summary(type(model).__name__, shape, layers, sum(sizes))


def _layers(
    model: Module, run: Graph, kept: dict[str, int], reached: set[int]
) -> Iterator[LayerSummary]:
    """Yield the modules that have parameters or compute something, in the order they ran."""
    computing = {node.module for node in run if not node.is_leaf}
    # What a module returns was computed last, by itself or by a module inside of it.
    last = {path: node for node in run if not node.is_leaf for path in _outwards(node.module)}
    work, order = _multiply_adds(run), _first_runs(run)
    counted: set[int] = set()
    for path, module in sorted(model.named_modules(), key=lambda one: _place(one[0], order)):
        own = [p for _, p in module._own_parameters() if id(p) not in counted]
        counted |= {id(p) for p in own}
        if not own and path not in computing:
            continue
        yield LayerSummary(
            path=path,
            kind=type(module).__name__,
            shape=last[path].shape if path in last else None,
            parameters=sum(prod(p.shape) for p in own),
            multiply_adds=work.get(path, 0),
            nbytes_kept=kept.get(path, 0),
            learns=not own or any(id(p) in reached for p in own),
        )


def _run(model: Module, inputs: tuple[Any, ...]) -> Graph:
    """Return the graph of every tensor that the net returns."""
    outputs, _ = trees.flatten([model(*inputs)])
    return graph(*(one for one in outputs if isinstance(one, Tensor)))


def _first_runs(run: Graph) -> dict[str, int]:
    """Return when each module first computed something, itself or by a module inside of it."""
    first: dict[str, int] = {}
    for node in run:
        if not node.is_leaf:
            for path in _outwards(node.module):
                first.setdefault(path, node.index)
    return first


def _outwards(path: str) -> Iterator[str]:
    """Yield a path and those of the modules around it: ``"a.b"``, ``"a"``, ``""``."""
    yield path
    while path:
        path = path.rpartition(".")[0]
        yield path


def _place(path: str, first: dict[str, int]) -> tuple[float, ...]:
    """Return where a module stands: after the one around it, and before the one that ran next."""
    return tuple(first.get(one, inf) for one in reversed(list(_outwards(path))))


def _bytes_kept(model: Module, inputs: tuple[Any, ...]) -> dict[str, int]:
    """Return what backward keeps, by module, without what is a parameter's own memory."""
    run = _run(model, inputs)
    parameters = [one.data for one in model.parameters()]
    seen = {id(one if getattr(one, "base", None) is None else one.base) for one in parameters}
    found: dict[str, int] = {}
    for node in run:
        for kept in node.keeps:
            if kept.memory not in seen:
                seen.add(kept.memory)
                found[node.module] = found.get(node.module, 0) + kept.nbytes
    return found


def _multiply_adds(run: Graph) -> dict[str, int]:
    """Return the number of products that are added up in matrix products, by module."""
    found: dict[str, int] = {}
    for node in run:
        if node.op_name in _PRODUCTS:
            found[node.module] = found.get(node.module, 0) + _products(node)
    return found


def _products(node: GraphNode) -> int:
    left = node.inputs[0][1].shape
    if node.op_name == "matmul":
        return prod(node.shape) * left[-1]
    axis = int(node.attributes.get("axis", -1))
    return prod(node.shape) * left[axis]


def _parameters_reached(model: Module, inputs: tuple[Any, ...]) -> set[int]:
    """Return the ids of the parameters that a gradient of the output reaches."""
    run = _run(model, inputs)
    owners = {id(p.node): id(p) for p in model.parameters() if p.requires_grad}
    return {owners[id(leaf.node)] for leaf in run.leaves if id(leaf.node) in owners}
