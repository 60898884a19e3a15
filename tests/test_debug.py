"""``with tg.debug():`` finds the source of a NaN, arrays that were written to, and wrong rules."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab.errors import DTypeError, MutationError, NonFiniteError, ShapeError

from .op_cases import CASES, COMPOSED, Case, weights_of


@pytest.fixture(autouse=True)
def _numpy_does_not_warn() -> Any:
    with np.errstate(all="ignore"):
        yield


class TestTheFirstNonFiniteNumber:
    def test_going_forward_is_found_where_it_was_made(self) -> None:
        x = tg.tensor([4.0, -1.0], requires_grad=True, name="x")
        with tg.debug():
            fine = x * 2
            with pytest.raises(NonFiniteError, match=r"sqrt made nan at element \(1,\)") as caught:
                tg.sqrt(fine)  # here it is
        assert "tg.sqrt(fine)  # here it is" in str(caught.value)
        assert isinstance(caught.value, ArithmeticError)

    @pytest.mark.parametrize(
        ("function", "op"),
        [
            (lambda x: tg.log(x - x), "log"),
            (lambda x: 1 / (x * 0), "divide"),
            (lambda x: tg.exp(x * 1000), "exp"),
            (lambda x: (x * 1e200) * 1e200, "multiply"),
            (lambda x: (-x) ** 0.5, "pow"),
        ],
    )
    @pytest.mark.parametrize("make", [tg.scalar, lambda v: tg.tensor([v], dtype=tg.float64)])
    def test_names_the_producer_and_not_what_it_went_through(
        self, function: Callable[[tg.Tensor], tg.Tensor], op: str, make: Callable[..., tg.Tensor]
    ) -> None:
        with tg.debug(), pytest.raises(NonFiniteError, match=f"^{op} made (nan|inf|-inf)"):
            function(make(2.0)) * 3 + 1

    def test_names_the_tensors_it_was_made_of(self) -> None:
        x, y = tg.scalar(1.0, name="mass"), tg.scalar(0.0, name="volume")
        with tg.debug(), pytest.raises(NonFiniteError, match=r"mass, volume"):
            x / y

    def test_is_no_error_where_it_came_in(self) -> None:
        with tg.debug():
            y = tg.tensor([math.inf, 1.0]) * 2 + 1
        assert math.isinf(y.tolist()[0])

    @pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
    def test_is_named_where_it_was_in_the_data_once_and_at_the_users_line(
        self, shape: tuple[int, ...]
    ) -> None:
        data = np.ones(shape)
        data[3, 5] = math.nan
        x = tg.tensor(data, name="x")
        place = r"\[3, 5\]" if len(shape) == 2 else r"\[3, 5, 0\]"
        expected = rf"^x at {place} was NaN before the first op$"
        with tg.debug(), pytest.warns(RuntimeWarning, match=expected) as caught:
            x * 2 + x
        assert len(caught) == 1
        assert caught[0].filename == __file__

    def test_is_named_of_a_number(self) -> None:
        with tg.debug(), pytest.warns(RuntimeWarning, match="^x of exp was NaN before the first"):
            tg.exp(tg.scalar(math.nan))

    def test_is_not_named_where_an_op_takes_it_out(self) -> None:
        x = tg.tensor([math.nan, 1.0])
        with tg.debug():
            assert tg.where(tg.isnan(x), 0.0, x).tolist() == [0.0, 1.0]

    def test_is_told_by_us_and_not_by_numpy(self) -> None:
        with np.errstate(all="warn"):
            with tg.debug(), pytest.raises(NonFiniteError):
                tg.log(tg.tensor([-1.0]))
            with pytest.warns(RuntimeWarning, match="invalid value"):  # as before
                np.log(np.array([-1.0]))

    def test_in_a_decorated_function_is_told_by_us(self) -> None:
        @tg.debug()
        def root(x: tg.Tensor, depth: int) -> tg.Tensor:
            return root(x, depth - 1) if depth else tg.sqrt(x)

        with np.errstate(all="raise"), pytest.raises(NonFiniteError):
            root(tg.tensor([-1.0]), 3)

    def test_going_backward_is_found_where_it_was_made(self) -> None:
        x = tg.tensor([0.0, 4.0], requires_grad=True)
        y = tg.sqrt(x)  # steep here
        with tg.debug(), pytest.raises(NonFiniteError, match=r"rule of sqrt made inf") as caught:
            (y * 3).sum().backward()
        assert "y = tg.sqrt(x)  # steep here" in str(caught.value)
        assert x.grad is None

    def test_going_backward_is_found_by_transforms_too(self) -> None:
        with tg.debug(), pytest.raises(NonFiniteError, match="rule of sqrt"):
            tg.grad(lambda x: tg.sqrt(x))(0.0)

    def test_among_integers_and_booleans_there_is_none(self) -> None:
        with tg.debug():
            assert (tg.tensor([1, 2]) + 1).tolist() == [2, 3]
            assert tg.isnan(tg.tensor([math.nan])).tolist() == [True]


class TestWritingIntoMemory:
    def test_that_backward_needs_is_found_with_the_tensor_and_both_lines(self) -> None:
        w = tg.tensor([1.0, 2.0], requires_grad=True, name="weights")
        with tg.debug():
            y = (w * w).sum()  # kept here
            w.data[0] = 5.0
            with pytest.raises(MutationError) as caught:
                y.backward()  # missed here
        message = str(caught.value)
        assert "weights" in message
        assert "y = (w * w).sum()  # kept here" in message
        assert "y.backward()  # missed here" in message
        assert isinstance(caught.value, tg.errors.GradientError)
        assert w.grad is None

    @pytest.mark.parametrize(
        "write",
        [
            lambda x, y: x.data.fill(7.0),
            lambda x, y: y.data.__setitem__(0, 7.0),
            lambda x, y: x.detach().numpy().__setitem__(0, 7.0),
            lambda x, y: setattr(x, "data", np.subtract(x.data, 1.0, out=x.data)),
        ],
    )
    def test_is_found_in_inputs_outputs_and_views(
        self, write: Callable[[tg.Tensor, tg.Tensor], Any]
    ) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with tg.debug():
            y = x.exp()
            z = y * x
            write(x, y)
            with pytest.raises(MutationError):
                z.sum().backward()

    def test_by_augmented_assignment_of_data_is_found(self) -> None:
        p = tg.tensor([1.0, 2.0], requires_grad=True)
        with tg.debug():
            y = p * p
            p.data -= 0.1 * tg.tensor([1.0, 1.0])
            with pytest.raises(MutationError):
                y.sum().backward()

    @pytest.mark.parametrize("create_graph", [False, True])
    def test_is_found_by_every_kind_of_gradient(self, create_graph: bool) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with tg.debug():
            y = (x * x).sum()
            x.data[0] = 5.0
            with pytest.raises(MutationError):
                tg.autograd.grad(y, x, create_graph=create_graph)

    def test_is_no_error_where_backward_does_not_need_it(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with tg.debug():
            y = (x + 1).sum()
            x.data[0] = 5.0
            y.backward()
        assert x.grad is not None
        assert x.grad.tolist() == [1.0, 1.0]

    def test_rebinding_is_no_writing(self) -> None:
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with tg.debug():
            y = (x * x).sum()
            x.data = np.array([5.0, 5.0])
            y.backward()
        assert x.grad is not None
        assert x.grad.tolist() == [2.0, 4.0]

    def test_by_an_optimiser_is_none(self) -> None:
        tg.seed(0)
        net = tg.nn.Linear(3, 2)
        optimiser = tg.optim.Adam(net.parameters(), lr=0.1)
        x = tg.tensor([[1.0, 2.0, 3.0]])
        losses = []
        with tg.debug():
            for _ in range(3):
                optimiser.zero_grad()
                loss = (net(x) ** 2).sum()
                loss.backward()
                optimiser.step()
                losses.append(loss.item())
        assert losses == sorted(losses, reverse=True)
        assert losses[-1] < losses[0]


class TestGradientsThatDoNotFit:
    @pytest.mark.parametrize("elementwise", [False, True])
    @pytest.mark.parametrize(
        ("rule", "got"),
        [
            (lambda xp, g: xp.sum(g), r"\(\)"),
            (lambda xp, g: xp.stack([g, g]), r"\(2, 3\)"),
            (lambda xp, g: g[:2], r"\(2,\)"),
        ],
        ids=["too small", "too large", "other"],
    )
    def test_in_shape_are_found_with_the_rule(
        self, rule: Callable[..., Any], got: str, elementwise: bool
    ) -> None:
        off = tg.op(
            "off_of_tests", forward=lambda xp, x: x + x, vjp={"x": rule}, elementwise=elementwise
        )
        x = tg.tensor([1.0, 2.0, 3.0], requires_grad=True)
        y = off(x)  # off here
        with tg.debug(), pytest.raises(ShapeError, match=rf"off_of_tests.*{got}.*\(3,\)") as caught:
            y.sum().backward()
        assert "y = off(x)  # off here" in str(caught.value)

    @pytest.mark.parametrize("elementwise", [False, True])
    def test_in_dtype_are_found_with_the_rule(self, elementwise: bool) -> None:
        wide = tg.op(
            "wide_of_tests",
            forward=lambda xp, x: x + x,
            vjp={"x": lambda xp, g: 2 * xp.astype(g, np.float64)},
            elementwise=elementwise,
        )
        x = tg.tensor([1.0, 2.0], requires_grad=True)
        with tg.debug(), pytest.raises(DTypeError, match=r"wide_of_tests.*float64.*float32"):
            wide(x).sum().backward()

    def test_are_none_in_mixed_precision(self) -> None:
        x = tg.tensor(np.ones(3, np.float32), requires_grad=True)
        y = tg.tensor(np.ones((2, 1), np.float64), requires_grad=True)
        s = tg.scalar(2.0)
        with tg.debug():
            (x * y * s + x.astype(tg.float64)).sum().backward()
        assert x.grad is not None
        assert x.grad.dtype == np.float32


@pytest.mark.parametrize("case", [*CASES, *COMPOSED], ids=str)
def test_every_op_passes_and_gives_the_gradients_it_gives_without(case: Case) -> None:
    def run() -> list[bytes]:
        tensors = case.tensors()
        out = case.function(*tensors)
        out.backward(gradient=weights_of(out.shape))
        return [t.grad.numpy().tobytes() for t in tensors if t.grad is not None]

    ordinary = run()
    with tg.debug():
        assert run() == ordinary


def test_what_was_built_outside_is_checked_as_far_as_can_be() -> None:
    x = tg.tensor([0.0], requires_grad=True)
    y = tg.sqrt(x)
    with tg.debug(), pytest.raises(NonFiniteError):
        y.backward()
