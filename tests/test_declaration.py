"""An op is one declaration; what is generated from it does what the declaration says."""

import functools
import importlib
import inspect
import itertools
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.backends import NUMPY
from tinygrad_lab.engine.declare import PLAIN, functions
from tinygrad_lab.engine.fast.node_classes import WrittenNode
from tinygrad_lab.engine.node import Application, Node
from tinygrad_lab.engine.op import table
from tinygrad_lab.errors import DeclarationError, ShapeError

from .op_cases import CASES, ELEMENTWISE, Array, Case, numbers, weights_of

fresh = itertools.count()


def declare(**declaration: Any) -> Callable[..., tg.Tensor]:
    """An op with a name of its own."""
    return tg.op(f"op_{next(fresh)}_of_tests", **declaration)


def leaf(*values: float, dtype: Any = np.float32) -> tg.Tensor:
    return tg.tensor(np.array(values, dtype), requires_grad=True)


def gradients(out: tg.Tensor, *leaves: tg.Tensor) -> list[Any]:
    out.backward(gradient=np.ones(out.shape))
    return [None if one.grad is None else one.grad.tolist() for one in leaves]


class TestAUsersOp:
    def test_is_ten_lines_and_differentiable_any_number_of_times(self) -> None:
        cube = declare(
            symbol="x³",
            forward=lambda xp, x: x * x * x,
            vjp={"x": lambda xp, g, x: g * (x * x + x * x + x * x)},
            latex="{x}^3",
            elementwise=True,
        )
        for kind in (float, np.float64, lambda v: np.array([v])):
            order = lambda x: cube(x).sum()  # noqa: E731
            for expected in (12.0, 12.0, 6.0, 0.0):
                order = tg.grad(lambda x, f=order: f(x).sum())
                assert order(kind(2.0)).item() == expected

    def test_is_in_the_table_with_all_that_readers_want(self) -> None:
        named = tg.op(
            "named_of_tests", "N", forward=lambda xp, x: x + 0, latex="N({x})", doc="Doc."
        )
        op = table["named_of_tests"]
        assert (op.name, op.symbol, op.latex, op.inputs) == (
            "named_of_tests",
            "N",
            "N({x})",
            ("x",),
        )
        assert named.__name__ == "named_of_tests"
        assert named.__doc__ == "Doc."
        assert str(inspect.signature(named)) == "(x)"

    def test_has_its_name_for_a_symbol_if_none_is_given(self) -> None:
        tg.op("plain_of_tests", forward=lambda xp, x: x + 0)
        assert table["plain_of_tests"].symbol == "plain_of_tests"

    @pytest.mark.parametrize("target", [leaf(1.0, 2.0), leaf(1.0, 2.0, 3.0)])
    def test_whose_rule_gives_another_shape_says_which_op_and_line(self, target: tg.Tensor) -> None:
        total = declare(forward=lambda xp, x: xp.sum(x), vjp={"x": lambda xp, g: g})
        shapes = rf"shape \(\) to an input of shape \({target.size},\)"
        with pytest.raises(ShapeError, match=shapes) as raised:
            total(target).backward()
        (note,) = raised.value.__notes__
        assert re.search(r"op_\d+_of_tests\n  at .*test_declaration.py:\d+: total\(target\)", note)

    def test_without_a_rule_passes_no_gradient(self) -> None:
        flat = declare(forward=lambda xp, x: xp.floor(x))
        assert not flat(leaf(1.5)).requires_grad

    def test_passes_a_gradient_to_the_inputs_that_have_a_rule_alone(self) -> None:
        for elementwise in (False, True):
            half = declare(
                forward=lambda xp, x, y: x * y,
                vjp={"x": lambda xp, g, y: g * y},
                elementwise=elementwise,
            )
            x, y = leaf(2.0), leaf(3.0)
            assert gradients(half(x, y), x, y) == [[3.0], None]
            assert not half(x.detach(), y).requires_grad

    def test_takes_attributes_with_and_without_defaults(self) -> None:
        scale = declare(
            forward=lambda xp, x, *, by, plus=1: x * by + plus,
            vjp={"x": lambda xp, g, by: g * by},
        )
        x = leaf(2.0)
        assert scale(x, by=3).tolist() == [7.0]
        assert scale(x, 3, plus=0).tolist() == [6.0]
        assert gradients(scale(x, by=3), x) == [[3.0]]
        with pytest.raises(TypeError, match="by"):
            scale(x)

    def test_may_leave_out_inputs(self) -> None:
        affine = declare(
            forward=lambda xp, x, y=None: x if y is None else x + y,
            vjp={"x": lambda xp, g: g, "y": lambda xp, g: g},
        )
        x, y = leaf(2.0), leaf(3.0)
        assert gradients(affine(x), x) == [[1.0]]
        assert gradients(affine(x, y), x, y) == [[2.0], [1.0]]

    def test_takes_any_number_of_inputs(self) -> None:
        total = declare(
            forward=lambda xp, scale, *xs: scale * sum(xs),
            vjp={
                "xs": lambda xp, g, scale, xs: [g * scale for _ in xs],
                "scale": lambda xp, g, xs: g * sum(xs),
            },
        )
        scale, x, y = leaf(2.0), leaf(3.0), leaf(4.0)
        assert gradients(total(scale, x, y, x), scale, x, y) == [[10.0], [4.0], [2.0]]
        assert gradients(total(scale.detach(), y), y) == [[4.0]]

    def test_may_have_one_joint_rule_that_skips_what_is_not_needed(self) -> None:
        asked = []

        def joint(xp: Any, g: Any, x: Any, y: Any, needs: Any) -> Any:
            asked.append(needs)
            return (g * y if needs[0] else None, g * x if needs[1] else None)

        product = declare(forward=lambda xp, x, y: x * y, vjp=joint)
        x, y = leaf(2.0), leaf(3.0)
        assert gradients(product(x, y), x, y) == [[3.0], [2.0]]
        assert gradients(product(x, y.detach()), x) == [[6.0]]
        assert asked == [(True, True), (True, False)]

    def test_may_ask_for_shapes_dtypes_and_attributes_without_keeping_an_array(self) -> None:
        seen: list[Any] = []

        def rule(xp: Any, g: Any, x_shape: Any, x_dtype: Any, x_device: Any, factor: Any) -> Any:
            seen.append((x_shape, x_dtype, x_device, factor))
            return g * factor

        scale = declare(forward=lambda xp, x, *, factor: x * factor, vjp={"x": rule})
        x = leaf(1.0, 2.0)
        out = scale(x, factor=2.0)
        assert tg.graph(out).nbytes_kept == 0
        assert gradients(out, x) == [[2.0, 2.0]]
        assert seen == [((2,), np.float32, "cpu", 2.0)]

    def test_may_hand_its_rule_a_residual(self) -> None:
        mask = declare(
            forward=lambda xp, x: (xp.where(x > 0, x, 0 * x), x > 0),
            vjp={"x": lambda xp, g, residual: xp.where(residual, g, 0 * g)},
            residual=True,
        )
        x = leaf(-1.0, 2.0)
        out = mask(x)
        assert [(kept.name, kept.dtype) for kept in tg.graph(out).outputs[0].keeps] == [
            ("residual", np.bool_)
        ]
        assert gradients(out, x) == [[0.0, 1.0]]

    def test_works_on_raw_arrays_and_numbers(self) -> None:
        double = declare(forward=lambda xp, x: x + x, vjp={"x": lambda xp, g: g + g})
        assert double(2.0).item() == 4.0
        assert double(np.array([1.0])).tolist() == [2.0]

    def test_can_be_called_by_rules_and_forwards_of_others(self) -> None:
        tg.op("inner_of_tests", forward=lambda xp, x: x * x, vjp={"x": lambda xp, g, x: g * 2 * x})
        outer = declare(
            forward=lambda xp, x: xp.inner_of_tests(x) * x,
            vjp={"x": lambda xp, g, x: g * 3 * xp.inner_of_tests(x)},
        )
        assert [tg.grad(outer)(2.0).item(), tg.grad(tg.grad(outer))(2.0).item()] == [12.0, 12.0]

    def test_that_fails_is_explained_with_its_own_check(self) -> None:
        def check(x: Any, y: Any) -> str | None:
            return "expected two elements." if x.shape != (2,) else None

        picky = declare(forward=lambda xp, x, y: xp.reshape(x, (2,)) + y, check=check)
        with pytest.raises(tg.errors.ShapeError, match="expected two elements") as caught:
            picky(leaf(1.0, 2.0, 3.0), leaf(1.0))
        assert "x: (3,) float32" in str(caught.value)

    @pytest.mark.parametrize("elementwise", [False, True])
    def test_that_fails_says_where_also_on_the_direct_way(self, elementwise: bool) -> None:
        def forward(xp: Any, x: Any) -> Any:
            raise ValueError("out of luck")

        unlucky = tg.op(
            f"unlucky_{elementwise}_of_tests",
            forward=forward,
            vjp={"x": lambda xp, g: g},
            elementwise=elementwise,
        )
        for x in (leaf(1.0), tg.scalar(1.0)):
            with pytest.raises(tg.errors.TinygradLabError) as caught:
                unlucky(x)  # the line that is meant
            assert "unlucky" in str(caught.value)
            assert "out of luck" in str(caught.value)
            assert "unlucky(x)  # the line that is meant" in str(caught.value)


def has_direct_way(op: Callable[..., Any]) -> bool:
    """Whether applying an op was written out; it is when the op is first called."""
    return "ordinary" in op.__code__.co_names


class TestElementwiseOpsOfUsers:
    """The direct way is for the ordinary case; whatever is not ordinary must still be right."""

    def check(
        self, op: Callable[..., tg.Tensor], expected: list[list[float]], direct: bool = True
    ) -> None:
        """Gradients at (2, 3) and (5, 7), on the direct way, when recording, in the plain engine.

        ``direct`` says whether there is a direct way.
        """
        for block in (nullcontext, tg.record, tg.plain):
            inputs = [leaf(2.0, 3.0), leaf(5.0, 7.0)][: len(expected)]
            with block():
                out = op(*inputs)
            written = direct and not PLAIN and block is nullcontext
            if out.requires_grad:
                assert isinstance(out.node, WrittenNode if written else Application)
            assert has_direct_way(op) == (direct and not PLAIN)
            assert gradients(out, *inputs) == expected
            for one in inputs:
                assert one.grad is not None
                assert one.grad.dtype == one.dtype

    def test_with_a_joint_rule(self) -> None:
        product = declare(
            elementwise=True,
            forward=lambda xp, x, y: x * y,
            vjp=lambda xp, g, x, y: (g * y, g * x),
        )
        self.check(product, [[5.0, 7.0], [2.0, 3.0]])

    def test_with_a_joint_rule_of_one_input(self) -> None:
        square = declare(
            elementwise=True, forward=lambda xp, x: x * x, vjp=lambda xp, g, x: (g * 2 * x,)
        )
        self.check(square, [[4.0, 6.0]])

    def test_with_a_rule_that_asks_for_shape_and_dtype(self) -> None:
        double = declare(
            elementwise=True,
            forward=lambda xp, x: x + x,
            vjp={
                "x": lambda xp, g, x_shape, x_dtype: xp.astype(2 * xp.reshape(g, x_shape), x_dtype)
            },
        )
        self.check(double, [[2.0, 2.0]])

    def test_with_a_rule_that_asks_which_inputs_need_it(self) -> None:
        double = declare(
            elementwise=True,
            forward=lambda xp, x: x + x,
            vjp={"x": lambda xp, g, needs: g * (2 if needs == (True,) else 0)},
        )
        self.check(double, [[2.0, 2.0]])

    def test_with_a_residual(self) -> None:
        step = declare(
            elementwise=True,
            forward=lambda xp, x: (xp.where(x > 2, x, 0 * x), x > 2),
            vjp={"x": lambda xp, g, residual: xp.where(residual, g, 0 * g)},
            residual=True,
        )
        self.check(step, [[0.0, 1.0]])

    def test_with_a_rule_that_gives_none(self) -> None:
        stop = declare(
            elementwise=True,
            forward=lambda xp, x, y: x + y,
            vjp={"x": lambda xp, g: None, "y": lambda xp, g: g},
        )
        for _ in range(2):
            x, y = leaf(1.0), leaf(2.0)
            assert gradients(stop(x, y), x, y) == [None, [1.0]]

    def test_with_a_rule_that_widens(self) -> None:
        double = declare(
            elementwise=True,
            forward=lambda xp, x: x + x,
            vjp={"x": lambda xp, g: g * np.float64(2.0)},
        )
        self.check(double, [[2.0, 2.0]])

    def test_with_a_forward_that_gives_another_dtype(self) -> None:
        wide = declare(
            elementwise=True,
            forward=lambda xp, x: xp.astype(x, np.float64),
            vjp={"x": lambda xp, g: g},
        )
        x = leaf(2.0, 3.0)
        out = wide(x)
        assert out.dtype == tg.graph(out).outputs[0].dtype == np.float64
        self.check(wide, [[1.0, 1.0]])

    def test_with_a_composite(self) -> None:
        fused = declare(
            elementwise=True,
            forward=lambda xp, x, y: x * x * y,
            vjp={"x": lambda xp, g, x, y: g * 2 * x * y, "y": lambda xp, g, x: g * x * x},
            composite=lambda x, y: x * x * y,
        )
        self.check(fused, [[20.0, 42.0], [4.0, 9.0]])
        assert tg.grad(tg.grad(lambda x: fused(x, tg.scalar(5.0))))(2.0).item() == 10.0

    def test_with_lambdas_inside_lambdas(self) -> None:
        shadow = declare(
            elementwise=True,
            forward=lambda xp, x: (lambda x: x * 2)(x + 1),
            vjp={"x": lambda xp, g: (lambda g: g * 2)(g)},
        )
        x = leaf(2.0, 3.0)
        assert shadow(x).tolist() == shadow(x.detach()).tolist() == [6.0, 8.0]
        self.check(shadow, [[2.0, 2.0]])

    def test_with_lambdas_that_use_names_around_them(self) -> None:
        factor = 3.0
        scale = declare(
            elementwise=True,
            forward=lambda xp, x: x * factor,
            vjp={"x": lambda xp, g: g * factor},
        )
        self.check(scale, [[3.0, 3.0]])

    def test_with_several_lambdas_on_one_line(self) -> None:
        # fmt: off
        double, triple = (declare(elementwise=True, forward=lambda xp, x: x * 2, vjp={"x": lambda xp, g: g * 2}), declare(elementwise=True, forward=lambda xp, x: x * 3, vjp={"x": lambda xp, g: g * 3}))  # noqa: E501
        # fmt: on
        self.check(double, [[2.0, 2.0]])
        self.check(triple, [[3.0, 3.0]])

    def test_with_functions_that_are_no_lambdas(self) -> None:
        def forward(xp: Any, x: Any, y: Any) -> Any:
            return x * y

        def by_x(xp: Any, g: Any, y: Any) -> Any:
            return g * y

        product = declare(
            elementwise=True, forward=forward, vjp={"x": by_x, "y": lambda xp, g, x: g * x}
        )
        self.check(product, [[5.0, 7.0], [2.0, 3.0]])

    def test_without_source(self) -> None:
        product = declare(
            elementwise=True,
            forward=eval("lambda xp, x: x * x"),
            vjp={"x": eval("lambda xp, g, x: g * 2 * x")},
        )
        self.check(product, [[4.0, 6.0]])

    @pytest.mark.parametrize(
        "name",
        [
            "x",
            "op",
            "apply",
            "Tensor",
            "context",
            "current",
            "form",
            "node",
            "frame",
            "code",
            "kind",
            "tensor",
            "detached",
            "forward",
            "namespaces",
            "Node",
            "next_priority",
            "getframe",
            "is_library",
            "user_site",
            "remaining",
            "application",
            "self",
        ],
    )
    @pytest.mark.parametrize("attribute", [False, True])
    def test_whatever_their_inputs_are_called(self, name: str, attribute: bool) -> None:
        more = ", *, plus=0" if attribute else ""
        square = declare(
            elementwise=True,
            forward=eval(f"lambda xp, {name}{more}: {name} * {name}"),
            vjp={name: eval(f"lambda xp, g, {name}: g * 2 * {name}")},
        )
        for x in (leaf(2.0, 3.0), tg.scalar(2.0), tg.tensor([2.0]), 2.0, np.array([2.0])):
            value = np.asarray(x.detach() if isinstance(x, tg.Tensor) else x)
            np.testing.assert_allclose(np.asarray(square(x).detach()), value**2)
        # Names that the written function has a use for itself: such an op is applied by `apply`.
        self.check(square, [[4.0, 6.0]], direct=name in _NOT_USED)

    @pytest.mark.parametrize("name", ["op", "apply", "current", "Node", "Tensor", "application"])
    def test_whatever_they_are_called(self, name: str) -> None:
        square = tg.op(
            name,
            elementwise=True,
            forward=lambda xp, x: x * x,
            vjp={"x": lambda xp, g, x: g * 2 * x},
        )
        assert square(2.0).item() == 4.0
        self.check(square, [[4.0, 6.0]], direct=name in _NOT_USED)

    def test_from_a_file_that_was_changed_and_loaded_again_follow_the_change(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = """
            import tinygrad_lab as tg
            power = tg.op("power_of_tests", elementwise=True,
                          forward=lambda xp, x: {value},
                          vjp={{"x": lambda xp, g, x: {slope}}})
        """
        file = tmp_path / "my_own_op_of_tests.py"
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        file.write_text(textwrap.dedent(source.format(value="x * x", slope="g * (x + x)")))
        module = importlib.import_module(file.stem)
        self.check(module.power, [[4.0, 6.0]])
        file.write_text(textwrap.dedent(source.format(value="x * x * x", slope="g * 3 * x * x")))
        os.utime(file, (2e9, 2e9))
        module = importlib.reload(module)
        self.check(module.power, [[12.0, 27.0]])

    def test_declared_after_their_file_was_changed_do_what_was_loaded(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file = tmp_path / "my_late_op_of_tests.py"
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        file.write_text("forward = lambda xp, x: x * x\nrule = lambda xp, g, x: g * (x + x)\n")
        module = importlib.import_module(file.stem)
        file.write_text("forward = lambda xp, x: x * 0\nrule = lambda xp, g, x: g * (x * 0)\n")
        late = declare(elementwise=True, forward=module.forward, vjp={"x": module.rule})
        self.check(late, [[4.0, 6.0]])


ENDS_UP_PLAIN = {
    "a name of written functions": (lambda xp, _op, y: _op * y, "_op", "y"),
    "a variable of written functions": (lambda xp, kind, y: kind * y, "kind", "y"),
    "what Python itself needs": (lambda xp, isinstance, y: isinstance * y, "isinstance", "y"),
    "inputs by position alone": (lambda xp, x, /, y: x * y, "x", "y"),
}


class TestOddDeclarations:
    """Whatever an op is made of, it is right, and the same in the plain and in the fast engine."""

    @pytest.mark.parametrize("case", ENDS_UP_PLAIN)
    def test_with_names_that_written_functions_cannot_take(self, case: str) -> None:
        forward, x, y = ENDS_UP_PLAIN[case]
        rules = {
            x: eval(f"lambda xp, g, {y}: g * {y}"),
            y: eval(f"lambda xp, g, {x}: g * {x}"),
        }
        product = declare(forward=forward, vjp=rules)
        inputs = leaf(2.0, 3.0), leaf(5.0, 7.0)
        assert gradients(product(*inputs), *inputs) == [[5.0, 7.0], [2.0, 3.0]]
        assert not has_direct_way(product)

    def test_with_a_name_that_python_reads_as_another(self) -> None:
        micro = tg.op("µ_of_tests", forward=lambda xp, x: x * 1e-6)
        assert micro(1.0).item() == 1e-6

    def test_inputs_by_position_alone_are_not_taken_by_name(self) -> None:
        product = declare(forward=lambda xp, x, /, y: x * y)
        with pytest.raises(TypeError, match="x"):
            product(x=1.0, y=2.0)

    def test_with_a_callable_object_or_a_partial_function(self) -> None:
        class Forward:
            def __call__(self, xp: Any, x: Any) -> Any:
                return x * 2

        def times(factor: float, xp: Any, x: Any) -> Any:
            return x * factor

        for forward in (Forward(), functools.partial(times, 2.0)):
            for elementwise in (False, True):
                double = tg.op(
                    f"op_{next(fresh)}_of_tests",
                    forward=forward,
                    vjp={"x": lambda xp, g: g * 2},
                    elementwise=elementwise,
                )
                x = leaf(1.0, 2.0)
                assert gradients(double(x), x) == [[2.0, 2.0]]
                op = double.op  # type: ignore[attr-defined]
                assert getattr(NUMPY, op.name)(np.ones(1)).tolist() == [2.0]
                tg.op(op.name, forward=forward)  # it may be declared again

    def test_does_not_change_what_the_rules_of_the_package_call(self) -> None:
        def curvature() -> Any:
            return tg.hessian(lambda v: (tg.relu(v) * v).sum())(tg.tensor([1.0, 2.0])).tolist()

        before = curvature()
        tg.op(
            "where_positive",
            forward=lambda xp, condition, x: x * 7,
            vjp={"x": lambda xp, g: g * 7},
        )
        assert curvature() == before

    def test_that_is_freed_twice_raises_where_a_rule_asks_for_something(self) -> None:
        keeps_for_its_composite = declare(
            forward=lambda xp, x, y: x + y,
            composite=lambda x, y: x + y,
            vjp={"x": lambda xp, g: g, "y": lambda xp, g: g},
        )
        x, y = leaf(1.0), leaf(2.0)
        for function, asks in ((keeps_for_its_composite, False), (tg.multiply, True)):
            for block in (nullcontext, tg.plain):
                with block():
                    out = function(x, y)
                out.backward(free=True)
                if asks:
                    with pytest.raises(tg.errors.GraphFreedError):
                        out.backward(free=True)
                else:
                    out.backward(free=True)

    def test_a_complex_output_is_refused_only_where_a_gradient_would_flow(self) -> None:
        scaled = declare(forward=lambda xp, x, y: x * y, vjp={"x": lambda xp, g, y: g * y})
        condition = tg.tensor([0.0, 1.0], requires_grad=True)
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        z = tg.tensor(np.array([1j, 2.0]))
        for block in (nullcontext, tg.plain):
            with block():
                assert not tg.where(condition, z, 0.0).requires_grad
                assert scaled(z, x).dtype == z.dtype
                with pytest.raises(tg.errors.DTypeError, match="complex"):
                    scaled(x, z)

    def test_a_number_beyond_floats_is_an_error_that_names_op_and_line(self) -> None:
        for block in (nullcontext, tg.plain):
            for x in (tg.scalar(2.0), leaf(2.0)):
                with block(), pytest.raises(tg.errors.TinygradLabError) as caught:
                    x * 10**400
                assert "multiply" in str(caught.value)
                assert "x * 10**400" in str(caught.value)

    def test_a_forward_that_fails_runs_once(self) -> None:
        calls = []

        def forward(xp: Any, x: Any) -> Any:
            calls.append(x)
            raise ValueError("out of luck")

        unlucky = declare(forward=forward, vjp={"x": lambda xp, g: g})
        with pytest.raises(tg.errors.TinygradLabError, match="out of luck"):
            unlucky(leaf(1.0))
        assert len(calls) == 1

    def test_can_be_pickled_where_it_is_declared_in_a_module(self) -> None:
        assert CUBE.__module__ == __name__


CUBE = tg.op("cube_of_tests", forward=lambda xp, x: x * x * x)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize(
    "op",
    [
        op
        for op in table.values()
        if op.elementwise and op.rules and not op.attributes and len(op.inputs) <= 2
    ],
    ids=lambda op: op.name,
)
def test_elementwise_ops_give_the_form_of_their_inputs(op: Any, dtype: Any) -> None:
    """The short path takes that for granted."""
    function = functions[op.name]
    values = np.array([1.25, 1.5], dtype) if op.name == "acosh" else np.array([0.25, 0.5], dtype)
    for others in ([], [2.0], [1]) if len(op.inputs) == 2 else ([],):
        x = tg.tensor(values, requires_grad=True)
        inputs = [x, *others] if len(op.inputs) == len([x, *others]) else [x, x]
        out = function(*inputs)
        if not out.requires_grad:
            continue
        out.backward(gradient=np.ones(2, dtype))
        assert x.grad is not None
        assert (out.dtype, out.node.form.dtype, x.grad.dtype) == (dtype, dtype, dtype)


_NOT_USED = {"x", "op", "apply", "Node", "remaining", "application", "self"}
"""Names that a written function has no use for."""


class TestWrongDeclarations:
    @pytest.mark.parametrize(
        ("declaration", "message"),
        [
            ({"forward": lambda x: x}, r"expected forward\(xp"),
            ({"forward": lambda: 1}, r"expected forward\(xp"),
            ({"forward": None}, "forward"),
            ({"forward": lambda xp, x: x, "vjp": {"x": lambda xp, g, z: g}}, "may ask for"),
            ({"forward": lambda xp, x: x, "vjp": {"x": lambda xp, g, residual: g}}, "may ask for"),
            ({"forward": lambda xp, x: x, "vjp": {"x": lambda xp, g, y_shape: g}}, "may ask for"),
            ({"forward": lambda xp, x: x, "vjp": {"x": lambda g, xp: g}}, r"rule\(xp, g"),
            ({"forward": lambda xp, x: x, "vjp": {"x": lambda xp: xp}}, r"rule\(xp, g"),
            ({"forward": lambda xp, x: x, "vjp": {"x": lambda: 1}}, r"rule\(xp, g"),
            ({"forward": lambda xp, x: x, "vjp": {"z": lambda xp, g: g}}, "z"),
            ({"forward": lambda xp, x: x, "vjp": {"x": 3}}, "x"),
            (
                {
                    "forward": lambda xp, x, y: x,
                    "vjp": {("x", "y"): lambda xp, g: (g, g), "x": lambda xp, g: g},
                },
                "x",
            ),
            ({"forward": lambda xp, x, **rest: x}, "rest"),
            ({"forward": lambda xp, x, out: x}, "out"),
            ({"forward": lambda xp: 1.0, "vjp": lambda xp, g: ()}, "input"),
        ],
        ids=[
            "forward without xp",
            "forward without anything",
            "no forward",
            "asks for what is not there",
            "asks for a residual that is none",
            "asks for the shape of what is not there",
            "g and xp swapped",
            "no g",
            "nothing",
            "rule for no input",
            "rule that is no function",
            "two rules for one input",
            "forward that takes anything",
            "input called like the output",
            "no input",
        ],
    )
    def test_fail_at_once_and_say_what_was_expected(
        self, declaration: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(DeclarationError, match=message) as caught:
            tg.op("wrong_of_tests", **declaration)
        assert "'wrong_of_tests'" in str(caught.value)
        assert isinstance(caught.value, TypeError)
        assert "wrong_of_tests" not in table

    @pytest.mark.parametrize("name", ["my op", "lambda", "1x", ""])
    def test_of_names_that_python_cannot_call_fail(self, name: str) -> None:
        with pytest.raises(DeclarationError, match="name"):
            tg.op(name, forward=lambda xp, x: x)

    @pytest.mark.parametrize("name", ["add", "output", "matmul"])
    def test_do_not_replace_the_ops_of_the_library_behind_its_back(self, name: str) -> None:
        before = table[name]
        with pytest.raises(DeclarationError, match="there is one already"):
            tg.op(name, forward=lambda xp, x: x * 0, vjp={"x": lambda xp, g: g * 0})
        assert table[name] is before
        x = tg.tensor(numbers(2, 3), requires_grad=True)
        one, other = tg.unstack(x)
        ((one + other) @ one).backward()
        assert x.grad is not None
        assert x.grad.numpy().all()

    def test_can_be_corrected(self) -> None:
        tg.op("again_of_tests", forward=lambda xp, x: x * 2, vjp={"x": lambda xp, g: g})
        double = tg.op(
            "again_of_tests", forward=lambda xp, x: x * 2, vjp={"x": lambda xp, g: g * 2}
        )
        assert tg.grad(double)(1.0).item() == 2.0
        assert table["again_of_tests"] is double.op  # type: ignore[attr-defined]


def summed_to(gradient: Array, shape: tuple[int, ...]) -> Array:
    """A gradient, summed over the axes along which a value of that shape was repeated."""
    while gradient.ndim > len(shape):
        gradient = gradient.sum(axis=0)
    for axis, size in enumerate(shape):
        if gradient.shape[axis] != size:
            gradient = gradient.sum(axis=axis, keepdims=True)
    return gradient


def plain_loop(case: Case, g: Array) -> tuple[Array, list[Array | None], dict[str, Any]]:
    """Value, gradients and what is kept of a case of one op, straight from its declaration."""
    with tg.record():
        node: Any = tg.graph(case.function(*case.tensors())).outputs[0].node
    op, attributes = node.op, node.attributes
    arrays = [None if source is None else source.value for source in node.inputs]
    needs = tuple(source is not None and source.requires_grad for source in node.inputs)
    out = op.forward(NUMPY, *arrays, **attributes)
    out, residual = out if op.residual else (out, None)
    known = {**op.named_arrays(arrays), **attributes}
    known |= {"out": out, "residual": residual, "needs": needs}
    for name, value in op.named_arrays(arrays).items():
        several = isinstance(value, tuple)
        known[f"{name}_shape"] = tuple(v.shape for v in value) if several else np.shape(value)
        known[f"{name}_dtype"] = getattr(value, "dtype", None)
        known[f"{name}_device"] = "cpu"
    found: list[Array | None] = [None] * len(arrays)
    kept = {}
    for rule in op.rules:
        places = [
            p for p in range(len(arrays)) if op.inputs[min(p, len(op.inputs) - 1)] in rule.inputs
        ]
        asked = {name: known[name] for name in rule.asks}
        kept |= asked
        result = rule.function(NUMPY, g, *asked.values())
        for place, gradient in zip(places, result if rule.joint else [result], strict=True):
            if needs[place] and gradient is not None:
                total = gradient.total() if hasattr(gradient, "total") else gradient
                found[place] = summed_to(total, arrays[place].shape)
    if op.composite is not None:
        kept |= op.named_arrays(arrays)
    return out, [found[p] for p, needed in enumerate(needs) if needed], kept


one_op = pytest.mark.parametrize(
    "case",
    [
        case
        for case in CASES
        if case.name not in ("output", "dropout", "checkpoint", "module_hooks")
    ],
    ids=str,
)


def is_written(case: Case) -> bool:
    """Whether the op of a case has a direct way, and nodes of its own class."""
    op = table[case.name.partition(" ")[0]]
    return not (PLAIN or op.variadic or op.several_outputs)


class TestWhatIsGenerated:
    @one_op
    def test_does_what_a_plain_loop_over_the_rules_does(self, case: Case) -> None:
        tensors = case.tensors()
        out = case.function(*tensors)
        g = weights_of(out.shape)
        node = tg.graph(out).outputs[0].node
        assert isinstance(node, WrittenNode if is_written(case) else Application)
        value, expected, kept = plain_loop(case, g)
        np.testing.assert_allclose(out.detach().numpy(), value, rtol=1e-14)
        assert set(node.kept) == set(kept)
        for name, array in kept.items():
            if isinstance(array, np.ndarray):
                np.testing.assert_array_equal(node.kept[name], array)
        out.backward(gradient=g)
        for tensor, gradient in zip(tensors, expected, strict=True):
            assert tensor.grad is not None
            np.testing.assert_allclose(tensor.grad.numpy(), gradient, rtol=1e-14, atol=1e-15)

    @one_op
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_does_what_applying_with_everything_recorded_does(self, case: Case, dtype: Any) -> None:
        def run() -> tuple[bytes, list[bytes], dict[str, Any], list[Any]]:
            tensors = case.tensors(dtype)
            out = case.function(*tensors)
            node = tg.graph(out).outputs[0]
            out.backward(gradient=np.ones(out.shape))
            return (
                out.detach().numpy().tobytes(),
                [t.grad.numpy().tobytes() for t in tensors if t.grad is not None],
                {kept.name: kept for kept in node.keeps},
                [node.op_name, node.shape, node.dtype, dict(node.attributes), len(node.inputs)],
            )

        ordinary = run()
        with tg.record():
            recorded = run()
        with tg.plain():
            plain = run()
        assert ordinary == recorded == plain

    @one_op
    def test_pulls_back_what_the_loop_over_the_rules_pulls_back(self, case: Case) -> None:
        out = case.function(*case.tensors())
        node: Any = out.node
        g = weights_of(out.shape)
        assert (type(node).pull_back is Node.pull_back) != is_written(case)
        found = [(to, part) for to, part in node.pull_back(g) if part is not None]
        assert found
        for (to, part), (expected_to, expected) in zip(found, Node.pull_back(node, g), strict=True):
            assert to is expected_to
            if hasattr(part, "total"):
                part, expected = part.total(), expected.total()
            np.testing.assert_allclose(part, expected, rtol=1e-14)

    @one_op
    def test_takes_constants_among_its_inputs_as_recording_does(self, case: Case) -> None:
        for constant in range(len(case.arrays)):
            found = []
            for record in (False, True):
                tensors = case.tensors()
                tensors[constant] = tensors[constant].detach()
                if record:
                    with tg.record():
                        out = case.function(*tensors)
                else:
                    out = case.function(*tensors)
                if out.requires_grad:
                    out.backward(gradient=weights_of(out.shape))
                found.append([out.detach(), *(t.grad for t in tensors)])
            for ordinary, recorded in zip(*found, strict=True):
                assert (ordinary is None) == (recorded is None)
                if ordinary is not None:
                    np.testing.assert_array_equal(ordinary.numpy(), recorded.numpy())

    def test_is_one_class_of_nodes_for_any_number_of_inputs(self) -> None:
        x = leaf(1.0)
        two, three = (tg.concat([x] * count).node for count in (2, 3))
        assert type(two) is type(three)
        assert [len(node.inputs) for node in (two, three)] == [2, 3]

    @pytest.mark.skipif(PLAIN, reason="nothing is written in the plain engine")
    def test_is_written_when_it_is_wanted_and_not_before(self) -> None:
        lazy = declare(forward=lambda xp, x: x + 0, vjp={"x": lambda xp, g: g})
        assert not has_direct_way(lazy)
        lazy(leaf(1.0).detach())
        assert has_direct_way(lazy)
        first, second = lazy(leaf(1.0)).node, lazy(leaf(1.0)).node
        assert type(first) is type(second)
        assert isinstance(first, WrittenNode)

    @pytest.mark.skipif(PLAIN, reason="nothing is written in the plain engine")
    def test_of_a_function_and_of_its_operator_has_a_source_each(self) -> None:
        x = leaf(2.0)
        for _ in range(2):
            tg.multiply(x, x), x * x  # in either order
            assert "_others" in inspect.getsource(tg.multiply).splitlines()[0]

    @pytest.mark.parametrize("plain", ["", "1"])
    @pytest.mark.parametrize("call", ["x * y", "tg.sum(x)", "tg.matmul(v, v)", "tg.concat([v])"])
    def test_looks_the_same_from_the_first_call_on(self, call: str, plain: str) -> None:
        # In a process of its own, where nothing was called before.
        script = f"""
            import inspect
            import tinygrad_lab as tg
            x, y = tg.scalar(2.0), tg.scalar(3.0)
            v = tg.tensor([1.0, 2.0], requires_grad=True)
            seen = set()
            for _ in range(3):
                node = ({call}).node
                function = getattr(tg, "multiply" if node.op.name == "multiply" else node.op.name)
                pull_back = inspect.getsource(type(node).pull_back)
                seen.add((type(node), inspect.getsource(function), pull_back))
            print(len(seen), type(node).__mro__[1].__name__)
        """
        ran = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script)],
            capture_output=True,
            text=True,
            env=os.environ | {"TINYGRAD_LAB_PLAIN": plain},
            check=True,
        )
        written = not plain and "concat" not in call
        assert ran.stdout.split() == ["1", "WrittenNode" if written else "Node"]

    @pytest.mark.parametrize("case", ELEMENTWISE, ids=str)
    @pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 2)])
    def test_takes_equal_shapes_as_it_takes_any(self, case: Case, shape: tuple[int, ...]) -> None:
        if case.name == "where":
            shape = (2, 3)
        arrays = [np.resize(array, shape) for array in case.arrays]
        found = []
        for record in (False, True):
            tensors = [tg.tensor(array, requires_grad=True) for array in arrays]
            if record:
                with tg.record():
                    out = case.function(*tensors)
            else:
                out = case.function(*tensors)
            g = weights_of(out.shape)
            out.backward(gradient=g)
            found.append([out.detach(), *(t.grad for t in tensors)])
        for one, other in zip(*found, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())

    @pytest.mark.parametrize("needed", [(True, False), (False, True)])
    @pytest.mark.parametrize("case", [c for c in ELEMENTWISE if len(c.arrays) == 2], ids=str)
    def test_gives_each_input_the_same_gradient_whether_or_not_the_other_needs_one(
        self, case: Case, needed: tuple[bool, bool]
    ) -> None:
        both = case.tensors()
        case.function(*both).backward(gradient=weights_of(case.function(*both).shape))
        one = [
            tg.tensor(array, requires_grad=wanted)
            for array, wanted in zip(case.arrays, needed, strict=True)
        ]
        out = case.function(*one)
        out.backward(gradient=weights_of(out.shape))
        for wanted, alone, together in zip(needed, one, both, strict=True):
            if wanted:
                assert alone.grad is not None
                assert together.grad is not None
                np.testing.assert_array_equal(alone.grad.numpy(), together.grad.numpy())
            else:
                assert alone.grad is None

    def test_knows_the_line_and_scope_that_applying_knows(self) -> None:
        class Net(tg.nn.Module):
            def forward(self, x: tg.Tensor) -> tg.Tensor:
                return x * x

        class Outer(tg.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = Net()

            def forward(self, x: tg.Tensor) -> tg.Tensor:
                return self.inner(x)

        net = Outer()
        ordinary = tg.graph(net(tg.scalar(2.0))).outputs[0]
        with tg.record():
            recorded = tg.graph(net(tg.scalar(2.0))).outputs[0]
        for node in (ordinary, recorded):
            assert node.line is not None
            assert node.line.text == "return x * x"
            assert (node.module, node.module_class) == ("inner", "Net")
