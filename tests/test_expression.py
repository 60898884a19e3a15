"""Formulas are arithmetic and nothing else: the same numbers as Python's, or a clear error."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tg
from tinygrad_lab.errors import ExpressionError
from tinygrad_lab.show.expression import FUNCTIONS, parse

unhurried = settings(deadline=None, max_examples=200)

PYTHON: dict[str, Callable[..., float]] = {
    "exp": math.exp,
    "log": math.log,
    "sqrt": math.sqrt,
    "sin": math.sin,
    "cos": math.cos,
    "tanh": math.tanh,
    "sigmoid": lambda x: 1 / (1 + math.exp(-x)),
    "relu": lambda x: max(x, 0.0),
    "abs": abs,
    "max": max,
    "min": min,
}
"""What the functions of a formula mean, by Python's own."""

VALUES = {"x": 1.5, "y": -0.75, "z": 2.0}


def by_python(formula: str) -> float | None:
    """What Python makes of a formula; None where it raises or leaves the real numbers."""
    try:
        formula = " ".join(formula.split())  # any white space is a space
        value = eval(formula, {"__builtins__": {}}, {**PYTHON, **VALUES})  # the test's own grammar
    except (ArithmeticError, ValueError, TypeError):
        return None
    return float(value) if isinstance(value, float | int) and math.isfinite(value) else None


NUMPY: dict[str, Callable[..., Any]] = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0.0),
    "max": np.maximum,
    "min": np.minimum,
}


def by_ieee_754(formula: str) -> float:
    """Evaluate a formula in NumPy's float64, which has a value where Python raises."""
    numbers = re.sub(
        r"(?<![\w.])(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?", r"F(\g<0>)", " ".join(formula.split())
    )
    functions = {name: NUMPY.get(name) or getattr(np, name) for name in FUNCTIONS}
    values = {name: np.float64(value) for name, value in VALUES.items()}
    with np.errstate(all="ignore"):
        return float(eval(numbers, {"__builtins__": {}}, {**functions, **values, "F": np.float64}))


def expected_of(formula: str) -> Any:
    """Return Python's value, and that of IEEE 754 where Python raises or leaves the reals."""
    value = by_python(formula)
    value = by_ieee_754(formula) if value is None else value
    return pytest.approx(value, rel=1e-9, abs=1e-12, nan_ok=True)


def used(formula: str) -> dict[str, float]:
    """Return the values that a formula asks for."""
    names = re.findall(r"[a-z]+", formula)
    return {name: value for name, value in VALUES.items() if name in names}


# --- what is understood ---------------------------------------------------------------------------


def test_the_formula_of_the_first_lesson() -> None:
    f = parse("f = (x + y) * z", {"x": -2, "y": 5, "z": -4})
    f.backward()
    graph = tg.graph(f)
    assert f.item() == -12.0
    assert [(node.name, node.op_name) for node in graph] == [
        ("x", "leaf"),
        ("y", "leaf"),
        ("z", "leaf"),
        (None, "add"),
        ("f", "multiply"),
    ]
    assert [graph[name].gradient for name in "xyz"] == [-4.0, -4.0, 3.0]


def test_a_name_is_one_leaf_wherever_it_stands() -> None:
    f = parse("x * x + x", {"x": 3.0})
    assert [node.name for node in tg.graph(f).leaves] == ["x"]
    f.backward()
    assert tg.graph(f)["x"].gradient == 7.0


def test_numbers_are_constants() -> None:
    f = parse("2 * x ** 3", {"x": 2.0})
    leaves = {node.label: node.requires_grad for node in tg.graph(f).leaves}
    assert leaves == {"2": False, "x": True, "3": False}


def test_sums_of_constants_are_steps_too() -> None:
    operations = [node.op_name for node in tg.graph(parse("(2 + 3) * x", {"x": 1.0}))]
    assert operations == ["leaf", "constant", "constant", "add", "multiply"]


@pytest.mark.parametrize("formula", ["f = x", "f = 2"])
def test_a_result_that_is_no_operation_still_gets_its_name(formula: str) -> None:
    f = parse(formula, {"x": 2.0} if "x" in formula else {})
    assert (f.name, f.item()) == ("f", 2.0)
    if "x" in formula:
        assert [node.name for node in tg.graph(f)] == ["x", "f"]


def test_a_formula_without_a_name_has_none() -> None:
    assert parse("x + 1", {"x": 1.0}).name is None
    assert parse("x", {"x": 1.0}).name == "x"


@pytest.mark.parametrize("name", ["θ", "x_1", "Länge", "_", "名"])
def test_names_may_be_in_any_script(name: str) -> None:
    assert parse(f"2 * {name}", {name: 4.0}).item() == 8.0


@pytest.mark.parametrize(
    ("formula", "value"),
    [
        ("-2 ** 2", -4.0),
        ("2 ** 3 ** 2", 512.0),
        ("1 - 2 - 3", -4.0),
        ("12 / 3 / 2", 2.0),
        ("+-+2", -2.0),
        (" ( 1 +\n 2 ) ", 3.0),
        ("1e3 + .5 + 1_000", 2000.5),
        ("max(1, min(3, 2))", 2.0),
    ],
)
def test_what_binds_how(formula: str, value: float) -> None:
    assert parse(formula, {}).item() == value


@pytest.mark.parametrize(
    ("formula", "value"), [("1 / 0", math.inf), ("-1 / 0", -math.inf), ("10.0 ** 999", math.inf)]
)
def test_results_follow_ieee(formula: str, value: float) -> None:
    assert parse(formula, {}).item() == value


@pytest.mark.parametrize("formula", ["(-8) ** 0.5", "log(-1)", "0 / 0", "sqrt(-x)"])
def test_results_that_are_no_number(formula: str) -> None:
    assert math.isnan(parse(formula, {"x": 2.0} if "x" in formula else {}).item())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    function, count = FUNCTIONS[name]
    formula = f"{name}({', '.join('xy'[:count])})"
    values = {"x": 0.8, "y": -1.2}
    f = parse(formula, dict(list(values.items())[:count]))
    assert f.item() == pytest.approx(PYTHON[name](*list(values.values())[:count]))
    assert tg.graph(f).outputs[0].op_name == function.__name__


# --- against Python -------------------------------------------------------------------------------

names = st.sampled_from(list(VALUES))
numbers = st.one_of(
    st.integers(0, 9).map(str), st.floats(0, 9, allow_nan=False).map(lambda n: f"{n:.3f}")
)


def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Formulas made of formulas."""
    unary = st.sampled_from([name for name, (_, count) in FUNCTIONS.items() if count == 1])
    binary = st.sampled_from([name for name, (_, count) in FUNCTIONS.items() if count == 2])
    operator = st.sampled_from([" + ", "-", " * ", "/", "**"])
    return st.one_of(
        st.tuples(inner, operator, inner).map("".join),
        inner.map(lambda one: f"({one})"),
        inner.map(lambda one: f"-{one}"),
        st.tuples(unary, inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        st.tuples(binary, inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    )


formulas = st.recursive(st.one_of(names, numbers), larger, max_leaves=12)


@unhurried
@given(formulas)
def test_formulas_have_the_value_that_python_gives_them(formula: str) -> None:
    assert parse(formula, used(formula)).item() == expected_of(formula)


fragments = st.sampled_from(
    [
        *["x", "y", "z", "1", "2.5", "1e999", "0x10", "1j", "True", "None", "..."],
        *["(", ")", "[", "]", "{", "}", ",", ".", ":", ";", "=", ":=", "==", "\\", "#", "@", "!"],
        *["+", "-", "*", "/", "**", "//", "%", "^", "<", "~", "&", "'", '"', "\n", " ", "\0"],
        *["lambda", "if", "else", "for", "in", "and", "not", "await", "yield", "import os", "del"],
        *["exp", "max", "eval", "exec", "open", "__import__", ".__class__", ".real", "[0]", "x(1)"],
    ]
)


def assert_understood_or_explained(text: str) -> None:
    """Check the value of a text or, where it has none, that the error points into the text."""
    formula = text.partition("=")[2] or text
    try:
        result = parse(text, used(formula))
    except ExpressionError as error:
        message = str(error)
    else:
        assert result.item() == expected_of(formula)
        return
    pointer = re.search(r"\n    ( *)\^\n", message)
    if pointer is None:
        assert re.search("is empty|no value|not used|at most|nested too deeply", message)
    else:
        assert " ".join(text.split()) in " ".join(message.split())
        assert len(pointer[1]) <= len(text)


@settings(deadline=None, max_examples=500)
@given(st.lists(fragments, max_size=10).map(" ".join))
@example("x . real")
@example("( x ) ( y )")
@example("x , y")
@example("[ x for x in y ]")
@example("lambda : x")
@example("z = x ** y")
@example("- x / ( y + 1 )")
def test_anything_else_is_an_error_and_never_run(text: str) -> None:
    assert_understood_or_explained(text)


@settings(deadline=None, max_examples=300)
@given(st.text(max_size=40))
def test_any_text_at_all(text: str) -> None:
    assert_understood_or_explained(text)


class Trap:
    """Whoever touches it has run something."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was looked up")


@pytest.mark.parametrize(
    "formula",
    [
        "x.real",
        "x[0]",
        "x()",
        "x(1)",
        "(lambda: x)()",
        "[x for x in (1, 2)]",
        "{x}",
        "f'{x}'",
        "'x'",
        "x if x else x",
        "x and x",
        "not x",
        "~x",
        "x < 1",
        "x // 2",
        "x % 2",
        "x @ x",
        "x, x",
        "*x",
        "(y := x)",
        "exp(*x)",
        "exp(**x)",
        "exp(x=x)",
        "exp.real",
        "exp(exp)",
        "eval(x)",
        "open(x)",
        "__import__(x)",
        "x.__class__",
        "True",
        "None",
        "1j",
        "...",
        "await x",
        "yield x",
        "import x",
        "x; x",
        "x = y = 1",
        "x += 1",
        "x: int = 1",
        "del x",
        "pass",
        "(x",
        "x)",
        "x +",
        "2 x",
        "2x",
        "1if",
        "x # y",
        "x \\",
        "$",
    ],
)
def test_what_is_not_arithmetic_is_refused(formula: str) -> None:
    with pytest.raises(ExpressionError):
        parse(formula, {"x": Trap()})  # type: ignore[dict-item]


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "under", "says"),
    [
        ("(x + y).real", ".", "an attribute is not understood"),
        ("x + y ^ 2", "^", "A power is written \\*\\*"),
        ("x + 2 y", "y", "this is not understood"),
        ("1 + foo(x)", "foo", "foo is not a function"),
        ("x * 1e999", "1e999", "too large for a float"),
        ("1 + max(x)", "max", "max takes 2 arguments, got 1"),
        ("θθθ + x.real", ".", "an attribute"),
        ("exp + 1", "exp", "It is written exp"),
        ("f = f + 1", "f + 1", "f is what the result is called"),
        ("x[0]", "[", "is not understood"),
    ],
)
def test_errors_point_at_the_place(formula: str, under: str, says: str) -> None:
    with pytest.raises(ExpressionError, match=says) as caught:
        parse(formula, VALUES)
    _, text, caret, *_ = str(caught.value).splitlines()
    assert text.strip() == formula
    assert text[caret.index("^") :].startswith(under)


def test_names_without_a_value() -> None:
    with pytest.raises(ExpressionError, match=r"y has no value: add y=\.\.\.$"):
        parse("x + y", {"x": 1})
    with pytest.raises(ExpressionError, match=r"x and y have no value: add x=\.\.\. y=\.\.\.$"):
        parse("x + y", {})


def test_values_without_a_name() -> None:
    with pytest.raises(ExpressionError, match="w: a value is given, but not used"):
        parse("x", {"x": 1, "w": 2})
    with pytest.raises(ExpressionError, match="f: a value is given"):
        parse("f = x", {"x": 1, "f": 2})


def test_values_that_are_no_numbers() -> None:
    with pytest.raises(ExpressionError, match="x must be a number, got 'one'"):
        parse("x", {"x": "one"})  # type: ignore[dict-item]


def test_a_name_of_a_function_cannot_be_a_result() -> None:
    with pytest.raises(ExpressionError, match="exp is a function"):
        parse("exp = 2", {})


@pytest.mark.parametrize(
    "formula",
    [
        "x" * 2000,
        "(" * 400 + "x" + ")" * 400,
        "(" * 5000 + "x" + ")" * 5000,
        "-" * 100_000 + "x",
        "1" * 5000,
        "x" + " ** x" * 100_000,
    ],
    ids=["name", "brackets", "more brackets", "signs", "digits", "powers"],
)
def test_formulas_out_of_all_measure(formula: str) -> None:
    with pytest.raises(ExpressionError, match=r"at most 1000 characters|nested too deeply"):
        parse(formula, {"x": 1.0})


@pytest.mark.parametrize("formula", ["", "   ", "\n"])
def test_an_empty_formula(formula: str) -> None:
    with pytest.raises(ExpressionError, match="empty"):
        parse(formula, {})


def test_a_formula_as_long_as_it_may_be() -> None:
    assert parse("+".join(["x"] * 500), {"x": 1.0}).item() == 500.0
    assert parse("-" * 900 + "x", {"x": 1.0}).item() == 1.0


def test_a_formula_deep_in_a_recursion_gives_an_answer_or_an_error() -> None:
    def answer(levels: int) -> Any:
        if levels:
            return answer(levels - 1)
        try:
            return parse("x" + " ** x" * 150, {"x": 1.0}).item()
        except ExpressionError as error:
            return str(error)

    assert answer(0) == 1.0
    assert answer(700) in (1.0, "the formula is nested too deeply.")
