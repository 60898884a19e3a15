"""Circuits: ops as circles, values above their wires and gradients below them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.errors import ArgumentError
from tinygrad_lab.formatting import MINUS, number
from tinygrad_lab.show.forms import scene_of
from tinygrad_lab.show.wires import CircuitPlan

from .pictures import font_sizes, texts_of, texts_on_each_other

pytestmark = pytest.mark.numpy_only("the same pictures come of all arrays")


def neuron() -> Any:
    """The example of CS231n: a sigmoid neuron, written out."""
    values = {"w0": 2.0, "x0": -1.0, "w1": -3.0, "x1": -2.0, "w2": -3.0}
    w0, x0, w1, x1, w2 = (tg.scalar(value, name=name) for name, value in values.items())
    f = 1 / (1 + tg.exp(-(w0 * x0 + w1 * x1 + w2)))
    f.name = "f"
    f.backward()
    return f


def symbols(drawing: Any) -> list[str]:
    return [box.symbol for box in drawing.picture.boxes if box.symbol]


class TestTheSigmoidNeuronOfTheLecture:
    def test_has_a_circle_for_each_op_with_its_number_inside(self) -> None:
        drawing = tg.draw(neuron(), style="circuit")
        assert symbols(drawing) == ["×", "×", "+", "+", MINUS, "exp", "+1", "1/x"]
        leaves = [box.name for box in drawing.picture.boxes if not box.symbol]
        assert leaves == ["w0", "x0", "w1", "x1", "w2"]

    @pytest.mark.parametrize("local_derivatives", [True, False])
    def test_fits_a_slide_and_is_read_from_the_last_row(self, local_derivatives: bool) -> None:
        drawing = tg.draw(
            neuron(),
            style="circuit",
            width="16:9",
            title="A sigmoid neuron",
            local_derivatives=local_derivatives,
        )
        assert 'width="1600" height="900"' in drawing.svg
        assert min(font_sizes(drawing)) >= 15
        assert texts_on_each_other(drawing) == []

    def test_has_the_numbers_of_the_graph(self) -> None:
        f = neuron()
        drawing = tg.draw(f, style="circuit")
        written = texts_of(drawing, "node")
        for node in tg.graph(f):
            if f"n{node.index}" in written:
                expected = [number(node.value), number(node.gradient)]
                assert [text for text in written[f"n{node.index}"] if text in expected] == expected

    def test_shows_the_numbers_of_the_lecture(self) -> None:
        written = [
            text
            for texts in texts_of(tg.draw(neuron(), style="circuit"), "node").values()
            for text in texts
        ]
        expected = {"0.7311", "1.368", f"{MINUS}0.5344", "0.1966", "0.3932", f"{MINUS}0.5898"}
        assert expected <= set(written)

    def test_has_the_local_derivatives_on_its_wires(self) -> None:
        f = neuron()
        graph, drawing = tg.graph(f), tg.draw(f, style="circuit")
        pills = texts_of(drawing, "edge")
        for edge in graph.edges:
            key = f"n{edge.source.index}-n{edge.target.index}"
            if key in pills:
                assert pills[key] == [number(edge.local_derivative())]
        assert sum(map(len, pills.values())) == 12


class TestACircuit:
    def test_leaves_out_what_was_not_asked_for(self) -> None:
        options: dict[str, Any] = {"style": "circuit", "legend": False}
        plain = tg.draw(neuron(), **options, values=False, gradients=False, local_derivatives=False)
        texts = {
            text
            for role in ("node", "edge")
            for key in texts_of(plain, role).values()
            for text in key
        }
        assert texts == {"w0", "x0", "w1", "x1", "w2", "×", "+", MINUS, "exp", "+1", "1/x", "f"}

    def test_writes_a_dash_for_a_gradient_that_was_not_computed(self) -> None:
        x = tg.scalar(2.0, name="x")
        assert texts_of(tg.draw(x * x, style="circuit"), "node")["n0"] == ["x", "2", "–"]

    def test_has_two_wires_for_a_square(self) -> None:
        x = tg.scalar(3.0, name="x")
        drawing = tg.draw(x * x, style="circuit")
        assert [one.source for one in drawing.picture.arrows] == ["n0", "n0"]
        assert drawing.svg.count('class="edge"') == 2

    def test_writes_the_name_of_a_value_at_its_wire(self) -> None:
        x = tg.scalar(3.0, name="x")
        q = x + 1
        written = texts_of(tg.draw(tg.sin(q), style="circuit"), "node")
        assert written["n2"] == ["+1", "q = 4", "–"]

    @pytest.mark.parametrize(
        ("compute", "symbol"),
        [
            (lambda x: x + 1, "+1"),
            (lambda x: 1 + x, "+1"),
            (lambda x: x * -2.5, f"×{MINUS}2.5"),
            (lambda x: x - 1, f"x{MINUS}1"),
            (lambda x: 1 - x, f"1{MINUS}x"),
            (lambda x: x / 2, "x/2"),
            (lambda x: 2 / x, "2/x"),
            (lambda x: x**2, "x²"),
            (lambda x: tg.maximum(x, 0.0), "max(x, 0)"),
            (lambda x: -x, MINUS),
            (tg.sigmoid, "σ"),
        ],
    )
    def test_writes_a_number_of_the_code_into_the_circle(self, compute: Any, symbol: str) -> None:
        assert symbols(tg.draw(compute(tg.scalar(0.5)), style="circuit")) == [symbol]

    def test_keeps_numbers_without_any_other_input(self) -> None:
        with tg.record():
            y = tg.scalar(1.0, requires_grad=False, name=None) + tg.scalar(2.0, requires_grad=False)
        assert len(tg.draw(y, style="circuit").picture.boxes) == 3

    def test_has_inputs_from_top_to_bottom_in_their_order(self) -> None:
        a, b, c, d = (tg.scalar(float(n), name=f"x{n}") for n in range(1, 5))
        for f in (d / c - b / a, (a - b) / (c - d), d ** (c - a)):
            plan = CircuitPlan(tg.draw(f, style="circuit").picture)
            for node in tg.graph(f):
                heights = [plan.layout.centers[f"n{one.index}"][1] for _, one in node.inputs]
                assert heights == sorted(heights)

    def test_draws_short_arrays_in_full_and_others_by_their_shape(self) -> None:
        W = tg.tensor(np.ones((2, 3)), requires_grad=True, name="W")
        X = tg.tensor(np.ones((3, 40)), name="X")
        written = texts_of(tg.draw(W @ X, style="circuit"), "node")
        assert written["n0"].count("1") == 6
        assert written["n1"] == ["X", "3 × 40 · float64", "1 … 1"]

    def test_turns_with_the_direction_and_marks_what_is_highlighted(self) -> None:
        f = neuron()
        down = tg.draw(f, style="circuit", direction="tb", highlight=f)
        scene = scene_of(down.picture)
        assert scene.height > scene.width
        assert [box.symbol for box in down.picture.boxes if box.highlighted] == ["1/x"]
        assert "#f0c000" in down.svg
        assert texts_on_each_other(down) == []

    def test_has_names_of_the_font_size_that_was_asked_for(self) -> None:
        drawing = tg.draw(neuron(), style="circuit", font_size=30)
        assert max(font_sizes(drawing)) == 30
        with pytest.raises(ArgumentError, match="do not fit"):
            tg.draw(neuron(), style="circuit", font_size=30, width="16:9")

    def test_is_of_single_ops(self) -> None:
        with pytest.raises(ArgumentError, match='level="ops"'):
            tg.draw(nn.Linear(2, 2), tg.ones((1, 2)), style="circuit")
        with pytest.raises(ArgumentError, match='"boxes", "circuit"'):
            tg.draw(neuron(), style="round")  # type: ignore[arg-type]

    def test_draws_a_part(self) -> None:
        x = tg.scalar(1.0, name="x")
        a = tg.exp(x)
        b = tg.sin(a)
        part = tg.draw(tg.cos(b), style="circuit", part=(a, b))
        assert symbols(part) == ["exp", "sin"] or symbols(part) == ["sin"]


STEPS: dict[str, Any] = {
    "a+b": lambda a, b: a + b,
    "a-b": lambda a, b: a - b,
    "a×b": lambda a, b: a * b,
    "a²": lambda a, b: a**2,
    "1/(a²+1)": lambda a, b: 1 / (a * a + 1),
    "tanh": lambda a, b: tg.tanh(a),
    "a+2b": lambda a, b: a + b * 2,
}


@given(
    st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 4)), max_size=9),
    st.booleans(),
    st.sampled_from(["LR", "TB"]),
)
def test_no_texts_are_on_each_other(program: Any, swept: bool, direction: Any) -> None:
    values = [tg.scalar(float(n) / 3, name=name) for n, name in enumerate(["x", "weight", "b"])]
    for step, back in program:
        values.append(STEPS[step](values[-1], values[-min(back, len(values))]))
    last = values[-1] * 1.0
    if swept:
        last.backward()
    drawing = tg.draw(last, style="circuit", direction=direction)
    assert texts_on_each_other(drawing) == []
    assert len(drawing.picture.arrows) == drawing.svg.count('class="edge')
