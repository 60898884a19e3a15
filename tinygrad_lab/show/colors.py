"""Colours boxes by a number of each: the size of its gradient or value, memory, time.

Sizes of arrays are root mean squares. The scale is logarithmic: what vanishes or explodes does so
by factors. What is no number on it (NaN, infinite, exactly 0, dead, not known) has a look of its
own and says so in words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import ceil, floor, log10
from typing import Literal

import numpy as np

from tinygrad_lab.backends import Array, namespaces
from tinygrad_lab.formatting import bytes_text, number
from tinygrad_lab.graphs import Edge, Graph, GraphNode
from tinygrad_lab.show import style
from tinygrad_lab.show.picture import Box, Picture, Row, Scale, Special, Tint
from tinygrad_lab.show.timing import seconds_of, time_text

__all__ = ["COLORED_BY", "ColoredBy", "colored"]

ColoredBy = Literal["gradient", "value", "kept", "time"]
COLORED_BY: tuple[ColoredBy, ...] = ("gradient", "value", "kept", "time")

_LEAST_DECADES = 2
"""A shorter scale would make much of small differences."""


@dataclass(frozen=True)
class _Finding:
    """What is known of a box."""

    size: float
    """The number on the scale; NaN if there is none."""
    special: Special | None
    """What it is instead of a number on the scale."""
    words: tuple[str, ...]


@dataclass(frozen=True)
class _Measure:
    """A way to measure boxes."""

    title: str
    of: Callable[[list[GraphNode], Mapping[int, list[Edge]]], _Finding | None]
    """Returns what is found of the nodes in a box, given the edges into each; None: no colour."""
    text: Callable[[float], str]


def colored(picture: Picture, graph: Graph, by: ColoredBy) -> Picture:
    """Colour the boxes of a picture, and add the scale that explains the colours.

    Args:
        picture: a picture of the graph, at any level.
        graph: the graph.
        by: what is measured.
    """
    node_of = {node.index: node for node in graph}
    edges: dict[int, list[Edge]] = {}
    for edge in graph.edges:
        edges.setdefault(edge.target.index, []).append(edge)
    measure = _MEASURES[by]
    found = {
        box.key: measure.of([node_of[i] for i in sorted(box.indices)], edges)
        for box in picture.boxes
        if box.indices
    }
    known = [one for one in found.values() if one is not None]
    low, high = _decades([one.size for one in known if one.special is None])
    boxes = tuple(_tinted(box, found.get(box.key), low, high) for box in picture.boxes)
    scale = Scale(
        measure.title,
        tuple(measure.text(10.0**end) for end in (low, high)),
        tuple(one for one in style.SPECIAL if one in {finding.special for finding in known}),
    )
    return replace(picture, boxes=boxes, scale=scale)


def _decades(sizes: list[float]) -> tuple[int, int]:
    """Return the powers of ten between which sizes lie, at least two apart."""
    if not sizes:
        return -_LEAST_DECADES, 0
    low, high = floor(log10(min(sizes))), ceil(log10(max(sizes)))
    while high - low < _LEAST_DECADES:
        low, high = (low - 1, high) if (high - low) % 2 else (low, high + 1)
    return low, high


def _tinted(box: Box, found: _Finding | None, low: int, high: int) -> Box:
    if found is None:
        return replace(box, tint=Tint(style.PAPER, style.INK))
    if found.special is not None:
        tint = Tint(*style.SPECIAL[found.special])
    else:
        share = (log10(found.size) - low) / (high - low)
        fill = style.SCALE[min(int(share * len(style.SCALE)), len(style.SCALE) - 1)]
        tint = Tint(fill, style.ink_on(fill))
    row = Row("", found.words, known=found.special is None)
    return replace(box, tint=tint, rows=(*box.rows, row))


# --- sizes of arrays -----------------------------------------------------------------------------


def _gradient(nodes: list[GraphNode], edges: Mapping[int, list[Edge]]) -> _Finding | None:
    result = _result(nodes)
    if not result.requires_grad:
        return None
    found = _size_of(result.gradient, "gradient")
    if found.special is None and (dead := list(_dead(nodes, edges))):
        whole = any(passes_nothing for passes_nothing, _ in dead)
        words = (*found.words, *(text for _, text in dead))
        return replace(found, special="dead" if whole else None, words=words)
    return found


def _value(nodes: list[GraphNode], edges: Mapping[int, list[Edge]]) -> _Finding | None:
    result = _result(nodes)
    if result.op is not None and result.op.several_outputs:
        return None
    return _size_of(result.value, "value")


def _result(nodes: list[GraphNode]) -> GraphNode:
    """Return the last op of a box, or its leaf."""
    return [node for node in nodes if not node.is_leaf][-1] if _has_op(nodes) else nodes[-1]


def _has_op(nodes: list[GraphNode]) -> bool:
    return any(not node.is_leaf for node in nodes)


def _size_of(array: Array | None, what: str) -> _Finding:
    """Measure the root mean square of an array, and count what is no number in it."""
    if array is None:
        return _Finding(np.nan, "unknown", (f"{what} –",))
    numbers = np.asarray(namespaces[type(array)].to_numpy(array))
    data = np.abs(numbers).astype(np.float64).ravel()
    nan, infinite = int(np.isnan(data).sum()), int(np.isinf(data).sum())
    if nan or infinite:
        counts = [f"{nan:,} NaN"] * bool(nan) + [f"{infinite:,} ∞"] * bool(infinite)
        special: Special = "NaN" if nan else "∞"
        return _Finding(np.nan, special, (f"{what}: {' and '.join(counts)} of {data.size:,}",))
    largest = data.max(initial=0.0)
    if largest == 0:
        return _Finding(0.0, "zero", (f"{what} is 0" if data.size else f"{what} is empty",))
    size = float(largest * np.sqrt(np.mean((data / largest) ** 2)))  # neither over- nor underflows
    name = f"{what} size" if numbers.ndim else f"|{what}|"
    return _Finding(size, None, (f"{name} {number(size, 3)}",))


def _dead(nodes: list[GraphNode], edges: Mapping[int, list[Edge]]) -> Iterator[tuple[bool, str]]:
    """Yield the ops that pass no gradient back, in whole or in some units, and what to say."""
    for node in nodes:
        op, into = node.op, edges.get(node.index, [])
        if op is None or not op.elementwise or len(into) != 1 or not into[0].needs_gradient:
            continue
        derivative = into[0].local_derivative()
        if derivative is None:
            continue
        slopes = np.asarray(namespaces[type(derivative)].to_numpy(derivative))
        if not slopes.any():
            yield True, f"dead: {op.name} passes nothing back"
        elif slopes.ndim > 1:
            axes = tuple(axis for axis in range(slopes.ndim) if axis != 1)
            units = int((~slopes.any(axis=axes)).sum())
            if units:
                yield False, f"{units:,} of {slopes.shape[1]:,} units dead"


# --- memory and time -----------------------------------------------------------------------------


def _kept(nodes: list[GraphNode], edges: Mapping[int, list[Edge]]) -> _Finding | None:
    if not _has_op(nodes):
        return None
    count = sum(node.nbytes_kept for node in nodes)
    if not count:
        return _Finding(0.0, "zero", ("keeps nothing",))
    return _Finding(float(count), None, (f"keeps {bytes_text(count)}",))


def _time(nodes: list[GraphNode], edges: Mapping[int, list[Edge]]) -> _Finding | None:
    if not _has_op(nodes):
        return None
    seconds = [seconds_of(node) for node in nodes if not node.is_leaf]
    measured = [one for one in seconds if one is not None]
    if len(measured) < len(seconds) or not sum(measured):
        return _Finding(np.nan, "unknown", ("forward –",))
    total = sum(measured)
    return _Finding(total, None, (f"forward {time_text(total)}",))


_MEASURES: Mapping[ColoredBy, _Measure] = {
    "gradient": _Measure(
        "size of the gradient (root mean square)", _gradient, lambda size: number(size)
    ),
    "value": _Measure("size of the value (root mean square)", _value, lambda size: number(size)),
    "kept": _Measure("bytes kept for backward", _kept, bytes_text),
    "time": _Measure("time of the ops' forwards, each run again alone", _time, time_text),
}
