"""Every optimiser is PyTorch's over 100 steps, and the same bits when its step is compiled."""

import math
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tg
from tinygrad_lab import nn, optim
from tinygrad_lab.errors import ArgumentError, ArgumentTypeError

pytestmark = pytest.mark.numpy_only("compares with PyTorch and with compiled steps")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.05, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.01, "initial_accumulator_value": 0.1}),
    ("RMSprop", {"lr": 0.01}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.5, "weight_decay": 0.01}),
    ("Adadelta", {"lr": 1.0, "weight_decay": 0.1, "maximize": True}),
    ("Adam", {"lr": 0.01, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "betas": (0.0, 0.0)}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "maximize": True}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("NAdam", {"lr": 0.01, "maximize": True}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1}),
    ("Rprop", {"lr": 0.01}),
]
every_case = pytest.mark.parametrize(("name", "arguments"), CASES)
SHAPES = [(3, 4), (4,)]


@pytest.fixture
def torch() -> Any:
    module: ModuleType = pytest.importorskip("torch")
    module.set_default_dtype(module.float64)
    yield module
    module.set_default_dtype(module.float32)


def slopes(step: int) -> list[Any]:
    rng = np.random.default_rng(step)
    return [rng.normal(size=shape) * 10 ** rng.uniform(-3, 1) for shape in SHAPES]


def parameters() -> list[nn.Parameter]:
    rng = np.random.default_rng(7)
    return [nn.Parameter(rng.normal(size=shape)) for shape in SHAPES]


@every_case
def test_is_pytorchs_over_100_steps(torch: Any, name: str, arguments: dict[str, Any]) -> None:
    ours = parameters()
    theirs = [torch.nn.Parameter(torch.tensor(p.detach().numpy().copy())) for p in ours]
    pair = getattr(optim, name)(ours, **arguments), getattr(torch.optim, name)(theirs, **arguments)
    for step in range(100):
        for mine, their, slope in zip(ours, theirs, slopes(step), strict=True):
            mine.grad, their.grad = tg.tensor(slope), torch.tensor(slope)
        for optimizer in pair:
            optimizer.step()
    for mine, their in zip(ours, theirs, strict=True):
        expected = their.detach().numpy()
        error = np.max(np.abs(mine.detach().numpy() - expected)) / np.max(np.abs(expected))
        assert error < 1e-12


@every_case
def test_compiled_gives_the_same_bits_while_its_rate_changes(
    name: str, arguments: dict[str, Any]
) -> None:
    ends = []
    for compiler in (lambda step: step, tg.compile):
        ours = parameters()
        optimizer = getattr(optim, name)(ours, **arguments)

        def step(*g: Any, ours: Any = ours, optimizer: Any = optimizer) -> None:
            optimizer.zero_grad()
            sum((p * slope).sum() for p, slope in zip(ours, g, strict=True)).backward()
            optimizer.step()

        run = compiler(step)
        for number in range(15):
            optimizer.param_groups[0]["lr"] = arguments["lr"] * (1 + number % 3)
            run(*map(tg.tensor, slopes(number)))
        ends.append([p.detach().numpy().copy() for p in ours])
    for one, other in zip(*ends, strict=True):
        np.testing.assert_array_equal(one, other)


@every_case
def test_goes_on_from_its_state(name: str, arguments: dict[str, Any]) -> None:
    saved, unbroken = parameters(), parameters()
    optimizers = [getattr(optim, name)(ours, **arguments) for ours in (saved, unbroken)]
    for step in range(8):
        if step == 4:
            state = optimizers[0].state_dict()
            optimizers[0] = getattr(optim, name)(saved, **(arguments | {"lr": 9.0}))
            optimizers[0].load_state_dict(state)
        for ours, optimizer in zip((saved, unbroken), optimizers, strict=True):
            for p, slope in zip(ours, slopes(step), strict=True):
                p.grad = tg.tensor(slope)
            optimizer.step()
    for one, other in zip(saved, unbroken, strict=True):
        np.testing.assert_array_equal(one.detach().numpy(), other.detach().numpy())


@pytest.mark.parametrize("name", sorted({name for name, _ in CASES} | {"LBFGS"}))
def test_takes_pytorchs_arguments_with_its_defaults(torch: Any, name: str) -> None:
    import inspect

    theirs = inspect.signature(getattr(torch.optim, name)).parameters
    ours = inspect.signature(getattr(optim, name)).parameters
    assert list(ours) == list(theirs)
    assert {n: p.default for n, p in ours.items()} == {n: p.default for n, p in theirs.items()}
    assert {n: p.kind for n, p in ours.items()} == {n: p.kind for n, p in theirs.items()}


class TestAdamAfterLargeGradients:
    def test_with_betas_of_zero_keeps_the_digits_of_a_small_one(self) -> None:
        p = nn.Parameter(np.zeros(1))
        optimizer = optim.Adam([p], lr=1.0, betas=(0.0, 0.0))
        for slope in (1e9, -0.2):
            p.grad = tg.tensor(np.array([slope]))
            optimizer.step()
        assert p.item() == pytest.approx(0, abs=1e-6)  # a step of -1, then one of 1

    def test_stays_finite_in_float32(self) -> None:
        p = nn.Parameter(np.zeros(1, "float32"))
        optimizer = optim.Adam([p])
        for slope in (2e19, 1.0, 1.0):
            p.grad = tg.tensor(np.array([slope], "float32"))
            optimizer.step()
            assert math.isfinite(p.item())
        assert p.item() < 0


class TestLBFGS:
    @pytest.mark.parametrize("search", [None, "strong_wolfe"])
    def test_is_pytorchs(self, torch: Any, search: str | None) -> None:
        rng = np.random.default_rng(0)
        matrix, start = rng.normal(size=(6, 6)), rng.normal(size=6)
        ends = []
        for library, array in ((optim, tg.tensor), (torch.optim, torch.tensor)):
            x = array(start.copy()).requires_grad_()
            lr = 1.0 if search else 0.1
            optimizer = library.LBFGS([x], lr=lr, max_iter=5, line_search_fn=search)

            def closure(x: Any = x, array: Any = array, optimizer: Any = optimizer) -> Any:
                optimizer.zero_grad()
                loss = ((array(matrix) @ x - 1) ** 2).sum() + (x**4).sum()
                loss.backward()
                return loss

            for _ in range(8):
                optimizer.step(closure)
            ends.append(x.detach().numpy())
        np.testing.assert_allclose(*ends, rtol=1e-11)

    def test_steps_with_a_compiled_closure(self) -> None:
        x = nn.Parameter(np.array([3.0, -2.0]))
        optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe")

        @tg.compile
        def closure() -> Any:
            optimizer.zero_grad()
            loss = ((x - 1) ** 2).sum()
            loss.backward()
            return loss

        for _ in range(3):
            optimizer.step(closure)
        np.testing.assert_allclose(x.detach().numpy(), 1.0)

    def test_asks_for_a_closure_and_one_group(self) -> None:
        first, second = parameters()
        optimizer = optim.LBFGS([first])
        with pytest.raises(ArgumentTypeError, match=r"optimizer\.step\(closure\)"):
            optimizer.step()
        with pytest.raises(ArgumentError, match="one group"):
            optimizer.add_param_group({"params": [second]})


class TestMistakes:
    def test_modules_in_a_plain_list_are_named_where_there_is_no_parameter(self) -> None:
        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layers = [nn.Linear(2, 2)]

        with pytest.raises(ArgumentError, match=r"plain list .*nn\.ModuleList.*nn\.Parameter"):
            optim.SGD(Net().parameters())

    @pytest.mark.parametrize("argument", ["capturable", "differentiable"])
    def test_pytorchs_switches_are_refused_with_the_reason(self, argument: str) -> None:
        with pytest.raises(ArgumentError, match=f"Adam: {argument}"):
            optim.Adam(parameters(), **{argument: True})

    def test_amsgrad_after_steps_without_it_is_refused(self) -> None:
        ours = parameters()
        optimizer = optim.Adam(ours)
        for p, slope in zip(ours, slopes(0), strict=True):
            p.grad = tg.tensor(slope)
        optimizer.step()
        optimizer.param_groups[0]["amsgrad"] = True
        with pytest.raises(ArgumentError, match="turned on after the first step"):
            optimizer.step()


class TestStateOfPyTorch:
    """A training that was begun with PyTorch goes on here."""

    @every_case
    def test_loads_and_goes_on(self, torch: Any, name: str, arguments: dict[str, Any]) -> None:
        start = parameters()
        theirs = [torch.nn.Parameter(torch.tensor(p.detach().numpy().copy())) for p in start]
        begun = getattr(torch.optim, name)(theirs, **arguments)
        for step in range(10):
            self.set_slopes(theirs, step, torch.tensor)
            begun.step()
        ours = [nn.Parameter(p.detach().numpy().copy()) for p in theirs]
        going_on = getattr(optim, name)(ours, **arguments)
        going_on.load_state_dict(begun.state_dict())
        for step in range(10, 20):
            self.set_slopes(theirs, step, torch.tensor)
            self.set_slopes(ours, step, tg.tensor)
            begun.step()
            going_on.step()
        for mine, their in zip(ours, theirs, strict=True):
            assert np.allclose(mine.detach().numpy(), their.detach().numpy(), rtol=0, atol=1e-12)

    def test_does_not_share_memory_with_what_was_loaded(self, torch: Any) -> None:
        theirs = [torch.nn.Parameter(torch.ones(3))]
        begun = torch.optim.Adam(theirs)
        self.set_slopes(theirs, 0, lambda slope: torch.ones(3))
        begun.step()
        going_on = optim.Adam([nn.Parameter(np.ones(3))])
        going_on.load_state_dict(begun.state_dict())
        before = going_on.state_dict()["state"][0]["exp_avg"].copy()
        begun.step()  # in place
        assert np.array_equal(going_on.state_dict()["state"][0]["exp_avg"], before)

    def test_what_only_pytorch_has_is_refused_where_it_is_on(self, torch: Any) -> None:
        theirs = torch.optim.Adam([torch.nn.Parameter(torch.ones(3))], differentiable=True)
        ours = optim.Adam([nn.Parameter(np.ones(3))])
        with pytest.raises(ArgumentError, match="differentiable=True is not supported"):
            ours.load_state_dict(theirs.state_dict())

    def test_names_of_parameters_are_left_out(self, torch: Any) -> None:
        theirs = torch.optim.SGD(torch.nn.Linear(2, 1).named_parameters(), lr=0.25)
        ours = optim.SGD(nn.Linear(2, 1).parameters(), lr=0.5)
        ours.load_state_dict(theirs.state_dict())
        assert ours.param_groups[0]["lr"] == 0.25
        assert "param_names" not in ours.param_groups[0]

    def set_slopes(self, them: list[Any], step: int, kind: Any) -> None:
        for one, slope in zip(them, slopes(step), strict=False):
            one.grad = kind(slope)


@pytest.mark.parametrize("betas", [0.9, None, "ab", ("a", 0.9)])
def test_betas_that_are_no_pair_of_numbers_are_an_error(betas: Any) -> None:
    with pytest.raises(ArgumentTypeError, match="Adam: betas must be two numbers, got"):
        optim.Adam(parameters(), betas=betas)
