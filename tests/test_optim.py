"""Optimisers and schedules: PyTorch's numbers, by group, over steps and across saves."""

import copy
import math
import pickle
import warnings
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import tinygrad_lab as tg
from tinygrad_lab import nn, optim
from tinygrad_lab.errors import (
    ArgumentError,
    ArgumentTypeError,
    DTypeError,
    StateDictError,
    TinygradLabError,
)
from tinygrad_lab.optim import lr_scheduler

Array = np.ndarray[Any, Any]
few = settings(deadline=None, max_examples=15)
seeds = st.integers(0, 2**32 - 1)
dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])

SHAPES: list[tuple[int, ...]] = [(3, 4), (4,), (), (2, 1, 3), (0,)]

OPTIMISERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("SGD", {"lr": 0.1}),
    "sgd with weight decay": ("SGD", {"lr": 0.1, "weight_decay": 0.1}),
    "momentum": ("SGD", {"lr": 0.05, "momentum": 0.9}),
    "momentum with weight decay": ("SGD", {"lr": 0.05, "momentum": 0.8, "weight_decay": 0.01}),
    "nesterov": ("SGD", {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    "adam": ("Adam", {"lr": 0.01}),
    "adam with everything": (
        "Adam",
        {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.1},
    ),
    "adamw": ("AdamW", {"lr": 0.01}),
    "adamw with weight decay": ("AdamW", {"lr": 0.02, "betas": (0.7, 0.9), "weight_decay": 0.3}),
}
every_optimiser = pytest.mark.parametrize("optimiser", OPTIMISERS)
some_optimisers = pytest.mark.parametrize("optimiser", ["sgd", "nesterov", "adam", "adamw"])


@pytest.fixture
def torch() -> ModuleType:
    module: ModuleType = pytest.importorskip("torch")
    module.set_num_threads(1)
    return module


def make(optimiser: str, parameters: Iterable[Any], *, library: Any = optim, **changes: Any) -> Any:
    name, arguments = OPTIMISERS[optimiser]
    return getattr(library, name)(parameters, **(arguments | changes))


def start(dtype: str = "float64", shapes: list[tuple[int, ...]] = SHAPES) -> list[nn.Parameter]:
    rng = np.random.default_rng(0)
    return [nn.Parameter(np.asarray(rng.normal(size=shape), dtype)) for shape in shapes]


def slopes(step: int, parameters: list[Any]) -> list[Array]:
    """Return the gradients of a step, of many sizes."""
    rng = np.random.default_rng(1000 + step)
    return [
        np.asarray(rng.normal(size=p.shape) * 10 ** rng.uniform(-3, 1), dtype=p.dtype)
        for p in parameters
    ]


def advance(
    optimiser: optim.Optimizer,
    parameters: list[Any],
    step: int,
    *,
    without: Iterable[int] = (),
) -> None:
    """Set the gradients of a step, except for some parameters, and update."""
    for number, (parameter, slope) in enumerate(
        zip(parameters, slopes(step, parameters), strict=True)
    ):
        parameter.grad = None if number in without else tg.tensor(slope)
    optimiser.step()


def values(parameters: list[Any]) -> list[Array]:
    return [np.array(p.detach().numpy()) for p in parameters]


def assert_equal(some: list[Array], others: list[Array]) -> None:
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def assert_close(some: list[Array], others: list[Array], dtype: Any = "float64") -> None:
    rtol, atol = {"float32": (2e-4, 2e-5), "float64": (1e-9, 1e-11)}[str(dtype)]
    for one, other in zip(some, others, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol, atol=atol, strict=True)


# --- the formulas, one parameter and one step at a time -------------------------------------------


class PlainSGD:
    """The formulas of torch.optim.SGD in PyTorch's documentation."""

    def __init__(
        self,
        lr: float,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        self.lr, self.momentum, self.decay, self.nesterov = lr, momentum, weight_decay, nesterov
        self.b: Any = None

    def __call__(self, p: Array, g: Array) -> Array:
        g = g + self.decay * p
        if self.momentum:
            self.b = g if self.b is None else self.momentum * self.b + g
            g = g + self.momentum * self.b if self.nesterov else self.b
        return p - self.lr * g


class PlainAdam:
    """Kingma & Ba (2015), algorithm 1; with ``decoupled``, Loshchilov & Hutter (2019), 2."""

    decoupled = False
    default_decay = 0.0

    def __init__(
        self,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float | None = None,
    ) -> None:
        self.lr, self.betas, self.eps = lr, betas, eps
        self.decay = self.default_decay if weight_decay is None else weight_decay
        self.m: Any = 0.0
        self.v: Any = 0.0
        self.t = 0

    def __call__(self, p: Array, g: Array) -> Array:
        if self.decoupled:
            p = p - self.lr * self.decay * p
        else:
            g = g + self.decay * p
        self.t += 1
        b1, b2 = self.betas
        self.m = b1 * self.m + (1 - b1) * g
        self.v = b2 * self.v + (1 - b2) * g * g
        m, v = self.m / (1 - b1**self.t), self.v / (1 - b2**self.t)
        return p - self.lr * m / (np.sqrt(v) + self.eps)


class PlainAdamW(PlainAdam):
    decoupled = True
    default_decay = 1e-2


PLAIN: dict[str, Any] = {"SGD": PlainSGD, "Adam": PlainAdam, "AdamW": PlainAdamW}


class TestUpdates:
    @every_optimiser
    def test_follow_the_formulas(self, optimiser: str) -> None:
        parameters = start()
        name, arguments = OPTIMISERS[optimiser]
        rules = [PLAIN[name](**arguments) for _ in parameters]
        expected = values(parameters)
        stepping = make(optimiser, parameters)
        for step in range(25):
            advance(stepping, parameters, step)
            expected = [
                rule(p, g)
                for rule, p, g in zip(rules, expected, slopes(step, parameters), strict=True)
            ]
            assert_close(values(parameters), [np.asarray(p) for p in expected])

    @dtypes
    @every_optimiser
    def test_are_pytorchs(self, torch: Any, optimiser: str, dtype: str) -> None:
        parameters = start(dtype)
        theirs = [torch.nn.Parameter(torch.tensor(p.detach().numpy())) for p in parameters]
        stepping, their_stepping = (
            make(optimiser, parameters),
            make(optimiser, theirs, library=torch.optim),
        )
        for step in range(25):
            advance(stepping, parameters, step)
            for parameter, slope in zip(theirs, slopes(step, parameters), strict=True):
                parameter.grad = torch.tensor(slope)
            their_stepping.step()
            assert_close(values(parameters), [p.detach().numpy() for p in theirs], dtype)

    def test_have_pytorchs_defaults(self, torch: Any) -> None:
        theirs = [torch.nn.Parameter(torch.zeros(1))]
        for name in ("SGD", "Adam", "AdamW"):
            ours = getattr(optim, name)([nn.Parameter([0.0])]).defaults
            expected = getattr(torch.optim, name)(theirs).defaults
            assert ours == {setting: expected[setting] for setting in ours}

    @every_optimiser
    def test_of_single_numbers_are_those_of_arrays_and_leave_them_python_floats(
        self, optimiser: str
    ) -> None:
        numbers = [tg.scalar(1.5), tg.scalar(-0.5), tg.scalar(0.0)]
        vector = nn.Parameter(np.array([1.5, -0.5, 0.0]))
        one, other = make(optimiser, numbers), make(optimiser, [vector])
        for step in range(20):
            slope = slopes(step, [vector])[0]
            vector.grad = tg.tensor(slope)
            for number, its_slope in zip(numbers, slope, strict=True):
                number.grad = tg.scalar(float(its_slope), requires_grad=False)
            one.step()
            other.step()
        assert all(type(number.data) is float for number in numbers)
        np.testing.assert_allclose(
            [number.item() for number in numbers], vector.detach().numpy(), rtol=1e-12
        )

    def test_of_mixed_kinds_in_one_group_keep_each_its_own(self) -> None:
        parameters = [
            nn.Parameter(np.ones(3, "float32")),
            nn.Parameter(np.ones(2, "float64")),
            tg.scalar(1.0),
            nn.Parameter(np.ones((), "float32")),
        ]
        stepping = optim.Adam(parameters, lr=0.1)
        for _ in range(3):
            for parameter in parameters:
                (parameter * parameter).sum().backward()
            stepping.step()
            stepping.zero_grad()
        assert [str(p.dtype) for p in parameters] == ["float32", "float64", "float64", "float32"]
        assert [p.shape for p in parameters] == [(3,), (2,), (), ()]
        assert type(parameters[2].data) is float
        for parameter in parameters:
            np.testing.assert_allclose(parameter.detach().numpy(), 0.7, atol=0.01)

    @some_optimisers
    def test_repeat_bit_for_bit(self, optimiser: str) -> None:
        runs = []
        for _ in range(2):
            parameters = start("float32")
            stepping = make(optimiser, parameters)
            for step in range(10):
                advance(stepping, parameters, step)
            runs.append(values(parameters))
        assert_equal(*runs)

    @some_optimisers
    def test_do_not_depend_on_who_else_is_in_the_group(self, optimiser: str) -> None:
        together, alone = start("float32"), start("float32")
        stepping = make(optimiser, together)
        single = [make(optimiser, [parameter]) for parameter in alone]
        for step in range(10):
            advance(stepping, together, step)
            for parameter, slope in zip(alone, slopes(step, alone), strict=True):
                parameter.grad = tg.tensor(slope)
            for one in single:
                one.step()
        assert_equal(values(together), values(alone))

    @pytest.mark.parametrize("optimiser", ["momentum", "adam", "adamw"])
    def test_reach_the_minimum_of_a_net_that_can_fit(self, optimiser: str) -> None:
        tg.seed(0)
        net = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
        x = tg.tensor(np.linspace(-1, 1, 16, dtype="float32")[:, None])
        y = x * x
        stepping = make(optimiser, net.parameters())
        losses = []
        for _ in range(400):
            loss = nn.functional.mse_loss(net(x), y)
            losses.append(loss.item())
            stepping.zero_grad()
            loss.backward()
            stepping.step()
        assert losses[-1] < 0.02 * losses[0]


class TestNumPysNumbersAsSettings:
    @every_optimiser
    @dtypes
    @pytest.mark.parametrize("kind", [np.float64, np.float32])
    def test_give_the_bits_of_pythons(self, optimiser: str, dtype: str, kind: Any) -> None:
        def as_numpys(value: Any) -> Any:
            if isinstance(value, tuple):
                return tuple(map(as_numpys, value))
            return value if isinstance(value, bool) else kind(value)

        numpys = {name: as_numpys(value) for name, value in OPTIMISERS[optimiser][1].items()}
        pythons = {
            name: tuple(float(one) for one in value)
            if isinstance(value, tuple)
            else value
            if isinstance(value, bool)
            else float(value)
            for name, value in numpys.items()
        }
        ends = []
        for arguments in (numpys, pythons):
            parameters = start(dtype)
            stepping = make(optimiser, parameters, **arguments)
            for step in range(4):
                advance(stepping, parameters, step)
            ends.append(values(parameters))
        assert_equal(*ends)


class TestGroups:
    def test_have_settings_of_their_own(self) -> None:
        own: list[dict[str, Any]] = [
            {},
            {"lr": 0.3, "momentum": 0.5, "nesterov": True},
            {"weight_decay": 0.2},
        ]
        parameters = start(shapes=[(2, 3), (3,), (4,)])
        stepping = optim.SGD(
            [{"params": [p], **its} for p, its in zip(parameters, own, strict=True)], lr=0.1
        )
        assert [group["lr"] for group in stepping.param_groups] == [0.1, 0.3, 0.1]
        rules = [PlainSGD(**({"lr": 0.1} | its)) for its in own]
        expected = values(parameters)
        for step in range(20):
            advance(stepping, parameters, step)
            expected = [
                rule(p, g)
                for rule, p, g in zip(rules, expected, slopes(step, parameters), strict=True)
            ]
            assert_close(values(parameters), expected)

    def test_are_each_updated_as_by_an_optimiser_of_their_own(self) -> None:
        together, apart = start(), start()
        settings = [{"lr": 0.1}, {"lr": 0.01, "betas": (0.5, 0.6)}]
        stepping = optim.Adam(
            [{"params": together[:2], **settings[0]}, {"params": together[2:], **settings[1]}]
        )
        others = [optim.Adam(apart[:2], **settings[0]), optim.Adam(apart[2:], **settings[1])]  # type: ignore[arg-type]
        for step in range(10):
            advance(stepping, together, step)
            for parameter, slope in zip(apart, slopes(step, apart), strict=True):
                parameter.grad = tg.tensor(slope)
            for other in others:
                other.step()
        assert_equal(values(together), values(apart))

    def test_can_be_added_later(self) -> None:
        parameters = start()
        stepping = optim.SGD(parameters[:2], lr=0.1)
        advance(stepping, parameters, 0)
        stepping.add_param_group({"params": parameters[2:], "lr": 1.0})
        before = values(parameters)
        advance(stepping, parameters, 1)
        assert [group["lr"] for group in stepping.param_groups] == [0.1, 1.0]
        for number, (parameter, slope) in enumerate(
            zip(parameters, slopes(1, parameters), strict=True)
        ):
            expected = before[number] - (0.1 if number < 2 else 1.0) * slope
            np.testing.assert_allclose(parameter.detach().numpy(), expected, rtol=1e-12)

    @some_optimisers
    def test_settings_that_are_changed_between_steps_take_effect(
        self, torch: Any, optimiser: str
    ) -> None:
        parameters = start()
        theirs = [torch.nn.Parameter(torch.tensor(p.detach().numpy())) for p in parameters]
        pair = make(optimiser, parameters), make(optimiser, theirs, library=torch.optim)
        for step in range(24):
            for one in pair:
                (group,) = one.param_groups
                group["lr"] *= 0.9
                group["weight_decay"] = 0.01 * (step % 3)
                if "momentum" in group and step > 4:
                    group["momentum"], group["nesterov"] = 0.5, False
            advance(pair[0], parameters, step)
            for parameter, slope in zip(theirs, slopes(step, parameters), strict=True):
                parameter.grad = torch.tensor(slope)
            pair[1].step()
        assert_close(values(parameters), [p.detach().numpy() for p in theirs])

    def test_take_iterators_of_parameters_and_single_ones(self) -> None:
        net = nn.Linear(2, 3)
        assert len(optim.SGD(net.parameters()).param_groups[0]["params"]) == 2
        groups = [{"params": net.parameters()}, {"params": iter([nn.Parameter([1.0])])}]
        assert [len(g["params"]) for g in optim.Adam(groups).param_groups] == [2, 1]


class TestParameters:
    @every_optimiser
    def test_without_a_gradient_are_skipped_and_keep_their_state(self, optimiser: str) -> None:
        name, arguments = OPTIMISERS[optimiser]
        parameters = start()
        rules = [PLAIN[name](**arguments) for _ in parameters]
        expected = values(parameters)
        stepping = make(optimiser, parameters)
        skipped: list[list[int]] = [[], [0], [0, 1, 2, 3, 4], [1, 3], [], [2], [2], []]
        for step in range(24):
            without = skipped[step % len(skipped)]
            before = values(parameters)
            advance(stepping, parameters, step, without=without)
            for number, slope in enumerate(slopes(step, parameters)):
                if number in without:
                    np.testing.assert_array_equal(
                        parameters[number].detach().numpy(), before[number]
                    )
                else:
                    expected[number] = np.asarray(rules[number](expected[number], slope))
            assert_close(values(parameters), expected)

    @some_optimisers
    def test_that_are_frozen_stay(self, optimiser: str) -> None:
        net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
        net[0].requires_grad_(False)
        before = values(list(net.parameters()))
        stepping = make(optimiser, net.parameters())
        net(tg.tensor([[1.0, 2.0]])).sum().backward()
        stepping.step()
        after = values(list(net.parameters()))
        assert_equal(before[:2], after[:2])
        assert not np.array_equal(before[2], after[2])

    @some_optimisers
    def test_that_are_rebound_between_steps_go_on_from_there(self, optimiser: str) -> None:
        name, arguments = OPTIMISERS[optimiser]
        parameters = start()
        rules = [PLAIN[name](**arguments) for _ in parameters]
        expected = values(parameters)
        stepping = make(optimiser, parameters)
        for step in range(20):
            if step % 5 == 3:  # set one of them
                parameters[0].data = np.full((3, 4), 0.25 * step)
                expected[0] = np.full((3, 4), 0.25 * step)
            if step % 7 == 4:  # set all of them, as usual
                for number, parameter in enumerate(parameters):
                    parameter.data -= 0.5 * parameter.data
                    expected[number] = expected[number] - 0.5 * expected[number]
            advance(stepping, parameters, step)
            expected = [
                np.asarray(rule(p, g))
                for rule, p, g in zip(rules, expected, slopes(step, parameters), strict=True)
            ]
            assert_close(values(parameters), expected)

    @some_optimisers
    def test_that_are_written_into_between_steps_go_on_from_there(self, optimiser: str) -> None:
        written, rebound = start(), start()
        pair = make(optimiser, written), make(optimiser, rebound)
        for step in range(8):
            written[0].data[1] = step
            array = rebound[0].detach().numpy().copy()
            array[1] = step
            rebound[0].data = array
            advance(pair[0], written, step)
            advance(pair[1], rebound, step)
        assert_equal(values(written), values(rebound))

    @some_optimisers
    def test_that_change_their_dtype_between_steps_keep_it_and_no_other_does(
        self, optimiser: str
    ) -> None:
        net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        stepping = make(optimiser, net.parameters())
        parameters = list(net.parameters())
        advance(stepping, parameters, 0)
        net[0].to("float64")
        for step in range(1, 4):
            advance(stepping, parameters, step)
            assert [str(p.dtype) for p in parameters] == ["float64"] * 2 + ["float32"] * 2

    @some_optimisers
    @pytest.mark.numpy_only("is about memory")
    def test_are_not_written_into_so_that_older_graphs_stay_right(self, optimiser: str) -> None:
        tg.seed(0)
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        x = tg.tensor(np.random.default_rng(0).normal(size=(5, 3)), requires_grad=True)
        stepping = make(optimiser, net.parameters())
        for step in range(3):  # before the first step, and after it, when parameters are views
            older = net(x).sum()
            kept = [
                (array, array.copy())
                for node in tg.graph(older)
                for array in node.node.kept.values()
                if isinstance(array, np.ndarray)
            ]
            assert len(kept) > 4
            (expected,) = tg.autograd.grad(older, x)
            for parameter in net.parameters():
                parameter.grad = None
            net(x).sum().backward()
            stepping.step()
            for array, before in kept:
                np.testing.assert_array_equal(array, before)
            (found,) = tg.autograd.grad(older, x)
            assert expected is not None
            assert found is not None
            np.testing.assert_array_equal(found.numpy(), expected.numpy(), err_msg=str(step))

    @some_optimisers
    def test_leave_the_pictures_of_older_graphs_as_they_were(self, optimiser: str) -> None:
        x = tg.scalar(3.0, name="x")
        loss = x * x
        loss.backward()
        make(optimiser, [x]).step()
        assert x.item() < 3.0
        assert tg.graph(loss)["x"].value == 3.0
        assert tg.graph(x * x)["x"].value == x.item()

    @some_optimisers
    @pytest.mark.numpy_only("is about memory")
    def test_share_no_memory_that_a_write_to_one_would_reach_another(self, optimiser: str) -> None:
        parameters = start()
        stepping = make(optimiser, parameters)
        for step in range(2):
            advance(stepping, parameters, step)
        for number, parameter in enumerate(parameters):
            before = values(parameters)
            parameter.data[...] = 99
            for other, (now, then) in enumerate(zip(values(parameters), before, strict=True)):
                if other != number:
                    np.testing.assert_array_equal(now, then)
        for number, parameter in enumerate(parameters):
            for other in parameters[:number]:
                assert not np.shares_memory(parameter.data, other.data)

    @pytest.mark.numpy_only("is about memory")
    def test_gradients_are_read_and_neither_written_nor_shared(self) -> None:
        net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
        stepping = optim.Adam(net.parameters(), weight_decay=0.1)
        for _ in range(2):
            stepping.zero_grad()
            net(tg.tensor([[1.0, 2.0]])).sum().backward()
            grads = [p.grad.data for p in net.parameters() if p.grad is not None]
            before = [g.copy() for g in grads]
            for grad in grads:
                grad.flags.writeable = False
            stepping.step()
            assert_equal(grads, before)
            arrays = [*grads, *(p.data for p in net.parameters())]
            for number, one in enumerate(arrays):
                assert not any(np.shares_memory(one, other) for other in arrays[:number])

    def test_keep_their_dtype_whatever_gradient_somebody_sets(self) -> None:
        # NumPy's float64 numbers widen: p.grad * (1 / np.linalg.norm(...)) is float64.
        parameter = nn.Parameter(np.ones(2, "float32"))
        with pytest.raises(DTypeError, match=r"float32.*float64"):
            parameter.grad = tg.tensor(np.ones(2, "float64"))

    def test_forget_their_gradients(self) -> None:
        parameters = start()
        stepping = optim.SGD([{"params": parameters[:2]}, {"params": parameters[2:]}])
        advance(stepping, parameters, 0)
        stepping.zero_grad()
        assert all(parameter.grad is None for parameter in parameters)
        before = values(parameters)
        stepping.step()
        assert_equal(values(parameters), before)


class TestState:
    @every_optimiser
    @pytest.mark.parametrize("grouped", [False, True])
    def test_goes_on_bit_for_bit_from_a_save(self, optimiser: str, grouped: bool) -> None:
        def groups(parameters: list[Any]) -> list[Any]:
            if not grouped:
                return parameters
            return [{"params": parameters[:2], "lr": 0.03}, {"params": parameters[2:]}]

        # Some parameters skip steps, so that their step counts differ.
        rests = {3: [0], 5: [1, 2], 12: [3], 15: [0]}
        parameters = start("float32")
        stepping = make(optimiser, groups(parameters))
        for step in range(20):
            if step in (6, 13):  # save, and continue elsewhere
                state = copy.deepcopy(stepping.state_dict())
                parameters = [nn.Parameter(p.detach().numpy().copy()) for p in parameters]
                stepping = make(optimiser, groups(parameters), lr=9.0)
                stepping.load_state_dict(state)
            advance(stepping, parameters, step, without=rests.get(step, ()))
        unbroken = start("float32")
        reference = make(optimiser, groups(unbroken))
        for step in range(20):
            advance(reference, unbroken, step, without=rests.get(step, ()))
        assert_equal(values(parameters), values(unbroken))

    @some_optimisers
    def test_is_not_disturbed_by_being_looked_at(self, optimiser: str) -> None:
        looked_at, left_alone = start("float32"), start("float32")
        pair = make(optimiser, looked_at), make(optimiser, left_alone)
        for step in range(6):
            state = pair[0].state_dict()
            for its_state in state["state"].values():
                for name, array in its_state.items():
                    if name != "step":
                        array[...] = 7  # a copy
            for stepping, parameters in zip(pair, (looked_at, left_alone), strict=True):
                advance(stepping, parameters, step, without=[step % 3])
        assert_equal(values(looked_at), values(left_alone))

    def test_numbers_parameters_and_counts_their_own_steps(self) -> None:
        parameters = start()
        stepping = optim.Adam([{"params": parameters[:2]}, {"params": parameters[2:]}], lr=0.1)
        for step, without in enumerate([[], [0], [0, 4]]):
            advance(stepping, parameters, step, without=without)
        state = stepping.state_dict()
        assert [group["params"] for group in state["param_groups"]] == [[0, 1], [2, 3, 4]]
        assert [group["lr"] for group in state["param_groups"]] == [0.1, 0.1]
        assert {n: s["step"] for n, s in state["state"].items()} == {0: 1, 1: 3, 2: 3, 3: 3, 4: 2}
        assert list(state["state"]) == [0, 1, 2, 3, 4]
        for number, its_state in state["state"].items():
            assert set(its_state) == {"step", "exp_avg", "exp_avg_sq"}
            assert its_state["exp_avg"].shape == parameters[number].shape

    @pytest.mark.numpy_only("the state is of arrays")
    def test_holds_the_means_that_pytorch_holds(self, torch: Any) -> None:
        parameters = start()
        theirs = [torch.nn.Parameter(torch.tensor(p.detach().numpy())) for p in parameters]
        ours, expected = optim.Adam(parameters), torch.optim.Adam(theirs)
        for step in range(5):
            advance(ours, parameters, step)
            for parameter, slope in zip(theirs, slopes(step, parameters), strict=True):
                parameter.grad = torch.tensor(slope)
            expected.step()
        found, wanted = ours.state_dict()["state"], expected.state_dict()["state"]
        for number, state in wanted.items():
            assert found[number]["step"] == state["step"].item()
            for name in ("exp_avg", "exp_avg_sq"):
                np.testing.assert_allclose(found[number][name], state[name].numpy(), rtol=1e-12)

    def test_of_python_floats_is_of_python_floats(self) -> None:
        x, y = tg.scalar(1.0), tg.scalar(2.0)
        stepping = optim.Adam([x, y], lr=0.1)
        runs = []
        for saved in (False, True):
            x.data, y.data = 1.0, 2.0
            stepping = optim.Adam([x, y], lr=0.1)
            for _ in range(4):
                stepping.zero_grad()
                (x * x * y).backward()
                stepping.step()
                if saved:
                    state = stepping.state_dict()
                    assert all(
                        type(value) in (int, float)
                        for s in state["state"].values()
                        for value in s.values()
                    )
                    stepping = optim.Adam([x, y], lr=0.7)
                    stepping.load_state_dict(state)
            runs.append((x.item(), y.item()))
        assert runs[0] == runs[1]

    def test_before_the_first_step_is_empty_and_loads(self) -> None:
        parameters = start()
        stepping = optim.Adam(parameters, lr=0.5)
        state = stepping.state_dict()
        assert state["state"] == {}
        other = optim.Adam(parameters, lr=0.1)
        other.load_state_dict(state)
        assert other.param_groups[0]["lr"] == 0.5

    @pytest.mark.parametrize(
        ("spoil", "piece"),
        [
            (lambda s: s["param_groups"].pop(), "expected groups of [2, 3] parameters, got [2]"),
            (lambda s: s["param_groups"][0]["params"].pop(), "got [1, 3]"),
            (lambda s: s["param_groups"][1].update(momentum=0.9), "not a setting here: momentum"),
            (lambda s: s["state"][1].pop("exp_avg"), "1: expected step, exp_avg, exp_avg_sq"),
            (
                lambda s: s["state"][0].update(exp_avg=np.zeros(3)),
                "0: expected exp_avg of shape (3, 4), got (3,)",
            ),
            (lambda s: s["state"].update({9: s["state"][1]}), "not a parameter here: 9"),
        ],
    )
    def test_that_does_not_fit_is_refused_whole(
        self, spoil: Callable[[Any], Any], piece: str
    ) -> None:
        def make_pair() -> tuple[list[nn.Parameter], optim.Optimizer]:
            parameters = start()
            groups = [{"params": parameters[:2]}, {"params": parameters[2:]}]
            return parameters, optim.Adam(groups, lr=0.1)

        (parameters, stepping), (others, reference) = make_pair(), make_pair()
        advance(stepping, parameters, 0)
        advance(reference, others, 0)
        state = stepping.state_dict()
        state["param_groups"][0]["lr"] = 5.0
        spoil(state)
        with pytest.raises(StateDictError) as caught:
            stepping.load_state_dict(state)
        assert "Adam" in str(caught.value)
        assert piece in str(caught.value)
        advance(stepping, parameters, 1)
        advance(reference, others, 1)
        assert_equal(values(parameters), values(others))

    @pytest.mark.parametrize("copier", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
    def test_an_optimiser_and_its_net_are_copied_together(self, copier: Any) -> None:
        net = nn.Linear(2, 2)
        stepping = optim.Adam(net.parameters(), lr=0.1)
        advance(stepping, list(net.parameters()), 0)
        other_net, other = copier((net, stepping))
        for step in range(1, 4):
            advance(stepping, list(net.parameters()), step)
            advance(other, list(other_net.parameters()), step)
        assert_equal(values(list(net.parameters())), values(list(other_net.parameters())))

    def test_of_another_optimiser_is_refused(self) -> None:
        parameters = start()
        sgd, adam = optim.SGD(parameters, momentum=0.9), optim.Adam(parameters)
        advance(sgd, parameters, 0)
        with pytest.raises(StateDictError, match="not a setting here: momentum"):
            adam.load_state_dict(sgd.state_dict())


class TestMistakes:
    @pytest.mark.parametrize(
        ("make", "kind", "message"),
        [
            (lambda p: optim.SGD([]), ArgumentError, "at least one parameter, got none"),
            (lambda p: optim.Adam(iter(())), ArgumentError, "at least one parameter"),
            (lambda p: optim.SGD([p], lr=-1), ArgumentError, "lr must not be negative, got -1"),
            (
                lambda p: optim.SGD([{"params": [p], "lr": -2}]),
                ArgumentError,
                "lr must not be negative, got -2",
            ),
            (lambda p: optim.SGD([p], momentum=-1), ArgumentError, "momentum must not be neg"),
            (
                lambda p: optim.SGD([p], lr="0.1"),
                ArgumentTypeError,
                "lr must be a number, got '0.1'",
            ),
            (lambda p: optim.Adam(nn.Linear(2, 1)), ArgumentTypeError, r"model\.parameters\(\)"),
            (lambda p: optim.SGD([p], nesterov=True), ArgumentError, "nesterov needs a momentum"),
            (lambda p: optim.Adam([p], eps=-1), ArgumentError, "Adam: eps must not be negative"),
            (lambda p: optim.AdamW([p], weight_decay=-1), ArgumentError, "AdamW: weight_decay"),
            (
                lambda p: optim.Adam([p], betas=(0.9, 1.0)),
                ArgumentError,
                r"betas must be two numbers in \[0, 1\), got \(0.9, 1.0\)",
            ),
            (lambda p: optim.SGD([p, p]), ArgumentError, "given to the optimiser twice"),
            (
                lambda p: optim.SGD([{"params": [p]}, {"params": [p]}]),
                ArgumentError,
                "given to the optimiser twice",
            ),
            (
                lambda p: optim.SGD([{"params": [p], "momentun": 0.9}]),
                ArgumentError,
                "SGD has no setting momentun; it has lr, momentum",
            ),
            (lambda p: optim.SGD([p * 2]), ArgumentError, "leaves, not tensors computed"),
            (lambda p: optim.SGD(p), ArgumentTypeError, r"a list of tensors.*write \[tensor\]"),
            (lambda p: optim.SGD([np.ones(3)]), ArgumentTypeError, "takes tensors, got ndarray"),
            (
                lambda p: optim.SGD([("weight", p)]),
                ArgumentTypeError,
                "takes tensors, got tuple",
            ),
            (lambda p: optim.SGD([{"lr": 0.1}]), ArgumentTypeError, "a dict with 'params'"),
            (lambda p: optim.SGD([{"params": [p]}, p]), ArgumentTypeError, "a dict with 'params'"),
        ],
    )
    def test_are_explained(
        self, make: Callable[[Any], Any], kind: type[Exception], message: str
    ) -> None:
        assert issubclass(kind, TinygradLabError)
        with pytest.raises(kind, match=message):
            make(nn.Parameter([1.0, 2.0]))

    def test_a_group_that_is_refused_is_not_added(self) -> None:
        parameters = start()
        stepping = optim.SGD(parameters[:1], lr=0.1)
        with pytest.raises(ArgumentError):
            stepping.add_param_group({"params": parameters[1:], "lr": -1})
        stepping.add_param_group({"params": parameters[1:]})
        advance(stepping, parameters, 0)
        assert len(stepping.param_groups) == 2

    def test_an_optimiser_shows_its_settings(self) -> None:
        text = repr(optim.SGD(start(), lr=0.25, momentum=0.5))
        assert text == (
            "SGD(5 parameters, lr=0.25, momentum=0.5, dampening=0.0, weight_decay=0.0, "
            "nesterov=False, maximize=False)"
        )


class TestSchedules:
    def rates(
        self, make: Callable[[Any, Any], Any], library: Any, parameters: Any, steps: int
    ) -> Any:
        """Return the rates of two groups before every step, and those that the schedule reports."""
        optimiser = library.SGD(
            [{"params": [parameters[0]]}, {"params": [parameters[1]], "lr": 0.5}], lr=0.1
        )
        schedule = make(library.lr_scheduler, optimiser)
        found = []
        for _ in range(steps):
            found.append([group["lr"] for group in optimiser.param_groups])
            assert schedule.get_last_lr() == found[-1]
            optimiser.step()
            schedule.step()
        return np.array(found)

    @pytest.mark.parametrize(
        "make",
        [
            lambda library, o: library.LambdaLR(o, lambda epoch: 0.95**epoch),
            lambda library, o: library.LambdaLR(o, lambda epoch: min(1, (epoch + 1) / 5)),
            lambda library, o: library.StepLR(o, step_size=4, gamma=0.3),
            lambda library, o: library.StepLR(o, 1),
            lambda library, o: library.CosineAnnealingLR(o, T_max=20),
            lambda library, o: library.CosineAnnealingLR(o, 20, eta_min=0.02),
        ],
    )
    def test_are_pytorchs(self, torch: Any, make: Callable[[Any, Any], Any]) -> None:
        ours = self.rates(make, optim, start()[:2], 21)
        theirs = self.rates(
            make, torch.optim, [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)], 21
        )
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-16)

    @few
    @given(st.floats(1e-4, 1), st.integers(1, 30), st.integers(1, 40))
    def test_follow_their_formulas(self, base: float, length: int, steps: int) -> None:
        made = [
            (
                lambda o: lr_scheduler.StepLR(o, length, 0.5),
                lambda t: base * 0.5 ** (t // length),
            ),
            (
                lambda o: lr_scheduler.CosineAnnealingLR(o, length, base / 10),
                lambda t: base / 10 + 0.9 * base * (1 + math.cos(math.pi * t / length)) / 2,
            ),
        ]
        for make, formula in made:
            optimiser = optim.SGD([tg.scalar(1.0)], lr=base)
            schedule = make(optimiser)
            for step in range(steps):
                assert optimiser.param_groups[0]["lr"] == pytest.approx(formula(step), rel=1e-9)
                schedule.step()

    def test_steer_the_steps(self) -> None:
        x = tg.scalar(0.0)
        optimiser = optim.SGD([x], lr=1.0)
        schedule = lr_scheduler.StepLR(optimiser, 1, 0.5)
        for _ in range(4):
            x.grad = tg.scalar(-1.0, requires_grad=False)
            optimiser.step()
            schedule.step()
        assert x.item() == 1 + 0.5 + 0.25 + 0.125


def test_a_step_that_cannot_be_compiled_updates_what_it_set_before() -> None:
    """A recording that is given up has joined the parameters as they were before the step."""
    found = []
    for wrap in (tg.compile, lambda step: step):
        w = tg.nn.Parameter(tg.tensor([1.0, 2.0]))
        optimizer = tg.optim.SGD([w], lr=1.0)

        def step(x: tg.Tensor, w: Any = w, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            (w * x).sum().backward()
            with tg.no_grad():
                w += 100.0
            optimizer.step()

        run = wrap(step)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for _ in range(3):
                run(tg.ones(2))
        found.append(w.tolist())
    assert found[0] == found[1] == [298.0, 299.0]
