"""tg.gradcheck: it finds wrong gradients, says where, and accepts right ones."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as npst

import tinygrad_lab as tg
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError, DTypeError, GradcheckError

shapes = npst.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3)
GAIN = 3.0


def halved(x: Any) -> Any:
    """Return a function of half the right gradient."""
    return x.detach() * x


def sine_with_a_wrong_rule() -> Any:
    return tg.op(
        "wrong_sine_of_tests",
        forward=lambda xp, x: GAIN * xp.sin(x),
        vjp={"x": lambda xp, g, x: g * xp.cos(x)},
    )


def wrong_in_second_order() -> Any:
    """Return an op whose rule keeps a constant instead of a value that varies."""
    return tg.op(
        "wrong_twice_of_tests",
        forward=lambda xp, x: x * x,
        vjp={"x": lambda xp, g, x: g * 2 * (x.detach() if isinstance(x, tg.Tensor) else x)},
    )


def failure(*arguments: Any, **options: Any) -> GradcheckError:
    with pytest.raises(GradcheckError) as caught:
        tg.gradcheck(*arguments, **options)
    return caught.value


def run(script: str, folder: Path) -> str:
    """Run a script by itself and return the last line of its error."""
    file = folder / "again.py"
    file.write_text(script)
    ran = subprocess.run(
        [sys.executable, str(file)],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[1],
    )
    assert ran.returncode == 1, ran.stderr
    return ran.stderr


class TestRightGradients:
    @given(shape=shapes, seed=st.integers(0, 2**32))
    def test_are_taken_for_right_at_both_orders(self, shape: tuple[int, ...], seed: int) -> None:
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=shape), rng.normal(size=shape)
        found = tg.gradcheck(lambda x, y: tg.sin(x) * y + x**3, x, y, order=2, seed=seed)
        assert found.compared == 4 * x.size

    def test_are_compared_by_the_complex_step_where_the_function_allows_it(self) -> None:
        report = tg.gradcheck(tg.tanh, 0.5)
        assert report.method == "the complex step"
        assert report.largest < 1e-12

    @pytest.mark.parametrize("function", [tg.abs, lambda x: x * tg.abs(x), tg.sign])
    def test_are_compared_by_differences_where_complex_numbers_mean_something_else(
        self, function: Any
    ) -> None:
        assert tg.gradcheck(function, 0.5).method == "central differences"

    def test_make_a_report_that_says_what_was_compared(self) -> None:
        report = str(tg.gradcheck(tg.exp, np.ones((2, 3)), order=2, seed=7))
        assert "gradients of gradients" in report
        assert "12 elements" in report
        assert "seed 7" in report

    def test_by_containers_and_modules_are_checked_too(self) -> None:
        tg.seed(0)
        net = tg.nn.Sequential(tg.nn.Linear(3, 2), tg.nn.Tanh()).to(tg.float64)
        before = {name: value.tolist() for name, value in net.state_dict().items()}
        batch = {"x": np.ones((2, 3)), "weights": [np.ones(2), 2.0]}
        report = tg.gradcheck(
            lambda net, batch: net(batch["x"]) * batch["weights"][0] * batch["weights"][1],
            net,
            batch,
        )
        assert report.compared == 6 + 2 + 6 + 2 + 1
        assert {name: value.tolist() for name, value in net.state_dict().items()} == before
        assert all(parameter.grad is None for parameter in net.parameters())

    def test_by_integers_are_not_asked_for(self) -> None:
        logits, labels = np.ones((2, 3)), tg.tensor([0, 2])
        assert tg.gradcheck(tg.cross_entropy, logits, labels).compared == 6

    def test_of_large_inputs_are_checked_in_samples_and_along_a_direction(self) -> None:
        assert tg.gradcheck(tg.exp, np.linspace(0, 1, 5000), samples=3).compared == 3

    def test_of_several_outputs_are_checked_together(self) -> None:
        def several(x: Any) -> Any:
            return {"a": x.exp(), "b": [x * x, x > 0]}

        assert tg.gradcheck(several, np.ones(2), order=2).compared == 4
        error = failure(lambda x: [x.exp(), halved(x)], np.ones(2))
        assert error.input == "input 0"

    def test_of_a_function_that_depends_on_nothing_are_zero(self) -> None:
        report = tg.gradcheck(lambda x: tg.zeros_like(x), np.ones(2), order=2)
        assert (report.compared, report.largest) == (4, 0.0)

    def test_leave_the_inputs_as_they_were(self) -> None:
        x = tg.tensor(np.ones(2), requires_grad=True, name="x")
        tg.gradcheck(tg.exp, x, order=2)
        assert x.requires_grad
        assert x.grad is None
        assert x.tolist() == [1.0, 1.0]


class TestAWrongGradient:
    def test_is_found_with_its_input_element_and_both_numbers(self) -> None:
        error = failure(lambda x, y: y * halved(x), np.array([[1.0, 2.0]]), 3.0, seed=5)
        assert error.input == "input 0"
        assert error.element == (0, 0)
        assert error.found is not None
        assert error.expected is not None
        assert 2 * error.found == pytest.approx(error.expected)
        assert error.seed == 5
        for part in ["input 0, element (0, 0)", repr(error.found), repr(error.expected), "seed 5"]:
            assert part in str(error)

    def test_of_a_named_tensor_is_reported_under_that_name(self) -> None:
        error = failure(halved, tg.tensor(np.ones(2), name="weight"))
        assert "input 0 ('weight')" in str(error)

    def test_of_second_order_is_found_where_the_first_is_right(self) -> None:
        function = wrong_in_second_order()
        tg.gradcheck(function, 1.5)
        error = failure(function, 1.5, order=2)
        assert "the gradient of the gradient" in str(error)

    def test_of_an_element_that_was_not_sampled_is_found_along_a_direction(self) -> None:
        def wrong_at_the_end(x: Any) -> Any:
            return tg.concat([x[:-1], halved(x[-1:])])

        error = failure(wrong_at_the_end, np.ones(100), samples=2)
        assert "along a random direction" in str(error)

    def test_is_an_assertion_that_failed(self) -> None:
        assert issubclass(GradcheckError, AssertionError)
        assert issubclass(GradcheckError, tg.errors.TinygradLabError)

    @pytest.mark.parametrize("function", [tg.relu, tg.leaky_relu, lambda x: tg.abs(tg.relu(x))])
    def test_at_a_kink_is_called_one(self, function: Any) -> None:
        assert "kink?" in str(failure(function, 0.0))

    def test_away_from_kinks_is_not_called_one(self) -> None:
        assert "kink?" not in str(failure(halved, 100.0))

    def test_where_the_function_is_not_finite_says_so(self) -> None:
        assert "not finite at this point" in str(failure(tg.sqrt, 0.0))

    def test_of_a_function_that_draws_random_numbers_says_so(self) -> None:
        assert "returns different values for the same inputs" in str(
            failure(tg.dropout, np.ones(20))
        )


class TestTheScriptInAReport:
    """The script fails with the same numbers when it runs by itself."""

    def test_calls_functions_by_the_names_they_are_known_by(self) -> None:
        assert "f = tg.relu" in str(failure(tg.relu, 0.0).snippet)

    @pytest.mark.numpy_only("the script is run by itself")
    def test_reproduces_a_lambda_with_what_it_refers_to(self, tmp_path: Path) -> None:
        factor = np.array([1.0, 2.0])
        error = failure(lambda x: factor * halved(x) * GAIN, np.array([0.3, -0.7]), seed=3)
        assert error.snippet is not None
        shown = run(error.snippet, tmp_path)
        assert repr(error.found) in shown
        assert repr(error.expected) in shown

    @pytest.mark.numpy_only("the script is run by itself, where no strict device is registered")
    def test_reproduces_an_op_that_a_user_declared(self, tmp_path: Path) -> None:
        error = failure(sine_with_a_wrong_rule(), tg.tensor(np.array([0.1]), name="x"))
        assert error.snippet is not None
        assert "GAIN = 3.0" in error.snippet
        assert repr(error.found) in run(error.snippet, tmp_path)

    def test_reproduces_containers_and_options(self, tmp_path: Path) -> None:
        given = {"a": [tg.scalar(2.0), 1], "b": (np.ones((0, 2)), None)}
        error = failure(lambda given: halved(given["a"][0]), given, seed=2, samples=3, rtol=1e-3)
        assert error.snippet is not None
        assert "seed=2, samples=3, rtol=0.001" in error.snippet
        assert repr(error.found) in run(error.snippet, tmp_path)

    def test_leaves_open_what_cannot_be_written_down(self) -> None:
        net = tg.nn.Linear(2, 1).to(tg.float64)
        error = failure(lambda net, x: net(x.detach() * x), net, np.ones((1, 2)))
        assert "...  # the module Linear(" in str(error)
        error = failure(halved, np.ones(1001))
        assert "...  # 1001 numbers of float64 in shape (1001,)" in str(error)


class TestRefusals:
    def test_of_float32_give_the_reason(self) -> None:
        with pytest.raises(DTypeError, match=r"input 0 is float32, whose 7 digits .* float64"):
            tg.gradcheck(tg.exp, tg.tensor([1.0]))

    def test_of_modules_in_float32_name_the_parameter(self) -> None:
        with pytest.raises(DTypeError, match=r"input 0, weight is float32"):
            tg.gradcheck(lambda net: net.weight * 2, tg.nn.Linear(1, 1))

    def test_of_a_function_that_casts_name_the_output(self) -> None:
        def narrowed(x: Any) -> Any:
            return x.astype(tg.float32)

        with pytest.raises(DTypeError, match="output 0 of narrowed is float32"):
            tg.gradcheck(narrowed, np.ones(1))

    def test_of_arguments_say_what_was_expected(self) -> None:
        with pytest.raises(ArgumentError, match="order=1 or order=2, got 3"):
            tg.gradcheck(tg.exp, 1.0, order=3)
        with pytest.raises(ArgumentError, match="samples of 0 or more"):
            tg.gradcheck(tg.exp, 1.0, samples=-1)
        with pytest.raises(
            ArgumentError, match="floating-point numbers to differentiate with respect to"
        ):
            tg.gradcheck(tg.exp, np.array([1, 2]))
        with pytest.raises(ArgumentTypeError, match="must return Tensors, got float"):
            tg.gradcheck(lambda x: float(x), 1.0)
