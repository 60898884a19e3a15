"""``tg.explain`` names the cause and the line, and says so where it knows none."""

from collections.abc import Iterator

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn
from tinygrad_lab.answers.answer import Answer
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError


def line_of(answer: Answer) -> str:
    """The text of the line that an answer names."""
    return "" if answer.line is None else answer.line.text


def leaf(*shape: int) -> tg.Tensor:
    rng = np.random.default_rng(0)
    return tg.tensor(rng.normal(size=shape or (3,)), requires_grad=True)


class TestNoGradientIsThereBecause:
    def test_none_was_required(self) -> None:
        x, w = tg.ones(3), leaf()
        (x * w).sum().backward()
        assert x.grad is None
        assert tg.explain(x).cause == "not required"

    def test_none_was_required_of_a_buffer(self) -> None:
        norm = nn.BatchNorm1d(2)
        norm(leaf(4, 2)).sum().backward()
        assert tg.explain(norm.running_mean).cause == "not required"

    def test_backward_was_not_run(self) -> None:
        w = leaf()
        loss = (w * w).sum()  # computed here
        answer = tg.explain(w)
        assert answer.cause == "backward not run"
        assert line_of(answer) == "loss = (w * w).sum()  # computed here"
        assert answer.graph is not None
        assert answer.graph.outputs[0].node is loss.node

    def test_backward_was_not_run_on_a_loss_of_a_module(self) -> None:
        model = nn.Linear(3, 2)
        loss = model(tg.ones((4, 3))).mean()
        answer = tg.explain(model.weight)
        assert loss.requires_grad
        assert (answer.cause, line_of(answer)) == (
            "backward not run",
            "loss = model(tg.ones((4, 3))).mean()",
        )

    def test_it_was_detached(self) -> None:
        x, w = leaf(), leaf()
        h = x.detach() * 2
        loss = (h * w).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("detached", "h = x.detach() * 2")

    def test_it_was_detached_within_an_expression(self) -> None:
        x, w = leaf(), leaf()
        loss = (w * x.detach()).sum()  # here
        loss.backward()
        answer = tg.explain(loss, x)
        assert (answer.cause, line_of(answer)) == (
            "detached",
            "loss = (w * x.detach()).sum()  # here",
        )

    def test_what_was_computed_from_it_was_detached(self) -> None:
        x, w = leaf(), leaf()
        h = tg.exp(x)
        z = h.detach()
        loss = tg.multiply(z, w).sum()
        loss.backward()
        answer = tg.explain(loss, x)
        assert (answer.cause, line_of(answer)) == ("detached", "z = h.detach()")

    def test_no_grad_surrounded_it(self) -> None:
        x, w = leaf(), leaf()
        with tg.no_grad():
            h = x * 2
        loss = (h * w).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("no_grad", "h = x * 2")

    def test_no_grad_surrounded_what_was_recorded(self) -> None:
        x = leaf()
        with tg.record(), tg.no_grad():
            made = [x * 2]  # no variable holds it
        answer = tg.explain(made[0])
        assert (answer.cause, line_of(answer)) == (
            "no_grad",
            "made = [x * 2]  # no variable holds it",
        )

    def test_item_made_a_number_of_it(self) -> None:
        x, w = leaf(), leaf()
        scale = x.sum().item()
        loss = (w * scale).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("item", "scale = x.sum().item()")

    def test_float_made_a_number_of_it(self) -> None:
        x, w = leaf(), leaf()
        loss = (w * float(x.sum())).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("item", "loss = (w * float(x.sum())).sum()")

    def test_argmax_gives_positions(self) -> None:
        x = leaf()
        best = tg.argmax(x)
        answer = tg.explain(best)
        assert (answer.cause, line_of(answer)) == ("argmax", "best = tg.argmax(x)")

    def test_argmax_was_on_the_way(self) -> None:
        x, w = leaf(), leaf()
        best = x.argmax()
        loss = (w * best).sum()
        loss.backward()
        answer = tg.explain(loss, x)
        assert (answer.cause, line_of(answer)) == ("argmax", "best = x.argmax()")

    def test_it_holds_integers(self) -> None:
        answer = tg.explain(tg.tensor([1, 2]))
        assert answer.cause == "integers"

    def test_it_was_cast_to_integers_on_the_way(self) -> None:
        x, w = leaf(), leaf()
        steps = x.astype(tg.int64)
        loss = (w * steps).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("integers", "steps = x.astype(tg.int64)")

    def test_the_loss_was_not_computed_from_it(self) -> None:
        x, w = leaf(), leaf()
        loss = (w * w).sum()
        loss.backward()
        answer = tg.explain(x)
        assert answer.cause == "not reached"
        assert "loss was not computed from it" in str(answer)

    def test_a_module_was_never_called(self) -> None:
        used, unused = nn.Linear(3, 3), nn.Linear(3, 3)
        loss = used(tg.ones((2, 3))).sum()
        loss.backward()
        assert tg.explain(loss, unused.weight).cause == "not reached"

    def test_it_was_computed(self) -> None:
        x = leaf()
        h = x * 2  # not a leaf
        h.sum().backward()
        answer = tg.explain(h)
        assert (answer.cause, line_of(answer)) == ("computed", "h = x * 2  # not a leaf")
        assert "retain_grad" in str(answer)

    def test_it_was_computed_from_a_parameter(self) -> None:
        w = nn.Parameter(np.ones(3)).to("cpu") + 0.0
        w.sum().backward()
        assert tg.explain(w).cause == "computed"

    def test_it_was_cleared(self) -> None:
        w = leaf()
        loss = (w * w).sum()
        loss.backward()
        w.grad = None
        assert tg.explain(w).cause == "cleared"

    def test_an_optimiser_cleared_it(self) -> None:
        model = nn.Linear(3, 2)
        optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
        loss = model(tg.ones((4, 3))).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        assert tg.explain(model.weight).cause == "cleared"

    def test_it_was_required_too_late(self) -> None:
        x, w = tg.ones(3), leaf()
        loss = (w * x).sum()  # x was a constant
        x.requires_grad_()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == (
            "required too late",
            "loss = (w * x).sum()  # x was a constant",
        )


class TestNothingIsGuessed:
    def test_of_a_leaf_that_no_variable_knows(self) -> None:
        assert tg.explain(leaf()).cause == "not known"

    def test_of_a_variable_that_is_assigned_twice(self) -> None:
        x, w = leaf(), leaf()
        h = w * 1.0
        h = x.detach() * 2
        loss = (tg.exp(h) * w).sum()
        loss.backward()
        answer = tg.explain(loss, x)
        assert answer.cause == "not reached"
        assert answer.line is None

    def test_of_another_tensor_that_was_detached(self) -> None:
        x, y, w = leaf(), leaf(), leaf()
        loss = (w * (y * 2).detach()).sum()
        loss.backward()
        answer = tg.explain(loss, x)
        assert answer.cause == "not reached"
        assert "not known" in str(answer)


class TestAnAnswer:
    @pytest.mark.parametrize("kind", [1, "x", None])
    def test_is_given_about_tensors_alone(self, kind: object) -> None:
        with pytest.raises(ArgumentTypeError, match="expected a tensor"):
            tg.explain(kind)

    def test_fits_a_terminal_of_80_columns(self) -> None:
        a_rather_long_name_of_a_weight_that_stands_in_the_question_and_below_it_again = leaf()
        loss = a_rather_long_name_of_a_weight_that_stands_in_the_question_and_below_it_again * 2
        answer = tg.explain(
            a_rather_long_name_of_a_weight_that_stands_in_the_question_and_below_it_again
        )
        assert loss is not None
        assert max(map(len, str(answer).splitlines())) < 80

    def test_is_html_in_a_notebook(self) -> None:
        answer = tg.explain(tg.tensor([1, 2], name="<x>"))
        assert "&lt;x&gt;" in answer._repr_html_()

    def test_draws_what_it_is_about(self) -> None:
        w = leaf()
        loss = (w * w).sum()
        assert loss.requires_grad
        marked = [box.name for box in tg.explain(w).draw().picture.boxes if box.highlighted]
        assert marked == ["w"]

    def test_of_no_graph_draws_nothing(self) -> None:
        with pytest.raises(ArgumentError, match="not about a graph"):
            tg.explain(tg.tensor([1])).draw()


class TestAGradientIsZeroBecause:
    """Of each cause two variants: in the whole gradient, and in a part of it."""

    def test_relu_is_dead_for_all_samples(self) -> None:
        w = tg.tensor(np.full((2, 3), -1.0), requires_grad=True)
        h = tg.relu(tg.ones((4, 2)) @ w)  # dead
        loss = h.sum()
        loss.backward()
        answer = tg.explain(w)
        assert (answer.cause, line_of(answer)) == (
            "dead relu",
            "h = tg.relu(tg.ones((4, 2)) @ w)  # dead",
        )
        assert (answer.numbers["samples"], answer.numbers["of samples"]) == (4, 4)

    def test_relu_is_dead_for_some_units(self) -> None:
        w = tg.tensor([[1.0, -1.0], [2.0, -1.0]], requires_grad=True)
        h = tg.relu(tg.ones((4, 2)) @ w)
        loss = (h * h).sum()
        loss.backward()
        answer = tg.explain(w)
        assert (answer.cause, line_of(answer)) == (
            "dead relu",
            "h = tg.relu(tg.ones((4, 2)) @ w)",
        )
        assert (answer.numbers["stopped"], answer.numbers["elements"]) == (4, 8)

    def test_relu_is_dead_in_a_model(self) -> None:
        model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
        model[0].bias.data = np.full(3, -100.0, np.float32)
        loss = model(tg.ones((5, 2))).sum()
        loss.backward()
        answer = tg.explain(loss, model[0].weight)
        assert answer.cause == "dead relu"
        assert "5 of 5 samples" in " ".join(str(answer).split())

    @pytest.mark.parametrize("function", [tg.sigmoid, tg.tanh])
    def test_it_is_saturated(self, function: object) -> None:
        x = tg.tensor([1000.0, 2000.0], requires_grad=True)
        y = function(x)  # type: ignore[operator]  # flat
        y.sum().backward()
        answer = tg.explain(y, x)
        assert answer.cause == "saturated"
        assert line_of(answer).startswith("y = function(x)")

    def test_it_is_clipped(self) -> None:
        x = tg.tensor([5.0, 6.0], requires_grad=True)
        loss = tg.clip(x, 0.0, 1.0).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("clipped", "loss = tg.clip(x, 0.0, 1.0).sum()")

    def test_it_is_clipped_in_part(self) -> None:
        x = tg.tensor([0.5, 6.0, 7.0], requires_grad=True)
        loss = (tg.exp(x).clip(0.0, 2.0) * 3.0).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, answer.numbers["stopped"]) == ("clipped", 2)

    def test_it_is_masked(self) -> None:
        x = tg.tensor([0.5, 6.0], requires_grad=True)
        loss = tg.where(tg.tensor([False, False]), x, 0.0).sum()
        loss.backward()
        assert tg.explain(x).cause == "masked"

    def test_it_is_masked_by_a_product_in_part(self) -> None:
        x = tg.tensor([0.5, 6.0], requires_grad=True)
        kept = x * tg.tensor([1.0, 0.0])  # the mask
        loss = (kept * 3.0).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == (
            "masked",
            "kept = x * tg.tensor([1.0, 0.0])  # the mask",
        )

    def test_its_shares_cancel(self) -> None:
        x = leaf(4)
        loss = (x - x).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("cancelled", "loss = (x - x).sum()")

    def test_the_shares_of_a_product_cancel(self) -> None:
        x = leaf(1, 2)
        loss = (x @ tg.tensor([[1.0, -1.0], [1.0, -1.0]], dtype=tg.float64)).sum()
        loss.backward()
        answer = tg.explain(x)
        assert answer.cause == "cancelled"

    def test_it_is_multiplied_by_zero(self) -> None:
        x, w = leaf(), tg.zeros(3, dtype=tg.float64, requires_grad=True)
        loss = (x * w).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("multiplied by zero", "loss = (x * w).sum()")

    def test_it_is_multiplied_by_weights_of_zero(self) -> None:
        model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
        model[2].weight.data = np.zeros((1, 3), np.float32)
        loss = model(tg.ones((5, 2))).sum()
        loss.backward()
        assert tg.explain(loss, model[0].weight).cause == "multiplied by zero"

    def test_it_is_multiplied_by_data_of_zero(self) -> None:
        w = leaf(2, 3)
        loss = (tg.tensor([[1.0, 0.0], [2.0, 0.0]], dtype=tg.float64) @ w).sum()
        loss.backward()
        answer = tg.explain(w)
        assert (answer.cause, answer.numbers["stopped"]) == ("multiplied by zero", 3)

    def test_others_were_selected(self) -> None:
        x = leaf(4)
        loss = x.max() * 2.0
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, answer.numbers["stopped"]) == ("not selected", 3)

    def test_others_were_selected_by_an_index(self) -> None:
        x = leaf(4)
        some = x[1:3]
        loss = (some * 2.0).sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("not selected", "some = x[1:3]")

    def test_it_is_flat_there(self) -> None:
        x = tg.tensor([0.0, 0.0], requires_grad=True)
        loss = (x**2).sum()
        loss.backward()
        assert tg.explain(x).cause == "flat"


class TestAGradientIsMadeOf:
    def test_the_shares_of_its_paths(self) -> None:
        x, y = tg.scalar(3.0), tg.scalar(5.0)
        f = x * y + tg.exp(x)
        answer = tg.explain(f, x)
        assert (answer.cause, answer.numbers["paths"]) == ("paths", 2)
        assert sorted(answer.numbers["shares"]) == pytest.approx([5.0, np.exp(3.0)])

    def test_two_edges_where_a_value_is_used_twice(self) -> None:
        x = leaf()
        f = (x * x).sum()
        answer = tg.explain(f, x)
        assert answer.cause == "two edges"
        assert "uses x 2 times, as x and as y" in " ".join(str(answer).split())
        for share in answer.numbers["shares"]:
            np.testing.assert_array_equal(share, x.detach().numpy())

    def test_shares_that_add_up_to_what_the_engine_gives(self) -> None:
        x = leaf(2, 2)
        h = tg.tanh(x @ x) + x
        f = (h * tg.sigmoid(h)).sum()
        f.backward()
        answer = tg.explain(f, x)
        assert x.grad is not None
        np.testing.assert_allclose(sum(answer.numbers["shares"]), x.grad.numpy())

    def test_more_paths_than_can_be_listed(self) -> None:
        x = y = tg.scalar(1.0)
        for _ in range(50):
            y = y * y
        f = y + x
        answer = tg.explain(f, x)
        assert answer.numbers["paths"] == 2**50 + 1
        assert sum(answer.numbers["shares"]) == answer.numbers["gradient"] == 2.0**50 + 1


class TestNaNBegan:
    @pytest.fixture(autouse=True)
    def _numpy_does_not_warn(self) -> Iterator[None]:
        with np.errstate(all="ignore"):
            yield

    def test_in_the_data(self) -> None:
        x = tg.tensor([[1.0, np.nan], [2.0, 3.0]], name="x")
        w = leaf(2, 2)
        loss = tg.exp(x @ w).sum()
        answer = tg.explain(loss)
        assert (answer.cause, answer.numbers["element"]) == ("data", (0, 1))
        assert "x at [0, 1] was nan before the first op" in str(answer)

    def test_in_a_parameter(self) -> None:
        w = tg.scalar(np.inf)
        loss = w * 0.0
        assert tg.explain(loss).cause == "data"

    def test_forward_in_one_op_and_others_only_pass_it_on(self) -> None:
        x = tg.tensor([4.0, -1.0], requires_grad=True)
        root = tg.sqrt(x)  # here
        loss = (root * 2 + 1).sum()
        answer = tg.explain(loss)
        assert (answer.cause, line_of(answer)) == ("forward", "root = tg.sqrt(x)  # here")
        assert (answer.numbers["element"], answer.numbers["passed on"]) == ((1,), 3)
        assert "x = -1" in str(answer)

    def test_forward_in_an_array_too_large_to_keep(self) -> None:
        x = tg.tensor(np.linspace(-1, 1, 100_000), requires_grad=True)
        loss = tg.log(x * 2.0).mean()
        answer = tg.explain(loss)
        assert (answer.cause, answer.numbers["element"]) == ("forward", (0,))
        assert "log" in str(answer)

    def test_backward(self) -> None:
        x = tg.tensor([0.0, 4.0], requires_grad=True)
        root = tg.sqrt(x)  # steep
        loss = root.sum()
        loss.backward()
        answer = tg.explain(x)
        assert (answer.cause, line_of(answer)) == ("backward", "root = tg.sqrt(x)  # steep")

    def test_backward_behind_a_mask(self) -> None:
        x = tg.tensor([0.0, 4.0], requires_grad=True)
        root = tg.sqrt(x)
        loss = tg.where(x.detach() > 0, root, 0.0).sum()
        answer = tg.explain(loss, x)
        assert (answer.cause, line_of(answer)) == ("backward", "root = tg.sqrt(x)")
        assert "0 × ∞" in str(answer)


class TestSweeps:
    def test_add_up(self) -> None:
        w = leaf()
        for _ in range(3):
            loss = (w * w).sum()
            loss.backward()
        answer = tg.explain(w)
        assert (answer.cause, answer.numbers["sweeps"]) == ("several sweeps", 3)
        np.testing.assert_allclose(answer.numbers["last"] * 2, answer.numbers["before"])

    def test_add_to_what_was_assigned(self) -> None:
        w = leaf()
        w.grad = tg.ones(3, dtype=tg.float64)
        (w * w).sum().backward()
        assert "assigned" in str(tg.explain(w))

    def test_visit_the_youngest_first(self) -> None:
        x = tg.scalar(2.0)
        a = x * 3.0
        f = tg.exp(a) + a
        answer = tg.explain(f, about="order")
        graph = answer.graph
        assert graph is not None
        assert [graph[i].op_name for i in answer.numbers["order"]] == ["add", "exp", "multiply"]
        assert "a has to wait for 2 uses" in " ".join(str(answer).split())

    def test_visit_only_what_requires_a_gradient(self) -> None:
        x = tg.scalar(2.0)
        with tg.record():
            c = tg.tensor(1.0) * 2.0
        f = x * c
        assert tg.explain(f, about="order").numbers["visited"] == 1


class TestAnOp:
    def test_goes_back_by_its_rule(self) -> None:
        x, y = tg.scalar(2.0), tg.scalar(5.0)
        f = x * y
        answer = tg.explain(f, about="rule")
        assert (answer.numbers["x"], answer.numbers["y"]) == (5.0, 2.0)
        assert "g * y" in str(answer)

    def test_goes_back_by_the_words_of_its_declaration(self) -> None:
        x = leaf()
        y = tg.relu(x)
        y.sum().backward()
        answer = tg.explain(y, about="rule")
        assert line_of(answer) == "y = tg.relu(x)"

    def test_stretched_an_input(self) -> None:
        x, b = leaf(4, 3), leaf(3)
        y = x + b
        answer = tg.explain(y, about="broadcasting")
        assert (answer.cause, answer.numbers) == ("stretched", {"b": (0,)})

    def test_stretched_both(self) -> None:
        predicted, y = leaf(4, 1), leaf(4)
        loss = ((predicted - y) ** 2).mean()
        answer = tg.explain(loss, about="broadcasting")
        assert answer.cause == "both stretched"
        assert "(4, 1) and (4,) to (4, 4)" in " ".join(str(answer).split())

    def test_failed_for_shapes_that_do_not_broadcast(self) -> None:
        scores, w = leaf(4, 3), leaf(4)
        with pytest.raises(tg.errors.ShapeError) as caught:
            scores * w
        answer = tg.explain(caught.value)
        assert (answer.cause, answer.numbers["axes"]) == ("broadcast", (-1,))
        assert line_of(answer) == "scores * w"
        assert "tg.expand_dims(y, axis=-1)" in " ".join(str(answer).split())

    def test_failed_for_inner_sizes(self) -> None:
        x, w = leaf(4, 3), leaf(5, 3)
        with pytest.raises(tg.errors.ShapeError) as caught:
            x @ w
        answer = tg.explain(caught.value)
        assert (answer.cause, answer.numbers["inner"]) == ("inner sizes", (3, 5))
        assert ".T of shape (3, 5)" in str(answer)


class TestMemory:
    def test_is_kept_for_ops(self) -> None:
        x = leaf(10, 10)
        y = tg.exp(x) * 2.0
        answer = tg.explain(y, about="memory")
        assert (answer.cause, answer.numbers["bytes"]) == ("kept", 808)

    def test_was_freed(self) -> None:
        x = leaf(10, 10)
        y = tg.exp(x).sum()
        y.backward(free=True)
        assert tg.explain(y, about="memory").cause == "freed"

    def test_is_held_by_a_running_sum(self) -> None:
        w, total = leaf(), tg.tensor(0.0, dtype=tg.float64)
        for _ in range(7):
            total += (w * w).sum()
        answer = tg.explain(total, about="memory")
        assert (answer.cause, answer.numbers["graphs"]) == ("running sum", 7)
        assert line_of(answer) == "total += (w * w).sum()"

    def test_is_not_held_by_a_sum_of_numbers(self) -> None:
        w, total = leaf(), 0.0
        for _ in range(7):
            loss = (w * w).sum()
            total += loss.item()
        assert tg.explain(loss, about="memory").cause == "kept"


def net(depth: int, scale: float) -> nn.Module:
    tg.seed(0)
    layers = [nn.Linear(8, 8) for _ in range(depth)]
    for one in layers:
        one.weight.data = one.weight.detach().numpy() * np.float32(scale)
    return nn.Sequential(*(part for one in layers for part in (one, nn.Tanh())))


class TestGradientsByLayer:
    @pytest.mark.parametrize(
        ("depth", "scale", "cause"), [(12, 0.5, "vanishing"), (3, 1.0, "no fault found")]
    )
    def test_vanish(self, depth: int, scale: float, cause: str) -> None:
        model = net(depth, scale)
        model(tg.ones((4, 8))).sum().backward()
        assert tg.explain(model).cause == cause

    def test_explode(self) -> None:
        class Sine(nn.Module):
            def forward(self, x: tg.Tensor) -> tg.Tensor:
                return tg.sin(x)

        tg.seed(0)
        layers = [nn.Linear(8, 8) for _ in range(8)]
        for one in layers:
            one.weight.data = one.weight.detach().numpy() * np.float32(20)
        model = nn.Sequential(*(part for one in layers for part in (one, Sine())))
        model(tg.ones((4, 8))).sum().backward()
        assert tg.explain(model).cause == "exploding"

    def test_are_alike_after_a_constant_start(self) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        for one in model.parameters():
            one.data = np.full(one.shape, 0.1, np.float32)
        model(tg.ones((2, 3))).sum().backward()
        answer = tg.explain(model)
        assert answer.cause == "identical rows"
        assert "0.weight" in str(answer)

    def test_are_missing_where_a_module_was_not_called(self) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
        model[0](tg.ones((2, 3))).sum().backward()
        answer = tg.explain(model)
        assert "no gradient" in answer.numbers["causes"]
        assert "1.weight, 1.bias" in " ".join(str(answer).split())

    def test_are_missing_before_backward(self) -> None:
        assert tg.explain(nn.Linear(3, 4)).cause == "no gradients"


class TestUnits:
    def test_are_dead_over_a_data_set(self) -> None:
        model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Dropout(0.5), nn.Linear(3, 1))
        model[0].bias.data = np.array([-100.0, 0.0, 100.0], np.float32)
        model[0].weight.data = np.ones((3, 2), np.float32)
        batches = [tg.tensor(np.full((4, 2), sign, np.float32)) for sign in (-1.0, 1.0)]
        answer = tg.explain(model, batches)
        assert (answer.cause, answer.numbers["dead"], answer.numbers["samples"]) == ("dead", 1, 8)
        assert all(one.training for one in model.modules())
        # In the first batch alone, a second unit gives nothing.
        assert tg.explain(model, batches[0]).numbers["dead"] == 2

    @pytest.mark.parametrize(("bias", "saturated"), [(4.0, 3), (0.0, 0)])
    def test_are_saturated(self, bias: float, saturated: int) -> None:
        model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
        model[0].bias.data = np.full(3, bias, np.float32)
        answer = tg.explain(model, tg.zeros((5, 2)))
        assert answer.numbers["saturated"] == saturated


class TestUpdates:
    @pytest.mark.parametrize(
        ("lr", "cause"),
        [(1.0, "large updates"), (1e-3, "updates fit"), (1e-9, "small updates")],
    )
    @pytest.mark.parametrize("make", [tg.optim.SGD, tg.optim.Adam])
    def test_are_compared_with_their_parameters(self, make: type, lr: float, cause: str) -> None:
        w = tg.ones(3, requires_grad=True)
        optimizer = make([w], lr=lr)
        (w * 1.0).sum().backward()
        answer = tg.explain(optimizer)
        assert answer.cause == cause
        assert w.tolist() == [1.0, 1.0, 1.0]
        optimizer.step()
        assert abs(w.tolist()[0] - 1) == pytest.approx(answer.numbers["ratios"][0], rel=0.1)
