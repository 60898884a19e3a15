"""The way back beside the way there: rules, results and aims are those of the sweep."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.formatting import MINUS, number
from tinygrad_lab.show.measure import Matrix
from tinygrad_lab.show.mirror import MirrorPlan
from tinygrad_lab.show.typeset import typeset_box

from .pictures import Rectangle, texts_on_each_other

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")

STEPS: dict[str, Any] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / (b * b + 1),
    "exp": lambda a, b: tg.exp(a * 0.1),
    "sin": lambda a, b: tg.sin(a),
    "neg": lambda a, b: -a,
}

programs = st.lists(
    st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 4)), min_size=1, max_size=7
)


def computed(program: Any) -> Any:
    values = [tg.scalar(0.7, name="x"), tg.scalar(-1.3, name="y"), tg.scalar(0.4, name="g")]
    for step, back in program:
        values.append(STEPS[step](values[-1], values[-min(back, len(values))]))
    out = values[-1] * 1.5
    out.backward()
    return out


def evaluated(rule: str, names: dict[str, float]) -> float:
    """Compute a rule as it is written."""
    text = rule.replace("×", "*").replace(MINUS, "-").replace("^", "**")
    words = re.sub(r"[^\W\d]\w*", lambda word: f"known({word[0]!r})", text)
    known = {"cos": math.cos, "sin": math.sin, "exp": math.exp, **names}.__getitem__
    return float(eval(words, {"known": known}))


@given(programs)
def test_each_rule_gives_the_number_beside_it_and_their_sums_the_gradients(program: Any) -> None:
    out = computed(program)
    graph, picture = tg.graph(out), tg.draw(out, backward=True).picture
    names: dict[str, float] = {}
    for box in picture.boxes:
        node = graph[min(box.indices)]
        names[box.name] = float(node.value)
        if node.requires_grad:
            names[f"d_{box.name}"] = float(node.gradient)
    shares: dict[str, float] = dict.fromkeys((box.key for box in picture.boxes), 0.0)
    for box in picture.boxes:
        if box.backward is None:
            continue
        for row, place in box.backward.backward_to:
            text = box.backward.rows[row]
            aim, sign, rule = text.label.split(" ", 2)
            source = next(b for b in picture.boxes if b.key == picture.arrows[place].source)
            assert aim == f"d_{source.name}"
            result = evaluated(rule, names)
            assert text.content == (number(result),)
            shares[source.key] += result
            assert sign in ("=", "+=")
    for box in picture.boxes:
        node = graph[min(box.indices)]
        if node.requires_grad and node not in graph.outputs:
            assert math.isclose(shares[box.key], float(node.gradient), rel_tol=1e-9, abs_tol=1e-12)


def rectangles(plan: MirrorPlan) -> list[Rectangle]:
    found = []
    for box in plan.picture.boxes:
        for one in filter(None, (box, box.backward)):
            (x, y), block = plan.layout.centers[box.key], typeset_box(one)
            side = 4.0 if one.kind == "backward" else -4.0
            if plan.horizontal:
                x, y = x - block.width / 2, y + side - (block.height if side < 0 else 0)
            else:
                x, y = x + side - (block.width if side < 0 else 0), y - block.height / 2
            found.append((x, y, x + block.width, y + block.height))
    return found


def points_of(line: Any) -> list[tuple[float, float]]:
    """Return points along the splines of a drawn line."""
    steps = [at for command, at in line.steps if command != "Z"]
    found, last = [], steps[0][0]
    for piece in steps[1:]:
        controls = np.array([last, *piece])
        for t in np.linspace(0, 1, 15):
            weights = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3]
            found.append(tuple(weights @ controls))
        last = piece[-1]
    return found


@given(programs, st.sampled_from(["LR", "TB"]))
def test_no_line_leads_under_a_box_and_no_texts_are_on_each_other(
    program: Any, direction: Any
) -> None:
    drawing = tg.draw(computed(program), backward=True, direction=direction)
    assert texts_on_each_other(drawing) == []
    plan = MirrorPlan(drawing.picture)
    boxes = rectangles(plan)
    for group in plan.arrows():
        for x, y in points_of(group.marks[0]):
            for a, b, c, d in boxes:
                assert not (a + 1 < x < c - 1 and b + 1 < y < d - 1), group.key


class TestTheAims:
    def test_are_what_grad_has(self) -> None:
        W = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="W")
        b = tg.tensor([0.5, -0.5], requires_grad=True, name="b")
        loss = tg.tanh(tg.tensor([[1.0, -1.0]]) @ W + b).sum()
        loss.backward()
        boxes = {box.name: box for box in tg.draw(loss, backward=True).picture.boxes}
        assert boxes["W"].backward.name == "d_W"
        for leaf in (W, b):
            rows = boxes[str(leaf.name)].backward.rows[0].content.rows
            expected = np.atleast_2d(leaf.grad.data)
            assert [[number(one, 3) for one in row] for row in expected] == [list(r) for r in rows]

    def test_stand_below_their_leaves_and_results_below_their_ops(self) -> None:
        plan = MirrorPlan(tg.draw(computed([("*", 2)]), backward=True).picture)
        found = rectangles(plan)
        for value, gradient in zip(found[::2], found[1::2], strict=False):
            if value[1] < gradient[1]:
                assert gradient[1] - value[3] == 8.0

    def test_have_an_arrow_back_for_each_arrow_that_flows(self) -> None:
        x = tg.scalar(3.0, name="x")
        drawing = tg.draw(x * x + 1, backward=True)
        assert drawing.svg.count('class="edge backward"') == 3
        assert drawing.svg.count('class="edge"') == 3

    def test_are_dashes_before_the_sweep(self) -> None:
        x = tg.scalar(3.0, name="x")
        box = tg.draw(x * x, backward=True).picture.boxes[1].backward
        assert [row.content for row in box.rows] == [("–",)] * 3
        assert [row.label for row in box.rows[1:]] == ["d_x += d_v₁ × x"] * 2

    def test_are_in_dot_sources_too(self) -> None:
        x = tg.scalar(3.0, name="x")
        source = tg.draw(tg.sin(x), backward=True).dot
        assert '"n1 back" -> "n0 back"' in source


def test_uses_too_many_to_draw_are_added_up() -> None:
    x = tg.tensor([2.0], requires_grad=True, name="x")
    total = tg.concat([x] * 8).sum()
    total.backward()
    rows = [row for box in tg.draw(total, backward=True).picture.boxes for row in box.backward.rows]
    assert [row.content for row in rows if row.label == "d_x += 8 uses"] == [Matrix((("8",),))]


def test_what_cannot_be_drawn_both_ways() -> None:
    x = tg.scalar(0.5, name="x")
    for _ in range(200):
        x = tg.sin(x)
    with pytest.raises(ArgumentError, match="201 nodes"):
        tg.draw(x, backward=True)
    with pytest.raises(ArgumentError, match='level="ops"'):
        tg.draw(nn.Linear(2, 2), tg.ones((1, 2)), backward=True)
    with pytest.raises(ArgumentError, match='level="ops"'):
        tg.draw(tg.sin(tg.scalar(1.0)), backward=True, style="circuit")
