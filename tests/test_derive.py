"""Derivations: every line is computed with NumPy, and is the engine's gradient."""

from __future__ import annotations

import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentTypeError, DTypeError, GradientError, GraphFreedError
from tinygrad_lab.show.derivation.plain import TEXT, joined
from tinygrad_lab.show.derivation.steps import Step

from .random_derivations import random_output
from .recipes import RECIPES, Recipe

GRAPHS = 600
AT_ONCE = 30

MATHML_CORE = {
    *("math", "mrow", "mi", "mn", "mo", "mtext", "mfrac", "msqrt", "msub", "msup", "munder"),
}
"""The elements that derivations use; all are of MathML Core (W3C, 2025)."""


def line(step: Step) -> str:
    return f"{joined(TEXT.write(step.symbol))} = {joined(TEXT.write(step.formula))}"


def leaf(*shape: int, seed: int = 0) -> tg.Tensor:
    numbers = np.random.default_rng((seed, *shape)).normal(size=shape)
    return tg.tensor(numbers, requires_grad=True)


def _has_no_real_gradient(output: tg.Tensor, one: tg.Tensor) -> bool:
    dtypes = {node.dtype.kind for node in tg.graph(output) if node.shape is not None}
    (gradient,) = tg.autograd.grad([output], [one])
    return "c" in dtypes or gradient is None or not gradient.numpy().any()


class TestEveryLine:
    @pytest.mark.parametrize("start", range(0, GRAPHS, AT_ONCE))
    def test_is_the_engines_gradient_and_fits_a_terminal(self, start: int) -> None:
        for seed in range(start, start + AT_ONCE):
            output, leaves, said = random_output(seed)
            for one, gradient in zip(leaves, tg.autograd.grad(output, leaves), strict=True):
                found = tg.derive(output, wrt=one)
                expected = gradient.numpy()
                assert found.largest_difference < 1e-9, f"seed {seed}: {said}\n{found}"
                apart = abs(found.result - expected).max()
                assert apart < 1e-9 * (1 + abs(expected).max()), f"seed {seed}: {said}\n{found}"
                assert max(map(len, str(found).splitlines())) <= 80, f"seed {seed}\n{found}"

    @pytest.mark.parametrize("recipe", RECIPES, ids=str)
    @settings(max_examples=3, deadline=None)
    @given(data=st.data())
    def test_of_every_differentiable_function_is_the_engines(
        self, recipe: Recipe, data: st.DataObject
    ) -> None:
        call = data.draw(recipe.calls)
        tensors = [tg.tensor(np.asarray(one, float), requires_grad=True) for one in call.arrays]
        out = call.function(*tensors)
        J = (out * tg.tensor(np.random.default_rng(0).normal(size=out.shape))).sum()
        for one in tensors:
            try:
                found = tg.derive(J, wrt=one)
            except (GradientError, DTypeError):
                # No gradient flows, or the numbers are complex.
                assert _has_no_real_gradient(J, one)
                continue
            assert found.largest_difference < 1e-7, str(found)

    def test_that_was_wrong_would_be_seen(self) -> None:
        x = leaf(3)
        step = tg.derive((x * x).sum(), wrt=x).steps[-1]
        wrong = Step(1, step.symbol, step.formula, (), step.expected * 1.001, False)
        assert step.difference == 0
        assert wrong.difference > 1e-4


class TestTheLecturesNet:
    def derived(self, wrt: str) -> list[str]:
        W1, W2, lam = leaf(4, 3), leaf(2, 4), tg.scalar(0.1)
        x, y = tg.tensor(np.array([1.0, -2.0, 0.5])), tg.tensor(1)
        o = W2 @ tg.relu(W1 @ x)
        J = tg.nn.functional.cross_entropy(o, y) + lam / 2 * ((W1**2).sum() + (W2**2).sum())
        return list(map(line, tg.derive(J, wrt={"W1": W1, "W2": W2}[wrt]).steps))

    def test_arrives_at_the_first_layer(self) -> None:
        assert self.derived("W1") == [
            "∂J/∂o = softmax(o) \N{MINUS SIGN} onehot(y)",
            "∂J/∂h = W2ᵀ ∂J/∂o",
            "∂J/∂z = ∂J/∂h ⊙ 1[z > 0]",
            "∂J/∂W1 = (∂J/∂z) xᵀ + λ W1",
        ]

    def test_arrives_at_the_second_layer(self) -> None:
        assert self.derived("W2")[-1] == "∂J/∂W2 = (∂J/∂o) hᵀ + λ W2"

    def test_with_three_layers_goes_back_layer_by_layer(self) -> None:
        X, W1, W2, W3, b = tg.tensor(np.ones((5, 3))), leaf(4, 3), leaf(4, 4), leaf(2, 4), leaf(4)
        y = tg.tensor([0, 1, 1, 0, 1])
        f1 = tg.relu(X @ W1.T + b)
        f2 = tg.relu(f1 @ W2.T)
        J = tg.cross_entropy(f2 @ W3.T, y)
        assert list(map(line, tg.derive(J, wrt=W1).steps)) == [
            "∂J/∂z3 = (softmax(z3) \N{MINUS SIGN} onehot(y)) / 5",
            "∂J/∂f2 = (∂J/∂z3) W3",
            "∂J/∂z2 = ∂J/∂f2 ⊙ 1[z2 > 0]",
            "∂J/∂f1 = (∂J/∂z2) W2",
            "∂J/∂z1 = ∂J/∂f1 ⊙ 1[z1 > 0]",
            "∂J/∂W1 = (∂J/∂z1)ᵀ X",
        ]
        assert line(tg.derive(J, wrt=b).steps[-1]) == "∂J/∂b = Σ(axis 0) ∂J/∂z1"


class TestRules:
    def test_softmax_and_cross_entropy_from_their_parts_are_softmax_less_onehot(self) -> None:
        o, y = leaf(5, 2), tg.tensor([0, 1, 1, 0, 1])
        rows = tg.arange(5)
        for J in (
            -tg.log(tg.softmax(o)[rows, y]).mean(),
            -tg.log_softmax(o)[rows, y].mean(),
            tg.cross_entropy(o, y),
        ):
            (step,) = tg.derive(J, wrt=o).steps
            assert line(step) == "∂J/∂o = (softmax(o) \N{MINUS SIGN} onehot(y)) / 5"
            assert step.rules == ("softmax with cross-entropy",)

    def test_of_two_uses_add_up(self) -> None:
        x = leaf(3)
        J = (x * x).sum()
        (step,) = tg.derive(J, wrt=x).steps
        assert line(step) == "∂J/∂x = 2 x"
        assert "gradients of several uses add up" in step.rules

    def test_of_a_mean_divide_by_the_count(self) -> None:
        x, b = leaf(4, 3), leaf(3)
        J = (x * b).mean()
        (step,) = tg.derive(J, wrt=b).steps
        assert line(step) == "∂J/∂b = Σ(axis 0) x / 12"
        assert any("summed where it was broadcast" in rule for rule in step.rules)

    def test_of_a_step_of_a_recurrent_net(self) -> None:
        W, U, b = leaf(4, 3), leaf(4, 4), leaf(4)
        x, h0 = tg.tensor(np.ones(3)), tg.tensor(np.ones(4) / 2)
        h1 = tg.tanh(W @ x + U @ h0 + b)
        J = (h1**2).sum() / 2
        assert list(map(line, tg.derive(J, wrt=U).steps)) == [
            "∂J/∂h1 = h1",
            "∂J/∂z = ∂J/∂h1 \N{MINUS SIGN} ∂J/∂h1 ⊙ h1²",
            "∂J/∂U = (∂J/∂z) h0ᵀ",
        ]

    @pytest.mark.parametrize("name", ["sort", "cumulative_sum", "prod"])
    def test_without_a_notation_say_so_and_are_not_skipped(self, name: str) -> None:
        x = leaf(4)
        J = (getattr(tg, name)(x, axis=0) ** 2).sum()
        found = tg.derive(J, wrt=x)
        last = found.steps[-1]
        assert last.by_engine
        assert "as the engine computes it" in str(found).replace("\n  ", "").replace("  ", " ")
        assert found.largest_difference < 1e-12

    def test_of_values_too_large_to_keep_are_computed_again(self) -> None:
        W, x = leaf(200, 100), tg.tensor(np.linspace(-1, 1, 30_000).reshape(100, 300))
        J = (tg.relu(W @ x) ** 2).sum()
        assert tg.graph(J)["W"].value is not None
        assert tg.derive(J, wrt=W).largest_difference < 1e-12

    def test_of_deep_graphs_need_no_recursion(self) -> None:
        a = tg.scalar(0.5)
        y = total = a
        for _ in range(1500):
            y = tg.tanh(y * 1.1)
            total = total + y
        found = tg.derive(total, wrt=a)
        assert found.largest_difference < 1e-9
        assert len(found.steps) >= 1500


class TestNotations:
    @pytest.mark.parametrize("start", range(0, 60, AT_ONCE))
    def test_of_mathml_are_core(self, start: int) -> None:
        for seed in range(start, start + AT_ONCE):
            output, leaves, _ = random_output(seed)
            for text in tg.derive(output, wrt=leaves[0]).mathml:
                for element in ElementTree.fromstring(text).iter():
                    assert element.tag in MATHML_CORE
                    assert element.attrib == ({"display": "block"} if element.tag == "math" else {})
                    children = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2}.get(element.tag)
                    assert children in (None, len(element)), text

    @pytest.mark.parametrize("start", range(0, 60, AT_ONCE))
    def test_of_latex_close_what_they_open(self, start: int) -> None:
        for seed in range(start, start + AT_ONCE):
            output, leaves, _ = random_output(seed)
            text = tg.derive(output, wrt=leaves[0]).latex
            assert text.count(r"\left") == text.count(r"\right")
            assert "\0" not in text
            depth = 0
            for sign in text.replace(r"\{", "").replace(r"\}", ""):
                depth += {"{": 1, "}": -1}.get(sign, 0)
                assert depth >= 0
            assert depth == 0

    def test_escape_names(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True, name="<b>&50%_{")
        found = tg.derive((x * x).sum(), wrt=x)
        assert "<b>" not in found._repr_html_()
        assert r"\%" in found.latex
        ElementTree.fromstring(found.mathml[0])

    @pytest.mark.parametrize("name", ["\x1b[31mred", "a\nb", "\u202eevil", "x" * 10_000])
    def test_cut_and_escape_names_for_a_terminal(self, name: str) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True, name=name)
        text = str(tg.derive((x * x).sum(), wrt=x))
        assert not {"\x1b", "\u202e"} & set(text)
        assert max(map(len, text.splitlines())) <= 80

    def test_show_a_notebook_formulas_rules_and_the_verdict(self) -> None:
        x = leaf(3)
        found = tg.derive((x * x).sum(), wrt=x)
        html = found._repr_html_()
        assert html.count("<math") == 2
        assert "product rule" in html
        assert "largest difference" in html
        assert found._repr_latex_().startswith("$")


class TestErrors:
    def test_say_what_is_not_a_tensor(self) -> None:
        with pytest.raises(ArgumentTypeError, match="expected wrt that is a tensor, got int"):
            tg.derive(leaf(3).sum(), wrt=3)

    def test_say_that_several_elements_are_summed_first(self) -> None:
        x = leaf(3)
        with pytest.raises(GradientError, match=r"shape \(3,\).*y\.sum\(\)"):
            tg.derive(x * 2, wrt=x)

    @pytest.mark.parametrize("other", ["unused", "constant"])
    def test_say_that_no_gradient_flows(self, other: str) -> None:
        x, constant = leaf(3), tg.tensor([1.0, 2.0, 3.0])
        wrt: Any = {"unused": leaf(3, seed=1), "constant": constant}[other]
        with pytest.raises(GradientError, match="no gradient flows"):
            tg.derive((x * constant).sum(), wrt=wrt)

    def test_say_that_the_graph_was_freed(self) -> None:
        x = leaf(3)
        y = tg.exp(x).sum()
        y.backward(free=True)
        with pytest.raises(GraphFreedError):
            tg.derive(y, wrt=x)


def test_importing_the_package_does_not_load_derivations() -> None:
    script = "import sys, tinygrad_lab; print('tinygrad_lab.show.derivation' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "False"
