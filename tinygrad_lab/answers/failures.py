"""Why an op could not be applied: the shapes side by side, and where each came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinygrad_lab.answers.answer import Answer, line_text
from tinygrad_lab.engine.node import Node
from tinygrad_lab.errors import TinygradLabError
from tinygrad_lab.formatting import printable
from tinygrad_lab.graphs import Graph, variable_names

__all__ = ["why_failed"]

Shape = tuple[int, ...]


def why_failed(error: TinygradLabError) -> Answer:
    """Say why an op failed, from the shapes of its inputs."""
    message = printable(str(error).split("\n", 1)[0])
    failure = error.failure
    if failure is None or not failure.inputs:
        return Answer(f"Why this {type(error).__name__}?", "not of an op", [message])
    names: dict[Node, str] = {}
    trace = error.__traceback__
    while trace is not None:
        names = {**variable_names(trace.tb_frame), **names}
        trace = trace.tb_next
    graph = Graph(list(dict.fromkeys(failure.inputs.values())), names)
    found = {one.node: one for one in graph}
    rows = [("input", "shape", "what it is", "made at")]
    for label, node in failure.inputs.items():
        one = found[node]
        what = one.label if one.is_leaf else f"{one.label}, by {one.op_name}"
        rows.append((label, str(one.shape), what, line_text(one.line)))
    shapes = {label: node.shape for label, node in failure.inputs.items()}
    cause, sentences, numbers = _of_shapes(failure.op_name, shapes)
    return Answer(
        f"Why did {failure.op_name} fail with a {type(error).__name__}?",
        cause,
        sentences or [message],
        failure.line,
        {"shapes": shapes, **numbers},
        rows,
        graph,
        graph.outputs,
    )


def _of_shapes(op: str, shapes: Mapping[str, Shape]) -> tuple[str, list[str], dict[str, object]]:
    """Return cause, sentences and numbers for shapes that do not match; no sentence if they do."""
    ordered = list(shapes.items())
    if op in ("matmul", "linear") and len(ordered) >= 2:
        return _of_product(op, ordered)
    if len(ordered) == 2 and (bad := _unequal(ordered[0][1], ordered[1][1])):
        (a, left), (b, right) = ordered
        pairs = ", ".join(f"axis -{k}: {left[-k]} and {right[-k]}" for k in bad)
        sentences = [
            f"Compared from the right, two sizes must be equal or one of them 1. {a} {left} and "
            f"{b} {right} differ at {pairs}."
        ]
        for label, one, other in ((a, left, right), (b, right, left)):
            for axis in range(-1, -len(one) - 2, -1):
                widened = (*one[: len(one) + 1 + axis], 1, *one[len(one) + 1 + axis :])
                if axis != -len(one) - 1 and not _unequal(widened, other):
                    sentences.append(
                        f"An axis more, tg.expand_dims({label}, axis={axis}), would make it "
                        f"{widened}, which fits."
                    )
                    break
        return "broadcast", sentences, {"axes": tuple(-k for k in bad)}
    return "arguments", [], {}


def _unequal(left: Shape, right: Shape) -> list[int]:
    """Return the axes, counted from the right, at which two shapes do not broadcast."""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return [k for k, (a, b) in enumerate(pairs, 1) if a != b and 1 not in (a, b)]


def _of_product(
    op: str, ordered: Sequence[tuple[str, Shape]]
) -> tuple[str, list[str], dict[str, object]]:
    (a, left), (b, right) = ordered[:2]
    if not left or not right:
        return "arguments", [], {}
    inner = right[-1] if op == "linear" or len(right) == 1 else right[-2]
    if left[-1] == inner:
        return "arguments", [], {}
    sentences = [
        f"A product adds up over the last axis of {a} and the "
        f"{'last' if op == 'linear' else 'first'} of the matrix {b}: {left[-1]} and {inner} must "
        "be equal."
    ]
    if op == "matmul" and len(right) == 2 and left[-1] == right[-1]:
        sentences.append(f"With {b}.T of shape {right[::-1]} it would fit.")
    if len(left) == 2 and left[0] == inner:
        sentences.append(f"With {a}.T of shape {left[::-1]} it would fit.")
    return "inner sizes", sentences, {"inner": (left[-1], inner)}
