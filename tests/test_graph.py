"""Graph: a computation as a value that can be read."""

import gc
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.backends import SMALL
from tinygrad_lab.formatting import array_text, bytes_text

from .op_cases import CASES, ELEMENTWISE, Case, finite_differences, numbers, weights_of


def example() -> tuple[tg.Tensor, ...]:
    x, y, z = tg.scalar(-2.0, name="x"), tg.scalar(5.0, name="y"), tg.scalar(-4.0, name="z")
    q = x + y
    q.name = "q"
    f = q * z
    f.name = "f"
    return x, y, z, q, f


class TestNodes:
    def test_come_in_order_inputs_before_what_is_computed_from_them(self) -> None:
        *_, f = example()
        graph = tg.graph(f)
        assert [node.label for node in graph] == ["x", "y", "z", "q", "f"]
        assert [node.index for node in graph] == list(range(5))
        for node in graph:
            assert all(source.index < node.index for _, source in node.inputs)

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_have_arrays_as_inputs_and_never_as_attributes(self, case: Case) -> None:
        tensors = case.tensors()
        with tg.record():
            graph = tg.graph(case.function(*tensors))
        assert {tensor.node for tensor in tensors} <= {leaf.node for leaf in graph.leaves}
        for node in graph:
            waiting = list(node.attributes.values())
            while waiting:
                value = waiting.pop()
                assert not isinstance(value, np.ndarray | tg.Tensor)
                waiting.extend(value if isinstance(value, tuple | list) else [])

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_are_the_same_each_time_for_every_op(self, case: Case) -> None:
        def shape_of_graph() -> list[Any]:
            graph = tg.graph(case.function(*case.tensors()))
            return [
                (n.op_name, n.shape, n.dtype, [(p, s.index) for p, s in n.inputs]) for n in graph
            ]

        assert shape_of_graph() == shape_of_graph()

    def test_say_what_they_are(self) -> None:
        *_, f = example()
        f.backward()
        node = tg.graph(f)["q"]
        assert node.op_name == "add"
        assert node.symbol == "+"
        assert node.op is not None
        assert node.op.latex == "{x} + {y}"
        assert [(position, source.name) for position, source in node.inputs] == [(0, "x"), (1, "y")]
        assert (node.shape, node.dtype, node.device) == ((), np.float64, "cpu")
        assert (node.value, node.gradient) == (3.0, -4.0)
        assert node.requires_grad
        assert not node.is_leaf

    def test_of_leaves_tell_wanting_a_gradient_from_constants(self) -> None:
        x = tg.scalar(2.0)
        leaf, constant, _ = tg.graph(x * 3.0)
        assert (leaf.op_name, leaf.requires_grad) == ("leaf", True)
        assert (constant.op_name, constant.requires_grad) == ("constant", False)
        assert leaf.is_leaf
        assert constant.is_leaf
        assert constant.value == 3.0
        assert constant.label == "3"

    def test_have_the_attributes_of_their_op(self) -> None:
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        node = tg.graph(x.sum(axis=1, keepdims=True)).outputs[0]
        assert dict(node.attributes) == {"axis": 1, "keepdims": True, "dtype": None}
        assert dict(tg.graph(x * x).outputs[0].attributes) == {}

    def test_are_named_after_the_variables_of_the_caller(self) -> None:
        speed = tg.scalar(2.0)
        energy = speed * speed
        graph = tg.graph(energy)
        assert [node.name for node in graph] == ["speed", "energy"]

    def test_keep_their_own_name_before_that_of_a_variable(self) -> None:
        alias = tg.scalar(2.0, name="own")
        assert [node.name for node in tg.graph(alias * alias)] == ["own", None]

    def test_have_a_label_even_without_a_name(self) -> None:
        graph = tg.graph(tg.scalar(2.0) * tg.scalar(3.0) + 1)
        assert [node.label for node in graph] == ["2", "3", "multiply_2", "1", "add_4"]

    def test_know_the_line_that_made_them(self) -> None:
        x = tg.scalar(2.0)
        square = x * x  # this line
        for out in (square, tg.exp(square), 1 + x):
            line = tg.graph(out).outputs[0].line
            assert line is not None
            assert line.filename == __file__
        line = tg.graph(square)["square"].line
        assert line is not None
        assert line.text == "square = x * x  # this line"
        assert line.function.endswith("test_know_the_line_that_made_them")

    def test_know_the_users_line_also_of_composed_functions_and_modules(self) -> None:
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        with tg.record():
            out = tg.nn.Sequential(tg.nn.Linear(3, 2).to("float64"))(tg.std(x, axis=0)[None])
        for node in tg.graph(out):
            if not node.is_leaf:
                assert node.line is not None
                assert node.line.filename == __file__
                assert "out = tg.nn" in node.line.text

    def test_know_their_module(self) -> None:
        net = tg.nn.Sequential(tg.nn.Linear(3, 2), tg.nn.ReLU())
        out = net(tg.tensor([[1.0, 2.0, 3.0]])).sum()
        modules = {n.op_name: (n.module, n.module_class) for n in tg.graph(out) if not n.is_leaf}
        assert modules["linear"] == ("0", "Linear")
        assert modules["relu"] == ("1", "ReLU")
        assert modules["sum"] == ("", "")

    def test_are_found_by_name_and_number(self) -> None:
        *_, f = example()
        graph = tg.graph(f)
        assert graph["q"].index == 3
        assert graph[-1].name == "f"
        with pytest.raises(KeyError, match=r"no node is named 'w'.*f, q, x, y, z") as caught:
            graph["w"]
        assert isinstance(caught.value, tg.errors.TinygradLabError)
        with pytest.raises(IndexError, match="one of 5 nodes, got 5") as missed:
            graph[5]
        assert isinstance(missed.value, tg.errors.TinygradLabError)

    def test_of_several_outputs_are_listed_once(self) -> None:
        x = tg.scalar(2.0)
        a, b = x * 2, x * 3
        for graph in (
            tg.graph(a, b),
            tg.graph([a, b]),
            tg.graph({"a": a, "b": b}),
            tg.graph(a, b, a),
        ):
            assert [node.name for node in graph.outputs] == ["a", "b"]
            assert sum(node.name == "x" for node in graph) == 1

    def test_of_an_op_with_several_outputs_can_be_read_and_printed(self) -> None:
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        first, second = tg.unstack(x)
        product = first * second
        product.sum().backward()
        graph = tg.graph(product)
        assert [node.op_name for node in graph] == [
            "leaf",
            "unstack",
            "output",
            "output",
            "multiply",
        ]
        assert "unstack" in str(graph)
        assert "None" not in str(graph)
        for node in graph:
            assert node.device == "cpu"
            assert node.label
            assert node.module == ""
            assert node.gradient is not None or node.op_name == "unstack"

    def test_come_from_tensors_alone(self) -> None:
        for wrong in (3.0, "x", [1.0], np.ones(2)):
            with pytest.raises(tg.errors.ArgumentTypeError, match="built from tensors"):
                tg.graph(wrong)
        with pytest.raises(tg.errors.ArgumentTypeError, match="at least one"):
            tg.graph()


class TestEdges:
    def test_of_x_times_x_are_two_each_with_its_own_derivative(self) -> None:
        x = tg.scalar(3.0, name="x")
        graph = tg.graph(x * x)
        assert [(e.source.name, e.position, e.label) for e in graph.edges] == [
            ("x", 0, "x"),
            ("x", 1, "y"),
        ]
        assert [edge.local_derivative() for edge in graph.edges] == [3.0, 3.0]

    def test_of_x_divided_by_x_have_different_derivatives(self) -> None:
        x = tg.scalar(4.0)
        assert [e.local_derivative() for e in tg.graph(x / x).edges] == [0.25, -0.25]

    def test_multiply_to_the_gradient_along_a_path(self) -> None:
        *_, f = example()
        f.backward()
        graph = tg.graph(f)
        for edge in graph.edges:
            slope, above, below = (
                edge.local_derivative(),
                edge.target.gradient,
                edge.source.gradient,
            )
            assert slope is not None
            assert above is not None
            assert below == slope * above

    # The results of these three are outputs of an op with several, which has no shape.
    @pytest.mark.parametrize(
        "case",
        [c for c in CASES if c.name not in ("output", "checkpoint", "module_hooks")],
        ids=str,
    )
    def test_have_the_jacobian_that_finite_differences_find(self, case: Case) -> None:
        tensors = case.tensors()
        out = case.function(*tensors)
        graph = tg.graph(out)
        leaves = {tensor.node: i for i, tensor in enumerate(tensors)}
        edges = [e for e in graph.edges if e.target is graph.outputs[0] and e.needs_gradient]
        assert edges
        for edge in edges:
            jacobian = edge.jacobian()
            assert jacobian is not None
            assert jacobian.shape == out.shape + edge.source.shape
            along = np.tensordot(weights_of(out.shape), jacobian, axes=out.ndim)
            position = leaves[edge.source.node]

            def moved(arrays: Any, position: int = position) -> float:
                arguments = list(case.arrays)
                (arguments[position],) = arrays
                with tg.no_grad():
                    value = case.function(*map(tg.tensor, arguments)).numpy()
                return float((value * weights_of(value.shape)).sum())

            (expected,) = finite_differences(moved, [case.arrays[position]])
            np.testing.assert_allclose(along, expected, rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize(
        "case", [c for c in ELEMENTWISE if len({a.shape for a in c.arrays}) == 1], ids=str
    )
    def test_of_elementwise_ops_have_the_diagonal_of_the_jacobian(self, case: Case) -> None:
        edges = tg.graph(case.function(*case.tensors())).edges
        assert len(edges) == len(case.arrays)
        for edge in edges:
            assert edge.needs_gradient
            derivative, jacobian = edge.local_derivative(), edge.jacobian()
            assert derivative is not None
            assert jacobian is not None
            size = derivative.size
            np.testing.assert_array_equal(
                np.diagonal(jacobian.reshape(size, size)), derivative.ravel()
            )

    def test_have_no_derivative_where_none_flows_or_there_are_several(self) -> None:
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        constant = tg.graph(x * 2.0).edges[1]
        assert constant.local_derivative() is None
        assert not constant.needs_gradient
        total = tg.graph(x.sum()).edges[0]
        assert total.local_derivative() is None
        assert total.jacobian() is not None

    def test_have_no_derivative_once_the_graph_was_freed(self) -> None:
        x = tg.scalar(2.0)
        y = x * x
        y.backward(free=True)
        assert [edge.local_derivative() for edge in tg.graph(y).edges] == [None, None]

    def test_have_the_right_derivative_where_a_joint_rule_skips_an_input(self) -> None:
        lopsided = tg.op(
            "lopsided_of_tests",
            forward=lambda xp, x, y: x + 3 * y,
            vjp={("x", "y"): lambda xp, g: (None, 3 * g)},
        )
        first, second = tg.graph(lopsided(tg.scalar(1.0), tg.scalar(2.0))).edges
        assert first.local_derivative() is None
        assert second.local_derivative() == 3.0

    def test_of_variadic_ops_are_numbered(self) -> None:
        x, y = tg.tensor([1.0], requires_grad=True), tg.tensor([2.0], requires_grad=True)
        assert [edge.label for edge in tg.graph(tg.concat([x, y])).edges] == ["xs[0]", "xs[1]"]
        assert [edge.label for edge in tg.graph(x[[0]]).edges] == ["x", "arrays[0]"]

    def test_reading_them_changes_nothing(self) -> None:
        x = tg.scalar(3.0)
        y = x * x
        for edge in tg.graph(y).edges:
            edge.local_derivative()
            edge.jacobian()
        assert tg.graph(y)["y"].gradient is None
        y.backward()
        assert x.grad is not None
        assert x.grad.item() == 6.0


class TestValuesAndGradients:
    def test_that_were_not_computed_are_none_and_never_zero(self) -> None:
        x, y = tg.scalar(1.0), tg.scalar(2.0)
        z = x * y
        text = str(tg.graph(z))
        assert text.count("not computed") == 3
        (x * 0.0).backward()
        graph = tg.graph(z)
        # What x has collected is another output's gradient.
        assert graph["x"].collected == 0.0
        assert "not computed (.grad 0 of another output)" in str(graph)
        for name in "xyz":
            assert graph[name].gradient is None
        assert str(graph).count("not computed") == 3

    def test_of_a_leaf_are_zeroed_with_its_tensor(self) -> None:
        x = tg.scalar(3.0)
        y = x * x
        y.backward()
        assert tg.graph(y)["x"].gradient == 6.0
        x.grad = None
        assert tg.graph(y)["x"].gradient is None

    def test_that_are_large_are_shown_as_shape_and_dtype(self) -> None:
        x = tg.tensor(np.ones(SMALL + 1), requires_grad=True)
        y = x * 2.0
        node = tg.graph(y)["y"]
        assert node.value is None
        assert (node.shape, node.dtype, node.device) == ((SMALL + 1,), np.float64, "cpu")
        assert "not kept" in str(tg.graph(y))

    def test_that_were_computed_and_not_kept_are_not_called_not_computed(self) -> None:
        x = tg.tensor(np.ones(SMALL + 1), requires_grad=True)
        y = x * 2.0
        z = y.sum()
        z.backward()
        (row,) = [line for line in str(tg.graph(z)).splitlines() if line.split()[1] == "y"]
        assert "not computed" not in row

    def test_of_a_transform_leave_the_pictures_gradients_alone(self) -> None:
        for x in (tg.scalar(2.0), tg.tensor([2.0], requires_grad=True)):
            y = x * x
            z = y * y
            tg.autograd.grad(z, x)
            assert tg.graph(z)["y"].gradient is None
            assert tg.graph(z)["x"].gradient is None

    def test_recorded_without_gradients_make_a_graph_too(self) -> None:
        with tg.record(), tg.no_grad():
            y = (tg.tensor([1.0, 2.0]) * 3.0).sum()
            equal = y == 9.0
        assert [node.op_name for node in tg.graph(equal)] == [
            "constant",
            "constant",
            "multiply",
            "sum",
            "constant",
            "equal",
        ]
        assert not any(node.requires_grad for node in tg.graph(equal))


class TestWhatBackwardKeeps:
    def test_has_names_shapes_and_bytes(self) -> None:
        x = tg.tensor(np.ones((2, 3), np.float32), requires_grad=True)
        y = x.exp()
        (kept,) = tg.graph(y)["y"].keeps
        assert (kept.name, kept.shape, kept.dtype, kept.nbytes) == ("out", (2, 3), np.float32, 24)
        assert tg.graph(y).nbytes_kept == tg.graph(y)["y"].nbytes_kept == 24

    def test_of_python_floats_is_eight_bytes_each(self) -> None:
        x = tg.scalar(2.0)
        assert tg.graph(x * x).nbytes_kept in (8, 16)
        assert [kept.nbytes for kept in tg.graph(x * 3.0).outputs[0].keeps] == [8]

    def test_does_not_count_shapes_and_attributes(self) -> None:
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        assert tg.graph(x.sum(axis=0)).nbytes_kept == 0

    @pytest.mark.parametrize("case", CASES, ids=str)
    def test_can_be_told_of_every_op(self, case: Case) -> None:
        graph = tg.graph(case.function(*case.tensors()))
        for node in graph:
            assert node.nbytes_kept == sum(kept.nbytes for kept in node.keeps)
        assert graph.nbytes_kept <= sum(node.nbytes_kept for node in graph)


class TestText:
    def test_is_a_table_with_a_row_for_every_node(self) -> None:
        *_, f = example()
        f.backward()
        lines = str(tg.graph(f)).splitlines()
        assert lines[0].split()[:4] == ["#", "node", "op", "inputs"]
        assert len(lines) == 6
        assert lines[1].split()[:3] == ["0", "x", "leaf"]
        assert lines[5].split()[:5] == ["4", "f", "×", "3", "2"]
        assert "test_graph.py" in lines[5]
        assert "f = q * z" in lines[5]
        assert all(line == line.rstrip() for line in lines)

    def test_shows_modules_where_there_are_some(self) -> None:
        net = tg.nn.Sequential(tg.nn.Linear(3, 2), tg.nn.ReLU())
        text = str(tg.graph(net(tg.tensor([[1.0, 2.0, 3.0]]))))
        assert "module" in text.splitlines()[0]

    def test_of_repr_is_one_line(self) -> None:
        *_, f = example()
        assert repr(tg.graph(f)) == "<Graph of f: 5 nodes, 4 edges>"

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, "not kept"),
            (2.0, "2"),
            (1 / 3, "0.3333"),
            (np.asarray(3), "3"),
            (np.array([1.0, 2.5]), "[1.  2.5]"),
            (np.zeros((0, 3)), "empty"),
            (np.arange(10), "0 … 9"),
            (np.array([np.nan] * 9), "9 NaN"),
            (np.array([True] * 9), "True … True"),
        ],
    )
    def test_of_numbers_is_short(self, value: Any, text: str) -> None:
        assert array_text(value) == text

    @pytest.mark.parametrize(
        ("count", "text"), [(8, "8 B"), (1500, "1.5 kB"), (4e6, "4 MB"), (2.5e9, "2.5 GB")]
    )
    def test_of_bytes_has_a_unit(self, count: int, text: str) -> None:
        assert bytes_text(count) == text


class TestOpened:
    def test_shows_a_fused_op_as_the_small_ops_it_is_composed_of(self) -> None:
        logits = tg.tensor(numbers(2, 3), requires_grad=True, name="logits")
        loss = tg.cross_entropy(logits, tg.tensor([0, 2]))
        loss.backward()
        opened = tg.graph(loss).opened()
        assert "cross_entropy" not in [node.op_name for node in opened]
        assert opened.outputs[0].name == "loss"
        np.testing.assert_allclose(opened.outputs[0].value, loss.item())
        np.testing.assert_allclose(opened["logits"].gradient, logits.grad.numpy())  # type: ignore[union-attr]
        for node in opened:
            assert all(source.index < node.index for _, source in node.inputs)

    def test_leaves_the_graph_it_was_opened_from_as_it_was(self) -> None:
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        y = tg.linear(x, tg.tensor(numbers(4, 3), requires_grad=True)).sum()
        graph = tg.graph(y)
        before = str(graph)
        graph.opened()
        assert str(graph) == before
        assert x.grad is None


def test_a_graph_holds_no_tensor() -> None:
    *_, f = example()
    graph = tg.graph(f)
    seen: set[int] = set()
    waiting: list[Any] = [graph]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or type(one).__name__ in ("module", "function"):
            continue
        seen.add(id(one))
        assert not isinstance(one, tg.Tensor)
        waiting.extend(gc.get_referents(one))


class TestDataThatWasReplaced:
    def test_do_not_change_what_older_graphs_show(self) -> None:
        x = tg.scalar(3.0, name="x")
        y = x * x
        y.backward()
        x.data = 5.0
        older, newer = tg.graph(y), tg.graph(x * 2.0)
        assert older["x"].value == 3.0
        assert older["x"].gradient == 6.0
        assert newer["x"].value == 5.0

    def test_do_not_cut_older_graphs_off(self) -> None:
        x = tg.tensor([3.0], requires_grad=True)
        y = (x * x).sum()
        optimizer = tg.optim.SGD([x], lr=0.5)
        y.backward()
        optimizer.step()
        (gradient,) = tg.autograd.grad(y, x)
        assert gradient is not None
        assert gradient.tolist() == [6.0]
        y.backward()
        assert x.grad is not None
        assert x.grad.tolist() == [12.0]

    def test_of_two_generations_in_one_graph_add_up(self) -> None:
        x = tg.scalar(3.0)
        y = x * x
        x.data = 5.0
        (gradient,) = tg.autograd.grad(y + x * x, x)
        assert gradient is not None
        assert gradient.item() == 6.0 + 10.0

    def test_keep_their_hooks(self) -> None:
        x = tg.scalar(3.0)
        x.register_hook(lambda g: 2.0 * g)
        x.data = 5.0
        (x * 1.0).backward()
        assert x.grad is not None
        assert x.grad.item() == 2.0

    def test_lend_their_hooks_to_graphs_of_older_data(self) -> None:
        x = tg.scalar(3.0)
        y = x * 1.0
        x.data = 5.0
        x.register_hook(lambda g: 2.0 * g)
        (gradient,) = tg.autograd.grad(y, x)
        assert gradient is not None
        assert gradient.item() == 2.0
