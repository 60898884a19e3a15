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
        f, h, k = x * x, x * 2.0, x * 4.0
        f.backward()
        h.backward()
        of_f, of_h, of_k = (tg.graph(out)["x"] for out in (f, h, k))
        assert (of_h.gradient, of_h.collected) == (2.0, 8.0)
        assert (of_f.gradient, of_f.collected) == (None, 8.0)
        assert of_f.gradient_was_computed  # and then replaced by that of h
        assert not of_k.gradient_was_computed
        assert "not kept (.grad 8 after 2 sweeps)" in str(tg.graph(f))
        assert "not computed (.grad 8 after 2 sweeps)" in str(tg.graph(k))
        assert "not kept" in tg.draw(f).svg
        assert "not computed" not in tg.draw(f).svg

    def test_says_not_kept_of_a_shared_value_within_too(self) -> None:
        x = tg.scalar(3.0, name="x")
        h = x * x
        f, k = h * 2.0, h * 4.0
        f.backward()
        k.backward()
        h.name = "h"
        assert [tg.graph(out)["h"].gradient for out in (f, k)] == [None, 4.0]
        assert "not computed" not in str(tg.graph(f))

    @pytest.mark.parametrize("make", [lambda: 3.0, lambda: [3.0, 5.0]])
    def test_counts_no_assignment_as_a_sweep(self, make: Callable[[], Any]) -> None:
        x = tg.scalar(3.0) if isinstance(make(), float) else tg.tensor(make(), requires_grad=True)
        f = tg.sum(3 * x)
        hundred = tg.full_like(x, 100.0)

        def row() -> str:
            row, *others = (line for line in str(tg.graph(f)).splitlines() if " leaf " in line)
            assert not others
            return row

        x.grad = hundred
        assert "not computed (.grad" in row()
        assert "assigned)" in row()
        f.backward()
        assert ".grad" in row()
        assert "of which" in row()
        assert "by the last sweep" in row()
        assert "sweeps" not in row()
        x.grad = tg.zeros_like(x)
        assert "assigned)" in row()
        f.backward()
        assert ".grad" not in row()  # to zeros, one sweep added its gradient
        x.grad *= 0.5
        assert "assigned)" in row()
        x.grad = None
        f.backward()
        with tg.no_grad():
            x.grad.data = 0.5 * x.grad.data
        assert "changed since)" in row()

    def test_is_left_alone_by_transforms(self) -> None:
        x = tg.scalar(3.0, name="x")
        h = x * x
        a = h * 2.0
        a.backward()
        before = str(tg.graph(a))
        for create_graph in (False, True):
            tg.autograd.grad(a, x, create_graph=create_graph)
            assert str(tg.graph(a)) == before
        assert "not" not in before

    def test_of_a_new_graph_shows_no_gradient_of_an_old_one(self) -> None:
        x = tg.tensor([3.0], requires_grad=True, name="x")
        (x * x).sum().backward()
        with tg.no_grad():
            x -= 1.0
        new = (x * x).sum()
        assert tg.graph(new)["x"].gradient is None
        assert "not computed (.grad [6.] of another output)" in str(tg.graph(new))

    def test_starts_again_where_the_gradient_was_zeroed(self) -> None:
        x = tg.scalar(3.0, name="x")
        for _ in range(2):
            f = x * x
            f.backward()
            assert tg.graph(f)["x"].gradient == 6.0
            assert tg.graph(f)["x"].collected is None
            x.grad = None


class TestAViewOfALeaf:
    """What would change in PyTorch with the view, or the view with it, is an error, not silence."""

    @staticmethod
    def leaf() -> tg.Tensor:
        return tg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True, name="w")

    @pytest.mark.parametrize(
        "view",
        [
            lambda w: next(iter(w)),
            lambda w: w[0],
            lambda w: w[0, 1],
            lambda w: w[:, 1],
            lambda w: w.T,
            lambda w: w.mT,
            lambda w: w.reshape(4),
            lambda w: w.permute_dims(1, 0),
            lambda w: w.detach(),
            lambda w: next(iter(w.T)),
            lambda w: next(iter(w[0])),
        ],
    )
    def test_is_not_changed_silently(self, view: Callable[[tg.Tensor], tg.Tensor]) -> None:
        w = self.leaf()
        with tg.no_grad():
            row = view(w)
            for sign, change in IN_PLACE.items():
                with pytest.raises(tg.errors.GradientError, match="x alone") as caught:
                    row = change(row, 2.0)
                assert f"z = x {sign} y" in str(caught.value)
                assert "w.data = w.at[i].set(y)" in str(caught.value)
            with pytest.raises(tg.errors.GradientError, match="x alone"):
                row[..., :] = 0.0
        assert w.tolist() == [[1.0, 2.0], [3.0, 4.0]]

    def test_is_refused_where_it_stands_for_a_row_in_a_loop(self) -> None:
        w, scalar = self.leaf(), tg.scalar(3.0)
        with tg.no_grad():
            rows = iter(w)
            row = next(rows)
            with pytest.raises(tg.errors.GradientError, match=r"test_in_place.py:\d+: row -= 1"):
                row -= 1
            with pytest.raises(tg.errors.GradientError, match="x alone"):
                w[0][1] -= 1
            detached = scalar.detach()
            with pytest.raises(tg.errors.GradientError, match="x alone"):
                detached -= 1

    def test_is_changed_as_the_error_says(self) -> None:
        w = self.leaf()
        before = w
        graph = (w * w).sum()
        with tg.no_grad():
            w[0] -= 1.0
            w[1] = 7.0
            w[w > 6.5] = tg.tensor([8.0, 9.0])
            w[:, 0] *= 2.0
            w.data = w.at[0, 0].set(-1.0)
        assert w is before
        assert w.requires_grad
        assert w.is_leaf
        assert w.tolist() == [[-1.0, 1.0], [16.0, 9.0]]
        graph.backward()  # with the numbers that it was built with
        assert w.grad.tolist() == [[2.0, 4.0], [6.0, 8.0]]

    def test_of_copies_and_constants_nothing_is_refused(self) -> None:
        w, constant = self.leaf(), tg.tensor([[1.0, 2.0]])
        with tg.no_grad():
            for x in (w[[0, 1]], w[w > 0.0], w.detach() * 1.0, constant[0], constant.detach()):
                y = x
                y -= 1.0
                assert y is x
            for row in constant:
                row -= 1.0
        x = w.detach()
        x -= 1.0  # outside of no_grad it is x = x - 1.0
        assert w.tolist() == [[1.0, 2.0], [3.0, 4.0]]

    def test_in_a_compiled_step_elements_are_set(self) -> None:
        def trained(compiled: bool) -> list[float]:
            w = tg.tensor([1.0, 2.0], requires_grad=True)

            def step(x: tg.Tensor) -> tg.Tensor:
                w.grad = None
                loss = (w * x).sum() ** 2
                loss.backward()
                with tg.no_grad():
                    w[0] -= 0.01 * w.grad[0]
                    w[1] = 3.0
                return loss

            run = tg.compile(step) if compiled else step
            return [run(tg.tensor([1.0, 3.0])).item() for _ in range(5)] + w.tolist()

        assert trained(compiled=True) == trained(compiled=False)


@every_operator
def test_under_no_grad_a_computed_tensor_does_not_lose_its_history(sign: str) -> None:
    for make in (lambda: tg.scalar(3.0), lambda: tg.tensor([3.0], requires_grad=True)):
        y = make() * 2.0
        other = y
        with tg.no_grad():
            with pytest.raises(tg.errors.GradientError, match="computed from") as caught:
                y = IN_PLACE[sign](y, 2.0)
            assert f"x = x {sign} y" in str(caught.value)
            assert f"x = x.detach() {sign} y" in str(caught.value)
        assert y is other
        assert y.requires_grad
        assert y.tolist() == other.tolist()


def test_setting_elements_of_a_leaf_says_how() -> None:
    w = tg.tensor([3.0, 5.0], requires_grad=True)
    with pytest.raises(tg.errors.GradientError, match="is a leaf") as caught:
        w[0] = 1.0
    assert "with tg.no_grad():\n        x[index] = values" in str(caught.value)
    assert "z = x.at[index].set(values)" in str(caught.value)
    h = w * 2.0
    with tg.no_grad(), pytest.raises(tg.errors.GradientError, match=r"the copy requires none"):
        h[0] = 1.0
    with tg.no_grad():
        with pytest.raises(tg.errors.DTypeError):
            w[0] = 1j
        with pytest.raises(tg.errors.IndexingError):
            w[5] = 1.0
        with pytest.raises(tg.errors.ShapeError):
            w[:] = tg.tensor([1.0, 2.0, 3.0])
    assert w.tolist() == [3.0, 5.0]
