"""``x += y``: a leaf's data under ``no_grad``, an error on a leaf that requires a gradient."""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn

IN_PLACE = {
    "+": operator.iadd,
    "-": operator.isub,
    "*": operator.imul,
    "/": operator.itruediv,
    "//": operator.ifloordiv,
    "%": operator.imod,
    "**": operator.ipow,
}
PLAIN = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
every_operator = pytest.mark.parametrize("sign", IN_PLACE)
KINDS: dict[str, Callable[[], Any]] = {
    "scalar": lambda: tg.scalar(3.0, name="w"),
    "tensor": lambda: tg.tensor([3.0, 5.0], requires_grad=True, name="w"),
    "parameter": lambda: nn.Parameter(tg.tensor([3.0, 5.0])),
    "constant": lambda: tg.tensor([3.0, 5.0]),
}


@every_operator
@pytest.mark.parametrize("kind", KINDS)
def test_under_no_grad_it_sets_the_data_of_a_leaf(sign: str, kind: str) -> None:
    w = KINDS[kind]()
    before, required = w, w.requires_grad
    expected = PLAIN[sign](w.detach(), 2.0)
    with tg.no_grad():
        w = IN_PLACE[sign](w, 2.0)
    assert w is before
    assert w.requires_grad == required
    assert w.tolist() == expected.tolist()
    assert w.dtype == expected.dtype


@every_operator
@pytest.mark.parametrize("kind", ["scalar", "tensor", "parameter"])
def test_it_is_an_error_on_a_leaf_that_requires_a_gradient(sign: str, kind: str) -> None:
    w = KINDS[kind]()
    value = w.tolist()
    with pytest.raises(tg.errors.GradientError, match="is a leaf") as caught:
        w = IN_PLACE[sign](w, 2.0)
    assert f"with tg.no_grad():\n        x {sign}= y" in str(caught.value)
    assert f"z = x {sign} y" in str(caught.value)
    assert "test_in_place.py" in str(caught.value)
    assert w.tolist() == value
    assert w.requires_grad


@every_operator
def test_of_computed_tensors_and_constants_it_is_recorded(sign: str) -> None:
    for start in (lambda x: x * 1.0, lambda x: tg.tensor([1.5, 2.5])):
        x = tg.tensor([1.25, 2.25], requires_grad=True)
        h = start(x)
        other = h
        h = IN_PLACE[sign](h, x)
        assert h is not other
        assert h.requires_grad == (sign != "//")  # which is a step function
        if sign == "//":
            continue
        found = tg.autograd.grad(h.sum(), x)[0]
        expected = tg.autograd.grad(PLAIN[sign](start(x), x).sum(), x)[0]
        assert (found is None) == (expected is None)
        if found is not None and expected is not None:
            assert found.tolist() == expected.tolist()


def test_the_loop_that_everybody_writes_trains() -> None:
    tg.seed(0)
    model = nn.Linear(2, 1)
    x, y = tg.tensor([[1.0, 2.0], [3.0, 4.0]]), tg.tensor([[1.0], [2.0]])
    losses = []
    for _ in range(50):
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        with tg.no_grad():
            for p in model.parameters():
                p -= 0.02 * p.grad
                p.grad = None
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 10
    assert all(p.requires_grad and p.is_leaf for p in model.parameters())


def test_in_a_compiled_step_it_is_an_update() -> None:
    def trained(compiled: bool) -> list[float]:
        w = tg.tensor([1.0, 2.0], requires_grad=True)

        def step(x: tg.Tensor) -> tg.Tensor:
            nonlocal w
            w.grad = None
            loss = (w * x).sum() ** 2
            loss.backward()
            with tg.no_grad():
                w -= 0.01 * w.grad
            return loss

        run = tg.compile(step) if compiled else step
        return [run(tg.tensor([1.0, 3.0])).item() for _ in range(5)] + w.tolist()

    assert trained(compiled=True) == trained(compiled=False)


def test_it_keeps_shape_and_dtype() -> None:
    n, row = tg.tensor([1, 2]), tg.tensor([1.0])
    with tg.no_grad():
        with pytest.raises(tg.errors.DTypeError, match="int64 and cannot become float"):
            n += 0.5
        with pytest.raises(tg.errors.ShapeError, match=r"shape \(1,\)"):
            row += tg.tensor([1.0, 2.0])
    assert n.tolist() == [1, 2]
    half = tg.tensor(np.ones(2, np.float16))
    with tg.no_grad():
        half *= 3
    assert half.dtype == np.float16


class TestGradOfAComputedTensor:
    def test_is_none_with_a_warning_that_names_what_to_do(self) -> None:
        x = tg.scalar(3.0)
        h = x * x
        h.backward()
        with pytest.warns(UserWarning, match=r"multiply computed.*retain_grad.*tg\.graph"):
            assert h.grad is None
        assert x.grad is not None  # of a leaf there is none

    def test_adds_up_over_sweeps_where_it_is_retained(self) -> None:
        for x in (tg.tensor([1.0, 2.0], requires_grad=True), tg.scalar(2.0)):
            h = x * x
            h.retain_grad()
            assert h.grad is None
            loss = tg.sum(3 * h)
            for sweeps in (1, 2):
                loss.backward()
                assert h.grad is not None
                assert h.grad.tolist() == (3.0 * sweeps * tg.ones_like(h)).tolist()
                assert not h.grad.requires_grad
            assert x.grad.tolist() == (12.0 * x.detach()).tolist()
            h.grad = None
            loss.backward()
            assert h.grad.tolist() == (3.0 * tg.ones_like(h)).tolist()

    @pytest.mark.parametrize("retained_first", [True, False])
    def test_is_what_hooks_made_of_it(self, retained_first: bool) -> None:
        x = tg.scalar(2.0)
        h = x * x
        if retained_first:
            h.retain_grad()
        handle = h.register_hook(lambda g: 10 * g)
        if not retained_first:
            h.retain_grad()
        h.register_hook(lambda g: 2 * g)
        (3 * h).backward()
        assert (h.grad.item(), x.grad.item()) == (60.0, 240.0)
        handle.remove()
        h.grad = None
        (3 * h).backward()
        assert h.grad.item() == 6.0

    def test_can_be_asked_of_leaves_and_not_of_what_needs_no_gradient(self) -> None:
        x = tg.scalar(2.0)
        x.retain_grad()
        (x * x).backward()
        assert x.grad is not None
        assert x.grad.item() == 4.0
        with pytest.raises(tg.errors.GradientError, match="no gradient"):
            tg.tensor([1.0]).retain_grad()


class TestAPictureOfSeveralSweeps:
    def test_shows_one_and_says_what_was_collected(self) -> None:
        x, y = tg.scalar(3.0, name="x"), tg.scalar(1.0, name="y")
        f = x * x * y
        f.backward()
        assert "sweeps" not in str(tg.graph(f))
        f.backward()
        graph = tg.graph(f)
        assert graph["x"].gradient == 6.0
        assert graph["x"].collected == 12.0
        assert "6 (.grad 12 after 2 sweeps)" in str(graph)
        assert ".grad 12 after 2 sweeps" in tg.draw(f).svg

    def test_does_not_show_another_outputs_gradient(self) -> None:
        x = tg.scalar(3.0, name="x")
        f, h = x * x, x * 2.0
        f.backward()
        h.backward()
        of_f, of_h = tg.graph(f)["x"], tg.graph(h)["x"]
        assert (of_h.gradient, of_h.collected) == (2.0, 8.0)
        assert (of_f.gradient, of_f.collected) == (None, 8.0)
        assert not of_f.gradient_was_computed

    def test_starts_again_where_the_gradient_was_zeroed(self) -> None:
        x = tg.scalar(3.0, name="x")
        for _ in range(2):
            f = x * x
            f.backward()
            assert tg.graph(f)["x"].gradient == 6.0
            assert tg.graph(f)["x"].collected is None
            x.grad = None
